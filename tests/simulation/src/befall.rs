//! What befalls boxes and lines.

use crate::model::{holds, whole};
use crate::node::{Backup, Node, NodeId};
use crate::plan::Fault;
use crate::world::{Doubt, Event, Failure, SECOND, World};
use protocol::replica::LOG;
use protocol::store::State;
use record::ledger::Act as By;
use std::collections::BTreeSet;

impl World {
    /// A fault befalls somebody.
    ///
    /// # Errors
    /// Something is not as it should be.
    pub fn befall(&mut self, fault: Fault) -> Result<(), Failure> {
        let all: Vec<NodeId> = (0..self.nodes.len()).filter(|n| !self.nodes[*n].retired).collect();
        let Some(node) = self.fate.pick(&all).copied() else { return Ok(()) };
        let pace = self.plan.pace_s * SECOND;
        match fault {
            // Of every message, by the plan.
            Fault::Loss | Fault::Duplicate | Fault::Reorder | Fault::LateGrant | Fault::Refile | Fault::Retain => {}
            Fault::Partition => {
                let one = self.fate.between(1, all.len() as u64 - 1) as usize;
                for other in self.peers_of(one) {
                    let span = self.fate.between(1, 20) * pace;
                    self.part(one, other, span);
                }
            }
            Fault::Crash => {
                let gate = &mut self.nodes[node].disk.gate;
                gate.crash = Some((self.fate.below(8), self.fate.chance(50)));
            }
            Fault::Clock => {
                let hour = 3_600_000_000_i64;
                let step = i64::try_from(self.fate.below(7_200_000_000)).unwrap_or(0) - hour;
                let drift = i64::try_from(self.fate.below(400)).unwrap_or(0) - 200;
                let clock = &mut self.nodes[node].clock;
                match self.fate.below(3) {
                    0 => clock.offset_us = step,
                    1 => clock.drift_ppm = drift,
                    _ => clock.doubted = !clock.doubted,
                }
            }
            Fault::DiskFull => {
                self.nodes[node].disk.gate.full = true;
                self.later(pace * 10, Event::Room(node));
            }
            Fault::BitFlip => self.flip(node)?,
            Fault::Restore | Fault::Rollback => self.go_back(node, fault)?,
            Fault::Clone => self.copy()?,
            Fault::Poison => self.poison()?,
            Fault::HandOver => self.hand_over()?,
            Fault::Revoke => self.revoke()?,
            Fault::Erase => self.erase()?,
        }
        Ok(())
    }

    /// A byte of a payload changes on a disk, of an entry that somebody else holds too.
    fn flip(&mut self, node: NodeId) -> Result<(), Failure> {
        let here = &mut self.nodes[node];
        let candidates = here.disk.read(|tx| tx.in_state(State::Done, None, 10_000)).unwrap_or_default();
        let Some(entry) = self.fate.pick(&candidates).cloned() else { return Ok(()) };
        let (chain, seq) = (entry.header.chain(), entry.header.seq);
        let me = here.key;
        let mut elsewhere = false;
        for other in self.nodes.iter_mut().filter(|n| n.key != me) {
            elsewhere |= other.disk.read(|tx| tx.entry(chain, seq)).ok().flatten().is_some_and(|e| whole(&e));
        }
        if !elsewhere {
            return Ok(());
        }
        let byte = self.fate.next() as usize;
        let done = self.nodes[node].disk.meddle(|tx| {
            let Some(entry) = tx.entry(chain, seq)? else { return Ok(()) };
            let mut payload = entry.payload;
            let at = byte % payload.len().max(1);
            if let Some(byte) = payload.get_mut(at) {
                *byte ^= 0x10;
            }
            tx.put_payload(chain, seq, &payload, entry.state)
        });
        self.flipped += 1;
        self.befell.insert(Fault::BitFlip);
        self.tell(|w| format!("{}: a bit of {}/{seq} flips", w.name(node), chain.scope));
        done.or_else(|error| self.fail(error.to_string()))
    }

    /// A disk is copied aside; another time what is there is replaced by that copy.
    fn go_back(&mut self, node: NodeId, fault: Fault) -> Result<(), Failure> {
        let at = self.now;
        let pace = self.plan.pace_s * SECOND;
        if self.nodes[node].copy {
            return Ok(());
        }
        let Some(backup) = self.nodes[node].backup.take() else {
            self.nodes[node].backup = Some(Backup { store: self.nodes[node].disk.store.clone(), at });
            self.tell(|w| format!("{}: a backup is made", w.name(node)));
            let again = self.fate.between(2, 12) * pace;
            self.later(again, Event::Befall(fault));
            return Ok(());
        };
        let here = &mut self.nodes[node];
        here.stop();
        here.disk.store = backup.store;
        here.disk.gate.dead = false;
        here.admitted.clear();
        here.behind = node != 0;
        if fault == Fault::Restore {
            // By the book: the restored log gets a name of its own.
            let done = here.disk.meddle(|tx| tx.put_value(LOG, &[]));
            done.or_else(|error| self.fail(error.to_string()))?;
        }
        self.befell.insert(fault);
        self.forget_words(node);
        self.undoubt(node);
        self.tell(|w| format!("{} goes back to {}s ({fault:?})", w.name(node), backup.at / SECOND));
        if node == 0 {
            self.unheard.extend(0..self.nodes.len());
        }
        self.forget_lost(node)?;
        self.later(pace, Event::Start(node));
        Ok(())
    }

