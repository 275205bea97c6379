//! The families of networks: configuration and network side by side.

#[cfg(feature = "torch")]
pub mod conv;
pub mod convnext;
pub mod efficientnet;
pub mod hiera;
#[cfg(feature = "torch")]
pub mod layers;
pub mod network;
pub mod preset;
pub mod resnet;
pub mod script;
pub mod swin;
pub mod vit;
#[cfg(feature = "torch")]
pub mod windows;
