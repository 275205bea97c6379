//! Features made elsewhere: one safetensors file, a row for each image.
//!
//! | part | content |
//! | --- | --- |
//! | tensor `features` | [n, d], F16, BF16, F32 or F64; read as f32 |
//! | metadata key `ids` | a JSON array of n image ids, the rows' |
//! | metadata key `l2` | `true` where the rows have been scaled to unit L2 norm, `false` where they are as the network gave them; absent where the file's writer did not say |
//! | metadata key `newt_pipe_backbone` | a [`BackboneId`]; absent where the file's writer did not say |
//!
//! Other tensors and metadata keys are passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use half::{bf16, f16};
use ndarray::{Array2, Axis, Ix2};
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde::de::IgnoredAny;

use super::tensors::metadata_json;
use super::{BackboneId, Element, TensorWriter, Tensors};
use crate::error::{Error, Message};
use crate::interrupt::Interrupt;
use crate::tensorfile;
use crate::text::{self, Listing, count, foreign};

const FEATURES: &str = "features";
const IDS: &str = "ids";
const L2: &str = "l2";
const BACKBONE: &str = "newt_pipe_backbone";

/// Features of images by id, checked: every id once, every row finite.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureFile {
    file: String,
    ids: Vec<String>,
    features: Array2<f32>,
    rows: BTreeMap<String, usize>,
    /// The backbone, where the file says it.
    pub backbone: Option<BackboneId>,
    /// Whether rows have been scaled to unit L2 norm, where the file says it. The norms of the rows decide what is done
    /// to them: this is for those who read it.
    pub l2: Option<bool>,
}

impl FeatureFile {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// Errors of [`read`](Self::read) and [`parse`](Self::parse).
    pub fn open(path: &Path, interrupt: &Interrupt) -> Result<Self, Error> {
        let bytes = Self::read(path, interrupt)?;
        Self::parse(&path.display().to_string(), &bytes, interrupt)
    }

    /// The bytes of the file at `path`, for [`parse`](Self::parse); a file that is not as long as its header says is not
    /// read, nor is one whose ids are not as many as its rows.
    ///
    /// # Errors
    /// Errors of reading the file, bad data where it is another than it should be; [`Stopped`](crate::interrupt::Stopped).
    pub fn read(path: &Path, interrupt: &Interrupt) -> Result<Vec<u8>, Error> {
        tensorfile::read(path, |header| check_ids(path, header), interrupt)
    }

    /// Makes sure that [`read`](Self::read) would give the bytes of the file at `path`, without reading more of it than
    /// the header.
    ///
    /// # Errors
    /// As [`read`](Self::read), but for a stop.
    pub fn check_header(path: &Path) -> Result<(), Error> {
        tensorfile::check_header(path, |header| check_ids(path, header))
    }

    /// Reads and checks the bytes of `file`, whose name serves in messages.
    ///
    /// # Errors
    /// Bad data where these are no whole safetensors file or one without features and ids; errors of [`new`](Self::new).
    pub fn parse(file: &str, bytes: &[u8], interrupt: &Interrupt) -> Result<Self, Error> {
        interrupt.check()?;
        let tensors = Tensors::parse(file, bytes)?;
        let features = features_of(&tensors).map_err(no_feature_file)?;
        interrupt.check()?;
        let ids = tensors
            .metadata(IDS, "a JSON array of image ids")
            .map_err(no_feature_file)?;
        let backbone = tensors
            .optional_metadata(BACKBONE, "what `features export` writes")
            .map_err(no_feature_file)?;
        // Whoever has another use for so short a name keeps it.
        let l2 = tensors.metadata(L2, "`true` or `false`").ok();
        Ok(Self {
            backbone,
            l2,
            ..Self::new(file, ids, features, interrupt)?
        })
    }

    /// Checks features `[n, d]` of n images; `file` serves in messages. There may be some million rows.
    ///
    /// # Errors
    /// Bad data where there are not as many ids as rows, where an id is given more than once, or with all rows that hold
    /// a NaN or an infinity; [`Stopped`](crate::interrupt::Stopped).
    pub fn new(
        file: &str,
        ids: Vec<String>,
        features: Array2<f32>,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        check_count(file, ids.len(), features.nrows())?;
        let (mut rows, mut twice) = (BTreeMap::new(), BTreeSet::new());
        for (row, id) in ids.iter().enumerate() {
            interrupt.check()?;
            if rows.insert(id.clone(), row).is_some() {
                twice.insert(id);
            }
        }
        if !twice.is_empty() {
            let n = count(twice.len(), "id", "ids");
            let ids = Listing::quoted(twice);
            let what = format!("{n} given more than once: {ids}");
            return Err(wrong(file, &what, "keep one row for each image").into());
        }
        let mut bad = Vec::new();
        for (row, values) in features.axis_iter(Axis(0)).enumerate() {
            interrupt.check()?;
            if values.iter().any(|value| !value.is_finite()) {
                bad.push(format!("row {row} (`{}`)", foreign(&ids[row])));
            }
        }
        if !bad.is_empty() {
            let n = count(bad.len(), "row", "rows");
            let rows: Listing = bad.into_iter().collect();
            let what = format!("{n} with a NaN or an infinity: {rows}");
            let hint = "make these rows again, or leave these images out of the labels";
            return Err(wrong(file, &what, hint).into());
        }
        Ok(Self {
            file: file.to_owned(),
            ids,
            features,
            rows,
            backbone: None,
            l2: None,
        })
    }

