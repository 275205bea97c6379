//! Fitted probes: one safetensors file, several tensors for each task.
//!
//! | part | content |
//! | --- | --- |
//! | `<task>/support_vectors` | [n, d] F32, as the SVM saw them |
//! | `<task>/support_rows` | [n] U32, indices among the task's train rows, class 0 first |
//! | `<task>/dual_coef` | [n] F64, scikit-learn's sign |
//! | `<task>/numbers` | [3] F64: bias (scikit-learn's `intercept_`), gamma, coef0 |
//! | `<task>/mean` | [d] F32, where the probe centres |
//! | `<task>/scaler` | [2, d] F64: mean and scale of the columns, where the probe standardises |
//! | metadata key `probes` | a JSON array of `{task, kernel, degree, l2}` |
//! | metadata key `fitted_on` | a [`FittedOn`]; absent in the cache, whose keys say more, and in files of version 0.1 |
//!
//! A probe that is written and read again makes the same decisions bit for bit.

use std::collections::BTreeSet;
use std::path::Path;

use ndarray::{Array1, Array2, Ix1, Ix2, arr1};
use serde::{Deserialize, Serialize};

use super::{BackboneId, Error, TensorWriter, Tensors};
use crate::interrupt::Interrupt;
use crate::probe::{FittedProbe, Scaler};
use crate::tensorfile;
use crate::text::foreign;

const PROBES: &str = "probes";
const FITTED_ON: &str = "fitted_on";
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
    /// The smallest and the largest L2 norm of their rows.
    pub norms: [f64; 2],
}

/// What the metadata says of one probe.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    task: String,
    kernel: String,
    degree: u32,
    l2: bool,
}

