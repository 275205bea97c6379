//! What the libraries say of a checkpoint.

pub mod biobench;
pub mod catalog;
pub mod open_clip;
pub mod script;
pub mod timm;
pub mod transformers;
