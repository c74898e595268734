//! A vital sign as one FHIR Observation will show it: a numeric of a frame, or the parts of one blood pressure.

use crate::code::Code;
use crate::id::{DeviceId, PatientId};
use crate::series::{Boot, Excerpt, Frame, Numeric};
use crate::time::Timestamp;
use std::fmt;
use std::str::FromStr;

/// What one Observation is about.
#[derive(Clone, PartialEq, Debug)]
pub struct Vital {
    /// Whom it is about.
    pub patient: PatientId,
    /// What measured it.
    pub device: DeviceId,
    /// In which of its sessions.
    pub boot: Boot,
    /// Sequence number of its first numeric.
    pub seq: u64,
    /// When it was measured.
    pub measured: Timestamp,
    /// When it arrived.
    pub arrived: Timestamp,
    /// What the device's clock said.
    pub device_time: Option<Timestamp>,
    /// One numeric, or the parts of a blood pressure in wire order.
    pub numerics: Vec<Numeric>,
}

impl Vital {
    /// The id of its Observation.
    #[must_use]
    pub const fn id(&self) -> ObservationId {
        ObservationId { measured: self.measured, boot: self.boot, seq: self.seq }
    }
}

/// Where a vital lies in the series, which is also its FHIR id: the same on every replica. Ordered by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObservationId {
    /// When it was measured.
    pub measured: Timestamp,
    /// The device's session.
    pub boot: Boot,
    /// Sequence number of its first numeric.
    pub seq: u64,
}

/// At most 58 characters; text order is time order within a session.
impl fmt::Display for ObservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The sign bit is turned so that moments before 1970 sort first.
        write!(f, "{:016x}-{}-{:x}", (self.measured.0 as u64) ^ (1 << 63), hex::encode(self.boot.0), self.seq)
    }
}

/// Text that is no [`ObservationId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an Observation id has the form time-session-number, in hex")]
pub struct ObservationIdError;

impl FromStr for ObservationId {
    type Err = ObservationIdError;
    fn from_str(text: &str) -> Result<Self, ObservationIdError> {
        let read = || {
            let mut parts = text.split('-');
            let (measured, boot, seq) = (parts.next()?, parts.next()?, parts.next()?);
            let measured = Timestamp((u64::from_str_radix(measured, 16).ok()? ^ (1 << 63)) as i64);
            let mut bytes = [0; 12];
            hex::decode_to_slice(boot, &mut bytes).ok()?;
            let id = Self { measured, boot: Boot(bytes), seq: u64::from_str_radix(seq, 16).ok()? };
            // One id, one spelling.
            (id.to_string() == text).then_some(id)
        };
        read().ok_or(ObservationIdError)
    }
}

/// Which vitals to find.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VitalsQuery {
    /// Whose.
    pub patient: PatientId,
    /// Those that hold at least one of these codes; all if absent.
    pub codes: Option<Vec<Code>>,
    /// Those of this device; all if absent.
    pub device: Option<DeviceId>,
    /// Measured at or after.
    pub from: Timestamp,
    /// Measured before.
    pub to: Timestamp,
    /// Only what comes after this one in the order asked for.
    pub after: Option<ObservationId>,
    /// At most this many.
    pub limit: usize,
    /// Latest measured first; else earliest first.
    pub newest_first: bool,
}

impl VitalsQuery {
    /// Whether a vital is among those asked for, the limit aside.
    #[must_use]
    pub fn takes(&self, vital: &Vital) -> bool {
        let beyond = |after: ObservationId| if self.newest_first { vital.id() < after } else { vital.id() > after };
        vital.patient == self.patient
            && self.from <= vital.measured
            && vital.measured < self.to
            && self.device.as_ref().is_none_or(|device| *device == vital.device)
            && self.codes.as_ref().is_none_or(|codes| vital.numerics.iter().any(|numeric| codes.contains(&numeric.code)))
            && self.after.is_none_or(beyond)
    }

    /// The answer, out of all vitals that may belong to it. What is both sealed and still in the journal counts once.
    #[must_use]
    pub fn select(&self, vitals: impl IntoIterator<Item = Vital>) -> Vec<Vital> {
        self.in_order(vitals.into_iter().filter(|vital| self.takes(vital)).collect())
    }

    /// Vitals that were found, whoever's, in the order asked for, each once, cut at the limit.
    pub(super) fn in_order(&self, mut taken: Vec<Vital>) -> Vec<Vital> {
        taken.sort_by_key(Vital::id);
        taken.dedup_by_key(|vital| vital.id());
        if self.newest_first {
            taken.reverse();
        }
        taken.truncate(self.limit);
        taken
    }
}

/// The vitals of a frame. Systolic, diastolic and mean of one site that came together are one; a second systolic begins
/// another.
#[must_use]
pub fn group(frame: &Frame, patient: &PatientId) -> Vec<Vital> {
    grouped(frame, 0.., patient)
}

/// As [`group`], of part of a frame: it must hold all of what [`together`] says or nothing of it.
#[must_use]
pub fn group_excerpt(excerpt: &Excerpt, patient: &PatientId) -> Vec<Vital> {
    grouped(&excerpt.frame, excerpt.places.iter().copied(), patient)
}

fn grouped(frame: &Frame, places: impl Iterator<Item = u64>, patient: &PatientId) -> Vec<Vital> {
    let mut vitals: Vec<Vital> = Vec::new();
    for (numeric, place) in frame.numerics.iter().zip(places) {
        let joins = pressure_site(numeric.code).and_then(|site| {
            let same = |held: &Numeric| pressure_site(held.code) == Some(site);
            vitals.iter_mut().find(|v| v.numerics.iter().all(same) && !v.numerics.iter().any(|held| held.code == numeric.code))
        });
        match joins {
            Some(vital) => vital.numerics.push(numeric.clone()),
            None => vitals.push(Vital {
                patient: patient.clone(),
                device: frame.device.clone(),
                boot: frame.boot,
                seq: frame.first_seq.saturating_add(place),
                measured: frame.measured,
                arrived: frame.arrived,
                device_time: frame.device_time,
                numerics: vec![numeric.clone()],
            }),
        }
    }
    vitals
}

