//! The cache of the hub's Python library, as others leave it: shared blobs, broken links, paths in variables, tokens.

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::assert_run;
use crate::sandbox::{Finished, Sandbox, draw_data, precomputed, put_checkpoint};
use crate::server::{COMMIT, Server, Site};

const SNAPSHOT: &str = "hub/models--org--name/snapshots/0123456789abcdef0123456789abcdef01234567";
const CHECK: [&str; 4] = ["models", "check", "timm", "hf-hub:org/name"];
const PIPELINE: &str =
    "[data]\nroot = \"data\"\n[model]\norg = \"timm\"\nckpt = \"hf-hub:org/name\"\n";
const HINT: &str =
    "hint: `newt-pipe models fetch ORG CKPT` with a network downloads the file again\n";
const FETCH: [&str; 4] = ["models", "fetch", "timm", "hf-hub:org/name"];

/// The folder `hub` as the library leaves it where a file came by Xet: the repository's blob is a link to one that all
/// repositories share. Gives the digest, and the path of what is shared.
fn put_shared(sandbox: &Sandbox) -> (String, PathBuf) {
    put_checkpoint(sandbox, SNAPSHOT);
    sandbox.write("hub/models--org--name/refs/main", COMMIT);
    let weights = sandbox.path(&format!("{SNAPSHOT}/model.safetensors"));
    let bytes = fs_err::read(&weights).unwrap();
    let digest = format!("{:x}", Sha256::digest(&bytes));
    let hash = "c".repeat(64);
    let shared = sandbox.write(&format!("hub/blobs/cc/{hash}"), bytes);
    fs_err::remove_file(&weights).unwrap();
    let blobs = sandbox.path("hub/models--org--name/blobs");
    fs_err::create_dir(&blobs).unwrap();
    symlink(format!("../../blobs/cc/{hash}"), blobs.join(&digest)).unwrap();
    symlink(format!("../../blobs/{digest}"), &weights).unwrap();
    (digest, shared)
}

/// The program with the folder `hub` for the hub's cache, and offline.
fn command(sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let mut command = sandbox.command(arguments);
    command.env("HF_HUB_CACHE", sandbox.path("hub"));
    command
}

fn run(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
    sandbox.finish(command(sandbox, arguments))
}

/// A hub on loopback with a small checkpoint of timm's.
fn server() -> Server {
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fixtures/backbone/plain");
    let read = |name: &'static str| (name, fs_err::read(fixture.join(name)).unwrap());
    Site {
        files: [read("config.json"), read("model.safetensors")].into(),
        ..Site::new()
    }
    .start()
}

/// The same with that hub.
fn online(sandbox: &Sandbox, server: &Server, arguments: &[&str]) -> Command {
    let mut command = command(sandbox, arguments);
    command.env("HF_ENDPOINT", &server.url);
    command.env_remove("HF_HUB_OFFLINE");
    command
}

#[test]
fn sound_weights_that_repositories_share_are_verified() {
    let sandbox = Sandbox::new();
    put_shared(&sandbox);
    let checked = run(&sandbox, &CHECK);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(checked.stdout.contains("verified"), "{}", checked.stdout);
}

#[test]
fn damaged_weights_that_repositories_share_are_fetched_again_by_the_hint() {
    let sandbox = Sandbox::new();
    let (digest, shared) = put_shared(&sandbox);
    let mut bytes = fs_err::read(&shared).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs_err::write(&shared, &bytes).unwrap();
    let checked = run(&sandbox, &CHECK);
    assert_eq!(checked.code, Some(3), "{}", checked.stderr);
    assert!(checked.stderr.contains(&digest), "{}", checked.stderr);
    assert!(checked.stderr.ends_with(HINT), "{}", checked.stderr);

    let fetched = sandbox.finish(online(&sandbox, &server(), &FETCH));
    assert_eq!(fetched.code, Some(0), "{}", fetched.stderr);
    let checked = run(&sandbox, &CHECK);
    assert!(checked.stdout.contains("verified"), "{}", checked.stderr);
    // What others may use is left to them.
    assert_eq!(fs_err::read(&shared).unwrap(), bytes);
}

