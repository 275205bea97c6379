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

use ndarray::{Array2, ArrayView2, Axis, Ix2};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::damage::{LENGTH_BYTES, MAX_HEADER_BYTES, header_bytes};
use super::tensors::metadata_json;
use super::{Error, TensorWriter, Tensors};
use crate::cache::{self, Cache, Digest, Key, ShardStore};
use crate::progress::Progress;
use crate::text::{Listing, count};

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
    /// Images whose rows count as missing …
    forgotten: BTreeSet<Digest>,
    /// … in these shards.
    old: BTreeSet<Digest>,
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
            forgotten: BTreeSet::new(),
            old: BTreeSet::new(),
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
        // The same rows as before make the same shard.
        self.old.remove(&shard);
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
            let Some(images) = self.head(&shard).ok().flatten() else {
                continue;
            };
            if !images.iter().any(has_gone) {
                continue;
            }
            let kept: Vec<usize> = (0..images.len())
                .filter(|row| !has_gone(&images[*row]))
                .collect();
            // What is damaged is found out when it is read.
            let Ok((_, features)) = self
                .shards
                .read(&shard)
                .map_err(Error::from)
                .and_then(|bytes| self.parse(&shard, &bytes))
            else {
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
            let bytes = match self.shards.read(shard) {
                Ok(bytes) => bytes,
                Err(error) if error.is_loss() => {
                    damaged.push((*shard, error.to_string()));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            // The header that the index was made of was not checked: the whole shard decides.
            let (found, features) = match self.parse(shard, &bytes) {
                Ok(parsed) => parsed,
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
        let (mut damaged, mut foreign) = (Vec::new(), Vec::new());
        for shard in self.shards.list()? {
            match self.head(&shard) {
                Ok(Some(images)) => self.add(shard, &images),
                Ok(None) => match self.shards.read(&shard) {
                    Err(error) if error.is_loss() => damaged.push((shard, error.to_string())),
                    Err(error) => return Err(error.into()),
                    // Somebody's whole work, if not ours: not to be removed.
                    Ok(_) => foreign.push(self.name(&shard)),
                },
                // Another process found it damaged and removed it.
                Err(_) if !self.shards.path(&shard).exists() => {}
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
        self.discard(&damaged, progress)
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

    fn discard(&self, damaged: &[Damaged], progress: &dyn Progress) -> Result<(), Error> {
        if damaged.is_empty() {
            return Ok(());
        }
        let whys: Listing = damaged.iter().map(|(_, why)| why.as_str()).collect();
        progress.warn(&format!(
            "{} of features removed, so that the images in {} are extracted again: {whys}",
            count(damaged.len(), "damaged shard", "damaged shards"),
            if damaged.len() == 1 { "it" } else { "them" },
        ));
        for (shard, _) in damaged {
            self.shards.discard(shard)?;
        }
        Ok(())
    }

    fn name(&self, shard: &Digest) -> String {
        self.shards.path(shard).display().to_string()
    }
}

/// A shard that cannot be used, and why.
type Damaged = (Digest, String);

#[cfg(test)]
mod tests;
