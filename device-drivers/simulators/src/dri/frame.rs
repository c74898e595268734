//! `7E … 7E` with a checksum byte, and `7D` before every byte that would look like either.

const FLAG: u8 = 0x7e;
const ESCAPE: u8 = 0x7d;
const FLIP: u8 = 0x20;
/// No host request is longer.
const FRAME_BYTES_MAX: usize = 1500;

/// A record as it goes onto the wire.
#[must_use]
pub fn seal(record: &[u8]) -> Vec<u8> {
    let sum = record.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    let mut wire = vec![FLAG];
    for byte in record.iter().copied().chain([sum]) {
        match byte {
            FLAG | ESCAPE => wire.extend([ESCAPE, byte & !FLIP]),
            _ => wire.push(byte),
        }
    }
    wire.push(FLAG);
    wire
}

/// Finds records in what the host sends.
#[derive(Default)]
pub struct Opener {
    partial: Vec<u8>,
    escaped: bool,
}

impl Opener {
    /// Takes bytes, gives the records whose checksum is right.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        bytes.iter().filter_map(|byte| self.take(*byte)).collect()
    }

    fn take(&mut self, byte: u8) -> Option<Vec<u8>> {
        match byte {
            FLAG => {
                self.escaped = false;
                let mut record = std::mem::take(&mut self.partial);
                let stated = record.pop()?;
                let sum = record.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
                return (sum == stated).then_some(record);
            }
            ESCAPE => self.escaped = true,
            _ if self.partial.len() >= FRAME_BYTES_MAX => self.partial.clear(),
            _ => {
                self.partial.push(if self.escaped { byte | FLIP } else { byte });
                self.escaped = false;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_escapes_inside_a_record_survive_the_wire() {
        let record = [0x7e, 0x7d, 0x5e, 0, 0xff];
        assert_eq!(Opener::default().push(&seal(&record)), [record.to_vec()]);
    }
}
