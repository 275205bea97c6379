//! The threads of everything that computes.

use std::io;
use std::num::NonZero;
use std::sync::mpsc::{self, Sender};
use std::thread;

use super::console::Console;
use super::settings::environment;
use crate::error::Error;
use crate::progress::Progress;
use crate::text::count;

/// Threads beyond the cores: more of them only wait for each other.
const SPARE_THREADS: usize = 4;

/// Starts the threads of everything that computes: as many as `--threads` says, or rayon's variable, or one per core;
/// never many more than cores.
pub fn start(flag: Option<u16>, console: &Console) -> Result<(), Error> {
    const VARIABLE: &str = "RAYON_NUM_THREADS";
    let n_cores = thread::available_parallelism().map_or(1, NonZero::get);
    let most = n_cores + SPARE_THREADS;
    // As rayon reads it: what is no number, or zero, says nothing.
    let of_variable = || environment(VARIABLE)?.to_str()?.parse().ok();
    let asked = match flag {
        Some(n) => Some((format!("--threads {n}"), n.into())),
        None => of_variable()
            .filter(|n| *n > 0)
            .map(|n: usize| (format!("{VARIABLE}={n}"), n)),
    };
    if let Some((asked, _)) = asked.as_ref().filter(|(_, n)| *n > most) {
        console.warn(&format!(
            "{asked}: this machine has {}, so {most} threads are started",
            count(n_cores, "core", "cores")
        ));
    }
    let n = asked.map_or(n_cores, |(_, n)| n.min(most));
    let workers = waiting_workers(n);
    if workers.len() < n {
        console.warn(&format!(
            "{} asked for, the system allows {}: the work is done with {}; `ulimit -u` and the job's limits say how many \
             there may be",
            count(n, "thread", "threads"),
            workers.len(),
            match workers.len() {
                0 => "the program's first thread alone".to_owned(),
                n => count(n, "thread", "threads"),
            }
        ));
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(workers.len().max(1));
    let built = if workers.is_empty() {
        pool.use_current_thread().build_global()
    } else {
        let mut workers = workers.into_iter();
        let hand_over = |work| {
            let worker = workers.next();
            let handed = worker.and_then(|worker| worker.send(work).ok());
            handed.ok_or_else(|| io::Error::other("a thread ended before it had work"))
        };
        pool.spawn_handler(hand_over).build_global()
    };
    built.map_err(|error| io::Error::other(error).into())
}

/// Starts `n` threads, or as many as the system allows, each of which waits for its part of rayon's pool: rayon gives up
/// for good where one of its own cannot be started.
fn waiting_workers(n: usize) -> Vec<Sender<rayon::ThreadBuilder>> {
    let start = |_| {
        let (sender, work) = mpsc::channel::<rayon::ThreadBuilder>();
        let wait = move || work.recv().into_iter().for_each(rayon::ThreadBuilder::run);
        thread::Builder::new().spawn(wait).ok()?;
        Some(sender)
    };
    (0..n).map_while(start).collect()
}
