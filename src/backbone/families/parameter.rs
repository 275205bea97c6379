//! A network's weights on libtorch.
#![expect(
    unsafe_code,
    reason = "tch does not say that tensors may be read at once"
)]

use std::ops::Deref;

use tch::Tensor;

/// A network's weights: a tensor that is read from several threads at once and never written.
pub struct Parameter(Tensor);

// SAFETY: a tch tensor is a pointer to a C++ `at::Tensor`, whose reference count is atomic and whose `const`
// member functions may run at the same time. tch's functions that write to a tensor take `&mut self` (but for
// `set_data` and those of autograd, which `backbone` does not call), and a `Parameter` gives out `&Tensor` only.
unsafe impl Sync for Parameter {}

impl Parameter {
    pub fn new(tensor: Tensor) -> Self {
        Self(tensor)
    }
}

impl Deref for Parameter {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        &self.0
    }
}
