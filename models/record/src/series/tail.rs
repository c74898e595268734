//! The durable frames of one device session that are in no segment yet, numerics or waves.
//!
//! Always: in the order in which they came. Numerics are kept packed: an hour of them is a few kilobytes.

use super::{Frame, Numeric, Samples, Segment, SegmentError, SegmentKind};
use crate::code::Code;
use crate::observation::{NoValue, Quality};
use crate::time::Timestamp;
use std::collections::VecDeque;

/// What the frames of one segment may come to at the very worst, sealed: a tail that reaches it is cut early. An hour of
/// fifteen numerics at 1 Hz, or a minute of waves of 3,000 samples a second, is less.
pub const SEGMENT_BYTES_MAX: usize = 896 * 1024;
/// Frames of numerics that are packed together.
const BLOCK_FRAMES: usize = 128;
/// A block is closed once it could come to this.
const BLOCK_BYTES: usize = 64 * 1024;

/// Frames that wait to be sealed.
#[derive(Debug, Default)]
pub struct Tail {
    /// The last one is open.
    blocks: VecDeque<Block>,
    bytes: usize,
    len: usize,
}

/// Frames of a tail that are kept together.
#[derive(Debug)]
pub struct Block {
    packed: Vec<Segment>,
    frames: Vec<Frame>,
    /// The journal tick of each frame.
    ticks: Vec<Option<u64>>,
    bytes: usize,
    /// Earliest measurement in it.
    pub start: Timestamp,
    /// Latest measurement in it.
    pub end: Timestamp,
    /// Number of its first sample.
    pub first_seq: u64,
    /// Number after its last sample.
    pub next_seq: u64,
    /// Whether any of it is a demonstration.
    pub demo: bool,
}

impl Tail {
    /// Adds a frame of the journal's tick, if it is of one; frames are numerics or waves throughout.
    pub fn push(&mut self, tick: Option<u64>, frame: Frame) {
        let bytes = sealed_at_most(&frame);
        let full = |block: &Block| block.ticks.len() >= BLOCK_FRAMES || block.bytes.saturating_add(bytes) > BLOCK_BYTES;
        if self.blocks.back().is_none_or(full) {
            if let Some(block) = self.blocks.back_mut().filter(|_| frame.waves.is_empty()) {
                block.pack();
            }
            self.blocks.push_back(Block::before(&frame));
        }
        let Some(block) = self.blocks.back_mut() else { return };
        (block.start, block.end) = (block.start.min(frame.measured), block.end.max(frame.measured));
        block.next_seq = block.next_seq.max(frame.first_seq.saturating_add(frame.len()));
        block.first_seq = block.first_seq.min(frame.first_seq);
        block.demo |= frame.numerics.iter().any(|n| n.quality == Quality::Demo) || frame.waves.iter().any(|w| w.demo);
        block.frames.push(frame);
        block.ticks.push(tick);
        block.bytes = block.bytes.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        self.len += 1;
    }

    /// All of it, oldest first.
    pub fn blocks(&self) -> impl DoubleEndedIterator<Item = &Block> {
        self.blocks.iter()
    }

    /// Forgets what lies before a sample's number, in whole blocks.
    pub fn forget_before(&mut self, seq: u64) {
        while let Some(block) = self.blocks.pop_front_if(|block| block.next_seq <= seq) {
            self.len -= block.ticks.len();
            self.bytes = self.bytes.saturating_sub(block.bytes);
        }
    }

    /// Whether it holds nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Frames held.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// What all of it could come to.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Frames, from the front, that fit one segment: whole blocks, at least one.
    #[must_use]
    pub fn front(&self) -> usize {
        let (mut bytes, mut frames) = (0usize, 0);
        for block in &self.blocks {
            bytes = bytes.saturating_add(block.bytes);
            if frames > 0 && bytes > SEGMENT_BYTES_MAX {
                break;
            }
            frames += block.ticks.len();
        }
        frames
    }

    /// The first frames, up to the end of the block in which the last of them is.
    ///
    /// # Errors
    /// None that a tail made by [`Self::push`] gives.
    pub fn frames(&self, count: usize) -> Result<Vec<Frame>, SegmentError> {
        let mut frames = Vec::with_capacity(count);
        for block in &self.blocks {
            if frames.len() >= count {
                break;
            }
            frames.extend(block.frames()?);
        }
        Ok(frames)
    }

    /// The ticks of the first frames, as often as they have frames here.
    pub fn ticks(&self, count: usize) -> impl Iterator<Item = u64> {
        self.blocks.iter().flat_map(|block| &block.ticks).take(count).filter_map(|tick| *tick)
    }

    /// Forgets the first frames: as many as [`Self::front`] gave.
    pub fn forget(&mut self, count: usize) {
        let mut left = count;
        while let Some(block) = self.blocks.pop_front_if(|block| block.ticks.len() <= left) {
            left -= block.ticks.len();
            self.len -= block.ticks.len();
            self.bytes = self.bytes.saturating_sub(block.bytes);
        }
        debug_assert_eq!(left, 0, "blocks are forgotten whole");
    }
}

