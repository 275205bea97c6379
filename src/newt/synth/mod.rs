//! A small drawn data set in NeWT's layout, for trying the program without the 4 GB of NeWT.
//!
//! ```text
//! DIR/
//!   newt2021_labels.csv       the columns of NeWT's
//!   newt2021_images/<id>.jpg  colour and grey, baseline and progressive, 96 to 384 pixels a side
//!   synth.json                the recipe that drew the set
//! ```
//!
//! Twelve tasks over NeWT's five clusters, graded from trivial (the colour of a flower) to near
//! chance (a butterfly's symmetry) for a network that has learnt nothing. A seed draws the same
//! bytes on every machine: all is integer arithmetic, or `+ - * /` and square roots, which
//! IEEE 754 rounds exactly. A picture depends on seed, task and index alone, so a larger set
//! holds the smaller ones.

mod canvas;
mod dice;
mod folder;
mod picture;
mod tasks;

use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};

use self::picture::Subject;
use self::tasks::{TASKS, Task};
use crate::context::Context;
use crate::error::{Error, Message};
use crate::setting;
use crate::text::{did_you_mean, foreign};

pub use self::folder::RECIPE_FILE;

/// The recipe's version, raised whenever the same options draw other bytes.
pub const VERSION: u32 = 2;

/// Two pictures of each class in each split.
const MIN_IMAGES_PER_TASK: usize = 8;
/// The whole set is held in memory before it is written.
const MAX_IMAGES_PER_TASK: usize = 10_000;

/// What to draw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Another seed draws other pictures.
    #[serde(deserialize_with = "setting::seed")]
    pub seed: u64,
    /// A multiple of 4 from 8 to 10,000: half train, half test, and half of each are of class 1.
    #[serde(deserialize_with = "images_per_task")]
    pub images_per_task: usize,
    /// Names out of [`task_names`], in any order.
    #[serde(skip)]
    pub tasks: Vec<String>,
}

impl Default for Options {
    /// All tasks, with 60 images each.
    fn default() -> Self {
        let tasks = task_names().into_iter().map(str::to_owned).collect();
        Self {
            seed: 17,
            images_per_task: 60,
            tasks,
        }
    }
}

fn images_per_task<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    setting::checked(deserializer, "a multiple of 4 from 8 to 10000", |value| {
        let n_images = usize::try_from(value.as_integer()?).ok()?;
        (n_images == fair(n_images)).then_some(n_images)
    })
}

/// As many images as asked for, or the next number that can be drawn and falls alike into two classes in two splits.
fn fair(images_per_task: usize) -> usize {
    let possible = images_per_task.clamp(MIN_IMAGES_PER_TASK, MAX_IMAGES_PER_TASK);
    possible.next_multiple_of(4)
}

/// What [`ensure`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The set has been drawn.
    Made,
    /// The folder held this very set already.
    AlreadyThere,
}

/// The names of all tasks, in the order of the labels file.
pub fn task_names() -> Vec<&'static str> {
    TASKS.iter().map(|task| task.name).collect()
}

/// Makes sure that `dir` holds the synthetic data set of these `options`.
///
/// The set appears whole or not at all: it is drawn into a folder beside `dir` and renamed. Where
/// `dir` holds it already, nothing is drawn.
///
/// # Errors
/// Where the options make no set, where `dir` holds anything else, where writing fails, and where the drawing is
/// interrupted.
pub fn ensure(dir: &Path, options: &Options, context: Context<'_>) -> Result<Outcome, Error> {
    folder::ensure(dir, &Recipe::new(options)?, context)
}

/// The checked options, as `synth.json` holds them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Recipe {
    made_by: String,
    version: u32,
    seed: u64,
    images_per_task: usize,
    n_images: usize,
    tasks: Vec<String>,
}

