//! Paths as people write them: `~` and `$VARIABLE` stand for folders; and links that lead nowhere.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::error::Unfit;

/// How many links a path may go through, as in the kernel.
pub const MAX_LINKS: usize = 40;

/// What the names in paths stand for.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// The value of a variable.
    pub variable: fn(&OsStr) -> Option<OsString>,
    /// The folder of a user, of the one who runs the program where no name is given.
    pub home_of: fn(&OsStr) -> Option<PathBuf>,
}

/// Until they are set, no name stands for anything.
static NAMES: OnceLock<Names> = OnceLock::new();

/// Says once what the names in paths stand for: only the command line sees the environment.
pub fn expand_by(names: Names) {
    NAMES.get_or_init(|| names);
}

/// The path with `~`, `~user`, `$NAME` and `${NAME}` replaced by what they stand for; what is not known stays, and so
/// does a path that is there as it is written.
///
/// Source: `os.path.expandvars(os.path.expanduser(path))`.
pub fn expanded(written: &Path) -> PathBuf {
    match NAMES.get() {
        Some(names) if !is_there(written) => expanded_by(written, *names),
        _ => written.to_owned(),
    }
}

/// Where a path of a file in `base_dir` leads; as it is written where something in it is not known.
pub fn located(base_dir: &Path, written: impl AsRef<Path>) -> PathBuf {
    let written = written.as_ref();
    let literal = base_dir.join(written);
    if is_there(&literal) {
        return literal;
    }
    let path = expanded(written);
    if is_expanded(&path) {
        base_dir.join(path)
    } else {
        path
    }
}

/// Where a path of a file in `base_dir` leads.
///
/// # Errors
/// [`Unfit::UnknownName`], as an error of kind `InvalidInput`.
pub fn found(base_dir: &Path, written: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = located(base_dir, &written);
    if path == written.as_ref() {
        check_names(&path)?;
    }
    Ok(path)
}

fn is_there(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok()
}

/// Whether nothing in an expanded path was left as it was written: no `~` before it, and no `$NAME` in it.
fn is_expanded(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    let is_name = |pair: &[u8]| pair[0] == b'$' && (pair[1] == b'{' || is_name_byte(pair[1]));
    !bytes.starts_with(b"~") && !bytes.windows(2).any(is_name)
}

/// Makes sure that nothing in an expanded path was left as it was written, unless what is named so is there.
///
/// # Errors
/// [`Unfit::UnknownName`].
pub fn check_names(path: &Path) -> Result<(), Unfit> {
    let is_meant = |part: &Path| is_there(part) && path.strip_prefix(part).is_ok_and(is_expanded);
    if is_expanded(path) || path.ancestors().any(is_meant) {
        Ok(())
    } else {
        Err(Unfit::UnknownName(path.to_owned()))
    }
}

fn expanded_by(written: &Path, Names { variable, home_of }: Names) -> PathBuf {
    let mut parts = written.components();
    let first = parts.next().map_or(OsStr::new(""), |part| part.as_os_str());
    let with_home = first
        .as_bytes()
        .strip_prefix(b"~")
        .and_then(|user| home_of(OsStr::from_bytes(user)))
        .map(|home| home.join(parts.as_path()));
    let path = with_home.unwrap_or_else(|| written.to_owned());

    let mut expanded = Vec::new();
    let mut rest = path.as_os_str().as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        expanded.extend(&rest[..at]);
        rest = &rest[at..];
        let n_name = rest[1..].iter().take_while(|byte| is_name_byte(**byte));
        let n_name = n_name.count();
        let (name, n_bytes) = match rest.iter().position(|byte| *byte == b'}') {
            Some(end) if rest[1] == b'{' => (&rest[2..end], end + 1),
            _ => (&rest[1..=n_name], n_name + 1),
        };
        match variable(OsStr::from_bytes(name)) {
            Some(value) => expanded.extend(value.as_bytes()),
            None => expanded.extend(&rest[..n_bytes]),
        }
        rest = &rest[n_bytes..];
    }
    expanded.extend(rest);
    OsString::from_vec(expanded).into()
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// One step along a link, to a path without links before its last part; `None` where it is no link, and where there is
/// no such folder.
pub fn follow(link: &Path) -> Option<PathBuf> {
    let target = fs_err::read_link(link).ok()?;
    let dir = Path::new(".").join(link.parent()?).join(target.parent()?);
    Some(fs_err::canonicalize(dir).ok()?.join(target.file_name()?))
}

/// Makes sure that no broken link is on the way to `path`.
///
/// # Errors
/// [`Unfit::BrokenLink`], as an error of kind `NotFound`.
pub fn check_links(path: &Path) -> io::Result<()> {
    broken_link(path).map_or(Ok(()), |link| Err(link.into()))
}

