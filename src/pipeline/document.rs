//! A TOML document whose every value knows where it was written: a line of the file, or a `--set`.
//!
//! [`Section`] reads one table of it. Whatever a section was asked for is what it knows; the rest
//! is refused by [`Section::finish`], with the nearest known key.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::de::DeTable;
use toml::{Table, Value};

use super::origins::{Lines, Origin, join};
use crate::text::{self, count, foreign, said, thousands};

/// A few lists multiply to more than memory holds; nobody waits for so many.
const MAX_EXPERIMENTS: usize = 1_000_000;

/// What can be wrong with a document as such, and with a value in it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not TOML.
    #[error("{place}: {message}", place = text::path(place), message = said(message))]
    Syntax {
        /// `file:line`.
        place: String,
        /// The parser's words.
        message: String,
    },
    /// A key that nothing reads.
    #[error("{place}: unknown key `{key}`", place = text::path(place), key = foreign(key))]
    UnknownKey {
        /// `file:line` or `--set`.
        place: String,
        /// The dotted key.
        key: String,
        /// The known key closest to it.
        nearest: Option<String>,
    },
    /// A value of another type or range than its key takes.
    #[error("{place}: `{key}` is {found}, expected {expected}", place = text::path(place), key = foreign(key))]
    Invalid {
        /// `file:line` or `--set`.
        place: String,
        /// The dotted key.
        key: String,
        /// The value as TOML.
        found: String,
        /// What the key takes.
        expected: String,
        /// What helps here, besides a look at all keys.
        hint: Option<Box<str>>,
    },
    /// A `--set` argument without a key or without `=`.
    #[error("--set {argument}: expected `key=value`, such as `probe.c=0.1`", argument = foreign(argument))]
    Override {
        /// The argument.
        argument: String,
    },
    /// A `--set` that goes through a value that is no table.
    #[error("--set {key}: `{parent}` is {found}, not a table", key = foreign(key), parent = foreign(parent))]
    NoTable {
        /// The dotted key.
        key: String,
        /// The part of it that is no table.
        parent: String,
        /// What stands there.
        found: String,
    },
}

impl Error {
    /// The error for a value that does not fit, with what helps there.
    pub(super) fn with_hint(mut self, what_helps: String) -> Self {
        if let Error::Invalid { hint, .. } = &mut self {
            *hint = Some(what_helps.into());
        }
        self
    }

    /// One action that helps.
    pub fn hint(&self) -> String {
        match self {
            Error::UnknownKey {
                nearest: Some(nearest),
                ..
            } => format!("did you mean `{nearest}`?"),
            Error::UnknownKey { nearest: None, .. } => {
                "`newt-pipe config` shows every key".to_owned()
            }
            Error::NoTable { .. } => "edit the pipeline file instead".to_owned(),
            Error::Syntax { .. } => {
                "a pipeline file is TOML: texts and paths stand in quotes".to_owned()
            }
            Error::Invalid { hint, .. } => hint.as_deref().map_or_else(
                || "`newt-pipe config` shows every key with its default".to_owned(),
                str::to_owned,
            ),
            Error::Override { .. } => {
                "quote the argument where the shell would split it".to_owned()
            }
        }
    }
}

/// The most parts of a dotted key in `--set`: no key has so many, and tables that lie in each other are walked by
/// recursion.
const MAX_PARTS: usize = 80;

/// A parsed TOML file with `--set` overrides applied.
#[derive(Debug)]
pub(super) struct Document {
    values: Table,
    origins: BTreeMap<String, Origin>,
    name: String,
    base_dir: PathBuf,
    /// How many experiments the values make that have been read so far.
    n_experiments: Cell<usize>,
}

impl Document {
    /// Parses `text`; `name` stands for it in messages, and `base_dir` is what relative paths
    /// written in it are relative to.
    pub(super) fn parse(text: &str, name: &str, base_dir: &Path) -> Result<Document, Error> {
        let lines = Lines::new(text);
        let syntax = |error: &toml::de::Error| Error::Syntax {
            place: format!(
                "{name}:{}",
                error.span().map_or(1, |span| lines.at(span.start))
            ),
            message: error.message().trim_end().replace('\n', "; "),
        };
        let spanned = DeTable::parse(text).map_err(|error| syntax(&error))?;
        let origins = lines.of_keys(spanned.get_ref());
        let values = toml::from_str(text).map_err(|error| syntax(&error))?;
        Ok(Document {
            values,
            origins,
            name: name.to_owned(),
            base_dir: base_dir.to_owned(),
            n_experiments: Cell::new(1),
        })
    }

