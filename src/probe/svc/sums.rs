//! Sums over the features of two rows: where the time of a task with many features goes.
//!
//! Each sum runs in one fixed order ([`tile`]), whatever the CPU and the number of threads.

use std::ops::Range;

use super::rows::Rows;
use super::simd::{LANES, Simd, multiversion};

/// Rows between two questions whether to stop; a multiple of [`ROW_BLOCK`]. Nothing is asked within the functions that
/// are compiled for an instruction set, so that no foreign call stands among their loops.
pub const ROWS_AT_A_TIME: usize = 32;

/// The rows of a matrix, some at a time.
pub fn blocks(n: usize) -> impl Iterator<Item = Range<usize>> {
    let firsts = (0..n).step_by(ROWS_AT_A_TIME);
    firsts.map(move |first| first..(first + ROWS_AT_A_TIME).min(n))
}

/// What is summed over the features of two rows.
#[derive(Clone, Copy)]
pub enum Term {
    /// Their products.
    Product,
    /// Their products, where the columns are the rows: one half is multiplied, and the rows before the block must be
    /// there.
    ProductOfHalf,
    /// The squares of their differences.
    Square,
}

multiversion! {
    /// Sums of `term` for the rows of `block` with the columns: row i in `out[i * stride..]`.
    pub fn sums<S>(
        s: S,
        term: Term,
        rows: &Rows,
        block: Range<usize>,
        columns: &Rows,
        out: &mut [f64],
        stride: usize,
    ) {
        let is_symmetric = matches!(term, Term::ProductOfHalf);
        match (term, S::HAS_MANY_REGISTERS) {
            (Term::Square, true) => in_tiles::<S, 4, true>(s, rows, block, columns, false, out, stride),
            (Term::Square, false) => in_tiles::<S, 2, true>(s, rows, block, columns, false, out, stride),
            (_, true) => in_tiles::<S, 4, false>(s, rows, block, columns, is_symmetric, out, stride),
            (_, false) => in_tiles::<S, 2, false>(s, rows, block, columns, is_symmetric, out, stride),
        }
    }
}

multiversion! {
    /// Dot products of the rows with themselves, `[n]`.
    pub fn squares<S>(s: S, rows: &Rows, out: &mut [f64]) {
        for (i, out) in out[..rows.n].iter_mut().enumerate() {
            let row = [rows.row(i)];
            [[*out]] = tile::<S, 1, 1, false>(s, row, row);
        }
    }
}

/// Rows whose products with the same columns are computed one after the other, so that they stay in the first-level
/// cache.
const ROW_BLOCK: usize = 4;

/// Dot products or, if `DISTANCE`, squared distances.
#[inline(always)]
fn in_tiles<S: Simd, const T: usize, const DISTANCE: bool>(
    s: S,
    rows: &Rows,
    block: Range<usize>,
    columns: &Rows,
    is_symmetric: bool,
    out: &mut [f64],
    stride: usize,
) {
    let (n, m) = (rows.n, columns.n);
    let end = block.end;
    for block in block.step_by(ROW_BLOCK) {
        let block_end = (block + ROW_BLOCK).min(end);
        for j in (if is_symmetric { block } else { 0 }..m).step_by(T) {
            for i in (block..block_end).step_by(T) {
                // A tile at the edge repeats the last row or column.
                let i = std::array::from_fn::<_, T, _>(|k| (i + k).min(n - 1));
                let j = std::array::from_fn::<_, T, _>(|k| (j + k).min(m - 1));
                let tile =
                    tile::<S, T, T, DISTANCE>(s, i.map(|i| rows.row(i)), j.map(|j| columns.row(j)));
                for (i, line) in i.into_iter().zip(tile) {
                    for (j, dot) in j.into_iter().zip(line) {
                        out[i * stride + j] = dot;
                    }
                }
            }
        }
        if is_symmetric {
            for i in block..block_end {
                for j in 0..block {
                    out[i * stride + j] = out[j * stride + i];
                }
            }
        }
    }
}

/// Columns that the accumulators of one dot product take at a time: four vectors.
const WIDE: usize = 4 * LANES;

