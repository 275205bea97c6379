//! A C-SVC on Gram matrices, with the numbers of libsvm as scikit-learn runs it.
//!
//! Every kernel is a function of dot products, so one [`gram::Gram`] matrix per set of rows serves all kernels and
//! parameters. [`kernel`] makes kernel values of it, [`solver`] solves the [`dual`] problem; [`training`] puts the three
//! together. Their loops are compiled for several instruction sets ([`simd`]) with the same bits on all. [`linfa`] has
//! another library solve the same problem.
//!
//! Papers: R.-E. Fan, P.-H. Chen, C.-J. Lin, *Working set selection using second order information for training support
//! vector machines*, JMLR 6 (2005); C.-C. Chang, C.-J. Lin, *LIBSVM: a library for support vector machines*, ACM TIST 2
//! (2011). Their letters are kept: α, y, C, K, Q = yyᵀK, ρ.
//!
//! Signs in here are libsvm's: label 0 has y = +1, and a row is of label 0 where Σ y α K(x, ·) - ρ > 0.

#![expect(
    clippy::inline_always,
    reason = "a loop is compiled for an instruction set only where it is inlined into a function for that set"
)]

mod aligned;
mod dual;
mod effort;
mod fitted;
mod functions;
mod gram;
mod held_out;
mod kernel;
mod linfa;
pub mod pairs;
pub mod rows;
mod saturated;
mod series;
pub mod simd;
mod solver;
pub mod sums;
mod training;

use std::sync::{Mutex, PoisonError};

use ndarray::{Array2, Axis};

use self::dual::{Ending, Solution, SvcParams};
use self::effort::{Effort, MANY_ITERATIONS};
use self::held_out::HeldOut;
use self::pairs::Pairs;
use self::rows::Rows;
use self::saturated::Saturated;
use self::simd::Level;
use self::training::{Scratch, TrainingSet};
use super::candidates::Candidate;
use super::classifier::{Classifier, ClassifierName, Outcome, Parameters, Parts, Run};
use super::folds::count;
use super::remedy;
use super::search::Fold;
use super::settings::{Gamma, Kernel, Probe, Search, Solver, Values};
use super::summation::pairwise_sum;
use crate::error::{Error, Message};
use crate::text::{foreign, said};

pub use self::fitted::FittedSvc;
pub use self::kernel::KernelFunction;

/// exp of each lane, within two units in the last place for -708 <= x <= 709, with the same bits on every machine.
pub fn exp_of_lanes(x: [f64; simd::LANES]) -> [f64; simd::LANES] {
    functions::exp(simd::Base, x)
}

/// The C-SVC, at work on one task.
pub struct Svc {
    /// The instruction set that loops run on.
    level: Level,
    /// Counts the work.
    effort: Effort,
    /// Buffers that no thread works with; there are at most as many as threads.
    free: Mutex<Vec<Scratch>>,
}

impl Default for Svc {
    fn default() -> Self {
        Self {
            level: Level::widest(),
            effort: Effort::default(),
            free: Mutex::default(),
        }
    }
}

/// Rows to train on, multiplied with each other.
pub struct Train {
    /// The rows in the order given, `[n, d]`.
    rows: Array2<f32>,
    /// Index in `rows` of each row of the training set: label 0 first.
    order: Vec<usize>,
    set: TrainingSet,
    /// What the rules `scale` and `auto` make of gamma on these rows.
    gammas: [f64; 2],
    /// C of each label is the candidate's times this.
    weights: [f64; 2],
}

impl Train {
    /// The kernel function of `candidate`, a rule for gamma resolved on these rows.
    fn function(&self, probe: &Probe, candidate: Candidate) -> KernelFunction {
        let gamma = match candidate.gamma {
            Gamma::Value(gamma) => gamma,
            Gamma::Scale => self.gammas[0],
            Gamma::Auto => self.gammas[1],
        };
        KernelFunction {
            kernel: candidate.kernel,
            gamma,
            degree: probe.degree,
            coef0: probe.coef0,
        }
    }

    /// C for label 0 and for label 1.
    fn upper_bounds(&self, candidate: Candidate) -> [f64; 2] {
        self.weights.map(|weight| candidate.c * weight)
    }
}

