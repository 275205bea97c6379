//! Features that somebody else extracted, in a safetensors file.

use std::path::{Path, PathBuf};

use ndarray::Array2;

use super::{changed_meanwhile, norm};
use crate::artifact::FeatureFile;
use crate::cache::{Digest, KeyBuilder};
use crate::context::Context;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::newt::labels::Labels;
use crate::text::{self, Listing, count, foreign};

/// A file with a tensor `features` [n, d] and the n ids of its rows.
///
/// Rows are taken as they are: what the reference does to features after the backbone, scaling
/// them to unit L2 norm, is the writer's to do.
#[derive(Debug)]
pub struct Precomputed {
    path: PathBuf,
    digest: Digest,
    /// Whether the user has been told that rows are not normalised.
    has_warned: bool,
}

impl Precomputed {
    /// The file at `path`, whose bytes have `digest`.
    pub fn new(path: &Path, digest: Digest) -> Self {
        Self {
            path: path.to_owned(),
            digest,
            has_warned: false,
        }
    }

    /// The file as it was when it was hashed.
    ///
    /// # Errors
    /// A file that has changed since, errors of [`FeatureFile`], and [`Stopped`](crate::interrupt::Stopped) before any of
    /// them.
    pub fn open(&self, interrupt: &Interrupt) -> Result<FeatureFile, Error> {
        let bytes = FeatureFile::read(&self.path, interrupt)?;
        let mut hasher = blake3::Hasher::new();
        let read = hasher.update_reader(interrupt.over(&bytes[..])).map(drop);
        interrupt.check()?;
        read?;
        if Digest::from(hasher.finalize()) != self.digest {
            return Err(changed_meanwhile(&self.path).into());
        }
        FeatureFile::parse(&self.path.display().to_string(), &bytes, interrupt)
    }

    /// Adds what decides the features to a key.
    pub fn describe(&self, builder: KeyBuilder) -> KeyBuilder {
        builder.input("precomputed", self.digest)
    }

    /// The rows of `ids`, `[n, d]`, in their order.
    ///
    /// # Errors
    /// Errors of [`FeatureFile`]; ids that `labels` do not have are among them, as they mostly mean
    /// that the file belongs to another data set.
    pub fn rows(
        &mut self,
        ids: &[String],
        labels: &Labels,
        context: Context<'_>,
    ) -> Result<Array2<f32>, Error> {
        let file = self.open(context.interrupt)?;
        let known: Vec<&str> = labels.rows.iter().map(|row| row.id.as_str()).collect();
        file.check_known(&known)?;
        let rows = file.select(ids)?;
        self.warn_of_norms(&rows, ids, context);
        Ok(rows)
    }

    fn warn_of_norms(&mut self, rows: &Array2<f32>, ids: &[String], context: Context<'_>) {
        let far: Listing = rows
            .rows()
            .into_iter()
            .map(norm::norm)
            .zip(ids)
            .filter(|(norm, _)| !norm::is_unit(*norm))
            .map(|(norm, id)| format!("`{}` ({})", foreign(id), norm::show(norm)))
            .collect();
        if !far.is_empty() && !self.has_warned {
            self.has_warned = true;
            context.progress.warn(&format!(
                "{}: {} with an L2 norm other than 1: {far}; rows are used as they are, the reference has them at norm 1",
                text::path(&self.path),
                count(far.n, "row", "rows"),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn a_stop_comes_before_what_is_wrong_with_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("features.safetensors");
        let ids = vec!["a".to_owned()];
        let interrupt = Interrupt::default();
        let file = FeatureFile::new("f", ids, ndarray::array![[1.0_f32]], &interrupt).unwrap();
        fs_err::write(&path, file.to_bytes().unwrap()).unwrap();
        let other = Precomputed::new(&path, Digest::of(b"another file"));
        let error = other.open(&interrupt).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("changed while this run was reading it"),
            "{error}"
        );
        interrupt.flag().store(15, Ordering::Relaxed);
        let error = other.open(&interrupt).unwrap_err();
        assert_eq!(error.exit_code(), 75, "{error}");
    }
}
