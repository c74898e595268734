//! The history of a document: its parts in one order that every replica finds, and the resource after each.
//!
//! The order is by stamp, then by hash, a change never before those it builds on. A part that arrives late takes its place
//! among the others: versions that were shown without it and are not a beginning of this order are no longer listed.

use super::merge::Origin;
use super::policy::POLICIES;
use super::{Built, Document, DocumentError, Shown};
use crate::ledger::hlc::Hlc;
use crate::time::Timestamp;
use automerge::ChangeHash;
use std::collections::{BTreeMap, BTreeSet};

/// One version of a document.
#[derive(Clone, PartialEq, Debug)]
pub struct Version {
    /// The document as it was.
    pub shown: Shown,
    /// Who made it so, and when.
    pub by: Origin,
    /// Whether it is the first.
    pub first: bool,
}

/// A document's versions, each worked out when it is asked for.
pub struct History {
    built: Built,
    steps: Vec<Step>,
}

/// A part in its place.
pub(super) struct Step {
    pub by: Origin,
    pub what: What,
}

/// What a step adds.
pub(super) enum What {
    /// A genesis or a change, and the heads it replaces.
    Change(ChangeHash, Vec<ChangeHash>),
    /// An acknowledgement.
    Acknowledged(Timestamp, String),
}

impl Document {
    /// Its history.
    ///
    /// # Errors
    /// No genesis yet, or parts of a newer program.
    pub fn history(&self) -> Result<History, DocumentError> {
        let mut built = self.build()?;
        let steps = steps(self, &mut built);
        Ok(History { built, steps })
    }
}

impl History {
    /// How many versions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }
    /// Never: a document begins with a version.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
    /// When each version was made, oldest first.
    pub fn made(&self) -> impl DoubleEndedIterator<Item = &Origin> {
        self.steps.iter().map(|step| &step.by)
    }

    /// Versions by index, oldest is 0.
    pub fn versions(&mut self, resource_type: &str, wanted: std::ops::Range<usize>) -> Vec<Version> {
        let mut found = Vec::new();
        self.walk(wanted.end, |built, heads, index, step| {
            if wanted.contains(&index) {
                let shown = built.show(resource_type, heads.0, heads.1, heads.2, &POLICIES);
                found.push(Version { shown, by: step.by.clone(), first: index == 0 });
            }
            false
        });
        found
    }

    /// The version of an id.
    pub fn version(&mut self, resource_type: &str, id: &str) -> Option<Version> {
        let mut found = None;
        self.walk(usize::MAX, |built, heads, index, step| {
            if built.version(heads.0, heads.1) == id {
                let shown = built.show(resource_type, heads.0, heads.1, heads.2, &POLICIES);
                found = Some(Version { shown, by: step.by.clone(), first: index == 0 });
            }
            found.is_some()
        });
        found
    }

    fn walk(
        &mut self,
        end: usize,
        mut stop: impl FnMut(&mut Built, (&[ChangeHash], &BTreeSet<(Timestamp, String)>, Hlc), usize, &Step) -> bool,
    ) {
        let (mut heads, mut acknowledged, mut updated) = (BTreeSet::new(), BTreeSet::new(), Hlc::default());
        for (index, step) in self.steps.iter().enumerate().take(end) {
            updated = updated.max(step.by.hlc);
            match &step.what {
                What::Change(hash, replaced) => {
                    for old in replaced {
                        heads.remove(old);
                    }
                    heads.insert(*hash);
                }
                What::Acknowledged(at, by) => {
                    acknowledged.insert((*at, by.clone()));
                }
            }
            let list: Vec<ChangeHash> = heads.iter().copied().collect();
            if stop(&mut self.built, (&list, &acknowledged, updated), index, step) {
                return;
            }
        }
    }
}

/// A part that may come next; of one stamp by hash, acknowledgements last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Change(ChangeHash),
    Acknowledged(Timestamp, String),
}

/// Parts in their order. Changes that build on one that is not here are left out: they are not in the document either.
fn steps(document: &Document, built: &mut Built) -> Vec<Step> {
    let mut waiting: BTreeMap<ChangeHash, usize> = BTreeMap::new();
    let mut built_on: BTreeMap<ChangeHash, Vec<ChangeHash>> = BTreeMap::new();
    let mut deps_of: BTreeMap<ChangeHash, Vec<ChangeHash>> = BTreeMap::new();
    let mut ready: BTreeSet<(Origin, Part)> = BTreeSet::new();
    for change in built.doc.get_changes(&[]) {
        let (hash, deps) = (change.hash(), change.deps().to_vec());
        let Some(by) = built.origins.get(&hash) else { continue };
        if deps.is_empty() {
            ready.insert((by.clone(), Part::Change(hash)));
        }
        waiting.insert(hash, deps.len());
        for dep in &deps {
            built_on.entry(*dep).or_default().push(hash);
        }
        deps_of.insert(hash, deps);
    }
    let mut steps: Vec<Step> = Vec::new();
    // There is nothing to acknowledge before the first genesis.
    let mut acknowledgements =
        document.acknowledgements.iter().map(|((at, who), by)| (by.clone(), Part::Acknowledged(*at, who.clone()))).collect::<Vec<_>>();
    while let Some((by, part)) = ready.pop_first() {
        let what = match part {
            Part::Change(hash) => {
                for next in built_on.remove(&hash).unwrap_or_default() {
                    let left = waiting.entry(next).or_default();
                    *left = left.saturating_sub(1);
                    if let Some(by) = built.origins.get(&next).filter(|_| *left == 0) {
                        ready.insert((by.clone(), Part::Change(next)));
                    }
                }
                What::Change(hash, deps_of.remove(&hash).unwrap_or_default())
            }
            Part::Acknowledged(at, who) => What::Acknowledged(at, who),
        };
        ready.extend(acknowledgements.drain(..));
        steps.push(Step { by, what });
    }
    steps
}
