//! Features by image digest, in shards: what was extracted once is never extracted again.
//!
//! | part of a shard | content |
//! | --- | --- |
//! | tensor `features` | [n, d] f32 |
//! | metadata key `images` | a JSON array of the n images' digests, the rows' |
//!
//! A shard is written once and never changed, see [`ShardStore`]. Two processes that extract the same image leave
//! two rows of it; the one in the shard with the smallest digest is used, by all.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array2, ArrayView2, Ix2};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::damage::{LENGTH_BYTES, MAX_HEADER_BYTES, header_bytes};
use super::tensors::metadata_json;
use super::{Error, TensorWriter, Tensors};
use crate::cache::{self, Cache, Digest, Key, ShardStore};
use crate::progress::Progress;

const FEATURES: &str = "features";
const IMAGES: &str = "images";

/// How much of a shard is read for its header at first: that of 900 images fits.
const HEAD_BYTES: u64 = 1 << 16;

/// Where an image's row is.
#[derive(Debug, Clone, Copy)]
struct Place {
    shard: Digest,
    row: usize,
}

/// The features of one backbone, by image digest.
#[derive(Debug)]
pub struct FeatureStore {
    shards: ShardStore,
    dim: usize,
    places: BTreeMap<Digest, Place>,
}

impl FeatureStore {
    /// The features that the backbone with this key, of dimension `dim`, has extracted so far.
    ///
    /// Reads the headers of all shards. A damaged shard is removed with a warning: its images count as missing.
    ///
    /// # Errors
    /// [`Error::Cache`] where the folder cannot be read, or a damaged shard not be removed.
    pub fn open(
        cache: &Cache,
        key: &Key,
        dim: usize,
        progress: &dyn Progress,
    ) -> Result<Self, Error> {
        let mut store = Self {
            shards: ShardStore::open(cache, key, "safetensors"),
            dim,
            places: BTreeMap::new(),
        };
        store.index(progress)?;
        Ok(store)
    }

    /// The number of images with features.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether no image has features.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Where the images without features stand in `images`: the first of each, in order.
    pub fn missing(&self, images: &[Digest]) -> Vec<usize> {
        let mut firsts = BTreeMap::new();
        for (position, image) in images.iter().enumerate() {
            if !self.places.contains_key(image) {
                firsts.entry(image).or_insert(position);
            }
        }
        let mut positions: Vec<usize> = firsts.into_values().collect();
        positions.sort_unstable();
        positions
    }

    /// Adds the features of these images, `[images.len(), dim]` f32, as one shard.
    ///
    /// They are on the disk once this returns, whatever happens to the process afterwards.
    ///
    /// # Errors
    /// [`Error::RowShape`]; [`Error::Cache`] where the shard is not written, and then nothing of it is there.
    pub fn append(&mut self, images: &[Digest], rows: ArrayView2<'_, f32>) -> Result<(), Error> {
        if rows.dim() != (images.len(), self.dim) {
            return Err(Error::RowShape {
                n_images: images.len(),
                dim: self.dim,
                found: [rows.nrows(), rows.ncols()],
            });
        }
        if images.is_empty() {
            return Ok(());
        }
        let bytes = TensorWriter::new()
            .array(FEATURES, &rows)
            .metadata(IMAGES, &images)
            .to_bytes()?;
        let shard = self.shards.publish(&bytes)?;
        self.add(shard, images);
        Ok(())
    }

    /// Removes every shard that holds a row of these images; other images that were in such a shard
    /// are missing from then on, too.
    ///
    /// # Errors
    /// [`Error::Cache`] where a file cannot be removed.
    pub fn forget(&mut self, images: &[Digest]) -> Result<(), Error> {
        let shards: BTreeSet<Digest> = images
            .iter()
            .filter_map(|image| self.places.get(image))
            .map(|place| place.shard)
            .collect();
        for shard in &shards {
            self.shards.discard(shard)?;
        }
        self.places
            .retain(|_, place| !shards.contains(&place.shard));
        Ok(())
    }

