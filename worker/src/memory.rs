//! Memory of tensors on the CPU, by way of `shim/memory.cpp`: large blocks are kept when they are freed, for the next tensor
//! of about their size, and all together take an eighth more than the tensors had at their most, or a spare, no more.

#![expect(unsafe_code, reason = "libtorch is C++; its allocator is set in this file")]

unsafe extern "C" {
    fn ablate_memory_keep(spare: u64);
    fn ablate_memory_release();
    fn ablate_memory_counts(out: *mut u64);
}

/// What large blocks there are, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// In use by tensors.
    pub used: u64,
    /// Free, and kept for other tensors.
    pub kept: u64,
    /// The most that was in use since [`release`].
    pub most: u64,
}

/// Lets this process keep the blocks of its tensors from now on, `spare` bytes of them however few are in use.
pub fn keep(spare: u64) {
    // SAFETY: it sets libtorch's allocator to one that is never destroyed; tensors made before free their memory by the
    // function that they were made with.
    unsafe { ablate_memory_keep(spare) }
}

/// Gives what is kept back to the system.
pub fn release() {
    // SAFETY: it unmaps only blocks that no tensor has, and locks.
    unsafe { ablate_memory_release() }
}

/// What there is now.
pub fn counts() -> Counts {
    let mut out = [0_u64; 3];
    // SAFETY: it writes three numbers.
    unsafe { ablate_memory_counts(out.as_mut_ptr()) }
    let [used, kept, most] = out;
    Counts { used, kept, most }
}
