//! `newt-pipe plan`: which stages are cached, which would run, and why.

use serde_json::json;

use super::Outcome;
use super::console::Console;
use super::settings::PipelineArgs;
use crate::cache::Access;
use crate::error::Error;
use crate::pipeline::config::Pipeline;
use crate::pipeline::plan::State;
use crate::pipeline::{Options, results, summary};
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
}

pub fn exec(args: Args, console: &Console) -> Result<Outcome, Error> {
    let pipeline = args.pipeline.load(&console.interrupt)?;
    if args.full {
        return spell_out(&pipeline, console);
    }
    let format = Format::new(args.json, args.check);
    let options = Options {
        tasks: args.tasks,
        ..Options::default()
    };
    show(&args.pipeline, &pipeline, options, format, console)
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
    args: &PipelineArgs,
    pipeline: &Pipeline,
    options: Options,
    format: Format,
    console: &Console,
) -> Result<Outcome, Error> {
    let context = match format {
        Format::ExitCode => console.context().silent(),
        Format::Text | Format::Json => console.context(),
    };
    let mut runner = args.runner(pipeline, Access::Look, context, options)?;
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
