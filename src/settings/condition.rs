//! What a network is told beside the sample and the time: settings of conditions, in training and
//! when samples are drawn.

use super::reader::{Found, Reader};
use super::reference::Reference;
use super::table::{Identity, Setting, Shape, kinds, table};
use crate::problem::Problem;
use serde_json::{Value, json};

kinds! {
    /// Which conditions a network learns with.
    #[derive(Copy)]
    pub enum Conditions {
        /// The class of each item.
        Classes(Dropout) = "classes",
        /// The parameters of each item, each scaled from its range to [0, 1].
        Parameters(Dropout) = "parameters",
    }
}

table! {
    /// How often the condition is withheld.
    #[derive(Copy)]
    pub struct Dropout {
        #[doc = "Share of the samples, each for itself, for which the network is told a learned `nothing` instead of the condition; guidance needs some."]
        dropout: f64 [0.0..=0.9] = 0.1;
    }
}

impl Conditions {
    /// Share of the samples that are told nothing.
    pub fn dropout(self) -> f64 {
        match self {
            Self::Classes(Dropout { dropout }) | Self::Parameters(Dropout { dropout }) => dropout,
        }
    }
}

/// The conditions of samples.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// All classes in turn: sample i is of class i modulo their number.
    AllClasses,
    /// These in turn: a class, or the parameters, in each row.
    Listed(Vec<Vec<f64>>),
    /// Those of the items of a dataset.
    From(Items),
}

table! {
    /// The conditions of the items of a dataset.
    pub struct Items {
        #[doc = "The dataset; its test split unless a port says otherwise."]
        from: Reference;
        #[doc = "Samples for each item, one after another. Items are taken in a fixed random order, so that any number of samples stands for all, and more samples only add."]
        each: u64 [1.0..=1e6] = 1;
    }
}

const ALL_CLASSES: &str = "all_classes";

impl Setting for Wanted {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        match found.value {
            Value::String(word) if word == ALL_CLASSES => Some(Self::AllClasses),
            Value::Object(_) => Items::read(found, reader).map(Self::From),
            Value::Array(_) => read_rows(found, reader).map(Self::Listed),
            _ => {
                let problem = Problem::new(format!("`{}` are no conditions", found.shown()));
                let help = "write all_classes, a list such as [3, 7], or { from: maps.test }";
                reader.wrong(found, problem.help(help))
            }
        }
    }
    fn write(&self, identity: Identity) -> Value {
        let row = |row: &Vec<f64>| match row[..] {
            [one] => json!(one),
            _ => json!(row),
        };
        match self {
            Self::AllClasses => json!(ALL_CLASSES),
            Self::Listed(rows) => rows.iter().map(row).collect(),
            Self::From(items) => items.write(identity),
        }
    }
    fn shape() -> Shape {
        let number = || Shape::Scalar("number");
        let row = Shape::Any(vec![number(), Shape::List(Box::new(number()))]);
        Shape::Any(vec![
            Shape::Words(vec![ALL_CLASSES]),
            Shape::List(Box::new(row)),
            Items::shape(),
        ])
    }
}

/// Reads numbers, or rows of numbers of one length.
fn read_rows(found: &Found<'_>, reader: &mut Reader) -> Option<Vec<Vec<f64>>> {
    let items = found.items()?;
    let mut rows: Vec<Vec<f64>> = vec![];
    for item in &items {
        let row = match item.value {
            Value::Array(_) => Vec::<f64>::read(item, reader)?,
            _ => vec![f64::read(item, reader)?],
        };
        let first = rows.first().map_or(row.len(), Vec::len);
        if row.is_empty() || row.len() != first {
            let what = format!("{} numbers, {first} in the first row", row.len());
            return reader
                .wrong(item, Problem::new(what).help("every condition has the same parameters"));
        }
        rows.push(row);
    }
    if rows.is_empty() {
        let problem = Problem::new("there are no conditions");
        return reader
            .wrong(found, problem.help("write all_classes, [3, 7], or { from: maps.test }"));
    }
    Some(rows)
}
