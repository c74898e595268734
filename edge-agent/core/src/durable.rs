//! What happens once something is durable: charts move, screens and the network are told, devices are acknowledged.
//! Recovery is the same path, walked with what the store held.

use crate::MANUAL;
use crate::agent::Agent;
use crate::association::Placed;
use crate::chart::Whose;
use crate::commands::CommandError;
use crate::effects::{Effect, LiveEvent, Note, Telemetry};
use crate::input::Room;
use crate::recovered::Recovered;
use crate::refusals::Refusals;
use crate::statements::What;
use crate::writer::{COMMAND_ATTEMPTS, Kind, Moved};
use edge_api::live::{LiveMessage, Stored, WaveHeader};
use protocol::Committed;
use protocol::commit::DocumentState;
use protocol::replica::Standing;
use record::binding::{Binding, Bound};
use record::id::{BedId, DeviceId, PatientId};
use record::observation::Quality;
use record::series::{Frame, decode_tick};
use record::time::Now;
use risk::Source;
use std::collections::{BTreeMap, BTreeSet};

/// Why nothing of a commit was kept.
pub(crate) struct Failure {
    /// There is no room.
    pub full: bool,
    /// In the words of the store.
    pub reason: String,
    /// Ask again after this many milliseconds.
    pub retry_ms: u64,
}

/// How long a restored box without a line to its hub keeps what the backup had not sealed from being filed.
const HELD_BACK_US: u64 = 24 * 3_600_000_000;

impl Agent {
    /// Takes in what the store held.
    pub(crate) fn recover(&mut self, recovered: Recovered, now: Now) -> Vec<Effect> {
        let mut out = Vec::new();
        let Recovered {
            bindings,
            patients,
            scopes,
            closed,
            devices,
            alerts,
            statements,
            values,
            recent,
            ticks,
            sealed_through,
            restored,
            configuration,
        } = recovered;
        self.configure(&configuration, &mut out);
        self.association.know_scopes(scopes);
        closed.iter().for_each(|patient| self.association.close(patient.clone()));
        self.association.apply(bindings);
        self.association.refresh(now.wall);
        for patient in &patients {
            if self.patients.take(patient).is_none() {
                out.push(Effect::Note(Note::UnusableDocument { resource_type: "Patient" }));
            }
        }
        for device in &devices {
            let id: Option<DeviceId> = device.get("id").and_then(|id| id.as_str()).and_then(|id| id.parse().ok());
            if let Some(device) = id.and_then(|id| self.devices.get_mut(&id)) {
                device.documented = true;
            }
            if let Some(recorded) = self.on_record.take(device) {
                self.take_up(recorded, &mut out);
            }
        }
        self.sample_as_told();
        for alert in &alerts {
            self.alerts.take(alert, &self.patients, now.wall, None);
        }
        for statement in &statements {
            self.laboratory.take(statement);
            self.device_alarms.take(statement, |device| self.devices.get(device).is_some() || self.on_record.is_own(device));
        }
        closed.iter().for_each(|patient| self.device_alarms.forget(patient));
        for device in self.device_alarms.standing() {
            self.statements.push(device, now.wall, What::Unheard("restart"));
        }
        for (key, value) in &values {
            self.links.restore(key, value);
        }
        for frame in &recent {
            self.links.remember(frame);
            self.chart(frame, false);
        }
        let sealed: BTreeMap<_, _> = sealed_through.into_iter().map(|(device, boot, waves, next)| ((device, boot, waves), next)).collect();
        let count = ticks.chunk_by(|a, b| a.0 == b.0).count();
        let mut samples = 0u64;
        for (tick, bytes) in ticks {
            for frame in decode_tick(&bytes).unwrap_or_default() {
                let through = |waves: bool| sealed.get(&(frame.device.to_string(), frame.boot, waves)).copied().unwrap_or(0);
                let numerics_end = frame.first_seq.saturating_add(frame.numerics.len() as u64);
                let done = [numerics_end <= through(false), frame.first_seq.saturating_add(frame.len()) <= through(true)];
                samples += if done[0] { 0 } else { frame.numerics.len() as u64 } + if done[1] { 0 } else { frame.waves.len() as u64 };
                self.links.remember(&frame);
                self.chart(&frame, false);
                self.series.take(Some(tick), frame, done);
            }
        }
        // What an earlier run left is sealed at once: its sessions are over.
        self.series.all_due();
        if let Some(since) = restored {
            // A restart does not begin the wait anew.
            let past = u64::try_from(now.wall.micros_since(since)).unwrap_or(0);
            self.series.hold(now.mono.plus_micros(HELD_BACK_US.saturating_sub(past)));
            out.push(Effect::Note(Note::HeldBack));
        }
        if count > 0 {
            out.push(Effect::Note(Note::Recovered { ticks: count, samples }));
        }
        self.to_score.extend(self.association.occupied().map(|(_, patient)| patient.clone()));
        out
    }

