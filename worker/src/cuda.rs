//! The CUDA half of libtorch, loaded when it is there: so one program serves machines with and
//! without a GPU, and links against the CPU half alone.

/// Loads `libtorch_cuda.so` from beside `libtorch_cpu.so` or the loader's path; whether CUDA can be used after that.
pub(crate) fn load() -> bool {
    for name in ["libtorch_cuda.so", "libtorch_cuda_linalg.so"] {
        #[expect(
            unsafe_code,
            reason = "loading a library runs its initialisers; this one is libtorch's own"
        )]
        let library = unsafe { libloading::Library::new(name) };
        match library {
            // It registers its kernels for good, so it must never be unloaded.
            Ok(library) => std::mem::forget(library),
            Err(_) => break,
        }
    }
    tch::Cuda::is_available()
}
