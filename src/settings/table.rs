//! The grammar of settings: what can be read, written and listed, and the macros that let a kind
//! state each of its settings once, with type, limits, default and neutral value.

use super::reader::{Found, Reader};
use crate::problem::Problem;
use crate::words;
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

/// How much to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Every setting, defaults and references included.
    Full,
    /// What enters a key: no references (inputs stand for them), nothing that equals its neutral value.
    Semantic,
}

/// Something that can be read from a spec and written canonically.
pub trait Setting: Sized {
    /// Reads a value; what is wrong lands in `reader`, and then the result is `None`.
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self>;
    /// Writes the value so that equal settings give equal JSON.
    fn write(&self, identity: Identity) -> Value;
    /// The form of the value, for docs, merging and completion.
    fn shape() -> Shape;
    /// The value of an absent key, for settings that may be left out without a default.
    fn absent() -> Option<Self> {
        None
    }
    /// The number that limits apply to, if there is one.
    fn number(&self) -> Option<f64> {
        None
    }
    /// Whether `off` is a value.
    fn can_be_off() -> bool {
        false
    }
}

/// The form of a setting.
#[derive(Debug, Clone)]
pub enum Shape {
    /// A scalar, with words for the docs such as `whole number`.
    Scalar(&'static str),
    /// One of these words.
    Words(Vec<&'static str>),
    /// A map with these fields.
    Map(Vec<Field>),
    /// A map with one key, which names the kind; the word alone when its defaults do.
    OneOf(Vec<(&'static str, Shape)>),
    /// A list.
    List(Box<Shape>),
    /// One of several forms, told apart by what is written.
    Any(Vec<Shape>),
    /// `node` or `node.port`.
    Reference,
    /// Anything, and any keys below it, with words for the docs.
    Free(&'static str),
}

/// One setting of a map.
#[derive(Debug, Clone)]
pub struct Field {
    /// The key in the spec.
    pub name: &'static str,
    /// One sentence for people.
    pub doc: &'static str,
    /// The form of the value.
    pub shape: Shape,
    /// Smallest and largest number.
    pub limits: Option<(f64, f64)>,
    /// The value when absent; `None` means required, unless the type may be absent.
    pub default: Option<Value>,
    /// The frozen value that is left out of the key.
    pub neutral: Option<Value>,
    /// Whether it can be switched off by writing `off`.
    pub off: bool,
}

/// A whole number of at least 0, or a real one: what limits can be put on.
pub trait Number: Setting {}
impl Number for u64 {}
impl Number for f64 {}
impl Number for super::values::Cadence {}

/// Checks a number against limits; a sentence if it lies outside.
pub(crate) fn outside<T: Setting>(value: &T, limits: &RangeInclusive<f64>) -> Option<Problem> {
    let number = value.number()?;
    (!limits.contains(&number)).then(|| {
        Problem::new(format!("{number} is out of range")).help(format!(
            "it must lie between {} and {}",
            limits.start(),
            limits.end()
        ))
    })
}

/// Notes every key of the map at `found` that is not among `known`.
pub(crate) fn refuse_unknown(found: &Found<'_>, known: &[&'static str], reader: &mut Reader) {
    let Some(map) = found.value.as_object() else { return };
    for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
        let problem = Problem::new(format!("unknown key `{key}`"));
        let help = match words::nearest(key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        reader.wrong_key(found, key, problem.help(help));
    }
}

/// Reads one field of a map: limits checked, default filled in.
pub(crate) fn field<T: Setting>(
    found: &Found<'_>,
    name: &'static str,
    limits: Option<RangeInclusive<f64>>,
    default: Option<T>,
    reader: &mut Reader,
) -> Option<T> {
    let Some(inner) = found.key(name).filter(|inner| !inner.value.is_null()) else {
        return default.or_else(T::absent).or_else(|| {
            reader.wrong(
                found,
                Problem::new(format!("`{name}` is missing")).help(format!("add `{name}: …`")),
            )
        });
    };
    let value = T::read(&inner, reader)?;
    match limits.and_then(|limits| outside(&value, &limits)) {
        Some(problem) => reader.wrong(&inner, problem),
        None => Some(value),
    }
}

/// The one key of a one-kind map and what it holds; a bare word stands for `{ word: {} }`.
pub(crate) fn one_kind<'v>(
    found: &Found<'v>,
    known: &[&'static str],
    reader: &mut Reader,
) -> Option<(&'static str, Option<Found<'v>>)> {
    let written = match found.value {
        Value::String(word) => word.clone(),
        Value::Object(map) if map.len() == 1 => map.keys().next().cloned().unwrap_or_default(),
        Value::Object(map) if !map.is_empty() => {
            let keys: Vec<&String> = map.keys().collect();
            let problem =
                Problem::new(format!("expected one kind, found {}", words::alternatives(&keys)));
            return reader
                .wrong(found, problem.help(format!("keep one of {}", words::alternatives(known))));
        }
        _ => {
            let problem = Problem::new(format!("`{}` names no kind", found.shown()));
            return reader
                .wrong(found, problem.help(format!("write {}", words::alternatives(known))));
        }
    };
    match known.iter().find(|word| **word == written) {
        Some(word) => Some((word, found.key(word))),
        None => {
            let help = match words::nearest(&written, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", words::alternatives(known)),
            };
            let problem = Problem::new(format!("unknown kind `{written}`")).help(help);
            if found.value.is_object() {
                reader.wrong_key(found, &written, problem);
                None
            } else {
                reader.wrong(found, problem)
            }
        }
    }
}

/// Puts a field into the written map, unless it is absent or neutral.
pub(crate) fn put(map: &mut Map<String, Value>, name: &str, value: Value, neutral: Option<&Value>) {
    if !value.is_null() && neutral != Some(&value) {
        map.insert(name.to_owned(), value);
    }
}

/// Declares a map of settings: each field once, as `name: Type [limits] = default, neutral value;`. Once
/// checked, a map may be settled: what can be written in two ways is then held in one.
macro_rules! table {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( #[doc = $doc:literal] $field:ident : $ty:ty $([ $limits:expr ])? $(= $default:expr)? $(, neutral $neutral:expr)? ; )*
        }
        $(settle $settle:path;)?
        $(check $check:path;)?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name { $( #[doc = $doc] pub $field: $ty, )* }

        impl $crate::settings::Setting for $name {
            fn read(
                found: &$crate::settings::Found<'_>,
                reader: &mut $crate::settings::Reader,
            ) -> Option<Self> {
                if !found.value.is_object() && !found.value.is_null() {
                    let problem = $crate::problem::Problem::new(format!("`{}` is not a map of settings", found.shown()));
                    return reader.wrong(found, problem);
                }
                $crate::settings::table::refuse_unknown(found, &[$(stringify!($field)),*], reader);
                $( let $field = $crate::settings::table::field::<$ty>(
                    found,
                    stringify!($field),
                    $crate::settings::table::maybe!($($limits)?),
                    $crate::settings::table::maybe!($($default)?),
                    reader,
                ); )*
                #[allow(clippy::needless_question_mark, reason = "a table may have one field")]
                let value = Self { $( $field: $field?, )* };
                $( $check(&value, found, reader); )?
                $( let value = $settle(value); )?
                Some(value)
            }

            fn write(&self, identity: $crate::settings::Identity) -> serde_json::Value {
                let mut map = serde_json::Map::new();
                $( {
                    let neutral: Option<$ty> = $crate::settings::table::maybe!($($neutral)?);
                    let neutral = neutral
                        .filter(|_| identity == $crate::settings::Identity::Semantic)
                        .map(|value| $crate::settings::Setting::write(&value, identity));
                    let value = $crate::settings::Setting::write(&self.$field, identity);
                    $crate::settings::table::put(&mut map, stringify!($field), value, neutral.as_ref());
                } )*
                serde_json::Value::Object(map)
            }

            fn shape() -> $crate::settings::Shape {
                use $crate::settings::{Field, Identity, Setting, Shape};
                Shape::Map(vec![ $( {
                    let limits: Option<std::ops::RangeInclusive<f64>> = $crate::settings::table::maybe!($($limits)?);
                    let default: Option<$ty> = $crate::settings::table::maybe!($($default)?);
                    let neutral: Option<$ty> = $crate::settings::table::maybe!($($neutral)?);
                    Field {
                        name: stringify!($field),
                        doc: $doc,
                        shape: <$ty as Setting>::shape(),
                        limits: limits.map(|l| (*l.start(), *l.end())),
                        default: default.map(|value| value.write(Identity::Full)),
                        neutral: neutral.map(|value| value.write(Identity::Full)),
                        off: <$ty as Setting>::can_be_off(),
                    }
                } ),* ])
            }
        }
    };
}

/// Declares a choice between words.
macro_rules! choice {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $( #[doc = $doc:literal] $variant:ident = $word:literal ),* $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $( #[doc = $doc] $variant ),* }

        impl $name {
            /// Every choice.
            pub const ALL: &'static [Self] = &[$( Self::$variant ),*];

            /// The word in a spec.
            pub fn word(self) -> &'static str {
                match self { $( Self::$variant => $word ),* }
            }
        }

        impl $crate::settings::Setting for $name {
            fn read(
                found: &$crate::settings::Found<'_>,
                reader: &mut $crate::settings::Reader,
            ) -> Option<Self> {
                let written = found.shown();
                match Self::ALL.iter().find(|choice| choice.word() == written) {
                    Some(choice) => Some(*choice),
                    None => {
                        let known = [$($word),*];
                        let help = match $crate::words::nearest(&written, known) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => format!("write {}", $crate::words::alternatives(&known)),
                        };
                        let problem = $crate::problem::Problem::new(format!("`{written}` is not known here"));
                        reader.wrong(found, problem.help(help))
                    }
                }
            }
            fn write(&self, _: $crate::settings::Identity) -> serde_json::Value {
                serde_json::Value::from(self.word())
            }
            fn shape() -> $crate::settings::Shape {
                $crate::settings::Shape::Words(vec![$($word),*])
            }
        }
    };
}

/// Declares a one-kind map: `{ word: settings }`.
macro_rules! kinds {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $( #[doc = $doc:literal] $variant:ident($inner:ty) = $word:literal ),* $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $name { $( #[doc = $doc] $variant($inner) ),* }

        impl $name {
            /// The word that names the kind.
            pub fn word(&self) -> &'static str {
                match self { $( Self::$variant(_) => $word ),* }
            }
        }

        impl $crate::settings::Setting for $name {
            fn read(
                found: &$crate::settings::Found<'_>,
                reader: &mut $crate::settings::Reader,
            ) -> Option<Self> {
                let (word, inner) = $crate::settings::table::one_kind(found, &[$($word),*], reader)?;
                let inner = inner.unwrap_or_else(|| $crate::settings::Found {
                    value: &serde_json::Value::Null,
                    path: found.path.clone(),
                });
                match word {
                    $( $word => <$inner as $crate::settings::Setting>::read(&inner, reader).map(Self::$variant), )*
                    _ => None,
                }
            }
            fn write(&self, identity: $crate::settings::Identity) -> serde_json::Value {
                let inner = match self {
                    $( Self::$variant(inner) => $crate::settings::Setting::write(inner, identity) ),*
                };
                serde_json::json!({ self.word(): inner })
            }
            fn shape() -> $crate::settings::Shape {
                $crate::settings::Shape::OneOf(vec![
                    $( ($word, <$inner as $crate::settings::Setting>::shape()) ),*
                ])
            }
        }
    };
}

/// `Some` of an expression, or `None` of nothing.
macro_rules! maybe {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

pub(crate) use {choice, kinds, maybe, table};
