//! Opens libtorch and the library that runs networks, once, when the first network is loaded.
#![expect(
    unsafe_code,
    reason = "calls into the dynamic linker and a C interface; each block says why it is sound"
)]

use std::sync::Arc;

use crate::backbone::error::Error;
use crate::backbone::run::Device;
use crate::backbone::run::wire::{Functions, Handle, LibraryError, Loaded, Request, Text};
use crate::interrupt::Interrupt;

/// The library that runs networks.
#[derive(Clone, Copy)]
pub struct Runtime {
    functions: &'static Functions,
}

/// A network in the library.
pub struct RemoteNetwork {
    runtime: Runtime,
    handle: *mut Handle,
    n_parameters: Option<u64>,
    notes: Vec<String>,
    n_values: usize,
    dim: usize,
}

// SAFETY: the library's networks may be used from several threads at once, and ended in another one than that
// which loaded them; see `Functions`.
unsafe impl Send for RemoteNetwork {}
// SAFETY: as above.
unsafe impl Sync for RemoteNetwork {}

/// Opens libtorch and the library that runs networks, unless they are open; for a CUDA `device`, CUDA's half of
/// libtorch, too.
///
/// # Errors
/// [`Error::Missing`] if one of them is not there, not the right one, or cannot be opened.
pub fn require_libtorch(device: Device) -> Result<(), Error> {
    Runtime::get(device).map(drop)
}

impl Runtime {
    /// The library, opened at the first call, which also decides whether CUDA can be used from then on: libtorch looks
    /// for it once.
    ///
    /// # Errors
    /// [`Error::Missing`] if libtorch or the library is not there, not the right one, or cannot be opened.
    pub fn get(device: Device) -> Result<Self, Error> {
        let functions = opened(device).map_err(Error::Missing)?;
        Ok(Self { functions })
    }

    /// How many CUDA devices libtorch can use.
    pub fn n_cuda_devices(self) -> usize {
        (self.functions.n_cuda_devices)()
    }

    /// Loads a network.
    ///
    /// # Errors
    /// [`Error::Library`] with the library's reason; [`Error::Stopped`] once `interrupt` asks for it.
    pub fn load(self, request: &Request, interrupt: &Interrupt) -> Result<RemoteNetwork, Error> {
        let json = serde_json::to_vec(request).map_err(|error| Error::Libtorch {
            doing: "describing a network",
            message: error.to_string(),
        })?;
        let mut handle = std::ptr::null_mut();
        let mut reply = Text::EMPTY;
        let stop = interrupt.flag();
        // SAFETY: the request's bytes, the flag and the two places live until the call ends.
        let is_loaded = unsafe {
            (self.functions.load)(
                json.as_ptr(),
                json.len(),
                Arc::as_ptr(&stop),
                &raw mut handle,
                &raw mut reply,
            )
        };
        let reply = self.take(reply);
        if !is_loaded {
            interrupt.check()?;
            return Err(failure(&reply));
        }
        let mut network = RemoteNetwork {
            runtime: self,
            handle,
            n_parameters: None,
            notes: Vec::new(),
            n_values: 3 * request.size[0] * request.size[1],
            dim: request.network.dim(),
        };
        let loaded: Loaded = serde_json::from_slice(&reply).map_err(unreadable)?;
        network.n_parameters = loaded.n_parameters;
        network.notes = loaded.notes;
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

impl RemoteNetwork {
    /// Number of features per image.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of values of an image.
    pub fn n_values(&self) -> usize {
        self.n_values
    }

    /// Number of values in the network's tensors; `None` where it is not known.
    pub fn n_parameters(&self) -> Option<u64> {
        self.n_parameters
    }

    /// What was done to make the checkpoint fit.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Features of one batch, `[b, d]`; `pixels`: `[b, 3, h, w]`.
    pub fn forward(&self, pixels: &[f32], b: usize) -> Result<Vec<f32>, Error> {
        assert_eq!(pixels.len(), b * self.n_values, "`b` whole images");
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

impl Drop for RemoteNetwork {
    fn drop(&mut self) {
        // SAFETY: the handle is the library's, and nothing uses it any more.
        unsafe { (self.runtime.functions.unload)(self.handle) };
    }
}

fn failure(reply: &[u8]) -> Error {
    match serde_json::from_slice::<LibraryError>(reply) {
        Ok(failure) => Error::Library(failure),
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
#[expect(
    clippy::unnecessary_wraps,
    reason = "without `torch` it may not be there"
)]
fn opened(_device: Device) -> Result<&'static Functions, crate::backbone::run::Missing> {
    Ok(&crate::backbone::run::library::FUNCTIONS)
}

#[cfg(not(feature = "torch"))]
use opening::opened;

#[cfg(not(feature = "torch"))]
mod opening {
    use std::ffi::CStr;
    use std::path::Path;
    use std::sync::OnceLock;

    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};

    use crate::backbone::run::find::{self, Libtorch};
    use crate::backbone::run::wire::{BUILD, Functions, SYMBOL};
    use crate::backbone::run::{Device, Missing};

    pub fn opened(device: Device) -> Result<&'static Functions, Missing> {
        static OPENED: OnceLock<Result<&'static Functions, Missing>> = OnceLock::new();
        OPENED.get_or_init(|| open(device)).clone()
    }

    fn open(device: Device) -> Result<&'static Functions, Missing> {
        let path = find::library()?;
        let libtorch = find::libtorch()?;
        // The linker knows loaded libraries by their names: ours, which asks for these two without a folder, gets
        // these. Their symbols are made known to all, as they are in a program that is linked against libtorch.
        open_half(libtorch, &libtorch.lib_dir.join("libc10.so"))?;
        open_half(libtorch, &libtorch.lib_dir.join("libtorch_cpu.so"))?;
        if let (Device::Cuda(_), Some(half)) = (device, libtorch.cuda_half()) {
            // libtorch looks for CUDA once, at its first use: what is loaded later stays unseen.
            open_half(libtorch, &half)?;
        }
        let library =
            load(&path, RTLD_NOW | RTLD_LOCAL).map_err(|problem| Missing::BrokenLibrary {
                path: path.clone(),
                problem,
                libtorch: libtorch.version.clone(),
            })?;
        functions(library, &path)
    }

    fn open_half(libtorch: &Libtorch, path: &Path) -> Result<(), Missing> {
        match load(path, RTLD_NOW | RTLD_GLOBAL) {
            Ok(_) => Ok(()),
            Err(problem) => Err(Missing::BrokenLibtorch {
                path: path.to_owned(),
                problem,
                hint: libtorch.hint_for_another(),
            }),
        }
    }

    /// Opens a library that stays: libtorch keeps pointers to it.
    ///
    /// # Errors
    /// What the dynamic linker says, which names the file.
    fn load(path: &Path, flags: i32) -> Result<&'static Library, String> {
        // SAFETY: the libraries are libtorch's and ours, whose initialisers (of C++ and Rust) are made for being loaded
        // into any program.
        match unsafe { Library::open(Some(path), flags) } {
            Ok(library) => Ok(Box::leak(Box::new(library))),
            Err(error) => {
                // The linker's own message is the cause of libloading's.
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                Err(cause.unwrap_or_else(|| error.to_string()))
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
