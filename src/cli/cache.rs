//! `newt-pipe cache`: look at the store.

use super::Outcome;
use super::console::Console;
use super::settings::CacheArgs;
use newt_pipe::error::Error;

/// Subcommands of `newt-pipe cache`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Print the cache folder.
    Path(CacheArgs),
}

pub(super) fn exec(command: &Command, console: &Console) -> Result<Outcome, Error> {
    match command {
        Command::Path(args) => console.result(&format!("{}\n", args.dir(None).display()))?,
    }
    Ok(Outcome::Done)
}
