mod cache;
mod damage;
mod interruption;
mod links;
mod refusal;
pub mod replies;
pub mod server;
mod transfer;

use super::{Kind, kind};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::progress::Silent;
use server::{COMMIT, Reply, Seen, Server, Site};

/// A client of `server` that does not wait between two tries.
fn hub(server: &Server, cache_dir: &Path) -> Hub {
    hub_at(&server.url, cache_dir, None)
}

fn hub_at(endpoint: &str, cache_dir: &Path, token: Option<&str>) -> Hub {
    let settings = Settings {
        cache_dir: Some(cache_dir.to_owned()),
        endpoint: endpoint.to_owned(),
        token: token.map(in_variable),
        offline: false,
    };
    Hub::with(settings, Interrupt::default(), quick(), None)
}

fn in_variable(token: &str) -> Token {
    Token::Variable {
        name: "HF_TOKEN",
        value: token.into(),
    }
}

fn offline(cache_dir: &Path) -> Hub {
    let mut hub = hub_at("http://127.0.0.1:1", cache_dir, None);
    hub.offline = true;
    hub
}

pub fn quick() -> Pace {
    Pace {
        n_tries: 3,
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(10),
        // Longer than any machine takes to answer.
        silence: Duration::from_mins(10),
        window: Duration::from_mins(10),
        least_bytes: 1,
    }
}

fn repo() -> Repo {
    "org/name".parse().unwrap()
}

const WEIGHTS: &str = "model.safetensors";

fn fetch(hub: &Hub, progress: &dyn Progress) -> Result<PathBuf, Error> {
    hub.snapshot(&repo(), progress)?.file(WEIGHTS)
}

/// The file that what arrives is written to.
fn partial_path(cache_dir: &Path, site: &Site) -> PathBuf {
    let name = format!("{}.incomplete", server::sha256(site.weights()));
    cache_dir.join("models--org--name/blobs").join(name)
}

/// Remembers what it is told.
#[derive(Default)]
pub struct Told(Mutex<Vec<String>>);

impl Told {
    fn tell(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The sum of the ticks of the first operation.
    pub fn ticks(&self) -> u64 {
        let ticked = |line: &String| line.strip_prefix("tick ")?.parse::<u64>().ok();
        let lines = self.lines();
        let first = lines.iter().take_while(|line| *line != "finish");
        first.filter_map(ticked).sum()
    }
}

impl Progress for Told {
    fn start(&self, what: &str, total: u64) {
        self.tell(format!("start {what}: {total}"));
    }
    fn resume_bytes(&self, what: &str, done: u64, total: u64) {
        self.tell(format!("resume {what}: {done} of {total}"));
    }
    fn tick(&self, n: u64) {
        self.tell(format!("tick {n}"));
    }
    fn finish(&self) {
        self.tell("finish".to_owned());
    }
    fn warn(&self, message: &str) {
        self.tell(format!("warning: {message}"));
    }
}

/// Message and hint, with what differs from run to run cut out.
fn said(error: &Error, server: &Server) -> (String, String) {
    let short = |text: String| text.replace(&server.url, "HUB");
    (
        short(error.to_string()),
        short(error.hint().unwrap_or_default()),
    )
}

/// What is said of a repository that the hub answers so.
fn refused(token: Option<&str>, reply: Reply) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(move |_| reply.clone());
    let hub = hub_at(&server.url, dir.path(), token);
    let error = hub.snapshot(&repo(), &Silent).err().unwrap();
    said(&error, &server)
}

#[test]
fn file_headers_must_be_the_hubs() {
    let sha = "a".repeat(64);
    let whole = || Reply::new(200).with("X-Repo-Commit", COMMIT);
    for (reply, what) in [
        (
            Reply::new(200).with("ETag", "\"a\""),
            "no header `X-Repo-Commit`",
        ),
        (whole(), "no header `ETag`"),
        (
            whole().with("ETag", "\"../../x\""),
            "etag `\"../../x\"`, expected a digest",
        ),
        (
            Reply::new(200).with("X-Repo-Commit", "b").with("ETag", sha),
            "a file of commit `b`",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::new();
        let server = Server::start(move |request| match request.method.as_str() {
            "HEAD" => reply.clone(),
            _ => site.answer(request),
        });
        let hub = hub(&server, dir.path());
        let snapshot = hub.snapshot(&repo(), &Silent).unwrap();
        let error = snapshot.file("config.json").unwrap_err();
        assert!(kind(&error) == Some(Kind::Answer));
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn busy_server_is_asked_again_a_few_times() {
    let dir = tempfile::tempdir().unwrap();
    let (site, n_asked) = (Site::new(), Mutex::new(0));
    let server = Server::start(move |request| {
        let mut n_asked = n_asked.lock().unwrap();
        *n_asked += 1;
        match *n_asked {
            1 => Reply::new(503),
            // More than the client is ready to wait.
            2 => Reply::new(429).with("Retry-After", "3600"),
            _ => site.answer(request),
        }
    });
    let told = Told::default();
    hub(&server, dir.path()).snapshot(&repo(), &told).unwrap();
    let url = format!("{}/api/models/org/name/revision/main", server.url);
    assert_eq!(
        told.lines(),
        [
            format!("warning: {url}: answered 503, expected 200; next try in 0 s"),
            format!("warning: {url}: answered 429, expected 200; next try in 0 s"),
        ]
    );

    let (message, hint) = refused(None, Reply::new(500));
    assert!(message.ends_with("answered 500, expected 200"), "{message}");
    assert_eq!(hint, "try again later");
    let (_, hint) = refused(None, Reply::new(429));
    assert!(hint.contains("HF_TOKEN"), "{hint}");
}

#[test]
fn host_that_cannot_be_reached_is_named_with_the_ways_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let told = Told::default();
    // Nobody listens on port 1.
    let hub = hub_at("http://127.0.0.1:1", dir.path(), None);
    let error = hub.snapshot(&repo(), &told).err().unwrap();
    let message = error.to_string();
    assert!(
        message.starts_with("`127.0.0.1`: connection failed: "),
        "{message}"
    );
    assert!(message.contains("refused"), "{message}");
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("--offline") && hint.contains("local-dir:"),
        "{hint}"
    );
    assert_eq!(told.lines().len(), 2);
}

#[test]
fn requests_go_through_the_proxy() {
    let dir = tempfile::tempdir().unwrap();
    let proxy = Site::new().start();
    let settings = Settings {
        cache_dir: Some(dir.path().to_owned()),
        endpoint: "http://hub.invalid".to_owned(),
        token: None,
        offline: false,
    };
    let proxied = Some(Proxy::new(&proxy.url).unwrap());
    let hub = Hub::with(settings, Interrupt::default(), quick(), proxied);
    hub.snapshot(&repo(), &Silent).unwrap();
    assert_eq!(
        proxy.lines(),
        [
            "CONNECT hub.invalid:80",
            "GET /api/models/org/name/revision/main"
        ]
    );
}