impl ProbeFile {
    /// The file, as stage `probes` writes it: it does not say what the probes were fitted on.
    ///
    /// # Errors
    /// [`Error::NotSafetensors`] where the tasks' names do not fit a header of 100 MB.
    pub fn to_bytes<'a>(
        probes: impl IntoIterator<Item = (&'a str, &'a FittedProbe)>,
    ) -> Result<Vec<u8>, Error> {
        writer(probes).to_bytes()
    }

    /// The file that [`to_bytes`](Self::to_bytes) wrote, with what its probes were fitted on.
    ///
    /// # Errors
    /// As [`parse`](Self::parse) and [`to_bytes`](Self::to_bytes).
    pub fn with_fitted_on(bytes: &[u8], fitted_on: &FittedOn) -> Result<Vec<u8>, Error> {
        let file = Self::parse(PROBES, bytes)?;
        let probes = file
            .probes
            .iter()
            .map(|(task, probe)| (task.as_str(), probe));
        writer(probes).metadata(FITTED_ON, fitted_on).to_bytes()
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Stopped`], and those of [`parse`](Self::parse).
    pub fn open(path: &Path, interrupt: &Interrupt) -> Result<Self, Error> {
        let bytes = tensorfile::read(path, |_| Ok(()), interrupt).map_err(|error| match error {
            Error::NotSafetensors { .. } => Error::ProbeFile {
                is_feature_file: false,
                source: Box::new(error),
            },
            error => error,
        })?;
        Self::parse(&path.display().to_string(), &bytes)
    }

    /// Reads the bytes of `file`, whose name serves in messages.
    ///
    /// # Errors
    /// [`Error::ProbeFile`] with what is missing or damaged.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |is_feature_file| {
            move |error| Error::ProbeFile {
                is_feature_file,
                source: Box::new(error),
            }
        };
        let tensors = Tensors::parse(file, bytes).map_err(wrong(false))?;
        parse(file, &tensors).map_err(wrong(tensors.holds(FEATURES)))
    }
}

fn parse(file: &str, tensors: &Tensors<'_>) -> Result<ProbeFile, Error> {
    let headers: Vec<Header> = tensors.metadata(PROBES, "a JSON array of fitted probes")?;
    let mut tasks = BTreeSet::new();
    if let Some(twice) = (headers.iter()).find(|header| !tasks.insert(header.task.as_str())) {
        return Err(Error::Metadata {
            file: file.to_owned(),
            key: PROBES,
            found: format!("names the task `{}` twice", foreign(&twice.task)),
            expected: "each task once",
        });
    }
    let probes = headers
        .into_iter()
        .map(|header| {
            let probe = read(file, tensors, &header)?;
            Ok((header.task, probe))
        })
        .collect::<Result<_, Error>>()?;
    let fitted_on = tensors.optional_metadata(FITTED_ON, "what `run --save-probes` writes")?;
    Ok(ProbeFile { probes, fitted_on })
}

fn writer<'a>(probes: impl IntoIterator<Item = (&'a str, &'a FittedProbe)>) -> TensorWriter {
    let mut headers = Vec::new();
    let mut writer = TensorWriter::new();
    for (task, probe) in probes {
        headers.push(Header {
            task: task.to_owned(),
            kernel: probe.kernel.to_string(),
            degree: probe.degree,
            l2: probe.l2,
        });
        #[expect(
            clippy::cast_possible_truncation,
            reason = "no task has 2^32 train rows"
        )]
        let rows: Array1<u32> = probe.support_rows.iter().map(|row| *row as u32).collect();
        writer = writer
            .array(&format!("{task}/support_vectors"), &probe.support_vectors)
            .array(&format!("{task}/support_rows"), &rows)
            .array(&format!("{task}/dual_coef"), &arr1(&probe.dual_coef))
            .array(
                &format!("{task}/numbers"),
                &arr1(&[probe.bias, probe.gamma, probe.coef0]),
            );
        if let Some(mean) = &probe.mean {
            writer = writer.array(&format!("{task}/mean"), mean);
        }
        if let Some(scaler) = &probe.scaler {
            let mut columns = Array2::zeros((2, scaler.mean.len()));
            columns.row_mut(0).assign(&arr1(&scaler.mean));
            columns.row_mut(1).assign(&arr1(&scaler.scale));
            writer = writer.array(&format!("{task}/scaler"), &columns);
        }
    }
    writer.metadata(PROBES, &headers)
}

fn read(file: &str, tensors: &Tensors<'_>, header: &Header) -> Result<FittedProbe, Error> {
    let name = |part: &str| format!("{}/{part}", header.task);
    let kernel = header.kernel.parse().map_err(|_| Error::Metadata {
        file: file.to_owned(),
        key: PROBES,
        found: format!("names the kernel `{}`", header.kernel),
        expected: "`linear`, `rbf`, `poly` or `sigmoid`",
    })?;
    let support_rows = tensors.array::<u32, Ix1>(&name("support_rows"))?;
    let numbers = tensors.array::<f64, Ix1>(&name("numbers"))?;
    let &[bias, gamma, coef0] = numbers.as_slice().unwrap_or_default() else {
        return Err(Error::TensorShape {
            file: file.to_owned(),
            tensor: name("numbers"),
            found: numbers.shape().to_vec(),
            expected: "[3]".to_owned(),
        });
    };
    let mean = tensors
        .holds(&name("mean"))
        .then(|| tensors.array::<f32, Ix1>(&name("mean")))
        .transpose()?;
    let scaler = tensors
        .holds(&name("scaler"))
        .then(|| {
            let columns = tensors.array::<f64, Ix2>(&name("scaler"))?;
            if columns.nrows() != 2 {
                return Err(Error::TensorShape {
                    file: file.to_owned(),
                    tensor: name("scaler"),
                    found: columns.shape().to_vec(),
                    expected: "[2, d]".to_owned(),
                });
            }
            Ok(Scaler {
                mean: columns.row(0).to_vec(),
                scale: columns.row(1).to_vec(),
            })
        })
        .transpose()?;
    Ok(FittedProbe {
        mean,
        l2: header.l2,
        scaler,
        support_rows: support_rows.into_iter().map(|row| row as usize).collect(),
        support_vectors: tensors.array::<f32, Ix2>(&name("support_vectors"))?,
        dual_coef: tensors.array::<f64, Ix1>(&name("dual_coef"))?.to_vec(),
        bias,
        kernel,
        gamma,
        degree: header.degree,
        coef0,
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::probe::Kernel;

    fn probes() -> Vec<(String, FittedProbe)> {
        let centred = FittedProbe {
            mean: Some(array![0.1, -0.2]),
            l2: true,
            scaler: Some(Scaler {
                mean: vec![1.0 / 3.0, 0.0],
                scale: vec![1.0, 2.0 / 7.0],
            }),
            support_rows: vec![2, 0],
            support_vectors: array![[1.0, 2.0], [0.25, -1.0]],
            dual_coef: vec![-0.1, 0.1],
            bias: 1.0 / 7.0,
            kernel: Kernel::Rbf,
            gamma: 3.3e-4,
            degree: 3,
            coef0: 0.0,
        };
        let plain = FittedProbe {
            mean: None,
            l2: false,
            scaler: None,
            kernel: Kernel::Linear,
            ..centred.clone()
        };
        vec![("a".to_owned(), centred), ("b/c".to_owned(), plain)]
    }

    fn bytes() -> Vec<u8> {
        ProbeFile::to_bytes(probes().iter().map(|(task, probe)| (task.as_str(), probe))).unwrap()
    }

    #[test]
    fn a_probe_reads_back_as_it_was_and_decides_alike() {
        let read = ProbeFile::parse("f", &bytes()).unwrap();
        assert_eq!(read.probes, probes());
        let x = array![[0.3_f32, 0.7], [-0.6, 0.1]];
        assert_eq!(
            read.probes[0].1.decision(x.view()).unwrap(),
            probes()[0].1.decision(x.view()).unwrap()
        );
    }

    #[test]
    fn a_task_that_is_named_twice_is_refused() {
        let header = |task: &str| Header {
            task: task.to_owned(),
            kernel: "linear".to_owned(),
            degree: 3,
            l2: true,
        };
        let file = TensorWriter::new().metadata(PROBES, &[header("a"), header("b"), header("a")]);
        let error = ProbeFile::parse("f", &file.to_bytes().unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "f: metadata key `probes` names the task `a` twice, expected each task once"
        );
    }

    #[test]
    fn no_damage_is_a_panic() {
        let whole = bytes();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x20;
            if let Ok(read) = ProbeFile::parse("f", &damaged) {
                for (_, probe) in read.probes {
                    // An error or a value, but never a panic.
                    let _ = probe.decision(array![[0.3_f32, 0.7]].view());
                }
            }
            assert!(ProbeFile::parse("f", &whole[..at]).is_err());
        }
    }
}
