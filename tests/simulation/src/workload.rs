//! What people, devices and the boxes themselves do, and what they may expect.

use crate::act::{Act, Move, value_in};
use crate::disk::Disk;
use crate::model::{DocumentId, Key, Place, SampleId};
use crate::node::NodeId;
use crate::plan::Fault;
use crate::world::{Doubt, Failure, SECOND, World};
use protocol::replica::{Retention, Transfer};
use protocol::store::{State, StoreError};
use protocol::{Draft, PeerRole, Where};
use record::binding::{Binding, Bindings, Bound, Owner};
use record::code::Code;
use record::decimal::Decimal;
use record::document::Conflict;
use record::id::{DeviceId, PatientId, ScopeId};
use record::observation::{Quality, WaveBlock};
use record::series::{Boot, Frame, Numeric, Segment, SegmentKind, decode_tick};
use record::time::Timestamp;
use record::unit::Unit;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Documents people write, with the element they edit.
const KINDS: [(&str, &str); 3] =
    [("Task", "description"), ("AllergyIntolerance", "code"), ("MedicationRequest", "medicationCodeableConcept")];

impl World {
    /// Devices and beds of a box, bound once and for all.
    ///
    /// # Errors
    /// The box cannot write.
    pub fn set_up_ward(&mut self, node: NodeId) -> Result<(), Failure> {
        let Some(here) = self.nodes.get(node).filter(|n| n.site.is_some()) else { return Ok(()) };
        let bindings = (0..2).filter_map(|bed| device_binding(here.key, bed)).collect();
        self.act(node, Act::Bind { bindings, moved: None }).map(|_| ())
    }

    fn fresh(&mut self, what: &str) -> String {
        self.counter += 1;
        format!("{what}{}", self.counter)
    }

    /// A box that runs, the hub only if asked for.
    fn somewhere(&mut self, hub: bool) -> Option<NodeId> {
        let up: Vec<NodeId> = (usize::from(!hub)..self.nodes.len()).filter(|n| self.nodes[*n].is_up()).collect();
        self.dice.pick(&up).copied()
    }

    /// The patients whose record is open at a box.
    fn open_patients(&self, node: NodeId) -> Vec<(usize, PatientId)> {
        let Some(replica) = self.nodes.get(node).and_then(|n| n.replica.as_ref()) else { return Vec::new() };
        let open = |scope: ScopeId| replica.scope(scope).is_some_and(|s| s.key.is_some() && s.patient.is_some());
        let all = self.model.patients.iter().enumerate();
        all.filter(|(_, p)| open(p.scope)).map(|(number, p)| (number, p.id.clone())).collect()
    }

    /// A desktop does something somewhere.
    ///
    /// # Errors
    /// What it may do is refused.
    pub fn command(&mut self) -> Result<(), Failure> {
        let at_hub = self.dice.chance(15);
        let Some(node) = self.somewhere(at_hub) else { return Ok(()) };
        if node == 0 {
            return match self.dice.below(3) {
                0 => self.take_alert(node),
                _ => self.edit(node),
            };
        }
        match self.dice.below(20) {
            0..3 => self.register(node),
            3..7 => self.begin(node),
            7..12 => self.edit(node),
            12..14 => self.take_alert(node),
            14..18 => self.move_in_ward(node),
            18 => {
                let at = self.nodes[node].now(self.now).wall;
                self.act(node, Act::Audit(at)).map(|_| ())
            }
            _ => self.repeat(node),
        }
    }

    fn register(&mut self, node: NodeId) -> Result<(), Failure> {
        let Ok(patient) = self.fresh("p").parse::<PatientId>() else { return Ok(()) };
        let mut acts = vec![Act::Register(patient.clone())];
        if self.dice.chance(50) {
            let document = ("Task", self.fresh("t"));
            let value = self.fresh("v");
            acts.push(Act::Create { place: Where::Patient(patient), document, element: "description", value });
        }
        self.act(node, Act::Several(acts)).map(|_| ())
    }

