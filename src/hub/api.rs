//! What the hub says about a repository and its files.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /api/models/<name>/revision/<revision>` | JSON: `sha`, the commit; `siblings[].rfilename`, the files |
//! | `HEAD /<name>/resolve/<commit>/<file>` | headers: `X-Repo-Commit`; `X-Linked-Etag` or `ETag`; `X-Linked-Size` or `Content-Length` |
//!
//! Source: `huggingface_hub` 2.4, `HfApi.model_info` and `get_hf_file_metadata`.

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use ureq::http::Uri;
use ureq::http::header::{CONTENT_LENGTH, ETAG, HeaderName};

use super::Repo;
use super::http::{Answer, Client, Speed};
use super::repo::is_commit;
use super::retry::Patience;
use crate::error::{Error, Message};
use crate::progress::Progress;
use crate::text::{Listing as Names, foreign};

const REPO_COMMIT: HeaderName = HeaderName::from_static("x-repo-commit");
const LINKED_ETAG: HeaderName = HeaderName::from_static("x-linked-etag");
const LINKED_SIZE: HeaderName = HeaderName::from_static("x-linked-size");
const ERROR_CODE: HeaderName = HeaderName::from_static("x-error-code");

/// Some hundred thousand files; a longer answer is not read.
const MAX_LISTING_BYTES: u64 = 1 << 25;

/// File systems take names of 255 bytes, and something is put after this one.
const MAX_ETAG: usize = 128;

/// What a revision stands for.
#[derive(Debug)]
pub struct Listing {
    pub commit: String,
    pub files: BTreeSet<String>,
}

/// What the hub says about one file.
#[derive(Debug)]
pub struct FileInfo {
    /// Names the content: its SHA-256 for large files, git's name of it for the others.
    pub etag: String,
    pub size: Option<u64>,
}

#[derive(Deserialize)]
struct Model {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

impl Client {
    /// The commit and the files that `revision` of `repo` stands for now.
    pub fn listing(
        &self,
        repo: &Repo,
        revision: &str,
        progress: &dyn Progress,
    ) -> Result<Listing, Error> {
        let path = format!(
            "api/models/{}/revision/{}",
            repo.name,
            utf8_percent_encode(revision, PLAIN)
        );
        let address = self.hub_address(&path)?;
        Patience::new(self, progress).run(|| {
            let mut answer = self.get(&address, 0)?;
            if answer.status() != 200 {
                return Err(self.refusal(&answer, repo, None).into());
            }
            let bytes = answer.read_all(MAX_LISTING_BYTES, Speed::new(&self.pace))?;
            let listing = parse_listing(&bytes, revision).map_err(|what| {
                let content_type = answer.content_type();
                answer.wrong(&format!(
                    "{content_type} is no description of a model: {what}"
                ))
            })?;
            for file in &listing.files {
                repo.check_file(file)?;
            }
            Ok(listing)
        })
    }

    /// Etag and size of a file.
    pub fn file_info(
        &self,
        repo: &Repo,
        commit: &str,
        file: &str,
        progress: &dyn Progress,
    ) -> Result<FileInfo, Error> {
        let address = self.file_address(repo, commit, file)?;
        Patience::new(self, progress).run(|| {
            let answer = self.head(&address)?;
            if answer.status() != 200 && !answer.is_redirect() {
                return Err(self.refusal(&answer, repo, Some(file)).into());
            }
            Ok(parse_info(&answer, commit).map_err(|what| answer.wrong(&what))?)
        })
    }

    /// Where the bytes of a file are.
    pub fn file_address(&self, repo: &Repo, commit: &str, file: &str) -> Result<Uri, Error> {
        let file = utf8_percent_encode(file, PLAIN_PATH);
        self.hub_address(&format!("{}/resolve/{commit}/{file}", repo.name))
    }

