//! Checkpoints that cannot be used, and one that can.

use std::path::Path;

use insta::assert_snapshot;

use crate::assert_run;
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
    error: weights/model.safetensors: cut short: 65,970 bytes, 131,940 by its header
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
    error: weights/model.safetensors: no safetensors file: its first 8 bytes announce a header of 1,152,921,504,606,846,976 bytes, at most 100,000,000 are allowed
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
    hint: `newt-pipe models fetch ORG CKPT` with a network, and without `--offline` and `HF_HUB_OFFLINE`, brings it into the hub's cache; what another machine has fetched can be copied into `[DIR]/home/.cache/huggingface/hub`
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

/// Puts a checkpoint that is not as its library saves it into `weights`, and looks at it.
fn check_adapted(variant: &str, change: impl Fn(&Sandbox)) -> Finished {
    let sandbox = Sandbox::new();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fixtures/adapted");
    for entry in fs_err::read_dir(fixture.join(variant)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        sandbox.write(&format!("weights/{name}"), fs_err::read(&path).unwrap());
    }
    change(&sandbox);
    sandbox.run(&["models", "check", "timm", "local-dir:weights", "--json"])
}

#[test]
fn what_is_done_to_make_a_checkpoint_fit_is_said() {
    let checked = check_adapted("timm_wrapped", |sandbox| {
        sandbox.write("weights/epoch_31.safetensors", "");
    });
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert_snapshot!(checked.stderr, @"
    warning: weights: timm passes over `model_type`, `best_loss`, `schedule` of `config.json`
    warning: weights: `epoch_30.safetensors` is taken, the first of 2 safetensors files here
    warning: weights/epoch_30.safetensors: `_orig_mod.module.` is left out at the beginning of tensors' names
    ");
    let checked = check_adapted("timm_larger_grid", |_| {});
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert_snapshot!(checked.stderr, @"warning: weights/model.safetensors: positions of 4 × 4 patches are resized to 6 × 4");
}

#[test]
fn a_run_says_it_once_when_features_are_extracted() {
    let sandbox = sandbox();
    let config = fs_err::read_to_string(sandbox.path("weights/config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["model_args"]["img_size"] = 64.into();
    config["pretrained_cfg"]["input_size"] = serde_json::json!([3, 64, 64]);
    sandbox.write("weights/config.json", config.to_string());
    let said = |finished: &Finished| {
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        finished.stderr.matches("patches are resized to").count()
    };
    assert_eq!(said(&sandbox.run(&["run", "mine.toml"])), 1);
    assert_eq!(said(&sandbox.run(&["run", "mine.toml"])), 0);
}

/// 24 positions of patches beside a `config.json` that wants 16 of them, and what comes of these settings.
fn check_oblong(img_size: [usize; 2]) -> Finished {
    check_adapted("timm_dynamic", |sandbox| {
        let [height, width] = img_size;
        let config = fs_err::read_to_string(sandbox.path("weights/config.json")).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
        config["model_args"]["dynamic_img_size"] = false.into();
        config["model_args"]["img_size"] = serde_json::json!(img_size);
        config["pretrained_cfg"]["input_size"] = serde_json::json!([3, height, width]);
        sandbox.write("weights/config.json", config.to_string());
    })
}

#[test]
fn positions_that_form_no_square_are_refused_with_a_way_out() {
    assert_run!(
        check_oblong([16, 16]),
        @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: weights/model.safetensors: positions of 24 patches, of which no square can be made, the network has 4 × 4 patches
    hint: write the size of the images that these positions were learned for into the file beside the weights: `model_args.img_size` and `pretrained_cfg.input_size` in timm's, `vision_cfg.image_size` in open_clip's
    "
    );
    assert_run!(
        check_oblong([20, 20]),
        @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: weights/model.safetensors: tensor `pos_embed` has positions of 5 × 5 patches and none of the class token, expected 26 positions
    hint: use weights and `config.json` of one and the same checkpoint
    "
    );
    let checked = check_oblong([16, 24]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
}

#[test]
fn positions_are_not_resized_beyond_what_memory_holds() {
    // 256 × 256 patches of a token of 65,536 values are 17 GB.
    let checked = check_adapted("timm_larger_grid", |sandbox| {
        let tensor = |name: &str, shape: &str, [from, to]: [usize; 2]| {
            format!(r#""{name}":{{"dtype":"F16","shape":{shape},"data_offsets":[{from},{to}]}}"#)
        };
        let row = 2 * 65_536;
        let header = [
            tensor("cls_token", "[1,1,65536]", [0, row]),
            tensor("patch_embed.proj.bias", "[65536]", [row, 2 * row]),
            tensor(
                "patch_embed.proj.weight",
                "[65536,3,1,1]",
                [2 * row, 5 * row],
            ),
            tensor("pos_embed", "[1,2,65536]", [5 * row, 7 * row]),
        ]
        .join(",");
        let header = format!("{{{header}}}");
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.into_bytes());
        bytes.resize(bytes.len() + 7 * row, 0);
        sandbox.write("weights/model.safetensors", bytes);
        let config = serde_json::json!({
            "architecture": "vit_tiny_patch16_224",
            "model_args": { "embed_dim": 65_536, "num_heads": 2, "patch_size": 1, "img_size": 256 },
            "pretrained_cfg": { "input_size": [3, 256, 256] },
        });
        sandbox.write("weights/config.json", config.to_string());
    });
    assert_run!(checked, @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: weights/model.safetensors: tensor `pos_embed` has shape [1, 2, 65536], backbone `vit_tiny_patch16_224` needs [1, 65537, 65536]
    hint: use weights and `config.json` of one and the same checkpoint
    ");
}
