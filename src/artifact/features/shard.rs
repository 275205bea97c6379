//! A shard of features: one safetensors file.
//!
//! | part | content |
//! | --- | --- |
//! | tensor `features` | [n, d] f32 |
//! | metadata key `images` | a JSON array of the n images' digests, the rows' |
//! | metadata key `seal` | the digest of the backbone's key, the images' digests and the rows' bytes |
//!
//! The seal ties rows to their images and to their backbone: a shard whose images were swapped, or that was moved to
//! another backbone's folder, is found out even where its name was made to fit.

use ndarray::{Array2, ArrayView2, Ix2};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::artifact::tensors::metadata_json;
use crate::artifact::{TensorWriter, Tensors};
use crate::cache::{Digest, Key};
use crate::error::{Error, Message};
use crate::text::{self, count};

const FEATURES: &str = "features";
const IMAGES: &str = "images";
const SEAL: &str = "seal";

/// Which backbone's features a shard has.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The key of the backbone.
    pub key: Key,
    /// The number of its features.
    pub dim: usize,
}

/// Some images and their features.
pub struct Shard {
    /// The digests of the images.
    pub images: Vec<Digest>,
    /// Their features, `[n, dim]`.
    pub features: Array2<f32>,
}

/// The bytes of a shard with these rows, `[images.len(), dim]`.
///
/// # Errors
/// Bad data where the rows have another shape.
pub fn to_bytes(
    kind: Kind,
    images: &[Digest],
    rows: ArrayView2<'_, f32>,
) -> Result<Vec<u8>, Message> {
    if rows.dim() != (images.len(), kind.dim) {
        return Err(Message::data(format!(
            "features of {}: shape {:?}, expected [{}, {}]",
            count(images.len(), "image", "images"),
            rows.shape(),
            images.len(),
            kind.dim
        )));
    }
    TensorWriter::new()
        .array(FEATURES, &rows)
        .metadata(IMAGES, &images)
        .metadata(SEAL, &seal(&kind.key, images, rows))
        .to_bytes()
}

impl Shard {
    /// The shard in the bytes of `file`, whose name serves in messages.
    ///
    /// # Errors
    /// Bad data where these are no shard of this kind, or not as it was written.
    pub fn parse(kind: Kind, file: &str, bytes: &[u8]) -> Result<Self, Error> {
        let tensors = Tensors::parse(file, bytes)?;
        let images: Vec<Digest> = tensors.metadata(IMAGES, "a JSON array of digests")?;
        let features = tensors.array::<f32, Ix2>(FEATURES)?;
        if features.dim() != (images.len(), kind.dim) {
            let expected = format!("[{}, {}]", images.len(), kind.dim);
            return Err(tensors
                .wrong_shape(FEATURES, features.shape(), &expected)
                .into());
        }
        let found: Digest = tensors.metadata(SEAL, "a digest")?;
        if found != seal(&kind.key, &images, features.view()) {
            return Err(wrong_seal(file).into());
        }
        Ok(Self { images, features })
    }
}

/// The images of a shard and the number of bytes of their rows; `None` if this is the header of something else.
pub fn parse_header(kind: Kind, header: &Metadata) -> Option<(Vec<Digest>, u64)> {
    let images: Vec<Digest> = metadata_json(header, IMAGES).ok()?;
    let _seal: Digest = metadata_json(header, SEAL).ok()?;
    let features = header.info(FEATURES)?;
    let n_values = images.len().checked_mul(kind.dim)?;
    let n_data = n_values.checked_mul(size_of::<f32>())?;
    let fits = features.dtype == Dtype::F32 && features.shape == [images.len(), kind.dim];
    fits.then_some((images, n_data as u64))
}

/// That a file does not have the images, the rows or the backbone that it was written with.
pub fn wrong_seal(file: &str) -> Message {
    Message::data(format!(
        "{}: the seal does not fit its images, its rows and the backbone",
        text::path(file)
    ))
}

/// What ties rows to their images and their backbone.
fn seal(key: &Key, images: &[Digest], rows: ArrayView2<'_, f32>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(key.as_bytes());
    for image in images {
        hasher.update(image.as_bytes());
    }
    hash_rows(&mut hasher, rows);
    hasher.finalize().into()
}

/// Values that are hashed at a time.
const CHUNK_VALUES: usize = 1 << 15;

/// Adds the bytes of `rows` to a digest: little-endian f32, row by row.
pub fn hash_rows(hasher: &mut blake3::Hasher, rows: ArrayView2<'_, f32>) {
    let rows = rows.as_standard_layout();
    let mut bytes = vec![[0; 4]; CHUNK_VALUES];
    for values in rows.as_slice().unwrap_or_default().chunks(CHUNK_VALUES) {
        let bytes = &mut bytes[..values.len()];
        for (bytes, value) in bytes.iter_mut().zip(values) {
            *bytes = value.to_le_bytes();
        }
        hasher.update(bytes.as_flattened());
    }
}
