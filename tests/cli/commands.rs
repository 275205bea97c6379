//! The small commands, and how output behaves.

use crate::sandbox::{Sandbox, precomputed};

#[test]
fn quiet_and_json_leave_one_document_on_standard_output_and_nothing_on_standard_error() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let finished = sandbox.run(&[
        "run",
        "mine.toml",
        "--quiet",
        "--json",
        "--set",
        "sample.n_train=10",
    ]);
    assert_eq!(finished.code, Some(0));
    assert_eq!(finished.stderr, "");
    let document: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(document["out"], "results/mine");
    assert_eq!(document["experiments"][0]["model"]["org"], "precomputed");
    assert_eq!(
        document["experiments"][0]["stages"][2]["images_extracted"],
        0
    );
}

#[test]
fn a_run_lists_its_stages_on_standard_error_and_its_table_on_standard_output() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let finished = sandbox.run(&["run", "mine.toml"]);
    crate::assert_run!(finished, @"
    exit code: Some(0)
    --- stdout
    precomputed/features.safetensors, n_train all, probe biobench

    task                  n  accuracy  interval
    task_0                8    1.0000  [1.0000, 1.0000]  Wilson [0.6756, 1.0000]
    task_1                8    0.8750  [0.6250, 1.0000]

    cluster               n  accuracy  interval
    cluster_0             8    1.0000  [1.0000, 1.0000]  Wilson [0.6756, 1.0000]
    cluster_1             8    0.8750  [0.6250, 1.0000]

    overall               n  accuracy  interval
    all test rows        16    0.9375  [0.7500, 1.0000]
    mean over tasks       2    0.9375  [0.8125, 1.0000]  these tasks
                                       [0.8750, 1.0000]  tasks like these

    intervals: 95 %, percentile bootstrap over test rows (500 resamples)
    these tasks: test rows drawn anew within each task; tasks like these: tasks drawn anew (of so few it covers less)
    --- stderr
      labels     ran [TIME]  never made before
      sample     ran [TIME]  never made before
      features   ran [TIME]  never made before; 0 images extracted, 40 reused
      probes     ran [TIME]  never made before
      report     ran [TIME]  never made before
      bootstrap  ran [TIME]  never made before

    tables and provenance are in results/mine
    ");
}

#[test]
fn a_sweep_has_a_line_per_experiment() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let finished = sandbox.run(&[
        "run",
        "mine.toml",
        "--quiet",
        "--set",
        "sample.n_train=[-1, 4]",
        "--set",
        "sample.seed=[1, 2]",
        "--set",
        "probe.c=[0.1, 1.0]",
    ]);
    crate::assert_run!(finished, @"
    exit code: Some(0)
    --- stdout
    model                             n_train  seed  probe           accuracy  interval          mean over tasks
    precomputed/features.safetensors  all      -     biobench c=0.1  0.9375    [0.7500, 1.0000]  0.9375
    precomputed/features.safetensors  all      -     biobench c=1.0  0.9375    [0.7500, 1.0000]  0.9375
    precomputed/features.safetensors  4        1     biobench c=0.1  0.9375    [0.7500, 1.0000]  0.9375
    precomputed/features.safetensors  4        1     biobench c=1.0  0.9375    [0.7500, 1.0000]  0.9375
    precomputed/features.safetensors  4        2     biobench c=0.1  1.0000    [1.0000, 1.0000]  1.0000
    precomputed/features.safetensors  4        2     biobench c=1.0  1.0000    [1.0000, 1.0000]  1.0000

    intervals: 95 %, percentile bootstrap over test rows (500 resamples)

    precomputed/features.safetensors, n_train 4, probe biobench c=0.1, over 2 sample seeds, ± standard deviation (ddof 1):
      accuracy 0.9688 ± 0.0442, mean over tasks 0.9688 ± 0.0442

    precomputed/features.safetensors, n_train 4, probe biobench c=1.0, over 2 sample seeds, ± standard deviation (ddof 1):
      accuracy 0.9688 ± 0.0442, mean over tasks 0.9688 ± 0.0442
    --- stderr
    ");
}

