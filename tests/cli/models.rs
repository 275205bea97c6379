//! Known checkpoints, the cache of the hub, and what a look at a checkpoint says.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use insta::assert_snapshot;

use crate::assert_run;
use crate::interruption::signal;
use crate::sandbox::{Finished, Sandbox, draw_data, put_checkpoint, wait_until};
use crate::server::{COMMIT, Server, Site};

const REPO: &str = "models--timm--vit_tiny_patch16_224.augreg_in21k_ft_in1k";

/// A sandbox with a checkpoint in `weights`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    put_checkpoint(&sandbox, "weights");
    sandbox
}

/// Runs with the folder `hub` as the hub's cache, and without a network.
fn run_offline(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
    let mut command = sandbox.command(arguments);
    command.env("HF_HUB_CACHE", sandbox.path("hub"));
    command.env("HF_HUB_OFFLINE", "1");
    sandbox.finish(command)
}

/// What `models check` says of the checkpoint once `change` has been at its weights.
fn check_changed(change: impl Fn(Vec<u8>) -> Vec<u8>) -> Finished {
    let sandbox = sandbox();
    let weights = sandbox.path("weights/model.safetensors");
    let bytes = change(fs_err::read(weights).unwrap());
    sandbox.write("weights/model.safetensors", bytes);
    sandbox.run(&["models", "check", "timm", "local-dir:weights"])
}

/// Where a text stands in the file.
fn find(bytes: &[u8], text: &str) -> usize {
    let mut windows = bytes.windows(text.len());
    windows
        .position(|window| window == text.as_bytes())
        .unwrap()
}

