//! The published NeWT: its tasks with their clusters, and whether labels are its.
//!
//! Source: Van Horn et al., CVPR 2021, and the labels file published with it. Every published `BioBench` score is a
//! multiple of 1/18,024.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::labels::Labels;
use crate::text::{count, foreign, thousands};

/// Its test rows.
pub const N_TEST_ROWS: usize = 18_024;
/// Its images, by a count of file names; another number alone makes no other data set.
pub const N_IMAGES: usize = 36_032;

const TABLE: &str = include_str!("published.csv");

/// A task of NeWT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedTask {
    /// Its name.
    pub name: &'static str,
    /// Its cluster.
    pub cluster: &'static str,
    /// Its subcluster, where it has one.
    pub subcluster: Option<&'static str>,
}

/// NeWT's 164 tasks, cluster by cluster.
pub fn tasks() -> impl Iterator<Item = PublishedTask> {
    TABLE.lines().skip(1).filter_map(|line| {
        let mut fields = line.split(',');
        Some(PublishedTask {
            name: fields.next()?,
            cluster: fields.next()?,
            subcluster: fields.next().filter(|name| !name.is_empty()),
        })
    })
}

/// A task of a labels file, or of what was evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundTask<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its cluster.
    pub cluster: &'a str,
    /// Its subcluster, where it has one.
    pub subcluster: Option<&'a str>,
    /// How many test rows it has.
    pub n_test_rows: usize,
}

/// How much of the published NeWT a labels file has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Whether it is NeWT: its tasks in their clusters, all of its test rows, nothing else.
    pub is_newt: bool,
    /// How many of NeWT's tasks it has.
    pub n_tasks: usize,
    /// How many tasks it has that are none of NeWT's.
    pub n_other_tasks: usize,
    /// How many test rows it has, of whatever tasks.
    pub n_test_rows: usize,
    /// Tasks of NeWT's that are in another cluster or subcluster there.
    pub regrouped: Vec<Regrouped>,
}

/// A task of NeWT's that a labels file has in another group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Regrouped {
    /// The task.
    pub task: String,
    /// `task_cluster` or `task_subcluster`.
    pub column: &'static str,
    /// The group there.
    pub found: Option<String>,
    /// NeWT's group.
    pub expected: Option<&'static str>,
}

impl Identity {
    /// Compares `labels` with the published NeWT.
    pub fn of(labels: &Labels) -> Self {
        let tasks = labels.tasks();
        Self::of_tasks(tasks.iter().map(|task| FoundTask {
            name: &task.name,
            cluster: &task.cluster,
            subcluster: task.subcluster.as_deref(),
            n_test_rows: task.test_rows.len(),
        }))
    }

    /// Compares some tasks, each with its test rows, with those of the published NeWT.
    pub fn of_tasks<'a>(found: impl IntoIterator<Item = FoundTask<'a>>) -> Self {
        let found = found.into_iter().map(|task| (task.name, task));
        let found: BTreeMap<&str, FoundTask<'_>> = found.collect();
        let n_tasks = tasks().filter(|task| found.contains_key(task.name)).count();
        let n_other_tasks = found.len() - n_tasks;
        let n_test_rows = found.values().map(|task| task.n_test_rows).sum();
        let regrouped: Vec<Regrouped> = tasks()
            .filter_map(|expected| regrouped(found.get(expected.name)?, expected))
            .collect();
        Self {
            is_newt: n_tasks == tasks().count()
                && n_other_tasks == 0
                && n_test_rows == N_TEST_ROWS
                && regrouped.is_empty(),
            n_tasks,
            n_other_tasks,
            n_test_rows,
            regrouped,
        }
    }

    /// How what is not NeWT differs from it: `not NeWT: 10 of its 164 tasks, 400 test rows where NeWT has 18,024`.
    pub fn difference(&self) -> String {
        let mut text = format!(
            "not NeWT: {} of its {} tasks",
            self.n_tasks,
            tasks().count()
        );
        if !self.regrouped.is_empty() {
            text.push_str(&format!(" ({} in another group)", self.regrouped.len()));
        }
        if self.n_other_tasks > 0 {
            let others = count(self.n_other_tasks, "other", "others");
            text.push_str(&format!(" and {others}"));
        }
        let n_test_rows = count(self.n_test_rows, "test row", "test rows");
        let expected = thousands(N_TEST_ROWS as u64);
        format!("{text}, {n_test_rows} where NeWT has {expected}")
    }
}

fn regrouped(found: &FoundTask<'_>, expected: PublishedTask) -> Option<Regrouped> {
    let name = expected.name;
    let differs = |column, found: Option<&str>, expected: Option<&'static str>| {
        (found != expected).then(|| Regrouped {
            task: name.to_owned(),
            column,
            found: found.map(str::to_owned),
            expected,
        })
    };
    differs("task_cluster", Some(found.cluster), Some(expected.cluster))
        .or_else(|| differs("task_subcluster", found.subcluster, expected.subcluster))
}

