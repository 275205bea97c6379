//! The checkpoints that BioBench loads by itself, with its own preprocessing: DINOv2, DINOv3, AIMv2.
//!
//! Source: `biobench.third_party_models.DinoV2`, `biobench.dinov3.DinoV3`, `biobench.aimv2.AIMv2`. The original weights of
//! DINOv2 and DINOv3 are pickles: here they are read from the same weights in the files of transformers.

use crate::backbone::families::preset::{IMAGENET, Moments, OPENAI_CLIP};
use crate::backbone::families::vit::{Positions, Resample, VitConfig};
use crate::image::{CropRounding, Interpolation, Preprocessing, ResizeMode};

/// Models that BioBench loads by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    DinoV2,
    DinoV3,
    Aimv2,
}

/// Checkpoints by name, and where their weights are on the hub.
pub const CHECKPOINTS: &[(Family, &str, &str)] = &[
    (Family::DinoV2, "dinov2_vits14", "facebook/dinov2-small"),
    (Family::DinoV2, "dinov2_vitb14", "facebook/dinov2-base"),
    (Family::DinoV2, "dinov2_vitl14", "facebook/dinov2-large"),
    (Family::DinoV2, "dinov2_vitg14", "facebook/dinov2-giant"),
    (
        Family::DinoV2,
        "dinov2_vits14_reg",
        "facebook/dinov2-with-registers-small",
    ),
    (
        Family::DinoV2,
        "dinov2_vitb14_reg",
        "facebook/dinov2-with-registers-base",
    ),
    (
        Family::DinoV2,
        "dinov2_vitl14_reg",
        "facebook/dinov2-with-registers-large",
    ),
    (
        Family::DinoV2,
        "dinov2_vitg14_reg",
        "facebook/dinov2-with-registers-giant",
    ),
    (
        Family::DinoV3,
        "dinov3_vits16",
        "facebook/dinov3-vits16-pretrain-lvd1689m",
    ),
    (
        Family::DinoV3,
        "dinov3_vits16plus",
        "facebook/dinov3-vits16plus-pretrain-lvd1689m",
    ),
    (
        Family::DinoV3,
        "dinov3_vitb16",
        "facebook/dinov3-vitb16-pretrain-lvd1689m",
    ),
    (
        Family::DinoV3,
        "dinov3_vitl16",
        "facebook/dinov3-vitl16-pretrain-lvd1689m",
    ),
    (
        Family::DinoV3,
        "dinov3_vith16plus",
        "facebook/dinov3-vith16plus-pretrain-lvd1689m",
    ),
    (
        Family::DinoV3,
        "dinov3_vit7b16",
        "facebook/dinov3-vit7b16-pretrain-lvd1689m",
    ),
];

/// Sides of the image and of the centre that is cut out of it.
const DINOV2_SIZES: (usize, usize) = (256, 224);
const DINOV3_SIZE: usize = 256;

impl Family {
    /// The family of `model.org`.
    pub fn of(org: &str) -> Option<Self> {
        match org {
            "dinov2" => Some(Self::DinoV2),
            "dinov3" => Some(Self::DinoV3),
            "aimv2" => Some(Self::Aimv2),
            _ => None,
        }
    }

    /// Models of transformers that belong to the family.
    pub fn model_types(self) -> &'static [&'static str] {
        match self {
            Self::DinoV2 => &["dinov2", "dinov2_with_registers"],
            Self::DinoV3 => &["dinov3_vit"],
            Self::Aimv2 => &["aimv2", "aimv2_vision_model"],
        }
    }

    /// How BioBench prepares images, given the size that the checkpoint was made for.
    pub fn preprocessing(self, made_for: [usize; 2]) -> Preprocessing {
        let (resize, side, moments): (ResizeMode, usize, Moments) = match self {
            Self::DinoV2 => {
                let (resized, side) = DINOV2_SIZES;
                let size = [resized; 2];
                (ResizeMode::Squash { size }, side, IMAGENET)
            }
            Self::DinoV3 => {
                let side = DINOV3_SIZE;
                (ResizeMode::Shortest { side }, side, OPENAI_CLIP)
            }
            Self::Aimv2 => {
                let side = made_for[0];
                (ResizeMode::Shortest { side }, side, OPENAI_CLIP)
            }
        };
        let (mean, std) = moments;
        Preprocessing {
            size: [side; 2],
            resize,
            interpolation: Interpolation::Bilinear,
            crop: CropRounding::HalfToEven,
            mean,
            std,
        }
    }

    /// Makes a network of transformers compute what BioBench's does.
    pub fn adapt(self, network: &mut VitConfig) {
        match self {
            Self::DinoV2 => {
                // Without registers the original scales positions by a factor that is a tenth of a patch too large.
                if let Some(Positions::Learned { resample, .. }) = &mut network.positions
                    && *resample == (Resample::Bicubic { antialias: false })
                {
                    *resample = Resample::BicubicScaled { offset: 0.1 };
                }
            }
            Self::DinoV3 => {}
            Self::Aimv2 => {
                network.pool = crate::backbone::families::vit::Pool::Max;
                network.projection = None;
            }
        }
    }
}
