//! Dräger Medibus (Evita 4, Evita 2 dura, Evita XL, V500, Savina, Apollo, Primus, Babylog). Source: protocol manual revision 4.03
//! and the manual of intensive-care devices.
//!
//! Either side may ask. This side begins the dialogue, says who it is when asked, answers every command, asks in turn for
//! measured values and alarms, and for the profile's waves. It sets nothing on the ventilator.
//!
//! Read in this order: [`link`], [`values`] (what answers say), [`fast`] (the fast channel).

pub mod fast;
pub mod link;
pub mod values;

use self::fast::FastChannel;
use self::link::{Heard, LineReader, answer, command};
use crate::stream::Told;
use crate::{Link, ProtocolRow};
use driver::alarm::AlarmList;
use driver::profile::Profile;
use driver::{About, Channel, Driver, Fault, In, Out};
use record::code::Code;
use record::time::Monotonic;
use record::unit::Unit;

pub(crate) const PROTOCOL: ProtocolRow = ProtocolRow {
    id: "draeger.medibus",
    quirks: &[],
    link: Link::Serial,
    channel: Channel::Stream,
    make: |profile| Box::new(Medibus::new(profile)),
    check: |profile| super::needs_line(profile).and_then(|()| fast::check(profile)),
    as_sent: crate::as_is,
};

// Commands.
const NOP: u8 = 0x30;
const INITIALISE: u8 = 0x51;
const STOP: u8 = 0x55;
const IDENTIFY: u8 = 0x52;
const VALUES: u8 = 0x24;
const ALARMS: u8 = 0x27;
const VALUES_2: u8 = 0x2B;
const ALARMS_2: u8 = 0x2E;
const DATE_TIME: u8 = 0x28;
const FAST_CONFIGURATION: u8 = 0x53;
const FAST_CHOOSE: u8 = 0x54;
const FAST_CHANGED: u8 = 0x56;
const CORRUPT: u8 = 0x15;

/// Who this side says it is; an empty answer is refused by an Evita 4.
const IDENTITY: &str = "0161'Lamplight'01.00:04.00";
/// What is asked in turn, once the dialogue is up.
const ROUND: [u8; 5] = [VALUES, ALARMS, VALUES_2, ALARMS_2, NOP];
/// How often the driver looks.
const LOOK_EVERY_US: u64 = 500_000;
/// Between two rounds, where the profile does not say; a silence of 3 s is a lost link to the device.
const INTERVAL_US: u64 = 1_000_000;
const INTERVAL_MAX_US: u64 = 2_000_000;
/// A full answer may take this long; after it the dialogue is begun anew.
const ANSWER_US: u64 = 10_000_000;
/// Between two tries to begin.
const BEGIN_EVERY_US: u64 = 3_000_000;
/// The chosen fast values are confirmed every so often.
const SYNC_EVERY_US: u64 = 5_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Down,
    /// Begun, not answered.
    Beginning,
    Up,
}

struct Medibus {
    profile: Profile,
    reader: LineReader,
    state: State,
    /// Asked and not answered, since when.
    asked: Option<(u8, Monotonic)>,
    /// What to ask next, soonest first.
    due: Vec<u8>,
    round_at: Monotonic,
    begun_at: Monotonic,
    sync_at: Monotonic,
    fast: FastChannel,
    alarms: [AlarmList; 2],
    /// Codes that were in an answer before, of either page.
    seen: [Vec<(Code, Unit)>; 2],
    told: Told,
}

impl Medibus {
    fn new(profile: &Profile) -> Self {
        Self {
            profile: profile.clone(),
            reader: LineReader::default(),
            state: State::Down,
            asked: None,
            due: Vec::new(),
            round_at: Monotonic::default(),
            begun_at: Monotonic::default(),
            sync_at: Monotonic::default(),
            fast: FastChannel::new(profile),
            alarms: Default::default(),
            seen: Default::default(),
            told: Told::default(),
        }
    }

    fn send(bytes: Vec<u8>, out: &mut Vec<Out>) {
        out.push(Out::Send(Channel::Stream, bytes));
    }

    fn begin(&mut self, now: Monotonic, out: &mut Vec<Out>) {
        (self.state, self.begun_at, self.asked) = (State::Beginning, now, None);
        Self::send(command(INITIALISE, ""), out);
    }

    /// The dialogue is up: everything configured before is lost, on both sides.
    fn up(&mut self, now: Monotonic, out: &mut Vec<Out>) {
        self.state = State::Up;
        self.asked = None;
        self.fast.reset(out);
        self.due = vec![IDENTIFY, DATE_TIME];
        if !self.profile.waves.is_empty() {
            self.due.push(FAST_CONFIGURATION);
        }
        self.due.extend(ROUND);
        self.round_at = now;
        self.ask(now, out);
    }

