//! One run: boxes, the lines between them, one queue of what happens next.
//!
//! Always: the queue is ordered by time, then by a tie-break from the seed; nothing else decides what comes first.

use crate::act::Act;
use crate::check;
use crate::dice::Dice;
use crate::hostile::Mallory;
use crate::model::{Key, Model, Write};
use crate::node::{Node, NodeId, Talk};
use crate::plan::{Fault, Plan};
use protocol::replica::CommitError;
use protocol::session::{Session, SessionError, Step};
use protocol::store::{Scope, StoreError, Transaction};
use protocol::wire;
use protocol::{PeerRole, Where};
use record::id::{ReplicaId, ScopeId};
use record::ledger::grant::ScopeRole;
use std::collections::{BTreeMap, BTreeSet};

/// A second of a run's time.
pub const SECOND: u64 = 1_000_000;

/// Something that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// When, seconds of the run.
    pub at_s: u64,
    /// What.
    pub what: String,
}

/// What happens next.
#[derive(Clone, Debug)]
pub enum Event {
    /// A desktop gives a command somewhere.
    Command,
    /// The devices of a box send something.
    Tick(NodeId),
    /// A box seals its tail.
    Seal(NodeId),
    /// A box opens a session.
    Sync(NodeId, NodeId),
    /// Bytes arrive.
    Arrive(Packet),
    /// A reply is not waited for any longer.
    Expire {
        /// Who waits.
        node: NodeId,
        /// For whom.
        peer: NodeId,
        /// In which session.
        number: u64,
        /// For the answer to which message of it.
        step: u64,
    },
    /// A box does what others' entries ask of it.
    Settle(NodeId),
    /// A box starts.
    Start(NodeId),
    /// Something befalls somebody.
    Befall(Fault),
    /// A line carries again.
    Mend(NodeId, NodeId),
    /// Room has been made on a disk.
    Room(NodeId),
}

/// A message under way.
#[derive(Clone, Debug)]
pub struct Packet {
    from: NodeId,
    to: NodeId,
    number: u64,
    step: u64,
    reply: bool,
    bytes: Vec<u8>,
}

/// A commit during which power went: whether it stands shows at the next start.
#[derive(Clone, Debug)]
struct Doubtful {
    act: Doubt,
    written: u64,
    tick: u64,
}

/// What was to be committed.
#[derive(Clone, Debug)]
pub enum Doubt {
    /// An act of a desktop or the box.
    Act(Act),
    /// A record's end.
    Erase(usize),
    /// A patient's move: to whom, who is to leave.
    HandOver(usize, Key, Vec<Key>),
    /// A revocation, with what counts still.
    Revoke(Key, BTreeSet<usize>),
}

/// One run.
pub struct World {
    /// What was decided before.
    pub plan: Plan,
    /// Time, µs.
    pub now: u64,
    /// The boxes; 0 is the hub.
    pub nodes: Vec<Node>,
    /// What should be true.
    pub model: Model,
    /// Chance for what people and devices do.
    pub dice: Dice,
    /// Chance for what befalls boxes and lines.
    pub fate: Dice,
    /// The one who lies.
    pub mallory: Mallory,
    /// What happened, if anybody wants to know.
    pub trace: Option<Vec<String>>,
    /// Faults that did befall somebody.
    pub befell: BTreeSet<Fault>,
    /// Payloads that were altered on disk.
    pub flipped: u64,
    /// The hub's disk was replaced, and these have not finished a session with it since.
    pub unheard: BTreeSet<NodeId>,
    /// Numbers for values and ids.
    pub counter: u64,
    /// Commands left.
    pub commands: u64,
    /// The end of quiet: nothing is tried again.
    pub resting: bool,
    queue: BTreeMap<(u64, u64), Event>,
    ties: Dice,
    sessions: u64,
    cut: BTreeSet<(NodeId, NodeId)>,
    doubtful: BTreeMap<NodeId, Doubtful>,
}

