//! What long operations say while they work. How it looks is `cli::console`'s affair.

/// Receives the progress of a long operation; one operation at a time.
pub trait Progress: Sync {
    /// A new operation `what` of `total` units begins.
    fn start(&self, what: &str, total: u64);
    /// A new operation `what` on `total` bytes begins; 0 if their number is not known.
    fn start_bytes(&self, what: &str, total: u64) {
        self.start(what, total);
    }
    /// An operation `what` on `total` bytes goes on, `done` of which an earlier process has done.
    fn resume_bytes(&self, what: &str, done: u64, total: u64) {
        self.start_bytes(what, total);
        self.tick(done);
    }
    /// `n` more units are done.
    fn tick(&self, n: u64);
    /// The operation has ended.
    fn finish(&self);
    /// Something that the user may want to know; one line.
    fn note(&self, _message: &str) {}
    /// Something that the user should know and that stops nothing; one line, lower case, no full stop.
    fn warn(&self, message: &str);
}

/// Says nothing: for tests, and for callers that want quiet.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _what: &str, _total: u64) {}
    fn tick(&self, _n: u64) {}
    fn finish(&self) {}
    fn warn(&self, _message: &str) {}
}

/// Keeps the warnings, for tests that look at them.
#[cfg(test)]
#[derive(Debug, Default)]
pub struct Warnings(pub std::sync::Mutex<Vec<String>>);

#[cfg(test)]
impl Progress for Warnings {
    fn start(&self, _what: &str, _total: u64) {}
    fn tick(&self, _n: u64) {}
    fn finish(&self) {}
    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}
