//! Philips IntelliVue Data Export (X2/X3, MP, MX, Avalon): over UDP port 24105, or the serial MIB port. Sources: a captured
//! session and two independent implementations.
//!
//! This side asks for an association, confirms the monitor's report of itself, and polls: numerics each second, the
//! profile's waves, alarms every few seconds. It sets nothing on the monitor.
//!
//! Read in this order: [`cursor`], [`requests`], [`poll`] (what an answer holds), [`numerics`], [`waves`], [`alarms`],
//! [`serial`] (the frame of the MIB port). Patient demographics are never asked for.

pub mod alarms;
pub mod cursor;
pub mod numerics;
pub mod poll;
pub mod requests;
pub mod serial;
pub mod waves;

use self::cursor::Cursor;
use self::poll::Monitor;
use self::serial::SerialFramer;
use crate::{Link, ProtocolRow};
use driver::frame::Framed;
use driver::profile::Profile;
use driver::{Channel, DecodeError, Driver, Fault, In, Out};
use record::time::Monotonic;

pub(crate) const UDP: ProtocolRow = ProtocolRow {
    id: "philips.intellivue",
    quirks: &[],
    link: Link::Udp(24105),
    channel: Channel::Stream,
    make: |profile| Box::new(IntelliVue::new(profile, None)),
    check,
    as_sent,
};
pub(crate) const SERIAL: ProtocolRow = ProtocolRow {
    id: "philips.intellivue-serial",
    quirks: &[],
    link: Link::Serial,
    channel: Channel::Stream,
    make: |profile| Box::new(IntelliVue::new(profile, Some(SerialFramer::default()))),
    check: |profile| crate::serial::needs_line(profile).and_then(|()| check(profile)),
    as_sent: crate::as_is,
};

fn check(profile: &Profile) -> Result<(), String> {
    if profile.waves.len() > requests::WAVES_MAX || profile.waves.iter().any(|wave| wave.mdc().is_none()) {
        return Err(format!("waves: at most {}, each with an MDC code", requests::WAVES_MAX));
    }
    Ok(())
}

/// A file may hold payloads as lines of hexadecimal digits, with `#` comments.
fn as_sent(bytes: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(bytes) else { return bytes.to_vec() };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let digits: String = lines.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect();
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return bytes.to_vec();
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap_or_default(), 16).unwrap_or_default();
    digits.as_bytes().chunks(2).map(byte).collect()
}

/// How often the driver looks; a request that found no answer is sent again.
const LOOK_EVERY_US: u64 = 1_000_000;
/// Signs of life and alarm polls: the monitor lets go of a client silent for 10 s.
const ALIVE_EVERY_US: u64 = 4_000_000;
/// Continuous polls are renewed at half their time.
const RENEW_EVERY_US: u64 = 30_000_000;
/// A monitor silent this long has gone: begin again.
const SILENCE_US: u64 = 10_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Down,
    Asking,
    Associated { alive_at: Monotonic, renewed_at: Monotonic, heard_at: Monotonic },
}

struct IntelliVue {
    profile: Profile,
    state: State,
    monitor: Monitor,
    framer: Option<SerialFramer>,
    invoke: u16,
}

impl IntelliVue {
    fn new(profile: &Profile, framer: Option<SerialFramer>) -> Self {
        Self { profile: profile.clone(), state: State::Down, monitor: Monitor::new(profile), framer, invoke: 0 }
    }

    fn send(&self, bytes: Vec<u8>, out: &mut Vec<Out>) {
        let bytes = if self.framer.is_some() { serial::framed(&bytes) } else { bytes };
        out.push(Out::Send(Channel::Stream, bytes));
    }

    fn next(&mut self) -> u16 {
        self.invoke = self.invoke.wrapping_add(1);
        self.invoke
    }

