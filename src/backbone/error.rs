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
use crate::error::{Failure, Fault};
use crate::hub;
use crate::text::{self, foreign, said};

/// A checkpoint that cannot be used, a device that is not there, or a network that fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The library that the user names is not known.
    #[error(
        "`model.org` is `{org}`, expected `timm`, `open-clip`, `dinov2`, `dinov3`, `aimv2`, `sam2`, `transformers`, \
         `torchscript` or `random`",
        org = foreign(org)
    )]
    Org {
        /// As written.
        org: String,
    },
    /// Models that are not written here.
    #[error(
        "`model.org` is `vjepa`: `{ckpt}` is published as a pickle, and is no network that is written here",
        ckpt = foreign(ckpt)
    )]
    VJepa {
        /// As written.
        ckpt: String,
    },
    /// A checkpoint in the layout of another library.
    #[error("{place}: a checkpoint of another library, whose `org` is `{org}`", place = text::path(place))]
    OtherLibrary {
        /// The folder or repository.
        place: String,
        /// The library that wrote it.
        org: &'static str,
    },
    /// Features that tell nothing.
    #[error("backbone `{architecture}`: {problem}", architecture = foreign(architecture))]
    Useless {
        /// The network's name.
        architecture: String,
        /// What is wrong with its features.
        problem: &'static str,
    },
    /// What the hub and its cache say.
    #[error(transparent)]
    Hub(#[from] crate::error::Error),
    /// A stop was asked for, between two tensors or two passes through the network.
    #[error(transparent)]
    Stopped(#[from] crate::interrupt::Stopped),
    /// A library has no checkpoint of that name.
    #[error("`model.ckpt`: {library} has no checkpoint `{ckpt}`", ckpt = foreign(ckpt))]
    UnknownCheckpoint {
        /// As written.
        ckpt: String,
        /// The library's name.
        library: &'static str,
        /// Known names that are like it.
        nearest: Vec<String>,
    },
    /// A path or a repository without the prefix that says so.
    #[error("`model.ckpt`: `{ckpt}` is {kind}, expected a checkpoint's name", ckpt = foreign(ckpt))]
    NoPrefix {
        /// As written.
        ckpt: String,
        /// What it is, with its article.
        kind: &'static str,
        /// What is to be written.
        hint: String,
    },
    /// A network of timm's that is not written here.
    #[error("{place}: architecture `{name}` is one of timm's that is not written here", place = text::path(place), name = foreign(name))]
    NotWritten {
        /// The setting or file that names it.
        place: String,
        /// As written.
        name: String,
    },
    /// No architecture has that name.
    #[error("{place}: unknown architecture `{name}`", place = text::path(place), name = foreign(name))]
    UnknownArchitecture {
        /// The setting or file that names it.
        place: String,
        /// As written.
        name: String,
        /// Known names that are like it.
        nearest: Vec<&'static str>,
    },
    /// A tag of a random backbone that is no seed.
    #[error("`model.ckpt`: tag `{tag}` of `{architecture}`, expected `seed` and a number", tag = foreign(tag), architecture = foreign(architecture))]
    SeedTag {
        /// What stands before the tag.
        architecture: String,
        /// As written.
        tag: String,
    },
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
    /// A file that an index lists is not there.
    #[error("{}: lists `{shard}`, which is not there", text::path(index), shard = foreign(shard))]
    NoShard {
        /// The index.
        index: PathBuf,
        /// The file's name.
        shard: String,
    },
    /// An index that lists no files, or something else.
    #[error("{}: lists `{found}`, expected names of safetensors files in `weight_map`", text::path(index), found = foreign(found))]
    Index {
        /// The index.
        index: PathBuf,
        /// A name in it.
        found: String,
    },
    /// A preprocessing that does not go with the network.
    #[error(
        "backbone `{architecture}` takes images of {} × {} pixels, its preprocessing gives {} × {}",
        takes[0], takes[1], given[0], given[1],
        architecture = foreign(architecture)
    )]
    ImageSize {
        /// The network's name.
        architecture: String,
        /// `[h, w]`
        takes: [usize; 2],
        /// `[h, w]`
        given: [usize; 2],
    },
    /// A TorchScript module that cannot be run, or gives something else than features.
    #[error("{}: {fault}", text::path(path))]
    Script {
        /// The module.
        path: PathBuf,
        /// What is wrong.
        fault: Box<ScriptFault>,
    },
    /// A TOML file that is none.
    #[error("{}{}: {problem}", text::path(path), line.map_or(String::new(), |line| format!(":{line}")), problem = said(problem))]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// Where.
        line: Option<usize>,
    },
    /// A folder whose weights are pickled.
    #[error(
        "{}: a pickle, which can run any code when it is loaded, expected `{file}`",
        text::path(path)
    )]
    Pickle {
        /// The weights' file.
        path: PathBuf,
        /// The repository on the hub that it is in.
        repo: Option<String>,
        /// The file that is read in a folder of this layout.
        file: String,
    },
    /// A `config.json` that is no JSON.
    #[error("{}: {source}", text::path(path))]
    Json {
        /// The file.
        path: PathBuf,
        /// Says where in the file.
        source: serde_json::Error,
    },
    /// A value in `config.json` that makes no sense.
    #[error("{}: `{key}` is `{found}`, expected {expected}", text::path(path), key = foreign(key), found = foreign(found))]
    ConfigValue {
        /// The file.
        path: PathBuf,
        /// Dotted.
        key: String,
        /// As written.
        found: String,
        /// What would do.
        expected: String,
    },
    /// A setting that has no default.
    #[error("{}: `{key}` is missing, expected {expected}", text::path(path), key = foreign(key))]
    MissingKey {
        /// The file.
        path: PathBuf,
        /// Dotted.
        key: String,
        /// What would do.
        expected: String,
    },
    /// A setting in `config.json` that would need another network than those written here.
    #[error("{}: `{key}` is `{found}`, only {expected} is supported", text::path(path), key = foreign(key), found = foreign(found))]
    UnsupportedArgument {
        /// The file.
        path: PathBuf,
        /// Dotted.
        key: String,
        /// As written.
        found: String,
        /// What is supported.
        expected: String,
    },
    /// A key in `config.json` whose effect is not known.
    #[error("{}: unknown key `{key}`, whose effect on features is not known either", text::path(path), key = foreign(key))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Dotted.
        key: String,
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

impl Error {
    /// Whether the checkpoint is on the hub, which was not to be asked.
    pub fn is_to_fetch(&self) -> bool {
        matches!(self, Self::Hub(error) if hub::kind(error) == Some(hub::Kind::NotHere))
    }
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
            _ => None,
        }
    }
}
