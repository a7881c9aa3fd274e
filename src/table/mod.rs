//! Numbers by row and column → a sheet of words with marks → LaTeX, Markdown, HTML, CSV and the terminal. Seeds are
//! folded to a mean with its spread and their number; nothing here knows where numbers come from.

mod cell;
mod forms;
mod latex;
mod marks;
mod numbers;
mod sheet;
mod verdict;

pub use cell::{Cell, Spread};
pub use forms::csv_line;
pub use latex::LatexForm;
pub use marks::Mark;
pub use numbers::{Number, number_name, numbers_file};
pub use sheet::{Entry, Sheet};
pub use verdict::Verdict;

use crate::job::Better;
use crate::statistics::{FEWEST_PAIRS, interval, sign_flip_p};
use crate::words::plural;
use std::collections::BTreeMap;

/// A table before it is written in some language.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// Headings of the columns that name a row.
    pub axes: Vec<String>,
    /// The metrics.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<Row>,
    /// What stands behind ±.
    pub spread: Spread,
    /// What the row is called to which differences are shown, if they are.
    pub versus: Option<&'static str>,
    /// What axes, metrics and words are called for people.
    pub labels: BTreeMap<String, String>,
    /// What else the reader has to know, as sentences.
    pub remarks: Vec<String>,
}

/// A metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// `score.power_spectrum.error`.
    pub name: String,
    /// Its unit, empty for pure numbers.
    pub unit: String,
    /// Which way is better.
    pub better: Better,
}

/// A combination of axis values.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// One word for each axis.
    pub labels: Vec<String>,
    /// Whether this is the spec as written.
    pub baseline: bool,
    /// One cell for each column.
    pub cells: Vec<Cell>,
}

/// The number of decimals at which a spread shows two digits; without one, a mean three.
fn decimals(spread: Option<f64>, mean: f64) -> usize {
    let scale = spread.filter(|s| s.is_finite() && *s > 0.0).unwrap_or(mean.abs() / 10.0);
    match scale > 0.0 && scale.is_finite() {
        true => (1.0 - scale.log10().floor()).clamp(0.0, 8.0) as usize,
        false => 3,
    }
}

impl Table {
    /// The table as words.
    pub fn sheet(&self) -> Sheet {
        let columns: Vec<Shown> = (0..self.columns.len()).map(|i| Shown::of(self, i)).collect();
        let mut headings: Vec<String> = self.axes.iter().map(|axis| self.word(axis)).collect();
        for (column, shown) in self.columns.iter().zip(&columns) {
            headings.push(self.heading(column));
            headings
                .extend(shown.compares.then(|| format!("Δ {}", self.versus.unwrap_or_default())));
        }
        let row = |(i, row): (usize, &Row)| {
            let labels = row.labels.iter().map(|label| Entry::Word(self.word(label)));
            let cells = columns.iter().enumerate().flat_map(|(column, shown)| {
                let more = shown.compares.then(|| self.difference(row, column, shown.decimals));
                [Some(self.entry(&row.cells[column], shown, shown.marks[i])), more]
                    .into_iter()
                    .flatten()
            });
            labels.chain(cells).collect()
        };
        Sheet {
            rows: self.rows.iter().enumerate().map(row).collect(),
            headings,
            words: self.axes.len(),
            notes: self.notes(&columns),
            verdicts: self.verdicts(&columns),
        }
    }

    /// What something is called for people.
    fn word(&self, name: &str) -> String {
        self.labels.get(name).map_or(name, String::as_str).to_owned()
    }

    fn heading(&self, column: &Column) -> String {
        let arrow = match column.better {
            Better::Lower => " ↓",
            Better::Higher => " ↑",
            Better::Neither => "",
        };
        let unit =
            if column.unit.is_empty() { String::new() } else { format!(" [{}]", column.unit) };
        format!("{}{unit}{arrow}", self.word(&column.name))
    }

