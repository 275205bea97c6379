//! Dot products of rows: the one expensive thing that all kernels share.

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, Zip};

use super::aligned::Aligned;
use super::simd::{LANES, Level, Simd, multiversion};

/// Rows of features, widened to f64: row-major, `d` values each.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    values: Aligned<f64>,
    n: usize,
    d: usize,
}

impl Rows {
    /// The rows of `x` (`[n, d]`, d >= 1).
    pub(crate) fn new(x: ArrayView2<'_, f32>) -> Self {
        Self::collect(x.rows().into_iter(), x.dim())
    }

    /// Those of the rows of `x` (`[n, d]`, d >= 1) that `order` names, in its order.
    pub(crate) fn select(x: ArrayView2<'_, f32>, order: &[usize]) -> Self {
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
    pub(crate) fn dim(&self) -> (usize, usize) {
        (self.n, self.d)
    }

    /// All values, row after row.
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    #[inline(always)]
    fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.d..(i + 1) * self.d]
    }
}

/// The dot products of one set of rows with another, and those of each row with itself.
///
/// Each sum runs in one fixed order ([`dot_tile`]), whatever the CPU and the number of threads.
#[derive(Debug)]
pub(crate) struct Gram {
    /// Number of rows of the matrix.
    pub(crate) n_rows: usize,
    /// Number of columns of the matrix.
    pub(crate) n_columns: usize,
    /// Distance between two rows in `dots`: `n_columns`, rounded up to a multiple of [`LANES`].
    pub(crate) stride: usize,
    /// `[n_rows, stride]`; what lies between `n_columns` and `stride` is zero.
    pub(crate) dots: Aligned<f64>,
    /// Squared norms of the rows, `[n_rows]`.
    pub(crate) row_squares: Aligned<f64>,
    /// Squared norms of the columns, `[stride]`, zero from `n_columns` on.
    pub(crate) column_squares: Aligned<f64>,
}

impl Gram {
    /// Multiplies each of `rows` with each of `columns`, which have as many values each.
    pub(crate) fn between(level: Level, rows: &Rows, columns: &Rows) -> Self {
        Self::new(level, rows, columns, false)
    }

    /// Multiplies each of `rows` with each other: a symmetric matrix.
    pub(crate) fn of(level: Level, rows: &Rows) -> Self {
        Self::new(level, rows, rows, true)
    }

    fn new(level: Level, rows: &Rows, columns: &Rows, is_symmetric: bool) -> Self {
        let stride = columns.n.next_multiple_of(LANES);
        let mut gram = Self {
            n_rows: rows.n,
            n_columns: columns.n,
            stride,
            dots: Aligned::new(rows.n * stride),
            row_squares: Aligned::new(rows.n),
            column_squares: Aligned::new(stride),
        };
        products(level, rows, columns, is_symmetric, &mut gram.dots, stride);
        squares(level, rows, &mut gram.row_squares);
        squares(level, columns, &mut gram.column_squares);
        gram
    }

    /// The dot products of row `i`, `[stride]`.
    #[inline(always)]
    pub(crate) fn row(&self, i: usize) -> &[f64] {
        &self.dots[i * self.stride..(i + 1) * self.stride]
    }
}

multiversion! {
    /// Squared norms of rows.
    fn squares(rows: &Rows, out: &mut [f64]) = squares_body;
}

#[inline(always)]
fn squares_body<S: Simd>(s: S, rows: &Rows, out: &mut [f64]) {
    for (i, out) in out.iter_mut().enumerate().take(rows.n) {
        let [[square]] = dot_tile(s, [rows.row(i)], [rows.row(i)]);
        *out = square;
    }
}

multiversion! {
    /// Dot products of the rows with the columns: row i in `out[i * stride..]`. If `is_symmetric`, the columns are the
    /// rows, and only one half is multiplied.
    fn products(rows: &Rows, columns: &Rows, is_symmetric: bool, out: &mut [f64], stride: usize) = products_body;
}

#[inline(always)]
fn products_body<S: Simd>(
    s: S,
    rows: &Rows,
    columns: &Rows,
    is_symmetric: bool,
    out: &mut [f64],
    stride: usize,
) {
    if S::HAS_MANY_REGISTERS {
        products_in_tiles::<S, 2>(s, rows, columns, is_symmetric, out, stride);
    } else {
        products_in_tiles::<S, 1>(s, rows, columns, is_symmetric, out, stride);
    }
}

/// Rows whose products with the same columns are computed one after the other, so that they stay in the first-level
/// cache.
const ROW_BLOCK: usize = 4;

#[inline(always)]
fn products_in_tiles<S: Simd, const T: usize>(
    s: S,
    rows: &Rows,
    columns: &Rows,
    is_symmetric: bool,
    out: &mut [f64],
    stride: usize,
) {
    let (n, m) = (rows.n, columns.n);
    for block in (0..n).step_by(ROW_BLOCK) {
        let block_end = (block + ROW_BLOCK).min(n);
        for j in (if is_symmetric { block } else { 0 }..m).step_by(T) {
            for i in (block..block_end).step_by(T) {
                // A tile at the edge repeats the last row or column.
                let i = std::array::from_fn::<_, T, _>(|k| (i + k).min(n - 1));
                let j = std::array::from_fn::<_, T, _>(|k| (j + k).min(m - 1));
                let tile = dot_tile(s, i.map(|i| rows.row(i)), j.map(|j| columns.row(j)));
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

/// Dot products of `I` rows with `J` rows.
///
/// Thirty-two accumulators take the columns in turn; they are folded to sixteen, which take sixteen more columns if as
/// many are left; then to four, two and one; what is left over is added in order. Products of two f32 are exact in
/// f64, so only this order decides the bits.
///
/// Source: the order of `OpenBLAS` 0.3's `ddot` on CPUs with AVX-512, which scikit-learn's libsvm calls. On other CPUs
/// `OpenBLAS` has other orders; this one is ours everywhere.
#[inline(always)]
fn dot_tile<S: Simd, const I: usize, const J: usize>(
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
                    sums[i][j][q] = s.add_exact_product(sums[i][j][q], x[i][q], y[q]);
                }
            }
        }
    }
    let mut dots = [[0.0; J]; I];
    for i in 0..I {
        for j in 0..J {
            let [p, q, r, t] = sums[i][j];
            let sums = [s.to_array(p), s.to_array(q), s.to_array(r), s.to_array(t)];
            dots[i][j] = finish_dot(sums, &a[i][wide..], &b[j][wide..]);
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

/// Folds the accumulators of one dot product and adds the columns that are left over (fewer than 32).
#[inline(always)]
fn finish_dot(sums: [[f64; LANES]; 4], a_rest: &[f64], b_rest: &[f64]) -> f64 {
    let mut folded: [[f64; 4]; 4] =
        sums.map(|sum| std::array::from_fn(|lane| sum[lane] + sum[lane + 4]));
    let (a_half, a_rest) = a_rest.as_chunks::<16>();
    let (b_half, b_rest) = b_rest.as_chunks::<16>();
    for (x, y) in a_half.iter().zip(b_half) {
        for (lane, (x, y)) in x.iter().zip(y).enumerate() {
            folded[lane / 4][lane % 4] += x * y;
        }
    }
    let quad: [f64; 4] = std::array::from_fn(|lane| {
        ((folded[0][lane] + folded[1][lane]) + folded[2][lane]) + folded[3][lane]
    });
    let dot = (quad[0] + quad[2]) + (quad[1] + quad[3]);
    a_rest
        .iter()
        .zip(b_rest)
        .fold(dot, |dot, (x, y)| dot + x * y)
}
