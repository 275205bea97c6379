//! The files of a checkpoint, on this machine or on the hub.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::backbone::checkpoint::location::{Location, Lookup, named};
use crate::backbone::checkpoint::{json, pickle};
use crate::error::{Error, Failure, Fault, Message};
use crate::files::{self, check_links, found};
use crate::hub::{Repo, Snapshot};
use crate::progress::Progress;
use crate::text::{self, foreign};

/// The files of one checkpoint, in a folder or in a repository.
pub struct CheckpointFiles<'a> {
    place: Place<'a>,
    progress: &'a dyn Progress,
}

enum Place<'a> {
    Local(PathBuf),
    Hub {
        repo: Repo,
        snapshot: Box<Snapshot<'a>>,
    },
}

/// Where on the hub a checkpoint's files come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// `OWNER/NAME`
    pub repo: String,
    /// The commit.
    pub revision: String,
}

/// A checkpoint without weights, or one whose weights are not known to be on the hub.
#[derive(Debug, thiserror::Error)]
#[error("{place}: no `{file}` here")]
pub struct NoWeights {
    /// The folder or the repository.
    place: String,
    /// What should be there.
    file: String,
}

impl Failure for NoWeights {
    fn hint(&self) -> Option<String> {
        Some(
            "a checkpoint's folder has the files that its library publishes, weights as safetensors"
                .to_owned(),
        )
    }

    fn fault(&self) -> Fault {
        Fault::Request
    }
}

impl fmt::Display for CheckpointFiles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Local(dir) => f.write_str(&text::path(dir)),
            Place::Hub { repo, .. } => write!(f, "hf-hub:{repo}"),
        }
    }
}

impl<'a> CheckpointFiles<'a> {
    /// The folder or the repository that `ckpt` names, with weights of that name; `repo` gives the repository of one of the
    /// library's names.
    ///
    /// # Errors
    /// What is wrong with the name; of the path, if it is that of a pickle; errors of the hub.
    pub fn of(
        ckpt: &str,
        lookup: Lookup<'a>,
        weights: &str,
        repo: impl FnOnce(&str) -> Result<String, Error>,
    ) -> Result<Self, Error> {
        match Location::of(ckpt) {
            Location::Dir(dir) => {
                Self::local(found(lookup.base_dir, dir)?, weights, lookup.progress)
            }
            Location::Repo(repo) => Self::hub(repo, None, lookup),
            Location::Name(name) => {
                let (repo, revision) = named(name, lookup, repo)?;
                Self::hub(&repo, revision, lookup)
            }
        }
    }

    /// A folder of this machine, whose `weights` have that name.
    ///
    /// # Errors
    /// Of the path, if it is that of a pickle.
    pub fn local(dir: PathBuf, weights: &str, progress: &'a dyn Progress) -> Result<Self, Error> {
        if pickle::is_pickle(&dir) && dir.is_file() {
            return Err(pickle::refused(&dir, None, weights).into());
        }
        Ok(Self {
            place: Place::Local(dir),
            progress,
        })
    }

    /// A repository of the hub, at another revision than it says where one is given.
    ///
    /// # Errors
    /// Errors of the hub.
    pub fn hub(repo: &str, revision: Option<&str>, lookup: Lookup<'a>) -> Result<Self, Error> {
        let repo: Repo = match revision {
            Some(revision) => format!("{repo}@{revision}").parse()?,
            None => repo.parse()?,
        };
        let Lookup { hub, progress, .. } = lookup;
        let snapshot = if lookup.update {
            hub.latest(&repo, progress)?
        } else {
            hub.snapshot(&repo, progress)?
        };
        Ok(Self {
            place: Place::Hub {
                repo,
                snapshot: Box::new(snapshot),
            },
            progress,
        })
    }

    /// Says something of the checkpoint that stops nothing.
    pub fn warn(&self, message: &str) {
        self.progress.warn(&format!("{self}: {message}"));
    }

    /// Which repository it is, and at which commit.
    pub fn origin(&self) -> Option<Origin> {
        match &self.place {
            Place::Local(_) => None,
            Place::Hub { repo, snapshot } => Some(Origin {
                repo: repo.name.clone(),
                revision: snapshot.commit().to_owned(),
            }),
        }
    }

    /// Whether a file is on this machine; the hub is not asked.
    pub fn holds(&self, name: &str) -> bool {
        match &self.place {
            Place::Local(dir) => dir.join(name).is_file(),
            Place::Hub { snapshot, .. } => snapshot.holds(name),
        }
    }

    /// The path of a file, downloaded unless it is here; `None` where there is none.
    pub fn find(&self, name: &str) -> Result<Option<PathBuf>, Error> {
        match &self.place {
            Place::Local(dir) => {
                let path = dir.join(name);
                check_links(&path)?;
                match files::check_size(&path, u64::MAX) {
                    Ok(()) => Ok(Some(path)),
                    Err(error)
                        if matches!(
                            error.kind(),
                            ErrorKind::NotFound | ErrorKind::NotADirectory
                        ) =>
                    {
                        Ok(None)
                    }
                    Err(error) => Err(error.into()),
                }
            }
            Place::Hub { snapshot, .. } if snapshot.has(name)? => Ok(Some(snapshot.file(name)?)),
            Place::Hub { .. } => Ok(None),
        }
    }

    /// The values of a JSON file that must be there, and its path for messages.
    pub fn json(&self, name: &str) -> Result<(Value, PathBuf), Error> {
        let path = match &self.place {
            Place::Local(dir) => {
                let path = dir.join(name);
                check_links(&path)?;
                // If it is not there, the error of reading it says so.
                path
            }
            Place::Hub { snapshot, .. } => snapshot.file(name)?,
        };
        Ok((json::read(&path)?, path))
    }

