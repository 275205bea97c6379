//! Linear classifiers against scikit-learn's: `fixtures/probe_linear.json` (made by `make/probe_linear.py`).
//!
//! Equal: every prediction, the chosen C, and the mean accuracy of every C, or among those that scikit-learn itself gives when
//! it runs the task with its columns in another order, or in float64.

use newt_pipe::Interrupt;
use newt_pipe::internals::probe::{ClassWeight, ClassifierName, Probe, TaskFit};
use serde::Deserialize;
use serde_json::Value;

use super::probe_tasks::{Numbers, Recipe, fixture};

/// Distance between decision values that counts as equal, as a share of the largest in the task.
///
/// Norms of rows are float32, and scikit-learn adds their squares in another order than NumPy: 1e-7 in each row. A logistic
/// regression works on float32 rows in float32.
const TOLERANCE: f64 = 1e-5;

/// What is added where scikit-learn differs from itself: so many times the difference that was seen between its runs.
const SPREADS: f64 = 10.0;

#[derive(Deserialize)]
struct Fixture {
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
struct Task {
    name: String,
    settings: Settings,
    #[serde(flatten)]
    recipe: Recipe,
    /// Chosen in one run or another.
    c: Numbers,
    /// Of each C; NaN where a fold could not be fitted.
    cv_means: Vec<Numbers>,
    /// `?` where runs differ.
    y_pred: String,
    decision: Numbers,
    /// The largest difference between decision values of runs that chose the same C, as a share of the largest value.
    spread: f64,
    /// Whether the decision values are those of float32 rows: elsewhere they are of the same rows in float64.
    is_float32: bool,
}

#[derive(Deserialize)]
struct Settings {
    classifier: String,
    class_weight: Value,
    search: Option<String>,
    c: f64,
}

impl Settings {
    fn probe(&self) -> Probe {
        let classifier: ClassifierName = self.classifier.parse().unwrap();
        let probe = match self.search.as_deref() {
            Some("grid") => Probe::newt_2021(classifier),
            Some(_) => Probe::biobench_search().with_classifier(classifier),
            None => Probe::biobench(-1).with_classifier(classifier),
        };
        let weights = || {
            let weights = self.class_weight.as_array().unwrap();
            ClassWeight::Weights([0, 1].map(|label| weights[label].as_f64().unwrap()))
        };
        Probe {
            class_weight: match self.class_weight.as_str() {
                _ if self.class_weight.is_null() => ClassWeight::None,
                Some(_) => ClassWeight::Balanced,
                None => weights(),
            },
            c: self.c,
            ..probe
        }
    }
}

/// The same, or off by the rounding of a C that was drawn.
fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 2.0 * f64::EPSILON * b.abs() || (a.is_nan() && b.is_nan())
}

impl Task {
    fn fit(&self) -> TaskFit {
        let made = self.recipe.make();
        made.fit(&self.name, &self.settings.probe()).unwrap()
    }

    fn assert_equal(&self, fit: &TaskFit) {
        let name = &self.name;
        let c = fit.outcome.c.unwrap();
        assert!(self.c.0.iter().any(|&one| is_near(c, one)), "{name}: C {c}");
        assert_eq!(fit.cv_accuracies.len(), self.cv_means.len(), "{name}");
        for (i, (mean, expected)) in fit.cv_accuracies.iter().zip(&self.cv_means).enumerate() {
            let mean = mean.unwrap_or(f64::NAN);
            let is_among = expected.0.iter().any(|&one| is_near(mean, one));
            assert!(
                is_among,
                "{name}: CV mean {mean} of C {i}, expected {expected:?}"
            );
        }
        if self.c.0.len() > 1 {
            return;
        }
        assert_eq!(fit.y_pred.len(), self.y_pred.len(), "{name}");
        for (row, (label, expected)) in fit.y_pred.iter().zip(self.y_pred.chars()).enumerate() {
            let is_equal = expected == '?' || label.to_string() == expected.to_string();
            assert!(
                is_equal,
                "{name}: {label} for test row {row}, expected {expected}"
            );
        }
        let largest = self.decision.0.iter().map(|value| value.abs());
        let largest = largest.fold(0.0, f64::max);
        let spread = if self.is_float32 { self.spread } else { 0.0 };
        let tolerance = (TOLERANCE + SPREADS * spread) * largest;
        for (decision, expected) in fit.decision.iter().zip(&self.decision.0) {
            assert!(
                (decision - expected).abs() <= tolerance,
                "{name}: decision {decision}, expected {expected} within {tolerance}"
            );
        }
    }
}

#[test]
fn tasks_equal_scikit_learns() {
    let fixture: Fixture = fixture("probe_linear.json");
    for task in &fixture.tasks {
        task.assert_equal(&task.fit());
    }
    // There is something to compare with nearly everywhere.
    let count = |holds: fn(&Task) -> bool| fixture.tasks.iter().filter(|task| holds(task)).count();
    let all = fixture.tasks.len();
    assert!(all >= 80, "{all} tasks");
    assert!(count(|task| task.c.0.len() == 1) + 5 >= all);
    assert!(count(|task| task.spread <= 1e-5) + 10 >= all);
    assert!(count(|task| !task.y_pred.contains('?')) + 5 >= all);
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let fixture: Fixture = fixture("probe_linear.json");
    for task in fixture.tasks.iter().step_by(11) {
        let fits = [1, 3].map(|n_threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads);
            pool.build().unwrap().install(|| task.fit())
        });
        assert_eq!(fits[0], fits[1]);
    }
}

#[test]
fn a_fitted_probe_decides_row_by_row_as_it_did_in_its_task() {
    let fixture: Fixture = fixture("probe_linear.json");
    let interrupt = Interrupt::default();
    for task in fixture.tasks.iter().step_by(7) {
        let fit = task.fit();
        let x_test = task.recipe.make().x_test;
        for (row, decision) in x_test.rows().into_iter().zip(&fit.decision) {
            let row = row.insert_axis(ndarray::Axis(0));
            let (alone, _) = fit.fitted.decision(row, &interrupt).unwrap();
            assert_eq!(alone[0].to_bits(), decision.to_bits(), "{}", task.name);
        }
    }
}
