//! Scores on NeWT that others have published, and where they stand.
//!
//! | file | a line each |
//! | --- | --- |
//! | `sources.csv` | a table of scores that were published together, all of them made in the same way |
//! | `scores.csv` | a score: its source, the model, the value as it is published, notes |
//!
//! A new table is a line in the one and its rows in the other. No field holds a comma or a quote.
//!
//! Source: the leaderboard of `BioBench`, generated 2026-03-12, MIT licence (Stevens, "`BioBench`", 2025,
//! <https://arxiv.org/abs/2511.16315>); the project page of `BioCLIP` 2, <https://imageomics.github.io/bioclip-2>.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::Serialize;

use crate::newt::published::N_TEST_ROWS;

const SOURCES: &str = include_str!("sources.csv");
const SCORES: &str = include_str!("scores.csv");

/// What all scores of one published table have in common. All of them are of all train rows.
#[derive(Debug, PartialEq)]
pub struct Source {
    /// Its name here.
    pub key: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// When it was published, as far as that is known.
    pub date: &'static str,
    /// Where.
    pub url: &'static str,
    /// The probe, as `probe.protocol` names it.
    pub protocol: &'static str,
    /// How a model's predictions become one number.
    pub aggregation: Aggregation,
    /// What that number is written in.
    pub unit: Unit,
    /// The seeds of the searches whose mean is published; none where there was one run.
    pub search_seeds: Vec<u32>,
    /// The number format that networks ran in, as `features.precision` names it.
    pub precision: &'static str,
    /// What its intervals are, where it has some.
    pub interval: Option<&'static str>,
}

/// How the predictions of all tasks become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::EnumString)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Aggregation {
    /// The mean over all test rows.
    Rows,
    /// The mean of the tasks' accuracies.
    Tasks,
}

/// What an accuracy is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum Unit {
    /// From 0 to 1.
    Share,
    /// From 0 to 100.
    Percent,
}

impl Unit {
    /// The number that stands for an accuracy of 1.
    pub fn whole(self) -> f64 {
        match self {
            Self::Share => 1.0,
            Self::Percent => 100.0,
        }
    }
}

/// A published score of one model.
#[derive(Debug, PartialEq)]
pub struct Score {
    /// The table that it stands in.
    pub source: &'static Source,
    /// The checkpoint; `None` where the source does not say which one it was, so that no run can be held against it.
    pub model: Option<ModelName>,
    /// The model as its source calls it.
    pub name: &'static str,
    /// What else the source says of the model.
    pub about: Option<About>,
    /// The score in the source's unit, with the decimals that are published.
    pub value: &'static str,
    /// The number of right answers among NeWT's test rows, where the value stands for one.
    pub n_right: Option<u64>,
    /// Its interval, as shares.
    pub interval: Option<[f64; 2]>,
    /// What is to be known about it.
    pub note: Option<&'static str>,
}

/// A model as a pipeline file names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ModelName {
    /// As in `model.org`.
    pub org: &'static str,
    /// As in `model.ckpt`.
    pub ckpt: &'static str,
}

/// What a table says of a model besides its score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct About {
    /// What it is a member of.
    pub family: &'static str,
    /// Side of an image in pixels.
    pub resolution: u32,
    /// Number of parameters.
    #[serde(rename = "parameters")]
    pub n_parameters: u64,
}

impl Score {
    /// The score as a share.
    pub fn accuracy(&self) -> f64 {
        if let Some(n_right) = self.n_right {
            return n_right as f64 / N_TEST_ROWS as f64;
        }
        // Not divided, which would round once more.
        let exponent = match self.source.unit {
            Unit::Share => "",
            Unit::Percent => "e-2",
        };
        let share = format!("{}{exponent}", self.value);
        share.parse().unwrap_or(f64::NAN)
    }

    /// The number of decimals that are published.
    pub fn n_decimals(&self) -> usize {
        let decimals = self.value.split_once('.');
        decimals.map_or(0, |(_, decimals)| decimals.len())
    }
}

/// Every published score, source by source, in the order of its source.
pub fn scores() -> &'static [Score] {
    static ALL: LazyLock<Vec<Score>> =
        LazyLock::new(|| SCORES.lines().skip(1).filter_map(score).collect());
    &ALL
}

/// The published scores of the model that a pipeline names so; a revision that is pinned makes no other model.
pub fn of(org: &str, ckpt: &str) -> impl Iterator<Item = &'static Score> {
    let ckpt = match ckpt.split_once('@') {
        Some((repo, _)) if repo.starts_with("hf-hub:") => repo,
        _ => ckpt,
    };
    let is_of = move |score: &&Score| {
        let is_named_so = |model: ModelName| model.org == org && model.ckpt == ckpt;
        score.model.is_some_and(is_named_so)
    };
    scores().iter().filter(is_of)
}

/// The models with a published score, each once, by first appearance.
pub fn models() -> impl Iterator<Item = ModelName> {
    let mut met = BTreeSet::new();
    let models = scores().iter().filter_map(|score| score.model);
    models.filter(move |model| met.insert(*model))
}

fn source(key: &str) -> Option<&'static Source> {
    static ALL: LazyLock<Vec<Source>> =
        LazyLock::new(|| SOURCES.lines().skip(1).filter_map(parse_source).collect());
    ALL.iter().find(|source| source.key == key)
}

