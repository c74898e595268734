//! Finding frames in a stream of bytes that may be cut anywhere and hold anything.
//!
//! What both framers find does not depend on how the stream was cut; both hold at most their limit in memory and find the next frame after any garbage.

/// What a framer found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Framed {
    /// The content of one frame, unescaped, without its marks.
    Frame(Vec<u8>),
    /// Bytes outside any frame, or a frame begun anew before its end.
    Skipped(usize),
    /// A frame past the limit. Its first bytes are kept so that its header can be answered; the rest is dropped.
    Oversized {
        /// The first bytes, at most [`HEAD_LEN`].
        head: Vec<u8>,
    },
}

/// How much of an oversized frame is kept, in bytes.
pub const HEAD_LEN: usize = 1024;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Outside a frame, this many bytes since anything was said of it.
    Outside(usize),
    Inside,
    /// In the remainder of an oversized frame.
    Dropping,
}

/// What both framers share: a bounded buffer and where in a frame the stream stands.
#[derive(Debug)]
struct Collector {
    limit: usize,
    buffer: Vec<u8>,
    state: State,
}

impl Collector {
    const fn new(limit: usize) -> Self {
        Self { limit, buffer: Vec::new(), state: State::Outside(0) }
    }
    fn reset(&mut self) {
        self.buffer = Vec::new();
        self.state = State::Outside(0);
    }
    fn skip(&mut self, found: &mut Vec<Framed>) {
        if let State::Outside(skipped) = &mut self.state {
            *skipped += 1;
            // Said at every `limit` bytes, so that a stream of pure garbage is noticed.
            if *skipped >= self.limit {
                found.push(Framed::Skipped(*skipped));
                *skipped = 0;
            }
        }
    }
    fn begin(&mut self, found: &mut Vec<Framed>) {
        let skipped = match self.state {
            State::Outside(skipped) => skipped,
            State::Inside => self.buffer.len(),
            State::Dropping => 0,
        };
        if skipped > 0 {
            found.push(Framed::Skipped(skipped));
        }
        self.buffer.clear();
        self.state = State::Inside;
    }
    fn keep(&mut self, byte: u8, found: &mut Vec<Framed>) {
        if self.buffer.len() < self.limit {
            self.buffer.push(byte);
            return;
        }
        let mut head = std::mem::take(&mut self.buffer);
        head.truncate(HEAD_LEN);
        found.push(Framed::Oversized { head });
        self.state = State::Dropping;
    }
    /// Keeps the run of ordinary bytes that begins here, as far as there is room; yields how many.
    fn keep_run(&mut self, bytes: &[u8], ordinary: impl Fn(u8) -> bool) -> usize {
        if self.state != State::Inside {
            return 0;
        }
        let room = self.limit.saturating_sub(self.buffer.len());
        let run = bytes.iter().take(room).take_while(|byte| ordinary(**byte)).count();
        self.buffer.extend_from_slice(bytes.get(..run).unwrap_or_default());
        run
    }
    fn end(&mut self, next: State, found: &mut Vec<Framed>) {
        if self.state == State::Inside && !self.buffer.is_empty() {
            found.push(Framed::Frame(std::mem::take(&mut self.buffer)));
        }
        self.state = next;
    }
}

/// Frames between `7E` flags, with `7E` sent as `7D 5E` and `7D` as `7D 5D`. A flag ends one frame and begins the next.
#[derive(Debug)]
pub struct FlagFramer {
    collector: Collector,
    escaped: bool,
}

const FLAG: u8 = 0x7E;
const ESCAPE: u8 = 0x7D;
const ESCAPED_BIT: u8 = 0x20;

impl FlagFramer {
    /// A framer for frames of at most `limit` bytes, unescaped.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { collector: Collector::new(limit), escaped: false }
    }
    /// Forgets a half-read frame.
    pub fn reset(&mut self) {
        self.collector.reset();
        self.escaped = false;
    }
    /// Takes the next bytes of the stream, yields what they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Framed> {
        let mut found = Vec::new();
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if !self.escaped {
                let run = self.collector.keep_run(rest, |byte| !matches!(byte, FLAG | ESCAPE));
                if run > 0 {
                    rest = rest.get(run..).unwrap_or_default();
                    continue;
                }
            }
            rest = after;
            let escaped = std::mem::take(&mut self.escaped);
            match (byte, self.collector.state) {
                (FLAG, State::Inside) => self.collector.end(State::Inside, &mut found),
                (FLAG, _) => self.collector.begin(&mut found),
                (_, State::Outside(_)) => self.collector.skip(&mut found),
                (_, State::Dropping) => {}
                (ESCAPE, State::Inside) => self.escaped = true,
                (_, State::Inside) => self.collector.keep(if escaped { byte | ESCAPED_BIT } else { byte }, &mut found),
            }
        }
        found
    }
}

/// Puts flags around `content` and escapes what would read as one.
#[must_use]
pub fn flagged(content: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(content.len() + 8);
    framed.push(FLAG);
    for &byte in content {
        if matches!(byte, FLAG | ESCAPE) {
            framed.extend([ESCAPE, byte & !ESCAPED_BIT]);
        } else {
            framed.push(byte);
        }
    }
    framed.push(FLAG);
    framed
}

/// MLLP: a message between `0B` and `1C 0D`. The message is complete at `1C`: some senders leave out the `0D`, and
/// line ends between messages mean nothing.
#[derive(Debug)]
pub struct MllpFramer {
    collector: Collector,
}

