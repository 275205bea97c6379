//! Where results go: what `--out` and `-o` refuse before anything is computed, and what is left beside them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::assert_run;
use crate::interruption::signal;
use crate::sandbox::{
    Finished, Sandbox, become_nobody, is_root, precomputed, set_mode, wait_until,
};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    sandbox
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs_err::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn out_that_is_a_file_is_refused_before_anything_is_computed() {
    let sandbox = sandbox();
    sandbox.write("taken", "mine");
    assert_run!(sandbox.run(&["run", "mine.toml", "--out", "taken"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: taken: is not a folder, expected a folder or nothing
    hint: choose another folder
    ");
    assert_eq!(fs_err::read(sandbox.path("taken")).unwrap(), b"mine");
    assert!(!sandbox.path("cache").exists());
}

#[test]
fn out_without_a_name_is_refused_before_anything_is_computed() {
    let sandbox = sandbox();
    assert_run!(sandbox.run(&["run", "mine.toml", "--out", "."]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: .: ends in no name, expected a path that can be put in place whole
    hint: give it by its name
    ");
    for out in ["..", "/", "data/.."] {
        let finished = sandbox.run(&["run", "mine.toml", "--out", out]);
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    }
    assert_eq!(
        names(&sandbox.path("")),
        ["data", "features.safetensors", "mine.toml"]
    );
}

#[test]
fn out_that_holds_other_files_is_refused_and_left_alone() {
    let sandbox = sandbox();
    sandbox.write("thesis/b.tex", "");
    sandbox.write("thesis/a.tex", "");
    assert_run!(sandbox.run(&["run", "mine.toml", "--out", "thesis"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: thesis: holds `a.tex`, expected an empty folder or the results of a run
    hint: choose another folder with `--out`
    ");
    assert_eq!(names(&sandbox.path("thesis")), ["a.tex", "b.tex"]);
    assert!(!sandbox.path("cache").exists());
}

#[test]
fn files_of_a_user_that_are_only_called_as_a_run_s_are_refused_and_left_alone() {
    let sandbox = sandbox();
    // As `predict -o` writes it, or somebody's hand.
    sandbox.write("mine/probes-2024.safetensors", "mine");
    assert_run!(sandbox.run(&["run", "mine.toml", "--out", "mine"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: mine: holds `probes-2024.safetensors`, expected an empty folder or the results of a run
    hint: choose another folder with `--out`, or remove that one if it holds results: it has no `manifest.json` that names this file
    ");
    // Beside results that say what is theirs.
    sandbox.json(&["run", "mine.toml", "--out", "results"]);
    sandbox.write("results/probes-2024.safetensors", "mine");
    let refused = sandbox.run(&["run", "mine.toml", "--out", "results"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    // And where they no longer say it.
    fs_err::remove_file(sandbox.path("results/probes-2024.safetensors")).unwrap();
    sandbox.json(&["run", "mine.toml", "--out", "results"]);
    sandbox.write("results/manifest.json", "{\"files\": {\"summ");
    let before = names(&sandbox.path("results"));
    let refused = sandbox.run(&["run", "mine.toml", "--out", "results"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert_eq!(names(&sandbox.path("results")), before);
    assert_eq!(names(&sandbox.path("mine")), ["probes-2024.safetensors"]);
}

#[test]
fn what_looks_like_a_former_folder_of_ours_is_left_alone() {
    let sandbox = sandbox();
    sandbox.write("home/thesis.tex", "mine");
    sandbox.json(&["run", "mine.toml", "--out", "pub/R"]);
    sandbox.write("pub/.R.old-backup/summary.json", "mine");
    fs_err::os::unix::fs::symlink("../home", sandbox.path("pub/.R.old-x")).unwrap();
    sandbox.json(&["run", "mine.toml", "--out", "pub/R"]);
    fs_err::remove_dir_all(sandbox.path("pub/R")).unwrap();
    sandbox.json(&["run", "mine.toml", "--out", "pub/R"]);
    assert_eq!(names(&sandbox.path("home")), ["thesis.tex"]);
    assert_eq!(
        names(&sandbox.path("pub")),
        [".R.old-backup", ".R.old-x", "R"]
    );
    assert_eq!(names(&sandbox.path("pub/.R.old-backup")), ["summary.json"]);
}

#[test]
fn out_that_is_standard_output_is_refused_as_what_it_is() {
    let sandbox = sandbox();
    assert_run!(sandbox.run(&["features", "export", "mine.toml", "-o", "/dev/stdout"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: /dev/stdout: is not a regular file, expected a file or nothing
    hint: give the path of a file
    ");
    assert_run!(sandbox.run(&["run", "mine.toml", "--out", "/dev/fd/1"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: /dev/fd/1: is not a folder, expected a folder or nothing
    hint: choose another folder
    ");
}

#[test]
fn out_that_is_a_link_stays_one_and_its_target_gets_the_results() {
    let sandbox = sandbox();
    fs_err::create_dir_all(sandbox.path("disk/target")).unwrap();
    fs_err::os::unix::fs::symlink("disk/target", sandbox.path("link")).unwrap();
    // The first run finds an empty folder, the second one with results.
    for _ in 0..2 {
        assert_eq!(
            sandbox.json(&["run", "mine.toml", "--out", "link"])["out"],
            "link"
        );
        let link = fs_err::symlink_metadata(sandbox.path("link")).unwrap();
        assert!(link.is_symlink());
        assert_eq!(names(&sandbox.path("disk")), ["target"]);
        assert!(sandbox.path("disk/target/summary.json").is_file());
    }
}

#[test]
fn out_that_is_a_link_in_a_circle_is_named_so() {
    let sandbox = sandbox();
    fs_err::os::unix::fs::symlink("round", sandbox.path("round")).unwrap();
    assert_run!(sandbox.run(&["run", "mine.toml", "--out", "round"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: round: not writable: `round` is a link to `round`, which leads in a circle
    hint: remove the link, or let it lead to what it should stand for
    ");
    assert!(!sandbox.path("cache").exists());
}

#[test]
fn out_below_folders_that_do_not_exist_makes_them() {
    let sandbox = sandbox();
    sandbox.json(&["run", "mine.toml", "--out", "a/b/c"]);
    assert_eq!(names(&sandbox.path("a/b")), ["c"]);
}

#[test]
fn what_a_killed_run_left_is_gone_after_the_next() {
    let sandbox = sandbox();
    let mut child = halted_run(&sandbox);
    child.kill().unwrap();
    child.wait().unwrap();
    let results = sandbox.path("results");
    let left = names(&results);
    assert!(left[0].starts_with(".mine.draft-"), "{left:?}");
    sandbox.json(&["run", "mine.toml"]);
    assert_eq!(names(&results), ["mine"]);
}

#[test]
fn a_run_that_fails_leaves_no_draft() {
    let sandbox = sandbox();
    sandbox.write("data/newt2021_labels.csv", "id\n");
    let finished = sandbox.run(&["run", "mine.toml"]);
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert!(names(&sandbox.path("results")).is_empty());
}

#[test]
fn export_to_a_missing_folder_fails_before_extraction() {
    let sandbox = sandbox();
    let export = |path: &str| sandbox.run(&["features", "export", "mine.toml", "-o", path]);
    assert_run!(export("missing/all.safetensors"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: missing/all.safetensors: no folder `missing`, expected one to write to
    hint: make that folder first
    ");
    fs_err::create_dir(sandbox.path("taken")).unwrap();
    assert_run!(export("taken"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: taken: is not a regular file, expected a file or nothing
    hint: give the path of a file
    ");
    assert!(!sandbox.path("cache").exists());

    let finished = export("all.safetensors");
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(
        names(&sandbox.path("")),
        [
            "all.safetensors",
            "cache",
            "data",
            "features.safetensors",
            "mine.toml",
            "taken"
        ]
    );
}

#[test]
fn predictions_for_a_missing_folder_are_refused_before_anything_is_read() {
    let sandbox = Sandbox::new();
    assert_run!(
        sandbox.run(&[
            "predict", "--probe", "no", "--features", "no", "-o", "missing/all.parquet"
        ]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: missing/all.parquet: no folder `missing`, expected one to write to
    hint: make that folder first
    ");
}

#[test]
fn the_manifest_has_the_digest_of_each_file() {
    let sandbox = sandbox();
    let run = [
        "run",
        "mine.toml",
        "--save-probes",
        "--set",
        "probe.c=[0.1, 1.0]",
    ];
    sandbox.json(&run);
    // From the cache, too.
    sandbox.json(&run);
    let dir = sandbox.path("results/mine");
    let manifest = fs_err::read(dir.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let mut expected = serde_json::Map::new();
    for name in names(&dir) {
        if name != "manifest.json" {
            let bytes = fs_err::read(dir.join(&name)).unwrap();
            let digest = newt_pipe::internals::cache::Digest::of(&bytes);
            expected.insert(
                name,
                serde_json::json!({ "blake3": digest, "bytes": bytes.len() }),
            );
        }
    }
    assert!(
        expected.contains_key("probes-2-precomputed-features-biobench-nall.safetensors"),
        "{expected:?}"
    );
    assert_eq!(manifest["files"], serde_json::Value::Object(expected));
}

#[test]
fn out_is_found_however_it_is_written() {
    let sandbox = sandbox();
    fs_err::create_dir_all(sandbox.path("disk/target")).unwrap();
    fs_err::create_dir_all(sandbox.path("existing")).unwrap();
    fs_err::os::unix::fs::symlink("disk/target", sandbox.path("link")).unwrap();
    for (out, place) in [
        ("link/", "disk/target"),
        ("new/.", "new"),
        ("newer/", "newer"),
        ("existing/.", "existing"),
        ("disk/../other/./", "other"),
    ] {
        for _ in 0..2 {
            sandbox.json(&["run", "mine.toml", "--out", out]);
            assert!(sandbox.path(place).join("summary.json").is_file(), "{out}");
        }
    }
    assert!(sandbox.path("link").is_symlink());
    assert_eq!(names(&sandbox.path("disk")), ["target"]);
}

#[test]
fn a_file_that_is_written_as_a_folder_is_refused_before_anything_is_computed() {
    let sandbox = sandbox();
    assert_run!(sandbox.run(&["features", "export", "mine.toml", "-o", "new.st/"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: new.st/: ends in no name, expected a path that can be put in place whole
    hint: give it by its name
    ");
    assert!(!sandbox.path("cache").exists());
}

#[test]
fn a_cache_folder_that_is_a_link_to_nothing_is_named_so() {
    let sandbox = sandbox();
    fs_err::os::unix::fs::symlink("gone", sandbox.path("link")).unwrap();
    assert_run!(sandbox.run(&["run", "mine.toml", "--cache-dir", "link"]), @"
    exit code: Some(1)
    --- stdout
    --- stderr
    error: cache link: not writable: `link` is a link to `gone`, where nothing is
    hint: set `--cache-dir` or NEWT_PIPE_CACHE to a folder that you can write to
    ");
}

#[test]
fn names_that_are_not_text_are_shown_in_documents() {
    let sandbox = sandbox();
    let odd = OsStr::from_bytes(b"odd\xff");
    let document = |arguments: &[&str], place: &[&OsStr]| -> serde_json::Value {
        let mut command = sandbox.command(arguments);
        command.args(place);
        let finished = sandbox.finish(command);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        serde_json::from_str(&finished.stdout).unwrap()
    };
    let run = document(&["run", "mine.toml", "--json", "--out"], &[odd]);
    assert_eq!(run["out"], "odd\u{fffd}");
    assert!(sandbox.path("").join(odd).join("summary.json").is_file());

    let set = sandbox.path("sets").join(odd);
    let synth = [
        "data",
        "synth",
        "--json",
        "--images-per-task",
        "8",
        "--task",
        "synth_flower_blue_vs_red",
    ];
    let drawn = document(&synth, &[set.as_os_str()]);
    assert!(drawn["dir"].as_str().unwrap().ends_with("sets/odd\u{fffd}"));
    let fetched = document(
        &["data", "fetch", "--json", "--offline"],
        &[set.as_os_str()],
    );
    assert_eq!(fetched["dir"], drawn["dir"]);
    let checked = document(&["data", "check", "--json"], &[set.as_os_str()]);
    assert_eq!(checked["problems"], serde_json::json!([]));
}

/// A run that takes its time, beside the results of an earlier one, and that is stopped while `put` is called.
fn run_during(sandbox: &Sandbox, put: impl Fn()) -> Finished {
    let child = halted_run(sandbox);
    put();
    signal(&child, "CONT");
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Finished {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// A second run of `mine.toml`, halted while its results are a draft.
#[expect(clippy::panic, reason = "fails the test")]
fn halted_run(sandbox: &Sandbox) -> Child {
    let arguments = [
        "run",
        "mine.toml",
        "--set",
        "bootstrap.resamples=100000",
        "--force",
        "bootstrap",
    ];
    sandbox.json(&["run", "mine.toml"]);
    let results = sandbox.path("results");
    let has_draft = || names(&results).len() > 1;
    for _ in 0..20 {
        let mut child = sandbox
            .command(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        while child.try_wait().unwrap().is_none() {
            if has_draft() {
                signal(&child, "STOP");
                if has_draft() {
                    return child;
                }
                // It was at its end already.
                signal(&child, "CONT");
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
    panic!("each of 20 runs ended before it could be halted");
}

#[test]
fn what_appears_in_the_results_folder_during_a_run_is_kept() {
    let sandbox = sandbox();
    let finished = run_during(&sandbox, || {
        sandbox.write("results/mine/notes.txt", "mine");
        sandbox.write("results/mine/plots/a.png", "a plot");
    });
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let warning = "results/mine: kept what appeared in it during the run: `notes.txt`, `plots`; move that away before the next run";
    assert!(finished.stderr.contains(warning), "{}", finished.stderr);
    let results = sandbox.path("results/mine");
    assert_eq!(fs_err::read(results.join("notes.txt")).unwrap(), b"mine");
    assert_eq!(
        fs_err::read(results.join("plots/a.png")).unwrap(),
        b"a plot"
    );
    assert!(results.join("summary.json").is_file());
    assert_eq!(names(&sandbox.path("results")), ["mine"]);
}

#[test]
fn what_appears_where_a_data_set_is_being_drawn_is_kept() {
    let sandbox = Sandbox::new();
    let drawing = ["data", "synth", "sets/a"];
    let mut child = sandbox
        .command(&drawing)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let sets = sandbox.path("sets");
    wait_until("there is a draft", || {
        sets.exists() && !names(&sets).is_empty()
    });
    sandbox.write("sets/a/notes.txt", "mine");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(names(&sets), ["a"]);
    assert_eq!(fs_err::read(sets.join("a/notes.txt")).unwrap(), b"mine");
}

#[test]
fn results_that_cannot_be_removed_are_found_before_anything_is_computed() {
    let sandbox = sandbox();
    sandbox.json(&["run", "mine.toml"]);
    let results = sandbox.path("results/mine");
    for folder in [
        sandbox.path(""),
        sandbox.path("results"),
        sandbox.path("cache"),
    ] {
        set_mode(&folder, 0o777);
    }
    set_mode(&results, 0o555);
    let run = || {
        let mut command = sandbox.command(&["run", "mine.toml"]);
        // Without this, `--cache-dir` would have to be writable all the way down.
        command.env("NEWT_PIPE_CACHE", sandbox.path("other/cache"));
        become_nobody(&mut command);
        sandbox.finish(command)
    };
    let before = names(&sandbox.path("results"));
    let finished = run();
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    let message = "error: results/mine: what is in it cannot be removed (it belongs to ";
    assert!(finished.stderr.starts_with(message), "{}", finished.stderr);
    assert!(
        finished.stderr.contains(", mode 555), expected "),
        "{}",
        finished.stderr
    );
    assert_eq!(names(&sandbox.path("results")), before);
    assert!(!sandbox.path("other").exists());

    // Anybody may replace it: then nothing is left behind.
    set_mode(&results, 0o777);
    let finished = run();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(names(&sandbox.path("results")), ["mine"]);

    // In a folder such as /tmp everybody removes only what is their own.
    if is_root() {
        sandbox.json(&["run", "mine.toml", "--out", "results/other"]);
        set_mode(&sandbox.path("results/other"), 0o777);
        set_mode(&sandbox.path("results"), 0o1777);
        let mut command = sandbox.command(&["run", "mine.toml", "--out", "results/other"]);
        become_nobody(&mut command);
        let finished = sandbox.finish(command);
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        assert!(
            finished.stderr.contains("it belongs to `root`"),
            "{}",
            finished.stderr
        );
    }
}
