//! The fast channel: bytes with bit 7 among the others. `D0 | streams` begins a record, then come two bytes a stream, low
//! six bits first; `C0…CF` and a byte are commands between them.

use driver::profile::Profile;
use driver::{Fault, Out};
use record::code::Code;
use record::decimal::Decimal;
use record::observation::WaveBlock;
use record::unit::Unit;

/// One offered stream: code 2, interval 8 µs, minimum 5, maximum 5, largest raw value 3 (hexadecimal).
const OFFER_LEN: usize = 23;
/// Streams that one sync byte names.
const STREAMS_MAX: usize = 4;
/// Streams that a device offers at most.
const OFFERS_MAX: usize = 64;

/// What is charted: the device's code, ours, unit, decimals kept.
const WAVES: [(u8, Code, Unit); 4] = [
    (0x00, AIRWAY_PRESSURE, Unit::Millibar),
    (0x01, AIRWAY_FLOW, Unit::LitrePerMinute),
    (0x02, Code::PLETH, Unit::One),
    (0x06, Code::Mdc(151_724), Unit::MmHg),
];
const AIRWAY_PRESSURE: Code = Code::Mdc(151_792);
const AIRWAY_FLOW: Code = Code::Mdc(151_764);

#[derive(Clone, Debug)]
struct Stream {
    device_code: u8,
    code: Code,
    unit: Unit,
    rate_hz: Decimal,
    block_len: usize,
    low_tenths: i64,
    high_tenths: i64,
    raw_max: i64,
    gathered: Vec<i32>,
}

impl Stream {
    /// The value in tenths.
    fn value(&self, raw: u16) -> i32 {
        let span = self.high_tenths - self.low_tenths;
        let value = self.low_tenths + (i64::from(raw) * span + self.raw_max / 2) / self.raw_max;
        i32::try_from(value).unwrap_or(i32::MAX)
    }
    fn flush(&mut self, out: &mut Vec<Out>) {
        if !self.gathered.is_empty() {
            out.push(Out::Wave(WaveBlock {
                code: self.code,
                rate_hz: self.rate_hz,
                unit: self.unit,
                scale: Decimal::new(1, -1),
                raw: std::mem::take(&mut self.gathered),
                good: true,
                demo: false,
            }));
        }
    }
}

/// The fast channel of one device.
#[derive(Debug)]
pub(super) struct FastChannel {
    wanted: Vec<Code>,
    streams: Vec<Stream>,
    on: bool,
    record: Record,
}

/// Where in a record the channel stands.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    /// Streams whose values are still to come, one bit each.
    due: u8,
    low: Option<u8>,
    /// The byte that follows belongs to a command.
    command: bool,
}

impl FastChannel {
    pub(super) fn new(profile: &Profile) -> Self {
        Self { wanted: profile.waves.clone(), streams: Vec::new(), on: false, record: Record::default() }
    }
    /// Forgets what was configured; what came is given.
    pub(super) fn reset(&mut self, out: &mut Vec<Out>) {
        for stream in &mut self.streams {
            stream.flush(out);
        }
        self.streams.clear();
        self.on = false;
        self.record = Record::default();
    }
    pub(super) const fn is_on(&self) -> bool {
        self.on
    }
    pub(super) const fn is_wanted(&self) -> bool {
        !self.streams.is_empty()
    }

    /// Reads what the device offers, keeps what is wanted.
    pub(super) fn configure(&mut self, content: &[u8]) -> Result<(), Fault> {
        let bad = |what: &str| Fault::field("realtime configuration", what.to_owned());
        let text = std::str::from_utf8(content).map_err(|_| bad("is no text"))?;
        let mut streams = Vec::new();
        for offer in text.as_bytes().chunks_exact(OFFER_LEN).take(OFFERS_MAX) {
            let offer = std::str::from_utf8(offer).map_err(|_| bad("is no text"))?;
            let part = |from: usize, to: usize| offer.get(from..to).unwrap_or_default().trim();
            let code = u8::from_str_radix(part(0, 2), 16).map_err(|_| bad("code is no hexadecimal number"))?;
            let Some((_, ours, unit)) = WAVES.iter().find(|(own, ours, _)| *own == code && self.wanted.contains(ours)) else { continue };
            let interval_us: u32 = part(2, 10).parse().map_err(|_| bad("interval is no number"))?;
            let tenths = |text: &str| text.parse::<Decimal>().ok().and_then(tenths);
            let (low, high) = (tenths(part(10, 15)).ok_or_else(|| bad("minimum"))?, tenths(part(15, 20)).ok_or_else(|| bad("maximum"))?);
            let raw_max = i64::from_str_radix(part(20, 23), 16).map_err(|_| bad("largest value is no hexadecimal number"))?;
            if interval_us == 0 || raw_max == 0 || streams.len() >= STREAMS_MAX {
                continue;
            }
            let rate_thousandths = 1_000_000_000 / i64::from(interval_us);
            streams.push(Stream {
                device_code: code,
                code: *ours,
                unit: *unit,
                rate_hz: if rate_thousandths % 1000 == 0 {
                    Decimal::whole(rate_thousandths / 1000)
                } else {
                    Decimal::new(rate_thousandths, -3)
                },
                block_len: usize::try_from(250_000 / interval_us).unwrap_or(1).max(1),
                low_tenths: low,
                high_tenths: high,
                raw_max,
                gathered: Vec::new(),
            });
        }
        self.streams = streams;
        Ok(())
    }

