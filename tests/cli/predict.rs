//! Saved probes on features of all sorts.

use std::collections::BTreeMap;
use std::sync::Arc;

use ndarray::array;
use newt_pipe::Interrupt;
use newt_pipe::internals::artifact::{BackboneId, FeatureFile, ProbeFile, Table};
use newt_pipe::internals::cache::KeyBuilder;
use newt_pipe::internals::probe::{FittedProbe, FittedSvc, Kernel, KernelFunction};
use serde_json::json;

use crate::sandbox::{Finished, Sandbox, draw_data, precomputed, put_checkpoint, write_features};

fn predict(sandbox: &Sandbox, features: &str, extra: &[&str]) -> Finished {
    let probe = ["predict", "--probe", "saved/probes.safetensors"];
    sandbox.run(&[&probe[..], &["--features", features], extra].concat())
}

/// The features that [`precomputed`] made, with the rows `change`d.
fn write_changed(sandbox: &Sandbox, name: &str, change: impl Fn(usize, f32) -> f32) {
    let file =
        FeatureFile::open(&sandbox.path("features.safetensors"), &Interrupt::default()).unwrap();
    let dim = file.features().ncols();
    let values: Vec<f32> = file
        .features()
        .indexed_iter()
        .map(|((row, _), value)| change(row, *value))
        .collect();
    write_features(&sandbox.path(name), file.ids(), &values, dim);
}

#[test]
fn saved_probes_decide_as_the_run_did() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    // As a network gives them, which serves every protocol.
    write_changed(&sandbox, "features.safetensors", |row, value| {
        value * (1.0 + row as f32)
    });
    for (n_train, probe) in [
        ("-1", "probe.protocol=biobench"),
        ("10", "probe.protocol=biobench"),
        ("-1", "probe.protocol=newt-2021"),
        ("-1", "probe.protocol=logreg"),
        // The random search, over C alone.
        ("10", "probe.classifier=linear-svc"),
        ("-1", "probe={ classifier = \"linear-svc\", c = 0.1 }"),
        ("-1", "probe.classifier=logistic-regression"),
        ("-1", "probe={ protocol = \"knn\", k = 2 }"),
        ("-1", "probe.protocol=simpleshot"),
    ] {
        let sample = format!("sample.n_train={n_train}");
        sandbox.json(&[
            "run",
            "mine.toml",
            "--save-probes",
            "--out",
            "saved",
            "--set",
            &sample,
            "--set",
            probe,
        ]);
        let predicted = sandbox.run(&[
            "predict",
            "--probe",
            "saved/probes.safetensors",
            "--features",
            "features.safetensors",
            "-o",
            "p.parquet",
        ]);
        assert_eq!(predicted.code, Some(0), "{}", predicted.stderr);
        let table =
            |name: &str| Table::from_parquet(&fs_err::read(sandbox.path(name)).unwrap()).unwrap();
        let key = |table: &Table, name: &str| {
            let (ids, tasks) = (
                table.column::<String>("img_id").unwrap(),
                table.column::<String>("task").unwrap(),
            );
            let decisions = table
                .column::<f64>("decision")
                .unwrap()
                .into_iter()
                .map(f64::to_bits);
            let decided = decisions.zip(table.column::<i64>("y_pred").unwrap());
            assert!(!ids.is_empty(), "{name}");
            ids.into_iter()
                .zip(tasks)
                .zip(decided)
                .collect::<BTreeMap<(String, String), (u64, i64)>>()
        };
        let of_run = key(&table("saved/predictions.parquet"), "run");
        let of_predict = key(&table("p.parquet"), "predict");
        for (row, decided) in of_run {
            assert_eq!(of_predict[&row], decided, "{row:?} {probe}");
        }
    }
}