    /// The commit of this token is durable.
    pub(crate) fn durable(&mut self, now: Now, token: u64, result: &Committed, out: &mut Vec<Effect>) {
        let Some(done) = self.writer.succeeded(token) else { return };
        self.refusals.taken(done.kind);
        self.links.noted(true);
        self.scarce &= done.kind != Kind::Tick;
        if done.kind == Kind::Report {
            self.limiting.told();
        }
        out.extend(self.saving.goes_on().map(Effect::from));
        if let Some(cut) = &done.cut {
            self.series.sealed(cut);
        }
        if !done.bindings.is_empty() {
            self.association.apply_own(done.bindings.iter().cloned(), now);
            self.rebound(&done.bindings, &done.moved, now);
        }
        self.take_documents(&result.documents, now, out);
        if done.kind == Kind::Statements {
            self.statements.kept();
        }
        self.release(out);
        if let Some(last) = done.frames.last() {
            let count = |of: fn(&Frame) -> u64| u32::try_from(done.frames.iter().map(of).sum::<u64>()).unwrap_or(u32::MAX);
            let stored = Stored {
                numerics: count(|f| f.numerics.len() as u64),
                wave_samples: count(Frame::wave_samples),
                arrived_us: last.arrived.0,
                stored_us: now.wall.0,
            };
            out.push(LiveMessage::Stored(stored).into());
        }
        let mut telemetry = Vec::new();
        for (at, frame) in done.frames.into_iter().enumerate() {
            let placed =
                if at < done.already_shown { self.association.place(&frame, &self.patients) } else { self.show_frame(&frame, out) };
            telemetry.extend(frame.numerics.iter().map(|numeric| Telemetry {
                bed: placed.bed.clone(),
                patient: placed.patient().cloned(),
                device: frame.device.clone(),
                code: numeric.code.to_string(),
                value: numeric.value.clone().ok(),
                unit: numeric.unit.ucum(),
                status: numeric.status(),
                measured: frame.measured,
                arrived: frame.arrived,
            }));
            if frame.device == self.manual {
                self.counts.received += frame.numerics.len() as u64;
                self.manual_seq = self.manual_seq.max(frame.first_seq.saturating_add(frame.len()));
            }
            self.series.take(result.tick, frame, [false, false]);
        }
        if !telemetry.is_empty() {
            out.push(Effect::Telemetry(telemetry));
        }
        if let Some(reply) = done.reply {
            self.commands.pop_front();
            // Who is answered and looks at the ward finds what they did.
            self.show(now, out);
            self.done(reply, now, out);
        }
        if self.losing && !self.writer.has_frames() {
            self.losing = false;
            self.devices.iter_mut().for_each(crate::devices::Device::storing_caught_up);
        }
    }

    /// Nothing of the commit of this token was kept. Frames stay queued; everything else is asked for again.
    pub(crate) fn failed(&mut self, now: Now, token: u64, failure: Failure, out: &mut Vec<Effect>) {
        let Failure { full, reason, retry_ms } = failure;
        let retry_at = now.mono.plus_micros(retry_ms.saturating_mul(1000));
        let Some(failed) = self.writer.failed(token, retry_at) else { return };
        self.links.noted(false);
        out.push(Effect::Note(Note::CommitFailed { reason: reason.clone(), failures: self.writer.failures }));
        // What must not be lost is tried by itself: it takes less room than the readings that wait.
        self.scarce |= full;
        // One refusal may be a busy moment, and of another kind than readings may be about its contents.
        if full || (failed.kind == Kind::Tick && self.writer.failures >= COMMAND_ATTEMPTS) {
            out.extend(self.saving.stopped(full, now.wall).map(Effect::from));
            self.show_unsaved(out);
        }
        match failed.kind {
            Kind::Command => {
                let Some(command) = self.commands.front_mut() else { return };
                command.attempts += 1;
                if command.attempts >= COMMAND_ATTEMPTS
                    && let Some(command) = self.commands.pop_front()
                {
                    let error = if full { CommandError::DiskFull { reason } } else { CommandError::NotSaved { reason } };
                    out.push(Effect::Reply { id: command.id, result: Err(error) });
                }
            }
            Kind::Statements => {
                self.statements.refused(full);
                self.refusals.refused(failed.kind, retry_at);
            }
            Kind::Tick | Kind::Setup | Kind::Report | Kind::Alerts | Kind::Cut => self.refusals.refused(failed.kind, retry_at),
        }
    }

