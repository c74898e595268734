//! Nonin serial formats 2 and 7 (Xpod, OEM III, 3012LP, WristOx 3150 over classic Bluetooth): 9600 8N1, 75 frames a second.
//! Source: Nonin's OEM specifications, as read by independent implementations.
//!
//! Twenty-five frames of five bytes are a packet; what a frame's fourth byte means is its place in the packet. Charted
//! are the display values (`-D`): 1.5 s, standard averaging, as the device itself would show them.

use crate::stream::{Gather, Pace, reading};
use crate::{Link, ProtocolRow, as_is};
use driver::alarm::{Alarm, AlarmKind, AlarmList, AlarmPriority};
use driver::profile::Profile;
use driver::scan::{Frames, Scanner, Step};
use driver::{Channel, Driver, In, Out};
use record::code::Code;
use record::decimal::Decimal;
use record::observation::{NoValue, Quality};
use record::time::Monotonic;
use record::unit::Unit;

pub(crate) const DF2: ProtocolRow = row("nonin.df2", |_| Box::new(Nonin::new(Format::Two)));
pub(crate) const DF7: ProtocolRow = row("nonin.df7", |_| Box::new(Nonin::new(Format::Seven)));

const fn row(id: &'static str, make: fn(&Profile) -> Box<dyn Driver>) -> ProtocolRow {
    ProtocolRow { id, link: Link::Serial, channel: Channel::Stream, quirks: &[], make, check: super::needs_line, as_sent: as_is }
}

const FRAME_LEN: usize = 5;
const FRAMES_A_PACKET: usize = 25;
const PACKETS_A_SECOND: u16 = 3;
const RATE_HZ: u16 = 75;

// Bits of the status byte.
const ALWAYS: u8 = 1 << 7;
const DISCONNECTED: u8 = 1 << 6;
const ARTEFACT: u8 = 1 << 5;
const OUT_OF_TRACK: u8 = 1 << 4;
const SENSOR_ALARM: u8 = 1 << 3;
const RED: u8 = 1 << 2;
const GREEN: u8 = 1 << 1;
const FIRST: u8 = 1 << 0;

// Places in the packet.
const STATUS2: usize = 7;
const SPO2_DISPLAY: usize = 8;
const RATE_DISPLAY: usize = 19;
const LOW_BATTERY: u8 = 1 << 0;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    /// `01 status pleth value checksum`.
    Two,
    /// `status pleth pleth value checksum`.
    Seven,
}

struct Nonin {
    scanner: Scanner,
    reader: Reader,
}

struct Reader {
    format: Format,
    /// The last frame began where the one before it ended, or the link is new.
    in_step: bool,
    /// The values of the packet so far; none before the first frame of a packet has been seen.
    packet: Vec<u8>,
    /// Status bits of any frame of the packet.
    status: u8,
    pace: Pace,
    pleth: Gather,
    alarms: AlarmList,
}

impl Nonin {
    fn new(format: Format) -> Self {
        let reader = Reader {
            format,
            in_step: true,
            packet: Vec::with_capacity(FRAMES_A_PACKET),
            status: 0,
            pace: Pace::new(PACKETS_A_SECOND),
            pleth: Gather::new(Code::PLETH, RATE_HZ),
            alarms: AlarmList::default(),
        };
        Self { scanner: Scanner::new(3 * FRAME_LEN), reader }
    }
}

impl Reader {
    fn fits(&self, bytes: &[u8]) -> bool {
        let status = match self.format {
            Format::Two if bytes.first().is_some_and(|byte| *byte != 1) => return false,
            Format::Two => bytes.get(1),
            Format::Seven => bytes.first(),
        };
        if status.is_some_and(|status| status & ALWAYS == 0) {
            return false;
        }
        let &[a, b, c, d, sum] = bytes else { return true };
        a.wrapping_add(b).wrapping_add(c).wrapping_add(d) == sum
    }

