//! What is written and what is read or kept must not get in each other's way: refused before anything is touched.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::assert_run;
use crate::sandbox::{Finished, Sandbox, precomputed, put_checkpoint};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    sandbox
}

/// Everything below a folder, with the content of the files.
fn tree(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut tree = Vec::new();
    for entry in fs_err::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let content = fs_err::read(&path).unwrap_or_default();
        tree.push((path.display().to_string(), content));
        if path.is_dir() && !path.is_symlink() {
            tree.extend(self::tree(&path));
        }
    }
    tree.sort();
    tree
}

/// Runs what must be refused, and makes sure that it has touched nothing.
fn refused(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
    let before = tree(&sandbox.path(""));
    let finished = sandbox.run(arguments);
    assert_eq!(finished.code, Some(2), "{arguments:?}: {}", finished.stderr);
    let message = |text: &str| finished.stderr.contains(text);
    let is_overlap = message(": is in ") || message(": is the ") || message(": holds the ");
    assert!(is_overlap, "{arguments:?}: {}", finished.stderr);
    assert!(
        tree(&sandbox.path("")) == before,
        "{arguments:?}: files were touched"
    );
    finished
}

#[test]
fn results_and_the_cache_must_not_contain_each_other() {
    let sandbox = sandbox();
    let run = |cache: &str, out: &str| {
        refused(
            &sandbox,
            &["run", "mine.toml", "--cache-dir", cache, "--out", out],
        )
    };
    assert_run!(run("x/cache", "x"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: x: holds the cache `x/cache`, expected a folder without it
    hint: choose a place apart from it
    ");
    assert_run!(run("x", "x"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: x: is the cache, expected another place
    hint: choose a place apart from it
    ");
    assert_run!(run("n", "n/results"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: n/results: is in the cache `n`, expected a place outside of it
    hint: choose a place apart from it
    ");
    run("x", "y/../x/.");
    run("results/mine/cache", "results/mine");

    // Once both are there, and by other names.
    sandbox.json(&[
        "run",
        "mine.toml",
        "--cache-dir",
        "x/cache",
        "--out",
        "y/results",
    ]);
    symlink("x/cache", sandbox.path("link")).unwrap();
    symlink("x", sandbox.path("around")).unwrap();
    run("x/cache", "link/results");
    run("link", "x/cache/objects");
    run("x/cache", "around");
    run("x/cache", "y/../link/results");
    let in_cache = [
        "run",
        "mine.toml",
        "--set",
        "cache.dir=\"x/cache\"",
        "--out",
        "x",
    ];
    let mut command = sandbox.command(&in_cache);
    command.env_remove("NEWT_PIPE_CACHE");
    let finished = sandbox.finish(command);
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(sandbox.path("x/cache/layout").is_file());
}

#[test]
fn results_beside_the_cache_and_below_the_data_root_are_taken() {
    let sandbox = sandbox();
    sandbox.json(&[
        "run",
        "mine.toml",
        "--cache-dir",
        "x/cache",
        "--out",
        "x/results",
    ]);
    sandbox.json(&[
        "run",
        "mine.toml",
        "--cache-dir",
        "x/cache",
        "--out",
        "data/results",
    ]);
    // Everything in one folder, as a user begins.
    let csv = fs_err::read(sandbox.path("data/newt2021_labels.csv")).unwrap();
    sandbox.write("newt2021_labels.csv", csv);
    sandbox.json(&["run", "mine.toml", "--set", "data.root=\".\""]);
    sandbox.json(&[
        "run",
        "mine.toml",
        "--set",
        "data.root=\".\"",
        "--cache-dir",
        "results/cache",
    ]);
}

#[test]
fn results_do_not_take_the_place_of_what_a_run_reads() {
    let sandbox = sandbox();
    let run = |out: &str, more: &[&str]| {
        refused(
            &sandbox,
            &[&["run", "mine.toml", "--out", out], more].concat(),
        )
    };
    assert_run!(run("data", &[]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: data: is the data root, expected another place
    hint: choose a place apart from it
    ");
    // What a run would write is there under that very name, and is read.
    let features = fs_err::read(sandbox.path("features.safetensors")).unwrap();
    sandbox.write("mine/probes.safetensors", features);
    let set = "model.ckpt=\"mine/probes.safetensors\"";
    assert_run!(run("mine", &["--set", set]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: mine: holds the file of the features `mine/probes.safetensors`, expected a folder without it
    hint: choose a place apart from it
    ");
    // Neither is there yet.
    run("new", &["--set", "data.root=\"new/data\""]);
    run("data/newt2021_images/results", &[]);
    let module = [
        "--set",
        "model.org=torchscript",
        "--set",
        "model.ckpt=new/probes.pt",
    ];
    run("new", &module);
}

#[test]
fn results_take_the_place_of_no_checkpoint_and_stay_out_of_the_hub_s_cache() {
    let sandbox = sandbox();
    put_checkpoint(&sandbox, "weights/vit");
    let run = |out: &str, more: &[&str]| {
        refused(
            &sandbox,
            &[&["run", "mine.toml", "--out", out], more].concat(),
        )
    };
    let local = [
        "--set",
        "model.org=timm",
        "--set",
        "model.ckpt=local-dir:weights/vit",
    ];
    assert_run!(run("weights/vit", &local), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: weights/vit: is the checkpoint, expected another place
    hint: choose a place apart from it
    ");
    assert_run!(run("weights", &local), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: weights: holds the checkpoint `weights/vit`, expected a folder without it
    hint: choose a place apart from it
    ");
    let hub = "home/.cache/huggingface/hub";
    sandbox.write(&format!("{hub}/models--a--b/refs/main"), "");
    for out in [hub, "home/.cache", &format!("{hub}/models--a--b/results")] {
        run(out, &[]);
    }
    let of_hub = [
        "--set",
        "model.org=timm",
        "--set",
        "model.ckpt=vit_tiny_patch16_224",
    ];
    run(&format!("{hub}/x"), &of_hub);
    // A folder that holds more than the hub's cache is the user's, where no model comes from the hub.
    sandbox.json(&["run", "mine.toml", "--out", &format!("{hub}/x")]);
    // So is the folder around it, and a folder in that of a checkpoint.
    sandbox.json(&[
        "run",
        "mine.toml",
        "--out",
        "home/.cache/huggingface/results",
    ]);
}

#[test]
fn exported_features_do_not_take_the_place_of_a_file_of_the_checkpoint_or_the_data_set() {
    let sandbox = sandbox();
    put_checkpoint(&sandbox, "hm");
    sandbox.write("data/synth.json", "{}");
    let export = |path: &str| {
        let export = ["features", "export", "mine.toml", "-o", path];
        let local = [
            "--set",
            "model.org=timm",
            "--set",
            "model.ckpt=local-dir:hm",
        ];
        refused(&sandbox, &[export.as_slice(), &local].concat())
    };
    assert_run!(export("hm/model.safetensors"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: hm/model.safetensors: is in the checkpoint `hm`, expected a place outside of it
    hint: choose a place apart from it
    ");
    for path in ["hm/config.json", "hm/new.safetensors", "data/synth.json"] {
        export(path);
    }
}

#[test]
fn exported_features_do_not_take_the_place_of_what_they_are_made_of() {
    let sandbox = sandbox();
    let export = |path: &str| refused(&sandbox, &["features", "export", "mine.toml", "-o", path]);
    assert_run!(export("features.safetensors"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: features.safetensors: is the file of the features, expected another place
    hint: choose a place apart from it
    ");
    fs_err::hard_link(sandbox.path("features.safetensors"), sandbox.path("twin")).unwrap();
    symlink("features.safetensors", sandbox.path("link")).unwrap();
    for path in [
        "twin",
        "link",
        "data/../features.safetensors",
        "mine.toml",
        "data/newt2021_labels.csv",
        "data/newt2021_images/a.jpg",
        "cache/features.safetensors",
        "home/.cache/huggingface/token",
    ] {
        export(path);
    }
    let finished = sandbox.run(&["features", "export", "mine.toml", "-o", "data/mine.st"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

#[test]
fn predictions_do_not_take_the_place_of_probes_or_features() {
    let sandbox = sandbox();
    sandbox.json(&["run", "mine.toml", "--save-probes"]);
    let probes = "results/mine/probes.safetensors";
    let predict = |path: &str| {
        let inputs = ["--probe", probes, "--features", "features.safetensors"];
        refused(
            &sandbox,
            &[&["predict", "-o", path], inputs.as_slice()].concat(),
        )
    };
    assert_run!(predict(probes), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: results/mine/probes.safetensors: is the file of the probes, expected another place
    hint: choose a place apart from it
    ");
    for path in [
        "cache/layout",
        "cache/new",
        "home/.cache/huggingface/token",
        "home/.cache/huggingface/hub/new",
    ] {
        predict(path);
    }
    // A cache that nobody has named.
    let other = ["run", "mine.toml", "--cache-dir", "other"];
    sandbox.json(&other);
    symlink("other", sandbox.path("link")).unwrap();
    assert_run!(predict("link/layout"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: link/layout: is in a cache `[DIR]/other`, expected a place outside of it
    hint: choose a place apart from it
    ");
    assert_run!(predict("results/../features.safetensors"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: results/../features.safetensors: is the file of the features `features.safetensors`, expected another place
    hint: choose a place apart from it
    ");
}

#[test]
fn a_data_set_is_not_put_into_a_cache() {
    let sandbox = Sandbox::new();
    assert_run!(refused(&sandbox, &["data", "synth", "cache"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: cache: is the cache `[DIR]/cache`, expected another place
    hint: choose a place apart from it
    ");
    refused(&sandbox, &["data", "synth", "cache/set"]);
    assert_run!(refused(&sandbox, &["data", "fetch", "cache/newt"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: cache/newt: is in the cache `[DIR]/cache`, expected a place outside of it
    hint: choose a place apart from it
    ");
    refused(&sandbox, &["data", "fetch", "home/.cache/huggingface/hub"]);
    // A cache below it does no harm.
    let fetched = sandbox.run(&["data", "fetch", ".", "--offline"]);
    assert!(
        fetched.stderr.contains("newt2021_labels.csv"),
        "{}",
        fetched.stderr
    );
}
