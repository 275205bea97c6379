//! What is computed again, and what is not.

use serde_json::Value;

use crate::sandbox::{Sandbox, precomputed, statuses};

const ALL: [&str; 6] = [
    "labels",
    "sample",
    "features",
    "probes",
    "report",
    "bootstrap",
];

fn expect(ran: &[&str]) -> Vec<String> {
    ALL.iter()
        .map(|stage| {
            format!(
                "{stage} {}",
                if ran.contains(stage) { "ran" } else { "cached" }
            )
        })
        .collect()
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 3, 8);
    sandbox
}

#[test]
fn a_second_run_finds_every_stage_and_gives_the_same_result() {
    let sandbox = sandbox();
    let first = sandbox.json(&["run", "mine.toml"]);
    assert_eq!(statuses(&first), expect(&ALL));
    let tables = |name| fs_err::read(sandbox.path("results/mine").join(name)).unwrap();
    let before: Vec<Vec<u8>> = TABLES.map(tables).to_vec();
    let second = sandbox.json(&["run", "mine.toml"]);
    assert_eq!(statuses(&second), expect(&[]));
    assert_eq!(
        first["experiments"][0]["accuracy"],
        second["experiments"][0]["accuracy"]
    );
    assert_eq!(before, TABLES.map(tables).to_vec());
}

const TABLES: [&str; 4] = [
    "predictions.parquet",
    "probes.parquet",
    "scores.parquet",
    "bootstrap.parquet",
];

#[test]
fn another_c_fits_probes_again_and_nothing_before_them() {
    let sandbox = sandbox();
    sandbox.json(&["run", "mine.toml"]);
    let document = sandbox.json(&[
        "run",
        "mine.toml",
        "--set",
        "probe.c=0.1",
        "--set",
        "probe.kernel=linear",
    ]);
    let ran = statuses(&document);
    assert_eq!(ran[..4], expect(&["probes"])[..4]);
}

#[test]
fn another_alpha_makes_the_intervals_again_and_nothing_else() {
    let sandbox = sandbox();
    sandbox.json(&["run", "mine.toml"]);
    let document = sandbox.json(&["run", "mine.toml", "--set", "bootstrap.alpha=0.1"]);
    assert_eq!(statuses(&document), expect(&["bootstrap"]));
}

#[test]
fn a_labels_file_with_a_new_comment_column_is_read_again_and_changes_nothing_after() {
    let sandbox = sandbox();
    sandbox.json(&["run", "mine.toml"]);
    let csv = fs_err::read_to_string(sandbox.path("data/newt2021_labels.csv")).unwrap();
    let mut lines = csv.lines();
    let mut with_note = format!("{},note\n", lines.next().unwrap());
    lines.for_each(|line| with_note.push_str(&format!("{line},seen\n")));
    sandbox.write("data/newt2021_labels.csv", with_note);
    let document = sandbox.json(&["run", "mine.toml"]);
    assert_eq!(statuses(&document), expect(&["labels"]));
}

#[test]
fn a_forced_stage_runs_and_its_unchanged_output_keeps_the_rest_cached() {
    let sandbox = sandbox();
    sandbox.json(&["run", "mine.toml"]);
    let document = sandbox.json(&["run", "mine.toml", "--force", "probes"]);
    assert_eq!(statuses(&document), expect(&["probes"]));
}

#[test]
fn threads_change_no_byte_of_any_table() {
    let sandbox = sandbox();
    let tables = |threads: &str| {
        sandbox.json(&[
            "run",
            "mine.toml",
            "--cache-dir",
            &format!("cache-{threads}"),
            "--threads",
            threads,
            "--out",
            threads,
        ]);
        TABLES.map(|name| fs_err::read(sandbox.path(threads).join(name)).unwrap())
    };
    assert!(tables("1") == tables("2"));
}

#[test]
fn some_tasks_have_the_numbers_of_the_whole_run() {
    let sandbox = sandbox();
    let accuracy_of = |out: &str, extra: &[&str]| {
        let mut arguments = vec![
            "run",
            "mine.toml",
            "--set",
            "sample.n_train=6",
            "--out",
            out,
        ];
        arguments.extend(extra);
        sandbox.json(&arguments);
        let manifest: Value =
            serde_json::from_slice(&fs_err::read(sandbox.path(out).join("summary.json")).unwrap())
                .unwrap();
        manifest["experiments"][0]["clusters"]
            .as_array()
            .unwrap()
            .iter()
            .find(|cluster| cluster["name"] == "cluster_1")
            .map(|cluster| cluster["accuracy"].clone())
    };
    // Of three tasks, the second is the only one in cluster 1.
    let all = accuracy_of("all", &[]);
    assert!(all.is_some());
    assert_eq!(all, accuracy_of("some", &["--tasks", "task_1"]));
}

#[test]
fn a_damaged_object_is_made_again_with_a_warning() {
    let sandbox = sandbox();
    sandbox.json(&["run", "mine.toml"]);
    let report = fs_err::read(
        sandbox
            .path("cache/actions/report")
            .read_dir()
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path(),
    )
    .unwrap();
    let action: Value = serde_json::from_slice(&report).unwrap();
    let digest = action["outputs"]["report.parquet"].as_str().unwrap();
    let object = sandbox
        .path("cache/objects")
        .join(&digest[..2])
        .join(&digest[2..]);
    let mut bytes = fs_err::read(&object).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let relative = object
        .strip_prefix(sandbox.path(""))
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    fs_err::remove_file(&object).unwrap();
    sandbox.write(&relative, bytes);

    let finished = sandbox.run(&["run", "mine.toml", "--json"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stderr.contains("warning: "), "{}", finished.stderr);
    assert_eq!(
        statuses(&serde_json::from_str(&finished.stdout).unwrap()),
        expect(&["report"])
    );
}

#[test]
fn a_plan_names_the_changed_setting_and_runs_nothing() {
    let sandbox = sandbox();
    sandbox.json(&["run", "mine.toml"]);
    let plan = sandbox.json(&["plan", "mine.toml", "--set", "probe.c=0.5"]);
    let stages = plan["experiments"][0]["stages"].as_array().unwrap();
    assert_eq!(stages[3]["status"], "runs");
    assert_eq!(stages[3]["reason"], "`probe.c`: 1.0 → 0.5");
    assert_eq!(stages[4]["status"], "waits");
    assert_eq!(
        sandbox
            .run(&["plan", "mine.toml", "--set", "probe.c=0.5", "--check"])
            .code,
        Some(4)
    );
    assert_eq!(sandbox.run(&["plan", "mine.toml", "--check"]).code, Some(0));
}

#[test]
fn check_ends_at_the_first_experiment_that_would_run() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    let models = ["features", "gone"]
        .map(|name| format!("[[models]]\norg = \"precomputed\"\nckpt = \"{name}.safetensors\"\n"));
    let sweep = format!("[data]\nroot = \"data\"\n\n{}\n{}", models[0], models[1]);
    sandbox.write("sweep.toml", sweep);
    let checks = [
        ["plan", "sweep.toml", "--check"],
        ["run", "sweep.toml", "--check"],
    ];
    let code = |arguments: &[&str]| sandbox.run(arguments).code;
    // The second experiment cannot be planned: its model's file is gone.
    for check in &checks {
        assert_eq!(code(check), Some(4));
    }
    assert_eq!(code(&["plan", "sweep.toml"]), Some(2));
    assert_eq!(code(&["run", "mine.toml"]), Some(0));
    for check in &checks {
        assert_eq!(code(check), Some(2));
    }
}
