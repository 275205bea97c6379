//! A fitted C-SVC.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Svc;
use super::aligned::Aligned;
use super::kernel::{KernelFunction, weighted_sums};
use super::pairs::Pairs;
use super::rows::Rows;
use super::simd::Level;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::probe::classifier::{Classifier, ClassifierName, FittedClassifier, Parts, Saved};

/// A fitted C-SVC: its support vectors, and what is done with them.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedSvc {
    /// Indices of the support vectors among the train rows, those of label 0 first, `[n_support]`.
    pub support_rows: Vec<usize>,
    /// The support vectors as the SVM saw them, `[n_support, d]`.
    pub support_vectors: Array2<f32>,
    /// Coefficients of the support vectors with scikit-learn's sign (`dual_coef_`): negative for label 0, `[n_support]`.
    pub dual_coef: Vec<f64>,
    /// Bias with scikit-learn's sign (`intercept_`; libsvm's rho).
    pub bias: f64,
    /// The kernel and its parameters.
    pub function: KernelFunction,
}

/// The settings that predictions need and that are no numbers of f64.
#[derive(Serialize, Deserialize)]
struct Settings {
    kernel: String,
    degree: u32,
}

impl FittedClassifier for FittedSvc {
    fn kind(&self) -> ClassifierName {
        Svc::NAME
    }

    fn n_features(&self) -> usize {
        self.support_vectors.ncols()
    }

    /// libsvm's sum over the support vectors in their order.
    fn decision(
        &self,
        rows: ArrayView2<'_, f32>,
        interrupt: &Interrupt,
    ) -> Result<Vec<f64>, Error> {
        let level = Level::widest();
        let support = Arc::new(Rows::new(self.support_vectors.view()));
        let kernel = self.function.kernel;
        let pairs = Pairs::new(level, &support, Rows::new(rows), &[kernel], interrupt)?;
        let arguments = pairs.arguments(level, kernel, interrupt)?;
        let mut sums = Aligned::new(pairs.stride);
        weighted_sums(level, self.function, arguments, &self.dual_coef, &mut sums);
        let sums = &sums[..pairs.n_columns];
        Ok(sums.iter().map(|sum| sum + self.bias).collect())
    }

    fn save(&self) -> Saved<'_> {
        let KernelFunction {
            kernel,
            gamma,
            degree,
            coef0,
        } = self.function;
        Saved {
            settings: json!(Settings {
                kernel: kernel.to_string(),
                degree,
            }),
            rows: vec![("support_vectors", &self.support_vectors)],
            numbers: vec![
                ("dual_coef", self.dual_coef.clone()),
                ("numbers", vec![self.bias, gamma, coef0]),
            ],
            indices: vec![("support_rows", &self.support_rows)],
        }
    }
}

impl FittedSvc {
    /// What [`save`](FittedClassifier::save) gave.
    ///
    /// # Errors
    /// The first part that is missing or wrong.
    pub fn load(saved: &dyn Parts) -> Result<Self, Error> {
        let Settings { kernel, degree } =
            serde_json::from_value(saved.settings()).map_err(|error| {
                saved.wrong_settings(format!("does not read: {error}"), "a fitted SVC")
            })?;
        let kernel = kernel.parse().map_err(|_| {
            let found = format!("names the kernel `{kernel}`");
            saved.wrong_settings(found, "`linear`, `rbf`, `poly` or `sigmoid`")
        })?;
        let support_vectors = saved.rows("support_vectors")?;
        let n = support_vectors.nrows();
        let numbers = saved.numbers("numbers", 3)?;
        Ok(Self {
            support_rows: saved.indices("support_rows", n)?,
            support_vectors,
            dual_coef: saved.numbers("dual_coef", n)?,
            bias: numbers[0],
            function: KernelFunction {
                kernel,
                gamma: numbers[1],
                degree,
                coef0: numbers[2],
            },
        })
    }
}
