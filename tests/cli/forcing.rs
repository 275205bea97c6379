//! What `--force features` makes again, and what a plan says of it.

use newt_pipe::internals::cache::Digest;
use serde_json::Value;

use crate::sandbox::{Sandbox, put_checkpoint, statuses};

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
    counts_of_each(document)[0]
}

fn counts_of_each(document: &Value) -> Vec<[u64; 3]> {
    let count = |experiment: &Value| {
        ["images_extracted", "images_reused", "images_missing"]
            .map(|name| experiment["stages"][2][name].as_u64().unwrap())
    };
    let experiments = document["experiments"].as_array().unwrap();
    experiments.iter().map(count).collect()
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
fn a_plan_of_a_sweep_counts_the_images_that_the_run_extracts() {
    let sandbox = sandbox();
    let sweeps = ["sample.n_train=[2, 4, -1]", "probe.c=[0.1, 0.2]"];
    let sweep = |set, others: &[&str]| {
        sandbox.json(&[&["run", "mine.toml", "--set", set], others].concat())
    };
    for set in sweeps {
        let plan = sweep(set, &["--force", "features", "--dry-run"]);
        let run = sweep(set, &["--force", "features"]);
        assert_eq!(counts_of_each(&plan), counts_of_each(&run), "{set}");
    }
    for set in sweeps {
        fs_err::remove_dir_all(sandbox.path("cache")).unwrap();
        let plan = sweep(set, &["--dry-run"]);
        let run = sweep(set, &[]);
        assert_eq!(counts_of_each(&plan), counts_of_each(&run), "{set}");
    }
}

#[test]
fn rows_that_are_gone_are_extracted_again_for_other_probes() {
    let sandbox = sandbox();
    let other_probe = ["run", "mine.toml", "--set", "probe.c=0.1", "--out"];
    let run = |others: &[&str]| sandbox.json(&[&other_probe[..], others].concat());
    fs_err::remove_dir_all(sandbox.path("cache/features")).unwrap();
    let again = run(&["again"]);
    let stages = [
        "labels cached",
        "sample cached",
        "features ran",
        "probes ran",
        "report ran",
        "bootstrap ran",
    ];
    assert_eq!(statuses(&again), stages);
    assert_eq!(counts(&again), [16, 0, 0]);
    let fresh = run(&["fresh", "--cache-dir", "fresh-cache"]);
    assert_eq!(
        again["experiments"][0]["tasks"],
        fresh["experiments"][0]["tasks"]
    );
    let predictions = |out| fs_err::read(sandbox.path(out).join("predictions.parquet")).unwrap();
    assert!(predictions("again") == predictions("fresh"));
}

#[test]
fn probes_are_looked_up_again_where_rows_that_were_gone_come_out_otherwise() {
    let sandbox = sandbox();
    // The record is of other rows than those that are extracted here, as if from another machine.
    let path = fs_err::read_dir(sandbox.path("cache/actions/features"));
    let path = path.unwrap().next().unwrap().unwrap().path();
    let record = fs_err::read_to_string(&path).unwrap();
    let object = |digest: &str| format!("cache/objects/{}/{}", &digest[..2], &digest[2..]);
    let parsed: Value = serde_json::from_str(&record).unwrap();
    let digest = parsed["outputs"]["features.json"].as_str().unwrap();
    let table = fs_err::read_to_string(sandbox.path(&object(digest))).unwrap();
    let rows: Value = serde_json::from_str(&table).unwrap();
    let other_rows = Digest::of(b"other rows").to_string();
    let other_table = table.replace(rows["blake3"].as_str().unwrap(), &other_rows);
    let other_digest = Digest::of(other_table.as_bytes()).to_string();
    sandbox.write(&object(&other_digest), other_table);
    let (before_seal, _) = record.split_once(",\n  \"seal\": ").unwrap();
    let other_record = before_seal.replace(digest, &other_digest);
    let seal = Digest::of(other_record.as_bytes());
    fs_err::write(
        &path,
        format!("{other_record},\n  \"seal\": \"{seal}\"\n}}\n"),
    )
    .unwrap();

    fs_err::remove_dir_all(sandbox.path("cache/features")).unwrap();
    let again = sandbox.json(&["run", "mine.toml"]);
    let stages = [
        "labels cached",
        "sample cached",
        "features ran",
        "probes cached",
        "report cached",
        "bootstrap cached",
    ];
    assert_eq!(statuses(&again), stages);
    assert_eq!(counts(&again), [16, 0, 0]);
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
