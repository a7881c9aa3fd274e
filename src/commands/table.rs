//! `ablate table`: writes the tables of a spec from what is finished, and shows them.

use super::asking::Asking;
use super::{Done, Opened, Place, print};
use std::path::PathBuf;

/// Arguments of `ablate table`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each is written as LaTeX, Markdown and CSV into tables/ of the experiment's folder.

Example:
  ablate table experiments/first.yaml main --form latex"
)]
pub(super) struct Table {
    /// The spec, a YAML file.
    spec: PathBuf,
    #[command(flatten)]
    asking: Asking,
    /// Only this table.
    name: Option<String>,
    /// The form to print; all are written.
    #[arg(long, value_enum, default_value_t = Form::Terminal)]
    form: Form,
}

/// The forms of a table.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Form {
    Terminal,
    #[value(alias = "tex")]
    Latex,
    #[value(alias = "md")]
    Markdown,
    Csv,
}

impl Table {
    pub(super) fn run(&self, place: &Place) -> Done {
        let (opened, record) = Opened::to_draw(&self.spec, &self.asking, place)?;
        let drawn = crate::draw::tables(
            &opened.spec,
            &opened.graph,
            &opened.results,
            &record,
            self.name.as_deref(),
        )?;
        for (name, table, _) in drawn {
            let text = match self.form {
                Form::Terminal => format!("{name}\n{}", table.terminal()),
                Form::Latex => table.latex(),
                Form::Markdown => table.markdown(),
                Form::Csv => table.csv(),
            };
            print(text.trim_end());
        }
        Ok(0)
    }
}
