//! Compiles the shim, and writes the folder of libtorch into the program, so that it runs without LD_LIBRARY_PATH: the
//! one it was built against, and `../lib/ablate` beside an installed program.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-env-changed=LIBTORCH_USE_PYTORCH");
    let mut folders: Vec<String> = vec!["$ORIGIN/../lib/ablate".to_owned()];
    let found = libtorch();
    if let Some(include) =
        found.as_ref().and_then(|lib| lib.parent()).map(|root| root.join("include"))
    {
        shim(&include);
    }
    folders.extend(found.map(|folder| folder.display().to_string()));
    for folder in folders {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}

/// Compiles the operations that `tch` leaves out against libtorch's headers.
fn shim(include: &Path) {
    println!("cargo:rerun-if-changed=shim");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .files(["shim/fused.cpp", "shim/memory.cpp", "shim/modes.cpp"])
        // Its headers are not ours to warn about.
        .flag("-isystem")
        .flag(include.display().to_string())
        .flag_if_supported("-Wno-unused-parameter")
        .compile("ablate_shim");
}

/// The folder of libtorch's libraries.
fn libtorch() -> Option<PathBuf> {
    if std::env::var("LIBTORCH_USE_PYTORCH").is_ok_and(|value| value == "1") {
        let script =
            "import os, torch; print(os.path.join(os.path.dirname(torch.__file__), 'lib'))";
        let output = Command::new("python3").args(["-c", script]).output().ok()?;
        return Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()));
    }
    let root = PathBuf::from(std::env::var_os("LIBTORCH")?);
    root.join("lib").canonicalize().ok()
}