    /// After a disk went back: what is held nowhere any more, and samples of its tail.
    pub(crate) fn forget_lost(&mut self, node: NodeId) -> Result<(), Failure> {
        let mut disks: Vec<&mut crate::disk::Disk> = self.nodes.iter_mut().map(|n| &mut n.disk).collect();
        let forgotten = self.model.forget_lost(&mut disks);
        forgotten.or_else(|error| self.fail(error.to_string()))?;
        let key = self.nodes[node].key;
        let ticks = self.nodes[node].disk.read(crate::disk::ticks).unwrap_or_default();
        let mut kept = BTreeSet::new();
        for frame in ticks.iter().flat_map(|(_, bytes)| record::series::decode_tick(bytes).unwrap_or_default()) {
            kept.insert((frame.device.to_string(), frame.boot, frame.first_seq));
        }
        let sealed: BTreeSet<_> =
            self.model.samples.iter().filter(|(_, s)| self.model.place(s).is_some()).map(|(id, _)| id.clone()).collect();
        for (id, sample) in self.model.samples.iter_mut().filter(|(_, s)| s.key == key) {
            sample.lost |= !kept.contains(id) && !sealed.contains(id);
        }
        Ok(())
    }

    /// A copy of a box's disk starts besides the original.
    fn copy(&mut self) -> Result<(), Failure> {
        let originals: Vec<NodeId> = (1..self.nodes.len()).filter(|n| !self.nodes[*n].name.contains('\'')).collect();
        let Some(node) = self.fate.pick(&originals).copied() else { return Ok(()) };
        let original = &self.nodes[node];
        let name = format!("{}'{}", original.name, self.nodes.len());
        let mut copy = Node::new(name.clone(), original.key, original.site, self.plan.seed);
        copy.copy = true;
        copy.disk.store = original.disk.store.clone();
        copy.clock = original.clock.clone();
        let number = self.nodes.len();
        if number > 7 {
            return Ok(());
        }
        self.nodes.push(copy);
        self.befell.insert(Fault::Clone);
        self.tell(|w| format!("{} is copied to {}", w.name(node), w.name(number)));
        self.start(number)?;
        let pace = self.plan.pace_s * SECOND;
        for peer in self.peers_of(number) {
            self.later(pace, Event::Sync(number, peer));
        }
        self.later(pace, Event::Settle(number));
        Ok(())
    }

    /// The hub revokes a box: what it does not know of it yet counts no longer.
    fn revoke(&mut self) -> Result<(), Failure> {
        if !self.model.revoked.is_empty() {
            return Ok(());
        }
        let all: Vec<NodeId> = (1..self.nodes.len()).filter(|n| !self.nodes[*n].name.contains('\'')).collect();
        let Some(node) = self.fate.pick(&all).copied() else { return Ok(()) };
        let (key, id) = (self.nodes[node].key, self.nodes[node].id());
        let mut counting = BTreeSet::new();
        for (number, write) in self.model.writes.iter().enumerate().filter(|(_, w)| w.author == key) {
            let mut all = true;
            for (chain, next, hash) in &write.heads {
                all &= holds(&mut self.nodes[0].disk, *chain, *next, *hash).unwrap_or(false);
            }
            if all {
                counting.insert(number);
            }
        }
        let what = format!("revokes {}", self.nodes[node].name);
        let done = self.attempt(0, &what, Doubt::Revoke(key, counting), |replica, disk, now, dice| {
            replica.revoke(disk, now, dice, &By::system(), id)
        })?;
        if done {
            self.befell.insert(Fault::Revoke);
        }
        Ok(())
    }

    /// The liar sends the hub something.
    fn poison(&mut self) -> Result<(), Failure> {
        let at = self.now;
        let pace = self.plan.pace_s * SECOND;
        let victim = self.fate.between(1, self.nodes.len() as u64 - 1) as usize;
        let lie = self.mallory.lie(&mut self.fate, &mut self.nodes, victim, at);
        let Some((what, message)) = lie else { return Ok(()) };
        let liar = self.mallory.id();
        let hub = &mut self.nodes[0];
        let now = hub.now(at);
        let Some(replica) = &mut hub.replica else { return Ok(()) };
        let bytes = protocol::wire::encode(&message, liar, replica.id());
        let Ok(message) = protocol::wire::decode(&bytes, liar, replica.id()) else { return Ok(()) };
        let done = replica.answer(&mut hub.disk, now, liar, &message);
        self.befell.insert(Fault::Poison);
        self.tell(|_| format!("the liar sends {what}"));
        self.later(pace * 2, Event::Befall(Fault::Poison));
        match done {
            Ok((_, learned)) => {
                self.tell(|_| format!("the hub refuses {:?}", learned.accepted.refused.iter().map(|r| &r.reason).collect::<Vec<_>>()));
                Ok(())
            }
            Err(protocol::session::SessionError::Receipt) => Ok(()),
            Err(protocol::session::SessionError::Store(error)) => self.after(0, "a lie", &error),
        }
    }
}
