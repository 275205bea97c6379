//! `newt-pipe predict`: fitted probes on features.

use std::path::PathBuf;

use serde_json::json;

use super::Outcome;
use super::console::Console;
use super::settings;
use crate::artifact::{FeatureFile, ProbeFile, Table, rows};
use crate::error::Error;
use crate::files::{self, Kept};
use crate::interrupt::Interrupt;
use crate::pipeline::predict;
use crate::probe::naming_row;
use crate::progress::Progress;
use crate::stage::probes::odd_rows;
use crate::stage::{TaskArgument, TaskFilter};
use crate::text::{self, count, escaped};

/// Arguments of `newt-pipe predict`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Fitted probes, as `run --save-probes` writes them.
    #[arg(long, value_name = "FILE", value_parser = settings::place())]
    probe: PathBuf,

    /// Features of the same backbone, as `features export` writes them; rows are scaled to L2 norm 1
    /// where those were that the probes were fitted on.
    #[arg(long, value_name = "FILE", value_parser = settings::place())]
    features: PathBuf,

    /// Take features of another backbone, too.
    #[arg(long)]
    any_backbone: bool,

    /// Predict only with the probes of tasks whose names match one of the patterns; may be repeated,
    /// and `a*,b*` are two patterns.
    #[arg(long, value_name = "GLOB")]
    tasks: Vec<TaskArgument>,

    /// Write a parquet file (`img_id`, `task`, `y_pred`, `decision`) in place of a table.
    #[arg(long, short, value_name = "PATH", value_parser = settings::place())]
    pub output: Option<PathBuf>,

    /// Print one JSON document in place of the table.
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

/// What the probe of a task says of each image.
struct Decided {
    task: String,
    decision: Vec<f64>,
    y_pred: Vec<u8>,
}

pub fn exec(args: &Args, console: &Console) -> Result<Outcome, Error> {
    let interrupt = &console.interrupt;
    if let Some(path) = &args.output {
        let mut kept = settings::caches(path);
        kept.push(Kept::open("the file of the probes", &args.probe));
        kept.push(Kept::open("the file of the features", &args.features));
        Kept::check_file(path, &kept)?;
        files::check_replaceable(path)?;
    }
    let file = ProbeFile::open(&args.probe, interrupt)?;
    let features = FeatureFile::open(&args.features, interrupt)?;
    let tasks: Vec<&str> = file.probes.iter().map(|(task, _)| task.as_str()).collect();
    let filter = TaskFilter::new(&args.tasks, &tasks)?;
    let name = args.probe.display().to_string();
    let rows = predict::rows(&file, &name, &features, args.any_backbone, console)?;
    let ids = features.ids();
    let mut decided = Vec::new();
    for (task, probe) in file.probes {
        if filter.as_ref().is_some_and(|filter| !filter.matches(&task)) {
            continue;
        }
        let (decision, odd) = probe
            .decision(rows.view(), interrupt)
            .map_err(|error| naming_row(error, |_, row| odd_rows::name(&task, &ids[row])))?;
        let image = |&(row, oddity): &(usize, _)| (oddity, ids[row].as_str());
        let odd: Vec<_> = odd.iter().map(image).collect();
        for warning in odd_rows::warnings(&task, probe.mean.is_some(), &odd) {
            console.warn(&warning);
        }
        let y_pred = decision.iter().map(|&value| probe.label(value)).collect();
        decided.push(Decided {
            task,
            decision,
            y_pred,
        });
    }
    if let Some(path) = &args.output {
        let bytes = table(ids, &decided, interrupt)?.to_parquet_unless(interrupt);
        interrupt.check()?;
        files::replace_file(path, &bytes?)?;
        let n_rows = count(ids.len() * decided.len(), "prediction", "predictions");
        console.note(&format!("{}: {n_rows}", text::path(path)));
    } else if args.json {
        let of_task =
            |of: &Decided| json!({ "task": of.task, "y_pred": of.y_pred, "decision": of.decision });
        let tasks: Vec<_> = decided.iter().map(of_task).collect();
        console.json(&json!({ "img_id": ids, "tasks": tasks }))?;
    } else {
        console.result("img_id\ttask\ty_pred\tdecision\n")?;
        for of in &decided {
            interrupt.check()?;
            let task = escaped(&of.task);
            let mut lines = String::new();
            for (id, (value, y_pred)) in ids.iter().zip(of.decision.iter().zip(&of.y_pred)) {
                let id = escaped(id);
                lines.push_str(&format!("{id}\t{task}\t{y_pred}\t{value}\n"));
            }
            console.result(&lines)?;
        }
    }
    Ok(Outcome::Done)
}

rows! {
    /// A row of the parquet file.
    pub struct Row {
        /// The image.
        pub img_id: String,
        /// The task whose probe is asked.
        pub task: String,
        /// 0 or 1.
        pub y_pred: i64,
        /// Positive means label 1.
        pub decision: f64,
    }
}

/// The predictions of all probes, probe after probe.
///
/// # Errors
/// [`Stopped`](crate::interrupt::Stopped), between two probes: there may be some ten million rows.
fn table(ids: &[String], decided: &[Decided], interrupt: &Interrupt) -> Result<Table, Error> {
    // Without a probe the table has its columns all the same.
    let mut tables = vec![Table::of::<Row>(&[])];
    for of in decided {
        interrupt.check()?;
        let rows: Vec<Row> = ids
            .iter()
            .zip(of.decision.iter().zip(&of.y_pred))
            .map(|(id, (&decision, &y_pred))| Row {
                img_id: id.clone(),
                task: of.task.clone(),
                y_pred: i64::from(y_pred),
                decision,
            })
            .collect();
        tables.push(Table::of(&rows));
    }
    Table::concat(tables)
}
