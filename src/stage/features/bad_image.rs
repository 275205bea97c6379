//! Images that cannot be used.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use rayon::prelude::*;

use crate::context::Context;
use crate::error::{Error, Message};
use crate::image;
use crate::newt::images::{self, Unread};
use crate::text::{self, Listing, count, foreign};

/// How many bad images a message spells out.
const MAX_SHOWN: usize = 20;

/// An image that cannot be used.
#[derive(Debug)]
pub struct BadImage {
    path: PathBuf,
    problem: String,
    hint: &'static str,
}

impl BadImage {
    /// The image at `path`, what is wrong with its file, and what helps.
    pub fn new(path: &Path, problem: impl Display, hint: &'static str) -> Self {
        Self {
            path: path.to_owned(),
            problem: problem.to_string(),
            hint,
        }
    }

    /// One whose file cannot be read.
    pub fn unread(path: &Path, unread: &Unread) -> Self {
        Self::new(path, unread, unread.hint())
    }

    /// One whose file is no whole image.
    pub fn undecodable(path: &Path, error: &image::Error) -> Self {
        Self::new(path, error, error.hint())
    }

    /// The error that names all of `images`, of which there is at least one.
    pub fn error(images: &[Self]) -> Error {
        let text = if let [image] = images {
            image.to_string()
        } else {
            let n = count(images.len(), "image", "images");
            let lines = Listing::first(MAX_SHOWN, images.iter().map(Self::to_string)).lines();
            format!("{n} cannot be used{lines}")
        };
        Message::data(text).hint(hints(images)).into()
    }

    /// The files among `paths` that cannot be used, by a look at the header and the end of each.
    ///
    /// # Errors
    /// [`crate::interrupt::Stopped`] if the look was interrupted.
    pub fn find(paths: &[&Path], context: Context<'_>) -> Result<Vec<Self>, Error> {
        context
            .progress
            .start("checking images", paths.len() as u64);
        let checked: Vec<Option<Self>> = paths
            .par_iter()
            .map(|path| {
                if context.interrupt.requested() {
                    return None;
                }
                let bad = match images::read(path, context.interrupt) {
                    Ok(bytes) => image::check(&bytes)
                        .err()
                        .map(|error| Self::undecodable(path, &error)),
                    Err(unread) => Some(Self::unread(path, &unread)),
                };
                context.progress.tick(1);
                bad
            })
            .collect();
        context.progress.finish();
        context.interrupt.check()?;
        Ok(checked.into_iter().flatten().collect())
    }

    /// The image's file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Display for BadImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", text::path(&self.path), self.problem)
    }
}

/// What helps them, each action once; where they need several, with one image that it helps.
fn hints(images: &[BadImage]) -> String {
    let mut first_of_each: IndexMap<&str, &BadImage> = IndexMap::new();
    for image in images {
        first_of_each.entry(image.hint).or_insert(image);
    }
    if first_of_each.len() == 1 {
        return images[0].hint.to_owned();
    }
    let named = first_of_each.iter().map(|(hint, image)| {
        let name = image.path.file_name().unwrap_or_default();
        format!("for `{}`: {hint}", foreign(&name.to_string_lossy()))
    });
    named.collect::<Vec<_>>().join("; ")
}
