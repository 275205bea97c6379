//! Archives that attack whoever unpacks them: entries outside of the folder, links, bombs, misleading headers. Their
//! digests are right, since whoever made them names the digests, too.

use super::tar_bytes::{header, link, pax, zeros};
use super::*;

const NAME: &str = "newt2021_images/a.jpg";

/// What is said of an images archive with these entries; nothing of it may be left.
fn refused(entries: &[Vec<u8>]) -> String {
    refused_bytes(gzip(&tar(entries)), |_| {})
}

fn refused_bytes(images: Vec<u8>, change: impl Fn(&mut Fetch<'_>)) -> String {
    let (place, archives) = (Place::new(), Archives::with_images(images));
    let server = archives.serve();
    let mut fetch = place.fetch(&server, &archives);
    change(&mut fetch);
    let error = run(&fetch, &archives).unwrap_err();
    place.assert_names(&["newt2021_labels.csv"]);
    assert_eq!(error.fault().exit_code(), 3, "{error}");
    let hint = error.hint().unwrap();
    assert!(hint.contains("--mirror URL"), "{hint}");
    let message = error.to_string();
    let prefix = format!("{IMAGES}: ");
    message
        .strip_prefix(&prefix)
        .unwrap_or_else(|| panic!("{message}"))
        .to_owned()
}

fn file(name: &str) -> Vec<u8> {
    entry(name, b'0', b"bytes")
}

#[test]
fn entries_that_leave_the_folder_are_refused() {
    let expected = "expected `newt2021_images/<id>.jpg`";
    for (name, what) in [
        ("../a.jpg", "leads out of the folder"),
        ("newt2021_images/../../a.jpg", "leads out of the folder"),
        ("newt2021_images/..", "leads out of the folder"),
        ("/tmp/newt-pipe-evil.jpg", "has an absolute path"),
        ("//newt2021_images/a.jpg", "has an absolute path"),
        ("a.jpg", "does not belong there"),
        ("newt2021_images", "does not belong there"),
        ("newt2021_images/sub/a.jpg", "does not belong there"),
        ("newt2021_labels.csv", "does not belong there"),
        (".fetch/lock", "does not belong there"),
    ] {
        let good = file("newt2021_images/good.jpg");
        assert_eq!(
            refused(&[good, file(name)]),
            format!("entry `{name}` {what}, {expected}")
        );
    }
    for (name, shown) in [
        ("newt2021_images/a\\b.jpg", "newt2021_images/a\\b.jpg"),
        ("newt2021_images/\u{1b}[2J", "newt2021_images/\\u{1b}[2J"),
    ] {
        assert_eq!(
            refused(&[file(name)]),
            format!("entry `{shown}` has a name with special characters, {expected}")
        );
    }
    // Folders likewise.
    for name in ["../sub/", "/tmp/sub/", "newt2021_images/sub/"] {
        let said = refused(&[entry(name, FOLDER, b"")]);
        assert!(said.starts_with(&format!("entry `{name}` ")), "{said}");
    }
}

#[test]
fn names_from_descriptions_are_judged_as_well() {
    let evil = "../a.jpg";
    let out =
        format!("entry `{evil}` leads out of the folder, expected `newt2021_images/<id>.jpg`");
    let described = entry("x", b'x', &pax("path", evil));
    assert_eq!(refused(&[described, file(NAME)]), out);
    let described = entry("././@LongLink", b'L', b"../a.jpg\0");
    assert_eq!(refused(&[described, file(NAME)]), out);
    let described = entry("x", b'x', &pax("size", "512"));
    assert_eq!(
        refused(&[described, file(NAME)]),
        format!("entry `{NAME}` has two sizes, expected one")
    );
}

#[test]
fn names_that_no_file_system_takes_are_refused() {
    let long = |n_bytes: usize| {
        let name = format!("newt2021_images/{}.jpg", "a".repeat(n_bytes - 4));
        entry("x", b'x', &pax("path", &name))
    };
    let said = refused(&[long(255), file("a"), long(256), file("b")]);
    assert!(
        said.contains("a…(152 characters)…a")
            && said.ends_with("a.jpg` has a name of 256 bytes, expected at most 255"),
        "{said}"
    );
}

#[test]
fn nothing_in_a_description_hides_what_follows_it() {
    let hidden_by = |record: &str| {
        let bytes = [record.as_bytes().to_vec(), pax("path", "../a.jpg")].concat();
        refused(&[entry("x", b'x', &bytes), file(NAME)])
    };
    let attribute = String::from_utf8(pax("SCHILY.xattr.user.x", "one\n\ntwo")).unwrap();
    let attribute = attribute.as_str();
    assert_eq!(
        hidden_by(attribute),
        "entry `../a.jpg` leads out of the folder, expected `newt2021_images/<id>.jpg`"
    );
    for malformed in [
        "\n",
        " a=b\n",
        "0 a=b\n",
        "1 a=b\n",
        "2 a=b\n",
        "+6 a=b\n",
        "7 a=b\n",
        "6 aab\n",
        "999 a=b\n",
        "99999999999999999999999 a=b\n",
    ] {
        assert_eq!(
            hidden_by(malformed),
            "entry `x` has a malformed record, expected `<length> <key>=<value>`",
            "{malformed}"
        );
    }
}

#[test]
fn links_devices_and_the_like_are_refused() {
    for (kind, what) in [
        (b'2', "a symbolic link"),
        (b'1', "a hard link"),
        (b'3', "a device"),
        (b'4', "a device"),
        (b'6', "a pipe"),
        (b'S', "a sparse file"),
        (b'V', "something special"),
    ] {
        for target in ["/etc/passwd", "a.jpg"] {
            assert_eq!(
                refused(&[
                    file("newt2021_images/a.jpg"),
                    link("newt2021_images/b.jpg", kind, target)
                ]),
                format!("entry `newt2021_images/b.jpg` is {what}, expected a file or a folder")
            );
        }
    }
    // A link in place of the folder, to write through.
    assert_eq!(
        refused(&[link("newt2021_images", b'2', "/tmp"), file(NAME)]),
        "entry `newt2021_images` is a symbolic link, expected a file or a folder"
    );
    let sparse = entry("x", b'x', &pax("GNU.sparse.major", "1"));
    let said = refused(&[sparse, file(NAME)]);
    assert!(said.contains("announces a sparse file"), "{said}");
}

#[test]
fn ten_gigabytes_of_zeros_are_not_written() {
    let with_zeros = |start: &[u8]| [gzip(start), zeros()].concat();
    let size = 10_000_000_000;
    let one_file = with_zeros(&header(NAME, b'0', "", size));
    assert_eq!(
        refused_bytes(one_file, |_| {}),
        format!("entry `{NAME}` has 10,000,000,000 bytes, expected at most 100,000,000")
    );
    let long_name = with_zeros(&header("././@LongLink", b'L', "", size));
    let said = refused_bytes(long_name, |_| {});
    assert!(said.contains("more than 65,536 bytes"), "{said}");
    let behind_the_end = with_zeros(&tar(&[file(NAME)]));
    let said = refused_bytes(behind_the_end, |_| {});
    assert!(said.contains("goes on behind its end"), "{said}");
    let passed_over = with_zeros(&header("newt2021_images/._a.jpg", b'0', "", size));
    let said = refused_bytes(passed_over, |fetch| {
        fetch.images.bounds.unpacked_bytes = 1_000_000;
    });
    assert!(said.contains("unpacks to more bytes"), "{said}");
    let nothing_else = zeros();
    let said = refused_bytes(nothing_else, |_| {});
    assert!(
        said.contains("no file of `newt2021_images` in it"),
        "{said}"
    );
}

#[test]
fn many_files_are_refused() {
    let entries: Vec<_> = (0..4)
        .map(|n| file(&format!("newt2021_images/{n}.jpg")))
        .collect();
    let many = gzip(&tar(&entries));
    let said = refused_bytes(many.clone(), |fetch| fetch.images.bounds.n_entries = 3);
    assert_eq!(
        said,
        "entry `newt2021_images/3.jpg` comes after 3 entries, expected no more"
    );
    let said = refused_bytes(many, |fetch| fetch.images.bounds.unpacked_bytes = 3_000);
    assert!(said.contains("unpacks to more bytes"), "{said}");
    assert_eq!(
        refused(&[file(NAME), file(NAME)]),
        format!("entry `{NAME}` occurs twice, expected once")
    );
}

#[test]
fn archives_that_are_damaged_or_none_are_refused() {
    let whole = gzip(&tar(&[file(NAME)]));
    let cut_gzip = whole[..whole.len() - 5].to_vec();
    let cut_tar = gzip(&file(NAME)[..514]);
    let empty = gzip(&tar(&[]));
    let mut flipped = file(NAME);
    flipped[3] ^= 1;
    for (bytes, what) in [
        (cut_gzip, "unexpected end of file"),
        (cut_tar, "unexpected end of file"),
        (empty, "no file of `newt2021_images` in it"),
        (gzip(&tar(&[flipped])), "checksum"),
        (
            b"<html>please log in</html>".to_vec(),
            "invalid gzip header",
        ),
    ] {
        let said = refused_bytes(bytes, |_| {});
        assert!(said.starts_with("damaged: "), "{said}");
        assert!(said.contains(what), "{said}");
        assert!(said.ends_with(", expected a gzipped tar archive"), "{said}");
    }
}

#[test]
fn what_tools_add_is_passed_over() {
    let (place, good) = (Place::new(), Archives::new());
    let mut entries = vec![
        entry("pax_global_header", b'g', &pax("comment", "made by git")),
        entry("./", FOLDER, b""),
        entry("./newt2021_images/", FOLDER, b""),
        file("./._newt2021_images"),
        file("./newt2021_images/.DS_Store"),
        file("./newt2021_images/._id-0.jpg"),
        file("./newt2021_images/README.txt"),
        file("./newt2021_images/.jpg"),
        file("./PaxHeader/id-0.jpg"),
    ];
    for id in &good.ids {
        let name = format!("./newt2021_images/{id}.jpg");
        let attributes = [
            pax("mtime", "1636000000.25"),
            pax("SCHILY.xattr.user.x", "two\nlines"),
        ];
        entries.push(entry("x", b'x', &attributes.concat()));
        entries.push(entry(&name, b'0', &noise(id)));
    }
    // The name as a description, both ways.
    let last = entries.len() - 1;
    entries[last] = entry("short", b'0', &noise("id-3"));
    entries[last - 1] = entry("x", b'x', &pax("path", "newt2021_images/id-3.jpg"));
    entries[last - 2] = entry("short", b'0', &noise("id-2"));
    entries[last - 3] = entry("././@LongLink", b'L', b"newt2021_images/id-2.jpg\0");
    let mut bytes = tar(&entries);
    // The last record, as `tar -b` fills it.
    bytes.resize(bytes.len().next_multiple_of(512 * 20), 0);
    let archives = Archives::with_images(gzip(&bytes));
    let server = archives.serve();
    run(&place.fetch(&server, &archives), &archives).unwrap();
    place.assert_whole(&archives, &[]);
}
