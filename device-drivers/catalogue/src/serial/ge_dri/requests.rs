//! What the monitor is asked for. Requests start and stop transmission and change nothing else.

use super::record::{HEADER_LEN, framed};
use super::waves::{WAVES, WaveRow};
use driver::profile::Profile;
use record::code::Code;

/// Seconds between displayed values where the profile does not say, and the least the monitor grants.
const INTERVAL_S: u16 = 5;
/// What a serial line carries at 19200 bit/s, in samples a second over all waves.
const SAMPLES_PER_S_MAX: u16 = 600;
const MAIN_PHYSIOLOGICAL: u8 = 0;
const MAIN_WAVE: u8 = 1;
const DISPLAYED_VALUES: u8 = 1;
/// Ext1, ext2 and ext3 beside the basic class.
const ALL_CLASSES: i32 = 0b1110;
const END_OF_LIST: u8 = 0xFF;

/// Seconds between displayed values that this profile asks for.
pub(super) fn interval_s(profile: &Profile) -> u16 {
    profile.interval_s.unwrap_or(INTERVAL_S).max(INTERVAL_S)
}

/// Asks for displayed values of all classes every `interval_s` seconds; 0 stops them.
#[must_use]
pub fn displayed_values(interval_s: u16) -> Vec<u8> {
    let classes = if interval_s == 0 { 0 } else { ALL_CLASSES };
    let mut body = vec![DISPLAYED_VALUES];
    body.extend(interval_s.to_le_bytes());
    body.extend(classes.to_le_bytes());
    body.extend([0; 2]);
    request(MAIN_PHYSIOLOGICAL, &body)
}

/// Asks for these waves; `None` where there is none the monitor can send.
#[must_use]
pub fn waves(codes: &[Code]) -> Option<Vec<u8>> {
    let kinds: Vec<u8> = codes.iter().filter_map(|code| row(*code)).map(|row| row.kind).take(8).collect();
    if kinds.is_empty() {
        return None;
    }
    let mut body = vec![0; 4];
    body.extend(kinds.iter().copied().chain(std::iter::repeat(END_OF_LIST)).take(8));
    body.resize(32, 0);
    Some(request(MAIN_WAVE, &body))
}

fn request(main: u8, body: &[u8]) -> Vec<u8> {
    let mut record = vec![0; HEADER_LEN];
    // A request is shorter than 256 bytes, so its length fits the low byte.
    record[0] = (HEADER_LEN + body.len()) as u8;
    record[14] = main;
    // One subrecord, of type 0, at the start; then the end of the list.
    record[21] = END_OF_LIST;
    record.extend(body);
    framed(&record)
}

fn row(code: Code) -> Option<&'static WaveRow> {
    let asked = match code {
        Code::ECG_I | Code::ECG_II | Code::ECG_III | Code::ECG_V => Code::ECG,
        other => other,
    };
    WAVES.iter().find(|row| row.asked_as == Some(asked))
}

/// Whether a profile says all that DRI needs.
pub(crate) fn check(profile: &Profile) -> Result<(), String> {
    if profile.serial.is_none() {
        return Err("serial: ge.dri needs line settings".to_owned());
    }
    if profile.interval_s.is_some_and(|seconds| seconds < INTERVAL_S) {
        return Err(format!("interval_s: the monitor grants no less than {INTERVAL_S} seconds"));
    }
    let mut samples = 0;
    for code in &profile.waves {
        samples += row(*code).ok_or_else(|| format!("waves: ge.dri cannot send {}", code.key()))?.rate_hz;
    }
    if samples > SAMPLES_PER_S_MAX || profile.waves.len() > 8 {
        return Err(format!("waves: {samples} samples a second; the line carries {SAMPLES_PER_S_MAX} in at most 8 waves"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn requests_are_byte_for_byte_those_of_the_manual() {
        assert_eq!(
            displayed_values(10),
            hex!("7e310000000000000000000000000000000000000000ff000000000000000000000000000000000000 01 0a00 0e000000 0000 49 7e")
        );
        assert_eq!(
            displayed_values(0),
            hex!("7e310000000000000000000000000000000000000000ff000000000000000000000000000000000000 01 0000 00000000 0000 31 7e")
        );
    }

    #[test]
    fn a_wave_request_is_72_bytes_and_lists_its_waves() {
        let request = waves(&[Code::ECG_II, Code::PLETH]).expect("request");
        let record = &request[1..request.len() - 2];
        assert_eq!(record.len(), 72);
        assert_eq!(record[..2], [72, 0]);
        assert_eq!(record[14..16], [1, 0]);
        assert_eq!(record[40..52], hex!("0000 0000 01 08 FF FF FF FF FF FF"));
        assert_eq!(waves(&[Code::SPO2]), None);
        assert_eq!(waves(&[]), None);
    }
}
