//! `[probe.search]`: one table, or a list of them.

use toml::{Table, Value};

use super::{KERNELS, ProbeConfig, gamma, kernel, positive, whole};
use crate::pipeline::document::{Error, Section};
use crate::probe::{Gamma, Kernel, Probe, Search, Space, Strategy, Values};

/// What a pipeline file says about the search.
#[derive(Debug, Clone, PartialEq)]
pub enum SearchConfig {
    /// `search = false`.
    Off,
    /// The table `[probe.search]`, or a list of tables.
    On {
        /// Random candidates or a grid.
        strategy: Strategy,
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

impl SearchConfig {
    /// The search that this means, where `config` holds the fixed values and `probe` what they come to.
    ///
    /// What a table leaves out and `config` does not fix, a random search takes from the protocol's search. A grid has
    /// no list there for C and gamma, and a list of tables is scikit-learn's: both keep the value of `probe`.
    pub(super) fn resolve(&self, config: &ProbeConfig, probe: &Probe) -> Option<Search> {
        let Self::On {
            strategy,
            folds,
            spaces,
            is_list,
        } = self
        else {
            return None;
        };
        let keeps_values = *is_list || *strategy == Strategy::Grid;
        let resolved = spaces.iter().map(|written| {
            let mut space = protocol().1;
            if keeps_values || config.c.is_some() {
                space.c = Values::List(vec![probe.c]);
            }
            if keeps_values || config.gamma.is_some() {
                space.gamma = Values::List(vec![probe.gamma]);
            }
            if *is_list || config.kernel.is_some() {
                space.kernels = vec![probe.kernel];
            }
            Space {
                c: written.c.clone().unwrap_or(space.c),
                gamma: written.gamma.clone().unwrap_or(space.gamma),
                kernels: written.kernels.clone().unwrap_or(space.kernels),
            }
        });
        Some(Search {
            strategy: *strategy,
            folds: *folds,
            spaces: resolved.collect(),
        })
    }

    /// The search in the name of a probe.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Off => "off".to_owned(),
            Self::On {
                strategy: Strategy::Grid,
                folds,
                ..
            } => format!("grid/{folds}"),
            Self::On {
                strategy: Strategy::Random { n_iter, seed },
                folds,
                ..
            } => format!("random:{n_iter}:{seed}/{folds}"),
        }
    }
}

/// The reference's search and its space: what an own search leaves out.
#[expect(
    clippy::expect_used,
    reason = "the reference searches from 10 train rows on, in one space"
)]
fn protocol() -> (Search, Space) {
    let search = Probe::biobench(10)
        .search
        .expect("a search at 10 train rows");
    let space = search.spaces.first().expect("one space").clone();
    (search, space)
}

/// A search as the table `[probe.search]`, or the list of tables, that means it.
pub(super) fn to_toml(search: &Search) -> Value {
    let integer = |n: usize| Value::Integer(i64::try_from(n).unwrap_or(i64::MAX));
    let mut tables: Vec<Table> = search.spaces.iter().map(space_to_toml).collect();
    if let Some(first) = tables.first_mut() {
        let mut put = |key: &str, value: Value| {
            first.insert(key.to_owned(), value);
        };
        match search.strategy {
            Strategy::Grid => put("strategy", "grid".into()),
            Strategy::Random { n_iter, seed } => {
                put("strategy", "random".into());
                put("n_iter", integer(n_iter));
                put("seed", i64::from(seed).into());
            }
        }
        put("folds", integer(search.folds));
    }
    match <[Table; 1]>::try_from(tables) {
        Ok([table]) => table.into(),
        Err(tables) => tables.into(),
    }
}

fn space_to_toml(space: &Space) -> Table {
    fn values<T: Copy>(values: &Values<T>, one: fn(T) -> Value) -> Value {
        match values {
            Values::List(values) => Value::Array(values.iter().map(|&value| one(value)).collect()),
            Values::LogUniform { low, high } => Value::Table(Table::from_iter([(
                "loguniform".to_owned(),
                vec![*low, *high].into(),
            )])),
        }
    }
    let kernels: Vec<String> = space.kernels.iter().map(ToString::to_string).collect();
    Table::from_iter([
        ("c".to_owned(), values(&space.c, Value::Float)),
        ("gamma".to_owned(), values(&space.gamma, gamma_to_toml)),
        ("kernel".to_owned(), kernels.into()),
    ])
}

