//! Frozen networks: pixels in, one feature row per image out. The only user of libtorch.
//!
//! | room | holds |
//! | --- | --- |
//! | `resolve/` | [`resolve()`]: from the user's `org` and `ckpt` to a [`BackboneSpec`] |
//! | `orgs/` | what timm, `open_clip`, transformers, `BioBench` and `TorchScript` say of a checkpoint |
//! | `families/` | a family each: its configuration, and in the folder of the same name its network on libtorch |
//! | `checkpoint/` | a checkpoint's files: configuration, tensors, their published names; weights drawn from a seed |
//! | `run/` | devices, and what runs a network: libtorch, opened when the first one is loaded |
//! | `pool.rs` | [`Pool`]: how what a network computes of an image becomes one row |
//! | `library.rs` | with the feature `torch`: the library that `run` opens |
//!
//! Each room knows those below it only; `run/` is on the side.
//!
//! The networks themselves are built with the feature `torch`, into the library that `run` opens.
//!
//! # The same image, the same feature
//!
//! libtorch may choose another order of summation for another number of threads or another batch. On the CPU
//! each network therefore always sees the same number of images, in one thread of libtorch; several such
//! batches run side by side. An image's feature does not depend on the number of threads, nor in most networks on the
//! caller's batches: in few, its place among the four decides the last bits (EfficientNet-B0: of a quarter of the
//! values, by up to 7e-7 of the largest). Another kind of CPU may round differently.
//!
//! On CUDA the caller's batch goes through the network as it is.

pub mod checkpoint;
pub mod families;
#[cfg(test)]
mod fuzz;
#[cfg(feature = "torch")]
mod library;
pub mod orgs;
pub mod pool;
pub mod resolve;
pub mod run;
pub mod spec;

pub use checkpoint::files::Origin;
pub use checkpoint::location::Lookup;
pub use orgs::architectures::architectures;
pub use pool::Pool;
pub use resolve::availability::availability;
pub use resolve::resolve;
pub use run::{
    Choice, Device, Precision, SearchPaths, libtorch_version, require_libtorch, search_libtorch_in,
};
pub use spec::BackboneSpec;

use crate::error::Error;
use crate::hub;

/// Whether a checkpoint is on the hub, which was not to be asked.
pub fn is_to_fetch(error: &Error) -> bool {
    hub::kind(error) == Some(hub::Kind::NotHere)
}

/// A frozen network with its weights, ready to turn images into features.
pub trait Backbone: Send + Sync {
    /// Number of features per image.
    fn dim(&self) -> usize;

    /// Number of values in the network's tensors; `None` where it is not known.
    fn n_parameters(&self) -> Option<u64>;

    /// What was done, as its library does it, to make the checkpoint's weights fit the network; one line each.
    fn notes(&self) -> &[String];

    /// The features of `n` images, `[n, d]` f32, as the network gives them (not L2-normalised).
    ///
    /// `pixels`: `[n, 3, h, w]` f32, as the checkpoint's preprocessing makes them.
    ///
    /// # Errors
    /// If `pixels` has another length; if libtorch fails, mostly for want of memory;
    /// [`Stopped`](crate::interrupt::Stopped) once the interrupt that it was loaded with asks for it, which is looked at
    /// before each pass through the network.
    fn extract(&self, pixels: &[f32], n: usize) -> Result<Vec<f32>, Error>;
}
