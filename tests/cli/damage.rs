//! What the cache makes of damage: whatever lies in the place of its files, and whatever was written into them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::sandbox::{
    Finished, Sandbox, become_nobody, draw_data, is_root, open_to_all, precomputed, put_checkpoint,
    set_mode, statuses,
};

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
    let said = "record of format 1, this program reads format 2; the stage makes the record again";
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

/// A run by somebody to whom things can be forbidden.
fn run_as_nobody(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
    let mut command = sandbox.command(arguments);
    become_nobody(&mut command);
    sandbox.finish(command)
}

#[test]
fn records_and_objects_that_are_closed_are_made_again_and_replaced() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let first = sandbox.json(&["run", "mine.toml"]);
    open_to_all(&sandbox.path(""));
    for path in [
        record(&sandbox, "probes"),
        object(&sandbox, "sample", "sample.parquet"),
    ] {
        set_mode(&path, 0o000);
        let run = run_as_nobody(&sandbox, &["run", "mine.toml", "--json"]);
        let document = warned_once(&run);
        let said = "cannot be read (it belongs to ";
        assert!(run.stderr.contains(said), "{}", run.stderr);
        assert_eq!(
            first["experiments"][0]["accuracy"],
            document["experiments"][0]["accuracy"]
        );
        let again = run_as_nobody(&sandbox, &["run", "mine.toml"]);
        assert!(!again.stderr.contains("warning: "), "{}", again.stderr);
    }
}

#[test]
fn a_shard_that_is_closed_is_an_error_and_stays() {
    let sandbox = with_images();
    open_to_all(&sandbox.path(""));
    let shard = files(&sandbox, "features").remove(0);
    let folder = shard.parent().unwrap();
    for (closed, mode) in [(shard.as_path(), 0o600), (folder, 0o700)] {
        let before = fs_err::metadata(closed).unwrap().permissions().mode() & 0o777;
        // Of root's files, nobody may read those; of their own, nobody those of mode 0.
        set_mode(closed, if is_root() { mode } else { 0 });
        for arguments in [
            &["run", "mine.toml", "--force", "probes"][..],
            &["run", "mine.toml", "--force", "features"],
            &["run", "mine.toml", "--check"],
            &["plan", "mine.toml"],
        ] {
            let run = run_as_nobody(&sandbox, arguments);
            assert_eq!(run.code, Some(1), "{}", run.stderr);
            let shown = closed.strip_prefix(sandbox.path("")).unwrap().display();
            let message = format!("error: [DIR]/{shown}: cannot be read (it belongs to ");
            assert!(run.stderr.contains(&message), "{}", run.stderr);
            assert!(
                run.stderr
                    .contains("hint: have its owner run `chmod -R a+rX ")
            );
        }
        set_mode(closed, before);
        assert!(shard.exists());
    }
}

/// Every path in a folder, with the bytes of files, but for the memo of digests.
fn content(folder: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut content = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            content.extend(self::content(&path));
            content.push((path, None));
        } else if !path.ends_with("digests") {
            let bytes = fs_err::read(&path).ok();
            content.push((path, bytes));
        }
    }
    content.sort();
    content
}

