//! Opens libtorch and the library that runs networks, once, when the first network is loaded.
#![expect(
    unsafe_code,
    reason = "calls into the dynamic linker and a C interface; each block says why it is sound"
)]

use super::wire::{Failure, Functions, Handle, Loaded, Request, Text};
use crate::backbone::error::Error;

/// The library that runs networks.
#[derive(Clone, Copy)]
pub(super) struct Runtime {
    functions: &'static Functions,
}

/// A network in the library.
pub(super) struct LoadedNetwork {
    runtime: Runtime,
    handle: *mut Handle,
    n_parameters: Option<u64>,
    n_values: usize,
    dim: usize,
}

// SAFETY: the library's networks may be used from several threads at once, and ended in another one than that
// which loaded them; see `Functions`.
unsafe impl Send for LoadedNetwork {}
// SAFETY: as above.
unsafe impl Sync for LoadedNetwork {}

/// Opens libtorch and the library that runs networks, unless they are open.
///
/// # Errors
/// [`Error::Missing`] if one of them is not there, not the right one, or cannot be opened.
pub fn require_libtorch() -> Result<(), Error> {
    Runtime::get().map(drop)
}

impl Runtime {
    /// The library, opened at the first call.
    ///
    /// # Errors
    /// [`Error::Missing`] if libtorch or the library is not there, not the right one, or cannot be opened.
    pub(super) fn get() -> Result<Self, Error> {
        let functions = opened().map_err(Error::Missing)?;
        Ok(Self { functions })
    }

    /// How many CUDA devices libtorch can use.
    pub(super) fn n_cuda_devices(self) -> usize {
        (self.functions.n_cuda_devices)()
    }

    pub(super) fn load(self, request: &Request) -> Result<LoadedNetwork, Error> {
        let json = serde_json::to_vec(request).map_err(|error| Error::Libtorch {
            doing: "describing a network",
            message: error.to_string(),
        })?;
        let mut handle = std::ptr::null_mut();
        let mut reply = Text::EMPTY;
        // SAFETY: the request's bytes and the two places live until the call ends.
        let is_loaded = unsafe {
            (self.functions.load)(json.as_ptr(), json.len(), &raw mut handle, &raw mut reply)
        };
        let reply = self.take(reply);
        if !is_loaded {
            return Err(failure(&reply));
        }
        let mut network = LoadedNetwork {
            runtime: self,
            handle,
            n_parameters: None,
            n_values: 3 * request.size[0] * request.size[1],
            dim: request.network.dim(),
        };
        let loaded: Loaded = serde_json::from_slice(&reply).map_err(unreadable)?;
        network.n_parameters = loaded.n_parameters;
        Ok(network)
    }

    /// The bytes of a reply, which is freed.
    fn take(self, reply: Text) -> Vec<u8> {
        if reply.bytes.is_null() {
            return Vec::new();
        }
        // SAFETY: the library gives a pointer to that many bytes, which it leaves alone until they are freed.
        let bytes = unsafe { std::slice::from_raw_parts(reply.bytes, reply.len) }.to_vec();
        // SAFETY: the reply is the library's, and is not used any more.
        unsafe { (self.functions.free)(reply) };
        bytes
    }
}

impl LoadedNetwork {
    /// Number of features per image.
    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// Number of values of an image.
    pub(super) fn n_values(&self) -> usize {
        self.n_values
    }

    /// Number of values in the network's tensors; `None` where it is not known.
    pub(super) fn n_parameters(&self) -> Option<u64> {
        self.n_parameters
    }

    /// Features of one batch, `[b, d]`; `pixels`: `[b, 3, h, w]`.
    pub(super) fn forward(&self, pixels: &[f32], b: usize) -> Result<Vec<f32>, Error> {
        debug_assert_eq!(pixels.len(), b * self.n_values);
        let mut rows = vec![0.0; b * self.dim];
        let mut reply = Text::EMPTY;
        // SAFETY: the network is not ended before `self` is dropped; `pixels` holds `b` images of the size that was
        // asked for, `rows` has room for `b` rows, and both live until the call ends.
        let is_done = unsafe {
            (self.runtime.functions.forward)(
                self.handle,
                pixels.as_ptr(),
                b,
                rows.as_mut_ptr(),
                &raw mut reply,
            )
        };
        let reply = self.runtime.take(reply);
        if is_done {
            Ok(rows)
        } else {
            Err(failure(&reply))
        }
    }
}

