//! A ledger bundle: messages in a file, for a site that no line reaches. Sealed for its receiver, signed by its sender.
//!
//! ```text
//! "LAMPBDL" version      8 bytes
//! length                 2 bytes, big-endian; of the envelope
//! envelope               postcard: from, to, made, a fresh key wrapped for `to`
//! frames                 4 bytes: length, with the top bit set on the last; then one message, AES-256-GCM under that key
//! signature              64 bytes: the sender's, over the chained hash of all before it
//! ```
//!
//! Always: a reader is told how many bytes come next, never more than a frame; nothing is said to be whole before the last
//! frame, its signature and the end of the file have been seen. Whoever finds the file learns from, to, when and how much.
//! Never here: files ([`Opener`] takes bytes), what the messages mean ([`crate::session`]).

use crate::wire::{self, Message, WireError};
use record::id::{Hash, ReplicaId};
use record::ledger::entry::sha256;
use record::ledger::envelope::{self, EnvelopeError, FrameKey, TAG_BYTES, Wrapped};
use record::ledger::identity::{self, Identity};
use record::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Version of the format.
pub const VERSION: u8 = 1;
/// Largest frame, bytes: what a reader must hold at once.
pub const FRAME_LIMIT: usize = 4 << 20;
/// Most frames of one bundle: 4 TiB.
pub const FRAMES_MAX: u32 = 1 << 20;

const MAGIC: [u8; 8] = [b'L', b'A', b'M', b'P', b'B', b'D', b'L', VERSION];
const ENVELOPE_MAX: usize = 1024;
const LAST: u32 = 1 << 31;
const SIGNATURE_BYTES: usize = 64;
const PURPOSE: &str = "bundle";

/// What stands on the outside.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// Who made it.
    pub from: ReplicaId,
    /// For whom.
    pub to: ReplicaId,
    /// When, by the maker's clock.
    pub made: Timestamp,
    key: Wrapped,
}

/// Why a bundle cannot be made or is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Some other file.
    #[error("this is no Lamplight bundle")]
    Foreign,
    /// Of another version.
    #[error("the bundle is of version {0}; version {VERSION} is read here")]
    Version(u8),
    /// For somebody else.
    #[error("the bundle is for replica {0}, not for this one")]
    OtherReceiver(ReplicaId),
    /// It ends too early.
    #[error("the bundle is cut off: it ends within {0}")]
    CutOff(&'static str),
    /// Altered on the way.
    #[error("the bundle is damaged or was altered: {0}")]
    Damaged(String),
    /// Signed by another than it says.
    #[error("the bundle is not signed by {0}, from whom it says it is")]
    Signature(ReplicaId),
    /// More than one may hold.
    #[error("the bundle is past the limit of {FRAMES_MAX} frames")]
    TooLarge,
}