impl Classifier for Svc {
    const NAME: ClassifierName = ClassifierName::Svc;
    const SETTINGS: &'static [&'static str] = &[
        "kernel",
        "c",
        "gamma",
        "degree",
        "coef0",
        "tol",
        "shrinking",
        "max_iter",
        "class_weight",
        "solver",
    ];
    const SEARCHED: &'static [&'static str] = &["kernel", "c", "gamma"];
    type Candidate = Candidate;
    type Train = Train;
    type HeldOut = HeldOut;
    type Fitted = FittedSvc;

    fn set_defaults(probe: &mut Probe) {
        probe.tol = 1e-3;
        probe.max_iter = -1;
    }

    fn given(probe: &Probe) -> Candidate {
        Candidate {
            c: probe.c,
            gamma: probe.gamma,
            kernel: probe.kernel,
        }
    }

    fn candidates(search: &Search) -> Vec<Candidate> {
        search.candidates()
    }

    fn parameters(candidate: Candidate) -> Parameters {
        let Candidate { c, gamma, kernel } = candidate;
        Parameters {
            kernel: Some(kernel),
            c: Some(c),
            gamma: (kernel != Kernel::Linear).then_some(gamma),
        }
    }

    /// Candidates that share a kernel matrix, by falling C.
    fn groups(candidates: &[Candidate]) -> Vec<Vec<usize>> {
        let key = |&i: &usize| candidates[i].matrix_key();
        let mut by_matrix: Vec<usize> = (0..candidates.len()).collect();
        by_matrix.sort_by(|a, b| {
            let by_falling_c = || candidates[*b].c.total_cmp(&candidates[*a].c);
            key(a).cmp(&key(b)).then_with(by_falling_c)
        });
        let groups = by_matrix.chunk_by(|a, b| key(a) == key(b));
        groups.map(<[usize]>::to_vec).collect()
    }

    fn prepare(&self, run: Run<'_>, rows: Array2<f32>, labels: &[u8]) -> Result<Train, Error> {
        let with_label = |wanted| (0..labels.len()).filter(move |&i| labels[i] == wanted);
        let counts = [count(labels, 0), count(labels, 1)];
        let order: Vec<usize> = with_label(0).chain(with_label(1)).collect();
        let of_order = Rows::select(rows.view(), &order);
        Ok(Train {
            gammas: gammas(&rows, run.probe),
            set: TrainingSet::new(self.level, of_order, counts[0], run.context.interrupt)?,
            rows,
            order,
            weights: run.probe.class_weight.factors(counts),
        })
    }

    fn hold_out(
        &self,
        run: Run<'_>,
        train: &mut Train,
        rows: Array2<f32>,
    ) -> Result<HeldOut, Error> {
        let kernels = run.probe.kernels();
        let interrupt = run.context.interrupt;
        let rows = Rows::new(rows.view());
        let pairs = Pairs::new(self.level, &train.set.rows, rows, &kernels, interrupt)?;
        // What follows works on the products alone, but for linfa.
        train.rows = Array2::default((0, 0));
        if run.probe.solver == Solver::Smo {
            train.set.forget_rows();
        }
        Ok(HeldOut::new(pairs))
    }

    fn score(
        &self,
        run: Run<'_>,
        fold: &Fold<Self>,
        candidates: &[Candidate],
    ) -> Result<Vec<Result<f64, Error>>, Error> {
        let train = &fold.train;
        let function = train.function(run.probe, candidates[0]);
        self.with_scratch(|scratch| {
            let (held_out, interrupt) = (&fold.held_out, run.context.interrupt);
            let mut is_evaluated = false;
            // The last accuracy, with the value of C above which it holds, too.
            let mut last: Option<(f64, f64)> = None;
            let score = |&candidate| {
                if let Some((peak, accuracy)) = last
                    && train.upper_bounds(candidate).iter().all(|&c| c > peak)
                {
                    return Ok(Ok(accuracy));
                }
                interrupt.check()?;
                let params = params(run.probe, train, candidate);
                let saturated = held_out.saturated(self.level, &train.set, &params);
                if let Some(Saturated { rho, sums }) = saturated {
                    return Ok(Ok(fold.accuracy(sums.iter().map(|sum| rho - sum))));
                }
                if !is_evaluated {
                    (train.set).evaluate(self.level, function, scratch, interrupt)?;
                    is_evaluated = true;
                }
                let solution = self.solve(run, train, candidate, scratch)?;
                let rho = solution.rho;
                if !scratch.is_finite(rho) {
                    return Ok(Err(not_finite(run, function, candidate.c).into()));
                }
                let pairs = &held_out.pairs;
                let sums = scratch.sums_beside(self.level, rho, function, pairs, interrupt)?;
                let accuracy = fold.accuracy(sums.iter().map(|sum| rho - sum));
                last = solution.free_peak.map(|peak| (peak, accuracy));
                Ok(Ok(accuracy))
            };
            candidates.iter().map(score).collect()
        })
    }

    fn fit(
        &self,
        run: Run<'_>,
        train: &Train,
        candidate: Candidate,
    ) -> Result<(FittedSvc, Outcome), Error> {
        let Candidate { c, kernel, .. } = candidate;
        let function = train.function(run.probe, candidate);
        // The search is over, and its buffers are large.
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.truncate(1);
        drop(free);
        self.with_scratch(|scratch| {
            train
                .set
                .evaluate(self.level, function, scratch, run.context.interrupt)?;
            let bias = self.solve(run, train, candidate, scratch)?.rho;
            if !scratch.is_finite(bias) {
                return Err(not_finite(run, function, c).into());
            }
            let coefficients = &scratch.coefficients;
            let support: Vec<usize> = (0..coefficients.len())
                .filter(|&i| coefficients[i] != 0.0)
                .collect();
            let support_rows: Vec<usize> = support.iter().map(|&i| train.order[i]).collect();
            let outcome = Outcome {
                kernel: Some(kernel),
                c: Some(c),
                gamma: function.used_gamma(),
                n_support: Some(support.len()),
                bias: Some(bias),
                k: None,
            };
            let fitted = FittedSvc {
                support_vectors: train.rows.select(Axis(0), &support_rows),
                support_rows,
                dual_coef: support.iter().map(|&i| -coefficients[i]).collect(),
                bias,
                function,
            };
            Ok((fitted, outcome))
        })
    }

    fn warnings(&self, run: Run<'_>) -> Vec<String> {
        self.effort.warnings(run)
    }

    fn load(saved: &dyn Parts) -> Result<FittedSvc, Error> {
        FittedSvc::load(saved)
    }
}

