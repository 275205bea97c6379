//! Reads a published file by its [`TensorNames`].

use std::cell::Cell;

use crate::backbone::checkpoint::tensor_names::{Form, Others, Rule, TensorNames, ZEROS};
use crate::backbone::checkpoint::weights::{Checkpoint, Init, Source, StoredPositions};
use crate::error::Error;

/// A published file, by timm's names.
pub struct Published<'a> {
    checkpoint: Checkpoint<'a>,
    names: &'static TensorNames,
    prefix: &'static str,
    n_filled_in: Cell<u64>,
}

impl<'a> Published<'a> {
    pub fn new(checkpoint: Checkpoint<'a>, names: &'static TensorNames) -> Self {
        let names = match names.other {
            Some((tensor, other)) if checkpoint.has(tensor) => other,
            _ => names,
        };
        // What has prefixes begins with the projection of patches.
        let fits = |prefix: &&str| {
            const FIRST: &str = "patch_embed.proj.weight";
            let mut places = names.places(FIRST, prefix);
            places.any(|place| place.is_in(&checkpoint))
                || checkpoint.has(&format!("{prefix}{FIRST}"))
        };
        let mut prefixes = names.prefixes.iter().copied();
        let first = names.prefixes.first().copied().unwrap_or_default();
        Self {
            prefix: prefixes.find(fits).unwrap_or(first),
            checkpoint,
            names,
            n_filled_in: Cell::new(0),
        }
    }

    /// Ends the loading; gives what was done to make the files fit. `is_own_pooling`: whether features are pooled as the
    /// library does it.
    ///
    /// # Errors
    /// If there are tensors of the network that were not asked for.
    pub fn finish(
        self,
        is_own_pooling: bool,
        is_passed_over: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, Error> {
        let Self {
            checkpoint,
            names,
            prefix,
            ..
        } = self;
        let head = if is_own_pooling { &[] } else { names.head };
        checkpoint.finish(|name| match name.strip_prefix(prefix) {
            Some(name) => {
                is_passed_over(name)
                    || (names.passed_over.iter().chain(head))
                        .any(|beginning| name.starts_with(beginning))
            }
            None => match names.others {
                Others::None => false,
                Others::Rest => true,
                Others::Outside(tower) => !name.starts_with(tower),
            },
        })
    }
}

impl Source for Published<'_> {
    fn tensor(&self, name: &str, shape: &[usize], _init: Init) -> Result<Vec<f32>, Error> {
        let places: Vec<Found> = self.names.places(name, self.prefix).collect();
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
        if !self.names.resizes_positions {
            return None;
        }
        let found = self.names.places(name, self.prefix).next();
        match found {
            Some(Found {
                form: Form::Same | Form::Flat,
                names,
            }) => self.checkpoint.positions(names.first()?.as_ref()?),
            Some(_) => None,
            None => self.checkpoint.positions(&format!("{}{name}", self.prefix)),
        }
    }
}

/// Where a file has a tensor.
struct Found {
    form: Form,
    /// The names of its parts, or the one name; `None` is not in the file, all 0.
    names: Vec<Option<String>>,
}

impl TensorNames {
    /// Where the tensor may be, by the rules for it.
    fn places(&self, name: &str, prefix: &str) -> impl Iterator<Item = Found> {
        self.rules
            .iter()
            .filter_map(move |rule| rule.place(name, prefix))
    }
}

impl Rule {
    fn place(&self, name: &str, prefix: &str) -> Option<Found> {
        let (block, tail) = matched(self.name, name)?;
        let filled = |part: &str| {
            let name = self.stored.replace('*', block).replace('@', part) + tail;
            match name.strip_prefix('/') {
                Some(name) => name.to_owned(),
                None => format!("{prefix}{name}"),
            }
        };
        let names = if self.parts.is_empty() {
            vec![Some(filled(""))]
        } else {
            let parts = self.parts.iter();
            parts
                .map(|&part| (part != ZEROS).then(|| filled(part)))
                .collect()
        };
        Some(Found {
            form: self.form,
            names,
        })
    }
}

/// What stands for `*`, and what follows the pattern; `None` if `name` does not begin with it.
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
    Some((block, rest.strip_prefix(pattern)?))
}

impl Found {
    /// Whether the file has it, all parts of it.
    fn is_in(&self, checkpoint: &Checkpoint<'_>) -> bool {
        let mut names = self.names.iter().flatten();
        names.all(|name| checkpoint.has(name))
    }

    /// How many values of a tensor are not in the file.
    fn n_filled_in(&self, shape: &[usize]) -> u64 {
        let n_missing = self.names.iter().filter(|name| name.is_none()).count();
        (shape.iter().product::<usize>() / self.names.len() * n_missing) as u64
    }

    /// The tensor's values, which have `shape` in the network.
    fn read(&self, checkpoint: &Checkpoint<'_>, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let read = |shape: &[usize]| self.read_parts(checkpoint, shape);
        match self.form {
            Form::Same => read(shape),
            Form::Flat => {
                let n_leading = shape.iter().take_while(|&&size| size == 1).count();
                read(&shape[n_leading..])
            }
            Form::Transposed => {
                let mut stored = shape.to_vec();
                stored.reverse();
                let values = read(&stored)?;
                let n_columns = shape.first().copied().unwrap_or(1);
                let rows = values.chunks_exact(n_columns.max(1));
                let column = |place: usize| rows.clone().map(move |row| row[place]);
                Ok((0..n_columns).flat_map(column).collect())
            }
            Form::Third => {
                let mut values = read(&with_rows(shape, |rows| 3 * rows))?;
                values.truncate(values.len() / 3);
                Ok(values)
            }
            Form::TwoThirds => {
                let values = read(&with_rows(shape, |rows| rows / 2 * 3))?;
                Ok(values[values.len() / 3..].to_vec())
            }
            Form::Parts => read(&with_rows(shape, |rows| rows / self.names.len())),
        }
    }

    /// The values of all parts, which have `shape` each in the file.
    fn read_parts(&self, checkpoint: &Checkpoint<'_>, shape: &[usize]) -> Result<Vec<f32>, Error> {
        // Grows with what is there: the shape alone may be anything.
        let mut values = Vec::new();
        for name in &self.names {
            match name {
                Some(name) => values.append(&mut checkpoint.read(name, shape)?),
                None => values.resize(values.len() + shape.iter().product::<usize>(), 0.0),
            }
        }
        Ok(values)
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
