//! What the user sees: results on standard output; progress, warnings and errors on standard
//! error, as a bar on a terminal and as plain lines in a pipe.

use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::{settings, streams};
use crate::context::Context;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::text::{bytes, escaped_json, foreign, harmless, path, printable, thousands};

/// In a pipe, a line of progress comes this often, and none for what is shorter.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The terminal, or the pipes in its place.
pub struct Console {
    /// Whether the user, or a scheduler, has asked the program to stop.
    pub interrupt: Interrupt,
    is_quiet: bool,
    has_terminal: bool,
    has_colour: bool,
    operation: Mutex<Option<Operation>>,
}

/// What an operation counts.
#[derive(Clone, Copy)]
enum Unit {
    One,
    Byte,
}

impl Unit {
    fn show(self, n: u64) -> String {
        match self {
            Self::One => thousands(n),
            Self::Byte => bytes(n),
        }
    }
}

/// The long operation under way.
struct Operation {
    what: String,
    unit: Unit,
    total: u64,
    done: u64,
    /// What an earlier process had done.
    done_before: u64,
    started: Instant,
    line_at: Instant,
    bar: Option<ProgressBar>,
}

impl Console {
    /// A quiet one says errors and warnings only, and no progress and no notes.
    pub fn new(is_quiet: bool) -> Self {
        let has_terminal = io::stderr().is_terminal();
        Self {
            interrupt: Interrupt::default(),
            is_quiet,
            has_terminal,
            has_colour: has_terminal && !settings::wants_plain_text(),
            operation: Mutex::new(None),
        }
    }

