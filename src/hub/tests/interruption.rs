//! A stop that is asked for: soon heard, and nothing is lost.

use crate::error::Fault;

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

use super::replies::with_cdn;
use super::server::{part, sha256};
use super::*;

/// What a stop ends: far more than it takes on any machine.
const MUTE: Duration = Duration::from_mins(10);

/// As [`hub`], stopped by `interrupt`, and with more patience.
fn hub_with(server: &Server, cache_dir: &Path, interrupt: &Interrupt) -> Hub {
    let mut hub = hub(server, cache_dir);
    let pace = Pace {
        first_wait: MUTE,
        longest_wait: MUTE,
        ..quick()
    };
    hub.client = Client::new(&server.url, None, pace, None, interrupt.clone());
    hub
}

/// Asks for a stop as soon as `when` holds, and makes sure that `act` then ends with it.
fn stops<T>(
    interrupt: &Interrupt,
    when: impl Fn() -> bool + Sync,
    act: impl FnOnce() -> Result<T, Error>,
) {
    let started = Instant::now();
    let error = thread::scope(|scope| {
        scope.spawn(|| {
            while !when() {
                thread::sleep(Duration::from_millis(5));
            }
            interrupt
                .flag()
                .store(libc::SIGINT as usize, Ordering::Relaxed);
        });
        act().err().unwrap()
    });
    assert!(started.elapsed() < MUTE, "ended by itself");
    assert_eq!(error.fault(), Fault::Interruption, "{error}");
    assert_eq!(error.hint().unwrap(), "the same command begins again");
}

#[test]
fn download_from_a_mute_server_stops_and_is_continued() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let copy = site.clone();
    let (server, _cdn) = with_cdn(&site, move |request| Reply {
        silence: MUTE,
        ..part(copy.weights(), request).cut(50_000)
    });
    let partial = partial_path(dir.path(), &site);
    let n_bytes = || fs_err::metadata(&partial).map_or(0, |partial| partial.len());
    let interrupt = Interrupt::default();
    let hub_in_use = hub_with(&server, dir.path(), &interrupt);
    stops(
        &interrupt,
        || n_bytes() == 50_000,
        || fetch(&hub_in_use, &Silent),
    );
    assert_eq!(n_bytes(), 50_000);
    // Nothing more is asked by a client that was stopped.
    stops(&interrupt, || true, || fetch(&hub_in_use, &Silent));

    let server = site.clone().start();
    let path = fetch(&hub(&server, dir.path()), &Silent).unwrap();
    assert_eq!(fs_err::read(path).unwrap(), site.weights());
    let last = server.seen().pop().unwrap();
    assert_eq!(last.header("range"), Some("bytes=50000-"));
}

#[test]
fn answer_without_an_end_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(|_| Reply {
        silence: MUTE,
        ..Reply::new(200).body([b' '; 100]).cut(9)
    });
    let interrupt = Interrupt::default();
    let hub = hub_with(&server, dir.path(), &interrupt);
    let is_asked = || !server.seen().is_empty();
    stops(&interrupt, is_asked, || hub.latest(&repo(), &Silent));
}

#[test]
fn request_without_an_answer_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(|_| {
        thread::sleep(MUTE);
        Reply::new(200)
    });
    let interrupt = Interrupt::default();
    let hub = hub_with(&server, dir.path(), &interrupt);
    let is_asked = || !server.seen().is_empty();
    stops(&interrupt, is_asked, || hub.latest(&repo(), &Silent));
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn wait_for_the_next_try_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(|_| Reply::new(503));
    let (interrupt, told) = (Interrupt::default(), Told::default());
    let hub = hub_with(&server, dir.path(), &interrupt);
    stops(
        &interrupt,
        || !told.lines().is_empty(),
        || hub.latest(&repo(), &told),
    );
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn wait_for_another_process_is_told_once_and_left() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let locks = dir.path().join(".locks/models--org--name");
    fs_err::create_dir_all(&locks).unwrap();
    let lock = locks.join(format!("{}.lock", sha256(site.weights())));
    let lock = fs_err::File::create_new(lock).unwrap();
    lock.lock().unwrap();

    let server = site.start();
    let (interrupt, told) = (Interrupt::default(), Told::default());
    let hub = hub_with(&server, dir.path(), &interrupt);
    stops(
        &interrupt,
        || !told.lines().is_empty(),
        || fetch(&hub, &told),
    );
    assert_eq!(
        told.lines(),
        ["warning: org/name model.safetensors: waiting for another process that fetches it"]
    );
}
