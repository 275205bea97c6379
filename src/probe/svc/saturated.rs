//! Fits of which it can be told beforehand that every α ends at C.
//!
//! With a small C, libsvm's solver takes a pair of rows of different labels, neither touched before, raises both α from 0
//! to C, and goes on so until none is left. In a search that is what most fits on kernels of small values do. Where this
//! course is certain, the solution is known, and the sums of a [`Series`](super::series::Series) tell what it predicts.
//!
//! Let v be as in the solver: `v_t = y_t - C Σ_{s in S} y_s K(s, t)`, where S is what was raised so far. S holds as many rows
//! of either label, so that K may be less by a constant in this sum; what is left of K is small. The course is certain if,
//! whatever pairs make up S,
//!
//! 1. the largest v of `I_up` is that of an untouched row with y = +1, called i;
//! 2. the largest gain with i, `(v_i - v_j)²` over the curvature, is that of an untouched row with y = -1, called j;
//! 3. the step, `v_i - v_j` over the curvature, is longer than C;
//! 4. `v_i - v_j` exceeds the tolerance, and the violation falls below it once all is raised.

use super::dual::{SvcParams, TAU};
use super::series::Sums;
use crate::probe::settings::Solver;

/// Half a unit in the last place of 1.
const U: f64 = f64::EPSILON / 2.0;
/// Half a unit in the last place of 1 in f32, and a little more.
const U_F32: f64 = 6e-8;
/// Kernel values below this lose more than that to f32.
const TINY: f64 = 1e-44;

/// The solution with every α at C, and what it predicts.
#[derive(Debug)]
pub struct Saturated {
    /// libsvm's rho.
    pub rho: f64,
    /// Per held-out row, the sum that is compared with rho.
    pub sums: Vec<f64>,
}

/// The most rows for which no row is shrunk on this course.
const MOST_ROWS: usize = 1000;

/// Says whether the course is possible: as many rows and the same C for either label, and nothing that ends it early.
pub fn is_plain(params: &SvcParams, n: usize, n_zeros: usize) -> bool {
    let [c, c_of_ones] = params.c;
    params.solver == Solver::Smo
        && c > 0.0
        && c.to_bits() == c_of_ones.to_bits()
        && 2 * n_zeros == n
        && n <= MOST_ROWS
        && params.tol >= 0.0
        && (params.max_iterations).is_none_or(|most| most > n_zeros as u64)
}

/// The solution of `params`, which [are plain](is_plain), if every α is certain to end at C and no held-out row is too
/// close to rho to tell its side.
pub fn saturated(params: &SvcParams, n_zeros: usize, sums: &Sums) -> Option<Saturated> {
    if !sums.are_finite() {
        return None;
    }
    let (c, n) = (params.c[0], sums.train.len());
    let largest_size = largest(&sums.sizes);
    let own = sums.diagonal.iter().map(|value| value + sums.constant);
    let least_own = own.clone().fold(f64::INFINITY, f64::min);
    let most_own = own.fold(f64::NEG_INFINITY, f64::max);
    let largest_own = most_own.abs().max(least_own.abs());
    let largest_value = sums.largest.max(largest_own);
    // How far v is off here or in the solver: K is rounded to f32, and each pair is added with three roundings.
    let n_f64 = n as f64;
    let error_of_f32 = U_F32 * (largest_size + n_f64 * sums.constant + largest_own) + n_f64 * TINY;
    let largest_v = 1.0 + c * (largest_size + largest_own + sums.constant);
    let error_of_v =
        c * (sums.error + error_of_f32) + 4.0 * n_f64 * U * (4.0 * c * largest_value + largest_v);
    let error_of_sum = c * (sums.error + 4.0 * n_f64 * n_f64 * U * largest_value);

    let extent = |t: usize| {
        let (sum, size) = (sums.train[t], sums.sizes[t]);
        // The sum over some rows is at least that of its negative terms, at most that of its positive ones.
        let (least, most) = ((sum - size) / 2.0, f64::midpoint(sum, size));
        (c * least - error_of_v, c * most + error_of_v)
    };
    let mut positive = Extent::default();
    let mut negative = Extent::default();
    for t in 0..n {
        let (least, most) = extent(t);
        let own = c * sums.diagonal[t];
        let end = c * sums.train[t];
        if t < n_zeros {
            positive.take([1.0 - most, 1.0 - least], -own, 1.0 - end - own);
        } else {
            negative.take([-1.0 - most, -1.0 - least], own, -1.0 - end + own);
        }
    }
    let slack = 2.0 * U_F32 * largest_value + TINY;
    let largest_curvature = (2.0 * (most_own - sums.range[0]) + slack).max(TAU);
    let least_curvature = (2.0 * (least_own - sums.range[1]) - slack).max(TAU);
    let between = positive.untouched[0] - negative.untouched[1];
    let within = (positive.untouched[1] - positive.raised[0]).max(0.0);
    let more = 1.0 + 1e-9;
    let is_certain = positive.untouched[0] > negative.raised[1]
        && between > 0.0
        && between * between * least_curvature > within * within * largest_curvature * more
        && between > c * largest_curvature * more
        && between > params.tol * more
        && positive.end[0] - negative.end[1] > 2.0 * error_of_v;
    if !is_certain {
        return None;
    }
    let rho = -f64::midpoint(positive.end[0], negative.end[1]);
    let predicted: Vec<f64> = sums.held_out.iter().map(|sum| c * sum).collect();
    let error = error_of_v + error_of_sum;
    let is_clear = predicted.iter().all(|sum| (rho - sum).abs() > error);
    is_clear.then_some(Saturated {
        rho,
        sums: predicted,
    })
}

