//! What can go wrong between a model's name and its features.

mod exit_code;

use std::io;
use std::path::PathBuf;

use super::run::{Failure, Missing};
use crate::files::BrokenLink;

/// A checkpoint that cannot be used, a device that is not there, or a network that fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The library that the user names is not known.
    #[error(
        "`model.org` is `{org}`, expected `timm`, `open-clip`, `dinov2`, `dinov3`, `aimv2`, `sam2`, `transformers`, \
         `torchscript` or `random`"
    )]
    Org {
        /// As written.
        org: String,
    },
    /// Models that are not written here.
    #[error(
        "`model.org` is `vjepa`: `{ckpt}` is published as a pickle, and is no network that is written here"
    )]
    VJepa {
        /// As written.
        ckpt: String,
    },
    /// A checkpoint in the layout of another library.
    #[error("{place}: a checkpoint of another library, whose `org` is `{org}`")]
    OtherLibrary {
        /// The folder or repository.
        place: String,
        /// The library that wrote it.
        org: &'static str,
    },
    /// Features that tell nothing.
    #[error("backbone `{architecture}`: {problem}")]
    Useless {
        /// The network's name.
        architecture: String,
        /// What is wrong with its features.
        problem: &'static str,
    },
    /// What the hub and its cache say.
    #[error(transparent)]
    Hub(#[from] crate::hub::Error),
    /// A library has no checkpoint of that name.
    #[error("`model.ckpt`: {library} has no checkpoint `{ckpt}`")]
    UnknownCheckpoint {
        /// As written.
        ckpt: String,
        /// The library's name.
        library: &'static str,
        /// Known names that are like it.
        nearest: Vec<String>,
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
    /// A folder without weights.
    #[error("{place}: no `{file}` here")]
    NoWeights {
        /// The checkpoint's folder or repository.
        place: String,
        /// What should be there.
        file: String,
    },
    /// A file that an index lists is not there.
    #[error("{}: lists `{shard}`, which is not there", index.display())]
    NoShard {
        /// The index.
        index: PathBuf,
        /// The file's name.
        shard: String,
    },
    /// An index that lists no files, or something else.
    #[error("{}: lists `{found}`, expected names of safetensors files in `weight_map`", index.display())]
    Index {
        /// The index.
        index: PathBuf,
        /// A name in it.
        found: String,
    },
    /// A preprocessing that does not go with the network.
    #[error(
        "backbone `{architecture}` takes images of {} × {} pixels, its preprocessing gives {} × {}",
        takes[0], takes[1], given[0], given[1]
    )]
    ImageSize {
        /// The network's name.
        architecture: String,
        /// `[h, w]`
        takes: [usize; 2],
        /// `[h, w]`
        given: [usize; 2],
    },
    /// A checkpoint that is code, where none may run.
    #[error("{}: a TorchScript module runs its author's code, and `allow_code` is not set", path.display())]
    CodeNotAllowed {
        /// The module.
        path: PathBuf,
    },
    /// A module that is not there.
    #[error("{}: no such file", path.display())]
    NoScript {
        /// The module.
        path: PathBuf,
    },
    /// A precision that a module cannot be run in.
    #[error("{}: a TorchScript module runs in f32, or in f16 on CUDA", path.display())]
    ScriptPrecision {
        /// The module.
        path: PathBuf,
    },
    /// A TOML file that is none.
    #[error("{}{}: {problem}", path.display(), line.map_or(String::new(), |line| format!(":{line}")))]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// Where.
        line: Option<usize>,
    },
    /// A folder whose weights are pickled.
    #[error("{}: a pickle, which can run any code when it is loaded, expected `model.safetensors`", path.display())]
    Pickle {
        /// The weights' file.
        path: PathBuf,
        /// The repository on the hub that it is in.
        repo: Option<String>,
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
        architecture: String,
        /// In the network.
        expected: Box<[usize]>,
        /// An architecture that the file's shapes fit.
        fits: Option<&'static str>,
    },
    /// Positions for another number of patches than the network has, which cannot be resized.
    #[error(
        "{}: positions of {n_patches} patches, of which no square can be made, the network has {} × {} patches",
        path.display(),
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
    /// Two tensors that are one to the library, which takes off what training put before their names.
    #[error("{}: tensors `{}` and `{}` are both `{name}` of the network", path.display(), tensors[0], tensors[1])]
    SameName {
        /// The file.
        path: PathBuf,
        /// As in the files.
        tensors: [String; 2],
        /// Without what stands before it.
        name: String,
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
        architecture: String,
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
        architecture: String,
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
    #[error("device `cuda`: {reason}")]
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
    #[error("libtorch, {doing}: {message}")]
    Libtorch {
        /// What was being done.
        doing: &'static str,
        /// The first line of libtorch's message.
        message: String,
    },
    /// libtorch, or our own library that calls it, cannot be used.
    #[error(transparent)]
    Missing(Missing),
    /// An error in the library that runs networks.
    #[error(transparent)]
    Failure(Failure),
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

    /// Whether the checkpoint is on the hub, which was not to be asked.
    pub fn is_to_fetch(&self) -> bool {
        use crate::hub::Error::{BrokenLink, Offline};
        matches!(self, Self::Hub(Offline { .. } | BrokenLink { .. }))
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Hub(error) => error.hint(),
            Self::UnknownCheckpoint { nearest, .. } => suggestion(nearest),
            Self::UnknownArchitecture { nearest, .. } => suggestion(nearest),
            Self::SeedTag { architecture, .. } => Some(format!("for example `{architecture}.seed17`")),
            Self::NoWeights { .. } => Some(
                "a checkpoint's folder has the files that its library publishes, weights as safetensors".to_owned(),
            ),
            Self::NoShard { .. } | Self::Index { .. } => {
                Some("copy or download all files of the checkpoint again".to_owned())
            }
            Self::ImageSize { .. } => {
                Some("take the files of the checkpoint as its publisher wrote them".to_owned())
            }
            Self::CodeNotAllowed { .. } => Some(
                "if you trust it, write `allow_code = true` beside `ckpt` in the pipeline file, or give \
                 `models check` the flag `--allow-code`"
                    .to_owned(),
            ),
            Self::NoScript { .. } => Some(
                "`model.ckpt` is the path of a module that `torch.jit.save` wrote; a relative one starts at the folder of \
                 the pipeline file, in `--set` and `models check` at the working folder"
                    .to_owned(),
            ),
            Self::ScriptPrecision { .. } => Some("set `features.precision = \"f32\"`".to_owned()),
            Self::Pickle { path, repo: None } => Some(conversion(path)),
            Self::Pickle { path, repo: Some(repo) } => {
                let name = path.file_name().unwrap_or_default();
                let path = std::path::Path::new("DIR").join(name);
                let (repo, revision) = repo.split_once('@').unwrap_or((repo, "main"));
                Some(format!(
                    "`hf download {repo} --revision {revision} --local-dir DIR`, {}, and use `local-dir:DIR`",
                    conversion(&path)
                ))
            }
            Self::VJepa { .. } => Some(
                "trace the network in Python as the README shows, and use `org = \"torchscript\"`".to_owned(),
            ),
            Self::OtherLibrary { org, .. } => Some(format!("set `model.org = \"{org}\"`")),
            Self::Useless { .. } => Some("copy or download the checkpoint again".to_owned()),
            Self::Org { org } if org == "precomputed" => {
                Some("`models check` is for networks; `newt-pipe run` reads a file of features".to_owned())
            }
            Self::Org { org } => match nearest_org(org) {
                Some(nearest) => Some(format!("did you mean `{nearest}`?")),
                None => Some(PRECOMPUTED.to_owned()),
            },
            Self::UnknownKey { path, .. } if path.extension().is_some_and(|end| end == "toml") => {
                Some("the README shows the file that describes a module".to_owned())
            }
            Self::UnsupportedArgument { .. } | Self::UnknownKey { .. } => Some(PRECOMPUTED.to_owned()),
            Self::Damaged { .. } => Some("copy or download the file again".to_owned()),
            Self::MissingTensor { fits: Some(fits), .. }
            | Self::MisshapenTensor { fits: Some(fits), .. }
            | Self::SurplusTensors { fits: Some(fits), .. } => Some(format!(
                "the shapes fit `{fits}`; put the `config.json` that belongs to these weights beside them"
            )),
            Self::NoGrid { .. } => Some(
                "write the size of the images that these positions were learned for into the file beside the weights: \
                 `model_args.img_size` and `pretrained_cfg.input_size` in timm's, `vision_cfg.image_size` in open_clip's"
                    .to_owned(),
            ),
            Self::SameName { .. } => Some("save the weights again with one of the two".to_owned()),
            Self::NoCuda { hint: Some(hint), .. } => Some(hint.clone()),
            Self::NoCuda { hint: None, .. } | Self::NoSuchCudaDevice { .. } => {
                Some("`features.device = \"auto\"` takes what is there".to_owned())
            }
            Self::CudaNotUsable { .. } => Some(
                "`nvidia-smi` says whether GPU and driver work; `features.device = \"cpu\"` does without".to_owned(),
            ),
            Self::Missing(missing) => Some(missing.hint()),
            Self::Failure(failure) => failure.hint.clone(),
            Self::MissingTensor { .. } | Self::MisshapenTensor { .. } | Self::SurplusTensors { .. } => {
                Some("use weights and `config.json` of one and the same checkpoint".to_owned())
            }
            Self::Json { path, .. } | Self::Toml { path, .. } | Self::ConfigValue { path, .. } => {
                let hint = if path.extension().is_some_and(|extension| extension == "toml") {
                    "the README shows the file that describes a module"
                } else {
                    "take the file as the checkpoint's publisher wrote it"
                };
                Some(hint.to_owned())
            }
            Self::Dtype { .. } => Some("convert the tensor to one of these types".to_owned()),
            Self::NonFinite { .. } => Some("the weights are damaged: copy or download the file again".to_owned()),
            Self::Libtorch { .. } => {
                Some("if memory ran out, lower `features.batch_size` or set `features.device = \"cpu\"`".to_owned())
            }
            Self::Io(error) if BrokenLink::is_in(error) => {
                Some(BrokenLink::HINT.to_owned())
            }
            Self::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                Some("correct `model.ckpt`, or put the file of the message where `model.ckpt` says".to_owned())
            }
            Self::Io(_) | Self::ParseDevice { .. } | Self::ParsePrecision { .. } | Self::Pixels { .. } => None,
        }
    }
}

/// The library that may have been meant.
fn nearest_org(org: &str) -> Option<&'static str> {
    const ORGS: [&str; 10] = [
        "timm",
        "open-clip",
        "dinov2",
        "dinov3",
        "aimv2",
        "sam2",
        "transformers",
        "torchscript",
        "random",
        "precomputed",
    ];
    let org = org.to_lowercase().replace('_', "-");
    ORGS.into_iter()
        .map(|known| (strsim::levenshtein(&org, known), known))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, known)| known)
}

/// The names that may have been meant.
fn suggestion(nearest: &[impl AsRef<str>]) -> Option<String> {
    let names: Vec<_> = nearest
        .iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(format!("did you mean {one}?")),
        [others @ .., last] => Some(format!("did you mean {} or {last}?", others.join(", "))),
    }
}

/// The way out for networks that are not written here.
const PRECOMPUTED: &str = "extract the features in Python and use `org = \"precomputed\"`, or trace the network and use \
                           `org = \"torchscript\"`";

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
