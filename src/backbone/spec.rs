//! From the user's `org` and `ckpt` to a network, its preprocessing and its weights.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::error::Error;
use super::vit_config::VitConfig;
use super::{Backbone, Device, Precision, catalog, timm};
use crate::image::Preprocessing;

/// The prefix of checkpoints that lie in a folder.
const LOCAL_DIR: &str = "local-dir:";

/// A backbone that is known but not loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct BackboneSpec {
    pub(super) architecture: &'static str,
    pub(super) network: VitConfig,
    pub(super) preprocessing: Preprocessing,
    pub(super) weights: Weights,
}

/// Where the numbers come from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Weights {
    /// A safetensors file.
    File(PathBuf),
    /// Our own generator.
    Random {
        /// Decides every tensor.
        seed: u64,
    },
}

impl BackboneSpec {
    /// Finds the backbone that `org` and `ckpt` name; relative paths start at `base_dir`.
    ///
    /// `org = "timm"`: `ckpt` is `local-dir:PATH`, a folder with `config.json` and `model.safetensors` as timm
    /// publishes them. `org = "random"`: `ckpt` is an architecture of [`super::architectures`], followed by
    /// `.seed17` for another seed than 0. Reads `config.json` at most.
    ///
    /// # Errors
    /// Names what is unknown, unsupported or missing.
    pub fn resolve(org: &str, ckpt: &str, base_dir: &Path) -> Result<Self, Error> {
        match org {
            "timm" => match ckpt.strip_prefix(LOCAL_DIR) {
                Some(dir) => Self::in_dir(&base_dir.join(dir)),
                None => Err(Error::Hub {
                    ckpt: ckpt.to_owned(),
                }),
            },
            "random" => Self::random(ckpt),
            _ => Err(Error::Org {
                org: org.to_owned(),
            }),
        }
    }

    fn in_dir(dir: &Path) -> Result<Self, Error> {
        if is_pickle(dir) {
            return Err(Error::Pickle {
                path: dir.to_owned(),
            });
        }
        let config_path = dir.join("config.json");
        let config = timm::parse(&fs_err::read(&config_path)?, &config_path)?;
        let weights = dir.join("model.safetensors");
        if !weights.is_file() {
            return Err(match first_pickle(dir)? {
                Some(path) => Error::Pickle { path },
                None => Error::NoWeights {
                    dir: dir.to_owned(),
                },
            });
        }
        Ok(Self {
            architecture: config.architecture,
            network: config.vit,
            preprocessing: config.preprocessing,
            weights: Weights::File(weights),
        })
    }

    fn random(ckpt: &str) -> Result<Self, Error> {
        let (name, tag) = ckpt
            .split_once('.')
            .map_or((ckpt, None), |(name, tag)| (name, Some(tag)));
        let architecture = catalog::find(name).ok_or_else(|| Error::UnknownArchitecture {
            place: "`model.ckpt`".to_owned(),
            name: name.to_owned(),
            nearest: catalog::nearest(name),
        })?;
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
        Ok(Self {
            architecture: architecture.name,
            network: architecture.vit,
            preprocessing: architecture.preprocessing(),
            weights: Weights::Random { seed },
        })
    }

    /// Number of features per image.
    pub fn dim(&self) -> usize {
        self.network.embed_dim
    }

    /// How images become this backbone's input.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// The file that holds the weights; `None` where they are drawn from a seed.
    pub fn weights_path(&self) -> Option<&Path> {
        match &self.weights {
            Weights::File(path) => Some(path),
            Weights::Random { .. } => None,
        }
    }

    /// All that decides a feature besides the bytes of the weights' file, the precision and the image.
    pub fn canonical(&self) -> Value {
        let mut value = json!({
            "network": self.network.canonical(),
            "preprocessing": self.preprocessing,
        });
        if let Weights::Random { seed } = self.weights {
            value["random"] = json!({ "draws": RANDOM_VERSION, "seed": seed });
        }
        value
    }

    /// Reads or draws the weights and puts them where the network is to run.
    ///
    /// # Errors
    /// Those of [`Device::resolve`]; whatever is wrong with the weights' file, by tensor;
    /// [`Error::NoTorch`] without the feature `torch`.
    #[cfg(feature = "torch")]
    pub fn load(&self, device: Device, precision: Precision) -> Result<Box<dyn Backbone>, Error> {
        super::extractor::load(self, device, precision)
    }

    /// Fails: without the feature `torch` there is nothing to run a network on.
    ///
    /// # Errors
    /// Always [`Error::NoTorch`].
    #[cfg(not(feature = "torch"))]
    pub fn load(&self, _device: Device, _precision: Precision) -> Result<Box<dyn Backbone>, Error> {
        Err(Error::NoTorch {
            architecture: self.architecture,
        })
    }
}

/// Rises when the same seed gives other weights.
const RANDOM_VERSION: u32 = 1;

/// Whether a file's name is one that PyTorch's pickles go by.
fn is_pickle(path: &Path) -> bool {
    let is_named = path
        .extension()
        .is_some_and(|extension| ["bin", "pth", "pt"].iter().any(|known| extension == *known));
    is_named && path.is_file()
}

/// The first pickle in a folder, by name.
fn first_pickle(dir: &Path) -> Result<Option<PathBuf>, Error> {
    let mut paths = fs_err::read_dir(dir)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths.into_iter().find(|path| is_pickle(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(org: &str, ckpt: &str, base_dir: &Path) -> (String, Option<String>) {
        let error = BackboneSpec::resolve(org, ckpt, base_dir).unwrap_err();
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
        let resolve = |ckpt: &str| BackboneSpec::resolve("random", ckpt, Path::new("")).unwrap();
        let spec = resolve("vit_tiny_patch16_224");
        assert_eq!((spec.dim(), spec.weights_path()), (192, None));
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
        let (message, hint) = refused("open-clip", "ViT-B-16/openai", Path::new(""));
        assert_eq!(
            message,
            "`model.org` is `open-clip`, expected `timm` or `random`"
        );
        assert!(hint.unwrap().contains("precomputed"));
        let (message, hint) = refused(
            "timm",
            "vit_base_patch16_224.augreg2_in21k_ft_in1k",
            Path::new(""),
        );
        assert_eq!(
            message,
            "`model.ckpt` is `vit_base_patch16_224.augreg2_in21k_ft_in1k`, a checkpoint of the Hugging Face hub, \
             expected `local-dir:PATH`"
        );
        assert!(
            hint.unwrap()
                .starts_with("this version does not download; ")
        );
        let (message, _) = refused("random", "resnet50", Path::new(""));
        assert_eq!(message, "`model.ckpt`: unknown architecture `resnet50`");
    }

    #[test]
    fn local_dir_starts_at_the_base_dir() {
        let dir = checkpoint(&["config.json", "model.safetensors"]);
        let (base, name) = (
            dir.path().parent().unwrap(),
            dir.path().file_name().unwrap(),
        );
        let ckpt = format!("local-dir:{}", name.to_str().unwrap());
        let spec = BackboneSpec::resolve("timm", &ckpt, base).unwrap();
        assert_eq!(
            spec.weights_path().unwrap(),
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
            format!(
                "{}/: no `model.safetensors` in this folder",
                dir.path().display()
            )
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
        assert!(hint.starts_with("convert it: python3 -c '"), "{hint}");
        assert!(
            hint.ends_with(&format!("'{}/model.safetensors'", dir.path().display())),
            "{hint}"
        );
    }
}
