//! Tasks made up to be easy, odd or impossible.

#![expect(
    clippy::cast_possible_truncation,
    reason = "made-up features of few digits; the same number, not a close one"
)]

use ndarray::{Array2, array};

use super::*;
use crate::interrupt::{Interrupt, Stopped};
use crate::progress::Silent;
use crate::random::RandomState;

/// Two clouds of `n` rows each, in `d` dimensions.
fn clouds(n: usize, d: usize, distance: f32, seed: u32) -> (Array2<f32>, Vec<u8>) {
    let mut rng = RandomState::new(seed);
    let labels: Vec<u8> = (0..2 * n).map(|i| u8::from(i >= n)).collect();
    let x = Array2::from_shape_fn((2 * n, d), |(i, _)| {
        let noise = (0..4).map(|_| rng.uniform()).sum::<f64>() as f32 - 2.0;
        noise + distance * f32::from(labels[i])
    });
    (x, labels)
}

fn fit_until(probe: &Probe, data: &TaskData<'_>, interrupt: &Interrupt) -> Result<TaskFit, Error> {
    let progress = &Silent;
    fit_task(
        probe,
        data,
        Context {
            progress,
            interrupt,
        },
    )
}

fn fit(probe: &Probe, x: &Array2<f32>, labels: &[u8]) -> Result<TaskFit, Error> {
    let data = TaskData {
        name: "owl",
        x_train: x.view(),
        y_train: labels,
        x_test: x.view(),
    };
    fit_until(probe, &data, &Interrupt::default())
}

