//! What can go wrong between a model's name and its features.

mod exit_code;
mod hint;
#[cfg(feature = "torch")]
pub mod libtorch;
mod script;

use std::io;
use std::path::PathBuf;

#[cfg(feature = "torch")]
pub use self::hint::ran_out_of_memory;
pub use self::script::ScriptFault;
use crate::backbone::run::{LibraryError, Missing};
use crate::error::{Failure, Fault, Message};
use crate::text::{self, foreign, said};

/// A checkpoint that cannot be used, a device that is not there, or a network that fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Said in full where it is found.
    #[error(transparent)]
    Message(#[from] Message),
    /// A stop was asked for, between two tensors or two passes through the network.
    #[error(transparent)]
    Stopped(#[from] crate::interrupt::Stopped),
    /// A file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A folder without weights.
    #[error("{place}: no `{file}` here", place = text::path(place), file = foreign(file))]
    NoWeights {
        /// The checkpoint's folder or repository.
        place: String,
        /// What should be there.
        file: String,
    },
    /// A TorchScript module that cannot be run, or gives something else than features.
    #[error("{}: {fault}", text::path(path))]
    Script {
        /// The module.
        path: PathBuf,
        /// What is wrong.
        fault: Box<ScriptFault>,
    },
    /// A safetensors file that breaks its own format.
    #[error("{}: {problem}", text::path(path), problem = said(problem))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A tensor of the network is not in the file.
    #[error("{}: tensor `{tensor}` is missing, backbone `{architecture}` needs it with shape {expected:?}", text::path(path), tensor = foreign(tensor), architecture = foreign(architecture))]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// Dotted name.
        tensor: String,
        /// The network's name.
        architecture: String,
        /// In the network.
        expected: Box<[usize]>,
        /// An architecture that the file's shapes fit.
        fits: Option<&'static str>,
    },
    /// Positions for another number of patches than the network has, which cannot be resized.
    #[error(
        "{}: positions of {n_patches} patches, of which no square can be made, the network has {} × {} patches",
        text::path(path),
        grid[0],
        grid[1]
    )]
    NoGrid {
        /// The file.
        path: PathBuf,
        /// In the file.
        n_patches: usize,
        /// In the network.
        grid: [usize; 2],
    },
    /// Positions for the patches alone, where tokens before them have positions, too.
    #[error(
        "{}: tensor `pos_embed` has positions of {} × {} patches and none of the class token, expected {} positions",
        text::path(path),
        grid[0],
        grid[1],
        grid[0] * grid[1] + n_prefix
    )]
    NoPrefixPositions {
        /// The file.
        path: PathBuf,
        /// In the file.
        grid: [usize; 2],
        /// The tokens before the patches.
        n_prefix: usize,
    },
    /// Two tensors that are one to the library, which takes off what training put before their names.
    #[error("{}: tensors `{}` and `{}` are both `{name}` of the network", text::path(path), foreign(&tensors[0]), foreign(&tensors[1]), name = foreign(name))]
    SameName {
        /// The file.
        path: PathBuf,
        /// As in the files.
        tensors: [String; 2],
        /// Without what stands before it.
        name: String,
    },
    /// A tensor has another shape than in the network.
    #[error("{}: tensor `{tensor}` has shape {found:?}, backbone `{architecture}` needs {expected:?}", text::path(path), tensor = foreign(tensor), architecture = foreign(architecture))]
    MisshapenTensor {
        /// The file.
        path: PathBuf,
        /// Dotted name.
        tensor: String,
        /// In the file.
        found: Box<[usize]>,
        /// The network's name.
        architecture: String,
        /// In the network.
        expected: Box<[usize]>,
        /// An architecture that the file's shapes fit.
        fits: Option<&'static str>,
    },
    /// Tensors that the network does not have.
    #[error("{}: {} no part of backbone `{architecture}`", text::path(path), listed(tensors), architecture = foreign(architecture))]
    SurplusTensors {
        /// The file.
        path: PathBuf,
        /// Dotted names, sorted; not empty.
        tensors: Vec<String>,
        /// The network's name.
        architecture: String,
        /// An architecture that the file's shapes fit.
        fits: Option<&'static str>,
    },
    /// A tensor of integers, or of another float format.
    #[error("{}: tensor `{tensor}` has dtype {found}, expected F32, F16 or BF16", text::path(path), tensor = foreign(tensor), found = foreign(found))]
    Dtype {
        /// The file.
        path: PathBuf,
        /// Dotted name.
        tensor: String,
        /// In the file.
        found: String,
    },
    /// A tensor with a NaN or an infinity.
    #[error("{}: tensor `{tensor}` holds {value} at {index:?}, expected finite numbers", text::path(path), tensor = foreign(tensor))]
    NonFinite {
        /// The file.
        path: PathBuf,
        /// Dotted name.
        tensor: String,
        /// The first value that is not finite.
        value: f32,
        /// Where it is.
        index: Box<[usize]>,
    },
    /// A text that names no device.
    #[error("device `{text}`, expected `auto`, `cpu`, `cuda` or `cuda:1`", text = foreign(text))]
    ParseDevice {
        /// As written.
        text: String,
    },
    /// A text that names no precision.
    #[error("precision `{text}`, expected `auto`, `f32`, `f16` or `bf16`", text = foreign(text))]
    ParsePrecision {
        /// As written.
        text: String,
    },
    /// CUDA was asked for, and libtorch has none.
    #[error("device `cuda`: {reason}", reason = said(reason))]
    NoCuda {
        /// What stands in the way.
        reason: String,
        /// What would help.
        hint: Option<String>,
    },
    /// A GPU that the driver shows and libtorch cannot use.
    #[error("device `cuda:{index}`: the driver shows it, libtorch can use {n} CUDA device(s)")]
    CudaNotUsable {
        /// Its number.
        index: usize,
        /// How many libtorch can use.
        n: usize,
    },
    /// A CUDA device beyond the last.
    #[error("device `cuda:{index}`: this machine has {n} CUDA device(s), counted from 0")]
    NoSuchCudaDevice {
        /// As asked for.
        index: usize,
        /// How many there are.
        n: usize,
    },
    /// A batch whose length does not fit its number of images.
    #[error("batch of {n} images has {found} values, expected {n} × {per_image}")]
    Pixels {
        /// Images.
        n: usize,
        /// Values in the batch.
        found: usize,
        /// Values that the network takes per image.
        per_image: usize,
    },
    /// libtorch reports an error.
    #[error("libtorch, {doing}: {message}", message = said(message))]
    Libtorch {
        /// What was being done.
        doing: &'static str,
        /// What libtorch says.
        message: String,
    },
    /// libtorch, or our own library that calls it, cannot be used.
    #[error(transparent)]
    Missing(Missing),
    /// An error in the library that runs networks.
    #[error(transparent)]
    Library(LibraryError),
}

/// Names for a message: all of a few, the first three of many.
fn listed(tensors: &[String]) -> String {
    const SHOWN: usize = 3;
    let names: Vec<_> = tensors
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{}`", foreign(name)))
        .collect();
    match tensors.len() {
        1 => format!("tensor {} is", names.join(", ")),
        n if n <= SHOWN => format!("tensors {} are", names.join(", ")),
        n => format!("tensors {} and {} more are", names.join(", "), n - SHOWN),
    }
}

impl Failure for Error {
    fn hint(&self) -> Option<String> {
        self.hint()
    }

    fn fault(&self) -> Fault {
        self.whose()
    }

    fn handed_on(&self) -> Option<&dyn Failure> {
        match self {
            Self::Stopped(stopped) => Some(stopped),
            Self::Message(message) => Some(message),
            _ => None,
        }
    }
}
