//! Every problem of a copy of the data set, found in one go.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use rayon::prelude::*;

use super::images::{self, DataRoot, IMAGES_DIR, ImageFiles, LABELS_FILE, SHOWN_NAMES, Unread};
use super::labels::{self, Csv, LabelRow, Labels, OtherSplits};
use super::published::{self, Identity};
use crate::context::Context;
use crate::image;
use crate::interrupt::{Interrupt, Stopped};
use crate::text::{self, Listing, foreign, thousands};

mod report;

pub use report::{Cluster, Counts, Depth, Kind, Problem, Report};

/// Checks the labels, given as what the file holds, and every image that they name.
///
/// Whether the files are there at all is for [`DataRoot::require_labels`] and
/// [`DataRoot::require_images`] to say.
///
/// # Errors
/// [`Stopped`] if the check was interrupted.
pub fn check(
    root: &DataRoot,
    csv: &Csv,
    depth: Depth,
    context: Context<'_>,
) -> Result<Report, Stopped> {
    let mut report = Report {
        root: root.path().display().to_string(),
        depth,
        counts: None,
        newt: None,
        problems: Vec::new(),
        notes: Vec::new(),
    };
    let parse = |other_splits| Labels::from_csv(csv, LABELS_FILE, other_splits);
    let mut parsed = parse(OtherSplits::Refuse);
    if let Err(error) = &parsed
        && error.kind == labels::Kind::Splits
    {
        // There is a setting for them, so there is more to look at.
        report.problems.extend(labels_problems(error));
        parsed = parse(OtherSplits::Test);
    }
    let labels = match parsed {
        Ok(labels) => labels,
        Err(error) => {
            report.problems.extend(labels_problems(&error));
            return Ok(report);
        }
    };
    let ids = labels.rows.iter().map(|row| row.id.as_str());
    // A folder that cannot be listed is no news: its images are reported.
    let files = root.find_images(ids).ok();
    let path = |id: &str| match &files {
        Some(files) => files.path(id),
        None => root.image_path(id),
    };
    let images = look_at_images(&labels.rows, path, depth, context)?;
    let counts = count(&labels, images.iter().map(|image| image.n_bytes).sum());
    let newt = Identity::of(&labels);
    report.notes = notes_of_identity(&newt, &counts);
    let of_images = note_of_sizes(csv, &labels.rows, &images);
    let of_files = files
        .iter()
        .flat_map(|it| [it.note(), note_of_strangers(it)]);
    let notes = [of_images].into_iter().chain(of_files).flatten();
    report.notes.extend(notes);
    report.counts = Some(counts);
    report.newt = Some(newt);
    let problems = images
        .into_iter()
        .zip(&labels.rows)
        .filter_map(|(image, row)| {
            let mut problem = image.problem?;
            if let Some(names) = files.as_ref().and_then(|files| files.choices(&row.id)) {
                problem.message = ImageFiles::undecided(names);
            }
            Some(problem)
        });
    report.problems.extend(problems);
    Ok(report)
}

fn labels_problems(error: &labels::Error) -> impl Iterator<Item = Problem> {
    error.problems.iter().map(|found| Problem {
        kind: Kind::Labels,
        place: found.place(LABELS_FILE),
        message: match error.kind {
            labels::Kind::Rows => found.text.clone(),
            labels::Kind::File | labels::Kind::Splits => format!("{}; {}", found.text, found.hint),
        },
    })
}

/// What was seen of an image.
struct Image {
    n_bytes: u64,
    /// Width and height in pixels.
    size: Option<[usize; 2]>,
    problem: Option<Problem>,
}

fn look_at_images(
    rows: &[LabelRow],
    path: impl Fn(&str) -> PathBuf + Sync,
    depth: Depth,
    context: Context<'_>,
) -> Result<Vec<Image>, Stopped> {
    let Context {
        progress,
        interrupt,
    } = context;
    progress.start("checking images", rows.len() as u64);
    let images = rows
        .par_iter()
        .map(|row| {
            interrupt.check()?;
            let image = look_at_image(&path(&row.id), depth, interrupt);
            // It may be why an image could not be read.
            interrupt.check()?;
            progress.tick(1);
            Ok(image)
        })
        .collect();
    progress.finish();
    images
}

