//! The data set as a folder: found whole, or drawn beside its place and renamed into it.

use std::io;
use std::path::Path;

use rayon::prelude::*;

use super::picture::{CSV_HEADER, Subject};
use super::{Outcome, Recipe};
use crate::context::Context;
use crate::error::{Error, Message};
use crate::files::{self, StagedDir};
use crate::newt::images::{DataRoot, IMAGES_DIR, LABELS_FILE};
use crate::text;

/// The recipe's file, below the data root.
pub const RECIPE_FILE: &str = "synth.json";

/// The largest recipe that is read: one with every task has some kilobytes.
const MAX_RECIPE_BYTES: u64 = 1 << 20;

pub fn ensure(dir: &Path, recipe: &Recipe, context: Context<'_>) -> Result<Outcome, Error> {
    if holds(dir, recipe)? {
        return Ok(Outcome::AlreadyThere);
    }
    let staged = StagedDir::beside(dir)?;
    let subjects = recipe.subjects();
    let pictures = draw(&subjects, context)?;
    // The system's error names a file of a folder that will be gone.
    write(staged.path(), recipe, &subjects, &pictures)
        .map_err(|source| staged.not_written(source))?;
    match staged.publish_new(files::sync_tree) {
        Ok(()) => Ok(Outcome::Made),
        // Another process may have put its own in place meanwhile; if it is the same, all is well.
        Err(error) => match holds(dir, recipe) {
            Ok(true) => Ok(Outcome::AlreadyThere),
            Ok(false) | Err(_) => Err(error),
        },
    }
}

/// Whether `dir` holds the recipe's set; `false` where it is empty or missing.
fn holds(dir: &Path, recipe: &Recipe) -> Result<bool, Error> {
    if entries(dir)?.next().is_none() {
        return Ok(false);
    }
    let path = dir.join(RECIPE_FILE);
    let refused = |path: &Path, what: &str, hint: &str| {
        Message::request(format!("{}: {what}", text::path(path))).hint(hint)
    };
    let text = match files::read(&path, MAX_RECIPE_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let what =
                format!("holds files but no `{RECIPE_FILE}`, expected an empty or new folder");
            return Err(refused(dir, &what, "choose another folder").into());
        }
        Err(error) => return Err(error.into()),
    };
    let found: Recipe = serde_json::from_slice(&text).map_err(|error| {
        let what = format!("{error}, expected the recipe of a synthetic data set");
        refused(&path, &what, "choose another folder")
    })?;
    if let Some((key, found, expected)) = difference(&found, recipe) {
        let what = format!("`{key}` is {found}, expected {expected}");
        let hint = "choose another folder, or remove this one to have it drawn anew";
        return Err(refused(&path, &what, hint).into());
    }
    let incomplete = |found: &str, expected: &str| {
        let what = format!("{found}, expected {expected} as its `{RECIPE_FILE}` says");
        let hint = format!("remove {} to have it drawn anew", dir.display());
        Err(refused(dir, &what, &hint).into())
    };
    if !dir.join(LABELS_FILE).is_file() {
        return incomplete(&format!("no `{LABELS_FILE}`"), "one");
    }
    let mut n_images = 0;
    for entry in entries(&dir.join(IMAGES_DIR))? {
        n_images += usize::from(entry?.path().extension().is_some_and(|end| end == "jpg"));
    }
    if n_images != recipe.n_images {
        return incomplete(&format!("{n_images} images"), &recipe.n_images.to_string());
    }
    Ok(true)
}

/// What is in the folder; nothing where there is none.
fn entries(dir: &Path) -> io::Result<impl Iterator<Item = io::Result<fs_err::DirEntry>> + use<>> {
    match fs_err::read_dir(dir) {
        Ok(entries) => Ok(Some(entries).into_iter().flatten()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None.into_iter().flatten()),
        Err(error) => Err(error),
    }
}

/// The first key in which two recipes differ, with both values.
fn difference(found: &Recipe, expected: &Recipe) -> Option<(&'static str, String, String)> {
    let values = |recipe: &Recipe| {
        [
            ("made_by", recipe.made_by.clone()),
            ("version", recipe.version.to_string()),
            ("seed", recipe.seed.to_string()),
            ("images_per_task", recipe.images_per_task.to_string()),
            ("tasks", recipe.tasks.join(", ")),
            ("n_images", recipe.n_images.to_string()),
        ]
    };
    values(found)
        .into_iter()
        .zip(values(expected))
        .find(|(found, expected)| found != expected)
        .map(|((key, found), (_, expected))| (key, found, expected))
}

