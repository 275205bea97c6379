//! From the bytes of an archive to files, trusting none of them.
//!
//! `tar` finds the entries; their names, kinds and sizes are judged here, and files are made here. It is asked for
//! raw entries, since it would read the entries that describe the next one (long names, PAX headers) into memory
//! whatever their size.

use std::io::{self, BufReader, Read, Write};
use std::path::PathBuf;

use flate2::bufread::MultiGzDecoder;
use tar::EntryType;

use super::archive::{Archive, Content};
use super::error::BadArchive;
use crate::error::Error;
use crate::files::StagedDir;
use crate::hub::CHUNK_BYTES;
use crate::text::{foreign, thousands};

/// The longest entry that describes the next one.
const MAX_DESCRIPTION_BYTES: u64 = 1 << 16;
/// What may follow the end of the archive: tools fill their last record with zeros.
const MAX_PADDING_BYTES: u64 = 1 << 20;
/// The longest name of a file that file systems take.
const MAX_NAME_BYTES: usize = 255;

/// Files of this many bytes together are written before they are flushed. The system call that flushes is deaf to
/// signals, so it may not have gigabytes to do.
const BATCH_BYTES: u64 = 1 << 24;

/// What is unpacked: a folder that is being filled, or the bytes of the one file.
pub enum Unpacked {
    Folder(Folder),
    File(Vec<u8>),
}

/// A folder that is being filled.
pub struct Folder {
    staged: StagedDir,
    /// The files that have not been flushed, and their size together.
    unflushed: Vec<PathBuf>,
    n_bytes: u64,
}

impl Folder {
    pub fn new(staged: StagedDir) -> Self {
        Self {
            staged,
            unflushed: Vec::new(),
            n_bytes: 0,
        }
    }

    /// The folder with all of its files flushed.
    pub fn flushed(mut self) -> io::Result<StagedDir> {
        self.flush()?;
        Ok(self.staged)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.n_bytes = 0;
        for path in self.unflushed.drain(..) {
            fs_err::File::open(path)?.sync_all()?;
        }
        Ok(())
    }
}

/// Unpacks the `compressed` archive into `unpacked`, to its end.
///
/// # Errors
/// [`BadArchive`] for an entry that is not what the archive should hold, and for bytes that are no archive, or a read that
/// failed; an error of the file system where a file cannot be written.
pub fn unpack(
    archive: &Archive,
    compressed: &mut dyn Read,
    mut unpacked: Unpacked,
) -> Result<Unpacked, Error> {
    let damaged = |error: io::Error| BadArchive::Damaged {
        is_cut: error.kind() == io::ErrorKind::UnexpectedEof,
        // It may repeat the name of an entry.
        what: foreign(&error.to_string()),
    };
    let buffered = BufReader::with_capacity(CHUNK_BYTES, compressed);
    let mut tar = tar::Archive::new(Bounded {
        inner: MultiGzDecoder::new(buffered),
        n_left: archive.bounds.unpacked_bytes,
    });
    let mut described = Described::default();
    let mut n_entries = 0;
    let mut has_files = false;
    for entry in tar.entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        let name = (described.name.clone()).unwrap_or_else(|| entry.path_bytes().into_owned());
        let refuse = |what: String| BadArchive::Entry {
            entry: foreign(&String::from_utf8_lossy(&name)),
            what,
        };
        n_entries += 1;
        if n_entries > archive.bounds.n_entries {
            let most = thousands(archive.bounds.n_entries);
            return Err(refuse(format!("comes after {most} entries, expected no more")).into());
        }
        match entry.header().entry_type() {
            EntryType::XGlobalHeader => {}
            EntryType::XHeader => {
                let bytes = description(&mut entry).map_err(damaged)?;
                described.read_pax(&bytes).map_err(refuse)?;
            }
            EntryType::GNULongName => {
                let bytes = description(&mut entry).map_err(damaged)?;
                let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
                described.name = Some(name.to_vec());
            }
            kind => {
                let size = described.size.unwrap_or(entry.size());
                described = Described::default();
                if size != entry.size() {
                    return Err(refuse("has two sizes, expected one".to_owned()).into());
                }
                let Some(file_name) = judge(archive.content, &name, kind).map_err(refuse)? else {
                    continue;
                };
                if size > archive.bounds.file_bytes {
                    return Err(refuse(format!(
                        "has {} bytes, expected at most {}",
                        thousands(size),
                        thousands(archive.bounds.file_bytes)
                    ))
                    .into());
                }
                has_files = true;
                let n_copied = match unpacked.place(&file_name)? {
                    Some(mut file) => copy(&mut entry, &mut *file, damaged)?,
                    None => return Err(refuse("occurs twice, expected once".to_owned()).into()),
                };
                if n_copied != size {
                    return Err(damaged(io::Error::other("unexpected end of file")).into());
                }
                if let Unpacked::Folder(folder) = &mut unpacked {
                    folder.n_bytes += size;
                    if folder.n_bytes >= BATCH_BYTES {
                        folder.flush()?;
                    }
                }
            }
        }
    }
    if !has_files {
        let what = format!("no file of `{}` in it", archive.content.name());
        return Err(damaged(io::Error::other(what)).into());
    }
    read_padding(tar.into_inner()).map_err(damaged)?;
    Ok(unpacked)
}

