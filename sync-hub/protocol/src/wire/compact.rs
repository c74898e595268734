//! A message as its bytes lay it out.

use super::{LogId, Message, Opening, Part, Position, Range, Refused, Says, Want};
use record::id::{GroupId, Hash, ReplicaId, RunId, ScopeId};
use record::ledger::entry::{VERSION, sha256};
use record::ledger::receipt::{Held, Receipt, ReceiptId};
use record::ledger::{ChainId, Header, Hlc, Kind, Stretch};
use record::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Who a message is between.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    pub sender: ReplicaId,
    pub receiver: ReplicaId,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Compact<'a> {
    digest: Hash,
    log: LogId,
    from: u64,
    reached: u64,
    more: bool,
    taken: Position,
    #[serde(borrow)]
    stretches: Vec<Run<'a>>,
    /// By chain: place and first byte.
    wants: Vec<(Chain, Vec<(u64, u64)>)>,
    #[serde(borrow)]
    parts: Vec<Parts<'a>>,
    absent: Vec<(Chain, Vec<u64>)>,
    ranges: Vec<(Option<Chain>, Spoken)>,
    receipt: Option<Signed>,
    cites: ReceiptId,
    refused: Vec<(Chain, u64, String)>,
    opening: Option<Opening>,
}

/// Pieces of payloads of one chain: place, first byte, bytes.
#[derive(Serialize, Deserialize)]
struct Parts<'a> {
    chain: Chain,
    #[serde(borrow)]
    pieces: Vec<(u64, u64, &'a [u8])>,
}

/// A chain; most authors are one of the two ends.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Chain {
    scope: ScopeId,
    author: Who,
    run: RunId,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Who {
    Sender,
    Receiver,
    Other(ReplicaId),
}

#[derive(Serialize, Deserialize)]
struct Run<'a> {
    chain: Chain,
    first: u64,
    #[serde(borrow)]
    rows: Vec<Row<'a>>,
    signature: ([u8; 32], [u8; 32]),
}

#[derive(Serialize, Deserialize)]
struct Row<'a> {
    kind: Kind,
    key_id: u32,
    hlc: Hlc,
    group: Option<GroupId>,
    #[serde(borrow)]
    payload: Payload<'a>,
}

#[derive(Serialize, Deserialize)]
enum Payload<'a> {
    /// Comes along: its hash and length follow from it.
    Here(#[serde(borrow)] &'a [u8]),
    /// Named only.
    Named(Hash, u32),
}

#[derive(Serialize, Deserialize)]
enum Spoken {
    Same,
    Digest([u8; 16]),
    Heads(Vec<(Chain, u64, Hash)>, bool),
}

/// How far a chain is held, and the ranges before that which are not.
type HeldChain = (Chain, u64, Vec<(u64, u64)>);

/// A receipt; its signer, receiver and digest are the message's own.
#[derive(Serialize, Deserialize)]
struct Signed {
    at: Timestamp,
    since: ReceiptId,
    held: Vec<HeldChain>,
    signature: ([u8; 32], [u8; 32]),
}

impl Ends {
    fn compact(self, chain: ChainId) -> Chain {
        let author = match chain.author {
            author if author == self.sender => Who::Sender,
            author if author == self.receiver => Who::Receiver,
            author => Who::Other(author),
        };
        Chain { scope: chain.scope, author, run: chain.run }
    }

    fn chain(self, chain: Chain) -> ChainId {
        let author = match chain.author {
            Who::Sender => self.sender,
            Who::Receiver => self.receiver,
            Who::Other(author) => author,
        };
        ChainId { scope: chain.scope, author, run: chain.run }
    }
}

fn halves(signature: &[u8; 64]) -> ([u8; 32], [u8; 32]) {
    let (mut a, mut b) = ([0; 32], [0; 32]);
    a.copy_from_slice(&signature[..32]);
    b.copy_from_slice(&signature[32..]);
    (a, b)
}

fn whole((a, b): ([u8; 32], [u8; 32])) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&a);
    signature[32..].copy_from_slice(&b);
    signature
}

/// Consecutive items of one chain under that chain.
fn grouped<T>(items: impl Iterator<Item = (Chain, T)>) -> Vec<(Chain, Vec<T>)> {
    let mut groups: Vec<(Chain, Vec<T>)> = Vec::new();
    for (chain, item) in items {
        match groups.last_mut() {
            Some((last, items)) if *last == chain => items.push(item),
            _ => groups.push((chain, vec![item])),
        }
    }
    groups
}

