//! What the cache makes of damage: whatever lies in the place of its files, and whatever was written into them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::sandbox::{Finished, Sandbox, draw_data, precomputed, put_checkpoint, statuses};

/// Puts something else in the place of a file.
type Harm = fn(&Path);

/// Finds the place.
type Target<'a> = &'a dyn Fn() -> PathBuf;

/// Eight images and a network, whose features are in the cache, with `mine.toml` to run them.
fn with_images() -> Sandbox {
    let sandbox = Sandbox::new();
    put_checkpoint(&sandbox, "weights");
    draw_data(&sandbox);
    sandbox.write(
        "mine.toml",
        "data.root = \"data\"\nmodel.org = \"timm\"\nmodel.ckpt = \"local-dir:weights\"\n",
    );
    assert_eq!(counts(&sandbox.json(&["run", "mine.toml"])), [8, 0, 0]);
    sandbox
}

fn counts(document: &Value) -> [u64; 3] {
    let stage = &document["experiments"][0]["stages"][2];
    ["images_extracted", "images_reused", "images_missing"]
        .map(|name| stage[name].as_u64().unwrap())
}

/// The files below a folder of the cache.
fn files(sandbox: &Sandbox, folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(sandbox.path("cache").join(folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let below = fs_err::read_dir(path).unwrap();
            files.extend(below.map(|entry| entry.unwrap().path()));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn record(sandbox: &Sandbox, stage: &str) -> PathBuf {
    files(sandbox, &format!("actions/{stage}")).remove(0)
}

fn object(sandbox: &Sandbox, stage: &str, output: &str) -> PathBuf {
    let record: Value =
        serde_json::from_slice(&fs_err::read(record(sandbox, stage)).unwrap()).unwrap();
    let digest = record["outputs"][output].as_str().unwrap();
    let objects = sandbox.path("cache/objects");
    objects.join(&digest[..2]).join(&digest[2..])
}

fn flip_last_byte(path: &Path) {
    let mut bytes = fs_err::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs_err::write(path, bytes).unwrap();
}

/// The document of a run that warned once.
fn warned_once(finished: &Finished) -> Value {
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let n_warnings = finished.stderr.matches("warning: ").count();
    assert_eq!(n_warnings, 1, "{}", finished.stderr);
    serde_json::from_str(&finished.stdout).unwrap()
}

#[test]
fn whatever_lies_in_the_place_of_a_file_of_the_cache_is_set_aside_and_the_file_made_again() {
    let sandbox = with_images();
    let first = sandbox.json(&["run", "mine.toml"]);
    let accuracy = &first["experiments"][0]["accuracy"];
    let harms: [(&str, Harm); 4] = [
        ("folder", |path| {
            fs_err::create_dir(path).unwrap();
            fs_err::write(path.join("thesis.tex"), "mine").unwrap();
        }),
        ("loop", |path| {
            fs_err::os::unix::fs::symlink(path, path).unwrap();
        }),
        ("pipe", |path| {
            let made = std::process::Command::new("mkfifo").arg(path).status();
            assert!(made.unwrap().success());
        }),
        ("sparse", |path| {
            let file = fs_err::File::create(path).unwrap();
            file.set_len(1 << 40).unwrap();
        }),
    ];
    let targets: [(&str, Target<'_>); 6] = [
        ("layout", &|| sandbox.path("cache/layout")),
        ("digests", &|| sandbox.path("cache/digests")),
        ("record", &|| record(&sandbox, "probes")),
        ("object", &|| object(&sandbox, "report", "report.parquet")),
        ("shard", &|| files(&sandbox, "features").remove(0)),
        ("folder of records", &|| {
            sandbox.path("cache/actions/bootstrap")
        }),
    ];
    for (harm_name, harm) in harms {
        for (target_name, target) in targets {
            if harm_name == "folder" && target_name == "folder of records" {
                continue;
            }
            let path = target();
            if path.is_dir() {
                fs_err::remove_dir_all(&path).unwrap();
            } else if path.exists() {
                fs_err::remove_file(&path).unwrap();
            }
            harm(&path);
            // Rows are asked for only where probes are fitted.
            let force: &[&str] = if target_name == "shard" {
                &["--force", "probes"]
            } else {
                &[]
            };
            let run = sandbox.run(&[&["run", "mine.toml", "--json"], force].concat());
            eprintln!("{harm_name} in the place of {target_name}: {}", run.stderr);
            let document = warned_once(&run);
            assert_eq!(document["experiments"][0]["accuracy"], *accuracy);
            if target_name == "shard" {
                assert_eq!(counts(&document), [8, 0, 0]);
            }
        }
        let again = sandbox.run(&["run", "mine.toml", "--json"]);
        assert!(!again.stderr.contains("warning: "), "{}", again.stderr);
    }
    let kept = fs_err::read_dir(sandbox.path("cache/damaged")).unwrap();
    let theses = kept.filter(|entry| {
        let path = entry.as_ref().unwrap().path();
        path.join("thesis.tex").is_file()
    });
    assert_eq!(theses.count(), 5);
}

#[test]
fn a_layout_that_leads_nowhere_in_a_folder_of_something_else_is_refused() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    fs_err::create_dir(sandbox.path("cache")).unwrap();
    fs_err::os::unix::fs::symlink("nowhere", sandbox.path("cache/layout")).unwrap();
    crate::assert_run!(sandbox.run(&["run", "mine.toml"]), @"
    exit code: Some(1)
    --- stdout
    --- stderr
    error: cache [DIR]/cache: the folder holds `layout`, expected an empty folder or a newt-pipe cache
    hint: choose another folder with `--cache-dir`
    ");
}

#[test]
fn a_folder_for_the_cache_that_is_a_broken_link_is_told_as_such() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    fs_err::os::unix::fs::symlink("nowhere", sandbox.path("cache")).unwrap();
    crate::assert_run!(sandbox.run(&["run", "mine.toml"]), @"
    exit code: Some(1)
    --- stdout
    --- stderr
    error: cache [DIR]/cache: not writable: `[DIR]/cache` is a link to `nowhere`, where nothing is
    hint: set `--cache-dir` or NEWT_PIPE_CACHE to a folder that you can write to
    ");
}

#[test]
fn swapped_outputs_of_two_experiments_are_made_again() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 3, 8);
    let arguments = |seed: &'static str| ["run", "mine.toml", "--json", "--set", seed];
    let seeds = ["sample.seed=1", "sample.seed=2"];
    sandbox.write(
        "mine.toml",
        fs_err::read_to_string(sandbox.path("mine.toml"))
            .unwrap()
            .replace("n_train = -1", "n_train = 4"),
    );
    let before = seeds.map(|seed| sandbox.run(&arguments(seed)).stdout);
    let records = files(&sandbox, "actions/probes");
    let read = |path: &PathBuf| -> (String, Value) {
        let text = fs_err::read_to_string(path).unwrap();
        (text.clone(), serde_json::from_str(&text).unwrap())
    };
    let [(one, one_record), (other, other_record)] = [read(&records[0]), read(&records[1])];
    let outputs = |record: &Value| record["outputs"]["predictions.parquet"].clone();
    let (of_one, of_other) = (outputs(&one_record), outputs(&other_record));
    let (of_one, of_other) = (of_one.as_str().unwrap(), of_other.as_str().unwrap());
    assert_ne!(of_one, of_other);
    fs_err::write(&records[0], one.replace(of_one, of_other)).unwrap();
    fs_err::write(&records[1], other.replace(of_other, of_one)).unwrap();
    for (seed, before) in seeds.into_iter().zip(before) {
        let before: Value = serde_json::from_str(&before).unwrap();
        let after = warned_once(&sandbox.run(&arguments(seed)));
        assert_eq!(statuses(&after)[3], "probes ran");
        assert_eq!(
            before["experiments"][0]["accuracy"],
            after["experiments"][0]["accuracy"]
        );
    }
}

#[test]
fn records_of_an_earlier_format_are_misses_and_no_image_is_extracted_again() {
    let sandbox = with_images();
    for stage in ["labels", "sample", "features", "probes", "report"] {
        let path = record(&sandbox, stage);
        let text = fs_err::read_to_string(&path).unwrap();
        fs_err::write(path, text.replace("\"format\": 2", "\"format\": 1")).unwrap();
    }
    let finished = sandbox.run(&["run", "mine.toml", "--json"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let said = "record of format 1, this program reads format 2; the stage makes the object again";
    assert_eq!(
        finished.stderr.matches(said).count(),
        5,
        "{}",
        finished.stderr
    );
    let document = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(counts(&document), [0, 8, 0]);
    assert_eq!(statuses(&document)[2], "features ran");
    assert_eq!(statuses(&document)[5], "bootstrap cached");
}

#[test]
fn images_of_damaged_shards_count_as_extracted() {
    let sandbox = with_images();
    let cut: fn(&Path) = |shard| {
        let file = fs_err::OpenOptions::new().write(true).open(shard).unwrap();
        let bytes = file.metadata().unwrap().len();
        file.set_len(bytes - 100).unwrap();
    };
    for harm in [cut, flip_last_byte] {
        harm(&files(&sandbox, "features")[0]);
        let run = sandbox.run(&["run", "mine.toml", "--json", "--force", "probes"]);
        let document = warned_once(&run);
        assert_eq!(counts(&document), [8, 0, 0], "{}", run.stderr);
        assert_eq!(statuses(&document)[2], "features ran");
        let line = run.stderr.lines().find(|line| line.contains("features "));
        assert!(
            run.stderr.contains("8 images extracted"),
            "{line:?}: {}",
            run.stderr
        );
    }
}

#[test]
fn features_export_reads_no_damaged_shard() {
    let sandbox = with_images();
    let export = ["features", "export", "mine.toml", "-o", "out.safetensors"];
    assert_eq!(sandbox.run(&export).code, Some(0));
    let before = fs_err::read(sandbox.path("out.safetensors")).unwrap();
    flip_last_byte(&files(&sandbox, "features")[0]);
    let finished = sandbox.run(&export);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(
        finished.stderr.matches("warning: ").count(),
        1,
        "{}",
        finished.stderr
    );
    assert_eq!(
        fs_err::read(sandbox.path("out.safetensors")).unwrap(),
        before
    );
}

#[test]
fn damaged_fitted_probes_are_made_again_where_they_are_asked_for() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let saving = ["run", "mine.toml", "--save-probes", "--json"];
    sandbox.run(&saving);
    let before = fs_err::read(sandbox.path("results/mine/probes.safetensors")).unwrap();
    let object = object(&sandbox, "probes", "probes.safetensors");
    flip_last_byte(&object);
    let unread = sandbox.run(&["run", "mine.toml", "--json"]);
    assert!(!unread.stderr.contains("warning: "), "{}", unread.stderr);
    let document = warned_once(&sandbox.run(&saving));
    assert_eq!(statuses(&document)[3], "probes ran");
    let after = fs_err::read(sandbox.path("results/mine/probes.safetensors")).unwrap();
    assert!(before == after);
    let again = sandbox.run(&saving);
    assert!(!again.stderr.contains("warning: "), "{}", again.stderr);
}

#[test]
fn files_that_cannot_be_read_are_made_again() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let first = sandbox.json(&["run", "mine.toml"]);
    for path in [
        record(&sandbox, "probes"),
        object(&sandbox, "sample", "sample.parquet"),
    ] {
        let mode = std::fs::Permissions::from_mode(0o000);
        fs_err::set_permissions(&path, mode).unwrap();
        // A user who may read everything finds nothing to mend.
        let n_warnings = usize::from(fs_err::File::open(&path).is_err());
        let run = sandbox.run(&["run", "mine.toml", "--json"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert_eq!(
            run.stderr.matches("warning: ").count(),
            n_warnings,
            "{}",
            run.stderr
        );
        let document: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(
            first["experiments"][0]["accuracy"],
            document["experiments"][0]["accuracy"]
        );
        let again = sandbox.run(&["run", "mine.toml"]);
        assert!(!again.stderr.contains("warning: "), "{}", again.stderr);
    }
}

#[test]
fn no_cache_is_put_where_anyone_may_have_left_one() {
    let sandbox = Sandbox::new();
    fs_err::create_dir(sandbox.path("tmp")).unwrap();
    let mode = std::fs::Permissions::from_mode(0o1777);
    fs_err::set_permissions(sandbox.path("tmp"), mode).unwrap();
    let path = |home: &str| {
        let mut command = sandbox.command(&["cache", "path"]);
        command
            .env_remove("NEWT_PIPE_CACHE")
            .env("HOME", sandbox.path(home));
        sandbox.finish(command)
    };
    crate::assert_run!(path("tmp"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: cache folder [DIR]/tmp/.cache/newt-pipe: anyone can write to `[DIR]/tmp`, expected a folder of your own
    hint: name the folder with `--cache-dir DIR`, or set NEWT_PIPE_CACHE to it
    ");
    // What is somebody's own there is as safe as anything.
    let mine = sandbox.path("tmp/mine");
    fs_err::create_dir(&mine).unwrap();
    fs_err::set_permissions(&mine, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(path("tmp/mine").code, Some(0));
}

#[test]
fn a_cache_of_another_user_is_named_once() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    sandbox.json(&["run", "mine.toml"]);
    if std::os::unix::fs::chown(sandbox.path("cache"), Some(54321), None).is_err() {
        // Only the superuser can give files away.
        return;
    }
    let run = sandbox.run(&["run", "mine.toml", "--json"]);
    warned_once(&run);
    let said = "warning: cache [DIR]/cache: belongs to user 54321, and what it holds is believed\n";
    assert!(run.stderr.contains(said), "{}", run.stderr);
}
