//! Features as the network gives them, and scaled to unit L2 norm: the setting, files of both, and probes on either.

use std::collections::BTreeMap;

use newt_pipe::Interrupt;
use newt_pipe::internals::artifact::{FeatureFile, Table};
use serde_json::Value;

use crate::sandbox::{Finished, Sandbox, draw_data, precomputed, put_checkpoint, statuses};

/// A network on eight images.
fn network() -> Sandbox {
    let sandbox = Sandbox::new();
    draw_data(&sandbox);
    put_checkpoint(&sandbox, "model");
    sandbox.write(
        "mine.toml",
        "data.root = \"data\"\nmodel.org = \"timm\"\nmodel.ckpt = \"local-dir:model\"\n",
    );
    sandbox
}

fn export(sandbox: &Sandbox, flags: &[&str], output: &str) -> FeatureFile {
    let arguments = ["features", "export", "mine.toml", "-o", output];
    let finished = sandbox.run(&[&arguments[..], flags].concat());
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    FeatureFile::open(&sandbox.path(output), &Interrupt::default()).unwrap()
}

/// The smallest and the largest norm of a file's rows.
fn norms(file: &FeatureFile) -> [f64; 2] {
    let norm = |row: ndarray::ArrayView1<'_, f32>| {
        let squares = row.iter().map(|value| f64::from(*value).powi(2));
        squares.sum::<f64>().sqrt()
    };
    let rows = file.features().rows().into_iter().map(norm);
    rows.fold([f64::MAX, 0.0], |[low, high], norm| {
        [low.min(norm), high.max(norm)]
    })
}

fn are_unit([low, high]: [f64; 2]) -> bool {
    low > 0.9999 && high < 1.0001
}

/// Each decision of a run, by its bits.
fn decisions(sandbox: &Sandbox, out: &str) -> BTreeMap<String, u64> {
    let bytes = fs_err::read(sandbox.path(out).join("predictions.parquet")).unwrap();
    let table = Table::from_parquet(&bytes).unwrap();
    let decisions = table.column::<f64>("decision").unwrap().into_iter();
    let ids = table.column::<String>("img_id").unwrap().into_iter();
    ids.zip(decisions.map(f64::to_bits)).collect()
}

/// The key of stage `probes`, which holds the digest of all rows that the probes are fitted on.
fn key_of_probes(document: &Value) -> Value {
    document["experiments"][0]["stages"][3]["key"].clone()
}

#[test]
fn another_l2_extracts_nothing_again() {
    let sandbox = network();
    let run = |l2: &str| {
        let set = format!("features.l2={l2}");
        let document = sandbox.json(&["run", "mine.toml", "--set", &set]);
        let stage = document["experiments"][0]["stages"][2].clone();
        let n_extracted = stage["images_extracted"].as_u64().unwrap();
        (
            n_extracted,
            statuses(&document)[2].clone(),
            key_of_probes(&document),
        )
    };
    let (n_extracted, _, of_auto) = run("auto");
    assert_eq!(n_extracted, 8);
    let (n_extracted, status, of_false) = run("false");
    assert_eq!((n_extracted, status.as_str()), (0, "features ran"));
    assert_ne!(of_auto, of_false);
    // For a network it makes no difference who says that rows are scaled.
    for l2 in ["true", "auto", "false"] {
        let (n_extracted, status, _) = run(l2);
        assert_eq!((n_extracted, status.as_str()), (0, "features cached"));
    }
    let plan = sandbox.json(&["plan", "mine.toml", "--set", "features.l2=false"]);
    assert_eq!(plan["experiments"][0]["stages"][2]["status"], "cached");
}

#[test]
fn forced_features_are_extracted_once_for_both() {
    let sandbox = network();
    let force = |l2: &str| {
        let set = format!("features.l2={l2}");
        let document = sandbox.json(&["run", "mine.toml", "--force", "features", "--set", &set]);
        key_of_probes(&document)
    };
    let first = force("true");
    force("false");
    assert_eq!(force("true"), first);
}

#[test]
fn a_file_of_either_serves_a_run_as_the_network_does() {
    let sandbox = network();
    let of_network = sandbox.json(&["run", "mine.toml", "--out", "network"]);
    let scaled = export(&sandbox, &[], "auto.safetensors");
    assert_eq!((scaled.l2, are_unit(norms(&scaled))), (Some(true), true));
    let set = export(&sandbox, &["--l2"], "l2.safetensors");
    assert_eq!((set.features(), set.l2), (scaled.features(), Some(true)));
    let raw = export(&sandbox, &["--raw"], "raw.safetensors");
    let [low, _] = norms(&raw);
    assert_eq!((raw.l2, low > 1.1), (Some(false), true));
    let by_setting = export(&sandbox, &["--set", "features.l2=false"], "set.safetensors");
    assert_eq!(by_setting.features(), raw.features());

    let expected = decisions(&sandbox, "network");
    for (name, said) in [
        ("auto", ""),
        (
            "raw",
            "raw.safetensors: 8 of 8 rows with an L2 norm other than 1; all are scaled to norm 1, as the protocol has them\n",
        ),
    ] {
        let ckpt = format!("model.ckpt={name}.safetensors");
        let of_file = ["--set", "model.org=precomputed", "--set", &ckpt];
        let run = ["run", "mine.toml", "--json", "--out", name];
        let finished = sandbox.run(&[&run[..], &of_file].concat());
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        let lines = finished.stderr.split_inclusive('\n');
        let about: String = lines.filter(|line| line.contains("norm")).collect();
        assert_eq!(about, said);
        let document = serde_json::from_str(&finished.stdout).unwrap();
        assert_eq!(key_of_probes(&document), key_of_probes(&of_network));
        assert_eq!(decisions(&sandbox, name), expected);
    }
}

