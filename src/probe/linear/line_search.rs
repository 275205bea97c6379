//! A step along a line that reduces a function enough and levels its slope.
//!
//! Paper: J. J. Moré, D. J. Thuente, *Line search algorithms with guaranteed sufficient decrease*, ACM TOMS 20 (1994); its
//! cases are named in the code. Which variant: MINPACK-2's `dcsrch` and `dcstep`, as L-BFGS-B calls them.

/// Share of the slope by which the value must fall.
const DECREASE: f64 = 1e-3;
/// Share of the slope that may be left.
const CURVATURE: f64 = 0.9;
/// A bracket of this share of its upper end is small enough.
const WIDTH: f64 = 0.1;
/// The largest step.
const MAX_STEP: f64 = 1e10;
/// Bounds of the next step where there is no bracket yet: so many times the last change.
const EXTRAPOLATION: [f64; 2] = [1.1, 4.0];
/// A bracket must shrink by this factor in two steps; else it is halved.
const SHRINKAGE: f64 = 0.66;

/// A place on the line.
#[derive(Clone, Copy)]
pub struct Point {
    /// How far it is from the start.
    pub step: f64,
    /// The function's value there.
    pub value: f64,
    /// The function's slope along the line there.
    pub slope: f64,
}

impl Point {
    /// The same point of the function less a line of the slope `slope`.
    fn less(self, slope: f64) -> Self {
        Self {
            step: self.step,
            value: self.value - self.step * slope,
            slope: self.slope - slope,
        }
    }
}

/// Searches from `start` on, where the step is 0, with `first_step` first, and `evaluate`s at most `n_evaluations` points.
///
/// Returns the last of them, which is good, or as good as it gets; `None` where the function does not fall at the start, or
/// where more would have to be evaluated.
///
/// # Errors
/// Those of `evaluate`.
pub fn search<E>(
    start: Point,
    first_step: f64,
    n_evaluations: usize,
    mut evaluate: impl FnMut(f64) -> Result<Point, E>,
) -> Result<Option<Point>, E> {
    // So that no number is none, too.
    let falls = start.slope < 0.0;
    if !falls {
        return Ok(None);
    }
    let mut search = LineSearch::new(start);
    let mut step = first_step.min(MAX_STEP);
    search.bounds = [0.0, step + EXTRAPOLATION[1] * step];
    for _ in 0..n_evaluations {
        let point = evaluate(step)?;
        match search.next(point) {
            Some(next) => step = next,
            None => return Ok(Some(point)),
        }
    }
    Ok(None)
}

/// A search under way.
struct LineSearch {
    start: Point,
    /// The step with the least value so far, one end of the interval that holds the minimum.
    best: Point,
    /// The other end.
    other: Point,
    is_bracketed: bool,
    /// Whether a modified function still stands in for the given one.
    is_first_stage: bool,
    /// The last two widths of the interval, the latest first.
    widths: [f64; 2],
    /// Where the next step may lie.
    bounds: [f64; 2],
}

impl LineSearch {
    fn new(start: Point) -> Self {
        Self {
            start,
            best: start,
            other: start,
            is_bracketed: false,
            is_first_stage: true,
            widths: [MAX_STEP, 2.0 * MAX_STEP],
            bounds: [0.0, MAX_STEP],
        }
    }

    /// The step after `new`; `None` where that is good, or as good as it gets.
    fn next(&mut self, new: Point) -> Option<f64> {
        let least_slope = DECREASE * self.start.slope;
        let enough = self.start.value + new.step * least_slope;
        let is_enough = new.value <= enough;
        if self.is_first_stage && is_enough && new.slope >= 0.0 {
            self.is_first_stage = false;
        }
        let is_good = is_enough && new.slope.abs() <= CURVATURE * -self.start.slope;
        let is_at_end = new.step == MAX_STEP && is_enough && new.slope <= least_slope;
        let is_at_start = new.step == 0.0 && (new.value > enough || new.slope >= least_slope);
        if is_good || is_at_end || is_at_start || self.is_stuck_at(new.step) {
            return None;
        }
        let mut step = if self.is_first_stage && new.value <= self.best.value && new.value > enough
        {
            // Less the line that the value is to stay below, the function has a minimum that way.
            let modified = |point: Point| point.less(least_slope);
            (self.best, self.other) = (modified(self.best), modified(self.other));
            let step = self.update(modified(new));
            let given = |point: Point| point.less(-least_slope);
            (self.best, self.other) = (given(self.best), given(self.other));
            step
        } else {
            self.update(new)
        };
        let (best, other) = (self.best.step, self.other.step);
        if self.is_bracketed {
            let width = (other - best).abs();
            if width >= SHRINKAGE * self.widths[1] {
                step = best + 0.5 * (other - best);
            }
            self.widths = [width, self.widths[0]];
            self.bounds = [best.min(other), best.max(other)];
        } else {
            self.bounds = EXTRAPOLATION.map(|factor| step + factor * (step - best));
        }
        step = step.clamp(0.0, MAX_STEP);
        Some(if self.is_stuck_at(step) { best } else { step })
    }

