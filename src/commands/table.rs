//! `ablate table`: writes the tables of a spec from what is finished, and shows them.

use super::asking::Asking;
use super::{Done, Opened, Place, print};
use crate::table::Sheet;
use std::path::PathBuf;

/// Arguments of `ablate table`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each is written as LaTeX, Markdown, HTML and CSV into tables/ of the experiment's folder.

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
    Html,
    Csv,
}

impl Form {
    /// The ending of its file; the terminal's has none.
    fn ending(self) -> Option<&'static str> {
        match self {
            Self::Terminal => None,
            Self::Latex => Some("tex"),
            Self::Markdown => Some("md"),
            Self::Html => Some("html"),
            Self::Csv => Some("csv"),
        }
    }
}

impl Table {
    pub(super) fn run(&self, place: &Place) -> Done {
        let (opened, record) = Opened::to_draw(&self.spec, &self.asking, place)?;
        for output in opened.studio(&record).tables(self.name.as_deref())? {
            output.write(&opened.spec, &opened.graph)?;
            let Some(ending) = self.form.ending() else {
                let sheet = output.sheet.as_ref().map(Sheet::terminal).unwrap_or_default();
                print(format!("{}\n{sheet}", output.name).trim_end());
                continue;
            };
            let file = output.files.iter().find(|(known, _)| *known == ending);
            match file {
                Some((_, bytes)) => print(String::from_utf8_lossy(bytes).trim_end()),
                None => print(&output.told(&output.path)),
            }
        }
        Ok(0)
    }
}
