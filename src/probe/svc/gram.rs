//! Dot products of a set of rows with each other: the one expensive thing that all kernels share.

use super::aligned::Aligned;
use super::rows::Rows;
use super::simd::{LANES, Level};
use super::sums::{Term, blocks, sums};
use crate::interrupt::{Interrupt, Stopped};

/// The dot products of a set of rows with each other.
#[derive(Debug)]
pub struct Gram {
    /// Number of rows.
    pub n: usize,
    /// Distance between two rows in `dots`: `n`, rounded up to a multiple of [`LANES`].
    pub stride: usize,
    /// `[n, stride]`; what lies between `n` and `stride` is zero.
    pub dots: Aligned<f64>,
    /// Squared norms of the rows, `[stride]`, zero from `n` on.
    pub squares: Aligned<f64>,
}

impl Gram {
    /// Multiplies each of `rows` with each other.
    ///
    /// # Errors
    /// [`Stopped`] where a stop was asked for.
    pub fn of(level: Level, rows: &Rows, interrupt: &Interrupt) -> Result<Self, Stopped> {
        let stride = rows.n.next_multiple_of(LANES);
        let mut gram = Self {
            n: rows.n,
            stride,
            dots: Aligned::new(rows.n * stride),
            squares: Aligned::new(stride),
        };
        for block in blocks(rows.n) {
            interrupt.check()?;
            let dots = &mut gram.dots;
            sums(level, Term::ProductOfHalf, rows, block, rows, dots, stride);
        }
        for i in 0..rows.n {
            gram.squares[i] = gram.dots[i * stride + i];
        }
        Ok(gram)
    }

    /// The dot products of row `i`, `[stride]`.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &[f64] {
        &self.dots[i * self.stride..(i + 1) * self.stride]
    }
}
