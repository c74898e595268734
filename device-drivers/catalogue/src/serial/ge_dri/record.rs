//! A DRI record: 40 bytes of header and up to eight subrecords, little-endian, followed by one checksum byte.

use driver::DecodeError;
use driver::frame::flagged;

/// Length of the header, in bytes.
pub const HEADER_LEN: usize = 40;
/// The subrecord type that ends the list.
const END_OF_LIST: u8 = 0xFF;
const SUBRECORDS_MAX: usize = 8;

/// What a record holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Main {
    /// Numerics.
    Physiological,
    /// Waves.
    Wave,
    /// Alarms.
    Alarm,
    /// Network (5), events (8) and whatever comes later.
    Other(i16),
}

/// A record whose header has been read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// Seconds since 1970 on the monitor's own clock, which knows no zone; 0 is unset.
    pub time_s: u32,
    /// What it holds.
    pub main: Main,
    header: &'a [u8],
    data: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the header and checks the stated length against the bytes there are.
    ///
    /// # Errors
    /// Fewer bytes than the header or the stated length; a length that leaves bytes over.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let got = bytes.len();
        let (header, data) = bytes.split_at_checked(HEADER_LEN).ok_or(DecodeError::Truncated { needed: HEADER_LEN, got })?;
        let stated = usize::try_from(i16_at(header, 0)?).unwrap_or(0);
        if stated > got {
            return Err(DecodeError::Truncated { needed: stated, got });
        }
        if stated != got {
            return Err(DecodeError::Field { field: "r_len", why: format!("states {stated} of {got} bytes") });
        }
        let main = match i16_at(header, 14)? {
            0 => Main::Physiological,
            1 => Main::Wave,
            4 => Main::Alarm,
            other => Main::Other(other),
        };
        let time_s = u32::from(u16_at(header, 6)?) | u32::from(u16_at(header, 8)?) << 16;
        Ok(Self { time_s, main, header, data })
    }

    /// The subrecords: each its type and the bytes from its start to the end of the record.
    pub fn subrecords(&self) -> impl Iterator<Item = Result<(u8, &'a [u8]), DecodeError>> + use<'a> {
        let (header, data) = (self.header, self.data);
        let descriptors = (0..SUBRECORDS_MAX).map_while(move |n| header.get(16 + 3 * n..19 + 3 * n));
        descriptors.take_while(|d| d.last().is_some_and(|kind| *kind != END_OF_LIST)).map(move |descriptor| {
            let offset = i16_at(descriptor, 0)?;
            let start = usize::try_from(offset).ok().and_then(|offset| data.get(offset..));
            let start = start.filter(|rest| !rest.is_empty());
            let kind = descriptor.last().copied().unwrap_or(END_OF_LIST);
            start
                .map(|rest| (kind, rest))
                .ok_or_else(|| DecodeError::Field { field: "sr_offset", why: format!("{offset} is outside the record") })
        })
    }
}

/// The signed word at `offset`.
///
/// # Errors
/// Fewer bytes than that.
pub fn i16_at(bytes: &[u8], offset: usize) -> Result<i16, DecodeError> {
    match bytes.get(offset..offset + 2) {
        Some(&[low, high]) => Ok(i16::from_le_bytes([low, high])),
        _ => Err(DecodeError::Truncated { needed: offset + 2, got: bytes.len() }),
    }
}

/// The unsigned word at `offset`.
///
/// # Errors
/// Fewer bytes than that.
pub fn u16_at(bytes: &[u8], offset: usize) -> Result<u16, DecodeError> {
    i16_at(bytes, offset).map(i16::cast_unsigned)
}

/// The record inside a frame whose checksum holds.
///
/// # Errors
/// A checksum that does not hold; a frame of no bytes.
pub fn checked(frame: &[u8]) -> Result<&[u8], DecodeError> {
    let (&stated, record) = frame.split_last().ok_or(DecodeError::Truncated { needed: 1, got: 0 })?;
    let computed = checksum(record);
    if stated != computed {
        return Err(DecodeError::Checksum { stated: stated.into(), computed: computed.into() });
    }
    Ok(record)
}

/// A record as it goes over the line: checksum added, escaped, between flags.
#[must_use]
pub fn framed(record: &[u8]) -> Vec<u8> {
    flagged(&[record, &[checksum(record)]].concat())
}

/// A file may hold one record without its frame: its first word is then its length.
pub(crate) fn framed_if_bare(bytes: &[u8]) -> Vec<u8> {
    let is_bare = i16_at(bytes, 0).is_ok_and(|stated| usize::try_from(stated) == Ok(bytes.len()));
    if is_bare { framed(bytes) } else { bytes.to_vec() }
}

fn checksum(record: &[u8]) -> u8 {
    record.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(len: i16, descriptors: &[(i16, u8)]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LEN];
        bytes[..2].copy_from_slice(&len.to_le_bytes());
        bytes[6..10].copy_from_slice(&1_532_624_765u32.to_le_bytes());
        bytes[16..].fill(0xFF);
        for (n, (offset, kind)) in descriptors.iter().enumerate() {
            bytes[16 + 3 * n..18 + 3 * n].copy_from_slice(&offset.to_le_bytes());
            bytes[18 + 3 * n] = *kind;
        }
        bytes
    }

    #[test]
    fn a_length_that_disagrees_with_the_bytes_is_refused() {
        assert!(Record::parse(&header(40, &[])).is_ok());
        assert_eq!(Record::parse(&header(41, &[])), Err(DecodeError::Truncated { needed: 41, got: 40 }));
        for bad in [39, 0, -1] {
            assert!(matches!(Record::parse(&header(bad, &[])), Err(DecodeError::Field { field: "r_len", .. })), "{bad}");
        }
        assert_eq!(Record::parse(&[0; 39]), Err(DecodeError::Truncated { needed: 40, got: 39 }));
    }

    #[test]
    fn one_bad_offset_does_not_hide_the_next_subrecord() {
        let bytes = [header(44, &[(9, 1), (-1, 1), (2, 8)]), vec![1, 2, 3, 4]].concat();
        let record = Record::parse(&bytes).expect("record");
        assert_eq!(record.time_s, 1_532_624_765);
        let found: Vec<_> = record.subrecords().collect();
        assert!(matches!(found[0], Err(DecodeError::Field { field: "sr_offset", .. })) && found[1].is_err());
        assert_eq!(found[2], Ok((8, &[3, 4][..])));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn a_changed_byte_fails_the_checksum() {
        assert_eq!(checked(&[1, 2, 3]), Ok(&[1, 2][..]));
        assert_eq!(checked(&[1, 2, 4]), Err(DecodeError::Checksum { stated: 4, computed: 3 }));
        assert!(checked(&[]).is_err());
    }
}
