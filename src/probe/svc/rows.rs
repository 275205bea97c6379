//! Rows of features in memory.

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1};

use super::aligned::Aligned;

/// Rows of features: row-major, `d` values each.
#[derive(Debug, Default)]
pub struct Rows {
    values: Aligned<f32>,
    /// Number of rows.
    pub n: usize,
    /// Number of features.
    pub d: usize,
}

impl Rows {
    /// The rows of `x` (`[n, d]`, d >= 1).
    pub fn new(x: ArrayView2<'_, f32>) -> Self {
        Self::collect(x.rows().into_iter(), x.dim())
    }

    /// The rows of `x` (`[n, d]`, d >= 1) that `order` names, in its order.
    pub fn select(x: ArrayView2<'_, f32>, order: &[usize]) -> Self {
        Self::collect(order.iter().map(|&i| x.row(i)), (order.len(), x.ncols()))
    }

    fn collect<'a>(
        rows: impl Iterator<Item = ArrayView1<'a, f32>>,
        (n, d): (usize, usize),
    ) -> Self {
        let mut values = Aligned::new(n * d);
        for (values, row) in values.chunks_exact_mut(d).zip(rows) {
            ArrayViewMut1::from(values).assign(&row);
        }
        Self { values, n, d }
    }

    /// All values, row after row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The features of row `i`.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.d..(i + 1) * self.d]
    }
}
