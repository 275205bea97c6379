//! The error of a row that float32 cannot work with, which callers give the name that the user knows.

use super::norm;
use crate::error::{Error, Failure, Fault};

/// Features so large, or so far apart, that their squares or those of their differences leave float32.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "{place} has L2 norm {}{}, expected {} at most",
    norm::show(*norm),
    if *is_centred { " once the train mean is subtracted" } else { "" },
    norm::show(norm::MAX_NORM)
)]
pub struct Overflow {
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
}

impl Overflow {
    /// A row that overflows.
    pub fn new(split: &'static str, is_centred: bool, (row, norm): (usize, f64)) -> Self {
        Self {
            place: format!("{split} row {row}"),
            norm,
            is_centred,
            split,
            row,
        }
    }
}

/// The same error; in [`Overflow`] the row is called what `name` makes of its split and its index there.
#[must_use]
pub fn naming_row(error: Error, name: impl FnOnce(&'static str, usize) -> String) -> Error {
    match error.is_a::<Overflow>() {
        Some(overflow) => Overflow {
            place: name(overflow.split, overflow.row),
            ..overflow.clone()
        }
        .into(),
        None => error,
    }
}

impl Failure for Overflow {
    fn hint(&self) -> Option<String> {
        Some("divide the features by a constant".to_owned())
    }

    fn fault(&self) -> Fault {
        Fault::Data
    }
}
