//! `newt-pipe data`: get the data set, check a copy of it, or draw a small one.

mod fetch;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::json;

use super::Outcome;
use super::console::Console;
use super::settings;
use crate::error::Error;
use crate::files::Kept;
use crate::newt::check::{self, Depth, Report};
use crate::newt::images::DataRoot;
use crate::newt::labels::Csv;
use crate::newt::synth;
use crate::text::{count, foreign, path, thousands};

/// Subcommands of `newt-pipe data`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Get NeWT (4 GB): downloaded, checked and unpacked; a second time goes on where the first one ended.
    Fetch(fetch::Args),
    /// Look at every row and every image of a data set; exit code 3 says that something is wrong.
    Check(CheckArgs),
    /// Draw a small data set in NeWT's layout: the same options draw the same bytes everywhere.
    Synth(SynthArgs),
}

/// Arguments of `newt-pipe data check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The folder with `newt2021_labels.csv` and `newt2021_images`.
    #[arg(value_name = "DIR", value_parser = settings::place())]
    dir: PathBuf,

    /// Look at the images' headers only, and decode none.
    #[arg(long)]
    quick: bool,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Arguments of `newt-pipe data synth`.
#[derive(Debug, clap::Args)]
pub struct SynthArgs {
    /// The folder to make.
    #[arg(value_name = "DIR", value_parser = settings::place())]
    dir: PathBuf,

    /// Another seed draws other pictures.
    #[arg(long, value_name = "N", default_value_t = synth::Options::default().seed)]
    seed: u64,

    /// A multiple of 4, at least 8; half of them train.
    #[arg(long, value_name = "N", default_value_t = synth::Options::default().images_per_task)]
    images_per_task: usize,

    /// A task to draw, by its name; may be repeated [default: all].
    #[arg(long = "task", value_name = "NAME")]
    tasks: Vec<String>,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub fn exec(command: Command, console: &Console) -> Result<Outcome, Error> {
    match command {
        Command::Fetch(args) => fetch::exec(args, console),
        Command::Check(args) => check(&args, console),
        Command::Synth(args) => synth(args, console),
    }
}

fn check(args: &CheckArgs, console: &Console) -> Result<Outcome, Error> {
    let root = DataRoot::new(&args.dir);
    root.require_labels()?;
    root.require_images()?;
    let labels = read_labels(&root)?;
    let depth = if args.quick {
        Depth::Headers
    } else {
        Depth::Full
    };
    let report = check::check(&root, &labels, depth, console.context())?;
    if args.json {
        console.json(&json!(report))?;
    } else {
        console.result(&show(&report))?;
    }
    Ok(if report.is_sound() {
        Outcome::Done
    } else {
        Outcome::BadData
    })
}

/// The labels file, cell by cell.
fn read_labels(root: &DataRoot) -> Result<Csv, Error> {
    let csv = root.read_labels()?;
    let file = root.labels_path().display().to_string();
    Ok(Csv::parse(&file, &csv)?)
}

fn show(report: &Report) -> String {
    let mut lines = Vec::new();
    if let Some(counts) = &report.counts {
        lines.push(format!(
            "{}: {} ({} MB), {}, {}, {}",
            path(&report.root),
            count(counts.n_rows, "image", "images"),
            thousands(counts.image_bytes / 1_000_000),
            count(counts.n_tasks, "task", "tasks"),
            count(counts.n_train_rows, "train row", "train rows"),
            count(counts.n_test_rows, "test row", "test rows")
        ));
        for cluster in &counts.clusters {
            lines.push(format!(
                "  {}: {}, {}, {}",
                foreign(&cluster.name),
                count(cluster.n_tasks, "task", "tasks"),
                count(cluster.n_train_rows, "train row", "train rows"),
                count(cluster.n_test_rows, "test row", "test rows")
            ));
        }
    }
    lines.extend(report.newt.iter().map(ToString::to_string));
    lines.extend(report.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(
        report
            .problems
            .iter()
            .map(|problem| format!("{}: {}", problem.place, problem.message)),
    );
    lines.push(match report.problems.len() {
        0 => "no problem found".to_owned(),
        n => format!("{} found", count(n, "problem", "problems")),
    });
    lines.join("\n") + "\n"
}

fn synth(args: SynthArgs, console: &Console) -> Result<Outcome, Error> {
    let options = synth::Options {
        seed: args.seed,
        images_per_task: args.images_per_task,
        tasks: if args.tasks.is_empty() {
            synth::Options::default().tasks
        } else {
            args.tasks
        },
    };
    Kept::check_folder(&args.dir, &settings::caches(&args.dir))?;
    let outcome = synth::ensure(&args.dir, &options, console.context())?;
    let n_tasks = options.tasks.iter().collect::<BTreeSet<_>>().len();
    let n_images = options.images_per_task * n_tasks;
    let was_there = outcome == synth::Outcome::AlreadyThere;
    if args.json {
        let dir = args.dir.display().to_string();
        console.json(&json!({ "dir": dir, "n_images": n_images, "made": !was_there }))?;
    } else {
        let images = count(n_images, "image", "images");
        let tasks = count(n_tasks, "task", "tasks");
        let state = if was_there {
            "was there already"
        } else {
            "drawn"
        };
        console.result(&format!(
            "{}: {images}, {tasks}, {state}\n",
            path(&args.dir)
        ))?;
    }
    Ok(Outcome::Done)
}
