//! Tells the program what it is built from: the git commit, as provenance, and the digest of the sources that it
//! has in common with the library that runs networks.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() -> std::io::Result<()> {
    // With the feature `torch`, `torch-sys` publishes the folder that it linked against (its `links` key is `tch`).
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Some(lib) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") {
        // Names reached only through libtorch.so's own needs must be found when tests are linked. No folder goes
        // into what is built: where libtorch lies is found when it is opened.
        println!("cargo:rustc-link-arg=-Wl,-rpath-link,{}", lib.display());
    }

    // A path that is not there would make every build start here again; `src` is among them so
    // that the commit says truthfully whether it is all there is.
    for path in [
        ".git/HEAD",
        ".git/logs/HEAD",
        "build.rs",
        "Cargo.toml",
        "src",
    ] {
        if Path::new(path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    println!(
        "cargo:rustc-env=NEWT_PIPE_GIT_COMMIT={}",
        commit().unwrap_or_default()
    );
    println!(
        "cargo:rustc-env=NEWT_PIPE_BACKBONE_SOURCES={:016x}",
        backbone_sources()?
    );
    Ok(())
}

/// The commit that is built, with `-dirty` where the tracked files are not its own.
fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let commit = git(&["rev-parse", "HEAD"])?;
    let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changes.is_empty() {
        commit
    } else {
        format!("{commit}-dirty")
    })
}

/// A digest of the sources of `backbone`, which hold all that the program and its library say to each other.
fn backbone_sources() -> std::io::Result<u64> {
    let mut files = Vec::new();
    let mut dirs = vec![PathBuf::from("src/backbone")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.hash(&mut hasher);
        std::fs::read(&file)?.hash(&mut hasher);
    }
    Ok(hasher.finish())
}
