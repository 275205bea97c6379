//! Rows to train on, and fits on them.

use std::sync::Arc;

use super::aligned::Aligned;
use super::dual::{Dual, Solution, SvcParams};
use super::gram::Gram;
use super::kernel::{self, KernelFunction};
use super::pairs::Pairs;
use super::rows::Rows;
use super::simd::Level;
use super::sums::blocks;
use super::{linfa, solver};
use crate::interrupt::{Interrupt, Stopped};
use crate::probe::settings::Solver;

/// Rows to train on: those of label 0 first, then those of label 1.
#[derive(Debug)]
pub struct TrainingSet {
    /// Shared with fits by linfa, which may outlive the one who waits for them.
    pub rows: Arc<Rows>,
    /// Number of rows of label 0.
    pub n_zeros: usize,
    /// Dot products of all pairs of rows.
    pub gram: Gram,
}

/// Buffers for fits and predictions, reused from one to the next.
#[derive(Debug, Default)]
pub struct Scratch {
    matrix: Aligned<f32>,
    diagonal: Aligned<f64>,
    workspace: solver::Workspace,
    /// y α of each row, in the order of the training set; zero where the row is no support vector.
    pub coefficients: Vec<f64>,
    sums: Aligned<f64>,
}

impl TrainingSet {
    /// Multiplies the rows (`n_zeros` of label 0, then those of label 1) with each other.
    ///
    /// # Errors
    /// [`Stopped`] where a stop was asked for.
    pub fn new(
        level: Level,
        rows: Rows,
        n_zeros: usize,
        interrupt: &Interrupt,
    ) -> Result<Self, Stopped> {
        let gram = Gram::of(level, &rows, interrupt)?;
        Ok(Self {
            rows: Arc::new(rows),
            n_zeros,
            gram,
        })
    }

    /// Gives the rows' memory back; what follows works on the products alone.
    pub fn forget_rows(&mut self) {
        self.rows = Arc::default();
    }

    /// Evaluates the kernel for every pair of rows, for the fits that follow.
    ///
    /// # Errors
    /// [`Stopped`] where a stop was asked for.
    pub fn evaluate(
        &self,
        level: Level,
        function: KernelFunction,
        scratch: &mut Scratch,
        interrupt: &Interrupt,
    ) -> Result<(), Stopped> {
        scratch.matrix.resize(self.gram.dots.len());
        scratch.diagonal.resize(self.gram.stride);
        for block in blocks(self.gram.n) {
            interrupt.check()?;
            kernel::kernel_rows(level, function, &self.gram, block, &mut scratch.matrix);
        }
        kernel::kernel_diagonal(level, function, &self.gram, &mut scratch.diagonal);
        Ok(())
    }

    /// Fits on the kernel values that [`Self::evaluate`] left in `scratch`, and leaves the coefficients there. Every now
    /// and then `go_on` is asked, with the number of iterations done, whether to go on.
    ///
    /// # Errors
    /// linfa's message, if linfa solves the problem.
    pub fn fit(
        &self,
        level: Level,
        params: SvcParams,
        go_on: &dyn Fn(u64) -> bool,
        scratch: &mut Scratch,
    ) -> Result<Solution, String> {
        if params.solver == Solver::Linfa {
            let (coefficients, solution) =
                linfa::fit(&self.rows, self.n_zeros, params, &|| go_on(0))?;
            scratch.coefficients = coefficients;
            return Ok(solution);
        }
        let dual = Dual {
            n: self.gram.n,
            n_positive: self.n_zeros,
            kernel: &scratch.matrix,
            stride: self.gram.stride,
            diagonal: &scratch.diagonal,
            params,
            go_on,
        };
        let solution = solver::solve(level, &dual, &mut scratch.workspace);
        let (zeros, ones) = scratch.workspace.alpha.split_at(self.n_zeros);
        scratch.coefficients.clear();
        scratch.coefficients.extend(zeros);
        scratch.coefficients.extend(ones.iter().map(|alpha| -alpha));
        Ok(solution)
    }
}

impl Scratch {
    /// Says whether the coefficients and `rho` are finite.
    pub fn is_finite(&self, rho: f64) -> bool {
        rho.is_finite()
            && self
                .coefficients
                .iter()
                .all(|coefficient| coefficient.is_finite())
    }

