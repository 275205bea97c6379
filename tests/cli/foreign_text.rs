//! Names that a terminal would obey, or that are two megabytes long, in whatever the program reads.

use newt_pipe::internals::text::is_obeyed;

use crate::sandbox::{Finished, Sandbox, draw_data, precomputed, put_checkpoint, write_features};

/// Clears the screen, colours, returns the carriage, turns the direction of writing, begins a line of its own.
const EVIL: &str = "\u{1b}[2J\u{9b}31m\r\u{202e}\u{2028}\u{2066}\u{7f}\nerror: x";

/// As [`EVIL`] is shown.
const SHOWN: &str = r"\u{1b}[2J\u{9b}31m\r\u{202e}\u{2028}\u{2066}\u{7f}\nerror: x";

/// [`EVIL`] but for the carriage return, which is a line break in a labels file.
fn evil_cell() -> String {
    EVIL.replace('\r', "")
}

/// That a terminal does with the output nothing but to show it, in lines that people read.
fn assert_harmless(finished: &Finished, what: &str) {
    for text in [&finished.stdout, &finished.stderr] {
        let is_odd = |c: char| is_obeyed(c) && c != '\n';
        assert!(!text.contains(is_odd), "{what}: {text:?}");
        assert!(!text.contains("\nerror: x"), "{what}: {text}");
        assert!(!text.contains("panicked"), "{what}: {text}");
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest.unwrap_or(0) < 1500, "{what}: a line of {longest:?}");
    }
    assert!(
        !matches!(finished.code, None | Some(101 | 134)),
        "{what}: {:?}",
        finished.code
    );
}

fn long() -> String {
    "long ".repeat(400_000)
}

/// The labels that [`precomputed`] made, with the only task and its cluster called `task`.
fn rename_task(sandbox: &Sandbox, task: &str) {
    let path = sandbox.path("data/newt2021_labels.csv");
    let csv = fs_err::read_to_string(&path).unwrap();
    let quoted = format!("\"{task}\"");
    let csv = csv.replace("task_0", &quoted).replace("cluster_0", &quoted);
    fs_err::write(path, csv).unwrap();
}

#[test]
fn names_of_tasks_are_shown_on_one_short_line_in_every_table_and_message() {
    for (task, shown) in [
        (
            format!("flower {}", evil_cell()),
            format!("flower {}", SHOWN.replace(r"\r", "")),
        ),
        (
            format!("flower {}end", long()),
            "lon…(1,999,890 characters)…".to_owned(),
        ),
    ] {
        let sandbox = Sandbox::new();
        precomputed(&sandbox, 1, 4);
        fs_err::create_dir(sandbox.path("data/newt2021_images")).unwrap();
        rename_task(&sandbox, &task);
        let run = ["run", "mine.toml", "--save-probes", "--out", "out"];
        let ran = sandbox.run(&run);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stdout.matches(&shown).count() == 2, "{}", ran.stdout);
        assert_harmless(&ran, "run");
        for (arguments, code) in [
            (
                &["run", "mine.toml", "--set", "sample.n_train=[10, 100]"][..],
                0,
            ),
            (&["run", "mine.toml", "--json"], 0),
            (&["plan", "mine.toml"], 0),
            (&["plan", "mine.toml", "--tasks", "none*"], 2),
            // A class that is smaller than the folds, and a fit that ends at its limit, are warned of.
            (&["run", "mine.toml", "--set", "probe.search.folds=12"], 3),
            (
                &[
                    "run",
                    "mine.toml",
                    "--set",
                    "probe.max_iter=1",
                    "--set",
                    "probe.c=1",
                ],
                0,
            ),
            (&["data", "check", "data"], 3),
        ] {
            let finished = sandbox.run(arguments);
            assert_eq!(
                finished.code,
                Some(code),
                "{arguments:?}: {}",
                finished.stderr
            );
            if !arguments.contains(&"--json") {
                assert_harmless(&finished, &format!("{arguments:?}"));
            }
        }
    }
}

#[test]
fn json_holds_names_as_they_are_and_nothing_that_a_terminal_obeys() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    rename_task(&sandbox, &evil_cell());
    let finished = sandbox.run(&["run", "mine.toml", "--json"]);
    assert_harmless(&finished, "run --json");
    let document: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(document["experiments"][0]["tasks"][0]["name"], evil_cell());
}

