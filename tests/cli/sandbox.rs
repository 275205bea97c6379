//! A temporary folder with a cache of its own, and the program run in it with a cleared
//! environment.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::progress_lines::is_progress;

/// A folder for one test; removed with it.
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
}

/// What a finished program left.
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    /// Without lines of progress, of which there are more on a slower machine.
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().expect("a path in the sandbox")).unwrap();
        fs_err::write(&path, content).unwrap();
        path
    }

    /// The program, in this folder, with nothing in its environment but a cache of its own, no hub, and libtorch's choice of kernels.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_newt-pipe"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("NEWT_PIPE_CACHE", self.path("cache"))
            .env("HOME", self.path("home"))
            // No test may depend on a network, nor on there being none.
            .env("HF_ENDPOINT", "http://127.0.0.1:1")
            .env("HF_HUB_OFFLINE", "1")
            // A GPU would run networks in another precision.
            .env("CUDA_VISIBLE_DEVICES", "")
            .stdin(Stdio::null());
        // As `.cargo/config.toml` has it: the libtorch that this build is tested with. And which kernels it takes:
        // what is expected holds for all of them.
        for name in ["LIBTORCH", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        self.finish(self.command(arguments))
    }

    pub(crate) fn finish(&self, mut command: Command) -> Finished {
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().expect("the program starts");
        let dir = self.dir.path().display().to_string();
        let text = |bytes| {
            String::from_utf8(bytes)
                .expect("text")
                .replace(&dir, "[DIR]")
        };
        Finished {
            code: status.code(),
            stdout: text(stdout),
            stderr: text(stderr)
                .split_inclusive('\n')
                .filter(|line| !is_progress(line))
                .collect(),
        }
    }

    /// Runs with `--json` and returns the document; the run must succeed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let finished = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        serde_json::from_str(&finished.stdout).expect("one JSON document")
    }
}

impl Finished {
    /// Exit code, then both streams, with times, keys and counts of seconds made equal.
    pub(crate) fn snapshot(&self) -> String {
        format!(
            "exit code: {:?}\n--- stdout\n{}--- stderr\n{}",
            self.code, self.stdout, self.stderr
        )
    }
}

/// The user `nobody`, whom a test becomes where it is run by root, whom nothing is forbidden.
const NOBODY: u32 = 65534;

pub(crate) fn is_root() -> bool {
    fs_err::metadata("/proc/self").unwrap().uid() == 0
}

/// Has the program run as somebody to whom things can be forbidden.
pub(crate) fn become_nobody(command: &mut Command) {
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Opens what is at `path` to everybody, with all that is below it.
pub(crate) fn open_to_all(path: &Path) {
    if path.is_dir() {
        set_mode(path, 0o777);
        for entry in fs_err::read_dir(path).unwrap() {
            open_to_all(&entry.unwrap().path());
        }
    } else {
        set_mode(path, 0o666);
    }
}

/// Waits until something has happened, however slow the machine; a test that waits in vain fails in the end.
pub(crate) fn wait_until(what: &str, mut has_happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !has_happened() {
        assert!(
            started.elapsed() < Duration::from_mins(10),
            "waited in vain until {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Puts a small checkpoint that timm made into a folder.
pub(crate) fn put_checkpoint(sandbox: &Sandbox, dir: &str) {
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fixtures/backbone/plain");
    for name in ["config.json", "model.safetensors"] {
        let bytes = fs_err::read(fixture.join(name)).unwrap();
        sandbox.write(&format!("{dir}/{name}"), bytes);
    }
}

/// Draws one task of eight images into the folder `data`.
pub(crate) fn draw_data(sandbox: &Sandbox) {
    let drawn = sandbox.run(&[
        "data",
        "synth",
        "data",
        "--images-per-task",
        "8",
        "--task",
        "synth_flower_blue_vs_red",
    ]);
    assert_eq!(drawn.code, Some(0), "{}", drawn.stderr);
}

/// What is cut out of snapshots because it differs from run to run. A column of times is wider on a slower machine.
pub(crate) const FILTERS: [(&str, &str); 2] = [
    (r" +\d+\.\d\d s\b", " [TIME]"),
    (r"\b[0-9a-f]{12}\b…?", "[DIGEST]"),
];

/// Compares a run with its inline snapshot.
#[macro_export]
macro_rules! assert_run {
    ($finished:expr, @$expected:literal) => {
        insta::with_settings!({ filters => $crate::sandbox::FILTERS.to_vec() }, {
            insta::assert_snapshot!($finished.snapshot(), @$expected);
        });
    };
}

/// The status of each stage of the first experiment, as in `labels cached`.
pub(crate) fn statuses(document: &Value) -> Vec<String> {
    document["experiments"][0]["stages"]
        .as_array()
        .expect("stages")
        .iter()
        .map(|stage| {
            format!(
                "{} {}",
                stage["stage"].as_str().unwrap(),
                stage["status"].as_str().unwrap()
            )
        })
        .collect()
}

/// A data set of `n_tasks` tasks with 12 train and 8 test rows each, features of `dim` columns in
/// which the class shows, and a pipeline `mine.toml` that runs on them.
pub(crate) fn precomputed(sandbox: &Sandbox, n_tasks: usize, dim: usize) {
    let mut csv = "id,task,task_cluster,task_subcluster,label,split\n".to_owned();
    let mut ids = Vec::new();
    let mut values: Vec<f32> = Vec::new();
    let mut state = 1_u32;
    for task in 0..n_tasks {
        for row in 0..20 {
            let label = row % 2;
            let split = if row < 12 { "train" } else { "test" };
            let id = format!("t{task}-{row:02}");
            csv.push_str(&format!(
                "{id},task_{task},cluster_{},,{label},{split}\n",
                task % 2
            ));
            ids.push(id);
            for column in 0..dim {
                // A linear congruential generator: fixed values without a crate.
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (state >> 8) as f32 / (1 << 24) as f32 - 0.5;
                let signal = if column == 0 { label as f32 - 0.5 } else { 0.0 };
                values.push(signal + noise);
            }
        }
    }
    sandbox.write("data/newt2021_labels.csv", csv);
    write_features(
        &sandbox.path("features.safetensors"),
        &ids,
        &normalized(values, dim),
        dim,
    );
    sandbox.write("mine.toml", MINE);
}

/// A pipeline on features from elsewhere.
pub(crate) const MINE: &str = "[data]\nroot = \"data\"\n\n[model]\norg = \"precomputed\"\nckpt = \"features.safetensors\"\n\n\
    [sample]\nn_train = -1\nseed = 17\n";

fn normalized(mut values: Vec<f32>, dim: usize) -> Vec<f32> {
    for row in values.chunks_exact_mut(dim) {
        let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        for value in row.iter_mut() {
            *value /= norm;
        }
    }
    values
}

/// Writes a features file as a user's Python would.
pub(crate) fn write_features(path: &Path, ids: &[String], values: &[f32], dim: usize) {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let shape = vec![values.len() / dim, dim];
    let view =
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, &bytes).unwrap();
    let metadata = [("ids".to_owned(), serde_json::to_string(ids).unwrap())];
    let file =
        safetensors::serialize([("features", view)], Some(metadata.into_iter().collect())).unwrap();
    fs_err::write(path, file).unwrap();
}