/// One sentence without a full stop: `this is NeWT: 164 tasks in 5 clusters, 18,024 test rows`.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_newt {
            let clusters: BTreeSet<&str> = tasks().map(|task| task.cluster).collect();
            return write!(
                f,
                "this is NeWT: {} tasks in {} clusters, {} test rows",
                tasks().count(),
                clusters.len(),
                thousands(N_TEST_ROWS as u64)
            );
        }
        write!(f, "{}; published scores do not compare", self.difference())
    }
}

impl fmt::Display for Regrouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |group: Option<&str>| {
            group.map_or("none".to_owned(), |group| format!("`{}`", foreign(group)))
        };
        write!(
            f,
            "task `{}` has `{}` {}, NeWT has {}",
            foreign(&self.task),
            self.column,
            shown(self.found.as_deref()),
            shown(self.expected)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::labels::{LabelRow, Split};
    use super::*;

    /// Labels with NeWT's tasks, and with as many rows as it has.
    fn newt() -> Labels {
        let row = |task: PublishedTask, n: usize, split| LabelRow {
            id: format!("{}-{n}", task.name),
            task: task.name.to_owned(),
            cluster: task.cluster.to_owned(),
            subcluster: task.subcluster.map(str::to_owned),
            label: u8::from(n.is_multiple_of(2)),
            text_label: None,
            split,
        };
        let mut rows = Vec::new();
        for (index, task) in tasks().enumerate() {
            // 164 times 109 and 148 more.
            let n_test_rows = 109 + usize::from(index < 148);
            rows.extend((0..n_test_rows).map(|n| row(task, n, Split::Test)));
            rows.extend((1000..1008).map(|n| row(task, n, Split::Train)));
        }
        Labels { rows }
    }

    #[test]
    fn table_has_the_tasks_and_clusters_of_the_paper() {
        let mut clusters = BTreeMap::new();
        let mut subclusters = BTreeMap::new();
        for task in tasks() {
            *clusters.entry(task.cluster).or_insert(0) += 1;
            *subclusters.entry(task.subcluster).or_insert(0) += 1;
        }
        let expected = [
            ("appearance", 132),
            ("behavior", 16),
            ("context", 8),
            ("counting", 2),
            ("gestalt", 6),
        ];
        assert_eq!(clusters, BTreeMap::from(expected));
        let expected = [
            (None, 32),
            (Some("age"), 14),
            (Some("attribute"), 7),
            (Some("health"), 9),
            (Some("species"), 102),
        ];
        assert_eq!(subclusters, BTreeMap::from(expected));
        assert_eq!(
            tasks().map(|task| task.name).collect::<BTreeSet<_>>().len(),
            164
        );
    }

    #[test]
    fn newt_is_known_by_its_tasks_and_test_rows() {
        let identity = Identity::of(&newt());
        assert!(identity.is_newt);
        assert_eq!(
            identity.to_string(),
            "this is NeWT: 164 tasks in 5 clusters, 18,024 test rows"
        );
    }

    #[test]
    fn what_differs_from_newt_is_said() {
        let mut labels = newt();
        let regrouped = "ml_age_bald_eagle";
        for row in &mut labels.rows {
            if row.task == regrouped {
                row.cluster = "gestalt".to_owned();
            }
        }
        let identity = Identity::of(&labels);
        assert!(!identity.is_newt);
        assert_eq!(
            identity.to_string(),
            "not NeWT: 164 of its 164 tasks (1 in another group), \
             18,024 test rows where NeWT has 18,024; published scores do not compare"
        );
        assert_eq!(
            identity.regrouped[0].to_string(),
            "task `ml_age_bald_eagle` has `task_cluster` `gestalt`, NeWT has `appearance`"
        );
        for row in &mut labels.rows {
            if row.task == regrouped {
                row.cluster = "appearance".to_owned();
                row.subcluster = None;
            }
        }
        assert_eq!(
            Identity::of(&labels).regrouped[0].to_string(),
            "task `ml_age_bald_eagle` has `task_subcluster` none, NeWT has `age`"
        );
        for row in &mut labels.rows {
            if row.task == regrouped {
                row.task = "mine".to_owned();
            }
        }
        assert_eq!(
            Identity::of(&labels).to_string(),
            "not NeWT: 163 of its 164 tasks and 1 other, \
             18,024 test rows where NeWT has 18,024; published scores do not compare"
        );
        let mut labels = newt();
        labels.rows.remove(0);
        assert_eq!(
            Identity::of(&labels).to_string(),
            "not NeWT: 164 of its 164 tasks, \
             18,023 test rows where NeWT has 18,024; published scores do not compare"
        );
    }
}