    /// The features of these images, in this order: `[images.len(), dim]` f32, from shards whose digests are checked.
    ///
    /// # Errors
    /// [`Error::Lost`] with the positions that have no features. Shards that turn out damaged are removed with a
    /// warning, so that extracting what is [`missing`](Self::missing) and reading again succeeds.
    /// [`Error::Cache`] where a file cannot be read or removed.
    pub fn read(
        &mut self,
        images: &[Digest],
        progress: &dyn Progress,
    ) -> Result<Array2<f32>, Error> {
        // A damaged shard leaves the store, so there are at most as many rounds as shards.
        while let Some(places) = self.locate(images) {
            match self.read_places(images, &places)? {
                Outcome::Whole(rows) => return Ok(rows),
                Outcome::Damaged(shard, why) => {
                    self.discard(&shard, &why, progress)?;
                    self.index(progress)?;
                }
            }
        }
        Err(Error::Lost {
            positions: self.missing(images),
        })
    }

    /// Where the rows of all images are, by shard: (position among `images`, row of the shard).
    fn locate(&self, images: &[Digest]) -> Option<BTreeMap<Digest, Vec<(usize, usize)>>> {
        let mut by_shard = BTreeMap::<Digest, Vec<(usize, usize)>>::new();
        for (position, image) in images.iter().enumerate() {
            let place = self.places.get(image)?;
            by_shard
                .entry(place.shard)
                .or_default()
                .push((position, place.row));
        }
        Some(by_shard)
    }

    fn read_places(
        &self,
        images: &[Digest],
        by_shard: &BTreeMap<Digest, Vec<(usize, usize)>>,
    ) -> Result<Outcome, Error> {
        let mut rows = Array2::zeros((images.len(), self.dim));
        for (shard, places) in by_shard {
            let bytes = match self.shards.read(shard) {
                Ok(bytes) => bytes,
                Err(error) if error.is_loss() => {
                    return Ok(Outcome::Damaged(*shard, error.to_string()));
                }
                Err(error) => return Err(error.into()),
            };
            // The header that the index was made of was not checked: the whole shard decides.
            let (found, features) = match self.parse(shard, &bytes) {
                Ok(parsed) => parsed,
                Err(error) => return Ok(Outcome::Damaged(*shard, error.to_string())),
            };
            for &(position, row) in places {
                if found.get(row) != Some(&images[position]) {
                    let why = format!("{}: the header lacks the row of an image", self.name(shard));
                    return Ok(Outcome::Damaged(*shard, why));
                }
                rows.row_mut(position).assign(&features.row(row));
            }
        }
        Ok(Outcome::Whole(rows))
    }

    /// The images and the features `[n, dim]` of a shard.
    fn parse(&self, shard: &Digest, bytes: &[u8]) -> Result<(Vec<Digest>, Array2<f32>), Error> {
        let name = self.name(shard);
        let tensors = Tensors::parse(&name, bytes)?;
        let images: Vec<Digest> = tensors.metadata(IMAGES, "a JSON array of digests")?;
        let features = tensors.array::<f32, Ix2>(FEATURES)?;
        if features.dim() == (images.len(), self.dim) {
            Ok((images, features))
        } else {
            Err(Error::TensorShape {
                file: name,
                tensor: FEATURES.to_owned(),
                found: features.shape().to_vec(),
                expected: format!("[{}, {}]", images.len(), self.dim),
            })
        }
    }