const BLOCK_START: u8 = 0x0B;
const BLOCK_END: u8 = 0x1C;

impl MllpFramer {
    /// A framer for messages of at most `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { collector: Collector::new(limit) }
    }
    /// Forgets a half-read message.
    pub fn reset(&mut self) {
        self.collector.reset();
    }
    /// Takes the next bytes of the stream, yields what they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Framed> {
        let mut found = Vec::new();
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            let run = self.collector.keep_run(rest, |byte| !matches!(byte, BLOCK_START | BLOCK_END));
            if run > 0 {
                rest = rest.get(run..).unwrap_or_default();
                continue;
            }
            rest = after;
            match (byte, self.collector.state) {
                (BLOCK_START, _) => self.collector.begin(&mut found),
                (BLOCK_END, State::Inside | State::Dropping) => self.collector.end(State::Outside(0), &mut found),
                (b'\r' | b'\n', State::Outside(_)) | (_, State::Dropping) => {}
                (_, State::Outside(_)) => self.collector.skip(&mut found),
                (_, State::Inside) => self.collector.keep(byte, &mut found),
            }
        }
        found
    }
}

/// Puts a message between MLLP's marks.
#[must_use]
pub fn mllp(message: &[u8]) -> Vec<u8> {
    [&[BLOCK_START], message, &[BLOCK_END, b'\r']].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(found: Vec<Framed>) -> Vec<Vec<u8>> {
        found.into_iter().filter_map(|f| if let Framed::Frame(frame) = f { Some(frame) } else { None }).collect()
    }

    #[test]
    fn an_escaped_flag_and_an_escaped_escape_are_restored() {
        assert_eq!(flagged(&[0x7E, 1, 0x7D]), [0x7E, 0x7D, 0x5E, 1, 0x7D, 0x5D, 0x7E]);
        assert_eq!(frames(FlagFramer::new(8).push(&flagged(&[0x7E, 1, 0x7D]))), [[0x7E, 1, 0x7D]]);
    }

    #[test]
    fn a_frame_of_the_limit_passes_and_one_byte_more_is_dropped_alone() {
        let mut framer = FlagFramer::new(4);
        assert_eq!(framer.push(&flagged(&[1, 2, 3, 4])), [Framed::Frame(vec![1, 2, 3, 4])]);
        assert_eq!(framer.push(&flagged(&[1, 2, 3, 4, 5, 6])), [Framed::Oversized { head: vec![1, 2, 3, 4] }]);
        assert_eq!(framer.push(&flagged(&[7])), [Framed::Frame(vec![7])]);
        let mut framer = MllpFramer::new(2);
        assert_eq!(framer.push(&mllp(b"ab")), [Framed::Frame(b"ab".to_vec())]);
        assert_eq!(framer.push(&mllp(b"abc")), [Framed::Oversized { head: b"ab".to_vec() }]);
        assert_eq!(framer.push(&mllp(b"d")), [Framed::Frame(b"d".to_vec())]);
    }

    #[test]
    fn a_message_begun_anew_drops_only_its_broken_start() {
        let mut framer = MllpFramer::new(64);
        assert_eq!(framer.push(b"x\x0Bhalf\x0Bwhole\x1C\r"), [Framed::Skipped(1), Framed::Skipped(4), Framed::Frame(b"whole".to_vec())]);
    }

    #[test]
    fn a_sender_that_leaves_out_the_final_return_is_understood() {
        assert_eq!(frames(MllpFramer::new(64).push(b"\x0Bone\x1C\x0Btwo\x1C\r\n")), [b"one", b"two"]);
    }

    #[test]
    fn pure_garbage_is_reported_and_takes_no_memory() {
        let mut framer = MllpFramer::new(16);
        assert_eq!(framer.push(&[b'x'; 40]), [Framed::Skipped(16), Framed::Skipped(16)]);
        assert!(framer.collector.buffer.is_empty());
    }

    proptest! {
        #[test]
        fn where_the_stream_is_cut_changes_nothing(bytes in prop::collection::vec(prop_oneof![Just(0x7Eu8), Just(0x7D), Just(0x0B), Just(0x1C), any::<u8>()], 0..200), cut in 0usize..200) {
            let cut = cut.min(bytes.len());
            let (mut whole, mut parts) = (FlagFramer::new(20), FlagFramer::new(20));
            let found = [parts.push(&bytes[..cut]), parts.push(&bytes[cut..])].concat();
            prop_assert_eq!(whole.push(&bytes), found);
            let (mut whole, mut parts) = (MllpFramer::new(20), MllpFramer::new(20));
            let found = [parts.push(&bytes[..cut]), parts.push(&bytes[cut..])].concat();
            prop_assert_eq!(whole.push(&bytes), found);
        }

        #[test]
        fn after_any_garbage_the_next_frame_is_found(garbage in prop::collection::vec(any::<u8>(), 0..60), content in prop::collection::vec(any::<u8>(), 1..20)) {
            let stream = [garbage.clone(), flagged(&content)].concat();
            prop_assert_eq!(frames(FlagFramer::new(20).push(&stream)).pop(), Some(content.clone()));
            let text: Vec<u8> = content.iter().map(|b| b | 0x40).collect();
            let stream = [garbage, mllp(&text)].concat();
            prop_assert_eq!(frames(MllpFramer::new(20).push(&stream)).pop(), Some(text));
        }
    }
}
