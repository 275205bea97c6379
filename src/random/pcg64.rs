//! NumPy's `Generator` over PCG64.
//!
//! The u64 stream is that of `rand_pcg`. What this module adds is how NumPy seeds it, cuts it into
//! u32, and turns it into bounded integers and samples. The number of draws is part of each result:
//! it decides all that follow.

use std::collections::BTreeSet;

use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng;

use super::seed_sequence::SeedSequence;

/// Above this population, [`Generator::choice_without_replacement`] may shuffle its tail.
const TAIL_SHUFFLE_POPULATION: usize = 10_000;
/// It does so if more than one in this many members is asked for.
const TAIL_SHUFFLE_CUTOFF: usize = 50;

/// `np.random.default_rng(seed)`: SeedSequence, then PCG64 (XSL-RR 128/64).
///
/// Source: NumPy 2.4, `numpy/random/_generator.pyx` and `src/distributions/distributions.c`.
#[derive(Clone, Debug)]
pub struct Generator {
    pcg: Pcg64,
    /// The high half of the last u64 that was cut, until `next_u32` hands it out.
    high_half: Option<u32>,
}

impl Generator {
    /// Seeds a generator with an integer.
    pub fn new(seed: u64) -> Self {
        Self::with_key(seed, &[])
    }

    /// Seeds a generator with an integer and a key, as `np.random.default_rng([seed, *key])` does: one seed gives as
    /// many independent streams as there are keys.
    pub fn with_key(seed: u64, key: &[u8]) -> Self {
        let words = SeedSequence::new(seed, key).state::<4>();
        let [state, stream] = [[words[0], words[1]], [words[2], words[3]]]
            .map(|[high, low]| u128::from(high) << 64 | u128::from(low));
        Self {
            pcg: Pcg64::new(state, stream),
            high_half: None,
        }
    }

    /// Returns the next u64; a kept half of an earlier one stays for [`Self::next_u32`].
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.pcg.next_u64()
    }

    /// Returns the low half of the next u64, and on the call after that its high half.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        if let Some(high) = self.high_half.take() {
            return high;
        }
        let (high, low) = halves(self.pcg.next_u64());
        self.high_half = Some(high);
        low
    }

    /// Returns the next double in [0, 1), as `random()` does: 53 bits of one u64.
    #[inline]
    pub fn next_f64(&mut self) -> f64 {
        // Both factors are exact in f64, and so is the product.
        (self.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Draws `n` integers in `low..high`, as `integers(low, high, size=n, dtype=np.int32)` does.
    ///
    /// Calls in a row give the same integers as one call for all of them.
    /// An empty range gives no integers; NumPy raises there.
    pub fn integers_i32(&mut self, low: i32, high: i32, n: usize) -> Vec<i32> {
        if low >= high {
            return Vec::new();
        }
        let max_offset = high.abs_diff(low) - 1;
        (0..n)
            .map(|_| low.wrapping_add_unsigned(self.bounded_u32(max_offset)))
            .collect()
    }

    /// Draws `size` distinct integers below `population`, as
    /// `choice(population, size, replace=False)` does, in its order.
    ///
    /// A `size` above the population counts as the population; NumPy raises there.
    pub fn choice_without_replacement(&mut self, population: usize, size: usize) -> Vec<usize> {
        let size = size.min(population);
        if population > TAIL_SHUFFLE_POPULATION && size > population / TAIL_SHUFFLE_CUTOFF {
            let mut members: Vec<usize> = (0..population).collect();
            self.shuffle_tail(&mut members, population - size);
            members.split_off(population - size)
        } else {
            let mut chosen = self.floyd(population, size);
            self.shuffle_tail(&mut chosen, 0);
            chosen
        }
    }

    /// Draws a uniform set of `size` integers below `population` by Robert Floyd's algorithm.
    fn floyd(&mut self, population: usize, size: usize) -> Vec<usize> {
        let mut seen = BTreeSet::new();
        (population - size..population)
            .map(|last| {
                let drawn = self.bounded_usize(last);
                let chosen = if seen.contains(&drawn) { last } else { drawn };
                seen.insert(chosen);
                chosen
            })
            .collect()
    }

    /// Swaps each item from the last down to `first` with one at or before it (Fisher and Yates).
    ///
    /// Item 0 can only stay, and its draw costs nothing.
    fn shuffle_tail(&mut self, items: &mut [usize], first: usize) {
        for i in (first..items.len()).rev() {
            let j = self.bounded_usize(i);
            items.swap(i, j);
        }
    }

    /// Draws an integer in `0..=max`, from u32 draws if it fits them and else from u64 draws.
    fn bounded_usize(&mut self, max: usize) -> usize {
        match u32::try_from(max) {
            Ok(max) => self.bounded_u32(max) as usize,
            Err(_) => self.bounded_wide(max),
        }
    }

    /// Draws an integer in `0..=max` from u32 draws by Lemire's method; `max = 0` costs no draw.
    #[inline]
    fn bounded_u32(&mut self, max: u32) -> u32 {
        if max == 0 {
            return 0;
        }
        let Some(n) = max.checked_add(1) else {
            return self.next_u32();
        };
        let (mut value, mut remainder) = halves(u64::from(self.next_u32()) * u64::from(n));
        if remainder < n {
            let threshold = n.wrapping_neg() % n; // 2^32 mod n
            while remainder < threshold {
                (value, remainder) = halves(u64::from(self.next_u32()) * u64::from(n));
            }
        }
        value
    }

    /// [`Self::bounded_u32`] from u64 draws, for `max` of more than 32 bits.
    #[cold]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low half of the product is wanted, and the high half is at most `max`"
    )]
    fn bounded_wide(&mut self, max: usize) -> usize {
        let n = max as u64 + 1; // `max` is below the population, so this does not overflow
        let threshold = n.wrapping_neg() % n; // 2^64 mod n
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= threshold {
                return (product >> 64) as usize;
            }
        }
    }
}

/// Cuts a u64 into its (high, low) halves.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the halves are what is wanted"
)]
fn halves(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_range_gives_no_integers_and_costs_no_draw() {
        let mut rng = Generator::new(17);
        assert!(rng.integers_i32(3, 3, 10).is_empty());
        assert!(rng.integers_i32(i32::MAX, i32::MIN, 10).is_empty());
        assert_eq!(rng.next_u64(), Generator::new(17).next_u64());
    }

    #[test]
    fn choice_of_more_than_the_population_is_the_population() {
        let choice = |size| Generator::new(17).choice_without_replacement(9, size);
        assert_eq!(choice(10), choice(9));
        assert_eq!(choice(usize::MAX), choice(9));
        assert!(
            Generator::new(17)
                .choice_without_replacement(0, 5)
                .is_empty()
        );
    }

    #[test]
    fn choice_is_of_distinct_members() {
        for (population, size) in [(1_000, 1_000), (20_000, 100), (20_000, 15_000)] {
            let chosen = Generator::new(17).choice_without_replacement(population, size);
            let distinct: BTreeSet<usize> = chosen.iter().copied().collect();
            assert_eq!((chosen.len(), distinct.len()), (size, size));
            assert!(chosen.iter().all(|&member| member < population));
        }
    }
}
