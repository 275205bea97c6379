//! Data sets that cannot be used.

use crate::sandbox::{Finished, Sandbox, precomputed};

const DRAW: [&str; 7] = [
    "data",
    "synth",
    "data",
    "--images-per-task",
    "8",
    "--task",
    "synth_flower_blue_vs_red",
];

const RANDOM: &str =
    "[data]\nroot = \"data\"\n\n[model]\norg = \"random\"\nckpt = \"vit_tiny_patch16_224\"\n";

fn run_csv(change: impl Fn(String) -> String) -> Finished {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let csv = fs_err::read_to_string(sandbox.path("data/newt2021_labels.csv")).unwrap();
    sandbox.write("data/newt2021_labels.csv", change(csv));
    sandbox.run(&["run", "mine.toml"])
}

#[test]
fn a_missing_root_comes_with_the_command_that_gets_it() {
    let sandbox = Sandbox::new();
    sandbox.write("mine.toml", RANDOM);
    crate::assert_run!(sandbox.run(&["run", "mine.toml"]), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data root data: no such folder, expected `newt2021_labels.csv` and `newt2021_images` in it
    hint: `newt-pipe data fetch data` gets NeWT (4 GB); `newt-pipe data synth DIR` draws a small data set
    ");
}

#[test]
fn rows_of_the_labels_file() {
    crate::assert_run!(run_csv(|csv| csv.replace("label,split", "target,split")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv:1: column `label` is missing, found `id`, `task`, `task_cluster`, `task_subcluster`, `target`, `split`
    hint: the columns needed are `id`, `task`, `task_cluster`, `label`, `split`
    ");
    crate::assert_run!(run_csv(|csv| csv.replace("t0-02,task_0,cluster_0,,0", "t0-02,task_0,cluster_0,,2")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv:4: label of image `t0-02` is `2`, expected `0` or `1`
    hint: every task is binary: number its two classes 0 and 1
    ");
    crate::assert_run!(run_csv(|csv| csv.replace("t0-02,", "../../etc/passwd,")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv:4: id `../../etc/passwd` holds a path separator, expected a plain file name without `.jpg`
    hint: name the image file after a plain id, and use that id in the row
    ");
    crate::assert_run!(run_csv(|csv| csv.replace("t0-02,", "t0-01,")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv:4: id `t0-01` is used again, expected only on line 3
    hint: remove one of the rows; an image in two tasks needs two ids and two files
    ");
    crate::assert_run!(run_csv(|csv| csv.replace("t0-02,task_0,cluster_0", "t0-02,task_0,cluster_1")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv:4: task `task_0` has `task_cluster` `cluster_1`, expected `cluster_0` as on line 2
    hint: correct the row, or give the task of the other group a name of its own
    ");
    crate::assert_run!(run_csv(|csv| csv.replace("t0-02,task_0,cluster_0,,0,train", "t0-02,task_0,cluster_0")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv:4: 3 fields, expected 6
    hint: expected comma-separated UTF-8 text with one header line and the same number of fields in each row
    ");
}

#[test]
fn tasks_that_cannot_be_evaluated() {
    crate::assert_run!(run_csv(|csv| csv.replace(",test", ",train")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv: 2 problems
      line 2: task `task_0`: 20 train and 0 test rows, expected both
      line 22: task `task_1`: 20 train and 0 test rows, expected both
    hint: set `split` to `train` in some of the task's rows and to `test` in the others
    ");
    crate::assert_run!(run_csv(|csv| csv.replace(",1,train", ",1,test")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv: 2 problems
      line 2: task `task_0`: all 6 train rows have label 0, an SVM needs both classes
      line 22: task `task_1`: all 6 train rows have label 0, an SVM needs both classes
    hint: move rows of the other class to the train split, or remove the task
    ");
}

#[test]
fn every_bad_image_is_listed_before_the_network_runs() {
    let sandbox = Sandbox::new();
    sandbox.run(&DRAW);
    sandbox.write("mine.toml", RANDOM);
    let images = sandbox.path("data/newt2021_images");
    let mut names: Vec<String> = images
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let whole = fs_err::read(images.join(&names[0])).unwrap();
    sandbox.write(&format!("data/newt2021_images/{}", names[0]), b"");
    sandbox.write(
        &format!("data/newt2021_images/{}", names[1]),
        b"\x89PNG\r\n\x1a\n and so on",
    );
    sandbox.write(
        &format!("data/newt2021_images/{}", names[2]),
        &whole[..whole.len() / 2],
    );
    let finished = sandbox.run(&["run", "mine.toml"]);
    assert_eq!(finished.code, Some(3));
    for (name, problem) in names.iter().zip(["empty file", "PNG image", "truncated"]) {
        let line = finished
            .stderr
            .lines()
            .find(|line| line.contains(name.as_str()))
            .unwrap();
        assert!(line.contains(problem), "{line}");
    }
    assert!(!sandbox.path("results/mine").exists());

    fs_err::remove_file(images.join(&names[0])).unwrap();
    let finished = sandbox.run(&["run", "mine.toml"]);
    assert_eq!(finished.code, Some(3));
    assert!(
        finished.stderr.contains(&format!("{}: missing", names[0])),
        "{}",
        finished.stderr
    );
}
