// SPDX-License-Identifier: BSD-2-Clause
//! What `cargo xtask` says about a run: it looks for the mark in the image and
//! writes the numbers behind it. No other program is built for another seed.

use core::hint::black_box;

/// The mark, then the numbers.
#[repr(C)]
pub struct Parameters {
    mark: [u8; 16],
    seed: u64,
    steps: u64,
}

#[used]
static PARAMETERS: Parameters = Parameters {
    mark: *b"NQ PARAMETERS 1\n",
    seed: 1,
    steps: 100_000,
};

/// Of the random test: where to start, and how many operations.
pub fn seed_and_steps() -> (u64, u64) {
    // The compiler must not know what the image will say.
    let parameters = black_box(&PARAMETERS);
    (black_box(parameters.seed), black_box(parameters.steps))
}
