//! NeWT's two archives: where they are, what they must be, and what of them is taken.

use super::error::bad_mirror;
use crate::error::Message;
use crate::hub::shown_endpoint;
use crate::newt::images::{IMAGES_DIR, LABELS_FILE};

/// Where the archives are, and which bytes they must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The address of the folder that holds them.
    pub base: String,
    /// The SHA-256 of the labels' archive, 64 hex digits.
    pub sha256_labels: String,
    /// The SHA-256 of the images' archive, 64 hex digits.
    pub sha256_images: String,
}

impl Default for Source {
    /// NeWT's public archives.
    ///
    /// Source: addresses of <https://github.com/visipedia/newt>; digests of birder's
    /// `datahub/evaluation.py`.
    fn default() -> Self {
        Self {
            base: "https://ml-inat-competition-datasets.s3.amazonaws.com/newt".to_owned(),
            sha256_labels: "e09807842485ef49ccf51d74ac9f6072c599fc16cf5ee755fdf4064f2e4c3828"
                .to_owned(),
            sha256_images: "8d40958a867c1296f92b5e125f1f1d8ddaa59f249315740fc366fc606995c055"
                .to_owned(),
        }
    }
}

impl Source {
    /// Makes sure that something can be put behind the address.
    ///
    /// # Errors
    /// Says what cannot be.
    pub fn check(&self) -> Result<(), Message> {
        let Some(at) = self.base.find(['?', '#']) else {
            return Ok(());
        };
        let (address, rest) = self.base.split_at(at);
        // What follows may be a signature; an `@` in it may end a password that begins before.
        let mirror = if rest.contains('@') {
            "(not shown)".to_owned()
        } else {
            shown_endpoint(address)
        };
        Err(bad_mirror(&mirror, "goes on with `?` or `#`"))
    }
}

/// An archive.
pub struct Archive {
    pub name: &'static str,
    pub sha256: String,
    pub content: Content,
    pub bounds: Bounds,
}

/// What is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// One file.
    Labels,
    /// A folder of files.
    Images,
}

impl Content {
    /// Its name below the data root, and in the archive.
    pub fn name(self) -> &'static str {
        match self {
            Self::Labels => LABELS_FILE,
            Self::Images => IMAGES_DIR,
        }
    }
}

/// How much is taken of an archive that may be anything until its digest is known.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Its own size.
    pub archive_bytes: u64,
    /// All that is unpacked of it.
    pub unpacked_bytes: u64,
    /// One file in it.
    pub file_bytes: u64,
    /// Its entries.
    pub n_entries: u64,
}

impl Archive {
    /// About a megabyte.
    pub fn labels(sha256: &str) -> Self {
        Self {
            name: "newt2021_labels.csv.tar.gz",
            sha256: sha256.to_owned(),
            content: Content::Labels,
            bounds: Bounds {
                archive_bytes: 64_000_000,
                unpacked_bytes: 256_000_000,
                file_bytes: 128_000_000,
                n_entries: 1_000,
            },
        }
    }

    /// About 4 GB, 36,000 photographs.
    pub fn images(sha256: &str) -> Self {
        Self {
            name: "newt2021_images.tar.gz",
            sha256: sha256.to_owned(),
            content: Content::Images,
            bounds: Bounds {
                archive_bytes: 10_000_000_000,
                unpacked_bytes: 12_000_000_000,
                file_bytes: 100_000_000,
                n_entries: 500_000,
            },
        }
    }
}
