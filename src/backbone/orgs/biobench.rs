//! The checkpoints that BioBench loads by itself, with its own preprocessing: DINOv2, DINOv3, AIMv2.
//!
//! Source: `biobench.third_party_models.DinoV2`, `biobench.dinov3.DinoV3`, `biobench.aimv2.AIMv2`. The original weights of
//! DINOv2 and DINOv3 are pickles: here they are read from the same weights in the files of transformers.

use crate::backbone::checkpoint::fields::wrong_value;
use crate::backbone::checkpoint::files::CheckpointFiles;
use crate::backbone::checkpoint::location::{self, Lookup};
use crate::backbone::families::preset::{IMAGENET, Moments, OPENAI_CLIP};
use crate::backbone::families::vit::{Positions, Resample, TokenPool, VitConfig};
use crate::backbone::orgs::architectures;
use crate::backbone::orgs::transformers::{Config, WEIGHTS};
use crate::backbone::spec::BackboneSpec;
use crate::error::Error;
use crate::image::{CropRounding, Interpolation, Preprocessing, ResizeMode};
use crate::text::either;

/// Models that BioBench loads by itself.
pub struct Family {
    /// As messages call it.
    name: &'static str,
    /// Checkpoints by name, and where their weights are on the hub.
    checkpoints: &'static [(&'static str, &'static str)],
    /// Models of transformers that belong to it.
    model_types: &'static [&'static str],
    /// How images are resized, the side of what is cut out of their centre, and how channels are normalised; given the side
    /// of the images that the checkpoint was made for.
    preprocessing: fn(usize) -> (ResizeMode, usize, Moments),
    /// Makes a network of transformers compute what BioBench's does.
    adapt: fn(&mut VitConfig),
}

pub const DINOV2: Family = Family {
    name: "DINOv2",
    checkpoints: &[
        ("dinov2_vits14", "facebook/dinov2-small"),
        ("dinov2_vitb14", "facebook/dinov2-base"),
        ("dinov2_vitl14", "facebook/dinov2-large"),
        ("dinov2_vitg14", "facebook/dinov2-giant"),
        ("dinov2_vits14_reg", "facebook/dinov2-with-registers-small"),
        ("dinov2_vitb14_reg", "facebook/dinov2-with-registers-base"),
        ("dinov2_vitl14_reg", "facebook/dinov2-with-registers-large"),
        ("dinov2_vitg14_reg", "facebook/dinov2-with-registers-giant"),
    ],
    model_types: &["dinov2", "dinov2_with_registers"],
    preprocessing: |_| (ResizeMode::Squash { size: [256; 2] }, 224, IMAGENET),
    adapt: |network| {
        // Without registers the original scales positions by a factor that is a tenth of a patch too large.
        if let Some(Positions::Learned { resample, .. }) = &mut network.positions
            && *resample == (Resample::Bicubic { antialias: false })
        {
            *resample = Resample::BicubicScaled { offset: 0.1 };
        }
    },
};

pub const DINOV3: Family = Family {
    name: "DINOv3",
    checkpoints: &[
        ("dinov3_vits16", "facebook/dinov3-vits16-pretrain-lvd1689m"),
        (
            "dinov3_vits16plus",
            "facebook/dinov3-vits16plus-pretrain-lvd1689m",
        ),
        ("dinov3_vitb16", "facebook/dinov3-vitb16-pretrain-lvd1689m"),
        ("dinov3_vitl16", "facebook/dinov3-vitl16-pretrain-lvd1689m"),
        (
            "dinov3_vith16plus",
            "facebook/dinov3-vith16plus-pretrain-lvd1689m",
        ),
        (
            "dinov3_vit7b16",
            "facebook/dinov3-vit7b16-pretrain-lvd1689m",
        ),
    ],
    model_types: &["dinov3_vit"],
    preprocessing: |_| (ResizeMode::Shortest { side: 256 }, 256, OPENAI_CLIP),
    adapt: |_| {},
};

/// Its checkpoints are named by their repositories.
pub const AIMV2: Family = Family {
    name: "AIMv2",
    checkpoints: &[],
    model_types: &["aimv2", "aimv2_vision_model"],
    preprocessing: |side| (ResizeMode::Shortest { side }, side, OPENAI_CLIP),
    adapt: |network| {
        network.pool = TokenPool::Max;
        network.projection = None;
    },
};

impl Family {
    /// Finds a checkpoint of the family.
    ///
    /// # Errors
    /// What is wrong with the name or with the checkpoint's files; errors of the hub.
    pub fn resolve(&self, ckpt: &str, lookup: Lookup<'_>) -> Result<BackboneSpec, Error> {
        let files = CheckpointFiles::of(ckpt, lookup, WEIGHTS, |name| self.repository(name))?;
        let (mut config, path) = Config::load(&files)?;
        if !self.model_types.contains(&config.model_type.as_str()) {
            let expected = either(self.model_types);
            return Err(wrong_value(&path, "model_type", config.model_type, &expected).into());
        }
        (self.adapt)(&mut config.network);
        let made_for = config.network.img_size[0];
        let (resize, side, (mean, std)) = (self.preprocessing)(made_for);
        let preprocessing = Preprocessing {
            size: [side; 2],
            resize,
            interpolation: Interpolation::Bilinear,
            crop: CropRounding::HalfToEven,
            mean,
            std,
        };
        config.backbone(&files, preprocessing)
    }

    /// The repository with the weights of the checkpoint that `BioBench` knows by that name.
    fn repository(&self, name: &str) -> Result<String, Error> {
        if let Some((_, repo)) = self.checkpoints.iter().find(|(known, _)| *known == name) {
            return Ok((*repo).to_owned());
        }
        if self.checkpoints.is_empty() && name.contains('/') {
            return Ok(name.to_owned());
        }
        let known = self.checkpoints.iter().map(|(known, _)| *known);
        let nearest = architectures::nearest(name, known);
        Err(location::unknown(name, self.name, &nearest).into())
    }
}
