//! The points of a sweep: one evaluation each.

use super::config::{Error, Model, Pipeline};
use super::document::Document;
use super::probe_config::ProbeConfig;

/// The key of the sweep over train rows.
const N_TRAIN: &str = "sample.n_train";

/// One point of a sweep: what one evaluation needs to know.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The model.
    pub model: Model,
    /// Train rows per task; `<= 0` for all.
    pub n_train: i64,
    /// Seed of the train rows' choice.
    pub seed: u64,
    /// The probe as written.
    pub probe: ProbeConfig,
}

impl Pipeline {
    /// The sweep: models × `n_train` × seeds × probes, the last varying fastest.
    ///
    /// Seeds make no difference where all train rows are taken; such points are listed once, with
    /// the first seed.
    pub fn experiments(&self) -> Vec<Experiment> {
        let mut experiments = Vec::new();
        for model in &self.models {
            for &n_train in &self.n_train {
                let seeds = if n_train <= 0 {
                    &self.seeds[..1]
                } else {
                    &self.seeds
                };
                for &seed in seeds {
                    for probe in &self.probes {
                        experiments.push(Experiment {
                            model: model.clone(),
                            n_train,
                            seed,
                            probe: probe.clone(),
                        });
                    }
                }
            }
        }
        experiments
    }

    /// Makes sure that no two points are the same.
    pub(super) fn check_distinct(&self, document: &Document) -> Result<(), Error> {
        let same = |key: &str, what: String| {
            let place = document.place_of_all(key);
            Err(Error::Twice { place, what })
        };
        let twice = |key: &str, mut names: Vec<String>| {
            names.sort();
            match names.windows(2).find(|pair| pair[0] == pair[1]) {
                Some(pair) => same(key, format!("`{}` stands twice in the sweep", pair[0])),
                None => Ok(()),
            }
        };
        let written = |n_train: &i64| format!("n_train = {n_train}");
        twice(
            "models",
            self.models
                .iter()
                .map(|model| format!("{}/{}", model.org, model.ckpt))
                .collect(),
        )?;
        twice(N_TRAIN, self.n_train.iter().map(written).collect())?;
        let all: Vec<String> = self
            .n_train
            .iter()
            .filter(|n| **n <= 0)
            .map(written)
            .collect();
        if let [first, second, ..] = all.as_slice() {
            let what = format!("`{first}` and `{second}` in the sweep both take all train rows");
            return same(N_TRAIN, what);
        }
        twice(
            "sample.seed",
            self.seeds
                .iter()
                .map(|seed| format!("seed = {seed}"))
                .collect(),
        )?;
        twice("probe", self.probes.iter().map(ProbeConfig::name).collect())
    }
}