/// The link because of which `path` leads nowhere; `None` where something is, and where there is no link. Of a
/// chain it is the last one, and of a circle the one by which `path` gets into it.
pub fn broken_link(path: &Path) -> Option<Unfit> {
    let is_circle_at = |error: &io::Error| error.raw_os_error() == Some(libc::ELOOP);
    // Not by `fs_err`, whose errors do not tell the system's number.
    let why = |path: &Path| std::fs::metadata(path).err();
    let (first, error) = path
        .ancestors()
        .filter(|part| part.is_symlink())
        .filter_map(|part| Some((part, why(part)?)))
        .filter(|(_, error)| error.kind() == io::ErrorKind::NotFound || is_circle_at(error))
        .last()?;
    let is_circle = is_circle_at(&error);
    let mut link = first.to_owned();
    while !is_circle && let Some(next) = follow(&link).filter(|next| next.is_symlink()) {
        link = next;
    }
    let target = fs_err::read_link(&link).ok()?;
    Some(Unfit::BrokenLink {
        link,
        target,
        is_circle,
    })
}
#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn expand(written: &str) -> String {
        let variable: fn(&OsStr) -> _ = |name| match name.to_str()? {
            "DATA" => Some("/data".into()),
            "EMPTY" => Some("".into()),
            "DOLLAR" => Some("$DATA".into()),
            _ => None,
        };
        let home_of: fn(&OsStr) -> _ = |user| match user.to_str()? {
            "" => Some("/home/me".into()),
            "you" => Some("/home/you".into()),
            _ => None,
        };
        let expanded = expanded_by(Path::new(written), Names { variable, home_of });
        expanded.into_os_string().into_string().unwrap()
    }

    #[test]
    fn paths_are_expanded_as_the_hub_s_library_does() {
        for (written, expected) in [
            ("~", "/home/me/"),
            ("~/newt", "/home/me/newt"),
            ("~you/newt", "/home/you/newt"),
            ("$DATA/newt", "/data/newt"),
            ("${DATA}x/$EMPTY.a", "/datax/.a"),
            ("~/$DATA", "/home/me//data"),
            // Once.
            ("$DOLLAR", "$DATA"),
        ] {
            assert_eq!(Path::new(&expand(written)), Path::new(expected));
        }
        for written in [
            "data/newt",
            "/data/newt",
            "",
            "./~/newt",
            "data/~",
            "~nobody/newt",
            "$NEVER/newt",
            "${NEVER}/${DATA",
            "a$",
            "$",
            "$/$-",
            "${}",
        ] {
            assert_eq!(expand(written), written);
        }
    }

    #[test]
    fn what_stands_for_nothing_is_noticed() {
        for path in ["~", "~nobody/x", "$NEVER", "/a/${NEVER}/x"] {
            assert!(!is_expanded(Path::new(path)), "{path}");
        }
        for path in ["/a/b", "a$", "a~b", "/a$/b", "/files/~/x", "./~x"] {
            assert!(is_expanded(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn what_is_there_under_the_name_that_is_written_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("$NEVER")).unwrap();
        assert_eq!(
            found(dir.path(), "$NEVER").unwrap(),
            dir.path().join("$NEVER")
        );
        assert_eq!(found(dir.path(), "./~x").unwrap(), dir.path().join("./~x"));
        for written in ["$NEVER/x", "~nobody"] {
            let error = found(dir.path(), written).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`{written}`: a user or a variable in it is not known")
            );
            assert!(matches!(Unfit::of(&error), Some(Unfit::UnknownName(_))));
        }
        assert_eq!(check_names(&dir.path().join("$NEVER/x")), Ok(()));
    }

    #[test]
    fn the_link_that_leads_nowhere_is_named_with_its_target() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let found = |name: &str| {
            let broken = broken_link(&path(name))?;
            let Unfit::BrokenLink {
                link,
                target,
                is_circle,
            } = broken
            else {
                panic!("{broken}")
            };
            let link = link.strip_prefix(dir.path()).unwrap().to_owned();
            Some((link, target, is_circle))
        };
        let nowhere = |link: &str, target: &str| Some((link.into(), target.into(), false));
        let circle = |link: &str, target: &str| Some((link.into(), target.into(), true));
        fs_err::create_dir(path("folder")).unwrap();
        symlink("folder", path("whole")).unwrap();
        symlink("gone", path("broken")).unwrap();
        symlink("broken", path("first")).unwrap();
        symlink("round", path("round")).unwrap();
        symlink("there", path("here")).unwrap();
        symlink("here", path("there")).unwrap();
        symlink("here", path("into")).unwrap();
        for name in ["folder", "whole", "whole/file", "absent/file"] {
            assert_eq!(found(name), None, "{name}");
        }
        for name in ["broken", "broken/sub/file", "first", "first/file"] {
            assert_eq!(found(name), nowhere("broken", "gone"), "{name}");
        }
        for (name, expected) in [
            ("round", circle("round", "round")),
            ("round/file", circle("round", "round")),
            ("here", circle("here", "there")),
            ("into/sub/file", circle("into", "here")),
        ] {
            assert_eq!(found(name), expected, "{name}");
        }
    }
}
