//! The built-in quickstart, and what features a run extracts.

use serde_json::Value;

use crate::sandbox::{Sandbox, statuses};

const SMALL: [&str; 2] = ["--set", "data.synth.images_per_task=16"];

fn counts(document: &Value) -> (u64, u64) {
    let stage = &document["experiments"][0]["stages"][2];
    (
        stage["images_extracted"].as_u64().unwrap(),
        stage["images_reused"].as_u64().unwrap(),
    )
}

#[test]
fn the_quickstart_finds_easy_tasks_easy_and_is_cached_the_second_time() {
    let sandbox = Sandbox::new();
    let first = sandbox.json(&["run"]);
    assert_eq!(counts(&first), (720, 0));
    let tables = fs_err::read(sandbox.path("results/quickstart/summary.json")).unwrap();
    let summary: Value = serde_json::from_slice(&tables).unwrap();
    assert_eq!(summary["experiments"][0]["n_tasks"], 12);
    let accuracy = first["experiments"][0]["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.65, "{accuracy}");
    let second = sandbox.json(&["run"]);
    assert!(
        statuses(&second)
            .iter()
            .all(|status| status.ends_with("cached"))
    );
}

#[test]
fn a_second_seed_extracts_only_images_that_the_first_did_not_use() {
    let sandbox = Sandbox::new();
    let run = |extra: &[&str]| sandbox.json(&[&["run"], &SMALL[..], extra].concat());
    // 8 of 16 images test; 4 of the other 8 are drawn.
    let (extracted, reused) = counts(&run(&["--set", "sample.n_train=4"]));
    assert_eq!((extracted, reused), (144, 0));
    let (extracted, reused) = counts(&run(&[
        "--set",
        "sample.n_train=4",
        "--set",
        "sample.seed=18",
    ]));
    assert_eq!(extracted + reused, 144);
    assert!(extracted > 0 && extracted <= 48, "{extracted}");
    let (extracted, _) = counts(&run(&[]));
    let (none, all) = counts(&run(&[
        "--set",
        "sample.n_train=4",
        "--set",
        "sample.seed=19",
    ]));
    assert!(extracted > 0);
    assert_eq!((none, all), (0, 144));
}

#[test]
fn batch_size_and_threads_change_no_feature() {
    let sandbox = Sandbox::new();
    let features = |batch: &str, threads: &str| {
        let cache = format!("cache-{batch}-{threads}");
        let set = format!("features.batch_size={batch}");
        let arguments = [
            &[
                "run",
                "--threads",
                threads,
                "--cache-dir",
                &cache,
                "--set",
                &set,
            ],
            &SMALL[..],
        ]
        .concat();
        let document = sandbox.json(&arguments);
        document["experiments"][0]["stages"][3]["key"].clone()
    };
    // The key of stage `probes` holds the digest of all feature rows.
    let expected = features("1", "1");
    assert_eq!(features("7", "2"), expected);
    assert_eq!(features("64", "2"), expected);
}
