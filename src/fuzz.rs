//! Damaged copies of sound bytes, for the tests of everything that reads what somebody else wrote.
//!
//! Each such module has a `fuzz` of its own, which says what a sound file is and what must hold of whatever is read of
//! a damaged one. By default a target takes a fraction of a second, with the same cases every time.
//! `PROPTEST_CASES=256000 PROPTEST_RNG_SEED=1 cargo test --release --lib fuzz` is a thousand times as long, with others.

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{RngSeed, TestCaseResult, TestError, TestRunner};

use crate::text::is_obeyed;

/// proptest's own number of cases, which stands for that of each target.
const DEFAULT_CASES: u32 = 256;

/// More than any line of a message has; one that holds a foreign text whole may have megabytes.
const MAX_LINE: usize = 4096;

/// More lines than any message has: some list what is wrong.
const MAX_LINES: usize = 100;

/// More than any reader takes on a slow and busy machine, and less than for ever.
const MAX_TIME: Duration = Duration::from_mins(1);

/// Sound bytes after some changes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Damaged(pub(crate) Vec<u8>);

impl fmt::Debug for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Something that is done to bytes.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Delete(Index, usize),
    /// The bytes from a place on once more, some times.
    Repeat(Index, usize, usize),
    /// Bytes from one place to another.
    Move(Index, usize, Index),
    Truncate(Index),
    /// A little-endian or big-endian number over what is there.
    Binary(Index, Vec<u8>),
    /// Another number for one that is written in digits.
    Number(Index, &'static str),
    /// Another text for one in double quotes.
    Text(Index, String),
    /// Brackets, one in another, for a number.
    Nest(Index, &'static str, &'static str, usize),
}

/// What stands for a number.
const NUMBERS: [&str; 24] = [
    "0",
    "-0",
    "-1",
    "1",
    "2",
    "255",
    "256",
    "65535",
    "65536",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "0.1",
    "1e-320",
    "1e38",
    "1e308",
    "1e999",
    "NaN",
    "-Infinity",
    "null",
    "true",
];

/// What stands for a text; the longest is made in [`texts`].
const TEXTS: [&str; 20] = [
    "",
    " ",
    ".",
    "..",
    "../../x",
    "/",
    "/etc/passwd",
    "a/b",
    "~",
    "$HOME",
    r"\u0000",
    r"\u001b[31m",
    r"\n",
    r"\ud800",
    "\u{1b}]0;x\u{7}",
    "\u{202e}",
    "\u{2028}",
    "\u{2066}",
    "NaN",
    "é\u{301}ß",
];

/// Numbers that overflow something when a length or an offset is computed of them.
const LENGTHS: [u64; 10] = [
    0,
    1,
    2,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
    100_000_000,
];

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(&TEXTS[..]).prop_map(str::to_owned),
        1 => (select(vec!["a", "é", ",", "*", "[", "\u{1b}", "\\n"]), 1_usize..6000).prop_map(|(part, n)| part.repeat(n)),
    ]
}

