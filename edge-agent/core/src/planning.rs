//! What the next commit asks for: a person's command, else what the box itself has to write.
//!
//! Commands are checked when their turn comes, against what is durable at that moment, so that two of them cannot both
//! be right about the same bed.

use crate::agent::{Agent, Queued};
use crate::commands::{Actor, Command, CommandError, CommandReply, Reply};
use crate::device_alarms::name_of;
use crate::effects::Effect;
use crate::laboratory::Incoming;
use crate::statements::What;
use crate::writer::{COMMAND_ATTEMPTS, Kind, Wanted};
use edge_api::alert::AlertState;
use edge_api::bed::{Observe, ObservedValue, Saved};
use protocol::{Draft, Entropy, Where};
use record::code::Code;
use record::decimal::Decimal;
use record::id::{BedId, DeviceId, PatientId, ResourceId, new_resource_id};
use record::ledger::Act;
use record::ledger::body::AuditEvent;

use record::observation::Quality;
use record::series::{Frame, Numeric};
use record::time::{Now, Timestamp};
use record::unit::Unit;

use std::collections::{BTreeMap, BTreeSet};

/// Values in one set.
const VALUES_MAX: usize = 32;
/// Characters of a reason.
const REASON_MAX: usize = 512;
/// Alarms in one commit.
const STATEMENTS_MAX: usize = 64;
/// In place of an alarm's id: all of them.
const EVERY_ALARM: &str = "";
/// How far a person's clock may be ahead.
const AHEAD_MAX_US: i64 = 60_000_000;

/// What a command comes to.
pub(crate) enum Plan {
    /// It is so already.
    Done(CommandReply),
    /// This must be written.
    Write { action: &'static str, what: Vec<String>, drafts: Vec<Draft>, frames: Vec<Frame>, reply: Reply },
}

impl Plan {
    /// It is so already.
    pub fn done(now: Now) -> Self {
        Self::Done(CommandReply::Saved(Saved { durable: true, saved_ms: now.wall.millis() }))
    }

    /// This must be written.
    pub const fn write(action: &'static str, what: Vec<String>, drafts: Vec<Draft>, reply: Reply) -> Self {
        Self::Write { action, what, drafts, frames: Vec::new(), reply }
    }
}

impl Agent {
    /// Begins the next commit if none is under way and there is something to write.
    pub(crate) fn write(&mut self, now: Now, entropy: &mut dyn Entropy, out: &mut Vec<Effect>) {
        if self.stopped || !self.writer.is_free(now.mono) {
            return;
        }
        let first = if self.command_was_last { self.own(now, entropy, out) } else { None };
        let wanted = first.or_else(|| self.next_command(now, entropy, out)).or_else(|| self.own(now, entropy, out));
        let frames = self.writer.has_frames() && !self.given_up(Kind::Tick);
        let wanted = wanted.or_else(|| frames.then(|| Wanted::system(Kind::Tick, Vec::new())));
        match wanted {
            Some(wanted) => {
                self.command_was_last = wanted.kind == Kind::Command;
                let with_frames = !self.scarce || matches!(wanted.kind, Kind::Tick | Kind::Cut);
                let values = if with_frames { self.links.notes() } else { Vec::new() };
                out.push(self.writer.begin(wanted, with_frames, values));
            }
            None if self.stopping
                && (!self.series.has_due() || self.given_up(Kind::Cut))
                && (self.statements.is_empty() || self.given_up(Kind::Statements)) =>
            {
                self.stopped = true;
                out.push(Effect::Stopped);
            }
            None => {}
        }
    }

    /// Whether a stop no longer waits for this kind: readings that are not sealed stay in the journal, and the next start
    /// works out afresh what else is missing.
    fn given_up(&self, kind: Kind) -> bool {
        self.stopping && self.refusals.times(kind) >= COMMAND_ATTEMPTS
    }

