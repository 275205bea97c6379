//! Flag > environment > pipeline file > default, resolved once; and what the records say of the
//! program and the machine.

mod environment;
mod kept;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

pub use self::environment::{
    environment, expand_paths, is_offline, place, search_libtorch, wants_plain_text,
};
use self::environment::{is_set, user_cache_dir};
pub use self::kept::caches;
use crate::backbone;
use crate::cache::{Access, Cache};
use crate::context::Context;
use crate::error::{Error, Message};
use crate::files::{self, STICKY};
use crate::hub::{self, Token};
use crate::interrupt::Interrupt;
use crate::pipeline::config::{Pipeline, PipelineFile};
use crate::pipeline::{Options, Runner};
use crate::text;

/// The version as `--version` shows it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The arguments that say which pipeline is meant.
#[derive(Debug, clap::Args)]
pub struct PipelineArgs {
    /// The pipeline file; without it, the built-in quickstart on drawn images.
    #[arg(value_name = "FILE", value_parser = place())]
    file: Option<PathBuf>,

    /// Override a key of the pipeline file, as in `--set probe.c=0.1`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,

    #[command(flatten)]
    cache: CacheArgs,

    #[command(flatten)]
    hub: HubArgs,
}

/// Whether the network is used.
#[derive(Debug, Default, clap::Args)]
pub struct HubArgs {
    /// Make no network request: take checkpoints from the cache of the Hugging Face hub only
    /// [default: as `$HF_HUB_OFFLINE` says].
    #[arg(long)]
    offline: bool,
}

/// Where the cache is.
#[derive(Debug, clap::Args)]
pub struct CacheArgs {
    /// The cache folder [default: `$NEWT_PIPE_CACHE`, then `cache.dir` of the pipeline file, then the
    /// user's cache folder].
    #[arg(long, value_name = "DIR", value_parser = place())]
    cache_dir: Option<PathBuf>,
}

impl PipelineArgs {
    /// Reads the pipeline file and applies the overrides.
    pub fn load(&self, interrupt: &Interrupt) -> Result<Pipeline, Error> {
        let file = self
            .file
            .as_deref()
            .map_or(PipelineFile::Quickstart, PipelineFile::At);
        Pipeline::load(file, &self.overrides, interrupt)
    }

    /// Prepares to evaluate `pipeline`, or to plan that, with the cache that flag, environment, pipeline and default agree
    /// on; provenance and hub are filled into `options`.
    pub fn runner<'a>(
        &self,
        pipeline: &'a Pipeline,
        access: Access,
        context: Context<'a>,
        options: Options,
    ) -> Result<Runner<'a>, Error> {
        let dir = self.cache.dir(pipeline.cache_dir.as_deref())?;
        let cache = Cache::open_telling(dir, access, context.progress)?;
        let options = Options {
            provenance: provenance(pipeline),
            // A plan does not ask the hub.
            hub: match access {
                Access::Look => self.hub.offline_settings(),
                Access::Make => self.hub.settings(),
            },
            ..options
        };
        Runner::new(pipeline, &cache, context, options)
    }
}

impl CacheArgs {
    /// The cache folder.
    ///
    /// # Errors
    /// There is none that could be meant, or nobody has named one and the user's own is in a folder that is open to all.
    pub fn dir(&self, of_pipeline: Option<&Path>) -> Result<PathBuf, Error> {
        let named = self
            .cache_dir
            .clone()
            .or_else(|| Some(files::expanded(&environment("NEWT_PIPE_CACHE")?)))
            .or_else(|| of_pipeline.map(Path::to_owned));
        let dir = match named {
            Some(dir) => dir,
            None => default_cache_dir()?,
        };
        // Nobody means a new folder named `~` or `$SCRATCH`.
        files::check_names(&dir).map_err(|dir| no_cache_dir(format!("cache folder {dir}")))?;
        Ok(dir)
    }
}

