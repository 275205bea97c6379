//! What the user can do about a TorchScript module that libtorch cannot use, or that gives something else than features.
//!
//! `images` is the shape of a batch that the module gets, `[b, 3, h, w]`.

use std::borrow::Cow;
use std::path::Path;

use crate::text::shell_word;

/// For what `torch.save` wrote.
pub fn of_saved(path: &Path, images: [i64; 4]) -> String {
    let traced = format!("{}-traced", stem(path));
    format!(
        "load it into its network in Python, and write a module: `{}`, with a `{traced}.toml`",
        trace(images, &format!("{traced}.pt"))
    )
}

/// For a file that libtorch cannot load.
pub fn of_unloadable(path: &Path, images: [i64; 4]) -> String {
    format!(
        "copy the file again, or write it with PyTorch 2.11: `{}`",
        trace(images, &name(path))
    )
}

/// For something else than one tensor; `part` is the tensor in it that is most like features: Python's index, and its
/// shape.
pub fn of_output(path: &Path, part: Option<&(String, Vec<i64>)>, images: [i64; 4]) -> String {
    match part.and_then(|(index, shape)| Some((index, row(shape, images[0])?))) {
        Some((index, (rest, dim))) => rewritten(path, &format!("{index}{rest}"), dim, images),
        None => format!(
            "trace a network that gives one tensor: `{}`",
            trace(images, &name(path))
        ),
    }
}

/// For a tensor of another shape.
pub fn of_shape(path: &Path, found: &[i64], images: [i64; 4]) -> String {
    match row(found, images[0]) {
        Some(("", dim)) => format!("write `dim = {dim}` in `{}.toml`", stem(path)),
        Some((part, dim)) => rewritten(path, part, dim, images),
        None => format!(
            "trace a network that gives a row for each of several images: `{}`",
            trace(images, &name(path))
        ),
    }
}

/// For a module that stops with libtorch's `message`.
pub fn of_failed(path: &Path, message: &str, images: [i64; 4]) -> String {
    let trace = trace(images, &name(path));
    if message.contains("channels") {
        return format!(
            "a module gets images of 3 channels: call it from one that makes of them what it takes, as \
             `images.mean(1, keepdim=True)` does for 1 channel, and trace that: `{trace}`"
        );
    }
    format!(
        "if it takes images of another size, write that as `size` in `{}.toml`; if it takes another number of images \
         only, trace it again: `{trace}`",
        stem(path)
    )
}

/// The name of the module's file.
fn name(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// The same without `.pt`.
fn stem(path: &Path) -> Cow<'_, str> {
    path.file_stem().unwrap_or_default().to_string_lossy()
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
    let stem = stem(path);
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
        let hint = |message: &str| of_failed(Path::new("m.pt"), message, [2, 3, 32, 48]);
        let of_channels = hint("expected input[2, 3, 32, 48] to have 1 channels, but got 3");
        assert!(of_channels.starts_with("a module gets images of 3 channels"));
        assert!(hint("shape '[4, 8]' is invalid").contains("`size`"));
    }
}