    fn begin(&mut self, node: NodeId) -> Result<(), Failure> {
        let open = self.open_patients(node);
        let place = self.dice.pick(&open).map_or(Where::Site, |(_, id)| Where::Patient(id.clone()));
        let act = if self.dice.chance(30) {
            Act::Create { place, document: ("DetectedIssue", self.fresh("a")), element: "", value: String::new() }
        } else {
            let (kind, element) = *self.dice.pick(&KINDS).unwrap_or(&KINDS[0]);
            Act::Create { place, document: (kind, self.fresh("d")), element, value: self.fresh("v") }
        };
        self.act(node, act).map(|_| ())
    }

    /// Documents a box shows.
    fn shown(&mut self, node: NodeId, alerts: bool) -> Vec<DocumentId> {
        let all: Vec<DocumentId> =
            self.model.documents.keys().filter(|d| (d.0 == "DetectedIssue") == alerts && d.0 != "Patient").cloned().collect();
        let disk = &mut self.nodes[node].disk;
        let mut open = |document: &DocumentId| {
            let held = document.1.parse().ok().and_then(|id| disk.read(|tx| tx.document(document.0, &id)).ok().flatten());
            held.is_some_and(|d| !d.json.is_empty() && disk.read(|tx| tx.scope(d.scope)).ok().flatten().is_some_and(|s| s.key.is_some()))
        };
        all.into_iter().filter(|d| open(d)).collect()
    }

    fn edit(&mut self, node: NodeId) -> Result<(), Failure> {
        let shown = self.shown(node, false);
        // People meet at few documents.
        let few: Vec<DocumentId> = shown.into_iter().take(4).collect();
        let Some(document) = self.dice.pick(&few).cloned() else { return Ok(()) };
        let Some((_, element)) = KINDS.iter().find(|(kind, _)| *kind == document.0).copied() else { return Ok(()) };
        let replaces = match values(&mut self.nodes[node].disk, &document, element) {
            Ok(values) => values,
            Err(error) => return self.fail(format!("{document:?} cannot be read: {error}")),
        };
        let value = self.fresh("v");
        self.act(node, Act::Update { document, element, value, replaces }).map(|_| ())
    }

    fn take_alert(&mut self, node: NodeId) -> Result<(), Failure> {
        let alerts = self.shown(node, true);
        let Some((_, alert)) = self.dice.pick(&alerts).cloned() else { return Ok(()) };
        let at = self.nodes[node].now(self.now).wall;
        let by = self.fresh("u");
        self.act(node, Act::Take { alert, by, at }).map(|_| ())
    }

    /// What exists is not begun again.
    fn repeat(&mut self, node: NodeId) -> Result<(), Failure> {
        let shown = self.shown(node, false);
        let Some(document) = self.dice.pick(&shown).cloned() else { return Ok(()) };
        let again = Act::Create { place: Where::Site, document, element: "", value: String::new() };
        let (at, commit) = (self.now, again.commit());
        let here = &mut self.nodes[node];
        let now = here.now(at);
        let Some(replica) = &mut here.replica else { return Ok(()) };
        match replica.commit(&mut here.disk, now, &mut here.dice, &commit) {
            Err(protocol::replica::CommitError::Exists(_)) => Ok(()),
            Err(error) => self.after_commit(node, "repeat", &error),
            Ok(_) => self.fail(format!("{again:?} was begun twice")),
        }
    }

