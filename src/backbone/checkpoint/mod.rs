//! A checkpoint's files: configuration, tensors and their published names; weights drawn from a seed.

pub mod fields;
pub mod files;
pub mod location;
#[cfg(feature = "torch")]
pub mod random;
pub mod tensor_names;
#[cfg(feature = "torch")]
pub mod weights;
