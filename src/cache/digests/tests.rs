use super::*;
use crate::cache::damage::tests::HARMS;
use crate::progress::Silent;
use std::ffi::OsStr;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Counts the files that are read.
#[derive(Default)]
struct Reads {
    n: AtomicU64,
    n_warnings: AtomicU64,
}

impl Progress for Reads {
    fn start(&self, _: &str, _: u64) {}
    fn tick(&self, n: u64) {
        self.n.fetch_add(n, Ordering::Relaxed);
    }
    fn finish(&self) {}
    fn warn(&self, _: &str) {
        self.n_warnings.fetch_add(1, Ordering::Relaxed);
    }
}

struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn cache(&self) -> Cache {
        Cache::open(self.dir.path().join("cache")).unwrap()
    }

    /// Writes a file that was last modified some seconds before now.
    fn file(&self, name: impl AsRef<OsStr>, content: &[u8], age_s: u64) -> PathBuf {
        let path = self.dir.path().join(name.as_ref());
        fs_err::write(&path, content).unwrap();
        let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
        let now = file.metadata().unwrap().modified().unwrap();
        let file = file.into_parts().0;
        file.set_modified(now - Duration::from_secs(age_s)).unwrap();
        path
    }

    /// The digests as a new process finds them, and how many files it reads for that.
    fn digests(&self, paths: &[PathBuf]) -> (Vec<Result<Digest, io::Error>>, u64) {
        digests_by(&self.cache(), paths)
    }
}

fn digests_by(cache: &Cache, paths: &[PathBuf]) -> (Vec<Result<Digest, io::Error>>, u64) {
    let reads = Reads::default();
    let mut memo = DigestMemo::load(cache, &reads);
    let digests = memo
        .digest_files(
            paths,
            Context {
                progress: &reads,
                interrupt: &Interrupt::default(),
            },
        )
        .unwrap();
    memo.save(cache).unwrap();
    (digests, reads.n.into_inner())
}

fn unwrap_all(digests: Vec<Result<Digest, io::Error>>) -> Vec<Digest> {
    digests.into_iter().map(Result::unwrap).collect()
}

#[test]
fn unchanged_files_are_read_once() {
    let fixture = Fixture::new();
    let big = vec![7; 3 << 20];
    let paths = [
        fixture.file("a.jpg", b"a", 60),
        fixture.file("empty", b"", 60),
        fixture.file("big", &big, 60),
    ];
    let expected = [Digest::of(b"a"), Digest::of(b""), Digest::of(&big)];
    for n_expected in [3, 0, 0] {
        let (digests, n) = fixture.digests(&paths);
        assert_eq!(unwrap_all(digests), expected);
        assert_eq!(n, n_expected);
    }
}

#[test]
fn file_is_known_by_its_absolute_path() {
    let fixture = Fixture::new();
    let path = fixture.file("a", b"a", 60);
    fixture.digests(&[path]);
    let dotted = fixture.dir.path().join(".").join("a");
    assert_eq!(fixture.digests(&[dotted]).1, 0);
}

#[test]
fn change_of_size_mtime_or_inode_makes_a_file_read_again() {
    let fixture = Fixture::new();
    let path = fixture.file("a", b"one", 60);
    let digest = |expected: &[u8]| {
        let (digests, n) = fixture.digests(std::slice::from_ref(&path));
        assert_eq!(unwrap_all(digests), [Digest::of(expected)]);
        n
    };
    assert_eq!(digest(b"one"), 1);
    fixture.file("a", b"three", 60);
    assert_eq!(digest(b"three"), 1);
    fixture.file("a", b"seven", 50);
    assert_eq!(digest(b"seven"), 1);
    let modified = fs_err::metadata(&path).unwrap().modified().unwrap();
    let other = fixture.file("b", b"eight", 50);
    let file = fs_err::OpenOptions::new().write(true).open(&other).unwrap();
    file.into_parts().0.set_modified(modified).unwrap();
    fs_err::rename(&other, &path).unwrap();
    assert_eq!(digest(b"eight"), 1);
    assert_eq!(digest(b"eight"), 0);
}

