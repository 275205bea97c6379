//! Which pair of variables the solver changes next.

use super::Smo;
use crate::probe::svc::dual::TAU;
use crate::probe::svc::simd::{LANES, Simd, lanes};

/// A gain of at least this share of the largest, by estimate, may be the largest.
const NEARLY_ONE: f64 = 1.0 - 1.0 / 2048.0;

/// Variables whose bits fit into one word.
const GROUP: usize = 64;

/// Largest v over `I_up`, and largest -v over `I_low`.
#[derive(Clone, Copy)]
pub struct Violation {
    pub up: f64,
    pub low: f64,
}

impl<S: Simd> Smo<'_, S> {
    #[inline(always)]
    pub fn violation(&self) -> Violation {
        let mut maxima = Maxima::new(self.s);
        let chunks = lanes(self.v).zip(lanes(self.up)).zip(lanes(self.low));
        for ((v, up), low) in chunks {
            maxima.take(self.s, self.s.load(v), up, low);
        }
        maxima.finish(self.s)
    }

    /// Chooses the next pair: i violates optimality most, j promises the largest decrease with it. `None` if no pair
    /// violates optimality by the tolerance.
    #[inline(always)]
    pub fn select(&mut self, violation: Violation) -> Option<(usize, usize)> {
        let is_empty = violation.up == f64::NEG_INFINITY;
        if is_empty || violation.up + violation.low < self.dual.params.tol {
            return None;
        }
        let i = self.last_violating(violation.up)?;
        let best = self.estimate_gains(i, violation.up);
        if best == f64::NEG_INFINITY {
            return None;
        }
        let j = self.best_of(i, violation.up, best * NEARLY_ONE)?;
        Some((i, j))
    }

    /// Of the rows in `I_up` with the largest v, the one that comes last in libsvm's order.
    #[inline(always)]
    fn last_violating(&self, largest_v: f64) -> Option<usize> {
        let s = self.s;
        let largest_v = s.splat(largest_v);
        let mut last: Option<usize> = None;
        let groups = self.v.chunks(GROUP).zip(self.up.chunks(GROUP));
        for (group, (v, up)) in groups.enumerate() {
            let mut equal = 0_u64;
            for (chunk, (v, up)) in lanes(v).zip(lanes(up)).enumerate() {
                let of_chunk = s.at_least(s.add(s.load(v), s.load(up)), largest_v);
                equal |= u64::from(of_chunk) << (chunk * LANES);
            }
            while let Some(t) = next_of(&mut equal, group) {
                if last.is_none_or(|last| self.place[t] > self.place[last]) {
                    last = Some(t);
                }
            }
        }
        last
    }

    /// Of the candidates for j whose gain reaches `threshold` by estimate, the one with the largest gain; of equals,
    /// the one that comes last in libsvm's order.
    #[inline(always)]
    fn best_of(&self, i: usize, largest_v: f64, threshold: f64) -> Option<usize> {
        let threshold = self.s.splat(threshold);
        let mut best: Option<usize> = None;
        for (group, gains) in self.gain.chunks(GROUP).enumerate() {
            let mut reaching = 0_u64;
            for (chunk, gains) in lanes(gains).enumerate() {
                let of_chunk = self.s.at_least(self.s.load(gains), threshold);
                reaching |= u64::from(of_chunk) << (chunk * LANES);
            }
            while let Some(j) = next_of(&mut reaching, group) {
                // Most often there is but one, and no need to know its gain.
                let is_better = best.is_none_or(|best| {
                    let (gain, largest) = (
                        self.gain_of(i, largest_v, j),
                        self.gain_of(i, largest_v, best),
                    );
                    gain > largest || (gain >= largest && self.place[j] > self.place[best])
                });
                if is_better {
                    best = Some(j);
                }
            }
        }
        best
    }

    /// The decrease, doubled, that changing i and j promises.
    #[inline(always)]
    fn gain_of(&self, i: usize, largest_v: f64, j: usize) -> f64 {
        let difference = largest_v - self.v[j];
        difference * difference / self.dual.curvature(i, j)
    }

    /// Estimates the gain of each candidate for j: the decrease, doubled, that changing i and j promises. What is no
    /// candidate gets -∞. Returns the largest.
    ///
    /// Dividing would take as long as all the rest of an iteration; so only gains that may be the largest are computed,
    /// by [`Self::best_of`].
    #[inline(always)]
    fn estimate_gains(&mut self, i: usize, largest_v: f64) -> f64 {
        let (s, dual) = (self.s, self.dual);
        let (zero, tau, minus_two) = (s.splat(0.0), s.splat(TAU), s.splat(-2.0));
        let minus_infinity = s.splat(f64::NEG_INFINITY);
        let (largest_v, diagonal) = (s.splat(largest_v), s.splat(dual.diagonal[i]));
        let mut best = minus_infinity;
        let chunks = lanes(self.v)
            .zip(lanes(self.low))
            .zip(lanes(dual.kernel_row(i)))
            .zip(lanes(dual.diagonal))
            .zip(self.gain.as_chunks_mut::<LANES>().0);
        for ((((v, low), kernel), diagonals), gain) in chunks {
            let difference = s.sub(largest_v, s.load(v));
            let kernel = s.load_f32(kernel);
            let curvature =
                s.add_exact_product(s.add(diagonal, s.load(diagonals)), kernel, minus_two);
            let curvature = s.if_greater(curvature, zero, curvature, tau);
            let value = s.estimate_div(s.mul(difference, difference), curvature);
            // -∞ keeps what is not in `I_low` out.
            let value = s.if_greater(s.add(difference, s.load(low)), zero, value, minus_infinity);
            s.store(value, gain);
            best = s.larger(value, best);
        }
        s.largest_lane(best)
    }
}

/// Takes the first variable of a group out of its bits.
#[inline(always)]
fn next_of(bits: &mut u64, group: usize) -> Option<usize> {
    let first = bits.trailing_zeros() as usize;
    *bits &= bits.wrapping_sub(1);
    (first < GROUP).then_some(group * GROUP + first)
}

/// Lane-wise maxima over `I_up` and `I_low`.
pub struct Maxima<S: Simd> {
    up: S::V,
    low: S::V,
}

impl<S: Simd> Maxima<S> {
    #[inline(always)]
    pub fn new(s: S) -> Self {
        Self {
            up: s.splat(f64::NEG_INFINITY),
            low: s.splat(f64::NEG_INFINITY),
        }
    }

    #[inline(always)]
    pub fn take(&mut self, s: S, v: S::V, up: &[f64; LANES], low: &[f64; LANES]) {
        self.up = s.larger(s.add(v, s.load(up)), self.up);
        self.low = s.larger(s.sub(s.load(low), v), self.low);
    }

    #[inline(always)]
    pub fn finish(self, s: S) -> Violation {
        Violation {
            up: s.largest_lane(self.up),
            low: s.largest_lane(self.low),
        }
    }
}
