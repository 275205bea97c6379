//! Transfers that break, that are continued, that bring the wrong bytes.

use crate::error::Fault;

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::hub::tests::replies::{at_first, chunked};

#[test]
fn broken_transfer_goes_on_where_it_broke() {
    let (place, archives) = (Place::new(), Archives::new());
    let n_sent = std::sync::Arc::new(Mutex::new(0));
    let counter = std::sync::Arc::clone(&n_sent);
    let n_cut = Mutex::new(5);
    let server = archives.serve_images(move |archives, request| {
        let mut reply = part(&archives.images, request);
        let mut n_cut = n_cut.lock().unwrap();
        if *n_cut > 0 {
            *n_cut -= 1;
            reply = reply.cut(20_000);
        }
        *counter.lock().unwrap() += reply.cut.unwrap_or(reply.body.len());
        reply
    });
    run(&place.fetch(&server, &archives), &archives).unwrap();
    place.assert_whole(&archives, &[]);
    let expected: Vec<_> = (0..6)
        .map(|n| (n > 0).then(|| format!("bytes={}-", n * 20_000)))
        .collect();
    assert_eq!(server.ranges(IMAGES), expected);
    // No byte was sent twice.
    assert_eq!(*n_sent.lock().unwrap(), archives.images.len());
}

#[test]
fn transfer_of_a_killed_process_is_continued() {
    let (place, archives) = (Place::new(), Archives::new());
    let n_bytes = archives.images.len();
    for (n_held, expected) in [
        (70_000, vec![Some("bytes=70000-".to_owned())]),
        // Killed while it unpacked: nothing is asked.
        (n_bytes, vec![]),
    ] {
        let server = archives.serve();
        let part = place.part(&archives);
        fs_err::create_dir_all(part.parent().unwrap()).unwrap();
        fs_err::write(&part, &archives.images[..n_held]).unwrap();
        // What it was unpacking.
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let draft = format!(
            ".newt2021_images.draft-{}",
            crate::files::maker(child.id(), 0)
        );
        place.write(&format!("{draft}/id-0.jpg"), "half");

        run(&place.fetch(&server, &archives), &archives).unwrap();
        place.assert_whole(&archives, &[]);
        assert_eq!(server.ranges(IMAGES), expected);
        let read = format!("start reading what is here of {IMAGES}: {n_held}");
        assert!(place.told.lines().contains(&read));
        fs_err::remove_dir_all(place.path("newt2021_images")).unwrap();
    }
    let resumed = format!("resume downloading {IMAGES}: 70000 of {n_bytes}");
    assert!(place.told.lines().contains(&resumed));
}

#[test]
fn stop_is_heard_while_the_server_is_mute_and_nothing_is_lost() {
    let (place, archives) = (Place::new(), Archives::new());
    // Far more than it takes on any machine.
    let mute = Duration::from_mins(10);
    let server = archives.serve_images(move |archives, request| Reply {
        silence: mute,
        ..part(&archives.images, request).cut(50_000)
    });
    let part_path = place.part(&archives);
    let n_held = || fs_err::metadata(&part_path).map_or(0, |part| part.len());
    let fetch = place.fetch(&server, &archives);
    let started = Instant::now();
    let error = thread::scope(|scope| {
        scope.spawn(|| {
            while n_held() < 50_000 {
                thread::sleep(Duration::from_millis(5));
            }
            let flag = place.interrupt.flag();
            flag.store(libc::SIGTERM as usize, Ordering::Relaxed);
        });
        run(&fetch, &archives).unwrap_err()
    });
    assert!(started.elapsed() < mute, "ended by itself");
    assert_eq!(error.fault().exit_code(), 75);
    assert_eq!(
        error.hint().unwrap(),
        "what has arrived is kept; the same command goes on from there"
    );
    assert_eq!(n_held(), 50_000);
    place.assert_names(&[".fetch", "newt2021_labels.csv"]);

    place.interrupt.flag().store(0, Ordering::Relaxed);
    let server = archives.serve();
    run(&place.fetch(&server, &archives), &archives).unwrap();
    place.assert_whole(&archives, &[]);
    assert_eq!(server.ranges(IMAGES), [Some("bytes=50000-".to_owned())]);
}

#[test]
fn part_of_a_process_that_was_killed_when_all_was_in_place_is_removed() {
    let (place, archives) = (Place::new(), Archives::new());
    let server = archives.serve();
    let fetch = place.fetch(&server, &archives);
    run(&fetch, &archives).unwrap();
    place.write(&format!(".fetch/{IMAGES}.0123456789ab.part"), "half");
    // It belongs to whoever holds the lock.
    let lock = fs_err::File::create(place.write(".fetch/lock", "")).unwrap();
    lock.lock().unwrap();
    assert_eq!(run(&fetch, &archives).unwrap(), [Outcome::AlreadyThere; 2]);
    place.assert_whole(&archives, &[".fetch"]);
    lock.unlock().unwrap();
    assert_eq!(run(&fetch, &archives).unwrap(), [Outcome::AlreadyThere; 2]);
    place.assert_whole(&archives, &[]);
}

