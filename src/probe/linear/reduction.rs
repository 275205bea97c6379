//! Rows in a basis of the space that they span.

use super::products::{Rows, add_multiple, dot, norm};
use crate::error::Error;
use crate::interrupt::Interrupt;

/// Rows X = L Qᵀ of n rows and d > n columns: the lower triangle L, and Q as a product of n reflections.
///
/// A linear classifier whose penalty is a multiple of |w|² has its weights in the space of the rows, w = Q u. A method that
/// looks at w by dot products alone takes the same way to u on the rows of L, rounding apart, with n columns for d.
pub struct Reduction {
    /// Row k holds the vector of the reflection k from column k on.
    reflections: Rows,
    /// 2 / |v|² of each reflection, 0 where there is none.
    factors: Vec<f64>,
}

impl Reduction {
    /// Reduces `rows` (`[n, d]`, n <= d) to L, `[n, n]`.
    ///
    /// Between rows a stop is heard.
    ///
    /// # Errors
    /// The stop.
    ///
    /// Source: A. S. Householder, *Unitary triangularization of a nonsymmetric matrix*, JACM 5 (1958).
    pub fn new(mut rows: Rows, interrupt: &Interrupt) -> Result<(Self, Rows), Error> {
        let (n, d) = (rows.n, rows.d);
        let mut lower = vec![0.0; n * n];
        let mut factors = Vec::with_capacity(n);
        for k in 0..n {
            interrupt.check()?;
            let (row, rest) = rows.row_and_rest(k);
            lower[k * n..k * n + k].copy_from_slice(&row[..k]);
            let v = &mut row[k..];
            // The sign that adds up, so that nothing cancels.
            let diagonal = -norm(v).copysign(v[0]);
            lower[k * n + k] = diagonal;
            v[0] -= diagonal;
            let factor = match dot(v, v) {
                0.0 => 0.0,
                square => 2.0 / square,
            };
            for row in rest.chunks_exact_mut(d) {
                reflect(&mut row[k..], v, factor);
            }
            factors.push(factor);
        }
        let reduction = Self {
            reflections: rows,
            factors,
        };
        Ok((reduction, Rows::new(lower, n, n)))
    }

    /// w = Q u, `[d]`.
    pub fn expand(&self, u: &[f64]) -> Vec<f64> {
        let mut w = u.to_vec();
        w.resize(self.reflections.d, 0.0);
        for (k, &factor) in self.factors.iter().enumerate().rev() {
            reflect(&mut w[k..], &self.reflections.row(k)[k..], factor);
        }
        w
    }
}

/// x - factor (v·x) v
fn reflect(x: &mut [f64], v: &[f64], factor: f64) {
    let along = factor * dot(v, x);
    add_multiple(x, -along, v);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Products of `u` with the rows of L, and of Q u with the rows themselves.
    fn products(values: &[f64], n: usize, d: usize, u: &[f64]) -> [Vec<f64>; 2] {
        let rows = || Rows::new(values.to_vec(), n, d);
        let (reduction, lower) = Reduction::new(rows(), &Interrupt::default()).unwrap();
        let w = reduction.expand(u);
        let with = |rows: &Rows, v: &[f64]| (0..n).map(|i| dot(rows.row(i), v)).collect();
        assert!((norm(&w) - norm(u)).abs() < 1e-14);
        [with(&lower, u), with(&rows(), &w)]
    }

    #[test]
    fn products_with_rows_are_kept() {
        let values: Vec<f64> = (0..15).map(|i| f64::from((i * i) % 7) - 2.5).collect();
        let [reduced, full] = products(&values, 3, 5, &[0.5, -1.0, 2.0]);
        for (reduced, full) in reduced.iter().zip(full) {
            assert!((reduced - full).abs() < 1e-13, "{reduced}, {full}");
        }
    }

    #[test]
    fn rows_of_zeros_and_rows_that_repeat_are_no_trouble() {
        let values = [
            0.0, 0.0, 0.0, 0.0, //
            1.0, 2.0, 3.0, 4.0, //
            1.0, 2.0, 3.0, 4.0,
        ];
        let [reduced, full] = products(&values, 3, 4, &[0.5, -1.0, 2.0]);
        for (reduced, full) in reduced.iter().zip(full) {
            assert!((reduced - full).abs() < 1e-13, "{reduced}, {full}");
        }
    }
}
