//! Whether a run reproduces what others have published of its model.
//!
//! | | |
//! | --- | --- |
//! | `claim` | what a run says of a model, as far as a published score can be held against it |
//! | `show` | verdicts as lines and as JSON |
//! | `kept` | what has been reproduced here, in the cache |
//!
//! A score is reproduced where the same number of answers is right, or the same value comes out at the precision that is
//! published. Features move with the number format, the library and the machine, so it also is where the number here is
//! within the published interval or, where none is published, within Wilson's at 95 %. What was evaluated in another way
//! is not compared.

mod claim;
mod kept;
mod show;

use std::collections::BTreeMap;

pub use self::claim::{Claim, Run};
pub use self::kept::{Reproduction, reproductions};
use super::Evaluation;
use crate::newt::published::N_TEST_ROWS;
use crate::published::{self, Aggregation, Score};
use crate::stats::Interval;
use crate::stats::wilson::wilson;

/// Half of the last decimal that the ends of an interval are published with.
const ROUNDING: f64 = 0.5e-6;

/// What the interval of a score leaves out that is published without one.
const ALPHA: f64 = 0.05;

/// What comes of one published score.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The score.
    pub score: &'static Score,
    /// The same number, made here.
    pub here: Here,
    /// What comes of it.
    pub outcome: Outcome,
}

/// A score that was made here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Here {
    /// As a share; the mean where there were several runs.
    pub accuracy: f64,
    /// The number of right answers, where it is that of one run that the score stands for.
    pub n_right: Option<u64>,
}

/// What comes of holding a score that was made here against a published one.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is the same.
    Reproduced(Agreement),
    /// It is another, and this is known to have been different.
    Differs(Vec<Difference>),
    /// It means something else, for this reason.
    NotComparable(String),
}

/// In what way two scores are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// The same number of answers is right.
    Count,
    /// They are the same at the precision that is published.
    Rounded,
    /// One is within the interval of the other.
    Interval,
}

/// Something that was different where a score was published, or may have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What: `precision`, `libtorch` or `revision`.
    pub what: &'static str,
    /// What it is here.
    pub here: String,
    /// What it was there; `None` where that is not recorded.
    pub there: Option<String>,
}

impl Verdict {
    fn of(score: &'static Score, claim: &Claim) -> Self {
        let here = Here::of(score.source.aggregation, claim);
        let outcome = if let Some(why) = incomparable(score, claim) {
            Outcome::NotComparable(why)
        } else if let Some(agreement) = agreement(score, here) {
            Outcome::Reproduced(agreement)
        } else {
            Outcome::Differs(differences(score, claim))
        };
        Self {
            score,
            here,
            outcome,
        }
    }

    /// How many more answers are right here, where both numbers are known.
    pub fn n_more(&self) -> Option<i64> {
        let n_right = |n: u64| i64::try_from(n).ok();
        Some(n_right(self.here.n_right?)? - n_right(self.score.n_right?)?)
    }

    /// How much larger the share of right answers is here.
    pub fn gain(&self) -> f64 {
        self.here.accuracy - self.score.accuracy()
    }
}

impl Here {
    fn of(aggregation: Aggregation, claim: &Claim) -> Self {
        let accuracy = |run: &Run| match aggregation {
            Aggregation::Rows => run.n_right as f64 / claim.newt.n_test_rows as f64,
            Aggregation::Tasks => run.mean_task_accuracy,
        };
        let sum: f64 = claim.runs.iter().map(accuracy).sum();
        let n_right = match claim.runs.as_slice() {
            [run] if aggregation == Aggregation::Rows => Some(run.n_right),
            _ => None,
        };
        Self {
            accuracy: sum / claim.runs.len() as f64,
            n_right,
        }
    }
}

/// The verdict on each published score of the claim's model: those of its own protocol where there are some, else all, to
/// say why they are no measure.
fn verdicts(claim: &Claim) -> Vec<Verdict> {
    let is_same = |score: &&Score| score.source.protocol == claim.protocol;
    let scores = || published::of(&claim.org, &claim.ckpt);
    let has_same = scores().any(|score| is_same(&score));
    scores()
        .filter(|score| !has_same || is_same(score))
        .map(|score| Verdict::of(score, claim))
        .collect()
}