    /// Patients come, go, change beds; sometimes it turns out to have been somebody else.
    fn move_in_ward(&mut self, node: NodeId) -> Result<(), Failure> {
        let here = &self.nodes[node];
        if here.behind || here.copy || self.model.revoked.contains(&here.key) {
            return Ok(());
        }
        let (key, at) = (here.key, here.now(self.now).wall);
        let open = self.open_patients(node);
        let bed = self.dice.below(2);
        let current = self.model.current(key);
        let lying = current
            .into_iter()
            .find(|b| b.bed.as_str() == bed_name(key, bed) && b.until.is_none() && matches!(b.what, Bound::Patient { .. }));
        let other = self.dice.pick(&open).cloned();
        let Some(lying) = lying else {
            let Some((number, _)) = other else { return Ok(()) };
            let Some(binding) = self.lies(key, bed, number, at) else { return Ok(()) };
            return self.act(node, Act::Bind { bindings: vec![binding], moved: None }).map(|_| ());
        };
        if self.plan.has(Fault::Refile) && self.dice.chance(60) {
            return self.correct(node, bed, &lying, other);
        }
        let mut bindings = vec![Binding { until: Some(at.max(lying.from)), ..lying }];
        if let Some((number, _)) = other.filter(|_| self.dice.chance(50)) {
            // Now and then two are said to lie in one bed for a while.
            let from = if self.dice.chance(10) { at.plus_micros(-60_000_000) } else { at };
            bindings.extend(self.lies(key, bed, number, from));
        }
        self.act(node, Act::Bind { bindings, moved: None }).map(|_| ())
    }

    fn lies(&mut self, key: Key, bed: u64, patient: usize, from: Timestamp) -> Option<Binding> {
        let patient = self.model.patients.get(patient)?;
        let what = Bound::Patient { patient: patient.id.clone(), scope: patient.scope };
        Some(Binding { id: self.fresh("b").parse().ok()?, what, bed: bed_name(key, bed).parse().ok()?, from, until: None })
    }

    /// From some moment on it was somebody else who lay in the bed.
    fn correct(&mut self, node: NodeId, bed: u64, lying: &Binding, other: Option<(usize, PatientId)>) -> Result<(), Failure> {
        let key = self.nodes[node].key;
        let at = self.nodes[node].now(self.now).wall;
        let Bound::Patient { scope, patient } = &lying.what else { return Ok(()) };
        let (Some(wrong), Some(right)) = (self.model.patient_of(*scope), other) else { return Ok(()) };
        let span = u64::try_from(at.micros_since(lying.from)).unwrap_or(0);
        let start = lying.from.plus_micros(i64::try_from(self.dice.below(span + 1)).unwrap_or(0));
        let open = self.open_patients(node);
        let (Ok(device), true) = (device_name(key, bed).parse::<DeviceId>(), right.0 != wrong && open.iter().any(|(n, _)| *n == wrong))
        else {
            return Ok(());
        };
        let ended = Binding { until: Some(start), ..lying.clone() };
        let Some(begun) = self.lies(key, bed, right.0, start) else { return Ok(()) };
        let end = Timestamp(i64::MAX);
        // Whoever else was in the bed since then keeps their samples: only where the wrong one alone lay there is it corrected.
        let alone = self
            .model
            .current(key)
            .iter()
            .filter(|b| b.bed == lying.bed && b.id != lying.id)
            .all(|b| matches!(b.what, Bound::Device(_)) || b.until.is_some_and(|until| until <= start || until <= b.from));
        // What was dropped here cannot be moved from here.
        if !alone || !self.all_held(node, *scope)? {
            return Ok(());
        }
        let moved = Move { from: (wrong, patient.clone()), to: right, device, start, end };
        self.act(node, Act::Bind { bindings: vec![ended, begun], moved: Some(moved) }).map(|_| ())
    }

    fn all_held(&mut self, node: NodeId, scope: ScopeId) -> Result<bool, Failure> {
        let held = self.nodes[node].disk.read(|tx| {
            let mut all = true;
            for waves in [false, true] {
                for row in tx.segments(scope, waves, Timestamp(i64::MIN), Timestamp(i64::MAX), 10_000)? {
                    all &= tx.entry(row.chain, row.seq)?.is_some_and(|e| e.state == State::Done);
                }
            }
            Ok(all)
        });
        held.or_else(|error| self.fail(error.to_string()))
    }

