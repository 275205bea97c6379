//! A TorchScript module, which is a network of its own.

#[cfg(feature = "torch")]
mod hint;
#[cfg(feature = "torch")]
pub mod module;

use serde::{Deserialize, Serialize};

use crate::backbone::families::Family;

/// What a module says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScriptConfig {
    pub dim: usize,
}

impl Family for ScriptConfig {
    fn dim(&self) -> usize {
        self.dim
    }
}
