//! Fitted probes: one safetensors file, several tensors for each task.
//!
//! | part | content |
//! | --- | --- |
//! | `<task>/first_scaler` | [2, d] F64: mean and scale of the columns, where the probe standardises first |
//! | `<task>/mean` | `[d]` F32, where the probe centres |
//! | `<task>/scaler` | [2, d] F64: mean and scale of the columns, where the probe standardises |
//! | metadata key `probes` | a JSON array of `{task, kind, l2}` and the settings of that kind of classifier |
//! | metadata key `experiment` | the experiment: `model`, `n_train`, `seed`, `search_seed`, `protocol`, `probe`; absent likewise |
//! | metadata key `fitted_on` | a [`FittedOn`]; absent in the cache, whose keys say more, and in files of version 0.1 |
//!
//! | part of the kind `svc`, which is meant where there is no `kind` | content |
//! | --- | --- |
//! | `<task>/support_vectors` | [n, d] F32, as the SVM saw them |
//! | `<task>/support_rows` | `[n]` U32, indices among the task's train rows, class 0 first |
//! | `<task>/dual_coef` | `[n]` F64, scikit-learn's sign |
//! | `<task>/numbers` | `[3]` F64: bias (scikit-learn's `intercept_`), gamma, coef0 |
//! | settings | `kernel`, `degree` |
//!
//! | part of the kinds `linear-svc` and `logistic-regression` | content |
//! | --- | --- |
//! | `<task>/coef` | `[d]` F64: the weights |
//! | `<task>/intercept` | `[1]` F64 |
//! | settings | `n_features`: d |
//!
//! | part of the kind `nearest-neighbours` | content |
//! | --- | --- |
//! | `<task>/train_rows` | [n, d] F32, as the classifier saw them |
//! | `<task>/labels` | `[n]` F64, 0 or 1 |
//! | `<task>/temperature` | `[1]` F64 |
//! | settings | `k`, of 1 to n |
//!
//! | part of the kind `nearest-centroid` | content |
//! | --- | --- |
//! | `<task>/centroids` | [2, d] F32: the mean rows of class 0 and class 1 |
//!
//! A probe that is written and read again makes the same decisions bit for bit.

use std::collections::BTreeSet;
use std::path::Path;

use ndarray::{Array, Array1, Array2, Dimension, Ix1, arr1};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::VariantArray;

use super::{BackboneId, Element, TensorWriter, Tensors};
use crate::error::{Error, Fault, Message};
use crate::interrupt::Interrupt;
use crate::probe::classifier::{Kind, Parts};
use crate::probe::{ClassifierName, FittedProbe, Scaler};
use crate::tensorfile;
use crate::text::{self, either, foreign, said};

const PROBES: &str = "probes";
const FITTED_ON: &str = "fitted_on";
const EXPERIMENT: &str = "experiment";
/// What parts hold, for messages.
const FINITE: &str = "finite numbers";
const FEATURES: &str = "features";

/// The probes of an experiment, each with its task's name.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeFile {
    /// In the order of the file.
    pub probes: Vec<(String, FittedProbe)>,
    /// The features that they were fitted on, where the file says it.
    pub fitted_on: Option<FittedOn>,
}

/// The features that probes were fitted on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedOn {
    /// The backbone; `None` where the features came in a file that does not say it.
    pub backbone: Option<BackboneId>,
    /// Whether the run had their rows at norm 1, by scaling them where they were not; absent in files of version 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l2: Option<bool>,
    /// Whether the run scaled the rows of a file whatever their norms, as `features.l2 = true` asks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scaled_always: bool,
    /// The smallest and the largest L2 norm of their rows.
    pub norms: [f64; 2],
}

/// What the metadata says of one probe.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    task: String,
    #[serde(default = "default_kind")]
    kind: String,
    l2: bool,
    /// The settings of the classifier, an object.
    #[serde(flatten)]
    settings: Value,
}

fn default_kind() -> String {
    ClassifierName::Svc.to_string()
}