    fn entry(&self, cell: &Cell, shown: &Shown, mark: Mark) -> Entry {
        let Some(mean) = cell.mean() else { return Entry::Missing { failed: cell.failed > 0 } };
        let decimals = shown.decimals;
        let spread = cell.spread(self.spread).filter(|_| shown.varies);
        let mut notes = vec![];
        if cell.n() != self.seeds().1 {
            notes.push(format!("n = {}", cell.n()));
        }
        if cell.failed > 0 {
            notes.push(format!("{} failed", cell.failed));
        }
        Entry::Number {
            mean: format!("{mean:.decimals$}"),
            spread: spread.map(|s| format!("{s:.decimals$}")),
            mark,
            note: (!notes.is_empty()).then(|| notes.join(", ")),
        }
    }

    /// The difference to the baseline with its 95 % interval, and the p where a test is possible.
    fn difference(&self, row: &Row, column: usize, decimals: usize) -> Entry {
        if row.baseline {
            return Entry::Word(self.versus.unwrap_or_default().to_owned());
        }
        let differences = self
            .baseline()
            .map(|base| row.cells[column].minus(&base.cells[column]))
            .unwrap_or_default();
        let Some(known) = interval(&differences) else { return Entry::Missing { failed: false } };
        let sign = if known.mean < 0.0 { "−" } else { "+" };
        Entry::Number {
            mean: format!("{sign}{:.decimals$}", known.mean.abs()),
            spread: known.half_width.map(|half| format!("{half:.decimals$}")),
            mark: Mark::None,
            note: sign_flip_p(&differences).map(|p| format!("p = {p:.3}")),
        }
    }

    /// Whether no cell has a value.
    pub fn is_empty(&self) -> bool {
        self.rows.iter().flat_map(|row| &row.cells).all(|cell| cell.values.is_empty())
    }

    fn baseline(&self) -> Option<&Row> {
        self.rows.iter().find(|row| row.baseline)
    }

    /// The smallest and largest number of seeds in any cell.
    pub fn seeds(&self) -> (usize, usize) {
        let all = self.rows.iter().flat_map(|row| row.cells.iter().map(Cell::n));
        (all.clone().min().unwrap_or(0), all.max().unwrap_or(0))
    }

    /// Values that are not there (yet), and those of them that failed.
    pub fn missing(&self) -> (usize, usize) {
        let cells = || self.rows.iter().flat_map(|row| &row.cells);
        (cells().map(|cell| cell.missing).sum(), cells().map(|cell| cell.failed).sum())
    }

    /// What the reader has to know beside the numbers, as sentences for a caption.
    fn notes(&self, columns: &[Shown]) -> Vec<String> {
        let (fewest, most) = self.seeds();
        let seeds = match fewest == most {
            true => format!("n = {most} seeds"),
            false => format!("n = {most} seeds where no other number stands"),
        };
        let mut notes = vec![match most {
            0 => "No value is there yet.".to_owned(),
            1 => "One seed: no spread is known.".to_owned(),
            _ => format!("Mean ± {} over {seeds}.", self.spread.sentence()),
        }];
        if let Some(row) = self.versus {
            notes.push(match self.baseline() {
                None => "No row equals the spec as written, so there is no baseline to compare with.".to_owned(),
                Some(_) if most < 2 => format!("Differences are to the {row} row."),
                Some(_) => {
                    let paired = format!("Differences are to the {row} row, paired by seed, ± half their 95 % interval by Student's t");
                    match most < FEWEST_PAIRS {
                        true => format!("{paired}."),
                        false => format!("{paired}; p by the exact sign-flip test, two-sided."),
                    }
                }
            });
        }
        let (missing, failed) = self.missing();
        if missing > 0 {
            let failed =
                if failed > 0 { format!(", {failed} of them failed") } else { String::new() };
            notes.push(format!("Partial: {} missing{failed}.", plural(missing, "value")));
        }
        let has_best = |shown: &Shown| shown.marks.contains(&Mark::Best);
        if columns.iter().any(has_best) {
            notes.push(match columns.iter().filter(|shown| has_best(shown)).all(|shown| shown.tested) {
                true => "Bold: the best mean of a column, and all that Welch's t-test with Holm's correction does not tell from it at 5 %. Underlined: the best of the rest.".to_owned(),
                false if columns.iter().any(|shown| shown.tested) => format!("Bold: the best mean of a column, and with {} seeds or more all that Welch's t-test with Holm's correction does not tell from it at 5 %; underlined: the best of the rest.", marks::FEWEST),
                false => format!("Bold: the best mean of a column; fewer than {} seeds are not tested.", marks::FEWEST),
            });
        }
        notes.extend(self.remarks.iter().cloned());
        notes
    }

