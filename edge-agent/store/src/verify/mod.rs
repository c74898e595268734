//! Proving a store from its bytes: every page, every chain from its root, every payload, view, receipt and tick.
//!
//! ```text
//! pages ──▶ chains: header, hash, signature, state, payload, what it says against the indexes ──▶ views ──▶ receipts ──▶ structure
//! ```
//!
//! Trusts nothing the store says about itself. Signatures are checked with the authors' own ids, which are public keys; what a
//! store says besides (hashes, heads, states, the index of segments, what documents show) must agree with what the entries give.

mod entry;
mod pages;
mod views;

pub use protocol::evidence::EntryFault;

use crate::Progress;
use crate::db::{Count, Db, explain};
use crate::sqlite::SqliteReader;
use crate::tables::{Named, ledger, scopes};
use protocol::evidence::Content;
use protocol::store::{Mask, Scope, StoreError};
use record::id::{Hash, ReplicaId, ScopeId};
use record::ledger::{ChainId, Head, Header, identity, set_digest};
use record::series::Segment;
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Entries between two calls of the progress function.
const ENTRIES_PER_STEP: u64 = 256;

/// What was found to be so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Pages of the file, each with its keyed hash checked.
    pub pages: u64,
    /// Chains walked from root to head.
    pub chains: u64,
    /// Entries in them, each with header, hash and the signature behind it checked, and its payload where that is here.
    pub entries: u64,
    /// Bytes of sealed payloads hashed.
    pub payload_bytes: u64,
    /// Payloads that opened and were read; segments to their last sample.
    pub opened: u64,
    /// Payloads whose scope's key is not here, or came a moment ago: hashed, not opened.
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
pub enum FirstFault {
    /// In the bytes of the file.
    #[error("{}: page {page}, bytes {offset} to {}: {why}{}", file.display(), offset + u64::from(*size) - 1, within(row))]
    Page {
        /// The file.
        file: PathBuf,
        /// The page; the first is 1.
        page: u64,
        /// Where it begins in the file.
        offset: u64,
        /// Its bytes.
        size: u32,
        /// What is wrong.
        why: String,
        /// The first row that cannot be read because of it; none if all can.
        row: Option<String>,
    },
    /// The pages are as written and do not fit together.
    #[error("{}: {why}", file.display())]
    Structure {
        /// The file.
        file: PathBuf,
        /// SQLite's own words.
        why: String,
    },
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
    /// The file cannot be read, or a row cannot.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn within(row: &Option<String>) -> String {
    row.as_ref().map(|row| format!("; unreadable because of it: {row}")).unwrap_or_default()
}

/// Verifies the store. Works beside the program that writes it: each chain is seen as of one moment. `progress` is called
/// with the entries checked so far.
///
/// # Errors
/// The first fault: a page of the file, then chains in the order of their ids, entries in theirs, then views and receipts.
pub fn verify(store: &mut SqliteReader, progress: &mut dyn FnMut(Progress)) -> Result<Report, FirstFault> {
    let damaged = pages::first_damaged(&store.connection, &store.path)?;
    let path = store.path.clone();
    let outcome = walk(store, progress);
    let Some(damaged) = damaged else { return outcome };
    let row = match outcome {
        Err(FirstFault::Store(StoreError::Damaged { what, .. })) => Some(what),
        Err(FirstFault::Entry { chain, seq, .. }) => Some(format!("entry {seq} of {}", Named(chain))),
        _ => None,
    };
    Err(FirstFault::Page { file: path, page: damaged.page, offset: damaged.offset, size: damaged.size, why: damaged.why, row })
}

/// The same for a file, which may be damaged beyond opening: the page is named then as well.
///
/// # Errors
/// As for [`verify`].
pub fn verify_file(path: &Path, key: &[u8; 32], progress: &mut dyn FnMut(Progress)) -> Result<Report, FirstFault> {
    match SqliteReader::open(path, key) {
        Ok(mut reader) => verify(&mut reader, progress),
        Err(error) => match crate::pages::named(path, key) {
            Some(why) => Err(FirstFault::Structure { file: path.to_owned(), why: format!("{why} ({error})") }),
            None => Err(error.into()),
        },
    }
}

fn walk(store: &mut SqliteReader, progress: &mut dyn FnMut(Progress)) -> Result<Report, FirstFault> {
    let mut walk =
        Walk { store, progress, of: 0, scopes: BTreeMap::new(), masks: BTreeSet::new(), heads: Vec::new(), report: Report::empty() };
    let (chains, masks) = walk.begin()?;
    for chain in chains {
        walk.chain(chain)?;
    }
    let Walk { store, masks: founded, heads, report, .. } = walk;
    let db = Db { connection: &store.connection, path: &store.path };
    views::masks(db, &masks, &founded)?;
    let (documents, ticks) = (views::documents(db)?, views::ticks(db)?);
    views::rows(db)?;
    let receipts = views::receipts(db)?;
    let pages = pages::structure(&store.connection, &store.path)?;
    Ok(Report { pages, documents, ticks, receipts, digest: set_digest(&heads).all, ..report })
}

