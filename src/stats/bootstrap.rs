//! Bootstrap means of a model's scores and their percentile interval, as NumPy computes them.

use std::ops::{Add, Mul, Sub};

use super::Interval;
use crate::error::{Error, Message};
use crate::interrupt::Interrupt;
use crate::random::Generator;

/// The most scores whose sums f32 holds exactly, so that the order of summation does not matter.
const MAX_SCORES: usize = 1 << 24;

/// Returns the mean score of each of `resamples` draws with replacement, each as large as `scores`.
///
/// `scores`: `[n]` f32, each 0 or 1, sorted by image id. The draws depend on `n` and `seed` only:
/// models with the same images are resampled alike, and their means can be compared pairwise.
///
/// # Errors
/// Where there are no scores, too many, or one that is neither 0 nor 1; once `interrupt` asks for it.
///
/// Source: `biobench.newt.bootstrap_scores` with `np.random.default_rng(seed)`; `mean(axis=1)` of
/// NumPy 2.4 on float32.
pub fn bootstrap_means(
    scores: &[f32],
    resamples: usize,
    seed: u64,
    interrupt: &Interrupt,
) -> Result<Vec<f32>, Error> {
    let n = scores.len();
    let right = n_right(scores, resamples, Generator::new(seed), interrupt)?;
    let mean = |n_right| n_right as f32 / n as f32;
    Ok(right.into_iter().map(mean).collect())
}

/// Returns how many of the scores are 1 in each of `resamples` draws with replacement, each as large as `scores`.
///
/// `scores`: `[n]` f32, each 0 or 1. A draw is `rng.integers(0, n, size=n, dtype=np.int32)`, one after the other from
/// `rng`.
///
/// # Errors
/// Where there are no scores, too many, or one that is neither 0 nor 1; once `interrupt` asks for it.
pub fn n_right(
    scores: &[f32],
    resamples: usize,
    mut rng: Generator,
    interrupt: &Interrupt,
) -> Result<Vec<u32>, Error> {
    let n = scores.len();
    if n == 0 {
        return Err(Message::machine("bootstrap: 0 scores, expected at least 1").into());
    }
    let Some(high) = i32::try_from(n).ok().filter(|_| n <= MAX_SCORES) else {
        let text = format!("bootstrap: {n} scores, expected at most {MAX_SCORES}");
        return Err(Message::machine(text).into());
    };
    let hits = hits(scores)?;

    let n_hits = |_| {
        interrupt.check()?;
        let drawn = rng.integers_i32(0, high, n).into_iter();
        Ok(drawn
            .map(|index| u32::from(hits[index.unsigned_abs() as usize]))
            .sum())
    };
    (0..resamples).map(n_hits).collect()
}

/// Returns the interval that leaves out a share of `alpha / 2` of the means at each end.
///
/// `means`: `[resamples]` f32 or f64, in any order. Equals `np.quantile(means, alpha / 2)` and
/// `np.quantile(means, 1 - alpha / 2)` bit for bit: NumPy finds the place between two means in
/// float64 and interpolates in the type of the means. Two near relatives are not meant: `np.percentile` may
/// differ in the last bit, since `100 * q / 100` is not always `q`; and with both quantiles in one
/// list, either function interpolates float32 means in float64.
///
/// # Errors
/// Where `alpha` is not between 0 and 1, and where there are no means, or one that is no finite number.
///
/// Source: `numpy/lib/_function_base_impl.py` of NumPy 2.4, method `linear`.
pub fn interval<F: Float>(means: &[F], alpha: f64) -> Result<Interval, Error> {
    if !(alpha > 0.0 && alpha < 1.0) {
        let text =
            format!("bootstrap: `alpha` is `{alpha}`, expected more than `0` and less than `1`");
        return Err(Message::machine(text)
            .hint("set `bootstrap.alpha` to `0.05` for a 95% interval")
            .into());
    }
    if let Some(index) = means.iter().position(|&mean| !mean.into().is_finite()) {
        let mean: f64 = means[index].into();
        let text =
            format!("bootstrap: mean of resample {index} is `{mean}`, expected a finite number");
        return Err(Message::machine(text).into());
    }
    let mut sorted = means.to_vec();
    sorted.sort_unstable_by(|&a, &b| a.into().total_cmp(&b.into()));
    let quantile = |q| {
        quantile(&sorted, q).ok_or_else(|| {
            Message::machine("bootstrap: 0 resamples, expected at least 1 for an interval")
                .hint("set `bootstrap.resamples` to `1` or more")
        })
    };
    Ok(Interval {
        low: quantile(alpha / 2.0)?.into(),
        high: quantile(1.0 - alpha / 2.0)?.into(),
    })
}

/// Checks the scores and packs them, so that more of them stay in the processor's cache.
fn hits(scores: &[f32]) -> Result<Vec<u8>, Error> {
    let hit = |(index, &score)| match score {
        0.0 => Ok(0),
        1.0 => Ok(1),
        _ => {
            let text = format!("bootstrap: score {index} is `{score}`, expected `0` or `1`");
            Err(Message::machine(text).into())
        }
    };
    scores.iter().enumerate().map(hit).collect()
}

