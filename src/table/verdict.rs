//! A table in a sentence for each metric: what is best, by how much, and whether a test tells it from the rest.

use super::marks::{self, Mark};
use super::sheet::Entry;
use super::{Shown, Table};
use crate::job::Better;
use crate::words::{listed, plural};
use std::fmt::{Display, Formatter};

/// What is best by a metric.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// Metric, row, number and seeds.
    lead: String,
    /// The difference to the row that all are compared with.
    difference: Option<String>,
    /// What a test tells of the rest.
    test: String,
    /// What as many perfect samples would have.
    floor: Option<String>,
}

impl Verdict {
    /// Takes over what another table tells of the same; whether it is the same.
    pub fn absorb(&mut self, other: &Self) -> bool {
        let is_same = (&self.lead, &self.test) == (&other.lead, &other.test);
        if is_same {
            self.difference = self.difference.take().or_else(|| other.difference.clone());
            self.floor = self.floor.take().or_else(|| other.floor.clone());
        }
        is_same
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { lead, difference, test, floor } = self;
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        write!(f, "{lead}{}; {test}.{}", part(difference), part(floor))
    }
}

impl Table {
    /// A sentence for each column of which one way is better, and in which rows differ.
    pub(super) fn verdicts(&self, columns: &[Shown]) -> Vec<Verdict> {
        (0..self.columns.len()).filter_map(|i| self.verdict(i, &columns[i])).collect()
    }

    fn verdict(&self, column: usize, shown: &Shown) -> Option<Verdict> {
        let metric = &self.columns[column];
        let (sign, way) = match metric.better {
            Better::Lower => (1.0, "Lowest"),
            Better::Higher => (-1.0, "Highest"),
            Better::Neither => return None,
        };
        let mut order: Vec<(usize, f64)> = self
            .rows
            .iter()
            .enumerate()
            .filter_map(|(i, row)| Some((i, sign * row.cells[column].mean()?)))
            .filter(|(_, mean)| mean.is_finite())
            .collect();
        order.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (best, _) = *order.first()?;
        // Where nothing is marked, all are equal.
        if order.len() < 2 || shown.marks[best] != Mark::Best {
            return None;
        }
        let row = &self.rows[best];
        let number = |i: usize| match self.entry(&self.rows[i].cells[column], shown, Mark::None) {
            Entry::Number { mean, spread, .. } => {
                let spread = spread.map_or(String::new(), |spread| format!(" ± {spread}"));
                let unit = if metric.unit.is_empty() { "" } else { &format!(" {}", metric.unit) };
                format!("{mean}{spread}{unit}")
            }
            _ => "–".to_owned(),
        };
        let seeds = plural(row.cells[column].n(), "seed");
        let lead = format!(
            "{way} {}: {}, {} over {seeds}",
            self.word(&metric.name),
            self.row_name(best),
            number(best)
        );
        let difference =
            (shown.compares && !row.baseline).then(|| self.difference(row, column, shown.decimals));
        let difference = match difference {
            Some(Entry::Number { mean, spread, .. }) => {
                let spread = spread.map_or(String::new(), |spread| format!(" ± {spread}"));
                let versus = self.versus.unwrap_or_default();
                Some(format!(" ({mean}{spread} to the {versus})"))
            }
            _ => None,
        };
        let next = order[1].0;
        let alike = order[1..].iter().filter(|(i, _)| shown.marks[*i] == Mark::Best);
        let alike: Vec<String> = alike.map(|(i, _)| self.row_name(*i)).collect();
        let test = match (shown.tested, alike.is_empty()) {
            (false, _) => {
                let (name, least) = (self.row_name(next), marks::FEWEST);
                format!("then {name}, {} (fewer than {least} seeds are not tested)", number(next))
            }
            (true, true) => "a test tells it from all others at 5 %".to_owned(),
            (true, false) => format!("at 5 % no test tells it from {}", listed(&alike)),
        };
        let decimals = shown.decimals;
        let floor = self.floor(column, best);
        let floor = floor.map(|at| format!(" As many perfect samples would have {at:.decimals$}."));
        Some(Verdict { lead, difference, test, floor })
    }

    /// What a row is called.
    fn row_name(&self, row: usize) -> String {
        let words: Vec<String> = self.rows[row].labels.iter().map(|word| self.word(word)).collect();
        words.join(", ")
    }

    /// The floor of the same measure in a row, where the table shows it.
    fn floor(&self, column: usize, row: usize) -> Option<f64> {
        let (measure, _) = self.columns[column].name.rsplit_once('.')?;
        let name = format!("{measure}.floor");
        let floor = self.columns.iter().position(|other| other.name == name)?;
        self.rows[row].cells[floor].mean()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cell, Column, Row};
    use super::*;

    fn cell(values: &[f64]) -> Cell {
        let values = values.iter().enumerate().map(|(i, v)| (i as u64, *v)).collect();
        Cell { values, missing: 0, failed: 0 }
    }

    fn table(rows: &[(&str, bool, &[f64])]) -> Table {
        let column = |name: &str, better| Column { name: name.into(), unit: "dex".into(), better };
        let rows = rows.iter().map(|(label, baseline, values)| Row {
            labels: vec![(*label).to_owned()],
            baseline: *baseline,
            cells: vec![cell(values), cell(&[0.5])],
        });
        Table {
            axes: vec!["variant".into()],
            columns: vec![
                column("score.error", Better::Lower),
                column("score.floor", Better::Neither),
            ],
            rows: rows.collect(),
            versus: Some("baseline"),
            ..Table::default()
        }
    }

    #[test]
    fn few_seeds_are_told_and_not_tested() {
        let table = table(&[("plain", true, &[0.8, 0.9]), ("new", false, &[0.6, 0.65])]);
        let told = table.sheet().verdicts.remove(0);
        assert_eq!(
            told.to_string(),
            "Lowest score.error: new, 0.625 ± 0.035 dex over 2 seeds (−0.225 ± 0.318 to the baseline); then plain, 0.850 ± 0.071 dex \
             (fewer than 5 seeds are not tested). As many perfect samples would have 0.500."
        );
        let plain = Verdict { difference: None, ..told.clone() };
        let mut other = Verdict { floor: None, ..told.clone() };
        assert!(other.absorb(&plain) && other == told);
        assert!(!other.absorb(&Verdict::default()));
    }

    #[test]
    fn a_test_says_from_which_the_best_is_not_told() {
        let far = [9.0, 9.1, 9.2, 9.0, 9.1];
        let told = table(&[("a", true, &[1.0, 1.1, 1.2, 1.0, 1.1]), ("b", false, &far)]);
        assert!(
            told.sheet().verdicts[0]
                .to_string()
                .contains("; a test tells it from all others at 5 %")
        );
        let near = [1.1, 1.0, 1.2, 1.1, 1.1];
        let told = table(&[
            ("a", true, &[1.0, 1.1, 1.2, 1.0, 1.1]),
            ("b", false, &near),
            ("c", false, &far),
        ]);
        assert!(
            told.sheet().verdicts[0].to_string().contains("; at 5 % no test tells it from b"),
            "{:?}",
            told.sheet().verdicts
        );
    }

    #[test]
    fn nothing_is_said_where_nothing_differs() {
        let same = table(&[("a", true, &[1.0, 1.0]), ("b", false, &[1.0, 1.0])]);
        assert!(same.sheet().verdicts.is_empty());
        assert!(table(&[("a", true, &[1.0])]).sheet().verdicts.is_empty());
    }
}
