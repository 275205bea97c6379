//! Errors of probes that other code tells from the rest.

use super::norm;
use crate::error::{Error as AnyError, Failure, Fault};

/// Why a task has no fitted probe, where that is for the caller to look into.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A setting outside its range, or one that does not go with another.
    #[error("probe.{key}: {found}, expected {expected}")]
    Setting {
        /// The key below `[probe]`.
        key: &'static str,
        /// The value, in backticks, with what is wrong about it.
        found: String,
        /// What the key takes.
        expected: &'static str,
    },
    /// Features so large, or so far apart, that their squares or those of their differences leave float32.
    #[error(
        "{place} has L2 norm {}{}, expected {} at most",
        norm::show(*norm),
        if *is_centred { " once the train mean is subtracted" } else { "" },
        norm::show(norm::MAX_NORM)
    )]
    Overflow {
        /// What the row is called.
        place: String,
        /// Its norm, less the mean where it is centred.
        norm: f64,
        /// Whether the mean of the train rows is subtracted.
        is_centred: bool,
        /// `train` or `test`.
        split: &'static str,
        /// Index among the rows of that split.
        row: usize,
    },
}

impl Error {
    /// A row that overflows.
    pub fn overflow(split: &'static str, is_centred: bool, (row, norm): (usize, f64)) -> Self {
        Self::Overflow {
            place: format!("{split} row {row}"),
            norm,
            is_centred,
            split,
            row,
        }
    }
}

/// The same error; in [`Error::Overflow`] the row is called what `name` makes of its split and its index there.
#[must_use]
pub fn naming_row(error: AnyError, name: impl FnOnce(&'static str, usize) -> String) -> AnyError {
    match error.is_a() {
        Some(&Error::Overflow {
            norm,
            is_centred,
            split,
            row,
            ..
        }) => Error::Overflow {
            place: name(split, row),
            norm,
            is_centred,
            split,
            row,
        }
        .into(),
        _ => error,
    }
}

impl Failure for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Setting { .. } => None,
            Self::Overflow { .. } => Some("divide the features by a constant".to_owned()),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Setting { .. } => Fault::Request,
            Self::Overflow { .. } => Fault::Data,
        }
    }
}