    /// What the box itself has to write, gravest first.
    fn own(&mut self, now: Now, entropy: &mut dyn Entropy, out: &mut Vec<Effect>) -> Option<Wanted> {
        let may = |kind: Kind| !self.refusals.hold_back(kind, now.mono) && !self.given_up(kind);
        let (alerts, setup, cut, report) = (may(Kind::Alerts), may(Kind::Setup), may(Kind::Cut), may(Kind::Report));
        let statements = may(Kind::Statements);
        if alerts {
            let drafts = self.alert_drafts(now, entropy);
            if !drafts.is_empty() {
                return Some(Wanted::system(Kind::Alerts, drafts));
            }
        }
        if statements {
            let drafts = self.statement_drafts(entropy, out);
            if !drafts.is_empty() {
                return Some(Wanted::system(Kind::Statements, drafts));
            }
        }
        if setup && !self.set_up {
            let drafts = self.setup_drafts(now, entropy);
            if !drafts.is_empty() {
                return Some(Wanted::system(Kind::Setup, drafts));
            }
            self.set_up = true;
        }
        if report && let Some(report) = self.limiting.owed() {
            return Some(Wanted::system(Kind::Report, vec![Draft::Report(report)]));
        }
        if self.stopping {
            self.series.all_due();
        }
        if cut && self.series.has_due() {
            let mut cut = self.series.cut(&mut self.association, &self.patients);
            out.extend(cut.notes.drain(..).map(Effect::Note));
            if !cut.drafts.is_empty() {
                let drafts = std::mem::take(&mut cut.drafts);
                return Some(Wanted { cut: Some(cut), ..Wanted::system(Kind::Cut, drafts) });
            }
            // Nothing that is due could be built: as good as refused.
            self.refusals.refused(Kind::Cut, now.mono);
        }
        None
    }

    fn alert_drafts(&mut self, now: Now, entropy: &mut dyn Entropy) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for (patient, scored) in &self.scores {
            let whose = crate::chart::Whose::Patient(patient.clone());
            let empty = crate::chart::Chart::default();
            let chart = self.charts.get(&whose).unwrap_or(&empty);
            drafts.extend(self.alerts.wanted(patient, scored, chart, now.mono, || new_id(entropy)));
        }
        drafts
    }

    /// What devices have stated, as far as one commit holds it: each document is touched once.
    fn statement_drafts(&mut self, entropy: &mut dyn Entropy, out: &mut Vec<Effect>) -> Vec<Draft> {
        loop {
            let (count, drafts) = self.next_statements(entropy);
            self.statements.begin(count);
            if !drafts.is_empty() || count == 0 {
                return drafts;
            }
            // All of it is kept already; what waits behind it must not wait longer.
            self.statements.kept();
            self.release(out);
        }
    }

    /// How many statements, from the first, one commit takes, and what it writes of them.
    fn next_statements(&mut self, entropy: &mut dyn Entropy) -> (usize, Vec<Draft>) {
        let (mut drafts, mut count) = (Vec::new(), 0);
        let mut touched: BTreeSet<(&DeviceId, String)> = BTreeSet::new();
        let no_codes = BTreeMap::new();
        for statement in self.statements.iter() {
            let (device, refused) = (&statement.device, statement.is_refused());
            if refused {
                // What was given up is shown no more.
                self.beds_changed.extend(self.association.bed_of(device).cloned());
            }
            let wanted = match &statement.what {
                // A report may rest on the one before it.
                What::Report(_) if !drafts.is_empty() => break,
                What::Report(report) => {
                    // One of a device that nobody confirmed, or that is gone, is kept and is nobody's.
                    let held = self.devices.get(device);
                    let refused = refused || held.is_none_or(|held| held.on_trial);
                    let loinc = held.map_or(&no_codes, |held| &held.setting.profile.loinc);
                    let incoming = Incoming { report, device, heard: statement.heard, loinc, refused };
                    self.laboratory.drafts(&incoming, &self.patients, &self.association, entropy)
                }
                What::Alarm(alarm) => {
                    let every = (device, EVERY_ALARM.to_owned());
                    if drafts.len() >= STATEMENTS_MAX || touched.contains(&every) || !touched.insert((device, name_of(alarm))) {
                        break;
                    }
                    let whose = (&mut self.association, &self.patients);
                    self.device_alarms.drafts(device, alarm, statement.heard, refused, whose, entropy)
                }
                what @ (What::Unheard(_) | What::Silent | What::Moved) => {
                    if touched.iter().any(|(of, _)| *of == device) {
                        break;
                    }
                    touched.insert((device, EVERY_ALARM.to_owned()));
                    match what {
                        What::Unheard(why) => self.device_alarms.unheard(device, statement.heard, why, refused),
                        What::Silent => self.device_alarms.silent(device, statement.heard, refused),
                        _ => {
                            let whose = (&mut self.association, &self.patients);
                            self.device_alarms.moved(device, statement.heard, refused, whose, entropy)
                        }
                    }
                }
            };
            count += 1;
            let is_report = matches!(statement.what, What::Report(_));
            drafts.extend(wanted);
            if is_report && !drafts.is_empty() {
                break;
            }
        }
        (count, drafts)
    }

