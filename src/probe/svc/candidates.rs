//! The candidates of a search, as scikit-learn draws or lists them.

use crate::probe::draws::{Sampler, draw_below, sample_without_replacement};
use crate::probe::settings::{Gamma, Kernel, Search, Space, Strategy, Values};
use crate::random::RandomState;

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

impl Candidate {
    /// Candidates with equal keys have the same kernel matrix.
    pub fn matrix_key(self) -> (Kernel, u8, u64) {
        match self.gamma {
            _ if self.kernel == Kernel::Linear => (self.kernel, 0, 0),
            Gamma::Value(gamma) => (self.kernel, 0, gamma.to_bits()),
            Gamma::Scale => (self.kernel, 1, 0),
            Gamma::Auto => (self.kernel, 2, 0),
        }
    }
}

impl Search {
    /// Number of combinations, if all values are listed.
    pub fn n_combinations(&self) -> Option<usize> {
        Grid::of(&self.spaces).map(|grid| grid.len())
    }

    /// Lists the candidates, in the order in which scikit-learn tries them.
    ///
    /// Source: scikit-learn 1.9, `ParameterSampler` and `ParameterGrid`, which go by the sorted names: C, gamma, kernel.
    pub fn candidates(&self) -> Vec<Candidate> {
        let grid = Grid::of(&self.spaces);
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
