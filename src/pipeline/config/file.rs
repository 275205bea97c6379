//! A pipeline file whose every value knows where it was written: a line of the file, or a `--set`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::de::DeTable;
use toml::{Table, Value};

use super::origins::{Lines, Origin, join};
use super::reader::{self, Problem};
use crate::error::Message;
use crate::files::located;
use crate::text::{self, foreign, nearest, said};

/// The most parts of a dotted key in `--set`: no key has so many, and tables that lie in each other are walked by
/// recursion.
const MAX_PARTS: usize = 80;

/// A parsed pipeline file with `--set` overrides applied.
#[derive(Debug)]
pub struct ConfigFile {
    values: Table,
    origins: BTreeMap<String, Origin>,
    name: String,
    base_dir: PathBuf,
}

impl ConfigFile {
    /// Parses `text`; `name` stands for it in messages, and `base_dir` is what relative paths
    /// written in it are relative to.
    ///
    /// # Errors
    /// The text is not TOML.
    pub fn parse(text: &str, name: &str, base_dir: &Path) -> Result<Self, Message> {
        let lines = Lines::new(text);
        let syntax = |error: &toml::de::Error| {
            let line = error.span().map_or(1, |span| lines.at(span.start));
            let place = text::path(format!("{name}:{line}"));
            let message = error.message().trim_end().replace('\n', "; ");
            Message::request(format!("{place}: {}", said(&message)))
                .hint("a pipeline file is TOML: texts and paths stand in quotes")
        };
        let spanned = DeTable::parse(text).map_err(|error| syntax(&error))?;
        let origins = lines.of_keys(spanned.get_ref());
        let values = toml::from_str(text).map_err(|error| syntax(&error))?;
        Ok(Self {
            values,
            origins,
            name: name.to_owned(),
            base_dir: base_dir.to_owned(),
        })
    }

    /// Applies one `--set key=value`. The value is TOML; what is not TOML is taken as a string, so
    /// that `probe.kernel=rbf` needs no quotes.
    ///
    /// # Errors
    /// No key, no `=`, or a key that leads through a value which is no table.
    pub fn set(&mut self, argument: &str) -> Result<(), Message> {
        let malformed = || {
            let argument = foreign(argument);
            Message::request(format!(
                "--set {argument}: expected `key=value`, such as `probe.c=0.1`"
            ))
            .hint("quote the argument where the shell would split it")
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
            table = next.as_table_mut().ok_or_else(|| {
                let (key, parent) = (foreign(key), foreign(&path));
                Message::request(format!("--set {key}: `{parent}` is {found}, not a table"))
                    .hint("edit the pipeline file instead")
            })?;
        }
        table.insert((*last).to_owned(), value);
        // What stood below the key in the file is gone, and its lines with it.
        let key = parts.join(".");
        self.origins.retain(|path, _| !is_below(path, &key));
        self.origins.insert(key, Origin::Override);
        Ok(())
    }

    /// The file's name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of `key` at the top, or in the table `table`.
    pub fn get(&self, table: &str, key: &str) -> Option<&Value> {
        match table {
            "" => self.values.get(key),
            table => self.values.get(table)?.get(key),
        }
    }

