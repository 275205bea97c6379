//! Running a network: libtorch is found and opened when the first network is loaded, not before.
//!
//! The program is linked without libtorch, so that it starts at once and also where there is none. What calls
//! libtorch is this crate once more: built with the feature `torch` as the shared library `libnewt_pipe.so`,
//! which lies beside the program. The two are built from the same sources; what they say to each other is in
//! [`wire`].
//!
//! | file | holds |
//! | --- | --- |
//! | `device.rs` | [`Device`], [`Precision`] |
//! | `cuda.rs`, `driver.rs` | whether CUDA can be used here, and why not, without opening libtorch |
//! | `find.rs`, `python.rs` | where libtorch is: [`SearchPaths`]; Python environments |
//! | `runtime.rs` | opens libtorch and the library |
//! | `extractor.rs` | batches and threads: what makes a loaded network a [`crate::backbone::Backbone`] |
//! | `wire.rs` | requests, answers and functions of the library, which are written in `backbone/library.rs` |
//! | `placed.rs` | with the feature `torch`: a network with its weights, on its device |
//! | `libtorch.rs` | with the feature `torch`: the unsafe code that tch does not wrap |

mod cuda;
mod device;
mod driver;
mod extractor;
mod find;
#[cfg(feature = "torch")]
pub mod libtorch;
#[cfg(feature = "torch")]
pub mod placed;
mod python;
mod runtime;
pub mod wire;

pub use cuda::Choice;
pub use device::{Device, Precision};
pub use find::{SearchPaths, libtorch_version, search_libtorch_in};
pub use runtime::require_libtorch;
