//! The functions of the library that runs networks, as the program calls them.
#![expect(
    unsafe_code,
    reason = "the other side of a C interface; each block says what its caller promises"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;

use serde::Serialize;

use crate::backbone::families::torch_error::failed;
use crate::backbone::orgs::architectures;
use crate::backbone::run::libtorch;
use crate::backbone::run::placed::PlacedNetwork;
use crate::backbone::run::wire::{BUILD, Functions, Handle, Text};
use crate::error::{Error, Message};

static FUNCTIONS: Functions = Functions {
    build: BUILD.as_ptr().cast(),
    n_cuda_devices,
    load,
    forward,
    unload,
    free,
};

/// What the program finds by name in the library, and what a program that is linked against libtorch has itself; see
/// [`crate::backbone::run::wire::SYMBOL`].
// SAFETY: no other library of the process has a symbol of this name.
#[unsafe(no_mangle)]
extern "C" fn newt_pipe_functions() -> *const Functions {
    &raw const FUNCTIONS
}

extern "C" fn n_cuda_devices() -> usize {
    catch_unwind(libtorch::n_cuda_devices).unwrap_or(0)
}

unsafe extern "C" fn load(
    request: *const u8,
    len: usize,
    stop: *const AtomicUsize,
    network: *mut *mut Handle,
    reply: *mut Text,
) -> bool {
    // SAFETY: the caller gives `len` bytes that it does not change meanwhile.
    let request = unsafe { std::slice::from_raw_parts(request, len) };
    // SAFETY: the caller gives a number that lives until the call ends, and changes it as an atomic only.
    let stop = unsafe { &*stop };
    let loaded = guarded(|| {
        let request = serde_json::from_slice(request)
            .map_err(|error| failed("reading a request", &error.to_string()))?;
        PlacedNetwork::load(&request, stop, architectures::fitting)
    });
    let (text, is_loaded) = match loaded {
        Ok((placed, loaded)) => {
            // SAFETY: the caller gives a place for a pointer.
            unsafe { network.write(Box::into_raw(Box::new(placed)).cast()) };
            (text_of(&loaded), true)
        }
        Err(failure) => (text_of(&failure), false),
    };
    // SAFETY: the caller gives a place for a reply.
    unsafe { reply.write(text) };
    is_loaded
}

unsafe extern "C" fn forward(
    network: *const Handle,
    pixels: *const f32,
    b: usize,
    rows: *mut f32,
    reply: *mut Text,
) -> bool {
    // SAFETY: the caller's network is one of `load`, which it has not given to `unload`. Several threads may hold
    // it: a `PlacedNetwork` is `Sync`.
    let network = unsafe { &*network.cast::<PlacedNetwork>() };
    // SAFETY: the caller gives `b` images of the size that it has asked for.
    let pixels = unsafe { std::slice::from_raw_parts(pixels, b * network.n_values()) };
    // SAFETY: the caller gives room for `b` rows, which no one else reads or writes meanwhile.
    let rows = unsafe { std::slice::from_raw_parts_mut(rows, b * network.dim()) };
    let text = match guarded(|| network.forward(pixels, rows)) {
        Ok(()) => Text::EMPTY,
        Err(failure) => text_of(&failure),
    };
    let is_done = text.bytes.is_null();
    // SAFETY: the caller gives a place for a reply.
    unsafe { reply.write(text) };
    is_done
}

unsafe extern "C" fn unload(network: *mut Handle) {
    // SAFETY: the caller's network is one of `load`, and it does not use it again.
    let network = unsafe { Box::from_raw(network.cast::<PlacedNetwork>()) };
    let _ = catch_unwind(AssertUnwindSafe(move || drop(network)));
}

unsafe extern "C" fn free(reply: Text) {
    if !reply.bytes.is_null() {
        let bytes = std::ptr::slice_from_raw_parts_mut(reply.bytes, reply.len);
        // SAFETY: the caller's reply is one of `text_of`, which made it of a boxed slice of this length.
        drop(unsafe { Box::from_raw(bytes) });
    }
}

/// Runs what may fail or panic; a panic is an error of libtorch's caller, and no unwinding leaves the library.
fn guarded<T>(run: impl FnOnce() -> Result<T, Error>) -> Result<T, Message> {
    let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        let message = message.unwrap_or_else(|| "a panic".to_owned());
        Err(failed("loading or running a network", &message).into())
    });
    outcome.map_err(|error| Message::from(&error))
}

fn text_of(reply: &impl Serialize) -> Text {
    // Replies are structs of texts and numbers, which JSON can always hold.
    let bytes = serde_json::to_vec(reply).unwrap_or_default();
    let len = bytes.len();
    Text {
        bytes: Box::into_raw(bytes.into_boxed_slice()).cast(),
        len,
    }
}
