//! Feature files that cannot be used.

use crate::sandbox::{Finished, Sandbox, draw_data, precomputed, put_checkpoint, write_features};

const DIM: usize = 4;

/// Runs on a features file made of the good one's ids and rows.
fn run(change: impl Fn(&mut Vec<String>, &mut Vec<f32>)) -> Finished {
    run_with(&[], change)
}

fn run_with(arguments: &[&str], change: impl Fn(&mut Vec<String>, &mut Vec<f32>)) -> Finished {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, DIM);
    let bytes = fs_err::read(sandbox.path("features.safetensors")).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let ids = header.metadata().as_ref().unwrap()["ids"].clone();
    let mut ids: Vec<String> = serde_json::from_str(&ids).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut values: Vec<f32> = tensors
        .tensor("features")
        .unwrap()
        .data()
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    change(&mut ids, &mut values);
    write_features(&sandbox.path("features.safetensors"), &ids, &values, DIM);
    sandbox.run(&[&["run", "mine.toml"], arguments].concat())
}

fn run_bytes(change: impl Fn(Vec<u8>) -> Vec<u8>) -> Finished {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, DIM);
    let bytes = fs_err::read(sandbox.path("features.safetensors")).unwrap();
    sandbox.write("features.safetensors", change(bytes));
    sandbox.run(&["run", "mine.toml"])
}

