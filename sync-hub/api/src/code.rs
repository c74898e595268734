//! The one-time code a person carries from the hub to an agent: `XXXX-XXXX-XXXX-XXXX`.
//!
//! The first half is a secret of 40 bits, good once and for a day. The second half is the beginning of the SHA-256 of the
//! hub's certificate authority: an agent that knows nobody yet compares it with the authority the hub's TLS chain ends in,
//! and so cannot be enrolled by an impostor.

use std::fmt;
use std::str::FromStr;

/// Bytes in each half.
pub const HALF: usize = 5;
/// Crockford's base 32: no I, L, O, U, so that what is read aloud is what is typed.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHARS: usize = 16;

/// A one-time enrolment code. Its `Debug` hides the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Code {
    /// What the hub checks.
    pub secret: [u8; HALF],
    /// What the agent checks: the first bytes of the authority's SHA-256.
    pub pin: [u8; HALF],
}

impl Code {
    /// A code of this fresh secret, pinning the authority whose DER certificate has this SHA-256.
    #[must_use]
    pub fn new(secret: [u8; HALF], authority_sha256: &[u8; 32]) -> Self {
        let mut pin = [0; HALF];
        pin.copy_from_slice(&authority_sha256[..HALF]);
        Self { secret, pin }
    }

    /// Whether the authority with this SHA-256 is the one the code was given out by.
    #[must_use]
    pub fn pins(&self, authority_sha256: &[u8; 32]) -> bool {
        authority_sha256.starts_with(&self.pin)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.secret.iter().chain(&self.pin);
        let bits = bytes.fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        for index in 0..CHARS {
            if index > 0 && index % 4 == 0 {
                f.write_str("-")?;
            }
            let digit = bits >> (5 * (CHARS - 1 - index)) & 31;
            f.write_str(char::from(ALPHABET[digit as usize]).encode_utf8(&mut [0; 4]))?;
        }
        Ok(())
    }
}

/// Text that is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeError;

impl fmt::Display for CodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an enrolment code is 16 letters and digits, XXXX-XXXX-XXXX-XXXX")
    }
}

impl std::error::Error for CodeError {}

impl FromStr for Code {
    type Err = CodeError;

    /// Reads a code as people type it: either case, any spaces and dashes, O for 0, I and L for 1.
    fn from_str(text: &str) -> Result<Self, CodeError> {
        let (mut bits, mut count) = (0_u128, 0);
        for character in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let plain = match character.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let digit = ALPHABET.iter().position(|known| char::from(*known) == plain).ok_or(CodeError)?;
            count += 1;
            if count > CHARS {
                return Err(CodeError);
            }
            bits = bits << 5 | digit as u128;
        }
        if count != CHARS {
            return Err(CodeError);
        }
        let bytes = bits.to_be_bytes();
        let (mut secret, mut pin) = ([0; HALF], [0; HALF]);
        let (front, back) = bytes[16 - 2 * HALF..].split_at(HALF);
        secret.copy_from_slice(front);
        pin.copy_from_slice(back);
        Ok(Self { secret, pin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_survives_being_read_aloud_and_typed() {
        let code = Code::new([0x00, 0x44, 0x32, 0x14, 0xc7], &[0xff; 32]);
        let shown = code.to_string();
        assert_eq!(shown.len(), 19);
        assert_eq!(shown.parse(), Ok(code.clone()));
        let typed = shown.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        assert_eq!(typed.parse(), Ok(code.clone()));
        assert!(code.pins(&[0xff; 32]));
        assert!(!code.pins(&[0xfe; 32]));
    }

    #[test]
    fn anything_but_sixteen_known_characters_is_refused() {
        for text in ["", "XXXX-XXXX-XXXX", "XXXX-XXXX-XXXX-XXXX-X", "UUUU-UUUU-UUUU-UUUU", "ÄÄÄÄ-XXXX-XXXX-XXXX"] {
            assert_eq!(text.parse::<Code>(), Err(CodeError), "{text}");
        }
    }
}
