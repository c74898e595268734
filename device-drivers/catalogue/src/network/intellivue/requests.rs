//! What the monitor is sent. Association, polls and the answer its own report asks for; nothing that sets anything on
//! the monitor but the list of waves of this association.

use record::code::Code;

/// How long a continuous poll lasts before it has to be renewed, in ticks of 1/8 ms: 60 s.
const POLL_TICKS: u32 = 60 * 8000;
/// Waves of one association.
pub const WAVES_MAX: usize = 8;

/// Polled classes.
pub const NUMERICS: u16 = 0x0006;
/// Sample arrays.
pub const WAVES: u16 = 0x0009;
/// The alarm monitor.
pub const ALARMS: u16 = 0x0036;
/// The system itself; a poll of it is the sign of life.
pub const SYSTEM: u16 = 0x0021;

/// Session, presentation and association headers of the request: constant, as every client sends them.
const PREFIX: [u8; 149] = hex_literal(
    b"0dec05081301001601028000140200 02c1dc3180a080800101 0000a280a003000001a480308002 01010604520100013080060251 0100000000308002010206 0c2a8648ce14020100000001 013080060c2a8648ce140201 00000002010000000000 0061803080020101a080 6080a180060c2a8648ce1402 0100000003010000be80288006 0c2a8648ce140201000000 010102010281",
);

const fn hex_literal(text: &[u8]) -> [u8; 149] {
    const fn digit(c: u8) -> u8 {
        if c.is_ascii_digit() { c - b'0' } else { c - b'a' + 10 }
    }
    let mut bytes = [0; 149];
    let (mut at, mut digits) = (0, 0);
    while at < text.len() {
        if text[at] != b' ' {
            bytes[digits / 2] = bytes[digits / 2] << 4 | digit(text[at]);
            digits += 1;
        }
        at += 1;
    }
    bytes
}

/// Asks for an association that may poll numerics each second and waves: 238 bytes.
#[must_use]
pub fn association() -> Vec<u8> {
    let mut bytes = PREFIX.to_vec();
    bytes.push(72);
    // Protocol version, nomenclature, functional units, client, cold start; no options; one profile.
    for word in [0x8000_0000u32, 0x4000_0000, 0, 0x8000_0000, 0x2000_0000, 0, 0x0001_002C, 0x0001_0028] {
        bytes.extend(word.to_be_bytes());
    }
    // Poll profile: revision, period in ticks, largest messages, bandwidth, options; extended: numerics, waves, enumerations.
    for word in [0x8000_0000u32, 0x0000_4E20, 0x0300, 0x0300, 0, 0x6000_0000, 0x0001_000C, 0xF001_0008, 0x8C00_0000, 0] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend([0; 16]);
    bytes
}

/// Ends an association, our own or one that a client before us left open.
#[must_use]
pub fn release() -> Vec<u8> {
    let mut bytes = vec![0x09, 0x18, 0xC1, 0x16, 0x61, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0xA0, 0x80, 0x62, 0x80, 0x80, 0x01, 0x00];
    bytes.extend([0; 8]);
    bytes
}

/// A message of one remote operation.
fn operation(kind: u16, invoke: u16, command: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xE1, 0x00, 0x00, 0x02];
    // Bodies here are shorter than 256 bytes.
    let length = body.len() as u16;
    for word in [kind, length + 6, invoke, command, length] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend(body);
    bytes
}

/// Confirms the monitor's report of itself.
#[must_use]
pub fn confirm_created(invoke: u16) -> Vec<u8> {
    operation(2, invoke, 1, &[0x00, 0x21, 0, 0, 0, 0, 0, 0, 0, 0, 0x0D, 0x06, 0, 0])
}

/// Asks once for a class.
#[must_use]
pub fn poll_once(invoke: u16, class: u16) -> Vec<u8> {
    let mut body = vec![0x00, 0x21, 0, 0, 0, 0, 0, 0, 0, 0, 0x0C, 0x16, 0x00, 0x08];
    for word in [1u16, 1, class, if class == SYSTEM { 0x080C } else { 0 }] {
        body.extend(word.to_be_bytes());
    }
    operation(1, invoke, 7, &body)
}

/// Asks for a class each second for a minute.
#[must_use]
pub fn poll_on(invoke: u16, class: u16) -> Vec<u8> {
    let mut body = vec![0x00, 0x21, 0, 0, 0, 0, 0, 0, 0, 0, 0xF1, 0x3B, 0x00, 0x14];
    for word in [1u16, 1, class, 0, 1, 8, 0xF13E, 4] {
        body.extend(word.to_be_bytes());
    }
    body.extend(POLL_TICKS.to_be_bytes());
    operation(1, invoke, 7, &body)
}

/// Says which waves this association is to carry; a wave's label is its MDC code.
#[must_use]
pub fn choose_waves(invoke: u16, waves: &[Code]) -> Vec<u8> {
    let labels: Vec<u32> = waves.iter().filter_map(|code| code.mdc()).take(WAVES_MAX).collect();
    let bytes = 4 * labels.len() as u16;
    let mut body = vec![0x00, 0x21, 0, 0, 0, 0, 0, 0, 0, 0];
    for word in [1, bytes + 10, 0, 0xF23A, bytes + 4, labels.len() as u16, bytes] {
        body.extend(word.to_be_bytes());
    }
    for label in labels {
        body.extend(label.to_be_bytes());
    }
    operation(1, invoke, 5, &body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn the_association_request_has_the_length_and_ends_of_the_captured_one() {
        let request = association();
        assert_eq!(request.len(), 238);
        assert_eq!(request[..4], hex!("0D EC 05 08"));
        assert_eq!(request[148..150], hex!("81 48"));
        assert_eq!(request[222 - 20..222], hex!("60000000 0001000C F0010008 8C000000 00000000"));
        assert_eq!(usize::from(request[1]), request.len() - 2);
    }

    #[test]
    fn polls_are_byte_for_byte_those_of_the_guide() {
        assert_eq!(poll_once(1, NUMERICS), hex!("E1000002 0001001C 0001 0007 0016 0021 00000000 00000000 0C16 0008 0001 0001 0006 0000"));
        assert_eq!(poll_once(0, SYSTEM), hex!("E1000002 0001001C 0000 0007 0016 0021 00000000 00000000 0C16 0008 0001 0001 0021 080C"));
        let on = poll_on(0x03EB, NUMERICS);
        assert_eq!(on[..32], hex!("E1000002 00010028 03EB 0007 0022 0021 00000000 00000000 F13B 0014 0001 0001"));
        assert_eq!(on[32..], hex!("0006 0000 0001 0008 F13E 0004 00075300"));
        assert_eq!(confirm_created(1), hex!("E1000002 0002 0014 0001 0001 000E 0021 00000000 00000000 0D06 0000"));
        assert_eq!(release().len(), 26);
    }
}
