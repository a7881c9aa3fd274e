//! Conditions on points: `method == ddim and nfe > 10`, or a map `{ method: ddim, nfe: [10, 50] }`.
//! Text in, a [`Condition`] out, which holds or not for a set of named values. Comparisons, `in`,
//! `and`, `or`, `not` and nothing more, so that every condition ends.

use crate::problem::{Problem, Result};
use crate::words;
use serde_json::Value;

/// Something that holds at a point or does not.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All of these hold.
    All(Vec<Condition>),
    /// One of these holds.
    Any(Vec<Condition>),
    /// This does not hold.
    Not(Box<Condition>),
    /// Two values compare so.
    Compare(Term, Comparison, Term),
    /// A value is one of these.
    In(Term, Vec<Value>),
    /// A value is `true`.
    Is(Term),
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Term {
    /// The value of an axis, a variable or a path.
    Name(String),
    /// A value as written.
    Literal(Value),
    /// A bare word on the right, which is a name where one is known and a value elsewhere.
    Word(String),
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

/// Brackets and `not`s within each other, at most.
const DEEPEST: usize = 64;

/// Characters of a condition, at most.
const LONGEST: usize = 10_000;

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// If it is not one; the sentence tells what stands where something else should.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > LONGEST {
            return Err(Problem::new("a condition of more than 10,000 characters"));
        }
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
        let condition = parser.any()?;
        match parser.next() {
            None => Ok(condition),
            Some(token) => Err(unexpected(Some(&token), "`and` or `or`")),
        }
    }

    /// The condition that all values of a map are these; a list means one of its items.
    pub fn of_map(map: &serde_json::Map<String, Value>) -> Self {
        let one = |(name, value): (&String, &Value)| {
            let term = Term::Name(name.clone());
            match value {
                Value::Array(items) => Self::In(term, items.clone()),
                value => Self::Compare(term, Comparison::Equal, Term::Literal(value.clone())),
            }
        };
        Self::All(map.iter().map(one).collect())
    }

    /// The names that it asks for, words that may be names included if `known` knows them.
    pub fn names(&self, known: &dyn Fn(&str) -> bool) -> Vec<&str> {
        let mut names = vec![];
        self.collect(&mut |term| match term {
            Term::Name(name) => names.push(name.as_str()),
            Term::Word(word) if known(word) => names.push(word.as_str()),
            _ => {}
        });
        names
    }

    /// The names that it compares for equality with values, each with its value.
    pub fn equalities(&self) -> Vec<(&str, Value)> {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().flat_map(Self::equalities).collect()
            }
            Self::Not(inner) => inner.equalities(),
            Self::Compare(Term::Name(name), Comparison::Equal | Comparison::Unequal, right) => {
                match right {
                    Term::Literal(value) => vec![(name, value.clone())],
                    Term::Word(word) => vec![(name, Value::from(word.as_str()))],
                    Term::Name(_) => vec![],
                }
            }
            Self::In(Term::Name(name), items) => {
                items.iter().map(|item| (name.as_str(), item.clone())).collect()
            }
            _ => vec![],
        }
    }

    fn collect<'c>(&'c self, see: &mut dyn FnMut(&'c Term)) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.collect(see)),
            Self::Not(inner) => inner.collect(see),
            Self::Compare(left, _, right) => {
                see(left);
                see(right);
            }
            Self::In(term, _) | Self::Is(term) => see(term),
        }
    }

    /// Whether it holds where names have these values. What has no value equals nothing, and is
    /// neither less nor more than anything.
    pub fn holds<'v>(&'v self, value_of: &dyn Fn(&str) -> Option<&'v Value>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(value_of)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(value_of)),
            Self::Not(inner) => !inner.holds(value_of),
            Self::Compare(left, comparison, right) => {
                let word;
                let right = match right {
                    Term::Word(text) if value_of(text).is_none() => {
                        word = Value::from(text.as_str());
                        Some(&word)
                    }
                    other => other.value(value_of),
                };
                compare(left.value(value_of), *comparison, right)
            }
            Self::In(term, items) => {
                term.value(value_of).is_some_and(|value| items.iter().any(|item| same(value, item)))
            }
            Self::Is(term) => {
                term.value(value_of).is_some_and(|value| same(value, &Value::Bool(true)))
            }
        }
    }
}

impl Term {
    fn value<'s>(&'s self, value_of: &dyn Fn(&str) -> Option<&'s Value>) -> Option<&'s Value> {
        match self {
            Self::Name(name) | Self::Word(name) => value_of(name),
            Self::Literal(value) => Some(value),
        }
    }
}

