//! What is read in a `config.json` of timm's, and what is refused.

use serde_json::json;

use crate::backbone::checkpoint::json;
use crate::backbone::families::NetworkConfig;
use crate::backbone::families::vit::{
    FinalNorm, Positions, PrefixPositions, Resample, TokenPool, VitConfig,
};
use crate::backbone::orgs::timm::*;
use crate::hub::{Hub, Settings};
use crate::image::{Interpolation, TimmCrop};
use crate::interrupt::Interrupt;
use crate::progress::Silent;

fn read(config: &Value) -> Result<Config, Error> {
    read_text(config.to_string().as_bytes())
}

fn read_text(config: &[u8]) -> Result<Config, Error> {
    let path = Path::new("config.json");
    parse(json::parse(config, path)?, path)
}

fn message(config: &Value) -> String {
    read(config).unwrap_err().to_string()
}

fn vit(config: &Config) -> &VitConfig {
    match &config.networks.auto {
        NetworkConfig::Vit(vit) => vit,
        network => panic!("{network:?}"),
    }
}

/// As timm writes it for one of its own checkpoints.
fn published() -> Value {
    json!({
        "architecture": "vit_base_patch16_224",
        "num_classes": 1000,
        "num_features": 768,
        "global_pool": "token",
        "pretrained_cfg": {
            "tag": "augreg2_in21k_ft_in1k",
            "custom_load": false,
            "input_size": [3, 224, 224],
            "fixed_input_size": true,
            "interpolation": "bicubic",
            "crop_pct": 0.9,
            "crop_mode": "center",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "num_classes": 1000,
            "pool_size": null,
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        },
    })
}

fn with_args(args: Value) -> Value {
    let mut config = published();
    config["model_args"] = args;
    config
}

#[test]
fn published_config_is_the_catalog_s_row() {
    let config = read(&published()).unwrap();
    let row = architectures::find("vit_base_patch16_224").unwrap();
    assert_eq!(
        config.networks.auto,
        row.model.network([224, 224], Output::Tokens)
    );
    assert_eq!(config.preprocessing, row.data.preprocessing());
}

#[test]
fn bare_architecture_stands_for_timm_s_first_checkpoint() {
    let lookup = Lookup {
        base_dir: Path::new(""),
        hub: &Hub::new(Settings::default(), Interrupt::default()),
        progress: &Silent,
        allow_code: false,
        update: false,
    };
    let repository = |name: &str| repository(name, lookup);
    let unknown = repository("resnet51.a1_in1k").unwrap_err();
    let repository = |name: &str| repository(name).unwrap();
    assert_eq!(repository("resnet50.a1_in1k"), "timm/resnet50.a1_in1k");
    assert_eq!(
        repository("vit_pe_spatial_tiny_patch16_512"),
        "timm/vit_pe_spatial_tiny_patch16_512.fb"
    );
    assert_eq!(
        unknown.to_string(),
        "`model.ckpt`: unknown architecture `resnet51`"
    );
}

#[test]
fn flat_config_is_read_as_a_nested_one() {
    let mut flat = published()["pretrained_cfg"].clone();
    flat["architecture"] = json!("vit_base_patch16_224");
    flat["num_features"] = json!(768);
    flat["labels"] = json!(["cat", "dog"]);
    assert_eq!(read(&flat).unwrap(), read(&published()).unwrap());
}

#[test]
fn missing_preprocessing_is_timm_s_default() {
    let config = read(&json!({ "architecture": "vit_tiny_patch16_224" })).unwrap();
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let default = Preprocessing::timm(
        [224, 224],
        0.875,
        TimmCrop::Center,
        Interpolation::Bicubic,
        mean,
        std,
    );
    assert_eq!(config.preprocessing, default);
}

#[test]
fn input_size_decides_the_positions() {
    let mut config = published();
    config["pretrained_cfg"]["input_size"] = json!([3, 384, 384]);
    config["pretrained_cfg"]["crop_pct"] = json!(1.0);
    let config = read(&config).unwrap();
    assert_eq!(vit(&config).img_size, [384, 384]);
    assert_eq!(vit(&config).grid(), [24, 24]);
    assert_eq!(config.preprocessing.size, [384, 384]);
}

