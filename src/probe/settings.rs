//! What a probe is: every setting that can change its result.
//!
//! A setting is a field of [`Probe`], which names what its value may be, and its value in each protocol.

use std::fmt;

use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use toml::Table;

use super::classifier::ClassifierName;
use crate::error::Message;
use crate::setting::{self, as_number, as_positive};

/// A probe, spelled out: standardise, centre, scale to unit length, standardise again, each of them or not; then a
/// classifier.
///
/// Its JSON form goes into cache keys, and holds the settings that its classifier reads: their names are part of the
/// format. `classifier` is left out of that of an SVC, and `standardize_first` where it is not set. The table `[probe]` of a
/// pipeline file has the same fields, and nothing that is not in range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, remote = "Self")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent steps, each on or off"
)]
pub struct Probe {
    /// What is fitted on the rows.
    #[serde(deserialize_with = "classifier")]
    pub classifier: ClassifierName,
    /// Before all else, subtract each column's mean and divide by its standard deviation, those of all train rows, in
    /// a search, too.
    pub standardize_first: bool,
    /// Subtract the mean of the train rows.
    pub center: bool,
    /// Divide each row by its L2 norm.
    pub l2: bool,
    /// At last, subtract each column's mean and divide by its standard deviation, those of the rows that a fit trains on.
    pub standardize: bool,
    /// The kernel, where no search chooses it.
    pub kernel: Kernel,
    /// The penalty C, where no search chooses it.
    #[serde(deserialize_with = "setting::positive")]
    pub c: f64,
    /// The kernel's gamma, where no search chooses it.
    pub gamma: Gamma,
    /// Degree of the polynomial kernel.
    #[serde(deserialize_with = "setting::whole::<1, 100, _, _>")]
    pub degree: u32,
    /// Constant of the polynomial and sigmoid kernels.
    #[serde(deserialize_with = "setting::number")]
    pub coef0: f64,
    /// Tolerance of the stopping criterion.
    #[serde(deserialize_with = "setting::positive")]
    pub tol: f64,
    /// Leave variables that are likely to stay at a bound out of the selection; `linfa` never does.
    pub shrinking: bool,
    /// Ends each fit after this many iterations, wherever it is then; -1: no limit.
    #[serde(deserialize_with = "max_iter")]
    pub max_iter: i64,
    /// Factors of C per class.
    pub class_weight: ClassWeight,
    /// How many of the train rows vote, the nearest; all where there are fewer.
    #[serde(deserialize_with = "setting::whole::<1, 1_000_000, _, _>")]
    pub k: usize,
    /// What similarities are divided by before a softmax makes votes of them.
    #[serde(deserialize_with = "setting::positive")]
    pub temperature: f64,
    /// How kernel, C and gamma are chosen; `None` takes the three above.
    #[serde(skip_deserializing)]
    pub search: Option<Search>,
    /// Who solves the problem.
    pub solver: Solver,
}

/// A kernel function of two rows u and v.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Kernel {
    /// u·v
    Linear,
    /// exp(-gamma |u - v|²)
    Rbf,
    /// (gamma u·v + coef0)^degree
    Poly,
    /// tanh(gamma u·v + coef0)
    Sigmoid,
}

impl Kernel {
    /// All kernels, by name.
    pub const ALL: [Self; 4] = [Self::Linear, Self::Rbf, Self::Poly, Self::Sigmoid];

    /// The kernel's name in pipeline files, tables and messages.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The kernel's gamma: a number, or a rule that looks at the rows that the SVM sees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gamma {
    /// A number.
    Value(f64),
    /// 1 / (d · variance of all features), or 1 where the variance is zero.
    Scale,
    /// 1 / d.
    Auto,
}

impl fmt::Display for Gamma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            Self::Scale => f.write_str("scale"),
            Self::Auto => f.write_str("auto"),
        }
    }
}

impl Serialize for Gamma {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => serializer.serialize_f64(*value),
            Self::Scale => serializer.serialize_str("scale"),
            Self::Auto => serializer.serialize_str("auto"),
        }
    }
}

