//! PyTorch's pickles: weights that can run any code when they are loaded, and are converted instead.

use std::path::{Path, PathBuf};

use crate::error::Message;
use crate::hub::Repo;
use crate::text::{self, foreign, shell_word};

/// What the names of PyTorch's pickles end with, in the order in which timm takes them, then those that it leaves.
const PICKLES: [&str; 5] = [".pth", ".pth.tar", ".bin", ".pt", ".ckpt"];

/// Whether a file's name is one that PyTorch's pickles go by.
pub fn is_pickle(path: &Path) -> bool {
    let name = path.to_string_lossy();
    PICKLES.iter().any(|end| name.ends_with(end))
}

/// The pickle among `files` that most likely holds weights.
pub fn likeliest(files: Vec<PathBuf>) -> Option<PathBuf> {
    files
        .into_iter()
        .filter(|path| is_pickle(path) && !is_state_of_training(path))
        .min_by_key(|path| rank(path))
}

/// Whether a pickle's name says that training keeps something else than weights in it.
fn is_state_of_training(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_lowercase();
    ["optim", "scheduler", "rng_state", "scaler", "training_args"]
        .iter()
        .any(|part| name.contains(part))
}

/// Of several pickles the one of least rank is most likely the weights: one of the libraries' name, then by its ending.
fn rank(pickle: &Path) -> (bool, Option<usize>) {
    let name = pickle.file_name().unwrap_or_default().to_string_lossy();
    let is_of_library = name.starts_with("pytorch_model");
    (
        !is_of_library,
        PICKLES.iter().position(|end| name.ends_with(end)),
    )
}

/// A pickle, of this machine or in a repository on the hub, where weights named `file` are expected.
pub fn refused(path: &Path, repo: Option<&Repo>, file: &str) -> Message {
    let text = format!(
        "{}: a pickle, which can run any code when it is loaded, expected `{}`",
        text::path(path),
        foreign(file)
    );
    let hint = match repo.map(ToString::to_string) {
        None => conversion(path, file),
        Some(repo) => {
            let path = Path::new("DIR").join(path.file_name().unwrap_or_default());
            let (repo, revision) = repo.split_once('@').unwrap_or((&repo, "main"));
            format!(
                "`hf download {repo} --revision {revision} --local-dir DIR`, use `local-dir:DIR`, and {}",
                conversion(&path, file)
            )
        }
    };
    Message::data(text).hint(hint)
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
