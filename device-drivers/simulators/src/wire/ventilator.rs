//! An Evita on Medibus: answers what it is asked, and asks who is there.

use super::{Device, whole};
use crate::physiology::Vitals;

/// The ventilator.
#[derive(Default)]
pub struct Ventilator {
    up: bool,
    heard: Vec<u8>,
    vitals: Option<Vitals>,
    sensor_on: bool,
    quiet_s: u32,
}

fn message(start: char, code: char, content: &str) -> Vec<u8> {
    let body = format!("{start}{code}{content}");
    let sum = body.bytes().map(u32::from).sum::<u32>() & 0xff;
    format!("{body}{sum:02X}\r").into_bytes()
}

impl Ventilator {
    fn answer(&self, code: u8) -> Option<Vec<u8>> {
        let vitals = self.vitals?;
        let content = match code {
            0x52 => "8260'Evita XL'07.00:04.00".to_owned(),
            0x28 => "11:11:1911-NOV-25".to_owned(),
            0x24 => {
                let mut content = format!("78 5.07D 21 88 498B9 7.0D6{:>4}F0  40", whole(vitals.respiration));
                if self.sensor_on {
                    content += &format!("EB{:>4}E1{:>4}", whole(vitals.spo2), whole(vitals.heart_rate));
                }
                content
            }
            0x27 if vitals.spo2 < 90.0 => "O53SpO2 LOW    ".to_owned(),
            _ => String::new(),
        };
        Some(message('\u{1}', char::from(code), &content))
    }
}

impl Device for Ventilator {
    fn second(&mut self, vitals: &Vitals, sensor_on: bool) -> Vec<Vec<u8>> {
        (self.vitals, self.sensor_on) = (Some(*vitals), sensor_on);
        self.quiet_s += 1;
        if self.quiet_s > 3 {
            self.up = false;
        }
        if self.up { Vec::new() } else { vec![message('\u{1b}', 'Q', "")] }
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        for byte in bytes.iter().copied().filter(|byte| *byte < 0x80) {
            self.heard.push(byte);
            if byte != 13 {
                continue;
            }
            let heard = std::mem::take(&mut self.heard);
            self.quiet_s = 0;
            match heard.as_slice() {
                [0x1b, 0x51, ..] => {
                    self.up = true;
                    out.push(message('\u{1}', 'Q', ""));
                    out.push(message('\u{1b}', 'R', ""));
                }
                [0x1b, code, ..] if self.up => out.extend(self.answer(*code)),
                [0x01, 0x51, ..] => self.up = true,
                // An Evita refuses a host without a name.
                [0x01, 0x52, rest @ ..] if rest.len() < 4 => self.up = false,
                _ => {}
            }
        }
        out
    }
    fn hang_up(&mut self) {
        self.up = false;
        self.heard.clear();
    }
}
