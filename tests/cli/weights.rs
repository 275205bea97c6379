//! Checkpoints that cannot be used, and one that can.

use crate::sandbox::{Finished, Sandbox, draw_data, put_checkpoint};

/// A small checkpoint that timm made, and what a run on it says once `change` has been at it.
fn run(change: impl Fn(Vec<u8>) -> Vec<u8>) -> Finished {
    let sandbox = sandbox();
    let weights = sandbox.path("weights/model.safetensors");
    sandbox.write(
        "weights/model.safetensors",
        change(fs_err::read(weights).unwrap()),
    );
    sandbox.run(&["run", "mine.toml"])
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    put_checkpoint(&sandbox, "weights");
    draw_data(&sandbox);
    sandbox.write(
        "mine.toml",
        "[data]\nroot = \"data\"\n\n[model]\norg = \"timm\"\nckpt = \"local-dir:weights\"\n",
    );
    sandbox
}

fn replace(mut bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes
        .windows(from.len())
        .position(|window| window == from.as_bytes())
        .unwrap();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

#[test]
fn a_whole_checkpoint_is_evaluated_and_not_loaded_again_for_another_probe() {
    let sandbox = sandbox();
    let first = sandbox.json(&["run", "mine.toml"]);
    assert_eq!(first["experiments"][0]["stages"][2]["images_extracted"], 8);
    let second = sandbox.json(&["run", "mine.toml", "--set", "probe.c=0.1"]);
    assert_eq!(second["experiments"][0]["stages"][2]["images_extracted"], 0);
    let forced = sandbox.json(&["run", "mine.toml", "--force", "features"]);
    assert_eq!(forced["experiments"][0]["stages"][2]["images_extracted"], 8);
    assert_eq!(forced["experiments"][0]["stages"][3]["status"], "cached");
}

#[test]
fn exported_features_of_a_network_are_those_it_was_evaluated_with() {
    let sandbox = sandbox();
    let network = sandbox.json(&["run", "mine.toml"]);
    assert_eq!(
        sandbox.run(&["features", "export", "mine.toml"]).code,
        Some(0)
    );
    let precomputed = sandbox.json(&[
        "run",
        "mine.toml",
        "--set",
        "model.org=precomputed",
        "--set",
        "model.ckpt=features.safetensors",
    ]);
    let key = |document: &serde_json::Value| document["experiments"][0]["stages"][3]["key"].clone();
    assert_eq!(key(&network), key(&precomputed));
}

#[test]
fn a_renamed_tensor() {
    crate::assert_run!(run(|bytes| replace(bytes, "blocks.0.attn.qkv.weight", "blocks.0.attn.qkv.heavy!")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: weights/model.safetensors: tensor `blocks.0.attn.qkv.weight` is missing, backbone `vit_tiny_patch16_224` needs it with shape [96, 32]
    hint: use weights and `config.json` of one and the same checkpoint
    ");
}

#[test]
fn a_misshapen_tensor() {
    crate::assert_run!(run(|bytes| replace(bytes, "[96,32]", "[32,96]")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: weights/model.safetensors: tensor `blocks.0.attn.qkv.weight` has shape [32, 96], backbone `vit_tiny_patch16_224` needs [96, 32]
    hint: use weights and `config.json` of one and the same checkpoint
    ");
}

#[test]
fn a_nan() {
    crate::assert_run!(run(|mut bytes| {
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        bytes
    }), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: weights/model.safetensors: tensor `pos_embed` holds NaN at [0, 16, 31], expected finite numbers
    hint: the weights are damaged: copy or download the file again
    ");
}

#[test]
fn a_file_cut_short() {
    crate::assert_run!(run(|bytes| bytes[..bytes.len() / 2].to_vec()), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: weights/model.safetensors: 65970 bytes on disk, its header describes 131940
    hint: copy or download the file again
    ");
}

#[test]
fn a_header_of_2_to_the_60_bytes() {
    crate::assert_run!(run(|mut bytes| {
        bytes[..8].copy_from_slice(&(1_u64 << 60).to_le_bytes());
        bytes
    }), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: weights/model.safetensors: header of 1152921504606846976 bytes announced in a file of 131940
    hint: copy or download the file again
    ");
}

#[test]
fn a_folder_that_is_not_there() {
    crate::assert_run!(sandbox().run(&["run", "mine.toml", "--set", "model.ckpt=local-dir:none"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: failed to open file `none/config.json`: No such file or directory (os error 2)
    hint: `local-dir:` takes a folder with the files that the checkpoint's library publishes; it starts at the pipeline file's folder, on the command line at the working folder
    ");
}

#[test]
fn a_name_that_no_library_here_knows() {
    crate::assert_run!(sandbox().run(&["run", "mine.toml", "--set", "model.org=keras"]), @r#"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: `model.org` is `keras`, expected `timm`, `open-clip`, `dinov2`, `dinov3`, `aimv2`, `sam2`, `transformers`, `torchscript` or `random`
    hint: trace the network in Python, `torch.jit.trace(model.eval(), torch.zeros(4, 3, 224, 224)).save("model.pt")`, and use `org = "torchscript"`, or extract its features there and use `org = "precomputed"`
    "#);
    crate::assert_run!(sandbox().run(&["run", "mine.toml", "--set", "model.ckpt=vit_base_patch16_224"]), @"
    exit code: Some(1)
    --- stdout
    --- stderr
    error: timm/vit_base_patch16_224.augreg2_in21k_ft_in1k: not in the cache `[DIR]/home/.cache/huggingface/hub`, and the hub is not asked in offline mode
    hint: run `newt-pipe models fetch` on a machine with network, into the hub's cache `[DIR]/home/.cache/huggingface/hub`
    ");
    crate::assert_run!(
        sandbox().run(&["run", "mine.toml", "--set", "model.org=random", "--set", "model.ckpt=vit_tinny_patch16_224"]),
        @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: `model.ckpt`: unknown architecture `vit_tinny_patch16_224`
    hint: did you mean `vit_tiny_patch16_224`?
    "
    );
}
