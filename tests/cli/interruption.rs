//! Runs that are cut short: by a signal, by a kill, by a full disk.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sandbox::{MINE, Sandbox, precomputed, statuses, wait_until, write_features};

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

    /// Waits for its end, which a program that hears a signal comes to: the exit code, and what it said, which is less
    /// than a pipe holds.
    fn ended(mut self) -> (Option<i32>, String) {
        let mut status = None;
        wait_until("the program has ended", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        let mut stderr = String::new();
        let mut pipe = self.0.stderr.take().unwrap();
        pipe.read_to_string(&mut stderr).unwrap();
        (status.unwrap().code(), stderr)
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
        let run = Running::start(&mut sandbox.command(&["run", "mine.toml"]));
        wait_until("there is a shard", || n_shards(sandbox) > 0);
        signal(&run.0, name);
        let (code, stderr) = run.ended();
        if code != Some(0) {
            return (code, stderr);
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

/// Waits until the program has said how it ends on a signal: before that, one ends it at once.
fn wait_until_signals_are_caught(child: &Child) {
    let status = format!("/proc/{}/status", child.id());
    wait_until("signals are caught", || {
        let status = fs_err::read_to_string(&status).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        // SIGXFSZ, the twenty-fifth, is the last.
        caught.unwrap_or_default() & 1 << 24 != 0
    });
}

/// Starts the program, has a shell run `kills` once `is_due`, with `$pid` for its number, and waits for its end: the exit
/// code, and what it said. `is_due` is told for how long signals have been caught. Where the program was done before, it
/// is run once more, and is told twice as much: the machine is fast.
#[expect(clippy::panic, reason = "fails the test")]
fn stopped(
    sandbox: &Sandbox,
    arguments: &[&str],
    is_due: impl Fn(Duration) -> bool,
    kills: &str,
) -> (Option<i32>, String) {
    for n_tries in 0..10 {
        let mut run = Running::start(&mut sandbox.command(arguments));
        wait_until_signals_are_caught(&run.0);
        let started = Instant::now();
        wait_until("the signal is due", || {
            is_due(started.elapsed() * (1 << n_tries)) || run.0.try_wait().unwrap().is_some()
        });
        // A builtin of the shell: two in a row are some microseconds apart.
        let pid = run.0.id().to_string();
        let mut shell = Command::new("sh");
        shell.args(["-c", kills]).env("pid", pid);
        // It fails where the program has ended.
        shell.stderr(Stdio::null()).status().unwrap();
        let (code, stderr) = run.ended();
        if code != Some(0) {
            return (code, stderr);
        }
        fs_err::remove_dir_all(sandbox.path("cache")).ok();
    }
    panic!("ten times the program was done before the signal, or did not hear it");
}

/// Says yes after a while.
fn after(wait: Duration) -> impl Fn(Duration) -> bool {
    move |elapsed| elapsed >= wait
}

fn assert_stopped((code, stderr): (Option<i32>, String), expected: i32) {
    assert_eq!(code, Some(expected), "{stderr}");
    assert!(stderr.contains("error: stopped by "), "{stderr}");
    assert!(stderr.contains("\nhint: "), "{stderr}");
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

/// A fit that nobody sees the end of.
const WITHOUT_END: [&str; 5] = ["run", "mine.toml", "-q", "--set", "probe.tol=1e-300"];

#[test]
fn a_signal_that_comes_twice_at_once_is_one_signal() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    // As GNU timeout sends it. Which of two is first is the system's to say.
    let twice = "kill -s TERM $pid; kill -s TERM $pid; kill -s USR1 $pid";
    assert_stopped(
        stopped(&sandbox, &WITHOUT_END, after(Duration::ZERO), twice),
        75,
    );
}

#[test]
fn a_signal_stops_the_program_unless_it_was_started_to_ignore_it() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    let hang_up = "kill -s HUP $pid";
    assert_stopped(
        stopped(&sandbox, &WITHOUT_END, after(Duration::ZERO), hang_up),
        75,
    );

    // As nohup does it, a batch script, and a shell with what it starts in the background.
    for (ignored, heard, code) in [
        ("HUP", "INT", 130),
        ("USR1", "TERM", 75),
        ("INT", "TERM", 75),
    ] {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("trap '' {ignored}; exec \"$@\""), "sh"]);
        let program = sandbox.command(&WITHOUT_END);
        shell
            .arg(program.get_program())
            .args(program.get_args())
            .current_dir(sandbox.path(""))
            .env("NEWT_PIPE_CACHE", sandbox.path("cache"));
        let run = Running::start(&mut shell);
        wait_until_signals_are_caught(&run.0);
        signal(&run.0, ignored);
        signal(&run.0, heard);
        assert_eq!(run.ended().0, Some(code), "{ignored}");
    }
}

