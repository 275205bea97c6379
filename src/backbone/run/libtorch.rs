//! The unsafe code: what libtorch needs before it is used, and what tch does not wrap.
#![expect(
    unsafe_code,
    reason = "calls into libtorch; each block says why it is sound"
)]

use std::sync::Once;

use tch::{Device, Kind, TchError, Tensor};

/// A copy of `values` on `device`, of shape `shape`.
pub fn copied(values: &[f32], shape: [i64; 4], device: Device) -> Result<Tensor, TchError> {
    if device == Device::Cpu {
        return Tensor::f_from_slice(values)?.f_reshape(shape);
    }
    let n: i64 = shape.iter().product();
    assert_eq!(usize::try_from(n), Ok(values.len()), "values of the shape");
    // Not by way of a second copy on this side, during which the GPU would wait.
    //
    // SAFETY: `values` has as many values as the shape, and `lent` is dropped before it can be. Nothing writes to
    // `lent`: it is only copied, which libtorch waits for.
    let lent = unsafe {
        Tensor::f_from_blob(
            values.as_ptr().cast(),
            &shape,
            &[],
            Kind::Float,
            Device::Cpu,
        )
    }?;
    lent.f_to_device(device)
}

/// How many CUDA devices libtorch can use.
pub fn n_cuda_devices() -> usize {
    initialize();
    usize::try_from(tch::Cuda::device_count()).unwrap_or(0)
}

/// Prepares libtorch for its first use: every use of tch in `backbone` comes after it.
pub fn initialize() {
    static PREPARED: Once = Once::new();
    PREPARED.call_once(forbid_tf32);
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
