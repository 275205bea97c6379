//! Features by image digest, in shards: what was extracted once is never extracted again.
//!
//! | part of a shard | content |
//! | --- | --- |
//! | tensor `features` | [n, d] f32 |
//! | metadata key `images` | a JSON array of the n images' digests, the rows' |
//! | metadata key `seal` | the digest of the backbone's key, the images' digests and the rows' bytes |
//!
//! The seal ties rows to their images and to their backbone: a shard whose images were swapped, or that was moved to
//! another backbone's folder, is found out even where its name was made to fit.
//!
//! A shard is written once and never changed, see [`ShardStore`]. Two processes that extract the same image leave
//! two rows of it; the one in the shard with the smallest digest is used, by all.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array2, ArrayView2, Axis, Ix2};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::tensors::metadata_json;
use super::{Error, TensorWriter, Tensors};
use crate::cache::{self, Cache, Digest, Key, ShardStore};
use crate::progress::Progress;
use crate::tensorfile::{LENGTH_BYTES, MAX_HEADER_BYTES, header_bytes};
use crate::text::{Listing, count};

const FEATURES: &str = "features";
const IMAGES: &str = "images";
const SEAL: &str = "seal";

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
    key: Key,
    dim: usize,
    places: BTreeMap<Digest, Place>,
    /// Images whose rows count as missing …
    forgotten: BTreeSet<Digest>,
    /// … in these shards.
    old: BTreeSet<Digest>,
    /// Shards that turned out damaged, be they still there.
    damaged: BTreeSet<Digest>,
}

