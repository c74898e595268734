//! GE Datex-Ohmeda S/5 "DRI" over serial: AS/3, S/5, B20–B125, CARESCAPE B450–850. Source: GE M1017617 and captures.
//!
//! The monitor sends only what it was asked for, so this driver asks: displayed values at the profile's interval and
//! the profile's waves, again whenever they stop. It changes nothing on the monitor.
//!
//! Read in this order: [`record`] (frame and header), [`numerics`], [`waves`], [`alarms`], [`requests`].

pub mod alarms;
pub mod numerics;
pub mod record;
pub mod requests;
pub mod waves;

use self::numerics::Numerics;
use self::record::{Main, Record};
use crate::{Link, ProtocolRow, Quirk};
use ::record::time::{Monotonic, Timestamp};
use driver::alarm::AlarmList;
use driver::frame::{FlagFramer, Framed};
use driver::profile::Profile;
use driver::{About, Channel, DecodeError, Driver, Fault, In, Out};

pub(crate) const PROTOCOL: ProtocolRow = ProtocolRow {
    id: "ge.dri",
    quirks: &[Quirk { id: ALARMS, experimental: false, says: "asks for alarm texts, which CARESCAPE monitors send" }],
    link: Link::Serial,
    channel: Channel::Stream,
    make: |profile| Box::new(GeDri::new(profile)),
    check: requests::check,
    as_sent: record::framed_if_bare,
};

/// The quirk of monitors that tell their alarms.
const ALARMS: &str = "alarms";
/// The longest frame read: a record states its length in 15 bits and carries one checksum byte.
const FRAME_LEN_MAX: usize = i16::MAX as usize + 1;
/// How often the driver looks whether the monitor still sends. The monitor ignores requests closer than 5 s.
const LOOK_EVERY_US: u64 = 5_000_000;
/// A wave silent this long has to be asked for again: the monitor drops it when the line blocks for 2 s.
const WAVE_SILENCE_US: u64 = 5_000_000;
/// How late displayed values may be before they are asked for again.
const GRACE_US: u64 = 2_000_000;

struct GeDri {
    profile: Profile,
    framer: FlagFramer,
    numerics: Numerics,
    alarms: AlarmList,
    connected: bool,
    /// When displayed values last came or were asked for.
    numerics_at: Monotonic,
    /// When a wave last came or was asked for.
    waves_at: Monotonic,
    clock_told: bool,
}

impl GeDri {
    fn new(profile: &Profile) -> Self {
        Self {
            profile: profile.clone(),
            framer: FlagFramer::new(FRAME_LEN_MAX),
            numerics: Numerics::default(),
            alarms: AlarmList::default(),
            connected: false,
            numerics_at: Monotonic::default(),
            waves_at: Monotonic::default(),
            clock_told: false,
        }
    }

    fn frame(&mut self, now: Monotonic, frame: &[u8]) -> Vec<Out> {
        let record = match record::checked(frame).and_then(Record::parse) {
            Ok(record) => record,
            Err(error) => return vec![Out::Fault(Fault::new(error, frame.len()))],
        };
        // The monitor's clock is its wall's, in seconds since 1970 as if that were UTC.
        let clock = Timestamp::from_millis(i64::from(record.time_s) * 1000);
        let clock_set = record.time_s != 0;
        let at = self.profile.moment(clock).filter(|_| clock_set);
        let mut out = Vec::new();
        if clock_set && !std::mem::replace(&mut self.clock_told, true) {
            out.push(Out::About(About::Clock(clock)));
        }
        match record.main {
            Main::Physiological => {
                self.numerics_at = now;
                self.numerics.read(&record, at, &mut out);
            }
            Main::Wave => {
                self.waves_at = now;
                waves::read(&record, &mut out);
            }
            Main::Alarm => alarms::read(&record, &mut self.alarms, &mut out),
            // Network and event records are not charted.
            Main::Other(_) => {}
        }
        out
    }

