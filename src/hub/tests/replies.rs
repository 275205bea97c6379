//! Answers that a hub gives on bad days, and the host of its large files.

use std::sync::Mutex;

use super::WEIGHTS;
use super::server::{Reply, Seen, Server, Site, part};

impl Reply {
    pub fn cut(mut self, n_bytes: usize) -> Self {
        self.cut = Some(n_bytes);
        self
    }
}

impl Site {
    pub fn weights(&self) -> &[u8] {
        &self.files[WEIGHTS]
    }

    /// Answers as the host of large files does.
    pub fn answer_as_cdn(&self, request: &Seen) -> Reply {
        assert_eq!(request.target, "/model.safetensors?signature=secret");
        part(self.weights(), request)
    }
}

/// The hub whose large files are on a second server, which answers by `answer`.
pub fn with_cdn(
    site: &Site,
    answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> (Server, Server) {
    let cdn = Server::start(answer);
    let site = Site {
        cdn: Some(cdn.url.clone()),
        ..site.clone()
    };
    (site.start(), cdn)
}

/// Answers the first `n` requests by `first`, the others by `then`.
pub fn at_first(
    n: usize,
    first: impl Fn(&Seen) -> Reply + Send + Sync,
    then: impl Fn(&Seen) -> Reply + Send + Sync,
) -> impl Fn(&Seen) -> Reply + Send + Sync {
    let n_left = Mutex::new(n);
    move |request| {
        let mut n_left = n_left.lock().unwrap();
        if *n_left == 0 {
            return then(request);
        }
        *n_left -= 1;
        first(request)
    }
}

/// An answer that does not say how long it is.
pub fn chunked(bytes: &[u8]) -> Reply {
    let mut body = format!("{:x}\r\n", bytes.len()).into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(b"\r\n0\r\n\r\n");
    Reply::new(200)
        .with("Transfer-Encoding", "chunked")
        .body(body)
}
