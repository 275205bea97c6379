//! What a server may say that is no hub, or one that means no good.

use ureq::http::Uri;

use super::{FileInfo, PLAIN_PATH, parse_etag, parse_listing};
use crate::fuzz::{check, check_said};
use crate::hub::address::{join, origin, shown};
use crate::hub::repo::is_commit;
use crate::hub::{Hub, Repo, Settings};
use crate::interrupt::Interrupt;
use crate::progress::Silent;
use percent_encoding::utf8_percent_encode;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn repo() -> Repo {
    "org/name".parse().unwrap()
}

/// As the user is told of an answer that is none.
fn told(what: impl std::fmt::Display) -> String {
    format!("http://host/org/name: {what}")
}

#[test]
fn damaged_listings_name_no_file_elsewhere() {
    let listing = format!(
        r#"{{"id": "org/name", "sha": "{COMMIT}", "private": false, "siblings": [{{"rfilename": "config.json"}},
        {{"rfilename": "sub dir/model.safetensors", "size": 12}}], "usedStorage": 12}}"#
    );
    check(2000, vec![listing.into_bytes()], |bytes| {
        let listing = parse_listing(bytes, "main").map_err(told)?;
        assert!(is_commit(&listing.commit));
        for file in &listing.files {
            repo().check_file(file).map_err(|error| error.to_string())?;
            let place = std::path::Path::new(file);
            assert!(
                place
                    .components()
                    .all(|part| matches!(part, std::path::Component::Normal(_)))
            );
            assert!(!file.chars().any(char::is_control));
            let address: Uri = format!("http://host/{}", utf8_percent_encode(file, PLAIN_PATH))
                .parse()
                .unwrap();
            assert_eq!(address.query(), None);
        }
        Ok(())
    });
}

#[test]
fn damaged_headers_are_refused_or_names_of_content() {
    let samples = [
        "\"0123abcd\"".to_owned(),
        format!("W/\"{}\"", "a".repeat(64)),
    ];
    check(1000, samples.map(String::into_bytes).to_vec(), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let info = FileInfo {
            etag: parse_etag(&text).map_err(told)?,
            size: None,
        };
        assert!(
            info.etag
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        );
        assert!((1..=128).contains(&info.etag.len()));
        Ok(())
    });
}

#[test]
fn redirects_keep_encryption_and_show_no_signature() {
    let base: Uri = "https://user:secret@hub.co:444/org/name/resolve/main/a%20b?sig=1"
        .parse()
        .unwrap();
    let samples = [
        "https://cdn.host/x?Signature=abc&Key=1",
        "http://cdn.host:80/x",
        "//user:pw@cdn.host/x/../y",
        "/api/resolve-cache/models/x?y#z",
        "../other/file",
        "x",
    ];
    let samples = samples.map(|sample| sample.as_bytes().to_vec()).to_vec();
    check(2000, samples, |bytes| {
        // No other header is text to the client.
        let location = String::from_utf8_lossy(bytes);
        if !location.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Ok(());
        }
        let Some(target) = join(&base, &location) else {
            return Ok(());
        };
        assert_eq!(origin(&target).0, "https", "{target}");
        let shown = shown(&target);
        assert!(
            !shown.contains('@') || target.path().contains('@'),
            "{shown}"
        );
        assert!(!shown.contains('?'), "{shown}");
        assert!(!shown.chars().any(char::is_control), "{shown}");
        Ok(())
    });
}

#[test]
fn damaged_refs_stand_for_no_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("models--org--name");
    fs_err::create_dir_all(root.join("refs")).unwrap();
    fs_err::create_dir_all(root.join("snapshots").join(COMMIT)).unwrap();
    let settings = Settings {
        cache_dir: Some(dir.path().to_owned()),
        ..Settings::default()
    };
    let hub = Hub::new(settings, Interrupt::default());
    check(
        200,
        vec![COMMIT.into(), format!("{COMMIT}\n").into_bytes()],
        |bytes| {
            fs_err::write(root.join("refs/main"), bytes).unwrap();
            let held = hub
                .snapshot(&repo(), &Silent)
                .map_err(|error| error.to_string())?;
            assert_eq!(held.commit(), COMMIT);
            assert_eq!(bytes.trim_ascii(), COMMIT.as_bytes());
            Ok(())
        },
    );
}

#[test]
fn damaged_names_of_repositories_lead_nowhere_else() {
    let samples = [
        "org/name",
        "org/name@refs/pr/1",
        "a-b/c.d_e@0123456789abcdef0123456789abcdef01234567",
    ];
    check(
        2000,
        samples.map(|name| name.as_bytes().to_vec()).to_vec(),
        |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let repo: Repo = text
                .parse()
                .map_err(|error: crate::error::Error| error.to_string())?;
            assert_eq!(repo.name.split('/').count(), 2);
            assert!(!repo.name.contains("..") && !repo.name.contains("--"));
            assert!(
                !repo
                    .revision
                    .split('/')
                    .any(|part| matches!(part, "" | "." | ".."))
            );
            check_said(&repo.to_string()).unwrap();
            Ok(())
        },
    );
}
