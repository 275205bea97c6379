//! A TorchScript module, which is a network of its own.

#[cfg(feature = "torch")]
mod network;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[cfg(feature = "torch")]
pub use network::Script;

/// What a module says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptConfig {
    pub dim: usize,
}

impl ScriptConfig {
    /// All that decides a feature besides the module.
    pub fn canonical(self) -> Value {
        json!({ "family": "torchscript", "dim": self.dim })
    }
}
