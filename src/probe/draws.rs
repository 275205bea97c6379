//! Random values of parameters, as scikit-learn draws them.

use std::collections::BTreeSet;

use super::exact;
use super::settings::Values;
use crate::random::RandomState;

/// Values, prepared for draws.
pub enum Sampler<'a, T> {
    /// Log-uniform between two bounds.
    LogUniform {
        /// Logarithm of the lower bound.
        low: f64,
        /// By how much that of the upper bound is larger.
        width: f64,
    },
    /// One of these.
    List(&'a [T]),
}

impl<'a, T: Copy> Sampler<'a, T> {
    /// The sampler of these values.
    pub fn of(values: &'a Values<T>) -> Self {
        match values {
            Values::LogUniform { low, high } => {
                let low = exact::ln(*low);
                let width = exact::ln(*high) - low;
                Self::LogUniform { low, width }
            }
            Values::List(values) => Self::List(values),
        }
    }

    /// One value; `from_number` makes it of a number that was drawn.
    ///
    /// Source: SciPy 1.17, `loguniform.rvs`: the inverse of the distribution function at one uniform draw.
    pub fn draw(&self, rng: &mut RandomState, from_number: fn(f64) -> T) -> T {
        match self {
            Self::LogUniform { low, width } => from_number(exact::exp(low + rng.uniform() * width)),
            Self::List(values) => values[draw_below(rng, values.len())],
        }
    }
}

/// Draws an index below `n`, for lists of fewer than 2^32 values.
pub fn draw_below(rng: &mut RandomState, n: usize) -> usize {
    rng.randint(u32::try_from(n).unwrap_or(u32::MAX)) as usize
}

/// Draws `size` of the numbers below `population`.
///
/// Source: scikit-learn 1.9, `sample_without_replacement(method="auto")`: the first of a permutation; where fewer than
/// 1% or more than 99% are wanted, repeated draws and a reservoir.
pub fn sample_without_replacement(
    rng: &mut RandomState,
    population: usize,
    size: usize,
) -> Vec<usize> {
    let ratio = size as f64 / population as f64;
    if ratio > 0.01 && ratio < 0.99 {
        let mut all: Vec<usize> = (0..population).collect();
        for last in (1..population).rev() {
            let other = draw_below(rng, last + 1);
            all.swap(last, other);
        }
        all.truncate(size);
        return all;
    }
    if ratio < 0.2 {
        let mut seen = BTreeSet::new();
        let mut drawn = Vec::with_capacity(size);
        while drawn.len() < size {
            let i = draw_below(rng, population);
            if seen.insert(i) {
                drawn.push(i);
            }
        }
        return drawn;
    }
    let mut reservoir: Vec<usize> = (0..size).collect();
    for i in size..population {
        let place = draw_below(rng, i + 1);
        if place < size {
            reservoir[place] = i;
        }
    }
    reservoir
}
