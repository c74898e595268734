//! Records that a device numbers and sends again are one sample; so is what it sends again after a crash under its old time.

use record::code::Code;
use record::decimal::Decimal;
use record::observation::{NoValue, Reading};
use record::series::Frame;
use record::time::Timestamp;
use std::collections::{BTreeSet, VecDeque};

/// Records remembered of one device.
const REMEMBERED_MAX: usize = 4096;

/// A record by its number. The time is part of it: a device whose numbering began anew must not lose a record.
type Number = (Code, u64, Option<Timestamp>);
/// A value under its device's time, as text.
type Timed = (Code, Timestamp, String);

/// What one device has sent.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    numbers: Recent<Number>,
    /// From the journal: a device that was cut off by a crash before it was answered sends again.
    journal: Recent<Timed>,
}

/// The newest [`REMEMBERED_MAX`] of something.
#[derive(Debug)]
struct Recent<T> {
    all: BTreeSet<T>,
    order: VecDeque<T>,
}

impl Repeats {
    /// Takes in what the journal holds of the device.
    pub fn recovered(&mut self, frame: &Frame) {
        let Some(time) = frame.device_time else { return };
        frame.numerics.iter().for_each(|n| {
            self.journal.is_new((n.code, time, text(&n.value)));
        });
    }

    /// Whether this is its first time. Without a number or a device time of its own, it always is.
    pub fn is_new(&mut self, reading: &Reading) -> bool {
        if let Some(seq) = reading.device_seq
            && !self.numbers.is_new((reading.code, seq, reading.device_time))
        {
            return false;
        }
        !reading.device_time.is_some_and(|time| self.journal.all.contains(&(reading.code, time, text(&reading.value))))
    }
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
    }
}
