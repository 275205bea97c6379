//! Getting the data set: from a mirror on loopback, with archives that `tar` has made.

use std::ffi::OsString;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::assert_run;
use crate::interruption::signal;
use crate::sandbox::{Finished, Sandbox, draw_data, wait_until};
use crate::server::{Reply, Seen, Server, part, sha256};

const LABELS: &str = "newt2021_labels.csv.tar.gz";
const IMAGES: &str = "newt2021_images.tar.gz";

/// A drawn data set in `data`, as two archives.
#[derive(Clone)]
struct Archives {
    labels: Vec<u8>,
    images: Vec<u8>,
}

impl Archives {
    fn new(sandbox: &Sandbox) -> Self {
        draw_data(sandbox);
        let pack = |archive: &str, content: &str| {
            let mut command = Command::new("tar");
            command.args(["-C", "data", "-czf", archive, content]);
            let status = command.current_dir(sandbox.path("")).status().unwrap();
            assert!(status.success());
            let path = sandbox.path(archive);
            let bytes = fs_err::read(&path).unwrap();
            fs_err::remove_file(path).unwrap();
            bytes
        };
        Self {
            labels: pack(LABELS, "newt2021_labels.csv"),
            images: pack(IMAGES, "newt2021_images"),
        }
    }

    fn answer(&self, request: &Seen) -> Reply {
        match request.target.strip_prefix("/newt/") {
            Some(LABELS) => part(&self.labels, request),
            Some(IMAGES) => part(&self.images, request),
            _ => Reply::new(404),
        }
    }

    fn serve(&self) -> Server {
        let archives = self.clone();
        Server::start(move |request| archives.answer(request))
    }

    /// Sends half of the images, and then nothing for far longer than a test takes.
    fn serve_half(&self) -> Server {
        let archives = self.clone();
        Server::start(move |request| {
            let mut reply = archives.answer(request);
            if request.target.ends_with(IMAGES) {
                reply.cut = Some(archives.images.len() / 2);
                reply.silence = Duration::from_hours(1);
            }
            reply
        })
    }

    /// The arguments that fetch them from `server` to `newt`.
    fn arguments(&self, server: &Server) -> Vec<String> {
        let mirror = format!("{}/newt", server.url);
        let (labels, images) = (sha256(&self.labels), sha256(&self.images));
        [
            "data",
            "fetch",
            "newt",
            // A slow machine is told how far it has come.
            "--quiet",
            "--mirror",
            &mirror,
            "--sha256-labels",
            &labels,
            "--sha256-images",
            &images,
        ]
        .map(str::to_owned)
        .into()
    }

    fn command(&self, sandbox: &Sandbox, server: &Server, more: &[&str]) -> Command {
        let arguments = self.arguments(server);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        online(sandbox, &[&arguments, more].concat())
    }

    fn run(&self, sandbox: &Sandbox, server: &Server, more: &[&str]) -> Finished {
        sandbox.finish(self.command(sandbox, server, more))
    }

    /// Starts a fetch, and waits until half of the images have arrived.
    fn start(&self, sandbox: &Sandbox, server: &Server) -> Child {
        let mut command = self.command(sandbox, server, &[]);
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_until("half of the images has arrived", || {
            self.n_held(sandbox) >= self.images.len() / 2
        });
        child
    }

    /// How much of the images has arrived.
    fn n_held(&self, sandbox: &Sandbox) -> usize {
        let name = format!("newt/.fetch/{IMAGES}.{}.part", &sha256(&self.images)[..12]);
        fs_err::metadata(sandbox.path(&name)).map_or(0, |part| {
            usize::try_from(part.len()).expect("a part of a small archive")
        })
    }
}

