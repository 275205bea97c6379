//! Python environments: where their packages are, and what installs one.

use std::path::{Path, PathBuf};

use crate::backbone::run::find::{MAX_TEXT_BYTES, VERSION};
use crate::files;
use crate::text::shell_word;

/// How packages are put into a Python environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python {
    /// What stands before `install`, such as `/venv/bin/python3 -m pip`, or `pipx inject newt-pipe`, which has no such
    /// word.
    command: String,
    /// Options behind it.
    options: String,
}

impl Default for Python {
    /// The one on `$PATH`.
    fn default() -> Self {
        Self::pip("python3")
    }
}

impl Python {
    fn pip(python: &str) -> Self {
        Self {
            command: format!("{python} -m pip install"),
            options: String::new(),
        }
    }

    /// The command that installs PyTorch, for a hint; `options` are pip's, with a space behind each.
    pub fn install(&self, options: &str) -> String {
        let Self {
            command,
            options: own,
        } = self;
        format!("`{command} {own}{options}'torch=={VERSION}.*'`")
    }
}

/// The environment that a program in `prefix/bin` is installed in, if it is installed in one; `path` are the folders of
/// `$PATH`.
pub fn of_prefix(prefix: Option<&Path>, path: &[PathBuf]) -> Option<Python> {
    let prefix = prefix?;
    let python = prefix.join("bin/python3");
    let packages = packages_of(prefix);
    if python.exists() {
        let python = shell_word(&python);
        if packages.iter().any(|dir| dir.join("pip").is_dir()) {
            return Some(Python::pip(&python));
        }
        if prefix.join("pipx_metadata.json").is_file() {
            return Some(Python {
                command: "pipx inject newt-pipe".to_owned(),
                options: String::new(),
            });
        }
        if prefix.join("uv-receipt.toml").is_file() || setting(prefix, "uv").is_some() {
            return Some(Python {
                command: "uv pip install".to_owned(),
                options: format!("--python {python} "),
            });
        }
        return Some(Python::pip(&format!("{python} -m ensurepip && {python}")));
    }
    // `pip install --user`, and Debian's `/usr/local`: the packages are here, Python is elsewhere.
    let packages = packages.iter().find(|dir| has_us(dir))?;
    let name = packages.parent()?.file_name()?.to_str()?;
    let mut python = Python::pip(name);
    let is_managed = path.iter().any(|dir| {
        let real = fs_err::canonicalize(dir.join(name)).ok();
        let prefix = real
            .as_deref()
            .and_then(Path::parent)
            .and_then(Path::parent);
        prefix.is_some_and(|prefix| {
            let lib = prefix.join("lib").join(name);
            lib.join("EXTERNALLY-MANAGED").is_file()
        })
    });
    if is_managed {
        // As newt-pipe itself was installed.
        python.options.push_str("--break-system-packages ");
    }
    Some(python)
}

/// The prefixes that the `python3` in a folder may belong to: its own, and where it is a link, that of the file.
pub fn prefixes_on(dir: &Path) -> Vec<PathBuf> {
    let python = dir.join("python3");
    // A link such as `/usr/local/bin/python3` leads to where the packages are.
    let Ok(real) = fs_err::canonicalize(&python) else {
        return Vec::new();
    };
    let prefix = |file: &Path| file.parent().and_then(Path::parent).map(Path::to_owned);
    [prefix(&python), prefix(&real)]
        .into_iter()
        .flatten()
        .collect()
}

/// The folders of packages below a prefix: those with newt-pipe first, then of the newest Python.
pub fn packages_of(prefix: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(bool, u32, PathBuf)> = Vec::new();
    let mut libs = Vec::new();
    for lib in ["lib", "lib64", "local/lib"] {
        // In virtual environments `lib64` is a link to `lib`.
        match fs_err::canonicalize(prefix.join(lib)) {
            Ok(real) if !libs.contains(&real) => libs.push(real),
            _ => continue,
        }
        let Ok(entries) = fs_err::read_dir(prefix.join(lib)) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let minor = name
                .to_str()
                .and_then(|name| name.strip_prefix("python3"))
                .map(|minor| minor.trim_start_matches('.').parse().unwrap_or(0));
            let Some(minor) = minor else { continue };
            for packages in ["site-packages", "dist-packages"] {
                let packages = entry.path().join(packages);
                if packages.is_dir() {
                    found.push((!has_us(&packages), u32::MAX - minor, packages));
                }
            }
        }
    }
    found.sort();
    found.into_iter().map(|(.., packages)| packages).collect()
}

