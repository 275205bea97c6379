//! The same problem, solved by the `linfa-svm` library.
//!
//! It takes rows instead of a Gram matrix and keeps kernel values in f64, so it ends at another point within the
//! tolerance. After ten million iterations it ends wherever it is then. It always runs without shrinking: that of linfa-svm
//! 0.8.1 takes variables out of the problem until it indexes before the first, and panics.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use linfa::Dataset;
use linfa::prelude::Fit;
use linfa_svm::Svm;
use ndarray::{Array1, Array2};

use super::dual::{Ending, Solution, SvcParams};
use super::rows::Rows;
use crate::probe::settings::Kernel;

/// How often the one who waits for a fit is asked whether to go on.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(50);

/// Fits on `rows` (the first `n_zeros` of label 0): y α of each row, and what else is known of the solution. There is no α
/// where `go_on` says no meanwhile.
///
/// linfa cannot be asked to stop. So it works in a thread of its own, which is left to itself once nobody waits for it:
/// it ends with the fit or with the process, and holds nothing but its own memory and `rows`.
///
/// # Errors
/// linfa's message. A sigmoid kernel is refused: linfa has none.
pub fn fit(
    rows: &Arc<Rows>,
    n_zeros: usize,
    params: SvcParams,
    go_on: &dyn Fn() -> bool,
) -> Result<(Vec<f64>, Solution), String> {
    let (done, fitted) = mpsc::channel();
    let shared = Arc::clone(rows);
    let work = move || {
        // Nobody waits where this fails.
        done.send(fit_here(&shared, n_zeros, params)).ok();
    };
    if thread::Builder::new().spawn(work).is_err() {
        // The system allows no more threads: a stop is heard when the fit is done.
        return fit_here(rows, n_zeros, params);
    }
    loop {
        match fitted.recv_timeout(BETWEEN_QUESTIONS) {
            Ok(outcome) => return outcome,
            Err(RecvTimeoutError::Timeout) if go_on() => {}
            Err(RecvTimeoutError::Timeout) => {
                return Ok((Vec::new(), solution(f64::NAN, Ending::Stopped)));
            }
            Err(RecvTimeoutError::Disconnected) => return Err("it panicked".to_owned()),
        }
    }
}

/// The fit itself, in the calling thread.
fn fit_here(
    rows: &Rows,
    n_zeros: usize,
    params: SvcParams,
) -> Result<(Vec<f64>, Solution), String> {
    let function = params.function;
    let values = rows.values().iter().copied().map(f64::from).collect();
    let rows =
        Array2::from_shape_vec((rows.n, rows.d), values).map_err(|error| error.to_string())?;
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
    let solution = solution(fitted.rho, ending(&fitted.to_string()));
    Ok((fitted.alpha, solution))
}

/// What linfa tells of a solution.
fn solution(rho: f64, ending: Ending) -> Solution {
    Solution {
        rho,
        iterations: 0,
        ending,
        free_peak: None,
    }
}

/// How a fit ended, by linfa's description of it, in which alone linfa says so.
fn ending(description: &str) -> Ending {
    if description.starts_with("Reached maximal iterations") {
        Ending::Limit
    } else {
        Ending::Converged
    }
}
