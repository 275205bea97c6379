//! What a user should know about a task that was fitted nevertheless.

use std::fmt;

use super::folds::count;
use super::settings::{Search, Strategy};
use crate::text::{self, foreign};

/// Something about a task that is worth knowing and does not keep it from being fitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A class has fewer train rows than there are folds, so some folds hold none of it out.
    SmallClass {
        /// The task's name.
        task: String,
        /// The label of the class.
        label: u8,
        /// Its number of train rows.
        n_rows: usize,
        /// Number of folds.
        folds: usize,
    },
    /// A fold trains on one class only, so no candidate has a score and the first one is taken.
    UnscoredSearch {
        /// The task's name.
        task: String,
    },
    /// A random search over lists that hold fewer combinations than it should try.
    SmallGrid {
        /// The task's name.
        task: String,
        /// Number of combinations.
        n_candidates: usize,
        /// Number of candidates asked for.
        n_iter: usize,
    },
    /// Fits that took very many iterations.
    LongFits {
        /// The task's name.
        task: String,
        /// Number of such fits.
        n_fits: usize,
        /// Iterations of the longest.
        most_iterations: u64,
        /// What to do about it.
        remedy: String,
    },
    /// Fits that ended at a limit of iterations, before they met the tolerance.
    LimitedFits {
        /// The task's name.
        task: String,
        /// Number of such fits.
        n_fits: usize,
        /// `max_iter`; `None` where the limit is linfa's own.
        max_iter: Option<i64>,
        /// What to do about it.
        remedy: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SmallClass {
                task,
                label,
                n_rows,
                folds,
            } => write!(
                f,
                "task `{}`: label {label} has {}, fewer than the {folds} folds of the search",
                foreign(task),
                text::count(*n_rows, "train row", "train rows")
            ),
            Self::UnscoredSearch { task } => write!(
                f,
                "task `{}`: a fold trains on one label only, so the search has no scores; its first candidate is taken",
                foreign(task)
            ),
            Self::SmallGrid {
                task,
                n_candidates,
                n_iter,
            } => write!(
                f,
                "task `{}`: the search has {}, fewer than n_iter = {n_iter}; all are tried",
                foreign(task),
                text::count(*n_candidates, "combination", "combinations")
            ),
            Self::LongFits {
                task,
                n_fits,
                most_iterations,
                remedy,
            } => write!(
                f,
                "task `{}`: {} took very long, up to {} iterations; {remedy}",
                foreign(task),
                text::count(*n_fits, "fit", "fits"),
                text::thousands(*most_iterations)
            ),
            Self::LimitedFits {
                task,
                n_fits,
                max_iter,
                remedy,
            } => {
                let limit = max_iter.map_or_else(
                    || "linfa's limit of iterations".to_owned(),
                    |limit| format!("`probe.max_iter = {limit}`"),
                );
                let taken = if *n_fits == 1 {
                    "was taken as it was"
                } else {
                    "were taken as they were"
                };
                write!(
                    f,
                    "task `{}`: {} ended at {limit} before `probe.tol` was met, and {taken}; {remedy}",
                    foreign(task),
                    text::count(*n_fits, "fit", "fits"),
                )
            }
        }
    }
}

/// Warns of what a search over these labels cannot do in full.
pub(super) fn of_search(task: &str, search: &Search, labels: &[u8]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for label in [0, 1] {
        let n_rows = count(labels, label);
        if n_rows < search.folds {
            warnings.push(Warning::SmallClass {
                task: task.to_owned(),
                label,
                n_rows,
                folds: search.folds,
            });
        }
    }
    if let (Strategy::Random { n_iter, .. }, Some(n_candidates)) =
        (search.strategy, search.n_combinations())
        && n_candidates < n_iter
    {
        warnings.push(Warning::SmallGrid {
            task: task.to_owned(),
            n_candidates,
            n_iter,
        });
    }
    warnings
}