impl ProbeFile {
    /// The file, as stage `probes` writes it: it does not say what the probes were fitted on.
    ///
    /// # Errors
    /// The tasks' names do not fit a header of 100 MB.
    pub fn to_bytes<'a>(
        probes: impl IntoIterator<Item = (&'a str, &'a FittedProbe)>,
    ) -> Result<Vec<u8>, Error> {
        Ok(writer(probes).to_bytes()?)
    }

    /// The file that [`to_bytes`](Self::to_bytes) wrote, with what its probes were fitted on and in which experiment.
    ///
    /// # Errors
    /// As [`parse`](Self::parse) and [`to_bytes`](Self::to_bytes).
    pub fn with_fitted_on(
        bytes: &[u8],
        fitted_on: &FittedOn,
        experiment: &Value,
    ) -> Result<Vec<u8>, Error> {
        let file = Self::parse(PROBES, bytes)?;
        let probes = file
            .probes
            .iter()
            .map(|(task, probe)| (task.as_str(), probe));
        let writer = writer(probes).metadata(FITTED_ON, fitted_on);
        Ok(writer.metadata(EXPERIMENT, experiment).to_bytes()?)
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// No file, a stop that was asked for, and the errors of [`parse`](Self::parse).
    pub fn open(path: &Path, interrupt: &Interrupt) -> Result<Self, Error> {
        let bytes =
            tensorfile::read(path, |_| Ok(()), interrupt).map_err(|error| match error.fault() {
                Fault::Data => no_probe_file(&error, false),
                _ => error,
            })?;
        Self::parse(&path.display().to_string(), &bytes)
    }

    /// Reads the bytes of `file`, whose name serves in messages.
    ///
    /// # Errors
    /// What is missing or damaged.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Error> {
        let tensors =
            Tensors::parse(file, bytes).map_err(|error| no_probe_file(&error.into(), false))?;
        let is_feature_file = tensors.holds(FEATURES);
        let wrong = |error: Error| no_probe_file(&error, is_feature_file);
        let headers = headers(file, &tensors).map_err(wrong)?;
        let probes = headers
            .into_iter()
            .map(|header| {
                let kind = kind(file, &header.kind)?;
                let saved = SavedProbe {
                    file,
                    tensors: &tensors,
                    header: &header,
                };
                let probe = saved.load(kind).map_err(wrong)?;
                Ok((header.task, probe))
            })
            .collect::<Result<_, Error>>()?;
        let fitted_on = tensors
            .optional_metadata(FITTED_ON, "what `run --save-probes` writes")
            .map_err(|error| wrong(error.into()))?;
        Ok(Self { probes, fitted_on })
    }
}

/// The same error, of a file that was taken for one of probes.
fn no_probe_file(error: &Error, is_feature_file: bool) -> Error {
    let hint = if is_feature_file {
        "this is a file of features, for `--features`; `--probe` takes the `probes.safetensors` that `newt-pipe run --save-probes` writes"
    } else {
        "a probe file is the `probes.safetensors` that `newt-pipe run --save-probes` writes into its results folder"
    };
    Message::from(error).hint(hint).into()
}

/// The error of a metadata key `probes` that is `found` to be something else.
fn wrong_metadata(file: &str, found: &str, expected: &str) -> Message {
    let (file, found) = (text::path(file), said(found));
    Message::data(format!(
        "{file}: metadata key `{PROBES}` {found}, expected {expected}"
    ))
}

fn headers(file: &str, tensors: &Tensors<'_>) -> Result<Vec<Header>, Error> {
    let headers: Vec<Header> = tensors.metadata(PROBES, "a JSON array of fitted probes")?;
    let mut tasks = BTreeSet::new();
    if let Some(twice) = (headers.iter()).find(|header| !tasks.insert(header.task.as_str())) {
        let found = format!("names the task `{}` twice", foreign(&twice.task));
        return Err(wrong_metadata(file, &found, "each task once").into());
    }
    Ok(headers)
}

fn kind(file: &str, name: &str) -> Result<&'static Kind, Message> {
    name.parse().map(ClassifierName::kind).map_err(|_| {
        let found = format!("names the kind of classifier `{}`", foreign(name));
        let known = either(ClassifierName::VARIANTS.iter().map(ToString::to_string));
        wrong_metadata(file, &found, &known)
            .hint("a newer newt-pipe wrote the file; take that version or a later one")
    })
}

