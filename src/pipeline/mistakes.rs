//! The most confident mistakes of an experiment, and the files of their images.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::config::Data;
use super::data_set::synth_dir;
use super::results::reading::{Decided, Ran};
use crate::newt::images::{DataRoot, ImageFiles};
use crate::render::MistakeRow;
use crate::text::{self, foreign};

/// What went wrong in an experiment.
#[derive(Debug)]
pub struct Mistakes<'a> {
    /// The predictions that were looked at.
    pub n_predictions: usize,
    /// The wrong ones among them.
    pub n_wrong: usize,
    /// The most confident ones of these, by descending confidence.
    pub listed: Vec<Mistake<'a>>,
}

/// A test image that its task's probe takes for one of the other class.
#[derive(Debug, PartialEq)]
pub struct Mistake<'a> {
    /// What the probe said.
    pub decided: &'a Decided,
    /// What people call the predicted class, where all that is known of it agrees.
    pub predicted_text_label: Option<&'a str>,
}

impl<'a> Mistakes<'a> {
    /// The mistakes among `predictions`, of which no more than `most` are listed.
    ///
    /// The larger a decision value is, without its sign, the more confident it is; those of equal size are in the order
    /// of their images' ids.
    pub fn new(predictions: &[&'a Decided], most: usize) -> Self {
        let mut wrong: Vec<&Decided> = predictions.to_vec();
        wrong.retain(|row| row.y_pred != row.y_true);
        wrong.sort_by(|a, b| {
            let by_confidence = b.decision.abs().total_cmp(&a.decision.abs());
            by_confidence.then_with(|| a.img_id.cmp(&b.img_id))
        });
        let n_wrong = wrong.len();
        wrong.truncate(most);
        let names = class_names(predictions);
        let mistake = |decided: &'a Decided| Mistake {
            decided,
            predicted_text_label: names
                .get(&(decided.task.as_str(), decided.y_pred))
                .copied()
                .flatten(),
        };
        Self {
            n_predictions: predictions.len(),
            n_wrong,
            listed: wrong.into_iter().map(mistake).collect(),
        }
    }
}

/// What people call each class of each task; `None` where rows of it differ.
fn class_names<'a>(predictions: &[&'a Decided]) -> BTreeMap<(&'a str, u8), Option<&'a str>> {
    let mut names = BTreeMap::new();
    for row in predictions {
        let text = row.text_label.as_deref();
        let name = names.entry((row.task.as_str(), row.y_true)).or_insert(text);
        if *name != text {
            *name = None;
        }
    }
    names
}

/// Where the images of a results folder lie now.
#[derive(Debug)]
pub struct Images<'a> {
    root: DataRoot,
    ids: Vec<&'a str>,
    /// The names in the folder, once an image has not been found where it belongs; `None` where it cannot be listed.
    files: OnceCell<Option<ImageFiles>>,
}

impl<'a> Images<'a> {
    /// The images `ids` of the data set `data`; a synthetic one lies in the folder `cache_dir`.
    pub fn new(data: &Data, cache_dir: &Path, ids: Vec<&'a str>) -> Self {
        let root = match data {
            Data::Root(root) => root.clone(),
            Data::Synth(options) => synth_dir(options, cache_dir),
        };
        Self {
            root: DataRoot::new(root),
            ids,
            files: OnceCell::new(),
        }
    }

    /// The file of an image, and whether it is there now; `<id>.jpg` where it is not.
    pub fn find(&self, id: &str) -> (PathBuf, bool) {
        let path = self.root.image_path(id);
        if path.is_file() {
            return (path, true);
        }
        let list = || self.root.find_images(self.ids.iter().copied()).ok();
        let path = self
            .files
            .get_or_init(list)
            .as_ref()
            .map_or(path, |files| files.path(id));
        let is_there = path.is_file();
        (path, is_there)
    }
}

