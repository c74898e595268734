//! One file that holds all of a database's `lamplight`, taken as of one moment while a hub writes; and the way back.
//!
//! ```text
//! MAGIC · salt (16) · frame*      frame: length (u32, of what follows) · AES-256-GCM of kind (1) and content
//! Schema(version) · (Table(name) · Rows(COPY in binary form)*)* · End
//! ```
//! The key is derived from the hub's store key and the salt, the nonce is the frame's number: frames can be neither left out, nor
//! changed, nor moved, and a file that was cut off has no end. Without `keys/` it opens for nobody.

use super::Postgres;
use super::db::explain;
use super::link::{self, Link, Role};
use crate::backup::{begin, finish};
use crate::open::{create_private, unopened};
use postgres::{Client, Transaction};
use protocol::store::StoreError;
use ring::{aead, hkdf};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

const MAGIC: &[u8; 8] = b"LAMPHUB\x01";
/// Longest content of a frame.
const CHUNK: usize = 256 * 1024;
/// What a backup holds: every table but those about writers and schema, each after those it refers to.
pub const TABLES: [&str; 20] = [
    "chains",
    "entries",
    "payloads",
    "parts",
    "dead_letters",
    "scopes",
    "documents",
    "bindings",
    "segments",
    "masks",
    "ticks",
    "receipts",
    "held",
    "incidents",
    "small_values",
    "sites",
    "codes",
    "certificates",
    "users",
    "pending_audit",
];
/// Those whose rows are numbered by the server.
const NUMBERED: [&str; 6] = ["chains", "dead_letters", "bindings", "receipts", "incidents", "pending_audit"];

const SCHEMA: u8 = 0;
const TABLE: u8 = 1;
const ROWS: u8 = 2;
const END: u8 = 3;

impl Postgres {
    /// Copies everything into the new file `to`, as of one moment, while others go on writing. `key` is the hub's store key, `salt` is
    /// fresh.
    ///
    /// # Errors
    /// The file is there already or cannot be written; the database is not reached.
    pub fn backup(&self, key: &[u8; 32], salt: [u8; 16], to: &Path) -> Result<(), StoreError> {
        let mut link = Link::open(&self.shared, Role::Reader)?;
        let partial = begin(to)?;
        create_private(&partial).map_err(|e| unopened(&partial, &e))?;
        let file = File::options().write(true).open(&partial).map_err(|e| unopened(&partial, &e))?;
        let mut out = Sealing { out: BufWriter::new(file), key: frame_key(key, &salt)?, number: 0 };
        let written = |e: io::Error| failed(&partial, e);
        out.out.write_all(MAGIC).and_then(|()| out.out.write_all(&salt)).map_err(written)?;
        link.begin()?;
        let client = link.db()?.client;
        let version = link::known_version(client)?;
        out.frame(SCHEMA, &version.to_be_bytes()).map_err(written)?;
        for table in TABLES {
            out.frame(TABLE, table.as_bytes()).map_err(written)?;
            let say = |e: postgres::Error| explain(&e, format_args!("copying table {table}"));
            let mut rows = client.copy_out(&format!("COPY lamplight.{table} TO STDOUT (FORMAT binary)")).map_err(say)?;
            let mut chunk = vec![0; CHUNK];
            loop {
                let read = rows.read(&mut chunk).map_err(|e| StoreError::Other(format!("copying table {table}: {e}")))?;
                let Some(rows) = chunk.get(..read).filter(|rows| !rows.is_empty()) else { break };
                out.frame(ROWS, rows).map_err(written)?;
            }
        }
        out.frame(END, &[]).and_then(|()| out.out.flush()).map_err(written)?;
        drop(out);
        link.rollback();
        finish(&partial, to)
    }

    /// Makes everything from a backup, in a database that holds no record, all or nothing. The record then begins a new log, since peers
    /// know the arrival numbers of the old one, and carries `mark` as the small value of that name.
    ///
    /// # Errors
    /// There is a record or a hub already; the backup is damaged, cut off, or another hub's.
    pub fn restore(&self, key: &[u8; 32], from: &Path, mark: (&str, &[u8])) -> Result<(), StoreError> {
        let mut frames = Opening::new(key, from)?;
        let mut client = link::alone(&self.shared.url)?;
        let what = self.shared.url.to_string();
        let say = |e: postgres::Error| explain(&e, format_args!("restoring into {what}"));
        if holds_record(&mut client).map_err(say)? {
            return Err(StoreError::Open {
                what: what.clone(),
                why: "it holds a record already: restore into an empty database".to_owned(),
            });
        }
        let version = match frames.next()? {
            Some((SCHEMA, version)) => version.try_into().map(u32::from_be_bytes).map_err(|_| frames.damaged("it names no schema"))?,
            _ => return Err(frames.damaged("it does not begin as it must")),
        };
        let mut tx = client.transaction().map_err(say)?;
        tx.batch_execute("DROP SCHEMA IF EXISTS lamplight CASCADE; CREATE SCHEMA lamplight").map_err(say)?;
        let version = usize::try_from(version).unwrap_or(usize::MAX);
        link::build(&mut tx, &what, version)?;
        let mut held = frames.next()?;
        while let Some((TABLE, name)) = &held {
            let table = TABLES.into_iter().find(|table| table.as_bytes() == name).ok_or_else(|| frames.damaged("it names no table"))?;
            held = fill(&mut tx, table, &mut frames)?;
        }
        if held.map(|(kind, _)| kind) != Some(END) || frames.next()?.is_some() {
            return Err(frames.damaged("it does not end as it must"));
        }
        for table in NUMBERED {
            let count = format!(
                "SELECT setval(pg_get_serial_sequence('lamplight.{table}', 'id'), greatest(max(id), 1), max(id) IS NOT NULL) \
                 FROM lamplight.{table}"
            );
            tx.batch_execute(&count).map_err(say)?;
        }
        link::build_on(&mut tx, &what, version)?;
        tx.execute("DELETE FROM lamplight.small_values WHERE key IN ($1, $2)", &[&protocol::replica::LOG, &mark.0]).map_err(say)?;
        tx.execute("INSERT INTO lamplight.small_values (key, value) VALUES ($1, $2)", &[&mark.0, &mark.1]).map_err(say)?;
        tx.commit().map_err(say)
    }
}

