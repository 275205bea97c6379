//! The wrong bytes: never kept.

use super::replies::{at_first, chunked, with_cdn};
use super::server::sha256;
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
        "/model.safetensors: range \"bytes 0-399999/400000\", expected the bytes from 9 on"
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
