//! L-BFGS without bounds, on the way that SciPy's L-BFGS-B takes.
//!
//! Papers: R. H. Byrd, P. Lu, J. Nocedal, C. Zhu, *A limited memory algorithm for bound constrained optimization*, SIAM J.
//! Sci. Comput. 16 (1995); J. Nocedal, *Updating quasi-Newton matrices with limited storage*, Math. Comp. 35 (1980), for
//! the product with the inverse Hessian, which equals that of the former where there are no bounds.
//!
//! Which variant: SciPy 1.17 (L-BFGS-B 3.0) with scikit-learn's options: ten corrections, at most 50 evaluations in a line
//! search, and a relative reduction of 64 units in the last place.

use std::collections::VecDeque;

use super::line_search::{self, Point};
use super::products::{add_multiple, dot, norm};
use super::{Ending, Limits};
use crate::error::Error;
use crate::interrupt::Interrupt;

/// Corrections that are kept.
const CORRECTIONS: usize = 10;
/// Evaluations of a line search.
const EVALUATIONS: usize = 50;
/// A reduction of this share of the value is none.
const REDUCTION: f64 = 64.0 * f64::EPSILON;

/// Minimises `function` of `n` variables (which returns its value and writes its gradient) from zero on, until no derivative
/// is larger than `limits.tol`, or its value falls no more.
///
/// Between evaluations a stop is heard.
///
/// # Errors
/// The stop.
pub fn minimize(
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
    n: usize,
    limits: Limits,
    interrupt: &Interrupt,
) -> Result<(Vec<f64>, Ending), Error> {
    let mut x = vec![0.0; n];
    let mut g = vec![0.0; n];
    let mut value = function(&x, &mut g);
    if are_within(&g, limits.tol) {
        return Ok((x, Ending::Converged));
    }
    let (mut x_new, mut g_new) = (x.clone(), g.clone());
    let mut memory = Memory::default();
    let mut iterations = 0;
    loop {
        let d = memory.direction(&g);
        let first_step = if iterations == 0 { 1.0 / norm(&d) } else { 1.0 };
        let start = Point {
            step: 0.0,
            value,
            slope: dot(&g, &d),
        };
        let found = line_search::search(start, first_step, EVALUATIONS, |step| {
            interrupt.check()?;
            x_new.copy_from_slice(&x);
            add_multiple(&mut x_new, step, &d);
            let value = function(&x_new, &mut g_new);
            let slope = dot(&g_new, &d);
            Ok::<_, Error>(Point { step, value, slope })
        })?;
        let Some(end) = found else {
            // Once more along the gradient, and no further if that was it.
            if memory.corrections.is_empty() {
                return Ok((x, Ending::Stalled));
            }
            memory = Memory::default();
            continue;
        };
        iterations += 1;
        let reduction = value - end.value;
        let scale = value.abs().max(end.value.abs()).max(1.0);
        if are_within(&g_new, limits.tol) || reduction <= REDUCTION * scale {
            return Ok((x_new, Ending::Converged));
        }
        if limits.are_reached(iterations) {
            return Ok((x_new, Ending::Limit));
        }
        let curvature = end.step * (end.slope - start.slope);
        if curvature > f64::EPSILON * end.step * -start.slope {
            memory.add(Correction {
                s: d.iter().map(|d| end.step * d).collect(),
                y: g_new.iter().zip(&g).map(|(new, old)| new - old).collect(),
                curvature,
            });
        }
        value = end.value;
        std::mem::swap(&mut x, &mut x_new);
        std::mem::swap(&mut g, &mut g_new);
    }
}

/// Whether no element is larger than `limit`, whatever its sign.
fn are_within(values: &[f64], limit: f64) -> bool {
    values.iter().all(|value| value.abs() <= limit)
}

/// A step, and what it did to the gradient.
struct Correction {
    s: Vec<f64>,
    y: Vec<f64>,
    /// s·y, from the slopes at both ends.
    curvature: f64,
}

/// The last corrections.
#[derive(Default)]
struct Memory {
    corrections: VecDeque<Correction>,
}

impl Memory {
    fn add(&mut self, correction: Correction) {
        if self.corrections.len() == CORRECTIONS {
            self.corrections.pop_front();
        }
        self.corrections.push_back(correction);
    }

    /// -H g, where H is the inverse Hessian that the corrections make of s·y / y·y of the last.
    fn direction(&self, g: &[f64]) -> Vec<f64> {
        let mut d: Vec<f64> = g.iter().map(|g| -g).collect();
        let mut alphas = Vec::with_capacity(CORRECTIONS);
        for Correction { s, y, curvature } in self.corrections.iter().rev() {
            let alpha = dot(s, &d) / curvature;
            add_multiple(&mut d, -alpha, y);
            alphas.push(alpha);
        }
        if let Some(Correction { y, curvature, .. }) = self.corrections.back() {
            let factor = curvature / dot(y, y);
            for d in &mut d {
                *d *= factor;
            }
        }
        for (Correction { s, y, curvature }, alpha) in
            self.corrections.iter().zip(alphas.into_iter().rev())
        {
            let beta = dot(y, &d) / curvature;
            add_multiple(&mut d, alpha - beta, s);
        }
        d
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rosenbrock's valley, whose minimum is at (1, 1).
    fn valley(x: &[f64], g: &mut [f64]) -> f64 {
        let (along, across) = (1.0 - x[0], x[1] - x[0] * x[0]);
        g[0] = -2.0 * along - 400.0 * x[0] * across;
        g[1] = 200.0 * across;
        along * along + 100.0 * across * across
    }

    #[test]
    fn a_valley_is_followed_to_its_end_or_to_the_limit() {
        let limits = |max_iter| Limits {
            tol: 1e-9,
            max_iter,
        };
        let interrupt = Interrupt::default();
        let (x, ending) = minimize(valley, 2, limits(None), &interrupt).unwrap();
        assert_eq!(ending, Ending::Converged);
        assert!(
            (x[0] - 1.0).abs() < 1e-8 && (x[1] - 1.0).abs() < 1e-8,
            "{x:?}"
        );
        let (x, ending) = minimize(valley, 2, limits(Some(7)), &interrupt).unwrap();
        assert_eq!(ending, Ending::Limit);
        // SciPy 1.17.1: minimize(…, x0=[0, 0], method="L-BFGS-B", options={"maxiter": 7, "maxls": 50}).
        let expected = [0.602_265_424_668_988_8, 0.356_079_844_454_756_93];
        for (x, expected) in x.iter().zip(expected) {
            assert!((x - expected).abs() < 1e-9, "{x}, {expected}");
        }
    }

    #[test]
    fn a_gradient_that_is_no_number_leads_nowhere() {
        let function = |_: &[f64], g: &mut [f64]| {
            g[0] = f64::NAN;
            0.0
        };
        let limits = Limits {
            tol: 1e-9,
            max_iter: None,
        };
        let (_, ending) = minimize(function, 1, limits, &Interrupt::default()).unwrap();
        assert_eq!(ending, Ending::Stalled);
    }
}
