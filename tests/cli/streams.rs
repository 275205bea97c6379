//! Standard streams that are closed, full, or lead nowhere.

use std::cell::RefCell;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fs_err::os::unix::fs::OpenOptionsExt;

use crate::interruption::signal;
use crate::sandbox::{Finished, Sandbox, draw_data, precomputed, wait_until};

/// Runs the program as a shell does with a redirection such as `>&-`.
fn redirected(sandbox: &Sandbox, redirection: &str, arguments: &[&str]) -> Finished {
    let program = sandbox.command(arguments);
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("exec \"$0\" \"$@\" {redirection}"))
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(sandbox.path(""))
        .env_clear()
        .envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::null());
    sandbox.finish(shell)
}

/// Commands that print a result: each by another way.
const COMMANDS: [&[&str]; 12] = [
    &["run", "mine.toml"],
    &["run", "mine.toml", "--json"],
    &["run", "mine.toml", "--dry-run"],
    &["plan", "mine.toml"],
    &["plan", "mine.toml", "--full"],
    &["config"],
    &["completions", "zsh"],
    &["models", "ls", "--json"],
    &["cache", "path"],
    &["data", "check", "drawn", "--quick"],
    &["--help"],
    &["--version"],
];

#[test]
fn a_result_that_cannot_be_written_is_an_error_that_names_standard_output() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    fs_err::rename(sandbox.path("data"), sandbox.path("kept")).unwrap();
    draw_data(&sandbox);
    fs_err::rename(sandbox.path("data"), sandbox.path("drawn")).unwrap();
    fs_err::rename(sandbox.path("kept"), sandbox.path("data")).unwrap();
    let probes = ["run", "mine.toml", "-q", "--save-probes", "--out", "saved"];
    assert_eq!(sandbox.run(&probes).code, Some(0));
    let predict = [
        "predict",
        "--probe",
        "saved/probes.safetensors",
        "--features",
        "features.safetensors",
    ];
    for arguments in COMMANDS.into_iter().chain([&predict[..]]) {
        for (redirection, why) in [
            (">/dev/full", "not written: No space left on device"),
            (">&-", "closed, expected a place for the result"),
            ("1<mine.toml", "closed, expected a place for the result"),
        ] {
            let finished = redirected(&sandbox, redirection, arguments);
            assert_eq!(
                finished.code,
                Some(1),
                "{arguments:?} {redirection}: {}",
                finished.stderr
            );
            let error = format!("error: standard output: {why}");
            assert!(
                finished.stderr.contains(&error),
                "{arguments:?} {redirection}: {}",
                finished.stderr
            );
        }
        let dropped = redirected(&sandbox, ">/dev/null", arguments);
        assert_eq!(dropped.code, Some(0), "{arguments:?}: {}", dropped.stderr);
    }
}

#[test]
fn a_closed_standard_output_is_told_before_work_and_is_nothing_to_what_prints_nothing() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    let finished = redirected(&sandbox, ">&-", &["run", "mine.toml"]);
    assert_eq!(finished.code, Some(1));
    assert!(!sandbox.path("cache").exists() && !sandbox.path("results").exists());

    let checked = redirected(&sandbox, ">&-", &["run", "mine.toml", "--check"]);
    assert_eq!(checked.code, Some(4), "{}", checked.stderr);
    let export = ["features", "export", "mine.toml", "-o", "f.safetensors"];
    let exported = redirected(&sandbox, ">&-", &export);
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    assert!(sandbox.path("f.safetensors").exists());
    // What is wrong with arguments goes to standard error.
    let misused = redirected(&sandbox, ">&-", &["run", "--no-such-flag"]);
    assert_eq!(misused.code, Some(2), "{}", misused.stderr);
}

#[test]
fn messages_to_a_closed_standard_error_reach_no_file_that_is_opened() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let heard = sandbox.run(&["run", "mine.toml", "--out", "heard"]);
    assert!(heard.stderr.contains("never made before"));
    fs_err::remove_dir_all(sandbox.path("cache")).unwrap();
    let unheard = redirected(
        &sandbox,
        "<&- 2>&-",
        &["run", "mine.toml", "--out", "unheard"],
    );
    assert_eq!((unheard.code, &unheard.stdout), (Some(0), &heard.stdout));
    for name in [
        "predictions.parquet",
        "probes.parquet",
        "scores.parquet",
        "bootstrap.parquet",
    ] {
        let bytes = |out: &str| fs_err::read(sandbox.path(out).join(name)).unwrap();
        assert!(bytes("unheard") == bytes("heard"), "{name}");
    }
    // An object or a record with a message in it would be made again, with a warning.
    let again = sandbox.run(&["run", "mine.toml", "--quiet", "--check"]);
    assert_eq!((again.code, again.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    let sandbox = Sandbox::new();
    for arguments in [&["completions", "bash"][..], &["--help"], &["config"]] {
        let mut command = sandbox.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), error.as_str()), (Some(0), ""));
    }
}

/// The pipe `pipe`, of which a pipeline may be read.
fn with_pipe() -> Sandbox {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    let made = Command::new("mkfifo").arg(sandbox.path("pipe")).status();
    assert!(made.unwrap().success());
    sandbox
}

#[test]
fn a_stop_is_heard_while_a_pipeline_is_awaited_from_a_pipe() {
    let sandbox = with_pipe();
    for arguments in [
        &["run", "pipe"][..],
        &["plan", "pipe"],
        &["cache", "path", "pipe"],
        &["features", "export", "pipe", "-o", "out.safetensors"],
    ] {
        let mut command = sandbox.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut program = command.stderr(Stdio::piped()).spawn().unwrap();
        // Without a wait, a pipe can be opened for writing once somebody reads it.
        let writer = RefCell::new(None);
        wait_until("the pipe is read", || {
            let mut options = fs_err::OpenOptions::new();
            let opened = options.write(true).custom_flags(libc::O_NONBLOCK);
            writer.replace(opened.open(sandbox.path("pipe")).ok());
            writer.borrow().is_some()
        });
        signal(&program, "TERM");
        let started = Instant::now();
        while program.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_mins(2) {
            std::thread::sleep(Duration::from_millis(20));
        }
        program.kill().ok();
        let output = program.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(75), "{arguments:?}: {stderr}");
        assert!(stderr.contains("error: stopped by SIGTERM"), "{stderr}");
    }
}

#[test]
fn paths_in_a_pipeline_that_comes_through_a_pipe_start_at_the_working_folder() {
    let sandbox = with_pipe();
    fs_err::create_dir(sandbox.path("elsewhere")).unwrap();
    fs_err::rename(sandbox.path("pipe"), sandbox.path("elsewhere/pipe")).unwrap();
    let (from, to) = (sandbox.path("mine.toml"), sandbox.path("elsewhere/pipe"));
    let mut cat = Command::new("sh")
        .args(["-c", "exec cat \"$0\" >\"$1\""])
        .args([from, to])
        .spawn()
        .unwrap();
    let run = sandbox.run(&["run", "elsewhere/pipe", "-q", "--out", "out"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(cat.wait().unwrap().success());
}

#[test]
fn features_and_probes_from_a_pipe_are_refused_with_what_to_do() {
    let sandbox = with_pipe();
    let arguments = ["predict", "--probe", "pipe", "--features", "pipe"];
    crate::assert_run!(sandbox.run(&arguments), @r"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: pipe: is a named pipe, expected a regular file
    hint: write what comes through the pipe into a file first, and give the path of that
    ");
}
