//! What others put where our files belong: never written through, never waited for.

use std::os::unix::fs::symlink;
use std::process::Command;

use super::server::{etag, sha256};
use super::*;

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Puts links and pipes to where a fetch writes, by `put`, and makes sure that it does its work.
fn fetches_beside(put: fn(theirs: &Path, place: &Path)) {
    let dir = tempfile::tempdir().unwrap();
    let theirs = dir.path().join("theirs");
    fs_err::write(&theirs, "theirs").unwrap();
    let site = Site::new();
    let places = [
        format!("blobs/{}.incomplete", sha256(site.weights())),
        format!(
            "blobs/{}.incomplete",
            etag("config.json", &site.files["config.json"])
        ),
        "refs/main".to_owned(),
        format!(".no_exist/{COMMIT}/model.bin"),
    ];
    let cache_dir = dir.path().join("hub");
    let root = cache_dir.join("models--org--name");
    let locks = cache_dir.join(".locks/models--org--name");
    let lock = locks.join(format!("{}.lock", sha256(site.weights())));
    for place in places.iter().map(|place| root.join(place)).chain([lock]) {
        fs_err::create_dir_all(place.parent().unwrap()).unwrap();
        put(&theirs, &place);
    }
    let server = site.clone().start();
    let hub = hub(&server, &cache_dir);
    let snapshot = hub.latest(&repo(), &Silent).unwrap();
    for file in ["config.json", WEIGHTS] {
        let path = snapshot.file(file).unwrap();
        assert_eq!(fs_err::read(path).unwrap(), site.files[file]);
    }
    assert!(!snapshot.has("model.bin").unwrap());
    snapshot.pin().unwrap();
    assert_eq!(
        fs_err::read(root.join("refs/main")).unwrap(),
        COMMIT.as_bytes()
    );
    assert_eq!(fs_err::read(theirs).unwrap(), b"theirs");
    assert!(!dir.path().join("nowhere").exists());
}

#[test]
fn links_and_pipes_in_the_place_of_our_files_are_replaced() {
    fetches_beside(|theirs, place| symlink(theirs, place).unwrap());
    fetches_beside(|theirs, place| symlink(theirs.with_file_name("nowhere"), place).unwrap());
    fetches_beside(|theirs, place| fs_err::hard_link(theirs, place).unwrap());
    fetches_beside(|_, place| make_pipe(place));
}

#[test]
fn what_cannot_be_replaced_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let partial = partial_path(dir.path(), &site);
    fs_err::create_dir_all(&partial).unwrap();
    let error = fetch(&hub(&site.start(), dir.path()), &Silent).unwrap_err();
    let expected = format!(
        "{}: is a folder, expected a file of ours",
        partial.display()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(error.hint().unwrap().starts_with("remove what is there"));
}

#[test]
fn revision_that_is_no_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let refs = dir.path().join("models--org--name/refs");
    fs_err::create_dir_all(&refs).unwrap();
    make_pipe(&refs.join("main"));
    symlink("/dev/zero", refs.join("v1")).unwrap();
    for (revision, found) in [("main", "a named pipe"), ("v1", "a device")] {
        let repo: Repo = format!("org/name@{revision}").parse().unwrap();
        let error = offline(dir.path()).snapshot(&repo, &Silent).err().unwrap();
        let path = refs.join(revision);
        let expected = format!("{}: is {found}, expected a regular file", path.display());
        assert_eq!(error.to_string(), expected);
        assert!(error.hint().is_some());
    }
}