/// Why a score that was made here means something else than the published one.
fn incomparable(score: &Score, claim: &Claim) -> Option<String> {
    let source = score.source;
    if !claim.newt.is_newt {
        return Some(claim.newt.difference());
    }
    if claim.protocol != source.protocol {
        return Some(format!(
            "probe `{}`, published with `{}`",
            claim.protocol, source.protocol
        ));
    }
    if !claim.overrides.is_empty() {
        return Some(format!(
            "`{}` is not in the protocol `{}`",
            claim.overrides, source.protocol
        ));
    }
    if claim.n_train.rows().is_some() {
        return Some(format!(
            "`n_train = {}`, published with all train rows",
            claim.n_train
        ));
    }
    if let Some(pool) = &claim.pool {
        return Some(format!(
            "`pool = \"{pool}\"`, published as the model's library pools"
        ));
    }
    let mut seeds = claim.search_seeds();
    seeds.sort_unstable();
    if seeds != source.search_seeds {
        let list = |seeds: &[u32]| {
            let seeds: Vec<String> = seeds.iter().map(u32::to_string).collect();
            seeds.join(", ")
        };
        let here = match seeds.as_slice() {
            [] => "one search".to_owned(),
            seeds => format!("search seeds {}", list(seeds)),
        };
        let there = match source.search_seeds.as_slice() {
            [] => "one search".to_owned(),
            seeds => format!("the mean over search seeds {}", list(seeds)),
        };
        return Some(format!("{here}, published is {there}"));
    }
    None
}

/// In what way the score that was made here is the published one, if it is.
fn agreement(score: &Score, here: Here) -> Option<Agreement> {
    if here.n_right.is_some() && here.n_right == score.n_right {
        return Some(Agreement::Count);
    }
    // A value that stands for a count is not compared as it is rounded: the count is the finer measure.
    let rounded = show::in_unit(score, here.accuracy, score.n_decimals());
    if score.n_right.is_none() && rounded == score.value {
        return Some(Agreement::Rounded);
    }
    let [low, high] = if let Some([low, high]) = score.interval {
        [low - ROUNDING, high + ROUNDING]
    } else {
        let rows = N_TEST_ROWS as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of the rows, rounded to a number of them"
        )]
        let n_right = (score.accuracy() * rows).round() as u64;
        let Interval { low, high } = wilson(n_right, N_TEST_ROWS as u64, ALPHA);
        [low, high]
    };
    (low <= here.accuracy && here.accuracy <= high).then_some(Agreement::Interval)
}

/// What is known to have been different where a score was published, and what nobody has recorded.
fn differences(score: &Score, claim: &Claim) -> Vec<Difference> {
    let there = score.source.precision;
    let difference = |what, here: &Option<String>, there: Option<&str>| {
        let here = here.clone().filter(|here| there != Some(here.as_str()))?;
        let there = there.map(str::to_owned);
        Some(Difference { what, here, there })
    };
    [
        difference("precision", &claim.precision, Some(there)),
        difference("libtorch", &claim.libtorch, None),
        difference("revision", &claim.revision, None),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The verdicts on the experiments of a run.
#[derive(Debug, Default)]
pub struct Verdicts {
    claims: Vec<Claim>,
    /// The place in `claims` of what each experiment belongs to; `None` where nothing is published of its model.
    claim_of: Vec<Option<usize>>,
}

impl Verdicts {
    /// Takes note of what came of the next experiment.
    pub fn add(&mut self, evaluation: &Evaluation, provenance: &BTreeMap<String, String>) {
        let model = &evaluation.experiment.model;
        if published::of(&model.org, &model.ckpt).next().is_none() {
            self.claim_of.push(None);
            return;
        }
        self.add_claim(Claim::of(evaluation, provenance));
    }

    fn add_claim(&mut self, claim: Claim) {
        // Models vary slowest in a sweep: the other runs of a claim are among the last ones of its model.
        let last = self.claims.iter_mut().enumerate().rev();
        let place = last
            .take_while(|(_, last)| last.org == claim.org && last.ckpt == claim.ckpt)
            .find_map(|(place, last)| last.join(&claim).then_some(place));
        let place = place.unwrap_or_else(|| {
            self.claims.push(claim);
            self.claims.len() - 1
        });
        self.claim_of.push(Some(place));
    }

    /// The verdicts, claim by claim.
    fn by_claim(&self) -> Vec<Vec<Verdict>> {
        self.claims.iter().map(verdicts).collect()
    }
}

#[cfg(test)]
mod tests;
