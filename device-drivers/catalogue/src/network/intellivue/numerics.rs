//! Numerics: observed values, single or compound, each with its code, state and unit.

use super::cursor::Cursor;
use super::poll::{Attributes, Handle, time};
use driver::float11073::Float;
use driver::profile::Profile;
use driver::{Fault, Out};
use record::code::Code;
use record::decimal::Decimal;
use record::observation::{NoValue, Quality, Reading};
use record::time::Timestamp;
use record::unit::Unit;
use std::collections::BTreeMap;

const OBSERVED: u16 = 0x0950;
const COMPOUND: u16 = 0x094B;
const ABSOLUTE_TIME: u16 = 0x0990;
/// Objects remembered for their last result.
const OBJECTS_MAX: usize = 256;
/// Values of one compound.
const PARTS_MAX: usize = 16;

// States of a value.
const INVALID: u16 = 0x8000;
const QUESTIONABLE: u16 = 0x4000;
const UNAVAILABLE: u16 = 0x2000;
const CALIBRATING: u16 = 0x1000;
const TEST: u16 = 0x0800;
const DEMO: u16 = 0x0400;
/// States in which there is no number.
pub(super) const NONE: u16 = INVALID | UNAVAILABLE | CALIBRATING;
/// States in which a number is no patient's.
pub(super) const NOT_REAL: u16 = TEST | DEMO;

/// Context-free MDC code of a physiological id.
pub(super) fn code(id: u16) -> Code {
    match id {
        // Pulse by pleth, and of the arterial line, by the monitor's own terms.
        0x4822 => Code::PULSE_RATE,
        0x4810 => Code::PULSE_RATE_ABP,
        // End-tidal carbon dioxide of the airway.
        0x50B0 => Code::ET_CO2,
        _ => Code::from_mdc(0x2_0000 + u32::from(id)),
    }
}

/// The unit of a dimension id.
pub(super) fn unit(id: u16) -> Option<Unit> {
    Unit::from_mdc(0x4_0000 + u32::from(id))
}

type Charted = (Vec<(u16, Result<Decimal, NoValue>)>, Option<Timestamp>);

/// What has to be remembered: results that the monitor repeats until the next.
#[derive(Debug, Default)]
pub struct Numerics {
    timed: BTreeMap<Handle, Charted>,
}

impl Numerics {
    /// Reads an object's values, if it has any.
    pub fn read(&mut self, handle: Handle, attributes: Attributes<'_>, profile: &Profile, out: &mut Vec<Out>) {
        let mut observed = Vec::new();
        let mut short = false;
        if let Some(mut value) = attributes.get(OBSERVED) {
            match one(&mut value) {
                Some(part) => observed.push(part),
                None => short = true,
            }
        }
        if let Some((count, mut list)) = attributes.get(COMPOUND).and_then(|mut value| value.list()) {
            for _ in 0..usize::from(count).min(PARTS_MAX) {
                match one(&mut list) {
                    Some(part) => observed.push(part),
                    None => short = true,
                }
            }
        }
        if short {
            out.push(Out::Fault(Fault::field("observed value", "is cut short")));
        }
        let at = attributes.get(ABSOLUTE_TIME).and_then(|mut value| time(value.array()?));
        if observed.is_empty() || !self.is_news(handle, &observed, at) {
            return;
        }
        let device_time = at.and_then(|at| profile.moment(at));
        for Observed { id, state, unit_id, value } in observed {
            let Some(unit) = unit(unit_id) else {
                out.push(Out::Fault(Fault::field("unit", format!("{unit_id:04x} of {id:04x} is not known"))));
                continue;
            };
            let quality = match (state & NOT_REAL != 0, state & QUESTIONABLE != 0) {
                (true, _) => Quality::Demo,
                (false, true) => Quality::Questionable,
                (false, false) => Quality::Good,
            };
            out.push(Out::Reading(Reading { code: code(id), value, unit, quality, device_time, device_seq: None }));
        }
    }

    /// A result with a time of its own, or of a cuff, is said once: the monitor repeats it each second.
    fn is_news(&mut self, handle: Handle, observed: &[Observed], at: Option<Timestamp>) -> bool {
        let of_cuff = |part: &Observed| matches!(code(part.id), Code::NIBP_SYSTOLIC | Code::NIBP_DIASTOLIC | Code::NIBP_MEAN);
        if at.is_none() && !observed.iter().any(of_cuff) {
            return true;
        }
        if self.timed.len() >= OBJECTS_MAX && !self.timed.contains_key(&handle) {
            return true;
        }
        let now = (observed.iter().map(|part| (part.id, part.value.clone())).collect(), at);
        self.timed.insert(handle, now.clone()) != Some(now)
    }
}

