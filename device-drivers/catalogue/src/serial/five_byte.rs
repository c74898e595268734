//! Finger oximeters that stream five bytes a sample, bit 7 marking the first: Contec CMS50D/E of the old kind
//! (60 a second, 19200 8O1) and BCI/BerryMed (100 a second, 115200 8N1). The bit places are those of
//! BerryMed's "BCI Protocol V1.2"; what they mean differs a little between the two.
//!
//! The stream has no checksum: after bytes that fit no frame, a frame counts only when another follows it.

use crate::stream::{Gather, Pace, reading};
use crate::{Link, ProtocolRow, as_is};
use driver::profile::Profile;
use driver::scan::{Frames, Scanner, Step};
use driver::{Channel, Driver, In, Out};
use record::code::Code;
use record::decimal::Decimal;
use record::observation::{NoValue, Quality};
use record::time::Monotonic;
use record::unit::Unit;

pub(crate) const CONTEC_OLD: ProtocolRow = row("contec.cms50-old", |_| Box::new(FiveByte::new(Kind::ContecOld)));
pub(crate) const BCI: ProtocolRow = row("bci.oximeter", |_| Box::new(FiveByte::new(Kind::Bci)));

const fn row(id: &'static str, make: fn(&Profile) -> Box<dyn Driver>) -> ProtocolRow {
    ProtocolRow { id, link: Link::Serial, channel: Channel::Stream, quirks: &[], make, check: super::needs_line, as_sent: as_is }
}

const FRAME_LEN: usize = 5;
const SYNC: u8 = 1 << 7;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    ContecOld,
    Bci,
}

impl Kind {
    const fn rate_hz(self) -> u16 {
        match self {
            Self::ContecOld => 60,
            Self::Bci => 100,
        }
    }
}

struct FiveByte {
    scanner: Scanner,
    reader: Reader,
}

struct Reader {
    kind: Kind,
    /// The last frame began where the one before it ended, or the link is new.
    in_step: bool,
    pace: Pace,
    pleth: Gather,
}

impl FiveByte {
    const fn new(kind: Kind) -> Self {
        Self { scanner: Scanner::new(3 * FRAME_LEN), reader: Reader::new(kind) }
    }
}

impl Reader {
    const fn new(kind: Kind) -> Self {
        let rate_hz = kind.rate_hz();
        Self { kind, in_step: true, pace: Pace::new(rate_hz), pleth: Gather::new(Code::PLETH, rate_hz) }
    }

    fn frame(&mut self, [signal, pleth, state, pulse_low, spo2]: [u8; FRAME_LEN], out: &mut Vec<Out>) {
        let bit = |byte: u8, bit: u8| byte & 1 << bit != 0;
        let pulse = (state & 1 << 6) << 1 | pulse_low;
        let searching = bit(state, 5);
        let (unplugged, no_finger) = match self.kind {
            Kind::ContecOld => (bit(state, 4), bit(signal, 4)),
            Kind::Bci => (bit(signal, 5), bit(state, 4)),
        };
        // Bit 4 of a BCI frame's first byte: searched too long, no signal.
        let no_signal = self.kind == Kind::Bci && bit(signal, 4);
        let off = unplugged || no_finger;
        self.pleth.push(pleth.into(), !(off || no_signal || (self.kind == Kind::Bci && pleth == 0)), out);

        let flags = u64::from(off) | u64::from(searching || no_signal) << 1;
        if !self.pace.due(u64::from(pulse) << 16 | u64::from(spo2) << 8 | flags) {
            return;
        }
        let quality = if searching || no_signal { Quality::Questionable } else { Quality::Good };
        let value = |number: u8, none: u8, low: u8, high: u8| match number {
            _ if off => Err(NoValue::SensorOff),
            0 => Err(NoValue::NotMeasured),
            _ if number == none => Err(NoValue::NotMeasured),
            _ if !(low..=high).contains(&number) => Err(NoValue::OutOfRange),
            _ => Ok(Decimal::whole(number.into())),
        };
        let (spo2, pulse) = match self.kind {
            Kind::ContecOld => (value(spo2, 127, 1, 100), value(pulse, 255, 1, 254)),
            Kind::Bci => (value(spo2, 127, 35, 100), value(pulse, 255, 25, 250)),
        };
        out.push(reading(Code::SPO2, spo2, Unit::Percent, quality));
        out.push(reading(Code::PULSE_RATE, pulse, Unit::PerMinute, quality));
    }
}

/// Whether these bytes, at most five, can be one frame or its beginning.
fn fits(bytes: &[u8]) -> bool {
    match bytes {
        // The usual case, without a loop.
        [first, b, c, d, e] => first & SYNC != 0 && (b | c | d | e) & SYNC == 0,
        _ => bytes.iter().enumerate().all(|(at, byte)| (byte & SYNC != 0) == (at == 0)),
    }
}

