//! Reading a results folder: its manifest, and the tables that the manifest names.

use std::collections::BTreeMap;
use std::io::{self, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;

use super::MANIFEST;
use crate::artifact::{Table, rows};
use crate::cache::Digest;
use crate::error::{Error, Message};
use crate::files;
use crate::newt::labels::flaw_of_file_name;
use crate::newt::sampling::NTrain;
use crate::newt::synth;
use crate::pipeline::config::Data;
use crate::stage::probes::PREDICTIONS;
use crate::text::{self, foreign, said};

/// What makes a results folder whole again.
const RUN_AGAIN: &str =
    "run the pipeline into this folder again: what is in the cache is not computed again";
/// The same of a folder whose manifest does not name its files, into which no run writes.
const REMOVE_FIRST: &str =
    "remove the folder and run the pipeline again: what is in the cache is not computed again";

/// The folder that a run has written, with its manifest read.
#[derive(Debug)]
pub struct ResultsFolder {
    dir: PathBuf,
    manifest: Manifest,
}

/// What is read of `manifest.json`.
#[derive(Debug, Deserialize)]
struct Manifest {
    files: BTreeMap<String, FileRecord>,
    experiments: Vec<ExperimentRecord>,
}

#[derive(Debug, Deserialize)]
struct FileRecord {
    blake3: Digest,
    bytes: u64,
}

#[derive(Debug, Deserialize)]
struct ExperimentRecord {
    pipeline: PipelineRecord,
}

#[derive(Debug, Deserialize)]
struct PipelineRecord {
    data: DataRecord,
    #[serde(default)]
    cache: CacheRecord,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
struct DataRecord {
    root: Option<PathBuf>,
    synth: Option<synth::Options>,
}

#[derive(Debug, Default, Deserialize)]
struct CacheRecord {
    dir: Option<PathBuf>,
}

/// An experiment of a results folder, by the columns that tell it from the others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ran {
    /// The library that defines the model.
    pub model_org: String,
    /// The checkpoint, in that library's words.
    pub model_ckpt: String,
    /// Train rows per task as asked for.
    pub n_train: NTrain,
    /// Seed of the draw.
    pub seed: i64,
    /// Seed of the search, where a probe is searched for repeatedly.
    pub search_seed: Option<i64>,
    /// The probe's settings in short.
    pub probe: String,
}

/// What the probe of its task said of a test image.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The image: a plain file name without its ending.
    pub img_id: String,
    /// Its task.
    pub task: String,
    /// What people call the class of the label, where that is known.
    pub text_label: Option<String>,
    /// The label, 0 or 1.
    pub y_true: u8,
    /// The predicted label, 0 or 1.
    pub y_pred: u8,
    /// The decision value; positive means label 1.
    pub decision: f64,
}

rows! {
    /// The columns of predictions that every version has written.
    pub struct PredictionRow {
        /// See [`Ran`].
        pub model_org: String,
        /// See [`Ran`].
        pub model_ckpt: String,
        /// See [`Ran`].
        pub n_train: i64,
        /// See [`Ran`].
        pub seed: i64,
        /// See [`Ran`].
        pub probe: String,
        /// See [`Decided`].
        pub img_id: String,
        /// See [`Decided`].
        pub task: String,
        /// See [`Decided`].
        pub y_true: i64,
        /// See [`Decided`].
        pub y_pred: i64,
        /// See [`Decided`].
        pub decision: f64,
    }
}

