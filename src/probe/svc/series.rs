//! Sums of kernel values over train rows, as power series in gamma whose coefficients are the same for all candidates.
//!
//! With x = (m - centre) / scale, m being what the kernel is a function of, a kernel value less a constant is
//!
//! ```text
//! rbf       exp(-γ centre) Σ_k (-g x)^k / k!     g = γ scale; the constant is exp(-γ centre)
//! sigmoid   g x - (g x)³ / 3 + 2 (g x)⁵ / 15 …
//! poly      (g x)^degree
//! ```
//!
//! So `Σ_s y_s K(s, t)` takes only `Σ_s y_s x^k` for some k: a [`Series`] holds these for one fold. Since Σ y = 0 where both
//! labels have as many rows, the constant falls out.

use super::aligned::Aligned;
use super::gram::Gram;
use super::kernel::{KernelFunction, read_row};
use super::pairs::{Arguments, Pairs};
use super::simd::{LANES, Level, lanes, multiversion};
use crate::probe::settings::Kernel;

/// Coefficients of tanh's odd powers up to 13, and the size of the next.
const TANH: [f64; 7] = [
    1.0,
    -1.0 / 3.0,
    2.0 / 15.0,
    -17.0 / 315.0,
    62.0 / 2835.0,
    -1382.0 / 155_925.0,
    21_844.0 / 6_081_075.0,
];
const NEXT_OF_TANH: f64 = 929_569.0 / 638_512_875.0;

/// Powers of exp's series, which ends with the twelfth.
const N_POWERS_OF_EXP: usize = 12;
/// 13!
const NEXT_FACTORIAL: f64 = 6_227_020_800.0;

/// Beyond this degree there is no series: rounding errors grow with it.
const MOST_DEGREE: u32 = 16;

/// Half a unit in the last place of 1.
const U: f64 = f64::EPSILON / 2.0;

/// `Σ_s y_s x(s, t)^k` for the train rows of a fold and for its held-out rows.
#[derive(Debug)]
pub struct Series {
    centre: f64,
    scale: f64,
    /// The least and the largest m of two train rows.
    range: [f64; 2],
    /// m of each train row with itself.
    diagonal: Vec<f64>,
    train: Moments,
    held_out: Moments,
    /// How far a distance of rows is off at most for being computed from dot products.
    error: f64,
}

/// The powers that a series takes.
#[derive(Clone, Copy)]
struct Powers {
    first: u32,
    step: u32,
    n: usize,
}

impl Powers {
    /// `None` where there is no series.
    fn of(function: KernelFunction) -> Option<Self> {
        let degrees = 1..=MOST_DEGREE;
        let (first, step, n) = match function.kernel {
            Kernel::Rbf => (1, 1, N_POWERS_OF_EXP),
            Kernel::Sigmoid if function.coef0 == 0.0 => (1, 2, TANH.len()),
            Kernel::Poly if function.coef0 == 0.0 && degrees.contains(&function.degree) => {
                (function.degree, 0, 1)
            }
            Kernel::Linear | Kernel::Sigmoid | Kernel::Poly => return None,
        };
        Some(Self { first, step, n })
    }
}

/// How x comes of m, and how many train rows there are.
#[derive(Clone, Copy)]
struct Scaling {
    n_zeros: usize,
    n: usize,
    centre: f64,
    factor: f64,
}

/// Sums over the train rows, per column.
#[derive(Debug)]
struct Moments {
    n_columns: usize,
    stride: usize,
    /// `Σ_s y_s x^k` per power, `[n_powers, stride]`.
    signed: Aligned<f64>,
    /// `Σ_s |x|^k` of the first power, `[stride]`.
    sizes: Aligned<f64>,
}

/// Sums over the train rows at one gamma.
#[derive(Debug)]
pub struct Sums {
    /// The constant that K is less by here.
    pub constant: f64,
    /// `Σ_s y_s (K(s, t) - constant)` per train row t, itself left out.
    pub train: Vec<f64>,
    /// Not less than `Σ_s |K(s, t) - constant|`, likewise.
    pub sizes: Vec<f64>,
    /// K(t, t) - constant.
    pub diagonal: Vec<f64>,
    /// As `train`, per held-out row.
    pub held_out: Vec<f64>,
    /// Bounds of K of two train rows.
    pub range: [f64; 2],
    /// Bound of |K| of any two rows that are not the same.
    pub largest: f64,
    /// How far one of the sums is off at most, whichever way K is evaluated in f64.
    pub error: f64,
}