#[test]
fn a_plan_says_why_each_stage_would_run() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    crate::assert_run!(sandbox.run(&["plan", "mine.toml"]), @"
    exit code: Some(0)
    --- stdout
    precomputed/features.safetensors, n_train all, probe biobench
      labels     runs               never made before
      sample     runs               never made before
      features   runs               never made before; 0 images to extract, 40 to reuse
      probes     waits              until stage `features` has run
      report     waits              until stage `features` has run
      bootstrap  waits              until stage `features` has run
    --- stderr
    ");
    sandbox.json(&["run", "mine.toml"]);
    crate::assert_run!(sandbox.run(&["run", "mine.toml", "--dry-run", "--set", "sample.n_train=4"]), @r#"
    exit code: Some(0)
    --- stdout
    precomputed/features.safetensors, n_train 4, seed 17, probe biobench
      labels     cached
      sample     runs               `n_train`: "all" → 4, `seed`: null → 17
      features   runs               `ids`: [DIGEST] → [DIGEST]; 0 images to extract, 24 to reuse
      probes     waits              until stage `features` has run
      report     waits              until stage `features` has run
      bootstrap  waits              until stage `features` has run
    --- stderr
    "#);
}

#[test]
fn the_cache_folder_comes_from_the_flag_then_the_environment_then_the_xdg_folder() {
    let sandbox = Sandbox::new();
    let path = |arguments: &[&str], environment: Option<&str>| {
        let mut command = sandbox.command(&[&["cache", "path"], arguments].concat());
        command
            .env_remove("NEWT_PIPE_CACHE")
            .env("XDG_CACHE_HOME", "/xdg");
        if let Some(dir) = environment {
            command.env("NEWT_PIPE_CACHE", dir);
        }
        sandbox.finish(command).stdout
    };
    assert_eq!(
        path(&["--cache-dir", "/flag"], Some("/environment")),
        "/flag\n"
    );
    assert_eq!(path(&[], Some("/environment")), "/environment\n");
    assert_eq!(path(&[], None), "/xdg/newt-pipe\n");
    sandbox.write("files/mine.toml", "[data]\nsynth = true\n[model]\norg = \"random\"\nckpt = \"vit_tiny_patch16_224\"\n[cache]\ndir = \"/file\"\n");
    assert_eq!(path(&["files/mine.toml"], None), "/file\n");
    assert_eq!(
        path(&["files/mine.toml"], Some("/environment")),
        "/environment\n"
    );
}

#[test]
fn completions_name_every_command() {
    let script = Sandbox::new().run(&["completions", "bash"]).stdout;
    for command in [
        "run",
        "plan",
        "predict",
        "data",
        "features",
        "cache",
        "completions",
    ] {
        assert!(
            script.contains(&format!("newt__pipe__subcmd__{command}")),
            "{command}"
        );
    }
}

#[test]
fn two_runs_may_share_a_cache() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let start = |out: &str| {
        let mut command = sandbox.command(&["run", "mine.toml", "--out", out]);
        command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    let children = ["a", "b", "c", "d"].map(start);
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let predictions =
        |out: &str| fs_err::read(sandbox.path(out).join("predictions.parquet")).unwrap();
    assert!(
        ["b", "c", "d"]
            .iter()
            .all(|out| predictions(out) == predictions("a"))
    );
}

#[test]
fn nothing_is_coloured_in_a_pipe_or_under_no_color() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["run", "none.toml"]);
    command.env("NO_COLOR", "1").env("CLICOLOR_FORCE", "1");
    for finished in [sandbox.finish(command), sandbox.run(&["run", "none.toml"])] {
        assert_eq!(finished.code, Some(2));
        assert!(!finished.stderr.contains('\u{1b}'), "{}", finished.stderr);
    }
}

#[test]
fn a_drawn_data_set_passes_its_own_check_and_is_drawn_once() {
    let sandbox = Sandbox::new();
    let draw = [
        "data",
        "synth",
        "drawn",
        "--images-per-task",
        "8",
        "--quiet",
    ];
    assert_eq!(
        sandbox.run(&draw).stdout,
        "drawn: 96 images, 12 tasks, drawn\n"
    );
    assert_eq!(
        sandbox.run(&draw).stdout,
        "drawn: 96 images, 12 tasks, was there already\n"
    );
    let checked = sandbox.run(&["data", "check", "drawn", "--quiet"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
    assert!(
        checked.stdout.ends_with("no problem found\n"),
        "{}",
        checked.stdout
    );
}

#[test]
fn a_check_lists_every_bad_image_and_fails() {
    let sandbox = Sandbox::new();
    sandbox.run(&[
        "data",
        "synth",
        "drawn",
        "--images-per-task",
        "8",
        "--task",
        "synth_flower_blue_vs_red",
    ]);
    let images = sandbox.path("drawn/newt2021_images");
    let mut names: Vec<String> = images
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    fs_err::remove_file(images.join(&names[0])).unwrap();
    sandbox.write(&format!("drawn/newt2021_images/{}", names[1]), b"");
    let whole = fs_err::read(images.join(&names[2])).unwrap();
    sandbox.write(
        &format!("drawn/newt2021_images/{}", names[2]),
        &whole[..whole.len() / 2],
    );
    let finished = sandbox.run(&["data", "check", "drawn"]);
    assert_eq!(finished.code, Some(3));
    for (name, problem) in names.iter().zip(["missing", "empty file", "truncated"]) {
        let line = finished
            .stdout
            .lines()
            .find(|line| line.contains(name.as_str()))
            .unwrap();
        assert!(line.contains(problem), "{line}");
    }
    assert!(finished.stdout.ends_with("3 problems found\n"));
}

#[test]
fn exported_features_give_the_same_predictions_as_the_features_they_were_read_from() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    sandbox.json(&["run", "mine.toml", "--out", "first"]);
    assert_eq!(
        sandbox
            .run(&["features", "export", "mine.toml", "-o", "again.safetensors"])
            .code,
        Some(0)
    );
    let again = "model.ckpt=again.safetensors";
    let document = sandbox.json(&["run", "mine.toml", "--set", again, "--out", "second"]);
    // The rows are the same, so nothing after them is computed again.
    assert_eq!(document["experiments"][0]["stages"][3]["status"], "cached");
}
