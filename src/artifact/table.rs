//! Tables: named columns of one type each, as parquet. Only this and [`row`](super::row) use polars.
//!
//! The bytes of a file depend on the columns' names, types and values alone: one chunk per column, row groups of a
//! fixed number of rows, Zstandard at its default level, no time stamps.
//!
//! All is done in the calling thread: polars' own pool has a thread for each core, whatever `--threads` says, and panics
//! where the system does not allow them.

use std::io::Cursor;

use polars::prelude::{
    Column, DataFrame, ParallelStrategy, ParquetCompression, ParquetReader, ParquetWriter,
    PolarsError, SerReader,
};

use super::row::{Cell, Row};
use crate::error::{Error, Message};
use crate::interrupt::Interrupt;
use crate::text::{Listing, foreign, said};

/// Rows of a row group; part of the files' bytes.
const ROW_GROUP_ROWS: usize = 1 << 18;

/// A table of named columns, all of one length.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Table {
    columns: Vec<Column>,
}

impl Table {
    /// The table of these rows.
    pub fn of<'a, R: Row + 'a>(rows: impl IntoIterator<Item = &'a R, IntoIter: Clone>) -> Self {
        R::write(Self::default(), rows.into_iter())
    }

    /// Adds a column.
    pub fn with<'a, C: Cell + 'a>(
        mut self,
        name: &str,
        cells: impl IntoIterator<Item = &'a C>,
    ) -> Self {
        self.columns.push(C::write(name, cells.into_iter()).into());
        self
    }

    /// This table with the columns of `other`, which has as many rows, behind its own.
    pub fn beside(mut self, other: Self) -> Self {
        self.columns.extend(other.columns);
        self
    }

    /// The rows, as `rows!` has declared them.
    ///
    /// # Errors
    /// Errors of [`column`](Self::column).
    pub fn rows<R: Row>(&self) -> Result<Vec<R>, Error> {
        R::read(self)
    }

    /// The cells of the column `name`.
    ///
    /// # Errors
    /// Bad data where there is no such column, where it has another type, or no value where one must be.
    pub fn column<C: Cell>(&self, name: &str) -> Result<Vec<C>, Error> {
        self.column_if_any(name)?.ok_or_else(|| {
            let found = Listing::quoted(self.columns.iter().map(Column::name));
            let text = format!("no column `{}`, the table has {found}", foreign(name));
            wrong(&text).into()
        })
    }

    /// The cells of the column `name`, which tables of an earlier version may lack.
    ///
    /// # Errors
    /// Bad data where the column has another type, or no value where one must be.
    pub fn column_if_any<C: Cell>(&self, name: &str) -> Result<Option<Vec<C>>, Error> {
        let mut columns = self.columns.iter();
        let column = columns.find(|column| column.name().as_str() == name);
        Ok(column.map(C::read).transpose()?)
    }

    /// The number of rows, 0 if there is no column.
    pub fn n_rows(&self) -> usize {
        self.columns.first().map_or(0, Column::len)
    }

    /// The tables one below the other; they must have the same columns in the same order.
    ///
    /// # Errors
    /// Bad data where they have not.
    pub fn concat(tables: impl IntoIterator<Item = Table>) -> Result<Self, Error> {
        let mut tables = tables.into_iter();
        let Some(first) = tables.next() else {
            return Ok(Self::default());
        };
        let mut all = first.frame()?;
        for table in tables {
            all.vstack_mut(&table.frame()?).map_err(refused)?;
        }
        Ok(Self {
            columns: all.into_columns(),
        })
    }

    /// The table as a parquet file; equal tables make equal bytes, with any number of threads.
    ///
    /// # Errors
    /// Bad data where columns differ in length or share a name.
    pub fn to_parquet(&self) -> Result<Vec<u8>, Error> {
        self.to_parquet_unless(&Interrupt::default())
    }

