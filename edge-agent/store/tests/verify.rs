//! One changed byte, wherever it is, is found and named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ward;

use edge_store::verify::{EntryFault, verify};
use edge_store::{FirstFault, Report, SqliteReader};
use protocol::store::Store;
use record::id::Hash;
use record::ledger::receipt::Receipt;
use record::ledger::{Head, Identity};
use record::time::Timestamp;
use rusqlite::types::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use ward::{KEY, Ward, raw};

fn kept() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("dir");
    let path = directory.path().join("agent.db");
    for run in 1..=2 {
        let mut ward = Ward::start(&path, run);
        let patient = format!("p{run}");
        ward.patient(&patient);
        ward.segment(&patient, &[97, 96]);
        ward.segment(&patient, &[95, 94]);
    }
    (directory, path)
}

fn verified(path: &Path) -> Result<Report, FirstFault> {
    verify(&mut SqliteReader::open(path, &KEY).expect("open"), &mut |_| {})
}

/// Flips the lowest bit of one byte of a column, in the row of this arrival.
fn flip(path: &Path, column: &str, arrival: i64, at: usize) {
    let sql = raw(path);
    let mut bytes: Vec<u8> =
        sql.query_row(&format!("SELECT {column} FROM entries WHERE arrival = ?"), [arrival], |row| row.get(0)).expect("read");
    bytes[at] ^= 1;
    sql.execute(&format!("UPDATE entries SET {column} = ? WHERE arrival = ?"), rusqlite::params![bytes, arrival]).expect("write");
}

/// (arrival, seq, scope, signed) of every entry.
fn entries(path: &Path) -> Vec<(i64, u64, Vec<u8>, bool)> {
    let sql = raw(path);
    let mut statement = sql
        .prepare("SELECT e.arrival, e.seq, c.scope, e.signature IS NOT NULL FROM entries e JOIN chains c ON c.id = e.chain ORDER BY 1")
        .expect("sql");
    let rows =
        statement.query_map([], |row| Ok((row.get(0)?, u64::try_from(row.get::<_, i64>(1)?).expect("seq"), row.get(2)?, row.get(3)?)));
    rows.expect("query").map(|row| row.expect("row")).collect()
}

fn fault_at(path: &Path, seq: u64, scope: &[u8]) -> EntryFault {
    match verified(path) {
        Err(FirstFault::Entry { chain, seq: named, fault }) => {
            assert_eq!((named, chain.scope.0.as_slice()), (seq, scope), "{fault}");
            fault
        }
        other => panic!("expected a fault in an entry, got {other:?}"),
    }
}

#[test]
fn a_sound_store_is_reported_whole_with_the_digest_of_its_replica() {
    let (_directory, path) = kept();
    let ward = Ward::start(&path, 3);
    let mut steps = Vec::new();
    let report = verify(&mut ward.store.reader().expect("reader"), &mut |progress| steps.push(progress)).expect("verify");
    assert_eq!(report.entries, ward.replica.written());
    assert_eq!((report.opened, report.closed, report.dead), (report.entries, 0, 0));
    assert_eq!((report.segments, report.receipts), (4, 0));
    assert_eq!(report.digest, ward.replica.digest(ward.replica.id()).all);
}

#[test]
fn a_byte_flipped_anywhere_in_any_entry_is_found_there() {
    let (directory, path) = kept();
    let all = entries(&path);
    assert!(all.len() > 10, "{}", all.len());
    for (arrival, seq, scope, signed) in all {
        let copy = directory.path().join(format!("copy-{arrival}.db"));
        // A header's first byte is its version, its last but one the length; between them lie ids, times and hashes.
        let cases = [("header", 0), ("header", 40), ("header", 80), ("payload", 0), ("payload", 39), ("header_hash", 5), ("signature", 9)];
        for (column, at) in cases {
            if column == "signature" && !signed {
                continue;
            }
            std::fs::copy(&path, &copy).expect("copy");
            flip(&copy, column, arrival, at);
            let fault = fault_at(&copy, seq, &scope);
            match column {
                "payload" => assert_eq!(fault, EntryFault::Payload),
                "signature" => assert_eq!(fault, EntryFault::Signature),
                "header_hash" => assert_eq!(fault, EntryFault::HeaderHash),
                _ => assert!(matches!(fault, EntryFault::Header | EntryFault::Place | EntryFault::HeaderHash), "{fault}"),
            }
        }
    }
}

#[test]
fn the_message_names_scope_author_run_and_place() {
    let (_directory, path) = kept();
    let (arrival, seq, scope, _) = entries(&path)[4].clone();
    flip(&path, "payload", arrival, 3);
    let message = verified(&path).expect_err("flipped").to_string();
    let author = Identity::from_seed(&[7; 32]).expect("identity").replica();
    for part in [format!("entry {seq} of"), hex::encode(scope), author.to_string(), "run 0".to_owned(), "payload".to_owned()] {
        assert!(message.contains(&part), "{part} in {message}");
    }
}