/// NumPy's linear quantile of sorted values, `q` a Python float in [0, 1]; `None` without values.
fn quantile<F: Float>(sorted: &[F], q: f64) -> Option<F> {
    let last = sorted.len().checked_sub(1)?;
    let place = last as f64 * q;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 <= place <= last, and the fraction is taken up by `t`"
    )]
    let below = place as usize;
    let t = place - place.floor();

    let a = sorted[below];
    let b = sorted[last.min(below + 1)];
    // From the nearer end, so that the result does not leave [a, b].
    Some(if t < 0.5 {
        a + (b - a) * F::weak(t)
    } else {
        b - (b - a) * F::weak(1.0 - t)
    })
}

/// The type of means, and so of the arithmetic of their quantiles.
pub trait Float:
    Copy + Into<f64> + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self>
{
    /// Rounds a Python float as NumPy does where it meets this type.
    fn weak(value: f64) -> Self;
}

impl Float for f32 {
    #[expect(clippy::cast_possible_truncation, reason = "the rounding is NumPy's")]
    fn weak(value: f64) -> Self {
        value as f32
    }
}

impl Float for f64 {
    fn weak(value: f64) -> Self {
        value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::interrupt::Stopped;

    fn means_of(scores: &[f32], resamples: usize, seed: u64) -> Result<Vec<f32>, Error> {
        bootstrap_means(scores, resamples, seed, &Interrupt::default())
    }

    #[test]
    fn a_stop_is_heard_between_two_resamples() {
        let interrupt = Interrupt::default();
        interrupt
            .flag()
            .store(libc::SIGTERM as usize, Ordering::Relaxed);
        // More than there is memory for.
        let stopped = bootstrap_means(&[1.0, 0.0], usize::MAX >> 8, 17, &interrupt);
        assert!(stopped.unwrap_err().is_a::<Stopped>().is_some());
    }

    fn message(error: &Error) -> String {
        match error.hint() {
            Some(hint) => format!("{error}; hint: {hint}"),
            None => error.to_string(),
        }
    }

    #[test]
    fn means_depend_on_the_seed_and_on_nothing_that_changes() {
        let scores: Vec<f32> = (0..50_u8).map(|i| f32::from(i % 2)).collect();
        let means = means_of(&scores, 20, 17).unwrap();
        assert_eq!(means.len(), 20);
        assert_eq!(means, means_of(&scores, 20, 17).unwrap());
        assert_eq!(means[..7], means_of(&scores, 7, 17).unwrap());
        assert_ne!(means, means_of(&scores, 20, 18).unwrap());
    }

    #[test]
    fn no_resamples_give_no_means_and_no_interval() {
        let means = means_of(&[1.0], 0, 17).unwrap();
        assert!(means.is_empty());
        assert_eq!(
            message(&interval(&means, 0.05).unwrap_err()),
            "bootstrap: 0 resamples, expected at least 1 for an interval; \
             hint: set `bootstrap.resamples` to `1` or more"
        );
    }

    #[test]
    fn scores_that_cannot_be_resampled_are_refused() {
        let refused = |scores: &[f32]| message(&means_of(scores, 1, 17).unwrap_err());
        assert_eq!(refused(&[]), "bootstrap: 0 scores, expected at least 1");
        assert_eq!(
            refused(&[1.0, 0.0, 0.5]),
            "bootstrap: score 2 is `0.5`, expected `0` or `1`"
        );
        assert_eq!(
            refused(&[f32::NAN]),
            "bootstrap: score 0 is `NaN`, expected `0` or `1`"
        );
        assert_eq!(
            refused(&vec![1.0; MAX_SCORES + 1]),
            "bootstrap: 16777217 scores, expected at most 16777216"
        );
    }

    #[test]
    fn the_most_scores_are_counted_exactly() {
        assert_eq!(means_of(&vec![1.0; MAX_SCORES], 1, 17).unwrap(), [1.0]);
    }

    #[test]
    fn alpha_outside_of_zero_and_one_is_refused() {
        for alpha in [0.0, 1.0, -0.05, f64::NAN, f64::INFINITY] {
            let expected = format!(
                "bootstrap: `alpha` is `{alpha}`, expected more than `0` and less than `1`; \
                 hint: set `bootstrap.alpha` to `0.05` for a 95% interval"
            );
            assert_eq!(message(&interval(&[0.5_f32], alpha).unwrap_err()), expected);
        }
    }

    #[test]
    fn means_that_are_no_numbers_are_refused() {
        assert_eq!(
            message(&interval(&[0.5, f32::NAN], 0.05).unwrap_err()),
            "bootstrap: mean of resample 1 is `NaN`, expected a finite number"
        );
    }

    #[test]
    fn interval_does_not_depend_on_the_order_of_the_means() {
        let means = [0.4, 0.1, 0.3, 0.2, 0.5];
        let interval_of = |means: &[f32]| interval(means, 0.5).unwrap();
        let Interval { low, high } = interval_of(&means);
        assert_eq!((low, high), (f64::from(0.2_f32), f64::from(0.4_f32)));
        assert_eq!(interval_of(&[0.1, 0.2, 0.3, 0.4, 0.5]), interval_of(&means));
    }
}
