//! A TorchScript module on libtorch.

use std::io::Read;
use std::path::{Path, PathBuf};

use tch::{CModule, Device, IValue, Kind, TchError, Tensor};

use crate::backbone::error::{Error, ScriptFault, libtorch, ran_out_of_memory};
use crate::backbone::families::layers::as_i64;
use crate::backbone::families::script::ScriptConfig;
use crate::files;

/// A module, and what it is to give.
pub struct Script {
    path: PathBuf,
    module: CModule,
    dim: usize,
    /// Whether it runs under autocast.
    in_half: bool,
}

impl Script {
    /// Loads a module for images of `[h, w]` pixels, which runs no code yet.
    pub fn load(
        path: &Path,
        config: ScriptConfig,
        size: [usize; 2],
        device: Device,
        precision: Kind,
    ) -> Result<Self, Error> {
        let fault = |fault| Error::Script {
            path: path.to_owned(),
            fault: Box::new(fault),
        };
        // tch knows autocast to f16 on CUDA only.
        let in_half = match (precision, device) {
            (Kind::Float, _) => false,
            (Kind::Half, Device::Cuda(_)) => true,
            _ => return Err(fault(ScriptFault::Precision)),
        };
        let mut module = CModule::load_on_device(path, device).map_err(|error| {
            let images = [4, 3, as_i64(size[0]), as_i64(size[1])];
            match libtorch::message(&error) {
                message if ran_out_of_memory(&message) => loading(&error),
                message if is_saved(path, &message) => fault(ScriptFault::Saved { images }),
                message => fault(ScriptFault::Unloadable { message, images }),
            }
        })?;
        module.f_set_eval().map_err(|error| loading(&error))?;
        Ok(Self {
            path: path.to_owned(),
            module,
            dim: config.dim,
            in_half,
        })
    }

    /// `images`: `[b, 3, h, w]` f32. Gives `[b, d]`.
    pub fn forward(&self, images: &Tensor) -> Result<Tensor, Error> {
        let shape: [i64; 4] = images.size().try_into().unwrap_or_default();
        let fault = |fault| Error::Script {
            path: self.path.clone(),
            fault: Box::new(fault),
        };
        let input = [IValue::Tensor(images.shallow_clone())];
        let output = tch::autocast(self.in_half, || self.module.forward_is(&input));
        let output = output.map_err(|error| match libtorch::message(&error) {
            message if ran_out_of_memory(&message) => {
                Error::libtorch("running a TorchScript module", &error)
            }
            message => fault(ScriptFault::Failed {
                message,
                images: shape,
            }),
        })?;
        let expected = [shape[0], as_i64(self.dim)];
        match output {
            IValue::Tensor(features) if features.size() == expected => Ok(features),
            IValue::Tensor(features) => Err(fault(ScriptFault::Shape {
                found: features.size(),
                dim: expected[1],
                images: shape,
            })),
            other => {
                let (kind, parts) = parts(other);
                let shapes: Vec<_> = parts
                    .iter()
                    .map(|(index, shape)| format!("{index} {shape:?}"))
                    .collect();
                let best =
                    |(_, shape): &&(String, Vec<i64>)| (*shape == expected, shape.len() == 2);
                let found = match shapes.as_slice() {
                    [] => kind.to_owned(),
                    shapes => format!("{kind} ({})", shapes.join(", ")),
                };
                Err(fault(ScriptFault::Output {
                    found,
                    // Of equals the first.
                    part: parts.iter().rev().max_by_key(best).cloned(),
                    dim: expected[1],
                    images: shape,
                }))
            }
        }
    }
}

fn loading(error: &TchError) -> Error {
    Error::libtorch("loading a TorchScript module", error)
}

/// Whether a file that libtorch refused with `message` is of `torch.save` or `torch.export`: an archive without code,
/// or, of PyTorch before 1.6, a bare pickle.
fn is_saved(path: &Path, message: &str) -> bool {
    let mut start = [0];
    let is_read = files::open(path).and_then(|mut file| file.read_exact(&mut start));
    message.contains("constants.pkl") || (is_read.is_ok() && start == [0x80])
}

/// What a module gives instead of a tensor: its kind, and Python's index and the shape of each tensor in it.
fn parts(value: IValue) -> (&'static str, Vec<(String, Vec<i64>)>) {
    let numbered = |values: Vec<IValue>| {
        let indices = (0..values.len()).map(|i| format!("[{i}]"));
        indices.zip(values).collect()
    };
    let (kind, values): (_, Vec<(String, IValue)>) = match value {
        IValue::Tuple(values) => ("a tuple", numbered(values)),
        IValue::GenericList(values) => ("a list", numbered(values)),
        IValue::TensorList(tensors) => {
            let values = tensors.into_iter().map(IValue::Tensor).collect();
            ("a list", numbered(values))
        }
        IValue::GenericDict(entries) => {
            let entry = |(key, value)| match key {
                IValue::String(key) => Some((format!("[{key:?}]"), value)),
                _ => None,
            };
            ("a dict", entries.into_iter().filter_map(entry).collect())
        }
        _ => ("something that is no tensor", Vec::new()),
    };
    let shape = |(index, value)| match value {
        IValue::Tensor(tensor) => Some((index, tensor.size())),
        _ => None,
    };
    (kind, values.into_iter().filter_map(shape).collect())
}
