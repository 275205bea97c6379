//! What can go wrong between a model's name and its features.

use std::io;
use std::path::PathBuf;

/// A checkpoint that cannot be used, a device that is not there, or a network that fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The library that the user names is not known.
    #[error("`model.org` is `{org}`, expected `timm` or `random`")]
    Org {
        /// As written.
        org: String,
    },
    /// A checkpoint that would have to be downloaded.
    #[error(
        "`model.ckpt` is `{ckpt}`, a checkpoint of the Hugging Face hub, expected `local-dir:PATH`"
    )]
    Hub {
        /// As written.
        ckpt: String,
    },
    /// No architecture has that name.
    #[error("{place}: unknown architecture `{name}`")]
    UnknownArchitecture {
        /// The setting or file that names it.
        place: String,
        /// As written.
        name: String,
        /// Known names that are like it.
        nearest: Vec<&'static str>,
    },
    /// A tag of a random backbone that is no seed.
    #[error("`model.ckpt`: tag `{tag}` of `{architecture}`, expected `seed` and a number")]
    SeedTag {
        /// What stands before the tag.
        architecture: String,
        /// As written.
        tag: String,
    },
    /// A file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A folder without `model.safetensors`.
    #[error("{}: no `model.safetensors` in this folder", dir.display())]
    NoWeights {
        /// The checkpoint's folder.
        dir: PathBuf,
    },
    /// A folder whose weights are pickled.
    #[error("{}: a pickle, which can run any code when it is loaded, expected `model.safetensors`", path.display())]
    Pickle {
        /// The weights' file.
        path: PathBuf,
    },
    /// A `config.json` that is no JSON.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Says where in the file.
        source: serde_json::Error,
    },
    /// A value in `config.json` that makes no sense.
    #[error("{}: `{key}` is `{found}`, expected {expected}", path.display())]
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
    /// A setting in `config.json` that would need another network than those written here.
    #[error("{}: `{key}` is `{found}`, only {expected} is supported", path.display())]
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
    #[error("{}: unknown key `{key}`, whose effect on features is not known either", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Dotted.
        key: String,
    },
    /// A safetensors file that breaks its own format.
    #[error("{}: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A tensor of the network is not in the file.
    #[error("{}: tensor `{tensor}` is missing, backbone `{architecture}` needs it with shape {expected:?}", path.display())]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// Dotted name.
        tensor: String,
        /// The network's name.
        architecture: &'static str,
        /// In the network.
        expected: Box<[usize]>,
        /// An architecture that the file's shapes fit.
        fits: Option<&'static str>,
    },
    /// A tensor has another shape than in the network.
    #[error("{}: tensor `{tensor}` has shape {found:?}, backbone `{architecture}` needs {expected:?}", path.display())]
    MisshapenTensor {
        /// The file.
        path: PathBuf,
        /// Dotted name.
        tensor: String,
        /// In the file.
        found: Box<[usize]>,
        /// The network's name.
        architecture: &'static str,
        /// In the network.
        expected: Box<[usize]>,
        /// An architecture that the file's shapes fit.
        fits: Option<&'static str>,
    },
    /// Tensors that the network does not have.
    #[error("{}: {} no part of backbone `{architecture}`", path.display(), listed(tensors))]
    SurplusTensors {
        /// The file.
        path: PathBuf,
        /// Dotted names, sorted; not empty.
        tensors: Vec<String>,
        /// The network's name.
        architecture: &'static str,
        /// An architecture that the file's shapes fit.
        fits: Option<&'static str>,
    },
    /// A tensor of integers, or of another float format.
    #[error("{}: tensor `{tensor}` has dtype {found}, expected F32, F16 or BF16", path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// Dotted name.
        tensor: String,
        /// In the file.
        found: String,
    },
    /// A tensor with a NaN or an infinity.
    #[error("{}: tensor `{tensor}` holds {value} at {index:?}, expected finite numbers", path.display())]
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
    #[error("device `{text}`, expected `auto`, `cpu`, `cuda` or `cuda:1`")]
    ParseDevice {
        /// As written.
        text: String,
    },
    /// A text that names no precision.
    #[error("precision `{text}`, expected `auto`, `f32`, `f16` or `bf16`")]
    ParsePrecision {
        /// As written.
        text: String,
    },
    /// CUDA was asked for, and libtorch has none.
    #[error("device `cuda`: libtorch finds {reason}")]
    NoCuda {
        /// What it finds instead.
        reason: String,
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
    #[error("libtorch, {doing}: {message}")]
    Libtorch {
        /// What was being done.
        doing: &'static str,
        /// The first line of libtorch's message.
        message: String,
    },
    /// This program was built without libtorch.
    #[error("backbone `{architecture}`: this program was built without libtorch")]
    NoTorch {
        /// The network's name.
        architecture: &'static str,
    },
}