impl<'de> Deserialize<'de> for Gamma {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a number of at least 0, `\"scale\"` or `\"auto\"`";
        setting::checked(deserializer, expected, |value| match value.as_str() {
            Some("scale") => Some(Self::Scale),
            Some("auto") => Some(Self::Auto),
            Some(_) => None,
            None => as_number(value)
                .filter(|number| *number >= 0.0)
                .map(Self::Value),
        })
    }
}

/// Reads the name of a classifier.
fn classifier<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ClassifierName, D::Error> {
    setting::parsed(deserializer, &ClassifierName::expected())
}

/// Reads the most iterations of a fit.
fn max_iter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let expected = "a whole number of at least 1, or -1 for no limit";
    setting::checked(deserializer, expected, |value| {
        let limit = value.as_integer()?;
        (limit == -1 || limit >= 1).then_some(limit)
    })
}

/// Factors of C per class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClassWeight {
    /// 1 for both.
    None,
    /// n / (2 · rows of the class), counted on the rows of each fit.
    Balanced,
    /// A factor for label 0 and one for label 1.
    Weights([f64; 2]),
}

impl ClassWeight {
    /// The factors of C for label 0 and label 1, of which there are `counts` train rows.
    ///
    /// Source: scikit-learn 1.9, `compute_class_weight`.
    pub fn factors(self, counts: [usize; 2]) -> [f64; 2] {
        match self {
            Self::None => [1.0; 2],
            Self::Balanced => {
                let n = (counts[0] + counts[1]) as f64;
                counts.map(|count| n / (2.0 * count as f64))
            }
            Self::Weights(weights) => weights,
        }
    }
}

impl Serialize for ClassWeight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_none(),
            Self::Balanced => serializer.serialize_str("balanced"),
            Self::Weights(weights) => weights.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ClassWeight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "`\"balanced\"`, `\"none\"` or two numbers above 0";
        setting::checked(deserializer, expected, |value| {
            match (value.as_str(), value.as_array().map(Vec::as_slice)) {
                (Some("balanced"), _) => Some(Self::Balanced),
                (Some("none"), _) => Some(Self::None),
                (None, Some([class_0, class_1])) => Some(Self::Weights([
                    as_positive(class_0)?,
                    as_positive(class_1)?,
                ])),
                _ => None,
            }
        })
    }
}

/// Who solves the quadratic problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Solver {
    /// The engine of this crate: libsvm's numbers.
    Smo,
    /// The `linfa-svm` library: a second opinion.
    Linfa,
}

/// A search over kernel, C and gamma by stratified cross-validation; the best is fitted on all train rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Search {
    /// Which candidates are tried.
    #[serde(flatten)]
    pub strategy: Strategy,
    /// Number of folds.
    pub folds: usize,
    /// Where candidates lie, at least one; of several, each draw chooses one, and a grid takes one after the other.
    #[serde(flatten, serialize_with = "serialize_spaces")]
    pub spaces: Vec<Space>,
}

impl Search {
    /// The seed of its draws, if it draws any.
    pub fn seed(&self) -> Option<u32> {
        match self.strategy {
            Strategy::Random { seed, .. } => Some(seed),
            Strategy::Grid => None,
        }
    }

    /// The same search with each of `seeds`; itself where there are none.
    pub fn repeated(&self, seeds: &[u32]) -> Vec<Self> {
        let with = |&seed| {
            let mut search = self.clone();
            if let Strategy::Random { seed: own, .. } = &mut search.strategy {
                *own = seed;
            }
            search
        };
        match seeds {
            [] => vec![self.clone()],
            seeds => seeds.iter().map(with).collect(),
        }
    }
}

/// Candidates of a search: what C, gamma and the kernel may be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Space {
    /// Values of C.
    pub c: Values<f64>,
    /// Values of gamma, and rules for it.
    pub gamma: Values<Gamma>,
    /// Kernels, in the order that a draw or the grid counts them.
    pub kernels: Vec<Kernel>,
}

impl Space {
    /// Leaves one value to each parameter that is not among `searched`: it is one that nobody reads.
    pub fn narrow_to(&mut self, searched: &[&str]) {
        if !searched.contains(&"gamma") {
            self.gamma = Values::List(vec![Gamma::Scale]);
        }
        if !searched.contains(&"kernel") {
            self.kernels = vec![Kernel::Linear];
        }
    }
}

