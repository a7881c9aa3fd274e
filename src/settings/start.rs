//! How a training starts and what it sees: weights to begin with, and what is done to the maps.

use super::file::DataFile;
use super::reader::{Found, Reader};
use super::reference::Reference;
use super::sample::Weights;
use super::table::{Identity, Setting, Shape, choice, table};
use serde_json::Value;

/// The weights with which a training starts.
#[derive(Debug, Clone, PartialEq)]
pub enum Init {
    /// Those of another training.
    From(InitFrom),
    /// Those in a `.safetensors` file.
    File(DataFile),
}

table! {
    /// The weights of another training, whose network is the same.
    pub struct InitFrom {
        #[doc = "The train node."]
        from: Reference;
        #[doc = "Which weights; by default as for samples."]
        weights: Option<Weights>;
    }
}

impl Setting for Init {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        let is_file = found.key("blake3").is_some();
        match found.value {
            Value::Object(_) if !is_file => InitFrom::read(found, reader).map(Self::From),
            _ => DataFile::read(found, reader).map(Self::File),
        }
    }
    fn write(&self, identity: Identity) -> Value {
        match self {
            Self::From(from) => from.write(identity),
            Self::File(file) => file.write(identity),
        }
    }
    fn shape() -> Shape {
        Shape::Any(vec![DataFile::shape(), InitFrom::shape()])
    }
}

choice! {
    /// What is done at random to each map before a network sees it.
    pub enum Augmentation {
        #[doc = "Left and right are exchanged, half the time."]
        FlipHorizontal = "flip_horizontal",
        #[doc = "Top and bottom are exchanged, half the time."]
        FlipVertical = "flip_vertical",
        #[doc = "Turned by a multiple of 90 degrees; square maps."]
        QuarterTurns = "quarter_turns",
        #[doc = "Shifted by any number of pixels, what leaves on one side coming back on the other; periodic boxes."]
        Roll = "roll",
    }
}