/// Sets some bytes of a file of the cache to zero.
fn damage(sandbox: &Sandbox, file: &str) {
    let content = fs_err::canonicalize(sandbox.path(&format!("{SNAPSHOT}/{file}"))).unwrap();
    let mut bytes = fs_err::read(&content).unwrap();
    let n_bytes = bytes.len();
    bytes[n_bytes - 64..n_bytes - 32].fill(b' ');
    fs_err::write(content, bytes).unwrap();
}

#[test]
fn nothing_is_extracted_with_a_damaged_checkpoint_until_it_is_fetched_again() {
    let (sandbox, server) = (Sandbox::new(), server());
    let fetch = || sandbox.finish(online(&sandbox, &server, &FETCH));
    assert_eq!(fetch().code, Some(0));
    draw_data(&sandbox);
    sandbox.write("mine.toml", PIPELINE);
    let extract = || {
        fs_err::remove_dir_all(sandbox.path("cache")).ok();
        run(&sandbox, &["run", "mine.toml"])
    };
    let sound = extract();
    assert_eq!(sound.code, Some(0), "{}", sound.stderr);
    for (file, kind) in [
        ("model.safetensors", "has SHA-256 "),
        ("config.json", "has git's SHA-1 "),
    ] {
        damage(&sandbox, file);
        let refused = extract();
        assert_eq!(refused.code, Some(3), "{}", refused.stderr);
        let named = format!("{SNAPSHOT}/{file}: {kind}");
        assert!(refused.stderr.contains(&named), "{}", refused.stderr);
        assert!(refused.stderr.ends_with(HINT), "{}", refused.stderr);

        let fetched = fetch();
        assert_eq!(fetched.code, Some(0), "{}", fetched.stderr);
        let warned = "; it is downloaded again\n";
        assert!(fetched.stderr.contains(warned), "{}", fetched.stderr);
        let mended = extract();
        assert_eq!(mended.stdout, sound.stdout, "{}", mended.stderr);
    }
    let fetched = fetch();
    assert!(!fetched.stderr.contains("warning"), "{}", fetched.stderr);
}

#[test]
fn run_that_extracts_nothing_does_not_hold_the_weights_against_the_hub() {
    let sandbox = Sandbox::new();
    let (digest, _) = put_shared(&sandbox);
    damage(&sandbox, "model.safetensors");
    let link = sandbox.path(&format!("{SNAPSHOT}/model.safetensors"));
    let bytes = fs_err::read(&link).unwrap();
    // A file of its own tells nothing of what it should be.
    fs_err::remove_file(&link).unwrap();
    fs_err::write(&link, bytes).unwrap();
    draw_data(&sandbox);
    sandbox.write("mine.toml", PIPELINE);
    let run = || run(&sandbox, &["run", "mine.toml"]);
    assert_eq!(run().code, Some(0));
    fs_err::remove_file(&link).unwrap();
    symlink(format!("../../blobs/{digest}"), &link).unwrap();
    let cached = run();
    assert_eq!(cached.code, Some(0), "{}", cached.stderr);
    fs_err::remove_dir_all(sandbox.path("cache")).unwrap();
    assert_eq!(run().code, Some(3));
}

#[test]
fn nothing_is_written_through_a_link_in_the_place_of_a_partial_file() {
    let (sandbox, server) = (Sandbox::new(), server());
    assert_eq!(
        sandbox.finish(online(&sandbox, &server, &FETCH)).code,
        Some(0)
    );
    let link = sandbox.path(&format!("{SNAPSHOT}/model.safetensors"));
    let content = fs_err::canonicalize(&link).unwrap();
    fs_err::remove_file(&content).unwrap();
    let theirs = sandbox.write("theirs", "theirs");
    symlink(&theirs, content.with_extension("incomplete")).unwrap();
    let fetched = sandbox.finish(online(&sandbox, &server, &FETCH));
    assert_eq!(fetched.code, Some(0), "{}", fetched.stderr);
    assert_eq!(fs_err::read(theirs).unwrap(), b"theirs");
    assert!(content.is_file());
}

