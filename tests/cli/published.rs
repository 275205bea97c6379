//! Published scores: what a run says of them, and what `models ls` shows of earlier runs.

use insta::assert_snapshot;
use newt_pipe::internals::cache::Digest;

use crate::sandbox::{Sandbox, draw_data, precomputed, put_checkpoint};
use crate::server::COMMIT;

const PUBLISHED: &str = "vit_base_patch16_224.augreg2_in21k_ft_in1k";

/// A sandbox with a cache that keeps what came of a published score; the path of the record.
fn reproduced() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    assert_eq!(sandbox.run(&["plan", "mine.toml"]).code, Some(0));
    let about = serde_json::to_vec(&["biobench", "timm", PUBLISHED]).unwrap();
    let path = format!("cache/verdicts/{}.json", Digest::of(&about));
    let record = format!(
        r#"{{
  "format": 1,
  "source": "biobench",
  "org": "timm",
  "ckpt": "{PUBLISHED}",
  "verdict": "reproduced",
  "here": "14,730",
  "accuracy": 0.81724,
  "count": 14730,
  "text": "published …: reproduced",
  "provenance": {{
    "version": "0.1.0"
  }}"#
    );
    let seal = Digest::of(record.as_bytes());
    sandbox.write(&path, format!("{record},\n  \"seal\": \"{seal}\"\n}}\n"));
    (sandbox, path)
}

/// The line of the model in the table of `models ls`, and what that says besides.
fn listed(sandbox: &Sandbox) -> (String, String) {
    let listed = sandbox.run(&["models", "ls"]);
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    let line = listed.stdout.lines().find(|line| line.contains(PUBLISHED));
    (line.unwrap().to_owned(), listed.stderr)
}

#[test]
fn what_was_reproduced_is_listed_with_its_count() {
    let (sandbox, _) = reproduced();
    let (line, stderr) = listed(&sandbox);
    assert_eq!(stderr, "");
    assert_snapshot!(line, @"timm       vit_base_patch16_224.augreg2_in21k_ft_in1k           224     86,567,656    0.8174  14,730 reproduced  on the hub");
    let document = sandbox.json(&["models", "ls"]);
    let models = document["models"].as_array().unwrap();
    let model = models.iter().find(|model| model["ckpt"] == PUBLISHED);
    let here = &model.unwrap()["here"];
    assert_eq!(here[0]["count"], 14_730);
    assert_eq!(here[0]["verdict"], "reproduced");
    let others = models.iter().filter(|model| model["ckpt"] != PUBLISHED);
    assert_eq!(
        others
            .filter(|model| model["here"] == serde_json::json!([]))
            .count(),
        83
    );
    let unnamed = document["variant_not_named"].as_array().unwrap();
    assert_eq!((unnamed.len(), &unnamed[0]["value"]), (4, &0.834.into()));
}

#[test]
fn a_damaged_record_is_ignored_with_a_warning() {
    let (sandbox, path) = reproduced();
    let record = fs_err::read_to_string(sandbox.path(&path)).unwrap();
    sandbox.write(&path, record.replace("14730", "16000"));
    let (line, stderr) = listed(&sandbox);
    assert!(line.contains(" - "), "{line}");
    assert_eq!(
        stderr,
        format!(
            "warning: [DIR]/{path}: was changed after it was written; it is ignored, and the next run that comes to a verdict writes it again\n"
        )
    );
}

#[test]
fn a_list_leaves_no_cache_where_none_was() {
    let sandbox = Sandbox::new();
    let (line, stderr) = listed(&sandbox);
    assert!(line.contains(" - ") && stderr.is_empty(), "{line} {stderr}");
    assert!(!sandbox.path("cache").exists());
}

#[test]
fn a_published_model_on_other_data_cannot_be_compared() {
    let sandbox = Sandbox::new();
    let repo = format!("home/.cache/huggingface/hub/models--timm--{PUBLISHED}");
    put_checkpoint(&sandbox, &format!("{repo}/snapshots/{COMMIT}"));
    sandbox.write(&format!("{repo}/refs/main"), COMMIT);
    draw_data(&sandbox);
    sandbox.write(
        "mine.toml",
        format!("[data]\nroot = \"data\"\n\n[model]\norg = \"timm\"\nckpt = \"{PUBLISHED}\"\n"),
    );
    let finished = sandbox.run(&["run", "mine.toml"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let last = finished.stdout.lines().last().unwrap();
    assert_snapshot!(last, @"published (BioBench, 2026-03-12): 14,733 of 18,024 (0.8174); cannot be compared: not NeWT: 0 of its 164 tasks and 1 other, 4 test rows where NeWT has 18,024");
    let summary = fs_err::read(sandbox.path("results/mine/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
    let published = &summary["experiments"][0]["published"];
    assert_eq!(published[0]["verdict"], "cannot be compared");
    assert_eq!(published[0]["text"], last);
    let document = sandbox.json(&["run", "mine.toml"]);
    assert_eq!(&document["experiments"][0]["published"], published);
    // Nothing was compared.
    assert!(listed(&sandbox).0.contains(" - "));
}
