//! `newt-pipe models`: known checkpoints and their weights.

mod ls;

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use super::Outcome;
use super::console::Console;
use super::settings::HubArgs;
use crate::backbone::{self, BackboneSpec, Device, Lookup, Pool, Precision};
use crate::error::{Error, Message};
use crate::hub::{self, Hub};
use crate::progress::Progress;
use crate::text::{count, either, foreign, path, thousands};

/// Subcommands of `newt-pipe models`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the checkpoints with a published NeWT score, whether they are on this machine, and what has been reproduced.
    Ls(ls::Args),
    /// Download a checkpoint, or a newer revision of it, into the cache of the Hugging Face hub.
    Fetch(FetchArgs),
    /// Load a checkpoint, send two images through it, and say what it is.
    Check(CheckArgs),
}

/// The arguments that name a checkpoint.
#[derive(Debug, clap::Args)]
struct ModelArgs {
    /// The library, as `model.org` of a pipeline file.
    #[arg(value_name = "ORG")]
    org: String,

    /// The checkpoint, as `model.ckpt`: a plain name or `hf-hub:OWNER/NAME`, with `@REVISION` behind it for another
    /// than the newest, or `local-dir:PATH`.
    #[arg(value_name = "CKPT")]
    ckpt: String,
}

/// Arguments of `newt-pipe models fetch`.
#[derive(Debug, clap::Args)]
pub struct FetchArgs {
    #[command(flatten)]
    model: ModelArgs,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    hub: HubArgs,
}

/// Arguments of `newt-pipe models check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    #[command(flatten)]
    model: ModelArgs,

    /// Where to run it: `auto`, `cpu`, `cuda` or `cuda:1`.
    #[arg(long, default_value = "auto")]
    device: Device,

    /// The number format of its products: `auto`, `f32`, `f16` or `bf16`.
    #[arg(long, default_value = "auto")]
    precision: Precision,

    /// How its features are pooled, as `model.pool`: `auto`, `cls`, `mean`, `max` or `head`.
    #[arg(long, default_value = "auto", value_parser = pool)]
    pool: Pool,

    /// Let a module of org `torchscript` run its author's code.
    #[arg(long)]
    allow_code: bool,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    hub: HubArgs,
}

fn pool(text: &str) -> Result<Pool, String> {
    let choices = || either(Pool::all().map(|pool| pool.to_string()));
    text.parse().map_err(|_| format!("expected {}", choices()))
}

pub fn exec(command: &Command, console: &Console) -> Result<Outcome, Error> {
    match command {
        Command::Ls(args) => ls::exec(args, console),
        Command::Fetch(args) => fetch(args, console),
        Command::Check(args) => check(args, console),
    }
}

/// The working folder and a hub; nothing is updated, and no module runs its author's code.
fn lookup<'a>(hub: &'a Hub, progress: &'a dyn Progress) -> Lookup<'a> {
    Lookup {
        base_dir: Path::new(""),
        hub,
        progress,
        allow_code: false,
        update: false,
    }
}

fn fetch(args: &FetchArgs, console: &Console) -> Result<Outcome, Error> {
    let hub = Hub::new(args.hub.settings(), console.interrupt.clone());
    let lookup = Lookup {
        // Fetching runs nothing.
        allow_code: true,
        update: true,
        ..lookup(&hub, console)
    };
    let spec = backbone::resolve(&args.model.org, &args.model.ckpt, Pool::Auto, lookup)?;
    if args.json {
        let mut document =
            json!({ "org": args.model.org, "ckpt": args.model.ckpt, "files": paths(&spec) });
        put_source(&mut document, &spec);
        console.json(&document)?;
        return Ok(Outcome::Done);
    }
    for file in spec.weights_paths() {
        console.result_path(file)?;
    }
    match spec.origin() {
        Some(source) => console.note(&format!(
            "{} at {}",
            foreign(&source.repo),
            foreign(&source.revision)
        )),
        None => console.note("nothing to fetch: this checkpoint is not on the hub"),
    }
    Ok(Outcome::Done)
}

/// The files that hold the weights, for programs.
fn paths(spec: &BackboneSpec) -> Vec<String> {
    spec.weights_paths()
        .iter()
        .map(|path| path.display().to_string())
        .collect()
}

/// Says where on the hub a checkpoint comes from.
fn put_source(document: &mut Value, spec: &BackboneSpec) {
    if let Some(source) = spec.origin() {
        document["repo"] = json!(source.repo);
        document["revision"] = json!(source.revision);
    }
}

/// Images that a check sends through the network.
const N_IMAGES: usize = 2;

