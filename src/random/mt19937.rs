//! NumPy's legacy `RandomState` over MT19937.

use rand_mt::Mt;

/// `np.random.RandomState(seed)`: MT19937 with Knuth's seeding.
///
/// The u32 stream is that of `rand_mt`; this type adds NumPy's doubles and bounded integers.
///
/// Source: NumPy 2.4, `numpy/random/mtrand.pyx` and `src/distributions/distributions.c`.
#[derive(Clone, Debug)]
pub struct RandomState {
    mt: Mt,
}

impl RandomState {
    /// Seeds a generator with an integer; NumPy takes no larger ones either.
    pub fn new(seed: u32) -> Self {
        Self { mt: Mt::new(seed) }
    }

    /// Returns the next double in [0, 1), as `uniform()` and `random_sample()` do: 53 bits of two
    /// u32.
    pub fn uniform(&mut self) -> f64 {
        let high = f64::from(self.mt.next_u32() >> 5);
        let low = f64::from(self.mt.next_u32() >> 6);
        (high * f64::from(1 << 26) + low) / (1_u64 << 53) as f64
    }

    /// Draws an integer below `n`, as `randint(0, n)` does: u32 draws under a mask until one fits.
    ///
    /// `n = 1` costs no draw; so does `n = 0`, which gives 0 where NumPy raises.
    pub fn randint(&mut self, n: u32) -> u32 {
        let max = n.saturating_sub(1);
        if max == 0 {
            return 0;
        }
        let mask = u32::MAX >> max.leading_zeros();
        loop {
            let value = self.mt.next_u32() & mask;
            if value <= max {
                return value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_one_choice_costs_no_draw() {
        let mut rng = RandomState::new(42);
        assert_eq!((rng.randint(0), rng.randint(1)), (0, 0));
        assert_eq!(
            rng.randint(u32::MAX),
            RandomState::new(42).randint(u32::MAX)
        );
    }
}
