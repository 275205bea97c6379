//! NumPy's random streams, against `fixtures/random.json` (made by `make/generators.py`).
//! All values are equal.

use newt_pipe::internals::random::{Generator, RandomState};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    streams: Vec<Streams>,
    integers: Vec<Integers>,
    choice: Vec<Choice>,
    random_state: Vec<Legacy>,
}

#[derive(Deserialize)]
struct Streams {
    seed: u64,
    u64: Held,
    u32: Held,
    f64: Held,
    mixed_order: String,
    mixed: Vec<u64>,
}

#[derive(Deserialize)]
struct Integers {
    seed: u64,
    low: i32,
    high: i32,
    n: usize,
    values: Held,
    next_u64: u64,
    next_u32: u32,
}

#[derive(Deserialize)]
struct Choice {
    seed: u64,
    n_before: usize,
    population: usize,
    size: usize,
    values: Held,
    next_u64: u64,
    next_u32: u32,
}

#[derive(Deserialize)]
struct Legacy {
    seed: u32,
    draws: Vec<(String, u32, u64)>,
    random_sample: Held,
    randint_4: Held,
}

/// A list of 64-bit values, negative ones as their two's complement: its length, its first values,
/// and the FNV-1a hash of all of them.
#[derive(Debug, Deserialize, PartialEq)]
pub(super) struct Held {
    n: usize,
    head: Vec<u64>,
    fnv1a: u64,
}

impl Held {
    /// Holds values of ours as the fixture holds NumPy's.
    pub(super) fn of(values: impl IntoIterator<Item = u64>) -> Self {
        let values: Vec<u64> = values.into_iter().collect();
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        let fnv1a = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self {
            n: values.len(),
            head: values.iter().copied().take(16).collect(),
            fnv1a,
        }
    }
}

fn fixture() -> Fixture {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/fixtures/random.json"
    );
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

fn repeat<T>(n: usize, mut draw: impl FnMut() -> T) -> impl Iterator<Item = T> {
    (0..n).map(move |_| draw())
}

#[test]
fn generator_streams_equal_default_rng() {
    for case in fixture().streams {
        let new = || Generator::new(case.seed);
        let (mut a, mut b, mut c, mut mixed) = (new(), new(), new(), new());
        let context = format!("seed {}", case.seed);
        assert_eq!(
            Held::of(repeat(case.u64.n, || a.next_u64())),
            case.u64,
            "{context}"
        );
        assert_eq!(
            Held::of(repeat(case.u32.n, || b.next_u32().into())),
            case.u32,
            "{context}"
        );
        assert_eq!(
            Held::of(repeat(case.f64.n, || c.next_f64().to_bits())),
            case.f64,
            "{context}"
        );

        let draws = case.mixed_order.chars().map(|kind| match kind {
            '4' => mixed.next_u32().into(),
            '8' => mixed.next_u64(),
            _ => mixed.next_f64().to_bits(),
        });
        assert_eq!(draws.collect::<Vec<_>>(), case.mixed, "{context}");
    }
}

#[test]
fn generator_integers_equal_numpys_int32() {
    for case in fixture().integers {
        let mut rng = Generator::new(case.seed);
        let values = rng.integers_i32(case.low, case.high, case.n);
        let context = format!("seed {}, {}..{}", case.seed, case.low, case.high);
        let words = values.iter().map(|&value| i64::from(value).cast_unsigned());
        assert_eq!(Held::of(words), case.values, "{context}");
        assert_eq!(rng.next_u64(), case.next_u64, "{context}");
        assert_eq!(rng.next_u32(), case.next_u32, "{context}");
    }
}

#[test]
fn generator_integers_in_parts_equal_those_of_one_call() {
    for case in fixture().integers {
        let mut rng = Generator::new(case.seed);
        let first = case.n / 3;
        let mut values = rng.integers_i32(case.low, case.high, first);
        values.extend(rng.integers_i32(case.low, case.high, case.n - first));
        let words = values.iter().map(|&value| i64::from(value).cast_unsigned());
        assert_eq!(Held::of(words), case.values, "seed {}", case.seed);
    }
}

#[test]
fn generator_choice_equals_numpys_in_values_order_and_draws() {
    let cases = fixture().choice;
    assert!(cases.len() >= 200);
    for case in cases {
        let mut rng = Generator::new(case.seed);
        repeat(case.n_before, || rng.next_u32()).for_each(drop);
        let values = rng.choice_without_replacement(case.population, case.size);
        let context = format!("seed {}, {} of {}", case.seed, case.size, case.population);
        let words = values.iter().map(|&value| value as u64);
        assert_eq!(Held::of(words), case.values, "{context}");
        assert_eq!(rng.next_u64(), case.next_u64, "{context}");
        assert_eq!(rng.next_u32(), case.next_u32, "{context}");
    }
}

#[test]
fn random_state_equals_numpys_legacy_generator() {
    for case in fixture().random_state {
        let mut rng = RandomState::new(case.seed);
        for (i, (kind, n, expected)) in case.draws.iter().enumerate() {
            let drawn = match kind.as_str() {
                "randint" => rng.randint(*n).into(),
                _ => rng.uniform().to_bits(),
            };
            assert_eq!(drawn, *expected, "seed {}, draw {i}: {kind} {n}", case.seed);
        }

        let (mut a, mut b) = (RandomState::new(case.seed), RandomState::new(case.seed));
        let doubles = repeat(case.random_sample.n, || a.uniform().to_bits());
        assert_eq!(Held::of(doubles), case.random_sample, "seed {}", case.seed);
        let integers = repeat(case.randint_4.n, || b.randint(4).into());
        assert_eq!(Held::of(integers), case.randint_4, "seed {}", case.seed);
    }
}