    /// Whether there is no room left in the bracket for `step`.
    fn is_stuck_at(&self, step: f64) -> bool {
        let [low, high] = self.bounds;
        self.is_bracketed && (step <= low || step >= high || high - low <= WIDTH * high)
    }

    /// Takes `new` into the interval, and returns the step to try next.
    fn update(&mut self, new: Point) -> f64 {
        let [low, high] = self.bounds;
        let (best, other) = (self.best, self.other);
        let turns = new.slope * best.slope.signum() < 0.0;
        let next;
        if new.value > best.value {
            // Case 1: the value is higher.
            let cubic = Cubic::through(best, new).minimum();
            let quadratic = best.step
                + (best.slope / ((best.value - new.value) / (new.step - best.step) + best.slope))
                    / 2.0
                    * (new.step - best.step);
            next = if (cubic - best.step).abs() <= (quadratic - best.step).abs() {
                cubic
            } else {
                cubic + (quadratic - cubic) / 2.0
            };
            self.is_bracketed = true;
        } else if turns {
            // Case 2: it is lower, and the slope has the other sign.
            let cubic = Cubic::through(new, best).minimum();
            next = farther(new.step, cubic, secant(new, best));
            self.is_bracketed = true;
        } else if new.slope.abs() < best.slope.abs() {
            // Case 3: the slope has the same sign and is smaller. The cubic may have no minimum that way.
            let secant = secant(new, best);
            let cubic = Cubic::through(new, best);
            let cubic = if cubic.falls_beyond_first() {
                cubic.minimum()
            } else if new.step > best.step {
                high
            } else {
                low
            };
            if self.is_bracketed {
                let nearer = if (cubic - new.step).abs() < (secant - new.step).abs() {
                    cubic
                } else {
                    secant
                };
                let limit = new.step + SHRINKAGE * (other.step - new.step);
                next = if new.step > best.step {
                    limit.min(nearer)
                } else {
                    limit.max(nearer)
                };
            } else {
                next = farther(new.step, cubic, secant).max(low).min(high);
            }
        } else if self.is_bracketed {
            // Case 4: the slope has the same sign and is no smaller.
            next = Cubic::through(new, other).minimum();
        } else if new.step > best.step {
            next = high;
        } else {
            next = low;
        }
        if new.value > best.value {
            self.other = new;
        } else {
            if turns {
                self.other = best;
            }
            self.best = new;
        }
        next
    }
}

/// The cubic through two points with their slopes.
struct Cubic {
    first: Point,
    second: Point,
    /// Where the minimum is, as a share of the way from the first point to the second.
    ratio: f64,
    /// Zero where there is no minimum.
    gamma: f64,
}

impl Cubic {
    fn through(first: Point, second: Point) -> Self {
        let width = second.step - first.step;
        let theta = 3.0 * (first.value - second.value) / width + first.slope + second.slope;
        let scale = theta.abs().max(first.slope.abs()).max(second.slope.abs());
        let ratio = theta / scale;
        let square = ratio * ratio - (first.slope / scale) * (second.slope / scale);
        let gamma = (scale * square.max(0.0).sqrt()).copysign(width);
        let p = (gamma - first.slope) + theta;
        let q = ((gamma - first.slope) + gamma) + second.slope;
        Self {
            first,
            second,
            ratio: p / q,
            gamma,
        }
    }

    fn minimum(&self) -> f64 {
        self.first.step + self.ratio * (self.second.step - self.first.step)
    }

    /// Whether the minimum is on the side of the first point where the second is not.
    fn falls_beyond_first(&self) -> bool {
        self.ratio < 0.0 && self.gamma != 0.0
    }
}

