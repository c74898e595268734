//! Proving a store from its bytes: every chain from its root, every payload, every receipt.
//!
//! Trusts nothing the store says about itself. Signatures are checked with the authors' own ids, which are public keys; what a
//! store says besides (hashes, heads, the index of segments) must agree with what the entries give.

use crate::Progress;
use crate::db::{Count, Db, Packed, explain};
use crate::sqlite::SqliteReader;
use crate::tables::{Named, ledger, scopes};
use protocol::store::{Scope, StoreError};
use record::id::{Hash, ReplicaId, ScopeId};
use record::ledger::body::{Body, BodyError};
use record::ledger::entry::{VERSION, sha256};
use record::ledger::receipt::Receipt;
use record::ledger::seal::{self, Place, SealError};
use record::ledger::{ChainId, Head, Header, Kind, identity, set_digest};
use record::series::Segment;
use rusqlite::{Row, params};
use std::collections::BTreeMap;

/// Entries between two calls of the progress function.
const ENTRIES_PER_STEP: u64 = 256;

/// What was found to be so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Chains walked from root to head.
    pub chains: u64,
    /// Entries in them, each with header, hash, payload and the signature behind it checked.
    pub entries: u64,
    /// Bytes of sealed payloads hashed.
    pub payload_bytes: u64,
    /// Payloads that opened and were read.
    pub opened: u64,
    /// Payloads whose scope's key is not here, or came a moment ago: hashed, not opened.
    pub closed: u64,
    /// Payloads known to be unreadable: they are among the dead letters.
    pub dead: u64,
    /// Rows of the index of segments, each with its entry.
    pub segments: u64,
    /// Receipts, each genuine and of the very entries held here.
    pub receipts: u64,
    /// The set digest over all entries; two replicas that print the same hold the same.
    pub digest: Hash,
}

/// The first thing that is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum FirstFault {
    /// In an entry.
    #[error("entry {seq} of {}: {fault}", Named(*chain))]
    Entry {
        /// Its chain: scope, author, run.
        chain: ChainId,
        /// Its place.
        seq: u64,
        /// What.
        fault: EntryFault,
    },
    /// The head on record is not where the entries end.
    #[error("{}: its head is recorded as {recorded} entries, the entries give {found} with another hash or number", Named(*chain))]
    Head {
        /// The chain.
        chain: ChainId,
        /// Entries by the record of the head.
        recorded: u64,
        /// Entries found.
        found: u64,
    },
    /// A peer's receipt.
    #[error("the receipt of {signer}: {why}")]
    Receipt {
        /// The peer.
        signer: ReplicaId,
        /// What is wrong.
        why: String,
    },
    /// The file cannot be read, or a row cannot.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryFault {
    /// There is none at this place, though others follow or the index of segments names it.
    #[error("it is missing")]
    Missing,
    /// The header's bytes are no header of a version known here.
    #[error("its header cannot be read")]
    Header,
    /// The header names another chain or place.
    #[error("its header belongs to another place")]
    Place,
    /// The header does not give the hash it was kept under.
    #[error("its header is not the one that was stored")]
    HeaderHash,
    /// The payload does not have the length and hash its header names.
    #[error("its payload does not match the hash in its header")]
    Payload,
    /// The author has not signed these headers.
    #[error("the author's signature over the entries up to here does not hold")]
    Signature,
    /// The chain ends without a signature.
    #[error("no signature covers it")]
    Unsigned,
    /// The payload does not open with its scope's key.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// The payload opens to content of no known form.
    #[error(transparent)]
    Content(#[from] BodyError),
    /// The payload holds something else than its header says.
    #[error("its payload is of another kind than its header says")]
    Kind,
    /// The index of segments does not list it as it is.
    #[error("the index of segments does not list it as it is")]
    Index,
}

/// Verifies the store. Works beside the program that writes it: each chain is seen as of one moment. `progress` is called
/// with the entries checked so far.
///
/// # Errors
/// The first fault, chains in the order of their ids, entries in theirs, then receipts.
pub fn verify(store: &mut SqliteReader, progress: &mut dyn FnMut(Progress)) -> Result<Report, FirstFault> {
    let mut walk = Walk { store, progress, of: 0, scopes: BTreeMap::new(), heads: Vec::new(), report: Report::empty() };
    let chains = walk.begin()?;
    for chain in chains {
        walk.chain(chain)?;
    }
    walk.receipts()?;
    Ok(Report { digest: set_digest(&walk.heads).all, ..walk.report })
}