/// Fills one table; the frame after its rows.
fn fill(tx: &mut Transaction<'_>, table: &str, frames: &mut Opening) -> Result<Option<Frame>, StoreError> {
    let say = |e: postgres::Error| explain(&e, format_args!("filling table {table}"));
    let mut rows = tx.copy_in(&format!("COPY lamplight.{table} FROM STDIN (FORMAT binary)")).map_err(say)?;
    let next = loop {
        match frames.next()? {
            Some((ROWS, bytes)) => {
                rows.write_all(&bytes).map_err(|e| StoreError::Other(format!("filling table {table}: {e}")))?;
            }
            other => break other,
        }
    };
    rows.finish().map_err(say)?;
    Ok(next)
}

/// Whether anything that a person or a site has done is kept there.
fn holds_record(client: &mut Client) -> Result<bool, postgres::Error> {
    for table in ["chains", "sites", "users"] {
        let known = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&format!("lamplight.{table}")])?.try_get(0)?;
        if known && client.query_one(&format!("SELECT EXISTS (SELECT FROM lamplight.{table})"), &[])?.try_get(0)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn frame_key(store_key: &[u8; 32], salt: &[u8; 16]) -> Result<aead::LessSafeKey, StoreError> {
    let derive = || -> Option<aead::LessSafeKey> {
        let mut key = [0; 32];
        let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, b"lamplight/hub-backup/1").extract(store_key);
        derived.expand(&[salt], hkdf::HKDF_SHA256).ok()?.fill(&mut key).ok()?;
        Some(aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_256_GCM, &key).ok()?))
    };
    derive().ok_or_else(|| StoreError::Other("a key for the backup could not be derived".to_owned()))
}

fn nonce(number: u64) -> aead::Nonce {
    let mut bytes = [0; aead::NONCE_LEN];
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    aead::Nonce::assume_unique_for_key(bytes)
}

/// Writes frames.
struct Sealing<W> {
    out: W,
    key: aead::LessSafeKey,
    number: u64,
}

impl<W: Write> Sealing<W> {
    fn frame(&mut self, kind: u8, content: &[u8]) -> io::Result<()> {
        let mut sealed = Vec::with_capacity(1 + content.len() + aead::MAX_TAG_LEN);
        sealed.push(kind);
        sealed.extend_from_slice(content);
        let refused = |_| io::Error::other("a frame could not be sealed");
        self.key.seal_in_place_append_tag(nonce(self.number), aead::Aad::empty(), &mut sealed).map_err(refused)?;
        self.number += 1;
        let length = u32::try_from(sealed.len()).map_err(io::Error::other)?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(&sealed)
    }
}

type Frame = (u8, Vec<u8>);

/// Reads frames.
struct Opening {
    from: BufReader<File>,
    file: String,
    key: aead::LessSafeKey,
    number: u64,
}

impl Opening {
    fn new(store_key: &[u8; 32], from: &Path) -> Result<Self, StoreError> {
        let mut reader = BufReader::new(File::open(from).map_err(|e| unopened(from, &e))?);
        let (mut magic, mut salt) = ([0; MAGIC.len()], [0; 16]);
        let begun = reader.read_exact(&mut magic).and_then(|()| reader.read_exact(&mut salt));
        if begun.is_err() || magic != *MAGIC {
            return Err(unopened(from, &"it is no backup of a hub's database"));
        }
        Ok(Self { from: reader, file: from.display().to_string(), key: frame_key(store_key, &salt)?, number: 0 })
    }

    /// The next frame; none at the end of the file.
    fn next(&mut self) -> Result<Option<Frame>, StoreError> {
        let mut length = [0; 4];
        match self.from.read_exact(&mut length) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(self.damaged(&e.to_string())),
        }
        let length = u32::from_be_bytes(length) as usize;
        if length > 1 + CHUNK + aead::MAX_TAG_LEN {
            return Err(self.damaged("a frame is longer than any"));
        }
        let mut sealed = vec![0; length];
        self.from.read_exact(&mut sealed).map_err(|_| self.damaged("it was cut off"))?;
        let opened = self.key.open_in_place(nonce(self.number), aead::Aad::empty(), &mut sealed);
        let opened = opened.ok().and_then(|plain| plain.split_first()).map(|(kind, content)| (*kind, content.to_vec()));
        self.number += 1;
        opened.map(Some).ok_or_else(|| self.damaged("it does not open with this hub's keys, or was altered"))
    }

    fn damaged(&self, why: &str) -> StoreError {
        StoreError::Damaged { what: self.file.clone(), why: why.to_owned() }
    }
}

fn failed(file: &Path, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull => StoreError::Full(file.display().to_string()),
        _ => unopened(file, &error),
    }
}
