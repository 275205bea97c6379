//! Which file is an image's: `<id>.jpg`, or one whose name differs from that in what people and file systems change.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use unicode_normalization::UnicodeNormalization;

use crate::text::{Listing, count, foreign};

/// How many names a message spells out.
pub const SHOWN_NAMES: usize = 3;

/// What the names of images end with.
const ENDINGS: [&str; 3] = [".jpg", ".jpeg", ".png"];

/// Where the images of a data set lie.
///
/// An image that has no file `<id>.jpg` is looked for among the others of its folder: under a name that differs in
/// case, in Unicode's normal form, or in its ending, which may be `.jpeg` or `.png` and stand twice. A file that
/// differs in the ending alone goes before one that differs in the normal form, and that one before any other; of two
/// that differ alike neither is taken. Ids that differ from each other in no more than that find `<id>.jpg` only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFiles {
    dir: PathBuf,
    /// By id, the names that fit where there is no `<id>.jpg`; several where none can be chosen.
    others: BTreeMap<String, Vec<String>>,
    /// The names that are no image's, in order.
    strangers: BTreeSet<String>,
}

impl ImageFiles {
    /// The files in `dir`, which is listed once, of the images `ids`: all those of a data set.
    pub fn find<'a>(dir: PathBuf, ids: impl Iterator<Item = &'a str>) -> io::Result<Self> {
        let ids: BTreeSet<&str> = ids.collect();
        let mut by_key: BTreeMap<String, Option<&str>> = BTreeMap::new();
        for id in &ids {
            let is_shared = |entry: &mut Option<&str>| *entry = None;
            by_key
                .entry(key(id))
                .and_modify(is_shared)
                .or_insert(Some(id));
        }

        let mut found = BTreeSet::new();
        let mut fitting: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let (mut strangers, mut blocked) = (BTreeSet::new(), BTreeSet::new());
        for entry in fs_err::read_dir(&dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let (name, is_text) = (name.to_string_lossy().into_owned(), name.to_str().is_some());
            let id = name.strip_suffix(".jpg").and_then(|id| ids.get(id));
            if is_folder(&entry)? {
                match id {
                    Some(id) => blocked.insert(*id),
                    None => strangers.insert(name),
                };
            } else if let Some(id) = id.filter(|_| is_text) {
                found.insert(*id);
            } else if let (true, Some(Some(id))) = (is_text, by_key.get(&key(&name))) {
                fitting.entry(id).or_default().push(name);
            } else {
                strangers.insert(name);
            }
        }
        let mut others = BTreeMap::new();
        for (id, mut names) in fitting {
            let best = names.iter().map(|name| distance(id, name)).min();
            let is_taken = |name: &String| !found.contains(id) && Some(distance(id, name)) == best;
            strangers.extend(names.extract_if(.., |name| !is_taken(name)));
            // The order of a folder's entries is the file system's.
            names.sort_unstable();
            if !names.is_empty() {
                others.insert(id.to_owned(), names);
            }
        }
        // A folder in the place of an image is told as that image's problem, unless the image is found elsewhere.
        let is_needless = |id: &&str| others.contains_key(*id);
        strangers.extend(
            blocked
                .into_iter()
                .filter(is_needless)
                .map(|id| format!("{id}.jpg")),
        );
        Ok(Self {
            dir,
            others,
            strangers,
        })
    }

    /// The image's file; `<id>.jpg` where none was found.
    pub fn path(&self, id: &str) -> PathBuf {
        match self.others.get(id).map(Vec::as_slice) {
            Some([name]) => self.dir.join(name),
            _ => self.dir.join(format!("{id}.jpg")),
        }
    }

    /// The names among which none could be chosen, where that is why the image has no file.
    pub fn choices(&self, id: &str) -> Option<&[String]> {
        let names = self.others.get(id)?;
        (names.len() > 1).then_some(names)
    }

    /// Says that there are several [`choices`](Self::choices).
    pub fn undecided(choices: &[String]) -> String {
        let names = Listing::first(SHOWN_NAMES, choices.iter().map(|name| foreign(name)));
        format!("missing, and more than one file could be it: {names}")
    }

    /// The names in the folder that are no image's, in order.
    pub fn strangers(&self) -> &BTreeSet<String> {
        &self.strangers
    }

    /// Says which files are taken under another name than `<id>.jpg`, if any are.
    pub fn note(&self) -> Option<String> {
        let alone = self.others.values().filter(|names| names.len() == 1);
        let taken = Listing::first(SHOWN_NAMES, alone.map(|names| foreign(&names[0])));
        let is_are = if taken.n == 1 { "is" } else { "are" };
        (!taken.is_empty()).then(|| {
            format!(
                "{} {is_are} not named `<id>.jpg`, taken instead: {taken}",
                count(taken.n, "image", "images")
            )
        })
    }
}

/// Whether an entry of a folder is a folder, or a link to one.
fn is_folder(entry: &fs_err::DirEntry) -> io::Result<bool> {
    let kind = entry.file_type()?;
    Ok(kind.is_dir() || (kind.is_symlink() && entry.path().is_dir()))
}