impl<'a> Compact<'a> {
    pub fn of(message: &'a Message, ends: Ends) -> Self {
        let stretches = message.stretches.iter().filter_map(|stretch| Run::of(stretch, ends)).collect();
        let parts = grouped(message.parts.iter().map(|p| (ends.compact(p.chain), (p.seq, p.offset, p.bytes.as_slice()))));
        Self {
            digest: message.digest,
            log: message.log,
            from: message.from,
            reached: message.reached,
            more: message.more,
            taken: message.taken,
            stretches,
            wants: grouped(message.wants.iter().map(|w| (ends.compact(w.chain), (w.seq, w.offset)))),
            parts: parts.into_iter().map(|(chain, pieces)| Parts { chain, pieces }).collect(),
            absent: grouped(message.absent.iter().map(|(chain, seq)| (ends.compact(*chain), *seq))),
            ranges: message.ranges.iter().map(|r| (r.upto.map(|c| ends.compact(c)), Spoken::of(&r.says, ends))).collect(),
            receipt: message.receipt.as_ref().map(|receipt| Signed {
                at: receipt.at,
                since: receipt.since,
                held: receipt.held.iter().map(|h| (ends.compact(h.chain), h.next, h.gaps.clone())).collect(),
                signature: halves(&receipt.signature),
            }),
            cites: message.cites,
            refused: message.refused.iter().map(|r| (ends.compact(r.chain), r.seq, r.reason.clone())).collect(),
            opening: message.opening.clone(),
        }
    }

    /// The message; none if its numbers cannot be.
    pub fn message(self, ends: Ends) -> Option<Message> {
        let mut parts = Vec::new();
        for group in self.parts {
            let chain = ends.chain(group.chain);
            let pieces = group.pieces.into_iter();
            parts.extend(pieces.map(|(seq, offset, bytes)| Part { chain, seq, offset, bytes: bytes.to_vec() }));
        }
        let wants = self.wants.into_iter().flat_map(|(chain, items)| {
            let chain = ends.chain(chain);
            items.into_iter().map(move |(seq, offset)| Want { chain, seq, offset })
        });
        let absent = self.absent.into_iter().flat_map(|(chain, seqs)| {
            let chain = ends.chain(chain);
            seqs.into_iter().map(move |seq| (chain, seq))
        });
        let refused = self.refused.into_iter().map(|(chain, seq, reason)| Refused { chain: ends.chain(chain), seq, reason });
        let (digest, signer, to) = (self.digest, ends.sender, ends.receiver);
        let receipt = self.receipt.map(|signed| Receipt {
            signer,
            to,
            at: signed.at,
            since: signed.since,
            held: signed.held.into_iter().map(|(chain, next, gaps)| Held { chain: ends.chain(chain), next, gaps }).collect(),
            digest,
            signature: whole(signed.signature),
        });
        Some(Message {
            digest,
            log: self.log,
            from: self.from,
            reached: self.reached,
            more: self.more,
            taken: self.taken,
            stretches: self.stretches.into_iter().map(|run| run.stretch(ends)).collect::<Option<_>>()?,
            wants: wants.collect(),
            parts,
            absent: absent.collect(),
            ranges: self
                .ranges
                .into_iter()
                .map(|(upto, says)| Range { upto: upto.map(|c| ends.chain(c)), says: says.says(ends) })
                .collect(),
            receipt,
            cites: self.cites,
            refused: refused.collect(),
            opening: self.opening,
        })
    }
}

impl<'a> Run<'a> {
    fn of(stretch: &'a Stretch, ends: Ends) -> Option<Self> {
        let row = |(header, payload): (&Header, &'a Vec<u8>)| Row {
            kind: header.kind,
            key_id: header.key_id,
            hlc: header.hlc,
            group: header.group,
            payload: if payload.is_empty() { Payload::Named(header.payload_hash, header.len) } else { Payload::Here(payload) },
        };
        Some(Self {
            chain: ends.compact(stretch.chain()?),
            first: stretch.headers.first()?.seq,
            rows: stretch.headers.iter().zip(&stretch.payloads).map(row).collect(),
            signature: halves(&stretch.signature),
        })
    }

    fn stretch(self, ends: Ends) -> Option<Stretch> {
        let ChainId { scope, author, run } = ends.chain(self.chain);
        let (mut headers, mut payloads) = (Vec::new(), Vec::new());
        for (index, row) in self.rows.into_iter().enumerate() {
            let (payload, payload_hash, len) = match row.payload {
                Payload::Here(bytes) => (bytes.to_vec(), sha256(&[bytes]), u32::try_from(bytes.len()).ok()?),
                Payload::Named(hash, len) => (Vec::new(), hash, len),
            };
            let seq = self.first.checked_add(index as u64)?;
            let Row { kind, key_id, hlc, group, .. } = row;
            headers.push(Header { v: VERSION, author, run, scope, seq, key_id, kind, hlc, group, payload_hash, len });
            payloads.push(payload);
        }
        Some(Stretch { headers, payloads, signature: whole(self.signature) })
    }
}

impl Spoken {
    fn of(says: &Says, ends: Ends) -> Self {
        match says {
            Says::Same => Self::Same,
            Says::Digest(digest) => Self::Digest(*digest),
            Says::Heads { heads, answer } => {
                Self::Heads(heads.iter().map(|(chain, next, hash)| (ends.compact(*chain), *next, *hash)).collect(), *answer)
            }
        }
    }

    fn says(self, ends: Ends) -> Says {
        match self {
            Self::Same => Says::Same,
            Self::Digest(digest) => Says::Digest(digest),
            Self::Heads(heads, answer) => {
                Says::Heads { heads: heads.into_iter().map(|(chain, next, hash)| (ends.chain(chain), next, hash)).collect(), answer }
            }
        }
    }
}
