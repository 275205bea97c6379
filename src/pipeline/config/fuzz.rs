//! Pipeline files and `--set` arguments with all that a key must not be.

use std::path::Path;

use super::{Pipeline, QUICKSTART, template};
use crate::fuzz::{check, check_said, said};

const SEARCH: &str = r#"
[data]
synth = { seed = 17, images_per_task = 60 }
[[models]]
org = "random"
ckpt = "vit_tiny_patch16_224.seed1"
[[models]]
org = "precomputed"
ckpt = "mine.safetensors"
[sample]
n_train = [10, 20]
seed = [1, 2]
[probe]
center = false
class_weight = "balanced"
[[probe.search]]
kernel = ["linear"]
c = { loguniform = [1e-3, 1e3] }
n_iter = 5
[bootstrap]
resamples = 100
alpha = 0.1
"#;

fn read(text: &str, overrides: &[String]) -> Result<(), String> {
    let pipeline = Pipeline::parse(text, "mine.toml", Path::new("base"), overrides)
        .map_err(|error| said(&error, error.hint()))?;
    assert!(!pipeline.models.is_empty() && !pipeline.probes.is_empty());
    assert!((1..=1_000_000).contains(&pipeline.bootstrap.resamples));
    for warning in &pipeline.warnings {
        check_said(warning).map_err(|error| error.to_string())?;
    }
    let experiments = pipeline.experiments();
    let first = experiments.first().expect("a pipeline has an experiment");
    // Spelled out, an experiment is a pipeline of its own, and the same.
    let spelled = pipeline.spell_out(first);
    let text = toml::to_string(&spelled).unwrap();
    let again = Pipeline::parse(&text, "mine.toml", Path::new("base"), &[]).expect(&text);
    assert_eq!(again.spell_out(&again.experiments()[0]), spelled);
    Ok(())
}

#[test]
fn damaged_pipelines_are_refused_or_can_be_spelled_out() {
    let samples = [QUICKSTART.to_owned(), template(), SEARCH.to_owned()];
    check(1000, samples.map(String::into_bytes).to_vec(), |bytes| {
        read(&String::from_utf8_lossy(bytes), &[])
    });
}

#[test]
fn damaged_overrides_are_refused_or_can_be_spelled_out() {
    let samples = [
        "probe.c=0.1",
        "probe.kernel=linear",
        "sample.n_train=[10, 20]",
        "sample.seed=[1, 2, 3]",
        "model.ckpt=\"mine.safetensors\"",
        "probe.search={kernel = [\"rbf\"], c = [1, 2], gamma = [1e-3]}",
        "bootstrap={resamples = 10, alpha = 0.5}",
        "probe.gamma=\"scale\"",
        "features.batch_size=16",
    ];
    check(
        2000,
        samples.map(|sample| sample.as_bytes().to_vec()).to_vec(),
        |bytes| read(QUICKSTART, &[String::from_utf8_lossy(bytes).into_owned()]),
    );
}

#[test]
fn a_sweep_of_more_experiments_than_memory_holds_is_refused() {
    let list = |n: usize| format!("{:?}", (2..n + 2).collect::<Vec<_>>());
    let refused = |sections: &str| {
        let text = format!("{}\n{sections}", SEARCH.split("[sample]").next().unwrap());
        Pipeline::parse(&text, "mine.toml", Path::new(""), &[]).unwrap_err()
    };
    let lists = [1000, 1000, 2].map(list);
    let error = refused(&format!(
        "[sample]\nn_train = {}\nseed = {}\n",
        lists[0], lists[1]
    ));
    assert_eq!(
        said(&error, error.hint()),
        "mine.toml:13: `sample.seed` is a list of 1,000 values, expected a sweep of 1,000,000 experiments at most\n\
         divide the sweep among several pipeline files"
    );
    let error = refused(&format!(
        "[probe]\nc = {}\ngamma = {}\ncoef0 = {}\n",
        lists[0], lists[1], lists[2]
    ));
    assert!(error.to_string().contains("`probe.gamma`"), "{error}");
}
