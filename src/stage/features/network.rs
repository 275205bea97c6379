//! Features that a backbone extracts: images are decoded ahead of the network, rows are kept in
//! shards as they come, and only images without a row are touched.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use ndarray::{Array2, ArrayView1, ArrayView2};
use rayon::prelude::*;

use super::norm;
use super::weights::{self, Weights};
use super::{BatchSize, Images, Settings};
use crate::artifact::{self, BackboneId, FeatureStore};
use crate::backbone::{self, Backbone, BackboneSpec, Choice, Device, Origin, Precision};
use crate::cache::{Cache, Digest, KeyBuilder, Request};
use crate::context::Context;
use crate::error::Error;
use crate::image::{self, Preprocessing};
use crate::interrupt::Interrupt;
use crate::newt::images::{self, ImageFiles, Unread};
use crate::stage::StageError;
use crate::text;

/// Raised whenever decoding, preprocessing or a network gives other features for the same weights.
const VERSION: u32 = 1;

/// A shard is written when it holds this many rows …
const SHARD_ROWS: usize = 256;
/// … or when this long has passed since the last: what an interruption can cost.
const SHARD_TIME: Duration = Duration::from_secs(10);

/// Batches that are decoded and wait for the network.
const BATCHES_AHEAD: usize = 2;

/// A model whose features are extracted here.
pub struct Network {
    spec: BackboneSpec,
    weights: Weights,
    cache: Cache,
    /// As the user wrote it.
    asked: Device,
    device: Device,
    precision: Precision,
    batch_size: usize,
    store: RefCell<FeatureStore>,
    /// Images that [`Network::forget`] has had: each is extracted again once.
    forgotten: RefCell<BTreeSet<Digest>>,
    backbone: OnceCell<Box<dyn Backbone>>,
}

/// An image that cannot be used.
#[derive(Debug)]
pub struct BadImage {
    /// Its file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: BadImageProblem,
}

/// What can be wrong with an image's file.
#[derive(Debug, thiserror::Error)]
pub enum BadImageProblem {
    /// There is none that can be read.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// There is none, and of these names none fits better than the others.
    #[error("{}", ImageFiles::undecided(.0))]
    Undecided(Vec<String>),
    /// It is no whole image.
    #[error("{0}")]
    Undecodable(image::Error),
    /// It is another file than when it was hashed.
    #[error("changed while this run was reading it")]
    Changed,
}

impl fmt::Display for BadImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", text::path(&self.path), self.problem)
    }
}

impl BadImageProblem {
    /// One action that helps.
    pub fn hint(&self) -> String {
        let hint = match self {
            Self::Unread(unread) => return unread.hint(),
            Self::Undecided(_) => "give the right file the name that is missing",
            Self::Undecodable(error) => return error.hint().unwrap_or_default(),
            Self::Changed => "run again once nothing writes to the images",
        };
        hint.to_owned()
    }
}

/// An image without a row, and where it lies.
struct Wanted {
    digest: Digest,
    path: PathBuf,
}

/// One batch as the decoding thread hands it over.
struct Batch<'a> {
    images: &'a [Wanted],
    /// `[b, 3, h, w]`, or the images that cannot be used.
    pixels: Result<Vec<f32>, Vec<BadImage>>,
}

