//! Strict loader of safetensors files: every tensor of the network, and no other.
//!
//! A network asks for its tensors one by one, by name and shape; what is left in the end is surplus. Files are mapped
//! into memory: a tensor is read when it is asked for, and no more than one is held twice.

mod mapping;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tch::Kind;

use crate::backbone::checkpoint::WAYS_OUT;
use crate::error::{Error, Message};
use crate::tensorfile;
use crate::text::{self, Listing, foreign, shell_word};
pub use mapping::MappedFiles;

/// Where a network's tensors come from.
pub trait Source {
    /// The values of one tensor, row-major.
    ///
    /// `init` is how it is drawn where it is drawn.
    fn tensor(&self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>, Error>;

    /// Number of values given so far that are in no file.
    fn n_filled_in(&self) -> u64 {
        0
    }

    /// Positions as they are in a file; `None` where there is none, or where its library takes only those that fit.
    fn positions(&self, _name: &str) -> Option<StoredPositions> {
        None
    }

    /// The TorchScript module that stands for all tensors.
    fn module(&self) -> Option<ModuleFile> {
        None
    }
}

/// A TorchScript module's file, and `[h, w]` of the images that the module gets.
#[derive(Clone, Debug)]
pub struct ModuleFile {
    pub path: PathBuf,
    pub size: [usize; 2],
}

impl Source for ModuleFile {
    fn tensor(&self, name: &str, _shape: &[usize], _init: Init) -> Result<Vec<f32>, Error> {
        let path = text::path(&self.path);
        Err(Message::machine(format!("{path}: a module, asked for tensor `{name}`")).into())
    }

    fn module(&self) -> Option<ModuleFile> {
        Some(self.clone())
    }
}

/// Learned positions in a file.
#[derive(Debug)]
pub struct StoredPositions {
    /// For messages.
    pub path: PathBuf,
    /// How many tokens have one.
    pub n: usize,
    pub width: usize,
    pub kind: Kind,
}

/// How a tensor of a random network is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// Uniform around 0, with this standard deviation.
    Uniform {
        /// In f64, so that it is rounded once.
        std: f64,
    },
}

/// Shapes of tensors, by name.
pub type Shapes<'a> = BTreeMap<&'a str, Vec<usize>>;

/// A checkpoint's files, and which of their tensors have not been asked for.
#[derive(Debug)]
pub struct Checkpoint<'a> {
    architecture: &'a str,
    files: Vec<(&'a Path, SafeTensors<'a>)>,
    /// Which file holds each tensor, and what it is called there.
    holders: BTreeMap<String, (usize, String)>,
    unused: RefCell<BTreeSet<String>>,
    /// Finds an architecture of such tensors, for messages.
    fitting: fn(&Shapes<'_>) -> Option<&'static str>,
    /// What was done to make the files fit.
    notes: Vec<String>,
}

