//! PNGs against `fixtures/png.safetensors` (made by `make/png.py`): pixels are Pillow's, and
//! what it refuses is refused.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use newt_pipe::internals::image::{check, decode};
use safetensors::SafeTensors;
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    decoding: Vec<Decoding>,
}

#[derive(Deserialize)]
struct Decoding {
    name: String,
    /// What Pillow raised, or that we refuse what it reads.
    error: Option<String>,
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
                assert!(decoded.is_err(), "{name} is read, expected: {error}");
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
        assert_eq!((n_read, n_refused), (146, 36));
    });
}

#[test]
fn refusals_say_what_is_wrong() {
    let expected = [
        ("half_of_magic", "truncated PNG data"),
        ("magic_only", "truncated PNG data"),
        ("cut_in_header", "truncated PNG data"),
        ("cut_in_data", "truncated PNG data"),
        ("no_end", "truncated PNG data"),
        (
            "one_row_and_a_half",
            "corrupt PNG data: IDAT or fDAT chunk does not have enough data for image",
        ),
        ("magic_changed", "corrupt PNG data: Invalid PNG signature"),
        ("no_data", "corrupt PNG data: IDAT or fdAT chunk is missing"),
        (
            "data_before_header",
            "corrupt PNG data: `IDAT` chunk appeared before IHDR chunk",
        ),
        (
            "short_header",
            "corrupt PNG data: Chunk length wrong: `IHDR`",
        ),
        (
            "wrong_checksum_of_text",
            "corrupt PNG data: CRC error: expected 0x7 have 0xdc49a23b while decoding `tEXt` chunk",
        ),
        (
            "wrong_checksum_of_stream",
            "corrupt PNG data: Corrupt deflate stream. WrongChecksum",
        ),
        ("width_0", "corrupt PNG data: Invalid image dimensions"),
        ("palette_and_a_byte", "corrupt PNG data: palette of 7 bytes"),
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
fn no_damage_goes_unseen() {
    with_fixture(|_, tensors| {
        for name in ["saved_RGB", "palette_4_interlaced"] {
            let whole = tensors.tensor(&format!("png/{name}")).unwrap().data();
            for at in 0..whole.len() {
                let mut changed = whole.to_vec();
                changed[at] ^= 4;
                assert!(decode(&changed).is_err(), "{name}, byte {at} changed");
                assert!(decode(&whole[..at]).is_err(), "{name}, cut at {at}");
            }
        }
    });
}