pub(super) fn gamma_to_toml(gamma: Gamma) -> Value {
    match gamma {
        Gamma::Value(value) => value.into(),
        Gamma::Scale | Gamma::Auto => gamma.to_string().into(),
    }
}

/// Reads `search` of the section `[probe]`.
pub(super) fn read(probe: &Section<'_>) -> Result<Option<SearchConfig>, Error> {
    enum Form {
        Off,
        Table,
        List,
    }
    let form = probe.get(
        "search",
        "a table, a list of tables, or `false` for none",
        |value| match value {
            Value::Boolean(false) => Some(Form::Off),
            Value::Table(_) => Some(Form::Table),
            Value::Array(tables) if !tables.is_empty() => Some(Form::List),
            _ => None,
        },
    )?;
    let (tables, is_list) = match form {
        None => return Ok(None),
        Some(Form::Off) => return Ok(Some(SearchConfig::Off)),
        Some(Form::Table) => (vec![probe.section("search")?], false),
        Some(Form::List) => (probe.sections("search")?, true),
    };
    let (strategy, folds) = read_shared(&tables)?;
    let spaces = tables
        .iter()
        .map(|table| read_space(table, strategy))
        .collect::<Result<Vec<_>, Error>>()?;
    check_nothing_is_fixed(probe, &spaces, is_list)?;
    for table in tables {
        table.finish()?;
    }
    Ok(Some(SearchConfig::On {
        strategy,
        folds,
        spaces,
        is_list,
    }))
}

