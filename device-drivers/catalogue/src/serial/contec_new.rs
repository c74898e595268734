//! Contec "V7.0" finger oximeters (CMS50D+ from 4.6, E, F, I, CMS60): 115200 8N1, no flow control. Source: the vendor's
//! protocol document of 2010-07-08.
//!
//! A packet is a type byte below 80, a byte of high bits, and up to seven data bytes, all with bit 7 set; the high byte
//! holds the data bytes' own bit 7. The device streams while it is asked to and hears a sign of life every 5 s.
//! Memory is deleted on a person's order alone; setting the clock and reading storage are never asked for.

use crate::stream::{Gather, Pace, reading};
use crate::{Link, ProtocolRow, as_is};
use driver::scan::{Frames, Scanner, Step};
use driver::{Channel, Driver, Fault, In, Out};
use record::code::Code;
use record::decimal::Decimal;
use record::observation::{NoValue, Quality};
use record::time::Monotonic;
use record::unit::Unit;

pub(crate) const PROTOCOL: ProtocolRow = ProtocolRow {
    id: "contec.cms50-new",
    link: Link::Serial,
    channel: Channel::Stream,
    quirks: &[],
    make: |_| Box::new(ContecNew::new()),
    check: super::needs_line,
    as_sent: as_is,
};

const REALTIME: u8 = 0x01;
const REALTIME_LEN: usize = 9;
const FEEDBACK: u8 = 0x0B;
const DISCONNECT: u8 = 0x0D;
/// The longest packet: type, high bits, seven data bytes.
const PACKET_LEN_MAX: usize = 9;
const RATE_HZ: u16 = 60;
const HIGH: u8 = 1 << 7;

const START: u8 = 0xA1;
const ALIVE: u8 = 0xAF;
const ALIVE_EVERY_US: u64 = 4_000_000;

/// Deletes every segment of every user. Sent on a person's order alone (`crate::commands`).
pub(crate) const ERASE_ALL: [u8; 9] = [0x7D, HIGH | 0b101, 0xAE | HIGH, HIGH, 0xFF | HIGH, HIGH, HIGH, HIGH, HIGH];

/// A command without arguments. Its code's bit 7 travels in the high byte.
const fn command(code: u8) -> [u8; 9] {
    [0x7D, HIGH | 1, code | HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH]
}

struct ContecNew {
    scanner: Scanner,
    reader: Reader,
    connected: bool,
}

struct Reader {
    in_step: bool,
    pace: Pace,
    pleth: Gather,
}

impl ContecNew {
    const fn new() -> Self {
        let reader = Reader { in_step: true, pace: Pace::new(RATE_HZ), pleth: Gather::new(Code::PLETH, RATE_HZ) };
        Self { scanner: Scanner::new(2 * PACKET_LEN_MAX), reader, connected: false }
    }
}

/// Data byte `at` of a packet, its bit 7 put back.
fn data(packet: &[u8], at: usize) -> u8 {
    let (high, byte) = (packet.get(1).copied().unwrap_or(0), packet.get(2 + at).copied().unwrap_or(0));
    byte & !HIGH | (high >> at & 1) << 7
}

impl Reader {
    fn realtime(&mut self, packet: &[u8], out: &mut Vec<Out>) {
        let [signal, pleth, state, pulse, spo2, index_low, index_high] = std::array::from_fn(|at| data(packet, at));
        let bit = |byte: u8, bit: u8| byte & 1 << bit != 0;
        let off = bit(signal, 7);
        let (searched_too_long, searching) = (bit(signal, 4), bit(pleth, 7));
        let doubt = searched_too_long || searching;
        let no_index = bit(state, 4);
        self.pleth.push((pleth & !HIGH).into(), !off && !searched_too_long, out);

        let index = u16::from_le_bytes([index_low, index_high]);
        let flags = u64::from(off) | u64::from(doubt) << 1 | u64::from(no_index) << 2;
        if !self.pace.due(u64::from(index) << 24 | u64::from(pulse) << 16 | u64::from(spo2) << 8 | flags) {
            return;
        }
        let quality = if doubt { Quality::Questionable } else { Quality::Good };
        let value = |number: u16, most: u16, exponent: i8| match number {
            _ if off => Err(NoValue::SensorOff),
            0 => Err(NoValue::NotMeasured),
            _ if number > most => Err(NoValue::OutOfRange),
            _ => Ok(Decimal::new(number.into(), exponent)),
        };
        let none = if off { NoValue::SensorOff } else { NoValue::NotMeasured };
        let spo2 = if spo2 == 0x7F { Err(none.clone()) } else { value(spo2.into(), 100, 0) };
        let pulse = if pulse == 0xFF { Err(none.clone()) } else { value(pulse.into(), 254, 0) };
        out.push(reading(Code::SPO2, spo2, Unit::Percent, quality));
        out.push(reading(Code::PULSE_RATE, pulse, Unit::PerMinute, quality));
        if !no_index {
            let index = if index == 0xFFFF { Err(none) } else { value(index, 2200, -2) };
            out.push(reading(Code::PERFUSION_INDEX, index, Unit::Percent, quality));
        }
    }

    /// Packets other than measurements: only refusals and farewells matter.
    fn notice(packet: &[u8], out: &mut Vec<Out>) {
        match packet.first() {
            Some(&FEEDBACK) if packet.len() >= 4 && data(packet, 1) != 0 => {
                out.push(Out::Fault(Fault::field(
                    "feedback",
                    format!("command {:02X} refused, reason {}", data(packet, 0), data(packet, 1)),
                )));
            }
            Some(&DISCONNECT) => {
                out.push(Out::Fault(Fault::field("disconnect", format!("the device ends the session, reason {}", data(packet, 0)))));
            }
            _ => {}
        }
    }
}

