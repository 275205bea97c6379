//! Searches over lists of spaces and over rules for gamma, and tasks of one feature: `fixtures/probe_searches.json` (made
//! by `make/probe_searches.py`).

use newt_pipe::internals::probe::{Gamma, Kernel, Probe};
use serde::Deserialize;
use serde_json::Value;

use super::probe_spelled::{candidates, off_by_one_unit, search};
use super::probe_tasks::{Numbers, Outcome, Recipe, fixture};

#[derive(Deserialize)]
struct Fixture {
    tasks: Vec<Task>,
    draws: Vec<Draws>,
}

#[derive(Deserialize)]
struct Task {
    name: String,
    settings: Settings,
    #[serde(flatten)]
    recipe: Recipe,
    #[serde(flatten)]
    outcome: Outcome,
    mean: Numbers,
    scaler_mean: Numbers,
    scaler_scale: Numbers,
}

#[derive(Deserialize)]
struct Settings {
    center: bool,
    l2: bool,
    standardize: bool,
    search: Value,
}

#[derive(Deserialize)]
struct Draws {
    search: Value,
    c: Numbers,
    gamma: String,
    kernels: String,
}

#[test]
fn searches_are_written_with_these_names() {
    let fixture: Fixture = fixture("probe_searches.json");
    for draws in fixture.draws {
        let written = serde_json::to_value(search(&draws.search)).unwrap();
        assert_eq!(written, draws.search);
    }
}

#[test]
fn searches_and_tasks_of_one_feature_equal_scikit_learns() {
    let fixture: Fixture = fixture("probe_searches.json");
    for task in fixture.tasks {
        let Settings {
            center,
            l2,
            standardize,
            search: written,
        } = task.settings;
        let probe = Probe {
            center,
            l2,
            standardize,
            search: (!written.is_null()).then(|| search(&written)),
            // Where there is no search; the fixture's searches have theirs.
            kernel: Kernel::Rbf,
            ..Probe::biobench(-1)
        };
        let fit = task.recipe.make().fit(&task.name, &probe).unwrap();
        task.outcome.assert_equal(&task.name, &fit);
        let mean: Vec<f64> = fit
            .fitted
            .mean
            .iter()
            .flatten()
            .map(|&x| f64::from(x))
            .collect();
        assert_eq!(mean, task.mean.0, "mean of {}", task.name);
        let (scaler_mean, scale) = fit
            .fitted
            .scaler
            .map_or_else(Default::default, |scaler| (scaler.mean, scaler.scale));
        assert_eq!(
            scaler_mean, task.scaler_mean.0,
            "column means of {}",
            task.name
        );
        assert_eq!(scale, task.scaler_scale.0, "scale of {}", task.name);
    }
}

#[test]
fn candidates_of_lists_equal_scikit_learns() {
    let fixture: Fixture = fixture("probe_searches.json");
    let mut n_off = 0;
    for draws in fixture.draws {
        let found = candidates(&draws.search);
        assert_eq!(found.len(), draws.c.0.len(), "{}", draws.search);
        let expected = draws.gamma.split(' ').zip(draws.kernels.split(' '));
        for ((candidate, c), (gamma, kernel)) in found.iter().zip(&draws.c.0).zip(expected) {
            assert_eq!(candidate.kernel.name(), kernel, "{}", draws.search);
            n_off += off_by_one_unit(candidate.c, *c);
            match candidate.gamma {
                Gamma::Value(value) => n_off += off_by_one_unit(value, gamma.parse().unwrap()),
                rule => assert_eq!(rule.to_string(), gamma, "{}", draws.search),
            }
        }
    }
    // As in `probe_spelled`: ours are rounded correctly, the C library's exp nearly so.
    assert!(n_off <= 8, "{n_off} values differ");
}
