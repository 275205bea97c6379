//! A TorchScript module on libtorch.

use std::path::Path;

use tch::{CModule, Device, Kind, TchError, Tensor};

use super::ScriptConfig;
use crate::backbone::error::Error;
use crate::backbone::run::Network;

/// A module, and what it is to give.
struct Script {
    module: CModule,
    dim: usize,
    /// Whether it runs under autocast.
    in_half: bool,
}

/// Loads a module, which runs no code yet.
pub(in crate::backbone) fn load(
    path: &Path,
    config: ScriptConfig,
    device: Device,
    precision: Kind,
) -> Result<Box<dyn Network>, Error> {
    // tch knows autocast to f16 on CUDA only.
    let in_half = match (precision, device) {
        (Kind::Float, _) => false,
        (Kind::Half, Device::Cuda(_)) => true,
        _ => {
            return Err(Error::ScriptPrecision {
                path: path.to_owned(),
            });
        }
    };
    let mut module = CModule::load_on_device(path, device)
        .map_err(|error| Error::libtorch("loading a TorchScript module", &error))?;
    module
        .f_set_eval()
        .map_err(|error| Error::libtorch("preparing a TorchScript module", &error))?;
    Ok(Box::new(Script {
        module,
        dim: config.dim,
        in_half,
    }))
}

impl Network for Script {
    fn forward(&self, images: &Tensor) -> Result<Tensor, TchError> {
        let features = tch::autocast(self.in_half, || {
            self.module.forward_ts(&[images.shallow_clone()])
        })?;
        let (found, b) = (features.size(), images.size()[0]);
        if found != [b, super::super::layers::as_i64(self.dim)] {
            return Err(TchError::Torch(format!(
                "the module gives features of shape {found:?}, expected [{b}, {}]",
                self.dim
            )));
        }
        Ok(features)
    }
}
