//! One changed byte, wherever it is, is found and named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ward;

use edge_store::verify::{EntryFault, verify};
use edge_store::{FirstFault, Report, SqliteReader};
use protocol::store::Store;
use record::id::Hash;
use record::ledger::Identity;
use record::ledger::receipt::{Held, Receipt, ReceiptId};
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
    let table = if column == "payload" { "payloads" } else { "entries" };
    let mut bytes: Vec<u8> =
        sql.query_row(&format!("SELECT {column} FROM {table} WHERE arrival = ?"), [arrival], |row| row.get(0)).expect("read");
    bytes[at] ^= 1;
    sql.execute(&format!("UPDATE {table} SET {column} = ? WHERE arrival = ?"), rusqlite::params![bytes, arrival]).expect("write");
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
        let cases = [("header", 0), ("header", 40), ("header", 80), ("payload", 0), ("payload", 20), ("header_hash", 5), ("signature", 9)];
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
        sql.execute("DELETE FROM payloads WHERE arrival = ?", [arrival]).expect("delete");
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
        let head = reader.begin().expect("begin").chains().expect("chains")[0].head;
        (head.chain, head.chain.scope.0)
    };
    let mut reader = SqliteReader::open(&path, &KEY).expect("open");
    let mut tx = reader.begin().expect("begin");
    let mut header = tx.entry(chain, 0).expect("entry").expect("first").header;
    drop(tx);
    header.hlc.counter += 1;
    let hash = header.hash(chain.root());
    let blobs = [header.bytes(), hash.0.to_vec(), scope.to_vec(), chain.run.0.to_vec()];
    let values = blobs.map(Value::Blob);
    let changed = raw(&path)
        .execute(
            "UPDATE entries SET header = ?, header_hash = ? WHERE seq = 0 AND chain = (SELECT id FROM chains WHERE scope = ? AND run = ?)",
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
        "INSERT INTO segments SELECT NULL, scope, chain, 500, device, boot, waves, start_at, end_at, next_seq, 0 FROM segments WHERE id = 2",
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
fn a_receipt_must_be_genuine_and_of_nothing_that_is_lost_here() {
    let (_directory, path) = kept();
    let hub = Identity::from_seed(&[9; 32]).expect("identity");
    let mut ward = Ward::start(&path, 3);
    let me = ward.replica.id();
    let head = ward.replica.shared_heads(me)[0];
    let held = |next, gaps| vec![Held { chain: head.chain, next, gaps }];
    let sign = |held| Receipt::sign(&hub, me, Timestamp(5), ReceiptId::default(), held, Hash([0; 32]));
    let put = |ward: &mut Ward, receipt: &Receipt| {
        let mut tx = ward.store.begin().expect("begin");
        tx.put_receipt(receipt).expect("put");
        tx.commit().expect("commit");
    };
    let sound = sign(held(head.next, vec![]));
    put(&mut ward, &sound);
    assert_eq!(verified(&path).expect("sound").receipts, 1);

    put(&mut ward, &sign(held(head.next + 1, vec![])));
    let fault = verified(&path).expect_err("an entry that is not here");
    let lost = format!("entry {} of", head.next);
    assert!(matches!(&fault, FirstFault::Receipt { signer, why } if *signer == hub.replica() && why.contains(&lost)), "{fault}");

    put(&mut ward, &sign(held(head.next, vec![(1, 2), (0, 1)])));
    let fault = verified(&path).expect_err("gaps");
    assert!(matches!(&fault, FirstFault::Receipt { why, .. } if why.contains("gaps")), "{fault}");

    put(&mut ward, &Receipt { at: Timestamp(7), ..sound.clone() });
    let fault = verified(&path).expect_err("altered");
    assert!(matches!(&fault, FirstFault::Receipt { why, .. } if why.contains("signature")), "{fault}");

    put(&mut ward, &sound);
    raw(&path).execute_batch("UPDATE held SET next = 0").expect("sql");
    let fault = verified(&path).expect_err("held otherwise");
    assert!(matches!(&fault, FirstFault::Receipt { why, .. } if why.contains("table held")), "{fault}");
}

#[test]
fn where_a_payload_is_must_be_as_its_state_says() {
    let (directory, path) = kept();
    let copy = directory.path().join("copy.db");
    let tampered = |sql: &str| {
        std::fs::copy(&path, &copy).expect("copy");
        raw(&copy).execute_batch(sql).expect("sql");
        match verified(&copy) {
            Err(FirstFault::Entry { fault, .. }) => fault,
            other => panic!("{sql}: {other:?}"),
        }
    };
    let last = "(SELECT max(arrival) FROM entries)";
    assert_eq!(tampered(&format!("DELETE FROM payloads WHERE arrival = {last}")), EntryFault::State("done"));
    assert_eq!(tampered(&format!("UPDATE entries SET state = 'dropped' WHERE arrival = {last}")), EntryFault::State("dropped"));
    assert_eq!(tampered(&format!("INSERT INTO parts VALUES ({last}, x'00')")), EntryFault::Part);
    assert_eq!(tampered(&format!("UPDATE entries SET kind = kind + 1 WHERE arrival = {last}")), EntryFault::Columns);
    assert_eq!(tampered(&format!("UPDATE entries SET wall_ms = 1 WHERE arrival = {last}")), EntryFault::Columns);
    assert_eq!(tampered("UPDATE segments SET held = 0 WHERE id = 2"), EntryFault::Index);
}

#[test]
fn masks_documents_and_ticks_must_be_what_entries_and_frames_give() {
    let (directory, path) = kept();
    {
        let mut ward = Ward::start(&path, 3);
        let frame = ward.frame(90);
        ward.commit(vec![frame], vec![]);
        ward.patient("berta");
        ward.refile("p1", "berta");
    }
    let report = verified(&path).expect("sound");
    assert_eq!((report.documents, report.ticks), (3, 1));
    assert!(report.pages > 10, "{report:?}");
    let copy = directory.path().join("copy.db");
    let tampered = |sql: &str| {
        std::fs::copy(&path, &copy).expect("copy");
        raw(&copy).execute_batch(sql).expect("sql");
        verified(&copy).expect_err(sql)
    };
    let fault = tampered("DELETE FROM masks WHERE id = 1");
    assert!(matches!(fault, FirstFault::Entry { fault: EntryFault::Mask, .. }), "{fault}");
    let fault = tampered("INSERT INTO masks (chain, seq, from_at, to_at) SELECT chain, seq, from_at, to_at - 1 FROM masks");
    assert!(matches!(fault, FirstFault::Mask(_)), "{fault}");
    for sql in [
        "UPDATE documents SET json = replace(json, 'female', 'male') WHERE id = 'p1'",
        "UPDATE documents SET json = '' WHERE id = 'p1'",
        "UPDATE documents SET version = 'x' WHERE id = 'p1'",
        "UPDATE documents SET parts = x'00' WHERE id = 'p1'",
    ] {
        let fault = tampered(sql);
        assert!(matches!(&fault, FirstFault::Document { document, .. } if document == "Patient/p1"), "{fault}");
    }
    let fault = tampered("UPDATE ticks SET numerics = x'05'");
    assert!(matches!(fault, FirstFault::Tick(1)), "{fault}");
    let fault = tampered("INSERT INTO payloads VALUES (9999, x'00')");
    assert!(fault.to_string().contains("table payloads, arrival 9999"), "{fault}");
}

#[test]
fn a_byte_flipped_in_the_file_is_named_by_its_page_and_by_what_it_makes_unreadable() {
    let (directory, path) = kept();
    raw(&path).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("checkpoint");
    let whole = std::fs::read(&path).expect("read");
    let size = 4096;
    let (mut named, pages) = (0, whole.len() / size);
    for page in 1..pages {
        let copy = directory.path().join("copy.db");
        let mut bytes = whole.clone();
        bytes[page * size + 1000 + page] ^= 0x10;
        std::fs::write(&copy, bytes).expect("write");
        let opened = SqliteReader::open(&copy, &KEY);
        // Pages of the schema are needed to open the store at all.
        let Ok(mut reader) = opened else { continue };
        match verify(&mut reader, &mut |_| {}) {
            Err(FirstFault::Page { page: number, offset, row, .. }) => {
                assert_eq!((number, offset), (page as u64 + 1, (page * size) as u64));
                named += usize::from(row.is_some());
            }
            other => panic!("page {page}: {other:?}"),
        }
    }
    assert!(named > pages / 4, "{named} of {pages} pages hold rows that are read one by one");
}
