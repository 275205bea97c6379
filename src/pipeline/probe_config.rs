//! The table `[probe]` of a pipeline file: a protocol, and what is spelled out over it.

use toml::{Table, Value};

use super::document::{Error, Section};
use crate::probe::{ClassWeight, Gamma, Kernel, Probe, Search, Solver, Space, Strategy};

/// What a pipeline file says about the probe, for one point of the sweep.
///
/// The protocol is the reference's, `biobench`: a linear SVC below 10 train rows per task (and for
/// all rows), a randomized search from 10 on. Each key that is spelled out overrides the protocol's value. Fixing `kernel`, `c` or `gamma`
/// without a `search` of one's own switches the protocol's search off.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProbeConfig {
    /// Subtract the train mean.
    pub center: Option<bool>,
    /// Scale rows to unit L2 norm.
    pub l2: Option<bool>,
    /// Scale columns to unit variance, fitted on the train rows of the fold.
    pub standardize: Option<bool>,
    /// The kernel.
    pub kernel: Option<Kernel>,
    /// The penalty of the C-SVC.
    pub c: Option<f64>,
    /// The kernel's coefficient.
    pub gamma: Option<Gamma>,
    /// The polynomial kernel's degree.
    pub degree: Option<u32>,
    /// The constant of the polynomial and sigmoid kernels.
    pub coef0: Option<f64>,
    /// The solver's tolerance.
    pub tol: Option<f64>,
    /// Whether the solver shrinks its active set.
    pub shrinking: Option<bool>,
    /// The most iterations of a fit; -1: no limit.
    pub max_iter: Option<i64>,
    /// Weights of the two classes.
    pub class_weight: Option<ClassWeight>,
    /// Which solver fits.
    pub solver: Option<Solver>,
    /// A search of one's own, or none.
    pub search: Option<SearchConfig>,
}

/// What a pipeline file says about the search.
#[derive(Debug, Clone, PartialEq)]
pub enum SearchConfig {
    /// `search = false`.
    Off,
    /// The table `[probe.search]`; `None` where nothing is written.
    On {
        /// Random candidates or a grid.
        strategy: Strategy,
        /// Folds of the cross-validation.
        folds: usize,
        /// Where C is searched.
        c: Option<Space>,
        /// Where gamma is searched.
        gamma: Option<Space>,
        /// The kernels that are tried.
        kernels: Option<Vec<Kernel>>,
    },
}

impl ProbeConfig {
    /// The probe that this point of the sweep means for `n_train` rows a task.
    pub fn resolve(&self, n_train: i64) -> Probe {
        let mut probe = Probe::biobench(n_train);
        let fixed = self.kernel.is_some() || self.c.is_some() || self.gamma.is_some();
        match &self.search {
            None if fixed => probe.search = None,
            None => {}
            Some(SearchConfig::Off) => probe.search = None,
            Some(SearchConfig::On {
                strategy,
                folds,
                c,
                gamma,
                kernels,
            }) => {
                let default = biobench_search();
                probe.search = Some(Search {
                    strategy: *strategy,
                    folds: *folds,
                    c: c.clone()
                        .or(self.c.map(|c| Space::List(vec![c])))
                        .unwrap_or(default.c),
                    gamma: match (gamma, &self.gamma) {
                        (Some(space), _) => space.clone(),
                        (None, Some(Gamma::Value(value))) => Space::List(vec![*value]),
                        (None, _) => default.gamma,
                    },
                    kernels: kernels
                        .clone()
                        .or(self.kernel.map(|kernel| vec![kernel]))
                        .unwrap_or(default.kernels),
                });
            }
        }
        let set = |to: &mut bool, value: Option<bool>| *to = value.unwrap_or(*to);
        set(&mut probe.center, self.center);
        set(&mut probe.l2, self.l2);
        set(&mut probe.standardize, self.standardize);
        set(&mut probe.shrinking, self.shrinking);
        probe.kernel = self.kernel.unwrap_or(probe.kernel);
        probe.c = self.c.unwrap_or(probe.c);
        probe.gamma = self.gamma.unwrap_or(probe.gamma);
        probe.degree = self.degree.unwrap_or(probe.degree);
        probe.coef0 = self.coef0.unwrap_or(probe.coef0);
        probe.tol = self.tol.unwrap_or(probe.tol);
        probe.max_iter = self.max_iter.unwrap_or(probe.max_iter);
        probe.class_weight = self.class_weight.unwrap_or(probe.class_weight);
        probe.solver = self.solver.unwrap_or(probe.solver);
        probe
    }

