//! Requests: who gets the token, which redirects are followed, which failures may pass.

use std::io::{self, Read};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use ureq::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderName, LOCATION, RANGE, RETRY_AFTER,
};
use ureq::http::{Method, Request, Response, Uri};
use ureq::{Agent, Body, Proxy};

use super::CHUNK_BYTES;
use super::address::{join, origin, shown, shown_endpoint};
use super::error::{self, Kind};
use super::retry::{Pace, Setback};
use super::token::Token;
use super::watch::Watch;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::text::{foreign, thousands};

const USER_AGENT: &str = concat!("newt-pipe/", env!("CARGO_PKG_VERSION"));
/// For the look-up of a name, and for the connection: a stop is not heard meanwhile.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_REDIRECTS: usize = 10;

/// Makes requests to the hub, and to where it redirects them.
pub struct Client {
    agent: Agent,
    endpoint: String,
    token: Option<Token>,
    /// What is read of it with the first request to the hub.
    read_token: OnceLock<Option<String>>,
    pub pace: Pace,
    pub interrupt: Interrupt,
    /// Begins with the first request.
    watch: OnceLock<Watch>,
}

impl Client {
    pub fn new(
        endpoint: &str,
        token: Option<Token>,
        pace: Pace,
        proxy: Option<Proxy>,
        interrupt: Interrupt,
    ) -> Self {
        let agent = Agent::config_builder()
            .proxy(proxy)
            .user_agent(USER_AGENT)
            // Redirects are followed here, since each host gets other headers.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            // A server that sends its headers byte by byte is never silent.
            .timeout_recv_response(Some(pace.window.max(pace.silence)))
            .timeout_per_read(Some(pace.silence))
            .timeout_per_write(Some(pace.silence))
            .build()
            .into();
        Self {
            agent,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token,
            read_token: OnceLock::new(),
            pace,
            interrupt,
            watch: OnceLock::new(),
        }
    }

    /// Whether requests to the hub have been made with a token.
    pub fn has_token(&self) -> bool {
        self.read_token.get().is_some_and(Option::is_some)
    }

    fn token(&self) -> Result<Option<&str>, Error> {
        if let Some(read) = self.read_token.get() {
            return Ok(read.as_deref());
        }
        let read = self.token.as_ref().map(Token::read).transpose()?;
        Ok(self.read_token.get_or_init(|| read.flatten()).as_deref())
    }

    /// The address of a page of the hub, for messages.
    pub fn page(&self, path: &str) -> String {
        format!("{}/{path}", self.endpoint)
    }

    /// The server's own address for messages, without what may be a password.
    pub fn shown_endpoint(&self) -> String {
        shown_endpoint(&self.endpoint)
    }

