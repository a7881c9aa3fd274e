//! A sheet as a LaTeX `tabular`; caption and label are the author's.

use super::marks::Mark;
use super::sheet::{Entry, Sheet};

/// How numbers are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LatexForm {
    /// Right-aligned, with booktabs alone.
    #[default]
    Booktabs,
    /// In `S` columns of siunitx, version 3, aligned at their decimal points. They cannot underline.
    Siunitx,
}

impl Sheet {
    /// A `tabular` with the notes, and what it was made of, as comments.
    pub fn latex(&self, form: LatexForm, sources: &str) -> String {
        let mut out = String::from(match form {
            LatexForm::Booktabs => "% Needs \\usepackage{booktabs}.\n",
            LatexForm::Siunitx => {
                "% Needs \\usepackage{booktabs} and \\usepackage{siunitx}, version 3.\n"
            }
        });
        for note in &self.notes {
            out += &format!("% {}\n", note.replace('\n', " "));
        }
        out += &format!("% Made by {sources}\n");
        let columns: String = (0..self.headings.len()).map(|i| self.column(i, form)).collect();
        out += &format!("\\begin{{tabular}}{{{columns}}}\n\\toprule\n");
        let line = |cells: Vec<String>| format!("{} \\\\\n", cells.join(" & "));
        // In an `S` column everything but numbers stands in braces.
        let heading = |(i, heading): (usize, &String)| match self.is_aligned(i, form) {
            true => format!("{{{}}}", tex(heading)),
            false => tex(heading),
        };
        out += &line(self.headings.iter().enumerate().map(heading).collect());
        out += "\\midrule\n";
        for row in &self.rows {
            let cell = |(i, entry): (usize, &Entry)| match self.is_aligned(i, form) {
                true => aligned(entry),
                false => self::entry(entry),
            };
            out += &line(row.iter().enumerate().map(cell).collect());
        }
        out + "\\bottomrule\n\\end{tabular}\n"
    }

    fn is_aligned(&self, column: usize, form: LatexForm) -> bool {
        form == LatexForm::Siunitx && column >= self.words
    }

    fn column(&self, column: usize, form: LatexForm) -> String {
        if column < self.words {
            return "l".to_owned();
        }
        if form == LatexForm::Booktabs {
            return "r".to_owned();
        }
        // The room that the longest number of the column needs.
        let (mut whole, mut part, mut spread_digits, mut sign) = (1, 0, 0, "");
        for row in &self.rows {
            let Some(Entry::Number { mean, spread, .. }) = row.get(column) else { continue };
            let digits = mean.trim_start_matches(['+', '−', '-']);
            let (before, behind) = digits.split_once('.').unwrap_or((digits, ""));
            (whole, part) = (whole.max(before.len()), part.max(behind.len()));
            if digits.len() < mean.len() {
                sign = "+";
            }
            let significant =
                |spread: &String| spread.replace('.', "").trim_start_matches('0').len();
            spread_digits = spread_digits.max(spread.as_ref().map_or(0, significant));
        }
        let spread = if spread_digits > 0 { format!("({spread_digits})") } else { String::new() };
        let part = if part > 0 { format!(".{part}") } else { String::new() };
        format!("S[table-format={sign}{whole}{part}{spread}, separate-uncertainty]")
    }
}

fn entry(entry: &Entry) -> String {
    match entry {
        Entry::Word(word) => tex(word),
        Entry::Missing { failed } => if *failed { "failed" } else { "--" }.to_owned(),
        Entry::Number { mean, spread, mark, note } => {
            let mean = mean.replace('−', "-");
            let mean = match mark {
                Mark::None => format!("${mean}$"),
                Mark::Best => format!("$\\mathbf{{{mean}}}$"),
                Mark::Next => format!("$\\underline{{{mean}}}$"),
            };
            let spread = spread
                .as_ref()
                .map_or(String::new(), |d| format!("{{\\scriptsize$\\,\\pm\\,{d}$}}"));
            let note = note.as_ref().map_or(String::new(), |note| {
                format!("{{\\scriptsize\\ ({})}}", tex(note).replace("n =", "$n$ ="))
            });
            format!("{mean}{spread}{note}")
        }
    }
}

