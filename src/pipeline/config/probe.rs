//! The table `[probe]` of a pipeline file: a protocol, and what is written over it.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::file::ConfigFile;
use super::origins::join;
use super::protocol::Protocol;
use super::reader::{OneOrMore, Problem, one_or_more, read};
use super::search::{self, SearchConfig};
use crate::error::Message;
use crate::newt::sampling::NTrain;
use crate::probe::{ClassifierName, Probe};
use crate::text::{Listing, either, nearest, path};

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
    ///
    /// Of several seeds of a search it is the one with the first.
    #[expect(clippy::expect_used, reason = "each value has been read as its key's")]
    pub fn resolve(&self, n_train: NTrain) -> Probe {
        let protocol = self.protocol.probe(n_train);
        let classifier = self.classifier();
        let base = protocol.with_classifier(classifier);
        let mut table = base.to_table(true);
        table.extend(self.written.clone());
        let mut probe: Probe = table.try_into().expect("values in range");
        let searched = classifier.kind().searched;
        let is_fixed = searched.iter().any(|key| self.written.contains_key(*key));
        probe.search = match &self.search {
            None => base.search.filter(|_| !is_fixed),
            Some(search) => search.resolve(self, &probe),
        };
        match self.search_seeds().first() {
            Some(&seed) => probe.with_search_seed(seed),
            None => probe,
        }
    }

    /// The classifier: no protocol has another for another number of train rows.
    pub fn classifier(&self) -> ClassifierName {
        let written = self.written.get("classifier").and_then(Value::as_str);
        let written = written.and_then(|name| name.parse().ok());
        written.unwrap_or_else(|| self.protocol.probe(NTrain::ALL).classifier)
    }

    /// The written keys that the classifier reads.
    fn read_settings(&self) -> Table {
        let probe = Probe::default().with_classifier(self.classifier());
        let mut written = self.written.clone();
        written.retain(|key, _| probe.reads(key));
        written
    }

    /// The seeds that a search of this probe has, if it draws anything: a run for each.
    pub fn search_seeds(&self) -> &[u32] {
        match &self.search {
            Some(SearchConfig::On {
                seeds: Some(seeds), ..
            }) => seeds,
            _ => self.protocol.search_seeds(),
        }
    }

    /// The seeds of the search of `probe`, which is what this resolves to: one `None` where it draws nothing. Where it tries all
    /// combinations, only their order depends on a seed, and one serves unless several are written.
    pub fn seeds_of(&self, probe: &Probe) -> Vec<Option<u32>> {
        let Some((search, seed)) = probe
            .search
            .as_ref()
            .and_then(|search| Some((search, search.seed()?)))
        else {
            return vec![None];
        };
        match self.search_seeds() {
            [] => vec![Some(seed)],
            _ if search.tries_all() && !self.has_written_seeds() => vec![Some(seed)],
            seeds => seeds.iter().copied().map(Some).collect(),
        }
    }

    /// Whether the seeds of the search are the pipeline file's, and not the protocol's.
    pub fn has_written_seeds(&self) -> bool {
        matches!(&self.search, Some(SearchConfig::On { seeds: Some(_), .. }))
    }

    /// The name that tells this probe from the others of a sweep: the protocol, then what is
    /// spelled out, such as `biobench c=0.1 kernel=linear`.
    pub fn name(&self) -> String {
        let mut written = self.read_settings();
        let searches = !self.classifier().kind().searched.is_empty();
        let search = self.search.as_ref().filter(|_| searches);
        let search = search.map(SearchConfig::name);
        written.extend(search.map(|name| ("search".to_owned(), Value::from(name))));
        written
            .iter()
            .fold(self.protocol.to_string(), |name, (key, value)| {
                format!("{name} {key}={}", show(value))
            })
    }

    /// The table `[probe]` that means `probe`, which is what this resolves to with one seed, with every key that its
    /// classifier reads.
    pub fn spell_out(&self, probe: &Probe) -> Table {
        let mut table = probe.to_table(false);
        if probe.search.is_some() {
            let searched = probe.classifier.kind().searched;
            table.retain(|key, _| !searched.contains(&key));
        }
        let search = probe.search.as_ref();
        table.insert("protocol".to_owned(), self.protocol.to_string().into());
        let search = search.map(|search| search::to_toml(search, probe.classifier));
        if !probe.classifier.kind().searched.is_empty() {
            table.insert("search".to_owned(), search.unwrap_or(false.into()));
        }
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
    protocols: Vec<Protocol>,
    search: Option<SearchConfig>,
    lists: Vec<(String, Vec<Value>)>,
}

