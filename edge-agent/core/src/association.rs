//! Whose a measurement is: bindings resolved at the moment of measurement, and the acts that make bindings.
//!
//! Always: overlapping bindings file to nobody until a person chooses; demonstration data reach only patients tagged test.

use crate::MANUAL;
use crate::chart::Whose;
use crate::commands::CommandError;
use crate::patients::Patients;
use protocol::Where;
use record::binding::{Binding, Bindings, Bound, Owner};
use record::id::{BedId, DeviceId, PatientId, ResourceId, ScopeId};
use record::ledger::Hlc;
use record::observation::Quality;
use record::series::Frame;
use record::time::{Now, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Where a frame goes and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Placed {
    pub place: Where,
    pub bed: Option<BedId>,
    pub why: Why,
}

/// Why a frame goes where it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// A patient lay in the bed the device read for.
    Filed,
    /// Nobody did.
    EmptyBed,
    /// The device read for no bed.
    Unbound,
    /// Bindings overlapped.
    Conflict,
    /// Demonstration data, and the patient is not tagged test.
    Demo,
}

impl Placed {
    /// The chart it belongs to, if any.
    pub fn whose(&self) -> Option<Whose> {
        match (&self.place, &self.bed, self.why) {
            (Where::Patient(patient), _, _) => Some(Whose::Patient(patient.clone())),
            (_, Some(bed), Why::EmptyBed) => Some(Whose::EmptyBed(bed.clone())),
            _ => None,
        }
    }

    pub fn patient(&self) -> Option<&PatientId> {
        match &self.place {
            Where::Patient(patient) => Some(patient),
            Where::Site | Where::Unassigned => None,
        }
    }
}

/// All bindings, and what they say of this moment.
#[derive(Debug, Default)]
pub(crate) struct Association {
    pub(crate) bindings: Bindings,
    pub(crate) stamp: Hlc,
    pub(crate) scopes: BTreeMap<PatientId, ScopeId>,
    /// Owners by device, each with the interval it holds for; a ward asks for the same ones all day.
    owners: BTreeMap<DeviceId, (Timestamp, Timestamp, Owner)>,
    patients_in: BTreeMap<BedId, PatientId>,
    here_since: BTreeMap<PatientId, Timestamp>,
    beds_of: BTreeMap<DeviceId, BedId>,
    conflicts: BTreeSet<BedId>,
    /// Patients whose record is no longer here: to them nothing is filed.
    closed: BTreeSet<PatientId>,
    /// Beds with such a patient in them.
    closed_in: BTreeSet<BedId>,
}

impl Association {
    /// Takes in versions of bindings. [`Self::refresh`] makes them count for the present.
    pub fn apply(&mut self, versions: impl IntoIterator<Item = (Hlc, Binding)>) {
        for (hlc, binding) in versions {
            self.stamp = self.stamp.max(hlc);
            self.bindings.apply(hlc, binding);
        }
        self.owners.clear();
    }

    /// Takes in versions that this agent wrote. The entry's own stamp is the replica's and within a moment of this one.
    pub fn apply_own(&mut self, bindings: impl IntoIterator<Item = Binding>, now: Now) {
        self.stamp = self.stamp.tick(now);
        let stamp = self.stamp;
        self.apply(bindings.into_iter().map(|binding| (stamp, binding)));
    }

    pub fn know_scopes(&mut self, scopes: impl IntoIterator<Item = (PatientId, ScopeId)>) {
        for (patient, scope) in scopes {
            self.closed.remove(&patient);
            self.scopes.insert(patient, scope);
        }
        self.owners.clear();
    }

    /// The record of a patient is no longer here. [`Self::refresh`] makes it count for the present.
    pub fn close(&mut self, patient: PatientId) {
        self.scopes.remove(&patient);
        self.closed.insert(patient);
        self.owners.clear();
    }

    /// Whether whoever was put into a bed has no record here any more.
    pub fn is_closed_in(&self, bed: &BedId) -> bool {
        self.closed_in.contains(bed)
    }

    /// Works out who lies where and what reads for which bed at a moment. True if that has changed.
    pub fn refresh(&mut self, at: Timestamp) -> bool {
        let (mut patients_in, mut beds_of, mut conflicts) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let mut closed_in = BTreeSet::new();
        for binding in self.bindings.at(at) {
            match &binding.what {
                Bound::Device(device) => {
                    beds_of.entry(device.clone()).or_insert_with(|| binding.bed.clone());
                }
                Bound::Patient { patient, .. } if self.closed.contains(patient) => {
                    closed_in.insert(binding.bed.clone());
                }
                Bound::Patient { patient, .. } => {
                    let held = patients_in.entry(binding.bed.clone()).or_insert_with(|| patient.clone());
                    if held != patient {
                        conflicts.insert(binding.bed.clone());
                    }
                }
            }
        }
        conflicts.iter().for_each(|bed| {
            patients_in.remove(bed);
        });
        self.here_since = patients_in.values().map(|patient| (patient.clone(), self.stay_began(patient, at))).collect();
        let changed =
            (&patients_in, &beds_of, &conflicts, &closed_in) != (&self.patients_in, &self.beds_of, &self.conflicts, &self.closed_in);
        self.closed_in = closed_in;
        (self.patients_in, self.beds_of, self.conflicts) = (patients_in, beds_of, conflicts);
        changed
    }

