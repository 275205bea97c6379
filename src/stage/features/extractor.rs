//! Features that a backbone extracts: rows are kept in shards as they come, and only images without a row are touched.

use std::collections::BTreeSet;
use std::path::Path;

use ndarray::Array2;

use super::bad_image::BadImage;
use super::decode::{Decoder, ImageFile};
use super::shard::Shard;
use super::weights::{self, Weights};
use super::{BatchSize, Images, Settings, changed_meanwhile};
use crate::artifact::{BackboneId, FeatureStore};
use crate::backbone::{self, Backbone, BackboneSpec, Choice, Device, Precision};
use crate::cache::{Cache, Digest, KeyBuilder, Request};
use crate::context::Context;
use crate::error::{Error, Message};
use crate::text::count;

/// Raised whenever decoding, preprocessing or a network gives other features for the same weights, or other than these
/// are kept.
const VERSION: u32 = 2;

/// A model whose features are extracted here, and those that have been.
pub struct Extractor {
    spec: BackboneSpec,
    weights: Weights,
    cache: Cache,
    /// As the user wrote it.
    asked: Device,
    device: Device,
    precision: Precision,
    batch_size: usize,
    store: FeatureStore,
    /// Images that [`Extractor::forget`] has had: each is extracted again once.
    forgotten: BTreeSet<Digest>,
    /// Images that an experiment would extract that was planned before.
    planned: BTreeSet<Digest>,
    /// Loaded with the first image to extract.
    backbone: Option<Box<dyn Backbone>>,
}

impl Extractor {
    /// A model's features in `cache`, and how to extract more.
    ///
    /// `weights`: what is known of the checkpoint's files.
    ///
    /// # Errors
    /// Errors of the store; an error where the device is not there.
    pub fn new(
        cache: &Cache,
        spec: BackboneSpec,
        weights: Weights,
        settings: Settings,
        context: Context<'_>,
    ) -> Result<Self, Error> {
        let device = settings.device.resolve()?;
        let precision = settings.precision.resolve(device);
        let batch_size = match settings.batch_size {
            BatchSize::Images(images) => images,
            // Four images for each thread: what a backbone sends through its network at once.
            BatchSize::Auto if device == Device::Cpu => 32.max(4 * rayon::current_num_threads()),
            BatchSize::Auto => 256,
        };
        let key = request(&spec, weights.digest(), precision).key;
        let store = FeatureStore::open(cache, &key, spec.dim(), context.progress)?;
        Ok(Self {
            spec,
            weights,
            cache: cache.clone(),
            asked: settings.device,
            device,
            precision,
            batch_size,
            store,
            forgotten: BTreeSet::new(),
            planned: BTreeSet::new(),
            backbone: None,
        })
    }

    /// Where on the hub the checkpoint's files come from.
    pub fn origin(&self) -> Option<&backbone::Origin> {
        self.spec.origin()
    }

    /// The backbone, which the pipeline names `org`/`ckpt`.
    pub fn id(&self, org: &str, ckpt: &str) -> BackboneId {
        let request = request(&self.spec, self.weights.digest(), self.precision);
        BackboneId::new(org, ckpt, &request)
    }

    /// Adds what decides the features to a key.
    pub fn describe(&self, builder: KeyBuilder) -> KeyBuilder {
        let builder = builder.param("backbone_version", VERSION);
        describe(&self.spec, self.weights.digest(), self.precision, builder)
    }

    /// Features per row.
    pub fn dim(&self) -> usize {
        self.spec.dim()
    }

    /// How many of `images` have no row, and would have none if what was planned had run.
    pub fn n_missing(&self, images: &Images) -> usize {
        let missing = self.store.missing(&images.digests).into_iter();
        missing
            .filter(|place| !self.planned.contains(&images.digests[*place]))
            .count()
    }

    /// Counts all of `images` as extracted from now on.
    pub fn plan(&mut self, images: &Images) {
        self.planned.extend(&images.digests);
    }

    /// Has the rows of `images` extracted again when they are asked for next, but for those that it has had before.
    pub fn forget(&mut self, images: &Images) -> Result<(), Error> {
        let mut images = images.digests.clone();
        images.retain(|image| self.forgotten.insert(*image));
        self.store.forget(&images)
    }

    /// The rows of `images` as the network gave them, `[n, d]` in their order, if all of them are in the store and whole.
    pub fn stored_rows(
        &mut self,
        images: &Images,
        context: Context<'_>,
    ) -> Result<Option<Array2<f32>>, Error> {
        self.store.read(&images.digests, context.progress)
    }

