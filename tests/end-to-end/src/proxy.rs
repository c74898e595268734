//! A bad line: a TCP proxy that counts what passes and breaks it at a chosen byte.
//!
//!     agent ──▶ Proxy::address ──▶ target (hub)
//!       up ▶ bytes counted, then cut or held at the chosen one        ◀ down
//!
//! Always: a byte is counted when it has been handed to the other side; a cut resets every open connection at once, so what
//! the network had buffered is lost as on a real line. TLS passes through untouched: certificates name the host, not the port.
//! Never here: what the bytes mean.
//! Start at [`Proxy::open`], then [`Proxy::plan`].

use anyhow::{Context, Result};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Bytes taken from one side at a time.
const CHUNK: usize = 16 * 1024;

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From who connected to the target.
    Up,
    /// Back.
    Down,
}

/// What happens to the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// Every connection is reset.
    Cut,
    /// Nothing passes in this direction for so long; the other goes on.
    Stall(Duration),
}

/// A trouble that waits for its byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Planned {
    /// Bytes of which direction are counted.
    pub direction: Direction,
    /// So many more bytes pass before it comes.
    pub after: u64,
    /// What comes.
    pub trouble: Trouble,
}

/// What has passed so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Bytes to the target.
    pub up: u64,
    /// Bytes back.
    pub down: u64,
    /// Connections that reached the target.
    pub connections: u64,
    /// Cuts.
    pub cuts: u64,
    /// Stalls.
    pub stalls: u64,
}

impl Counts {
    /// What has passed since an earlier count.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            up: self.up.saturating_sub(earlier.up),
            down: self.down.saturating_sub(earlier.down),
            connections: self.connections.saturating_sub(earlier.connections),
            cuts: self.cuts.saturating_sub(earlier.cuts),
            stalls: self.stalls.saturating_sub(earlier.stalls),
        }
    }
}

/// A running proxy; its connections end with it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    line: Arc<Line>,
    acceptor: JoinHandle<()>,
}

/// What the connections share.
#[derive(Debug)]
struct Line {
    target: Mutex<SocketAddr>,
    planned: Mutex<VecDeque<Planned>>,
    up: AtomicU64,
    down: AtomicU64,
    connections: AtomicU64,
    cuts: watch::Sender<u64>,
    stalls: AtomicU64,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.line.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Proxy {
    /// Listens on a free port of this machine and passes everything on to `target`.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn open(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for the proxy")?;
        let address = listener.local_addr().context("the proxy's port")?;
        let line = Arc::new(Line {
            target: Mutex::new(target),
            planned: Mutex::default(),
            up: AtomicU64::default(),
            down: AtomicU64::default(),
            connections: AtomicU64::default(),
            cuts: watch::Sender::new(0),
            stalls: AtomicU64::default(),
        });
        let shared = Arc::clone(&line);
        let acceptor = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&shared).carry(near));
            }
        });
        Ok(Self { address, line, acceptor })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL, for enrolment.
    #[must_use]
    pub fn http(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Passes later connections on to somewhere else.
    pub fn aim(&self, target: SocketAddr) {
        *lock(&self.line.target) = target;
    }

    /// Plans one more trouble. Its bytes count from the moment the one before it has come.
    pub fn plan(&self, planned: Planned) {
        lock(&self.line.planned).push_back(planned);
    }

    /// Troubles that have not come yet.
    #[must_use]
    pub fn planned(&self) -> usize {
        lock(&self.line.planned).len()
    }

    /// Takes back what has not come yet.
    pub fn forget(&self) {
        lock(&self.line.planned).clear();
    }

    /// Cuts now.
    pub fn cut(&self) {
        self.line.cut();
    }

    /// What has passed so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Line { up, down, connections, stalls, cuts, .. } = &*self.line;
        Counts { up: of(up), down: of(down), connections: of(connections), stalls: of(stalls), cuts: *cuts.borrow() }
    }
}

impl Line {
    async fn carry(self: Arc<Self>, mut near: TcpStream) {
        let mut cut = self.cuts.subscribe();
        let target = *lock(&self.target);
        // A target that is away refuses, and so does its proxy: by closing.
        let Ok(mut far) = TcpStream::connect(target).await else { return };
        self.connections.fetch_add(1, Ordering::Relaxed);
        for side in [&near, &far] {
            let _ = side.set_nodelay(true);
        }
        let was_cut = {
            let ((near_read, near_write), (far_read, far_write)) = (near.split(), far.split());
            let (up, down) = (self.pump(near_read, far_write, Direction::Up), self.pump(far_read, near_write, Direction::Down));
            tokio::select! {
                _ = async { tokio::join!(up, down) } => false,
                _ = cut.changed() => true,
            }
        };
        if was_cut {
            // A reset, not a farewell: what lies in the buffers is lost.
            let _ = (near.set_zero_linger(), far.set_zero_linger());
        }
    }

