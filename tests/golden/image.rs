//! Decoding, resizing and preprocessing, against `fixtures/image.safetensors` (made by
//! `make/image.py`). All verdicts, pixels and tensor values are equal, bit for bit.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use newt_pipe::internals::image::{
    Interpolation, OpenClipResize, Preprocessing, RgbImage, TimmCrop, check, decode, resize,
};
use safetensors::SafeTensors;
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    decoding: Vec<Decoding>,
    prefixes: Vec<Named>,
    damage: Vec<Named>,
    resizing: Vec<Resizing>,
    preprocessing: Vec<Transformed>,
}

#[derive(Deserialize)]
struct Decoding {
    name: String,
    /// What Pillow took it for, where it opened it.
    format: Option<String>,
    /// What Pillow raised, where it did.
    error: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Resizing {
    from: [usize; 2],
    to: [usize; 2],
    interpolation: Interpolation,
    /// Digest of Pillow's pixels.
    pixels: String,
}

#[derive(Deserialize)]
struct Transformed {
    image: [usize; 2],
    #[serde(flatten)]
    settings: Settings,
    /// Digest of the pixels before `ToTensor`.
    pixels: String,
    /// Digest of the tensor's f32 values, little-endian.
    tensor: String,
}

/// The arguments of a library's transform.
#[derive(Debug, Deserialize)]
struct Settings {
    #[serde(flatten)]
    library: Library,
    size: [usize; 2],
    interpolation: Interpolation,
    mean: [f32; 3],
    std: [f32; 3],
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(tag = "library", rename_all = "snake_case")]
enum Library {
    Timm { crop_pct: f64, mode: TimmCrop },
    OpenClip { fill: u8, mode: OpenClipResize },
}

impl Settings {
    fn preprocessing(&self) -> Preprocessing {
        let &Self {
            size,
            interpolation,
            mean,
            std,
            ..
        } = self;
        match self.library {
            Library::Timm { crop_pct, mode } => {
                Preprocessing::timm(size, crop_pct, mode, interpolation, mean, std)
            }
            Library::OpenClip { fill, mode } => {
                Preprocessing::open_clip(size, mode, interpolation, fill, mean, std)
            }
        }
    }
}

/// Runs `test` on the fixture's cases and tensors.
fn with_fixture(test: impl FnOnce(&Cases, &SafeTensors)) {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/fixtures/image.safetensors"
    );
    let bytes = fs_err::read(path).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let cases = &metadata.metadata().as_ref().unwrap()["cases"];
    test(
        &serde_json::from_str(cases).unwrap(),
        &SafeTensors::deserialize(&bytes).unwrap(),
    );
}

fn tensor<'a>(tensors: &'a SafeTensors, name: &str) -> &'a [u8] {
    tensors.tensor(name).unwrap().data()
}

/// The image whose pixels are the tensor `name`, `[h, w, 3]`.
fn image(tensors: &SafeTensors, name: &str) -> RgbImage {
    let view = tensors.tensor(name).unwrap();
    let &[height, width, 3] = view.shape() else {
        panic!("shape of {name}")
    };
    RgbImage {
        width,
        height,
        pixels: view.data().to_vec(),
    }
}

/// The image that `noise` of `make/image.py` makes.
fn noise([width, height]: [usize; 2]) -> RgbImage {
    let sample = |n: u32| {
        let x = n.wrapping_mul(2_654_435_761);
        ((x ^ (x >> 15)).wrapping_mul(2_246_822_519) >> 24) as u8
    };
    let n = u32::try_from(width * height * 3).unwrap();
    RgbImage {
        width,
        height,
        pixels: (0..n).map(sample).collect(),
    }
}

fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn tensor_digest(values: &[f32]) -> String {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    digest(&bytes)
}

