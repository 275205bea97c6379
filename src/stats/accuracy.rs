//! Accuracies in their three meanings, each under its own name.
//!
//! | name | is | reported by |
//! | --- | --- | --- |
//! | micro | mean over all test predictions | BioBench |
//! | mean over tasks | mean of the tasks' accuracies | NeWT's paper |
//! | cluster or subcluster | mean of the accuracies of its tasks | NeWT's paper |
//!
//! Sums run in the order of the slice, in f64.

use std::collections::BTreeMap;

/// The mean of the values that share a key.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupMean<K> {
    /// What the values share: the name of a task, a cluster or a subcluster.
    pub key: K,
    /// How many values there are, at least one.
    pub n: usize,
    /// Their sum, in order, divided by `n`.
    pub mean: f64,
}

/// Returns the mean of all scores, whatever their task; `None` without any.
pub fn micro(scores: &[f64]) -> Option<f64> {
    mean(scores.iter().copied())
}

/// Returns the mean of the tasks' accuracies, from (task, score) pairs; `None` without any.
pub fn mean_over_tasks<K: Ord + Clone>(scores: &[(K, f64)]) -> Option<f64> {
    mean(group_means(scores).iter().map(|task| task.mean))
}

/// Returns the mean of each group of (key, value) pairs, in order of the keys' first appearance.
///
/// With (task, score) pairs these are the tasks' accuracies; with (cluster, accuracy of a task)
/// pairs the clusters'.
pub fn group_means<K: Ord + Clone>(values: &[(K, f64)]) -> Vec<GroupMean<K>> {
    let mut places = BTreeMap::new();
    let mut groups: Vec<(&K, Vec<f64>)> = Vec::new();
    for (key, value) in values {
        let place = *places.entry(key).or_insert_with(|| {
            groups.push((key, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(*value);
    }
    groups
        .into_iter()
        .filter_map(|(key, values)| {
            Some(GroupMean {
                key: key.clone(),
                n: values.len(),
                mean: micro(&values)?,
            })
        })
        .collect()
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let n = values.len();
    (n > 0).then(|| values.sum::<f64>() / n as f64)
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
    fn groups_come_in_order_of_first_appearance() {
        let groups = group_means(&SCORES);
        let expected = [
            GroupMean {
                key: "z",
                n: 4,
                mean: 0.75,
            },
            GroupMean {
                key: "a",
                n: 2,
                mean: 0.5,
            },
        ];
        assert_eq!(groups, expected);
    }

    #[test]
    fn micro_weighs_predictions_and_mean_over_tasks_weighs_tasks() {
        assert_eq!(micro(&SCORES.map(|(_, score)| score)), Some(4.0 / 6.0));
        assert_eq!(mean_over_tasks(&SCORES), Some(0.625));
    }

    #[test]
    fn nothing_has_no_mean() {
        assert_eq!(micro(&[]), None);
        assert_eq!(mean_over_tasks::<&str>(&[]), None);
        assert!(group_means::<&str>(&[]).is_empty());
    }

    #[test]
    fn sums_run_in_the_order_given() {
        // 1 is below half a unit in the last place of 1e16 when added to it alone.
        assert_eq!(micro(&[1e16, 1.0, 1.0, 0.0]), Some(2.5e15));
        assert_eq!(micro(&[1.0, 1.0, 1e16, 0.0]), Some(2.5e15 + 0.5));
    }
}
