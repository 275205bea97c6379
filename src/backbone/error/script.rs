//! What can be wrong with a TorchScript module.

use crate::error::Fault;
use std::path::Path;

use crate::text::{said, shell_word};

/// What is wrong with a TorchScript module, the file beside it, or what it gives.
///
/// `images` is the shape of a batch that it gets, `[b, 3, h, w]`.
#[derive(Debug, thiserror::Error)]
pub enum ScriptFault {
    /// A precision that it cannot be run in.
    #[error("a TorchScript module runs in f32, or in f16 on CUDA")]
    Precision,
    /// Weights, or a network as Python's pickle.
    #[error("no TorchScript module, but what `torch.save` or `torch.export` writes")]
    Saved {
        /// That a module would get.
        images: [i64; 4],
    },
    /// libtorch cannot load it.
    #[error("no TorchScript module that libtorch can load: {message}", message = said(message))]
    Unloadable {
        /// libtorch's.
        message: String,
        /// That a module would get.
        images: [i64; 4],
    },
    /// It gives something else than one tensor.
    #[error("gives {found}, expected one tensor of shape [{}, {dim}]", images[0], found = said(found))]
    Output {
        /// What it gives.
        found: String,
        /// The tensor in it that is most like features: Python's index, and its shape.
        part: Option<(String, Vec<i64>)>,
        /// As the file beside it says.
        dim: i64,
        /// That it got.
        images: [i64; 4],
    },
    /// It gives a tensor of another shape.
    #[error("gives a tensor of shape {found:?} for {} images, expected [{}, {dim}]", images[0], images[0])]
    Shape {
        /// The shape.
        found: Vec<i64>,
        /// As the file beside it says.
        dim: i64,
        /// That it got.
        images: [i64; 4],
    },
    /// It stops with an error.
    #[error("fails on images of shape {images:?}: {message}", message = said(message))]
    Failed {
        /// libtorch's.
        message: String,
        /// That it got.
        images: [i64; 4],
    },
}

impl ScriptFault {
    /// What the user can do about the module at `path`.
    pub fn hint(&self, path: &Path) -> String {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stem = path.file_stem().unwrap_or_default().display();
        match self {
            Self::Precision => "set `features.precision = \"f32\"`".to_owned(),
            Self::Saved { images } => format!(
                "load it into its network in Python, and write a module: `{}`, with a `{stem}-traced.toml`",
                trace(*images, &format!("{stem}-traced.pt"))
            ),
            Self::Unloadable { images, .. } => format!(
                "copy the file again, or write it with PyTorch 2.11: `{}`",
                trace(*images, &name)
            ),
            Self::Output { part, images, .. } => {
                let row = part
                    .as_ref()
                    .and_then(|(index, shape)| Some((index, row(shape, images[0])?)));
                match row {
                    Some((index, (rest, dim))) => {
                        rewritten(path, &format!("{index}{rest}"), dim, *images)
                    }
                    None => format!(
                        "trace a network that gives one tensor: `{}`",
                        trace(*images, &name)
                    ),
                }
            }
            Self::Shape { found, images, .. } => match row(found, images[0]) {
                Some(("", dim)) => format!("write `dim = {dim}` in `{stem}.toml`"),
                Some((part, dim)) => rewritten(path, part, dim, *images),
                None => format!(
                    "trace a network that gives a row for each of several images: `{}`",
                    trace(*images, &name)
                ),
            },
            Self::Failed { message, images } if message.contains("channels") => format!(
                "a module gets images of 3 channels: call it from one that makes of them what it takes, as \
                 `images.mean(1, keepdim=True)` does for 1 channel, and trace that: `{}`",
                trace(*images, &name)
            ),
            Self::Failed { images, .. } => format!(
                "if it takes images of another size, write that as `size` in `{stem}.toml`; if it takes another number of \
                 images only, trace it again: `{}`",
                trace(*images, &name)
            ),
        }
    }

    /// 2 where something was asked for that cannot be, 3 where the module is bad.
    pub fn whose(&self) -> Fault {
        match self {
            Self::Precision => Fault::Request,
            Self::Saved { .. }
            | Self::Unloadable { .. }
            | Self::Output { .. }
            | Self::Shape { .. }
            | Self::Failed { .. } => Fault::Data,
        }
    }
}

/// The line of Python that writes a module.
fn trace([_, channels, height, width]: [i64; 4], name: &str) -> String {
    format!(
        "torch.jit.trace(model.eval(), torch.zeros(4, {channels}, {height}, {width})).save({name:?})"
    )
}

/// How a row per image is made of a tensor of this shape for `b` images: an expression behind it, and the row's length.
///
/// `BioBench` takes the first token, and the maximum over positions where there is none.
fn row(shape: &[i64], b: i64) -> Option<(&'static str, i64)> {
    match *shape {
        [n, _, ..] if n != b => None,
        [_, dim] => Some(("", dim)),
        [_, dim, ref sides @ ..] if sides.iter().all(|side| *side == 1) => {
            Some((".flatten(1)", dim))
        }
        [_, _, dim] => Some(("[:, 0]", dim)),
        [_, dim, _, _] => Some((".amax((2, 3))", dim)),
        _ => None,
    }
}

/// The command that writes a module which gives `part`, an expression behind what the module at `path` gives.
fn rewritten(path: &Path, part: &str, dim: i64, [_, channels, height, width]: [i64; 4]) -> String {
    let stem = path.file_stem().unwrap_or_default().display();
    let new = path.with_file_name(format!("{stem}-part.pt"));
    format!(
        "the command below writes `{stem}-part.pt`, which gives `{part}` of it; copy `{stem}.toml` to \
         `{stem}-part.toml`, with `dim = {dim}`\n\
         python3 -c '\n\
         import sys, torch\n\
         class Part(torch.nn.Module):\n    \
             def __init__(self):\n        \
                 super().__init__()\n        \
                 self.whole = torch.jit.load(sys.argv[1], map_location=\"cpu\")\n    \
             def forward(self, images):\n        \
                 return self.whole(images){}\n\
         torch.jit.trace(Part().eval(), torch.zeros(4, {channels}, {height}, {width})).save(sys.argv[2])\n\
         ' {} {}",
        part.replace('\'', r"'\''"),
        shell_word(path),
        shell_word(&new)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_of_one_channel_is_told_that_it_gets_three() {
        let hint = |message: &str| {
            let message = message.to_owned();
            let images = [2, 3, 32, 48];
            ScriptFault::Failed { message, images }.hint(Path::new("m.pt"))
        };
        let of_channels = hint("expected input[2, 3, 32, 48] to have 1 channels, but got 3");
        assert!(of_channels.starts_with("a module gets images of 3 channels"));
        assert!(hint("shape '[4, 8]' is invalid").contains("`size`"));
    }
}
