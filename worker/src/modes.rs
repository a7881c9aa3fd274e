//! Switches of libtorch that the `tch` crate leaves out, by way of `shim/modes.cpp`. They hold for the whole process, which
//! does one job at a time; every job sets them anew.

#![expect(
    unsafe_code,
    reason = "libtorch is C++; the switches that `tch` does not reach are in this file"
)]

use std::ffi::c_int;

unsafe extern "C" {
    fn ablate_allow_tf32(allow: c_int);
    fn ablate_allows_tf32() -> c_int;
    fn ablate_repeat(repeat: c_int);
    fn ablate_repeats() -> c_int;
}

/// Lets products of 32-bit numbers on an NVIDIA GPU drop 13 bits of each factor (TF32), or not.
pub fn allow_tf32(allow: bool) {
    // SAFETY: it sets flags, and jobs run one at a time.
    unsafe { ablate_allow_tf32(c_int::from(allow)) }
}

/// Whether [`allow_tf32`] is on.
pub fn allows_tf32() -> bool {
    // SAFETY: it reads flags.
    unsafe { ablate_allows_tf32() != 0 }
}

/// Runs only kernels that give the same bits each time, where there are such, or the fastest. For a GPU: on a CPU all that
/// we use do.
pub fn repeat_exactly(repeat: bool) {
    // SAFETY: it sets flags and, before CUDA starts, a variable that no other thread reads; jobs run one at a time.
    unsafe { ablate_repeat(c_int::from(repeat)) }
}

/// Whether [`repeat_exactly`] is on.
pub fn repeats_exactly() -> bool {
    // SAFETY: it reads a flag.
    unsafe { ablate_repeats() != 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_is_read_back_as_it_was_set() {
        for on in [true, false] {
            allow_tf32(on);
            repeat_exactly(on);
            assert_eq!((allows_tf32(), repeats_exactly()), (on, on));
        }
    }
}
