//! The rows of the tables of stage `probes`.

use crate::artifact::{number, rows};
use crate::newt::labels::LabelRow;
use crate::probe::{Probe, TaskFit};
use crate::stats::accuracy;
use crate::text::count;

rows! {
    /// A test row and what its task's probe says of it.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Prediction {
        /// The image.
        pub img_id: String,
        /// Its task.
        pub task: String,
        /// The task's cluster.
        pub cluster: String,
        /// The task's subcluster, where it has one.
        pub subcluster: Option<String>,
        /// What people call the class of the label, where the labels file says so.
        pub text_label: Option<String>,
        /// The label, 0 or 1.
        pub y_true: i64,
        /// The predicted label, 0 or 1.
        pub y_pred: i64,
        /// 1 where the prediction is right, else 0.
        pub score: f64,
        /// The decision value; positive means label 1.
        pub decision: f64,
    }
}

impl Prediction {
    /// What a probe says of the test row `row`.
    pub fn new(row: &LabelRow, y_pred: u8, decision: f64) -> Self {
        Self {
            img_id: row.id.clone(),
            task: row.task.clone(),
            cluster: row.cluster.clone(),
            subcluster: row.subcluster.clone(),
            text_label: row.text_label.clone(),
            y_true: row.label.into(),
            y_pred: y_pred.into(),
            score: f64::from(y_pred == row.label),
            decision,
        }
    }

    /// Whether this can be what a probe says of the test row `row`.
    pub fn is_of(&self, row: &LabelRow) -> bool {
        let score = f64::from(self.y_pred == self.y_true);
        self.img_id == row.id
            && self.task == row.task
            && self.cluster == row.cluster
            && self.subcluster == row.subcluster
            && self.text_label == row.text_label
            && self.y_true == i64::from(row.label)
            && matches!(self.y_pred, 0 | 1)
            && self.score.to_bits() == score.to_bits()
    }
}

rows! {
    /// How one task's probe came out. What its classifier does not have is missing.
    #[derive(Debug, Clone, PartialEq)]
    pub struct FittedTask {
        /// The task.
        pub task: String,
        /// Its cluster.
        pub cluster: String,
        /// Its subcluster, where it has one.
        pub subcluster: Option<String>,
        /// Rows that the probe was fitted on.
        pub n_train_rows: i64,
        /// Rows that it predicted.
        pub n_test_rows: i64,
        /// What was fitted.
        pub classifier: String,
        /// The kernel, the best one where there was a search.
        pub kernel: Option<String>,
        /// C, likewise.
        pub c: Option<f64>,
        /// Gamma, likewise, as a number; the linear kernel has none.
        pub gamma: Option<f64>,
        /// Mean accuracy over the folds, where there was a search.
        pub cv_accuracy: Option<f64>,
        /// Support vectors.
        pub n_support: Option<i64>,
        /// The intercept of the decision, with scikit-learn's sign.
        pub bias: Option<f64>,
        /// Neighbours that vote.
        pub k: Option<i64>,
        /// Share of right test predictions.
        pub accuracy: f64,
    }
}

impl FittedTask {
    /// How the probe of a task came out, of which `any` is a row.
    pub fn new(
        any: &LabelRow,
        n_train_rows: i64,
        fit: &TaskFit,
        predictions: &[Prediction],
    ) -> Self {
        let scores: Vec<f64> = predictions.iter().map(|row| row.score).collect();
        Self {
            task: any.task.clone(),
            cluster: any.cluster.clone(),
            subcluster: any.subcluster.clone(),
            n_train_rows,
            n_test_rows: number(predictions.len()),
            classifier: fit.fitted.classifier.kind().to_string(),
            kernel: fit.outcome.kernel.map(|kernel| kernel.to_string()),
            c: fit.outcome.c,
            gamma: fit.outcome.gamma,
            cv_accuracy: fit.cv_accuracy,
            n_support: fit.outcome.n_support.map(number),
            bias: fit.outcome.bias,
            k: fit.outcome.k.map(number),
            accuracy: accuracy::micro(&scores).unwrap_or(0.0),
        }
    }
}

/// Says for how many `tasks` the `probe` asks for more neighbours than there are train rows.
pub fn shortage_of_neighbours(probe: &Probe, tasks: &[FittedTask]) -> Option<String> {
    let used = tasks.iter().filter_map(|task| task.k);
    let short: Vec<i64> = used.filter(|&k| k < number(probe.k)).collect();
    let (fewest, most) = (short.iter().min()?, short.iter().max()?);
    let each = if fewest == most {
        fewest.to_string()
    } else {
        format!("{fewest} to {most}")
    };
    Some(format!(
        "k = {}: {} of {} with fewer train rows ({each}), where all of them vote; `k` in `{}` is how many do",
        probe.k,
        count(short.len(), "task", "tasks"),
        tasks.len(),
        super::PROBES
    ))
}
