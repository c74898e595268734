//! What must be so at every moment, and at the end.

use crate::model::{Key, Place, holds, whole};
use crate::node::NodeId;
use crate::plan::Fault;
use crate::workload::{json_of, values};
use crate::world::{Failure, World};
use protocol::Replica;
use protocol::replica::{Vitals, frames_of};
use protocol::store::State;
use protocol::wire::Message;
use record::ledger::grant::ScopeRole;
use record::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A message in a few words.
#[must_use]
pub fn summary(message: &Message) -> String {
    let payloads = message.stretches.iter().flat_map(|s| &s.payloads).filter(|p| !p.is_empty()).count();
    let headers: usize = message.stretches.iter().map(|s| s.headers.len()).sum();
    format!(
        "{headers} headers, {payloads} payloads, {} wants, {} parts, {} absent, {} ranges, {} refused, receipt of {:?}, log {}..{}{}, taken {:?}",
        message.wants.len(),
        message.parts.len(),
        message.absent.len(),
        message.ranges.len(),
        message.refused.len(),
        message.receipt.as_ref().map(|r| r.held.len()),
        message.from,
        message.reached,
        if message.more { "…" } else { "" },
        message.taken,
    )
}

/// A receipt covers only what its signer's disk holds.
///
/// # Errors
/// It covers more.
pub fn receipt(world: &mut World, node: NodeId, message: &Message) -> Result<(), Failure> {
    let Some(receipt) = &message.receipt else { return Ok(()) };
    let decayed = world.flipped > 0;
    let disk = &mut world.nodes[node].disk;
    let mut false_word = None;
    for held in &receipt.held {
        for seq in (0..held.next).filter(|seq| held.covers(*seq)) {
            let entry = disk.read(|tx| tx.entry(held.chain, seq)).ok().flatten();
            if !entry.is_some_and(|e| whole(&e) || (decayed && e.state.holds())) {
                false_word = Some((held.chain, seq));
            }
        }
    }
    match false_word {
        Some((chain, seq)) => world.fail(format!("{} signs for {}/{seq}, which it does not hold", world.name(node), chain.scope)),
        None => Ok(()),
    }
}

/// "Nothing waits" is said only when the hub holds all that was acknowledged.
///
/// # Errors
/// It does not.
pub fn synced(world: &mut World, node: NodeId) -> Result<(), Failure> {
    // A payload that has decayed since it was signed for is an incident of its own.
    if world.unheard.contains(&node) || node == 0 || world.flipped > 0 {
        return Ok(());
    }
    let (id, hub, key) = (world.nodes[node].id(), world.nodes[0].id(), world.nodes[node].key);
    let waiting = world.nodes[node].disk.read(|tx| tx.unheld(id, hub));
    let Ok((0, _)) = waiting else { return Ok(()) };
    let heads: Vec<_> = world.model.writes.iter().filter(|w| w.author == key && w.sure).flat_map(|w| w.heads.clone()).collect();
    for (chain, next, hash) in heads {
        // A copy of the box may know of writes of its own that the other has never heard of.
        let own = world.nodes[node].disk.read(|tx| tx.entry(chain, next - 1)).ok().flatten();
        if own.is_none_or(|e| !e.state.holds()) {
            continue;
        }
        if !holds(&mut world.nodes[0].disk, chain, next, hash).unwrap_or(false) {
            return world.fail(format!(
                "{} says that nothing waits, and the hub does not hold {}/{}",
                world.name(node),
                chain.scope,
                next - 1
            ));
        }
    }
    Ok(())
}

/// All that must be so once everybody has met everybody and nothing is left to say.
///
/// # Errors
/// The first thing that is not so.
pub fn all(world: &mut World) -> Result<(), Failure> {
    digests(world)?;
    writes(world)?;
    documents(world)?;
    samples(world)?;
    erased(world)?;
    incidents(world)
}

/// The boxes whose views are checked: not those of the revoked, who see what counts no longer.
fn honest(world: &World) -> Vec<NodeId> {
    (0..world.nodes.len()).filter(|n| !world.model.revoked.contains(&world.nodes[*n].key) && !world.nodes[*n].retired).collect()
}