    /// Who lies in a bed; nobody while bindings conflict.
    pub fn patient_in(&self, bed: &BedId) -> Option<&PatientId> {
        self.patients_in.get(bed)
    }

    /// Beds with a patient in them.
    pub fn occupied(&self) -> impl Iterator<Item = (&BedId, &PatientId)> {
        self.patients_in.iter()
    }

    /// Since when a patient in a bed has been in one without a break; moves are none.
    pub fn here_since(&self, patient: &PatientId) -> Option<Timestamp> {
        self.here_since.get(patient).copied()
    }

    fn stay_began(&self, patient: &PatientId, at: Timestamp) -> Timestamp {
        let theirs = |b: &&Binding| matches!(&b.what, Bound::Patient { patient: of, .. } if of == patient);
        let mut began = at;
        // Each turn goes back by one bed.
        while let Some(earlier) = self
            .bindings
            .iter()
            .filter(theirs)
            .filter(|b| b.from < began && b.until.is_none_or(|until| until >= began))
            .map(|b| b.from)
            .min()
        {
            began = earlier;
        }
        began
    }

    pub fn bed_of(&self, device: &DeviceId) -> Option<&BedId> {
        self.beds_of.get(device)
    }

    /// Whose a frame is.
    pub fn place(&mut self, frame: &Frame, patients: &Patients) -> Placed {
        let demo = frame.waves.iter().any(|w| w.demo) || frame.numerics.iter().any(|n| n.quality == Quality::Demo);
        let owner = if frame.device.as_str() == MANUAL { self.in_bed(frame) } else { self.owner(&frame.device, frame.measured) };
        placed(owner, demo, patients)
    }

    /// Whose what a device measured at a moment is.
    pub fn place_at(&mut self, device: &DeviceId, measured: Timestamp, demo: bool, patients: &Patients) -> Placed {
        placed(self.owner(device, measured), demo, patients)
    }

    /// Whether bindings of this device have ever been made.
    pub fn was_bound(&self, device: &DeviceId) -> bool {
        self.bindings.iter().any(|b| matches!(&b.what, Bound::Device(d) if d == device))
    }

    /// The bindings that put a patient into a bed from now on, or leave it empty; none if that is so already.
    ///
    /// # Errors
    /// The patient's scope is not known here yet.
    pub fn put_patient(&self, bed: &BedId, patient: Option<&PatientId>, now: Now, id: ResourceId) -> Result<Vec<Binding>, CommandError> {
        let who = |b: &Binding| match &b.what {
            Bound::Patient { patient, .. } => Some(patient.clone()),
            Bound::Device(_) => None,
        };
        let touched =
            self.open(now.wall).filter(|b| who(b).is_some_and(|held| b.bed == *bed || Some(&held) == patient)).cloned().collect::<Vec<_>>();
        if let ([only], Some(patient)) = (touched.as_slice(), patient)
            && only.bed == *bed
            && who(only).as_ref() == Some(patient)
        {
            return Ok(Vec::new());
        }
        let mut bindings: Vec<Binding> = touched.into_iter().map(|b| close(b, now.wall)).collect();
        if let Some(patient) = patient {
            let scope = self.scopes.get(patient).copied();
            let scope = scope.ok_or_else(|| CommandError::UnknownPatient { patient: patient.to_string() })?;
            let what = Bound::Patient { patient: patient.clone(), scope };
            bindings.push(Binding { id, what, bed: bed.clone(), from: now.wall, until: None });
        }
        Ok(bindings)
    }

    /// The bindings that make a device read for a bed from now on; none if it does already.
    ///
    /// # Errors
    /// It reads for another bed and is not to be moved.
    pub fn put_device(
        &self,
        device: &DeviceId,
        bed: &BedId,
        may_move: bool,
        now: Now,
        id: ResourceId,
    ) -> Result<Vec<Binding>, CommandError> {
        let open: Vec<&Binding> = self.open(now.wall).filter(|b| matches!(&b.what, Bound::Device(d) if d == device)).collect();
        if let [only] = open.as_slice()
            && only.bed == *bed
        {
            return Ok(Vec::new());
        }
        if let Some(other) = open.iter().find(|b| b.bed != *bed)
            && !may_move
        {
            return Err(CommandError::DeviceElsewhere { device: device.to_string(), bed: other.bed.to_string() });
        }
        let mut bindings: Vec<Binding> = open.into_iter().cloned().map(|b| close(b, now.wall)).collect();
        bindings.push(Binding { id, what: Bound::Device(device.clone()), bed: bed.clone(), from: now.wall, until: None });
        Ok(bindings)
    }