#[test]
fn a_stop_is_heard_between_resamples() {
    let sandbox = Sandbox::new();
    let n_test = 100_000;
    let mut csv = "id,task,task_cluster,task_subcluster,label,split\n".to_owned();
    let ids: Vec<String> = (0..n_test + 4).map(|row| format!("{row:06}")).collect();
    for (row, id) in ids.iter().enumerate() {
        let split = if row < 4 { "train" } else { "test" };
        csv.push_str(&format!("{id},task,cluster,,{},{split}\n", row % 2));
    }
    sandbox.write("data/newt2021_labels.csv", csv);
    let values: Vec<f32> = (0..ids.len())
        .flat_map(|row| [[1.0, 0.0], [0.0, 1.0]][row % 2])
        .collect();
    write_features(&sandbox.path("features.safetensors"), &ids, &values, 2);
    sandbox.write("mine.toml", MINE);
    // Minutes: three groups of 10^11 draws.
    let arguments = ["run", "mine.toml", "--set", "bootstrap.resamples=1000000"];
    let reported = |_| sandbox.path("cache/actions/report").exists();
    let ended = stopped(&sandbox, &arguments, reported, "kill -s TERM $pid");
    assert_stopped(ended, 75);
    assert!(!sandbox.path("results").join("mine").exists());
}

#[test]
fn a_stop_is_heard_while_probes_predict() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 200, 64);
    let run = sandbox.run(&[
        "run",
        "mine.toml",
        "--save-probes",
        "--set",
        "probe.c=1",
        "--set",
        "probe.search=false",
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let n = 200_000;
    let ids: Vec<String> = (0..n).map(|row| format!("{row:06}")).collect();
    let values: Vec<f32> = (0..n * 64).map(|place| (place % 97) as f32 + 1.0).collect();
    write_features(&sandbox.path("many.safetensors"), &ids, &values, 64);
    let arguments = [
        "predict",
        "--probe",
        "results/mine/probes.safetensors",
        "--features",
        "many.safetensors",
        "--any-backbone",
        "--output",
        "predictions.parquet",
    ];
    let ended = stopped(
        &sandbox,
        &arguments,
        after(Duration::from_millis(1500)),
        "kill -s INT $pid",
    );
    assert!(ended.1.contains("hint: the same command begins again\n"));
    assert_stopped(ended, 130);
    assert!(!sandbox.path("predictions.parquet").exists());
}

#[test]
fn a_stop_is_heard_while_weights_are_loaded_and_tried() {
    let sandbox = Sandbox::new();
    let arguments = ["models", "check", "random", "vit_large_patch16_224"];
    // Early, on the way, and late.
    for wait in [0, 500, 1000] {
        let due = after(Duration::from_millis(wait));
        assert_stopped(stopped(&sandbox, &arguments, due, "kill -s INT $pid"), 130);
    }
}

#[test]
fn a_fit_without_end_says_so_and_can_be_stopped() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    // A tolerance below what rounding allows.
    let mut run = Running::start(&mut sandbox.command(&WITHOUT_END));
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
        let limited = sandbox.run(&[&WITHOUT_END[..], &["--set", "probe.max_iter=2000"]].concat());
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
