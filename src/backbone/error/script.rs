//! What can be wrong with a TorchScript module.

use crate::error::Fault;
use std::path::{Path, PathBuf};

use crate::backbone::orgs::torchscript::DESCRIPTION;
use crate::text;

/// What is wrong with a TorchScript module or the file beside it.
#[derive(Debug, thiserror::Error)]
pub enum ScriptFault {
    /// It is code, where none may run.
    #[error("a TorchScript module runs its author's code, and `allow_code` is not set")]
    CodeNotAllowed,
    /// It is not there.
    #[error("no such file")]
    Missing,
    /// Nothing says what it takes and gives.
    #[error(
        "`{}` is not there, which says what the module takes and gives",
        text::path(toml)
    )]
    NoDescription {
        /// The file beside the module.
        toml: PathBuf,
    },
}

impl ScriptFault {
    /// What the user can do about the module at `path`.
    pub fn hint(&self, path: &Path) -> String {
        match self {
            Self::CodeNotAllowed => "if you trust it, write `allow_code = true` beside `ckpt` in the pipeline file, \
                                     or give `models check` the flag `--allow-code`"
                .to_owned(),
            Self::Missing => "`model.ckpt` is the path of a module that `torch.jit.save` wrote; it starts at the \
                              pipeline file's folder, on the command line at the working folder"
                .to_owned(),
            Self::NoDescription { .. } => {
                let stem = path.file_stem().unwrap_or_default().display();
                description(&format!("write `{stem}.toml`"))
            }
        }
    }

    /// Something was asked for that cannot be.
    pub fn whose(&self) -> Fault {
        Fault::Request
    }
}

/// Says how the file that describes a module is written.
pub fn description(instruction: &str) -> String {
    let lines = DESCRIPTION.trim_end().replace('\n', "\n  ");
    format!("{instruction}, with the numbers of the module:\n  {lines}")
}
