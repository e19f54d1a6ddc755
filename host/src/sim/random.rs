//! Random numbers that are the same in each run.

use std::sync::atomic::{AtomicU64, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Gives each instance a sequence of its own: two instances with the same numbers would make the same ids.
pub(super) struct Random {
    seed: u64,
    given: AtomicU64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, given: AtomicU64::new(0) }
    }

    pub(super) fn next(&self) -> StdRng {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        let mut seed = [0; 32];
        let parts = self.seed.to_le_bytes().into_iter().chain(number.to_le_bytes());
        seed.iter_mut().zip(parts).for_each(|(place, byte)| *place = byte);
        StdRng::from_seed(seed)
    }

    pub(super) fn seed(&self) -> u128 {
        let mut numbers = self.next();
        u128::from(numbers.next_u64()) << 64 | u128::from(numbers.next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_sequences_and_each_is_another() {
        let numbers = |seed| {
            let random = Random::new(seed);
            [random.next().next_u64(), random.next().next_u64()]
        };
        assert_eq!(numbers(1), numbers(1));
        assert_ne!(numbers(1), numbers(2));
        let [one, two] = numbers(1);
        assert_ne!(one, two);
    }
}
