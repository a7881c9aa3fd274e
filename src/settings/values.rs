//! The values that settings are made of: numbers, words, lists, what can be off.

use super::reader::{Found, Reader};
use super::table::{Identity, Setting, Shape};
use crate::problem::Problem;
use crate::words;
use serde_json::{Value, json};

impl Setting for u64 {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        let value = match found.value {
            Value::Number(n) => {
                n.as_u64().or_else(|| n.as_f64().and_then(|f| words::count(&f.to_string())))
            }
            Value::String(text) => words::count(text),
            _ => None,
        };
        value.or_else(|| {
            let problem =
                Problem::new(format!("`{}` is not a whole number of at least 0", found.shown()));
            reader.wrong(found, problem.help("write it as 2000, 2k or 1e5"))
        })
    }
    fn write(&self, _: Identity) -> Value {
        json!(self)
    }
    fn shape() -> Shape {
        Shape::Scalar("whole number")
    }
    fn number(&self) -> Option<f64> {
        Some(*self as f64)
    }
}

impl Setting for f64 {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        let value = match found.value {
            Value::Number(n) => n.as_f64(),
            Value::String(text) => words::number(text),
            _ => None,
        };
        value.or_else(|| {
            let problem = Problem::new(format!("`{}` is not a number", found.shown()));
            reader.wrong(found, problem.help("write it as 0.5 or 1e-4"))
        })
    }
    fn write(&self, _: Identity) -> Value {
        json!(self)
    }
    fn shape() -> Shape {
        Shape::Scalar("number")
    }
    fn number(&self) -> Option<f64> {
        Some(*self)
    }
}

impl Setting for bool {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        match found.value {
            Value::Bool(value) => Some(*value),
            Value::String(text) if text == "on" => Some(true),
            Value::String(text) if text == "off" => Some(false),
            _ => {
                let problem =
                    Problem::new(format!("`{}` is neither true nor false", found.shown()));
                reader.wrong(found, problem.help("write true or false"))
            }
        }
    }
    fn write(&self, _: Identity) -> Value {
        json!(self)
    }
    fn shape() -> Shape {
        Shape::Scalar("true or false")
    }
}

impl Setting for String {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        match found.value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            _ => reader.wrong(found, Problem::new(format!("`{}` is not a word", found.shown()))),
        }
    }
    fn write(&self, _: Identity) -> Value {
        json!(self)
    }
    fn shape() -> Shape {
        Shape::Scalar("word")
    }
}

impl<T: Setting> Setting for Option<T> {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        T::read(found, reader).map(Some)
    }
    fn write(&self, identity: Identity) -> Value {
        self.as_ref().map_or(Value::Null, |value| value.write(identity))
    }
    fn shape() -> Shape {
        T::shape()
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
    fn number(&self) -> Option<f64> {
        self.as_ref().and_then(Setting::number)
    }
    fn can_be_off() -> bool {
        T::can_be_off()
    }
}

impl<T: Setting> Setting for Box<T> {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        T::read(found, reader).map(Self::new)
    }
    fn write(&self, identity: Identity) -> Value {
        (**self).write(identity)
    }
    fn shape() -> Shape {
        T::shape()
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        let Some(items) = found.items() else {
            return reader.wrong(found, Problem::new(format!("`{}` is not a list", found.shown())));
        };
        let read: Vec<Option<T>> = items.iter().map(|item| T::read(item, reader)).collect();
        read.into_iter().collect()
    }
    fn write(&self, identity: Identity) -> Value {
        Value::Array(self.iter().map(|item| item.write(identity)).collect())
    }
    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }
}

/// A number of steps, or of passes over the data: `250`, or `2 epochs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cadence {
    /// Optimiser steps.
    Steps(u64),
    /// Passes over the train split.
    Epochs(u64),
}

impl Cadence {
    /// The number of steps, so many of them to a pass.
    pub fn steps(self, per_epoch: u64) -> u64 {
        match self {
            Self::Steps(steps) => steps,
            Self::Epochs(epochs) => epochs.saturating_mul(per_epoch),
        }
    }
}

impl Setting for Cadence {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        let text = found.value.as_str().map(str::trim);
        let epochs =
            text.and_then(|t| t.strip_suffix("epochs").or_else(|| t.strip_suffix("epoch")));
        let Some(epochs) = epochs else { return u64::read(found, reader).map(Self::Steps) };
        words::count(epochs).map(Self::Epochs).or_else(|| {
            let problem = Problem::new(format!("`{}` is no number of epochs", found.shown()));
            reader.wrong(found, problem.help("write it as 250, or `2 epochs`"))
        })
    }
    fn write(&self, _: Identity) -> Value {
        match self {
            Self::Steps(steps) => json!(steps),
            Self::Epochs(epochs) => json!(format!("{epochs} epochs")),
        }
    }
    fn shape() -> Shape {
        Shape::Scalar("steps or epochs")
    }
    fn number(&self) -> Option<f64> {
        match self {
            Self::Steps(n) | Self::Epochs(n) => Some(*n as f64),
        }
    }
}

/// A setting that can be switched off: `off`, or a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Off<T> {
    /// Written `off`.
    Off,
    /// Written as the value.
    On(T),
}

impl<T: Copy> Off<T> {
    /// The value, unless it is off.
    pub fn on(self) -> Option<T> {
        match self {
            Self::Off => None,
            Self::On(value) => Some(value),
        }
    }
}

impl<T: Setting> Setting for Off<T> {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        match found.value {
            Value::String(text) if text == "off" => Some(Self::Off),
            Value::Bool(false) => Some(Self::Off),
            _ => T::read(found, reader).map(Self::On),
        }
    }
    fn write(&self, identity: Identity) -> Value {
        match self {
            Self::Off => json!("off"),
            Self::On(value) => value.write(identity),
        }
    }
    fn shape() -> Shape {
        match T::shape() {
            Shape::Scalar("number") => Shape::Scalar("number or `off`"),
            Shape::Scalar(_) => Shape::Scalar("whole number or `off`"),
            other => other,
        }
    }
    fn number(&self) -> Option<f64> {
        match self {
            Self::Off => None,
            Self::On(value) => value.number(),
        }
    }
    fn can_be_off() -> bool {
        true
    }
}
