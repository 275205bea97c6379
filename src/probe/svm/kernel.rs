//! Kernel functions of Gram matrices.

use super::functions::{exp, tanh};
use super::gram::Gram;
use super::simd::{LANES, Simd, multiversion};
use crate::probe::settings::{Kernel, Probe};

/// A kernel with its parameters: a function of a dot product and, for `rbf`, of two squared norms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct KernelFunction {
    /// Which kernel.
    pub(crate) kernel: Kernel,
    /// gamma; `linear` ignores it.
    pub(crate) gamma: f64,
    /// Degree of `poly`.
    pub(crate) degree: u32,
    /// Constant of `poly` and `sigmoid`.
    pub(crate) coef0: f64,
}

/// What kernel values are stored as.
pub(crate) trait KernelValue: Sized {
    /// Stores eight kernel values.
    fn store<S: Simd>(s: S, values: S::V, to: &mut [Self; LANES]);
}

impl KernelValue for f64 {
    #[inline(always)]
    fn store<S: Simd>(s: S, values: S::V, to: &mut [Self; LANES]) {
        s.store(values, to);
    }
}

impl KernelValue for f32 {
    /// Rounds as libsvm does when it stores a kernel value in its Q matrix.
    #[inline(always)]
    fn store<S: Simd>(s: S, values: S::V, to: &mut [Self; LANES]) {
        s.store_f32(values, to);
    }
}

/// base^exponent by repeated squaring, in the order of libsvm.
#[inline(always)]
fn power<S: Simd>(s: S, base: S::V, exponent: u32) -> S::V {
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

impl KernelFunction {
    /// `kernel` with this gamma, and with what `probe` fixes.
    pub(crate) fn new(probe: &Probe, kernel: Kernel, gamma: f64) -> Self {
        Self {
            kernel,
            gamma,
            degree: probe.degree,
            coef0: probe.coef0,
        }
    }

    /// Kernel values of one row with many columns, given its dot products with them. All slices are `[stride]`.
    #[inline(always)]
    fn of_row<S: Simd, T: KernelValue>(
        self,
        s: S,
        dots: &[f64],
        row_square: f64,
        column_squares: &[f64],
        out: &mut [T],
    ) {
        let row_square = s.splat(row_square);
        let columns = dots
            .as_chunks::<LANES>()
            .0
            .iter()
            .zip(column_squares.as_chunks::<LANES>().0);
        for ((dots, column_squares), out) in columns.zip(out.as_chunks_mut::<LANES>().0) {
            let squares = s.add(row_square, s.load(column_squares));
            T::store(s, self.of_lanes(s, s.load(dots), squares), out);
        }
    }

    /// Kernel values of eight pairs, given their dot products and the sums of their squared norms.
    ///
    /// Source: the kernels of libsvm as scikit-learn 1.9 evaluates them in training.
    #[inline(always)]
    fn of_lanes<S: Simd>(self, s: S, dot: S::V, squares: S::V) -> S::V {
        let gamma = s.splat(self.gamma);
        let inner = s.add(s.mul(gamma, dot), s.splat(self.coef0));
        match self.kernel {
            Kernel::Linear => dot,
            Kernel::Rbf => {
                let distance = s.sub(squares, s.add(dot, dot));
                exp(s, s.mul(s.splat(-self.gamma), distance))
            }
            Kernel::Poly => power(s, inner, self.degree),
            Kernel::Sigmoid => tanh(s, inner),
        }
    }
}

multiversion! {
    /// Kernel values of a symmetric Gram matrix: `matrix` gets `[n_rows, stride]` rounded to f32, `diagonal` gets
    /// `[stride]` in f64. What lies beyond the last column means nothing.
    pub(crate) fn kernel_matrix(
        function: KernelFunction,
        gram: &Gram,
        matrix: &mut [f32],
        diagonal: &mut [f64],
    ) = kernel_matrix_body;
}

#[inline(always)]
fn kernel_matrix_body<S: Simd>(
    s: S,
    function: KernelFunction,
    gram: &Gram,
    matrix: &mut [f32],
    diagonal: &mut [f64],
) {
    let stride = gram.stride;
    let is_dear = matches!(function.kernel, Kernel::Rbf | Kernel::Sigmoid);
    for i in 0..gram.n_rows {
        // Where a value costs more than a copy, what lies before the diagonal's block of columns mirrors rows above.
        let first = if is_dear { i / LANES * LANES } else { 0 };
        let (above, row) = matrix.split_at_mut(i * stride);
        let (mirrored, computed) = row[..stride].split_at_mut(first);
        for (j, value) in mirrored.iter_mut().enumerate() {
            *value = above[j * stride + i];
        }
        let (dots, column_squares) = (&gram.row(i)[first..], &gram.column_squares[first..]);
        function.of_row(s, dots, gram.row_squares[i], column_squares, computed);
    }
    if function.kernel == Kernel::Rbf {
        // exp(0): a row is at no distance from itself.
        diagonal.fill(1.0);
    } else {
        // A row's product with itself is its square; no other kernel looks at squares.
        function.of_row(s, &gram.column_squares, 0.0, &gram.column_squares, diagonal);
    }
}

multiversion! {
    /// Sums the kernel values of every column with the rows that have a coefficient, times that coefficient.
    ///
    /// `coefficients`: `[n_rows]`, zero where a row is no support vector. `sums`: `[stride]`, overwritten. `values`:
    /// `[stride]`, scratch. Rows are added in order, each product and each sum rounded, as libsvm predicts.
    pub(crate) fn weighted_sums(
        function: KernelFunction,
        gram: &Gram,
        coefficients: &[f64],
        sums: &mut [f64],
        values: &mut [f64],
    ) = weighted_sums_body;
}

#[inline(always)]
fn weighted_sums_body<S: Simd>(
    s: S,
    function: KernelFunction,
    gram: &Gram,
    coefficients: &[f64],
    sums: &mut [f64],
    values: &mut [f64],
) {
    sums.fill(0.0);
    for (i, &coefficient) in coefficients.iter().enumerate() {
        if coefficient == 0.0 {
            continue;
        }
        function.of_row(
            s,
            gram.row(i),
            gram.row_squares[i],
            &gram.column_squares,
            values,
        );
        let coefficient = s.splat(coefficient);
        for (sums, values) in sums
            .as_chunks_mut::<LANES>()
            .0
            .iter_mut()
            .zip(values.as_chunks::<LANES>().0)
        {
            s.store(
                s.add(s.load(sums), s.mul(coefficient, s.load(values))),
                sums,
            );
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