#[test]
fn pipes_in_the_place_of_the_revision_and_of_the_token_are_named() {
    let sandbox = Sandbox::new();
    put_checkpoint(&sandbox, SNAPSHOT);
    fs_err::create_dir(sandbox.path("hub/models--org--name/refs")).unwrap();
    for name in ["hub/models--org--name/refs/main", "token"] {
        let made = Command::new("mkfifo").arg(sandbox.path(name)).status();
        assert!(made.unwrap().success());
    }
    assert_run!(run(&sandbox, &CHECK), @"
    exit code: Some(1)
    --- stdout
    --- stderr
    error: [DIR]/hub/models--org--name/refs/main: is a named pipe, expected a regular file
    hint: `newt-pipe models fetch ORG CKPT` with a network brings the file again
    ");
    let server = server();
    let mut command = online(&sandbox, &server, &FETCH);
    command.env("HF_TOKEN_PATH", sandbox.path("token"));
    assert_run!(sandbox.finish(command), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: hub's token in [DIR]/token: is a named pipe, expected `hf_…`
    hint: set `HF_TOKEN` to the token; `HF_HUB_DISABLE_IMPLICIT_TOKEN=1` does without one
    ");
    // What a revision stands for is asked for anew.
    assert_eq!(
        sandbox.finish(online(&sandbox, &server, &FETCH)).code,
        Some(0)
    );
}

#[test]
fn link_that_leads_nowhere_is_named_offline_and_mended_online() {
    let sandbox = Sandbox::new();
    let (_, shared) = put_shared(&sandbox);
    fs_err::remove_file(shared).unwrap();
    assert_run!(run(&sandbox, &CHECK), @"
    exit code: Some(1)
    --- stdout
    --- stderr
    error: org/name model.safetensors: `[DIR]/hub/models--org--name/blobs/eee1415a0f5e8477ae866c62e3336a82b63b4d5253d67349b1f22ec61e80b1bc` is a link to `../../blobs/cc/cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc`, where nothing is
    hint: copy what the links stand for with them, as `cp -rL` and `rsync -L` do
    ");
    sandbox.write(
        "mine.toml",
        "[data]\nsynth = { images_per_task = 8 }\n[model]\norg = \"timm\"\nckpt = \"hf-hub:org/name\"\n",
    );
    let planned = run(&sandbox, &["plan", "mine.toml"]);
    let reason = "the model's checkpoint is to be fetched first";
    assert!(planned.stdout.contains(reason), "{}", planned.stderr);

    let checkpoint = format!("local-dir:{SNAPSHOT}");
    let local = run(&sandbox, &["models", "check", "timm", &checkpoint]);
    assert_eq!(local.code, Some(2), "{}", local.stderr);
    assert!(
        local.stderr.contains("where nothing is"),
        "{}",
        local.stderr
    );

    let fetched = sandbox.finish(online(&sandbox, &server(), &FETCH));
    assert_eq!(fetched.code, Some(0), "{}", fetched.stderr);
    assert_eq!(run(&sandbox, &CHECK).code, Some(0));
}

#[test]
fn cache_that_is_a_link_to_nowhere_is_named() {
    let sandbox = Sandbox::new();
    symlink("/nowhere/hub", sandbox.path("hub")).unwrap();
    let finished = run(&sandbox, &CHECK);
    assert!(
        finished.stderr.starts_with(
            "error: org/name: `[DIR]/hub` is a link to `/nowhere/hub`, where nothing is\n"
        ),
        "{}",
        finished.stderr
    );
}

#[test]
fn token_is_read_before_a_request_and_no_sooner() {
    let sandbox = Sandbox::new();
    let server = server();
    precomputed(&sandbox, 2, 4);
    fs_err::create_dir_all(sandbox.path("home/.cache/huggingface/token")).unwrap();
    let with = |arguments: &[&str], name: &str, value: &str| {
        let mut command = online(&sandbox, &server, arguments);
        command.env(name, value);
        sandbox.finish(command)
    };
    for (name, value) in [("HF_TOKEN_PATH", "/"), ("HF_TOKEN", "ä"), ("HF_TOKEN", " ")] {
        for arguments in [
            &["run", "mine.toml"][..],
            &["models", "ls"],
            &["plan", "mine.toml"],
        ] {
            let finished = with(arguments, name, value);
            assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        }
    }
    assert_run!(with(&FETCH, "HF_TOKEN_PATH", "/"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: hub's token in /: is a folder, expected `hf_…`
    hint: set `HF_TOKEN` to the token; `HF_HUB_DISABLE_IMPLICIT_TOKEN=1` does without one
    ");
    // The folder that Docker makes.
    assert_run!(with(&FETCH, "HF_TOKEN", " "), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: hub's token in [DIR]/home/.cache/huggingface/token: is a folder, expected `hf_…`
    hint: set `HF_TOKEN` to the token; `HF_HUB_DISABLE_IMPLICIT_TOKEN=1` does without one
    ");
    assert_run!(with(&FETCH, "HF_TOKEN", "ä"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: hub's token in `HF_TOKEN`: holds characters that no token has, expected `hf_…`
    hint: set the variable to the token alone, or unset it
    ");
    assert!(server.lines().is_empty(), "{:?}", server.lines());
    for (name, value) in [("HF_TOKEN", "hf_x"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")] {
        let finished = with(&FETCH, name, value);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    }
}

#[test]
fn variables_of_the_hub_s_library_are_expanded() {
    let sandbox = Sandbox::new();
    for (name, value, expected) in [
        ("HF_HUB_CACHE", "$HOME/a", "home/a"),
        ("HUGGINGFACE_HUB_CACHE", "~/a", "home/a"),
        ("HF_HOME", "~/hf", "home/hf/hub"),
        ("XDG_CACHE_HOME", "${HOME}/x", "home/x/huggingface/hub"),
        ("UNUSED", "", "home/.cache/huggingface/hub"),
    ] {
        let mut command = sandbox.command(&CHECK);
        command.env(name, value);
        let stderr = sandbox.finish(command).stderr;
        let message = format!("error: org/name: not in the cache `[DIR]/{expected}`, and");
        assert!(stderr.starts_with(&message), "{stderr}");
    }
}

const LOCAL_AND_HUB: &str = "[data]\nroot = \"data\"\n\n[[models]]\norg = \"timm\"\nckpt = \"hf-hub:org/name\"\n\n\
    [[models]]\norg = \"precomputed\"\nckpt = \"none.safetensors\"\n";

#[test]
fn what_is_wrong_on_this_machine_is_said_before_the_hub_is_asked() {
    let sandbox = Sandbox::new();
    let server = server();
    sandbox.write("files/mine.toml", LOCAL_AND_HUB);
    let run = || sandbox.finish(online(&sandbox, &server, &["run", "files/mine.toml"]));
    assert!(
        run()
            .stderr
            .starts_with("error: data root files/data: no such folder")
    );
    sandbox.write("files/data/newt2021_labels.csv", "id,task\na,b\n");
    fs_err::create_dir(sandbox.path("files/data/newt2021_images")).unwrap();
    let finished = run();
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);

    precomputed(&sandbox, 2, 4);
    let labels = fs_err::read(sandbox.path("data/newt2021_labels.csv")).unwrap();
    sandbox.write("files/data/newt2021_labels.csv", labels);
    assert_run!(run(), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: `model.ckpt`: no file `[DIR]/files/none.safetensors`
    hint: set `model.ckpt`; a relative path starts at the folder of the pipeline file, in `--set` at the working folder
    ");
    assert!(server.lines().is_empty(), "{:?}", server.lines());
}

#[test]
fn file_of_features_is_looked_for_where_the_message_says() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    fs_err::create_dir(sandbox.path("files")).unwrap();
    for name in ["data", "mine.toml"] {
        fs_err::rename(sandbox.path(name), sandbox.path(&format!("files/{name}"))).unwrap();
    }
    let run = |extra: &[&str]| sandbox.run(&[&["run", "files/mine.toml"], extra].concat());
    let message = |path: &str| format!("error: `model.ckpt`: no file `[DIR]/{path}`\n");
    let finished = run(&[]);
    let expected = message("files/features.safetensors");
    assert!(
        finished.stderr.starts_with(&expected),
        "{}",
        finished.stderr
    );
    let finished = run(&["--set", "model.ckpt=other.safetensors"]);
    let expected = message("other.safetensors");
    assert!(
        finished.stderr.starts_with(&expected),
        "{}",
        finished.stderr
    );
    // As the hint says.
    let finished = run(&["--set", "model.ckpt=features.safetensors"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);

    let link = sandbox.path("files/features.safetensors");
    symlink("gone", link).unwrap();
    assert_run!(run(&[]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: `files/features.safetensors` is a link to `gone`, where nothing is
    hint: copy what the links stand for with them, as `cp -rL` and `rsync -L` do
    ");
}

#[test]
fn paths_of_a_pipeline_file_are_expanded() {
    let sandbox = Sandbox::new();
    let file = "[data]\nroot = \"~/newt\"\n[model]\norg = \"timm\"\nckpt = \"local-dir:$HOME/weights\"\n\
        [cache]\ndir = \"${HOME}/cache\"\n";
    sandbox.write("files/mine.toml", file);
    let full = sandbox.run(&["plan", "--full", "files/mine.toml"]).stdout;
    for line in [
        "root = \"[DIR]/home/newt\"",
        "ckpt = \"local-dir:[DIR]/home/weights\"",
        "dir = \"[DIR]/home/cache\"",
    ] {
        assert!(full.contains(line), "{full}");
    }

    precomputed(&sandbox, 2, 4);
    for name in ["data", "features.safetensors"] {
        let home = sandbox.path("home");
        fs_err::create_dir_all(&home).unwrap();
        fs_err::rename(sandbox.path(name), home.join(name)).unwrap();
    }
    let settings = [
        "data.root=~/data",
        "model.ckpt=$HOME/features.safetensors",
        "cache.dir=~/c",
    ];
    let mut arguments = vec!["run", "mine.toml"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let mut command = sandbox.command(&arguments);
    command.env_remove("NEWT_PIPE_CACHE");
    let finished = sandbox.finish(command);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(sandbox.path("home/c/objects").is_dir());
    assert!(!sandbox.path("~").exists());
}

#[test]
fn folder_that_names_what_is_not_known_is_not_made() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "mine.toml",
        "[data]\nsynth = true\n[model]\norg = \"random\"\nckpt = \"vit_tiny_patch16_224\"\n[cache]\ndir = \"$NEVER/c\"\n",
    );
    let path = |arguments: &[&str], cache: Option<&str>| {
        let mut command = sandbox.command(&[&["cache", "path"], arguments].concat());
        command.env_remove("NEWT_PIPE_CACHE");
        command.envs(cache.map(|dir| ("NEWT_PIPE_CACHE", dir)));
        sandbox.finish(command)
    };
    assert_run!(path(&["mine.toml"], None), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: cache folder `$NEVER/c`: a user or a variable in it is not known
    hint: name the folder with `--cache-dir DIR`, or set NEWT_PIPE_CACHE to it
    ");
    assert_eq!(
        path(&["mine.toml", "--cache-dir", "/c"], None).stdout,
        "/c\n"
    );
    assert_eq!(path(&["mine.toml"], Some("~/c")).stdout, "[DIR]/home/c\n");
    assert_eq!(
        path(&["--cache-dir=$HOME/c"], None).stdout,
        "[DIR]/home/c\n"
    );
    for dir in ["~nobody-of-that-name/c", "${NEVER}/c"] {
        assert_eq!(path(&[], Some(dir)).code, Some(2));
    }
    assert_run!(sandbox.run(&["run", "mine.toml", "--set", "data={root='${NEVER}/x'}"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: `data.root` is `${NEVER}/x`: a user or a variable in it is not known
    hint: set the variable, or write the path without it; a name that begins with `~` is written `./~…`
    ");
    // Unless somebody does mean it.
    fs_err::create_dir(sandbox.path("$NEVER")).unwrap();
    assert_eq!(path(&["--cache-dir", "$NEVER"], None).stdout, "$NEVER\n");
}

#[test]
fn paths_in_arguments_are_expanded() {
    let sandbox = Sandbox::new();
    let drawn = sandbox.run(&[
        "data",
        "synth",
        "~/newt",
        "--images-per-task",
        "8",
        "--task",
        "synth_flower_blue_vs_red",
    ]);
    assert_eq!(drawn.code, Some(0), "{}", drawn.stderr);
    assert_eq!(sandbox.run(&["data", "check", "$HOME/newt"]).code, Some(0));
    precomputed(&sandbox, 2, 4);
    let finished = sandbox.run(&["run", "mine.toml", "--out=~/results"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(sandbox.path("home/results").is_dir() && !sandbox.path("~").exists());

    let path = |dir: &str| sandbox.run(&["cache", "path", "--cache-dir", dir]);
    for dir in ["/c/~y", "./~x"] {
        assert_eq!(path(dir).stdout, format!("{dir}\n"));
    }
    assert_run!(path("~nobody-of-that-name/c"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: invalid value '~nobody-of-that-name/c' for '--cache-dir <DIR>': a user or a variable in it is not known; set the variable, or write the path without it; a name that begins with `~` is written `./~…`

    For more information, try '--help'.
    ");
    // A name that is known, of a folder that is there under that very name.
    fs_err::create_dir(sandbox.path("a$HOME")).unwrap();
    assert_eq!(path("a$HOME").stdout, "a$HOME\n");
}

#[test]
fn names_that_are_not_known_are_said_of_checkpoints_and_the_hub_s_cache() {
    let sandbox = Sandbox::new();
    for arguments in [
        ["timm", "local-dir:$NEVER/x"],
        ["torchscript", "~nobody-of-that-name/x"],
    ] {
        let written = arguments[1].trim_start_matches("local-dir:");
        let finished = sandbox.run(&[&["models", "check"][..], &arguments].concat());
        assert_eq!(finished.code, Some(2));
        let message = format!("error: `{written}`: a user or a variable in it is not known\n");
        assert!(finished.stderr.starts_with(&message), "{}", finished.stderr);
    }
    let mut command = sandbox.command(&CHECK);
    command.env("HF_HOME", "$NEVER/hf");
    assert_run!(sandbox.finish(command), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: hub's cache `$NEVER/hf/hub`: a user or a variable in it is not known
    hint: set the variable, or write the path without it; a name that begins with `~` is written `./~…`
    ");
}

#[test]
fn without_home_the_user_s_entry_in_passwd_counts() {
    let uid = fs_err::metadata("/proc/self").unwrap().uid().to_string();
    let passwd = fs_err::read_to_string("/etc/passwd").unwrap_or_default();
    let home = passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2) == Some(&uid.as_str())).then(|| fields[5].to_owned())
    });
    // A user from elsewhere than this file may have a home or none.
    let Some(home) = home else { return };
    let sandbox = Sandbox::new();
    for home_variable in [None, Some("")] {
        let mut command = sandbox.command(&["cache", "path"]);
        command.env_remove("NEWT_PIPE_CACHE").env_remove("HOME");
        command.envs(home_variable.map(|home| ("HOME", home)));
        let expected = Path::new(&home).join(".cache/newt-pipe");
        assert_eq!(
            sandbox.finish(command).stdout,
            format!("{}\n", expected.display())
        );
    }
}