    /// Reads the whole file.
    ///
    /// # Errors
    /// The first key or value that is wrong.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Message> {
        self.read_at("", &Value::Table(self.values.clone()))
    }

    /// Reads the value at `path`.
    ///
    /// # Errors
    /// The first key or value in it that is wrong.
    pub fn read_at<T: DeserializeOwned>(&self, path: &str, value: &Value) -> Result<T, Message> {
        reader::read(path, value).map_err(|problem| self.message("", &Value::from(""), problem))
    }

    fn message(&self, path: &str, value: &Value, problem: Problem) -> Message {
        match problem {
            Problem::At {
                path,
                value,
                problem,
            } => self.message(&path, &value, *problem),
            Problem::Expected(expected) => self.invalid(path, value, &expected),
            Problem::UnknownKey { key, known } => self.unknown_key(path, &key, known),
            Problem::Missing(key) => self.missing(&join(path, key)),
        }
    }

    /// The error for a value of another type or range than its key takes.
    pub fn invalid(&self, path: &str, value: &Value, expected: &str) -> Message {
        let (key, found) = (foreign(path), show(value));
        let error = self.error(path, &format!("`{key}` is {found}, expected {expected}"));
        match self.as_list(path, value) {
            Some(hint) if expected.contains("list") => error.hint(hint),
            _ => error.hint("`newt-pipe config` shows every key with its default"),
        }
    }

    /// The error for a key that nothing reads, in a table of which the keys `known` are read.
    pub fn unknown_key(&self, table: &str, key: &str, known: &[&str]) -> Message {
        let path = join(table, key);
        let error = self.error(&path, &format!("unknown key `{}`", foreign(&path)));
        match nearest(key, known.iter().copied()) {
            Some(known) => error.hint(format!("did you mean `{}`?", join(table, known))),
            None => error.hint("`newt-pipe config` shows every key"),
        }
    }

    /// The error for a key that must be written.
    pub fn missing(&self, path: &str) -> Message {
        let error = self.error(path, &format!("`{}` is missing", foreign(path)));
        match path.rsplit_once("].") {
            // No `--set` leads into a list.
            Some((_, key)) => error.hint(format!("write `{key}` in that table")),
            None => error.hint(format!("write `{path}`, or pass `--set {path}=…`")),
        }
    }

    /// The error `what`, at the place where the value at `path` was written.
    pub fn error(&self, path: &str, what: &str) -> Message {
        Message::request(format!("{}: {what}", text::path(self.place(path))))
    }

    /// That a list is written `--set 'key=[1, 2]'`, where `--set key=1,2` was written.
    fn as_list(&self, path: &str, value: &Value) -> Option<String> {
        let text = value.as_str()?;
        // What cannot be shown whole cannot be repeated either.
        if self.origin(path) != Some(Origin::Override)
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
        let items = items.join(", ");
        Some(format!("a list is written `--set '{path}=[{items}]'`"))
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

    /// Where the value at `path` was written: `file:line`, or `--set`.
    pub fn place(&self, path: &str) -> String {
        match self.origin(path) {
            Some(Origin::Line(line)) => format!("{}:{line}", self.name),
            Some(Origin::Override) => "--set".to_owned(),
            None => self.name.clone(),
        }
    }

    /// Where `path` was written, and, if below it something was overridden, that it was.
    pub fn place_of_all(&self, path: &str) -> String {
        let mut origins = self.origins.iter();
        let is_override =
            |(key, origin): (&String, &Origin)| is_below(key, path) && *origin == Origin::Override;
        if origins.any(is_override) {
            format!("{} and --set", self.name)
        } else {
            self.place(path)
        }
    }

    /// What a relative path at `path` is relative to: the file's folder, or the working folder for
    /// what `--set` gives.
    pub fn base_dir(&self, path: &str) -> &Path {
        match self.origin(path) {
            Some(Origin::Override) => Path::new(""),
            _ => &self.base_dir,
        }
    }

    /// Where the path that is written at `path` leads.
    pub fn located(&self, path: &str, written: &str) -> PathBuf {
        located(self.base_dir(path), written)
    }
}