fn compare(left: Option<&Value>, comparison: Comparison, right: Option<&Value>) -> bool {
    let equal = || matches!((left, right), (Some(a), Some(b)) if same(a, b));
    let order = || number(left?)?.partial_cmp(&number(right?)?);
    match comparison {
        Comparison::Equal => equal(),
        Comparison::Unequal => !equal(),
        Comparison::Less => order().is_some_and(std::cmp::Ordering::is_lt),
        Comparison::AtMost => order().is_some_and(std::cmp::Ordering::is_le),
        Comparison::More => order().is_some_and(std::cmp::Ordering::is_gt),
        Comparison::AtLeast => order().is_some_and(std::cmp::Ordering::is_ge),
    }
}

/// The number that a value is, as people write it: `2k`, `1e-4`.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            words::number(text).or_else(|| words::count(text).map(|count| count as f64))
        }
        _ => None,
    }
}

/// Whether two values mean the same: `2k` and 2000, `off` and false.
pub fn same(a: &Value, b: &Value) -> bool {
    if a == b {
        return true;
    }
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return a == b;
    }
    let switch = |value: &Value| match value {
        Value::Bool(on) => Some(*on),
        Value::String(text) if text == "on" || text == "true" => Some(true),
        Value::String(text) if text == "off" || text == "false" => Some(false),
        _ => None,
    };
    matches!((switch(a), switch(b)), (Some(a), Some(b)) if a == b)
}

/// A piece of a condition.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Sign(&'static str),
}

const SIGNS: [&str; 11] = ["==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ","];

fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut tokens = vec![];
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else if first == '"' || first == '\'' {
            let Some(end) = rest[1..].find(first) else {
                return Err(Problem::new(format!("a {first} is not closed")));
            };
            tokens.push(Token::Quoted(rest[1..=end].to_owned()));
            rest = &rest[end + 2..];
        } else if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            let problem = Problem::new(format!("`{first}` means nothing in a condition"));
            return Err(problem.help(match first {
                '=' => "write `==` to compare",
                '&' => "write `and`",
                '|' => "write `or`",
                '!' => "write `not`",
                _ => "for example `schedule == cosine and nfe > 10`",
            }));
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || "_.-+/".contains(c)
}

/// Something stands where something else should.
fn unexpected(found: Option<&Token>, wanted: &str) -> Problem {
    let found = match found {
        None => "the condition ends".to_owned(),
        Some(Token::Word(text) | Token::Quoted(text)) => format!("`{text}` stands"),
        Some(Token::Sign(sign)) => format!("`{sign}` stands"),
    };
    Problem::new(format!("{found} where {wanted} should be"))
        .help("for example `schedule == cosine and nfe in [10, 50]`")
}

/// Reads tokens from left to right.
struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned()
    }

    /// Takes a word or sign, if it stands next.
    fn take(&mut self, text: &str) -> bool {
        let is = match self.peek() {
            Some(Token::Word(word)) => word == text,
            Some(Token::Sign(sign)) => *sign == text,
            _ => false,
        };
        self.at += usize::from(is);
        is
    }

    fn any(&mut self) -> Result<Condition> {
        let mut parts = vec![self.all()?];
        while self.take("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Any(parts) })
    }

    fn all(&mut self) -> Result<Condition> {
        let mut parts = vec![self.one()?];
        while self.take("and") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::All(parts) })
    }

    fn one(&mut self) -> Result<Condition> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Problem::new("a condition is nested deeper than anybody can read"));
        }
        let condition = if self.take("not") {
            Condition::Not(Box::new(self.one()?))
        } else if self.take("(") {
            let inner = self.any()?;
            self.expect(")")?;
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn expect(&mut self, sign: &'static str) -> Result<()> {
        if self.take(sign) {
            return Ok(());
        }
        Err(unexpected(self.peek(), &format!("`{sign}`")))
    }

    fn comparison(&mut self) -> Result<Condition> {
        let left = match self.next() {
            Some(Token::Word(word)) if !is_keyword(&word) => Term::Name(word),
            other => return Err(unexpected(other.as_ref(), "the name of an axis or variable")),
        };
        if self.take("in") {
            return Ok(Condition::In(left, self.list()?));
        }
        if self.take("not") {
            return match self.take("in") {
                true => Ok(Condition::Not(Box::new(Condition::In(left, self.list()?)))),
                false => Err(unexpected(self.peek(), "`in`")),
            };
        }
        let comparison = match self.peek() {
            Some(Token::Sign("==")) => Comparison::Equal,
            Some(Token::Sign("!=")) => Comparison::Unequal,
            Some(Token::Sign("<")) => Comparison::Less,
            Some(Token::Sign("<=")) => Comparison::AtMost,
            Some(Token::Sign(">")) => Comparison::More,
            Some(Token::Sign(">=")) => Comparison::AtLeast,
            _ => return Ok(Condition::Is(left)),
        };
        self.at += 1;
        let right = match self.next() {
            Some(Token::Word(word)) if !is_keyword(&word) => match literal(&word) {
                Value::String(word) => Term::Word(word),
                value => Term::Literal(value),
            },
            Some(Token::Quoted(text)) => Term::Literal(Value::from(text)),
            other => return Err(unexpected(other.as_ref(), "a value")),
        };
        Ok(Condition::Compare(left, comparison, right))
    }

    fn list(&mut self) -> Result<Vec<Value>> {
        self.expect("[")?;
        let mut items = vec![];
        loop {
            match self.next() {
                Some(Token::Word(word)) => items.push(literal(&word)),
                Some(Token::Quoted(text)) => items.push(Value::from(text)),
                other => return Err(unexpected(other.as_ref(), "a value")),
            }
            if self.take("]") {
                return Ok(items);
            }
            self.expect(",")?;
        }
    }
}