impl ProbeTable {
    /// Reads `[probe]`.
    ///
    /// # Errors
    /// The first key or value that is wrong.
    pub fn read(file: &ConfigFile) -> Result<Self, Message> {
        let empty = Table::new();
        let table = match file.get("", "probe") {
            None => &empty,
            Some(Value::Table(table)) => table,
            Some(other) => return Err(file.invalid("probe", other, "a table")),
        };
        let mut protocols = vec![Protocol::default()];
        if let Some(value) = table.get("protocol") {
            let OneOrMore(written) = file.read_at("probe.protocol", value)?;
            protocols = written;
        }
        let search = table.get("search");
        if let Some(value) = search.filter(|value| !matches!(value, Value::Boolean(_))) {
            search::check_defaults(file, value, &protocols)?;
        }
        let search = search.map(|value| search::read(file, table, protocols[0], value));
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
                    Ok(read_one(&key, value)?.to_table(true)[&key].clone())
                });
                let path = join("probe", &key);
                let expected = |one: String| format!("{one}, or a list of such");
                let values = values.map_err(|one| file.invalid(&path, value, &expected(one)))?;
                lists.push((key, values));
            }
        }
        Ok(Self {
            protocols,
            search: search.transpose()?,
            lists,
        })
    }

    /// The path of each list, and its length.
    pub fn sizes(&self) -> impl Iterator<Item = (String, usize)> {
        let lists = self.lists.iter();
        let lists = lists.map(|(key, values)| (join("probe", key), values.len()));
        let n_seeds = match &self.search {
            Some(SearchConfig::On {
                seeds: Some(seeds), ..
            }) => seeds.len(),
            _ => 1,
        };
        let n_protocols = self.protocols.len();
        [("protocol", n_protocols), ("search.seed", n_seeds)]
            .map(|(key, n)| (join("probe", key), n))
            .into_iter()
            .chain(lists)
    }

    /// Every combination of protocols and lists, the last varying fastest; those once that differ by what their classifier does
    /// not read.
    pub fn points(&self) -> Vec<ProbeConfig> {
        let of_protocol = |&protocol: &Protocol| ProbeConfig {
            protocol,
            written: Table::new(),
            search: self.search.clone(),
        };
        let first: Vec<ProbeConfig> = self.protocols.iter().map(of_protocol).collect();
        let mut points = self.lists.iter().fold(first, |points, (key, values)| {
            let vary = |point: &ProbeConfig| {
                let point = point.clone();
                values.iter().map(move |value| {
                    let mut point = point.clone();
                    point.written.insert(key.clone(), value.clone());
                    point
                })
            };
            points.iter().flat_map(vary).collect()
        });
        let mut names = BTreeSet::new();
        points.retain(|point: &ProbeConfig| {
            let reads_all = point.read_settings().len() == point.written.len();
            let is_new = names.insert(point.name());
            reads_all || is_new
        });
        points
    }
}

impl ProbeTable {
    /// What the user should know of several protocols in one run.
    pub fn mixed_protocols(&self, file: &ConfigFile) -> Option<String> {
        let names = Listing::quoted(self.protocols.iter().map(ToString::to_string));
        (names.n > 1).then(|| {
            let place = path(file.place("probe.protocol"));
            format!(
                "{place}: the run has the protocols {names}, whose numbers do not compare with each other"
            )
        })
    }

