//! One task: features in, predictions out; no I/O.
//!
//! [`fit_task`] centres the features on the mean of the train rows, scales each row to unit length, chooses kernel, C
//! and gamma by cross-validation if the [`Probe`] asks for it, fits a C-SVC and predicts the test rows. Given the same
//! features, it gives the numbers of NumPy and scikit-learn, on every machine and with any number of threads.
//!
//! | module | what | whose numbers |
//! | --- | --- | --- |
//! | `settings` | [`Probe`] and its parts | |
//! | `normalize`, `summation` | mean, L2 norm | NumPy |
//! | `scaler` | columns to zero mean and unit variance | scikit-learn's `StandardScaler` |
//! | `folds`, `candidates`, `search` | cross-validation | scikit-learn's `StratifiedKFold`, `RandomizedSearchCV`, `GridSearchCV` |
//! | `exact` | exp and ln, for the candidates | rounded once |
//! | `watch` | [`Watch`]: progress of long fits, and stopping them | |
//! | `prepared` | the rows of one fit | |
//! | `svm` | the classifier | libsvm, as scikit-learn's `SVC` runs it |
//! | `fitted` | [`FittedProbe`]: what prediction needs | |
//!
//! # Exact ties
//!
//! Where features have few values, or a row stands in both classes, a decision value can be zero but for rounding, and
//! two candidates can be equally good but for such a row. Then the last bits decide, and scikit-learn's differ from CPU
//! to CPU: `OpenBLAS` adds dot products in another order on each, NumPy has two `exp` and the C library several. So an
//! exact tie is decided by a toss, there and here; here the toss is the same on every machine. Kept are
//!
//! - for dot products and distances the order of `OpenBLAS` on CPUs with AVX-512;
//! - for candidates `exp` rounded correctly, which is NumPy's on CPUs without AVX-512. With AVX-512 NumPy's is up to one
//!   unit in the last place off: so are C or gamma of six of the reference's hundred candidates (22, 37, 74, 78, 85 and
//!   88, counted from 0);
//! - for kernels `exp` and `tanh` within two or three units of the C library's.
//!
//! With the kernel `sigmoid` more hangs on it than the sign of a decision value near zero. Its matrix is indefinite, so
//! the problem has several solutions, and on tied rows the last bits of `tanh` choose among them: decision values differ
//! in their first digit. Of one such task, 36 of 1,200 predictions differ from scikit-learn's, with decision values up to
//! 20; scikit-learn with NumPy's `tanh` in place of the C library's differs from itself likewise.

mod candidates;
mod error;
mod exact;
mod fitted;
mod folds;
pub mod norm;
mod normalize;
mod prepared;
mod remedy;
mod scaler;
mod search;
mod settings;
mod summation;
mod svm;
mod warning;
mod watch;

use ndarray::{Array1, ArrayView2, Axis};

pub use candidates::Candidate;
pub use error::Error;
pub use fitted::{FittedProbe, labels_of};
pub use normalize::{OddRows, Oddity};
use prepared::{Prepared, Run};
pub use scaler::Scaler;
pub use search::ScoredCandidate;
pub use settings::{ClassWeight, Gamma, Kernel, Probe, Search, Solver, Space, Strategy, Values};
use svm::Scratch;
use svm::simd::Level;
pub use warning::Warning;
use watch::Effort;
pub use watch::Watch;

/// Features and labels of one task.
#[derive(Clone, Copy, Debug)]
pub struct TaskData<'a> {
    /// The task's name, for messages.
    pub name: &'a str,
    /// Features of the train rows, `[n_train, d]` f32.
    pub x_train: ArrayView2<'a, f32>,
    /// Labels of the train rows, 0 or 1, `[n_train]`.
    pub y_train: &'a [u8],
    /// Features of the test rows, `[n_test, d]` f32.
    pub x_test: ArrayView2<'a, f32>,
}

/// A fitted task: the predictions, and how they came about.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskFit {
    /// Predicted label of each test row.
    pub y_pred: Vec<u8>,
    /// Decision value of each test row; positive means label 1 (scikit-learn's sign).
    pub decision: Vec<f64>,
    /// The kernel, chosen or given.
    pub kernel: Kernel,
    /// The penalty C, chosen or given.
    pub c: f64,
    /// The kernel's gamma, chosen, given or resolved; the linear kernel has no use for it.
    pub gamma: f64,
    /// Mean accuracy of the chosen candidate over the folds; `None` without a search, or if a fold could not be fitted.
    pub cv_accuracy: Option<f64>,
    /// All candidates of the search, in the order in which scikit-learn tries them; empty without a search.
    pub candidates: Vec<ScoredCandidate>,
    /// Number of support vectors.
    pub n_support: usize,
    /// Bias with scikit-learn's sign (`intercept_`; libsvm's rho).
    pub bias: f64,
    /// Train rows that float32 cannot divide by their norm. Worth a warning that names the images.
    pub odd_train_rows: OddRows,
    /// Test rows that float32 cannot divide by their norm.
    pub odd_test_rows: OddRows,
    /// What else the caller should tell the user.
    pub warnings: Vec<Warning>,
    /// The fitted probe.
    pub fitted: FittedProbe,
}

