//! What has been reproduced on this machine: a record per published score in the cache, for `newt-pipe models ls`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Outcome, Verdict, Verdicts};
use crate::cache::{Cache, Digest, ignored};
use crate::error::Error;
use crate::pipeline::Runner;
use crate::progress::Progress;
use crate::published::ModelName;

/// Version of the record. Records of another version are not read.
const FORMAT: u32 = 1;

/// What came of a published score the last time that a run could be held against it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reproduction {
    format: u32,
    /// The key of the score's source.
    pub source: String,
    /// The library that defines the model.
    pub org: String,
    /// The checkpoint, in that library's words.
    pub ckpt: String,
    /// `reproduced` or `differs`.
    pub verdict: String,
    /// The score that was made here, in the source's unit: `16,061`, `89.08 %`.
    pub here: String,
    /// The same as a share.
    pub accuracy: f64,
    /// The number of right answers, where the score stands for one.
    pub count: Option<u64>,
    /// The verdict in one line.
    pub text: String,
    /// By whom and when: version of the program, host, time …
    pub provenance: BTreeMap<String, String>,
}

impl Reproduction {
    /// The record of a verdict; `None` where nothing was compared.
    fn of(verdict: &Verdict, provenance: &BTreeMap<String, String>) -> Option<Self> {
        let score = verdict.score;
        let ModelName { org, ckpt } = score.model?;
        if matches!(verdict.outcome, Outcome::NotComparable(_)) {
            return None;
        }
        Some(Self {
            format: FORMAT,
            source: score.source.key.to_owned(),
            org: org.to_owned(),
            ckpt: ckpt.to_owned(),
            verdict: verdict.outcome.as_str().to_owned(),
            here: verdict.shown_here(),
            accuracy: verdict.here.accuracy,
            count: verdict.here.n_right.filter(|_| score.n_right.is_some()),
            text: verdict.line(),
            provenance: provenance.clone(),
        })
    }

    /// Keeps this in the place of what came of the same score before.
    fn keep(&self, cache: &Cache) -> Result<(), Error> {
        let about = [&self.source, &self.org, &self.ckpt];
        let about = Digest::of(&serde_json::to_vec(&about)?);
        cache.keep_verdict(&about, &serde_json::to_string_pretty(self)?)
    }
}

/// What has been reproduced with this cache, by source and model. What is no record is left out with a warning.
pub fn reproductions(cache: &Cache, progress: &dyn Progress) -> Vec<Reproduction> {
    let mut found = Vec::new();
    for (path, bytes) in cache.verdicts(progress) {
        match serde_json::from_slice::<Reproduction>(&bytes) {
            Ok(record) if record.format == FORMAT => found.push(record),
            Ok(record) => {
                let why = format!("has format {}, expected {FORMAT}", record.format);
                progress.warn(&ignored(&path, &why));
            }
            Err(error) => progress.warn(&ignored(&path, &format!("no verdict: {error}"))),
        }
    }
    found.sort_by(|a, b| (&a.source, &a.org, &a.ckpt).cmp(&(&b.source, &b.org, &b.ckpt)));
    found
}

impl Verdicts {
    /// Keeps what came of published scores; `provenance` is the run's.
    ///
    /// # Errors
    /// That it cannot be written.
    pub fn keep(&self, cache: &Cache, provenance: &BTreeMap<String, String>) -> Result<(), Error> {
        let verdicts = self.by_claim();
        let mut records = verdicts
            .iter()
            .flatten()
            .filter_map(|verdict| Reproduction::of(verdict, provenance));
        records.try_for_each(|record| record.keep(cache))
    }
}

impl Runner<'_> {
    /// Keeps what came of published scores for `newt-pipe models ls`. The results do not depend on it: where it cannot be
    /// written, a warning says so.
    pub fn keep(&self, verdicts: &Verdicts) {
        let executor = &self.executor;
        if let Err(error) = verdicts.keep(&executor.cache, &executor.options.provenance) {
            executor.context.progress.warn(&format!(
                "{error}; `models ls` will not show the verdicts of this run"
            ));
        }
    }
}