    /// The address below the server's own.
    ///
    /// # Errors
    /// What is wrong with the server's own address.
    pub fn address(&self, path: &str) -> Result<Uri, &'static str> {
        // Also behind a slash: that may be one in a password.
        if self.endpoint.contains('@') {
            return Err("a user name stands before the host");
        }
        let address: Option<Uri> = self.page(path).parse().ok();
        let is_web = |address: &Uri| {
            matches!(address.scheme_str(), Some("http" | "https")) && address.authority().is_some()
        };
        address.filter(is_web).ok_or("is no web address")
    }

    /// Asks for the headers of `address`; only redirects within the hub are followed.
    pub fn head(&self, address: &Uri) -> Result<Answer, Setback> {
        self.send(&Method::HEAD, address, None)
    }

    /// Asks for `address`, from byte `from` on; all redirects are followed.
    pub fn get(&self, address: &Uri, from: u64) -> Result<Answer, Setback> {
        self.send(&Method::GET, address, (from > 0).then_some(from))
    }

    fn send(&self, method: &Method, address: &Uri, from: Option<u64>) -> Result<Answer, Setback> {
        self.watch
            .get_or_init(|| Watch::over(&self.agent, &self.interrupt));
        let hub = origin(address);
        let mut address = address.clone();
        for _ in 0..=MAX_REDIRECTS {
            self.interrupt.check()?;
            let is_hub = origin(&address) == hub;
            let request = self.request(method, &address, is_hub, from)?;
            let response = self
                .agent
                .run(request)
                .map_err(|error| broken(&address, &self.interrupt, error))?;
            let answer = Answer {
                address,
                is_hub,
                response,
                interrupt: self.interrupt.clone(),
            };
            match answer.redirect()? {
                Some(target) if *method == Method::GET || origin(&target) == hub => {
                    address = target;
                }
                _ => return answer.settled(),
            }
        }
        Err(wrong_answer(
            &shown(&address),
            &format!("more than {MAX_REDIRECTS} redirects, expected an answer"),
        )
        .into())
    }

    fn request(
        &self,
        method: &Method,
        address: &Uri,
        is_hub: bool,
        from: Option<u64>,
    ) -> Result<Request<()>, Error> {
        // Sizes and ranges count the bytes of the file itself.
        let mut request = Request::builder()
            .method(method)
            .uri(address)
            .header(ACCEPT_ENCODING, "identity");
        if is_hub && let Some(token) = self.token()? {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(from) = from {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        // Of all these only the address can be wrong: a token has been looked at.
        let request = request.body(());
        request.map_err(|error| wrong_answer(&shown(address), &foreign(&error.to_string())).into())
    }
}

/// What a server answered.
pub struct Answer {
    address: Uri,
    /// Whether it comes from the hub's own host.
    pub is_hub: bool,
    response: Response<Body>,
    interrupt: Interrupt,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Where it comes from, for messages.
    pub fn url(&self) -> String {
        shown(&self.address)
    }

    /// A header, if it is text.
    pub fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.response.headers().get(name.into())?.to_str().ok()
    }

    /// For messages.
    pub fn content_type(&self) -> String {
        foreign(self.header(CONTENT_TYPE).unwrap_or("bytes of no type"))
    }

    /// Reads on, at no less than `speed`; returns how many bytes there were, 0 at the end.
    pub fn read(&mut self, buffer: &mut [u8], speed: &mut Speed) -> Result<usize, Setback> {
        self.interrupt.check()?;
        let mut reader = self.response.body_mut().as_reader();
        let started = Instant::now();
        let n_read = reader
            .read(buffer)
            .map_err(|error| broken(&self.address, &self.interrupt, error.into()))?;
        if n_read == 0 {
            // The end of a connection that was shut down looks like that of an answer.
            self.interrupt.check()?;
            return Ok(0);
        }
        match speed.count(n_read, started.elapsed()) {
            Ok(()) => Ok(n_read),
            Err(found) => {
                let text = format!(
                    "`{}`: {} bytes in {} s, expected {} at least",
                    foreign(self.address.host().unwrap_or_default()),
                    thousands(found),
                    speed.window.as_secs(),
                    thousands(speed.least_bytes)
                );
                let hint = "check the network and `HTTPS_PROXY`, or try again later: what has arrived of a large file is kept";
                Err(Setback::passing(error::Error::new(Kind::Slow, text, hint)))
            }
        }
    }

    /// All of the answer, which must not be longer than `max` bytes.
    pub fn read_all(&mut self, max: u64, mut speed: Speed) -> Result<Vec<u8>, Setback> {
        let mut bytes = Vec::new();
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            match self.read(&mut buffer, &mut speed)? {
                0 => return Ok(bytes),
                n_read => bytes.extend_from_slice(&buffer[..n_read]),
            }
            if bytes.len() as u64 > max {
                let max = thousands(max);
                let what = format!("more than {max} bytes, expected a list of files");
                return Err(self.wrong(&what).into());
            }
        }
    }

    /// An answer that ends early, though nothing failed.
    pub fn cut_short(&self, n_bytes: u64, size: u64) -> Setback {
        let what = format!(
            "the transfer ended after {} of {} bytes",
            thousands(n_bytes),
            thousands(size)
        );
        Setback::passing(unreachable(&self.address, &what))
    }

    /// An answer of another status than it should have.
    pub fn unexpected(&self, expected: &str) -> error::Error {
        let status = self.status();
        let hint = match status {
            429 => "wait some minutes; with `HF_TOKEN` set the hub allows more requests",
            _ => "try again later",
        };
        let text = format!("{}: answered {status}, expected {expected}", self.url());
        error::Error::new(Kind::Status(status), text, hint)
    }

    /// An answer that is not the hub's: what is found and what was expected.
    pub fn wrong(&self, what: &str) -> error::Error {
        wrong_answer(&self.url(), what)
    }

    pub fn is_redirect(&self) -> bool {
        matches!(self.status(), 301 | 302 | 303 | 307 | 308)
    }

    /// Where the answer redirects to.
    fn redirect(&self) -> Result<Option<Uri>, error::Error> {
        if !self.is_redirect() {
            return Ok(None);
        }
        let location = self.header(LOCATION);
        match location.and_then(|location| join(&self.address, location)) {
            Some(target) => Ok(Some(target)),
            None => Err(self.wrong(&format!(
                "answered {} with no address that can be followed",
                self.status()
            ))),
        }
    }

    /// The answer, unless the server says that it may answer otherwise later.
    fn settled(self) -> Result<Self, Setback> {
        let is_busy = matches!(self.status(), 408 | 429 | 500..=599);
        if !is_busy {
            return Ok(self);
        }
        Err(Setback::Passing {
            error: self.unexpected("200"),
            wait: self
                .header(RETRY_AFTER)
                .and_then(|seconds| seconds.trim().parse().ok())
                .map(Duration::from_secs),
        })
    }
}

