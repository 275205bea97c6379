//! The bytes of an archive, from the first to the last, once: those that an earlier try has left on the disk, then
//! those that arrive. All that is read is hashed.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::archive::Archive;
use super::error::BadArchive;
use crate::context::Context;
use crate::error::Error;
use crate::hub::{CHUNK_BYTES, Transfer};
use crate::text;

/// Where the next bytes are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// In the file; the number of its bytes that have not been read yet.
    Held(u64),
    /// On their way from the network.
    Arriving,
    /// There are no more bytes.
    Ended,
}

/// An archive that is being read.
///
/// [`Read`] knows one sort of error only; what stopped it is kept for [`cause_of`](Self::cause_of).
pub struct Intake<'a> {
    archive: &'a Archive,
    file: &'a fs_err::File,
    n_held: u64,
    transfer: Option<Transfer<'a>>,
    phase: Phase,
    /// Whether the user is shown how far it has come.
    is_shown: bool,
    hash: Sha256,
    failure: Option<Error>,
    context: Context<'a>,
}

impl<'a> Intake<'a> {
    /// The first `n_held` bytes of an archive from the disk, which `file` has been opened for, and the others, if there
    /// are any, by `transfer`, which goes on behind them.
    pub fn new(
        file: &'a fs_err::File,
        n_held: u64,
        transfer: Option<Transfer<'a>>,
        archive: &'a Archive,
        context: Context<'a>,
    ) -> Self {
        let is_shown = n_held > 0;
        if is_shown {
            let what = match transfer {
                Some(_) => format!("reading what is here of {}", archive.name),
                None => format!("reading {}", archive.name),
            };
            context.progress.start_bytes(&what, n_held);
        }
        Self {
            archive,
            file,
            n_held,
            transfer,
            phase: Phase::Held(n_held),
            is_shown,
            hash: Sha256::new(),
            failure: None,
            context,
        }
    }

    /// Reads what the archive's reader has left, and compares the digest of all.
    ///
    /// # Errors
    /// [`BadArchive::Other`], and errors of reading.
    pub fn check_rest(&mut self) -> Result<(), Error> {
        let mut buffer = vec![0; CHUNK_BYTES];
        while self.take(&mut buffer)? > 0 {}
        let (found, expected) = (self.digest(), self.archive.sha256.clone());
        if found == expected {
            return Ok(());
        }
        Err(BadArchive::Other { found, expected }.into())
    }

    /// Why unpacking ended with `error`: because reading failed, because these are not the archive's bytes, or
    /// because of what the archive holds.
    pub fn cause_of(&mut self, error: Error) -> Error {
        if let Some(failure) = self.failure.take() {
            return failure;
        }
        let is_at_hand = self.transfer.is_none();
        let is_to_be_compared = match error.is_a() {
            Some(BadArchive::Damaged { .. }) => is_at_hand || self.phase == Phase::Ended,
            Some(BadArchive::Entry { .. }) => is_at_hand,
            _ => false,
        };
        if !is_to_be_compared {
            return error;
        }
        match self.check_rest() {
            Ok(()) => error,
            Err(wrong) => self.broken_off(&error).unwrap_or(wrong),
        }
    }

    /// What to say instead of `error` where the transfer seems to have broken off unnoticed: it can go on where it was.
    fn broken_off(&self, error: &Error) -> Option<Error> {
        let transfer = self.transfer.as_ref()?;
        // Where nothing new came, the archive ends there.
        let has_brought = transfer.n_bytes() > self.n_held;
        match error.is_a() {
            Some(BadArchive::Damaged { is_cut: true, .. }) if has_brought => {
                transfer.unannounced_end()
            }
            _ => None,
        }
    }

    fn digest(&self) -> String {
        format!("{:x}", self.hash.clone().finalize())
    }

    fn take(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        loop {
            self.context.interrupt.check()?;
            let n_read = match self.phase {
                Phase::Held(0) => {
                    self.hide();
                    self.go_on()?;
                    continue;
                }
                Phase::Held(n_left) => {
                    let n_wanted = usize::try_from(n_left)
                        .map_or(buffer.len(), |n_left| n_left.min(buffer.len()));
                    let mut file = self.file;
                    let n_read = file.read(&mut buffer[..n_wanted])?;
                    if n_read == 0 {
                        return Err(io::Error::other(format!(
                            "{}: cut short while it was read",
                            text::path(self.file.path())
                        ))
                        .into());
                    }
                    self.phase = Phase::Held(n_left - n_read as u64);
                    self.context.progress.tick(n_read as u64);
                    n_read
                }
                Phase::Arriving => match &mut self.transfer {
                    Some(transfer) => transfer.read(buffer)?,
                    None => 0,
                },
                Phase::Ended => return Ok(0),
            };
            if n_read == 0 {
                self.hide();
                self.phase = Phase::Ended;
                return Ok(0);
            }
            self.hash.update(&buffer[..n_read]);
            return Ok(n_read);
        }
    }

    /// Turns from what was on the disk to what arrives.
    fn go_on(&mut self) -> Result<(), Error> {
        // Where only the unpacking was cut short, nothing is asked.
        let is_whole = self.n_held > 0 && self.digest() == self.archive.sha256;
        let Some(transfer) = self.transfer.as_mut().filter(|_| !is_whole) else {
            self.phase = Phase::Ended;
            return Ok(());
        };
        transfer.begin()?;
        transfer.show();
        self.is_shown = true;
        self.phase = Phase::Arriving;
        Ok(())
    }

    fn hide(&mut self) {
        if self.is_shown {
            self.context.progress.finish();
            self.is_shown = false;
        }
    }
}

impl Drop for Intake<'_> {
    fn drop(&mut self) {
        self.hide();
    }
}

impl Read for Intake<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.take(buffer).map_err(|error| {
            let told = io::Error::other(error.to_string());
            self.failure = Some(error);
            told
        })
    }
}
