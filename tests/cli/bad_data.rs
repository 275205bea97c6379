//! Data sets that cannot be used.

use crate::sandbox::{Finished, Sandbox, precomputed};

const DRAW: [&str; 7] = [
    "data",
    "synth",
    "data",
    "--images-per-task",
    "8",
    "--task",
    "synth_flower_blue_vs_red",
];

const RANDOM: &str =
    "[data]\nroot = \"data\"\n\n[model]\norg = \"random\"\nckpt = \"vit_tiny_patch16_224\"\n";

fn run_csv(change: impl Fn(String) -> String) -> Finished {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let csv = fs_err::read_to_string(sandbox.path("data/newt2021_labels.csv")).unwrap();
    sandbox.write("data/newt2021_labels.csv", change(csv));
    sandbox.run(&["run", "mine.toml"])
}

#[test]
fn a_missing_root_comes_with_the_command_that_gets_it() {
    let sandbox = Sandbox::new();
    sandbox.write("mine.toml", RANDOM);
    crate::assert_run!(sandbox.run(&["run", "mine.toml"]), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data root data: no such folder, expected `newt2021_labels.csv` and `newt2021_images` in it
    hint: `newt-pipe data fetch data` gets NeWT (4 GB); `newt-pipe data synth DIR` draws a small data set
    ");
}

#[test]
fn rows_of_the_labels_file() {
    crate::assert_run!(run_csv(|csv| csv.replace("label,split", "target,split")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv:1: column `label` is missing, found `id`, `task`, `task_cluster`, `task_subcluster`, `target`, `split`
    hint: the columns needed are `id`, `task`, `task_cluster`, `label`, `split`
    ");
    crate::assert_run!(run_csv(|csv| csv.replace("t0-02,task_0,cluster_0,,0", "t0-02,task_0,cluster_0,,2")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv:4: label of image `t0-02` is `2`, expected `0` or `1`
    hint: every task is binary: number its two classes 0 and 1
    ");
    crate::assert_run!(run_csv(|csv| csv.replace("t0-02,", "../../etc/passwd,")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv:4: id `../../etc/passwd` holds a path separator, expected a plain file name without `.jpg`
    hint: name the image file after a plain id, and use that id in the row
    ");
    crate::assert_run!(run_csv(|csv| csv.replace("t0-02,", "t0-01,")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv:4: id `t0-01` is used again, expected only on line 3
    hint: remove one of the rows; an image in two tasks needs two ids and two files
    ");
    crate::assert_run!(run_csv(|csv| csv.replace("t0-02,task_0,cluster_0", "t0-02,task_0,cluster_1")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv:4: task `task_0` has `task_cluster` `cluster_1`, expected `cluster_0` as on line 2
    hint: correct the row, or give the task of the other group a name of its own
    ");
    crate::assert_run!(run_csv(|csv| csv.replace("t0-02,task_0,cluster_0,,0,train", "t0-02,task_0,cluster_0")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv:4: 3 fields, expected 6
    hint: write one field per column; one that holds a comma stands in double quotes
    ");
}

#[test]
fn tasks_that_cannot_be_evaluated() {
    crate::assert_run!(run_csv(|csv| csv.replace(",test", ",train")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv: 2 problems
      line 2: task `task_0`: 20 train and 0 test rows, expected both
      line 22: task `task_1`: 20 train and 0 test rows, expected both
    hint: set `split` to `train` in some of the task's rows and to `test` in the others
    ");
    crate::assert_run!(run_csv(|csv| csv.replace(",1,train", ",1,test")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv: 2 problems
      line 2: task `task_0`: all 6 train rows have label 0, an SVM needs both classes
      line 22: task `task_1`: all 6 train rows have label 0, an SVM needs both classes
    hint: move rows of the other class to the train split, or remove the task
    ");
}

#[test]
fn every_bad_image_is_listed_before_the_network_runs() {
    let sandbox = Sandbox::new();
    sandbox.run(&DRAW);
    sandbox.write("mine.toml", RANDOM);
    let images = sandbox.path("data/newt2021_images");
    let mut names: Vec<String> = images
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let whole = fs_err::read(images.join(&names[0])).unwrap();
    sandbox.write(&format!("data/newt2021_images/{}", names[0]), b"");
    sandbox.write(
        &format!("data/newt2021_images/{}", names[1]),
        b"RIFF\x24\0\0\0WEBPVP8 ",
    );
    sandbox.write(
        &format!("data/newt2021_images/{}", names[2]),
        &whole[..whole.len() / 2],
    );
    let finished = sandbox.run(&["run", "mine.toml"]);
    assert_eq!(finished.code, Some(3));
    for (name, problem) in names.iter().zip(["empty file", "WebP image", "truncated"]) {
        let line = finished
            .stderr
            .lines()
            .find(|line| line.contains(name.as_str()))
            .unwrap();
        assert!(line.contains(problem), "{line}");
    }
    let hint = format!(
        "hint: for `{}`: get the file again, the copy is damaged; for `{}`: convert the file to a baseline JPEG\n",
        names[0], names[1]
    );
    assert!(finished.stderr.ends_with(&hint), "{}", finished.stderr);
    assert!(!sandbox.path("results/mine").exists());

    fs_err::remove_file(images.join(&names[0])).unwrap();
    let finished = sandbox.run(&["run", "mine.toml"]);
    assert_eq!(finished.code, Some(3));
    assert!(
        finished.stderr.contains(&format!("{}: missing", names[0])),
        "{}",
        finished.stderr
    );
}

#[test]
fn a_folder_and_a_broken_link_in_an_image_s_place_are_said_alike_by_run_and_check() {
    let sandbox = Sandbox::new();
    sandbox.run(&DRAW);
    sandbox.write("mine.toml", RANDOM);
    let images = sandbox.path("data/newt2021_images");
    let mut names: Vec<_> = fs_err::read_dir(&images)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    for path in &names[..2] {
        fs_err::remove_file(path).unwrap();
    }
    fs_err::create_dir(&names[0]).unwrap();
    std::os::unix::fs::symlink("gone.jpg", &names[1]).unwrap();
    let name = |place: usize| names[place].file_name().unwrap().to_str().unwrap();
    for arguments in [&["run", "mine.toml"][..], &["data", "check", "data"]] {
        let finished = sandbox.run(arguments);
        assert_eq!(finished.code, Some(3));
        let said = finished.stdout + &finished.stderr;
        for problem in [
            format!("{}: is a folder, expected a regular file", name(0)),
            format!("{}` is a link to `gone.jpg`, where nothing is", name(1)),
        ] {
            assert!(said.contains(&problem), "{problem}: {said}");
        }
        // A folder in an image's place is that image's problem, and no file of none.
        assert!(!said.contains("belong to no row"), "{said}");
    }

    fs_err::remove_file(sandbox.path("data/newt2021_labels.csv")).unwrap();
    let link = sandbox.path("data/newt2021_labels.csv");
    std::os::unix::fs::symlink("gone.csv", link).unwrap();
    crate::assert_run!(sandbox.run(&["run", "mine.toml"]), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: `data/newt2021_labels.csv` is a link to `gone.csv`, where nothing is
    hint: copy what the links stand for with them, as `cp -rL` and `rsync -L` do
    ");
}

#[test]
fn other_splits_than_train_and_test() {
    let validation = |csv: String| {
        let csv = csv.replace(
            "t0-12,task_0,cluster_0,,0,test",
            "t0-12,task_0,cluster_0,,0,Train",
        );
        csv.replace(",1,test", ",1,val")
    };
    crate::assert_run!(run_csv(validation), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv: `split` is `Train` in 1 row (line 14), `val` in 8 rows (from line 15), expected `train` or `test`
    hint: correct these rows; or set `data.other_splits` to `test`, which tests on every row that does not train
    ");
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    sandbox.run(&["run", "mine.toml"]);
    let path = sandbox.path("data/newt2021_labels.csv");
    let csv = fs_err::read_to_string(&path).unwrap();
    fs_err::write(&path, csv.replace(",1,test", ",1,val")).unwrap();
    let tested = sandbox.json(&["run", "mine.toml", "--set", "data.other_splits=test"]);
    // The same rows in the same splits: what was computed of them holds.
    let statuses = crate::sandbox::statuses(&tested);
    assert_eq!(
        statuses[..3],
        ["labels ran", "sample cached", "features cached"]
    );
    // The labels that the cache knows were taken under another rule.
    assert_eq!(sandbox.run(&["run", "mine.toml"]).code, Some(3));
}

#[test]
fn dialects_of_the_labels_file() {
    let fine = |change: &dyn Fn(String) -> String| {
        let finished = run_csv(change);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    };
    let numbered = |csv: String, name: &str| {
        let rows = csv.lines().skip(1).enumerate();
        let rows = rows.map(|(n, row)| [n.to_string(), row.to_owned()].join(","));
        let header = format!("{name},{}", csv.lines().next().unwrap());
        std::iter::once(header)
            .chain(rows)
            .collect::<Vec<_>>()
            .join("\n")
    };
    fine(&|csv| numbered(csv, ""));
    fine(&|csv| numbered(csv, "\"\""));
    fine(&|csv| csv.replace('\n', "\r\n") + "\r\n");
    fine(&|csv| {
        format!(
            "\u{feff}\n{}\n,,,,,\n",
            csv.replace("t0-12,", "\n\"t0-12\",")
        )
    });
    crate::assert_run!(run_csv(|csv| csv.replace(',', ";")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv:1: fields are separated by semicolons, expected commas
    hint: save the file with commas between the fields
    ");
    crate::assert_run!(run_csv(|csv| csv.replace(',', "\t")), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv:1: fields are separated by tabs, expected commas
    hint: save the file with commas between the fields
    ");

    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let path = sandbox.path("data/newt2021_labels.csv");
    let csv = fs_err::read_to_string(&path).unwrap();
    let wide: Vec<u8> = csv.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs_err::write(&path, [b"\xff\xfe", wide.as_slice()].concat()).unwrap();
    crate::assert_run!(sandbox.run(&["run", "mine.toml"]), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv:1: UTF-16 text, expected UTF-8
    hint: save the file as UTF-8; spreadsheets call it `CSV UTF-8`
    ");
    fs_err::write(&path, csv.replace("label,", "class,")).unwrap();
    fs_err::create_dir(sandbox.path("data/newt2021_images")).unwrap();
    crate::assert_run!(sandbox.run(&["data", "check", "data"]), @"
    exit code: Some(3)
    --- stdout
    newt2021_labels.csv:1: column `label` is missing, found `id`, `task`, `task_cluster`, `task_subcluster`, `class`, `split`; the columns needed are `id`, `task`, `task_cluster`, `label`, `split`
    1 problem found
    --- stderr
    ");
}

#[test]
fn more_train_rows_than_a_task_has() {
    let sandbox = Sandbox::new();
    precomputed(&sandbox, 2, 4);
    let sweep = [
        "run",
        "mine.toml",
        "--set",
        "sample.n_train=[4, 30]",
        "--set",
        "sample.seed=[1, 2]",
    ];
    let finished = sandbox.run(&sweep);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let warnings: Vec<&str> = finished
        .stderr
        .lines()
        .filter(|line| line.starts_with("warning:"))
        .collect();
    insta::assert_snapshot!(warnings.join("\n"), @"warning: n_train = 30: 2 tasks of 2 with fewer train rows, or fewer of a class, than that takes: task_0 (12), task_1 (12); `n_train_used` in the results is what was used");
    let in_table = |line: &&str| line.contains("30 (12 used)");
    assert_eq!(
        finished.stdout.lines().filter(in_table).count(),
        2,
        "{}",
        finished.stdout
    );

    // Said again where everything is in the cache.
    let document = sandbox.json(&sweep);
    let used: Vec<f64> = document["experiments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|experiment| experiment["n_train_used"].as_f64().unwrap())
        .collect();
    assert_eq!(used, [4.0, 4.0, 12.0, 12.0]);
    assert!(sandbox.run(&sweep).stderr.contains(warnings[0]));
    assert_eq!(document["experiments"][2]["n_train"], 30);
}

#[test]
fn images_under_other_names() {
    let sandbox = Sandbox::new();
    sandbox.run(&DRAW);
    sandbox.write("mine.toml", RANDOM);
    let first = sandbox.json(&["run", "mine.toml"]);
    let images = sandbox.path("data/newt2021_images");
    let mut names: Vec<String> = images
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let rename = |name: &str, ending: &str| {
        let to = name.replace(".jpg", ending);
        fs_err::rename(images.join(name), images.join(&to)).unwrap();
        to
    };
    rename(&names[0], ".JPG");
    rename(&names[1], ".jpg.jpg");
    rename(&names[2], ".jpeg");
    let finished = sandbox.run(&["run", "mine.toml", "-q"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let taken = format!(
        "warning: 3 images are not named `<id>.jpg`, taken instead: {}",
        names[0].replace(".jpg", ".JPG")
    );
    assert_eq!(
        finished.stderr.matches(&taken).count(),
        1,
        "{}",
        finished.stderr
    );
    // The images are the same, whatever their names.
    let again = sandbox.json(&["run", "mine.toml"]);
    assert_eq!(again["experiments"][0]["stages"][2]["status"], "cached");
    assert_eq!(
        again["experiments"][0]["accuracy"],
        first["experiments"][0]["accuracy"]
    );

    let other = names[0].replace(".jpg", ".JPEG");
    fs_err::copy(
        images.join(names[0].replace(".jpg", ".JPG")),
        images.join(&other),
    )
    .unwrap();
    let finished = sandbox.run(&["run", "mine.toml"]);
    assert_eq!(finished.code, Some(3));
    let stem = |place: usize| names[place].trim_end_matches(".jpg");
    let said = finished.stderr.replace(stem(0), "A").replace(stem(1), "B");
    insta::assert_snapshot!(said.replace(stem(2), "C"), @"
    warning: 2 images are not named `<id>.jpg`, taken instead: B.jpg.jpg, C.jpeg
    error: data/newt2021_images/A.jpg: missing, and more than one file could be it: A.JPEG, A.JPG
    hint: give the right file the name that is missing
    ");
}

#[test]
fn a_png_under_the_name_of_a_jpeg_is_read() {
    let sandbox = Sandbox::new();
    sandbox.run(&DRAW);
    sandbox.write("mine.toml", RANDOM);
    let fixture = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/fixtures/png.safetensors"
    );
    let bytes = fs_err::read(fixture).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let images = sandbox.path("data/newt2021_images");
    for entry in images.read_dir().unwrap().take(1) {
        let png = tensors.tensor("png/palette_4_interlaced").unwrap();
        fs_err::write(entry.unwrap().path(), png.data()).unwrap();
    }
    let finished = sandbox.run(&["run", "mine.toml"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

#[test]
fn an_image_that_claims_more_pixels_than_memory_holds_is_refused_by_its_header() {
    let sandbox = Sandbox::new();
    sandbox.run(&DRAW);
    sandbox.write("mine.toml", RANDOM);
    let images = sandbox.path("data/newt2021_images");
    let first = images.read_dir().unwrap().next().unwrap().unwrap();
    let name = first.file_name().into_string().unwrap();
    // A JPEG of one grey component, 65,535 pixels wide and high.
    let jpeg = b"\xff\xd8\xff\xc0\0\x0b\x08\xff\xff\xff\xff\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0\xff\xd9";
    sandbox.write(&format!("data/newt2021_images/{name}"), jpeg);
    for arguments in [&["data", "check", "data"][..], &["run", "mine.toml"]] {
        let finished = sandbox.run(arguments);
        assert_eq!(finished.code, Some(3), "{}", finished.stderr);
        let said = finished.stdout + &finished.stderr;
        let problem = "image of 65535 × 65535 pixels, at most 178956970 in all are read";
        assert!(said.contains(&format!("{name}: {problem}")), "{said}");
    }
}
