//! `ablate query`: one SELECT on the database.

use super::{Done, Place, print};
use crate::problem::Problem;
use crate::record::Record;
use crate::table::csv_line;

/// Arguments of `ablate query`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ablate query 'select * from results limit 5'
  ablate query 'select * from results_by_axis' --csv > results.csv")]
pub(super) struct Query {
    /// A SELECT; docs/results.md lists tables and views.
    statement: String,
    /// Print CSV instead of a table.
    #[arg(long)]
    csv: bool,
}

impl Query {
    pub(super) fn run(&self, place: &Place) -> Done {
        let path = place.alone().join("ablate.sqlite");
        let record = Record::open_to_read(&path)?.ok_or_else(|| {
            Problem::new(format!("there is no database at {}", path.display()))
                .help("name the folder: --results DIR")
        })?;
        let (names, rows) = record.query(&self.statement)?;
        if self.csv {
            let mut out = csv_line(names.into_iter());
            out.extend(rows.into_iter().map(|row| csv_line(row.into_iter())));
            print(out.trim_end());
        } else {
            let mut table = comfy_table::Table::new();
            table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
            table.set_header(names);
            table.add_rows(rows);
            print(&table.to_string());
        }
        Ok(0)
    }
}
