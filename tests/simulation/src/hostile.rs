//! Somebody with a key of their own and no honesty: sends the hub what no honest replica would.

use crate::dice::Dice;
use crate::node::{Node, NodeId};
use protocol::store::State;
use protocol::wire::{Message, Part};
use record::id::{ReplicaId, RunId, ScopeId};
use record::ledger::body::{Act, Body, Erasure, Membership};
use record::ledger::entry::{Kind, VERSION, sha256};
use record::ledger::seal::{self, Place};
use record::ledger::{ChainId, Head, Header, Hlc, Identity, Stretch};

/// The liar.
pub struct Mallory {
    identity: Option<Identity>,
    sent: u64,
    seed: u64,
}

impl Mallory {
    /// Who lies in the run of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { identity: Identity::from_seed(&[0xee; 32]).ok(), sent: 0, seed }
    }

    /// Their id.
    #[must_use]
    pub fn id(&self) -> ReplicaId {
        self.identity.as_ref().map_or(ReplicaId([0; 32]), Identity::replica)
    }

    /// Makes something up, out of what a victim holds; gives what it is.
    pub fn lie(&mut self, fate: &mut Dice, nodes: &mut [Node], victim: NodeId, at: u64) -> Option<(&'static str, Message)> {
        self.sent += 1;
        let wanted = nodes.first_mut()?.disk.read(|tx| tx.in_state(State::Wanted, None, 100)).ok()?;
        if let Some(entry) = fate.pick(&wanted).filter(|_| self.sent.is_multiple_of(2)) {
            let (chain, seq) = (entry.header.chain(), entry.header.seq);
            let part = Part { chain, seq, offset: 0, bytes: vec![0x5a; entry.header.len as usize] };
            return Some(("other bytes for a payload that is wanted", Message { parts: vec![part], ..Message::default() }));
        }
        let theirs = nodes.get(victim)?.id();
        let disk = &mut nodes.get_mut(victim)?.disk;
        let chains = disk.read(|tx| tx.chains()).ok()?;
        let of_victim: Vec<_> = chains.into_iter().filter(|c| c.head.chain.author == theirs && c.head.next > 0).collect();
        let head = fate.pick(&of_victim)?.head;
        let chain = head.chain;
        let key = disk.read(|tx| tx.scope(chain.scope)).ok()?.and_then(|s| s.key);
        // The newest, which the hub may not have heard of yet; or the first.
        let from = if fate.chance(70) { head.next.saturating_sub(1) } else { 0 };
        let mut stretch = disk.read(|tx| tx.stretches(chain, from, 1)).ok()?.into_iter().next()?;
        for (header, payload) in stretch.headers.iter().zip(&mut stretch.payloads) {
            *payload = disk.read(|tx| tx.entry(chain, header.seq)).ok()?.map(|e| e.payload)?;
        }
        let run = RunId(self.sent.to_be_bytes());
        let hlc = Hlc { trusted: true, wall_ms: 1_800_000_000_000 + at / 1000, counter: 0 };
        let own = ChainId { scope: chain.scope, author: self.id(), run };
        let identity = self.identity.as_ref()?;
        let (what, stretch) = match fate.below(8) {
            0 => {
                stretch.signature[3] ^= 1;
                ("a wrong signature", stretch)
            }
            1 => {
                *stretch.payloads.last_mut()?.first_mut()? ^= 1;
                ("another payload than its header names", stretch)
            }
            2 => {
                let last = stretch.headers.last_mut()?;
                last.hlc.wall_ms += 1;
                ("a header its author has not signed", stretch)
            }
            3 => {
                // In the victim's name, with the liar's signature.
                let chain = ChainId { run, ..chain };
                (
                    "entries in another's name",
                    signed(
                        identity,
                        chain,
                        vec![(Kind::ERASURE, 0, Body::Erasure(Erasure::Ordered { members: Vec::new() }).encode(&Act::system()))],
                        hlc,
                    ),
                )
            }
            4 => {
                let body = Body::Erasure(Erasure::Ordered { members: Vec::new() });
                let sealed = seal::seal(None, &place(own, 0, body.kind()), &body.encode(&Act::system())).ok()?;
                ("an erasure of another's scope", signed(identity, own, vec![(body.kind(), 0, sealed)], hlc))
            }
            5 => {
                let body = Body::Membership(Membership::Ends { replica: theirs, granted: hlc });
                let (id, key) = key?;
                let sealed = seal::seal(Some(&key), &place(own, 0, body.kind()), &body.encode(&Act::system())).ok()?;
                ("an end of another's membership", signed(identity, own, vec![(body.kind(), id, sealed)], hlc))
            }
            6 => {
                let scope = ScopeId::begun_by(self.id(), self.seed.to_be_bytes());
                (
                    "unreadable payloads",
                    signed(identity, ChainId { scope, ..own }, vec![(Kind::GRANT, 0, vec![7; 40]), (Kind::DOCUMENTS, 0, vec![9; 40])], hlc),
                )
            }
            _ => {
                let scope = ScopeId::begun_by(self.id(), self.seed.to_le_bytes());
                ("a kind nobody knows", signed(identity, ChainId { scope, ..own }, vec![(Kind(999), 0, vec![1, 2, 3])], hlc))
            }
        };
        Some((what, Message { stretches: vec![stretch], ..Message::default() }))
    }
}

fn place(chain: ChainId, seq: u64, kind: Kind) -> Place {
    Place { author: chain.author, run: chain.run, scope: chain.scope, seq, kind }
}

fn signed(identity: &Identity, chain: ChainId, payloads: Vec<(Kind, u32, Vec<u8>)>, hlc: Hlc) -> Stretch {
    let mut head = Head::empty(chain);
    let mut stretch = Stretch { headers: Vec::new(), payloads: Vec::new(), signature: [0; 64] };
    for (kind, key_id, payload) in payloads {
        let header = Header {
            v: VERSION,
            author: chain.author,
            run: chain.run,
            scope: chain.scope,
            seq: head.next,
            key_id,
            kind,
            hlc,
            group: None,
            payload_hash: sha256(&[&payload]),
            len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
        };
        head = Head { chain, next: head.next + 1, hash: header.hash(head.hash) };
        stretch.headers.push(header);
        stretch.payloads.push(payload);
    }
    stretch.signature = identity.sign_head(head.hash);
    stretch
}
