//! `newt-pipe features`: vectors out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Outcome;
use super::console::Console;
use super::settings::{self, PipelineArgs};
use newt_pipe::artifact::FeatureFile;
use newt_pipe::error::Error;
use newt_pipe::interrupt::Interrupt;
use newt_pipe::pipeline::{Options, Runner};
use newt_pipe::render::thousands;
use newt_pipe::stage::Context;

/// Subcommands of `newt-pipe features`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Write the features of every image of the data set to a safetensors file.
    ///
    /// The file holds a float32 tensor `features` [n, d] and, under the metadata key `ids`, a JSON
    /// array of the n image ids. A pipeline reads it as `org = "precomputed"`. Images that the
    /// cache has no features of go through the network first.
    Export(ExportArgs),
}

/// Arguments of `newt-pipe features export`.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,

    /// The file to write.
    #[arg(
        long,
        short,
        value_name = "PATH",
        default_value = "features.safetensors"
    )]
    output: PathBuf,
}

pub(super) fn exec(
    command: Command,
    console: &Console,
    interrupt: &Interrupt,
) -> Result<Outcome, Error> {
    let Command::Export(args) = command;
    let pipeline = args.pipeline.load()?;
    let [model] = pipeline.models.as_slice() else {
        return Err(Error::SeveralModels {
            n: pipeline.models.len(),
        });
    };
    let cache = args.pipeline.open_cache(&pipeline)?;
    let options = Options {
        provenance: settings::provenance(&pipeline),
        ..Options::default()
    };
    let runner = Runner::new(
        &pipeline,
        &cache,
        Context {
            progress: console,
            interrupt,
        },
        options,
    )?;
    let (ids, rows) = runner.features(model)?;
    let file = FeatureFile::new(
        &args.output.display().to_string(),
        ids,
        Arc::unwrap_or_clone(rows),
    )?;
    replace_file(&args.output, &file.to_bytes()?)?;
    let rows = file.features();
    console.note(&format!(
        "{}: {} rows of {} features",
        args.output.display(),
        thousands(rows.nrows() as u64),
        thousands(rows.ncols() as u64)
    ));
    Ok(Outcome::Done)
}

/// Writes beside `path` and renames, so that a reader never finds half a file.
pub(super) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.draft-{}", std::process::id()));
    let written = fs_err::write(&draft, bytes).and_then(|()| fs_err::rename(&draft, path));
    if written.is_err() {
        // What the error is about is already known; a left-over draft would only hide it.
        let _ = fs_err::remove_file(&draft);
    }
    written.map_err(Error::Io)
}
