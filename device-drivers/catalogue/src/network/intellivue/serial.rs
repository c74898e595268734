//! The frame of the MIB port: `C0 | 11 01 len len | payload | FCS FCS | C1`, 115200 8N1. `C0`, `C1` and `7D` inside travel
//! as `7D` and the byte xor 20; `7D C1` gives a frame up.

use driver::frame::Framed;
use driver::{DecodeError, Fault};

/// The longest frame read, header and check included; the port sends at most 1000 bytes.
pub const FRAME_LEN_MAX: usize = 2048;
const BEGIN: u8 = 0xC0;
const END: u8 = 0xC1;
const ESCAPE: u8 = 0x7D;
const HEADER_LEN: usize = 4;

/// Finds frames in a stream cut anywhere.
#[derive(Debug, Default)]
pub struct SerialFramer {
    /// None outside a frame.
    frame: Option<Vec<u8>>,
    escaped: bool,
    skipped: usize,
}

impl SerialFramer {
    /// Takes the next bytes, yields payloads whose length and check hold, and what was wrong with others.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Result<Framed, Fault>> {
        let mut found = Vec::new();
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if let (Some(frame), false) = (&mut self.frame, self.escaped) {
                // Ordinary bytes, as many as there is room for, at once.
                let room = FRAME_LEN_MAX.saturating_sub(frame.len());
                let run = rest.iter().take(room).take_while(|byte| !matches!(**byte, BEGIN | END | ESCAPE)).count();
                if run > 0 {
                    frame.extend_from_slice(rest.get(..run).unwrap_or_default());
                    rest = rest.get(run..).unwrap_or_default();
                    continue;
                }
            }
            rest = after;
            let escaped = std::mem::take(&mut self.escaped);
            match (byte, &mut self.frame) {
                (BEGIN, frame) => {
                    let lost = self.skipped + frame.as_ref().map_or(0, Vec::len);
                    if lost > 0 {
                        found.push(Ok(Framed::Skipped(lost)));
                    }
                    self.skipped = 0;
                    *frame = Some(Vec::new());
                }
                (END, Some(frame)) => {
                    let frame = std::mem::take(frame);
                    self.frame = None;
                    if !escaped {
                        found.push(payload(&frame).map(Framed::Frame));
                    }
                }
                (_, None) => {
                    self.skipped += 1;
                    if self.skipped >= FRAME_LEN_MAX {
                        found.push(Ok(Framed::Skipped(std::mem::take(&mut self.skipped))));
                    }
                }
                (ESCAPE, Some(_)) => self.escaped = true,
                (_, Some(frame)) if frame.len() >= FRAME_LEN_MAX => {
                    self.frame = None;
                    found.push(Ok(Framed::Oversized { head: Vec::new() }));
                }
                (_, Some(frame)) => frame.push(if escaped { byte ^ 0x20 } else { byte }),
            }
        }
        found
    }
}

fn payload(frame: &[u8]) -> Result<Vec<u8>, Fault> {
    let short = Fault::new(DecodeError::Truncated { needed: HEADER_LEN + 2, got: frame.len() }, frame.len());
    let (content, &[low, high]) = frame.split_last_chunk::<2>().ok_or_else(|| short.clone())?;
    let (stated, computed) = (u16::from_le_bytes([low, high]), fcs(content));
    if stated != computed {
        return Err(Fault::new(DecodeError::Checksum { stated: stated.into(), computed: computed.into() }, frame.len()));
    }
    let (header, payload) = content.split_first_chunk::<HEADER_LEN>().ok_or(short)?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] != 0x11 || length != payload.len() {
        return Err(Fault::field("frame header", format!("protocol {:02x}, length {length} of {} bytes", header[0], payload.len())));
    }
    Ok(payload.to_vec())
}

/// CRC-16/X-25.
#[must_use]
pub fn fcs(bytes: &[u8]) -> u16 {
    !bytes.iter().fold(0xFFFF, |crc: u16, byte| crc >> 8 ^ REMAINDERS[usize::from((crc ^ u16::from(*byte)) & 0xFF)])
}

/// Of each byte, by the reflected polynomial 8408.
static REMAINDERS: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u16, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x8408 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// A payload as it goes over the line.
#[must_use]
pub fn framed(payload: &[u8]) -> Vec<u8> {
    // No request is longer than 64 KiB.
    let mut content = vec![0x11, 0x01];
    content.extend((payload.len() as u16).to_be_bytes());
    content.extend(payload);
    content.extend(fcs(&content).to_le_bytes());
    let mut wire = vec![BEGIN];
    for byte in content {
        if matches!(byte, BEGIN | END | ESCAPE) {
            wire.extend([ESCAPE, byte ^ 0x20]);
        } else {
            wire.push(byte);
        }
    }
    wire.push(END);
    wire
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn the_check_is_that_of_the_guides_examples() {
        assert_eq!(fcs(&hex!("3A 71")).to_le_bytes(), hex!("9B 26"));
        assert_eq!(fcs(&hex!("3A 91")).to_le_bytes(), hex!("95 C1"));
    }

    #[test]
    fn a_payload_with_marks_inside_survives_the_wire_however_it_is_cut() {
        let wire = framed(&hex!("C0 C1 7D 00 01"));
        for cut in 0..wire.len() {
            let mut framer = SerialFramer::default();
            let found = [framer.push(&wire[..cut]), framer.push(&wire[cut..])].concat();
            assert_eq!(found, [Ok(Framed::Frame(hex!("C0 C1 7D 00 01").to_vec()))]);
        }
    }

    #[test]
    fn a_changed_byte_an_abort_and_garbage_lose_their_frame_alone() {
        let good = framed(&[1, 2, 3]);
        let mut bad = good.clone();
        bad[6] ^= 4;
        let stream = [&bad[..], &hex!("C0 11 01 7D C1"), b"noise", &good].concat();
        let found = SerialFramer::default().push(&stream);
        assert!(matches!(&found[..], [Err(_), Ok(Framed::Skipped(5)), Ok(Framed::Frame(f))] if *f == [1, 2, 3]), "{found:?}");
    }
}
