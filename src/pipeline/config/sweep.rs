//! The points of a sweep: one evaluation each.

use super::file::ConfigFile;
use super::{Model, Pipeline, ProbeConfig};
use crate::error::Message;
use crate::newt::sampling::NTrain;
use crate::probe::Probe;
use crate::stage::features::l2::Scaling;
use crate::text::{count, said, thousands};

/// A few lists multiply to more than memory holds; nobody waits for so many.
const MAX_EXPERIMENTS: usize = 1_000_000;

/// One point of a sweep: what one evaluation needs to know.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The model.
    pub model: Model,
    /// Train rows per task.
    pub n_train: NTrain,
    /// Seed of the train rows' choice.
    pub seed: u64,
    /// The probe as written.
    pub probe: ProbeConfig,
    /// Seed of the probe's search; `None` where it draws nothing.
    pub search_seed: Option<u32>,
    /// How the rows are taken that the probe is fitted on.
    pub scaling: Scaling,
}

impl Experiment {
    /// The probe that is fitted.
    pub fn resolved_probe(&self) -> Probe {
        let probe = self.probe.resolve(self.n_train);
        match self.search_seed {
            Some(seed) => probe.with_search_seed(seed),
            None => probe,
        }
    }

    /// The name of the probe; what the pipeline file says of its rows is part of it where the protocol has it otherwise.
    pub fn probe_name(&self) -> String {
        let (name, l2) = (self.probe.name(), self.scaling.is_on());
        if l2 == self.scaling.of_protocol {
            name
        } else {
            format!("{name} features.l2={l2}")
        }
    }

    /// The seed of the search, where it is not the only one that the protocol has.
    pub fn shown_search_seed(&self) -> Option<u32> {
        let is_shown = self.probe.has_written_seeds() || self.probe.search_seeds().len() > 1;
        self.search_seed.filter(|_| is_shown)
    }

    /// Whether this differs from `other` by the seed of the search at most.
    pub fn is_repeat_of(&self, other: &Self) -> bool {
        let Self {
            model,
            n_train,
            seed,
            probe,
            search_seed: _,
            scaling: _,
        } = self;
        (model, n_train, seed, probe) == (&other.model, &other.n_train, &other.seed, &other.probe)
    }
}

impl Pipeline {
    /// The sweep: models × `n_train` × seeds × probes × seeds of the search, the last varying fastest.
    ///
    /// Seeds make no difference where all train rows are taken; such points are listed once, with
    /// the first seed.
    pub fn experiments(&self) -> Vec<Experiment> {
        let mut experiments = Vec::new();
        let search_seeds = |n_train| {
            let seeds = |probe: &ProbeConfig| probe.seeds_of(&probe.resolve(n_train));
            self.probes.iter().map(seeds).collect::<Vec<_>>()
        };
        let search_seeds: Vec<_> = self.n_train.iter().copied().map(search_seeds).collect();
        for model in &self.models {
            for (&n_train, search_seeds) in self.n_train.iter().zip(&search_seeds) {
                let seeds = match n_train.rows() {
                    Some(_) => &self.seeds,
                    None => &self.seeds[..1],
                };
                for &seed in seeds {
                    for (probe, search_seeds) in self.probes.iter().zip(search_seeds) {
                        let repeats = search_seeds.iter().map(|&search_seed| Experiment {
                            model: model.clone(),
                            n_train,
                            seed,
                            probe: probe.clone(),
                            search_seed,
                            scaling: self.scaling(probe),
                        });
                        experiments.extend(repeats);
                    }
                }
            }
        }
        experiments
    }

    /// Makes sure that no two points are the same.
    ///
    /// # Errors
    /// Names the values that make them so.
    pub fn check_distinct(&self, file: &ConfigFile) -> Result<(), Message> {
        let same = |key: &str, what: &str| {
            let place = file.place_of_all(key);
            let error = Message::request(format!("{}: {}", crate::text::path(place), said(what)));
            Err(error.hint("keep one of them"))
        };
        let n_train: Vec<String> = written("n_train", self.n_train.iter().map(|n| n.written()));
        let models = self.models.iter().map(Model::name);
        for (key, mut names) in [
            ("models", models.collect()),
            ("sample.n_train", n_train),
            ("sample.seed", written("seed", &self.seeds)),
            ("probe", self.probes.iter().map(ProbeConfig::name).collect()),
        ] {
            names.sort();
            let mut pairs = names.iter().zip(names.iter().skip(1));
            if let Some((name, _)) = pairs.find(|(name, next)| name == next) {
                return same(key, &format!("`{name}` stands twice in the sweep"));
            }
        }
        for probe in &self.probes {
            let mut seeds = probe.search_seeds().to_vec();
            seeds.sort_unstable();
            let mut pairs = seeds.iter().zip(seeds.iter().skip(1));
            if let Some((seed, _)) = pairs.find(|(seed, next)| seed == next) {
                let what = format!("`seed = {seed}` stands twice in the search");
                return same("probe.search", &what);
            }
        }
        let is_all = |n_train: &&NTrain| n_train.rows().is_none();
        let mut all = self.n_train.iter().filter(is_all).map(|n| n.written());
        match (all.next(), all.next()) {
            (Some(first), Some(second)) => same(
                "sample.n_train",
                &format!(
                    "`n_train = {first}` and `n_train = {second}` in the sweep both take all train rows"
                ),
            ),
            _ => Ok(()),
        }
    }
}

fn written(key: &str, values: impl IntoIterator<Item: std::fmt::Display>) -> Vec<String> {
    let values = values.into_iter();
    values.map(|value| format!("{key} = {value}")).collect()
}

/// Refuses more experiments than memory holds, before any is made: `lists` has the path of each list that multiplies them,
/// and its length.
///
/// # Errors
/// Names the list that makes them too many.
pub fn check_size(file: &ConfigFile, lists: &[(String, usize)]) -> Result<(), Message> {
    let mut n_experiments = 1_usize;
    for (path, n) in lists {
        n_experiments = n_experiments.saturating_mul(*n);
        if n_experiments > MAX_EXPERIMENTS {
            let what = format!(
                "`{path}` is a list of {}, expected a sweep of {} experiments at most",
                count(*n, "value", "values"),
                thousands(MAX_EXPERIMENTS as u64)
            );
            let error = file.error(path, &what);
            return Err(error.hint("divide the sweep among several pipeline files"));
        }
    }
    Ok(())
}
