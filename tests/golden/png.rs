//! PNGs against `fixtures/png.safetensors` (made by `make/png.py`): all verdicts and pixels are Pillow's.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use newt_pipe::image::{check, decode};
use safetensors::SafeTensors;
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Cases {
    decoding: Vec<Decoding>,
    damage: Vec<Damage>,
}

#[derive(Deserialize)]
struct Decoding {
    name: String,
    /// What Pillow raised, where it did.
    error: Option<String>,
}

#[derive(Deserialize)]
struct Damage {
    name: String,
    at: usize,
    /// The byte that stands there now; 256 where the file ends there.
    value: usize,
    /// The first eight bytes of the digest of Pillow's pixels, where it gave any.
    pixels: Option<String>,
}

/// Runs `test` on the fixture's cases and tensors.
fn with_fixture(test: impl FnOnce(&Cases, &SafeTensors)) {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/fixtures/png.safetensors"
    );
    let bytes = fs_err::read(path).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let cases = &metadata.metadata().as_ref().unwrap()["cases"];
    test(
        &serde_json::from_str(cases).unwrap(),
        &SafeTensors::deserialize(&bytes).unwrap(),
    );
}

#[test]
fn pngs_decode_as_pillow_decodes_them() {
    with_fixture(|cases, tensors| {
        let (mut n_read, mut n_refused) = (0, 0);
        for Decoding { name, error } in &cases.decoding {
            let bytes = tensors.tensor(&format!("png/{name}")).unwrap().data();
            let (checked, decoded) = (check(bytes), decode(bytes));
            if let Some(error) = error {
                assert!(decoded.is_err(), "{name} is read, Pillow says: {error}");
                n_refused += 1;
                continue;
            }
            let (header, decoded) = (checked.unwrap(), decoded.unwrap());
            let pixels = tensors.tensor(&format!("pixels/{name}")).unwrap();
            let size = [decoded.height, decoded.width, 3];
            assert_eq!(size, pixels.shape(), "{name}");
            assert_eq!([header.height, header.width, 3], size, "{name}");
            assert_eq!(decoded.pixels, pixels.data(), "{name}");
            n_read += 1;
        }
        assert_eq!((n_read, n_refused), (158, 23));
    });
}

#[test]
fn refusals_say_what_is_wrong() {
    let expected = [
        ("half_of_magic", "truncated PNG data"),
        ("magic_only", "truncated PNG data"),
        ("cut_in_header", "truncated PNG data"),
        ("cut_in_data", "truncated PNG data"),
        ("one_row_and_a_half", "truncated PNG data"),
        (
            "magic_changed",
            "corrupt PNG data: line ends were changed on the way",
        ),
        ("no_data", "corrupt PNG data: no image data"),
        ("data_before_header", "corrupt PNG data: no header"),
        ("short_header", "corrupt PNG data: header of 10 bytes"),
        (
            "wrong_checksum_of_text",
            "corrupt PNG data: wrong checksum of chunk `tEXt`",
        ),
        (
            "wrong_checksum_of_stream",
            "corrupt PNG data: the zlib stream is damaged",
        ),
        ("filter_5", "corrupt PNG data: filter 5, expected 0 to 4"),
        ("filter_method_1", "corrupt PNG data: filter method 1"),
        ("colour_5", "corrupt PNG data: colour type 5 of 8 bits"),
        ("width_0", "corrupt PNG data: size of 0 × 2 pixels"),
        ("palette_of_257", "corrupt PNG data: palette of 257 colours"),
        (
            "bomb",
            "image of 65000 × 65000 pixels, at most 178956970 in all are read",
        ),
        (
            "bomb_by_little",
            "image of 65500 × 2733 pixels, at most 178956970 in all are read",
        ),
    ];
    with_fixture(|_, tensors| {
        for (name, message) in expected {
            let bytes = tensors.tensor(&format!("png/{name}")).unwrap().data();
            assert_eq!(decode(bytes).unwrap_err().to_string(), message, "{name}");
        }
    });
}

#[test]
fn damaged_pngs_have_pillows_verdict_and_pixels() {
    with_fixture(|cases, tensors| {
        for damage in &cases.damage {
            let Damage {
                name,
                at,
                value,
                pixels,
            } = damage;
            let bytes = tensors.tensor(&format!("png/{name}")).unwrap().data();
            let mut broken = bytes.to_vec();
            match u8::try_from(*value) {
                Ok(value) => broken[*at] = value,
                Err(_) => broken.truncate(*at),
            }
            let digest = decode(&broken).map(|image| {
                let digest = Sha256::digest(&image.pixels);
                u64::from_be_bytes(*digest.first_chunk().unwrap())
            });
            let pixels = pixels.as_ref();
            let pixels = pixels.map(|hex| u64::from_str_radix(hex, 16).unwrap());
            assert_eq!(
                digest.as_ref().ok(),
                pixels.as_ref(),
                "{name}, {at} = {value}: {digest:?}"
            );
            // What decodes is never refused before.
            assert!(
                check(&broken).is_ok() || digest.is_err(),
                "{name}, {at} = {value}"
            );
        }
    });
}