impl Mistake<'_> {
    /// A line of the table that people read.
    pub fn row(&self, image: &Path) -> MistakeRow {
        let class = |label: u8, name: Option<&str>| match name {
            Some(name) => format!("{label} ({})", foreign(name)),
            None => label.to_string(),
        };
        let decided = self.decided;
        MistakeRow {
            task: foreign(&decided.task),
            label: class(decided.y_true, decided.text_label.as_deref()),
            predicted: class(decided.y_pred, self.predicted_text_label),
            decision: decided.decision,
            image: text::path(image),
        }
    }

    /// The same for programs.
    pub fn json(&self, image: &Path, is_there: bool) -> Value {
        let decided = self.decided;
        json!({
            "img_id": decided.img_id,
            "task": decided.task,
            "y_true": decided.y_true,
            "y_pred": decided.y_pred,
            "text_label": decided.text_label,
            "predicted_text_label": self.predicted_text_label,
            "decision": decided.decision,
            "image": image.to_string_lossy(),
            "image_found": is_there,
        })
    }
}

impl Ran {
    /// The experiment, as the other JSON documents have it.
    pub fn json(&self) -> Value {
        json!({
            "model": { "org": self.model_org, "ckpt": self.model_ckpt },
            "n_train": self.n_train,
            "seed": self.seed,
            "search_seed": self.search_seed,
            "probe": self.probe,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(img_id: &str, [y_true, y_pred]: [u8; 2], decision: f64) -> Decided {
        let text_label = ["no", "yes"][usize::from(y_true)];
        Decided {
            img_id: img_id.to_owned(),
            task: "t".to_owned(),
            text_label: Some(text_label.to_owned()),
            y_true,
            y_pred,
            decision,
        }
    }

    #[test]
    fn the_most_confident_come_first_whatever_their_sign_and_equals_in_the_order_of_ids() {
        let rows = [
            decided("right", [1, 1], 9.0),
            decided("b", [0, 1], 0.5),
            decided("most", [1, 0], -2.0),
            decided("a", [1, 0], -0.5),
            decided("least", [0, 1], 0.25),
        ];
        let rows: Vec<&Decided> = rows.iter().collect();
        let mistakes = Mistakes::new(&rows, 3);
        assert_eq!((mistakes.n_predictions, mistakes.n_wrong), (5, 4));
        let listed = mistakes.listed.iter();
        let ids: Vec<&str> = listed.map(|row| row.decided.img_id.as_str()).collect();
        assert_eq!(ids, ["most", "a", "b"]);
    }

    #[test]
    fn the_predicted_class_has_a_name_where_all_rows_of_it_agree_in_that_task() {
        let name = |rows: &[Decided]| {
            let rows: Vec<&Decided> = rows.iter().collect();
            let mistakes = Mistakes::new(&rows, usize::MAX);
            mistakes.listed[0].predicted_text_label.map(str::to_owned)
        };
        let wrong = decided("a", [0, 1], 1.0);
        let mut right = decided("b", [1, 1], 1.0);
        assert_eq!(name(std::slice::from_ref(&wrong)), None);
        let yes = Some("yes".to_owned());
        assert_eq!(name(&[wrong.clone(), right.clone()]), yes);
        let first = right.clone();
        right.text_label = None;
        assert_eq!(name(&[wrong.clone(), first.clone(), right.clone()]), None);
        // In another task it may mean anything.
        right.task = "u".to_owned();
        assert_eq!(name(&[wrong, first, right]), yes);
    }

    #[test]
    fn an_image_is_found_under_another_ending_and_else_named_where_it_belongs() {
        let dir = tempfile::tempdir().unwrap();
        let images = dir.path().join("newt2021_images");
        fs_err::create_dir(&images).unwrap();
        for name in ["a.jpg", "b.PNG"] {
            fs_err::write(images.join(name), "").unwrap();
        }
        let data = Data::Root(dir.path().to_owned());
        let found = Images::new(&data, Path::new(""), vec!["a", "b", "c"]);
        assert_eq!(found.find("a"), (images.join("a.jpg"), true));
        assert_eq!(found.find("b"), (images.join("b.PNG"), true));
        assert_eq!(found.find("c"), (images.join("c.jpg"), false));
        let nowhere = Images::new(&Data::Root("gone".into()), Path::new(""), vec!["a"]);
        let place = PathBuf::from("gone/newt2021_images/a.jpg");
        assert_eq!(nowhere.find("a"), (place, false));
    }
}
