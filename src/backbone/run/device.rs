//! Where a network runs, and in which number format.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString};

use crate::backbone::run::cuda::{Cuda, cuda};
use crate::error::Message;
use crate::text::{foreign, said};

/// Where a network runs.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, Serialize, Deserialize)]
#[strum(serialize_all = "lowercase")]
pub enum Device {
    /// The first CUDA device if there is one, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// A CUDA device, by number.
    #[strum(to_string = "cuda:{0}")]
    Cuda(usize),
}

impl Device {
    /// The device that is meant on this machine; never [`Device::Auto`]. libtorch is not opened for that.
    ///
    /// # Errors
    /// If a CUDA device was asked for that is not there.
    pub fn resolve(self) -> Result<Self, Message> {
        const AUTO: &str = "`features.device = \"auto\"` takes what is there";
        if self == Self::Cpu {
            return Ok(self);
        }
        match (self, cuda()) {
            (Self::Cpu, _) | (Self::Auto, Err(_)) => Ok(Self::Cpu),
            (Self::Auto, Ok(_)) => Ok(Self::Cuda(0)),
            (Self::Cuda(index), Ok(Cuda { gpus })) if index < gpus.len() => Ok(self),
            (Self::Cuda(index), Ok(Cuda { gpus })) => Err(Message::request(format!(
                "device `cuda:{index}`: this machine has {} CUDA device(s), counted from 0",
                gpus.len()
            ))
            .hint(AUTO)),
            (Self::Cuda(_), Err(no_cuda)) => {
                let hint = no_cuda.hint.as_deref().unwrap_or(AUTO);
                Err(
                    Message::request(format!("device `cuda`: {}", said(&no_cuda.reason)))
                        .hint(hint),
                )
            }
        }
    }
}

impl FromStr for Device {
    type Err = Message;

    fn from_str(text: &str) -> Result<Self, Message> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => match text.strip_prefix("cuda:").map(str::parse) {
                Some(Ok(index)) => Ok(Self::Cuda(index)),
                _ => Err(Message::request(format!(
                    "device `{}`, expected `auto`, `cpu`, `cuda` or `cuda:1`",
                    foreign(text)
                ))),
            },
        }
    }
}

/// The number format of a network's matrix products.
#[derive(Clone, Copy, Debug, Display, EnumString, PartialEq, Eq, Serialize, Deserialize)]
#[strum(
    serialize_all = "lowercase",
    parse_err_ty = Message,
    parse_err_fn = unknown_precision
)]
pub enum Precision {
    /// [`Precision::F32`] on the CPU, [`Precision::F16`] on CUDA, as the reference.
    Auto,
    /// Single precision everywhere; never TF32.
    F32,
    /// Products in half precision, the rest in f32: PyTorch's autocast to `float16`.
    F16,
    /// Products in bfloat16, the rest in f32: PyTorch's autocast to `bfloat16`.
    Bf16,
}

impl Precision {
    /// The precision that is meant on a resolved device; never [`Precision::Auto`].
    ///
    /// Source: `biobench.newt.get_all_task_specific_features`, under `torch.amp.autocast("cuda")`, which is f16
    /// on CUDA and does nothing on the CPU.
    #[must_use]
    pub fn resolve(self, device: Device) -> Self {
        match (self, device) {
            (Self::Auto, Device::Cuda(_)) => Self::F16,
            (Self::Auto, Device::Cpu | Device::Auto) => Self::F32,
            (precision, _) => precision,
        }
    }
}

fn unknown_precision(text: &str) -> Message {
    Message::request(format!(
        "precision `{}`, expected `auto`, `f32`, `f16` or `bf16`",
        foreign(text)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_reads_what_it_writes() {
        for device in [Device::Auto, Device::Cpu, Device::Cuda(0), Device::Cuda(11)] {
            assert_eq!(device.to_string().parse::<Device>().unwrap(), device);
        }
        assert_eq!("cuda".parse::<Device>().unwrap(), Device::Cuda(0));
    }

    #[test]
    fn device_of_another_name_is_refused() {
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CPU", "cpu:0"] {
            let error = text.parse::<Device>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!("device `{text}`, expected `auto`, `cpu`, `cuda` or `cuda:1`")
            );
        }
    }

    #[test]
    fn precision_reads_what_it_writes() {
        for precision in [
            Precision::Auto,
            Precision::F32,
            Precision::F16,
            Precision::Bf16,
        ] {
            assert_eq!(
                precision.to_string().parse::<Precision>().unwrap(),
                precision
            );
        }
        let error = "fp16".parse::<Precision>().unwrap_err().to_string();
        assert_eq!(
            error,
            "precision `fp16`, expected `auto`, `f32`, `f16` or `bf16`"
        );
    }

    #[test]
    fn automatic_precision_is_the_reference_s() {
        assert_eq!(Precision::Auto.resolve(Device::Cpu), Precision::F32);
        assert_eq!(Precision::Auto.resolve(Device::Cuda(1)), Precision::F16);
        assert_eq!(Precision::Bf16.resolve(Device::Cpu), Precision::Bf16);
        assert_eq!(Precision::F32.resolve(Device::Cuda(0)), Precision::F32);
    }

    #[test]
    fn cpu_is_always_there() {
        assert_eq!(Device::Cpu.resolve().unwrap(), Device::Cpu);
        assert_ne!(Device::Auto.resolve().unwrap(), Device::Auto);
    }

    #[test]
    fn missing_gpu_is_an_error() {
        let error = Device::Cuda(4096).resolve().unwrap_err().to_string();
        assert!(error.starts_with("device `cuda"), "{error}");
    }
}