impl World {
    /// A run before its first event.
    ///
    /// # Errors
    /// A box does not start.
    pub fn new(plan: &Plan, traced: bool) -> Result<Self, Failure> {
        let seed = plan.seed;
        let mut nodes = vec![Node::new("hub".to_owned(), 1, None, seed)];
        for (site, boxes) in plan.sites.iter().enumerate() {
            for number in 0..*boxes {
                let key = u8::try_from(nodes.len() + 1).unwrap_or(u8::MAX);
                nodes.push(Node::new(format!("s{site}b{number}"), key, Some(site), seed));
            }
        }
        let mut world = Self {
            plan: plan.clone(),
            now: 0,
            nodes,
            model: Model::default(),
            dice: Dice::new(seed, "people"),
            fate: Dice::new(seed, "fate"),
            mallory: Mallory::new(seed),
            trace: traced.then(Vec::new),
            befell: BTreeSet::new(),
            flipped: 0,
            unheard: BTreeSet::new(),
            counter: 0,
            commands: plan.commands,
            resting: false,
            queue: BTreeMap::new(),
            ties: Dice::new(seed, "ties"),
            sessions: 0,
            cut: BTreeSet::new(),
            doubtful: BTreeMap::new(),
        };
        for node in 0..world.nodes.len() {
            world.start(node)?;
            world.set_up_ward(node)?;
        }
        world.schedule_all();
        Ok(world)
    }

    fn schedule_all(&mut self) {
        let pace = self.plan.pace_s * SECOND;
        self.later(pace, Event::Command);
        for node in 1..self.nodes.len() {
            self.later(pace, Event::Tick(node));
            self.later(pace * 4, Event::Seal(node));
            self.later(pace * 3, Event::Settle(node));
            for peer in self.peers_of(node) {
                self.later(pace, Event::Sync(node, peer));
            }
        }
        self.later(pace * 3, Event::Settle(0));
        let span = pace * self.plan.commands;
        for fault in self.plan.faults.clone() {
            for _ in 0..self.fate.between(1, 3) {
                let at = self.fate.below(span);
                self.at(at, Event::Befall(fault));
            }
        }
    }

    /// Those a box opens sessions with: the hub, and the first box of its site if it is another.
    #[must_use]
    pub fn peers_of(&self, node: NodeId) -> Vec<NodeId> {
        let Some(here) = self.nodes.get(node).filter(|n| n.site.is_some()) else { return Vec::new() };
        let neighbours = self.nodes.iter().enumerate().filter(|(_, n)| n.site == here.site && n.key < here.key && !n.retired);
        std::iter::once(0).chain(neighbours.map(|(id, _)| id)).collect()
    }

    /// Everyone a box admits: its hub and the other boxes of its site, clones aside.
    #[must_use]
    pub fn admits(&self, node: NodeId) -> Vec<(NodeId, PeerRole)> {
        let Some(here) = self.nodes.get(node).filter(|n| n.site.is_some()) else { return Vec::new() };
        let mut seen = BTreeSet::from([here.key]);
        let mut all = vec![(0, PeerRole::Hub)];
        for (id, other) in self.nodes.iter().enumerate() {
            if other.site == here.site && seen.insert(other.key) {
                all.push((id, PeerRole::Neighbour));
            }
        }
        all
    }

    /// Notes what happens, for whoever reads the trace.
    pub fn tell(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.trace.is_some() {
            let line = format!("{:>9.1}s {}", self.now as f64 / SECOND as f64, what(self));
            if let Some(trace) = &mut self.trace {
                trace.push(line);
            }
        }
    }

    /// The name of a box.
    #[must_use]
    pub fn name(&self, node: NodeId) -> &str {
        self.nodes.get(node).map_or("?", |n| n.name.as_str())
    }

    /// A failure at this moment.
    pub fn fail<T>(&self, what: impl Into<String>) -> Result<T, Failure> {
        Err(Failure { at_s: self.now / SECOND, what: what.into() })
    }

    /// Puts an event somewhere within the next `within` µs.
    pub fn later(&mut self, within: u64, event: Event) {
        let at = self.now + self.ties.between(within / 2, within.max(1) * 3 / 2);
        self.at(at, event);
    }

    fn at(&mut self, at: u64, event: Event) {
        let tie = self.ties.next();
        self.queue.insert((at, tie), event);
    }

