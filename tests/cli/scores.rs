//! What is reported of every group besides its accuracy: intervals, each under its name, and areas under ROC curves.

use newt_pipe::internals::artifact::Table;
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, precomputed};

/// Three tasks of eight test rows, two of them in the first of two clusters.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 3, 4);
    sandbox
}

/// Whether two values under these names are numbers, the first not above the second.
fn is_interval(group: &Value, name: &str) -> bool {
    let end = |end: &str| group[format!("{name}_{end}")].as_f64();
    let ends = end("low").zip(end("high"));
    ends.is_some_and(|(low, high)| 0.0 <= low && low <= high && high <= 1.0)
}

#[test]
fn the_json_names_every_interval_and_what_a_group_cannot_have_is_null() {
    let sandbox = sandbox();
    let document = sandbox.json(&["run", "mine.toml", "--set", "bootstrap.alpha=0.32"]);
    let all = &document["experiments"][0];
    assert_eq!(
        all["intervals"],
        json!({
            "confidence": 0.68,
            "resamples": 500,
            "seed": 17,
            "ci": "percentile bootstrap over test rows",
            "wilson": "Wilson score interval over test rows",
            "these_tasks_ci": "percentile bootstrap over test rows within each task",
            "tasks_like_these_ci": "percentile bootstrap over tasks",
        })
    );
    let [both, one] = [&all["clusters"][0], &all["clusters"][1]];
    assert_eq!([&both["n_tasks"], &one["n_tasks"]], [&json!(2), &json!(1)]);
    for name in ["ci", "wilson", "these_tasks_ci"] {
        assert!(
            [all, both, one]
                .iter()
                .all(|group| is_interval(group, name))
        );
    }
    assert!(is_interval(all, "tasks_like_these_ci") && is_interval(both, "tasks_like_these_ci"));
    // One task says nothing of others.
    assert_eq!(one["tasks_like_these_ci_low"], Value::Null);
    assert_eq!(one["tasks_like_these_ci_high"], Value::Null);

    let areas: Vec<f64> = (0..3)
        .map(|task| all["tasks"][task]["auroc"].as_f64().unwrap())
        .collect();
    let mean = areas.iter().sum::<f64>() / 3.0;
    assert!((all["mean_task_auroc"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert_eq!(one["mean_task_auroc"], all["tasks"][1]["auroc"]);
}

#[test]
fn the_table_of_scores_has_what_the_json_has() {
    let sandbox = sandbox();
    let document = sandbox.json(&["run", "mine.toml"]);
    let all = &document["experiments"][0];
    let table = fs_err::read(sandbox.path("results/mine/scores.parquet")).unwrap();
    let table = Table::from_parquet(&table).unwrap();
    let methods: Vec<String> = table.column("ci_method").unwrap();
    assert!(methods.iter().all(|name| all["intervals"]["ci"] == **name));
    let confidence: Vec<f64> = table.column("confidence").unwrap();
    assert_eq!(confidence, vec![0.95; confidence.len()]);
    let levels: Vec<String> = table.column("level").unwrap();
    let row = |level: &str| levels.iter().position(|found| found == level).unwrap();
    let groups = [
        ("overall", all),
        ("cluster", &all["clusters"][0]),
        ("task", &all["tasks"][0]),
    ];
    for name in [
        "ci_low",
        "ci_high",
        "wilson_low",
        "wilson_high",
        "mean_task_accuracy",
        "these_tasks_ci_low",
        "these_tasks_ci_high",
        "tasks_like_these_ci_low",
        "tasks_like_these_ci_high",
        "auroc",
        "mean_task_auroc",
    ] {
        let column: Vec<Option<f64>> = table.column(name).unwrap();
        for (level, group) in groups {
            let is_there = group.get(name).is_some();
            assert!(
                !is_there || json!(column[row(level)]) == group[name],
                "{level}, {name}"
            );
        }
    }
}

#[test]
fn a_task_of_one_test_row_has_wilsons_interval_and_no_area() {
    let sandbox = sandbox();
    let labels = fs_err::read_to_string(sandbox.path("data/newt2021_labels.csv")).unwrap();
    let moved = labels.lines().map(|line| {
        let is_kept = !line.starts_with("t1-") || line.starts_with("t1-12");
        let line = if is_kept {
            line.to_owned()
        } else {
            line.replace(",test", ",train")
        };
        line + "\n"
    });
    sandbox.write("data/newt2021_labels.csv", moved.collect::<String>());
    let document = sandbox.json(&["run", "mine.toml"]);
    let all = &document["experiments"][0];
    let task = &all["tasks"][1];
    assert_eq!(task["n_test"], 1);
    assert_eq!(task["auroc"], Value::Null);
    assert_eq!(task["ci_low"], task["ci_high"]);
    let width = task["wilson_high"].as_f64().unwrap() - task["wilson_low"].as_f64().unwrap();
    assert!((0.5..1.0).contains(&width), "{task}");
    // The mean is over those that have one.
    let areas = [0, 2].map(|task| all["tasks"][task]["auroc"].as_f64().unwrap());
    let mean = f64::midpoint(areas[0], areas[1]);
    assert!((all["mean_task_auroc"].as_f64().unwrap() - mean).abs() < 1e-12);
}
