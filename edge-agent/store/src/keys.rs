//! The files in `keys/`: made once from the entropy given, durable before they are used, readable by this user alone.

use crate::data_dir::DataDirError;
use protocol::entropy::{Entropy, bytes};
use ring::{aead, hkdf};
use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const MASTER: &str = "master.key";
const SEED: &str = "identity.seed";
const README: &str = include_str!("keys_readme.txt");

/// Most bytes a key file may hold; both hold fewer.
const FILE_LIMIT: u64 = 1024;
const NONCE: usize = aead::NONCE_LEN;

/// A 32-byte secret, wiped when dropped.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

/// What the key files yield.
pub(crate) struct Keys {
    pub(crate) store_key: Secret,
    pub(crate) identity_seed: Secret,
}

/// Reads the keys in `directory`.
pub(crate) fn read(directory: &Path) -> Result<Keys, DataDirError> {
    let master = read_hex(&directory.join(MASTER))?;
    let master: Secret = Zeroizing::new(exactly(&master, &directory.join(MASTER))?);
    let file = directory.join(SEED);
    let sealed = read_hex(&file)?;
    let identity_seed =
        open_seed(&master, &sealed).ok_or_else(|| damaged(&file, "it does not open with master.key: one of the two was replaced"))?;
    Ok(Keys { store_key: derive(&master, b"lamplight/store-key/1")?, identity_seed })
}

/// Makes the keys that are missing, then reads them. The caller has made sure that no store depends on missing ones.
pub(crate) fn read_or_create(directory: &Path, entropy: &mut dyn Entropy) -> Result<Keys, DataDirError> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|e| failed(directory, e))?;
    let (master_file, seed_file) = (directory.join(MASTER), directory.join(SEED));
    if !exists(&master_file)? {
        let master: Secret = Zeroizing::new(bytes(entropy));
        write(&master_file, &Zeroizing::new(hex::encode(*master)))?;
    }
    if !exists(&seed_file)? {
        let master: Secret = Zeroizing::new(exactly(&read_hex(&master_file)?, &master_file)?);
        let seed: Secret = Zeroizing::new(bytes(entropy));
        write(&seed_file, &hex::encode(seal_seed(&master, &seed, bytes(entropy))?))?;
    }
    let readme = directory.join("README.txt");
    if !exists(&readme)? {
        write(&readme, README)?;
    }
    read(directory)
}

/// Whether either key file is missing, by name.
pub(crate) fn missing(directory: &Path) -> Result<Option<PathBuf>, DataDirError> {
    for file in [directory.join(MASTER), directory.join(SEED)] {
        if !exists(&file)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

fn derive(master: &Secret, purpose: &[u8]) -> Result<Secret, DataDirError> {
    let mut out = Zeroizing::new([0; 32]);
    let purpose = [purpose];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"lamplight/master/1").extract(master.as_slice());
    prk.expand(&purpose, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(out.as_mut_slice())).map_err(|_| DataDirError::Derive)?;
    Ok(out)
}

fn seed_cipher(master: &Secret) -> Result<aead::LessSafeKey, DataDirError> {
    let key = derive(master, b"lamplight/identity-seal/1")?;
    aead::UnboundKey::new(&aead::AES_256_GCM, key.as_slice()).map(aead::LessSafeKey::new).map_err(|_| DataDirError::Derive)
}

fn seal_seed(master: &Secret, seed: &Secret, nonce: [u8; NONCE]) -> Result<Vec<u8>, DataDirError> {
    // Room for the tag as well: a vector that grows leaves a copy of the seed behind.
    let mut sealed = Vec::with_capacity(32 + aead::MAX_TAG_LEN);
    sealed.extend_from_slice(seed.as_slice());
    let nonce_used = aead::Nonce::assume_unique_for_key(nonce);
    let aad = aead::Aad::from(b"lamplight/identity/1");
    seed_cipher(master)?.seal_in_place_append_tag(nonce_used, aad, &mut sealed).map_err(|_| DataDirError::Derive)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

fn open_seed(master: &Secret, file: &[u8]) -> Option<Secret> {
    let (nonce, sealed) = file.split_first_chunk::<NONCE>()?;
    let mut sealed = Zeroizing::new(sealed.to_vec());
    let aad = aead::Aad::from(b"lamplight/identity/1");
    let seed = seed_cipher(master).ok()?.open_in_place(aead::Nonce::assume_unique_for_key(*nonce), aad, &mut sealed).ok()?;
    let mut out = Zeroizing::new([0; 32]);
    (seed.len() == out.len()).then(|| out.copy_from_slice(seed))?;
    Some(out)
}

/// Reads a file of hex digits that only this user may read.
fn read_hex(file: &Path) -> Result<Zeroizing<Vec<u8>>, DataDirError> {
    let about = fs::metadata(file).map_err(|e| failed(file, e))?;
    if about.mode() & 0o077 != 0 {
        return Err(DataDirError::Exposed(file.to_owned()));
    }
    if about.len() > FILE_LIMIT {
        return Err(damaged(file, "it is too long for a key file"));
    }
    let text = Zeroizing::new(fs::read(file).map_err(|e| failed(file, e))?);
    // The decoder's own message quotes the digit it stumbled on.
    hex::decode(text.trim_ascii()).map(Zeroizing::new).map_err(|_| damaged(file, "it is not hex digits"))
}

fn exactly(bytes: &[u8], file: &Path) -> Result<[u8; 32], DataDirError> {
    bytes.try_into().map_err(|_| damaged(file, "it must hold 64 hex digits"))
}

/// Writes a file that appears complete or not at all, and is on disk when this returns.
fn write(file: &Path, text: &str) -> Result<(), DataDirError> {
    let partial = file.with_extension("partial");
    let _ = fs::remove_file(&partial); // Of a start that was cut short.
    let mut line = Zeroizing::new(String::with_capacity(text.len() + 1));
    line.push_str(text);
    line.push('\n');
    let written = File::options().write(true).create_new(true).mode(0o600).open(&partial).and_then(|mut out| {
        out.write_all(line.as_bytes())?;
        out.sync_all()
    });
    written.map_err(|e| failed(&partial, e))?;
    fs::rename(&partial, file).map_err(|e| failed(file, e))?;
    let directory = file.parent().unwrap_or(Path::new("."));
    File::open(directory).and_then(|d| d.sync_all()).map_err(|e| failed(directory, e))
}

fn exists(file: &Path) -> Result<bool, DataDirError> {
    match fs::symlink_metadata(file) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(failed(file, e)),
    }
}

fn damaged(file: &Path, why: &'static str) -> DataDirError {
    DataDirError::Damaged { file: file.to_owned(), why }
}

pub(crate) fn failed(file: &Path, source: std::io::Error) -> DataDirError {
    DataDirError::File { file: file.to_owned(), source }
}
