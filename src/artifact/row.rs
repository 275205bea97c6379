//! Rows of tables: a struct whose fields are the columns, and what a column can hold.

use polars::prelude::{
    Column, DataType, Float64Type, IntoSeries, ListBuilderTrait, ListPrimitiveChunkedBuilder,
    NamedFrom, Series,
};

use super::Table;
use super::table::wrong;
use crate::error::{Error, Message};
use crate::text::foreign;

/// A struct that is a row of a table: its fields are the columns, in their order. [`rows!`] declares one.
pub trait Row: Sized {
    /// `table` with these rows' columns added.
    fn write<'a>(table: Table, rows: impl Iterator<Item = &'a Self> + Clone) -> Table
    where
        Self: 'a;

    /// The rows of a table, whose other columns are passed over.
    ///
    /// # Errors
    /// Errors of [`Table::column`].
    fn read(table: &Table) -> Result<Vec<Self>, Error>;
}

/// Declares the rows of a table: a struct of [`Cell`]s, whose names and types are the columns'.
///
/// ```ignore
/// rows! {
///     /// One resample.
///     #[derive(Debug)]
///     pub struct Resample {
///         /// Which, from 0.
///         pub resample: i64,
///         /// The mean of its scores.
///         pub score: f64,
///     }
/// }
/// let parquet = Table::of(&resamples).to_parquet()?;
/// let resamples: Vec<Resample> = Table::from_parquet(&parquet)?.rows()?;
/// ```
macro_rules! rows {
    (
        $(#[$about:meta])*
        pub struct $Row:ident {
            $($(#[$meaning:meta])* pub $column:ident: $Cell:ty,)+
        }
    ) => {
        $(#[$about])*
        #[allow(clippy::struct_field_names, reason = "a column has the name that readers know")]
        pub struct $Row {
            $($(#[$meaning])* pub $column: $Cell,)+
        }

        impl $crate::artifact::Row for $Row {
            fn write<'a>(
                table: $crate::artifact::Table,
                rows: impl Iterator<Item = &'a Self> + Clone,
            ) -> $crate::artifact::Table {
                table$(.with(stringify!($column), rows.clone().map(|row| &row.$column)))+
            }

            fn read(table: &$crate::artifact::Table) -> Result<Vec<Self>, $crate::error::Error> {
                $(let mut $column = table.column::<$Cell>(stringify!($column))?.into_iter();)+
                let row = || Some(Self { $($column: $column.next()?,)+ });
                Ok(std::iter::from_fn(row).collect())
            }
        }
    };
}
pub(crate) use rows;

/// What a column can hold: text, truth, a number, or a list of numbers. A value that may be missing is an [`Option`].
pub trait Cell: Sized {
    /// The column of these cells.
    fn write<'a>(name: &str, cells: impl Iterator<Item = &'a Self>) -> Series
    where
        Self: 'a;

    /// The cells of a column.
    ///
    /// # Errors
    /// A message that names the column, with the type or the value that was found and the one expected.
    fn read(column: &Column) -> Result<Vec<Self>, Message>;
}

/// Each type as messages call it, and what polars calls the values of such a column.
macro_rules! cells {
    ($($Type:ty: $name:literal, $values:ident;)+) => {$(
        impl Cell for Option<$Type> {
            fn write<'a>(name: &str, cells: impl Iterator<Item = &'a Self>) -> Series {
                Series::new(name.into(), cells.cloned().collect::<Vec<Self>>())
            }

            fn read(column: &Column) -> Result<Vec<Self>, Message> {
                let values = column.$values().map_err(|_| wrong_type(column, $name))?;
                Ok(values.iter().map(|value| value.map(Into::into)).collect())
            }
        }

        impl Cell for $Type {
            fn write<'a>(name: &str, cells: impl Iterator<Item = &'a Self>) -> Series {
                Series::new(name.into(), cells.cloned().collect::<Vec<Self>>())
            }

            fn read(column: &Column) -> Result<Vec<Self>, Message> {
                let cells = Option::<Self>::read(column)?.into_iter().enumerate();
                cells
                    .map(|(row, cell)| cell.ok_or_else(|| no_value(column, row, $name)))
                    .collect()
            }
        }
    )+};
}

cells! {
    String: "text", str;
    bool: "bool", bool;
    i64: "i64", i64;
    f64: "f64", f64;
}

/// A list in each row, in which numbers may be missing; no row is without a list, which may be empty.
impl Cell for Vec<Option<f64>> {
    fn write<'a>(name: &str, cells: impl Iterator<Item = &'a Self>) -> Series {
        // Both capacities are guesses: they are no part of the file.
        let mut column = ListPrimitiveChunkedBuilder::<Float64Type>::new(
            name.into(),
            cells.size_hint().0,
            0,
            DataType::Float64,
        );
        for cell in cells {
            column.append_iter(cell.iter().copied());
        }
        column.finish().into_series()
    }

    fn read(column: &Column) -> Result<Vec<Self>, Message> {
        let expected = "list[f64]";
        let lists = column.list().map_err(|_| wrong_type(column, expected))?;
        let cell = |(row, list): (usize, Option<Series>)| {
            let list = list.ok_or_else(|| no_value(column, row, expected))?;
            let numbers = list.f64().map_err(|_| wrong_type(column, expected))?;
            Ok(numbers.iter().collect())
        };
        // A column without a row has a type as well.
        match lists.inner_dtype() {
            DataType::Float64 => lists.series_iter().enumerate().map(cell).collect(),
            _ => Err(wrong_type(column, expected)),
        }
    }
}

/// A count or an index as a column has it: signed, so that a difference of two does not wrap.
pub fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn wrong_type(column: &Column, expected: &str) -> Message {
    let name = foreign(column.name());
    let found = match column.dtype() {
        DataType::String => "text".to_owned(),
        other => other.to_string(),
    };
    wrong(&format!(
        "column `{name}` has type {found}, expected {expected}"
    ))
}

fn no_value(column: &Column, row: usize, expected: &str) -> Message {
    let name = foreign(column.name());
    wrong(&format!(
        "column `{name}`, row {row}: no value, expected {expected}"
    ))
}
