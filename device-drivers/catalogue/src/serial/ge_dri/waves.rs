//! Wave subrecords: a count of samples, status, label, samples.

use super::record::{Record, i16_at, u16_at};
use ::record::code::Code;
use ::record::decimal::Decimal;
use ::record::observation::WaveBlock;
use ::record::unit::Unit;
use driver::{DecodeError, Fault, Out};

const SAMPLES_AT: usize = 6;
const GAP: u16 = 1 << 0;
const LEAD_OFF: u16 = 1 << 3;
/// Samples at and below this are marks, not measurements.
const SPECIAL_MAX: i16 = -32001;

/// One kind of wave.
pub struct WaveRow {
    /// Its subrecord type.
    pub kind: u8,
    /// The code that a profile asks for it by; `None` for second and third channels, which are read but not asked for.
    pub asked_as: Option<Code>,
    /// The code it is charted under, which its label may decide; `None` where the label names what is not charted.
    pub code: fn(label: u16) -> Option<Code>,
    /// Samples a second.
    pub rate_hz: u16,
    /// A value is the sample times ten to this, in `unit`.
    pub exponent: i8,
    /// Unit after scaling.
    pub unit: Unit,
}

const fn row(kind: u8, asked_as: Option<Code>, code: fn(u16) -> Option<Code>, rate_hz: u16, exponent: i8, unit: Unit) -> WaveRow {
    WaveRow { kind, asked_as, code, rate_hz, exponent, unit }
}

/// The waves that are charted; other kinds are passed over.
pub static WAVES: &[WaveRow] = &[
    // Sent in microvolt.
    row(1, Some(Code::ECG), ecg_lead, 300, -3, Unit::Millivolt),
    row(2, None, ecg_lead, 300, -3, Unit::Millivolt),
    row(3, None, ecg_lead, 300, -3, Unit::Millivolt),
    row(4, Some(Code::ABP_WAVE), arterial, 100, -2, Unit::MmHg),
    row(5, None, arterial, 100, -2, Unit::MmHg),
    row(8, Some(Code::PLETH), |_| Some(Code::PLETH), 100, -2, Unit::Percent),
    row(9, Some(Code::CO2_WAVE), |_| Some(Code::CO2_WAVE), 25, -2, Unit::Percent),
    row(15, Some(Code::RESP_IMPEDANCE), |_| Some(Code::RESP_IMPEDANCE), 25, -2, Unit::Ohm),
];

fn ecg_lead(label: u16) -> Option<Code> {
    Some(match label {
        1 => Code::ECG_I,
        2 => Code::ECG_II,
        3 => Code::ECG_III,
        4 => Code::Mdc(131_390),
        5 => Code::Mdc(131_391),
        6 => Code::Mdc(131_392),
        7 => Code::ECG_V,
        _ => Code::ECG,
    })
}

/// Only a channel that the monitor itself labels arterial is charted as such.
fn arterial(label: u16) -> Option<Code> {
    matches!(label, 1 | 8).then_some(Code::ABP_WAVE)
}

pub(super) fn read(record: &Record<'_>, out: &mut Vec<Out>) {
    for subrecord in record.subrecords() {
        match subrecord.and_then(|(kind, bytes)| block(kind, bytes)) {
            Ok(Some(block)) => out.push(Out::Wave(block)),
            Ok(None) => {}
            Err(error) => out.push(Out::Fault(Fault::new(error, 0))),
        }
    }
}

fn block(kind: u8, bytes: &[u8]) -> Result<Option<WaveBlock>, DecodeError> {
    let Some(row) = WAVES.iter().find(|row| row.kind == kind) else { return Ok(None) };
    let (stated, status, label) = (i16_at(bytes, 0)?, u16_at(bytes, 2)?, u16_at(bytes, 4)?);
    let count = usize::try_from(stated).map_err(|_| DecodeError::Field { field: "act_len", why: format!("{stated} samples") })?;
    let Some(code) = (row.code)(label).filter(|_| count > 0) else { return Ok(None) };
    let samples =
        bytes.get(SAMPLES_AT..SAMPLES_AT + 2 * count).ok_or(DecodeError::Truncated { needed: SAMPLES_AT + 2 * count, got: bytes.len() })?;
    let raw: Vec<i16> = samples.chunks_exact(2).map(|pair| i16_at(pair, 0)).collect::<Result<_, _>>()?;
    Ok(Some(WaveBlock {
        code,
        rate_hz: Decimal::whole(row.rate_hz.into()),
        unit: row.unit,
        scale: Decimal::new(1, row.exponent),
        good: status & (GAP | LEAD_OFF) == 0 && raw.iter().all(|sample| *sample > SPECIAL_MAX),
        raw: raw.into_iter().map(i32::from).collect(),
        demo: false,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn an_ecg_block_is_read_with_its_lead_in_millivolt() {
        let block = block(1, &hex!("0300 0200 0200 4FFF 52FF 58FF 9999")).expect("read").expect("block");
        assert_eq!(block.code, Code::ECG_II);
        assert_eq!(block.raw, [-177, -174, -168]);
        assert_eq!((block.rate_hz, block.scale, block.unit), (Decimal::whole(300), Decimal::new(1, -3), Unit::Millivolt));
        assert!(block.good);
    }

    #[test]
    fn a_gap_a_lead_off_and_a_special_sample_make_a_block_bad() {
        let good = |bytes: &[u8]| block(8, bytes).expect("read").expect("block").good;
        assert!(good(&hex!("0100 0600 0000 0000")));
        assert!(!good(&hex!("0100 0100 0000 0000")));
        assert!(!good(&hex!("0100 0800 0000 0000")));
        assert!(!good(&hex!("0100 0000 0000 0180")));
        assert!(!good(&hex!("0100 0000 0000 FF82")));
        assert!(good(&hex!("0100 0000 0000 0083")));
    }

    #[test]
    fn more_samples_than_bytes_is_refused_and_an_uncharted_kind_is_passed_over() {
        assert_eq!(block(8, &hex!("0200 0000 0000 0000")), Err(DecodeError::Truncated { needed: 10, got: 8 }));
        assert!(matches!(block(8, &hex!("FFFF 0000 0000")), Err(DecodeError::Field { field: "act_len", .. })));
        assert_eq!(block(32, &hex!("0200")), Ok(None));
        assert_eq!(block(4, &hex!("0100 0000 0200 0000")), Ok(None), "CVP is not arterial");
    }
}
