//! The results folder: tables over all experiments of a run, the headline, and the provenance.
//!
//! The folder is put together beside its place and renamed, so it is there whole or not at all, see [`files`].

mod json;
pub mod reading;
mod scores;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::BufReader;
use std::path::Path;

use serde_json::{Value, json};

pub use self::json::{describe, evaluation_json, plan_json, repeats_json};
pub use self::scores::{CI_METHOD, Score};
use super::Evaluation;
use super::Experiment;
use super::config::Pipeline;
use super::repeats::{ExperimentScores, Repeats};
use super::verdict::Verdicts;
use crate::artifact::{Row, Table, rows};
use crate::cache::Digest;
use crate::error::{Error, Message};
use crate::files::{self, Left, StagedDir};
use crate::stage::bootstrap::BOOTSTRAP;
use crate::stage::probes::{CANDIDATES, FITTED, PREDICTIONS, PROBES};
use crate::text::{self, Listing, foreign};

/// Accuracies with their intervals, of every group of every experiment: [`Score`]s.
const SCORES: &str = "scores.parquet";
/// The headline.
const SUMMARY: &str = "summary.json";
/// The provenance: `files` has the digest of each other file of the folder, `outputs` of a stage those of the objects
/// in the cache, which hold one experiment and may have other bytes under the same name.
const MANIFEST: &str = "manifest.json";

const TABLES: [&str; 5] = [PREDICTIONS, PROBES, CANDIDATES, SCORES, BOOTSTRAP];

/// Results as they come, and the folder that they will be in.
pub struct Results {
    draft: StagedDir,
    n_experiments: usize,
    tables: BTreeMap<&'static str, Vec<Table>>,
    headlines: Vec<Value>,
    scores: Vec<ExperimentScores>,
    records: Vec<Value>,
    /// Size and digest of what has been written, by name.
    files: BTreeMap<String, Value>,
}

impl Results {
    /// Makes sure, before anything is computed, that results of so many experiments can be written to `dir`.
    ///
    /// # Errors
    /// That the folder cannot be made or replaced, or that it holds other files than results.
    pub fn prepare(dir: &Path, n_experiments: usize) -> Result<Self, Error> {
        let draft = StagedDir::replacing(dir, ours_in)?;
        if let Some(name) = files::first_foreign(draft.destination(), ours_in)? {
            return Err(holds_other_files(dir, &foreign(&name.to_string_lossy())).into());
        }
        Ok(Self {
            draft,
            n_experiments,
            tables: BTreeMap::new(),
            headlines: Vec::new(),
            scores: Vec::new(),
            records: Vec::new(),
            files: BTreeMap::new(),
        })
    }

    /// Adds one experiment's results; with `fitted`, its probes' bytes.
    ///
    /// # Errors
    /// Errors of writing where the fitted probes cannot be written.
    pub fn push(
        &mut self,
        pipeline: &Pipeline,
        evaluation: &Evaluation,
        fitted: Option<&[u8]>,
    ) -> Result<(), Error> {
        let Evaluation {
            probes,
            report: _,
            bootstrap,
            experiment,
            ..
        } = evaluation;
        if let Some(fitted) = fitted {
            let name = match self.n_experiments {
                1 => FITTED.to_owned(),
                _ => fitted_name(self.records.len() + 1, experiment),
            };
            self.write(&name, fitted)?;
        }
        let scores = evaluation.scores();
        let setting = Setting::of(experiment);
        self.add(PREDICTIONS, &setting, &probes.predictions);
        self.add(PROBES, &setting, &probes.tasks);
        self.add(CANDIDATES, &setting, &probes.candidates);
        self.add(SCORES, &setting, &scores);
        self.add(BOOTSTRAP, &setting, &bootstrap.resamples);
        self.headlines.push(json::headline(evaluation));
        self.scores.push(ExperimentScores::of(evaluation));
        self.records.push(json::record(evaluation, pipeline));
        Ok(())
    }

    /// Means over the experiments so far that differ by a seed alone.
    pub fn repeats(&self) -> Vec<Repeats> {
        Repeats::among(&self.scores)
    }

    /// Adds rows of one experiment, which has this setting, to a table.
    fn add<R: Row>(&mut self, name: &'static str, setting: &Setting, rows: &[R]) {
        let settings = Table::of(std::iter::repeat_n(setting, rows.len()));
        let table = settings.beside(Table::of(rows));
        self.tables.entry(name).or_default().push(table);
    }

    /// Writes everything and puts the folder in its place; says what the user should know of what was there before.
    ///
    /// # Errors
    /// Errors of writing, and errors of the tables' writer; the folder is then as it was.
    pub fn publish(
        mut self,
        provenance: &BTreeMap<String, String>,
        verdicts: &Verdicts,
    ) -> Result<Vec<String>, Error> {
        for (name, tables) in std::mem::take(&mut self.tables) {
            let bytes = Table::concat(tables)?.to_parquet()?;
            self.write(name, &bytes)?;
        }
        let mut headlines = std::mem::take(&mut self.headlines);
        verdicts.put(&mut headlines);
        let repeats = self.repeats();
        let repeats: Vec<Value> = repeats.iter().map(repeats_json).collect();
        let summary = json!({ "experiments": headlines, "repeats": repeats });
        self.write_json(SUMMARY, &summary)?;
        let records = std::mem::take(&mut self.records);
        let files = std::mem::take(&mut self.files);
        self.write_json(
            MANIFEST,
            &json!({ "provenance": provenance, "files": files, "experiments": records }),
        )?;

        let dir = self.draft.destination().to_owned();
        Ok(warnings(&dir, &self.draft.publish()?))
    }