    /// Applies one `--set key=value`. The value is TOML; what is not TOML is taken as a string, so
    /// that `probe.kernel=rbf` needs no quotes.
    pub(super) fn set(&mut self, argument: &str) -> Result<(), Error> {
        let malformed = || Error::Override {
            argument: argument.to_owned(),
        };
        let (key, text) = argument.split_once('=').ok_or_else(malformed)?;
        let key = key.trim();
        let parts: Vec<&str> = key.split('.').map(str::trim).collect();
        let is_key = parts.len() <= MAX_PARTS && parts.iter().all(|part| !part.is_empty());
        let Some((last, parents)) = parts.split_last().filter(|_| is_key) else {
            return Err(malformed());
        };
        let value = parse_value(text);
        let mut table = &mut self.values;
        let mut path = String::new();
        for part in parents {
            path = join(&path, part);
            if !table.contains_key(*part) {
                self.origins.insert(path.clone(), Origin::Override);
            }
            let next = table
                .entry((*part).to_owned())
                .or_insert_with(|| Value::Table(Table::new()));
            let found = show(next);
            table = next.as_table_mut().ok_or_else(|| Error::NoTable {
                key: key.to_owned(),
                parent: path.clone(),
                found,
            })?;
        }
        table.insert((*last).to_owned(), value);
        // What stood below the key in the file is gone, and its lines with it.
        let key = parts.join(".");
        self.origins.retain(|path, _| {
            !path
                .strip_prefix(&key)
                .is_some_and(|rest| rest.starts_with(['.', '[']))
        });
        self.origins.insert(key, Origin::Override);
        Ok(())
    }

