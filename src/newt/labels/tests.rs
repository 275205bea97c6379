use proptest::prelude::*;

use super::*;
use crate::error::Failure;

/// The first rows that NeWT's own documentation shows, and enough of others to be sound.
pub(super) const NEWT: &str = "\
id,task_cluster,task_subcluster,task,label,text_label,split,height,width
d80eb625,appearance,age,ml_age_coopers_hawk,0,not_adult,train,425,640
6c3eddb5,appearance,age,ml_age_coopers_hawk,1,adult,train,430,640
9a12feb3,context,nan,ml_bio_raptor_utility_pole,0,neg,train,640,540
2cb20e06,context,NaN,ml_bio_raptor_utility_pole,1,pos,train,426,640
b1,context,,ml_bio_raptor_utility_pole,1,pos,test,426,640
b2,appearance,age,ml_age_coopers_hawk,1,adult,val,426,640
";

/// What a labels file of that text holds; every row that does not train tests.
pub(super) fn read(csv: &str) -> Result<Labels, Error> {
    let csv = Csv::parse("labels.csv", csv.as_bytes())?;
    Labels::from_csv(&csv, "labels.csv", OtherSplits::Test)
}

#[test]
fn rows_are_kept_in_file_order_with_columns_in_any_order() {
    let labels = read(NEWT).unwrap();
    let ids: Vec<&str> = labels.rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(
        ids,
        ["d80eb625", "6c3eddb5", "9a12feb3", "2cb20e06", "b1", "b2"]
    );
    assert_eq!(
        labels.rows[1],
        LabelRow {
            id: "6c3eddb5".to_owned(),
            task: "ml_age_coopers_hawk".to_owned(),
            cluster: "appearance".to_owned(),
            subcluster: Some("age".to_owned()),
            label: 1,
            text_label: Some("adult".to_owned()),
            split: Split::Train,
        }
    );
}

#[test]
fn subclusters_that_are_empty_or_nan_or_absent_are_none() {
    let labels = read(NEWT).unwrap();
    assert!(labels.rows[2..5].iter().all(|row| row.subcluster.is_none()));
    let absent = read(&NEWT.replace("task_subcluster", "comment")).unwrap();
    assert!(absent.rows.iter().all(|row| row.subcluster.is_none()));
}

#[test]
fn text_labels_are_any_text_and_none_where_they_are_empty_or_absent() {
    let labels = |csv: &str| -> Vec<Option<String>> {
        let rows = read(csv).unwrap().rows.into_iter();
        rows.map(|row| row.text_label).collect()
    };
    let csv = NEWT.replace(",0,neg,", ",0,,");
    let csv = csv.replace(",1,pos,train", ",1,\"NaN, \n\u{1b}\",train");
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        labels(&csv),
        [
            text("not_adult"),
            text("adult"),
            None,
            text("NaN, \n\u{1b}"),
            text("pos"),
            text("adult")
        ]
    );
    let absent = labels(&NEWT.replace("text_label", "comment"));
    assert_eq!(absent, [const { None }; 6]);
}

#[test]
fn whatever_is_not_train_tests_where_that_is_asked_for() {
    let read = |other_splits| {
        let csv = NEWT.to_owned() + "b3,appearance,age,ml_age_coopers_hawk,0,adult,val,426,640\n";
        let csv = csv.replace(
            "b1,context",
            "b0,context,,ml_bio_raptor_utility_pole,0,neg,Train,1,1\nb1,context",
        );
        let csv = Csv::parse("labels.csv", csv.as_bytes())?;
        Labels::from_csv(&csv, "labels.csv", other_splits)
    };
    let labels = read(OtherSplits::Test).unwrap();
    let splits: Vec<Split> = labels.rows.iter().map(|row| row.split).collect();
    assert_eq!(splits[3], Split::Train);
    assert_eq!(splits[4..], [Split::Test; 4]);

    let error = read(OtherSplits::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "labels.csv: `split` is `Train` in 1 row (line 6), `val` in 2 rows (from line 8), expected `train` or `test`"
    );
    assert_eq!(
        error.hint().unwrap(),
        "correct these rows; or set `data.other_splits` to `test`, which tests on every row that does not train"
    );
}

#[test]
fn tasks_come_in_order_of_first_appearance_with_their_rows() {
    let tasks = read(NEWT).unwrap().tasks();
    let hawk = Task {
        name: "ml_age_coopers_hawk".to_owned(),
        cluster: "appearance".to_owned(),
        subcluster: Some("age".to_owned()),
        train_rows: vec![0, 1],
        test_rows: vec![5],
    };
    let pole = Task {
        name: "ml_bio_raptor_utility_pole".to_owned(),
        cluster: "context".to_owned(),
        subcluster: None,
        train_rows: vec![2, 3],
        test_rows: vec![4],
    };
    assert_eq!(tasks, [hawk, pole]);
}

#[test]
fn lines_are_those_of_the_file() {
    let csv = NEWT.replace("pole,1,pos,test", "pole,7,pos,test");
    let csv = csv
        .replace(",adult,", ",\"not\nyet\nadult\",")
        .replace("9a12", "\n\n9a12");
    let error = read(&csv).unwrap_err().to_string();
    assert!(
        error.starts_with("labels.csv:10: label of image `b1`"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn no_cells_make_it_panic(
        rows in proptest::collection::vec(
            proptest::collection::vec("(|a|b|0|1|train|test| |/|é)", 7),
            0..7,
        )
    ) {
        let mut csv = "id,task,task_cluster,label,split,task_subcluster,x\n".to_owned();
        csv.extend(rows.iter().map(|cells| cells.join(",") + "\n"));
        if let Err(error) = read(&csv) {
            prop_assert!(!error.to_string().is_empty());
            prop_assert!(error.hint().is_some());
        }
    }
}