#[test]
fn drafts_of_other_hosts_are_named_and_left_alone() {
    let (place, archives) = (Place::new(), Archives::new());
    let server = archives.serve();
    let draft = ".newt2021_images.draft-0123456789ab.1-1-0";
    place.write(&format!("{draft}/id-0.jpg"), "half");
    run(&place.fetch(&server, &archives), &archives).unwrap();
    place.assert_whole(&archives, &[draft]);
    let lines = place.told.lines();
    let warnings: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("warning: "))
        .collect();
    assert_eq!(
        warnings,
        [&format!(
            "warning: {}: left by a fetch on another host, by another user, or before a restart; remove it unless that fetch is still running",
            place.path(draft).display()
        )]
    );
}

#[test]
fn wrong_bytes_are_refused_and_fetched_anew() {
    let (place, archives) = (Place::new(), Archives::new());
    let other = Archives::with_images(gzip(&tar(&[entry(
        "newt2021_images/id-0.jpg",
        b'0',
        b"other",
    )])));
    let server = Server::start({
        let other = other.clone();
        move |request| other.answer(request)
    });
    let error = run(&place.fetch(&server, &archives), &archives).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{IMAGES}: the bytes received have SHA-256 {}, expected {}",
            sha256(&other.images),
            sha256(&archives.images)
        )
    );
    assert_eq!(error.fault().exit_code(), 3);
    let hint = error.hint().unwrap();
    assert!(hint.starts_with("nothing of the archive is kept"), "{hint}");
    place.assert_names(&["newt2021_labels.csv"]);

    let server = archives.serve();
    run(&place.fetch(&server, &archives), &archives).unwrap();
    place.assert_whole(&archives, &[]);
}

#[test]
fn part_that_was_damaged_is_refused_and_fetched_anew() {
    let (place, archives) = (Place::new(), Archives::new());
    let server = archives.serve();
    // As after a power cut.
    let mut held = archives.images[..90_000].to_vec();
    held[40_000..].fill(0);
    let part = place.part(&archives);
    fs_err::create_dir_all(part.parent().unwrap()).unwrap();
    fs_err::write(&part, held).unwrap();
    let fetch = place.fetch(&server, &archives);
    let error = run(&fetch, &archives).unwrap_err();
    assert!(
        error
            .hint()
            .unwrap()
            .starts_with("nothing of the archive is kept"),
        "{error}"
    );
    place.assert_names(&["newt2021_labels.csv"]);
    run(&fetch, &archives).unwrap();
    place.assert_whole(&archives, &[]);
}

#[test]
fn part_of_another_archive_is_not_continued() {
    let (place, archives) = (Place::new(), Archives::new());
    let server = archives.serve();
    let name = format!(".fetch/{IMAGES}.0123456789ab.part");
    place.write(&name, vec![7; 70_000]);
    run(&place.fetch(&server, &archives), &archives).unwrap();
    place.assert_whole(&archives, &[]);
    assert_eq!(server.ranges(IMAGES), [None]);
}

#[test]
fn more_bytes_than_announced_are_refused() {
    let archives = Archives::new();
    let n_bytes = archives.images.len() as u64;
    let said = |server: Server, most: Option<u64>| {
        let place = Place::new();
        let mut fetch = place.fetch(&server, &archives);
        if let Some(most) = most {
            fetch.images.bounds.archive_bytes = most;
        }
        let error = run(&fetch, &archives).unwrap_err();
        assert_eq!(error.fault().exit_code(), 3);
        place.assert_names(&["newt2021_labels.csv"]);
        error.to_string()
    };
    let thousands = crate::text::thousands;

    // The second answer is of a larger file than the first.
    let server = archives.serve_images({
        let archives = archives.clone();
        let first = archives.images.clone();
        let longer = [first.clone(), vec![0]].concat();
        let answer = at_first(
            1,
            move |request| part(&first, request).cut(50_000),
            move |request| part(&longer, request),
        );
        move |_, request| answer(request)
    });
    assert_eq!(
        said(server, None),
        format!(
            "{IMAGES}: {} bytes received, {} announced",
            thousands(n_bytes + 1),
            thousands(n_bytes)
        )
    );
    let server = archives.serve();
    assert_eq!(
        said(server, Some(100_000)),
        format!(
            "{IMAGES}: {} bytes, expected at most 100,000",
            thousands(n_bytes)
        )
    );
    // Without an announcement what comes is counted.
    let server = archives.serve_images(|archives, _| chunked(&archives.images));
    let message = said(server, Some(100_000));
    assert!(
        message.ends_with(" bytes, expected at most 100,000"),
        "{message}"
    );
}