    /// FHIR Devices of configured devices, and the bindings they are configured with at the first start.
    fn setup_drafts(&self, now: Now, entropy: &mut dyn Entropy) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for device in self.devices.iter().filter(|device| !device.on_trial) {
            if !device.documented {
                drafts.push(Draft::Create { place: Where::Site, resource: crate::on_record::resource(device, "", None) });
            }
            let setting = &device.setting;
            if let Some(bed) =
                setting.bed.as_ref().filter(|bed| self.settings.beds.contains(bed) && !self.association.was_bound(&setting.id))
            {
                let bindings = self.association.put_device(&setting.id, bed, false, now, new_id(entropy));
                drafts.extend(bindings.unwrap_or_default().into_iter().map(Draft::Bind));
            }
        }
        drafts
    }

    /// The next command that must be written; those that need nothing, or are refused, are answered on the way. A command
    /// leaves the queue when its commit is answered.
    fn next_command(&mut self, now: Now, entropy: &mut dyn Entropy, out: &mut Vec<Effect>) -> Option<Wanted> {
        while let Some(queued) = self.commands.front().cloned() {
            let Queued { id, actor, command, .. } = queued;
            let result = match self.plan(id, &actor, command.clone(), now, entropy) {
                Ok(Plan::Write { action, what, mut drafts, frames, reply }) => {
                    let Actor { user, session } = actor;
                    let audit = AuditEvent {
                        at: now.wall,
                        user: user.clone(),
                        session: session.clone(),
                        action: action.to_owned(),
                        what,
                        ok: true,
                    };
                    drafts.push(Draft::Audit(vec![audit]));
                    let act = Act { user, session, reason: reason_of(&command) };
                    return Some(Wanted { kind: Kind::Command, act, drafts, frames, cut: None, reply: Some(reply) });
                }
                Ok(Plan::Done(reply)) => Ok(reply),
                Err(error) => Err(error),
            };
            self.commands.pop_front();
            out.push(Effect::Reply { id, result });
        }
        None
    }

    fn plan(&self, id: u64, actor: &Actor, command: Command, now: Now, entropy: &mut dyn Entropy) -> Result<Plan, CommandError> {
        let saved = || CommandReply::Saved(Saved { durable: true, saved_ms: now.wall.millis() });
        match command {
            Command::PlacePatient { bed, request } => {
                let bed = self.bed(&bed)?;
                let patient = request.patient.as_deref().map(|p| self.patient(p)).transpose()?;
                if let Some(since) = request.since_ms.map(Timestamp::from_millis) {
                    let lay_there = self.association.patient_in(&bed).cloned();
                    let drafts = self.association.correct(&bed, patient.as_ref(), since, &self.patients, now, new_id(entropy))?;
                    if drafts.is_empty() {
                        return Ok(Plan::Done(saved()));
                    }
                    let what = patient.iter().chain(&lay_there).map(|p| format!("Patient/{p}")).collect();
                    return Ok(Plan::Write { action: "correct", what, drafts, frames: Vec::new(), reply: Reply::Saved { id } });
                }
                let bindings = self.association.put_patient(&bed, patient.as_ref(), now, new_id(entropy))?;
                if bindings.is_empty() {
                    return Ok(Plan::Done(saved()));
                }
                let what = patient.iter().map(|p| format!("Patient/{p}")).collect();
                let drafts = bindings.into_iter().map(Draft::Bind).collect();
                Ok(Plan::Write { action: "place", what, drafts, frames: Vec::new(), reply: Reply::Saved { id } })
            }
            Command::AttachDevice { bed, device, request } => {
                self.plan_attach(id, &bed, &device, request.move_from_other_bed, now, entropy)
            }
            Command::SwapDevice { device, request } => self.plan_swap(id, &device, &request, now, entropy),
            Command::ConfirmPairing(pairing) => self.plan_confirm(id, &pairing, now, entropy),
            Command::RetireDevice(device) => self.plan_retire(id, &device, now),
            Command::SendCommand { device, command, request } => self.plan_command(id, &device, &command, &request, now),
            Command::Record { device, request } => self.plan_record(id, &device, &request, now),
            Command::StopRecording(device) => self.plan_stop_recording(id, &device, now),
            // These are answered as they come.
            Command::Recognise(_)
            | Command::ListProfiles
            | Command::BeginPairing(_)
            | Command::ListPairings
            | Command::ShowPairing(_)
            | Command::GivePasskey { .. }
            | Command::CancelPairing(_)
            | Command::ListBindings(_)
            | Command::ListCommands(_) => Err(CommandError::Busy { waiting: self.commands.len() }),
            Command::Observe { bed, request } => {
                let bed = self.bed(&bed)?;
                let frame = self.observed(&bed, &request, now)?;
                let what = vec![format!("Patient/{}", request.patient)];
                Ok(Plan::Write { action: "observe", what, drafts: Vec::new(), frames: vec![frame], reply: Reply::Saved { id } })
            }
            Command::AcknowledgeAlert { alert, answer } => {
                reason_fits(answer.reason.as_deref())?;
                let (alert, view) = self.alert(&alert)?;
                match view.state {
                    AlertState::Resolved => Err(CommandError::AlreadyResolved { alert: alert.to_string() }),
                    AlertState::Acknowledged => Ok(Plan::Done(CommandReply::Alert(Box::new(view)))),
                    AlertState::Created => {
                        let drafts = vec![Draft::Acknowledge { alert: alert.clone(), by: actor.user.clone(), at: now.wall }];
                        Ok(self.answer("acknowledge", drafts, id, alert))
                    }
                }
            }
            Command::ResolveAlert { alert, answer } => {
                reason_fits(answer.reason.as_deref())?;
                let (alert, view) = self.alert(&alert)?;
                match self.alerts.close(&alert).filter(|_| view.state != AlertState::Resolved) {
                    None => Ok(Plan::Done(CommandReply::Alert(Box::new(view)))),
                    Some(elements) => {
                        let resource_type = "DetectedIssue".to_owned();
                        let drafts = vec![Draft::Update { resource_type, id: alert.clone(), elements, if_match: None }];
                        Ok(self.answer("resolve", drafts, id, alert))
                    }
                }
            }
        }
    }

    fn answer(&self, action: &'static str, drafts: Vec<Draft>, id: u64, alert: ResourceId) -> Plan {
        let patient = self.alerts.patient_of(&alert).map(|p| format!("Patient/{p}"));
        let what = std::iter::once(format!("DetectedIssue/{alert}")).chain(patient).collect();
        Plan::Write { action, what, drafts, frames: Vec::new(), reply: Reply::Alert { id, alert } }
    }

    pub(crate) fn bed(&self, bed: &str) -> Result<BedId, CommandError> {
        let beds = &self.settings.beds;
        beds.iter()
            .find(|b| b.as_str() == bed)
            .cloned()
            .ok_or_else(|| CommandError::UnknownBed { bed: cut(bed), known: beds.iter().map(BedId::as_str).collect::<Vec<_>>().join(", ") })
    }

    fn patient(&self, patient: &str) -> Result<PatientId, CommandError> {
        let known: Option<PatientId> = patient.parse().ok().filter(|p| self.patients.get(p).is_some());
        known.ok_or_else(|| CommandError::UnknownPatient { patient: cut(patient) })
    }

    fn alert(&self, alert: &str) -> Result<(ResourceId, edge_api::alert::AlertView), CommandError> {
        let found = alert.parse().ok().and_then(|id: ResourceId| self.alerts.view(&id).cloned().map(|view| (id, view)));
        found.ok_or_else(|| CommandError::UnknownAlert { alert: cut(alert) })
    }

    /// A set measured by a person, as a frame of the manual device.
    fn observed(&self, bed: &BedId, request: &Observe, now: Now) -> Result<Frame, CommandError> {
        let patient = self.patient(&request.patient)?;
        let measured = request.measured_ms.map_or(now.wall, Timestamp::from_millis);
        if measured.micros_since(now.wall) > AHEAD_MAX_US {
            return Err(CommandError::InFuture);
        }
        // Its time is a minute's; a binding made within it must not refuse what is measured now.
        let measured = measured.min(now.wall);
        let in_bed = self.association.lay_in(bed, measured);
        if in_bed.as_ref() != Some(&patient) {
            let in_bed = in_bed.map_or_else(|| "nobody".to_owned(), |p| p.to_string());
            return Err(CommandError::WrongPatient { bed: bed.to_string(), patient: patient.to_string(), in_bed });
        }
        if request.values.is_empty() || request.values.len() > VALUES_MAX {
            return Err(CommandError::TooMany { what: "values", got: request.values.len(), min: 1, max: VALUES_MAX });
        }
        let numerics = request.values.iter().map(numeric).collect::<Result<_, _>>()?;
        Ok(Frame {
            device: self.manual.clone(),
            boot: self.links.manual_boot(),
            first_seq: self.manual_seq,
            arrived: now.wall,
            arrived_mono: now.mono,
            measured,
            device_time: None,
            offset_us: None,
            bed: Some(bed.clone()),
            numerics,
            waves: Vec::new(),
        })
    }
}

