//! Every number as a LaTeX macro, so that numbers in prose are never typed.

use super::cell::{Cell, Spread};
use super::decimals;

/// A number with the name under which prose finds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Number {
    /// `main/schedule=cosine,nfe=50/score.error`.
    pub name: String,
    /// Its values over seeds.
    pub cell: Cell,
}

/// The macros that read a number. Names hold characters that no macro may, so they are asked for by `\csname`.
const MACROS: &str = r"\makeatletter
% \ablate{NAME}: mean and spread; \ablate[mean]{NAME}, \ablate[spread]{NAME}, \ablate[n]{NAME}: one of them.
\providecommand{\ablate}[2][value]{\@ifundefined{ablate@#1@#2}%
  {\PackageError{ablate}{There is no number `#2' (#1)}{Its names are in numbers.tex.}\textbf{??}}%
  {\ensuremath{\csname ablate@#1@#2\endcsname}}}
\newcommand{\ablate@number}[5]{%
  \@namedef{ablate@value@#1}{#2}\@namedef{ablate@mean@#1}{#3}\@namedef{ablate@spread@#1}{#4}\@namedef{ablate@n@#1}{#5}}
";

/// The file of all macros; `notes` are comments at its head.
pub fn numbers_file(numbers: &[Number], spread: Spread, notes: &[String]) -> String {
    let mut out = format!(
        "% Numbers for prose: \\input{{numbers.tex}}, then \\ablate{{NAME}} with a name from below.\n% Mean \\pm {} over seeds.\n",
        spread.sentence()
    );
    for note in notes {
        out += &format!("% {note}\n");
    }
    out += MACROS;
    for Number { name, cell } in numbers {
        let Some(mean) = cell.mean() else { continue };
        let uncertain = cell.spread(spread);
        let places = decimals(uncertain, mean);
        let mean = format!("{mean:.places$}");
        let word = uncertain.map_or(String::new(), |s| format!("{s:.places$}"));
        let value = match uncertain.filter(|s| *s > 0.0) {
            Some(_) => format!("{mean} \\pm {word}"),
            None => mean.clone(),
        };
        out +=
            &format!("\\ablate@number{{{name}}}{{{value}}}{{{mean}}}{{{word}}}{{{}}}\n", cell.n());
    }
    out + "\\makeatother\n"
}

/// A name without what TeX would not leave as it is.
pub fn number_name(parts: &[&str]) -> String {
    let plain = |c: char| if "\\{}%#~^$&\"`".contains(c) || c.is_whitespace() { '-' } else { c };
    parts
        .iter()
        .filter(|part| !part.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join("/")
        .chars()
        .map(plain)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_a_macro_with_its_spread() {
        let values = [(0, 0.20), (1, 0.22)].into();
        let cell = Cell { values, missing: 0, failed: 0 };
        let name = number_name(&["main", "schedule=a b", "score.error"]);
        assert_eq!(name, "main/schedule=a-b/score.error");
        let single = Number {
            name: "n".into(),
            cell: Cell { values: [(0, 12345.6)].into(), ..Cell::default() },
        };
        let text =
            numbers_file(&[Number { name, cell }, single], Spread::Deviation, &["Partial.".into()]);
        assert!(
            text.contains("{main/schedule=a-b/score.error}{0.210 \\pm 0.014}{0.210}{0.014}{2}\n"),
            "{text}"
        );
        assert!(text.contains("\\ablate@number{n}{12346}{12346}{}{1}\n"), "{text}");
        assert!(text.contains("% Partial.\n"));
    }
}
