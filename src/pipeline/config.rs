//! The pipeline file: TOML as written → checked [`Pipeline`] → one [`Experiment`] per point of its
//! sweep.
//!
//! Unknown keys and values out of range are refused with file and line. `pipelines/default.toml`, or
//! [`template`], shows every key with its default.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::document::{self, Document, Section};
use super::idle;
use super::probe_config::{self, ProbeConfig};
use super::sweep::Experiment;
use crate::backbone::{Device, Precision};
use crate::error::{Failure, Fault};
use crate::files::{self, UnknownName, located, read_text_stream};
use crate::interrupt::{Interrupt, Stopped};
use crate::newt::labels::OtherSplits;
use crate::newt::synth;
use crate::probe;
use crate::stage::features::BatchSize;
use crate::stage::{bootstrap, features};
use crate::text::{self, foreign, said};

/// The largest pipeline file that is read: some thousand times as large as one with every key and a long sweep.
const MAX_BYTES: u64 = 16 << 20;

/// What can be wrong with a pipeline file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{0}")]
    Read(std::io::Error),
    /// Its text or one of its values is wrong.
    #[error(transparent)]
    Document(#[from] document::Error),
    /// Settings of a probe that do not go together.
    #[error("{place}: {source}", place = text::path(place))]
    Probe {
        /// The file.
        place: String,
        /// What is wrong.
        source: probe::Error,
    },
    /// No model is named.
    #[error("{place}: no model, expected a table `[model]` with `org` and `ckpt`", place = text::path(place))]
    NoModel {
        /// The file.
        place: String,
    },
    /// Two tables that exclude each other.
    #[error("{place}: both `{first}` and `{second}`, expected one of them", place = text::path(place))]
    Both {
        /// `file:line`.
        place: String,
        /// One key.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A key that must be written is absent.
    #[error("{place}: `{key}` is missing", place = text::path(place), key = foreign(key))]
    Missing {
        /// `file:line`.
        place: String,
        /// The dotted key.
        key: String,
    },
    /// A file of the model that is not there.
    #[error("`model.ckpt`: no file `{}`", text::path(absolute(path)))]
    NoModelFile {
        /// The file.
        path: PathBuf,
    },
    /// `~user` or `$VARIABLE` in the data root, with no such user or variable, nor a folder of that very name.
    #[error("`data.root` is {0}")]
    DataRoot(UnknownName),
    /// A command that takes one model, and a pipeline that names more.
    #[error("the pipeline names {n} models, expected one")]
    SeveralModels {
        /// How many it names.
        n: usize,
    },
    /// Two experiments of the sweep would be the same.
    #[error("{place}: {what}", place = text::path(place), what = said(what))]
    Twice {
        /// The file.
        place: String,
        /// The values, and why they are the same.
        what: String,
    },
    /// A stop was asked for.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl Error {
    /// One action that helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Read(error) => Some(
                files::hint(error)
                    .unwrap_or("name a pipeline file, or none for the built-in quickstart")
                    .to_owned(),
            ),
            Error::Document(error) => Some(error.hint()),
            Error::Probe { source, .. } => source
                .hint()
                .or_else(|| Some("change one of the settings that the message names".to_owned())),
            Error::NoModel { .. } => {
                Some("start from `newt-pipe config > FILE`, which shows every key".to_owned())
            }
            Error::Both { .. } => Some("remove one of them".to_owned()),
            Error::Missing { key, .. } if key == "data.root" => Some(
                "write `root = \"PATH\"` under [data], or `synth = true` to run on drawn images"
                    .to_owned(),
            ),
            Error::Missing { key, .. } => Some(format!("write `{key}`, or pass `--set {key}=…`")),
            Error::NoModelFile { .. } => Some(
                "set `model.ckpt`; a relative path starts at the folder of the pipeline file, in `--set` at the \
                 working folder"
                    .to_owned(),
            ),
            Error::DataRoot(_) => Some(UnknownName::HINT.to_owned()),
            Error::SeveralModels { .. } => {
                Some("name one model in a pipeline file of its own".to_owned())
            }
            Error::Twice { .. } => Some("keep one of them".to_owned()),
            Error::Stopped(stopped) => Failure::hint(stopped),
        }
    }
}

/// Where the images come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// A folder in NeWT's layout.
    Root(PathBuf),
    /// The synthetic data set, drawn into the cache folder on first use.
    Synth(synth::Options),
}

/// A model as the user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The library that defines it.
    pub org: String,
    /// The checkpoint, in that library's words.
    pub ckpt: String,
    /// What a relative path in `ckpt` is relative to.
    pub base_dir: PathBuf,
    /// Whether the checkpoint may bring its own code.
    pub allow_code: bool,
}

