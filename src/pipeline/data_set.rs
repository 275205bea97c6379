//! The data set that a pipeline names: its labels file and the images of its samples.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::config::{Data, Pipeline};
use crate::cache::{Cache, Digest, DigestMemo};
use crate::context::Context;
use crate::error::{Error, Message};
use crate::files;
use crate::newt::images::{self, DataRoot, ImageFiles, Unread};
use crate::newt::labels::Labels;
use crate::newt::synth;
use crate::stage::features::Images;
use crate::stage::features::bad_image::BadImage;
use crate::stage::labels::LabelsStage;
use crate::stage::sample::Sample;

/// Where a synthetic data set lies in the folder of a cache.
pub fn synth_dir(options: &synth::Options, cache_dir: &Path) -> PathBuf {
    let synth::Options {
        seed,
        images_per_task,
        ..
    } = options;
    let name = format!("v{}-seed{seed}-{images_per_task}", synth::VERSION);
    cache_dir.join("synth").join(name)
}

/// A data set, as one run sees it.
pub struct DataSet<'a> {
    root: DataRoot,
    cache: Cache,
    context: Context<'a>,
    /// Where the images lie, once one has not been found where it belongs.
    files: Option<ImageFiles>,
    /// The images that were asked for last: experiments come with the probes varying fastest.
    last: Option<Images>,
}

impl<'a> DataSet<'a> {
    /// The data set of `pipeline`, with the files that its models read; a synthetic one is drawn into the cache folder
    /// where it is missing.
    pub fn open(pipeline: &Pipeline, cache: &Cache, context: Context<'a>) -> Result<Self, Error> {
        let root = match &pipeline.data {
            Data::Root(root) => {
                files::check_names(root).map_err(|name| {
                    Message::request(format!("`data.root` is {name}")).hint(name.hint())
                })?;
                DataRoot::new(root)
            }
            Data::Synth(options) => {
                let dir = synth_dir(options, cache.root());
                synth::ensure(&dir, options, context)?;
                DataRoot::new(dir)
            }
        };
        root.require_labels()?;
        if pipeline.runs_networks() {
            root.require_images()?;
        }
        Ok(Self {
            root,
            cache: cache.clone(),
            context,
            files: None,
            last: None,
        })
    }

    /// The first stage, with the labels file read.
    pub fn labels(&self, pipeline: &Pipeline) -> Result<LabelsStage, Error> {
        let csv = self.root.read_labels()?;
        let file = self.root.labels_path().display().to_string();
        Ok(LabelsStage::new(csv, file, pipeline.other_splits))
    }

    /// The images of a sample, with their digests if `are_read`.
    pub fn images(
        &mut self,
        labels: &Labels,
        sample: &Sample,
        are_read: bool,
        memo: &mut DigestMemo,
    ) -> Result<&Images, Error> {
        let ids = sample.rows.iter().map(|row| labels.rows[*row].id.clone());
        let ids: Vec<String> = ids.collect();
        let is_same = |last: &Images| last.ids == ids && last.paths.is_empty() != are_read;
        let images = match self.last.take().filter(is_same) {
            Some(last) => last,
            None if are_read => self.find_images(labels, ids, memo)?,
            None => Images {
                ids,
                paths: Vec::new(),
                digests: Vec::new(),
            },
        };
        Ok(self.last.insert(images))
    }

    fn find_images(
        &mut self,
        labels: &Labels,
        ids: Vec<String>,
        memo: &mut DigestMemo,
    ) -> Result<Images, Error> {
        self.root.require_images()?;
        let mut paths = self.image_paths(&ids);
        let mut found = self.digest_images(&paths, memo)?;
        // Only where an image is not where it belongs the folder is listed, and once.
        let is_missing = |digest: &io::Result<Digest>| {
            digest
                .as_ref()
                .is_err_and(|error| error.kind() == ErrorKind::NotFound)
        };
        if self.files.is_none() && found.iter().any(is_missing) {
            let all = labels.rows.iter().map(|row| row.id.as_str());
            let files = self.root.find_images(all)?;
            if let Some(note) = files.note() {
                self.context.progress.warn(&note);
            }
            self.files = Some(files);
            paths = self.image_paths(&ids);
            found = self.digest_images(&paths, memo)?;
        }
        if found.iter().any(Result::is_err) {
            return Err(self.bad_images(&ids, &paths, &found)?);
        }
        let digests = found.into_iter().flatten().collect();
        Ok(Images {
            ids,
            paths,
            digests,
        })
    }

    fn image_paths(&self, ids: &[String]) -> Vec<PathBuf> {
        let path = |id: &String| match &self.files {
            Some(files) => files.path(id),
            None => self.root.image_path(id),
        };
        ids.iter().map(path).collect()
    }

    /// All images that cannot be used, those that could be read among them.
    fn bad_images(
        &self,
        ids: &[String],
        paths: &[PathBuf],
        found: &[io::Result<Digest>],
    ) -> Result<Error, Error> {
        let all = || ids.iter().zip(paths).zip(found);
        let readable: Vec<&Path> = all()
            .filter(|(_, digest)| digest.is_ok())
            .map(|((_, path), _)| path.as_path())
            .collect();
        let mut bad = BadImage::find(&readable, self.context)?;
        let choices = |id: &String| self.files.as_ref()?.choices(id);
        bad.extend(all().filter_map(|((id, path), digest)| {
            let error = digest.as_ref().err()?;
            Some(match choices(id) {
                Some(names) => BadImage::new(
                    path,
                    ImageFiles::undecided(names),
                    "give the right file the name that is missing",
                ),
                None => BadImage::unread(path, &Unread::of(path, error)),
            })
        }));
        bad.sort_by(|a, b| a.path().cmp(b.path()));
        Ok(BadImage::error(&bad))
    }

    /// The digests of images; a file that is too large for one is not read.
    fn digest_images(
        &self,
        paths: &[PathBuf],
        memo: &mut DigestMemo,
    ) -> Result<Vec<io::Result<Digest>>, Error> {
        let sizes: Vec<io::Result<()>> = paths
            .par_iter()
            .map(|path| images::check_size(path))
            .collect();
        let fit = paths.iter().zip(&sizes).filter(|(_, size)| size.is_ok());
        let fit: Vec<PathBuf> = fit.map(|(path, _)| path.clone()).collect();
        let mut digests = memo.digest_files(&fit, self.context)?.into_iter();
        memo.save_or_warn(&self.cache, self.context.progress);
        let of_each = sizes.into_iter().filter_map(|size| match size {
            Ok(()) => digests.next(),
            Err(error) => Some(Err(error)),
        });
        Ok(of_each.collect())
    }
}
