//! A network with its weights, on its device: from a request to features.

use std::sync::atomic::AtomicUsize;

use tch::{Kind, TchError, Tensor};

use crate::backbone::checkpoint::layout::{Layout, Published};
use crate::backbone::checkpoint::random::RandomWeights;
use crate::backbone::checkpoint::weights::{Checkpoint, MappedFiles, Source};
use crate::backbone::error::Error;
use crate::backbone::families::layers::{Loader, as_i64};
use crate::backbone::families::network::NetworkConfig;
use crate::backbone::families::script::Script;
use crate::backbone::orgs::architectures;
use crate::backbone::run::wire::{Request, WeightsRequest};
use crate::backbone::run::{Device, Precision, libtorch};

/// A network on libtorch.
pub trait Network: Send + Sync {
    /// `images`: `[b, 3, h, w]` f32. Gives `[b, d]`.
    fn forward(&self, images: &Tensor) -> Result<Tensor, TchError>;
}

/// What gives features.
enum Loaded {
    Family(Box<dyn Network>),
    Script(Script),
}

/// A network and where it runs.
pub struct LoadedNetwork {
    network: Loaded,
    device: tch::Device,
    /// `[h, w]` of an image.
    size: [usize; 2],
    dim: usize,
    n_parameters: Option<u64>,
    notes: Vec<String>,
}

impl LoadedNetwork {
    /// Reads or draws the weights and puts them where the network is to run.
    ///
    /// # Errors
    /// What is wrong with the weights; [`Error::Stopped`] once `stop` holds a signal's number.
    pub fn load(request: &Request, stop: &AtomicUsize) -> Result<Self, Error> {
        libtorch::initialize();
        if matches!(request.device, Device::Cpu | Device::Auto) {
            // Threads of libtorch's own would be more than the user has asked for, and where the system does not allow
            // them, OpenMP ends the process.
            tch::set_num_threads(1);
        }
        let precision = match request.precision {
            Precision::F16 => Kind::Half,
            Precision::Bf16 => Kind::BFloat16,
            Precision::F32 | Precision::Auto => Kind::Float,
        };
        let device = match request.device {
            Device::Cuda(index) => tch::Device::Cuda(index),
            Device::Cpu | Device::Auto => tch::Device::Cpu,
        };
        let build = |source: &mut dyn Source| {
            let mut loader = Loader {
                source,
                device,
                precision,
                n_parameters: 0,
                notes: Vec::new(),
                stop,
            };
            let network = request.network.load(&mut loader).transpose()?;
            let n_parameters = loader.n_parameters - loader.source.n_filled_in();
            let notes = loader.notes;
            Ok::<_, Error>(network.map(|network| (network, n_parameters, notes)))
        };
        let no_weights = || Error::NoWeights {
            place: request.architecture.clone(),
            file: "model.safetensors".to_owned(),
        };
        let built = match &request.weights {
            WeightsRequest::Random { seed } => build(&mut RandomWeights { seed: *seed })?,
            WeightsRequest::Files { paths, layout } => {
                let layout = Layout::named(layout).ok_or_else(no_weights)?;
                let paths: Vec<_> = paths.iter().map(Into::into).collect();
                let files = MappedFiles::open(&paths)?;
                let checkpoint =
                    Checkpoint::parse(files.iter(), &request.architecture, layout.wrappers)?
                        .compared(architectures::fitting);
                let mut published = Published::new(checkpoint, layout);
                let mut built = build(&mut published)?;
                let notes = published.finish(|name| request.network.is_passed_over(name))?;
                if let Some((.., of_tensors)) = &mut built {
                    of_tensors.splice(..0, notes);
                }
                built
            }
            WeightsRequest::Script(_) => None,
        };
        let (network, n_parameters, notes) = match (built, &request.weights, &request.network) {
            (Some((network, n, notes)), ..) => (Loaded::Family(network), Some(n), notes),
            (None, WeightsRequest::Script(path), NetworkConfig::Script(config)) => {
                let script = Script::load(path.as_ref(), *config, request.size, device, precision)?;
                (Loaded::Script(script), None, Vec::new())
            }
            // A module has its own weights, all other networks ask for theirs.
            (None, ..) => return Err(no_weights()),
        };
        Ok(Self {
            network,
            device,
            size: request.size,
            dim: request.network.dim(),
            n_parameters,
            notes,
        })
    }

    /// Number of features per image.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of values of an image.
    pub fn n_values(&self) -> usize {
        3 * self.size[0] * self.size[1]
    }

    /// Number of values in the network's tensors; `None` where it is not known.
    pub fn n_parameters(&self) -> Option<u64> {
        self.n_parameters
    }

    /// What was done to make the checkpoint fit.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Features of one batch; `pixels`: `[b, 3, h, w]`, `rows`: `[b, d]`.
    pub fn forward(&self, pixels: &[f32], rows: &mut [f32]) -> Result<(), Error> {
        if self.device == tch::Device::Cpu {
            // libtorch keeps its number of threads per thread that calls it.
            tch::set_num_threads(1);
        }
        let b = rows.len() / self.dim;
        let failed = |error| Error::libtorch("extracting features", &error);
        let _no_grad = tch::no_grad_guard();
        let shape = [b, 3, self.size[0], self.size[1]].map(as_i64);
        let images = libtorch::copied(pixels, shape, self.device).map_err(failed)?; // [b, 3, h, w]
        let features = match &self.network {
            Loaded::Family(network) => network.forward(&images).map_err(failed)?,
            Loaded::Script(script) => script.forward(&images)?,
        }; // [b, d]
        let mut copy = || {
            let features = features
                .f_to_kind(Kind::Float)?
                .f_to_device(tch::Device::Cpu)?
                .f_contiguous()?;
            let n = rows.len();
            features.f_copy_data(rows, n)
        };
        copy().map_err(failed)
    }
}
