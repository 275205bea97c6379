//! Tables: named columns of one type each, as parquet. The only user of polars.
//!
//! The bytes of a file depend on the columns' names, types and values alone: one chunk per column, row groups of a
//! fixed number of rows, Zstandard at its default level, no time stamps.
//!
//! All is done in the calling thread: polars' own pool has a thread for each core, whatever `--threads` says, and panics
//! where the system does not allow them.

use std::io::Cursor;

use polars::prelude::{
    Column, DataFrame, DataType, NamedFrom, ParallelStrategy, ParquetCompression, ParquetReader,
    ParquetWriter, PolarsError, SerReader, Series,
};

use super::Error;
use crate::interrupt::Interrupt;
use crate::text::{Listing, foreign};

/// Rows of a row group; part of the files' bytes.
const ROW_GROUP_ROWS: usize = 1 << 18;

/// A table of named columns, all of one length.
///
/// ```
/// use newt_pipe::artifact::Table;
///
/// let table = Table::new()
///     .str("img_id", ["a", "b"])
///     .opt_f64("gamma", [None, Some(1e-4)]);
/// let read = Table::from_parquet(&table.to_parquet()?)?;
/// assert_eq!(read.get_str("img_id")?, ["a", "b"]);
/// assert_eq!(read.get_opt_f64("gamma")?, [None, Some(1e-4)]);
/// # Ok::<(), newt_pipe::artifact::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Table {
    columns: Vec<Column>,
}

/// The methods for one type of value: a builder and a getter, without and with nulls.
macro_rules! methods {
    ($($name:literal $type:ty: $with:ident $get:ident $with_opt:ident $get_opt:ident, $downcast:ident;)*) => {$(
        #[doc = concat!("Adds a column of type ", $name, ".")]
        pub fn $with(self, name: &str, values: impl IntoIterator<Item = $type>) -> Self {
            let values: Vec<$type> = values.into_iter().collect();
            self.with(Series::new(name.into(), values))
        }

        #[doc = concat!("Adds a column of type ", $name, " in which values may be missing.")]
        pub fn $with_opt(self, name: &str, values: impl IntoIterator<Item = Option<$type>>) -> Self {
            let values: Vec<Option<$type>> = values.into_iter().collect();
            self.with(Series::new(name.into(), values))
        }

        #[doc = concat!("The values of a column of type ", $name, ".")]
        ///
        /// # Errors
        /// [`Error::MissingColumn`], [`Error::ColumnType`]; [`Error::Value`] where one is missing.
        pub fn $get(&self, name: &str) -> Result<Vec<$type>, Error> {
            complete(name, self.$get_opt(name)?, $name)
        }

        #[doc = concat!("The values of a column of type ", $name, ", in which values may be missing.")]
        ///
        /// # Errors
        /// [`Error::MissingColumn`], [`Error::ColumnType`].
        pub fn $get_opt(&self, name: &str) -> Result<Vec<Option<$type>>, Error> {
            let column = self.column(name)?;
            let values = column.$downcast().map_err(|_| wrong_type(column, $name))?;
            Ok(values.iter().collect())
        }
    )*};
}

impl Table {
    /// A table without columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column of text.
    pub fn str<S: AsRef<str>>(self, name: &str, values: impl IntoIterator<Item = S>) -> Self {
        self.opt_str(name, values.into_iter().map(Some))
    }

    /// Adds a column of text in which values may be missing.
    pub fn opt_str<S: AsRef<str>>(
        self,
        name: &str,
        values: impl IntoIterator<Item = Option<S>>,
    ) -> Self {
        let values: Vec<Option<S>> = values.into_iter().collect();
        let texts: Vec<Option<&str>> = values
            .iter()
            .map(|value| value.as_ref().map(AsRef::as_ref))
            .collect();
        self.with(Series::new(name.into(), texts))
    }

    /// The values of a column of text.
    ///
    /// # Errors
    /// [`Error::MissingColumn`], [`Error::ColumnType`]; [`Error::Value`] where one is missing.
    pub fn get_str(&self, name: &str) -> Result<Vec<String>, Error> {
        complete(name, self.get_opt_str(name)?, "text")
    }

    /// The values of a column of text, in which values may be missing.
    ///
    /// # Errors
    /// [`Error::MissingColumn`], [`Error::ColumnType`].
    pub fn get_opt_str(&self, name: &str) -> Result<Vec<Option<String>>, Error> {
        let column = self.column(name)?;
        let texts = column.str().map_err(|_| wrong_type(column, "text"))?;
        Ok(texts.iter().map(|text| text.map(str::to_owned)).collect())
    }

