//! Ready views: words, bands and order are decided here. They show only what is durable, or say that nothing is being saved.

use crate::agent::Agent;
use crate::alert_document::charted;
use crate::chart::{Chart, Point, Whose};
use crate::devices::Device;
use crate::effects::Effect;
use edge_api::alert::AlertView;
use edge_api::live::LiveMessage;
use edge_api::ward::{BedView, DeviceView, NumericView, PatientView, ScorePart, ScoreView, SiteView, WardView, WaveView};
use record::code::Code;
use record::id::{BedId, PatientId};
use record::time::{Monotonic, Now};
use risk::{Assessment, Standing};

/// A bed's view is sent at most this often; alerts and devices are sent at once.
const SHOW_EVERY_US: u64 = 200_000;
/// A wave not heard for this long is no longer offered.
const WAVE_GONE_US: i64 = 10_000_000;

/// The order of numerics on a tile; others follow by code.
const ORDER: &[Code] = &[
    Code::HEART_RATE,
    Code::PULSE_RATE,
    Code::SPO2,
    Code::RESPIRATORY_RATE,
    Code::RESPIRATORY_RATE_IMPEDANCE,
    Code::RESPIRATORY_RATE_CO2,
    Code::NIBP_SYSTOLIC,
    Code::NIBP_DIASTOLIC,
    Code::NIBP_MEAN,
    Code::TEMPERATURE,
    Code::TEMPERATURE_BODY,
];

impl Agent {
    /// The ward board.
    #[must_use]
    pub fn ward(&self, now: Now) -> WardView {
        WardView {
            site: SiteView {
                name: self.settings.site.clone(),
                replica: self.settings.replica.to_string(),
                version: self.settings.version.clone(),
            },
            as_of_ms: now.wall.millis(),
            beds: self.settings.beds.iter().map(|bed| self.bed_view(bed, now)).collect(),
            alerts: self.alerts.list(&self.patients, now.wall, false),
            sync: self.sync.clone(),
            saving: self.saving.view().clone(),
        }
    }

    /// Every configured device.
    #[must_use]
    pub fn devices(&self) -> Vec<DeviceView> {
        let in_use = self.devices.iter().filter(|device| !device.on_trial);
        in_use.map(|device| device.view(self.association.bed_of(&device.setting.id))).collect()
    }

    /// Open alerts, gravest and oldest first, then those resolved in the last hour.
    #[must_use]
    pub fn alerts(&self, now: Now) -> Vec<AlertView> {
        self.alerts.list(&self.patients, now.wall, true)
    }

    /// Sends what has changed.
    pub(crate) fn show(&mut self, now: Now, out: &mut Vec<Effect>) {
        for device in self.devices.iter_mut().filter(|device| device.touched && !device.on_trial) {
            device.touched = false;
            let bed = self.association.bed_of(&device.setting.id);
            self.beds_changed.extend(bed.cloned());
            out.push(LiveMessage::Device(device.view(bed)).into());
        }
        let due: Vec<BedId> = self.beds_changed.iter().filter(|bed| self.show_at(bed).is_none_or(|at| at <= now.mono)).cloned().collect();
        for bed in due {
            self.beds_changed.remove(&bed);
            if self.settings.beds.contains(&bed) {
                out.push(LiveMessage::Bed(Box::new(self.bed_view(&bed, now))).into());
                self.beds_shown.insert(bed, now.mono);
            }
        }
    }

    /// When a bed's view that has changed may be sent.
    pub(crate) fn next_show(&self, now: Now) -> Option<Monotonic> {
        self.beds_changed.iter().map(|bed| self.show_at(bed).unwrap_or(now.mono)).min()
    }

    fn show_at(&self, bed: &BedId) -> Option<Monotonic> {
        self.beds_shown.get(bed).map(|at| at.plus_micros(SHOW_EVERY_US))
    }

