//! What a pipeline gives besides results: features of every image, and fitted probes.

use std::sync::Arc;

use super::config::Model;
use super::{Evaluation, Mode, Runner, Walk, sources};
use crate::artifact::{FeatureFile, ProbeFile};
use crate::error::Error;
use crate::newt::sampling::NTrain;
use crate::stage::features::FeaturesStage;
use crate::stage::probes::FITTED;
use crate::stage::sample::SampleStage;
use crate::stage::{Name, StageError};

impl Runner<'_> {
    /// The features of every image of the data set, extracted where needed; `file` serves in messages.
    ///
    /// # Errors
    /// Those of the stages up to `features`.
    pub fn features(&self, model: &Model, file: &str) -> Result<FeatureFile, Error> {
        let mut walk = Walk {
            mode: Mode::Run,
            stages: Vec::new(),
        };
        let labels = self.make(
            &sources::labels(&self.data, self.pipeline.other_splits)?,
            &mut walk,
        )?;
        let everything = SampleStage {
            labels: &labels,
            n_train: NTrain::ALL,
            seed: 0,
            tasks: None,
        };
        let sample = self.make(&everything, &mut walk)?;
        let source = self.sources.of(model)?;
        let images = self
            .sources
            .images(&source, &labels.output, &sample.output)?;
        let stage = FeaturesStage::new(&source, &images, &labels.output);
        let mut features = self.make_features(&stage, None, &mut walk)?;
        if let Some(made_again) = self.make_lost_features(&stage, &mut walk)? {
            features = made_again;
        }
        let rows = stage.rows(&features.output, self.context)?;
        drop(stage);
        let mut file = FeatureFile::new(file, images.ids, Arc::unwrap_or_clone(rows))?;
        file.backbone = source
            .fitted_on(&model.org, &model.ckpt, self.context.interrupt)?
            .backbone;
        Ok(file)
    }

    /// The fitted probes of an evaluation as a file of their own, which says what they were fitted on.
    ///
    /// # Errors
    /// [`StageError::NoPart`] where an earlier run fitted them and [`Options::with_fitted`](super::Options) is not set.
    pub fn fitted(&self, evaluation: &Evaluation) -> Result<Vec<u8>, Error> {
        let model = &evaluation.experiment.model;
        let source = self.sources.of(model)?;
        let fitted_on = source.fitted_on(&model.org, &model.ckpt, self.context.interrupt)?;
        let bytes = evaluation.probes.fitted.as_ref();
        let bytes = bytes.ok_or(StageError::NoPart {
            stage: Name::Probes,
            name: FITTED,
        })?;
        Ok(ProbeFile::with_fitted_on(bytes, &fitted_on)?)
    }
}