impl Svc {
    /// Works with buffers that others have left.
    fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let free = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = free().pop().unwrap_or_default();
        let result = work(&mut scratch);
        free().push(scratch);
        result
    }

    /// Fits `candidate` on the kernel values that [`TrainingSet::evaluate`] left in `scratch`, and leaves the coefficients
    /// there. They may be infinite or not a number.
    ///
    /// # Errors
    /// A stop that was asked for, and what linfa refuses.
    fn solve(
        &self,
        run: Run<'_>,
        train: &Train,
        candidate: Candidate,
        scratch: &mut Scratch,
    ) -> Result<Solution, Error> {
        let Run { probe, context, .. } = run;
        context.interrupt.check()?;
        let params = params(probe, train, candidate);
        let function = params.function;
        let go_on = |iterations| {
            if let Some(message) = effort::progress(run.task, function, candidate.c, iterations) {
                if iterations == MANY_ITERATIONS {
                    context.progress.warn(&message);
                } else {
                    context.progress.note(&message);
                }
            }
            !context.interrupt.requested()
        };
        let solution = train
            .set
            .fit(self.level, params, &go_on, scratch)
            .map_err(|message| {
                let (task, message) = (foreign(run.task), said(&message));
                Message::data(format!("task `{task}`: linfa: {message}"))
            })?;
        self.effort.add(&solution);
        if solution.ending == Ending::Stopped {
            context.interrupt.check()?;
        }
        Ok(solution)
    }
}

/// What is solved for `candidate`.
fn params(probe: &Probe, train: &Train, candidate: Candidate) -> SvcParams {
    SvcParams {
        function: train.function(probe, candidate),
        c: train.upper_bounds(candidate),
        tol: probe.tol,
        shrinking: probe.shrinking,
        max_iterations: u64::try_from(probe.max_iter).ok(),
        solver: probe.solver,
    }
}

/// The error of a fit with `function` and `c` that is not finite.
fn not_finite(run: Run<'_>, function: KernelFunction, c: f64) -> Message {
    let text = format!(
        "task `{}`: kernel {} with c = {c}{} gives a solution that is not finite, expected finite coefficients",
        foreign(run.task),
        function.kernel,
        function.and_gamma()
    );
    Message::data(text).hint(remedy::of_overflow(run.probe, function.kernel))
}

/// Gamma on the rows that the SVM sees, by the rules `scale` (not a number where no candidate of `probe` asks for it: it
/// takes two more passes over the rows) and `auto`.
///
/// Source: scikit-learn 1.9, `BaseLibSVM.fit`.
fn gammas(rows: &Array2<f32>, probe: &Probe) -> [f64; 2] {
    let d = rows.ncols() as f64;
    let scale = || match variance(rows) {
        0.0 => 1.0,
        variance => 1.0 / (d * variance),
    };
    let scale = if may_scale(probe) { scale() } else { f64::NAN };
    [scale, 1.0 / d]
}

/// Says whether a candidate of `probe` may ask for the gamma `scale`.
fn may_scale(probe: &Probe) -> bool {
    match &probe.search {
        None => probe.gamma == Gamma::Scale,
        Some(search) => search.spaces.iter().any(|space| match &space.gamma {
            Values::List(gammas) => gammas.contains(&Gamma::Scale),
            Values::LogUniform { .. } => false,
        }),
    }
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
