//! One task: features in, predictions out; no I/O.
//!
//! [`fit_task`] centres the features on the mean of the train rows, scales each row to unit length, chooses the
//! classifier's parameters by cross-validation if the [`Probe`] asks for it, fits it and predicts the test rows. Given the
//! same features, it gives the numbers of NumPy and scikit-learn, on every machine and with any number of threads.
//!
//! | module | what | whose numbers |
//! | --- | --- | --- |
//! | `settings` | [`Probe`] and its parts | |
//! | `normalize`, `norm`, `summation` | mean, L2 norm | NumPy |
//! | `scaler` | columns to zero mean and unit variance | scikit-learn's `StandardScaler` |
//! | `folds`, `search` | cross-validation | scikit-learn's `StratifiedKFold`, `RandomizedSearchCV`, `GridSearchCV` |
//! | `candidates` | the candidates of a search | scikit-learn's `ParameterSampler`, `ParameterGrid` |
//! | `draws`, `exact` | their random parameters; exp and ln for them | NumPy and SciPy; rounded once |
//! | `classifier` | what a classifier is, and the list of the kinds | |
//! | `svc` | a classifier | libsvm, as scikit-learn's `SVC` runs it |
//! | `linear` | two classifiers | scikit-learn's `LinearSVC` (liblinear) and `LogisticRegression` (SciPy's L-BFGS-B) |
//! | `remedy` | what helps a fit that is too hard | |
//! | `unsearched` | classifiers without a search: `nearest_neighbours`, `nearest_centroid` | birder's kNN; scikit-learn's `NearestCentroid` |
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
pub mod classifier;
mod draws;
mod error;
mod exact;
mod fitted;
mod folds;
pub mod linear;
pub mod nearest_centroid;
pub mod nearest_neighbours;
pub mod norm;
mod normalize;
mod remedy;
mod scaler;
mod search;
mod settings;
mod summation;
pub mod svc;
#[cfg(test)]
mod tests;
mod unsearched;

use ndarray::{Array1, ArrayView2, CowArray};

use self::classifier::{Classifier, Outcome, Parameters, Run};
use self::error::Overflow;
use self::search::{Chosen, Tried};
use crate::context::Context;
use crate::error::{Error, Message};
use crate::text::foreign;

pub use candidates::Candidate;
pub use classifier::ClassifierName;
pub use error::naming_row;
pub use fitted::{FittedProbe, label_of};
pub use normalize::{OddRows, Oddity};
pub use scaler::Scaler;
pub use settings::{ClassWeight, Gamma, Kernel, Probe, Search, Solver, Space, Strategy, Values};

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
    /// The classifier's parameters, and numbers of its fit.
    pub outcome: Outcome,
    /// Mean accuracy of the chosen candidate over the folds; `None` without a search, or if a fold could not be fitted.
    pub cv_accuracy: Option<f64>,
    /// The mean accuracies over the folds of all candidates, in the order in which scikit-learn tries them; empty without a search.
    pub cv_accuracies: Vec<Option<f64>>,
    /// The same candidates, with their accuracy in each fold.
    pub candidates: Vec<TriedCandidate>,
    /// Index of the candidate that was chosen; `None` without a search.
    pub chosen: Option<usize>,
    /// Train rows that float32 cannot divide by their norm. Worth a warning that names the images.
    pub odd_train_rows: OddRows,
    /// Test rows that float32 cannot divide by their norm.
    pub odd_test_rows: OddRows,
    /// What else the caller should tell the user, a line each.
    pub warnings: Vec<String>,
    /// The fitted probe.
    pub fitted: FittedProbe,
}

/// A candidate of a search, as tables have it.
#[derive(Clone, Debug, PartialEq)]
pub struct TriedCandidate {
    /// Its parameters.
    pub parameters: Parameters,
    /// Its accuracy in each fold; `None` where it could not be fitted.
    pub fold_accuracies: Vec<Option<f64>>,
}

/// Fits `probe` to the train rows of a task and predicts its test rows.
///
/// # Errors
/// Those of [`fit_repeats`].
pub fn fit_task(
    probe: &Probe,
    data: &TaskData<'_>,
    context: Context<'_>,
) -> Result<TaskFit, Error> {
    let seeds = probe.search.as_ref().and_then(Search::seed);
    let fits = fit_repeats(probe, seeds.as_slice(), data, context)?;
    let one = fits.into_iter().next();
    one.ok_or_else(|| Message::machine("probe: no fit, expected one").into())
}

/// Fits `probe` to the train rows of a task once for each seed of its search, and predicts the test rows; once in all
/// where its search draws nothing and `seeds` are none.
///
/// The searches share folds and whatever the classifier prepares of their rows; each fit is what [`fit_task`] gives for its
/// seed, bit for bit.
///
/// A stop is heard between fits, within one every thousand iterations, and between some rows of a matrix. Within a
/// task, folds and candidates are spread over rayon's threads; the result is the same for any number of them.
///
/// # Errors
/// Settings that exclude each other (their ranges are checked where they are read), data that do not fit each other or are
/// not finite, train rows without both classes, a row that overflows, the errors of search and classifier, and a stop that was asked for.
///
/// Source: `biobench.newt.benchmark`.
pub fn fit_repeats(
    probe: &Probe,
    seeds: &[u32],
    data: &TaskData<'_>,
    context: Context<'_>,
) -> Result<Vec<TaskFit>, Error> {
    probe.validate()?;
    check(data)?;
    context.interrupt.check()?;
    let run = Run {
        probe,
        task: data.name,
        context,
    };
    let place = |split, row| format!("task `{}`: {split} row {row}", data.name);
    let kind = probe.classifier.kind();
    (kind.fit)(run, seeds, data).map_err(|error| naming_row(error, place))
}