    /// Runs until every command has been given, and a while longer.
    ///
    /// # Errors
    /// Something is not as it should be.
    pub fn storm(&mut self) -> Result<(), Failure> {
        let mut end = u64::MAX;
        while let Some(((at, _), event)) = self.queue.pop_first() {
            if at > end {
                break;
            }
            self.now = at;
            self.happen(event)?;
            if self.commands == 0 && end == u64::MAX {
                end = self.now + self.plan.pace_s * SECOND * 4;
            }
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), Failure> {
        let pace = self.plan.pace_s * SECOND;
        match event {
            Event::Command => {
                self.commands = self.commands.saturating_sub(1);
                self.command()?;
                if self.commands > 0 {
                    self.later(pace, Event::Command);
                }
            }
            Event::Tick(node) => {
                self.tick(node)?;
                self.later(pace, Event::Tick(node));
            }
            Event::Seal(node) => {
                self.seal(node)?;
                self.later(pace * 4, Event::Seal(node));
            }
            Event::Sync(node, peer) => {
                self.open(node, peer)?;
                self.later(pace, Event::Sync(node, peer));
            }
            Event::Arrive(packet) => self.arrive(packet)?,
            Event::Expire { node, peer, number, step } => {
                if let Some(talks) = self.nodes.get_mut(node).map(|n| &mut n.talks)
                    && talks.get(&peer).is_some_and(|t| (t.number, t.step) == (number, step))
                {
                    talks.remove(&peer);
                }
            }
            Event::Settle(node) => {
                self.settle(node)?;
                self.later(pace * 3, Event::Settle(node));
            }
            Event::Start(node) => self.start(node)?,
            Event::Befall(fault) => self.befall(fault)?,
            Event::Mend(one, other) => {
                self.cut.remove(&(one, other));
            }
            Event::Room(node) => {
                if let Some(node) = self.nodes.get_mut(node) {
                    node.disk.gate.full = false;
                }
            }
        }
        Ok(())
    }

    /// Cuts the line between two boxes for a while.
    pub fn part(&mut self, one: NodeId, other: NodeId, for_us: u64) {
        let line = (one.min(other), one.max(other));
        self.cut.insert(line);
        self.later(for_us, Event::Mend(line.0, line.1));
    }

    /// Mends everything that can be mended.
    pub fn mend(&mut self) {
        self.cut.clear();
        self.queue.clear();
        for node in &mut self.nodes {
            node.disk.gate.crash = None;
            node.disk.gate.full = false;
            node.talks.clear();
        }
    }

    /// Starts a box; what was in doubt when power went is settled by what its disk holds.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(&mut self, node: NodeId) -> Result<(), Failure> {
        let at = self.now;
        let Some(here) = self.nodes.get_mut(node).filter(|n| !n.is_up() && !n.retired) else { return Ok(()) };
        here.disk.gate.dead = false;
        let doubtful = self.doubtful.remove(&node);
        let id = here.id();
        let counts = here.disk.read(|tx| Ok((tx.count_entries(id)?, last_tick(tx)?, tx.chains()?)));
        let Ok((written, tick, chains)) = counts else { return self.fail("a disk cannot be read at start") };
        if let Err(error) = here.start(at) {
            return self.after(node, "start", &error);
        }
        self.tell(|w| format!("{} starts", w.name(node)));
        if let Some(doubtful) = doubtful {
            let stands = written > doubtful.written || tick > doubtful.tick;
            self.tell(|w| format!("{}: what was in doubt {}", w.name(node), if stands { "stands" } else { "is lost" }));
            if stands {
                let own = chains.iter().filter(|c| c.head.chain.author == id && c.head.next > 0);
                let heads = own.map(|c| (c.head.chain, c.head.next, c.head.hash)).collect();
                self.note(node, &doubtful.act, heads);
            }
        }
        Ok(())
    }

    /// What comes of an error of a store: power has gone, the disk is full, or the run has failed.
    ///
    /// # Errors
    /// The store should have been able to.
    pub fn after(&mut self, node: NodeId, what: &str, error: &StoreError) -> Result<(), Failure> {
        let pace = self.plan.pace_s * SECOND;
        let Some(here) = self.nodes.get_mut(node) else { return Ok(()) };
        if here.disk.gate.dead {
            here.stop();
            self.tell(|w| format!("{}: power goes during {what}", w.name(node)));
            self.later(pace, Event::Start(node));
            return Ok(());
        }
        if matches!(error, StoreError::Full(_)) {
            self.tell(|w| format!("{}: no room for {what}", w.name(node)));
            return self.shed(node);
        }
        self.fail(format!("{}: {what}: {error}", self.name(node)))
    }

