//! Recordings of a link, as text a person can read and cut:
//!
//! ```text
//! # who, which firmware, when, how it was taken
//! 0 2a5f 00 62 00 4e 00
//! 1004 2a5f 00 61 00 4e 00
//! ```
//!
//! A line is milliseconds since the start, the channel (`stream`, a 16-bit assigned number, or 32 hex digits), and the
//! bytes in hex with any spacing. `#` and empty lines are skipped. Time never runs backwards.

use driver::Channel;
use std::fmt;

/// One piece of a recording.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Milliseconds since the recording began.
    pub at_ms: u64,
    /// Where the bytes travelled.
    pub channel: Channel,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What is wrong with a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LineError {
    /// It does not begin with a number of milliseconds.
    #[error("expected milliseconds since the start")]
    Time,
    /// The second word is no channel.
    #[error("expected a channel: stream, 4 or 32 hex digits")]
    Channel,
    /// The rest is not bytes in hex.
    #[error("expected bytes in hex, two digits each")]
    Bytes,
}

/// 0000xxxx-0000-1000-8000-00805f9b34fb, where 16-bit assigned numbers live.
const BLUETOOTH_BASE: u128 = 0x0000_0000_0000_1000_8000_0080_5f9b_34fb;
const SHORT_SHIFT: u32 = 96;

impl Line {
    /// Reads one line; `None` for a comment or an empty line.
    ///
    /// # Errors
    /// A line that is none of these.
    pub fn parse(text: &str) -> Result<Option<Self>, LineError> {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            return Ok(None);
        }
        let mut words = text.split_whitespace();
        let at_ms = words.next().and_then(|word| word.parse().ok()).ok_or(LineError::Time)?;
        let channel = words.next().and_then(parse_channel).ok_or(LineError::Channel)?;
        let digits: Vec<u8> = words.flat_map(str::bytes).collect();
        let bytes = digits.chunks(2).map(parse_byte).collect::<Option<_>>().ok_or(LineError::Bytes)?;
        Ok(Some(Self { at_ms, channel, bytes }))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.at_ms)?;
        match self.channel {
            Channel::Stream => f.write_str("stream")?,
            Channel::Characteristic(uuid) => match uuid.wrapping_sub(BLUETOOTH_BASE) >> SHORT_SHIFT {
                short @ 0..=0xffff if uuid == BLUETOOTH_BASE | (short << SHORT_SHIFT) => write!(f, "{short:04x}")?,
                _ => write!(f, "{uuid:032x}")?,
            },
        }
        self.bytes.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
    }
}

fn parse_channel(word: &str) -> Option<Channel> {
    if word == "stream" {
        return Some(Channel::Stream);
    }
    let digits: String = word.chars().filter(|c| *c != '-').collect();
    if !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let number = u128::from_str_radix(&digits, 16).ok()?;
    match digits.len() {
        4 => Some(Channel::Characteristic(BLUETOOTH_BASE | (number << SHORT_SHIFT))),
        32 => Some(Channel::Characteristic(number)),
        _ => None,
    }
}

fn parse_byte(pair: &[u8]) -> Option<u8> {
    let [high, low] = *pair else { return None };
    let digit = |c: u8| char::from(c).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_as_it_was_written() {
        for channel in [Channel::Stream, Channel::Characteristic(0x2a5f << SHORT_SHIFT | BLUETOOTH_BASE), Channel::Characteristic(7)] {
            let line = Line { at_ms: 1004, channel, bytes: vec![0, 0x62, 0xff] };
            assert_eq!(Line::parse(&line.to_string()), Ok(Some(line)));
        }
        let short = Line { at_ms: 0, channel: Channel::Characteristic(0x2a37 << SHORT_SHIFT | BLUETOOTH_BASE), bytes: vec![0x16, 0x48] };
        assert_eq!(short.to_string(), "0 2a37 16 48");
    }

    #[test]
    fn comments_are_skipped_and_broken_lines_say_what_is_broken() {
        assert_eq!(Line::parse("  # by hand"), Ok(None));
        assert_eq!(Line::parse(""), Ok(None));
        assert_eq!(Line::parse("soon stream 00"), Err(LineError::Time));
        assert_eq!(Line::parse("0 2a3 00"), Err(LineError::Channel));
        assert_eq!(Line::parse("0 +a37 00"), Err(LineError::Channel));
        assert_eq!(Line::parse("0 stream 0"), Err(LineError::Bytes));
        assert_eq!(Line::parse("0 stream zz"), Err(LineError::Bytes));
        assert_eq!(Line::parse("0 stream é"), Err(LineError::Bytes));
    }
}
