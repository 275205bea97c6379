//! A network with its weights, on its device: from a request to features.

use std::sync::atomic::AtomicUsize;

use tch::Kind;

use crate::backbone::checkpoint::random::RandomWeights;
use crate::backbone::checkpoint::tensor_names::{Published, TensorNames};
use crate::backbone::checkpoint::weights::{Checkpoint, MappedFiles, ModuleFile, Shapes, Source};
use crate::backbone::families::loader::{Loading, as_i64};
use crate::backbone::families::torch_error::while_doing;
use crate::backbone::families::{Loaded, Network};
use crate::backbone::run::wire::{Request, WeightsRequest};
use crate::backbone::run::{Device, Precision, libtorch};
use crate::error::{Error, Message};

/// A network and where it runs.
pub struct PlacedNetwork {
    network: Box<dyn Network>,
    device: tch::Device,
    /// `[h, w]` of an image.
    size: [usize; 2],
    dim: usize,
}

impl PlacedNetwork {
    /// Reads or draws the weights and puts them where the network is to run. `fitting` finds an architecture of other
    /// tensors, for messages.
    ///
    /// # Errors
    /// What is wrong with the weights; [`crate::interrupt::Stopped`] once `stop` holds a signal's number.
    pub fn load(
        request: &Request,
        stop: &AtomicUsize,
        fitting: fn(&Shapes<'_>) -> Option<&'static str>,
    ) -> Result<(Self, Loaded), Error> {
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
        let family = request.network.family();
        let build = |source: &dyn Source| {
            let loading = Loading::new(source, device, precision, stop);
            let network = request.network.load(&loading.loader());
            let network = network.map_err(|error| while_doing("loading weights", error))?;
            Ok::<_, Error>((network, loading.finish()))
        };
        let (network, loaded) = match &request.weights {
            WeightsRequest::Random { seed } => build(&RandomWeights { seed: *seed })?,
            WeightsRequest::Files {
                paths,
                names,
                is_own_pooling,
            } => {
                let names = TensorNames::named(names).ok_or_else(|| {
                    Message::machine(format!("unknown names of tensors, `{names}`"))
                })?;
                let paths: Vec<_> = paths.iter().map(Into::into).collect();
                let files = MappedFiles::open(&paths)?;
                let checkpoint =
                    Checkpoint::parse(files.iter(), &request.architecture, names.wrappers)?
                        .compared(fitting);
                let published = Published::new(checkpoint, names);
                let (network, mut loaded) = build(&published)?;
                let notes =
                    published.finish(*is_own_pooling, |name| family.is_passed_over(name))?;
                loaded.notes.splice(..0, notes);
                (network, loaded)
            }
            WeightsRequest::Script(path) => build(&ModuleFile {
                path: path.into(),
                size: request.size,
            })?,
        };
        let placed = Self {
            network,
            device,
            size: request.size,
            dim: family.dim(),
        };
        Ok((placed, loaded))
    }

    /// Number of features per image.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of values of an image.
    pub fn n_values(&self) -> usize {
        3 * self.size[0] * self.size[1]
    }

    /// Features of one batch; `pixels`: `[b, 3, h, w]`, `rows`: `[b, d]`.
    pub fn forward(&self, pixels: &[f32], rows: &mut [f32]) -> Result<(), Error> {
        if self.device == tch::Device::Cpu {
            // libtorch keeps its number of threads per thread that calls it.
            tch::set_num_threads(1);
        }
        let _no_grad = tch::no_grad_guard();
        self.extract(pixels, rows)
            .map_err(|error| while_doing("extracting features", error))
    }

    fn extract(&self, pixels: &[f32], rows: &mut [f32]) -> Result<(), Error> {
        let b = rows.len() / self.dim;
        let shape = [b, 3, self.size[0], self.size[1]].map(as_i64);
        let images = libtorch::copied(pixels, shape, self.device)?; // [b, 3, h, w]
        let features = self
            .network
            .forward(&images)? // [b, d]
            .f_to_kind(Kind::Float)?
            .f_to_device(tch::Device::Cpu)?
            .f_contiguous()?;
        let n = rows.len();
        Ok(features.f_copy_data(rows, n)?)
    }
}