    /// The devices of a box send something, some of it late.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn tick(&mut self, node: NodeId) -> Result<(), Failure> {
        let at = self.now;
        let Some(here) = self.nodes.get_mut(node).filter(|n| n.is_up() && !n.copy) else { return Ok(()) };
        let (now, key) = (here.now(at), here.key);
        let run = here.replica.as_ref().map(|r| r.run().0).unwrap_or_default();
        let mut boot = [0; 12];
        boot[..8].copy_from_slice(&run);
        let mut frames = Vec::new();
        for bed in 0..2 {
            let Ok(device) = device_name(key, bed).parse() else { continue };
            let late = if self.dice.chance(20) { self.dice.below(self.plan.pace_s * SECOND * 6) } else { 0 };
            let (numerics, waves) = match self.dice.below(4) {
                0 => (vec![numeric(&mut self.counter), numeric(&mut self.counter)], Vec::new()),
                1 => (Vec::new(), vec![wave(&mut self.counter)]),
                2 => (vec![numeric(&mut self.counter)], vec![wave(&mut self.counter)]),
                _ => (vec![numeric(&mut self.counter)], Vec::new()),
            };
            boot[11] = u8::try_from(bed).unwrap_or(0);
            let frame = Frame {
                device,
                boot: Boot(boot),
                first_seq: here.counted,
                arrived: now.wall,
                arrived_mono: now.mono,
                measured: now.wall.plus_micros(-i64::try_from(late).unwrap_or(0)),
                device_time: None,
                offset_us: None,
                bed: bed_name(key, bed).parse().ok(),
                numerics,
                waves,
            };
            here.counted += frame.len();
            frames.push(frame);
        }
        self.act(node, Act::Tick(frames)).map(|_| ())
    }

    /// A box seals its tail: each sample to whoever was bound when it was measured.
    ///
    /// # Errors
    /// The real bindings say otherwise than the model's, or it cannot be written.
    pub fn seal(&mut self, node: NodeId) -> Result<(), Failure> {
        let Some(here) = self.nodes.get_mut(node).filter(|n| n.is_up() && !n.behind && !n.copy) else { return Ok(()) };
        let key = here.key;
        let read = here.disk.read(|tx| Ok((crate::disk::ticks(tx)?, tx.bindings()?)));
        let (ticks, versions) = match read {
            Ok(read) => read,
            Err(error) => return self.fail(format!("the tail cannot be read: {error}")),
        };
        let Some(through) = ticks.last().map(|(id, _)| *id) else { return Ok(()) };
        let mut bindings = Bindings::default();
        for (hlc, binding) in versions {
            bindings.apply(hlc, binding);
        }
        let open: BTreeSet<usize> = self.open_patients(node).into_iter().map(|(number, _)| number).collect();
        let mut spans: BTreeMap<(Place, String, Boot), Vec<Frame>> = BTreeMap::new();
        let mut placed: Vec<(SampleId, Place)> = Vec::new();
        for (_, bytes) in ticks {
            let Ok(frames) = decode_tick(&bytes) else { return self.fail("a tick cannot be read") };
            for frame in frames {
                let should = self.model.owner(key, frame.device.as_str(), frame.measured);
                let is = match bindings.owner(&frame.device, frame.measured) {
                    Owner::Patient { scope, .. } => self.model.patient_of(scope).map_or(Place::Unassigned, Place::Patient),
                    _ => Place::Unassigned,
                };
                if is != should {
                    return self.fail(format!(
                        "{} files a sample of {} measured at {} to {is:?}, and it is {should:?}'s",
                        self.name(node),
                        frame.device,
                        frame.measured
                    ));
                }
                let place = match is {
                    Place::Patient(number) if open.contains(&number) => is,
                    Place::Patient(number) if self.model.may_be_erased(number) => Place::Gone,
                    _ => Place::Unassigned,
                };
                placed.push(((frame.device.to_string(), frame.boot, frame.first_seq), place));
                spans.entry((place, frame.device.to_string(), frame.boot)).or_default().push(frame);
            }
        }
        let mut drafts = Vec::new();
        for ((place, ..), frames) in &spans {
            let place = match place {
                Place::Gone => continue,
                Place::Unassigned => Where::Unassigned,
                Place::Patient(number) => match self.model.patients.get(*number) {
                    Some(patient) => Where::Patient(patient.id.clone()),
                    None => continue,
                },
            };
            for kind in [SegmentKind::Numerics, SegmentKind::Waves] {
                if let Ok(segment) = Segment::build(kind, frames) {
                    drafts.push(Draft::Segment { place: place.clone(), segment });
                }
            }
        }
        self.act(node, Act::Seal { drafts, through, placed }).map(|_| ())
    }

    /// A box does what others' entries ask of it, and keeps its store in bounds and in health.
    ///
    /// # Errors
    /// It cannot.
    pub fn settle(&mut self, node: NodeId) -> Result<(), Failure> {
        let at = self.now;
        let hub = self.nodes[0].id();
        let busy = self.busy(node);
        let keep = self.plan.has(Fault::Retain) && node != 0;
        let flips = self.plan.has(Fault::BitFlip);
        let retention = Retention { waves_us: 0, numerics_us: i64::try_from(self.plan.pace_s * SECOND * 10).unwrap_or(0) };
        let Some(here) = self.nodes.get_mut(node) else { return Ok(()) };
        let now = here.now(at);
        let Some(replica) = &mut here.replica else { return Ok(()) };
        let keeper = if node == 0 { None } else { Some(hub) };
        match replica.settle(&mut here.disk, now, &mut here.dice, keeper, &|scope| busy.contains(&scope)) {
            Ok(Some(_)) => self.tell(|w| format!("{} settles", w.name(node))),
            Ok(None) => {}
            Err(error) => return self.after_commit(node, "settle", &error),
        }
        let here = &mut self.nodes[node];
        let Some(replica) = &mut here.replica else { return Ok(()) };
        // In the end what nobody has is given up.
        let mut done = if self.resting { Ok(0) } else { replica.retry_dead_letters(&mut here.disk, now) };
        if flips && done.is_ok() {
            done = replica.scrub(&mut here.disk, now, 0, usize::MAX).map(|s| s.damaged);
        }
        if keep && done.is_ok() {
            done = replica.retain(&mut here.disk, now, hub, retention);
        }
        // Receipts of a hub that has gone back since are no word to build on; what was dropped under them is gone.
        let stale = keep && (flips || self.unheard.contains(&node));
        match done {
            Ok(_) if stale => self.forget_lost(node),
            Ok(_) => Ok(()),
            Err(error) => self.after(node, "upkeep", &error),
        }
    }

    /// Scopes whose patients lie in a bed of a box, or of whom it has samples that are not sealed.
    fn busy(&mut self, node: NodeId) -> BTreeSet<ScopeId> {
        let Some(here) = self.nodes.get_mut(node) else { return BTreeSet::new() };
        let key = here.key;
        let ticks = here.disk.read(crate::disk::ticks).unwrap_or_default();
        let current = self.model.current(key);
        let lying = current.iter().filter(|b| b.until.is_none()).filter_map(|b| match &b.what {
            Bound::Patient { scope, .. } => Some(*scope),
            Bound::Device(_) => None,
        });
        let tail = ticks.iter().flat_map(|(_, bytes)| decode_tick(bytes).unwrap_or_default());
        let owners = tail.filter_map(|frame| match self.model.owner(key, frame.device.as_str(), frame.measured) {
            Place::Patient(number) => self.model.patients.get(number).map(|p| p.scope),
            _ => None,
        });
        lying.chain(owners).collect()
    }

    /// A box whose disk is full gives up what it must.
    ///
    /// # Errors
    /// It gives up what it must not.
    pub fn shed(&mut self, node: NodeId) -> Result<(), Failure> {
        let at = self.now;
        let hub = self.nodes[0].id();
        let Some(here) = self.nodes.get_mut(node) else { return Ok(()) };
        let now = here.now(at);
        let Some(replica) = &mut here.replica else { return Ok(()) };
        here.disk.gate.full = false;
        let keeper = if node == 0 { None } else { Some(hub) };
        let done = replica.shed(&mut here.disk, now, &mut here.dice, keeper, 600);
        match done {
            Ok((_, bytes)) => {
                self.tell(|w| format!("{} gives up {bytes} bytes", w.name(node)));
                Ok(())
            }
            Err(error) => self.after_commit(node, "shed", &error),
        }
    }

    /// A patient goes to another site.
    ///
    /// # Errors
    /// The hub cannot.
    pub fn hand_over(&mut self) -> Result<(), Failure> {
        let open = self.open_patients(0);
        let Some((number, patient)) = self.fate.pick(&open).cloned() else { return Ok(()) };
        let boxes: Vec<(Key, usize)> = self.nodes.iter().filter_map(|n| Some((n.key, n.site?))).collect();
        let members = self.members(number);
        let homes: BTreeSet<usize> = boxes.iter().filter(|(k, _)| members.contains(k)).map(|(_, s)| *s).collect();
        let Some((to, site)) = self.fate.pick(&boxes.iter().filter(|(_, s)| !homes.contains(s)).copied().collect::<Vec<_>>()).copied()
        else {
            return Ok(());
        };
        let leave = self.fate.chance(70);
        let mut leaving: Vec<Key> = boxes.iter().filter(|(k, s)| leave && *s != site && members.contains(k)).map(|(k, _)| *k).collect();
        leaving.dedup();
        let Some(target) = self.nodes.iter().find(|n| n.key == to).map(|n| n.peer(PeerRole::Neighbour)) else { return Ok(()) };
        let ids: Vec<_> = leaving.iter().filter_map(|k| self.nodes.iter().find(|n| n.key == *k).map(crate::node::Node::id)).collect();
        let what = format!("hands {patient} over to key {to}, leaving {leaving:?}");
        self.attempt(0, &what, Doubt::HandOver(number, to, leaving), |replica, disk, now, dice| {
            let by = record::ledger::Act::system();
            replica.hand_over(disk, now, dice, &by, Transfer { patient: &patient, to: &target, leaving: &ids }).map_err(commit_error)
        })
        .map(|_| ())
    }

    /// A record must be destroyed.
    ///
    /// # Errors
    /// It cannot be ordered.
    pub fn erase(&mut self) -> Result<(), Failure> {
        let open = self.open_patients(0);
        let Some((number, patient)) = self.fate.pick(&open).cloned() else { return Ok(()) };
        let creator = self.model.patients.get(number).map(|p| p.creator);
        let own = self.nodes.iter().position(|n| Some(n.key) == creator && n.is_up());
        let node = own.filter(|n| self.fate.chance(50) && self.open_patients(*n).iter().any(|(p, _)| *p == number)).unwrap_or(0);
        let what = format!("orders the end of {patient}");
        self.attempt(node, &what, Doubt::Erase(number), |replica, disk, now, dice| {
            let by = record::ledger::Act::system();
            replica.erase(disk, now, dice, &by, &patient).map_err(commit_error)
        })
        .map(|_| ())
    }

    /// The keys of those who certainly take part in a patient's scope.
    #[must_use]
    pub fn members(&self, patient: usize) -> BTreeSet<Key> {
        let Some(patient) = self.model.patients.get(patient) else { return BTreeSet::new() };
        let mut members = BTreeSet::from([patient.creator]);
        if let Some(creator) = self.nodes.iter().position(|n| n.key == patient.creator) {
            members.extend(self.admits(creator).iter().filter_map(|(id, _)| self.nodes.get(*id).map(|n| n.key)));
        }
        for (write, to, leaving) in &patient.moves {
            // What is left of a commit that a disk forgot in part may still have told them to leave.
            members.retain(|m| !leaving.contains(m));
            if self.model.is_sure(*write) {
                members.insert(*to);
            }
        }
        members
    }
}