    /// Adds a column of small numbers, stored as u32: parquet has no smaller type.
    pub fn u8(self, name: &str, values: impl IntoIterator<Item = u8>) -> Self {
        self.u32(name, values.into_iter().map(u32::from))
    }

    /// The values of a column of type u32, all of which must be below 256.
    ///
    /// # Errors
    /// [`Error::MissingColumn`], [`Error::ColumnType`]; [`Error::Value`] where one is missing or larger.
    pub fn get_u8(&self, name: &str) -> Result<Vec<u8>, Error> {
        self.get_u32(name)?
            .into_iter()
            .enumerate()
            .map(|(row, value)| {
                u8::try_from(value).map_err(|_| Error::Value {
                    column: name.to_owned(),
                    row,
                    found: value.to_string(),
                    expected: "at most 255",
                })
            })
            .collect()
    }

    methods! {
        "bool" bool: bool get_bool opt_bool get_opt_bool, bool;
        "u32" u32: u32 get_u32 opt_u32 get_opt_u32, u32;
        "u64" u64: u64 get_u64 opt_u64 get_opt_u64, u64;
        "i64" i64: i64 get_i64 opt_i64 get_opt_i64, i64;
        "f32" f32: f32 get_f32 opt_f32 get_opt_f32, f32;
        "f64" f64: f64 get_f64 opt_f64 get_opt_f64, f64;
    }

    /// The number of rows, 0 if there is no column.
    pub fn n_rows(&self) -> usize {
        self.columns.first().map_or(0, Column::len)
    }

    /// The tables one below the other; they must have the same columns in the same order.
    ///
    /// # Errors
    /// [`Error::Table`] where they have not.
    pub fn concat(tables: impl IntoIterator<Item = Table>) -> Result<Self, Error> {
        let mut tables = tables.into_iter();
        let Some(first) = tables.next() else {
            return Ok(Self::new());
        };
        let mut all = first.frame()?;
        for table in tables {
            all.vstack_mut(&table.frame()?)
                .map_err(|error| library(&error))?;
        }
        Ok(Self {
            columns: all.into_columns(),
        })
    }

    /// The table as a parquet file; equal tables make equal bytes, with any number of threads.
    ///
    /// # Errors
    /// [`Error::Table`] where columns differ in length or share a name.
    pub fn to_parquet(&self) -> Result<Vec<u8>, Error> {
        self.to_parquet_unless(&Interrupt::default())
    }

    /// As [`to_parquet`](Self::to_parquet), for tables of many rows.
    ///
    /// # Errors
    /// [`Error::Table`], also once `interrupt` asks to stop: whoever gets it asks `interrupt` for the reason first.
    pub fn to_parquet_unless(&self, interrupt: &Interrupt) -> Result<Vec<u8>, Error> {
        let mut frame = self.frame()?;
        // Chunks, which concatenation leaves behind, would become pages.
        frame.rechunk_mut();
        let mut bytes = Vec::new();
        ParquetWriter::new(interrupt.over(&mut bytes))
            .with_compression(ParquetCompression::Zstd(None))
            .with_row_group_size(Some(ROW_GROUP_ROWS))
            .set_parallel(false)
            .finish(&mut frame)
            .map_err(|error| library(&error))?;
        Ok(bytes)
    }

    /// The table in a parquet file.
    ///
    /// The bytes must be known to be those that were written, as [`Cache::get`](crate::cache::Cache::get) makes
    /// sure: polars finds a file that is cut short, but asks for memory without end on some flipped bits.
    ///
    /// # Errors
    /// [`Error::Table`] where it is none.
    pub fn from_parquet(bytes: &[u8]) -> Result<Self, Error> {
        let frame = ParquetReader::new(Cursor::new(bytes))
            .read_parallel(ParallelStrategy::None)
            .finish()
            .map_err(|error| library(&error))?;
        Ok(Self {
            columns: frame.into_columns(),
        })
    }

    fn frame(&self) -> Result<DataFrame, Error> {
        DataFrame::new(self.n_rows(), self.columns.clone()).map_err(|error| library(&error))
    }

    fn with(mut self, series: Series) -> Self {
        self.columns.push(series.into());
        self
    }

