//! What a stage was asked to do and what it made: the record of a key.
//!
//! The key decides; the record lets a hit be read, a miss be explained and a result be traced.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::seal::{is_sealed, sealed};
use super::{Cache, Digest, Key, Request, damage, is_miss, layout};
use crate::error::Error;
use crate::progress::Progress;
use crate::text::thousands;

/// Version of the record. Records of another version are misses.
const FORMAT: u32 = 2;

/// The longest record that is read. A search with a million values is shorter.
pub const MAX_BYTES: u64 = 1 << 26;

/// What a stage was asked to do, and what it made of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// Version of this record's format.
    pub format: u32,
    /// The stage's name.
    pub stage: String,
    /// The stage's version.
    pub version: u32,
    /// The key, made of stage, version, parameters and inputs.
    pub key: Key,
    /// The parameters that entered the key.
    pub params: BTreeMap<String, Value>,
    /// The inputs that entered the key.
    pub inputs: BTreeMap<String, Digest>,
    /// The outputs by name.
    pub outputs: BTreeMap<String, Digest>,
    /// The sizes of the outputs, so that one cut short is noticed without reading it.
    pub output_bytes: BTreeMap<String, u64>,
    /// How long the stage took.
    pub seconds: f64,
    /// By whom, where and when it was made; never part of a key.
    pub provenance: BTreeMap<String, String>,
}

/// What the cache holds for a request.
pub enum Record {
    Hit(Action),
    Absent,
    /// There is a record, but it cannot be used, for this reason.
    Unusable(String),
    /// There is a sound record, but not all of its objects, for this reason.
    Lost(String),
}

impl Cache {
    /// The action with the request's key, if there is one and its outputs are there with their sizes.
    ///
    /// A record that is damaged, belongs to something else or has lost an output is a miss, with a warning.
    ///
    /// # Errors
    /// That the record exists and the file system does not give it.
    pub fn lookup(
        &self,
        request: &Request,
        progress: &dyn Progress,
    ) -> Result<Option<Action>, Error> {
        match self.record(request)? {
            Record::Hit(action) => Ok(Some(action)),
            Record::Absent => Ok(None),
            Record::Unusable(why) => {
                progress.warn(&format!("{why}; the stage makes the record again"));
                Ok(None)
            }
            Record::Lost(why) => {
                // That none is there has been said once for all of them.
                if !self.has_lost_objects {
                    progress.warn(&format!("{why}; the stage makes the object again"));
                }
                Ok(None)
            }
        }
    }

    /// Stores the outputs of a stage, then the record that makes them found, and returns the record.
    ///
    /// # Errors
    /// As [`put`](Self::put); then there is no record, and the next run makes the outputs again.
    ///
    /// # Panics
    /// If two outputs have one name, which is a bug of the stage.
    pub fn publish(
        &self,
        request: &Request,
        outputs: Vec<(String, Vec<u8>)>,
        seconds: f64,
        provenance: BTreeMap<String, String>,
    ) -> Result<Action, Error> {
        let mut action = Action {
            format: FORMAT,
            stage: request.stage.to_owned(),
            version: request.version,
            key: request.key,
            params: request.params.clone(),
            inputs: request.inputs.clone(),
            outputs: BTreeMap::new(),
            output_bytes: BTreeMap::new(),
            seconds,
            provenance,
        };
        for (name, bytes) in outputs {
            let digest = self.put(&bytes)?;
            action.output_bytes.insert(name.clone(), bytes.len() as u64);
            let previous = action.outputs.insert(name.clone(), digest);
            assert!(previous.is_none(), "output `{name}` is given twice");
        }
        #[expect(
            clippy::expect_used,
            reason = "strings, numbers and maps with string keys: all have a JSON form"
        )]
        let json = serde_json::to_string_pretty(&action).expect("an action has a JSON form");
        let record = sealed(&json);
        self.write(
            &self.action_path(request.stage, &request.key),
            record.as_bytes(),
        )?;
        Ok(action)
    }

    pub(super) fn record(&self, request: &Request) -> Result<Record, Error> {
        let path = self.action_path(request.stage, &request.key);
        let bytes = match damage::read(&path, MAX_BYTES) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Record::Absent),
            Err(error) if is_miss(&error) => return Ok(Record::Unusable(error.to_string())),
            Err(error) => return Err(error),
        };
        let action = match parse(&bytes) {
            Ok(action) => action,
            Err(why) => return Ok(Record::Unusable(format!("{}: {why}", path.display()))),
        };
        let (stage, version) = (&action.stage, action.version);
        if stage != request.stage || version != request.version || action.key != request.key {
            return Ok(Record::Unusable(format!(
                "{}: record of `{stage}` {version} with key {}…, expected `{}` {} with key {}…",
                path.display(),
                action.key.short(),
                request.stage,
                request.version,
                request.key.short()
            )));
        }
        for (name, digest) in &action.outputs {
            let written = action.output_bytes.get(name).copied();
            let found = self.object_bytes(digest);
            if found.is_err() || found.ok() != written {
                return Ok(Record::Lost(format!(
                    "cache object {}… (`{name}` of `{stage}`): {} on disk, {} when it was written",
                    digest.short(),
                    found.map_or_else(str::to_owned, |n| format!("{} bytes", thousands(n))),
                    written.map_or("size unknown".to_owned(), thousands),
                )));
            }
        }
        Ok(Record::Hit(action))
    }

    pub(super) fn actions_dir(&self, stage: &str) -> PathBuf {
        self.root.join(layout::ACTIONS).join(stage)
    }

    fn action_path(&self, stage: &str, key: &Key) -> PathBuf {
        self.actions_dir(stage).join(format!("{key}.json"))
    }
}