    /// What long work gets: its progress is shown here.
    pub fn context(&self) -> Context<'_> {
        Context {
            progress: self,
            interrupt: &self.interrupt,
        }
    }

    /// Prints part of the result: whatever is in it, a terminal obeys nothing but tabs and line breaks.
    pub fn result(&self, text: &str) -> Result<(), Error> {
        self.write(printable(text).as_bytes())
    }

    /// Prints a path as the result: on a terminal as people read it, else byte for byte, as programs take it.
    pub fn result_path(&self, place: &Path) -> Result<(), Error> {
        let mut line = if io::stdout().is_terminal() {
            path(place).into_bytes()
        } else {
            place.as_os_str().as_bytes().to_vec()
        };
        line.push(b'\n');
        self.write(&line)
    }

    /// Prints the result as one JSON document.
    pub fn json(&self, value: &Value) -> Result<(), Error> {
        self.write((escaped_json(value)? + "\n").as_bytes())
    }

    #[expect(clippy::unused_self, reason = "the console is what prints")]
    fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(bytes)
            .and_then(|()| stdout.flush())
            .map_err(|error| streams::not_written(&error))
    }

    /// Prints an error and its hint.
    pub fn error(&self, error: &Error) {
        self.say_under("error:", "31", &error.to_string());
        if let Some(hint) = error.hint() {
            self.say_under("hint:", "36", &hint);
        }
    }

    /// Says something behind a label in a colour.
    fn say_under(&self, label: &str, colour: &str, text: &str) {
        let text = harmless(text);
        if self.has_colour {
            self.write_line(&format!("\x1b[1;{colour}m{label}\x1b[0m {text}"));
        } else {
            self.write_line(&format!("{label} {text}"));
        }
    }

    /// Writes a line to standard error, above the bar where there is one. Nobody is left to be told
    /// if that fails.
    fn write_line(&self, line: &str) {
        let write = || {
            let _ = writeln!(io::stderr().lock(), "{line}");
        };
        let operation = self.operation();
        match operation
            .as_ref()
            .and_then(|operation| operation.bar.as_ref())
        {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn begin(&self, what: &str, unit: Unit, done: u64, total: u64) {
        let now = Instant::now();
        let what = foreign(what);
        let operation = Operation {
            unit,
            total,
            done,
            done_before: done,
            started: now,
            line_at: now,
            bar: self.bar(&what, unit, done, total),
            what,
        };
        *self.operation() = Some(operation);
    }

    /// The operation under way, if there is one, for this thread alone.
    fn operation(&self) -> MutexGuard<'_, Option<Operation>> {
        self.operation
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn bar(&self, what: &str, unit: Unit, done: u64, total: u64) -> Option<ProgressBar> {
        if self.is_quiet || !self.has_terminal {
            return None;
        }
        let template = match unit {
            Unit::One => "{msg:<22} {bar:30} {human_pos}/{human_len} {per_sec} {eta} left",
            Unit::Byte => "{msg:<22} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left",
        };
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(total)
            .with_style(style)
            .with_message(what.to_owned())
            .with_position(done);
        bar.reset_eta();
        // indicatif panics where it cannot start its thread; without it the bar moves when something is done.
        if std::thread::Builder::new().spawn(|| ()).is_ok() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Some(bar)
    }
}

impl Progress for Console {
    fn start(&self, what: &str, total: u64) {
        self.begin(what, Unit::One, 0, total);
    }

    fn start_bytes(&self, what: &str, total: u64) {
        self.begin(what, Unit::Byte, 0, total);
    }

    fn resume_bytes(&self, what: &str, done: u64, total: u64) {
        self.begin(what, Unit::Byte, done, total);
    }

    fn tick(&self, n: u64) {
        let mut guard = self.operation();
        let Some(operation) = guard.as_mut() else {
            return;
        };
        operation.done += n;
        if let Some(bar) = &operation.bar {
            bar.inc(n);
        } else if operation.line_at.elapsed() >= LINE_EVERY {
            operation.line_at = Instant::now();
            let line = operation.line();
            drop(guard);
            self.note(&line);
        }
    }

    fn finish(&self) {
        let operation = self.operation().take();
        let Some(operation) = operation else { return };
        if let Some(bar) = &operation.bar {
            bar.finish_and_clear();
        } else if operation.started.elapsed() >= LINE_EVERY {
            self.note(&operation.last_line());
        }
    }

    fn note(&self, message: &str) {
        if !self.is_quiet {
            self.write_line(&harmless(message));
        }
    }

    fn warn(&self, message: &str) {
        self.say_under("warning:", "33", message);
    }
}

impl Operation {
    /// A line such as `extracting features: 1,072 in 17.5 s`.
    fn last_line(&self) -> String {
        format!(
            "{}: {} in {:.1} s",
            self.what,
            self.unit.show(self.done),
            self.started.elapsed().as_secs_f64()
        )
    }

    /// A line such as `extracting features: 512 of 1,072, 61.2 per second, 9 s left`.
    fn line(&self) -> String {
        let done_now = self.done.saturating_sub(self.done_before);
        let rate = done_now as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        let left = self.total.saturating_sub(self.done) as f64 / rate.max(1e-9);
        let speed = match self.unit {
            Unit::One => format!("{rate:.1}"),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a fraction of a byte a second is none"
            )]
            Unit::Byte => bytes(rate as u64),
        };
        format!(
            "{}: {} of {}, {speed} per second, {left:.0} s left",
            self.what,
            self.unit.show(self.done),
            self.unit.show(self.total)
        )
    }
}

#[cfg(test)]
#[path = "../../tests/cli/progress_lines.rs"]
mod progress_lines;

#[cfg(test)]
mod tests {
    use super::progress_lines::is_progress;
    use super::*;

    #[test]
    fn lines_of_progress_have_the_form_that_no_snapshot_holds() {
        for (unit, done_before, done, total) in [
            (Unit::One, 0, 0, 12),
            (Unit::One, 0, 1_234_567, 7_654_321),
            (Unit::Byte, 0, 0, 0),
            (Unit::Byte, 1 << 20, 1 << 30, 1 << 40),
        ] {
            let operation = Operation {
                what: "downloading org/name: model.safetensors".to_owned(),
                unit,
                total,
                done,
                done_before,
                started: Instant::now(),
                line_at: Instant::now(),
                bar: None,
            };
            for line in [operation.line(), operation.last_line()] {
                assert!(is_progress(&line), "{line}");
            }
        }
    }

    #[test]
    fn other_lines_do_not_have_that_form() {
        for line in [
            "tables and provenance are in results/mine",
            "  features   ran             12.34 s  never made before; 0 images extracted, 40 reused",
            "warning: http://127.0.0.1:1: answered 503, expected 200; next try in 0 s",
            "error: newt2021_labels.csv:1204: label is `2`, expected `0` or `1`",
            "1,072 rows in 17 files",
        ] {
            assert!(!is_progress(line), "{line}");
        }
    }
}
