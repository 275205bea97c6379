//! Where libtorch is, by a look at folders and the version that they name; nothing is opened.
//!
//! The first of these that holds the right version is taken:
//!
//! 1. `$LIBTORCH`, a libtorch folder; where it is set, nothing else is.
//! 2. Beside the program: `libtorch` in its folder, or `../libexec/newt-pipe/libtorch`, where `make install` puts it.
//! 3. PyTorch in the Python environment that the program is installed in, or in the one that this environment
//!    builds on.
//! 4. Where `make build` unpacks it: `.libtorch` of the clone that the program is built in, or the user's data folder.
//! 5. PyTorch along `$PYTHONPATH`, of the `python3` on `$PATH`, or among the user's own packages.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::backbone::run::python::{self, Python};
use crate::backbone::run::wire::FILE;
use crate::error::Message;
use crate::files;
use crate::text::{self, said};

/// The version of libtorch that networks are built for; any third number will do.
pub const VERSION: &str = "2.11";

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
    /// `$PYTHONUSERBASE` or `~/.local`: the prefix of the user's own packages.
    pub user_base: Option<PathBuf>,
    /// The folder where `make build` unpacks libtorch.
    pub build_dir: Option<PathBuf>,
}

/// A libtorch of the right version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Libtorch {
    /// The folder with `libtorch_cpu.so`.
    pub lib_dir: PathBuf,
    /// Such as `2.11.0+cu130`.
    pub version: String,
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

/// The largest file of settings that is read, and the largest half of libtorch that is looked through: some hundred times
/// those that there are.
pub const MAX_TEXT_BYTES: u64 = 1 << 20;
const MAX_HALF_BYTES: u64 = 256 << 20;

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
pub fn libtorch() -> Result<&'static Libtorch, Message> {
    static FOUND: OnceLock<Result<Libtorch, Message>> = OnceLock::new();
    FOUND
        .get_or_init(|| PATHS.get_or_init(SearchPaths::default).libtorch())
        .as_ref()
        .map_err(Message::clone)
}

/// The file of the library that runs networks: beside the program, or in `../libexec/newt-pipe`.
#[cfg_attr(
    feature = "torch",
    expect(dead_code, reason = "with `torch`, the library is part of the program")
)]
pub fn library() -> Result<PathBuf, Message> {
    PATHS.get_or_init(SearchPaths::default).library()
}

impl Libtorch {
    /// CUDA's half, where there is one.
    pub fn cuda_half(&self) -> Option<PathBuf> {
        let path = self.lib_dir.join("libtorch_cuda.so");
        path.is_file().then_some(path)
    }

    /// The version of CUDA that it is built for, major number; `None` where it does not say.
    ///
    /// Its smaller half names the CUDA runtime that it needs, as in `libcudart.so.13`.
    pub fn cuda_major(&self) -> Option<u32> {
        let bytes = files::read(&self.lib_dir.join("libc10_cuda.so"), MAX_HALF_BYTES).ok()?;
        let names = bytes.split(|byte| *byte == 0);
        names
            .filter_map(|name| std::str::from_utf8(name).ok())
            .filter(|name| name.starts_with("libcudart"))
            .find_map(|name| {
                let (_, version) = name.split_once(".so.")?;
                version.split('.').next()?.parse().ok()
            })
    }

    /// What puts a libtorch of the right version in the place of this one, if it cannot be opened.
    #[cfg_attr(
        feature = "torch",
        expect(dead_code, reason = "with `torch`, libtorch is linked")
    )]
    pub fn hint_for_another(&self) -> String {
        match &self.owner {
            Owner::User => format!("set LIBTORCH to the folder of another libtorch {VERSION}"),
            Owner::Install => {
                "`make build` and `make install` in a clone put it there anew".to_owned()
            }
            Owner::Python(python) => python.install("--force-reinstall "),
            Owner::Build => "remove that folder, and `make build` fetches it anew".to_owned(),
        }
    }

    /// What puts a libtorch with CUDA in the place of this one.
    pub fn hint_for_cuda(&self) -> String {
        match &self.owner {
            Owner::User => {
                format!("set LIBTORCH to the folder of a libtorch {VERSION} that is built for CUDA")
            }
            Owner::Install => {
                "`NEWT_PIPE_LIBTORCH_VARIANT=cuda make build` and `make install PREFIX=…` bring one"
                    .to_owned()
            }
            Owner::Python(python) => {
                format!("{} brings one", python.install("--force-reinstall "))
            }
            Owner::Build => "`NEWT_PIPE_LIBTORCH_VARIANT=cuda make build` brings one".to_owned(),
        }
    }
}