impl Model {
    /// Whether its features are in a file.
    pub fn is_precomputed(&self) -> bool {
        self.org == "precomputed"
    }

    /// Whether its checkpoint is a program.
    pub fn brings_code(&self) -> bool {
        self.org == "torchscript"
    }

    /// Whether it is made or kept on this machine, and the hub is not asked for it.
    pub fn is_local(&self) -> bool {
        let is_folder = self.ckpt.starts_with("local-dir:");
        is_folder || ["precomputed", "torchscript", "random"].contains(&self.org.as_str())
    }

    /// `ckpt` with its path, where it is one, made absolute: it means the same in any folder.
    fn absolute_ckpt(&self) -> String {
        let absolute = |written: &str| absolute(&located(&self.base_dir, written));
        match self.ckpt.strip_prefix("local-dir:") {
            Some(dir) => format!("local-dir:{}", absolute(dir)),
            None if self.is_precomputed() || self.brings_code() => absolute(&self.ckpt),
            None => self.ckpt.clone(),
        }
    }
}

/// A path from the root; as it is where the working folder is gone.
fn absolute(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}

/// A checked pipeline file.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The file's stem, which names the results folder.
    pub name: String,
    /// The images.
    pub data: Data,
    /// What rows do that are neither of the split `train` nor of `test`.
    pub other_splits: OtherSplits,
    /// The models, at least one.
    pub models: Vec<Model>,
    /// Train rows per task; `<= 0` for all.
    pub n_train: Vec<i64>,
    /// Seeds of the train rows' choice.
    pub seeds: Vec<u64>,
    /// How features are extracted.
    pub features: features::ExtractionSettings,
    /// The probes, at least one.
    pub probes: Vec<ProbeConfig>,
    /// How intervals are made.
    pub bootstrap: bootstrap::Settings,
    /// The cache folder that the file asks for.
    pub cache_dir: Option<PathBuf>,
    /// Settings that have no effect, for the user to know.
    pub warnings: Vec<String>,
}

/// Where a pipeline's text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// A file.
    File(&'a Path),
    /// The quickstart that is built into the program.
    Quickstart,
}

/// The seed of the train rows' choice where none is written, as in the reference.
pub(super) const SAMPLE_SEED: u64 = 17;

/// The built-in quickstart, `pipelines/quickstart.toml`.
pub const QUICKSTART: &str = include_str!("../../pipelines/quickstart.toml");

/// `pipelines/default.toml`, with the data root of a file that lies beside `data`, and not in `pipelines`.
pub fn template() -> String {
    include_str!("../../pipelines/default.toml").replace("\"../data/newt\"", "\"data/newt\"")
}

impl Pipeline {
    /// Whether a model's features come from a network, not from a file.
    pub fn runs_networks(&self) -> bool {
        !self.models.iter().all(Model::is_precomputed)
    }

    /// Reads and checks a pipeline file, with `--set` overrides applied in order.
    ///
    /// # Errors
    /// [`Error`], which names file and line, or the override; [`Error::Stopped`] while it waits for a stream.
    pub fn load(
        source: Source<'_>,
        overrides: &[String],
        interrupt: &Interrupt,
    ) -> Result<Pipeline, Error> {
        match source {
            Source::Quickstart => {
                Pipeline::parse(QUICKSTART, "quickstart.toml", Path::new(""), overrides)
            }
            Source::File(path) => {
                let is_stopped = || interrupt.check().map_err(std::io::Error::other);
                let read = read_text_stream(path, MAX_BYTES, is_stopped);
                interrupt.check()?;
                let text = read.map_err(Error::Read)?;
                // What comes through a pipe was written nowhere, so that its paths start at the working folder.
                let folder = path.parent().filter(|_| !files::is_stream(path));
                let base_dir = folder.unwrap_or(Path::new(""));
                Pipeline::parse(&text, &path.display().to_string(), base_dir, overrides)
            }
        }
    }

