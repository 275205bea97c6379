//! What lies in a file's place and is none, or has no end: it is named, without waiting for it and without taking it
//! into memory.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::sandbox::{Finished, Sandbox, draw_data, precomputed, put_checkpoint};

/// Runs the program in 16 GiB of addresses, which libtorch takes some of, and kills it after five minutes: a test that would hang or fill the machine
/// fails.
fn run(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
    sandbox.finish(limited(sandbox, arguments))
}

fn limited(sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let program = sandbox.command(arguments);
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg("ulimit -v 16777216 && exec timeout -s KILL 300 \"$0\" \"$@\"")
        .arg(program.get_program())
        .args(program.get_args())
        .env_clear()
        .envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        // Each arena and each thread takes addresses, though no memory.
        .env("MALLOC_ARENA_MAX", "2")
        .env("RAYON_NUM_THREADS", "2")
        .env("POLARS_MAX_THREADS", "2")
        .current_dir(sandbox.path(""))
        .stdin(Stdio::null());
    command
}

/// Makes something at a path.
type Make = fn(&Path);

/// What can stand in a file's place, and how it is called.
const KINDS: [(&str, Make); 4] = [
    ("is a named pipe, expected a regular file", make_pipe),
    ("is a socket, expected a regular file", |path| {
        std::os::unix::net::UnixListener::bind(path).unwrap();
    }),
    ("is a device, expected a regular file", |path| {
        std::os::unix::fs::symlink("/dev/zero", path).unwrap();
    }),
    ("is a folder, expected a regular file", |path| {
        fs_err::create_dir(path).unwrap();
    }),
];

fn make_pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

/// Makes a file of five gigabytes of zeros that takes no room on the disk.
fn make_sparse(path: &Path) {
    fs_err::File::create(path)
        .unwrap()
        .set_len(5_000_000_000)
        .unwrap();
}

fn remove(path: &Path) {
    if path.is_dir() {
        fs_err::remove_dir(path).unwrap();
    } else {
        fs_err::remove_file(path).ok();
    }
}

/// Puts each kind of thing in the place of `path`, and then a sparse file, and expects that `arguments` end with
/// the path's name and what is wrong with it; `of_sparse` is what comes of the sparse one.
fn is_named(sandbox: &Sandbox, path: &str, arguments: &[&str], of_sparse: (i32, &str)) {
    let place = sandbox.path(path);
    let name = place.file_name().unwrap().to_str().unwrap();
    let kinds = KINDS.map(|(expected, make)| (2, expected, make));
    let sparse: (i32, &str, Make) = (of_sparse.0, of_sparse.1, make_sparse);
    for (code, expected, make) in kinds.into_iter().chain([sparse]) {
        remove(&place);
        make(&place);
        let finished = run(sandbox, arguments);
        let said = finished.stdout + &finished.stderr;
        assert_eq!(finished.code, Some(code), "{path}, {expected}: {said}");
        let is_said = said
            .lines()
            .any(|line| line.contains(name) && line.contains(expected));
        assert!(is_said, "{path}, {expected}: {said}");
        assert!(said.contains("hint: "), "{said}");
    }
    remove(&place);
}

const RANDOM: &str =
    "[data]\nroot = \"data\"\n\n[model]\norg = \"random\"\nckpt = \"vit_tiny_patch16_224\"\n";

