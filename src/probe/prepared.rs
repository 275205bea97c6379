//! The rows of one fit, as the SVM sees them.

use ndarray::Array2;

use super::Error;
use super::candidates::Candidate;
use super::folds::count;
use super::remedy;
use super::scaler::Scaler;
use super::settings::{ClassWeight, Gamma, Kernel, Probe, Solver};
use super::summation::pairwise_sum;
use super::svm::gram::{Pairs, Rows};
use super::svm::kernel::KernelFunction;
use super::svm::simd::Level;
use super::svm::{Ending, Scratch, Solution, SvcParams, TrainingSet};
use super::watch::{self, Effort, Stop, Watch};

/// What all fits of one task share.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    /// The probe.
    pub(super) probe: &'a Probe,
    /// The task's name, for messages.
    pub(super) task: &'a str,
    /// The instruction set that loops run on.
    pub(super) level: Level,
    /// Who waits for the task.
    pub(super) watch: &'a dyn Watch,
    /// Counts the work.
    pub(super) effort: &'a Effort,
}

impl Run<'_> {
    /// The error of a fit with `function` and `c` that is not finite.
    pub(super) fn not_finite(self, function: KernelFunction, c: f64) -> Error {
        let kernel = function.kernel;
        Error::NonFiniteSolution {
            task: self.task.to_owned(),
            kernel,
            c,
            gamma: (kernel != Kernel::Linear).then_some(function.gamma),
            remedy: remedy::of_overflow(self.probe, kernel),
        }
    }
}

/// Rows to train on, scaled and multiplied with each other.
pub(super) struct Prepared {
    /// The scaler, if the probe standardises.
    pub(super) scaler: Option<Scaler>,
    /// The rows in the order given, scaled, `[n, d]`.
    pub(super) rows: Array2<f32>,
    /// Index in `rows` of each row of the training set: label 0 first.
    pub(super) order: Vec<usize>,
    set: TrainingSet,
    /// What the rules `scale` and `auto` make of gamma on these rows.
    gammas: [f64; 2],
    /// C of each label is the candidate's times this.
    weights: [f64; 2],
}

impl Prepared {
    /// Scales `x` (`[n, d]`, normalised) as the probe says and multiplies its rows with each other.
    ///
    /// # Errors
    /// [`Stop`] if the one who waits asks for it.
    pub(super) fn new(run: Run<'_>, x: Array2<f32>, labels: &[u8]) -> Result<Self, Stop> {
        let scaler = run.probe.standardize.then(|| Scaler::fit(x.view()));
        let rows = scaled(scaler.as_ref(), x);
        let with_label = |wanted| (0..labels.len()).filter(move |&i| labels[i] == wanted);
        let counts = [count(labels, 0), count(labels, 1)];
        let order: Vec<usize> = with_label(0).chain(with_label(1)).collect();
        let of_order = Rows::select(rows.view(), &order);
        Ok(Self {
            gammas: gammas(&rows),
            set: TrainingSet::new(run.level, of_order, counts[0], run.watch)?,
            scaler,
            rows,
            order,
            weights: class_weights(run.probe.class_weight, counts),
        })
    }

    /// Pairs the rows of the training set with `x` (`[m, d]`, normalised), scaled as they are, for predictions with
    /// `kernels`.
    ///
    /// # Errors
    /// [`Stop`] if the one who waits asks for it.
    pub(super) fn pairs(
        &self,
        run: Run<'_>,
        x: Array2<f32>,
        kernels: &[Kernel],
    ) -> Result<Pairs, Stop> {
        let others = Rows::new(scaled(self.scaler.as_ref(), x).view());
        self.set.pairs(run.level, &others, kernels, run.watch)
    }

    /// Gives the memory of what only products were needed of back.
    pub(super) fn forget_rows(&mut self, run: Run<'_>) {
        self.rows = Array2::default((0, 0));
        // linfa works on rows.
        if run.probe.solver == Solver::Smo {
            self.set.forget_rows();
        }
    }