/// How fast bytes come. Only the time in which it was waited for counts, not that of its reader.
pub struct Speed {
    window: Duration,
    least_bytes: u64,
    /// So far in this window.
    n_bytes: u64,
    waited: Duration,
}

impl Speed {
    pub fn new(pace: &Pace) -> Self {
        Self {
            window: pace.window,
            least_bytes: pace.least_bytes,
            n_bytes: 0,
            waited: Duration::ZERO,
        }
    }

    /// Counts bytes for which it was `waited`; gives how many came in a window that has ended if they are too few.
    fn count(&mut self, n_bytes: usize, waited: Duration) -> Result<(), u64> {
        self.n_bytes += n_bytes as u64;
        self.waited += waited;
        if self.waited < self.window {
            return Ok(());
        }
        self.waited = Duration::ZERO;
        let n_bytes = std::mem::take(&mut self.n_bytes);
        if n_bytes < self.least_bytes {
            Err(n_bytes)
        } else {
            Ok(())
        }
    }
}

/// What it means that there is no answer, or no whole one.
fn broken(address: &Uri, interrupt: &Interrupt, error: ureq::Error) -> Setback {
    if let Err(stopped) = interrupt.check() {
        return stopped.into();
    }
    let is_passing = match &error {
        // What TLS has against a certificate stays.
        ureq::Error::Io(error) => error.kind() != io::ErrorKind::InvalidData,
        ureq::Error::Timeout(_)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::Protocol(_) => true,
        _ => false,
    };
    let what = match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        error => error.to_string(),
    };
    let error = unreachable(address, &what);
    if is_passing {
        Setback::passing(error)
    } else {
        error.into()
    }
}

/// No answer from the host of `address`, or one that broke off.
pub fn unreachable(address: &Uri, what: &str) -> error::Error {
    let host = foreign(address.host().unwrap_or_default());
    error::Error::new(
        Kind::Unreachable,
        format!("`{host}`: connection failed: {}", foreign(what)),
        "check the network and `HTTPS_PROXY`; without network, use `--offline` with a cache that holds the model, or `local-dir:PATH`",
    )
}

fn wrong_answer(url: &str, what: &str) -> error::Error {
    error::Error::new(
        Kind::Answer,
        format!("{url}: {what}"),
        "a proxy or a login page may have answered: open the address in a browser, and check `HF_ENDPOINT`",
    )
}
