//! Flag > environment > pipeline file > default, resolved once; and what the records say of the
//! program and the machine.

mod kept;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::num::NonZero;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::builder::{PathBufValueParser, TypedValueParser};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};

pub(super) use self::kept::caches;
use super::console::Console;
use crate::backbone::{self, SearchPaths};
use crate::cache::{self, Access, Cache};
use crate::error::{Error, Message};
use crate::files::{self, Names, UnknownName};
use crate::hub::{self, Token};
use crate::interrupt::{Interrupt, Wish};
use crate::pipeline::config::{Pipeline, PipelineFile};
use crate::progress::Progress;
use crate::text::{self, count};

/// The version as `--version` shows it.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The arguments that say which pipeline is meant.
#[derive(Debug, clap::Args)]
pub(super) struct PipelineArgs {
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
pub(super) struct HubArgs {
    /// Make no network request: take checkpoints from the cache of the Hugging Face hub only
    /// [default: as `$HF_HUB_OFFLINE` says].
    #[arg(long)]
    offline: bool,
}

/// Where the cache is.
#[derive(Debug, clap::Args)]
pub(super) struct CacheArgs {
    /// The cache folder [default: `$NEWT_PIPE_CACHE`, then `cache.dir` of the pipeline file, then the
    /// user's cache folder].
    #[arg(long, value_name = "DIR", value_parser = place())]
    cache_dir: Option<PathBuf>,
}

impl PipelineArgs {
    /// Reads the pipeline file and applies the overrides.
    pub(super) fn load(&self, interrupt: &Interrupt) -> Result<Pipeline, Error> {
        let file = self
            .file
            .as_deref()
            .map_or(PipelineFile::Quickstart, PipelineFile::At);
        Pipeline::load(file, &self.overrides, interrupt)
    }

    /// How the hub is reached; a plan does not ask it.
    pub(super) fn hub(&self, is_plan: bool) -> hub::Settings {
        if is_plan {
            self.hub.offline_settings()
        } else {
            self.hub.settings()
        }
    }

