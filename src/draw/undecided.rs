//! Which rows of the tables have a difference from the baseline whose sign is not known yet, so that
//! more seeds are worth their time.

use super::{collect, tables};
use crate::expand::Extra;
use crate::graph::Graph;
use crate::problem::{Problem, Result};
use crate::record::Record;
use crate::spec::{Spec, Versus};
use crate::statistics::{Interval, interval};
use crate::table::Row;

/// A row whose difference from the baseline may be none.
#[derive(Debug, Clone)]
pub struct Undecided {
    /// The points that would decide it: those of the row and of the baseline, at the next seed.
    pub extras: [Extra; 2],
    /// The row and the metric, for people.
    pub name: String,
    /// The difference as far as it is known.
    pub difference: Interval,
}

/// The undecided rows of all tables with `versus: baseline`, each by its first undecided column.
///
/// # Errors
/// If no table compares with the baseline, or the database refuses.
pub fn undecided(spec: &Spec, graph: &Graph, record: &Record) -> Result<Vec<Undecided>> {
    let comparing = |versus: Option<Versus>| versus == Some(Versus::Baseline);
    if !spec.tables.iter().any(|(_, table)| comparing(table.versus)) {
        let problem = Problem::new("no table of the spec compares with the baseline");
        return Err(problem.help("give a table `versus: baseline`"));
    }
    let mut found = vec![];
    for (_, asked) in spec.tables.iter().filter(|(_, table)| comparing(table.versus)) {
        let (table, _) = tables::table(spec, graph, record, asked)?;
        let Some(baseline) = table.rows.iter().find(|row| row.baseline) else { continue };
        let sweep = asked.sweep.clone().unwrap_or_default();
        for row in table.rows.iter().filter(|row| !row.baseline) {
            let Some((column, difference)) = doubtful(row, baseline) else { continue };
            let seeds = row.cells.iter().chain(&baseline.cells).flat_map(|c| c.values.keys());
            let shared = |seed: &u64| {
                [row, baseline].iter().all(|row| row.cells[column].values.contains_key(seed))
            };
            let seed = seeds.copied().filter(shared).max().map_or(0, |last| last + 1);
            let extra = |row: &Row| Extra {
                sweep: sweep.clone(),
                seed,
                at: table
                    .axes
                    .iter()
                    .cloned()
                    .zip(row.labels.iter().cloned())
                    .filter(|(_, word)| word != collect::NO_AXIS)
                    .collect(),
            };
            let name = format!("{} ({})", row.labels.join(", "), table.columns[column].name);
            found.push(Undecided { extras: [extra(row), extra(baseline)], name, difference });
        }
    }
    Ok(found)
}

/// The first column in which two rows differ by what may be nothing. Rows that are equal to the bit do
/// not differ, whatever is added.
fn doubtful(row: &Row, baseline: &Row) -> Option<(usize, Interval)> {
    row.cells.iter().zip(&baseline.cells).enumerate().find_map(|(column, (cell, base))| {
        let differences = cell.minus(base);
        let difference = interval(&differences).filter(Interval::straddles_zero)?;
        differences.iter().any(|d| *d != 0.0).then_some((column, difference))
    })
}
