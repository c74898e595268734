//! After the storm: everything works again, everybody meets everybody until nobody has anything to say.

use crate::act::Act;
use crate::check;
use crate::node::NodeId;
use crate::plan::Fault;
use crate::world::{Failure, SECOND, World};
use protocol::session::{Session, Step, Summary};
use protocol::wire;
use record::binding::{Binding, Bound};

/// Rounds after which everybody must hold the same.
const ROUNDS: usize = 14;

impl World {
    /// Heals everything and lets everybody meet until nothing changes.
    ///
    /// # Errors
    /// They do not come to rest, or something is not as it should be.
    pub fn quiet(&mut self) -> Result<(), Failure> {
        self.tell(|_| "quiet".to_owned());
        self.commands = 0;
        self.mend();
        for node in 0..self.nodes.len() {
            self.start(node)?;
        }
        let mut round = 0;
        loop {
            round += 1;
            self.resting = round > 5;
            let mut moved = self.round()?;
            if round == 2 {
                self.nodes.iter_mut().for_each(|node| node.behind = false);
                for node in 1..self.nodes.len() {
                    self.part_with_leavers(node)?;
                    self.seal(node)?;
                }
                moved = true;
            }
            if !moved && round > 5 {
                return Ok(());
            }
            if round > ROUNDS {
                return self.fail("there is no end to what they have to say");
            }
        }
    }

    /// Everybody meets everybody once; whether anything came of it.
    fn round(&mut self) -> Result<bool, Failure> {
        let mut moved = false;
        for node in 0..self.nodes.len() {
            self.admit_all(node)?;
            self.settle(node)?;
            for peer in self.peers_of(node) {
                self.now += 10 * SECOND;
                let (summary, trips) = self.meet(node, peer)?;
                // Two copies of one box each unsettle what the other has settled with the hub: they never rest, but bring nothing new.
                let copied = self.nodes.iter().any(|n| n.copy);
                // What was lost for good is wanted for ever.
                let lossy = copied || self.plan.has_any(&[Fault::Restore, Fault::Rollback, Fault::BitFlip]);
                moved |= (!lossy && (trips > 1 || !summary.equal)) || summary.received.is_new();
                self.tell(|w| {
                    format!("{} ends with {}: equal {}, refused {:?}", w.name(node), w.name(peer), summary.equal, summary.received.refused)
                });
                self.ended(node, peer, summary.equal)?;
            }
        }
        Ok(moved)
    }

    /// A whole session, undisturbed.
    fn meet(&mut self, node: NodeId, peer: NodeId) -> Result<(Summary, usize), Failure> {
        let at = self.now;
        let there = self.nodes[peer].id();
        let here = &mut self.nodes[node];
        let (now, me) = (here.now(at), here.id());
        let Some(replica) = &mut here.replica else { return self.fail("a box is down in quiet") };
        let opened = Session::open(replica, &mut here.disk, now, there);
        let (mut session, mut message) = opened.or_else(|error| self.fail(format!("open: {error}")))?;
        for trips in 1..300 {
            self.now += SECOND / 5;
            self.tell(|w| format!("{} to {}: {}", w.name(node), w.name(peer), check::summary(&message)));
            check::receipt(self, node, &message)?;
            let bytes = wire::encode(&message, me, there);
            let Ok(received) = wire::decode(&bytes, me, there) else { return self.fail("a message cannot be read") };
            let at = self.now;
            let other = &mut self.nodes[peer];
            let now = other.now(at);
            let Some(replica) = &mut other.replica else { return self.fail("a box is down in quiet") };
            let answered = replica.answer(&mut other.disk, now, me, &received);
            let (reply, learned) = answered.or_else(|error| self.fail(format!("answer: {error}")))?;
            check::receipt(self, peer, &reply)?;
            self.tell(|w| {
                let new = (learned.accepted.entries, learned.accepted.payloads);
                let refused: Vec<&String> = learned.accepted.refused.iter().map(|r| &r.reason).collect();
                format!("{} to {}: took {new:?} {refused:?}; {}", w.name(peer), w.name(node), check::summary(&reply))
            });
            let bytes = wire::encode(&reply, there, me);
            let Ok(reply) = wire::decode(&bytes, there, me) else { return self.fail("a reply cannot be read") };
            let here = &mut self.nodes[node];
            let now = here.now(at);
            let Some(replica) = &mut here.replica else { return self.fail("a box is down in quiet") };
            let handled = session.handle(replica, &mut here.disk, now, &reply);
            match handled.or_else(|error| self.fail(format!("handle: {error}")))? {
                Step::Ask(next) => message = *next,
                Step::Done(summary) => return Ok((*summary, trips)),
            }
        }
        self.fail(format!("a session of {} with {} does not end", self.name(node), self.name(peer)))
    }

    /// Patients whose record is to leave a site leave its beds.
    fn part_with_leavers(&mut self, node: NodeId) -> Result<(), Failure> {
        let (key, at) = (self.nodes[node].key, self.nodes[node].now(self.now).wall);
        if self.nodes[node].copy {
            return Ok(());
        }
        let lying = self.model.current(key).into_iter().filter(|b| b.until.is_none() && matches!(b.what, Bound::Patient { .. }));
        let bindings: Vec<Binding> = lying.map(|b| Binding { until: Some(at.max(b.from)), ..b }).collect();
        if bindings.is_empty() { Ok(()) } else { self.act(node, Act::Bind { bindings, moved: None }).map(|_| ()) }
    }
}
