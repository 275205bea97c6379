//! Where libtorch is, by a look at folders and the version that they name; nothing is opened.
//!
//! The first of these that holds the right version is taken:
//!
//! 1. `$LIBTORCH`, a libtorch folder; where it is set, nothing else is.
//! 2. Beside the program: `libtorch` in its folder, or `../lib/newt-pipe/libtorch`, where `make install` puts it.
//! 3. PyTorch in the Python environment that the program is installed in, in the one that this environment
//!    builds on, or in those that `$PYTHONPATH` and the `python3` of `$PATH` belong to.
//! 4. Where `make build` unpacks it: `.libtorch` above the program, or the user's data folder.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::missing::Missing;
use super::wire::FILE;

/// The version of libtorch that networks are built for; any third number will do.
pub(super) const VERSION: &str = "2.11";

/// What the search starts from: the program's place and the user's environment.
#[derive(Clone, Debug, Default)]
pub struct SearchPaths {
    /// `$LIBTORCH`.
    pub libtorch: Option<PathBuf>,
    /// The folder of the program's file, links resolved.
    pub program_dir: Option<PathBuf>,
    /// The folders of `$PYTHONPATH`.
    pub python_path: Vec<PathBuf>,
    /// The folders of `$PATH`.
    pub path: Vec<PathBuf>,
    /// The folder where `make build` unpacks libtorch.
    pub build_dir: Option<PathBuf>,
}

/// A libtorch of the right version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Libtorch {
    /// The folder with `libtorch_cpu.so`.
    pub(super) lib_dir: PathBuf,
    /// Such as `2.11.0+cu130`.
    pub(super) version: String,
    /// Who put it there.
    owner: Owner,
}

/// Who put a libtorch where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    /// The user, for this program.
    User,
    /// `make install`.
    Install,
    /// A Python environment.
    Python(Python),
    /// `make build`.
    Build,
}

/// How packages are put into a Python environment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Python {
    /// Without `install`, such as `/venv/bin/python3 -m pip`.
    pip: String,
    /// Options behind `install`.
    options: String,
}

static PATHS: OnceLock<SearchPaths> = OnceLock::new();

/// Says where libtorch is looked for. Only the first call counts, before the first network or device is asked for.
pub fn search_libtorch_in(paths: SearchPaths) {
    // A second call finds the cell full, which is what is wanted.
    let _ = PATHS.set(paths);
}

/// The version of the libtorch that would be used, such as `2.11.0+cu130`; `None` where there is none.
pub fn libtorch_version() -> Option<&'static str> {
    libtorch().ok().map(|libtorch| libtorch.version.as_str())
}

/// The libtorch of this machine; looked for once.
pub(super) fn libtorch() -> Result<&'static Libtorch, Missing> {
    static FOUND: OnceLock<Result<Libtorch, Missing>> = OnceLock::new();
    FOUND
        .get_or_init(|| PATHS.get_or_init(SearchPaths::default).libtorch())
        .as_ref()
        .map_err(Missing::clone)
}

/// The file of the library that runs networks: beside the program, or in `../lib/newt-pipe`.
#[cfg_attr(
    feature = "torch",
    expect(dead_code, reason = "with `torch`, the library is part of the program")
)]
pub(super) fn library() -> Result<PathBuf, Missing> {
    PATHS.get_or_init(SearchPaths::default).library()
}

impl Libtorch {
    /// CUDA's half, where there is one.
    pub(super) fn cuda_half(&self) -> Option<PathBuf> {
        let path = self.lib_dir.join("libtorch_cuda.so");
        path.is_file().then_some(path)
    }

    /// The version of CUDA that it is built for, major number; `None` where it does not say.
    ///
    /// Its smaller half names the CUDA runtime that it needs, as in `libcudart.so.13`.
    pub(super) fn cuda_major(&self) -> Option<u32> {
        let bytes = fs_err::read(self.lib_dir.join("libc10_cuda.so")).ok()?;
        let names = bytes.split(|byte| *byte == 0);
        names
            .filter_map(|name| std::str::from_utf8(name).ok())
            .filter(|name| name.starts_with("libcudart"))
            .find_map(|name| {
                let (_, version) = name.split_once(".so.")?;
                version.split('.').next()?.parse().ok()
            })
    }

