//! The bytes of files: redirects, broken transfers, what is left of them.

use crate::hub::{Kind, kind};
use std::sync::Arc;

use super::replies::{at_first, chunked, with_cdn};
use super::server::part;
use super::*;

fn ranges(server: &Server) -> Vec<Option<String>> {
    let range = |request: &Seen| request.header("range").map(str::to_owned);
    server.seen().iter().map(range).collect()
}

#[test]
fn token_is_for_the_hub_alone() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site {
        token: Some("hf_x"),
        ..Site::new()
    };
    let copy = site.clone();
    let (server, cdn) = with_cdn(&site, move |request| copy.answer_as_cdn(request));
    let hub = hub_at(&server.url, dir.path(), Some("hf_x"));
    let path = fetch(&hub, &Silent).unwrap();
    assert_eq!(fs_err::read(path).unwrap(), site.weights());

    for request in server.seen() {
        assert_eq!(request.header("authorization"), Some("Bearer hf_x"));
    }
    assert_eq!(cdn.lines(), ["GET /model.safetensors?signature=secret"]);
    for request in server.seen().iter().chain(&cdn.seen()) {
        assert_eq!(request.header("accept-encoding"), Some("identity"));
        let agent = concat!("newt-pipe/", env!("CARGO_PKG_VERSION"));
        assert_eq!(request.header("user-agent"), Some(agent));
    }
    assert_eq!(cdn.seen()[0].header("authorization"), None);
}

#[test]
fn redirects_within_the_hub_are_followed_with_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site {
        token: Some("hf_x"),
        ..Site::new()
    };
    let server = site.clone().start();
    let hub = hub_at(&format!("{}/", server.url), dir.path(), Some("hf_x"));
    let snapshot = hub.snapshot(&repo(), &Silent).unwrap();
    let path = snapshot.file("sub dir/notes.txt").unwrap();
    assert_eq!(fs_err::read(path).unwrap(), b"notes");
    let resolve = format!("/org/name/resolve/{COMMIT}/sub%20dir/notes.txt");
    let cached = format!("/api/resolve-cache/models/org/name/{COMMIT}/sub%20dir/notes.txt");
    assert_eq!(
        server.lines(),
        [
            "GET /api/models/org/name/revision/main".to_owned(),
            format!("HEAD {resolve}"),
            format!("HEAD {cached}"),
            format!("GET {resolve}"),
            format!("GET {cached}"),
        ]
    );
}

#[test]
fn broken_transfer_goes_on_where_it_broke() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let copy = site.clone();
    // More often than the client tries where nothing new arrives.
    let (server, cdn) = with_cdn(
        &site,
        at_first(
            5,
            move |request| part(copy.weights(), request).cut(50_000),
            {
                let site = site.clone();
                move |request| site.answer_as_cdn(request)
            },
        ),
    );
    let told = Told::default();
    let path = fetch(&hub(&server, dir.path()), &told).unwrap();
    assert_eq!(fs_err::read(path).unwrap(), site.weights());
    // Each range begins at the end of the last: no byte is sent twice.
    let expected: Vec<_> = (0..6)
        .map(|i| (i > 0).then(|| format!("bytes={}-", i * 50_000)))
        .collect();
    assert_eq!(ranges(&cdn), expected);
    assert_eq!(told.ticks(), 400_000);
    let lines = told.lines();
    assert_eq!(
        lines[0],
        "start downloading org/name model.safetensors: 400000"
    );
    let verified = "start verifying org/name model.safetensors: 400000".to_owned();
    assert!(lines.contains(&verified));
    assert_eq!(lines.last().unwrap(), "finish");
    assert!(!partial_path(dir.path(), &site).exists());
}

#[test]
fn silent_server_is_given_up_and_asked_for_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let copy = site.clone();
    let (server, cdn) = with_cdn(
        &site,
        // Whatever else the client gives up on a slow machine, only this makes it ask for a rest.
        move |request| match request.header("range") {
            None => Reply {
                silence: Duration::from_hours(1),
                ..part(copy.weights(), request).cut(50_000)
            },
            Some(_) => copy.answer_as_cdn(request),
        },
    );
    let mut hub = hub(&server, dir.path());
    let pace = Pace {
        n_tries: 1000,
        silence: Duration::from_millis(300),
        ..quick()
    };
    hub.client = Client::new(&server.url, None, pace, None, Interrupt::default());
    let told = Told::default();
    let path = fetch(&hub, &told).unwrap();
    assert_eq!(fs_err::read(path).unwrap(), site.weights());
    assert_eq!(ranges(&cdn).first(), Some(&None));
    assert!(ranges(&cdn).last().unwrap().is_some());
    assert!(told.lines().contains(
        &"warning: `127.0.0.1`: connection failed: no answer in time; next try in 0 s".to_owned()
    ));
}