    /// The bindings that let one device take another's place from now on.
    ///
    /// # Errors
    /// The one reads for no bed, or the other for another bed and is not to be moved.
    pub fn swap_devices(
        &self,
        old: &DeviceId,
        new: &DeviceId,
        may_move: bool,
        now: Now,
        id: ResourceId,
    ) -> Result<(BedId, Vec<Binding>), CommandError> {
        let unbound = || CommandError::DeviceUnbound { device: old.to_string() };
        let bed = self.beds_of.get(old).cloned().ok_or_else(unbound)?;
        let mut bindings = self.release(old, now);
        bindings.extend(self.put_device(new, &bed, may_move, now, id)?);
        Ok((bed, bindings))
    }

    /// The bindings that make a device read for no bed from now on.
    pub fn release(&self, device: &DeviceId, now: Now) -> Vec<Binding> {
        let theirs = |b: &&Binding| matches!(&b.what, Bound::Device(d) if d == device);
        self.open(now.wall).filter(theirs).cloned().map(|b| close(b, now.wall)).collect()
    }

    /// The stretches of time in which a device read for a bed, oldest first; those that were taken back at once are left out.
    pub fn spans(&self, device: &DeviceId) -> Vec<&Binding> {
        let theirs = |b: &&Binding| matches!(&b.what, Bound::Device(d) if d == device) && b.until != Some(b.from);
        let mut spans: Vec<&Binding> = self.bindings.iter().filter(theirs).collect();
        spans.sort_by_key(|b| b.from);
        spans
    }

    /// Who lay in a bed at a moment; nobody where bindings overlap.
    pub fn lay_in(&self, bed: &BedId, at: Timestamp) -> Option<PatientId> {
        self.patient_at(bed, at).map(|(patient, _)| patient.clone())
    }

    /// As some bindings have it; one whose record is closed is nobody.
    pub(crate) fn owner_in(&self, bindings: &Bindings, device: &DeviceId, at: Timestamp) -> Owner {
        match bindings.owner(device, at) {
            Owner::Patient { patient, bed, .. } if self.closed.contains(&patient) => Owner::EmptyBed(bed),
            owner => owner,
        }
    }

    fn patient_at(&self, bed: &BedId, at: Timestamp) -> Option<(&PatientId, ScopeId)> {
        self.patient_at_in(&self.bindings, bed, at)
    }

    /// As some bindings have it.
    pub(crate) fn patient_at_in<'a>(&self, bindings: &'a Bindings, bed: &BedId, at: Timestamp) -> Option<(&'a PatientId, ScopeId)> {
        let mut patients = bindings.at(at).filter(|b| b.bed == *bed).filter_map(|b| match &b.what {
            Bound::Patient { patient, scope } => Some((patient, *scope)).filter(|_| !self.closed.contains(patient)),
            Bound::Device(_) => None,
        });
        let first = patients.next()?;
        patients.all(|(other, _)| other == first.0).then_some(first)
    }

    fn in_bed(&self, frame: &Frame) -> Owner {
        let Some(bed) = &frame.bed else { return Owner::Unbound };
        match self.patient_at(bed, frame.measured) {
            Some((patient, scope)) => Owner::Patient { patient: patient.clone(), scope, bed: bed.clone() },
            None => Owner::EmptyBed(bed.clone()),
        }
    }

    fn owner(&mut self, device: &DeviceId, at: Timestamp) -> Owner {
        if let Some((from, until, owner)) = self.owners.get(device)
            && *from <= at
            && at < *until
        {
            return owner.clone();
        }
        let owner = self.owner_in(&self.bindings, device, at);
        let (mut from, mut until) = (Timestamp(i64::MIN), Timestamp(i64::MAX));
        for edge in self.bindings.iter().flat_map(|b| [Some(b.from), b.until]).flatten() {
            if edge <= at {
                from = from.max(edge);
            } else {
                until = until.min(edge);
            }
        }
        self.owners.insert(device.clone(), (from, until, owner.clone()));
        owner
    }

    /// Bindings that hold now or begin later: a clock that was set back leaves such ones behind.
    fn open(&self, at: Timestamp) -> impl Iterator<Item = &Binding> {
        self.bindings.iter().filter(move |b| b.until.is_none_or(|until| until > at && until > b.from))
    }
}

pub(crate) fn placed(owner: Owner, demo: bool, patients: &Patients) -> Placed {
    match owner {
        Owner::Patient { patient, bed, .. } if demo && !patients.is_test(&patient) => {
            Placed { place: Where::Unassigned, bed: Some(bed), why: Why::Demo }
        }
        Owner::Patient { patient, bed, .. } => Placed { place: Where::Patient(patient), bed: Some(bed), why: Why::Filed },
        Owner::EmptyBed(bed) => Placed { place: Where::Unassigned, bed: Some(bed), why: Why::EmptyBed },
        Owner::Unbound => Placed { place: Where::Unassigned, bed: None, why: Why::Unbound },
        Owner::Conflict => Placed { place: Where::Unassigned, bed: None, why: Why::Conflict },
    }
}

pub(crate) fn close(binding: Binding, at: Timestamp) -> Binding {
    Binding { until: Some(at.max(binding.from)), ..binding }
}