    /// What comes of an error of a commit.
    ///
    /// # Errors
    /// It should have been possible.
    pub fn after_commit(&mut self, node: NodeId, what: &str, error: &CommitError) -> Result<(), Failure> {
        match error {
            CommitError::Store(error) => self.after(node, what, error),
            other => self.fail(format!("{}: {what}: {other}", self.name(node))),
        }
    }

    /// Commits an act at a box; whether it was acknowledged.
    ///
    /// # Errors
    /// It should have been possible.
    pub fn act(&mut self, node: NodeId, act: Act) -> Result<bool, Failure> {
        let commit = act.commit();
        let what = if self.trace.is_some() { format!("{act:?}") } else { String::new() };
        self.attempt(node, &what, Doubt::Act(act), |replica, disk, now, dice| replica.commit(disk, now, dice, &commit))
    }

    /// Commits at a box; whether it was acknowledged.
    ///
    /// # Errors
    /// It should have been possible.
    pub fn attempt(
        &mut self,
        node: NodeId,
        what: &str,
        doubt: Doubt,
        work: impl FnOnce(
            &mut protocol::Replica,
            &mut crate::disk::Disk,
            record::time::Now,
            &mut Dice,
        ) -> Result<protocol::Committed, CommitError>,
    ) -> Result<bool, Failure> {
        let at = self.now;
        let Some(here) = self.nodes.get_mut(node) else { return Ok(false) };
        let now = here.now(at);
        let Some(replica) = &mut here.replica else { return Ok(false) };
        let written = replica.written();
        // Kept or not, the newest tick's id tells at the next start.
        let tick = if here.disk.gate.crash.is_some() { here.disk.read(last_tick).unwrap_or(u64::MAX) } else { u64::MAX };
        match work(replica, &mut here.disk, now, &mut here.dice) {
            Ok(committed) => {
                let heads = committed.heads.iter().map(|h| (h.chain, h.next, h.hash)).collect();
                self.tell(|w| format!("{}: {}", w.name(node), what.chars().take(300).collect::<String>()));
                self.note(node, &doubt, heads);
                Ok(true)
            }
            Err(error) => {
                if here.disk.gate.dead {
                    self.doubtful.insert(node, Doubtful { act: doubt, written, tick });
                }
                let short: String = what.chars().take(400).collect();
                self.after_commit(node, &short, &error)?;
                Ok(false)
            }
        }
    }

    /// Tells the model what stands.
    fn note(&mut self, node: NodeId, doubt: &Doubt, heads: Vec<(record::ledger::ChainId, u64, record::id::Hash)>) {
        let Some(here) = self.nodes.get_mut(node) else { return };
        let (key, id) = (here.key, here.id());
        let scopes = here.disk.read(|tx| tx.scopes()).unwrap_or_default();
        let revoked = self.model.revoked.contains(&key);
        let write = Write { author: key, heads, sure: true, revoked };
        let scope_of = |place: &Where| scope_of(&scopes, id, place);
        match doubt {
            Doubt::Act(act) => act.note(&mut self.model, key, write, &scope_of),
            Doubt::Erase(patient) => {
                let number = self.model.writes.len();
                self.model.writes.push(write);
                if let Some(patient) = self.model.patients.get_mut(*patient) {
                    patient.erased.push(number);
                }
            }
            Doubt::HandOver(patient, to, leaving) => {
                let number = self.model.writes.len();
                self.model.writes.push(write);
                if let Some(patient) = self.model.patients.get_mut(*patient) {
                    patient.moves.push((number, *to, leaving.clone()));
                }
            }
            Doubt::Revoke(key, counting) => {
                for (number, write) in self.model.writes.iter_mut().enumerate() {
                    write.revoked |= write.author == *key && !counting.contains(&number);
                }
                self.model.revoked.insert(*key);
                self.model.writes.push(write);
            }
        }
    }

