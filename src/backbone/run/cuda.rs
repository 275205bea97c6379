//! Whether CUDA can be used on this machine, and what is said about it.

use std::sync::OnceLock;

use crate::backbone::run::driver::{self, Driver};
use crate::backbone::run::find::{self, Libtorch};
use crate::backbone::run::{Device, Precision};
use crate::error::{Failure, Message};

/// A GPU, and a libtorch that can use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cuda {
    /// The GPUs' names, by their number; not empty.
    pub gpus: Vec<String>,
}

/// Why CUDA cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoCuda {
    /// Whether there is a GPU.
    has_gpu: bool,
    /// What stands in the way, as a clause.
    pub reason: String,
    /// What the user can do about it, where something can be done.
    pub hint: Option<String>,
}

/// What this machine has; asked once. libtorch is looked for, but not opened.
pub fn cuda() -> &'static Result<Cuda, NoCuda> {
    static CUDA: OnceLock<Result<Cuda, NoCuda>> = OnceLock::new();
    CUDA.get_or_init(|| judge(driver::ask(), find::libtorch))
}

fn judge<'a>(
    driver: Result<Driver, String>,
    libtorch: impl FnOnce() -> Result<&'a Libtorch, Message>,
) -> Result<Cuda, NoCuda> {
    let driver = driver.map_err(|reason| NoCuda {
        has_gpu: false,
        reason,
        hint: None,
    })?;
    let gpu = driver.gpus.first().cloned().unwrap_or_default();
    let idle = |but: String, hint: Option<String>| NoCuda {
        has_gpu: true,
        reason: format!("{gpu} is there, but {but}"),
        hint,
    };
    let libtorch =
        libtorch().map_err(|missing| idle("no libtorch".to_owned(), Failure::hint(&missing)))?;
    if libtorch.cuda_half().is_none() {
        let dir = libtorch.lib_dir.display();
        let but = format!("libtorch in {dir} is built for CPUs only");
        return Err(idle(but, Some(libtorch.hint_for_cuda())));
    }
    match libtorch.cuda_major() {
        Some(major) if driver.cuda_major < major => {
            let runs = driver.cuda_major;
            Err(idle(
                format!("its driver runs CUDA {runs}, and libtorch needs CUDA {major}"),
                Some(format!(
                    "update the NVIDIA driver, or install a PyTorch 2.11 that is built for CUDA {runs}"
                )),
            ))
        }
        _ => Ok(Cuda { gpus: driver.gpus }),
    }
}

/// Where the networks of a run are run, and why there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The device and the precision in one line, such as `device: cpu, f32 (no GPU found)`.
    pub line: String,
    /// Where a GPU lies idle: why, and what to do about it.
    pub warning: Option<String>,
}

impl Choice {
    /// What a run that asked for `asked` and got `device` and `precision` says of it.
    pub fn new(asked: Device, device: Device, precision: Precision) -> Self {
        match asked {
            // The driver is not asked for what does not depend on it.
            Device::Cpu => Self {
                line: format!("device: {device}, {precision}"),
                warning: None,
            },
            _ => Self::of(asked, device, precision, cuda()),
        }
    }

    fn of(
        asked: Device,
        device: Device,
        precision: Precision,
        cuda: &Result<Cuda, NoCuda>,
    ) -> Self {
        let mut warning = None;
        let note = match (asked, device, cuda) {
            (_, Device::Cuda(index), Ok(Cuda { gpus })) => gpus.get(index).cloned(),
            (Device::Auto, _, Err(reason)) => {
                warning = (reason.hint.as_ref())
                    .map(|hint| format!("the GPU is not used: {}; {hint}", reason.reason));
                Some(if reason.has_gpu {
                    "the GPU cannot be used".to_owned()
                } else {
                    reason.reason.clone()
                })
            }
            _ => None,
        };
        let note = note.map_or(String::new(), |note| format!(" ({note})"));
        Self {
            line: format!("device: {device}, {precision}{note}"),
            warning,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn driver(cuda_major: u32) -> Driver {
        Driver {
            gpus: vec!["NVIDIA H100".to_owned(), "NVIDIA T4".to_owned()],
            cuda_major,
        }
    }

    fn no_libtorch() -> Result<&'static Libtorch, Message> {
        Err(Message::request("no libtorch"))
    }

    fn choice(cuda: &Result<Cuda, NoCuda>) -> Choice {
        let device = match cuda {
            Ok(_) => Device::Cuda(0),
            Err(_) => Device::Cpu,
        };
        Choice::of(Device::Auto, device, Precision::Auto.resolve(device), cuda)
    }

    #[test]
    fn machine_without_a_gpu_says_so_and_warns_of_nothing() {
        let cuda = judge(Err(driver::NO_GPU.to_owned()), no_libtorch);
        let expected = Choice {
            line: "device: cpu, f32 (no GPU found)".to_owned(),
            warning: None,
        };
        assert_eq!(choice(&cuda), expected);
    }

    #[test]
    fn gpu_that_is_hidden_comes_with_the_words_of_the_driver() {
        let cuda = judge(
            Err(driver::not_shown("no CUDA-capable device")),
            no_libtorch,
        );
        let choice = choice(&cuda);
        assert!(
            choice.line.ends_with("says: no CUDA-capable device)"),
            "{choice:?}"
        );
        assert_eq!(choice.warning, None);
    }

    #[test]
    fn gpu_beside_a_libtorch_for_cpus_is_warned_of() {
        let dir = tempfile::tempdir().unwrap();
        let libtorch = find::tests::put_libtorch(dir.path(), "2.11.0");
        let cuda = judge(Ok(driver(13)), || Ok(&libtorch));
        let choice = choice(&cuda);
        assert_eq!(choice.line, "device: cpu, f32 (the GPU cannot be used)");
        let warning = choice.warning.unwrap();
        assert!(warning.contains("NVIDIA H100 is there"), "{warning}");
        assert!(warning.contains(&libtorch.hint_for_cuda()), "{warning}");
    }

    #[test]
    fn driver_that_is_older_than_libtorch_is_warned_of() {
        let dir = tempfile::tempdir().unwrap();
        let libtorch = find::tests::put_libtorch(dir.path(), "2.11.0");
        let half = |name| libtorch.lib_dir.join(name);
        fs_err::write(half("libtorch_cuda.so"), "").unwrap();
        fs_err::write(half("libc10_cuda.so"), "\0libcudart.so.13\0").unwrap();
        let cuda = |major| judge(Ok(driver(major)), || Ok(&libtorch));
        let warning = choice(&cuda(12)).warning.unwrap();
        assert!(
            warning.contains("runs CUDA 12, and libtorch needs CUDA 13"),
            "{warning}"
        );
        assert_eq!(choice(&cuda(13)).line, "device: cuda:0, f16 (NVIDIA H100)");
    }

    #[test]
    fn device_that_was_asked_for_needs_no_reason() {
        let choice = Choice::new(Device::Cpu, Device::Cpu, Precision::Bf16);
        assert_eq!(choice.line, "device: cpu, bf16");
    }
}
