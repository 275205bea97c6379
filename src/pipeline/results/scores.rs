//! The scores of an evaluation: what tables, JSON and terminal show of every group.

use strum::VariantArray;

use crate::artifact::rows;
use crate::pipeline::Evaluation;
use crate::stage::bootstrap::GroupInterval;
use crate::stage::probes::FittedTask;
use crate::stage::report::{Accuracy, Level};

/// What the interval `ci` of an accuracy is.
pub const CI_METHOD: &str = "percentile bootstrap over test rows";
/// What the interval `these_tasks_ci` of a mean over tasks is.
pub const THESE_TASKS_METHOD: &str = "percentile bootstrap over test rows within each task";
/// What the interval `tasks_like_these_ci` of a mean over tasks is.
pub const TASKS_LIKE_THESE_METHOD: &str = "percentile bootstrap over tasks";
/// What the interval `wilson` of an accuracy is.
pub const WILSON_METHOD: &str = "Wilson score interval over test rows";

rows! {
    /// The accuracy of one group, the mean over its tasks, and the intervals of both.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Score {
        /// The group's level: `overall`, `cluster`, `subcluster` or `task`.
        pub level: String,
        /// Its name; `all` at the level `overall`.
        pub name: String,
        /// The mean number of rows that its probes were fitted on.
        pub n_train_used: f64,
        /// Its test rows.
        pub n: i64,
        /// The share of right predictions among them.
        pub accuracy: f64,
        /// The lower end of its interval, which `ci_method` names.
        pub ci_low: f64,
        /// The upper end.
        pub ci_high: f64,
        /// What every interval of the row claims to cover: 0.95 for a 95 % interval.
        pub confidence: f64,
        /// How `ci_low` and `ci_high` come about: `percentile bootstrap over test rows`, whatever their task.
        pub ci_method: String,
        /// The lower end of Wilson's interval of the accuracy, for rows independent of each other: the one to read
        /// where all predictions are right, or none, and resamples do not differ.
        pub wilson_low: f64,
        /// The upper end.
        pub wilson_high: f64,
        /// Its tasks.
        pub n_tasks: i64,
        /// The mean of their accuracies.
        pub mean_task_accuracy: f64,
        /// The lower end of its interval for these very tasks: the percentile bootstrap over test rows within each task.
        /// Null at the level `task`, whose interval is `ci`.
        pub these_tasks_ci_low: Option<f64>,
        /// The upper end.
        pub these_tasks_ci_high: Option<f64>,
        /// The lower end of its interval for tasks drawn as these were: the percentile bootstrap over tasks. Null where
        /// there is one task, and narrower than it claims where there are few.
        pub tasks_like_these_ci_low: Option<f64>,
        /// The upper end.
        pub tasks_like_these_ci_high: Option<f64>,
        /// The area under the ROC curve of a task's decision values, ties counted half. Null where its test rows have
        /// one label, and at the wider levels, since decision values of two tasks cannot be compared.
        pub auroc: Option<f64>,
        /// The mean of that over the group's tasks that have one; null where none has.
        pub mean_task_auroc: Option<f64>,
    }
}

impl Score {
    /// Whether all predictions are right or none, so that every resample has the same accuracy.
    pub fn is_at_an_end(&self) -> bool {
        self.accuracy <= 0.0 || self.accuracy >= 1.0
    }
}

impl Evaluation {
    /// The scores of every group, the overall one first.
    pub fn scores(&self) -> Vec<Score> {
        // Both stages have the groups of the predictions, in the same order.
        let groups = self.report.groups.iter().zip(&self.bootstrap.intervals);
        groups
            .map(|(accuracy, intervals)| self.score(accuracy, intervals))
            .collect()
    }

    fn score(&self, accuracy: &Accuracy, intervals: &GroupInterval) -> Score {
        let (accuracy, intervals) = (accuracy.clone(), intervals.clone());
        Score {
            n_train_used: self.n_train_used(&accuracy),
            level: accuracy.level,
            name: accuracy.name,
            n: accuracy.n,
            accuracy: accuracy.accuracy,
            ci_low: intervals.ci_low,
            ci_high: intervals.ci_high,
            confidence: self.bootstrap.settings.confidence(),
            ci_method: CI_METHOD.to_owned(),
            wilson_low: intervals.wilson_low,
            wilson_high: intervals.wilson_high,
            n_tasks: accuracy.n_tasks,
            mean_task_accuracy: accuracy.mean_task_accuracy,
            these_tasks_ci_low: intervals.these_tasks_ci_low,
            these_tasks_ci_high: intervals.these_tasks_ci_high,
            tasks_like_these_ci_low: intervals.tasks_like_these_ci_low,
            tasks_like_these_ci_high: intervals.tasks_like_these_ci_high,
            auroc: accuracy.auroc,
            mean_task_auroc: accuracy.mean_task_auroc,
        }
    }

    /// The mean number of rows that the probes of one of the report's groups were fitted on: `n_train`, unless tasks
    /// have fewer.
    fn n_train_used(&self, group: &Accuracy) -> f64 {
        let mut levels = Level::VARIANTS.iter();
        let level = levels.find(|level| level.as_str() == group.level);
        let n_rows = |task: &FittedTask| {
            let name = level?.group(&task.task, &task.cluster, task.subcluster.as_deref())?;
            (name == group.name).then_some(task.n_train_rows)
        };
        let n_rows: Vec<i64> = self.probes.tasks.iter().filter_map(n_rows).collect();
        n_rows.iter().sum::<i64>() as f64 / n_rows.len() as f64
    }
}
