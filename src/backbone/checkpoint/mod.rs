//! A checkpoint's files: configuration, tensors and their published names; weights drawn from a seed.

pub mod fields;
pub mod layout;
#[cfg(feature = "torch")]
pub mod random;
#[cfg(feature = "torch")]
pub mod weights;