#[test]
fn file_modified_just_now_or_in_the_future_is_not_memoised() {
    let fixture = Fixture::new();
    let young = fixture.file("young", b"y", 0);
    let future = fixture.file("future", b"f", 0);
    let file = fs_err::OpenOptions::new()
        .write(true)
        .open(&future)
        .unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    file.into_parts()
        .0
        .set_modified(modified + Duration::from_hours(1))
        .unwrap();
    let old = fixture.file("old", b"o", 60);
    // As if no time had passed since the file was written.
    let mut cache = fixture.cache();
    let written = fs_err::metadata(&young).unwrap();
    cache.opened = (written.mtime(), written.mtime_nsec());
    let paths = [young, future, old];
    assert_eq!(digests_by(&cache, &paths).1, 3);
    assert_eq!(digests_by(&cache, &paths).1, 2);
}

#[test]
fn failure_stands_in_the_place_of_its_file_and_names_it() {
    let fixture = Fixture::new();
    let missing = fixture.dir.path().join("missing.jpg");
    let paths = [
        fixture.file("a", b"a", 60),
        missing,
        fixture.dir.path().to_path_buf(),
        fixture.file("b", b"b", 60),
    ];
    let (digests, _) = fixture.digests(&paths);
    assert_eq!(digests[0].as_ref().unwrap(), &Digest::of(b"a"));
    let error = digests[1].as_ref().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("missing.jpg"));
    let error = digests[2].as_ref().unwrap_err();
    let text = error.to_string();
    assert!(
        text.ends_with(": is a folder, expected a regular file"),
        "{text}"
    );
    assert_eq!(digests[3].as_ref().unwrap(), &Digest::of(b"b"));
}

#[test]
fn save_keeps_what_another_process_wrote_meanwhile() {
    let fixture = Fixture::new();
    let (a, b) = (fixture.file("a", b"a", 60), fixture.file("b", b"b", 60));
    let cache = fixture.cache();
    let mut memo = DigestMemo::load(&cache, &Silent);
    memo.digest_files(
        std::slice::from_ref(&a),
        Context {
            progress: &Silent,
            interrupt: &Interrupt::default(),
        },
    )
    .unwrap();
    fixture.digests(std::slice::from_ref(&b));
    memo.save(&cache).unwrap();
    assert_eq!(fixture.digests(&[a, b]).1, 0);
}

#[test]
fn damaged_memo_is_dropped_with_a_warning() {
    let fixture = Fixture::new();
    let path = fixture.file("a", b"a", 60);
    fixture.digests(std::slice::from_ref(&path));
    let memo = memo_path(&fixture.cache());
    let good = fs_err::read(&memo).unwrap();
    let flipped = |i: usize| {
        let mut bytes = good.clone();
        bytes[i] ^= 1;
        bytes
    };
    let damages = [
        Vec::new(),
        good[..good.len() / 2].to_vec(),
        good[..good.len() - 1].to_vec(),
        flipped(0),
        flipped(30),
        flipped(100),
        flipped(good.len() - 3),
        b"\xff\xfe".to_vec(),
    ];
    for damage in damages {
        fs_err::write(&memo, damage).unwrap();
        let reads = Reads::default();
        let cache = fixture.cache();
        let mut loaded = DigestMemo::load(&cache, &reads);
        let digests = loaded
            .digest_files(
                std::slice::from_ref(&path),
                Context {
                    progress: &reads,
                    interrupt: &Interrupt::default(),
                },
            )
            .unwrap();
        assert_eq!(unwrap_all(digests), [Digest::of(b"a")]);
        assert_eq!(
            (reads.n.into_inner(), reads.n_warnings.into_inner()),
            (1, 1)
        );
        loaded.save(&cache).unwrap();
        assert_eq!(fs_err::read(&memo).unwrap(), good);
    }
}

