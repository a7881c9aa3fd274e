//! Numbers by row and column → tables in LaTeX, Markdown, CSV and for the terminal. Seeds are folded
//! to mean ± sample standard deviation with their number; nothing here knows where numbers come from.

use crate::job::Better;
use std::collections::BTreeMap;

/// A table before it is written in some language.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The question that the experiment answers.
    pub question: String,
    /// Headings of the columns that name a row.
    pub axes: Vec<String>,
    /// The metrics.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<Row>,
    /// Whether differences to the baseline row are shown.
    pub versus_baseline: bool,
    /// What else the reader has to know, as sentences.
    pub remarks: Vec<String>,
    /// Keys of the nodes behind the numbers, shortened, for the file's own record of its sources.
    pub sources: Vec<String>,
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

/// The values of one metric over seeds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    /// Value by seed.
    pub values: BTreeMap<u64, f64>,
    /// Seeds whose value is not there (yet).
    pub missing: usize,
}

impl Cell {
    /// How many seeds have a value.
    pub fn n(&self) -> usize {
        self.values.len()
    }

    /// The mean over seeds.
    pub fn mean(&self) -> Option<f64> {
        mean(self.values.values())
    }

    /// The sample standard deviation over seeds (n - 1), from two seeds on.
    pub fn deviation(&self) -> Option<f64> {
        deviation(self.values.values())
    }

    /// Differences to another cell, seed by seed.
    pub fn minus(&self, other: &Self) -> Vec<f64> {
        self.values
            .iter()
            .filter_map(|(seed, value)| Some(value - other.values.get(seed)?))
            .collect()
    }
}

fn mean<'v>(values: impl ExactSizeIterator<Item = &'v f64>) -> Option<f64> {
    let n = values.len();
    (n > 0).then(|| values.sum::<f64>() / n as f64)
}

fn deviation<'v>(values: impl ExactSizeIterator<Item = &'v f64> + Clone) -> Option<f64> {
    let n = values.len();
    let mean = mean(values.clone())?;
    (n > 1).then(|| (values.map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1) as f64).sqrt())
}

/// Below this number of pairs no test is worth its name: the exact sign-flip test of 4 pairs cannot
/// give a p below 0.125.
pub const FEWEST_PAIRS: usize = 5;

/// The two-sided p of the exact sign-flip test on paired differences, from five pairs on.
pub fn sign_flip_p(differences: &[f64]) -> Option<f64> {
    let n = differences.len();
    if !(FEWEST_PAIRS..=20).contains(&n) {
        return None;
    }
    let observed = differences.iter().sum::<f64>().abs();
    let as_far = (0_u32..1 << n).filter(|signs| {
        let flipped =
            differences.iter().enumerate().map(|(i, d)| if signs >> i & 1 == 1 { -d } else { *d });
        flipped.sum::<f64>().abs() >= observed * (1.0 - 1e-12)
    });
    Some(as_far.count() as f64 / f64::from(1_u32 << n))
}

/// The text of a cell: mean, spread, n, and the difference to the baseline.
struct Shown {
    mean: String,
    deviation: Option<String>,
    difference: Option<String>,
    best: bool,
}

impl Table {
    /// Decimals of a column, one count for all its cells: the median spread shows two digits.
    fn decimals(&self, column: usize) -> usize {
        let cells = || self.rows.iter().map(|row| &row.cells[column]);
        let mut spreads: Vec<f64> =
            cells().filter_map(Cell::deviation).filter(|s| *s > 0.0).collect();
        spreads.sort_by(f64::total_cmp);
        let means = cells().filter_map(Cell::mean).map(f64::abs).filter(|m| *m > 0.0);
        let scale = spreads
            .get(spreads.len() / 2)
            .copied()
            .unwrap_or(means.fold(f64::INFINITY, f64::min) / 10.0);
        if scale.is_finite() && scale > 0.0 {
            (1 - scale.log10().floor() as i64).clamp(0, 8) as usize
        } else {
            3
        }
    }

    /// Whether any cell of a column differs from seed to seed.
    fn varies(&self, column: usize) -> bool {
        self.rows.iter().any(|row| row.cells[column].deviation().is_some_and(|spread| spread > 0.0))
    }