impl Frames for Reader {
    fn look(&mut self, rest: &[u8], out: &mut Vec<Out>) -> Step {
        let Some(frame) = rest.first_chunk::<FRAME_LEN>() else {
            return if fits(rest) { Step::More } else { Step::Skip(1) };
        };
        if !fits(frame) {
            return Step::Skip(1);
        }
        if !self.in_step {
            let next = rest.get(FRAME_LEN..).unwrap_or_default();
            let next = next.get(..FRAME_LEN).unwrap_or(next);
            match (fits(next), next.len() == FRAME_LEN) {
                (false, _) => return Step::Skip(1),
                (true, false) => return Step::More,
                (true, true) => self.in_step = true,
            }
        }
        self.frame(*frame, out);
        Step::Take(FRAME_LEN)
    }
    fn lost(&mut self) {
        self.in_step = false;
    }
}

impl Driver for FiveByte {
    fn handle(&mut self, _now: Monotonic, input: In<'_>) -> Vec<Out> {
        let mut out = Vec::new();
        match input {
            In::Bytes(_, bytes) => self.scanner.push(bytes, &mut self.reader, &mut out),
            In::Connected | In::Disconnected => {
                self.reader.pleth.flush(&mut out);
                *self = Self::new(self.reader.kind);
            }
            In::Wake => {}
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use record::observation::Reading;

    fn statuses(kind: Kind, bytes: &[u8]) -> Vec<String> {
        let out = FiveByte::new(kind).handle(Monotonic(0), In::Bytes(Channel::Stream, bytes));
        let text = |r: &Reading| r.value.as_ref().map_or_else(|_| r.status(), |v| format!("{v} {}", r.status()));
        out.iter().filter_map(|o| if let Out::Reading(r) = o { Some(text(r)) } else { None }).collect()
    }

    #[test]
    fn the_worked_example_gives_its_numbers() {
        assert_eq!(statuses(Kind::Bci, &hex!("c6320b4a61")), ["97 ok", "74 ok"]);
        assert_eq!(statuses(Kind::ContecOld, &hex!("c6320b4a61")), ["97 ok", "74 ok"]);
    }

    #[test]
    fn the_pulse_has_eight_bits() {
        assert_eq!(statuses(Kind::ContecOld, &hex!("86 32 4b 0a 61")), ["97 ok", "138 ok"]);
    }

    #[test]
    fn no_finger_no_signal_and_marks_are_told_apart() {
        assert_eq!(statuses(Kind::Bci, &hex!("80 00 10 4a 61")), ["sensor-off", "sensor-off"]);
        assert_eq!(statuses(Kind::Bci, &hex!("a0 00 00 4a 61")), ["sensor-off", "sensor-off"]);
        assert_eq!(statuses(Kind::Bci, &hex!("86 32 60 7f 7f")), ["not-measured", "not-measured"]);
        assert_eq!(statuses(Kind::Bci, &hex!("86 32 00 18 22")), ["out-of-range", "out-of-range"]);
        assert_eq!(statuses(Kind::Bci, &hex!("86 32 20 4a 61")), ["97 artefact", "74 artefact"]);
        assert_eq!(statuses(Kind::ContecOld, &hex!("90 00 00 00 00")), ["sensor-off", "sensor-off"]);
        assert_eq!(statuses(Kind::ContecOld, &hex!("80 00 10 4a 61")), ["sensor-off", "sensor-off"]);
        assert_eq!(statuses(Kind::ContecOld, &hex!("86 32 40 7f 7f")), ["not-measured", "not-measured"]);
    }

    #[test]
    fn repeated_numbers_are_said_once_a_second_and_new_ones_at_once() {
        let second: Vec<u8> = hex!("86 32 0b 4a 61").repeat(100);
        assert_eq!(statuses(Kind::Bci, &second).len(), 2);
        assert_eq!(statuses(Kind::Bci, &[second.clone(), hex!("86 32 0b 4a 61").to_vec()].concat()).len(), 4);
        assert_eq!(statuses(Kind::Bci, &[second, hex!("86 32 0b 4b 61").to_vec()].concat()).len(), 4);
    }

    #[test]
    fn samples_become_blocks_of_a_quarter_second_and_the_rest_is_not_lost() {
        let mut driver = FiveByte::new(Kind::Bci);
        let mut out = driver.handle(Monotonic(0), In::Bytes(Channel::Stream, &hex!("86 32 0b 4a 61").repeat(30)));
        out.extend(driver.handle(Monotonic(0), In::Disconnected));
        let blocks: Vec<usize> = out.iter().filter_map(|o| if let Out::Wave(w) = o { Some(w.raw.len()) } else { None }).collect();
        assert_eq!(blocks, [25, 5]);
    }

    #[test]
    fn after_garbage_one_lone_frame_is_not_believed() {
        assert!(statuses(Kind::Bci, &hex!("12 c6 32 0b 4a 61")).is_empty());
        assert_eq!(statuses(Kind::Bci, &hex!("12 c6 32 0b 4a 61 c6 32 0b 4a 61")), ["97 ok", "74 ok"]);
    }
}
