//! Archives that lie in the folder: kept by an earlier fetch, or copied there.

use super::tar_bytes::link;
use super::*;

fn offline() -> Options {
    Options {
        offline: true,
        ..Options::default()
    }
}

#[test]
fn archives_are_kept_and_used_again() {
    let (place, archives) = (Place::new(), Archives::new());
    let server = archives.serve();
    let options = Options {
        keep_archives: true,
        ..Options::default()
    };
    run(&place.fetch_with(&server, &archives, &options), &archives).unwrap();
    place.assert_whole(&archives, &[LABELS, IMAGES]);
    assert_eq!(fs_err::read(place.path(LABELS)).unwrap(), archives.labels);
    assert!(fs_err::read(place.path(IMAGES)).unwrap() == archives.images);

    fs_err::remove_file(place.path("newt2021_labels.csv")).unwrap();
    fs_err::remove_dir_all(place.path("newt2021_images")).unwrap();
    let fetched = run(&place.fetch_with(&server, &archives, &offline()), &archives).unwrap();
    assert_eq!(fetched, [Outcome::Fetched; 2]);
    place.assert_whole(&archives, &[LABELS, IMAGES]);
    assert_eq!(server.lines().len(), 2);
    let n_bytes = archives.images.len();
    assert!(
        place
            .told
            .lines()
            .contains(&format!("start reading {IMAGES}: {n_bytes}"))
    );
}

#[test]
fn other_archive_is_refused_and_left_alone() {
    let archives = Archives::new();
    let whole = &archives.images;
    let readable = gzip(&tar(&[entry("newt2021_images/id-0.jpg", b'0', b"other")]));
    let deeper = gzip(&tar(&[entry(
        "newt/newt2021_images/id-0.jpg",
        b'0',
        b"other",
    )]));
    let linked = gzip(&tar(&[link("newt2021_images", b'2', "/tmp")]));
    let cut = whole[..90_000].to_vec();
    for bytes in [readable, deeper, linked, cut, b"<html>".to_vec()] {
        let place = Place::new();
        let server = archives.serve();
        let path = place.write(IMAGES, &bytes);
        let error = run(&place.fetch(&server, &archives), &archives).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{}: has SHA-256 {}, expected {}",
                path.display(),
                sha256(&bytes),
                sha256(whole)
            )
        );
        assert_eq!(error.fault().exit_code(), 3);
        let hint = error.hint().unwrap();
        assert!(
            hint.starts_with(&format!("remove or rename {}", path.display())),
            "{hint}"
        );
        assert!(fs_err::read(&path).unwrap() == bytes);
        place.assert_names(&[IMAGES, "newt2021_labels.csv"]);
        assert!(server.ranges(IMAGES).is_empty());
    }
}

#[test]
fn archive_of_the_right_digest_that_is_refused_is_named_by_its_path_and_stays() {
    let deeper = gzip(&tar(&[entry("newt/newt2021_images/a.jpg", b'0', b"a")]));
    let cut = gzip(&entry("newt2021_images/a.jpg", b'0', b"bytes")[..514]);
    for (bytes, what) in [
        (deeper, "entry `newt/newt2021_images/a.jpg` does not belong"),
        (cut, "damaged: unexpected end of file"),
    ] {
        let (place, archives) = (Place::new(), Archives::with_images(bytes.clone()));
        let server = archives.serve();
        let path = place.write(IMAGES, &bytes);
        let error = run(&place.fetch(&server, &archives), &archives).unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with(&format!("{}: {what}", path.display())),
            "{message}"
        );
        assert_eq!(
            error.hint().unwrap(),
            format!("remove or rename {}", path.display())
        );
        assert_eq!(error.fault().exit_code(), 3);
        assert!(fs_err::read(&path).unwrap() == bytes);
        place.assert_names(&[IMAGES, "newt2021_labels.csv"]);
    }
}

#[test]
fn offline_what_is_missing_is_named() {
    let (place, archives) = (Place::new(), Archives::new());
    let server = archives.serve();
    let fetch = place.fetch_with(&server, &archives, &offline());
    let error = fetch.labels().unwrap_err();
    let dir = place.dir().display().to_string();
    assert_eq!(
        error.to_string(),
        format!("{dir}: no `newt2021_labels.csv`, and nothing is fetched in offline mode")
    );
    assert_eq!(
        error.hint().unwrap(),
        format!(
            "run `newt-pipe data fetch` where there is a network, without `--offline` and `HF_HUB_OFFLINE`, \
             or put the archive `{LABELS}` into {dir}"
        )
    );
    assert_eq!(error.fault().exit_code(), 1);
    assert!(!place.dir().exists());
    assert!(server.lines().is_empty());
}