    /// Opens the cache that flag, environment, pipeline and default agree on.
    pub(super) fn open_cache(
        &self,
        pipeline: &Pipeline,
        access: Access,
        progress: &dyn Progress,
    ) -> Result<Cache, Error> {
        let dir = self.cache.dir(pipeline.cache_dir.as_deref())?;
        Ok(Cache::open_telling(dir, access, progress)?)
    }
}

impl CacheArgs {
    /// The cache folder.
    ///
    /// # Errors
    /// There is none that could be meant, or nobody has named one and the user's own is in a folder that is open to all.
    pub(super) fn dir(&self, of_pipeline: Option<&Path>) -> Result<PathBuf, Error> {
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
        UnknownName::check(&dir).map_err(|dir| no_cache_dir(format!("cache folder {dir}")))?;
        Ok(dir)
    }
}

impl HubArgs {
    /// How the hub is reached: by the variables that its Python library reads.
    pub(super) fn settings(&self) -> hub::Settings {
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
    pub(super) fn offline_settings(&self) -> hub::Settings {
        hub::Settings {
            offline: true,
            ..self.settings()
        }
    }
}

/// Whether the environment forbids requests to the network, by the variables of the hub's Python libraries.
pub(super) fn is_offline() -> bool {
    is_set("HF_HUB_OFFLINE") || is_set("TRANSFORMERS_OFFLINE")
}

/// Whether a variable of the hub's Python library says yes.
fn is_set(name: &str) -> bool {
    let value = environment(name).unwrap_or_default();
    let value = value.to_string_lossy().to_uppercase();
    ["1", "ON", "YES", "TRUE"].contains(&value.as_str())
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

/// The error for a cache folder that is none.
fn no_cache_dir(what: impl Into<String>) -> Message {
    Message::request(what)
        .hint("name the folder with `--cache-dir DIR`, or set NEWT_PIPE_CACHE to it")
}

/// Where the cache is if nobody says so: below the user's cache folder.
///
/// Some accounts, and some containers, have `/tmp` for a home: whoever came first would have made the cache there, and
/// what a cache holds is believed.
fn default_cache_dir() -> Result<PathBuf, Message> {
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
    if let Some(owner) = cache::foreign_owner(&dir).filter(|owner| *owner != 0) {
        return Err(not_own(format!("belongs to {}", files::user_name(owner))));
    }
    let deepest = dir
        .ancestors()
        .find_map(|folder| Some((folder, fs_err::metadata(folder).ok()?)));
    match deepest {
        // A folder of the user's own, open to all, is what containers give to whoever runs them.
        Some((folder, metadata))
            if metadata.mode() & OPEN != 0
                && (metadata.mode() & STICKY != 0 || cache::foreign_owner(folder).is_some()) =>
        {
            let folder = text::path(folder);
            Err(not_own(format!("anyone can write to `{folder}`")))
        }
        _ => Ok(dir),
    }
}

/// The mode of a folder that anyone can write to …
const OPEN: u32 = 0o002;
/// … and of one, such as `/tmp`, that is meant for many users.
const STICKY: u32 = 0o1000;

/// `$XDG_CACHE_HOME`, or `~/.cache`; none where the user has no home folder.
fn user_cache_dir() -> Option<PathBuf> {
    environment("XDG_CACHE_HOME")
        .map(|dir| files::expanded(&dir))
        // The XDG specification: a relative path is to be ignored.
        .filter(|dir| dir.is_absolute())
        .or_else(|| Some(home()?.join(".cache")))
}

/// The user's folder: `$HOME`, else that of the user's entry in passwd.
fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

/// The folder of `user`, or of the one who runs the program where no name is given.
fn home_of(user: &OsStr) -> Option<PathBuf> {
    if user.is_empty() {
        return home();
    }
    let passwd = fs_err::read("/etc/passwd").ok()?;
    let mut lines = passwd.split(|byte| *byte == b'\n');
    lines.find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let home = (fields.next()? == user.as_bytes()).then(|| fields.nth(4))??;
        Some(OsStr::from_bytes(home).into())
    })
}

/// Says what the names in paths stand for.
pub(super) fn expand_paths() {
    files::expand_by(Names {
        variable: |name| std::env::var_os(name),
        home_of,
    });
}

/// Reads an argument that is a path: what a shell does not expand, as in `--out=~/x`, is expanded here.
pub(super) fn place() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|written| {
        let path = files::expanded(&written);
        UnknownName::check(&path).map(|()| path).map_err(|_| {
            format!(
                "a user or a variable in it is not known; {}",
                UnknownName::HINT
            )
        })
    })
}

fn environment(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// Where libtorch is looked for: `$LIBTORCH`, around the program, in the user's data folder, as `scripts/libtorch.sh`
/// has it, and where Python looks for packages.
pub(super) fn search_libtorch() {
    let folders = |name: &str| match std::env::var_os(name) {
        Some(value) => std::env::split_paths(&value)
            .filter(|dir| dir.is_absolute())
            .collect(),
        None => Vec::new(),
    };
    let data_dir = || {
        let data_home = environment("XDG_DATA_HOME").filter(|dir| dir.is_absolute());
        let of_user = || home().map(|home| home.join(".local/share"));
        Some(data_home.or_else(of_user)?.join("newt-pipe"))
    };
    // `/proc/self/exe` gives the file itself, whatever links led to it.
    let program = std::env::current_exe().ok();
    backbone::search_libtorch_in(SearchPaths {
        libtorch: environment("LIBTORCH"),
        program_dir: program.and_then(|file| file.parent().map(Path::to_owned)),
        python_path: folders("PYTHONPATH"),
        path: folders("PATH"),
        user_base: environment("PYTHONUSERBASE").or_else(|| home().map(|home| home.join(".local"))),
        build_dir: environment("NEWT_PIPE_LIBTORCH_DIR").or_else(data_dir),
    });
}

/// Whether the environment asks for plain text: `NO_COLOR`, or a terminal that can do nothing else.
pub(super) fn wants_plain_text() -> bool {
    environment("NO_COLOR").is_some()
        || environment("TERM").is_some_and(|term| term == Path::new("dumb"))
}

/// Signals set a flag that long loops look at; a second wish ([`Interrupt::hear`]) ends the program at once.
pub(super) fn catch_signals() -> Result<Interrupt, Error> {
    let interrupt = Interrupt::default();
    let started = Instant::now();
    for signal in [SIGINT, SIGTERM, SIGUSR1, SIGHUP] {
        // `nohup` has SIGHUP ignored, so that the program outlives its terminal, and a shell without job control has SIGINT
        // ignored by what it starts in the background: Ctrl-C is for what stands in front.
        if is_ignored(signal) {
            continue;
        }
        let interrupt = interrupt.clone();
        let number = usize::try_from(signal).unwrap_or_default();
        let heard = move || match interrupt.hear(number, started.elapsed()) {
            Wish::Stop => {}
            Wish::EndNow => signal_hook::low_level::exit(128 + signal),
        };
        #[expect(
            unsafe_code,
            reason = "a handler that looks at the clock; signal-hook's safe ones only set flags"
        )]
        // SAFETY: the handler reads a clock (on Linux by `clock_gettime`), changes atomic numbers and ends the process
        // by `_exit`; all of that may be done in a handler. It frees, locks and allocates nothing.
        unsafe { signal_hook::low_level::register(signal, heard) }?;
    }
    // A file that outgrows `ulimit -f` is then an error of the write, which is reported, and not
    // the end of the process.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    Ok(interrupt)
}

