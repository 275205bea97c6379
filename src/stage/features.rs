//! Stage `features`: one feature row per image of the sample.
//!
//! | reads | |
//! | --- | --- |
//! | images | `newt2021_images/<id>.jpg` or what is found in its place, by digest; or none, with precomputed features |
//! | weights | the checkpoint, by digest |
//!
//! | writes `features.json` | | |
//! | --- | --- | --- |
//! | `n`, `dim` | integer | rows of the sample, features per row |
//! | `blake3` | string | digest of the rows' little-endian f32 bytes, in the sample's order |
//!
//! The rows themselves are kept per image, not per run: [`network`] asks the store for each image
//! under the backbone's key, and only images never seen with that backbone go through the network.

pub mod network;
pub mod norm;
#[cfg(test)]
mod pins;
pub mod precomputed;
pub mod weights;

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use ndarray::Array2;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::network::Network;
use self::precomputed::Precomputed;
use super::{Name, Objects, Stage, StageError, ensure, part};
use crate::artifact::{FittedOn, hash_rows};
use crate::backbone::{Device, Precision};
use crate::cache::{Digest, KeyBuilder, Request};
use crate::context::Context;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::newt::labels::Labels;
use crate::setting;
use crate::text::{Listing, count, foreign};

/// The name of this stage's output.
pub const FEATURES: &str = "features.json";

/// How many images go through the network at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSize {
    /// What suits the device.
    Auto,
    /// This many.
    Images(usize),
}

impl Serialize for BatchSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => "auto".serialize(serializer),
            Self::Images(images) => images.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for BatchSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "`\"auto\"` or a whole number from 1 to 65536";
        setting::checked(deserializer, expected, |value| {
            if value.as_str() == Some("auto") {
                return Some(Self::Auto);
            }
            let images = usize::try_from(value.as_integer()?).ok()?;
            (1..=65536)
                .contains(&images)
                .then_some(Self::Images(images))
        })
    }
}

/// The table `[features]` of a pipeline file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the network runs.
    #[serde(serialize_with = "setting::displayed", deserialize_with = "device")]
    pub device: Device,
    /// The number format it runs in.
    #[serde(serialize_with = "setting::displayed", deserialize_with = "precision")]
    pub precision: Precision,
    /// Images per batch: speed and memory. libtorch decides the last bits, on a CPU in few networks; what was
    /// extracted first is kept.
    pub batch_size: BatchSize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            device: Device::Auto,
            precision: Precision::Auto,
            batch_size: BatchSize::Auto,
        }
    }
}

fn device<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Device, D::Error> {
    let expected = "`\"auto\"`, `\"cpu\"`, `\"cuda\"` or `\"cuda:1\"`";
    setting::parsed(deserializer, expected)
}

fn precision<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Precision, D::Error> {
    let expected = "`\"auto\"`, `\"f32\"`, `\"bf16\"` or `\"f16\"`";
    setting::parsed(deserializer, expected)
}

/// Where a model's features come from.
pub enum Source {
    /// A backbone, run on images.
    Network(Box<Network>),
    /// A file of features.
    Precomputed(Precomputed),
}

impl Source {
    /// Whether images are read for them.
    pub fn reads_images(&self) -> bool {
        matches!(self, Self::Network(_))
    }

    /// What probes are fitted on that take these features; `org` and `ckpt` name the model in its pipeline.
    ///
    /// # Errors
    /// Those of [`Precomputed::open`].
    pub fn fitted_on(
        &self,
        org: &str,
        ckpt: &str,
        interrupt: &Interrupt,
    ) -> Result<FittedOn, Error> {
        Ok(match self {
            Self::Network(network) => FittedOn {
                backbone: Some(network.id(org, ckpt)),
                norms: [1.0, 1.0],
            },
            Self::Precomputed(file) => {
                let file = file.open(interrupt)?;
                FittedOn {
                    norms: norm::range(file.features()),
                    backbone: file.backbone,
                }
            }
        })
    }
}

/// The images of a sample, in its order.
#[derive(Debug, Clone)]
pub struct Images {
    /// Their ids.
    pub ids: Vec<String>,
    /// Their files; empty where no image is read.
    pub paths: Vec<PathBuf>,
    /// Digests of the files; empty where no image is read.
    pub digests: Vec<Digest>,
}

/// How many images went through the network for a run, and how many did not have to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Images that went through the network.
    pub extracted: usize,
    /// Images whose features were there.
    pub reused: usize,
    /// Images whose features are not there any more, and which no stage asks for.
    pub lost: usize,
}

/// What this stage makes: the proof of which rows a run used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureTable {
    /// Rows.
    pub n: usize,
    /// Features per row.
    pub dim: usize,
    /// Digest of the rows' bytes.
    pub blake3: Digest,
}

impl FeatureTable {
    pub(super) fn of(rows: &Array2<f32>) -> Self {
        let mut hasher = blake3::Hasher::new();
        hash_rows(&mut hasher, rows.view());
        Self {
            n: rows.nrows(),
            dim: rows.ncols(),
            blake3: hasher.finalize().into(),
        }
    }
}

/// Brings the features of a sample's images together.
pub struct FeaturesStage<'a> {
    source: &'a Source,
    images: &'a Images,
    labels: &'a Labels,
    counts: RefCell<Counts>,
    /// The rows of the last [`Stage::run`], so that fitting need not read them again.
    rows: RefCell<Option<(Digest, Arc<Array2<f32>>)>>,
}

