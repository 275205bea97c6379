//! Intervals of the mean over tasks, Wilson's, and areas under ROC curves, against `fixtures/intervals.json` (made by
//! `make/intervals.py`).

use newt_pipe::Interrupt;
use newt_pipe::internals::stats::{
    TaskResamples, auroc, interval, means_over_tasks, resample_tasks, wilson,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    /// The bits of f64 values, as all floats here.
    alphas: Vec<u64>,
    tasks: Vec<Mean>,
    wilson: Vec<Wilson>,
    areas: Vec<Curve>,
}

#[derive(Deserialize)]
struct Mean {
    seed: u64,
    resamples: usize,
    names: Vec<String>,
    /// Zeros and ones.
    scores: Vec<String>,
    these_tasks: Vec<u64>,
    these_tasks_intervals: Vec<[u64; 2]>,
    tasks_like_these: Vec<u64>,
    tasks_like_these_intervals: Vec<[u64; 2]>,
}

#[derive(Deserialize)]
struct Wilson {
    n_right: u64,
    n: u64,
    alpha: u64,
    ends: [u64; 2],
}

#[derive(Deserialize)]
struct Curve {
    /// Zeros and ones.
    labels: String,
    decisions: Vec<u64>,
    /// Different decision values.
    n_values: usize,
    area: u64,
}

fn fixture() -> Fixture {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/fixtures/intervals.json"
    );
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

fn scores(text: &str) -> Vec<f32> {
    text.bytes().map(|digit| f32::from(digit - b'0')).collect()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn floats(bits: &[u64]) -> Vec<f64> {
    bits.iter().copied().map(f64::from_bits).collect()
}

/// The intervals of these means, which are NumPy's quantiles bit for bit.
fn check_intervals(means: &[u64], alphas: &[u64], expected: &[[u64; 2]]) {
    for (alpha, expected) in alphas.iter().zip(expected) {
        let interval = interval(&floats(means), f64::from_bits(*alpha)).unwrap();
        assert_eq!(
            [interval.low.to_bits(), interval.high.to_bits()],
            *expected,
            "{interval:?}"
        );
    }
}

#[test]
fn rows_within_tasks_resample_as_numpys_do_bit_for_bit() {
    let fixture = fixture();
    for case in &fixture.tasks {
        let draw = |(name, text): (&String, &String)| {
            let (resamples, seed) = (case.resamples, case.seed);
            TaskResamples::draw(&scores(text), name, resamples, seed, &Interrupt::default())
        };
        let tasks: Result<Vec<_>, _> = case.names.iter().zip(&case.scores).map(draw).collect();
        let tasks = tasks.unwrap();
        let means = means_over_tasks(&tasks.iter().collect::<Vec<_>>());
        assert_eq!(bits(&means), case.these_tasks, "{:?}", case.names);
        check_intervals(
            &case.these_tasks,
            &fixture.alphas,
            &case.these_tasks_intervals,
        );
    }
}

#[test]
fn tasks_resample_as_numpys_do() {
    let fixture = fixture();
    for case in &fixture.tasks {
        let accuracy = |text: &String| {
            let scores = scores(text);
            scores.iter().map(|score| f64::from(*score)).sum::<f64>() / scores.len() as f64
        };
        let accuracies: Vec<f64> = case.scores.iter().map(accuracy).collect();
        let interrupt = Interrupt::default();
        let means = resample_tasks(&accuracies, case.resamples, case.seed, &interrupt).unwrap();
        assert_eq!(means.len(), case.resamples);
        // NumPy adds the drawn accuracies in another order.
        for (mean, expected) in means.iter().zip(floats(&case.tasks_like_these)) {
            assert!((mean - expected).abs() < 1e-14, "{mean}, {expected}");
        }
        check_intervals(
            &case.tasks_like_these,
            &fixture.alphas,
            &case.tasks_like_these_intervals,
        );
    }
}

#[test]
fn wilsons_intervals_equal_scipys_to_fourteen_digits() {
    for case in fixture().wilson {
        let interval = wilson(case.n_right, case.n, f64::from_bits(case.alpha));
        let expected = floats(&case.ends);
        for (end, expected) in [interval.low, interval.high].into_iter().zip(expected) {
            assert!(
                (end - expected).abs() < 1e-14,
                "{} of {}: {end}, {expected}",
                case.n_right,
                case.n
            );
        }
    }
}

#[test]
fn areas_equal_scikit_learns_also_where_decision_values_are_tied() {
    let areas = fixture().areas;
    assert!(areas.iter().any(|case| case.n_values < 10));
    for case in areas {
        let labels = case.labels.bytes().map(|label| label == b'1');
        let rows: Vec<(f64, bool)> = floats(&case.decisions).into_iter().zip(labels).collect();
        let (area, expected) = (auroc(&rows).unwrap(), f64::from_bits(case.area));
        // scikit-learn adds trapezoids; ours is one quotient.
        assert!((area - expected).abs() < 1e-14, "{area}, {expected}");
    }
}
