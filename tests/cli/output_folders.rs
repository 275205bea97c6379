//! Where results go: what `--out` and `-o` refuse before anything is computed, and what is left beside them.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::assert_run;
use crate::sandbox::{Sandbox, precomputed, wait_until};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    sandbox
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs_err::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn out_that_is_a_file_is_refused_before_anything_is_computed() {
    let sandbox = sandbox();
    sandbox.write("taken", "mine");
    assert_run!(sandbox.run(&["run", "mine.toml", "--out", "taken"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: taken: is not a folder, expected a folder or nothing
    hint: choose another folder
    ");
    assert_eq!(fs_err::read(sandbox.path("taken")).unwrap(), b"mine");
    assert!(!sandbox.path("cache").exists());
}

#[test]
fn out_without_a_name_is_refused_before_anything_is_computed() {
    let sandbox = sandbox();
    assert_run!(sandbox.run(&["run", "mine.toml", "--out", "."]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: .: ends in no name, expected a path that can be put in place whole
    hint: give it by its name
    ");
    for out in ["..", "/", "data/.."] {
        let finished = sandbox.run(&["run", "mine.toml", "--out", out]);
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    }
    assert_eq!(
        names(&sandbox.path("")),
        ["data", "features.safetensors", "mine.toml"]
    );
}

#[test]
fn out_that_holds_other_files_is_refused_and_left_alone() {
    let sandbox = sandbox();
    sandbox.write("thesis/b.tex", "");
    sandbox.write("thesis/a.tex", "");
    assert_run!(sandbox.run(&["run", "mine.toml", "--out", "thesis"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: thesis: holds `a.tex`, expected an empty folder or the results of a run
    hint: choose another folder with `--out`
    ");
    assert_eq!(names(&sandbox.path("thesis")), ["a.tex", "b.tex"]);
    assert!(!sandbox.path("cache").exists());
}

#[test]
fn out_that_is_a_link_stays_one_and_its_target_gets_the_results() {
    let sandbox = sandbox();
    fs_err::create_dir_all(sandbox.path("disk/target")).unwrap();
    fs_err::os::unix::fs::symlink("disk/target", sandbox.path("link")).unwrap();
    // The first run finds an empty folder, the second one with results.
    for _ in 0..2 {
        assert_eq!(
            sandbox.json(&["run", "mine.toml", "--out", "link"])["out"],
            "link"
        );
        let link = fs_err::symlink_metadata(sandbox.path("link")).unwrap();
        assert!(link.is_symlink());
        assert_eq!(names(&sandbox.path("disk")), ["target"]);
        assert!(sandbox.path("disk/target/summary.json").is_file());
    }
}

#[test]
fn out_below_folders_that_do_not_exist_makes_them() {
    let sandbox = sandbox();
    sandbox.json(&["run", "mine.toml", "--out", "a/b/c"]);
    assert_eq!(names(&sandbox.path("a/b")), ["c"]);
}

#[test]
fn what_a_killed_run_left_is_gone_after_the_next() {
    let sandbox = sandbox();
    let labels = sandbox.path("data/newt2021_labels.csv");
    let csv = fs_err::read(&labels).unwrap();
    // Reading a pipe that nobody writes to takes until the kill.
    fs_err::remove_file(&labels).unwrap();
    let made = Command::new("mkfifo").arg(&labels).status().unwrap();
    assert!(made.success());
    let mut child = sandbox
        .command(&["run", "mine.toml"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let results = sandbox.path("results");
    wait_until("there is a draft", || {
        results.exists() && !names(&results).is_empty()
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let left = names(&results);
    assert!(left[0].starts_with(".mine.draft-"), "{left:?}");

    fs_err::remove_file(&labels).unwrap();
    fs_err::write(&labels, csv).unwrap();
    sandbox.json(&["run", "mine.toml"]);
    assert_eq!(names(&results), ["mine"]);
}

#[test]
fn a_run_that_fails_leaves_no_draft() {
    let sandbox = sandbox();
    sandbox.write("data/newt2021_labels.csv", "id\n");
    let finished = sandbox.run(&["run", "mine.toml"]);
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert!(names(&sandbox.path("results")).is_empty());
}

#[test]
fn export_to_a_missing_folder_fails_before_extraction() {
    let sandbox = sandbox();
    let export = |path: &str| sandbox.run(&["features", "export", "mine.toml", "-o", path]);
    assert_run!(export("missing/all.safetensors"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: missing/all.safetensors: no folder `missing`, expected one to write to
    hint: make that folder first
    ");
    assert_run!(export("data"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: data: is not a regular file, expected a file or nothing
    hint: give the path of a file
    ");
    assert!(!sandbox.path("cache").exists());

    let finished = export("all.safetensors");
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(
        names(&sandbox.path("")),
        [
            "all.safetensors",
            "cache",
            "data",
            "features.safetensors",
            "mine.toml"
        ]
    );
}

#[test]
fn predictions_for_a_missing_folder_are_refused_before_anything_is_read() {
    let sandbox = Sandbox::new();
    assert_run!(
        sandbox.run(&[
            "predict", "--probe", "no", "--features", "no", "-o", "missing/all.parquet"
        ]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: missing/all.parquet: no folder `missing`, expected one to write to
    hint: make that folder first
    ");
}

#[test]
fn the_manifest_has_the_digest_of_each_file() {
    let sandbox = sandbox();
    let run = [
        "run",
        "mine.toml",
        "--save-probes",
        "--set",
        "probe.c=[0.1, 1.0]",
    ];
    sandbox.json(&run);
    // From the cache, too.
    sandbox.json(&run);
    let dir = sandbox.path("results/mine");
    let manifest = fs_err::read(dir.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let mut expected = serde_json::Map::new();
    for name in names(&dir) {
        if name != "manifest.json" {
            let bytes = fs_err::read(dir.join(&name)).unwrap();
            let digest = newt_pipe::cache::Digest::of(&bytes);
            expected.insert(
                name,
                serde_json::json!({ "blake3": digest, "bytes": bytes.len() }),
            );
        }
    }
    assert!(
        expected.contains_key("probes-2.safetensors"),
        "{expected:?}"
    );
    assert_eq!(manifest["files"], serde_json::Value::Object(expected));
}
