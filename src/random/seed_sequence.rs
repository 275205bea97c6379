//! NumPy's SeedSequence for integers: spreads few bits of entropy over a generator's whole state.
//!
//! Source: `numpy/random/bit_generator.pyx` of NumPy 2.4, after Melissa O'Neill, "Developing a
//! `seed_seq` Alternative" (2015).

const POOL_SIZE: usize = 4;
/// Half the width of a word: the shift that folds its high half into its low half.
const HALF_WORD: u32 = 16;

/// The hash that fills the pool.
const POOL_HASH: Hash = Hash {
    constant: 0x43b0_d7e5,
    multiplier: 0x931e_8875,
};
/// The hash that draws words from the pool.
const OUTPUT_HASH: Hash = Hash {
    constant: 0x8b51_f9dd,
    multiplier: 0x58f3_8ded,
};

/// A pool of hashed entropy from which generators take their initial state.
pub struct SeedSequence {
    pool: [u32; POOL_SIZE],
}

impl SeedSequence {
    /// Fills the pool from a seed and what follows it, as `SeedSequence([seed, *key])` does, and with an empty key
    /// `SeedSequence(seed)`.
    pub fn new(seed: u64, key: &[u8]) -> Self {
        // NumPy takes as many words as an integer needs, one for each byte, and zeros for the rest of the pool.
        let [low, high] = [seed, seed >> u32::BITS].map(low_half);
        let mut words = vec![low];
        words.extend((high != 0).then_some(high));
        words.extend(key.iter().copied().map(u32::from));

        let mut hash = POOL_HASH;
        let mut pool: [u32; POOL_SIZE] =
            std::array::from_fn(|index| hash.next(words.get(index).copied().unwrap_or(0)));
        for source in 0..POOL_SIZE {
            for target in 0..POOL_SIZE {
                if source != target {
                    pool[target] = mix(pool[target], hash.next(pool[source]));
                }
            }
        }
        for &word in words.iter().skip(POOL_SIZE) {
            for slot in &mut pool {
                *slot = mix(*slot, hash.next(word));
            }
        }
        Self { pool }
    }

    /// Draws `N` words, as `generate_state(N, np.uint64)` does on a little-endian machine.
    pub fn state<const N: usize>(&self) -> [u64; N] {
        let mut hash = OUTPUT_HASH;
        let mut halves = self.pool.iter().cycle().map(|&word| hash.next(word));
        std::array::from_fn(|_| {
            let low = halves.next().map_or(0, u64::from);
            let high = halves.next().map_or(0, u64::from);
            high << 32 | low
        })
    }
}

/// A multiplicative hash whose constant changes with every word.
struct Hash {
    constant: u32,
    multiplier: u32,
}

impl Hash {
    fn next(&mut self, word: u32) -> u32 {
        let word = word ^ self.constant;
        self.constant = self.constant.wrapping_mul(self.multiplier);
        let word = word.wrapping_mul(self.constant);
        word ^ (word >> HALF_WORD)
    }
}

fn mix(x: u32, y: u32) -> u32 {
    let word = x
        .wrapping_mul(0xca01_f9dd)
        .wrapping_sub(y.wrapping_mul(0x4973_f715));
    word ^ (word >> HALF_WORD)
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is wanted")]
fn low_half(word: u64) -> u32 {
    word as u32
}
