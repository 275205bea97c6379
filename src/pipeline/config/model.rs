//! A model: what the user calls it, and where its files are if they are on this machine.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::Deserializer;

use super::absolute;
use super::file::ConfigFile;
use crate::backbone::Pool;
use crate::error::Message;
use crate::files::located;
use crate::setting::{self, as_name, checked};
use crate::text::{self, either};

/// The prefix of a checkpoint that is a folder.
const LOCAL_DIR: &str = "local-dir:";

/// A model as the user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The library that defines it.
    pub org: String,
    /// The checkpoint, in that library's words.
    pub ckpt: String,
    /// How its features are pooled.
    pub pool: Pool,
    /// Whether the checkpoint may bring its own code.
    pub allow_code: bool,
    /// Where its files are.
    pub place: Place,
    /// What a relative path in `ckpt` is relative to.
    pub base_dir: PathBuf,
}

/// Where the files of a model are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a folder, as its library publishes them.
    Folder(PathBuf),
    /// In a file of features, which somebody else extracted.
    Features(PathBuf),
    /// In a `TorchScript` module.
    Script(PathBuf),
    /// Nowhere: its weights are drawn.
    Random,
    /// On the hub, or in its cache.
    Hub,
}

/// The table `[model]` of a pipeline file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelTable {
    #[serde(deserialize_with = "name")]
    org: String,
    #[serde(deserialize_with = "name")]
    ckpt: String,
    #[serde(default, deserialize_with = "pool")]
    pool: Pool,
    #[serde(default)]
    allow_code: bool,
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, "a text", as_name)
}

fn pool<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pool, D::Error> {
    let choices = either(Pool::all().map(|pool| format!("\"{pool}\"")));
    setting::parsed(deserializer, &choices)
}

impl Model {
    /// The model of the table at `path`.
    ///
    /// # Errors
    /// Of a pooling for features that are pooled already.
    pub fn new(table: ModelTable, path: &str, file: &ConfigFile) -> Result<Self, Message> {
        let ModelTable {
            org,
            ckpt,
            pool,
            allow_code,
        } = table;
        let base_dir = file.base_dir(&format!("{path}.ckpt")).to_owned();
        let place = match (org.as_str(), ckpt.strip_prefix(LOCAL_DIR)) {
            ("precomputed", _) => Place::Features(located(&base_dir, &ckpt)),
            ("torchscript", _) => Place::Script(located(&base_dir, &ckpt)),
            ("random", _) => Place::Random,
            (_, Some(dir)) => Place::Folder(located(&base_dir, dir)),
            (_, None) => Place::Hub,
        };
        let model = Self {
            org,
            ckpt,
            pool,
            allow_code,
            place,
            base_dir,
        };
        if model.is_precomputed() && pool != Pool::Auto {
            return Err(pool.unavailable(&model.path(), [Pool::Auto]));
        }
        Ok(model)
    }

    /// `org/ckpt`.
    fn path(&self) -> String {
        format!("{}/{}", self.org, self.ckpt)
    }

    /// What tells it from other models: `timm/vit_base_patch16_224`, and `timm/vit_base_patch16_224, pool mean` where its
    /// pooling is not `auto`.
    pub fn name(&self) -> String {
        match self.pool {
            Pool::Auto => self.path(),
            pool => format!("{}, pool {pool}", self.path()),
        }
    }

    /// Whether its features are in a file.
    pub fn is_precomputed(&self) -> bool {
        matches!(self.place, Place::Features(_))
    }

    /// Whether its checkpoint is a program.
    pub fn brings_code(&self) -> bool {
        matches!(self.place, Place::Script(_))
    }

    /// Whether it is made or kept on this machine, and the hub is not asked for it.
    pub fn is_local(&self) -> bool {
        self.place != Place::Hub
    }

    /// `ckpt` with its path, where it is one, made absolute: it means the same in any folder.
    pub fn absolute_ckpt(&self) -> String {
        match &self.place {
            Place::Folder(dir) => format!("{LOCAL_DIR}{}", absolute(dir)),
            Place::Features(path) | Place::Script(path) => absolute(path),
            Place::Random | Place::Hub => self.ckpt.clone(),
        }
    }
}

/// The error for a file of a model that is not there.
pub fn no_file(path: &Path) -> Message {
    Message::request(format!("`model.ckpt`: no file `{}`", text::path(absolute(path)))).hint(
        "set `model.ckpt`; a relative path starts at the folder of the pipeline file, in `--set` at the working folder",
    )
}
