//! What should be true, kept as plainly as possible: who said what, whose samples are whose, what may be gone.
//!
//! Knows nothing of entries but their hashes, which tell whether a disk holds what was acknowledged.

use crate::disk::Disk;
use protocol::store::State;
use record::binding::{Binding, Bound};
use record::id::{Hash, PatientId, ScopeId};
use record::ledger::ChainId;
use record::ledger::entry::sha256;
use record::series::{Boot, Frame};
use record::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// (device, boot, first sequence number) of a frame.
pub type SampleId = (String, Boot, u64);
/// (resource type, id).
pub type DocumentId = (&'static str, String);
/// Which key signs: a box and its clones are one.
pub type Key = u8;

/// A commit that was acknowledged to somebody.
#[derive(Clone, Debug)]
pub struct Write {
    /// Whose.
    pub author: Key,
    /// How far the chains it wrote went with it.
    pub heads: Vec<(ChainId, u64, Hash)>,
    /// Whether it must be there: not, once every disk that held it was replaced by an older one.
    pub sure: bool,
    /// Whether it came after its author's membership was revoked.
    pub revoked: bool,
}

/// A value somebody gave an element; no two are alike.
#[derive(Clone, Debug)]
pub struct Given {
    /// Of which document.
    pub document: DocumentId,
    /// Which element.
    pub element: &'static str,
    /// In which commit.
    pub write: usize,
    /// The values its author saw and replaced.
    pub replaces: BTreeSet<String>,
}

/// A document.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Where it lives.
    pub scope: ScopeId,
    /// In which commit it began.
    pub write: usize,
    /// Who has taken it when, if it is an alert, and in which commit.
    pub taken: Vec<(Timestamp, String, usize)>,
}

/// Where a sample belongs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    /// To a patient, by number.
    Patient(usize),
    /// To nobody.
    Unassigned,
    /// Nowhere: its patient's record was destroyed before it was sealed.
    Gone,
}

/// A frame as a device sent it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What was measured.
    pub frame: Frame,
    /// The box that received it.
    pub key: Key,
    /// Where it was put, and in which commit.
    pub placed: Vec<(usize, Place)>,
    /// Whether it may be missing.
    pub lost: bool,
}

/// A patient.
#[derive(Clone, Debug)]
pub struct Patient {
    /// Logical id.
    pub id: PatientId,
    /// Their scope.
    pub scope: ScopeId,
    /// The box that registered them.
    pub creator: Key,
    /// In which commit.
    pub write: usize,
    /// Orders that their record be destroyed.
    pub erased: Vec<usize>,
    /// Hand-overs in order: commit, to whom, who is to leave.
    pub moves: Vec<(usize, Key, Vec<Key>)>,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Commits, in order.
    pub writes: Vec<Write>,
    /// Values by their text.
    pub given: BTreeMap<String, Given>,
    /// Documents.
    pub documents: BTreeMap<DocumentId, Begun>,
    /// Patients.
    pub patients: Vec<Patient>,
    /// Samples.
    pub samples: BTreeMap<SampleId, Sample>,
    /// Versions of each box's bindings in the order they were said, with their commits.
    pub bindings: BTreeMap<Key, Vec<(usize, Binding)>>,
    /// Who was revoked.
    pub revoked: BTreeSet<Key>,
}

impl Model {
    /// Whether a commit must be there.
    #[must_use]
    pub fn is_sure(&self, write: usize) -> bool {
        self.writes.get(write).is_some_and(|w| w.sure)
    }

    /// Whether a commit must be there and count.
    #[must_use]
    pub fn counts(&self, write: usize) -> bool {
        self.writes.get(write).is_some_and(|w| w.sure && !w.revoked)
    }

    /// Whether a commit may show although it need not.
    #[must_use]
    pub fn may_show(&self, write: usize) -> bool {
        self.writes.get(write).is_some_and(|w| !w.revoked)
    }

    /// Whether a patient's record must be gone.
    #[must_use]
    pub fn is_erased(&self, patient: usize) -> bool {
        self.patients.get(patient).is_some_and(|p| p.erased.iter().any(|write| self.is_sure(*write)))
    }

    /// Whether it may be.
    #[must_use]
    pub fn may_be_erased(&self, patient: usize) -> bool {
        self.patients.get(patient).is_some_and(|p| !p.erased.is_empty())
    }

    /// Whether somebody was told to leave a patient's record, or may have been.
    #[must_use]
    pub fn has_left(&self, patient: usize, key: Key) -> bool {
        self.patients.get(patient).is_some_and(|p| p.moves.iter().any(|(.., leaving)| leaving.contains(&key)))
    }

