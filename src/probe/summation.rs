//! NumPy's order of summation.

use std::ops::Add;

use ndarray::ArrayView2;

/// Up to this many elements are summed by eight accumulators; longer slices are halved.
const BLOCK: usize = 128;

/// Sums `values` in the order of `np.add.reduce` along a contiguous axis.
///
/// Eight interleaved accumulators over blocks of at most 128 elements, joined pairwise, and halving above; so every
/// machine gives the same bits as NumPy.
///
/// Source: pairwise summation of NumPy 2.4 (`numpy/_core/src/umath/loops_utils.h.src`).
pub fn pairwise_sum<T: Copy + Default + Add<Output = T>>(values: &[T]) -> T {
    if values.len() < 8 {
        return values.iter().fold(T::default(), |sum, &value| sum + value);
    }
    if values.len() > BLOCK {
        let half = values.len() / 2;
        let (left, right) = values.split_at(half - half % 8);
        return pairwise_sum(left) + pairwise_sum(right);
    }
    let (chunks, rest) = values.as_chunks::<8>();
    let mut sums = [T::default(); 8];
    for chunk in chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum = *sum + value;
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let joined = ((a + b) + (c + d)) + ((e + f) + (g + h));
    rest.iter().fold(joined, |sum, &value| sum + value)
}

/// Sums `value(x, column)` over the rows of `x` (`[n, d]`), column by column: `[d]`.
///
/// Rows are added one after the other. A single column is contiguous, so it is summed pairwise.
///
/// Source: NumPy 2.4, `np.add.reduce` over the first axis of a row-major array. (Where it converts a single column on the
/// way, it does so by 8,192 values, whose sums it adds; here the sum is pairwise throughout.)
pub fn column_sums<T: Copy + Default + Add<Output = T>>(
    x: ArrayView2<'_, f32>,
    value: impl Fn(f32, usize) -> T,
) -> Vec<T> {
    if x.ncols() == 1 {
        let column: Vec<T> = x.iter().map(|&x| value(x, 0)).collect();
        return vec![pairwise_sum(&column)];
    }
    let mut sums = vec![T::default(); x.ncols()];
    // A slice, unlike a view, is added in vectors.
    let x = x.as_standard_layout();
    for row in x.as_slice().unwrap_or_default().chunks_exact(x.ncols()) {
        for (column, (sum, &x)) in sums.iter_mut().zip(row).enumerate() {
            *sum = *sum + value(x, column);
        }
    }
    sums
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "equal bits are the point")]
mod tests {
    use super::*;

    #[test]
    fn short_slices_are_summed_from_left_to_right() {
        assert_eq!(pairwise_sum(&[1e8_f32, 1.0, -1e8]), 0.0);
        assert_eq!(pairwise_sum::<f32>(&[]), 0.0);
    }

    #[test]
    fn long_slices_lose_less_than_a_plain_sum() {
        let values = vec![0.1_f32; 100_000];
        let plain: f32 = values.iter().fold(0.0, |sum, value| sum + value);
        let pairwise = pairwise_sum(&values);
        assert!((pairwise - 10_000.0).abs() < 0.01, "{pairwise}");
        assert!((plain - 10_000.0).abs() > 0.5, "{plain}");
    }
}
