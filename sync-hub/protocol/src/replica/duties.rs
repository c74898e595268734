//! Keeping the store in bounds and in health: retention, shedding on a full disk, dead letters.

use super::apply::{Applying, Changes};
use super::write::CommitError;
use super::{Accepted, Known, Replica};
use crate::commit::{Committed, GivenUp};
use crate::entropy::Entropy;
use crate::store::{Entry, Incident, SegmentRow, State, Store, StoreError, Transaction};
use record::id::{ReplicaId, ScopeId};
use record::ledger::body::{Act, Body, Span};
use record::ledger::entry::sha256;
use record::time::{Now, Timestamp};
use std::collections::BTreeMap;

/// Segments looked at in one piece of work.
const SEGMENTS: usize = 1000;

/// How long payloads stay here after somebody else has signed for them, µs. Documents and alerts always stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// Waveforms.
    pub waves_us: i64,
    /// Numerics.
    pub numerics_us: i64,
}

/// What came of reading a piece of the log for damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scrubbed {
    /// How far the log was read.
    pub reached: u64,
    /// Whether it goes on.
    pub more: bool,
    /// Payloads that were not what their headers name.
    pub damaged: u64,
}

impl Replica {
    /// Reads payloads that arrived after `after`, about `limit` of them, and holds them against their headers. A damaged one is
    /// an incident, and is asked for again from whoever holds it.
    ///
    /// # Errors
    /// The store could not do it.
    pub fn scrub(&self, store: &mut dyn Store, now: Now, after: u64, limit: usize) -> Result<Scrubbed, StoreError> {
        let mut tx = store.begin()?;
        let page = tx.log(after, limit, &mut |_| true)?;
        let mut scrubbed = Scrubbed { reached: page.reached, more: page.more, damaged: 0 };
        for header in page.stretches.iter().flat_map(|stretch| &stretch.headers) {
            if let Some(entry) = tx.entry(header.chain(), header.seq)?.filter(|entry| entry.state.holds())
                && !is_whole(tx.as_mut(), &entry, now.wall)?
            {
                scrubbed.damaged += 1;
            }
        }
        tx.commit()?;
        Ok(scrubbed)
    }

    /// Drops payloads past their time that `keeper` holds under its receipts; at most a thousand of each kind a call. Gives how
    /// many were dropped.
    ///
    /// # Errors
    /// The store could not do it.
    pub fn retain(&mut self, store: &mut dyn Store, now: Now, keeper: ReplicaId, retention: Retention) -> Result<u64, StoreError> {
        let mut tx = store.begin()?;
        let mut dropped = 0;
        for (waves, keep) in [(true, retention.waves_us), (false, retention.numerics_us)] {
            let before = now.wall.plus_micros(-keep);
            for row in self.oldest(tx.as_mut(), waves, before)? {
                let held = tx.held_of(keeper, self.id(), row.chain)?.is_some_and(|held| held.covers(row.seq));
                if held || (row.chain.author == keeper) {
                    tx.mark(row.chain, row.seq, State::Dropped)?;
                    dropped += 1;
                }
            }
        }
        tx.commit()?;
        Ok(dropped)
    }

