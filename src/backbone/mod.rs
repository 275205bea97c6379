//! Frozen networks: pixels in, one feature row per image out. The only user of libtorch.
//!
//! | file | holds |
//! | --- | --- |
//! | `spec.rs` | [`BackboneSpec`]: from the user's `org` and `ckpt` to a network, its preprocessing and its weights |
//! | `catalog.rs` | one row per known architecture |
//! | `timm.rs`, `pretrained_cfg.rs`, `fields.rs` | checkpoints in timm's layout: `config.json` |
//! | `vit_config.rs` | what decides a Vision Transformer's tensors and results |
//! | `device.rs` | [`Device`], [`Precision`] |
//! | `weights.rs` | strict loader of safetensors files |
//! | `random.rs` | weights drawn from a seed |
//! | `layers.rs`, `vit.rs` | the networks, on libtorch |
//! | `extractor.rs` | batches, threads, precision: what makes a network a [`Backbone`] |
//! | `libtorch.rs` | the unsafe code: CUDA's half of libtorch, TF32 |
//!
//! Without the feature `torch` checkpoints can be resolved but not loaded.
//!
//! # The same image, the same feature
//!
//! libtorch may choose another order of summation for another number of threads or another batch. On the CPU
//! each network therefore always sees the same number of images, in one thread of libtorch; several such
//! batches run side by side. An image's feature does not depend on its neighbours, on the size of the
//! caller's batches, or on the number of threads. Another kind of CPU may round differently.
//!
//! On CUDA the caller's batch goes through the network as it is.

mod catalog;
mod device;
mod error;
#[cfg(feature = "torch")]
mod extractor;
mod fields;
#[cfg(feature = "torch")]
mod layers;
#[cfg(feature = "torch")]
mod libtorch;
mod pretrained_cfg;
#[cfg(feature = "torch")]
mod random;
mod spec;
mod timm;
#[cfg(feature = "torch")]
mod vit;
mod vit_config;
#[cfg(feature = "torch")]
mod weights;

pub use catalog::architectures;
pub use device::{Device, Precision};
pub use error::Error;
pub use spec::BackboneSpec;

/// A frozen network with its weights, ready to turn images into features.
pub trait Backbone: Send + Sync {
    /// Number of features per image.
    fn dim(&self) -> usize;

    /// The features of `n` images, `[n, d]` f32, as the network gives them (not L2-normalised).
    ///
    /// `pixels`: `[n, 3, h, w]` f32, as the checkpoint's preprocessing makes them.
    ///
    /// # Errors
    /// [`Error::Pixels`] if `pixels` has another length; [`Error::Libtorch`] if libtorch fails, mostly for
    /// want of memory.
    fn extract(&self, pixels: &[f32], n: usize) -> Result<Vec<f32>, Error>;
}
