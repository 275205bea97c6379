//! Newton's method in a trust region, as liblinear minimises smooth convex functions.
//!
//! Paper: C.-J. Lin, R. C. Weng, S. S. Keerthi, *Trust region Newton method for large-scale logistic regression*, JMLR 9
//! (2008), algorithms 1 and 2. Its letters are kept: w, s (step), g (gradient), r (residual), d (direction), Δ.
//!
//! Which variant: that of the liblinear which scikit-learn 1.9 holds (`sklearn/svm/src/liblinear/tron.cpp`), before
//! liblinear 2.20 brought a preconditioner and a line search.

use super::products::{add_multiple, dot, norm};
use super::{Ending, Limits};
use crate::error::Error;
use crate::interrupt::Interrupt;

/// A twice differentiable convex function.
pub trait Function {
    /// Number of variables.
    fn n_variables(&self) -> usize;
    /// Its value at `w`.
    fn value(&mut self, w: &[f64]) -> f64;
    /// Its gradient at the `w` of the last [`value`](Self::value).
    fn gradient(&mut self, w: &[f64], g: &mut [f64]);
    /// The product of `v` and the Hessian where the last [`gradient`](Self::gradient) was asked for.
    fn hessian_product(&mut self, v: &[f64], product: &mut [f64]);
}

/// A step is taken from this share of the predicted reduction on.
const ETA_0: f64 = 1e-4;
/// Below this share the region shrinks.
const ETA_1: f64 = 0.25;
/// From this share on it grows.
const ETA_2: f64 = 0.75;
/// Factors by which it shrinks and grows.
const SIGMA: [f64; 3] = [0.25, 0.5, 4.0];
/// Conjugate gradients end where the residual is this share of the gradient.
const RESIDUAL: f64 = 0.1;
/// Reductions below this share of the value are rounding.
const ROUNDING: f64 = 1e-12;

/// Minimises `function` from zero on, until its gradient's norm is at most `limits.tol` times that at zero.
///
/// Returns w, which is not finite where the function is not. Whenever conjugate gradients take a step, a stop is heard.
///
/// # Errors
/// The stop.
pub fn minimize(
    function: &mut impl Function,
    limits: Limits,
    interrupt: &Interrupt,
) -> Result<(Vec<f64>, Ending), Error> {
    let n = function.n_variables();
    let mut w = vec![0.0; n];
    let mut w_new = vec![0.0; n];
    let mut g = vec![0.0; n];
    let mut step = ConjugateGradients::new(n);
    let mut value = function.value(&w);
    function.gradient(&w, &mut g);
    let first_norm = norm(&g);
    let mut delta = first_norm;
    if !first_norm.is_finite() {
        return Ok((vec![f64::NAN; n], Ending::Stalled));
    }
    if first_norm <= limits.tol * first_norm {
        return Ok((w, Ending::Converged));
    }
    let mut iterations = 0;
    while !limits.are_reached(iterations) {
        step.find(function, &g, delta, interrupt)?;
        w_new.copy_from_slice(&w);
        add_multiple(&mut w_new, 1.0, &step.s);
        let slope = dot(&g, &step.s);
        let predicted = -0.5 * (slope - dot(&step.s, &step.r));
        let new_value = function.value(&w_new);
        let actual = value - new_value;
        let length = norm(&step.s);
        if actual.is_nan() || !length.is_finite() {
            return Ok((vec![f64::NAN; n], Ending::Stalled));
        }
        if iterations == 0 {
            delta = delta.min(length);
        }
        // Where a parabola through both values has its minimum.
        let curvature = new_value - value - slope;
        let alpha = if curvature <= 0.0 {
            SIGMA[2]
        } else {
            SIGMA[0].max(-0.5 * (slope / curvature))
        };
        delta = if actual < ETA_0 * predicted {
            (alpha.max(SIGMA[0]) * length).min(SIGMA[1] * delta)
        } else if actual < ETA_1 * predicted {
            (alpha * length).min(SIGMA[1] * delta).max(SIGMA[0] * delta)
        } else if actual < ETA_2 * predicted {
            (alpha * length).min(SIGMA[2] * delta).max(SIGMA[0] * delta)
        } else {
            (alpha * length).min(SIGMA[2] * delta).max(delta)
        };
        if actual > ETA_0 * predicted {
            iterations += 1;
            std::mem::swap(&mut w, &mut w_new);
            value = new_value;
            function.gradient(&w, &mut g);
            if norm(&g) <= limits.tol * first_norm {
                return Ok((w, Ending::Converged));
            }
        }
        let are_rounding = |limit: f64| actual.abs() <= limit && predicted.abs() <= limit;
        if (actual == 0.0 && predicted <= 0.0) || are_rounding(ROUNDING * value.abs()) {
            return Ok((w, Ending::Converged));
        }
    }
    Ok((w, Ending::Limit))
}

/// The step of an iteration, and the buffers to find it.
struct ConjugateGradients {
    s: Vec<f64>,
    r: Vec<f64>,
    d: Vec<f64>,
    hessian_d: Vec<f64>,
}

impl ConjugateGradients {
    fn new(n: usize) -> Self {
        let zeros = || vec![0.0; n];
        Self {
            s: zeros(),
            r: zeros(),
            d: zeros(),
            hessian_d: zeros(),
        }
    }

    /// Finds the step s, |s| <= `delta`, that about solves H s = -g, and its residual r = -g - H s.
    ///
    /// # Errors
    /// A stop that was asked for.
    fn find(
        &mut self,
        function: &mut impl Function,
        g: &[f64],
        delta: f64,
        interrupt: &Interrupt,
    ) -> Result<(), Error> {
        let Self { s, r, d, hessian_d } = self;
        s.fill(0.0);
        for (r, &g) in r.iter_mut().zip(g) {
            *r = -g;
        }
        d.copy_from_slice(r);
        let tolerance = RESIDUAL * norm(g);
        let mut square = dot(r, r);
        // A sum that is not a number ends the loop, too.
        while square.sqrt() > tolerance {
            interrupt.check()?;
            function.hessian_product(d, hessian_d);
            let alpha = square / dot(d, hessian_d);
            add_multiple(s, alpha, d);
            if norm(s) > delta {
                add_multiple(s, -alpha, d);
                let to_boundary = to_boundary(s, d, delta);
                add_multiple(s, to_boundary, d);
                add_multiple(r, -to_boundary, hessian_d);
                break;
            }
            add_multiple(r, -alpha, hessian_d);
            let new_square = dot(r, r);
            let beta = new_square / square;
            for (d, &r) in d.iter_mut().zip(&*r) {
                *d = beta * *d + r;
            }
            square = new_square;
        }
        Ok(())
    }
}

/// The factor of `d` with which s + factor · d has the length `delta`.
fn to_boundary(s: &[f64], d: &[f64], delta: f64) -> f64 {
    let (along, step, direction) = (dot(s, d), dot(s, s), dot(d, d));
    let left = delta * delta - step;
    let root = (along * along + direction * left).sqrt();
    if along >= 0.0 {
        left / (along + root)
    } else {
        (root - along) / direction
    }
}
