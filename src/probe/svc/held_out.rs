//! The held-out rows of a fold.

use std::sync::OnceLock;

use super::dual::SvcParams;
use super::pairs::Pairs;
use super::saturated::{self, Saturated};
use super::series::Series;
use super::simd::Level;
use super::training::TrainingSet;
use crate::probe::settings::Kernel;

/// Rows to predict for each candidate, and what many candidates share there.
#[derive(Debug)]
pub struct HeldOut {
    /// The rows that are trained on with those that are held out.
    pub pairs: Pairs,
    /// The series of each kernel of [`Kernel::ALL`], once it was asked for.
    series: [OnceLock<Option<Series>>; Kernel::ALL.len()],
}

impl HeldOut {
    /// What follows for the rows of `pairs`.
    pub fn new(pairs: Pairs) -> Self {
        Self {
            pairs,
            series: Default::default(),
        }
    }

    /// What `params` give on the rows of `set` if every α ends at C, see [`saturated`](saturated::saturated).
    pub fn saturated(
        &self,
        level: Level,
        set: &TrainingSet,
        params: &SvcParams,
    ) -> Option<Saturated> {
        let (n, function) = (set.gram.n, params.function);
        if !saturated::is_plain(params, n, set.n_zeros) {
            return None;
        }
        let place = Kernel::ALL
            .iter()
            .position(|&kernel| kernel == function.kernel)?;
        let series = || Series::of(level, function, &set.gram, set.n_zeros, &self.pairs);
        let series = self.series[place].get_or_init(series).as_ref()?;
        saturated::saturated(params, set.n_zeros, &series.sums(function)?)
    }
}
