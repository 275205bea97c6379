//! Standard streams that are closed, full, or lead nowhere.

use std::process::{Command, Stdio};

use crate::sandbox::{Finished, Sandbox, draw_data, precomputed};

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
