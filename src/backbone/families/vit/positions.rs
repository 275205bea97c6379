//! How tokens know where they are.

use tch::{Device, Kind, TchError, Tensor};

use crate::backbone::checkpoint::weights::{Init, OF_ONE_CHECKPOINT};
use crate::backbone::families::loader::{Loader, as_i64};
use crate::backbone::families::parameter::Parameter;
use crate::backbone::families::vit::network::{added, kind_of_added};
use crate::backbone::families::vit::{Positions, Resample, Rope, VitConfig};
use crate::error::{Error, Message};
use crate::text;

const F32_ON_CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

/// 0, 1, … up to `n`, `[n]` f32.
fn counted(n: usize) -> Result<Tensor, TchError> {
    Tensor::f_arange(as_i64(n), F32_ON_CPU)
}

/// base^(i/n) for i from 0 to `n`, `[n]` f32.
fn geometric(base: f64, n: usize) -> Result<Tensor, TchError> {
    Tensor::f_pow_scalar(base, &counted(n)?.f_div_scalar(n as f64)?)
}

/// The row and the column of every patch, `[h·w, 2]`; `rows`: `[h]`, `columns`: `[w]`.
fn meshed(rows: &Tensor, columns: &Tensor) -> Result<Tensor, TchError> {
    let (h, w) = (rows.size1()?, columns.size1()?);
    let rows = rows.f_unsqueeze(1)?.f_expand([h, w], false)?;
    let columns = columns.f_unsqueeze(0)?.f_expand([h, w], false)?;
    Tensor::f_stack(&[rows, columns], -1)?.f_flatten(0, 1) // [h·w, 2]
}

/// What is added to the tokens of `config`, `[1, t, d]`, or `[1, h·w, d]` where tokens before the patches have no
/// positions.
pub fn load(
    loader: &Loader<'_>,
    config: &VitConfig,
    positions: Positions,
) -> Result<Parameter, Error> {
    let added = match positions {
        Positions::Learned {
            prefix,
            grid,
            resample,
        } => {
            let n_prefix = config.n_prefix_positions(prefix);
            let stored = learned(loader, config, n_prefix, grid)?;
            if resample == Resample::Exact || grid == config.grid() {
                return Ok(stored);
            }
            resampled(&stored, n_prefix, grid, config.grid(), resample)?
        }
        Positions::SinCos => sines_and_cosines(config)?.f_to_device(loader.device())?,
    };
    Ok(Parameter::new(added))
}

/// No network has more values in its positions.
const MAX_VALUES: usize = 1 << 28;

/// Positions learned for `grid`, `[1, n_prefix + h·w, d]`: those of a file, or what its library makes of them where they
/// were learned for another grid.
///
/// Source: `timm.models._input.get_pretrained_grid_size`, `timm.layers.resample_abs_pos_embed` and
/// `open_clip.model.resize_pos_embed`.
fn learned(
    loader: &Loader<'_>,
    config: &VitConfig,
    n_prefix: usize,
    grid @ [height, width]: [usize; 2],
) -> Result<Parameter, Error> {
    const NAME: &str = "pos_embed";
    let (n, dim) = (n_prefix + height * width, config.embed_dim);
    let init = Init::Uniform { std: 0.02 };
    let of_other_grid = loader.stored_positions(NAME).filter(|stored| {
        stored.n != n && stored.width == dim && n.saturating_mul(dim) <= MAX_VALUES
    });
    let Some(stored) = of_other_grid else {
        return added(loader, config, NAME, &[1, n, dim], init);
    };
    let n_patches = stored.n.saturating_sub(n_prefix);
    let Some(old @ [old_height, old_width]) = stored_grid(n_patches, config.grid()) else {
        let path = text::path(&stored.path);
        let error = if stored.n == height * width {
            Message::data(format!(
                "{path}: tensor `{NAME}` has positions of {height} × {width} patches and none of the class token, \
                 expected {n} positions"
            ))
            .hint(OF_ONE_CHECKPOINT)
        } else {
            Message::data(format!(
                "{path}: positions of {n_patches} patches, of which no square can be made, the network has \
                 {height} × {width} patches"
            ))
            .hint(
                "write the size of the images that these positions were learned for into the file beside the weights: \
                 `model_args.img_size` and `pretrained_cfg.input_size` in timm's, `vision_cfg.image_size` in open_clip's",
            )
        };
        return Err(error.into());
    };
    let values = loader.values(NAME, &[1, stored.n, dim], init)?;
    let resample = Resample::Bicubic { antialias: true };
    let values = resampled(&values, n_prefix, old, grid, resample)?.f_to_kind(stored.kind)?;
    loader.note(format!(
        "{}: positions of {old_height} × {old_width} patches are resized to {height} × {width}",
        text::path(&stored.path)
    ));
    loader.own(&values, kind_of_added(loader, config))
}

/// The grid that `n` positions are of: that of the images, or a square.
fn stored_grid(n: usize, images: [usize; 2]) -> Option<[usize; 2]> {
    if images[0] * images[1] == n {
        return Some(images);
    }
    let side = n.isqrt();
    (n > 0 && side * side == n).then_some([side; 2])
}

