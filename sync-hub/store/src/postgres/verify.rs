//! Proving a record from its bytes, as `edge-store` does for a file: every chain from its root, every payload, view, receipt and tick.
//!
//! All of it in one transaction, and so as of one moment, beside the hub that writes. The server answers for its own pages; what
//! stands in them is trusted no more here than there.

use super::Postgres;
use super::db::{Count, Db, Fixed, Packed, Word, clean};
use super::link::{Link, Role};
use super::tables::{Named, chain_id, documents, peers, scopes, series};
use super::{accounts, fleet};
use postgres::Row;
use protocol::evidence::{self, Content, EntryFault, Row as Kept};
use protocol::store::{Mask, Scope, StoreError};
use record::id::{Hash, ReplicaId, ScopeId};
use record::ledger::receipt::Receipt;
use record::ledger::{ChainId, Head, Header, identity, set_digest};
use record::series::{Boot, Segment, decode_tick};
use record::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Entries read at a time, with their payloads.
const ENTRIES: i64 = 64;
/// Documents read at a time.
const DOCUMENTS: i64 = 256;

/// What was found to be so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PostgresReport {
    /// Chains walked from root to head.
    pub chains: u64,
    /// Entries in them, each with header, hash and the signature behind it checked, and its payload where that is here.
    pub entries: u64,
    /// Bytes of sealed payloads hashed.
    pub payload_bytes: u64,
    /// Payloads that opened and were read; segments to their last sample.
    pub opened: u64,
    /// Payloads whose scope's key is not here: hashed, not opened.
    pub closed: u64,
    /// Payloads known to be unreadable: they are among the dead letters.
    pub dead: u64,
    /// Entries whose payload is not here, and is not said to be.
    pub absent: u64,
    /// Rows of the index of segments, each with its entry.
    pub segments: u64,
    /// Documents, each showing what its parts give.
    pub documents: u64,
    /// Ticks of the journal that can be read.
    pub ticks: u64,
    /// Receipts, each genuine, and of nothing of ours that is not here.
    pub receipts: u64,
    /// The set digest over all entries; two replicas that print the same hold the same.
    pub digest: Hash,
}

/// The first thing that is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum PostgresFault {
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
    /// A mask that no entry asks for: it hides samples.
    #[error("table masks, entry {} of {}: no entry says that these samples are another patient's", .0.seq, Named(.0.chain))]
    Mask(Mask),
    /// A document.
    #[error("table documents, {document}: {why}")]
    Document {
        /// Type and id.
        document: String,
        /// What is wrong.
        why: String,
    },
    /// A tick of the journal that cannot be read.
    #[error("table ticks, tick {0}: its bytes are no frames")]
    Tick(u64),
    /// A peer's receipt.
    #[error("the receipt of {signer}: {why}")]
    Receipt {
        /// The peer.
        signer: ReplicaId,
        /// What is wrong.
        why: String,
    },
    /// The database cannot be read, or a row cannot.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Verifies the record, beside a hub that runs or does not. `progress` is called with the entries checked so far, and how many there
/// are.
///
/// # Errors
/// The first fault: chains in the order of their ids, entries in theirs, then views and receipts.
pub fn verify(postgres: &Postgres, progress: &mut dyn FnMut(u64, u64)) -> Result<PostgresReport, PostgresFault> {
    let mut link = Link::open(&postgres.shared, Role::Reader)?;
    link.begin()?;
    let mut db = link.db()?;
    let scopes = scopes::all(&mut db)?.into_iter().map(|scope| (scope.id, scope)).collect();
    let masks = all_masks(&mut db)?;
    let heads = heads(&mut db)?;
    let of = heads.iter().map(|(_, head)| head.next).sum();
    let mut walk = Walk { db: &mut db, scopes, masks, founded: BTreeSet::new(), report: EMPTY };
    let mut found = Vec::with_capacity(heads.len());
    for (row, recorded) in heads {
        found.push(walk.chain(row, recorded)?);
        progress(walk.report.entries, of);
    }
    let Walk { masks, founded, mut report, .. } = walk;
    if let Some(mask) = masks.difference(&founded).next() {
        return Err(PostgresFault::Mask(*mask));
    }
    (report.documents, report.ticks) = (all_documents(&mut db)?, all_ticks(&mut db)?);
    rows(&mut db)?;
    report.receipts = receipts(&mut db)?;
    report.digest = set_digest(&found).all;
    link.rollback();
    Ok(report)
}

struct Walk<'a, 'd> {
    db: &'a mut Db<'d>,
    scopes: BTreeMap<ScopeId, Scope>,
    /// Those there are.
    masks: BTreeSet<Mask>,
    /// Those that entries ask for.
    founded: BTreeSet<Mask>,
    report: PostgresReport,
}

