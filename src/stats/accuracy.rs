//! Accuracies in their three meanings, each under its own name.
//!
//! | name | is | reported by |
//! | --- | --- | --- |
//! | micro | mean over all test predictions | BioBench |
//! | mean over tasks | mean of the tasks' accuracies | NeWT's paper |
//! | cluster or subcluster | mean of the accuracies of its tasks | NeWT's paper |
//!
//! Sums run in the order of the slice, in f64.

use indexmap::IndexMap;

/// Returns the mean of all scores, whatever their task; `None` without any.
pub fn micro(scores: &[f64]) -> Option<f64> {
    (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
}

/// Returns the mean of the tasks' accuracies, from (task, score) pairs; `None` without any.
pub fn mean_over_tasks(scores: &[(&str, f64)]) -> Option<f64> {
    let tasks = by_task(scores).into_values();
    let accuracies: Vec<f64> = tasks.filter_map(|scores| micro(&scores)).collect();
    micro(&accuracies)
}

/// The scores of each task, the tasks in order of first appearance.
fn by_task<'a>(scores: &[(&'a str, f64)]) -> IndexMap<&'a str, Vec<f64>> {
    let mut tasks: IndexMap<_, Vec<f64>> = IndexMap::new();
    for (task, score) in scores {
        tasks.entry(*task).or_default().push(*score);
    }
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORES: [(&str, f64); 6] = [
        ("z", 1.0),
        ("a", 0.0),
        ("z", 1.0),
        ("z", 0.0),
        ("a", 1.0),
        ("z", 1.0),
    ];

    #[test]
    fn tasks_come_in_order_of_first_appearance() {
        let tasks = by_task(&SCORES);
        let expected = [("z", vec![1.0, 1.0, 0.0, 1.0]), ("a", vec![0.0, 1.0])];
        assert!(tasks.clone().into_iter().eq(expected));
        let accuracies = tasks.values().map(|scores| micro(scores));
        assert!(accuracies.eq([Some(0.75), Some(0.5)]));
    }

    #[test]
    fn micro_weighs_predictions_and_mean_over_tasks_weighs_tasks() {
        assert_eq!(micro(&SCORES.map(|(_, score)| score)), Some(4.0 / 6.0));
        assert_eq!(mean_over_tasks(&SCORES), Some(0.625));
    }

    #[test]
    fn nothing_has_no_mean() {
        assert_eq!(micro(&[]), None);
        assert_eq!(mean_over_tasks(&[]), None);
        assert!(by_task(&[]).is_empty());
    }

    #[test]
    fn sums_run_in_the_order_given() {
        // 1 is below half a unit in the last place of 1e16 when added to it alone.
        assert_eq!(micro(&[1e16, 1.0, 1.0, 0.0]), Some(2.5e15));
        assert_eq!(micro(&[1.0, 1.0, 1e16, 0.0]), Some(2.5e15 + 0.5));
    }
}