#[test]
fn rows_that_no_norm_divides_are_warned_of_as_in_a_run() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    write_changed(&sandbox, "zero.safetensors", |row, value| {
        if row == 2 { 0.0 } else { value }
    });
    let save = ["run", "mine.toml", "--save-probes", "--out", "saved"];
    sandbox.json(&[&save[..], &["--set", "probe.center=false"]].concat());
    let finished = predict(&sandbox, "zero.safetensors", &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let lines = finished.stderr.lines();
    let of_tasks: Vec<&str> = lines.filter(|line| line.contains("task `")).collect();
    insta::assert_snapshot!(of_tasks.join("\n"), @"
    warning: task `task_0`: 1 image with features of zeros only: `t0-02`; a row of zeros stays as it is, where the reference fails
    warning: task `task_1`: 1 image with features of zeros only: `t0-02`; a row of zeros stays as it is, where the reference fails
    ");
}

#[test]
fn predict_refuses_a_pattern_without_a_task_and_features_of_another_width() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    sandbox.json(&["run", "mine.toml", "--save-probes", "--out", "saved"]);
    let predict = |features: &str, extra: &[&str]| {
        sandbox.run(
            &[
                &[
                    "predict",
                    "--probe",
                    "saved/probes.safetensors",
                    "--features",
                    features,
                ],
                extra,
            ]
            .concat(),
        )
    };
    crate::assert_run!(predict("features.safetensors", &["--tasks", "x*"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: --tasks x*: matches none of 1 task
    hint: a pattern is matched against whole task names, as in `--tasks 'ml_*'`
    ");
    write_features(
        &sandbox.path("wide.safetensors"),
        &["a".to_owned()],
        &[0.2_f32.sqrt(); 5],
        5,
    );
    crate::assert_run!(predict("wide.safetensors", &[]), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: fitted probe: features of 5 columns, expected 4, as those have that it was fitted on
    hint: use features of the backbone that the probe was fitted on
    ");
    crate::assert_run!(predict("none.safetensors", &[]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: failed to open file `none.safetensors`: No such file or directory (os error 2)
    hint: check the path; a relative one starts at the working folder, and in a pipeline file at the folder of the file
    ");
}

#[test]
fn a_name_with_a_tab_and_a_line_break_stays_in_its_field() {
    let sandbox = Sandbox::new();
    let probe = FittedProbe {
        first_scaler: None,
        mean: None,
        l2: false,
        scaler: None,
        classifier: Arc::new(FittedSvc {
            support_rows: vec![0],
            support_vectors: array![[1.0, 0.0]],
            dual_coef: vec![1.0],
            bias: -0.5,
            function: KernelFunction {
                kernel: Kernel::Linear,
                gamma: 1.0,
                degree: 3,
                coef0: 0.0,
            },
        }),
    };
    // A file of an earlier version: it does not say what it was fitted on.
    let bytes = ProbeFile::to_bytes([("fl\ty\nor\\n", &probe)]).unwrap();
    sandbox.write("saved/probes.safetensors", bytes);
    let ids = ["a".to_owned(), "b\t".to_owned()];
    write_features(
        &sandbox.path("f.safetensors"),
        &ids,
        &[1.0, 0.0, 0.0, 1.0],
        2,
    );
    crate::assert_run!(predict(&sandbox, "f.safetensors", &[]), @r"
    exit code: Some(0)
    --- stdout
    img_id	task	y_pred	decision
    a	fl\ty\nor\\n	1	0.5
    b\t	fl\ty\nor\\n	0	-0.5
    --- stderr
    warning: saved/probes.safetensors: does not say which backbone's features the probes were fitted on, so nobody knows whether these fit; `newt-pipe run --save-probes` writes a file that does
    ");
}

#[test]
fn rows_are_scaled_as_those_were_that_the_probes_were_fitted_on() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    write_changed(&sandbox, "long.safetensors", |row, value| {
        if row < 20 { value * 8.0 } else { value }
    });
    sandbox.json(&["run", "mine.toml", "--save-probes", "--out", "saved"]);
    let expected = predict(&sandbox, "features.safetensors", &["--json"]);
    assert_eq!((expected.code, expected.stderr.as_str()), (Some(0), ""));
    let scaled = predict(&sandbox, "long.safetensors", &["--json"]);
    assert_eq!(
        scaled.stderr,
        "warning: long.safetensors: 20 rows with an L2 norm other than 1; all are scaled to norm 1, which the rows had that the probes were fitted on\n"
    );
    let labels = |finished: &Finished| {
        let document: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
        let tasks = document["tasks"].as_array().unwrap();
        tasks
            .iter()
            .map(|task| task["y_pred"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(labels(&scaled), labels(&expected));

    let long = "model.ckpt=long.safetensors";
    let run = [
        "run",
        "mine.toml",
        "--save-probes",
        "--out",
        "saved",
        "--set",
        long,
        "--set",
        "features.l2=false",
    ];
    let finished = sandbox.run(&run);
    assert!(
        finished.stderr.starts_with("warning: long.safetensors: 20 rows with an L2 norm other than 1: `t0-00` (8.0000), `t0-01` (8.0000), "),
        "{}",
        finished.stderr
    );
    assert_eq!(finished.stderr.matches("warning: ").count(), 1);
    assert_eq!(predict(&sandbox, "long.safetensors", &[]).stderr, "");
    // Among the rows that the probes were fitted on are some of norm 1, and these may be more of them.
    let unit = predict(&sandbox, "features.safetensors", &[]);
    assert_eq!((unit.code, unit.stderr.as_str()), (Some(0), ""));

    write_changed(&sandbox, "long.safetensors", |row, value| {
        value * if row < 20 { 8.0 } else { 2.0 }
    });
    sandbox.run(&run);
    crate::assert_run!(predict(&sandbox, "features.safetensors", &[]), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: features.safetensors: every row has L2 norm 1, the probes were fitted on rows of norm 2.0000 to 8.0000
    hint: write the features as the backbone gives them, as for the run that fitted the probes, without scaling rows to norm 1
    ");
}

/// The features that [`precomputed`] made, as those of a backbone.
fn write_of_backbone(sandbox: &Sandbox, name: &str, change: impl Fn(&mut BackboneId)) {
    let mut file =
        FeatureFile::open(&sandbox.path("features.safetensors"), &Interrupt::default()).unwrap();
    let request = KeyBuilder::new("backbone", 1)
        .param("backbone", json!({ "network": "vit" }))
        .param("precision", "f32")
        .finish();
    let mut id = BackboneId::new("timm", "vit", &request);
    change(&mut id);
    file.backbone = Some(id);
    sandbox.write(name, file.to_bytes().unwrap());
}

#[test]
fn a_backbone_that_only_one_side_knows_is_told_of() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    write_of_backbone(&sandbox, "known.safetensors", |_| {});
    let fit = |features: &str| {
        let ckpt = format!("model.ckpt={features}");
        let run = [
            "run",
            "mine.toml",
            "--save-probes",
            "--out",
            "saved",
            "--set",
        ];
        sandbox.json(&[&run[..], &[&ckpt]].concat());
    };
    let said = |features: &str, extra: &[&str]| {
        let finished = predict(&sandbox, features, extra);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        finished.stderr
    };
    fit("features.safetensors");
    assert_eq!(said("features.safetensors", &[]), "");
    insta::assert_snapshot!(said("known.safetensors", &[]), @"warning: saved/probes.safetensors: fitted on features whose file does not say which backbone gave them, so nobody knows whether those of `timm/vit` in known.safetensors fit");
    fit("known.safetensors");
    assert_eq!(said("known.safetensors", &[]), "");
    insta::assert_snapshot!(said("features.safetensors", &[]), @"warning: features.safetensors: does not say which backbone gave the features, so nobody knows whether they fit probes that were fitted on those of `timm/vit`; `newt-pipe features export` writes a file that does");
    assert_eq!(said("features.safetensors", &["--any-backbone"]), "");

    // Whatever the file says of its backbone, it is read.
    write_of_backbone(&sandbox, "odd.safetensors", |id| {
        id.key = KeyBuilder::new("another", 1).finish().key;
        id.params.clear();
    });
    crate::assert_run!(predict(&sandbox, "odd.safetensors", &[]), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: odd.safetensors: features of `timm/vit`, the probes were fitted on those of `timm/vit`: the network is another
    hint: `newt-pipe features export` with the pipeline of the probes writes features that fit; `--any-backbone` takes these nevertheless
    ");
}

#[test]
fn features_of_another_backbone_are_refused() {
    let sandbox = Sandbox::new();
    draw_data(&sandbox);
    for name in ["mine", "other"] {
        put_checkpoint(&sandbox, &format!("{name}-weights"));
        sandbox.write(
            &format!("{name}.toml"),
            format!("data.root = \"data\"\nmodel.org = \"timm\"\nmodel.ckpt = \"local-dir:{name}-weights\"\n"),
        );
    }
    let mut weights = fs_err::read(sandbox.path("other-weights/model.safetensors")).unwrap();
    let last = weights.len() - 4;
    weights[last..].copy_from_slice(&0.25_f32.to_le_bytes());
    sandbox.write("other-weights/model.safetensors", weights);
    let run = |arguments: &[&str]| {
        let finished = sandbox.run(arguments);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    };
    run(&["run", "mine.toml", "--save-probes", "--out", "saved"]);
    for name in ["mine", "other"] {
        let (file, output) = (format!("{name}.toml"), format!("{name}.safetensors"));
        run(&["features", "export", &file, "-o", &output]);
    }
    let fits = predict(&sandbox, "mine.safetensors", &[]);
    assert_eq!((fits.code, fits.stderr.as_str()), (Some(0), ""));
    crate::assert_run!(predict(&sandbox, "other.safetensors", &[]), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: other.safetensors: features of `timm/local-dir:other-weights`, the probes were fitted on those of `timm/local-dir:mine-weights`: the weights are others
    hint: `newt-pipe features export` with the pipeline of the probes writes features that fit; `--any-backbone` takes these nevertheless
    ");
    // As the hint says.
    let any = predict(&sandbox, "other.safetensors", &["--any-backbone"]);
    assert_eq!((any.code, any.stderr.as_str()), (Some(0), ""));

    // Probes that were fitted on an exported file know the backbone from it.
    let exported = [
        "--set",
        "model.org=precomputed",
        "--set",
        "model.ckpt=mine.safetensors",
    ];
    run(&[
        &["run", "mine.toml", "--save-probes", "--out", "saved"],
        &exported[..],
    ]
    .concat());
    assert_eq!(predict(&sandbox, "other.safetensors", &[]).code, Some(3));
    let fits = predict(&sandbox, "mine.safetensors", &[]);
    assert_eq!((fits.code, fits.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_file_that_holds_no_probes_is_told_from_one_that_does() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    sandbox.write("notes.txt", "not a probe at all");
    let run = |probe: &str| {
        sandbox.run(&[
            "predict",
            "--probe",
            probe,
            "--features",
            "features.safetensors",
        ])
    };
    crate::assert_run!(run("features.safetensors"), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: features.safetensors: metadata key `probes` is absent, expected a JSON array of fitted probes
    hint: this is a file of features, for `--features`; `--probe` takes the `probes.safetensors` that `newt-pipe run --save-probes` writes
    ");
    crate::assert_run!(run("notes.txt"), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: notes.txt: no safetensors file: its first 8 bytes announce a header of 8,246,126,519,243,796,334 bytes, at most 100,000,000 are allowed
    hint: a probe file is the `probes.safetensors` that `newt-pipe run --save-probes` writes into its results folder
    ");
}