    /// The rows of `images` as the network gives them, `[n, d]` in their order, and how many had to be extracted.
    pub fn rows(
        &mut self,
        images: &Images,
        context: Context<'_>,
    ) -> Result<(Array2<f32>, usize), Error> {
        let mut n_extracted = 0;
        // Reading drops damaged shards with a warning: what was in them is missing then.
        for _ in 0..2 {
            n_extracted += self.extract_missing(images, context)?;
            if let Some(rows) = self.stored_rows(images, context)? {
                return Ok((rows, n_extracted));
            }
        }
        let n_lost = self.store.missing(&images.digests).len();
        let n_lost = count(n_lost, "image", "images");
        Err(
            Message::data(format!("the cache lost the features of {n_lost}"))
                .hint("run again: what was lost is extracted again")
                .into(),
        )
    }

    fn extract_missing(&mut self, images: &Images, context: Context<'_>) -> Result<usize, Error> {
        let missing = self.store.missing(&images.digests);
        if missing.is_empty() {
            return Ok(0);
        }
        if self.backbone.is_none() {
            // Without libtorch nothing can be extracted, which is known before every image is looked at.
            backbone::require_libtorch(self.device)?;
        }
        let files: Vec<ImageFile> = missing
            .into_iter()
            .map(|place| ImageFile {
                path: images.paths[place].clone(),
                digest: images.digests[place],
            })
            .collect();
        let paths: Vec<&Path> = files.iter().map(|file| file.path.as_path()).collect();
        let bad = BadImage::find(&paths, context)?;
        if !bad.is_empty() {
            return Err(BadImage::error(&bad));
        }
        let backbone = match self.backbone.take() {
            Some(backbone) => backbone,
            None => self.load(context)?,
        };
        context
            .progress
            .start("extracting features", files.len() as u64);
        let extracted = self.extract(&files, backbone.as_ref(), context);
        context.progress.finish();
        self.backbone = Some(backbone);
        self.store.replace_forgotten(context.progress)?;
        extracted?;
        Ok(files.len())
    }

    /// The network, with the weights that the key names.
    fn load(&self, context: Context<'_>) -> Result<Box<dyn Backbone>, Error> {
        let choice = Choice::new(self.asked, self.device, self.precision);
        if let Some(warning) = &choice.warning {
            context.progress.warn(warning);
        }
        self.weights.verify(&self.cache, context)?;
        let backbone = self
            .spec
            .load(self.device, self.precision, context.interrupt)?;
        // The files were hashed before they were read: had one changed in between, rows of other weights would be
        // kept under this key.
        let paths = self.spec.weights_paths();
        if weights::digest_now(paths, context.interrupt)? != self.weights.digest() {
            return Err(changed_meanwhile(&paths[0]).into());
        }
        for note in backbone.notes() {
            context.progress.warn(note);
        }
        context.progress.note(&choice.line);
        Ok(backbone)
    }

    /// Sends `files` through the network, batch by batch, and stores rows as shards fill up.
    ///
    /// Whatever ends it, the rows that there are then are stored.
    fn extract(
        &mut self,
        files: &[ImageFile],
        backbone: &dyn Backbone,
        context: Context<'_>,
    ) -> Result<(), Error> {
        let decoder = Decoder {
            preprocessing: self.spec.preprocessing(),
            interrupt: context.interrupt,
        };
        let mut shard = Shard::new(backbone.dim());
        let mut bad = Vec::new();
        let extracted = decoder.for_each_batch(files, self.batch_size, |batch| {
            context.interrupt.check()?;
            let pixels = batch.pixels.unwrap_or_else(|images| {
                bad.extend(images);
                Vec::new()
            });
            // Once an image is bad the run fails: the rest is only looked through for more.
            if bad.is_empty() {
                let rows = backbone.extract(&pixels, batch.files.len())?;
                shard.push(batch.files, rows)?;
                if shard.is_due() {
                    shard.store(&mut self.store)?;
                }
            }
            context.progress.tick(batch.files.len() as u64);
            Ok(pixels)
        });
        shard.store(&mut self.store)?;
        extracted?;
        if bad.is_empty() {
            Ok(())
        } else {
            Err(BadImage::error(&bad))
        }
    }
}

/// The key under which a backbone's features are kept.
pub fn request(spec: &BackboneSpec, weights: Option<Digest>, precision: Precision) -> Request {
    let builder = KeyBuilder::new("backbone", VERSION);
    describe(spec, weights, precision, builder).finish()
}

fn describe(
    spec: &BackboneSpec,
    weights: Option<Digest>,
    precision: Precision,
    builder: KeyBuilder,
) -> KeyBuilder {
    let builder = builder
        .param("backbone", spec.canonical())
        .param("precision", precision.to_string());
    match weights {
        Some(digest) => builder.input("weights", digest),
        None => builder,
    }
}