fn digests(world: &mut World) -> Result<(), Failure> {
    for node in 1..world.nodes.len() {
        for peer in world.peers_of(node) {
            let (Some(here), Some(there)) = (&world.nodes[node].replica, &world.nodes[peer].replica) else {
                return world.fail("a box is down after quiet");
            };
            let (ours, theirs) = (here.digest(there.id()), there.digest(here.id()));
            if ours != theirs {
                let differ = ours.scopes.keys().chain(theirs.scopes.keys()).find(|s| ours.scopes.get(s) != theirs.scopes.get(s));
                let access = |replica: &Replica| differ.and_then(|scope| replica.scope(*scope)).map(|s| s.access.clone());
                let (here, there) = (access(here), access(there));
                return world.fail(format!(
                    "{} and {} hold different sets, in scope {differ:?}; who takes part:\n{here:?}\n{there:?}",
                    world.name(node),
                    world.name(peer)
                ));
            }
        }
    }
    Ok(())
}

/// Who must hold a scope, by key.
fn holders(world: &World, scope: record::id::ScopeId, author: Key) -> BTreeSet<Key> {
    match world.model.patient_of(scope) {
        Some(patient) => world.members(patient),
        // A box's own scopes: itself and whom it has admitted.
        None => {
            let mut keys = BTreeSet::from([author]);
            if let Some(node) = world.nodes.iter().position(|n| n.key == author) {
                keys.extend(world.admits(node).iter().filter_map(|(id, _)| world.nodes.get(*id).map(|n| n.key)));
            }
            keys
        }
    }
}

fn writes(world: &mut World) -> Result<(), Failure> {
    for (number, write) in world.model.writes.clone().into_iter().enumerate().filter(|(_, w)| w.sure) {
        for (chain, next, hash) in write.heads {
            let keys = holders(world, chain.scope, write.author);
            for node in 0..world.nodes.len() {
                if !keys.contains(&world.nodes[node].key) {
                    continue;
                }
                if !holds(&mut world.nodes[node].disk, chain, next, hash).unwrap_or(false) {
                    let state = world.nodes[node].disk.read(|tx| tx.entry(chain, next - 1)).ok().flatten().map(|e| e.state);
                    return world.fail(format!(
                        "{} does not hold commit {number} of key {}: entry {}/{} is {state:?}",
                        world.name(node),
                        write.author,
                        chain.scope,
                        next - 1
                    ));
                }
            }
        }
    }
    Ok(())
}

fn documents(world: &mut World) -> Result<(), Failure> {
    for (document, begun) in world.model.documents.clone() {
        let patient = world.model.patient_of(begun.scope);
        if patient.is_some_and(|p| world.model.may_be_erased(p)) {
            continue;
        }
        let Some(author) = world.model.writes.get(begun.write).map(|w| w.author) else { continue };
        let keys = holders(world, begun.scope, author);
        let elements: BTreeSet<&'static str> = world.model.given.values().filter(|g| g.document == document).map(|g| g.element).collect();
        let mut seen: Option<(NodeId, Option<(String, serde_json::Value)>)> = None;
        for node in honest(world) {
            if !keys.contains(&world.nodes[node].key) {
                continue;
            }
            let json = match json_of(&mut world.nodes[node].disk, &document) {
                Ok(json) => json,
                Err(error) => return world.fail(format!("{}: {document:?}: {error}", world.name(node))),
            };
            match &seen {
                None => seen = Some((node, json.clone())),
                Some((_, same)) if *same == json => {}
                Some((other, same)) => {
                    return world.fail(format!("{document:?} is {same:?} at {} and {json:?} at {}", world.name(*other), world.name(node)));
                }
            }
            if !world.model.counts(begun.write) {
                continue;
            }
            let Some((_, json)) = json else { return world.fail(format!("{} does not show {document:?}", world.name(node))) };
            for element in &elements {
                let (must, may) = world.model.shown(&document, element);
                let shown = values(&mut world.nodes[node].disk, &document, element).unwrap_or_default();
                if !must.is_subset(&shown) || !shown.is_subset(&may) {
                    return world.fail(format!(
                        "{}: {element} of {document:?} is {shown:?}; it must be {must:?} and may be {may:?}",
                        world.name(node)
                    ));
                }
            }
            let mut taken: BTreeMap<String, usize> = BTreeMap::new();
            for one in json.get("mitigation").and_then(|m| m.as_array()).into_iter().flatten() {
                let by = one.pointer("/author/display").and_then(|v| v.as_str()).unwrap_or_default();
                *taken.entry(by.to_owned()).or_default() += 1;
            }
            for (_, by, write) in &begun.taken {
                if world.model.counts(*write) && taken.get(by) != Some(&1) {
                    return world.fail(format!("{}: {by} took {document:?}, and it shows {taken:?}", world.name(node)));
                }
            }
        }
    }
    Ok(())
}

