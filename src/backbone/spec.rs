//! A backbone that is known: what its network is, how images become its input, and where its weights are.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::backbone::checkpoint::files::{CheckpointFiles, Origin};
use crate::backbone::checkpoint::tensor_names::TensorNames;
use crate::backbone::families::NetworkConfig;
use crate::backbone::families::poolings::Poolings;
use crate::backbone::pool::Pool;
use crate::error::{Error, Message};
use crate::image::Preprocessing;
use crate::text::foreign;

/// A backbone that is known but not loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct BackboneSpec {
    /// The network's name in messages.
    pub architecture: String,
    /// What its tensors and results are: of [`Self::poolings`], the one that was chosen.
    pub network: NetworkConfig,
    /// How its features are pooled.
    pub pool: Pool,
    /// All ways to pool that it has.
    pub poolings: Poolings,
    /// How images become its input.
    pub preprocessing: Preprocessing,
    /// Where the numbers come from.
    pub weights: Weights,
    /// Where on the hub the files come from; `None` where they do not.
    pub origin: Option<Origin>,
}

/// Where the numbers come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Weights {
    /// Safetensors files.
    Files {
        /// Not empty.
        paths: Vec<PathBuf>,
        /// How they name tensors.
        names: &'static TensorNames,
    },
    /// A TorchScript module.
    Script(PathBuf),
    /// Our own generator.
    Random {
        /// Decides every tensor.
        seed: u64,
    },
}

impl BackboneSpec {
    /// The backbone of a checkpoint whose weights, at `paths`, are here as well.
    ///
    /// # Errors
    /// Of a preprocessing that gives the network images of another size than it takes.
    pub fn of(
        files: &CheckpointFiles<'_>,
        architecture: String,
        poolings: Poolings,
        preprocessing: Preprocessing,
        (paths, names): (Vec<PathBuf>, &'static TensorNames),
    ) -> Result<Self, Error> {
        if let Some([height, width]) = poolings.auto.family().img_size()
            && preprocessing.size != [height, width]
        {
            let architecture = foreign(&architecture);
            let [given_height, given_width] = preprocessing.size;
            let text = format!(
                "backbone `{architecture}` takes images of {height} × {width} pixels, its preprocessing gives \
                 {given_height} × {given_width}"
            );
            return Err(Message::data(text)
                .hint("take the files of the checkpoint as its publisher wrote them")
                .into());
        }
        files.pin()?;
        let weights = Weights::Files { paths, names };
        Ok(Self {
            origin: files.origin(),
            ..Self::new(architecture, poolings, preprocessing, weights)
        })
    }

    /// A backbone that does not come from the hub.
    pub fn new(
        architecture: String,
        poolings: Poolings,
        preprocessing: Preprocessing,
        weights: Weights,
    ) -> Self {
        Self {
            architecture,
            network: poolings.auto,
            pool: Pool::Auto,
            poolings,
            preprocessing,
            weights,
            origin: None,
        }
    }

    /// The same, whose features are pooled by `pool`; `model` is for messages.
    ///
    /// # Errors
    /// Of a pooling that it does not have.
    pub fn pooled(self, pool: Pool, model: &str) -> Result<Self, Message> {
        match self.poolings.get(pool) {
            Some(&network) => Ok(Self {
                network,
                pool,
                ..self
            }),
            None => Err(pool.unavailable(model, self.poolings.pools())),
        }
    }

    /// Number of features per image.
    pub fn dim(&self) -> usize {
        self.network.family().dim()
    }

    /// The network's name in messages.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// How images become this backbone's input.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// The files that hold the weights; none where they are drawn from a seed.
    pub fn weights_paths(&self) -> &[PathBuf] {
        match &self.weights {
            Weights::Files { paths, .. } => paths,
            Weights::Script(path) => std::slice::from_ref(path),
            Weights::Random { .. } => &[],
        }
    }

    /// Where on the hub the files come from; `None` where they do not.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// All that decides a feature besides the bytes of the weights' files, the precision and the image.
    pub fn canonical(&self) -> Value {
        let mut value = json!({
            "network": self.network.canonical(),
            "preprocessing": self.preprocessing,
        });
        if let Weights::Random { seed } = self.weights {
            value["random"] = json!({ "draws": RANDOM_VERSION, "seed": seed });
        }
        value
    }
}

/// Rises when the same seed gives other weights.
const RANDOM_VERSION: u32 = 1;