#[test]
fn a_file_that_is_exported_from_another_says_of_its_rows_what_that_does() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    assert_eq!(export(&sandbox, &["--raw"], "as.safetensors").l2, None);
    assert_eq!(export(&sandbox, &["--l2"], "l2.safetensors").l2, Some(true));
    let again = ["--raw", "--set", "model.ckpt=l2.safetensors"];
    assert_eq!(export(&sandbox, &again, "b.safetensors").l2, Some(true));
}

#[test]
fn scaling_that_is_set_is_not_found_where_the_protocol_left_rows_as_they_were() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    sandbox.json(&["run", "mine.toml"]);
    let set = sandbox.json(&["run", "mine.toml", "--set", "features.l2=true"]);
    assert_eq!(statuses(&set)[2], "features ran");
    let again = sandbox.json(&["run", "mine.toml", "--set", "features.l2=true"]);
    assert_eq!(statuses(&again)[2], "features cached");
}

fn predict(sandbox: &Sandbox, features: &str) -> Finished {
    let probe = ["predict", "--probe", "saved/probes.safetensors"];
    sandbox.run(&[&probe[..], &["--features", features]].concat())
}

#[test]
fn probes_of_scaled_rows_take_raw_ones_of_their_network_without_a_word() {
    let sandbox = network();
    sandbox.json(&["run", "mine.toml", "--save-probes", "--out", "saved"]);
    export(&sandbox, &["--raw"], "raw.safetensors");
    export(&sandbox, &["--l2"], "l2.safetensors");
    let (raw, l2) = (
        predict(&sandbox, "raw.safetensors"),
        predict(&sandbox, "l2.safetensors"),
    );
    assert_eq!((raw.code, raw.stderr.as_str()), (Some(0), ""));
    assert_eq!((l2.code, l2.stderr.as_str()), (Some(0), ""));
    assert_eq!(raw.stdout, l2.stdout);
}

#[test]
fn probes_of_raw_rows_refuse_scaled_ones() {
    let sandbox = network();
    let run = ["run", "mine.toml", "--save-probes", "--out", "saved"];
    sandbox.json(&[&run[..], &["--set", "features.l2=false"]].concat());
    export(&sandbox, &["--l2"], "l2.safetensors");
    let refused = predict(&sandbox, "l2.safetensors");
    assert_eq!(refused.code, Some(3));
    let lines: Vec<&str> = refused.stderr.lines().collect();
    assert!(
        lines[0].starts_with("error: l2.safetensors: every row has L2 norm 1, the probes were fitted on rows of norm "),
        "{}",
        refused.stderr
    );
    assert_eq!(
        lines[1],
        "hint: `newt-pipe features export --raw` with the pipeline of the probes writes rows that fit"
    );
    // As the hint says.
    export(&sandbox, &["--raw"], "raw.safetensors");
    let fits = predict(&sandbox, "raw.safetensors");
    assert_eq!((fits.code, fits.stderr.as_str()), (Some(0), ""));
}

#[test]
fn what_neither_the_setting_nor_the_flags_take_is_refused() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    crate::assert_run!(sandbox.run(&["run", "mine.toml", "--set", "features.l2=yes"]), @r#"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: --set: `features.l2` is `"yes"`, expected `"auto"`, `true` or `false`
    hint: `newt-pipe config` shows every key with its default
    "#);
    let both = sandbox.run(&["features", "export", "mine.toml", "--raw", "--l2"]);
    assert_eq!(both.code, Some(2));
    assert!(
        both.stderr.contains("'--raw' cannot be used with '--l2'"),
        "{}",
        both.stderr
    );
}

#[test]
fn a_protocol_of_raw_rows_refuses_scaled_ones_and_the_hints_get_on() {
    let sandbox = network();
    export(&sandbox, &["--l2"], "scaled.safetensors");
    export(&sandbox, &["--raw"], "raw.safetensors");
    let of = |command: &str, file: &str, set: &str| {
        let ckpt = format!("model.ckpt={file}");
        let protocol = "probe.protocol=simpleshot";
        let settings = [
            "--set",
            "model.org=precomputed",
            "--set",
            &ckpt,
            "--set",
            protocol,
            "--set",
            set,
        ];
        sandbox.run(&[&[command, "mine.toml"], &settings[..]].concat())
    };
    let refused = of("run", "scaled.safetensors", "sample.n_train=-1");
    assert_eq!(refused.code, Some(3));
    let (error, hint) = refused.stderr.split_once("hint: ").unwrap();
    assert!(
        error
            .contains("every row has L2 norm 1, the protocol takes rows as the network gives them"),
        "{error}"
    );
    assert_eq!(
        hint,
        "`newt-pipe features export --raw` writes such rows; `--set features.l2=true` takes these\n"
    );
    // A plan says so, too, and a sweep before anything else.
    assert_eq!(
        of("plan", "scaled.safetensors", "sample.n_train=-1").code,
        Some(3)
    );
    let sweep = "probe.protocol=[\"biobench\", \"simpleshot\"]";
    let said = of("run", "scaled.safetensors", sweep);
    assert_eq!(
        (said.code, said.stderr.contains("[1/2]")),
        (Some(3), false),
        "{}",
        said.stderr
    );
    assert_eq!(
        of("run", "raw.safetensors", "sample.n_train=-1").code,
        Some(0)
    );
    assert_eq!(
        of("run", "scaled.safetensors", "features.l2=true").code,
        Some(0)
    );
    let set_off = of("run", "scaled.safetensors", "features.l2=false");
    assert!(
        set_off
            .stderr
            .contains("every row has L2 norm 1; they are used as they are"),
        "{}",
        set_off.stderr
    );
}