    /// The name that tells this probe from the others of a sweep: the protocol, then what is
    /// spelled out, such as `biobench c=0.1 kernel=linear`.
    pub fn name(&self) -> String {
        let mut name = "biobench".to_owned();
        let mut add = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                name.push_str(&format!(" {key}={value}"));
            }
        };
        let flag = |value: Option<bool>| value.map(|value| value.to_string());
        let number = |value: Option<f64>| value.map(|value| format!("{value:?}"));
        add("c", number(self.c));
        add("center", flag(self.center));
        add("class_weight", self.class_weight.map(show_class_weight));
        add("coef0", number(self.coef0));
        add("degree", self.degree.map(|degree| degree.to_string()));
        add("gamma", self.gamma.map(show_gamma));
        add("kernel", self.kernel.map(|kernel| kernel.to_string()));
        add("l2", flag(self.l2));
        add("max_iter", self.max_iter.map(|limit| limit.to_string()));
        add("search", self.search.as_ref().map(show_search));
        add("shrinking", flag(self.shrinking));
        add(
            "solver",
            self.solver.map(|solver| show_solver(solver).to_owned()),
        );
        add("standardize", flag(self.standardize));
        add("tol", number(self.tol));
        name
    }
}

fn show_gamma(gamma: Gamma) -> String {
    match gamma {
        Gamma::Value(value) => format!("{value:?}"),
        Gamma::Scale => "scale".to_owned(),
        Gamma::Auto => "auto".to_owned(),
    }
}

fn show_class_weight(weight: ClassWeight) -> String {
    match weight {
        ClassWeight::None => "none".to_owned(),
        ClassWeight::Balanced => "balanced".to_owned(),
        ClassWeight::Weights([class_0, class_1]) => format!("[{class_0:?},{class_1:?}]"),
    }
}

fn show_solver(solver: Solver) -> &'static str {
    match solver {
        Solver::Smo => "smo",
        Solver::Linfa => "linfa",
    }
}

fn show_search(search: &SearchConfig) -> String {
    match search {
        SearchConfig::Off => "off".to_owned(),
        SearchConfig::On {
            strategy: Strategy::Grid,
            folds,
            ..
        } => format!("grid/{folds}"),
        SearchConfig::On {
            strategy: Strategy::Random { n_iter, seed },
            folds,
            ..
        } => {
            format!("random:{n_iter}:{seed}/{folds}")
        }
    }
}

/// A probe as the table `[probe]` that means it, every key spelled out.
pub(super) fn to_toml(probe: &Probe) -> Table {
    let mut table = Table::new();
    let mut put = |key: &str, value: Value| {
        table.insert(key.to_owned(), value);
    };
    put("protocol", "biobench".into());
    put("center", probe.center.into());
    put("l2", probe.l2.into());
    put("standardize", probe.standardize.into());
    if probe.search.is_none() {
        put("kernel", probe.kernel.to_string().into());
        put("c", probe.c.into());
        put(
            "gamma",
            match probe.gamma {
                Gamma::Value(value) => value.into(),
                Gamma::Scale => "scale".into(),
                Gamma::Auto => "auto".into(),
            },
        );
    }
    put("degree", i64::from(probe.degree).into());
    put("coef0", probe.coef0.into());
    put("tol", probe.tol.into());
    put("shrinking", probe.shrinking.into());
    put("max_iter", probe.max_iter.into());
    put(
        "class_weight",
        match probe.class_weight {
            ClassWeight::None => "none".into(),
            ClassWeight::Balanced => "balanced".into(),
            ClassWeight::Weights(weights) => weights.to_vec().into(),
        },
    );
    put("solver", show_solver(probe.solver).into());
    put(
        "search",
        probe
            .search
            .as_ref()
            .map_or(Value::Boolean(false), |search| {
                search_to_toml(search).into()
            }),
    );
    table
}

fn search_to_toml(search: &Search) -> Table {
    let integer = |n: usize| Value::Integer(i64::try_from(n).unwrap_or(i64::MAX));
    let space = |space: &Space| match space {
        Space::List(values) => values.clone().into(),
        Space::LogUniform { low, high } => Value::Table(Table::from_iter([(
            "loguniform".to_owned(),
            vec![*low, *high].into(),
        )])),
    };
    let kernels: Vec<String> = search.kernels.iter().map(ToString::to_string).collect();
    let mut table = Table::new();
    match search.strategy {
        Strategy::Grid => {
            table.insert("strategy".to_owned(), "grid".into());
        }
        Strategy::Random { n_iter, seed } => {
            table.insert("strategy".to_owned(), "random".into());
            table.insert("n_iter".to_owned(), integer(n_iter));
            table.insert("seed".to_owned(), i64::from(seed).into());
        }
    }
    table.insert("folds".to_owned(), integer(search.folds));
    table.insert("c".to_owned(), space(&search.c));
    table.insert("gamma".to_owned(), space(&search.gamma));
    table.insert("kernel".to_owned(), kernels.into());
    table
}

