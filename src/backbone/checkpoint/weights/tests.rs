//! Sound files, and every kind of damage.

use proptest::prelude::*;

use crate::backbone::checkpoint::weights::*;

/// A file with this header, whatever it says, and these bytes.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn entry(name: &str, dtype: &str, shape: &[usize], offsets: [usize; 2]) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":{offsets:?}}}"#)
}

fn parse(bytes: &[u8]) -> Result<Checkpoint<'_>, Error> {
    Checkpoint::parse([(Path::new("m.safetensors"), bytes)], "vit", &[])
}

fn floats(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

#[test]
fn every_float_format_is_widened_exactly() {
    let header = format!(
        "{{{},{},{}}}",
        entry("a", "F32", &[2], [0, 8]),
        entry("b", "F16", &[2], [8, 12]),
        entry("c", "BF16", &[2], [12, 16])
    );
    let mut data = floats(&[1.5, -2.0]);
    data.extend(
        [f16::from_f32(0.1), f16::from_f32(-65504.0)]
            .iter()
            .flat_map(|value| value.to_le_bytes()),
    );
    data.extend(
        [bf16::from_f32(0.1), bf16::from_f32(-3e38)]
            .iter()
            .flat_map(|value| value.to_le_bytes()),
    );
    let bytes = file(&header, &data);
    let checkpoint = parse(&bytes).unwrap();
    let read = |name: &str| checkpoint.read(name, &[2]).unwrap();
    assert_eq!(read("a"), [1.5, -2.0]);
    assert_eq!(read("b"), [f16::from_f32(0.1).to_f32(), -65504.0]);
    assert_eq!(
        read("c"),
        [bf16::from_f32(0.1).to_f32(), bf16::from_f32(-3e38).to_f32()]
    );
    checkpoint.finish(|_| false).unwrap();
}

#[test]
fn integers_are_no_weights() {
    let bytes = file(&format!("{{{}}}", entry("a", "I64", &[1], [0, 8])), &[0; 8]);
    let error = parse(&bytes).unwrap().read("a", &[1]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "m.safetensors: tensor `a` has dtype I64, expected F32, F16 or BF16"
    );
}

#[test]
fn value_that_is_not_finite_is_named_with_its_place() {
    let header = format!("{{{}}}", entry("a", "F32", &[2, 3], [0, 24]));
    for (value, name) in [(f32::NAN, "NaN"), (f32::NEG_INFINITY, "-inf")] {
        let bytes = file(&header, &floats(&[0.0, 1.0, 2.0, 3.0, 4.0, value]));
        let error = parse(&bytes).unwrap().read("a", &[2, 3]).unwrap_err();
        let expected =
            format!("m.safetensors: tensor `a` holds {name} at [1, 2], expected finite numbers");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn surplus_tensors_are_counted_but_the_classifier_s() {
    let names = ["a", "b", "c", "d", "head.weight"];
    let entries: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(i, name)| entry(name, "F32", &[1], [4 * i, 4 * i + 4]))
        .collect();
    let bytes = file(&format!("{{{}}}", entries.join(",")), &floats(&[0.0; 5]));
    let message = |used: &[&str]| {
        let checkpoint = parse(&bytes).unwrap();
        for name in used {
            checkpoint.read(name, &[1]).unwrap();
        }
        checkpoint
            .finish(|name| name.starts_with("head."))
            .map_err(|error| error.to_string())
    };
    assert_eq!(message(&["a", "b", "c", "d"]), Ok(Vec::new()));
    assert_eq!(
        message(&["a", "b", "c"]),
        Err("m.safetensors: tensor `d` is no part of backbone `vit`".to_owned())
    );
    assert_eq!(
        message(&["a", "b"]),
        Err("m.safetensors: tensors `c`, `d` are no part of backbone `vit`".to_owned())
    );
    assert_eq!(
        message(&[]),
        Err(
            "m.safetensors: tensors `a`, `b`, `c` and 1 more are no part of backbone `vit`"
                .to_owned()
        )
    );
}

#[test]
fn damaged_file_is_named_with_its_damage() {
    let whole = file(&format!("{{{}}}", entry("a", "F32", &[2], [0, 8])), &[0; 8]);
    let n = whole.len();
    let error = parse(&whole[..n - 1]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "m.safetensors: cut short: {} bytes, {n} by its header",
            n - 1
        )
    );
}

/// What is made of tensors of these names, each of one value, where `module.` and `_orig_mod.` are taken off.
fn unwrapped(names: &[&str]) -> Result<Vec<String>, String> {
    let entries: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(i, name)| entry(name, "F32", &[1], [4 * i, 4 * i + 4]))
        .collect();
    let values: Vec<f32> = (0_u8..).map(f32::from).take(names.len()).collect();
    let bytes = file(&format!("{{{}}}", entries.join(",")), &floats(&values));
    let wrappers = ["_orig_mod.", "module.", "_orig_mod."];
    let checkpoint =
        Checkpoint::parse([(Path::new("m.safetensors"), &bytes[..])], "vit", &wrappers)
            .map_err(|error| error.to_string())?;
    checkpoint
        .read("a", &[1])
        .map_err(|error| error.to_string())?;
    checkpoint
        .finish(|_| false)
        .map_err(|error| error.to_string())
}

#[test]
fn wrappers_are_taken_off_in_either_order_and_that_is_noted() {
    assert_eq!(unwrapped(&["a"]), Ok(Vec::new()));
    for wrapper in [
        "module.",
        "_orig_mod.",
        "_orig_mod.module.",
        "module._orig_mod.",
    ] {
        assert_eq!(
            unwrapped(&[&format!("{wrapper}a")]),
            Ok(vec![format!(
                "m.safetensors: `{wrapper}` is left out at the beginning of tensors' names"
            )])
        );
    }
    // Once each, as timm does it.
    let message = unwrapped(&["module.module.a"]).unwrap_err();
    assert!(message.contains("tensor `a` is missing"), "{message}");
}

#[test]
fn names_that_are_one_without_wrappers_are_refused() {
    assert_eq!(
        unwrapped(&["a", "module.a"]),
        Err("m.safetensors: tensors `a` and `module.a` are both `a` of the network".to_owned())
    );
}

#[test]
fn tensors_are_found_in_whichever_file_they_are() {
    let one = file(
        &format!("{{{}}}", entry("a", "F32", &[1], [0, 4])),
        &floats(&[1.0]),
    );
    let two = file(
        &format!("{{{}}}", entry("b", "F32", &[1], [0, 4])),
        &floats(&[2.0]),
    );
    let files = |second| {
        [
            (Path::new("1.safetensors"), &one[..]),
            (Path::new("2.safetensors"), second),
        ]
    };
    let checkpoint = Checkpoint::parse(files(&two), "vit", &[]).unwrap();
    assert_eq!(checkpoint.read("b", &[1]).unwrap(), [2.0]);
    assert_eq!(checkpoint.read("a", &[1]).unwrap(), [1.0]);
    checkpoint.finish(|_| false).unwrap();
    let error = Checkpoint::parse(files(&one), "vit", &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "2.safetensors: tensor `a` is in `1.safetensors`, too"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn no_change_of_one_byte_makes_it_panic(place in 0_usize..150, value: u8) {
        let header = format!("{{{}}}", entry("a", "F32", &[2, 3], [0, 24]));
        let mut bytes = file(&header, &floats(&[0.0; 6]));
        let place = place % bytes.len();
        bytes[place] = value;
        if let Ok(checkpoint) = parse(&bytes) {
            let _ = checkpoint.read("a", &[2, 3]);
        }
    }
}
