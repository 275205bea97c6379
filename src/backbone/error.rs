//! What can go wrong between a model's name and its features.

mod exit_code;
mod hint;
mod script;

use std::io;
use std::path::PathBuf;

#[cfg(feature = "torch")]
pub use self::hint::WAYS_OUT;
pub use self::script::ScriptFault;
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
    Hub(#[from] crate::hub::Error),
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
}

impl Error {
    fn is_to_fetch(&self) -> bool {
        matches!(self, Self::Hub(error) if is_on_hub_only(error))
    }
}

/// Whether an error says that the checkpoint is on the hub, which was not to be asked.
pub fn is_to_fetch(error: &crate::error::Error) -> bool {
    let by_resolving = error.is_a::<Error>().is_some_and(Error::is_to_fetch);
    by_resolving || error.is_a::<hub::Error>().is_some_and(is_on_hub_only)
}

fn is_on_hub_only(error: &hub::Error) -> bool {
    matches!(
        error,
        hub::Error::Offline { .. } | hub::Error::BrokenLink { .. }
    )
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
            Self::Hub(hub::Error::Altered { .. }) => None,
            Self::Hub(error) => Some(error),
            _ => None,
        }
    }
}
