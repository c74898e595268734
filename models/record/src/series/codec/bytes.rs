//! Bytes with lengths: variable-length integers and sections.

use super::{unzigzag, zigzag};
use crate::series::SegmentError;

/// Appends seven bits a byte, low ones first.
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, zigzag(value));
}

/// Appends bytes behind their length.
pub(crate) fn put_section(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes bytes from the front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn byte(&mut self) -> Result<u8, SegmentError> {
        let (first, rest) = self.0.split_first().ok_or(SegmentError::Unreadable)?;
        self.0 = rest;
        Ok(*first)
    }

    pub fn number(&mut self) -> Result<u64, SegmentError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(SegmentError::Unreadable)
    }

    pub fn signed(&mut self) -> Result<i64, SegmentError> {
        Ok(unzigzag(self.number()?))
    }

    /// A number that must not pass `limit`.
    pub fn count(&mut self, limit: usize) -> Result<usize, SegmentError> {
        usize::try_from(self.number()?).ok().filter(|n| *n <= limit).ok_or(SegmentError::Unreadable)
    }

    pub fn take(&mut self, len: usize) -> Result<&'a [u8], SegmentError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(SegmentError::Unreadable)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn section(&mut self) -> Result<Self, SegmentError> {
        let len = self.count(self.0.len())?;
        Ok(Self(self.take(len)?))
    }

    /// All has been read.
    pub const fn end(&self) -> Result<(), SegmentError> {
        if self.0.is_empty() { Ok(()) } else { Err(SegmentError::Unreadable) }
    }
}
