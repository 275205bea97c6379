//! Reading files that somebody else may have put there: regular ones, of a bounded size.
//!
//! Opening a named pipe waits for a writer that may never come, `/dev/zero` has no end, and a sparse file of any size
//! takes no room on the disk. So whatever the program reads is looked at first.

use std::fs::{FileType, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use super::error::{PIPE, Unfit};
use super::stream::{self, is_stream};

/// Opens a regular file for reading; links are followed.
///
/// # Errors
/// [`Unfit::NotRegular`], as an error of kind `InvalidInput`, without waiting for whatever is there; the file system's.
pub fn open(path: &Path) -> io::Result<fs_err::File> {
    // Opening may itself do something, as it does with a tape drive. Where nothing can be seen, it says why.
    if let Ok(metadata) = fs_err::metadata(path) {
        check_regular(path, metadata.file_type())?;
    }
    // Another process may have put a pipe there meanwhile: opened so, it does not wait.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let file = fs_err::OpenOptions::from_options(options).open(path)?;
    check_regular(path, file.metadata()?.file_type())?;
    Ok(file)
}

/// All bytes of a regular file that holds no more than `max_bytes`; links are followed.
///
/// # Errors
/// [`Unfit::NotRegular`], as an error of kind `InvalidInput`; [`Unfit::TooLarge`], as one of kind `InvalidData`; the file system's.
pub fn read(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let bytes = file.metadata()?.len();
    check_bytes(path, bytes, max_bytes)?;
    let mut content = buffer(path, bytes)?;
    // The file may have grown since.
    let most = max_bytes.saturating_add(1);
    file.take(most).read_to_end(&mut content)?;
    check_bytes(path, content.len() as u64, max_bytes)?;
    Ok(content)
}

/// An empty buffer that has room for a file of so many bytes.
///
/// # Errors
/// One of kind `OutOfMemory` where the system does not give as much.
pub fn buffer(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let mut buffer = Vec::new();
    let n_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    buffer.try_reserve_exact(n_bytes).map_err(|_| {
        let path = path.display();
        let message = format!("{path}: {bytes} bytes, expected no more than there is memory for");
        io::Error::new(io::ErrorKind::OutOfMemory, message)
    })?;
    Ok(buffer)
}

/// Makes sure that the `bytes` bytes of the file at `path` are no more than the `max_bytes` that are read.
///
/// # Errors
/// [`Unfit::TooLarge`], as an error of kind `InvalidData`.
pub fn check_bytes(path: &Path, bytes: u64, max_bytes: u64) -> io::Result<()> {
    if bytes <= max_bytes {
        return Ok(());
    }
    let path = path.to_owned();
    Err(Unfit::TooLarge {
        path,
        bytes,
        max_bytes,
    }
    .into())
}

/// All of a regular file of UTF-8 text that holds no more than `max_bytes`; links are followed.
///
/// # Errors
/// As [`read`]; other bytes than UTF-8 are an error of kind `InvalidData`.
pub fn read_text(path: &Path, max_bytes: u64) -> io::Result<String> {
    text(path, read(path, max_bytes)?)
}

/// As [`read_text`], but of a [stream](is_stream), too, and it waits for what comes: for the path of a command line,
/// where `/dev/stdin` and the shell's `<(…)` are meant to be read. An error of `check`, which is asked several times a
/// second, ends the wait.
///
/// # Errors
/// As [`read_text`], and those of `check`.
pub fn read_text_stream(
    path: &Path,
    max_bytes: u64,
    check: impl Fn() -> io::Result<()>,
) -> io::Result<String> {
    if is_stream(path) {
        text(path, stream::read(path, max_bytes, check)?)
    } else {
        read_text(path, max_bytes)
    }
}

fn text(path: &Path, bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| {
        let message = format!("{}: is not UTF-8 text", path.display());
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

/// Makes sure that a regular file at `path` holds no more than `max_bytes`, without opening it; links are followed.
///
/// # Errors
/// As [`read`].
pub fn check_size(path: &Path, max_bytes: u64) -> io::Result<()> {
    let metadata = fs_err::metadata(path)?;
    check_regular(path, metadata.file_type())?;
    check_bytes(path, metadata.len(), max_bytes)
}

/// Makes sure that what was found at `path` is a regular file.
///
/// # Errors
/// [`Unfit::NotRegular`], as an error of kind `InvalidInput`.
pub fn check_regular(path: &Path, file_type: FileType) -> io::Result<()> {
    if file_type.is_file() {
        return Ok(());
    }
    let (path, found) = (path.to_owned(), kind(file_type));
    Err(Unfit::NotRegular { path, found }.into())
}

/// What messages call something that lies in a place, with its article.
pub fn kind(file_type: FileType) -> &'static str {
    if file_type.is_file() {
        "a file"
    } else if file_type.is_dir() {
        "a folder"
    } else if file_type.is_symlink() {
        "a link"
    } else if file_type.is_fifo() {
        PIPE
    } else if file_type.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_named_without_waiting_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let pipe = root.join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        fs_err::os::unix::fs::symlink("/dev/zero", root.join("zero")).unwrap();
        fs_err::create_dir(root.join("folder")).unwrap();
        for (name, found) in [
            ("pipe", "a named pipe"),
            ("socket", "a socket"),
            ("zero", "a device"),
            ("folder", "a folder"),
        ] {
            let path = root.join(name);
            let error = read(&path, u64::MAX).unwrap_err();
            let expected = format!("{}: is {found}, expected a regular file", path.display());
            assert_eq!(error.to_string(), expected);
            assert!(super::super::hint(&error).is_some());
        }
    }

    #[test]
    fn file_of_the_largest_size_is_read_and_one_byte_more_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs_err::write(&path, "abcd").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"abcd");
        assert_eq!(read_text(&path, u64::MAX).unwrap(), "abcd");
        let error = read(&path, 3).unwrap_err();
        assert!(error.to_string().ends_with(": 4 bytes, expected 3 at most"));
        assert_eq!(
            super::super::hint(&error),
            Some("look whether it is the file that was meant")
        );
        // Sparse: it takes no room on the disk, and would fill the memory.
        let file = fs_err::File::create(&path).unwrap();
        file.set_len(1 << 40).unwrap();
        assert_eq!(
            read(&path, 1 << 20).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        // A file without an end whose size the system gives as zero.
        let error = read(Path::new("/proc/self/maps"), 16).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with(": 17 bytes, expected 16 at most")
        );
    }
}
