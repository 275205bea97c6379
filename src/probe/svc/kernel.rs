//! Kernel functions of dot products and distances.

use std::ops::Range;

use super::functions::{exp, tanh};
use super::gram::Gram;
use super::pairs::Arguments;
use super::simd::{LANES, Simd, lanes, multiversion};
use crate::probe::settings::Kernel;

/// A kernel with its parameters: a function of a dot product or, for `rbf`, of a squared distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KernelFunction {
    /// Which kernel.
    pub kernel: Kernel,
    /// gamma; `linear` ignores it.
    pub gamma: f64,
    /// Degree of `poly`.
    pub degree: u32,
    /// Constant of `poly` and `sigmoid`.
    pub coef0: f64,
}

/// base^exponent by repeated squaring, in the order of libsvm.
#[inline(always)]
fn power<S: Simd>(s: S, base: S::V, exponent: u32) -> S::V {
    // What the loop does for the usual degree. The compiler takes this question out of the loops over vectors, but not
    // that loop.
    if exponent == 3 {
        return s.mul(base, s.mul(base, base));
    }
    let mut result = s.splat(1.0);
    let mut square = base;
    let mut rest = exponent;
    while rest > 0 {
        if rest % 2 == 1 {
            result = s.mul(result, square);
        }
        square = s.mul(square, square);
        rest /= 2;
    }
    result
}

/// |x - y|² of |x|², |y|² and x·y.
#[inline(always)]
fn distance<S: Simd>(s: S, x_square: S::V, y_square: S::V, dot: S::V) -> S::V {
    s.sub(s.add(x_square, y_square), s.add(dot, dot))
}

impl KernelFunction {
    /// gamma, where the kernel has one.
    pub fn used_gamma(self) -> Option<f64> {
        (self.kernel != Kernel::Linear).then_some(self.gamma)
    }

    /// gamma, to stand behind other parameters in messages; nothing where the kernel has none.
    pub fn and_gamma(self) -> String {
        let gamma = self.used_gamma();
        gamma.map_or_else(String::new, |gamma| format!(", gamma = {gamma}"))
    }

    /// Kernel values of eight pairs, given their dot products or, for `rbf`, their squared distances.
    ///
    /// Source: the kernels of libsvm.
    #[inline(always)]
    fn of_lanes<S: Simd>(self, s: S, argument: S::V) -> S::V {
        let gamma = s.splat(self.gamma);
        let inner = s.add(s.mul(gamma, argument), s.splat(self.coef0));
        match self.kernel {
            Kernel::Linear => argument,
            Kernel::Rbf => exp(s, s.mul(s.splat(-self.gamma), argument)),
            Kernel::Poly => power(s, inner, self.degree),
            Kernel::Sigmoid => tanh(s, inner),
        }
    }

    /// Kernel values of row `i` with the columns from `first` (a multiple of [`LANES`]) on, as libsvm trains on them:
    /// distances come from dot products, and the values are rounded to f32.
    #[inline(always)]
    fn of_row<S: Simd>(self, s: S, gram: &Gram, i: usize, first: usize, out: &mut [f32]) {
        let row_square = s.splat(gram.squares[i]);
        let columns = lanes(&gram.row(i)[first..]).zip(lanes(&gram.squares[first..]));
        for ((dots, squares), out) in columns.zip(out.as_chunks_mut::<LANES>().0) {
            let dots = s.load(dots);
            let argument = match self.kernel {
                Kernel::Rbf => distance(s, row_square, s.load(squares), dots),
                Kernel::Linear | Kernel::Poly | Kernel::Sigmoid => dots,
            };
            s.store_f32(self.of_lanes(s, argument), out);
        }
    }
}

multiversion! {
    /// Kernel values of a Gram matrix, `[n, stride]` rounded to f32: the rows of `block`, those before which must be
    /// there. What lies beyond the last column means nothing.
    pub fn kernel_rows<S>(
        s: S,
        function: KernelFunction,
        gram: &Gram,
        block: Range<usize>,
        matrix: &mut [f32],
    ) {
        let stride = gram.stride;
        let is_dear = matches!(function.kernel, Kernel::Rbf | Kernel::Sigmoid);
        for band in block.clone().step_by(LANES) {
            let end = (band + LANES).min(block.end);
            // Where a value costs more than a copy, what lies before the diagonal's block of columns mirrors rows above.
            let first = if is_dear { band } else { 0 };
            if is_dear {
                mirror(s, matrix, stride, band..end);
            }
            for i in band..end {
                let row = &mut matrix[i * stride + first..(i + 1) * stride];
                function.of_row(s, gram, i, first, row);
            }
        }
    }
}