    fn write_json(&mut self, name: &str, value: &Value) -> Result<(), Error> {
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        self.write(name, text.as_bytes())
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let file = json!({ "blake3": Digest::of(bytes), "bytes": bytes.len() });
        self.files.insert(name.to_owned(), file);
        fs_err::write(self.draft.path().join(name), bytes)
            .map_err(|source| self.draft.not_written(source).into())
    }
}

/// The folder `dir` is not for results, since it holds the file `example`.
fn holds_other_files(dir: &Path, example: &str) -> Message {
    let (dir, hint) = (text::path(dir), "choose another folder with `--out`");
    let error = Message::request(format!(
        "{dir}: holds `{example}`, expected an empty folder or the results of a run"
    ));
    if is_named_as_ours(example) {
        error.hint(format!(
            "{hint}, or remove that one if it holds results: it has no `{MANIFEST}` that names this file"
        ))
    } else {
        error.hint(hint)
    }
}

/// What to say of what was in the folder `dir` before and is kept.
fn warnings(dir: &Path, left: &Left) -> Vec<String> {
    let dir = text::path(dir);
    let mut warnings = Vec::new();
    if !left.moved.is_empty() {
        let names = Listing::quoted(left.moved.iter().map(|name| name.to_string_lossy()));
        warnings.push(format!(
            "{dir}: kept what appeared in it during the run: {names}; move that away before the next run"
        ));
    }
    if let Some(former) = &left.former {
        let former = text::path(former);
        warnings.push(format!(
            "{former}: holds what could not be removed of the former {dir}; look at it, and remove it"
        ));
    }
    if let Some(why) = &left.not_flushed {
        warnings.push(format!(
            "{dir}: is in its place, but not flushed to the disk: {why}"
        ));
    }
    warnings
}

/// What a manifest says of the other files of its folder.
#[derive(serde::Deserialize)]
struct Manifest {
    files: BTreeMap<String, Value>,
}

/// The files in a folder that a run has written there: those that its manifest names, and the manifest itself, last. A
/// file that is only called as one of a run's may be anybody's.
fn ours_in(dir: &Path) -> Vec<OsString> {
    // The manifest of a large sweep is long: only what is looked for is kept of it.
    let manifest = files::open(&dir.join(MANIFEST)).ok();
    let parsed = manifest.and_then(|file| serde_json::from_reader(BufReader::new(file)).ok());
    let Some(Manifest { files }) = parsed else {
        return Vec::new();
    };
    let is_ours = |name: &String| is_named_as_ours(name) && name != MANIFEST;
    let named = files.into_keys().filter(is_ours).map(OsString::from);
    named.chain([MANIFEST.into()]).collect()
}

/// Whether a run may write a file of this name.
fn is_named_as_ours(name: &str) -> bool {
    let of_sweep = name
        .strip_prefix("probes-")
        .and_then(|rest| rest.strip_suffix(".safetensors"));
    let is_numbered = |rest: &str| {
        let (number, _) = rest.split_once('-').unwrap_or((rest, ""));
        number.parse::<usize>().is_ok()
    };
    [SUMMARY, MANIFEST, FITTED].contains(&name)
        || TABLES.contains(&name)
        || of_sweep.is_some_and(is_numbered)
}

/// The most characters that a file's name has of a model's.
const MAX_MODEL_NAME: usize = 100;

/// The fitted probes of an experiment of a sweep, by its number from 1: `probes-2-timm-vit_tiny-birder-n20-seed17-search0.safetensors`.
fn fitted_name(number: usize, experiment: &Experiment) -> String {
    let Experiment { model, n_train, .. } = experiment;
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
    let plain = |char| if is_plain(char) { char } else { '_' };
    let ckpt = model
        .ckpt
        .strip_suffix(".safetensors")
        .unwrap_or(&model.ckpt);
    let model: String = (model.org.chars().chain(['-']).chain(ckpt.chars()))
        .map(plain)
        .take(MAX_MODEL_NAME)
        .collect();
    let seed = n_train.rows().map(|_| format!("-seed{}", experiment.seed));
    let search_seed = experiment.search_seed.map(|seed| format!("-search{seed}"));
    let seeds = [seed, search_seed].map(Option::unwrap_or_default).concat();
    let protocol = experiment.probe.protocol;
    format!("probes-{number}-{model}-{protocol}-n{n_train}{seeds}.safetensors")
}

rows! {
    /// The columns that tell the experiments of a run apart, in front of each table's own.
    pub struct Setting {
        /// The library that defines the model.
        pub model_org: String,
        /// The checkpoint, in that library's words.
        pub model_ckpt: String,
        /// How its features are pooled: `auto`, or as the pipeline file says.
        pub model_pool: String,
        /// Train rows per task as asked for; 0 or below for all.
        pub n_train: i64,
        /// Seed of the draw.
        pub seed: i64,
        /// Seed of the probe's search, where it draws candidates.
        pub search_seed: Option<i64>,
        /// The probe's settings in short.
        pub probe: String,
    }
}

impl Setting {
    fn of(experiment: &Experiment) -> Self {
        Self {
            model_org: experiment.model.org.clone(),
            model_ckpt: experiment.model.ckpt.clone(),
            model_pool: experiment.model.pool.to_string(),
            n_train: experiment.n_train.written(),
            // A seed comes from a TOML integer, which is an i64.
            seed: i64::try_from(experiment.seed).unwrap_or(i64::MAX),
            search_seed: experiment.search_seed.map(i64::from),
            probe: experiment.probe_name(),
        }
    }
}
