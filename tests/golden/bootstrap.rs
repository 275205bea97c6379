//! Bootstrap means and intervals, against `fixtures/bootstrap.json` (made by `make/bootstrap.py`).
//! All values are equal, bit for bit.

use newt_pipe::Interrupt;
use newt_pipe::internals::stats::{bootstrap_means, interval};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    bootstraps: Vec<Bootstrap>,
    spread: Vec<Spread>,
}

#[derive(Deserialize)]
struct Bootstrap {
    n: usize,
    /// Eight scores per two hexadecimal digits, the first score highest.
    scores: String,
    resamples: usize,
    seed: u64,
    /// The bits of f32 values.
    means: Vec<u32>,
    intervals: Vec<Interval>,
}

#[derive(Deserialize)]
struct Spread {
    /// The bits of f32 values.
    values: Vec<u32>,
    intervals: Vec<Interval>,
}

#[derive(Deserialize)]
struct Interval {
    /// The bits of an f64 value.
    alpha: u64,
    /// The bits of two f32 values.
    quantiles: [u32; 2],
    percentiles_are_equal: bool,
    listed_are_equal: bool,
}

impl Interval {
    fn check(&self, values: &[f32]) {
        let alpha = f64::from_bits(self.alpha);
        let interval = interval(values, alpha).unwrap();
        let expected = self.quantiles.map(|bits| f64::from(f32::from_bits(bits)));
        assert_eq!(
            [interval.low.to_bits(), interval.high.to_bits()],
            expected.map(f64::to_bits),
            "alpha {alpha}, {} values: {interval:?}, expected {expected:?}",
            values.len()
        );
    }
}

fn fixture() -> Fixture {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/fixtures/bootstrap.json"
    );
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

fn scores(case: &Bootstrap) -> Vec<f32> {
    let digits = case.scores.chars().map(|digit| digit.to_digit(16).unwrap());
    let bits = digits.flat_map(|digit| [3, 2, 1, 0].map(|place| digit >> place & 1));
    bits.map(|bit| bit as f32).take(case.n).collect()
}

fn floats(bits: &[u32]) -> Vec<f32> {
    bits.iter().copied().map(f32::from_bits).collect()
}

#[test]
fn bootstrap_means_equal_numpys() {
    for case in fixture().bootstraps {
        let means = bootstrap_means(
            &scores(&case),
            case.resamples,
            case.seed,
            &Interrupt::default(),
        )
        .unwrap();
        let bits: Vec<u32> = means.iter().map(|mean| mean.to_bits()).collect();
        assert_eq!(bits, case.means, "{} scores, seed {}", case.n, case.seed);
    }
}

#[test]
fn interval_of_means_equals_numpys_quantiles() {
    for case in fixture().bootstraps {
        let means = floats(&case.means);
        case.intervals
            .iter()
            .for_each(|interval| interval.check(&means));
    }
}

#[test]
fn interval_of_values_far_apart_equals_numpys_quantiles() {
    for case in fixture().spread {
        let values = floats(&case.values);
        case.intervals
            .iter()
            .for_each(|interval| interval.check(&values));
    }
}

#[test]
fn fixture_holds_values_on_which_numpys_other_calls_differ() {
    let fixture = fixture();
    let of_means = fixture.bootstraps.iter().flat_map(|case| &case.intervals);
    let of_spread = fixture.spread.iter().flat_map(|case| &case.intervals);
    let all: Vec<&Interval> = of_means.chain(of_spread).collect();
    assert!(all.iter().any(|interval| !interval.percentiles_are_equal));
    assert!(all.iter().any(|interval| !interval.listed_are_equal));
}
