//! Which files of a folder are taken for the weights, and what is said where there are none.

use crate::backbone::checkpoint::files::*;
use crate::progress::Silent;
use crate::progress::Warnings;

/// What is said of a folder of these files.
fn weights(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Vec<PathBuf>, Error>) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs_err::write(dir.path().join(name), text).unwrap();
    }
    let folder =
        CheckpointFiles::local(dir.path().to_owned(), "model.safetensors", &Silent).unwrap();
    let found = folder.weights("model.safetensors");
    (dir, found)
}

#[test]
fn parts_are_found_once_each_and_in_order() {
    let index =
        r#"{"weight_map": {"a": "2.safetensors", "b": "1.safetensors", "c": "2.safetensors"}}"#;
    let (dir, found) = weights(&[
        ("model.safetensors.index.json", index),
        ("1.safetensors", ""),
        ("2.safetensors", ""),
    ]);
    let parts = ["1.safetensors", "2.safetensors"];
    assert_eq!(found.unwrap(), parts.map(|part| dir.path().join(part)));
}

/// Names that a library looks for, as timm does.
const NAMES: &[&str] = &[
    "model.safetensors",
    "pytorch_model.bin",
    "open_clip_model.safetensors",
];

/// The file that is taken of these as such weights, and what is said of that.
fn taken(files: &[&str]) -> (Result<String, Error>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    for name in files {
        fs_err::write(dir.path().join(name), "").unwrap();
    }
    let warnings = Warnings::default();
    let folder = CheckpointFiles::local(dir.path().to_owned(), NAMES[0], &warnings).unwrap();
    let name = |path: &PathBuf| path.strip_prefix(dir.path()).unwrap().display().to_string();
    let found = folder
        .weights_of_any_name(NAMES)
        .map(|paths| paths.iter().map(name).collect::<Vec<_>>().join(" "));
    let said = warnings.0.into_inner().unwrap();
    let here = dir.path().display().to_string();
    (
        found,
        said.iter().map(|said| said.replace(&here, "DIR")).collect(),
    )
}

#[test]
fn weights_of_any_name_are_those_that_the_library_takes() {
    for (files, expected) in [
        (
            &["a.safetensors", "model.safetensors", "model.pth"][..],
            "model.safetensors",
        ),
        (
            &["a.safetensors", "open_clip_model.safetensors"],
            "open_clip_model.safetensors",
        ),
        (
            &[
                "epoch_30.safetensors",
                "optimizer.pt",
                "._epoch_30.safetensors",
            ],
            "epoch_30.safetensors",
        ),
    ] {
        let (found, said) = taken(files);
        assert_eq!((found.unwrap().as_str(), said), (expected, Vec::new()));
    }
    let (found, said) = taken(&["b.safetensors", "c.safetensors", "a.safetensors"]);
    assert_eq!(found.unwrap(), "a.safetensors");
    assert_eq!(
        said,
        ["DIR: `a.safetensors` is taken, the first of 3 safetensors files here"]
    );
    // timm would read the pickle.
    let (found, _) = taken(&["a.safetensors", "pytorch_model.bin"]);
    let refused = found.unwrap_err().to_string();
    assert!(
        refused.contains("pytorch_model.bin: a pickle, "),
        "{refused}"
    );
    for files in [&["notes.txt"][..], &["optimizer.pt", "training_args.bin"]] {
        let (found, _) = taken(files);
        assert!(found.unwrap_err().is_a::<NoWeights>().is_some());
    }
}

#[test]
fn link_to_where_nothing_is_is_named_whatever_its_name() {
    for name in ["epoch_30.safetensors", "pytorch_model.bin"] {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("gone", dir.path().join(name)).unwrap();
        let folder =
            CheckpointFiles::local(dir.path().to_owned(), "model.safetensors", &Silent).unwrap();
        let found = folder.weights_of_any_name(NAMES);
        let message = found.unwrap_err().to_string();
        assert!(
            message.ends_with("is a link to `gone`, where nothing is"),
            "{message}"
        );
    }
}

#[test]
fn pickle_that_is_named_holds_the_weights() {
    for (files, expected) in [
        (
            &[
                "optimizer.pt",
                "rng_state.pth",
                "pytorch_model.bin",
                "a.pth",
            ][..],
            "pytorch_model.bin",
        ),
        (
            &["a_optimizer.bin", "model_weights.pth"],
            "model_weights.pth",
        ),
        (&["a.bin", "b.pth.tar", "c.pth"], "c.pth"),
        (
            &[
                "pytorch_model-00001-of-00002.bin",
                "pytorch_model-00002-of-00002.bin",
            ],
            "pytorch_model-00001-of-00002.bin",
        ),
    ] {
        let files: Vec<_> = files.iter().map(|file| (*file, "")).collect();
        let (dir, found) = weights(&files);
        let refused = found.unwrap_err().to_string();
        let pickle = format!("{}: a pickle, ", dir.path().join(expected).display());
        assert!(refused.starts_with(&pickle), "{refused}");
    }
}

#[test]
fn index_that_names_anything_but_files_beside_it_is_refused() {
    for name in [
        "../1.safetensors",
        "/etc/1.safetensors",
        "parts/1.safetensors",
        "..",
        "1.bin",
    ] {
        let index = format!(r#"{{"weight_map": {{"a": "{name}"}}}}"#);
        let (dir, found) = weights(&[("model.safetensors.index.json", &index)]);
        assert_eq!(
            found.unwrap_err().to_string(),
            format!(
                "{}/model.safetensors.index.json: lists `{name}`, expected names of safetensors files in \
                 `weight_map`",
                dir.path().display()
            )
        );
    }
}

#[test]
fn index_without_names_is_refused() {
    for index in [
        "{}",
        "[]",
        r#"{"weight_map": {}}"#,
        r#"{"weight_map": {"a": 1}}"#,
    ] {
        let (_dir, found) = weights(&[("model.safetensors.index.json", index)]);
        let refused = found.unwrap_err().to_string();
        assert!(refused.contains("lists ``, expected names"), "{refused}");
    }
    let (_dir, found) = weights(&[("model.safetensors.index.json", "{")]);
    let refused = found.unwrap_err().to_string();
    assert!(
        refused.ends_with("EOF while parsing an object at line 1 column 1"),
        "{refused}"
    );
}

#[test]
fn part_that_is_not_there_is_named() {
    let index = r#"{"weight_map": {"a": "1.safetensors"}}"#;
    let (dir, found) = weights(&[("model.safetensors.index.json", index)]);
    assert_eq!(
        found.unwrap_err().to_string(),
        format!(
            "{}/model.safetensors.index.json: lists `1.safetensors`, which is not there",
            dir.path().display()
        )
    );
}
