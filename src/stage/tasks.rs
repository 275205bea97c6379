//! Which tasks take part.

use std::fmt;

use super::StageError;

/// Patterns of task names; a task takes part whose whole name matches one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFilter {
    patterns: Vec<glob::Pattern>,
}

impl TaskFilter {
    /// `None` without a pattern, which leaves no task out. The patterns' order makes no difference.
    pub fn new(mut patterns: Vec<glob::Pattern>) -> Option<Self> {
        patterns.sort();
        patterns.dedup();
        (!patterns.is_empty()).then_some(Self { patterns })
    }

    /// Whether the task takes part.
    pub fn matches(&self, task: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(task))
    }

    /// Makes sure that every pattern matches one of `tasks`.
    ///
    /// # Errors
    /// [`StageError::NoTaskMatches`] with the patterns that match none.
    pub fn check(&self, tasks: &[&str]) -> Result<(), StageError> {
        let unmatched: Vec<glob::Pattern> = self
            .patterns
            .iter()
            .filter(|pattern| !tasks.iter().any(|task| pattern.matches(task)))
            .cloned()
            .collect();
        match Self::new(unmatched) {
            None => Ok(()),
            Some(unmatched) => Err(StageError::NoTaskMatches {
                pattern: unmatched.to_string(),
                n_tasks: tasks.len(),
            }),
        }
    }
}

impl fmt::Display for TaskFilter {
    /// As `--tasks` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns: Vec<&str> = self.patterns.iter().map(glob::Pattern::as_str).collect();
        f.write_str(&patterns.join(","))
    }
}
