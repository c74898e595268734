//! Who takes part: admitting peers, handing a patient over, ending and leaving memberships, erasing, revoking.

use super::known::PEERS;
use super::write::{CommitError, Writer};
use super::{Peer, Replica, damaged};
use crate::commit::Committed;
use crate::entropy::Entropy;
use crate::store::{Entry, Scope, State, Store, StoreError, Transaction};
use record::id::{PatientId, ReplicaId, ScopeId};
use record::ledger::body::{Act, Body, Erasure, Membership, Revocation};
use record::ledger::grant::ScopeRole;
use record::ledger::{Head, Hlc};
use record::time::Now;

/// Entries looked at in one go, of those that wait for a key.
const UNTOLD_MAX: usize = 10_000;

/// Why nothing of a membership was changed.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// No such patient here.
    #[error("no patient {0} is known here")]
    UnknownPatient(PatientId),
    /// The record is not open here.
    #[error("the record of {0} is not open here: its key is missing, or it was erased or handed over")]
    Closed(PatientId),
    /// Nothing was written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// A patient's record that this replica opened to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Handover {
    /// The record.
    pub scope: ScopeId,
    /// Whose it is.
    pub patient: Option<PatientId>,
    /// Who was granted it.
    pub to: ReplicaId,
    /// When.
    pub granted: Hlc,
    /// Who has been told to leave and has not.
    pub leaving: Vec<ReplicaId>,
    /// Who has left.
    pub left: Vec<ReplicaId>,
}

/// A patient who goes to another replica.
#[derive(Clone, Copy, Debug)]
pub struct Transfer<'a> {
    /// Who.
    pub patient: &'a PatientId,
    /// To whom.
    pub to: &'a Peer,
    /// Who is to leave the record, once all it wrote there is held elsewhere.
    pub leaving: &'a [ReplicaId],
}

impl Replica {
    /// Records this replica opened to others who still take part, the newest first.
    #[must_use]
    pub fn handovers(&self) -> Vec<Handover> {
        let me = self.id();
        let mut all = Vec::new();
        for scope in self.known.scopes.values().filter(|s| s.role == Some(ScopeRole::Patient) && !s.access.is_erased()) {
            let others = |is: &dyn Fn(ReplicaId) -> bool| scope.access.grants().map(|(of, ..)| of).filter(|of| is(*of)).collect::<Vec<_>>();
            let (leaving, left) = (others(&|of| scope.access.ends(of)), others(&|of| scope.access.has_left(of)));
            let granted = scope.access.grants().filter(|(to, _, by)| *by == me && *to != me && scope.access.has(*to));
            all.extend(granted.map(|(to, granted, _)| Handover {
                scope: scope.id,
                patient: scope.patient.clone(),
                to,
                granted,
                leaving: leaving.clone(),
                left: left.clone(),
            }));
        }
        all.sort_by(|a, b| b.granted.cmp(&a.granted).then(a.scope.cmp(&b.scope)));
        all
    }

