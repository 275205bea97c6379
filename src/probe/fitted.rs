//! A fitted probe: everything that prediction needs.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::Error;
use super::normalize::{OddRows, normalize};
use super::prepared::scaled;
use super::scaler::Scaler;
use super::settings::Kernel;
use super::svm::Scratch;
use super::svm::gram::{Pairs, Rows};
use super::svm::kernel::KernelFunction;
use super::svm::simd::Level;
use super::watch::Watch;

/// A fitted probe, complete: stored and loaded again, it makes the same decisions bit for bit.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedProbe {
    /// Mean of the train rows, `[d]`, subtracted first; `None` if the probe does not centre.
    pub mean: Option<Array1<f32>>,
    /// Whether rows are divided by their L2 norm.
    pub l2: bool,
    /// Mean and scale of each column; `None` if the probe does not standardise.
    pub scaler: Option<Scaler>,
    /// Indices of the support vectors among the train rows: those of label 0 first.
    pub support_rows: Vec<usize>,
    /// The support vectors as the SVM saw them, `[n_support, d]`.
    pub support_vectors: Array2<f32>,
    /// Coefficients of the support vectors with scikit-learn's sign (`dual_coef_`): negative for label 0.
    pub dual_coef: Vec<f64>,
    /// Bias with scikit-learn's sign (`intercept_`; libsvm's rho).
    pub bias: f64,
    /// The kernel.
    pub kernel: Kernel,
    /// The kernel's gamma, a number.
    pub gamma: f64,
    /// Degree of the polynomial kernel.
    pub degree: u32,
    /// Constant of the polynomial and sigmoid kernels.
    pub coef0: f64,
}

/// Rows that are multiplied with the support vectors at a time.
const ROWS_AT_A_TIME: usize = 1024;

impl FittedProbe {
    /// Returns the decision value of each row of `x` (`[n, d]` f32, features as the backbone gave them).
    ///
    /// The sign is scikit-learn's: positive means label 1. Values do not depend on the CPU, on the number of threads or
    /// on the other rows.
    ///
    /// # Errors
    /// [`Error::Fitted`] if the parts of the probe do not fit each other or `x` has another number of columns,
    /// [`Error::Overflow`] if a row of it overflows once the mean is subtracted.
    ///
    /// Source: `decision_function` of scikit-learn's pipeline; libsvm's sum over the support vectors in their order.
    pub fn decision(&self, x: ArrayView2<'_, f32>) -> Result<Vec<f64>, Error> {
        Ok(self.decision_and_odd_rows(x, &|| false)?.0)
    }

    /// Returns the predicted label of each row of `x` (`[n, d]` f32).
    ///
    /// # Errors
    /// As [`Self::decision`].
    pub fn predict(&self, x: ArrayView2<'_, f32>) -> Result<Vec<u8>, Error> {
        Ok(labels_of(&self.decision(x)?))
    }

    /// Returns the decision values, and the rows that cannot be divided by their norm as float32 has it.
    ///
    /// `watch` is asked between some rows whether to stop.
    ///
    /// # Errors
    /// As [`Self::decision`]; [`Error::Stopped`] once `watch` says so.
    pub fn decision_and_odd_rows(
        &self,
        x: ArrayView2<'_, f32>,
        watch: &dyn Watch,
    ) -> Result<(Vec<f64>, OddRows), Error> {
        self.check(x.ncols())?;
        let level = Level::widest();
        let support = Rows::new(self.support_vectors.view());
        let function = KernelFunction {
            kernel: self.kernel,
            gamma: self.gamma,
            degree: self.degree,
            coef0: self.coef0,
        };
        let mut scratch = Scratch::with_coefficients(&self.dual_coef);
        let mut decision = Vec::with_capacity(x.nrows());
        let mut odd_rows = OddRows::new();
        for chunk in x.axis_chunks_iter(Axis(0), ROWS_AT_A_TIME) {
            let first = decision.len();
            let mean = self.mean.as_ref().map(Array1::view);
            let (rows, odd) = normalize(chunk, mean, self.l2).map_err(|(row, norm)| {
                Error::overflow("test", mean.is_some(), (first + row, norm))
            })?;
            odd_rows.extend(odd.into_iter().map(|(row, oddity)| (first + row, oddity)));
            let rows = scaled(self.scaler.as_ref(), rows);
            let columns = Rows::new(rows.view());
            let pairs = Pairs::new(level, &support, &columns, &[self.kernel], watch)?;
            let sums = scratch.weighted_sums(level, function, &pairs);
            decision.extend(sums.iter().map(|sum| sum + self.bias));
        }
        Ok((decision, odd_rows))
    }

    /// Checks the parts against each other and against features of `d` columns.
    fn check(&self, d: usize) -> Result<(), Error> {
        let (n, width) = self.support_vectors.dim();
        if d != width {
            return Err(Error::Fitted {
                found: format!("features of {d} columns"),
                expected: format!("{width}, as its support vectors have"),
            });
        }
        let scaler = self.scaler.as_ref();
        let parts = [
            ("support rows", self.support_rows.len(), n),
            ("dual coefficients", self.dual_coef.len(), n),
            ("means", self.mean.as_ref().map_or(d, Array1::len), d),
            (
                "column means",
                scaler.map_or(d, |scaler| scaler.mean.len()),
                d,
            ),
            (
                "column scales",
                scaler.map_or(d, |scaler| scaler.scale.len()),
                d,
            ),
        ];
        match parts
            .into_iter()
            .find(|(_, found, expected)| found != expected)
        {
            None => Ok(()),
            Some((part, found, expected)) => Err(Error::Fitted {
                found: format!("{found} {part}"),
                expected: expected.to_string(),
            }),
        }
    }
}

/// The labels that decision values mean: 0 only where libsvm's decision value is strictly positive; scikit-learn's has the other sign.
pub fn labels_of(decision: &[f64]) -> Vec<u8> {
    let is_label_0 = |&value: &f64| value < 0.0;
    decision
        .iter()
        .map(|value| u8::from(!is_label_0(value)))
        .collect()
}