/// Makes sure that `newt` is what was drawn, and no more.
fn assert_whole(sandbox: &Sandbox) {
    let mut command = Command::new("diff");
    command.args(["-r", "--exclude", "synth.json", "data", "newt"]);
    let output = command.current_dir(sandbox.path("")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The program in the sandbox, which may ask a server on loopback.
fn online(sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let mut command = sandbox.command(arguments);
    command.env_remove("HF_HUB_OFFLINE");
    command
}

/// What the program gets to see of the environment.
fn environment(sandbox: &Sandbox) -> Vec<(OsString, OsString)> {
    let command = online(sandbox, &[]);
    let variables = command.get_envs();
    variables
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect()
}

/// Runs a shell script where it may mount file systems; `None` where the machine allows nobody to, which fails the
/// test where the environment says `CI=true`.
fn with_mounts(sandbox: &Sandbox, script: &str) -> Option<Finished> {
    for how in ["--mount", "--map-root-user"] {
        let unshare = |script: &str| {
            let mut command = Command::new("unshare");
            command
                .args(["--mount", how, "sh", "-c", script])
                .current_dir(sandbox.path(""))
                .env_clear()
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .envs(environment(sandbox));
            command
        };
        let probe = unshare("mkdir -p probe && mount -t tmpfs none probe").output();
        if probe.is_ok_and(|output| output.status.success()) {
            return Some(sandbox.finish(unshare(script)));
        }
    }
    let what = "NOT TESTED: this machine lets nobody mount a file system (`unshare --mount`)";
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "{what}"
    );
    // Past the harness, which keeps to itself what a test that passes says.
    let _ = writeln!(std::io::stderr(), "{what}");
    None
}

#[test]
fn data_set_is_fetched_checked_and_not_fetched_again() {
    let sandbox = Sandbox::new();
    let archives = Archives::new(&sandbox);
    let server = archives.serve();
    assert_run!(archives.run(&sandbox, &server, &[]), @"
    exit code: Some(0)
    --- stdout
    newt: 8 images, 1 task, fetched
    not NeWT: 0 of its 164 tasks and 1 other, 4 test rows where NeWT has 18,024; published scores do not compare
    --- stderr
    ");
    assert_whole(&sandbox);
    let again = archives.run(&sandbox, &server, &["--offline"]);
    assert!(
        again
            .stdout
            .starts_with("newt: 8 images, 1 task, was there already\n"),
        "{}",
        again.stdout
    );
    let document = archives.run(&sandbox, &server, &["--json"]).stdout;
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["fetched"]["labels"], false);
    assert_eq!(document["fetched"]["images"], false);
    assert_eq!(document["n_images"], 8);
    assert_eq!(document["newt"]["is_newt"], false);
    assert_eq!(server.lines().len(), 2);
}

#[test]
fn archives_of_another_digest_are_refused() {
    let sandbox = Sandbox::new();
    let archives = Archives::new(&sandbox);
    let server = archives.serve();
    let mirror = format!("{}/newt", server.url);
    let arguments = ["data", "fetch", "newt", "--quiet", "--mirror", &mirror];
    let mut finished = sandbox.finish(online(&sandbox, &arguments));
    finished.stderr = finished
        .stderr
        .replace(&sha256(&archives.labels), "[SHA-256]");
    assert_run!(finished, @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: newt2021_labels.csv.tar.gz: the bytes received have SHA-256 [SHA-256], expected e09807842485ef49ccf51d74ac9f6072c599fc16cf5ee755fdf4064f2e4c3828
    hint: nothing of the archive is kept, and the same command fetches it anew; `--mirror URL` takes another address
    ");
    assert_eq!(fs_err::read_dir(sandbox.path("newt")).unwrap().count(), 0);
}

#[test]
fn labels_of_another_data_set_get_no_images_of_newt() {
    let sandbox = Sandbox::new();
    draw_data(&sandbox);
    fs_err::remove_dir_all(sandbox.path("data/newt2021_images")).unwrap();
    let server = Server::start(|_| Reply::new(404));
    let mirror = format!("{}/newt", server.url);
    let arguments = ["data", "fetch", "data", "--mirror", &mirror];
    assert_run!(sandbox.finish(online(&sandbox, &arguments)), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data/newt2021_labels.csv: has 1 task that NeWT does not have, expected NeWT's labels
    hint: move data/newt2021_labels.csv away, or choose another folder for NeWT
    ");
    assert!(server.lines().is_empty());
    assert!(sandbox.path("data/newt2021_labels.csv").exists());
}

#[test]
fn what_cannot_be_fetched_is_said() {
    let sandbox = Sandbox::new();
    assert_run!(sandbox.run(&["data", "fetch", "--offline"]), @"
    exit code: Some(1)
    --- stdout
    --- stderr
    error: data/newt: no `newt2021_labels.csv`, and nothing is fetched in offline mode
    hint: run `newt-pipe data fetch` where there is a network, without `--offline` and `HF_HUB_OFFLINE`, or put the archive `newt2021_labels.csv.tar.gz` into data/newt
    ");
    // The sandbox has HF_HUB_OFFLINE set.
    let offline = sandbox.run(&["data", "fetch", "--offline"]).stderr;
    let server = Server::start(|_| Reply::new(404));
    assert_eq!(
        sandbox
            .run(&["data", "fetch", "--mirror", &server.url])
            .stderr,
        offline
    );
    assert!(server.lines().is_empty());
    assert_run!(sandbox.run(&["data", "fetch", "--mirror", "file:///data/newt"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: mirror `file:///data/newt`: is no web address, expected an address like `https://host/folder`
    hint: give `--mirror` the address of the folder that holds both archives; archives on this machine need no mirror: put them into the data root
    ");
    let digest = [
        "data",
        "fetch",
        "--mirror",
        "http://host",
        "--sha256-images",
        "abc",
    ];
    let finished = sandbox.run(&digest);
    assert_eq!(finished.code, Some(2));
    assert!(
        finished.stderr.contains("expected 64 hexadecimal digits"),
        "{}",
        finished.stderr
    );
}

#[test]
fn own_archives_that_lie_in_the_folder_need_no_mirror() {
    let sandbox = Sandbox::new();
    let archives = Archives::new(&sandbox);
    sandbox.write(&format!("newt/{LABELS}"), &archives.labels);
    sandbox.write(&format!("newt/{IMAGES}"), &archives.images);
    let (labels, images) = (sha256(&archives.labels), sha256(&archives.images));
    let finished = sandbox.run(&[
        "data",
        "fetch",
        "newt",
        "--offline",
        "--sha256-labels",
        &labels,
        "--sha256-images",
        &images,
    ]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    for archive in [LABELS, IMAGES] {
        fs_err::remove_file(sandbox.path(&format!("newt/{archive}"))).unwrap();
    }
    assert_whole(&sandbox);
}

#[test]
fn nothing_is_written_through_a_link_in_the_place_of_a_part() {
    let sandbox = Sandbox::new();
    let archives = Archives::new(&sandbox);
    let server = archives.serve();
    let theirs = sandbox.write("theirs", "theirs");
    let digest = sha256(&archives.images);
    let part = format!("newt/.fetch/{IMAGES}.{}.part", &digest[..12]);
    for name in [part.as_str(), "newt/.fetch/lock"] {
        let place = sandbox.path(name);
        fs_err::create_dir_all(place.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&theirs, place).unwrap();
    }
    let fetched = archives.run(&sandbox, &server, &[]);
    assert_eq!(fetched.code, Some(0), "{}", fetched.stderr);
    assert_whole(&sandbox);
    assert_eq!(fs_err::read(theirs).unwrap(), b"theirs");
}

#[test]
fn killed_fetch_goes_on_where_it_was() {
    let sandbox = Sandbox::new();
    let archives = Archives::new(&sandbox);
    let mut child = archives.start(&sandbox, &archives.serve_half());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!sandbox.path("newt/newt2021_images").exists());
    let n_held = archives.n_held(&sandbox);

    let server = archives.serve();
    let finished = archives.run(&sandbox, &server, &[]);
    assert!(
        finished
            .stdout
            .starts_with("newt: 8 images, 1 task, images fetched, labels were there already\n"),
        "{}{}",
        finished.stdout,
        finished.stderr
    );
    assert_eq!(server.ranges(IMAGES), [Some(format!("bytes={n_held}-"))]);
    assert_whole(&sandbox);
}

#[test]
fn signal_ends_a_fetch_soon_and_says_how_to_go_on() {
    for (name, code) in [("INT", 130), ("TERM", 75)] {
        let sandbox = Sandbox::new();
        let archives = Archives::new(&sandbox);
        let child = archives.start(&sandbox, &archives.serve_half());
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        let hint = "hint: what has arrived is kept; the same command goes on from there";
        assert!(stderr.contains(hint), "{stderr}");
        let finished = archives.run(&sandbox, &archives.serve(), &[]);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert_whole(&sandbox);
    }
}

#[test]
fn full_disk_ends_a_fetch_that_goes_on_once_there_is_space() {
    let sandbox = Sandbox::new();
    let archives = Archives::new(&sandbox);
    let program = env!("CARGO_BIN_EXE_newt-pipe");
    let server = archives.serve();
    let fetch = format!("'{program}' {}", archives.arguments(&server).join(" "));
    // Space for half of the archive; the same fetch on the same disk, made larger.
    let n_bytes = archives.images.len() / 2;
    let script = format!(
        "mkdir newt && mount -t tmpfs -o size={n_bytes} none newt || exit 99\n\
         {fetch}; echo \"first: $?\"\n\
         mount -o remount,size=100m newt || exit 99\n\
         {fetch} || exit 98\n\
         diff -r --exclude synth.json data newt"
    );
    let Some(finished) = with_mounts(&sandbox, &script) else {
        return;
    };
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(
        finished.stdout.starts_with("first: 1\n"),
        "{}",
        finished.stdout
    );
    let stderr = &finished.stderr;
    assert!(stderr.contains("No space left on device"), "{stderr}");
    assert!(stderr.contains("hint: free some space there"), "{stderr}");
    let ranges = server.ranges(IMAGES);
    assert_eq!(ranges.len(), 2, "{ranges:?}");
    assert!(ranges[1].is_some(), "{ranges:?}");
}

#[test]
fn file_that_may_not_grow_ends_a_fetch_that_goes_on_later() {
    let sandbox = Sandbox::new();
    let archives = Archives::new(&sandbox);
    let program = env!("CARGO_BIN_EXE_newt-pipe");
    let server = archives.serve();
    let fetch = format!("'{program}' {}", archives.arguments(&server).join(" "));
    // Blocks of 512 bytes.
    let n_blocks = archives.images.len() / 512 / 2;
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -f {n_blocks}; exec {fetch}")])
        .current_dir(sandbox.path(""))
        .env_clear()
        .envs(environment(&sandbox));
    let finished = sandbox.finish(command);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("hint: free some space there"),
        "{}",
        finished.stderr
    );
    let n_held = archives.n_held(&sandbox);
    assert!(n_held > 0);
    let finished = archives.run(&sandbox, &server, &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(
        server.ranges(IMAGES),
        [None, Some(format!("bytes={n_held}-"))]
    );
    assert_whole(&sandbox);
}

#[test]
fn folder_that_cannot_be_written_to_is_named_and_a_whole_one_is_fine() {
    let sandbox = Sandbox::new();
    let archives = Archives::new(&sandbox);
    let program = env!("CARGO_BIN_EXE_newt-pipe");
    let server = archives.serve();
    let fetch = format!("'{program}' {}", archives.arguments(&server).join(" "));
    // A disk for reading binds root as well.
    let script = format!(
        "mkdir newt && mount -t tmpfs none newt && mount -o remount,ro newt || exit 99\n\
         {fetch}; echo \"empty: $?\"\n\
         mount -o remount,rw newt && cp -r data/newt2021* newt && mount -o remount,ro newt || exit 99\n\
         {fetch}"
    );
    let Some(finished) = with_mounts(&sandbox, &script) else {
        return;
    };
    assert_run!(finished, @"
    exit code: Some(0)
    --- stdout
    empty: 2
    newt: 8 images, 1 task, was there already
    not NeWT: 0 of its 164 tasks and 1 other, 4 test rows where NeWT has 18,024; published scores do not compare
    --- stderr
    error: newt: not writable: failed to create directory `newt/.fetch`: Read-only file system (os error 30)
    hint: choose a folder that you can write to
    ");
    assert!(server.lines().is_empty());
}

#[test]
fn missing_data_set_is_said_before_a_network_is_asked_for_weights() {
    let sandbox = Sandbox::new();
    let hub = Server::start(|_| Reply::new(404));
    sandbox.write(
        "mine.toml",
        "[data]\nroot = \"my data\"\n\n[model]\norg = \"timm\"\nckpt = \"hf-hub:org/name\"\n",
    );
    let run = |arguments: &[&str]| {
        let mut command = online(&sandbox, arguments);
        command.env("HF_ENDPOINT", &hub.url);
        sandbox.finish(command)
    };
    assert_run!(run(&["run", "mine.toml"]), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data root my data: no such folder, expected `newt2021_labels.csv` and `newt2021_images` in it
    hint: `newt-pipe data fetch 'my data'` gets NeWT (4 GB); `newt-pipe data synth DIR` draws a small data set
    ");
    let said = run(&["run", "mine.toml"]).stderr;
    assert_eq!(run(&["plan", "mine.toml"]).stderr, said);
    assert_eq!(run(&["features", "export", "mine.toml"]).stderr, said);

    sandbox.write(
        "my data/newt2021_labels.csv",
        "id,task,task_cluster,label,split\n",
    );
    assert_run!(run(&["run", "mine.toml"]), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: data root my data: no folder `newt2021_images`, expected the images there
    hint: `newt-pipe data fetch 'my data'` gets NeWT's images (4 GB); put the images of another data set into that folder
    ");
    let said = run(&["run", "mine.toml"]).stderr;
    assert_eq!(run(&["plan", "mine.toml"]).stderr, said);
    assert!(hub.lines().is_empty());
    fs_err::create_dir(sandbox.path("my data/newt2021_images")).unwrap();
    assert_eq!(run(&["run", "mine.toml"]).code, Some(3));
    assert!(hub.lines().is_empty());
    // With all of it there, the hub is asked.
    sandbox.write(
        "my data/newt2021_labels.csv",
        "id,task,task_cluster,label,split\na,t,c,0,train\nb,t,c,1,train\nc,t,c,0,test\n",
    );
    assert_eq!(run(&["run", "mine.toml"]).code, Some(2));
    assert!(!hub.lines().is_empty());
}

#[test]
fn check_says_how_much_of_newt_a_data_set_is() {
    let sandbox = Sandbox::new();
    draw_data(&sandbox);
    let labels = sandbox.path("data/newt2021_labels.csv");
    let csv = fs_err::read_to_string(&labels).unwrap();
    // NeWT's task of this name is in another cluster.
    let csv = csv.replace(
        "synth_flower_blue_vs_red,appearance",
        "ml_tag_nest,appearance",
    );
    let csv = csv.replace("synth_flower_blue_vs_red", "ml_tag_nest");
    fs_err::write(&labels, csv).unwrap();
    let document = sandbox.json(&["data", "check", "data"]);
    assert_eq!(document["newt"]["is_newt"], false);
    assert_eq!(document["newt"]["n_tasks"], 1);
    assert_eq!(document["newt"]["regrouped"][0]["task"], "ml_tag_nest");
    let finished = sandbox.run(&["data", "check", "data"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let said: Vec<&str> = finished.stdout.lines().skip(2).collect();
    assert_eq!(
        said,
        [
            "not NeWT: 1 of its 164 tasks (1 in another group), 4 test rows where NeWT has 18,024; published scores do not compare",
            "note: task `ml_tag_nest` has `task_cluster` `appearance`, NeWT has `context`",
            "no problem found",
        ]
    );
}