impl Series {
    /// The series of the kernel of `function` on a fold; `None` where there is none, or where it saves nothing.
    pub fn of(
        level: Level,
        function: KernelFunction,
        gram: &Gram,
        n_zeros: usize,
        pairs: &Pairs,
    ) -> Option<Self> {
        let powers = Powers::of(function)?;
        let held_out = pairs.by_dots(function.kernel)?;
        let (is_rbf, squares) = (function.kernel == Kernel::Rbf, &gram.squares);
        let train = if is_rbf {
            Arguments::Distances {
                dots: &gram.dots,
                row_squares: squares,
                column_squares: squares,
            }
        } else {
            Arguments::Given(&gram.dots)
        };
        let n = gram.n;
        if n < 2 {
            return None;
        }
        let range = extremes(level, train, n, n, true);
        let of_held_out = extremes(level, held_out, n, pairs.n_columns, false);
        let (least, largest) = (range[0].min(of_held_out[0]), range[1].max(of_held_out[1]));
        let centre = if is_rbf {
            f64::midpoint(least, largest)
        } else {
            0.0
        };
        let scale = (largest - centre).max(centre - least);
        if !(scale > 0.0 && scale.is_finite()) {
            return None;
        }
        let moments = |arguments, n_columns: usize, is_symmetric| {
            let stride = n_columns.next_multiple_of(LANES);
            let mut moments = Moments {
                n_columns,
                stride,
                signed: Aligned::new(powers.n * stride),
                sizes: Aligned::new(stride),
            };
            let scaling = Scaling {
                n_zeros,
                n,
                centre,
                factor: 1.0 / scale,
            };
            add_powers(
                level,
                arguments,
                scaling,
                powers,
                is_symmetric,
                &mut moments,
            );
            moments
        };
        Some(Self {
            centre,
            scale,
            range,
            diagonal: if is_rbf {
                vec![0.0; n]
            } else {
                squares[..n].to_vec()
            },
            train: moments(train, n, true),
            held_out: moments(held_out, pairs.n_columns, false),
            error: if is_rbf {
                pairs.error_of_distances()
            } else {
                0.0
            },
        })
    }

    /// The sums for a kernel of this series; `None` where gamma is too large for it.
    pub fn sums(&self, function: KernelFunction) -> Option<Sums> {
        let (gamma, n) = (function.gamma, self.diagonal.len() as f64);
        let g = gamma * self.scale;
        let degree = i32::try_from(function.degree).ok()?;
        if g.is_nan() || g <= 0.0 {
            return None;
        }
        let kernel = |m: f64| match function.kernel {
            Kernel::Rbf => (-gamma * m).exp(),
            Kernel::Sigmoid => (gamma * m).tanh(),
            Kernel::Poly | Kernel::Linear => (gamma * m).powi(degree),
        };
        // Of each power, and of all that follow.
        let mut coefficients = vec![1.0; self.train.signed.len() / self.train.stride];
        let (mut constant, mut slope, mut tail) = (0.0, g, 0.0);
        match function.kernel {
            Kernel::Rbf if g <= 1.0 => {
                constant = kernel(self.centre);
                slope = constant * g.exp_m1();
                let mut term = constant;
                for (k, coefficient) in coefficients.iter_mut().enumerate() {
                    term *= -g / (k + 1) as f64;
                    *coefficient = term;
                }
                tail = constant * g.powi(13) / NEXT_FACTORIAL * g.exp();
            }
            Kernel::Sigmoid if g <= 1.0 => {
                let mut power = g;
                for (coefficient, tanh) in coefficients.iter_mut().zip(TANH) {
                    *coefficient = tanh * power;
                    power *= g * g;
                }
                // Each coefficient is less than half of the one before.
                tail = NEXT_OF_TANH * g.powi(15) / (1.0 - g * g / 2.0);
            }
            Kernel::Poly => {
                slope = g.powi(degree);
                coefficients[0] = slope;
            }
            Kernel::Rbf | Kernel::Sigmoid | Kernel::Linear => return None,
        }
        let ends = self.range.map(kernel);
        let (range, largest) = match function.kernel {
            Kernel::Poly => ([-slope, slope], slope),
            _ => ([ends[0].min(ends[1]), ends[0].max(ends[1])], 1.1),
        };
        // Σ_k |coefficient| is less than 3 · (slope + constant); a distance that is off moves K by 1.1 γ of it at most.
        let rounding = (4.0 * n + 256.0 + 64.0 * f64::from(degree)) * U;
        let error = n
            * (tail
                + 3.0 * (slope + constant) * rounding
                + 1.1 * gamma * (self.error + 8.0 * U * (self.centre.abs() + self.scale))
                + 64.0 * U);
        Some(Sums {
            constant,
            train: self.train.sums(&coefficients),
            sizes: (self.train.sizes[..self.train.n_columns].iter())
                .map(|size| slope * size * (1.0 + 1e-9))
                .collect(),
            diagonal: (self.diagonal.iter())
                .map(|&m| kernel(m) - constant)
                .collect(),
            held_out: self.held_out.sums(&coefficients),
            range,
            largest,
            error,
        })
    }
}