#[test]
fn an_entry_taken_out_or_a_signature_removed_is_missed() {
    let (directory, path) = kept();
    for (arrival, seq, scope, signed) in entries(&path) {
        let copy = directory.path().join(format!("copy-{arrival}.db"));
        std::fs::copy(&path, &copy).expect("copy");
        let sql = raw(&copy);
        let last: bool = sql
            .query_row(
                "SELECT seq = (SELECT max(seq) FROM entries WHERE chain = e.chain) FROM entries e WHERE arrival = ?",
                [arrival],
                |row| row.get(0),
            )
            .expect("last");
        sql.execute("DELETE FROM entries WHERE arrival = ?", [arrival]).expect("delete");
        drop(sql);
        match verified(&copy) {
            Err(FirstFault::Entry { seq: named, fault: EntryFault::Missing, .. }) => assert_eq!(named, seq),
            // Cutting off the end shows in the head on record.
            Err(FirstFault::Head { chain, recorded, found }) => assert!(last && chain.scope.0 == *scope && found + 1 == recorded),
            Err(FirstFault::Entry { fault: EntryFault::Unsigned, .. }) => assert!(last),
            other => panic!("entry {seq} was deleted unnoticed: {other:?}"),
        }
        if signed && last {
            std::fs::copy(&path, &copy).expect("copy");
            raw(&copy).execute("UPDATE entries SET signature = NULL WHERE arrival = ?", [arrival]).expect("unsign");
            assert_eq!(fault_at(&copy, seq, &scope), EntryFault::Unsigned);
        }
    }
}

#[test]
fn whoever_rewrites_a_header_and_its_hash_fails_at_the_signature() {
    let (_directory, path) = kept();
    let (chain, scope) = {
        let mut reader = SqliteReader::open(&path, &KEY).expect("open");
        let head = reader.begin().expect("begin").heads().expect("heads")[0];
        (head.chain, head.chain.scope.0)
    };
    let mut reader = SqliteReader::open(&path, &KEY).expect("open");
    let mut tx = reader.begin().expect("begin");
    let mut header = tx.entry(chain, 0).expect("entry").expect("first").header;
    drop(tx);
    header.hlc.wall_ms += 1;
    let hash = header.hash(chain.root());
    let values: [Value; 3] = [Value::Blob(header.bytes()), Value::Blob(hash.0.to_vec()), Value::Blob(scope.to_vec())];
    let changed = raw(&path)
        .execute(
            "UPDATE entries SET header = ?, header_hash = ? WHERE seq = 0 AND chain = (SELECT min(id) FROM chains WHERE scope = ? AND run = x'0101010101010101')",
            values,
        )
        .expect("write");
    assert_eq!(changed, 1);
    let fault = verified(&path).expect_err("rewritten");
    assert!(
        matches!(&fault, FirstFault::Entry { chain: named, fault: EntryFault::Signature | EntryFault::HeaderHash, .. } if *named == chain),
        "{fault}"
    );
}

#[test]
fn the_head_the_index_and_the_keys_must_agree_with_the_entries() {
    let (directory, path) = kept();
    let copy = directory.path().join("copy.db");
    let tampered = |sql: &str| {
        std::fs::copy(&path, &copy).expect("copy");
        raw(&copy).execute_batch(sql).expect("sql");
        verified(&copy).expect_err(sql)
    };
    let fault = tampered("UPDATE chains SET next = next + 1");
    assert!(matches!(fault, FirstFault::Head { recorded, found, .. } if recorded == found + 1), "{fault}");
    let fault = tampered("DELETE FROM segments WHERE id = 2");
    assert!(matches!(fault, FirstFault::Entry { fault: EntryFault::Index, .. }), "{fault}");
    let fault = tampered("UPDATE segments SET end_at = end_at + 1 WHERE id = 2");
    assert!(matches!(fault, FirstFault::Entry { fault: EntryFault::Index, .. }), "{fault}");
    let fault = tampered(
        "INSERT INTO segments SELECT NULL, scope, chain, 500, device, boot, waves, start_at, end_at, next_seq FROM segments WHERE id = 2",
    );
    assert!(matches!(fault, FirstFault::Entry { seq: 500, fault: EntryFault::Missing, .. }), "{fault}");
    let fault = tampered("UPDATE scopes SET key = zeroblob(32)");
    assert!(matches!(fault, FirstFault::Entry { fault: EntryFault::Sealed(_), .. }), "{fault}");
}

#[test]
fn payloads_without_their_key_are_hashed_and_counted_as_closed() {
    let (_directory, path) = kept();
    raw(&path).execute_batch("UPDATE scopes SET key = NULL, key_id = NULL WHERE role = 'patient'").expect("sql");
    let report = verified(&path).expect("verify");
    assert!(report.closed >= 4 && report.opened + report.closed == report.entries, "{report:?}");
}

#[test]
fn a_receipt_must_be_genuine_and_of_the_entries_held() {
    let (_directory, path) = kept();
    let hub = Identity::from_seed(&[9; 32]).expect("identity");
    let mut ward = Ward::start(&path, 3);
    let me = ward.replica.id();
    let heads = ward.replica.shared_heads(me);
    let put = |ward: &mut Ward, receipt: &Receipt| {
        let mut tx = ward.store.begin().expect("begin");
        tx.put_receipt(receipt).expect("put");
        tx.commit().expect("commit");
    };
    let sound = Receipt::sign(&hub, me, Timestamp(5), heads.clone(), Hash([0; 32]));
    put(&mut ward, &sound);
    assert_eq!(verified(&path).expect("sound").receipts, 1);

    let about_another = vec![Head { hash: Hash([3; 32]), ..heads[0] }];
    put(&mut ward, &Receipt::sign(&hub, me, Timestamp(6), about_another, Hash([0; 32])));
    let fault = verified(&path).expect_err("another entry");
    assert!(matches!(&fault, FirstFault::Receipt { signer, why } if *signer == hub.replica() && why.contains("another entry")), "{fault}");

    put(&mut ward, &Receipt { at: Timestamp(7), ..sound });
    let fault = verified(&path).expect_err("altered");
    assert!(matches!(&fault, FirstFault::Receipt { why, .. } if why.contains("signature")), "{fault}");
}
