//! What can keep a stage from its output, besides the errors of the modules that do its work.

use crate::error::{Failure, Fault};
use crate::text::{count, foreign};

/// Errors of the stages.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// Patterns that no task's name fits.
    #[error("--tasks {pattern}: matches none of {}", count(*n_tasks, "task", "tasks"), pattern = foreign(pattern))]
    NoTaskMatches {
        /// The patterns, with commas between them.
        pattern: String,
        /// The tasks that there are.
        n_tasks: usize,
    },
}

impl Failure for StageError {
    fn hint(&self) -> Option<String> {
        Some("a pattern is matched against whole task names, as in `--tasks 'ml_*'`".to_owned())
    }

    fn fault(&self) -> Fault {
        Fault::Request
    }
}
