//! A wire between two programs that counts what crosses it and can be cut at any byte.

use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Not cut.
const NEVER: u64 = u64::MAX;

/// A listening wire. Its threads end with it.
#[derive(Debug)]
pub struct Wire {
    /// Where it listens.
    pub port: u16,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    tally: Mutex<Tally>,
    closed: AtomicBool,
}

#[derive(Debug)]
struct Tally {
    up: u64,
    down: u64,
    /// Both directions' bytes at which the connection they cross is broken; then it is forgotten.
    cut_at: u64,
}

impl State {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of `read` bytes may pass. Fewer than all: the connection is `severed`, in the other direction too.
    fn pass(&self, read: usize, up: bool, severed: &AtomicBool) -> usize {
        let mut tally = self.tally();
        if severed.load(Ordering::Relaxed) {
            return 0;
        }
        let left = usize::try_from(tally.cut_at.saturating_sub(tally.up + tally.down)).unwrap_or(usize::MAX);
        let passed = read.min(left);
        if passed < read {
            severed.store(true, Ordering::Relaxed);
            tally.cut_at = NEVER;
        }
        *(if up { &mut tally.up } else { &mut tally.down }) += passed as u64;
        passed
    }
}

impl Wire {
    /// A wire to what listens at `to`.
    ///
    /// # Errors
    /// No port is free.
    pub fn to(to: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("a port for the wire")?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State { tally: Mutex::new(Tally { up: 0, down: 0, cut_at: NEVER }), closed: AtomicBool::new(false) });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for near in listener.incoming() {
                if shared.closed.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(near), Ok(far)) = (near, TcpStream::connect(to)) else { continue };
                let _ = (near.set_nodelay(true), far.set_nodelay(true));
                let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) else { continue };
                let (one, other) = (Arc::clone(&shared), Arc::clone(&shared));
                let severed = Arc::new(AtomicBool::new(false));
                let severed_too = Arc::clone(&severed);
                std::thread::spawn(move || carry(near, far, &one, &severed, true));
                std::thread::spawn(move || carry(far_too, near_too, &other, &severed_too, false));
            }
        });
        Ok(Self { port, state })
    }

    /// Bytes that crossed it so far, towards the far end and back.
    #[must_use]
    pub fn crossed(&self) -> (u64, u64) {
        let tally = self.state.tally();
        (tally.up, tally.down)
    }

    /// Breaks the connection in use once that many more bytes have crossed; a new one may be made after.
    pub fn cut_after(&self, bytes: u64) {
        let mut tally = self.state.tally();
        tally.cut_at = tally.up + tally.down + bytes;
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::Relaxed);
        // Wakes the listener, so that it sees that.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, state: &State, severed: &AtomicBool, up: bool) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let passed = state.pass(read, up, severed);
        let Some(Ok(())) = buffer.get(..passed).map(|bytes| to.write_all(bytes)) else { break };
        if passed < read {
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            return;
        }
    }
    let _ = (from.shutdown(Shutdown::Read), to.shutdown(Shutdown::Write));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("port");
        let at = listener.local_addr().expect("address");
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let mut too = stream.try_clone().expect("clone");
                    std::io::copy(&mut stream, &mut too)
                });
            }
        });
        at
    }

    #[test]
    fn what_crosses_is_counted_and_a_cut_falls_at_its_byte() {
        let wire = Wire::to(echo()).expect("wire");
        let mut stream = TcpStream::connect(("127.0.0.1", wire.port)).expect("connect");
        let mut back = [0; 5];
        stream.write_all(b"hello").expect("write");
        stream.read_exact(&mut back).expect("read");
        assert_eq!((&back, wire.crossed()), (b"hello", (5, 5)));
        wire.cut_after(3);
        let _ = stream.write_all(b"world");
        assert!(matches!(stream.read(&mut back), Ok(0) | Err(_)));
        assert_eq!(wire.crossed(), (8, 5));
        // The next connection is whole again.
        let mut stream = TcpStream::connect(("127.0.0.1", wire.port)).expect("connect");
        stream.write_all(b"again").expect("write");
        stream.read_exact(&mut back).expect("read");
        assert_eq!(&back, b"again");
    }
}