    /// Gives up payloads to make room for `bytes`: first what `keeper` has signed for, then what nobody has; waveforms before
    /// numerics, the oldest first, alerts and documents never. What nobody else holds is named in a signed entry before it goes.
    /// Gives what was written, and how many bytes were given up.
    ///
    /// # Errors
    /// Nothing was given up.
    pub fn shed(
        &mut self,
        store: &mut dyn Store,
        now: Now,
        entropy: &mut dyn Entropy,
        keeper: Option<ReplicaId>,
        bytes: u64,
    ) -> Result<(Committed, u64), CommitError> {
        let me = self.id();
        let (mut safe, mut lost, mut given_up) = (Vec::new(), Vec::new(), GivenUp::default());
        {
            let mut tx = store.begin()?;
            for signed in [true, false] {
                for waves in [true, false] {
                    for row in self.oldest(tx.as_mut(), waves, Timestamp(i64::MAX))? {
                        if given_up.bytes() >= bytes {
                            break;
                        }
                        let held = match keeper {
                            Some(keeper) => tx.held_of(keeper, me, row.chain)?.is_some_and(|held| held.covers(row.seq)),
                            None => false,
                        };
                        let theirs = row.chain.author != me;
                        if held == signed && (!theirs || signed) {
                            let length = tx.entry(row.chain, row.seq)?.map_or(0, |entry| entry.payload.len() as u64);
                            *match (held, waves) {
                                (true, _) => &mut given_up.safe,
                                (false, true) => &mut given_up.waves,
                                (false, false) => &mut given_up.numerics,
                            } += length;
                            if held { &mut safe } else { &mut lost }.push(row);
                        }
                    }
                }
            }
        }
        let mut spans: BTreeMap<ScopeId, Vec<Span>> = BTreeMap::new();
        lost.sort_by_key(|row| (row.chain, row.seq));
        for row in &lost {
            let of = spans.entry(row.chain.scope).or_default();
            match of.last_mut() {
                Some(span) if span.chain == row.chain && span.to == row.seq => span.to = row.seq + 1,
                _ => of.push(Span { chain: row.chain, from: row.seq, to: row.seq + 1 }),
            }
        }
        let mut committed = self.write(store, now, entropy, &Act::system(), |writer, entropy| {
            for (scope, spans) in spans {
                writer.add(scope, &Body::Shed(spans), entropy)?;
            }
            for (rows, state) in [(&safe, State::Dropped), (&lost, State::Shed)] {
                for row in rows {
                    writer.tx.mark(row.chain, row.seq, state)?;
                }
            }
            Ok(None)
        })?;
        committed.given_up = given_up;
        Ok((committed, given_up.bytes()))
    }

    /// The oldest segments whose payloads are here.
    fn oldest(&self, tx: &mut dyn Transaction, waves: bool, before: Timestamp) -> Result<Vec<SegmentRow>, StoreError> {
        let mut rows = tx.oldest_segments(waves, before, SEGMENTS)?;
        rows.retain(|row| self.known.scopes.contains_key(&row.chain.scope));
        Ok(rows)
    }

    /// Takes up again what could not be: unreadable payloads, and those that no peer had. Gives how many are well now, and what
    /// that brought.
    ///
    /// # Errors
    /// The store could not do it.
    pub fn retry(&mut self, store: &mut dyn Store, now: Now) -> Result<(u64, Accepted), StoreError> {
        let mut tx = store.begin()?;
        let mut known: Known = self.known.clone();
        let mut changes = Changes::default();
        let mut well = 0;
        for letter in tx.dead_letters()? {
            tx.drop_dead_letter(letter.chain, letter.seq)?;
            let Some(entry) = tx.entry(letter.chain, letter.seq)? else { continue };
            if !entry.state.holds() {
                // Asked for again in the next session; what was erased, dropped or given up since is not.
                if entry.state == State::Absent {
                    tx.mark(letter.chain, letter.seq, State::Wanted)?;
                }
                continue;
            }
            let mut applying = Applying { tx: tx.as_mut(), known: &mut known, identity: &self.identity, now, changes: &mut changes };
            if applying.retry(letter.chain, letter.seq)? == Some(State::Done) {
                well += 1;
            }
        }
        tx.commit()?;
        self.known = known;
        let Changes { documents, bindings, closed, configured } = changes;
        Ok((well, Accepted { documents, bindings, closed, configured, ..Accepted::default() }))
    }
}

/// Whether a payload that is held is what its header names. Damage is an incident, and the payload is wanted again.
pub(crate) fn is_whole(tx: &mut dyn Transaction, entry: &Entry, at: Timestamp) -> Result<bool, StoreError> {
    let (chain, seq) = (entry.header.chain(), entry.header.seq);
    if sha256(&[&entry.payload]) == entry.header.payload_hash {
        return Ok(true);
    }
    tx.mark(chain, seq, State::Wanted)?;
    let detail = format!("scope {}, run {}, entry {seq}: its bytes have changed on this disk", chain.scope, chain.run);
    tx.put_incident(&Incident { author: chain.author, kind: "damaged-payload".to_owned(), detail, at, closed: None })?;
    Ok(false)
}