impl Recipe {
    fn new(options: &Options) -> Result<Self, Error> {
        let known = task_names();
        let names = known.join(", ");
        let is_known = |name: &&String| known.contains(&name.as_str());
        if let Some(name) = options.tasks.iter().find(|name| !is_known(name)) {
            let shown = foreign(name);
            let text = format!("data synth: no task `{shown}`, expected one of {names}");
            let error = Message::request(text);
            return Err(match did_you_mean(name, known) {
                Some(hint) => error.hint(hint).into(),
                None => error.into(),
            });
        }
        if options.tasks.is_empty() {
            let text = format!("data synth: 0 tasks, expected at least 1 of {names}");
            return Err(Message::request(text)
                .hint("leave the tasks out to draw all of them")
                .into());
        }
        let images_per_task = options.images_per_task;
        let possible = fair(images_per_task);
        if images_per_task != possible {
            let text = format!(
                "data synth: {images_per_task} images per task, expected a multiple of 4 from \
                 {MIN_IMAGES_PER_TASK} to {MAX_IMAGES_PER_TASK}"
            );
            return Err(Message::request(text)
                .hint(format!("ask for {possible} images per task"))
                .into());
        }
        let is_chosen = |task: &&str| options.tasks.iter().any(|name| name == task);
        let tasks: Vec<_> = known
            .into_iter()
            .filter(is_chosen)
            .map(str::to_owned)
            .collect();
        Ok(Self {
            made_by: "newt-pipe data synth".to_owned(),
            version: VERSION,
            seed: options.seed,
            images_per_task,
            n_images: images_per_task * tasks.len(),
            tasks,
        })
    }

    /// Every picture of the set, in the order of the labels file: by task, then by id.
    fn subjects(&self) -> Vec<Subject> {
        let mut subjects = Vec::with_capacity(self.n_images);
        let is_chosen = |task: &&Task| self.tasks.iter().any(|name| name == task.name);
        for task in TASKS.iter().filter(is_chosen) {
            let one = |index| Subject::new(self.seed, task, index);
            let mut of_task: Vec<Subject> = (0..self.images_per_task).map(one).collect();
            of_task.sort_by(|a, b| a.id.cmp(&b.id));
            subjects.extend(of_task);
        }
        subjects
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use rayon::ThreadPoolBuilder;

    use super::*;
    use crate::image;
    use crate::interrupt::Interrupt;
    use crate::newt::labels::{Csv, Labels, OtherSplits, Split};
    use crate::progress::Silent;

    /// All tasks with eight pictures each: rows of the labels file, and JPEGs.
    static SMALL: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| draw(&small()));

    fn small() -> Options {
        Options {
            images_per_task: 8,
            ..Options::default()
        }
    }

    fn one_task() -> Options {
        Options {
            tasks: vec!["synth_flower_blue_vs_red".to_owned()],
            ..small()
        }
    }

    /// Each picture with its row of the labels file.
    fn draw(options: &Options) -> Vec<(String, Vec<u8>)> {
        let subjects = Recipe::new(options).unwrap().subjects();
        let context = Context {
            progress: &Silent,
            interrupt: &Interrupt::default(),
        };
        let pictures = folder::draw(&subjects, context).unwrap();
        subjects
            .iter()
            .zip(pictures)
            .map(|(subject, picture)| (subject.csv_row(), picture))
            .collect()
    }

