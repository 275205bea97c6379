//! What would run, and why: the same value is printed by `plan`, told by `run` and put into JSON.

use super::StageRecord;
use crate::cache::{Key, MissReason};
use crate::stage::Name;
use crate::stage::features::Counts;

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

/// One stage of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct StagePlan {
    /// The stage.
    pub stage: Name,
    /// Its key; unknown while it waits for another stage's output.
    pub key: Option<Key>,
    /// Whether it would run.
    pub state: State,
    /// Images to extract and to reuse, of stage `features`.
    pub counts: Option<Counts>,
}

/// The plan of a walk: stages that it did not reach wait for the last it did; or, where it ended at a checkpoint that
/// `is_to_fetch`, for the features of that.
pub fn complete(reached: Vec<StageRecord>, is_to_fetch: bool) -> Vec<StagePlan> {
    let reached = reached.into_iter().map(|record| StagePlan {
        stage: record.stage,
        key: Some(record.request.key),
        state: record.state,
        counts: record.counts,
    });
    let unreached = |stage, state| StagePlan {
        stage,
        key: None,
        state,
        counts: None,
    };
    let fetches = is_to_fetch.then(|| unreached(Name::Features, State::Fetches));
    let mut plans: Vec<StagePlan> = reached.chain(fetches).collect();
    if let Some(last) = plans.last().map(|plan| plan.stage) {
        let rest = Name::ALL.iter().filter(|stage| **stage > last);
        plans.extend(rest.map(|stage| unreached(*stage, State::Waits(last))));
    }
    plans
}
