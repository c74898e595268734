//! What a technician asks: scan, pair, move, exchange, retire, command, record.
//!
//! Questions and the steps of a pairing change nothing that is kept and are answered at once; whatever is kept waits for its commit.

use crate::Note;
use crate::agent::Agent;
use crate::commands::{Command, CommandError, CommandReply, Reply, Sighting};
use crate::devices::Device;
use crate::effects::{Effect, Recording};
use crate::on_record::{self, Recorded};
use crate::pairing::{self, BondEvent, PAIRINGS_MAX, Pairing};
use crate::planning::{Plan, cut, new_id};
use crate::settings::DeviceSetting;
use driver::command::{Asked, Deed};
use driver::profile::Profile;
use edge_api::bed::Saved;
use edge_api::device::{
    BeginPairing, CommandEffect, CommandView, FoundDevice, Paired, PairedView, PairingView, ProfileView, ReachedBy, Record, RecordingView,
    SendCommand, SpanView, SwapDevice,
};
use protocol::{Draft, Entropy, Where};
use record::id::{BedId, DeviceId};
use record::time::{Now, Timestamp};
use serde_json::Value;

/// Devices that people have paired with this box.
const PAIRED_MAX: usize = 512;
/// Devices of one scan that are looked at.
const SIGHTINGS_MAX: usize = 256;
/// Characters of a reason or a consent.
const REASON: std::ops::RangeInclusive<usize> = 3..=512;
/// Characters of how a recording is taken.
const HOW_MAX: usize = 200;
/// Seconds of a recording.
const RECORD_S_MAX: u32 = 3600;
/// What paths of serial ports begin with.
const PORTS: [&str; 3] = ["/dev/serial/", "/dev/tty", "/dev/rfcomm"];
/// Characters of a path or an address.
const ADDRESS_MAX: usize = 256;

impl Agent {
    /// Answers what needs nothing written; `None` for a command that does.
    pub(crate) fn at_once(
        &mut self,
        command: &Command,
        now: Now,
        entropy: &mut dyn Entropy,
        out: &mut Vec<Effect>,
    ) -> Option<Result<CommandReply, CommandError>> {
        let shown = |pairing: Result<PairingView, CommandError>| pairing.map(|view| CommandReply::Pairing(Box::new(view)));
        Some(match command {
            Command::Recognise(seen) => {
                self.sightings = seen.iter().take(SIGHTINGS_MAX).cloned().collect();
                Ok(CommandReply::Found(self.sightings.iter().map(|sighting| self.recognise(sighting)).collect()))
            }
            Command::ListProfiles => Ok(CommandReply::Profiles(self.settings.profiles.iter().map(profile_view).collect())),
            Command::BeginPairing(request) => shown(self.begin_pairing(request, now, entropy, out)),
            Command::ListPairings => Ok(CommandReply::Pairings(self.pairings.iter().map(|p| self.pairing_view(p, now)).collect())),
            Command::ShowPairing(id) => shown(self.pairing(id).map(|pairing| self.pairing_view(pairing, now))),
            Command::GivePasskey { pairing, request } => shown(self.give_passkey(pairing, &request.passkey, now, out)),
            Command::CancelPairing(id) => self.pairing(id).map(|pairing| pairing.setting.id.clone()).map(|device| {
                self.end_pairing(&device, now, out);
                CommandReply::Cancelled
            }),
            Command::ListBindings(device) => self.list_bindings(device),
            Command::ListCommands(device) => self.known(device).map(|device| CommandReply::Commands(self.list_commands(device))),
            _ => return None,
        })
    }

    /// A pairing comes to nothing: the device is forgotten. What it sent stays, filed to nobody.
    pub(crate) fn end_pairing(&mut self, device: &DeviceId, now: Now, out: &mut Vec<Effect>) {
        self.unheard(device, "retired", now);
        self.pairings.remove(device);
        self.devices.remove(device);
        // One that was in use before may be in use again.
        self.links.forget(device, self.on_record.is_documented(device));
        out.push(Effect::CloseLinks(device.clone()));
    }

