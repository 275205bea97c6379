//! From the user's `org` and `ckpt` to a network, its preprocessing and its weights.

pub mod availability;

use crate::backbone::checkpoint::WAYS_OUT;
use crate::backbone::checkpoint::location::Lookup;
use crate::backbone::orgs::{architectures, biobench, open_clip, timm, torchscript, transformers};
use crate::backbone::pool::Pool;
use crate::backbone::spec::{BackboneSpec, Weights};
use crate::error::{Error, Message};
use crate::text::{did_you_mean, either, foreign};

/// How an org finds the backbone of a checkpoint.
type Find = fn(ckpt: &str, lookup: Lookup<'_>) -> Result<BackboneSpec, Error>;

/// The orgs, by name: whose checkpoints they are, or where features come from otherwise.
const ORGS: [(&str, Find); 9] = [
    ("timm", timm::resolve),
    ("open-clip", open_clip::resolve),
    ("dinov2", |ckpt, lookup| {
        biobench::DINOV2.resolve(ckpt, lookup)
    }),
    ("dinov3", |ckpt, lookup| {
        biobench::DINOV3.resolve(ckpt, lookup)
    }),
    ("aimv2", |ckpt, lookup| {
        biobench::AIMV2.resolve(ckpt, lookup)
    }),
    ("sam2", timm::resolve),
    ("transformers", transformers::resolve),
    ("torchscript", torchscript::resolve),
    ("random", |ckpt, _| random(ckpt)),
];

/// The org of features that somebody else extracted: no backbone's.
const PRECOMPUTED: &str = "precomputed";

/// Finds the backbone that `org` and `ckpt` name, whose features are pooled by `pool`, and fetches its files unless they
/// are here.
///
/// `ckpt` is a plain name, `hf-hub:OWNER/NAME` with `@REVISION` for another revision than `main`, or
/// `local-dir:PATH`.
///
/// | `org` | plain names | files |
/// | --- | --- | --- |
/// | `timm`, `sam2` | timm's | `config.json`, `model.safetensors`; a folder's may have any name |
/// | `open-clip` | `ARCHITECTURE/TAG` of `open_clip` | `open_clip_config.json`, `open_clip_model.safetensors`; a folder's may have any name |
/// | `dinov2`, `dinov3`, `aimv2` | those of `BioBench` | as of `transformers`; preprocessed as `BioBench` does |
/// | `transformers` | `OWNER/NAME` on the hub | `config.json`, `model.safetensors`, `processor_config.json` or `preprocessor_config.json` |
/// | `torchscript` | a path | the module, and a `.toml` of the same name |
/// | `random` | an architecture of [`crate::backbone::architectures`], then `.seed17` for another seed than 0 | none |
///
/// # Errors
/// Names what is unknown, unsupported or missing, such as a pooling that the backbone does not have; errors of the hub.
pub fn resolve(
    org: &str,
    ckpt: &str,
    pool: Pool,
    lookup: Lookup<'_>,
) -> Result<BackboneSpec, Error> {
    let Some((_, find)) = ORGS.iter().find(|(name, _)| *name == org) else {
        return Err(unknown(org, ckpt).into());
    };
    let spec = find(ckpt, lookup)?;
    Ok(spec.pooled(pool, &format!("{org}/{ckpt}"))?)
}

/// An org of no backbone.
fn unknown(org: &str, ckpt: &str) -> Message {
    if org == "vjepa" {
        let ckpt = foreign(ckpt);
        return Message::request(format!(
            "`model.org` is `vjepa`: `{ckpt}` is published as a pickle, and is no network that is written here"
        ))
        .hint("trace the network in Python as `docs/torchscript.md` shows, and use `org = \"torchscript\"`");
    }
    let names = || ORGS.iter().map(|(name, _)| *name);
    let hint = if org == PRECOMPUTED {
        "`newt-pipe run` reads features from a file; `models check` takes networks only".to_owned()
    } else {
        did_you_mean(org, names().chain([PRECOMPUTED])).unwrap_or_else(|| WAYS_OUT.to_owned())
    };
    let (org, expected) = (foreign(org), either(names()));
    Message::request(format!("`model.org` is `{org}`, expected {expected}")).hint(hint)
}

/// An architecture with weights that are drawn.
fn random(ckpt: &str) -> Result<BackboneSpec, Error> {
    let (name, tag) = ckpt
        .split_once('.')
        .map_or((ckpt, None), |(name, tag)| (name, Some(tag)));
    let architecture = architectures::require(name, "`model.ckpt`")?;
    let seed = match tag {
        None => 0,
        Some(tag) => tag
            .strip_prefix("seed")
            .and_then(|seed| seed.parse().ok())
            .ok_or_else(|| {
                let (name, tag) = (foreign(name), foreign(tag));
                Message::request(format!(
                    "`model.ckpt`: tag `{tag}` of `{name}`, expected `seed` and a number"
                ))
                .hint(format!("for example `{name}.seed17`"))
            })?,
    };
    let preprocessing = architecture.data.preprocessing();
    Ok(BackboneSpec::new(
        architecture.name.to_owned(),
        architecture.model.poolings(preprocessing.size),
        preprocessing,
        Weights::Random { seed },
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::hub::Hub;
    use crate::interrupt::Interrupt;

    fn find(org: &str, ckpt: &str, base_dir: &Path) -> Result<BackboneSpec, Error> {
        let hub = Hub::new(crate::hub::Settings::default(), Interrupt::default());
        let lookup = Lookup {
            base_dir,
            hub: &hub,
            progress: &crate::progress::Silent,
            allow_code: false,
            update: false,
        };
        resolve(org, ckpt, Pool::Auto, lookup)
    }

    fn refused(org: &str, ckpt: &str, base_dir: &Path) -> (String, Option<String>) {
        let error = find(org, ckpt, base_dir).unwrap_err();
        (error.to_string(), error.hint())
    }

    /// A folder whose files hold no more than is looked at.
    fn checkpoint(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in files {
            let text = if *name == "config.json" {
                r#"{"architecture": "vit_tiny_patch16_224"}"#
            } else {
                ""
            };
            fs_err::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn random_backbone_is_known_by_name_and_seed() {
        let resolve = |ckpt: &str| find("random", ckpt, Path::new("")).unwrap();
        let spec = resolve("vit_tiny_patch16_224");
        assert_eq!((spec.dim(), spec.weights_paths().len()), (192, 0));
        assert_eq!(spec.preprocessing().size, [224, 224]);
        assert_eq!(spec, resolve("vit_tiny_patch16_224.seed0"));
        let other = resolve("vit_tiny_patch16_224.seed17");
        assert_ne!(spec.canonical(), other.canonical());
        assert_eq!(other.canonical()["random"]["seed"], 17);
    }

    #[test]
    fn tag_that_is_no_seed_is_refused() {
        let (message, hint) = refused("random", "vit_tiny_patch16_224.augreg", Path::new(""));
        assert_eq!(
            message,
            "`model.ckpt`: tag `augreg` of `vit_tiny_patch16_224`, expected `seed` and a number"
        );
        assert_eq!(hint.unwrap(), "for example `vit_tiny_patch16_224.seed17`");
    }

    #[test]
    fn unknown_names_are_refused_with_what_would_do() {
        let (message, hint) = refused("openclip", "ViT-B-16/openai", Path::new(""));
        assert!(message.starts_with("`model.org` is `openclip`, expected `timm`, `open-clip`, "));
        assert_eq!(hint.unwrap(), "did you mean `open-clip`?");
        let (message, hint) = refused("open-clip", "ViT-B-16/opnai", Path::new(""));
        assert_eq!(
            message,
            "`model.ckpt`: open_clip has no checkpoint `ViT-B-16/opnai`"
        );
        assert_eq!(hint.unwrap(), "did you mean `ViT-B-16/openai`?");
        let (message, hint) = refused("dinov2", "dinov2_vitb15", Path::new(""));
        assert_eq!(
            message,
            "`model.ckpt`: DINOv2 has no checkpoint `dinov2_vitb15`"
        );
        assert_eq!(hint.unwrap(), "did you mean `dinov2_vitb14`?");
        let (message, _) = refused("random", "resnet51", Path::new(""));
        assert_eq!(message, "`model.ckpt`: unknown architecture `resnet51`");
    }

    #[test]
    fn local_dir_starts_at_the_base_dir() {
        let dir = checkpoint(&["config.json", "model.safetensors"]);
        let (base, name) = (
            dir.path().parent().unwrap(),
            dir.path().file_name().unwrap(),
        );
        let ckpt = format!("local-dir:{}", name.to_str().unwrap());
        let spec = find("timm", &ckpt, base).unwrap();
        assert_eq!(
            spec.weights_paths()[0],
            dir.path().join("model.safetensors")
        );
        assert!(!spec.canonical().to_string().contains("safetensors"));
        assert!(spec.canonical().get("random").is_none());
    }

    #[test]
    fn folder_without_weights_is_refused() {
        let dir = checkpoint(&["config.json"]);
        let (message, hint) = refused("timm", "local-dir:", dir.path());
        assert_eq!(
            message,
            format!("{}/: no `model.safetensors` here", dir.path().display())
        );
        assert!(hint.is_some());
        let (message, _) = refused("timm", "local-dir:nowhere", dir.path());
        assert!(message.contains("nowhere/config.json"), "{message}");
    }

    #[test]
    fn pickle_is_refused_with_the_command_that_converts_it() {
        let dir = checkpoint(&["config.json", "pytorch_model.bin"]);
        let pickle = dir.path().join("pytorch_model.bin");
        let by_folder = refused(
            "timm",
            &format!("local-dir:{}", dir.path().display()),
            Path::new(""),
        );
        let by_file = refused(
            "timm",
            &format!("local-dir:{}", pickle.display()),
            Path::new(""),
        );
        assert_eq!(by_folder, by_file);
        let (message, hint) = by_folder;
        assert_eq!(
            message,
            format!(
                "{}: a pickle, which can run any code when it is loaded, expected `model.safetensors`",
                pickle.display()
            )
        );
        let hint = hint.unwrap();
        assert!(hint.starts_with("convert it:\npython3 -c '\n"), "{hint}");
        let dir = dir.path().display();
        assert!(
            hint.ends_with(&format!(
                "' {dir}/model.safetensors {dir}/pytorch_model.bin"
            )),
            "{hint}"
        );
    }

    #[test]
    fn pickle_is_converted_to_what_its_layout_calls_the_weights() {
        // What training leaves, in one file and in parts.
        for (org, pickle, target, sources) in [
            (
                "timm",
                "model_best.pth.tar",
                "model.safetensors",
                "model_best.pth.tar",
            ),
            (
                "open-clip",
                "epoch_1.pt",
                "open_clip_model.safetensors",
                "epoch_1.pt",
            ),
            (
                "transformers",
                "pytorch_model-00001-of-00002.bin",
                "model.safetensors",
                "pytorch_model-*-of-00002.bin",
            ),
        ] {
            let dir = checkpoint(&[pickle]);
            let file = dir.path().join(pickle);
            let (_, hint) = refused(org, &format!("local-dir:{}", file.display()), Path::new(""));
            let (hint, dir) = (hint.unwrap(), dir.path().display());
            assert!(
                hint.ends_with(&format!("' {dir}/{target} {dir}/{sources}")),
                "{org}: {hint}"
            );
        }
    }
}
