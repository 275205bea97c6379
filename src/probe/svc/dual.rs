//! The quadratic problem behind a C-SVC, its box and its solution.

use super::kernel::KernelFunction;
use crate::probe::settings::Solver;

/// Curvature that stands in for one that is not positive.
pub const TAU: f64 = 1e-12;

/// What a fit needs besides the rows.
#[derive(Clone, Copy, Debug)]
pub struct SvcParams {
    /// The kernel.
    pub function: KernelFunction,
    /// C for label 0 and for label 1.
    pub c: [f64; 2],
    /// Tolerance of the stopping criterion.
    pub tol: f64,
    /// Whether to leave variables at a bound out of the selection.
    pub shrinking: bool,
    /// The most iterations, if there is a limit.
    pub max_iterations: Option<u64>,
    /// Who solves the problem.
    pub solver: Solver,
}

/// The dual problem of a C-SVC.
///
/// ```text
/// minimise ½ αᵀQα - Σ_t α_t   over 0 <= α_t <= C_t with Σ_t y_t α_t = 0,   Q_st = y_s y_t K_st
/// ```
///
/// Rows of label 0 come first and have y = +1, rows of label 1 follow and have y = -1.
#[derive(Clone, Copy)]
pub struct Dual<'a> {
    /// Number of rows.
    pub n: usize,
    /// Number of rows with y = +1.
    pub n_positive: usize,
    /// K rounded to f32, `[n, stride]`; `stride` is a multiple of [`LANES`](super::simd::LANES).
    pub kernel: &'a [f32],
    /// Distance between two rows of `kernel`.
    pub stride: usize,
    /// Diagonal of K in f64, `[stride]`.
    pub diagonal: &'a [f64],
    /// What is to be solved on them, and how.
    pub params: SvcParams,
    /// Asked every now and then, with the iterations done, whether to go on.
    pub go_on: &'a dyn Fn(u64) -> bool,
}

/// Why the solver ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The tolerance is met.
    Converged,
    /// The most iterations that were allowed are done.
    Limit,
    /// The caller asked to stop.
    Stopped,
}

/// What a solved problem tells besides alpha.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Solution {
    /// libsvm's rho: a row is of label 0 where the sum of y α K over the train rows is larger.
    pub rho: f64,
    /// Number of pairs optimised.
    pub iterations: u64,
    /// Why it ended.
    pub ending: Ending,
    /// The largest value that an alpha, or the sum of two alphas of one class, took on the way, if no upper bound ever
    /// limited it and the tolerance was met. A problem that differs only in larger C, or in smaller C above this value, runs the same way.
    pub free_peak: Option<f64>,
}

impl<'a> Dual<'a> {
    /// Row `i` of K, `[stride]`.
    #[inline(always)]
    pub fn kernel_row(&self, i: usize) -> &'a [f32] {
        &self.kernel[i * self.stride..(i + 1) * self.stride]
    }

    /// Curvature of the objective along the direction that changes `i` and `j`; [`TAU`] where it is not positive.
    #[inline(always)]
    pub fn curvature(&self, i: usize, j: usize) -> f64 {
        let kernel = f64::from(self.kernel[i * self.stride + j]);
        let curvature = self.diagonal[i] + self.diagonal[j] - 2.0 * kernel;
        if curvature > 0.0 { curvature } else { TAU }
    }

    /// The same, as libsvm computes it once more for the step: twice K may overflow in f32, and what is not a number
    /// stays so.
    #[inline(always)]
    pub fn step_curvature(&self, i: usize, j: usize) -> f64 {
        let twice_kernel = f64::from(2.0 * self.kernel[i * self.stride + j]);
        let curvature = self.diagonal[i] + self.diagonal[j] - twice_kernel;
        if curvature <= 0.0 { TAU } else { curvature }
    }

    /// +1 or -1.
    #[inline(always)]
    pub fn y(&self, t: usize) -> f64 {
        if t < self.n_positive { 1.0 } else { -1.0 }
    }

    /// Upper bound of alpha `t`.
    #[inline(always)]
    pub fn c_of(&self, t: usize) -> f64 {
        self.params.c[usize::from(t >= self.n_positive)]
    }
}

/// Limits a pair of different classes to its box; the difference of the two is kept.
#[inline(always)]
pub fn clip_to_difference(
    (mut a, mut b): (f64, f64),
    difference: f64,
    c_a: f64,
    c_b: f64,
) -> (f64, f64) {
    if difference > 0.0 {
        if b < 0.0 {
            (a, b) = (difference, 0.0);
        }
    } else if a < 0.0 {
        (a, b) = (0.0, -difference);
    }
    if difference > c_a - c_b {
        if a > c_a {
            (a, b) = (c_a, c_a - difference);
        }
    } else if b > c_b {
        (a, b) = (c_b + difference, c_b);
    }
    (a, b)
}

/// Limits a pair of one class to its box; the sum of the two is kept.
#[inline(always)]
pub fn clip_to_sum((mut a, mut b): (f64, f64), sum: f64, c_a: f64, c_b: f64) -> (f64, f64) {
    if sum > c_a {
        if a > c_a {
            (a, b) = (c_a, sum - c_a);
        }
    } else if b < 0.0 {
        (a, b) = (sum, 0.0);
    }
    if sum > c_b {
        if b > c_b {
            (a, b) = (sum - c_b, c_b);
        }
    } else if a < 0.0 {
        (a, b) = (0.0, sum);
    }
    (a, b)
}
