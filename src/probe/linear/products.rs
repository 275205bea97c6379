//! Products of vectors and matrices in f64, with the same bits on every CPU.

/// Number of accumulators of a dot product.
const LANES: usize = 8;

/// Adds `product(a, b)` over two slices of one length: eight interleaved accumulators, joined pairwise, then the rest.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "a loop over eight lanes becomes vectors only where the product is known"
)]
fn sum_of_products<B: Copy>(a: &[f64], b: &[B], product: impl Fn(f64, B) -> f64) -> f64 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += product(a[lane], b[lane]);
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let joined = ((a + b) + (c + d)) + ((e + f) + (g + h));
    let rest = a_rest.iter().zip(b_rest);
    rest.fold(joined, |sum, (&a, &b)| sum + product(a, b))
}

/// a·b
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    sum_of_products(a, b, |a, b| a * b)
}

/// a·b, where `b` is a row of features.
pub fn dot_f32(a: &[f64], b: &[f32]) -> f64 {
    sum_of_products(a, b, |a, b| a * f64::from(b))
}

/// |a|
pub fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// Adds `factor` times `b` to `a`.
pub fn add_multiple(a: &mut [f64], factor: f64, b: &[f64]) {
    for (a, &b) in a.iter_mut().zip(b) {
        *a += factor * b;
    }
}

/// Rows of f64, one after the other.
pub struct Rows {
    values: Vec<f64>,
    /// Number of rows.
    pub n: usize,
    /// Number of columns.
    pub d: usize,
}

impl Rows {
    /// `n` rows of `d` columns, `values` in row-major order.
    pub fn new(values: Vec<f64>, n: usize, d: usize) -> Self {
        debug_assert_eq!(values.len(), n * d);
        Self { values, n, d }
    }

    /// Row `i`, `[d]`.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.d..(i + 1) * self.d]
    }

    /// Row `i`, and all rows after it, one after the other.
    pub fn row_and_rest(&mut self, i: usize) -> (&mut [f64], &mut [f64]) {
        let (until, rest) = self.values.split_at_mut((i + 1) * self.d);
        (&mut until[i * self.d..], rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_product_takes_all_elements_whatever_their_number() {
        for n in [0, 1, 7, 8, 9, 16, 27] {
            let a: Vec<f64> = (0..n).map(f64::from).collect();
            let b: Vec<f32> = (0..n).map(|i| i as f32).collect();
            let sum = f64::from((0..n).map(|i| i * i).sum::<i32>());
            assert_eq!((dot(&a, &a), dot_f32(&a, &b)), (sum, sum));
        }
    }
}