impl Network {
    /// A model's features in `cache`, and how to extract more.
    ///
    /// `weights`: what is known of the checkpoint's files.
    ///
    /// # Errors
    /// Those of the store; [`crate::backbone::Error`] where the device is not there.
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
        let request = request(&spec, weights.digest(), precision);
        let store = RefCell::new(FeatureStore::open(
            cache,
            &request.key,
            spec.dim(),
            context.progress,
        )?);
        Ok(Self {
            spec,
            weights,
            cache: cache.clone(),
            asked: settings.device,
            device,
            precision,
            batch_size,
            store,
            forgotten: RefCell::default(),
            backbone: OnceCell::new(),
        })
    }

    /// Where on the hub the checkpoint's files come from.
    pub fn source(&self) -> Option<&Origin> {
        self.spec.origin()
    }

    /// The backbone, which the pipeline names `org`/`ckpt`.
    pub fn id(&self, org: &str, ckpt: &str) -> BackboneId {
        let request = request(&self.spec, self.weights.digest(), self.precision);
        BackboneId::new(org, ckpt, &request)
    }

    /// Adds what decides the features to a key.
    pub(super) fn describe(&self, builder: KeyBuilder) -> KeyBuilder {
        describe(
            &self.spec,
            self.weights.digest(),
            self.precision,
            builder.param("backbone_version", VERSION),
        )
    }

    pub(super) fn n_missing(&self, images: &Images) -> usize {
        self.store.borrow().missing(&images.digests).len()
    }

    /// Features per row.
    pub(super) fn dim(&self) -> usize {
        self.spec.dim()
    }

    /// The rows of `images`, `[n, d]` in their order, if all of them are in the store and whole.
    pub(super) fn stored_rows(
        &self,
        images: &Images,
        context: Context<'_>,
    ) -> Result<Option<Array2<f32>>, Error> {
        let mut store = self.store.borrow_mut();
        match store.read(&images.digests, context.progress) {
            Ok(rows) => Ok(Some(rows)),
            Err(artifact::Error::Lost { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The rows of `images`, `[n, d]` in their order, and how many had to be extracted.
    pub(super) fn rows(
        &self,
        images: &Images,
        context: Context<'_>,
    ) -> Result<(Array2<f32>, usize), Error> {
        let mut n_extracted = self.extract_missing(images, context)?;
        if let Some(rows) = self.stored_rows(images, context)? {
            return Ok((rows, n_extracted));
        }
        // Damaged shards have been dropped with a warning: what was in them is missing now.
        n_extracted += self.extract_missing(images, context)?;
        let mut store = self.store.borrow_mut();
        let rows = store.read(&images.digests, context.progress)?;
        Ok((rows, n_extracted))
    }

    fn extract_missing(&self, images: &Images, context: Context<'_>) -> Result<usize, Error> {
        let missing = self.store.borrow().missing(&images.digests);
        if missing.is_empty() {
            return Ok(0);
        }
        if self.backbone.get().is_none() {
            // Without libtorch nothing can be extracted, which is known before every image is looked at.
            backbone::require_libtorch(self.device)?;
        }
        let wanted: Vec<Wanted> = missing
            .into_iter()
            .map(|place| Wanted {
                digest: images.digests[place],
                path: images.paths[place].clone(),
            })
            .collect();
        let paths: Vec<&Path> = wanted.iter().map(|image| image.path.as_path()).collect();
        let images = bad_images(&paths, context)?;
        if !images.is_empty() {
            return Err(StageError::BadImages { images }.into());
        }
        let backbone = if let Some(backbone) = self.backbone.get() {
            backbone
        } else {
            let choice = Choice::new(self.asked, self.device, self.precision);
            if let Some(warning) = &choice.warning {
                context.progress.warn(warning);
            }
            let loaded = self.load(context)?;
            for note in loaded.notes() {
                context.progress.warn(note);
            }
            context.progress.note(&choice.line);
            self.backbone.get_or_init(|| loaded)
        };
        context
            .progress
            .start("extracting features", wanted.len() as u64);
        let extracted = self.extract(&wanted, backbone.as_ref(), context);
        context.progress.finish();
        self.store
            .borrow_mut()
            .replace_forgotten(context.progress)?;
        extracted?;
        Ok(wanted.len())
    }

    /// The network, with the weights that the key names.
    fn load(&self, context: Context<'_>) -> Result<Box<dyn Backbone>, Error> {
        self.weights.verify(&self.cache, context)?;
        let backbone = self
            .spec
            .load(self.device, self.precision, context.interrupt)?;
        // The files were hashed before they were read: had one changed in between, rows of other weights would be
        // kept under this key.
        let now = weights::digest_now(self.spec.weights_paths(), context.interrupt)?;
        if now != self.weights.digest() {
            return Err(StageError::ChangedMeanwhile {
                path: self.spec.weights_paths()[0].clone(),
            }
            .into());
        }
        Ok(backbone)
    }

    /// Has the rows of `images` extracted again when they are asked for next, but for those that it has had before.
    pub(super) fn forget(&self, images: &Images) -> Result<(), Error> {
        let mut forgotten = self.forgotten.borrow_mut();
        let mut images = images.digests.clone();
        images.retain(|image| forgotten.insert(*image));
        Ok(self.store.borrow_mut().forget(&images)?)
    }

    /// Sends `wanted` through the network, batch by batch, and stores rows as shards fill up.
    fn extract(
        &self,
        wanted: &[Wanted],
        backbone: &dyn Backbone,
        context: Context<'_>,
    ) -> Result<(), Error> {
        let preprocessing = self.spec.preprocessing();
        let decode =
            move |images, pixels| decode_batch(images, preprocessing, pixels, context.interrupt);
        let chunks = || wanted.chunks(self.batch_size);
        let decoded_here = || chunks().map(|images| decode(images, Vec::new()));
        if rayon::current_thread_index().is_some() {
            // This thread is one of those that decode: another one would wait for it while it waits for the other.
            return self.extract_batches(decoded_here(), backbone, |_| {}, context);
        }
        thread::scope(|scope| {
            let (sender, batches) = sync_channel::<Batch<'_>>(BATCHES_AHEAD);
            // Memory of batches that the network has seen: new memory for each costs time in which a GPU waits.
            let (done, spare) = channel::<Vec<f32>>();
            let chunks = chunks();
            let decode_ahead = move || {
                for images in chunks {
                    let pixels = spare.try_recv().unwrap_or_default();
                    if sender.send(decode(images, pixels)).is_err() {
                        return;
                    }
                }
            };
            match thread::Builder::new().spawn_scoped(scope, decode_ahead) {
                Ok(_) => {
                    let give_back = |pixels| {
                        done.send(pixels).ok(); // nobody asks for it while the last batches are on their way
                    };
                    self.extract_batches(batches, backbone, give_back, context)
                }
                // The system allows no more threads.
                Err(_) => self.extract_batches(decoded_here(), backbone, |_| {}, context),
            }
        })
    }

    /// Sends batches through the network; `give_back` gets the memory of each.
    ///
    /// Whatever ends it, the rows that there are then are stored.
    fn extract_batches<'b>(
        &self,
        batches: impl IntoIterator<Item = Batch<'b>>,
        backbone: &dyn Backbone,
        give_back: impl Fn(Vec<f32>),
        context: Context<'_>,
    ) -> Result<(), Error> {
        let mut shard = Shard::new(backbone.dim());
        let mut bad = Vec::new();
        let mut take = |batch: Batch<'b>| {
            context.interrupt.check()?;
            match batch.pixels {
                Err(images) => bad.extend(images),
                // Once an image is bad the run fails: the rest is only looked through for more.
                Ok(_) if !bad.is_empty() => {}
                Ok(pixels) => {
                    let rows = backbone.extract(&pixels, batch.images.len())?;
                    give_back(pixels);
                    shard.push(batch.images, rows)?;
                    if shard.is_due() {
                        shard.store(&mut self.store.borrow_mut())?;
                    }
                }
            }
            context.progress.tick(batch.images.len() as u64);
            Ok::<_, Error>(())
        };
        let taken = batches.into_iter().try_for_each(&mut take);
        shard.store(&mut self.store.borrow_mut())?;
        taken?;
        if bad.is_empty() {
            Ok(())
        } else {
            Err(StageError::BadImages { images: bad }.into())
        }
    }
}

/// The key under which a backbone's features are kept.
pub(super) fn request(
    spec: &BackboneSpec,
    weights: Option<Digest>,
    precision: Precision,
) -> Request {
    describe(
        spec,
        weights,
        precision,
        KeyBuilder::new("backbone", VERSION),
    )
    .finish()
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

/// The images that cannot be used, by a look at the header and the end of each.
///
/// # Errors
/// [`crate::interrupt::Stopped`] if the look was interrupted.
pub fn bad_images(paths: &[&Path], context: Context<'_>) -> Result<Vec<BadImage>, Error> {
    context
        .progress
        .start("checking images", paths.len() as u64);
    let checked: Vec<Option<BadImage>> = paths
        .par_iter()
        .map(|path| {
            if context.interrupt.requested() {
                return None;
            }
            let problem = match images::read(path, context.interrupt) {
                Ok(bytes) => image::check(&bytes).err().map(BadImageProblem::Undecodable),
                Err(unread) => Some(unread.into()),
            };
            context.progress.tick(1);
            problem.map(|problem| BadImage {
                path: path.to_path_buf(),
                problem,
            })
        })
        .collect();
    context.progress.finish();
    context.interrupt.check()?;
    Ok(checked.into_iter().flatten().collect())
}

/// `pixels`: memory of an earlier batch, which is no shorter, or an empty vector. Once a stop is asked for, what is left
/// is not decoded, and whoever gets the batch asks for the reason.
fn decode_batch<'a>(
    images: &'a [Wanted],
    preprocessing: &Preprocessing,
    mut pixels: Vec<f32>,
    interrupt: &Interrupt,
) -> Batch<'a> {
    let [height, width] = preprocessing.size;
    let n_pixels = 3 * height * width;
    if pixels.is_empty() {
        pixels = vec![0.0; images.len() * n_pixels];
    }
    pixels.truncate(images.len() * n_pixels);
    let bad: Vec<Option<BadImage>> = pixels
        .par_chunks_exact_mut(n_pixels)
        .zip(images)
        .map(|(out, image)| {
            if interrupt.requested() {
                return None;
            }
            decode(image, preprocessing, out, interrupt).err()
        })
        .map(|problem| problem.map(|(path, problem)| BadImage { path, problem }))
        .collect();
    let bad: Vec<BadImage> = bad.into_iter().flatten().collect();
    Batch {
        images,
        pixels: if bad.is_empty() { Ok(pixels) } else { Err(bad) },
    }
}

