//! Settings that are written and have no effect, and searches of one's own.

use newt_pipe::internals::artifact::Table;

use crate::sandbox::{Sandbox, precomputed};

/// The warnings of a plan with these settings; it must succeed.
fn warnings(settings: &[&str]) -> String {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let sets = settings.iter().flat_map(|setting| ["--set", *setting]);
    let arguments: Vec<&str> = ["plan", "mine.toml"].into_iter().chain(sets).collect();
    let plan = sandbox.run(&arguments);
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    plan.stderr
}

#[test]
fn settings_without_effect_are_named_with_the_reason() {
    insta::assert_snapshot!(warnings(&["probe.gamma=0.5", "probe.degree=2", "probe.coef0=1.0"]), @"
    warning: --set: `probe.coef0` has no effect: only the kernels `poly` and `sigmoid` have it
    warning: --set: `probe.degree` has no effect: only the kernel `poly` has a degree
    warning: --set: `probe.gamma` has no effect: the kernel `linear` has no gamma
    ");
    insta::assert_snapshot!(warnings(&["probe.gamma=auto", "probe.kernel=[\"linear\", \"rbf\"]"]), @"warning: --set: `probe.gamma` has no effect in 1 of 2 experiments: the kernel `linear` has no gamma");
    insta::assert_snapshot!(warnings(&["probe.solver=linfa", "probe.shrinking=false"]), @"warning: --set: `probe.shrinking` has no effect: the solver `linfa` never shrinks");
    insta::assert_snapshot!(
        warnings(&["probe.search={ kernel = \"linear\", gamma = [0.1, 0.2] }"]),
        @"warning: --set: `probe.search.gamma` has no effect: the kernel `linear` has no gamma"
    );
    insta::assert_snapshot!(warnings(&["model.allow_code=true"]), @"warning: --set: `model.allow_code` has no effect: only a model of the org `torchscript` brings code of its own");
    insta::assert_snapshot!(
        warnings(&["probe.search={ kernel = \"rbf\", c = [0.1, 1], gamma = \"scale\", seed = 4 }"]),
        @"warning: --set: `probe.search.seed` has no effect: the search tries all combinations, and draws none"
    );
    insta::assert_snapshot!(warnings(&["sample.seed=[1, 2]"]), @"warning: --set: `sample.seed` has no effect: `n_train` takes all rows and draws none");
    insta::assert_snapshot!(
        warnings(&["features.device=cpu", "features.precision=f16", "features.batch_size=8"]),
        @"
        warning: --set: `features.batch_size` has no effect: features that come from a file go through no network
        warning: --set: `features.device` has no effect: features that come from a file go through no network
        warning: --set: `features.precision` has no effect: features that come from a file go through no network
        "
    );
}

#[test]
fn settings_without_effect_are_named_in_their_table_of_a_list() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let mine = fs_err::read_to_string(sandbox.path("mine.toml")).unwrap();
    let search = "[[probe.search]]\nkernel = \"rbf\"\nseed = 4\n[[probe.search]]\nkernel = \"linear\"\ngamma = [0.1, 0.2]";
    sandbox.write("mine.toml", format!("{mine}\n{search}\n"));
    insta::assert_snapshot!(sandbox.run(&["plan", "mine.toml"]).stderr, @"
    warning: mine.toml:14: `probe.search[0].seed` has no effect: the search tries all combinations, and draws none
    warning: mine.toml:17: `probe.search[1].gamma` has no effect: the kernel `linear` has no gamma
    ");
}

#[test]
fn settings_that_something_reads_are_not_warned_of() {
    for settings in [
        &[
            "probe.kernel=poly",
            "probe.gamma=0.5",
            "probe.degree=2",
            "probe.coef0=1.0",
        ][..],
        &[
            "sample.n_train=10",
            "sample.seed=3",
            "probe.search={}",
            "probe.gamma=auto",
            "probe.degree=2",
        ],
        &["sample.n_train=[-1, 10]", "sample.seed=[3, 4]"],
        &[
            "probe.search=[{ kernel = \"linear\", c = 1.0 }, { kernel = \"rbf\" }]",
            "probe.gamma=0.1",
        ],
        // scikit-learn takes a gamma of zero, too.
        &["probe.kernel=rbf", "probe.gamma=0"],
        // What all tables share, repeated.
        &["probe.search=[{ kernel = \"rbf\" }, { kernel = \"linear\", folds = 5 }]"],
        // The defaults, as a spelled-out file has them.
        &[
            "sample.seed=17",
            "probe.gamma=scale",
            "probe.degree=3",
            "probe.coef0=0.0",
            "features.device=auto",
        ],
    ] {
        assert_eq!(warnings(settings), "", "{settings:?}");
    }
}

#[test]
fn settings_that_one_protocol_of_a_sweep_reads_are_warned_of_for_the_others() {
    insta::assert_snapshot!(
        warnings(&["probe.protocol=[\"biobench\", \"knn\"]", "probe.k=[3, 5]", "probe.tol=1e-4"]),
        @"
        warning: --set: `probe.k` has no effect in 1 of 3 experiments: its classifier has no such setting
        warning: --set: `probe.tol` has no effect in 2 of 3 experiments: its classifier has no such setting
        warning: --set: the run has the protocols `biobench`, `knn`, whose numbers do not compare with each other
        "
    );
    assert_eq!(warnings(&["probe.protocol=knn", "probe.k=[3, 5]"]), "");
    assert_eq!(
        warnings(&[
            "probe.protocol=simpleshot",
            "probe.search=false",
            "features.l2=true"
        ]),
        ""
    );
}

#[test]
fn a_setting_that_the_classifier_does_not_have_is_refused_with_what_it_has() {
    let told = [
        "protocol = \"knn\"\nkernel = \"rbf\"",
        "protocol = \"knn\"\nc = 5",
        "protocol = \"simpleshot\"\nk = 5",
        "protocol = \"knn\"\ntemprature = 5",
        "protocol = [\"knn\", \"simpleshot\"]\ngamma = \"auto\"",
        "k = 5",
        "protocol = \"knn\"\n[probe.search]\nc = 1",
        "protocol = \"simpleshot\"\nsearch = [{ folds = 3 }]",
    ]
    .map(|lines| refused(&format!("[probe]\n{lines}")));
    insta::assert_snapshot!(told.concat(), @r#"
    error: mine.toml:14: `probe.kernel` is no setting of the classifier `nearest-neighbours`
    hint: remove it, or set `probe.classifier = "svc"`, which has it; `nearest-neighbours` has `k`, `temperature`
    error: mine.toml:14: `probe.c` is no setting of the classifier `nearest-neighbours`
    hint: remove it, or set `probe.classifier = "svc"`, which has it; `nearest-neighbours` has `k`, `temperature`
    error: mine.toml:14: `probe.k` is no setting of the classifier `nearest-centroid`
    hint: remove it, or set `probe.classifier = "nearest-neighbours"`, which has it
    error: mine.toml:14: unknown key `probe.temprature`
    hint: did you mean `probe.temperature`?
    error: mine.toml:14: `probe.gamma` is no setting of the classifier `nearest-neighbours` or `nearest-centroid`
    hint: remove it, or set `probe.classifier = "svc"`, which has it; `nearest-neighbours` has `k`, `temperature`
    error: mine.toml:13: `probe.k` is no setting of the classifier `svc`
    hint: remove it, or set `probe.classifier = "nearest-neighbours"`, which has it; `svc` has `kernel`, `c`, `gamma`, `degree`, `coef0`, `tol`, `shrinking`, `max_iter`, `class_weight`, `solver`
    error: mine.toml:14: `probe.search` finds nothing to search in the classifier `nearest-neighbours`
    hint: remove it
    error: mine.toml:14: `probe.search` finds nothing to search in the classifier `nearest-centroid`
    hint: remove it
    "#);
}

#[test]
fn what_the_hint_names_in_place_of_a_setting_is_taken() {
    for settings in [
        &["probe.protocol=knn"][..],
        &["probe.protocol=knn", "probe.k=5"],
        &["probe.protocol=knn", "probe.temperature=0.1"],
        &[
            "probe.protocol=knn",
            "probe.classifier=svc",
            "probe.kernel=rbf",
        ],
        &["probe.classifier=nearest-neighbours", "probe.k=5"],
    ] {
        assert_eq!(warnings(settings), "", "{settings:?}");
    }
}

#[test]
fn more_neighbours_than_train_rows_are_told_of_once() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 3, 4);
    let run = |k: &str| {
        let arguments = [
            "run",
            "mine.toml",
            "--out",
            "out",
            "--set",
            "probe.protocol=knn",
            "--set",
            "features.l2=true",
            "--set",
            k,
        ];
        let run = sandbox.run(&arguments);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let told = run
            .stderr
            .lines()
            .filter(|line| line.starts_with("warning"));
        let told: Vec<String> = told.map(str::to_owned).collect();
        let table = fs_err::read(sandbox.path("out/probes.parquet")).unwrap();
        let table = Table::from_parquet(&table).unwrap();
        (told.join("\n"), table.column::<i64>("k").unwrap())
    };
    let (told, used) = run("probe.k=20");
    insta::assert_snapshot!(told, @"warning: k = 20: 3 tasks of 3 with fewer train rows (12), where all of them vote; `k` in `probes.parquet` is how many do");
    assert_eq!(used, [12; 3]);
    // Said again of what the cache has.
    assert_eq!(run("probe.k=20").0, told);
    assert_eq!(run("probe.k=12"), (String::new(), vec![12; 3]));
}