struct Walk<'a> {
    store: &'a mut SqliteReader,
    progress: &'a mut dyn FnMut(Progress),
    of: u64,
    scopes: BTreeMap<ScopeId, Scope>,
    heads: Vec<Head>,
    report: Report,
}

/// An entry's row, nothing in it believed.
struct Raw {
    seq: u64,
    header_hash: Hash,
    signature: Option<[u8; 64]>,
    header: Vec<u8>,
    payload: Vec<u8>,
    /// Not among the applied: waiting for a key (false) or known to be unreadable (true).
    unapplied: Option<bool>,
}

impl Walk<'_> {
    /// Reads the keys and lists the chains.
    fn begin(&mut self) -> Result<Vec<ChainId>, StoreError> {
        let db = Db { connection: &self.store.connection, path: &self.store.path };
        self.scopes = scopes::all(db)?.into_iter().map(|scope| (scope.id, scope)).collect();
        let heads = ledger::heads(db)?;
        self.of = heads.iter().map(|head| head.next).sum();
        Ok(heads.into_iter().map(|head| head.chain).collect())
    }

    fn chain(&mut self, chain: ChainId) -> Result<(), FirstFault> {
        let path = &self.store.path;
        let say = |e| explain(e, path, format_args!("{}", Named(chain)));
        let view = self.store.connection.unchecked_transaction().map_err(say)?;
        let db = Db { connection: &view, path };
        let Some((row, recorded)) = ledger::known(db, chain)? else { return Ok(()) };
        let scope = self.scopes.get(&chain.scope);

        let mut at = Head::empty(chain);
        let mut unsigned = false;
        // Rows come one at a time, so that a chain of any length fits in memory.
        let sql = "SELECT e.seq, e.header_hash, e.signature, e.header, e.payload, u.dead \
                   FROM entries e LEFT JOIN unapplied u ON u.arrival = e.arrival WHERE e.chain = ? ORDER BY e.seq";
        let mut statement = view.prepare_cached(sql).map_err(say)?;
        let mut rows = statement.query([row]).map_err(say)?;
        loop {
            let seq = at.next;
            let fault = |fault| FirstFault::Entry { chain, seq, fault };
            let place = |e| FirstFault::from(explain(e, path, format_args!("entry {seq} of {}", Named(chain))));
            let Some(raw) = rows.next().map_err(place)? else { break };
            let raw = Raw::read(raw).map_err(place)?;
            let (header, hash) = raw.check(at).map_err(fault)?;
            at = Head { chain, next: seq.saturating_add(1), hash };
            unsigned = raw.signature.is_none();
            if raw.signature.is_some_and(|s| !identity::verify(chain.author, "head", &hash.0, &s)) {
                return Err(fault(EntryFault::Signature));
            }
            match raw.open(&header, scope).map_err(fault)? {
                Content::Dead => self.report.dead += 1,
                Content::Closed => self.report.closed += 1,
                Content::Segment(segment) if !is_indexed(db, row, &header, &segment)? => return Err(fault(EntryFault::Index)),
                Content::Segment(_) | Content::Other => self.report.opened += 1,
            }
            self.report.entries += 1;
            self.report.payload_bytes += u64::from(header.len);
            if self.report.entries.is_multiple_of(ENTRIES_PER_STEP) {
                (self.progress)(Progress { done: self.report.entries, of: self.of.max(self.report.entries) });
            }
        }
        if unsigned {
            return Err(FirstFault::Entry { chain, seq: at.next.saturating_sub(1), fault: EntryFault::Unsigned });
        }
        if at != recorded {
            return Err(FirstFault::Head { chain, recorded: recorded.next, found: at.next });
        }
        self.report.segments += count_segments(db, row, chain)?;
        self.report.chains += 1;
        self.heads.push(at);
        Ok(())
    }

    fn receipts(&mut self) -> Result<(), FirstFault> {
        let db = Db { connection: &self.store.connection, path: &self.store.path };
        let kept = db.all(format_args!("table receipts"), "SELECT signer, receipt FROM receipts ORDER BY signer", [], |row| {
            let Packed(receipt) = row.get::<_, Packed<Receipt>>(1)?;
            Ok((ReplicaId(row.get(0)?), receipt))
        })?;
        for (signer, receipt) in kept {
            let fault = |why: String| FirstFault::Receipt { signer, why };
            if receipt.signer != signer || !receipt.is_genuine() {
                return Err(fault("its signature does not hold".to_owned()));
            }
            for head in receipt.heads {
                let Some(last) = head.next.checked_sub(1) else { continue };
                // What is not here has been lost by us, say with a restored backup; the peer will send it.
                if ledger::header_hash(db, head.chain, last)?.is_some_and(|held| held != head.hash) {
                    return Err(fault(format!("it is for another entry {last} of {} than is held", Named(head.chain))));
                }
            }
            self.report.receipts += 1;
        }
        Ok(())
    }
}

