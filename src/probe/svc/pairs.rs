//! What kernels are functions of, between rows that were trained on and rows that are predicted.

use std::sync::{Arc, OnceLock};

use super::aligned::Aligned;
use super::kernel::KernelFunction;
use super::rows::Rows;
use super::simd::{LANES, Level};
use super::sums::{self, Term, blocks, sums};
use crate::interrupt::{Interrupt, Stopped};
use crate::probe::settings::Kernel;

/// Half a unit in the last place of 1.
const U: f64 = f64::EPSILON / 2.0;

/// What kernels are functions of, for each of one set of rows with each of another.
///
/// libsvm predicts from |x - y|², where it trains from |x|² + |y|² - 2 x·y. The two differ where rows are long and
/// close to each other. Where dot products are there, the second [estimates](Self::estimate) the first.
#[derive(Debug)]
pub struct Pairs {
    /// The first set; empty where the distances are not wanted.
    rows: Arc<Rows>,
    /// The second set; empty where the distances are not wanted.
    columns: Rows,
    /// Number of rows of the second set: the columns of the matrices.
    pub n_columns: usize,
    /// `n_columns`, rounded up to a multiple of [`LANES`].
    pub stride: usize,
    /// Dot products, `[n_rows, stride]`; empty if no kernel asks for them.
    dots: Aligned<f64>,
    /// Squared norms of both sets, `[n_rows]` and `[stride]` at least; empty if dot products or distances are not wanted.
    squares: [Aligned<f64>; 2],
    /// Squared distances, `[n_rows, stride]`, once they were asked for.
    distances: OnceLock<Aligned<f64>>,
}

/// A matrix of what a kernel is a function of, row after row of as many values as the columns' [stride](Pairs::stride).
#[derive(Clone, Copy)]
pub enum Arguments<'a> {
    /// The matrix.
    Given(&'a [f64]),
    /// Squared distances as dot products and squared norms give them.
    Distances {
        /// Dot products.
        dots: &'a [f64],
        /// Squared norms of the rows.
        row_squares: &'a [f64],
        /// Squared norms of the columns.
        column_squares: &'a [f64],
    },
}

impl Pairs {
    /// Pairs each of `rows` with each of `columns`, which have as many values each, for predictions with `kernels`.
    ///
    /// # Errors
    /// [`Stopped`] where a stop was asked for.
    pub fn new(
        level: Level,
        rows: &Arc<Rows>,
        columns: Rows,
        kernels: &[Kernel],
        interrupt: &Interrupt,
    ) -> Result<Self, Stopped> {
        let n_columns = columns.n;
        let stride = n_columns.next_multiple_of(LANES);
        let is_rbf = |kernel: &Kernel| *kernel == Kernel::Rbf;
        let mut pairs = Self {
            rows: Arc::default(),
            columns: Rows::default(),
            n_columns,
            stride,
            dots: Aligned::default(),
            squares: Default::default(),
            distances: OnceLock::new(),
        };
        if !kernels.iter().all(is_rbf) {
            pairs.dots = matrix(level, Term::Product, rows, &columns, interrupt)?;
        }
        if kernels.iter().any(is_rbf) {
            if !pairs.dots.is_empty() {
                pairs.squares = [rows, &columns].map(|rows| {
                    let mut squares = Aligned::new(rows.n.next_multiple_of(LANES));
                    sums::squares(level, rows, &mut squares);
                    squares
                });
            }
            pairs.rows = Arc::clone(rows);
            pairs.columns = columns;
        }
        Ok(pairs)
    }

    /// What `kernel` is a function of.
    ///
    /// # Errors
    /// [`Stopped`] where a stop was asked for.
    pub fn arguments(
        &self,
        level: Level,
        kernel: Kernel,
        interrupt: &Interrupt,
    ) -> Result<Arguments<'_>, Stopped> {
        if kernel != Kernel::Rbf {
            return Ok(Arguments::Given(&self.dots));
        }
        if let Some(distances) = self.distances.get() {
            return Ok(Arguments::Given(distances));
        }
        let distances = matrix(level, Term::Square, &self.rows, &self.columns, interrupt)?;
        // Another thread may have been faster; it has the same numbers.
        Ok(Arguments::Given(self.distances.get_or_init(|| distances)))
    }

    /// What `kernel` is a function of, from dot products; `None` where there are none. Distances are off by up to
    /// [`Self::error_of_distances`].
    pub fn by_dots(&self, kernel: Kernel) -> Option<Arguments<'_>> {
        let [row_squares, column_squares] = &self.squares;
        let is_there = !self.dots.is_empty() && (kernel != Kernel::Rbf || !row_squares.is_empty());
        is_there.then(|| match kernel {
            Kernel::Rbf => Arguments::Distances {
                dots: &self.dots,
                row_squares,
                column_squares,
            },
            Kernel::Linear | Kernel::Poly | Kernel::Sigmoid => Arguments::Given(&self.dots),
        })
    }

    /// How far at most the two ways to a squared distance are apart.
    ///
    /// Both add d terms, whose sizes add up to 2 (|x|² + |y|²) at most, and each of the roundings on the way moves the
    /// result by half a unit in the last place at most, relative to that. So they are apart by half of this.
    pub fn error_of_distances(&self) -> f64 {
        let largest = |squares: &[f64]| squares.iter().copied().fold(0.0, f64::max);
        let squares: f64 = self.squares.iter().map(|squares| largest(squares)).sum();
        8.0 * (self.columns.d as f64 + 8.0) * U * squares
    }

    /// What costs less than [`Self::arguments`] to have, and how far at most a sum over the rows of kernel values times
    /// coefficients is off for it, for coefficients whose sizes add up to 1. `None` where it saves nothing, or where no
    /// such bound is known.
    pub fn estimate(&self, function: KernelFunction) -> Option<(Arguments<'_>, f64)> {
        if function.kernel != Kernel::Rbf || self.distances.get().is_some() {
            return None;
        }
        let arguments = self.by_dots(function.kernel)?;
        // exp(x + e) - exp(x) is less than 1.1 e for x < 0 and e < 0.1; a kernel value is 1.1 at most, and `exp` within
        // some units in its last place. Sums of n products follow.
        let of_exponent = function.gamma * self.error_of_distances();
        let of_sum = 2.0 * (1.1 * of_exponent + 16.0 * U) + 4.0 * (self.rows.n as f64 + 2.0) * U;
        (0.0..0.1)
            .contains(&of_exponent)
            .then_some((arguments, of_sum))
    }
}

