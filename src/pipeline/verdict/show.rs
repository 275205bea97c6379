//! Verdicts as people and programs read them.

use serde_json::{Value, json};

use super::{Agreement, Difference, Outcome, Verdict, Verdicts};
use crate::newt::published::N_TEST_ROWS;
use crate::published::{Score, Unit};
use crate::text::{foreign, thousands};

/// An accuracy in the unit of a published score, with so many decimals.
pub fn in_unit(score: &Score, accuracy: f64, n_decimals: usize) -> String {
    format!("{:.n_decimals$}", accuracy * score.source.unit.whole())
}

/// A published score: `16,065 of 18,024 (0.8913)`, `89.1 % (mean of 3 runs)`.
pub fn published(score: &Score) -> String {
    if let Some(n_right) = score.n_right {
        let (n_right, n) = (thousands(n_right), thousands(N_TEST_ROWS as u64));
        return format!("{n_right} of {n} ({:.4})", score.accuracy());
    }
    let value = with_unit(score, score.value);
    match score.source.search_seeds.len() {
        0 => value,
        n => format!("{value} (mean of {n} runs)"),
    }
}

fn with_unit(score: &Score, value: &str) -> String {
    match score.source.unit {
        Unit::Share => value.to_owned(),
        Unit::Percent => format!("{value} %"),
    }
}

impl Outcome {
    /// In a word or three.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Reproduced(_) => "reproduced",
            Self::Differs(_) => "differs",
            Self::NotComparable(_) => "cannot be compared",
        }
    }
}

impl Verdict {
    /// The score that was made here: `16,061`, `89.08 %`.
    pub fn shown_here(&self) -> String {
        let score = self.score;
        match self.here.n_right.filter(|_| score.n_right.is_some()) {
            Some(n_right) => thousands(n_right),
            // One decimal more than is published shows on which side of it the score is.
            None => with_unit(
                score,
                &in_unit(score, self.here.accuracy, score.n_decimals() + 1),
            ),
        }
    }

    /// In one line: `published (BioBench, 2026-03-12): 16,065 of 18,024 (0.8913), here 16,061 (-4, within the interval):
    /// reproduced`.
    pub fn line(&self) -> String {
        let (source, score) = (self.score.source, published(self.score));
        let start = format!("published ({}, {}): {score}", source.title, source.date);
        let outcome = self.outcome.as_str();
        let relation = match &self.outcome {
            Outcome::NotComparable(why) => return format!("{start}; {outcome}: {why}"),
            Outcome::Reproduced(Agreement::Count) => "equal".to_owned(),
            Outcome::Reproduced(Agreement::Rounded) => "equal as rounded".to_owned(),
            Outcome::Reproduced(Agreement::Interval) => {
                format!("{}, within the interval", self.difference())
            }
            Outcome::Differs(_) => format!("{}, outside the interval", self.difference()),
        };
        let here = self.shown_here();
        let mut line = format!("{start}, here {here} ({relation}): {outcome}");
        if let Outcome::Differs(differences) = &self.outcome {
            let differences: Vec<String> = differences.iter().map(Difference::to_string).collect();
            if !differences.is_empty() {
                line.push_str(&format!("; not the same: {}", differences.join(", ")));
            }
            if let Some(note) = self.score.note {
                line.push_str(&format!("; note: {note}"));
            }
        }
        line
    }

    /// How much more it is here: `-4`, `+0.12 points`.
    fn difference(&self) -> String {
        let Some(n_more) = self.n_more() else {
            let points = 100.0 * self.gain();
            return format!("{points:+.2} points");
        };
        let sign = if n_more < 0 { '-' } else { '+' };
        format!("{sign}{}", thousands(n_more.unsigned_abs()))
    }

    /// For programs: accuracies as shares, and `difference` in right answers where both counts are known, else as a share.
    pub fn json(&self) -> Value {
        let (score, source) = (self.score, self.score.source);
        let agreement = match &self.outcome {
            Outcome::Reproduced(Agreement::Count) => Some("count"),
            Outcome::Reproduced(Agreement::Rounded) => Some("rounded"),
            Outcome::Reproduced(Agreement::Interval) => Some("interval"),
            Outcome::Differs(_) | Outcome::NotComparable(_) => None,
        };
        let mut json = json!({
            "source": source.title,
            "date": source.date,
            "url": source.url,
            "protocol": source.protocol,
            "aggregation": source.aggregation,
            "value": score.accuracy(),
            "count": score.n_right,
            "interval": score.interval,
            "note": score.note,
            "verdict": self.outcome.as_str(),
            "agreement": agreement,
            "text": self.line(),
        });
        match &self.outcome {
            Outcome::NotComparable(why) => json["reason"] = json!(why),
            Outcome::Reproduced(_) | Outcome::Differs(_) => {
                json["here"] = json!(self.here.accuracy);
                json["here_count"] = json!(self.here.n_right);
                json["difference"] = match self.n_more() {
                    Some(n_more) => json!(n_more),
                    None => json!(self.gain()),
                };
            }
        }
        if let Outcome::Differs(differences) = &self.outcome {
            let each = |one: &Difference| json!({ "what": one.what, "here": one.here, "there": one.there });
            json["not_the_same"] = differences.iter().map(each).collect();
        }
        json
    }
}

/// `precision (f32 here, f16 there)`.
impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let here = foreign(&self.here);
        match &self.there {
            Some(there) => write!(f, "{} ({here} here, {there} there)", self.what),
            None => write!(f, "{} ({here} here, not recorded there)", self.what),
        }
    }
}

impl Verdicts {
    /// A line each, after the results: nothing where nothing is published of the models. In a sweep each line begins with
    /// its model, and what would stand there several times stands there once.
    pub fn text(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        let is_sweep = self.claim_of.len() > 1;
        for (claim, verdicts) in self.claims.iter().zip(self.by_claim()) {
            let model = foreign(&format!("{}/{}", claim.org, claim.ckpt));
            for verdict in verdicts {
                let line = verdict.line();
                lines.push(if is_sweep {
                    format!("{model}: {line}")
                } else {
                    line
                });
            }
        }
        lines.dedup();
        if lines.is_empty() {
            return String::new();
        }
        format!("\n{}\n", lines.join("\n"))
    }

    /// Puts the verdicts on each experiment into its document, as `published`: `[]` where there are none.
    pub fn put(&self, documents: &mut [Value]) {
        let verdicts = self.by_claim();
        for (document, claim) in documents.iter_mut().zip(&self.claim_of) {
            let verdicts = claim.map_or([].as_slice(), |claim| verdicts[claim].as_slice());
            document["published"] = verdicts.iter().map(Verdict::json).collect();
        }
    }
}
