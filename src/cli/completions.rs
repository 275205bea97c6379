//! `newt-pipe completions`: a completion script for a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use super::console::Console;
use super::{Cli, Outcome};
use crate::error::Error;

/// Arguments of `newt-pipe completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

pub fn exec(args: &Args, console: &Console) -> Result<Outcome, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "newt-pipe", &mut script);
    console.result(&String::from_utf8_lossy(&script))?;
    Ok(Outcome::Done)
}