/// The dot products of each of `rows` with each of `columns`, which have as many values each: row after row, of as many
/// values each, at least one for each column.
///
/// # Errors
/// [`Stopped`] where a stop was asked for.
pub fn products(
    level: Level,
    rows: &Rows,
    columns: &Rows,
    interrupt: &Interrupt,
) -> Result<Aligned<f64>, Stopped> {
    matrix(level, Term::Product, rows, columns, interrupt)
}

/// Sums of `term` for each of `rows` with each of `columns`, `[n_rows, stride]`.
fn matrix(
    level: Level,
    term: Term,
    rows: &Rows,
    columns: &Rows,
    interrupt: &Interrupt,
) -> Result<Aligned<f64>, Stopped> {
    let stride = columns.n.next_multiple_of(LANES);
    let mut matrix = Aligned::new(rows.n * stride);
    for block in blocks(rows.n) {
        interrupt.check()?;
        sums(level, term, rows, block, columns, &mut matrix, stride);
    }
    Ok(matrix)
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "features of f32")]
mod tests {
    use ndarray::Array2;

    use super::super::kernel::weighted_sums;
    use super::*;
    use crate::random::RandomState;

    #[test]
    fn sums_by_estimated_distances_are_as_near_as_promised() {
        let level = Level::widest();
        let interrupt = &Interrupt::default();
        for (d, size) in [(3, 1.0), (3, 1e4), (768, 1.0), (768, 30.0)] {
            let mut rng = RandomState::new(d);
            let mut rows = |n: usize| {
                let value = || (size * (rng.uniform() - 0.5)) as f32;
                Rows::new(Array2::from_shape_simple_fn((n, d as usize), value).view())
            };
            let (train, test) = (Arc::new(rows(60)), rows(30));
            let pairs = Pairs::new(level, &train, test, &Kernel::ALL, interrupt).unwrap();
            let coefficients: Vec<f64> = (0..60).map(|i| f64::from(i) / 1770.0).collect();
            for gamma in [1e-12, 1e-4, 1.0, 1e3] {
                let function = KernelFunction {
                    kernel: Kernel::Rbf,
                    gamma: gamma / size / size,
                    degree: 3,
                    coef0: 0.0,
                };
                let sums = |arguments| {
                    let mut sums = vec![0.0; pairs.stride];
                    weighted_sums(level, function, arguments, &coefficients, &mut sums);
                    sums
                };
                let (estimate, error) = pairs.estimate(function).unwrap();
                let estimated = sums(estimate);
                // Not `pairs.arguments`, which would keep the distances and end the estimates.
                let distances = matrix(level, Term::Square, &train, &pairs.columns, interrupt);
                let exact = sums(Arguments::Given(&distances.unwrap()));
                for (estimated, exact) in estimated.iter().zip(&exact).take(30) {
                    assert!((estimated - exact).abs() <= error, "{d} features, {gamma}");
                }
                assert!(error < 1e-6, "{error}");
            }
        }
    }

    #[test]
    fn without_a_bound_nothing_is_estimated() {
        let level = Level::widest();
        let rows = Arc::new(Rows::new(ndarray::array![[1e8_f32], [-1e8]].view()));
        let columns = Rows::new(ndarray::array![[3.0_f32]].view());
        let interrupt = &Interrupt::default();
        let function = |gamma| KernelFunction {
            kernel: Kernel::Rbf,
            gamma,
            degree: 3,
            coef0: 0.0,
        };
        let pairs = Pairs::new(level, &rows, columns, &Kernel::ALL, interrupt).unwrap();
        assert!(pairs.estimate(function(1e-9)).is_some());
        assert!(pairs.estimate(function(1.0)).is_none());
        pairs.arguments(level, Kernel::Rbf, interrupt).unwrap();
        assert!(pairs.estimate(function(1e-9)).is_none());
    }
}