/// The action in a record's bytes, or why there is none.
pub fn parse(bytes: &[u8]) -> Result<Action, String> {
    /// The part that every version of the record shares.
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }

    let head: Head = serde_json::from_slice(bytes)
        .map_err(|error| format!("no record of an action: {error}"))?;
    if head.format != FORMAT {
        return Err(format!(
            "record of format {}, this program reads format {FORMAT}",
            head.format
        ));
    }
    if !is_sealed(bytes) {
        return Err("damaged record: it was changed after it was written".to_owned());
    }
    serde_json::from_slice(bytes).map_err(|error| format!("damaged record: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::damage::tests::HARMS;
    use crate::cache::{KeyBuilder, MissReason};
    use crate::progress::Silent;
    use crate::progress::Warnings;

    fn request(seed: u64) -> Request {
        KeyBuilder::new("sample", 2)
            .param("seed", seed)
            .param("c", 0.1)
            .input("labels", Digest::of(b"labels"))
            .finish()
    }

    fn publish(cache: &Cache, request: &Request) -> Action {
        let outputs = vec![
            ("rows".to_owned(), b"rows".to_vec()),
            ("notes".to_owned(), b"{}".to_vec()),
        ];
        let provenance = [("host".to_owned(), "here".to_owned())].into();
        cache.publish(request, outputs, 0.25, provenance).unwrap()
    }

    fn record_path(cache: &Cache, request: &Request) -> PathBuf {
        cache.action_path(request.stage, &request.key)
    }

    /// An edited record with the seal that fits it.
    fn resealed(record: &str) -> String {
        let (json, _) = record.rsplit_once(",\n  \"seal\"").unwrap();
        sealed(&format!("{json}\n}}"))
    }

    /// The one warning of a lookup that misses.
    fn warning(cache: &Cache, request: &Request) -> String {
        let warnings = Warnings::default();
        assert_eq!(cache.lookup(request, &warnings).unwrap(), None);
        let mut warnings = warnings.0.into_inner().unwrap();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        warnings.remove(0)
    }

    #[test]
    fn lookup_finds_what_was_published_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        assert_eq!(cache.lookup(&request(17), &Silent).unwrap(), None);
        let published = publish(&cache, &request(17));

        let again = Cache::open(dir.path()).unwrap();
        let found = again.lookup(&request(17), &Silent).unwrap().unwrap();
        assert_eq!(found, published);
        assert_eq!(found.outputs["rows"], Digest::of(b"rows"));
        assert_eq!(found.output_bytes["rows"], 4);
        assert_eq!(found.inputs, request(17).inputs);
        assert_eq!(found.params, request(17).params);
        assert_eq!(found.provenance["host"], "here");
        assert_eq!(again.get(&found.outputs["notes"], 2).unwrap(), b"{}");
        assert_eq!(again.lookup(&request(18), &Silent).unwrap(), None);
    }

    #[test]
    fn record_lies_under_its_stage_and_key() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        publish(&cache, &request(17));
        let name = format!("actions/sample/{}.json", request(17).key);
        let text = fs_err::read_to_string(dir.path().join(name)).unwrap();
        assert!(text.starts_with("{\n  \"format\": 2,\n  \"stage\": \"sample\",\n"));
        assert!(text.ends_with("}\n"));
    }

    #[test]
    fn damaged_record_is_a_miss_with_a_warning_and_can_be_published_anew() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let request = request(17);
        publish(&cache, &request);
        let path = record_path(&cache, &request);
        let good = fs_err::read_to_string(&path).unwrap();
        let damages = [
            (String::new(), "no record of an action"),
            ("[]".to_owned(), "no record of an action"),
            (good[..good.len() / 2].to_owned(), "no record of an action"),
            (
                good.replace("\"format\": 2", "\"format\": 1"),
                "record of format 1, this program reads format 2",
            ),
            (good.replace("\"seal\"", "\"soul\""), "damaged record"),
            (good.replace("\"here\"", "\"there\""), "damaged record"),
            (
                good.replace(
                    &Digest::of(b"rows").to_string(),
                    &Digest::of(b"{}").to_string(),
                ),
                "damaged record",
            ),
            (
                resealed(&good.replace("seconds", "minutes")),
                "damaged record",
            ),
            (
                resealed(&good.replace(&Digest::of(b"rows").to_string(), "00")),
                "damaged record",
            ),
            (
                resealed(&good.replace("\"sample\"", "\"labels\"")),
                "record of `labels` 2",
            ),
            (
                resealed(&good.replace("\"version\": 2", "\"version\": 3")),
                "record of `sample` 3",
            ),
        ];
        for (text, expected) in damages {
            fs_err::write(&path, text).unwrap();
            let text = warning(&cache, &request);
            assert!(
                text.contains(expected) && text.contains(".json: "),
                "{text}"
            );
            assert!(matches!(cache.explain(&request), MissReason::Unusable(_)));
        }
        publish(&cache, &request);
        assert!(cache.lookup(&request, &Silent).unwrap().is_some());
    }

    #[test]
    fn swapped_outputs_of_two_records_are_misses() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let both = [request(17), request(18)].map(|request| {
            let bytes = vec![u8::try_from(request.params["seed"].as_u64().unwrap()).unwrap()];
            let outputs = vec![("rows".to_owned(), bytes)];
            let action = cache
                .publish(&request, outputs, 0.1, BTreeMap::new())
                .unwrap();
            (request, action.outputs["rows"].to_string())
        });
        let [(one, rows_of_one), (other, rows_of_other)] = both;
        for (request, from, to) in [
            (&one, &rows_of_one, &rows_of_other),
            (&other, &rows_of_other, &rows_of_one),
        ] {
            let path = record_path(&cache, request);
            let text = fs_err::read_to_string(&path).unwrap();
            fs_err::write(&path, text.replace(from, to)).unwrap();
            let warning = warning(&cache, request);
            assert!(
                warning.contains("changed after it was written"),
                "{warning}"
            );
        }
    }

    #[test]
    fn whatever_is_in_the_place_of_a_record_or_an_object_is_a_miss_and_gives_way() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let request = request(17);
        for (what, harm) in HARMS {
            for of_record in [true, false] {
                let action = publish(&cache, &request);
                let path = if of_record {
                    record_path(&cache, &request)
                } else {
                    cache.object_path(&action.outputs["rows"])
                };
                fs_err::remove_file(&path).unwrap();
                harm(&path);
                assert!(matches!(cache.explain(&request), MissReason::Unusable(_)));
                let warning = warning(&cache, &request);
                assert!(
                    warning.ends_with(if of_record {
                        "the stage makes the record again"
                    } else {
                        "the stage makes the object again"
                    }),
                    "{what}: {warning}"
                );
                publish(&cache, &request);
                assert!(cache.lookup(&request, &Silent).unwrap().is_some(), "{what}");
            }
        }
    }

    #[test]
    fn record_under_the_wrong_name_is_a_miss() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        publish(&cache, &request(17));
        fs_err::copy(
            record_path(&cache, &request(17)),
            record_path(&cache, &request(18)),
        )
        .unwrap();
        assert!(warning(&cache, &request(18)).contains("record of `sample` 2 with key"));
    }

    #[test]
    fn lost_output_is_a_miss_that_names_it_and_both_sizes() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let request = request(17);
        let action = publish(&cache, &request);
        let rows = &action.outputs["rows"];
        fs_err::write(cache.object_path(rows), "r").unwrap();
        let expected = format!(
            "cache object {}… (`rows` of `sample`): 1 bytes on disk, 4 when it was written; the stage makes the object again",
            rows.short()
        );
        assert_eq!(warning(&cache, &request), expected);
        fs_err::remove_file(cache.object_path(rows)).unwrap();
        assert!(warning(&cache, &request).contains("missing on disk, 4 when it was written"));
        publish(&cache, &request);
        assert!(cache.lookup(&request, &Silent).unwrap().is_some());
    }

    #[test]
    fn outputs_without_a_record_are_not_found() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        // As after a kill between the objects and the record.
        cache.put(b"rows").unwrap();
        cache.put(b"{}").unwrap();
        assert_eq!(cache.lookup(&request(17), &Silent).unwrap(), None);
    }

    #[test]
    #[should_panic(expected = "output `rows` is given twice")]
    fn output_given_twice_is_a_bug() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let outputs = vec![("rows".to_owned(), vec![1]), ("rows".to_owned(), vec![2])];
        let _ = cache.publish(&request(17), outputs, 0.0, BTreeMap::new());
    }
}