impl ResultsFolder {
    /// Reads the manifest in the folder `dir`.
    ///
    /// # Errors
    /// A request where there is no such folder or no manifest in it, bad data where that is none, or the file system's.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(MANIFEST);
        let file = match files::open(&path) {
            Ok(file) => file,
            Err(error) if files::is_absent(&error) => return Err(no_results(dir).into()),
            Err(error) => return Err(error.into()),
        };
        match serde_json::from_reader(BufReader::new(file)) {
            Ok(manifest) => Ok(Self {
                dir: dir.to_owned(),
                manifest,
            }),
            Err(error) if error.is_io() => Err(io::Error::from(error).into()),
            Err(error) => Err(bad_file(&path, &said(&error.to_string())).into()),
        }
    }

    /// The predictions of each experiment, in the order of the table.
    ///
    /// # Errors
    /// Bad data where the table is not there, is not the one that the run has written, or has another content than a
    /// run writes; the file system's.
    pub fn predictions(&self) -> Result<IndexMap<Ran, Vec<Decided>>, Error> {
        let table = self.table(PREDICTIONS)?;
        read_predictions(&table).map_err(|error| {
            let path = self.dir.join(PREDICTIONS);
            bad_file(&path, &error.to_string()).into()
        })
    }

    /// The data set that the run evaluated on.
    ///
    /// # Errors
    /// Bad data where the manifest does not say so.
    pub fn data(&self) -> Result<Data, Error> {
        // A pipeline has one data set, whatever its lists make of it.
        let data = self.pipeline().map(|pipeline| &pipeline.data);
        match data {
            Some(DataRecord {
                root: Some(root), ..
            }) => Ok(Data::Root(root.clone())),
            Some(DataRecord {
                synth: Some(options),
                ..
            }) => Ok(Data::Synth(options.clone())),
            _ => {
                let what = "names no data set, expected `data` in the pipeline of an experiment";
                Err(bad_file(&self.dir.join(MANIFEST), what).into())
            }
        }
    }

    /// The cache folder that the pipeline file named.
    pub fn cache_dir(&self) -> Option<&Path> {
        self.pipeline()?.cache.dir.as_deref()
    }

    fn pipeline(&self) -> Option<&PipelineRecord> {
        self.manifest
            .experiments
            .first()
            .map(|experiment| &experiment.pipeline)
    }

    /// A table, which has the bytes that the run wrote: others the parquet library must not be given.
    fn table(&self, name: &str) -> Result<Table, Error> {
        let path = self.dir.join(name);
        let Some(FileRecord { blake3, bytes }) = self.manifest.files.get(name) else {
            let what = format!("names no file `{name}`, expected one");
            return Err(bad_file(&self.dir.join(MANIFEST), &what).into());
        };
        let other = |found: &str| {
            let found = format!("{found}, expected the file that `{MANIFEST}` names");
            bad_file(&path, &found)
        };
        let content = match files::read(&path, *bytes) {
            Ok(content) => content,
            Err(error) if files::is_absent(&error) => return Err(other("is missing").into()),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return Err(other("is too large").into());
            }
            Err(error) => return Err(error.into()),
        };
        if Digest::of(&content) != *blake3 {
            return Err(other("has other bytes").into());
        }
        Table::from_parquet(&content).map_err(|error| bad_file(&path, &error.to_string()).into())
    }
}

/// The predictions of each experiment.
fn read_predictions(table: &Table) -> Result<IndexMap<Ran, Vec<Decided>>, Error> {
    let rows: Vec<PredictionRow> = table.rows()?;
    // Earlier versions did not write these.
    let text_labels: Option<Vec<Option<String>>> = table.column_if_any("text_label")?;
    let search_seeds: Option<Vec<Option<i64>>> = table.column_if_any("search_seed")?;
    let mut text_labels = text_labels.into_iter().flatten();
    let mut search_seeds = search_seeds.into_iter().flatten();

    let mut experiments: IndexMap<Ran, Vec<Decided>> = IndexMap::new();
    for (index, row) in rows.into_iter().enumerate() {
        let wrong = |what: String| Message::data(format!("row {index}: {what}"));
        let label = |column: &str, value: i64| match value {
            0 => Ok(0),
            1 => Ok(1),
            other => Err(wrong(format!("`{column}` is {other}, expected 0 or 1"))),
        };
        if let Some(flaw) = flaw_of_file_name(&row.img_id) {
            let id = foreign(&row.img_id);
            let what = format!("`img_id` is `{id}`, which {flaw}, expected a plain file name");
            return Err(wrong(what).into());
        }
        let decided = Decided {
            y_true: label("y_true", row.y_true)?,
            y_pred: label("y_pred", row.y_pred)?,
            img_id: row.img_id,
            task: row.task,
            text_label: text_labels.next().flatten(),
            decision: row.decision,
        };
        let n_train = NTrain::new(row.n_train);
        let ran = Ran {
            model_org: row.model_org,
            model_ckpt: row.model_ckpt,
            n_train: n_train.ok_or_else(|| wrong("`n_train` is 1, expected another".to_owned()))?,
            seed: row.seed,
            search_seed: search_seeds.next().flatten(),
            probe: row.probe,
        };
        experiments.entry(ran).or_default().push(decided);
    }
    Ok(experiments)
}