/// Whether a folder of packages holds newt-pipe's.
fn has_us(packages: &Path) -> bool {
    fs_err::read_dir(packages).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with("newt_pipe-")
        })
    })
}

/// The prefix that a virtual environment builds on, if it lets that one's packages through.
pub fn base_prefix(prefix: &Path) -> Option<PathBuf> {
    if !setting(prefix, "include-system-site-packages")?.eq_ignore_ascii_case("true") {
        return None;
    }
    let home = setting(prefix, "home")?;
    Path::new(&home).parent().map(Path::to_owned)
}

/// A value of a virtual environment's `pyvenv.cfg`.
fn setting(prefix: &Path, key: &str) -> Option<String> {
    let text = files::read_text(&prefix.join("pyvenv.cfg"), MAX_TEXT_BYTES).ok()?;
    text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, "").unwrap();
    }

    /// The prefix of an environment without pip, and the hint for it once `files` lie in it.
    fn hint(dir: &Path, files: &[&str]) -> String {
        touch(&dir.join("bin/python3"));
        for file in files {
            touch(&dir.join(file));
        }
        let python = of_prefix(Some(dir), &[]).unwrap();
        python
            .install("")
            .replace(&dir.display().to_string(), "ENV")
    }

    #[test]
    fn each_maker_of_environments_has_its_own_command() {
        for (files, expected) in [
            (
                &["lib/python3.11/site-packages/pip/__init__.py"][..],
                "`ENV/bin/python3 -m pip install 'torch==2.11.*'`",
            ),
            (
                &["uv-receipt.toml"],
                "`uv pip install --python ENV/bin/python3 'torch==2.11.*'`",
            ),
            (
                &["pipx_metadata.json"],
                "`pipx inject newt-pipe 'torch==2.11.*'`",
            ),
            (
                &[],
                "`ENV/bin/python3 -m ensurepip && ENV/bin/python3 -m pip install 'torch==2.11.*'`",
            ),
        ] {
            let dir = tempfile::tempdir().unwrap();
            assert_eq!(hint(dir.path(), files), expected);
        }
    }

    #[test]
    fn environment_that_uv_made_says_so_in_its_settings() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(
            dir.path().join("pyvenv.cfg"),
            "home = /usr/bin\nuv = 0.9.2\n",
        )
        .unwrap();
        let expected = "`uv pip install --python ENV/bin/python3 'torch==2.11.*'`";
        assert_eq!(hint(dir.path(), &[]), expected);
    }

    #[test]
    fn packages_beside_no_python_belong_to_the_one_that_they_are_named_after() {
        let dir = tempfile::tempdir().unwrap();
        let ours = "local/lib/python3.10/site-packages/newt_pipe-0.1.0.dist-info/METADATA";
        touch(&dir.path().join(ours));
        let prefix = dir.path().join("local");
        let path = [dir.path().join("usr/bin")];
        let hint = || of_prefix(Some(&prefix), &path).unwrap().install("");
        touch(&path[0].join("python3.10"));
        assert_eq!(hint(), "`python3.10 -m pip install 'torch==2.11.*'`");
        // Debian lets pip install there only if it is told to.
        touch(&dir.path().join("usr/lib/python3.10/EXTERNALLY-MANAGED"));
        assert_eq!(
            hint(),
            "`python3.10 -m pip install --break-system-packages 'torch==2.11.*'`"
        );
        assert_eq!(of_prefix(Some(&dir.path().join("usr")), &path), None);
    }
}
