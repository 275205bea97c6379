//! `newt-pipe models ls`: the checkpoints with a published score, and what has been reproduced here.

use serde_json::{Value, json};

use super::lookup;
use crate::backbone::{self, Lookup};
use crate::cache::{self, Access, Cache};
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::settings::{CacheArgs, HubArgs};
use crate::error::Error;
use crate::hub::Hub;
use crate::pipeline::verdict::{self, Reproduction};
use crate::progress::{Progress, Silent};
use crate::published::{self, About, ModelName, Score};
use crate::text::{foreign, thousands};

/// Arguments of `newt-pipe models ls`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// List the architectures of timm that can be loaded, instead.
    #[arg(long)]
    architectures: bool,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    cache: CacheArgs,

    #[command(flatten)]
    hub: HubArgs,
}

pub fn exec(args: &Args, console: &Console) -> Result<Outcome, Error> {
    if args.architectures {
        list_architectures(args.json, console)
    } else {
        list_published(args, console)
    }
}

fn list_architectures(as_json: bool, console: &Console) -> Result<Outcome, Error> {
    let names: Vec<&str> = backbone::architectures().collect();
    if as_json {
        console.json(&json!({ "architectures": names }))?;
    } else {
        console.result(&(names.join("\n") + "\n"))?;
    }
    Ok(Outcome::Done)
}

fn list_published(args: &Args, console: &Console) -> Result<Outcome, Error> {
    let hub = Hub::new(args.hub.offline_settings(), console.interrupt.clone());
    let reproductions = reproductions(args, console);
    let models: Vec<Listed> = published::models()
        .map(|name| Listed::new(name, &reproductions, lookup(&hub, &Silent)))
        .collect();
    let unnamed = || {
        published::scores()
            .iter()
            .filter(|score| score.model.is_none())
    };
    if args.json {
        let models: Vec<Value> = models.iter().map(Listed::json).collect();
        let unnamed: Vec<Value> = unnamed().map(score_json).collect();
        console.json(&json!({ "models": models, "variant_not_named": unnamed }))?;
        return Ok(Outcome::Done);
    }
    let width = models.iter().map(|model| model.name.ckpt.len()).max();
    let width = width.unwrap_or(0);
    let here: Vec<String> = models.iter().map(Listed::here).collect();
    let here_width = here.iter().map(|here| here.chars().count()).max();
    let here_width = here_width.unwrap_or(0).max("here".len());
    let mut text = format!(
        "{:<10} {:<width$}  {:>4}  {:>13}  {:>8}  {:<here_width$}  status\n",
        "org", "ckpt", "px", "parameters", "accuracy", "here"
    );
    for (model, here) in models.iter().zip(here) {
        let (ModelName { org, ckpt }, status) = (model.name, model.status);
        let about = |value: &dyn Fn(About) -> String| model.about().map_or("-".to_owned(), value);
        let pixels = about(&|about| about.resolution.to_string());
        let parameters = about(&|about| thousands(about.n_parameters));
        let accuracy = model.scores().next().map_or(f64::NAN, Score::accuracy);
        text.push_str(&format!(
            "{org:<10} {ckpt:<width$}  {pixels:>4}  {parameters:>13}  {accuracy:>8.4}  {here:<here_width$}  {status}\n",
        ));
    }
    console.result(&text)?;
    for model in &models {
        if let Some(problem) = &model.problem {
            console.note(&format!(
                "{}/{}: {problem}",
                model.name.org, model.name.ckpt
            ));
        }
    }
    Ok(Outcome::Done)
}

/// A model with a published score.
struct Listed<'a> {
    name: ModelName,
    /// Where its checkpoint is.
    status: &'static str,
    /// What is wrong with a checkpoint that is here.
    problem: Option<String>,
    reproductions: Vec<&'a Reproduction>,
}

impl<'a> Listed<'a> {
    fn new(name: ModelName, reproductions: &'a [Reproduction], lookup: Lookup<'_>) -> Self {
        let (status, problem) = match backbone::availability(name.org, name.ckpt, lookup) {
            Ok(availability) => (availability.as_str(), None),
            Err(error) => ("damaged", Some(error.to_string())),
        };
        let is_of = |one: &&Reproduction| one.org == name.org && one.ckpt == name.ckpt;
        Self {
            name,
            status,
            problem,
            reproductions: reproductions.iter().filter(is_of).collect(),
        }
    }

    /// Its published scores.
    fn scores(&self) -> impl Iterator<Item = &'static Score> {
        published::of(self.name.org, self.name.ckpt)
    }

    /// What is published of it besides.
    fn about(&self) -> Option<About> {
        self.scores().find_map(|score| score.about)
    }

    /// What came of its published scores here: `16,061 reproduced`, or `-`.
    fn here(&self) -> String {
        let here = self.reproductions.iter();
        let here: Vec<String> = here
            .map(|one| format!("{} {}", foreign(&one.here), foreign(&one.verdict)))
            .collect();
        if here.is_empty() {
            "-".to_owned()
        } else {
            here.join(", ")
        }
    }

    fn json(&self) -> Value {
        let about = self.about();
        let scores: Vec<Value> = self.scores().map(score_json).collect();
        json!({
            "org": self.name.org,
            "ckpt": self.name.ckpt,
            "family": about.map(|about| about.family),
            "resolution": about.map(|about| about.resolution),
            "parameters": about.map(|about| about.n_parameters),
            "published_accuracy": self.scores().next().map(Score::accuracy),
            "published": scores,
            "here": self.reproductions,
            "status": self.status,
            "problem": self.problem,
        })
    }
}

/// A published score, for programs.
fn score_json(score: &Score) -> Value {
    let source = score.source;
    json!({
        "name": score.name,
        "source": source.key,
        "title": source.title,
        "date": source.date,
        "url": source.url,
        "protocol": source.protocol,
        "aggregation": source.aggregation,
        "precision": source.precision,
        "value": score.accuracy(),
        "count": score.n_right,
        "interval": score.interval,
        "interval_is": source.interval.filter(|_| score.interval.is_some()),
        "note": score.note,
    })
}

/// What has been reproduced with the cache, which is only looked at; nothing where there is none.
fn reproductions(args: &Args, console: &Console) -> Vec<Reproduction> {
    let found = args.cache.dir(None).and_then(|dir| {
        // Whoever asks for a list is not to be left with a new cache.
        if !cache::is_tagged(&dir) {
            return Ok(Vec::new());
        }
        let cache = Cache::open_telling(dir, Access::Look, console)?;
        Ok(verdict::reproductions(&cache, console))
    });
    found.unwrap_or_else(|error| {
        console.warn(&format!(
            "{error}; what was reproduced with it is not shown"
        ));
        Vec::new()
    })
}