/// Draws all pictures, in parallel; they come in the order of `subjects`.
pub fn draw(subjects: &[Subject], context: Context<'_>) -> Result<Vec<Vec<u8>>, Error> {
    let Context {
        progress,
        interrupt,
    } = context;
    progress.start("drawing the synthetic data set", subjects.len() as u64);
    let pictures = subjects
        .par_iter()
        .map(|subject| {
            interrupt.check()?;
            let picture = subject.draw()?;
            progress.tick(1);
            Ok(picture)
        })
        .collect();
    progress.finish();
    pictures
}

/// Writes the set into `dir`, an empty folder.
fn write(
    dir: &Path,
    recipe: &Recipe,
    subjects: &[Subject],
    pictures: &[Vec<u8>],
) -> io::Result<()> {
    let root = DataRoot::new(dir);
    fs_err::create_dir(root.images_dir())?;
    let mut labels = CSV_HEADER.to_owned();
    for (subject, picture) in subjects.iter().zip(pictures) {
        fs_err::write(root.image_path(&subject.id), picture)?;
        labels += &subject.csv_row();
    }
    fs_err::write(root.labels_path(), labels)?;
    let text = serde_json::to_string_pretty(recipe)?;
    fs_err::write(dir.join(RECIPE_FILE), text + "\n")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::super::{Options, ensure, task_names};
    use super::*;
    use crate::interrupt::Interrupt;
    use crate::progress::Silent;

    /// The set of these options in `dir`.
    fn ensured(dir: &Path, options: &Options) -> Result<Outcome, Error> {
        let context = Context {
            progress: &Silent,
            interrupt: &Interrupt::default(),
        };
        ensure(dir, options, context)
    }

    fn small() -> Options {
        let tasks = vec![task_names()[0].to_owned()];
        Options {
            images_per_task: 8,
            tasks,
            ..Options::default()
        }
    }

    /// A folder with a data set in it, and the outer folder that it lies in.
    fn drawn() -> (TempDir, PathBuf) {
        let outer = TempDir::new().unwrap();
        let dir = outer.path().join("a/set");
        assert_eq!(ensured(&dir, &small()).unwrap(), Outcome::Made);
        (outer, dir)
    }

    /// The error of a second `ensure`, as the user reads it, with the folder's path shortened.
    fn refused(dir: &Path, options: &Options) -> (String, Option<String>) {
        let error = ensured(dir, options).unwrap_err();
        let short = |text: String| text.replace(&dir.display().to_string(), "DIR");
        (short(error.to_string()), error.hint().map(short))
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs_err::read_dir(dir).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_set_is_drawn_once() {
        let (outer, dir) = drawn();
        assert_eq!(names(&dir), [IMAGES_DIR, LABELS_FILE, RECIPE_FILE]);
        assert_eq!(names(&dir.join(IMAGES_DIR)).len(), 8);
        let before = fs_err::metadata(dir.join(LABELS_FILE))
            .unwrap()
            .modified()
            .unwrap();
        assert_eq!(ensured(&dir, &small()).unwrap(), Outcome::AlreadyThere);
        assert_eq!(
            fs_err::metadata(dir.join(LABELS_FILE))
                .unwrap()
                .modified()
                .unwrap(),
            before
        );
        assert_eq!(names(&outer.path().join("a")), ["set"]);
    }

    #[test]
    fn the_recipe_is_the_same_text_every_time() {
        let (_outer, dir) = drawn();
        let text = fs_err::read_to_string(dir.join(RECIPE_FILE)).unwrap();
        assert_eq!(
            text,
            "{\n  \"made_by\": \"newt-pipe data synth\",\n  \"version\": 2,\n  \"seed\": 17,\n  \
             \"images_per_task\": 8,\n  \"n_images\": 8,\n  \"tasks\": [\n    \
             \"synth_flower_blue_vs_red\"\n  ]\n}\n"
        );
    }

    #[test]
    fn an_empty_folder_is_filled() {
        let outer = TempDir::new().unwrap();
        assert_eq!(ensured(outer.path(), &small()).unwrap(), Outcome::Made);
    }

    #[test]
    fn a_folder_with_other_things_is_left_alone() {
        let outer = TempDir::new().unwrap();
        let dir = outer.path().join("mine");
        fs_err::create_dir(&dir).unwrap();
        fs_err::write(dir.join("notes.txt"), "").unwrap();
        assert_eq!(
            refused(&dir, &small()),
            (
                "DIR: holds files but no `synth.json`, expected an empty or new folder".to_owned(),
                Some("choose another folder".to_owned())
            )
        );
        assert_eq!(names(&dir), ["notes.txt"]);
        assert_eq!(names(outer.path()), ["mine"]);
    }

    #[test]
    fn a_set_of_other_options_is_left_alone() {
        let (_outer, dir) = drawn();
        let hint =
            Some("choose another folder, or remove this one to have it drawn anew".to_owned());
        assert_eq!(
            refused(&dir, &Options { seed: 3, ..small() }),
            (
                "DIR/synth.json: `seed` is 17, expected 3".to_owned(),
                hint.clone()
            )
        );
        assert_eq!(
            refused(
                &dir,
                &Options {
                    images_per_task: 12,
                    ..small()
                }
            ),
            (
                "DIR/synth.json: `images_per_task` is 8, expected 12".to_owned(),
                hint.clone()
            )
        );
        let tasks = task_names()[..2]
            .iter()
            .map(|&name| name.to_owned())
            .collect();
        assert_eq!(
            refused(&dir, &Options { tasks, ..small() }),
            (
                "DIR/synth.json: `tasks` is synth_flower_blue_vs_red, \
                 expected synth_flower_blue_vs_red, synth_disc_vs_starfish"
                    .to_owned(),
                hint
            )
        );
    }

    #[test]
    fn a_recipe_that_is_none_is_left_alone() {
        let (_outer, dir) = drawn();
        fs_err::write(dir.join(RECIPE_FILE), "{}").unwrap();
        assert_eq!(
            refused(&dir, &small()),
            (
                "DIR/synth.json: missing field `made_by` at line 1 column 2, \
                 expected the recipe of a synthetic data set"
                    .to_owned(),
                Some("choose another folder".to_owned())
            )
        );
    }

    #[test]
    fn a_set_that_has_lost_files_is_named() {
        let (_outer, dir) = drawn();
        let hint = Some("remove DIR to have it drawn anew".to_owned());
        let image = names(&dir.join(IMAGES_DIR)).remove(0);
        fs_err::remove_file(dir.join(IMAGES_DIR).join(image)).unwrap();
        assert_eq!(
            refused(&dir, &small()),
            (
                "DIR: 7 images, expected 8 as its `synth.json` says".to_owned(),
                hint.clone()
            )
        );
        fs_err::remove_file(dir.join(LABELS_FILE)).unwrap();
        assert_eq!(
            refused(&dir, &small()),
            (
                "DIR: no `newt2021_labels.csv`, expected one as its `synth.json` says".to_owned(),
                hint
            )
        );
    }

    #[test]
    fn a_path_without_a_name_is_refused() {
        for dir in ["/", "..", "no/such/.."] {
            let error = ensured(Path::new(dir), &small()).unwrap_err();
            // `/` and `..` hold files, which is found first.
            let said = error.to_string();
            assert!(
                said.contains(": ends in no name, ") || said.contains(": holds files but no "),
                "{said}"
            );
        }
    }

    #[test]
    fn where_a_folder_cannot_be_made_the_error_names_the_path() {
        let outer = TempDir::new().unwrap();
        let file = outer.path().join("file");
        fs_err::write(&file, "").unwrap();
        let error = ensured(&file.join("set"), &small()).unwrap_err();
        assert!(
            error.to_string().contains(&file.display().to_string()),
            "{error}"
        );
    }

    #[test]
    fn two_at_once_leave_one_set_and_nothing_else() {
        let outer = TempDir::new().unwrap();
        let dir = outer.path().join("set");
        let run = || ensured(&dir, &small()).unwrap();
        let outcomes = std::thread::scope(|scope| {
            let threads = [scope.spawn(run), scope.spawn(run)];
            threads.map(|thread| thread.join().unwrap())
        });
        assert!(outcomes.contains(&Outcome::Made));
        assert_eq!(names(outer.path()), ["set"]);
    }
}