    /// The file's bytes: tensor `features` as F32, and the metadata.
    ///
    /// # Errors
    /// Bad data where the ids do not fit a header of 100 MB.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let writer = TensorWriter::new()
            .array(FEATURES, &self.features)
            .metadata(IDS, &self.ids);
        let writer = match &self.backbone {
            Some(backbone) => writer.metadata(BACKBONE, backbone),
            None => writer,
        };
        let writer = match &self.l2 {
            Some(l2) => writer.metadata(L2, l2),
            None => writer,
        };
        Ok(writer.to_bytes()?)
    }

    /// The file's name, as messages have it.
    pub fn name(&self) -> &str {
        &self.file
    }

    /// The ids, in the order of the rows.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// The features, `[n, d]`.
    pub fn features(&self) -> &Array2<f32> {
        &self.features
    }

    /// The rows of these images, in this order: `[ids.len(), d]`.
    ///
    /// # Errors
    /// Bad data with all images that have no row.
    pub fn select<S: AsRef<str>>(&self, ids: &[S]) -> Result<Array2<f32>, Message> {
        let rows: Vec<usize> = ids
            .iter()
            .filter_map(|id| self.rows.get(id.as_ref()).copied())
            .collect();
        if rows.len() == ids.len() {
            return Ok(self.features.select(Axis(0), &rows));
        }
        let ids = ids.iter().map(AsRef::as_ref);
        let missing = Listing::quoted(ids.filter(|id| !self.rows.contains_key(*id)));
        let n = count(missing.n, "image", "images");
        let what = format!("no features of {n}: {missing}");
        let hint = "add a row for each image of the labels";
        Err(wrong(&self.file, &what, hint))
    }

    /// Checks that every row belongs to one of these images.
    ///
    /// # Errors
    /// Bad data with all rows that do not.
    pub fn check_known<S: AsRef<str>>(&self, ids: &[S]) -> Result<(), Message> {
        let known: BTreeSet<&str> = ids.iter().map(AsRef::as_ref).collect();
        let ids = self.ids.iter().map(String::as_str);
        let surplus = Listing::quoted(ids.filter(|id| !known.contains(id)));
        if surplus.is_empty() {
            return Ok(());
        }
        let n = count(surplus.n, "image", "images");
        let what = format!("features of {n} that the labels do not list: {surplus}");
        let hint = "use the labels that the features were made for";
        Err(wrong(&self.file, &what, hint))
    }
}

fn wrong(file: &str, what: &str, hint: &str) -> Message {
    Message::data(format!("{}: {what}", text::path(file))).hint(hint)
}

/// What to do about a file that is a whole one, but none of features.
fn no_feature_file(message: Message) -> Message {
    message.hint(
        "a features file holds a float tensor `features` [n, d] and the metadata key `ids`, a JSON array of n image ids",
    )
}

fn check_count(file: &str, n_ids: usize, n_rows: usize) -> Result<(), Message> {
    if n_ids == n_rows {
        return Ok(());
    }
    let (n_ids, n_rows) = (count(n_ids, "id", "ids"), count(n_rows, "row", "rows"));
    let file = text::path(file);
    let text = format!("{file}: {n_ids} in `{IDS}`, {n_rows} in `{FEATURES}`");
    Err(no_feature_file(Message::data(text)))
}

