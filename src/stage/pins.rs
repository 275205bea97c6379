//! Pins the key and the output digests of one fixed configuration per stage.
//!
//! A digest that changes under the same version would hand users the results of another program:
//! raise the stage's `VERSION` with it. A key that changes makes every user compute again.

use std::collections::BTreeMap;

use ndarray::Array2;

use super::bootstrap::{self, BootstrapStage};
use super::features::{Features, FeaturesStage};
use super::labels::LabelsStage;
use super::probes::{FittedAhead, ProbesStage};
use super::report::ReportStage;
use super::sample::SampleStage;
use super::{Made, Stage};
use crate::cache::Digest;
use crate::context::Context;
use crate::interrupt::Interrupt;
use crate::newt::labels::OtherSplits;
use crate::newt::sampling::NTrain;
use crate::probe::Probe;
use crate::progress::Silent;

/// Runs a stage and adds its line to `pins`.
fn make<S: Stage>(stage: &mut S, pins: &mut String) -> Made<S::Output> {
    let interrupt = Interrupt::default();
    let context = Context {
        progress: &Silent,
        interrupt: &interrupt,
    };
    let output = stage.run(context).unwrap();
    let objects = S::encode(&output).unwrap();
    // What is checked of a stored output holds for one's own.
    stage.decode(&objects).unwrap();
    let digests: BTreeMap<String, Digest> = objects
        .iter()
        .map(|(name, bytes)| (name.clone(), Digest::of(bytes)))
        .collect();
    pins.push_str(&format!(
        "{} v{} {}\n",
        S::NAME,
        S::VERSION,
        stage.request().key.short()
    ));
    for (name, digest) in &digests {
        pins.push_str(&format!("  {name} {}\n", digest.short()));
    }
    Made { output, digests }
}

/// Two tasks with 20 train and 8 test rows each.
fn csv() -> String {
    let rows = (0..56).map(|row| {
        let (task, label) = (row / 28, row % 2);
        let split = if row % 28 < 20 { "train" } else { "test" };
        format!("i{row},task{task},cluster{task},,{label},{split}\n")
    });
    ["id,task,task_cluster,task_subcluster,label,split\n".to_owned()]
        .into_iter()
        .chain(rows)
        .collect()
}

/// `[n, 6]` values that are exact in f32 and differ between the classes.
fn rows(n: usize) -> Array2<f32> {
    Array2::from_shape_fn((n, 6), |(row, column)| {
        let noise = (row * 7 + column * 13) % 17;
        noise as f32 / 32.0 + if row % 2 == column % 2 { 0.25 } else { 0.0 }
    })
}

#[test]
fn keys_and_outputs_of_fixed_configurations_stay_as_they_are() {
    let mut pins = String::new();
    let labels = make(
        &mut LabelsStage::new(
            csv().into_bytes(),
            "labels.csv".to_owned(),
            OtherSplits::Refuse,
        ),
        &mut pins,
    );
    let sample = make(
        &mut SampleStage {
            labels: &labels,
            n_train: NTrain::new(12).unwrap(),
            seed: 17,
            tasks: None,
        },
        &mut pins,
    );
    let features = Features::of(rows(sample.output.rows.len()));
    let objects = FeaturesStage::encode(&features).unwrap();
    let digests = objects
        .iter()
        .map(|(name, bytes)| (name.clone(), Digest::of(bytes)))
        .collect();
    pins.push_str(&format!(
        "features.json {}\n",
        Digest::of(&objects["features.json"]).short()
    ));
    let features = Made {
        output: features,
        digests,
    };
    let probes = make(
        &mut ProbesStage {
            labels: &labels,
            sample: &sample,
            features: &features,
            probe: Probe::biobench(12),
            repeats: Vec::new(),
            ahead: &mut FittedAhead::default(),
        },
        &mut pins,
    );
    make(&mut ReportStage { probes: &probes }, &mut pins);
    let settings = bootstrap::Settings {
        resamples: 50,
        alpha: 0.05,
        seed: 17,
    };
    make(
        &mut BootstrapStage {
            probes: &probes,
            settings,
        },
        &mut pins,
    );
    insta::assert_snapshot!(pins, @"
    labels v3 144a8956acf8
      labels.parquet eb8cda9b5f95
    sample v2 930313150b2d
      sample.parquet c1959249adf9
    features.json ae424b121655
    probes v6 010d35a4b418
      candidates.parquet ff79f4f2e5a2
      predictions.parquet 8faf455753ef
      probes.parquet 20ab29733e27
      probes.safetensors c94201475266
    report v3 fa13793db4f6
      report.parquet 792632434ea4
    bootstrap v3 b56937f64c3e
      bootstrap.parquet d27c7c3af456
      intervals.parquet 1704c0f6882e
    ");
}