#[test]
fn cells_and_columns_of_a_labels_file_are_shown_on_one_short_line() {
    for odd in [EVIL.to_owned(), long()] {
        let header = "id,task,task_cluster,task_subcluster,label,split";
        let row = "a,t,c,,0,train";
        for (what, csv) in [
            ("id", format!("{header}\n\"{odd}\",t,c,,0,train\n")),
            ("task", format!("{header}\na,\"{odd}\",c,,0,train\n")),
            (
                "cluster",
                format!("{header}\n{row}\nb,t,\"{odd}\",,1,train\n"),
            ),
            ("label", format!("{header}\na,t,c,,\"{odd}\",train\n")),
            ("split", format!("{header}\na,t,c,,0,\"{odd}\"\n")),
            ("column", format!("id,\"task{odd}\",task_cluster\n")),
            (
                "column twice",
                format!("{header},\"{odd}\",\"{odd}\"\n{row},,\n"),
            ),
            (
                "columns",
                format!("{}\n", vec![format!("\"{odd}\""); 30].join(",")),
            ),
            ("separator", format!("sep={odd}\n")),
        ] {
            let sandbox = Sandbox::new();
            precomputed(&sandbox, 1, 4);
            fs_err::create_dir(sandbox.path("data/newt2021_images")).unwrap();
            sandbox.write("data/newt2021_labels.csv", csv);
            for arguments in [&["run", "mine.toml"][..], &["data", "check", "data"]] {
                let finished = sandbox.run(arguments);
                assert_eq!(finished.code, Some(3), "{what}: {}", finished.stderr);
                if what != "columns" {
                    assert_harmless(&finished, what);
                }
            }
        }
    }
}

#[test]
fn keys_and_values_of_a_pipeline_file_are_shown_on_one_short_line() {
    let toml = |text: &str| toml::Value::String(text.to_owned()).to_string();
    for odd in [EVIL.to_owned(), long()] {
        let odd = toml(&odd);
        for (what, text) in [
            ("table", format!("[{odd}]\n")),
            ("key", format!("[data]\n{odd} = 1\n")),
            ("key twice", format!("[data]\n{odd} = 1\n{odd} = 2\n")),
            ("value", format!("[sample]\nn_train = {odd}\n")),
            ("values", format!("[probe]\nkernel = [{odd}, {odd}]\n")),
            (
                "root",
                format!(
                    "[data]\nroot = {odd}\n[model]\norg = \"random\"\nckpt = \"vit_tiny_patch16_224\"\n"
                ),
            ),
            (
                "org",
                format!("[data]\nroot = \"data\"\n[model]\norg = {odd}\nckpt = \"x\"\n"),
            ),
            (
                "same models",
                format!(
                    "[data]\nroot = \"data\"\n[[model]]\norg = {odd}\nckpt = \"x\"\n[[model]]\norg = {odd}\nckpt = \"x\"\n"
                ),
            ),
        ] {
            let sandbox = Sandbox::new();
            precomputed(&sandbox, 1, 4);
            fs_err::create_dir(sandbox.path("data/newt2021_images")).unwrap();
            sandbox.write("odd.toml", text);
            let finished = sandbox.run(&["run", "odd.toml"]);
            // A path is shown whole, up to the length of a line.
            if what == "root" {
                assert!(finished.stderr.len() < 20_000, "{}", finished.stderr.len());
                assert!(!finished.stderr.contains('\u{1b}'), "{}", finished.stderr);
            } else {
                assert_harmless(&finished, what);
            }
            let code = if what == "root" { 3 } else { 2 };
            assert_eq!(finished.code, Some(code), "{what}: {}", finished.stderr);
        }
        for org in [
            "timm",
            "open-clip",
            "dinov2",
            "aimv2",
            "transformers",
            "torchscript",
            "random",
            "precomputed",
        ] {
            let sandbox = Sandbox::new();
            precomputed(&sandbox, 1, 4);
            sandbox.write(
                "odd.toml",
                format!("[data]\nroot = \"data\"\n[model]\norg = \"{org}\"\nckpt = {odd}\n"),
            );
            let finished = sandbox.run(&["run", "odd.toml"]);
            assert!(
                finished.stderr.len() < 20_000,
                "{org}: {}",
                finished.stderr.len()
            );
            assert!(
                !finished.stderr.contains(['\u{1b}', '\u{9b}', '\r']),
                "{org}: {}",
                finished.stderr
            );
            assert!(
                matches!(finished.code, Some(1..=3)),
                "{org}: {:?}",
                finished.code
            );
        }
    }
}

