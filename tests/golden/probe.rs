//! Whole tasks of the reference's probe against NumPy and scikit-learn: `fixtures/probe.json` (made by `make/probe.py`).
//!
//! Equal: every prediction, every support vector, the chosen kernel, C and gamma, and the mean accuracy of every
//! candidate. Decision values: see `probe_tasks`.

use newt_pipe::Interrupt;
use newt_pipe::internals::probe::{Probe, label_of};
use serde::Deserialize;

use super::probe_tasks::{Outcome, Recipe, fixture};

#[derive(Deserialize)]
struct Fixture {
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
struct Task {
    name: String,
    n_train: i64,
    #[serde(flatten)]
    recipe: Recipe,
    #[serde(flatten)]
    outcome: Outcome,
}

#[test]
fn tasks_equal_scikit_learns() {
    let fixture: Fixture = fixture("probe.json");
    assert!(fixture.tasks.len() >= 60);
    for task in fixture.tasks {
        let fit = task
            .recipe
            .make()
            .fit(&task.name, &Probe::biobench(task.n_train))
            .unwrap();
        task.outcome.assert_equal(&task.name, &fit);
    }
}

#[test]
fn a_fitted_probe_decides_row_by_row_as_it_did_in_its_task() {
    let fixture: Fixture = fixture("probe.json");
    let interrupt = Interrupt::default();
    for task in fixture.tasks.iter().step_by(5) {
        let made = task.recipe.make();
        let fit = made
            .fit(&task.name, &Probe::biobench(task.n_train))
            .unwrap();
        for (row, decision) in made.x_test.rows().into_iter().zip(&fit.decision) {
            let row = row.insert_axis(ndarray::Axis(0));
            let (alone, _) = fit.fitted.decision(row, &interrupt).unwrap();
            assert_eq!(alone[0].to_bits(), decision.to_bits(), "{}", task.name);
        }
        let (decision, _) = fit.fitted.decision(made.x_test.view(), &interrupt).unwrap();
        let y_pred: Vec<u8> = decision.into_iter().map(label_of).collect();
        assert_eq!(y_pred, fit.y_pred);
    }
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let fixture: Fixture = fixture("probe.json");
    for task in fixture
        .tasks
        .iter()
        .filter(|task| task.n_train >= 10)
        .step_by(6)
    {
        let made = task.recipe.make();
        let fits = [1, 2, 5].map(|n_threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(n_threads)
                .build()
                .unwrap();
            pool.install(|| {
                made.fit(&task.name, &Probe::biobench(task.n_train))
                    .unwrap()
            })
        });
        assert_eq!(fits[0], fits[1]);
        assert_eq!(fits[0], fits[2]);
    }
}
