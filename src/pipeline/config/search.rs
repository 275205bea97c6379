//! `[probe.search]`: one table, or a list of them.

use serde::de::{Deserializer, IgnoredAny};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::file::ConfigFile;
use super::origins::join;
use super::probe::{ProbeConfig, read_one};
use super::protocol::Protocol;
use super::reader::{OneOrMore, one_or_more};
use crate::error::Message;
use crate::newt::sampling::NTrain;
use crate::probe::{ClassifierName, Gamma, Kernel, Probe, Search, Space, Strategy, Values};
use crate::setting::{as_number, checked, whole};

/// What a pipeline file says about the search.
#[derive(Debug, Clone, PartialEq)]
pub enum SearchConfig {
    /// `search = false`.
    Off,
    /// The table `[probe.search]`, or a list of tables.
    On {
        /// Random candidates, with the first of the seeds, or a grid.
        strategy: Strategy,
        /// Seeds of random candidates, a run for each; `None` where they are the protocol's.
        seeds: Option<Vec<u32>>,
        /// Folds of the cross-validation.
        folds: usize,
        /// What each table says of C, gamma and the kernel.
        spaces: Vec<SpaceConfig>,
        /// Whether it was a list, which leaves nothing to the protocol.
        is_list: bool,
    },
}

/// What one table of a search says of its candidates; `None` where nothing is written.
#[derive(Debug, Clone, PartialEq)]
pub struct SpaceConfig {
    /// Where C is searched.
    pub c: Option<Values<f64>>,
    /// Where gamma is searched.
    pub gamma: Option<Values<Gamma>>,
    /// The kernels that are tried.
    pub kernels: Option<Vec<Kernel>>,
}

impl SpaceConfig {
    /// The parameters that are written, with their keys.
    fn written(&self) -> impl Iterator<Item = &'static str> {
        let written = [
            ("c", self.c.is_some()),
            ("gamma", self.gamma.is_some()),
            ("kernel", self.kernels.is_some()),
        ];
        let is_written = written.into_iter().filter(|(_, is_written)| *is_written);
        is_written.map(|(key, _)| key)
    }
}

impl SearchConfig {
    /// The parameters that its tables name, each with the path of its key.
    pub fn parameters(&self) -> Vec<(String, &'static str)> {
        let Self::On {
            spaces, is_list, ..
        } = self
        else {
            return Vec::new();
        };
        let path = |i: usize, key| match is_list {
            true => format!("probe.search[{i}].{key}"),
            false => format!("probe.search.{key}"),
        };
        let spaces = spaces.iter().enumerate();
        spaces
            .flat_map(|(i, space)| space.written().map(move |key| (path(i, key), key)))
            .collect()
    }

    /// The search that this means, where `config` holds the fixed values and `probe` what they come to.
    ///
    /// What a table leaves out and `config` does not fix, a random search takes from the reference's search. A grid has
    /// no list there for C and gamma, and a list of tables is scikit-learn's: both keep the value of `probe`.
    pub fn resolve(&self, config: &ProbeConfig, probe: &Probe) -> Option<Search> {
        let Self::On {
            strategy,
            folds,
            spaces,
            is_list,
            ..
        } = self
        else {
            return None;
        };
        let kind = probe.classifier.kind();
        if kind.searched.is_empty() {
            return None;
        }
        let default = reference(config.protocol).1;
        let keeps_values = *is_list || *strategy == Strategy::Grid;
        let is_fixed = |key| config.written.contains_key(key);
        let resolved = spaces.iter().map(|written| {
            let mut space = default.clone();
            let is_list_of_protocol = matches!(space.c, Values::List(_));
            if *is_list || is_fixed("c") || (keeps_values && !is_list_of_protocol) {
                space.c = Values::List(vec![probe.c]);
            }
            if keeps_values || is_fixed("gamma") {
                space.gamma = Values::List(vec![probe.gamma]);
            }
            if *is_list || is_fixed("kernel") {
                space.kernels = vec![probe.kernel];
            }
            let mut space = Space {
                c: written.c.clone().unwrap_or(space.c),
                gamma: written.gamma.clone().unwrap_or(space.gamma),
                kernels: written.kernels.clone().unwrap_or(space.kernels),
            };
            space.narrow_to(kind.searched);
            space
        });
        Some(Search {
            strategy: *strategy,
            folds: *folds,
            spaces: resolved.collect(),
        })
    }

    /// The search in the name of a probe.
    pub fn name(&self) -> String {
        match self {
            Self::Off => "off".to_owned(),
            Self::On {
                strategy, folds, ..
            } => match strategy {
                Strategy::Grid => format!("grid/{folds}"),
                Strategy::Random { n_iter, .. } => format!("random:{n_iter}/{folds}"),
            },
        }
    }
}

/// The search of a protocol and its space, or those of the reference: what a search of one's own leaves out.
#[expect(clippy::expect_used, reason = "the reference searches, in one space")]
fn reference(protocol: Protocol) -> (Search, Space) {
    let of_protocol = protocol.probe(NTrain::ALL).search;
    let search = of_protocol
        .or(Probe::biobench_search().search)
        .expect("a search");
    let space = search.spaces.first().expect("one space").clone();
    (search, space)
}