impl Sums {
    /// Says whether all of them are numbers.
    pub fn are_finite(&self) -> bool {
        [&self.train, &self.sizes, &self.diagonal, &self.held_out]
            .into_iter()
            .flatten()
            .chain(&self.range)
            .chain([&self.constant, &self.largest, &self.error])
            .all(|number| number.is_finite())
    }
}

impl Moments {
    fn sums(&self, coefficients: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.n_columns];
        for (powers, coefficient) in self.signed.chunks_exact(self.stride).zip(coefficients) {
            for (sum, power) in sums.iter_mut().zip(powers) {
                *sum += coefficient * power;
            }
        }
        sums
    }
}

multiversion! {
    /// The least and the largest of `n_rows` rows; those of a row with itself do not count where the columns are the rows.
    fn extremes<S>(
        s: S,
        arguments: Arguments<'_>,
        n_rows: usize,
        n_columns: usize,
        is_symmetric: bool,
    ) -> [f64; 2] {
        let mut row = Aligned::new(n_columns.next_multiple_of(LANES));
        let (mut largest, mut largest_negated) =
            (s.splat(f64::NEG_INFINITY), s.splat(f64::NEG_INFINITY));
        for i in 0..n_rows {
            read_row(s, arguments, i, &mut row);
            // What does not count repeats what does.
            let other = row[usize::from(is_symmetric && i == 0)];
            row[n_columns..].fill(other);
            if is_symmetric {
                row[i] = other;
            }
            for values in lanes(&row) {
                let values = s.load(values);
                largest = s.larger(values, largest);
                largest_negated = s.larger(s.sub(s.splat(0.0), values), largest_negated);
            }
        }
        [-s.largest_lane(largest_negated), s.largest_lane(largest)]
    }
}

multiversion! {
    /// Adds up the powers of x = (m - centre) · factor over the rows: `n_zeros` of `n` count once, the others less once.
    fn add_powers<S>(
        s: S,
        arguments: Arguments<'_>,
        scaling: Scaling,
        powers: Powers,
        is_symmetric: bool,
        moments: &mut Moments,
    ) {
        let Scaling { n_zeros, n, centre, factor } = scaling;
        let stride = moments.stride;
        let mut row = Aligned::new(stride);
        let (centre, factor) = (s.splat(centre), s.splat(factor));
        for i in 0..n {
            read_row(s, arguments, i, &mut row);
            for values in row.as_chunks_mut::<LANES>().0 {
                s.store(s.mul(s.sub(s.load(values), centre), factor), values);
            }
            if is_symmetric {
                row[i] = 0.0;
            }
            let y = s.splat(if i < n_zeros { 1.0 } else { -1.0 });
            for (chunk, values) in lanes(&row).enumerate() {
                let x = s.load(values);
                let step = match powers.step {
                    2 => s.mul(x, x),
                    _ => x,
                };
                let mut power = x;
                for _ in 1..powers.first {
                    power = s.mul(power, x);
                }
                let sizes = &mut moments.sizes.as_chunks_mut::<LANES>().0[chunk];
                s.store(s.add(s.load(sizes), s.copysign(power, s.splat(1.0))), sizes);
                for k in 0..powers.n {
                    let sums = &mut moments.signed.as_chunks_mut::<LANES>().0[k * stride / LANES + chunk];
                    s.store(s.add(s.load(sums), s.mul(y, power)), sums);
                    power = s.mul(power, step);
                }
            }
        }
    }
}
