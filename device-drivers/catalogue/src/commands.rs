//! Commands of the protocols that press, erase, reset or set clocks: listed here, sent by no driver.
//!
//! A Bluetooth device has those whose characteristic its profile names. No protocol read here can start a cuff.

use crate::ble::{civil, racp};
use driver::Channel;
use driver::command::{Asked, CommandRefusal, Deed, DeviceCommand};
use driver::profile::{Profile, Uuid, split_quirks};

const DATE_TIME: u16 = 0x2A08;
const CURRENT_TIME: u16 = 0x2A2B;
const RECORD_ACCESS: u16 = 0x2A52;
const HEART_RATE_CONTROL_POINT: Channel = Channel::assigned(0x2A39);
/// Current Time's adjust reason: set by a person.
const BY_HAND: u8 = 0x01;

static SET_CURRENT_TIME: DeviceCommand =
    DeviceCommand::new("set-current-time", Deed::SetsClock, "sets its clock to this box's time (Current Time, 2A2B)", |asked| {
        let (mut bytes, weekday) = date_time(asked)?;
        bytes.extend([weekday, 0, BY_HAND]);
        Ok((Channel::assigned(CURRENT_TIME), bytes))
    });

static SET_DATE_TIME: DeviceCommand =
    DeviceCommand::new("set-date-time", Deed::SetsClock, "sets its clock to this box's time (Date Time, 2A08)", |asked| {
        Ok((Channel::assigned(DATE_TIME), date_time(asked)?.0))
    });

static ERASE_RECORDS: DeviceCommand =
    DeviceCommand::new("erase-records", Deed::Erases, "erases every result the device has stored (record access, 2A52)", |_| {
        Ok((racp::CONTROL_POINT, racp::ERASE_ALL.to_vec()))
    });

static RESET_ENERGY: DeviceCommand =
    DeviceCommand::new("reset-energy", Deed::Resets, "sets the energy expended back to zero (control point, 2A39)", |_| {
        Ok((HEART_RATE_CONTROL_POINT, vec![0x01]))
    });

static ERASE_MEMORY: DeviceCommand =
    DeviceCommand::new("erase-memory", Deed::Erases, "erases every recording of every user the oximeter has stored (AE)", |_| {
        Ok((Channel::Stream, crate::serial::contec_new::ERASE_ALL.to_vec()))
    });

/// The commands of a device of this profile.
#[must_use]
pub fn of(profile: &Profile) -> Vec<&'static DeviceCommand> {
    let feeds = |number: u16| profile.feed.iter().any(|feed| feed.characteristic == Uuid::assigned(number));
    let (protocol, _) = split_quirks(&profile.protocol);
    [
        (feeds(CURRENT_TIME), &SET_CURRENT_TIME),
        (feeds(DATE_TIME), &SET_DATE_TIME),
        (feeds(RECORD_ACCESS), &ERASE_RECORDS),
        (protocol == "ble.heart-rate", &RESET_ENERGY),
        (protocol == "contec.cms50-new", &ERASE_MEMORY),
    ]
    .into_iter()
    .filter_map(|(has, command)| has.then_some(command))
    .collect()
}

/// Every command there is.
#[must_use]
pub fn all() -> [&'static DeviceCommand; 5] {
    [&SET_CURRENT_TIME, &SET_DATE_TIME, &ERASE_RECORDS, &RESET_ENERGY, &ERASE_MEMORY]
}

/// A Date Time and the day of the week, Monday being 1.
fn date_time(asked: &Asked<'_>) -> Result<(Vec<u8>, u8), CommandRefusal> {
    civil(asked.wall()?).map(|(bytes, weekday)| (bytes.to_vec(), weekday)).ok_or(CommandRefusal::TimeUnfit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use record::time::Timestamp;

    fn profile(name: &str) -> Profile {
        crate::profiles().expect("profiles").into_iter().find(|profile| profile.name == name).expect(name)
    }

    fn ids(name: &str) -> Vec<&'static str> {
        of(&profile(name)).iter().map(|command| command.id).collect()
    }

    #[test]
    fn a_device_has_the_commands_whose_characteristic_its_profile_names() {
        assert_eq!(ids("sig-glucose"), ["set-current-time", "set-date-time", "erase-records"]);
        assert_eq!(ids("and-ua651ble"), ["set-date-time"]);
        assert_eq!(ids("sig-pulse-oximeter"), [""; 0]);
        assert_eq!(ids("sig-heart-rate"), ["reset-energy"]);
        assert_eq!(ids("contec-cms50d-plus"), ["erase-memory"]);
    }

    #[test]
    fn a_clock_is_set_to_the_wall_time_of_its_zone() {
        let profile = profile("and-ua651ble");
        let now = Timestamp::parse("2026-11-22T22:30:05Z").expect("moment");
        let asked = |utc_offset_min| Asked { profile: &profile, now, utc_offset_min };
        let sent = |command: &DeviceCommand, offset| command.encode(&asked(Some(offset)));
        assert_eq!(sent(&SET_DATE_TIME, 120), Ok((Channel::assigned(0x2A08), hex!("EA 07 0B 17 00 1E 05").to_vec())));
        // A Monday, set by a person.
        assert_eq!(sent(&SET_CURRENT_TIME, 120), Ok((Channel::assigned(0x2A2B), hex!("EA 07 0B 17 00 1E 05 01 00 01").to_vec())));
        assert_eq!(SET_DATE_TIME.encode(&asked(None)), Err(CommandRefusal::ZoneUnknown));
        assert_eq!(sent(&SET_DATE_TIME, 900), Err(CommandRefusal::TimeUnfit));
    }

    #[test]
    fn erasing_asks_for_all_records() {
        let profile = profile("sig-glucose");
        let asked = Asked { profile: &profile, now: Timestamp(0), utc_offset_min: None };
        assert_eq!(ERASE_RECORDS.encode(&asked), Ok((Channel::assigned(0x2A52), hex!("02 01").to_vec())));
        // Code AE, user 0, every segment: the high bits of code and argument lie in the second byte.
        assert_eq!(ERASE_MEMORY.encode(&asked), Ok((Channel::Stream, hex!("7D 85 AE 80 FF 80 80 80 80").to_vec())));
    }

    #[test]
    fn no_driver_sends_one_by_itself() {
        for profile in crate::profiles().expect("profiles") {
            let asked = Asked { profile: &profile, now: Timestamp(1_764_000_000_000_000), utc_offset_min: Some(0) };
            let dangerous: Vec<_> = of(&profile).iter().map(|command| command.encode(&asked).expect(command.id)).collect();
            let mut driver = (crate::protocol(&profile.protocol).expect("row").make)(&profile);
            let mut out = driver.handle(record::time::Monotonic(0), driver::In::Connected);
            for second in 1..60 {
                out.extend(driver.handle(record::time::Monotonic(second * 1_000_000), driver::In::Wake));
            }
            for sent in out {
                if let driver::Out::Send(channel, bytes) | driver::Out::Acknowledge(channel, bytes) = sent {
                    assert!(!dangerous.contains(&(channel, bytes)), "{}", profile.name);
                }
            }
        }
    }
}
