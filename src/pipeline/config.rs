//! The pipeline file: TOML as written → checked [`Pipeline`] → one [`Experiment`] per point of its
//! sweep.
//!
//! | | |
//! | --- | --- |
//! | `file` | the values, and the lines or `--set` that they come from |
//! | `reader` | serde over them: a table is a struct, what is wrong is said of its key |
//! | `model`, `probe`, `search` | the tables that mean more than they say |
//! | `protocol` | what a probe is that is not spelled out |
//! | `sweep` | the product of all lists |
//!
//! Unknown keys and values out of range are refused with file and line. `pipelines/default.toml`, or
//! [`template`], shows every key with its default. A setting is a field of a struct that is read: its type, or
//! [`crate::setting`], says what its value may be.

mod file;
#[cfg(test)]
mod fuzz;
mod model;
mod origins;
mod probe;
mod protocol;
mod reader;
mod search;
mod sweep;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};
use serde_json::json;
use toml::{Table, Value};

pub use self::file::ConfigFile;
use self::model::ModelTable;
pub use self::model::{Model, Place, no_file};
pub use self::probe::ProbeConfig;
use self::probe::ProbeTable;
pub use self::protocol::Protocol;
use self::reader::OneOrMore;
pub use self::search::SearchConfig;
pub use self::sweep::Experiment;
use super::idle;
use crate::error::{Error, Message};
use crate::files::{self, read_text_stream};
use crate::interrupt::Interrupt;
use crate::newt::labels::OtherSplits;
use crate::newt::sampling::NTrain;
use crate::newt::synth;
use crate::probe::Probe;
use crate::setting::{self, as_name, checked};
use crate::stage::features::l2::Scaling;
use crate::stage::{bootstrap, features};

/// The largest pipeline file that is read: some thousand times as large as one with every key and a long sweep.
const MAX_BYTES: u64 = 16 << 20;

/// Where the images come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// A folder in NeWT's layout.
    Root(PathBuf),
    /// The synthetic data set, drawn into the cache folder on first use.
    Synth(synth::Options),
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
    /// Train rows per task, at least one number of them.
    pub n_train: Vec<NTrain>,
    /// Seeds of the train rows' choice.
    pub seeds: Vec<u64>,
    /// How features are extracted and read.
    pub features: features::Settings,
    /// The probes, at least one.
    pub probes: Vec<ProbeConfig>,
    /// How intervals are made.
    pub bootstrap: bootstrap::Settings,
    /// The cache folder that the file asks for.
    pub cache_dir: Option<PathBuf>,
    /// Settings that have no effect, for the user to know.
    pub warnings: Vec<String>,
}

/// Which pipeline file is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipelineFile<'a> {
    /// The one at a path.
    At(&'a Path),
    /// The quickstart that is built into the program.
    Quickstart,
}

/// The seed of the train rows' choice where none is written, as in the reference.
pub const SAMPLE_SEED: u64 = 17;

/// The built-in quickstart, `pipelines/quickstart.toml`.
pub const QUICKSTART: &str = include_str!("../../pipelines/quickstart.toml");

/// `pipelines/default.toml`, with the data root of a file that lies beside `data`, and not in `pipelines`.
pub fn template() -> String {
    include_str!("../../pipelines/default.toml").replace("\"../data/newt\"", "\"data/newt\"")
}

/// The tables of a pipeline file.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Tables {
    data: DataTable,
    model: Option<ModelTable>,
    models: Vec<ModelTable>,
    sample: SampleTable,
    features: features::Settings,
    /// Read key by key, since the value of any may be a list.
    probe: Option<IgnoredAny>,
    bootstrap: bootstrap::Settings,
    cache: CacheTable,
}

/// The table `[data]`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct DataTable {
    #[serde(deserialize_with = "path")]
    root: Option<String>,
    /// A table or a flag, read by itself.
    synth: Option<IgnoredAny>,
    other_splits: OtherSplits,
}

