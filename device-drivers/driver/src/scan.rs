//! Finding frames that carry no marks of their own, by what each byte may be: fixed layouts, sync bits, checksums.
//!
//! ```text
//! bytes ──▶ Scanner::push ──▶ Frames::look(rest) ──▶ Step::{Take(n), Skip(n), More}
//! ```
//!
//! What is found does not depend on how the stream was cut, as long as [`Frames::look`] depends only on the bytes it is
//! given and on the frames before. Whole frames are read where they lie; only a frame cut in two is copied.

use crate::{DecodeError, Fault, Out};

/// What stands at the start of the bytes looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A frame of this many bytes, which has been read.
    Take(usize),
    /// This many bytes of no frame.
    Skip(usize),
    /// The beginning of what may be a frame.
    More,
}

/// A protocol's eye for its frames.
pub trait Frames {
    /// Looks at the bytes from here on, never empty; reads the frame that begins here into `out` if there is one.
    fn look(&mut self, rest: &[u8], out: &mut Vec<Out>) -> Step;
    /// Hears that bytes were passed over since the last frame.
    fn lost(&mut self) {}
}

/// Holds the beginning of a frame between pieces, at most `limit` bytes.
#[derive(Debug)]
pub struct Scanner {
    held: Vec<u8>,
    skipped: usize,
    limit: usize,
}

/// Skipped bytes are reported at the next frame, or every so many.
const REPORT_EVERY: usize = 4096;

impl Scanner {
    /// A scanner for frames of at most `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { held: Vec::new(), skipped: 0, limit }
    }

    /// Forgets a half-read frame.
    pub fn reset(&mut self) {
        self.held.clear();
        self.skipped = 0;
    }

    /// Takes the next bytes of the stream; what they complete goes to `out`.
    pub fn push(&mut self, bytes: &[u8], frames: &mut impl Frames, out: &mut Vec<Out>) {
        if self.held.is_empty() {
            let rest = self.scan(bytes, frames, out);
            self.held.extend_from_slice(rest);
            return;
        }
        let mut whole = std::mem::take(&mut self.held);
        whole.extend_from_slice(bytes);
        let kept = self.scan(&whole, frames, out).len();
        whole.drain(..whole.len() - kept);
        self.held = whole;
    }

    fn scan<'a>(&mut self, mut rest: &'a [u8], frames: &mut impl Frames, out: &mut Vec<Out>) -> &'a [u8] {
        while !rest.is_empty() {
            let before = out.len();
            let past = match frames.look(rest, out) {
                Step::Take(count) => {
                    if self.skipped > 0 {
                        out.insert(before, self.unframed());
                    }
                    count.max(1)
                }
                Step::More if rest.len() < self.limit => return rest,
                Step::More => self.skip(1, frames, out),
                Step::Skip(count) => self.skip(count.clamp(1, rest.len()), frames, out),
            };
            rest = rest.get(past..).unwrap_or_default();
        }
        rest
    }

    fn skip(&mut self, count: usize, frames: &mut impl Frames, out: &mut Vec<Out>) -> usize {
        if self.skipped == 0 {
            frames.lost();
        }
        // Reported at a fixed count, so that it does not matter how many were skipped at one look.
        let room = REPORT_EVERY - self.skipped % REPORT_EVERY;
        let count = count.min(room);
        self.skipped += count;
        if self.skipped >= REPORT_EVERY {
            out.push(self.unframed());
        }
        count
    }

    fn unframed(&mut self) -> Out {
        Out::Fault(Fault::new(DecodeError::Unframed, std::mem::take(&mut self.skipped)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::About;
    use proptest::prelude::*;

    /// Frames of `A`, a length digit and that many bytes.
    struct Lengths;
    impl Frames for Lengths {
        fn look(&mut self, rest: &[u8], out: &mut Vec<Out>) -> Step {
            let &[b'A', ref tail @ ..] = rest else { return Step::Skip(1) };
            let Some(length) = tail.first().map(|b| usize::from(b.wrapping_sub(b'0'))) else { return Step::More };
            if length > 9 {
                return Step::Skip(1);
            }
            let Some(body) = tail.get(1..1 + length) else { return Step::More };
            out.push(Out::About(About::Serial(String::from_utf8_lossy(body).into_owned())));
            Step::Take(2 + length)
        }
    }

    #[test]
    fn skipped_bytes_are_reported_before_the_frame_that_follows() {
        let mut out = Vec::new();
        Scanner::new(16).push(b"xxA2hiA0", &mut Lengths, &mut out);
        let said = [
            Out::Fault(Fault::new(DecodeError::Unframed, 2)),
            Out::About(About::Serial("hi".to_owned())),
            Out::About(About::Serial(String::new())),
        ];
        assert_eq!(out, said);
    }

    #[test]
    fn pure_garbage_is_reported_and_takes_no_memory() {
        let (mut scanner, mut out) = (Scanner::new(16), Vec::new());
        scanner.push(&[b'x'; 2 * REPORT_EVERY + 5], &mut Lengths, &mut out);
        assert_eq!(out.len(), 2);
        assert!(scanner.held.is_empty());
    }

    #[test]
    fn a_frame_that_never_ends_is_given_up_at_the_limit() {
        struct Never;
        impl Frames for Never {
            fn look(&mut self, _: &[u8], _: &mut Vec<Out>) -> Step {
                Step::More
            }
        }
        let mut scanner = Scanner::new(8);
        for _ in 0..100 {
            scanner.push(b"xyz", &mut Never, &mut Vec::new());
            assert!(scanner.held.len() < 8);
        }
    }

    proptest! {
        #[test]
        fn where_the_stream_is_cut_changes_nothing(bytes in prop::collection::vec(prop_oneof![Just(b'A'), b'0'..=b'9', Just(b'x')], 0..200), cut in 0usize..200) {
            let cut = cut.min(bytes.len());
            let (mut whole, mut parts) = (Vec::new(), Vec::new());
            Scanner::new(16).push(&bytes, &mut Lengths, &mut whole);
            let mut scanner = Scanner::new(16);
            scanner.push(&bytes[..cut], &mut Lengths, &mut parts);
            scanner.push(&bytes[cut..], &mut Lengths, &mut parts);
            prop_assert_eq!(whole, parts);
        }
    }
}
