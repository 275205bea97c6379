//! safetensors files on the disk. Their header says how long they are: it is read first, so that nothing that is not
//! such a file, whatever its size, is taken into memory.

use std::io::Read;
use std::path::Path;

use safetensors::tensor::Metadata;
use safetensors::{SafeTensorError, SafeTensors};

use super::Error;
use super::damage::{self, LENGTH_BYTES, MAX_HEADER_BYTES, described_bytes, header_bytes};
use crate::files::{self, BrokenLink};
use crate::interrupt::Interrupt;

/// Makes sure that the safetensors file at `path` is as long as its header says, without reading more of it.
///
/// # Errors
/// [`Error::NotSafetensors`]; [`Error::Io`] where there is no regular file.
pub fn check_length(path: &Path) -> Result<(), Error> {
    check_header(path, |_| Ok(()))
}

/// Makes sure that the file at `path` is as long as its header says, and that `check` finds nothing wrong in the header,
/// without reading more of it.
///
/// # Errors
/// [`Error::NotSafetensors`]; [`Error::Io`] where there is no regular file; those of `check`.
pub(super) fn check_header(
    path: &Path,
    check: impl FnOnce(&Metadata) -> Result<(), Error>,
) -> Result<(), Error> {
    read_header(path, check).map(drop)
}

/// The bytes of a file that is as long as its header says, and of which `check` finds nothing wrong in the header.
///
/// # Errors
/// As [`check_header`], and [`Error::Io`] where there is no memory for as much; [`Error::Stopped`].
pub(super) fn read(
    path: &Path,
    check: impl FnOnce(&Metadata) -> Result<(), Error>,
    interrupt: &Interrupt,
) -> Result<Vec<u8>, Error> {
    let Opened {
        file,
        head,
        n_bytes,
    } = read_header(path, check)?;
    // A sparse file of any size may fit its header.
    let mut bytes = files::buffer(path, n_bytes)?;
    let n_rest = n_bytes.saturating_sub(head.len() as u64);
    bytes.extend(head);
    // If it has grown or been cut since, it does not fit its header any more, as whoever parses the bytes will find.
    let read = interrupt.over(file).take(n_rest).read_to_end(&mut bytes);
    interrupt.check()?;
    read?;
    Ok(bytes)
}

/// A file of which no more has been read than its header.
struct Opened {
    file: fs_err::File,
    /// The header, and its length before it.
    head: Vec<u8>,
    n_bytes: u64,
}

fn read_header(
    path: &Path,
    check: impl FnOnce(&Metadata) -> Result<(), Error>,
) -> Result<Opened, Error> {
    BrokenLink::check(path)?;
    let mut file = files::open(path)?;
    let n_bytes = file.metadata()?.len();
    let mut head = Vec::new();
    let mut length = Read::by_ref(&mut file).take(LENGTH_BYTES as u64);
    length.read_to_end(&mut head)?;
    if let Some(n_header) = header_bytes(&head).filter(|n_header| *n_header <= MAX_HEADER_BYTES) {
        let mut header = Read::by_ref(&mut file).take(n_header);
        header.read_to_end(&mut head)?;
    }
    let error = match SafeTensors::read_metadata(&head) {
        // The data are still in the file.
        Ok(_) | Err(SafeTensorError::MetadataIncompleteBuffer) => {
            if described_bytes(&head) == Some(n_bytes) {
                if let Some(metadata) = damage::metadata(&head) {
                    check(&metadata)?;
                }
                return Ok(Opened {
                    file,
                    head,
                    n_bytes,
                });
            }
            SafeTensorError::MetadataIncompleteBuffer
        }
        Err(error) => error,
    };
    Err(Error::NotSafetensors {
        file: path.display().to_string(),
        what: damage::describe(&error, &head, n_bytes),
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::artifact::TensorWriter;

    fn whole() -> Vec<u8> {
        let x = array![[1.5_f32, 2.0], [0.0, 3.0]];
        TensorWriter::new().array("x", &x).to_bytes().unwrap()
    }

    #[test]
    fn file_that_fits_its_header_is_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let empty = TensorWriter::new().metadata("a", &1).to_bytes().unwrap();
        for bytes in [whole(), empty] {
            fs_err::write(&path, &bytes).unwrap();
            check_header(&path, |_| Ok(())).unwrap();
            assert_eq!(
                read(&path, |_| Ok(()), &Interrupt::default()).unwrap(),
                bytes
            );
        }
    }

    #[test]
    fn damage_is_described_as_of_bytes_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let whole = whole();
        for n in 0..whole.len() {
            fs_err::write(&path, &whole[..n]).unwrap();
            let name = path.display().to_string();
            let expected = crate::artifact::Tensors::parse(&name, &whole[..n]).unwrap_err();
            let found = check_header(&path, |_| Ok(())).unwrap_err();
            assert_eq!(found.to_string(), expected.to_string(), "{n} bytes");
        }
    }

    #[test]
    fn sparse_files_are_told_by_their_headers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        // A terabyte, which no test could read.
        for (start, found) in [
            (vec![], "not a safetensors file: invalid JSON in header"),
            (whole(), "too long: 1,099,511,627,776 bytes, "),
        ] {
            fs_err::write(&path, start).unwrap();
            let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
            file.file().set_len(1 << 40).unwrap();
            let error = read(&path, |_| Ok(()), &Interrupt::default()).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(found), "{error}");
        }
    }
}
