//! Features that somebody else extracted, in a safetensors file.

use std::path::{Path, PathBuf};

use ndarray::Array2;

use super::l2::{L2, Scaling};
use super::{changed_meanwhile, norm};
use crate::artifact::FeatureFile;
use crate::cache::{Digest, KeyBuilder};
use crate::context::Context;
use crate::error::{Error, Message};
use crate::interrupt::Interrupt;
use crate::newt::labels::Labels;
use crate::text::{self, Listing, count, foreign, thousands};

/// A file with a tensor `features` [n, d] and the n ids of its rows.
///
/// Its rows may have been scaled to unit L2 norm by whoever wrote it, which their norms tell.
#[derive(Debug)]
pub struct Precomputed {
    path: PathBuf,
    digest: Digest,
    /// Whether the user has been told that rows are not normalised, and what comes of it.
    has_told: bool,
}

impl Precomputed {
    /// The file at `path`, whose bytes have `digest`.
    pub fn new(path: &Path, digest: Digest) -> Self {
        Self {
            path: path.to_owned(),
            digest,
            has_told: false,
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
    /// Where the setting leaves it to the protocol, a file whose rows all have norm 1 serves one that has them so, bit
    /// for bit as it is, and none that takes rows as the network gives them. All rows of the file decide, whatever the
    /// sample.
    ///
    /// # Errors
    /// Errors of [`FeatureFile`]; ids that `labels` do not have are among them, as they mostly mean
    /// that the file belongs to another data set. Rows that are scaled and should not be, or that cannot be.
    pub fn rows(
        &mut self,
        ids: &[String],
        labels: &Labels,
        scaling: Scaling,
        context: Context<'_>,
    ) -> Result<Array2<f32>, Error> {
        let file = self.open(context.interrupt)?;
        let known: Vec<&str> = labels.rows.iter().map(|row| row.id.as_str()).collect();
        file.check_known(&known)?;
        let mut rows = file.select(ids)?;
        if self.is_to_scale(&file, scaling, context)? {
            norm::check_usable(&file)?;
            norm::normalize(&mut rows);
        }
        Ok(rows)
    }

    fn is_to_scale(
        &mut self,
        file: &FeatureFile,
        scaling: Scaling,
        context: Context<'_>,
    ) -> Result<bool, Message> {
        let far: Listing = norm::norms(file.features())
            .zip(file.ids())
            .filter(|(norm, _)| !norm::is_unit(*norm))
            .map(|(norm, id)| format!("`{}` ({})", foreign(id), norm::show(norm)))
            .collect();
        let name = text::path(&self.path);
        match (scaling.setting, scaling.of_protocol) {
            (L2::Auto, false) if far.is_empty() && !norm::are_zero(file.features()) => {
                let text = format!(
                    "{name}: every row has L2 norm 1, the protocol takes rows as the network gives them"
                );
                Err(Message::data(text).hint(
                    "`newt-pipe features export --raw` writes such rows; `--set features.l2=true` takes these",
                ))
            }
            (L2::Auto, true) if !far.is_empty() => {
                if !std::mem::replace(&mut self.has_told, true) {
                    context.progress.note(&format!(
                        "{name}: {} of {} with an L2 norm other than 1; all are scaled to norm 1, as the protocol has them",
                        thousands(far.n as u64),
                        count(file.ids().len(), "row", "rows"),
                    ));
                }
                Ok(true)
            }
            (L2::Set(false), true) if !far.is_empty() => {
                if !std::mem::replace(&mut self.has_told, true) {
                    context.progress.warn(&format!(
                        "{name}: {} with an L2 norm other than 1: {far}; rows are used as they are, the protocol has them at norm 1",
                        count(far.n, "row", "rows"),
                    ));
                }
                Ok(false)
            }
            (L2::Auto, _) => Ok(false),
            (L2::Set(is_on), _) => Ok(is_on),
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
