//! What the hub says about a repository and its files.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /api/models/<name>/revision/<revision>` | JSON: `sha`, the commit; `siblings[].rfilename`, the files |
//! | `HEAD /<name>/resolve/<commit>/<file>` | headers: `X-Repo-Commit`; `X-Linked-Etag` or `ETag`; `X-Linked-Size` or `Content-Length` |
//!
//! Source: `huggingface_hub` 2.4, `HfApi.model_info` and `get_hf_file_metadata`.

use std::collections::BTreeSet;

use serde::Deserialize;
use ureq::http::Uri;
use ureq::http::header::{CONTENT_LENGTH, ETAG, HeaderName};

use super::http::{Answer, Client, Speed};
use super::repo::is_commit;
use super::retry::Patience;
use super::{Error, Repo};
use crate::progress::Progress;
use crate::text::foreign;

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
pub(super) struct Listing {
    pub(super) commit: String,
    pub(super) files: BTreeSet<String>,
}

/// What the hub says about one file.
#[derive(Debug)]
pub(super) struct FileInfo {
    /// Names the content: its SHA-256 for large files, git's name of it for the others.
    pub(super) etag: String,
    pub(super) size: Option<u64>,
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
    pub(super) fn listing(
        &self,
        repo: &Repo,
        revision: &str,
        progress: &dyn Progress,
    ) -> Result<Listing, Error> {
        let path = format!("api/models/{}/revision/{}", repo.name, quoted(revision, ""));
        let address = self.address(&path)?;
        Patience::new(&self.pace, &self.interrupt, progress).run(|| {
            let mut answer = self.get(&address, 0)?;
            if answer.status() != 200 {
                return Err(self.refusal(&answer, repo, None).into());
            }
            let bytes = answer.read_all(MAX_LISTING_BYTES, Speed::new(&self.pace))?;
            let listing = parse_listing(&bytes, revision).map_err(|what| Error::Answer {
                url: answer.url(),
                what: format!(
                    "{} is no description of a model: {what}",
                    answer.content_type()
                ),
            })?;
            for file in &listing.files {
                repo.check_file(file)?;
            }
            Ok(listing)
        })
    }

    /// Etag and size of a file.
    pub(super) fn file_info(
        &self,
        repo: &Repo,
        commit: &str,
        file: &str,
        progress: &dyn Progress,
    ) -> Result<FileInfo, Error> {
        let address = self.file_address(repo, commit, file)?;
        Patience::new(&self.pace, &self.interrupt, progress).run(|| {
            let answer = self.head(&address)?;
            if answer.status() != 200 && !answer.is_redirect() {
                return Err(self.refusal(&answer, repo, Some(file)).into());
            }
            Ok(parse_info(&answer, commit).map_err(|what| Error::Answer {
                url: answer.url(),
                what,
            })?)
        })
    }

    /// Where the bytes of a file are.
    pub(super) fn file_address(&self, repo: &Repo, commit: &str, file: &str) -> Result<Uri, Error> {
        let file = quoted(file, "/");
        self.address(&format!("{}/resolve/{commit}/{file}", repo.name))
    }

    /// Why the hub, or where it redirected to, does not give what was asked for.
    pub(super) fn refusal(&self, answer: &Answer, repo: &Repo, file: Option<&str>) -> Error {
        if !answer.is_hub {
            return answer.unexpected("200");
        }
        let page = self.page(&repo.name);
        let repo = repo.clone();
        match (answer.header(ERROR_CODE), answer.status(), file) {
            (Some("RevisionNotFound"), _, _) => Error::NoRevision { repo, page },
            // Mirrors may say no more than 404.
            (Some("EntryNotFound"), _, Some(file)) | (None, 404, Some(file)) => Error::NoFile {
                repo,
                file: file.to_owned(),
                held: Vec::new(),
            },
            // To whoever has no token, the hub says so of a repository that is not there, too.
            (_, status @ (401 | 403), _) => Error::Denied {
                repo,
                status,
                page,
                with_token: self.has_token(),
            },
            (Some("RepoNotFound"), _, _) | (None, 404, None) => Error::NoRepo { repo, page },
            _ => answer.unexpected("200"),
        }
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

/// `text` with each byte that could mean something else in an address as `%XX`.
fn quoted(text: &str, kept: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        let char = char::from(byte);
        if char.is_ascii_alphanumeric() || "-_.~".contains(char) || kept.contains(char) {
            quoted.push(char);
        } else {
            quoted.push_str(&format!("%{byte:02X}"));
        }
    }
    quoted
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(quoted("refs/pr/1", ""), "refs%2Fpr%2F1");
        assert_eq!(quoted("a b/é?#%.bin", "/"), "a%20b/%C3%A9%3F%23%25.bin");
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
}
