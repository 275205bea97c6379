//! Attention inside windows, and what is known about it before any image is seen.

use tch::{Kind, TchError, Tensor};

use crate::backbone::checkpoint::weights::Init;
use crate::backbone::families::layers::{Linear, attend};
use crate::backbone::families::loader::{Loader, as_i64};
use crate::backbone::families::parameter::Parameter;
use crate::backbone::families::windows::Windows;
use crate::error::Error;

/// Added to the logits of two tokens that are neighbours only because the map was shifted.
const APART: f64 = -100.0;

/// What a block's attention is made from.
pub struct Config {
    pub dim: usize,
    pub num_heads: usize,
    pub qkv_bias: bool,
    /// `[h, w]` of the map in tokens.
    pub map: [usize; 2],
    /// `[h, w]` of a window in tokens.
    pub window: [usize; 2],
    /// By how many tokens the map is shifted; 0 if not at all.
    pub shift: [usize; 2],
}

/// Multi-head self-attention inside windows, which knows where tokens lie to each other.
pub struct WindowAttention {
    qkv: Linear,
    proj: Linear,
    /// Added to the logits, `[1, groups·heads, t, t]`, in the precision of products.
    bias: Parameter,
    num_heads: i64,
    /// How many windows have their own biases: all of an image, or one for all.
    groups: i64,
}

impl WindowAttention {
    pub fn load(loader: &Loader<'_>, config: &Config) -> Result<Self, Error> {
        let Config {
            dim,
            num_heads,
            window: [height, width],
            ..
        } = *config;
        let table = loader.f32(
            "relative_position_bias_table",
            &[(2 * height - 1) * (2 * width - 1), num_heads],
            Init::Uniform { std: 0.02 },
        )?;
        let windows = Windows::new(config.map.map(as_i64), config.window.map(as_i64));
        let is_shifted = config.shift != [0, 0];
        let mut bias = relative_bias(&table, config.window)?; // [heads, t, t]
        if is_shifted {
            bias = apart(windows, config.shift.map(as_i64))?
                .f_to_device(loader.device())?
                .f_unsqueeze(1)? // [n, 1, t, t]
                .f_add(&bias)? // [n, heads, t, t]
                .f_flatten(0, 1)?; // [n·heads, t, t]
        }
        let bias = bias.f_unsqueeze(0)?.f_to_kind(loader.precision())?;
        Ok(Self {
            qkv: Linear::load(&loader.at("qkv"), dim, 3 * dim, config.qkv_bias)?,
            proj: Linear::load(&loader.at("proj"), dim, dim, true)?,
            bias: Parameter::new(bias),
            num_heads: as_i64(num_heads),
            groups: if is_shifted {
                windows.grid().iter().product()
            } else {
                1
            },
        })
    }

    /// `x`: `[b·n, h, w, c]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let size = x.size();
        let (t, c) = (size[1] * size[2], size[3]);
        let heads = self.num_heads;
        let qkv = self
            .qkv
            .forward(x)? // [b·n, h, w, 3·c]
            .f_reshape([-1, t, 3, heads, c / heads])?
            .f_permute([2, 0, 3, 1, 4])? // [3, b·n, heads, t, c/heads]
            .f_reshape([3, -1, self.groups * heads, t, c / heads])?;
        let [q, k, v] = [0, 1, 2].map(|i| qkv.f_select(0, i));
        let mixed = attend(&q?, &k?, &v?, Some(&*self.bias))? // [b·n/groups, groups·heads, t, c/heads]
            .f_reshape([-1, heads, t, c / heads])?
            .f_transpose(1, 2)? // [b·n, t, heads, c/heads]
            .f_reshape(&size)?;
        self.proj.forward(&mixed) // [b·n, h, w, c]
    }
}

/// The biases of all pairs of a window's tokens, `[heads, t, t]`.
///
/// `table`: `[(2·h - 1)·(2·w - 1), heads]`, a row for each difference of rows and columns.
fn relative_bias(table: &Tensor, window: [usize; 2]) -> Result<Tensor, TchError> {
    let t = as_i64(window[0] * window[1]);
    let index = Tensor::f_from_slice(&relative_index(window.map(as_i64)))?;
    table
        .f_index_select(0, &index.f_to_device(table.device())?)?
        .f_reshape([t, t, -1])?
        .f_permute([2, 0, 1]) // [heads, t, t]
}

/// Which row of the table belongs to a pair of tokens, row by row of a `[t, t]` matrix.
fn relative_index([height, width]: [i64; 2]) -> Vec<i64> {
    let tokens = || (0..height).flat_map(|row| (0..width).map(move |column| (row, column)));
    tokens()
        .flat_map(|(row, column)| {
            tokens().map(move |(other_row, other_column)| {
                (row - other_row + height - 1) * (2 * width - 1) + column - other_column + width - 1
            })
        })
        .collect()
}

/// [`APART`] for pairs of tokens that a shift has brought into the same window, else 0: `[n, t, t]`.
fn apart(windows: Windows, shift: [i64; 2]) -> Result<Tensor, TchError> {
    let [height, width] = windows.padded();
    let regions = Tensor::f_from_slice(&regions(windows, shift))?;
    let regions = Windows::new([height, width], windows.size())
        .partition(&regions.f_reshape([1, height, width, 1])?)? // [n, h, w, 1]
        .f_flatten(1, 3)?; // [n, t]
    regions
        .f_unsqueeze(1)?
        .f_ne_tensor(&regions.f_unsqueeze(2)?)? // [n, t, t]
        .f_to_kind(Kind::Float)?
        .f_mul_scalar(APART)
}

/// A number for each position of the shifted map, row by row: equal where positions were neighbours before.
fn regions(windows: Windows, shift: [i64; 2]) -> Vec<i64> {
    let ([height, width], size) = (windows.padded(), windows.size());
    let region = |i: i64, side: i64, axis: usize| {
        if i < side - size[axis] {
            0
        } else if i < side - shift[axis] {
            1
        } else {
            2
        }
    };
    (0..height)
        .flat_map(|row| (0..width).map(move |column| (row, column)))
        .map(|(row, column)| 3 * region(row, height, 0) + region(column, width, 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_with_the_same_difference_share_a_row() {
        // Tokens of a window of 1 × 2: each to itself, to its left and to its right neighbour.
        assert_eq!(relative_index([1, 2]), [1, 0, 2, 1]);
        let expected = [4, 3, 1, 0, 5, 4, 2, 1, 7, 6, 4, 3, 8, 7, 5, 4];
        assert_eq!(relative_index([2, 2]), expected);
    }

    #[test]
    fn shifted_map_has_regions_at_its_borders() {
        let windows = Windows::new([4, 3], [2, 2]);
        let expected = [[0, 0, 1, 2], [0, 0, 1, 2], [3, 3, 4, 5], [6, 6, 7, 8]];
        assert_eq!(regions(windows, [1, 1]), expected.concat());
    }

    #[test]
    fn map_that_is_not_shifted_along_a_side_is_not_parted_along_it() {
        let windows = Windows::new([2, 4], [2, 2]);
        let mask = apart(windows, [0, 1]).unwrap();
        assert_eq!(mask.size(), [2, 4, 4]);
        let values: Vec<f32> = mask.flatten(0, -1).try_into().unwrap();
        let (together, parted) = values.split_at(16);
        assert_eq!(together, [0.0; 16]);
        let row = [0.0, -100.0, 0.0, -100.0];
        let other = [-100.0, 0.0, -100.0, 0.0];
        assert_eq!(parted, [row, other, row, other].concat());
    }
}