fn replace(mut bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = find(&bytes, from);
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

#[test]
fn every_published_checkpoint_is_listed_with_its_place() {
    let sandbox = Sandbox::new();
    let listed = run_offline(&sandbox, &["models", "ls"]);
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    let lines: Vec<&str> = listed.stdout.lines().collect();
    assert_eq!(lines.len(), 1 + 84);
    let ending = |text: &str| lines.iter().filter(|line| line.ends_with(text)).count();
    assert_eq!((ending("on the hub"), ending("torchscript")), (82, 2));
    assert_snapshot!(lines[..4].join("\n"), @"
    org        ckpt                                                  px     parameters  accuracy  here  status
    open-clip  hf-hub:imageomics/bioclip-2.5-vith14                 224    632,076,800    0.9022  -     on the hub
    open-clip  PE-Core-bigG-14-448/meta                             448  1,882,033,920    0.8950  -     on the hub
    open-clip  hf-hub:imageomics/bioclip-2                          224    303,966,208    0.8913  -     on the hub
    ");

    put_checkpoint(
        &sandbox,
        &format!("hub/models--timm--vit_base_patch16_224.augreg2_in21k_ft_in1k/snapshots/{COMMIT}"),
    );
    sandbox.write(
        "hub/models--timm--vit_base_patch16_224.augreg2_in21k_ft_in1k/refs/main",
        COMMIT,
    );
    let listed = run_offline(&sandbox, &["models", "ls"]).stdout;
    let here: Vec<&str> = listed
        .lines()
        .filter(|line| line.ends_with("here"))
        .collect();
    assert_snapshot!(here.join("\n"), @"timm       vit_base_patch16_224.augreg2_in21k_ft_in1k           224     86,567,656    0.8174  -     here");
}

#[test]
fn a_checkpoint_in_the_hub_s_cache_is_found_by_its_plain_name() {
    let sandbox = Sandbox::new();
    put_checkpoint(&sandbox, &format!("hub/{REPO}/snapshots/{COMMIT}"));
    sandbox.write(&format!("hub/{REPO}/refs/main"), COMMIT);
    draw_data(&sandbox);
    sandbox.write(
        "mine.toml",
        "[data]\nroot = \"data\"\n\n[model]\norg = \"timm\"\nckpt = \"vit_tiny_patch16_224.augreg_in21k_ft_in1k\"\n",
    );
    let finished = run_offline(&sandbox, &["run", "mine.toml", "--json"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let document: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(document["experiments"][0]["model"]["revision"], COMMIT);
}

/// A hub on loopback with a small checkpoint of timm's.
fn site() -> Site {
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fixtures/backbone/plain");
    let read = |name: &'static str| (name, fs_err::read(fixture.join(name)).unwrap());
    Site {
        files: [read("config.json"), read("model.safetensors")].into(),
        ..Site::new()
    }
}

/// The program with that hub, and the sandbox's folder `hub` for its cache.
fn command_online(sandbox: &Sandbox, server: &Server, arguments: &[&str]) -> Command {
    let mut command = sandbox.command(arguments);
    command.env("HF_HUB_CACHE", sandbox.path("hub"));
    command.env("HF_ENDPOINT", &server.url);
    command.env_remove("HF_HUB_OFFLINE");
    command
}

#[test]
fn a_checkpoint_is_fetched_once_and_needs_no_network_then() {
    let (sandbox, server) = (Sandbox::new(), site().start());
    let run = |arguments: &[&str]| sandbox.finish(command_online(&sandbox, &server, arguments));
    let fetched = run(&["models", "fetch", "timm", "hf-hub:org/name"]);
    assert_run!(fetched, @"
    exit code: Some(0)
    --- stdout
    [DIR]/hub/models--org--name/snapshots/0123456789abcdef0123456789abcdef01234567/model.safetensors
    --- stderr
    org/name at 0123456789abcdef0123456789abcdef01234567
    ");
    let n_requests = server.lines().len();
    assert!(n_requests > 0);

    let checked = run(&["models", "check", "timm", "hf-hub:org/name", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(document["repo"], "org/name");
    assert_eq!(document["revision"], COMMIT);
    assert_eq!(document["verified"], true);

    draw_data(&sandbox);
    sandbox.write(
        "mine.toml",
        "[data]\nroot = \"data\"\n\n[model]\norg = \"timm\"\nckpt = \"hf-hub:org/name\"\n",
    );
    let finished = run(&["run", "mine.toml", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(document["experiments"][0]["model"]["repo"], "org/name");
    assert_eq!(document["experiments"][0]["model"]["revision"], COMMIT);
    assert_eq!(server.lines().len(), n_requests, "{:?}", server.lines());
}

#[test]
fn what_the_hub_refuses_is_said_before_anything_is_evaluated() {
    let sandbox = Sandbox::new();
    let server = Site {
        token: Some("secret"),
        ..site()
    }
    .start();
    draw_data(&sandbox);
    sandbox.write(
        "mine.toml",
        "[data]\nroot = \"data\"\n\n[[models]]\norg = \"random\"\nckpt = \"vit_tiny_patch16_224\"\n\n\
         [[models]]\norg = \"timm\"\nckpt = \"hf-hub:org/name\"\n",
    );
    let run = |token: Option<&str>| {
        let mut command = command_online(&sandbox, &server, &["run", "mine.toml"]);
        if let Some(token) = token {
            command.env("HF_TOKEN", token);
        }
        let mut finished = sandbox.finish(command);
        finished.stderr = finished.stderr.replace(&server.url, "[HUB]");
        finished
    };
    assert_run!(run(None), @"
    exit code: Some(1)
    --- stdout
    --- stderr
    error: org/name: the hub answered 401, and no token is set
    hint: if the name is right, accept the licence at `[HUB]/org/name` and set `HF_TOKEN`
    ");
    assert_run!(run(Some("other")), @"
    exit code: Some(1)
    --- stdout
    --- stderr
    error: org/name: the hub answered 401, the token was refused or lacks access
    hint: check at `[HUB]/org/name` that the account of `HF_TOKEN` has access
    ");
    let finished = run(Some("secret"));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

#[test]
fn an_interrupted_download_ends_at_once_and_goes_on_later() {
    let sandbox = Sandbox::new();
    let slow = site();
    // Half of the weights, then silence.
    let server = Server::start(move |request| {
        let mut reply = slow.answer(request);
        let is_file = request.method == "GET" && reply.status == 200;
        if is_file && request.target.ends_with("model.safetensors") {
            reply.cut = Some(reply.body.len() / 2);
            reply.silence = Duration::from_hours(1);
        }
        reply
    });
    let arguments = ["models", "fetch", "timm", "hf-hub:org/name"];
    let mut command = command_online(&sandbox, &server, &arguments);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    let is_half_there = || {
        let blobs = sandbox.path(&format!("hub/{}/blobs", "models--org--name"));
        let partial = |entry: std::fs::DirEntry| {
            entry
                .path()
                .extension()
                .is_some_and(|end| end == "incomplete")
                && entry.metadata().is_ok_and(|metadata| metadata.len() > 1000)
        };
        blobs
            .read_dir()
            .is_ok_and(|entries| entries.flatten().any(partial))
    };
    wait_until("half of the weights are here", is_half_there);
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("error: stopped by Ctrl-C"), "{stderr}");
    // Had it waited for the server, it would have said that no answer came.
    assert!(!stderr.contains("next try"), "{stderr}");

    let server = site().start();
    let finished = sandbox.finish(command_online(&sandbox, &server, &arguments));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

#[test]
fn a_pickle_in_the_cache_says_nothing_of_what_the_hub_has() {
    let sandbox = Sandbox::new();
    put_checkpoint(&sandbox, &format!("hub/{REPO}/snapshots/{COMMIT}"));
    sandbox.write(&format!("hub/{REPO}/refs/main"), COMMIT);
    let snapshot = sandbox.path(&format!("hub/{REPO}/snapshots/{COMMIT}"));
    fs_err::rename(
        snapshot.join("model.safetensors"),
        snapshot.join("pytorch_model.bin"),
    )
    .unwrap();
    let arguments = [
        "models",
        "check",
        "timm",
        "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    ];
    assert_run!(run_offline(&sandbox, &arguments), @"
    exit code: Some(1)
    --- stdout
    --- stderr
    error: timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k model.safetensors: not in the cache `[DIR]/hub`, and the hub is not asked in offline mode
    hint: `newt-pipe models fetch ORG CKPT` with a network, and without `--offline` and `HF_HUB_OFFLINE`, brings it into the hub's cache; what another machine has fetched can be copied into `[DIR]/hub`
    ");
}

#[test]
fn a_plan_fetches_nothing_and_says_so() {
    let sandbox = sandbox();
    sandbox.write(
        "mine.toml",
        "[data]\nsynth = true\n[model]\norg = \"timm\"\nckpt = \"resnet50.a1_in1k\"\n",
    );
    let planned = run_offline(&sandbox, &["plan", "mine.toml"]);
    assert_run!(
        planned,
        @"
    exit code: Some(0)
    --- stdout
    timm/resnet50.a1_in1k, n_train all, probe biobench
      labels     runs               never made before
      sample     runs               never made before
      features   runs               the model's checkpoint is to be fetched first
      probes     waits              until stage `features` has run
      report     waits              until stage `features` has run
      bootstrap  waits              until stage `features` has run
    --- stderr
    ");
    let checked = run_offline(&sandbox, &["run", "mine.toml", "--check"]);
    assert_eq!(checked.code, Some(4));
}

#[test]
fn a_checkpoint_that_is_not_here_is_not_fetched_offline() {
    let sandbox = Sandbox::new();
    assert_run!(
        run_offline(&sandbox, &["models", "check", "open-clip", "ViT-B-16/openai"]),
        @"
    exit code: Some(1)
    --- stdout
    --- stderr
    warning: `ViT-B-16/openai` was trained with QuickGELU and runs with GELU, as in open_clip; its `-quickgelu` architecture has the other
    error: timm/vit_base_patch16_clip_224.openai: not in the cache `[DIR]/hub`, and the hub is not asked in offline mode
    hint: `newt-pipe models fetch ORG CKPT` with a network, and without `--offline` and `HF_HUB_OFFLINE`, brings it into the hub's cache; what another machine has fetched can be copied into `[DIR]/hub`
    "
    );
}

#[test]
fn a_look_at_a_checkpoint_says_what_it_is() {
    assert_run!(
        sandbox()
            .run(&["models", "check", "timm", "local-dir:weights"]),
        @"
    exit code: Some(0)
    --- stdout
    model          timm/local-dir:weights
    architecture   vit_tiny_patch16_224
    features       32
    pooling        auto (= cls, head); it also has mean, max
    parameters     32,224
    images         32 × 32: resized shorter side to 35 (bicubic), centre cut out, mean 0.5 0.5 0.5, std 0.5 0.5 0.5
    weights        weights/model.safetensors
    device         cpu, f32
    load [TIME]
    forward [TIME] for 2 images
    --- stderr
    "
    );
}

/// Of the two files that may describe images, the hub is asked for the one only where the cache lacks the other.
#[test]
fn a_checkpoint_of_transformers_in_the_cache_needs_no_network() {
    let (sandbox, server) = (Sandbox::new(), Site::new().start());
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fixtures/families");
    for name in [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ] {
        let bytes = fs_err::read(fixture.join("hf_vit").join(name)).unwrap();
        sandbox.write(
            &format!("hub/models--org--name/snapshots/{COMMIT}/{name}"),
            bytes,
        );
    }
    sandbox.write("hub/models--org--name/refs/main", COMMIT);
    let arguments = [
        "models",
        "check",
        "transformers",
        "hf-hub:org/name",
        "--json",
    ];
    let checked = sandbox.finish(command_online(&sandbox, &server, &arguments));
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(server.lines().is_empty());
}

#[test]
fn a_look_at_a_checkpoint_as_json() {
    let document = sandbox().json(&["models", "check", "timm", "local-dir:weights"]);
    assert_eq!(document["dim"], 32);
    assert_eq!(
        document["preprocessing"]["size"],
        serde_json::json!([32, 32])
    );
    assert_eq!(document["problem"], serde_json::Value::Null);
    assert!(document["parameters"].as_u64().unwrap() > 20_000);
}

#[test]
fn a_flipped_bit_of_a_file_from_the_hub_is_found() {
    let sandbox = Sandbox::new();
    let snapshot = format!("hub/{REPO}/snapshots/{COMMIT}");
    put_checkpoint(&sandbox, &snapshot);
    sandbox.write(&format!("hub/{REPO}/refs/main"), COMMIT);
    // As the hub's client lays it down: a link to a file that has its SHA-256 for a name.
    let link = sandbox.path(&format!("{snapshot}/model.safetensors"));
    let mut bytes = fs_err::read(&link).unwrap();
    let digest = {
        use sha2::{Digest, Sha256};
        format!("{:x}", Sha256::digest(&bytes))
    };
    let last = bytes.len() - 1;
    bytes[last - 2] ^= 1;
    sandbox.write(&format!("hub/{REPO}/blobs/{digest}"), &bytes);
    fs_err::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(format!("../../blobs/{digest}"), &link).unwrap();
    let arguments = [
        "models",
        "check",
        "timm",
        "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    ];
    let finished = run_offline(&sandbox, &arguments);
    assert_eq!(finished.code, Some(3));
    assert!(
        finished.stderr.contains("has SHA-256"),
        "{}",
        finished.stderr
    );
    assert!(finished.stderr.contains(&digest), "{}", finished.stderr);
    bytes[last - 2] ^= 1;
    sandbox.write(&format!("hub/{REPO}/blobs/{digest}"), &bytes);
    let finished = run_offline(&sandbox, &arguments);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout.contains("verified"), "{}", finished.stdout);
}

#[test]
fn a_flipped_bit_that_makes_a_number_infinite_is_found() {
    // The highest bit of the exponent of a number between 1 and 2 is the only one of it that is not set.
    let flipped = |mut bytes: Vec<u8>| {
        let header = u64::from_le_bytes(*bytes.first_chunk().unwrap());
        let data = 8 + usize::try_from(header).unwrap();
        let at = (data..bytes.len() - 4)
            .step_by(4)
            .find(|&at| bytes[at + 3] == 0x3f && bytes[at + 2] >= 0x80)
            .unwrap();
        bytes[at + 3] ^= 0x40;
        bytes
    };
    assert_run!(
        check_changed(flipped),
        @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: weights/model.safetensors: tensor `blocks.0.norm1.weight` holds NaN at [0], expected finite numbers
    hint: the weights are damaged: copy or download the file again
    ");
}

#[test]
fn a_renamed_tensor_is_missed() {
    let renamed = |bytes| replace(bytes, "blocks.1.norm2.weight", "blocks.1.nrom2.weight");
    assert_run!(
        check_changed(renamed),
        @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: weights/model.safetensors: tensor `blocks.1.norm2.weight` is missing, backbone `vit_tiny_patch16_224` needs it with shape [32]
    hint: use weights and `config.json` of one and the same checkpoint
    ");
}

#[test]
fn a_swapped_shape_is_named_with_both_shapes() {
    let swapped = |bytes: Vec<u8>| {
        let at = find(&bytes, "\"blocks.0.attn.qkv.weight\"");
        let shape = at + find(&bytes[at..], "[96,32]");
        let mut bytes = bytes;
        bytes[shape..shape + 7].copy_from_slice(b"[32,96]");
        bytes
    };
    assert_run!(
        check_changed(swapped),
        @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: weights/model.safetensors: tensor `blocks.0.attn.qkv.weight` has shape [32, 96], backbone `vit_tiny_patch16_224` needs [96, 32]
    hint: use weights and `config.json` of one and the same checkpoint
    ");
}

#[test]
fn a_header_of_2_to_the_60_bytes_is_refused() {
    let lying = |mut bytes: Vec<u8>| {
        bytes[..8].copy_from_slice(&(1_u64 << 60).to_le_bytes());
        bytes
    };
    assert_run!(
        check_changed(lying),
        @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: weights/model.safetensors: no safetensors file: its first 8 bytes announce a header of 1,152,921,504,606,846,976 bytes, at most 100,000,000 are allowed
    hint: copy or download the file again
    ");
}

#[test]
fn a_module_runs_only_where_code_is_allowed() {
    let sandbox = Sandbox::new();
    sandbox.write("vjepa.pt", "");
    assert_run!(
        sandbox.run(&["models", "check", "torchscript", "vjepa.pt"]),
        @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: vjepa.pt: a TorchScript module runs its author's code, and `allow_code` is not set
    hint: if you trust it, write `allow_code = true` beside `ckpt` in the pipeline file, or give `models check` the flag `--allow-code`
    "
    );
    sandbox.write(
        "vjepa.toml",
        "dim = 0\nsize = 224\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n",
    );
    assert_run!(
        sandbox
            .run(&["models", "check", "torchscript", "vjepa.pt", "--allow-code"]),
        @r#"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: vjepa.toml: `dim` is `0`, expected a number from 1 to 65,536
    hint: write it so, with the numbers of the module:
      dim = 1024                     # features per image
      size = 224                     # side of an image in pixels, or [height, width]
      mean = [0.485, 0.456, 0.406]
      std = [0.229, 0.224, 0.225]
      resize = 224                   # before the centre is cut out; `size` if left out
      mode = "shortest"              # or "squash"
      interpolation = "bicubic"      # or "bilinear"
    "#
    );
}

#[test]
fn names_that_are_none_are_refused_with_their_neighbours() {
    let sandbox = Sandbox::new();
    let check =
        |org: &str, ckpt: &str| run_offline(&sandbox, &["models", "check", org, ckpt]).snapshot();
    assert_snapshot!(check("dinov2", "dinov2_vitb15"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: `model.ckpt`: DINOv2 has no checkpoint `dinov2_vitb15`
    hint: did you mean `dinov2_vitb14`?
    ");
    assert_snapshot!(check("open-clip", "ViT-B-16/opnai"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: `model.ckpt`: open_clip has no checkpoint `ViT-B-16/opnai`
    hint: did you mean `ViT-B-16/openai`?
    ");
    assert_snapshot!(check("transformers", "../../not/here"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: model repository `../../not/here`: 4 parts, expected `org/name` or `org/name@revision`
    hint: take the name from the model's page, as in `timm/vit_base_patch16_224.dino`
    ");
}

#[test]
fn names_of_timm_s_mean_what_they_mean_to_timm() {
    let sandbox = Sandbox::new();
    let check = |ckpt: &str| run_offline(&sandbox, &["models", "check", "timm", ckpt]).snapshot();
    assert_snapshot!(check("vit_base_patch16_224_in21k"), @"
    exit code: Some(1)
    --- stdout
    --- stderr
    warning: `vit_base_patch16_224_in21k` is a former name of timm's, taken as `vit_base_patch16_224.augreg_in21k`
    error: timm/vit_base_patch16_224.augreg_in21k: not in the cache `[DIR]/hub`, and the hub is not asked in offline mode
    hint: `newt-pipe models fetch ORG CKPT` with a network, and without `--offline` and `HF_HUB_OFFLINE`, brings it into the hub's cache; what another machine has fetched can be copied into `[DIR]/hub`
    ");
    assert_eq!(
        check("hf_hub:timm/vit_tiny_patch16_224.dino"),
        check("hf-hub:timm/vit_tiny_patch16_224.dino")
    );
    assert_snapshot!(check("beit_base_patch16_224"), @r#"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: `model.ckpt`: architecture `beit_base_patch16_224` is one of timm's that is not written here
    hint: `newt-pipe models ls --architectures` lists the networks that are written here; for others trace the network in Python, `torch.jit.trace(model.eval(), torch.zeros(4, 3, 224, 224)).save("model.pt")`, and use `org = "torchscript"`, or extract its features there and use `org = "precomputed"`
    "#);
    assert_snapshot!(check("timm/vit_tiny_patch16_224"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: `model.ckpt`: `timm/vit_tiny_patch16_224` is a path, or a repository's name, expected a checkpoint's name
    hint: write `hf-hub:timm/vit_tiny_patch16_224` for the repository on the hub, or `local-dir:timm/vit_tiny_patch16_224` for a folder
    ");
}

#[test]
fn a_path_without_its_prefix_comes_with_the_name_that_works() {
    let sandbox = sandbox();
    put_checkpoint(&sandbox, "my/weights");
    for ckpt in [
        "weights",
        "my/weights",
        "./weights",
        "weights/model.safetensors",
    ] {
        for org in ["timm", "open-clip", "transformers", "dinov2"] {
            let finished = run_offline(&sandbox, &["models", "check", org, ckpt]);
            let is_one_word = org == "transformers" && ckpt == "weights";
            if !is_one_word {
                let hint = finished
                    .stderr
                    .split("hint: write `")
                    .nth(1)
                    .unwrap_or_default();
                let dir = ckpt.trim_end_matches("/model.safetensors");
                assert!(
                    hint.starts_with(&format!("local-dir:{dir}`")),
                    "{org} {ckpt}: {}",
                    finished.stderr
                );
            }
        }
    }
    let finished = run_offline(
        &sandbox,
        &["models", "check", "timm", "local-dir:my/weights"],
    );
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}
