//! Probes at NeWT's sizes: single fits, one task's search, all 164 tasks, and Gram matrices against a plain GEMM.
//!
//! `benches/compare/probe.py` times scikit-learn on the same sizes.

#![expect(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "made-up features; a benchmark that cannot fit its task fails"
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array2;
use newt_pipe::internals::probe::{Gamma, Kernel, Probe, TaskData, TaskFit, fit_task};
use newt_pipe::internals::random::RandomState;
use newt_pipe::{Context, Interrupt, Silent};
use rayon::prelude::*;

/// Tasks of NeWT.
const N_TASKS: usize = 164;
/// NeWT's 18,024 test rows, per task.
const N_TEST: usize = 110;
/// Features of a ViT-S, a ViT-B and two layers of one.
const DIMENSIONS: [usize; 3] = [384, 768, 1536];
/// Train rows per task.
const N_TRAIN: [usize; 3] = [20, 100, 200];

struct Task {
    x_train: Array2<f32>,
    y_train: Vec<u8>,
    x_test: Array2<f32>,
}

impl Task {
    /// Two overlapping clouds, `n` rows in all, the first half of label 0.
    fn new(n: usize, n_test: usize, d: usize, seed: u32) -> Self {
        let mut rng = RandomState::new(seed);
        let mut normal = || (0..4).map(|_| rng.uniform()).sum::<f64>() as f32 - 2.0;
        let direction: Vec<f32> = (0..d).map(|_| 0.15 * normal()).collect();
        let mut cloud = |n: usize| {
            Array2::from_shape_fn((n, d), |(i, j)| {
                let side = if i < n / 2 { -1.0 } else { 1.0 };
                normal() + side * direction[j]
            })
        };
        Self {
            x_train: cloud(n),
            y_train: (0..n).map(|i| u8::from(i >= n / 2)).collect(),
            x_test: cloud(n_test),
        }
    }

    fn fit(&self, probe: &Probe) -> TaskFit {
        let data = TaskData {
            name: "bench",
            x_train: self.x_train.view(),
            y_train: &self.y_train,
            x_test: self.x_test.view(),
        };
        let context = Context {
            progress: &Silent,
            interrupt: &Interrupt::default(),
        };
        fit_task(probe, &data, context).unwrap()
    }
}

/// One fit with Gram matrix and predictions, per kernel and size.
fn fits(criterion: &mut Criterion) {
    for kernel in Kernel::ALL {
        let probe = Probe {
            standardize: true,
            kernel,
            gamma: Gamma::Value(3e-4),
            search: None,
            ..Probe::biobench(-1)
        };
        let mut group = criterion.benchmark_group(format!("fit/{kernel}"));
        for n in N_TRAIN {
            for d in DIMENSIONS {
                let task = Task::new(n, N_TEST, d, 1);
                let id = BenchmarkId::from_parameter(format!("n{n}_d{d}"));
                group.bench_function(id, |bencher| bencher.iter(|| black_box(task.fit(&probe))));
            }
        }
    }
}

/// One task's search: 100 candidates on five folds, and the refit.
fn searches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("search");
    group.sample_size(20);
    for n in N_TRAIN {
        let task = Task::new(n, N_TEST, 768, 2);
        let probe = Probe::biobench(100);
        group.bench_function(
            BenchmarkId::from_parameter(format!("n{n}_d768")),
            |bencher| {
                bencher.iter(|| black_box(task.fit(&probe)));
            },
        );
    }
}

/// All tasks of NeWT, as the stage runs them.
fn full_scale(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("full_scale");
    group
        .sample_size(10)
        .measurement_time(Duration::from_mins(1));
    group.throughput(Throughput::Elements(N_TASKS as u64));
    let cases = [
        ("linear_n200_d768", 200, -1),
        ("search_n100_d768", 100, 100),
        ("search_n200_d768", 200, 200),
    ];
    for (name, n_rows, n_train) in cases {
        let tasks: Vec<Task> = (0..N_TASKS)
            .map(|seed| Task::new(n_rows, N_TEST, 768, seed as u32))
            .collect();
        let probe = Probe::biobench(n_train);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                tasks
                    .par_iter()
                    .map(|task| task.fit(&probe).outcome.n_support)
                    .collect::<Vec<_>>()
            });
        });
    }
}

/// A fit that is over before its first iteration, and so little more than a Gram matrix, against the product of the
/// same rows by a matrix library (which needs no fixed order of summation).
fn gram(criterion: &mut Criterion) {
    let probe = Probe {
        center: false,
        l2: false,
        tol: 1e9,
        ..Probe::biobench(-1)
    };
    let mut group = criterion.benchmark_group("gram");
    for n in N_TRAIN {
        for d in DIMENSIONS {
            let task = Task::new(n, 0, d, 3);
            group.throughput(Throughput::Elements((n * n * d) as u64));
            let size = format!("n{n}_d{d}");
            group.bench_function(BenchmarkId::new("ours", &size), |bencher| {
                bencher.iter(|| black_box(task.fit(&probe)));
            });
            group.bench_function(BenchmarkId::new("gemm_f64", &size), |bencher| {
                bencher.iter(|| {
                    let x = task.x_train.mapv(f64::from);
                    black_box(x.dot(&x.t()))
                });
            });
        }
    }
}

criterion_group!(benches, fits, searches, full_scale, gram);
criterion_main!(benches);