    /// Makes sure that each key that is written is read by the classifier of one at least of the `probes` that this table
    /// means.
    ///
    /// # Errors
    /// The first that none reads, with what its classifier has in its place.
    pub fn check_read(&self, file: &ConfigFile, probes: &[Probe]) -> Result<(), Message> {
        let classifiers: BTreeSet<ClassifierName> =
            probes.iter().map(|probe| probe.classifier).collect();
        let names = either(classifiers.iter().map(ToString::to_string));
        let refused = |path: &str| {
            let what = format!("`{path}` is no setting of the classifier {names}");
            file.error(path, &what)
        };
        for (key, _) in &self.lists {
            if probes.iter().any(|probe| probe.reads(key)) {
                continue;
            }
            let error = refused(&join("probe", key));
            return Err(error.hint(in_place_of(key, &classifiers)));
        }
        let searches = probes
            .iter()
            .any(|probe| !probe.classifier.kind().searched.is_empty());
        if matches!(self.search, Some(SearchConfig::On { .. })) && !searches {
            let what = format!("`probe.search` finds nothing to search in the classifier {names}");
            return Err(file.error("probe.search", &what).hint("remove it"));
        }
        let parameters = self.search.iter().flat_map(SearchConfig::parameters);
        for (path, key) in parameters {
            let mut kinds = classifiers.iter().map(|name| name.kind());
            if !kinds.any(|kind| kind.searched.contains(&key)) {
                let searched = classifiers.iter().flat_map(|name| name.kind().searched);
                let hint = format!("remove it: its search chooses {}", either(searched));
                return Err(refused(&path).hint(hint));
            }
        }
        Ok(())
    }
}

/// What to do about the setting `key`, which none of `classifiers` has.
fn in_place_of(key: &str, classifiers: &BTreeSet<ClassifierName>) -> String {
    let settings = |name: &ClassifierName| name.kind().settings.iter().copied();
    let mut ways = vec!["remove it".to_owned()];
    let similar = nearest(key, classifiers.iter().flat_map(settings));
    ways.extend(similar.map(|name| format!("write `{name}` in its place")));
    let other = ClassifierName::of_setting(key);
    ways.extend(other.map(|name| format!("set `probe.classifier = \"{name}\"`, which has it")));
    let last = ways.pop().unwrap_or_default();
    let mut hint = if ways.is_empty() {
        last
    } else {
        format!("{}, or {last}", ways.join(", "))
    };
    for name in classifiers {
        let names: Vec<String> = settings(name).map(|name| format!("`{name}`")).collect();
        if similar.is_none() && !names.is_empty() {
            hint.push_str(&format!("; `{name}` has {}", names.join(", ")));
        }
    }
    hint
}

/// The keys of `[probe]`.
fn keys() -> Vec<String> {
    let others = ["protocol", "search"].map(str::to_owned);
    Probe::settings().into_iter().chain(others).collect()
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
                "k = 0",
                "k = [5, 2.5]",
                "temperature = 0",
                "protocol = \"newt\"",
                "protocol = []",
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
        mine.toml:2: `probe.k` is `0`, expected a whole number from 1 to 1000000, or a list of such
        mine.toml:2: `probe.k` is `[5, 2.5]`, expected a whole number from 1 to 1000000, or a list of such
        mine.toml:2: `probe.temperature` is `0`, expected a number above 0, or a list of such
        mine.toml:2: `probe.protocol` is `"newt"`, expected `"biobench"`, `"bioclip-2"`, `"birder"`, `"newt-2021"`, `"logreg"`, `"knn"` or `"simpleshot"`, or a list of such
        mine.toml:2: `probe.protocol` is `[]`, expected `"biobench"`, `"bioclip-2"`, `"birder"`, `"newt-2021"`, `"logreg"`, `"knn"` or `"simpleshot"`, or a list of such
        mine.toml:2: unknown key `probe.serach`
        "#
        );
    }
}
