//! One stage: looked for in the cache, or computed and published.

use std::collections::BTreeMap;
use std::time::Instant;

use super::plan::State;
use super::{Halt, Mode, Runner, StageRecord, Walk};
use crate::cache::{Digest, MissReason, Request, is_miss};
use crate::error::Error;
use crate::stage::{Made, Name, Objects, Stage};

/// What the cache has for a stage.
pub(super) struct Found<T> {
    request: Request,
    pub(super) known: Known<T>,
    started: Instant,
}

/// A stage's output, or why it is to be computed.
pub(super) type Known<T> = Result<Made<T>, MissReason>;

impl Runner<'_> {
    /// A stage's output: from the cache, or computed and published.
    pub(super) fn make<S: Stage>(
        &self,
        stage: &S,
        walk: &mut Walk,
    ) -> Result<Made<S::Output>, Halt> {
        let found = self.find(stage, None)?;
        self.finish(stage, found, walk)
    }

    /// Looks for a stage's output; with a `reason` to compute it, the cache is not asked.
    pub(super) fn find<S: Stage>(
        &self,
        stage: &S,
        reason: Option<MissReason>,
    ) -> Result<Found<S::Output>, Error> {
        self.context.interrupt.check()?;
        let started = Instant::now();
        let request = stage.request();
        let known = match reason {
            Some(reason) => Err(reason),
            None => self.look_up(stage, &request)?,
        };
        Ok(Found {
            request,
            known,
            started,
        })
    }

    /// The output that was found, or else computed and published.
    pub(super) fn finish<S: Stage>(
        &self,
        stage: &S,
        found: Found<S::Output>,
        walk: &mut Walk,
    ) -> Result<Made<S::Output>, Halt> {
        let mut record = StageRecord {
            stage: S::NAME,
            request: found.request,
            state: State::Cached,
            seconds: 0.0,
            outputs: BTreeMap::new(),
            counts: None,
        };
        match found.known {
            Ok(made) => {
                self.warn::<S>(&record, &made.output, walk);
                record.seconds = found.started.elapsed().as_secs_f64();
                record.outputs.clone_from(&made.digests);
                walk.stages.push(record);
                return Ok(made);
            }
            Err(reason) => record.state = State::Runs(reason),
        }
        if walk.mode == Mode::Plan && !S::IS_CHEAP {
            walk.stages.push(record);
            return Err(Halt::Unknown);
        }
        let output = stage.run(self.context)?;
        self.warn::<S>(&record, &output, walk);
        let objects = S::encode(&output)?;
        let digests: BTreeMap<String, Digest> = objects
            .iter()
            .map(|(name, bytes)| (name.clone(), Digest::of(bytes)))
            .collect();
        record.seconds = found.started.elapsed().as_secs_f64();
        if walk.mode == Mode::Run {
            let objects = objects.into_iter().collect();
            self.cache.publish(
                &record.request,
                objects,
                record.seconds,
                self.options.provenance.clone(),
            )?;
            self.forced.borrow_mut().insert(record.request.key);
        }
        record.outputs.clone_from(&digests);
        walk.stages.push(record);
        Ok(Made { output, digests })
    }

    /// Says once in a run what there is to know about an output.
    fn warn<S: Stage>(&self, record: &StageRecord, output: &S::Output, walk: &Walk) {
        if walk.mode == Mode::Run && self.warned.borrow_mut().insert(record.request.key) {
            for warning in S::warnings(output) {
                self.context.progress.warn(warning);
            }
        }
    }

    /// Whether `--force` asks for a stage that it has not made again yet.
    pub(super) fn is_forced(&self, name: Name, request: &Request) -> bool {
        self.options.force.contains(&name) && !self.forced.borrow().contains(&request.key)
    }

    /// What the cache has of a stage, and if nothing that can be used, why.
    fn look_up<S: Stage>(&self, stage: &S, request: &Request) -> Result<Known<S::Output>, Error> {
        let name = S::NAME;
        if self.is_forced(name, request) {
            return Ok(Err(MissReason::Forced));
        }
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
                Err(error) if is_miss(&error) => {
                    self.context
                        .progress
                        .warn(&format!("{error}; stage `{name}` makes the object again"));
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