    /// Returns, per column of `pairs`, the sum of its kernel values with the rows times their coefficients. It may be an
    /// estimate, but one on the same side of `rho`.
    ///
    /// # Errors
    /// [`Stopped`] where a stop was asked for.
    pub fn sums_beside(
        &mut self,
        level: Level,
        rho: f64,
        function: KernelFunction,
        pairs: &Pairs,
        interrupt: &Interrupt,
    ) -> Result<&[f64], Stopped> {
        self.sums.resize(pairs.stride);
        let (coefficients, sums) = (&self.coefficients, &mut self.sums);
        let is_clear = pairs.estimate(function).is_some_and(|(estimate, error)| {
            kernel::weighted_sums(level, function, estimate, coefficients, sums);
            let size: f64 = coefficients.iter().map(|number| number.abs()).sum();
            let sums = &sums[..pairs.n_columns];
            sums.iter().all(|sum| (sum - rho).abs() > error * size)
        });
        if !is_clear {
            let arguments = pairs.arguments(level, function.kernel, interrupt)?;
            kernel::weighted_sums(level, function, arguments, coefficients, sums);
        }
        Ok(&self.sums[..pairs.n_columns])
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "features of f32")]
mod tests {
    use std::sync::atomic::Ordering;

    use super::super::dual::Ending;
    use super::super::pairs::Arguments;
    use super::*;
    use crate::probe::settings::Kernel;
    use crate::random::RandomState;
    use ndarray::Array2;

    fn features(n: usize, d: usize, seed: u32) -> Array2<f32> {
        let mut rng = RandomState::new(seed);
        Array2::from_shape_simple_fn((n, d), || (rng.uniform() - 0.45) as f32)
    }

    fn rows(n: usize, d: usize, seed: u32) -> Rows {
        Rows::new(features(n, d, seed).view())
    }

    fn function(kernel: Kernel) -> KernelFunction {
        KernelFunction {
            kernel,
            gamma: 0.3,
            degree: 3,
            coef0: 0.1,
        }
    }

    fn params(kernel: Kernel, c: f64) -> SvcParams {
        SvcParams {
            function: function(kernel),
            c: [c, c],
            tol: 1e-3,
            shrinking: true,
            max_iterations: None,
            solver: Solver::Smo,
        }
    }

    fn training_set(level: Level, rows: Rows, n_zeros: usize) -> TrainingSet {
        TrainingSet::new(level, rows, n_zeros, &Interrupt::default()).unwrap()
    }

    fn evaluate(set: &TrainingSet, level: Level, kernel: Kernel, scratch: &mut Scratch) {
        set.evaluate(level, function(kernel), scratch, &Interrupt::default())
            .unwrap();
    }

    fn fit(set: &TrainingSet, level: Level, params: SvcParams, scratch: &mut Scratch) -> Solution {
        set.fit(level, params, &|_| true, scratch).unwrap()
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        for (n, d) in [(2, 1), (7, 15), (33, 16), (40, 31), (64, 70), (81, 200)] {
            let test = features(n / 2 + 1, d, 2);
            let outcomes: Vec<_> = Level::available()
                .into_iter()
                .map(|level| {
                    let set = training_set(level, rows(n, d, 1), n / 2);
                    let go_on = &Interrupt::default();
                    let test = Rows::new(test.view());
                    let held_out = Pairs::new(level, &set.rows, test, &Kernel::ALL, go_on).unwrap();
                    let mut outcome = set.gram.dots.to_vec();
                    for kernel in [Kernel::Linear, Kernel::Rbf] {
                        match held_out.arguments(level, kernel, go_on).unwrap() {
                            Arguments::Given(values) => outcome.extend(values),
                            Arguments::Distances { .. } => panic!("an estimate"),
                        }
                    }
                    let mut scratch = Scratch::default();
                    for kernel in Kernel::ALL {
                        evaluate(&set, level, kernel, &mut scratch);
                        for c in [1e-2, 1.0, 1e3] {
                            let solution = fit(&set, level, params(kernel, c), &mut scratch);
                            outcome.push(solution.rho);
                            outcome.push(solution.iterations as f64);
                            outcome.extend(&scratch.coefficients);
                            let (rho, function) = (solution.rho, function(kernel));
                            let sums = scratch.sums_beside(level, rho, function, &held_out, go_on);
                            outcome.extend(sums.unwrap());
                        }
                    }
                    outcome.into_iter().map(f64::to_bits).collect::<Vec<_>>()
                })
                .collect();
            for outcome in &outcomes {
                assert!(outcome == &outcomes[0], "{n} rows of {d} features");
            }
        }
    }