/// Dot products of `I` rows with `J` rows or, if `DISTANCE`, the dot products of their differences with themselves.
///
/// Thirty-two accumulators take the columns in turn; they are folded to sixteen, which take sixteen more columns if as
/// many are left; then to four, two and one; what is left over is added in order. Products of two f32 are exact in
/// f64, so only this order decides the bits; the square of a difference is rounded before it is added.
///
/// The four vectors of accumulators do not meet before they are folded. So one after the other passes over the rows,
/// and as many pairs of rows as the registers hold share what is read.
///
/// Source: the order of `OpenBLAS` 0.3's `ddot` on CPUs with AVX-512, which scikit-learn's libsvm calls. On other CPUs
/// `OpenBLAS` has other orders; this one is ours everywhere.
#[inline(always)]
fn tile<S: Simd, const I: usize, const J: usize, const DISTANCE: bool>(
    s: S,
    a: [&[f32]; I],
    b: [&[f32]; J],
) -> [[f64; J]; I] {
    let mut sums = [[[[0.0; LANES]; J]; I]; 4];
    let n_wide = a[0].len() / WIDE;
    let a_wide = a.map(|row| &row.as_chunks::<WIDE>().0[..n_wide]);
    let b_wide = b.map(|row| &row.as_chunks::<WIDE>().0[..n_wide]);
    for (quarter, sums) in sums.iter_mut().enumerate() {
        let mut quarters = [[s.splat(0.0); J]; I];
        for k in 0..n_wide {
            let mut x = [s.splat(0.0); I];
            for i in 0..I {
                x[i] = s.load_f32(&a_wide[i][k].as_chunks::<LANES>().0[quarter]);
            }
            for j in 0..J {
                let y = s.load_f32(&b_wide[j][k].as_chunks::<LANES>().0[quarter]);
                for i in 0..I {
                    quarters[i][j] = if DISTANCE {
                        let difference = s.sub(x[i], y);
                        s.add(quarters[i][j], s.mul(difference, difference))
                    } else {
                        s.add_exact_product(quarters[i][j], x[i], y)
                    };
                }
            }
        }
        for i in 0..I {
            for j in 0..J {
                s.store(quarters[i][j], &mut sums[i][j]);
            }
        }
    }
    let mut dots = [[0.0; J]; I];
    for i in 0..I {
        for j in 0..J {
            let rest = n_wide * WIDE;
            let sums = [0, 1, 2, 3].map(|quarter| sums[quarter][i][j]);
            dots[i][j] = finish::<DISTANCE>(sums, &a[i][rest..], &b[j][rest..]);
        }
    }
    dots
}

/// The product of two values or, if `DISTANCE`, the square of their difference.
#[inline(always)]
fn term<const DISTANCE: bool>(x: f32, y: f32) -> f64 {
    let (x, y) = (f64::from(x), f64::from(y));
    if DISTANCE { (x - y) * (x - y) } else { x * y }
}

/// Folds the accumulators of one sum and adds the columns that are left over (fewer than 32).
#[inline(always)]
fn finish<const DISTANCE: bool>(sums: [[f64; LANES]; 4], a_rest: &[f32], b_rest: &[f32]) -> f64 {
    let mut folded: [[f64; 4]; 4] =
        sums.map(|sum| std::array::from_fn(|lane| sum[lane] + sum[lane + 4]));
    let (a_half, a_rest) = a_rest.as_chunks::<16>();
    let (b_half, b_rest) = b_rest.as_chunks::<16>();
    for (x, y) in a_half.iter().zip(b_half) {
        for (lane, (x, y)) in x.iter().zip(y).enumerate() {
            folded[lane / 4][lane % 4] += term::<DISTANCE>(*x, *y);
        }
    }
    let quad: [f64; 4] = std::array::from_fn(|lane| {
        ((folded[0][lane] + folded[1][lane]) + folded[2][lane]) + folded[3][lane]
    });
    let dot = (quad[0] + quad[2]) + (quad[1] + quad[3]);
    a_rest
        .iter()
        .zip(b_rest)
        .fold(dot, |dot, (x, y)| dot + term::<DISTANCE>(*x, *y))
}
