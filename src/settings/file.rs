//! A file that a spec names and that is not ours: its path is written, its content is what counts.

use super::reader::{Found, Reader};
use super::table::{Identity, Setting, Shape};
use crate::problem::Problem;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// An external file, or several. The digest enters the key, the path does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataFile {
    /// As written in the spec; absolute once the graph has found it.
    pub path: PathBuf,
    /// BLAKE3 digest of its content, in hex; known once the graph has found it.
    pub blake3: Option<String>,
    /// For arrays, the shape of all together, for images their number and that of their classes; empty until the graph
    /// has found it, and for other files.
    pub shape: Vec<u64>,
    /// What it may be.
    pub holding: Holding,
}

/// What a path may lead to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Holding {
    /// One file.
    #[default]
    File,
    /// An array, an archive of arrays or a folder of them; of archives the array of this name.
    Arrays(Option<String>),
    /// A folder of images.
    Images,
    /// A file of code, or a folder of it.
    Code,
}

impl DataFile {
    /// Whether it is one array that can be used where it lies.
    pub fn is_array(&self) -> bool {
        self.path.extension().is_some_and(|ending| ending == "npy")
    }
}

impl Setting for DataFile {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        let settled = || {
            let text = |name: &str| Some(found.key(name)?.value.as_str()?.to_owned());
            let shape = found.key("shape")?.items()?;
            Some(Self {
                path: text("path")?.into(),
                blake3: Some(text("blake3")?),
                shape: shape.iter().map(|n| n.value.as_u64()).collect::<Option<_>>()?,
                holding: Holding::File,
            })
        };
        match found.value {
            Value::String(text) if !text.is_empty() => {
                Some(Self { path: text.into(), ..Self::default() })
            }
            _ => settled().or_else(|| {
                let problem =
                    Problem::new(format!("`{}` is not the path of a file", found.shown()));
                reader.wrong(found, problem.help("paths are relative to the file that names them"))
            }),
        }
    }
    fn write(&self, identity: Identity) -> Value {
        match identity {
            Identity::Full => {
                json!({ "path": self.path, "blake3": self.blake3, "shape": self.shape })
            }
            Identity::Semantic => json!(self.blake3),
        }
    }
    fn shape() -> Shape {
        Shape::Scalar("path of a file")
    }
}

/// A folder to look for files in: where they are, not what they are, so never part of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFolder(
    /// As written in the spec; absolute once the graph has found it.
    pub PathBuf,
);

impl Setting for DataFolder {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        match found.value {
            Value::String(text) if !text.is_empty() => Some(Self(text.into())),
            _ => reader.wrong(
                found,
                Problem::new(format!("`{}` is not the path of a folder", found.shown())),
            ),
        }
    }
    fn write(&self, identity: Identity) -> Value {
        match identity {
            Identity::Full => json!(self.0),
            Identity::Semantic => Value::Null,
        }
    }
    fn shape() -> Shape {
        Shape::Scalar("path of a folder")
    }
}

/// A path as seen from the folder of the file that names it.
pub fn beside(folder: &Path, path: &Path) -> PathBuf {
    let joined = folder.join(path);
    joined.canonicalize().unwrap_or(joined)
}
