//! Labels files that somebody edited, cut or made up.

use std::collections::BTreeSet;

use super::{Csv, Labels, OtherSplits, Split};
use crate::error::Failure;
use crate::fuzz::{check, said};

fn samples() -> Vec<Vec<u8>> {
    let mut plain = "id,task,task_cluster,task_subcluster,label,split\n".to_owned();
    let mut odd =
        "\u{feff}\"id\",\"\",\"task\",\"task_cluster\",\"label\",\"split\"\r\n".to_owned();
    for n in 0..12 {
        let (label, split) = (n % 2, if n < 8 { "train" } else { "test" });
        plain.push_str(&format!(
            "0{n}e1,task {},appearance,nan,{label},{split}\n",
            n % 3
        ));
        odd.push_str(&format!(
            "\"a, \"\"{n}\"\"\",{n},\"é\",\"x\n y\",{label},{split}\r\n"
        ));
    }
    vec![plain.into_bytes(), odd.into_bytes()]
}

#[test]
fn damaged_labels_are_refused_or_whole() {
    check(2000, samples(), |bytes| {
        let csv = Csv::parse("labels.csv", bytes).map_err(|error| said(&error, error.hint()))?;
        assert!(csv.lines.is_sorted());
        assert!(
            csv.columns
                .iter()
                .all(|(_, cells)| cells.len() == csv.lines.len())
        );
        assert_eq!(
            Csv::parse("labels.csv", written(&csv).as_bytes())
                .unwrap()
                .columns,
            csv.columns
        );

        let labels = Labels::from_csv(&csv, "labels.csv", OtherSplits::Refuse)
            .map_err(|error| said(&error, error.hint()))?;
        assert_eq!(labels.rows.len(), csv.lines.len());
        let ids: BTreeSet<&str> = labels.rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids.len(), labels.rows.len());
        assert!(
            labels
                .rows
                .iter()
                .all(|row| row.label <= 1 && !row.id.contains('/'))
        );
        for task in labels.tasks() {
            let mut trained: Vec<u8> = task
                .train_rows
                .iter()
                .map(|row| labels.rows[*row].label)
                .collect();
            trained.sort_unstable();
            trained.dedup();
            assert_eq!(trained, [0, 1], "{task:?}");
            assert!(
                task.test_rows
                    .iter()
                    .all(|row| labels.rows[*row].split == Split::Test)
            );
            assert!(!task.test_rows.is_empty());
        }
        Ok(())
    });
}

/// The file with every cell in quotes, behind a row that is passed over.
fn written(csv: &Csv) -> String {
    let mut text = ",\n".to_owned();
    let row = |cells: Vec<&str>| {
        let cells: Vec<String> = cells
            .iter()
            .map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")))
            .collect();
        cells.join(",") + "\n"
    };
    text.push_str(&row(csv
        .columns
        .iter()
        .map(|(name, _)| name.as_str())
        .collect()));
    for n in 0..csv.lines.len() {
        text.push_str(&row(csv
            .columns
            .iter()
            .map(|(_, cells)| cells[n].as_str())
            .collect()));
    }
    text
}
