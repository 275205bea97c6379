//! safetensors files. Their header says how long they are: it is read first, so that nothing that is not such a file,
//! whatever its size, is taken into memory.

mod damage;

use std::io::Read;
use std::path::Path;

use safetensors::tensor::Metadata;
use safetensors::{SafeTensorError, SafeTensors};

pub use self::damage::metadata;
pub use self::damage::{LENGTH_BYTES, MAX_HEADER_BYTES, header_bytes};
use self::damage::{describe, described_bytes};
use crate::error::{Error, Failure, Fault};
use crate::files;
use crate::interrupt::Interrupt;
use crate::text::{self, said};

/// A file that is no whole safetensors file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", text::path(file), said(what))]
pub struct NotWhole {
    /// The file.
    file: String,
    /// What is wrong, with found and expected sizes where there are any.
    what: String,
}

impl NotWhole {
    pub fn new(path: &Path, what: String) -> Self {
        Self {
            file: path.display().to_string(),
            what,
        }
    }
}

impl Failure for NotWhole {
    fn hint(&self) -> Option<String> {
        Some("copy or download the file again".to_owned())
    }

    fn fault(&self) -> Fault {
        Fault::Data
    }
}

/// The tensors in a file's bytes; `path` is for messages.
///
/// # Errors
/// Where the header does not describe the bytes, to the last.
#[cfg(any(feature = "torch", test))]
pub fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>, NotWhole> {
    SafeTensors::deserialize(bytes).map_err(|error| refused(path, &error, bytes))
}

/// The number of bytes of the header in a file's bytes, and what the header says; `path` is for messages.
///
/// # Errors
/// Where the header does not describe the bytes, to the last.
pub fn parse_header(path: &Path, bytes: &[u8]) -> Result<(usize, Metadata), NotWhole> {
    SafeTensors::read_metadata(bytes).map_err(|error| refused(path, &error, bytes))
}

fn refused(path: &Path, error: &SafeTensorError, bytes: &[u8]) -> NotWhole {
    NotWhole::new(path, describe(error, bytes, bytes.len() as u64))
}

/// Makes sure that the file at `path` is as long as its header says, and that `check` finds nothing wrong in the header,
/// without reading more of it.
///
/// # Errors
/// [`NotWhole`]; errors of reading, also where there is no regular file; errors of `check`.
pub fn check_header(
    path: &Path,
    check: impl FnOnce(&Metadata) -> Result<(), Error>,
) -> Result<(), Error> {
    read_header(path, check).map(drop)
}

/// The bytes of a file that is as long as its header says, and of which `check` finds nothing wrong in the header.
///
/// # Errors
/// As [`check_header`]; a stop; where there is no memory for as much.
pub fn read(
    path: &Path,
    check: impl FnOnce(&Metadata) -> Result<(), Error>,
    interrupt: &Interrupt,
) -> Result<Vec<u8>, Error> {
    let (file, head, n_bytes) = read_header(path, check)?;
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

/// The file, of which no more has been read than its header; that, with its length before it; the file's own length.
fn read_header(
    path: &Path,
    check: impl FnOnce(&Metadata) -> Result<(), Error>,
) -> Result<(fs_err::File, Vec<u8>, u64), Error> {
    files::check_links(path)?;
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
                if let Some(metadata) = metadata(&head) {
                    check(&metadata)?;
                }
                return Ok((file, head, n_bytes));
            }
            SafeTensorError::MetadataIncompleteBuffer
        }
        Err(error) => error,
    };
    Err(NotWhole::new(path, describe(&error, &head, n_bytes)).into())
}

#[cfg(test)]
pub mod tests {
    use safetensors::tensor::{Dtype, TensorView};

    use super::*;

    /// A file with one tensor.
    pub fn whole() -> Vec<u8> {
        let data = [0; 16];
        let x = TensorView::new(Dtype::F32, vec![2, 2], &data).unwrap();
        safetensors::serialize([("x", x)], None).unwrap()
    }

    fn read_whole(path: &Path) -> Result<Vec<u8>, Error> {
        read(path, |_| Ok(()), &Interrupt::default())
    }

    #[test]
    fn file_that_fits_its_header_is_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let metadata = Some([("a".to_owned(), "1".to_owned())].into());
        let none: [(&str, TensorView<'_>); 0] = [];
        let empty = safetensors::serialize(none, metadata).unwrap();
        for bytes in [whole(), empty] {
            fs_err::write(&path, &bytes).unwrap();
            check_header(&path, |_| Ok(())).unwrap();
            assert_eq!(read_whole(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn damage_is_described_as_of_bytes_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let whole = whole();
        for n in 0..whole.len() {
            fs_err::write(&path, &whole[..n]).unwrap();
            let expected = parse(&path, &whole[..n]).unwrap_err();
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
            let error = read_whole(&path).unwrap_err().to_string();
            assert!(error.contains(found), "{error}");
        }
    }
}
