//! The random choices of a drawing: a PCG stream seeded by a digest, and what is drawn from it.
//!
//! Only integer arithmetic and exactly rounded float operations are used, here and in all of
//! `synth`, so that a seed draws the same pixels on every machine.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// A stream of choices.
#[derive(Debug, Clone)]
pub struct Dice(Pcg64Mcg);

impl Dice {
    /// The stream of a seed.
    pub fn new(seed: [u8; 16]) -> Self {
        Self(Pcg64Mcg::from_seed(seed))
    }

    /// 64 random bits.
    fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0.0..1.0`, a multiple of 2^-24.
    pub fn unit(&mut self) -> f32 {
        const STEP: f32 = 1.0 / 16_777_216.0;
        (self.bits() >> 40) as f32 * STEP
    }

    /// A number from `low` to `high`.
    pub fn within(&mut self, [low, high]: [f32; 2]) -> f32 {
        low + (high - low) * self.unit()
    }

    /// A number below `n`, by multiplication; the bias of at most n/2^32 does not matter here.
    pub fn below(&mut self, n: usize) -> usize {
        let product = (self.bits() >> 32) * n as u64;
        (product >> 32) as usize
    }

    /// A direction, of a length from 1 to the square root of 2: to a point on the sides of a square, all alike.
    pub fn direction(&mut self) -> [f32; 2] {
        let along = self.within([-1.0, 1.0]);
        self.pick(&[[along, 1.0], [along, -1.0], [1.0, along], [-1.0, along]])
    }

    /// One of `options`, which holds at least one.
    pub fn pick<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.below(options.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_stay_in_range_and_reach_all_of_it() {
        let mut dice = Dice::new([1; 16]);
        let mut counts = [0; 5];
        for _ in 0..5000 {
            counts[dice.below(5)] += 1;
            assert!((0.0..1.0).contains(&dice.unit()));
            assert!((-0.5..2.0).contains(&dice.within([-0.5, 2.0])));
        }
        // A fair die stays within 5 standard deviations, 141, of 1000.
        assert!(
            counts.iter().all(|count| (859..1141).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn a_seed_gives_its_stream_again() {
        let stream = |seed| {
            let mut dice = Dice::new(seed);
            [dice.bits(), dice.bits(), dice.bits()]
        };
        assert_eq!(stream([3; 16]), stream([3; 16]));
        assert_ne!(stream([3; 16]), stream([4; 16]));
    }
}