    /// The patient of a scope.
    #[must_use]
    pub fn patient_of(&self, scope: ScopeId) -> Option<usize> {
        self.patients.iter().position(|p| p.scope == scope)
    }

    /// The newest version of each of a box's bindings that must be there.
    #[must_use]
    pub fn current(&self, key: Key) -> Vec<Binding> {
        let mut newest: BTreeMap<&str, &Binding> = BTreeMap::new();
        for (write, binding) in self.bindings.get(&key).into_iter().flatten() {
            if self.is_sure(*write) {
                newest.insert(binding.id.as_str(), binding);
            }
        }
        newest.into_values().cloned().collect()
    }

    /// To whom a box's device measured at a moment: its bed is the one its binding names; two patients in it are nobody.
    #[must_use]
    pub fn owner(&self, key: Key, device: &str, at: Timestamp) -> Place {
        let all = self.current(key);
        let covers = |b: &&Binding| b.from <= at && b.until.is_none_or(|until| at < until);
        let beds: BTreeSet<_> = all
            .iter()
            .filter(covers)
            .filter_map(|b| match &b.what {
                Bound::Device(d) if d.as_str() == device => Some(&b.bed),
                _ => None,
            })
            .collect();
        let mut who = BTreeSet::new();
        for binding in all.iter().filter(covers).filter(|b| beds.contains(&b.bed)) {
            if let Bound::Patient { scope, .. } = &binding.what {
                who.extend(self.patient_of(*scope));
            }
        }
        match who.into_iter().collect::<Vec<_>>().as_slice() {
            [one] if beds.len() == 1 => Place::Patient(*one),
            _ => Place::Unassigned,
        }
    }

    /// Where a sample must lie: where it was last put by a commit that is there.
    #[must_use]
    pub fn place(&self, sample: &Sample) -> Option<Place> {
        sample.placed.iter().rev().find(|(write, _)| self.is_sure(*write)).map(|(_, place)| *place)
    }

    /// The values an element must show: given, not replaced by one that is there; then those it may show besides.
    #[must_use]
    pub fn shown(&self, document: &DocumentId, element: &str) -> (BTreeSet<String>, BTreeSet<String>) {
        let of = || self.given.iter().filter(|(_, g)| g.document == *document && g.element == element);
        let replaced: BTreeSet<&String> = of().filter(|(_, g)| self.counts(g.write)).flat_map(|(_, g)| &g.replaces).collect();
        // One that need not be there may hide others or show itself.
        let perhaps: BTreeSet<&String> =
            of().filter(|(_, g)| self.may_show(g.write) && !self.is_sure(g.write)).flat_map(|(_, g)| &g.replaces).collect();
        let must = of().filter(|(v, g)| self.counts(g.write) && !replaced.contains(v) && !perhaps.contains(v));
        let may = of().filter(|(v, g)| self.may_show(g.write) && !replaced.contains(v));
        (must.map(|(v, _)| v.clone()).collect(), may.map(|(v, _)| v.clone()).collect())
    }

    /// What is held nowhere any more need not be there.
    ///
    /// # Errors
    /// A disk cannot be read.
    pub fn forget_lost(&mut self, disks: &mut [&mut Disk]) -> Result<(), protocol::store::StoreError> {
        for write in self.writes.iter_mut().filter(|w| w.sure) {
            for (chain, next, hash) in &write.heads {
                let mut held = false;
                for disk in disks.iter_mut() {
                    let entry = disk.read(|tx| tx.entry(*chain, next.saturating_sub(1)))?;
                    held |= entry.is_some_and(|e| e.hash == *hash && (whole(&e) || matches!(e.state, State::Erased | State::Shed)));
                }
                write.sure &= held;
            }
        }
        Ok(())
    }
}

/// Whether a disk holds an acknowledged entry and its payload, or knows that it is to be gone.
///
/// # Errors
/// The disk cannot be read.
pub fn holds(disk: &mut Disk, chain: ChainId, next: u64, hash: Hash) -> Result<bool, protocol::store::StoreError> {
    let entry = disk.read(|tx| tx.entry(chain, next.saturating_sub(1)))?;
    Ok(entry.is_some_and(|e| e.hash == hash && !matches!(e.state, State::Wanted | State::Absent)))
}

/// Whether an entry's payload is there as it was written.
#[must_use]
pub fn whole(entry: &protocol::store::Entry) -> bool {
    entry.state.holds() && sha256(&[&entry.payload]) == entry.header.payload_hash
}