fn message(result: Result<TaskFit, Error>) -> String {
    let error = result.unwrap_err();
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

#[test]
fn clear_margins_are_learned() {
    let (x, labels) = clouds(20, 16, 2.0, 1);
    for n_train in [5, 40] {
        assert_eq!(
            fit(&Probe::biobench(n_train), &x, &labels).unwrap().y_pred,
            labels
        );
    }
}

#[test]
fn data_that_do_not_fit_are_named() {
    let probe = Probe::biobench(-1);
    let x = array![[1.0_f32, 2.0], [3.0, 4.0]];
    assert_eq!(
        message(fit(&probe, &x, &[1, 1])),
        "task `owl`: all 2 train rows have label 1, a probe needs both classes; \
         `newt-pipe data check` lists every task without both"
    );
    assert_eq!(
        message(fit(&probe, &Array2::zeros((0, 2)), &[])),
        "task `owl`: 0 train rows, a probe needs both classes; `newt-pipe data check` lists every task without both"
    );
    assert_eq!(
        message(fit(&probe, &x, &[0, 1, 1])),
        "task `owl`: 3 labels, expected 2, one per train row"
    );
    assert_eq!(
        message(fit(&probe, &x, &[0, 2])),
        "task `owl`: label of train row 1 is `2`, expected `0` or `1`"
    );
    assert_eq!(
        message(fit(
            &probe,
            &array![[1.0, 2.0], [3.0, f32::INFINITY]],
            &[0, 1]
        )),
        "task `owl`: train row 1 holds `inf` in column 1, expected finite features; \
         a backbone in half precision can overflow; set `features.precision = \"f32\"`"
    );
    let narrow = TaskData {
        name: "owl",
        x_train: x.view(),
        y_train: &[0, 1],
        x_test: x.slice(ndarray::s![.., ..1]),
    };
    assert_eq!(
        message(fit_until(&probe, &narrow, &Interrupt::default())),
        "task `owl`: 2 features per train row and 1 per test row, expected the same number, at least 1"
    );
}

#[test]
fn a_search_needs_as_many_rows_of_one_label_as_folds() {
    let (x, labels) = clouds(4, 3, 1.0, 2);
    assert_eq!(
        message(fit(&Probe::biobench(10), &x, &labels)),
        "task `owl`: 4 and 4 train rows of labels 0 and 1, a search over 5 folds needs 5 of at least one label; \
         raise `sample.n_train`, set `probe.search.folds` to 4 or less, or leave the task out with `--tasks`"
    );
}

#[test]
fn small_classes_and_folds_of_one_label_are_warned_of() {
    let (x, labels) = clouds(6, 8, 1.0, 3);
    let fit = fit(
        &Probe::biobench(10),
        &x.slice(ndarray::s![..7, ..]).to_owned(),
        &labels[..7],
    )
    .unwrap();
    assert_eq!(
        fit.warnings,
        [
            "task `owl`: label 1 has 1 train row, fewer than the 5 folds of the search",
            "task `owl`: a fold trains on one label only, so the search has no scores; its first candidate is taken",
        ]
    );
    assert_eq!(fit.cv_accuracy, None);
    let first = Probe::biobench(10).search.unwrap().candidates()[0];
    assert_eq!(fit.outcome.c, Some(first.c));
}

#[test]
fn rows_without_direction_stay_zero_and_are_named() {
    let x = array![[1.0_f32, 0.0], [3.0, 0.0], [2.0, 0.0]];
    let fit = fit(&Probe::biobench(-1), &x, &[0, 1, 1]).unwrap();
    let odd = [(2, Oddity::Zero)];
    assert_eq!(
        (&fit.odd_train_rows[..], &fit.odd_test_rows[..]),
        (&odd[..], &odd[..])
    );
    assert!(fit.decision.iter().all(|value| value.is_finite()));
}

#[test]
fn overflowing_kernels_end_in_an_error() {
    let (x, labels) = clouds(5, 3, 1.0, 5);
    let probe = Probe {
        center: false,
        l2: false,
        kernel: Kernel::Poly,
        gamma: Gamma::Value(1e30),
        degree: 40,
        ..Probe::biobench(-1)
    };
    let alone = message(fit(&probe, &x, &labels));
    let auto = Probe {
        center: false,
        l2: false,
        kernel: Kernel::Poly,
        gamma: Gamma::Auto,
        degree: 1000,
        ..Probe::biobench(-1)
    };
    let large = &x * 100.0;
    assert_eq!(
        message(fit(&auto, &large, &labels)),
        "task `owl`: kernel poly with c = 1, gamma = 0.3333333333333333 gives a solution that is not finite, expected \
         finite coefficients; set `probe.standardize = true` or lower `probe.gamma`"
    );
    let linear = Probe {
        kernel: Kernel::Linear,
        ..auto
    };
    assert_eq!(
        message(fit(&linear, &(&x * 1e25), &labels)),
        "task `owl`: kernel linear with c = 1 gives a solution that is not finite, expected finite coefficients; set \
         `probe.standardize = true`"
    );
    let mut search = Search {
        strategy: Strategy::Grid,
        folds: 2,
        spaces: vec![Space {
            c: Values::List(vec![1.0, 2.0]),
            gamma: Values::List(vec![Gamma::Value(1e30)]),
            kernels: vec![Kernel::Poly],
        }],
    };
    let searched = Probe {
        search: Some(search.clone()),
        ..probe.clone()
    };
    assert_eq!(message(fit(&searched, &x, &labels)), alone);
    // One sound candidate is enough.
    search.spaces[0].kernels.push(Kernel::Linear);
    let searched = Probe {
        search: Some(search),
        ..probe
    };
    let fit = fit(&searched, &x, &labels).unwrap();
    assert_eq!(
        (fit.outcome.kernel, fit.outcome.gamma),
        (Some(Kernel::Linear), None)
    );
}

#[test]
fn rows_that_overflow_once_centred_are_named() {
    let x = array![[1e38_f32, 0.0], [1e38, 1.0]];
    let x_test = array![[1e38_f32, 0.0], [-1e20, 0.0]];
    let data = TaskData {
        name: "owl",
        x_train: x.view(),
        y_train: &[0, 1],
        x_test: x_test.view(),
    };
    assert_eq!(
        message(fit_until(
            &Probe::biobench(-1),
            &data,
            &Interrupt::default()
        )),
        "task `owl`: test row 1 has L2 norm 1.0e38 once the train mean is subtracted, expected 1.8e19 at most; divide \
         the features by a constant"
    );
}

#[test]
fn a_search_stops_when_asked_to() {
    let (x, labels) = clouds(10, 4, 1.0, 6);
    let data = TaskData {
        name: "owl",
        x_train: x.view(),
        y_train: &labels,
        x_test: x.view(),
    };
    let stopped = fit_until(&Probe::biobench(20), &data, &Interrupt::at_question(21));
    assert!(stopped.unwrap_err().is_a::<Stopped>().is_some());
}

#[test]
fn a_fit_stops_when_asked_to() {
    // Features that repeat, and a tolerance that rounding does not allow: without end.
    let (x, labels) = clouds(10, 2, 0.1, 6);
    let probe = Probe {
        c: 1e9,
        tol: 1e-300,
        ..Probe::biobench(-1)
    };
    let data = TaskData {
        name: "owl",
        x_train: x.view(),
        y_train: &labels,
        x_test: x.view(),
    };
    let stopped = fit_until(&probe, &data, &Interrupt::at_question(51));
    assert!(stopped.unwrap_err().is_a::<Stopped>().is_some());
    let limited = Probe {
        max_iter: 30,
        ..probe
    };
    let warnings = fit(&limited, &x, &labels).unwrap().warnings;
    assert_eq!(
        warnings[0],
        "task `owl`: 1 fit ended at `probe.max_iter = 30` before `probe.tol` was met, and was taken as it was; raise \
         `probe.max_iter`, set `probe.standardize = true` or lower `probe.c`"
    );
    // linfa ends by itself after ten million iterations.
    let linfa = Probe {
        max_iter: -1,
        solver: Solver::Linfa,
        ..limited
    };
    let warnings = fit(&linfa, &x, &labels).unwrap().warnings;
    assert_eq!(
        warnings[0],
        "task `owl`: 1 fit ended at linfa's limit of iterations before `probe.tol` was met, and was taken as it was; \
         raise `probe.tol`, set `probe.standardize = true` or lower `probe.c`"
    );
}

#[test]
fn a_limit_of_iterations_is_no_business_of_linfas() {
    let (x, labels) = clouds(3, 2, 1.0, 6);
    let limited = Probe {
        max_iter: 7,
        solver: Solver::Linfa,
        ..Probe::biobench(-1)
    };
    assert_eq!(
        message(fit(&limited, &x, &labels)),
        "probe.max_iter: `7` with the solver `linfa`, which has a limit of its own, expected -1, or the solver `smo`"
    );
}

#[test]
fn both_solvers_agree_where_the_margin_is_clear() {
    let (x, labels) = clouds(30, 12, 0.8, 7);
    for kernel in [Kernel::Linear, Kernel::Rbf, Kernel::Poly] {
        let smo = Probe {
            kernel,
            tol: 1e-6,
            coef0: 1.0,
            ..Probe::biobench(-1)
        };
        let linfa = Probe {
            solver: Solver::Linfa,
            ..smo.clone()
        };
        let (smo, linfa) = (
            fit(&smo, &x, &labels).unwrap(),
            fit(&linfa, &x, &labels).unwrap(),
        );
        assert_eq!(smo.y_pred, linfa.y_pred, "{kernel}");
        for (a, b) in smo.decision.iter().zip(&linfa.decision) {
            // Kernel values in f32 here, in f64 there.
            assert!((a - b).abs() < 1e-3, "{kernel}: {a}, {b}");
        }
    }
    let sigmoid = Probe {
        kernel: Kernel::Sigmoid,
        solver: Solver::Linfa,
        ..Probe::biobench(-1)
    };
    assert_eq!(
        message(fit(&sigmoid, &x, &labels)),
        "probe.solver: `linfa` has no sigmoid kernel, expected `smo`, or kernels among `linear`, `rbf` and `poly`"
    );
}

#[test]
fn a_search_with_linfa_chooses_as_well() {
    let (x, labels) = clouds(15, 8, 1.5, 8);
    let mut probe = Probe {
        solver: Solver::Linfa,
        ..Probe::biobench(30)
    };
    if let Some(search) = &mut probe.search {
        search.spaces[0].kernels = vec![Kernel::Linear, Kernel::Rbf];
        search.strategy = Strategy::Random { n_iter: 5, seed: 1 };
    }
    let fit = fit(&probe, &x, &labels).unwrap();
    assert_eq!(fit.cv_accuracies.len(), 5);
    assert_eq!(fit.y_pred, labels);
}

const LINEAR: [ClassifierName; 2] = [
    ClassifierName::LinearSvc,
    ClassifierName::LogisticRegression,
];

#[test]
fn a_decision_of_zero_means_label_0_to_a_linear_classifier() {
    // All rows alike: without a constant column nothing is learned, and without a larger class no intercept.
    let x = Array2::ones((6, 3));
    for classifier in LINEAR {
        let fit = fit(&Probe::newt_2021(classifier), &x, &[0, 1, 0, 1, 0, 1]).unwrap();
        assert_eq!((fit.decision, fit.y_pred), (vec![0.0; 6], vec![0; 6]));
    }
}

#[test]
fn a_linear_classifier_that_ends_early_is_warned_of() {
    let (x, labels) = clouds(12, 5, 0.2, 9);
    for classifier in LINEAR {
        let probe = Probe {
            c: 1e6,
            max_iter: 1,
            ..Probe::biobench(-1).with_classifier(classifier)
        };
        assert_eq!(
            fit(&probe, &x, &labels).unwrap().warnings,
            [
                "task `owl`: 1 fit ended at `probe.max_iter = 1` before `probe.tol` was met, and was taken as it was; \
                 raise `probe.max_iter`, set `probe.standardize = true` or lower `probe.c`"
            ]
        );
        let long = Probe {
            max_iter: 100_000,
            ..probe
        };
        assert_eq!(fit(&long, &x, &labels).unwrap().warnings, [""; 0]);
    }
}

#[test]
fn a_linear_classifier_stops_when_asked_to() {
    let (x, labels) = clouds(12, 5, 0.2, 9);
    for classifier in LINEAR {
        let probe = Probe {
            c: 1e6,
            max_iter: -1,
            tol: 1e-300,
            ..Probe::biobench(-1).with_classifier(classifier)
        };
        let data = TaskData {
            name: "owl",
            x_train: x.view(),
            y_train: &labels,
            x_test: x.view(),
        };
        let stopped = fit_until(&probe, &data, &Interrupt::at_question(6));
        assert!(stopped.unwrap_err().is_a::<Stopped>().is_some());
    }
}

#[test]
fn weights_beyond_all_numbers_end_in_an_error() {
    let (x, labels) = clouds(5, 3, 1.0, 5);
    let probe = Probe {
        c: 1e200,
        ..Probe::biobench(-1).with_classifier(ClassifierName::LinearSvc)
    };
    assert_eq!(
        message(fit(&probe, &x, &labels)),
        "task `owl`: linear-svc with c = 1e200 gives weights that are not finite, expected finite weights; set \
         `probe.standardize = true` or lower `probe.c`"
    );
}
