//! Pulse oximeters: Contec of both kinds, BCI, Nonin, Masimo, Nellcor. Written from their makers' descriptions.

use super::{Device, whole};
use crate::clock::now_ms;
use crate::physiology::Vitals;
use crate::waves::Wave;

/// A pleth sample of 0 to 100.
fn height(sample: i16) -> u8 {
    (sample / 3 + 30).clamp(1, 100) as u8
}

/// Five bytes a sample.
pub struct FiveByte {
    a_second: usize,
    bci: bool,
    wave: Wave,
}

impl FiveByte {
    pub fn contec() -> Self {
        Self { a_second: 60, bci: false, wave: Wave::pleth_at(60.0) }
    }
    pub fn bci() -> Self {
        Self { a_second: 100, bci: true, wave: Wave::pleth_at(100.0) }
    }
}

impl Device for FiveByte {
    fn second(&mut self, vitals: &Vitals, sensor_on: bool) -> Vec<Vec<u8>> {
        let (pulse, spo2) = (whole(vitals.heart_rate) as u8, whole(vitals.spo2) as u8);
        let samples = self.wave.next(self.a_second, vitals);
        let frame = |sample: i16| {
            if sensor_on {
                let bar = height(sample) / 7;
                [0b1000_0110, height(sample), bar | (pulse >> 7) << 6, pulse & 127, spo2]
            } else if self.bci {
                [0b1000_0000, 0, 0b0101_0000, 127, 127]
            } else {
                [0b1001_0000, 0, 0b0101_0000, 127, 127]
            }
        };
        vec![samples.into_iter().flat_map(frame).collect()]
    }
    fn hear(&mut self, _: &[u8]) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// Streams after a start command, for as long as it hears a sign of life.
pub struct ContecNew {
    wave: Wave,
    streaming: bool,
    unheard_s: u32,
}

impl ContecNew {
    pub fn new() -> Self {
        Self { wave: Wave::pleth_at(60.0), streaming: false, unheard_s: 0 }
    }

    /// Type, then the eighth bits of the data, then the data with theirs set.
    fn packet(kind: u8, data: &[u8]) -> Vec<u8> {
        let mut packet = vec![kind, 128];
        for (place, byte) in data.iter().enumerate() {
            packet[1] += (byte / 128) << place;
            packet.push(byte % 128 + 128);
        }
        packet
    }
}

impl Device for ContecNew {
    fn second(&mut self, vitals: &Vitals, sensor_on: bool) -> Vec<Vec<u8>> {
        self.unheard_s += 1;
        if self.unheard_s > 6 {
            self.streaming = false;
        }
        if !self.streaming {
            return Vec::new();
        }
        let samples = self.wave.next(60, vitals);
        let packet = |sample: i16| {
            let data = if sensor_on {
                [8, height(sample), height(sample) / 7, whole(vitals.heart_rate) as u8, whole(vitals.spo2) as u8, 127, 0]
            } else {
                [128, 64, 16, 255, 127, 255, 255]
            };
            Self::packet(1, &data)
        };
        vec![samples.into_iter().flat_map(packet).collect()]
    }
    fn hear(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        for command in bytes.windows(3).filter(|c| c[0] == 0x7d && c[1] == 0x81) {
            self.unheard_s = 0;
            match command[2] {
                0xa1 => self.streaming = true,
                0xa2 => self.streaming = false,
                _ => {}
            }
        }
        Vec::new()
    }
    fn hang_up(&mut self) {
        self.streaming = false;
    }
}

/// Three packets of 25 frames a second.
pub struct Nonin {
    wide: bool,
    wave: Wave,
}

impl Nonin {
    pub fn format_2() -> Self {
        Self { wide: false, wave: Wave::pleth_at(75.0) }
    }
    pub fn format_7() -> Self {
        Self { wide: true, wave: Wave::pleth_at(75.0) }
    }
}

impl Device for Nonin {
    fn second(&mut self, vitals: &Vitals, sensor_on: bool) -> Vec<Vec<u8>> {
        let (pulse, spo2) = if sensor_on { (whole(vitals.heart_rate), whole(vitals.spo2) as u8) } else { (511, 127) };
        let samples = self.wave.next(75, vitals);
        let frame = |(number, sample): (usize, i16)| {
            let place = number % 25;
            let mut status = 0x80 | if sensor_on { 0x02 } else { 0x40 | 0x08 };
            if place == 0 {
                status |= 1;
            }
            let value = match place {
                0 | 13 | 19 | 21 => (pulse / 128) as u8,
                1 | 14 | 20 | 22 => (pulse % 128) as u8,
                2 | 8 | 9 | 10 | 15 | 16 => spo2,
                3 => 48,
                _ => 0,
            };
            let four = if self.wide { [status, 1, height(sample), value] } else { [1, status, height(sample), value] };
            let sum = four.iter().map(|byte| u32::from(*byte)).sum::<u32>() % 256;
            [four[0], four[1], four[2], four[3], sum as u8]
        };
        vec![samples.into_iter().enumerate().flat_map(frame).collect()]
    }
    fn hear(&mut self, _: &[u8]) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// Year, month, day, hours, minutes and seconds of the wall, as UTC.
fn wall() -> [i64; 6] {
    let at = jiff::Timestamp::from_millisecond(now_ms()).unwrap_or_default().to_zoned(jiff::tz::TimeZone::UTC).datetime();
    [at.year().into(), at.month().into(), at.day().into(), at.hour().into(), at.minute().into(), at.second().into()]
}

/// ASCII 1: a line a second.
pub struct Masimo;

impl Device for Masimo {
    fn second(&mut self, vitals: &Vitals, sensor_on: bool) -> Vec<Vec<u8>> {
        let [year, month, day, hour, minute, second] = wall();
        let (spo2, pulse, index, exceptions) =
            if sensor_on { (whole(vitals.spo2), whole(vitals.heart_rate), "04.69", "000800") } else { (0, 0, "00.00", "000820") };
        let line = format!(
            "{month:02}/{day:02}/{:02} {hour:02}:{minute:02}:{second:02} SN=0000070986 SPO2={spo2:03}% BPM={pulse:03} PI={index}% \
             SPCO=--.-% SPMET=--.-% DESAT=-- PIDELTA=+-- PVI=--- ALARM=0000 EXC={exceptions}\r\n",
            year % 100
        );
        vec![line.into_bytes()]
    }
    fn hear(&mut self, _: &[u8]) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// A line, here each second.
pub struct Nellcor;

impl Device for Nellcor {
    fn second(&mut self, vitals: &Vitals, sensor_on: bool) -> Vec<Vec<u8>> {
        let [year, month, day, hour, minute, second] = wall();
        let name = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"][(month - 1).clamp(0, 11) as usize];
        let head = format!("{day:02}-{name}-{:02} {hour:02}:{minute:02}:{second:02}", year % 100);
        let (spo2, pulse) = (whole(vitals.spo2), whole(vitals.heart_rate));
        let low = if spo2 < 90 { ("*", " SL") } else { ("", "") };
        let line = if sensor_on { format!("{head} {spo2}{} {pulse} 50{}\r\n", low.0, low.1) } else { format!("{head} --- --- --- SD\r\n") };
        vec![line.into_bytes()]
    }
    fn hear(&mut self, _: &[u8]) -> Vec<Vec<u8>> {
        Vec::new()
    }
}
