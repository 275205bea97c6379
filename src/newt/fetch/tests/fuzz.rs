//! Archives with damaged entries, whose checksums are right.

use crate::files::StagedDir;
use crate::fuzz::{check, said};
use crate::newt::fetch::archive::{Archive, Bounds};
use crate::newt::fetch::unpack::{Folder, Unpacked, unpack};

use super::tar_bytes::{FOLDER, entry, gzip, pax, tar};

const BOUNDS: Bounds = Bounds {
    archive_bytes: 1 << 20,
    unpacked_bytes: 1 << 20,
    file_bytes: 1 << 12,
    n_entries: 20,
};

fn images() -> Vec<u8> {
    let long = format!("newt2021_images/{}.jpg", "l".repeat(120));
    tar(&[
        entry("newt2021_images/", FOLDER, b""),
        entry("newt2021_images/a.jpg", b'0', b"first image"),
        entry("x", b'x', &pax("path", "newt2021_images/b.jpg")),
        entry("newt2021_images/short.jpg", b'0', &[7; 700]),
        entry("././@LongLink", b'L', format!("{long}\0").as_bytes()),
        entry("newt2021_images/cut.jpg", b'0', b"third"),
        entry("newt2021_images/._a.jpg", b'0', b"of macOS"),
    ])
}

/// The same archive with the checksums that its headers should have.
fn sealed(tar: &[u8]) -> Vec<u8> {
    let mut sealed = tar.to_vec();
    for block in sealed.as_chunks_mut::<512>().0 {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    sealed
}

#[test]
fn damaged_archives_of_images_leave_nothing_outside_their_folder() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive {
        bounds: BOUNDS,
        ..Archive::images("")
    };
    let read = |bytes: &[u8]| {
        let root = tempfile::tempdir_in(dir.path()).unwrap();
        let staged = StagedDir::beside(&root.path().join("newt2021_images")).unwrap();
        let place = staged.path().to_owned();
        let folder = Unpacked::Folder(Folder::new(staged));
        let unpacked = unpack(&archive, &mut &*bytes, folder);
        // Before the folder goes.
        let names = |dir: &std::path::Path| {
            let entries = fs_err::read_dir(dir).unwrap().map(Result::unwrap);
            entries.map(|entry| entry.path()).collect::<Vec<_>>()
        };
        if unpacked.is_ok() {
            assert_eq!(names(root.path()), [place.as_path()]);
            for file in names(&place) {
                let metadata = fs_err::symlink_metadata(&file).unwrap();
                assert!(
                    metadata.is_file() && metadata.len() <= BOUNDS.file_bytes,
                    "{}",
                    file.display()
                );
            }
        }
        unpacked
            .map(drop)
            .map_err(|error| said(&error, error.hint()))
    };
    check(100, vec![images()], |tar| read(&gzip(&sealed(tar))));
    check(60, vec![gzip(&images())], read);
}

#[test]
fn damaged_archives_of_labels_hold_one_file_or_are_refused() {
    let archive = Archive {
        bounds: BOUNDS,
        ..Archive::labels("")
    };
    let sample = tar(&[entry("newt2021_labels.csv", b'0', b"id,task\n")]);
    check(1000, vec![sample], |tar| {
        let unpacked = unpack(
            &archive,
            &mut &*gzip(&sealed(tar)),
            Unpacked::File(Vec::new()),
        );
        match unpacked.map_err(|error| said(&error, error.hint()))? {
            Unpacked::File(bytes) => assert!(bytes.len() as u64 <= BOUNDS.file_bytes),
            Unpacked::Folder(_) => panic!("a folder"),
        }
        Ok(())
    });
}