    fn parse(
        text: &str,
        name: &str,
        base_dir: &Path,
        overrides: &[String],
    ) -> Result<Pipeline, Error> {
        let mut document = Document::parse(text, name, base_dir)?;
        for argument in overrides {
            document.set(argument)?;
        }
        let root = document.root();

        let data = root.section("data")?;
        let sample = root.section("sample")?;
        let extraction = root.section("features")?;
        let probe = root.section("probe")?;
        let resampling = root.section("bootstrap")?;
        let cache = root.section("cache")?;

        let mut pipeline = Pipeline {
            name: Path::new(name).file_stem().map_or_else(
                || "pipeline".to_owned(),
                |stem| stem.to_string_lossy().into_owned(),
            ),
            data: read_data(&data)?,
            other_splits: data
                .get("other_splits", "`\"refuse\"` or `\"test\"`", |value| {
                    value.as_str()?.parse().ok()
                })?
                .unwrap_or_default(),
            models: read_models(&root, name)?,
            n_train: sample
                .sweep(
                    "n_train",
                    "a whole number (0 or below: all train rows)",
                    Value::as_integer,
                )?
                .unwrap_or_else(|| vec![-1]),
            seeds: sample
                .sweep("seed", "a whole number from 0", seed)?
                .unwrap_or_else(|| vec![SAMPLE_SEED]),
            features: features::ExtractionSettings {
                device: extraction
                    .get(
                        "device",
                        "`\"auto\"`, `\"cpu\"`, `\"cuda\"` or `\"cuda:1\"`",
                        |value| value.as_str()?.parse().ok(),
                    )?
                    .unwrap_or(Device::Auto),
                precision: extraction
                    .get(
                        "precision",
                        "`\"auto\"`, `\"f32\"`, `\"bf16\"` or `\"f16\"`",
                        |value| value.as_str()?.parse().ok(),
                    )?
                    .unwrap_or(Precision::Auto),
                batch_size: extraction
                    .get(
                        "batch_size",
                        "`\"auto\"` or a whole number from 1 to 65536",
                        batch_size,
                    )?
                    .unwrap_or(BatchSize::Auto),
            },
            probes: probe_config::read(&probe)?,
            bootstrap: bootstrap::Settings {
                resamples: resampling
                    .get("resamples", "a whole number from 1 to 1000000", |value| {
                        probe_config::whole(value, 1, 1_000_000)
                    })?
                    .map_or(500, |resamples| resamples as usize),
                alpha: resampling
                    .get("alpha", "a number between 0 and 1", |value| {
                        probe_config::number(value).filter(|alpha| *alpha > 0.0 && *alpha < 1.0)
                    })?
                    .unwrap_or(0.05),
                seed: resampling
                    .get("seed", "a whole number from 0", seed)?
                    .unwrap_or(17),
            },
            cache_dir: cache
                .get("dir", "a path", path)?
                .map(|dir| located(&cache.base_dir("dir"), dir)),
            warnings: Vec::new(),
        };
        for section in [data, sample, extraction, probe, resampling, cache, root] {
            section.finish()?;
        }
        pipeline.check_distinct(&document)?;
        for experiment in pipeline.experiments() {
            let probe = experiment.probe.resolve(experiment.n_train);
            probe.validate().map_err(|source| Error::Probe {
                place: document.place_of_all("probe"),
                source,
            })?;
        }
        pipeline.warnings = idle::warnings(&pipeline, &document);
        Ok(pipeline)
    }

    /// One experiment as a pipeline file of its own, every key spelled out.
    pub fn spell_out(&self, experiment: &Experiment) -> Table {
        let text = |text: String| Value::String(text);
        let path = |path: &Path| Value::String(absolute(path));
        let integer = |n: usize| Value::Integer(i64::try_from(n).unwrap_or(i64::MAX));
        let seed = |seed: u64| Value::Integer(i64::try_from(seed).unwrap_or(i64::MAX));
        let table = |entries: Vec<(&str, Value)>| {
            Value::Table(
                entries
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect(),
            )
        };
        let data = match &self.data {
            Data::Root(root) => ("root", path(root)),
            Data::Synth(options) => (
                "synth",
                table(vec![
                    ("seed", seed(options.seed)),
                    ("images_per_task", integer(options.images_per_task)),
                ]),
            ),
        };
        let mut spelled = Table::new();
        let mut put = |key: &str, value: Value| {
            spelled.insert(key.to_owned(), value);
        };
        let other_splits = text(self.other_splits.as_str().to_owned());
        put("data", table(vec![data, ("other_splits", other_splits)]));
        let model = &experiment.model;
        put(
            "model",
            table(vec![
                ("org", text(model.org.clone())),
                ("ckpt", text(model.absolute_ckpt())),
                ("allow_code", Value::Boolean(model.allow_code)),
            ]),
        );
        put(
            "sample",
            table(vec![
                ("n_train", Value::Integer(experiment.n_train)),
                ("seed", seed(experiment.seed)),
            ]),
        );
        put(
            "features",
            table(vec![
                ("device", text(self.features.device.to_string())),
                ("precision", text(self.features.precision.to_string())),
                (
                    "batch_size",
                    match self.features.batch_size {
                        BatchSize::Auto => text("auto".to_owned()),
                        BatchSize::Images(images) => integer(images),
                    },
                ),
            ]),
        );
        put(
            "probe",
            Value::Table(probe_config::to_toml(
                &experiment.probe.resolve(experiment.n_train),
            )),
        );
        put(
            "bootstrap",
            table(vec![
                ("resamples", integer(self.bootstrap.resamples)),
                ("alpha", Value::Float(self.bootstrap.alpha)),
                ("seed", seed(self.bootstrap.seed)),
            ]),
        );
        if let Some(dir) = &self.cache_dir {
            put("cache", table(vec![("dir", path(dir))]));
        }
        spelled
    }
}

