//! The table `[probe]` of a pipeline file: a protocol, and what is spelled out over it.

mod search;

use toml::{Table, Value};

use super::document::{Error, Section};
use crate::probe::{ClassWeight, Gamma, Kernel, Probe, Solver};

pub use search::SearchConfig;

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

impl ProbeConfig {
    /// The probe that this point of the sweep means for `n_train` rows a task.
    pub fn resolve(&self, n_train: i64) -> Probe {
        let mut probe = Probe::biobench(n_train);
        let fixed = self.kernel.is_some() || self.c.is_some() || self.gamma.is_some();
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
        match &self.search {
            None if fixed => probe.search = None,
            None => {}
            Some(search) => probe.search = search.resolve(self, &probe),
        }
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
        add("search", self.search.as_ref().map(SearchConfig::name));
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
        put("gamma", search::gamma_to_toml(probe.gamma));
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
            .map_or(Value::Boolean(false), search::to_toml),
    );
    table
}

/// Reads `[probe]`: every combination of the lists in it, in the order of the keys in
/// [`ProbeConfig`], the last varying fastest.
pub(super) fn read(probe: &Section<'_>) -> Result<Vec<ProbeConfig>, Error> {
    probe.get("protocol", "`\"biobench\"`", |value| {
        (value.as_str() == Some("biobench")).then_some(())
    })?;
    let mut sweep = vec![ProbeConfig {
        search: search::read(probe)?,
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
            "a number of at least 0, `\"scale\"` or `\"auto\"`",
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
        None => number(value)
            .filter(|number| *number >= 0.0)
            .map(Gamma::Value),
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
