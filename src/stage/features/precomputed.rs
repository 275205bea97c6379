//! Features that somebody else extracted, in a safetensors file.

use std::path::{Path, PathBuf};

use ndarray::Array2;

use crate::artifact::FeatureFile;
use crate::cache::{Digest, KeyBuilder};
use crate::error::Error;
use crate::newt::labels::Labels;
use crate::stage::{Context, StageError};

/// A file with a tensor `features` [n, d] and the n ids of its rows.
///
/// Rows are taken as they are: what the reference does to features after the backbone, scaling
/// them to unit L2 norm, is the writer's to do.
#[derive(Debug)]
pub struct Precomputed {
    path: PathBuf,
    digest: Digest,
}

/// How far a row's norm may be from one before the user is told that rows are not normalised.
/// Half-precision rows of 10,000 features stay below.
const NORM_TOLERANCE: f32 = 1e-2;

impl Precomputed {
    /// The file at `path`, whose bytes have `digest`.
    pub fn new(path: &Path, digest: Digest) -> Self {
        Self {
            path: path.to_owned(),
            digest,
        }
    }

    /// Adds what decides the features to a key.
    pub(super) fn describe(&self, builder: KeyBuilder) -> KeyBuilder {
        builder.input("precomputed", self.digest)
    }

    /// The rows of `ids`, `[n, d]`, in their order.
    ///
    /// # Errors
    /// Those of [`FeatureFile`]; ids that `labels` do not have are among them, as they mostly mean
    /// that the file belongs to another data set.
    pub(super) fn rows(
        &self,
        ids: &[String],
        labels: &Labels,
        context: Context<'_>,
    ) -> Result<Array2<f32>, Error> {
        let bytes = fs_err::read(&self.path).map_err(Error::Io)?;
        if Digest::of(&bytes) != self.digest {
            return Err(StageError::ChangedMeanwhile {
                path: self.path.clone(),
            }
            .into());
        }
        let file = FeatureFile::parse(&self.path.display().to_string(), &bytes)?;
        let known: Vec<&str> = labels.rows.iter().map(|row| row.id.as_str()).collect();
        file.check_known(&known)?;
        let rows = file.select(ids)?;
        // Rows of zeros, which nothing can normalise, are reported with those of networks.
        let far = rows.rows().into_iter().position(|row| {
            let is_zero = row.iter().all(|value| *value == 0.0);
            !is_zero && (row.dot(&row).sqrt() - 1.0).abs() > NORM_TOLERANCE
        });
        if let Some(row) = far {
            let norm = rows.row(row).dot(&rows.row(row)).sqrt();
            context.progress.warn(&format!(
                "{}: the row of `{}` has L2 norm {norm:.4}; rows are used as they are, the reference has them at norm 1",
                self.path.display(),
                ids[row]
            ));
        }
        Ok(rows)
    }
}
