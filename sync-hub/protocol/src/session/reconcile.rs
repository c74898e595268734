//! Range reconciliation: finding the chains in which two replicas differ in a number of messages that grows with the logarithm
//! of how many chains there are.
//!
//! The chains, in order, are cut into ranges. Of each a digest is sent; where it differs the range is cut finer, down to a few
//! heads that are sent as they are. A head stands for all entries of its chain.

use crate::store::StoreError;
use crate::wire::{Range, Says};
use record::id::Hash;
use record::ledger::entry::sha256;
use record::ledger::{ChainId, Head};

/// Pieces a range is cut into.
const PIECES: usize = 16;
/// Ranges of up to so many heads are told head by head.
const FEW: usize = 16;
/// Most ranges looked at in one message.
pub const RANGES_MAX: usize = 4096;

/// What comes of a peer's ranges.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    /// What to answer.
    pub ranges: Vec<Range>,
    /// Chains of which the peer lacks entries, and from where.
    pub lacks: Vec<(ChainId, u64)>,
    /// Chains of which both hold other entries at the same place.
    pub contradicts: Vec<ChainId>,
}

/// The first word: everything, cut once.
pub fn begin(heads: &[Head]) -> Vec<Range> {
    let mut ranges = Vec::new();
    cut(heads, None, &mut ranges);
    ranges
}

/// Answers a peer's ranges. `hash_at` gives the hash of our header at a place. `heads` ascend.
///
/// # Errors
/// Those of `hash_at`.
pub fn respond(
    heads: &[Head],
    theirs: &[Range],
    hash_at: &mut dyn FnMut(ChainId, u64) -> Result<Option<Hash>, StoreError>,
) -> Result<Found, StoreError> {
    let mut found = Found::default();
    let mut rest = heads;
    for range in theirs.iter().take(RANGES_MAX) {
        let end = range.upto.map_or(rest.len(), |upto| rest.partition_point(|head| head.chain < upto));
        let (within, after) = rest.split_at(end);
        rest = after;
        match &range.says {
            Says::Same => found.ranges.push(Range { upto: range.upto, says: Says::Same }),
            Says::Digest(digest) if *digest == digest_of(within) => found.ranges.push(Range { upto: range.upto, says: Says::Same }),
            Says::Digest(_) => cut(within, range.upto, &mut found.ranges),
            Says::Heads { heads: theirs, answer } => {
                compare(within, theirs, hash_at, &mut found)?;
                let says = if *answer { Says::Same } else { told(within, true) };
                found.ranges.push(Range { upto: range.upto, says });
            }
        }
    }
    // Neighbouring ranges of which nothing is left to say are one.
    found.ranges.dedup_by(|later, earlier| {
        let both = later.says == Says::Same && earlier.says == Says::Same;
        if both {
            earlier.upto = later.upto;
        }
        both
    });
    Ok(found)
}

fn compare(
    ours: &[Head],
    theirs: &[(ChainId, u64, Hash)],
    hash_at: &mut dyn FnMut(ChainId, u64) -> Result<Option<Hash>, StoreError>,
    found: &mut Found,
) -> Result<(), StoreError> {
    for our in ours {
        let their = theirs.iter().find(|(chain, ..)| *chain == our.chain);
        let (next, hash) = their.map_or((0, our.chain.root()), |(_, next, hash)| (*next, *hash));
        if next > our.next {
            continue;
        }
        let held = match next.checked_sub(1) {
            None => Some(our.chain.root()),
            Some(_) if next == our.next => Some(our.hash),
            Some(last) => hash_at(our.chain, last)?,
        };
        if held != Some(hash) {
            found.contradicts.push(our.chain);
        } else if next < our.next {
            found.lacks.push((our.chain, next));
        }
    }
    Ok(())
}

fn cut(heads: &[Head], upto: Option<ChainId>, into: &mut Vec<Range>) {
    if heads.len() <= FEW {
        into.push(Range { upto, says: told(heads, false) });
        return;
    }
    let size = heads.len().div_ceil(PIECES);
    let mut pieces = heads.chunks(size).peekable();
    while let Some(piece) = pieces.next() {
        let upto = pieces.peek().and_then(|next| next.first()).map_or(upto, |next| Some(next.chain));
        into.push(Range { upto, says: Says::Digest(digest_of(piece)) });
    }
}

fn told(heads: &[Head], answer: bool) -> Says {
    Says::Heads { heads: heads.iter().map(|h| (h.chain, h.next, h.hash)).collect(), answer }
}

fn digest_of(heads: &[Head]) -> [u8; 16] {
    let mut bytes = Vec::with_capacity(heads.len() * 96);
    for head in heads {
        bytes.extend_from_slice(&head.chain.scope.0);
        bytes.extend_from_slice(&head.chain.author.0);
        bytes.extend_from_slice(&head.chain.run.0);
        bytes.extend_from_slice(&head.next.to_be_bytes());
        bytes.extend_from_slice(&head.hash.0);
    }
    let hash = sha256(&[b"lamplight/range/1", &bytes]);
    let mut digest = [0; 16];
    digest.copy_from_slice(&hash.0[..16]);
    digest
}
