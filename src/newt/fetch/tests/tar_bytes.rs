//! Archives made by hand, byte by byte, since no tool makes the evil ones.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

pub const FOLDER: u8 = b'5';

/// A header that says what it is told, and behind it the bytes, filled up to blocks.
pub fn entry(name: &str, kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut entry = header(name, kind, "", bytes.len() as u64);
    entry.extend_from_slice(bytes);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

pub fn link(name: &str, kind: u8, target: &str) -> Vec<u8> {
    header(name, kind, target, 0)
}

/// Source: POSIX.1-1988, `ustar` interchange format; sizes over 8 GB as GNU tar has them, in base 256.
pub fn header(name: &str, kind: u8, target: &str, size: u64) -> Vec<u8> {
    let mut header = vec![0; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    for (at, field) in [(100, "0000644"), (108, "0000000"), (116, "0000000")] {
        put(at, field.as_bytes());
    }
    if size < 1 << 33 {
        put(124, format!("{size:011o}").as_bytes());
    } else {
        put(124, &[0x80]);
        put(128, &size.to_be_bytes());
    }
    put(136, b"00000000000");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, target.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// A PAX record of a header for the next entry.
///
/// Source: POSIX.1-2001: `<length> <key>=<value>\n`, the length being that of all of it.
pub fn pax(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length.to_string().len() + rest.len() != length {
        length += 1;
    }
    format!("{length}{rest}").into_bytes()
}

/// The entries, and the two blocks of zeros that end an archive.
pub fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut tar = entries.concat();
    tar.resize(tar.len() + 1024, 0);
    tar
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// 10 GB of zeros, in 500 members of a gzip file.
pub fn zeros() -> Vec<u8> {
    gzip(&vec![0; 20_000_000]).repeat(500)
}

/// 40 kB that depend on the name, and that no compression makes smaller.
pub fn noise(name: &str) -> Vec<u8> {
    let mut state = name.bytes().fold(1_u32, |state, byte| {
        state.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    (0..10_000)
        .flat_map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state ^ (state >> 16)).to_le_bytes()
        })
        .collect()
}
