//! Names: of model repositories, of revisions, of files.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Message};
use crate::text::foreign;

/// The hub takes no longer name.
const MAX_NAME: usize = 96;

const DEFAULT_REVISION: &str = "main";

/// A model on the hub: `org/name`, or `org/name@revision`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repo {
    /// `org/name`.
    pub name: String,
    /// A branch, a tag or a commit; `main` where none is given.
    pub revision: String,
}

impl Repo {
    /// Makes sure that neither name nor revision leads out of the cache.
    ///
    /// # Errors
    /// Says which part of which name.
    pub fn check(&self) -> Result<(), Error> {
        self.check_as(&self.to_string())
    }

    /// The same; `written` is what the user is shown.
    fn check_as(&self, written: &str) -> Result<(), Error> {
        check_name(&self.name)
            .and_then(|()| check_revision(&self.revision))
            .map_err(|what| {
                Message::request(format!("model repository `{}`: {what}", foreign(written)))
                    .hint("take the name from the model's page, as in `timm/vit_base_patch16_224.dino`")
                    .into()
            })
    }

    /// Makes sure that a file of the repository stays within its snapshot.
    ///
    /// # Errors
    /// Says what is wrong with the path.
    pub fn check_file(&self, file: &str) -> Result<(), Error> {
        check_path(file).map_err(|what| {
            Message::request(format!("{self}: file `{}`: {what}", foreign(file)))
                .hint(format!(
                    "take a revision without this file, as in `{}@REVISION`",
                    self.name
                ))
                .into()
        })
    }
}

impl FromStr for Repo {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, revision) = text.split_once('@').unwrap_or((text, DEFAULT_REVISION));
        let repo = Self {
            name: name.to_owned(),
            revision: revision.to_owned(),
        };
        repo.check_as(text)?;
        Ok(repo)
    }
}

impl fmt::Display for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.revision != DEFAULT_REVISION {
            write!(f, "@{}", foreign(&self.revision))?;
        }
        Ok(())
    }
}

/// Source: `huggingface_hub.utils.validate_repo_id`, without its names of one part.
fn check_name(name: &str) -> Result<(), String> {
    let n_parts = name.split('/').count();
    if n_parts != 2 {
        return Err(match n_parts {
            1 => "no `/`, expected `org/name` or `org/name@revision`".to_owned(),
            n => format!("{n} parts, expected `org/name` or `org/name@revision`"),
        });
    }
    for part in name.split('/') {
        if part.is_empty() {
            return Err("an empty part, expected `org/name`".to_owned());
        }
        if let Some(char) = part.chars().find(|&char| !is_name_char(char)) {
            return Err(format!(
                "character {char:?}, expected letters, digits, `-`, `_` and `.`"
            ));
        }
        if part.starts_with(['-', '.']) || part.ends_with(['-', '.']) {
            return Err(format!(
                "`{part}` begins or ends with `-` or `.`, expected a letter, a digit or `_` there"
            ));
        }
    }
    // `--` stands for the slash in the cache.
    for banned in ["--", ".."] {
        if name.contains(banned) {
            return Err(format!(
                "contains `{banned}`, which no name on the hub does"
            ));
        }
    }
    if name.strip_suffix(".git").is_some() {
        return Err("ends with `.git`, expected the name without it".to_owned());
    }
    if name.len() > MAX_NAME {
        return Err(format!(
            "{} characters, expected at most {MAX_NAME}",
            name.len()
        ));
    }
    Ok(())
}

fn is_name_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&char)
}

/// Git's own rules, as far as they matter for a path and an address.
fn check_revision(revision: &str) -> Result<(), String> {
    check_path(revision).map_err(|what| format!("revision `{}`: {what}", foreign(revision)))?;
    let is_banned = |char: char| char.is_whitespace() || "~^:?*[".contains(char);
    match revision.chars().find(|&char| is_banned(char)) {
        Some(char) => Err(format!(
            "revision `{}`: character {char:?}, expected a branch, a tag or a commit",
            foreign(revision)
        )),
        None => Ok(()),
    }
}