    /// The argument that chooses the kept streams, each at its full rate.
    pub(super) fn choice(&self) -> String {
        self.streams.iter().map(|stream| format!("{:02X}01", stream.device_code)).collect()
    }

    /// The sync command that turns the chosen streams on.
    pub(super) fn enable(&mut self) -> Vec<u8> {
        self.on = true;
        let mask = (0..self.streams.len()).fold(0u8, |mask, bit| mask | 1 << bit);
        vec![0xD0, 0xC1, 0xC0 | mask, 0xC0, 0xC0]
    }

    /// Takes a byte of the channel; values of streams that were not chosen say nothing.
    pub(super) fn take(&mut self, byte: u8, out: &mut Vec<Out>) {
        let record = &mut self.record;
        match byte {
            0xD0..=0xDF => *record = Record { due: byte & 0x0F, ..Record::default() },
            0xC0..=0xCF => record.command = !record.command,
            0x80..=0xBF if record.due != 0 && !record.command => {
                let bits = byte & 0x3F;
                let Some(low) = record.low.take() else {
                    record.low = Some(bits);
                    return;
                };
                let number = record.due.trailing_zeros() as usize;
                record.due &= record.due - 1;
                let raw = u16::from(low) | u16::from(bits) << 6;
                if let Some(stream) = self.streams.get_mut(number) {
                    let value = stream.value(raw);
                    stream.gathered.push(value);
                    if stream.gathered.len() >= stream.block_len {
                        stream.flush(out);
                    }
                }
            }
            _ => {}
        }
    }
}

fn tenths(number: Decimal) -> Option<i64> {
    let shift = i32::from(number.exponent()) + 1;
    let power = 10i64.checked_pow(shift.unsigned_abs())?;
    let value = if shift >= 0 { number.mantissa().checked_mul(power)? } else { number.mantissa() / power };
    // Five characters hold no more.
    (-1_000_000..=1_000_000).contains(&value).then_some(value)
}

/// Whether a profile asks only for waves that Medibus has.
pub(super) fn check(profile: &Profile) -> Result<(), String> {
    match profile.waves.iter().find(|wave| !WAVES.iter().any(|(_, code, _)| code == *wave)) {
        Some(wave) => Err(format!("waves: draeger.medibus cannot send {}", wave.key())),
        None if profile.waves.len() > STREAMS_MAX => Err(format!("waves: at most {STREAMS_MAX}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn the_manuals_record_gives_its_raw_values_to_the_streams_it_names() {
        let mut profile = Profile::bare("draeger.medibus");
        profile.waves = vec![AIRWAY_PRESSURE, AIRWAY_FLOW];
        let (mut fast, mut out) = (FastChannel::new(&profile), Vec::new());
        fast.configure(b"00  250000    0 4095FFF01  250000-2047 2048FFF").expect("configured");
        assert_eq!(fast.choice(), "00010101");
        for byte in hex!("d3 91 81 8d 83") {
            fast.take(byte, &mut out);
        }
        let raw: Vec<_> = out.iter().filter_map(|o| if let Out::Wave(w) = o { Some((w.code, w.raw.clone())) } else { None }).collect();
        assert_eq!(raw, [(AIRWAY_PRESSURE, vec![810]), (AIRWAY_FLOW, vec![-18420])]);
    }

    #[test]
    fn a_command_inside_a_record_and_a_record_begun_anew_shift_nothing() {
        let mut profile = Profile::bare("draeger.medibus");
        profile.waves = vec![AIRWAY_PRESSURE];
        let (mut fast, mut out) = (FastChannel::new(&profile), Vec::new());
        fast.configure(b"00  250000    0 4095FFF").expect("configured");
        for byte in hex!("91 d1 c6 c0 91 81 d1 91 d1 92 81 93 94") {
            fast.take(byte, &mut out);
        }
        let raw: Vec<_> = out.iter().filter_map(|o| if let Out::Wave(w) = o { w.raw.first().copied() } else { None }).collect();
        assert_eq!(raw, [810, 820]);
    }

    #[test]
    fn an_offer_that_cannot_be_read_is_refused() {
        let mut profile = Profile::bare("draeger.medibus");
        profile.waves = vec![AIRWAY_PRESSURE];
        let mut fast = FastChannel::new(&profile);
        assert!(fast.configure(b"00  25x000    0 4095FFF").is_err());
        assert!(fast.configure(b"00       0    0 4095FFF").is_ok() && !fast.is_wanted());
    }
}
