//! The candidates of a search, as scikit-learn draws or lists them.

use std::collections::BTreeSet;

use crate::random::RandomState;

use super::exact;
use super::settings::{Kernel, Search, Space, Strategy};

/// One choice of kernel and parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The penalty C.
    pub c: f64,
    /// The kernel's gamma.
    pub gamma: f64,
    /// The kernel.
    pub kernel: Kernel,
}

impl Search {
    /// Number of combinations, if every space is a list.
    pub(super) fn n_combinations(&self) -> Option<usize> {
        Grid::of(self).map(|grid| grid.len())
    }

    /// Lists the candidates, in the order in which scikit-learn tries them.
    ///
    /// Source: scikit-learn 1.9, `ParameterSampler` and `ParameterGrid`, which go by the sorted names: C, gamma, kernel.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let grid = Grid::of(self);
        match (self.strategy, grid) {
            // `validate` has refused a grid of a log-uniform space.
            (Strategy::Grid, None) => Vec::new(),
            (Strategy::Grid, Some(grid)) => (0..grid.len()).map(|i| grid.at(i)).collect(),
            (Strategy::Random { n_iter, seed }, Some(grid)) => {
                let mut rng = RandomState::new(seed);
                let n_iter = n_iter.min(grid.len());
                sample_without_replacement(&mut rng, grid.len(), n_iter)
                    .into_iter()
                    .map(|i| grid.at(i))
                    .collect()
            }
            (Strategy::Random { n_iter, seed }, None) => {
                let mut rng = RandomState::new(seed);
                let (c, gamma) = (Sampler::of(&self.c), Sampler::of(&self.gamma));
                (0..n_iter)
                    .map(|_| Candidate {
                        c: c.draw(&mut rng),
                        gamma: gamma.draw(&mut rng),
                        kernel: self.kernels[draw_below(&mut rng, self.kernels.len())],
                    })
                    .collect()
            }
        }
    }
}

/// A space, prepared for draws.
enum Sampler<'a> {
    /// Logarithm of the lower bound, and how much larger that of the upper one is.
    LogUniform {
        low: f64,
        width: f64,
    },
    List(&'a [f64]),
}

impl<'a> Sampler<'a> {
    fn of(space: &'a Space) -> Self {
        match space {
            Space::LogUniform { low, high } => {
                let low = exact::ln(*low);
                let width = exact::ln(*high) - low;
                Self::LogUniform { low, width }
            }
            Space::List(values) => Self::List(values),
        }
    }

    /// Source: SciPy 1.17, `loguniform.rvs`: the inverse of the distribution function at one uniform draw.
    fn draw(&self, rng: &mut RandomState) -> f64 {
        match self {
            Self::LogUniform { low, width } => exact::exp(low + rng.uniform() * width),
            Self::List(values) => values[draw_below(rng, values.len())],
        }
    }
}

/// All combinations of three lists; the kernel varies fastest, then gamma.
struct Grid<'a> {
    c: &'a [f64],
    gamma: &'a [f64],
    kernels: &'a [Kernel],
}

impl<'a> Grid<'a> {
    fn of(search: &'a Search) -> Option<Self> {
        match (&search.c, &search.gamma) {
            (Space::List(c), Space::List(gamma)) => Some(Self {
                c,
                gamma,
                kernels: &search.kernels,
            }),
            _ => None,
        }
    }

    fn len(&self) -> usize {
        self.c.len() * self.gamma.len() * self.kernels.len()
    }

    fn at(&self, i: usize) -> Candidate {
        let (rest, kernel) = (i / self.kernels.len(), i % self.kernels.len());
        let (c, gamma) = (rest / self.gamma.len(), rest % self.gamma.len());
        Candidate {
            c: self.c[c],
            gamma: self.gamma[gamma],
            kernel: self.kernels[kernel],
        }
    }
}

/// Draws an index below `n`, for lists of fewer than 2^32 values.
fn draw_below(rng: &mut RandomState, n: usize) -> usize {
    rng.randint(u32::try_from(n).unwrap_or(u32::MAX)) as usize
}

/// Draws `size` of the numbers below `population`.
///
/// Source: scikit-learn 1.9, `sample_without_replacement(method="auto")`: the first of a permutation; where fewer than
/// 1% or more than 99% are wanted, repeated draws and a reservoir.
fn sample_without_replacement(rng: &mut RandomState, population: usize, size: usize) -> Vec<usize> {
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
