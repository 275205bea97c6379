//! The two passes of a resize: each makes every output pixel a weighted sum of input pixels.
//!
//! Everything here is inlined into its caller, which is compiled once per set of processor
//! features; the loops are written so that the compiler turns them into vector code for each.

use super::filter::{Axis, PRECISION_BITS};

pub(super) const CHANNELS: usize = 3;

/// Sums that are added up at a time: as many as stay in vector registers.
const BLOCK: usize = 32;

/// Rows whose pixels fit into a block.
const ROWS: usize = BLOCK / CHANNELS;

/// Resizes each row of `source`, `[rows, stride]`, to the outputs of `axis`.
#[expect(clippy::inline_always, reason = "see the module documentation")]
#[inline(always)]
pub(super) fn horizontal(source: &[u8], stride: usize, axis: &Axis) -> Vec<u8> {
    let out_stride = axis.len() * CHANNELS;
    let mut out = vec![0; source.len() / stride * out_stride];
    // A few rows side by side, so that a weight meets neighbours: [columns, rows, channels]
    let mut wide = vec![[0; BLOCK]; stride / CHANNELS];
    let mut narrow = vec![[0; BLOCK]; axis.len()];
    let groups = source.chunks(stride * ROWS);
    for (source, out) in groups.zip(out.chunks_mut(out_stride * ROWS)) {
        for (r, row) in source.chunks_exact(stride).enumerate() {
            for (column, pixel) in wide.iter_mut().zip(row.as_chunks::<CHANNELS>().0) {
                column[r * CHANNELS..][..CHANNELS].copy_from_slice(pixel);
            }
        }
        for (column, (first, weights)) in narrow.iter_mut().zip(axis.taps()) {
            *column = weighted_sum(wide[first..].iter(), weights);
        }
        for (r, row) in out.chunks_exact_mut(out_stride).enumerate() {
            for (column, pixel) in narrow.iter().zip(row.as_chunks_mut::<CHANNELS>().0) {
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
pub(super) fn vertical(source: &[u8], stride: usize, first_row: usize, axis: &Axis) -> Vec<u8> {
    let mut out = vec![0; axis.len() * stride];
    for (out, (first, weights)) in out.chunks_exact_mut(stride).zip(axis.taps()) {
        let rows = &source[(first - first_row) * stride..][..weights.len() * stride];
        if stride < BLOCK {
            vertical_block::<CHANNELS>(rows, stride, weights, out);
        } else {
            vertical_block::<BLOCK>(rows, stride, weights, out);
        }
    }
    out
}

/// Makes one row, `N` values at a time; the last `N` overlap the ones before if they must.
#[expect(clippy::inline_always, reason = "see the module documentation")]
#[inline(always)]
fn vertical_block<const N: usize>(rows: &[u8], stride: usize, weights: &[i32], out: &mut [u8]) {
    for at in (0..stride).step_by(N) {
        let at = at.min(stride - N);
        let blocks = rows
            .chunks_exact(stride)
            .filter_map(|row| row[at..].first_chunk::<N>());
        out[at..][..N].copy_from_slice(&weighted_sum(blocks, weights));
    }
}

/// `N` sums of samples, each sample times the weight of its row, rounded to 8 bits.
///
/// Source: the inner loops and `clip8` of Pillow's `Resample.c`.
#[expect(clippy::inline_always, reason = "see the module documentation")]
#[inline(always)]
fn weighted_sum<'a, const N: usize>(
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
