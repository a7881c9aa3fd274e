//! `ablate paper check`: whether what a paper includes is what the results say today.

use super::asking::Asking;
use super::{Done, Opened, Place, print};
use crate::words::plural;
use std::path::PathBuf;

/// Arguments of `ablate paper`.
#[derive(Debug, clap::Args)]
pub(super) struct Paper {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Tell which figures, tables and numbers should not be printed as they stand on disk, and why.
    ///
    /// An output is objected to when its files are not those that would be made now, when values are missing, when it
    /// rests on fewer seeds than asked for, and when its nodes are of different revisions, mix arithmetic, or were
    /// adopted. Nothing is written; the exit code is 1 if there is any objection.
    Check(Check),
}

/// Arguments of `ablate paper check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  ablate paper check experiments/first.yaml --at-least 3")]
struct Check {
    /// The spec, a YAML file.
    spec: PathBuf,
    #[command(flatten)]
    asking: Asking,
    /// Object to what rests on fewer seeds than this.
    #[arg(long, value_name = "SEEDS", default_value_t = 1)]
    at_least: usize,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

impl Paper {
    pub(super) fn run(&self, place: &Place) -> Done {
        let What::Check(check) = &self.what;
        check.run(place)
    }
}

impl Check {
    fn run(&self, place: &Place) -> Done {
        let (opened, record) = Opened::to_draw(&self.spec, &self.asking, place)?;
        let outputs = opened.studio(&record).outputs()?;
        let found: Vec<_> = outputs
            .iter()
            .map(|output| {
                let objections = output.objections(&opened.graph, &opened.results, self.at_least);
                (output, objections)
            })
            .collect();
        let bad = found.iter().filter(|(_, objections)| !objections.is_empty()).count();
        if self.json {
            let line = |(output, objections): &(&crate::draw::Output, Vec<String>)| {
                serde_json::json!({
                    "kind": output.kind.word(),
                    "name": output.name,
                    "path": output.path,
                    "objections": objections,
                })
            };
            let all: Vec<_> = found.iter().map(line).collect();
            print(&serde_json::to_string_pretty(&all).expect("plain data"));
            return Ok(u8::from(bad > 0));
        }
        for (output, objections) in &found {
            let (kind, name) = (output.kind.word(), &output.name);
            let name = if kind == name { String::new() } else { format!(" {name}") };
            match objections.is_empty() {
                true => print(&format!("good  {kind}{name}")),
                false => print(&format!("BAD   {kind}{name}: {}", objections.join("; "))),
            }
        }
        if bad > 0 {
            let all = plural(found.len(), "output");
            print(&format!(
                "{bad} of {all} should not be printed; `ablate run` finishes what is missing, `ablate figure` and `ablate table` draw anew"
            ));
        }
        Ok(u8::from(bad > 0))
    }
}