    fn column(&self, name: &str) -> Result<&Column, Error> {
        self.columns
            .iter()
            .find(|column| column.name().as_str() == name)
            .ok_or_else(|| Error::MissingColumn {
                column: name.to_owned(),
                found: self
                    .columns
                    .iter()
                    .map(|column| format!("`{}`", foreign(column.name())))
                    .collect::<Listing>(),
            })
    }
}

fn complete<T>(
    name: &str,
    values: Vec<Option<T>>,
    expected: &'static str,
) -> Result<Vec<T>, Error> {
    values
        .into_iter()
        .enumerate()
        .map(|(row, value)| {
            value.ok_or_else(|| Error::Value {
                column: name.to_owned(),
                row,
                found: "no value".to_owned(),
                expected,
            })
        })
        .collect()
}

fn wrong_type(column: &Column, expected: &'static str) -> Error {
    Error::ColumnType {
        column: column.name().to_string(),
        found: match column.dtype() {
            DataType::String => "text".to_owned(),
            other => other.to_string(),
        },
        expected,
    }
}

fn library(error: &PolarsError) -> Error {
    Error::Table {
        what: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Digest;
    use std::process::Command;

    fn small() -> Table {
        Table::new()
            .str("img_id", ["b", "a", "größe, \"x\"\n"])
            .opt_str("subcluster", [Some(""), None, Some("y")])
            .u8("label", [0, 255, 1])
            .bool("hit", [true, false, true])
            .u32("n", [0, u32::MAX, 7])
            .u64("seed", [0, u64::MAX, 7])
            .i64("n_train", [-1, i64::MIN, i64::MAX])
            .f32("score", [0.1, -0.0, f32::INFINITY])
            .f64("decision", [0.1, -0.0, f64::NAN])
            .opt_f64("gamma", [None, Some(1e-4), None])
            .opt_i64("m", [None, None, None])
    }

    #[test]
    fn every_type_round_trips_bit_for_bit() {
        let table = Table::from_parquet(&small().to_parquet().unwrap()).unwrap();
        assert_eq!(table.n_rows(), 3);
        assert_eq!(
            table.get_str("img_id").unwrap(),
            ["b", "a", "größe, \"x\"\n"]
        );
        let subclusters = [Some(String::new()), None, Some("y".to_owned())];
        assert_eq!(table.get_opt_str("subcluster").unwrap(), subclusters);
        assert_eq!(table.get_u8("label").unwrap(), [0, 255, 1]);
        assert_eq!(table.get_bool("hit").unwrap(), [true, false, true]);
        assert_eq!(table.get_u32("n").unwrap(), [0, u32::MAX, 7]);
        assert_eq!(table.get_u64("seed").unwrap(), [0, u64::MAX, 7]);
        assert_eq!(table.get_i64("n_train").unwrap(), [-1, i64::MIN, i64::MAX]);
        let bits: Vec<u32> = table
            .get_f32("score")
            .unwrap()
            .iter()
            .map(|v| v.to_bits())
            .collect();
        assert_eq!(bits, [0.1_f32, -0.0, f32::INFINITY].map(f32::to_bits));
        let bits: Vec<u64> = table
            .get_f64("decision")
            .unwrap()
            .iter()
            .map(|v| v.to_bits())
            .collect();
        assert_eq!(bits, [0.1_f64, -0.0, f64::NAN].map(f64::to_bits));
        assert_eq!(
            table.get_opt_f64("gamma").unwrap(),
            [None, Some(1e-4), None]
        );
        assert_eq!(table.get_opt_i64("m").unwrap(), [None; 3]);
        assert_eq!(
            table.get_opt_bool("hit").unwrap(),
            [Some(true), Some(false), Some(true)]
        );
    }

    #[test]
    fn columns_can_be_read_before_writing() {
        assert_eq!(small().get_u32("n").unwrap(), [0, u32::MAX, 7]);
    }

    #[test]
    fn table_without_rows_keeps_its_columns() {
        let table = Table::new().str("id", [""; 0]).f64("x", []);
        let table = Table::from_parquet(&table.to_parquet().unwrap()).unwrap();
        assert_eq!(table.get_str("id").unwrap(), [""; 0]);
        assert_eq!(table.get_f64("x").unwrap(), [0.0; 0]);
        assert_eq!(table.n_rows(), 0);
    }

    #[test]
    fn wrong_question_names_the_column_with_found_and_expected() {
        let table = small();
        let text = |result: Result<(), Error>| result.unwrap_err().to_string();
        assert_eq!(
            text(
                Table::new()
                    .u32("a", [1])
                    .u32("b", [1])
                    .get_u32("c")
                    .map(drop)
            ),
            "table: no column `c`, the table has `a`, `b`"
        );
        assert_eq!(
            text(table.get_u32("img_id").map(drop)),
            "table: column `img_id` has type text, expected u32"
        );
        assert_eq!(
            text(table.get_f64("n").map(drop)),
            "table: column `n` has type u32, expected f64"
        );
        assert_eq!(
            text(table.get_str("n").map(drop)),
            "table: column `n` has type u32, expected text"
        );
        assert_eq!(
            text(table.get_str("subcluster").map(drop)),
            "table: column `subcluster`, row 1: no value, expected text"
        );
        assert_eq!(
            text(table.get_f64("gamma").map(drop)),
            "table: column `gamma`, row 0: no value, expected f64"
        );
        assert_eq!(
            text(table.get_u8("n").map(drop)),
            "table: column `n`, row 1: 4294967295, expected at most 255"
        );
    }

    #[test]
    fn columns_of_unequal_length_or_equal_name_are_refused() {
        for table in [
            Table::new().u32("a", [1, 2]).u32("b", [1]),
            Table::new().u32("a", [1]).u32("a", [1]),
        ] {
            let error = table.to_parquet().unwrap_err();
            assert!(matches!(error, Error::Table { .. }), "{error:?}");
        }
    }

    #[test]
    fn concatenation_equals_the_table_made_at_once_byte_for_byte() {
        let part = |from: u32, to: u32| {
            Table::new()
                .u32("n", from..to)
                .str("id", (from..to).map(|n| format!("id {n}")))
        };
        let parts = Table::concat([part(0, 10), part(10, 10), part(10, 5000)]).unwrap();
        assert_eq!(parts.n_rows(), 5000);
        assert_eq!(
            parts.to_parquet().unwrap(),
            part(0, 5000).to_parquet().unwrap()
        );
        assert_eq!(Table::concat([]).unwrap().n_rows(), 0);
        assert!(Table::concat([part(0, 1), Table::new().u32("n", [1])]).is_err());
        assert!(
            Table::concat([part(0, 1), Table::new().f32("n", [1.0]).str("id", ["a"])]).is_err()
        );
    }

    /// More rows than a row group, pages or dictionaries take.
    fn large() -> Table {
        let n = 600_000_u32;
        Table::new()
            .str("task", (0..n).map(|i| format!("task {}", i % 164)))
            .str("id", (0..n).map(|i| Digest::of(&i.to_le_bytes()).short()))
            .u32("i", 0..n)
            .f64("score", (0..n).map(|i| f64::from(i % 1013) / 7.0))
            .opt_f64(
                "gamma",
                (0..n).map(|i| (i % 3 == 0).then_some(f64::from(i))),
            )
            .bool("hit", (0..n).map(|i| i % 5 == 0))
    }

    /// Prints what the next test compares.
    #[test]
    fn bytes_of_a_large_table() {
        let bytes = large().to_parquet().unwrap();
        println!("large table: {}", Digest::of(&bytes));
        assert_eq!(Table::from_parquet(&bytes).unwrap().n_rows(), 600_000);
    }

    #[test]
    fn number_of_threads_does_not_change_a_byte() {
        let name = format!(
            "{}::bytes_of_a_large_table",
            module_path!().split_once("::").unwrap().1
        );
        let digest = |n_threads: &str| {
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", &name, "--nocapture"])
                .env("POLARS_MAX_THREADS", n_threads)
                .env("RAYON_NUM_THREADS", n_threads)
                .output()
                .unwrap();
            let stdout = String::from_utf8(output.stdout).unwrap();
            let line = stdout
                .lines()
                .find_map(|line| line.split_once("large table: "));
            line.unwrap_or_else(|| panic!("{stdout}")).1.to_owned()
        };
        let one = digest("1");
        assert_eq!(digest("2"), one);
        assert_eq!(digest("7"), one);
    }

    #[test]
    fn bytes_that_are_no_whole_parquet_file_are_refused() {
        let bytes = small().to_parquet().unwrap();
        for n in 0..bytes.len() {
            let error = Table::from_parquet(&bytes[..n]).unwrap_err();
            assert!(matches!(error, Error::Table { .. }), "{n} bytes: {error:?}");
        }
        assert!(Table::from_parquet(b"img_id,task\n1,2\n").is_err());
    }
}