fn binary() -> impl Strategy<Value = Vec<u8>> {
    let width = select(vec![1_usize, 2, 4, 8]);
    (select(&LENGTHS[..]), width, any::<bool>()).prop_map(|(number, width, is_little)| {
        let mut bytes = number.to_le_bytes()[..width].to_vec();
        if !is_little {
            bytes.reverse();
        }
        bytes
    })
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let place = || any::<Index>();
    let inserted = prop_oneof![
        vec(any::<u8>(), 1..9),
        texts().prop_map(String::into_bytes),
        select(&NUMBERS[..]).prop_map(|number| number.as_bytes().to_vec()),
    ];
    let brackets = select(vec![("[", "]"), ("{\"a\":", "}"), ("(", ")"), ("{a=", "}")]);
    let change = prop_oneof![
        3 => (place(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        3 => (place(), 0_u8..8).prop_map(|(at, bit)| Change::Flip(at, 1 << bit)),
        2 => (place(), inserted).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        2 => (place(), 1_usize..64).prop_map(|(at, n)| Change::Delete(at, n)),
        1 => (place(), 1_usize..200, 1_usize..50).prop_map(|(at, n, times)| Change::Repeat(at, n, times)),
        1 => (place(), 1_usize..200, place()).prop_map(|(from, n, to)| Change::Move(from, n, to)),
        1 => place().prop_map(Change::Truncate),
        2 => (place(), binary()).prop_map(|(at, bytes)| Change::Binary(at, bytes)),
        5 => (place(), select(&NUMBERS[..])).prop_map(|(at, number)| Change::Number(at, number)),
        4 => (place(), texts()).prop_map(|(at, text)| Change::Text(at, text)),
        1 => (place(), brackets, 1_usize..2000)
            .prop_map(|(at, (open, close), depth)| Change::Nest(at, open, close, depth)),
    ];
    vec(change, 0..6)
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        // One more: behind the last byte.
        let place = |at: &Index| at.index(bytes.len() + 1);
        match self {
            Self::Set(at, byte) => {
                let at = place(at);
                bytes.splice(at..(at + 1).min(bytes.len()), [*byte]);
            }
            Self::Flip(at, bits) => {
                let at = place(at);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bits;
                }
            }
            Self::Insert(at, inserted) => {
                let at = place(at);
                bytes.splice(at..at, inserted.iter().copied());
            }
            Self::Delete(at, n) => {
                let at = place(at);
                bytes.drain(at..(at + n).min(bytes.len()));
            }
            Self::Repeat(at, n, times) => {
                let at = place(at);
                let part = bytes[at..(at + n).min(bytes.len())].repeat(*times);
                bytes.splice(at..at, part);
            }
            Self::Move(from, n, to) => {
                let from = place(from);
                let part: Vec<u8> = bytes.drain(from..(from + n).min(bytes.len())).collect();
                let to = to.index(bytes.len() + 1);
                bytes.splice(to..to, part);
            }
            Self::Truncate(at) => bytes.truncate(place(at)),
            Self::Binary(at, number) => {
                let at = place(at);
                bytes.splice(
                    at..(at + number.len()).min(bytes.len()),
                    number.iter().copied(),
                );
            }
            Self::Number(at, number) => replace(bytes, *at, numbers, number.as_bytes()),
            Self::Text(at, text) => replace(bytes, *at, quoted, text.as_bytes()),
            Self::Nest(at, open, close, depth) => {
                let nested = open.repeat(*depth) + &close.repeat(*depth);
                replace(bytes, *at, numbers, nested.as_bytes());
            }
        }
    }
}

/// Where one of several parts is.
type Range = std::ops::Range<usize>;

fn replace(bytes: &mut Vec<u8>, which: Index, parts: fn(&[u8]) -> Vec<Range>, by: &[u8]) {
    let parts = parts(bytes);
    if !parts.is_empty() {
        bytes.splice(which.get(&parts).clone(), by.iter().copied());
    }
}

/// Where numbers are, in digits.
fn numbers(bytes: &[u8]) -> Vec<Range> {
    let is_of_number = |at: usize| bytes[at].is_ascii_digit() || b".-+".contains(&bytes[at]);
    runs((0..bytes.len()).map(is_of_number))
}

/// Where texts are, without their double quotes.
fn quoted(bytes: &[u8]) -> Vec<Range> {
    let quotes: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'"').collect();
    quotes
        .as_chunks()
        .0
        .iter()
        .map(|[open, close]| open + 1..*close)
        .collect()
}

