//! From what a pipeline names to what its stages read: the data set, and the models' features.

use std::cell::{OnceCell, RefCell};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rayon::prelude::*;

use super::config::{self, Data, Model, Pipeline};
use crate::artifact::{self, FeatureFile};
use crate::backbone::{self, BackboneSpec, Lookup};
use crate::cache::{Cache, Digest, DigestMemo};
use crate::context::Context;
use crate::error::Error;
use crate::files::{BrokenLink, UnknownName, found};
use crate::hub::Hub;
use crate::newt::images::{self, DataRoot, ImageFiles, Unread};
use crate::newt::labels::{Labels, OtherSplits};
use crate::newt::synth;
use crate::stage::StageError;
use crate::stage::features::network::{self, BadImage, BadImageProblem, Network};
use crate::stage::features::precomputed::Precomputed;
use crate::stage::features::weights::{self, Weights};
use crate::stage::features::{Images, Source};
use crate::stage::labels::LabelsStage;
use crate::stage::sample::Sample;

/// The data set's folder; a synthetic one is drawn into the cache folder where it is missing.
pub(super) fn data_root(
    data: &Data,
    cache: &Cache,
    context: Context<'_>,
) -> Result<DataRoot, Error> {
    match data {
        Data::Root(root) => {
            UnknownName::check(root).map_err(config::Error::DataRoot)?;
            Ok(DataRoot::new(root))
        }
        Data::Synth(options) => {
            let name = format!(
                "v{}-seed{}-{}",
                synth::VERSION,
                options.seed,
                options.images_per_task
            );
            let dir = cache.root().join("synth").join(name);
            synth::ensure(&dir, options, context.progress, context.interrupt)?;
            Ok(DataRoot::new(dir))
        }
    }
}

/// Where the features of `model` are, which somebody else extracted.
fn file_of(model: &Model) -> Result<PathBuf, Error> {
    let path = found(&model.base_dir, &model.ckpt)?;
    BrokenLink::check(&path)?;
    Ok(path)
}

/// Makes sure that there is a file of features, which need not be hashed to find out that it is something else.
fn check_header(path: &Path) -> Result<(), Error> {
    match FeatureFile::check_header(path) {
        Err(artifact::Error::Io(error)) if error.kind() == ErrorKind::NotFound => {
            let path = path.to_owned();
            Err(config::Error::NoModelFile { path }.into())
        }
        checked => Ok(checked?),
    }
}

/// Makes sure that the files of the data set are there which `models` read.
pub(super) fn require_data(data: &DataRoot, models: &[Model]) -> Result<(), Error> {
    data.require_labels()?;
    if !models.iter().all(Model::is_precomputed) {
        data.require_images()?;
    }
    Ok(())
}

/// The first stage, with the labels file read.
pub(super) fn labels(data: &DataRoot, other_splits: OtherSplits) -> Result<LabelsStage, Error> {
    let csv = data.read_labels()?;
    let file = data.labels_path().display().to_string();
    Ok(LabelsStage::new(csv, file, other_splits))
}

