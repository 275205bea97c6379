//! Sequential minimal optimisation.

mod selection;
mod shrinking;

use self::selection::{Maxima, Violation};
use super::aligned::Aligned;
use super::dual::{Dual, Ending, Solution, clip_to_difference, clip_to_sum};
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

/// `Dual::go_on` is asked this often: on the largest problems every some 50 ms.
const ITERATIONS_BETWEEN_QUESTIONS: u64 = 1000;

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

/// The larger of two numbers; the second if the first is not a number.
#[inline(always)]
fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}