    /// Whether no cell has a value.
    pub fn is_empty(&self) -> bool {
        self.rows.iter().flat_map(|row| &row.cells).all(|cell| cell.values.is_empty())
    }

    /// The row with the best mean of a column.
    fn best(&self, column: usize) -> Option<usize> {
        let sign = match self.columns[column].better {
            Better::Lower => 1.0,
            Better::Higher => -1.0,
            Better::Neither => return None,
        };
        let means = self
            .rows
            .iter()
            .enumerate()
            .filter_map(|(i, row)| Some((i, row.cells[column].mean()? * sign)));
        let finite: Vec<(usize, f64)> = means.filter(|(_, m)| m.is_finite()).collect();
        let (best, least) = finite.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))?;
        // Where all are equal none is the best.
        finite.iter().any(|(_, m)| *m != least).then_some(best)
    }

    fn baseline(&self) -> Option<&Row> {
        self.rows.iter().find(|row| row.baseline)
    }

    fn shown(&self, row: usize, column: usize) -> Shown {
        let (cell, decimals) = (&self.rows[row].cells[column], self.decimals(column));
        let difference = (self.versus_baseline && !self.rows[row].baseline)
            .then(|| cell.minus(&self.baseline()?.cells[column]).to_vec().into())
            .flatten()
            .and_then(|differences: Vec<f64>| difference_word(&differences, decimals));
        Shown {
            mean: cell.mean().map_or("–".to_owned(), |m| format!("{m:.decimals$}")),
            deviation: cell
                .deviation()
                .filter(|_| self.varies(column))
                .map(|d| format!("{d:.decimals$}")),
            difference,
            best: self.best(column) == Some(row),
        }
    }

    /// The smallest and largest number of seeds in any cell.
    fn seeds(&self) -> (usize, usize) {
        let all = self.rows.iter().flat_map(|row| row.cells.iter().map(Cell::n));
        (all.clone().min().unwrap_or(0), all.max().unwrap_or(0))
    }

    /// What the reader has to know beside the numbers, as sentences.
    pub fn notes(&self) -> Vec<String> {
        let (fewest, most) = self.seeds();
        let n =
            if fewest == most { format!("n = {most}") } else { format!("n = {fewest} to {most}") };
        let mut notes = vec![match most {
            0 => "No value is there yet.".to_owned(),
            1 => "One seed: no spread is known.".to_owned(),
            _ => format!("Mean ± sample standard deviation over seeds, {n}."),
        }];
        if self.versus_baseline {
            notes.push(match self.baseline() {
                None => "No row equals the spec as written, so there is no baseline to compare with.".to_owned(),
                Some(_) if most < FEWEST_PAIRS => {
                    format!("Differences are to the baseline row, paired by seed; at n < {FEWEST_PAIRS} no test is possible.")
                }
                Some(_) => {
                    "Differences are to the baseline row, paired by seed; p by the exact sign-flip test, two-sided.".to_owned()
                }
            });
        }
        let missing: usize =
            self.rows.iter().flat_map(|row| row.cells.iter().map(|cell| cell.missing)).sum();
        if missing > 0 {
            notes.push(format!("Partial: {} missing.", crate::words::plural(missing, "value")));
        }
        if self.columns.iter().any(|column| column.better != Better::Neither) && self.rows.len() > 1
        {
            notes.push(
                "Bold (or *): the best mean of a column; it says nothing about significance."
                    .to_owned(),
            );
        }
        notes.extend(self.remarks.iter().cloned());
        notes
    }

    /// Whether a column tells differences to the baseline: not where every row has its very values, such as those of a
    /// node that no axis reaches.
    fn compares(&self, column: usize) -> bool {
        let Some(baseline) = self.baseline().filter(|_| self.versus_baseline) else { return false };
        let known = &baseline.cells[column].values;
        let differs = |row: &Row| {
            let values = &row.cells[column].values;
            !values.is_empty() && values != known
        };
        self.columns[column].better != Better::Neither && self.rows.iter().any(differs)
    }

    fn headings(&self) -> Vec<String> {
        let metric = |column: &Column| {
            let arrow = match column.better {
                Better::Lower => " ↓",
                Better::Higher => " ↑",
                Better::Neither => "",
            };
            let unit =
                if column.unit.is_empty() { String::new() } else { format!(" [{}]", column.unit) };
            format!("{}{unit}{arrow}", column.name)
        };
        let pairs = self.columns.iter().enumerate().flat_map(|(i, column)| {
            let more = self.compares(i).then(|| "Δ baseline".to_owned());
            [Some(metric(column)), Some("n".to_owned()), more]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
        });
        self.axes.iter().cloned().chain(pairs).collect()
    }

    /// Each row as words, in the order of the headings.
    fn lines(&self, language: &Language) -> Vec<Vec<String>> {
        let line = |(i, row): (usize, &Row)| {
            let cells = (0..self.columns.len()).flat_map(|column| {
                let shown = self.shown(i, column);
                let more = self.compares(column).then(|| match &shown.difference {
                    Some(difference) => (language.difference)(difference),
                    None => (language.word)(if row.baseline { "baseline" } else { "–" }),
                });
                let n = row.cells[column].n().to_string();
                [Some((language.cell)(&shown)), Some(n), more]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
            });
            row.labels.iter().map(|label| (language.word)(label)).chain(cells).collect()
        };
        self.rows.iter().enumerate().map(line).collect()
    }

    /// For the terminal, with the notes below.
    pub fn terminal(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
        table.set_header(self.headings());
        let cell = |shown: &Shown| plain_cell(shown) + if shown.best { " *" } else { "" };
        for line in self.lines(&Language { cell, difference: str::to_owned, word: str::to_owned }) {
            table.add_row(line);
        }
        format!("{table}\n{}\n", self.notes().join("\n"))
    }

    /// GitHub Markdown, with the notes below.
    pub fn markdown(&self) -> String {
        let row = |cells: &[String]| format!("| {} |\n", cells.join(" | ").replace('\n', " "));
        let headings = self.headings();
        let mut out = row(&headings);
        out += &row(&vec!["---".to_owned(); headings.len()]);
        let cell = |shown: &Shown| {
            let text = plain_cell(shown);
            if shown.best { format!("**{text}**") } else { text }
        };
        for line in self.lines(&Language { cell, difference: str::to_owned, word: str::to_owned }) {
            out += &row(&line);
        }
        format!("{out}\n{}\n", self.notes().join(" "))
    }

    /// A booktabs `tabular`; caption and label are the author's.
    pub fn latex(&self) -> String {
        let mut out = String::from("% Needs \\usepackage{booktabs}.\n");
        for note in self.notes() {
            out += &format!("% {note}\n");
        }
        out += &format!("% Sources: {}\n", self.sources.join(" "));
        let headings = self.headings();
        let align: String =
            (0..headings.len()).map(|i| if i < self.axes.len() { 'l' } else { 'r' }).collect();
        out += &format!("\\begin{{tabular}}{{{align}}}\n\\toprule\n");
        let tex_row = |cells: Vec<String>| format!("{} \\\\\n", cells.join(" & "));
        out += &tex_row(headings.iter().map(|h| tex(h)).collect());
        out += "\\midrule\n";
        let difference = |text: &str| format!("${}$", text.replace('−', "-").replace('±', "\\pm"));
        for line in self.lines(&Language { cell: tex_cell, difference, word: tex }) {
            out += &tex_row(line);
        }
        out + "\\bottomrule\n\\end{tabular}\n"
    }

    /// Full precision: a line for each row and seed.
    pub fn csv(&self) -> String {
        let mut out = csv_line(
            self.axes
                .iter()
                .cloned()
                .chain(["seed".to_owned()])
                .chain(self.columns.iter().map(|c| c.name.clone())),
        );
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

/// How a table is written in some language.
struct Language {
    /// A mean with its spread.
    cell: fn(&Shown) -> String,
    /// A difference to the baseline.
    difference: fn(&str) -> String,
    /// A label.
    word: fn(&str) -> String,
}

fn tex_cell(shown: &Shown) -> String {
    let spread = shown
        .deviation
        .as_ref()
        .map_or(String::new(), |d| format!("{{\\scriptsize$\\,\\pm\\,{d}$}}"));
    match shown.mean.as_str() {
        "–" => "--".to_owned(),
        mean if shown.best => format!("$\\mathbf{{{mean}}}${spread}"),
        mean => format!("${mean}${spread}"),
    }
}

fn plain_cell(shown: &Shown) -> String {
    match &shown.deviation {
        Some(deviation) => format!("{} ± {deviation}", shown.mean),
        None => shown.mean.clone(),
    }
}

/// `+0.012 ± 0.003`, and the p where a test is possible.
fn difference_word(differences: &[f64], decimals: usize) -> Option<String> {
    let mean = mean(differences.iter())?;
    let spread =
        deviation(differences.iter()).map_or(String::new(), |d| format!(" ± {d:.decimals$}"));
    let p = sign_flip_p(differences).map_or(String::new(), |p| format!(", p = {p:.3}"));
    let sign = if mean < 0.0 { "−" } else { "+" };
    Some(format!("{sign}{:.decimals$}{spread}{p}", mean.abs()))
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

/// Text with LaTeX's special characters escaped.
fn tex(text: &str) -> String {
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
            '±' => out += "$\\pm$",
            '–' => out += "--",
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(values: &[f64]) -> Cell {
        Cell {
            values: values.iter().enumerate().map(|(i, v)| (i as u64, *v)).collect(),
            missing: 0,
        }
    }

    fn table() -> Table {
        let row = |label: &str, baseline, values: &[f64]| Row {
            labels: vec![label.into()],
            baseline,
            cells: vec![cell(values)],
        };
        Table {
            remarks: vec![],
            question: "?".into(),
            axes: vec!["schedule".into()],
            columns: vec![Column {
                name: "score.error".into(),
                unit: String::new(),
                better: Better::Lower,
            }],
            rows: vec![row("linear", true, &[0.20, 0.22]), row("cosine", false, &[0.10, 0.13])],
            versus_baseline: true,
            sources: vec!["abc".into()],
        }
    }

    #[test]
    fn the_spread_is_the_sample_standard_deviation() {
        let cell = cell(&[1.0, 2.0, 4.0]);
        assert!((cell.deviation().unwrap() - 1.527_525_231_651_947).abs() < 1e-15);
        assert_eq!(super::Cell::default().mean(), None);
    }

    #[test]
    fn differences_are_paired_and_few_seeds_get_no_test() {
        let markdown = table().markdown();
        assert!(
            markdown.contains("| cosine | **0.115 ± 0.021** | 2 | −0.095 ± 0.007 |"),
            "{markdown}"
        );
        assert!(markdown.contains("| linear | 0.210 ± 0.014 | 2 | baseline |"), "{markdown}");
        assert!(markdown.contains("at n < 5 no test is possible"));
    }

    #[test]
    fn a_column_that_every_row_shares_has_no_differences() {
        let mut table = table();
        table.columns.push(Column { name: "perfect.error".into(), ..table.columns[0].clone() });
        table.rows.iter_mut().for_each(|row| row.cells.push(cell(&[0.05, 0.06])));
        let markdown = table.markdown();
        assert_eq!(markdown.matches("Δ baseline").count(), 1, "{markdown}");
        table.rows[1].cells[1] = cell(&[0.05, 0.07]);
        assert_eq!(table.markdown().matches("Δ baseline").count(), 2);
    }

    #[test]
    fn latex_is_booktabs_with_escaped_words() {
        let mut table = table();
        table.rows[0].labels[0] = "a_b & 50%".into();
        let latex = table.latex();
        for piece in [
            "\\toprule",
            "a\\_b \\& 50\\%",
            "$\\mathbf{0.115}${\\scriptsize$\\,\\pm\\,0.021$}",
            "$-0.095 \\pm 0.007$",
        ] {
            assert!(latex.contains(piece), "{piece} in\n{latex}");
        }
    }

    #[test]
    fn csv_has_a_line_a_seed_at_full_precision() {
        assert_eq!(
            table().csv(),
            "schedule,seed,score.error\nlinear,0,0.2\nlinear,1,0.22\ncosine,0,0.1\ncosine,1,0.13\n"
        );
    }

    #[test]
    fn the_sign_flip_test_is_exact() {
        assert_eq!(sign_flip_p(&[1.0, 2.0, 3.0, 4.0]), None);
        assert_eq!(sign_flip_p(&[1.0, 2.0, 3.0, 4.0, 5.0]), Some(2.0 / 32.0));
        assert_eq!(sign_flip_p(&[1.0, -1.0, 1.0, -1.0, 0.0]), Some(1.0));
    }
}