    /// Full precision: a line for each row and seed.
    pub fn csv(&self) -> String {
        let names = self.columns.iter().map(|c| c.name.clone());
        let mut out = csv_line(self.axes.iter().cloned().chain(["seed".to_owned()]).chain(names));
        for row in &self.rows {
            let seeds: std::collections::BTreeSet<u64> =
                row.cells.iter().flat_map(|cell| cell.values.keys().copied()).collect();
            for seed in seeds {
                let values = row
                    .cells
                    .iter()
                    .map(|cell| cell.values.get(&seed).map_or(String::new(), ToString::to_string));
                out +=
                    &csv_line(row.labels.iter().cloned().chain([seed.to_string()]).chain(values));
            }
        }
        out
    }
}

/// What is known of a column before its cells are written.
struct Shown {
    /// One count for all its cells: the median spread shows two digits.
    decimals: usize,
    /// Whether any cell differs from seed to seed.
    varies: bool,
    marks: Vec<Mark>,
    tested: bool,
    /// Whether it tells differences to the baseline: not where every row has its very values, such as those of a node
    /// that no axis reaches.
    compares: bool,
}

impl Shown {
    fn of(table: &Table, column: usize) -> Self {
        let cells: Vec<&Cell> = table.rows.iter().map(|row| &row.cells[column]).collect();
        let mut spreads: Vec<f64> =
            cells.iter().filter_map(|c| c.spread(table.spread)).filter(|s| *s > 0.0).collect();
        spreads.sort_by(f64::total_cmp);
        let means = cells.iter().filter_map(|c| c.mean()).map(f64::abs).filter(|m| *m > 0.0);
        let better = table.columns[column].better;
        let (marks, tested) = marks::marks(&cells, better);
        let baseline = table.baseline().filter(|_| table.versus.is_some());
        let differs = |base: &Row| {
            let known = &base.cells[column].values;
            cells.iter().any(|cell| !cell.values.is_empty() && cell.values != *known)
        };
        Self {
            decimals: decimals(
                spreads.get(spreads.len() / 2).copied(),
                means.fold(f64::NAN, f64::min),
            ),
            varies: !spreads.is_empty(),
            marks,
            tested,
            compares: better != Better::Neither && baseline.is_some_and(differs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(values: &[f64]) -> Cell {
        let values = values.iter().enumerate().map(|(i, v)| (i as u64, *v)).collect();
        Cell { values, missing: 0, failed: 0 }
    }

    pub(super) fn table() -> Table {
        let row = |label: &str, baseline, values: &[f64]| Row {
            labels: vec![label.into()],
            baseline,
            cells: vec![cell(values)],
        };
        let (name, unit) = ("score.error".into(), String::new());
        Table {
            axes: vec!["schedule".into()],
            columns: vec![Column { name, unit, better: Better::Lower }],
            rows: vec![row("linear", true, &[0.20, 0.22]), row("cosine", false, &[0.10, 0.13])],
            versus: Some("baseline"),
            ..Table::default()
        }
    }

    #[test]
    fn differences_are_paired_and_few_seeds_get_no_test() {
        let markdown = table().sheet().markdown();
        // The differences are -0.10 and -0.09: 12.706 × 0.00707 / √2.
        assert!(markdown.contains("| cosine | **0.115 ± 0.021** | −0.095 ± 0.064 |"), "{markdown}");
        assert!(markdown.contains("| linear | 0.210 ± 0.014 | baseline |"), "{markdown}");
        assert!(
            markdown.contains("over n = 2 seeds.") && !markdown.contains("sign-flip"),
            "{markdown}"
        );
        assert!(markdown.contains("fewer than 5 seeds are not tested"), "{markdown}");
    }

    #[test]
    fn with_five_seeds_the_best_are_told_by_a_test() {
        let mut table = table();
        table.rows[0].cells[0] = cell(&[2.0, 2.1, 1.9, 2.05, 1.95]);
        table.rows[1].cells[0] = cell(&[1.0, 1.1, 0.9, 1.05, 0.95]);
        table.rows.push(Row {
            labels: vec!["sigmoid".into()],
            baseline: false,
            cells: vec![cell(&[1.05, 1.1, 0.95, 1.08, 0.93])],
        });
        let markdown = table.sheet().markdown();
        for piece in [
            "| **1.000 ± 0.079** |",
            "| **1.022 ± 0.077** |",
            "| <u>2.000 ± 0.079</u> |",
            "p = 0.062",
            "Welch's t-test",
        ] {
            assert!(markdown.contains(piece), "{piece} in\n{markdown}");
        }
    }

    #[test]
    fn a_column_that_every_row_shares_has_no_differences() {
        let mut table = table();
        table.columns.push(Column { name: "perfect.error".into(), ..table.columns[0].clone() });
        table.rows.iter_mut().for_each(|row| row.cells.push(cell(&[0.05, 0.06])));
        let compared =
            |table: &Table| table.sheet().headings.iter().filter(|h| *h == "Δ baseline").count();
        assert_eq!(compared(&table), 1);
        table.rows[1].cells[1] = cell(&[0.05, 0.07]);
        assert_eq!(compared(&table), 2);
    }

    #[test]
    fn what_is_missing_or_failed_is_marked_and_never_averaged_silently() {
        let mut table = table();
        table.rows[1].cells[0] = Cell { missing: 1, failed: 1, ..cell(&[0.1]) };
        table.rows.push(Row {
            labels: vec!["sigmoid".into()],
            baseline: false,
            cells: vec![Cell { missing: 2, failed: 2, ..cell(&[]) }],
        });
        table.rows.push(Row {
            labels: vec!["quadratic".into()],
            baseline: false,
            cells: vec![Cell { missing: 2, ..cell(&[]) }],
        });
        let markdown = table.sheet().markdown();
        for piece in [
            "**0.100** (n = 1, 1 failed)",
            "| sigmoid | failed |",
            "| quadratic | – |",
            "5 values missing, 3 of them failed",
            "n = 2 seeds where no other number stands",
        ] {
            assert!(markdown.contains(piece), "{piece} in\n{markdown}");
        }
    }

    #[test]
    fn labels_replace_names_but_in_the_data() {
        let mut table = table();
        table.labels =
            [("score.error", "error of $P(k)$"), ("cosine", "Cosine"), ("schedule", "Schedule")]
                .map(|(name, label)| (name.to_owned(), label.to_owned()))
                .into();
        let sheet = table.sheet();
        assert_eq!(sheet.headings[..2], ["Schedule", "error of $P(k)$ ↓"]);
        assert!(sheet.latex(LatexForm::Booktabs, "abc").contains("error of $P(k)$ $\\downarrow$"));
        assert!(
            sheet.terminal().contains("error of P(k) ↓") && sheet.terminal().contains("Cosine")
        );
        assert!(table.csv().starts_with("schedule,seed,score.error\n"));
    }

    #[test]
    fn csv_has_a_line_a_seed_at_full_precision() {
        assert_eq!(
            table().csv(),
            "schedule,seed,score.error\nlinear,0,0.2\nlinear,1,0.22\ncosine,0,0.1\ncosine,1,0.13\n"
        );
    }
}
