//! Opens libtorch and the library that runs networks, once, when the first network is loaded.
#![expect(
    unsafe_code,
    reason = "calls into the dynamic linker and a C interface; each block says why it is sound"
)]

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::backbone::families::Loaded;
use crate::backbone::families::torch_error::failed;
use crate::backbone::run::Device;
use crate::backbone::run::wire::{Functions, Handle, Request, Text};
use crate::error::{Error, Message};
use crate::interrupt::Interrupt;

/// A network in the library.
pub struct RemoteNetwork {
    functions: &'static Functions,
    handle: *mut Handle,
    /// What the library tells of it.
    pub loaded: Loaded,
    /// Number of values of an image.
    pub n_values: usize,
    /// Number of features per image.
    pub dim: usize,
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
/// If one of them is not there, not the right one, or cannot be opened.
pub fn require_libtorch(device: Device) -> Result<(), Message> {
    opened(device).map(drop)
}

impl Functions {
    /// Loads a network.
    ///
    /// # Errors
    /// The library's reason; [`crate::interrupt::Stopped`] once `interrupt` asks for it.
    pub fn load_network(
        &'static self,
        request: &Request,
        interrupt: &Interrupt,
    ) -> Result<RemoteNetwork, Error> {
        let json = serde_json::to_vec(request)
            .map_err(|error| failed("describing a network", &error.to_string()))?;
        let mut handle = std::ptr::null_mut();
        let mut reply = Text::EMPTY;
        let stop = interrupt.flag();
        // SAFETY: the request's bytes, the flag and the two places live until the call ends.
        let is_loaded = unsafe {
            (self.load)(
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
            functions: self,
            handle,
            loaded: Loaded::default(),
            n_values: 3 * request.size[0] * request.size[1],
            dim: request.network.family().dim(),
        };
        network.loaded = read(&reply)?;
        Ok(network)
    }

    /// The bytes of a reply, which is freed.
    fn take(&self, reply: Text) -> Vec<u8> {
        if reply.bytes.is_null() {
            return Vec::new();
        }
        // SAFETY: the library gives a pointer to that many bytes, which it leaves alone until they are freed.
        let bytes = unsafe { std::slice::from_raw_parts(reply.bytes, reply.len) }.to_vec();
        // SAFETY: the reply is the library's, and is not used any more.
        unsafe { (self.free)(reply) };
        bytes
    }
}

impl RemoteNetwork {
    /// Features of one batch, `[b, d]`; `pixels`: `[b, 3, h, w]`.
    pub fn forward(&self, pixels: &[f32], b: usize) -> Result<Vec<f32>, Error> {
        assert_eq!(pixels.len(), b * self.n_values, "`b` whole images");
        let mut rows = vec![0.0; b * self.dim];
        let mut reply = Text::EMPTY;
        // SAFETY: the network is not ended before `self` is dropped; `pixels` holds `b` images of the size that was
        // asked for, `rows` has room for `b` rows, and both live until the call ends.
        let is_done = unsafe {
            (self.functions.forward)(
                self.handle,
                pixels.as_ptr(),
                b,
                rows.as_mut_ptr(),
                &raw mut reply,
            )
        };
        let reply = self.functions.take(reply);
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
        unsafe { (self.functions.unload)(self.handle) };
    }
}

/// The error that a reply holds.
fn failure(reply: &[u8]) -> Error {
    read::<Message>(reply)
        .unwrap_or_else(|unreadable| unreadable)
        .into()
}

fn read<T: DeserializeOwned>(reply: &[u8]) -> Result<T, Message> {
    serde_json::from_slice(reply).map_err(|error| failed("reading an answer", &error.to_string()))
}

/// With the feature `torch` this program is linked against libtorch, and the library's functions are its own.
#[cfg(feature = "torch")]
#[expect(
    clippy::unnecessary_wraps,
    reason = "without `torch` it may not be there"
)]
pub fn opened(_device: Device) -> Result<&'static Functions, Message> {
    unsafe extern "C" {
        /// See [`crate::backbone::run::wire::SYMBOL`].
        fn newt_pipe_functions() -> *const Functions;
    }
    // SAFETY: the function is this crate's, and gives a pointer to a constant.
    Ok(unsafe { &*newt_pipe_functions() })
}

