//! Known checkpoints, the cache of the hub, and what a look at a checkpoint says.
#![cfg(feature = "torch")]

use insta::assert_snapshot;

use crate::assert_run;
use crate::sandbox::{Finished, Sandbox, draw_data, put_checkpoint};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
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
    org        ckpt                                                  px     parameters  accuracy  status
    open-clip  hf-hub:imageomics/bioclip-2.5-vith14                 224    632,076,800    0.9022  on the hub
    open-clip  PE-Core-bigG-14-448/meta                             448  1,882,033,920    0.8950  on the hub
    open-clip  hf-hub:imageomics/bioclip-2                          224    303,966,208    0.8913  on the hub
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
    assert_snapshot!(here.join("\n"), @"timm       vit_base_patch16_224.augreg2_in21k_ft_in1k           224     86,567,656    0.8174  here");
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
      features   runs               its checkpoint is to be fetched first
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
    hint: run `newt-pipe models fetch` on a machine with network and the same `HF_HOME`
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
    parameters     32,224
    images         32 × 32: resized shorter side to 35 (bicubic), centre cut out, mean 0.5 0.5 0.5, std 0.5 0.5 0.5
    weights        weights/model.safetensors
    device         cpu, f32
    load           [TIME]
    forward        [TIME] for 2 images
    --- stderr
    "
    );
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
    error: weights/model.safetensors: header of 1152921504606846976 bytes announced in a file of 131940
    hint: copy or download the file again
    ");
}

#[test]
fn a_module_runs_only_where_code_is_allowed() {
    let sandbox = Sandbox::new();
    assert_run!(
        sandbox.run(&["models", "check", "torchscript", "vjepa.pt"]),
        @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: vjepa.pt: a TorchScript module is code of its author's, which nothing allows to run
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
        @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: vjepa.toml: `dim` is `0`, expected a number from 1 to 65,536
    hint: take `config.json` as the checkpoint's publisher wrote it
    "
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
    hint: did you mean `dinov2_vitb14`, `dinov2_vits14` or `dinov2_vitl14`?
    ");
    assert_snapshot!(check("open-clip", "ViT-B-16/opnai"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: `model.ckpt`: open_clip has no checkpoint `ViT-B-16/opnai`
    hint: did you mean `ViT-B-16/openai`, `ViT-B-32/openai` or `ViT-L-14/openai`?
    ");
    assert_snapshot!(check("transformers", "../../etc/passwd"), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: model repository `../../etc/passwd`: 4 parts, expected `org/name` or `org/name@revision`
    hint: take the name from the model's page, as in `timm/vit_base_patch16_224.dino`
    ");
}
