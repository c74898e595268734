//! What must not stand in the database in the clear: sealed with keys derived from the hub's store key.
//!
//! The nonce is a keyed hash of what is sealed and of its place (as in SIV), because a store is given no entropy: one nonce
//! seals one content. Equal content in one place gives equal bytes, which tells that it is equal and no more.

use protocol::store::StoreError;
use ring::{aead, hkdf, hmac};

const NONCE: usize = aead::NONCE_LEN;

/// Seals and opens.
pub(super) struct Sealer {
    key: aead::LessSafeKey,
    nonces: hmac::Key,
    blinds: hmac::Key,
}

impl Sealer {
    pub fn new(store_key: &[u8; 32]) -> Result<Self, StoreError> {
        let derive = |purpose: &'static str| -> Option<[u8; 32]> {
            let mut out = [0; 32];
            let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"lamplight/postgres/1");
            salt.extract(store_key).expand(&[purpose.as_bytes()], hkdf::HKDF_SHA256).ok()?.fill(&mut out).ok()?;
            Some(out)
        };
        let make = || -> Option<Self> {
            let key = aead::UnboundKey::new(&aead::AES_256_GCM, &derive("content")?).ok()?;
            Some(Self {
                key: aead::LessSafeKey::new(key),
                nonces: hmac::Key::new(hmac::HMAC_SHA256, &derive("nonces")?),
                blinds: hmac::Key::new(hmac::HMAC_SHA256, &derive("blinds")?),
            })
        };
        make().ok_or_else(|| StoreError::Other("a key for PostgreSQL could not be derived".to_owned()))
    }

    /// What something is found by that could be guessed: equal for equal, and telling nothing without the key.
    pub fn blind(&self, plain: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(hmac::sign(&self.blinds, plain).as_ref());
        out
    }

    /// Seals `plain` to its place: moved anywhere else it does not open.
    pub fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut hash = hmac::Context::with_key(&self.nonces);
        hash.update(&(place.len() as u64).to_be_bytes());
        hash.update(place.as_bytes());
        hash.update(plain);
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&hash.sign().as_ref()[..NONCE]);
        let mut sealed = Vec::with_capacity(NONCE + plain.len() + 16);
        sealed.extend_from_slice(plain);
        let aad = aead::Aad::from(place.as_bytes());
        self.key
            .seal_in_place_append_tag(aead::Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .map_err(|_| StoreError::Other(format!("{place} could not be sealed")))?;
        sealed.splice(0..0, nonce);
        Ok(sealed)
    }

    /// Opens what was sealed to this place.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let open = || -> Option<Vec<u8>> {
            let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
            let mut bytes = rest.to_vec();
            let nonce = aead::Nonce::assume_unique_for_key(*nonce);
            let plain = self.key.open_in_place(nonce, aead::Aad::from(place.as_bytes()), &mut bytes).ok()?.len();
            bytes.truncate(plain);
            Some(bytes)
        };
        let why = "it does not open with this hub's store key: it was altered, or written by a hub with other keys";
        open().ok_or_else(|| StoreError::Damaged { what: place.to_owned(), why: why.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_opens_and_only_in_the_same_place() {
        let sealer = Sealer::new(&[1; 32]).expect("sealer");
        let sealed = sealer.seal("scope a", b"secret").expect("seal");
        assert_eq!(sealer.open("scope a", &sealed).expect("open"), b"secret");
        assert!(sealer.open("scope b", &sealed).is_err());
        assert!(Sealer::new(&[2; 32]).expect("sealer").open("scope a", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(sealer.open("scope a", &altered).is_err(), "byte {at}");
        }
        for cut in 0..sealed.len() {
            assert!(sealer.open("scope a", &sealed[..cut]).is_err(), "{cut} bytes");
        }
        assert_ne!(sealer.seal("scope a", b"other").expect("seal")[..NONCE], sealed[..NONCE], "a nonce seals one content");
    }
}
