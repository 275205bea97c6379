//! What makes a loaded network a [`Backbone`]: batches and threads.

use rayon::prelude::*;

use crate::backbone::Backbone;
use crate::backbone::run::runtime::{RemoteNetwork, opened};
use crate::backbone::run::wire::Request;
use crate::backbone::run::{Device, Precision};
use crate::backbone::spec::BackboneSpec;
use crate::error::{Error, Message};
use crate::interrupt::Interrupt;

/// How many images the CPU sends through a network at once, never more, never fewer.
///
/// One by one costs up to half as much again (ViT-Base with patches of 32 pixels); more than four bring
/// nothing, and fewer batches than cores.
const CPU_BATCH: usize = 4;

/// A network and how images are sent through it.
struct Extractor {
    network: RemoteNetwork,
    device: Device,
    interrupt: Interrupt,
}

impl BackboneSpec {
    /// Reads or draws the weights and puts them where the network is to run.
    ///
    /// # Errors
    /// Of a device or a libtorch that is not to be had; what is wrong with the weights' files, by tensor; a stop, once
    /// `interrupt` asks for it, which what is loaded goes on to look at.
    pub fn load(
        &self,
        device: Device,
        precision: Precision,
        interrupt: &Interrupt,
    ) -> Result<Box<dyn Backbone>, Error> {
        let device = device.resolve()?;
        let functions = opened(device)?;
        if let Device::Cuda(index) = device {
            // The driver has shown it; libtorch has the last word.
            let n = (functions.n_cuda_devices)();
            if index >= n {
                let text = format!(
                    "device `cuda:{index}`: the driver shows it, libtorch can use {n} CUDA device(s)"
                );
                let hint = "`nvidia-smi` says whether GPU and driver work; `features.device = \"cpu\"` does without";
                return Err(Message::machine(text).hint(hint).into());
            }
        }
        let request = Request::new(self, device, precision.resolve(device));
        Ok(Box::new(Extractor {
            network: functions.load_network(&request, interrupt)?,
            device,
            interrupt: interrupt.clone(),
        }))
    }
}

impl Backbone for Extractor {
    fn dim(&self) -> usize {
        self.network.dim
    }

    fn n_parameters(&self) -> Option<u64> {
        self.network.loaded.n_parameters
    }

    fn notes(&self) -> &[String] {
        &self.network.loaded.notes
    }

    fn extract(&self, pixels: &[f32], n: usize) -> Result<Vec<f32>, Error> {
        let per_image = self.network.n_values;
        if n.checked_mul(per_image) != Some(pixels.len()) {
            let found = pixels.len();
            let text =
                format!("batch of {n} images has {found} values, expected {n} × {per_image}");
            return Err(Message::machine(text).into());
        }
        if n == 0 {
            return Ok(Vec::new());
        }
        if self.device != Device::Cpu {
            self.interrupt.check()?;
            return self.network.forward(pixels, n);
        }
        let rows = pixels
            .par_chunks(CPU_BATCH * per_image)
            .map(|images| {
                self.interrupt.check()?;
                let mut padded = images.to_vec();
                padded.resize(CPU_BATCH * per_image, 0.0);
                let mut rows = self.network.forward(&padded, CPU_BATCH)?;
                rows.truncate(images.len() / per_image * self.network.dim);
                Ok(rows)
            })
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(rows.concat())
    }
}
