//! What one experiment hands to the next. They come with the probes varying fastest, so most ask for the labels, the
//! sample and the images of the one before; and a run that looks at the data set once sees one state of it.

use std::cell::RefCell;
use std::rc::Rc;

use super::plan::State;
use super::{Halt, Mode, StageRecord, Walk};
use crate::stage::Made;

/// The last value that was made, for whoever asks for it by the same key.
pub(super) struct Last<K, T>(RefCell<Option<(K, Rc<T>)>>);

// Not derived, which would ask for a default of `K` and `T`.
impl<K, T> Default for Last<K, T> {
    fn default() -> Self {
        Self(RefCell::new(None))
    }
}

impl<K: PartialEq, T> Last<K, T> {
    /// The value of `key`, made unless it was the last.
    pub(super) fn get<E>(&self, key: K, make: impl FnOnce() -> Result<T, E>) -> Result<Rc<T>, E> {
        if let Some((last, value)) = &*self.0.borrow()
            && *last == key
        {
            return Ok(Rc::clone(value));
        }
        let value = Rc::new(make()?);
        self.0.replace(Some((key, Rc::clone(&value))));
        Ok(value)
    }
}

/// An output, and how it came about.
struct Output<T> {
    made: Rc<Made<T>>,
    record: Option<StageRecord>,
}

/// The last output of a stage.
pub(super) struct LastStage<K, T>(Last<(Mode, K), Output<T>>);

impl<K, T> Default for LastStage<K, T> {
    fn default() -> Self {
        Self(Last::default())
    }
}

impl<K: PartialEq, T> LastStage<K, T> {
    /// The output for `key`, recorded in `walk`. A walk that runs finds again what it has published before; a plan
    /// publishes nothing, so that what would run would run still.
    pub(super) fn get(
        &self,
        key: K,
        walk: &mut Walk,
        make: impl FnOnce(&mut Walk) -> Result<Made<T>, Halt>,
    ) -> Result<Rc<Made<T>>, Halt> {
        let mode = walk.mode;
        let mut is_new = false;
        let kept = self.0.get((mode, key), || {
            is_new = true;
            let made = Rc::new(make(walk)?);
            let record = walk.stages.last().cloned();
            Ok::<_, Halt>(Output { made, record })
        })?;
        if !is_new {
            walk.stages
                .extend(kept.record.iter().map(|record| again(record, mode)));
        }
        Ok(Rc::clone(&kept.made))
    }
}

/// What there is to say of an output that is kept.
fn again(record: &StageRecord, mode: Mode) -> StageRecord {
    StageRecord {
        state: match mode {
            Mode::Run => State::Cached,
            Mode::Plan => record.state.clone(),
        },
        seconds: 0.0,
        ..record.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cache::{KeyBuilder, MissReason};
    use crate::stage::Name;

    fn walk(mode: Mode) -> Walk {
        Walk {
            mode,
            stages: Vec::new(),
        }
    }

    /// As a stage is made that runs.
    fn make(output: u8, walk: &mut Walk) -> Made<u8> {
        walk.stages.push(StageRecord {
            stage: Name::Labels,
            request: KeyBuilder::new("labels", 1).finish(),
            state: State::Runs(MissReason::Never),
            seconds: 1.0,
            outputs: BTreeMap::new(),
            counts: None,
        });
        Made {
            output,
            digests: BTreeMap::new(),
        }
    }

    #[test]
    fn what_was_asked_for_last_is_made_once() {
        let last = Last::default();
        let mut made = Vec::new();
        for key in ["a", "a", "b", "b", "a"] {
            let value = last.get(key, || {
                made.push(key);
                Ok::<_, ()>(key.to_owned())
            });
            assert_eq!(*value.unwrap(), key);
        }
        assert_eq!(made, ["a", "b", "a"]);
        assert!(last.get("c", || Err(())).is_err());
        assert!(last.get("c", || Ok::<_, ()>("c".to_owned())).is_ok());
    }

    #[test]
    fn a_stage_that_ran_is_cached_for_the_next_experiment_and_would_run_in_each_plan() {
        for (mode, expected) in [
            (Mode::Run, State::Cached),
            (Mode::Plan, State::Runs(MissReason::Never)),
        ] {
            let last = LastStage::default();
            let mut states = Vec::new();
            for _ in 0..2 {
                let mut walk = walk(mode);
                let made = last.get(1, &mut walk, |walk| Ok(make(7, walk)));
                assert!(made.is_ok_and(|made| made.output == 7));
                assert_eq!(walk.stages.len(), 1);
                states.push(walk.stages.remove(0).state);
            }
            assert_eq!(states, [State::Runs(MissReason::Never), expected]);
        }
    }

    #[test]
    fn a_run_publishes_what_a_plan_has_only_looked_at() {
        let last = LastStage::default();
        let mut n_made = 0;
        for mode in [Mode::Plan, Mode::Run] {
            let made = last.get((), &mut walk(mode), |walk| {
                n_made += 1;
                Ok(make(7, walk))
            });
            assert!(made.is_ok());
        }
        assert_eq!(n_made, 2);
    }
}