    /// What the radio says of a bonding.
    pub(crate) fn bonding(&mut self, device: &DeviceId, event: BondEvent, out: &mut Vec<Effect>) {
        let Some(pairing) = self.pairings.of_device_mut(device) else { return };
        if let (true, Some(by)) = (pairing.bond(event), pairing.setting.by.clone()) {
            out.push(Effect::OpenLink { device: device.clone(), profile: Box::new(pairing.setting.profile.clone()), by });
        }
    }

    /// A device wants to be paired before it talks: that is done once, and only while a person pairs it.
    pub(crate) fn asks_to_bond(&mut self, device: &DeviceId, reason: &str, lost: bool, out: &mut Vec<Effect>) {
        let Some(pairing) = self.pairings.of_device_mut(device) else { return };
        if let Some(ReachedBy::Bluetooth { address }) = pairing.setting.by.clone()
            && pairing.asks_to_bond(reason)
        {
            // A device has one connection; the link's is in the way.
            out.push(Effect::CloseLinks(device.clone()));
            out.push(Effect::Bond { device: device.clone(), address, anew: lost });
        }
    }

    /// A device that a person paired, as the record has it after a start.
    pub(crate) fn take_up(&mut self, recorded: Recorded, out: &mut Vec<Effect>) {
        let Recorded { id, name, profile, by } = recorded;
        // Others may write Devices, too: what a person could not have paired is not opened.
        let Ok(by) = checked(&by) else { return };
        if self.devices.get(&id).is_some() || self.devices.reached_by(&by).is_some() {
            return;
        }
        if self.devices.iter().filter(|device| device.paired).count() >= PAIRED_MAX {
            out.push(Effect::Note(Note::TooMany { what: "paired devices", limit: PAIRED_MAX }));
            return;
        }
        let found = self.settings.profiles.iter().find(|known| known.name == profile).cloned();
        let known = found.is_some();
        let mut setting = found.unwrap_or_else(|| Profile::bare(""));
        if !known {
            setting.name.clone_from(&profile);
        }
        let setting = DeviceSetting { id: id.clone(), name, profile: setting, bed: None, by: Some(by.clone()), replayed: false };
        let profile = Box::new(setting.profile.clone());
        let device = self.devices.insert(setting);
        (device.documented, device.paired) = (true, true);
        if known {
            out.push(Effect::OpenLink { device: id, profile, by });
        } else {
            device.down("its profile is not known to this version: retire it and pair it anew");
            out.push(Effect::Note(Note::UnknownProfile(id)));
        }
    }

    fn recognise(&self, sighting: &Sighting) -> FoundDevice {
        let Sighting { by, name, rssi_dbm, .. } = sighting;
        let held = self.devices.reached_by(by).filter(|device| !device.on_trial);
        let here = held.map(|device| self.paired_view(device));
        let profiles: Vec<ProfileView> = self.fitting(sighting).into_iter().map(profile_view).collect();
        let stated = held.map(Device::stated);
        FoundDevice {
            by: by.clone(),
            name: name.as_deref().map(crate::devices::cut).filter(|name| !name.is_empty()),
            serial: stated.and_then(|stated| stated.serial.clone()),
            rssi_dbm: *rssi_dbm,
            battery_percent: stated.and_then(|stated| stated.battery_percent),
            known_as: profiles.first().map_or_else(|| "unknown protocol".to_owned(), |p| format!("{} {}", p.maker, p.model)),
            profiles,
            paired: here.or_else(|| self.on_record.elsewhere(by).cloned()),
        }
    }

