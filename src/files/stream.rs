//! Reading what comes through a pipe or from a terminal, and may never come: a wait that a stop ends.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use super::reading::check_bytes;

/// How long one wait takes: within twice that, a stop is heard.
const SLICE_MILLIS: libc::c_int = 100;

/// How much is read at once.
const PIECE_BYTES: usize = 64 << 10;

/// Whether there is a pipe or a device at `path` that gives characters; links are followed.
pub fn is_stream(path: &Path) -> bool {
    fs_err::metadata(path).is_ok_and(|metadata| {
        let file_type = metadata.file_type();
        file_type.is_fifo() || file_type.is_char_device()
    })
}

/// All that comes until the other side closes the stream at `path`, if that is no more than `max_bytes`. An error of
/// `check`, which is asked several times a second, ends the wait.
pub fn read(
    path: &Path,
    max_bytes: u64,
    check: impl Fn() -> io::Result<()>,
) -> io::Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    // Neither the opening nor a read waits, as both would without hearing a stop.
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let mut file = fs_err::OpenOptions::from_options(options).open(path)?;
    let (mut content, mut piece) = (Vec::new(), vec![0; PIECE_BYTES]);
    loop {
        check()?;
        if !is_ready(&file)? {
            continue;
        }
        match file.read(&mut piece) {
            Ok(0) => return Ok(content),
            Ok(n) => content.extend_from_slice(&piece[..n]),
            // Somebody else who reads the same stream was faster.
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        check_bytes(path, content.len() as u64, max_bytes)?;
    }
}

/// Waits a slice of time until there is something to read, or the end; whether there is.
#[expect(
    unsafe_code,
    reason = "std cannot wait for a time until a file can be read"
)]
fn is_ready(file: &impl AsRawFd) -> io::Result<bool> {
    let mut waited = libc::pollfd {
        fd: file.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: the pointer is to one element, which lives until the call returns, and the file is open.
    let n = unsafe { libc::poll(&raw mut waited, 1, SLICE_MILLIS) };
    if n >= 0 {
        return Ok(n > 0);
    }
    match io::Error::last_os_error() {
        error if error.kind() == ErrorKind::Interrupted => Ok(false),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn pipe(dir: &Path) -> std::path::PathBuf {
        let path = dir.join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        path
    }

    #[test]
    fn a_stream_is_read_to_its_end_however_late_and_in_whatever_pieces_it_comes() {
        let dir = tempfile::tempdir().unwrap();
        let path = pipe(dir.path());
        assert!(is_stream(&path) && !is_stream(dir.path()));
        let whole: Vec<u8> = (0_u32..200_000).flat_map(u32::to_le_bytes).collect();
        for max_bytes in [800_000, 799_999] {
            let (written, writer) = (whole.clone(), path.clone());
            let writing = std::thread::spawn(move || {
                std::thread::sleep(std::time::Duration::from_millis(150));
                let mut file = fs_err::OpenOptions::new().write(true).open(writer).unwrap();
                // It fails where the reader has had enough.
                let _ = file.write_all(&written[..10]);
                std::thread::sleep(std::time::Duration::from_millis(150));
                let _ = file.write_all(&written[10..]);
            });
            let read = read(&path, max_bytes, || Ok(()));
            writing.join().unwrap();
            if max_bytes == 800_000 {
                assert!(read.unwrap() == whole);
            } else {
                assert_eq!(read.unwrap_err().kind(), ErrorKind::InvalidData);
            }
        }
    }

    #[test]
    fn a_stop_ends_the_wait_for_what_never_comes() {
        let dir = tempfile::tempdir().unwrap();
        let path = pipe(dir.path());
        let n_asked = std::cell::Cell::new(0);
        let check = || {
            n_asked.set(n_asked.get() + 1);
            if n_asked.get() < 3 {
                Ok(())
            } else {
                Err(io::Error::other("stopped"))
            }
        };
        assert_eq!(read(&path, 10, check).unwrap_err().to_string(), "stopped");
    }
}