    /// One datagram or frame: one message or several.
    fn datagram(&mut self, now: Monotonic, mut bytes: &[u8], out: &mut Vec<Out>) {
        if let State::Associated { heard_at, .. } = &mut self.state {
            *heard_at = now;
        }
        while !bytes.is_empty() {
            let Some(length) = message_len(bytes) else {
                return out.push(Out::Fault(Fault::new(DecodeError::Unframed, bytes.len())));
            };
            let Some((message, rest)) = bytes.split_at_checked(length) else {
                return out.push(Out::Fault(Fault::new(DecodeError::Truncated { needed: length, got: bytes.len() }, bytes.len())));
            };
            self.message(now, message, out);
            bytes = rest;
        }
    }

    fn message(&mut self, now: Monotonic, message: &[u8], out: &mut Vec<Out>) {
        match message.first() {
            Some(0xE1) => {
                for answer in self.monitor.data(Cursor(message.get(4..).unwrap_or_default()), out) {
                    self.send(answer, out);
                }
            }
            Some(0x0E) if self.state == State::Asking => {
                self.state = State::Associated { alive_at: now, renewed_at: now, heard_at: now };
                self.poll(out);
            }
            Some(0x0C) => {
                out.push(Out::Fault(Fault::field("association", "refused: another client holds the monitor, or it is not ready")));
                if self.state != State::Down {
                    // It may be our own of before; asked again at the next look.
                    self.send(requests::release(), out);
                }
            }
            Some(0x0A | 0x19) if matches!(self.state, State::Associated { .. }) => {
                out.push(Out::Fault(Fault::field("association", "ended by the monitor")));
                self.begin(out);
            }
            _ => {}
        }
    }

    fn begin(&mut self, out: &mut Vec<Out>) {
        self.monitor.reset();
        self.state = State::Asking;
        self.send(requests::association(), out);
    }

    fn poll(&mut self, out: &mut Vec<Out>) {
        let invoke = self.next();
        self.send(requests::poll_on(invoke, requests::NUMERICS), out);
        if !self.profile.waves.is_empty() {
            let (choose, poll) = (self.next(), self.next());
            self.send(requests::choose_waves(choose, &self.profile.waves), out);
            self.send(requests::poll_on(poll, requests::WAVES), out);
        }
    }

    fn look(&mut self, now: Monotonic, out: &mut Vec<Out>) {
        match self.state {
            State::Down => return,
            State::Asking => self.send(requests::association(), out),
            State::Associated { heard_at, .. } if now.micros_since(heard_at) >= SILENCE_US => self.begin(out),
            State::Associated { mut alive_at, mut renewed_at, heard_at } => {
                if now.micros_since(alive_at) >= ALIVE_EVERY_US {
                    alive_at = now;
                    for class in [requests::SYSTEM, requests::ALARMS] {
                        let invoke = self.next();
                        self.send(requests::poll_once(invoke, class), out);
                    }
                }
                if now.micros_since(renewed_at) >= RENEW_EVERY_US {
                    renewed_at = now;
                    self.poll(out);
                }
                self.state = State::Associated { alive_at, renewed_at, heard_at };
            }
        }
        out.push(Out::WakeAt(now.plus_micros(LOOK_EVERY_US)));
    }
}

/// How many bytes the message that begins here states; `None` for what is none.
fn message_len(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [0xE1, 0, 0, 2, _, _, high, low, ..] => Some(8 + usize::from(u16::from_be_bytes([*high, *low]))),
        [0xE1, ..] => None,
        // A connect indication, broadcast to whoever listens: it fills its datagram.
        [0, 0, 1, 0, ..] => Some(bytes.len()),
        [0x09..=0x0E | 0x19, 0xFF, high, low, ..] => Some(4 + usize::from(u16::from_be_bytes([*high, *low]))),
        [0x09..=0x0E | 0x19, length, ..] if *length != 0xFF => Some(2 + usize::from(*length)),
        _ => None,
    }
}

