//! Where libtorch is looked for, and what is said where it, our library or a GPU's half of it is not to be had.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::assert_run;
use crate::sandbox::{Finished, Sandbox, draw_data, precomputed, statuses};

/// The program installed as a wheel installs it, in the environment `venv` of a sandbox, on a machine that knows no
/// other libtorch.
struct Installed {
    sandbox: Sandbox,
    variables: Vec<(&'static str, PathBuf)>,
}

/// libtorch as this build is tested with.
fn libtorch() -> PathBuf {
    PathBuf::from(std::env::var_os("LIBTORCH").expect("cargo sets LIBTORCH: .cargo/config.toml"))
}

impl Installed {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let program = Path::new(env!("CARGO_BIN_EXE_newt-pipe"));
        let library = program.with_file_name("libnewt_pipe.so");
        sandbox.write("venv/bin/python3", "");
        sandbox.write("venv/libexec/newt-pipe/.keep", "");
        sandbox.write("venv/lib/python3.12/site-packages/pip/__init__.py", "");
        fs_err::copy(program, sandbox.path("venv/bin/newt-pipe")).unwrap();
        fs_err::copy(
            library,
            sandbox.path("venv/libexec/newt-pipe/libnewt_pipe.so"),
        )
        .unwrap();
        Self {
            sandbox,
            variables: Vec::new(),
        }
    }

    /// PyTorch in the environment: of this version, with the libraries of `lib`.
    fn put_torch(&self, version: &str, lib: &Path) {
        let torch = "venv/lib/python3.12/site-packages/torch";
        self.sandbox.write(
            &format!("{torch}/version.py"),
            format!("__version__ = '{version}'\n"),
        );
        let link = self.sandbox.path(&format!("{torch}/lib"));
        if fs_err::symlink_metadata(&link).is_ok() {
            fs_err::remove_file(&link).unwrap();
        }
        symlink(lib, link).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(self.sandbox.path("venv/bin/newt-pipe"));
        command
            .args(arguments)
            .current_dir(self.sandbox.path("."))
            .env_clear()
            .env("HOME", self.sandbox.path("home"))
            .env("NEWT_PIPE_CACHE", self.sandbox.path("cache"))
            .env("HF_HUB_OFFLINE", "1")
            // A GPU would run networks in another precision.
            .env("CUDA_VISIBLE_DEVICES", "");
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        self.sandbox.finish(command)
    }

    /// Loads a network and sends two images through it.
    fn check(&self) -> Finished {
        self.run(&["models", "check", "random", "vit_tiny_patch16_224"])
    }
}

