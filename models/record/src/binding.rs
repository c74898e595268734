//! Which device reads for which bed, and who lies in it: intervals, resolved at the moment of measurement.
//!
//! Always: a sample belongs to whoever was bound when it was measured, however late it arrives; where two bindings
//! overlap it belongs to neither until a person chooses.

use crate::id::{BedId, DeviceId, PatientId, ResourceId, ScopeId};
use crate::ledger::Hlc;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One interval. A later version of the same id replaces it by [`Hlc`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Binding {
    /// Identity of the interval.
    pub id: ResourceId,
    /// What is bound.
    pub what: Bound,
    /// To which bed.
    pub bed: BedId,
    /// From this moment on.
    pub from: Timestamp,
    /// Up to, not including, this moment; open while absent.
    pub until: Option<Timestamp>,
}

/// What a binding ties to a bed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Bound {
    /// A device reads for the bed.
    Device(DeviceId),
    /// A patient lies in the bed; samples go to the scope.
    Patient {
        /// Who.
        patient: PatientId,
        /// The patient's scope.
        scope: ScopeId,
    },
}

impl Binding {
    fn covers(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// To whom a sample belongs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Owner {
    /// A patient in a bed.
    Patient {
        /// Who.
        patient: PatientId,
        /// Where samples go.
        scope: ScopeId,
        /// The bed.
        bed: BedId,
    },
    /// A bed with nobody in it.
    EmptyBed(BedId),
    /// No binding covers the moment.
    Unbound,
    /// Bindings overlap: a safety conflict.
    Conflict,
}

/// All bindings known, newest version of each.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bindings {
    by_id: BTreeMap<ResourceId, (Hlc, Binding)>,
}

impl Bindings {
    /// Takes in a version; an older one than is held changes nothing. Order and repeats do not matter.
    pub fn apply(&mut self, hlc: Hlc, binding: Binding) {
        match self.by_id.get(&binding.id) {
            // Equal stamps of different content: the greater content wins everywhere alike.
            Some((held, old)) if (*held, order_key(old)) >= (hlc, order_key(&binding)) => {}
            _ => {
                self.by_id.insert(binding.id.clone(), (hlc, binding));
            }
        }
    }

    /// Every binding.
    pub fn iter(&self) -> impl Iterator<Item = &Binding> {
        self.by_id.values().map(|(_, binding)| binding)
    }

    /// Whether no binding begins or ends after `from` and up to `to`: whose a device's samples are is the same all the while.
    #[must_use]
    pub fn is_settled(&self, from: Timestamp, to: Timestamp) -> bool {
        let between = |at: Timestamp| from < at && at <= to;
        !self.iter().any(|binding| between(binding.from) || binding.until.is_some_and(between))
    }

    /// The bindings that cover a moment.
    pub fn at(&self, at: Timestamp) -> impl Iterator<Item = &Binding> {
        self.iter().filter(move |binding| binding.covers(at))
    }

    /// The bed a device reads for at a moment; the first in id order if there are several.
    #[must_use]
    pub fn bed_of(&self, device: &DeviceId, at: Timestamp) -> Option<&BedId> {
        self.at(at).find(|b| matches!(&b.what, Bound::Device(d) if d == device)).map(|b| &b.bed)
    }

    /// Who lies in a bed at a moment.
    #[must_use]
    pub fn patient_in(&self, bed: &BedId, at: Timestamp) -> Option<(&PatientId, ScopeId)> {
        self.at(at).filter(|b| &b.bed == bed).find_map(|b| match &b.what {
            Bound::Patient { patient, scope } => Some((patient, *scope)),
            Bound::Device(_) => None,
        })
    }

    /// To whom what `device` measured at `at` belongs.
    #[must_use]
    pub fn owner(&self, device: &DeviceId, at: Timestamp) -> Owner {
        let mut beds = self.at(at).filter(|b| matches!(&b.what, Bound::Device(d) if d == device)).map(|b| &b.bed);
        let Some(bed) = beds.next() else { return Owner::Unbound };
        if beds.any(|other| other != bed) {
            return Owner::Conflict;
        }
        let mut patients = self.at(at).filter(|b| &b.bed == bed).filter_map(|b| match &b.what {
            Bound::Patient { patient, scope } => Some((patient, *scope)),
            Bound::Device(_) => None,
        });
        let Some((patient, scope)) = patients.next() else { return Owner::EmptyBed(bed.clone()) };
        if patients.any(|(other, _)| other != patient) {
            return Owner::Conflict;
        }
        Owner::Patient { patient: patient.clone(), scope, bed: bed.clone() }
    }
}

fn order_key(binding: &Binding) -> (Timestamp, Option<Timestamp>, &Bound, &BedId) {
    (binding.from, binding.until, &binding.what, &binding.bed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(id: &str, what: Bound, bed: &str, from: i64, until: Option<i64>) -> Binding {
        Binding { id: id.parse().expect("id"), what, bed: bed.parse().expect("bed"), from: Timestamp(from), until: until.map(Timestamp) }
    }
    fn patient(name: &str) -> Bound {
        Bound::Patient { patient: name.parse().expect("patient"), scope: ScopeId([name.len() as u8; 16]) }
    }
    fn device() -> DeviceId {
        "ox-1".parse().expect("device")
    }
    fn stamp(n: u64) -> Hlc {
        Hlc { trusted: true, wall_ms: n, counter: 0 }
    }

    #[test]
    fn a_late_sample_goes_to_whoever_lay_there_when_it_was_measured() {
        let mut all = Bindings::default();
        all.apply(stamp(1), bind("d", Bound::Device(device()), "2", 0, None));
        all.apply(stamp(1), bind("p", patient("ana"), "2", 0, Some(100)));
        all.apply(stamp(2), bind("q", patient("berta"), "2", 100, None));
        let owner = |at| match all.owner(&device(), Timestamp(at)) {
            Owner::Patient { patient, .. } => patient.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(owner(99), "ana");
        assert_eq!(owner(100), "berta");
        assert_eq!(all.owner(&device(), Timestamp(-1)), Owner::Unbound);
    }

    #[test]
    fn overlapping_patients_in_one_bed_are_a_conflict_and_filed_to_neither() {
        let mut all = Bindings::default();
        all.apply(stamp(1), bind("d", Bound::Device(device()), "2", 0, None));
        all.apply(stamp(1), bind("p", patient("ana"), "2", 0, None));
        all.apply(stamp(1), bind("q", patient("berta"), "2", 50, None));
        assert_eq!(all.owner(&device(), Timestamp(60)), Owner::Conflict);
    }

    #[test]
    fn versions_may_arrive_in_any_order() {
        let open = bind("p", patient("ana"), "2", 0, None);
        let closed = bind("p", patient("ana"), "2", 0, Some(10));
        let (mut a, mut b) = (Bindings::default(), Bindings::default());
        a.apply(stamp(1), open.clone());
        a.apply(stamp(2), closed.clone());
        b.apply(stamp(2), closed);
        b.apply(stamp(1), open);
        assert_eq!(a, b);
    }
}
