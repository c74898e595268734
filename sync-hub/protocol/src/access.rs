//! Who takes part in a scope: a pure function of the grants, endings, departures, erasures and revocations in its entries.

use record::id::{ReplicaId, RunId};
use record::ledger::body::Member;
use record::ledger::{ChainId, Head, Hlc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Each replica's newest grant by its stamp; what ends or leaves a membership names the grant it means. So neither the order of
/// arrival matters, nor whether the clocks of those who grant and those who leave agree.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Access {
    /// When, and by whom.
    granted: BTreeMap<ReplicaId, (Hlc, ReplicaId)>,
    ends: BTreeMap<ReplicaId, Hlc>,
    left: BTreeMap<ReplicaId, Hlc>,
    erasure: Option<Erasing>,
    revoked: BTreeMap<ReplicaId, BTreeMap<RunId, u64>>,
}

/// An erasure that was ordered.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Erasing {
    /// Whom the orders name, by which grant: everyone who reads one knows that these take part.
    named: BTreeMap<ReplicaId, Hlc>,
    /// Who has signed to have done it.
    done: BTreeSet<ReplicaId>,
}

impl Access {
    /// No grant has been read yet.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.granted.is_empty()
    }

    /// Whether a replica takes part now.
    #[must_use]
    pub fn has(&self, replica: ReplicaId) -> bool {
        self.granted(replica).is_some_and(|at| self.left.get(&replica).is_none_or(|left| *left < at))
    }

    /// The stamp of a replica's newest grant.
    #[must_use]
    pub fn granted(&self, replica: ReplicaId) -> Option<Hlc> {
        self.granted.get(&replica).map(|(at, _)| *at)
    }

    /// Whether a replica has ever taken part: its entries count.
    #[must_use]
    pub fn had(&self, replica: ReplicaId) -> bool {
        self.granted.contains_key(&replica)
    }

    /// Whether a replica has been told to hand over and leave, and has not left.
    #[must_use]
    pub fn ends(&self, replica: ReplicaId) -> bool {
        self.has(replica) && self.ends.get(&replica).copied() >= self.granted(replica)
    }

    /// Whether a replica took part and has left, also where its grant is not known (any more).
    #[must_use]
    pub fn has_left(&self, replica: ReplicaId) -> bool {
        self.left.contains_key(&replica) && !self.has(replica)
    }

    /// Whether anybody who took part has left.
    #[must_use]
    pub fn has_past_members(&self) -> bool {
        self.left.keys().any(|replica| self.has_left(*replica))
    }

    /// Everyone who takes part or did, as an order to destroy the scope names them.
    pub(crate) fn all(&self) -> Vec<Member> {
        let member = |(&replica, &(granted, _)): (&ReplicaId, &(Hlc, ReplicaId))| Member { replica, granted, left: !self.has(replica) };
        self.granted.iter().map(member).collect()
    }

    /// Everyone who takes part or did: when they were last granted it, and by whom.
    pub fn grants(&self) -> impl Iterator<Item = (ReplicaId, Hlc, ReplicaId)> {
        self.granted.iter().map(|(to, (at, by))| (*to, *at, *by))
    }

    /// Those who take part now.
    pub fn members(&self) -> impl Iterator<Item = ReplicaId> {
        self.granted.keys().copied().filter(|replica| self.has(*replica))
    }

    /// Whether the scope is to be destroyed.
    #[must_use]
    pub const fn is_erased(&self) -> bool {
        self.erasure.is_some()
    }

    /// Members that have neither signed that they destroyed it nor left before; none if nobody must.
    #[must_use]
    pub fn erasure_outstanding(&self) -> Vec<ReplicaId> {
        let outstanding = |erasing: &Erasing| self.members().filter(|r| !erasing.done.contains(r)).collect();
        self.erasure.as_ref().map(outstanding).unwrap_or_default()
    }

    /// Whether the scope is to be destroyed and a replica has given a grant that no order names: before it knew of the order, and
    /// those who knew did not read the grant any more.
    #[must_use]
    pub fn has_unnamed(&self, by: ReplicaId) -> bool {
        let unnamed = |erasing: &Erasing| self.grants().any(|(to, at, giver)| giver == by && erasing.named.get(&to) < Some(&at));
        self.erasure.as_ref().is_some_and(unnamed)
    }

    /// Whether an entry was written after its author's membership was revoked.
    #[must_use]
    pub fn is_revoked(&self, chain: ChainId, seq: u64) -> bool {
        self.revoked.get(&chain.author).is_some_and(|runs| seq >= runs.get(&chain.run).copied().unwrap_or(0))
    }

    /// Whether a replica's membership was revoked.
    #[must_use]
    pub fn has_revoked(&self, replica: ReplicaId) -> bool {
        self.revoked.contains_key(&replica)
    }

    pub(crate) fn grant(&mut self, to: ReplicaId, at: Hlc, by: ReplicaId) {
        newest(&mut self.granted, to, (at, by));
    }

    pub(crate) fn end(&mut self, of: ReplicaId, granted: Hlc) {
        newest(&mut self.ends, of, granted);
    }

    pub(crate) fn leave(&mut self, who: ReplicaId, granted: Hlc) {
        newest(&mut self.left, who, granted);
    }

    pub(crate) fn order_erasure(&mut self, by: ReplicaId, members: &[Member]) {
        for Member { replica, granted, left } in members {
            // Whoever has read the grant itself knows who gave it.
            if self.granted(*replica) < Some(*granted) {
                self.grant(*replica, *granted, by);
            }
            if *left {
                self.leave(*replica, *granted);
            }
        }
        let named = &mut self.erasure.get_or_insert_default().named;
        members.iter().for_each(|member| newest(named, member.replica, member.granted));
    }

    pub(crate) fn erased(&mut self, by: ReplicaId) {
        self.erasure.get_or_insert_default().done.insert(by);
    }

    /// Later revocations may name more; what one lets through stays through.
    pub(crate) fn revoke(&mut self, replica: ReplicaId, heads: &[Head]) {
        let runs = self.revoked.entry(replica).or_default();
        for head in heads.iter().filter(|h| h.chain.author == replica) {
            let next = runs.entry(head.chain.run).or_default();
            *next = (*next).max(head.next);
        }
    }
}

fn newest<T: Ord + Copy>(map: &mut BTreeMap<ReplicaId, T>, replica: ReplicaId, at: T) {
    let held = map.entry(replica).or_insert(at);
    *held = (*held).max(at);
}