#[test]
fn img_size_overrules_input_size() {
    let config = read(&with_args(json!({ "img_size": [192, 256] }))).unwrap();
    assert_eq!(vit(&config).grid(), [12, 16]);
    assert_eq!(config.preprocessing.size, [192, 256]);
}

#[test]
fn arguments_overrule_the_architecture() {
    let config = read(&with_args(json!({
        "patch_size": 32,
        "embed_dim": 96,
        "depth": 3,
        "num_heads": 4,
        "mlp_ratio": 2.5,
        "qkv_bias": false,
        "init_values": 1e-5,
        "reg_tokens": 4,
        "no_embed_class": true,
        "drop_path_rate": 0.1,
        "act_layer": "gelu",
        "norm_layer": null,
    })))
    .unwrap();
    let vit = vit(&config);
    assert_eq!(
        (vit.patch_size, vit.embed_dim, vit.depth, vit.num_heads),
        (32, 96, 3, 4)
    );
    assert_eq!(
        (vit.mlp.hidden, vit.qkv_bias, vit.layer_scale),
        (240, false, true)
    );
    assert_eq!((vit.n_prefix_tokens(), vit.grid()), (5, [7, 7]));
    assert!(matches!(
        vit.positions,
        Some(Positions::Learned {
            prefix: PrefixPositions::None,
            ..
        })
    ));
}

#[test]
fn pooling_decides_norm_and_feature() {
    let pooled = |args: Value, pool: &str| {
        let mut config = with_args(args);
        config["global_pool"] = json!(pool);
        let vit = *vit(&read(&config).unwrap());
        (vit.final_norm, vit.pool)
    };
    assert_eq!(
        pooled(json!({ "global_pool": "avg" }), "avg"),
        (FinalNorm::None, TokenPool::First)
    );
    let args = json!({ "global_pool": "avg", "fc_norm": false, "class_token": false });
    assert_eq!(pooled(args, "avg"), (FinalNorm::Tokens, TokenPool::Max));
    let args = json!({ "global_pool": "max", "class_token": false, "reg_tokens": 1 });
    assert_eq!(pooled(args, "max"), (FinalNorm::None, TokenPool::First));
    let args = json!({ "final_norm": false });
    assert_eq!(pooled(args, "token").0, FinalNorm::None);
}

#[test]
fn unknown_architecture_is_named_with_its_neighbours() {
    let error = read(&json!({ "architecture": "vit_tiny_patch16_244" })).unwrap_err();
    assert_eq!(
        error.to_string(),
        "config.json: unknown architecture `vit_tiny_patch16_244`"
    );
    let hint = error.hint().unwrap();
    assert_eq!(hint, "did you mean `vit_tiny_patch16_224`?");
}

#[test]
fn other_networks_are_refused_by_argument() {
    let cases = [
        (
            json!({ "scale_attn_norm": true }),
            "`model_args.scale_attn_norm` is `true`, only `false` is supported",
        ),
        (
            json!({ "act_layer": "relu" }),
            "`model_args.act_layer` is `relu`, only `gelu`, `gelu_tanh` or `quick_gelu` is supported",
        ),
        (
            json!({ "in_chans": 1 }),
            "`model_args.in_chans` is `1`, only `3` is supported",
        ),
        (
            json!({ "norm_layer": "rmsnorm" }),
            "`model_args.norm_layer` is `rmsnorm`, only timm's default is supported",
        ),
        (
            json!({ "pos_embed": "none" }),
            "`model_args.pos_embed` is `none`, only `learn` is supported",
        ),
    ];
    for (args, expected) in cases {
        assert_eq!(
            message(&with_args(args)),
            format!("config.json: {expected}")
        );
    }
}

#[test]
fn unknown_key_is_refused_at_every_level() {
    let mut config = published();
    config["model_args"] = json!({ "rope": true });
    assert!(message(&config).starts_with("config.json: unknown key `model_args.rope`, "));
    let mut config = published();
    config["pretrained_cfg"]["gamma"] = json!(2.2);
    assert!(message(&config).starts_with("config.json: unknown key `pretrained_cfg.gamma`, "));
    let mut flat = published()["pretrained_cfg"].clone();
    flat["architecture"] = json!("vit_base_patch16_224");
    flat["model_type"] = json!("vit");
    assert!(message(&flat).starts_with("config.json: unknown key `model_type`, "));
}