/// The models' features, and the memo of files' digests that finding them takes.
pub(super) struct Sources<'a> {
    pipeline: &'a Pipeline,
    cache: &'a Cache,
    data: DataRoot,
    context: Context<'a>,
    memo: RefCell<DigestMemo>,
    hub: Hub,
    /// Where the images lie, once one has not been found where it belongs.
    files: OnceCell<ImageFiles>,
    /// The last model asked for: experiments come model by model, and one network at a time is
    /// enough for the device's memory.
    last: RefCell<Option<(Model, Rc<Source>)>>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(
        pipeline: &'a Pipeline,
        cache: &'a Cache,
        data: DataRoot,
        hub: Hub,
        context: Context<'a>,
    ) -> Self {
        let memo = RefCell::new(DigestMemo::load(cache, context.progress));
        Self {
            pipeline,
            cache,
            data,
            context,
            memo,
            hub,
            files: OnceCell::new(),
            last: RefCell::default(),
        }
    }

    /// Where the features of `model` come from.
    pub(super) fn of(&self, model: &Model) -> Result<Rc<Source>, Error> {
        if let Some((last, source)) = &*self.last.borrow()
            && last == model
        {
            return Ok(Rc::clone(source));
        }
        self.last.replace(None);
        let source = Rc::new(self.open(model)?);
        self.last.replace(Some((model.clone(), Rc::clone(&source))));
        Ok(source)
    }

    /// Where on the hub the files of `model` come from.
    pub(super) fn source(&self, model: &Model) -> Result<Option<backbone::Origin>, Error> {
        Ok(match &*self.of(model)? {
            Source::Network(network) => network.source().cloned(),
            Source::Precomputed(_) => None,
        })
    }

    /// Finds the files of `model`, and fetches those that are not here.
    pub(super) fn find(&self, model: &Model) -> Result<(), Error> {
        if model.is_precomputed() {
            let path = file_of(model)?;
            return check_header(&path);
        }
        self.resolve(model).map(drop)
    }

    fn resolve(&self, model: &Model) -> Result<BackboneSpec, Error> {
        let lookup = Lookup {
            base_dir: &model.base_dir,
            hub: &self.hub,
            progress: self.context.progress,
            allow_code: model.allow_code,
            update: false,
        };
        backbone::resolve(&model.org, &model.ckpt, lookup)
    }

    fn open(&self, model: &Model) -> Result<Source, Error> {
        if model.is_precomputed() {
            let path = file_of(model)?;
            check_header(&path)?;
            return Ok(Source::Precomputed(Precomputed::new(
                &path,
                self.digest_file(&path)?,
            )));
        }
        let spec = self.resolve(model)?;
        let weights = self.weights(&spec)?;
        let network = Network::new(
            self.cache,
            spec,
            weights,
            self.pipeline.features,
            self.context,
        )?;
        Ok(Source::Network(Box::new(network)))
    }

    /// The images of a sample, with digests where `source` reads images.
    pub(super) fn images(
        &self,
        source: &Source,
        labels: &Labels,
        sample: &Sample,
    ) -> Result<Images, Error> {
        let ids: Vec<String> = sample
            .rows
            .iter()
            .map(|row| labels.rows[*row].id.clone())
            .collect();
        if !source.reads_images() {
            return Ok(Images {
                ids,
                paths: Vec::new(),
                digests: Vec::new(),
            });
        }
        self.data.require_images()?;
        let mut paths = self.image_paths(&ids);
        let mut found = self.digest_images(&paths)?;
        // Only where an image is not where it belongs the folder is listed, and once.
        let is_missing = |digest: &Result<Digest, std::io::Error>| {
            digest
                .as_ref()
                .is_err_and(|error| error.kind() == ErrorKind::NotFound)
        };
        if self.files.get().is_none() && found.iter().any(is_missing) {
            let all = labels.rows.iter().map(|row| row.id.as_str());
            let files = self.data.find_images(all)?;
            if let Some(note) = files.note() {
                self.context.progress.warn(&note);
            }
            self.files.get_or_init(|| files);
            paths = self.image_paths(&ids);
            found = self.digest_images(&paths)?;
        }
        if found.iter().any(Result::is_err) {
            return Err(self.bad_images(&ids, &paths, found)?);
        }
        let digests = found.into_iter().flatten().collect();
        Ok(Images {
            ids,
            paths,
            digests,
        })
    }

    fn image_paths(&self, ids: &[String]) -> Vec<PathBuf> {
        let path = |id: &String| match self.files.get() {
            Some(files) => files.path(id),
            None => self.data.image_path(id),
        };
        ids.iter().map(path).collect()
    }

    /// All images that cannot be used, those that could be read among them.
    fn bad_images(
        &self,
        ids: &[String],
        paths: &[PathBuf],
        found: Vec<Result<Digest, std::io::Error>>,
    ) -> Result<Error, Error> {
        let readable: Vec<&Path> = paths
            .iter()
            .zip(&found)
            .filter_map(|(path, digest)| digest.is_ok().then_some(path.as_path()))
            .collect();
        let mut images = network::bad_images(&readable, self.context)?;
        let choices = |id: &String| self.files.get()?.choices(id);
        let bad = ids.iter().zip(paths).zip(found);
        images.extend(bad.filter_map(|((id, path), digest)| {
            let problem = match (digest.err()?, choices(id)) {
                (_, Some(names)) => BadImageProblem::Undecided(names.to_vec()),
                (error, None) => Unread::of(path, &error).into(),
            };
            Some(BadImage {
                path: path.clone(),
                problem,
            })
        }));
        images.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(StageError::BadImages { images }.into())
    }

    /// What is known of the files of a checkpoint.
    fn weights(&self, spec: &BackboneSpec) -> Result<Weights, Error> {
        let (mut memo, mut weights) = (self.memo.borrow_mut(), Weights::default());
        for path in spec.weights_paths() {
            weights::check_header(path)?;
            weights
                .add(path, &mut memo, self.context)?
                .map_err(|error| unusable(path, error))?;
        }
        memo.save_or_warn(self.cache, self.context.progress);
        Ok(weights)
    }

    fn digest_file(&self, path: &Path) -> Result<Digest, Error> {
        let mut memo = self.memo.borrow_mut();
        let Context {
            progress,
            interrupt,
        } = self.context;
        let found = memo.digest_large(path, &mut |_| {}, progress, interrupt)?;
        let (digest, _) = found.map_err(|error| unusable(path, error))?;
        memo.save_or_warn(self.cache, self.context.progress);
        Ok(digest)
    }

    /// The digests of images; a file that is too large for one is not read.
    fn digest_images(
        &self,
        paths: &[PathBuf],
    ) -> Result<Vec<Result<Digest, std::io::Error>>, Error> {
        let sizes: Vec<_> = paths
            .par_iter()
            .map(|path| images::check_size(path))
            .collect();
        let is_fit = |(path, size): (&PathBuf, &Result<_, _>)| size.is_ok().then(|| path.clone());
        let fit: Vec<PathBuf> = paths.iter().zip(&sizes).filter_map(is_fit).collect();
        let mut digests = self.digest_files(&fit)?.into_iter();
        Ok(sizes
            .into_iter()
            .filter_map(|size| match size {
                Ok(()) => digests.next(),
                Err(error) => Some(Err(error)),
            })
            .collect())
    }

    fn digest_files(
        &self,
        paths: &[PathBuf],
    ) -> Result<Vec<Result<Digest, std::io::Error>>, Error> {
        let mut memo = self.memo.borrow_mut();
        let digests = memo.digest_files(paths, self.context.progress, self.context.interrupt)?;
        memo.save_or_warn(self.cache, self.context.progress);
        Ok(digests)
    }
}

/// What it means that a model's file has no digest.
fn unusable(path: &Path, error: std::io::Error) -> Error {
    match error.kind() {
        // The path itself cannot be one. Whatever lies there in a file's place has a name and a hint already.
        ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::InvalidInput
            if error.get_ref().is_none() =>
        {
            config::Error::NoModelFile {
                path: path.to_owned(),
            }
            .into()
        }
        _ => error.into(),
    }
}
