//! The protocols by which papers and tools report NeWT: a named set of defaults each, all in one table.
//!
//! | protocol | source |
//! | --- | --- |
//! | `biobench` | `biobench.newt` at 6376d97 |
//! | `bioclip-2` | Imageomics/bioclip-2, `src/evaluation/newt.py` at 49e1cf5 |
//! | `newt-2021`, `logreg` | visipedia/newt, `benchmark/linear_evaluation.py` at e9f2618 |
//! | `birder` | birder-project/birder, `birder/eval/benchmarks/newt.py` at 9a7f288 |
//! | `knn` | birder-project/birder, `birder/eval/methods/knn.py` |
//! | `simpleshot` | birder-project/birder, `birder/eval/methods/simpleshot.py`; Wang et al. 2019, arXiv 1911.04623 |

use serde::{Deserialize, Serialize};

use crate::newt::sampling::NTrain;
use crate::probe::{ClassifierName, Probe};

/// A named set of defaults.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    strum::Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Protocol {
    /// A linear SVC below 10 train rows per task (and for all rows), a randomized search from 10 on.
    #[default]
    Biobench,
    /// Always the randomized search, in three runs.
    #[serde(rename = "bioclip-2")]
    #[strum(serialize = "bioclip-2")]
    Bioclip2,
    /// The same three runs, whose spread is that of a sample.
    Birder,
    /// A linear SVC with a grid over C, on standardised columns and rows of unit length.
    #[serde(rename = "newt-2021")]
    #[strum(serialize = "newt-2021")]
    Newt2021,
    /// The same with a logistic regression.
    Logreg,
    /// The nearest train rows vote.
    Knn,
    /// The nearer of the two classes' mean rows, once rows are centred.
    Simpleshot,
}

/// What a protocol says.
struct Defaults {
    /// The probe, for a number of train rows per task.
    probe: fn(NTrain) -> Probe,
    /// Seeds of the probe's search, a run for each.
    search_seeds: &'static [u32],
    /// Whether features are scaled to unit L2 norm before the probe sees them.
    features_l2: bool,
    /// What is subtracted from the number of runs in the standard deviation over them.
    ddof: usize,
    /// Which mean it reports.
    headline: Headline,
}

impl Defaults {
    /// What the variants of the paper that brought NeWT share.
    fn newt_2021(probe: fn(NTrain) -> Probe) -> Self {
        Self {
            probe,
            search_seeds: &[],
            features_l2: false,
            ddof: 1,
            headline: Headline::Tasks,
        }
    }
}

/// The mean that a protocol reports, by its name in tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Headline {
    /// Over all test rows.
    #[serde(rename = "accuracy")]
    Rows,
    /// Over the tasks' accuracies.
    #[serde(rename = "mean_task_accuracy")]
    Tasks,
}

impl Protocol {
    fn defaults(self) -> Defaults {
        match self {
            Self::Biobench => Defaults {
                probe: |n_train| Probe::biobench(n_train.written()),
                search_seeds: &[42],
                features_l2: true,
                ddof: 1,
                headline: Headline::Rows,
            },
            Self::Bioclip2 => Defaults {
                probe: |_| Probe::biobench_search(),
                search_seeds: &[0, 1, 2],
                features_l2: true,
                ddof: 0,
                headline: Headline::Rows,
            },
            Self::Birder => Defaults {
                probe: |_| Probe::biobench_search(),
                search_seeds: &[0, 1, 2],
                features_l2: true,
                ddof: 1,
                headline: Headline::Rows,
            },
            Self::Newt2021 => Defaults::newt_2021(|_| Probe::newt_2021(ClassifierName::LinearSvc)),
            Self::Logreg => {
                Defaults::newt_2021(|_| Probe::newt_2021(ClassifierName::LogisticRegression))
            }
            Self::Knn => Defaults {
                probe: |_| Probe {
                    center: false,
                    ..Probe::default().with_classifier(ClassifierName::NearestNeighbours)
                },
                ..Self::Biobench.defaults()
            },
            Self::Simpleshot => Defaults {
                probe: |_| Probe::default().with_classifier(ClassifierName::NearestCentroid),
                features_l2: false,
                ..Self::Biobench.defaults()
            },
        }
    }

    /// The probe that it has for `n_train` rows a task.
    pub fn probe(self, n_train: NTrain) -> Probe {
        (self.defaults().probe)(n_train)
    }

    /// The seeds of the search, a run for each.
    pub fn search_seeds(self) -> &'static [u32] {
        self.defaults().search_seeds
    }

    /// Whether features are scaled to unit L2 norm before the probe sees them.
    pub fn features_l2(self) -> bool {
        self.defaults().features_l2
    }

    /// What is subtracted from the number of runs in the standard deviation over them.
    pub fn ddof(self) -> usize {
        self.defaults().ddof
    }

    /// Which mean it reports.
    pub fn headline(self) -> Headline {
        self.defaults().headline
    }
}
