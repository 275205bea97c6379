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

    /// Makes sure that the file can serve protocols that take rows as the network gives them.
    ///
    /// # Errors
    /// Errors of [`Precomputed::open`]; rows that all have norm 1.
    pub fn check_is_raw(&self, interrupt: &Interrupt) -> Result<(), Error> {
        let file = self.open(interrupt)?;
        let all_are_unit = norm::norms(file.features()).all(norm::is_unit);
        if all_are_unit && !norm::are_zero(file.features()) {
            return Err(self.is_scaled().into());
        }
        Ok(())
    }

    /// That a protocol cannot take the rows.
    fn is_scaled(&self) -> Message {
        let name = text::path(&self.path);
        let text = format!(
            "{name}: every row has L2 norm 1, the protocol takes rows as the network gives them"
        );
        Message::data(text).hint(
            "`newt-pipe features export --raw` writes such rows; `--set features.l2=true` takes these",
        )
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
                Err(self.is_scaled())
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
            (L2::Set(false), false) if far.is_empty() && !norm::are_zero(file.features()) => {
                if !std::mem::replace(&mut self.has_told, true) {
                    context.progress.warn(&format!(
                        "{name}: every row has L2 norm 1; they are used as they are, the protocol takes rows as the network gives them"
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

    use ndarray::array;

    use super::*;
    use crate::newt::labels::{LabelRow, Split};
    use crate::progress::Warnings;

    /// A file of `rows`, for images `a`, `b` …, in a folder.
    struct Fixture {
        dir: tempfile::TempDir,
        labels: Labels,
        digest: Digest,
    }

    impl Fixture {
        fn new(rows: Array2<f32>) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let ids: Vec<String> = ('a'..).take(rows.nrows()).map(String::from).collect();
            let labels = ids.iter().map(|id| LabelRow {
                id: id.clone(),
                task: "t".to_owned(),
                cluster: "c".to_owned(),
                subcluster: None,
                text_label: None,
                label: 0,
                split: Split::Test,
            });
            let labels = Labels {
                rows: labels.collect(),
            };
            let file = FeatureFile::new("f", ids, rows, &Interrupt::default()).unwrap();
            let bytes = file.to_bytes().unwrap();
            fs_err::write(dir.path().join("f"), &bytes).unwrap();
            Self {
                dir,
                labels,
                digest: Digest::of(&bytes),
            }
        }

        /// The rows of `ids`, and what is warned of.
        fn rows(
            &self,
            ids: &[&str],
            setting: L2,
            of_protocol: bool,
        ) -> Result<(Array2<f32>, usize), Error> {
            let mut file = Precomputed::new(&self.dir.path().join("f"), self.digest);
            let ids: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
            let scaling = Scaling {
                setting,
                of_protocol,
            };
            let progress = Warnings::default();
            let context = Context {
                progress: &progress,
                interrupt: &Interrupt::default(),
            };
            let rows = file.rows(&ids, &self.labels, scaling, context)?;
            let n_warnings = progress.0.lock().unwrap().len();
            Ok((rows, n_warnings))
        }
    }

    /// Rows of norm 1 as half precision has it, and one of zeros.
    fn unit() -> Array2<f32> {
        array![[0.6, 0.801], [0.0, 0.0], [-1.0, 0.0]]
    }

    fn raw() -> Array2<f32> {
        array![[3.0, 4.0], [0.0, 0.0], [-1.0, 0.0]]
    }

    const ALL: [&str; 3] = ["a", "b", "c"];

    #[test]
    fn rows_of_norm_1_stay_bit_for_bit_unless_scaling_is_set() {
        let file = Fixture::new(unit());
        let auto = file.rows(&ALL, L2::Auto, true).unwrap();
        assert_eq!(auto, (unit(), 0));
        for of_protocol in [true, false] {
            let (set, n_warnings) = file.rows(&ALL, L2::Set(true), of_protocol).unwrap();
            assert_ne!(set, unit());
            assert!(norm::norms(&set).all(|norm| norm == 0.0 || (norm - 1.0).abs() < 1e-7));
            assert_eq!(n_warnings, 0);
        }
    }

    #[test]
    fn one_row_of_another_norm_has_all_scaled_whatever_the_sample() {
        let scaled = array![[0.6_f32, 0.8], [0.0, 0.0], [-1.0, 0.0]];
        let file = Fixture::new(raw());
        assert_eq!(file.rows(&ALL, L2::Auto, true).unwrap(), (scaled, 0));
        let file = Fixture::new(array![[0.6, 0.801], [3.0, 4.0]]);
        let (one, _) = file.rows(&["a"], L2::Auto, true).unwrap();
        let (both, _) = file.rows(&["a", "b"], L2::Auto, true).unwrap();
        assert_eq!(one.row(0), both.row(0));
    }

    #[test]
    fn rows_stay_as_they_are_where_that_is_set_with_a_warning_where_the_protocol_takes_others() {
        let file = Fixture::new(raw());
        let rows = |of_protocol| file.rows(&ALL, L2::Set(false), of_protocol).unwrap();
        assert_eq!((rows(true), rows(false)), ((raw(), 1), (raw(), 0)));
        let file = Fixture::new(unit());
        let rows = |of_protocol| file.rows(&ALL, L2::Set(false), of_protocol).unwrap();
        assert_eq!((rows(true), rows(false)), ((unit(), 0), (unit(), 1)));
    }

    #[test]
    fn a_protocol_of_raw_rows_refuses_a_file_whose_rows_are_scaled() {
        let file = Fixture::new(unit());
        let error = file.rows(&ALL, L2::Auto, false).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        let text = error.to_string();
        assert!(
            text.ends_with(
                "/f: every row has L2 norm 1, the protocol takes rows as the network gives them"
            ),
            "{text}"
        );
        assert_eq!(
            error.hint().unwrap(),
            "`newt-pipe features export --raw` writes such rows; `--set features.l2=true` takes these"
        );
        // As the hint says.
        let exported = Fixture::new(raw());
        assert_eq!(exported.rows(&ALL, L2::Auto, false).unwrap(), (raw(), 0));
        assert!(file.rows(&ALL, L2::Set(true), false).is_ok());
        // Of rows of zeros nobody knows whether they were scaled.
        let zeros = Fixture::new(array![[0.0, 0.0]]);
        assert!(zeros.rows(&["a"], L2::Auto, false).is_ok());
    }

    #[test]
    fn a_stop_comes_before_what_is_wrong_with_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("features.safetensors");
        let ids = vec!["a".to_owned()];
        let interrupt = Interrupt::default();
        let file = FeatureFile::new("f", ids, array![[1.0_f32]], &interrupt).unwrap();
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
