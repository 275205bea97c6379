//! What `--force features` makes again, and what a plan says of it.

use serde_json::Value;

use crate::sandbox::{Sandbox, put_checkpoint};

/// Two tasks of eight images each, extracted.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    put_checkpoint(&sandbox, "weights");
    let tasks = ["--task", "synth_flower_blue_vs_red", "--task", OTHER];
    let draw = ["data", "synth", "data", "--images-per-task", "8"];
    let drawn = sandbox.run(&[&draw[..], &tasks[..]].concat());
    assert_eq!(drawn.code, Some(0), "{}", drawn.stderr);
    sandbox.write(
        "mine.toml",
        "data.root = \"data\"\nmodel.org = \"timm\"\nmodel.ckpt = \"local-dir:weights\"\n",
    );
    let first = sandbox.json(&["run", "mine.toml"]);
    assert_eq!(counts(&first), [16, 0, 0]);
    sandbox
}

const OTHER: &str = "synth_day_vs_dusk";

fn counts(document: &Value) -> [u64; 3] {
    let stage = &document["experiments"][0]["stages"][2];
    ["images_extracted", "images_reused", "images_missing"]
        .map(|name| stage[name].as_u64().unwrap())
}

#[test]
fn forcing_some_tasks_leaves_the_rows_of_the_others_alone() {
    let sandbox = sandbox();
    let forced = ["run", "mine.toml", "--tasks", OTHER, "--force", "features"];
    let plan = sandbox.json(&[&forced[..], &["--dry-run"]].concat());
    assert_eq!(counts(&plan), [8, 0, 0]);
    assert_eq!(counts(&sandbox.json(&forced)), [8, 0, 0]);
    let another_probe = ["--set", "probe.c=0.1"];
    let plan = sandbox.json(&[&["plan", "mine.toml"], &another_probe[..]].concat());
    assert_eq!(counts(&plan), [0, 16, 0]);
    let run = sandbox.json(&[&["run", "mine.toml"], &another_probe[..]].concat());
    assert_eq!(counts(&run), [0, 16, 0]);
}

#[test]
fn forcing_a_sweep_extracts_each_image_once() {
    let sandbox = sandbox();
    let sweep = ["--set", "sample.n_train=[2, 4, -1]", "--force", "features"];
    let document = sandbox.json(&[&["run", "mine.toml"], &sweep[..]].concat());
    let experiments = document["experiments"].as_array().unwrap();
    let extracted = |experiment: &Value| experiment["stages"][2]["images_extracted"].as_u64();
    let extracted: Vec<u64> = experiments.iter().filter_map(extracted).collect();
    assert!(extracted[0] > 0, "{extracted:?}");
    assert_eq!(extracted.iter().sum::<u64>(), 16, "{extracted:?}");
}

#[test]
fn forcing_without_libtorch_loses_nothing() {
    let sandbox = sandbox();
    let mut command = sandbox.command(&["run", "mine.toml", "--force", "features"]);
    command.env("LIBTORCH", sandbox.path("nowhere"));
    let failed = sandbox.finish(command);
    assert_eq!(failed.code, Some(2), "{}", failed.stderr);
    let run = sandbox.json(&["run", "mine.toml", "--set", "probe.c=0.1"]);
    assert_eq!(counts(&run), [0, 16, 0]);
}

#[test]
fn a_plan_tells_of_rows_that_are_gone_whether_they_are_needed_or_not() {
    let sandbox = sandbox();
    fs_err::remove_dir_all(sandbox.path("cache/features")).unwrap();
    crate::assert_run!(sandbox.run(&["plan", "mine.toml"]), @"
    exit code: Some(0)
    --- stdout
    timm/local-dir:weights, n_train all, probe biobench
      labels     cached
      sample     cached
      features   cached             0 images to extract, 0 to reuse, 16 missing and not needed
      probes     cached
      report     cached
      bootstrap  cached
    --- stderr
    ");
    crate::assert_run!(sandbox.run(&["plan", "mine.toml", "--set", "probe.c=0.1"]), @"
    exit code: Some(0)
    --- stdout
    timm/local-dir:weights, n_train all, probe biobench c=0.1
      labels     cached
      sample     cached
      features   runs               the cache no longer holds 16 feature rows that the probes need; 16 images to extract, 0 to reuse
      probes     waits              until stage `features` has run
      report     waits              until stage `features` has run
      bootstrap  waits              until stage `features` has run
    --- stderr
    ");
    assert_eq!(counts(&sandbox.json(&["run", "mine.toml"])), [0, 0, 16]);
}