#[test]
fn without_libtorch_the_command_that_installs_it_is_named_and_helps() {
    let installed = Installed::new();
    assert_run!(installed.check(), @r"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: libtorch 2.11, which runs networks, is not found
    hint: `[DIR]/venv/bin/python3 -m pip install 'torch==2.11.*'`
    ");
    // What the command brings.
    installed.put_torch("2.11.0+cpu", &libtorch().join("lib"));
    let found = installed.check();
    assert_eq!(found.code, Some(0), "{}", found.stderr);
    assert!(found.stdout.contains("vit_tiny_patch16_224"));
}

#[test]
fn another_version_is_named_with_its_place() {
    let installed = Installed::new();
    installed.put_torch("2.9.1+cu128", &libtorch().join("lib"));
    assert_run!(installed.check(), @r"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: libtorch 2.11, which runs networks, is not found; [DIR]/venv/lib/python3.12/site-packages/torch has 2.9.1+cu128
    hint: `[DIR]/venv/bin/python3 -m pip install 'torch==2.11.*'`
    ");
}

#[test]
fn a_variable_that_leads_nowhere_is_named() {
    let mut installed = Installed::new();
    installed.put_torch("2.11.0", &libtorch().join("lib"));
    installed.variables = vec![("LIBTORCH", installed.sandbox.path("nowhere"))];
    assert_run!(installed.check(), @r"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: LIBTORCH is `[DIR]/nowhere`, which has no `lib/libtorch_cpu.so`
    hint: point LIBTORCH at a libtorch 2.11 folder, or unset it
    ");
    // As the hint says.
    installed.variables = vec![("LIBTORCH", libtorch())];
    assert_eq!(installed.check().code, Some(0));
    installed.variables.clear();
    assert_eq!(installed.check().code, Some(0));
}

#[test]
fn a_libtorch_that_is_damaged_is_an_error_of_the_linker_s_words() {
    let installed = Installed::new();
    installed.sandbox.write("broken/libc10.so", "no library");
    installed
        .sandbox
        .write("broken/libtorch_cpu.so", "none either");
    installed.put_torch("2.11.0", &installed.sandbox.path("broken"));
    let finished = installed.check();
    assert_eq!(finished.code, Some(1));
    let expected =
        "error: [DIR]/venv/lib/python3.12/site-packages/torch/lib/libc10.so: cannot be opened: ";
    assert!(finished.stderr.starts_with(expected), "{}", finished.stderr);
    let hint = "hint: `[DIR]/venv/bin/python3 -m pip install --force-reinstall 'torch==2.11.*'`\n";
    assert!(finished.stderr.ends_with(hint), "{}", finished.stderr);
}

#[test]
fn our_own_library_is_missed_and_must_be_of_the_same_build() {
    let installed = Installed::new();
    installed.put_torch("2.11.0", &libtorch().join("lib"));
    let library = installed
        .sandbox
        .path("venv/libexec/newt-pipe/libnewt_pipe.so");
    let built_as = |found: &str| {
        let finished = installed.check();
        assert_eq!(finished.code, Some(1));
        let message = format!("libnewt_pipe.so: built as `{found}`, this program as `");
        assert!(finished.stderr.contains(&message), "{}", finished.stderr);
    };
    fs_err::remove_file(&library).unwrap();
    compile(&installed.sandbox, "int another_library;", &library);
    built_as("another library");
    fs_err::remove_file(&library).unwrap();
    let older = "static const char *functions[] = {\"0.0.9 0123\"};\n\
                 const void *newt_pipe_functions(void) { return functions; }\n";
    compile(&installed.sandbox, older, &library);
    built_as("0.0.9 0123");
    fs_err::remove_file(&library).unwrap();
    assert_run!(installed.check(), @r"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: no `libnewt_pipe.so`, the part of newt-pipe that runs networks, in `[DIR]/venv/bin` or `[DIR]/venv/bin/../libexec/newt-pipe`
    hint: install newt-pipe again, or in a clone run `make build`
    ");
}

#[test]
fn what_runs_no_network_needs_no_libtorch() {
    let installed = Installed::new();
    precomputed(&installed.sandbox, 2, 4);
    for arguments in [&["--help"][..], &["--version"], &["run", "mine.toml"]] {
        let finished = installed.run(arguments);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    }
    // Once its features are there, neither does a run with a network.
    let mut installed = Installed::new();
    draw_data(&installed.sandbox);
    installed.sandbox.write(
        "r.toml",
        "data.root = \"data\"\nmodel.org = \"random\"\nmodel.ckpt = \"vit_tiny_patch16_224\"\n",
    );
    installed.variables = vec![("LIBTORCH", libtorch())];
    let first = installed.run(&["run", "r.toml"]);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert!(
        first.stderr.contains("device: cpu, f32"),
        "{}",
        first.stderr
    );
    installed.variables = vec![("LIBTORCH", installed.sandbox.path("nowhere"))];
    let again = installed.run(&["run", "r.toml", "--json", "--set", "probe.c=0.5"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let document = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(
        statuses(&document),
        [
            "labels cached",
            "sample cached",
            "features cached",
            "probes ran",
            "report ran",
            "bootstrap ran"
        ]
    );
}

/// Makes a shared library of C code.
fn compile(sandbox: &Sandbox, code: &str, library: &Path) {
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(library)
        .arg(sandbox.write("library.c", code))
        .status()
        .expect("the C compiler that the image decoder is built with");
    assert!(built.success());
}

/// A stand-in for NVIDIA's driver, which shows one GPU.
const DRIVER: &str = r#"
#include <string.h>
int cuInit(unsigned flags) { return STATUS; }
int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetName(char *name, int len, int device) { strncpy(name, "NVIDIA Stand-In", len); return 0; }
int cuGetErrorString(int error, const char **text) { *text = "no error that a stand-in knows"; return 0; }
"#;

/// PyTorch for CPUs in the environment, and a stand-in for NVIDIA's driver whose `cuInit` gives `status`.
fn with_driver(status: i32) -> Installed {
    let mut installed = Installed::new();
    installed.sandbox.write("torch-lib/.keep", "");
    // Without the CUDA half that this machine's may have.
    for entry in fs_err::read_dir(libtorch().join("lib")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.contains("torch_cuda") && !name.contains("c10_cuda") {
            let link = installed.sandbox.path(&format!("torch-lib/{name}"));
            symlink(fs_err::canonicalize(&path).unwrap(), link).unwrap();
        }
    }
    installed.put_torch("2.11.0+cpu", &installed.sandbox.path("torch-lib"));
    installed.sandbox.write("driver/.keep", "");
    let code = DRIVER.replace("STATUS", &status.to_string());
    let driver = installed.sandbox.path("driver/libcuda.so.1");
    compile(&installed.sandbox, &code, &driver);
    installed.variables = vec![("LD_LIBRARY_PATH", installed.sandbox.path("driver"))];
    draw_data(&installed.sandbox);
    installed.sandbox.write(
        "r.toml",
        "data.root = \"data\"\nmodel.org = \"random\"\nmodel.ckpt = \"vit_tiny_patch16_224\"\n",
    );
    installed
}

/// A run on the device `asked`, which extracts.
fn run_on(installed: &Installed, asked: &str) -> Finished {
    let set = format!("features.device={asked}");
    installed.run(&["run", "r.toml", "--force", "features", "--set", &set])
}

#[test]
fn a_gpu_beside_a_libtorch_for_cpus_is_named_with_the_command_that_mends_it() {
    let installed = with_driver(0);
    let torch_lib = "[DIR]/venv/lib/python3.12/site-packages/torch/lib";
    let command =
        "`[DIR]/venv/bin/python3 -m pip install --force-reinstall 'torch==2.11.*'` brings one";
    let reason =
        format!("NVIDIA Stand-In is there, but libtorch in {torch_lib} is built for CPUs only");
    let run = run_on(&installed, "auto");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let mut lines = run.stderr.lines();
    assert_eq!(
        lines.next().unwrap(),
        format!("warning: the GPU is not used: {reason}; {command}")
    );
    assert_eq!(
        lines.next().unwrap(),
        "device: cpu, f32 (the GPU cannot be used)"
    );
    let asked = run_on(&installed, "cuda");
    assert_eq!(
        (asked.code, asked.stderr.as_str()),
        (
            Some(2),
            format!("error: device `cuda`: {reason}\nhint: {command}\n").as_str()
        )
    );
    // Whoever asks for the CPU knows.
    let cpu = run_on(&installed, "cpu");
    assert_eq!(cpu.code, Some(0), "{}", cpu.stderr);
    assert_eq!(cpu.stderr.lines().next().unwrap(), "device: cpu, f32");
}

#[test]
fn a_gpu_that_the_driver_hides_comes_with_the_driver_s_words() {
    let installed = with_driver(100);
    let run = run_on(&installed, "auto");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(
        run.stderr.lines().next().unwrap(),
        "device: cpu, f32 (no GPU found; the NVIDIA driver says: no error that a stand-in knows)"
    );
    assert_eq!(run_on(&installed, "cuda").code, Some(2));
}

#[test]
fn a_gpu_that_libtorch_cannot_use_is_an_error_on_cuda_and_nothing_on_the_cpu() {
    let installed = with_driver(0);
    // A half without kernels: the driver shows a GPU, and libtorch sees none.
    let half = installed.sandbox.path("torch-lib/libtorch_cuda.so");
    compile(&installed.sandbox, "int no_kernels;", &half);
    let run = run_on(&installed, "auto");
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains(
            "error: device `cuda:0`: the driver shows it, libtorch can use 0 CUDA device(s)\n"
        ),
        "{}",
        run.stderr
    );
    // As the hint says.
    let cpu = run_on(&installed, "cpu");
    assert_eq!(cpu.code, Some(0), "{}", cpu.stderr);
    // A damaged half stops nobody who does not use it.
    fs_err::write(&half, "no library").unwrap();
    assert_eq!(run_on(&installed, "cpu").code, Some(0));
    let damaged = run_on(&installed, "auto");
    assert_eq!(damaged.code, Some(1));
    assert!(
        damaged
            .stderr
            .contains("libtorch_cuda.so: cannot be opened: "),
        "{}",
        damaged.stderr
    );
}
