//! A haematology analyser: sends a count each ten seconds by ASTM, and again what was not acknowledged.

use super::Device;
use crate::physiology::Vitals;
use std::collections::VecDeque;

const ENQ: u8 = 5;
const ACK: u8 = 6;
const NAK: u8 = 21;
const EVERY_S: u32 = 10;

/// The analyser. `waiting` holds what is still to be sent of a message; its first is on the wire.
#[derive(Default)]
pub struct Analyser {
    second: u32,
    number: u32,
    waiting: VecDeque<Vec<u8>>,
    unanswered_s: u32,
    message: VecDeque<Vec<u8>>,
}

impl Analyser {
    fn frame(number: usize, record: &str) -> Vec<u8> {
        let mut frame = format!("\u{2}{}{record}\r\u{3}", number % 8).into_bytes();
        let sum = frame[1..].iter().map(|byte| u32::from(*byte)).sum::<u32>() & 0xff;
        frame.extend(format!("{sum:02X}\r\n").into_bytes());
        frame
    }

    fn count(&mut self) -> VecDeque<Vec<u8>> {
        self.number += 1;
        let specimen = format!("SIM{:05}", self.number);
        let white = 4.0 + f64::from(self.number % 50) / 10.0;
        let records = [
            "H|\\^&|||Lamplight^Simulated cell counter^1|||||||P|1|20260128090000".to_owned(),
            "P|1".to_owned(),
            format!("O|1|{specimen}||^^^CBC"),
            format!("R|1|^^^WBC^White cells|{white:.1}|10*3/uL|4.0-10.0|N||F||||20260128090100"),
            "R|2|^^^HGB^Haemoglobin|13.4|g/dL|12.0-16.0|N||F||||20260128090100".to_owned(),
            "L|1|N".to_owned(),
        ];
        let frames = records.iter().enumerate().map(|(place, record)| Self::frame(place + 1, record));
        std::iter::once(vec![ENQ]).chain(frames).chain([vec![4]]).collect()
    }

    fn restart(&mut self) -> Vec<Vec<u8>> {
        self.waiting = self.message.clone();
        self.unanswered_s = 0;
        self.waiting.front().cloned().into_iter().collect()
    }
}

impl Device for Analyser {
    fn second(&mut self, _: &Vitals, _: bool) -> Vec<Vec<u8>> {
        self.second += 1;
        if !self.waiting.is_empty() {
            self.unanswered_s += 1;
            // Fifteen seconds in the standard; a simulation is not that patient.
            return if self.unanswered_s > 3 { self.restart() } else { Vec::new() };
        }
        if self.second % EVERY_S != 1 {
            return Vec::new();
        }
        self.message = self.count();
        self.restart()
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        for byte in bytes {
            match *byte {
                ACK if !self.waiting.is_empty() => {
                    self.unanswered_s = 0;
                    self.waiting.pop_front();
                    out.extend(self.waiting.front().cloned());
                    // The end is not answered.
                    if self.waiting.len() == 1 {
                        self.waiting.clear();
                    }
                }
                NAK => out.extend(self.waiting.front().cloned()),
                _ => {}
            }
        }
        out
    }
    fn hang_up(&mut self) {
        self.unanswered_s = 0;
    }
}
