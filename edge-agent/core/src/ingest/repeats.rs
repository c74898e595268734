//! Records that a device numbers and sends again are one sample; so is what it sends again after a crash under its old time, and
//! the cuff result that a monitor still shows.
//!
//! Always: what is known of numbers is kept in the commit of the frames they are in, so that both survive or neither does.

use driver::Out;
use record::code::Code;
use record::decimal::Decimal;
use record::ledger::entry::sha256;
use record::observation::{NoValue, Reading};
use record::series::Frame;
use record::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Records remembered of one device.
const REMEMBERED_MAX: usize = 4096;
/// Numbers kept under one key: what a commit writes for a new one.
const PART_LEN: usize = 64;
/// The key of the cuff result.
const CUFF: &str = "cuff";

/// A record by its number. The time is part of it: a device whose numbering began anew must not lose a record.
type Number = u64;
/// A value under its device's time, as text.
type Timed = (Code, Timestamp, String);

/// What one device has sent.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    numbers: Recent<Number>,
    /// From journal and segments: a device that was cut off by a crash before it was answered sends again.
    journal: Recent<Timed>,
    /// A digest of the cuff result charted last, and whether it is from before the start. Monitors repeat it until the next.
    cuff: Option<u64>,
    cuff_is_recovered: bool,
    /// Numbers ever noted; the next one's place is this modulo [`REMEMBERED_MAX`].
    place: u64,
    ring: BTreeMap<u64, Vec<Number>>,
    changed: BTreeSet<String>,
    under_way: BTreeSet<String>,
}

/// The newest [`REMEMBERED_MAX`] of something.
#[derive(Debug)]
struct Recent<T> {
    all: BTreeSet<T>,
    order: VecDeque<T>,
}

/// The parts in which it is kept.
pub(super) fn parts() -> impl Iterator<Item = String> {
    (0..REMEMBERED_MAX / PART_LEN).map(|part| part.to_string()).chain([CUFF.to_owned()])
}

/// Whether a reading is of a cuff result without a number and a time of its own: a time tells two results apart whose values are equal.
pub(super) fn is_cuff(reading: &Reading) -> bool {
    let of_cuff = matches!(reading.code, Code::NIBP_SYSTOLIC | Code::NIBP_DIASTOLIC | Code::NIBP_MEAN | Code::PULSE_RATE_NIBP);
    of_cuff && reading.device_seq.is_none() && reading.device_time.is_none()
}

impl Repeats {
    /// Takes in what journal and segments hold of the device.
    pub fn recovered(&mut self, frame: &Frame) {
        let Some(time) = frame.device_time else { return };
        frame.numerics.iter().for_each(|n| {
            self.journal.is_new((n.code, time, text(&n.value)));
        });
    }

    /// Takes in a part as it was kept: the place of its first number and its numbers, or the cuff result.
    pub fn restore(&mut self, part: &str, value: &[u8]) {
        if part == CUFF {
            self.cuff = postcard::from_bytes(value).ok();
            self.cuff_is_recovered = self.cuff.is_some();
            return;
        }
        let Ok((first, numbers)) = postcard::from_bytes::<(u64, Vec<Number>)>(value) else { return };
        self.place = self.place.max(first.saturating_add(numbers.len() as u64));
        numbers.iter().for_each(|number| {
            self.numbers.is_new(*number);
        });
        self.ring.insert(first, numbers);
    }

    /// Whether this is its first time. Without a number or a device time of its own, it always is.
    pub fn is_new(&mut self, reading: &Reading) -> bool {
        if let Some(seq) = reading.device_seq {
            let number = number(reading.code, seq, reading.device_time);
            if !self.numbers.is_new(number) {
                return false;
            }
            self.note(number);
        }
        !reading.device_time.is_some_and(|time| self.journal.all.contains(&(reading.code, time, text(&reading.value))))
    }

    /// Whether a cuff result among these outputs is the one charted before the start: what a driver hears first, it cannot know
    /// to be old.
    pub fn is_old_cuff(&mut self, outs: &[Out]) -> bool {
        let mut heard: BTreeMap<Code, String> = BTreeMap::new();
        let mut any = false;
        for out in outs {
            if let Out::Reading(reading) = out
                && is_cuff(reading)
            {
                any |= reading.value.is_ok();
                heard.insert(reading.code, text(&reading.value));
            }
        }
        if !any {
            return false;
        }
        let heard = Some(digest(&format!("{heard:?}")));
        let is_old = std::mem::take(&mut self.cuff_is_recovered) && heard == self.cuff;
        if !is_old {
            self.cuff = heard;
            self.changed.insert(CUFF.to_owned());
        }
        is_old
    }

    /// The parts that have changed since they were last taken.
    pub fn notes(&mut self) -> Vec<(String, Vec<u8>)> {
        let changed = std::mem::take(&mut self.changed);
        let mut notes = Vec::new();
        for part in &changed {
            let value = if part == CUFF { postcard::to_allocvec(&self.cuff.unwrap_or_default()) } else { self.part(part) };
            notes.extend(value.ok().map(|value| (part.clone(), value)));
        }
        self.under_way.extend(changed);
        notes
    }

    /// Whether the notes taken last are durable.
    pub fn noted(&mut self, durable: bool) {
        let under_way = std::mem::take(&mut self.under_way);
        if !durable {
            self.changed.extend(under_way);
        }
    }