fn read_data(data: &Section<'_>) -> Result<Data, Error> {
    let root = data.get("root", "a path", path)?;
    let synth = data.get(
        "synth",
        "`true`, or a table such as `{ seed = 0 }`",
        |value| match value {
            Value::Boolean(written) => Some(*written),
            Value::Table(_) => Some(true),
            _ => None,
        },
    )?;
    match (root, synth.unwrap_or(false)) {
        (Some(root), false) => Ok(Data::Root(located(&data.base_dir("root"), root))),
        (Some(_), true) => Err(Error::Both {
            place: data.place("synth"),
            first: "data.root",
            second: "data.synth",
        }),
        (None, false) => Err(Error::Missing {
            place: data.place("root"),
            key: "data.root".to_owned(),
        }),
        (None, true) => {
            let default = synth::Options::default();
            if data.get("synth", "", |value| Some(value.is_bool()))? == Some(true) {
                return Ok(Data::Synth(default));
            }
            let options = data.section("synth")?;
            let seed = options.get("seed", "a whole number from 0", seed)?;
            let n_images = options.get(
                "images_per_task",
                "a multiple of 4 from 8 to 10000",
                |value| probe_config::whole(value, 8, 10_000).filter(|n| n % 4 == 0),
            )?;
            options.finish()?;
            Ok(Data::Synth(synth::Options {
                seed: seed.unwrap_or(default.seed),
                images_per_task: n_images.map_or(default.images_per_task, |n| n as usize),
                ..default
            }))
        }
    }
}

fn read_models(root: &Section<'_>, place: &str) -> Result<Vec<Model>, Error> {
    let one = root.section("model")?;
    let mut many = root.sections("models")?;
    if one.is_written() {
        if !many.is_empty() {
            return Err(Error::Both {
                place: root.place("models"),
                first: "[model]",
                second: "[[models]]",
            });
        }
        many.push(one);
    }
    if many.is_empty() {
        return Err(Error::NoModel {
            place: place.to_owned(),
        });
    }
    root.multiply("models", many.len())?;
    many.into_iter()
        .map(|model| {
            let read = |key: &'static str| {
                model
                    .get(key, "a text", |value| {
                        value
                            .as_str()
                            .filter(|text| is_name(text))
                            .map(str::to_owned)
                    })?
                    .ok_or_else(|| Error::Missing {
                        place: model.place(key),
                        key: format!("model.{key}"),
                    })
            };
            let (org, ckpt) = (read("org")?, read("ckpt")?);
            let base_dir = model.base_dir("ckpt");
            let allow_code = model
                .get("allow_code", "`true` or `false`", Value::as_bool)?
                .unwrap_or(false);
            model.finish()?;
            Ok(Model {
                org,
                ckpt,
                base_dir,
                allow_code,
            })
        })
        .collect()
}

fn seed(value: &Value) -> Option<u64> {
    u64::try_from(value.as_integer()?).ok()
}

fn batch_size(value: &Value) -> Option<BatchSize> {
    if value.as_str() == Some("auto") {
        return Some(BatchSize::Auto);
    }
    probe_config::whole(value, 1, 65536).map(|images| BatchSize::Images(images as usize))
}

fn path(value: &Value) -> Option<PathBuf> {
    value
        .as_str()
        .filter(|path| is_name(path))
        .map(PathBuf::from)
}

/// Whether a text can be a path, or a name that becomes part of one.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains('\0')
}

#[cfg(test)]
mod fuzz;

impl Failure for Error {
    fn hint(&self) -> Option<String> {
        self.hint()
    }

    fn fault(&self) -> Fault {
        Fault::Request
    }

    fn handed_on(&self) -> Option<&dyn Failure> {
        match self {
            Self::Stopped(stopped) => Some(stopped),
            _ => None,
        }
    }
}