fn decode(
    wanted: &Wanted,
    preprocessing: &Preprocessing,
    out: &mut [f32],
    interrupt: &Interrupt,
) -> Result<(), (PathBuf, BadImageProblem)> {
    let place = |problem| (wanted.path.clone(), problem);
    let bytes = images::read(&wanted.path, interrupt).map_err(|unread| place(unread.into()))?;
    if Digest::of(&bytes) != wanted.digest {
        return Err(place(BadImageProblem::Changed));
    }
    let image =
        image::decode(&bytes).map_err(|error| place(BadImageProblem::Undecodable(error)))?;
    preprocessing.apply_into(&image, out);
    Ok(())
}

/// Rows that wait to be stored.
struct Shard {
    digests: Vec<Digest>,
    rows: Vec<f32>,
    dim: usize,
    since: Instant,
}

impl Shard {
    fn new(dim: usize) -> Self {
        Self {
            digests: Vec::new(),
            rows: Vec::new(),
            dim,
            since: Instant::now(),
        }
    }

    /// Adds rows, each scaled to unit L2 norm as the reference does after the backbone.
    fn push(&mut self, images: &[Wanted], mut rows: Vec<f32>) -> Result<(), Error> {
        for (row, image) in rows.chunks_exact_mut(self.dim).zip(images) {
            if let Some(column) = row.iter().position(|value| !value.is_finite()) {
                return Err(StageError::NonFiniteFeature {
                    image: image.path.clone(),
                    column,
                    value: row[column],
                }
                .into());
            }
            let norm = norm::norm(ArrayView1::from(&*row));
            if !norm::is_usable(norm) {
                return Err(StageError::FeatureNorm {
                    image: image.path.clone(),
                    norm,
                }
                .into());
            }
            norm::normalize(row);
            self.digests.push(image.digest);
        }
        self.rows.append(&mut rows);
        Ok(())
    }

    fn is_due(&self) -> bool {
        self.digests.len() >= SHARD_ROWS || self.since.elapsed() >= SHARD_TIME
    }

    fn store(&mut self, store: &mut FeatureStore) -> Result<(), Error> {
        if !self.digests.is_empty() {
            let rows = ArrayView2::from_shape((self.digests.len(), self.dim), &self.rows);
            #[expect(
                clippy::expect_used,
                reason = "`push` adds `dim` values with each digest"
            )]
            store.append(&self.digests, rows.expect("a full matrix"))?;
            self.digests.clear();
            self.rows.clear();
        }
        self.since = Instant::now();
        Ok(())
    }
}
