//! Fields of a stated number of bits, low ones first.

use crate::series::SegmentError;

/// Packs fields into bytes.
#[derive(Default, Debug)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    held: u128,
    count: u32,
}

impl BitWriter {
    /// Appends the low `width` (≤ 64) bits of `value`.
    pub fn put(&mut self, value: u64, width: u32) {
        let kept = if width >= 64 { value } else { value & ((1 << width) - 1) };
        self.held |= u128::from(kept) << self.count;
        self.count += width.min(64);
        while self.count >= 8 {
            self.bytes.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    pub fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.bytes.push(self.held as u8);
        }
        self.bytes
    }
}

/// Reads what [`BitWriter`] packed.
#[derive(Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    held: u128,
    count: u32,
}

impl<'a> BitReader<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, held: 0, count: 0 }
    }

    /// The next `width` (≤ 64) bits.
    pub fn take(&mut self, width: u32) -> Result<u64, SegmentError> {
        let width = width.min(64);
        if self.count < width {
            self.refill(width)?;
        }
        let value = self.held as u64;
        self.held >>= width;
        self.count -= width;
        Ok(if width == 64 { value } else { value & ((1 << width) - 1) })
    }

    fn refill(&mut self, width: u32) -> Result<(), SegmentError> {
        if let Some((word, rest)) = self.bytes.split_first_chunk::<8>() {
            self.held |= u128::from(u64::from_le_bytes(*word)) << self.count;
            self.count += 64;
            self.bytes = rest;
        } else {
            while let Some((byte, rest)) = self.bytes.split_first() {
                self.held |= u128::from(*byte) << self.count;
                self.count += 8;
                self.bytes = rest;
            }
        }
        if self.count >= width { Ok(()) } else { Err(SegmentError::Unreadable) }
    }

    /// All but the padding of the last byte has been read.
    pub const fn end(&self) -> Result<(), SegmentError> {
        if self.bytes.is_empty() && self.count < 8 && self.held == 0 { Ok(()) } else { Err(SegmentError::Unreadable) }
    }
}