/// Whether the value at `path` is in the one at `table`.
fn is_below(path: &str, table: &str) -> bool {
    let rest = path.strip_prefix(table);
    rest.is_some_and(|rest| rest.starts_with(['.', '[']))
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
    use serde::Deserialize;

    use super::*;
    use crate::error::Failure;
    use crate::pipeline::config::reader::OneOrMore;
    use crate::setting;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Tables {
        probe: Probe,
        models: Vec<Model>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Probe {
        kernel: Option<Kernel>,
        c: Option<C>,
        list: Option<OneOrMore<C>>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kernel {
        Linear,
        Rbf,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct C(#[serde(deserialize_with = "setting::number")] f64);

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Model {
        org: Kernel,
    }

    fn file(text: &str) -> ConfigFile {
        ConfigFile::parse(text, "mine.toml", Path::new("/files")).unwrap()
    }

    fn c_of(file: &ConfigFile) -> Result<Option<C>, Message> {
        Ok(file.read::<Tables>()?.probe.c)
    }

    fn refused(text: &str) -> String {
        let error = file(text).read::<Tables>().unwrap_err();
        format!("{error}; {}", Failure::hint(&error).unwrap())
    }

    #[test]
    fn what_is_wrong_is_reported_with_its_line() {
        insta::assert_snapshot!(
            [
                "[probe]\n\nc = \"high\"\n",
                "[probe]\nc = 1979-05-27\n",
                "[probe]\nlist = [1, true]\n",
                "[probe]\nkernel = \"cosine\"\n",
                "[probe]\nkernal = \"rbf\"\n",
                "probe = 1\n",
                "[model]\n",
                "[[models]]\norg = \"rbf\"\n\n[[models]]\norg = 3\n",
                "[[models]]\norg = \"rbf\"\n\n[[models]]\n",
                "models = 1",
            ]
            .map(refused)
            .join("\n"),
            @r#"
        mine.toml:3: `probe.c` is `"high"`, expected a number; `newt-pipe config` shows every key with its default
        mine.toml:2: `probe.c` is `1979-05-27`, expected a number; `newt-pipe config` shows every key with its default
        mine.toml:2: `probe.list` is `[1, true]`, expected a number, or a list of such; `newt-pipe config` shows every key with its default
        mine.toml:2: `probe.kernel` is `"cosine"`, expected `"linear"` or `"rbf"`; `newt-pipe config` shows every key with its default
        mine.toml:2: unknown key `probe.kernal`; did you mean `probe.kernel`?
        mine.toml:1: `probe` is `1`, expected a table; `newt-pipe config` shows every key with its default
        mine.toml:1: unknown key `model`; did you mean `models`?
        mine.toml:5: `models[1].org` is `3`, expected `"linear"` or `"rbf"`; `newt-pipe config` shows every key with its default
        mine.toml:1: `models[1].org` is missing; write `org` in that table
        mine.toml:1: `models` is `1`, expected an array of tables; `newt-pipe config` shows every key with its default
        "#
        );
    }

    #[test]
    fn an_override_replaces_the_value_and_is_named_as_its_place() {
        let mut file = file("[probe]\nc = 1.0\n");
        file.set("probe.c = 0.5").unwrap();
        assert_eq!(c_of(&file).unwrap(), Some(C(0.5)));
        file.set("probe.c=low").unwrap();
        assert_eq!(
            c_of(&file).unwrap_err().to_string(),
            "--set: `probe.c` is `\"low\"`, expected a number"
        );
    }

    #[test]
    fn a_list_without_brackets_is_shown_as_it_is_written() {
        for (argument, spelled) in [
            ("1,20", "--set 'probe.list=[1, 20]'"),
            ("[low, 2]", "--set 'probe.list=[\"low\", 2]'"),
        ] {
            let hint = |key: &str| {
                let mut file = file("");
                file.set(&format!("probe.{key}={argument}")).unwrap();
                Failure::hint(&file.read::<Tables>().unwrap_err()).unwrap()
            };
            assert_eq!(hint("list"), format!("a list is written `{spelled}`"));
            assert!(hint("c").starts_with("`newt-pipe config`"));
        }
    }

    #[test]
    fn an_override_cannot_smuggle_in_other_keys() {
        let mut file = file("");
        file.set("probe.c=1.0\nsolver = 2").unwrap();
        assert!(c_of(&file).is_err());
    }

    #[test]
    fn paths_in_the_file_and_in_overrides_have_their_own_base() {
        let mut file = file("[data]\nroot = \"x\"\n");
        assert_eq!(file.base_dir("data.root"), Path::new("/files"));
        file.set("data.root=y").unwrap();
        assert_eq!(file.base_dir("data.root"), Path::new(""));
    }

    #[test]
    fn an_override_of_a_whole_table_takes_the_place_of_its_keys() {
        let mut file = file("[data]\nroot = \"x\"\n");
        file.set("data={ root = \"y\" }").unwrap();
        assert_eq!(file.base_dir("data.root"), Path::new(""));
        file.set("probe.q.r=1").unwrap();
        let error = file.read::<Tables>().unwrap_err();
        assert!(
            error.to_string().starts_with("--set: unknown key `data`"),
            "{error}"
        );
        assert_eq!(file.place("probe"), "--set");
    }

    #[test]
    fn syntax_errors_carry_the_line() {
        let error =
            ConfigFile::parse("[probe]\nc = = 1\n", "mine.toml", Path::new("")).unwrap_err();
        assert!(error.to_string().starts_with("mine.toml:2: "), "{error}");
    }
}