/// Fits `probe` to the train rows of a task and predicts its test rows.
///
/// `watch` is asked every now and then whether to stop; once it says yes, the fit ends with [`Error::Stopped`]. Within a task, folds and
/// candidates are spread over rayon's threads; the result is the same for any number of them.
///
/// # Errors
/// [`Error::Setting`] for settings out of range, [`Error::Shape`], [`Error::Label`], [`Error::NonFinite`] and
/// [`Error::Overflow`] for data that do not fit, [`Error::NoTrainRows`] and [`Error::OneClass`] without both classes,
/// and the errors of the search.
///
/// Source: `biobench.newt.benchmark`.
pub fn fit_task(probe: &Probe, data: &TaskData<'_>, watch: &dyn Watch) -> Result<TaskFit, Error> {
    probe.validate()?;
    check(data)?;
    watch.check()?;
    let effort = Effort::default();
    let run = Run {
        probe,
        task: data.name,
        level: Level::widest(),
        watch,
        effort: &effort,
    };
    let in_task = |error: Error| {
        error.naming_row(|split, row| format!("task `{}`: {split} row {row}", data.name))
    };
    let mean = probe.center.then(|| normalize::mean_row(data.x_train));
    let (x, odd_train_rows) =
        normalize::normalize(data.x_train, mean.as_ref().map(Array1::view), probe.l2)
            .map_err(|bad| in_task(Error::overflow("train", probe.center, bad)))?;

    let mut warnings = Vec::new();
    let mut candidates = Vec::new();
    if let Some(settings) = &probe.search {
        warnings = warning::of_search(run.task, settings, data.y_train);
        candidates = search::search(run, settings, x.view(), data.y_train)?;
    }
    let best = search::best(&candidates);
    if best.is_some_and(|best| best.cv_accuracy.is_none()) {
        warnings.push(Warning::UnscoredSearch {
            task: run.task.to_owned(),
        });
    }

    let prepared = Prepared::new(run, x, data.y_train)?;
    let candidate = best.map_or(
        Candidate {
            c: probe.c,
            gamma: probe.gamma,
            kernel: probe.kernel,
        },
        |best| best.candidate,
    );
    let fitted = fit_on_all(run, prepared, candidate, mean)?;
    let (decision, odd_test_rows) = fitted
        .decision_and_odd_rows(data.x_test, watch)
        .map_err(in_task)?;
    warnings.extend(effort.warnings(data.name, probe));
    Ok(TaskFit {
        y_pred: labels_of(&decision),
        decision,
        kernel: candidate.kernel,
        c: candidate.c,
        gamma: fitted.gamma,
        cv_accuracy: best.and_then(|best| best.cv_accuracy),
        candidates,
        n_support: fitted.dual_coef.len(),
        bias: fitted.bias,
        odd_train_rows,
        odd_test_rows,
        warnings,
        fitted,
    })
}

/// Fits the chosen candidate on all train rows.
fn fit_on_all(
    run: Run<'_>,
    prepared: Prepared,
    candidate: Candidate,
    mean: Option<Array1<f32>>,
) -> Result<FittedProbe, Error> {
    let Candidate { c, kernel, .. } = candidate;
    let function = prepared.function(run, candidate);
    let mut scratch = Scratch::default();
    prepared.evaluate(run, function, &mut scratch)?;
    let solution = prepared.fit(run, candidate, &mut scratch)?;
    if !scratch.is_finite(solution.rho) {
        return Err(run.not_finite(function, c));
    }
    let coefficients = scratch.coefficients;
    let support: Vec<usize> = (0..coefficients.len())
        .filter(|&i| coefficients[i] != 0.0)
        .collect();
    let support_rows: Vec<usize> = support.iter().map(|&i| prepared.order[i]).collect();
    Ok(FittedProbe {
        mean,
        l2: run.probe.l2,
        support_vectors: prepared.rows.select(Axis(0), &support_rows),
        scaler: prepared.scaler,
        support_rows,
        dual_coef: support.iter().map(|&i| -coefficients[i]).collect(),
        bias: solution.rho,
        kernel,
        gamma: function.gamma,
        degree: run.probe.degree,
        coef0: run.probe.coef0,
    })
}

/// Checks the arrays of a task against each other, and their values.
fn check(data: &TaskData<'_>) -> Result<(), Error> {
    let task = || data.name.to_owned();
    let (n, d) = data.x_train.dim();
    if data.y_train.len() != n {
        return Err(Error::Shape {
            task: task(),
            found: format!("{} labels", data.y_train.len()),
            expected: format!("{n}, one per train row"),
        });
    }
    if data.x_test.ncols() != d || d == 0 {
        return Err(Error::Shape {
            task: task(),
            found: format!(
                "{d} features per train row and {} per test row",
                data.x_test.ncols()
            ),
            expected: "the same number, at least 1".to_owned(),
        });
    }
    if let Some(row) = data.y_train.iter().position(|&label| label > 1) {
        return Err(Error::Label {
            task: task(),
            row,
            label: data.y_train[row],
        });
    }
    let Some(&label) = data.y_train.first() else {
        return Err(Error::NoTrainRows { task: task() });
    };
    if data.y_train.iter().all(|&other| other == label) {
        return Err(Error::OneClass {
            task: task(),
            n_rows: n,
            label,
        });
    }
    for (split, x) in [("train", data.x_train), ("test", data.x_test)] {
        if x.iter().all(|value| value.is_finite()) {
            continue;
        }
        let mut values = x.indexed_iter();
        if let Some(((row, column), &value)) = values.find(|(_, value)| !value.is_finite()) {
            return Err(Error::NonFinite {
                task: task(),
                split,
                row,
                column,
                value,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    reason = "made-up features of few digits; the same number, not a close one"
)]
mod tests;