    /// The same on every machine; where it changes, so does [`VERSION`].
    #[test]
    fn the_default_seed_draws_the_pinned_bytes() {
        let mut hasher = blake3::Hasher::new();
        for (row, jpeg) in SMALL.iter() {
            hasher.update(row.as_bytes());
            hasher.update(jpeg);
        }
        assert_eq!(
            hasher.finalize().to_hex().as_str(),
            "503dea8b57a24378e4ab9ee1d79e0bc00962a50b8f32791933d2d2a242ea0f79"
        );
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let options = one_task();
        let with = |n_threads| {
            let pool = ThreadPoolBuilder::new()
                .num_threads(n_threads)
                .build()
                .unwrap();
            pool.install(|| draw(&options))
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn another_seed_draws_other_pictures_under_other_ids() {
        let options = one_task();
        let other = draw(&Options {
            seed: 18,
            ..options.clone()
        });
        for ((row, jpeg), (other_row, other_jpeg)) in draw(&options).iter().zip(&other) {
            assert_ne!(row, other_row);
            assert_ne!(jpeg, other_jpeg);
        }
    }

    #[test]
    fn the_labels_are_sound_and_balanced_over_five_clusters() {
        let rows = SMALL.iter().map(|(row, _)| row.as_str());
        let text: String = std::iter::once(picture::CSV_HEADER).chain(rows).collect();
        let csv = Csv::parse("labels", text.as_bytes()).unwrap();
        let labels = Labels::from_csv(&csv, "labels", OtherSplits::Refuse).unwrap();
        let tasks = labels.tasks();
        assert_eq!(tasks.len(), 12);
        assert_eq!(
            tasks
                .iter()
                .map(|task| task.name.as_str())
                .collect::<Vec<_>>(),
            task_names()
        );
        let mut clusters: Vec<&str> = tasks.iter().map(|task| task.cluster.as_str()).collect();
        clusters.dedup();
        assert_eq!(
            clusters,
            ["appearance", "behavior", "context", "counting", "gestalt"]
        );
        for task in &tasks {
            for (split, label) in [
                (Split::Train, 0),
                (Split::Train, 1),
                (Split::Test, 0),
                (Split::Test, 1),
            ] {
                let is_one = |row: &&crate::newt::labels::LabelRow| {
                    row.task == task.name && row.split == split && row.label == label
                };
                assert_eq!(
                    labels.rows.iter().filter(is_one).count(),
                    2,
                    "{}",
                    task.name
                );
            }
        }
    }

    #[test]
    fn pictures_decode_to_the_size_in_their_row_and_are_of_many_kinds() {
        let (mut n_grey, mut n_progressive, mut sizes) = (0, 0, Vec::new());
        for (row, jpeg) in SMALL.iter() {
            let header = image::check(jpeg).unwrap();
            assert!(
                row.ends_with(&format!(",{},{}\n", header.height, header.width)),
                "{row}"
            );
            let decoded = image::decode(jpeg).unwrap();
            assert_eq!(
                [decoded.width, decoded.height],
                [header.width, header.height]
            );
            assert!((96..=384).contains(&header.width) && (96..=384).contains(&header.height));
            n_grey += usize::from(header.components == 1);
            n_progressive += usize::from(jpeg.windows(2).any(|pair| pair == [0xff, 0xc2]));
            sizes.push([header.width, header.height]);
        }
        sizes.sort_unstable();
        sizes.dedup();
        assert!(
            n_grey > 0 && n_progressive > 0 && sizes.len() > 50,
            "{n_grey} {n_progressive}"
        );
    }

    #[test]
    fn a_task_told_by_colour_has_no_grey_pictures() {
        for (_, jpeg) in draw(&Options {
            images_per_task: 60,
            ..one_task()
        }) {
            assert_eq!(image::check(&jpeg).unwrap().components, 3);
        }
    }

    #[test]
    fn a_larger_set_holds_the_smaller_one() {
        let larger = draw(&Options {
            images_per_task: 16,
            ..one_task()
        });
        for picture in draw(&one_task()) {
            assert!(larger.contains(&picture));
        }
    }

    #[test]
    fn options_that_make_no_set_are_refused() {
        let refused = |options: Options| {
            let error = Recipe::new(&options).unwrap_err();
            (error.to_string(), error.hint().unwrap())
        };
        let tasks = task_names().join(", ");
        assert_eq!(
            refused(Options {
                tasks: vec!["synth_day_vs_night".to_owned()],
                ..small()
            }),
            (
                format!("data synth: no task `synth_day_vs_night`, expected one of {tasks}"),
                "did you mean `synth_day_vs_dusk`?".to_owned()
            )
        );
        assert_eq!(
            refused(Options {
                tasks: Vec::new(),
                ..small()
            }),
            (
                format!("data synth: 0 tasks, expected at least 1 of {tasks}"),
                "leave the tasks out to draw all of them".to_owned()
            )
        );
        for (found, near) in [
            (0, 8),
            (4, 8),
            (30, 32),
            (10_004, 10_000),
            (usize::MAX, 10_000),
        ] {
            assert_eq!(
                refused(Options {
                    images_per_task: found,
                    ..small()
                }),
                (
                    format!(
                        "data synth: {found} images per task, expected a multiple of 4 from 8 to 10000"
                    ),
                    format!("ask for {near} images per task")
                )
            );
        }
    }
}
