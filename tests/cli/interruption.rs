//! Runs that are cut short: by a signal, by a kill, by a full disk.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::sandbox::{Sandbox, precomputed, statuses, wait_until};

const PIPELINE: &str =
    "[data]\nroot = \"data\"\n\n[model]\norg = \"random\"\nckpt = \"vit_tiny_patch16_224\"\n";

fn sandbox(images_per_task: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let drawn = sandbox.run(&[
        "data",
        "synth",
        "data",
        "--images-per-task",
        images_per_task,
    ]);
    assert_eq!(drawn.code, Some(0), "{}", drawn.stderr);
    sandbox.write("mine.toml", PIPELINE);
    sandbox
}

/// A child that no failed assertion leaves running.
struct Running(Child);

impl Running {
    /// Starts `command`, whose standard error can be read.
    fn start(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail where it has ended.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts a run, sends it a signal once the first shard is in the cache, and waits for its end: the exit code, and what
/// it said. On a busy machine the run may be done before the signal arrives: it is then run once more, from nothing.
#[expect(clippy::panic, reason = "fails the test")]
fn interrupted(sandbox: &Sandbox, name: &str) -> (Option<i32>, String) {
    for _ in 0..5 {
        let mut run = Running::start(&mut sandbox.command(&["run", "mine.toml"]));
        wait_until("there is a shard", || n_shards(sandbox) > 0);
        signal(&run.0, name);
        let mut stderr = String::new();
        let mut pipe = run.0.stderr.take().unwrap();
        pipe.read_to_string(&mut stderr).unwrap();
        let status = run.0.wait().unwrap();
        if !status.success() {
            return (status.code(), stderr);
        }
        for made in ["cache", "results"] {
            fs_err::remove_dir_all(sandbox.path(made)).unwrap();
        }
    }
    panic!("five runs were done before the signal arrived");
}

fn n_shards(sandbox: &Sandbox) -> usize {
    let Ok(folders) = sandbox.path("cache/features").read_dir() else {
        return 0;
    };
    folders
        .flatten()
        .filter_map(|folder| folder.path().read_dir().ok())
        .flatten()
        .flatten()
        .filter(|file| {
            file.path()
                .extension()
                .is_some_and(|name| name == "safetensors")
        })
        .count()
}

pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

fn predictions(sandbox: &Sandbox, out: &str) -> Vec<u8> {
    fs_err::read(sandbox.path(out).join("predictions.parquet")).unwrap()
}

#[test]
fn what_was_extracted_before_a_kill_is_not_extracted_again_and_nothing_changes() {
    let sandbox = sandbox("40");
    interrupted(&sandbox, "KILL");
    assert!(!sandbox.path("results/mine").exists());

    let resumed = sandbox.json(&["run", "mine.toml", "--out", "resumed"]);
    let counts = &resumed["experiments"][0]["stages"][2];
    assert!(counts["images_reused"].as_u64().unwrap() > 0, "{counts}");
    assert_eq!(
        counts["images_extracted"].as_u64().unwrap() + counts["images_reused"].as_u64().unwrap(),
        480
    );

    sandbox.json(&[
        "run",
        "mine.toml",
        "--out",
        "undisturbed",
        "--cache-dir",
        "another",
    ]);
    assert!(predictions(&sandbox, "resumed") == predictions(&sandbox, "undisturbed"));
}

#[test]
fn a_signal_keeps_what_was_extracted_and_says_how_to_go_on() {
    for (name, code) in [("INT", 130), ("TERM", 75)] {
        let sandbox = sandbox("40");
        let (ended, stderr) = interrupted(&sandbox, name);
        assert_eq!(ended, Some(code), "{stderr}");
        let hint = "hint: what was finished is in the cache; the same command goes on from there";
        assert!(stderr.contains(hint), "{stderr}");
        assert!(!sandbox.path("results/mine").exists());
    }
}

#[test]
fn a_fit_without_end_says_so_and_can_be_stopped() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    // A tolerance below what rounding allows.
    let without_end = ["run", "mine.toml", "-q", "--set", "probe.tol=1e-300"];
    let mut run = Running::start(&mut sandbox.command(&without_end));
    let mut lines = BufReader::new(run.0.stderr.take().unwrap()).lines();
    let said = lines
        .by_ref()
        .map(Result::unwrap)
        .find(|line| line.contains("goes on after"));
    assert_eq!(
        said.unwrap(),
        "warning: task `task_0`: the fit with kernel linear, c = 1 goes on after 10,000,000 \
         iterations; Ctrl-C stops it, and `probe.max_iter` limits it"
    );
    signal(&run.0, "INT");
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(run.0.wait().unwrap().code(), Some(130), "{rest:?}");

    // Said again where the probes come from the cache.
    for status in ["ran", "cached"] {
        let limited = sandbox.run(&[&without_end[..], &["--set", "probe.max_iter=2000"]].concat());
        assert_eq!(limited.code, Some(0), "{}", limited.stderr);
        assert_eq!(
            limited.stderr,
            "warning: task `task_0`: 1 fit ended at `probe.max_iter = 2000` before `probe.tol` was met, and was taken as \
             it was; raise `probe.max_iter`, set `probe.standardize = true` or lower `probe.c`\n",
            "{status}"
        );
    }
}

#[test]
fn a_full_disk_fails_the_run_and_leaves_a_cache_that_goes_on() {
    let sandbox = sandbox("8");
    // `ulimit -f` counts blocks of 512 bytes: 50 kB, less than a shard of 96 rows of 192 features. In one batch they are
    // one shard, however long they take.
    let program = env!("CARGO_BIN_EXE_newt-pipe");
    let mut command = sandbox.command(&[]);
    let environment: Vec<_> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    command = Command::new("sh");
    command
        .args([
            "-c",
            &format!("ulimit -f 100; exec '{program}' run mine.toml --set features.batch_size=96"),
        ])
        .current_dir(sandbox.path(""))
        .env_clear()
        .envs(environment);
    let finished = sandbox.finish(command);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("not written, file too large"),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stderr.contains("hint: free space there"),
        "{}",
        finished.stderr
    );
    assert_eq!(n_shards(&sandbox), 0);

    let document = sandbox.json(&["run", "mine.toml"]);
    assert_eq!(
        statuses(&document)[2..],
        ["features ran", "probes ran", "report ran", "bootstrap ran"]
    );
    let second: Value = sandbox.json(&["run", "mine.toml"]);
    assert!(
        statuses(&second)
            .iter()
            .all(|status| status.ends_with("cached"))
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let sandbox = sandbox("8");
    sandbox.write("file", "");
    let finished = sandbox.run(&["run", "mine.toml", "--cache-dir", "file/cache"]);
    assert_eq!(finished.code, Some(1));
    assert!(
        finished
            .stderr
            .contains("error: cache file/cache: not writable"),
        "{}",
        finished.stderr
    );
    assert!(
        finished
            .stderr
            .contains("hint: set `--cache-dir` or NEWT_PIPE_CACHE"),
        "{}",
        finished.stderr
    );
}
