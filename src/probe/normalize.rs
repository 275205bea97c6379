//! Centre and unit length, in float32 as the reference does them.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

use super::summation::pairwise_sum;

/// Returns the mean of the rows of `x` (`[n, d]` f32) as `[d]` f32.
///
/// The rows are added one after the other, so the result equals `x.mean(axis=0)` bit for bit.
///
/// Source: NumPy 2.4, whose reduction over the first axis of a row-major array adds whole rows.
pub(super) fn mean_row(x: ArrayView2<'_, f32>) -> Array1<f32> {
    let mut mean = Array1::<f32>::zeros(x.ncols());
    for row in x.rows() {
        for (sum, &value) in mean.iter_mut().zip(row) {
            *sum += value;
        }
    }
    let n = x.nrows() as f32;
    mean.mapv_into(|sum| sum / n)
}

/// Returns the rows of `x` (`[n, d]` f32) less `mean`, each scaled to unit L2 norm if `l2` is set, and the rows
/// whose norm is zero.
///
/// Rows of zero norm are left as they are. Sums run in NumPy's pairwise order, so norms equal
/// `np.linalg.norm(x, axis=1)` bit for bit.
///
/// Source: `biobench.newt.benchmark` and `l2_normalize`.
pub(super) fn normalize(
    x: ArrayView2<'_, f32>,
    mean: Option<ArrayView1<'_, f32>>,
    l2: bool,
) -> (Array2<f32>, Vec<usize>) {
    let mut x = x.as_standard_layout().into_owned();
    let mut squares = vec![0.0_f32; x.ncols()];
    let mut zero_rows = Vec::new();
    for (i, mut row) in x.rows_mut().into_iter().enumerate() {
        if let Some(mean) = mean {
            row -= &mean;
        }
        if !l2 {
            continue;
        }
        for (square, &value) in squares.iter_mut().zip(&row) {
            *square = value * value;
        }
        let norm = pairwise_sum(&squares).sqrt();
        if norm == 0.0 {
            zero_rows.push(i);
        } else {
            row /= norm;
        }
    }
    (x, zero_rows)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn rows_become_unit_vectors_and_zero_rows_stay() {
        let x = array![[4.0_f32, 5.0], [1.0, 1.0], [1.0, 2.0]];
        let (scaled, zero_rows) = normalize(x.view(), Some(array![1.0, 1.0].view()), true);
        assert_eq!(zero_rows, [1]);
        assert_eq!(scaled, array![[0.6, 0.8], [0.0, 0.0], [0.0, 1.0]]);
    }

    #[test]
    fn without_centre_and_l2_rows_pass_unchanged() {
        let x = array![[0.0_f32, 0.0], [1.0, 2.0]];
        assert_eq!(normalize(x.view(), None, false), (x, vec![]));
    }

    #[test]
    fn mean_row_accumulates_in_float32() {
        // 2^24 + 1 is not a float32, so the two ones are lost one by one.
        let x = array![[16_777_216.0_f32], [1.0], [1.0], [0.0]];
        assert_eq!(mean_row(x.view()), array![4_194_304.0_f32]);
    }
}