    fn hub_address(&self, path: &str) -> Result<Uri, Error> {
        self.address(path).map_err(|what| {
            Message::request(format!(
                "hub `{}`: {what}, expected one like `https://huggingface.co`",
                self.shown_endpoint()
            ))
            .hint("correct `HF_ENDPOINT`, or unset it for the public hub")
            .into()
        })
    }

    /// Why the hub, or where it redirected to, does not give what was asked for.
    pub fn refusal(&self, answer: &Answer, repo: &Repo, file: Option<&str>) -> Error {
        if !answer.is_hub {
            return answer.unexpected("200").into();
        }
        let page = self.page(&repo.name);
        match (answer.header(ERROR_CODE), answer.status(), file) {
            (Some("RevisionNotFound"), _, _) => {
                let revision = foreign(&repo.revision);
                Message::request(format!("{}: no revision `{revision}`", repo.name))
                    .hint(format!(
                        "look for its branches and tags at `{page}/tree/main`"
                    ))
                    .into()
            }
            // Mirrors may say no more than 404.
            (Some("EntryNotFound"), _, Some(file)) | (None, 404, Some(file)) => {
                no_file(repo, file, &Names::quoted([""; 0]))
            }
            // To whoever has no token, the hub says so of a repository that is not there, too.
            (_, status @ (401 | 403), _) if self.has_token() => Message::machine(format!(
                "{repo}: the hub answered {status}, the token was refused or lacks access"
            ))
            .hint(format!(
                "check at `{page}` that the account of `HF_TOKEN` has access"
            ))
            .into(),
            (_, status @ (401 | 403), _) => Message::machine(format!(
                "{repo}: the hub answered {status}, and no token is set"
            ))
            .hint(format!(
                "if the name is right, accept the licence at `{page}` and set `HF_TOKEN`"
            ))
            .into(),
            (Some("RepoNotFound"), _, _) | (None, 404, None) => Message::request(format!(
                "{repo}: no such model on the hub"
            ))
            .hint(format!(
                "look for the model at `{page}`; a private one needs an `HF_TOKEN` that may read it"
            ))
            .into(),
            _ => answer.unexpected("200").into(),
        }
    }
}

/// The repository has no such file, as far as is known only these.
pub fn no_file(repo: &Repo, file: &str, held: &Names) -> Error {
    let message = Message::request(format!("{repo}: no file `{}`", foreign(file)));
    if held.is_empty() {
        message.into()
    } else {
        message.hint(format!("the repository holds {held}")).into()
    }
}

fn parse_listing(bytes: &[u8], revision: &str) -> Result<Listing, String> {
    let model: Model =
        serde_json::from_slice(bytes).map_err(|error| foreign(&error.to_string()))?;
    if !is_commit(&model.sha) {
        return Err(format!(
            "`sha` is `{}`, expected a commit",
            foreign(&model.sha)
        ));
    }
    if is_commit(revision) && model.sha != revision {
        return Err(format!("`sha` is {}, expected {revision}", model.sha));
    }
    let files = model.siblings.into_iter().map(|file| file.rfilename);
    Ok(Listing {
        commit: model.sha,
        files: files.collect(),
    })
}

fn parse_info(answer: &Answer, commit: &str) -> Result<FileInfo, String> {
    let found = answer
        .header(REPO_COMMIT)
        .ok_or("no header `X-Repo-Commit`, expected one of the hub")?;
    if found != commit {
        return Err(format!(
            "a file of commit `{}`, expected {commit}",
            foreign(found)
        ));
    }
    let etag = answer
        .header(LINKED_ETAG)
        .or_else(|| answer.header(ETAG))
        .ok_or("no header `ETag`, expected one of the hub")?;
    let size = match answer.header(LINKED_SIZE) {
        Some(size) => Some(size),
        // That of a redirect is its own length.
        None => answer
            .header(CONTENT_LENGTH)
            .filter(|_| !answer.is_redirect()),
    };
    Ok(FileInfo {
        etag: parse_etag(etag)?,
        size: size.and_then(|size| size.parse().ok()),
    })
}

/// The etag without its quotes; it becomes the name of a file.
fn parse_etag(header: &str) -> Result<String, String> {
    let etag = header
        .strip_prefix("W/")
        .unwrap_or(header)
        .trim_matches('"');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if etag.is_empty() || etag.len() > MAX_ETAG || !etag.bytes().all(is_plain) {
        return Err(format!("etag `{}`, expected a digest", foreign(header)));
    }
    Ok(etag.to_owned())
}

/// What stands for itself in an address.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// The same, of the path of a file.
const PLAIN_PATH: &AsciiSet = &PLAIN.remove(b'/');

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::http::unreachable;