    /// As [`to_parquet`](Self::to_parquet), for tables of many rows.
    ///
    /// # Errors
    /// As [`to_parquet`](Self::to_parquet), and [`Stopped`](crate::interrupt::Stopped).
    pub fn to_parquet_unless(&self, interrupt: &Interrupt) -> Result<Vec<u8>, Error> {
        let mut frame = self.frame()?;
        // Chunks, which concatenation leaves behind, would become pages.
        frame.rechunk_mut();
        let mut bytes = Vec::new();
        let written = ParquetWriter::new(interrupt.over(&mut bytes))
            .with_compression(ParquetCompression::Zstd(None))
            .with_row_group_size(Some(ROW_GROUP_ROWS))
            .set_parallel(false)
            .finish(&mut frame);
        interrupt.check()?;
        written.map_err(refused)?;
        Ok(bytes)
    }

    /// The table in a parquet file.
    ///
    /// The bytes must be known to be those that were written, as [`Cache::get`](crate::cache::Cache::get) makes
    /// sure: polars finds a file that is cut short, but asks for memory without end on some flipped bits.
    ///
    /// # Errors
    /// Bad data where it is none.
    pub fn from_parquet(bytes: &[u8]) -> Result<Self, Error> {
        let frame = ParquetReader::new(Cursor::new(bytes))
            .read_parallel(ParallelStrategy::None)
            .finish()
            .map_err(refused)?;
        Ok(Self {
            columns: frame.into_columns(),
        })
    }

    fn frame(&self) -> Result<DataFrame, Message> {
        DataFrame::new(self.n_rows(), self.columns.clone()).map_err(refused)
    }
}

/// That something is wrong with a table.
pub fn wrong(what: &str) -> Message {
    Message::data(format!("table: {what}"))
}

