//! `newt-pipe errors`: the most confident mistakes of a run.

use std::path::PathBuf;
use std::str::FromStr;

use serde_json::json;

use super::Outcome;
use super::console::Console;
use super::settings::{self, CacheArgs};
use crate::error::Error;
use crate::pipeline::config::Data;
use crate::pipeline::mistakes::{Images, Mistakes};
use crate::pipeline::results::reading::{Decided, ResultsFolder};
use crate::pipeline::summary;
use crate::progress::Progress;
use crate::render::terminal;
use crate::stage::{TaskArgument, TaskFilter};
use crate::text::{count, path, thousands};

/// Arguments of `newt-pipe errors`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The results folder, as `--out` of the run named it.
    #[arg(value_name = "RESULTS", value_parser = settings::place())]
    results: PathBuf,

    /// Look only at the tasks whose names match one of the patterns; may be repeated, and `a*,b*` are two patterns.
    #[arg(long = "task", visible_alias = "tasks", value_name = "GLOB")]
    tasks: Vec<TaskArgument>,

    /// How many mistakes to list of each experiment; `all` lists all.
    #[arg(long, value_name = "N", default_value = "20")]
    most: Most,

    /// Print one JSON document in place of the table.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    cache: CacheArgs,
}

/// How many mistakes are listed at most.
#[derive(Debug, Clone, Copy)]
struct Most(usize);

impl FromStr for Most {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            _ if text == "all" => Ok(Self(usize::MAX)),
            Ok(n) if n > 0 => Ok(Self(n)),
            _ => Err("expected a number of at least 1, or `all`"),
        }
    }
}

pub fn exec(args: &Args, console: &Console) -> Result<Outcome, Error> {
    let folder = ResultsFolder::open(&args.results)?;
    let experiments = folder.predictions()?;
    console.interrupt.check()?;
    let all = || experiments.values().flatten();
    let mut tasks: Vec<&str> = all().map(|row| row.task.as_str()).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let filter = TaskFilter::new(&args.tasks, &tasks)?;
    let is_asked = |row: &&Decided| filter.as_ref().is_none_or(|it| it.matches(&row.task));

    let data = folder.data()?;
    let cache_dir = match &data {
        Data::Root(_) => PathBuf::new(),
        Data::Synth(_) => args.cache.dir(folder.cache_dir())?,
    };
    let images = Images::new(
        &data,
        &cache_dir,
        all().map(|row| row.img_id.as_str()).collect(),
    );
    let (mut n_listed, mut n_absent) = (0, 0);
    let (mut documents, mut text) = (Vec::new(), Vec::new());
    for (ran, predictions) in &experiments {
        let predictions: Vec<&Decided> = predictions.iter().filter(is_asked).collect();
        let mistakes = Mistakes::new(&predictions, args.most.0);
        let (mut of_json, mut rows) = (Vec::new(), Vec::new());
        for mistake in &mistakes.listed {
            let (image, is_there) = images.find(&mistake.decided.img_id);
            n_listed += 1;
            n_absent += usize::from(!is_there);
            if args.json {
                of_json.push(mistake.json(&image, is_there));
            } else {
                rows.push(mistake.row(&image));
            }
        }
        if args.json {
            let mut document = ran.json();
            document["n_predictions"] = json!(mistakes.n_predictions);
            document["n_mistakes"] = json!(mistakes.n_wrong);
            document["mistakes"] = json!(of_json);
            documents.push(document);
        } else {
            let title = format!("{}: {}", summary::title_of(ran), said_of(&mistakes));
            text.push(terminal::mistakes(&title, &rows));
        }
    }
    if args.json {
        let results = args.results.display().to_string();
        console.json(&json!({ "results": results, "experiments": documents }))?;
    } else {
        console.result(&text.join("\n"))?;
    }
    if n_absent > 0 {
        let images = count(n_listed, "listed image", "listed images");
        let what = format!("{} of {images} not found", thousands(n_absent as u64));
        let results = path(&args.results);
        console.note(&format!(
            "{results}: {what}; the paths are those of the data set that the run evaluated on"
        ));
    }
    Ok(Outcome::Done)
}

/// How many predictions are wrong.
fn said_of(mistakes: &Mistakes) -> String {
    let predictions = count(mistakes.n_predictions, "prediction", "predictions");
    let (n_wrong, n_listed) = (mistakes.n_wrong, mistakes.listed.len());
    let wrong = match n_wrong {
        0 => return format!("no mistakes in {predictions}"),
        n => format!("{} in {predictions}", count(n, "mistake", "mistakes")),
    };
    match n_listed {
        n if n == n_wrong => wrong,
        1 => format!("{wrong}; the most confident:"),
        n => format!("{wrong}; the {} most confident:", thousands(n as u64)),
    }
}
