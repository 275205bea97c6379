//! Mean and standard deviation over experiments that differ by a seed alone.
//!
//! Repeats of a search are put together first; where sample seeds are repeated, too, each counts with the mean of its
//! searches. Protocols differ in what they divide by (`ddof`), and are never put together.

use indexmap::IndexMap;
use serde::Serialize;

use super::{Evaluation, Experiment};
use crate::stage::report::Level;

/// The accuracies of one experiment, or their means over the seeds of its search.
#[derive(Debug, Clone)]
pub struct ExperimentScores {
    /// The experiment.
    pub experiment: Experiment,
    /// Of all test rows.
    pub accuracies: Accuracies,
    /// Of each cluster, by name.
    pub clusters: Vec<(String, Accuracies)>,
}

/// The accuracies of one group of test rows.
#[derive(Debug, Clone, Copy)]
pub struct Accuracies {
    /// The mean over rows.
    pub rows: f64,
    /// The mean over tasks.
    pub tasks: f64,
}

impl ExperimentScores {
    /// What there is to average of an evaluation.
    pub fn of(evaluation: &Evaluation) -> Self {
        let report = &evaluation.report;
        let of_level = |level| {
            report.level(level).map(|group| {
                let accuracies = Accuracies {
                    rows: group.accuracy,
                    tasks: group.mean_task_accuracy,
                };
                (group.name.clone(), accuracies)
            })
        };
        let overall = report.overall();
        Self {
            experiment: evaluation.experiment.clone(),
            accuracies: Accuracies {
                rows: overall.accuracy,
                tasks: overall.mean_task_accuracy,
            },
            clusters: of_level(Level::Cluster).collect(),
        }
    }
}

/// What repeated experiments differ by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// The seed of the search.
    SearchSeed,
    /// The seed of the train rows' choice.
    Seed,
}

/// Mean and standard deviation of some runs' accuracies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation; the sum of squares is divided by n less `ddof`.
    pub std: f64,
}

impl Spread {
    fn of(values: &[f64], ddof: usize) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self {
            mean,
            std: (squares / (n - ddof as f64)).sqrt(),
        }
    }
}

/// Means and standard deviations of one group of test rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spreads {
    /// Of the mean over rows.
    pub accuracy: Spread,
    /// Of the mean over tasks.
    pub mean_task_accuracy: Spread,
}

impl Spreads {
    fn of(accuracies: &[Accuracies], ddof: usize) -> Self {
        let of = |value: fn(&Accuracies) -> f64| {
            let values: Vec<f64> = accuracies.iter().map(value).collect();
            Spread::of(&values, ddof)
        };
        Self {
            accuracy: of(|accuracies| accuracies.rows),
            mean_task_accuracy: of(|accuracies| accuracies.tasks),
        }
    }
}

/// Experiments that differ by a seed alone.
#[derive(Debug, Clone)]
pub struct Repeats {
    /// What they differ by.
    pub over: Over,
    /// The first of them.
    pub first: Experiment,
    /// The values of that seed, at least two.
    pub seeds: Vec<u64>,
    /// What is subtracted from their number in the standard deviation: the protocol's.
    pub ddof: usize,
    /// Of all test rows.
    pub overall: Spreads,
    /// Of each cluster, by name.
    pub clusters: Vec<(String, Spreads)>,
}

impl Repeats {
    /// The repeats among `runs`, which stand in the order of the sweep: for each experiment first those of its search, and
    /// at the end those of sample seeds.
    pub fn among(runs: &[ExperimentScores]) -> Vec<Self> {
        let mut all = Vec::new();
        let mut by_sample_seed: IndexMap<_, Vec<ExperimentScores>> = IndexMap::new();
        for searches in runs.chunk_by(|a, b| a.experiment.is_repeat_of(&b.experiment)) {
            let of_search = searches
                .iter()
                .map(|run| run.experiment.search_seed.map(u64::from))
                .collect::<Option<Vec<u64>>>();
            all.extend(of_search.and_then(|seeds| Self::of(Over::SearchSeed, seeds, searches)));
            let Some(first) = searches.first() else {
                continue;
            };
            let Experiment { model, n_train, .. } = &first.experiment;
            let key = (
                model.name(),
                model.absolute_ckpt(),
                *n_train,
                first.experiment.probe_name(),
            );
            by_sample_seed
                .entry(key)
                .or_default()
                .push(mean(searches, first));
        }
        all.extend(by_sample_seed.values().filter_map(|runs| {
            let seeds = runs.iter().map(|run| run.experiment.seed).collect();
            Self::of(Over::Seed, seeds, runs)
        }));
        all
    }

    fn of(over: Over, seeds: Vec<u64>, runs: &[ExperimentScores]) -> Option<Self> {
        let [first, _, ..] = runs else {
            return None;
        };
        let ddof = first.experiment.probe.protocol.ddof();
        let overall: Vec<Accuracies> = runs.iter().map(|run| run.accuracies).collect();
        let cluster = |(name, _): &(String, Accuracies)| {
            let of_runs: Vec<Accuracies> =
                runs.iter().filter_map(|run| run.cluster(name)).collect();
            (name.clone(), Spreads::of(&of_runs, ddof))
        };
        Some(Self {
            over,
            first: first.experiment.clone(),
            seeds,
            ddof,
            overall: Spreads::of(&overall, ddof),
            clusters: first.clusters.iter().map(cluster).collect(),
        })
    }
}

impl ExperimentScores {
    fn cluster(&self, name: &str) -> Option<Accuracies> {
        let mut clusters = self.clusters.iter();
        let found = clusters.find(|(other, _)| other == name);
        found.map(|(_, accuracies)| *accuracies)
    }
}

/// The means over `runs`, of which `first` is the first.
fn mean(runs: &[ExperimentScores], first: &ExperimentScores) -> ExperimentScores {
    let of = |of_run: &dyn Fn(&ExperimentScores) -> Option<Accuracies>| {
        let all: Vec<Accuracies> = runs.iter().filter_map(of_run).collect();
        let n = all.len() as f64;
        Accuracies {
            rows: all.iter().map(|accuracies| accuracies.rows).sum::<f64>() / n,
            tasks: all.iter().map(|accuracies| accuracies.tasks).sum::<f64>() / n,
        }
    };
    let cluster = |(name, _): &(String, Accuracies)| (name.clone(), of(&|run| run.cluster(name)));
    ExperimentScores {
        experiment: first.experiment.clone(),
        accuracies: of(&|run| Some(run.accuracies)),
        clusters: first.clusters.iter().map(cluster).collect(),
    }
}
