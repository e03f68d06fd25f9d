// SPDX-License-Identifier: BSD-2-Clause
//! Random bytes for getrandom(2) and /dev/urandom: xoshiro256** over the platform's entropy. Not cryptographic: see CAVEATS.

use crate::platform;
use crate::shared::Shared;

static STATE: Shared<[u64; 4]> = Shared::new([1, 2, 3, 4]);

/// Seeds the generator.
pub fn start() {
    let mut seed = platform::process::seed();
    // All zero is the one state that stays.
    seed[0] |= 1;
    *STATE.lock() = seed;
}

/// One step of the generator.
fn next(s: &mut [u64; 4]) -> u64 {
    let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
    let t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3].rotate_left(45);
    result
}

/// Fills the buffer.
pub fn fill(buffer: &mut [u8]) {
    let mut state = STATE.lock();
    for chunk in buffer.chunks_mut(8) {
        chunk.copy_from_slice(&next(&mut state).to_le_bytes()[..chunk.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First outputs of the published generator from this state.
    #[test]
    fn known_sequence() {
        let mut state = [1, 2, 3, 4];
        let first: [u64; 4] = core::array::from_fn(|_| next(&mut state));
        assert_eq!(first, [11520, 0, 1509978240, 1215971899390074240]);
    }

    #[test]
    fn fills_odd_lengths() {
        let mut bytes = [0; 13];
        fill(&mut bytes);
        assert_ne!(bytes, [0; 13]);
    }
}