    fn frame(&mut self, [a, b, c, value, _]: [u8; FRAME_LEN], out: &mut Vec<Out>) {
        let (status, pleth) = match self.format {
            Format::Two => (b, i32::from(c)),
            Format::Seven => (a, i32::from(u16::from_be_bytes([b, c]))),
        };
        self.pleth.push(pleth, status & (DISCONNECTED | SENSOR_ALARM | OUT_OF_TRACK) == 0, out);
        if status & FIRST != 0 {
            self.packet.clear();
            self.status = 0;
        } else if self.packet.is_empty() {
            // Joined in the middle of a packet: its places are not known.
            return;
        }
        self.packet.push(value);
        self.status |= status;
        if self.packet.len() == FRAMES_A_PACKET {
            self.packet_done(out);
            self.packet.clear();
        }
    }

    fn packet_done(&mut self, out: &mut Vec<Out>) {
        let at = |place: usize| self.packet.get(place).copied().unwrap_or(0);
        let rate = u16::from(at(RATE_DISPLAY) & 0x03) << 7 | u16::from(at(RATE_DISPLAY + 1) & 0x7F);
        let spo2 = at(SPO2_DISPLAY) & 0x7F;
        let (status, low_battery) = (self.status, at(STATUS2) & LOW_BATTERY != 0);
        if self.pace.due(u64::from(rate) << 24 | u64::from(spo2) << 16 | u64::from(status & !FIRST) << 8 | u64::from(low_battery)) {
            let why = if status & (DISCONNECTED | SENSOR_ALARM) != 0 {
                NoValue::SensorOff
            } else if status & (ARTEFACT | OUT_OF_TRACK) != 0 {
                NoValue::Artefact
            } else {
                NoValue::NotMeasured
            };
            // Red without green is a pulse too weak to trust.
            let doubt = status & (ARTEFACT | OUT_OF_TRACK) != 0 || (status & RED != 0 && status & GREEN == 0);
            let quality = if doubt { Quality::Questionable } else { Quality::Good };
            let off = why == NoValue::SensorOff;
            let value = |number: u16, missing: u16, most: u16| match number {
                _ if off || number == missing => Err(why.clone()),
                0 => Err(NoValue::NotMeasured),
                _ if number > most => Err(NoValue::OutOfRange),
                _ => Ok(Decimal::whole(number.into())),
            };
            out.push(reading(Code::SPO2, value(spo2.into(), 127, 100), Unit::Percent, quality));
            out.push(reading(Code::PULSE_RATE, value(rate, 511, 510), Unit::PerMinute, quality));
        }
        let battery = Alarm {
            id: "battery".to_owned(),
            text: "Low battery".to_owned(),
            kind: AlarmKind::Technical,
            priority: AlarmPriority::Low,
            active: true,
            demo: false,
        };
        let now = if low_battery { vec![battery] } else { Vec::new() };
        out.extend(self.alarms.replace(now).into_iter().map(Out::Alarm));
    }
}

