//! An IntelliVue monitor: one association at a time, reports of itself, polls. Written from the data export guide.

use super::{Device, whole};
use crate::physiology::Vitals;
use crate::waves::Wave;

/// The monitor.
pub struct IntelliVue {
    serial: bool,
    partial: Vec<u8>,
    associated: bool,
    /// Seconds that continuous polls of numerics and of waves still last.
    numerics_s: u32,
    waves_s: u32,
    chosen: Vec<u32>,
    described: bool,
    pleth: Wave,
    low: bool,
}

/// A growing message; lengths are filled in when a part is closed.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn words(mut self, words: &[u16]) -> Self {
        self.0.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        self
    }
    fn long(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
    /// A length and what it counts.
    fn part(self, part: Writer) -> Self {
        self.words(&[part.0.len() as u16]).bytes(&part.0)
    }
}

fn attribute(id: u16, value: Writer) -> Writer {
    Writer::default().words(&[id]).part(value)
}

fn object(handle: u16, attributes: Vec<Writer>) -> Writer {
    let count = attributes.len() as u16;
    let all = attributes.into_iter().fold(Writer::default(), |all, one| all.bytes(&one.0));
    Writer::default().words(&[handle, count]).part(all)
}

/// Number, unit and state; exponent −1 where decimals are shown.
fn observed(id: u16, unit: u16, tenths: Option<i32>) -> Writer {
    let (state, value) = match tenths {
        Some(tenths) => (0, 0xff00_0000 | tenths.unsigned_abs() & 0x00ff_ffff),
        None => (0x8000, 0x007f_ffff),
    };
    Writer::default().words(&[id, state, unit]).long(value)
}

impl IntelliVue {
    pub fn on_network() -> Self {
        Self {
            serial: false,
            partial: Vec::new(),
            associated: false,
            numerics_s: 0,
            waves_s: 0,
            chosen: Vec::new(),
            described: false,
            pleth: Wave::pleth_at(125.0),
            low: false,
        }
    }
    pub fn on_serial_port() -> Self {
        Self { serial: true, ..Self::on_network() }
    }

    fn wire(&self, message: Writer) -> Vec<u8> {
        if !self.serial {
            return message.0;
        }
        let content = Writer::default().bytes(&[0x11, 1]).part(message).0;
        let check = check(&content);
        let mut frame = vec![0xc0];
        for byte in content.into_iter().chain([(check % 256) as u8, (check / 256) as u8]) {
            match byte {
                0xc0 | 0xc1 | 0x7d => frame.extend([0x7d, byte ^ 0x20]),
                _ => frame.push(byte),
            }
        }
        frame.push(0xc1);
        frame
    }

    /// The answer to an extended poll of a class, with these objects.
    fn report(&self, class: u16, objects: Vec<Writer>) -> Vec<u8> {
        let count = objects.len() as u16;
        let list = objects.into_iter().fold(Writer::default(), |all, one| all.bytes(&one.0));
        let context = Writer::default().words(&[0, count]).part(list);
        let poll = Writer::default().words(&[1, 1]).long(8000).bytes(&[0xff; 8]).words(&[1, class, 0, 1]).part(context);
        let action = Writer::default().words(&[0x21, 0, 0, 0xf13b]).part(poll);
        let result = Writer::default().words(&[7, 7]).part(action);
        self.wire(Writer::default().words(&[0xe100, 2, 2]).part(result))
    }

    fn numerics(&self, vitals: &Vitals, sensor_on: bool) -> Vec<u8> {
        let tenths = |value: f64| Some((value * 10.0).round() as i32);
        let whole_tenths = |value: f64| Some(i32::from(whole(value)) * 10);
        let on = |value: Option<i32>| value.filter(|_| sensor_on);
        let single = |handle, id, unit, value| object(handle, vec![attribute(0x0950, observed(id, unit, value))]);
        let cuff = [(0x4a05, vitals.systolic), (0x4a06, vitals.diastolic), (0x4a07, vitals.mean_pressure())];
        let parts = cuff.iter().fold(Writer::default(), |all, (id, value)| all.bytes(&observed(*id, 0x0f20, whole_tenths(*value)).0));
        self.report(
            6,
            vec![
                single(1, 0x4182, 0x0aa0, whole_tenths(vitals.heart_rate)),
                single(2, 0x500a, 0x0ae0, whole_tenths(vitals.respiration)),
                single(3, 0x4bb8, 0x0220, on(whole_tenths(vitals.spo2))),
                single(4, 0x4822, 0x0aa0, on(whole_tenths(vitals.heart_rate))),
                single(5, 0x4b48, 0x17a0, tenths(vitals.temperature)),
                object(6, vec![attribute(0x094b, Writer::default().words(&[3]).part(parts))]),
            ],
        )
    }