/// Learned positions for another grid; `stored`: `[1, n_prefix + old_h·old_w, d]`.
fn resampled(
    stored: &Tensor,
    n_prefix: usize,
    [old_h, old_w]: [usize; 2],
    [new_h, new_w]: [usize; 2],
    resample: Resample,
) -> Result<Tensor, TchError> {
    let (_, n, d) = stored.size3()?;
    let n_prefix = as_i64(n_prefix);
    let prefix = stored.f_narrow(1, 0, n_prefix)?;
    let patches = stored
        .f_narrow(1, n_prefix, n - n_prefix)?
        .f_reshape([1, as_i64(old_h), as_i64(old_w), d])?
        .f_permute([0, 3, 1, 2])?; // [1, d, old_h, old_w]
    let size = [as_i64(new_h), as_i64(new_w)];
    let patches = match resample {
        Resample::Exact => patches,
        Resample::Bicubic { antialias: true } => {
            patches.f_internal_upsample_bicubic2d_aa(size, false, None, None)?
        }
        Resample::Bicubic { antialias: false } => {
            patches.f_upsample_bicubic2d(size, false, None, None)?
        }
        Resample::BicubicScaled { offset } => {
            let scale = |new: usize, old: usize| (new as f64 + offset) / old as f64;
            patches.f_upsample_bicubic2d(size, false, scale(new_h, old_h), scale(new_w, old_w))?
        }
    }; // [1, d, h, w]
    let patches = patches.f_flatten(2, 3)?.f_transpose(1, 2)?; // [1, h·w, d]
    Tensor::f_cat(&[prefix, patches], 1)?.f_contiguous()
}

/// `[1, h·w, d]`
fn sines_and_cosines(config: &VitConfig) -> Result<Tensor, TchError> {
    let [height, width] = config.grid();
    let bands = geometric(10_000.0, config.embed_dim / 4)?.f_reciprocal()?; // [d/4]
    let places = meshed(&counted(height)?, &counted(width)?)?; // [h·w, 2]
    let angles = places.f_unsqueeze(-1)?.f_mul(&bands)?; // [h·w, 2, d/4]
    let (rows, columns) = (angles.f_select(1, 0)?, angles.f_select(1, 1)?);
    let parts = [
        columns.f_sin()?,
        columns.f_cos()?,
        rows.f_sin()?,
        rows.f_cos()?,
    ];
    Tensor::f_cat(&parts, -1)?.f_unsqueeze(0)
}

/// Sines and cosines by which the two members of each pair of a head's values are turned, `[t, d/heads]` each.
pub struct Rotation {
    sin: Parameter,
    cos: Parameter,
    /// Whether the first half of a head is paired with the second; else neighbours are.
    pairs_halves: bool,
}

impl Rotation {
    /// For every token of `config`; those before the patches stay as they are.
    pub fn new(config: &VitConfig, rope: Rope, device: Device) -> Result<Self, TchError> {
        let head_dim = config.embed_dim / config.num_heads;
        let n_bands = head_dim / 4;
        let [height, width] = config.grid();
        let (angles, pairs_halves) = match rope {
            Rope::Centered { base } => {
                let periods = geometric(base, n_bands)?; // [d/heads/4]
                let along = |n: usize| {
                    counted(n)?
                        .f_add_scalar(0.5)?
                        .f_div_scalar(n as f64)?
                        .f_mul_scalar(2.0)?
                        .f_sub_scalar(1.0)
                };
                let places = meshed(&along(height)?, &along(width)?)?; // [h·w, 2]
                let angles = places
                    .f_unsqueeze(-1)?
                    .f_mul_scalar(2.0 * std::f64::consts::PI)?
                    .f_div(&periods)?;
                (angles, true)
            }
            Rope::Counted {
                temperature,
                offset,
                reference,
                columns_first,
            } => {
                let bands = geometric(temperature, n_bands)?.f_reciprocal()?; // [d/heads/4]
                let along = |axis: usize, n: usize| {
                    let places = counted(n)?.f_add_scalar(offset)?;
                    match reference {
                        Some(reference) => places
                            .f_div_scalar(n as f64)?
                            .f_mul_scalar(reference[axis] as f64),
                        None => Ok(places),
                    }
                };
                let mut places = meshed(&along(0, height)?, &along(1, width)?)?; // [h·w, 2]
                if columns_first {
                    places = places.f_flip([1])?;
                }
                (places.f_unsqueeze(-1)?.f_mul(&bands)?, false)
            }
        }; // [h·w, 2, d/heads/4]
        let angles = angles.f_flatten(1, 2)?; // [n, d/heads/2]
        let shape_of_prefix = [as_i64(config.n_prefix_tokens()), as_i64(head_dim)];
        let laid_out = |values: Tensor, of_prefix: f64| {
            let values = if pairs_halves {
                Tensor::f_cat(&[&values, &values], -1)?
            } else {
                values.f_repeat_interleave_self_int(2, -1, None)?
            }; // [n, d/heads]
            let prefix = Tensor::f_full(shape_of_prefix, of_prefix, F32_ON_CPU)?;
            Tensor::f_cat(&[prefix, values], 0)?.f_to_device(device) // [t, d/heads]
        };
        Ok(Self {
            sin: Parameter::new(laid_out(angles.f_sin()?, 0.0)?),
            cos: Parameter::new(laid_out(angles.f_cos()?, 1.0)?),
            pairs_halves,
        })
    }

    /// `x`: `[b, heads, t, d/heads]`; f32 comes out.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let turned = if self.pairs_halves {
            let halves = x.f_chunk(2, -1)?;
            Tensor::f_cat(&[&halves[1].f_neg()?, &halves[0]], -1)?
        } else {
            let pairs = x.f_unflatten(-1, [-1, 2])?; // [b, heads, t, d/heads/2, 2]
            let (even, odd) = (pairs.f_select(-1, 0)?, pairs.f_select(-1, 1)?);
            Tensor::f_stack(&[odd.f_neg()?, even], -1)?.f_flatten(-2, -1)?
        }; // [b, heads, t, d/heads]
        x.f_mul(&self.cos)?.f_add(&turned.f_mul(&self.sin)?)
    }
}
