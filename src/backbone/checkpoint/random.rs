//! Weights drawn from a seed: the same bytes on every machine.
//!
//! Each tensor has a stream of its own, the extensible output of BLAKE3 over seed and name, so that a
//! tensor does not depend on the others. A value is an odd integer of at most 24 bits, which f32 holds
//! exactly, times a factor: one rounding, and no function of the C library.
//!
//! The law is ours: a matrix is drawn so that a product keeps the scale of its input, whatever the
//! width. timm draws all matrices with a standard deviation of 0.02, which suits the widest networks.
//! Positions are as small as timm's; class tokens, registers and biases are 0.

use crate::backbone::checkpoint::weights::{Init, Source};
use crate::error::Error;

/// Weights that are drawn.
pub struct RandomWeights {
    pub seed: u64,
}

/// Separates these streams from all other uses of BLAKE3.
const CONTEXT: &str = "newt-pipe 2026 weights of a random backbone";

impl Source for RandomWeights {
    fn tensor(&self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>, Error> {
        let n = shape.iter().product();
        Ok(match init {
            Init::Zeros => vec![0.0; n],
            Init::Ones => vec![1.0; n],
            Init::Uniform { std } => self.uniform(name, n, std),
        })
    }
}

impl RandomWeights {
    /// `n` values of standard deviation `std`, uniform in (-√3·std, √3·std).
    fn uniform(&self, name: &str, n: usize, std: f64) -> Vec<f32> {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(name.as_bytes());
        let mut bytes = vec![0; n * size_of::<u32>()];
        hasher.finalize_xof().fill(&mut bytes);

        // f64's square root is correctly rounded everywhere, as are its products and this cast.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the factor is rounded to f32 once"
        )]
        let factor = (std * 3.0_f64.sqrt() / f64::from(1_u32 << HALF_BITS)) as f32;
        let (words, _) = bytes.as_chunks::<4>();
        words
            .iter()
            .map(|word| centred(u32::from_le_bytes(*word)) * factor)
            .collect()
    }
}

/// Bits of the largest value that [`centred`] gives.
const HALF_BITS: u32 = 24;

/// An odd integer between -2^24 and 2^24, each as likely as the others.
fn centred(word: u32) -> f32 {
    let odd = (word >> (u32::BITS - HALF_BITS)) * 2 + 1;
    #[expect(clippy::cast_possible_wrap, reason = "`odd` has 25 bits")]
    let centred = odd as i32 - (1 << HALF_BITS);
    centred as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64, name: &str, n: usize) -> Vec<f32> {
        RandomWeights { seed }
            .tensor(name, &[n], Init::Uniform { std: 0.5 })
            .unwrap()
    }

    #[test]
    fn weights_are_the_same_on_every_machine() {
        let digest = |seed, name| {
            let bytes: Vec<u8> = draw(seed, name, 1000)
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            blake3::hash(&bytes).to_hex()[..16].to_owned()
        };
        // By the `blake3` package of Python and NumPy.
        assert_eq!(digest(0, "blocks.0.attn.qkv.weight"), "3b2bb3f8ba77f054");
        assert_eq!(digest(17, "blocks.0.attn.qkv.weight"), "6a6fa1248c09b3fb");
        assert_eq!(
            draw(0, "pos_embed", 3),
            [0.722_365, 0.814_416_2, 0.011_869_665]
        );
    }

    #[test]
    fn streams_differ_by_seed_and_name() {
        assert_ne!(draw(0, "a", 8), draw(1, "a", 8));
        assert_ne!(draw(0, "a", 8), draw(0, "b", 8));
        assert_eq!(draw(0, "a", 8), draw(0, "a", 16)[..8]);
    }

    #[test]
    fn draws_have_the_moments_of_their_law() {
        let values = draw(3, "a", 100_000);
        let n = values.len() as f64;
        let moment = |power: i32| {
            values
                .iter()
                .map(|value| f64::from(*value).powi(power))
                .sum::<f64>()
                / n
        };
        assert!(moment(1).abs() < 0.005);
        assert!((moment(2) - 0.25).abs() < 0.002);
        let limit = 0.5 * 3.0_f32.sqrt();
        assert!(values.iter().all(|value| value.abs() <= limit));
    }

    #[test]
    fn constant_tensors_are_constant() {
        let source = RandomWeights { seed: 5 };
        assert_eq!(source.tensor("bias", &[2], Init::Zeros).unwrap(), [0.0; 2]);
        assert_eq!(source.tensor("weight", &[2], Init::Ones).unwrap(), [1.0; 2]);
    }
}