fn samples(world: &mut World) -> Result<(), Failure> {
    // Given up on a full disk, or dropped under receipts: at these boxes a sample may be missing, not elsewhere.
    let may_lack = |world: &World, node: NodeId| world.plan.has(Fault::DiskFull) || (world.plan.has(Fault::Retain) && node != 0);
    for (number, patient) in world.model.patients.clone().into_iter().enumerate() {
        if world.model.may_be_erased(number) {
            continue;
        }
        let keys = world.members(number);
        for node in honest(world) {
            if !keys.contains(&world.nodes[node].key) {
                continue;
            }
            let mut found = BTreeSet::new();
            for waves in [false, true] {
                let vitals =
                    Vitals { patient: patient.id.clone(), waves, from: Timestamp(i64::MIN), to: Timestamp(i64::MAX), device: None };
                let frames = match world.nodes[node].disk.read(|tx| frames_of(tx, &vitals)) {
                    Ok(frames) => frames,
                    Err(error) => return world.fail(format!("{}: samples of {}: {error}", world.name(node), patient.id)),
                };
                for frame in frames {
                    // Waves are numbered after the numerics of their frame: one number is one sample.
                    let id = (waves, frame.device.to_string(), frame.boot, frame.first_seq);
                    if !found.insert(id.clone()) {
                        return world.fail(format!("{} shows sample {id:?} of {} twice", world.name(node), patient.id));
                    }
                }
            }
            for (id, sample) in &world.model.samples {
                let place = world.model.place(sample);
                let ours = place == Some(Place::Patient(number));
                let written = sample.placed.iter().all(|(w, _)| world.model.counts(*w));
                let doubtful = sample.lost || sample.placed.iter().any(|(w, _)| !world.model.is_sure(*w));
                let frame = &sample.frame;
                let parts = [
                    (false, frame.first_seq, frame.numerics.is_empty()),
                    (true, frame.first_seq + frame.numerics.len() as u64, frame.waves.is_empty()),
                ];
                for (waves, seq, empty) in parts {
                    let shown = found.contains(&(waves, id.0.clone(), id.1, seq));
                    let wrong = shown && !ours && !doubtful && place.is_some();
                    let missing = !shown && !empty && ours && written && !doubtful && !may_lack(world, node);
                    if wrong || missing {
                        let what = if wrong { "shows" } else { "does not show" };
                        return world.fail(format!(
                            "{} {what} sample {id:?} (waves: {waves}) of {}: it is {place:?}'s, placed {:?}",
                            world.name(node),
                            patient.id,
                            sample.placed
                        ));
                    }
                }
            }
        }
    }
    Ok(())
}

/// What was erased is nowhere; whoever left a scope has nothing of it.
fn erased(world: &mut World) -> Result<(), Failure> {
    for (number, patient) in world.model.patients.clone().into_iter().enumerate() {
        let members = world.members(number);
        let erased = world.model.is_erased(number);
        for node in 0..world.nodes.len() {
            let key = world.nodes[node].key;
            let left =
                patient.moves.iter().any(|(w, _, leaving)| world.model.is_sure(*w) && leaving.contains(&key)) && !members.contains(&key);
            // Asked back by a word that not every disk remembers, it may take part again.
            let asked_back = patient.moves.iter().any(|(w, to, _)| !world.model.is_sure(*w) && *to == key);
            if !erased && (!left || asked_back) {
                continue;
            }
            let (me, hub) = (world.nodes[node].id(), world.nodes[0].id());
            let kept = world.nodes[node].disk.read(|tx| {
                let scope = tx.scope(patient.scope)?;
                let mut kept = Vec::new();
                if scope.as_ref().is_some_and(|s| s.key.is_some()) {
                    let mut told = Vec::new();
                    for chain in tx.chains()?.into_iter().filter(|c| c.head.chain.scope == patient.scope && c.head.chain.author == me) {
                        let (run, next) = (chain.head.chain.run, chain.head.next);
                        told.push((run, next, tx.held_of(hub, me, chain.head.chain)?, tx.lacking(chain.head.chain)?));
                    }
                    kept.push(format!(
                        "its key; of its own, the hub has signed for {told:?}; it is known of {:?}",
                        scope.map(|s| s.access)
                    ));
                }
                for chain in tx.chains()?.into_iter().filter(|c| c.head.chain.scope == patient.scope) {
                    for seq in 0..chain.head.next {
                        let Some(entry) = tx.entry(chain.head.chain, seq)? else { continue };
                        if entry.state.holds() && !entry.header.kind.is_open() {
                            kept.push(format!("entry {seq} of kind {}, {:?}", entry.header.kind.0, entry.state));
                        }
                    }
                }
                for (waves, what) in [(false, "numerics"), (true, "waves")] {
                    if !tx.segments(patient.scope, waves, Timestamp(i64::MIN), Timestamp(i64::MAX), 1)?.is_empty() {
                        kept.push(format!("an index of {what}"));
                    }
                }
                Ok(kept)
            });
            let kept = kept.or_else(|error| world.fail(error.to_string()))?;
            if let Some(what) = kept.first() {
                let why = if erased { "was erased" } else { "was handed over" };
                return world.fail(format!("{} {why}, and {} holds {what}", patient.id, world.name(node)));
            }
        }
        if erased
            && world.nodes[0].replica.as_ref().is_some_and(|r| r.erasures().iter().any(|(s, left)| *s == patient.scope && !left.is_empty()))
        {
            return world.fail(format!("{} was erased, and not everybody has signed for it at the hub", patient.id));
        }
    }
    Ok(())
}