#[test]
fn in_the_place_of_images() {
    let sandbox = Sandbox::new();
    draw_data(&sandbox);
    sandbox.write("mine.toml", RANDOM);
    let mut images: Vec<_> = fs_err::read_dir(sandbox.path("data/newt2021_images"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    images.sort();
    // A gigabyte is not too large for an image, but this begins as none does.
    let zeros: Make = |path| {
        let file = fs_err::File::create(path).unwrap();
        file.set_len(1_000_000_000).unwrap();
    };
    let sparse: [(&str, Make); 2] = [
        ("file of 5.0 GB, at most 1.5 GB are read", make_sparse),
        ("neither JPEG nor PNG", zeros),
    ];
    let mut expected = Vec::new();
    for (path, (problem, make)) in images.iter().zip(KINDS.into_iter().chain(sparse)) {
        remove(path);
        make(path);
        let name = path.file_name().unwrap().to_str().unwrap();
        expected.push(format!("{name}: {problem}"));
    }
    for arguments in [
        &["data", "check", "data"][..],
        &["data", "check", "data", "--quick"],
        &["run", "mine.toml"],
    ] {
        let finished = run(&sandbox, arguments);
        let said = finished.stdout + &finished.stderr;
        assert_eq!(finished.code, Some(3), "{said}");
        for problem in &expected {
            assert!(said.contains(problem), "{problem}: {said}");
        }
        // The two images that are left are no problem.
        assert!(
            said.contains("6 problems found") || said.contains("6 images cannot be used"),
            "{said}"
        );
    }
}

#[test]
fn in_the_place_of_the_labels_file() {
    let sandbox = Sandbox::new();
    draw_data(&sandbox);
    sandbox.write("mine.toml", RANDOM);
    let place = sandbox.path("data/newt2021_labels.csv");
    for arguments in [&["data", "check", "data"][..], &["run", "mine.toml"]] {
        for (expected, make) in KINDS {
            remove(&place);
            make(&place);
            let finished = run(&sandbox, arguments);
            assert_eq!(finished.code, Some(3), "{}", finished.stderr);
            let expected = if expected.contains("folder") {
                "no file `newt2021_labels.csv`"
            } else {
                expected
            };
            assert!(
                finished.stderr.contains(expected),
                "{expected}: {}",
                finished.stderr
            );
        }
        remove(&place);
        make_sparse(&place);
        let finished = run(&sandbox, arguments);
        assert_eq!(finished.code, Some(3));
        let expected = "newt2021_labels.csv: 5000000000 bytes, expected 268435456 at most";
        assert!(finished.stderr.contains(expected), "{}", finished.stderr);
    }
}

#[test]
fn in_the_place_of_a_pipeline_file() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    for (expected, make) in &KINDS[1..] {
        let place = sandbox.path("other.toml");
        remove(&place);
        make(&place);
        let finished = run(&sandbox, &["plan", "other.toml"]);
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        // A device may be meant; this one has no end.
        let expected = if expected.contains("device") {
            "expected 16777216 at most"
        } else {
            expected
        };
        assert!(
            finished.stderr.contains(expected),
            "{expected}: {}",
            finished.stderr
        );
    }
    let place = sandbox.path("other.toml");
    remove(&place);
    make_sparse(&place);
    let finished = run(&sandbox, &["plan", "other.toml"]);
    crate::assert_run!(finished, @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: other.toml: 5000000000 bytes, expected 16777216 at most
    hint: look whether it is the file that was meant
    ");
}

#[test]
fn a_pipeline_file_that_another_program_writes_is_read() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    let text = fs_err::read_to_string(sandbox.path("mine.toml")).unwrap();
    let text = text.replace("\"data\"", &format!("{:?}", sandbox.path("data")));
    let text = text.replace(
        "\"features",
        &format!("\"{}/features", sandbox.path("").display()),
    );

    let mut command = limited(&sandbox, &["plan", "/dev/stdin"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    // A named pipe, as the `<(…)` of some shells; its writer may come later than the reader.
    let pipe = sandbox.path("pipe.toml");
    make_pipe(&pipe);
    let writer = std::thread::spawn(move || fs_err::write(pipe, text));
    let planned = run(&sandbox, &["plan", "pipe.toml"]);
    assert_eq!(planned.code, Some(0), "{}", planned.stderr);
    let stages = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        stages(&planned.stdout),
        stages(&String::from_utf8_lossy(&output.stdout))
    );
    assert_eq!(stages(&planned.stdout).len(), 6);
    writer.join().unwrap().unwrap();
}

#[test]
fn in_the_place_of_a_model_s_files() {
    let sandbox = Sandbox::new();
    draw_data(&sandbox);
    sandbox.write("mine.toml", RANDOM);
    put_checkpoint(&sandbox, "model");
    let of =
        |org: &'static str, ckpt: &'static str| ["run", "mine.toml", "--set", org, "--set", ckpt];
    let timm = of("model.org=timm", "model.ckpt=local-dir:model");
    let config = fs_err::read(sandbox.path("model/config.json")).unwrap();
    is_named(
        &sandbox,
        "model/config.json",
        &timm,
        (2, "5000000000 bytes, expected 67108864 at most"),
    );
    sandbox.write("model/config.json", config);
    is_named(
        &sandbox,
        "model/model.safetensors",
        &timm,
        (3, "not a safetensors file"),
    );
    is_named(
        &sandbox,
        "model/model.safetensors.index.json",
        &timm,
        (2, "5000000000 bytes, expected 67108864 at most"),
    );

    sandbox.write("module.pt", "");
    let script = [
        &of("model.org=torchscript", "model.ckpt=module.pt")[..],
        &["--set", "model.allow_code=true"],
    ];
    is_named(
        &sandbox,
        "module.toml",
        &script.concat(),
        (2, "5000000000 bytes, expected 1048576 at most"),
    );
    let module = sandbox.path("module.pt");
    for (expected, make) in KINDS {
        remove(&module);
        make(&module);
        let finished = run(&sandbox, &script.concat());
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        let expected = format!("module.pt: {expected}");
        assert!(
            finished.stderr.contains(&expected),
            "{expected}: {}",
            finished.stderr
        );
    }
}

#[test]
fn in_the_place_of_features_and_probes() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    let saved = sandbox.run(&["run", "mine.toml", "--save-probes", "--out", "saved"]);
    assert_eq!(saved.code, Some(0), "{}", saved.stderr);
    for arguments in [
        &["run", "mine.toml", "--set", "model.ckpt=other"][..],
        &[
            "predict",
            "--probe",
            "saved/probes.safetensors",
            "--features",
            "other",
        ],
        &[
            "predict",
            "--probe",
            "other",
            "--features",
            "features.safetensors",
        ],
    ] {
        is_named(
            &sandbox,
            "other",
            arguments,
            (3, "not a safetensors file: "),
        );
    }
}

/// A sparse file of features, as long as its header says: of a hundred gigabytes, for so many ids.
fn write_sparse_features(path: &Path, n_ids: usize) {
    const N_BYTES: u64 = 100_000_000_000;
    let ids: Vec<String> = (0..n_ids).map(|n| format!(r#"\"{n}\""#)).collect();
    let header = format!(
        r#"{{"__metadata__":{{"ids":"[{}]"}},"features":{{"dtype":"F32","shape":[10,{}],"data_offsets":[0,{N_BYTES}]}}}}"#,
        ids.join(","),
        N_BYTES / 40,
    );
    let mut file = fs_err::File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes())
        .unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len(N_BYTES + 8 + header.len() as u64).unwrap();
}

#[test]
fn features_that_no_memory_holds_are_an_error_and_those_that_miss_ids_are_not_read() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    let saved = sandbox.run(&["run", "mine.toml", "--save-probes", "--out", "saved"]);
    assert_eq!(saved.code, Some(0), "{}", saved.stderr);
    let probes = "saved/probes.safetensors";
    let predict = ["predict", "--probe", probes, "--features", "other"];
    let too_few = "other: 9 ids in `ids`, 10 rows in `features`\nhint: ";
    let too_large = " bytes, expected no more than there is memory for";
    for (arguments, n_ids, code, expected) in [
        (&predict[..], 10, 1, too_large),
        (&predict, 9, 3, too_few),
        // Not even a digest is made of it.
        (
            &["run", "mine.toml", "--set", "model.ckpt=other"],
            9,
            3,
            too_few,
        ),
    ] {
        write_sparse_features(&sandbox.path("other"), n_ids);
        let finished = run(&sandbox, arguments);
        assert_eq!(finished.code, Some(code), "{}", finished.stderr);
        assert!(finished.stderr.contains(expected), "{}", finished.stderr);
    }
}

#[test]
fn in_the_place_of_a_drawn_data_set_s_recipe() {
    let sandbox = Sandbox::new();
    draw_data(&sandbox);
    let arguments = ["data", "synth", "data", "--images-per-task", "8"];
    is_named(
        &sandbox,
        "data/synth.json",
        &arguments,
        (2, "5000000000 bytes, expected 1048576 at most"),
    );
}
