//! The unsafe code: what libtorch needs before it is used, and what tch does not wrap.
#![expect(
    unsafe_code,
    reason = "calls into libtorch and the dynamic linker; each block says why it is sound"
)]

use std::ops::Deref;
use std::sync::OnceLock;

use tch::Tensor;

/// A network's weights: a tensor that is read from several threads at once and never written.
pub(super) struct Parameter(Tensor);

// SAFETY: a tch tensor is a pointer to a C++ `at::Tensor`, whose reference count is atomic and whose `const`
// member functions may run at the same time. tch's functions that write to a tensor take `&mut self` (but for
// `set_data` and those of autograd, which `backbone` does not call), and a `Parameter` gives out `&Tensor` only.
unsafe impl Sync for Parameter {}

impl Parameter {
    pub(super) fn new(tensor: Tensor) -> Self {
        Self(tensor)
    }
}

impl Deref for Parameter {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        &self.0
    }
}

/// Why CUDA's half of libtorch could not be loaded, once that was tried.
static CUDA: OnceLock<Result<(), String>> = OnceLock::new();

/// How many CUDA devices libtorch sees, or why its CUDA half cannot be loaded.
pub(super) fn n_cuda_devices() -> Result<usize, String> {
    CUDA.get_or_init(start).clone()?;
    Ok(usize::try_from(tch::Cuda::device_count()).unwrap_or(0))
}

/// Prepares libtorch for its first use: every use of tch in `backbone` comes after it.
pub(super) fn initialize() {
    CUDA.get_or_init(start);
}

fn start() -> Result<(), String> {
    // libtorch looks for CUDA once, at its first use: what is loaded later stays unseen.
    let loaded = load_cuda();
    forbid_tf32();
    loaded
}

/// Loads `libtorch_cuda.so` by the search path of this program.
///
/// The program is linked against the CPU's half only, so that it starts on machines without CUDA.
fn load_cuda() -> Result<(), String> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: the library's initialisers register CUDA's kernels with libtorch, which is made for that: a
    // program linked against both halves runs the same initialisers.
    let library = unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) };
    match library {
        Ok(library) => {
            // Kernels are called through pointers that libtorch keeps: the library must stay.
            std::mem::forget(library);
            Ok(())
        }
        Err(error) => {
            // The linker's own message, which names the file, is the cause of libloading's.
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            Err(format!(
                "no CUDA half: {}",
                cause.unwrap_or_else(|| error.to_string())
            ))
        }
    }
}

/// Makes f32 mean f32: neither products nor convolutions on CUDA may drop mantissa bits.
///
/// libtorch's default differs between the two and can be changed by the environment.
fn forbid_tf32() {
    // SAFETY: the symbols are those of `at::globalContext()`, `at::Context::setAllowTF32CuBLAS(bool)` and
    // `at::Context::setAllowTF32CuDNN(bool)` in the Itanium C++ ABI, under which a member function takes its
    // object as first argument; another libtorch than the pinned one would fail to link. The context lives as
    // long as the program, and both functions only store a setting.
    unsafe {
        let context = at_global_context();
        at_context_set_allow_tf32_cublas(context, false);
        at_context_set_allow_tf32_cudnn(context, false);
    }
}

/// C++'s `at::Context`, seen by pointer only.
#[repr(C)]
struct Context {
    opaque: [u8; 0],
}

unsafe extern "C-unwind" {
    #[link_name = "_ZN2at13globalContextEv"]
    fn at_global_context() -> *mut Context;
    #[link_name = "_ZN2at7Context18setAllowTF32CuBLASEb"]
    fn at_context_set_allow_tf32_cublas(context: *mut Context, allow: bool);
    #[link_name = "_ZN2at7Context17setAllowTF32CuDNNEb"]
    fn at_context_set_allow_tf32_cudnn(context: *mut Context, allow: bool);
}