    /// Takes from the line what a box said before it went back: a receipt of then would vouch for what is not held any more.
    pub fn forget_words(&mut self, node: NodeId) {
        self.queue.retain(|_, event| !matches!(event, Event::Arrive(packet) if packet.from == node));
    }

    /// Forgets what was in doubt: the disk was replaced.
    pub fn undoubt(&mut self, node: NodeId) {
        self.doubtful.remove(&node);
    }

    /// Opens a session, first admitting whom it should know.
    fn open(&mut self, node: NodeId, peer: NodeId) -> Result<(), Failure> {
        let at = self.now;
        self.admit_all(node)?;
        let Some(there) = self.nodes.get(peer).filter(|p| !p.retired) else { return Ok(()) };
        let peer_id = there.id();
        // Both must know each other; a hub knows everybody it has enrolled.
        let (mutual, me) = (there.replica.as_ref().map(|r| r.peers().to_vec()), self.nodes[node].id());
        if peer != 0 && mutual.is_none_or(|peers| peers.iter().all(|p| p.replica != me)) {
            return Ok(());
        }
        let Some(here) = self.nodes.get_mut(node) else { return Ok(()) };
        if here.talks.contains_key(&peer) || !here.admitted.contains(&peer) {
            return Ok(());
        }
        let now = here.now(at);
        let Some(replica) = &mut here.replica else { return Ok(()) };
        match Session::open(replica, &mut here.disk, now, peer_id) {
            Ok((session, message)) => {
                let bytes = wire::encode(&message, replica.id(), peer_id);
                self.sessions += 1;
                let number = self.sessions;
                self.nodes[node].talks.insert(peer, Talk { number, step: 0, session });
                self.tell(|w| format!("{} opens {number} with {}: {}", w.name(node), w.name(peer), check::summary(&message)));
                check::receipt(self, node, &message)?;
                self.send(Packet { from: node, to: peer, number, step: 0, reply: false, bytes });
                Ok(())
            }
            Err(error) => self.after_session(node, "open", &error),
        }
    }

    fn after_session(&mut self, node: NodeId, what: &str, error: &SessionError) -> Result<(), Failure> {
        match error {
            SessionError::Store(error) => self.after(node, what, error),
            SessionError::Receipt => self.fail(format!("{}: {what}: {error}", self.name(node))),
        }
    }

    fn send(&mut self, packet: Packet) {
        let line = (packet.from.min(packet.to), packet.from.max(packet.to));
        if !packet.reply {
            let Packet { from, to, number, step, .. } = packet;
            self.later(60 * SECOND, Event::Expire { node: from, peer: to, number, step });
        }
        if self.cut.contains(&line) || (self.plan.has(Fault::Loss) && self.fate.chance(10)) {
            return;
        }
        if self.plan.has(Fault::Duplicate) && self.fate.chance(10) {
            let late = self.plan.pace_s * SECOND * 2;
            self.later(late, Event::Arrive(packet.clone()));
        }
        let slow = if self.plan.has(Fault::Reorder) && self.fate.chance(20) { 90 * SECOND } else { SECOND / 5 };
        self.later(slow, Event::Arrive(packet));
    }

