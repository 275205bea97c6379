//! The candidates of a search, as scikit-learn draws or lists them.

use std::collections::BTreeSet;

use crate::random::RandomState;

use super::exact;
use super::settings::{Gamma, Kernel, Search, Space, Strategy, Values};

/// One choice of kernel and parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The penalty C.
    pub c: f64,
    /// The kernel's gamma, or a rule for it that looks at the rows of each fit.
    pub gamma: Gamma,
    /// The kernel.
    pub kernel: Kernel,
}

impl Search {
    /// Number of combinations, if all values are listed.
    pub fn n_combinations(&self) -> Option<usize> {
        Grid::of(&self.spaces).map(|grid| grid.len())
    }

    /// Lists the candidates, in the order in which scikit-learn tries them.
    ///
    /// Source: scikit-learn 1.9, `ParameterSampler` and `ParameterGrid`, which go by the sorted names: C, gamma, kernel.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let grid = Grid::of(&self.spaces);
        match (self.strategy, grid) {
            // No pipeline file gives a grid of a log-uniform space.
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
                let samplers: Vec<_> = self
                    .spaces
                    .iter()
                    .map(|space| {
                        (
                            Sampler::of(&space.c),
                            Sampler::of(&space.gamma),
                            &space.kernels,
                        )
                    })
                    .collect();
                (0..n_iter)
                    .map(|_| {
                        let (c, gamma, kernels) = &samplers[draw_below(&mut rng, samplers.len())];
                        Candidate {
                            c: c.draw(&mut rng, |number| number),
                            gamma: gamma.draw(&mut rng, Gamma::Value),
                            kernel: kernels[draw_below(&mut rng, kernels.len())],
                        }
                    })
                    .collect()
            }
        }
    }
}

/// Values, prepared for draws.
enum Sampler<'a, T> {
    /// Logarithm of the lower bound, and how much larger that of the upper one is.
    LogUniform {
        low: f64,
        width: f64,
    },
    List(&'a [T]),
}

impl<'a, T: Copy> Sampler<'a, T> {
    fn of(values: &'a Values<T>) -> Self {
        match values {
            Values::LogUniform { low, high } => {
                let low = exact::ln(*low);
                let width = exact::ln(*high) - low;
                Self::LogUniform { low, width }
            }
            Values::List(values) => Self::List(values),
        }
    }

    /// Source: SciPy 1.17, `loguniform.rvs`: the inverse of the distribution function at one uniform draw.
    fn draw(&self, rng: &mut RandomState, from_number: fn(f64) -> T) -> T {
        match self {
            Self::LogUniform { low, width } => from_number(exact::exp(low + rng.uniform() * width)),
            Self::List(values) => values[draw_below(rng, values.len())],
        }
    }
}

/// All combinations of the values of each space, one space after the other; the kernel varies fastest, then gamma.
struct Grid<'a>(Vec<Lists<'a>>);

/// The values of one space.
struct Lists<'a> {
    c: &'a [f64],
    gamma: &'a [Gamma],
    kernels: &'a [Kernel],
}

impl<'a> Grid<'a> {
    fn of(spaces: &'a [Space]) -> Option<Self> {
        let lists = |space: &'a Space| match (&space.c, &space.gamma) {
            (Values::List(c), Values::List(gamma)) => Some(Lists {
                c,
                gamma,
                kernels: &space.kernels,
            }),
            _ => None,
        };
        spaces.iter().map(lists).collect::<Option<_>>().map(Self)
    }

    fn len(&self) -> usize {
        self.0.iter().map(Lists::len).sum()
    }

    /// The combination number `i`, which is below [`Self::len`].
    fn at(&self, mut i: usize) -> Candidate {
        let mut space = &self.0[0];
        for next in &self.0[1..] {
            if i < space.len() {
                break;
            }
            i -= space.len();
            space = next;
        }
        let (rest, kernel) = (i / space.kernels.len(), i % space.kernels.len());
        let (c, gamma) = (rest / space.gamma.len(), rest % space.gamma.len());
        Candidate {
            c: space.c[c],
            gamma: space.gamma[gamma],
            kernel: space.kernels[kernel],
        }
    }
}

impl Lists<'_> {
    fn len(&self) -> usize {
        self.c.len() * self.gamma.len() * self.kernels.len()
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