    /// The kernel function of `candidate`, a rule for gamma resolved on these rows.
    pub(super) fn function(&self, run: Run<'_>, candidate: Candidate) -> KernelFunction {
        let gamma = match candidate.gamma {
            Gamma::Value(gamma) => gamma,
            Gamma::Scale => self.gammas[0],
            Gamma::Auto => self.gammas[1],
        };
        KernelFunction::new(run.probe, candidate.kernel, gamma)
    }

    /// Evaluates a kernel for every pair of rows, for the fits that follow.
    ///
    /// # Errors
    /// [`Stop`] if the one who waits asks for it.
    pub(super) fn evaluate(
        &self,
        run: Run<'_>,
        function: KernelFunction,
        scratch: &mut Scratch,
    ) -> Result<(), Stop> {
        self.set.evaluate(run.level, function, scratch, run.watch)
    }

    /// Fits `candidate` on the kernel values that [`Self::evaluate`] left in `scratch`, and leaves the coefficients
    /// there. They may be infinite or not a number.
    ///
    /// # Errors
    /// [`Error::Stopped`], [`Error::Linfa`].
    pub(super) fn fit(
        &self,
        run: Run<'_>,
        candidate: Candidate,
        scratch: &mut Scratch,
    ) -> Result<Solution, Error> {
        run.watch.check()?;
        let function = self.function(run, candidate);
        let params = SvcParams {
            function,
            c: self.upper_bounds(candidate),
            tol: run.probe.tol,
            shrinking: run.probe.shrinking,
            max_iterations: u64::try_from(run.probe.max_iter).ok(),
            solver: run.probe.solver,
        };
        let go_on = |iterations| {
            if let Some(message) = watch::progress(run.task, function, candidate.c, iterations) {
                if iterations == watch::MANY_ITERATIONS {
                    run.watch.warn(&message);
                } else {
                    run.watch.note(&message);
                }
            }
            !run.watch.stops()
        };
        let solution = self
            .set
            .fit(run.level, params, &go_on, scratch)
            .map_err(|message| Error::Linfa {
                task: run.task.to_owned(),
                message,
            })?;
        run.effort.add(&solution);
        match solution.ending {
            Ending::Converged | Ending::Limit => Ok(solution),
            Ending::Stopped => Err(Error::Stopped),
        }
    }

    /// C for label 0 and for label 1.
    pub(super) fn upper_bounds(&self, candidate: Candidate) -> [f64; 2] {
        self.weights.map(|weight| candidate.c * weight)
    }
}

/// The rows of `x`, transformed if there is a scaler.
pub(super) fn scaled(scaler: Option<&Scaler>, x: Array2<f32>) -> Array2<f32> {
    match scaler {
        Some(scaler) => scaler.transform(x),
        None => x,
    }
}

/// Source: scikit-learn 1.9, `compute_class_weight`.
fn class_weights(rule: ClassWeight, counts: [usize; 2]) -> [f64; 2] {
    match rule {
        ClassWeight::None => [1.0; 2],
        ClassWeight::Balanced => {
            let n = (counts[0] + counts[1]) as f64;
            counts.map(|count| n / (2.0 * count as f64))
        }
        ClassWeight::Weights(weights) => weights,
    }
}

/// Gamma on the rows that the SVM sees, by the rules `scale` and `auto`.
///
/// Source: scikit-learn 1.9, `BaseLibSVM.fit`.
fn gammas(rows: &Array2<f32>) -> [f64; 2] {
    let d = rows.ncols() as f64;
    let variance = variance(rows);
    let scale = if variance == 0.0 {
        1.0
    } else {
        1.0 / (d * variance)
    };
    [scale, 1.0 / d]
}

/// The variance of all values, in f64.
///
/// Source: NumPy 2.4, `np.var` of a row-major array: two pairwise sums over all elements.
fn variance(x: &Array2<f32>) -> f64 {
    let mut values: Vec<f64> = x.iter().copied().map(f64::from).collect();
    let n = values.len() as f64;
    let mean = pairwise_sum(&values) / n;
    for value in &mut values {
        *value = (*value - mean) * (*value - mean);
    }
    pairwise_sum(&values) / n
}