impl From<EnvelopeError> for BundleError {
    fn from(error: EnvelopeError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<WireError> for BundleError {
    fn from(error: WireError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Makes a bundle, piece by piece; the pieces in order are the file.
pub struct Sealer {
    from: ReplicaId,
    to: ReplicaId,
    key: FrameKey,
    number: u32,
    hash: Hash,
}

impl Sealer {
    /// Begins a bundle; gives its first bytes. `entropy` must be fresh: it makes the keys.
    ///
    /// # Errors
    /// A public key that is none.
    pub fn begin(
        from: ReplicaId,
        to: ReplicaId,
        seal_public: &[u8; 32],
        made: Timestamp,
        entropy: &mut dyn crate::Entropy,
    ) -> Result<(Self, Vec<u8>), BundleError> {
        let key: [u8; 32] = crate::entropy::bytes(entropy);
        let wrapped = envelope::wrap(&key, to, seal_public, &info(from, to, made), crate::entropy::bytes(entropy))?;
        let envelope = postcard::to_stdvec(&Envelope { from, to, made, key: wrapped }).map_err(|e| BundleError::Damaged(e.to_string()))?;
        let len = u16::try_from(envelope.len()).map_err(|_| BundleError::TooLarge)?;
        let start = [MAGIC.as_slice(), &len.to_be_bytes(), &envelope].concat();
        let hash = sha256(&[b"lamplight/bundle/1", &start]);
        Ok((Self { from, to, key: FrameKey::new(&key)?, number: 0, hash }, start))
    }

    /// The next frame.
    ///
    /// # Errors
    /// A message past [`FRAME_LIMIT`], or one too many.
    pub fn frame(&mut self, message: &Message) -> Result<Vec<u8>, BundleError> {
        self.seal(message, false)
    }

    /// The last frame, and the signature: the end of the file.
    ///
    /// # Errors
    /// As [`Sealer::frame`].
    pub fn end(mut self, identity: &Identity, message: &Message) -> Result<Vec<u8>, BundleError> {
        let mut bytes = self.seal(message, true)?;
        bytes.extend_from_slice(&identity.sign(PURPOSE, &self.hash.0));
        Ok(bytes)
    }

    fn seal(&mut self, message: &Message, last: bool) -> Result<Vec<u8>, BundleError> {
        let mut frame = wire::encode(message, self.from, self.to);
        if frame.len() > FRAME_LIMIT || self.number >= FRAMES_MAX {
            return Err(BundleError::TooLarge);
        }
        self.key.seal(self.number, last, &mut frame)?;
        self.number += 1;
        let len = u32::try_from(frame.len()).map_err(|_| BundleError::TooLarge)? | if last { LAST } else { 0 };
        let bytes = [len.to_be_bytes().as_slice(), &frame].concat();
        self.hash = sha256(&[&self.hash.0, &bytes]);
        Ok(bytes)
    }
}

/// What a piece of a bundle held.
#[derive(Clone, PartialEq, Debug)]
pub enum Opened {
    /// Nothing yet.
    Nothing,
    /// The outside: whoever reads decides here whether the sender is welcome.
    Envelope(Envelope),
    /// A message.
    Message(Box<Message>),
    /// The signature holds: all of it was as its sender made it. Nothing may follow.
    Whole,
}

enum Next {
    Start,
    Envelope(usize),
    Length,
    Frame { len: usize, last: bool },
    Signature,
    End,
}

/// Reads a bundle: give it [`Opener::needs`] bytes at a time.
pub struct Opener {
    next: Next,
    hash: Hash,
    /// The bytes that the frame's hash begins with: start, or length.
    head: Vec<u8>,
    inside: Option<(Envelope, FrameKey)>,
    number: u32,
}

impl Default for Opener {
    fn default() -> Self {
        Self { next: Next::Start, hash: Hash::default(), head: Vec::new(), inside: None, number: 0 }
    }
}

impl Opener {
    /// How many bytes come next; zero: none, and the file must end here.
    #[must_use]
    pub const fn needs(&self) -> usize {
        match self.next {
            Next::Start => MAGIC.len() + 2,
            Next::Envelope(len) | Next::Frame { len, .. } => len,
            Next::Length => 4,
            Next::Signature => SIGNATURE_BYTES,
            Next::End => 0,
        }
    }

    /// Takes the next bytes, which may be fewer only where the file ends.
    ///
    /// # Errors
    /// [`BundleError`]; the bundle is not to be read on.
    pub fn take(&mut self, identity: &Identity, mut bytes: Vec<u8>) -> Result<Opened, BundleError> {
        let whole = bytes.len() == self.needs();
        match self.next {
            Next::Start => self.start(bytes, whole),
            Next::Envelope(_) if !whole => Err(BundleError::CutOff("its envelope")),
            Next::Envelope(_) => self.envelope(identity, &bytes),
            Next::Length | Next::Frame { .. } if !whole => Err(BundleError::CutOff("its frames")),
            Next::Length => self.length(bytes),
            Next::Frame { last, .. } => self.frame(&mut bytes, last),
            Next::Signature if !whole => Err(BundleError::CutOff("its signature")),
            Next::Signature => {
                let Some((envelope, _)) = &self.inside else { return Err(BundleError::Foreign) };
                if !identity::verify(envelope.from, PURPOSE, &self.hash.0, &bytes) {
                    return Err(BundleError::Signature(envelope.from));
                }
                self.next = Next::End;
                Ok(Opened::Whole)
            }
            Next::End => Err(BundleError::Damaged("bytes follow its end".to_owned())),
        }
    }

    fn start(&mut self, bytes: Vec<u8>, whole: bool) -> Result<Opened, BundleError> {
        let Some((magic, len)) = bytes.split_first_chunk::<8>().filter(|(magic, _)| magic[..7] == MAGIC[..7]) else {
            return Err(BundleError::Foreign);
        };
        if magic[7] != VERSION {
            return Err(BundleError::Version(magic[7]));
        }
        let Some(len) = len.first_chunk::<2>().filter(|_| whole) else { return Err(BundleError::CutOff("its envelope")) };
        let len = usize::from(u16::from_be_bytes(*len));
        if len == 0 || len > ENVELOPE_MAX {
            return Err(BundleError::Damaged(format!("an envelope of {len} bytes")));
        }
        self.next = Next::Envelope(len);
        self.head = bytes;
        Ok(Opened::Nothing)
    }

    fn envelope(&mut self, identity: &Identity, bytes: &[u8]) -> Result<Opened, BundleError> {
        let Ok((envelope, [])) = postcard::take_from_bytes::<Envelope>(bytes) else {
            return Err(BundleError::Damaged("its envelope cannot be read".to_owned()));
        };
        if envelope.to != identity.replica() {
            return Err(BundleError::OtherReceiver(envelope.to));
        }
        let key = envelope::unwrap(&envelope.key, &info(envelope.from, envelope.to, envelope.made), identity)?;
        self.hash = sha256(&[b"lamplight/bundle/1", &self.head, bytes]);
        self.inside = Some((envelope.clone(), FrameKey::new(&key)?));
        self.next = Next::Length;
        Ok(Opened::Envelope(envelope))
    }

    fn length(&mut self, bytes: Vec<u8>) -> Result<Opened, BundleError> {
        let stated = bytes.first_chunk::<4>().map_or(0, |four| u32::from_be_bytes(*four));
        let (len, last) = ((stated & !LAST) as usize, stated & LAST != 0);
        if !(TAG_BYTES..=FRAME_LIMIT + TAG_BYTES).contains(&len) {
            return Err(BundleError::Damaged(format!("frame {} of {len} bytes", self.number)));
        }
        if self.number >= FRAMES_MAX {
            return Err(BundleError::TooLarge);
        }
        self.next = Next::Frame { len, last };
        self.head = bytes;
        Ok(Opened::Nothing)
    }

    fn frame(&mut self, bytes: &mut [u8], last: bool) -> Result<Opened, BundleError> {
        let Some((envelope, key)) = &self.inside else { return Err(BundleError::Foreign) };
        self.hash = sha256(&[&self.hash.0, &self.head, bytes]);
        let content = key.open(self.number, last, bytes).map_err(|why| BundleError::Damaged(format!("frame {}: {why}", self.number)))?;
        let message = wire::decode(content, envelope.from, envelope.to)?;
        self.number += 1;
        self.next = if last { Next::Signature } else { Next::Length };
        Ok(Opened::Message(Box::new(message)))
    }
}

fn info(from: ReplicaId, to: ReplicaId, made: Timestamp) -> Vec<u8> {
    [b"lamplight/bundle/1".as_slice(), &from.0, &to.0, &made.0.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Counting;

    const MADE: Timestamp = Timestamp(1_795_000_000_000_000);

    fn ends() -> [Identity; 3] {
        [1, 2, 3].map(|seed| Identity::from_seed(&[seed; 32]).expect("identity"))
    }

    fn sealed(from: &Identity, to: &Identity) -> Vec<u8> {
        let mut entropy = Counting(7);
        let (mut sealer, mut file) = Sealer::begin(from.replica(), to.replica(), &to.seal_public(), MADE, &mut entropy).expect("begun");
        let message = |at| Message { reached: at, ..Message::default() };
        file.extend(sealer.frame(&message(1)).expect("frame"));
        file.extend(sealer.end(from, &message(2)).expect("end"));
        file
    }

    fn open(identity: &Identity, mut file: &[u8]) -> Result<Vec<Opened>, BundleError> {
        let (mut opener, mut all) = (Opener::default(), Vec::new());
        loop {
            let (piece, rest) = file.split_at(opener.needs().min(file.len()));
            file = rest;
            if opener.needs() == 0 && file.is_empty() {
                return Ok(all);
            }
            let piece = if opener.needs() == 0 { std::mem::take(&mut file) } else { piece };
            all.push(opener.take(identity, piece.to_vec())?);
        }
    }

    #[test]
    fn what_was_sealed_is_what_its_receiver_opens() {
        let [from, to, other] = ends();
        let file = sealed(&from, &to);
        let opened = open(&to, &file).expect("opens");
        let reached: Vec<u64> = opened.iter().filter_map(|o| if let Opened::Message(m) = o { Some(m.reached) } else { None }).collect();
        assert_eq!(reached, [1, 2]);
        assert_eq!(opened.last(), Some(&Opened::Whole));
        assert_eq!(open(&other, &file), Err(BundleError::OtherReceiver(to.replica())));
    }

    #[test]
    fn a_bundle_cut_off_anywhere_or_with_any_byte_altered_is_refused() {
        let [from, to, _] = ends();
        let file = sealed(&from, &to);
        for cut in 0..file.len() {
            let refused = open(&to, &file[..cut]).expect_err("cut off");
            assert!(matches!(refused, BundleError::CutOff(_) | BundleError::Foreign), "{cut}: {refused}");
        }
        for at in 0..file.len() {
            let mut altered = file.clone();
            altered[at] ^= 1;
            assert!(open(&to, &altered).is_err(), "byte {at}");
        }
        let longer = [file.as_slice(), &[0]].concat();
        assert_eq!(open(&to, &longer), Err(BundleError::Damaged("bytes follow its end".to_owned())));
    }

    #[test]
    fn a_bundle_signed_by_another_than_it_says_is_refused() {
        let [from, to, other] = ends();
        let (sealer, mut file) = Sealer::begin(from.replica(), to.replica(), &to.seal_public(), MADE, &mut Counting(7)).expect("begun");
        file.extend(sealer.end(&other, &Message::default()).expect("end"));
        assert_eq!(open(&to, &file), Err(BundleError::Signature(from.replica())));
    }

    #[test]
    fn a_stated_length_past_the_limit_is_refused_before_anything_is_read() {
        let [from, to, _] = ends();
        let (_, mut file) = Sealer::begin(from.replica(), to.replica(), &to.seal_public(), MADE, &mut Counting(7)).expect("begun");
        file.extend(0x7fff_ffff_u32.to_be_bytes());
        assert!(matches!(open(&to, &file), Err(BundleError::Damaged(why)) if why.contains("2147483647")));
    }

    /// Breaking what a stick in somebody's pocket holds takes a deliberate edit here.
    #[test]
    fn the_bytes_of_a_bundle_stay_what_they_are() {
        let [from, to, _] = ends();
        let file = sealed(&from, &to);
        insta::assert_snapshot!(format!("{} bytes, sha-256 {}", file.len(), sha256(&[&file])));
    }
}
