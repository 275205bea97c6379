//! Data sets that cannot be used.

use crate::sandbox::{Finished, Sandbox, precomputed};

const DRAW: [&str; 7] = [
    "data",
    "synth",
    "data",
    "--images-per-task",
    "8",
    "--task",
    "flower_blue_or_red",
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
    crate::assert_run!(sandbox.run(&["run", "mine.toml"]), @"");
}

#[test]
fn rows_of_the_labels_file() {
    crate::assert_run!(run_csv(|csv| csv.replace("label,split", "target,split")), @"");
    crate::assert_run!(run_csv(|csv| csv.replace("t0-02,task_0,cluster_0,,0", "t0-02,task_0,cluster_0,,2")), @"");
    crate::assert_run!(run_csv(|csv| csv.replace("t0-02,", "../../etc/passwd,")), @"");
    crate::assert_run!(run_csv(|csv| csv.replace("t0-02,", "t0-01,")), @"");
    crate::assert_run!(run_csv(|csv| csv.replace("t0-02,task_0,cluster_0", "t0-02,task_0,cluster_1")), @"");
    crate::assert_run!(run_csv(|csv| csv.replace("t0-02,task_0,cluster_0,,0,train", "t0-02,task_0,cluster_0")), @"");
}

#[test]
fn tasks_that_cannot_be_evaluated() {
    crate::assert_run!(run_csv(|csv| csv.replace(",test", ",train")), @"");
    crate::assert_run!(run_csv(|csv| csv.replace(",1,train", ",1,test")), @"");
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
