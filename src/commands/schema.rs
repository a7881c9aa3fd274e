//! `ablate schema`: the JSON Schema of a spec, for editors.

use super::{Done, print};

/// Arguments of `ablate schema`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  ablate schema > spec.schema.json
and as the first line of a spec, for editors that use yaml-language-server:
  # yaml-language-server: $schema=../spec.schema.json")]
pub(super) struct Schema {}

impl Schema {
    pub(super) fn run(&self) -> Done {
        print(text().trim_end());
        Ok(0)
    }
}

/// The schema as a file.
pub(super) fn text() -> String {
    let schema = crate::schema::spec();
    serde_json::to_string_pretty(&schema).expect("a schema is plain data") + "\n"
}