    /// What brings a libtorch with CUDA in the place of this one.
    pub(super) fn command_for_cuda(&self) -> String {
        match &self.owner {
            Owner::User => {
                format!("set LIBTORCH to the folder of a libtorch {VERSION} that is built for CUDA")
            }
            Owner::Install => {
                "`NEWT_PIPE_LIBTORCH_VARIANT=cuda make install PREFIX=…` brings one".to_owned()
            }
            Owner::Python(python) => {
                format!("{} brings one", python.command("--force-reinstall "))
            }
            Owner::Build => "`NEWT_PIPE_LIBTORCH_VARIANT=cuda make build` brings one".to_owned(),
        }
    }
}

impl Python {
    /// The command that installs PyTorch.
    fn command(&self, options: &str) -> String {
        let Self { pip, options: own } = self;
        format!("`{pip} install {own}{options}'torch=={VERSION}.*'`")
    }
}

/// A folder that may be libtorch's, and who would have put it there.
struct Candidate {
    lib_dir: PathBuf,
    owner: Owner,
}

impl SearchPaths {
    fn libtorch(&self) -> Result<Libtorch, Missing> {
        if let Some(path) = &self.libtorch {
            return set_by_user(path);
        }
        let mut others = Vec::new();
        for Candidate { lib_dir, owner } in self.candidates() {
            if !lib_dir.join("libtorch_cpu.so").is_file() {
                continue;
            }
            let version = version(&lib_dir);
            if is_right(&version) {
                return Ok(Libtorch {
                    lib_dir,
                    version,
                    owner,
                });
            }
            let dir = lib_dir.parent().unwrap_or(&lib_dir).to_owned();
            if !others.iter().any(|(known, _)| *known == dir) {
                others.push((dir, version));
            }
        }
        Err(Missing::Libtorch {
            others,
            command: self.command(),
        })
    }

    fn library(&self) -> Result<PathBuf, Missing> {
        let dir = self.program_dir.clone().unwrap_or_default();
        let places = [dir.join(FILE), dir.join("../lib/newt-pipe").join(FILE)];
        match places.iter().find(|path| path.is_file()) {
            Some(path) => Ok(path.clone()),
            None => Err(Missing::Library {
                path: dir.join(FILE),
            }),
        }
    }

    /// In the order of preference.
    fn candidates(&self) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        let mut add = |dir: PathBuf, owner: &Owner| {
            candidates.push(Candidate {
                lib_dir: dir.join("lib"),
                owner: owner.clone(),
            });
        };
        if let Some(program_dir) = &self.program_dir {
            add(program_dir.join("libtorch"), &Owner::Install);
            if let Some(prefix) = program_dir.parent() {
                add(prefix.join("lib/newt-pipe/libtorch"), &Owner::Install);
            }
        }
        let python = Owner::Python(self.python());
        for packages in self.python_packages() {
            add(packages.join("torch"), &python);
        }
        if let Some(program_dir) = &self.program_dir {
            for dir in program_dir.ancestors().skip(1) {
                add(dir.join(".libtorch"), &Owner::Build);
            }
        }
        if let Some(dir) = &self.build_dir {
            for variant in ["cuda", "cpu"] {
                add(
                    dir.join(format!("libtorch-{VERSION}.0-{variant}")),
                    &Owner::Build,
                );
            }
        }
        candidates
    }

    /// Folders of Python packages, nearest first.
    fn python_packages(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        if let Some(prefix) = self.prefix() {
            // `pip install --target` puts packages beside `bin`.
            found.push(prefix.to_owned());
            found.extend(packages_of(prefix));
            found.extend(
                base_prefix(prefix)
                    .iter()
                    .flat_map(|base| packages_of(base)),
            );
        }
        found.extend(self.python_path.iter().cloned());
        for python in self.path.iter().map(|dir| dir.join("python3")) {
            // A link such as `/usr/local/bin/python3` leads to where the packages are.
            let Ok(real) = fs_err::canonicalize(&python) else {
                continue;
            };
            for file in [&python, &real] {
                let prefix = file.parent().and_then(Path::parent);
                found.extend(prefix.into_iter().flat_map(packages_of));
            }
        }
        found
    }

    /// The folder whose `bin` holds the program.
    fn prefix(&self) -> Option<&Path> {
        self.program_dir.as_deref().and_then(Path::parent)
    }

    /// How PyTorch is installed for this program.
    fn python(&self) -> Python {
        self.own_python().unwrap_or(Python {
            pip: "python3 -m pip".to_owned(),
            options: String::new(),
        })
    }

    /// The environment that the program is installed in.
    fn own_python(&self) -> Option<Python> {
        let prefix = self.prefix()?;
        let python = prefix.join("bin/python3");
        let packages = packages_of(prefix);
        if python.exists() {
            let python = shell_word(&python);
            let has_pip = packages.iter().any(|dir| dir.join("pip").is_dir());
            return Some(if has_pip {
                Python {
                    pip: format!("{python} -m pip"),
                    options: String::new(),
                }
            } else {
                Python {
                    pip: "uv pip".to_owned(),
                    options: format!("--python {python} "),
                }
            });
        }
        // `pip install --user`, and Debian's `/usr/local`: the packages are here, Python is elsewhere.
        let packages = packages.iter().find(|dir| has_us(dir))?;
        let version = packages.parent()?.file_name()?.to_str()?;
        Some(Python {
            pip: format!("{version} -m pip"),
            options: String::new(),
        })
    }

    /// What installs libtorch.
    fn command(&self) -> String {
        match self.own_python() {
            Some(python) => python.command(""),
            None => format!(
                "`make build` in a clone brings it; or install PyTorch {VERSION} for the `python3` on your PATH, or \
                 set LIBTORCH to a libtorch {VERSION} folder"
            ),
        }
    }
}