    fn waves(&mut self, vitals: &Vitals) -> Vec<u8> {
        let samples = self.pleth.next(125, vitals);
        let bytes = samples.iter().fold(Writer::default(), |all, sample| all.words(&[(i32::from(*sample) + 2000).clamp(0, 4095) as u16]));
        let mut attributes = vec![attribute(0x096e, Writer::default().words(&[0x4bb4, 0]).part(bytes))];
        // Described once, and not before its first samples: as the real one does.
        if !std::mem::replace(&mut self.described, true) {
            attributes.push(attribute(0x096d, Writer::default().words(&[125, 0x100c, 0x3000])));
            attributes.push(attribute(0x098d, Writer::default().long(64)));
            attributes.push(attribute(0x0996, Writer::default().words(&[0x0200])));
        }
        self.report(9, vec![object(9, attributes)])
    }

    fn alarms(&self) -> Vec<u8> {
        let text: Vec<u16> = "** SpO2 LOW\0".encode_utf16().collect();
        let information = Writer::default().words(&[1]).long(0x2_4bb8).words(&[1, 0]).part(Writer::default().words(&text));
        let entry = Writer::default().words(&[0x4bb8, 2, 0x0200, 0, 0x21, 0, 3, 0x0201]).part(information);
        let (count, entries) = if self.low { (1, entry) } else { (0, Writer::default()) };
        let patient = attribute(0x0902, Writer::default().words(&[count]).part(entries));
        let technical = attribute(0x0904, Writer::default().words(&[0, 0]));
        self.report(0x36, vec![object(33, vec![patient, technical])])
    }

    fn message(&mut self, message: &[u8]) -> Vec<Vec<u8>> {
        match message {
            [0x0d, ..] if message.len() == 238 => {
                if self.associated {
                    return vec![self.wire(Writer::default().bytes(&[0x0c, 1, 0]))];
                }
                self.associated = true;
                let created = Writer::default().words(&[0x21, 0, 0]).words(&[1]).part(attribute(
                    0x0928,
                    Writer::default().part(Writer::default().bytes(b"Philips\0")).part(Writer::default().bytes(b"M8000\0")),
                ));
                let event = Writer::default().words(&[0x21, 0, 0]).long(0).words(&[0x0d06]).part(created);
                let invoke = Writer::default().words(&[1, 1]).part(event);
                vec![self.wire(Writer::default().bytes(&[0x0e, 2, 0, 0])), self.wire(Writer::default().words(&[0xe100, 2, 1]).part(invoke))]
            }
            [0x09, ..] => {
                self.hang_up();
                vec![self.wire(Writer::default().bytes(&[0x0a, 2, 0, 0]))]
            }
            [
                0xe1,
                0,
                0,
                2,
                0,
                1,
                _,
                _,
                _,
                _,
                0,
                7,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                action_high,
                action_low,
                _,
                _,
                _,
                _,
                _,
                _,
                class_high,
                class_low,
                ..,
            ] if self.associated => {
                let class = u16::from_be_bytes([*class_high, *class_low]);
                match (u16::from_be_bytes([*action_high, *action_low]), class) {
                    (0xf13b, 6) => self.numerics_s = 60,
                    (0xf13b, 9) => self.waves_s = 60,
                    (_, 0x36) => return vec![self.alarms()],
                    _ => {}
                }
                Vec::new()
            }
            [0xe1, 0, 0, 2, 0, 1, _, _, _, _, 0, 5, ..] if self.associated => {
                let labels = message.get(38..).unwrap_or_default().chunks_exact(4);
                self.chosen = labels.map(|label| u32::from_be_bytes([label[0], label[1], label[2], label[3]])).collect();
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

fn check(bytes: &[u8]) -> u16 {
    let mut register = 0xffff_u16;
    for bit in bytes.iter().flat_map(|byte| (0..8).map(move |place| u16::from(byte >> place & 1))) {
        let carry = (register ^ bit) & 1;
        register >>= 1;
        if carry == 1 {
            register ^= 0x8408;
        }
    }
    register ^ 0xffff
}

impl Device for IntelliVue {
    fn second(&mut self, vitals: &Vitals, sensor_on: bool) -> Vec<Vec<u8>> {
        self.low = vitals.spo2 < 90.0 && sensor_on;
        let mut out = Vec::new();
        if self.numerics_s > 0 {
            self.numerics_s -= 1;
            out.push(self.numerics(vitals, sensor_on));
        }
        if self.waves_s > 0 {
            self.waves_s -= 1;
            if self.chosen.contains(&0x2_4bb4) {
                out.push(self.waves(vitals));
            }
        }
        out
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        if !self.serial {
            return self.message(bytes);
        }
        let mut out = Vec::new();
        for byte in bytes {
            match *byte {
                0xc0 => self.partial.clear(),
                0xc1 => {
                    let escaped = std::mem::take(&mut self.partial);
                    let mut plain = Vec::new();
                    let mut bytes = escaped.into_iter();
                    while let Some(byte) = bytes.next() {
                        plain.push(if byte == 0x7d { bytes.next().unwrap_or(0) ^ 0x20 } else { byte });
                    }
                    if plain.len() > 6 && check(&plain[..plain.len() - 2]).to_le_bytes() == plain[plain.len() - 2..] {
                        out.extend(self.message(&plain[4..plain.len() - 2]));
                    }
                }
                byte if self.partial.len() < 4096 => self.partial.push(byte),
                _ => {}
            }
        }
        out
    }

    fn hang_up(&mut self) {
        *self = Self { serial: self.serial, ..Self::on_network() };
    }
}