/// Whether whoever started the program has it ignore `signal`.
fn is_ignored(signal: i32) -> bool {
    #[expect(unsafe_code, reason = "std cannot ask how a signal is handled")]
    // SAFETY: of a struct of numbers and function pointers that may be null, zeros are a value; without a new action
    // the call only writes the present one to it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}

/// Threads beyond the cores: more of them only wait for each other.
const SPARE_THREADS: usize = 4;

/// Starts the threads of everything that computes: as many as `--threads` says, or rayon's variable, or one per core;
/// never many more than cores.
pub(super) fn start_threads(flag: Option<u16>, console: &Console) -> Result<(), Error> {
    const VARIABLE: &str = "RAYON_NUM_THREADS";
    let n_cores = thread::available_parallelism().map_or(1, NonZero::get);
    let most = n_cores + SPARE_THREADS;
    // As rayon reads it: what is no number, or zero, says nothing.
    let of_variable = || environment(VARIABLE)?.to_str()?.parse().ok();
    let asked = match flag {
        Some(n) => Some((format!("--threads {n}"), n.into())),
        None => of_variable()
            .filter(|n| *n > 0)
            .map(|n: usize| (format!("{VARIABLE}={n}"), n)),
    };
    if let Some((asked, _)) = asked.as_ref().filter(|(_, n)| *n > most) {
        console.warn(&format!(
            "{asked}: this machine has {}, so {most} threads are started",
            count(n_cores, "core", "cores")
        ));
    }
    let n = asked.map_or(n_cores, |(_, n)| n.min(most));
    let workers = waiting_workers(n);
    if workers.len() < n {
        console.warn(&format!(
            "{} asked for, the system allows {}: the work is done with {}; `ulimit -u` and the job's limits say how many \
             there may be",
            count(n, "thread", "threads"),
            workers.len(),
            match workers.len() {
                0 => "the program's first thread alone".to_owned(),
                n => count(n, "thread", "threads"),
            }
        ));
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(workers.len().max(1));
    let built = if workers.is_empty() {
        pool.use_current_thread().build_global()
    } else {
        let mut workers = workers.into_iter();
        let hand_over = |work| {
            let worker = workers.next();
            let handed = worker.and_then(|worker| worker.send(work).ok());
            handed.ok_or_else(|| io::Error::other("a thread ended before it had work"))
        };
        pool.spawn_handler(hand_over).build_global()
    };
    built.map_err(|error| io::Error::other(error).into())
}

/// Starts `n` threads, or as many as the system allows, each of which waits for its part of rayon's pool: rayon gives up
/// for good where one of its own cannot be started.
fn waiting_workers(n: usize) -> Vec<Sender<rayon::ThreadBuilder>> {
    let start = |_| {
        let (sender, work) = mpsc::channel::<rayon::ThreadBuilder>();
        let wait = move || work.recv().into_iter().for_each(rayon::ThreadBuilder::run);
        thread::Builder::new().spawn(wait).ok()?;
        Some(sender)
    };
    (0..n).map_while(start).collect()
}

/// What the records say of the program, the machine and the time; none of it enters a key.
#[expect(
    clippy::disallowed_methods,
    reason = "the time is provenance and never enters a result"
)]
pub(super) fn provenance(pipeline: &Pipeline) -> BTreeMap<String, String> {
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