#[test]
fn arguments_are_shown_on_one_short_line() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    for odd in [EVIL.to_owned(), "long ".repeat(20_000)] {
        let set = format!("{odd}=1");
        let deep = format!("{}=1", "a.".repeat(50_000) + "a");
        let value = format!("sample.n_train={odd}");
        for arguments in [
            &["run", "mine.toml", "--set", &odd][..],
            &["run", "mine.toml", "--set", &set],
            &["run", "mine.toml", "--set", &deep],
            &["run", "mine.toml", "--set", &value],
            &["run", "mine.toml", "--tasks", &odd],
            &["run", "mine.toml", "--force", &odd],
            &["run", "mine.toml", &format!("--{odd}")],
            &[&odd],
            &["models", "check", &odd, "x"],
            &["models", "check", "timm", &odd],
            &[
                "models",
                "check",
                "random",
                &format!("vit_tiny_patch16_224.{odd}"),
            ],
            &["models", "check", "timm", "x", "--device", &odd],
            &["data", "synth", "new", "--task", &odd],
        ] {
            let finished = sandbox.run(arguments);
            assert_harmless(&finished, &format!("{arguments:.60?}"));
            assert_eq!(finished.code, Some(2), "{arguments:?}: {}", finished.stderr);
        }
    }
}

#[test]
fn what_a_checkpoint_says_is_shown_on_one_short_line() {
    let json = |text: &str| serde_json::Value::from(text).to_string();
    let check = |org: &str, prepare: &dyn Fn(&Sandbox)| {
        let sandbox = Sandbox::new();
        put_checkpoint(&sandbox, "c");
        prepare(&sandbox);
        sandbox.run(&["models", "check", org, "local-dir:c"])
    };
    for odd in [EVIL.to_owned(), long()] {
        let odd = json(&odd);
        let config = |text: String| {
            check("timm", &|sandbox: &Sandbox| {
                sandbox.write("c/config.json", &text);
            })
        };
        for (what, finished) in [
            (
                "architecture",
                config(format!("{{\"architecture\": {odd}}}")),
            ),
            (
                "value",
                config(format!(
                    "{{\"architecture\": \"vit_tiny_patch16_224\", \"pretrained_cfg\": {{\"mean\": {odd}}}}}"
                )),
            ),
            (
                "key",
                config(format!(
                    "{{\"architecture\": \"vit_tiny_patch16_224\", \"model_args\": {{{odd}: 1}}}}"
                )),
            ),
            (
                "model_type",
                check("transformers", &|sandbox| {
                    sandbox.write("c/config.json", format!("{{\"model_type\": {odd}}}"));
                }),
            ),
            (
                "model_cfg",
                check("open-clip", &|sandbox| {
                    sandbox.write(
                        "c/open_clip_config.json",
                        format!("{{\"model_cfg\": {{{odd}: {odd}}}}}"),
                    );
                }),
            ),
            (
                "index",
                check("transformers", &|sandbox| {
                    sandbox.write("c/config.json", "{\"model_type\": \"vit\"}");
                    sandbox.write(
                        "c/preprocessor_config.json",
                        "{\"image_processor_type\": \"ViTImageProcessor\"}",
                    );
                    fs_err::remove_file(sandbox.path("c/model.safetensors")).unwrap();
                    sandbox.write(
                        "c/model.safetensors.index.json",
                        format!("{{\"weight_map\": {{\"a\": {odd}}}}}"),
                    );
                }),
            ),
            (
                "tensor",
                check("timm", &|sandbox| {
                    let header = format!(
                        "{{{odd}: {{\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]}}}}"
                    );
                    sandbox.write("c/model.safetensors", safetensors(&header, 4));
                }),
            ),
            (
                "type of a tensor",
                check("timm", &|sandbox| {
                    let header = format!(
                        "{{\"a\": {{\"dtype\": {odd}, \"shape\": [1], \"data_offsets\": [0, 4]}}}}"
                    );
                    sandbox.write("c/model.safetensors", safetensors(&header, 4));
                }),
            ),
            (
                "bytes of a tensor",
                check("timm", &|sandbox| {
                    let header = format!(
                        "{{{odd}: {{\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 4]}}}}"
                    );
                    sandbox.write("c/model.safetensors", safetensors(&header, 4));
                }),
            ),
        ] {
            assert_harmless(&finished, what);
            assert!(
                matches!(finished.code, Some(2 | 3)),
                "{what}: {}",
                finished.stderr
            );
        }
    }
}