#[cfg(not(feature = "torch"))]
pub use opening::opened;

#[cfg(not(feature = "torch"))]
mod opening {
    use std::ffi::CStr;
    use std::path::Path;
    use std::sync::OnceLock;

    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};

    use crate::backbone::run::Device;
    use crate::backbone::run::find::{self, INSTALL_AGAIN, Libtorch, VERSION};
    use crate::backbone::run::wire::{BUILD, Functions, SYMBOL};
    use crate::error::Message;
    use crate::text::{self, foreign, said};

    /// The library's functions, opened at the first call, which also decides whether CUDA can be used from then on:
    /// libtorch looks for it once.
    ///
    /// # Errors
    /// If libtorch or the library is not there, not the right one, or cannot be opened.
    pub fn opened(device: Device) -> Result<&'static Functions, Message> {
        static OPENED: OnceLock<Result<&'static Functions, Message>> = OnceLock::new();
        OPENED.get_or_init(|| open(device)).clone()
    }

    fn open(device: Device) -> Result<&'static Functions, Message> {
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
        let library = load(&path, RTLD_NOW | RTLD_LOCAL).map_err(|broken| {
            broken.hint(format!(
                "newt-pipe is built for libtorch {VERSION}.0, and this one is {}: install PyTorch {VERSION}.0 if it is \
                 another, else newt-pipe again",
                libtorch.version
            ))
        })?;
        functions(library, &path)
    }

    fn open_half(libtorch: &Libtorch, path: &Path) -> Result<(), Message> {
        match load(path, RTLD_NOW | RTLD_GLOBAL) {
            Ok(_) => Ok(()),
            Err(broken) => Err(broken.hint(libtorch.hint_for_another())),
        }
    }

    /// Opens a library that stays: libtorch keeps pointers to it.
    ///
    /// # Errors
    /// What the dynamic linker says.
    fn load(path: &Path, flags: i32) -> Result<&'static Library, Message> {
        // SAFETY: the libraries are libtorch's and ours, whose initialisers (of C++ and Rust) are made for being loaded
        // into any program.
        match unsafe { Library::open(Some(path), flags) } {
            Ok(library) => Ok(Box::leak(Box::new(library))),
            Err(error) => {
                // The linker's own message is the cause of libloading's.
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let (path, problem) =
                    (text::path(path), cause.unwrap_or_else(|| error.to_string()));
                let text = format!("{path}: cannot be opened: {}", said(&problem));
                Err(Message::machine(text))
            }
        }
    }

    /// The library's functions, if it is of this build.
    fn functions(library: &Library, path: &Path) -> Result<&'static Functions, Message> {
        // SAFETY: in every build the symbol is a function without arguments that gives such a pointer.
        let symbol =
            unsafe { library.get::<extern "C" fn() -> *const Functions>(SYMBOL.as_bytes()) };
        let other = |found: &str| {
            let (path, found) = (text::path(path), foreign(found));
            let expected = BUILD.trim_end_matches('\0');
            let text = format!("{path}: built as `{found}`, this program as `{expected}`");
            Message::machine(text).hint(INSTALL_AGAIN)
        };
        let functions = symbol.map_err(|_| other("another library"))?();
        // SAFETY: in every build the first field is the build's name, which ends with a zero; nothing else is read
        // before it is known that the fields are those of this build.
        let build = unsafe { CStr::from_ptr((*functions.cast::<Named>()).build) };
        if build.to_bytes_with_nul() == BUILD.as_bytes() {
            // SAFETY: both sides are built from the same sources, and the library stays loaded.
            Ok(unsafe { &*functions })
        } else {
            Err(other(&build.to_string_lossy()))
        }
    }

    /// The part of [`Functions`] that every build has.
    #[repr(C)]
    struct Named {
        build: *const std::ffi::c_char,
    }
}