fn numeric(given: &ObservedValue) -> Result<Numeric, CommandError> {
    let code = || cut(&given.code);
    let unknown = || CommandError::UnknownCode { code: code() };
    let parsed: Code = given.code.parse().map_err(|_| unknown())?;
    let row = parsed.row().filter(|row| row.loinc.is_some()).ok_or_else(unknown)?;
    if Unit::from_ucum(&given.unit) != Some(row.unit) {
        return Err(CommandError::WrongUnit { code: code(), expected: row.unit.ucum(), got: cut(&given.unit) });
    }
    let (low, high) = row.plausible;
    let step = parsed != Code::CONSCIOUSNESS || risk::Acvpu::from_charted(given.value).is_some();
    if given.value < Decimal::whole(low.into()) || given.value > Decimal::whole(high.into()) || !step {
        return Err(CommandError::OutOfRange { code: code(), value: given.value.to_string(), low, high });
    }
    Ok(Numeric { code: parsed, value: Ok(given.value), unit: row.unit, quality: Quality::Good })
}

fn reason_of(command: &Command) -> String {
    match command {
        Command::AcknowledgeAlert { answer, .. } | Command::ResolveAlert { answer, .. } => answer.reason.clone().unwrap_or_default(),
        Command::SendCommand { request, .. } => request.reason.clone(),
        Command::Record { request, .. } => request.consent.clone(),
        _ => String::new(),
    }
}

fn reason_fits(reason: Option<&str>) -> Result<(), CommandError> {
    let got = reason.map_or(0, |r| r.chars().count());
    if got > REASON_MAX { Err(CommandError::TooMany { what: "characters of the reason", got, min: 0, max: REASON_MAX }) } else { Ok(()) }
}

/// What a person typed, short enough to be answered back.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

pub(crate) fn new_id(entropy: &mut dyn Entropy) -> ResourceId {
    new_resource_id(protocol::entropy::bytes(entropy))
}
