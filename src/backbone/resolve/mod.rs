//! From the user's `org` and `ckpt` to a network, its preprocessing and its weights.

pub mod leaderboard;

use crate::backbone::checkpoint::files::{Folder, MAX_JSON_BYTES};
use crate::backbone::checkpoint::location::{LOCAL_DIR, Places, no_prefix, on_hub, or_no_prefix};
use crate::backbone::checkpoint::tensor_names;
use crate::backbone::error::Error;
use crate::backbone::families::NetworkConfig;
use crate::backbone::orgs::biobench::{self, Family};
use crate::backbone::orgs::timm::Output;
use crate::backbone::orgs::{architectures, open_clip, timm, torchscript, transformers};
use crate::backbone::spec::{BackboneSpec, Weights};
use crate::files::{self, found};
use crate::hub::Repo;
use crate::text::foreign;

/// Finds the backbone that `org` and `ckpt` name, and fetches its files unless they are here.
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
/// Names what is unknown, unsupported or missing; those of the hub.
pub fn resolve(org: &str, ckpt: &str, places: Places<'_>) -> Result<BackboneSpec, Error> {
    match org {
        "timm" | "sam2" => {
            let repo = |name: &str| timm_repository(name, places);
            in_timm_folder(&folder(ckpt, places, timm::WEIGHTS[0], repo)?)
        }
        "open-clip" => open_clip_checkpoint(ckpt, places),
        "transformers" => {
            let owned = |name: &str| Ok(name.to_owned());
            in_transformers_folder(&folder(ckpt, places, transformers::WEIGHTS, owned)?, None)
        }
        "torchscript" => torchscript::resolve(ckpt, places),
        "random" => random(ckpt),
        _ => match Family::of(org) {
            Some(family) => {
                let repo = |name: &str| known_repo(family, org, name);
                let folder = folder(ckpt, places, transformers::WEIGHTS, repo)?;
                in_transformers_folder(&folder, Some(family))
            }
            None if org == "vjepa" => Err(Error::VJepa {
                ckpt: ckpt.to_owned(),
            }),
            None => Err(Error::Org {
                org: org.to_owned(),
            }),
        },
    }
}

/// The folder or the repository that `ckpt` names, with weights of that name; `repo` gives that of a plain name.
fn folder<'a>(
    ckpt: &str,
    places: Places<'a>,
    weights: &str,
    repo: impl Fn(&str) -> Result<String, Error>,
) -> Result<Folder<'a>, Error> {
    if let Some(dir) = ckpt.strip_prefix(LOCAL_DIR) {
        return Folder::local(found(places.base_dir, dir)?, weights, places.progress);
    }
    let name = match on_hub(ckpt) {
        Some(name) => name.to_owned(),
        None => or_no_prefix(ckpt, places, |ckpt| with_revision(ckpt, repo))?,
    };
    Folder::hub(name.parse::<Repo>()?, places)
}

/// The repository of a checkpoint of timm's, which may have been renamed.
fn timm_repository(name: &str, places: Places<'_>) -> Result<String, Error> {
    if name.contains(['/', ':']) {
        return Err(no_prefix(name, places));
    }
    let current = timm::names::current(name);
    let repository = timm::repository(current.as_deref().unwrap_or(name))?;
    if let Some(current) = current {
        places.progress.warn(&format!(
            "`{}` is a former name of timm's, taken as `{current}`",
            foreign(name)
        ));
    }
    Ok(repository)
}

/// The repository of a plain name, with the revision that may stand behind the name.
fn with_revision(
    ckpt: &str,
    repo: impl Fn(&str) -> Result<String, Error>,
) -> Result<String, Error> {
    match ckpt.split_once('@') {
        Some((name, revision)) => Ok(format!("{}@{revision}", repo(name)?)),
        None => repo(ckpt),
    }
}

fn in_timm_folder(folder: &Folder<'_>) -> Result<BackboneSpec, Error> {
    let path = folder.require("config.json")?;
    let config = timm::parse(&files::read(&path, MAX_JSON_BYTES)?, &path)?;
    for note in &config.notes {
        folder.warn(note);
    }
    let paths = folder.weights_of_any_name(timm::WEIGHTS)?;
    folder.pin()?;
    Ok(BackboneSpec {
        architecture: config.architecture.to_owned(),
        network: config.network,
        preprocessing: config.preprocessing,
        weights: Weights::Files {
            paths,
            names: &tensor_names::TIMM,
        },
        source: folder.source(),
    })
}

