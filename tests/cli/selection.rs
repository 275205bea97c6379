//! Which tasks a run takes, with how many threads, and what it says of them.

use std::process::{Command, Stdio};

use crate::sandbox::{Sandbox, precomputed, write_features};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 3, 4);
    sandbox
}

fn names(document: &serde_json::Value) -> Vec<&str> {
    let tasks = document["experiments"][0]["tasks"].as_array().unwrap();
    tasks
        .iter()
        .map(|task| task["name"].as_str().unwrap())
        .collect()
}

#[test]
fn several_patterns_choose_the_tasks_that_any_of_them_fits() {
    let sandbox = sandbox();
    let run = |tasks: &[&str]| sandbox.json(&[&["run", "mine.toml"], tasks].concat());
    let listed = run(&["--tasks", "*_2,task_0"]);
    assert_eq!(names(&listed), ["task_0", "task_2"]);
    let repeated = run(&["--tasks", "task_0", "--tasks", "*_2"]);
    assert_eq!(names(&repeated), ["task_0", "task_2"]);
    // The order makes no other run.
    assert_eq!(repeated["experiments"][0]["stages"][1]["status"], "cached");
    let manifest = fs_err::read(sandbox.path("results/mine/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["experiments"][0]["tasks"], "*_2,task_0");
}

#[test]
fn every_pattern_that_fits_no_task_is_named() {
    let sandbox = sandbox();
    crate::assert_run!(sandbox.run(&["plan", "mine.toml", "--tasks", "task_1,flower*", "--tasks", "leaf"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: --tasks flower*,leaf: matches none of 3 tasks
    hint: a pattern is matched against whole task names, as in `--tasks 'ml_*'`
    ");
}

#[test]
fn a_comma_in_brackets_or_in_a_name_divides_no_patterns() {
    let sandbox = sandbox();
    let labels = fs_err::read_to_string(sandbox.path("data/newt2021_labels.csv")).unwrap();
    let labels = labels.replace(",task_1,", ",\"task_0,task_2\",");
    sandbox.write("data/newt2021_labels.csv", labels);
    let run = |tasks: &str| sandbox.json(&["run", "mine.toml", "--tasks", tasks]);
    assert_eq!(names(&run("task_[0,1]")), ["task_0"]);
    assert_eq!(names(&run("task_0, task_2*")), ["task_0", "task_2"]);
    // A name that is written out is no list, nor is what was cached for that list taken for it.
    let repeated = ["run", "mine.toml", "--tasks", "task_0", "--tasks", "task_2"];
    assert_eq!(names(&sandbox.json(&repeated)), ["task_0", "task_2"]);
    assert_eq!(names(&run("task_0,task_2")), ["task_0,task_2"]);
    crate::assert_run!(sandbox.run(&["plan", "mine.toml", "--tasks", "task_0,"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: invalid value 'task_0,' for '--tasks <GLOB>': an empty pattern, which matches no task

    For more information, try '--help'.
    ");
}

#[test]
fn the_json_and_the_summary_have_every_task_of_the_table() {
    let sandbox = sandbox();
    let document = sandbox.json(&["run", "mine.toml"]);
    let tasks = &document["experiments"][0]["tasks"];
    assert_eq!(names(&document), ["task_0", "task_1", "task_2"]);
    let summary = fs_err::read(sandbox.path("results/mine/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!(&summary["experiments"][0]["tasks"], tasks);
    let table = sandbox.run(&["run", "mine.toml", "--quiet"]).stdout;
    for task in tasks.as_array().unwrap() {
        let line = format!(
            "{}                {}    {:.4}  [{:.4}, {:.4}]",
            task["name"].as_str().unwrap(),
            task["n_test"],
            task["accuracy"].as_f64().unwrap(),
            task["ci_low"].as_f64().unwrap(),
            task["ci_high"].as_f64().unwrap()
        );
        assert!(table.contains(&line), "{line}{table}");
    }
}

#[test]
fn more_threads_than_help_are_not_started_which_is_said_once() {
    let sandbox = sandbox();
    let finished = sandbox.run(&["run", "mine.toml", "--quiet", "--threads", "65535"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let stderr = finished.stderr;
    assert!(
        stderr.starts_with("warning: --threads 65535: this machine has "),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn the_variable_of_rayon_starts_no_more_threads_either() {
    let sandbox = sandbox();
    let pipeline = sandbox.path("pipe");
    let made = Command::new("mkfifo").arg(&pipeline).status().unwrap();
    assert!(made.success());
    for (n, is_said) in [("3000", true), ("2", false), ("many", false)] {
        let mut command = sandbox.command(&["plan", "pipe"]);
        command.env("RAYON_NUM_THREADS", n).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        // Waits until the program reads the pipeline, which it does with its threads started.
        let writer = fs_err::OpenOptions::new()
            .write(true)
            .open(&pipeline)
            .unwrap();
        let tasks = format!("/proc/{}/task", child.id());
        let n_threads = fs_err::read_dir(tasks).unwrap().count() - 1;
        drop(writer);
        let stderr = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
        let n_cores = std::thread::available_parallelism().unwrap().get();
        let expected = match n {
            "3000" => n_cores + 4,
            "2" => 2,
            _ => n_cores,
        };
        assert_eq!(n_threads, expected, "{n}");
        let warning = "warning: RAYON_NUM_THREADS=3000: this machine has ";
        assert_eq!(stderr.starts_with(warning), is_said, "{stderr}");
        assert_eq!(stderr.matches("warning: ").count(), usize::from(is_said));
    }
}

#[test]
fn rows_without_a_direction_are_told_of_in_one_line_a_task() {
    let sandbox = Sandbox::new();
    let mut csv = "id,task,task_cluster,task_subcluster,label,split\n".to_owned();
    let mut ids = Vec::new();
    for task in ["a", "b"] {
        for row in 0..2_000 {
            let split = if row < 20 { "train" } else { "test" };
            csv.push_str(&format!("{task}{row},{task},c,,{},{split}\n", row % 2));
            ids.push(format!("{task}{row}"));
        }
    }
    sandbox.write("data/newt2021_labels.csv", csv);
    let values: Vec<f32> = ids.iter().flat_map(|_| [1.0, 0.0]).collect();
    write_features(&sandbox.path("features.safetensors"), &ids, &values, 2);
    sandbox.write(
        "mine.toml",
        "data.root = \"data\"\nmodel.org = \"precomputed\"\nmodel.ckpt = \"features.safetensors\"\n",
    );
    let finished = sandbox.run(&["run", "mine.toml", "--quiet"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let lines: Vec<&str> = finished.stderr.lines().collect();
    let expected = |task: &str| {
        format!(
            "warning: task `{task}`: 2,000 images with features equal to the train mean: `{task}0`, `{task}1`, "
        )
    };
    assert_eq!(lines.len(), 2, "{}", finished.stderr);
    for (line, task) in lines.iter().zip(["a", "b"]) {
        assert!(
            line.starts_with(&expected(task))
                && line.ends_with(
                    " and 1,990 more; a row of zeros stays as it is, where the reference fails"
                ),
            "{line}"
        );
    }
}
