//! The most confident mistakes of a run.

use std::process::Stdio;

use newt_pipe::internals::artifact::Table;
use newt_pipe::internals::cache::Digest;
use serde_json::{Value, json};

use crate::sandbox::{Finished, Sandbox, precomputed, write_features};

/// The results `out` of a run on two tasks whose classes are called `no` and `yes`.
fn ran(extra: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    call_classes(&sandbox, ["no", "yes"]);
    run(&sandbox, extra);
    sandbox
}

fn run(sandbox: &Sandbox, extra: &[&str]) {
    let run = ["run", "mine.toml", "--quiet", "--out", "out"];
    let finished = sandbox.run(&[&run[..], extra].concat());
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

/// Adds a column `text_label` to the labels that [`precomputed`] made.
fn call_classes(sandbox: &Sandbox, names: [&str; 2]) {
    let path = sandbox.path("data/newt2021_labels.csv");
    let csv = fs_err::read_to_string(&path).unwrap();
    let csv = csv
        .replace("label,split", "label,text_label,split")
        .replace(",0,t", &format!(",0,\"{}\",t", names[0]))
        .replace(",1,t", &format!(",1,\"{}\",t", names[1]));
    fs_err::write(path, csv).unwrap();
}

fn errors(sandbox: &Sandbox, extra: &[&str]) -> Finished {
    sandbox.run(&[&["errors", "out"], extra].concat())
}

fn put_images(sandbox: &Sandbox, names: &[&str]) {
    for name in names {
        sandbox.write(&format!("data/newt2021_images/{name}"), "");
    }
}

/// Puts other predictions in the place of those of the run, as if it had written them.
fn replace_predictions(sandbox: &Sandbox, bytes: &[u8]) {
    sandbox.write("out/predictions.parquet", bytes);
    let path = sandbox.path("out/manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
    let digest = Digest::of(bytes).to_string();
    manifest["files"]["predictions.parquet"] = json!({ "blake3": digest, "bytes": bytes.len() });
    fs_err::write(path, manifest.to_string()).unwrap();
}

/// Predictions with one mistake in three, as versions wrote them that knew no `text_label`.
fn predictions(task: &str, ids: [&str; 3]) -> Table {
    let text = |text: &str| [(); 3].map(|()| text.to_owned());
    Table::default()
        .with("model_org", &text("timm"))
        .with("model_ckpt", &text("vit"))
        .with("n_train", &[20_i64; 3])
        .with("seed", &[17_i64; 3])
        .with("probe", &text("biobench"))
        .with("img_id", &ids.map(str::to_owned))
        .with("task", &text(task))
        .with("y_true", &[0_i64, 1, 1])
        .with("y_pred", &[0_i64, 1, 0])
        .with("decision", &[-1.0, 1.0, -0.5])
}

#[test]
fn the_mistakes_of_each_experiment_are_listed_with_classes_and_images() {
    let sandbox = ran(&["--set", "sample.n_train=[-1, 4]"]);
    put_images(&sandbox, &["t1-13.jpg"]);
    crate::assert_run!(errors(&sandbox, &["--quiet"]), @"
    exit code: Some(0)
    --- stdout
    precomputed/features.safetensors, n_train all, probe biobench: 1 mistake in 16 predictions
    task    label    predicted  decision  image
    task_1  1 (yes)  0 (no)     -0.2928   [DIR]/data/newt2021_images/t1-13.jpg

    precomputed/features.safetensors, n_train 4, seed 17, probe biobench: 2 mistakes in 16 predictions
    task    label    predicted  decision  image
    task_1  1 (yes)  0 (no)     -0.2217   [DIR]/data/newt2021_images/t1-13.jpg
    task_0  0 (no)   1 (yes)    0.1175    [DIR]/data/newt2021_images/t0-14.jpg
    --- stderr
    ");
    crate::assert_run!(errors(&sandbox, &["--most", "1"]), @"
    exit code: Some(0)
    --- stdout
    precomputed/features.safetensors, n_train all, probe biobench: 1 mistake in 16 predictions
    task    label    predicted  decision  image
    task_1  1 (yes)  0 (no)     -0.2928   [DIR]/data/newt2021_images/t1-13.jpg

    precomputed/features.safetensors, n_train 4, seed 17, probe biobench: 2 mistakes in 16 predictions; the most confident:
    task    label    predicted  decision  image
    task_1  1 (yes)  0 (no)     -0.2217   [DIR]/data/newt2021_images/t1-13.jpg
    --- stderr
    ");
    crate::assert_run!(errors(&sandbox, &["--task", "task_0"]), @"
    exit code: Some(0)
    --- stdout
    precomputed/features.safetensors, n_train all, probe biobench: no mistakes in 8 predictions

    precomputed/features.safetensors, n_train 4, seed 17, probe biobench: 1 mistake in 8 predictions
    task    label   predicted  decision  image
    task_0  0 (no)  1 (yes)    0.1175    [DIR]/data/newt2021_images/t0-14.jpg
    --- stderr
    out: 1 of 1 listed image not found; the paths are those of the data set that the run evaluated on
    ");
}

#[test]
fn json_has_the_same_mistakes() {
    let sandbox = ran(&[]);
    put_images(&sandbox, &["t1-13.PNG"]);
    let mut document = sandbox.json(&["errors", "out"]);
    let mistake = &mut document["experiments"][0]["mistakes"][0];
    let decision = mistake["decision"].take().as_f64().unwrap();
    assert!(decision != 0.0);
    insta::assert_snapshot!(document, @r#"{"results":"out","experiments":[{"model":{"org":"precomputed","ckpt":"features.safetensors"},"n_train":-1,"seed":17,"search_seed":null,"probe":"biobench","n_predictions":16,"n_mistakes":1,"mistakes":[{"img_id":"t1-13","task":"task_1","y_true":1,"y_pred":0,"text_label":"yes","predicted_text_label":"no","decision":null,"image":"[DIR]/data/newt2021_images/t1-13.PNG","image_found":true}]}]}"#);
}

#[test]
fn a_run_without_mistakes_is_said_in_one_line() {
    let sandbox = ran(&["--tasks", "task_0"]);
    crate::assert_run!(errors(&sandbox, &[]), @"
    exit code: Some(0)
    --- stdout
    precomputed/features.safetensors, n_train all, probe biobench: no mistakes in 8 predictions
    --- stderr
    ");
}

#[test]
fn images_of_a_synthetic_set_are_those_in_the_cache() {
    let sandbox = Sandbox::new();
    let drawn = sandbox.run(&["data", "synth", "drawn", "--images-per-task", "8"]);
    assert_eq!(drawn.code, Some(0), "{}", drawn.stderr);
    let csv = fs_err::read_to_string(sandbox.path("drawn/newt2021_labels.csv")).unwrap();
    let ids: Vec<String> = csv
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().unwrap().to_owned())
        .collect();
    let values: Vec<f32> = (0..ids.len() * 2)
        .map(|index| (index % 7) as f32 - 2.5)
        .collect();
    write_features(&sandbox.path("features.safetensors"), &ids, &values, 2);
    sandbox.write(
        "mine.toml",
        "[data]\nsynth = { images_per_task = 8 }\n[model]\norg = \"precomputed\"\nckpt = \"features.safetensors\"\n",
    );
    run(&sandbox, &[]);
    let found = |arguments: &[&str]| -> Vec<bool> {
        let document = sandbox.json(&[&["errors", "out", "--most", "all"], arguments].concat());
        let mistakes = document["experiments"][0]["mistakes"].as_array().unwrap();
        assert!(!mistakes.is_empty());
        assert!(mistakes.iter().all(|row| row["text_label"].is_string()));
        let found = mistakes.iter().map(|row| row["image_found"] == true);
        found.collect()
    };
    assert!(found(&[]).into_iter().all(|is_found| is_found));
    let elsewhere = found(&["--cache-dir", "elsewhere"]);
    assert!(elsewhere.into_iter().all(|is_found| !is_found));
    assert!(!sandbox.path("elsewhere").exists());
}

#[test]
fn what_is_no_results_folder_is_said_with_what_is_there() {
    let sandbox = Sandbox::new();
    fs_err::create_dir(sandbox.path("empty")).unwrap();
    sandbox.write("file", "");
    crate::assert_run!(sandbox.run(&["errors", "gone"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: gone: is not there, expected the results folder of a run
    hint: give the folder that `newt-pipe run` names at its end: that of `--out`, or `results/<name of the pipeline>`
    ");
    for (place, found) in [
        ("empty", "empty: has no `manifest.json`"),
        ("file", "file: is a file"),
    ] {
        let finished = sandbox.run(&["errors", place]);
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        let error = format!("error: {found}, expected the results folder of a run\n");
        assert!(finished.stderr.starts_with(&error), "{}", finished.stderr);
    }
}

#[test]
fn patterns_and_numbers_that_match_nothing_are_refused() {
    let sandbox = ran(&[]);
    crate::assert_run!(errors(&sandbox, &["--task", "x*"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: --tasks x*: matches none of 2 tasks
    hint: a pattern is matched against whole task names, as in `--tasks 'ml_*'`
    ");
    for most in ["0", "-1", "some"] {
        let finished = errors(&sandbox, &[&format!("--most={most}")]);
        assert_eq!(finished.code, Some(2), "{most}");
        let error = "expected a number of at least 1, or `all`";
        assert!(finished.stderr.contains(error), "{}", finished.stderr);
    }
}

#[test]
fn a_damaged_folder_is_bad_data_and_a_run_mends_it() {
    let sandbox = ran(&[]);
    let path = sandbox.path("out/predictions.parquet");
    let bytes = fs_err::read(&path).unwrap();
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    let longer = [&bytes[..], b"\0"].concat();
    let damages = [Some(&bytes[..100]), Some(&flipped), Some(&longer), None];
    let errors_of = damages.map(|damage| {
        match damage {
            Some(bytes) => fs_err::write(&path, bytes).unwrap(),
            None => fs_err::remove_file(&path).unwrap(),
        }
        let finished = errors(&sandbox, &[]);
        assert_eq!(finished.code, Some(3), "{}", finished.stderr);
        finished.stderr
    });
    insta::assert_snapshot!(errors_of.concat(), @"
    error: out/predictions.parquet: has other bytes, expected the file that `manifest.json` names
    hint: run the pipeline into this folder again: what is in the cache is not computed again
    error: out/predictions.parquet: has other bytes, expected the file that `manifest.json` names
    hint: run the pipeline into this folder again: what is in the cache is not computed again
    error: out/predictions.parquet: is too large, expected the file that `manifest.json` names
    hint: run the pipeline into this folder again: what is in the cache is not computed again
    error: out/predictions.parquet: is missing, expected the file that `manifest.json` names
    hint: run the pipeline into this folder again: what is in the cache is not computed again
    ");
    run(&sandbox, &[]);
    assert_eq!(errors(&sandbox, &[]).code, Some(0));

    for manifest in [
        "",
        "[]",
        "{\"files\": {}, \"experiments\": []}",
        "{\"files\": 1}",
    ] {
        sandbox.write("out/manifest.json", manifest);
        let finished = errors(&sandbox, &[]);
        assert_eq!(finished.code, Some(3), "{manifest}: {}", finished.stderr);
        let error = "error: out/manifest.json: ";
        assert!(finished.stderr.starts_with(error), "{}", finished.stderr);
    }
}

#[test]
fn results_of_versions_without_text_labels_are_listed() {
    let sandbox = ran(&[]);
    let table = predictions("t", ["a", "b", "c"]);
    replace_predictions(&sandbox, &table.to_parquet().unwrap());
    crate::assert_run!(errors(&sandbox, &[]), @"
    exit code: Some(0)
    --- stdout
    timm/vit, n_train 20, seed 17, probe biobench: 1 mistake in 3 predictions
    task  label  predicted  decision  image
    t     1      0          -0.5000   [DIR]/data/newt2021_images/c.jpg
    --- stderr
    out: 1 of 1 listed image not found; the paths are those of the data set that the run evaluated on
    ");
}

#[test]
fn predictions_that_no_run_writes_are_named() {
    let sandbox = ran(&[]);
    let said = |bytes: &[u8]| {
        replace_predictions(&sandbox, bytes);
        let finished = errors(&sandbox, &[]);
        assert_eq!(finished.code, Some(3), "{}", finished.stderr);
        let line = finished.stderr.lines().next().unwrap();
        line.to_owned()
    };
    let good = predictions("t", ["a", "b", "c"]);
    let bytes = good.to_parquet().unwrap();
    let errors = [
        said(&Table::default().with("img_id", &[1]).to_parquet().unwrap()),
        said(
            &good
                .clone()
                .with("text_label", &[1, 2, 3])
                .to_parquet()
                .unwrap(),
        ),
        said(&predictions("t", ["a", "../b", "c"]).to_parquet().unwrap()),
        said(&bytes[..bytes.len() / 2]),
        said(b""),
    ];
    insta::assert_snapshot!(errors.join("\n"), @"
    error: out/predictions.parquet: table: no column `model_org`, the table has `img_id`
    error: out/predictions.parquet: table: column `text_label` has type i64, expected text
    error: out/predictions.parquet: row 1: `img_id` is `../b`, which holds a path separator, expected a plain file name
    error: out/predictions.parquet: table: parquet: File out of specification: The file must end with PAR1
    error: out/predictions.parquet: table: parquet: File out of specification: A Parquet file must contain a header and footer with at least 12 bytes
    ");
}

#[test]
fn names_that_a_terminal_would_obey_are_spelled_out() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    call_classes(&sandbox, ["\u{1b}[2J\nerror: x", "\u{202e}yes"]);
    let path = sandbox.path("data/newt2021_labels.csv");
    let csv = fs_err::read_to_string(&path).unwrap();
    fs_err::write(path, csv.replace("task_1", "\"task\u{1b}[31m\n1\"")).unwrap();
    run(&sandbox, &[]);
    crate::assert_run!(errors(&sandbox, &[]), @r"
    exit code: Some(0)
    --- stdout
    precomputed/features.safetensors, n_train all, probe biobench: 1 mistake in 16 predictions
    task               label            predicted                decision  image
    task\u{1b}[31m\n1  1 (\u{202e}yes)  0 (\u{1b}[2J\nerror: x)  -0.2928   [DIR]/data/newt2021_images/t1-13.jpg
    --- stderr
    out: 1 of 1 listed image not found; the paths are those of the data set that the run evaluated on
    ");
    let json = errors(&sandbox, &["--json", "--quiet"]);
    assert!(!json.stdout.contains('\u{1b}'));
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    let mistake = &document["experiments"][0]["mistakes"][0];
    assert_eq!(mistake["task"], "task\u{1b}[31m\n1");
}

#[test]
fn a_reader_that_has_read_enough_ends_the_list_in_silence() {
    let sandbox = ran(&[]);
    for format in [
        &["errors", "out", "-q"][..],
        &["errors", "out", "-q", "--json"],
    ] {
        let mut command = sandbox.command(format);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), error.as_str()), (Some(0), ""));
    }
}