#[test]
fn server_without_ranges_sends_again_what_is_passed_over() {
    let (place, archives) = (Place::new(), Archives::new());
    let answer = at_first(1, |_| Reply::new(200).cut(50_000), |_| Reply::new(200));
    let server = archives
        .serve_images(move |archives, request| answer(request).body(archives.images.clone()));
    run(&place.fetch(&server, &archives), &archives).unwrap();
    place.assert_whole(&archives, &[]);
    assert_eq!(
        server.ranges(IMAGES),
        [None, Some("bytes=50000-".to_owned())]
    );
}

#[test]
fn transfer_of_no_announced_size_that_broke_off_is_continued_by_the_next_fetch() {
    let (place, archives) = (Place::new(), Archives::new());
    let n_bytes = archives.images.len();
    let cut_at = |n_sent: usize| {
        archives.serve_images(move |archives, _| {
            let reply = Reply::new(200).with("Connection", "close");
            reply.body(archives.images.clone()).cut(n_sent)
        })
    };
    let server = cut_at(50_000);
    let error = run(&place.fetch(&server, &archives), &archives).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`127.0.0.1`: connection failed: the transfer ended after 50,000 bytes, and no size was announced"
    );
    let hint = error.hint().unwrap();
    assert!(hint.ends_with("goes on where it was"), "{hint}");
    assert_eq!(error.fault().exit_code(), 1);
    assert!(fs_err::read(place.part(&archives)).unwrap() == archives.images[..50_000]);
    // One that comes no further is taken at its word.
    let error = run(&place.fetch(&server, &archives), &archives).unwrap_err();
    assert_eq!(error.fault(), Fault::Data, "{error}");
    assert!(!place.part(&archives).exists());

    run(&place.fetch(&cut_at(50_000), &archives), &archives).unwrap_err();
    let server = cut_at(n_bytes);
    run(&place.fetch(&server, &archives), &archives).unwrap();
    place.assert_whole(&archives, &[]);
    assert_eq!(server.ranges(IMAGES), [Some("bytes=50000-".to_owned())]);
}

#[test]
fn what_a_server_refuses_is_said_with_its_address() {
    let (place, archives) = (Place::new(), Archives::new());
    let server = archives.serve_images(|_, _| Reply::new(404));
    let error = run(&place.fetch(&server, &archives), &archives).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{}/newt/{IMAGES}: answered 404, expected 200", server.url)
    );
    assert_eq!(error.fault().exit_code(), 1);
    assert!(error.hint().unwrap().contains("`--mirror URL`"));
    place.assert_names(&["newt2021_labels.csv"]);
}

/// Puts the images in place when all bytes have arrived, as a second process does that no lock keeps waiting.
struct Faster<'a> {
    place: &'a Place,
    ids: &'a [String],
}

impl crate::progress::Progress for Faster<'_> {
    fn start(&self, _: &str, _: u64) {}
    fn tick(&self, _: u64) {}
    fn finish(&self) {
        for id in self.ids {
            (self.place).write(&format!("newt2021_images/{id}.jpg"), noise(id));
        }
    }
    fn warn(&self, _: &str) {}
}

#[test]
fn images_that_another_process_has_put_in_place_meanwhile_are_there() {
    let (place, archives) = (Place::new(), Archives::new());
    let server = archives.serve();
    let faster = Faster {
        place: &place,
        ids: &archives.ids,
    };
    let mut fetch = place.fetch(&server, &archives);
    let of_labels = fetch.labels().unwrap();
    fetch.context.progress = &faster;
    let outcome = fetch.images(&archives.parsed(), of_labels).unwrap();
    assert_eq!(outcome, Outcome::AlreadyThere);
    assert_eq!(server.ranges(IMAGES), [None]);
    drop(fetch);
    place.assert_whole(&archives, &[]);
}

#[test]
fn second_process_waits_for_the_first() {
    let (place, archives) = (Place::new(), Archives::new());
    let server = archives.serve();
    let lock = fs_err::File::create(place.write(".fetch/lock", "")).unwrap();
    lock.lock().unwrap();
    let waiting = format!("warning: {LABELS}: waiting for another process that fetches it");
    thread::scope(|scope| {
        scope.spawn(|| {
            while !place.told.lines().contains(&waiting) {
                thread::sleep(Duration::from_millis(5));
            }
            // What the other process has fetched is not fetched again.
            place.write("newt2021_labels.csv", &archives.csv);
            lock.unlock().unwrap();
        });
        let outcome = place.fetch(&server, &archives).labels().unwrap();
        assert_eq!(outcome, Outcome::AlreadyThere);
    });
    assert!(server.lines().is_empty());
}
