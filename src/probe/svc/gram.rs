//! Dot products and distances of rows: the one expensive thing that all kernels share.

use std::ops::Range;

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, Zip};

use super::aligned::Aligned;
use super::simd::{LANES, Level, Simd, multiversion};
use crate::interrupt::{Interrupt, Stopped};
use crate::probe::settings::Kernel;

/// Rows of features, widened to f64: row-major, `d` values each.
#[derive(Debug, Default)]
pub struct Rows {
    values: Aligned<f64>,
    n: usize,
    d: usize,
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
            Zip::from(ArrayViewMut1::from(values))
                .and(row)
                .for_each(|value, &feature| *value = f64::from(feature));
        }
        Self { values, n, d }
    }

    /// `[n, d]`
    pub fn dim(&self) -> (usize, usize) {
        (self.n, self.d)
    }

    /// All values, row after row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    #[inline(always)]
    fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.d..(i + 1) * self.d]
    }
}

/// The dot products of a set of rows with each other.
///
/// Each sum runs in one fixed order ([`tile`]), whatever the CPU and the number of threads.
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
            sums(
                level,
                Term::ProductOfHalf,
                rows,
                block,
                rows,
                &mut gram.dots,
                stride,
            );
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

/// What kernels are functions of, for each of one set of rows with each of another.
///
/// libsvm predicts from |x - y|², where it trains from |x|² + |y|² - 2 x·y. The two differ where rows are long and
/// close to each other.
#[derive(Debug)]
pub struct Pairs {
    /// Number of rows of the second set: the columns of the matrices.
    pub n_columns: usize,
    /// `n_columns`, rounded up to a multiple of [`LANES`].
    pub stride: usize,
    /// Dot products, `[n_rows, stride]`; empty if no kernel asks for them.
    dots: Aligned<f64>,
    /// Squared distances, `[n_rows, stride]`; empty if no kernel asks for them.
    distances: Aligned<f64>,
}

impl Pairs {
    /// Pairs each of `rows` with each of `columns`, which have as many values each, for predictions with `kernels`.
    ///
    /// # Errors
    /// [`Stopped`] where a stop was asked for.
    pub fn new(
        level: Level,
        rows: &Rows,
        columns: &Rows,
        kernels: &[Kernel],
        interrupt: &Interrupt,
    ) -> Result<Self, Stopped> {
        let stride = columns.n.next_multiple_of(LANES);
        let matrix = |is_wanted: bool| Aligned::new(if is_wanted { rows.n * stride } else { 0 });
        let is_rbf = |kernel: &Kernel| *kernel == Kernel::Rbf;
        let mut pairs = Self {
            n_columns: columns.n,
            stride,
            dots: matrix(!kernels.iter().all(is_rbf)),
            distances: matrix(kernels.iter().any(is_rbf)),
        };
        let (dots, distances) = (&mut pairs.dots, &mut pairs.distances);
        for block in blocks(rows.n) {
            interrupt.check()?;
            if !dots.is_empty() {
                sums(
                    level,
                    Term::Product,
                    rows,
                    block.clone(),
                    columns,
                    dots,
                    stride,
                );
            }
            if !distances.is_empty() {
                sums(level, Term::Square, rows, block, columns, distances, stride);
            }
        }
        Ok(pairs)
    }

    /// What `kernel` is a function of, row after row of `stride` values.
    #[inline(always)]
    pub fn arguments(&self, kernel: Kernel) -> &[f64] {
        match kernel {
            Kernel::Rbf => &self.distances,
            Kernel::Linear | Kernel::Poly | Kernel::Sigmoid => &self.dots,
        }
    }
}

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
enum Term {
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
    fn sums<S>(
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
            (Term::Square, true) => in_tiles::<S, 2, true>(s, rows, block, columns, false, out, stride),
            (Term::Square, false) => in_tiles::<S, 1, true>(s, rows, block, columns, false, out, stride),
            (_, true) => in_tiles::<S, 2, false>(s, rows, block, columns, is_symmetric, out, stride),
            (_, false) => in_tiles::<S, 1, false>(s, rows, block, columns, is_symmetric, out, stride),
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
/// Source: the order of `OpenBLAS` 0.3's `ddot` on CPUs with AVX-512, which scikit-learn's libsvm calls. On other CPUs
/// `OpenBLAS` has other orders; this one is ours everywhere.
#[inline(always)]
fn tile<S: Simd, const I: usize, const J: usize, const DISTANCE: bool>(
    s: S,
    a: [&[f64]; I],
    b: [&[f64]; J],
) -> [[f64; J]; I] {
    let zero = s.splat(0.0);
    let mut sums = [[[zero; 4]; J]; I];
    let wide = a[0].len() / WIDE * WIDE;
    for k in (0..wide).step_by(WIDE) {
        let mut x = [[zero; 4]; I];
        for i in 0..I {
            x[i] = quarters(s, &a[i][k..k + WIDE]);
        }
        for j in 0..J {
            let y = quarters(s, &b[j][k..k + WIDE]);
            for i in 0..I {
                for q in 0..4 {
                    sums[i][j][q] = if DISTANCE {
                        let difference = s.sub(x[i][q], y[q]);
                        s.add(sums[i][j][q], s.mul(difference, difference))
                    } else {
                        s.add_exact_product(sums[i][j][q], x[i][q], y[q])
                    };
                }
            }
        }
    }
    let mut dots = [[0.0; J]; I];
    for i in 0..I {
        for j in 0..J {
            let [p, q, r, t] = sums[i][j];
            let sums = [s.to_array(p), s.to_array(q), s.to_array(r), s.to_array(t)];
            dots[i][j] = finish::<DISTANCE>(sums, &a[i][wide..], &b[j][wide..]);
        }
    }
    dots
}

/// Reads four vectors.
#[inline(always)]
fn quarters<S: Simd>(s: S, wide: &[f64]) -> [S::V; 4] {
    let vectors = wide.as_chunks::<LANES>().0;
    [
        s.load(&vectors[0]),
        s.load(&vectors[1]),
        s.load(&vectors[2]),
        s.load(&vectors[3]),
    ]
}

/// The product of two values or, if `DISTANCE`, the square of their difference.
#[inline(always)]
fn term<const DISTANCE: bool>(x: f64, y: f64) -> f64 {
    if DISTANCE { (x - y) * (x - y) } else { x * y }
}

/// Folds the accumulators of one sum and adds the columns that are left over (fewer than 32).
#[inline(always)]
fn finish<const DISTANCE: bool>(sums: [[f64; LANES]; 4], a_rest: &[f64], b_rest: &[f64]) -> f64 {
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