impl Frames for Reader {
    fn look(&mut self, rest: &[u8], out: &mut Vec<Out>) -> Step {
        let Some(frame) = rest.first_chunk::<FRAME_LEN>() else {
            return if self.fits(rest) { Step::More } else { Step::Skip(1) };
        };
        if !self.fits(frame) {
            return Step::Skip(1);
        }
        // One byte of checksum is met by chance every 256 bytes of garbage: after a loss two frames in a row count.
        if !self.in_step {
            let next = rest.get(FRAME_LEN..).unwrap_or_default();
            let next = next.get(..FRAME_LEN).unwrap_or(next);
            match (self.fits(next), next.len() == FRAME_LEN) {
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
        // A frame is missing, so the places of those that follow in this packet are not known.
        self.packet.clear();
    }
}

impl Driver for Nonin {
    fn handle(&mut self, _now: Monotonic, input: In<'_>) -> Vec<Out> {
        let mut out = Vec::new();
        match input {
            In::Bytes(_, bytes) => self.scanner.push(bytes, &mut self.reader, &mut out),
            In::Connected | In::Disconnected => {
                self.reader.pleth.flush(&mut out);
                *self = Self::new(self.reader.format);
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

    fn packet(format: Format, status: u8, values: &[(usize, u8)]) -> Vec<u8> {
        let mut stream = Vec::new();
        for place in 0..FRAMES_A_PACKET {
            let value = values.iter().find(|(at, _)| *at == place).map_or(0, |(_, value)| *value);
            let status = ALWAYS | status | u8::from(place == 0);
            let four = match format {
                Format::Two => [1, status, 100, value],
                Format::Seven => [status, 0x12, 0x34, value],
            };
            stream.extend(four);
            stream.push(four.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
        }
        stream
    }
    fn said(format: Format, bytes: &[u8]) -> Vec<String> {
        let out = Nonin::new(format).handle(Monotonic(0), In::Bytes(Channel::Stream, bytes));
        let text = |o: &Out| match o {
            Out::Reading(r) => Some(r.value.as_ref().map_or_else(|_| r.status(), |v| format!("{v} {}", r.status()))),
            Out::Fault(f) => Some(f.to_string()),
            Out::Alarm(a) => Some(a.text.clone()),
            _ => None,
        };
        out.iter().filter_map(text).collect()
    }

    #[test]
    fn display_values_are_read_from_their_places_and_the_rate_has_nine_bits() {
        for format in [Format::Two, Format::Seven] {
            let stream = packet(format, GREEN, &[(0, 1), (1, 2), (2, 50), (8, 97), (19, 1), (20, 0x16)]);
            assert_eq!(said(format, &stream), ["97 ok", "150 ok"]);
        }
    }

    #[test]
    fn missing_values_say_why() {
        let none = [(8, 127), (19, 3), (20, 127)];
        let with = |status| said(Format::Two, &packet(Format::Two, status, &none));
        assert_eq!(with(0), ["not-measured", "not-measured"]);
        assert_eq!(with(DISCONNECTED), ["sensor-off", "sensor-off"]);
        assert_eq!(with(SENSOR_ALARM), ["sensor-off", "sensor-off"]);
        assert_eq!(with(OUT_OF_TRACK), ["artefact", "artefact"]);
        let some = [(8, 90), (20, 60)];
        let with = |status| said(Format::Two, &packet(Format::Two, status, &some));
        assert_eq!(with(ARTEFACT), ["90 artefact", "60 artefact"]);
        assert_eq!(with(RED), ["90 artefact", "60 artefact"]);
        assert_eq!(with(RED | GREEN), ["90 ok", "60 ok"]);
        assert_eq!(with(DISCONNECTED), ["sensor-off", "sensor-off"]);
    }

    #[test]
    fn a_wrong_checksum_loses_its_packet_and_no_other() {
        let good = packet(Format::Two, 0, &[(8, 97), (20, 60)]);
        let mut bad = good.clone();
        bad[9] ^= 1;
        assert_eq!(said(Format::Two, &[bad, good].concat()), ["bytes outside any frame (5 bytes skipped)", "97 ok", "60 ok"]);
    }

    #[test]
    fn the_peers_frames_are_judged_as_they_judge_them() {
        assert_eq!(said(Format::Two, &hex!("01 81 01 00 83 01 80 01 48 CA")), [""; 0]);
        assert_eq!(
            said(Format::Two, &hex!("01 81 01 00 83 01 80 01 48 CB 01 80 01 48 CA 01 80 01 48 CA")),
            ["bytes outside any frame (5 bytes skipped)"]
        );
    }

    #[test]
    fn a_low_battery_is_an_alarm_said_once() {
        let low = packet(Format::Seven, 0, &[(7, 1), (8, 97), (20, 60)]);
        assert_eq!(said(Format::Seven, &[low.clone(), low].concat()), ["97 ok", "60 ok", "Low battery"]);
    }
}