    /// The document's top level.
    pub(super) fn root(&self) -> Section<'_> {
        Section {
            document: self,
            path: String::new(),
            table: Some(&self.values),
            known: RefCell::default(),
        }
    }

    fn origin(&self, path: &str) -> Option<Origin> {
        let mut path = path;
        loop {
            if let Some(origin) = self.origins.get(path) {
                return Some(*origin);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    fn place(&self, path: &str) -> String {
        match self.origin(path) {
            Some(Origin::Line(line)) => format!("{}:{line}", self.name),
            Some(Origin::Override) => "--set".to_owned(),
            None => self.name.clone(),
        }
    }

    /// Where `path` was written, and, if below it something was overridden, that it was.
    pub(super) fn place_of_all(&self, path: &str) -> String {
        let is_below = |key: &str| {
            let rest = key.strip_prefix(path);
            rest.is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        let mut origins = self.origins.iter();
        if origins.any(|(key, origin)| is_below(key) && matches!(origin, Origin::Override)) {
            format!("{} and --set", self.name)
        } else {
            self.place(path)
        }
    }

    /// What a relative path at `path` is relative to: the file's folder, or the working folder for
    /// what `--set` gives.
    fn base_dir(&self, path: &str) -> PathBuf {
        match self.origin(path) {
            Some(Origin::Override) => PathBuf::new(),
            _ => self.base_dir.clone(),
        }
    }
}

/// One table of a document.
pub(super) struct Section<'a> {
    document: &'a Document,
    path: String,
    table: Option<&'a Table>,
    known: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Section<'a> {
    fn lookup(&self, key: &'static str) -> Option<&'a Value> {
        self.known.borrow_mut().insert(key);
        self.table?.get(key)
    }

    /// The table `key`; an absent one reads as empty.
    pub(super) fn section(&self, key: &'static str) -> Result<Section<'a>, Error> {
        let table = match self.lookup(key) {
            None => None,
            Some(Value::Table(table)) => Some(table),
            Some(_) => return Err(self.invalid(key, "a table")),
        };
        Ok(Section {
            document: self.document,
            path: join(&self.path, key),
            table,
            known: RefCell::default(),
        })
    }

    /// The array of tables `key`; an absent one reads as empty.
    pub(super) fn sections(&self, key: &'static str) -> Result<Vec<Section<'a>>, Error> {
        let Some(value) = self.lookup(key) else {
            return Ok(Vec::new());
        };
        let wrong = || self.invalid(key, "an array of tables");
        value
            .as_array()
            .ok_or_else(wrong)?
            .iter()
            .enumerate()
            .map(|(index, item)| {
                Ok(Section {
                    document: self.document,
                    path: format!("{}[{index}]", join(&self.path, key)),
                    table: Some(item.as_table().ok_or_else(wrong)?),
                    known: RefCell::default(),
                })
            })
            .collect()
    }

    /// Whether the table itself was written.
    pub(super) fn is_written(&self) -> bool {
        self.table.is_some()
    }

    /// The value of `key` as `read` understands it; `expected` completes "expected …".
    pub(super) fn get<T>(
        &self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        self.lookup(key)
            .map(|value| read(value).ok_or_else(|| self.invalid(key, expected)))
            .transpose()
    }

    /// The values of `key`: one, or a list of them, which makes a sweep.
    pub(super) fn sweep<T>(
        &self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>, Error> {
        let Some(value) = self.lookup(key) else {
            return Ok(None);
        };
        let values = match read(value) {
            Some(one) => Some(vec![one]),
            None => value
                .as_array()
                .filter(|items| !items.is_empty())
                .and_then(|items| items.iter().map(&read).collect()),
        };
        let values =
            values.ok_or_else(|| self.invalid(key, &format!("{expected}, or a list of such")))?;
        self.multiply(key, values.len())?;
        Ok(Some(values))
    }

    /// Counts the `n` values of `key` to the sweep, and refuses more experiments than memory holds before any is made.
    pub(super) fn multiply(&self, key: &'static str, n: usize) -> Result<(), Error> {
        let n_experiments = self.document.n_experiments.get().saturating_mul(n);
        self.document.n_experiments.set(n_experiments);
        if n_experiments <= MAX_EXPERIMENTS {
            return Ok(());
        }
        let path = join(&self.path, key);
        Err(Error::Invalid {
            place: self.document.place(&path),
            key: path,
            found: format!("a list of {}", count(n, "value", "values")),
            expected: format!(
                "a sweep of {} experiments at most",
                thousands(MAX_EXPERIMENTS as u64)
            ),
            hint: Some("divide the sweep among several pipeline files".into()),
        })
    }

    /// The error for a value of `key` that does not fit.
    pub(super) fn invalid(&self, key: &str, expected: &str) -> Error {
        let path = join(&self.path, key);
        Error::Invalid {
            place: self.document.place(&path),
            found: self
                .table
                .and_then(|table| table.get(key))
                .map_or("absent".to_owned(), show),
            hint: self
                .as_list(key, &path)
                .filter(|_| expected.contains("list")),
            key: path,
            expected: expected.to_owned(),
        }
    }

    /// That a list is written `--set 'key=[1, 2]'`, where `--set key=1,2` was written.
    fn as_list(&self, key: &str, path: &str) -> Option<Box<str>> {
        let text = self.table?.get(key)?.as_str()?;
        // What cannot be shown whole cannot be repeated either.
        if self.document.origin(path) != Some(Origin::Override)
            || !text.contains(',')
            || foreign(text) != text
        {
            return None;
        }
        let items: Vec<String> = text
            .trim_matches(['[', ']', ' '])
            .split(',')
            .map(|item| parse_value(item.trim()).to_string())
            .collect();
        Some(format!("a list is written `--set '{path}=[{}]'`", items.join(", ")).into())
    }

    /// Where `key` was written: `file:line`, or `--set`.
    pub(super) fn place(&self, key: &str) -> String {
        self.document.place(&join(&self.path, key))
    }

    /// What a relative path in `key` is relative to.
    pub(super) fn base_dir(&self, key: &str) -> PathBuf {
        self.document.base_dir(&join(&self.path, key))
    }

    /// Refuses keys that were never asked for.
    pub(super) fn finish(self) -> Result<(), Error> {
        let known = self.known.borrow();
        for key in self.table.into_iter().flat_map(Table::keys) {
            if !known.contains(key.as_str()) {
                let path = join(&self.path, key);
                let is_as_long = |candidate: &&&str| key.len() <= 4 * candidate.len();
                let nearest = known
                    .iter()
                    .filter(is_as_long)
                    .map(|candidate| (strsim::damerau_levenshtein(key, candidate), candidate))
                    .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 2)
                    .min()
                    .map(|(_, candidate)| join(&self.path, candidate));
                return Err(Error::UnknownKey {
                    place: self.document.place(&path),
                    key: path,
                    nearest,
                });
            }
        }
        Ok(())
    }
}

/// What stands behind the `=` of a `--set`: TOML, or else a string.
fn parse_value(text: &str) -> Value {
    toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value").filter(|_| table.is_empty()))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// A value as the user would write it, on one line and cut where it is long.
fn show(value: &Value) -> String {
    match value {
        Value::Table(_) => "a table".to_owned(),
        other => format!("`{}`", foreign(&other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::parse(text, "mine.toml", Path::new("/files")).unwrap()
    }

    fn c_of(document: &Document) -> Result<Option<f64>, Error> {
        document
            .root()
            .section("probe")?
            .get("c", "a number", Value::as_float)
    }

    #[test]
    fn a_wrong_value_is_reported_with_its_line() {
        let error = c_of(&document("[probe]\n\nc = \"high\"\n")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "mine.toml:3: `probe.c` is `\"high\"`, expected a number"
        );
    }

    #[test]
    fn an_unknown_key_names_the_nearest_one_asked_for() {
        let document = document("[probe]\nkernal = \"rbf\"\n");
        let probe = document.root().section("probe").unwrap();
        for key in ["kernel", "c", "gamma"] {
            probe.get(key, "text", |_| Some(())).unwrap();
        }
        let error = probe.finish().unwrap_err();
        assert_eq!(error.to_string(), "mine.toml:2: unknown key `probe.kernal`");
        assert_eq!(error.hint(), "did you mean `probe.kernel`?");
    }

    #[test]
    fn an_override_replaces_the_value_and_is_named_as_its_place() {
        let mut document = document("[probe]\nc = 1.0\n");
        document.set("probe.c = 0.5").unwrap();
        assert_eq!(c_of(&document).unwrap(), Some(0.5));
        document.set("probe.c=low").unwrap();
        assert_eq!(
            c_of(&document).unwrap_err().to_string(),
            "--set: `probe.c` is `\"low\"`, expected a number"
        );
    }

    #[test]
    fn a_list_without_brackets_is_shown_as_it_is_written() {
        for (argument, spelled) in [
            ("probe.c=1,20", "--set 'probe.c=[1, 20]'"),
            ("probe.c=[low, 2]", "--set 'probe.c=[\"low\", 2]'"),
        ] {
            let mut document = document("");
            document.set(argument).unwrap();
            let probe = document.root().section("probe").unwrap();
            let error = probe.sweep("c", "a number", Value::as_float).unwrap_err();
            assert_eq!(error.hint(), format!("a list is written `{spelled}`"));
            let error = probe.get("c", "a number", Value::as_float).unwrap_err();
            assert!(error.hint().starts_with("`newt-pipe config`"), "{error}");
        }
    }

    #[test]
    fn an_override_cannot_smuggle_in_other_keys() {
        let mut document = document("");
        document.set("probe.c=1.0\nsolver = 2").unwrap();
        assert!(c_of(&document).is_err());
    }

    #[test]
    fn paths_in_the_file_and_in_overrides_have_their_own_base() {
        let mut document = document("[data]\nroot = \"x\"\n");
        assert_eq!(
            document.root().section("data").unwrap().base_dir("root"),
            Path::new("/files")
        );
        document.set("data.root=y").unwrap();
        assert_eq!(
            document.root().section("data").unwrap().base_dir("root"),
            Path::new("")
        );
    }

    #[test]
    fn an_override_of_a_whole_table_takes_the_place_of_its_keys() {
        let mut document = document("[data]\nroot = \"x\"\n");
        document.set("data={ root = \"y\" }").unwrap();
        assert_eq!(
            document.root().section("data").unwrap().base_dir("root"),
            Path::new("")
        );
        document.set("probe.q.r=1").unwrap();
        let error = document.root().finish().unwrap_err();
        assert!(
            error.to_string().starts_with("--set: unknown key `data`"),
            "{error}"
        );
        assert_eq!(document.root().place("probe"), "--set");
    }

    #[test]
    fn syntax_errors_carry_the_line() {
        let error = Document::parse("[probe]\nc = = 1\n", "mine.toml", Path::new("")).unwrap_err();
        assert!(error.to_string().starts_with("mine.toml:2: "), "{error}");
    }

    #[test]
    fn items_of_an_array_of_tables_know_their_lines() {
        let document = document("[[models]]\norg = \"a\"\n\n[[models]]\norg = 3\n");
        let models = document.root().sections("models").unwrap();
        let error = models[1]
            .get("org", "text", |v| v.as_str().map(str::to_owned))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "mine.toml:5: `models[1].org` is `3`, expected text"
        );
    }
}