#[test]
fn partial_file_of_an_earlier_process_is_continued() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let partial = partial_path(dir.path(), &site);
    fs_err::create_dir_all(partial.parent().unwrap()).unwrap();
    for (n_bytes, expected) in [
        (300_000, vec![Some("bytes=300000-".to_owned())]),
        // Only its name was missing.
        (400_000, vec![]),
    ] {
        fs_err::write(&partial, &site.weights()[..n_bytes]).unwrap();
        let copy = site.clone();
        let (server, cdn) = with_cdn(&site, move |request| copy.answer_as_cdn(request));
        let told = Told::default();
        let path = fetch(&hub(&server, dir.path()), &told).unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), site.weights());
        assert_eq!(ranges(&cdn), expected);
        assert_eq!(
            told.lines()[0],
            format!("resume downloading org/name model.safetensors: {n_bytes} of 400000")
        );
        assert_eq!(told.ticks(), 400_000 - n_bytes as u64);
        fs_err::remove_file(path).unwrap();
        fs_err::remove_file(partial.with_extension("")).unwrap();
    }
}

#[test]
fn partial_file_that_nothing_vouches_for_is_not_continued() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let blobs = dir.path().join("models--org--name/blobs");
    fs_err::create_dir_all(&blobs).unwrap();
    let etag = server::etag("config.json", &site.files["config.json"]);
    fs_err::write(blobs.join(format!("{etag}.incomplete")), [0; 10]).unwrap();
    // Longer than the whole.
    fs_err::write(partial_path(dir.path(), &site), vec![0; 500_000]).unwrap();
    let server = site.clone().start();
    let hub = hub(&server, dir.path());
    let snapshot = hub.snapshot(&repo(), &Silent).unwrap();
    for file in ["config.json", WEIGHTS] {
        let path = snapshot.file(file).unwrap();
        assert_eq!(fs_err::read(path).unwrap(), site.files[file]);
    }
    assert_eq!(ranges(&server), vec![None; 9]);
}

#[test]
fn server_without_ranges_is_read_from_the_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let weights = site.weights().to_vec();
    let whole = move |_: &Seen| Reply::new(200).body(weights.clone());
    let broken = whole.clone();
    let (server, cdn) = with_cdn(
        &site,
        at_first(1, move |request| broken(request).cut(50_000), whole),
    );
    let told = Told::default();
    let path = fetch(&hub(&server, dir.path()), &told).unwrap();
    assert_eq!(fs_err::read(path).unwrap(), site.weights());
    assert_eq!(ranges(&cdn), [None, Some("bytes=50000-".to_owned())]);
    assert_eq!(told.ticks(), 400_000);

    // One that never comes further is given up.
    let weights = site.weights().to_vec();
    let (server, cdn) = with_cdn(&site, move |_| {
        Reply::new(200).body(weights.clone()).cut(50_000)
    });
    let dir = tempfile::tempdir().unwrap();
    let error = fetch(&hub(&server, dir.path()), &Silent).unwrap_err();
    assert!(kind(&error) == Some(Kind::Unreachable));
    assert_eq!(cdn.seen().len(), 3);
    assert_eq!(
        fs_err::metadata(partial_path(dir.path(), &site))
            .unwrap()
            .len(),
        50_000
    );
}

#[test]
fn answer_that_ends_early_is_asked_for_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let (start, copy) = (site.weights()[..9].to_vec(), site.clone());
    let (server, cdn) = with_cdn(
        &site,
        at_first(
            1,
            move |_| chunked(&start),
            move |request| copy.answer_as_cdn(request),
        ),
    );
    let told = Told::default();
    let path = fetch(&hub(&server, dir.path()), &told).unwrap();
    assert_eq!(fs_err::read(path).unwrap(), site.weights());
    assert_eq!(ranges(&cdn), [None, Some("bytes=9-".to_owned())]);
    let warning = "warning: `127.0.0.1`: connection failed: the transfer ended after 9 of 400,000 bytes; next try in 0 s";
    assert!(told.lines().contains(&warning.to_owned()));
}

#[test]
fn file_of_unknown_size_is_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let server = Server::start(move |request| {
        let reply = site.answer(request);
        let is_file = reply.status == 200 && request.target.contains("resolve");
        if is_file {
            Reply {
                headers: [chunked(&[]).headers, reply.headers].concat(),
                ..chunked(&reply.body)
            }
        } else {
            reply
        }
    });
    let hub = hub(&server, dir.path());
    let told = Told::default();
    let snapshot = hub.snapshot(&repo(), &told).unwrap();
    let path = snapshot.file("sub dir/notes.txt").unwrap();
    assert_eq!(fs_err::read(path).unwrap(), b"notes");
    assert_eq!(
        told.lines()[0],
        "start downloading org/name sub dir/notes.txt: 0"
    );
}