impl<'a> Checkpoint<'a> {
    /// Checks the headers of files; `architecture` is for messages. Of every name each of `wrappers` is taken off in
    /// turn, if it begins so.
    ///
    /// # Errors
    /// If a header does not describe its file, to the byte, a tensor is in two files, or two are called the same without
    /// wrappers.
    pub fn parse(
        files: impl IntoIterator<Item = (&'a Path, &'a [u8])>,
        architecture: &'a str,
        wrappers: &[&str],
    ) -> Result<Self, Error> {
        let mut checkpoint = Self {
            architecture,
            files: Vec::new(),
            holders: BTreeMap::new(),
            unused: RefCell::default(),
            fitting: |_| None,
            notes: Vec::new(),
        };
        for (path, bytes) in files {
            let tensors = tensorfile::parse(path, bytes)?;
            let place = checkpoint.files.len();
            let mut names = tensors.names();
            names.sort_unstable();
            let mut wrapper = "";
            for name in names {
                let bare = wrappers.iter().fold(name, |name, wrapper| {
                    name.strip_prefix(wrapper).unwrap_or(name)
                });
                if bare != name {
                    wrapper = &name[..name.len() - bare.len()];
                }
                let holder = (place, name.to_owned());
                match checkpoint.holders.insert(bare.to_owned(), holder) {
                    Some((other, same)) if other != place && same == name => {
                        let (other, _) = &checkpoint.files[other];
                        let (name, other) = (foreign(name), text::path(other));
                        let what = format!("tensor `{name}` is in `{other}`, too");
                        let path = text::path(path);
                        return Err(Message::data(format!("{path}: {what}"))
                            .hint("copy or download the checkpoint again")
                            .into());
                    }
                    Some((_, other)) => {
                        return Err(Message::data(format!(
                            "{}: tensors `{}` and `{}` are both `{}` of the network",
                            text::path(path),
                            foreign(&other),
                            foreign(name),
                            foreign(bare)
                        ))
                        .hint("save the weights again with one of the two")
                        .into());
                    }
                    None => {}
                }
            }
            if !wrapper.is_empty() {
                checkpoint.notes.push(format!(
                    "{}: `{wrapper}` is left out at the beginning of tensors' names",
                    text::path(path)
                ));
            }
            checkpoint.files.push((path, tensors));
        }
        checkpoint.unused = RefCell::new(checkpoint.holders.keys().cloned().collect());
        Ok(checkpoint)
    }

    /// The same, whose messages name the architecture that `fitting` finds.
    pub fn compared(self, fitting: fn(&Shapes<'_>) -> Option<&'static str>) -> Self {
        Self { fitting, ..self }
    }

    /// Whether a file has a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.holders.contains_key(name)
    }

    fn view(&self, name: &str) -> Option<(&'a Path, TensorView<'_>)> {
        let (place, stored) = self.holders.get(name)?;
        let (path, tensors) = &self.files[*place];
        Some((path, tensors.tensor(stored).ok()?))
    }

    /// Positions `[n, width]`, or `[1, n, width]`, as the file has them.
    pub fn positions(&self, name: &str) -> Option<StoredPositions> {
        let (path, view) = self.view(name)?;
        let (&[n, width] | &[1, n, width]) = view.shape() else {
            return None;
        };
        Some(StoredPositions {
            path: path.to_owned(),
            n,
            width,
            kind: match view.dtype() {
                Dtype::F32 => Kind::Float,
                Dtype::F16 => Kind::Half,
                Dtype::BF16 => Kind::BFloat16,
                _ => return None,
            },
        })
    }

