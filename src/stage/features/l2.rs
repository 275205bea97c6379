//! Whether rows are scaled to unit L2 norm on their way to the probes. The store keeps what the network gives.

use serde::{Deserialize, Deserializer, Serialize};

use crate::setting;

/// The setting `features.l2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum L2 {
    /// As the probe's protocol has it.
    #[default]
    Auto,
    /// Scaled or as they are, whatever the protocol has.
    #[serde(untagged)]
    Set(bool),
}

impl<'de> Deserialize<'de> for L2 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        setting::checked(deserializer, "`\"auto\"`, `true` or `false`", |value| {
            if value.as_str() == Some("auto") {
                return Some(Self::Auto);
            }
            value.as_bool().map(Self::Set)
        })
    }
}

/// How the rows of one experiment are taken: what the pipeline file says, and what it leaves to the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scaling {
    /// The setting.
    pub setting: L2,
    /// Whether the protocol has rows of norm 1.
    pub of_protocol: bool,
}

impl Scaling {
    /// Rows scaled or as they are, for no protocol.
    pub fn set(is_on: bool) -> Self {
        Self {
            setting: L2::Set(is_on),
            of_protocol: is_on,
        }
    }

    /// Whether probes are to have rows of norm 1.
    pub fn is_on(self) -> bool {
        match self.setting {
            L2::Auto => self.of_protocol,
            L2::Set(is_on) => is_on,
        }
    }

    /// Whether the pipeline file says so, and not the protocol.
    pub fn is_set(self) -> bool {
        self.setting != L2::Auto
    }
}