#[test]
fn what_timm_does_not_read_is_passed_over_and_noted() {
    let notes = |changes: Value| {
        let mut config = published();
        config
            .as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        let read = read(&config).unwrap();
        assert_eq!(read.networks, self::read(&published()).unwrap().networks);
        read.notes
    };
    assert_eq!(notes(json!({})), [""; 0]);
    assert_eq!(
        notes(json!({ "model_type": "vit", "a\nb": 1 })),
        ["timm passes over `model_type`, `a\\nb` of `config.json`"]
    );
    assert_eq!(
        notes(json!({ "a": 1, "b": 2, "c": 3, "d": 4, "e": 5 })),
        ["timm passes over `a`, `b`, `c` and 2 more of `config.json`"]
    );
    assert_eq!(
        notes(json!({ "global_pool": "avg" })),
        [
            "`global_pool` at top level of `config.json` is `avg`, but timm goes by `model_args` and the architecture"
        ]
    );
}

#[test]
fn dynamic_network_keeps_positions_of_its_own_size() {
    let mut config = with_args(json!({ "dynamic_img_size": true }));
    config["pretrained_cfg"]["input_size"] = json!([3, 384, 384]);
    let config = read(&config).unwrap();
    assert_eq!(vit(&config).grid(), [24, 24]);
    assert_eq!(
        vit(&config).positions,
        Some(Positions::Learned {
            prefix: PrefixPositions::All,
            grid: [14, 14],
            resample: Resample::Bicubic { antialias: true },
        })
    );
}

#[test]
fn literals_of_python_are_no_numbers() {
    let config =
        br#"{"architecture": "vit_tiny_patch16_224", "pretrained_cfg": {"crop_pct": NaN}}"#;
    assert_eq!(
        read_text(config).unwrap_err().to_string(),
        "config.json: `pretrained_cfg.crop_pct` is `NaN`, expected a number from 0.05 to 4"
    );
}

#[test]
fn values_out_of_range_are_refused() {
    let cases = [
        (
            json!({ "depth": 0 }),
            "`model_args.depth` is `0`, expected a number from 1 to 65,536",
        ),
        (
            json!({ "embed_dim": 1_u64 << 60 }),
            "`model_args.embed_dim` is `1152921504606846976`, expected a number from 1 to 65,536",
        ),
        (
            json!({ "num_heads": 7 }),
            "`num_heads` is `7`, expected a divisor of the width, 768",
        ),
        (
            json!({ "patch_size": 256 }),
            "`patch_size` is `256`, expected no more than the image's 224 × 224",
        ),
        (
            json!({ "patch_size": [16, 8] }),
            "`model_args.patch_size` is `[16,8]`, expected a size in pixels",
        ),
        (
            json!({ "mlp_ratio": -1 }),
            "`model_args.mlp_ratio` is `-1`, expected a positive number",
        ),
        (
            json!({ "global_pool": "prr" }),
            "`model_args.global_pool` is `prr`, expected `token`, `avg`, `avgmax`, `max`, `map` or ``",
        ),
        (json!([1]), "`model_args` is `[1]`, expected an object"),
    ];
    for (args, expected) in cases {
        assert_eq!(
            message(&with_args(args)),
            format!("config.json: {expected}")
        );
    }
}

#[test]
fn contradictions_are_refused() {
    let mut config = published();
    config["pretrained_cfg"]["fixed_input_size"] = json!(false);
    config["pretrained_cfg"]["input_size"] = json!([3, 256, 256]);
    assert_eq!(
        message(&config),
        "config.json: `input_size` is `[3, 256, 256]`, expected [3, 224, 224], what the network takes"
    );
}

#[test]
fn broken_json_is_named_with_its_place() {
    let error = read_text(b"{\n  \"architecture\": ").unwrap_err();
    assert_eq!(
        error.to_string(),
        "config.json: EOF while parsing a value at line 2 column 18"
    );
    assert_eq!(
        message(&json!([])),
        "config.json: `` is `[]`, expected an object"
    );
    assert_eq!(
        message(&json!({})),
        "config.json: `architecture` is missing, expected a name"
    );
}