impl Block {
    fn before(frame: &Frame) -> Self {
        let (at, seq) = (frame.measured, frame.first_seq);
        let (packed, frames, ticks) = (Vec::new(), Vec::new(), Vec::new());
        Self { packed, frames, ticks, bytes: 0, start: at, end: at, first_seq: seq, next_seq: seq, demo: false }
    }

    /// Its frames.
    ///
    /// # Errors
    /// None that a tail made by [`Tail::push`] gives.
    pub fn frames(&self) -> Result<Vec<Frame>, SegmentError> {
        let mut frames = Vec::with_capacity(self.ticks.len());
        for packed in &self.packed {
            frames.extend(packed.frames()?);
        }
        frames.extend_from_slice(&self.frames);
        Ok(frames)
    }

    /// Appends the samples of one series.
    ///
    /// # Errors
    /// As [`Self::frames`].
    pub fn samples(&self, code: Code, into: &mut Samples) -> Result<(), SegmentError> {
        self.packed.iter().try_for_each(|packed| packed.samples(code, into))?;
        self.frames.iter().for_each(|frame| into.take_frame(code, frame));
        Ok(())
    }

    /// Frames of one bed at a time, since that is what a segment keeps. What cannot be packed stays as it is.
    fn pack(&mut self) {
        let beds = self.frames.chunk_by(|a, b| a.bed == b.bed);
        let packed = beds.map(|frames| Segment::build(SegmentKind::Numerics, frames));
        if let Ok(packed) = packed.collect() {
            self.packed = packed;
            self.frames = Vec::new();
        }
    }
}

/// Bytes a frame adds to a segment if nothing about it can be foretold.
fn sealed_at_most(frame: &Frame) -> usize {
    /// Six clocks and counters.
    const FRAME: usize = 54;
    /// Digits, place in the frame, state.
    const NUMERIC: usize = 14;
    const BLOCK: usize = 16;
    const SAMPLE: usize = 5;
    let words = |numeric: &Numeric| match &numeric.value {
        Err(NoValue::Fault(what)) => what.len(),
        _ => 0,
    };
    let numerics: usize = frame.numerics.iter().map(|numeric| NUMERIC + words(numeric)).sum();
    let waves: usize = frame.waves.iter().map(|wave| BLOCK + wave.raw.len() * SAMPLE).sum();
    FRAME + numerics + waves
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decimal::Decimal;
    use crate::series::Boot;
    use crate::time::Monotonic;
    use crate::unit::Unit;

    fn frame(second: i64, numerics: u32) -> Frame {
        let at = Timestamp(1_700_000_000_000_000 + second * 1_000_000);
        let numeric = |n: u32| Numeric {
            code: Code::Mdc(n),
            value: Ok(Decimal::whole(80 + i64::from(n) + second % 5)),
            unit: Unit::PerMinute,
            quality: Quality::Good,
        };
        Frame {
            device: "monitor-1".parse().expect("id"),
            boot: Boot([1; 12]),
            first_seq: second as u64 * u64::from(numerics),
            arrived: at,
            arrived_mono: Monotonic(0),
            measured: at,
            device_time: None,
            offset_us: None,
            bed: Some(if second % 900 < 890 { "1" } else { "2" }.parse().expect("bed")),
            numerics: (0..numerics).map(numeric).collect(),
            waves: Vec::new(),
        }
    }

    #[test]
    fn an_hour_of_a_monitor_fits_one_segment_and_little_memory() {
        let mut tail = Tail::default();
        let frames: Vec<Frame> = (0..3600).map(|second| frame(second, 10)).collect();
        frames.iter().zip(1..).for_each(|(frame, tick)| tail.push(Some(tick), frame.clone()));
        assert!(tail.bytes() < SEGMENT_BYTES_MAX, "{}", tail.bytes());
        assert_eq!((tail.front(), tail.len()), (3600, 3600));
        assert!(tail.blocks.iter().rev().skip(1).all(|block| block.frames.is_empty() && block.packed.len() <= 3));
        assert_eq!(tail.frames(3600).expect("frames"), frames);
        assert!(tail.ticks(3600).eq(1..=3600));
        let mut samples = Samples::default();
        tail.blocks().try_for_each(|block| block.samples(Code::Mdc(3), &mut samples)).expect("samples");
        assert!(samples.iter().eq(frames.iter().map(|f| (f.measured, f.numerics[3].value.as_ref().copied(), Quality::Good))));
    }

    #[test]
    fn the_front_is_forgotten_in_whole_blocks() {
        let mut tail = Tail::default();
        (0..300).for_each(|second| tail.push(Some(second), frame(second as i64, 2)));
        // The first block ends before sample 256.
        tail.forget_before(257);
        assert_eq!((tail.len(), tail.blocks().next().map(|block| block.first_seq)), (172, Some(256)));
        tail.forget(tail.front());
        assert!(tail.is_empty() && tail.bytes() == 0);
    }

    #[test]
    fn more_than_a_segment_may_come_to_is_several() {
        let mut tail = Tail::default();
        (0..3600).for_each(|second| tail.push(None, frame(second, 30)));
        let mut parts = 0;
        while !tail.is_empty() {
            tail.forget(tail.front());
            parts += 1;
        }
        assert_eq!(parts, 2);
    }
}
