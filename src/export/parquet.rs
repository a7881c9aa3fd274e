//! Rows as columns of Apache Parquet. Which type a column has is seen on a first way through the rows.

use super::Aside;
use super::text::shown;
use crate::problem::{Problem, Result};
use crate::record::{Record, Rows, Sheet};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;
use serde_json::Value;
use std::fs::File;
use std::sync::Arc;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing so far.
    Nothing,
    Truth,
    Whole,
    Number,
    /// Words, JSON, and whatever is mixed.
    Text,
}

impl Kind {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Nothing,
            Value::Bool(_) => Self::Truth,
            Value::Number(number) if number.is_i64() => Self::Whole,
            Value::Number(_) => Self::Number,
            _ => Self::Text,
        }
    }

    /// What holds both.
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Nothing, other) | (other, Self::Nothing) => other,
            (Self::Whole, Self::Number) | (Self::Number, Self::Whole) => Self::Number,
            _ => Self::Text,
        }
    }

    fn physical(self) -> Physical {
        match self {
            Self::Truth => Physical::BOOLEAN,
            Self::Whole => Physical::INT64,
            Self::Number => Physical::DOUBLE,
            Self::Nothing | Self::Text => Physical::BYTE_ARRAY,
        }
    }
}

/// Sees what columns hold.
#[derive(Default)]
struct Look {
    names: Vec<String>,
    kinds: Vec<Kind>,
}

impl Rows for Look {
    fn head(&mut self, names: &[String]) -> Result<()> {
        (self.names, self.kinds) = (names.to_vec(), vec![Kind::Nothing; names.len()]);
        Ok(())
    }

    fn row(&mut self, cells: &[Value]) -> Result<()> {
        for (kind, cell) in self.kinds.iter_mut().zip(cells) {
            *kind = kind.with(Kind::of(cell));
        }
        Ok(())
    }
}

/// Rows of a group: so many are held in memory.
const GROUP: usize = 1 << 16;

struct Columns<'a> {
    aside: &'a Aside,
    kinds: Vec<Kind>,
    out: SerializedFileWriter<File>,
    cells: Vec<Vec<Value>>,
    rows: usize,
}

fn wrong(aside: &Aside) -> impl Fn(ParquetError) -> Problem {
    move |error| Problem::system(format!("cannot write {}: {error}", aside.path.display()))
}

/// Writes a sheet; its number of rows.
pub(super) fn write(
    record: &Record,
    (sheet, experiment): (Sheet, Option<&str>),
    aside: &Aside,
) -> Result<usize> {
    let mut look = Look::default();
    record.export(sheet, experiment, &mut look)?;
    let field = |(name, kind): (&String, &Kind)| {
        let words = matches!(kind, Kind::Text | Kind::Nothing).then_some(LogicalType::String);
        let builder = Type::primitive_type_builder(name, kind.physical());
        builder.with_repetition(Repetition::OPTIONAL).with_logical_type(words).build().map(Arc::new)
    };
    let fields: Result<Vec<_>, _> = look.names.iter().zip(&look.kinds).map(field).collect();
    let schema = fields
        .and_then(|fields| Type::group_type_builder("schema").with_fields(fields).build())
        .map_err(wrong(aside))?;
    // Neither time nor host, so that the same rows are the same bytes.
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let out = SerializedFileWriter::new(aside.make()?, Arc::new(schema), Arc::new(properties))
        .map_err(wrong(aside))?;
    let cells = vec![vec![]; look.kinds.len()];
    let mut columns = Columns { aside, kinds: look.kinds, out, cells, rows: 0 };
    record.export(sheet, experiment, &mut columns)?;
    columns.flush()?;
    columns.out.close().map_err(wrong(aside))?;
    Ok(columns.rows)
}

impl Columns<'_> {
    /// Writes what is held as a group of rows.
    fn flush(&mut self) -> Result<()> {
        if self.cells.first().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        let written = || -> Result<(), ParquetError> {
            let mut group = self.out.next_row_group()?;
            for (kind, cells) in self.kinds.iter().zip(&self.cells) {
                if let Some(mut column) = group.next_column()? {
                    put(&mut column, *kind, cells)?;
                    column.close()?;
                }
            }
            group.close().map(|_| ())
        };
        let mut written = written;
        written().map_err(wrong(self.aside))?;
        self.cells.iter_mut().for_each(Vec::clear);
        Ok(())
    }
}

/// Writes the values of a column that are there, and where none is.
fn put(
    column: &mut SerializedColumnWriter<'_>,
    kind: Kind,
    cells: &[Value],
) -> Result<(), ParquetError> {
    let there: Vec<i16> = cells.iter().map(|cell| i16::from(!cell.is_null())).collect();
    let cells = cells.iter().filter(|cell| !cell.is_null());
    let there = Some(there.as_slice());
    match kind {
        Kind::Truth => {
            let values: Vec<bool> = cells.filter_map(Value::as_bool).collect();
            column.typed::<BoolType>().write_batch(&values, there, None)?;
        }
        Kind::Whole => {
            let values: Vec<i64> = cells.filter_map(Value::as_i64).collect();
            column.typed::<Int64Type>().write_batch(&values, there, None)?;
        }
        Kind::Number => {
            let values: Vec<f64> = cells.filter_map(Value::as_f64).collect();
            column.typed::<DoubleType>().write_batch(&values, there, None)?;
        }
        Kind::Nothing | Kind::Text => {
            let values: Vec<ByteArray> =
                cells.map(|cell| ByteArray::from(shown(cell).into_bytes())).collect();
            column.typed::<ByteArrayType>().write_batch(&values, there, None)?;
        }
    }
    Ok(())
}

impl Rows for Columns<'_> {
    fn head(&mut self, _: &[String]) -> Result<()> {
        Ok(())
    }

    fn row(&mut self, cells: &[Value]) -> Result<()> {
        for (column, cell) in self.cells.iter_mut().zip(cells) {
            column.push(cell.clone());
        }
        self.rows += 1;
        if self.rows.is_multiple_of(GROUP) { self.flush() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_column_has_the_narrowest_type_that_holds_all() {
        let kind = |values: &[Value]| {
            values.iter().map(Kind::of).fold(Kind::Nothing, |all, one| all.with(one))
        };
        assert_eq!(kind(&[json!(1), json!(null), json!(2)]), Kind::Whole);
        assert_eq!(kind(&[json!(1), json!(0.5)]), Kind::Number);
        assert_eq!(kind(&[json!(1), json!("linear")]), Kind::Text);
        assert_eq!(kind(&[json!(true), json!(1)]), Kind::Text);
        assert_eq!(kind(&[json!(null)]), Kind::Nothing);
        assert_eq!(kind(&[json!({"a": 1})]), Kind::Text);
    }
}
