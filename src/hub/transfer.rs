//! The bytes at one address, read as they arrive and written to a file; continued where they broke off.
//!
//! The file holds what the reader has been given, from its beginning on, at any time: no byte is given twice,
//! also where a server cannot continue and begins anew. What came so far is not asked for again by the next
//! transfer to the same file, be it in this process or a later one.

use fs_err::os::unix::fs::FileExt;
use ureq::http::Uri;
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE};

use super::CHUNK_BYTES;
use super::error::{self, Kind};
use super::http::{Answer, Client, Speed, unreachable};
use super::retry::{Patience, Setback};
use crate::error::Error;
use crate::progress::Progress;
use crate::text::{foreign, thousands};

/// What a transfer brings.
pub struct Wanted<'a> {
    /// Where it is.
    pub address: Uri,
    /// Names it to the user.
    pub what: String,
    /// Its size, if it is known; otherwise the server's word is taken.
    pub size: Option<u64>,
    /// More is not taken, whatever the server announces.
    pub most: u64,
    /// More is not taken where the size is known to nobody: there may be no end.
    pub most_unannounced: u64,
    /// What it means that the server answers otherwise than with the bytes.
    pub refusal: &'a dyn Fn(&Answer) -> Error,
}

/// A transfer under way.
pub struct Transfer<'a> {
    client: &'a Client,
    wanted: Wanted<'a>,
    file: &'a fs_err::File,
    progress: &'a dyn Progress,
    patience: Patience<'a>,
    speed: Speed,
    /// How often in succession the server has been too slow, and how many bytes there were at the last time.
    slow: (u32, u64),
    /// How many bytes are in the file, all of which the reader has been given.
    n_bytes: u64,
    answer: Option<Answer>,
    /// Where in the whole the next byte of the answer is.
    position: u64,
    /// Whether the server may be asked for a part.
    has_ranges: bool,
    has_ended: bool,
}