impl Error {
    /// libtorch's own message, without the C++ stack below it.
    #[cfg(feature = "torch")]
    pub(super) fn libtorch(doing: &'static str, error: &tch::TchError) -> Self {
        let message = match error {
            tch::TchError::Torch(message) => message.clone(),
            error => error.to_string(),
        };
        Self::Libtorch {
            doing,
            message: message.lines().next().unwrap_or_default().to_owned(),
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Hub { .. } => Some(
                "this version does not download; put the checkpoint's `config.json` and `model.safetensors` \
                 into a folder and name it with `local-dir:`"
                    .to_owned(),
            ),
            Self::UnknownArchitecture { nearest, .. } => match nearest.as_slice() {
                [] => None,
                [one] => Some(format!("did you mean `{one}`?")),
                [others @ .., last] => {
                    let others: Vec<_> = others.iter().map(|name| format!("`{name}`")).collect();
                    Some(format!("did you mean {} or `{last}`?", others.join(", ")))
                }
            },
            Self::SeedTag { architecture, .. } => Some(format!("for example `{architecture}.seed17`")),
            Self::NoWeights { .. } => {
                Some("the folder needs `config.json` and `model.safetensors` as timm publishes them".to_owned())
            }
            Self::Pickle { path } => Some(conversion(path)),
            Self::Org { .. } | Self::UnsupportedArgument { .. } | Self::UnknownKey { .. } => Some(PRECOMPUTED.to_owned()),
            Self::Damaged { .. } => Some("copy or download the file again".to_owned()),
            Self::MissingTensor { fits: Some(fits), .. }
            | Self::MisshapenTensor { fits: Some(fits), .. }
            | Self::SurplusTensors { fits: Some(fits), .. } => Some(format!(
                "the shapes fit `{fits}`; put the `config.json` that belongs to these weights beside them"
            )),
            Self::NoCuda { .. } | Self::NoSuchCudaDevice { .. } => {
                Some("`features.device = \"auto\"` takes what is there".to_owned())
            }
            Self::NoTorch { .. } => Some("build with `--features torch`, or use `org = \"precomputed\"`".to_owned()),
            Self::MissingTensor { .. } | Self::MisshapenTensor { .. } | Self::SurplusTensors { .. } => {
                Some("use weights and `config.json` of one and the same checkpoint".to_owned())
            }
            Self::Json { .. } | Self::ConfigValue { .. } => {
                Some("take `config.json` as the checkpoint's publisher wrote it".to_owned())
            }
            Self::Dtype { .. } => Some("convert the tensor to one of these types".to_owned()),
            Self::NonFinite { .. } => Some("the weights are damaged: copy or download the file again".to_owned()),
            Self::Libtorch { .. } => {
                Some("if memory ran out, lower `features.batch_size` or set `features.device = \"cpu\"`".to_owned())
            }
            Self::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                Some("`local-dir:` names a folder with `config.json` and `model.safetensors`".to_owned())
            }
            Self::Io(_) | Self::ParseDevice { .. } | Self::ParsePrecision { .. } | Self::Pixels { .. } => None,
        }
    }
}

/// The way out for networks that are not written here.
const PRECOMPUTED: &str = "extract the features in Python and use `org = \"precomputed\"`";

/// The command that turns a pickle into the file that is wanted.
fn conversion(pickle: &std::path::Path) -> String {
    let safetensors = pickle.with_file_name("model.safetensors");
    format!(
        "convert it: python3 -c 'import sys, torch, safetensors.torch as s; \
         s.save_file({{k: v.contiguous().clone() for k, v in \
         torch.load(sys.argv[1], map_location=\"cpu\", weights_only=True).items()}}, sys.argv[2])' \
         '{}' '{}'",
        pickle.display(),
        safetensors.display()
    )
}

/// Names for a message: all of a few, the first three of many.
fn listed(tensors: &[String]) -> String {
    const SHOWN: usize = 3;
    let names: Vec<_> = tensors
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    match tensors.len() {
        1 => format!("tensor {} is", names.join(", ")),
        n if n <= SHOWN => format!("tensors {} are", names.join(", ")),
        n => format!("tensors {} and {} more are", names.join(", "), n - SHOWN),
    }
}