/// What a membership could not do, as a commit's error.
pub fn commit_error(error: protocol::replica::MembershipError) -> protocol::replica::CommitError {
    match error {
        protocol::replica::MembershipError::Commit(error) => error,
        other => protocol::replica::CommitError::Content(other.to_string()),
    }
}

/// The values an element shows on a disk: one, or several that nobody has chosen from yet.
///
/// # Errors
/// The document cannot be read.
pub fn values(disk: &mut Disk, document: &DocumentId, element: &str) -> Result<BTreeSet<String>, StoreError> {
    let Ok(id) = document.1.parse() else { return Ok(BTreeSet::new()) };
    let Some(stored) = disk.read(|tx| tx.document(document.0, &id))?.filter(|d| !d.json.is_empty()) else { return Ok(BTreeSet::new()) };
    let shown = protocol::replica::parts_of(&stored)?.show(document.0).map_err(|e| StoreError::Other(e.to_string()))?;
    let mut values = BTreeSet::new();
    // A choice element (medication[x]) is in conflict as a whole, whichever of its types each value has.
    let of_element = |c: &&Conflict| c.values.iter().any(|concurrent| concurrent.value.contains_key(element));
    match shown.conflicts.iter().find(of_element) {
        Some(conflict) => values.extend(conflict.values.iter().filter_map(|concurrent| concurrent.value.get(element)).map(value_in)),
        None => values.extend(shown.json.get(element).map(value_in)),
    }
    Ok(values)
}