/// A safetensors file of this header, padded to whole words as the format has it.
fn safetensors(header: &str, n_bytes: usize) -> Vec<u8> {
    let mut header = header.as_bytes().to_vec();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(vec![0; n_bytes]);
    bytes
}

#[test]
fn ids_of_a_features_file_are_shown_on_one_short_line() {
    for odd in [EVIL.to_owned(), long()] {
        let sandbox = Sandbox::new();
        precomputed(&sandbox, 1, 4);
        let rows = [1.0, 0.0, f32::NAN, 1.0];
        let features = sandbox.path("features.safetensors");
        for (what, ids, values) in [
            (
                "surplus",
                ["a".to_owned(), odd.clone()],
                [1.0, 0.0, 0.0, 1.0],
            ),
            ("twice", [odd.clone(), odd.clone()], [1.0, 0.0, 0.0, 1.0]),
            ("NaN", ["a".to_owned(), odd.clone()], rows),
            (
                "norm",
                ["a".to_owned(), odd.clone()],
                [1.0, 0.0, f32::MAX, f32::MAX],
            ),
        ] {
            write_features(&features, &ids, &values, 2);
            let finished = sandbox.run(&["run", "mine.toml"]);
            assert_harmless(&finished, what);
            assert_eq!(finished.code, Some(3), "{what}: {}", finished.stderr);
        }
    }
}

#[test]
fn ids_in_the_table_of_predictions_are_shown_on_one_line() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 1, 4);
    let run = sandbox.run(&["run", "mine.toml", "--save-probes", "--out", "out"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let ids = [EVIL.to_owned()];
    write_features(
        &sandbox.path("odd.safetensors"),
        &ids,
        &[1.0, 0.0, 0.0, 0.0],
        4,
    );
    let predicted = sandbox.run(&[
        "predict",
        "--probe",
        "out/probes.safetensors",
        "--features",
        "odd.safetensors",
    ]);
    assert_eq!(predicted.code, Some(0), "{}", predicted.stderr);
    let row = predicted.stdout.lines().nth(1).unwrap_or_default();
    assert!(row.starts_with(&format!("{SHOWN}\ttask_0\t")), "{row}");
    assert!(!row.contains(|c| is_obeyed(c) && c != '\t'), "{row:?}");
}

#[test]
fn names_of_files_and_folders_are_shown_on_one_line() {
    let sandbox = Sandbox::new();
    draw_data(&sandbox);
    sandbox.write(
        &format!("data/newt2021_images/{}.jpg", EVIL.replace('/', "")),
        "",
    );
    let checked = sandbox.run(&["data", "check", "data"]);
    assert_harmless(&checked, "a stray image");
    assert!(checked.stdout.contains(SHOWN), "{}", checked.stdout);
    fs_err::rename(sandbox.path("data"), sandbox.path(EVIL)).unwrap();
    assert_harmless(&sandbox.run(&["data", "check", EVIL]), "a folder");
    fs_err::remove_dir_all(sandbox.path(&format!("{EVIL}/newt2021_images"))).unwrap();
    assert_harmless(
        &sandbox.run(&["data", "check", EVIL]),
        "a folder without images",
    );
    sandbox.write(&format!("{EVIL}.toml"), "[data]\nroot = 1\n");
    assert_harmless(
        &sandbox.run(&["run", &format!("{EVIL}.toml")]),
        "a pipeline file",
    );
    // A result that is a path is taken as it is by other programs.
    let path = sandbox.run(&["cache", "path", "--cache-dir", EVIL]);
    assert_eq!(path.stdout, format!("{EVIL}\n"));
}