/// Refuses a search of one's own under several protocols that would complete it differently.
///
/// # Errors
/// Names two of them.
pub fn check_defaults(
    file: &ConfigFile,
    value: &Value,
    protocols: &[Protocol],
) -> Result<(), Message> {
    let first = reference(protocols[0]);
    match protocols.iter().find(|other| reference(**other) != first) {
        Some(other) => {
            let (one, path) = (protocols[0], "probe.search");
            let expected = format!(
                "no search of one's own, since `{one}` and `{other}` complete it differently"
            );
            let error = file.invalid(path, value, &expected);
            Err(error.hint("run one protocol at a time"))
        }
        None => Ok(()),
    }
}

/// A search of `classifier` as the table `[probe.search]`, or the list of tables, that means it.
pub fn to_toml(search: &Search, classifier: ClassifierName) -> Value {
    let searched = classifier.kind().searched;
    let mut tables: Vec<Table> = search.spaces.iter().map(to_table).collect();
    for table in &mut tables {
        let kernels = table.remove("kernels");
        table.extend(kernels.map(|kernels| ("kernel".to_owned(), kernels)));
        table.retain(|key, _| searched.contains(&key));
    }
    if let Some(first) = tables.first_mut() {
        first.extend(shared(search));
    }
    match <[Table; 1]>::try_from(tables) {
        Ok([table]) => table.into(),
        Err(tables) => tables.into(),
    }
}

/// The keys of a search that hold for all its tables: how candidates are made, and the number of folds.
fn shared(search: &Search) -> Table {
    let mut table = to_table(&search.strategy);
    let folds = i64::try_from(search.folds).unwrap_or(i64::MAX);
    table.insert("folds".to_owned(), folds.into());
    table
}

#[expect(clippy::expect_used, reason = "TOML has all types of the fields")]
fn to_table(fields: &impl Serialize) -> Table {
    Table::try_from(fields).expect("a table")
}

/// How candidates are made.
#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Choice {
    Random,
    Grid,
}

/// One table of a search, with what is shared in full.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "C, gamma and the kernel are read by themselves")]
struct SearchTable {
    strategy: Choice,
    #[serde(deserialize_with = "whole::<1, 100_000, _, _>")]
    n_iter: usize,
    seed: OneOrMore<SearchSeed>,
    #[serde(deserialize_with = "whole::<2, 1000, _, _>")]
    folds: usize,
    c: Option<IgnoredAny>,
    gamma: Option<IgnoredAny>,
    kernel: Option<IgnoredAny>,
}

/// The seed of a random search.
#[derive(Deserialize)]
#[serde(transparent)]
struct SearchSeed(#[serde(deserialize_with = "whole::<0, { u32::MAX }, _, _>")] u32);

/// `{ loguniform = [low, high] }`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogUniform {
    #[serde(deserialize_with = "bounds")]
    loguniform: (f64, f64),
}

/// Bounds of a log-uniform space: where logarithm and exponential are computed to the last bit.
const BOUNDS: std::ops::RangeInclusive<f64> = 1e-300..=1e300;

fn bounds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(f64, f64), D::Error> {
    let expected = "two numbers from 1e-300 to 1e300, the lower first";
    checked(deserializer, expected, |value| {
        let [low, high] = value.as_array()?.as_slice() else {
            return None;
        };
        let (low, high) = (as_number(low)?, as_number(high)?);
        let are_in_range = BOUNDS.contains(&low) && BOUNDS.contains(&high);
        (are_in_range && low < high).then_some((low, high))
    })
}

/// Reads `value`, which stands at `search` in the table `probe` and leaves the rest to `protocol`.
///
/// # Errors
/// The first key or value that is wrong.
pub fn read(
    file: &ConfigFile,
    probe: &Table,
    protocol: Protocol,
    value: &Value,
) -> Result<SearchConfig, Message> {
    let path = "probe.search";
    let items = match value {
        Value::Boolean(false) => return Ok(SearchConfig::Off),
        Value::Table(_) => vec![(path.to_owned(), value)],
        Value::Array(items) if !items.is_empty() => {
            let items = items.iter().enumerate();
            let with_path = |(i, item)| (format!("{path}[{i}]"), item);
            items.map(with_path).collect()
        }
        _ => {
            let expected = "a table, a list of tables, or `false` for none";
            return Err(file.invalid(path, value, expected));
        }
    };
    let mut tables = Vec::new();
    for (path, item) in &items {
        let table = item.as_table();
        let table = table.ok_or_else(|| file.invalid(path, item, "a table"))?;
        tables.push(Written { file, path, table });
    }
    // A grid has neither n_iter nor seed, and a random search in its place has the reference's.
    let mut default = shared(&reference(Protocol::Biobench).0);
    default.extend(shared(&reference(protocol).0));
    let mut read = Vec::new();
    for written in &tables {
        let mut in_full = default.clone();
        in_full.extend(written.table.clone());
        let table: SearchTable = file.read_at(written.path, &in_full.into())?;
        written.check_shared(tables[0].table, &default)?;
        read.push(table);
    }
    let is_list = value.is_array();
    let SearchTable {
        ref strategy,
        n_iter,
        ref seed,
        folds,
        ..
    } = read[0];
    let seeds: Vec<u32> = seed.0.iter().map(|SearchSeed(seed)| *seed).collect();
    let strategy = match strategy {
        Choice::Random => Strategy::Random {
            n_iter,
            seed: seeds[0],
        },
        Choice::Grid => Strategy::Grid,
    };
    let spaces: Vec<SpaceConfig> = tables
        .iter()
        .map(|written| written.space(strategy))
        .collect::<Result<_, _>>()?;
    check_nothing_is_fixed(file, probe, &spaces, is_list)?;
    Ok(SearchConfig::On {
        strategy,
        seeds: tables[0].table.contains_key("seed").then_some(seeds),
        folds,
        spaces,
        is_list,
    })
}