    #[test]
    fn etags_are_digests_or_nothing() {
        let sha = "a".repeat(64);
        for header in [format!("\"{sha}\""), format!("W/\"{sha}\""), sha.clone()] {
            assert_eq!(parse_etag(&header).unwrap(), sha);
        }
        for header in [
            "",
            "\"\"",
            "\"../../x\"",
            "\"a/b\"",
            "\"a.b\"",
            "\"a b\"",
            "\"é\"",
        ] {
            assert!(parse_etag(header).is_err(), "{header}");
        }
        assert!(parse_etag(&"a".repeat(129)).is_err());
    }

    #[test]
    fn addresses_hold_names_quoted() {
        let quoted = |text, plain| utf8_percent_encode(text, plain).to_string();
        assert_eq!(quoted("refs/pr/1-_.~", PLAIN), "refs%2Fpr%2F1-_.~");
        assert_eq!(
            quoted("a b/é?#%.bin", PLAIN_PATH),
            "a%20b/%C3%A9%3F%23%25.bin"
        );
    }

    #[test]
    fn listing_that_is_none_says_what_is_missing() {
        let sha = "0123456789abcdef0123456789abcdef01234567";
        let refused = |text: &str| parse_listing(text.as_bytes(), "main").unwrap_err();
        assert!(refused("<html>").contains("expected value"));
        assert!(refused("{}").contains("missing field `sha`"));
        assert!(refused(&format!(r#"{{"sha": "{sha}"}}"#)).contains("missing field `siblings`"));
        assert_eq!(
            refused(r#"{"sha": "main", "siblings": []}"#),
            "`sha` is `main`, expected a commit"
        );
        let other = "f".repeat(40);
        let listing = format!(r#"{{"sha": "{sha}", "siblings": []}}"#);
        assert!(parse_listing(listing.as_bytes(), "main").is_ok());
        assert_eq!(
            parse_listing(listing.as_bytes(), &other).unwrap_err(),
            format!("`sha` is {sha}, expected {other}")
        );
        let deep = format!("{{\"config\": {}", "[".repeat(1_000_000));
        assert!(refused(&deep).contains("EOF"));
    }

    #[test]
    fn names_of_others_are_shown_as_foreign_text_and_ten_of_many() {
        let repo: Repo = "org/name".parse().unwrap();
        let error = |held: &[String]| no_file(&repo, "a\x1b[2J", &Names::quoted(held));
        assert_eq!(error(&[]).to_string(), "org/name: no file `a\\u{1b}[2J`");
        assert_eq!(error(&[]).hint(), None);
        let mut held = vec!["b\u{202e}".to_owned(), "x".repeat(1_000_000)];
        held.extend((0..10).map(|i| i.to_string()));
        let hint = error(&held).hint().unwrap();
        assert!(
            hint.starts_with("the repository holds `b\\u{202e}`, `xxx"),
            "{hint}"
        );
        assert!(
            hint.ends_with("`7` and 2 more") && hint.len() < 300,
            "{hint}"
        );
        let message =
            unreachable(&Uri::from_static("http://host"), &"\x1b".repeat(1000)).to_string();
        assert!(!message.contains(char::is_control) && message.len() < 1000);
    }
}