struct Observed {
    id: u16,
    state: u16,
    unit_id: u16,
    value: Result<Decimal, NoValue>,
}

fn one(bytes: &mut Cursor<'_>) -> Option<Observed> {
    let (id, state, unit_id) = (bytes.u16()?, bytes.u16()?, bytes.u16()?);
    let float = Float::float_be(bytes.array()?);
    let value = if state & NONE != 0 { Err(NoValue::NotMeasured) } else { float.value() };
    Some(Observed { id, state, unit_id, value })
}

#[cfg(test)]
mod tests {
    use super::super::cursor::Cursor;
    use super::super::poll::Monitor;
    use super::*;
    use hex_literal::hex;

    /// A single-poll answer of one object with these attributes.
    fn answer(class: u16, count: u16, attributes: &[u8]) -> Vec<u8> {
        let counted = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
        let object = [&[0x12, 0x34], &count.to_be_bytes()[..], &counted(attributes)].concat();
        let context = [&[0, 0, 0, 1], &counted(&object)[..]].concat();
        let poll = [&hex!("0001 00000000 FFFFFFFFFFFFFFFF 0001")[..], &class.to_be_bytes(), &[0, 0, 0, 1], &counted(&context)].concat();
        let result = [&hex!("0021 0000 0000 0C16")[..], &counted(&poll)].concat();
        let body = [&hex!("0001 0007")[..], &counted(&result)].concat();
        [&[0, 2], &counted(&body)[..]].concat()
    }
    fn statuses(monitor: &mut Monitor, count: u16, attributes: &[u8]) -> Vec<String> {
        let mut out = Vec::new();
        monitor.data(Cursor(&answer(6, count, attributes)), &mut out);
        let text = |o: &Out| match o {
            Out::Reading(r) => {
                format!("{} {} {}", r.code.key(), r.value.as_ref().map_or_else(|_| "-".to_owned(), ToString::to_string), r.status())
            }
            Out::Fault(f) => f.to_string(),
            other => panic!("{other:?}"),
        };
        out.iter().map(text).collect()
    }
    fn fresh() -> Monitor {
        Monitor::new(&Profile::bare("philips.intellivue"))
    }

    #[test]
    fn states_decide_what_a_number_is_worth() {
        let with = |state: u16| {
            let [high, low] = state.to_be_bytes();
            statuses(&mut fresh(), 1, &[&hex!("0950 000A 4BB8")[..], &[high, low], &hex!("0220 0000005F")].concat())[0].clone()
        };
        assert_eq!(with(0), "spo2 95 ok");
        assert_eq!(with(0x0400), "spo2 95 demo");
        assert_eq!(with(0x0800), "spo2 95 demo");
        assert_eq!(with(0x4000), "spo2 95 artefact");
        assert_eq!([0x8000, 0x2000, 0x1000].map(with), ["spo2 - not-measured"; 3]);
        assert_eq!(with(0x0002), "spo2 95 ok", "an alarm does not void its value");
    }

    #[test]
    fn a_special_number_is_none_and_an_unknown_unit_is_refused() {
        assert_eq!(statuses(&mut fresh(), 1, &hex!("0950 000A 4BB8 0000 0220 007FFFFF")), ["spo2 - not-measured"]);
        assert_eq!(statuses(&mut fresh(), 1, &hex!("0950 000A 4BB8 0000 0001 0000005F")), ["unit: 0001 of 4bb8 is not known"]);
        assert_eq!(statuses(&mut fresh(), 1, &hex!("0950 0004 4BB8 0000")), ["observed value: is cut short"]);
    }

    #[test]
    fn a_cuff_result_is_said_once_and_an_equal_one_of_another_time_again() {
        let mut monitor = fresh();
        let cuff = |minute: u8| {
            let values = hex!("094B 0022 0003 001E 4A05 0000 0F20 00000078 4A06 0000 0F20 00000050 4A07 0000 0F20 0000005A");
            [&values[..], &hex!("0990 0008 20 17 11 04 14"), &[minute, 0, 0]].concat()
        };
        let first = statuses(&mut monitor, 2, &cuff(0x45));
        assert_eq!(first, ["nibp-systolic 120 ok", "nibp-diastolic 80 ok", "nibp-mean 90 ok"]);
        assert_eq!(statuses(&mut monitor, 2, &cuff(0x45)), [""; 0]);
        assert_eq!(statuses(&mut monitor, 2, &cuff(0x46)).len(), 3);
    }
}