impl Driver for IntelliVue {
    fn handle(&mut self, now: Monotonic, input: In<'_>) -> Vec<Out> {
        let mut out = Vec::new();
        match input {
            In::Connected => {
                self.begin(&mut out);
                out.push(Out::WakeAt(now.plus_micros(LOOK_EVERY_US)));
            }
            In::Wake => self.look(now, &mut out),
            In::Bytes(_, bytes) => match &mut self.framer {
                None => self.datagram(now, bytes, &mut out),
                Some(framer) => {
                    for found in framer.push(bytes) {
                        match found {
                            Ok(Framed::Frame(payload)) => self.datagram(now, &payload, &mut out),
                            Ok(Framed::Skipped(skipped)) => out.push(Out::Fault(Fault::new(DecodeError::Unframed, skipped))),
                            Ok(Framed::Oversized { .. }) => {
                                let limit = serial::FRAME_LEN_MAX;
                                out.push(Out::Fault(Fault::new(DecodeError::Oversized { limit }, limit)));
                            }
                            Err(fault) => out.push(Out::Fault(fault)),
                        }
                    }
                }
            },
            In::Disconnected => {
                self.state = State::Down;
                self.monitor.reset();
                if let Some(framer) = &mut self.framer {
                    *framer = SerialFramer::default();
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use record::code::Code;

    fn sent(out: &[Out]) -> Vec<Vec<u8>> {
        out.iter().filter_map(|o| if let Out::Send(_, bytes) = o { Some(bytes.clone()) } else { None }).collect()
    }
    const S: u64 = 1_000_000;

    #[test]
    fn it_asks_each_second_until_it_is_accepted_then_polls() {
        let mut profile = Profile::bare("philips.intellivue");
        profile.waves = vec![Code::ECG_II];
        let mut driver = IntelliVue::new(&profile, None);
        assert_eq!(sent(&driver.handle(Monotonic(0), In::Connected)), [requests::association()]);
        assert_eq!(sent(&driver.handle(Monotonic(S), In::Wake)), [requests::association()]);
        let out = driver.handle(Monotonic(S), In::Bytes(Channel::Stream, &hex!("0E 02 00 00")));
        assert_eq!(
            sent(&out),
            [requests::poll_on(1, requests::NUMERICS), requests::choose_waves(2, &[Code::ECG_II]), requests::poll_on(3, requests::WAVES)]
        );
        assert_eq!(sent(&driver.handle(Monotonic(2 * S), In::Wake)).len(), 0);
        assert_eq!(sent(&driver.handle(Monotonic(5 * S), In::Wake)).len(), 2, "a sign of life and the alarms");
        assert_eq!(sent(&driver.handle(Monotonic(11 * S), In::Wake)), [requests::association()], "silent for ten seconds");
    }

    #[test]
    fn a_refusal_is_said_and_an_ended_association_is_begun_anew() {
        let mut driver = IntelliVue::new(&Profile::bare("philips.intellivue"), None);
        driver.handle(Monotonic(0), In::Connected);
        let out = driver.handle(Monotonic(0), In::Bytes(Channel::Stream, &hex!("0C 01 00")));
        assert!(matches!(&out[..], [Out::Fault(_), Out::Send(_, bytes)] if *bytes == requests::release()));
        driver.handle(Monotonic(0), In::Bytes(Channel::Stream, &hex!("0E 00")));
        let out = driver.handle(Monotonic(0), In::Bytes(Channel::Stream, &hex!("19 00")));
        assert_eq!(sent(&out), [requests::association()]);
        driver.handle(Monotonic(0), In::Disconnected);
        assert_eq!(driver.handle(Monotonic(0), In::Wake), []);
    }

    #[test]
    fn what_is_cut_or_foreign_is_a_fault() {
        let mut driver = IntelliVue::new(&Profile::bare("philips.intellivue"), None);
        let mut fault = |bytes: &[u8]| match &driver.handle(Monotonic(0), In::Bytes(Channel::Stream, bytes))[..] {
            [Out::Fault(fault)] => fault.error.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(fault(&hex!("E1 00 00 02 00 02 00 10 00")), DecodeError::Truncated { needed: 24, got: 9 });
        assert_eq!(fault(b"hello"), DecodeError::Unframed);
    }
}