/// Where the line through the slopes of two points is zero.
fn secant(first: Point, second: Point) -> f64 {
    let ratio = first.slope / (first.slope - second.slope);
    first.step + ratio * (second.step - first.step)
}

/// `a` where it is farther from `step` than `b`.
fn farther(step: f64, a: f64, b: f64) -> f64 {
    if (a - step).abs() > (b - step).abs() {
        a
    } else {
        b
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function's value and slope.
    type Line = fn(f64) -> (f64, f64);

    /// The steps that are evaluated, and whether the last of them was found good enough.
    fn searched(line: Line, first_step: f64, n_evaluations: usize) -> (Vec<f64>, bool) {
        let point = |step| {
            let (value, slope) = line(step);
            Point { step, value, slope }
        };
        let mut steps = Vec::new();
        let found = search(point(0.0), first_step, n_evaluations, |step| {
            steps.push(step);
            Ok::<_, ()>(point(step))
        });
        (steps, found.unwrap().is_some())
    }

    /// Of Moré and Thuente's paper, functions 1 and 2, which bring all four cases; a polynomial.
    const LINES: [Line; 3] = [
        |t| {
            let square = t * t + 2.0;
            (-t / square, (t * t - 2.0) / (square * square))
        },
        |t| {
            let t = t + 0.004;
            let cube = t * t * t;
            (cube * t * t - 2.0 * cube * t, 5.0 * cube * t - 8.0 * cube)
        },
        |t| (t * t * t * t / 4.0 - t, t * t * t - 1.0),
    ];

    /// Steps of SciPy 1.17.1, `scipy.optimize._dcsrch.DCSRCH(…, ftol=1e-3, gtol=0.9, xtol=0.1, stpmin=0, stpmax=1e10)`.
    #[test]
    fn steps_are_those_of_scipy() {
        let expected: [(usize, &[f64]); 7] = [
            (0, &[0.001, 0.005, 0.021, 0.085, 0.341]),
            (
                0,
                &[
                    1000.0,
                    332.835_370_946_986_13,
                    110.783_827_648_205_93,
                    36.887_606_963_966_62,
                ],
            ),
            (
                1,
                &[
                    0.001,
                    0.005,
                    0.021,
                    0.085,
                    0.341,
                    1.365,
                    5.461,
                    2.107_024_766_878_695_7,
                    1.551_692_634_475_675,
                    1.597_583_044_898_559_5,
                    1.597_583_044_898_559_5,
                ],
            ),
            (
                1,
                &[
                    0.1,
                    0.5,
                    2.1,
                    1.132_237_518_770_113_7,
                    1.602_408_526_677_873_8,
                    1.584_738_283_427_673_8,
                    1.602_408_526_677_873_8,
                ],
            ),
            (
                1,
                &[
                    1000.0,
                    222.295_654_845_938_03,
                    49.472_816_490_427_086,
                    11.069_352_144_736_474,
                    2.543_368_556_030_314_3,
                    0.720_115_341_559_290_5,
                    1.629_651_316_665_373_9,
                    1.351_222_979_788_147_2,
                    1.595_040_276_031_659_8,
                    1.595_040_276_031_659_8,
                ],
            ),
            (
                2,
                &[
                    0.001,
                    0.005,
                    0.021,
                    0.085,
                    0.341,
                    1.365,
                    0.733_785_100_109_571_9,
                ],
            ),
            (2, &[10.0, 1.686_607_376_044_901_2, 0.836_431_508_798_481_3]),
        ];
        for (line, expected) in expected {
            let (steps, is_found) = searched(LINES[line], expected[0], 50);
            assert!(is_found);
            assert_eq!(steps.len(), expected.len(), "{steps:?}");
            for (step, expected) in steps.iter().zip(expected) {
                assert!((step - expected).abs() <= 1e-12 * expected, "{steps:?}");
            }
        }
    }

    #[test]
    fn a_line_that_does_not_fall_is_not_searched_and_none_for_ever() {
        assert_eq!(searched(|t| (t, 1.0), 1.0, 50), (vec![], false));
        assert_eq!(searched(|_| (f64::NAN, f64::NAN), 1.0, 50), (vec![], false));
        let (steps, is_found) = searched(LINES[1], 0.001, 5);
        assert_eq!((steps.len(), is_found), (5, false));
    }
}
