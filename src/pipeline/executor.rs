//! One stage: found in the cache, or computed and published.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::plan::State;
use super::{Options, StageRecord};
use crate::cache::{self, Cache, Digest, Key, MissReason, Request};
use crate::context::Context;
use crate::error::{Error, Failure, Fault};
use crate::stage::features::{Features, FeaturesStage};
use crate::stage::{Made, Name, Objects, Stage};
use crate::text::count;

/// Whether stages are computed or only looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What the cache does not have is computed.
    Run,
    /// Only what costs next to nothing is computed, and nothing is published.
    Plan,
}

/// One walk through the stages of an experiment.
pub struct Walk {
    pub mode: Mode,
    records: BTreeMap<Name, StageRecord>,
}

impl Walk {
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            records: BTreeMap::new(),
        }
    }

    /// How the stages went, in the order of the flow. One that was made again stands there once, as it went last.
    pub fn into_records(self) -> Vec<StageRecord> {
        self.records.into_values().collect()
    }

    fn record<S: Stage>(
        &mut self,
        stage: &S,
        request: Request,
        state: State,
        seconds: f64,
        outputs: BTreeMap<String, Digest>,
    ) {
        let record = StageRecord {
            stage: S::NAME,
            request: Some(request),
            state,
            seconds,
            outputs,
            counts: stage.counts(),
        };
        self.records.insert(S::NAME, record);
    }
}

/// What ends a plan: nobody knows what comes after a stage that has to run.
#[derive(Debug, thiserror::Error)]
#[error("stage `{0}` has to run first")]
pub struct HasToRun(Name);

impl Failure for HasToRun {
    fn hint(&self) -> Option<String> {
        None
    }

    // Never shown: a plan ends with it, and a run computes what it does not find.
    fn fault(&self) -> Fault {
        Fault::Machine
    }
}

/// An output that several experiments ask for one after the other, and how it came about.
pub struct Shared<T> {
    mode: Mode,
    key: Key,
    made: Made<T>,
    record: Option<StageRecord>,
}

/// Finds the outputs of stages, and computes them.
pub struct Executor<'a> {
    pub cache: Cache,
    pub context: Context<'a>,
    pub options: Options,
    /// Keys that this run has been at: experiments share stages. What is forced has been made again by then, and what
    /// there is to know about the output has been said.
    met: BTreeSet<Key>,
}

impl<'a> Executor<'a> {
    pub fn new(cache: &Cache, context: Context<'a>, options: Options) -> Self {
        Self {
            cache: cache.clone(),
            context,
            options,
            met: BTreeSet::new(),
        }
    }

    /// A stage's output: found, or else computed.
    pub fn make<S: Stage>(
        &mut self,
        stage: &mut S,
        walk: &mut Walk,
    ) -> Result<Made<S::Output>, Error> {
        match self.find(stage, walk)? {
            Ok(made) => Ok(made),
            Err(reason) => self.compute(stage, reason, walk),
        }
    }

