//! Records and the memo of digests, as a broken disk or a stranger leaves them.

use std::collections::BTreeMap;

use super::{Cache, Digest, DigestMemo, KeyBuilder};
use crate::context::Context;
use crate::fuzz::{Warned, check};
use crate::interrupt::Interrupt;
use crate::progress::Silent;

#[test]
fn damaged_records_are_misses_or_what_was_published() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    let request = KeyBuilder::new("sample", 2)
        .param("seed", 17)
        .param("c", 0.1)
        .input("labels", Digest::of(b"labels"))
        .finish();
    let outputs = vec![
        ("rows".to_owned(), b"rows".to_vec()),
        ("notes".to_owned(), b"note".to_vec()),
    ];
    let provenance = BTreeMap::from([("host".to_owned(), "here".to_owned())]);
    let published = cache.publish(&request, outputs, 0.25, provenance).unwrap();
    let path = dir
        .path()
        .join(format!("actions/sample/{}.json", request.key));
    let sample = fs_err::read(&path).unwrap();
    check(300, vec![sample], |bytes| {
        fs_err::write(&path, bytes).unwrap();
        let warned = Warned::default();
        let found = cache.lookup(&request, &warned).unwrap();
        // An output that stands for another would be another experiment's result.
        if let Some(found) = &found {
            assert_eq!(found.outputs, published.outputs);
            assert_eq!(
                (&found.params, &found.inputs),
                (&request.params, &request.inputs)
            );
        }
        let reason = cache.explain(&request).to_string();
        warned.check()?;
        if found.is_some() { Ok(()) } else { Err(reason) }
    });
}

#[test]
fn damaged_memos_are_read_or_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("image \\ \n.jpg");
    fs_err::write(&file, "image").unwrap();
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let opened = fs_err::File::options().write(true).open(&file).unwrap();
    opened.file().set_modified(long_ago).unwrap();
    let files = [file];
    let cache = Cache::open(dir.path().join("cache")).unwrap();
    let digests = |memo: &mut DigestMemo| {
        let found = memo
            .digest_files(
                &files,
                Context {
                    progress: &Silent,
                    interrupt: &Interrupt::default(),
                },
            )
            .unwrap();
        found.into_iter().map(Result::unwrap).collect::<Vec<_>>()
    };
    let mut memo = DigestMemo::load(&cache, &Silent);
    assert_eq!(digests(&mut memo), [Digest::of(b"image")]);
    memo.save(&cache).unwrap();
    let path = cache.root().join("digests");
    let sample = fs_err::read(&path).unwrap();
    let n_header = sample.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let (header, lines) = sample.split_at(n_header);
    let whole = sample.clone();
    let read = |bytes: &[u8]| {
        fs_err::write(&path, bytes).unwrap();
        let warned = Warned::default();
        let mut memo = DigestMemo::load(&cache, &warned);
        digests(&mut memo);
        warned.check()
    };
    check(200, vec![whole], |bytes| read(bytes));
    // Lines of another program that sealed them: their digest is right.
    check(200, vec![lines.to_vec()], |lines| {
        let head = &header[..n_header - 65];
        read(&[head, Digest::of(lines).to_string().as_bytes(), b"\n", lines].concat())
    });
}