/// The longest ranges of which all is true.
fn runs(holds: impl Iterator<Item = bool>) -> Vec<Range> {
    let mut runs: Vec<Range> = Vec::new();
    for (at, _) in holds.enumerate().filter(|(_, holds)| *holds) {
        match runs.last_mut() {
            Some(run) if run.end == at => run.end = at + 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

/// Damaged copies of one of these samples; of every sixth nothing is changed.
pub(crate) fn damaged(samples: Vec<Vec<u8>>) -> impl Strategy<Value = Damaged> {
    (select(samples), changes()).prop_map(|(mut bytes, changes)| {
        for change in changes {
            change.apply(&mut bytes);
        }
        Damaged(bytes)
    })
}

/// Reads the samples, which are sound, and `n_cases` damaged copies of them. Nothing may panic, nor take for ever; `read`
/// makes sure of what it is given, or returns what a user would be told, which must be fit for a terminal.
pub(crate) fn check(
    n_cases: u32,
    samples: Vec<Vec<u8>>,
    read: impl Fn(&[u8]) -> Result<(), String>,
) {
    for sample in &samples {
        read(sample).unwrap();
    }
    check_all(n_cases, damaged(samples), |Damaged(bytes)| read(&bytes));
}

/// As [`check`], of anything that can be made up.
pub(crate) fn check_all<S: Strategy>(
    n_cases: u32,
    strategy: S,
    read: impl Fn(S::Value) -> Result<(), String>,
) {
    let outcome = TestRunner::new(config(n_cases)).run(&strategy, |value| {
        let started = Instant::now();
        if let Err(said) = read(value) {
            check_said(&said)?;
        }
        prop_assert!(started.elapsed() < MAX_TIME, "{:?}", started.elapsed());
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, value)) => panic!("{why}\nof {value:?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

fn config(n_cases: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = u64::from(n_cases) * u64::from(asked.cases) / u64::from(DEFAULT_CASES);
    ProptestConfig {
        cases: u32::try_from(cases).unwrap_or(u32::MAX).max(1),
        // A suite that fails by luck is of no use.
        rng_seed: match asked.rng_seed {
            RngSeed::Random => RngSeed::Fixed(11),
            fixed @ RngSeed::Fixed(_) => fixed,
        },
        failure_persistence: None,
        max_shrink_time: 60_000,
        ..asked
    }
}

/// What a user would be told.
pub(crate) fn said(error: &impl Display, hint: Option<impl AsRef<str>>) -> String {
    match hint {
        Some(hint) => format!("{error}\n{}", hint.as_ref()),
        None => error.to_string(),
    }
}

/// Makes sure that a message is of bounded length, and that no terminal obeys it.
pub(crate) fn check_said(said: &str) -> TestCaseResult {
    prop_assert!(!said.trim().is_empty(), "nothing was said");
    prop_assert!(said.lines().count() < MAX_LINES, "{}", said.escape_debug());
    for line in said.lines() {
        prop_assert!(
            line.len() < MAX_LINE,
            "{} bytes: {}",
            line.len(),
            line.escape_debug()
        );
    }
    let obeyed = said.chars().find(|c| is_obeyed(*c) && *c != '\n');
    prop_assert!(obeyed.is_none(), "{obeyed:?} in {}", said.escape_debug());
    Ok(())
}

/// What has been warned of, all of which must be fit for a terminal.
#[derive(Default)]
pub(crate) struct Warned(std::sync::Mutex<Vec<String>>);

impl crate::progress::Progress for Warned {
    fn start(&self, _: &str, _: u64) {}
    fn tick(&self, _: u64) {}
    fn finish(&self) {}
    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

impl Warned {
    /// The first warning that is not fit for a terminal, else nothing.
    pub(crate) fn check(self) -> Result<(), String> {
        let warnings = self.0.into_inner().unwrap();
        warnings
            .into_iter()
            .find(|said| check_said(said).is_err())
            .map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_found_where_they_are() {
        let json = br#"{"a": -1.5, "bc": [10, ""]}"#;
        let found = |parts: Vec<Range>| -> Vec<&[u8]> {
            parts.into_iter().map(|range| &json[range]).collect()
        };
        assert_eq!(found(numbers(json)), [b"-1.5".as_slice(), b"10"]);
        assert_eq!(found(quoted(json)), [b"a".as_slice(), b"bc", b""]);
    }

    #[test]
    #[should_panic(expected = "of b\"")]
    fn a_reader_that_panics_is_found() {
        check(256, vec![b"[1, 2, 3]".to_vec()], |bytes| {
            assert!(bytes.len() < 1000);
            Ok(())
        });
    }

    #[test]
    #[should_panic(expected = " in unknown: ")]
    fn a_message_that_a_terminal_obeys_is_found() {
        check(256, vec![br#"["name"]"#.to_vec()], |bytes| match bytes {
            b"[\"name\"]" => Ok(()),
            _ => Err(format!("unknown: {}", String::from_utf8_lossy(bytes))),
        });
    }
}