    fn ask(&mut self, now: Monotonic, out: &mut Vec<Out>) {
        if self.state != State::Up || self.asked.is_some() || self.due.is_empty() {
            return;
        }
        let code = self.due.remove(0);
        self.asked = Some((code, now));
        let argument = if code == FAST_CHOOSE { self.fast.choice() } else { String::new() };
        Self::send(command(code, &argument), out);
    }

    fn heard(&mut self, now: Monotonic, heard: Heard<'_>, out: &mut Vec<Out>) {
        match heard {
            Heard::Fast(byte) => self.fast.take(byte, out),
            Heard::Command(code, _) => {
                let content = if code == IDENTIFY { IDENTITY } else { "" };
                Self::send(answer(code, content), out);
                match code {
                    INITIALISE => self.up(now, out),
                    STOP => (self.state, self.begun_at, self.asked) = (State::Beginning, now, None),
                    FAST_CHANGED if !self.profile.waves.is_empty() => self.due.insert(0, FAST_CONFIGURATION),
                    _ => {}
                }
            }
            Heard::Answer(code, content) => {
                if self.asked.is_some_and(|(asked, _)| asked == code || code == CORRUPT) {
                    self.asked = None;
                }
                if code == INITIALISE && self.state == State::Beginning {
                    return self.up(now, out);
                }
                self.answer(code, content, out);
                self.ask(now, out);
            }
            Heard::Fault(fault) => out.push(Out::Fault(fault)),
        }
    }

    fn answer(&mut self, code: u8, content: &[u8], out: &mut Vec<Out>) {
        match code {
            VALUES | VALUES_2 => values::measured(content, &mut self.seen[usize::from(code == VALUES_2)], out),
            ALARMS | ALARMS_2 => {
                let held = &mut self.alarms[usize::from(code == ALARMS_2)];
                match values::alarms(content) {
                    Ok(now) => out.extend(held.replace(now).into_iter().map(Out::Alarm)),
                    Err(fault) => out.push(Out::Fault(fault)),
                }
            }
            DATE_TIME => match values::time(content) {
                Some(clock) => self.told.say(About::Clock(clock), out),
                None => out.push(Out::Fault(Fault::field("date and time", "cannot be read"))),
            },
            IDENTIFY => {
                for about in values::identity(content) {
                    self.told.say(about, out);
                }
            }
            FAST_CONFIGURATION => {
                if let Err(fault) = self.fast.configure(content) {
                    out.push(Out::Fault(fault));
                } else if self.fast.is_wanted() {
                    self.due.insert(0, FAST_CHOOSE);
                }
            }
            FAST_CHOOSE => Self::send(self.fast.enable(), out),
            CORRUPT => out.push(Out::Fault(Fault::field("command", "arrived damaged at the device"))),
            _ => {}
        }
    }

    fn look(&mut self, now: Monotonic, out: &mut Vec<Out>) {
        let late = self.asked.is_some_and(|(_, at)| now.micros_since(at) >= ANSWER_US);
        match self.state {
            State::Down => return,
            State::Beginning if now.micros_since(self.begun_at) >= BEGIN_EVERY_US => self.begin(now, out),
            State::Beginning => {}
            State::Up if late => self.begin(now, out),
            State::Up => {
                let interval = self.profile.interval_s.map_or(INTERVAL_US, |s| u64::from(s) * 1_000_000).min(INTERVAL_MAX_US);
                if self.due.is_empty() && now.micros_since(self.round_at) >= interval {
                    self.round_at = now;
                    self.due.extend(ROUND);
                }
                if self.fast.is_on() && now.micros_since(self.sync_at) >= SYNC_EVERY_US {
                    self.sync_at = now;
                    Self::send(self.fast.enable(), out);
                }
                self.ask(now, out);
            }
        }
        out.push(Out::WakeAt(now.plus_micros(LOOK_EVERY_US)));
    }
}