fn writer<'a>(probes: impl IntoIterator<Item = (&'a str, &'a FittedProbe)>) -> TensorWriter {
    let mut headers = Vec::new();
    let mut writer = TensorWriter::new();
    for (task, probe) in probes {
        let saved = probe.classifier.save();
        headers.push(Header {
            task: task.to_owned(),
            kind: probe.classifier.kind().to_string(),
            l2: probe.l2,
            settings: saved.settings,
        });
        for (name, rows) in saved.rows {
            writer = writer.array(&format!("{task}/{name}"), rows);
        }
        for (name, numbers) in saved.numbers {
            writer = writer.array(&format!("{task}/{name}"), &arr1(&numbers));
        }
        for (name, indices) in saved.indices {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "no task has 2^32 train rows"
            )]
            let indices: Array1<u32> = indices.iter().map(|row| *row as u32).collect();
            writer = writer.array(&format!("{task}/{name}"), &indices);
        }
        if let Some(mean) = &probe.mean {
            writer = writer.array(&format!("{task}/mean"), mean);
        }
        let scalers = [
            ("first_scaler", &probe.first_scaler),
            ("scaler", &probe.scaler),
        ];
        for (name, scaler) in scalers {
            let Some(scaler) = scaler else { continue };
            let mut columns = Array2::zeros((2, scaler.mean.len()));
            columns.row_mut(0).assign(&arr1(&scaler.mean));
            columns.row_mut(1).assign(&arr1(&scaler.scale));
            writer = writer.array(&format!("{task}/{name}"), &columns);
        }
    }
    writer.metadata(PROBES, &headers)
}

/// One probe of a file.
struct SavedProbe<'a> {
    file: &'a str,
    tensors: &'a Tensors<'a>,
    header: &'a Header,
}

impl SavedProbe<'_> {
    fn load(&self, kind: &Kind) -> Result<FittedProbe, Error> {
        let classifier = (kind.load)(self)?;
        let d = classifier.n_features();
        let holds = |part| self.tensors.holds(&self.name(part));
        let mean = holds("mean").then(|| self.array("mean", &[d]));
        let scaler = |part| {
            let scaler = holds(part).then(|| -> Result<_, Error> {
                let columns: Array2<f64> = self.array(part, &[2, d])?;
                let is_usable =
                    |(row, number): (usize, &f64)| number.is_finite() && (row < d || *number > 0.0);
                if let Some((_, number)) = columns.iter().enumerate().find(|at| !is_usable(*at)) {
                    let expected = "finite means, and scales above 0";
                    return Err(self.wrong_part(part, &format!("holds `{number}`"), expected));
                }
                Ok(Scaler {
                    mean: columns.row(0).to_vec(),
                    scale: columns.row(1).to_vec(),
                })
            });
            scaler.transpose()
        };
        Ok(FittedProbe {
            first_scaler: scaler("first_scaler")?,
            mean: mean.transpose()?,
            l2: self.header.l2,
            scaler: scaler("scaler")?,
            classifier,
        })
    }

    fn name(&self, part: &str) -> String {
        format!("{}/{part}", self.header.task)
    }

    fn array<T: Element, D: Dimension>(
        &self,
        part: &str,
        shape: &[usize],
    ) -> Result<Array<T, D>, Error> {
        let name = self.name(part);
        let array = self.tensors.array::<T, D>(&name)?;
        if array.shape() == shape {
            return Ok(array);
        }
        let found = format!("has shape {:?}", array.shape());
        Err(self.wrong_part(part, &found, &format!("{shape:?}")))
    }
}