    /// As [`Executor::make`], unless the experiment before asked for the same, of which `shared` has what it got.
    ///
    /// A run finds again what it has published before; a plan publishes nothing, so that what would run would run still.
    pub fn make_shared<'s, S: Stage>(
        &mut self,
        shared: &'s mut Option<Shared<S::Output>>,
        stage: &mut S,
        walk: &mut Walk,
    ) -> Result<&'s Made<S::Output>, Error> {
        let (mode, key) = (walk.mode, stage.request().key);
        let last = shared.take();
        let last = if let Some(last) = last.filter(|last| last.mode == mode && last.key == key) {
            let record = last.record.clone().map(|record| (S::NAME, record));
            walk.records.extend(record);
            last
        } else {
            let made = self.make(stage, walk)?;
            let mut record = walk.records.get(&S::NAME).cloned();
            if let Some(record) = &mut record {
                record.seconds = 0.0;
                if mode == Mode::Run {
                    record.state = State::Cached;
                }
            }
            Shared {
                mode,
                key,
                made,
                record,
            }
        };
        Ok(&shared.insert(last).made)
    }

    /// Looks for a stage's output in the cache: if there is none that can be used, why.
    pub fn find<S: Stage>(
        &mut self,
        stage: &mut S,
        walk: &mut Walk,
    ) -> Result<Result<Made<S::Output>, MissReason>, Error> {
        self.context.interrupt.check()?;
        let started = Instant::now();
        let request = stage.request();
        if self.options.force.contains(&S::NAME) && !self.met.contains(&request.key) {
            stage.forget()?;
            return Ok(Err(MissReason::Forced));
        }
        let found = self.look_up(stage, &request)?;
        if let Ok(made) = &found {
            self.meet::<S>(&request, &made.output, walk.mode);
            let (seconds, outputs) = (started.elapsed().as_secs_f64(), made.digests.clone());
            walk.record(stage, request, State::Cached, seconds, outputs);
        }
        Ok(found)
    }

    /// Whether the stage of this request will be computed once an experiment asks for it, as far as the records tell.
    pub fn has_to_compute<S: Stage>(&self, request: &Request) -> Result<bool, Error> {
        if self.met.contains(&request.key) {
            return Ok(false);
        }
        let silent = self.context.silent().progress;
        let is_forced = self.options.force.contains(&S::NAME);
        Ok(is_forced || self.cache.lookup(request, silent)?.is_none())
    }

    /// Computes a stage's output, for this reason, and publishes it. A plan ends here, unless the stage is cheap.
    pub fn compute<S: Stage>(
        &mut self,
        stage: &mut S,
        reason: MissReason,
        walk: &mut Walk,
    ) -> Result<Made<S::Output>, Error> {
        let started = Instant::now();
        let (request, state) = (stage.request(), State::Runs(reason));
        if walk.mode == Mode::Plan && !S::IS_CHEAP {
            stage.pretend();
            walk.record(stage, request, state, 0.0, BTreeMap::new());
            return Err(HasToRun(S::NAME).into());
        }
        let output = stage.run(self.context)?;
        self.meet::<S>(&request, &output, walk.mode);
        let objects = S::encode(&output)?;
        let digest = |(name, bytes): (&String, &Vec<u8>)| (name.clone(), Digest::of(bytes));
        let digests: BTreeMap<String, Digest> = objects.iter().map(digest).collect();
        let seconds = started.elapsed().as_secs_f64();
        if walk.mode == Mode::Run {
            let (objects, provenance) = (
                objects.into_iter().collect(),
                self.options.provenance.clone(),
            );
            self.cache.publish(&request, objects, seconds, provenance)?;
        }
        walk.record(stage, request, state, seconds, digests.clone());
        Ok(Made { output, digests })
    }

    /// Reads the rows that probes are to be fitted on; or says why the features have to be made again for that, whose
    /// rows the store no longer has, or has damaged.
    pub fn read_rows(
        &self,
        stage: &mut FeaturesStage<'_>,
        features: &Features,
        mode: Mode,
    ) -> Result<Option<MissReason>, Error> {
        let n_lost = match mode {
            Mode::Run => stage.read_rows(features, self.context)?,
            // A plan takes the word of the shards' headers.
            Mode::Plan => stage.n_missing(),
        };
        let lost = count(n_lost, "feature row", "feature rows");
        Ok((n_lost > 0).then(|| {
            MissReason::Unusable(format!(
                "the cache no longer holds {lost} that the probes need"
            ))
        }))
    }

    /// Says once in a run what there is to know about an output.
    fn meet<S: Stage>(&mut self, request: &Request, output: &S::Output, mode: Mode) {
        if mode == Mode::Run && self.met.insert(request.key) {
            for warning in S::warnings(output) {
                self.context.progress.warn(warning);
            }
        }
    }

    fn look_up<S: Stage>(
        &self,
        stage: &S,
        request: &Request,
    ) -> Result<Result<Made<S::Output>, MissReason>, Error> {
        let Some(action) = self.cache.lookup(request, self.context.progress)? else {
            return Ok(Err(self.cache.explain(request)));
        };
        let mut objects = Objects::new();
        let is_read = |part: &str| S::UNREAD != Some(part) || self.options.with_fitted;
        for (part, digest) in action.outputs.iter().filter(|(part, _)| is_read(part)) {
            // Without a size in the record the lookup would have missed.
            let n_bytes = action.output_bytes.get(part).copied().unwrap_or_default();
            match self.cache.get(digest, n_bytes) {
                Ok(bytes) => objects.insert(part.clone(), bytes),
                Err(error) if cache::is_miss(&error) => {
                    let warning = format!("{error}; stage `{}` makes the object again", S::NAME);
                    self.context.progress.warn(&warning);
                    let reason = format!("its output `{part}` is damaged or missing in the cache");
                    return Ok(Err(MissReason::Unusable(reason)));
                }
                Err(error) => return Err(error),
            };
        }
        match stage.decode(&objects) {
            Ok(output) => {
                let digests = action.outputs;
                Ok(Ok(Made { output, digests }))
            }
            // The bytes are those that were written: another program wrote them, or for other inputs.
            Err(error) => {
                let warning = format!("{error}; the stage makes it again");
                self.context.progress.warn(&warning);
                Ok(Err(MissReason::Unusable(error.to_string())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::KeyBuilder;
    use crate::error::Message;
    use crate::interrupt::Interrupt;
    use crate::progress::Silent;

    /// A cheap stage whose output is its key's letter.
    struct Letter(&'static str);

    impl Stage for Letter {
        const NAME: Name = Name::Labels;
        const VERSION: u32 = 1;
        const IS_CHEAP: bool = true;
        type Output = Vec<u8>;

        fn request(&self) -> Request {
            let builder = KeyBuilder::new(Self::NAME.as_str(), Self::VERSION);
            builder.param("letter", self.0).finish()
        }

        fn run(&mut self, _context: Context<'_>) -> Result<Vec<u8>, Error> {
            match self.0 {
                "" => Err(Message::machine("no letter").into()),
                letter => Ok(letter.as_bytes().to_vec()),
            }
        }

        fn encode(output: &Vec<u8>) -> Result<Objects, Error> {
            Ok(Objects::from([("letter".to_owned(), output.clone())]))
        }

        fn decode(&self, objects: &Objects) -> Result<Vec<u8>, Error> {
            Ok(objects["letter"].clone())
        }
    }

    /// The states of stages that are asked for one after the other, each output being that of its letter.
    fn states(asked: &[(Mode, &'static str)]) -> Vec<State> {
        let dir = tempfile::tempdir().unwrap();
        let interrupt = Interrupt::default();
        let context = Context {
            progress: &Silent,
            interrupt: &interrupt,
        };
        let cache = Cache::open(dir.path()).unwrap();
        let mut executor = Executor::new(&cache, context, Options::default());
        let mut shared = None;
        let state = |(mode, letter): &(Mode, &'static str)| {
            let mut walk = Walk::new(*mode);
            let made = executor.make_shared(&mut shared, &mut Letter(letter), &mut walk);
            assert_eq!(made.unwrap().output, letter.as_bytes());
            let [record] = walk.into_records().try_into().unwrap();
            record.state
        };
        asked.iter().map(state).collect()
    }

    #[test]
    fn a_stage_that_ran_is_cached_for_the_next_experiment_and_would_run_in_each_plan() {
        let runs = State::Runs(MissReason::Never);
        let run = states(&[(Mode::Run, "a"), (Mode::Run, "a")]);
        assert_eq!(run, [runs.clone(), State::Cached]);
        let plan = states(&[(Mode::Plan, "a"), (Mode::Plan, "a")]);
        assert_eq!(plan, [runs.clone(), runs]);
    }

    #[test]
    fn a_run_publishes_what_a_plan_has_only_looked_at() {
        let runs = State::Runs(MissReason::Never);
        let states = states(&[(Mode::Plan, "a"), (Mode::Run, "a"), (Mode::Run, "a")]);
        assert_eq!(states, [runs.clone(), runs, State::Cached]);
    }

    #[test]
    fn a_stage_that_failed_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let interrupt = Interrupt::default();
        let context = Context {
            progress: &Silent,
            interrupt: &interrupt,
        };
        let cache = Cache::open(dir.path()).unwrap();
        let mut executor = Executor::new(&cache, context, Options::default());
        let (mut shared, mut walk) = (None, Walk::new(Mode::Run));
        let failed = executor.make_shared(&mut shared, &mut Letter(""), &mut walk);
        assert!(failed.is_err() && shared.is_none());
        let mut walk = Walk::new(Mode::Run);
        let made = executor.make_shared(&mut shared, &mut Letter("a"), &mut walk);
        assert_eq!(made.unwrap().output, b"a");
    }

    #[test]
    fn another_request_is_no_longer_answered_with_the_last_output() {
        let letters = ["a", "a", "b", "b", "a"].map(|letter| (Mode::Run, letter));
        let n_run = states(&letters)
            .into_iter()
            .filter(|state| *state != State::Cached);
        assert_eq!(n_run.count(), 2);
    }
}
