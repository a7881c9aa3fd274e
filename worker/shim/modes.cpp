// Switches of libtorch that its C interface for Rust leaves out. They hold for the whole process.

#include <ATen/Context.h>
#include <cstdlib>

extern "C" {

// Whether products of 32-bit numbers on an NVIDIA GPU may drop 13 bits of each factor (TF32).
void ablate_allow_tf32(int allow) {
    at::globalContext().setAllowTF32CuBLAS(allow != 0);
    at::globalContext().setAllowTF32CuDNN(allow != 0);
}

int ablate_allows_tf32() {
    return at::globalContext().allowTF32CuBLAS() && at::globalContext().allowTF32CuDNN();
}

// Whether only kernels run that give the same bits each time; one that has no such form runs all the same, with a
// warning. Memory that is not yet written is left as it is.
void ablate_repeat(int repeat) {
    // cuBLAS reads it when it starts, and repeats only with workspaces of its own.
    if (repeat) setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
    at::globalContext().setDeterministicAlgorithms(repeat != 0, /*warn_only=*/true);
    at::globalContext().setDeterministicFillUninitializedMemory(false);
    at::globalContext().setDeterministicCuDNN(repeat != 0);
    at::globalContext().setBenchmarkCuDNN(repeat == 0);
}

int ablate_repeats() { return at::globalContext().deterministicAlgorithms(); }

} // extern "C"
