//! The models that a pipeline names: their checkpoints, or files of features.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::config::{Model, Place, no_file};
use super::executor::Mode;
use crate::artifact::FeatureFile;
use crate::backbone::{self, BackboneSpec, Lookup};
use crate::cache::{Cache, DigestMemo};
use crate::context::Context;
use crate::error::Error;
use crate::files::{check_links, check_names};
use crate::hub::Hub;
use crate::stage::features::extractor::Extractor;
use crate::stage::features::precomputed::Precomputed;
use crate::stage::features::weights::{self, Weights};
use crate::stage::features::{FeatureSource, Settings};

/// From models to where their features come from.
pub struct Models<'a> {
    settings: Settings,
    cache: Cache,
    hub: Hub,
    context: Context<'a>,
    /// What was asked for last: experiments come model by model, and one network at a time is enough for the device's
    /// memory.
    last: Option<(Mode, Model, FeatureSource)>,
}

impl<'a> Models<'a> {
    pub fn new(settings: Settings, cache: &Cache, hub: Hub, context: Context<'a>) -> Self {
        Self {
            settings,
            cache: cache.clone(),
            hub,
            context,
            last: None,
        }
    }

    /// Where the features of `model` come from. What a plan would do to them does not show in a run.
    pub fn features_of(
        &mut self,
        model: &Model,
        mode: Mode,
        memo: &mut DigestMemo,
    ) -> Result<&mut FeatureSource, Error> {
        let is_same = |last: &(Mode, Model, _)| last.0 == mode && last.1 == *model;
        let last = match self.last.take().filter(is_same) {
            Some(last) => last,
            None => (mode, model.clone(), self.open(model, memo)?),
        };
        Ok(&mut self.last.insert(last).2)
    }

    /// Finds the files of `model`, and fetches those that are not here.
    pub fn find(&self, model: &Model) -> Result<(), Error> {
        match &model.place {
            Place::Features(path) => check_header(path),
            _ => self.resolve(model).map(drop),
        }
    }

    fn open(&self, model: &Model, memo: &mut DigestMemo) -> Result<FeatureSource, Error> {
        let (cache, context) = (&self.cache, self.context);
        if let Place::Features(path) = &model.place {
            check_header(path)?;
            let found = memo.digest_large(path, &mut |_| {}, context)?;
            let (digest, _) = found.map_err(|error| unusable(path, error))?;
            memo.save_or_warn(cache, context.progress);
            return Ok(FeatureSource::File(Precomputed::new(path, digest)));
        }
        let spec = self.resolve(model)?;
        let mut weights = Weights::default();
        for path in spec.weights_paths() {
            weights::check_header(path)?;
            let added = weights.add(path, memo, context)?;
            added.map_err(|error| unusable(path, error))?;
        }
        memo.save_or_warn(cache, context.progress);
        let extractor = Extractor::new(cache, spec, weights, self.settings, context)?;
        Ok(FeatureSource::Backbone(Box::new(extractor)))
    }

    fn resolve(&self, model: &Model) -> Result<BackboneSpec, Error> {
        let lookup = Lookup {
            base_dir: &model.base_dir,
            hub: &self.hub,
            progress: self.context.progress,
            allow_code: model.allow_code,
            update: false,
        };
        backbone::resolve(&model.org, &model.ckpt, model.pool, lookup)
    }
}

/// Makes sure that there is a file of features, which need not be hashed to find out that it is something else.
fn check_header(path: &Path) -> Result<(), Error> {
    check_names(path).map_err(io::Error::from)?;
    check_links(path)?;
    match FeatureFile::check_header(path) {
        Err(error) if is_absent(&error) => Err(no_file(path).into()),
        checked => checked,
    }
}

fn is_absent(error: &Error) -> bool {
    let of_system = error.is_a::<io::Error>();
    of_system.is_some_and(|error| error.kind() == ErrorKind::NotFound)
}

/// What it means that a model's file has no digest.
fn unusable(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        // The path itself cannot be one. Whatever lies there in a file's place has a name and a hint already.
        ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::InvalidInput
            if error.get_ref().is_none() =>
        {
            no_file(path).into()
        }
        _ => error.into(),
    }
}
