//! Probes that were fitted before their experiment asked for them.

use std::collections::BTreeMap;

use crate::cache::Key;
use crate::stage::probes::Probes;

/// What came of the repeats of a search that were fitted in one pass, until the experiment of each comes; by the key of
/// their stage.
#[derive(Debug, Default)]
pub struct FittedAhead(BTreeMap<Key, Probes>);

impl FittedAhead {
    /// The probes with this key, if they were fitted ahead.
    pub fn take(&mut self, key: Key) -> Option<Probes> {
        self.0.remove(&key)
    }

    /// Keeps the probes of one pass, and forgets those of passes before, which nobody has asked for.
    pub fn replace(&mut self, probes: impl IntoIterator<Item = (Key, Probes)>) {
        self.0 = probes.into_iter().collect();
    }
}
