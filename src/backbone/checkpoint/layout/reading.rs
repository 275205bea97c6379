//! Reads a published file as a [`Layout`] says.

use std::cell::Cell;

use crate::backbone::checkpoint::layout::{Layout, Others, Part, Place, Rule};
use crate::backbone::checkpoint::weights::{Checkpoint, Init, Source, StoredPositions};
use crate::error::Error;

/// A published file, by timm's names.
pub struct Published<'a> {
    checkpoint: Checkpoint<'a>,
    layout: &'static Layout,
    prefix: &'static str,
    n_filled_in: Cell<u64>,
}

impl<'a> Published<'a> {
    pub fn new(checkpoint: Checkpoint<'a>, layout: &'static Layout) -> Self {
        let layout = match layout.other {
            Some((tensor, other)) if checkpoint.has(tensor) => other,
            _ => layout,
        };
        // What has prefixes begins with the projection of patches.
        let fits = |prefix: &&str| {
            const FIRST: &str = "patch_embed.proj.weight";
            let mut places = layout.places(FIRST, prefix);
            places.any(|place| place.is_in(&checkpoint))
                || checkpoint.has(&format!("{prefix}{FIRST}"))
        };
        let mut prefixes = layout.prefixes.iter().copied();
        let first = layout.prefixes.first().copied().unwrap_or_default();
        Self {
            prefix: prefixes.find(fits).unwrap_or(first),
            checkpoint,
            layout,
            n_filled_in: Cell::new(0),
        }
    }

    /// Ends the loading; gives what was done to make the files fit.
    ///
    /// # Errors
    /// If there are tensors of the network that were not asked for.
    pub fn finish(self, is_passed_over: impl Fn(&str) -> bool) -> Result<Vec<String>, Error> {
        let Self {
            checkpoint,
            layout,
            prefix,
            ..
        } = self;
        checkpoint.finish(|name| match name.strip_prefix(prefix) {
            Some(name) => {
                is_passed_over(name)
                    || layout
                        .passed_over
                        .iter()
                        .any(|beginning| name.starts_with(beginning))
            }
            None => match layout.others {
                Others::None => false,
                Others::Rest => true,
                Others::Outside(tower) => !name.starts_with(tower),
            },
        })
    }
}

impl Source for Published<'_> {
    fn tensor(&self, name: &str, shape: &[usize], _init: Init) -> Result<Vec<f32>, Error> {
        let places: Vec<Found> = self.layout.places(name, self.prefix).collect();
        let found = places.iter().find(|place| place.is_in(&self.checkpoint));
        // What is nowhere, or not wholly, is reported under the first name.
        match found.or(places.first()) {
            Some(found) => {
                let n = self.n_filled_in.get() + found.n_filled_in(shape);
                self.n_filled_in.set(n);
                found.read(&self.checkpoint, shape)
            }
            None => self
                .checkpoint
                .read(&format!("{}{name}", self.prefix), shape),
        }
    }

    fn n_filled_in(&self) -> u64 {
        self.n_filled_in.get()
    }

    fn positions(&self, name: &str) -> Option<StoredPositions> {
        if !self.layout.resizes_positions {
            return None;
        }
        let found = self.layout.places(name, self.prefix).next();
        match found {
            Some(Found::At(name) | Found::Flat(name)) => self.checkpoint.positions(&name),
            Some(_) => None,
            None => self.checkpoint.positions(&format!("{}{name}", self.prefix)),
        }
    }
}

/// A place with the file's names filled in.
enum Found {
    At(String),
    Flat(String),
    Transposed(String),
    Third(String),
    TwoThirds(String),
    /// `None` is not in the file, all 0.
    Parts(Vec<Option<String>>),
}

impl Layout {
    /// Where the tensor may be, by the rules for it.
    fn places(&self, name: &str, prefix: &str) -> impl Iterator<Item = Found> {
        self.rules
            .iter()
            .filter_map(move |rule| rule.place(name, prefix))
    }
}

