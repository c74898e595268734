//! Passwords and PINs: which are acceptable, and how they are kept.
//!
//! Kept as argon2id (19 MiB, 2 passes, 1 lane: OWASP's floor, about 20 ms on a clinic appliance) in a PHC string. A
//! four-digit PIN has ten thousand values: it is the lock-out ([`crate::lockout`]) that protects it at the door, and
//! encryption at rest that protects its hash.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Longest accepted secret, in bytes.
pub const SECRET_MAX: usize = 128;
/// Fewest characters of a password.
pub const PASSWORD_MIN: usize = 10;
/// Fewest digits of a PIN.
pub const PIN_MIN: usize = 4;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A password or PIN as typed. Its `Debug` says nothing.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps what was typed.
    #[must_use]
    pub const fn new(typed: String) -> Self {
        Self(typed)
    }
    /// What was typed.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret's PHC string, `$argon2id$…`. Its `Debug` says nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretHash(pub String);

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

/// Why a secret cannot be hashed or checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The argon2 library refused.
    #[error("argon2 refused: {0}")]
    Argon2(String),
    /// What is kept is no argon2id PHC string.
    #[error("the kept hash is not an argon2id PHC string: {0}")]
    Kept(String),
}

/// Why a new secret is not acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretRule {
    /// Digits only, and too few.
    #[error("a PIN needs at least {PIN_MIN} digits")]
    PinTooShort,
    /// All digits alike, a run such as 1234, or a pair repeated.
    #[error("a PIN of equal digits, a run such as 1234 or a repeated pair is guessed first")]
    PinTooPlain,
    /// Not digits only, and too short.
    #[error("a password needs at least {PASSWORD_MIN} characters")]
    PasswordTooShort,
    /// Contains the user name, or repeats one character.
    #[error("a password must not contain the user name or repeat one character")]
    PasswordTooPlain,
    /// Over [`SECRET_MAX`] bytes.
    #[error("a secret has at most {SECRET_MAX} bytes")]
    TooLong,
}

/// Hashes a secret for keeping. `salt` is fresh from the program's entropy. Takes tens of milliseconds and 19 MiB.
///
/// # Errors
/// The library refuses the input.
pub fn hash_secret(secret: &Secret, salt: &[u8; 16]) -> Result<SecretHash, SecretError> {
    let hash: PasswordHash =
        hasher()?.hash_password_with_salt(secret.0.as_bytes(), salt).map_err(|error| SecretError::Argon2(error.to_string()))?;
    Ok(SecretHash(hash.to_string()))
}

/// Whether `secret` is the kept one. With nothing kept it does the same work and says no, so an unknown user cannot be
/// told from a wrong secret by the time it takes.
///
/// # Errors
/// What is kept is damaged, or the library refuses.
pub fn verify_secret(secret: &Secret, kept: Option<&SecretHash>) -> Result<bool, SecretError> {
    let Some(kept) = kept else {
        return hash_secret(secret, &[0; 16]).map(|_| false);
    };
    let parsed = PasswordHash::new(&kept.0).map_err(|error| SecretError::Kept(error.to_string()))?;
    match hasher()?.verify_password(secret.0.as_bytes(), &parsed) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(SecretError::Kept(error.to_string())),
    }
}

/// Whether `user` may choose `secret`: a PIN of 4 or more digits that is not among the first guessed, or a password of 10
/// or more characters.
///
/// # Errors
/// The rule it breaks.
pub fn check_secret_rules(user: &str, secret: &Secret) -> Result<(), SecretRule> {
    let text = secret.reveal();
    if text.len() > SECRET_MAX {
        return Err(SecretRule::TooLong);
    }
    let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits {
        return check_pin(text.as_bytes());
    }
    if text.chars().count() < PASSWORD_MIN {
        return Err(SecretRule::PasswordTooShort);
    }
    let one_character = text.chars().all(|character| text.starts_with(character));
    let names_user = !user.is_empty() && text.to_lowercase().contains(&user.to_lowercase());
    if one_character || names_user { Err(SecretRule::PasswordTooPlain) } else { Ok(()) }
}

fn check_pin(digits: &[u8]) -> Result<(), SecretRule> {
    if digits.len() < PIN_MIN {
        return Err(SecretRule::PinTooShort);
    }
    let step = |want: u8| digits.iter().zip(digits.iter().skip(1)).all(|(a, b)| (b + 10 - a) % 10 == want);
    let pair_repeats = digits.iter().zip(digits.iter().skip(2)).all(|(a, b)| a == b);
    if step(0) || step(1) || step(9) || pair_repeats { Err(SecretRule::PinTooPlain) } else { Ok(()) }
}

fn hasher() -> Result<Argon2<'static>, SecretError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| SecretError::Argon2(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.into())
    }

    #[test]
    fn only_the_secret_itself_verifies_against_its_hash() {
        let kept = hash_secret(&secret("4917"), b"0123456789abcdef").unwrap();
        assert!(kept.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(verify_secret(&secret("4917"), Some(&kept)), Ok(true));
        assert_eq!(verify_secret(&secret("4918"), Some(&kept)), Ok(false));
        assert_eq!(verify_secret(&secret("4917"), None), Ok(false));
        assert!(matches!(verify_secret(&secret("4917"), Some(&SecretHash("plain".into()))), Err(SecretError::Kept(_))));
    }

    #[test]
    fn pins_that_are_guessed_first_are_refused() {
        for plain in ["0000", "1111", "1234", "4321", "7890", "1212", "999999", "123456"] {
            assert_eq!(check_secret_rules("amina", &secret(plain)), Err(SecretRule::PinTooPlain), "{plain}");
        }
        assert_eq!(check_secret_rules("amina", &secret("491")), Err(SecretRule::PinTooShort));
        assert_eq!(check_secret_rules("amina", &secret("")), Err(SecretRule::PinTooShort));
        assert_eq!(check_secret_rules("amina", &secret("4917")), Ok(()));
    }

    #[test]
    fn short_and_plain_passwords_are_refused() {
        assert_eq!(check_secret_rules("amina", &secret("lantern")), Err(SecretRule::PasswordTooShort));
        assert_eq!(check_secret_rules("amina", &secret("Amina-2026!")), Err(SecretRule::PasswordTooPlain));
        assert_eq!(check_secret_rules("amina", &secret("aaaaaaaaaaaa")), Err(SecretRule::PasswordTooPlain));
        assert_eq!(check_secret_rules("amina", &secret("hill lantern 7")), Ok(()));
        assert_eq!(check_secret_rules("amina", &secret(&"x1".repeat(65))), Err(SecretRule::TooLong));
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let shown = format!("{:?} {:?}", secret("hill lantern 7"), SecretHash("$argon2id$x".into()));
        assert_eq!(shown, "Secret(…) SecretHash(…)");
    }
}
