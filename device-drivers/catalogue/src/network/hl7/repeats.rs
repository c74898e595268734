//! What was charted before: a message sent again, a value repeated under its old time, a cuff result repeated until
//! the next. Bounded: what is forgotten is at worst charted twice.

use record::code::Code;
use record::decimal::Decimal;
use record::observation::{NoValue, Reading};
use std::collections::{BTreeMap, VecDeque};

/// How many messages are remembered.
const MESSAGES_MAX: usize = 64;
/// How many devices behind one connection are remembered.
const DEVICES_MAX: usize = 256;
/// How many codes of one device are remembered.
const CODES_MAX: usize = 256;

/// A value and the time field it came with.
type Charted = (Code, String, Result<Decimal, NoValue>);

/// Memory of one connection's sender; kept over reconnects.
#[derive(Debug, Default)]
pub struct Repeats {
    messages: VecDeque<String>,
    devices: BTreeMap<String, Device>,
}

#[derive(Debug, Default)]
struct Device {
    cuff: Vec<Charted>,
    timed: BTreeMap<Code, Charted>,
}

impl Repeats {
    /// Whether this message was taken before. Only a message with a source, a time and an id can be known again: on
    /// some monitors the id alone is the kind of message.
    #[must_use]
    pub fn knows(&self, source: &str, time: &str, id: &str) -> bool {
        key(source, time, id).is_some_and(|key| self.messages.contains(&key))
    }

    /// Remembers a message as taken.
    pub fn remember(&mut self, source: &str, time: &str, id: &str) {
        if let Some(key) = key(source, time, id) {
            if self.messages.len() >= MESSAGES_MAX {
                self.messages.pop_front();
            }
            self.messages.push_back(key);
        }
    }

    /// Of one device's readings in one message, each with its OBX-14 as sent, those that are new.
    pub fn fresh(&mut self, device: &str, readings: Vec<(Reading, String)>) -> Vec<Reading> {
        if !self.devices.contains_key(device) && self.devices.len() >= DEVICES_MAX {
            self.devices.clear();
        }
        let known = self.devices.entry(device.to_owned()).or_default();
        let charted = |(reading, time): &(Reading, String)| (reading.code, time.clone(), reading.value.clone());
        let cuff: Vec<Charted> = readings.iter().filter(|(r, _)| of_cuff(r.code)).map(charted).collect();
        let cuff_is_new = cuff != known.cuff;
        if !cuff.is_empty() {
            known.cuff = cuff;
        }
        let mut is_new = |entry: &(Reading, String)| {
            let (code, time) = (entry.0.code, &entry.1);
            if of_cuff(code) {
                return cuff_is_new;
            }
            if time.is_empty() || (known.timed.len() >= CODES_MAX && !known.timed.contains_key(&code)) {
                return true;
            }
            let now = charted(entry);
            known.timed.insert(code, now.clone()) != Some(now)
        };
        readings.into_iter().filter(|entry| is_new(entry)).map(|(reading, _)| reading).collect()
    }
}

fn key(source: &str, time: &str, id: &str) -> Option<String> {
    let whole = ![source, time, id].iter().any(|part| part.is_empty());
    whole.then(|| [source, time, id].map(|part| part.chars().take(200).collect::<String>()).join("\r"))
}

const fn of_cuff(code: Code) -> bool {
    matches!(code, Code::NIBP_SYSTOLIC | Code::NIBP_DIASTOLIC | Code::NIBP_MEAN | Code::PULSE_RATE_NIBP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::unit::Unit;

    fn cuff(systolic: i64, diastolic: i64, time: &str) -> Vec<(Reading, String)> {
        [(Code::NIBP_SYSTOLIC, systolic), (Code::NIBP_DIASTOLIC, diastolic)]
            .map(|(code, value)| (Reading::new(code, Decimal::whole(value), Unit::MmHg), time.to_owned()))
            .into()
    }

    #[test]
    fn a_cuff_result_is_charted_whole_when_any_part_of_it_is_new() {
        let mut repeats = Repeats::default();
        assert_eq!(repeats.fresh("a", cuff(120, 80, "")).len(), 2);
        assert_eq!(repeats.fresh("a", Vec::new()).len(), 0);
        assert_eq!(repeats.fresh("a", cuff(120, 80, "")).len(), 0);
        assert_eq!(repeats.fresh("b", cuff(120, 80, "")).len(), 2);
        assert_eq!(repeats.fresh("a", cuff(120, 82, "")).len(), 2);
        assert_eq!(repeats.fresh("a", cuff(120, 82, "20150118143000")).len(), 2);
    }

    #[test]
    fn a_value_is_a_repeat_only_under_its_old_time() {
        let mut repeats = Repeats::default();
        let rate = |time: &str| vec![(Reading::new(Code::HEART_RATE, Decimal::whole(60), Unit::PerMinute), time.to_owned())];
        assert_eq!(["1", "1", "2", "", ""].map(|time| repeats.fresh("a", rate(time)).len()), [1, 0, 1, 1, 1]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut repeats = Repeats::default();
        for n in 0..2 * DEVICES_MAX {
            repeats.remember("source", "time", &n.to_string());
            repeats.fresh(&n.to_string(), Vec::new());
        }
        assert!(repeats.messages.len() == MESSAGES_MAX && repeats.devices.len() <= DEVICES_MAX);
        assert!(repeats.knows("source", "time", "511") && !repeats.knows("source", "time", "1"));
        assert!(!repeats.knows("", "time", "511"));
    }
}