/// That `dir` is no results folder.
fn no_results(dir: &Path) -> Message {
    let found = match fs_err::metadata(dir) {
        Ok(metadata) if metadata.is_dir() => format!("has no `{MANIFEST}`"),
        Ok(metadata) => format!("is {}", files::kind(metadata.file_type())),
        Err(_) => "is not there".to_owned(),
    };
    let dir = text::path(dir);
    Message::request(format!(
        "{dir}: {found}, expected the results folder of a run"
    ))
    .hint("give the folder that `newt-pipe run` names at its end: that of `--out`, or `results/<name of the pipeline>`")
}

/// That a file of the folder is not as a run writes it.
fn bad_file(path: &Path, what: &str) -> Message {
    let path = text::path(path);
    let is_manifest = path.ends_with(MANIFEST);
    Message::data(format!("{path}: {what}")).hint(if is_manifest {
        REMOVE_FIRST
    } else {
        RUN_AGAIN
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(img_id: &str) -> PredictionRow {
        PredictionRow {
            model_org: "timm".to_owned(),
            model_ckpt: "vit".to_owned(),
            n_train: -1,
            seed: 17,
            probe: "biobench".to_owned(),
            img_id: img_id.to_owned(),
            task: "t".to_owned(),
            y_true: 1,
            y_pred: 0,
            decision: -1.0,
        }
    }

    #[test]
    fn predictions_without_the_columns_of_later_versions_are_read() {
        let experiments = read_predictions(&Table::of(&[row("a"), row("b")])).unwrap();
        assert_eq!(experiments.len(), 1);
        let (ran, rows) = experiments.first().unwrap();
        assert_eq!((ran.search_seed, ran.n_train), (None, NTrain::ALL));
        let ids: Vec<&str> = rows.iter().map(|row| row.img_id.as_str()).collect();
        assert_eq!(ids, ["a", "b"]);
        assert_eq!(rows[0].text_label, None);
    }

    #[test]
    fn experiments_are_told_apart_by_every_setting_and_keep_their_order() {
        let rows = ["a", "b", "c", "d"].map(row);
        let other = rows.iter().enumerate().map(|(index, row)| PredictionRow {
            probe: ["z", "b"][index / 2].to_owned(),
            img_id: row.img_id.clone(),
            ..super::tests::row("")
        });
        let other: Vec<PredictionRow> = other.collect();
        let table = Table::of(&other)
            .with("search_seed", &[Some(1_i64), Some(0), None, None])
            .with("text_label", &[None, Some("x".to_owned()), None, None]);
        let experiments = read_predictions(&table).unwrap();
        let found: Vec<_> = experiments
            .iter()
            .map(|(ran, rows)| (ran.probe.as_str(), ran.search_seed, rows.len()))
            .collect();
        assert_eq!(
            found,
            [("z", Some(1), 1), ("z", Some(0), 1), ("b", None, 2)]
        );
        assert_eq!(experiments[1][0].text_label.as_deref(), Some("x"));
    }

    #[test]
    fn rows_that_no_run_writes_are_refused_with_their_number() {
        let edits: [fn(&mut PredictionRow); 5] = [
            |row| row.img_id = "../../etc/passwd".to_owned(),
            |row| row.img_id = "\u{1b}[2J".to_owned(),
            |row| row.y_true = 2,
            |row| row.y_pred = -1,
            |row| row.n_train = 1,
        ];
        let errors = edits.map(|edit| {
            let mut rows = [row("a"), row("b")];
            edit(&mut rows[1]);
            read_predictions(&Table::of(&rows)).unwrap_err().to_string()
        });
        insta::assert_snapshot!(errors.join("\n"), @r"
        row 1: `img_id` is `../../etc/passwd`, which holds a path separator, expected a plain file name
        row 1: `img_id` is `\u{1b}[2J`, which holds a control character, expected a plain file name
        row 1: `y_true` is 2, expected 0 or 1
        row 1: `y_pred` is -1, expected 0 or 1
        row 1: `n_train` is 1, expected another
        ");
    }

    #[test]
    fn a_column_of_another_type_is_named() {
        let table = Table::of(&[row("a")]).with("text_label", &[0.5]);
        assert_eq!(
            read_predictions(&table).unwrap_err().to_string(),
            "table: column `text_label` has type f64, expected text"
        );
    }
}
