//! Signals that ask the program to stop.

use std::sync::Arc;
use std::time::Instant;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};

use crate::error::Error;
use crate::interrupt::{Interrupt, Wish};

/// Signals set a flag that long loops look at; a second wish ([`Interrupt::hear`]) ends the program at once.
pub fn catch(interrupt: &Interrupt) -> Result<(), Error> {
    let started = Instant::now();
    for signal in [SIGINT, SIGTERM, SIGUSR1, SIGHUP] {
        // `nohup` has SIGHUP ignored, so that the program outlives its terminal, and a shell without job control has SIGINT
        // ignored by what it starts in the background: Ctrl-C is for what stands in front.
        if is_ignored(signal) {
            continue;
        }
        let interrupt = interrupt.clone();
        let number = usize::try_from(signal).unwrap_or_default();
        let heard = move || match interrupt.hear(number, started.elapsed()) {
            Wish::Stop => {}
            Wish::EndNow => signal_hook::low_level::exit(128 + signal),
        };
        #[expect(
            unsafe_code,
            reason = "a handler that looks at the clock; signal-hook's safe ones only set flags"
        )]
        // SAFETY: the handler reads a clock (on Linux by `clock_gettime`), changes atomic numbers and ends the process
        // by `_exit`; all of that may be done in a handler. It frees, locks and allocates nothing.
        unsafe { signal_hook::low_level::register(signal, heard) }?;
    }
    // A file that outgrows `ulimit -f` is then an error of the write, which is reported, and not
    // the end of the process.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    Ok(())
}

/// Whether whoever started the program has it ignore `signal`.
fn is_ignored(signal: i32) -> bool {
    #[expect(unsafe_code, reason = "std cannot ask how a signal is handled")]
    // SAFETY: of a struct of numbers and function pointers that may be null, zeros are a value; without a new action
    // the call only writes the present one to it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}
