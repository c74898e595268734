//! Watches whether the agent answers, and shows its screens or the waiting page accordingly.

use crate::waiting;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;
use tauri::{Url, WebviewWindow};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// How long one look may take, per step.
const PATIENCE: Duration = Duration::from_secs(2);
/// Looks in a row without an answer before the screens give way. They say themselves, at once, that the link is lost, and keep
/// what was last seen; a restart of the agent should not take that away.
const MISSED_MAX: u32 = 5;
/// Bytes read of an answer: the status line and a short body.
const ANSWER_MAX: u64 = 4096;

/// An address the window may show: this machine's own, or one behind TLS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgentUrl(Url);

/// Why an address is not shown.
#[derive(Debug)]
pub enum AgentUrlError {
    /// It is no URL, or one without a host.
    NotAUrl(String),
    /// It would carry patient data over a network in the clear.
    InTheClear(String),
}

impl std::fmt::Display for AgentUrlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAUrl(text) => write!(f, "{text:?} is no address of an agent: say http://127.0.0.1:7410/ or https://name/"),
            Self::InTheClear(text) => {
                write!(f, "{text:?} is neither this machine nor https: patient data may not cross a network in the clear")
            }
        }
    }
}

impl std::error::Error for AgentUrlError {}

impl AgentUrl {
    /// Reads an address; its path, query and fragment are dropped.
    ///
    /// # Errors
    /// It is no URL, or plain http to another machine.
    pub fn parse(text: &str) -> Result<Self, AgentUrlError> {
        let not_a_url = || AgentUrlError::NotAUrl(text.to_owned());
        let mut url = Url::parse(text).map_err(|_| not_a_url())?;
        let host = url.host_str().ok_or_else(not_a_url)?.trim_matches(['[', ']']).to_owned();
        let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err(AgentUrlError::InTheClear(text.to_owned())),
            _ => return Err(not_a_url()),
        }
        url.set_path("/");
        url.set_query(None);
        url.set_fragment(None);
        // A name or password here would end up in the page's address.
        url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| not_a_url())?;
        Ok(Self(url))
    }

    /// The address as text, with a final slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether the window may go there: the agent's own origin, or the waiting page.
    #[must_use]
    pub fn may_show(&self, to: &Url) -> bool {
        waiting::is_ours(to) || to.origin() == self.0.origin()
    }

    /// Whether the agent answers. Behind TLS only that something listens: the web view checks the rest.
    fn answers(&self) -> bool {
        match self.0.scheme() {
            "http" => self.health().is_some_and(|answer| is_healthy(&answer)),
            _ => self.connect().is_some(),
        }
    }

    fn connect(&self) -> Option<TcpStream> {
        let host = self.0.host_str()?.trim_matches(['[', ']']);
        let port = self.0.port_or_known_default()?;
        (host, port).to_socket_addrs().ok()?.find_map(|address| TcpStream::connect_timeout(&address, PATIENCE).ok())
    }

    fn health(&self) -> Option<String> {
        let mut stream = self.connect()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_write_timeout(Some(PATIENCE)).ok()?;
        let port = self.0.port_or_known_default()?;
        write!(stream, "GET /healthz HTTP/1.1\r\nHost: {}:{port}\r\nConnection: close\r\n\r\n", self.0.host_str()?).ok()?;
        let mut answer = Vec::new();
        stream.take(ANSWER_MAX).read_to_end(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// Another program may have taken the port: only what says who it is gets shown.
fn is_healthy(answer: &str) -> bool {
    let ok = answer.split_once(' ').is_some_and(|(_, rest)| rest.starts_with("200"));
    ok && ["\"edge-agent\"", "\"sync-hub\""].iter().any(|program| answer.contains(program))
}

/// The window and the agent it shows.
pub struct AgentLink {
    agent: AgentUrl,
    window: WebviewWindow,
}

impl AgentLink {
    /// A link that does not watch yet.
    #[must_use]
    pub const fn new(agent: AgentUrl, window: WebviewWindow) -> Self {
        Self { agent, window }
    }

    /// Watches from a thread of its own until the window is gone.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn watch(self) -> std::io::Result<()> {
        std::thread::Builder::new().name("agent-link".into()).spawn(move || {
            let mut seen = Seen::default();
            loop {
                let shown = match seen.look(self.agent.answers()) {
                    Some(Show::Screens) => self.window.navigate(self.agent.0.clone()),
                    Some(Show::Waiting) => waiting::url(&self.agent).map_or(Ok(()), |url| self.window.navigate(url)),
                    None => Ok(()),
                };
                if shown.is_err() {
                    return;
                }
                std::thread::sleep(EVERY);
            }
        })?;
        Ok(())
    }
}

/// What the window should change to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Show {
    Screens,
    Waiting,
}

