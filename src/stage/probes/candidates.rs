//! The table of what searches tried.

use crate::artifact::{number, rows};
use crate::probe::{Gamma, TaskFit};

rows! {
    /// One candidate of a task's search.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Candidate {
        /// The task.
        pub task: String,
        /// Its place in the search, from 0: scikit-learn's order.
        pub candidate: i64,
        /// The kernel, where the classifier has one.
        pub kernel: Option<String>,
        /// The penalty C, likewise.
        pub c: Option<f64>,
        /// Gamma, where the kernel has one and it is a number.
        pub gamma: Option<f64>,
        /// The rule that made gamma of the rows of each fit, `scale` or `auto`, where it is none.
        pub gamma_rule: Option<String>,
        /// The accuracy in each fold; null in a fold where the candidate could not be fitted.
        pub fold_accuracies: Vec<Option<f64>>,
        /// Their mean (`mean_test_score`); null if one is missing.
        pub cv_accuracy: Option<f64>,
        /// 1 for the highest mean; equals share the least (`rank_test_score`). Candidates without a mean come last.
        pub rank: i64,
        /// Whether it is the one that was fitted on all train rows: the first of rank 1.
        pub is_best: bool,
    }
}

/// What the search of a task tried; nothing where there was none.
pub fn candidates<'a>(task: &'a str, fit: &'a TaskFit) -> impl Iterator<Item = Candidate> + 'a {
    let mut sorted = fit.cv_accuracies.clone();
    // `None` is less than any number.
    sorted.sort_by(|a, b| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal));
    let tried = fit.candidates.iter().zip(&fit.cv_accuracies).enumerate();
    tried.map(move |(index, (tried, &cv_accuracy))| {
        let (gamma, gamma_rule) = match tried.parameters.gamma {
            Some(Gamma::Value(gamma)) => (Some(gamma), None),
            rule => (None, rule.map(|rule| rule.to_string())),
        };
        Candidate {
            task: task.to_owned(),
            candidate: number(index),
            kernel: tried.parameters.kernel.map(|kernel| kernel.to_string()),
            c: tried.parameters.c,
            gamma,
            gamma_rule,
            fold_accuracies: tried.fold_accuracies.clone(),
            cv_accuracy,
            rank: number(1 + sorted.partition_point(|other| *other > cv_accuracy)),
            is_best: fit.chosen == Some(index),
        }
    })
}
