//! Which backbone gave feature rows, as files of features and of probes say it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cache::{Digest, Key, Request};

/// A backbone: its name, and all that decides its features besides the image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackboneId {
    /// The library that defines the model.
    pub org: String,
    /// The checkpoint, in that library's words.
    pub ckpt: String,
    /// The key that its features have in a cache.
    pub key: Key,
    /// What the key was made of: network, preprocessing, precision.
    pub params: BTreeMap<String, Value>,
    /// And the weights, by digest.
    pub inputs: BTreeMap<String, Digest>,
}

impl BackboneId {
    /// The backbone `org`/`ckpt` whose features are kept under the key of `request`.
    pub fn new(org: &str, ckpt: &str, request: &Request) -> Self {
        Self {
            org: org.to_owned(),
            ckpt: ckpt.to_owned(),
            key: request.key,
            params: request.params.clone(),
            inputs: request.inputs.clone(),
        }
    }
}