    #[test]
    fn a_smaller_c_above_the_peak_gives_the_same_solution() {
        let level = Level::widest();
        let set = training_set(level, rows(40, 100, 3), 20);
        let mut scratch = Scratch::default();
        evaluate(&set, level, Kernel::Linear, &mut scratch);
        let wide = fit(&set, level, params(Kernel::Linear, 1e6), &mut scratch);
        let coefficients = scratch.coefficients.clone();
        let peak = wide.free_peak.unwrap();
        let c = peak * (1.0 + 1e-9);
        let narrow = fit(&set, level, params(Kernel::Linear, c), &mut scratch);
        assert_eq!(wide, narrow);
        assert_eq!(coefficients, scratch.coefficients);
        let limited = fit(
            &set,
            level,
            params(Kernel::Linear, peak / 4.0),
            &mut scratch,
        );
        assert_eq!(limited.free_peak, None);
    }

    #[test]
    fn a_fit_ends_at_its_limit_or_when_it_is_told_to() {
        let level = Level::widest();
        let set = training_set(level, rows(60, 3, 4), 30);
        let mut scratch = Scratch::default();
        evaluate(&set, level, Kernel::Linear, &mut scratch);
        let params = SvcParams {
            tol: 1e-12,
            ..params(Kernel::Linear, 1e3)
        };
        let limited = SvcParams {
            max_iterations: Some(5),
            ..params
        };
        let solution = fit(&set, level, limited, &mut scratch);
        assert_eq!((solution.ending, solution.iterations), (Ending::Limit, 5));
        let go_on = |iterations| iterations < 2000;
        let solution = set.fit(level, params, &go_on, &mut scratch).unwrap();
        assert_eq!(
            (solution.ending, solution.iterations),
            (Ending::Stopped, 2000)
        );
    }

    #[test]
    fn every_matrix_is_left_half_done_when_a_stop_is_asked_for() {
        let level = Level::widest();
        let set = training_set(level, rows(300, 5, 6), 150);
        let mut scratch = Scratch::default();
        let interrupt = Interrupt::at_question(3);
        assert!(Gram::of(level, &rows(300, 5, 6), &interrupt).is_err());
        // At once, not when all is done.
        assert_eq!(interrupt.questions.0.load(Ordering::Relaxed), 3);
        for kernel in [Kernel::Linear, Kernel::Rbf] {
            let interrupt = Interrupt::at_question(3);
            let pairs = Pairs::new(level, &set.rows, rows(20, 5, 7), &[kernel], &interrupt);
            assert!(
                pairs
                    .and_then(|pairs| pairs.arguments(level, kernel, &interrupt).map(drop))
                    .is_err()
            );
            assert_eq!(interrupt.questions.0.load(Ordering::Relaxed), 3);
            let interrupt = Interrupt::at_question(3);
            let evaluated = set.evaluate(level, function(kernel), &mut scratch, &interrupt);
            assert!(evaluated.is_err());
            assert_eq!(interrupt.questions.0.load(Ordering::Relaxed), 3);
        }
    }

    #[test]
    fn a_fit_by_linfa_is_not_waited_for_when_a_stop_is_asked_for() {
        let level = Level::widest();
        let set = training_set(level, rows(400, 3, 8), 200);
        // Minutes, or for ever.
        let params = SvcParams {
            solver: Solver::Linfa,
            tol: 1e-300,
            ..params(Kernel::Linear, 1e9)
        };
        let interrupt = Interrupt::at_question(2);
        let go_on = |_| !interrupt.requested();
        let solution = set
            .fit(level, params, &go_on, &mut Scratch::default())
            .unwrap();
        assert_eq!(solution.ending, Ending::Stopped);
    }
}