#[test]
fn a_plan_of_a_damaged_cache_changes_nothing_in_it() {
    let sandbox = with_images();
    sandbox.json(&["run", "mine.toml"]);
    flip_last_byte(&object(&sandbox, "report", "report.parquet"));
    let shard = files(&sandbox, "features").remove(0);
    fs_err::write(&shard, "cut").unwrap();
    let record = record(&sandbox, "bootstrap");
    fs_err::remove_file(&record).unwrap();
    fs_err::os::unix::fs::symlink("gone", &record).unwrap();
    fs_err::write(sandbox.path("cache/layout"), "?").unwrap();
    let before = content(&sandbox.path("cache"));
    let checked = sandbox.run(&["run", "mine.toml", "--check"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(4), ""));
    let planned = sandbox.run(&["plan", "mine.toml", "--check"]);
    assert_eq!((planned.code, planned.stderr.as_str()), (Some(4), ""));
    for arguments in [
        &["run", "mine.toml", "--dry-run"][..],
        &["plan", "mine.toml"],
    ] {
        let planned = sandbox.run(arguments);
        assert_eq!(planned.code, Some(0), "{}", planned.stderr);
        assert!(
            planned.stderr.contains("features passed over"),
            "{}",
            planned.stderr
        );
        assert!(!planned.stderr.contains("removed"), "{}", planned.stderr);
    }
    assert!(content(&sandbox.path("cache")) == before);
    let run = sandbox.run(&["run", "mine.toml"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let again = sandbox.run(&["run", "mine.toml"]);
    assert!(!again.stderr.contains("warning: "), "{}", again.stderr);
}

#[test]
fn a_memo_that_cannot_be_written_ends_no_run() {
    let sandbox = with_images();
    // Files can be put into all folders of the cache but for its root.
    open_to_all(&sandbox.path(""));
    set_mode(&sandbox.path("cache"), 0o755);
    if !is_root() {
        set_mode(&sandbox.path("cache"), 0o555);
    }
    // Old enough for the memo.
    for file in fs_err::read_dir(sandbox.path("data/newt2021_images")).unwrap() {
        let file = fs_err::OpenOptions::new()
            .write(true)
            .open(file.unwrap().path())
            .unwrap();
        let file = file.into_parts().0;
        let an_hour_ago =
            file.metadata().unwrap().modified().unwrap() - std::time::Duration::from_hours(1);
        file.set_modified(an_hour_ago).unwrap();
    }
    let run = run_as_nobody(&sandbox, &["run", "mine.toml", "--json"]);
    set_mode(&sandbox.path("cache"), 0o777);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let said = "; the next run reads files again";
    assert_eq!(run.stderr.matches(said).count(), 1, "{}", run.stderr);
}

#[test]
fn the_loss_of_all_objects_is_told_in_one_line() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let first = sandbox.json(&["run", "mine.toml"]);
    fs_err::remove_dir_all(sandbox.path("cache/objects")).unwrap();
    let run = sandbox.run(&["run", "mine.toml", "--json"]);
    let document = warned_once(&run);
    assert!(
        run.stderr.contains("cache/objects: missing"),
        "{}",
        run.stderr
    );
    assert_eq!(
        first["experiments"][0]["accuracy"],
        document["experiments"][0]["accuracy"]
    );

    let folder = sandbox.path("cache/actions/labels");
    fs_err::remove_dir_all(&folder).unwrap();
    fs_err::write(&folder, "").unwrap();
    let run = sandbox.run(&["run", "mine.toml", "--json"]);
    warned_once(&run);
    let said = "cache/actions/labels: is no folder, expected one; the stage makes the record again";
    assert!(run.stderr.contains(said), "{}", run.stderr);
}

#[test]
fn the_cache_of_a_home_that_is_the_user_s_own_and_open_to_all_is_used() {
    let sandbox = Sandbox::new();
    let home = sandbox.path("home");
    fs_err::create_dir(&home).unwrap();
    set_mode(&home, 0o777);
    let path = || {
        let mut command = sandbox.command(&["cache", "path"]);
        command.env_remove("NEWT_PIPE_CACHE");
        sandbox.finish(command)
    };
    assert_eq!(path().code, Some(0));
    fs_err::create_dir_all(home.join(".cache/newt-pipe")).unwrap();
    assert_eq!(path().code, Some(0));
    if std::os::unix::fs::chown(home.join(".cache/newt-pipe"), Some(54321), None).is_err() {
        // Only the superuser can give files away.
        return;
    }
    crate::assert_run!(path(), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: cache folder [DIR]/home/.cache/newt-pipe: belongs to user 54321, expected a folder of your own
    hint: name the folder with `--cache-dir DIR`, or set NEWT_PIPE_CACHE to it
    ");
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