    fn note(&mut self, number: Number) {
        let len = PART_LEN as u64;
        let first = self.place - self.place % len;
        self.ring.entry(first).or_default().push(number);
        self.changed.insert(part_of(first));
        self.place = self.place.saturating_add(1);
        while self.ring.len() > REMEMBERED_MAX / PART_LEN {
            self.ring.pop_first();
        }
    }

    /// The newest numbers of a part, and the place of the first of them.
    fn part(&self, part: &str) -> Result<Vec<u8>, postcard::Error> {
        let newest = self.ring.iter().rev().find(|(first, _)| part_of(**first) == part);
        postcard::to_allocvec(&newest.map_or((0, &[][..]), |(first, numbers)| (*first, numbers.as_slice())))
    }
}

fn part_of(first: u64) -> String {
    (first / PART_LEN as u64 % (REMEMBERED_MAX / PART_LEN) as u64).to_string()
}

fn number(code: Code, seq: u64, time: Option<Timestamp>) -> Number {
    digest(&format!("{code}/{seq}/{time:?}"))
}

fn digest(text: &str) -> u64 {
    sha256(&[text.as_bytes()]).0.iter().take(8).fold(0, |digest, byte| digest << 8 | u64::from(*byte))
}

impl<T: Ord + Clone> Recent<T> {
    /// Remembers it; false if it was remembered already.
    fn is_new(&mut self, item: T) -> bool {
        if !self.all.insert(item.clone()) {
            return false;
        }
        self.order.push_back(item);
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
        true
    }
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { all: BTreeSet::new(), order: VecDeque::new() }
    }
}

fn text(value: &Result<Decimal, NoValue>) -> String {
    value.as_ref().map_or_else(ToString::to_string, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::unit::Unit;

    fn sent(seq: Option<u64>, time: i64) -> Reading {
        let reading = Reading::new(Code::SPO2, Decimal::whole(97), Unit::Percent);
        Reading { device_seq: seq, device_time: Some(Timestamp(time)), ..reading }
    }

    #[test]
    fn a_numbered_record_sent_twice_is_one_and_an_unnumbered_one_is_two() {
        let mut repeats = Repeats::default();
        assert_eq!([sent(Some(1), 5), sent(Some(1), 5), sent(Some(2), 5)].map(|r| repeats.is_new(&r)), [true, false, true]);
        assert_eq!([sent(None, 5), sent(None, 5)].map(|r| repeats.is_new(&r)), [true, true]);
    }

    #[test]
    fn a_device_that_numbers_from_one_again_loses_nothing() {
        let mut repeats = Repeats::default();
        assert!(repeats.is_new(&sent(Some(1), 5)) && repeats.is_new(&sent(Some(1), 900)));
    }

    #[test]
    fn what_the_journal_holds_is_known_by_its_time_and_value() {
        let mut repeats = Repeats::default();
        let reading = sent(None, 5);
        repeats.recovered(&Frame {
            device: "ox-1".parse().expect("id"),
            boot: record::series::Boot([0; 12]),
            first_seq: 0,
            arrived: Timestamp(9),
            arrived_mono: record::time::Monotonic(9),
            measured: Timestamp(5),
            device_time: Some(Timestamp(5)),
            offset_us: None,
            bed: None,
            numerics: vec![reading.clone().into()],
            waves: Vec::new(),
        });
        assert!(!repeats.is_new(&reading));
        assert!(repeats.is_new(&sent(None, 6)));
        assert!(repeats.is_new(&Reading { value: Ok(Decimal::whole(96)), ..reading }));
    }

    #[test]
    fn memory_of_records_is_bounded() {
        let mut repeats = Repeats::default();
        (0..10_000).for_each(|seq| assert!(repeats.is_new(&sent(Some(seq), 5))));
        assert_eq!(repeats.numbers.all.len(), REMEMBERED_MAX);
        let notes = repeats.notes();
        assert_eq!(notes.len(), REMEMBERED_MAX / PART_LEN);
        assert!(notes.iter().all(|(part, value)| value.len() < 1024 && parts().any(|known| known == *part)));
    }

    #[test]
    fn numbers_are_known_again_from_what_was_kept_and_a_new_one_writes_little() {
        let mut repeats = Repeats::default();
        (0..5_000).for_each(|seq| assert!(repeats.is_new(&sent(Some(seq), 5))));
        let mut kept: BTreeMap<String, Vec<u8>> = repeats.notes().into_iter().collect();
        repeats.noted(true);
        assert!(repeats.is_new(&sent(Some(7_777), 5)));
        assert_eq!(repeats.notes().len(), 1);
        repeats.noted(false);
        kept.extend(repeats.notes());
        let mut again = Repeats::default();
        kept.iter().for_each(|(part, value)| again.restore(part, value));
        assert!((1_000..5_000).chain([7_777]).all(|seq| !again.is_new(&sent(Some(seq), 5))));
        assert!(again.is_new(&sent(Some(8_888), 5)) && again.place == 5_002);
    }

    #[test]
    fn damaged_notes_are_as_good_as_none() {
        let mut repeats = Repeats::default();
        for part in ["0", "63", "64", "cuff", "", "x"] {
            repeats.restore(part, &[0xff; 9]);
            repeats.restore(part, &[]);
        }
        assert!(repeats.is_new(&sent(Some(1), 5)));
    }
}
