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
//! | `norms` | two numbers | the smallest and the largest L2 norm of rows that are not zero |
//! | `blake3` | string | digest of the rows' little-endian f32 bytes, in the sample's order |
//!
//! The rows themselves are kept per image, not per run, and as the network gives them: an [`Extractor`] asks the store
//! for each image under the backbone's key, and only images never seen with that backbone go through the network.
//! Where a run's [`Scaling`] says so, they are scaled to unit L2 norm once they are read, and this is what is on record.

pub mod bad_image;
mod decode;
pub mod extractor;
pub mod l2;
pub mod norm;
#[cfg(test)]
mod pins;
pub mod precomputed;
mod shard;
pub mod weights;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView1};
use serde::{Deserialize, Deserializer, Serialize};

use self::extractor::Extractor;
use self::l2::{L2, Scaling};
use self::precomputed::Precomputed;
use super::{Name, Objects, Stage};
use crate::artifact::{BackboneId, FeatureFile, hash_rows};
use crate::backbone::{self, Device, Precision};
use crate::cache::{Digest, KeyBuilder, Request};
use crate::context::Context;
use crate::error::{Error, Message};
use crate::interrupt::Interrupt;
use crate::newt::labels::Labels;
use crate::setting;
use crate::text::{self, Listing, count};

/// The name of this stage's output.
pub const FEATURES: &str = "features.json";

/// How many images go through the network at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchSize {
    /// What suits the device.
    Auto,
    /// This many.
    #[serde(untagged)]
    Images(usize),
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
    /// Whether rows are scaled to unit L2 norm, which costs no extraction.
    pub l2: L2,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            device: Device::Auto,
            precision: Precision::Auto,
            batch_size: BatchSize::Auto,
            l2: L2::Auto,
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
pub enum FeatureSource {
    /// A backbone, run on images.
    Backbone(Box<Extractor>),
    /// A file of features.
    File(Precomputed),
}

impl FeatureSource {
    /// Whether images are read for them.
    pub fn reads_images(&self) -> bool {
        matches!(self, Self::Backbone(_))
    }

    /// Where on the hub the model's files come from.
    pub fn origin(&self) -> Option<&backbone::Origin> {
        match self {
            Self::Backbone(extractor) => extractor.origin(),
            Self::File(_) => None,
        }
    }

    /// What is known of the features before a run scales them; `org` and `ckpt` name the model in its pipeline.
    ///
    /// # Errors
    /// Errors of [`Precomputed::open`].
    pub fn given(&self, org: &str, ckpt: &str, interrupt: &Interrupt) -> Result<Given, Error> {
        Ok(match self {
            Self::Backbone(extractor) => Given {
                backbone: Some(extractor.id(org, ckpt)),
                l2: Some(false),
            },
            Self::File(file) => {
                let FeatureFile { backbone, l2, .. } = file.open(interrupt)?;
                Given { backbone, l2 }
            }
        })
    }
}

/// What is known of features before a run scales them.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// The backbone that gave them; `None` where a file does not say it.
    pub backbone: Option<BackboneId>,
    /// Whether they have been scaled to unit L2 norm since; `None` where a file does not say it.
    pub l2: Option<bool>,
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

/// The proof of which rows a run used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureTable {
    /// Rows.
    pub n: usize,
    /// Features per row.
    pub dim: usize,
    /// The smallest and the largest L2 norm of rows that are not zero; 1 where all are.
    pub norms: [f64; 2],
    /// Digest of the rows' bytes.
    pub blake3: Digest,
}

impl FeatureTable {
    fn of(rows: &Array2<f32>) -> Self {
        let mut hasher = blake3::Hasher::new();
        hash_rows(&mut hasher, rows.view());
        Self {
            n: rows.nrows(),
            dim: rows.ncols(),
            norms: norm::range(rows),
            blake3: hasher.finalize().into(),
        }
    }
}

/// What this stage makes.
#[derive(Debug, Clone)]
pub struct Features {
    /// What is on record of the rows.
    pub table: FeatureTable,
    /// The rows themselves, `[n, dim]` in the sample's order; empty as long as they stay in the store.
    rows: OnceCell<Array2<f32>>,
}

impl Features {
    /// These rows, and what goes on record of them.
    pub fn of(rows: Array2<f32>) -> Self {
        Self {
            table: FeatureTable::of(&rows),
            rows: rows.into(),
        }
    }

    /// The rows, to compute with.
    ///
    /// # Errors
    /// That they are not there where they stayed in the store, see [`FeaturesStage::read_rows`].
    pub fn rows(&self) -> Result<&Array2<f32>, Message> {
        let rows = self.rows.get();
        rows.ok_or_else(|| Name::Features.lacks("rows"))
    }

    /// The rows, to keep.
    ///
    /// # Errors
    /// As of [`Features::rows`].
    pub fn into_rows(self) -> Result<Array2<f32>, Message> {
        let rows = self.rows.into_inner();
        rows.ok_or_else(|| Name::Features.lacks("rows"))
    }
}

/// Brings the features of a sample's images together.
pub struct FeaturesStage<'a> {
    source: &'a mut FeatureSource,
    images: &'a Images,
    labels: &'a Labels,
    scaling: Scaling,
    n_extracted: usize,
}

impl<'a> FeaturesStage<'a> {
    /// The features that `source` has of `images`, which are among those of `labels`, taken as `scaling` says.
    pub fn new(
        source: &'a mut FeatureSource,
        images: &'a Images,
        labels: &'a Labels,
        scaling: Scaling,
    ) -> Self {
        Self {
            source,
            images,
            labels,
            scaling,
            n_extracted: 0,
        }
    }