impl Rule {
    fn place(&self, name: &str, prefix: &str) -> Option<Found> {
        let Self(pattern, place) = self;
        let (block, tail) = matched(pattern, name)?;
        let filled = |pattern: &str| {
            let name = pattern.replace('*', block) + tail;
            match name.strip_prefix('/') {
                Some(name) => name.to_owned(),
                None => format!("{prefix}{name}"),
            }
        };
        Some(match place {
            Place::At(name) => Found::At(filled(name)),
            Place::Flat(name) => Found::Flat(filled(name)),
            Place::Transposed(name) => Found::Transposed(filled(name)),
            Place::Third(name) => Found::Third(filled(name)),
            Place::TwoThirds(name) => Found::TwoThirds(filled(name)),
            Place::Parts(parts) => Found::Parts(
                parts
                    .iter()
                    .map(|part| match part {
                        Part::At(name) => Some(filled(name)),
                        Part::Zeros => None,
                    })
                    .collect(),
            ),
        })
    }
}

/// What stands for `*`, and what follows a pattern that ends with a dot; `None` if `name` is another.
fn matched<'a>(pattern: &str, name: &'a str) -> Option<(&'a str, &'a str)> {
    let (block, rest, pattern) = match pattern.split_once('*') {
        None => ("", name, pattern),
        Some((before, after)) => {
            let rest = name.strip_prefix(before)?;
            let end = rest
                .find(|character: char| !character.is_ascii_digit())
                .unwrap_or(rest.len());
            (&rest[..end], &rest[end..], after)
        }
    };
    let tail = rest.strip_prefix(pattern)?;
    (tail.is_empty() || pattern.ends_with('.')).then_some((block, tail))
}

impl Found {
    /// Whether the file has it, all parts of it.
    fn is_in(&self, checkpoint: &Checkpoint<'_>) -> bool {
        match self {
            Self::At(name)
            | Self::Flat(name)
            | Self::Transposed(name)
            | Self::Third(name)
            | Self::TwoThirds(name) => checkpoint.has(name),
            Self::Parts(parts) => parts.iter().flatten().all(|name| checkpoint.has(name)),
        }
    }

    /// How many values of a tensor are not in the file.
    fn n_filled_in(&self, shape: &[usize]) -> u64 {
        let Self::Parts(parts) = self else { return 0 };
        let n_missing = parts.iter().filter(|part| part.is_none()).count();
        (shape.iter().product::<usize>() / parts.len() * n_missing) as u64
    }

    /// The tensor's values, which have `shape` in the network.
    fn read(&self, checkpoint: &Checkpoint<'_>, shape: &[usize]) -> Result<Vec<f32>, Error> {
        match self {
            Self::At(name) => checkpoint.read(name, shape),
            Self::Flat(name) => {
                let n_leading = shape.iter().take_while(|&&size| size == 1).count();
                checkpoint.read(name, &shape[n_leading..])
            }
            Self::Transposed(name) => {
                let mut stored = shape.to_vec();
                stored.reverse();
                let values = checkpoint.read(name, &stored)?;
                let n_columns = shape.first().copied().unwrap_or(1);
                let rows = values.chunks_exact(n_columns.max(1));
                let column = |place: usize| rows.clone().map(move |row| row[place]);
                Ok((0..n_columns).flat_map(column).collect())
            }
            Self::Third(name) => {
                let mut values = checkpoint.read(name, &with_rows(shape, |rows| 3 * rows))?;
                values.truncate(values.len() / 3);
                Ok(values)
            }
            Self::TwoThirds(name) => {
                let values = checkpoint.read(name, &with_rows(shape, |rows| rows / 2 * 3))?;
                Ok(values[values.len() / 3..].to_vec())
            }
            Self::Parts(parts) => {
                let of_part = with_rows(shape, |rows| rows / parts.len());
                // Grows with what is there: the shape alone may be anything.
                let mut values = Vec::new();
                for part in parts {
                    match part {
                        Some(name) => values.append(&mut checkpoint.read(name, &of_part)?),
                        None => {
                            values.resize(values.len() + of_part.iter().product::<usize>(), 0.0);
                        }
                    }
                }
                Ok(values)
            }
        }
    }
}

/// `shape` with another length of its first axis.
fn with_rows(shape: &[usize], rows: impl Fn(usize) -> usize) -> Vec<usize> {
    let mut shape = shape.to_vec();
    if let Some(first) = shape.first_mut() {
        *first = rows(*first);
    }
    shape
}
