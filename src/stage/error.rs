//! What can keep a stage from its output, besides the errors of the modules that do its work.

use super::Name;
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
    /// A stored output lacks a part.
    #[error("stage `{stage}`: the stored output has no part `{name}`")]
    NoPart {
        /// The stage.
        stage: Name,
        /// The part.
        name: &'static str,
    },
    /// A stored output that the stage's inputs cannot have given.
    #[error("stage `{stage}`: the stored output belongs to other inputs: {what}")]
    OtherOutput {
        /// The stage.
        stage: Name,
        /// What tells.
        what: &'static str,
    },
}

impl StageError {
    /// One action that helps.
    pub fn hint(&self) -> String {
        match self {
            Self::NoTaskMatches { .. } => {
                "a pattern is matched against whole task names, as in `--tasks 'ml_*'`".to_owned()
            }
            Self::NoPart { stage, .. } | Self::OtherOutput { stage, .. } => {
                format!("`--force {stage}` makes it again")
            }
        }
    }

    /// 2 for what the user asked for, 1 for the rest.
    pub fn whose(&self) -> Fault {
        match self {
            Self::NoTaskMatches { .. } => Fault::Request,
            Self::NoPart { .. } | Self::OtherOutput { .. } => Fault::Machine,
        }
    }
}

impl Failure for StageError {
    fn hint(&self) -> Option<String> {
        Some(self.hint())
    }

    fn fault(&self) -> Fault {
        self.whose()
    }
}
