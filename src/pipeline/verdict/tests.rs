use std::path::Path;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::*;
use crate::backbone::Origin;
use crate::cache::{Cache, Digest, KeyBuilder};
use crate::interrupt::Interrupt;
use crate::newt::published::{Identity, PublishedTask, tasks};
use crate::newt::sampling::NTrain;
use crate::pipeline::config::{Experiment, Pipeline, PipelineFile};
use crate::pipeline::plan::State;
use crate::pipeline::{Evaluation, StageRecord};
use crate::progress::{Silent, Warnings};
use crate::published::ModelName;
use crate::stage::Name;
use crate::stage::bootstrap::{Bootstrap, Settings};
use crate::stage::features::FeatureTable;
use crate::stage::probes::{FittedTask, Prediction, Probes};
use crate::stage::report::{Accuracy, Report};

/// Published with 16,065 right, and an interval from 15,989 to 16,151; with 89.1 % by `BioCLIP` 2's page.
const BIOCLIP_2: [&str; 2] = ["open-clip", "hf-hub:imageomics/bioclip-2"];
/// Published with 15,065 right and a note.
const OPENAI: [&str; 2] = ["open-clip", "ViT-L-14-336/openai"];

fn claim([org, ckpt]: [&str; 2], protocol: &str, n_right: &[u64]) -> Claim {
    let search_seed = |place| (n_right.len() > 1).then_some(place);
    let runs = (0..).zip(n_right);
    Claim {
        org: org.to_owned(),
        ckpt: ckpt.to_owned(),
        protocol: protocol.to_owned(),
        overrides: String::new(),
        n_train: NTrain::ALL,
        seed: 17,
        pool: None,
        newt: Identity {
            is_newt: true,
            n_tasks: 164,
            n_other_tasks: 0,
            n_test_rows: N_TEST_ROWS,
            regrouped: Vec::new(),
        },
        precision: Some("f32".to_owned()),
        libtorch: Some("2.11.0".to_owned()),
        revision: None,
        runs: runs
            .map(|(place, &n_right)| Run {
                search_seed: search_seed(place),
                n_right,
                mean_task_accuracy: 0.5,
            })
            .collect(),
    }
}

fn line(claim: &Claim) -> String {
    let lines: Vec<String> = verdicts(claim).iter().map(Verdict::line).collect();
    lines.join("\n")
}

fn biobench(n_right: u64) -> String {
    line(&claim(BIOCLIP_2, "biobench", &[n_right]))
}

#[test]
fn a_count_within_the_published_interval_reproduces_the_score() {
    assert_snapshot!(biobench(16_065), @"published (BioBench, 2026-03-12): 16,065 of 18,024 (0.8913), here 16,065 (equal): reproduced");
    assert_snapshot!(biobench(16_061), @"published (BioBench, 2026-03-12): 16,065 of 18,024 (0.8913), here 16,061 (-4, within the interval): reproduced");
    // The interval's ends are counts, as far as its six decimals say: 0.887121 and 0.896086.
    for (n_right, is_reproduced) in [
        (15_988, false),
        (15_989, false),
        (15_990, true),
        (16_151, true),
        (16_152, false),
    ] {
        let verdict = verdicts(&claim(BIOCLIP_2, "biobench", &[n_right])).remove(0);
        let outcome = matches!(verdict.outcome, Outcome::Reproduced(Agreement::Interval));
        assert_eq!(outcome, is_reproduced, "{n_right}");
    }
}

#[test]
fn a_count_outside_the_published_interval_differs_with_what_was_not_the_same() {
    assert_snapshot!(biobench(15_000), @"published (BioBench, 2026-03-12): 16,065 of 18,024 (0.8913), here 15,000 (-1,065, outside the interval): differs; not the same: precision (f32 here, f16 there), libtorch (2.11.0 here, not recorded there)");
    let as_there = Claim {
        precision: Some("f16".to_owned()),
        revision: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
        ..claim(OPENAI, "biobench", &[17_000])
    };
    assert_snapshot!(line(&as_there), @"published (BioBench, 2026-03-12): 15,065 of 18,024 (0.8358), here 17,000 (+1,935, outside the interval): differs; not the same: libtorch (2.11.0 here, not recorded there), revision (0123456789abcdef0123456789abcdef01234567 here, not recorded there); note: open_clip once ran the /openai checkpoints with QuickGELU and later only warns; which was run is not recorded");
}

