//! The unsafe code of reading weights: files mapped into memory.
#![expect(unsafe_code, reason = "mapping a file; the block says why it is sound")]

use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::Error;
use crate::files;

/// Files that can be read as if they were in memory.
pub struct MappedFiles {
    files: Vec<(PathBuf, Mmap)>,
}

impl MappedFiles {
    /// Maps every file.
    ///
    /// # Errors
    /// Names the first that cannot be read.
    pub fn open(paths: &[PathBuf]) -> Result<Self, Error> {
        let map = |path: &PathBuf| {
            let file = files::open(path)?;
            // SAFETY: the bytes are only read. The header is copied out of the map when it is parsed; what is read
            // later is numbers, for which any bytes will do. A program that changes the file meanwhile changes these
            // numbers: whoever loads a checkpoint hashes its files afterwards and compares. One that truncates the
            // file ends this process, as it ends every program that maps files.
            let bytes = unsafe { Mmap::map(file.file()) }.map_err(|error| {
                std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            })?;
            Ok((path.clone(), bytes))
        };
        Ok(Self {
            files: paths.iter().map(map).collect::<Result<_, Error>>()?,
        })
    }

    /// Each file's path and bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.files
            .iter()
            .map(|(path, bytes)| (path.as_path(), &**bytes))
    }
}
