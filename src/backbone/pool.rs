//! The choice `model.pool`: how what a network computes of an image becomes one row of features.
//!
//! What each choice means for a network is in [`crate::backbone::families::poolings`].

use serde::Serialize;
use strum::{Display, EnumIter, EnumString, IntoEnumIterator};

use crate::error::Message;
use crate::text::{either, foreign};

/// How what a network computes of an image becomes one row of features.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Display,
    EnumIter,
    EnumString,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
)]
#[strum(serialize_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// As `BioBench` does it for the model's org.
    #[default]
    Auto,
    /// The class token, behind the last norm.
    Cls,
    /// The mean over patches, behind the last norm, or over the positions of the last map.
    Mean,
    /// The maximum over patches, behind the last norm, or over the positions of the last map.
    Max,
    /// What the model's library gives its last linear layer: timm's `forward_head(pre_logits=True)`.
    Head,
}

impl Pool {
    /// Every choice, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// The error for a choice that `model` does not have, which has those of `available`.
    pub fn unavailable(self, model: &str, available: impl IntoIterator<Item = Self>) -> Message {
        let (model, available) = (
            foreign(model),
            either(available.into_iter().map(|pool| pool.to_string())),
        );
        Message::request(format!("`model.pool`: `{model}` has no pooling `{self}`"))
            .hint(format!("set `model.pool` to {available}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_as_they_are_written() {
        for pool in Pool::all() {
            assert_eq!(pool.to_string().parse(), Ok(pool));
            assert_eq!(serde_json::json!(pool), pool.to_string());
        }
    }
}
