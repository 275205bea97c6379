//! What the user can do about an error.

use std::io;
use std::path::Path;

use crate::backbone::checkpoint::WAYS_OUT;
use crate::backbone::error::Error;
use crate::error::Failure;
use crate::files;
use crate::text::shell_word;

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Message(message) => message.hint(),
            Self::Stopped(stopped) => stopped.hint(),
            Self::Script { path, fault } => Some(fault.hint(path)),
            Self::NoWeights { .. } => Some(
                "a checkpoint's folder has the files that its library publishes, weights as safetensors".to_owned(),
            ),
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
            Self::Library(failure) => failure.hint.clone(),
            Self::MissingTensor { .. }
            | Self::MisshapenTensor { .. }
            | Self::SurplusTensors { .. }
            | Self::NoPrefixPositions { .. } => {
                Some("use weights and `config.json` of one and the same checkpoint".to_owned())
            }
            Self::Dtype { path, found, .. } if found == "F64" => Some(as_f32(path)),
            Self::Dtype { .. } => Some(WAYS_OUT.to_owned()),
            Self::NonFinite { .. } => Some("the weights are damaged: copy or download the file again".to_owned()),
            Self::Libtorch { message, .. } if ran_out_of_memory(message) => Some(
                "memory ran out: on a GPU lower `features.batch_size`, on a CPU `--threads`".to_owned(),
            ),
            Self::Libtorch { message, .. } if message.contains("CUDA") => {
                Some("`features.device = \"cpu\"` does without the GPU".to_owned())
            }
            Self::Io(error) => hint_of_io(error).map(str::to_owned),
            Self::Libtorch { .. } | Self::ParseDevice { .. } | Self::ParsePrecision { .. } | Self::Pixels { .. } => None,
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

/// Whether libtorch's message is one of those for want of memory.
pub fn ran_out_of_memory(message: &str) -> bool {
    [
        "out of memory",
        "can't allocate memory",
        "not enough memory",
        "ALLOC_FAILED",
    ]
    .iter()
    .any(|part| message.contains(part))
}

/// The command that copies a checkpoint's folder with floats of 32 bits for those of 64.
fn as_f32(path: &Path) -> String {
    format!(
        "the command below copies the checkpoint into a new folder DIR, with F32 for F64; use `local-dir:DIR`\n\
         python3 -c '\n\
         import pathlib, shutil, sys, torch\n\
         from safetensors.torch import load_file, save_file\n\
         shutil.copytree(sys.argv[1], sys.argv[2], copy_function=shutil.copyfile)\n\
         for path in pathlib.Path(sys.argv[2]).glob(\"*.safetensors\"):\n    \
             tensors = load_file(path).items()\n    \
             tensors = {{name: t.float() if t.dtype == torch.float64 else t for name, t in tensors}}\n    \
             save_file(tensors, path, {{\"format\": \"pt\"}})\n\
         ' {} DIR",
        shell_word(path.parent().unwrap_or(path))
    )
}
