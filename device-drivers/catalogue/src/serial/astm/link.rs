//! The link of E1381/LIS1-A2, as its receiver: `STX FN text ETB|ETX C1 C2 CR LF`, between `ENQ` and `EOT`.

use driver::{DecodeError, Fault};

/// The longest text of a frame: LIS1-A2 allows 63 993 bytes, E1381 allows 240.
pub const TEXT_LEN_MAX: usize = 63_993;

const STX: u8 = 0x02;
const ETX: u8 = 0x03;
const EOT: u8 = 0x04;
const ENQ: u8 = 0x05;
const ETB: u8 = 0x17;

/// What the link heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// The sender asks to begin.
    Enquiry,
    /// A frame whose checksum holds.
    Frame {
        /// 0–7.
        number: u8,
        /// Its text.
        text: Vec<u8>,
        /// Whether its record ends with it (`ETX`), or goes on in the next frame (`ETB`).
        ends: bool,
    },
    /// A frame to ask for again.
    Damaged(Fault),
    /// The sender is done.
    End,
    /// Bytes outside any frame.
    Skipped(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    /// After `STX`.
    Number,
    Text {
        number: u8,
    },
    /// The text is longer than may be; dropped up to its end.
    Dropping,
    Check {
        number: u8,
        ends: bool,
        first: Option<u8>,
    },
}

/// Reads bytes of a link.
#[derive(Debug)]
pub struct LinkReader {
    state: State,
    text: Vec<u8>,
    sum: u8,
    skipped: usize,
}

impl Default for LinkReader {
    fn default() -> Self {
        Self { state: State::Idle, text: Vec::new(), sum: 0, skipped: 0 }
    }
}

/// Skipped bytes are reported at the next frame, or every so many.
const REPORT_EVERY: usize = 4096;

impl LinkReader {
    /// Takes one byte.
    pub fn take(&mut self, byte: u8) -> Option<Heard> {
        match (self.state, byte) {
            // A frame or a session begun anew: what was half read is gone, and will be sent again.
            (State::Check { .. } | State::Text { .. } | State::Number | State::Dropping, STX) => {
                self.begin();
                Some(Heard::Damaged(Fault::new(DecodeError::Unframed, 0)))
            }
            (_, ENQ) => self.control(Heard::Enquiry),
            (_, EOT) => self.control(Heard::End),
            (State::Idle, STX) => {
                self.begin();
                let skipped = std::mem::take(&mut self.skipped);
                (skipped > 0).then_some(Heard::Skipped(skipped))
            }
            // Line ends after a frame, and the answers of a line that echoes, mean nothing.
            (State::Idle, b'\r' | b'\n') => None,
            (State::Idle, _) => {
                self.skipped += 1;
                (self.skipped >= REPORT_EVERY).then(|| Heard::Skipped(std::mem::take(&mut self.skipped)))
            }
            (State::Number, b'0'..=b'7') => {
                self.add(byte);
                self.state = State::Text { number: byte - b'0' };
                None
            }
            (State::Number, _) => {
                self.state = State::Dropping;
                None
            }
            (State::Text { number }, ETX | ETB) => {
                self.add(byte);
                self.state = State::Check { number, ends: byte == ETX, first: None };
                None
            }
            (State::Text { .. }, _) => {
                self.add(byte);
                if self.text.len() >= TEXT_LEN_MAX {
                    self.text = Vec::new();
                    self.state = State::Dropping;
                } else {
                    self.text.push(byte);
                }
                None
            }
            (State::Dropping, ETX | ETB) => {
                self.state = State::Idle;
                Some(Heard::Damaged(Fault::new(DecodeError::Oversized { limit: TEXT_LEN_MAX }, TEXT_LEN_MAX)))
            }
            (State::Dropping, _) => None,
            (State::Check { number, ends, first: None }, _) => {
                self.state = State::Check { number, ends, first: Some(byte) };
                None
            }
            (State::Check { number, ends, first: Some(first) }, _) => {
                self.state = State::Idle;
                Some(self.checked(number, ends, [first, byte]))
            }
        }
    }

    fn begin(&mut self) {
        self.state = State::Number;
        self.text.clear();
        self.sum = 0;
    }