    fn ask_for_numerics(&mut self, now: Monotonic, out: &mut Vec<Out>) {
        self.numerics_at = now;
        out.push(Out::Send(Channel::Stream, requests::displayed_values(requests::interval_s(&self.profile))));
    }

    fn ask_for_waves(&mut self, now: Monotonic, out: &mut Vec<Out>) {
        self.waves_at = now;
        if let Some(request) = requests::waves(&self.profile.waves) {
            out.push(Out::Send(Channel::Stream, request));
        }
    }

    fn reset(&mut self, connected: bool) {
        self.framer.reset();
        self.numerics = Numerics::default();
        self.alarms.clear();
        self.connected = connected;
        self.clock_told = false;
    }
}

impl Driver for GeDri {
    fn handle(&mut self, now: Monotonic, input: In<'_>) -> Vec<Out> {
        let mut out = Vec::new();
        match input {
            In::Connected => {
                self.reset(true);
                self.ask_for_numerics(now, &mut out);
                self.ask_for_waves(now, &mut out);
                if self.profile.has_quirk(ALARMS) {
                    out.push(Out::Send(Channel::Stream, alarms::request()));
                }
                out.push(Out::WakeAt(now.plus_micros(LOOK_EVERY_US)));
            }
            In::Bytes(_, bytes) => {
                for found in self.framer.push(bytes) {
                    match found {
                        Framed::Frame(frame) => out.extend(self.frame(now, &frame)),
                        Framed::Skipped(skipped) => out.push(Out::Fault(Fault::new(DecodeError::Unframed, skipped))),
                        Framed::Oversized { .. } => {
                            out.push(Out::Fault(Fault::new(DecodeError::Oversized { limit: FRAME_LEN_MAX }, FRAME_LEN_MAX)));
                        }
                    }
                }
            }
            In::Wake if self.connected => {
                let interval_us = u64::from(requests::interval_s(&self.profile)) * 1_000_000;
                if now.micros_since(self.numerics_at) >= interval_us + GRACE_US {
                    self.ask_for_numerics(now, &mut out);
                }
                if now.micros_since(self.waves_at) >= WAVE_SILENCE_US {
                    self.ask_for_waves(now, &mut out);
                }
                out.push(Out::WakeAt(now.plus_micros(LOOK_EVERY_US)));
            }
            In::Wake => {}
            In::Disconnected => self.reset(false),
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::record::code::Code;

    fn asked(out: &[Out]) -> usize {
        out.iter().filter(|o| matches!(o, Out::Send(..))).count()
    }

    #[test]
    fn on_connecting_it_asks_for_values_and_its_waves_and_nothing_else() {
        let mut profile = Profile::bare("ge.dri");
        profile.waves = vec![Code::ECG];
        let out = GeDri::new(&profile).handle(Monotonic(7), In::Connected);
        assert_eq!(
            out,
            [
                Out::Send(Channel::Stream, requests::displayed_values(5)),
                Out::Send(Channel::Stream, requests::waves(&[Code::ECG]).expect("request")),
                Out::WakeAt(Monotonic(5_000_007)),
            ]
        );
    }

    #[test]
    fn a_silent_monitor_is_asked_again_and_a_talking_one_is_left_alone() {
        let mut profile = Profile::bare("ge.dri");
        profile.waves = vec![Code::ECG];
        let mut driver = GeDri::new(&profile);
        driver.handle(Monotonic(0), In::Connected);
        let s = |seconds: u64| Monotonic(seconds * 1_000_000);
        driver.waves_at = s(4);
        assert_eq!(asked(&driver.handle(s(5), In::Wake)), 0);
        assert_eq!(asked(&driver.handle(s(10), In::Wake)), 2);
        driver.waves_at = s(15);
        driver.numerics_at = s(12);
        assert_eq!(asked(&driver.handle(s(15), In::Wake)), 0);
        driver.handle(s(16), In::Disconnected);
        assert_eq!(driver.handle(s(60), In::Wake), []);
    }
}
