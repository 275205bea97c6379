//! What makes a network a [`Backbone`]: batches, threads, precision.

use rayon::prelude::*;
use tch::{Kind, TchError, Tensor};

use super::error::Error;
use super::layers::{Loader, as_i64};
use super::layout::Published;
use super::network::NetworkConfig;
use super::random::RandomWeights;
use super::spec::{BackboneSpec, Weights};
use super::weights::{Checkpoint, MappedFiles, Source};
use super::{Backbone, Device, Precision, libtorch, script};

/// A network on libtorch.
pub(super) trait Network: Send + Sync {
    /// `images`: `[b, 3, h, w]` f32. Gives `[b, d]`.
    fn forward(&self, images: &Tensor) -> Result<Tensor, TchError>;
}

/// How many images the CPU sends through a network at once, never more, never fewer.
///
/// One by one costs up to half as much again (ViT-Base with patches of 32 pixels); more than four bring
/// nothing, and fewer batches than cores.
const CPU_BATCH: usize = 4;

/// A network and where it runs.
struct Extractor {
    network: Box<dyn Network>,
    device: tch::Device,
    /// `[h, w]` of an image.
    size: [usize; 2],
    dim: usize,
    n_parameters: Option<u64>,
}

/// Reads or draws a backbone's weights.
pub(super) fn load(
    spec: &BackboneSpec,
    device: Device,
    precision: Precision,
) -> Result<Box<dyn Backbone>, Error> {
    libtorch::initialize();
    let device = device.resolve()?;
    let precision = match precision.resolve(device) {
        Precision::F16 => Kind::Half,
        Precision::Bf16 => Kind::BFloat16,
        Precision::F32 | Precision::Auto => Kind::Float,
    };
    let device = match device {
        Device::Cuda(index) => tch::Device::Cuda(index),
        Device::Cpu | Device::Auto => tch::Device::Cpu,
    };
    let build = |source: &mut dyn Source| {
        let mut loader = Loader {
            source,
            device,
            precision,
            n_parameters: 0,
        };
        let network = spec.network.load(&mut loader).transpose()?;
        let n_parameters = loader.n_parameters - loader.source.n_filled_in();
        Ok::<_, Error>(network.map(|network| (network, n_parameters)))
    };
    let built = match &spec.weights {
        Weights::Random { seed } => build(&mut RandomWeights { seed: *seed })?,
        Weights::Files { paths, layout } => {
            let files = MappedFiles::open(paths)?;
            let checkpoint = Checkpoint::parse(files.iter(), &spec.architecture)?;
            let mut published = Published::new(checkpoint, layout);
            let built = build(&mut published)?;
            published.finish(|name| spec.network.is_passed_over(name))?;
            built
        }
        Weights::Script(_) => None,
    };
    let (network, n_parameters) = match (built, &spec.weights, &spec.network) {
        (Some((network, n)), ..) => (network, Some(n)),
        (None, Weights::Script(path), NetworkConfig::Script(config)) => {
            (script::load(path, *config, device, precision)?, None)
        }
        // A module has its own weights, all other networks ask for theirs.
        (None, ..) => {
            return Err(Error::NoWeights {
                place: spec.architecture.clone(),
                file: "model.safetensors".to_owned(),
            });
        }
    };
    Ok(Box::new(Extractor {
        network,
        device,
        size: spec.preprocessing.size,
        dim: spec.dim(),
        n_parameters,
    }))
}

impl Backbone for Extractor {
    fn dim(&self) -> usize {
        self.dim
    }

    fn n_parameters(&self) -> Option<u64> {
        self.n_parameters
    }

    fn extract(&self, pixels: &[f32], n: usize) -> Result<Vec<f32>, Error> {
        let per_image = 3 * self.size[0] * self.size[1];
        if n.checked_mul(per_image) != Some(pixels.len()) {
            return Err(Error::Pixels {
                n,
                found: pixels.len(),
                per_image,
            });
        }
        if n == 0 {
            return Ok(Vec::new());
        }
        if self.device != tch::Device::Cpu {
            return self.forward(pixels, n);
        }
        let rows = pixels
            .par_chunks(CPU_BATCH * per_image)
            .map(|images| {
                // libtorch keeps its number of threads per thread that calls it.
                tch::set_num_threads(1);
                let mut padded = images.to_vec();
                padded.resize(CPU_BATCH * per_image, 0.0);
                let mut rows = self.forward(&padded, CPU_BATCH)?;
                rows.truncate(images.len() / per_image * self.dim);
                Ok(rows)
            })
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(rows.concat())
    }
}

impl Extractor {
    /// Features of one batch, `[b, d]`; `pixels`: `[b, 3, h, w]`.
    fn forward(&self, pixels: &[f32], b: usize) -> Result<Vec<f32>, Error> {
        let mut rows = vec![0.0; b * self.dim];
        let mut forward = || {
            let _no_grad = tch::no_grad_guard();
            let images = Tensor::f_from_slice(pixels)?
                .f_reshape([b, 3, self.size[0], self.size[1]].map(as_i64))? // [b, 3, h, w]
                .f_to_device(self.device)?;
            let features = self.network.forward(&images)?; // [b, d]
            let features = features
                .f_to_kind(Kind::Float)?
                .f_to_device(tch::Device::Cpu)?
                .f_contiguous()?;
            let n = rows.len();
            features.f_copy_data(&mut rows, n)
        };
        forward().map_err(|error| Error::libtorch("extracting features", &error))?;
        Ok(rows)
    }
}
