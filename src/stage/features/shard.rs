//! Rows that wait to be stored.

use std::time::{Duration, Instant};

use ndarray::{ArrayView1, ArrayView2};

use super::decode::ImageFile;
use super::norm;
use crate::artifact::FeatureStore;
use crate::cache::Digest;
use crate::error::{Error, Message};
use crate::text;

/// A shard is written when it holds this many rows …
const MAX_ROWS: usize = 256;
/// … or when this long has passed since the last: what an interruption can cost.
const MAX_TIME: Duration = Duration::from_secs(10);

/// The rows of the next shard, as the network gave them.
pub struct Shard {
    digests: Vec<Digest>,
    rows: Vec<f32>,
    dim: usize,
    since: Instant,
}

impl Shard {
    /// An empty one, for rows of `dim` features.
    pub fn new(dim: usize) -> Self {
        Self {
            digests: Vec::new(),
            rows: Vec::new(),
            dim,
            since: Instant::now(),
        }
    }

    /// Adds the rows of `files`, `[files.len(), dim]`.
    ///
    /// # Errors
    /// An image whose features are no finite numbers, or cannot be scaled to norm 1.
    pub fn push(&mut self, files: &[ImageFile], mut rows: Vec<f32>) -> Result<(), Error> {
        for (row, file) in rows.chunks_exact(self.dim).zip(files) {
            check(row).map_err(|found| {
                let image = text::path(&file.path);
                Message::data(format!("{image}: the backbone gives {found}")).hint(
                    "try `--set features.precision=f32`; if that fails, too, the weights are unsound",
                )
            })?;
            self.digests.push(file.digest);
        }
        self.rows.append(&mut rows);
        Ok(())
    }

    /// Whether the rows should wait no longer.
    pub fn is_due(&self) -> bool {
        self.digests.len() >= MAX_ROWS || self.since.elapsed() >= MAX_TIME
    }

    /// Moves the rows into the store.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn store(&mut self, store: &mut FeatureStore) -> Result<(), Error> {
        if !self.digests.is_empty() {
            let rows = ArrayView2::from_shape((self.digests.len(), self.dim), &self.rows);
            #[expect(
                clippy::expect_used,
                reason = "`push` adds `dim` values with each digest"
            )]
            store.append(&self.digests, rows.expect("a full matrix"))?;
            self.digests.clear();
            self.rows.clear();
        }
        self.since = Instant::now();
        Ok(())
    }
}

/// Says what a row holds that no row should: it could not be scaled to norm 1, whether a probe asks for that or not.
fn check(row: &[f32]) -> Result<(), String> {
    if let Some(column) = row.iter().position(|value| !value.is_finite()) {
        let value = row[column];
        return Err(format!(
            "{value} as feature {column}, expected a finite number"
        ));
    }
    let norm = norm::norm(ArrayView1::from(row));
    if !norm::is_usable(norm) {
        let (found, expected) = (norm::show(norm), norm::USABLE);
        return Err(format!("features of L2 norm {found}, expected {expected}"));
    }
    Ok(())
}
