//! The table `[probe]` of a pipeline file: a protocol, and what is written over it.

use serde::{Deserialize, Serialize};
use serde_json::json;
use toml::{Table, Value};

use super::file::ConfigFile;
use super::origins::join;
use super::reader::{Problem, one_or_more, read};
use super::search::{self, SearchConfig};
use crate::error::Message;
use crate::newt::sampling::NTrain;
use crate::probe::Probe;

/// A named set of defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Protocol {
    /// The reference's: a linear SVC below 10 train rows per task (and for all rows), a randomized search from 10 on.
    #[default]
    Biobench,
}

impl Protocol {
    /// The probe that it has for `n_train` rows a task.
    pub fn probe(self, n_train: NTrain) -> Probe {
        match self {
            Self::Biobench => Probe::biobench(n_train.written()),
        }
    }

    /// Whether it takes features that are scaled to unit L2 norm, and not as the network gives them.
    pub fn features_l2(self) -> bool {
        match self {
            Self::Biobench => true,
        }
    }
}

/// What a pipeline file says about the probe, for one point of the sweep.
///
/// Each key that is written overrides the protocol's value. Fixing `kernel`, `c` or `gamma` without a `search` of one's
/// own switches the protocol's search off.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProbeConfig {
    /// Where everything comes from that is not written.
    pub protocol: Protocol,
    /// The written keys but `protocol` and `search`, each with one value in the form of [`Probe::to_table`].
    pub written: Table,
    /// A search of one's own, or none.
    pub search: Option<SearchConfig>,
}

impl ProbeConfig {
    /// The probe that this point of the sweep means for `n_train` rows a task.
    #[expect(clippy::expect_used, reason = "each value has been read as its key's")]
    pub fn resolve(&self, n_train: NTrain) -> Probe {
        let protocol = self.protocol.probe(n_train);
        let mut table = protocol.to_table();
        table.extend(self.written.clone());
        let mut probe: Probe = table.try_into().expect("values in range");
        let is_fixed = search::KEYS
            .iter()
            .any(|key| self.written.contains_key(*key));
        probe.search = match &self.search {
            None => protocol.search.filter(|_| !is_fixed),
            Some(search) => search.resolve(self, &probe),
        };
        probe
    }

    /// The name that tells this probe from the others of a sweep: the protocol, then what is
    /// spelled out, such as `biobench c=0.1 kernel=linear`.
    pub fn name(&self) -> String {
        let mut written = self.written.clone();
        let search = self.search.as_ref().map(SearchConfig::name);
        written.extend(search.map(|name| ("search".to_owned(), Value::from(name))));
        written
            .iter()
            .fold(self.protocol.to_string(), |name, (key, value)| {
                format!("{name} {key}={}", show(value))
            })
    }

    /// The table `[probe]` that means the same for `n_train` rows a task, with every key.
    pub fn spell_out(&self, n_train: NTrain) -> Table {
        let probe = self.resolve(n_train);
        let mut table = probe.to_table();
        if probe.search.is_some() {
            table.retain(|key, _| !search::KEYS.contains(&key));
        }
        let search = probe.search.as_ref();
        table.insert("protocol".to_owned(), self.protocol.to_string().into());
        table.insert(
            "search".to_owned(),
            search.map_or(false.into(), search::to_toml),
        );
        table
    }
}

/// A value in the name of a probe.
fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Float(number) => format!("{number:?}"),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(show).collect();
            format!("[{}]", values.join(","))
        }
        other => other.to_string(),
    }
}

/// The values of each written key of `[probe]`, in the order of the fields of [`Probe`], and what else the table says.
pub struct ProbeTable {
    base: ProbeConfig,
    lists: Vec<(String, Vec<Value>)>,
}