/// One space stands in the place of the list, as searches were written when there was no list.
fn serialize_spaces<S: Serializer>(spaces: &[Space], serializer: S) -> Result<S::Ok, S::Error> {
    if let [one] = spaces {
        return one.serialize(serializer);
    }
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry("spaces", spaces)?;
    map.end()
}

/// Which candidates a search tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "strategy", rename_all = "lowercase")]
pub enum Strategy {
    /// `n_iter` draws, as scikit-learn's `ParameterSampler` makes them.
    Random {
        /// Number of candidates.
        n_iter: usize,
        /// Seed of the `RandomState`.
        seed: u32,
    },
    /// Every combination, in the order of scikit-learn's `ParameterGrid`.
    Grid,
}

/// The values that a search may give to one parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Values<T> {
    /// Log-uniform between two positive bounds.
    LogUniform {
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// One of these.
    List(Vec<T>),
}

impl<T: Serialize> Serialize for Values<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::LogUniform { low, high } => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("loguniform", &[low, high])?;
                map.end()
            }
            Self::List(values) => values.serialize(serializer),
        }
    }
}

/// From this many train rows per task on, `biobench` searches.
const BIOBENCH_SEARCH_FROM: i64 = 10;

impl Probe {
    /// The probe of the reference implementation for `n_train` sampled rows per task.
    ///
    /// Below 10, so also for `n_train <= 0` (all rows): a linear SVC with C = 1. From 10 on: `StandardScaler`, then
    /// a randomized search of 100 candidates.
    ///
    /// Source: `biobench.newt.init_svc`; defaults of scikit-learn 1.9 `SVC` and `RandomizedSearchCV`.
    pub fn biobench(n_train: i64) -> Self {
        if n_train >= BIOBENCH_SEARCH_FROM {
            return Self::biobench_search();
        }
        Self {
            classifier: ClassifierName::Svc,
            standardize_first: false,
            center: true,
            l2: true,
            standardize: false,
            kernel: Kernel::Linear,
            c: 1.0,
            gamma: Gamma::Scale,
            degree: 3,
            coef0: 0.0,
            tol: 1e-3,
            shrinking: true,
            max_iter: -1,
            class_weight: ClassWeight::None,
            k: 20,
            temperature: 0.07,
            search: None,
            solver: Solver::Smo,
        }
    }

    /// The probe with which the reference implementation searches.
    pub fn biobench_search() -> Self {
        Self {
            standardize: true,
            kernel: Kernel::Rbf,
            search: Some(Search {
                strategy: Strategy::Random {
                    n_iter: 100,
                    seed: 42,
                },
                folds: 5,
                spaces: vec![Space {
                    c: Values::LogUniform {
                        low: 1e-3,
                        high: 1e1,
                    },
                    gamma: Values::LogUniform {
                        low: 1e-4,
                        high: 1e-3,
                    },
                    kernels: vec![Kernel::Rbf, Kernel::Linear, Kernel::Sigmoid, Kernel::Poly],
                }],
            }),
            ..Self::biobench(-1)
        }
    }

    /// The probe of the paper that brought NeWT: columns standardised once, rows of unit length, and a grid over C for
    /// `classifier`, one of the two linear ones.
    ///
    /// Source: visipedia/newt, `benchmark/linear_evaluation.py` at e9f2618.
    pub fn newt_2021(classifier: ClassifierName) -> Self {
        let probe = Self {
            standardize_first: true,
            center: false,
            search: Some(Search {
                strategy: Strategy::Grid,
                folds: 3,
                spaces: vec![Space {
                    c: Values::List(vec![1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1000.0]),
                    gamma: Values::List(vec![Gamma::Scale]),
                    kernels: vec![Kernel::Linear],
                }],
            }),
            ..Self::biobench(-1).with_classifier(classifier)
        };
        let tol = match classifier {
            ClassifierName::LinearSvc => 1e-5,
            _ => probe.tol,
        };
        Self {
            tol,
            max_iter: 1000,
            ..probe
        }
    }