#[test]
fn jpegs_decode_as_pillow_decodes_them() {
    with_fixture(|cases, tensors| {
        let (mut n_read, mut n_refused) = (0, 0);
        for Decoding {
            name,
            format,
            error,
        } in &cases.decoding
        {
            let bytes = tensor(tensors, &format!("jpeg/{name}"));
            match (format.as_deref(), decode(bytes)) {
                (Some("JPEG"), decoded) => {
                    assert_eq!(
                        decoded.unwrap(),
                        image(tensors, &format!("pixels/{name}")),
                        "{name}"
                    );
                    let header = check(bytes).unwrap();
                    let pixels = image(tensors, &format!("pixels/{name}"));
                    assert_eq!(
                        (header.width, header.height),
                        (pixels.width, pixels.height),
                        "{name}"
                    );
                    n_read += 1;
                }
                // Its pixels are those of `png.rs`.
                (Some("PNG"), decoded) => assert!(decoded.is_ok(), "{name}"),
                // Another format, which Pillow opens and we name.
                (Some(format), decoded) => {
                    let message = decoded.unwrap_err().to_string();
                    assert!(
                        message.contains(&format!("a {format} image")),
                        "{name}: {message}"
                    );
                }
                (None, decoded) => {
                    assert!(decoded.is_err(), "{name} is read, Pillow says: {error:?}");
                    n_refused += 1;
                }
            }
        }
        assert_eq!((n_read, n_refused), (42, 23));
    });
}

#[test]
fn refusals_say_what_is_wrong() {
    let expected = [
        ("empty", "empty file"),
        (
            "one_byte",
            "neither JPEG nor PNG (starts with `\\xff`: no format known here)",
        ),
        (
            "text",
            "neither JPEG nor PNG (starts with `vers`: a Git LFS pointer)",
        ),
        ("magic_only", "truncated JPEG data"),
        ("three_quarters", "truncated JPEG data"),
        ("half", "truncated JPEG data"),
        ("half_of_exif_thumbnail", "truncated JPEG data"),
        ("half_progressive", "truncated JPEG data"),
        ("end_marker_missing_progressive", "truncated JPEG data"),
        (
            "no_frame",
            "corrupt JPEG data: no frame before the first scan",
        ),
        ("unknown_marker", "corrupt JPEG data: unknown marker 0xff05"),
        (
            "second_start",
            "corrupt JPEG data: Invalid JPEG file structure: two SOI markers",
        ),
        (
            "two_frames",
            "corrupt JPEG data: Invalid JPEG file structure: two SOF markers",
        ),
        (
            "no_quantization",
            "corrupt JPEG data: Quantization table 0x00 was not defined",
        ),
        ("width_zero", "corrupt JPEG data: size of 0 × 21 pixels"),
        (
            "twelve_bits",
            "JPEG with samples that are not 8 bits wide, which is not supported",
        ),
        (
            "bomb",
            "image of 65500 × 65500 pixels, at most 178956970 in all are read",
        ),
        (
            "bomb_by_little",
            "image of 65500 × 2733 pixels, at most 178956970 in all are read",
        ),
    ];
    with_fixture(|_, tensors| {
        for (name, message) in expected {
            let bytes = tensor(tensors, &format!("jpeg/{name}"));
            assert_eq!(decode(bytes).unwrap_err().to_string(), message, "{name}");
        }
    });
}

#[test]
fn check_finds_files_that_end_early_without_decoding_them() {
    with_fixture(|_, tensors| {
        for name in [
            "empty",
            "half",
            "half_progressive",
            "half_cmyk",
            "half_of_exif_thumbnail",
            "bomb",
        ] {
            let bytes = tensor(tensors, &format!("jpeg/{name}"));
            assert_eq!(
                check(bytes),
                decode(bytes).map(|_| unreachable!()),
                "{name}"
            );
        }
    });
}

#[test]
fn every_prefix_of_a_jpeg_has_pillows_verdict() {
    with_fixture(|cases, tensors| {
        for Named { name } in &cases.prefixes {
            let bytes = tensor(tensors, &format!("prefix/{name}/jpeg"));
            let verdicts = tensor(tensors, &format!("prefix/{name}/read"));
            let whole = image(tensors, &format!("prefix/{name}/pixels"));
            assert_eq!(verdicts.len(), bytes.len() + 1);
            for (length, &is_read) in verdicts.iter().enumerate() {
                let prefix = &bytes[..length];
                match decode(prefix) {
                    Ok(decoded) => {
                        assert_eq!((is_read, &decoded), (1, &whole), "{length} bytes of {name}");
                        check(prefix).unwrap();
                    }
                    Err(error) => assert_eq!(is_read, 0, "{length} bytes of {name}: {error}"),
                }
            }
        }
    });
}