#[test]
fn whatever_is_in_the_place_of_the_memo_gives_way_to_one() {
    let fixture = Fixture::new();
    let path = fixture.file("a", b"a", 60);
    let memo = memo_path(&fixture.cache());
    for (what, harm) in HARMS {
        fixture.digests(std::slice::from_ref(&path));
        fs_err::remove_file(&memo).unwrap();
        harm(&memo);
        let reads = Reads::default();
        DigestMemo::load(&fixture.cache(), &reads);
        assert_eq!(reads.n_warnings.into_inner(), 1, "{what}");
        assert_eq!(fixture.digests(std::slice::from_ref(&path)).1, 1, "{what}");
        assert_eq!(fixture.digests(std::slice::from_ref(&path)).1, 0, "{what}");
    }
}

#[test]
fn any_path_round_trips() {
    let fixture = Fixture::new();
    let names: [&[u8]; 5] = [b"a b", b"a\\nb", b"a\nb\\", b"\xff\xfe", "größe".as_bytes()];
    let paths = names.map(|name| fixture.file(OsStr::from_bytes(name), name, 60));
    assert_eq!(fixture.digests(&paths).1, 5);
    let (digests, n) = fixture.digests(&paths);
    assert_eq!(n, 0);
    assert_eq!(unwrap_all(digests), names.map(Digest::of));
}

#[test]
fn a_large_file_is_read_once_for_whoever_listens_and_what_was_promised_is_remembered() {
    let fixture = Fixture::new();
    let content = vec![7; 3 << 18 | 1];
    let path = fixture.file("weights", &content, 60);
    let read = || {
        let mut memo = DigestMemo::load(&fixture.cache(), &Silent);
        let (mut heard, reads) = (Vec::new(), Reads::default());
        let mut also = |bytes: &[u8]| heard.extend_from_slice(bytes);
        let found = memo.digest_large(
            &path,
            &mut also,
            Context {
                progress: &reads,
                interrupt: &Interrupt::default(),
            },
        );
        let (digest, is_read) = found.unwrap().unwrap();
        assert_eq!(digest, Digest::of(&content));
        assert_eq!(reads.n.into_inner(), heard.len() as u64);
        assert!(!is_read || heard == content);
        (memo, is_read)
    };
    let (mut memo, is_read) = read();
    assert!(is_read && !memo.is_vouched(&path, "sha256:a"));
    memo.vouch(&path, "sha256:a").unwrap();
    memo.save(&fixture.cache()).unwrap();

    let (mut memo, is_read) = read();
    assert!(!is_read && memo.is_vouched(&path, "sha256:a"));
    assert!(!memo.is_vouched(&path, "sha256:b"));
    fixture.file("weights", b"others", 50);
    assert!(!memo.is_vouched(&path, "sha256:a"));
    // Nothing is known of the file as it is now.
    memo.vouch(&path, "sha256:a").unwrap();
    assert!(!memo.is_vouched(&path, "sha256:a"));

    let interrupt = Interrupt::default();
    let flag = interrupt.flag();
    let mut stop = |_: &[u8]| flag.store(2, Ordering::Relaxed);
    let stopped = memo.digest_large(
        &path,
        &mut stop,
        Context {
            progress: &Silent,
            interrupt: &interrupt,
        },
    );
    assert!(stopped.is_err());
}

#[test]
fn an_interrupt_ends_the_reading() {
    let fixture = Fixture::new();
    let path = fixture.file("a", b"a", 60);
    let interrupt = Interrupt::default();
    interrupt.flag().store(2, Ordering::Relaxed);
    let mut memo = DigestMemo::load(&fixture.cache(), &Silent);
    assert!(
        memo.digest_files(
            &[path],
            Context {
                progress: &Silent,
                interrupt: &interrupt
            }
        )
        .is_err()
    );
}

#[test]
fn a_file_changed_in_place_with_its_mtime_kept_is_read_again() {
    let fixture = Fixture::new();
    let path = fixture.file("a", b"one", 60);
    let modified = fs_err::metadata(&path).unwrap().modified().unwrap();
    fixture.digests(std::slice::from_ref(&path));
    fs_err::write(&path, b"two").unwrap();
    let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
    file.into_parts().0.set_modified(modified).unwrap();
    let (digests, n) = fixture.digests(std::slice::from_ref(&path));
    assert_eq!((unwrap_all(digests), n), (vec![Digest::of(b"two")], 1));
}
