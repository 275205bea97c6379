//! `newt-pipe features`: vectors out.

use std::path::PathBuf;

use super::Outcome;
use super::console::Console;
use super::settings::{self, PipelineArgs};
use crate::cache::Access;
use crate::error::{Error, Message};
use crate::files::{self, Kept};
use crate::pipeline::Options;
use crate::pipeline::config::Pipeline;
use crate::progress::Progress;
use crate::stage::features::l2::Scaling;
use crate::text::{count, path};

/// Subcommands of `newt-pipe features`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Write the features of every image of the data set to a safetensors file.
    ///
    /// The file holds a float32 tensor `features` [n, d] and, under the metadata key `ids`, a JSON
    /// array of the n image ids; `newt_pipe_backbone` says what extracted them, and `l2` whether rows
    /// are scaled to unit L2 norm. A pipeline reads it as `org = "precomputed"`. Images that the cache
    /// has no features of go through the network first.
    Export(ExportArgs),
}

/// Arguments of `newt-pipe features export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,

    /// The file to write.
    #[arg(
        long,
        short,
        value_name = "PATH",
        default_value = "features.safetensors",
        value_parser = settings::place()
    )]
    output: PathBuf,

    /// Write rows as the network gives them [default: as the probes of the pipeline take them].
    #[arg(long, conflicts_with = "l2")]
    raw: bool,

    /// Write rows scaled to unit L2 norm.
    #[arg(long)]
    l2: bool,
}

impl ExportArgs {
    fn scaling(&self, pipeline: &Pipeline) -> Scaling {
        if self.raw || self.l2 {
            Scaling::set(self.l2)
        } else {
            pipeline.scaling_for_all()
        }
    }
}

pub fn exec(command: Command, console: &Console) -> Result<Outcome, Error> {
    let Command::Export(args) = command;
    let pipeline = args.pipeline.load(&console.interrupt)?;
    let [model] = pipeline.models.as_slice() else {
        let n = pipeline.models.len();
        let error = Message::request(format!("the pipeline names {n} models, expected one"));
        return Err(error
            .hint("name one model in a pipeline file of its own")
            .into());
    };
    Kept::check_file(&args.output, &args.pipeline.kept(&pipeline, &args.output)?)?;
    files::check_replaceable(&args.output)?;
    let (context, options) = (console.context(), Options::default());
    let mut runner = args
        .pipeline
        .runner(&pipeline, Access::Make, context, options)?;
    let scaling = args.scaling(&pipeline);
    let file = runner.features(model, scaling, &args.output.display().to_string())?;
    files::replace_file(&args.output, &file.to_bytes()?)?;
    let rows = file.features();
    let scaled = match file.l2 {
        Some(true) => ", scaled to unit L2 norm",
        Some(false) => ", as the network gives them",
        None => "",
    };
    console.note(&format!(
        "{}: {} of {}{scaled}",
        path(&args.output),
        count(rows.nrows(), "row", "rows"),
        count(rows.ncols(), "feature", "features")
    ));
    Ok(Outcome::Done)
}
