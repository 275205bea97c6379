//! A TorchScript module, which is a network of its own.

#[cfg(feature = "torch")]
mod hint;
#[cfg(feature = "torch")]
mod module;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::backbone::families::Family;
#[cfg(feature = "torch")]
use crate::backbone::families::{Built, loader::Loader};

/// What a module says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptConfig {
    pub dim: usize,
}

impl Family for ScriptConfig {
    fn dim(&self) -> usize {
        self.dim
    }

    fn canonical(&self) -> Value {
        json!({ "family": "torchscript", "dim": self.dim })
    }

    #[cfg(feature = "torch")]
    fn load(&self, loader: &Loader<'_>) -> Built {
        Ok(Box::new(module::Script::load(loader, *self)?))
    }
}