    /// Whether a replica has signed to this one for all that is here of a scope.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn has_arrived(&self, store: &mut dyn Store, scope: ScopeId, at: ReplicaId) -> Result<bool, StoreError> {
        let me = self.id();
        let mut tx = store.begin()?;
        for head in self.known.heads.values().filter(|h| h.chain.scope == scope && h.chain.author != at) {
            if !is_told(tx.as_mut(), at, me, *head)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Grants every scope of this replica to a peer, now and from now on.
    ///
    /// # Errors
    /// Nothing was written.
    pub fn admit(&mut self, store: &mut dyn Store, now: Now, entropy: &mut dyn Entropy, peer: Peer) -> Result<Committed, CommitError> {
        let me = self.id();
        self.write(store, now, entropy, &Act::system(), |writer, entropy| {
            writer.known.peers.retain(|p| p.replica != peer.replica);
            writer.known.peers.push(peer);
            let peers = postcard::to_stdvec(&writer.known.peers).map_err(|e| damaged("values.peers", &e))?;
            writer.tx.put_value(PEERS, &peers)?;
            let own = |s: &&Scope| s.creator == me && !s.access.has(peer.replica);
            for scope in writer.known.scopes.values().filter(own).map(|s| s.id).collect::<Vec<_>>() {
                writer.grant(scope, &peer, entropy)?;
            }
            Ok(None)
        })
    }

    /// Grants a peer nothing that is begun from now on. What it has been granted it keeps: what is known cannot be taken back.
    ///
    /// # Errors
    /// The store could not do it.
    pub fn dismiss(&mut self, store: &mut dyn Store, peer: ReplicaId) -> Result<(), StoreError> {
        let mut known = self.known.clone();
        known.peers.retain(|p| p.replica != peer);
        let mut tx = store.begin()?;
        let peers = postcard::to_stdvec(&known.peers).map_err(|e| damaged("values.peers", &e))?;
        tx.put_value(PEERS, &peers)?;
        tx.commit()?;
        self.known = known;
        Ok(())
    }

    /// Hands a patient over to another replica: it is granted the scope with all its history.
    ///
    /// # Errors
    /// The patient's record is not open here; nothing was written.
    pub fn hand_over(
        &mut self,
        store: &mut dyn Store,
        now: Now,
        entropy: &mut dyn Entropy,
        act: &Act,
        transfer: Transfer<'_>,
    ) -> Result<Committed, MembershipError> {
        let Transfer { patient, to, leaving } = transfer;
        let scope = self.open_scope(patient)?;
        let committed = self.write(store, now, entropy, act, |writer, entropy| {
            writer.grant(scope, to, entropy)?;
            for replica in leaving {
                let granted = writer.known.scopes.get(&scope).and_then(|s| s.access.granted(*replica));
                if let Some(granted) = granted {
                    writer.add(scope, &Body::Membership(Membership::Ends { replica: *replica, granted }), entropy)?;
                }
            }
            Ok(None)
        });
        Ok(committed?)
    }

    /// Orders the erasure of a patient's record, everywhere. Here it is done at once.
    ///
    /// # Errors
    /// The patient's record is not open here; nothing was written.
    pub fn erase(
        &mut self,
        store: &mut dyn Store,
        now: Now,
        entropy: &mut dyn Entropy,
        act: &Act,
        patient: &PatientId,
    ) -> Result<Committed, MembershipError> {
        let scope = self.open_scope(patient)?;
        let committed = self.write(store, now, entropy, act, |writer, entropy| {
            writer.order_erasure(scope, entropy)?;
            writer.add(scope, &Body::Erasure(Erasure::Done), entropy)?;
            Ok(None)
        });
        Ok(committed?)
    }

    /// Scopes whose erasure was ordered, and who has not signed yet that it destroyed them.
    #[must_use]
    pub fn erasures(&self) -> Vec<(ScopeId, Vec<ReplicaId>)> {
        let erased = self.known.scopes.values().filter(|s| s.access.is_erased());
        erased.map(|s| (s.id, s.access.erasure_outstanding())).collect()
    }

    /// Revokes what a replica writes after what is known of it now, in every scope it shares with this one; and says so in the
    /// site scopes of all others, whose boxes must not let it in as a neighbour. What comes later is quarantined for review;
    /// revoking again lets through what has come since.
    ///
    /// # Errors
    /// Nothing was written.
    pub fn revoke(
        &mut self,
        store: &mut dyn Store,
        now: Now,
        entropy: &mut dyn Entropy,
        act: &Act,
        replica: ReplicaId,
    ) -> Result<Committed, CommitError> {
        let me = self.id();
        self.write(store, now, entropy, act, |writer, entropy| {
            let told = |s: &&Scope| s.access.had(replica) || s.role == Some(ScopeRole::Site);
            let open = |s: &&Scope| told(s) && s.access.has(me) && s.key.is_some();
            for scope in writer.known.scopes.values().filter(open).map(|s| s.id).collect::<Vec<_>>() {
                let heads = writer.known.heads.values().filter(|h| h.chain.scope == scope && h.chain.author == replica).copied();
                let revocation = Revocation { replica, heads: heads.collect() };
                writer.add(scope, &Body::Revocation(revocation), entropy)?;
            }
            Ok(None)
        })
    }

    /// Whether this replica's hub, or itself, has said in its own scopes that another one's membership is revoked.
    #[must_use]
    pub fn knows_revoked(&self, replica: ReplicaId) -> bool {
        self.known.is_revoked(self.id(), replica)
    }

    /// Whether a replica has been revoked in every scope it shares with this one.
    #[must_use]
    pub fn has_revoked(&self, replica: ReplicaId) -> bool {
        let me = self.id();
        let mut shared = self.known.scopes.values().filter(|s| s.access.had(replica) && s.access.has(me) && s.key.is_some());
        shared.all(|s| s.access.has_revoked(replica))
    }

    /// Does what others' entries ask of this replica: signs for erasures that were carried out, names in them to whom it granted
    /// the scope before it knew of the erasure, and leaves scopes it was told
    /// to leave, once `keeper` has signed for all it wrote there and `in_use` does not hold them. Gives nothing if there was
    /// nothing to do.
    ///
    /// # Errors
    /// Nothing was written.
    pub fn settle(
        &mut self,
        store: &mut dyn Store,
        now: Now,
        entropy: &mut dyn Entropy,
        keeper: Option<ReplicaId>,
        in_use: &dyn Fn(ScopeId) -> bool,
    ) -> Result<Option<Committed>, CommitError> {
        let me = self.id();
        let scopes = self.known.scopes.values();
        let erased: Vec<ScopeId> = scopes.filter(|s| s.access.erasure_outstanding().contains(&me)).map(|s| s.id).collect();
        let late: Vec<ScopeId> = self.known.scopes.values().filter(|s| s.access.has_unnamed(me)).map(|s| s.id).collect();
        let mut leaving = Vec::new();
        if let Some(keeper) = keeper {
            let mut tx = store.begin()?;
            self.drop_told(tx.as_mut(), keeper)?;
            for scope in self.known.scopes.values().filter(|s| s.access.ends(me) && !s.access.is_erased() && !in_use(s.id)) {
                let own = self.known.heads.values().filter(|h| h.chain.scope == scope.id && h.chain.author == me);
                let mut safe = true;
                for head in own {
                    safe &= is_told(tx.as_mut(), keeper, me, *head)?;
                }
                if let (true, Some(granted)) = (safe, scope.access.granted(me)) {
                    leaving.push((scope.id, granted));
                }
            }
            tx.commit()?;
        }
        if erased.is_empty() && late.is_empty() && leaving.is_empty() {
            return Ok(None);
        }
        let committed = self.write(store, now, entropy, &Act::system(), |writer: &mut Writer<'_>, entropy| {
            for scope in late {
                writer.order_erasure(scope, entropy)?;
            }
            for scope in erased {
                writer.add(scope, &Body::Erasure(Erasure::Done), entropy)?;
            }
            if !leaving.is_empty() {
                let site = writer.own(ScopeRole::Site)?;
                writer.add(site, &Body::Membership(Membership::Left { scopes: leaving }), entropy)?;
            }
            Ok(None)
        });
        Ok(Some(committed?))
    }