impl Drop for LoadedNetwork {
    fn drop(&mut self) {
        // SAFETY: the handle is the library's, and nothing uses it any more.
        unsafe { (self.runtime.functions.unload)(self.handle) };
    }
}

fn failure(reply: &[u8]) -> Error {
    match serde_json::from_slice::<Failure>(reply) {
        Ok(failure) => Error::Failure(failure),
        Err(error) => unreadable(error),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` gives")]
fn unreadable(error: serde_json::Error) -> Error {
    Error::Libtorch {
        doing: "reading an answer",
        message: error.to_string(),
    }
}

/// With the feature `torch` this program is linked against libtorch, and the library's functions are its own.
#[cfg(feature = "torch")]
fn opened() -> Result<&'static Functions, super::Missing> {
    Ok(&super::library::FUNCTIONS)
}

#[cfg(not(feature = "torch"))]
use opening::opened;

#[cfg(not(feature = "torch"))]
mod opening {
    use std::ffi::CStr;
    use std::path::Path;
    use std::sync::OnceLock;

    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};

    use super::super::wire::{BUILD, Functions, SYMBOL};
    use super::super::{Missing, cuda, find};

    pub(super) fn opened() -> Result<&'static Functions, Missing> {
        static OPENED: OnceLock<Result<&'static Functions, Missing>> = OnceLock::new();
        OPENED.get_or_init(open).clone()
    }

    fn open() -> Result<&'static Functions, Missing> {
        let path = find::library()?;
        let libtorch = find::libtorch()?;
        // Opened by path and for all: our library, which names them without a folder, finds them loaded.
        for name in ["libc10.so", "libtorch_cpu.so"] {
            load(&libtorch.lib_dir.join(name), RTLD_NOW | RTLD_GLOBAL)?;
        }
        // libtorch looks for CUDA once, at its first use: what is loaded later stays unseen.
        if let (Some(half), Ok(_)) = (libtorch.cuda_half(), cuda::cuda()) {
            load(&half, RTLD_NOW | RTLD_GLOBAL)?;
        }
        let library = load(&path, RTLD_NOW | RTLD_LOCAL)?;
        functions(library, &path)
    }

    /// Opens a library that stays: libtorch keeps pointers to it.
    fn load(path: &Path, flags: i32) -> Result<&'static Library, Missing> {
        // SAFETY: the libraries are libtorch's, whose initialisers are made for being loaded into any program, and our
        // own, which has none.
        match unsafe { Library::open(Some(path), flags) } {
            Ok(library) => Ok(Box::leak(Box::new(library))),
            Err(error) => {
                // The linker's own message, which names the file, is the cause of libloading's.
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                Err(Missing::NotOpened {
                    path: path.to_owned(),
                    problem: cause.unwrap_or_else(|| error.to_string()),
                })
            }
        }
    }

    /// The library's functions, if it is of this build.
    fn functions(library: &Library, path: &Path) -> Result<&'static Functions, Missing> {
        // SAFETY: in every build the symbol is a function without arguments that gives such a pointer.
        let symbol =
            unsafe { library.get::<extern "C" fn() -> *const Functions>(SYMBOL.as_bytes()) };
        let other = |found: String| Missing::OtherBuild {
            path: path.to_owned(),
            found,
            expected: BUILD.trim_end_matches('\0').to_owned(),
        };
        let functions = symbol.map_err(|_| other("another library".to_owned()))?();
        // SAFETY: in every build the first field is the build's name, which ends with a zero; nothing else is read
        // before it is known that the fields are those of this build.
        let build = unsafe { CStr::from_ptr((*functions.cast::<Named>()).build) };
        if build.to_bytes_with_nul() == BUILD.as_bytes() {
            // SAFETY: both sides are built from the same sources, and the library stays loaded.
            Ok(unsafe { &*functions })
        } else {
            Err(other(build.to_string_lossy().into_owned()))
        }
    }

    /// The part of [`Functions`] that every build has.
    #[repr(C)]
    struct Named {
        build: *const std::ffi::c_char,
    }
}
