//! Settings that are written and change nothing, so that nobody believes that they did.

use std::collections::BTreeMap;

use super::config::{ConfigFile, Experiment, Pipeline, ProbeConfig, SAMPLE_SEED, SearchConfig};
use crate::backbone::{Device, Precision};
use crate::probe::{ClassifierName, Gamma, Kernel, Probe, Solver, Values};
use crate::stage::features::BatchSize;
use crate::text;

/// Dotted keys, and why nothing reads their values.
type Idle = Vec<(String, &'static str)>;

/// The seed of a search where none is written, as in the reference.
const DEFAULT_SEED: u32 = 42;

const NO_GAMMA: &str = "the kernel `linear` has no gamma";

const NO_SETTING: &str = "its classifier has no such setting";

/// One line for each key whose value has no effect, at least in some experiments; the default passes for unwritten.
pub fn warnings(pipeline: &Pipeline, file: &ConfigFile) -> Vec<String> {
    let experiments = pipeline.experiments();
    let all = experiments.len();
    let mut n_idle: BTreeMap<_, usize> = BTreeMap::new();
    for setting in experiments.iter().flat_map(of_experiment) {
        *n_idle.entry(setting).or_default() += 1;
    }
    n_idle.extend(
        of_pipeline(pipeline)
            .into_iter()
            .map(|setting| (setting, all)),
    );
    let warning = |((key, reason), n): ((String, _), usize)| {
        let place = text::path(file.place(&key));
        let share = if n == all {
            String::new()
        } else {
            format!(" in {n} of {all} experiments")
        };
        format!("{place}: `{key}` has no effect{share}: {reason}")
    };
    n_idle.into_iter().map(warning).collect()
}

/// The settings that do nothing for one experiment, each once.
fn of_experiment(experiment: &Experiment) -> Idle {
    let config = &experiment.probe;
    let probe = config.resolve(experiment.n_train);
    let mut idle = of_search(config, &probe);
    if probe.classifier == ClassifierName::Svc {
        idle.extend(of_svc(experiment, &probe));
    }
    let mut add = |key: &str, reason| idle.push((key.to_owned(), reason));
    for key in config.written.keys().filter(|key| !probe.reads(key)) {
        add(&format!("probe.{key}"), NO_SETTING);
    }
    if experiment.model.allow_code && !experiment.model.brings_code() {
        let reason = "only a model of the org `torchscript` brings code of its own";
        add("model.allow_code", reason);
    }
    idle
}

/// The settings of an SVC that do nothing.
#[expect(clippy::float_cmp, reason = "the default, as it was written")]
fn of_svc(experiment: &Experiment, probe: &Probe) -> Idle {
    let config = &experiment.probe;
    let default = config.protocol.probe(experiment.n_train);
    let kernels = probe.kernels();
    let mut idle = Idle::new();
    let mut add = |key: &str, reason| idle.push((key.to_owned(), reason));
    if probe.gamma != default.gamma && !reads_gamma(config, probe) {
        add("probe.gamma", NO_GAMMA);
    }
    if probe.degree != default.degree && !kernels.contains(&Kernel::Poly) {
        add("probe.degree", "only the kernel `poly` has a degree");
    }
    let reads_coef0 = |kernel: &Kernel| [Kernel::Poly, Kernel::Sigmoid].contains(kernel);
    if probe.coef0 != default.coef0 && !kernels.iter().any(reads_coef0) {
        let reason = "only the kernels `poly` and `sigmoid` have it";
        add("probe.coef0", reason);
    }
    if !probe.shrinking && probe.solver == Solver::Linfa {
        add("probe.shrinking", "the solver `linfa` never shrinks");
    }
    idle
}

fn is_linear(kernels: &[Kernel]) -> bool {
    kernels.iter().all(|kernel| *kernel == Kernel::Linear)
}

/// The settings of the tables `probe.search` that do nothing.
fn of_search(config: &ProbeConfig, probe: &Probe) -> Idle {
    let mut idle = Idle::new();
    let (
        Some(SearchConfig::On {
            spaces,
            is_list,
            seeds,
            ..
        }),
        Some(search),
    ) = (&config.search, &probe.search)
    else {
        return idle;
    };
    // The key of a table of the list, or of the only table.
    let key = |i: usize, key| match is_list {
        true => format!("probe.search[{i}].{key}"),
        false => format!("probe.search.{key}"),
    };
    let searched = probe.classifier.kind().searched;
    let parameters = config.search.iter().flat_map(SearchConfig::parameters);
    let unread = parameters.filter(|(_, key)| !searched.contains(key));
    idle.extend(unread.map(|(path, _)| (path, NO_SETTING)));
    let scale = Values::List(vec![Gamma::Scale]);
    for (i, (written, space)) in spaces.iter().zip(&search.spaces).enumerate() {
        let is_idle = searched.contains(&"gamma") && is_linear(&space.kernels);
        if is_idle && written.gamma.as_ref().is_some_and(|gamma| *gamma != scale) {
            idle.push((key(i, "gamma"), NO_GAMMA));
        }
    }
    if search.tries_all() && seeds.as_ref().is_some_and(|seeds| *seeds != [DEFAULT_SEED]) {
        let reason = "the search tries all combinations, and draws none";
        idle.push((key(0, "seed"), reason));
    }
    idle
}

/// Whether the value of `probe.gamma` reaches a kernel: the probe's own, or that of a space which names none.
fn reads_gamma(config: &ProbeConfig, probe: &Probe) -> bool {
    match (&config.search, &probe.search) {
        (Some(SearchConfig::On { spaces, .. }), Some(search)) => spaces
            .iter()
            .zip(&search.spaces)
            .any(|(written, space)| written.gamma.is_none() && !is_linear(&space.kernels)),
        (_, Some(_)) => false,
        (_, None) => !is_linear(&probe.kernels()),
    }
}

/// The settings beside `[probe]` that do nothing for any experiment.
fn of_pipeline(pipeline: &Pipeline) -> Idle {
    let mut idle = Idle::new();
    let mut add = |key: &str, reason| idle.push((key.to_owned(), reason));
    let draws = pipeline
        .n_train
        .iter()
        .any(|n_train| n_train.rows().is_some());
    if !draws && pipeline.seeds != [SAMPLE_SEED] {
        let reason = "`n_train` takes all rows and draws none";
        add("sample.seed", reason);
    }
    if !pipeline.runs_networks() {
        let features = &pipeline.features;
        let settings = [
            ("features.device", features.device != Device::Auto),
            ("features.precision", features.precision != Precision::Auto),
            (
                "features.batch_size",
                features.batch_size != BatchSize::Auto,
            ),
        ];
        for (key, _) in settings.iter().filter(|(_, is_written)| *is_written) {
            add(key, "features that come from a file go through no network");
        }
    }
    idle
}
