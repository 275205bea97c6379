//! Sequential minimal optimisation.

use super::aligned::Aligned;
use super::dual::{Dual, Ending, Solution, TAU, clip_to_difference, clip_to_sum};
use super::simd::{LANES, Simd, lanes, multiversion};

/// State of the solver; kept between problems, so that solving allocates nothing.
///
/// The gradient G of the objective is kept as `v[t] = -y[t] G[t]`, the quantity that the selection compares. Signs commute
/// with rounding, so v has the bits of libsvm's gradient, and the unsigned K serves for Q.
#[derive(Debug, Default)]
pub struct Workspace {
    /// α, `[n]`.
    pub alpha: Vec<f64>,
    /// v, `[stride]`.
    v: Aligned<f64>,
    /// What v would be if all variables but those at the upper bound were zero, without the linear term.
    v_bar: Aligned<f64>,
    /// 0 where t is active and α may change in the direction of y (t is in `I_up`), else -∞; `[stride]`.
    up: Aligned<f64>,
    /// 0 where t is active and α may change against y (t is in `I_low`), else -∞; `[stride]`.
    low: Aligned<f64>,
    /// Scratch of the selection: the gain of each candidate for j, by estimate; `[stride]`.
    gain: Aligned<f64>,
    /// Rows in the order that libsvm's swaps have given them; the active ones are the first.
    order: Vec<usize>,
    /// Place of each row in `order`.
    place: Vec<usize>,
    /// Changes of `v_bar` that are not made yet: a row of K, and the factor that it is subtracted with.
    notes: Vec<(usize, f64)>,
}

impl Workspace {
    fn reset(&mut self, dual: &Dual<'_>) {
        self.alpha.clear();
        self.alpha.resize(dual.n, 0.0);
        self.v.fill_to(dual.stride, 0.0);
        self.v_bar.fill_to(dual.stride, 0.0);
        self.up.fill_to(dual.stride, f64::NEG_INFINITY);
        self.low.fill_to(dual.stride, f64::NEG_INFINITY);
        self.gain.fill_to(dual.stride, f64::NEG_INFINITY);
        self.order.clear();
        self.order.extend(0..dual.n);
        self.place.clear();
        self.place.extend(0..dual.n);
        self.notes.clear();
    }
}

multiversion! {
    /// Solves `dual` from α = 0; α is left in `workspace.alpha`.
    ///
    /// The same iterations as libsvm's: working sets by second-order information (Fan, Chen and Lin, 2005, WSS 2 with
    /// the replacement of non-positive curvature), shrinking with one early reconstruction of the gradient (Chang and
    /// Lin, 2011, section 5.1), rho from the free support vectors. Among equals libsvm takes the last in its present
    /// order, which shrinking changes; so it is kept here, too.
    pub fn solve<S>(s: S, dual: &Dual<'_>, workspace: &mut Workspace) -> Solution {
        workspace.reset(dual);
        Smo::new(s, dual, workspace).run()
    }
}

/// A gain of at least this share of the largest, by estimate, may be the largest.
const NEARLY_ONE: f64 = 1.0 - 1.0 / 2048.0;

/// Changes of `v_bar` that may wait.
const MOST_NOTES: usize = 4096;

/// `Dual::go_on` is asked this often: on the largest problems every some 50 ms.
const ITERATIONS_BETWEEN_QUESTIONS: u64 = 1000;

/// Largest v over `I_up`, and largest -v over `I_low`.
#[derive(Clone, Copy)]
struct Violation {
    up: f64,
    low: f64,
}

struct Smo<'a, S> {
    s: S,
    dual: &'a Dual<'a>,
    // The parts of the workspace.
    alpha: &'a mut [f64],
    v: &'a mut [f64],
    v_bar: &'a mut [f64],
    up: &'a mut [f64],
    low: &'a mut [f64],
    gain: &'a mut [f64],
    order: &'a mut [usize],
    place: &'a mut [usize],
    notes: &'a mut Vec<(usize, f64)>,
    /// Number of active variables.
    n_active: usize,
    /// Whether the one early reconstruction was done.
    unshrunk: bool,
    /// See [`Solution::free_peak`]; infinite once an upper bound has played a part.
    peak: f64,
}