    /// The safetensors files that hold the weights: the one of that name, else those that an index beside it lists.
    ///
    /// # Errors
    /// Of a pickle, where there are pickles only; [`NoWeights`] where there is nothing; of the index, if it names files
    /// outside the folder, or none.
    pub fn weights(&self, name: &str) -> Result<Vec<PathBuf>, Error> {
        if let Some(path) = self.find(name)? {
            return Ok(vec![path]);
        }
        if let Some(path) = self.find(&format!("{name}.index.json"))? {
            return shards(&path)?
                .iter()
                .map(|shard| {
                    self.find(shard)?.ok_or_else(|| {
                        let shard = foreign(shard);
                        incomplete(&path, &format!("lists `{shard}`, which is not there"))
                    })
                })
                .collect();
        }
        if let Place::Hub { snapshot, .. } = &self.place
            && !snapshot.is_known_absent(name)
        {
            // They may be there: the hub was not asked, and its error says so.
            snapshot.file(name)?;
        }
        if let Some(path) = self.first_pickle(name)? {
            let repo = match &self.place {
                Place::Local(_) => None,
                Place::Hub { repo, .. } => Some(repo),
            };
            return Err(pickle::refused(&path, repo, name).into());
        }
        Err(NoWeights {
            place: self.to_string(),
            file: name.to_owned(),
        }
        .into())
    }

    /// The safetensors file with the weights, in a local folder as timm and `open_clip` look for it: the first of `names`
    /// that is there, else the first of any name. A repository has them under the first name.
    ///
    /// # Errors
    /// Errors of [`Self::weights`]; of a pickle that the library would take.
    pub fn weights_of_any_name(&self, names: &[&str]) -> Result<Vec<PathBuf>, Error> {
        let expected = names.first().copied().unwrap_or_default();
        let Place::Local(dir) = &self.place else {
            return self.weights(expected);
        };
        if self.find(&format!("{expected}.index.json"))?.is_some() {
            return self.weights(expected);
        }
        for name in names {
            match self.find(name)? {
                Some(path) if pickle::is_pickle(&path) => {
                    return Err(pickle::refused(&path, None, expected).into());
                }
                Some(path) => return Ok(vec![path]),
                None => {}
            }
        }
        let mut files = files_of(dir)?;
        files.retain(|path| path.extension().is_some_and(|end| end == "safetensors"));
        let Some(first) = files.first() else {
            return self.weights(expected);
        };
        check_links(first)?;
        if files.len() > 1 {
            self.warn(&format!(
                "`{}` is taken, the first of {} safetensors files here",
                foreign(&first.file_name().unwrap_or_default().to_string_lossy()),
                files.len()
            ));
        }
        files.truncate(1);
        Ok(files)
    }

    /// Makes the revision stand for this commit from now on: all files of the checkpoint are here.
    pub fn pin(&self) -> Result<(), Error> {
        match &self.place {
            Place::Local(_) => Ok(()),
            Place::Hub { snapshot, .. } => Ok(snapshot.pin()?),
        }
    }

    /// A pickle that holds the weights instead.
    fn first_pickle(&self, name: &str) -> Result<Option<PathBuf>, Error> {
        match &self.place {
            Place::Local(dir) => {
                let first = pickle::likeliest(files_of(dir)?);
                first.iter().try_for_each(|path| check_links(path))?;
                Ok(first)
            }
            Place::Hub { snapshot, .. } => {
                let stem = name.trim_end_matches("model.safetensors");
                let names = [
                    format!("{stem}pytorch_model.bin"),
                    "pytorch_model.bin".to_owned(),
                ];
                for name in names {
                    if snapshot.has(&name)? {
                        return Ok(Some(PathBuf::from(format!("{self}/{name}"))));
                    }
                }
                Ok(None)
            }
        }
    }
}

/// The files of a folder in the order of their names, but for hidden ones.
fn files_of(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = fs_err::read_dir(dir)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    let is_hidden = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    };
    // A link to where nothing is stands for a file that is missed.
    paths.retain(|path| (path.is_file() || !path.exists()) && !is_hidden(path));
    paths.sort();
    Ok(paths)
}

/// The files that an index of a checkpoint in parts lists, sorted.
fn shards(index: &Path) -> Result<Vec<String>, Error> {
    let value = json::read(index)?;
    let mut shards: Vec<String> = value["weight_map"]
        .as_object()
        .into_iter()
        .flat_map(|map| map.values())
        .map(|shard| shard.as_str().unwrap_or_default().to_owned())
        .collect();
    shards.sort();
    shards.dedup();
    let is_plain = |name: &String| {
        let mut parts = Path::new(name).components();
        matches!(
            (parts.next(), parts.next()),
            (Some(Component::Normal(_)), None)
        ) && name.ends_with(".safetensors")
    };
    let odd = shards.iter().find(|shard| !is_plain(shard));
    if odd.is_some() || shards.is_empty() {
        let listed = odd.map_or_else(String::new, |shard| foreign(shard));
        let expected = "names of safetensors files in `weight_map`";
        return Err(incomplete(
            index,
            &format!("lists `{listed}`, expected {expected}"),
        ));
    }
    Ok(shards)
}

/// An index of a checkpoint in parts that does not lead to them.
fn incomplete(index: &Path, problem: &str) -> Error {
    Message::data(format!("{}: {problem}", text::path(index)))
        .hint("copy or download all files of the checkpoint again")
        .into()
}

#[cfg(test)]
mod tests;
