//! What can be wrong with a file, and what to do about it.

use std::io;

use crate::cache;
use crate::error::{Failure, Fault};
use crate::files;
use crate::interrupt::Stopped;
use crate::tensorfile::NotWhole;
use crate::text::{self, Listing, count, foreign, said};

/// Errors of files and their contents.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no whole safetensors file.
    #[error(transparent)]
    NotSafetensors(#[from] NotWhole),

    /// A tensor that must be there is not.
    #[error("{file}: no tensor `{tensor}`, the file holds {found}", file = text::path(file), tensor = foreign(tensor))]
    MissingTensor {
        /// The file.
        file: String,
        /// The tensor that is missing.
        tensor: String,
        /// The tensors that are there.
        found: Listing,
    },

    /// A tensor has another element type.
    #[error("{file}: tensor `{tensor}` has type {found}, expected {expected}", file = text::path(file), tensor = foreign(tensor))]
    TensorType {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Its type.
        found: String,
        /// The types that would do.
        expected: &'static str,
    },

    /// A tensor has another shape.
    #[error("{file}: tensor `{tensor}` has shape {found:?}, expected {expected}", file = text::path(file), tensor = foreign(tensor))]
    TensorShape {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that would do.
        expected: String,
    },

    /// A metadata key is absent or holds something else.
    #[error("{file}: metadata key `{key}` {found}, expected {expected}", file = text::path(file), found = said(found))]
    Metadata {
        /// The file.
        file: String,
        /// The key.
        key: &'static str,
        /// What is there.
        found: String,
        /// What should be there.
        expected: &'static str,
    },

    /// A safetensors file without what a probe file holds.
    #[error("{source}")]
    ProbeFile {
        /// Whether it holds features.
        is_feature_file: bool,
        /// What is missing or otherwise.
        source: Box<Error>,
    },

    /// The ids do not fit the rows.
    #[error("{file}: {} in `ids`, {} in `features`", count(*n_ids, "id", "ids"), count(*n_rows, "row", "rows"), file = text::path(file))]
    IdCount {
        /// The file.
        file: String,
        /// The number of ids.
        n_ids: usize,
        /// The number of rows.
        n_rows: usize,
    },

    /// Several rows have one id.
    #[error("{file}: {} given more than once: {ids}", count(ids.n, "id", "ids"), file = text::path(file))]
    DuplicateIds {
        /// The file.
        file: String,
        /// The ids.
        ids: Listing,
    },

    /// Rows that are no features.
    #[error("{file}: {} with a NaN or an infinity: {rows}", count(rows.n, "row", "rows"), file = text::path(file))]
    BadRows {
        /// The file.
        file: String,
        /// The rows, with their ids.
        rows: Listing,
    },

    /// Images without a row.
    #[error("{file}: no features of {}: {ids}", count(ids.n, "image", "images"), file = text::path(file))]
    MissingIds {
        /// The file.
        file: String,
        /// The ids of the images.
        ids: Listing,
    },

    /// Rows without an image.
    #[error("{file}: features of {} that the labels do not list: {ids}", count(ids.n, "image", "images"), file = text::path(file))]
    SurplusIds {
        /// The file.
        file: String,
        /// The ids of the images.
        ids: Listing,
    },

    /// Rows that cannot be added to a store of features.
    #[error("features of {}: shape {found:?}, expected [{n_images}, {dim}]", count(*n_images, "image", "images"))]
    RowShape {
        /// The number of images.
        n_images: usize,
        /// The number of features of the backbone.
        dim: usize,
        /// The shape of the rows.
        found: [usize; 2],
    },

    /// A shard of features that does not have the images, the rows or the backbone that it was written with.
    #[error("{file}: the seal does not fit its images, its rows and the backbone")]
    Seal {
        /// The file.
        file: String,
    },

    /// Stored features were damaged, or never were there; the store names what is missing now.
    #[error("the cache lost the features of {}", count(positions.len(), "image", "images"))]
    Lost {
        /// Where the images stand among those that were asked for.
        positions: Vec<usize>,
    },

    /// A table cannot be read or written.
    #[error("table: {what}", what = said(what))]
    Table {
        /// What the parquet library said.
        what: String,
    },

    /// A column that must be there is not.
    #[error("table: no column `{column}`, the table has {found}", column = foreign(column))]
    MissingColumn {
        /// The column that is missing.
        column: String,
        /// The columns that are there.
        found: Listing,
    },

    /// A column has another type.
    #[error("table: column `{column}` has type {found}, expected {expected}", column = foreign(column))]
    ColumnType {
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// The type that was asked for.
        expected: &'static str,
    },

    /// A value that must be there is not, or does not fit its type.
    #[error("table: column `{column}`, row {row}: {found}, expected {expected}", column = foreign(column), found = said(found))]
    Value {
        /// The column.
        column: String,
        /// The row, from 0.
        row: usize,
        /// The value.
        found: String,
        /// What was expected.
        expected: &'static str,
    },

    /// The store failed.
    #[error(transparent)]
    Cache(#[from] cache::Error),

    /// The file system failed; the message names the file.
    #[error(transparent)]
    Io(#[from] io::Error),

    /// A stop was asked for while a file was read.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl Error {
    /// The one thing to do about the error.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotSafetensors(not_whole) => return not_whole.hint(),
            Self::MissingTensor { .. }
            | Self::TensorType { .. }
            | Self::TensorShape { .. }
            | Self::Metadata { .. }
            | Self::IdCount { .. } => {
                "a features file holds a float tensor `features` [n, d] and the metadata key `ids`, a JSON array of n image ids"
            }
            Self::ProbeFile {
                is_feature_file: true,
                ..
            } => {
                "this is a file of features, for `--features`; `--probe` takes the `probes.safetensors` that `newt-pipe run --save-probes` writes"
            }
            Self::ProbeFile { .. } => {
                "a probe file is the `probes.safetensors` that `newt-pipe run --save-probes` writes into its results folder"
            }
            Self::DuplicateIds { .. } => "keep one row for each image",
            Self::BadRows { .. } => {
                "make these rows again, or leave these images out of the labels"
            }
            Self::MissingIds { .. } => "add a row for each image of the labels",
            Self::SurplusIds { .. } => "use the labels that the features were made for",
            Self::Lost { .. } | Self::Seal { .. } => "run again: what was lost is extracted again",
            Self::RowShape { .. }
            | Self::Table { .. }
            | Self::MissingColumn { .. }
            | Self::ColumnType { .. }
            | Self::Value { .. }
            | Self::Stopped(_) => return None,
            Self::Io(error) => files::hint(error)?,
            Self::Cache(error) => return error.hint(),
        };
        Some(hint.to_owned())
    }
}

impl Failure for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Io(error) => Failure::hint(error),
            _ => self.hint(),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Cache(_) => Fault::Machine,
            Self::Io(error) if error.kind() == io::ErrorKind::NotFound => Fault::Request,
            Self::Io(error) => error.fault(),
            _ => Fault::Data,
        }
    }

    fn handed_on(&self) -> Option<&dyn Failure> {
        match self {
            Self::Stopped(stopped) => Some(stopped),
            _ => None,
        }
    }
}
