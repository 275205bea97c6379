//! `newt-pipe config`: a pipeline file to start from.

use super::Outcome;
use super::console::Console;
use crate::error::Error;
use crate::pipeline::config;

pub(super) fn exec(console: &Console) -> Result<Outcome, Error> {
    console.result(&config::template())?;
    Ok(Outcome::Done)
}