/// The reference's search: what an own search leaves out.
#[expect(
    clippy::expect_used,
    reason = "the reference searches from 10 train rows on"
)]
fn biobench_search() -> Search {
    Probe::biobench(10)
        .search
        .expect("a search at 10 train rows")
}

/// Reads `[probe]`: every combination of the lists in it, in the order of the keys in
/// [`ProbeConfig`], the last varying fastest.
pub(super) fn read(probe: &Section<'_>) -> Result<Vec<ProbeConfig>, Error> {
    probe.get("protocol", "`\"biobench\"`", |value| {
        (value.as_str() == Some("biobench")).then_some(())
    })?;
    let mut sweep = vec![ProbeConfig {
        search: read_search(probe)?,
        ..ProbeConfig::default()
    }];
    vary(
        &mut sweep,
        probe.sweep("center", "true or false", Value::as_bool)?,
        |config, value| config.center = Some(value),
    );
    vary(
        &mut sweep,
        probe.sweep("l2", "true or false", Value::as_bool)?,
        |config, value| config.l2 = Some(value),
    );
    vary(
        &mut sweep,
        probe.sweep("standardize", "true or false", Value::as_bool)?,
        |config, value| {
            config.standardize = Some(value);
        },
    );
    vary(
        &mut sweep,
        probe.sweep("kernel", KERNELS, kernel)?,
        |config, value| config.kernel = Some(value),
    );
    vary(
        &mut sweep,
        probe.sweep("c", "a number above 0", positive)?,
        |config, value| config.c = Some(value),
    );
    vary(
        &mut sweep,
        probe.sweep(
            "gamma",
            "a number above 0, `\"scale\"` or `\"auto\"`",
            gamma,
        )?,
        |config, value| {
            config.gamma = Some(value);
        },
    );
    vary(
        &mut sweep,
        probe.sweep("degree", "a whole number from 1 to 100", degree)?,
        |config, value| {
            config.degree = Some(value);
        },
    );
    vary(
        &mut sweep,
        probe.sweep("coef0", "a number", number)?,
        |config, value| config.coef0 = Some(value),
    );
    vary(
        &mut sweep,
        probe.sweep("tol", "a number above 0", positive)?,
        |config, value| config.tol = Some(value),
    );
    vary(
        &mut sweep,
        probe.sweep("shrinking", "true or false", Value::as_bool)?,
        |config, value| {
            config.shrinking = Some(value);
        },
    );
    vary(
        &mut sweep,
        probe.sweep(
            "max_iter",
            "a whole number of at least 1, or -1 for no limit",
            max_iter,
        )?,
        |config, value| config.max_iter = Some(value),
    );
    vary(
        &mut sweep,
        probe.sweep(
            "class_weight",
            "`\"balanced\"`, `\"none\"` or two numbers above 0",
            class_weight,
        )?,
        |config, value| config.class_weight = Some(value),
    );
    vary(
        &mut sweep,
        probe.sweep("solver", "`\"smo\"` or `\"linfa\"`", solver)?,
        |config, value| {
            config.solver = Some(value);
        },
    );
    Ok(sweep)
}

const KERNELS: &str = "`\"linear\"`, `\"rbf\"`, `\"poly\"` or `\"sigmoid\"`";

/// Replaces each configuration by one for every value, where values were written.
fn vary<T: Copy>(
    sweep: &mut Vec<ProbeConfig>,
    values: Option<Vec<T>>,
    apply: impl Fn(&mut ProbeConfig, T),
) {
    let Some(values) = values else { return };
    *sweep = sweep
        .iter()
        .flat_map(|config| {
            values.iter().map(|value| {
                let mut config = config.clone();
                apply(&mut config, *value);
                config
            })
        })
        .collect();
}