#[test]
fn damaged_jpegs_have_pillows_verdict() {
    with_fixture(|cases, tensors| {
        for Named { name } in &cases.damage {
            let bytes = tensor(tensors, &format!("damage/{name}/jpeg"));
            let (changes, _) = tensor(tensors, &format!("damage/{name}/changes")).as_chunks::<4>();
            let (changes, _) = changes.as_chunks::<6>();
            let verdicts = tensor(tensors, &format!("damage/{name}/read"));
            assert_eq!(changes.len(), verdicts.len());
            for (changes, &is_read) in changes.iter().zip(verdicts) {
                let changes = changes.map(u32::from_le_bytes);
                let mut broken = bytes.to_vec();
                for &[at, value] in changes.as_chunks().0 {
                    broken[at as usize] = u8::try_from(value).unwrap();
                }
                let decoded = decode(&broken);
                assert_eq!(
                    decoded.is_ok(),
                    is_read == 1,
                    "{name}, {changes:?}: {:?}",
                    decoded.err()
                );
                assert!(
                    decoded.is_err() || check(&broken).is_ok(),
                    "{name}, {changes:?}"
                );
            }
        }
    });
}

#[test]
fn resized_pixels_are_pillows() {
    with_fixture(|cases, _| {
        for Resizing {
            from,
            to,
            interpolation,
            pixels,
        } in &cases.resizing
        {
            let resized = resize(&noise(*from), to[0], to[1], *interpolation);
            assert_eq!((resized.width, resized.height), (to[0], to[1]));
            assert_eq!(
                &digest(&resized.pixels),
                pixels,
                "{from:?} to {to:?}, {interpolation:?}"
            );
        }
    });
}

#[test]
fn crops_and_tensors_are_those_of_timm_and_open_clip() {
    with_fixture(|cases, _| {
        for case in &cases.preprocessing {
            let preprocessing = case.settings.preprocessing();
            let image = noise(case.image);
            let place = format!("{:?}, {:?}", case.image, case.settings);

            let crop = preprocessing.crop(&image);
            assert_eq!([crop.height, crop.width], case.settings.size, "{place}");
            assert_eq!(digest(&crop.pixels), case.pixels, "pixels, {place}");

            let tensor = preprocessing.apply(&image);
            let bytes: Vec<u8> = tensor
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            assert_eq!(digest(&bytes), case.tensor, "tensor, {place}");
        }
    });
}

/// What `benches/compare/pixels.py` writes.
#[derive(Deserialize)]
struct Folder {
    transforms: Vec<Settings>,
    images: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    path: String,
    pixels: String,
    /// One digest per transform, as the tensors.
    crops: Vec<String>,
    tensors: Vec<String>,
}

#[test]
#[ignore = "needs target/pixels.json, which benches/compare/pixels.py writes"]
fn pixels_of_a_folder_are_those_of_the_libraries() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/target/pixels.json");
    let folder: Folder = serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap();
    let (mut n_images, mut n_crops, mut n_tensors) = (0, 0, 0);
    for file in &folder.images {
        let bytes = fs_err::read(&file.path).unwrap();
        check(&bytes).unwrap();
        let image = decode(&bytes).unwrap();
        n_images += usize::from(digest(&image.pixels) != file.pixels);
        let digests = file.crops.iter().zip(&file.tensors);
        for (settings, (crop, tensor)) in folder.transforms.iter().zip(digests) {
            let preprocessing = settings.preprocessing();
            n_crops += usize::from(&digest(&preprocessing.crop(&image).pixels) != crop);
            n_tensors += usize::from(&tensor_digest(&preprocessing.apply(&image)) != tensor);
        }
    }
    let (images, transforms) = (folder.images.len(), folder.transforms.len());
    println!(
        "{n_images} of {images} images differ, {n_crops} of {} crops",
        images * transforms
    );
    assert_eq!(
        (n_images, n_crops, n_tensors),
        (0, 0, 0),
        "images, crops and tensors that differ"
    );
}
