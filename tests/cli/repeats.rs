//! Searches and samples that are repeated with other seeds.

use serde_json::{Value, json};

use crate::assert_run;
use crate::sandbox::{Sandbox, precomputed, statuses};

/// Three tasks of 12 train rows, and a search of few candidates whose accuracies depend on the seed.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 3, 6);
    let mine = fs_err::read_to_string(sandbox.path("mine.toml")).unwrap();
    let search = "[probe]\nprotocol = \"bioclip-2\"\n[probe.search]\nn_iter = 3\nfolds = 2\n";
    sandbox.write("mine.toml", format!("{mine}\n{search}"));
    sandbox
}

fn seeds(list: &str) -> String {
    format!("probe.search.seed={list}")
}

/// For each experiment, by its search seed, the digests of what its probes are.
fn probes(sandbox: &Sandbox) -> Vec<(Value, Value)> {
    let manifest = fs_err::read(sandbox.path("results/mine/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let experiments = manifest["experiments"].as_array().unwrap();
    let outputs = |experiment: &Value| {
        let stages = experiment["stages"].as_array().unwrap();
        let probes = stages.iter().find(|stage| stage["stage"] == "probes");
        probes.unwrap()["outputs"].clone()
    };
    experiments
        .iter()
        .map(|experiment| (experiment["search_seed"].clone(), outputs(experiment)))
        .collect()
}

#[test]
fn repeats_of_one_pass_are_what_each_is_alone() {
    let sandbox = sandbox();
    sandbox.json(&["run", "mine.toml", "--save-probes"]);
    let together = probes(&sandbox);
    let search_seeds: Vec<&Value> = together.iter().map(|(seed, _)| seed).collect();
    assert_eq!(search_seeds, [0, 1, 2]);
    assert!(together[0].1.get("candidates.parquet").is_some());
    assert_ne!(together[0].1, together[1].1);
    for (seed, outputs) in together {
        let alone = Sandbox::new();
        for file in [
            "data/newt2021_labels.csv",
            "features.safetensors",
            "mine.toml",
        ] {
            alone.write(file, fs_err::read(sandbox.path(file)).unwrap());
        }
        let seed_alone = seeds(&seed.to_string());
        alone.json(&["run", "mine.toml", "--set", &seed_alone]);
        assert_eq!(probes(&alone), [(seed, outputs)]);
    }
}

#[test]
fn only_seeds_that_are_new_are_fitted() {
    let sandbox = sandbox();
    sandbox.json(&["run", "mine.toml", "--set", &seeds("[0, 2]")]);
    let plan = sandbox.json(&["plan", "mine.toml"]);
    let run = sandbox.json(&["run", "mine.toml"]);
    for (document, has_run) in [(plan, "runs"), (run, "ran")] {
        let probes: Vec<&Value> = document["experiments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|experiment| &experiment["stages"][3]["status"])
            .collect();
        assert_eq!(probes, ["cached", has_run, "cached"]);
    }
    let again = sandbox.json(&["run", "mine.toml", "--force", "probes"]);
    assert_eq!(again["experiments"][2]["stages"][3]["status"], "ran");
    assert!(
        statuses(&sandbox.json(&["run", "mine.toml"]))
            .iter()
            .all(|status| status.ends_with("cached"))
    );
}

#[test]
fn means_and_deviations_are_those_of_the_runs() {
    let sandbox = sandbox();
    let run = [
        "run",
        "mine.toml",
        "--set",
        "sample.seed=[1, 2]",
        "--set",
        "sample.n_train=10",
    ];
    let document = sandbox.json(&run);
    let summary = fs_err::read(sandbox.path("results/mine/summary.json")).unwrap();
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!(summary["repeats"], document["repeats"]);
    let accuracies: Vec<f64> = document["experiments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|experiment| experiment["accuracy"].as_f64().unwrap())
        .collect();
    let spread = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        (mean, (squares / values.len() as f64).sqrt())
    };
    let (first, second) = (spread(&accuracies[..3]), spread(&accuracies[3..]));
    let expected = [first, second, spread(&[first.0, second.0])];
    let repeats = document["repeats"].as_array().unwrap();
    assert_eq!(repeats.len(), 3);
    for (found, (mean, std)) in repeats.iter().zip(expected) {
        assert_eq!(found["ddof"], 0);
        assert!((found["accuracy"]["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
        assert!((found["accuracy"]["std"].as_f64().unwrap() - std).abs() < 1e-12);
        assert_eq!(found["clusters"].as_array().unwrap().len(), 2);
    }
    let said = |repeats: &Value| {
        let keys = ["over", "seed", "search_seed", "n", "protocol"];
        keys.map(|key| repeats[key].clone())
    };
    assert_eq!(
        said(&repeats[1]),
        [
            json!("search_seed"),
            json!(2),
            json!([0, 1, 2]),
            json!(3),
            json!("bioclip-2")
        ]
    );
    assert_eq!(
        said(&repeats[2]),
        [
            json!("seed"),
            json!([1, 2]),
            json!([0, 1, 2]),
            json!(2),
            json!("bioclip-2")
        ]
    );

    let text = sandbox.run(&run).stdout;
    let (mean, std) = expected[2];
    let line = format!(
        "over 2 sample seeds, each the mean over 3 search seeds, ± standard deviation (ddof 0):\n  accuracy {mean:.4} ± {std:.4}, mean over tasks "
    );
    assert!(text.contains(&line), "{text}");
}

#[test]
fn the_deviation_is_the_protocol_s() {
    let sandbox = sandbox();
    let of = |protocol: &str| {
        let set = format!("probe.protocol={protocol}");
        sandbox.json(&[
            "run",
            "mine.toml",
            "--set",
            &set,
            "--set",
            &seeds("[0, 1, 2]"),
        ])["repeats"][0]
            .clone()
    };
    let (bioclip, birder) = (of("bioclip-2"), of("birder"));
    assert_eq!((&bioclip["ddof"], &birder["ddof"]), (&json!(0), &json!(1)));
    let std = |repeats: &Value| repeats["accuracy"]["std"].as_f64().unwrap();
    assert!((std(&birder) - std(&bioclip) * 1.5_f64.sqrt()).abs() < 1e-12);
}

#[test]
fn saved_probes_say_which_experiment_they_are_of() {
    let sandbox = sandbox();
    sandbox.json(&[
        "run",
        "mine.toml",
        "--save-probes",
        "--set",
        "sample.n_train=10",
    ]);
    for seed in 0..3 {
        let name = format!(
            "results/mine/probes-{}-precomputed-features-bioclip-2-n10-seed17-search{seed}.safetensors",
            seed + 1
        );
        let bytes = fs_err::read(sandbox.path(&name)).unwrap();
        let size = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
        let header: Value = serde_json::from_slice(&bytes[8..8 + size]).unwrap();
        let experiment = header["__metadata__"]["experiment"].as_str().unwrap();
        let experiment: Value = serde_json::from_str(experiment).unwrap();
        let expected = json!({
            "model": { "org": "precomputed", "ckpt": "features.safetensors" },
            "n_train": 10, "seed": 17, "search_seed": seed, "protocol": "bioclip-2",
            "probe": "bioclip-2 search=random:3/2",
        });
        assert_eq!(experiment, expected);
        let predict = [
            "predict",
            "--features",
            "features.safetensors",
            "--probe",
            name.as_str(),
        ];
        assert_eq!(sandbox.run(&predict).code, Some(0));
    }
}

#[test]
fn protocols_that_are_mixed_are_warned_of_and_not_averaged() {
    let sandbox = sandbox();
    let mixed = [
        "run",
        "mine.toml",
        "--set",
        "probe.protocol=[\"bioclip-2\", \"birder\"]",
        "--json",
    ];
    let run = sandbox.run(&mixed);
    insta::assert_snapshot!(
        run.stderr.lines().filter(|line| line.starts_with("warning")).collect::<Vec<_>>().join("\n"),
        @"warning: --set: the run has the protocols `bioclip-2`, `birder`, whose numbers do not compare with each other"
    );
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["repeats"].as_array().unwrap().len(), 2);
}

#[test]
fn seeds_of_a_search_that_make_no_sense_are_refused() {
    let sandbox = sandbox();
    let refused = |set: &str| sandbox.run(&["plan", "mine.toml", "--set", set]);
    assert_run!(refused("probe.search={ strategy = \"grid\", c = [0.1, 1], seed = [0, 1] }"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: --set: `probe.search.seed` is `[0, 1]`, expected no such key in a grid search, which draws nothing
    hint: remove `seed`, or search with `strategy = \"random\"`
    ");
    assert_run!(refused("probe.search.seed=[1, 1]"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: mine.toml and --set: `seed = 1` stands twice in the search
    hint: keep one of them
    ");
    assert_run!(refused("probe.search.seed=[1, -1]"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: --set: `probe.search.seed` is `[1, -1]`, expected a whole number from 0 to 4294967295, or a list of such
    hint: `newt-pipe config` shows every key with its default
    ");
}

#[test]
fn a_random_search_under_a_protocol_of_a_grid_has_one_seed() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let search =
        "probe.search={ strategy = \"random\", n_iter = 2, c = { loguniform = [0.1, 1] } }";
    let run = |protocol: &str| {
        let set = format!("probe.protocol={protocol}");
        let arguments = [
            "run",
            "mine.toml",
            "--json",
            "--set",
            "features.l2=true",
            "--set",
            search,
            "--set",
            &set,
        ];
        sandbox.run(&arguments)
    };
    let one = run("newt-2021");
    assert_eq!(one.code, Some(0), "{}", one.stderr);
    let document: Value = serde_json::from_str(&one.stdout).unwrap();
    let experiments = document["experiments"].as_array().unwrap();
    assert_eq!(
        (experiments.len(), &experiments[0]["search_seed"]),
        (1, &json!(42))
    );
    let both = run("[\"biobench\", \"newt-2021\"]");
    assert_eq!(both.code, Some(2));
    assert!(
        both.stderr.ends_with("hint: run one protocol at a time\n"),
        "{}",
        both.stderr
    );
}
