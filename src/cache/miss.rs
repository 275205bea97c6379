//! Why a request is not in the cache: the recorded action that is nearest to it, and what differs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::action::{self, Action, Record};
use super::{Cache, Digest, Request};
use crate::files;
use crate::text::{Listing, foreign, said};

/// How many records of a stage are read to explain a miss, at most.
const MAX_RECORDS: usize = 500;

/// How many differences a message names before it counts the rest.
const MAX_SHOWN: usize = 3;

/// The longest value that a message shows whole, in characters.
const MAX_VALUE_CHARS: usize = 40;

/// Why a stage has to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissReason {
    /// No action of the stage is recorded.
    Never,
    /// The caller wants it made again, whatever the cache holds.
    Forced,
    /// The nearest recorded action differs in these parameters and inputs, or in the version of the stage.
    Changed(Listing),
    /// The action is recorded, but the record or an output is damaged or lost, as the text says.
    Unusable(String),
}

impl fmt::Display for MissReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never made before"),
            Self::Forced => f.write_str("forced"),
            Self::Changed(differences) => differences.fmt(f),
            Self::Unusable(why) => f.write_str(&said(why)),
        }
    }
}

impl Cache {
    /// Why [`lookup`](Self::lookup) misses: compares the request with the stage's recorded actions and reports
    /// what differs from the nearest, the one with the fewest differences.
    ///
    /// It reads at most 500 records, those with the smallest keys, and passes over those that it cannot read: it
    /// explains and decides nothing. Of equally near actions it takes the one of the same stage version, then
    /// the one with the smallest key.
    pub fn explain(&self, request: &Request) -> MissReason {
        if let Ok(Record::Unusable(why) | Record::Lost(why)) = self.record(request) {
            return MissReason::Unusable(why);
        }
        let nearness = |(changes, action): &(Vec<String>, Action)| {
            let is_other_version = action.version != request.version;
            let n_differences = changes.len() + usize::from(is_other_version);
            (n_differences, is_other_version, action.key)
        };
        let recorded = self.recorded(request.stage).into_iter();
        let nearest = recorded
            .map(|action| (differences(&action, request), action))
            // A record without a difference would have been a hit: it was moved or tampered with.
            .filter(|recorded| nearness(recorded).0 > 0)
            .min_by_key(nearness);
        match nearest {
            None => MissReason::Never,
            Some((_, action)) if action.version != request.version => {
                let (old, new) = (action.version, request.version);
                let change = format!("version of the stage: {old} → {new}");
                MissReason::Changed([change].into_iter().collect())
            }
            Some((differences, _)) => MissReason::Changed(Listing::first(MAX_SHOWN, differences)),
        }
    }

    fn recorded(&self, stage: &str) -> Vec<Action> {
        let Ok(entries) = fs_err::read_dir(self.actions_dir(stage)) else {
            return Vec::new();
        };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths
            .into_iter()
            .take(MAX_RECORDS)
            .filter_map(|path| action::parse(&files::read(&path, action::MAX_BYTES).ok()?).ok())
            .filter(|action| action.stage == stage)
            .collect()
    }
}

/// What differs between a recorded action and a request: parameters, then inputs, each by name. Values are shown as JSON,
/// digests by their first digits.
fn differences(action: &Action, request: &Request) -> Vec<String> {
    // The recorded parameters went through text. The request's go the same way, so that a float which
    // text does not bring back to the last bit is not taken for another one.
    let reread = |value: &Value| serde_json::from_str(&value.to_string()).unwrap_or(Value::Null);
    let requested = request
        .params
        .iter()
        .map(|(name, value)| (name.clone(), reread(value)))
        .collect();
    let short = |inputs: &BTreeMap<String, Digest>| {
        inputs
            .iter()
            .map(|(name, digest)| (name.clone(), digest.short()))
            .collect()
    };
    let mut all = differing(&leaves(&action.params), &leaves(&requested));
    all.extend(differing(&short(&action.inputs), &short(&request.inputs)));
    all
}

fn differing(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let show = |value: Option<&String>| match value {
        None => "absent".to_owned(),
        Some(text) if text.chars().count() <= MAX_VALUE_CHARS => foreign(text),
        Some(text) => foreign(&text.chars().take(MAX_VALUE_CHARS).collect::<String>()) + "…",
    };
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .map(|name| (name, old.get(name), new.get(name)))
        .filter(|(_, old, new)| old != new)
        .map(|(name, old, new)| format!("`{}`: {} → {}", foreign(name), show(old), show(new)))
        .collect()
}