impl<'a> FeaturesStage<'a> {
    /// The features that `source` has of `images`, which are among those of `labels`.
    pub fn new(source: &'a Source, images: &'a Images, labels: &'a Labels) -> Self {
        let counts = Counts {
            extracted: 0,
            reused: images.ids.len(),
            lost: 0,
        };
        Self {
            source,
            images,
            labels,
            counts: RefCell::new(counts),
            rows: RefCell::default(),
        }
    }

    /// What has been extracted and reused so far.
    pub fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// How many images have no features yet.
    pub fn n_missing(&self) -> usize {
        match self.source {
            Source::Network(network) => network.n_missing(self.images),
            Source::Precomputed(_) => 0,
        }
    }

    /// Has these images count as not extracted, so that the next [`Stage::run`] does so again; the rows that there are
    /// stay until then.
    ///
    /// # Errors
    /// Those of the store.
    pub fn forget(&self) -> Result<(), Error> {
        match self.source {
            Source::Network(network) => network.forget(self.images),
            Source::Precomputed(_) => Ok(()),
        }
    }

    /// The rows that `table` stands for, `[n, dim]` in the sample's order.
    ///
    /// # Errors
    /// [`StageError::FeaturesChanged`] where rows that had to be made again came out otherwise.
    pub fn rows(
        &self,
        table: &FeatureTable,
        context: Context<'_>,
    ) -> Result<Arc<Array2<f32>>, Error> {
        if let Some((digest, rows)) = &*self.rows.borrow()
            && *digest == table.blake3
        {
            return Ok(Arc::clone(rows));
        }
        let (found, rows) = self.load(context)?;
        if found == *table {
            Ok(rows)
        } else {
            Err(StageError::FeaturesChanged {
                expected: table.blake3,
                found: found.blake3,
            }
            .into())
        }
    }

    /// Reads the rows that the store has, so that fitting need not: how many of them turn out to be missing or damaged.
    ///
    /// # Errors
    /// Those of the store.
    pub fn read_stored(&self, context: Context<'_>) -> Result<usize, Error> {
        let Source::Network(network) = self.source else {
            return Ok(0);
        };
        if self.rows.borrow().is_some() {
            return Ok(0);
        }
        match network.stored_rows(self.images, context)? {
            Some(rows) => {
                self.keep(rows, context);
                Ok(0)
            }
            None => Ok(self.n_missing()),
        }
    }

    /// Keeps rows for the fitting of probes, and says what stands for them.
    fn keep(&self, rows: Array2<f32>, context: Context<'_>) -> (FeatureTable, Arc<Array2<f32>>) {
        self.warn_of_zeros(&rows, context);
        let (table, rows) = (FeatureTable::of(&rows), Arc::new(rows));
        *self.rows.borrow_mut() = Some((table.blake3, Arc::clone(&rows)));
        (table, rows)
    }

    fn warn_of_zeros(&self, rows: &Array2<f32>, context: Context<'_>) {
        let images: Listing = rows
            .rows()
            .into_iter()
            .zip(&self.images.ids)
            .filter(|(row, _)| row.iter().all(|value| *value == 0.0))
            .map(|(_, id)| format!("`{}`", foreign(id)))
            .collect();
        if !images.is_empty() {
            context.progress.warn(&format!(
                "{} with features of zeros only: {images}; a row of zeros has no norm to divide by and stays as it is, as in the reference",
                count(images.n, "image", "images")
            ));
        }
    }

    fn load(&self, context: Context<'_>) -> Result<(FeatureTable, Arc<Array2<f32>>), Error> {
        let (rows, n_extracted) = match self.source {
            Source::Network(network) => network.rows(self.images, context)?,
            Source::Precomputed(file) => (file.rows(&self.images.ids, self.labels, context)?, 0),
        };
        let mut counts = self.counts.borrow_mut();
        counts.extracted += n_extracted;
        counts.reused = self.images.ids.len().saturating_sub(counts.extracted);
        Ok(self.keep(rows, context))
    }
}

impl Stage for FeaturesStage<'_> {
    const NAME: Name = Name::Features;
    const VERSION: u32 = 1;
    type Output = FeatureTable;

    fn request(&self) -> Request {
        let builder = KeyBuilder::new(Self::NAME.as_str(), Self::VERSION);
        match self.source {
            Source::Network(network) => {
                let bytes: Vec<u8> = self
                    .images
                    .digests
                    .iter()
                    .flat_map(|digest| *digest.as_bytes())
                    .collect();
                network
                    .describe(builder)
                    .input("images", Digest::of(&bytes))
            }
            // An id holds no line break, so the joined text stands for the list.
            Source::Precomputed(file) => file
                .describe(builder)
                .input("ids", Digest::of(self.images.ids.join("\n").as_bytes())),
        }
        .finish()
    }

    fn run(&self, context: Context<'_>) -> Result<FeatureTable, Error> {
        Ok(self.load(context)?.0)
    }

    fn encode(table: &FeatureTable) -> Result<Objects, Error> {
        let json = serde_json::to_vec(table)?;
        Ok(Objects::from([(FEATURES.to_owned(), json)]))
    }

    fn decode(&self, objects: &Objects) -> Result<FeatureTable, Error> {
        let json = part(objects, Self::NAME, FEATURES)?;
        let table: FeatureTable = serde_json::from_slice(json)?;
        let is_of_sample = table.n == self.images.ids.len();
        ensure(
            is_of_sample,
            Self::NAME,
            "it has more or fewer rows than the sample",
        )?;
        if let Source::Network(network) = self.source {
            let is_of_model = table.dim == network.dim();
            ensure(
                is_of_model,
                Self::NAME,
                "its rows are longer or shorter than the backbone's",
            )?;
        }
        Ok(table)
    }
}