    /// Documents as they are durable, whoever wrote them.
    pub(crate) fn take_documents(&mut self, documents: &[DocumentState], now: Now, out: &mut Vec<Effect>) {
        for document in documents {
            match document.resource_type.as_str() {
                "Patient" => match self.patients.take(&document.json) {
                    Some(patient) => {
                        self.beds_changed.extend(self.association.occupied().filter(|(_, p)| **p == patient).map(|(bed, _)| bed.clone()));
                        self.to_score.insert(patient);
                    }
                    None => out.push(Effect::Note(Note::UnusableDocument { resource_type: "Patient" })),
                },
                "Device" => {
                    let id: Option<DeviceId> = document.id.as_str().parse().ok();
                    if let Some(device) = id.and_then(|id| self.devices.get_mut(&id)) {
                        device.documented = true;
                    }
                    // A device paired with this box is taken up when it is confirmed, or at the next start.
                    self.on_record.take(&document.json);
                }
                "DetectedIssue" => {
                    let view = self.alerts.take(document, &self.patients, now.wall, Some(now.mono));
                    out.extend(view.map(|view| Effect::from(LiveMessage::Alert(view))));
                }
                "DiagnosticReport" | "Observation" => self.laboratory.take(&document.json),
                "Communication" => {
                    let reads = |device: &DeviceId| self.devices.get(device).is_some() || self.on_record.is_own(device);
                    let device = self.device_alarms.take(&document.json, reads);
                    let bed = device.and_then(|device| self.association.bed_of(&device).cloned());
                    // Shown at once.
                    bed.iter().for_each(|bed| {
                        self.beds_shown.remove(bed);
                    });
                    self.beds_changed.extend(bed);
                }
                _ => {}
            }
        }
    }

    /// How often devices are asked, configured and paired ones alike: as the hub wants it, else as their profile says.
    fn sample_as_told(&mut self) {
        for device in self.devices.iter_mut() {
            let (id, name) = (&device.setting.id, &device.setting.profile.name);
            let own = self.settings.devices.iter().find(|setting| setting.id == *id).map(|setting| &setting.profile);
            let Some(said) = own.or_else(|| self.settings.profiles.iter().find(|profile| profile.name == *name)) else { continue };
            let sampling = self.limiting.sampling_of(name).cloned().unwrap_or_default();
            let profile = &mut device.setting.profile;
            profile.interval_s = sampling.interval_s.or(said.interval_s);
            profile.waves = sampling.waves.unwrap_or_else(|| said.waves.clone());
        }
    }

    /// What the hub wants this ward to go by. It counts from this moment; devices are asked anew at their next connection.
    pub(crate) fn configure(&mut self, standing: &Standing, out: &mut Vec<Effect>) {
        if !self.limiting.take(standing) {
            return;
        }
        self.sample_as_told();
        out.push(Effect::Note(Note::Configured { name: self.limiting.runs().0 }));
        self.to_score.extend(self.association.occupied().map(|(_, patient)| patient.clone()));
    }

    /// What was done about a full disk.
    pub(crate) fn room(&mut self, room: Room, now: Now, out: &mut Vec<Effect>) {
        match room {
            Room::Freed(given_up) => {
                out.extend(self.saving.gives_up(given_up, now.wall).map(Effect::from));
                self.scarce = false;
                self.refusals = Refusals::default();
                self.writer.retry_now();
                // Journal ticks whose readings lie in segments are room too.
                self.series.all_due();
            }
            Room::Scarce(given_up) => {
                out.extend(self.saving.gives_up(given_up, now.wall).map(Effect::from));
                self.scarce = true;
                // What is held back keeps the journal from shrinking.
                self.series.release(now.mono);
                self.refusals.taken(Kind::Alerts);
                self.refusals.taken(Kind::Statements);
            }
            Room::Plenty => {
                out.extend(self.saving.has_room().map(Effect::from));
                self.scarce = false;
            }
        }
    }