    /// Profiles that what a device advertises fits: those that know its name, else those that know its services.
    fn fitting(&self, sighting: &Sighting) -> Vec<&Profile> {
        let fits = |profile: &&Profile| profile.matching.accepts(sighting.name.as_deref(), &sighting.services);
        let (by_name, others): (Vec<_>, Vec<_>) =
            self.settings.profiles.iter().filter(fits).partition(|profile| profile.matching.name_prefix.is_some());
        if by_name.is_empty() { others } else { by_name }
    }

    fn paired_view(&self, device: &Device) -> PairedView {
        PairedView {
            device: device.setting.id.to_string(),
            name: device.name(),
            bed: self.association.bed_of(&device.setting.id).map(ToString::to_string),
            site: self.settings.site.clone(),
            here: true,
        }
    }

    fn begin_pairing(
        &mut self,
        request: &BeginPairing,
        now: Now,
        entropy: &mut dyn Entropy,
        out: &mut Vec<Effect>,
    ) -> Result<PairingView, CommandError> {
        let bed = self.bed(&request.bed)?;
        let by = checked(&request.by)?;
        self.is_free(&by, request.take_over)?;
        let replaces = request.replaces.as_deref().map(|device| self.replaced(device, &bed)).transpose()?;
        let profile = self.profile_for(request.profile.as_deref(), &by)?;
        on_record::carries(&profile, &by).map_err(|why| CommandError::Profile { why })?;
        if self.pairings.len() >= PAIRINGS_MAX {
            let got = self.pairings.len() + 1;
            return Err(CommandError::TooMany { what: "pairings under way", got, min: 0, max: PAIRINGS_MAX });
        }
        let paired = self.devices.iter().filter(|device| device.paired).count();
        if paired >= PAIRED_MAX {
            return Err(CommandError::TooMany { what: "paired devices", got: paired + 1, min: 0, max: PAIRED_MAX });
        }
        let id = self.on_record.id_of(&by).ok_or(CommandError::Reach { why: "no id can be made of it" })?;
        let name = pairing::device_name(request.name.as_deref()).unwrap_or_else(|| format!("{} {}", profile.maker, profile.model));
        let setting = DeviceSetting { id: id.clone(), name, profile: profile.clone(), bed: None, by: Some(by.clone()), replayed: false };
        self.devices.insert(setting.clone()).on_trial = true;
        let bond = matches!(&by, ReachedBy::Bluetooth { .. }) && request.bond;
        self.pairings.begin(new_id(entropy), setting, bed, replaces, bond, now);
        out.push(match (&by, bond) {
            (ReachedBy::Bluetooth { address }, true) => Effect::Bond { device: id.clone(), address: address.clone(), anew: false },
            _ => Effect::OpenLink { device: id.clone(), profile: Box::new(profile), by },
        });
        self.pairings.of_device(&id).map(|pairing| self.pairing_view(pairing, now)).ok_or(CommandError::UnknownPairing)
    }

    /// Whether nobody reads the device yet; if somebody does, who, where, and what to do.
    fn is_free(&self, by: &ReachedBy, take_over: bool) -> Result<(), CommandError> {
        let refused = |view: PairedView, next| {
            let PairedView { device, name, bed, site, .. } = view;
            Err(CommandError::PairedAlready { device, name, bed, site, next })
        };
        if let Some(held) = self.devices.reached_by(by) {
            let next = if held.on_trial {
                "it is being paired at this moment: confirm that pairing or give it up"
            } else {
                "move it on purpose, or exchange it for another"
            };
            return refused(self.paired_view(held), next);
        }
        match self.on_record.elsewhere(by) {
            Some(theirs) if !take_over => refused(theirs.clone(), "take it over on purpose, and retire it there"),
            _ => Ok(()),
        }
    }

    fn replaced(&self, device: &str, bed: &BedId) -> Result<DeviceId, CommandError> {
        let device = &self.known(device)?.setting.id;
        match self.association.bed_of(device) {
            Some(at) if at == bed => Ok(device.clone()),
            Some(at) => Err(CommandError::DeviceElsewhere { device: device.to_string(), bed: at.to_string() }),
            None => Err(CommandError::DeviceUnbound { device: device.to_string() }),
        }
    }