#[test]
fn a_missing_file() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, DIM);
    fs_err::remove_file(sandbox.path("features.safetensors")).unwrap();
    crate::assert_run!(sandbox.run(&["run", "mine.toml"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: `model.ckpt`: no file `[DIR]/features.safetensors`
    hint: set `model.ckpt`; a relative path starts at the folder of the pipeline file, in `--set` at the working folder
    ");
}

#[test]
fn nan_rows() {
    crate::assert_run!(run(|_, values| values[5] = f32::NAN), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: features.safetensors: 1 row with a NaN or an infinity: row 1 (`t0-01`)
    hint: make these rows again, or leave these images out of the labels
    ");
}

#[test]
fn zero_rows_are_taken_with_one_warning() {
    let finished = run(|_, values| {
        values[8..12].fill(0.0);
        values[60..64].fill(-0.0);
    });
    assert_eq!(finished.code, Some(0));
    insta::assert_snapshot!(warnings(&finished), @"warning: 2 images with features of zeros only: `t0-02`, `t0-15`; a row of zeros has no norm to divide by and stays as it is, as in the reference");
}

#[test]
fn zero_rows_are_not_said_to_equal_a_mean_that_is_not_subtracted() {
    let finished = run_with(&["--set", "probe.center=false"], |_, values| {
        values[8..12].fill(0.0);
    });
    insta::assert_snapshot!(warnings(&finished), @"
    warning: 1 image with features of zeros only: `t0-02`; a row of zeros has no norm to divide by and stays as it is, as in the reference
    warning: task `task_0`: 1 image with features of zeros only: `t0-02`; a row of zeros stays as it is, where the reference fails
    ");
}

#[test]
fn rows_that_equal_the_train_mean_are_counted_once_per_task() {
    // Task 0 has the same row throughout, so that no image has a direction; in task 1 one test row is the mean's twin.
    let finished = run(|_, values| {
        for row in values[..20 * DIM].chunks_exact_mut(DIM) {
            row.copy_from_slice(&[0.5; DIM]);
        }
    });
    assert_eq!(finished.code, Some(0));
    insta::assert_snapshot!(warnings(&finished), @"warning: task `task_0`: 20 images with features equal to the train mean: `t0-00`, `t0-01`, `t0-02`, `t0-03`, `t0-04`, `t0-05`, `t0-06`, `t0-07`, `t0-08`, `t0-09` and 10 more; a row of zeros stays as it is, where the reference fails");
}

#[test]
fn rows_whose_squares_float32_loses_are_scaled_nevertheless() {
    // Powers of two, whose mean is exact: the rows differ from it by about 1e-24.
    let scale = 2.0_f32.powi(-80);
    let tiny = run_with(&["--set", "features.l2=false"], move |_, values| {
        for (row, values) in values[..20 * DIM].chunks_exact_mut(DIM).enumerate() {
            values.fill(if row % 2 == 0 { scale } else { -scale });
        }
    });
    assert_eq!(tiny.code, Some(0));
    insta::assert_snapshot!(warnings(&tiny), @"
    warning: features.safetensors: 20 rows with an L2 norm other than 1: `t0-00` (1.7e-24), `t0-01` (1.7e-24), `t0-02` (1.7e-24), `t0-03` (1.7e-24), `t0-04` (1.7e-24), `t0-05` (1.7e-24), `t0-06` (1.7e-24), `t0-07` (1.7e-24), `t0-08` (1.7e-24), `t0-09` (1.7e-24) and 10 more; rows are used as they are, the protocol has them at norm 1
    warning: task `task_0`: 20 images with features so near to the train mean that float32 loses their squares: `t0-00`, `t0-01`, `t0-02`, `t0-03`, `t0-04`, `t0-05`, `t0-06`, `t0-07`, `t0-08`, `t0-09` and 10 more; scaled by the norm in float64, where the reference fails
    ");
}

#[test]
fn rows_whose_norm_leaves_float32_are_refused_where_it_is_divided_by() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, DIM);
    let ids: Vec<String> = (0..20).map(|row| format!("t0-{row:02}")).collect();
    let written = |of_row_1: f32| {
        let values = (0..20 * DIM).map(|place| match place / DIM {
            1 => of_row_1,
            row => ((row * 7 + place % DIM * 3) % 5) as f32 - if row % 2 == 0 { 2.5 } else { 1.5 },
        });
        let values: Vec<f32> = values.collect();
        write_features(&sandbox.path("features.safetensors"), &ids, &values, DIM);
    };
    let run = |settings: &[&str]| {
        let sets = settings.iter().flat_map(|setting| ["--set", setting]);
        let as_they_are = ["run", "mine.toml", "-q", "--set", "features.l2=false"];
        let arguments: Vec<&str> = as_they_are.into_iter().chain(sets).collect();
        sandbox.run(&arguments)
    };
    let errors = |finished: &Finished| {
        let lines = finished
            .stderr
            .lines()
            .filter(|line| !line.starts_with("warning"));
        format!(
            "{:?}\n{}",
            finished.code,
            lines.collect::<Vec<_>>().join("\n")
        )
    };
    written(1e20);
    insta::assert_snapshot!(errors(&run(&[])), @"
    Some(3)
    error: task `task_0`: the row of image `t0-01` has L2 norm 1.8e20 once the train mean is subtracted, expected 1.8e19 at most
    hint: divide the features by a constant
    ");
    insta::assert_snapshot!(errors(&run(&["probe.center=false"])), @"
    Some(3)
    error: task `task_0`: the row of image `t0-01` has L2 norm 2.0e20, expected 1.8e19 at most
    hint: divide the features by a constant
    ");
    // Nobody divides by it.
    let undivided = run(&[
        "probe.center=false",
        "probe.l2=false",
        "probe.standardize=true",
    ]);
    assert_eq!(undivided.code, Some(0), "{}", undivided.stderr);
    // Too small for float32's squares, it is computed in float64.
    written(1e-40);
    let tiny = run(&["probe.center=false"]);
    assert_eq!(tiny.code, Some(0), "{}", tiny.stderr);
    assert!(tiny.stderr.contains("`t0-01`; "), "{}", tiny.stderr);
    // The largest that is taken.
    written(8.9e18);
    let largest = run(&[]);
    assert_eq!(largest.code, Some(0), "{}", largest.stderr);
}

#[test]
fn rows_that_float32_cannot_scale_are_refused_where_a_run_or_predict_scales() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, DIM);
    let saved = sandbox.run(&["run", "mine.toml", "--save-probes", "--out", "saved"]);
    assert_eq!(saved.code, Some(0), "{}", saved.stderr);
    let ids = ["a".to_owned(), "b".to_owned()];
    let write = |value: f32| {
        let values = [[0.5; DIM], [value; DIM]].concat();
        write_features(&sandbox.path("other.safetensors"), &ids, &values, DIM);
    };
    let predict = || {
        sandbox.run(&[
            "predict",
            "--probe",
            "saved/probes.safetensors",
            "--features",
            "other.safetensors",
        ])
    };
    write(1e20);
    crate::assert_run!(predict(), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: other.safetensors: the row of image `b` has L2 norm 2.0e20, expected 0, or 1.2e-38 to 1.8e19
    hint: divide the features by a constant
    ");
    // As the hint says.
    write(1e18);
    let predicted = predict();
    assert_eq!(predicted.code, Some(0), "{}", predicted.stderr);
    let decisions: Vec<&str> = predicted
        .stdout
        .lines()
        .skip(1)
        .filter_map(|line| line.split('\t').nth(3))
        .collect();
    assert_eq!(decisions.len(), 2);
    assert_eq!(decisions[0], decisions[1]);

    let times = |factor: f32| run(move |_, values| values.iter_mut().for_each(|it| *it *= factor));
    crate::assert_run!(times(1e20), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    features.safetensors: 40 of 40 rows with an L2 norm other than 1; all are scaled to norm 1, as the protocol has them
    error: features.safetensors: the row of image `t0-00` has L2 norm 1.0e20, expected 0, or 1.2e-38 to 1.8e19
    hint: divide the features by a constant
    ");
    let divided = times(1e18);
    assert_eq!(divided.code, Some(0), "{}", divided.stderr);
}

#[test]
fn rows_whose_differences_leave_float32_are_refused() {
    // Each norm is one that float32 can work with, and so is the mean's; the difference's is not.
    crate::assert_run!(run_with(&["--set", "features.l2=false"], |_, values| {
        values[..20 * DIM].fill(-8.9e18);
        values[15 * DIM..16 * DIM].fill(8.9e18);
    }), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    warning: features.safetensors: 20 rows with an L2 norm other than 1: `t0-00` (1.8e19), `t0-01` (1.8e19), `t0-02` (1.8e19), `t0-03` (1.8e19), `t0-04` (1.8e19), `t0-05` (1.8e19), `t0-06` (1.8e19), `t0-07` (1.8e19), `t0-08` (1.8e19), `t0-09` (1.8e19) and 10 more; rows are used as they are, the protocol has them at norm 1
    error: task `task_0`: the row of image `t0-15` has L2 norm 3.6e19 once the train mean is subtracted, expected 1.8e19 at most
    hint: divide the features by a constant
    ");
}

#[test]
fn features_of_a_network_whose_norm_leaves_float32_are_refused() {
    let sandbox = Sandbox::new();
    draw_data(&sandbox);
    put_checkpoint(&sandbox, "model");
    sandbox.write(
        "mine.toml",
        "[data]\nroot = \"data\"\n\n[model]\norg = \"timm\"\nckpt = \"local-dir:model\"\n",
    );
    let path = sandbox.path("model/model.safetensors");
    let mut bytes = fs_err::read(&path).unwrap();
    let (n_header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let (start, end) = metadata.info("norm.weight").unwrap().data_offsets;
    for value in bytes[8 + n_header..][start..end].chunks_exact_mut(4) {
        value.copy_from_slice(&1e22_f32.to_le_bytes());
    }
    fs_err::write(&path, bytes).unwrap();
    let finished = sandbox.run(&["run", "mine.toml"]);
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    let error = finished
        .stderr
        .lines()
        .find(|line| line.starts_with("error: "))
        .unwrap();
    assert!(
        error.contains(".jpg: the backbone gives features of L2 norm "),
        "{error}"
    );
    assert!(
        error.ends_with(", expected 0, or 1.2e-38 to 1.8e19"),
        "{error}"
    );
}

fn warnings(finished: &Finished) -> String {
    let lines = finished.stderr.lines();
    let warnings: Vec<&str> = lines.filter(|line| line.starts_with("warning")).collect();
    warnings.join("\n")
}

#[test]
fn missing_ids() {
    crate::assert_run!(run(|ids, values| { ids.truncate(38); values.truncate(38 * DIM); }), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: features.safetensors: no features of 2 images: `t1-18`, `t1-19`
    hint: add a row for each image of the labels
    ");
}

#[test]
fn extra_ids() {
    crate::assert_run!(run(|ids, values| { ids.push("stranger".to_owned()); values.extend([0.5; DIM]); }), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: features.safetensors: features of 1 image that the labels do not list: `stranger`
    hint: use the labels that the features were made for
    ");
}

#[test]
fn duplicate_ids() {
    crate::assert_run!(run(|ids, _| ids[3] = ids[2].clone()), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: features.safetensors: 1 id given more than once: `t0-02`
    hint: keep one row for each image
    ");
}

#[test]
fn more_ids_than_rows() {
    crate::assert_run!(run(|ids, _| ids.push("t9-00".to_owned())), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: features.safetensors: 41 ids in `ids`, 40 rows in `features`
    hint: a features file holds a float tensor `features` [n, d] and the metadata key `ids`, a JSON array of n image ids
    ");
}

#[test]
fn a_file_cut_short() {
    crate::assert_run!(run_bytes(|bytes| bytes[..bytes.len() - 100].to_vec()), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: features.safetensors: cut short: 1,044 bytes, 1,144 by its header
    hint: copy or download the file again
    ");
    crate::assert_run!(run_bytes(|bytes| bytes[..5].to_vec()), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: features.safetensors: 5 bytes, a safetensors file begins with 8 bytes of header length
    hint: copy or download the file again
    ");
}

#[test]
fn a_header_that_lies_about_its_length() {
    crate::assert_run!(run_bytes(|mut bytes| { bytes[..8].copy_from_slice(&(1_u64 << 60).to_le_bytes()); bytes }), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: features.safetensors: no safetensors file: its first 8 bytes announce a header of 1,152,921,504,606,846,976 bytes, at most 100,000,000 are allowed
    hint: copy or download the file again
    ");
}
