//! The driver: framed messages in; facts, readings, faults and then the acknowledgement out.
//!
//! An acknowledgement follows the readings it is for, so a sender forgets nothing that could still be lost. A message
//! of which any observation could not be read is answered AE with the first reason; what could be read is charted.

use super::acknowledge::{Verdict, answers, nobody};
use super::message::{Message, text_of, unescape};
use super::obx::{self, Context};
use super::repeats::Repeats;
use super::time::DateTime;
use super::{MESSAGE_LEN_MAX, alarm, laboratory};
use driver::alarm::AlarmList;
use driver::frame::{Framed, MllpFramer};
use driver::profile::Profile;
use driver::{About, Channel, DecodeError, Driver, Fault, In, Out};
use record::observation::Reading;
use record::time::Monotonic;
use std::collections::BTreeMap;

/// Reads `ORU^R01` from one connection.
pub struct Oru {
    profile: Profile,
    framer: MllpFramer,
    repeats: Repeats,
    alarms: AlarmList,
    told: Vec<About>,
    clock_told: bool,
    answered: u64,
}

/// The longest fact passed on, in characters.
const FACT_LEN_MAX: usize = 200;

impl Oru {
    /// A driver for a sender of this profile.
    #[must_use]
    pub fn new(profile: &Profile) -> Self {
        Self {
            profile: profile.clone(),
            framer: MllpFramer::new(MESSAGE_LEN_MAX),
            repeats: Repeats::default(),
            alarms: AlarmList::default(),
            told: Vec::new(),
            clock_told: false,
            answered: 0,
        }
    }

    fn message(&mut self, bytes: &[u8], out: &mut Vec<Out>) {
        let text = text_of(bytes);
        let message = match Message::parse(&text) {
            Ok(message) => message,
            // Without a header there is no id to answer to.
            Err(error) => return out.push(Out::Fault(Fault::new(error, bytes.len()))),
        };
        let header = message.header();
        let (kind, trigger) = (header.component(9, 1), header.component(9, 2));
        if kind == "ACK" {
            // An acknowledgement is never acknowledged: two such listeners would talk for ever.
            return;
        }
        if kind == "QRY" && trigger == "R02" {
            self.answered += 1;
            return out.push(Out::Send(Channel::Stream, nobody(&message, self.answered)));
        }
        let verdict = if kind == "ORU" && trigger == "R40" {
            self.alarm(&message, out)
        } else if kind == "ORU" && (trigger == "R01" || trigger.is_empty()) {
            if laboratory::is_laboratory(&message) { self.laboratory(&message, out) } else { self.report(&message, out) }
        } else {
            let shown: String = header.field(9).chars().filter(|c| !c.is_control()).take(32).collect();
            let fault = Fault::field("MSH-9", format!("message type {shown:?} is not read"));
            let text = fault.to_string();
            out.push(Out::Fault(Fault { skipped: bytes.len(), ..fault }));
            Verdict::Rejected(text)
        };
        self.answer(&message, &verdict, out);
    }

    fn answer(&mut self, message: &Message<'_>, verdict: &Verdict, out: &mut Vec<Out>) {
        self.answered += 1;
        let answers = answers(message, verdict, self.profile.acknowledge, self.answered);
        out.extend(answers.into_iter().map(|answer| Out::Acknowledge(Channel::Stream, answer)));
    }

    fn alarm(&mut self, message: &Message<'_>, out: &mut Vec<Out>) -> Verdict {
        let read = alarm::read(message);
        if read.is_empty() {
            let fault = Fault::field("OBX", "the alarm report names no event");
            let text = fault.to_string();
            out.push(Out::Fault(fault));
            return Verdict::Error(text);
        }
        for one in read {
            if one.active {
                if self.alarms.begin(&one) {
                    out.push(Out::Alarm(one));
                }
            } else {
                // Told even where its beginning was not heard.
                let ended = self.alarms.end(&one.id).unwrap_or(one);
                out.push(Out::Alarm(ended));
            }
        }
        Verdict::Accepted
    }

    fn laboratory(&mut self, message: &Message<'_>, out: &mut Vec<Out>) -> Verdict {
        let header = message.header();
        let (source, time, id) = (header.field(3), header.field(7), header.field(10));
        if self.repeats.knows(source, time, id) {
            return Verdict::Accepted;
        }
        let (reports, faults) = laboratory::read(message, &self.profile);
        out.extend(reports.into_iter().map(Out::Laboratory));
        let verdict = faults.first().map_or(Verdict::Accepted, |fault| Verdict::Error(fault.to_string()));
        if verdict == Verdict::Accepted {
            self.repeats.remember(source, time, id);
        }
        out.extend(faults.into_iter().map(Out::Fault));
        verdict
    }

