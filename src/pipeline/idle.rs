//! Settings that are written and change nothing, so that nobody believes that they did.

use std::collections::BTreeMap;

use super::config::{ConfigFile, Pipeline, ProbeConfig, SAMPLE_SEED, SearchConfig};
use crate::backbone::{Device, Precision};
use crate::newt::sampling::NTrain;
use crate::probe::{Gamma, Kernel, Probe, Solver, Strategy, Values};
use crate::stage::features::BatchSize;
use crate::text;

/// A dotted key, and why nothing reads its value.
type Idle = (String, &'static str);

const NO_CODE: &str = "only a model of the org `torchscript` brings code of its own";

const NO_GAMMA: &str = "the kernel `linear` has no gamma";

/// One line for each key whose value has no effect, at least in some experiments; the default passes for unwritten.
pub(super) fn warnings(pipeline: &Pipeline, file: &ConfigFile) -> Vec<String> {
    let experiments = pipeline.experiments();
    let mut idle: BTreeMap<Idle, usize> = BTreeMap::new();
    for experiment in &experiments {
        for setting in of_probe(&experiment.probe, experiment.n_train) {
            *idle.entry(setting).or_default() += 1;
        }
        if experiment.model.allow_code && !experiment.model.brings_code() {
            let setting = ("model.allow_code".to_owned(), NO_CODE);
            *idle.entry(setting).or_default() += 1;
        }
    }
    for setting in of_pipeline(pipeline) {
        idle.insert(setting, experiments.len());
    }
    idle.into_iter()
        .map(|((key, reason), n)| {
            let place = file.place(&key);
            let share = if n == experiments.len() {
                String::new()
            } else {
                format!(" in {n} of {} experiments", experiments.len())
            };
            format!(
                "{}: `{key}` has no effect{share}: {reason}",
                text::path(place)
            )
        })
        .collect()
}

/// The settings of `[probe]` that do nothing for one probe, each once.
#[expect(clippy::float_cmp, reason = "the default, as it was written")]
fn of_probe(config: &ProbeConfig, n_train: NTrain) -> Vec<Idle> {
    let default = config.protocol.probe(n_train);
    let probe = config.resolve(n_train);
    let kernels = probe.kernels();
    let is_linear = |kernels: &[Kernel]| kernels.iter().all(|kernel| *kernel == Kernel::Linear);

    let mut is_gamma_read = probe.search.is_none() && !is_linear(&kernels);
    let mut of_search = Vec::new();
    if let (
        Some(SearchConfig::On {
            spaces, is_list, ..
        }),
        Some(search),
    ) = (&config.search, &probe.search)
    {
        // The key of a table of the list, or of the only table.
        let key = |i: usize, key| match is_list {
            true => format!("probe.search[{i}].{key}"),
            false => format!("probe.search.{key}"),
        };
        let scale = Values::List(vec![Gamma::Scale]);
        for (i, (written, space)) in spaces.iter().zip(&search.spaces).enumerate() {
            let is_linear = is_linear(&space.kernels);
            match &written.gamma {
                None => is_gamma_read |= !is_linear,
                Some(values) if is_linear && *values != scale => {
                    of_search.push((key(i, "gamma"), NO_GAMMA));
                }
                Some(_) => {}
            }
        }
        if let (Strategy::Random { n_iter, seed }, Some(n_combinations)) =
            (search.strategy, search.n_combinations())
            && n_combinations <= n_iter
            && !is_default_seed(seed)
        {
            let reason = "the search tries all combinations, and draws none";
            of_search.push((key(0, "seed"), reason));
        }
    }
    let is_poly = kernels.contains(&Kernel::Poly);
    let settings = [
        (
            probe.gamma != default.gamma && !is_gamma_read,
            "probe.gamma",
            NO_GAMMA,
        ),
        (
            probe.degree != default.degree && !is_poly,
            "probe.degree",
            "only the kernel `poly` has a degree",
        ),
        (
            probe.coef0 != default.coef0 && !is_poly && !kernels.contains(&Kernel::Sigmoid),
            "probe.coef0",
            "only the kernels `poly` and `sigmoid` have it",
        ),
        (
            !probe.shrinking && probe.solver == Solver::Linfa,
            "probe.shrinking",
            "the solver `linfa` never shrinks",
        ),
    ];
    of_search.extend(idle(&settings));
    of_search
}

fn is_default_seed(seed: u32) -> bool {
    let search = Probe::biobench(10).search;
    search.is_some_and(
        |search| matches!(search.strategy, Strategy::Random { seed: default, .. } if default == seed),
    )
}

/// The settings beside `[probe]` that do nothing for any experiment.
fn of_pipeline(pipeline: &Pipeline) -> Vec<Idle> {
    let features = &pipeline.features;
    let from_files = !pipeline.runs_networks();
    let no_network = "features that come from a file go through no network";
    let draws = pipeline
        .n_train
        .iter()
        .any(|n_train| n_train.rows().is_some());
    let settings = [
        (
            !draws && pipeline.seeds != [SAMPLE_SEED],
            "sample.seed",
            "`n_train` takes all rows and draws none",
        ),
        (
            from_files && features.device != Device::Auto,
            "features.device",
            no_network,
        ),
        (
            from_files && features.precision != Precision::Auto,
            "features.precision",
            no_network,
        ),
        (
            from_files && features.batch_size != BatchSize::Auto,
            "features.batch_size",
            no_network,
        ),
    ];
    idle(&settings)
}

fn idle(settings: &[(bool, &'static str, &'static str)]) -> Vec<Idle> {
    settings
        .iter()
        .filter(|(is_idle, ..)| *is_idle)
        .map(|&(_, key, reason)| (key.to_owned(), reason))
        .collect()
}