    /// The same preparation of rows and the same search for another kind of classifier: what it does not search is left
    /// out, and settings that scikit-learn has another default for get it.
    #[must_use]
    pub fn with_classifier(mut self, classifier: ClassifierName) -> Self {
        let kind = classifier.kind();
        if classifier != self.classifier {
            self.classifier = classifier;
            (kind.set_defaults)(&mut self);
        }
        if kind.searched.is_empty() {
            self.search = None;
        }
        for space in self.search.iter_mut().flat_map(|search| &mut search.spaces) {
            space.narrow_to(kind.searched);
        }
        self
    }

    /// The same probe with another seed of its search, if that draws anything.
    #[must_use]
    pub fn with_search_seed(&self, seed: u32) -> Self {
        let repeated = self.search.as_ref();
        let repeated = repeated.and_then(|search| search.repeated(&[seed]).pop());
        Self {
            search: repeated,
            ..self.clone()
        }
    }

    /// All settings, whichever classifier reads them, as JSON.
    ///
    /// # Errors
    /// Not for a probe whose numbers are finite.
    fn all_settings(&self) -> serde_json::Result<Map<String, Value>> {
        let all = Self::serialize(self, serde_json::value::Serializer)?;
        Ok(all.as_object().cloned().unwrap_or_default())
    }

    /// The names of all settings but the search, in the order of the fields.
    #[expect(clippy::expect_used, reason = "the default's numbers are finite")]
    pub fn settings() -> Vec<String> {
        let all = Self::default().all_settings().expect("finite numbers");
        let names = all.into_iter().map(|(name, _)| name);
        names.filter(|name| name != "search").collect()
    }

    /// Whether the setting `key` can change what the probe does.
    pub fn reads(&self, key: &str) -> bool {
        SHARED.contains(&key) || self.classifier.kind().settings.contains(&key)
    }

    /// The table `[probe]` of a pipeline file that means this probe, but for its search; with `all` settings, or those
    /// that its classifier reads.
    #[expect(
        clippy::expect_used,
        reason = "JSON and TOML have all types of the fields"
    )]
    pub fn to_table(&self, all: bool) -> Table {
        let mut settings = self.all_settings().expect("finite numbers");
        settings.retain(|key, _| key != "search" && (all || self.reads(key)));
        // JSON says `null`, which TOML has no word for.
        if let Some(class_weight @ Value::Null) = settings.get_mut("class_weight") {
            *class_weight = "none".into();
        }
        Table::try_from(settings).expect("a table")
    }

    /// Checks the combinations of settings that exclude each other.
    ///
    /// # Errors
    /// The first key that does not hold.
    pub fn validate(&self) -> Result<(), Message> {
        if self.classifier != ClassifierName::Svc {
            return Ok(());
        }
        if self.solver == Solver::Linfa && self.max_iter != -1 {
            return Err(Message::request(format!(
                "probe.max_iter: `{}` with the solver `linfa`, which has a limit of its own, expected -1, or the solver `smo`",
                self.max_iter
            )));
        }
        if self.solver == Solver::Linfa && self.kernels().contains(&Kernel::Sigmoid) {
            return Err(Message::request(
                "probe.solver: `linfa` has no sigmoid kernel, expected `smo`, or kernels among `linear`, `rbf` and `poly`",
            ));
        }
        Ok(())
    }

    /// The kernels that may come out: those of the search, or the one that is given.
    pub fn kernels(&self) -> Vec<Kernel> {
        match &self.search {
            None => vec![self.kernel],
            Some(search) => search
                .spaces
                .iter()
                .flat_map(|space| space.kernels.iter().copied())
                .collect(),
        }
    }
}

/// The settings that every classifier's probe has.
const SHARED: [&str; 5] = [
    "classifier",
    "standardize_first",
    "center",
    "l2",
    "standardize",
];

impl Serialize for Probe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut settings = self.all_settings().map_err(S::Error::custom)?;
        settings.retain(|key, value| match key.as_str() {
            "classifier" => self.classifier != ClassifierName::Svc,
            "standardize_first" => value.as_bool() == Some(true),
            "search" => true,
            key => self.reads(key),
        });
        if let Some(Value::Object(search)) = settings.get_mut("search") {
            self.classifier.kind().retain_searched(search);
        }
        settings.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Probe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
}

impl Default for Probe {
    /// The reference's, for all train rows.
    fn default() -> Self {
        Self::biobench(-1)
    }
}