impl ProbeTable {
    /// Reads `[probe]`.
    ///
    /// # Errors
    /// The first key or value that is wrong.
    pub fn read(file: &ConfigFile) -> Result<Self, Message> {
        let mut base = ProbeConfig::default();
        let empty = Table::new();
        let table = match file.get("", "probe") {
            None => &empty,
            Some(Value::Table(table)) => table,
            Some(other) => return Err(file.invalid("probe", other, "a table")),
        };
        if let Some(value) = table.get("protocol") {
            base.protocol = file.read_at("probe.protocol", value)?;
        }
        if let Some(value) = table.get("search") {
            base.search = Some(search::read(file, table, value)?);
        }
        let known = keys();
        if let Some(key) = table.keys().find(|key| !known.contains(*key)) {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            return Err(file.unknown_key("probe", key, &known));
        }
        let mut lists = Vec::new();
        for key in known {
            if let Some(value) = table
                .get(&key)
                .filter(|_| key != "protocol" && key != "search")
            {
                let values = one_or_more(value, |value| {
                    // As a probe writes it: `1.0` where `1` is written.
                    Ok(read_one(&key, value)?.to_table()[&key].clone())
                });
                let path = join("probe", &key);
                let expected = |one: String| format!("{one}, or a list of such");
                let values = values.map_err(|one| file.invalid(&path, value, &expected(one)))?;
                lists.push((key, values));
            }
        }
        Ok(Self { base, lists })
    }

    /// The path of each list, and its length.
    pub fn sizes(&self) -> impl Iterator<Item = (String, usize)> {
        let lists = self.lists.iter();
        lists.map(|(key, values)| (join("probe", key), values.len()))
    }

    /// Every combination of the lists, the last varying fastest.
    pub fn points(&self) -> Vec<ProbeConfig> {
        let first = vec![self.base.clone()];
        self.lists.iter().fold(first, |points, (key, values)| {
            let vary = |point: &ProbeConfig| {
                let point = point.clone();
                values.iter().map(move |value| {
                    let mut point = point.clone();
                    point.written.insert(key.clone(), value.clone());
                    point
                })
            };
            points.iter().flat_map(vary).collect()
        })
    }
}

/// The keys of `[probe]`.
fn keys() -> Vec<String> {
    let probe = json!(Probe::default());
    let fields = probe
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys());
    fields.cloned().chain(["protocol".to_owned()]).collect()
}

/// A probe with `value` at `key`.
///
/// # Errors
/// What is wrong with the value.
pub fn read_one(key: &str, value: &Value) -> Result<Probe, Problem> {
    let table = Table::from_iter([(key.to_owned(), value.clone())]);
    read("", &table.into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn refused(line: &str) -> String {
        let text = format!("[probe]\n{line}\n");
        let file = ConfigFile::parse(&text, "mine.toml", Path::new("")).unwrap();
        ProbeTable::read(&file).err().unwrap().to_string()
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_what_its_key_takes() {
        insta::assert_snapshot!(
            [
                "center = 1",
                "kernel = \"cosine\"",
                "c = -1",
                "c = [1, 0]",
                "c = []",
                "gamma = -0.1",
                "degree = 101",
                "coef0 = inf",
                "tol = 0",
                "max_iter = 0",
                "class_weight = [1, 0]",
                "solver = \"liblinear\"",
                "protocol = \"newt\"",
                "protocol = [\"biobench\"]",
                "serach = false",
            ]
            .map(refused)
            .join("\n"),
            @r#"
        mine.toml:2: `probe.center` is `1`, expected `true` or `false`, or a list of such
        mine.toml:2: `probe.kernel` is `"cosine"`, expected `"linear"`, `"rbf"`, `"poly"` or `"sigmoid"`, or a list of such
        mine.toml:2: `probe.c` is `-1`, expected a number above 0, or a list of such
        mine.toml:2: `probe.c` is `[1, 0]`, expected a number above 0, or a list of such
        mine.toml:2: `probe.c` is `[]`, expected a number above 0, or a list of such
        mine.toml:2: `probe.gamma` is `-0.1`, expected a number of at least 0, `"scale"` or `"auto"`, or a list of such
        mine.toml:2: `probe.degree` is `101`, expected a whole number from 1 to 100, or a list of such
        mine.toml:2: `probe.coef0` is `inf`, expected a number, or a list of such
        mine.toml:2: `probe.tol` is `0`, expected a number above 0, or a list of such
        mine.toml:2: `probe.max_iter` is `0`, expected a whole number of at least 1, or -1 for no limit, or a list of such
        mine.toml:2: `probe.class_weight` is `[1, 0]`, expected `"balanced"`, `"none"` or two numbers above 0, or a list of such
        mine.toml:2: `probe.solver` is `"liblinear"`, expected `"smo"` or `"linfa"`, or a list of such
        mine.toml:2: `probe.protocol` is `"newt"`, expected `"biobench"`
        mine.toml:2: `probe.protocol` is `["biobench"]`, expected `"biobench"`
        mine.toml:2: unknown key `probe.serach`
        "#
        );
    }
}
