//! Writes the folder of libtorch into the program, so that it runs without LD_LIBRARY_PATH: the one
//! it was built against, and `../lib/ablate` beside an installed program.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-env-changed=LIBTORCH_USE_PYTORCH");
    let mut folders: Vec<String> = vec!["$ORIGIN/../lib/ablate".to_owned()];
    folders.extend(libtorch().map(|folder| folder.display().to_string()));
    for folder in folders {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
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