/// An entry of an `S` column.
fn aligned(entry: &Entry) -> String {
    match entry {
        Entry::Number { mean, spread, mark, note: None } => {
            let spread = spread.as_ref().map_or(String::new(), |spread| format!(" \\pm {spread}"));
            let weight = if *mark == Mark::Best { "\\bfseries " } else { "" };
            format!("{weight}{}{spread}", mean.replace('−', "-"))
        }
        other => format!("{{{}}}", self::entry(other)),
    }
}

/// Text with LaTeX's special characters escaped; mathematics between `$` stays as it is.
pub(super) fn tex(text: &str) -> String {
    let parts: Vec<&str> = text.split('$').collect();
    // A lone `$` is no mathematics.
    if parts.len().is_multiple_of(2) {
        return escape(text);
    }
    let part = |(i, part): (usize, &&str)| match i % 2 {
        1 => format!("${part}$"),
        _ => escape(part),
    };
    parts.iter().enumerate().map(part).collect()
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '~' => out += "\\textasciitilde{}",
            '^' => out += "\\textasciicircum{}",
            '\\' => out += "\\textbackslash{}",
            '↓' => out += "$\\downarrow$",
            '↑' => out += "$\\uparrow$",
            'Δ' => out += "$\\Delta$",
            'χ' => out += "$\\chi$",
            '±' => out += "$\\pm$",
            '²' => out += "$^2$",
            '³' => out += "$^3$",
            '–' => out += "--",
            '−' => out += "$-$",
            '\n' => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(mean: &str, spread: Option<&str>, mark: Mark, note: Option<&str>) -> Entry {
        let (spread, note) = (spread.map(str::to_owned), note.map(str::to_owned));
        Entry::Number { mean: mean.into(), spread, mark, note }
    }

    fn sheet() -> Sheet {
        Sheet {
            headings: vec!["a_b".into(), "error ↓".into(), "Δ baseline".into()],
            words: 1,
            rows: vec![
                vec![
                    Entry::Word("50% & $x_1$".into()),
                    number("0.115", Some("0.021"), Mark::Best, None),
                    number("−0.095", Some("0.064"), Mark::None, None),
                ],
                vec![
                    Entry::Word("$5".into()),
                    number("10.210", Some("0.014"), Mark::Next, Some("n = 2")),
                    Entry::Missing { failed: false },
                ],
            ],
            verdicts: vec![],
            notes: vec!["One.".into()],
        }
    }

    #[test]
    fn booktabs_with_escaped_words_and_marks() {
        let latex = sheet().latex(LatexForm::Booktabs, "a");
        for piece in [
            "\\begin{tabular}{lrr}",
            "a\\_b & error $\\downarrow$ & $\\Delta$ baseline",
            "50\\% \\& $x_1$ & $\\mathbf{0.115}${\\scriptsize$\\,\\pm\\,0.021$}",
            "\\$5 & $\\underline{10.210}$",
            "$-0.095$",
            "{\\scriptsize\\ ($n$ = 2)} & --",
        ] {
            assert!(latex.contains(piece), "{piece} in\n{latex}");
        }
    }

    #[test]
    fn siunitx_aligns_numbers_and_braces_the_rest() {
        let latex = sheet().latex(LatexForm::Siunitx, "a");
        for piece in [
            "{lS[table-format=2.3(2), separate-uncertainty]S[table-format=+1.3(2), separate-uncertainty]}",
            "& {error $\\downarrow$} &",
            "& \\bfseries 0.115 \\pm 0.021 & -0.095 \\pm 0.064 \\\\",
            "& {$\\underline{10.210}$",
            "& {--} \\\\",
        ] {
            assert!(latex.contains(piece), "{piece} in\n{latex}");
        }
    }
}
