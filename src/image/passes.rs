//! The two passes of a resize: each makes every output pixel a weighted sum of input pixels.
//!
//! Everything here is inlined into its caller, which is compiled once per set of processor
//! features; the loops are written so that the compiler turns them into vector code for each.

use super::filter::{Axis, PRECISION_BITS};

pub const CHANNELS: usize = 3;

/// Values that are added up side by side: as many as vector registers hold.
const BLOCK: usize = 32;

/// Rows that the horizontal pass turns at a time: what fills two blocks.
const ROWS: usize = 2 * BLOCK / CHANNELS;

/// Resizes each row of `source`, `[rows, stride]`, to the outputs of `axis`.
///
/// Turns a few rows into columns, so that neighbouring values have the same weight, and resizes
/// those with the vertical pass.
#[expect(clippy::inline_always, reason = "see the module documentation")]
#[inline(always)]
pub fn horizontal(source: &[u8], stride: usize, axis: &Axis) -> Vec<u8> {
    let out_stride = axis.len() * CHANNELS;
    let mut out = vec![0; source.len() / stride * out_stride];
    let mut turned = Vec::new();
    let groups = source.chunks(stride * ROWS);
    for (rows, out) in groups.zip(out.chunks_mut(out_stride * ROWS)) {
        turned.resize(rows.len(), 0); // [columns, rows of the group, channels]
        let turned_stride = rows.len() / stride * CHANNELS;
        for (r, row) in rows.chunks_exact(stride).enumerate() {
            let columns = turned.chunks_exact_mut(turned_stride);
            for (column, pixel) in columns.zip(row.as_chunks::<CHANNELS>().0) {
                column[r * CHANNELS..][..CHANNELS].copy_from_slice(pixel);
            }
        }
        let resized = vertical(&turned, turned_stride, 0, axis);
        for (r, row) in out.chunks_exact_mut(out_stride).enumerate() {
            let columns = resized.chunks_exact(turned_stride);
            for (column, pixel) in columns.zip(row.as_chunks_mut::<CHANNELS>().0) {
                pixel.copy_from_slice(&column[r * CHANNELS..][..CHANNELS]);
            }
        }
    }
    out
}

/// Resizes each column of `source`, `[rows, stride]`, to the outputs of `axis`; `source` starts at
/// row `first_row` of the image.
#[expect(clippy::inline_always, reason = "see the module documentation")]
#[inline(always)]
pub fn vertical(source: &[u8], stride: usize, first_row: usize, axis: &Axis) -> Vec<u8> {
    let mut out = vec![0; axis.len() * stride];
    for (out, (first, weights)) in out.chunks_exact_mut(stride).zip(axis.taps()) {
        let rows = &source[(first - first_row) * stride..][..weights.len() * stride];
        if stride < BLOCK {
            vertical_blocks::<CHANNELS>(rows, stride, weights, out);
        } else {
            vertical_blocks::<BLOCK>(rows, stride, weights, out);
        }
    }
    out
}

/// Makes one row, `N` values at a time; the last `N` overlap the ones before if they must.
#[expect(clippy::inline_always, reason = "see the module documentation")]
#[inline(always)]
fn vertical_blocks<const N: usize>(rows: &[u8], stride: usize, weights: &[i32], out: &mut [u8]) {
    for at in (0..stride).step_by(N) {
        let at = at.min(stride - N);
        let blocks = rows
            .chunks_exact(stride)
            .filter_map(|row| row[at..].first_chunk::<N>());
        out[at..][..N].copy_from_slice(&weighted_sums(blocks, weights));
    }
}

/// `N` sums of samples, each sample times the weight of its row, rounded to 8 bits.
///
/// Source: the inner loops and `clip8` of Pillow's `Resample.c`.
#[expect(clippy::inline_always, reason = "see the module documentation")]
#[inline(always)]
fn weighted_sums<'a, const N: usize>(
    rows: impl Iterator<Item = &'a [u8; N]>,
    weights: &[i32],
) -> [u8; N] {
    let mut sums = [1 << (PRECISION_BITS - 1); N]; // half a unit, so that the shift rounds
    for (row, &weight) in rows.zip(weights) {
        for (sum, &sample) in sums.iter_mut().zip(row) {
            *sum += i32::from(sample) * weight;
        }
    }
    let mut rounded = [0; N];
    for (rounded, sum) in rounded.iter_mut().zip(sums) {
        *rounded = clip(sum);
    }
    rounded
}

/// A sum in whole units.
#[expect(
    clippy::cast_sign_loss,
    clippy::inline_always,
    reason = "within 0..=255; see the module documentation"
)]
#[inline(always)]
fn clip(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}