/// The parameters, with the fields of objects as parameters of their own; lists stay whole.
fn leaves(params: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    fn collect(name: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (field, value) in fields {
                    collect(&format!("{name}.{field}"), value, leaves);
                }
            }
            _ => {
                leaves.insert(name.to_owned(), value.to_string());
            }
        }
    }
    let mut all = BTreeMap::new();
    for (name, value) in params {
        collect(name, value, &mut all);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::KeyBuilder;
    use crate::cache::damage::tests::HARMS;
    use serde_json::json;

    struct Probe {
        version: u32,
        settings: Value,
        seed: u64,
        features: &'static [u8],
    }

    fn usual() -> Probe {
        Probe {
            version: 1,
            settings: json!({"kernel": "linear", "c": 1.0}),
            seed: 17,
            features: b"f",
        }
    }

    fn request(probe: Probe) -> Request {
        KeyBuilder::new("probe", probe.version)
            .param("probe", probe.settings)
            .param("seed", probe.seed)
            .input("features", Digest::of(probe.features))
            .finish()
    }

    fn cache_with(requests: &[Request]) -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        for request in requests {
            cache
                .publish(request, Vec::new(), 0.0, BTreeMap::new())
                .unwrap();
        }
        (dir, cache)
    }

    fn explain(recorded: Vec<Probe>, asked: Probe) -> String {
        let recorded: Vec<_> = recorded.into_iter().map(request).collect();
        let (_dir, cache) = cache_with(&recorded);
        cache.explain(&request(asked)).to_string()
    }

    #[test]
    fn stage_without_records_was_never_made() {
        assert_eq!(explain(vec![], usual()), "never made before");
    }

    #[test]
    fn nested_parameter_is_named_with_dots_and_both_values() {
        let asked = Probe {
            settings: json!({"kernel": "linear", "c": 0.1}),
            ..usual()
        };
        assert_eq!(explain(vec![usual()], asked), "`probe.c`: 1.0 → 0.1");
    }

    #[test]
    fn input_is_shown_by_the_first_digits_of_its_digests() {
        let asked = Probe {
            features: b"g",
            ..usual()
        };
        let expected = format!(
            "`features`: {} → {}",
            Digest::of(b"f").short(),
            Digest::of(b"g").short()
        );
        assert_eq!(explain(vec![usual()], asked), expected);
    }

    #[test]
    fn parameter_that_comes_or_goes_is_absent_on_one_side() {
        let asked = Probe {
            settings: json!({"kernel": "rbf", "gamma": 0.5, "c": 1.0}),
            ..usual()
        };
        assert_eq!(
            explain(vec![usual()], asked),
            "`probe.gamma`: absent → 0.5, `probe.kernel`: \"linear\" → \"rbf\""
        );
        let recorded = Probe {
            settings: json!({"kernel": "linear", "c": 1.0, "search": {"n": 100}}),
            ..usual()
        };
        assert_eq!(
            explain(vec![recorded], usual()),
            "`probe.search.n`: 100 → absent"
        );
    }

    #[test]
    fn long_lists_of_changes_and_long_values_are_cut() {
        let asked = Probe {
            settings: json!({"a": "x".repeat(100), "b": [1, 2], "c": {}}),
            seed: 18,
            ..usual()
        };
        let text = explain(vec![usual()], asked);
        let long = format!("\"{}…", "x".repeat(39));
        assert_eq!(
            text,
            format!(
                "`probe.a`: absent → {long}, `probe.b`: absent → [1,2], `probe.c`: 1.0 → {{}} and 2 more"
            )
        );
    }

    #[test]
    fn nearest_record_explains() {
        let far = Probe {
            seed: 1,
            features: b"g",
            ..usual()
        };
        let near = Probe { seed: 2, ..usual() };
        assert_eq!(explain(vec![far, near], usual()), "`seed`: 2 → 17");
    }

    #[test]
    fn equally_near_records_are_told_apart_by_key() {
        let recorded: Vec<_> = (1..9)
            .map(|seed| request(Probe { seed, ..usual() }))
            .collect();
        let smallest = recorded.iter().min_by_key(|request| request.key).unwrap();
        let (_dir, cache) = cache_with(&recorded);
        let expected = format!("`seed`: {} → 17", smallest.params["seed"]);
        assert_eq!(cache.explain(&request(usual())).to_string(), expected);
    }

    #[test]
    fn another_version_explains_only_where_nothing_is_nearer() {
        let old = || Probe {
            version: 0,
            ..usual()
        };
        assert_eq!(explain(vec![old()], usual()), "version of the stage: 0 → 1");
        let near = Probe { seed: 2, ..usual() };
        assert_eq!(explain(vec![old(), near], usual()), "`seed`: 2 → 17");
        let old_and_far = Probe { seed: 2, ..old() };
        assert_eq!(
            explain(vec![old_and_far], usual()),
            "version of the stage: 0 → 1"
        );
    }

    #[test]
    fn float_that_text_does_not_bring_back_exactly_is_no_change() {
        // serde_json reads some of these one unit off in the last place.
        let awkward: Vec<_> = (1..200_u32).map(|n| 1e-3 / f64::from(n)).collect();
        let probe = |seed| Probe {
            settings: json!({"c": awkward}),
            seed,
            ..usual()
        };
        assert_eq!(explain(vec![probe(17)], probe(18)), "`seed`: 17 → 18");
    }

    #[test]
    fn unreadable_and_misplaced_records_are_passed_over() {
        let (dir, cache) = cache_with(&[request(Probe { seed: 2, ..usual() }), request(usual())]);
        let misplaced = dir.path().join("actions/probe/2.json");
        fs_err::rename(
            cache
                .actions_dir("probe")
                .join(format!("{}.json", request(usual()).key)),
            misplaced,
        )
        .unwrap();
        fs_err::write(dir.path().join("actions/probe/0.json"), "{").unwrap();
        for (n, (_, harm)) in HARMS.into_iter().enumerate() {
            harm(&dir.path().join(format!("actions/probe/1{n}.json")));
        }
        assert_eq!(
            cache.explain(&request(usual())).to_string(),
            "`seed`: 2 → 17"
        );
    }

    #[test]
    fn a_bounded_number_of_records_is_read() {
        let (dir, cache) = cache_with(&[request(Probe { seed: 2, ..usual() })]);
        for n in 0..MAX_RECORDS {
            // Sorts before every key.
            fs_err::write(dir.path().join(format!("actions/probe/!{n}")), "{").unwrap();
        }
        assert_eq!(cache.explain(&request(usual())), MissReason::Never);
    }
}
