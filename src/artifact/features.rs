//! Features by image digest, in shards: what was extracted once is never extracted again.
//!
//! A [`Shard`] is written once and never changed, see [`ShardStore`]. Two processes that extract the same image leave
//! two rows of it; the one in the shard with the smallest digest is used, by all.

pub mod shard;

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array2, ArrayView2, Axis};

use self::shard::{Kind, Shard};
use crate::cache::{self, Cache, Digest, Key, ShardStore, Unavailable};
use crate::error::{Error, Fault};
use crate::progress::Progress;
use crate::tensorfile::{self, LENGTH_BYTES, MAX_HEADER_BYTES, header_bytes};
use crate::text::{Listing, count};

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
    kind: Kind,
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
    /// its images count as missing.
    ///
    /// # Errors
    /// Errors of the cache where the folder or a shard is closed to us, or a damaged shard cannot be removed.
    pub fn open(
        cache: &Cache,
        key: &Key,
        dim: usize,
        progress: &dyn Progress,
    ) -> Result<Self, Error> {
        let mut store = Self {
            shards: ShardStore::open(cache, key, "safetensors"),
            kind: Kind { key: *key, dim },
            places: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            old: BTreeSet::new(),
            damaged: BTreeSet::new(),
        };
        store.index(progress)?;
        Ok(store)
    }

    /// Where the images without features stand in `images`: the first of each, in order.
    pub fn missing(&self, images: &[Digest]) -> Vec<usize> {
        let mut seen = BTreeSet::new();
        let is_missing = |image: &Digest| !self.places.contains_key(image) && seen.insert(*image);
        let missing = images.iter().map(is_missing).enumerate();
        missing
            .filter_map(|(position, is_missing)| is_missing.then_some(position))
            .collect()
    }

    /// Adds the features of these images, `[images.len(), dim]` f32, as one shard.
    ///
    /// They are on the disk once this returns, whatever happens to the process afterwards.
    ///
    /// # Errors
    /// Bad data where the rows have another shape; errors of the cache where the shard is not written, and then nothing
    /// of it is there.
    pub fn append(&mut self, images: &[Digest], rows: ArrayView2<'_, f32>) -> Result<(), Error> {
        if images.is_empty() {
            return Ok(());
        }
        let bytes = shard::to_bytes(self.kind, images, rows)?;
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
    /// Errors of the cache where the folder cannot be read.
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
    /// Errors of the cache where a shard cannot be written or removed; no row of another image is lost.
    pub fn replace_forgotten(&mut self, progress: &dyn Progress) -> Result<(), Error> {
        for shard in std::mem::take(&mut self.old) {
            let has_gone =
                |image: &Digest| self.forgotten.contains(image) && self.places.contains_key(image);
            // One that another process has removed, or that is no shard, holds nothing to replace.
            let Ok(Some(Head { images, .. })) = self.head(&shard) else {
                continue;
            };
            if !images.iter().any(has_gone) {
                continue;
            }
            let kept: Vec<usize> = (0..images.len())
                .filter(|row| !has_gone(&images[*row]))
                .collect();
            // What is damaged is found out when it is read.
            let Ok(loaded) = self.load(&shard) else {
                continue;
            };
            let images: Vec<Digest> = kept.iter().map(|row| images[*row]).collect();
            let features = loaded.features.select(Axis(0), &kept);
            self.append(&images, features.view())?;
            self.shards.discard(&shard)?;
        }
        self.forgotten.clear();
        self.index(progress)
    }

    /// The features of these images, in this order: `[images.len(), dim]` f32, from shards whose digests are checked.
    ///
    /// `None` where some have none. Shards that turn out damaged are removed with a warning, so that extracting what is
    /// [`missing`](Self::missing) and reading again succeeds.
    ///
    /// # Errors
    /// Errors of the cache where a file cannot be read or removed.
    pub fn read(
        &mut self,
        images: &[Digest],
        progress: &dyn Progress,
    ) -> Result<Option<Array2<f32>>, Error> {
        // Damaged shards leave the store, so there are at most as many rounds as shards.
        while let Some(places) = self.locate(images) {
            let (rows, damaged) = self.read_places(images, &places)?;
            if damaged.is_empty() {
                return Ok(Some(rows));
            }
            self.discard(&damaged, progress)?;
            self.index(progress)?;
        }
        Ok(None)
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
        let mut rows = Array2::zeros((images.len(), self.kind.dim));
        let mut damaged = Vec::new();
        for (shard, places) in by_shard {
            // The header that the index was made of was not checked: the whole shard decides.
            let Shard {
                images: found,
                features,
            } = match self.load(shard) {
                Ok(loaded) => loaded,
                Err(error) if is_damage(&error) => {
                    damaged.push((*shard, error.to_string()));
                    continue;
                }
                Err(error) => return Err(error),
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

    /// A shard, checked.
    fn load(&self, shard: &Digest) -> Result<Shard, Error> {
        let Some(head) = self.head(shard)? else {
            return Err(shard::wrong_seal(&self.name(shard)).into());
        };
        let bytes = self.shards.read(shard, head.n_bytes)?;
        Shard::parse(self.kind, &self.name(shard), &bytes)
    }

    /// Reads the headers of all shards anew.
    fn index(&mut self, progress: &dyn Progress) -> Result<(), Error> {
        self.places.clear();
        let (mut damaged, mut foreign) = (Vec::new(), Vec::new());
        let shards = match self.shards.list() {
            Err(error) if cache::is_loss(&error) => {
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
                Ok(Some(head)) => self.add(shard, &head.images),
                Ok(None) => match self.shards.check(&shard) {
                    Err(error) if cache::is_loss(&error) => {
                        damaged.push((shard, error.to_string()));
                    }
                    Err(error) => return Err(error),
                    // Somebody's whole work, if not ours: not to be removed.
                    Ok(()) => foreign.push(self.name(&shard)),
                },
                // Another process found it damaged and removed it.
                Err(error) if matches!(error.is_a(), Some(Unavailable::Missing { .. })) => {}
                Err(error) if cache::is_loss(&error) => damaged.push((shard, error.to_string())),
                Err(error) => return Err(error),
            }
        }
        if !foreign.is_empty() {
            progress.warn(&format!(
                "{} passed over, which {} no shard of {} features: {}",
                count(foreign.len(), "file", "files"),
                if foreign.len() == 1 { "is" } else { "are" },
                self.kind.dim,
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

    /// What the header of a shard says, which is not checked; `None` where a file is none by that and its size.
    fn head(&self, shard: &Digest) -> Result<Option<Head>, Error> {
        let (mut head, n_bytes) = self.shards.read_head(shard, HEAD_BYTES)?;
        let Some(n_header) = header_bytes(&head).filter(|n| *n <= MAX_HEADER_BYTES) else {
            return Ok(None);
        };
        let n_head = n_header + LENGTH_BYTES as u64;
        if n_head > head.len() as u64 {
            (head, _) = self.shards.read_head(shard, n_head)?;
        }
        let images = tensorfile::metadata(&head).and_then(|metadata| {
            let (images, n_data) = shard::parse_header(self.kind, &metadata)?;
            (n_head.checked_add(n_data) == Some(n_bytes)).then_some(images)
        });
        Ok(images.map(|images| Head { images, n_bytes }))
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

/// What the header of a shard says.
struct Head {
    images: Vec<Digest>,
    n_bytes: u64,
}

/// Whether an error says that a shard cannot be used, and not that it cannot be reached.
fn is_damage(error: &Error) -> bool {
    cache::is_loss(error) || error.fault() == Fault::Data
}

/// A shard that cannot be used, and why.
type Damaged = (Digest, String);

#[cfg(test)]
mod tests;