    fn profile_for(&self, named: Option<&str>, by: &ReachedBy) -> Result<Profile, CommandError> {
        let refuse = |why: String| Err(CommandError::Profile { why });
        if let Some(named) = named {
            let known = self.settings.profiles.iter().find(|profile| profile.name == named);
            return known.cloned().map_or_else(|| refuse(format!("{:?} is not known: choose one of the list", cut(named))), Ok);
        }
        let seen = self.sightings.iter().find(|sighting| sighting.by.is_same(by));
        let fitting = seen.map(|sighting| self.fitting(sighting)).unwrap_or_default();
        match fitting.as_slice() {
            [only] => Ok((*only).clone()),
            [] => refuse("unknown protocol: scan first, or name the profile of the device".to_owned()),
            several => {
                let names: Vec<&str> = several.iter().map(|profile| profile.name.as_str()).collect();
                refuse(format!("several fit, name one: {}", names.join(", ")))
            }
        }
    }

    fn pairing(&self, id: &str) -> Result<&Pairing, CommandError> {
        self.pairings.get(id).ok_or(CommandError::UnknownPairing)
    }

    fn give_passkey(&mut self, id: &str, typed: &str, now: Now, out: &mut Vec<Effect>) -> Result<PairingView, CommandError> {
        let typed =
            pairing::passkey(typed).ok_or(CommandError::Passkey { why: "expected the digits that the device shows, 1 to 16 of them" })?;
        let device = self.pairing(id)?.setting.id.clone();
        let asked = self.pairings.of_device_mut(&device).is_some_and(Pairing::passkey_given);
        if !asked {
            return Err(CommandError::Passkey { why: "the device does not ask for a number at this moment" });
        }
        out.push(Effect::Passkey { device, typed });
        self.pairing(id).map(|pairing| self.pairing_view(pairing, now))
    }

    fn pairing_view(&self, pairing: &Pairing, now: Now) -> PairingView {
        let device = self.devices.get(&pairing.setting.id);
        let stated = device.map(|device| device.stated().clone()).unwrap_or_default();
        PairingView {
            id: pairing.id.to_string(),
            device: pairing.setting.id.to_string(),
            stage: pairing.stage(now.mono),
            says: pairing.says(now.mono),
            by: pairing.setting.by.clone().unwrap_or(ReachedBy::Bluetooth { address: String::new() }),
            name: pairing.setting.name.clone(),
            profile: profile_view(&pairing.setting.profile),
            bed: pairing.bed.to_string(),
            replaces: pairing.replaces.as_ref().map(ToString::to_string),
            serial: stated.serial,
            model: stated.model,
            firmware: stated.firmware,
            battery_percent: stated.battery_percent,
            clock_offset_ms: device.and_then(Device::clock_offset_ms),
            clock_note: device.and_then(Device::clock_note),
            values: pairing.values(),
            waves: pairing.waves(),
            valid_ms: pairing.valid_us(now.mono) / 1000,
            valid_needed_ms: pairing.needed_us() / 1000,
            expires_ms: pairing.expires_ms(),
        }
    }

    fn known(&self, device: &str) -> Result<&Device, CommandError> {
        let known = device.parse().ok().and_then(|id: DeviceId| self.devices.get(&id)).filter(|device| !device.on_trial);
        known.ok_or_else(|| CommandError::UnknownDevice { device: cut(device) })
    }

    fn list_bindings(&self, device: &str) -> Result<CommandReply, CommandError> {
        let id: Option<DeviceId> = device.parse().ok();
        let spans = id.as_ref().map(|id| self.association.spans(id)).unwrap_or_default();
        if spans.is_empty() {
            self.known(device)?;
        }
        let shown = |b: &record::binding::Binding| SpanView {
            bed: b.bed.to_string(),
            from_ms: b.from.millis(),
            until_ms: b.until.map(Timestamp::millis),
        };
        Ok(CommandReply::Bindings(spans.into_iter().map(shown).collect()))
    }

