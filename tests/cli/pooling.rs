//! `model.pool`: what it changes, what it leaves, and what a model does not have.

use std::path::Path;

use serde_json::Value;

use crate::assert_run;
use crate::sandbox::{Sandbox, draw_data, precomputed, put_checkpoint};

/// A Vision Transformer with a class token, and eight images.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    put_checkpoint(&sandbox, "weights");
    draw_data(&sandbox);
    sandbox.write(
        "mine.toml",
        "[data]\nroot = \"data\"\n\n[model]\norg = \"timm\"\nckpt = \"local-dir:weights\"\n",
    );
    sandbox
}

/// The stage `features` of the first experiment.
fn features(document: &Value) -> &Value {
    let stages = document["experiments"][0]["stages"].as_array().unwrap();
    let mut stages = stages.iter();
    stages.find(|stage| stage["stage"] == "features").unwrap()
}

fn run(sandbox: &Sandbox, pool: &str) -> Value {
    sandbox.json(&["run", "mine.toml", "--set", &format!("model.pool={pool}")])
}

#[test]
fn a_choice_that_means_what_auto_means_finds_its_features() {
    let sandbox = sandbox();
    let auto = sandbox.json(&["run", "mine.toml"]);
    assert_eq!(features(&auto)["images_extracted"], 8);
    assert_eq!(auto["experiments"][0]["model"].get("pool"), None);
    for pool in ["cls", "head"] {
        let same = run(&sandbox, pool);
        assert_eq!(features(&same)["status"], "cached", "{pool}");
        assert_eq!(features(&same)["key"], features(&auto)["key"], "{pool}");
        assert_eq!(same["experiments"][0]["model"]["pool"], pool);
    }
    let mean = run(&sandbox, "mean");
    assert_eq!(features(&mean)["images_extracted"], 8);
    assert_ne!(features(&mean)["key"], features(&auto)["key"]);
    let max = run(&sandbox, "max");
    assert_eq!(features(&max)["images_extracted"], 8);
}

#[test]
fn models_that_differ_in_their_pooling_are_told_apart() {
    let sandbox = sandbox();
    let model = "[[models]]\norg = \"timm\"\nckpt = \"local-dir:weights\"\n";
    let models = |pools: [&str; 2]| {
        let models = pools.map(|pool| format!("{model}pool = \"{pool}\"\n"));
        format!("[data]\nroot = \"data\"\n\n{}", models.concat())
    };
    sandbox.write("two.toml", models(["auto", "mean"]));
    let run = sandbox.run(&["run", "two.toml"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stdout.contains("timm/local-dir:weights "),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("timm/local-dir:weights, pool mean "),
        "{}",
        run.stdout
    );
    sandbox.write("twice.toml", models(["mean", "mean"]));
    assert_run!(sandbox.run(&["run", "twice.toml"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: twice.toml:4: `timm/local-dir:weights, pool mean` stands twice in the sweep
    hint: keep one of them
    ");
}

#[test]
fn a_plan_spells_the_pooling_out() {
    let sandbox = sandbox();
    let plan = |arguments: &[&str]| {
        let plan = sandbox.run(&[&["plan", "--full", "mine.toml"], arguments].concat());
        assert_eq!(plan.code, Some(0), "{}", plan.stderr);
        plan.stdout
    };
    assert!(plan(&[]).contains("\npool = \"auto\"\n"));
    assert!(plan(&["--set", "model.pool=mean"]).contains("\npool = \"mean\"\n"));
}

#[test]
fn an_unknown_pooling_is_refused_with_those_that_are_known() {
    assert_run!(sandbox().run(&["run", "mine.toml", "--set", "model.pool=avg"]), @r#"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: --set: `model.pool` is `"avg"`, expected `"auto"`, `"cls"`, `"mean"`, `"max"` or `"head"`
    hint: `newt-pipe config` shows every key with its default
    "#);
    assert_run!(sandbox().run(&["models", "check", "timm", "local-dir:weights", "--pool", "avg"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: invalid value 'avg' for '--pool <POOL>': expected `auto`, `cls`, `mean`, `max` or `head`

    For more information, try '--help'.
    ");
}

#[test]
fn a_pooling_that_a_network_lacks_is_refused_with_those_that_it_has() {
    let sandbox = sandbox();
    let run = |pool: &str| {
        sandbox.run(&[
            "run",
            "mine.toml",
            "--set",
            "model.org=random",
            "--set",
            "model.ckpt=mobilenetv3_small_050",
            "--set",
            &format!("model.pool={pool}"),
        ])
    };
    let refused = run("cls");
    for pool in ["auto", "mean", "max", "head"] {
        assert!(refused.stderr.contains(&format!("`{pool}`")));
        let followed = run(pool);
        assert_eq!(followed.code, Some(0), "{pool}: {}", followed.stderr);
    }
    assert_run!(refused, @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: `model.pool`: `random/mobilenetv3_small_050` has no pooling `cls`
    hint: set `model.pool` to `auto`, `mean`, `max` or `head`
    ");
}

#[test]
fn features_of_a_file_are_pooled_already() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let refused = sandbox.run(&["run", "mine.toml", "--set", "model.pool=mean"]);
    let followed = sandbox.run(&["run", "mine.toml", "--set", "model.pool=auto"]);
    assert_eq!(followed.code, Some(0), "{}", followed.stderr);
    assert_run!(refused, @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: `model.pool`: `precomputed/features.safetensors` has no pooling `mean`
    hint: set `model.pool` to `auto`
    ");
}

#[test]
fn a_module_pools_by_itself() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fixtures/script");
    let sandbox = Sandbox::new();
    for name in ["tiny.pt", "tiny.toml"] {
        sandbox.write(name, fs_err::read(fixtures.join(name)).unwrap());
    }
    let check = |pool: &str| {
        let model = ["models", "check", "torchscript", "tiny.pt", "--allow-code"];
        sandbox.run(&[&model[..], &["--pool", pool]].concat())
    };
    let followed = check("auto");
    assert_eq!(followed.code, Some(0), "{}", followed.stderr);
    assert_run!(check("max"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: `model.pool`: `torchscript/tiny.pt` has no pooling `max`
    hint: set `model.pool` to `auto`
    ");
}

#[test]
fn a_look_at_a_checkpoint_names_its_poolings() {
    let sandbox = sandbox();
    let check = |pool: &str| {
        let model = ["models", "check", "timm", "local-dir:weights"];
        sandbox.run(&[&model[..], &["--pool", pool]].concat())
    };
    let line = |pool: &str| {
        let checked = check(pool).stdout;
        let mut lines = checked.lines().map(str::to_owned);
        lines.find(|line| line.starts_with("pooling")).unwrap()
    };
    insta::assert_snapshot!(line("cls"), @"pooling        cls (= auto, head); it also has mean, max");
    insta::assert_snapshot!(line("mean"), @"pooling        mean; it also has auto, cls, max, head");
    let document = sandbox.json(&[
        "models",
        "check",
        "timm",
        "local-dir:weights",
        "--pool",
        "mean",
    ]);
    assert_eq!(document["pool"], "mean");
    let pools = serde_json::json!(["auto", "cls", "mean", "max", "head"]);
    assert_eq!(document["pools"], pools);
}