fn parse_source(line: &'static str) -> Option<Source> {
    let [
        key,
        title,
        date,
        url,
        protocol,
        aggregation,
        unit,
        search_seeds,
        precision,
        interval,
    ] = fields(line)?;
    let search_seeds = search_seeds.split_whitespace();
    Some(Source {
        key,
        title,
        date,
        url,
        protocol,
        aggregation: aggregation.parse().ok()?,
        unit: unit.parse().ok()?,
        search_seeds: search_seeds
            .map(str::parse)
            .collect::<Result<_, _>>()
            .ok()?,
        precision,
        interval: written(interval),
    })
}

fn score(line: &'static str) -> Option<Score> {
    let [
        key,
        org,
        ckpt,
        name,
        family,
        resolution,
        n_parameters,
        value,
        n_right,
        ci_low,
        ci_high,
        note,
    ] = fields(line)?;
    let about = match written(family) {
        Some(family) => Some(About {
            family,
            resolution: resolution.parse().ok()?,
            n_parameters: n_parameters.parse().ok()?,
        }),
        None => None,
    };
    let _: f64 = value.parse().ok()?;
    let ends = (number(ci_low)?, number(ci_high)?);
    Some(Score {
        source: source(key)?,
        model: written(org).map(|org| ModelName { org, ckpt }),
        name,
        about,
        value,
        n_right: number(n_right)?,
        interval: Option::zip(ends.0, ends.1).map(|(low, high)| [low, high]),
        note: written(note),
    })
}

/// The fields of a line, if there are `N`.
fn fields<const N: usize>(line: &str) -> Option<[&str; N]> {
    line.split(',').collect::<Vec<_>>().try_into().ok()
}

/// A field that may be empty.
fn written(field: &str) -> Option<&str> {
    (!field.is_empty()).then_some(field)
}

/// A number in a field that may be empty; `None` for what is no number.
#[expect(
    clippy::option_option,
    reason = "an empty field is sound, a wrong one is not"
)]
fn number<T: FromStr>(field: &str) -> Option<Option<T>> {
    written(field).map(str::parse).transpose().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_source(key: &str) -> Vec<&'static Score> {
        let scores = scores().iter().filter(|score| score.source.key == key);
        scores.collect()
    }

    #[test]
    fn every_line_of_the_tables_is_read() {
        assert_eq!(scores().len() + 1, SCORES.lines().count());
        for line in SOURCES.lines().skip(1) {
            let key = line.split(',').next().unwrap();
            assert!(!of_source(key).is_empty(), "{line}");
        }
        assert!(!SCORES.contains('"') && !SOURCES.contains('"'));
    }

    #[test]
    fn each_of_biobench_s_84_scores_is_a_count_of_newt_s_test_rows_within_its_interval() {
        let scores = of_source("biobench");
        assert_eq!(scores.len(), 84);
        for score in &scores {
            assert!(score.n_right.is_some(), "{score:?}");
            assert_eq!(format!("{:.6}", score.accuracy()), score.value);
            let [low, high] = score.interval.unwrap();
            assert!(
                low < score.accuracy() && score.accuracy() < high,
                "{score:?}"
            );
            assert!(score.about.unwrap().n_parameters > 1_000_000);
        }
        assert!(scores.is_sorted_by(|a, b| a.n_right >= b.n_right));
        let sum: u64 = scores.iter().filter_map(|score| score.n_right).sum();
        // Of the leaderboard's own counts.
        assert_eq!(sum, 1_205_585);
        let first = scores[0];
        assert_eq!(
            (first.name, first.n_right),
            ("BioCLIP-2.5 ViT-H/14", Some(16_261))
        );
    }

    #[test]
    fn models_whose_variant_is_not_named_are_listed_with_a_note_and_held_against_nothing() {
        let scores = of_source("bioclip-2");
        assert_eq!(scores.len(), 7);
        let unnamed: Vec<&str> = scores
            .iter()
            .filter(|score| score.model.is_none())
            .inspect(|score| assert!(score.note.is_some()))
            .map(|score| score.name)
            .collect();
        assert_eq!(
            unnamed,
            ["CLIP ViT-L/14", "SigLIP", "supervised IN21K", "DINOv2"]
        );
        assert_eq!(of("", "").count(), 0);
    }

    #[test]
    fn a_model_has_the_scores_of_each_source_whatever_its_revision() {
        for ckpt in ["hf-hub:imageomics/bioclip", "hf-hub:imageomics/bioclip@abc"] {
            let values: Vec<&str> = of("open-clip", ckpt).map(|score| score.value).collect();
            assert_eq!(values, ["0.827008", "82.7"]);
        }
        assert_eq!(of("timm", "hf-hub:imageomics/bioclip").count(), 0);
        assert_eq!(models().count(), 84);
    }

    #[test]
    fn what_is_odd_about_a_score_is_noted() {
        let noted = |text: &str| {
            let has = |score: &&&Score| score.note.is_some_and(|note| note.contains(text));
            let scores = of_source("biobench");
            let counts: Vec<u64> = scores
                .iter()
                .filter(has)
                .filter_map(|s| s.n_right)
                .collect();
            counts
        };
        assert_eq!(noted("QuickGELU"), [15_065, 14_871, 14_423, 14_063]);
        assert_eq!(noted("ResNet-50d").len(), 1);
        assert_eq!(noted("changed after the run").len(), 12);
    }
}
