//! What went wrong, told to a person: a place, a sentence, and what to do next.
//! Every error a user can meet is a [`Problem`]; nothing here knows where problems come from.

use std::fmt;
use std::path::{Path, PathBuf};

/// A spot in a text file, with the line itself so that it can be shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as the user named it.
    pub file: PathBuf,
    /// 1-based line.
    pub line: usize,
    /// 1-based column, in characters.
    pub column: usize,
    /// How many characters the caret underlines, at least 1.
    pub width: usize,
    /// The text of that line.
    pub text: String,
}

/// Characters of a line that are shown, at most.
const SHOWN: usize = 160;

impl Place {
    /// The part of the line around the column that fits a screen, and the column in it.
    fn window(&self) -> (String, usize) {
        let first = self.column.saturating_sub(SHOWN / 2).saturating_sub(1);
        let long = self.text.chars().nth(SHOWN).is_some();
        if !long {
            return (self.text.clone(), self.column);
        }
        let text: String = self.text.chars().skip(first).take(SHOWN).collect();
        let more = self.text.chars().nth(first + SHOWN).is_some();
        (format!("{text}{}", if more { "…" } else { "" }), self.column - first)
    }
}

/// Who has to act: the user (exit code 2) or the machine's keeper (exit code 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blame {
    /// Wrong usage, spec or input file.
    Usage,
    /// The operating system refused something, or a promise of ours broke.
    System,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it is, if it is in a file.
    pub place: Option<Place>,
    /// The sentence that says what is wrong.
    pub sentence: String,
    /// What to do next.
    pub help: Option<String>,
    /// Who has to act.
    pub blame: Blame,
}

/// The usual result of this crate.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

impl Problem {
    /// A mistake in what the user wrote or gave.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self { place: None, sentence: sentence.into(), help: None, blame: Blame::Usage }
    }

    /// Something the machine refused, or a broken promise of ours.
    pub fn system(sentence: impl Into<String>) -> Self {
        Self { blame: Blame::System, ..Self::new(sentence) }
    }

    /// An operating-system error: names the act and the path.
    pub fn os(act: &str, path: impl AsRef<Path>, error: &std::io::Error) -> Self {
        Self::system(format!("cannot {act} {}: {error}", path.as_ref().display()))
    }

    /// The same, as something that the user has to mend.
    #[must_use]
    pub fn usage(self) -> Self {
        Self { blame: Blame::Usage, ..self }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds where it is.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            let gutter = place.line.to_string().len();
            writeln!(
                f,
                "{}:{}:{}: {}",
                place.file.display(),
                place.line,
                place.column,
                self.sentence
            )?;
            let (text, column) = place.window();
            writeln!(f, "  {} | {text}", place.line)?;
            let indent: String =
                text.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            let width = place.width.clamp(1, SHOWN);
            write!(f, "  {:gutter$} | {indent}{}", "", "^".repeat(width))?;
        } else {
            write!(f, "{}", self.sentence)?;
        }
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// All that is wrong at once, sorted by place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// `Ok(value)` if nothing was found, else all that was found.
    pub fn or<T>(mut self, value: T) -> Result<T, Self> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort();
        self.0.dedup();
        Err(self)
    }

    /// Remembers the problem of a failed step and goes on.
    pub fn keep<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|problem| self.0.push(problem)).ok()
    }

    /// 2 if the user has to act on anything, else 1.
    pub fn exit_code(&self) -> u8 {
        if self.0.iter().any(|problem| problem.blame == Blame::Usage) { 2 } else { 1 }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "error: {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_place_line_caret_and_help() {
        let place = Place {
            file: "a.yaml".into(),
            line: 12,
            column: 5,
            width: 3,
            text: "    foo: 1".to_owned(),
        };
        let shown =
            Problem::new("unknown key `foo`").help("did you mean `for`?").at(place).to_string();
        assert_eq!(
            shown,
            "a.yaml:12:5: unknown key `foo`\n  12 |     foo: 1\n     |     ^^^\n  help: did you mean `for`?"
        );
    }

    #[test]
    fn of_a_long_line_the_part_around_the_column_is_shown() {
        let text = format!("{}bad{}", "x".repeat(1000), "y".repeat(1000));
        let place = Place { file: "a".into(), line: 1, column: 1001, width: 3, text };
        let shown = Problem::new("wrong").at(place).to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[1].len() < 180, "{shown}");
        assert_eq!(lines[1].find("bad"), lines[2].find("^^^"), "{shown}");
    }

    #[test]
    fn problems_come_sorted_and_once() {
        let two = Problems(vec![Problem::new("b"), Problem::new("a"), Problem::new("b")]);
        assert_eq!(two.or(()).unwrap_err().to_string(), "error: a\nerror: b");
    }
}
