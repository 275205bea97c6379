//! Probes with other settings than the reference's, and the candidates of searches: `fixtures/probe_spelled.json` (made
//! by `make/probe_spelled.py`).

use ndarray::array;
use newt_pipe::internals::probe::{
    Candidate, ClassWeight, Gamma, Kernel, Probe, Search, Solver, Space, Strategy, Values,
};
use serde::Deserialize;
use serde_json::Value;

use super::probe_tasks::{Made, Numbers, Outcome, Recipe, fixture};

#[derive(Deserialize)]
struct Fixture {
    tasks: Vec<Task>,
    draws: Vec<Draws>,
}

#[derive(Deserialize)]
struct Task {
    name: String,
    probe: Value,
    #[serde(flatten)]
    recipe: Recipe,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Deserialize)]
struct Draws {
    search: Value,
    c: Numbers,
    gamma: Numbers,
    kernels: String,
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn count(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

fn kernel(value: &Value) -> Kernel {
    value.as_str().unwrap().parse().unwrap()
}

fn values<T>(value: &Value, one: fn(&Value) -> T) -> Values<T> {
    match value.get("loguniform") {
        Some(bounds) => Values::LogUniform {
            low: number(&bounds[0]),
            high: number(&bounds[1]),
        },
        None => Values::List(value.as_array().unwrap().iter().map(one).collect()),
    }
}

fn gamma(value: &Value) -> Gamma {
    match value.as_str() {
        None => Gamma::Value(number(value)),
        Some("scale") => Gamma::Scale,
        Some(_) => Gamma::Auto,
    }
}

fn space(value: &Value) -> Space {
    Space {
        c: values(&value["c"], number),
        gamma: values(&value["gamma"], gamma),
        kernels: value["kernels"]
            .as_array()
            .unwrap()
            .iter()
            .map(kernel)
            .collect(),
    }
}

/// A search as it is written in cache keys.
pub(super) fn search(value: &Value) -> Search {
    Search {
        strategy: match value["strategy"].as_str().unwrap() {
            "grid" => Strategy::Grid,
            _ => Strategy::Random {
                n_iter: count(&value["n_iter"]),
                seed: u32::try_from(count(&value["seed"])).unwrap(),
            },
        },
        folds: count(&value["folds"]),
        spaces: match value["spaces"].as_array() {
            None => vec![space(value)],
            Some(spaces) => spaces.iter().map(space).collect(),
        },
    }
}

fn probe(value: &Value) -> Probe {
    let flag = |key: &str| value[key].as_bool().unwrap();
    Probe {
        center: flag("center"),
        l2: flag("l2"),
        standardize: flag("standardize"),
        kernel: kernel(&value["kernel"]),
        c: number(&value["c"]),
        gamma: gamma(&value["gamma"]),
        degree: u32::try_from(count(&value["degree"])).unwrap(),
        coef0: number(&value["coef0"]),
        tol: number(&value["tol"]),
        shrinking: flag("shrinking"),
        max_iter: value["max_iter"].as_i64().unwrap(),
        class_weight: match &value["class_weight"] {
            Value::Null => ClassWeight::None,
            Value::String(_) => ClassWeight::Balanced,
            weights => ClassWeight::Weights([number(&weights[0]), number(&weights[1])]),
        },
        search: match &value["search"] {
            Value::Null => None,
            settings => Some(search(settings)),
        },
        solver: Solver::Smo,
        ..Probe::biobench(-1)
    }
}

#[test]
fn probes_are_written_with_these_names() {
    let fixture: Fixture = fixture("probe_spelled.json");
    for task in fixture.tasks {
        assert_eq!(
            serde_json::to_value(probe(&task.probe)).unwrap(),
            task.probe,
            "{}",
            task.name
        );
    }
}

#[test]
fn spelled_out_probes_equal_scikit_learns() {
    let fixture: Fixture = fixture("probe_spelled.json");
    for task in fixture.tasks {
        let fit = task
            .recipe
            .make()
            .fit(&task.name, &probe(&task.probe))
            .unwrap();
        task.outcome.assert_equal(&task.name, &fit);
    }
}

/// The task whose fit takes longest.
const LONG: &str = "88_normal_d3_12+12_center_l2_c_tol";

#[test]
fn a_fit_of_more_than_ten_million_iterations_ends_with_a_warning() {
    let fixture: Fixture = fixture("probe_spelled.json");
    let task = fixture.tasks.iter().find(|task| task.name == LONG);
    let task = task.unwrap();
    let fit = task
        .recipe
        .make()
        .fit(&task.name, &probe(&task.probe))
        .unwrap();
    // scikit-learn's `n_iter_` of this fit.
    let told = format!("task `{LONG}`: 1 fit took very long, up to 11,477,610 iterations; ");
    assert!(
        matches!(&fit.warnings[..], [warning] if warning.starts_with(&told)),
        "{:?}",
        fit.warnings
    );
}

/// C and gamma of the reference's candidates by NumPy on a CPU with AVX-512 (made by `make/candidates_avx512.py`).
#[derive(Deserialize)]
struct Avx512 {
    c: Numbers,
    gamma: Numbers,
}

/// Those of the other CPUs are kept: `exp` rounded correctly.
#[test]
fn six_of_the_references_candidates_are_one_unit_off_numpys_on_avx512() {
    let fixture: Avx512 = fixture("candidates_avx512.json");
    let candidates = Probe::biobench(10).search.unwrap().candidates();
    let off: Vec<usize> = (0..candidates.len())
        .filter(|&i| {
            let candidate = candidates[i];
            off_by_one_unit(candidate.c, fixture.c.0[i])
                + off_by_one_unit(drawn(candidate.gamma), fixture.gamma.0[i])
                > 0
        })
        .collect();
    assert_eq!(off, [22, 37, 74, 78, 85, 88]);
}

/// The candidates of a search, as many as a task tries.
pub(super) fn candidates(of: &Value) -> Vec<Candidate> {
    let x = array![[1.0_f32, 2.0], [1.5, 2.0], [-1.0, 0.5], [-2.0, 0.5]];
    let made = Made {
        x_train: x.clone(),
        y_train: vec![0, 0, 1, 1],
        x_test: x,
    };
    let search = search(of);
    let candidates = search.candidates();
    let probe = Probe {
        search: Some(search),
        ..Probe::biobench(10)
    };
    let tried = made.fit("draws", &probe).unwrap().cv_accuracies;
    assert_eq!(tried.len(), candidates.len());
    candidates
}

#[test]
fn candidates_equal_scikit_learns() {
    let fixture: Fixture = fixture("probe_spelled.json");
    let mut n_off = 0;
    for draws in fixture.draws {
        let candidates = candidates(&draws.search);
        let kernels: Vec<&str> = candidates
            .iter()
            .map(|candidate| candidate.kernel.name())
            .collect();
        assert_eq!(kernels.join(" "), draws.kernels, "{}", draws.search);
        for (candidate, (c, gamma)) in candidates.iter().zip(draws.c.0.iter().zip(&draws.gamma.0)) {
            n_off +=
                off_by_one_unit(candidate.c, *c) + off_by_one_unit(drawn(candidate.gamma), *gamma);
        }
        // The reference's seed.
        if draws.search["seed"] == 42 {
            assert_eq!(n_off, 0);
        }
    }
    // Ours are rounded correctly; the C library's exp is within 0.51 units.
    assert!(n_off <= 8, "{n_off} values differ");
}

/// The number that was drawn for gamma.
fn drawn(gamma: Gamma) -> f64 {
    match gamma {
        Gamma::Value(value) => value,
        rule => panic!("{rule}, expected a number"),
    }
}

/// 1 if the numbers are neighbours, 0 if they are equal.
pub(super) fn off_by_one_unit(a: f64, b: f64) -> u64 {
    let units = a.to_bits().abs_diff(b.to_bits());
    assert!(units <= 1, "{a} and {b}");
    units
}
