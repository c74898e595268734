//! Putting right who lay in a bed: bindings that hold from an earlier moment on, and what moves because of them.
//!
//! Always: what is sealed moves in the commit that writes the bindings; what is not sealed yet follows them when it is.

use crate::MANUAL;
use crate::association::{Association, close, placed};
use crate::commands::CommandError;
use crate::patients::Patients;
use protocol::{Draft, Where};
use record::binding::{Binding, Bindings, Bound, Owner};
use record::id::{BedId, DeviceId, PatientId, ResourceId};
use record::time::{Now, Timestamp};
use std::collections::BTreeSet;

/// How far back a correction may reach: a shift. What is moved is written again, all of it in one commit.
const BACK_MAX_US: i64 = 12 * 3600 * 1_000_000;
/// How far a person's clock may be ahead.
const AHEAD_MAX_US: i64 = 60_000_000;

impl Association {
    /// The bindings by which a patient has lain in a bed since a moment, or nobody has, and what of the sealed samples moves.
    /// Whoever was there since, and wherever else the patient was, is corrected too. Nothing if it is so already.
    ///
    /// # Errors
    /// The moment is out of bounds, or the patient's scope is not known here.
    pub fn correct(
        &self,
        bed: &BedId,
        patient: Option<&PatientId>,
        since: Timestamp,
        patients: &Patients,
        now: Now,
        id: ResourceId,
    ) -> Result<Vec<Draft>, CommandError> {
        let ago = now.wall.micros_since(since);
        if ago < -AHEAD_MAX_US {
            return Err(CommandError::InFuture);
        }
        if ago > BACK_MAX_US {
            return Err(CommandError::TooLongAgo { hours_max: BACK_MAX_US / 3_600_000_000 });
        }
        let since = since.min(now.wall);
        let who = |b: &Binding| match &b.what {
            Bound::Patient { patient, .. } => Some(patient.clone()),
            Bound::Device(_) => None,
        };
        let later = |b: &&Binding| b.until.is_none_or(|until| until > since && until > b.from);
        let touches = |b: &&Binding| who(b).is_some_and(|held| b.bed == *bed || Some(&held) == patient);
        let touched: Vec<Binding> = self.bindings.iter().filter(later).filter(touches).cloned().collect();
        let stays = |b: &Binding| b.bed == *bed && b.until.is_none() && b.from <= since && who(b).as_ref() == patient;
        if touched.iter().all(stays) && touched.is_empty() == patient.is_none() {
            return Ok(Vec::new());
        }
        let beds: BTreeSet<BedId> = touched.iter().map(|b| b.bed.clone()).chain([bed.clone()]).collect();
        let mut bindings: Vec<Binding> = touched.into_iter().map(|b| close(b, since)).collect();
        if let Some(patient) = patient {
            let scope = self.scopes.get(patient).copied();
            let scope = scope.ok_or_else(|| CommandError::UnknownPatient { patient: patient.to_string() })?;
            let what = Bound::Patient { patient: patient.clone(), scope };
            bindings.push(Binding { id, what, bed: bed.clone(), from: since, until: None });
        }
        let (mut after, stamp) = (self.bindings.clone(), self.stamp.tick(now));
        for binding in &bindings {
            after.apply(stamp, binding.clone());
        }
        let moved = self.moved(&after, since, &beds, patients);
        Ok(bindings.into_iter().map(Draft::Bind).chain(moved).collect())
    }

    /// What belongs elsewhere by other bindings, of what was measured since a moment.
    fn moved(&self, after: &Bindings, since: Timestamp, beds: &BTreeSet<BedId>, patients: &Patients) -> Vec<Draft> {
        let edges = |bindings: &Bindings| -> Vec<Timestamp> { bindings.iter().flat_map(|b| [Some(b.from), b.until]).flatten().collect() };
        let mut edges: Vec<Timestamp> = edges(&self.bindings).into_iter().chain(edges(after)).filter(|at| *at > since).collect();
        edges.push(since);
        edges.sort_unstable();
        edges.dedup();
        let devices: BTreeSet<&DeviceId> = self.bindings.iter().filter_map(|b| device_of(b)).collect();
        let mut drafts: Vec<Draft> = Vec::new();
        for (at, from) in edges.iter().enumerate() {
            let last = edges.get(at + 1).map_or(Timestamp(i64::MAX), |next| next.plus_micros(-1));
            for device in &devices {
                let (was, is) = (self.owner_in(&self.bindings, device, *from), self.owner_in(after, device, *from));
                // Where demonstration data lie may differ from where all else does.
                for demo in [false, true] {
                    let place = |owner: &Owner| placed(owner.clone(), demo, patients).place;
                    refile(&mut drafts, (place(&was), place(&is)), device, (*from, last));
                }
            }
            let Ok(manual) = MANUAL.parse::<DeviceId>() else { continue };
            for bed in beds {
                let place = |bindings| self.patient_at_in(bindings, bed, *from).map(|(patient, _)| Where::Patient(patient.clone()));
                if let Some(was) = place(&self.bindings) {
                    refile(&mut drafts, (was, place(after).unwrap_or(Where::Unassigned)), &manual, (*from, last));
                }
            }
        }
        drafts
    }
}

fn device_of(binding: &Binding) -> Option<&DeviceId> {
    match &binding.what {
        Bound::Device(device) => Some(device),
        Bound::Patient { .. } => None,
    }
}

/// Adds a move, or makes one that ends where it begins longer.
fn refile(drafts: &mut Vec<Draft>, (was, is): (Where, Where), moved: &DeviceId, (from, last): (Timestamp, Timestamp)) {
    if was == is {
        return;
    }
    for draft in drafts.iter_mut() {
        if let Draft::Refile { from: held, to, device, start, end } = draft
            && (&*held, &*to, &*device) == (&was, &is, moved)
        {
            if (*start, *end) == (from, last) {
                return;
            }
            if end.plus_micros(1) == from {
                *end = last;
                return;
            }
        }
    }
    drafts.push(Draft::Refile { from: was, to: is, device: moved.clone(), start: from, end: last });
}
