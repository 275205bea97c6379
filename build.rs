//! Hands libtorch's folder on as a run-time search path, so that the program runs from any folder
//! without `LD_LIBRARY_PATH`, and the git commit as provenance.

use std::process::Command;

fn main() {
    // `torch-sys` publishes the folder that it linked against (its `links` key is `tch`).
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Some(lib) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") {
        // A link in the clone would tie the program to the clone; the folder behind it stays.
        let lib = std::fs::canonicalize(&lib).unwrap_or_else(|_| lib.into());
        let lib = lib.display();
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
        // Names reached only through libtorch.so's own needs must be found at link time, too.
        println!("cargo:rustc-link-arg=-Wl,-rpath-link,{lib}");
        println!("cargo:rustc-env=NEWT_PIPE_LIBTORCH_LIB={lib}");
    }

    println!(
        "cargo:rustc-env=NEWT_PIPE_LIBTORCH_VERSION={}",
        libtorch_version().unwrap_or_default()
    );

    // A path that is not there would make every build start here again; `src` is among them so
    // that the commit says truthfully whether it is all there is.
    for path in [
        ".git/HEAD",
        ".git/logs/HEAD",
        "build.rs",
        "Cargo.toml",
        "src",
    ] {
        if std::path::Path::new(path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    println!(
        "cargo:rustc-env=NEWT_PIPE_GIT_COMMIT={}",
        commit().unwrap_or_default()
    );
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

/// The version of the libtorch that is linked, from its headers; provenance.
fn libtorch_version() -> Option<String> {
    let lib = std::env::var_os("DEP_TCH_LIBTORCH_LIB")?;
    let header = std::path::Path::new(&lib).with_file_name("include/torch/headeronly/version.h");
    let text = std::fs::read_to_string(header).ok()?;
    let number = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(&format!("#define TORCH_VERSION_{name} ")))
            .map(str::trim)
    };
    Some(format!(
        "{}.{}.{}",
        number("MAJOR")?,
        number("MINOR")?,
        number("PATCH")?
    ))
}
