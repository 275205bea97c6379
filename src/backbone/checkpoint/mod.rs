//! A checkpoint's files: configuration, tensors and their published names; weights drawn from a seed.

pub mod fields;
pub mod files;
pub mod layout;
pub mod location;
#[cfg(feature = "torch")]
pub mod random;
#[cfg(feature = "torch")]
pub mod weights;