/// Makes sure, before there are features, that the search of `probe` can divide the train rows of a task, which have these
/// `labels`, among its folds.
///
/// # Errors
/// Too few rows of both labels.
pub fn check_search(probe: &Probe, task: &str, labels: &[u8]) -> Result<(), Error> {
    let Some(search) = &probe.search else {
        return Ok(());
    };
    let counts = [0, 1].map(|label| folds::count(labels, label));
    search::check_counts(&foreign(task), counts, search.folds)
}

/// [`fit_repeats`] with one kind of classifier, on data that were checked.
fn fit_kind<C: Classifier>(
    run: Run<'_>,
    seeds: &[u32],
    data: &TaskData<'_>,
) -> Result<Vec<TaskFit>, Error> {
    let probe = run.probe;
    let first_scaler = probe.standardize_first.then(|| Scaler::fit(data.x_train));
    let x = match &first_scaler {
        Some(scaler) => scaler.transform(data.x_train.to_owned()).into(),
        None => CowArray::from(data.x_train),
    };
    let mean = probe.center.then(|| normalize::mean_row(x.view()));
    let (x, odd_train_rows) =
        normalize::normalize(x.view(), mean.as_ref().map(Array1::view), probe.l2)
            .map_err(|bad| Overflow::new("train", probe.center, bad))?;
    // One for each fit that comes out: it counts the work of that fit and its search alone.
    let classifiers: Vec<C> = (0..seeds.len().max(1)).map(|_| C::default()).collect();
    let chosen = match &probe.search {
        Some(settings) => {
            let searches = settings.repeated(seeds).into_iter().zip(&classifiers);
            let searches: Vec<_> = searches.collect();
            search::search(run, &searches, x.view(), data.y_train)?
        }
        None => vec![Chosen::given(C::given(probe))],
    };

    let (scaler, rows) = scaler::standardized(probe, x);
    let train = classifiers[0].prepare(run, rows, data.y_train)?;
    let mut fits = Vec::with_capacity(chosen.len());
    for (chosen, classifier) in chosen.into_iter().zip(&classifiers) {
        let Chosen {
            candidate,
            index,
            tried,
            mut warnings,
        } = chosen;
        let (fitted, outcome) = classifier.fit(run, &train, candidate)?;
        let fitted = FittedProbe {
            first_scaler: first_scaler.clone(),
            mean: mean.clone(),
            l2: probe.l2,
            scaler: scaler.clone(),
            classifier: std::sync::Arc::new(fitted),
        };
        let (decision, odd_test_rows) = fitted.decision(data.x_test, run.context.interrupt)?;
        warnings.extend(classifier.warnings(run));
        fits.push(TaskFit {
            y_pred: decision.iter().copied().map(C::label).collect(),
            decision,
            outcome,
            cv_accuracy: index.and_then(|index| tried[index].cv_accuracy),
            cv_accuracies: tried.iter().map(|tried| tried.cv_accuracy).collect(),
            candidates: tried.into_iter().map(TriedCandidate::of::<C>).collect(),
            chosen: index,
            odd_train_rows: odd_train_rows.clone(),
            odd_test_rows,
            warnings,
            fitted,
        });
    }
    Ok(fits)
}

impl TriedCandidate {
    fn of<C: Classifier>(tried: Tried<C>) -> Self {
        Self {
            parameters: C::parameters(tried.candidate),
            fold_accuracies: tried.fold_accuracies,
        }
    }
}

/// Checks the arrays of a task against each other, and their values.
fn check(data: &TaskData<'_>) -> Result<(), Message> {
    let bad = |what: String| Message::data(format!("task `{}`: {what}", foreign(data.name)));
    let needs_both = |found: String| {
        bad(format!("{found}, a probe needs both classes"))
            .hint("`newt-pipe data check` lists every task without both")
    };
    let (n, d) = data.x_train.dim();
    if data.y_train.len() != n {
        let n_labels = data.y_train.len();
        return Err(bad(format!(
            "{n_labels} labels, expected {n}, one per train row"
        )));
    }
    let d_test = data.x_test.ncols();
    if d_test != d || d == 0 {
        return Err(bad(format!(
            "{d} features per train row and {d_test} per test row, expected the same number, at least 1"
        )));
    }
    if let Some(row) = data.y_train.iter().position(|&label| label > 1) {
        let label = data.y_train[row];
        return Err(bad(format!(
            "label of train row {row} is `{label}`, expected `0` or `1`"
        )));
    }
    let Some(&label) = data.y_train.first() else {
        return Err(needs_both("0 train rows".to_owned()));
    };
    if data.y_train.iter().all(|&other| other == label) {
        return Err(needs_both(format!("all {n} train rows have label {label}")));
    }
    for (split, x) in [("train", data.x_train), ("test", data.x_test)] {
        if x.iter().all(|value| value.is_finite()) {
            continue;
        }
        let mut values = x.indexed_iter();
        if let Some(((row, column), value)) = values.find(|(_, value)| !value.is_finite()) {
            return Err(bad(format!(
                "{split} row {row} holds `{value}` in column {column}, expected finite features"
            ))
            .hint(
                "a backbone in half precision can overflow; set `features.precision = \"f32\"`",
            ));
        }
    }
    Ok(())
}