fn open_clip_checkpoint(ckpt: &str, places: Places<'_>) -> Result<BackboneSpec, Error> {
    let is_plain = !ckpt.starts_with(LOCAL_DIR) && on_hub(ckpt).is_none();
    let (architecture, folder, config, paths) = if is_plain {
        let (name, revision) = ckpt
            .split_once('@')
            .map_or((ckpt, None), |(name, revision)| (name, Some(revision)));
        let named = or_no_prefix(name, places, open_clip::named)?;
        if named.is_other_activation {
            places.progress.warn(&format!(
                "`{}` was trained with QuickGELU and runs with GELU, as in open_clip; its `-quickgelu` \
                 architecture has the other",
                foreign(ckpt)
            ));
        }
        let mut repo: Repo = named.repo.parse()?;
        if let Some(revision) = revision {
            repo = format!("{}@{revision}", named.repo).parse()?;
        }
        let folder = Folder::hub(repo, places)?;
        let architecture = ckpt.split('/').next().unwrap_or_default().to_owned();
        let paths = folder.weights(&named.file)?;
        (architecture, folder, named.config, paths)
    } else {
        let folder = folder(ckpt, places, open_clip::WEIGHTS[0], |name| {
            Ok(name.to_owned())
        })?;
        let (value, path) = folder.json(open_clip::CONFIG)?;
        let config = open_clip::parse(value, &path)?;
        let paths = folder.weights_of_any_name(open_clip::WEIGHTS)?;
        (ckpt.to_owned(), folder, config, paths)
    };
    let spec = BackboneSpec {
        architecture,
        network: config.network,
        preprocessing: config.preprocessing,
        weights: Weights::Files {
            paths,
            names: config.names,
        },
        source: folder.source(),
    };
    check_size(&spec)?;
    folder.pin()?;
    Ok(spec)
}

/// The repository with the weights of a checkpoint that `BioBench` knows by name.
fn known_repo(family: Family, org: &str, name: &str) -> Result<String, Error> {
    let known = || biobench::CHECKPOINTS.iter().filter(|row| row.0 == family);
    if let Some((_, _, repo)) = known().find(|row| row.1 == name) {
        return Ok((*repo).to_owned());
    }
    // AIMv2's checkpoints are named by their repositories.
    if family == Family::Aimv2 && name.contains('/') {
        return Ok(name.to_owned());
    }
    let nearest = architectures::nearest(name, known().map(|row| row.1));
    Err(Error::UnknownCheckpoint {
        ckpt: name.to_owned(),
        library: match org {
            "dinov2" => "DINOv2",
            "dinov3" => "DINOv3",
            _ => "AIMv2",
        },
        nearest: nearest.into_iter().map(str::to_owned).collect(),
    })
}

fn in_transformers_folder(
    folder: &Folder<'_>,
    family: Option<Family>,
) -> Result<BackboneSpec, Error> {
    let (value, path) = folder.json(transformers::CONFIG)?;
    if value.get("architecture").is_some() && value.get("model_type").is_none() {
        return Err(Error::OtherLibrary {
            place: folder.to_string(),
            org: "timm",
        });
    }
    let mut config = transformers::parse(value, &path)?;
    let preprocessing = match family {
        Some(family) if !family.model_types().contains(&config.model_type.as_str()) => {
            return Err(Error::ConfigValue {
                path,
                key: "model_type".to_owned(),
                found: config.model_type,
                expected: format!("`{}`", family.model_types().join("` or `")),
            });
        }
        Some(family) => {
            family.adapt(&mut config.network);
            family.preprocessing(config.network.img_size)
        }
        None => {
            if config.model_type == "dinov3_vit" {
                folder.warn(
                    "the image processor of DINOv3 resizes without rounding, here pixels are whole: features differ by \
                     up to one level of a pixel",
                );
            }
            transformers::preprocessing(folder)?
        }
    };
    transformers::for_images_of(&mut config, preprocessing.size);
    let spec = BackboneSpec {
        architecture: format!("{} of {folder}", config.model_type),
        network: NetworkConfig::Vit(config.network),
        preprocessing,
        weights: Weights::Files {
            paths: folder.weights(transformers::WEIGHTS)?,
            names: config.names,
        },
        source: folder.source(),
    };
    check_size(&spec)?;
    folder.pin()?;
    Ok(spec)
}

/// Refuses a preprocessing that gives the network images of another size than it takes.
fn check_size(spec: &BackboneSpec) -> Result<(), Error> {
    match spec.network.family().img_size() {
        Some(takes) if takes != spec.preprocessing.size => Err(Error::ImageSize {
            architecture: spec.architecture.clone(),
            takes,
            given: spec.preprocessing.size,
        }),
        _ => Ok(()),
    }
}

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
            .ok_or_else(|| Error::SeedTag {
                architecture: name.to_owned(),
                tag: tag.to_owned(),
            })?,
    };
    let preprocessing = architecture.data.preprocessing();
    Ok(BackboneSpec {
        architecture: architecture.name.to_owned(),
        network: architecture
            .model
            .network(preprocessing.size, Output::Tokens),
        preprocessing,
        weights: Weights::Random { seed },
        source: None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::hub::Hub;
    use crate::interrupt::Interrupt;

    fn find(org: &str, ckpt: &str, base_dir: &Path) -> Result<BackboneSpec, Error> {
        let hub = Hub::new(crate::hub::Settings::default(), Interrupt::default());
        let places = Places {
            base_dir,
            hub: &hub,
            progress: &crate::progress::Silent,
            allow_code: false,
            update: false,
        };
        resolve(org, ckpt, places)
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
