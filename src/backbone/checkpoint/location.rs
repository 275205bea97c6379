//! The prefixes of checkpoints that are none of a library's names, and names that want one.

use std::path::Path;

use crate::backbone::error::Error;
use crate::hub::Hub;
use crate::progress::Progress;
use crate::text::{self, foreign};

/// What names of checkpoints are looked up in.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    /// What relative paths start at.
    pub base_dir: &'a Path,
    /// The Hugging Face hub.
    pub hub: &'a Hub,
    /// Hears of downloads, and of what is odd.
    pub progress: &'a dyn Progress,
    /// Whether a checkpoint may bring its own code.
    pub allow_code: bool,
    /// Whether the hub is asked for the newest revision, even where its cache holds one.
    pub update: bool,
}

/// The prefix of checkpoints that lie in a folder.
pub const LOCAL_DIR: &str = "local-dir:";
/// The prefix of repositories on the hub, and timm's former spelling of it.
const HF_HUB: [&str; 2] = ["hf-hub:", "hf_hub:"];

/// What stands behind the prefix of a repository on the hub.
pub fn on_hub(ckpt: &str) -> Option<&str> {
    HF_HUB.iter().find_map(|prefix| ckpt.strip_prefix(prefix))
}

/// What `found` makes of a plain name, unless there is a folder or a file of that name which may be meant instead.
pub fn or_no_prefix<T>(
    ckpt: &str,
    places: Places<'_>,
    found: impl FnOnce(&str) -> Result<T, Error>,
) -> Result<T, Error> {
    let is_here = !ckpt.is_empty() && places.base_dir.join(ckpt).exists();
    if is_here && ckpt.contains('/') {
        return Err(no_prefix(ckpt, places));
    }
    match found(ckpt) {
        Err(
            Error::UnknownCheckpoint { .. }
            | Error::UnknownArchitecture { .. }
            | Error::NotWritten { .. },
        ) if is_here => Err(no_prefix(ckpt, places)),
        result => result,
    }
}

/// A plain name that leads to a folder or file, or reads as if it were a path or a repository.
pub fn no_prefix(ckpt: &str, places: Places<'_>) -> Error {
    let path = places.base_dir.join(ckpt);
    let (kind, hint) = if path.is_dir() {
        (
            "a folder",
            format!(
                "write `{LOCAL_DIR}{}` for the folder, or `{}OWNER/NAME` for a repository on the hub",
                text::path(Path::new(ckpt)),
                HF_HUB[0]
            ),
        )
    } else if path.exists() {
        let dir = Path::new(ckpt)
            .parent()
            .filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(Path::new("."));
        (
            "a file",
            format!("write `{LOCAL_DIR}{}`, the folder of it", text::path(dir)),
        )
    } else {
        // Behind a prefix of other programs.
        let rest = ckpt.rsplit(':').next().unwrap_or_default();
        let name = foreign(rest.trim_start_matches("//huggingface.co/"));
        (
            "a path, or a repository's name",
            format!(
                "write `{}{name}` for the repository on the hub, or `{LOCAL_DIR}{name}` for a folder",
                HF_HUB[0]
            ),
        )
    };
    Error::NoPrefix {
        ckpt: ckpt.to_owned(),
        kind,
        hint,
    }
}