/// What was seen of the agent so far; begins on the waiting page.
#[derive(Default)]
struct Seen {
    screens: bool,
    missed: u32,
}

impl Seen {
    fn look(&mut self, answers: bool) -> Option<Show> {
        self.missed = if answers { 0 } else { self.missed.saturating_add(1) };
        let change = match (self.screens, answers) {
            (false, true) => Show::Screens,
            (true, false) if self.missed >= MISSED_MAX => Show::Waiting,
            _ => return None,
        };
        self.screens = change == Show::Screens;
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn agent(text: &str) -> AgentUrl {
        AgentUrl::parse(text).unwrap()
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn only_this_machine_or_an_address_behind_tls_is_shown() {
        for text in ["http://127.0.0.1:7410", "http://localhost:7410/", "http://[::1]:7410/ward?x#y", "https://ward.example/"] {
            assert!(AgentUrl::parse(text).is_ok(), "{text}");
        }
        for text in ["http://192.0.2.7:7410/", "http://ward.example/", "http://127.0.0.1.example/"] {
            assert!(matches!(AgentUrl::parse(text), Err(AgentUrlError::InTheClear(_))), "{text}");
        }
        for text in ["", "ward", "file:///etc/passwd", "javascript:alert(1)", "--help"] {
            assert!(matches!(AgentUrl::parse(text), Err(AgentUrlError::NotAUrl(_))), "{text}");
        }
    }

    #[test]
    fn an_address_is_reduced_to_its_origin() {
        assert_eq!(agent("http://nurse:secret@127.0.0.1:7410/a/b?c#d").as_str(), "http://127.0.0.1:7410/");
    }

    #[test]
    fn the_window_goes_nowhere_but_to_the_agent_and_the_waiting_page() {
        let agent = agent("http://127.0.0.1:7410/");
        for to in ["http://127.0.0.1:7410/fleet", "tauri://localhost/index.html#x"] {
            assert!(agent.may_show(&url(to)), "{to}");
        }
        for to in [
            "http://127.0.0.1:7411/",
            "https://127.0.0.1:7410/",
            "http://example.org/",
            "tauri://elsewhere/",
            "about:blank",
            "data:text/html,x",
        ] {
            assert!(!agent.may_show(&url(to)), "{to}");
        }
    }

    #[test]
    fn the_screens_come_with_the_first_answer_and_go_only_after_several_are_missed() {
        let mut seen = Seen::default();
        assert_eq!(seen.look(false), None);
        assert_eq!(seen.look(true), Some(Show::Screens));
        for _ in 1..MISSED_MAX {
            assert_eq!(seen.look(false), None);
        }
        assert_eq!(seen.look(true), None);
        for _ in 1..MISSED_MAX {
            assert_eq!(seen.look(false), None);
        }
        assert_eq!(seen.look(false), Some(Show::Waiting));
        assert_eq!(seen.look(false), None);
        assert_eq!(seen.look(true), Some(Show::Screens));
    }

    #[test]
    fn a_stranger_on_the_port_is_not_taken_for_the_agent() {
        let says = |answer: &'static str| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let here = agent(&format!("http://{}/", listener.local_addr().unwrap()));
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 512];
                let count = stream.read(&mut asked).unwrap();
                assert!(asked[..count].starts_with(b"GET /healthz HTTP/1.1\r\n"));
                stream.write_all(answer.as_bytes()).unwrap();
            });
            let answers = here.answers();
            server.join().unwrap();
            answers
        };
        assert!(says("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\",\"program\":\"edge-agent\"}"));
        assert!(!says("HTTP/1.1 200 OK\r\n\r\n<html>another program</html>"));
        assert!(!says("HTTP/1.1 503 Service Unavailable\r\n\r\n{\"program\":\"edge-agent\"}"));
    }

    #[test]
    fn nobody_listening_is_an_answer_too() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gone = agent(&format!("http://{}/", listener.local_addr().unwrap()));
        drop(listener);
        assert!(!gone.answers());
    }
}
