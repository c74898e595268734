//! The line of Medibus: commands (`1B`) and answers (`01`) of printable characters, each with a sum of two hexadecimal digits
//! and an end (`0D`); between their bytes, anywhere, bytes with bit 7 of the fast channel, which sums leave out.

use driver::{DecodeError, Fault};

/// The longest message read.
const MESSAGE_LEN_MAX: usize = 4096;
const COMMAND: u8 = 0x1B;
const ANSWER: u8 = 0x01;
const END: u8 = 0x0D;

/// What the line heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard<'a> {
    /// The device asks: a code and its argument.
    Command(u8, &'a [u8]),
    /// The device answers: the code asked and what it says.
    Answer(u8, &'a [u8]),
    /// A byte of the fast channel.
    Fast(u8),
    /// A message whose sum does not hold, or bytes of none.
    Fault(Fault),
}

/// Reads bytes of a line. A command may stand inside an answer, so there is room for one of each.
#[derive(Debug, Default)]
pub struct LineReader {
    command: Option<Vec<u8>>,
    answer: Option<Vec<u8>>,
    /// The memory of the last message.
    spare: Vec<u8>,
    skipped: usize,
}

/// Skipped bytes are reported at the next message, or every so many.
const REPORT_EVERY: usize = 4096;

impl LineReader {
    /// Takes the next bytes; what they complete is told in order.
    pub fn push(&mut self, bytes: &[u8], mut tell: impl FnMut(Heard<'_>)) {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            // Most bytes are text in a message: as many as there is room for, at once.
            if let Some(message) = self.command.as_mut().or(self.answer.as_mut()) {
                let room = MESSAGE_LEN_MAX.saturating_sub(message.len());
                let run = rest.iter().take(room).take_while(|byte| matches!(**byte, b' '..0x80)).count();
                if run > 0 {
                    message.extend_from_slice(rest.get(..run).unwrap_or_default());
                    rest = rest.get(run..).unwrap_or_default();
                    continue;
                }
            }
            self.take(byte, &mut tell);
            rest = after;
        }
    }

    fn take(&mut self, byte: u8, tell: &mut impl FnMut(Heard<'_>)) {
        match byte {
            0x80.. => tell(Heard::Fast(byte)),
            COMMAND => {
                self.give_up_command();
                self.report(tell);
                self.command = Some(self.begun(byte));
            }
            ANSWER => {
                // No command has such a byte in it: it was cut, and so was an answer before this one.
                self.give_up_command();
                self.skipped += self.answer.as_ref().map_or(0, Vec::len);
                self.report(tell);
                self.answer = Some(self.begun(byte));
            }
            // Suspend and resume.
            0x11 | 0x13 => {}
            END => {
                if let Some(message) = self.command.take().or_else(|| self.answer.take()) {
                    tell(whole(&message));
                    self.spare = message;
                }
            }
            _ => {
                let Some(message) = self.command.as_mut().or(self.answer.as_mut()) else {
                    self.skipped += 1;
                    if self.skipped >= REPORT_EVERY {
                        self.report(tell);
                    }
                    return;
                };
                message.push(byte);
                if message.len() > MESSAGE_LEN_MAX {
                    self.command = None;
                    self.answer = None;
                    tell(Heard::Fault(Fault::new(DecodeError::Oversized { limit: MESSAGE_LEN_MAX }, MESSAGE_LEN_MAX)));
                }
            }
        }
    }

    /// A message that begins with this byte, in the memory of the last.
    fn begun(&mut self, byte: u8) -> Vec<u8> {
        let mut message = std::mem::take(&mut self.spare);
        message.clear();
        message.push(byte);
        message
    }

    fn give_up_command(&mut self) {
        self.skipped += self.command.take().map_or(0, |cut| cut.len());
    }

    fn report(&mut self, tell: &mut impl FnMut(Heard<'_>)) {
        if self.skipped > 0 {
            tell(Heard::Fault(Fault::new(DecodeError::Unframed, std::mem::take(&mut self.skipped))));
        }
    }
}

fn whole(message: &[u8]) -> Heard<'_> {
    let Some((content, digits)) = message.split_last_chunk::<2>().filter(|(content, _)| content.len() >= 2) else {
        return Heard::Fault(Fault::new(DecodeError::Truncated { needed: 4, got: message.len() }, message.len()));
    };
    let stated = hexadecimal(*digits);
    let computed = sum(content);
    match (stated, content) {
        (Some(stated), [start, code, rest @ ..]) if stated == computed => {
            if *start == COMMAND {
                Heard::Command(*code, rest)
            } else {
                Heard::Answer(*code, rest)
            }
        }
        (Some(stated), _) => {
            Heard::Fault(Fault::new(DecodeError::Checksum { stated: stated.into(), computed: computed.into() }, message.len()))
        }
        (None, _) => Heard::Fault(Fault::field("sum", "no hexadecimal digits")),
    }
}

/// The number of two hexadecimal digits.
pub(super) fn hexadecimal(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? << 4 | low?).ok()
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

fn message(start: u8, code: u8, content: &str) -> Vec<u8> {
    let mut bytes = vec![start, code];
    bytes.extend(content.bytes());
    let sum = sum(&bytes);
    bytes.extend(format!("{sum:02X}\r").bytes());
    bytes
}

/// A command as it goes over the line.
#[must_use]
pub fn command(code: u8, argument: &str) -> Vec<u8> {
    message(COMMAND, code, argument)
}

/// An answer as it goes over the line.
#[must_use]
pub fn answer(code: u8, content: &str) -> Vec<u8> {
    message(ANSWER, code, content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    fn hear(bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        LineReader::default().push(bytes, |heard| found.push(format!("{heard:?}")));
        let (mut reader, mut bytewise) = (LineReader::default(), Vec::new());
        bytes.iter().for_each(|byte| reader.push(&[*byte], |heard| bytewise.push(format!("{heard:?}"))));
        assert_eq!(found, bytewise, "where the stream is cut changes nothing");
        found
    }
    fn kinds(bytes: &[u8]) -> Vec<String> {
        hear(bytes).iter().map(|heard| heard.split('(').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn sums_are_those_of_the_manual() {
        assert_eq!(command(0x51, ""), hex!("1b 51 36 43 0d"));
        assert_eq!(answer(0x51, ""), hex!("01 51 35 32 0d"));
        assert_eq!(command(0x52, ""), hex!("1b 52 36 44 0d"));
        assert_eq!(command(0x24, ""), hex!("1b 24 33 46 0d"));
        assert_eq!(command(0x4A, "$EB"), hex!("1b 4a 24 45 42 31 30 0d"));
        assert_eq!(command(0x30, ""), hex!("1b 30 34 42 0d"));
    }

    #[test]
    fn an_answer_is_read_around_a_command_and_fast_bytes_inside_it() {
        let bytes = hex!("01 24 45 42 d1 20 39 1b 30 34 42 0d 38 20 91 45 31 20 37 30 20 37 41 0d");
        assert_eq!(
            hear(&bytes),
            [Heard::Fast(0xD1), Heard::Command(0x30, b""), Heard::Fast(0x91), Heard::Answer(0x24, b"EB 98 E1 70 ")]
                .map(|heard| format!("{heard:?}"))
        );
    }

    #[test]
    fn a_wrong_sum_and_garbage_lose_their_message_alone() {
        let good = hex!("01 24 45 42 20 39 38 20 45 31 20 37 30 20 37 41 0d");
        let mut bad = good;
        bad[5] = b'1';
        assert_eq!(kinds(&[&bad[..], &good].concat()), ["Fault", "Answer"]);
        assert_eq!(kinds(&[&b"noise\x1bA"[..], &good].concat()), ["Fault", "Fault", "Answer"]);
        assert_eq!(kinds(b"\x1bA\r"), ["Fault"]);
        assert_eq!(
            kinds(&[&[ANSWER][..], &[b'x'; 5000], &good].concat()),
            ["Fault", "Fault", "Answer"],
            "too long, and what is left of it"
        );
    }
}