fn set_by_user(path: &Path) -> Result<Libtorch, Missing> {
    let wrong = |problem: String| Missing::Variable {
        path: path.to_owned(),
        problem,
    };
    let lib_dir = path.join("lib");
    if !lib_dir.join("libtorch_cpu.so").is_file() {
        return Err(wrong("has no `lib/libtorch_cpu.so`".to_owned()));
    }
    let version = version(&lib_dir);
    if !is_right(&version) {
        return Err(wrong(format!("is version {version}, expected {VERSION}")));
    }
    Ok(Libtorch {
        lib_dir,
        version,
        owner: Owner::User,
    })
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

/// The folders of packages below a prefix: those with newt-pipe first, then of the newest Python.
fn packages_of(prefix: &Path) -> Vec<PathBuf> {
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

/// The prefix that a virtual environment builds on, if it lets that one's packages through.
fn base_prefix(prefix: &Path) -> Option<PathBuf> {
    let text = fs_err::read_to_string(prefix.join("pyvenv.cfg")).ok()?;
    let value = |key: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == key).then(|| value.trim())
        })
    };
    if !value("include-system-site-packages")?.eq_ignore_ascii_case("true") {
        return None;
    }
    Path::new(value("home")?).parent().map(Path::to_owned)
}

/// The version of the libtorch in a folder, as PyTorch or the headers beside it say.
fn version(lib_dir: &Path) -> String {
    let dir = lib_dir.parent().unwrap_or(lib_dir);
    let read = |name: &str| fs_err::read_to_string(dir.join(name)).ok();
    let of_python = || {
        let text = read("version.py")?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("__version__"))?;
        let (_, value) = line.split_once('=')?;
        Some(value.trim().trim_matches(['\'', '"']).to_owned())
    };
    let of_headers = || {
        let text = read("include/torch/headeronly/version.h")
            .or_else(|| read("include/torch/csrc/api/include/torch/version.h"))?;
        let number = |name: &str| {
            let start = format!("#define TORCH_VERSION_{name} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&start))?;
            Some(line.trim().to_owned())
        };
        Some([number("MAJOR")?, number("MINOR")?, number("PATCH")?].join("."))
    };
    let of_archive = || Some(read("build-version")?.trim().to_owned());
    of_python()
        .or_else(of_headers)
        .or_else(of_archive)
        .unwrap_or_else(|| "an unknown version".to_owned())
}