    fn arrive(&mut self, packet: Packet) -> Result<(), Failure> {
        let Packet { from, to, number, step, reply, bytes } = packet;
        let at = self.now;
        let (Some(sender), Some(here)) = (self.nodes.get(from).map(Node::id), self.nodes.get_mut(to)) else { return Ok(()) };
        let now = here.now(at);
        let Some(replica) = &mut here.replica else { return Ok(()) };
        let me = replica.id();
        let Ok(message) = wire::decode(&bytes, sender, me) else { return self.fail("a message cannot be read") };
        if !reply {
            match replica.answer(&mut here.disk, now, sender, &message) {
                Ok((answer, learned)) => {
                    let bytes = wire::encode(&answer, me, sender);
                    self.tell(|w| {
                        let new = (learned.accepted.entries, learned.accepted.payloads);
                        format!("{} answers {number}.{step} of {}: took {new:?}; {}", w.name(to), w.name(from), check::summary(&answer))
                    });
                    check::receipt(self, to, &answer)?;
                    self.send(Packet { from: to, to: from, number, step, reply: true, bytes });
                    return Ok(());
                }
                Err(error) => return self.after_session(to, "answer", &error),
            }
        }
        let Some(mut talk) = here.talks.remove(&from) else { return Ok(()) };
        if (talk.number, talk.step) != (number, step) {
            here.talks.insert(from, talk);
            // Late, or for the second time: it stands alone, and may be taken in without answering.
            return match replica.take_in(&mut here.disk, now, sender, &message) {
                Ok(_) => Ok(()),
                Err(error) => self.after_session(to, "take in", &error),
            };
        }
        match talk.session.handle(replica, &mut here.disk, now, &message) {
            Ok(Step::Ask(next)) => {
                let bytes = wire::encode(&next, me, sender);
                talk.step += 1;
                let step = talk.step;
                if step > 500 {
                    return self.fail(format!("session {number} of {} does not end", self.name(to)));
                }
                here.talks.insert(from, talk);
                self.tell(|w| format!("{} goes on with {number}.{step} to {}: {}", w.name(to), w.name(from), check::summary(&next)));
                check::receipt(self, to, &next)?;
                self.send(Packet { from: to, to: from, number, step, reply: false, bytes });
                Ok(())
            }
            Ok(Step::Done(summary)) => {
                self.tell(|w| format!("{} ends {number} with {}: equal {}", w.name(to), w.name(from), summary.equal));
                self.ended(to, from, summary.equal)
            }
            Err(error) => self.after_session(to, "handle", &error),
        }
    }

    /// A session is over.
    ///
    /// # Errors
    /// It promises what is not so.
    pub fn ended(&mut self, node: NodeId, peer: NodeId, equal: bool) -> Result<(), Failure> {
        if peer == 0 && equal {
            self.unheard.remove(&node);
            // What a box wrote before it went back, a neighbour may hold that has not met the hub since.
            let alone = self.admits(node).len() == 1;
            if let Some(node) = self.nodes.get_mut(node).filter(|_| alone) {
                node.behind = false;
            }
        }
        if peer == 0 { check::synced(self, node) } else { Ok(()) }
    }

    /// Admits whom a box should know and does not.
    ///
    /// # Errors
    /// It should have been possible.
    pub fn admit_all(&mut self, node: NodeId) -> Result<(), Failure> {
        let early = self.plan.has(Fault::LateGrant) && self.commands > self.plan.commands / 2 && node % 2 == 1;
        if early {
            return Ok(());
        }
        for (peer, role) in self.admits(node) {
            let at = self.now;
            let Some(there) = self.nodes.get(peer).map(|p| p.peer(role)) else { continue };
            let Some(here) = self.nodes.get_mut(node) else { continue };
            let now = here.now(at);
            let Some(replica) = &mut here.replica else { return Ok(()) };
            if replica.peers().iter().any(|p| p.replica == there.replica) {
                if !here.admitted.contains(&peer) {
                    here.admitted.push(peer);
                }
                continue;
            }
            match replica.admit(&mut here.disk, now, &mut here.dice, there) {
                Ok(_) => {
                    here.admitted.push(peer);
                    self.tell(|w| format!("{} admits {}", w.name(node), w.name(peer)));
                }
                Err(error) => return self.after_commit(node, "admit", &error),
            }
        }
        Ok(())
    }
}

/// The scope of a place, among those a replica knows.
fn scope_of(scopes: &[Scope], me: ReplicaId, place: &Where) -> Option<ScopeId> {
    let own = |role| scopes.iter().find(|s| s.creator == me && s.role == Some(role)).map(|s| s.id);
    match place {
        Where::Patient(patient) => scopes.iter().filter(|s| s.patient.as_ref() == Some(patient)).map(|s| s.id).min(),
        Where::Site => own(ScopeRole::Site),
        Where::Unassigned => own(ScopeRole::Unassigned),
    }
}

fn last_tick(tx: &mut dyn Transaction) -> Result<u64, StoreError> {
    Ok(crate::disk::ticks(tx)?.last().map_or(0, |(id, _)| *id))
}
