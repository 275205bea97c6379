//! What can go wrong in a probe, with place and values.

use super::norm;
use super::settings::Kernel;
use crate::error::{Failure, Fault};
use crate::text::{foreign, said};

/// Why a task has no fitted probe.
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
    /// The caller asked to stop.
    #[error("probes: stopped before the last task was fitted")]
    Stopped,
    /// Arrays of one task that do not fit each other.
    #[error("task `{task}`: {found}, expected {expected}", task = foreign(task))]
    Shape {
        /// The task's name.
        task: String,
        /// The sizes that were given.
        found: String,
        /// The sizes that would fit.
        expected: String,
    },
    /// A label that is neither 0 nor 1.
    #[error("task `{task}`: label of train row {row} is `{label}`, expected `0` or `1`", task = foreign(task))]
    Label {
        /// The task's name.
        task: String,
        /// Index among the train rows.
        row: usize,
        /// The label.
        label: u8,
    },
    /// A feature that is not a finite number.
    #[error(
        "task `{task}`: {split} row {row} holds `{value}` in column {column}, expected finite features",
        task = foreign(task)
    )]
    NonFinite {
        /// The task's name.
        task: String,
        /// `train` or `test`.
        split: &'static str,
        /// Index among the rows of that split.
        row: usize,
        /// Index of the feature.
        column: usize,
        /// The value.
        value: f32,
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
    /// Train rows of one class only.
    #[error("task `{task}`: all {n_rows} train rows have label {label}, an SVM needs both classes", task = foreign(task))]
    OneClass {
        /// The task's name.
        task: String,
        /// Number of train rows.
        n_rows: usize,
        /// The label that they share.
        label: u8,
    },
    /// No train rows at all.
    #[error("task `{task}`: 0 train rows, an SVM needs both classes", task = foreign(task))]
    NoTrainRows {
        /// The task's name.
        task: String,
    },
    /// Both classes have fewer members than there are folds.
    #[error(
        "task `{task}`: {} and {} train rows of labels 0 and 1, \
         a search over {folds} folds needs {folds} of at least one label",
        counts[0], counts[1],
        task = foreign(task)
    )]
    TooFewForFolds {
        /// The task's name.
        task: String,
        /// Train rows per label.
        counts: [usize; 2],
        /// Number of folds.
        folds: usize,
    },
    /// Kernel values or coefficients that overflowed.
    #[error(
        "task `{task}`: kernel {kernel} with c = {c}{} gives a solution that is not finite, \
         expected finite coefficients",
        gamma.map(|gamma| format!(", gamma = {gamma}")).unwrap_or_default(),
        task = foreign(task)
    )]
    NonFiniteSolution {
        /// The task's name.
        task: String,
        /// The kernel.
        kernel: Kernel,
        /// The penalty C.
        c: f64,
        /// Gamma, where the kernel has one.
        gamma: Option<f64>,
        /// What to do about it.
        remedy: String,
    },
    /// A fitted probe whose parts do not fit each other, or the features it is given.
    #[error("fitted probe: {found}, expected {expected}")]
    Fitted {
        /// What was found.
        found: String,
        /// What would fit.
        expected: String,
    },
    /// linfa refused the problem.
    #[error("task `{task}`: linfa: {message}", task = foreign(task), message = said(message))]
    Linfa {
        /// The task's name.
        task: String,
        /// linfa's message.
        message: String,
    },
}

impl Error {
    /// A row that overflows.
    pub(super) fn overflow(
        split: &'static str,
        is_centred: bool,
        (row, norm): (usize, f64),
    ) -> Self {
        Self::Overflow {
            place: format!("{split} row {row}"),
            norm,
            is_centred,
            split,
            row,
        }
    }

    /// The same error; a row that overflows is called what `name` makes of its split and its index there.
    #[must_use]
    pub fn naming_row(self, name: impl FnOnce(&'static str, usize) -> String) -> Self {
        match self {
            Self::Overflow {
                split,
                row,
                norm,
                is_centred,
                ..
            } => Self::Overflow {
                place: name(split, row),
                norm,
                is_centred,
                split,
                row,
            },
            other => other,
        }
    }

    /// Says what to do about the error, where one action helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::OneClass { .. } | Self::NoTrainRows { .. } => {
                Some("`newt-pipe data check` lists every task without both".to_owned())
            }
            Self::TooFewForFolds { counts, .. } => {
                let most = counts[0].max(counts[1]);
                Some(if most >= 2 {
                    format!("raise `sample.n_train`, or set `probe.search.folds` to {most} or less")
                } else {
                    "raise `sample.n_train`".to_owned()
                })
            }
            Self::NonFiniteSolution { remedy, .. } => Some(remedy.clone()),
            Self::Overflow { .. } => Some("divide the features by a constant".to_owned()),
            Self::NonFinite { .. } => Some(
                "a backbone in half precision can overflow; set `features.precision = \"f32\"`"
                    .to_owned(),
            ),
            Self::Fitted { .. } => {
                Some("use features of the backbone that the probe was fitted on".to_owned())
            }
            Self::Setting { .. }
            | Self::Stopped
            | Self::Shape { .. }
            | Self::Label { .. }
            | Self::Linfa { .. } => None,
        }
    }
}

impl Failure for Error {
    fn hint(&self) -> Option<String> {
        self.hint()
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Setting { .. } => Fault::Request,
            _ => Fault::Data,
        }
    }
}