    fn bed_view(&self, bed: &BedId, now: Now) -> BedView {
        let patient = self.association.patient_in(bed);
        let whose = patient.map_or_else(|| Whose::EmptyBed(bed.clone()), |p| Whose::Patient(p.clone()));
        let empty = Chart::default();
        let chart = self.charts.get(&whose).unwrap_or(&empty);
        let assessment = patient.and_then(|p| self.assessment(p));
        let devices: Vec<&Device> = self.devices.iter().filter(|d| self.association.bed_of(&d.setting.id) == Some(bed)).collect();
        let mut numerics: Vec<&Point> = chart.latest().collect();
        numerics.sort_by_key(|p| (ORDER.iter().position(|c| *c == p.numeric.code).unwrap_or(ORDER.len()), p.numeric.code));
        let heard = chart.waves.iter().filter(|(_, w)| now.wall.micros_since(w.arrived).abs() <= WAVE_GONE_US);
        BedView {
            bed: bed.to_string(),
            record_closed: patient.is_none() && self.association.is_closed_in(bed),
            patient: patient.map(|id| self.patients.get(id).map_or_else(|| unknown(id), |p| p.view(now.wall))),
            numerics: numerics.into_iter().map(|point| numeric_view(point, assessment)).collect(),
            waves: heard
                .map(|(code, wave)| WaveView {
                    code: code.to_string(),
                    label: code.label(),
                    rate_hz: wave.rate_hz.to_f64(),
                    unit: wave.unit.ucum().to_owned(),
                })
                .collect(),
            score: assessment.map(score_view),
            device_alarms: devices.iter().flat_map(|device| self.device_alarms.views(&device.setting.id, bed, patient, now.wall)).collect(),
            devices: devices.iter().map(|device| device.view(Some(bed))).collect(),
        }
    }

    fn assessment(&self, patient: &PatientId) -> Option<&Assessment> {
        self.scores.get(patient).and_then(|scored| scored.result.as_ref().ok())
    }
}

/// Somebody whose Patient has not arrived yet.
fn unknown(id: &PatientId) -> PatientView {
    PatientView { id: id.to_string(), name: String::new(), birth_date: None, age_years: None, gender: None, identifier: None, test: false }
}

fn numeric_view(point: &Point, assessment: Option<&Assessment>) -> NumericView {
    let numeric = &point.numeric;
    let used = assessment.into_iter().flat_map(|a| &a.parts).find_map(|part| match &part.standing {
        Standing::Used(used) if used.code == numeric.code => Some(used.points),
        _ => None,
    });
    NumericView {
        code: numeric.code.to_string(),
        key: numeric.code.key(),
        label: numeric.code.label(),
        value: numeric.value.clone().ok(),
        unit: numeric.unit.ucum().to_owned(),
        unit_shown: numeric.unit.shown().to_owned(),
        status: numeric.status(),
        measured_ms: point.measured.millis(),
        device: point.device.to_string(),
        // A value that is not there earns nothing, even while the one before it still counts.
        points: used.filter(|_| numeric.value.is_ok()),
    }
}

fn score_view(assessment: &Assessment) -> ScoreView {
    let labels = |parameters: &mut dyn Iterator<Item = risk::Parameter>| parameters.map(|p| p.label().to_owned()).collect();
    let parts = assessment.parts.iter().filter_map(|part| match &part.standing {
        Standing::Used(used) => Some(ScorePart {
            parameter: part.parameter.label().to_owned(),
            value: charted(part),
            points: used.points,
            age_s: used.age_s.into(),
        }),
        _ => None,
    });
    ScoreView {
        name: assessment.score.to_uppercase(),
        total: assessment.total.is_exact().then(|| assessment.total.points()),
        at_least: assessment.total.points(),
        text: assessment.total.to_string(),
        band: assessment.risk.to_lowercase().replace('–', "-"),
        single_three: assessment.single_three().next().is_some(),
        response: assessment.response.to_string(),
        parts: parts.collect(),
        missing: labels(&mut assessment.missing()),
        stale: labels(&mut assessment.stale()),
        rules: assessment.rules_version.to_string(),
    }
}
