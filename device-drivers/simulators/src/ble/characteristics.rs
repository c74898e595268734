//! What devices put into their characteristics, from the devices' side. Written from the service specifications on its own: whoever
//! reads these bytes shares nothing with what writes them.

/// A number of IEEE 11073-20601, or one of the patterns that stand for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Number {
    /// `mantissa × 10^exponent`.
    Of(i32, i8),
    /// There is no measurement.
    NotANumber,
    /// Not at this resolution.
    NotAtThisResolution,
    /// Above what can be measured.
    PositiveInfinity,
    /// Below what can be measured.
    NegativeInfinity,
    /// Kept for the future.
    Reserved,
}

impl Number {
    /// In 16 bits: mantissa within ±2045, exponent −8 to 7.
    #[must_use]
    pub fn sfloat(self) -> [u8; 2] {
        let (mantissa, exponent) = self.parts(0x07FF);
        let word = (mantissa & 0x0FFF) | (i32::from(exponent) & 0x0F) << 12;
        [word.to_le_bytes()[0], word.to_le_bytes()[1]]
    }

    /// In 32 bits: mantissa within ±8388605, any exponent.
    #[must_use]
    pub fn float(self) -> [u8; 4] {
        let (mantissa, exponent) = self.parts(0x007F_FFFF);
        let [a, b, c, _] = mantissa.to_le_bytes();
        [a, b, c, exponent.to_le_bytes()[0]]
    }

    /// The special patterns lie around the greatest mantissa.
    fn parts(self, greatest: i32) -> (i32, i8) {
        match self {
            Self::Of(mantissa, exponent) => (mantissa, exponent),
            Self::NotANumber => (greatest, 0),
            Self::NotAtThisResolution => (greatest + 1, 0),
            Self::PositiveInfinity => (greatest - 1, 0),
            Self::NegativeInfinity => (greatest + 3, 0),
            Self::Reserved => (greatest + 2, 0),
        }
    }
}

/// A moment of a device's own clock, which knows no zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WallTime {
    /// Year, 0 if unknown.
    pub year: u16,
    /// Month, 0 if unknown.
    pub month: u8,
    /// Day, 0 if unknown.
    pub day: u8,
    /// Hour.
    pub hour: u8,
    /// Minute.
    pub minute: u8,
    /// Second.
    pub second: u8,
}

impl WallTime {
    /// As a Date Time.
    #[must_use]
    pub fn bytes(self) -> [u8; 7] {
        let [low, high] = self.year.to_le_bytes();
        [low, high, self.month, self.day, self.hour, self.minute, self.second]
    }

    /// As a Current Time: weekday unknown, no fraction, no reason.
    #[must_use]
    pub fn current_time(self) -> Vec<u8> {
        [&self.bytes()[..], &[0, 0, 0]].concat()
    }
}

/// Bytes put together under flags that say which are there.
struct Frame {
    flags: u32,
    body: Vec<u8>,
}

impl Frame {
    const fn new() -> Self {
        Self { flags: 0, body: Vec::new() }
    }
    fn flag(&mut self, bit: u8, set: bool) {
        self.flags |= u32::from(set) << bit;
    }
    fn always(&mut self, bytes: impl AsRef<[u8]>) {
        self.body.extend_from_slice(bytes.as_ref());
    }
    fn when(&mut self, bit: u8, bytes: Option<impl AsRef<[u8]>>) {
        self.flag(bit, bytes.is_some());
        if let Some(bytes) = bytes {
            self.always(bytes);
        }
    }
    /// Flags in so many bytes, then the body.
    fn done(self, flag_bytes: usize) -> Vec<u8> {
        [&self.flags.to_le_bytes()[..flag_bytes], &self.body].concat()
    }
}

/// A blood pressure result.
#[derive(Clone, Copy, Debug)]
pub struct BloodPressure {
    /// In kPa, not mmHg.
    pub kilopascal: bool,
    /// Systolic, diastolic, mean.
    pub pressures: [Number; 3],
    /// When.
    pub at: Option<WallTime>,
    /// Pulse, beats a minute.
    pub pulse: Option<Number>,
    /// Whose, of the cuff's users.
    pub user: Option<u8>,
    /// Status bits.
    pub status: Option<u16>,
}

