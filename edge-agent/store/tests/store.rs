//! The store as a store: the conformance suite, and what is particular to a file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ward;

use edge_store::{SqliteReader, SqliteStore};
use protocol::store::{Store, StoreError};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use ward::{KEY, Ward, raw};

fn refusal(path: &Path, key: &[u8; 32]) -> String {
    match SqliteStore::open(path, key) {
        Err(error @ StoreError::Open { .. }) => error.to_string(),
        other => panic!("expected a refusal to open, got {other:?}"),
    }
}

#[test]
fn it_is_a_store_as_every_other() {
    let directory = tempfile::tempdir().expect("dir");
    let mut made = 0;
    let suite = protocol::conformance::run(&mut || {
        made += 1;
        Box::new(SqliteStore::open(&directory.path().join(format!("{made}.db")), &KEY).expect("open"))
    });
    suite.expect("conformance");
}

#[test]
fn a_record_written_by_one_process_is_read_by_the_next() {
    let directory = tempfile::tempdir().expect("dir");
    let path = directory.path().join("data/agent.db");
    let digest = {
        let mut ward = Ward::start(&path, 1);
        ward.patient("ana");
        ward.segment("ana", &[97, 96]);
        ward.replica.digest(ward.replica.id())
    };
    let ward = Ward::start(&path, 2);
    let heads = ward.replica.shared_heads(ward.replica.id());
    let first_run = heads.iter().filter(|head| head.chain.run.0 == [1; 8]);
    assert_eq!(record::ledger::set_digest(first_run), digest);
}

#[test]
fn a_reader_sees_what_is_committed_and_cannot_write() {
    let directory = tempfile::tempdir().expect("dir");
    let mut store = SqliteStore::open(&directory.path().join("agent.db"), &KEY).expect("open");
    let mut reader = store.reader().expect("reader");
    let mut tx = store.begin().expect("begin");
    tx.put_value("k", b"v").expect("put");
    assert_eq!(reader.begin().expect("begin").value("k").expect("value"), None, "not before it is committed");
    tx.commit().expect("commit");
    let moved = std::thread::spawn(move || {
        let value = reader.begin().expect("begin").value("k").expect("value");
        assert_eq!(value.as_deref(), Some(b"v".as_slice()));
        let refused = reader.begin().expect("begin").put_value("k", b"w");
        assert!(matches!(refused, Err(StoreError::Other(_))), "{refused:?}");
    });
    moved.join().expect("a reader works on another thread");
}

#[test]
fn a_store_is_readable_after_its_program_has_ended() {
    let directory = tempfile::tempdir().expect("dir");
    let path = directory.path().join("agent.db");
    drop(Ward::start(&path, 1));
    let mut reader = SqliteReader::open(&path, &KEY).expect("reader");
    assert_eq!(reader.begin().expect("begin").scopes().expect("scopes").len(), 3);
}

#[test]
fn another_key_opens_nothing_and_the_message_holds_neither() {
    let directory = tempfile::tempdir().expect("dir");
    let path = directory.path().join("agent.db");
    drop(Ward::start(&path, 1));
    let message = refusal(&path, &[0x77; 32]);
    assert!(message.contains("agent.db") && message.contains("key does not fit"), "{message}");
    assert!(!message.contains("7777") && !message.contains("5a5a"), "{message}");
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_as_it_was() {
    let directory = tempfile::tempdir().expect("dir");
    let path = directory.path().join("notes.db");
    let text = b"shopping list ".repeat(1000);
    fs::write(&path, &text).expect("write");
    assert!(refusal(&path, &KEY).contains("not a Lamplight store"));
    assert_eq!(fs::read(&path).expect("read"), text);

    let other = directory.path().join("other.db");
    raw(&other).execute_batch("CREATE TABLE recipes (name TEXT)").expect("sql");
    assert!(refusal(&other, &KEY).contains("another program"));
}

#[test]
fn a_store_of_a_newer_version_is_refused_by_name() {
    let directory = tempfile::tempdir().expect("dir");
    let path = directory.path().join("agent.db");
    drop(SqliteStore::open(&path, &KEY).expect("open"));
    raw(&path).execute_batch("PRAGMA user_version = 99").expect("sql");
    let message = refusal(&path, &KEY);
    assert!(message.contains("newer") && message.contains("99"), "{message}");
}

#[test]
fn those_that_open_a_new_store_at_once_all_get_it() {
    let directory = tempfile::tempdir().expect("dir");
    for round in 0..10 {
        let path = directory.path().join(format!("{round}.db"));
        let gate = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    gate.wait();
                    SqliteStore::open(&path, &KEY).map(drop).expect("open");
                });
            }
        });
    }
}

#[test]
fn the_files_are_private_and_say_nothing() {
    let directory = tempfile::tempdir().expect("dir");
    let path = directory.path().join("data/agent.db");
    let mut ward = Ward::start(&path, 1);
    ward.patient("ana");
    let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().expect("parent")), 0o700);
    let mut seen = 0;
    for file in fs::read_dir(path.parent().expect("parent")).expect("dir") {
        let file = file.expect("file").path();
        assert_eq!(mode(&file), 0o600, "{file:?}");
        let bytes = fs::read(&file).expect("read");
        for word in ["Unverwechselbar", "SQLite format", "CREATE TABLE"] {
            assert!(!bytes.windows(word.len()).any(|w| w == word.as_bytes()), "{word} stands in the clear in {file:?}");
        }
        seen += 1;
    }
    assert_eq!(seen, 3, "the store, its WAL and the WAL's index");
}

#[test]
fn a_damaged_row_is_named() {
    let directory = tempfile::tempdir().expect("dir");
    let path = directory.path().join("agent.db");
    let mut store = SqliteStore::open(&path, &KEY).expect("open");
    raw(&path)
        .execute_batch("PRAGMA ignore_check_constraints = 1; INSERT INTO scopes (scope, creator, access) VALUES (x'01', x'02', x'')")
        .expect("sql");
    let error = store.begin().expect("begin").scopes().expect_err("damaged");
    assert!(matches!(&error, StoreError::Damaged { what, .. } if what == "table scopes"), "{error}");
}

#[test]
fn a_damaged_page_is_an_error_and_no_panic() {
    let directory = tempfile::tempdir().expect("dir");
    let path = directory.path().join("agent.db");
    {
        let mut ward = Ward::start(&path, 1);
        for n in 0..40 {
            ward.patient(&format!("p{n}"));
        }
    }
    let mut bytes = fs::read(&path).expect("read");
    for page in bytes.chunks_mut(4096).skip(1) {
        page[2000] ^= 1;
    }
    fs::write(&path, bytes).expect("write");
    let outcome = SqliteStore::open(&path, &KEY).and_then(|mut store| store.begin()?.chains().map(drop));
    assert!(matches!(outcome, Err(StoreError::Damaged { .. })), "{outcome:?}");
}
