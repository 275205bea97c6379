//! The wrong bytes: never kept.

use super::replies::{at_first, chunked, with_cdn};
use super::server::{etag, sha256};
use super::*;

#[test]
fn other_range_than_asked_for_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let partial = partial_path(dir.path(), &site);
    fs_err::create_dir_all(partial.parent().unwrap()).unwrap();
    fs_err::write(&partial, &site.weights()[..9]).unwrap();
    let (server, _cdn) = with_cdn(&site, |_| {
        Reply::new(206).with("Content-Range", "bytes 0-399999/400000")
    });
    let error = fetch(&hub(&server, dir.path()), &Silent).unwrap_err();
    assert!(error.to_string().ends_with(
        "/model.safetensors: range `bytes 0-399999/400000`, expected the bytes from 9 on"
    ));
}

#[test]
fn wrong_size_is_an_error_and_leaves_nothing() {
    let site = Site::new();
    let longer = Reply::new(200).body(vec![0; 400_001]);
    for (reply, found) in [
        (Reply::new(200).body("short"), "5"),
        (longer, "400,001"),
        (chunked(&vec![0; 400_001]), "400,001"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (server, _cdn) = with_cdn(&site, move |_| reply.clone());
        let error = fetch(&hub(&server, dir.path()), &Silent).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("org/name model.safetensors: {found} bytes received, 400,000 announced")
        );
        assert!(error.hint().unwrap().starts_with("run again"));
        assert!(!partial_path(dir.path(), &site).exists());
    }
}

#[test]
fn wrong_bytes_are_an_error_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let copy = site.clone();
    let (server, _cdn) = with_cdn(
        &site,
        at_first(
            1,
            |_| Reply::new(200).body(vec![7; 400_000]),
            move |request| copy.answer_as_cdn(request),
        ),
    );
    let hub = hub(&server, dir.path());
    let error = fetch(&hub, &Silent).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "org/name model.safetensors: the bytes received have SHA-256 {}, expected {}",
            sha256(&vec![7; 400_000]),
            sha256(site.weights())
        )
    );
    assert!(!partial_path(dir.path(), &site).exists());
    let path = fetch(&hub, &Silent).unwrap();
    assert_eq!(fs_err::read(path).unwrap(), site.weights());
}

#[test]
fn refusal_of_another_host_is_no_matter_of_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let (server, cdn) = with_cdn(&site, |_| Reply::new(403));
    let error = fetch(&hub(&server, dir.path()), &Silent).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{}/model.safetensors: answered 403, expected 200", cdn.url)
    );
    assert!(!partial_path(dir.path(), &site).exists());
}

/// Changes a byte in the content of a file of the cache, and gives the path of the content.
fn damage(path: &Path) -> PathBuf {
    let content = fs_err::canonicalize(path).unwrap();
    let mut bytes = fs_err::read(&content).unwrap();
    bytes[3] ^= 1;
    fs_err::write(&content, bytes).unwrap();
    content
}

#[test]
fn small_file_that_is_damaged_is_not_used_and_latest_replaces_it() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let server = site.clone().start();
    let hub = hub(&server, dir.path());
    let path = hub
        .snapshot(&repo(), &Silent)
        .and_then(|snapshot| snapshot.file("config.json"))
        .unwrap();
    damage(&path);
    let snapshot = hub.snapshot(&repo(), &Silent).unwrap();
    let error = snapshot.file("config.json").unwrap_err();
    let expected = etag("config.json", &site.files["config.json"]);
    let (message, hint) = (error.to_string(), error.hint().unwrap());
    assert!(
        message.starts_with(&format!("{}: has git's SHA-1 ", path.display()))
            && message.ends_with(&format!(", the hub gave {expected}")),
        "{message}"
    );
    assert!(hint.starts_with("`newt-pipe models fetch ORG CKPT`"));

    let told = Told::default();
    let latest = hub.latest(&repo(), &told).unwrap();
    latest.file("config.json").unwrap();
    let warning = format!("warning: {message}; it is downloaded again");
    assert_eq!(told.lines().first(), Some(&warning));
    assert_eq!(fs_err::read(&path).unwrap(), site.files["config.json"]);
    snapshot.file("config.json").unwrap();
}

#[test]
fn large_file_that_is_damaged_is_replaced_by_latest_and_a_sound_one_is_not_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let copy = site.clone();
    let (server, cdn) = with_cdn(&site, move |request| copy.answer_as_cdn(request));
    let hub = hub(&server, dir.path());
    let path = fetch(&hub, &Silent).unwrap();
    let latest = || {
        let latest = hub.latest(&repo(), &Silent).unwrap();
        latest.file(WEIGHTS).unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), site.weights());
        cdn.seen().len()
    };
    assert_eq!(latest(), 1);
    let content = damage(&path);
    assert_eq!(latest(), 2);
    // Content that a snapshot is only now about to link to is looked at, too.
    damage(&content);
    fs_err::remove_file(&path).unwrap();
    fetch(&hub, &Silent).unwrap();
    assert_eq!(latest(), 3);
}

#[test]
fn small_file_of_wrong_bytes_is_an_error_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let server = Server::start(move |request| {
        let mut reply = site.answer(request);
        if request.target.contains("resolve-cache") {
            reply.body.reverse();
        }
        reply
    });
    let hub = hub(&server, dir.path());
    let snapshot = hub.snapshot(&repo(), &Silent).unwrap();
    let error = snapshot.file("config.json").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("org/name config.json: the bytes received have git's SHA-1 "),
        "{error}"
    );
    let blobs = fs_err::read_dir(dir.path().join("models--org--name/blobs")).unwrap();
    assert_eq!(blobs.count(), 0);
}