impl BloodPressure {
    /// As the standard has it.
    #[must_use]
    pub fn measurement(&self) -> Vec<u8> {
        let mut frame = self.begun();
        frame.when(2, self.pulse.map(Number::sfloat));
        frame.when(3, self.user.map(|user| [user]));
        frame.when(4, self.status.map(u16::to_le_bytes));
        frame.done(1)
    }

    /// As Beurer cuffs send it: behind the time everything is turned round, and the user is there without being announced.
    #[must_use]
    pub fn beurer(&self) -> Vec<u8> {
        let mut frame = self.begun();
        frame.when(2, self.pulse.map(|pulse| pulse.sfloat()).map(|[low, high]| [high, low]));
        frame.always([self.user.unwrap_or(0xFF)]);
        frame.when(4, self.status.map(u16::to_be_bytes));
        frame.flag(6, true);
        frame.done(1)
    }

    fn begun(&self) -> Frame {
        let mut frame = Frame::new();
        frame.flag(0, self.kilopascal);
        for pressure in self.pressures {
            frame.always(pressure.sfloat());
        }
        frame.when(1, self.at.map(WallTime::bytes));
        frame
    }
}

/// A temperature.
#[derive(Clone, Copy, Debug)]
pub struct Temperature {
    /// In °F, not °C.
    pub fahrenheit: bool,
    /// How warm.
    pub value: Number,
    /// When.
    pub at: Option<WallTime>,
    /// Where on the body.
    pub site: Option<u8>,
}

impl Temperature {
    /// The measurement.
    #[must_use]
    pub fn measurement(&self) -> Vec<u8> {
        let mut frame = Frame::new();
        frame.flag(0, self.fahrenheit);
        frame.always(self.value.float());
        frame.when(1, self.at.map(WallTime::bytes));
        frame.when(2, self.site.map(|site| [site]));
        frame.done(1)
    }
}

/// A spot-check of an oximeter.
#[derive(Clone, Copy, Debug)]
pub struct SpotCheck {
    /// Saturation, %.
    pub spo2: Number,
    /// Pulse, beats a minute.
    pub pulse: Number,
    /// When.
    pub at: Option<WallTime>,
    /// Measurement status bits.
    pub status: Option<u16>,
    /// Device and sensor status, 24 bits.
    pub sensor: Option<u32>,
    /// Pulse amplitude index, %.
    pub amplitude: Option<Number>,
    /// The clock was never set.
    pub clock_not_set: bool,
}

impl SpotCheck {
    /// The measurement.
    #[must_use]
    pub fn measurement(&self) -> Vec<u8> {
        let mut frame = Frame::new();
        frame.always(self.spo2.sfloat());
        frame.always(self.pulse.sfloat());
        frame.when(0, self.at.map(WallTime::bytes));
        frame.when(1, self.status.map(u16::to_le_bytes));
        frame.when(2, self.sensor.map(|bits| [bits.to_le_bytes()[0], bits.to_le_bytes()[1], bits.to_le_bytes()[2]]));
        frame.when(3, self.amplitude.map(Number::sfloat));
        frame.flag(4, self.clock_not_set);
        frame.done(1)
    }
}

/// A stored measurement of a glucose meter.
#[derive(Clone, Copy, Debug)]
pub struct Glucose {
    /// Its number in the meter.
    pub sequence: u16,
    /// When, by the clock as it was at first.
    pub base: WallTime,
    /// What the user's clock has been moved by since, minutes.
    pub offset_min: Option<i16>,
    /// Concentration in kg/L or mol/L, with fluid and place.
    pub concentration: Option<(Number, u8, u8)>,
    /// In mol/L.
    pub molar: bool,
    /// Status bits.
    pub status: Option<u16>,
    /// A context follows.
    pub context_follows: bool,
}