/// The JSON a disk shows of a document.
///
/// # Errors
/// The document cannot be read.
pub fn json_of(disk: &mut Disk, document: &DocumentId) -> Result<Option<(String, Value)>, StoreError> {
    let Ok(id) = document.1.parse() else { return Ok(None) };
    let stored = disk.read(|tx| tx.document(document.0, &id))?.filter(|d| !d.json.is_empty());
    Ok(stored.and_then(|d| serde_json::from_str(&d.json).ok().map(|json| (d.version, json))))
}

fn bed_name(key: Key, bed: u64) -> String {
    format!("bed-{key}-{bed}")
}

fn device_name(key: Key, bed: u64) -> String {
    format!("ox-{key}-{bed}")
}

fn device_binding(key: Key, bed: u64) -> Option<Binding> {
    let what = Bound::Device(device_name(key, bed).parse().ok()?);
    let id = format!("dev-{key}-{bed}").parse().ok()?;
    Some(Binding { id, what, bed: bed_name(key, bed).parse().ok()?, from: Timestamp(0), until: None })
}

fn numeric(counter: &mut u64) -> Numeric {
    *counter += 1;
    let value = Ok(Decimal::whole(i64::try_from(*counter).unwrap_or(0)));
    Numeric { code: Code::SPO2, value, unit: Unit::Percent, quality: Quality::Good }
}

fn wave(counter: &mut u64) -> WaveBlock {
    *counter += 1;
    let first = i32::try_from(*counter).unwrap_or(0);
    WaveBlock {
        code: Code::SPO2,
        rate_hz: Decimal::whole(100),
        unit: Unit::Percent,
        scale: Decimal::whole(1),
        // Large enough now and then that it is fetched in pieces.
        raw: (0..(if counter.is_multiple_of(97) { 30_000 } else { 20 }))
            .map(|i: i32| first.wrapping_mul(7919).wrapping_add(i.wrapping_mul(i)))
            .collect(),
        good: true,
        demo: false,
    }
}