impl Walk<'_, '_> {
    /// Walks a chain from its root; the head that its entries give.
    fn chain(&mut self, row: i64, recorded: Head) -> Result<Head, PostgresFault> {
        let chain = recorded.chain;
        let place = format_args!("entries of {}", Named(chain));
        let scope = self.scopes.get(&chain.scope);
        let index = index(self.db, row, chain)?;
        let mut at = Head::empty(chain);
        let mut unsigned = false;
        loop {
            let page = self.db.all(place, SELECT, &[&row, &Count(at.next), &ENTRIES], read)?;
            let whole = page.len() == usize::try_from(ENTRIES).unwrap_or_default();
            for kept in page {
                let seq = at.next;
                let fault = |fault| PostgresFault::Entry { chain, seq, fault };
                let (header, hash) = kept.check(at).map_err(fault)?;
                at = Head { chain, next: seq.saturating_add(1), hash };
                unsigned = kept.signature.is_none();
                if kept.signature.is_some_and(|signature| !identity::verify(chain.author, "head", &hash.0, &signature)) {
                    return Err(fault(EntryFault::Signature));
                }
                match kept.open(&header, scope).map_err(fault)? {
                    Content::Absent => self.report.absent += 1,
                    Content::Dead => self.report.dead += 1,
                    Content::Closed => self.report.closed += 1,
                    Content::Segment(segment) if index.get(&seq) != Some(&Indexed::of(&header, &segment)) => {
                        return Err(fault(EntryFault::Index));
                    }
                    Content::Mask(mask) => {
                        let mask = Mask { seq: Count(mask.seq).integer().unsigned_abs(), ..mask };
                        if !self.masks.contains(&mask) {
                            return Err(fault(EntryFault::Mask));
                        }
                        self.founded.insert(mask);
                        self.report.opened += 1;
                    }
                    Content::Segment(_) | Content::Other => self.report.opened += 1,
                }
                if index.get(&seq).is_some_and(|row| row.held != kept.payload.is_some()) {
                    return Err(fault(EntryFault::Index));
                }
                self.report.entries += 1;
                self.report.payload_bytes += kept.payload.map_or(0, |payload| payload.len() as u64);
            }
            if !whole {
                break;
            }
        }
        if unsigned {
            return Err(PostgresFault::Entry { chain, seq: at.next.saturating_sub(1), fault: EntryFault::Unsigned });
        }
        if at != recorded {
            return Err(PostgresFault::Head { chain, recorded: recorded.next, found: at.next });
        }
        if let Some(seq) = index.keys().find(|seq| **seq >= at.next) {
            return Err(PostgresFault::Entry { chain, seq: *seq, fault: EntryFault::Missing });
        }
        self.report.segments += index.len() as u64;
        self.report.chains += 1;
        Ok(at)
    }
}

const SELECT: &str = "SELECT e.seq, e.header_hash, e.signature, e.header, e.state, e.kind, e.priority, e.wall_ms, p.payload, \
     length(t.bytes)::bigint FROM entries e LEFT JOIN payloads p ON p.arrival = e.arrival \
     LEFT JOIN parts t ON t.arrival = e.arrival WHERE e.chain = $1 AND e.seq >= $2 ORDER BY e.seq LIMIT $3";

fn read(row: &Row) -> Result<Kept, postgres::Error> {
    let (Count(seq), Fixed(hash), Word(state)) = (row.try_get(0)?, row.try_get(1)?, row.try_get(4)?);
    let (kind, priority): (i32, i16) = (row.try_get(5)?, row.try_get(6)?);
    Ok(Kept {
        seq,
        header_hash: Hash(hash),
        signature: row.try_get::<_, Option<Fixed<64>>>(2)?.map(|Fixed(signature)| signature),
        header: row.try_get(3)?,
        state,
        // What does not fit is no kind and no priority: it differs from every header.
        columns: (u16::try_from(kind).unwrap_or(u16::MAX), u8::try_from(priority).unwrap_or(u8::MAX), row.try_get(7)?),
        payload: row.try_get(8)?,
        part: row.try_get::<_, Option<Count>>(9)?.map(|Count(bytes)| bytes),
    })
}

/// A row of the index of segments.
#[derive(PartialEq, Eq)]
struct Indexed {
    scope: [u8; 16],
    device: String,
    boot: Boot,
    waves: bool,
    start: i64,
    end: i64,
    held: bool,
}

impl Indexed {
    fn of(header: &Header, segment: &Segment) -> Self {
        let Segment { device, boot, start, end, .. } = segment;
        let device = clean(device.as_str());
        Self { scope: header.scope.0, device, boot: *boot, waves: segment.is_waves(), start: start.0, end: end.0, held: true }
    }
}

fn index(db: &mut Db<'_>, row: i64, chain: ChainId) -> Result<BTreeMap<u64, Indexed>, StoreError> {
    let sql = "SELECT seq, scope, device, boot, waves, start_at, end_at, held FROM segments WHERE chain = $1 ORDER BY seq";
    let rows = db.all(format_args!("segments of {}", Named(chain)), sql, &[&row], |row| {
        let (Count(seq), Fixed(scope), Fixed(boot)) = (row.try_get(0)?, row.try_get(1)?, row.try_get(3)?);
        let (device, waves, start, end) = (row.try_get(2)?, row.try_get(4)?, row.try_get(5)?, row.try_get(6)?);
        Ok((seq, Indexed { scope, device, boot: Boot(boot), waves, start, end, held: row.try_get(7)? }))
    })?;
    Ok(rows.into_iter().collect())
}