/// How candidates are made, and the number of folds: what all tables of a search share.
fn read_shared(tables: &[Section<'_>]) -> Result<(Strategy, usize), Error> {
    let (default, _) = protocol();
    let (default_n_iter, default_seed) = match default.strategy {
        Strategy::Random { n_iter, seed } => (u32::try_from(n_iter).ok(), Some(seed)),
        Strategy::Grid => (None, None),
    };
    let is_grid = shared(
        tables,
        "strategy",
        Some(default.strategy == Strategy::Grid),
        "`\"random\"` or `\"grid\"`",
        |value| match value.as_str()? {
            "random" => Some(false),
            "grid" => Some(true),
            _ => None,
        },
    )?;
    let n_iter = shared(
        tables,
        "n_iter",
        default_n_iter,
        "a whole number from 1 to 100000",
        |value| whole(value, 1, 100_000),
    )?;
    let seed = shared(
        tables,
        "seed",
        default_seed,
        "a whole number from 0 to 4294967295",
        |value| whole(value, 0, u32::MAX),
    )?;
    let folds = shared(
        tables,
        "folds",
        u32::try_from(default.folds).ok(),
        "a whole number from 2 to 1000",
        |value| whole(value, 2, 1000),
    )?;
    let strategy = match default.strategy {
        _ if is_grid.is_some_and(|(is_grid, _)| is_grid) => {
            for (key, written) in [("n_iter", n_iter), ("seed", seed)] {
                if let Some((_, table)) = written {
                    let hint = format!("remove `{key}`, or search with `strategy = \"random\"`");
                    return Err(table
                        .invalid(key, "no such key in a grid search")
                        .with_hint(hint));
                }
            }
            Strategy::Grid
        }
        Strategy::Random {
            n_iter: default_n_iter,
            seed: default_seed,
        } => Strategy::Random {
            n_iter: n_iter.map_or(default_n_iter, |(n_iter, _)| n_iter as usize),
            seed: seed.map_or(default_seed, |(seed, _)| seed),
        },
        Strategy::Grid => Strategy::Grid,
    };
    let folds = folds.map_or(default.folds, |(folds, _)| folds as usize);
    Ok((strategy, folds))
}

/// Refuses a value of `[probe]` that every space of its search covers.
fn check_nothing_is_fixed(
    probe: &Section<'_>,
    spaces: &[SpaceConfig],
    is_list: bool,
) -> Result<(), Error> {
    let all = |is_written: fn(&SpaceConfig) -> bool| spaces.iter().all(is_written);
    for (key, is_searched) in [
        ("c", all(|space| space.c.is_some())),
        ("gamma", all(|space| space.gamma.is_some())),
        ("kernel", all(|space| space.kernels.is_some())),
    ] {
        if is_searched && probe.get(key, "", |_| Some(()))?.is_some() {
            let hint = if is_list {
                format!("remove `probe.{key}`, or `{key}` from a table of `probe.search`")
            } else {
                format!("remove `probe.{key}` or `probe.search.{key}`")
            };
            return Err(probe
                .invalid(key, "no fixed value, since the search covers it")
                .with_hint(hint));
        }
    }
    Ok(())
}

/// The value of a key that all tables of a search share, and a table that has it: the first one, unless a later one
/// repeats the default.
fn shared<'a, 'b, T: Copy + PartialEq>(
    tables: &'b [Section<'a>],
    key: &'static str,
    default: Option<T>,
    expected: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Option<(T, &'b Section<'a>)>, Error> {
    let mut found: Option<(T, &Section<'_>)> = None;
    for (i, table) in tables.iter().enumerate() {
        let Some(value) = table.get(key, expected, &read)? else {
            continue;
        };
        let of_first = found.map(|(first, _)| first).or(default);
        if i > 0 && of_first != Some(value) {
            let expected = "the first table's value, which holds for all, or no such key";
            let hint = format!("write `{key}` in the first table only");
            return Err(table.invalid(key, expected).with_hint(hint));
        }
        found = found.or(Some((value, table)));
    }
    Ok(found)
}

fn read_space(table: &Section<'_>, strategy: Strategy) -> Result<SpaceConfig, Error> {
    let space = SpaceConfig {
        c: read_values(table, "c", "a number above 0", positive)?,
        gamma: read_values(
            table,
            "gamma",
            "a number of at least 0, `\"scale\"` or `\"auto\"`",
            gamma,
        )?,
        kernels: table.sweep("kernel", KERNELS, kernel)?,
    };
    for (key, is_drawn) in [
        ("c", matches!(space.c, Some(Values::LogUniform { .. }))),
        (
            "gamma",
            matches!(space.gamma, Some(Values::LogUniform { .. })),
        ),
    ] {
        if is_drawn && strategy == Strategy::Grid {
            let expected = "a list of values in its place, since the search is a grid";
            let hint = format!("write `{key}` as a list, or search with `strategy = \"random\"`");
            return Err(table
                .section(key)?
                .invalid("loguniform", expected)
                .with_hint(hint));
        }
    }
    Ok(space)
}

fn read_values<T>(
    table: &Section<'_>,
    key: &'static str,
    expected: &str,
    read: fn(&Value) -> Option<T>,
) -> Result<Option<Values<T>>, Error> {
    let list = |value: &Value| match value {
        Value::Array(items) if !items.is_empty() => items.iter().map(read).collect(),
        one => read(one).map(|one| vec![one]),
    };
    // Outer: whether the value is understood; inner: the list, or bounds, which are a section of their own.
    let written = table.get(
        key,
        &format!("{expected}, a list of such, or `{{ loguniform = [low, high] }}`"),
        |value| match value {
            Value::Table(bounds) if bounds.contains_key("loguniform") => Some(None),
            other => list(other).map(Some),
        },
    )?;
    if let Some(Some(values)) = written {
        return Ok(Some(Values::List(values)));
    }
    if written.is_none() {
        return Ok(None);
    }
    let bounds = table.section(key)?;
    let pair = bounds.get(
        "loguniform",
        "two numbers above 0, the lower first",
        |value| match value.as_array()?.as_slice() {
            [low, high] => Some((positive(low)?, positive(high)?)),
            _ => None,
        },
    )?;
    let Some((low, high)) = pair else {
        return Ok(None);
    };
    if low >= high {
        let expected = format!("the lower number first, and {low} is not below {high}");
        let hint = "write two numbers, the lower first".to_owned();
        return Err(bounds.invalid("loguniform", &expected).with_hint(hint));
    }
    bounds.finish()?;
    Ok(Some(Values::LogUniform { low, high }))
}
