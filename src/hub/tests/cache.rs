//! What the cache holds: used as it is, shared with the Python library.

use super::server::{etag, sha256};
use super::*;
use crate::error::Fault;
use crate::hub::{Kind, kind};

/// The layout that the Python library writes, with one file.
fn cache_of_python(cache_dir: &Path) {
    let root = cache_dir.join("models--org--name");
    let snapshot = root.join("snapshots").join(COMMIT);
    for folder in ["refs", "blobs"] {
        fs_err::create_dir_all(root.join(folder)).unwrap();
    }
    fs_err::create_dir_all(&snapshot).unwrap();
    fs_err::write(root.join("refs/main"), COMMIT).unwrap();
    fs_err::write(root.join("blobs/abc"), "{}").unwrap();
    fs_err::os::unix::fs::symlink("../../blobs/abc", snapshot.join("config.json")).unwrap();
}

#[test]
fn second_use_asks_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Site::new().start();
    let files = ["config.json", "model.safetensors", "sub dir/notes.txt"];
    let mut n_asked = Vec::new();
    for _ in 0..2 {
        let hub = hub(&server, dir.path());
        let snapshot = hub.snapshot(&repo(), &Silent).unwrap();
        assert_eq!(snapshot.commit(), COMMIT);
        assert!(!snapshot.has("pytorch_model.bin").unwrap());
        for file in files {
            assert!(snapshot.has(file).unwrap());
            snapshot.file(file).unwrap();
        }
        n_asked.push(server.seen().len());
    }
    assert_eq!(n_asked[0], n_asked[1]);

    let hub = offline(dir.path());
    let snapshot = hub.snapshot(&repo(), &Silent).unwrap();
    for file in files {
        assert!(snapshot.has(file).unwrap());
        snapshot.file(file).unwrap();
    }
}

#[test]
fn files_are_where_the_python_library_looks_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let server = site.clone().start();
    let hub = hub(&server, dir.path());
    let snapshot = hub.snapshot(&repo(), &Silent).unwrap();
    let root = dir.path().join("models--org--name");
    for (file, up) in [
        ("config.json", "../../"),
        ("model.safetensors", "../../"),
        ("sub dir/notes.txt", "../../../"),
    ] {
        let path = snapshot.file(file).unwrap();
        assert_eq!(path, root.join("snapshots").join(COMMIT).join(file));
        let etag = etag(file, &site.files[file]);
        let target = fs_err::read_link(path).unwrap();
        assert_eq!(target, Path::new(&format!("{up}blobs/{etag}")));
        let lock = format!(".locks/models--org--name/{etag}.lock");
        assert!(dir.path().join(lock).is_file());
    }
    assert_eq!(
        fs_err::read_to_string(root.join("refs/main")).unwrap(),
        COMMIT
    );
    assert!(!snapshot.has("vocab/merges.txt").unwrap());
    let absent = format!(".no_exist/{COMMIT}/vocab/merges.txt");
    assert!(root.join(absent).is_file());
}

#[test]
fn cache_of_the_python_library_is_used_and_added_to() {
    let dir = tempfile::tempdir().unwrap();
    cache_of_python(dir.path());
    let server = Site::new().start();
    let hub = hub(&server, dir.path());
    let snapshot = hub.snapshot(&repo(), &Silent).unwrap();
    assert_eq!(snapshot.commit(), COMMIT);
    assert!(snapshot.has("config.json").unwrap());
    let path = snapshot.file("config.json").unwrap();
    assert_eq!(fs_err::read_to_string(path).unwrap(), "{}");
    assert!(server.seen().is_empty());

    // The list is that of the commit, not of what `main` is by now.
    assert!(snapshot.has("model.safetensors").unwrap());
    assert!(!snapshot.has("pytorch_model.bin").unwrap());
    snapshot.file("model.safetensors").unwrap();
    let listed: Vec<_> = server
        .lines()
        .into_iter()
        .filter(|line| line.contains("/revision/"))
        .collect();
    assert_eq!(
        listed,
        [format!("GET /api/models/org/name/revision/{COMMIT}")]
    );
}

#[test]
fn latest_moves_on_when_it_is_pinned() {
    let dir = tempfile::tempdir().unwrap();
    cache_of_python(dir.path());
    let newer = "89abcdef0123456789abcdef0123456789abcdef";
    let server = Server::start(move |request| {
        let reply = Site::new().answer(&Seen {
            target: request.target.replace(newer, COMMIT),
            ..request.clone()
        });
        let renamed = |text: String| text.replace(COMMIT, newer);
        Reply {
            headers: reply
                .headers
                .into_iter()
                .map(|(name, value)| (name, renamed(value)))
                .collect(),
            body: renamed(String::from_utf8_lossy(&reply.body).into_owned()).into_bytes(),
            ..reply
        }
    });
    let hub = hub(&server, dir.path());
    let held = || hub.snapshot(&repo(), &Silent).unwrap().commit().to_owned();
    let latest = hub.latest(&repo(), &Silent).unwrap();
    assert_eq!(latest.commit(), newer);
    assert_eq!(held(), COMMIT);
    latest.file("config.json").unwrap();
    assert_eq!(held(), COMMIT);
    latest.pin().unwrap();
    assert_eq!(held(), newer);
    // The commit itself can be named.
    let old: Repo = format!("org/name@{COMMIT}").parse().unwrap();
    assert_eq!(hub.snapshot(&old, &Silent).unwrap().commit(), COMMIT);
}