impl Driver for Medibus {
    fn handle(&mut self, now: Monotonic, input: In<'_>) -> Vec<Out> {
        let mut out = Vec::new();
        match input {
            In::Connected => {
                *self = Self::new(&self.profile);
                self.begin(now, &mut out);
                out.push(Out::WakeAt(now.plus_micros(LOOK_EVERY_US)));
            }
            In::Bytes(_, bytes) => {
                // What is heard never touches the reader.
                let mut reader = std::mem::take(&mut self.reader);
                reader.push(bytes, |heard| self.heard(now, heard, &mut out));
                self.reader = reader;
            }
            In::Wake => self.look(now, &mut out),
            In::Disconnected => {
                self.fast.reset(&mut out);
                *self = Self::new(&self.profile);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    const S: u64 = 1_000_000;

    fn sent(out: &[Out]) -> Vec<Vec<u8>> {
        out.iter().filter_map(|o| if let Out::Send(_, bytes) = o { Some(bytes.clone()) } else { None }).collect()
    }
    fn hear(driver: &mut Medibus, bytes: &[u8]) -> Vec<Out> {
        driver.handle(Monotonic(0), In::Bytes(Channel::Stream, bytes))
    }

    #[test]
    fn the_dialogue_is_begun_and_then_asks_one_thing_after_the_other() {
        let mut driver = Medibus::new(&Profile::bare("draeger.medibus"));
        assert_eq!(sent(&driver.handle(Monotonic(0), In::Connected)), [command(INITIALISE, "")]);
        assert_eq!(sent(&hear(&mut driver, &answer(INITIALISE, ""))), [command(IDENTIFY, "")]);
        let out = hear(&mut driver, &answer(IDENTIFY, "8260'Evita XL'07.00:04.00"));
        assert!(out.contains(&Out::About(About::Model("Evita XL".to_owned()))));
        assert_eq!(sent(&out), [command(DATE_TIME, "")]);
        let out = hear(&mut driver, &answer(DATE_TIME, "11:11:1911-NOV-93"));
        assert!(matches!(&out[0], Out::About(About::Clock(at)) if at.rfc3339() == "1993-11-11T11:11:19.000Z"));
        assert_eq!(sent(&out), [command(VALUES, "")]);
        let out = hear(&mut driver, &answer(VALUES, "EB 98 E1 70 "));
        assert_eq!(sent(&out), [command(ALARMS, "")]);
    }

    #[test]
    fn every_command_is_answered_and_an_identity_is_never_empty() {
        let mut driver = Medibus::new(&Profile::bare("draeger.medibus"));
        driver.handle(Monotonic(0), In::Connected);
        assert_eq!(sent(&hear(&mut driver, &hex!("1b 51 36 43 0d"))), [answer(INITIALISE, ""), command(IDENTIFY, "")]);
        assert_eq!(sent(&hear(&mut driver, &hex!("1b 52 36 44 0d"))), [answer(IDENTIFY, IDENTITY)]);
        assert_eq!(sent(&hear(&mut driver, &command(0x77, "x"))), [answer(0x77, "")]);
    }

    #[test]
    fn a_device_that_does_not_answer_is_begun_anew() {
        let mut driver = Medibus::new(&Profile::bare("draeger.medibus"));
        driver.handle(Monotonic(0), In::Connected);
        assert_eq!(sent(&driver.handle(Monotonic(S), In::Wake)).len(), 0);
        assert_eq!(sent(&driver.handle(Monotonic(3 * S), In::Wake)), [command(INITIALISE, "")]);
        hear(&mut driver, &answer(INITIALISE, ""));
        assert_eq!(sent(&driver.handle(Monotonic(9 * S), In::Wake)).len(), 0);
        assert_eq!(sent(&driver.handle(Monotonic(10 * S), In::Wake)), [command(INITIALISE, "")]);
        driver.handle(Monotonic(0), In::Disconnected);
        assert_eq!(driver.handle(Monotonic(0), In::Wake), []);
    }

    #[test]
    fn waves_are_chosen_from_what_the_device_offers() {
        let mut profile = Profile::bare("draeger.medibus");
        profile.waves = vec![Code::PLETH];
        let mut driver = Medibus::new(&profile);
        driver.handle(Monotonic(0), In::Connected);
        hear(&mut driver, &answer(INITIALISE, ""));
        hear(&mut driver, &answer(IDENTIFY, "8260'Evita XL'07.00:04.00"));
        assert_eq!(sent(&hear(&mut driver, &answer(DATE_TIME, "11:11:1911-NOV-93"))), [command(FAST_CONFIGURATION, "")]);
        let offered = "00   16000  -10  100FFF02   10000    0  100 64";
        assert_eq!(sent(&hear(&mut driver, &answer(FAST_CONFIGURATION, offered))), [command(FAST_CHOOSE, "0201")]);
        let out = hear(&mut driver, &answer(FAST_CHOOSE, ""));
        assert_eq!(sent(&out)[0], hex!("D0 C1 C1 C0 C0"));
        // One record: stream 1, raw 50.
        let mut out = hear(&mut driver, &hex!("D1 B2 80"));
        out.extend(driver.handle(Monotonic(0), In::Disconnected));
        assert!(
            matches!(&out[..], [Out::Wave(wave)] if wave.code == Code::PLETH && wave.raw == [500] && wave.rate_hz == record::decimal::Decimal::whole(100)),
            "{out:?}"
        );
    }
}