/// Reads row `i` of `arguments` into `out`, which is as long as a row.
#[inline(always)]
pub fn read_row<S: Simd>(s: S, arguments: Arguments<'_>, i: usize, out: &mut [f64]) {
    let row = i * out.len()..(i + 1) * out.len();
    match arguments {
        Arguments::Given(values) => out.copy_from_slice(&values[row]),
        Arguments::Distances {
            dots,
            row_squares,
            column_squares,
        } => {
            let row_square = s.splat(row_squares[i]);
            let columns = lanes(&dots[row]).zip(lanes(column_squares));
            for ((dots, squares), out) in columns.zip(out.as_chunks_mut::<LANES>().0) {
                s.store(distance(s, row_square, s.load(squares), s.load(dots)), out);
            }
        }
    }
}

/// Fills the rows of `band` (up to [`LANES`], the first of them a multiple of it) before the diagonal's block of columns
/// with what the columns of the same number hold above.
#[inline(always)]
fn mirror<S: Simd>(s: S, matrix: &mut [f32], stride: usize, band: Range<usize>) {
    let (above, rows) = matrix.split_at_mut(band.start * stride);
    for first in (0..band.start).step_by(LANES) {
        let mut block = [[0.0; LANES]; LANES];
        for (row, line) in block.iter_mut().enumerate() {
            let start = (first + row) * stride + band.start;
            line.copy_from_slice(&above[start..start + LANES]);
        }
        let block = s.transpose_f32(block);
        for (row, line) in rows.chunks_exact_mut(stride).zip(&block).take(band.len()) {
            row[first..first + LANES].copy_from_slice(line);
        }
    }
}

multiversion! {
    /// The diagonal of the same matrix in f64, `[stride]`.
    pub fn kernel_diagonal<S>(s: S, function: KernelFunction, gram: &Gram, diagonal: &mut [f64]) {
        if function.kernel == Kernel::Rbf {
            // exp(0): a row is at no distance from itself.
            diagonal.fill(1.0);
        } else {
            for (squares, out) in lanes(&gram.squares).zip(diagonal.as_chunks_mut::<LANES>().0) {
                s.store(function.of_lanes(s, s.load(squares)), out);
            }
        }
    }
}

multiversion! {
    /// Sums the kernel values of every column with the rows that have a coefficient, times that coefficient.
    ///
    /// `coefficients`: one per row, zero where a row is no support vector. `sums`: `[stride]`, overwritten. Rows are
    /// added in order, each product and each sum rounded, as libsvm predicts.
    pub fn weighted_sums<S>(
        s: S,
        function: KernelFunction,
        arguments: Arguments<'_>,
        coefficients: &[f64],
        sums: &mut [f64],
    ) {
        sums.fill(0.0);
        let stride = sums.len();
        for (i, &coefficient) in coefficients.iter().enumerate() {
            if coefficient == 0.0 {
                continue;
            }
            let coefficient = s.splat(coefficient);
            let row = i * stride..(i + 1) * stride;
            let sums = sums.as_chunks_mut::<LANES>().0.iter_mut();
            match arguments {
                Arguments::Given(arguments) => {
                    for (argument, sum) in lanes(&arguments[row]).zip(sums) {
                        let value = function.of_lanes(s, s.load(argument));
                        s.store(s.add(s.load(sum), s.mul(coefficient, value)), sum);
                    }
                }
                Arguments::Distances { dots, row_squares, column_squares } => {
                    let row_square = s.splat(row_squares[i]);
                    let columns = lanes(&dots[row]).zip(lanes(column_squares));
                    for ((dots, squares), sum) in columns.zip(sums) {
                        let argument = distance(s, row_square, s.load(squares), s.load(dots));
                        let value = function.of_lanes(s, argument);
                        s.store(s.add(s.load(sum), s.mul(coefficient, value)), sum);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "equal bits are the point")]
mod tests {
    use super::super::simd::Base;
    use super::*;

    #[test]
    fn power_multiplies_in_libsvms_order() {
        let power = |base, exponent| power(Base, [base; LANES], exponent)[0];
        assert_eq!(power(3.0, 0), 1.0);
        assert_eq!(power(3.0, 5), 243.0);
        let x = 1.1;
        assert_eq!(power(x, 3), x * (x * x));
    }
}