    /// How many images have no features yet.
    pub fn n_missing(&self) -> usize {
        match &*self.source {
            FeatureSource::Backbone(extractor) => extractor.n_missing(self.images),
            FeatureSource::File(_) => 0,
        }
    }

    /// Reads the rows of `features` where they are in the store only; says how many of them are missing there, or turn
    /// out to be damaged.
    ///
    /// # Errors
    /// Errors of the store or the file; rows that are not those on record.
    pub fn read_rows(&mut self, features: &Features, context: Context<'_>) -> Result<usize, Error> {
        if features.rows.get().is_some() {
            return Ok(0);
        }
        let rows = match self.source {
            FeatureSource::Backbone(extractor) => {
                let rows = extractor.stored_rows(self.images, context)?;
                rows.map(|rows| scaled(rows, self.scaling))
            }
            FeatureSource::File(file) => {
                Some(file.rows(&self.images.ids, self.labels, self.scaling, context)?)
            }
        };
        let Some(rows) = rows else {
            return Ok(self.n_missing());
        };
        self.warn_of_zeros(&rows, context);
        let (found, expected) = (FeatureTable::of(&rows).blake3, features.table.blake3);
        if found != expected {
            return Err(Message::machine(format!(
                "features: the rows have digest {}…, expected {}…",
                found.short(),
                expected.short()
            ))
            .hint("the device or libtorch is another; `--force features` takes the new rows")
            .into());
        }
        features.rows.get_or_init(|| rows);
        Ok(0)
    }

    fn warn_of_zeros(&self, rows: &Array2<f32>, context: Context<'_>) {
        let are_zeros = |row: ArrayView1<'_, f32>| row.iter().all(|value| *value == 0.0);
        let ids = rows.rows().into_iter().zip(&self.images.ids);
        let images = Listing::quoted(ids.filter_map(|(row, id)| are_zeros(row).then_some(id)));
        if !images.is_empty() {
            context.progress.warn(&format!(
                "{} with features of zeros only: {images}; a row of zeros has no norm to divide by and stays as it is, as in the reference",
                count(images.n, "image", "images")
            ));
        }
    }
}

impl Stage for FeaturesStage<'_> {
    const NAME: Name = Name::Features;
    const VERSION: u32 = 2;
    type Output = Features;

    fn request(&self) -> Request {
        let builder =
            KeyBuilder::new(Self::NAME.as_str(), Self::VERSION).param("l2", self.scaling.is_on());
        match &*self.source {
            FeatureSource::Backbone(extractor) => {
                let digests = self.images.digests.iter();
                let bytes: Vec<u8> = digests.flat_map(|digest| *digest.as_bytes()).collect();
                extractor
                    .describe(builder)
                    .input("images", Digest::of(&bytes))
            }
            // An id holds no line break, so the joined text stands for the list. What is set is done to rows that have
            // norm 1, too, which a protocol leaves as they are, or refuses.
            FeatureSource::File(file) => file
                .describe(builder)
                .param("l2_is_set", self.scaling.is_set())
                .input("ids", Digest::of(self.images.ids.join("\n").as_bytes())),
        }
        .finish()
    }

    fn run(&mut self, context: Context<'_>) -> Result<Features, Error> {
        let rows = match self.source {
            FeatureSource::Backbone(extractor) => {
                let (rows, n_extracted) = extractor.rows(self.images, context)?;
                self.n_extracted += n_extracted;
                scaled(rows, self.scaling)
            }
            FeatureSource::File(file) => {
                file.rows(&self.images.ids, self.labels, self.scaling, context)?
            }
        };
        self.warn_of_zeros(&rows, context);
        Ok(Features::of(rows))
    }

    fn pretend(&mut self) {
        self.n_extracted += self.n_missing();
        if let FeatureSource::Backbone(extractor) = self.source {
            extractor.plan(self.images);
        }
    }

    /// The rows that there are stay until others have come in their place.
    fn forget(&mut self) -> Result<(), Error> {
        match self.source {
            FeatureSource::Backbone(extractor) => extractor.forget(self.images),
            FeatureSource::File(_) => Ok(()),
        }
    }

    fn counts(&self) -> Option<Counts> {
        let (extracted, lost) = (self.n_extracted, self.n_missing());
        Some(Counts {
            extracted,
            reused: self.images.ids.len().saturating_sub(extracted + lost),
            lost,
        })
    }

    fn encode(features: &Features) -> Result<Objects, Error> {
        let json = serde_json::to_vec(&features.table)?;
        Ok(Objects::from([(FEATURES.to_owned(), json)]))
    }

    fn decode(&self, objects: &Objects) -> Result<Features, Error> {
        let json = Self::NAME.part(objects, FEATURES)?;
        let table: FeatureTable = serde_json::from_slice(json)?;
        let is_of_sample = table.n == self.images.ids.len();
        Self::NAME.ensure(is_of_sample, "it has more or fewer rows than the sample")?;
        if let FeatureSource::Backbone(extractor) = &*self.source {
            let what = "its rows are longer or shorter than the backbone's";
            Self::NAME.ensure(table.dim == extractor.dim(), what)?;
        }
        Ok(Features {
            table,
            rows: OnceCell::new(),
        })
    }
}

/// Rows of a network, each of which float32 can scale, as a run takes them.
fn scaled(mut rows: Array2<f32>, scaling: Scaling) -> Array2<f32> {
    if scaling.is_on() {
        norm::normalize(&mut rows);
    }
    rows
}

/// What it is called that a file is not what it was when it was hashed.
fn changed_meanwhile(path: &Path) -> Message {
    let path = text::path(path);
    Message::machine(format!("{path}: changed while this run was reading it"))
        .hint("run again once nothing writes to it")
}