impl Parts for SavedProbe<'_> {
    fn settings(&self) -> Value {
        self.header.settings.clone()
    }

    fn wrong_settings(&self, found: String, expected: &'static str) -> Error {
        wrong_metadata(self.file, &found, expected).into()
    }

    fn wrong_part(&self, name: &str, found: &str, expected: &str) -> Error {
        let (file, name) = (text::path(self.file), self.name(name));
        let tensor = foreign(&name);
        let text = format!("{file}: tensor `{tensor}` {found}, expected {expected}");
        Message::data(text).into()
    }

    fn rows(&self, name: &str) -> Result<Array2<f32>, Error> {
        let rows: Array2<f32> = self.tensors.array(&self.name(name))?;
        match rows.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(self.wrong_part(name, &format!("holds `{value}`"), FINITE)),
            None => Ok(rows),
        }
    }

    fn numbers(&self, name: &str, n: usize) -> Result<Vec<f64>, Error> {
        let numbers = self.array::<f64, Ix1>(name, &[n])?.to_vec();
        match numbers.iter().find(|number| !number.is_finite()) {
            Some(number) => Err(self.wrong_part(name, &format!("holds `{number}`"), FINITE)),
            None => Ok(numbers),
        }
    }

    fn indices(&self, name: &str, n: usize) -> Result<Vec<usize>, Error> {
        let indices: Array1<u32> = self.array(name, &[n])?;
        Ok(indices.into_iter().map(|row| row as usize).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ndarray::array;
    use serde_json::json;

    use super::*;
    use crate::probe::Kernel;
    use crate::probe::classifier::FittedClassifier;
    use crate::probe::linear::FittedLinear;
    use crate::probe::nearest_centroid::FittedCentroids;
    use crate::probe::nearest_neighbours::FittedNeighbours;
    use crate::probe::svc::{FittedSvc, KernelFunction};

    fn svc(kernel: Kernel) -> FittedSvc {
        FittedSvc {
            support_rows: vec![2, 0],
            support_vectors: array![[1.0, 2.0], [0.25, -1.0]],
            dual_coef: vec![-0.1, 0.1],
            bias: 1.0 / 7.0,
            function: KernelFunction {
                kernel,
                gamma: 3.3e-4,
                degree: 3,
                coef0: 0.0,
            },
        }
    }

    fn probes() -> Vec<(String, FittedProbe)> {
        let centred = FittedProbe {
            first_scaler: Some(Scaler {
                mean: vec![0.0, 0.1],
                scale: vec![0.3, 1.0],
            }),
            mean: Some(array![0.1, -0.2]),
            l2: true,
            scaler: Some(Scaler {
                mean: vec![1.0 / 3.0, 0.0],
                scale: vec![1.0, 2.0 / 7.0],
            }),
            classifier: Arc::new(svc(Kernel::Rbf)),
        };
        let plain = FittedProbe {
            first_scaler: None,
            mean: None,
            l2: false,
            scaler: None,
            classifier: Arc::new(svc(Kernel::Linear)),
        };
        vec![("a".to_owned(), centred), ("b/c".to_owned(), plain)]
    }

    fn linear_probes() -> Vec<(String, FittedProbe)> {
        let kinds = [
            ClassifierName::LinearSvc,
            ClassifierName::LogisticRegression,
        ];
        let probe = |kind: ClassifierName| FittedProbe {
            classifier: Arc::new(FittedLinear {
                kind,
                coef: vec![1.0 / 3.0, -2.0],
                intercept: 1.0 / 7.0,
            }),
            ..probes()[0].1.clone()
        };
        kinds.map(|kind| (kind.to_string(), probe(kind))).to_vec()
    }

    fn bytes_of(probes: &[(String, FittedProbe)]) -> Vec<u8> {
        ProbeFile::to_bytes(probes.iter().map(|(task, probe)| (task.as_str(), probe))).unwrap()
    }

    fn bytes() -> Vec<u8> {
        bytes_of(&probes())
    }

    #[test]
    fn a_linear_probe_reads_back_as_it_was_and_decides_alike() {
        let read = ProbeFile::parse("f", &bytes_of(&linear_probes())).unwrap();
        assert_eq!(read.probes, linear_probes());
        let x = array![[0.3_f32, 0.7], [-0.6, 0.1]];
        for ((_, read), (_, written)) in read.probes.iter().zip(linear_probes()) {
            let decision = |of: &FittedProbe| of.decision(x.view(), &Interrupt::default());
            assert_eq!(decision(read).unwrap(), decision(&written).unwrap());
            assert_eq!((read.label(0.0), read.label(1e-300)), (0, 1));
        }
    }

    #[test]
    fn weights_that_do_not_fit_are_named() {
        let bytes = bytes_of(&linear_probes());
        let edited = |from: &str, to: &str| {
            let mut bytes = bytes.clone();
            let at = bytes
                .windows(from.len())
                .position(|part| part == from.as_bytes());
            let at = at.unwrap();
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            ProbeFile::parse("f", &bytes).unwrap_err().to_string()
        };
        assert_eq!(
            edited(r#"\"n_features\":2"#, r#"\"n_features\":3"#),
            "f: tensor `linear-svc/coef` has shape [2], expected [3]"
        );
        let error = edited(r#"\"n_features\""#, r#"\"m_features\""#);
        assert!(
            error.starts_with("f: metadata key `probes` does not read: missing field `n_features`"),
            "{error}"
        );
    }

    #[test]
    fn a_probe_reads_back_as_it_was_and_decides_alike() {
        let read = ProbeFile::parse("f", &bytes()).unwrap();
        assert_eq!(read.probes, probes());
        let x = array![[0.3_f32, 0.7], [-0.6, 0.1]];
        let decision = |of: &[(String, FittedProbe)]| {
            let decided = of[0].1.decision(x.view(), &Interrupt::default());
            decided.unwrap()
        };
        assert_eq!(decision(&read.probes), decision(&probes()));
    }

    #[test]
    fn a_task_that_is_named_twice_is_refused() {
        let header =
            |task: &str| json!({ "task": task, "kernel": "linear", "degree": 3, "l2": true });
        let file = TensorWriter::new().metadata(PROBES, &[header("a"), header("b"), header("a")]);
        let error = ProbeFile::parse("f", &file.to_bytes().unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "f: metadata key `probes` names the task `a` twice, expected each task once"
        );
    }

    /// The file, with other words of equal length in its header.
    fn edited(from: &str, to: &str) -> Vec<u8> {
        assert_eq!(from.len(), to.len());
        let mut bytes = bytes();
        let is_there = |at: &usize| bytes[*at..].starts_with(from.as_bytes());
        let places: Vec<usize> = (0..bytes.len()).filter(is_there).collect();
        assert_eq!(places.len(), 2, "once for each probe");
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
        bytes
    }

    #[test]
    fn a_file_without_a_word_on_the_kind_holds_svcs() {
        let former = edited(r#"\"kind\":\"svc\","#, &" ".repeat(17));
        assert_eq!(ProbeFile::parse("f", &former).unwrap().probes, probes());
    }

    #[test]
    fn a_file_without_a_word_on_the_scaling_of_rows_reads() {
        let probes = probes();
        let tasks = probes.iter().map(|(task, probe)| (task.as_str(), probe));
        let former = json!({ "backbone": null, "norms": [0.5, 2.0] });
        let bytes = writer(tasks).metadata(FITTED_ON, &former).to_bytes();
        let fitted_on = FittedOn {
            backbone: None,
            l2: None,
            scaled_always: false,
            norms: [0.5, 2.0],
        };
        let read = ProbeFile::parse("f", &bytes.unwrap()).unwrap();
        assert_eq!(read.fitted_on, Some(fitted_on));
    }

    #[test]
    fn a_kind_that_is_not_known_is_named() {
        let later = edited(r#"\"kind\":\"svc\""#, r#"\"kind\":\"abc\""#);
        let error = ProbeFile::parse("f", &later).unwrap_err();
        assert_eq!(
            (error.to_string(), error.hint().unwrap()),
            (
                format!(
                    "f: metadata key `probes` names the kind of classifier `abc`, expected {}",
                    either(ClassifierName::VARIANTS.iter().map(ToString::to_string))
                ),
                "a newer newt-pipe wrote the file; take that version or a later one".to_owned()
            )
        );
    }

    #[test]
    fn parts_that_do_not_fit_each_other_are_named() {
        let mut probes = probes();
        probes[0].1.mean = Some(array![0.1, -0.2, 0.3]);
        let bytes = ProbeFile::to_bytes(probes.iter().map(|(task, probe)| (task.as_str(), probe)));
        assert_eq!(
            ProbeFile::parse("f", &bytes.unwrap())
                .unwrap_err()
                .to_string(),
            "f: tensor `a/mean` has shape [3], expected [2]"
        );
        let named = edited(r#"\"kernel\":\""#, r#"\"degree\":\""#);
        let error = ProbeFile::parse("f", &named).unwrap_err().to_string();
        assert!(
            error.starts_with("f: metadata key `probes` does not read: "),
            "{error}"
        );
    }

    fn neighbours() -> FittedNeighbours {
        FittedNeighbours {
            train_rows: array![[1.0, 2.0], [0.25, -1.0], [0.0, 0.5]],
            labels: vec![1, 0, 1],
            k: 2,
            temperature: 0.07,
        }
    }

    fn centroids() -> FittedCentroids {
        FittedCentroids {
            centroids: array![[1.0, 2.0], [0.25, -1.0]],
        }
    }

    /// A file with one probe, of task `a`.
    fn of(classifier: Arc<dyn FittedClassifier>) -> Vec<u8> {
        let probe = FittedProbe {
            first_scaler: None,
            mean: None,
            l2: true,
            scaler: None,
            classifier,
        };
        ProbeFile::to_bytes([("a", &probe)]).unwrap()
    }

    #[test]
    fn neighbours_and_centroids_read_back_as_they_were() {
        let classifiers: [Arc<dyn FittedClassifier>; 2] =
            [Arc::new(neighbours()), Arc::new(centroids())];
        for classifier in classifiers {
            let file = of(Arc::clone(&classifier));
            let read = ProbeFile::parse("f", &file).unwrap().probes.remove(0).1;
            assert_eq!(format!("{:?}", read.classifier), format!("{classifier:?}"));
            // Equally far from both: class 0.
            assert_eq!(read.label(0.0), 0);
        }
    }

    #[test]
    fn neighbours_and_centroids_that_cannot_be_are_named() {
        let refused = |classifier: Arc<dyn FittedClassifier>| {
            ProbeFile::parse("f", &of(classifier))
                .unwrap_err()
                .to_string()
        };
        let edits: [fn(&mut FittedNeighbours); 7] = [
            |fitted| fitted.labels[1] = 2,
            |fitted| fitted.labels.truncate(2),
            |fitted| fitted.k = 0,
            |fitted| fitted.k = 4,
            |fitted| fitted.temperature = 0.0,
            |fitted| fitted.train_rows = Array2::zeros((0, 2)),
            |fitted| fitted.train_rows = Array2::zeros((3, 0)),
        ];
        let mut found: Vec<String> = Vec::new();
        for edit in edits {
            let mut fitted = neighbours();
            edit(&mut fitted);
            found.push(refused(Arc::new(fitted)));
        }
        for shape in [(1, 2), (2, 0)] {
            let centroids = Array2::zeros(shape);
            found.push(refused(Arc::new(FittedCentroids { centroids })));
        }
        insta::assert_snapshot!(found.join("\n"), @"
        f: tensor `a/labels` holds `2`, expected `0` or `1`
        f: tensor `a/labels` has shape [2], expected [3]
        f: metadata key `probes` has k = 0, expected 1 to the number of train rows
        f: metadata key `probes` has k = 4, expected 1 to the number of train rows
        f: tensor `a/temperature` holds `0`, expected a number above 0
        f: tensor `a/train_rows` has shape [0, 2], expected a row and a column at least
        f: tensor `a/train_rows` has shape [3, 0], expected a row and a column at least
        f: tensor `a/centroids` has shape [1, 2], expected two rows and a column at least
        f: tensor `a/centroids` has shape [2, 0], expected two rows and a column at least
        ");
    }

    #[test]
    fn no_damage_is_a_panic() {
        let of_all_kinds = [
            bytes_of(&[probes(), linear_probes()].concat()),
            of(Arc::new(neighbours())),
            of(Arc::new(centroids())),
        ];
        for whole in of_all_kinds {
            for at in 0..whole.len() {
                let mut damaged = whole.clone();
                damaged[at] ^= 0x20;
                if let Ok(read) = ProbeFile::parse("f", &damaged) {
                    for (_, probe) in read.probes {
                        // An error or a value, but never a panic.
                        let x = array![[0.3_f32, 0.7]];
                        let _ = probe.decision(x.view(), &Interrupt::default());
                    }
                }
                assert!(ProbeFile::parse("f", &whole[..at]).is_err());
            }
        }
    }
}
