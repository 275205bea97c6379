//! What the program and the library that runs networks say to each other.
//!
//! The library has one symbol, [`SYMBOL`], which gives its [`Functions`]. Requests and answers are JSON; pixels and
//! features are plain f32. Program and library are built from the same sources, which [`BUILD`] proves: a library
//! of another build is refused before any other function is called.

use std::ffi::{OsString, c_char, c_void};
use std::sync::atomic::AtomicUsize;

use serde::{Deserialize, Serialize};

use crate::backbone::families::NetworkConfig;
use crate::backbone::pool::Pool;
use crate::backbone::run::{Device, Precision};
use crate::backbone::spec::{BackboneSpec, Weights};

/// The name of the library's file.
pub const FILE: &str = "libnewt_pipe.so";

/// The name of the function, without arguments, that gives the library's [`Functions`].
#[cfg(not(feature = "torch"))]
pub const SYMBOL: &str = "newt_pipe_functions";

/// The version and the digest of the sources that both sides are built from; ends with a zero.
pub const BUILD: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " ",
    env!("NEWT_PIPE_BACKBONE_SOURCES"),
    "\0"
);

/// A network in the library; seen by pointer only.
pub type Handle = c_void;

/// The functions of the library. None of them panics or unwinds into its caller.
#[repr(C)]
pub struct Functions {
    /// [`BUILD`]. It stays the first field in every version, so that it can be read in any.
    pub build: *const c_char,
    /// How many CUDA devices libtorch can use.
    pub n_cuda_devices: extern "C" fn() -> usize,
    /// Loads the network of a [`Request`], `request[..len]`. Gives true and the network, with a [`Loaded`](crate::backbone::families::Loaded) as the
    /// reply, or false with a [`Message`](crate::error::Message); that soon, where `stop` becomes other than zero meanwhile.
    pub load: unsafe extern "C" fn(
        request: *const u8,
        len: usize,
        stop: *const AtomicUsize,
        network: *mut *mut Handle,
        reply: *mut Text,
    ) -> bool,
    /// Sends `b` images, `pixels`: `[b, 3, h, w]`, through a network and writes `rows`: `[b, d]`. On the CPU it
    /// works in the thread that calls; several may call at once. Gives true, or false with a
    /// [`Message`](crate::error::Message).
    pub forward: unsafe extern "C" fn(
        network: *const Handle,
        pixels: *const f32,
        b: usize,
        rows: *mut f32,
        reply: *mut Text,
    ) -> bool,
    /// Ends a network.
    pub unload: unsafe extern "C" fn(network: *mut Handle),
    /// Frees a reply.
    pub free: unsafe extern "C" fn(reply: Text),
}

// SAFETY: `build` points to a constant of the library, which stays loaded; the rest are functions.
#[expect(unsafe_code, reason = "a pointer to a constant may be shared")]
unsafe impl Sync for Functions {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "a pointer to a constant may be sent")]
unsafe impl Send for Functions {}

/// A reply in the library's memory, which [`Functions::free`] gives back; empty where there is none.
#[repr(C)]
pub struct Text {
    pub bytes: *mut u8,
    pub len: usize,
}

impl Text {
    pub const EMPTY: Self = Self {
        bytes: std::ptr::null_mut(),
        len: 0,
    };
}

/// A network that is to be loaded.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The network's name in messages.
    pub architecture: String,
    pub network: NetworkConfig,
    /// `[h, w]` of an image.
    pub size: [usize; 2],
    pub weights: WeightsRequest,
    /// Resolved.
    pub device: Device,
    /// Resolved.
    pub precision: Precision,
}

/// [`Weights`], as they are sent: paths need not be UTF-8.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum WeightsRequest {
    Files {
        paths: Vec<OsString>,
        /// The name of a [`crate::backbone::checkpoint::tensor_names::TensorNames`].
        names: String,
        /// Whether features are pooled so that every tensor of the files is needed.
        is_own_pooling: bool,
    },
    Script(OsString),
    Random {
        seed: u64,
    },
}

impl Request {
    pub fn new(spec: &BackboneSpec, device: Device, precision: Precision) -> Self {
        Self {
            architecture: spec.architecture.clone(),
            network: spec.network,
            size: spec.preprocessing.size,
            weights: match &spec.weights {
                Weights::Files { paths, names } => WeightsRequest::Files {
                    paths: paths.iter().map(OsString::from).collect(),
                    names: names.name.to_owned(),
                    is_own_pooling: spec.pool == Pool::Auto,
                },
                Weights::Script(path) => WeightsRequest::Script(path.into()),
                Weights::Random { seed } => WeightsRequest::Random { seed: *seed },
            },
            device,
            precision,
        }
    }
}