impl Glucose {
    /// The measurement.
    #[must_use]
    pub fn measurement(&self) -> Vec<u8> {
        let mut frame = Frame::new();
        frame.always(self.sequence.to_le_bytes());
        frame.always(self.base.bytes());
        frame.when(0, self.offset_min.map(i16::to_le_bytes));
        let concentration = self.concentration.map(|(value, fluid, place)| [&value.sfloat()[..], &[place << 4 | fluid & 0x0F]].concat());
        frame.when(1, concentration);
        frame.flag(2, self.molar);
        frame.when(3, self.status.map(u16::to_le_bytes));
        frame.flag(4, self.context_follows);
        frame.done(1)
    }
}

/// A record of a continuous glucose sensor.
#[derive(Clone, Copy, Debug)]
pub struct CgmRecord {
    /// mg/dL.
    pub glucose: Number,
    /// Minutes since the session began.
    pub offset_min: u16,
    /// Status octet.
    pub status: Option<u8>,
    /// Calibration and temperature octet.
    pub calibration: Option<u8>,
    /// Warning octet.
    pub warning: Option<u8>,
    /// mg/dL a minute.
    pub trend: Option<Number>,
    /// %.
    pub quality: Option<Number>,
    /// Protected by a checksum.
    pub protected: bool,
}

impl CgmRecord {
    /// The record, its size in front.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut frame = Frame::new();
        frame.always(self.glucose.sfloat());
        frame.always(self.offset_min.to_le_bytes());
        frame.when(7, self.status.map(|octet| [octet]));
        frame.when(6, self.calibration.map(|octet| [octet]));
        frame.when(5, self.warning.map(|octet| [octet]));
        frame.when(0, self.trend.map(Number::sfloat));
        frame.when(1, self.quality.map(Number::sfloat));
        let flagged = frame.done(1);
        let size = flagged.len() + 1 + if self.protected { 2 } else { 0 };
        let mut record = vec![size.to_le_bytes()[0]];
        record.extend(flagged);
        if self.protected {
            record.extend(checksum(&record).to_le_bytes());
        }
        record
    }
}

/// When a sensor's session began.
#[derive(Clone, Copy, Debug)]
pub struct SessionStart {
    /// By the clock on the wall.
    pub at: WallTime,
    /// Quarters of an hour east of UTC; −128 unknown.
    pub zone: i8,
    /// Quarters of an hour of summer time; 255 unknown.
    pub dst: u8,
    /// Protected by a checksum.
    pub protected: bool,
}

impl SessionStart {
    /// The characteristic.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = [&self.at.bytes()[..], &self.zone.to_le_bytes(), &[self.dst]].concat();
        if self.protected {
            bytes.extend(checksum(&bytes).to_le_bytes());
        }
        bytes
    }
}

/// CRC-16/MCRF4XX bit by bit, as the specification draws it.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut register = 0xFFFF_u16;
    for byte in bytes {
        for bit in 0..8 {
            let feedback = (register & 1) ^ u16::from(byte >> bit & 1);
            register >>= 1;
            if feedback == 1 {
                register ^= 0x8408;
            }
        }
    }
    register
}

/// A weighing.
#[derive(Clone, Copy, Debug)]
pub struct Weight {
    /// In pounds and inches.
    pub imperial: bool,
    /// Steps of 5 g or 0.01 lb; 65535 if it failed.
    pub steps: u16,
    /// When.
    pub at: Option<WallTime>,
    /// Whose, of the scale's users.
    pub user: Option<u8>,
    /// Tenths of kg/m², and millimetres or tenths of an inch.
    pub bmi_height: Option<(u16, u16)>,
}

impl Weight {
    /// The measurement.
    #[must_use]
    pub fn measurement(&self) -> Vec<u8> {
        let mut frame = Frame::new();
        frame.flag(0, self.imperial);
        frame.always(self.steps.to_le_bytes());
        frame.when(1, self.at.map(WallTime::bytes));
        frame.when(2, self.user.map(|user| [user]));
        frame.when(3, self.bmi_height.map(|(bmi, height)| [bmi.to_le_bytes(), height.to_le_bytes()].concat()));
        frame.done(1)
    }
}