/// Bounds of v over the rows of one label.
struct Extent {
    /// While a row's α is 0.
    untouched: [f64; 2],
    /// While it is C.
    raised: [f64; 2],
    /// In the end, but for rounding.
    end: [f64; 2],
}

impl Default for Extent {
    fn default() -> Self {
        let nothing = [f64::INFINITY, f64::NEG_INFINITY];
        Self {
            untouched: nothing,
            raised: nothing,
            end: nothing,
        }
    }
}

impl Extent {
    /// Takes a row in: bounds of its v while untouched, the change by its own α, and v in the end.
    fn take(&mut self, [least, most]: [f64; 2], own: f64, end: f64) {
        let widen = |range: &mut [f64; 2], [least, most]: [f64; 2]| {
            *range = [range[0].min(least), range[1].max(most)];
        };
        widen(&mut self.untouched, [least, most]);
        widen(&mut self.raised, [least + own, most + own]);
        widen(&mut self.end, [end, end]);
    }
}

/// The largest of numbers that are not negative.
fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    reason = "features of f32; every α is C itself"
)]
mod tests {
    use ndarray::Array2;

    use super::super::held_out::HeldOut;
    use super::super::kernel::KernelFunction;
    use super::super::pairs::Pairs;
    use super::super::rows::Rows;
    use super::super::simd::Level;
    use super::super::training::{Scratch, TrainingSet};
    use super::*;
    use crate::interrupt::Interrupt;
    use crate::probe::settings::Kernel;
    use crate::random::RandomState;

    const N: usize = 60;
    const D: usize = 100;

    /// Rows of variance 1, the first `n_zeros` of them elsewhere than the others, and rows that are held out.
    fn fold(n_zeros: usize) -> (TrainingSet, HeldOut) {
        let mut rng = RandomState::new(5);
        let mut rows = |n: usize| {
            let side = |i| if i < n_zeros { 0.2 } else { -0.2 };
            let value = |(i, _)| ((rng.uniform() - 0.5) * 3.46 + side(i)) as f32;
            Rows::new(Array2::from_shape_fn((n, D), value).view())
        };
        let (level, interrupt) = (Level::widest(), &Interrupt::default());
        let (train, test) = (rows(N), rows(21));
        let set = TrainingSet::new(level, train, n_zeros, interrupt).unwrap();
        let pairs = Pairs::new(level, &set.rows, test, &Kernel::ALL, interrupt).unwrap();
        (set, HeldOut::new(pairs))
    }

    fn params(kernel: Kernel, c: f64, gamma: f64) -> SvcParams {
        SvcParams {
            function: KernelFunction {
                kernel,
                gamma,
                degree: 3,
                coef0: 0.0,
            },
            c: [c, c],
            tol: 1e-3,
            shrinking: true,
            max_iterations: None,
            solver: Solver::Smo,
        }
    }

    #[test]
    fn what_is_certain_is_what_the_solver_does() {
        let (level, interrupt) = (Level::widest(), &Interrupt::default());
        let (set, held_out) = fold(N / 2);
        let mut scratch = Scratch::default();
        for kernel in Kernel::ALL {
            let mut n_certain = 0;
            for c in [1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0] {
                for gamma in [1e-4, 5e-4, 1e-3, 5e-3, 1e-2] {
                    let params = params(kernel, c, gamma);
                    let Some(saturated) = held_out.saturated(level, &set, &params) else {
                        continue;
                    };
                    n_certain += 1;
                    let function = params.function;
                    set.evaluate(level, function, &mut scratch, interrupt)
                        .unwrap();
                    let solution = set.fit(level, params, &|_| true, &mut scratch).unwrap();
                    assert!(scratch.coefficients.iter().all(|alpha| alpha.abs() == c));
                    assert_eq!(solution.iterations, (N / 2) as u64);
                    let rho = solution.rho;
                    assert!((rho - saturated.rho).abs() < 1e-5 * c);
                    let pairs = &held_out.pairs;
                    let sums = scratch.sums_beside(level, rho, function, pairs, interrupt);
                    for (sum, certain) in sums.unwrap().iter().zip(&saturated.sums) {
                        assert!((sum - certain).abs() < 1e-9 * c);
                        assert_eq!(*sum < rho, *certain < saturated.rho);
                    }
                }
            }
            // Many of the forty, but for the kernel that has no series.
            let is_expected = if kernel == Kernel::Linear {
                n_certain == 0
            } else {
                n_certain > 8
            };
            assert!(is_expected, "{kernel}: {n_certain}");
        }
    }

    #[test]
    fn what_changes_the_course_is_left_to_the_solver() {
        let level = Level::widest();
        let (set, held_out) = fold(N / 2);
        let is_certain = |params| held_out.saturated(level, &set, &params).is_some();
        let params = params(Kernel::Sigmoid, 1e-2, 1e-3);
        assert!(is_certain(params));
        let c = [1e-2, 2e-2];
        assert!(!is_certain(SvcParams { c, ..params }));
        let max_iterations = Some(N as u64 / 2);
        assert!(!is_certain(SvcParams {
            max_iterations,
            ..params
        }));
        assert!(!is_certain(SvcParams { tol: 2.0, ..params }));
        let mut function = params.function;
        function.gamma = 1.0;
        assert!(!is_certain(SvcParams { function, ..params }));
        let (set, held_out) = fold(N / 2 + 1);
        assert!(held_out.saturated(level, &set, &params).is_none());
    }
}