#[test]
fn a_protocol_without_a_search_is_spelled_out_without_one() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let full = |protocol: &str| {
        let protocol = format!("probe.protocol={protocol}");
        let plan = sandbox.run(&["plan", "--full", "mine.toml", "--set", &protocol]);
        let probe = plan.stdout.split("[probe]").nth(1).unwrap_or_default();
        let probe = probe.split("\n[sample]").next().unwrap_or_default();
        assert_eq!(spelled(&[&protocol]), "");
        probe.trim().to_owned()
    };
    insta::assert_snapshot!(full("knn"), @r#"
    center = false
    classifier = "nearest-neighbours"
    k = 20
    l2 = true
    protocol = "knn"
    standardize = false
    standardize_first = false
    temperature = 0.07
    "#);
    insta::assert_snapshot!(full("simpleshot"), @r#"
    center = true
    classifier = "nearest-centroid"
    l2 = true
    protocol = "simpleshot"
    standardize = false
    standardize_first = false
    "#);
}

/// `[probe]` as `plan --full` spells it out under these settings.
fn spelled(settings: &[&str]) -> String {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let sets = settings.iter().flat_map(|setting| ["--set", *setting]);
    let arguments: Vec<&str> = ["plan", "--full", "mine.toml"]
        .into_iter()
        .chain(sets)
        .collect();
    let plan = sandbox.run(&arguments);
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    sandbox.write(
        "spelled.toml",
        plan.stdout
            .replace("[DIR]", &sandbox.path("").display().to_string()),
    );
    let again = sandbox.run(&["plan", "--full", "spelled.toml"]);
    assert_eq!(again.stdout, plan.stdout, "{}", again.stderr);
    let probe = plan.stdout.split("[probe.search]").nth(1);
    probe
        .unwrap_or_default()
        .split("\n[sample]")
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[test]
fn rules_for_gamma_are_searched() {
    insta::assert_snapshot!(spelled(&["probe.search={}", "probe.gamma=scale"]), @r#"
    folds = 5
    gamma = ["scale"]
    kernel = ["rbf", "linear", "sigmoid", "poly"]
    n_iter = 100
    seed = 42
    strategy = "random"

    [probe.search.c]
    loguniform = [0.001, 10.0]
    "#);
    insta::assert_snapshot!(spelled(&["probe.search.gamma=[\"auto\", 0.5]"]), @r#"
    folds = 5
    gamma = ["auto", 0.5]
    kernel = ["rbf", "linear", "sigmoid", "poly"]
    n_iter = 100
    seed = 42
    strategy = "random"

    [probe.search.c]
    loguniform = [0.001, 10.0]
    "#);
}

#[test]
fn a_linear_grid_needs_no_gamma() {
    insta::assert_snapshot!(spelled(&["probe.search={ strategy = \"grid\", kernel = \"linear\", c = [0.1, 1] }"]), @r#"
    c = [0.1, 1.0]
    folds = 5
    gamma = ["scale"]
    kernel = ["linear"]
    strategy = "grid"
    "#);
    insta::assert_snapshot!(
        spelled(&["probe.search={ strategy = \"grid\", kernel = \"rbf\", gamma = [0.1, 1] }", "probe.c=3"]),
        @r#"
        c = [3.0]
        folds = 5
        gamma = [0.1, 1.0]
        kernel = ["rbf"]
        strategy = "grid"
        "#
    );
}

#[test]
fn a_search_may_be_a_list_of_tables() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let mine = fs_err::read_to_string(sandbox.path("mine.toml")).unwrap();
    let search = "\n[[probe.search]]\nstrategy = \"grid\"\nfolds = 3\nkernel = \"linear\"\nc = [0.1, 1]\n\n\
        [[probe.search]]\nkernel = [\"rbf\", \"poly\"]\ngamma = [0.5, \"scale\"]\n";
    sandbox.write("mine.toml", format!("{mine}{search}"));
    let full = sandbox.run(&["plan", "--full", "mine.toml"]);
    let lists: Vec<&str> = full.stdout.split("[[probe.search]]").skip(1).collect();
    insta::assert_snapshot!(lists.concat(), @r#"

    c = [0.1, 1.0]
    folds = 3
    gamma = ["scale"]
    kernel = ["linear"]
    strategy = "grid"


    c = [1.0]
    gamma = [0.5, "scale"]
    kernel = ["rbf", "poly"]

    [sample]
    n_train = -1
    seed = 17
    "#);
    let spelled = full
        .stdout
        .replace("[DIR]", &sandbox.path("").display().to_string());
    sandbox.write("spelled.toml", spelled);
    let key =
        |file: &str| sandbox.json(&["run", file])["experiments"][0]["stages"][3]["key"].clone();
    assert_eq!(key("mine.toml"), key("spelled.toml"));
}

fn refused(search: &str) -> String {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let mine = fs_err::read_to_string(sandbox.path("mine.toml")).unwrap();
    sandbox.write("mine.toml", format!("{mine}\n{search}\n"));
    let run = sandbox.run(&["run", "mine.toml"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    run.stderr
}

#[test]
fn what_is_wrong_with_a_search_is_said_of_the_value_itself() {
    insta::assert_snapshot!(
        [
            "[probe.search]\nc = { loguniform = [1, 0.1] }",
            "[probe.search]\nc = { loguniform = [1] }",
            "[probe.search]\nc = { loguniform = [0.1, 1], base = 2 }",
            "[probe.search]\nc = { uniform = [0.1, 1] }",
            "[probe.search]\ngamma = [\"scale\", \"half\"]",
            "[probe.search]\nstrategy = \"grid\"\nc = { loguniform = [0.1, 1] }",
            "[probe.search]\nstrategy = \"grid\"\nc = 1\nseed = 4",
            "[probe]\nsearch = []",
            "[[probe.search]]\nfolds = 3\n[[probe.search]]\nfolds = 4",
            "[[probe.search]]\nkernel = \"rbf\"\n[[probe.search]]\nstrategy = \"grid\"",
            "[[probe.search]]\nc = 1\n[[probe.search]]\ncost = 4",
            "[probe]\nc = 1\n[[probe.search]]\nc = 1\n[[probe.search]]\nc = 4",
            "[probe]\nc = 1\n[probe.search]\nc = [1, 2]",
        ]
        .map(refused)
        .concat(),
        @r#"
        error: mine.toml:13: `probe.search.c.loguniform` is `[1, 0.1]`, expected two numbers from 1e-300 to 1e300, the lower first
        hint: `newt-pipe config` shows every key with its default
        error: mine.toml:13: `probe.search.c.loguniform` is `[1]`, expected two numbers from 1e-300 to 1e300, the lower first
        hint: `newt-pipe config` shows every key with its default
        error: mine.toml:13: unknown key `probe.search.c.base`
        hint: `newt-pipe config` shows every key
        error: mine.toml:13: unknown key `probe.search.c.uniform`
        hint: did you mean `probe.search.c.loguniform`?
        error: mine.toml:13: `probe.search.gamma` is `["scale", "half"]`, expected a number of at least 0, `"scale"` or `"auto"`, a list of such, or `{ loguniform = [low, high] }`
        hint: `newt-pipe config` shows every key with its default
        error: mine.toml:14: `probe.search.c.loguniform` is `[0.1, 1]`, expected a list of values in its place, since the search is a grid
        hint: write `c` as a list, or search with `strategy = "random"`
        error: mine.toml:15: `probe.search.seed` is `4`, expected no such key in a grid search, which draws nothing
        hint: remove `seed`, or search with `strategy = "random"`
        error: mine.toml:13: `probe.search` is `[]`, expected a table, a list of tables, or `false` for none
        hint: `newt-pipe config` shows every key with its default
        error: mine.toml:15: `probe.search[1].folds` is `4`, expected the first table's value, which holds for all, or no such key
        hint: write `folds` in the first table only
        error: mine.toml:15: `probe.search[1].strategy` is `"grid"`, expected the first table's value, which holds for all, or no such key
        hint: write `strategy` in the first table only
        error: mine.toml:15: unknown key `probe.search[1].cost`
        hint: `newt-pipe config` shows every key
        error: mine.toml:13: `probe.c` is `1`, expected no fixed value, since the search covers it
        hint: remove `probe.c`, or `c` from a table of `probe.search`
        error: mine.toml:13: `probe.c` is `1`, expected no fixed value, since the search covers it
        hint: remove `probe.c` or `probe.search.c`
        "#
    );
}

#[test]
fn settings_that_a_linear_classifier_does_not_have_are_refused() {
    insta::assert_snapshot!(
        [
            "[probe]\nprotocol = \"newt-2021\"\nkernel = \"rbf\"",
            "[probe]\nprotocol = \"logreg\"\ngamma = 0.1",
            "[probe]\nclassifier = \"linear-svc\"\nsolver = \"smo\"",
            "[probe]\nprotocol = \"newt-2021\"\n[probe.search]\ngamma = [0.1, 0.2]",
            "[probe]\nprotocol = \"logreg\"\n[[probe.search]]\nc = 1\n[[probe.search]]\nkernel = \"rbf\"",
        ]
        .map(refused)
        .concat(),
        @r#"
        error: mine.toml:14: `probe.kernel` is no setting of the classifier `linear-svc`
        hint: remove it, or set `probe.classifier = "svc"`, which has it; `linear-svc` has `c`, `tol`, `max_iter`, `class_weight`
        error: mine.toml:14: `probe.gamma` is no setting of the classifier `logistic-regression`
        hint: remove it, or set `probe.classifier = "svc"`, which has it; `logistic-regression` has `c`, `tol`, `max_iter`, `class_weight`
        error: mine.toml:14: `probe.solver` is no setting of the classifier `linear-svc`
        hint: remove it, or set `probe.classifier = "svc"`, which has it; `linear-svc` has `c`, `tol`, `max_iter`, `class_weight`
        error: mine.toml:15: `probe.search.gamma` is no setting of the classifier `linear-svc`
        hint: remove it: its search chooses `c`
        error: mine.toml:17: `probe.search[1].kernel` is no setting of the classifier `logistic-regression`
        hint: remove it: its search chooses `c`
        "#
    );
}

#[test]
fn settings_that_only_the_other_classifier_of_a_sweep_has_are_named() {
    insta::assert_snapshot!(
        warnings(&[
            "probe.classifier=[\"svc\", \"linear-svc\"]",
            "probe.search={ kernel = \"rbf\", gamma = 0.1 }",
        ]),
        @"
        warning: --set: `probe.search.gamma` has no effect in 1 of 2 experiments: its classifier has no such setting
        warning: --set: `probe.search.kernel` has no effect in 1 of 2 experiments: its classifier has no such setting
        "
    );
}