enum Content {
    Dead,
    Closed,
    Segment(Segment),
    Other,
}

impl Raw {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let Count(seq) = row.get(0)?;
        Ok(Self {
            seq,
            header_hash: Hash(row.get(1)?),
            signature: row.get(2)?,
            header: row.get(3)?,
            payload: row.get(4)?,
            unapplied: row.get(5)?,
        })
    }

    /// Header and payload against the chain up to here; the header and its hash.
    fn check(&self, at: Head) -> Result<(Header, Hash), EntryFault> {
        if self.seq != at.next {
            return Err(EntryFault::Missing);
        }
        let header: Header = postcard::from_bytes(&self.header).map_err(|_| EntryFault::Header)?;
        if header.v != VERSION || header.bytes() != self.header {
            return Err(EntryFault::Header);
        }
        if header.chain() != at.chain || header.seq != at.next {
            return Err(EntryFault::Place);
        }
        let hash = header.hash(at.hash);
        if hash != self.header_hash {
            return Err(EntryFault::HeaderHash);
        }
        if self.payload.len() != header.len as usize || sha256(&[&self.payload]) != header.payload_hash {
            return Err(EntryFault::Payload);
        }
        Ok((header, hash))
    }

    fn open(&self, header: &Header, scope: Option<&Scope>) -> Result<Content, EntryFault> {
        match self.unapplied {
            Some(true) => return Ok(Content::Dead),
            Some(false) => return Ok(Content::Closed),
            None => {}
        }
        let key = scope.and_then(|scope| scope.key.as_ref()).filter(|(id, _)| *id == header.key_id).map(|(_, key)| key);
        if key.is_none() && header.key_id != 0 {
            return Ok(Content::Closed);
        }
        let Header { author, run, scope, seq, kind, .. } = *header;
        let canonical = seal::open(key, &Place { author, run, scope, seq, kind }, &self.payload)?;
        match Body::decode(&canonical) {
            Ok((_, body)) if body.kind() != kind => Err(EntryFault::Kind),
            Ok((_, Body::Segment(segment))) => Ok(Content::Segment(segment)),
            // A kind that a newer version has added is kept and relayed unread.
            Err(_) if kind > Kind::ACKNOWLEDGEMENT => Ok(Content::Other),
            Err(e) => Err(e.into()),
            Ok(_) => Ok(Content::Other),
        }
    }
}

fn is_indexed(db: Db<'_>, chain: i64, header: &Header, segment: &Segment) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM segments WHERE chain = ? AND seq = ? AND scope = ? AND device = ? AND boot = ? AND waves = ? \
               AND start_at = ? AND end_at = ?";
    let waves = header.kind == Kind::WAVES;
    let Segment { device, boot, start, end, .. } = segment;
    let values = params![chain, Count(header.seq), header.scope.0, device.as_str(), boot.0, waves, start.0, end.0];
    let found = db.one(format_args!("segment {} of {}", header.seq, Named(header.chain())), sql, values, |_| Ok(()))?;
    Ok(found.is_some())
}

/// How many segments of a chain the index lists, each with its entry.
fn count_segments(db: Db<'_>, row: i64, chain: ChainId) -> Result<u64, FirstFault> {
    let place = format_args!("segments of {}", Named(chain));
    let sql = "SELECT s.seq FROM segments s LEFT JOIN entries e ON e.chain = s.chain AND e.seq = s.seq \
               WHERE s.chain = ? AND e.arrival IS NULL ORDER BY s.seq LIMIT 1";
    if let Some(Count(seq)) = db.one(place, sql, [row], |row| row.get(0))? {
        return Err(FirstFault::Entry { chain, seq, fault: EntryFault::Missing });
    }
    let counted = db.one(place, "SELECT count(*) FROM segments WHERE chain = ?", [row], |row| row.get(0))?;
    Ok(counted.map_or(0, |Count(rows)| rows))
}

impl Report {
    const fn empty() -> Self {
        Self { chains: 0, entries: 0, payload_bytes: 0, opened: 0, closed: 0, dead: 0, segments: 0, receipts: 0, digest: Hash([0; 32]) }
    }
}