impl Unpacked {
    /// Where the bytes of a file go, unless it is there already.
    fn place(&mut self, name: &str) -> Result<Option<Box<dyn Write + '_>>, Error> {
        match self {
            Self::File(bytes) if bytes.is_empty() => Ok(Some(Box::new(bytes))),
            Self::File(_) => Ok(None),
            Self::Folder(folder) => {
                let path = folder.staged.path().join(name);
                match fs_err::File::create_new(&path) {
                    Ok(file) => {
                        folder.unflushed.push(path);
                        Ok(Some(Box::new(file)))
                    }
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }
}

/// Reads what is behind the last entry: the checksum of the compressed bytes is at their end.
fn read_padding(rest: impl Read) -> io::Result<()> {
    let n_read = io::copy(&mut rest.take(MAX_PADDING_BYTES + 1), &mut io::sink())?;
    if n_read > MAX_PADDING_BYTES {
        return Err(io::Error::other("the archive goes on behind its end"));
    }
    Ok(())
}

/// What entries say of the next one.
#[derive(Default)]
struct Described {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Described {
    fn read_pax(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (key, value);
            (key, value, rest) = pax_record(rest)
                .ok_or("has a malformed record, expected `<length> <key>=<value>`")?;
            match key {
                b"path" => self.name = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value)
                        .ok()
                        .and_then(|size| size.parse().ok());
                    self.size = Some(size.ok_or("announces a size that is no number")?);
                }
                key if key.starts_with(b"GNU.sparse.") => {
                    return Err("announces a sparse file, expected a regular one".to_owned());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Key and value of the first PAX record in `bytes`, and what follows it; a value may hold line breaks.
///
/// Source: POSIX.1-2001: `<length> <key>=<value>\n`, the length being that of all of it.
fn pax_record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let n_digits = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let length: usize = std::str::from_utf8(&bytes[..n_digits]).ok()?.parse().ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let pair = record
        .get(n_digits..)?
        .strip_prefix(b" ")?
        .strip_suffix(b"\n")?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    Some((&pair[..equals], &pair[equals + 1..], rest))
}

/// The bytes of an entry that describes the next one.
fn description(entry: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry
        .take(MAX_DESCRIPTION_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_DESCRIPTION_BYTES {
        return Err(io::Error::other(format!(
            "an entry that describes the next one has more than {} bytes",
            thousands(MAX_DESCRIPTION_BYTES)
        )));
    }
    Ok(bytes)
}

/// The name of the file that an entry becomes, or what is wrong with it; `None` for one that is passed over.
fn judge(content: Content, name: &[u8], kind: EntryType) -> Result<Option<String>, String> {
    let expected = match content {
        Content::Labels => format!("`{}`", content.name()),
        Content::Images => format!("`{}/<id>.jpg`", content.name()),
    };
    let Some(name) = std::str::from_utf8(name).ok().filter(|name| is_plain(name)) else {
        return Err(format!(
            "has a name with special characters, expected {expected}"
        ));
    };
    if name.starts_with('/') {
        return Err(format!("has an absolute path, expected {expected}"));
    }
    let parts: Vec<&str> = name
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    if parts.contains(&"..") {
        return Err(format!("leads out of the folder, expected {expected}"));
    }
    let is_folder = match kind {
        EntryType::Regular | EntryType::Continuous => false,
        EntryType::Directory => true,
        other => {
            return Err(format!(
                "is {}, expected a file or a folder",
                kind_name(other)
            ));
        }
    };
    let is_of_macos = |part: &str| part.starts_with("._") || part == ".DS_Store";
    let is_of_pax = |part: &str| part.starts_with("PaxHeader");
    if (parts.iter()).any(|part| is_of_macos(part) || is_of_pax(part)) {
        return Ok(None);
    }
    match (content, parts.as_slice(), is_folder) {
        (_, [], true) => Ok(None),
        (Content::Images, [folder], true) if *folder == content.name() => Ok(None),
        (Content::Images, [folder, file], false) if *folder == content.name() => {
            if file.len() > MAX_NAME_BYTES {
                return Err(format!(
                    "has a name of {} bytes, expected at most {MAX_NAME_BYTES}",
                    file.len()
                ));
            }
            // Whatever else lies there is no image that a labels file could name.
            let is_image = file.strip_suffix(".jpg").is_some_and(|id| !id.is_empty());
            Ok(is_image.then(|| (*file).to_owned()))
        }
        (Content::Labels, [file], false) if *file == content.name() => Ok(Some((*file).to_owned())),
        _ => Err(format!("does not belong there, expected {expected}")),
    }
}

fn is_plain(name: &str) -> bool {
    !name.contains('\\') && !name.chars().any(char::is_control)
}

fn kind_name(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Symlink => "a symbolic link",
        EntryType::Link => "a hard link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a pipe",
        EntryType::GNUSparse => "a sparse file",
        _ => "something special",
    }
}

/// Copies all of `from`; what reading fails with is `damaged`, what writing fails with is the file system's.
fn copy(
    from: &mut impl Read,
    to: &mut dyn Write,
    damaged: impl Fn(io::Error) -> BadArchive,
) -> Result<u64, Error> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut n_copied = 0;
    loop {
        let n_read = from.read(&mut buffer).map_err(&damaged)?;
        if n_read == 0 {
            return Ok(n_copied);
        }
        to.write_all(&buffer[..n_read])?;
        n_copied += n_read as u64;
    }
}

/// A reader that fails where there is more than it may give.
struct Bounded<R> {
    inner: R,
    n_left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_read = self.inner.read(buffer)?;
        self.n_left = self
            .n_left
            .checked_sub(n_read as u64)
            .ok_or_else(|| io::Error::other("unpacks to more bytes than the whole data set has"))?;
        Ok(n_read)
    }
}
