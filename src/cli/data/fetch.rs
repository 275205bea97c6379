//! `newt-pipe data fetch`: get NeWT.

use std::path::PathBuf;

use serde_json::json;

use super::{Console, Outcome, read_labels, settings};
use crate::error::Error;
use crate::files::Kept;
use crate::hub;
use crate::newt::fetch::{self, Fetch, Options, Source};
use crate::newt::images::DataRoot;
use crate::newt::labels::{Labels, OtherSplits};
use crate::newt::published::Identity;
use crate::text::{count, path};

/// Arguments of `newt-pipe data fetch`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder that gets `newt2021_labels.csv` and `newt2021_images`; an archive that lies in it is used.
    #[arg(value_name = "DIR", default_value = "data/newt", value_parser = settings::place())]
    dir: PathBuf,

    /// Take the archives from the folder at this address, instead of NeWT's public one.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,

    /// The SHA-256 of the labels' archive, where somebody has packed it anew [default: that of NeWT's].
    #[arg(long, value_name = "HEX", value_parser = digest)]
    sha256_labels: Option<String>,

    /// The SHA-256 of the images' archive, where somebody has packed it anew [default: that of NeWT's].
    #[arg(long, value_name = "HEX", value_parser = digest)]
    sha256_images: Option<String>,

    /// Leave the archives in the folder, too.
    #[arg(long)]
    keep_archives: bool,

    /// Make no network request: use what is in the folder, archives among it [default: as `$HF_HUB_OFFLINE` says].
    #[arg(long)]
    offline: bool,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

fn digest(text: &str) -> Result<String, String> {
    let digest = text.to_ascii_lowercase();
    if hub::is_sha256(&digest) {
        Ok(digest)
    } else {
        Err("expected 64 hexadecimal digits, as `sha256sum` prints them".to_owned())
    }
}

pub fn exec(args: Args, console: &Console) -> Result<Outcome, Error> {
    let public = Source::default();
    let options = Options {
        source: Source {
            base: args.mirror.unwrap_or(public.base),
            sha256_labels: args.sha256_labels.unwrap_or(public.sha256_labels),
            sha256_images: args.sha256_images.unwrap_or(public.sha256_images),
        },
        offline: args.offline || settings::is_offline(),
        keep_archives: args.keep_archives,
    };
    Kept::check_folder(&args.dir, &settings::caches(&args.dir))?;
    let root = DataRoot::new(&args.dir);
    let fetch = Fetch::new(root.clone(), &options, console.context())?;
    let of_labels = fetch.labels()?;
    // Before hours are spent on images that nothing could be done with.
    let file = root.labels_path().display().to_string();
    let labels = Labels::from_csv(&read_labels(&root)?, &file, OtherSplits::Test)?;
    let of_images = fetch.images(&labels, of_labels)?;

    let (n_images, n_tasks) = (labels.rows.len(), labels.tasks().len());
    let newt = Identity::of(&labels);
    let is_fetched = |outcome| outcome == fetch::Outcome::Fetched;
    if args.json {
        console.json(&json!({
            "dir": args.dir.display().to_string(),
            "fetched": { "labels": is_fetched(of_labels), "images": is_fetched(of_images) },
            "n_images": n_images,
            "n_tasks": n_tasks,
            "newt": newt,
        }))?;
    } else {
        let state = match (is_fetched(of_labels), is_fetched(of_images)) {
            (false, false) => "was there already",
            (true, false) => "labels fetched, images were there already",
            (false, true) => "images fetched, labels were there already",
            (true, true) => "fetched",
        };
        console.result(&format!(
            "{}: {}, {}, {state}\n{newt}\n",
            path(&args.dir),
            count(n_images, "image", "images"),
            count(n_tasks, "task", "tasks"),
        ))?;
    }
    Ok(Outcome::Done)
}
