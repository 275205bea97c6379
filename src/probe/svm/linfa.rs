//! The same problem, solved by the `linfa-svm` library.
//!
//! It takes rows instead of a Gram matrix and keeps kernel values in f64, so it ends at another point within the
//! tolerance. After ten million iterations it ends wherever it is then. It always runs without shrinking: that of linfa-svm
//! 0.8.1 takes variables out of the problem until it indexes before the first, and panics.

use linfa::Dataset;
use linfa::prelude::Fit;
use linfa_svm::Svm;
use ndarray::{Array1, Array2};

use super::gram::Rows;
use super::{Ending, SvcParams};
use crate::probe::settings::Kernel;

/// Fits on `rows` (the first `n_zeros` of label 0); returns y α of each row, rho, and how the fit ended.
///
/// # Errors
/// linfa's message. A sigmoid kernel is refused: linfa has none.
pub(super) fn fit(
    rows: &Rows,
    n_zeros: usize,
    params: SvcParams,
) -> Result<(Vec<f64>, f64, Ending), String> {
    let function = params.function;
    let rows = Array2::from_shape_vec(rows.dim(), rows.values().to_vec())
        .map_err(|error| error.to_string())?;
    let svm = Svm::<f64, bool>::params()
        .pos_neg_weights(params.c[0], params.c[1])
        .eps(params.tol)
        .shrinking(false);
    let (svm, rows) = match function.kernel {
        Kernel::Linear => (svm.linear_kernel(), rows),
        Kernel::Rbf => (svm.gaussian_kernel(1.0 / function.gamma), rows),
        Kernel::Poly => {
            // gamma u·v is the product of u and v scaled by the root of gamma; linfa's kernel has no gamma.
            let svm = svm.polynomial_kernel(function.coef0, f64::from(function.degree));
            (svm, rows.mapv(|value| function.gamma.sqrt() * value))
        }
        Kernel::Sigmoid => return Err("no sigmoid kernel".to_owned()),
    };
    let is_zero: Array1<bool> = (0..rows.nrows()).map(|i| i < n_zeros).collect();
    let fitted = svm
        .fit(&Dataset::new(rows, is_zero))
        .map_err(|error| error.to_string())?;
    let ending = ending(&fitted.to_string());
    Ok((fitted.alpha, fitted.rho, ending))
}

/// How a fit ended, by linfa's description of it, in which alone linfa says so.
fn ending(description: &str) -> Ending {
    if description.starts_with("Reached maximal iterations") {
        Ending::Limit
    } else {
        Ending::Converged
    }
}