/// Makes sure that there are as many ids as rows by the header of the file at `path`. Where it does not say,
/// [`FeatureFile::parse`] will.
fn check_ids(path: &Path, header: &Metadata) -> Result<(), Error> {
    let ids = metadata_json::<Vec<IgnoredAny>>(header, IDS);
    if let (Some(features), Ok(ids)) = (header.info(FEATURES), ids)
        && let [n_rows, _] = features.shape[..]
    {
        check_count(&path.display().to_string(), ids.len(), n_rows)?;
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the program works in f32; what is too large becomes infinite and is refused as such"
)]
fn features_of(tensors: &Tensors<'_>) -> Result<Array2<f32>, Message> {
    fn read<T: Element>(
        tensors: &Tensors<'_>,
        to_f32: fn(T) -> f32,
    ) -> Result<Array2<f32>, Message> {
        Ok(tensors.array::<T, Ix2>(FEATURES)?.mapv(to_f32))
    }
    match tensors.info(FEATURES)?.dtype {
        Dtype::F32 => read::<f32>(tensors, |value| value),
        Dtype::F16 => read::<f16>(tensors, f16::to_f32),
        Dtype::BF16 => read::<bf16>(tensors, bf16::to_f32),
        Dtype::F64 => read::<f64>(tensors, |value| value as f32),
        other => Err(tensors.wrong_type(FEATURES, other, "F16, BF16, F32 or F64")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interrupt::Stopped;
    use ndarray::array;
    use proptest::prelude::*;

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|&id| id.to_owned()).collect()
    }

    fn features() -> Array2<f32> {
        array![[1.0, 2.0], [-0.5, 0.0], [0.0, 1e-30]]
    }

    fn new(ids: Vec<String>, features: Array2<f32>) -> Result<FeatureFile, Error> {
        FeatureFile::new("f", ids, features, &Interrupt::default())
    }

    fn parse(bytes: &[u8]) -> Result<FeatureFile, Error> {
        FeatureFile::parse("f", bytes, &Interrupt::default())
    }

    fn small() -> FeatureFile {
        new(ids(&["b", "a", "ü"]), features()).unwrap()
    }

    fn error(result: Result<FeatureFile, Error>) -> String {
        let error = result.unwrap_err();
        assert!(error.hint().is_some());
        error.to_string()
    }

    #[test]
    fn file_round_trips_and_has_one_metadata_key() {
        let bytes = small().to_bytes().unwrap();
        assert_eq!(parse(&bytes).unwrap(), small());
        let header = String::from_utf8_lossy(&bytes[8..60]);
        assert!(
            header.starts_with(r#"{"__metadata__":{"ids":"[\"b\",\"a\",\"ü\"]"},"#),
            "{header}"
        );
    }

    #[test]
    fn what_is_said_of_the_norm_round_trips_and_another_use_of_the_key_is_passed_over() {
        for l2 in [Some(true), Some(false), None] {
            let file = FeatureFile { l2, ..small() };
            assert_eq!(parse(&file.to_bytes().unwrap()).unwrap(), file);
        }
        let writer = TensorWriter::new()
            .array(FEATURES, &features())
            .metadata(IDS, &["b", "a", "ü"])
            .metadata(L2, &"a layer of the network");
        assert_eq!(parse(&writer.to_bytes().unwrap()).unwrap(), small());
    }

    #[test]
    fn open_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clip.safetensors");
        let missing = FeatureFile::open(&path, &Interrupt::default()).unwrap_err();
        assert!(missing.to_string().contains("clip.safetensors"));
        let bytes = small().to_bytes().unwrap();
        fs_err::write(&path, &bytes[..bytes.len() - 4]).unwrap();
        assert!(
            error(FeatureFile::open(&path, &Interrupt::default()))
                .contains("clip.safetensors: cut short: ")
        );
        fs_err::write(&path, &bytes).unwrap();
        assert_eq!(
            FeatureFile::open(&path, &Interrupt::default())
                .unwrap()
                .ids(),
            ["b", "a", "ü"]
        );
    }

    #[test]
    fn a_stop_is_heard_while_the_file_is_read_and_while_it_is_parsed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let bytes = small().to_bytes().unwrap();
        fs_err::write(&path, &bytes).unwrap();
        let interrupt = Interrupt::default();
        assert!(FeatureFile::open(&path, &interrupt).is_ok());
        interrupt
            .flag()
            .store(15, std::sync::atomic::Ordering::Relaxed);
        let is_stopped = |error: Error| error.is_a::<Stopped>().is_some();
        let read = FeatureFile::read(&path, &interrupt).unwrap_err();
        assert!(is_stopped(read));
        // Though there is something wrong with the rows, too.
        let parsed = FeatureFile::parse("f", &bytes[1..], &interrupt);
        assert!(is_stopped(parsed.unwrap_err()));
        let twice = FeatureFile::new("f", ids(&["a", "a", "a"]), features(), &interrupt);
        assert!(is_stopped(twice.unwrap_err()));
    }

    #[test]
    fn every_float_type_is_read_as_f32() {
        let doubles = features().mapv(f64::from);
        let with = |writer: TensorWriter| {
            let bytes = writer.metadata(IDS, &["b", "a", "ü"]).to_bytes().unwrap();
            parse(&bytes).unwrap().features().clone()
        };
        assert_eq!(
            with(TensorWriter::new().array(FEATURES, &doubles)),
            features()
        );
        let brains = features().mapv(bf16::from_f32);
        assert_eq!(
            with(TensorWriter::new().array(FEATURES, &brains)),
            brains.mapv(bf16::to_f32)
        );
        let halves = array![[0.5, 1.0], [2.0, 3.0], [-1.0, 65504.0]];
        assert_eq!(
            with(TensorWriter::new().array(FEATURES, &halves.mapv(f16::from_f32))),
            halves
        );
    }

    #[test]
    fn wrong_tensor_or_metadata_is_named() {
        let parse = |writer: TensorWriter| error(parse(&writer.to_bytes().unwrap()));
        let new = TensorWriter::new;
        assert_eq!(
            parse(new().array("x", &features()).metadata(IDS, &["a"])),
            "f: no tensor `features`, the file holds `x`"
        );
        assert_eq!(
            parse(
                new()
                    .array(FEATURES, &array![[1_u32]])
                    .metadata(IDS, &["a"])
            ),
            "f: tensor `features` has type U32, expected F16, BF16, F32 or F64"
        );
        assert_eq!(
            parse(new().array(FEATURES, &array![1_f32]).metadata(IDS, &["a"])),
            "f: tensor `features` has shape [1], expected 2 dimensions"
        );
        assert_eq!(
            parse(new().array(FEATURES, &features())),
            "f: metadata key `ids` is absent, expected a JSON array of image ids"
        );
        for not_ids in [
            serde_json::json!({"a": 0}),
            serde_json::json!([1, 2, 3]),
            serde_json::json!(null),
        ] {
            let text = parse(new().array(FEATURES, &features()).metadata(IDS, &not_ids));
            assert!(
                text.starts_with("f: metadata key `ids` does not read: "),
                "{text}"
            );
        }
        assert_eq!(
            parse(
                new()
                    .array(FEATURES, &features())
                    .metadata(IDS, &["a", "b"])
            ),
            "f: 2 ids in `ids`, 3 rows in `features`"
        );
    }

    #[test]
    fn duplicate_ids_are_named() {
        assert_eq!(
            error(new(ids(&["b", "a", "b"]), features())),
            "f: 1 id given more than once: `b`"
        );
    }

    #[test]
    fn all_bad_rows_are_found_at_once_and_named() {
        let mut features = features();
        features[[0, 1]] = f32::NAN;
        features[[1, 0]] = f32::NEG_INFINITY;
        assert_eq!(
            error(new(ids(&["b", "a", "ü"]), features)),
            "f: 2 rows with a NaN or an infinity: row 0 (`b`), row 1 (`a`)"
        );
        let many = (0..25).map(|i| i.to_string()).collect();
        let text = error(new(many, Array2::from_elem((25, 2), f32::NAN)));
        assert!(
            text.starts_with("f: 25 rows with a NaN or an infinity: row 0 (`0`), "),
            "{text}"
        );
        assert!(text.ends_with("row 9 (`9`) and 15 more"), "{text}");
    }

    #[test]
    fn value_beyond_f32_counts_as_infinite() {
        let bytes = TensorWriter::new()
            .array(FEATURES, &array![[1e300_f64]])
            .metadata(IDS, &["a"])
            .to_bytes()
            .unwrap();
        assert!(error(parse(&bytes)).contains("row 0 (`a`)"));
    }

    #[test]
    fn rows_are_selected_by_id() {
        assert_eq!(
            small().select(&["ü", "b", "ü"]).unwrap(),
            array![[0.0, 1e-30], [1.0, 2.0], [0.0, 1e-30]]
        );
        assert_eq!(small().select::<&str>(&[]).unwrap().dim(), (0, 2));
        let error = small().select(&["x", "a", "y"]).unwrap_err();
        assert_eq!(error.to_string(), "f: no features of 2 images: `x`, `y`");
    }

    #[test]
    fn rows_of_unknown_images_are_named() {
        small().check_known(&["a", "b", "c", "ü"]).unwrap();
        let error = small().check_known(&["a"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "f: features of 2 images that the labels do not list: `b`, `ü`"
        );
    }

    proptest! {
        #[test]
        fn changed_bytes_never_panic(
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
            keep in any::<proptest::sample::Index>(),
            cut in any::<bool>(),
        ) {
            let mut bytes = small().to_bytes().unwrap();
            for (index, byte) in changes {
                let i = index.index(bytes.len());
                bytes[i] = byte;
            }
            if cut {
                bytes.truncate(keep.index(bytes.len()));
            }
            if let Ok(file) = parse(&bytes) {
                prop_assert_eq!(file.ids().len(), 3);
                prop_assert!(file.features().iter().all(|value| value.is_finite()));
            }
        }

        #[test]
        fn any_header_never_panics(header in "[\\[\\]{}\",:a-z0-9F_]{0,80}", n_data in 0_usize..40) {
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend(header.as_bytes());
            bytes.extend(vec![1; n_data]);
            let _ = parse(&bytes);
        }
    }
}