/// Refuses a value of `[probe]` that every space of its search covers.
fn check_nothing_is_fixed(
    file: &ConfigFile,
    probe: &Table,
    spaces: &[SpaceConfig],
    is_list: bool,
) -> Result<(), Message> {
    let all = |is_written: fn(&SpaceConfig) -> bool| spaces.iter().all(is_written);
    for (key, is_searched) in [
        ("c", all(|space| space.c.is_some())),
        ("gamma", all(|space| space.gamma.is_some())),
        ("kernel", all(|space| space.kernels.is_some())),
    ] {
        if let Some(value) = probe.get(key).filter(|_| is_searched) {
            let expected = "no fixed value, since the search covers it";
            let error = file.invalid(&join("probe", key), value, expected);
            return Err(error.hint(if is_list {
                format!("remove `probe.{key}`, or `{key}` from a table of `probe.search`")
            } else {
                format!("remove `probe.{key}` or `probe.search.{key}`")
            }));
        }
    }
    Ok(())
}

/// One table of a search as it is written.
struct Written<'a> {
    file: &'a ConfigFile,
    path: &'a str,
    table: &'a Table,
}

impl Written<'_> {
    /// Makes sure that what all tables share is only said once, unless a later table repeats what the `first` one or the
    /// `default` has.
    fn check_shared(&self, first: &Table, default: &Table) -> Result<(), Message> {
        for (key, default) in default {
            let Some(value) = self.table.get(key) else {
                continue;
            };
            if value != first.get(key).unwrap_or(default) {
                let expected = "the first table's value, which holds for all, or no such key";
                let hint = format!("write `{key}` in the first table only");
                return Err(self.invalid(key, value, expected).hint(hint));
            }
        }
        Ok(())
    }

    /// What the table says of its candidates.
    fn space(&self, strategy: Strategy) -> Result<SpaceConfig, Message> {
        if strategy == Strategy::Grid {
            for key in ["n_iter", "seed"] {
                if let Some(value) = self.table.get(key) {
                    let expected = "no such key in a grid search, which draws nothing";
                    let error = self.invalid(key, value, expected);
                    let hint = format!("remove `{key}`, or search with `strategy = \"random\"`");
                    return Err(error.hint(hint));
                }
            }
        }
        let kernels = self.table.get("kernel").map(|value| {
            one_or_more(value, |value| Ok(read_one("kernel", value)?.kernel))
                .map_err(|one| self.invalid("kernel", value, &format!("{one}, or a list of such")))
        });
        Ok(SpaceConfig {
            c: self.values("c", strategy, |probe| probe.c)?,
            gamma: self.values("gamma", strategy, |probe| probe.gamma)?,
            kernels: kernels.transpose()?,
        })
    }

    /// The values that a search tries of `key`: those that the same key of `[probe]` may have.
    fn values<T>(
        &self,
        key: &str,
        strategy: Strategy,
        of: fn(&Probe) -> T,
    ) -> Result<Option<Values<T>>, Message> {
        let Some(value) = self.table.get(key) else {
            return Ok(None);
        };
        if value.is_table() {
            let path = join(self.path, key);
            let LogUniform {
                loguniform: (low, high),
            } = self.file.read_at(&path, value)?;
            if strategy == Strategy::Grid {
                let expected = "a list of values in its place, since the search is a grid";
                let key_of_bounds = join(key, "loguniform");
                let error = self.invalid(&key_of_bounds, &value["loguniform"], expected);
                return Err(error.hint(format!(
                    "write `{key}` as a list, or search with `strategy = \"random\"`"
                )));
            }
            return Ok(Some(Values::LogUniform { low, high }));
        }
        let list = one_or_more(value, |value| Ok(of(&read_one(key, value)?)));
        let list = list.map_err(|one| {
            let expected = format!("{one}, a list of such, or `{{ loguniform = [low, high] }}`");
            self.invalid(key, value, &expected)
        })?;
        Ok(Some(Values::List(list)))
    }

    fn invalid(&self, key: &str, value: &Value, expected: &str) -> Message {
        self.file.invalid(&join(self.path, key), value, expected)
    }
}