impl<'a, S: Simd> Smo<'a, S> {
    #[inline(always)]
    fn new(s: S, dual: &'a Dual<'a>, workspace: &'a mut Workspace) -> Self {
        let mut smo = Self {
            s,
            dual,
            alpha: &mut workspace.alpha,
            v: &mut workspace.v,
            v_bar: &mut workspace.v_bar,
            up: &mut workspace.up,
            low: &mut workspace.low,
            gain: &mut workspace.gain,
            order: &mut workspace.order,
            place: &mut workspace.place,
            notes: &mut workspace.notes,
            n_active: dual.n,
            unshrunk: false,
            peak: 0.0,
        };
        for t in 0..dual.n {
            smo.v[t] = dual.y(t);
            smo.open(t);
        }
        smo
    }

    #[inline(always)]
    fn run(mut self) -> Solution {
        let period = self.dual.n.min(1000);
        let mut until_shrinking = period + 1;
        let mut iterations = 0_u64;
        let mut violation = self.violation();
        let ending = loop {
            if self.dual.params.max_iterations == Some(iterations) {
                break Ending::Limit;
            }
            if iterations.is_multiple_of(ITERATIONS_BETWEEN_QUESTIONS)
                && !(self.dual.go_on)(iterations)
            {
                break Ending::Stopped;
            }
            until_shrinking -= 1;
            if until_shrinking == 0 {
                until_shrinking = period;
                if self.dual.params.shrinking {
                    self.shrink(violation);
                    violation = self.violation();
                }
            }
            let mut pair = self.select(violation);
            if pair.is_none() {
                self.activate_all();
                violation = self.violation();
                pair = self.select(violation);
                // Shrinks again at once, if there is still something to do.
                until_shrinking = 1;
            }
            let Some(pair) = pair else {
                break Ending::Converged;
            };
            iterations += 1;
            violation = self.optimise(pair);
        };
        Solution {
            rho: self.rho(),
            iterations,
            ending,
            free_peak: (ending == Ending::Converged && self.peak.is_finite()).then_some(self.peak),
        }
    }

    #[inline(always)]
    fn is_upper(&self, t: usize) -> bool {
        self.alpha[t] >= self.dual.c_of(t)
    }

    #[inline(always)]
    fn is_lower(&self, t: usize) -> bool {
        !self.is_upper(t) && self.alpha[t] <= 0.0
    }

    /// Says whether `t` is in `I_up` and whether it is in `I_low`, by its alpha.
    #[inline(always)]
    fn directions(&self, t: usize) -> (bool, bool) {
        let may_grow = !self.is_upper(t);
        let may_fall = !self.is_lower(t);
        if t < self.dual.n_positive {
            (may_grow, may_fall)
        } else {
            (may_fall, may_grow)
        }
    }

    /// Opens `t` to the selection in the directions that its alpha allows.
    #[inline(always)]
    fn open(&mut self, t: usize) {
        let gate = |is_open| if is_open { 0.0 } else { f64::NEG_INFINITY };
        let (up, low) = self.directions(t);
        self.up[t] = gate(up);
        self.low[t] = gate(low);
    }

    /// Hides `t` from the selection.
    fn close(&mut self, t: usize) {
        self.up[t] = f64::NEG_INFINITY;
        self.low[t] = f64::NEG_INFINITY;
    }