/// What names of the same image have in common.
fn key(name: &str) -> String {
    stem(name).nfc().flat_map(char::to_lowercase).collect()
}

/// `name` without its endings.
fn stem(name: &str) -> &str {
    let shorter = ENDINGS.iter().find_map(|ending| {
        let (stem, found) = name.split_at_checked(name.len().checked_sub(ending.len())?)?;
        found.eq_ignore_ascii_case(ending).then_some(stem)
    });
    shorter.map_or(name, stem)
}

/// How far the name of a file with the same key is from an id: the ending, the normal form, the case.
fn distance(id: &str, name: &str) -> u8 {
    let (id, name) = (stem(id), stem(name));
    match (id == name, id.nfc().eq(name.nfc())) {
        (true, _) => 0,
        (false, true) => 1,
        (false, false) => 2,
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// What is found of `ids` in a folder with `names`, without the folder's path.
    fn found(ids: &[&str], names: &[&str]) -> (Vec<String>, ImageFiles) {
        let dir = TempDir::new().unwrap();
        for name in names {
            fs_err::write(dir.path().join(name), "").unwrap();
        }
        let files = ImageFiles::find(dir.path().to_owned(), ids.iter().copied()).unwrap();
        let name = |id: &&str| {
            let path = files.path(id);
            path.file_name().unwrap().to_str().unwrap().to_owned()
        };
        (ids.iter().map(name).collect(), files)
    }

    #[test]
    fn images_are_found_ignoring_case_ending_and_normal_form() {
        let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}");
        let ids = ["a", "b", "C", "d.jpg", composed, "e", "gone"];
        let decomposed = format!("{decomposed}.jpg");
        let names = [
            "a.JPG",
            "b.jpg.jpg",
            "c.JPEG",
            "d.jpg",
            &decomposed,
            "e.png",
            "x.jpg",
            "._a.jpg",
        ];
        let (paths, files) = found(&ids, &names);
        assert_eq!(
            paths,
            [
                "a.JPG",
                "b.jpg.jpg",
                "c.JPEG",
                "d.jpg",
                &decomposed,
                "e.png",
                "gone.jpg"
            ]
        );
        assert_eq!(
            files.strangers().iter().collect::<Vec<_>>(),
            ["._a.jpg", "x.jpg"]
        );
        assert_eq!(
            files.note().unwrap(),
            "6 images are not named `<id>.jpg`, taken instead: c.JPEG, a.JPG, b.jpg.jpg and 3 more"
        );
    }

    #[test]
    fn the_exact_name_goes_first_then_the_nearest() {
        let decomposed = "cafe\u{301}.jpg";
        let (paths, files) = found(
            &["a", "caf\u{e9}", "b"],
            &[
                "A.JPG",
                "a.jpg",
                "a.jpeg",
                "CAF\u{c9}.jpg",
                decomposed,
                "B.jpg",
            ],
        );
        assert_eq!(paths, ["a.jpg", decomposed, "B.jpg"]);
        assert_eq!(
            files.strangers().iter().collect::<Vec<_>>(),
            ["A.JPG", "CAF\u{c9}.jpg", "a.jpeg"]
        );
        assert_eq!(files.choices("a"), None);
    }

    #[test]
    fn of_two_that_differ_alike_neither_is_taken() {
        let (paths, files) = found(&["a"], &["a.jpeg", "a.JPG"]);
        assert_eq!(paths, ["a.jpg"]);
        assert_eq!(files.choices("a").unwrap(), ["a.JPG", "a.jpeg"]);
        assert_eq!((files.note(), files.strangers().len()), (None, 0));
    }

    #[test]
    fn folders_are_no_images() {
        let dir = TempDir::new().unwrap();
        for name in ["a.jpg", "b.JPG", "c.jpg"] {
            fs_err::create_dir(dir.path().join(name)).unwrap();
        }
        fs_err::write(dir.path().join("a.JPG"), "").unwrap();
        let files = ImageFiles::find(dir.path().to_owned(), ["a", "b", "c"].into_iter()).unwrap();
        assert!(files.path("a").ends_with("a.JPG"));
        assert!(files.path("b").ends_with("b.jpg"));
        assert_eq!(
            files.strangers().iter().collect::<Vec<_>>(),
            ["a.jpg", "b.JPG"]
        );
    }

    #[test]
    fn ids_that_differ_in_case_alone_find_their_exact_names_only() {
        let (paths, files) = found(&["a", "A", "b"], &["A.jpg", "A.JPG", "B.JPG"]);
        assert_eq!(paths, ["a.jpg", "A.jpg", "B.JPG"]);
        assert_eq!(files.choices("a"), None);
    }

    #[test]
    fn exact_names_are_worth_no_note() {
        let (_, files) = found(&["a", "b"], &["a.jpg", "b.jpg"]);
        assert_eq!((files.note(), files.strangers().len()), (None, 0));
    }
}