#[test]
fn offline_what_the_cache_lacks_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let hub = offline(dir.path());
    let cache = dir.path().display();
    for result in [hub.snapshot(&repo(), &Silent), hub.latest(&repo(), &Silent)] {
        let error = result.err().unwrap();
        assert_eq!(
            error.to_string(),
            format!(
                "org/name: not in the cache `{cache}`, and the hub is not asked in offline mode"
            )
        );
        assert_eq!(
            error.hint().unwrap(),
            format!(
                "`newt-pipe models fetch ORG CKPT` with a network, and without `--offline` and `HF_HUB_OFFLINE`, \
                 brings it into the hub's cache; what another machine has fetched can be copied into `{cache}`"
            )
        );
    }
    cache_of_python(dir.path());
    let snapshot = hub.snapshot(&repo(), &Silent).unwrap();
    assert!(snapshot.has("config.json").unwrap());
    assert!(!snapshot.has("model.safetensors").unwrap());
    assert!(!snapshot.is_known_absent("model.safetensors"));
    let absent = format!("models--org--name/.no_exist/{COMMIT}/model.bin");
    let absent = dir.path().join(absent);
    fs_err::create_dir_all(absent.parent().unwrap()).unwrap();
    fs_err::write(absent, "").unwrap();
    assert!(snapshot.is_known_absent("model.bin"));
    assert!(!snapshot.is_known_absent("../model.bin"));
    let error = snapshot.file("model.safetensors").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "org/name model.safetensors: not in the cache `{cache}`, and the hub is not asked in offline mode"
        )
    );
}

#[test]
fn where_the_hub_cannot_be_asked_one_round_of_tries_is_made() {
    let dir = tempfile::tempdir().unwrap();
    cache_of_python(dir.path());
    let hub = hub_at("http://127.0.0.1:1", dir.path(), None);
    let told = Told::default();
    let snapshot = hub.snapshot(&repo(), &told).unwrap();
    let error = snapshot.has("model.safetensors").unwrap_err();
    assert!(kind(&error) == Some(Kind::Unreachable));
    assert_eq!(told.lines().len(), 2);
    assert!(!snapshot.is_known_absent("model.safetensors"));
}

#[test]
fn listing_tells_what_is_absent_without_being_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = Site::new().start();
    let hub = hub(&server, dir.path());
    let snapshot = hub.snapshot(&repo(), &Silent).unwrap();
    assert!(snapshot.is_known_absent("model.bin"));
    assert!(!snapshot.is_known_absent("config.json"));
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn names_that_leave_the_snapshot_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Site::new().start();
    let hub = hub(&server, dir.path());
    let snapshot = hub.snapshot(&repo(), &Silent).unwrap();
    for file in ["../x", "/etc/passwd", "a//b", "a\\b", "a\0b", ""] {
        assert!(!snapshot.has(file).unwrap());
        let error = snapshot.file(file).unwrap_err();
        assert!(error.to_string().starts_with("org/name: file `"), "{error}");
    }
    let error = snapshot.file("a/../b").unwrap_err();
    assert_eq!(
        error.to_string(),
        "org/name: file `a/../b`: leads out of its folder, expected a path within it"
    );
    // Nor may fields that were filled in by hand.
    for (name, revision) in [("../../x", "main"), ("org/name", "../../x")] {
        let repo = Repo {
            name: name.to_owned(),
            revision: revision.to_owned(),
        };
        let error = hub.snapshot(&repo, &Silent).err().unwrap();
        assert!(
            error.to_string().starts_with("model repository `"),
            "{error}"
        );
    }
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn listing_with_a_hostile_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let listing = Site {
        files: [("../../../.bashrc", Vec::new())].into(),
        ..Site::new()
    }
    .listing();
    let server = Server::start(move |_| Reply::new(200).body(listing.clone()));
    let error = hub(&server, dir.path())
        .snapshot(&repo(), &Silent)
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "org/name: file `../../../.bashrc`: leads out of its folder, expected a path within it"
    );
    assert_eq!(
        error.hint().unwrap(),
        "take a revision without this file, as in `org/name@REVISION`"
    );
}

#[test]
fn links_that_lead_nowhere_and_cut_content_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let server = site.clone().start();
    let hub = hub(&server, dir.path());
    let snapshot = hub.snapshot(&repo(), &Silent).unwrap();
    let path = snapshot.file("model.safetensors").unwrap();
    let blobs = dir.path().join("models--org--name/blobs");
    let content = blobs.join(sha256(site.weights()));
    fs_err::rename(&content, blobs.join("elsewhere")).unwrap();
    snapshot.file("model.safetensors").unwrap();
    assert_eq!(fs_err::read(&path).unwrap(), site.weights());

    fs_err::remove_file(&path).unwrap();
    fs_err::write(&content, "cut").unwrap();
    snapshot.file("model.safetensors").unwrap();
    assert_eq!(fs_err::read(&path).unwrap(), site.weights());
}

#[test]
fn cache_that_cannot_be_written_to_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("file");
    fs_err::write(&place, "").unwrap();
    let server = Site::new().start();
    let hub = hub(&server, &place.join("hub"));
    let snapshot = hub.snapshot(&repo(), &Silent).unwrap();
    let error = snapshot.file("config.json").unwrap_err();
    assert_eq!((error.fault(), kind(&error)), (Fault::Machine, None));
    assert!(
        error.to_string().contains("/file/hub/models--org--name"),
        "{error}"
    );
}
