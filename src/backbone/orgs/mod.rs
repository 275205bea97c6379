//! What the libraries say of a checkpoint.

pub mod architectures;
pub mod biobench;
pub mod open_clip;
pub mod timm;
pub mod torchscript;
pub mod transformers;
mod vit_base;