    /// Records that are no longer here: what was known of them goes, and nothing is filed to them any more.
    pub(crate) fn close(&mut self, patients: Vec<PatientId>, now: Now, out: &mut Vec<Effect>) {
        for patient in patients {
            self.patients.forget(&patient);
            self.charts.clear(&Whose::Patient(patient.clone()));
            self.scores.remove(&patient);
            self.to_score.remove(&patient);
            out.extend(self.alerts.forget(&patient).into_iter().map(|view| Effect::from(LiveMessage::Alert(view))));
            self.device_alarms.forget(&patient);
            self.association.close(patient);
        }
        self.association.refresh(now.wall);
        self.move_alarms(now);
        self.beds_changed.extend(self.settings.beds.iter().cloned());
        self.beds_shown.clear();
    }

    /// Bindings have changed: values go to their owners, and what waits to be sealed is cut here.
    pub(crate) fn rebound(&mut self, bindings: &[Binding], moved: &[Moved], now: Now) {
        self.association.refresh(now.wall);
        self.move_alarms(now);
        let beds: BTreeSet<&BedId> = bindings.iter().map(|b| &b.bed).collect();
        let carried = |device: &DeviceId| bindings.iter().any(|b| matches!(&b.what, Bound::Device(d) if d == device));
        let association = &self.association;
        self.series.devices_due(|device| {
            device.as_str() == MANUAL || carried(device) || association.bed_of(device).is_some_and(|bed| beds.contains(bed))
        });
        let (association, patients) = (&mut self.association, &self.patients);
        self.charts.rehome(moved, |point| {
            let demo = point.numeric.quality == Quality::Demo;
            association.place_at(&point.device, point.measured, demo, patients).whose()
        });
        for (bed, _) in self.association.occupied() {
            self.charts.clear(&Whose::EmptyBed(bed.clone()));
        }
        let association = &self.association;
        self.charts.prune(|whose| match whose {
            Whose::Patient(patient) => association.occupied().any(|(_, p)| p == patient),
            Whose::EmptyBed(_) => true,
        });
        self.beds_changed.extend(self.settings.beds.iter().cloned());
        // Who lies where is shown at once.
        self.beds_shown.retain(|bed, _| !beds.contains(bed));
        self.to_score.extend(self.association.occupied().map(|(_, patient)| patient.clone()));
        self.devices.iter_mut().for_each(|device| device.touched = true);
    }

    /// Shows what waits to be saved: while nothing can be, a bed must not look as it did when that began.
    pub(crate) fn show_unsaved(&mut self, out: &mut Vec<Effect>) {
        for frame in self.writer.not_yet_shown() {
            self.show_frame(&frame, out);
        }
    }

    fn show_frame(&mut self, frame: &Frame, out: &mut Vec<Effect>) -> Placed {
        let placed = self.chart(frame, true);
        show_waves(frame, &placed, out);
        placed
    }

    /// Puts a frame on the chart it belongs to.
    fn chart(&mut self, frame: &Frame, heard: bool) -> Placed {
        let placed = self.association.place(frame, &self.patients);
        if let Some(device) = self.devices.get_mut(&frame.device) {
            device.filed(placed.why);
        }
        if let Some(whose) = placed.whose() {
            let source = if frame.device == self.manual { Source::Spot } else { self.devices.source(&frame.device) };
            self.charts.take(whose, frame, source, heard);
        }
        self.beds_changed.extend(placed.bed.clone());
        self.to_score.extend(placed.patient().filter(|_| !frame.numerics.is_empty()).cloned());
        placed
    }
}

/// Sends a frame's waves to the screens of the bed it is filed to.
fn show_waves(frame: &Frame, placed: &Placed, out: &mut Vec<Effect>) {
    let Some(bed) = placed.bed.as_ref().filter(|_| placed.whose().is_some()) else { return };
    out.extend(frame.waves.iter().map(|wave| {
        let header = WaveHeader {
            bed: bed.to_string(),
            code: wave.code.to_string(),
            rate_hz: wave.rate_hz.to_f64(),
            scale: wave.scale.to_f64(),
            unit: wave.unit.ucum().to_owned(),
            arrived_us: frame.arrived.0,
            n: u32::try_from(wave.raw.len()).unwrap_or(u32::MAX),
            good: wave.good,
        };
        Effect::Live(LiveEvent::Wave { header, raw: wave.raw.clone() })
    }));
}
