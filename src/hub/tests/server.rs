//! A hub on loopback: as much of HTTP/1.1 and of the hub as a client meets.
//!
//! It knows nothing of the client, and is shared with the tests of the program.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha1::Sha1;
use sha2::{Digest, Sha256};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A request.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub target: String,
    /// By lower-case name.
    pub headers: BTreeMap<String, String>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Only so many bytes of the body are sent, then the connection ends.
    pub cut: Option<usize>,
    /// How long such a connection stays open.
    pub silence: Duration,
    /// The wait before each byte of the body, which are then sent one by one.
    pub drip: Option<Duration>,
}

impl Reply {
    pub fn new(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The hub's way to say what is not there.
    pub fn refusal(status: u16, code: &'static str) -> Self {
        Self::new(status).with("X-Error-Code", code)
    }
}

/// Answers requests until the test process ends.
pub struct Server {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&seen), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                // A client that hangs up early is no concern of the server.
                std::thread::spawn(move || serve(&stream.ok()?, &log, &*answer));
            }
        });
        Self { url, seen }
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The ranges that requests for a file of this name have asked for so far; `None` for all of it.
    pub fn ranges(&self, file: &str) -> Vec<Option<String>> {
        let is_for_it = |request: &&Seen| request.target.ends_with(file);
        let range = |request: &Seen| request.header("range").map(str::to_owned);
        self.seen().iter().filter(is_for_it).map(range).collect()
    }

    /// Method and target of all requests so far.
    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }
}

fn serve(
    stream: &TcpStream,
    log: &Mutex<Vec<Seen>>,
    answer: &dyn Fn(&Seen) -> Reply,
) -> Option<()> {
    let mut lines = BufReader::new(stream);
    loop {
        let request = read_request(&mut lines)?;
        log.lock().unwrap().push(request.clone());
        if request.method == "CONNECT" {
            // What comes through the tunnel is answered here.
            (&*stream).write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
            continue;
        }
        let reply = answer(&request);
        let mut head = format!("HTTP/1.1 {} -\r\n", reply.status);
        // The end of the body is then told by chunks, or by that of the connection.
        let has_other_end = reply
            .headers
            .iter()
            .any(|(name, _)| ["Transfer-Encoding", "Connection"].contains(name));
        if !has_other_end {
            head.push_str(&format!("Content-Length: {}\r\n", reply.body.len()));
        }
        for (name, value) in &reply.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        (&*stream).write_all(head.as_bytes()).ok()?;
        if request.method != "HEAD" {
            let n_bytes = reply.cut.unwrap_or(reply.body.len()).min(reply.body.len());
            match reply.drip {
                Some(wait) => {
                    for byte in &reply.body[..n_bytes] {
                        std::thread::sleep(wait);
                        (&*stream).write_all(&[*byte]).ok()?;
                    }
                }
                None => (&*stream).write_all(&reply.body[..n_bytes]).ok()?,
            }
        }
        if reply.cut.is_some() {
            std::thread::sleep(reply.silence);
            return None;
        }
    }
}

fn read_request(lines: &mut impl BufRead) -> Option<Seen> {
    let mut line = || -> Option<String> {
        let mut line = String::new();
        (lines.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut parts = first.split(' ');
    let (method, target) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some(Seen {
        method,
        target,
        headers,
    })
}

/// A repository `org/name` of one commit, whose revision is `main`.
#[derive(Clone)]
pub struct Site {
    pub files: BTreeMap<&'static str, Vec<u8>>,
    /// Whoever lacks it is sent away.
    pub token: Option<&'static str>,
    /// Where large files are.
    pub cdn: Option<String>,
}

impl Site {
    pub fn new() -> Self {
        let weights: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        Self {
            files: BTreeMap::from([
                ("config.json", b"{\"architecture\": \"vit\"}".to_vec()),
                ("model.safetensors", weights),
                ("sub dir/notes.txt", b"notes".to_vec()),
            ]),
            token: None,
            cdn: None,
        }
    }

    pub fn start(self) -> Server {
        Server::start(move |request| self.answer(request))
    }

    /// Answers as the hub does.
    pub fn answer(&self, request: &Seen) -> Reply {
        let token = self.token.map(|token| format!("Bearer {token}"));
        let target = request.target.as_str();
        if token.is_some() && request.header("authorization") != token.as_deref() {
            return Reply::refusal(401, "GatedRepo");
        }
        if let Some(revision) = target.strip_prefix("/api/models/org/name/revision/") {
            return match revision {
                "main" | COMMIT => Reply::new(200).body(self.listing()),
                _ => Reply::refusal(404, "RevisionNotFound"),
            };
        }
        let resolve = format!("/org/name/resolve/{COMMIT}/");
        let cached = format!("/api/resolve-cache/models/org/name/{COMMIT}/");
        if let Some(file) = target.strip_prefix(&resolve) {
            return self.resolve(file);
        }
        if let Some(file) = target.strip_prefix(&cached) {
            let bytes = &self.files[file.replace("%20", " ").as_str()];
            return part(bytes, request)
                .with("X-Repo-Commit", COMMIT)
                .with("ETag", format!("\"{}\"", etag(file, bytes)));
        }
        Reply::refusal(404, "RepoNotFound")
    }

    fn resolve(&self, file: &str) -> Reply {
        let Some(bytes) = self.files.get(file.replace("%20", " ").as_str()) else {
            return Reply::refusal(404, "EntryNotFound");
        };
        let reply = match &self.cdn {
            Some(cdn) if is_large(file) => Reply::new(302)
                .with("Location", format!("{cdn}/{file}?signature=secret"))
                .with("X-Linked-Etag", format!("\"{}\"", etag(file, bytes)))
                .with("X-Linked-Size", bytes.len().to_string())
                .with("ETag", "\"of-the-pointer\""),
            _ => Reply::new(307).with(
                "Location",
                format!("/api/resolve-cache/models/org/name/{COMMIT}/{file}"),
            ),
        };
        reply.with("X-Repo-Commit", COMMIT).body("Redirecting")
    }

    pub fn listing(&self) -> String {
        let files: Vec<_> = self
            .files
            .keys()
            .map(|file| serde_json::json!({"rfilename": file}))
            .collect();
        serde_json::json!({"id": "org/name", "sha": COMMIT, "siblings": files}).to_string()
    }
}

/// The part of `bytes` that the request asks for.
pub fn part(bytes: &[u8], request: &Seen) -> Reply {
    let Some(range) = request.header("range") else {
        return Reply::new(200).body(bytes);
    };
    let from: usize = range
        .strip_prefix("bytes=")
        .unwrap()
        .strip_suffix('-')
        .unwrap()
        .parse()
        .unwrap();
    if from >= bytes.len() {
        return Reply::new(416);
    }
    let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
    Reply::new(206)
        .with("Content-Range", range)
        .body(&bytes[from..])
}

fn is_large(file: &str) -> bool {
    file == "model.safetensors"
}

pub fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// SHA-256 of large files, git's name of the others.
pub fn etag(file: &str, bytes: &[u8]) -> String {
    if is_large(file) {
        return sha256(bytes);
    }
    let header = format!("blob {}\0", bytes.len()).into_bytes();
    format!("{:x}", Sha1::digest([&header, bytes].concat()))
}