#[test]
fn a_percentage_is_reproduced_by_the_mean_of_the_searches_that_it_is_the_mean_of() {
    let bioclip_2 = |n_right: [u64; 3]| line(&claim(BIOCLIP_2, "bioclip-2", &n_right));
    assert_snapshot!(bioclip_2([16_050, 16_060, 16_058]), @"published (BioCLIP 2, 2025): 89.1 % (mean of 3 runs), here 89.08 % (equal as rounded): reproduced");
    // Wilson's interval of 0.891 in 18,024 begins at 0.88637.
    assert_snapshot!(bioclip_2([16_000, 16_000, 16_000]), @"published (BioCLIP 2, 2025): 89.1 % (mean of 3 runs), here 88.77 % (-0.33 points, within the interval): reproduced");
    assert_snapshot!(bioclip_2([15_900, 15_900, 15_900]), @"published (BioCLIP 2, 2025): 89.1 % (mean of 3 runs), here 88.22 % (-0.88 points, outside the interval): differs; not the same: libtorch (2.11.0 here, not recorded there)");
}

#[test]
fn what_was_evaluated_otherwise_is_not_compared_and_the_line_says_why() {
    let not_newt = Claim {
        newt: Identity {
            is_newt: false,
            n_tasks: 10,
            n_other_tasks: 0,
            n_test_rows: 398,
            regrouped: Vec::new(),
        },
        ..claim(OPENAI, "biobench", &[300])
    };
    assert_snapshot!(line(&not_newt), @"published (BioBench, 2026-03-12): 15,065 of 18,024 (0.8358); cannot be compared: not NeWT: 10 of its 164 tasks, 398 test rows where NeWT has 18,024");
    let sound = || claim(OPENAI, "biobench", &[15_065]);
    let why = |claim: &Claim| {
        let line = line(claim);
        line.split_once("; cannot be compared: ")
            .unwrap()
            .1
            .to_owned()
    };
    let found = [
        Claim {
            protocol: "knn".to_owned(),
            ..sound()
        },
        Claim {
            overrides: "c=0.1".to_owned(),
            ..sound()
        },
        Claim {
            n_train: NTrain::new(10).unwrap(),
            ..sound()
        },
        Claim {
            pool: Some("mean".to_owned()),
            ..sound()
        },
        claim(OPENAI, "biobench", &[15_065, 15_065]),
        claim(BIOCLIP_2, "bioclip-2", &[16_060]),
        claim(BIOCLIP_2, "bioclip-2", &[16_060, 16_060]),
    ]
    .iter()
    .map(why)
    .collect::<Vec<_>>();
    assert_snapshot!(found.join("\n"), @r#"
    probe `knn`, published with `biobench`
    `c=0.1` is not in the protocol `biobench`
    `n_train = 10`, published with all train rows
    `pool = "mean"`, published as the model's library pools
    search seeds 0, 1, published is one search
    one search, published is the mean over search seeds 0, 1, 2
    search seeds 0, 1, published is the mean over search seeds 0, 1, 2
    "#);
}

#[test]
fn a_model_with_two_published_scores_is_held_against_those_of_its_protocol() {
    let n_lines = |protocol| line(&claim(BIOCLIP_2, protocol, &[16_065])).lines().count();
    assert_eq!(n_lines("biobench"), 1);
    assert_eq!(n_lines("bioclip-2"), 1);
    // Neither is a measure of this one, and both are named.
    assert_eq!(n_lines("knn"), 2);
    assert!(verdicts(&claim(["random", "resnet50"], "biobench", &[1])).is_empty());
}

/// The experiment of `pipelines/biobench.toml` on a model, with more settings.
fn experiment([org, ckpt]: [&str; 2], settings: &[&str]) -> Experiment {
    let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
    let pipeline = load("biobench.toml", &settings);
    let mut experiments = pipeline.experiments().into_iter();
    experiments
        .find(|experiment| experiment.model.org == org && experiment.model.ckpt == ckpt)
        .unwrap()
}

fn load(name: &str, settings: &[String]) -> Pipeline {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("pipelines")
        .join(name);
    Pipeline::load(PipelineFile::At(&path), settings, &Interrupt::default()).unwrap()
}

/// An evaluation with a prediction for each of NeWT's test rows, the first `n_right` of which are right.
fn evaluation(experiment: Experiment, n_right: usize) -> Evaluation {
    let (mut predictions, mut fitted) = (Vec::new(), Vec::new());
    for (index, task) in tasks().enumerate() {
        // 164 times 109 and 148 more.
        let n_test_rows = 109 + usize::from(index < 148);
        for row in 0..n_test_rows {
            let is_right = predictions.len() < n_right;
            predictions.push(prediction(task, row, is_right));
        }
        fitted.push(FittedTask {
            task: task.name.to_owned(),
            cluster: task.cluster.to_owned(),
            subcluster: task.subcluster.map(str::to_owned),
            n_train_rows: 100,
            n_test_rows: i64::try_from(n_test_rows).unwrap(),
            classifier: "svc".to_owned(),
            kernel: None,
            c: None,
            gamma: None,
            cv_accuracy: None,
            n_support: None,
            bias: None,
            k: None,
            accuracy: 0.5,
        });
    }
    assert_eq!(predictions.len(), N_TEST_ROWS);
    let overall = Accuracy {
        level: "overall".to_owned(),
        name: "all".to_owned(),
        n: i64::try_from(N_TEST_ROWS).unwrap(),
        accuracy: n_right as f64 / N_TEST_ROWS as f64,
        mean_task_accuracy: 0.5,
        n_tasks: 164,
        auroc: None,
        mean_task_auroc: None,
    };
    let request = KeyBuilder::new("features", 1)
        .param("precision", "f16")
        .param("l2", true);
    let features = StageRecord {
        stage: Name::Features,
        request: Some(request.finish()),
        state: State::Cached,
        seconds: 0.0,
        outputs: BTreeMap::new(),
        counts: None,
    };
    Evaluation {
        experiment,
        features: FeatureTable {
            n: 0,
            dim: 1,
            blake3: Digest::of(b""),
            norms: [1.0, 1.0],
        },
        probes: Probes {
            predictions,
            tasks: fitted,
            candidates: Vec::new(),
            fitted: None,
            warnings: Vec::new(),
        },
        report: Report {
            groups: vec![overall],
        },
        bootstrap: Bootstrap {
            intervals: Vec::new(),
            resamples: Vec::new(),
            settings: Settings::default(),
        },
        stages: vec![features],
        source: Some(Origin {
            repo: "timm/ViT-L-14-336".to_owned(),
            revision: "abc".to_owned(),
        }),
    }
}

fn prediction(task: PublishedTask, row: usize, is_right: bool) -> Prediction {
    Prediction {
        img_id: format!("{}-{row}", task.name),
        task: task.name.to_owned(),
        cluster: task.cluster.to_owned(),
        subcluster: task.subcluster.map(str::to_owned),
        text_label: None,
        y_true: 1,
        y_pred: i64::from(is_right),
        score: f64::from(u8::from(is_right)),
        decision: 0.0,
    }
}

fn provenance() -> BTreeMap<String, String> {
    BTreeMap::from([("libtorch".to_owned(), "2.11.0".to_owned())])
}

fn verdicts_on(evaluations: impl IntoIterator<Item = Evaluation>) -> Verdicts {
    let mut verdicts = Verdicts::default();
    for evaluation in evaluations {
        verdicts.add(&evaluation, &provenance());
    }
    verdicts
}

#[test]
fn predictions_come_to_the_line_that_is_printed_and_to_its_json() {
    let text = |n_right, settings: &[&str]| {
        let run = evaluation(experiment(OPENAI, settings), n_right);
        let text = verdicts_on([run]).text();
        // Below the table, set apart from it.
        let line = text
            .strip_prefix('\n')
            .and_then(|text| text.strip_suffix('\n'));
        line.unwrap().to_owned()
    };
    assert_snapshot!(text(15_070, &[]), @"published (BioBench, 2026-03-12): 15,065 of 18,024 (0.8358), here 15,070 (+5, within the interval): reproduced");
    // What the protocol does anyway is no other protocol.
    assert_snapshot!(text(15_065, &["probe.c=1.0"]), @"published (BioBench, 2026-03-12): 15,065 of 18,024 (0.8358), here 15,065 (equal): reproduced");
    assert_snapshot!(text(15_065, &["probe.c=0.5"]), @"published (BioBench, 2026-03-12): 15,065 of 18,024 (0.8358); cannot be compared: `c=0.5` is not in the protocol `biobench`");

    let verdicts = verdicts_on([evaluation(experiment(OPENAI, &[]), 14_000)]);
    let mut documents = [json!({})];
    verdicts.put(&mut documents);
    let [found] = documents[0]["published"].as_array().unwrap().as_slice() else {
        panic!("one score is published");
    };
    let expected = json!({
        "source": "BioBench",
        "protocol": "biobench",
        "aggregation": "rows",
        "count": 15_065,
        "here_count": 14_000,
        "difference": -1_065,
        "verdict": "differs",
        "not_the_same": [
            { "what": "libtorch", "here": "2.11.0", "there": null },
            { "what": "revision", "here": "abc", "there": null },
        ],
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&found[key], value, "{key}");
    }
}

#[test]
fn in_a_sweep_each_line_begins_with_its_model_and_unpublished_ones_have_none() {
    let other = ["timm", "mobilenetv2_100.ra_in1k"];
    let mut unpublished = experiment(other, &[]);
    "random".clone_into(&mut unpublished.model.org);
    let verdicts = verdicts_on([
        evaluation(experiment(OPENAI, &[]), 15_065),
        evaluation(unpublished.clone(), 15_065),
        evaluation(experiment(other, &["probe.c=0.5"]), 12_138),
        evaluation(experiment(other, &["probe.c=0.5"]), 12_138),
    ]);
    assert_snapshot!(verdicts.text().trim(), @"
    open-clip/ViT-L-14-336/openai: published (BioBench, 2026-03-12): 15,065 of 18,024 (0.8358), here 15,065 (equal): reproduced
    timm/mobilenetv2_100.ra_in1k: published (BioBench, 2026-03-12): 12,138 of 18,024 (0.6734); cannot be compared: `c=0.5` is not in the protocol `biobench`
    ");
    let mut documents = vec![json!({}); 4];
    verdicts.put(&mut documents);
    let n_published = |document: &Value| document["published"].as_array().unwrap().len();
    let n_published: Vec<usize> = documents.iter().map(n_published).collect();
    assert_eq!(n_published, [1, 0, 1, 1]);
    assert_eq!(verdicts_on([evaluation(unpublished, 1)]).text(), "");
}

#[test]
fn searches_of_one_protocol_make_one_claim_and_anything_else_another() {
    let one = |search_seed, n_train| {
        let mut claim = claim(BIOCLIP_2, "bioclip-2", &[16_060]);
        claim.runs[0].search_seed = search_seed;
        claim.n_train = NTrain::new(n_train).unwrap();
        claim
    };
    let mut verdicts = Verdicts::default();
    for claim in [
        one(Some(0), 10),
        one(Some(0), -1),
        one(Some(1), 10),
        one(Some(1), -1),
        one(Some(2), -1),
        one(None, -1),
        one(None, -1),
    ] {
        verdicts.add_claim(claim);
    }
    let places: Vec<usize> = verdicts.claim_of.iter().flatten().copied().collect();
    assert_eq!(places, [0, 1, 0, 1, 1, 2, 3]);
    let outcome = &verdicts.by_claim()[1][0].outcome;
    assert_eq!(*outcome, Outcome::Reproduced(Agreement::Rounded));
}

#[test]
fn what_was_reproduced_is_kept_until_it_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    let keep = |n_right, settings: &[&str]| {
        let run = evaluation(experiment(OPENAI, settings), n_right);
        verdicts_on([run]).keep(&cache, &provenance()).unwrap();
        let kept = reproductions(&cache, &Silent);
        kept.iter()
            .map(|one| format!("{} {} {}", one.source, one.here, one.verdict))
            .collect::<Vec<_>>()
    };
    assert!(keep(15_065, &["probe.c=0.5"]).is_empty());
    assert_eq!(keep(14_000, &[]), ["biobench 14,000 differs"]);
    assert_eq!(keep(15_065, &[]), ["biobench 15,065 reproduced"]);
    // Nothing is compared, and nothing is lost.
    assert_eq!(keep(1, &["probe.c=0.5"]), ["biobench 15,065 reproduced"]);

    let about = Digest::of(b"something else");
    let json = "{\n  \"format\": 2\n}";
    cache.keep_verdict(&about, json).unwrap();
    let warnings = Warnings::default();
    assert_eq!(reproductions(&cache, &warnings).len(), 1);
    let [warning] = warnings.0.into_inner().unwrap().try_into().unwrap();
    assert!(
        warning.contains("no verdict: missing field `source`"),
        "{warning}"
    );
}

#[test]
fn the_pipeline_of_biobench_names_the_models_of_its_table() {
    let pipeline = load("biobench.toml", &[]);
    let text = fs_err::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/pipelines/biobench.toml"
    ));
    let text = text.unwrap();
    let scores = || {
        let all = published::scores().iter();
        all.filter(|score| score.source.key == "biobench")
    };
    let (traced, expected): (Vec<ModelName>, Vec<ModelName>) = scores()
        .filter_map(|score| score.model)
        .partition(|model| model.org == "vjepa");
    let found = pipeline.models.iter();
    let found: Vec<[&str; 2]> = found.map(|m| [m.org.as_str(), m.ckpt.as_str()]).collect();
    let expected: Vec<[&str; 2]> = expected.iter().map(|m| [m.org, m.ckpt]).collect();
    assert_eq!(found, expected);
    // What has to be traced first is there to be uncommented.
    for model in &traced {
        assert!(text.contains(&format!("# ckpt = \"vjepa/{}.pt\"\n", model.ckpt)));
    }
    assert_eq!(found.len() + traced.len(), 84);
    let own = pipeline.experiments().into_iter().map(|experiment| {
        assert_eq!(experiment.probe.name(), "biobench");
        assert_eq!(experiment.n_train, NTrain::ALL);
    });
    assert_eq!(own.count(), 82);
}