    /// Reads the headers of all shards anew.
    fn index(&mut self, progress: &dyn Progress) -> Result<(), Error> {
        self.places.clear();
        for shard in self.shards.list()? {
            match self.head(&shard) {
                Ok(Some(images)) => self.add(shard, &images),
                Ok(None) => match self.shards.read(&shard) {
                    Err(error) if error.is_loss() => {
                        self.discard(&shard, &error.to_string(), progress)?;
                    }
                    Err(error) => return Err(error.into()),
                    // Somebody's whole work, if not ours: not to be removed.
                    Ok(_) => progress.warn(&format!(
                        "{}: no shard of {} features, passed over",
                        self.name(&shard),
                        self.dim
                    )),
                },
                // Another process found it damaged and removed it.
                Err(_) if !self.shards.path(&shard).exists() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn add(&mut self, shard: Digest, images: &[Digest]) {
        for (row, image) in images.iter().enumerate() {
            self.places
                .entry(*image)
                .and_modify(|place| {
                    if shard < place.shard {
                        *place = Place { shard, row };
                    }
                })
                .or_insert(Place { shard, row });
        }
    }

    /// The images of a shard by its header, which is not checked; `None` if it is no header of a shard.
    fn head(&self, shard: &Digest) -> Result<Option<Vec<Digest>>, cache::Error> {
        let mut head = self.shards.read_head(shard, HEAD_BYTES)?;
        let Some(n_header) = header_bytes(&head).filter(|n| *n <= MAX_HEADER_BYTES) else {
            return Ok(None);
        };
        let n_head = n_header + LENGTH_BYTES as u64;
        if n_head > head.len() as u64 {
            head = self.shards.read_head(shard, n_head)?;
        }
        let header = usize::try_from(n_head)
            .ok()
            .and_then(|n_head| head.get(LENGTH_BYTES..n_head));
        Ok(header.and_then(|header| self.parse_header(header)))
    }

    fn parse_header(&self, header: &[u8]) -> Option<Vec<Digest>> {
        let metadata: Metadata = serde_json::from_slice(header).ok()?;
        let images: Vec<Digest> = metadata_json(&metadata, IMAGES).ok()?;
        let info = metadata.info(FEATURES)?;
        let fits = info.dtype == Dtype::F32 && info.shape == [images.len(), self.dim];
        fits.then_some(images)
    }

    fn discard(&self, shard: &Digest, why: &str, progress: &dyn Progress) -> Result<(), Error> {
        progress.warn(&format!("{why}; its images are extracted again"));
        Ok(self.shards.discard(shard)?)
    }

    fn name(&self, shard: &Digest) -> String {
        self.shards.path(shard).display().to_string()
    }
}

enum Outcome {
    Whole(Array2<f32>),
    Damaged(Digest, String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::KeyBuilder;
    use crate::progress::Silent;
    use ndarray::{Axis, array};
    use std::path::PathBuf;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Warnings(Mutex<Vec<String>>);

    impl Progress for Warnings {
        fn start(&self, _: &str, _: u64) {}
        fn tick(&self, _: u64) {}
        fn finish(&self) {}
        fn warn(&self, message: &str) {
            self.0.lock().unwrap().push(message.to_owned());
        }
    }

    fn image(n: usize) -> Digest {
        Digest::of(&n.to_le_bytes())
    }

    fn images(numbers: impl IntoIterator<Item = usize>) -> Vec<Digest> {
        numbers.into_iter().map(image).collect()
    }

    /// Row n of an imagined backbone.
    fn rows(numbers: &[usize]) -> Array2<f32> {
        Array2::from_shape_fn((numbers.len(), 3), |(i, j)| (numbers[i] * 10 + j) as f32)
    }

    struct Fixture {
        _dir: tempfile::TempDir,
        cache: Cache,
        key: Key,
    }

    impl Fixture {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            Self {
                cache: Cache::open(dir.path()).unwrap(),
                _dir: dir,
                key: KeyBuilder::new("features", 1).finish().key,
            }
        }

        fn open(&self) -> FeatureStore {
            FeatureStore::open(&self.cache, &self.key, 3, &Silent).unwrap()
        }

        /// Opens the store and returns the warnings of that.
        fn open_warned(&self) -> (FeatureStore, Vec<String>) {
            let warnings = Warnings::default();
            let store = FeatureStore::open(&self.cache, &self.key, 3, &warnings).unwrap();
            (store, warnings.0.into_inner().unwrap())
        }

        fn paths(&self) -> Vec<PathBuf> {
            let store = self.open();
            let shards = store.shards.list().unwrap();
            shards
                .iter()
                .map(|shard| store.shards.path(shard))
                .collect()
        }
    }

    #[test]
    fn rows_come_back_in_any_order_and_number() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        store
            .append(&images(0..5), rows(&[0, 1, 2, 3, 4]).view())
            .unwrap();
        store.append(&images([7]), rows(&[7]).view()).unwrap();
        for mut store in [store, fixture.open()] {
            assert_eq!(store.len(), 6);
            let asked = [7, 3, 3, 0, 7];
            assert_eq!(store.read(&images(asked), &Silent).unwrap(), rows(&asked));
            assert_eq!(store.read(&[], &Silent).unwrap().dim(), (0, 3));
        }
    }

    #[test]
    fn missing_gives_the_first_position_of_each_new_image_in_order() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        assert!(store.is_empty());
        store.append(&images([1]), rows(&[1]).view()).unwrap();
        assert_eq!(store.missing(&images([9, 1, 5, 9, 2, 5])), [0, 2, 4]);
        assert_eq!(store.missing(&images([1, 1])), [0; 0]);
    }

    #[test]
    fn keys_do_not_share_features() {
        let fixture = Fixture::new();
        fixture
            .open()
            .append(&images([1]), rows(&[1]).view())
            .unwrap();
        let other = KeyBuilder::new("features", 2).finish().key;
        let store = FeatureStore::open(&fixture.cache, &other, 3, &Silent).unwrap();
        assert!(store.is_empty());
    }

    #[test]
    fn append_refuses_rows_of_another_shape_and_adds_nothing_for_no_images() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        let error = store
            .append(&images([1, 2]), rows(&[1]).view())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "features of 2 images: shape [1, 3], expected [2, 3]"
        );
        let narrow = array![[1.0]];
        let error = store.append(&images([1]), narrow.view()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "features of 1 image: shape [1, 1], expected [1, 3]"
        );
        store.append(&[], rows(&[]).view()).unwrap();
        assert!(fixture.paths().is_empty());
    }

    #[test]
    fn read_names_the_positions_without_features() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        store.append(&images([1]), rows(&[1]).view()).unwrap();
        let error = store.read(&images([1, 2, 3, 2]), &Silent).unwrap_err();
        assert!(matches!(error, Error::Lost { positions } if positions == [1, 2]));
    }

    #[test]
    fn shard_with_a_changed_row_is_removed_when_read_and_its_images_are_missing() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        store.append(&images([1, 2]), rows(&[1, 2]).view()).unwrap();
        let path = fixture.paths().remove(0);
        store.append(&images([3]), rows(&[3]).view()).unwrap();
        let mut bytes = fs_err::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs_err::write(&path, bytes).unwrap();

        let (mut store, warnings) = fixture.open_warned();
        assert_eq!((store.len(), warnings.len()), (3, 0));
        let warnings = Warnings::default();
        let asked = images([3, 2, 1]);
        let error = store.read(&asked, &warnings).unwrap_err();
        assert!(matches!(error, Error::Lost { positions } if positions == [1, 2]));
        let warnings = warnings.0.into_inner().unwrap();
        assert_eq!(warnings.len(), 1);
        assert!(
            warnings[0].contains("expected digest") && warnings[0].ends_with("extracted again")
        );
        assert!(!path.exists());

        store.append(&images([2, 1]), rows(&[2, 1]).view()).unwrap();
        assert_eq!(store.read(&asked, &Silent).unwrap(), rows(&[3, 2, 1]));
    }

    #[test]
    fn shard_that_vanishes_after_opening_counts_as_missing() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        store.append(&images([1]), rows(&[1]).view()).unwrap();
        fs_err::remove_file(fixture.paths().remove(0)).unwrap();
        let error = store.read(&images([1]), &Silent).unwrap_err();
        assert!(matches!(error, Error::Lost { positions } if positions == [0]));
    }

    #[test]
    fn shard_whose_header_is_damaged_is_removed_on_opening() {
        let fixture = Fixture::new();
        let damages: [fn(&mut Vec<u8>); 5] = [
            Vec::clear,
            |bytes| bytes.truncate(5),
            |bytes| bytes.truncate(40),
            |bytes| bytes[7] = 0xff,
            |bytes| bytes[9] = 0xff,
        ];
        for damage in damages {
            fixture
                .open()
                .append(&images([1]), rows(&[1]).view())
                .unwrap();
            let path = fixture.paths().remove(0);
            let mut bytes = fs_err::read(&path).unwrap();
            damage(&mut bytes);
            fs_err::write(&path, bytes).unwrap();
            let (store, warnings) = fixture.open_warned();
            assert!(store.is_empty() && !path.exists());
            assert_eq!(warnings.len(), 1);
            assert!(warnings[0].contains("expected digest"), "{warnings:?}");
        }
    }

    #[test]
    fn whole_file_that_is_no_shard_of_this_dimension_is_passed_over_and_kept() {
        let fixture = Fixture::new();
        let mut wide = FeatureStore::open(&fixture.cache, &fixture.key, 4, &Silent).unwrap();
        wide.append(&images([1]), Array2::zeros((1, 4)).view())
            .unwrap();
        let (store, warnings) = fixture.open_warned();
        assert!(store.is_empty());
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].ends_with(": no shard of 3 features, passed over"));
        assert!(fixture.paths()[0].exists());
    }

    #[test]
    fn image_that_a_header_invents_is_found_out() {
        let fixture = Fixture::new();
        fixture
            .open()
            .append(&images([1]), rows(&[1]).view())
            .unwrap();
        let path = fixture.paths().remove(0);
        let text = fs_err::read(&path).unwrap();
        let (old, new) = (image(1).to_string(), image(2).to_string());
        let at = text
            .windows(64)
            .position(|window| window == old.as_bytes())
            .unwrap();
        let mut bytes = text.clone();
        bytes[at..at + 64].copy_from_slice(new.as_bytes());
        fs_err::write(&path, bytes).unwrap();
        let mut store = fixture.open();
        assert_eq!(store.missing(&images([1, 2])), [0]);
        assert!(matches!(
            store.read(&images([2]), &Silent).unwrap_err(),
            Error::Lost { .. }
        ));
    }

    #[test]
    fn row_of_two_processes_is_taken_from_the_same_shard_by_all() {
        let fixture = Fixture::new();
        let (mut left, mut right) = (fixture.open(), fixture.open());
        left.append(&images([1, 2]), rows(&[1, 2]).view()).unwrap();
        right
            .append(&images([2, 3]), (rows(&[2, 3]) + 0.5).view())
            .unwrap();
        let asked = images([2]);
        let first = fixture.open().read(&asked, &Silent).unwrap();
        right.append(&images([1, 2]), rows(&[1, 2]).view()).unwrap();
        left.append(&images([2, 3]), (rows(&[2, 3]) + 0.5).view())
            .unwrap();
        for mut store in [left, right, fixture.open()] {
            assert_eq!(store.read(&asked, &Silent).unwrap(), first);
        }
        // The other row serves where its shard is the only whole one.
        let damaged = fixture.paths().remove(0);
        fs_err::write(damaged, b"").unwrap();
        let other = fixture.open().read(&asked, &Silent).unwrap();
        assert_eq!(
            (other - first)
                .mapv(f32::abs)
                .index_axis(Axis(0), 0)
                .to_vec(),
            [0.5; 3]
        );
    }

    #[test]
    fn header_longer_than_the_first_reading_is_read() {
        let fixture = Fixture::new();
        let numbers: Vec<usize> = (0..3000).collect();
        fixture
            .open()
            .append(&images(0..3000), rows(&numbers).view())
            .unwrap();
        let mut store = fixture.open();
        assert_eq!(store.len(), 3000);
        assert_eq!(
            store.read(&images(0..3000), &Silent).unwrap(),
            rows(&numbers)
        );
    }
}
