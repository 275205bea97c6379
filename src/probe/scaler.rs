//! scikit-learn's `StandardScaler` on float32 rows.

use ndarray::{Array1, Array2, ArrayView2, Zip};

use super::settings::Probe;
use super::summation::column_sums;

/// Mean and standard deviation per column.
///
/// Statistics are float64; the transform works on their float32 values, as scikit-learn's does on float32 rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaler {
    /// Mean of each column (`mean_`).
    pub mean: Vec<f64>,
    /// Standard deviation of each column, 1 where the column is constant (`scale_`).
    pub scale: Vec<f64>,
}

impl Scaler {
    /// Measures the columns of `x` (`[n, d]` f32, n >= 1).
    ///
    /// The variance is that of the corrected two-pass algorithm. Equal to scikit-learn's bit for bit.
    ///
    /// Source: scikit-learn 1.9, `StandardScaler.partial_fit` and `_incremental_mean_and_var`; Chan, Golub and `LeVeque`
    /// (1983), equation 1.7.
    pub fn fit(x: ArrayView2<'_, f32>) -> Self {
        let n = x.nrows() as f64;
        let mut mean = column_sums(x, |value, _| f64::from(value));
        for sum in &mut mean {
            *sum /= n;
        }
        let deviation = |value: f32, column: usize| f64::from(value) - mean[column];
        let correction = column_sums(x, deviation);
        let squares = column_sums(x, |value, column| {
            let deviation = deviation(value, column);
            deviation * deviation
        });
        let scale = mean
            .iter()
            .zip(correction.iter().zip(&squares))
            .map(|(&mean, (&correction, &square))| {
                let variance = (square - correction * correction / n) / n;
                if is_constant(variance, mean, n) {
                    1.0
                } else {
                    variance.sqrt()
                }
            })
            .collect();
        Self { mean, scale }
    }

    /// Subtracts the mean from the rows of `x` (`[n, d]` f32) and divides them by the scale.
    pub fn transform(&self, mut x: Array2<f32>) -> Array2<f32> {
        let rounded = |values: &[f64]| values.iter().copied().map(round_to_f32).collect();
        let (mean, scale): (Array1<f32>, Array1<f32>) = (rounded(&self.mean), rounded(&self.scale));
        for row in x.rows_mut() {
            Zip::from(row)
                .and(&mean)
                .and(&scale)
                .for_each(|value, mean, scale| *value = (*value - mean) / scale);
        }
        x
    }
}

/// Fits the scaler to the rows of `x`, if `probe` standardises, and transforms them.
pub fn standardized(probe: &Probe, x: Array2<f32>) -> (Option<Scaler>, Array2<f32>) {
    let scaler = probe.standardize.then(|| Scaler::fit(x.view()));
    let rows = scaled(scaler.as_ref(), x);
    (scaler, rows)
}

/// The rows of `x`, transformed if there is a scaler.
pub fn scaled(scaler: Option<&Scaler>, x: Array2<f32>) -> Array2<f32> {
    match scaler {
        Some(scaler) => scaler.transform(x),
        None => x,
    }
}

/// Says whether a variance cannot be told from zero, given the error bound of the algorithm that measured it.
///
/// Source: scikit-learn 1.9, `_is_constant_feature`.
fn is_constant(variance: f64, mean: f64, n: f64) -> bool {
    let error_of_mean = n * mean * f64::EPSILON;
    variance <= n * f64::EPSILON * variance + error_of_mean * error_of_mean
}

/// Rounds as NumPy's `astype(np.float32)` does.
#[expect(clippy::cast_possible_truncation, reason = "the rounding is the point")]
fn round_to_f32(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn constant_columns_get_scale_one() {
        let x = array![[1.0_f32, 0.1], [3.0, 0.1]];
        let scaler = Scaler::fit(x.view());
        assert_eq!(scaler.scale, [1.0, 1.0]);
        assert_eq!(scaler.transform(x), array![[-1.0, 0.0], [1.0, 0.0]]);
    }

    #[test]
    fn columns_get_zero_mean_and_unit_variance() {
        let x = array![[0.0_f32], [6.0], [0.0], [6.0]];
        let scaler = Scaler::fit(x.view());
        assert_eq!((scaler.mean[0], scaler.scale[0]), (3.0, 3.0));
        assert_eq!(scaler.transform(x), array![[-1.0], [1.0], [-1.0], [1.0]]);
    }
}