fn is_keyword(word: &str) -> bool {
    ["and", "or", "not", "in"].contains(&word)
}

/// A bare word as the value that it is in a spec.
pub fn literal(word: &str) -> Value {
    match word {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => match (word.parse::<i64>(), words::number(word)) {
            (Ok(whole), _) => Value::from(whole),
            (_, Some(number)) => Value::from(number),
            _ => Value::from(word),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(text: &str, holds: bool) {
        let values = json!({ "method": "ddim", "nfe": 50, "steps": "2k", "ema": "off", "attention": true, "rate": 1e-4 });
        let condition = Condition::parse(text).unwrap();
        assert_eq!(condition.holds(&|name| values.get(name)), holds, "{text}: {condition:?}");
    }

    #[test]
    fn comparisons_hold_as_people_mean_them() {
        check("method == ddim", true);
        check("method == 'ddim'", true);
        check("method != ddim", false);
        check("nfe > 10 and nfe <= 50", true);
        check("nfe < 50 or nfe >= 51", false);
        check("steps == 2000 and steps > 1k", true);
        check("rate == 0.0001 and rate <= 1e-4", true);
        check("ema == off and ema != 0.9", true);
        check("attention", true);
        check("not attention", false);
        check("method in [ddpm, ddim] and nfe not in [10, 20]", true);
        check("nfe < steps", true);
        check("not (nfe == 50 and method == ddpm) or nfe == 1", true);
    }

    #[test]
    fn and_binds_closer_than_or_and_not_closer_than_and() {
        check("nfe == 50 or nfe == 10 and method == ddpm", true);
        check("not nfe == 10 and method == ddpm", false);
    }

    #[test]
    fn what_has_no_value_equals_nothing() {
        check("eta == 0", false);
        check("eta != 0", true);
        check("eta < 1 or eta >= 1 or eta in [0, 1] or eta", false);
    }

    #[test]
    fn a_map_asks_for_all_of_its_values() {
        let values = json!({ "method": "ddim", "nfe": 50 });
        let holds = |map: Value| {
            Condition::of_map(map.as_object().unwrap()).holds(&|name| values.get(name))
        };
        assert!(holds(json!({ "method": "ddim", "nfe": [10, 50] })));
        assert!(!holds(json!({ "method": "ddim", "nfe": 10 })));
    }

    #[test]
    fn what_is_no_condition_is_told() {
        for (text, piece) in [
            ("", "the condition ends where the name"),
            ("a = b", "write `==`"),
            ("a == ", "ends where a value"),
            ("a == b c", "`c` stands where `and` or `or`"),
            ("(a == b", "ends where `)`"),
            ("a in b", "`b` stands where `[`"),
            ("a in [1, ", "ends where a value"),
            ("a not b", "`b` stands where `in`"),
            ("== 3", "`==` stands where the name"),
            ("a == 'b", "not closed"),
            ("a && b", "write `and`"),
        ] {
            let problem = Condition::parse(text).unwrap_err().to_string();
            assert!(problem.contains(piece), "{text}: {problem}");
        }
        assert!(Condition::parse(&"not ".repeat(1000)).is_err());
        assert!(Condition::parse(&"(".repeat(9000)).is_err());
    }
}
