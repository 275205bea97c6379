//! `newt-pipe config`: a pipeline file to start from.

use super::Outcome;
use super::console::Console;
use newt_pipe::error::Error;
use newt_pipe::pipeline::config;

pub(super) fn exec(console: &Console) -> Result<Outcome, Error> {
    console.result(&config::template())?;
    Ok(Outcome::Done)
}