fn look_at_image(path: &Path, depth: Depth, interrupt: &Interrupt) -> Image {
    let bad = |n_bytes, kind, message| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let place = format!("{IMAGES_DIR}/{name}");
        Image {
            n_bytes,
            size: None,
            problem: Some(Problem {
                kind,
                place,
                message,
            }),
        }
    };
    let bytes = match images::read(path, interrupt) {
        Ok(bytes) => bytes,
        Err(unread) => {
            let kind = match &unread {
                Unread::Missing | Unread::BrokenLink(_) => Kind::Missing,
                Unread::NoImage(_) => Kind::Damaged,
                Unread::NotRegular(_) | Unread::TooLarge { .. } | Unread::Unreadable(_) => {
                    Kind::Unreadable
                }
            };
            return bad(0, kind, unread.to_string());
        }
    };
    let size = match depth {
        Depth::Headers => image::check(&bytes).map(|header| [header.width, header.height]),
        Depth::Full => image::decode(&bytes).map(|image| [image.width, image.height]),
    };
    let n_bytes = bytes.len() as u64;
    match size {
        Ok(size) => Image {
            n_bytes,
            size: Some(size),
            problem: None,
        },
        Err(error) => bad(n_bytes, Kind::Damaged, error.to_string()),
    }
}

fn count(labels: &Labels, image_bytes: u64) -> Counts {
    let tasks = labels.tasks();
    let mut clusters: IndexMap<&str, Cluster> = IndexMap::new();
    for task in &tasks {
        let cluster = clusters.entry(&task.cluster).or_insert_with(|| Cluster {
            name: task.cluster.clone(),
            n_tasks: 0,
            n_train_rows: 0,
            n_test_rows: 0,
        });
        cluster.n_tasks += 1;
        cluster.n_train_rows += task.train_rows.len();
        cluster.n_test_rows += task.test_rows.len();
    }
    let clusters: Vec<Cluster> = clusters.into_values().collect();
    Counts {
        n_rows: labels.rows.len(),
        n_train_rows: clusters.iter().map(|cluster| cluster.n_train_rows).sum(),
        n_test_rows: clusters.iter().map(|cluster| cluster.n_test_rows).sum(),
        n_tasks: tasks.len(),
        clusters,
        image_bytes,
    }
}

/// Names what NeWT has in other groups, and says so where NeWT has another number of images.
fn notes_of_identity(newt: &Identity, counts: &Counts) -> Vec<String> {
    let mut notes: Vec<String> = newt.regrouped.iter().map(ToString::to_string).collect();
    if newt.is_newt && counts.n_rows != published::N_IMAGES {
        notes.push(format!(
            "{}, other copies of NeWT are said to have {}",
            text::count(counts.n_rows, "image", "images"),
            thousands(published::N_IMAGES as u64)
        ));
    }
    notes
}

/// Says so where images are not of the size that the labels file gives: a copy that was scaled
/// has other features.
fn note_of_sizes(csv: &Csv, rows: &[LabelRow], images: &[Image]) -> Option<String> {
    let given = |name, row: usize| -> Option<usize> { csv.column(name)?.get(row)?.parse().ok() };
    let differing = images.iter().enumerate().filter_map(|(row, image)| {
        let (found, expected) = (image.size?, [given("width", row)?, given("height", row)?]);
        (found != expected).then_some((row, found, expected))
    });
    let differing: Vec<(usize, [usize; 2], [usize; 2])> = differing.collect();
    let &(row, found, expected) = differing.first()?;
    Some(format!(
        "images of another `width` or `height` than in {LABELS_FILE}: {}, such as {}, {} × {} for {} × {}",
        differing.len(),
        foreign(&rows[row].id),
        found[0],
        found[1],
        expected[0],
        expected[1]
    ))
}