    #[inline(always)]
    fn violation(&self) -> Violation {
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
    fn select(&mut self, violation: Violation) -> Option<(usize, usize)> {
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

    /// Minimises over the pair, updates v and returns the new violation.
    #[inline(always)]
    fn optimise(&mut self, (i, j): (usize, usize)) -> Violation {
        let (kernel_i, kernel_j) = (self.dual.kernel_row(i), self.dual.kernel_row(j));
        let step = (self.v[i] - self.v[j]) / self.dual.step_curvature(i, j);

        let (y_i, y_j) = (self.dual.y(i), self.dual.y(j));
        let (c_i, c_j) = (self.dual.c_of(i), self.dual.c_of(j));
        let old = (self.alpha[i], self.alpha[j]);
        let free = (old.0 + y_i * step, old.1 - y_j * step);
        let are_of_one_class = (i < self.dual.n_positive) == (j < self.dual.n_positive);
        let new = if are_of_one_class {
            let sum = old.0 + old.1;
            self.rise_to(sum, c_i.min(c_j));
            clip_to_sum(free, sum, c_i, c_j)
        } else {
            clip_to_difference(free, old.0 - old.1, c_i, c_j)
        };
        self.rise_to(free.0, c_i);
        self.rise_to(free.1, c_j);

        let was_upper = (self.is_upper(i), self.is_upper(j));
        (self.alpha[i], self.alpha[j]) = new;
        self.open(i);
        self.open(j);

        let change_i = y_i * (new.0 - old.0);
        let change_j = y_j * (new.1 - old.1);
        let s = self.s;
        let (change_i, change_j) = (s.splat(change_i), s.splat(change_j));
        let mut maxima = Maxima::new(s);
        let chunks = self
            .v
            .as_chunks_mut::<LANES>()
            .0
            .iter_mut()
            .zip(lanes(kernel_i))
            .zip(lanes(kernel_j))
            .zip(lanes(self.up))
            .zip(lanes(self.low));
        for ((((v, kernel_i), kernel_j), up), low) in chunks {
            let by_i = s.mul(s.load_f32(kernel_i), change_i);
            let by_j = s.mul(s.load_f32(kernel_j), change_j);
            let new = s.sub(s.load(v), s.add(by_i, by_j));
            s.store(new, v);
            maxima.take(s, new, up, low);
        }

        for (t, was_upper, c) in [(i, was_upper.0, y_i * c_i), (j, was_upper.1, y_j * c_j)] {
            match (was_upper, self.is_upper(t)) {
                (false, true) => self.note_for_bar(t, c),
                (true, false) => self.note_for_bar(t, -c),
                _ => {}
            }
        }
        maxima.finish(s)
    }

    /// Notes a value that an alpha took before it was limited to `c`.
    #[inline(always)]
    fn rise_to(&mut self, alpha: f64, c: f64) {
        let peak = if alpha < c { alpha } else { f64::INFINITY };
        self.peak = larger(peak, self.peak);
    }

    /// Notes that `v_bar` changes by `change` times row `t`. Nothing asks for it before variables are shrunk, which in
    /// most fits never happens.
    #[inline(always)]
    fn note_for_bar(&mut self, t: usize, change: f64) {
        if self.notes.len() == MOST_NOTES {
            self.update_bar();
        }
        self.notes.push((t, change));
    }

    /// Makes the changes of `v_bar` that were noted, in their order.
    #[inline(always)]
    fn update_bar(&mut self) {
        for note in 0..self.notes.len() {
            let (t, change) = self.notes[note];
            self.add_to_bar(t, change);
        }
        self.notes.clear();
    }

    #[inline(always)]
    fn add_to_bar(&mut self, t: usize, change: f64) {
        subtract(self.s, self.v_bar, self.dual.kernel_row(t), change);
    }

    /// Computes v of the inactive variables afresh and opens all to the selection.
    #[inline(always)]
    fn activate_all(&mut self) {
        if self.n_active == self.dual.n {
            return;
        }
        self.update_bar();
        let (s, dual) = (self.s, self.dual);
        let (active, inactive) = self.order.split_at(self.n_active);
        // Of all variables, which costs less than to pick the inactive ones row by row.
        let fresh = &mut *self.gain;
        fresh.copy_from_slice(self.v_bar);
        for (t, v) in fresh[..dual.n].iter_mut().enumerate() {
            *v += dual.y(t);
        }
        for &row in active {
            let alpha = self.alpha[row];
            if alpha <= 0.0 || alpha >= dual.c_of(row) {
                continue;
            }
            subtract(s, fresh, dual.kernel_row(row), dual.y(row) * alpha);
        }
        for &t in inactive {
            self.v[t] = fresh[t];
        }
        for place in self.n_active..self.dual.n {
            self.open(self.order[place]);
        }
        self.n_active = self.dual.n;
    }

    /// Takes variables at a bound that are likely to stay there out of the selection.
    #[inline(always)]
    fn shrink(&mut self, violation: Violation) {
        if !self.unshrunk && violation.up + violation.low <= self.dual.params.tol * 10.0 {
            self.unshrunk = true;
            self.activate_all();
        }
        let mut place = 0;
        while place < self.n_active {
            if self.is_settled(self.order[place], violation) {
                self.n_active -= 1;
                // The last active variable that is not settled takes the place.
                while self.n_active > place {
                    if !self.is_settled(self.order[self.n_active], violation) {
                        self.swap(place, self.n_active);
                        break;
                    }
                    self.n_active -= 1;
                }
            }
            place += 1;
        }
        for place in self.n_active..self.dual.n {
            self.close(self.order[place]);
        }
    }

    /// Says whether a variable at a bound would not move, however the violation is resolved.
    fn is_settled(&self, t: usize, violation: Violation) -> bool {
        match self.directions(t) {
            (true, false) => -self.v[t] > violation.low,
            (false, true) => self.v[t] > violation.up,
            _ => false,
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.order.swap(a, b);
        self.place[self.order[a]] = a;
        self.place[self.order[b]] = b;
    }

    /// The mean of y ∇f over the free variables; without any, the middle of the interval that the bounds allow. Before
    /// the end variables that are out of the selection do not count.
    ///
    /// A gradient that is not a number becomes the bound, and the next one takes its place: so libsvm's `min` and `max`
    /// have it.
    #[inline(always)]
    fn rho(&self) -> f64 {
        let mut sum = 0.0;
        let mut n_free = 0_u32;
        let (mut above, mut below) = (f64::INFINITY, f64::NEG_INFINITY);
        for &t in &self.order[..self.n_active] {
            let y_gradient = -self.v[t];
            match self.directions(t) {
                (true, false) => {
                    above = if above < y_gradient {
                        above
                    } else {
                        y_gradient
                    }
                }
                (false, true) => below = larger(below, y_gradient),
                _ => {
                    sum += y_gradient;
                    n_free += 1;
                }
            }
        }
        if n_free > 0 {
            sum / f64::from(n_free)
        } else {
            f64::midpoint(above, below)
        }
    }
}

/// Subtracts `factor` times a row of K.
#[inline(always)]
fn subtract<S: Simd>(s: S, from: &mut [f64], kernel: &[f32], factor: f64) {
    let factor = s.splat(factor);
    for (v, kernel) in from
        .as_chunks_mut::<LANES>()
        .0
        .iter_mut()
        .zip(lanes(kernel))
    {
        s.store(s.sub(s.load(v), s.mul(s.load_f32(kernel), factor)), v);
    }
}

/// Variables whose bits fit into one word.
const GROUP: usize = 64;

/// Takes the first variable of a group out of its bits.
#[inline(always)]
fn next_of(bits: &mut u64, group: usize) -> Option<usize> {
    let first = bits.trailing_zeros() as usize;
    *bits &= bits.wrapping_sub(1);
    (first < GROUP).then_some(group * GROUP + first)
}

/// The larger of two numbers; the second if the first is not a number.
#[inline(always)]
fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// Lane-wise maxima over `I_up` and `I_low`.
struct Maxima<S: Simd> {
    up: S::V,
    low: S::V,
}

impl<S: Simd> Maxima<S> {
    #[inline(always)]
    fn new(s: S) -> Self {
        Self {
            up: s.splat(f64::NEG_INFINITY),
            low: s.splat(f64::NEG_INFINITY),
        }
    }

    #[inline(always)]
    fn take(&mut self, s: S, v: S::V, up: &[f64; LANES], low: &[f64; LANES]) {
        self.up = s.larger(s.add(v, s.load(up)), self.up);
        self.low = s.larger(s.sub(s.load(low), v), self.low);
    }

    #[inline(always)]
    fn finish(self, s: S) -> Violation {
        Violation {
            up: s.largest_lane(self.up),
            low: s.largest_lane(self.low),
        }
    }
}