impl FeatureStore {
    /// The features that the backbone with this key, of dimension `dim`, has extracted so far.
    ///
    /// Reads the headers of all shards. A damaged shard is removed with a warning, unless the cache is only looked at:
    /// its images count as missing. So do those of a shard without a seal, which stays.
    ///
    /// # Errors
    /// [`Error::Cache`] where the folder or a shard is closed to us, or a damaged shard cannot be removed.
    pub fn open(
        cache: &Cache,
        key: &Key,
        dim: usize,
        progress: &dyn Progress,
    ) -> Result<Self, Error> {
        let mut store = Self {
            shards: ShardStore::open(cache, key, "safetensors"),
            key: *key,
            dim,
            places: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            old: BTreeSet::new(),
            damaged: BTreeSet::new(),
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
            .metadata(SEAL, &self.seal(images, rows))
            .to_bytes()?;
        let shard = self.shards.publish(&bytes)?;
        // The same rows as before make the same shard.
        self.old.remove(&shard);
        self.damaged.remove(&shard);
        self.add(shard, images);
        Ok(())
    }

    /// Has the rows of these images count as missing. They stay on the disk until others have come in their place, see
    /// [`replace_forgotten`](Self::replace_forgotten).
    ///
    /// # Errors
    /// [`Error::Cache`] where the folder cannot be read.
    pub fn forget(&mut self, images: &[Digest]) -> Result<(), Error> {
        self.old.extend(self.shards.list()?);
        for image in images {
            self.places.remove(image);
            self.forgotten.insert(*image);
        }
        Ok(())
    }

    /// Removes the forgotten rows of images that have a row again; the other images of their shards get shards of
    /// their own.
    ///
    /// # Errors
    /// [`Error::Cache`] where a shard cannot be written or removed; no row of another image is lost.
    pub fn replace_forgotten(&mut self, progress: &dyn Progress) -> Result<(), Error> {
        for shard in std::mem::take(&mut self.old) {
            let has_gone =
                |image: &Digest| self.forgotten.contains(image) && self.places.contains_key(image);
            // One that another process has removed, or that is no shard, holds nothing to replace.
            let Ok(Head::Shard { images, n_bytes }) = self.head(&shard) else {
                continue;
            };
            if !images.iter().any(has_gone) {
                continue;
            }
            let kept: Vec<usize> = (0..images.len())
                .filter(|row| !has_gone(&images[*row]))
                .collect();
            // What is damaged is found out when it is read.
            let Ok((_, features)) = self.load(&shard, n_bytes) else {
                continue;
            };
            let images: Vec<Digest> = kept.iter().map(|row| images[*row]).collect();
            self.append(&images, features.select(Axis(0), &kept).view())?;
            self.shards.discard(&shard)?;
        }
        self.forgotten.clear();
        self.index(progress)
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
        // Damaged shards leave the store, so there are at most as many rounds as shards.
        while let Some(places) = self.locate(images) {
            let (rows, damaged) = self.read_places(images, &places)?;
            if damaged.is_empty() {
                return Ok(rows);
            }
            self.discard(&damaged, progress)?;
            self.index(progress)?;
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

    /// The rows at these places, and the shards that turn out damaged.
    fn read_places(
        &self,
        images: &[Digest],
        by_shard: &BTreeMap<Digest, Vec<(usize, usize)>>,
    ) -> Result<(Array2<f32>, Vec<Damaged>), Error> {
        let mut rows = Array2::zeros((images.len(), self.dim));
        let mut damaged = Vec::new();
        for (shard, places) in by_shard {
            // The header that the index was made of was not checked: the whole shard decides.
            let loaded = match self.head(shard) {
                Ok(Head::Shard { n_bytes, .. }) => self.load(shard, n_bytes),
                Ok(Head::Unsealed { .. } | Head::Other) => Err(Error::Seal {
                    file: self.name(shard),
                }),
                Err(error) => Err(error.into()),
            };
            let (found, features) = match loaded {
                Ok(loaded) => loaded,
                Err(Error::Cache(error)) if !error.is_loss() => return Err(error.into()),
                Err(error) => {
                    damaged.push((*shard, error.to_string()));
                    continue;
                }
            };
            let has_moved =
                |(position, row): &(usize, usize)| found.get(*row) != Some(&images[*position]);
            if places.iter().any(has_moved) {
                let why = format!("{}: the header lacks the row of an image", self.name(shard));
                damaged.push((*shard, why));
                continue;
            }
            for &(position, row) in places {
                rows.row_mut(position).assign(&features.row(row));
            }
        }
        Ok((rows, damaged))
    }

    /// The images and the features `[n, dim]` of a shard of `n_bytes` bytes, checked.
    fn load(&self, shard: &Digest, n_bytes: u64) -> Result<(Vec<Digest>, Array2<f32>), Error> {
        let bytes = self.shards.read(shard, n_bytes)?;
        let name = self.name(shard);
        let tensors = Tensors::parse(&name, &bytes)?;
        let images: Vec<Digest> = tensors.metadata(IMAGES, "a JSON array of digests")?;
        let features = tensors.array::<f32, Ix2>(FEATURES)?;
        if features.dim() != (images.len(), self.dim) {
            return Err(Error::TensorShape {
                file: name,
                tensor: FEATURES.to_owned(),
                found: features.shape().to_vec(),
                expected: format!("[{}, {}]", images.len(), self.dim),
            });
        }
        let seal: Digest = tensors.metadata(SEAL, "a digest")?;
        if seal == self.seal(&images, features.view()) {
            Ok((images, features))
        } else {
            Err(Error::Seal { file: name })
        }
    }

    /// What ties `rows`, `[images.len(), dim]`, to these images and this backbone.
    fn seal(&self, images: &[Digest], rows: ArrayView2<'_, f32>) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.key.as_bytes());
        for image in images {
            hasher.update(image.as_bytes());
        }
        hash_rows(&mut hasher, rows);
        hasher.finalize().into()
    }

    /// Reads the headers of all shards anew.
    fn index(&mut self, progress: &dyn Progress) -> Result<(), Error> {
        self.places.clear();
        let (mut damaged, mut foreign, mut unsealed) = (Vec::new(), Vec::new(), Vec::new());
        let shards = match self.shards.list() {
            Err(error) if error.is_loss() => {
                progress.warn(&format!(
                    "{error}; the images of its shards are extracted again"
                ));
                self.shards.make_way()?;
                Vec::new()
            }
            listed => listed?,
        };
        for shard in shards {
            if self.damaged.contains(&shard) {
                continue;
            }
            match self.head(&shard) {
                Ok(Head::Shard { images, .. }) => self.add(shard, &images),
                Ok(Head::Unsealed { images }) => unsealed.push((shard, images)),
                Ok(Head::Other) => match self.shards.check(&shard) {
                    Err(error) if error.is_loss() => damaged.push((shard, error.to_string())),
                    Err(error) => return Err(error.into()),
                    // Somebody's whole work, if not ours: not to be removed.
                    Ok(()) => foreign.push(self.name(&shard)),
                },
                // Another process found it damaged and removed it.
                Err(cache::Error::Missing { .. }) => {}
                Err(error) if error.is_loss() => damaged.push((shard, error.to_string())),
                Err(error) => return Err(error.into()),
            }
        }
        if !foreign.is_empty() {
            progress.warn(&format!(
                "{} passed over, which {} no shard of {} features: {}",
                count(foreign.len(), "file", "files"),
                if foreign.len() == 1 { "is" } else { "are" },
                self.dim,
                foreign.into_iter().collect::<Listing>()
            ));
        }
        self.warn_of_unsealed(&unsealed, progress);
        self.discard(&damaged, progress)
    }

    /// Names the shards of an earlier version as long as they hold an image that no other shard has.
    fn warn_of_unsealed(&self, unsealed: &[(Digest, Vec<Digest>)], progress: &dyn Progress) {
        let is_missed = |images: &[Digest]| {
            let is_missing = |image| !self.places.contains_key(image);
            images.iter().any(is_missing)
        };
        let missed = unsealed.iter().filter(|(_, images)| is_missed(images));
        let names: Listing = missed.map(|(shard, _)| self.name(shard)).collect();
        if names.n > 0 {
            progress.warn(&format!(
                "{} of features passed over, which {} no seal, as an earlier version wrote them; images are extracted again: {names}",
                count(names.n, "shard", "shards"),
                if names.n == 1 { "has" } else { "have" },
            ));
        }
    }

    fn add(&mut self, shard: Digest, images: &[Digest]) {
        let is_old = self.old.contains(&shard);
        for (row, image) in images.iter().enumerate() {
            if is_old && self.forgotten.contains(image) {
                continue;
            }
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

    /// What a shard is by its header, which is not checked, and by its size.
    fn head(&self, shard: &Digest) -> Result<Head, cache::Error> {
        let (mut head, n_bytes) = self.shards.read_head(shard, HEAD_BYTES)?;
        let Some(n_header) = header_bytes(&head).filter(|n| *n <= MAX_HEADER_BYTES) else {
            return Ok(Head::Other);
        };
        let n_head = n_header + LENGTH_BYTES as u64;
        if n_head > head.len() as u64 {
            (head, _) = self.shards.read_head(shard, n_head)?;
        }
        let header = usize::try_from(n_head)
            .ok()
            .and_then(|n_head| head.get(LENGTH_BYTES..n_head));
        let is_whole = |data: u64| n_head.checked_add(data) == Some(n_bytes);
        Ok(header
            .and_then(|header| self.parse_header(header, is_whole))
            .map_or(Head::Other, |(images, is_sealed)| {
                if is_sealed {
                    Head::Shard { images, n_bytes }
                } else {
                    Head::Unsealed { images }
                }
            }))
    }

    /// The images of a shard and whether they are sealed; `None` if this is no header of a shard, or not of a file that
    /// `is_whole` with so many bytes of rows.
    fn parse_header(
        &self,
        header: &[u8],
        is_whole: impl Fn(u64) -> bool,
    ) -> Option<(Vec<Digest>, bool)> {
        let metadata: Metadata = serde_json::from_slice(header).ok()?;
        let images: Vec<Digest> = metadata_json(&metadata, IMAGES).ok()?;
        let info = metadata.info(FEATURES)?;
        let n_data = images
            .len()
            .checked_mul(self.dim)?
            .checked_mul(size_of::<f32>())?;
        let fits = info.dtype == Dtype::F32 && info.shape == [images.len(), self.dim];
        let is_sealed = metadata_json::<Digest>(&metadata, SEAL).is_ok();
        (fits && is_whole(n_data as u64)).then_some((images, is_sealed))
    }

    fn discard(&mut self, damaged: &[Damaged], progress: &dyn Progress) -> Result<(), Error> {
        if damaged.is_empty() {
            return Ok(());
        }
        let whys: Listing = damaged.iter().map(|(_, why)| why.as_str()).collect();
        progress.warn(&format!(
            "{} of features {}, so that the images in {} are extracted again: {whys}",
            count(damaged.len(), "damaged shard", "damaged shards"),
            if self.shards.is_kept() {
                "passed over"
            } else {
                "removed"
            },
            if damaged.len() == 1 { "it" } else { "them" },
        ));
        for (shard, _) in damaged {
            self.damaged.insert(*shard);
            self.shards.discard(shard)?;
        }
        Ok(())
    }

    fn name(&self, shard: &Digest) -> String {
        self.shards.path(shard).display().to_string()
    }
}

/// What a file among the shards is, as far as its header and its size tell.
enum Head {
    /// A shard of these images.
    Shard { images: Vec<Digest>, n_bytes: u64 },
    /// A shard of these images without a seal, which nobody writes any more.
    Unsealed { images: Vec<Digest> },
    /// Something else, or what damage has left.
    Other,
}

/// Values that are hashed at a time.
const CHUNK_VALUES: usize = 1 << 15;

/// Adds the bytes of `rows` to a digest: little-endian f32, row by row.
pub(crate) fn hash_rows(hasher: &mut blake3::Hasher, rows: ArrayView2<'_, f32>) {
    let rows = rows.as_standard_layout();
    let mut bytes = vec![[0; 4]; CHUNK_VALUES];
    for values in rows.as_slice().unwrap_or_default().chunks(CHUNK_VALUES) {
        let bytes = &mut bytes[..values.len()];
        for (bytes, value) in bytes.iter_mut().zip(values) {
            *bytes = value.to_le_bytes();
        }
        hasher.update(bytes.as_flattened());
    }
}

/// A shard that cannot be used, and why.
type Damaged = (Digest, String);

#[cfg(test)]
mod tests;