/// Names files in the images folder that belong to no row.
fn note_of_strangers(files: &ImageFiles) -> Option<String> {
    let strangers = files.strangers().iter().map(|name| foreign(name));
    let strangers = Listing::first(SHOWN_NAMES, strangers);
    (!strangers.is_empty()).then(|| {
        let n = strangers.n;
        format!("files in {IMAGES_DIR} that belong to no row: {n} ({strangers})")
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use tempfile::TempDir;

    use super::super::synth::{self, Options};
    use super::*;
    use crate::progress::Silent;

    /// A synthetic data set of one task and eight images, with what its labels file holds.
    struct Copy {
        root: DataRoot,
        csv: Csv,
        _outer: TempDir,
    }

    impl Copy {
        fn new() -> Self {
            let outer = TempDir::new().unwrap();
            let dir = outer.path().join("set");
            let tasks = vec![synth::task_names()[4].to_owned()];
            let options = Options {
                images_per_task: 8,
                tasks,
                ..Options::default()
            };
            let context = Context {
                progress: &Silent,
                interrupt: &Interrupt::default(),
            };
            synth::ensure(&dir, &options, context).unwrap();
            let root = DataRoot::new(dir);
            let bytes = fs_err::read(root.labels_path()).unwrap();
            Self {
                root,
                csv: Csv::parse(LABELS_FILE, &bytes).unwrap(),
                _outer: outer,
            }
        }

        fn id(&self, row: usize) -> &str {
            &self.csv.columns[0].1[row]
        }

        fn set(&mut self, column: &str, row: usize, value: &str) {
            let column = self
                .csv
                .columns
                .iter_mut()
                .find(|(name, _)| name == column)
                .unwrap();
            column.1[row] = value.to_owned();
        }

        fn check(&self, depth: Depth) -> Report {
            let context = Context {
                progress: &Silent,
                interrupt: &Interrupt::default(),
            };
            check(&self.root, &self.csv, depth, context).unwrap()
        }
    }

    const NOT_NEWT: &str = "not NeWT: 0 of its 164 tasks and 1 other, \
        4 test rows where NeWT has 18,024; published scores do not compare";

    #[test]
    fn a_sound_copy_is_counted() {
        let copy = Copy::new();
        for depth in [Depth::Headers, Depth::Full] {
            let report = copy.check(depth);
            assert!(report.is_sound());
            assert_eq!(report.notes, [""; 0]);
            assert_eq!(report.newt.unwrap().to_string(), NOT_NEWT);
            let counts = report.counts.unwrap();
            assert_eq!(
                (counts.n_rows, counts.n_train_rows, counts.n_test_rows),
                (8, 4, 4)
            );
            let cluster = Cluster {
                name: "behavior".to_owned(),
                n_tasks: 1,
                n_train_rows: 4,
                n_test_rows: 4,
            };
            assert_eq!((counts.n_tasks, counts.clusters), (1, vec![cluster]));
            let sizes = fs_err::read_dir(copy.root.images_dir())
                .unwrap()
                .map(|entry| entry.unwrap().metadata().unwrap().len());
            assert_eq!(counts.image_bytes, sizes.sum::<u64>());
        }
    }

    #[test]
    fn all_bad_images_are_listed_in_file_order() {
        let copy = Copy::new();
        let path = |row| copy.root.image_path(copy.id(row));
        fs_err::remove_file(path(1)).unwrap();
        fs_err::write(path(2), "").unwrap();
        fs_err::write(path(4), "<html>not found</html>").unwrap();
        let whole = fs_err::read(path(5)).unwrap();
        fs_err::write(path(5), &whole[..whole.len() / 2]).unwrap();
        fs_err::remove_file(path(7)).unwrap();
        fs_err::create_dir(path(7)).unwrap();
        for depth in [Depth::Headers, Depth::Full] {
            let report = copy.check(depth);
            let found: Vec<(Kind, &str)> = report
                .problems
                .iter()
                .map(|problem| (problem.kind, problem.place.as_str()))
                .collect();
            let place = |row| format!("newt2021_images/{}.jpg", copy.id(row));
            assert_eq!(
                found,
                [
                    (Kind::Missing, place(1).as_str()),
                    (Kind::Damaged, &place(2)),
                    (Kind::Damaged, &place(4)),
                    (Kind::Damaged, &place(5)),
                    (Kind::Unreadable, &place(7)),
                ]
            );
            assert_eq!(report.problems[0].message, "missing");
            assert_eq!(report.problems[1].message, "empty file");
        }
    }

    #[test]
    fn bad_labels_are_listed_and_images_are_left_alone() {
        let mut copy = Copy::new();
        for row in 0..8 {
            copy.set("label", row, "yes");
        }
        let report = copy.check(Depth::Full);
        assert_eq!(report.counts, None);
        assert_eq!(report.problems.len(), 8);
        assert_eq!(
            report.problems[6],
            Problem {
                kind: Kind::Labels,
                place: "newt2021_labels.csv:8".to_owned(),
                message: format!(
                    "label of image `{}` is `yes`, expected `0` or `1`",
                    copy.id(6)
                ),
            }
        );
        copy.csv.columns.truncate(1);
        let report = copy.check(Depth::Full);
        assert_eq!(report.problems.len(), 1);
        let problem = &report.problems[0];
        assert_eq!(
            (problem.place.as_str(), problem.message.as_str()),
            (
                "newt2021_labels.csv:1",
                "column `task` is missing, found `id`; the columns needed are `id`, `task`, `task_cluster`, `label`, `split`"
            )
        );
    }

    #[test]
    fn what_is_odd_but_does_no_harm_is_noted() {
        let mut copy = Copy::new();
        copy.set("width", 3, "1");
        for name in ["c.jpg", "a.png", "d.jpg", "b"] {
            fs_err::write(copy.root.images_dir().join(name), "").unwrap();
        }
        let report = copy.check(Depth::Headers);
        assert!(report.is_sound());
        assert_eq!(report.notes.len(), 2);
        let sizes = format!(
            "images of another `width` or `height` than in newt2021_labels.csv: 1, such as {}, ",
            copy.id(3)
        );
        assert!(report.notes[0].starts_with(&sizes), "{}", report.notes[0]);
        assert_eq!(
            report.notes[1],
            "files in newt2021_images that belong to no row: 4 (a.png, b, c.jpg and 1 more)"
        );
    }

    #[test]
    fn an_interrupted_check_stops() {
        let copy = Copy::new();
        let interrupt = Interrupt::default();
        interrupt.flag().store(2, Ordering::Relaxed);
        let context = Context {
            progress: &Silent,
            interrupt: &interrupt,
        };
        let stopped = check(&copy.root, &copy.csv, Depth::Full, context);
        assert_eq!(stopped.unwrap_err().signal, 2);
    }

    #[test]
    fn other_splits_are_a_problem_and_images_are_looked_at() {
        let mut copy = Copy::new();
        let splits = &copy.csv.columns[6].1;
        let test_row = splits.iter().position(|split| *split == "test");
        copy.set("split", test_row.unwrap(), "Train");
        let line = test_row.unwrap() + 2;
        fs_err::remove_file(copy.root.image_path(copy.id(0))).unwrap();
        let report = copy.check(Depth::Headers);
        let said: Vec<String> = report
            .problems
            .iter()
            .map(|problem| format!("{}: {}", problem.place, problem.message))
            .collect();
        let expected = format!(
            "`Train` in 1 row (line {line}), expected `train` or `test`; correct these rows; or set \
             `data.other_splits` to `test`, which tests on every row that does not train"
        );
        assert_eq!(
            said,
            [
                format!("newt2021_labels.csv: `split` is {expected}"),
                format!("newt2021_images/{}.jpg: missing", copy.id(0))
            ]
        );
    }

    #[test]
    fn images_under_other_names_are_found_and_noted() {
        let copy = Copy::new();
        let image = |row, ending: &str| {
            copy.root
                .images_dir()
                .join(copy.id(row).to_owned() + ending)
        };
        fs_err::rename(image(0, ".jpg"), image(0, ".JPG")).unwrap();
        fs_err::copy(image(1, ".jpg"), image(1, ".jpeg")).unwrap();
        fs_err::rename(image(1, ".jpg"), image(1, ".JPG")).unwrap();
        let report = copy.check(Depth::Full);
        assert_eq!(
            report.notes,
            [format!(
                "1 image is not named `<id>.jpg`, taken instead: {}.JPG",
                copy.id(0)
            )]
        );
        let id = copy.id(1);
        assert_eq!(report.problems.len(), 1);
        assert_eq!(
            report.problems[0].message,
            format!("missing, and more than one file could be it: {id}.JPG, {id}.jpeg")
        );
    }
}
