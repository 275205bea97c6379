//! Whole tasks under the protocols of other papers and tools against NumPy and scikit-learn:
//! `fixtures/probe_protocols.json` (made by `make/probe_protocols.py`).

use newt_pipe::internals::newt::NTrain;
use newt_pipe::internals::pipeline::Protocol;
use newt_pipe::internals::probe::{ClassifierName, Probe, fit_repeats};
use newt_pipe::{Context, Interrupt, Silent};
use serde::Deserialize;

use super::probe_tasks::{Made, Numbers, Outcome, Recipe, fixture};

/// Distance between decision values that counts as equal: votes are at most 1, and squared distances of unit rows 4.
///
/// Sums of some hundred products in another order differ by 1e-15; a temperature of 0.01 makes a hundred times as much of
/// it.
const TOLERANCE: f64 = 1e-12;

#[derive(Deserialize)]
struct Fixture {
    searched: Vec<Searched>,
    knn: Vec<Neighbours>,
    simpleshot: Vec<Centroids>,
}

#[derive(Deserialize)]
struct Searched {
    name: String,
    #[serde(flatten)]
    recipe: Recipe,
    runs: Vec<SearchRun>,
}

#[derive(Deserialize)]
struct SearchRun {
    seed: u32,
    chosen: usize,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Deserialize)]
struct Neighbours {
    name: String,
    #[serde(flatten)]
    recipe: Recipe,
    votes: Vec<Votes>,
}

#[derive(Deserialize)]
struct Votes {
    k: usize,
    temperature: Numbers,
    #[serde(flatten)]
    decided: Decided,
}

#[derive(Deserialize)]
struct Centroids {
    name: String,
    #[serde(flatten)]
    recipe: Recipe,
    #[serde(flatten)]
    decided: Decided,
}

#[derive(Deserialize)]
struct Decided {
    y_pred: String,
    decision: Numbers,
}

impl Decided {
    /// Fits `probe` to a task and holds what it predicts against this.
    fn assert_equal(&self, name: &str, made: &Made, probe: &Probe) {
        let fit = made.fit(name, probe).unwrap();
        let y_pred: String = fit.y_pred.iter().map(ToString::to_string).collect();
        assert_eq!(y_pred, self.y_pred, "predictions of {name}");
        assert_eq!(fit.decision.len(), self.decision.0.len(), "{name}");
        for (value, expected) in fit.decision.iter().zip(&self.decision.0) {
            let is_equal = (value - expected).abs() <= TOLERANCE;
            assert!(is_equal, "{name}: decision {value}, expected {expected}");
        }
        let is_knn = probe.classifier == ClassifierName::NearestNeighbours;
        let k = is_knn.then_some(probe.k.min(made.y_train.len()));
        assert_eq!(fit.outcome.k, k, "k of {name}");
    }
}

#[test]
fn three_searches_of_bioclip_2_and_birder_equal_scikit_learns() {
    let fixture: Fixture = fixture("probe_protocols.json");
    assert!(fixture.searched.len() >= 12);
    for (protocol, ddof) in [(Protocol::Bioclip2, 0), (Protocol::Birder, 1)] {
        assert_eq!(protocol.ddof(), ddof);
        for task in &fixture.searched {
            let (name, made) = (&task.name, task.recipe.make());
            let probe = protocol.probe(NTrain::ALL);
            let context = Context {
                progress: &Silent,
                interrupt: &Interrupt::default(),
            };
            let seeds = protocol.search_seeds();
            let fits = fit_repeats(&probe, seeds, &made.data(name), context).unwrap();
            assert_eq!(fits.len(), task.runs.len(), "runs of {name}");
            for ((fit, run), &seed) in fits.iter().zip(&task.runs).zip(seeds) {
                assert_eq!(run.seed, seed);
                run.outcome
                    .assert_equal(&format!("{name}, seed {seed}"), fit);
                assert_eq!(fit.chosen, Some(run.chosen), "{name}, seed {seed}");
                let search = probe.search.as_ref().unwrap();
                let alone = Probe {
                    search: search.repeated(&[seed]).pop(),
                    ..probe.clone()
                };
                assert_eq!(&made.fit(name, &alone).unwrap(), fit, "{name} alone");
            }
        }
    }
}

#[test]
fn votes_of_nearest_neighbours_equal_numpys() {
    let fixture: Fixture = fixture("probe_protocols.json");
    assert!(fixture.knn.len() >= 12);
    for task in fixture.knn {
        let made = task.recipe.make();
        for Votes {
            k,
            temperature,
            decided,
        } in task.votes
        {
            let probe = Probe {
                k,
                temperature: temperature.0[0],
                ..Protocol::Knn.probe(NTrain::ALL)
            };
            let name = format!("{}, k = {k}", task.name);
            decided.assert_equal(&name, &made, &probe);
        }
    }
}

#[test]
fn nearest_centroids_equal_scikit_learns() {
    let fixture: Fixture = fixture("probe_protocols.json");
    assert!(fixture.simpleshot.len() >= 12);
    for task in fixture.simpleshot {
        let probe = Protocol::Simpleshot.probe(NTrain::ALL);
        let made = task.recipe.make();
        task.decided.assert_equal(&task.name, &made, &probe);
    }
}