#[test]
fn the_pipelines_of_other_tables_name_their_models() {
    let pipeline = load("bioclip-2.toml", &[]);
    let found = pipeline.models.iter();
    let found: Vec<[&str; 2]> = found.map(|m| [m.org.as_str(), m.ckpt.as_str()]).collect();
    let all = published::scores().iter();
    let expected: Vec<[&str; 2]> = all
        .filter(|score| score.source.key == "bioclip-2")
        .filter_map(|score| score.model)
        .map(|model| [model.org, model.ckpt])
        .collect();
    assert_eq!(found, expected);
    let pipeline = load("newt-2021.toml", &[]);
    assert_eq!(pipeline.experiments().len(), 1);
}

#[test]
fn the_order_of_the_published_seeds_does_not_matter_and_one_of_them_is_not_the_mean() {
    let text = |seeds: &str| {
        let settings = [format!("probe.search.seed={seeds}")];
        let experiments = load("bioclip-2.toml", &settings).experiments().into_iter();
        let of_model = experiments.filter(|experiment| experiment.model.ckpt == BIOCLIP_2[1]);
        verdicts_on(of_model.map(|experiment| evaluation(experiment, 16_058))).text()
    };
    assert!(text("[2, 1, 0]").contains("here 89.09 % (equal as rounded): reproduced"));
    assert!(text("[1]").contains(
        "cannot be compared: search seeds 1, published is the mean over search seeds 0, 1, 2"
    ));
}
