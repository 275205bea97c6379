//! A TorchScript module on libtorch.

use std::io::Read;
use std::path::{Path, PathBuf};

use tch::{CModule, Device, IValue, Kind, Tensor};

use crate::backbone::checkpoint::weights::ModuleFile;
use crate::backbone::families::Network;
use crate::backbone::families::loader::{Loader, as_i64};
use crate::backbone::families::script::{ScriptConfig, hint};
use crate::backbone::families::torch_error::{message, ran_out_of_memory};
use crate::error::{Error, Message};
use crate::files;
use crate::text::{self, said};

/// A module, and what it is to give.
pub struct Script {
    path: PathBuf,
    module: CModule,
    dim: usize,
    /// Whether it runs under autocast.
    in_half: bool,
}

impl Script {
    /// Loads a module, which runs no code yet.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "as every family takes its configuration"
    )]
    pub fn load(loader: &Loader<'_>, config: &ScriptConfig) -> Result<Self, Error> {
        let ModuleFile { path, size } = loader.module()?;
        // tch knows autocast to f16 on CUDA only.
        let in_half = match (loader.precision(), loader.device()) {
            (Kind::Float, _) => false,
            (Kind::Half, Device::Cuda(_)) => true,
            _ => {
                let text = "a TorchScript module runs in f32, or in f16 on CUDA";
                return Err(Message::request(format!("{}: {text}", text::path(&path)))
                    .hint("set `features.precision = \"f32\"`")
                    .into());
            }
        };
        let mut module = CModule::load_on_device(&path, loader.device()).map_err(|error| {
            let message = message(&error);
            if ran_out_of_memory(&message) {
                return error.into();
            }
            let images = [4, 3, as_i64(size[0]), as_i64(size[1])];
            let (text, hint) = if is_saved(&path, &message) {
                let text = "no TorchScript module, but what `torch.save` or `torch.export` writes";
                (text.to_owned(), hint::of_saved(&path, images))
            } else {
                let text = "no TorchScript module that libtorch can load";
                let hint = hint::of_unloadable(&path, images);
                (format!("{text}: {}", said(&message)), hint)
            };
            Error::from(Message::data(format!("{}: {text}", text::path(&path))).hint(hint))
        })?;
        module.f_set_eval()?;
        Ok(Self {
            path,
            module,
            dim: config.dim,
            in_half,
        })
    }

    /// What is wrong with what the module does.
    fn fault(&self, what: impl std::fmt::Display, hint: String) -> Error {
        Message::data(format!("{}: {what}", text::path(&self.path)))
            .hint(hint)
            .into()
    }
}

impl Network for Script {
    fn forward(&self, images: &Tensor) -> Result<Tensor, Error> {
        let shape: [i64; 4] = images.size().try_into().unwrap_or_default();
        let input = [IValue::Tensor(images.shallow_clone())];
        let output = tch::autocast(self.in_half, || self.module.forward_is(&input));
        let output = output.map_err(|error| {
            let message = message(&error);
            if ran_out_of_memory(&message) {
                return error.into();
            }
            let hint = hint::of_failed(&self.path, &message, shape);
            let message = said(&message);
            self.fault(
                format_args!("fails on images of shape {shape:?}: {message}"),
                hint,
            )
        })?;
        let expected = [shape[0], as_i64(self.dim)];
        match output {
            IValue::Tensor(features) if features.size() == expected => Ok(features),
            IValue::Tensor(features) => {
                let (n, found) = (shape[0], features.size());
                let hint = hint::of_shape(&self.path, &found, shape);
                Err(self.fault(
                    format_args!(
                        "gives a tensor of shape {found:?} for {n} images, expected {expected:?}"
                    ),
                    hint,
                ))
            }
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
                // Of equals the first.
                let part = parts.iter().rev().max_by_key(best);
                let hint = hint::of_output(&self.path, part, shape);
                let found = said(&found);
                Err(self.fault(
                    format_args!("gives {found}, expected one tensor of shape {expected:?}"),
                    hint,
                ))
            }
        }
    }
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