/// The table `[sample]`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SampleTable {
    n_train: OneOrMore<NTrain>,
    seed: OneOrMore<Seed>,
}

impl Default for SampleTable {
    fn default() -> Self {
        Self {
            n_train: OneOrMore(vec![NTrain::ALL]),
            seed: OneOrMore(vec![Seed(SAMPLE_SEED)]),
        }
    }
}

#[derive(Deserialize)]
struct Seed(#[serde(deserialize_with = "setting::seed")] u64);

/// The table `[cache]`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct CacheTable {
    #[serde(deserialize_with = "path")]
    dir: Option<String>,
}

fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    checked(deserializer, "a path", as_name).map(Some)
}

impl Pipeline {
    /// Whether a model's features come from a network, not from a file.
    pub fn runs_networks(&self) -> bool {
        !self.models.iter().all(Model::is_precomputed)
    }

    /// How the rows are taken that `probe` is fitted on.
    pub fn scaling(&self, probe: &ProbeConfig) -> Scaling {
        Scaling {
            setting: self.features.l2,
            of_protocol: probe.protocol.features_l2(),
        }
    }

    /// How rows are taken that serve every probe: as the network gives them, unless all take them at norm 1.
    pub fn scaling_for_all(&self) -> Scaling {
        let mut probes = self.probes.iter();
        Scaling {
            setting: self.features.l2,
            of_protocol: probes.all(|probe| probe.protocol.features_l2()),
        }
    }

    /// Reads and checks a pipeline file, with `--set` overrides applied in order.
    ///
    /// # Errors
    /// What is wrong, with file and line, or with the override; a stop while it waits for a stream.
    pub fn load(
        file: PipelineFile<'_>,
        overrides: &[String],
        interrupt: &Interrupt,
    ) -> Result<Pipeline, Error> {
        let path = match file {
            PipelineFile::Quickstart => {
                return Pipeline::parse(QUICKSTART, "quickstart.toml", Path::new(""), overrides);
            }
            PipelineFile::At(path) => path,
        };
        let is_stopped = || interrupt.check().map_err(std::io::Error::other);
        let read = read_text_stream(path, MAX_BYTES, is_stopped);
        interrupt.check()?;
        let text = read.map_err(|error| {
            let hint = files::hint(&error);
            Message::request(error.to_string())
                .hint(hint.unwrap_or("name a pipeline file, or none for the built-in quickstart"))
        })?;
        // What comes through a pipe was written nowhere, so that its paths start at the working folder.
        let folder = path.parent().filter(|_| !files::is_stream(path));
        let base_dir = folder.unwrap_or(Path::new(""));
        Pipeline::parse(&text, &path.display().to_string(), base_dir, overrides)
    }

    fn parse(
        text: &str,
        name: &str,
        base_dir: &Path,
        overrides: &[String],
    ) -> Result<Pipeline, Error> {
        let mut file = ConfigFile::parse(text, name, base_dir)?;
        for argument in overrides {
            file.set(argument)?;
        }
        let tables: Tables = file.read()?;
        let data = read_data(&file, tables.data.root)?;
        let models = read_models(&file, tables.model, tables.models)?;
        let probe = ProbeTable::read(&file)?;
        let (n_train, seeds) = (tables.sample.n_train.0, tables.sample.seed.0);
        let mut lists = vec![
            ("models".to_owned(), models.len()),
            ("sample.n_train".to_owned(), n_train.len()),
            ("sample.seed".to_owned(), seeds.len()),
        ];
        lists.extend(probe.sizes());
        sweep::check_size(&file, &lists)?;
        let cache_dir = tables.cache.dir;
        let mut pipeline = Pipeline {
            name: Path::new(name).file_stem().map_or_else(
                || "pipeline".to_owned(),
                |stem| stem.to_string_lossy().into_owned(),
            ),
            data,
            other_splits: tables.data.other_splits,
            models,
            n_train,
            seeds: seeds.into_iter().map(|Seed(seed)| seed).collect(),
            features: tables.features,
            probes: probe.points(),
            bootstrap: tables.bootstrap,
            cache_dir: cache_dir.map(|dir| file.located("cache.dir", &dir)),
            warnings: Vec::new(),
        };
        pipeline.check_distinct(&file)?;
        let experiments = pipeline.experiments();
        let probes: Vec<Probe> = experiments.iter().map(Experiment::resolved_probe).collect();
        probe.check_read(&file, &probes)?;
        for probe in probes {
            probe.validate().map_err(|error| {
                let place = file.place_of_all("probe");
                Message::request(format!("{}: {error}", crate::text::path(place)))
                    .hint("change one of the settings that the message names")
            })?;
        }
        pipeline.warnings = idle::warnings(&pipeline, &file);
        pipeline.warnings.extend(probe.mixed_protocols(&file));
        Ok(pipeline)
    }

