//! What a probe is: every setting that can change its result.

use std::fmt;
use std::str::FromStr;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::Error;

/// A probe, spelled out: centre, scale to unit length, standardise, then a C-SVC.
///
/// Its JSON form goes into cache keys: the order of the fields and their names are part of the format.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent steps, each on or off"
)]
pub struct Probe {
    /// Subtract the mean of the train rows.
    pub center: bool,
    /// Divide each row by its L2 norm.
    pub l2: bool,
    /// Divide each column by its standard deviation, after subtracting its mean.
    pub standardize: bool,
    /// The kernel, where no search chooses it.
    pub kernel: Kernel,
    /// The penalty C, where no search chooses it.
    pub c: f64,
    /// The kernel's gamma, where no search chooses it.
    pub gamma: Gamma,
    /// Degree of the polynomial kernel.
    pub degree: u32,
    /// Constant of the polynomial and sigmoid kernels.
    pub coef0: f64,
    /// Tolerance of the stopping criterion.
    pub tol: f64,
    /// Leave variables that are likely to stay at a bound out of the selection; `linfa` never does.
    pub shrinking: bool,
    /// Ends each fit after this many iterations, wherever it is then; -1: no limit.
    pub max_iter: i64,
    /// Factors of C per class.
    pub class_weight: ClassWeight,
    /// How kernel, C and gamma are chosen; `None` takes the three above.
    pub search: Option<Search>,
    /// Who solves the problem.
    pub solver: Solver,
}

/// A kernel function of two rows u and v.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
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
        match self {
            Self::Linear => "linear",
            Self::Rbf => "rbf",
            Self::Poly => "poly",
            Self::Sigmoid => "sigmoid",
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kernel {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|kernel| kernel.name() == name)
            .ok_or_else(|| Error::Setting {
                key: "kernel",
                found: format!("`{name}`"),
                expected: "`linear`, `rbf`, `poly` or `sigmoid`",
            })
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

impl Serialize for ClassWeight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_none(),
            Self::Balanced => serializer.serialize_str("balanced"),
            Self::Weights(weights) => weights.serialize(serializer),
        }
    }
}

/// Who solves the quadratic problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
            Self::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    list.serialize_element(value)?;
                }
                list.end()
            }
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
        let searches = n_train >= BIOBENCH_SEARCH_FROM;
        Self {
            center: true,
            l2: true,
            standardize: searches,
            kernel: if searches {
                Kernel::Rbf
            } else {
                Kernel::Linear
            },
            c: 1.0,
            gamma: Gamma::Scale,
            degree: 3,
            coef0: 0.0,
            tol: 1e-3,
            shrinking: true,
            max_iter: -1,
            class_weight: ClassWeight::None,
            search: searches.then(|| Search {
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
            solver: Solver::Smo,
        }
    }

    /// Checks every setting against its range, and the combinations that exclude each other.
    ///
    /// # Errors
    /// [`Error::Setting`] with the first key that does not hold.
    pub fn validate(&self) -> Result<(), Error> {
        require(is_positive(self.c), "c", self.c, POSITIVE)?;
        require(
            is_gamma(self.gamma),
            "gamma",
            self.gamma,
            "a number of at least 0, `scale` or `auto`",
        )?;
        require(
            self.coef0.is_finite(),
            "coef0",
            self.coef0,
            "a finite number",
        )?;
        require(is_positive(self.tol), "tol", self.tol, POSITIVE)?;
        require(
            self.max_iter == -1 || self.max_iter >= 1,
            "max_iter",
            self.max_iter,
            "a whole number of at least 1, or -1 for no limit",
        )?;
        if let ClassWeight::Weights(weights) = self.class_weight {
            for weight in weights {
                require(
                    is_positive(weight),
                    "class_weight",
                    weight,
                    "`balanced` or two positive, finite numbers",
                )?;
            }
        }
        if let Some(search) = &self.search {
            search.validate()?;
        }
        if self.solver == Solver::Linfa && self.max_iter != -1 {
            return Err(Error::Setting {
                key: "max_iter",
                found: format!(
                    "`{}` with the solver `linfa`, which has a limit of its own",
                    self.max_iter
                ),
                expected: "-1, or the solver `smo`",
            });
        }
        if self.solver == Solver::Linfa && self.kernels().contains(&Kernel::Sigmoid) {
            return Err(Error::Setting {
                key: "solver",
                found: "`linfa` has no sigmoid kernel".to_owned(),
                expected: "`smo`, or kernels among `linear`, `rbf` and `poly`",
            });
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

impl Search {
    /// Checks every setting of the search against its range.
    ///
    /// # Errors
    /// [`Error::Setting`] with the first key that does not hold.
    fn validate(&self) -> Result<(), Error> {
        require(self.folds >= 2, "search.folds", self.folds, "at least 2")?;
        if let Strategy::Random { n_iter, .. } = self.strategy {
            require(n_iter >= 1, "search.n_iter", n_iter, "at least 1")?;
        }
        if self.spaces.is_empty() {
            return Err(Error::Setting {
                key: "search",
                found: "an empty list".to_owned(),
                expected: "at least one table",
            });
        }
        for space in &self.spaces {
            space
                .c
                .validate("search.c", self.strategy, is_positive, POSITIVE)?;
            space.gamma.validate(
                "search.gamma",
                self.strategy,
                is_gamma,
                "finite numbers of at least 0, `scale` or `auto`",
            )?;
            if space.kernels.is_empty() {
                return Err(Error::Setting {
                    key: "search.kernels",
                    found: "no kernel".to_owned(),
                    expected: "at least one of `linear`, `rbf`, `poly` and `sigmoid`",
                });
            }
        }
        Ok(())
    }
}

impl<T: Copy + fmt::Display> Values<T> {
    /// Checks that the space holds values, and that each of them is in the parameter's range.
    fn validate(
        &self,
        key: &'static str,
        strategy: Strategy,
        in_range: fn(T) -> bool,
        expected: &'static str,
    ) -> Result<(), Error> {
        match self {
            Self::LogUniform { low, high } => {
                if strategy == Strategy::Grid {
                    return Err(Error::Setting {
                        key,
                        found: "`loguniform` has no grid".to_owned(),
                        expected: "a list of values, or the strategy `random`",
                    });
                }
                if BOUNDS.contains(low) && BOUNDS.contains(high) && low < high {
                    return Ok(());
                }
                Err(Error::Setting {
                    key,
                    found: format!("`loguniform = [{low}, {high}]`"),
                    expected: "two bounds between 1e-300 and 1e300, the lower first",
                })
            }
            Self::List(values) => {
                if values.is_empty() {
                    return Err(Error::Setting {
                        key,
                        found: "no value".to_owned(),
                        expected: "at least one",
                    });
                }
                values
                    .iter()
                    .try_for_each(|&value| require(in_range(value), key, value, expected))
            }
        }
    }
}

/// Bounds of a log-uniform space: where logarithm and exponential are computed to the last bit.
const BOUNDS: std::ops::RangeInclusive<f64> = 1e-300..=1e300;

const POSITIVE: &str = "a positive, finite number";

fn is_positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

fn is_gamma(gamma: Gamma) -> bool {
    match gamma {
        Gamma::Value(value) => value.is_finite() && value >= 0.0,
        Gamma::Scale | Gamma::Auto => true,
    }
}

fn require(
    holds: bool,
    key: &'static str,
    value: impl fmt::Display,
    expected: &'static str,
) -> Result<(), Error> {
    if holds {
        return Ok(());
    }
    Err(Error::Setting {
        key,
        found: format!("`{value}`"),
        expected,
    })
}