/// What must not pass unnoticed was noticed, and nothing else.
fn incidents(world: &mut World) -> Result<(), Failure> {
    let mut allowed: BTreeSet<&str> = BTreeSet::new();
    let went_back = world.befell.contains(&Fault::Restore) || world.befell.contains(&Fault::Rollback);
    if went_back {
        allowed.extend(["fork", "clone", "absent-payload"]);
    }
    if world.befell.contains(&Fault::Clone) {
        allowed.extend(["fork", "clone"]);
    }
    if world.befell.contains(&Fault::Poison) {
        allowed.extend(["broken-chain", "unreadable-payload", "fork"]);
    }
    if world.befell.contains(&Fault::BitFlip) {
        allowed.extend(["damaged-payload"]);
        if world.plan.has_any(&[Fault::Retain, Fault::Restore, Fault::Rollback]) {
            allowed.insert("absent-payload");
        }
    }
    if world.plan.has(Fault::DiskFull) {
        allowed.extend(["shed", "absent-payload"]);
    }
    if world.befell.contains(&Fault::Revoke) {
        allowed.extend(["revoked-writes"]);
    }
    for node in 0..world.nodes.len() {
        let all = world.nodes[node].disk.read(|tx| tx.incidents()).unwrap_or_default();
        if let Some(incident) = all.iter().find(|i| !allowed.contains(i.kind.as_str())) {
            let letters = world.nodes[node].disk.read(|tx| tx.dead_letters()).unwrap_or_default();
            let why: Vec<String> = letters.into_iter().map(|l| l.reason).collect();
            return world.fail(format!("{}: a false alarm: {} ({}) {why:?}", world.name(node), incident.kind, incident.detail));
        }
        let lacking = world.nodes[node].disk.read(|tx| tx.in_state(State::Wanted, None, 10)).unwrap_or_default();
        if let Some(entry) = lacking.first().filter(|_| !went_back && !world.befell.contains(&Fault::Poison)) {
            return world.fail(format!("{} still wants {}/{}", world.name(node), entry.header.scope, entry.header.seq));
        }
        let dead = world.nodes[node].disk.read(|tx| tx.dead_letters()).unwrap_or_default();
        if let Some(letter) =
            dead.first().filter(|_| !went_back && !world.befell.contains(&Fault::Poison) && !world.plan.has(Fault::DiskFull))
        {
            return world.fail(format!("{}: a dead letter: {}/{}: {}", world.name(node), letter.chain.scope, letter.seq, letter.reason));
        }
    }
    clones(world)
}

/// Copies that have both written are noticed by the hub.
fn clones(world: &mut World) -> Result<(), Failure> {
    let copies: Vec<Key> = world.nodes.iter().filter(|n| n.copy).map(|n| n.key).collect();
    let hub = world.nodes[0].disk.read(|tx| tx.incidents()).unwrap_or_default();
    for key in copies {
        let Some(id) = world.nodes.iter().find(|n| n.key == key).map(crate::node::Node::id) else { continue };
        // Runs that both began after the copy was made.
        let chains = world.nodes[0].disk.read(|tx| Ok((tx.chains()?, tx.scopes()?))).unwrap_or_default();
        let site: BTreeSet<_> = chains.1.iter().filter(|s| s.role == Some(ScopeRole::Site) && s.creator == id).map(|s| s.id).collect();
        let tips = chains
            .0
            .iter()
            .filter(|c| c.head.chain.author == id && site.contains(&c.head.chain.scope) && c.continued < c.head.next)
            .count();
        if tips > 1 && !hub.iter().any(|i| i.author == id && (i.kind == "clone" || i.kind == "fork")) {
            return world.fail(format!("key {key} runs twice, and the hub has not noticed"));
        }
    }
    Ok(())
}
