//! The logistic loss with a free intercept: scikit-learn's `LogisticRegression(solver="lbfgs")`.
//!
//! ```text
//! minimise Σ_i s_i ln(1 + exp(-y_i (w·x_i + b))) / S + |w|² / (2 C S)   over w and b, with y = ±1, S = Σ_i s_i
//! ```
//!
//! scikit-learn ends on the way, where no derivative is larger than `tol`: with a small penalty that is off the minimum by
//! a tenth of the largest decision value and more. So what counts is the way, and the minimum alone would not do. Of rows in
//! float32 scikit-learn computes value and gradient in float32, here they are f64 throughout. Decision values differ by
//! about 1e-7 of the largest, but where a derivative is as close to `tol` as that, or a step no longer changes the value in
//! float32: there scikit-learn ends elsewhere for the same columns in another order, too.

use ndarray::Array2;

use super::lbfgs;
use super::products::{Rows, add_multiple, dot};
use super::{Limits, Loss, Solution, sides};
use crate::error::Error;
use crate::probe::classifier::{ClassifierName, Run};
use crate::probe::folds::count;
use crate::probe::settings::Probe;
use crate::probe::svc::exp_of_lanes;

/// The logistic loss.
pub enum Logistic {}

/// Rows to train on, and their labels.
pub struct Train {
    /// The rows, `[n, d]`.
    rows: Rows,
    /// +1 for label 1, -1 for label 0, `[n]`.
    y: Vec<f64>,
    /// s, `[n]`.
    weights: Vec<f64>,
    /// S
    sum_of_weights: f64,
}

impl Loss for Logistic {
    const NAME: ClassifierName = ClassifierName::LogisticRegression;
    type Train = Train;

    fn set_defaults(probe: &mut Probe) {
        probe.tol = 1e-4;
        probe.max_iter = 100;
    }

    fn prepare(run: Run<'_>, rows: &Array2<f32>, labels: &[u8]) -> Result<Train, Error> {
        let (n, d) = rows.dim();
        let counts = [count(labels, 0), count(labels, 1)];
        let weights = run.probe.class_weight.factors(counts);
        Ok(Train {
            rows: Rows::new(rows.iter().copied().map(f64::from).collect(), n, d),
            y: sides(labels, [-1.0, 1.0]),
            weights: sides(labels, weights),
            sum_of_weights: counts[0] as f64 * weights[0] + counts[1] as f64 * weights[1],
        })
    }

    fn solve(run: Run<'_>, train: &Train, c: f64) -> Result<Solution, Error> {
        let mut objective = Objective::new(train, c);
        let value_and_gradient = |x: &[f64], g: &mut [f64]| objective.evaluate(x, g);
        let (mut coef, ending) = lbfgs::minimize(
            value_and_gradient,
            train.rows.d + 1,
            Limits::of(run.probe),
            run.context.interrupt,
        )?;
        let intercept = coef.pop().unwrap_or(f64::NAN);
        Ok(Solution {
            coef,
            intercept,
            ending,
        })
    }
}

/// The function of w and b that is minimised.
struct Objective<'a> {
    train: &'a Train,
    /// 1 / (C S)
    penalty: f64,
    /// y (w·x + b) of each row, `[n]`.
    margins: Vec<f64>,
}

impl<'a> Objective<'a> {
    fn new(train: &'a Train, c: f64) -> Self {
        Self {
            train,
            penalty: 1.0 / (c * train.sum_of_weights),
            margins: vec![0.0; train.rows.n],
        }
    }

    /// The value at `x`, which is w and then b, `[d + 1]`; `g` becomes the gradient.
    ///
    /// Source: scikit-learn 1.9, `LinearModelLoss.loss_gradient` with `HalfBinomialLoss`.
    fn evaluate(&mut self, x: &[f64], g: &mut [f64]) -> f64 {
        let Train {
            rows,
            y,
            weights,
            sum_of_weights,
        } = self.train;
        let (w, b) = (&x[..rows.d], x[rows.d]);
        for (i, margin) in self.margins.iter_mut().enumerate() {
            *margin = y[i] * (dot(w, rows.row(i)) + b);
        }
        let mut loss = 0.0;
        let mut slope_of_b = 0.0;
        let slopes = &mut g[..rows.d];
        for (slope, w) in slopes.iter_mut().zip(w) {
            *slope = self.penalty * w;
        }
        for (i, (margin, exp)) in self.margins.iter().zip(exps(&self.margins)).enumerate() {
            let share_of_other = if *margin >= 0.0 { exp } else { 1.0 } / (1.0 + exp);
            loss += weights[i] * (ln_one_plus(exp) + (-margin).max(0.0));
            let slope = -y[i] * weights[i] * share_of_other / sum_of_weights;
            slope_of_b += slope;
            add_multiple(slopes, slope, rows.row(i));
        }
        g[rows.d] = slope_of_b;
        loss / sum_of_weights + 0.5 * self.penalty * dot(w, w)
    }
}

/// exp(-|x|) of each.
fn exps(values: &[f64]) -> Vec<f64> {
    let mut exps = Vec::with_capacity(values.len() + 8);
    for chunk in values.chunks(8) {
        let mut lanes = [0.0; 8];
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = -value.abs();
        }
        exps.extend(exp_of_lanes(lanes));
    }
    exps.truncate(values.len());
    exps
}

/// ln(1 + x) for 0 <= x <= 1, within some units in the last place: the series of 2 artanh(x / (2 + x)).
fn ln_one_plus(x: f64) -> f64 {
    /// Of powers of at most 1/9.
    const TERMS: u32 = 18;
    let ratio = x / (2.0 + x);
    let square = ratio * ratio;
    let mut sum = 0.0;
    for term in (0..TERMS).rev() {
        sum = sum * square + 1.0 / f64::from(2 * term + 1);
    }
    2.0 * ratio * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_good_to_the_last_digits() {
        for x in [0.0, 1e-300, 1e-17, 1e-9, 0.01, 0.3, 0.7, 1.0_f64] {
            let expected = x.ln_1p();
            let error = (ln_one_plus(x) - expected).abs();
            assert!(error <= 4.0 * f64::EPSILON * expected, "ln(1 + {x})");
        }
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_value() {
        let train = Train {
            rows: Rows::new(vec![1.0, 2.0, -0.5, 0.25, 30.0, 1.0], 3, 2),
            y: vec![1.0, -1.0, -1.0],
            weights: vec![1.0, 0.5, 0.5],
            sum_of_weights: 2.0,
        };
        let mut objective = Objective::new(&train, 3.0);
        let at = [0.3, -0.7, 0.2];
        let mut gradient = [0.0; 3];
        objective.evaluate(&at, &mut gradient);
        for (i, slope) in gradient.into_iter().enumerate() {
            let mut value = |change: f64| {
                let mut moved = at;
                moved[i] += change;
                objective.evaluate(&moved, &mut [0.0; 3])
            };
            let expected = (value(1e-6) - value(-1e-6)) / 2e-6;
            assert!((slope - expected).abs() < 1e-8, "{slope}, {expected}");
        }
    }
}