impl SearchPaths {
    fn libtorch(&self) -> Result<Libtorch, Message> {
        if let Some(path) = &self.libtorch {
            return set_by_user(path);
        }
        // Folders with another version, and that version.
        let mut others: Vec<(PathBuf, String)> = Vec::new();
        for (lib_dir, owner) in self.candidates() {
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
        let mut text = format!("libtorch {VERSION}, which runs networks, is not found");
        for (dir, version) in others {
            text.push_str(&format!("; {} has {version}", text::path(dir)));
        }
        Err(Message::request(text).hint(self.hint()))
    }

    fn library(&self) -> Result<PathBuf, Message> {
        let dir = self.program_dir.clone().unwrap_or_default();
        let places = [dir.join(FILE), dir.join("../libexec/newt-pipe").join(FILE)];
        if let Some(path) = places.iter().find(|path| path.is_file()) {
            Ok(path.clone())
        } else {
            let dir = text::path(dir);
            let text = format!(
                "no `{FILE}`, the part of newt-pipe that runs networks, in `{dir}` or `{dir}/../libexec/newt-pipe`"
            );
            Err(Message::request(text).hint(INSTALL_AGAIN))
        }
    }

    /// Folders that may be libtorch's, and who would have put it there, in the order of preference.
    fn candidates(&self) -> Vec<(PathBuf, Owner)> {
        let mut candidates = Vec::new();
        let mut add = |dir: PathBuf, owner: &Owner| {
            candidates.push((dir.join("lib"), owner.clone()));
        };
        if let Some(program_dir) = &self.program_dir {
            for dir in ["libtorch", "../libexec/newt-pipe/libtorch"] {
                add(program_dir.join(dir), &Owner::Install);
            }
        }
        let python =
            Owner::Python(python::of_prefix(self.prefix(), &self.path).unwrap_or_default());
        let add_python = |prefix: &Path, add: &mut dyn FnMut(PathBuf, &Owner)| {
            // conda's own PyTorch lies in the prefix itself.
            add(prefix.to_owned(), &python);
            for packages in python::packages_of(prefix) {
                add(packages.join("torch"), &python);
            }
        };
        if let Some(prefix) = self.prefix() {
            // `pip install --target` puts packages beside `bin`.
            add(prefix.join("torch"), &python);
            add_python(prefix, &mut add);
            if let Some(base) = python::base_prefix(prefix) {
                add_python(&base, &mut add);
            }
        }
        if let Some(clone) = self.clone_dir() {
            add(clone.join(".libtorch"), &Owner::Build);
        }
        if let Some(dir) = &self.build_dir {
            for variant in ["cuda", "cpu"] {
                let name = format!("libtorch-{VERSION}.0-{variant}");
                add(dir.join(name), &Owner::Build);
            }
        }
        for packages in &self.python_path {
            add(packages.join("torch"), &python);
        }
        for prefix in self.path.iter().flat_map(|dir| python::prefixes_on(dir)) {
            add_python(&prefix, &mut add);
        }
        if let Some(base) = &self.user_base {
            add_python(base, &mut add);
        }
        candidates
    }

    /// The folder whose `bin` holds the program.
    fn prefix(&self) -> Option<&Path> {
        self.program_dir.as_deref().and_then(Path::parent)
    }

    /// The clone that the program is built in: the program is in its `target/release`, or in the folder of a platform
    /// between the two.
    fn clone_dir(&self) -> Option<&Path> {
        let target = self.program_dir.as_ref()?.ancestors().skip(1).take(2);
        let mut target = target.filter(|dir| dir.ends_with("target"));
        target.next()?.parent()
    }

    /// What installs libtorch.
    fn hint(&self) -> String {
        match python::of_prefix(self.prefix(), &self.path) {
            Some(python) => python.install(""),
            None => format!(
                "`make build` in a clone brings it; or install PyTorch {VERSION} for the `python3` on your PATH, or \
                 set LIBTORCH to a libtorch {VERSION} folder"
            ),
        }
    }
}

/// What brings another library of ours.
pub const INSTALL_AGAIN: &str = "install newt-pipe again, or in a clone run `make build`";

fn set_by_user(path: &Path) -> Result<Libtorch, Message> {
    let wrong = |problem: &str| {
        let (path, problem) = (text::path(path), said(problem));
        Message::request(format!("LIBTORCH is `{path}`, which {problem}")).hint(format!(
            "point LIBTORCH at a libtorch {VERSION} folder, or unset it"
        ))
    };
    let lib_dir = path.join("lib");
    if !lib_dir.join("libtorch_cpu.so").is_file() {
        return Err(wrong("has no `lib/libtorch_cpu.so`"));
    }
    let version = version(&lib_dir);
    if !is_right(&version) {
        return Err(wrong(&format!("is version {version}, expected {VERSION}")));
    }
    Ok(Libtorch {
        lib_dir,
        version,
        owner: Owner::User,
    })
}

/// The version of the libtorch in a folder, as PyTorch or the headers beside it say.
fn version(lib_dir: &Path) -> String {
    let dir = lib_dir.parent().unwrap_or(lib_dir);
    let read = |name: &str| files::read_text(&dir.join(name), MAX_TEXT_BYTES).ok();
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

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::error::Failure;

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
    pub fn put_libtorch(dir: &Path, version: &str) -> Libtorch {
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
        let clone = dir.path().join("clone");
        // The program of a clone whose `target` is a virtual environment: no one has that, and it has all places.
        let prefix = clone.join("target");
        let base = dir.path().join("base");
        let mut paths = environment(&prefix);
        let config = format!(
            "home = {}\ninclude-system-site-packages = true\n",
            base.join("bin").display()
        );
        fs_err::write(prefix.join("pyvenv.cfg"), config).unwrap();
        let active = dir.path().join("active");
        touch(&active.join("bin/python3"));
        paths.user_base = Some(dir.path().join("user"));
        paths.path = vec![dir.path().join("nowhere"), active.join("bin")];
        paths.python_path = vec![dir.path().join("modules")];
        paths.build_dir = Some(dir.path().join("data"));
        // From the last to the first.
        let places = [
            dir.path().join("user/lib/python3.9/site-packages/torch"),
            active.join("lib/python3.13/site-packages/torch"),
            dir.path().join("modules/torch"),
            dir.path().join("data/libtorch-2.11.0-cpu"),
            dir.path().join("data/libtorch-2.11.0-cuda"),
            clone.join(".libtorch"),
            base.join("lib/python3.12/dist-packages/torch"),
            prefix.join("lib/python3.11/site-packages/torch"),
            prefix.join("bin/../libexec/newt-pipe/libtorch"),
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
    fn link_of_a_clone_counts_for_programs_that_are_built_in_it() {
        let dir = tempfile::tempdir().unwrap();
        put(&dir.path().join(".libtorch"), "2.11.0");
        let from = |program_dir: &str| {
            let paths = SearchPaths {
                program_dir: Some(dir.path().join(program_dir)),
                ..SearchPaths::default()
            };
            paths.libtorch().is_ok()
        };
        assert!(from("target/release"));
        assert!(from("target/aarch64-unknown-linux-gnu/release"));
        // Anybody may leave one in `/tmp`.
        assert!(!from("tools/bin"));
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
            Failure::hint(&missing).unwrap(),
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
    fn packages_of_the_python_that_newt_pipe_is_installed_for_come_first() {
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
        let hint = Failure::hint(&paths.libtorch().unwrap_err()).unwrap();
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
    fn conda_s_own_package_lies_in_the_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let paths = environment(dir.path());
        put(dir.path(), "2.11.0");
        assert_eq!(found(&paths), dir.path());
    }

    #[test]
    fn library_is_beside_the_program_or_where_packages_put_it() {
        let dir = tempfile::tempdir().unwrap();
        let paths = environment(dir.path());
        let missing = paths.library().unwrap_err().to_string();
        assert!(
            missing.starts_with("no `libnewt_pipe.so`, the part"),
            "{missing}"
        );
        touch(&dir.path().join("libexec/newt-pipe").join(FILE));
        let library = paths.library().unwrap();
        assert!(library.ends_with("libexec/newt-pipe/libnewt_pipe.so"));
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
