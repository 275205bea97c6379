//! What is wrong with bytes that the safetensors crate refuses: with the sizes and the tensor that its own messages
//! leave out.

use std::collections::BTreeMap;

use safetensors::SafeTensorError;
use safetensors::tensor::{Metadata, TensorInfo};

use crate::text::{foreign, thousands};

/// Bytes of the header's length, in front of the header.
pub const LENGTH_BYTES: usize = 8;

/// The longest header that the safetensors crate reads.
pub const MAX_HEADER_BYTES: u64 = 100_000_000;

/// The length of the header as the file's first bytes tell it, `None` if the file is shorter than that.
pub fn header_bytes(bytes: &[u8]) -> Option<u64> {
    bytes
        .first_chunk::<LENGTH_BYTES>()
        .map(|length| u64::from_le_bytes(*length))
}

/// The length of the whole file, as the header in its first `bytes` tells it; `None` if that is no header.
pub fn described_bytes(bytes: &[u8]) -> Option<u64> {
    let n_header = header_bytes(bytes)?;
    let n_data = metadata(bytes)?.data_len() as u64;
    Some(n_data.saturating_add(n_header + LENGTH_BYTES as u64))
}

/// What the header in a file's first `bytes` says; `None` if that is no header.
pub fn metadata(bytes: &[u8]) -> Option<Metadata> {
    serde_json::from_slice(header(bytes)?).ok()
}

fn header(bytes: &[u8]) -> Option<&[u8]> {
    let n_header = usize::try_from(header_bytes(bytes)?).ok()?;
    bytes.get(LENGTH_BYTES..)?.get(..n_header)
}

/// What is wrong with a file of `n_bytes`, whose first `bytes`, the header among them, were refused with this error.
pub fn describe(error: &SafeTensorError, bytes: &[u8], n_bytes: u64) -> String {
    let Some(n_header) = header_bytes(bytes) else {
        return format!(
            "{n_bytes} bytes, a safetensors file begins with {LENGTH_BYTES} bytes of header length"
        );
    };
    match error {
        SafeTensorError::HeaderTooLarge => format!(
            "no safetensors file: its first {LENGTH_BYTES} bytes announce a header of {} bytes, at most {} are allowed",
            thousands(n_header),
            thousands(MAX_HEADER_BYTES)
        ),
        SafeTensorError::InvalidHeaderLength => format!(
            "cut short or no safetensors file: {} bytes after the header's length, which is {}",
            thousands(n_bytes - LENGTH_BYTES as u64),
            thousands(n_header)
        ),
        SafeTensorError::MetadataIncompleteBuffer => {
            let expected = described_bytes(bytes).unwrap_or_default();
            let what = if n_bytes < expected {
                "cut short"
            } else {
                "too long"
            };
            format!(
                "{what}: {} bytes, {} by its header",
                thousands(n_bytes),
                thousands(expected)
            )
        }
        SafeTensorError::InvalidOffset(name) => {
            format!(
                "the bytes of tensor `{}` overlap others or leave a gap",
                foreign(name)
            )
        }
        SafeTensorError::TensorInvalidInfo
        | SafeTensorError::ValidationOverflow
        | SafeTensorError::MisalignedSlice => {
            let name = header(bytes).and_then(misfit).unwrap_or_default();
            format!(
                "the shape and type of tensor `{}` do not fit its number of bytes",
                foreign(&name)
            )
        }
        error => format!("not a safetensors file: {error}"),
    }
}

/// The first tensor, by name, whose shape and type do not fit its bytes.
fn misfit(header: &[u8]) -> Option<String> {
    let mut fields: BTreeMap<String, serde_json::Value> = serde_json::from_slice(header).ok()?;
    fields.remove("__metadata__");
    fields.into_iter().find_map(|(name, value)| {
        let info: TensorInfo = serde_json::from_value(value).ok()?;
        let n_bits = info
            .shape
            .iter()
            .try_fold(info.dtype.bitsize(), |n, &length| n.checked_mul(length));
        let (start, end) = info.data_offsets;
        let n_stored = end.checked_sub(start).and_then(|n| n.checked_mul(8));
        (n_bits.is_none() || n_bits != n_stored).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::error::Failure;
    use crate::tensorfile::parse;
    use crate::tensorfile::tests::whole;

    fn file(header: &str, n_data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(vec![0; n_data]);
        bytes
    }

    fn refused(bytes: &[u8], expected: &str) {
        let error = parse(Path::new("f"), bytes).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("f: ") && text.contains(expected),
            "{text}, expected {expected}"
        );
        assert!(error.hint().is_some());
    }

    #[test]
    fn file_of_another_size_is_told_with_both_sizes() {
        let good = whole();
        let n = good.len();
        let cases = [
            (
                good[..0].to_vec(),
                "0 bytes, a safetensors file begins with 8 bytes of header length".to_owned(),
            ),
            (
                good[..7].to_vec(),
                "7 bytes, a safetensors file begins with 8 bytes of header length".to_owned(),
            ),
            (
                b"\x89PNG\r\n\x1a\n".to_vec(),
                "no safetensors file: its first 8 bytes announce a header of 727,905,341,920,923,785 bytes, at most 100,000,000 are allowed"
                    .to_owned(),
            ),
            (
                good[..50].to_vec(),
                format!(
                    "cut short or no safetensors file: 42 bytes after the header's length, which is {}",
                    header_bytes(&good).unwrap()
                ),
            ),
            (
                good[..n - 1].to_vec(),
                format!("cut short: {} bytes, {n} by its header", n - 1),
            ),
            (
                [good.as_slice(), b"x"].concat(),
                format!("too long: {} bytes, {n} by its header", n + 1),
            ),
        ];
        for (bytes, expected) in cases {
            refused(&bytes, &expected);
        }
    }

    #[test]
    fn header_that_is_no_header_is_told() {
        let not_json = "not a safetensors file: invalid JSON in header: ";
        refused(&file("{\"x\":", 0), &format!("{not_json}EOF"));
        refused(&file("[]", 0), &format!("{not_json}invalid type"));
        let not_utf8 = [&3_u64.to_le_bytes(), b"\"\xff\"".as_slice()].concat();
        refused(&not_utf8, "invalid UTF-8 in header");
    }

    #[test]
    fn lying_header_is_told_with_the_tensor() {
        // Shape and offsets of tensor `b`, which follows `a` in its bytes 0 to 4.
        let cases = [
            (
                "[1]",
                8,
                12,
                "the bytes of tensor `b` overlap others or leave a gap",
            ),
            (
                "[1]",
                2,
                6,
                "the bytes of tensor `b` overlap others or leave a gap",
            ),
            (
                "[2]",
                4,
                8,
                "the shape and type of tensor `b` do not fit its number of bytes",
            ),
            (
                "[4294967296,4294967296]",
                4,
                8,
                "the shape and type of tensor `b` do not fit its number of bytes",
            ),
        ];
        for (shape, start, end, expected) in cases {
            let a = r#""a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
            let b =
                format!(r#""b":{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}"#);
            refused(&file(&format!("{{{a},{b}}}"), end), expected);
        }
    }
}