    fn control(&mut self, heard: Heard) -> Option<Heard> {
        *self = Self::default();
        Some(heard)
    }

    const fn add(&mut self, byte: u8) {
        self.sum = self.sum.wrapping_add(byte);
    }

    fn checked(&mut self, number: u8, ends: bool, digits: [u8; 2]) -> Heard {
        let stated = std::str::from_utf8(&digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let text = std::mem::take(&mut self.text);
        match stated {
            Some(stated) if stated == self.sum => Heard::Frame { number, text, ends },
            Some(stated) => {
                Heard::Damaged(Fault::new(DecodeError::Checksum { stated: stated.into(), computed: self.sum.into() }, text.len()))
            }
            None => Heard::Damaged(Fault::field("checksum", "no hexadecimal digits")),
        }
    }
}

/// A frame as it goes over the line.
#[must_use]
pub fn framed(number: u8, text: &str, ends: bool) -> Vec<u8> {
    let mut body = vec![b'0' + number % 8];
    body.extend(text.bytes().take(TEXT_LEN_MAX));
    if ends {
        body.push(b'\r');
    }
    body.push(if ends { ETX } else { ETB });
    let sum = body.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
    [&[STX], &body[..], format!("{sum:02X}\r\n").as_bytes()].concat()
}

/// A file may hold records as lines of text, with `#` comments: each message from an `H` record on becomes a session.
pub(crate) fn framed_if_text(bytes: &[u8]) -> Vec<u8> {
    if bytes.iter().any(|byte| matches!(*byte, STX | ENQ)) {
        return bytes.to_vec();
    }
    let text = crate::network::hl7::message::text_of(bytes);
    let mut stream = Vec::new();
    let mut number = 1;
    for line in text.split(['\r', '\n']).filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let heads = line.starts_with('H') && line.chars().nth(1).is_some_and(|c| !c.is_alphanumeric());
        if stream.is_empty() || heads {
            stream.extend([EOT, ENQ]);
            number = 1;
        }
        let cut: String = line.chars().filter(|c| !c.is_control()).collect();
        stream.extend(framed(number, &cut, true));
        number = (number + 1) % 8;
    }
    stream.push(EOT);
    stream
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(bytes: &[u8]) -> Vec<Heard> {
        let mut reader = LinkReader::default();
        bytes.iter().filter_map(|byte| reader.take(*byte)).collect()
    }

    #[test]
    fn the_checksum_runs_from_the_number_through_the_end_mark() {
        // Sums added by hand: '1' + 'H' + '|' + CR + ETX = 31 + 48 + 7C + 0D + 03 = 105.
        assert_eq!(framed(1, "H|", true), b"\x021H|\r\x0305\r\n");
        assert_eq!(hear(b"\x021H|\r\x0305\r\n"), [Heard::Frame { number: 1, text: b"H|\r".to_vec(), ends: true }]);
        assert!(matches!(hear(b"\x021H|\r\x0306\r\n")[..], [Heard::Damaged(_)]));
        assert!(matches!(hear(b"\x021H|\r\x03zz\r\n")[..], [Heard::Damaged(_)]));
    }

    #[test]
    fn a_sender_that_leaves_out_the_line_end_is_understood() {
        let bytes = [&framed(1, "a", true)[..8], &framed(2, "b", true)].concat();
        assert_eq!(hear(&bytes).len(), 2);
    }

    #[test]
    fn a_frame_past_the_limit_is_refused_and_the_next_is_read() {
        let mut long = vec![STX, b'1'];
        long.extend(vec![b'x'; TEXT_LEN_MAX + 10]);
        long.extend([ETX, b'0', b'0']);
        let found = hear(&[&long[..], &framed(2, "b", true)].concat());
        assert!(matches!(found[..], [Heard::Damaged(_), Heard::Skipped(2), Heard::Frame { number: 2, .. }]), "{found:?}");
    }

    #[test]
    fn garbage_is_counted_and_a_frame_begun_anew_is_asked_for_again() {
        assert_eq!(hear(b"xyz\x05"), [Heard::Enquiry]);
        let found = hear(&[b"\x021half", &framed(1, "whole", true)[..]].concat());
        assert!(matches!(found[..], [Heard::Damaged(_), Heard::Frame { .. }]));
    }
}