/// A body's composition.
#[derive(Clone, Copy, Debug)]
pub struct Composition {
    /// In pounds and inches.
    pub imperial: bool,
    /// Tenths of a percent; 65535 if it failed.
    pub fat: u16,
    /// When.
    pub at: Option<WallTime>,
    /// Whose, of the scale's users.
    pub user: Option<u8>,
    /// In wire order: metabolism, muscle %, muscle, fat free, soft lean, water, impedance, weight, height.
    pub parts: [Option<u16>; 9],
}

impl Composition {
    /// The measurement.
    #[must_use]
    pub fn measurement(&self) -> Vec<u8> {
        let mut frame = Frame::new();
        frame.flag(0, self.imperial);
        frame.always(self.fat.to_le_bytes());
        frame.when(1, self.at.map(WallTime::bytes));
        frame.when(2, self.user.map(|user| [user]));
        for (bit, part) in (3..).zip(self.parts) {
            frame.when(bit, part.map(u16::to_le_bytes));
        }
        frame.done(2)
    }
}

/// What a device has stored, by number, oldest first, and how it answers the Record Access Control Point.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Number and measurement.
    pub records: Vec<(u16, Vec<u8>)>,
}

impl Memory {
    /// The measurements to send, and what the control point says behind them.
    #[must_use]
    pub fn answer(&self, request: &[u8]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let opcode = request.first().copied().unwrap_or(0);
        let said = |code: u8| vec![6, 0, opcode, code];
        let wanted: Option<Vec<&(u16, Vec<u8>)>> = match request {
            [1 | 4, 1] => Some(self.records.iter().collect()),
            [1 | 4, 3, 1, low, high] => {
                Some(self.records.iter().filter(|(number, _)| *number >= u16::from_le_bytes([*low, *high])).collect())
            }
            [1 | 4, 5] => Some(self.records.first().into_iter().collect()),
            [1 | 4, 6] => Some(self.records.last().into_iter().collect()),
            _ => None,
        };
        match (opcode, wanted) {
            (1, Some(wanted)) if wanted.is_empty() => (Vec::new(), said(6)),
            (1, Some(wanted)) => (wanted.into_iter().map(|(_, bytes)| bytes.clone()).collect(), said(1)),
            (4, Some(wanted)) => {
                let count = u16::try_from(wanted.len()).unwrap_or(u16::MAX).to_le_bytes();
                (Vec::new(), [&[5, 0][..], &count].concat())
            }
            (1 | 4, None) => (Vec::new(), said(4)),
            // Deleting is not for a simulator's host to ask.
            _ => (Vec::new(), said(2)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_standard_s_examples() {
        assert_eq!(Number::Of(189, -1).sfloat(), [0xBD, 0xF0]);
        assert_eq!(Number::Of(-100, -2).sfloat(), [0x9C, 0xEF]);
        assert_eq!(Number::Of(364, -1).float(), [0x6C, 0x01, 0x00, 0xFF]);
        assert_eq!([Number::NotANumber, Number::NotAtThisResolution, Number::Reserved].map(Number::sfloat), [[0xFF, 7], [0, 8], [1, 8]]);
        assert_eq!([Number::PositiveInfinity, Number::NegativeInfinity].map(Number::sfloat), [[0xFE, 7], [2, 8]]);
        assert_eq!(Number::NegativeInfinity.float(), [2, 0, 0x80, 0]);
    }

    #[test]
    fn the_checksum_is_that_of_its_published_check_value() {
        assert_eq!(checksum(b"123456789"), 0x6F91);
    }

    #[test]
    fn a_memory_answers_with_what_is_asked_for() {
        let memory = Memory { records: vec![(1, vec![1]), (5, vec![5])] };
        assert_eq!(memory.answer(&[1, 1]), (vec![vec![1], vec![5]], vec![6, 0, 1, 1]));
        assert_eq!(memory.answer(&[1, 3, 1, 2, 0]), (vec![vec![5]], vec![6, 0, 1, 1]));
        assert_eq!(memory.answer(&[1, 3, 1, 6, 0]), (vec![], vec![6, 0, 1, 6]));
        assert_eq!(memory.answer(&[1, 6]).0, [[5]]);
        assert_eq!(memory.answer(&[4, 1]).1, [5, 0, 2, 0]);
        assert_eq!(memory.answer(&[2, 1]).1, [6, 0, 2, 2]);
    }
}