impl<'a> Transfer<'a> {
    /// A transfer into `file`, which holds the first `n_bytes` already; nothing is asked yet.
    ///
    /// The file's own position is left alone.
    pub fn new(
        client: &'a Client,
        wanted: Wanted<'a>,
        file: &'a fs_err::File,
        n_bytes: u64,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            client,
            wanted,
            file,
            progress,
            patience: Patience::new(client, progress),
            speed: Speed::new(&client.pace),
            slow: (0, n_bytes),
            n_bytes,
            answer: None,
            position: 0,
            has_ranges: true,
            has_ended: false,
        }
    }

    /// Shows the user how far it has come.
    pub fn show(&self) {
        let what = format!("downloading {}", self.wanted.what);
        let total = self.wanted.size.unwrap_or(0);
        match self.n_bytes {
            0 => self.progress.start_bytes(&what, total),
            done => self.progress.resume_bytes(&what, done, total),
        }
    }

    /// How many bytes are in the file.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// What it means that the bytes turn out not to be all of them, although the last answer has ended: where no size
    /// was announced, the end of a connection that broke looks like that of the answer.
    pub fn unannounced_end(&self) -> Option<Error> {
        (self.has_ended && self.wanted.size.is_none()).then(|| {
            let n_bytes = thousands(self.n_bytes);
            let what =
                format!("the transfer ended after {n_bytes} bytes, and no size was announced");
            unreachable(&self.wanted.address, &what).into()
        })
    }

    /// Asks for the bytes, unless all are there; the size of the whole is known then, if the server announces it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn begin(&mut self) -> Result<(), Error> {
        while self.answer.is_none() && !self.is_whole() {
            if let Err(setback) = self.ask() {
                self.patience.wait(setback)?;
            }
        }
        Ok(())
    }

    /// Reads on, with as many requests as it takes; returns how many bytes there were, 0 at the end.
    ///
    /// # Errors
    /// [`Kind::WrongBytes`] where the server sends other bytes than it should, [`Kind::Slow`], errors of the server and of
    /// the file system, a stop.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        while self.answer.is_some() || !self.is_whole() {
            match self.receive(buffer) {
                Ok(0) => {}
                Ok(n_fresh) => {
                    self.patience.renew();
                    return Ok(n_fresh);
                }
                Err(setback) => {
                    self.answer = None;
                    let setback = self.unless_slow_again(setback);
                    self.patience.wait(setback)?;
                }
            }
        }
        Ok(0)
    }

    /// Reads all that is left.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_to_end(&mut self) -> Result<(), Error> {
        let mut buffer = vec![0; CHUNK_BYTES];
        while self.read(&mut buffer)? > 0 {}
        Ok(())
    }

    /// The setback; a lasting one where the server is too slow once more than it may be: something new arrives from such
    /// a one each time.
    fn unless_slow_again(&mut self, setback: Setback) -> Setback {
        match setback {
            Setback::Passing { error, wait } if error.kind == Kind::Slow => {
                let (n_slow, n_bytes) = self.slow;
                let has_moved = self.n_bytes - n_bytes >= self.client.pace.least_bytes;
                let n_slow = if has_moved { 1 } else { n_slow + 1 };
                self.slow = (n_slow, self.n_bytes);
                if n_slow < self.client.pace.n_tries {
                    Setback::Passing { error, wait }
                } else {
                    error.into()
                }
            }
            setback => setback,
        }
    }

    fn is_whole(&self) -> bool {
        self.has_ended || self.wanted.size == Some(self.n_bytes)
    }

    /// One request.
    fn ask(&mut self) -> Result<(), Setback> {
        let from = if self.has_ranges { self.n_bytes } else { 0 };
        let answer = self.client.get(&self.wanted.address, from)?;
        let (position, announced) = match answer.status() {
            200 => {
                let size = answer.header(CONTENT_LENGTH);
                (0, size.and_then(|size| size.parse().ok()))
            }
            206 => (from, parse_range(&answer, from)?),
            416 if from > 0 => {
                self.has_ranges = false;
                return Err(Setback::passing(answer.unexpected("206")));
            }
            _ => return Err((self.wanted.refusal)(&answer).into()),
        };
        if let Some(announced) = announced {
            let expected = *self.wanted.size.get_or_insert(announced);
            if announced != expected {
                return Err(self.other_size(announced, expected).into());
            }
            self.check_size(announced.max(self.n_bytes))?;
        }
        self.answer = Some(answer);
        self.position = position;
        Ok(())
    }

    /// Some bytes of the answer, those that are new; 0 if there are none among them, or at its end.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, Setback> {
        let Some(mut answer) = self.answer.take() else {
            self.ask()?;
            return Ok(0);
        };
        let n_read = answer.read(buffer, &mut self.speed)?;
        self.position += n_read as u64;
        if n_read == 0 {
            let size = self.wanted.size.unwrap_or(self.n_bytes);
            if self.position < size {
                return Err(answer.cut_short(self.position, size));
            }
            self.has_ended = true;
            return Ok(0);
        }
        // Whoever sends too much need not end.
        self.check_size(self.position)?;
        self.answer = Some(answer);
        let n_fresh = usize::try_from(self.position.saturating_sub(self.n_bytes))
            .map_or(n_read, |n_fresh| n_fresh.min(n_read));
        buffer.copy_within(n_read - n_fresh..n_read, 0);
        self.file.write_all_at(&buffer[..n_fresh], self.n_bytes)?;
        self.n_bytes += n_fresh as u64;
        if n_fresh > 0 {
            self.progress.tick(n_fresh as u64);
        }
        Ok(n_fresh)
    }

    /// Makes sure that `found` bytes are not too many.
    fn check_size(&self, found: u64) -> Result<(), error::Error> {
        let Wanted { what, most, .. } = &self.wanted;
        if found > *most {
            let (found, most) = (thousands(found), thousands(*most));
            let problem = format!("{found} bytes, expected at most {most}");
            return Err(error::Error::wrong_bytes(what, &problem));
        }
        match self.wanted.size {
            Some(size) if found > size => Err(self.other_size(found, size)),
            None if found > self.wanted.most_unannounced => {
                let most = thousands(self.wanted.most_unannounced);
                Err(error::Error::new(
                    Kind::WrongBytes,
                    format!("{what}: more than {most} bytes, and no size was announced"),
                    "a proxy or a mirror may have answered: open the address in a browser, and check `HF_ENDPOINT`",
                ))
            }
            _ => Ok(()),
        }
    }

    fn other_size(&self, found: u64, expected: u64) -> error::Error {
        let (found, expected) = (thousands(found), thousands(expected));
        let problem = format!("{found} bytes received, {expected} announced");
        error::Error::wrong_bytes(&self.wanted.what, &problem)
    }
}

/// Where the answer's bytes begin must be where ours end; returns the size of the whole, if the answer tells it.
fn parse_range(answer: &Answer, n_bytes: u64) -> Result<Option<u64>, error::Error> {
    let range = answer.header(CONTENT_RANGE).unwrap_or_default();
    range
        .strip_prefix(&format!("bytes {n_bytes}-"))
        .and_then(|rest| rest.split_once('/'))
        .map(|(_, size)| size.parse().ok())
        .ok_or_else(|| {
            let range = foreign(range);
            answer.wrong(&format!(
                "range `{range}`, expected the bytes from {n_bytes} on"
            ))
        })
}
