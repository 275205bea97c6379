//! `newt-pipe run`: evaluate the models of a pipeline file.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::console::Console;
use super::settings::{self, PipelineArgs};
use super::{Outcome, plan};
use crate::cache::Access;
use crate::error::Error;
use crate::files::Kept;
use crate::interrupt::Left;
use crate::pipeline::results::{self, Results};
use crate::pipeline::summary;
use crate::pipeline::verdict::Verdicts;
use crate::pipeline::{Evaluation, Options};
use crate::progress::Progress;
use crate::render::{SweepRow, terminal};
use crate::stage::{Name, TaskArgument};
use crate::text::path;

/// Arguments of `newt-pipe run`.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,

    /// Evaluate only the tasks whose names match one of the patterns, with the numbers of the whole run; may be
    /// repeated, and `a*,b*` are two patterns.
    #[arg(long, value_name = "GLOB")]
    tasks: Vec<TaskArgument>,

    #[arg(long, value_name = "STAGE", help = force_help())]
    force: Vec<Name>,

    /// Say what would run, and run nothing; a synthetic data set is drawn where it is missing.
    #[arg(long)]
    dry_run: bool,

    /// Print nothing, run nothing; exit code 4 says that something would run.
    #[arg(long, conflicts_with = "dry_run")]
    pub check: bool,

    /// Print one JSON document in place of the table.
    #[arg(long)]
    json: bool,

    /// Where the tables go [default: results/<name of the pipeline>].
    #[arg(long, value_name = "DIR", value_parser = settings::place())]
    out: Option<PathBuf>,

    /// Write the fitted probes, too, as `probes.safetensors` (per experiment of a sweep).
    #[arg(long)]
    save_probes: bool,

    /// Threads to compute with; at most a few more than there are cores [default: `$RAYON_NUM_THREADS`, then
    /// one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
}

fn force_help() -> String {
    let names: Vec<&str> = Name::ALL.iter().map(|name| name.as_str()).collect();
    let stages = names.join(", ");
    format!("Compute a stage even where the cache has it; may be repeated [stages: {stages}]")
}

impl Args {
    /// What the run leaves for the next time where it is stopped.
    pub fn left(&self) -> Left {
        if self.check || self.dry_run {
            Left::Nothing
        } else if self.force.is_empty() {
            Left::Stages
        } else {
            Left::ForcedStages
        }
    }
}

pub fn exec(args: Args, console: &Console) -> Result<Outcome, Error> {
    let pipeline = args.pipeline.load(&console.interrupt)?;
    let out = args
        .out
        .unwrap_or_else(|| Path::new("results").join(&pipeline.name));
    let options = Options {
        force: args.force.into_iter().collect(),
        tasks: args.tasks,
        with_fitted: args.save_probes,
        ..Options::default()
    };
    if args.dry_run || args.check {
        let format = plan::Format::new(args.json, args.check);
        return plan::show(&args.pipeline, &pipeline, options, format, console);
    }

    Kept::check_folder(&out, &args.pipeline.kept(&pipeline, &out)?)?;
    let experiments = pipeline.experiments();
    let mut results = Results::prepare(&out, experiments.len())?;
    let context = console.context();
    let mut runner = args
        .pipeline
        .runner(&pipeline, Access::Make, context, options)?;
    runner.find_models()?;
    let mut shown = Shown::default();
    let mut verdicts = Verdicts::default();
    for (index, experiment) in experiments.iter().enumerate() {
        if experiments.len() > 1 {
            console.note(&format!(
                "[{}/{}] {}",
                index + 1,
                experiments.len(),
                summary::title(experiment)
            ));
        }
        let evaluation = runner.evaluate(experiment)?;
        for stage in &evaluation.stages {
            console.note(&terminal::stage_line(&summary::stage_line(stage, false)));
        }
        let fitted = args
            .save_probes
            .then(|| runner.fitted(&evaluation))
            .transpose()?;
        results.push(&pipeline, &evaluation, fitted.as_deref())?;
        shown.add(&evaluation);
        verdicts.add(&evaluation, runner.provenance());
    }
    let repeats = results.repeats();
    for warning in results.publish(runner.provenance(), &verdicts)? {
        console.warn(&warning);
    }
    runner.keep(&verdicts);
    if args.json {
        verdicts.put(&mut shown.documents);
        console.json(&json!({
            "experiments": shown.documents,
            "repeats": repeats.iter().map(results::repeats_json).collect::<Vec<_>>(),
            "out": out.display().to_string(),
        }))?;
    } else {
        let repeats: Vec<_> = repeats.iter().map(summary::repeats).collect();
        let text = [shown.text(), terminal::repeats(&repeats), verdicts.text()].concat();
        console.result(&text)?;
    }
    console.note(&format!("\ntables and provenance are in {}", path(&out)));
    Ok(Outcome::Done)
}

/// What is printed once all experiments are done.
#[derive(Default)]
struct Shown {
    documents: Vec<Value>,
    rows: Vec<SweepRow>,
    /// The full table of the first experiment, printed where it stays the only one.
    table: String,
}

impl Shown {
    fn add(&mut self, evaluation: &Evaluation) {
        if self.rows.is_empty() {
            self.table = terminal::card(&summary::card(evaluation));
        }
        self.documents.push(results::evaluation_json(evaluation));
        self.rows.push(summary::sweep_row(evaluation));
    }

    fn text(&self) -> String {
        if self.rows.len() == 1 {
            self.table.clone()
        } else {
            terminal::sweep(&self.rows)
        }
    }
}