    async fn pump(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, direction: Direction) {
        let mut chunk = vec![0; CHUNK];
        while let Ok(read @ 1..) = from.read(&mut chunk).await {
            let mut rest = chunk.get(..read).unwrap_or_default();
            while !rest.is_empty() {
                let (now, trouble) = self.next(direction, rest.len());
                let (part, later) = rest.split_at(now.min(rest.len()));
                if to.write_all(part).await.is_err() {
                    return;
                }
                match trouble {
                    Some(Trouble::Cut) => {
                        self.cut();
                        // Ends with the connection.
                        std::future::pending::<()>().await;
                    }
                    Some(Trouble::Stall(pause)) => {
                        self.stalls.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(pause).await;
                    }
                    None => {}
                }
                rest = later;
            }
        }
        let _ = to.shutdown().await;
    }

    /// How many of `waiting` bytes pass before trouble, and which. They count as passed.
    fn next(&self, direction: Direction, waiting: usize) -> (usize, Option<Trouble>) {
        let mut planned = lock(&self.planned);
        let (now, trouble) = match planned.front_mut().filter(|plan| plan.direction == direction) {
            None => (waiting, None),
            Some(plan) => match usize::try_from(plan.after) {
                Ok(after) if after <= waiting => (after, planned.pop_front().map(|plan| plan.trouble)),
                _ => {
                    plan.after -= waiting as u64;
                    (waiting, None)
                }
            },
        };
        let count = if direction == Direction::Up { &self.up } else { &self.down };
        count.fetch_add(now as u64, Ordering::Relaxed);
        (now, trouble)
    }

    fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stopwatch;

    /// Sends everything back, a connection at a time.
    async fn echo() -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.into_split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        Ok(address)
    }

    /// Says `text` and reads until as much has come back or the line ends; what came.
    async fn say(proxy: &Proxy, text: &[u8]) -> Result<Vec<u8>> {
        let mut stream = TcpStream::connect(proxy.address()).await?;
        stream.write_all(text).await?;
        let (mut heard, mut chunk) = (Vec::new(), [0; 256]);
        while heard.len() < text.len() {
            match stream.read(&mut chunk).await {
                Ok(count @ 1..) => heard.extend_from_slice(&chunk[..count]),
                _ => break,
            }
        }
        Ok(heard)
    }

    #[tokio::test]
    async fn everything_passes_and_is_counted_each_way() -> Result<()> {
        let proxy = Proxy::open(echo().await?).await?;
        assert_eq!(say(&proxy, &[7; 100_000]).await?, [7; 100_000]);
        assert_eq!(proxy.counts(), Counts { up: 100_000, down: 100_000, connections: 1, ..Counts::default() });
        Ok(())
    }

    #[tokio::test]
    async fn a_cut_comes_at_its_byte_once_and_the_next_connection_is_whole() -> Result<()> {
        let proxy = Proxy::open(echo().await?).await?;
        for (direction, after) in [(Direction::Up, 0), (Direction::Up, 12_345), (Direction::Down, 1)] {
            let before = proxy.counts();
            proxy.plan(Planned { direction, after, trouble: Trouble::Cut });
            let heard = say(&proxy, &[7; 50_000]).await?;
            assert!(heard.len() as u64 <= after, "{} came back, the cut was after {after}", heard.len());
            let passed = proxy.counts().since(before);
            let counted = if direction == Direction::Up { passed.up } else { passed.down };
            assert_eq!((counted, passed.cuts), (after, 1));
            assert_eq!(say(&proxy, b"again").await?, b"again");
            assert_eq!(proxy.planned(), 0, "it has come");
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_stall_holds_one_direction_and_loses_nothing() -> Result<()> {
        let proxy = Proxy::open(echo().await?).await?;
        let pause = Duration::from_millis(300);
        proxy.plan(Planned { direction: Direction::Down, after: 3, trouble: Trouble::Stall(pause) });
        let watch = Stopwatch::start();
        assert_eq!(say(&proxy, b"slowly").await?, b"slowly");
        assert!(watch.elapsed() >= pause);
        assert_eq!(proxy.counts().stalls, 1);
        Ok(())
    }

    #[tokio::test]
    async fn a_target_that_is_away_closes_the_line_and_another_can_take_its_place() -> Result<()> {
        let nobody = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let proxy = Proxy::open(nobody).await?;
        assert_eq!(say(&proxy, b"anyone").await?, b"");
        proxy.aim(echo().await?);
        assert_eq!(say(&proxy, b"anyone").await?, b"anyone");
        Ok(())
    }
}