/// Makes sure that a relative path with `/` between its parts stays below the folder that it starts from.
fn check_path(path: &str) -> Result<(), &'static str> {
    if path.contains('\\') {
        return Err("a backslash, expected `/` between parts");
    }
    if path.chars().any(char::is_control) {
        return Err("a control character, expected none");
    }
    for part in path.split('/') {
        match part {
            "" => return Err("an empty part, expected a relative path"),
            "." | ".." => return Err("leads out of its folder, expected a path within it"),
            _ => {}
        }
    }
    Ok(())
}

/// Whether `text` is the full name of a commit.
pub fn is_commit(text: &str) -> bool {
    text.len() == 40 && is_lower_hex(text)
}

/// Whether `text` is a digest of SHA-256, as the hub writes it.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && is_lower_hex(text)
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = text.parse::<Repo>().unwrap_err();
        assert_eq!(error.fault().exit_code(), 2);
        assert!(error.hint().is_some());
        error.to_string()
    }

    #[test]
    fn revision_is_main_unless_given() {
        let repo: Repo = "timm/vit_base_patch16_224.dino".parse().unwrap();
        assert_eq!(repo.name, "timm/vit_base_patch16_224.dino");
        assert_eq!(repo.revision, "main");
        assert_eq!(repo.to_string(), "timm/vit_base_patch16_224.dino");
        let repo: Repo = "laion/CLIP-ViT-B-32@refs/pr/3".parse().unwrap();
        assert_eq!(repo.name, "laion/CLIP-ViT-B-32");
        assert_eq!(repo.revision, "refs/pr/3");
        assert_eq!(repo.to_string(), "laion/CLIP-ViT-B-32@refs/pr/3");
    }

    #[test]
    fn names_that_the_hub_does_not_allow_are_refused_with_the_reason() {
        for (text, what) in [
            ("vit", "no `/`, expected `org/name` or `org/name@revision`"),
            ("", "no `/`, expected `org/name` or `org/name@revision`"),
            (
                "a/b/c",
                "3 parts, expected `org/name` or `org/name@revision`",
            ),
            ("/b", "an empty part, expected `org/name`"),
            ("a/", "an empty part, expected `org/name`"),
            ("a/@main", "an empty part, expected `org/name`"),
            (
                "a/b c",
                "character ' ', expected letters, digits, `-`, `_` and `.`",
            ),
            (
                "../b",
                "`..` begins or ends with `-` or `.`, expected a letter, a digit or `_` there",
            ),
            ("a/b--c", "contains `--`, which no name on the hub does"),
            ("a/b..c", "contains `..`, which no name on the hub does"),
            ("a/b.git", "ends with `.git`, expected the name without it"),
            (
                "a/b@",
                "revision ``: an empty part, expected a relative path",
            ),
            (
                "a/b@../x",
                "revision `../x`: leads out of its folder, expected a path within it",
            ),
            (
                "a/b@v1\\x",
                "revision `v1\\x`: a backslash, expected `/` between parts",
            ),
            (
                "a/b@v 1",
                "revision `v 1`: character ' ', expected a branch, a tag or a commit",
            ),
        ] {
            let expected = format!("model repository `{text}`: {what}");
            assert_eq!(refused(text), expected);
        }
        let long = format!("a/{}", "b".repeat(95));
        assert!(refused(&long).contains("97 characters, expected at most 96"));
        assert!(refused("a/b\0").contains("character '\\0'"));
    }

    #[test]
    fn paths_that_leave_their_folder_are_refused() {
        for path in [
            "", "/a", "a/", "a//b", "..", "../a", "a/../b", "a/..", "./a", "a\\b", "a\0b", "a\nb",
        ] {
            assert!(check_path(path).is_err(), "{path:?}");
        }
        for path in ["a", "a/b", "a..b", "...", ".gitattributes", "a b", "é"] {
            assert!(check_path(path).is_ok(), "{path:?}");
        }
    }
}
