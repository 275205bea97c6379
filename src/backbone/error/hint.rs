//! What the user can do about an error.

use std::io;
use std::path::Path;

use crate::backbone::error::Error;
use crate::backbone::error::script::description;
use crate::files;
use crate::text::{foreign, shell_word};

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Hub(error) => error.hint(),
            Self::Stopped(stopped) => Some(stopped.hint()),
            Self::UnknownCheckpoint { nearest, .. } => Some(suggestion(nearest).unwrap_or_else(|| {
                "`newt-pipe models ls` shows how names are written; `hf-hub:OWNER/NAME` is a repository on the hub, \
                 `local-dir:PATH` a folder"
                    .to_owned()
            })),
            Self::UnknownArchitecture { nearest, .. } => {
                Some(suggestion(nearest).unwrap_or_else(ways_out_of_the_catalog))
            }
            Self::NotWritten { .. } => Some(ways_out_of_the_catalog()),
            Self::Script { path, fault } => Some(fault.hint(path)),
            Self::SeedTag { architecture, .. } => Some(format!("for example `{}.seed17`", foreign(architecture))),
            Self::NoWeights { .. } => Some(
                "a checkpoint's folder has the files that its library publishes, weights as safetensors".to_owned(),
            ),
            Self::NoShard { .. } | Self::Index { .. } => {
                Some("copy or download all files of the checkpoint again".to_owned())
            }
            Self::ImageSize { .. } => {
                Some("take the files of the checkpoint as its publisher wrote them".to_owned())
            }
            Self::Pickle { path, repo: None, file } => Some(conversion(path, file)),
            Self::Pickle { path, repo: Some(repo), file } => {
                let path = Path::new("DIR").join(path.file_name().unwrap_or_default());
                let (repo, revision) = repo.split_once('@').unwrap_or((repo, "main"));
                Some(format!(
                    "`hf download {repo} --revision {revision} --local-dir DIR`, use `local-dir:DIR`, and {}",
                    conversion(&path, file)
                ))
            }
            Self::VJepa { .. } => Some(
                "trace the network in Python as the README shows, and use `org = \"torchscript\"`".to_owned(),
            ),
            Self::OtherLibrary { org, .. } => Some(format!("set `model.org = \"{org}\"`")),
            Self::Useless { .. } => Some("copy or download the checkpoint again".to_owned()),
            Self::Org { org } if org == "precomputed" => {
                Some("`newt-pipe run` reads features from a file; `models check` takes networks only".to_owned())
            }
            Self::Org { org } => match nearest_org(org) {
                Some(nearest) => Some(format!("did you mean `{nearest}`?")),
                None => Some(WAYS_OUT.to_owned()),
            },
            Self::Toml { path, .. }
            | Self::ConfigValue { path, .. }
            | Self::MissingKey { path, .. }
            | Self::UnknownKey { path, .. }
                if path.extension().is_some_and(|end| end == "toml") =>
            {
                Some(description("write it so"))
            }
            Self::NoPrefix { hint, .. } => Some(hint.clone()),
            Self::Json { .. } | Self::Toml { .. } | Self::ConfigValue { .. } | Self::MissingKey { .. } => {
                Some("take the file as the checkpoint's publisher wrote it".to_owned())
            }
            Self::UnsupportedArgument { .. } | Self::UnknownKey { .. } => {
                Some(WAYS_OUT.to_owned())
            }
            Self::Io(error) => hint_of_io(error).map(str::to_owned),
        }
    }
}

fn hint_of_io(error: &io::Error) -> Option<&'static str> {
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    files::hint(error).or(is_missing.then_some(
        "`local-dir:` takes a folder with the files that the checkpoint's library publishes; it starts at the pipeline \
         file's folder, on the command line at the working folder",
    ))
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
        .filter(|known| known.len().abs_diff(org.len()) <= 8)
        .map(|known| (strsim::levenshtein(&org, known), known))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, known)| known)
}

/// The names that may have been meant, of many the first three.
fn suggestion(nearest: &[impl AsRef<str>]) -> Option<String> {
    let names: Vec<_> = nearest
        .iter()
        .take(3)
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(format!("did you mean {one}?")),
        [others @ .., last] => Some(format!("did you mean {} or {last}?", others.join(", "))),
    }
}

/// The ways out for networks that are not written here.
pub const WAYS_OUT: &str = "trace the network in Python, `torch.jit.trace(model.eval(), torch.zeros(4, 3, 224, 224)).save(\"model.pt\")`, \
     and use `org = \"torchscript\"`, or extract its features there and use `org = \"precomputed\"`";

/// The same, behind the command that lists the others.
fn ways_out_of_the_catalog() -> String {
    format!(
        "`newt-pipe models ls --architectures` lists the networks that are written here; for others {WAYS_OUT}"
    )
}

/// The command that turns a pickle into `file` beside it, the weights that are read in its folder.
///
/// NumPy's scalars and arrays are allowed under the names that versions 1 and 2 have for them.
///
/// Source: what a checkpoint of training holds, and how names are cleaned, `timm.models._helpers.load_state_dict`.
fn conversion(pickle: &Path, file: &str) -> String {
    format!(
        "convert it:\n\
         python3 -c '\n\
         import argparse, numpy, sys, torch\n\
         from safetensors.torch import save_file\n\
         scalar = numpy.float64(0).__reduce__()[0]\n\
         array = numpy.zeros(1).__reduce__()[0]\n\
         torch.serialization.add_safe_globals([\n    \
             argparse.Namespace, numpy.ndarray, numpy.dtype,\n    \
             *(type(numpy.dtype(code)) for code in numpy.typecodes[\"All\"]),\n    \
             *((made, f\"numpy.{{core}}.multiarray.{{made.__name__}}\") for made in (scalar, array) for core in (\"core\", \"_core\")),\n\
         ])\n\
         tensors = {{}}\n\
         for path in sys.argv[2:]:\n    \
             weights = torch.load(path, map_location=\"cpu\", weights_only=True)\n    \
             for key in \"state_dict_ema\", \"model_ema\", \"state_dict\", \"model\":\n        \
                 if isinstance(weights.get(key), dict):\n            \
                     weights = weights[key]\n    \
             for name, tensor in weights.items():\n        \
                 while name.startswith((\"module.\", \"_orig_mod.\")):\n            \
                     name = name.split(\".\", 1)[1]\n        \
                 if isinstance(tensor, torch.Tensor):\n            \
                     tensors[name] = tensor.detach().contiguous().clone()\n\
         if not tensors:\n    \
             sys.exit(f\"no tensors in {{sys.argv[2]}}\")\n\
         for prefix in (\"model.\", \"backbone.\", \"net.\", \"network.\", \"_orig_mod.\") * 2:\n    \
             if all(name.startswith(prefix) for name in tensors):\n        \
                 tensors = {{name[len(prefix):]: tensor for name, tensor in tensors.items()}}\n\
         save_file(tensors, sys.argv[1], {{\"format\": \"pt\"}})\n\
         ' {} {}",
        shell_word(&pickle.with_file_name(file)),
        parts(pickle)
    )
}

/// All files of a pickle in parts, `pytorch_model-00001-of-00002.bin`, as a shell finds them; else the one.
fn parts(pickle: &Path) -> String {
    let name = pickle.file_name().unwrap_or_default().to_string_lossy();
    let numbered = name.split_once("-00001-of-");
    match numbered {
        Some((stem, rest)) => {
            let dir = shell_word(&pickle.with_file_name(stem));
            format!("{dir}-*-of-{rest}")
        }
        None => shell_word(pickle),
    }
}