    /// Drops what this replica wrote in scopes it has left and kept because `keeper` had not signed for it; now it has.
    fn drop_told(&self, tx: &mut dyn Transaction, keeper: ReplicaId) -> Result<(), StoreError> {
        let me = self.id();
        for Entry { header, .. } in tx.in_state(State::Waiting, None, UNTOLD_MAX)? {
            let has_left = self.known.scopes.get(&header.scope).is_some_and(|s| s.access.has_left(me));
            if has_left && header.author == me && tx.held_of(keeper, me, header.chain())?.is_some_and(|held| held.covers(header.seq)) {
                tx.mark(header.chain(), header.seq, State::Dropped)?;
            }
        }
        Ok(())
    }

    /// Whether this replica has been told to leave scopes it still takes part in.
    #[must_use]
    pub fn is_to_leave(&self) -> bool {
        let me = self.id();
        self.known.scopes.values().any(|s| s.access.ends(me) && !s.access.is_erased())
    }

    fn open_scope(&self, patient: &PatientId) -> Result<ScopeId, MembershipError> {
        let scope = self.scope_of(patient).ok_or_else(|| MembershipError::UnknownPatient(patient.clone()))?;
        let open = self.known.scopes.get(&scope).is_some_and(|s| s.key.is_some() && !s.access.is_erased());
        if open { Ok(scope) } else { Err(MembershipError::Closed(patient.clone())) }
    }
}

/// Whether a replica has signed to this one for all of a chain that is here. What is not cannot have been sent.
fn is_told(tx: &mut dyn Transaction, to: ReplicaId, me: ReplicaId, head: Head) -> Result<bool, StoreError> {
    let Some(held) = tx.held_of(to, me, head.chain)?.filter(|held| held.next >= head.next) else { return Ok(false) };
    let lacking = if held.gaps.is_empty() { Vec::new() } else { tx.lacking(head.chain)? };
    let given_up = |seq| lacking.iter().any(|(lacks, _)| *lacks == seq);
    Ok(held.gaps.iter().flat_map(|(from, to)| *from..*to).all(given_up))
}
