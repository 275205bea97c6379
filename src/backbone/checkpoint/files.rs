//! The files of a checkpoint, on this machine or on the hub.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::backbone::checkpoint::location::Places;
use crate::backbone::error::Error;
use crate::backbone::spec::Source;
use crate::files::{self, BrokenLink};
use crate::hub::{Repo, Snapshot};
use crate::progress::Progress;
use crate::text::{self, foreign};

/// A folder or a repository that holds one checkpoint.
pub struct Folder<'a> {
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

impl fmt::Display for Folder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Local(dir) => f.write_str(&text::path(dir)),
            Place::Hub { repo, .. } => write!(f, "hf-hub:{repo}"),
        }
    }
}

impl<'a> Folder<'a> {
    /// A folder of this machine, whose `weights` have that name.
    ///
    /// # Errors
    /// [`Error::Pickle`] if the path is that of a pickle.
    pub fn local(dir: PathBuf, weights: &str, progress: &'a dyn Progress) -> Result<Self, Error> {
        if is_pickle(&dir) && dir.is_file() {
            return Err(Error::Pickle {
                path: dir,
                repo: None,
                file: weights.to_owned(),
            });
        }
        Ok(Self {
            place: Place::Local(dir),
            progress,
        })
    }

    /// A repository of the hub.
    pub fn hub(repo: Repo, places: Places<'a>) -> Result<Self, Error> {
        let Places { hub, progress, .. } = places;
        let snapshot = if places.update {
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
    pub fn source(&self) -> Option<Source> {
        match &self.place {
            Place::Local(_) => None,
            Place::Hub { repo, snapshot } => Some(Source {
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
                BrokenLink::check(&path)?;
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
            Place::Hub { snapshot, .. } if snapshot.has(name, self.progress)? => {
                Ok(Some(snapshot.file(name, self.progress)?))
            }
            Place::Hub { .. } => Ok(None),
        }
    }

    /// The path of a file that must be there.
    pub fn require(&self, name: &str) -> Result<PathBuf, Error> {
        match &self.place {
            Place::Local(dir) => {
                let path = dir.join(name);
                BrokenLink::check(&path)?;
                // If it is not there, the error of reading it says so.
                Ok(path)
            }
            Place::Hub { snapshot, .. } => Ok(snapshot.file(name, self.progress)?),
        }
    }

    /// The values of a JSON file that must be there, and its path for messages.
    pub fn json(&self, name: &str) -> Result<(Value, PathBuf), Error> {
        let path = self.require(name)?;
        Ok((read_json(&path)?, path))
    }

    /// The safetensors files that hold the weights: one of `names`, else those that an index beside it lists.
    ///
    /// # Errors
    /// [`Error::Pickle`] where there are pickles only, [`Error::NoWeights`] where there is nothing;
    /// [`Error::Index`] if the index names files outside the folder, or none.
    pub fn weights(&self, name: &str) -> Result<Vec<PathBuf>, Error> {
        if let Some(path) = self.find(name)? {
            return Ok(vec![path]);
        }
        if let Some(path) = self.find(&format!("{name}.index.json"))? {
            return shards(&path)?
                .iter()
                .map(|shard| {
                    self.find(shard)?.ok_or_else(|| Error::NoShard {
                        index: path.clone(),
                        shard: shard.clone(),
                    })
                })
                .collect();
        }
        if let Place::Hub { snapshot, .. } = &self.place
            && !snapshot.is_known_absent(name)
        {
            // They may be there: the hub was not asked, and its error says so.
            snapshot.file(name, self.progress)?;
        }
        if let Some(path) = self.first_pickle(name)? {
            let repo = match &self.place {
                Place::Local(_) => None,
                Place::Hub { repo, .. } => Some(repo.to_string()),
            };
            return Err(Error::Pickle {
                path,
                repo,
                file: name.to_owned(),
            });
        }
        Err(Error::NoWeights {
            place: self.to_string(),
            file: name.to_owned(),
        })
    }

    /// The safetensors file with the weights, in a local folder as timm and `open_clip` look for it: the first of `names`
    /// that is there, else the first of any name. A repository has them under the first name.
    ///
    /// # Errors
    /// Those of [`Self::weights`]; [`Error::Pickle`] where the library would take a pickle.
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
                Some(path) if is_pickle(&path) => {
                    return Err(Error::Pickle {
                        path,
                        repo: None,
                        file: expected.to_owned(),
                    });
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
        BrokenLink::check(first)?;
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
                let first = files_of(dir)?
                    .into_iter()
                    .filter(|path| is_pickle(path) && !is_state_of_training(path))
                    .min_by_key(|path| rank(path));
                first.iter().try_for_each(|path| BrokenLink::check(path))?;
                Ok(first)
            }
            Place::Hub { snapshot, .. } => {
                let stem = name.trim_end_matches("model.safetensors");
                let names = [
                    format!("{stem}pytorch_model.bin"),
                    "pytorch_model.bin".to_owned(),
                ];
                for name in names {
                    if snapshot.has(&name, self.progress)? {
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

/// The largest description of a checkpoint that is read: an index has a line of some 100 bytes for
/// each tensor, and the largest networks have some 100,000.
pub const MAX_JSON_BYTES: u64 = 64 << 20;

/// The values of a JSON file.
pub fn read_json(path: &Path) -> Result<Value, Error> {
    parse_json(&files::read(path, MAX_JSON_BYTES)?, path)
}

/// Reads JSON as Python does; `path` is for messages.
pub fn parse_json(bytes: &[u8], path: &Path) -> Result<Value, Error> {
    serde_json::from_slice(bytes)
        .or_else(|error| match with_quoted_literals(bytes) {
            Some(bytes) => serde_json::from_slice(&bytes),
            None => Err(error),
        })
        .map_err(|source| Error::Json {
            path: path.to_owned(),
            source,
        })
}

/// The same JSON with `NaN`, `Infinity` and `-Infinity`, which Python's `json` writes, as texts: no setting takes them for
/// numbers. `None` where there are none.
fn with_quoted_literals(json: &[u8]) -> Option<Vec<u8>> {
    let mut quoted = Vec::with_capacity(json.len());
    let (mut is_text, mut is_changed) = (false, false);
    let mut place = 0;
    while let Some(&byte) = json.get(place) {
        let literal = ["NaN", "Infinity", "-Infinity"]
            .into_iter()
            .find(|literal| !is_text && json[place..].starts_with(literal.as_bytes()));
        if let Some(literal) = literal {
            quoted.extend(format!("\"{literal}\"").bytes());
            place += literal.len();
            is_changed = true;
            continue;
        }
        quoted.push(byte);
        place += 1;
        if is_text && byte == b'\\' {
            quoted.extend(json.get(place));
            place += 1;
        } else {
            is_text ^= byte == b'"';
        }
    }
    is_changed.then_some(quoted)
}

/// The files that an index of a checkpoint in parts lists, sorted.
fn shards(index: &Path) -> Result<Vec<String>, Error> {
    let value = read_json(index)?;
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
            (Some(std::path::Component::Normal(_)), None)
        ) && name.ends_with(".safetensors")
    };
    match shards.iter().find(|shard| !is_plain(shard)) {
        Some(shard) => Err(Error::Index {
            index: index.to_owned(),
            found: shard.clone(),
        }),
        None if shards.is_empty() => Err(Error::Index {
            index: index.to_owned(),
            found: String::new(),
        }),
        None => Ok(shards),
    }
}

/// What the names of PyTorch's pickles end with, in the order in which timm takes them, then those that it leaves.
const PICKLES: [&str; 5] = [".pth", ".pth.tar", ".bin", ".pt", ".ckpt"];

/// Whether a file's name is one that PyTorch's pickles go by.
fn is_pickle(path: &Path) -> bool {
    let name = path.to_string_lossy();
    PICKLES.iter().any(|end| name.ends_with(end))
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

#[cfg(test)]
mod tests;
