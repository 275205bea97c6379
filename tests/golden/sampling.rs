//! The rows that a run uses, against `fixtures/sampling.json` (made by `make/sampling.py`).
//! All rows are equal.

use newt_pipe::internals::newt::{LabelRow, Labels, NTrain, Split, sample};
use serde::Deserialize;

use super::random::Held;

#[derive(Deserialize)]
struct Fixture {
    tables: Vec<Table>,
}

#[derive(Deserialize)]
struct Table {
    name: String,
    /// (task, label, split, count)
    runs: Vec<(String, u8, String, usize)>,
    samples: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    n_train: i64,
    seed: u64,
    rows: Held,
}

fn fixture() -> Fixture {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/fixtures/sampling.json"
    );
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

fn labels(table: &Table) -> Labels {
    let mut rows = Vec::new();
    for (task, label, split, count) in &table.runs {
        for _ in 0..*count {
            rows.push(LabelRow {
                id: format!("{:08x}", rows.len()),
                task: task.clone(),
                cluster: "appearance".to_owned(),
                subcluster: None,
                label: *label,
                text_label: None,
                split: match split.as_str() {
                    "train" => Split::Train,
                    _ => Split::Test,
                },
            });
        }
    }
    Labels { rows }
}

#[test]
fn sample_equals_the_reference() {
    for table in fixture().tables {
        let labels = labels(&table);
        for case in &table.samples {
            let rows = sample(&labels, NTrain::new(case.n_train).unwrap(), case.seed);
            let (name, n_train, seed) = (&table.name, case.n_train, case.seed);
            assert_eq!(
                Held::of(rows.iter().map(|&row| row as u64)),
                case.rows,
                "{name}, n_train {n_train}, seed {seed}"
            );
        }
    }
}
