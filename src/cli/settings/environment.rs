//! What the environment says: the user's folders, the names in paths, the network, the terminal.

use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};

use crate::backbone::{self, SearchPaths};
use crate::files::{self, Names};

/// The value of a variable; none where it is empty.
pub fn environment(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// Whether the environment forbids requests to the network, by the variables of the hub's Python libraries.
pub fn is_offline() -> bool {
    is_set("HF_HUB_OFFLINE") || is_set("TRANSFORMERS_OFFLINE")
}

/// Whether a variable of the hub's Python library says yes.
pub fn is_set(name: &str) -> bool {
    let value = environment(name).unwrap_or_default();
    let value = value.to_string_lossy().to_uppercase();
    ["1", "ON", "YES", "TRUE"].contains(&value.as_str())
}

/// `$XDG_CACHE_HOME`, or `~/.cache`; none where the user has no home folder.
pub fn user_cache_dir() -> Option<PathBuf> {
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

/// Says what the names in paths stand for.
pub fn expand_paths() {
    files::expand_by(Names {
        variable: |name| std::env::var_os(name),
        home_of: |user| {
            if user.is_empty() {
                home()
            } else {
                files::home_of(user)
            }
        },
    });
}

/// Reads an argument that is a path: what a shell does not expand, as in `--out=~/x`, is expanded here.
pub fn place() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|written| {
        let path = files::expanded(&written);
        files::check_names(&path).map_err(|unknown| {
            let hint = unknown.hint();
            format!("a user or a variable in it is not known; {hint}")
        })?;
        Ok::<_, String>(path)
    })
}

/// Where libtorch is looked for: `$LIBTORCH`, around the program, in the user's data folder, as `scripts/libtorch.sh`
/// has it, and where Python looks for packages.
pub fn search_libtorch() {
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
pub fn wants_plain_text() -> bool {
    environment("NO_COLOR").is_some()
        || environment("TERM").is_some_and(|term| term == Path::new("dumb"))
}
