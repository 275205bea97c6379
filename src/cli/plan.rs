//! `newt-pipe plan`: which stages are cached, which would run, and why.

use serde_json::json;

use super::console::Console;
use super::settings::PipelineArgs;
use super::{Outcome, session};
use crate::cache::Access;
use crate::context::Context;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::pipeline::config::Pipeline;
use crate::pipeline::plan::State;
use crate::pipeline::{Options, Runner, results, summary};
use crate::progress::{Progress, Silent};
use crate::render::terminal;
use crate::stage::TaskArgument;

/// Arguments of `newt-pipe plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,

    /// Print the pipeline with every key and default spelled out, one file per experiment.
    #[arg(long, conflicts_with_all = ["json", "check"])]
    full: bool,

    /// Plan only the tasks whose names match one of the patterns; may be repeated, and `a*,b*` are two patterns.
    #[arg(long, value_name = "GLOB")]
    tasks: Vec<TaskArgument>,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,

    /// Print nothing; exit code 4 says that something would run.
    #[arg(long)]
    pub check: bool,
}

/// How a plan is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
    /// By the exit code alone.
    ExitCode,
}

impl Format {
    pub fn new(json: bool, check: bool) -> Self {
        match (check, json) {
            (true, _) => Self::ExitCode,
            (false, true) => Self::Json,
            (false, false) => Self::Text,
        }
    }

    /// Where progress and warnings go: nowhere, where nothing is to be printed.
    pub fn progress(self, console: &Console) -> &dyn Progress {
        match self {
            Self::ExitCode => &Silent,
            Self::Text | Self::Json => console,
        }
    }
}

pub fn exec(args: &Args, console: &Console, interrupt: &Interrupt) -> Result<Outcome, Error> {
    let pipeline = args.pipeline.load(interrupt)?;
    if args.full {
        return spell_out(&pipeline, console);
    }
    let format = Format::new(args.json, args.check);
    let context = Context {
        progress: format.progress(console),
        interrupt,
    };
    let options = Options {
        tasks: args.tasks.clone(),
        ..Options::default()
    };
    let mut runner = session::runner(&args.pipeline, &pipeline, Access::Look, context, options)?;
    show(&mut runner, &pipeline, format, console)
}

fn spell_out(pipeline: &Pipeline, console: &Console) -> Result<Outcome, Error> {
    let experiments = pipeline.experiments();
    for (index, experiment) in experiments.iter().enumerate() {
        if experiments.len() > 1 {
            console.result(&format!(
                "# experiment {} of {}\n",
                index + 1,
                experiments.len()
            ))?;
        }
        console.result(&pipeline.spell_out(experiment).to_string())?;
        if index + 1 < experiments.len() {
            console.result("\n")?;
        }
    }
    Ok(Outcome::Done)
}

/// Plans every experiment and shows the plans; the exit code needs those up to the first that would run.
/// `run --dry-run` and `run --check` come here, too.
pub fn show(
    runner: &mut Runner<'_>,
    pipeline: &Pipeline,
    format: Format,
    console: &Console,
) -> Result<Outcome, Error> {
    let mut documents = Vec::new();
    for experiment in pipeline.experiments() {
        let plans = runner.plan(&experiment)?;
        match format {
            Format::Text => {
                let lines: Vec<_> = plans
                    .iter()
                    .map(|plan| summary::stage_line(plan, true))
                    .collect();
                console.result(&terminal::plan(&summary::title(&experiment), &lines))?;
            }
            Format::Json => documents.push(results::plan_json(&experiment, &plans)),
            // One that would run says all that was asked; the others are not even looked up.
            Format::ExitCode if plans.iter().any(|plan| plan.state != State::Cached) => {
                return Ok(Outcome::WorkToDo);
            }
            Format::ExitCode => {}
        }
    }
    if format == Format::Json {
        console.json(&json!({ "experiments": documents }))?;
    }
    Ok(Outcome::Done)
}