/// These codes and all that may be in one vital with them.
#[must_use]
pub fn together(codes: &[Code]) -> Vec<Code> {
    let sites = PRESSURES.iter().filter(|(site, _)| codes.iter().any(|code| pressure_site(*code) == Some(*site)));
    let mut all: Vec<Code> = codes.iter().copied().chain(sites.flat_map(|(_, parts)| *parts)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Where a blood pressure is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PressureSite {
    Cuff,
    Artery,
}

/// The parts of a blood pressure, by site: systolic, diastolic, mean.
pub(super) const PRESSURES: [(PressureSite, [Code; 3]); 2] = [
    (PressureSite::Cuff, [Code::NIBP_SYSTOLIC, Code::NIBP_DIASTOLIC, Code::NIBP_MEAN]),
    (PressureSite::Artery, [Code::ABP_SYSTOLIC, Code::ABP_DIASTOLIC, Code::ABP_MEAN]),
];

pub(super) fn pressure_site(code: Code) -> Option<PressureSite> {
    PRESSURES.iter().find(|(_, parts)| parts.contains(&code)).map(|(site, _)| *site)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decimal::Decimal;
    use crate::observation::Reading;
    use crate::time::Monotonic;
    use crate::unit::Unit;
    use proptest::prelude::*;

    fn frame(codes: &[Code]) -> Frame {
        let numeric = |code: &Code| Reading::new(*code, Decimal::whole(80), Unit::MmHg).into();
        Frame {
            device: "mon-1".parse().expect("id"),
            boot: Boot([7; 12]),
            first_seq: 10,
            arrived: Timestamp(2_000),
            arrived_mono: Monotonic(1),
            measured: Timestamp(1_000),
            device_time: None,
            offset_us: None,
            bed: None,
            numerics: codes.iter().map(numeric).collect(),
            waves: Vec::new(),
        }
    }

    fn grouped_of(codes: &[Code]) -> Vec<(u64, usize)> {
        let patient = "p1".parse().expect("id");
        group(&frame(codes), &patient).iter().map(|vital| (vital.seq, vital.numerics.len())).collect()
    }

    #[test]
    fn the_parts_of_one_pressure_are_one_vital_and_sites_stay_apart() {
        let codes = [
            Code::NIBP_SYSTOLIC,
            Code::PULSE_RATE_NIBP,
            Code::ABP_SYSTOLIC,
            Code::NIBP_DIASTOLIC,
            Code::ABP_MEAN,
            Code::NIBP_MEAN,
            Code::NIBP_SYSTOLIC,
        ];
        assert_eq!(grouped_of(&codes), [(10, 3), (11, 1), (12, 2), (16, 1)]);
    }

    #[test]
    fn a_second_page_begins_after_the_first_also_within_one_frame() {
        let all = group(&frame(&[Code::SPO2, Code::PULSE_RATE, Code::TEMPERATURE]), &"p1".parse().expect("id"));
        for newest_first in [true, false] {
            let mut query = VitalsQuery {
                patient: "p1".parse().expect("id"),
                codes: None,
                device: None,
                from: Timestamp(0),
                to: Timestamp(5_000),
                after: None,
                limit: 2,
                newest_first,
            };
            // A vital that is both sealed and in the journal is one.
            let first = query.select(all.iter().chain(&all).cloned());
            query.after = first.last().map(Vital::id);
            let second = query.select(all.clone());
            let mut seqs: Vec<u64> = first.iter().chain(&second).map(|vital| vital.seq).collect();
            seqs.sort_unstable();
            assert_eq!(seqs, [10, 11, 12]);
        }
    }

    proptest! {
        #[test]
        fn vitals_of_an_excerpt_are_those_of_the_frame_that_hold_its_codes(
            places in proptest::collection::vec(0usize..8, 0..14),
            wanted in proptest::collection::vec(0usize..8, 1..3),
        ) {
            let known = [Code::SPO2, Code::TEMPERATURE, Code::NIBP_SYSTOLIC, Code::NIBP_DIASTOLIC, Code::NIBP_MEAN,
                Code::ABP_SYSTOLIC, Code::ABP_DIASTOLIC, Code::ABP_MEAN];
            let of = |places: &[usize]| places.iter().filter_map(|at| known.get(*at).copied()).collect::<Vec<Code>>();
            let (frame, codes, patient) = (frame(&of(&places)), of(&wanted), "p1".parse().expect("id"));
            let holds = |vital: &Vital| vital.numerics.iter().any(|numeric| codes.contains(&numeric.code));
            let said: Vec<Vital> = group(&frame, &patient).into_iter().filter(holds).collect();
            let all = together(&codes);
            let excerpt = Excerpt::of(frame, |code| all.contains(&code));
            let got: Vec<Vital> = excerpt.iter().flat_map(|e| group_excerpt(e, &patient)).filter(holds).collect();
            prop_assert_eq!(got, said);
        }

        #[test]
        fn an_observation_id_is_a_fhir_id_and_reads_back(measured: i64, boot: [u8; 12], seq: u64) {
            let id = ObservationId { measured: Timestamp(measured), boot: Boot(boot), seq };
            prop_assert!(crate::id::is_fhir_id(&id.to_string()));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
        #[test]
        fn no_other_text_is_an_observation_id(text in ".{0,70}") {
            if let Ok(id) = text.parse::<ObservationId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
