//! Pipeline files and flags that are wrong.

use crate::sandbox::{Sandbox, precomputed};

fn run(arguments: &[&str]) -> crate::sandbox::Finished {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    sandbox.run(&[&["run", "mine.toml"], arguments].concat())
}

#[test]
fn an_unknown_key_names_file_line_and_the_nearest_key() {
    let sandbox = Sandbox::new();
    sandbox.write("bad.toml", "[data]\nroot = \"data\"\n\n[model]\norg = \"random\"\nckpt = \"x\"\n\n[probe]\nkernal = \"rbf\"\n");
    crate::assert_run!(sandbox.run(&["run", "bad.toml"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: bad.toml:9: unknown key `probe.kernal`
    hint: did you mean `probe.kernel`?
    ");
}

#[test]
fn a_missing_file_is_named() {
    crate::assert_run!(Sandbox::new().run(&["run", "none.toml"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: failed to open file `none.toml`: No such file or directory (os error 2)
    hint: name a pipeline file, or none for the built-in quickstart
    ");
}

#[test]
fn a_value_out_of_range_is_shown_with_what_is_expected() {
    crate::assert_run!(run(&["--set", "probe.c=-1"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: --set: `probe.c` is `-1`, expected a number above 0, or a list of such
    hint: `newt-pipe config` shows every key with its default
    ");
    crate::assert_run!(run(&["--set", "bootstrap.alpha=1.5"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: --set: `bootstrap.alpha` is `1.5`, expected a number between 0 and 1
    hint: `newt-pipe config` shows every key with its default
    ");
    crate::assert_run!(run(&["--set", "probe.kernel=[\"rbf\", \"cosine\"]"]), @r#"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: --set: `probe.kernel` is `["rbf", "cosine"]`, expected `"linear"`, `"rbf"`, `"poly"` or `"sigmoid"`, or a list of such
    hint: `newt-pipe config` shows every key with its default
    "#);
}

#[test]
fn a_kernel_that_the_solver_does_not_have_is_refused_before_anything_runs() {
    let linfa = ["--set", "probe.solver=linfa", "--set"];
    crate::assert_run!(run(&[&linfa[..], &["probe.kernel=sigmoid"]].concat()), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: mine.toml and --set: probe.solver: `linfa` has no sigmoid kernel, expected `smo`, or kernels among `linear`, `rbf` and `poly`
    hint: change one of the settings that the message names
    ");
    crate::assert_run!(run(&[&linfa[..], &["sample.n_train=10"]].concat()), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: mine.toml and --set: probe.solver: `linfa` has no sigmoid kernel, expected `smo`, or kernels among `linear`, `rbf` and `poly`
    hint: change one of the settings that the message names
    ");
}

#[test]
fn one_train_row_is_refused() {
    crate::assert_run!(run(&["--set", "sample.n_train=1"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: --set: `sample.n_train` is `1`, expected a whole number of at least 2 (0 or below: all train rows), or a list of such
    hint: `newt-pipe config` shows every key with its default
    ");
}

#[test]
fn a_pattern_that_no_task_fits_is_refused() {
    crate::assert_run!(run(&["--tasks", "ml_*"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: --tasks ml_*: matches none of 2 tasks
    hint: a pattern is matched against whole task names, as in `--tasks 'ml_*'`
    ");
}

#[test]
fn a_results_folder_with_other_files_is_left_alone() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    sandbox.write("notes/thesis.tex", "draft");
    crate::assert_run!(sandbox.run(&["run", "mine.toml", "--out", "notes"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: notes: holds `thesis.tex`, expected an empty folder or the results of a run
    hint: choose another folder with `--out`
    ");
    assert_eq!(
        fs_err::read_to_string(sandbox.path("notes/thesis.tex")).unwrap(),
        "draft"
    );
}

#[test]
fn a_printed_file_is_the_default_for_data_beside_it() {
    let sandbox = Sandbox::new();
    let printed = sandbox.run(&["config"]);
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    sandbox.write("newt.toml", &printed.stdout);
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/default.toml");
    let spelled = |file: &str, root: &[&str]| {
        let plan = sandbox.run(&[&["plan", "--full", file], root].concat());
        assert_eq!(plan.code, Some(0), "{}", plan.stderr);
        plan.stdout
    };
    assert_eq!(
        spelled("newt.toml", &[]),
        spelled(default, &["--set", "data.root=data/newt"])
    );
}

#[test]
fn every_key_of_the_default_file_has_the_default_that_it_shows() {
    let sandbox = Sandbox::new();
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/default.toml");
    let minimal = "[data]\nroot = \"ROOT\"\n[model]\norg = \"timm\"\nckpt = \"CKPT\"\n";
    sandbox.write("minimal.toml", minimal);
    let same = ["--set", "data.root=ROOT", "--set", "model.ckpt=CKPT"];
    let spelled = |file: &str| sandbox.run(&[&["plan", "--full", file], &same[..]].concat());
    let (written, left_out) = (spelled(default), spelled("minimal.toml"));
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    assert_eq!(written.stdout, left_out.stdout);
    // The optional lines are comments; uncommented they must be keys that the program knows.
    let text = fs_err::read_to_string(default).unwrap();
    let probe = text
        .split("\n[probe]\n")
        .nth(1)
        .unwrap()
        .split("[bootstrap]")
        .next()
        .unwrap();
    let keys: Vec<&str> = probe
        .lines()
        .take_while(|line| !line.contains("A search of your own"))
        .filter_map(|line| {
            let rest = line.strip_prefix("# ")?;
            let key = rest.split(" = ").next()?;
            (key.len() < rest.len() && !key.contains(' ')).then_some(rest)
        })
        .collect();
    sandbox.write(
        "all.toml",
        format!("{minimal}[probe]\n{}\n", keys.join("\n")),
    );
    let all = spelled("all.toml");
    assert_eq!(all.code, Some(0), "{}", all.stderr);
    assert_eq!(all.stdout, left_out.stdout);
}

#[test]
fn a_spelled_out_pipeline_means_what_it_was_spelled_out_from() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let mine = fs_err::read_to_string(sandbox.path("mine.toml")).unwrap();
    let mine = mine
        .replace("\"data\"", "\"../data\"")
        .replace("\"features", "\"../features");
    sandbox.write("files/mine.toml", mine);
    let sets = [
        "--set",
        "sample.n_train=12",
        "--set",
        "probe.class_weight=balanced",
        "--set",
        "probe.tol=1e-4",
    ];
    let once = sandbox.run(&[&["plan", "--full", "files/mine.toml"], &sets[..]].concat());
    assert_eq!(once.code, Some(0), "{}", once.stderr);
    sandbox.write(
        "elsewhere/spelled.toml",
        once.stdout
            .replace("[DIR]", &sandbox.path("").display().to_string()),
    );
    let twice = sandbox.run(&["plan", "--full", "elsewhere/spelled.toml"]);
    assert_eq!(twice.stdout, once.stdout);
    let document = sandbox.json(&["run", "elsewhere/spelled.toml"]);
    let original = sandbox.json(&[&["run", "files/mine.toml"], &sets[..]].concat());
    assert_eq!(
        document["experiments"][0]["stages"][5]["key"],
        original["experiments"][0]["stages"][5]["key"]
    );
}

#[test]
fn a_list_without_brackets_is_shown_as_it_is_written() {
    crate::assert_run!(run(&["--set", "sample.n_train=6,10"]), @r#"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: --set: `sample.n_train` is `"6,10"`, expected a whole number of at least 2 (0 or below: all train rows), or a list of such
    hint: a list is written `--set 'sample.n_train=[6, 10]'`
    "#);
    // As the hint says.
    assert_eq!(run(&["--set", "sample.n_train=[6, 10]"]).code, Some(0));
}

#[test]
fn values_of_a_sweep_that_mean_the_same_are_both_named() {
    crate::assert_run!(run(&["--set", "sample.n_train=[-1, -2]"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: --set: `n_train = -1` and `n_train = -2` in the sweep both take all train rows
    hint: keep one of them
    ");
    crate::assert_run!(run(&["--set", "sample.n_train=[6, 6]"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: --set: `n_train = 6` stands twice in the sweep
    hint: keep one of them
    ");
    crate::assert_run!(run(&["--set", "probe.c=[1, 1.0]"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: mine.toml and --set: `biobench c=1.0` stands twice in the sweep
    hint: keep one of them
    ");
}

#[test]
fn a_sweep_of_more_experiments_than_memory_holds_is_refused() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    let list = |key: &str| {
        let values: Vec<String> = (1..=2000).map(|n| format!("{n}.5")).collect();
        format!("probe.{key}=[{}]", values.join(", "))
    };
    let (c, gamma, coef0) = (list("c"), list("gamma"), list("coef0"));
    let sets = ["--set", &c, "--set", &gamma, "--set", &coef0];
    let finished = sandbox.run(&[&["plan", "mine.toml"][..], &sets].concat());
    crate::assert_run!(finished, @r"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: --set: `probe.gamma` is a list of 2,000 values, expected a sweep of 1,000,000 experiments at most
    hint: divide the sweep among several pipeline files
    ");
}

#[test]
fn a_zero_byte_in_a_path_or_a_name_is_a_mistake_in_the_pipeline_file() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    for (key, expected) in [
        ("data.root", "a path"),
        ("cache.dir", "a path"),
        ("model.ckpt", "a text"),
        ("model.org", "a text"),
    ] {
        let set = format!(r#"{key}="S\u0000x""#);
        let finished = sandbox.run(&["run", "mine.toml", "--set", &set]);
        assert_eq!(finished.code, Some(2), "{key}: {}", finished.stderr);
        let error = format!("error: --set: `{key}` is ");
        assert!(finished.stderr.starts_with(&error), "{}", finished.stderr);
        let expected = format!(", expected {expected}\nhint: ");
        assert!(finished.stderr.contains(&expected), "{}", finished.stderr);
    }
}
