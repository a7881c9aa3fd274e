//! A sheet for the terminal, in Markdown and in HTML.

use super::marks::Mark;
use super::sheet::{Entry, Sheet};
use crate::figure::{escape, plain};

impl Sheet {
    /// For the terminal, with the notes below.
    pub fn terminal(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
        table.set_header(self.headings.iter().map(|heading| plain(heading)));
        for row in &self.rows {
            table.add_row(row.iter().map(|entry| match entry {
                Entry::Word(word) => plain(word),
                Entry::Number { mark: Mark::Best, .. } => text(entry) + " *",
                Entry::Number { mark: Mark::Next, .. } => text(entry) + " °",
                _ => text(entry),
            }));
        }
        // A terminal has neither bold nor underlined numbers that survive a copy.
        let notes = [("Bold: ", "*: "), ("Underlined: ", "°: "), ("underlined: ", "°: ")];
        let notes = notes
            .iter()
            .fold(self.notes.join("\n"), |notes, (word, mark)| notes.replace(word, mark));
        format!("{table}\n{notes}\n")
    }

    /// GitHub Markdown, with the notes below.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | ").replace('\n', " "));
        let piped = |word: &String| word.replace('|', "\\|");
        let mut out = line(&self.headings.iter().map(piped).collect::<Vec<_>>());
        let rule = |i: usize| if i < self.words { "---" } else { "---:" }.to_owned();
        out += &line(&(0..self.headings.len()).map(rule).collect::<Vec<_>>());
        for row in &self.rows {
            let cells = row.iter().map(|entry| match entry {
                Entry::Word(word) => piped(word),
                _ => marked(entry, ("**", "**"), ("<u>", "</u>")),
            });
            out += &line(&cells.collect::<Vec<_>>());
        }
        format!("{out}\n{}\n", self.notes.join(" "))
    }

    /// An HTML `table` with the notes as its caption.
    pub fn html(&self) -> String {
        let mut out = String::from("<table>\n");
        if !self.notes.is_empty() {
            out += &format!("<caption>{}</caption>\n", escape(&self.notes.join(" ")));
        }
        // The names of metrics may break behind their dots.
        let heading = |(i, heading): (usize, &String)| {
            let heading = escape(&plain(heading)).replace('.', ".<wbr>");
            let class = if i < self.words { "" } else { " class=\"number\"" };
            format!("<th scope=\"col\"{class}>{heading}</th>")
        };
        let headings: String = self.headings.iter().enumerate().map(heading).collect();
        out += &format!("<thead><tr>{headings}</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            let cells: String = row
                .iter()
                .enumerate()
                .map(|(i, entry)| {
                    let text = match entry {
                        Entry::Word(word) => escape(&plain(word)),
                        _ => marked(entry, ("<strong>", "</strong>"), ("<u>", "</u>")),
                    };
                    match i < self.words {
                        true => format!("<td>{text}</td>"),
                        false => format!("<td class=\"number\">{text}</td>"),
                    }
                })
                .collect();
            out += &format!("<tr>{cells}</tr>\n");
        }
        out + "</tbody>\n</table>\n"
    }
}

/// A number or what stands for one, without its mark.
fn text(entry: &Entry) -> String {
    match entry {
        Entry::Word(word) => word.clone(),
        Entry::Missing { failed } => if *failed { "failed" } else { "–" }.to_owned(),
        Entry::Number { mean, spread, note, .. } => {
            let spread = spread.as_ref().map_or(String::new(), |spread| format!(" ± {spread}"));
            let note = note.as_ref().map_or(String::new(), |note| format!(" ({note})"));
            format!("{mean}{spread}{note}")
        }
    }
}

/// The same, the number between the marks of the best or of the next.
fn marked(entry: &Entry, best: (&str, &str), next: (&str, &str)) -> String {
    let Entry::Number { mean, spread, mark, note } = entry else { return text(entry) };
    let (before, behind) = match mark {
        Mark::None => ("", ""),
        Mark::Best => best,
        Mark::Next => next,
    };
    let number =
        Entry::Number { mean: mean.clone(), spread: spread.clone(), mark: *mark, note: None };
    let note = note.as_ref().map_or(String::new(), |note| format!(" ({note})"));
    format!("{before}{}{behind}{note}", text(&number))
}

/// A line of CSV (RFC 4180).
pub fn csv_line(cells: impl Iterator<Item = String>) -> String {
    let quote = |cell: String| {
        if cell.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell
        }
    };
    cells.map(quote).collect::<Vec<_>>().join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        let number = |mark, note: Option<&str>| Entry::Number {
            mean: "0.10".into(),
            spread: Some("0.02".into()),
            mark,
            note: note.map(str::to_owned),
        };
        Sheet {
            headings: vec!["a|b".into(), "$x_1$ <".into()],
            words: 1,
            rows: vec![
                vec![Entry::Word("<script>".into()), number(Mark::Best, Some("n = 2"))],
                vec![Entry::Word("b".into()), number(Mark::Next, None)],
                vec![Entry::Word("c".into()), Entry::Missing { failed: true }],
            ],
            verdicts: vec![],
            notes: vec!["A & b.".into()],
        }
    }

    #[test]
    fn every_language_marks_the_best_and_the_next() {
        let markdown = sheet().markdown();
        assert!(markdown.contains("| a\\|b | $x_1$ < |\n| --- | ---: |\n"), "{markdown}");
        assert!(markdown.contains("| **0.10 ± 0.02** (n = 2) |"), "{markdown}");
        assert!(markdown.contains("| <u>0.10 ± 0.02</u> |"), "{markdown}");
        let terminal = sheet().terminal();
        assert!(
            terminal.contains("0.10 ± 0.02 (n = 2) *") && terminal.contains("0.10 ± 0.02 °"),
            "{terminal}"
        );
    }

    #[test]
    fn html_is_escaped() {
        let html = sheet().html();
        assert!(html.contains("<td>&lt;script&gt;</td>") && !html.contains("<script>"), "{html}");
        assert!(
            html.contains("<td class=\"number\"><strong>0.10 ± 0.02</strong> (n = 2)</td>"),
            "{html}"
        );
        assert!(
            html.contains("<caption>A &amp; b.</caption>") && html.contains(">x1 &lt;</th>"),
            "{html}"
        );
    }
}