    fn list_commands(&self, device: &Device) -> Vec<CommandView> {
        let commands = catalogue::commands::of(&device.setting.profile).into_iter();
        let shown = commands.map(|command| {
            let refused = (!self.settings.device_commands.contains(command.id)).then_some(CommandError::CommandOff { command: command.id });
            CommandView {
                command: command.id.to_owned(),
                says: command.says.to_owned(),
                effect: match command.deed {
                    Deed::Inflates => CommandEffect::Inflates,
                    Deed::Erases => CommandEffect::Erases,
                    Deed::Resets => CommandEffect::Resets,
                    Deed::SetsClock => CommandEffect::SetsClock,
                },
                allowed: refused.is_none(),
                reason: refused.map(|error| error.to_string()).unwrap_or_default(),
            }
        });
        shown.collect()
    }

    // What follows is kept: each gives what its commit must hold.

    pub(crate) fn plan_attach(
        &self,
        id: u64,
        bed: &str,
        device: &str,
        may_move: bool,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<Plan, CommandError> {
        let bed = self.bed(bed)?;
        let device = &self.known(device)?.setting.id;
        let bindings = self.association.put_device(device, &bed, may_move, now, new_id(entropy))?;
        if bindings.is_empty() {
            return Ok(Plan::done(now));
        }
        let drafts = bindings.into_iter().map(Draft::Bind).chain(self.stands_at(device, Some(&bed))).collect();
        Ok(Plan::write("attach", vec![format!("Device/{device}")], drafts, Reply::Saved { id }))
    }

    pub(crate) fn plan_swap(
        &self,
        id: u64,
        device: &str,
        request: &SwapDevice,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<Plan, CommandError> {
        let (old, new) = (&self.known(device)?.setting.id, &self.known(&request.with)?.setting.id);
        if old == new {
            return Ok(Plan::done(now));
        }
        let (bed, bindings) = self.association.swap_devices(old, new, request.move_from_other_bed, now, new_id(entropy))?;
        let places = self.stands_at(old, None).into_iter().chain(self.stands_at(new, Some(&bed)));
        let drafts = bindings.into_iter().map(Draft::Bind).chain(places).collect();
        Ok(Plan::write("swap", vec![format!("Device/{old}"), format!("Device/{new}")], drafts, Reply::Saved { id }))
    }

    pub(crate) fn plan_confirm(&self, id: u64, pairing: &str, now: Now, entropy: &mut dyn Entropy) -> Result<Plan, CommandError> {
        let pairing = self.pairing(pairing)?;
        let says = || pairing.says(now.mono);
        let device = self.devices.get(&pairing.setting.id).ok_or(CommandError::UnknownPairing)?;
        if !pairing.is_ready(now.mono) {
            return Err(CommandError::NotReady { says: says() });
        }
        let (device_id, bed) = (&pairing.setting.id, &pairing.bed);
        let resource = on_record::resource(device, &self.settings.site, Some(bed));
        let mut drafts = vec![self.document(device_id, resource)];
        let mut what = vec![format!("Device/{device_id}")];
        // It may have been moved since the pairing began; then it stays where it is now.
        if let Some(replaced) = pairing.replaces.as_ref().filter(|replaced| self.association.bed_of(replaced) == Some(bed)) {
            drafts.extend(self.association.release(replaced, now).into_iter().map(Draft::Bind));
            drafts.extend(self.stands_at(replaced, None));
            what.push(format!("Device/{replaced}"));
        }
        let bindings = self.association.put_device(device_id, bed, true, now, new_id(entropy))?;
        drafts.extend(bindings.into_iter().map(Draft::Bind));
        let setting = Box::new(pairing.setting.clone());
        Ok(Plan::write("pair", what, drafts, Reply::Paired { id, setting, bed: bed.clone() }))
    }

    pub(crate) fn plan_retire(&self, id: u64, device: &str, now: Now) -> Result<Plan, CommandError> {
        let device = self.known(device)?;
        if !device.paired {
            return Err(CommandError::Configured { device: device.setting.id.to_string() });
        }
        let device = device.setting.id.clone();
        let mut drafts: Vec<Draft> = self.association.release(&device, now).into_iter().map(Draft::Bind).collect();
        let mut elements = on_record::moved(None);
        elements.insert("status".to_owned(), "inactive".into());
        drafts.push(update(&device, elements));
        Ok(Plan::write("retire", vec![format!("Device/{device}")], drafts, Reply::Retired { id, device }))
    }

    pub(crate) fn plan_command(&self, id: u64, device: &str, command: &str, request: &SendCommand, now: Now) -> Result<Plan, CommandError> {
        let setting = &self.known(device)?.setting;
        let device = setting.id.clone();
        let found = catalogue::commands::of(&setting.profile).into_iter().find(|one| one.id == command);
        let unknown = || CommandError::UnknownCommand { device: device.to_string(), command: cut(command) };
        let command = found.ok_or_else(unknown)?;
        if !self.settings.device_commands.contains(command.id) {
            return Err(CommandError::CommandOff { command: command.id });
        }
        fits("characters of the reason", &request.reason)?;
        let asked = Asked { profile: &setting.profile, now: now.wall, utc_offset_min: request.utc_offset_min };
        command.encode(&asked).map_err(|why| CommandError::CommandRefused { command: command.id, why })?;
        if self.links.of(&device).is_none() {
            return Err(CommandError::NotConnected { device: device.to_string() });
        }
        let what = vec![format!("Device/{device}"), format!("DeviceCommand/{}", command.id)];
        let reply = Reply::Command { id, device, command, utc_offset_min: request.utc_offset_min };
        Ok(Plan::write("device-command", what, Vec::new(), reply))
    }

    pub(crate) fn plan_record(&self, id: u64, device: &str, request: &Record, now: Now) -> Result<Plan, CommandError> {
        let device = self.known(device)?;
        fits("characters of the consent", &request.consent)?;
        let got = request.how.as_deref().map_or(0, |how| how.chars().count());
        if got > HOW_MAX {
            return Err(CommandError::TooMany { what: "characters of how it is taken", got, min: 0, max: HOW_MAX });
        }
        if !(1..=RECORD_S_MAX).contains(&request.seconds) {
            let got = usize::try_from(request.seconds).unwrap_or(usize::MAX);
            return Err(CommandError::TooMany { what: "seconds of a recording", got, min: 1, max: RECORD_S_MAX as usize });
        }
        if device.recording_until.is_some_and(|until| until > now.wall) {
            return Err(CommandError::TooMany { what: "recordings of the device at once", got: 2, min: 0, max: 1 });
        }
        let us = u64::from(request.seconds) * 1_000_000;
        let recording = Recording {
            device: device.setting.id.clone(),
            name: recording_name(&device.setting.id, now.wall),
            head: head(device, request, now.wall),
            until: now.mono.plus_micros(us),
            until_wall: now.wall.plus_micros(i64::try_from(us).unwrap_or(i64::MAX)),
        };
        let what = vec![format!("Device/{}", device.setting.id), format!("Recording/{}", recording.name)];
        Ok(Plan::write("record-frames", what, Vec::new(), Reply::Recording { id, recording: Box::new(recording) }))
    }

    pub(crate) fn plan_stop_recording(&self, id: u64, device: &str, now: Now) -> Result<Plan, CommandError> {
        let device = self.known(device)?;
        if device.recording_until.is_none() {
            return Ok(Plan::done(now));
        }
        let device = device.setting.id.clone();
        Ok(Plan::write("record-stop", vec![format!("Device/{device}")], Vec::new(), Reply::StopRecording { id, device }))
    }

    /// What follows from a technician's command once it is durable.
    pub(crate) fn done(&mut self, reply: Reply, now: Now, out: &mut Vec<Effect>) {
        let saved = Saved { durable: true, saved_ms: now.wall.millis() };
        let (id, result) = match reply {
            Reply::Paired { id, setting, bed } => {
                let device = setting.id.clone();
                let on_trial = self.pairings.remove(&device).is_some();
                self.take_on(*setting, on_trial, out);
                self.show(now, out);
                (id, Ok(CommandReply::Paired(Paired { device: device.to_string(), bed: bed.to_string(), saved })))
            }
            Reply::Retired { id, device } => {
                self.unheard(&device, "retired", now);
                self.devices.remove(&device);
                self.links.forget(&device, true);
                self.beds_changed.extend(self.settings.beds.iter().cloned());
                out.push(Effect::CloseLinks(device));
                (id, Ok(CommandReply::Saved(saved)))
            }
            Reply::Command { id, device, command, utc_offset_min } => {
                (id, self.send_command(&device, command, utc_offset_min, now, out).map(|()| CommandReply::Saved(saved)))
            }
            Reply::Recording { id, recording } => {
                if let Some(device) = self.devices.get_mut(&recording.device) {
                    (device.recording_until, device.touched) = (Some(recording.until_wall), true);
                }
                let view = RecordingView { recording: recording.name.clone(), bytes: 0, until_ms: Some(recording.until_wall.millis()) };
                out.push(Effect::Record(recording));
                (id, Ok(CommandReply::Recording(view)))
            }
            Reply::StopRecording { id, device } => {
                if let Some(held) = self.devices.get_mut(&device) {
                    (held.recording_until, held.touched) = (None, true);
                }
                out.push(Effect::StopRecording(device));
                (id, Ok(CommandReply::Saved(saved)))
            }
            Reply::Saved { id } => (id, Ok(CommandReply::Saved(saved))),
            Reply::Alert { id, alert } => {
                let view = self.alerts.view(&alert).cloned().map(|view| CommandReply::Alert(Box::new(view)));
                (id, view.ok_or_else(|| CommandError::UnknownAlert { alert: alert.to_string() }))
            }
        };
        out.push(Effect::Reply { id, result });
    }

    /// A pairing is durable. One that was given up while it was being written stands: the record says so.
    fn take_on(&mut self, setting: DeviceSetting, on_trial: bool, out: &mut Vec<Effect>) {
        let (id, profile, by) = (setting.id.clone(), Box::new(setting.profile.clone()), setting.by.clone());
        if self.devices.get(&id).is_none() {
            self.devices.insert(setting);
        }
        if let Some(device) = self.devices.get_mut(&id) {
            (device.on_trial, device.paired, device.documented, device.touched) = (false, true, true, true);
        }
        if let Some(by) = by.filter(|_| !on_trial) {
            out.push(Effect::OpenLink { device: id, profile, by });
        }
    }

    fn send_command(
        &mut self,
        device: &DeviceId,
        command: &'static driver::command::DeviceCommand,
        utc_offset_min: Option<i16>,
        now: Now,
        out: &mut Vec<Effect>,
    ) -> Result<(), CommandError> {
        let away = || CommandError::NotConnected { device: device.to_string() };
        let link = self.links.of(device).ok_or_else(away)?;
        let held = self.devices.get_mut(device).ok_or_else(away)?;
        // A clock is set to the moment at which the bytes leave, not to that at which they were asked for.
        let asked = Asked { profile: &held.setting.profile, now: now.wall, utc_offset_min };
        let (channel, bytes) = command.encode(&asked).map_err(|why| CommandError::CommandRefused { command: command.id, why })?;
        if command.deed == Deed::SetsClock {
            held.clock_was_set();
            self.links.clock_was_set(device);
        }
        out.push(Effect::Send { link, channel, bytes });
        Ok(())
    }

    /// A Device as it is to be: begun, or changed where the record has it already.
    fn document(&self, device: &DeviceId, resource: Value) -> Draft {
        match resource {
            Value::Object(mut elements) if self.on_record.is_documented(device) => {
                elements.remove("resourceType");
                elements.remove("id");
                update(device, elements)
            }
            resource => Draft::Create { place: Where::Site, resource },
        }
    }

    /// Where a paired device stands, in its document.
    fn stands_at(&self, device: &DeviceId, bed: Option<&BedId>) -> Option<Draft> {
        let paired = self.devices.get(device).is_some_and(|device| device.paired);
        paired.then(|| update(device, on_record::moved(bed)))
    }
}

#[expect(clippy::expect_used, reason = "both are FHIR ids")]
fn update(device: &DeviceId, elements: serde_json::Map<String, Value>) -> Draft {
    let id = device.as_str().parse().expect("a FHIR id");
    Draft::Update { resource_type: "Device".to_owned(), id, elements, if_match: None }
}

fn profile_view(profile: &Profile) -> ProfileView {
    ProfileView {
        name: profile.name.clone(),
        maker: profile.maker.clone(),
        model: profile.model.clone(),
        protocol: profile.protocol.clone(),
        experimental: profile.experimental,
    }
}

/// How a device is reached, as it is kept.
fn checked(by: &ReachedBy) -> Result<ReachedBy, CommandError> {
    let fits = |text: &str| !text.is_empty() && text.len() <= ADDRESS_MAX && !text.chars().any(char::is_control);
    let refuse = |why| Err(CommandError::Reach { why });
    match by {
        ReachedBy::Bluetooth { address } => match pairing::bluetooth_address(address) {
            Some(address) => Ok(ReachedBy::Bluetooth { address }),
            None => refuse("expected a Bluetooth address such as 02:00:00:00:00:0A"),
        },
        // Nothing but a port is opened on somebody's word.
        ReachedBy::Serial { path } if !fits(path) || !PORTS.iter().any(|ports| path.starts_with(ports)) || path.contains("/..") => {
            refuse("expected the path of a serial port: /dev/tty…, /dev/rfcomm… or best one of /dev/serial/by-id")
        }
        by if fits(by.address()) => Ok(by.clone()),
        _ => refuse("expected an IP address, with a port where the protocol has none of its own"),
    }
}

fn fits(what: &'static str, text: &str) -> Result<(), CommandError> {
    let got = text.trim().chars().count();
    if REASON.contains(&got) { Ok(()) } else { Err(CommandError::TooMany { what, got, min: *REASON.start(), max: *REASON.end() }) }
}

/// `<device>-20261122T041500Z.cap`.
fn recording_name(device: &DeviceId, at: Timestamp) -> String {
    let stamp: String = at.rfc3339().chars().take(19).filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    format!("{device}-{stamp}Z.cap")
}

/// What stands at the head of a recording.
fn head(device: &Device, request: &Record, at: Timestamp) -> Vec<String> {
    let (profile, stated) = (&device.setting.profile, device.stated());
    let model = stated.model.as_deref().unwrap_or(&profile.model);
    let line = |what: &str, text: &str| format!("# {what}: {}", text.chars().filter(|c| !c.is_control()).collect::<String>());
    vec![
        line("protocol", &profile.protocol),
        line("profile", &profile.name),
        line("device", &format!("{} {model}", profile.maker)),
        line("firmware", stated.firmware.as_deref().unwrap_or("not stated")),
        line("date", &at.rfc3339()),
        line("how", request.how.as_deref().unwrap_or("recorded at the bedside by this box, as the bytes arrived")),
        line("consent", "stated by whoever began the recording; in the audit of this box"),
    ]
}
