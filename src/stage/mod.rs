//! The six stages: glue between the cache's bytes and the modules that compute. No mathematics.
//!
//! | stage | makes | from |
//! | --- | --- | --- |
//! | [`labels`] | the typed labels table | the labels file |
//! | [`sample`] | the rows that take part | labels, `n_train`, seed |
//! | [`features`] | the digest of the feature rows, which are kept per image | sample, images, backbone |
//! | [`probes`] | predictions, one SVM per task | labels, sample, features, probe |
//! | [`report`] | accuracies by task, subcluster, cluster, overall | predictions |
//! | [`bootstrap`] | resampled accuracies and intervals | predictions |
//!
//! Every stage is a value that holds its checked configuration and the outputs of the stages before
//! it. A new stage is a file of the same shape, its `mod` and its line in [`Name`] here, its place in the flow
//! (`pipeline`), and a pin.

pub mod bootstrap;
pub mod features;
pub mod labels;
#[cfg(test)]
mod pins;
pub mod probes;
pub mod report;
pub mod sample;
mod tasks;

use std::collections::BTreeMap;

use self::features::Counts;
pub use self::tasks::{TaskArgument, TaskFilter};
use crate::artifact::{Row, Table};
use crate::cache::{Digest, Request};
use crate::context::Context;
use crate::error::{Error, Message};

/// A stage's name, as in keys, `--force` and JSON; in the order of the flow.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(
    serialize_all = "lowercase",
    parse_err_ty = String,
    parse_err_fn = unknown_name
)]
pub enum Name {
    /// The labels file, typed.
    Labels,
    /// The rows that take part.
    Sample,
    /// Image features.
    Features,
    /// One SVM per task.
    Probes,
    /// Accuracies.
    Report,
    /// Intervals.
    Bootstrap,
}

impl Name {
    /// All of them, in the order of the flow.
    pub const ALL: &[Name] = <Name as strum::VariantArray>::VARIANTS;

    /// The name as text.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

fn unknown_name(_name: &str) -> String {
    let names: Vec<&str> = Name::ALL.iter().map(|name| name.as_str()).collect();
    format!("expected one of {}", names.join(", "))
}

/// The bytes of a stage's outputs, by name.
pub type Objects = BTreeMap<String, Vec<u8>>;

/// A pure function of inputs and parameters, with outputs that can be kept as bytes.
pub trait Stage {
    /// The stage's name.
    const NAME: Name;
    /// Raised whenever the same inputs give other bytes or another meaning.
    const VERSION: u32;
    /// Whether computing it costs next to nothing, so that `plan` may do so to see further.
    const IS_CHEAP: bool = false;
    /// An output that no later stage reads, and that stays in the store on a hit.
    const UNREAD: Option<&'static str> = None;
    /// What it makes.
    type Output;

    /// Everything that can change a byte of the output, by name.
    fn request(&self) -> Request;

    /// Computes the output.
    ///
    /// # Errors
    /// Whatever the modules that do the work report.
    fn run(&mut self, context: Context<'_>) -> Result<Self::Output, Error>;

    /// What a plan does in place of [`Stage::run`]: stages that are planned after this one count on what it would leave.
    fn pretend(&mut self) {}

    /// Has what is kept from other runs, besides the outputs on record, count as absent: `--force` asks for all of it.
    ///
    /// # Errors
    /// Errors of wherever that is kept.
    fn forget(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// The images that it took so far, of stage `features`.
    fn counts(&self) -> Option<Counts> {
        None
    }

    /// What the user should know about an output, wherever it comes from; a line each.
    fn warnings(_output: &Self::Output) -> &[String] {
        &[]
    }

    /// Writes an output as named bytes, the same bytes for the same output.
    ///
    /// # Errors
    /// Errors of the formats' writers.
    fn encode(output: &Self::Output) -> Result<Objects, Error>;

    /// Reads what [`Stage::encode`] wrote, and makes sure that it is an output of this stage's inputs: the bytes are
    /// those that a record names, but the record may have been put there by anyone.
    ///
    /// # Errors
    /// Errors of the formats' readers; an output that belongs to other inputs.
    fn decode(&self, objects: &Objects) -> Result<Self::Output, Error>;
}

/// A stage's output together with the digests of its bytes, which key the stages after it.
#[derive(Debug, Clone)]
pub struct Made<T> {
    /// The output.
    pub output: T,
    /// The digest of each of its parts.
    pub digests: BTreeMap<String, Digest>,
}

impl<T> Made<T> {
    /// The digest of the part `name`.
    #[expect(
        clippy::expect_used,
        reason = "`encode` of the stage that made it names the part"
    )]
    fn digest(&self, name: &str) -> Digest {
        *self
            .digests
            .get(name)
            .expect("a part that the stage writes")
    }
}

/// The part `name` of an output, a table of these rows.
fn table<R: Row>(name: &str, rows: &[R]) -> Result<(String, Vec<u8>), Error> {
    Ok((name.to_owned(), Table::of(rows).to_parquet()?))
}

/// What a stage finds in its stored output, or lacks there.
impl Name {
    /// The rows of the table `part` of the stored output.
    fn rows<R: Row>(self, objects: &Objects, part: &str) -> Result<Vec<R>, Error> {
        Table::from_parquet(self.part(objects, part)?)?.rows()
    }

    /// The bytes of the part `part` of the stored output.
    fn part<'a>(self, objects: &'a Objects, part: &str) -> Result<&'a [u8], Error> {
        let bytes = objects.get(part).map(Vec::as_slice);
        bytes.ok_or_else(|| self.lacks(part).into())
    }

    /// That the stored output has no part `part`.
    pub fn lacks(self, part: &str) -> Message {
        self.unusable(&format!("has no part `{part}`"))
    }

    /// Makes sure of something that every output of the stage's inputs has.
    fn ensure(self, holds: bool, what: &str) -> Result<(), Error> {
        if holds {
            return Ok(());
        }
        Err(self
            .unusable(&format!("belongs to other inputs: {what}"))
            .into())
    }

    fn unusable(self, why: &str) -> Message {
        Message::machine(format!("stage `{self}`: the stored output {why}"))
            .hint(format!("`--force {self}` makes it again"))
    }
}
