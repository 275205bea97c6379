//! Where a checkpoint is: what `model.ckpt` says of that, and what names are looked up in.

use std::path::Path;

use crate::error::{Error, Message};
use crate::hub::Hub;
use crate::progress::Progress;
use crate::text::{self, foreign};

/// What names of checkpoints are looked up in, and how.
#[derive(Clone, Copy)]
pub struct Lookup<'a> {
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
const LOCAL_DIR: &str = "local-dir:";
/// The prefix of repositories on the hub, and timm's former spelling of it.
const HF_HUB: [&str; 2] = ["hf-hub:", "hf_hub:"];

/// Where `model.ckpt` says that a checkpoint is.
#[derive(Clone, Copy, Debug)]
pub enum Location<'a> {
    /// In a folder of this machine.
    Dir(&'a str),
    /// In a repository on the hub, `OWNER/NAME` with perhaps `@REVISION`.
    Repo(&'a str),
    /// Where its library says, by whose name it goes, with perhaps `@REVISION`.
    Name(&'a str),
}

impl<'a> Location<'a> {
    /// What `ckpt` says.
    pub fn of(ckpt: &'a str) -> Self {
        if let Some(dir) = ckpt.strip_prefix(LOCAL_DIR) {
            return Self::Dir(dir);
        }
        match HF_HUB.iter().find_map(|prefix| ckpt.strip_prefix(prefix)) {
            Some(repo) => Self::Repo(repo),
            None => Self::Name(ckpt),
        }
    }
}

/// What `find` makes of a library's name, and the revision behind the name; unless there is a folder or a file of that
/// name which may be meant instead.
///
/// # Errors
/// What is wrong with the name.
pub fn named<'c, T>(
    ckpt: &'c str,
    lookup: Lookup<'_>,
    find: impl FnOnce(&str) -> Result<T, Error>,
) -> Result<(T, Option<&'c str>), Error> {
    let is_here = !ckpt.is_empty() && lookup.base_dir.join(ckpt).exists();
    if is_here && ckpt.contains('/') {
        return Err(no_prefix(ckpt, lookup).into());
    }
    let (name, revision) = ckpt
        .split_once('@')
        .map_or((ckpt, None), |(name, revision)| (name, Some(revision)));
    match find(name) {
        Ok(found) => Ok((found, revision)),
        Err(_) if is_here => Err(no_prefix(ckpt, lookup).into()),
        Err(error) => Err(error),
    }
}

/// A name that leads to a folder or file, or reads as if it were a path or a repository.
pub fn no_prefix(ckpt: &str, lookup: Lookup<'_>) -> Message {
    let (written, path) = (Path::new(ckpt), lookup.base_dir.join(ckpt));
    let hf_hub = HF_HUB[0];
    let (kind, hint) = if path.is_dir() {
        let dir = text::path(written);
        (
            "a folder",
            format!(
                "write `{LOCAL_DIR}{dir}` for the folder, or `{hf_hub}OWNER/NAME` for a repository on the hub"
            ),
        )
    } else if path.exists() {
        let dir = written.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = text::path(dir.unwrap_or(Path::new(".")));
        (
            "a file",
            format!("write `{LOCAL_DIR}{dir}`, the folder of it"),
        )
    } else {
        // Behind a prefix of other programs.
        let rest = ckpt.rsplit(':').next().unwrap_or_default();
        let name = foreign(rest.trim_start_matches("//huggingface.co/"));
        (
            "a path, or a repository's name",
            format!(
                "write `{hf_hub}{name}` for the repository on the hub, or `{LOCAL_DIR}{name}` for a folder"
            ),
        )
    };
    let ckpt = foreign(ckpt);
    Message::request(format!(
        "`model.ckpt`: `{ckpt}` is {kind}, expected a checkpoint's name"
    ))
    .hint(hint)
}

/// A name that the library does not know; `nearest` are names that it knows and that may have been meant.
pub fn unknown(ckpt: &str, library: &str, nearest: &[&str]) -> Message {
    let hint = did_you_mean(nearest).unwrap_or_else(|| {
        format!(
            "`newt-pipe models ls` shows how names are written; `{}OWNER/NAME` is a repository on the hub, \
             `{LOCAL_DIR}PATH` a folder",
            HF_HUB[0]
        )
    });
    let ckpt = foreign(ckpt);
    Message::request(format!(
        "`model.ckpt`: {library} has no checkpoint `{ckpt}`"
    ))
    .hint(hint)
}

/// The names that may have been meant, of many the first three.
pub fn did_you_mean(nearest: &[&str]) -> Option<String> {
    let names = &nearest[..nearest.len().min(3)];
    (!names.is_empty()).then(|| format!("did you mean {}?", text::either(names)))
}
