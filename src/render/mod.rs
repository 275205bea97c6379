//! Results as text; one output format per file. What is shown comes as the plain values below, so
//! that a format knows neither stages nor the pipeline.

pub mod terminal;

use crate::stats::Interval;

/// The accuracy of one group, with its interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The group.
    pub name: String,
    /// Its test rows.
    pub n: i64,
    /// The share of right predictions among them.
    pub accuracy: f64,
    /// Its bootstrap interval.
    pub ci: Interval,
    /// Wilson's interval, where the other says nothing: where all predictions are right, or none.
    pub wilson: Option<Interval>,
}

/// The mean of tasks' accuracies, with its intervals for two claims.
#[derive(Debug, Clone, PartialEq)]
pub struct MeanLine {
    /// The mean.
    pub accuracy: f64,
    /// Rows resampled within each task.
    pub these_tasks: Option<Interval>,
    /// Tasks resampled, where there are several.
    pub tasks_like_these: Option<Interval>,
}

/// The result of one experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// The experiment in one line.
    pub title: String,
    /// One per task.
    pub tasks: Vec<Line>,
    /// One per cluster.
    pub clusters: Vec<Line>,
    /// All test rows together.
    pub overall: Line,
    /// The mean of the tasks' accuracies.
    pub mean_over_tasks: MeanLine,
    /// What the intervals of accuracies are: level and method.
    pub intervals: String,
}

/// One experiment of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepRow {
    /// The model.
    pub model: String,
    /// Train rows per task, or `all`.
    pub n_train: String,
    /// The seed of the draw, or `-`.
    pub seed: String,
    /// The probe.
    pub probe: String,
    /// The seed of its search, where that is repeated.
    pub search_seed: Option<String>,
    /// All test rows together.
    pub overall: Line,
    /// The mean of the tasks' accuracies.
    pub mean_task_accuracy: f64,
    /// What the interval is: level and method.
    pub intervals: String,
}

/// Experiments that differ by a seed alone; each mean with its standard deviation.
#[derive(Debug, Clone, PartialEq)]
pub struct RepeatsLine {
    /// What they have in common, in one line.
    pub title: String,
    /// How many there are.
    pub n: usize,
    /// What the seeds are called that they differ by.
    pub seeds: String,
    /// What is subtracted from their number in the standard deviation.
    pub ddof: usize,
    /// Of all test rows.
    pub accuracy: [f64; 2],
    /// Of the mean over tasks.
    pub mean_task_accuracy: [f64; 2],
}

/// A test image that its task's probe takes for one of the other class.
#[derive(Debug, Clone, PartialEq)]
pub struct MistakeRow {
    /// Its task.
    pub task: String,
    /// Its label, with what people call it.
    pub label: String,
    /// The other one.
    pub predicted: String,
    /// The decision value; positive means label 1.
    pub decision: f64,
    /// Its file.
    pub image: String,
}

/// How a stage went, or would go.
#[derive(Debug, Clone, PartialEq)]
pub struct StageLine {
    /// The stage.
    pub stage: &'static str,
    /// `cached`, `ran`, `runs` or `waits`.
    pub status: &'static str,
    /// How long it took, where it ran.
    pub seconds: Option<f64>,
    /// Why it is not cached, what it did.
    pub notes: Vec<String>,
}