    /// The values of one tensor, row-major, in f32.
    ///
    /// # Errors
    /// Says what is wrong with the tensor: missing, misshapen, of another dtype, not finite.
    pub fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let (shown, architecture) = (foreign(name), foreign(self.architecture));
        let Some((path, view)) = self.view(name) else {
            return Err(self.misfit(format!(
                "{}: tensor `{shown}` is missing, backbone `{architecture}` needs it with shape {shape:?}",
                self.place()
            )));
        };
        let (place, found) = (text::path(path), view.shape());
        if found != shape {
            return Err(self.misfit(format!(
                "{place}: tensor `{shown}` has shape {found:?}, backbone `{architecture}` needs {shape:?}"
            )));
        }
        let Some(values) = widen(&view) else {
            let dtype = view.dtype();
            let text =
                format!("{place}: tensor `{shown}` has dtype {dtype}, expected F32, F16 or BF16");
            let hint = match dtype {
                Dtype::F64 => as_f32(path),
                _ => WAYS_OUT.to_owned(),
            };
            return Err(Message::data(text).hint(hint).into());
        };
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let (value, index) = (values[at], unravel(at, shape));
            return Err(Message::data(format!(
                "{place}: tensor `{shown}` holds {value} at {index:?}, expected finite numbers"
            ))
            .hint("the weights are damaged: copy or download the file again")
            .into());
        }
        self.unused.borrow_mut().remove(name);
        Ok(values)
    }

    /// Ends the loading; gives what was done to make the files fit.
    ///
    /// # Errors
    /// If there are tensors that were not asked for and are not passed over.
    pub fn finish(self, is_passed_over: impl Fn(&str) -> bool) -> Result<Vec<String>, Error> {
        let unused = self.unused.take();
        let surplus = unused.iter().filter(|name| !is_passed_over(name));
        let surplus = Listing::first(3, surplus.map(|name| format!("`{}`", foreign(name))));
        if surplus.is_empty() {
            return Ok(self.notes);
        }
        let (tensors, are) = match surplus.n {
            1 => ("tensor", "is"),
            _ => ("tensors", "are"),
        };
        Err(self.misfit(format!(
            "{}: {tensors} {surplus} {are} no part of backbone `{}`",
            self.place(),
            foreign(self.architecture)
        )))
    }

    /// The file for messages about what is in none, or in any.
    fn place(&self) -> String {
        let first = self.files.first();
        first.map_or_else(String::new, |(path, _)| text::path(path))
    }

    /// The tensors are those of another network.
    fn misfit(&self, text: String) -> Error {
        let hint = match self.fits() {
            Some(fits) => format!(
                "the shapes fit `{fits}`; put the `config.json` that belongs to these weights beside them"
            ),
            None => OF_ONE_CHECKPOINT.to_owned(),
        };
        Message::data(text).hint(hint).into()
    }

    /// Another of timm's architectures that the shapes fit.
    fn fits(&self) -> Option<&'static str> {
        let shapes: Shapes<'_> = self
            .holders
            .keys()
            .filter_map(|name| Some((name.as_str(), self.view(name)?.1.shape().to_vec())))
            .collect();
        (self.fitting)(&shapes).filter(|name| *name != self.architecture)
    }
}

/// A tensor's values in f32, without rounding; `None` for a dtype that f32 does not cover.
fn widen(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let (words, _) = view.data().as_chunks();
    let (halves, _) = view.data().as_chunks();
    let from_f16 = |bytes: &[u8; 2]| f16::from_le_bytes(*bytes).to_f32();
    let from_bf16 = |bytes: &[u8; 2]| bf16::from_le_bytes(*bytes).to_f32();
    Some(match view.dtype() {
        Dtype::F32 => words.iter().copied().map(f32::from_le_bytes).collect(),
        Dtype::F16 => halves.iter().map(from_f16).collect(),
        Dtype::BF16 => halves.iter().map(from_bf16).collect(),
        _ => return None,
    })
}

/// The index of the value at `place` in a row-major tensor.
fn unravel(mut place: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (along, size) in index.iter_mut().zip(shape).rev() {
        *along = place % size;
        place /= size;
    }
    index
}

/// What helps where weights and network are not those of each other.
pub const OF_ONE_CHECKPOINT: &str = "use weights and `config.json` of one and the same checkpoint";

/// The command that copies a checkpoint's folder with floats of 32 bits for those of 64.
fn as_f32(path: &Path) -> String {
    format!(
        "the command below copies the checkpoint into a new folder DIR, with F32 for F64; use `local-dir:DIR`\n\
         python3 -c '\n\
         import pathlib, shutil, sys, torch\n\
         from safetensors.torch import load_file, save_file\n\
         shutil.copytree(sys.argv[1], sys.argv[2], copy_function=shutil.copyfile)\n\
         for path in pathlib.Path(sys.argv[2]).glob(\"*.safetensors\"):\n    \
             tensors = load_file(path).items()\n    \
             tensors = {{name: t.float() if t.dtype == torch.float64 else t for name, t in tensors}}\n    \
             save_file(tensors, path, {{\"format\": \"pt\"}})\n\
         ' {} DIR",
        shell_word(path.parent().unwrap_or(path))
    )
}

#[cfg(test)]
mod tests;
