//! Centre and unit length, in float32 as the reference does them.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut1, Zip};

use super::norm::norm as exact_norm;
use super::summation::{column_sums, pairwise_sum};

/// Why a row cannot be divided by its norm as float32 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oddity {
    /// All values are zero; they stay so. The reference fails.
    Zero,
    /// The squares are too small for float32, so the norm is computed in float64. The reference fails.
    Tiny,
}

/// Indices of rows, and what is odd about each.
pub type OddRows = Vec<(usize, Oddity)>;

/// Returns the mean of the rows of `x` (`[n, d]` f32) as `[d]` f32, equal to `x.mean(axis=0)` bit for bit.
pub fn mean_row(x: ArrayView2<'_, f32>) -> Array1<f32> {
    let n = x.nrows() as f32;
    Array1::from_vec(column_sums(x, |value, _| value)).mapv_into(|sum| sum / n)
}

/// Returns the rows of `x` (`[n, d]` f32) less `mean`, each scaled to unit L2 norm if `l2` is set, and the rows
/// whose norm is zero, in float32 at least.
///
/// Sums run in NumPy's pairwise order, so norms equal `np.linalg.norm(x, axis=1)` bit for bit.
///
/// # Errors
/// The first row that is not finite once `mean` is subtracted, or whose norm is not, with that norm in float64. The
/// reference divides by an infinite norm, and goes on with a row of zeros.
///
/// Source: `biobench.newt.benchmark` and `l2_normalize`.
pub fn normalize(
    x: ArrayView2<'_, f32>,
    mean: Option<ArrayView1<'_, f32>>,
    l2: bool,
) -> Result<(Array2<f32>, OddRows), (usize, f64)> {
    let mut x = x.as_standard_layout().into_owned();
    let mut squares = Array1::<f32>::zeros(x.ncols());
    let mut odd_rows = OddRows::new();
    for (i, mut row) in x.rows_mut().into_iter().enumerate() {
        if let Some(mean) = mean {
            row -= &mean;
        }
        if !row.iter().all(|value| value.is_finite()) {
            return Err((i, exact_norm(row.view())));
        }
        if !l2 {
            continue;
        }
        Zip::from(&mut squares)
            .and(&row)
            .for_each(|square, value| *square = value * value);
        let norm = pairwise_sum(squares.as_slice().unwrap_or_default()).sqrt();
        if norm.is_infinite() {
            return Err((i, exact_norm(row.view())));
        } else if norm > 0.0 {
            row /= norm;
        } else if row.iter().all(|&value| value == 0.0) {
            odd_rows.push((i, Oddity::Zero));
        } else {
            odd_rows.push((i, Oddity::Tiny));
            divide_by_exact_norm(row);
        }
    }
    Ok((x, odd_rows))
}

/// Scales a row to unit length whose squares vanish in float32.
#[expect(
    clippy::cast_possible_truncation,
    reason = "values of a unit vector, rounded once"
)]
fn divide_by_exact_norm(mut row: ArrayViewMut1<'_, f32>) {
    let values: Vec<f64> = row.iter().copied().map(f64::from).collect();
    let squares: Vec<f64> = values.iter().map(|value| value * value).collect();
    let norm = pairwise_sum(&squares).sqrt();
    for (value, exact) in row.iter_mut().zip(values) {
        *value = (exact / norm) as f32;
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn rows_become_unit_vectors_and_zero_rows_stay() {
        let x = array![[4.0_f32, 5.0], [1.0, 1.0], [1.0, 2.0]];
        let (scaled, odd_rows) = normalize(x.view(), Some(array![1.0, 1.0].view()), true).unwrap();
        assert_eq!(odd_rows, [(1, Oddity::Zero)]);
        assert_eq!(scaled, array![[0.6, 0.8], [0.0, 0.0], [0.0, 1.0]]);
    }

    #[test]
    fn rows_whose_squares_float32_loses_are_named_and_get_unit_length() {
        let small = 2.0_f32.powi(-80);
        let x = array![[3.0 * small, -4.0 * small], [1e-45, 0.0], [3.0, 4.0]];
        let (scaled, odd_rows) = normalize(x.view(), None, true).unwrap();
        assert_eq!(odd_rows, [(0, Oddity::Tiny), (1, Oddity::Tiny)]);
        assert_eq!(scaled, array![[0.6, -0.8], [1.0, 0.0], [0.6, 0.8]]);
    }

    #[test]
    fn rows_that_overflow_once_centred_are_refused() {
        let x = array![[1.0_f32, 0.0], [3e38, 0.0]];
        let mean = array![-3e38_f32, 0.0];
        let (row, norm) = normalize(x.view(), Some(mean.view()), false).unwrap_err();
        assert_eq!((row, norm), (1, f64::INFINITY));
    }

    #[test]
    fn rows_whose_squares_overflow_are_refused_with_their_norm() {
        let x = array![[3.0_f32, 4.0], [3e20, 4e20]];
        let (row, norm) = normalize(x.view(), None, true).unwrap_err();
        assert_eq!(
            (row, crate::probe::norm::show(norm)),
            (1, "5.0e20".to_owned())
        );
        // Without the division nothing is squared.
        assert!(normalize(x.view(), None, false).is_ok());
    }

    #[test]
    fn without_centre_and_l2_rows_pass_unchanged() {
        let x = array![[0.0_f32, 0.0], [1.0, 2.0]];
        assert_eq!(normalize(x.view(), None, false), Ok((x, vec![])));
    }

    #[test]
    fn mean_row_accumulates_in_float32() {
        // 2^24 + 1 is not a float32, so the two ones are lost one by one.
        let x = array![[16_777_216.0_f32], [1.0], [1.0], [0.0]];
        assert_eq!(mean_row(x.view()), array![4_194_304.0_f32]);
    }
}
