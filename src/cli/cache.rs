//! `newt-pipe cache`: look at the store.

use std::path::PathBuf;

use super::Outcome;
use super::console::Console;
use super::settings::{self, CacheArgs};
use crate::error::Error;
use crate::pipeline::config::{Pipeline, PipelineFile};

/// Subcommands of `newt-pipe cache`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Print the cache folder.
    Path(PathArgs),
}

/// Arguments of `newt-pipe cache path`.
#[derive(Debug, clap::Args)]
pub struct PathArgs {
    /// The pipeline file whose `cache.dir` counts; without it, none does.
    #[arg(value_name = "FILE", value_parser = settings::place())]
    file: Option<PathBuf>,

    #[command(flatten)]
    cache: CacheArgs,
}

pub fn exec(command: &Command, console: &Console) -> Result<Outcome, Error> {
    let Command::Path(args) = command;
    let pipeline = args
        .file
        .as_deref()
        .map(|file| Pipeline::load(PipelineFile::At(file), &[], &console.interrupt))
        .transpose()?;
    let of_pipeline = pipeline.and_then(|pipeline| pipeline.cache_dir);
    let dir = args.cache.dir(of_pipeline.as_deref())?;
    console.result_path(&dir)?;
    Ok(Outcome::Done)
}