/// Whether these bytes can be a packet of measurements or its beginning. The pleth byte may come without bit 7: the
/// searching flag that it stands for is in the high byte anyway, and one worked example leaves it out.
fn fits(bytes: &[u8]) -> bool {
    // The usual case, without a loop.
    if let [REALTIME, high, signal, _, d, e, f, g, h] = bytes {
        return high & signal & d & e & f & g & h & HIGH != 0;
    }
    bytes.iter().enumerate().all(|(at, byte)| match at {
        0 => *byte == REALTIME,
        3 => true,
        _ => byte & HIGH != 0,
    })
}

impl Frames for Reader {
    fn look(&mut self, rest: &[u8], out: &mut Vec<Out>) -> Step {
        match rest.first() {
            Some(&REALTIME) => {
                let packet = rest.get(..REALTIME_LEN).unwrap_or(rest);
                if !fits(packet) {
                    return Step::Skip(1);
                }
                if packet.len() < REALTIME_LEN {
                    return Step::More;
                }
                if !self.in_step {
                    let next = rest.get(REALTIME_LEN..).unwrap_or_default();
                    let next = next.get(..REALTIME_LEN).unwrap_or(next);
                    match (fits(next), next.len() == REALTIME_LEN) {
                        (false, _) => return Step::Skip(1),
                        (true, false) => return Step::More,
                        (true, true) => self.in_step = true,
                    }
                }
                self.realtime(packet, out);
                Step::Take(REALTIME_LEN)
            }
            Some(0x04..=0x15) if self.in_step => {
                // A packet of another type ends where the next begins.
                let end = rest.iter().take(PACKET_LEN_MAX).skip(1).position(|byte| byte & HIGH == 0).map(|at| at + 1);
                match end.or_else(|| (rest.len() >= PACKET_LEN_MAX).then_some(PACKET_LEN_MAX)) {
                    Some(end) => {
                        Self::notice(rest.get(..end).unwrap_or_default(), out);
                        Step::Take(end)
                    }
                    None => Step::More,
                }
            }
            _ => Step::Skip(1),
        }
    }
    fn lost(&mut self) {
        self.in_step = false;
    }
}

impl Driver for ContecNew {
    fn handle(&mut self, now: Monotonic, input: In<'_>) -> Vec<Out> {
        let mut out = Vec::new();
        match input {
            In::Connected => {
                *self = Self::new();
                self.connected = true;
                out.push(Out::Send(Channel::Stream, command(START).to_vec()));
                out.push(Out::WakeAt(now.plus_micros(ALIVE_EVERY_US)));
            }
            In::Wake if self.connected => {
                out.push(Out::Send(Channel::Stream, command(ALIVE).to_vec()));
                out.push(Out::WakeAt(now.plus_micros(ALIVE_EVERY_US)));
            }
            In::Wake => {}
            In::Bytes(_, bytes) => self.scanner.push(bytes, &mut self.reader, &mut out),
            In::Disconnected => {
                self.reader.pleth.flush(&mut out);
                *self = Self::new();
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    fn said(bytes: &[u8]) -> Vec<String> {
        let out = ContecNew::new().handle(Monotonic(0), In::Bytes(Channel::Stream, bytes));
        let text = |o: &Out| match o {
            Out::Reading(r) => Some(r.value.as_ref().map_or_else(|_| r.status(), ToString::to_string)),
            Out::Fault(f) => Some(f.to_string()),
            _ => None,
        };
        out.iter().filter_map(text).collect()
    }

    #[test]
    fn the_worked_examples_give_their_numbers() {
        assert_eq!(said(&hex!("01 80 88 40 83 C8 E1 FF 80")), ["97", "72", "1.27"]);
        assert_eq!(said(&hex!("01 E9 80 C0 90 FF FF FF FF")), ["sensor-off", "sensor-off"]);
    }

    #[test]
    fn high_bits_are_put_back() {
        assert_eq!(said(&hex!("01 88 88 C0 83 90 E1 FF 80")), ["97", "144", "1.27"]);
        assert_eq!(said(&hex!("01 E0 88 C0 83 C8 E1 FF FF")), ["97", "72", "not-measured"]);
    }

    #[test]
    fn it_asks_for_the_stream_and_stays_alive_and_asks_nothing_else() {
        let mut driver = ContecNew::new();
        let asked =
            |out: &[Out]| out.iter().filter_map(|o| if let Out::Send(_, b) = o { Some(b.clone()) } else { None }).collect::<Vec<_>>();
        assert_eq!(asked(&driver.handle(Monotonic(0), In::Connected)), [hex!("7D 81 A1 80 80 80 80 80 80")]);
        assert_eq!(asked(&driver.handle(Monotonic(4_000_000), In::Wake)), [hex!("7D 81 AF 80 80 80 80 80 80")]);
        driver.handle(Monotonic(0), In::Disconnected);
        assert_eq!(driver.handle(Monotonic(0), In::Wake), []);
    }

    #[test]
    fn a_refused_command_and_a_farewell_are_said() {
        let stream = hex!("0B 83 A1 85 01 80 88 C0 83 C8 E1 FF 80");
        assert_eq!(said(&stream)[0], "feedback: command A1 refused, reason 133");
        assert_eq!(said(&hex!("0D 80 81 01 80 88 C0 83 C8 E1 FF 80"))[0], "disconnect: the device ends the session, reason 1");
    }
}