/// Chains that have entries, by row.
fn heads(db: &mut Db<'_>) -> Result<Vec<(i64, Head)>, StoreError> {
    let sql = "SELECT scope, author, run, next, head_hash, id FROM chains \
               WHERE next > 0 OR EXISTS (SELECT FROM entries e WHERE e.chain = id) ORDER BY scope, author, run";
    db.all(format_args!("table chains"), sql, &[], |row| {
        let (Count(next), Fixed(hash)) = (row.try_get(3)?, row.try_get(4)?);
        Ok((row.try_get(5)?, Head { chain: chain_id(row, 0)?, next, hash: Hash(hash) }))
    })
}

fn all_masks(db: &mut Db<'_>) -> Result<BTreeSet<Mask>, StoreError> {
    let sql = "SELECT c.scope, c.author, c.run, m.seq, m.from_at, m.to_at FROM masks m JOIN chains c ON c.id = m.chain";
    let masks = db.all(format_args!("table masks"), sql, &[], |row| {
        let Count(seq) = row.try_get(3)?;
        Ok(Mask { chain: chain_id(row, 0)?, seq, from: Timestamp(row.try_get(4)?), to: Timestamp(row.try_get(5)?) })
    })?;
    Ok(masks.into_iter().collect())
}

/// Each document must show what its parts give.
fn all_documents(db: &mut Db<'_>) -> Result<u64, PostgresFault> {
    let (mut count, mut after) = (0, (String::new(), String::new()));
    loop {
        let page = documents::after(db, &after, DOCUMENTS)?;
        let Some(last) = page.last() else { return Ok(count) };
        after = (last.resource_type.clone(), last.id.to_string());
        for document in page {
            evidence::document(
                &document.resource_type,
                &document.version,
                document.updated,
                document.conflicted,
                &document.json,
                &document.parts,
            )
            .map_err(|why| PostgresFault::Document { document: format!("{}/{}", document.resource_type, document.id), why })?;
            count += 1;
        }
    }
}

/// Each tick must be frames.
fn all_ticks(db: &mut Db<'_>) -> Result<u64, PostgresFault> {
    let mut ids = BTreeSet::new();
    for waves in [false, true] {
        for (id, bytes) in series::ticks(db, waves, 0)? {
            ids.insert(id);
            decode_tick(&bytes).map_err(|_| PostgresFault::Tick(id))?;
        }
    }
    Ok(ids.len() as u64)
}

/// Rows of the tables that nothing else here reads. That payloads and parts belong to entries the server sees to.
fn rows(db: &mut Db<'_>) -> Result<(), StoreError> {
    series::bindings(db)?;
    peers::dead_letters(db)?;
    peers::incidents(db)?;
    fleet::readable(db)?;
    accounts::readable(db)
}

/// Receipts must be genuine, and what they say of the receiver's own entries must be about entries that are here.
fn receipts(db: &mut Db<'_>) -> Result<u64, PostgresFault> {
    let sql = "SELECT signer, receiver, receipt FROM receipts ORDER BY signer, receiver";
    let kept = db.all(format_args!("table receipts"), sql, &[], |row| {
        let (Fixed(signer), Fixed(to), Packed(receipt)) = (row.try_get(0)?, row.try_get(1)?, row.try_get::<_, Packed<Receipt>>(2)?);
        Ok((ReplicaId(signer), ReplicaId(to), receipt))
    })?;
    let known: BTreeMap<ChainId, u64> = heads(db)?.into_iter().map(|(_, head)| (head.chain, head.next)).collect();
    let count = kept.len() as u64;
    for (signer, to, receipt) in kept {
        let fault = |why: String| PostgresFault::Receipt { signer, why };
        if receipt.signer != signer || receipt.to != to || !receipt.is_genuine() {
            return Err(fault("its signature does not hold".to_owned()));
        }
        let all = peers::held(db, signer, to)?;
        if let Some(held) = receipt.held.iter().find(|held| !all.contains(held)) {
            return Err(fault(format!("table held does not say what it does of {}", Named(held.chain))));
        }
        for held in all {
            let mut end = 0;
            for (from, before) in &held.gaps {
                if *from < end || before <= from || *before > held.next {
                    return Err(fault(format!("its gaps in {} are in no order", Named(held.chain))));
                }
                end = *before;
            }
            let next = known.get(&held.chain).copied().unwrap_or_default();
            if held.chain.author == to && held.next > next {
                return Err(fault(format!("it signs for entry {next} of {}, which is not here", Named(held.chain))));
            }
        }
    }
    Ok(count)
}

const EMPTY: PostgresReport = PostgresReport {
    chains: 0,
    entries: 0,
    payload_bytes: 0,
    opened: 0,
    closed: 0,
    dead: 0,
    absent: 0,
    segments: 0,
    documents: 0,
    ticks: 0,
    receipts: 0,
    digest: Hash([0; 32]),
};