    /// One experiment as a pipeline file of its own, every key spelled out.
    #[expect(clippy::expect_used, reason = "TOML has all of these types")]
    pub fn spell_out(&self, experiment: &Experiment) -> Table {
        let mut data = match &self.data {
            Data::Root(root) => json!({ "root": absolute(root) }),
            Data::Synth(options) => json!({ "synth": options }),
        };
        data["other_splits"] = json!(self.other_splits);
        let model = &experiment.model;
        let mut spelled = json!({
            "data": data,
            "model": { "org": model.org, "ckpt": model.absolute_ckpt(), "pool": model.pool, "allow_code": model.allow_code },
            "sample": { "n_train": experiment.n_train, "seed": experiment.seed },
            "features": self.features,
            "probe": experiment.probe.spell_out(&experiment.resolved_probe()),
            "bootstrap": self.bootstrap,
        });
        if let Some(dir) = &self.cache_dir {
            spelled["cache"] = json!({ "dir": absolute(dir) });
        }
        Table::try_from(spelled).expect("a table of tables")
    }
}

/// A path from the root; as it is where the working folder is gone.
fn absolute(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}

fn read_data(file: &ConfigFile, root: Option<String>) -> Result<Data, Message> {
    let synth = match file.get("data", "synth") {
        None | Some(Value::Boolean(false)) => None,
        Some(Value::Boolean(true)) => Some(synth::Options::default()),
        Some(value @ Value::Table(_)) => Some(file.read_at("data.synth", value)?),
        Some(other) => {
            let expected = "`true`, or a table such as `{ seed = 0 }`";
            return Err(file.invalid("data.synth", other, expected));
        }
    };
    match (root, synth) {
        (Some(root), None) => Ok(Data::Root(file.located("data.root", &root))),
        (None, Some(options)) => Ok(Data::Synth(options)),
        (Some(_), Some(_)) => Err(file
            .error(
                "data.synth",
                "both `data.root` and `data.synth`, expected one of them",
            )
            .hint("remove one of them")),
        (None, None) => Err(file.missing("data.root").hint(
            "write `root = \"PATH\"` under [data], or `synth = true` to run on drawn images",
        )),
    }
}

fn read_models(
    file: &ConfigFile,
    one: Option<ModelTable>,
    many: Vec<ModelTable>,
) -> Result<Vec<Model>, Message> {
    match one {
        Some(_) if !many.is_empty() => Err(file
            .error(
                "models",
                "both `[model]` and `[[models]]`, expected one of them",
            )
            .hint("remove one of them")),
        Some(table) => Model::new(table, "model", file).map(|model| vec![model]),
        None if many.is_empty() => {
            let what = "no model, expected a table `[model]` with `org` and `ckpt`";
            let error = Message::request(format!("{}: {what}", crate::text::path(file.name())));
            Err(error.hint("start from `newt-pipe config > FILE`, which shows every key"))
        }
        None => {
            let models = many.into_iter().enumerate();
            let model = |(i, table)| Model::new(table, &format!("models[{i}]"), file);
            models.map(model).collect()
        }
    }
}