fn check(args: &CheckArgs, console: &Console) -> Result<Outcome, Error> {
    let hub = Hub::new(args.hub.settings(), console.interrupt.clone());
    let lookup = Lookup {
        allow_code: args.allow_code,
        ..lookup(&hub, console)
    };
    let spec = backbone::resolve(&args.model.org, &args.model.ckpt, args.pool, lookup)?;
    let device = args.device.resolve()?;
    let precision = args.precision.resolve(device);
    let mut is_verified = !spec.weights_paths().is_empty();
    for path in spec.weights_paths() {
        is_verified &= hub::verify(path, console.context())?;
    }
    let started = Instant::now();
    let loaded = spec.load(device, precision, &console.interrupt)?;
    let load_seconds = started.elapsed().as_secs_f64();
    for note in loaded.notes() {
        console.warn(note);
    }

    let n_values = N_IMAGES * spec.preprocessing().n_values();
    let started = Instant::now();
    let rows = loaded.extract(&waves(n_values), N_IMAGES)?;
    let forward_seconds = started.elapsed().as_secs_f64();
    console.interrupt.check()?;
    let (first, second) = rows.split_at(loaded.dim());
    let problem = if rows.iter().any(|value| !value.is_finite()) {
        Some("its features are not finite")
    } else if first == second {
        Some("different images get the same features")
    } else {
        None
    };
    if args.json {
        let mut document = json!({
            "org": args.model.org,
            "ckpt": args.model.ckpt,
            "architecture": spec.architecture(),
            "dim": loaded.dim(),
            "pool": spec.pool,
            "pools": spec.poolings.pools().collect::<Vec<_>>(),
            "parameters": loaded.n_parameters(),
            "preprocessing": spec.preprocessing(),
            "files": paths(&spec),
            "verified": is_verified,
            "device": device.to_string(),
            "precision": precision.to_string(),
            "load_seconds": load_seconds,
            "forward_seconds": forward_seconds,
            "problem": problem,
        });
        put_source(&mut document, &spec);
        console.json(&document)?;
    } else {
        let mut text = String::new();
        let mut add = |name: &str, value: &str| {
            text.push_str(&format!("{name:<14} {}\n", path(value)));
        };
        add(
            "model",
            &foreign(&format!("{}/{}", args.model.org, args.model.ckpt)),
        );
        add("architecture", &foreign(spec.architecture()));
        add("features", &thousands(loaded.dim() as u64));
        add("pooling", &pooling(&spec));
        if let Some(n) = loaded.n_parameters() {
            add("parameters", &thousands(n));
        }
        add("images", &describe(spec.preprocessing()));
        for file in spec.weights_paths() {
            add("weights", &path(file));
        }
        if let Some(source) = spec.origin() {
            add("repository", &source.repo);
            add("revision", &source.revision);
        }
        if is_verified {
            add("verified", "the weights have the digest that the hub gives");
        }
        add("device", &format!("{device}, {precision}"));
        add("load", &format!("{load_seconds:.2} s"));
        let images = count(N_IMAGES, "image", "images");
        add("forward", &format!("{forward_seconds:.2} s for {images}"));
        console.result(&text)?;
    }
    match problem {
        Some(problem) => {
            let architecture = spec.architecture().to_owned();
            let text = format!("backbone `{}`: {problem}", foreign(&architecture));
            Err(Message::data(text)
                .hint("copy or download the checkpoint again")
                .into())
        }
        None => Ok(Outcome::Done),
    }
}

/// How features are pooled, in a line.
fn pooling(spec: &BackboneSpec) -> String {
    let list = |pools: Vec<Pool>| {
        pools
            .iter()
            .map(Pool::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let same: Vec<_> = spec.poolings.same_as(spec.pool).collect();
    let is_other = |pool: &Pool| *pool != spec.pool && !same.contains(pool);
    let others: Vec<_> = spec.poolings.pools().filter(is_other).collect();
    let mut line = spec.pool.to_string();
    if !same.is_empty() {
        line.push_str(&format!(" (= {})", list(same)));
    }
    if !others.is_empty() {
        line.push_str(&format!("; it also has {}", list(others)));
    }
    line
}

/// How images are prepared, in a line.
fn describe(preprocessing: &crate::image::Preprocessing) -> String {
    use crate::image::ResizeMode;
    let size @ [height, width] = preprocessing.size;
    let (resize, rest) = match preprocessing.resize {
        ResizeMode::Shortest { side } => (format!("shorter side to {side}"), ", centre cut out"),
        ResizeMode::Cover { size: [h, w] } => (format!("to cover {h} × {w}"), ", centre cut out"),
        ResizeMode::Contain { size: [h, w], .. } => (format!("into {h} × {w}"), ", padded"),
        ResizeMode::Squash { size: to @ [h, w] } => (
            format!("to {h} × {w} whatever the ratio"),
            if to == size { "" } else { ", centre cut out" },
        ),
    };
    let channels = |values: [f32; 3]| values.map(|value| value.to_string()).join(" ");
    format!(
        "{height} × {width}: resized {resize} ({}){rest}, mean {}, std {}",
        preprocessing.interpolation.as_str(),
        channels(preprocessing.mean),
        channels(preprocessing.std)
    )
}

/// Values from -1 to 1 that differ from image to image.
fn waves(n: usize) -> Vec<f32> {
    (0..n)
        .map(|i| {
            let word = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            word as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}
