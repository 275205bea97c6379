//! The candidates of a search, as scikit-learn draws or lists them.

use super::draws::{Sampler, draw_below, sample_without_replacement};
use super::settings::{Gamma, Kernel, Search, Space, Strategy, Values};
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
        self.spaces.iter().map(n_combinations).sum()
    }

    /// Whether it draws, and tries all combinations that there are.
    pub fn tries_all(&self) -> bool {
        match (self.strategy, self.n_combinations()) {
            (Strategy::Random { n_iter, .. }, Some(n)) => n <= n_iter,
            _ => false,
        }
    }

    /// Lists the candidates, in the order in which scikit-learn tries them.
    ///
    /// Source: scikit-learn 1.9, `ParameterSampler` and `ParameterGrid`, which go by the sorted names: C, gamma, kernel.
    pub fn candidates(&self) -> Vec<Candidate> {
        let combinations: Vec<usize> = match (self.strategy, self.n_combinations()) {
            // Whoever reads settings refuses a grid of a log-uniform space.
            (Strategy::Grid, n) => (0..n.unwrap_or(0)).collect(),
            (Strategy::Random { n_iter, seed }, Some(n)) => {
                sample_without_replacement(&mut RandomState::new(seed), n, n_iter.min(n))
            }
            (Strategy::Random { n_iter, seed }, None) => return self.draw(n_iter, seed),
        };
        let combination = |i| self.combination(i);
        combinations.into_iter().filter_map(combination).collect()
    }

    /// The combination number `i`: one space after the other; the kernel varies fastest, then gamma.
    fn combination(&self, mut i: usize) -> Option<Candidate> {
        for space in &self.spaces {
            let n = n_combinations(space)?;
            if i < n {
                let (rest, kernel) = (i / space.kernels.len(), i % space.kernels.len());
                let gammas = listed(&space.gamma)?;
                return Some(Candidate {
                    c: listed(&space.c)?[rest / gammas.len()],
                    gamma: gammas[rest % gammas.len()],
                    kernel: space.kernels[kernel],
                });
            }
            i -= n;
        }
        None
    }

    /// Draws `n` candidates, each of a space that is drawn before.
    fn draw(&self, n: usize, seed: u32) -> Vec<Candidate> {
        let rng = &mut RandomState::new(seed);
        let samplers: Vec<_> = (self.spaces.iter())
            .map(|space| {
                (
                    Sampler::of(&space.c),
                    Sampler::of(&space.gamma),
                    &space.kernels,
                )
            })
            .collect();
        let draw = |_| {
            let (c, gamma, kernels) = &samplers[draw_below(rng, samplers.len())];
            Candidate {
                c: c.draw(rng, |number| number),
                gamma: gamma.draw(rng, Gamma::Value),
                kernel: kernels[draw_below(rng, kernels.len())],
            }
        };
        (0..n).map(draw).collect()
    }
}

/// Number of combinations of a space whose values are listed.
fn n_combinations(space: &Space) -> Option<usize> {
    Some(listed(&space.c)?.len() * listed(&space.gamma)?.len() * space.kernels.len())
}

fn listed<T>(values: &Values<T>) -> Option<&[T]> {
    match values {
        Values::List(values) => Some(values),
        Values::LogUniform { .. } => None,
    }
}
