//! What would run, and why: the same value is printed by `plan`, told by `run` and put into JSON.

use std::collections::BTreeMap;

use super::StageRecord;
use crate::cache::MissReason;
use crate::stage::Name;

/// Whether a stage's output is there.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// The cache has it.
    Cached,
    /// It is computed, for this reason.
    Runs(MissReason),
    /// It is computed or looked up once the model's checkpoint has been fetched.
    Fetches,
    /// It depends on a stage that has to run first; if that gives the same output as before, this
    /// one may be cached after all.
    Waits(Name),
}

impl State {
    /// The state as in JSON: `cached`, `ran` (`runs` in a plan) or `waits`.
    pub fn status(&self, is_plan: bool) -> &'static str {
        match self {
            State::Cached => "cached",
            State::Runs(_) | State::Fetches if is_plan => "runs",
            State::Runs(_) | State::Fetches => "ran",
            State::Waits(_) => "waits",
        }
    }

    /// Why the stage is not cached.
    pub fn reason(&self) -> Option<String> {
        match self {
            State::Cached => None,
            State::Runs(reason) => Some(reason.to_string()),
            State::Fetches => Some("the model's checkpoint is to be fetched first".to_owned()),
            State::Waits(stage) => Some(format!("until stage `{stage}` has run")),
        }
    }
}

/// The plan of a walk: stages that it did not reach wait for the last it did; or, where it ended at a checkpoint that
/// `is_to_fetch`, for the features of that.
pub fn complete(mut reached: Vec<StageRecord>, is_to_fetch: bool) -> Vec<StageRecord> {
    if is_to_fetch {
        reached.push(StageRecord::unreached(Name::Features, State::Fetches));
    }
    if let Some(last) = reached.last().map(|record| record.stage) {
        let rest = Name::ALL.iter().filter(|stage| **stage > last);
        reached.extend(rest.map(|stage| StageRecord::unreached(*stage, State::Waits(last))));
    }
    reached
}

impl StageRecord {
    fn unreached(stage: Name, state: State) -> Self {
        Self {
            stage,
            request: None,
            state,
            seconds: 0.0,
            outputs: BTreeMap::new(),
            counts: None,
        }
    }
}