    fn report(&mut self, message: &Message<'_>, out: &mut Vec<Out>) -> Verdict {
        let header = message.header();
        let (source, time, id) = (header.field(3), header.field(7), header.field(10));
        if self.repeats.knows(source, time, id) {
            return Verdict::Accepted;
        }
        let clock = DateTime::parse(time);
        let mut context = Context {
            profile: &self.profile,
            demo: matches!(&*header.component(11, 1), "T" | "D"),
            offset_min: clock.and_then(|clock| clock.offset_min),
            observed_at: "",
        };
        let mut location = None;
        let mut device = String::new();
        let mut devices: BTreeMap<String, Vec<(Reading, String)>> = BTreeMap::new();
        let mut faults = Vec::new();
        let mut observations = 0;
        for segment in &message.segments {
            match segment.name() {
                "PV1" => location = fact(segment.field(3), message),
                "OBR" => {
                    context.observed_at = segment.field(7);
                    device.clear();
                }
                "OBX" => {
                    observations += 1;
                    // OBX-18 is stated once, on the row of the device tree above the values, or on each value.
                    let stated = segment.component(18, 1);
                    if !stated.is_empty() {
                        device = stated.into_owned();
                    }
                    match obx::read(segment, context) {
                        Ok(Some(reading)) => devices.entry(device.clone()).or_default().push((reading, segment.field(14).to_owned())),
                        Ok(None) => {}
                        Err(fault) => faults.push(fault),
                    }
                }
                _ => {}
            }
        }
        if observations == 0 {
            faults.push(Fault::field("OBX", "the report holds no observation"));
        }
        if let Some(clock) = clock
            && !std::mem::replace(&mut self.clock_told, true)
        {
            out.push(Out::About(About::Clock(clock.moment(None).unwrap_or(clock.read_as_utc))));
        }
        let source_location = location.map(About::Location);
        for (device, readings) in devices {
            let serial = fact(&device, message).map(About::Serial);
            self.tell(serial.into_iter().chain(source_location.clone()).collect(), out);
            let device = if device.is_empty() { source } else { &device };
            out.extend(self.repeats.fresh(device, readings).into_iter().map(Out::Reading));
        }
        let verdict = faults.first().map_or(Verdict::Accepted, |fault| Verdict::Error(fault.to_string()));
        if verdict == Verdict::Accepted {
            self.repeats.remember(source, time, id);
        }
        out.extend(faults.into_iter().map(Out::Fault));
        verdict
    }

    /// Says what has changed since it was last said; a gateway speaks for several devices in turn.
    fn tell(&mut self, facts: Vec<About>, out: &mut Vec<Out>) {
        if facts != self.told {
            out.extend(facts.iter().filter(|fact| !self.told.contains(fact)).cloned().map(Out::About));
            self.told = facts;
        }
    }

    fn oversized(&mut self, head: &[u8], out: &mut Vec<Out>) {
        let fault = Fault::new(DecodeError::Oversized { limit: MESSAGE_LEN_MAX }, MESSAGE_LEN_MAX);
        let verdict = Verdict::Rejected(fault.error.to_string());
        out.push(Out::Fault(fault));
        let text = text_of(head);
        // The first segment must be whole to be answered.
        if let Some(Ok(message)) = text.split_once(['\r', '\n']).map(|(first, _)| Message::parse(first)) {
            self.answer(&message, &verdict, out);
        }
    }
}

fn fact(field: &str, message: &Message<'_>) -> Option<String> {
    let fact: String = unescape(field.trim(), message.separators).chars().filter(|c| !c.is_control()).take(FACT_LEN_MAX).collect();
    (!fact.is_empty()).then_some(fact)
}

impl Driver for Oru {
    fn handle(&mut self, _now: Monotonic, input: In<'_>) -> Vec<Out> {
        let mut out = Vec::new();
        match input {
            In::Connected | In::Disconnected => {
                self.framer.reset();
                self.alarms.clear();
                self.told.clear();
                self.clock_told = false;
            }
            In::Bytes(_, bytes) => {
                for found in self.framer.push(bytes) {
                    match found {
                        Framed::Frame(message) => self.message(&message, &mut out),
                        Framed::Skipped(skipped) => out.push(Out::Fault(Fault::new(DecodeError::Unframed, skipped))),
                        Framed::Oversized { head } => self.oversized(&head, &mut out),
                    }
                }
            }
            In::Wake => {}
        }
        out
    }
}
