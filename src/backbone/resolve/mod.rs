//! From the user's `org` and `ckpt` to a network, its preprocessing and its weights.

pub mod folder;
pub mod prefix;
pub mod published;
pub mod spec;
