//! The squared hinge loss with a penalised intercept: scikit-learn's `LinearSVC(dual=False)`.
//!
//! ```text
//! minimise ½ |w|² + Σ_i C_i max(0, 1 - y_i w·x_i)²   over w, where each x ends in a 1 for the intercept and y is ±1
//! ```
//!
//! Its letters are those of R.-E. Fan, K.-W. Chang, C.-J. Hsieh, X.-R. Wang, C.-J. Lin, *LIBLINEAR: a library for large
//! linear classification*, JMLR 9 (2008).

use ndarray::Array2;

use super::products::{Rows, add_multiple, dot};
use super::reduction::Reduction;
use super::trust_region::{self, Function};
use super::{Limits, Loss, Solution, sides};
use crate::error::Error;
use crate::probe::classifier::{ClassifierName, Run};
use crate::probe::folds::count;
use crate::probe::settings::Probe;

/// The squared hinge loss.
pub enum SquaredHinge {}

/// Rows to train on, with a 1 at the end of each, and their labels.
pub struct Train {
    /// The rows, `[n, d + 1]`, or `[n, n]` where they are reduced.
    rows: Rows,
    /// What they were reduced by; `None` where they are no fewer than columns.
    reduction: Option<Reduction>,
    /// +1 for label 1, -1 for label 0, `[n]`.
    y: Vec<f64>,
    /// C of each row is the candidate's times this, `[n]`.
    weights: Vec<f64>,
    /// Rows of the rarer label, as a share of all.
    share_of_fewer: f64,
}

impl Loss for SquaredHinge {
    const NAME: ClassifierName = ClassifierName::LinearSvc;
    type Train = Train;

    fn set_defaults(probe: &mut Probe) {
        probe.tol = 1e-4;
        probe.max_iter = 1000;
    }

    fn prepare(run: Run<'_>, rows: &Array2<f32>, labels: &[u8]) -> Result<Train, Error> {
        let (n, d) = rows.dim();
        let mut values = Vec::with_capacity(n * (d + 1));
        for row in rows.rows() {
            values.extend(row.iter().copied().map(f64::from));
            values.push(1.0);
        }
        let rows = Rows::new(values, n, d + 1);
        let (reduction, rows) = if n < d + 1 {
            let (reduction, rows) = Reduction::new(rows, run.context.interrupt)?;
            (Some(reduction), rows)
        } else {
            (None, rows)
        };
        let counts = [count(labels, 0), count(labels, 1)];
        let weights = run.probe.class_weight.factors(counts);
        Ok(Train {
            rows,
            reduction,
            y: sides(labels, [-1.0, 1.0]),
            weights: sides(labels, weights),
            share_of_fewer: counts[0].min(counts[1]).max(1) as f64 / n as f64,
        })
    }

    fn solve(run: Run<'_>, train: &Train, c: f64) -> Result<Solution, Error> {
        let mut objective = Objective::new(train, c);
        let mut limits = Limits::of(run.probe);
        limits.tol *= train.share_of_fewer;
        let (w, ending) = trust_region::minimize(&mut objective, limits, run.context.interrupt)?;
        let mut coef = match &train.reduction {
            Some(reduction) => reduction.expand(&w),
            None => w,
        };
        let intercept = coef.pop().unwrap_or(f64::NAN);
        Ok(Solution {
            coef,
            intercept,
            ending,
        })
    }
}

impl Train {
    /// Row `i` up to the last column that is not zero for sure.
    fn row(&self, i: usize) -> &[f64] {
        let row = self.rows.row(i);
        match self.reduction {
            Some(_) => &row[..=i],
            None => row,
        }
    }

    /// v·x of row `i`.
    fn product(&self, v: &[f64], i: usize) -> f64 {
        let row = self.row(i);
        dot(&v[..row.len()], row)
    }
}

/// The function of w that is minimised.
struct Objective<'a> {
    train: &'a Train,
    /// C of each row, `[n]`.
    c: Vec<f64>,
    /// y w·x of each row, `[n]`.
    margins: Vec<f64>,
    /// The rows whose margin was below 1 at the last gradient.
    active: Vec<usize>,
}

impl<'a> Objective<'a> {
    fn new(train: &'a Train, c: f64) -> Self {
        Self {
            train,
            c: train.weights.iter().map(|weight| c * weight).collect(),
            margins: vec![0.0; train.rows.n],
            active: Vec::with_capacity(train.rows.n),
        }
    }
}

impl Function for Objective<'_> {
    fn n_variables(&self) -> usize {
        self.train.rows.d
    }

    fn value(&mut self, w: &[f64]) -> f64 {
        let mut value = dot(w, w) / 2.0;
        for (i, margin) in self.margins.iter_mut().enumerate() {
            *margin = self.train.y[i] * self.train.product(w, i);
            let short = 1.0 - *margin;
            if short > 0.0 {
                value += self.c[i] * short * short;
            }
        }
        value
    }

    fn gradient(&mut self, w: &[f64], g: &mut [f64]) {
        let is_active = |&i: &usize| self.margins[i] < 1.0;
        self.active.clear();
        self.active
            .extend((0..self.margins.len()).filter(is_active));
        g.copy_from_slice(w);
        for &i in &self.active {
            let slope = self.c[i] * self.train.y[i] * (self.margins[i] - 1.0);
            add_multiple(g, 2.0 * slope, self.train.row(i));
        }
    }

    fn hessian_product(&mut self, v: &[f64], product: &mut [f64]) {
        product.copy_from_slice(v);
        for &i in &self.active {
            let factor = 2.0 * self.c[i] * self.train.product(v, i);
            add_multiple(product, factor, self.train.row(i));
        }
    }
}
