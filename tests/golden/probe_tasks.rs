//! Tasks by recipe, and how a fit is held against scikit-learn's. `make/probe.py` makes the same tasks.

use std::any::Any;

use ndarray::{Array2, s};
use newt_pipe::internals::probe::{FittedSvc, Kernel, Probe, TaskData, TaskFit, fit_task};
use newt_pipe::{Context, Error, Interrupt, Silent};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Distance between decision values that counts as equal, as a share of the largest in the task.
///
/// Kernel values of predictions differ by a few units in the last place of f64 (exp, tanh, and for rbf the way to the
/// distance), and so do sums of some hundred of them: 1e-13. Where a sigmoid kernel is not positive definite, the
/// coefficients differ by as much times the condition of the problem: 2e-12 seen. A kernel value that rounds to another
/// f32 in training would show as 1e-5 or more.
const TOLERANCE: f64 = 1e-11;

/// Reads a fixture.
pub(super) fn fixture<T: DeserializeOwned>(name: &str) -> T {
    let path = format!(
        "{}/tests/golden/fixtures/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

/// Decimals of f64 with a space between: `serde_json` reads numbers to within one unit only.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
pub(super) struct Numbers(pub(super) Vec<f64>);

impl From<String> for Numbers {
    fn from(text: String) -> Self {
        Self(
            text.split_whitespace()
                .map(|number| number.parse().unwrap())
                .collect(),
        )
    }
}

/// How features and labels are made.
#[derive(Deserialize)]
pub(super) struct Recipe {
    kind: String,
    seed: u64,
    d: usize,
    train_counts: [usize; 2],
    test_counts: [usize; 2],
    interleaved: bool,
    strength: i64,
}

/// Features and labels of a task.
pub(super) struct Made {
    pub(super) x_train: Array2<f32>,
    pub(super) y_train: Vec<u8>,
    pub(super) x_test: Array2<f32>,
}

impl Made {
    pub(super) fn fit(&self, name: &str, probe: &Probe) -> Result<TaskFit, Error> {
        let context = Context {
            progress: &Silent,
            interrupt: &Interrupt::default(),
        };
        fit_task(probe, &self.data(name), context)
    }

    pub(super) fn data<'a>(&'a self, name: &'a str) -> TaskData<'a> {
        TaskData {
            name,
            x_train: self.x_train.view(),
            y_train: &self.y_train,
            x_test: self.x_test.view(),
        }
    }
}

/// What scikit-learn made of a task.
#[derive(Deserialize)]
pub(super) struct Outcome {
    kernel: String,
    c: Numbers,
    gamma: Numbers,
    /// Of all candidates; NaN where a fold could not be fitted.
    cv_means: Numbers,
    /// Of the chosen candidate; empty without a search.
    cv_accuracy: Numbers,
    support: Vec<usize>,
    bias: Numbers,
    y_pred: String,
    decision: Numbers,
}

impl Outcome {
    /// Holds `fit` against this: all equal, decision values and bias within [`TOLERANCE`].
    pub(super) fn assert_equal(&self, name: &str, fit: &TaskFit) {
        let svc = svc(fit);
        let kernel = svc.function.kernel;
        assert_eq!(kernel.name(), self.kernel, "kernel of {name}");
        assert_eq!(fit.outcome.kernel, Some(kernel), "kernel of {name}");
        assert_eq!(fit.outcome.c.as_slice(), self.c.0, "C of {name}");
        assert_eq!([svc.function.gamma], *self.gamma.0, "gamma of {name}");
        let has_gamma = kernel != Kernel::Linear;
        let gamma = has_gamma.then_some(svc.function.gamma);
        assert_eq!(fit.outcome.gamma, gamma, "gamma of {name}");
        let expected: Vec<f64> = not_nan(&self.cv_means.0);
        let cv_means: Vec<f64> = fit.cv_accuracies.iter().copied().flatten().collect();
        assert_eq!(cv_means, expected, "CV means of {name}");
        assert_eq!(
            fit.cv_accuracies.len(),
            self.cv_means.0.len(),
            "candidates of {name}"
        );
        assert_eq!(
            fit.cv_accuracy.as_slice(),
            not_nan(&self.cv_accuracy.0),
            "CV accuracy of {name}"
        );
        assert_eq!(svc.support_rows, self.support, "support vectors of {name}");
        assert_eq!(fit.outcome.n_support, Some(self.support.len()));
        let y_pred: String = fit.y_pred.iter().map(ToString::to_string).collect();
        assert_eq!(y_pred, self.y_pred, "predictions of {name}");
        let largest = self
            .decision
            .0
            .iter()
            .fold(0.0_f64, |largest, value| largest.max(value.abs()));
        let pairs = fit
            .decision
            .iter()
            .chain(&fit.outcome.bias)
            .zip(self.decision.0.iter().chain(&self.bias.0));
        for (value, expected) in pairs {
            assert!(
                (value - expected).abs() <= TOLERANCE * largest,
                "{name}: decision {value}, expected {expected}"
            );
        }
        assert_eq!(
            fit.decision.len(),
            self.decision.0.len(),
            "test rows of {name}"
        );
    }
}

/// The classifier of a fitted task.
fn svc(fit: &TaskFit) -> &FittedSvc {
    let classifier: &dyn Any = &*fit.fitted.classifier;
    classifier.downcast_ref().unwrap()
}

fn not_nan(values: &[f64]) -> Vec<f64> {
    values
        .iter()
        .copied()
        .filter(|value| !value.is_nan())
        .collect()
}

fn splitmix64(seed: u64, n: usize) -> Vec<u64> {
    (1..=n as u64)
        .map(|i| {
            let z = seed.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        })
        .collect()
}

fn noise(seed: u64, n: usize) -> Vec<i64> {
    let part = |bits: u64, shift: u64| (bits >> shift & 0xFFFF).cast_signed();
    splitmix64(seed, n)
        .into_iter()
        .map(|bits| part(bits, 0) + part(bits, 16) + part(bits, 32) + part(bits, 48) - 131_070)
        .collect()
}

fn labels(seed: u64, counts: [usize; 2], interleaved: bool) -> Vec<u8> {
    let labels = [vec![0; counts[0]], vec![1; counts[1]]].concat();
    if !interleaved {
        return labels;
    }
    let keys = splitmix64(seed, labels.len());
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by_key(|&i| keys[i]);
    order.into_iter().map(|i| labels[i]).collect()
}

impl Recipe {
    pub(super) fn make(&self) -> Made {
        let y_train = labels(self.seed + 10, self.train_counts, self.interleaved);
        let y_test = labels(self.seed + 11, self.test_counts, true);
        let x = self.features(&[y_train.clone(), y_test].concat());
        Made {
            x_train: x.slice(s![..y_train.len(), ..]).to_owned(),
            x_test: x.slice(s![y_train.len().., ..]).to_owned(),
            y_train,
        }
    }

    fn features(&self, labels: &[u8]) -> Array2<f32> {
        let (n, d) = (labels.len(), self.d);
        let direction = noise(self.seed + 1, d);
        let signal = |i: usize, j: usize| {
            let sign = if labels[i] == 1 { 1 } else { -1 };
            (sign * direction[j] * self.strength).div_euclid(256)
        };
        let x = noise(self.seed, n * d);
        let x = |i: usize, j: usize| x[i * d + j];
        let shifted = |seed, n, shift: u32| -> Vec<i64> {
            noise(seed, n).iter().map(|v| v >> shift).collect()
        };
        let value: Box<dyn Fn(usize, usize) -> i64> = match self.kind.as_str() {
            "normal" => Box::new(|i, j| x(i, j) + signal(i, j)),
            "heavy" => Box::new(|i, j| ((x(i, j) >> 1).pow(3) >> 31) + signal(i, j)),
            "low_rank" => {
                let rank = 4;
                let left = shifted(self.seed + 2, n * rank, 8);
                let right = shifted(self.seed + 3, rank * d, 8);
                Box::new(move |i, j| {
                    let product: i64 = (0..rank)
                        .map(|k| left[i * rank + k] * right[k * d + j])
                        .sum();
                    product + signal(i, j) + (x(i, j) >> 8)
                })
            }
            "relu" => Box::new(|i, j| {
                if j % 5 == 0 {
                    123_457
                } else {
                    (x(i, j) + signal(i, j)).max(0) + 200_000
                }
            }),
            "duplicates" => Box::new(|i, j| x(i / 2 * 2, j) + signal(i / 2 * 2, j)),
            "scales" => Box::new(|i, j| (x(i, j) + signal(i, j)) >> (j % 13)),
            "constant" => Box::new(|_, _| 54_321),
            "grid" => Box::new(|i, j| (x(i, j) + signal(i, j)) >> 16 << 16),
            "huge" => Box::new(|i, j| (x(i, j) + signal(i, j)) << 21),
            "offset" => Box::new(|i, j| {
                if j == 0 {
                    1 << 37
                } else {
                    (x(i, j) + signal(i, j)) >> (j % 5)
                }
            }),
            kind => panic!("unknown kind {kind}"),
        };
        Array2::from_shape_fn((n, d), |(i, j)| value(i, j) as f32 / 65_536.0)
    }
}