#[test]
fn range_that_cannot_be_had_starts_over() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let partial = partial_path(dir.path(), &site);
    fs_err::create_dir_all(partial.parent().unwrap()).unwrap();
    fs_err::write(&partial, &site.weights()[..9]).unwrap();
    let copy = site.clone();
    let (server, cdn) = with_cdn(
        &site,
        at_first(
            1,
            |_| Reply::new(416),
            move |request| copy.answer_as_cdn(request),
        ),
    );
    let path = fetch(&hub(&server, dir.path()), &Silent).unwrap();
    assert_eq!(fs_err::read(path).unwrap(), site.weights());
    assert_eq!(ranges(&cdn), [Some("bytes=9-".to_owned()), None]);
}

#[test]
fn threads_that_want_the_same_file_fetch_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let waiting =
        "warning: org/name model.safetensors: waiting for another process that fetches it";
    let told = Arc::new(Told::default());
    let (copy, heard) = (site.clone(), Arc::clone(&told));
    let (server, cdn) = with_cdn(&site, move |request| {
        // Until the other thread has met the lock.
        while !heard.lines().contains(&waiting.to_owned()) {
            std::thread::sleep(Duration::from_millis(10));
        }
        copy.answer_as_cdn(request)
    });
    let hub = hub(&server, dir.path());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let path = fetch(&hub, &*told).unwrap();
                assert_eq!(fs_err::read(path).unwrap(), site.weights());
            });
        }
    });
    assert_eq!(cdn.seen().len(), 1);
    let blobs = fs_err::read_dir(dir.path().join("models--org--name/blobs")).unwrap();
    assert_eq!(blobs.count(), 1);
    assert!(told.lines().contains(&waiting.to_owned()));
}

/// A pace at which a byte now and then is too slow, and what a busy machine does in one go is not.
fn impatient(n_tries: u32) -> Pace {
    Pace {
        n_tries,
        window: Duration::from_secs(1),
        least_bytes: 10_000,
        ..quick()
    }
}

#[test]
fn server_that_drips_is_given_up_and_asked_for_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let copy = site.clone();
    let (server, cdn) = with_cdn(&site, move |request| match request.header("range") {
        None => Reply {
            drip: Some(Duration::from_millis(20)),
            ..part(copy.weights(), request)
        },
        Some(_) => copy.answer_as_cdn(request),
    });
    let mut hub = hub(&server, dir.path());
    hub.client = Client::new(
        &server.url,
        None,
        impatient(1000),
        None,
        Interrupt::default(),
    );
    let told = Told::default();
    let path = fetch(&hub, &told).unwrap();
    assert_eq!(fs_err::read(path).unwrap(), site.weights());
    assert_eq!(ranges(&cdn).first(), Some(&None));
    assert!(ranges(&cdn).last().unwrap().is_some());
    let is_slow = |line: &String| {
        line.starts_with("warning: `127.0.0.1`: ")
            && line.ends_with(" bytes in 1 s, expected 10,000 at least; next try in 0 s")
    };
    assert!(told.lines().iter().any(is_slow), "{:?}", told.lines());
}

#[test]
fn server_that_drips_for_ever_is_given_up_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let copy = site.clone();
    let (server, cdn) = with_cdn(&site, move |request| Reply {
        drip: Some(Duration::from_millis(20)),
        ..part(copy.weights(), request)
    });
    let mut hub = hub(&server, dir.path());
    hub.client = Client::new(&server.url, None, impatient(3), None, Interrupt::default());
    let error = fetch(&hub, &Silent).unwrap_err();
    assert!(kind(&error) == Some(Kind::Slow), "{error}");
    assert!(error.hint().unwrap().contains("what has arrived"));
    assert_eq!(cdn.seen().len(), 3);
    assert!(
        fs_err::metadata(partial_path(dir.path(), &site))
            .unwrap()
            .len()
            > 0
    );

    // Nor is its list of files waited for.
    let server = Server::start(move |request| Reply {
        drip: Some(Duration::from_millis(20)),
        ..site.answer(request)
    });
    hub.client = Client::new(&server.url, None, impatient(2), None, Interrupt::default());
    let error = hub.latest(&repo(), &Silent).err().unwrap();
    assert!(kind(&error) == Some(Kind::Slow), "{error}");
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn body_without_a_size_has_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let file = own::open_own(&dir.path().join("part")).unwrap();
    let server = Server::start(|_| chunked(&[7; 1001]));
    let client = Client::new(&server.url, None, quick(), None, Interrupt::default());
    for (most_unannounced, is_taken) in [(1001, true), (1000, false)] {
        let wanted = Wanted {
            address: client.address("file").unwrap(),
            what: "file".to_owned(),
            size: None,
            most: u64::MAX,
            most_unannounced,
            refusal: &|answer| answer.unexpected("200").into(),
        };
        let mut transfer = Transfer::new(&client, wanted, &file, 0, &Silent);
        let result = transfer.read_to_end().map_err(|error| error.to_string());
        let endless = "file: more than 1,000 bytes, and no size was announced";
        assert_eq!(
            result,
            if is_taken {
                Ok(())
            } else {
                Err(endless.to_owned())
            }
        );
    }
}
