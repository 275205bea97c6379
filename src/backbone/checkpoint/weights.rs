//! Strict loader of safetensors files: every tensor of the network, and no other.
//!
//! A network asks for its tensors one by one, by name and shape; what is left in the end is surplus. Files are mapped
//! into memory: a tensor is read when it is asked for, and no more than one is held twice.

mod mapping;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, Metadata, SafeTensorError, SafeTensors, TensorView};
use tch::Kind;

use crate::backbone::error::Error;
use crate::text::{self, foreign};
pub use mapping::MappedFiles;

/// Where a network's tensors come from.
pub trait Source {
    /// The values of one tensor, row-major.
    ///
    /// `init` is how it is drawn where it is drawn.
    fn tensor(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>, Error>;

    /// Number of values given so far that are in no file.
    fn n_filled_in(&self) -> u64 {
        0
    }

    /// Positions as they are in a file; `None` where there is none, or where its library takes only those that fit.
    fn positions(&self, _name: &str) -> Option<StoredPositions> {
        None
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
    unused: BTreeSet<String>,
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
    /// [`Error::Damaged`] if a header does not describe its file, to the byte, or a tensor is in two files;
    /// [`Error::SameName`] if two are called the same without wrappers.
    pub fn parse(
        files: impl IntoIterator<Item = (&'a Path, &'a [u8])>,
        architecture: &'a str,
        wrappers: &[&str],
    ) -> Result<Self, Error> {
        let mut checkpoint = Self {
            architecture,
            files: Vec::new(),
            holders: BTreeMap::new(),
            unused: BTreeSet::new(),
            fitting: |_| None,
            notes: Vec::new(),
        };
        for (path, bytes) in files {
            let damaged = |problem| Error::Damaged {
                path: path.to_owned(),
                problem,
            };
            let tensors = SafeTensors::deserialize(bytes)
                .map_err(|error| damaged(describe(&error, bytes)))?;
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
                        return Err(damaged(format!(
                            "tensor `{}` is in `{}`, too",
                            foreign(name),
                            text::path(other)
                        )));
                    }
                    Some((_, other)) => {
                        return Err(Error::SameName {
                            path: path.to_owned(),
                            tensors: [other, name.to_owned()],
                            name: bare.to_owned(),
                        });
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
        checkpoint.unused = checkpoint.holders.keys().cloned().collect();
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
    pub fn read(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let Some((path, view)) = self.view(name) else {
            return Err(Error::MissingTensor {
                path: self.path(),
                tensor: name.to_owned(),
                architecture: self.architecture.to_owned(),
                expected: shape.into(),
                fits: self.fits(),
            });
        };
        if view.shape() != shape {
            return Err(Error::MisshapenTensor {
                path: path.to_owned(),
                tensor: name.to_owned(),
                found: view.shape().into(),
                architecture: self.architecture.to_owned(),
                expected: shape.into(),
                fits: self.fits(),
            });
        }
        let values = widen(&view).ok_or_else(|| Error::Dtype {
            path: path.to_owned(),
            tensor: name.to_owned(),
            found: view.dtype().to_string(),
        })?;
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::NonFinite {
                path: path.to_owned(),
                tensor: name.to_owned(),
                value: values[place],
                index: unravel(place, shape),
            });
        }
        self.unused.remove(name);
        Ok(values)
    }

    /// Ends the loading; gives what was done to make the files fit.
    ///
    /// # Errors
    /// [`Error::SurplusTensors`] if there are tensors that were not asked for and are not passed over.
    pub fn finish(self, is_passed_over: impl Fn(&str) -> bool) -> Result<Vec<String>, Error> {
        let tensors: Vec<String> = self
            .unused
            .iter()
            .filter(|name| !is_passed_over(name))
            .cloned()
            .collect();
        if tensors.is_empty() {
            return Ok(self.notes);
        }
        Err(Error::SurplusTensors {
            path: self.path(),
            tensors,
            architecture: self.architecture.to_owned(),
            fits: self.fits(),
        })
    }

    /// The file for messages about what is in none, or in any.
    fn path(&self) -> PathBuf {
        let first = self.files.first();
        first.map_or_else(PathBuf::new, |(path, _)| path.to_path_buf())
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
    let (halves, _) = view.data().as_chunks::<2>();
    match view.dtype() {
        Dtype::F32 => Some(
            view.data()
                .as_chunks::<4>()
                .0
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect(),
        ),
        Dtype::F16 => Some(
            halves
                .iter()
                .map(|bytes| f16::from_le_bytes(*bytes).to_f32())
                .collect(),
        ),
        Dtype::BF16 => Some(
            halves
                .iter()
                .map(|bytes| bf16::from_le_bytes(*bytes).to_f32())
                .collect(),
        ),
        _ => None,
    }
}

/// The index of the value at `place` in a row-major tensor.
fn unravel(mut place: usize, shape: &[usize]) -> Box<[usize]> {
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&size| {
            let along = place % size;
            place /= size;
            along
        })
        .collect();
    index.reverse();
    index.into()
}

/// What is wrong with a file, with the numbers that its format promises.
fn describe(error: &SafeTensorError, bytes: &[u8]) -> String {
    let n_bytes = bytes.len();
    let header_bytes = bytes
        .first_chunk()
        .map_or(0, |length| u64::from_le_bytes(*length));
    match error {
        SafeTensorError::HeaderTooSmall => {
            format!("{n_bytes} bytes, too short for a safetensors file")
        }
        SafeTensorError::HeaderTooLarge | SafeTensorError::InvalidHeaderLength => {
            format!("header of {header_bytes} bytes announced in a file of {n_bytes}")
        }
        SafeTensorError::InvalidHeader(error) => format!("header is no text: {error}"),
        SafeTensorError::InvalidHeaderDeserialization(error) => {
            format!("header is no safetensors header: {error}")
        }
        SafeTensorError::MetadataIncompleteBuffer => match described_len(bytes) {
            Some(described) => format!("{n_bytes} bytes on disk, its header describes {described}"),
            None => format!("{n_bytes} bytes on disk, its header describes another number"),
        },
        SafeTensorError::InvalidOffset(tensor) => {
            format!("tensor `{tensor}` does not begin where the one before it ends")
        }
        SafeTensorError::TensorInvalidInfo => {
            "a tensor's bytes do not fit its shape and dtype".to_owned()
        }
        SafeTensorError::ValidationOverflow => "a tensor's shape overflows".to_owned(),
        error => error.to_string(),
    }
}

/// The length of the file that a valid header describes.
fn described_len(bytes: &[u8]) -> Option<usize> {
    let (length, rest) = bytes.split_first_chunk()?;
    let header_bytes = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let metadata: Metadata = serde_json::from_slice(rest.get(..header_bytes)?).ok()?;
    Some(size_of::<u64>() + header_bytes + metadata.data_len())
}

#[cfg(test)]
mod tests;