/// What the parquet library says of a table that it does not take.
#[expect(clippy::needless_pass_by_value, reason = "taken as `map_err` gives it")]
fn refused(error: PolarsError) -> Message {
    wrong(&said(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::rows;
    use crate::cache::Digest;
    use std::process::Command;

    rows! {
        /// A cell of each type.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Small {
            /// Text.
            pub img_id: String,
            /// Text that may be missing.
            pub subcluster: Option<String>,
            /// Yes or no.
            pub hit: bool,
            /// An integer.
            pub n_train: i64,
            /// A number.
            pub decision: f64,
            /// A number that may be missing.
            pub gamma: Option<f64>,
            /// An integer that may be missing.
            pub m: Option<i64>,
            /// Numbers that may be missing.
            pub folds: Vec<Option<f64>>,
        }
    }

    fn small() -> [Small; 3] {
        let row = |img_id: &str, subcluster: Option<&str>, n_train, decision, gamma| Small {
            img_id: img_id.to_owned(),
            subcluster: subcluster.map(str::to_owned),
            hit: n_train != i64::MIN,
            n_train,
            decision,
            gamma,
            m: None,
            folds: match subcluster {
                Some("") => vec![Some(0.1), None, Some(-0.0)],
                Some(_) => vec![None],
                None => Vec::new(),
            },
        };
        [
            row("b", Some(""), -1, 0.1, None),
            row("a", None, i64::MIN, -0.0, Some(1e-4)),
            row("größe, \"x\"\n", Some("y"), i64::MAX, f64::NAN, None),
        ]
    }

    #[test]
    fn every_type_round_trips_bit_for_bit() {
        let table = Table::from_parquet(&Table::of(&small()).to_parquet().unwrap()).unwrap();
        assert_eq!(table.n_rows(), 3);
        let rows: Vec<Small> = table.rows().unwrap();
        for (read, written) in rows.into_iter().zip(small()) {
            assert_eq!(read.decision.to_bits(), written.decision.to_bits());
            let decision = 0.0;
            assert_eq!(
                Small { decision, ..read },
                Small {
                    decision,
                    ..written
                }
            );
        }
        let hits: Vec<Option<bool>> = table.column("hit").unwrap();
        assert_eq!(hits, [Some(true), Some(false), Some(true)]);
    }

    #[test]
    fn columns_can_be_read_before_writing() {
        let n_train: Vec<i64> = Table::of(&small()).column("n_train").unwrap();
        assert_eq!(n_train, [-1, i64::MIN, i64::MAX]);
    }

    #[test]
    fn a_column_may_be_absent_where_that_is_asked_and_has_its_type_where_it_is_there() {
        let table = Table::of(&small());
        let absent: Option<Vec<i64>> = table.column_if_any("n").unwrap();
        assert_eq!(absent, None);
        let found: Option<Vec<i64>> = table.column_if_any("n_train").unwrap();
        assert_eq!(found.unwrap().len(), 3);
        table.column_if_any::<f64>("n_train").unwrap_err();
    }

    #[test]
    fn table_without_rows_keeps_its_columns() {
        let table = Table::of::<Small>(&[]);
        let table = Table::from_parquet(&table.to_parquet().unwrap()).unwrap();
        assert_eq!(table.rows::<Small>().unwrap(), []);
        assert_eq!(table.column::<f64>("decision").unwrap(), [0.0; 0]);
        assert_eq!(table.n_rows(), 0);
    }

    #[test]
    fn tables_stand_beside_each_other() {
        let n = [4_i64, 5, 6];
        let table = Table::default()
            .with("n", &n)
            .beside(Table::of(&small()))
            .to_parquet()
            .unwrap();
        let table = Table::from_parquet(&table).unwrap();
        assert_eq!(table.columns[0].name().as_str(), "n");
        assert_eq!(table.column::<i64>("n").unwrap(), n);
        let ids: Vec<String> = table.column("img_id").unwrap();
        assert_eq!(ids, small().map(|row| row.img_id));
    }

    #[test]
    fn wrong_question_names_the_column_with_found_and_expected() {
        let table = Table::of(&small());
        let text = |result: Result<(), Error>| result.unwrap_err().to_string();
        assert_eq!(
            text(
                Table::default()
                    .with("a", &[1])
                    .with("b", &[1])
                    .column::<i64>("c")
                    .map(drop)
            ),
            "table: no column `c`, the table has `a`, `b`"
        );
        assert_eq!(
            text(table.column::<i64>("img_id").map(drop)),
            "table: column `img_id` has type text, expected i64"
        );
        assert_eq!(
            text(table.column::<f64>("n_train").map(drop)),
            "table: column `n_train` has type i64, expected f64"
        );
        assert_eq!(
            text(table.column::<String>("n_train").map(drop)),
            "table: column `n_train` has type i64, expected text"
        );
        assert_eq!(
            text(table.column::<String>("subcluster").map(drop)),
            "table: column `subcluster`, row 1: no value, expected text"
        );
        assert_eq!(
            text(table.column::<f64>("gamma").map(drop)),
            "table: column `gamma`, row 0: no value, expected f64"
        );
        assert_eq!(
            text(table.column::<Vec<Option<f64>>>("gamma").map(drop)),
            "table: column `gamma` has type f64, expected list[f64]"
        );
        assert_eq!(
            text(table.column::<f64>("folds").map(drop)),
            "table: column `folds` has type list[f64], expected f64"
        );
    }

    #[test]
    fn lists_of_other_numbers_and_missing_lists_are_refused() {
        use polars::prelude::{DataType, NamedFrom, Series};

        let text = |lists: Series| {
            let table = Table {
                columns: vec![lists.into()],
            };
            let table = Table::from_parquet(&table.to_parquet().unwrap()).unwrap();
            let column = table.column::<Vec<Option<f64>>>("folds");
            column.unwrap_err().to_string()
        };
        let one = Series::new("".into(), [1_i64]);
        let of_integers = Series::new("folds".into(), [one]);
        let expected = "table: column `folds` has type list[i64], expected list[f64]";
        assert_eq!(text(of_integers.clear()), expected);
        assert_eq!(text(of_integers), expected);
        let missing =
            Series::full_null("folds".into(), 1, &DataType::List(DataType::Float64.into()));
        assert_eq!(
            text(missing),
            "table: column `folds`, row 0: no value, expected list[f64]"
        );
    }

    #[test]
    fn lists_cross_the_borders_of_row_groups_and_tables() {
        let lists = |n_rows: u32| -> Vec<Vec<Option<f64>>> {
            let list =
                |row: u32| (0..row % 4).map(move |i| (i != row % 3).then(|| f64::from(row + i)));
            (0..n_rows).map(|row| list(row).collect()).collect()
        };
        let n_rows = u32::try_from(ROW_GROUP_ROWS).unwrap() + 5;
        let all = lists(n_rows);
        let bytes = Table::default().with("folds", &all).to_parquet().unwrap();
        let (first, second) = all.split_at(3);
        let parts = [first, second].map(|rows| Table::default().with("folds", rows));
        assert!(Table::concat(parts).unwrap().to_parquet().unwrap() == bytes);
        let table = Table::from_parquet(&bytes).unwrap();
        assert!(table.column::<Vec<Option<f64>>>("folds").unwrap() == all);
    }

    #[test]
    fn columns_of_unequal_length_or_equal_name_are_refused() {
        for table in [
            Table::default().with("a", &[1, 2]).with("b", &[1]),
            Table::default().with("a", &[1]).with("a", &[1]),
        ] {
            let error = table.to_parquet().unwrap_err().to_string();
            assert!(error.starts_with("table: "), "{error}");
        }
    }

    #[test]
    fn concatenation_equals_the_table_made_at_once_byte_for_byte() {
        let part = |from: i64, to: i64| {
            let n: Vec<i64> = (from..to).collect();
            let ids: Vec<String> = n.iter().map(|n| format!("id {n}")).collect();
            Table::default().with("n", &n).with("id", &ids)
        };
        let parts = Table::concat([part(0, 10), part(10, 10), part(10, 5000)]).unwrap();
        assert_eq!(parts.n_rows(), 5000);
        assert_eq!(
            parts.to_parquet().unwrap(),
            part(0, 5000).to_parquet().unwrap()
        );
        assert_eq!(Table::concat([]).unwrap().n_rows(), 0);
        assert!(Table::concat([part(0, 1), Table::default().with("n", &[1])]).is_err());
        let other = Table::default()
            .with("n", &[1.0])
            .with("id", &["a".to_owned()]);
        assert!(Table::concat([part(0, 1), other]).is_err());
    }

    #[test]
    fn a_stop_ends_the_writing() {
        let interrupt = Interrupt::default();
        interrupt
            .flag()
            .store(15, std::sync::atomic::Ordering::Relaxed);
        let stopped = Table::of(&small()).to_parquet_unless(&interrupt);
        assert_eq!(stopped.unwrap_err().exit_code(), 75);
    }

    rows! {
        /// A row of [`large`].
        pub struct Large {
            /// One of 164.
            pub task: String,
            /// Different in each row.
            pub id: String,
            /// The row.
            pub i: i64,
            /// One of 1013.
            pub score: f64,
            /// Missing in two of three rows.
            pub gamma: Option<f64>,
            /// True in each fifth row.
            pub hit: bool,
            /// Of one to five numbers.
            pub folds: Vec<Option<f64>>,
        }
    }

    /// More rows than a row group, pages or dictionaries take.
    fn large() -> Table {
        let rows: Vec<Large> = (0..600_000_u32)
            .map(|i| Large {
                task: format!("task {}", i % 164),
                id: Digest::of(&i.to_le_bytes()).short(),
                i: i.into(),
                score: f64::from(i % 1013) / 7.0,
                gamma: (i % 3 == 0).then_some(f64::from(i)),
                hit: i % 5 == 0,
                folds: vec![Some(f64::from(i)); 1 + i as usize % 5],
            })
            .collect();
        Table::of(&rows)
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
        let bytes = Table::of(&small()).to_parquet().unwrap();
        for n in 0..bytes.len() {
            let error = Table::from_parquet(&bytes[..n]).unwrap_err().to_string();
            assert!(error.starts_with("table: "), "{n} bytes: {error}");
        }
        assert!(Table::from_parquet(b"img_id,task\n1,2\n").is_err());
    }
}
