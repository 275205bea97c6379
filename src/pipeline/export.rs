//! What a pipeline gives besides results: features of every image, and fitted probes.

use std::collections::BTreeMap;

use super::config::Model;
use super::executor::{Mode, Walk};
use super::results::describe;
use super::{Evaluation, Runner};
use crate::artifact::{FeatureFile, FittedOn, ProbeFile};
use crate::error::Error;
use crate::newt::sampling::NTrain;
use crate::stage::Name;
use crate::stage::features::l2::Scaling;
use crate::stage::features::{FeaturesStage, Given};
use crate::stage::probes::FITTED;
use crate::stage::sample::SampleStage;

impl Runner<'_> {
    /// The features of every image of the data set, extracted where needed and taken as `scaling` says; `file` serves in
    /// messages.
    ///
    /// # Errors
    /// Errors of the stages up to `features`.
    pub fn features(
        &mut self,
        model: &Model,
        scaling: Scaling,
        file: &str,
    ) -> Result<FeatureFile, Error> {
        let (executor, mut walk) = (&mut self.executor, Walk::new(Mode::Run));
        let labels = executor.make(&mut self.labels_stage, &mut walk)?;
        let mut everything = SampleStage {
            labels: &labels,
            n_train: NTrain::ALL,
            seed: 0,
            tasks: None,
        };
        let sample = executor.make(&mut everything, &mut walk)?;
        let source = self.models.features_of(model, walk.mode, &mut self.memo)?;
        let are_read = source.reads_images();
        let (labels, sample, memo) = (&labels.output, &sample.output, &mut self.memo);
        let images = self.data.images(labels, sample, are_read, memo)?;
        let mut stage = FeaturesStage::new(source, images, labels, scaling);
        let mut features = executor.make(&mut stage, &mut walk)?;
        if let Some(lost) = executor.read_rows(&mut stage, &features.output, walk.mode)? {
            features = executor.compute(&mut stage, lost, &mut walk)?;
        }
        let rows = features.output.into_rows()?;
        let interrupt = executor.context.interrupt;
        let mut file = FeatureFile::new(file, images.ids.clone(), rows, interrupt)?;
        let Given { backbone, l2 } = source.given(&model.org, &model.ckpt, interrupt)?;
        file.backbone = backbone;
        file.l2 = if scaling.is_on() { Some(true) } else { l2 };
        Ok(file)
    }

    /// The fitted probes of an evaluation as a file of their own, which says what they were fitted on.
    ///
    /// # Errors
    /// That they are not there where an earlier run fitted them and [`Options::with_fitted`](super::Options) is not set.
    pub fn fitted(&mut self, evaluation: &Evaluation) -> Result<Vec<u8>, Error> {
        let model = &evaluation.experiment.model;
        let source = self.models.features_of(model, Mode::Run, &mut self.memo)?;
        let interrupt = self.executor.context.interrupt;
        let scaling = evaluation.experiment.scaling;
        let fitted_on = FittedOn {
            backbone: source.given(&model.org, &model.ckpt, interrupt)?.backbone,
            l2: Some(scaling.is_on()),
            scaled_always: scaling.is_on() && scaling.is_set() && model.is_precomputed(),
            norms: evaluation.features.norms,
        };
        let bytes = evaluation.probes.fitted.as_ref();
        let bytes = bytes.ok_or_else(|| Name::Probes.lacks(FITTED))?;
        ProbeFile::with_fitted_on(bytes, &fitted_on, &describe(&evaluation.experiment))
    }

    /// Who makes what, for the records.
    pub fn provenance(&self) -> &BTreeMap<String, String> {
        &self.executor.options.provenance
    }
}