fn is_right(version: &str) -> bool {
    version
        .strip_prefix(VERSION)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A path as a shell takes it.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    if text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-+@".contains(c))
    {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Puts what the search looks at into the folder of a libtorch.
    fn put(dir: &Path, version: &str) {
        fs_err::create_dir_all(dir.join("lib")).unwrap();
        fs_err::write(dir.join("lib/libtorch_cpu.so"), "").unwrap();
        fs_err::write(
            dir.join("version.py"),
            format!("from typing import Optional\n\n__version__ = '{version}'\ndebug = False\n"),
        )
        .unwrap();
    }

    /// A libtorch that the user has set.
    pub(in crate::backbone::run) fn put_libtorch(dir: &Path, version: &str) -> Libtorch {
        put(dir, version);
        set_by_user(dir).unwrap()
    }

    fn touch(path: &Path) {
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, "").unwrap();
    }

    /// A virtual environment with the program in it.
    fn environment(dir: &Path) -> SearchPaths {
        touch(&dir.join("bin/python3"));
        fs_err::create_dir_all(dir.join("lib/python3.11/site-packages/pip")).unwrap();
        SearchPaths {
            program_dir: Some(dir.join("bin")),
            ..SearchPaths::default()
        }
    }

    fn found(paths: &SearchPaths) -> PathBuf {
        let lib_dir = paths.libtorch().unwrap().lib_dir;
        lib_dir.parent().unwrap().to_owned()
    }

    #[test]
    fn places_are_taken_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let prefix = dir.path().join("prefix");
        let mut paths = environment(&prefix);
        paths.build_dir = Some(dir.path().join("data"));
        paths.python_path = vec![dir.path().join("modules")];
        // From the last to the first.
        let places = [
            dir.path().join("data/libtorch-2.11.0-cpu"),
            dir.path().join("data/libtorch-2.11.0-cuda"),
            prefix.join(".libtorch"),
            dir.path().join("modules/torch"),
            prefix.join("lib/python3.11/site-packages/torch"),
            prefix.join("lib/newt-pipe/libtorch"),
            prefix.join("bin/libtorch"),
        ];
        for place in places {
            put(&place, "2.11.0");
            assert_eq!(found(&paths), place);
        }
        let variable = dir.path().join("mine");
        put(&variable, "2.11.1");
        paths.libtorch = Some(variable.clone());
        assert_eq!(found(&paths), variable);
    }

    #[test]
    fn another_version_is_passed_over_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut paths = environment(dir.path());
        let torch = dir.path().join("lib/python3.11/site-packages/torch");
        put(&torch, "2.1.1+cu118");
        let missing = paths.libtorch().unwrap_err();
        assert_eq!(
            missing.to_string(),
            format!(
                "libtorch 2.11, which runs networks, is not found; {} has 2.1.1+cu118",
                torch.display()
            )
        );
        assert_eq!(
            missing.hint().unwrap(),
            format!(
                "`{}/bin/python3 -m pip install 'torch==2.11.*'`",
                dir.path().display()
            )
        );
        let data = tempfile::tempdir().unwrap();
        paths.build_dir = Some(data.path().to_owned());
        put(&data.path().join("libtorch-2.11.0-cpu"), "2.11.0");
        assert_eq!(found(&paths), data.path().join("libtorch-2.11.0-cpu"));
    }

    #[test]
    fn variable_that_leads_nowhere_is_an_error_whatever_else_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let mut paths = environment(dir.path());
        put(
            &dir.path().join("lib/python3.11/site-packages/torch"),
            "2.11.0",
        );
        for (name, version, problem) in [
            ("empty", None, "has no `lib/libtorch_cpu.so`"),
            ("old", Some("2.9.1"), "is version 2.9.1, expected 2.11"),
        ] {
            let variable = dir.path().join(name);
            if let Some(version) = version {
                put(&variable, version);
            }
            paths.libtorch = Some(variable.clone());
            let message = paths.libtorch().unwrap_err().to_string();
            let expected = format!("LIBTORCH is `{}`, which {problem}", variable.display());
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn headers_tell_the_version_where_there_is_no_python() {
        let dir = tempfile::tempdir().unwrap();
        let header = dir.path().join("include/torch/headeronly/version.h");
        touch(&header);
        fs_err::write(
            header,
            "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 11\n#define TORCH_VERSION_PATCH 0\n",
        )
        .unwrap();
        assert_eq!(version(&dir.path().join("lib")), "2.11.0");
    }

    #[test]
    fn environment_without_pip_gets_uv_s_command() {
        let dir = tempfile::tempdir().unwrap();
        let paths = environment(dir.path());
        fs_err::remove_dir(dir.path().join("lib/python3.11/site-packages/pip")).unwrap();
        let hint = paths.libtorch().unwrap_err().hint().unwrap();
        let python = format!("--python {}/bin/python3", dir.path().display());
        assert_eq!(hint, format!("`uv pip install {python} 'torch==2.11.*'`"));
    }

    #[test]
    fn user_s_own_packages_belong_to_the_python_that_they_are_named_after() {
        let dir = tempfile::tempdir().unwrap();
        let paths = SearchPaths {
            program_dir: Some(dir.path().join("bin")),
            ..SearchPaths::default()
        };
        for packages in ["lib/python3.12", "lib/python3.10"] {
            fs_err::create_dir_all(dir.path().join(packages).join("site-packages")).unwrap();
        }
        let ours = dir.path().join("lib/python3.10/site-packages");
        fs_err::create_dir(ours.join("newt_pipe-0.1.0.dist-info")).unwrap();
        let hint = paths.libtorch().unwrap_err().hint().unwrap();
        assert_eq!(hint, "`python3.10 -m pip install 'torch==2.11.*'`");
        // The newer Python's is not the one that pip would install into.
        put(
            &dir.path().join("lib/python3.12/site-packages/torch"),
            "2.11.0",
        );
        put(&ours.join("torch"), "2.11.0");
        assert_eq!(found(&paths), ours.join("torch"));
    }

    #[test]
    fn virtual_environment_may_let_through_what_it_builds_on() {
        let dir = tempfile::tempdir().unwrap();
        let paths = environment(&dir.path().join("venv"));
        let base = dir.path().join("usr");
        let torch = base.join("lib/python3.11/site-packages/torch");
        put(&torch, "2.11.0");
        let mut config = format!("home = {}\n", base.join("bin").display());
        for (setting, is_found) in [("false", false), ("true", true)] {
            config.push_str(&format!("include-system-site-packages = {setting}\n"));
            fs_err::write(dir.path().join("venv/pyvenv.cfg"), &config).unwrap();
            config.truncate(config.find("include").unwrap());
            assert_eq!(paths.libtorch().is_ok(), is_found, "{setting}");
        }
    }

    #[test]
    fn python_on_the_path_is_asked_last() {
        let dir = tempfile::tempdir().unwrap();
        let mut paths = environment(&dir.path().join("venv"));
        let other = dir.path().join("conda");
        touch(&other.join("bin/python3"));
        let torch = other.join("lib/python3.13/site-packages/torch");
        put(&torch, "2.11.0");
        assert!(paths.libtorch().is_err());
        paths.path = vec![dir.path().join("nowhere"), other.join("bin")];
        assert_eq!(found(&paths), torch);
    }

    #[test]
    fn library_is_beside_the_program_or_where_packages_put_it() {
        let dir = tempfile::tempdir().unwrap();
        let paths = environment(dir.path());
        assert!(matches!(paths.library(), Err(Missing::Library { .. })));
        touch(&dir.path().join("lib/newt-pipe").join(FILE));
        assert!(
            paths
                .library()
                .unwrap()
                .ends_with("lib/newt-pipe/libnewt_pipe.so")
        );
        touch(&dir.path().join("bin").join(FILE));
        assert_eq!(paths.library().unwrap(), dir.path().join("bin").join(FILE));
    }

    #[test]
    fn cuda_s_version_is_that_of_its_runtime() {
        let dir = tempfile::tempdir().unwrap();
        let libtorch = put_libtorch(dir.path(), "2.11.0");
        assert_eq!((libtorch.cuda_half(), libtorch.cuda_major()), (None, None));
        let path = libtorch.lib_dir.join("libc10_cuda.so");
        fs_err::write(&path, b"\x7fELF\xff\0libc10.so\0libcudart.so.13\0").unwrap();
        assert_eq!(libtorch.cuda_major(), Some(13));
        fs_err::write(&path, b"\0libcudart-8774224f.so.12.4.127\0").unwrap();
        assert_eq!(libtorch.cuda_major(), Some(12));
    }
}