struct Walk<'a> {
    store: &'a mut SqliteReader,
    progress: &'a mut dyn FnMut(Progress),
    of: u64,
    scopes: BTreeMap<ScopeId, Scope>,
    /// Those that entries ask for.
    masks: BTreeSet<Mask>,
    heads: Vec<Head>,
    report: Report,
}

impl Walk<'_> {
    /// Reads the keys and lists the chains, and the masks there are before the first entry is read.
    fn begin(&mut self) -> Result<(Vec<ChainId>, Vec<Mask>), StoreError> {
        let db = Db { connection: &self.store.connection, path: &self.store.path };
        let masks = views::all_masks(db)?;
        self.scopes = scopes::all(db)?.into_iter().map(|scope| (scope.id, scope)).collect();
        let heads = ledger::chains(db)?.into_iter().map(|chain| chain.head);
        let chains: Vec<Head> = heads.filter(|head| head.next > 0).collect();
        self.of = chains.iter().map(|head| head.next).sum();
        Ok((chains.into_iter().map(|head| head.chain).collect(), masks))
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
        let mut statement = view.prepare_cached(entry::SELECT).map_err(say)?;
        let mut rows = statement.query([row]).map_err(say)?;
        loop {
            let seq = at.next;
            let fault = |fault| FirstFault::Entry { chain, seq, fault };
            let place = |e| FirstFault::from(explain(e, path, format_args!("entry {seq} of {}", Named(chain))));
            let Some(raw) = rows.next().map_err(place)? else { break };
            let raw = entry::read(raw).map_err(place)?;
            let (header, hash) = raw.check(at).map_err(fault)?;
            at = Head { chain, next: seq.saturating_add(1), hash };
            unsigned = raw.signature.is_none();
            if raw.signature.is_some_and(|s| !identity::verify(chain.author, "head", &hash.0, &s)) {
                return Err(fault(EntryFault::Signature));
            }
            match raw.open(&header, scope).map_err(fault)? {
                Content::Absent => self.report.absent += 1,
                Content::Dead => self.report.dead += 1,
                Content::Closed => self.report.closed += 1,
                Content::Segment(segment) if !is_indexed(db, row, &header, &segment)? => return Err(fault(EntryFault::Index)),
                Content::Mask(mask) if !views::is_masked(db, &mask)? => return Err(fault(EntryFault::Mask)),
                Content::Mask(mask) => {
                    self.masks.insert(mask);
                    self.report.opened += 1;
                }
                Content::Segment(_) | Content::Other => self.report.opened += 1,
            }
            self.report.entries += 1;
            self.report.payload_bytes += raw.payload.map_or(0, |payload| payload.len() as u64);
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
}

fn is_indexed(db: Db<'_>, chain: i64, header: &Header, segment: &Segment) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM segments WHERE chain = ? AND seq = ? AND scope = ? AND device = ? AND boot = ? AND waves = ? \
               AND start_at = ? AND end_at = ? AND held = 1";
    let Segment { device, boot, start, end, .. } = segment;
    let values = params![chain, Count(header.seq), header.scope.0, device.as_str(), boot.0, segment.is_waves(), start.0, end.0];
    let found = db.one(format_args!("segment {} of {}", header.seq, Named(header.chain())), sql, values, |_| Ok(()))?;
    Ok(found.is_some())
}

/// How many segments of a chain the index lists, each with its entry, and as held only where it is.
fn count_segments(db: Db<'_>, row: i64, chain: ChainId) -> Result<u64, FirstFault> {
    let place = format_args!("segments of {}", Named(chain));
    let sql = "SELECT s.seq, e.arrival IS NULL FROM segments s LEFT JOIN entries e ON e.chain = s.chain AND e.seq = s.seq \
               LEFT JOIN payloads p ON p.arrival = e.arrival \
               WHERE s.chain = ? AND (e.arrival IS NULL OR s.held <> (p.arrival IS NOT NULL)) ORDER BY s.seq LIMIT 1";
    if let Some((Count(seq), missing)) = db.one(place, sql, [row], |row| Ok((row.get(0)?, row.get(1)?)))? {
        return Err(FirstFault::Entry { chain, seq, fault: if missing { EntryFault::Missing } else { EntryFault::Index } });
    }
    let counted = db.one(place, "SELECT count(*) FROM segments WHERE chain = ?", [row], |row| row.get(0))?;
    Ok(counted.map_or(0, |Count(rows)| rows))
}

impl Report {
    const fn empty() -> Self {
        Self {
            pages: 0,
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
        }
    }
}
