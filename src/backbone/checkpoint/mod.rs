//! A checkpoint's files: configuration, tensors and their published names; weights drawn from a seed.

pub mod fields;
pub mod files;
pub mod json;
pub mod location;
pub mod pickle;
#[cfg(feature = "torch")]
pub mod random;
pub mod tensor_names;
#[cfg(feature = "torch")]
pub mod weights;

/// What to do about a file that is not as its library writes it.
pub const AS_PUBLISHED: &str = "take the file as the checkpoint's publisher wrote it";

/// The ways out for networks that are not written here.
pub const WAYS_OUT: &str = "trace the network in Python, `torch.jit.trace(model.eval(), torch.zeros(4, 3, 224, 224)).save(\"model.pt\")`, \
     and use `org = \"torchscript\"`, or extract its features there and use `org = \"precomputed\"`";