fn read_search(probe: &Section<'_>) -> Result<Option<SearchConfig>, Error> {
    let written = probe.get(
        "search",
        "a table, or `false` for none",
        |value| match value {
            Value::Boolean(false) => Some(false),
            Value::Table(_) => Some(true),
            _ => None,
        },
    )?;
    match written {
        None => return Ok(None),
        Some(false) => return Ok(Some(SearchConfig::Off)),
        Some(true) => {}
    }
    let search = probe.section("search")?;
    let strategy = search
        .get(
            "strategy",
            "`\"random\"` or `\"grid\"`",
            |value| match value.as_str()? {
                "random" => Some(false),
                "grid" => Some(true),
                _ => None,
            },
        )?
        .unwrap_or(false);
    let n_iter = search.get("n_iter", "a whole number from 1 to 100000", |value| {
        whole(value, 1, 100_000)
    })?;
    let seed = search.get("seed", "a whole number from 0 to 4294967295", |value| {
        whole(value, 0, u32::MAX)
    })?;
    let default = biobench_search();
    let strategy = match (strategy, default.strategy) {
        (
            false,
            Strategy::Random {
                n_iter: default_n_iter,
                seed: default_seed,
            },
        ) => Strategy::Random {
            n_iter: n_iter.map_or(default_n_iter, |n_iter| n_iter as usize),
            seed: seed.unwrap_or(default_seed),
        },
        _ if n_iter.is_some() => {
            return Err(search.invalid("n_iter", "no such key in a grid search"));
        }
        _ if seed.is_some() => return Err(search.invalid("seed", "no such key in a grid search")),
        _ => Strategy::Grid,
    };
    let folds = search
        .get("folds", "a whole number from 2 to 1000", |value| {
            whole(value, 2, 1000)
        })?
        .map_or(default.folds, |folds| folds as usize);
    let spaces = "a number above 0, a list of such, or `{ loguniform = [low, high] }`";
    let c = search.get("c", spaces, space)?;
    let gamma = search.get("gamma", spaces, space)?;
    let kernels = search.sweep("kernel", KERNELS, kernel)?;
    if strategy == Strategy::Grid {
        for (key, space) in [("c", &c), ("gamma", &gamma)] {
            if !matches!(space, Some(Space::List(_))) {
                return Err(search.invalid(key, "a list of numbers, since the search is a grid"));
            }
        }
    }
    for (key, searched) in [
        ("c", c.is_some()),
        ("gamma", gamma.is_some()),
        ("kernel", kernels.is_some()),
    ] {
        if searched && probe.get(key, "", |_| Some(()))?.is_some() {
            return Err(probe.invalid(key, "no fixed value, since the search covers it"));
        }
    }
    search.finish()?;
    Ok(Some(SearchConfig::On {
        strategy,
        folds,
        c,
        gamma,
        kernels,
    }))
}

pub(super) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Float(float) => *float,
        Value::Integer(integer) => *integer as f64,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

fn positive(value: &Value) -> Option<f64> {
    number(value).filter(|number| *number > 0.0)
}

pub(super) fn whole(value: &Value, low: u32, high: u32) -> Option<u32> {
    let integer = u32::try_from(value.as_integer()?).ok()?;
    (low..=high).contains(&integer).then_some(integer)
}

fn degree(value: &Value) -> Option<u32> {
    whole(value, 1, 100)
}

fn max_iter(value: &Value) -> Option<i64> {
    let integer = value.as_integer()?;
    (integer == -1 || integer >= 1).then_some(integer)
}

fn kernel(value: &Value) -> Option<Kernel> {
    value.as_str()?.parse().ok()
}

fn gamma(value: &Value) -> Option<Gamma> {
    match value.as_str() {
        Some("scale") => Some(Gamma::Scale),
        Some("auto") => Some(Gamma::Auto),
        Some(_) => None,
        None => positive(value).map(Gamma::Value),
    }
}

fn class_weight(value: &Value) -> Option<ClassWeight> {
    match (value.as_str(), value.as_array().map(Vec::as_slice)) {
        (Some("balanced"), _) => Some(ClassWeight::Balanced),
        (Some("none"), _) => Some(ClassWeight::None),
        (None, Some([class_0, class_1])) => Some(ClassWeight::Weights([
            positive(class_0)?,
            positive(class_1)?,
        ])),
        _ => None,
    }
}

fn solver(value: &Value) -> Option<Solver> {
    match value.as_str()? {
        "smo" => Some(Solver::Smo),
        "linfa" => Some(Solver::Linfa),
        _ => None,
    }
}

fn space(value: &Value) -> Option<Space> {
    if let Some(one) = positive(value) {
        return Some(Space::List(vec![one]));
    }
    if let Some(items) = value.as_array() {
        return items
            .iter()
            .map(positive)
            .collect::<Option<Vec<f64>>>()
            .filter(|list| !list.is_empty())
            .map(Space::List);
    }
    let table = value.as_table().filter(|table| table.len() == 1)?;
    match table.get("loguniform")?.as_array()?.as_slice() {
        [low, high] => {
            let (low, high) = (positive(low)?, positive(high)?);
            (low < high).then_some(Space::LogUniform { low, high })
        }
        _ => None,
    }
}