impl HubArgs {
    /// How the hub is reached: by the variables that its Python library reads.
    pub fn settings(&self) -> hub::Settings {
        let path = |name| environment(name).map(|path| files::expanded(&path));
        let home = path("HF_HOME").or_else(|| Some(user_cache_dir()?.join("huggingface")));
        let in_home = |name| home.as_ref().map(|home| home.join(name));
        hub::Settings {
            cache_dir: path("HF_HUB_CACHE")
                .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
                .or_else(|| in_home("hub")),
            endpoint: environment("HF_ENDPOINT").map_or_else(
                || hub::ENDPOINT.to_owned(),
                |url| url.to_string_lossy().into_owned(),
            ),
            token: token(|| path("HF_TOKEN_PATH").or_else(|| in_home("token"))),
            offline: self.offline || is_offline(),
        }
    }

    /// The same, with the cache alone.
    pub fn offline_settings(&self) -> hub::Settings {
        hub::Settings {
            offline: true,
            ..self.settings()
        }
    }
}

/// Where the hub's token is; `file` gives the path that it is kept at.
fn token(file: impl Fn() -> Option<PathBuf>) -> Option<Token> {
    let is_blank = |value: &PathBuf| value.to_str().is_some_and(|text| text.trim().is_empty());
    let variable = |name| {
        let value = environment(name).filter(|value| !is_blank(value))?;
        Some(Token::Variable {
            name,
            value: value.into_os_string(),
        })
    };
    let kept = || Some(Token::File(file()?)).filter(|_| !is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN"));
    variable("HF_TOKEN")
        .or_else(|| variable("HUGGING_FACE_HUB_TOKEN"))
        .or_else(kept)
}

/// Where the cache is if nobody says so: below the user's cache folder.
///
/// Some accounts, and some containers, have `/tmp` for a home: whoever came first would have made the cache there, and
/// what a cache holds is believed.
fn default_cache_dir() -> Result<PathBuf, Message> {
    /// The mode of a folder that anyone can write to.
    const OPEN: u32 = 0o002;
    let dir = user_cache_dir().ok_or_else(|| {
        no_cache_dir("no folder is known for the cache, since the user has no home folder")
    })?;
    let dir = dir.join("newt-pipe");
    let not_own = |what: String| {
        let dir = text::path(&dir);
        no_cache_dir(format!(
            "cache folder {dir}: {what}, expected a folder of your own"
        ))
    };
    if let Some(owner) = files::foreign_owner(&dir).filter(|owner| *owner != 0) {
        return Err(not_own(format!("belongs to {}", files::user_name(owner))));
    }
    let deepest = dir
        .ancestors()
        .find_map(|folder| Some((folder, fs_err::metadata(folder).ok()?)));
    match deepest {
        // A folder of the user's own, open to all, is what containers give to whoever runs them.
        Some((folder, metadata))
            if metadata.mode() & OPEN != 0
                && (metadata.mode() & STICKY != 0 || files::foreign_owner(folder).is_some()) =>
        {
            let folder = text::path(folder);
            Err(not_own(format!("anyone can write to `{folder}`")))
        }
        _ => Ok(dir),
    }
}

/// The error for a cache folder that is none.
fn no_cache_dir(what: impl Into<String>) -> Message {
    Message::request(what)
        .hint("name the folder with `--cache-dir DIR`, or set NEWT_PIPE_CACHE to it")
}

/// What the records say of the program, the machine and the time; none of it enters a key.
#[expect(
    clippy::disallowed_methods,
    reason = "the time is provenance and never enters a result"
)]
fn provenance(pipeline: &Pipeline) -> BTreeMap<String, String> {
    let mut provenance = BTreeMap::new();
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            provenance.insert(name.to_owned(), value.to_owned());
        }
    };
    add("version", VERSION);
    add("git_commit", env!("NEWT_PIPE_GIT_COMMIT"));
    if pipeline.runs_networks() {
        // The one that would be opened, and is where images are extracted.
        add("libtorch", backbone::libtorch_version().unwrap_or_default());
    }
    let host = fs_err::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    add("host", host.trim());
    if let Ok(device) = pipeline.features.device.resolve() {
        add("device", &device.to_string());
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    add("unix_time", &now.as_secs().to_string());
    provenance
}
