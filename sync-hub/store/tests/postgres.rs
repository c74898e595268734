//! The hub's record in a real PostgreSQL: the conformance suite, and what is particular to a server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use hub_store::{PostgresReader, PostgresStore};
use protocol::conformance::Counting;
use protocol::store::{DeadLetter, Incident, Scope, Store, StoreError};
use protocol::{Commit, Draft, Replica, Where};
use record::id::{ReplicaId, RunId, ScopeId};
use record::ledger::grant::ScopeRole;
use record::ledger::{Act, ChainId, Identity, ScopeKey};
use record::time::{Now, Timestamp};
use serde_json::json;
use support::Server;

const KEY: [u8; 32] = [0x5a; 32];

/// A server, or a line that says why the test was skipped.
macro_rules! server {
    () => {
        match Server::start() {
            Ok(server) => server,
            Err(why) => {
                println!("skipped: {why}");
                return;
            }
        }
    };
}

fn put(store: &mut PostgresStore, bytes: &[u8]) -> Result<u64, StoreError> {
    let mut tx = store.begin()?;
    let id = tx.put_tick(bytes, b"")?;
    tx.commit()?;
    Ok(id)
}

fn ticks(store: &mut dyn Store) -> Vec<(u64, Vec<u8>)> {
    store.begin().expect("begin").ticks(false, 0).expect("ticks")
}

fn refusal(url: &str) -> String {
    match PostgresStore::open(url, &KEY) {
        Err(error @ StoreError::Open { .. }) => error.to_string(),
        other => panic!("expected a refusal to open, got {other:?}"),
    }
}

fn replica(store: &mut dyn Store, run: u8) -> Replica {
    let identity = Identity::from_seed(&[7; 32]).expect("identity");
    let now = Now { wall: Timestamp::from_millis(1_700_000_000_000 + i64::from(run) * 1000), ..Now::default() };
    Replica::open(store, identity, RunId([run; 8]), "test/1", now, &mut Counting(u64::from(run) * 1000)).expect("replica")
}

fn patient(store: &mut dyn Store, replica: &mut Replica, id: &str) {
    let resource = json!({"resourceType": "Patient", "id": id, "name": [{"family": "Unverwechselbar"}], "gender": "female"});
    let commit = Commit { act: Act::system(), drafts: vec![Draft::Create { place: Where::Site, resource }], ..Commit::default() };
    let now = Now { wall: Timestamp::from_millis(1_700_000_500_000), ..Now::default() };
    let seed = id.bytes().fold(1, |seed, byte| seed * 31 + u64::from(byte));
    replica.commit(store, now, &mut Counting(seed << 16), &commit).expect("commit");
}

#[test]
fn it_is_a_store_as_every_other() {
    let mut server = server!();
    let suite = protocol::conformance::run(&mut || Box::new(PostgresStore::open(&server.fresh(), &KEY).expect("open")));
    suite.expect("conformance");
}

#[test]
fn a_record_written_by_one_process_is_read_by_the_next() {
    let mut server = server!();
    let url = server.fresh();
    let mut store = PostgresStore::open(&url, &KEY).expect("open");
    let mut hub = replica(&mut store, 1);
    patient(&mut store, &mut hub, "ana");
    let digest = hub.digest(hub.id());
    drop(store);
    let mut store = PostgresStore::open(&url, &KEY).expect("open again");
    let hub = replica(&mut store, 2);
    assert_eq!(hub.digest(hub.id()), digest);
    let ana = hub.scope_of(&"ana".parse().expect("id")).and_then(|id| hub.scope(id).cloned()).expect("scope");
    assert!(ana.key.is_some(), "its key opens again");
}

#[test]
fn a_reader_sees_one_moment_of_what_is_committed_and_cannot_write() {
    let mut server = server!();
    let mut store = PostgresStore::open(&server.fresh(), &KEY).expect("open");
    let mut reader = store.reader().expect("reader");
    let mut tx = store.begin().expect("begin");
    tx.put_value("k", b"v").expect("put");
    assert_eq!(reader.begin().expect("begin").value("k").expect("value"), None, "not before it is committed");
    let mut view = reader.begin().expect("begin");
    assert_eq!(view.value("k").expect("value"), None);
    tx.commit().expect("commit");
    assert_eq!(view.value("k").expect("value"), None, "a transaction sees one moment");
    drop(view);
    assert_eq!(reader.begin().expect("begin").value("k").expect("value").as_deref(), Some(b"v".as_slice()));
    let refused = reader.begin().expect("begin").put_value("k", b"w");
    assert!(matches!(refused, Err(StoreError::Other(_))), "{refused:?}");
    assert_eq!(reader.begin().expect("begin").value("k").expect("value").as_deref(), Some(b"v".as_slice()), "and it goes on reading");
}

#[test]
fn a_second_hub_is_told_who_the_first_is_and_may_write_when_that_has_gone() {
    let mut server = server!();
    let url = server.fresh();
    let mut first = PostgresStore::open(&url, &KEY).expect("open");
    let message = refusal(&url);
    let me = std::process::id().to_string();
    assert!(message.contains("another hub writes here") && message.contains(&me), "{message}");
    put(&mut first, b"still the one").expect("put");
    let mut reader = PostgresReader::open(&url, &KEY).expect("readers may be many");
    assert_eq!(ticks(&mut reader).len(), 1);
    drop(first);
    let mut second = PostgresStore::open(&url, &KEY).expect("the place is free");
    put(&mut second, b"now me").expect("put");
}

#[test]
fn a_hub_that_was_overtaken_while_cut_off_writes_no_more() {
    let mut server = server!();
    let url = server.fresh();
    let mut first = PostgresStore::open(&url, &KEY).expect("open");
    put(&mut first, b"one").expect("put");
    server.sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'lamplight-hub%'");
    let mut second = PostgresStore::open(&url, &KEY).expect("open");
    put(&mut second, b"two").expect("put");
    drop(second);
    let refused = put(&mut first, b"three").expect_err("overtaken");
    assert!(refused.to_string().contains("another hub has written here"), "{refused}");
    assert!(put(&mut first, b"three").is_err(), "however often it tries");
    let mut reader = PostgresReader::open(&url, &KEY).expect("reader");
    assert_eq!(ticks(&mut reader), [(1, b"one".to_vec()), (2, b"two".to_vec())]);
}

#[test]
fn a_server_that_restarts_between_transactions_is_not_noticed() {
    let mut server = server!();
    let mut store = PostgresStore::open(&server.fresh(), &KEY).expect("open");
    let mut reader = store.reader().expect("reader");
    let mut hub = replica(&mut store, 1);
    patient(&mut store, &mut hub, "ana");
    server.stop();
    server.up().expect("up");
    patient(&mut store, &mut hub, "berta");
    assert_eq!(reader.begin().expect("begin").scopes().expect("scopes").len(), 5);
    // Lost in the middle, a transaction is lost whole, and the next one is well.
    let mut tx = store.begin().expect("begin");
    tx.put_value("k", b"v").expect("put");
    server.stop();
    server.up().expect("up");
    assert!(tx.put_value("l", b"w").is_err());
    drop(tx);
    assert_eq!(store.begin().expect("begin").value("k").expect("value"), None);
    patient(&mut store, &mut hub, "clara");
}

#[test]
fn a_server_that_stays_away_is_an_error_in_bounded_time() {
    let mut server = server!();
    let mut store = PostgresStore::open(&server.fresh(), &KEY).expect("open");
    server.stop();
    let error = put(&mut store, b"x").expect_err("nobody there");
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
    server.up().expect("up");
    put(&mut store, b"y").expect("and back");
}

#[test]
fn nothing_that_was_committed_is_lost_or_doubled_when_the_server_is_killed_under_load() {
    let mut server = server!();
    let url = server.fresh();
    let (say, said) = std::sync::mpsc::channel();
    let load = {
        let url = url.clone();
        std::thread::spawn(move || {
            let mut store = PostgresStore::open(&url, &KEY).expect("open");
            let (mut kept, mut refused) = (Vec::new(), 0);
            for n in 0_u32.. {
                let bytes = [n.to_be_bytes().to_vec(), vec![7; 3000]].concat();
                match put(&mut store, &bytes) {
                    Ok(id) => kept.push((id, bytes)),
                    Err(StoreError::Other(_) | StoreError::Open { .. }) => refused += 1,
                    Err(error) => panic!("{error}"),
                }
                if say.send(n).is_err() {
                    return (kept, refused);
                }
            }
            (kept, refused)
        })
    };
    for round in 0_u32..5 {
        for _ in 0..20 + 7 * round {
            said.recv().expect("the load goes on");
        }
        server.kill();
        server.up().expect("up");
    }
    for _ in 0..20 {
        said.recv().expect("the load goes on after the last kill");
    }
    drop(said);
    let (kept, refused) = load.join().expect("load");
    assert!(kept.len() > 100, "{} kept, {refused} refused", kept.len());
    let mut reader = PostgresReader::open(&url, &KEY).expect("reader");
    assert_eq!(ticks(&mut reader), kept, "all that was acknowledged, once, and nothing that was refused");
}

#[test]
fn a_transaction_in_which_something_failed_cannot_be_committed() {
    let mut server = server!();
    let url = server.fresh();
    let mut store = PostgresStore::open(&url, &KEY).expect("open");
    let mut admin = store.reader().expect("reader");
    drop(admin.begin());
    let database = url.rsplit('=').next().expect("name").to_owned();
    server.sql(&database, "ALTER TABLE lamplight.incidents ADD CHECK (kind <> 'impossible')");
    let incident =
        |kind: &str| Incident { author: ReplicaId([1; 32]), kind: kind.to_owned(), detail: String::new(), at: Timestamp(1), closed: None };
    let mut tx = store.begin().expect("begin");
    tx.put_value("k", b"v").expect("put");
    tx.put_incident(&incident("impossible")).expect_err("refused");
    assert!(tx.commit().is_err(), "half of a transaction must not look like all of it");
    let mut tx = store.begin().expect("begin");
    assert_eq!(tx.value("k").expect("value"), None);
    tx.put_incident(&incident("possible")).expect("put");
    tx.commit().expect("commit");
}

#[test]
fn what_others_write_into_names_holds_up_nothing() {
    let mut server = server!();
    let mut store = PostgresStore::open(&server.fresh(), &KEY).expect("open");
    let mut tx = store.begin().expect("begin");
    let chain = ChainId { scope: ScopeId([1; 16]), author: ReplicaId([2; 32]), run: RunId([3; 8]) };
    tx.put_dead_letter(&DeadLetter { chain, seq: u64::MAX, reason: "zero \0 in it".to_owned() }).expect("dead letter");
    tx.set_continued(chain, u64::MAX).expect("continued");
    let incident =
        Incident { author: chain.author, kind: "fork".to_owned(), detail: "\0".to_owned(), at: Timestamp(i64::MIN), closed: None };
    tx.put_incident(&incident).expect("incident");
    tx.commit().expect("commit");
}

#[test]
fn what_patients_say_and_every_key_is_sealed_and_opens_with_the_store_key_alone() {
    let mut server = server!();
    let url = server.fresh();
    let mut store = PostgresStore::open(&url, &KEY).expect("open");
    let mut hub = replica(&mut store, 1);
    patient(&mut store, &mut hub, "ana");
    let secret = [0xc5; 32];
    let scope = Scope {
        id: ScopeId([9; 16]),
        role: Some(ScopeRole::Patient),
        creator: hub.id(),
        key: Some((1, ScopeKey(secret))),
        patient: None,
        access: protocol::access::Access::default(),
    };
    let mut tx = store.begin().expect("begin");
    tx.put_scope(&scope).expect("scope");
    tx.put_tick(b"Unverwechselbar", b"").expect("tick");
    tx.commit().expect("commit");
    drop(store);
    server.stop();
    let mut files = 0;
    let mut rest = vec![std::path::PathBuf::from(server.data())];
    while let Some(path) = rest.pop() {
        if path.is_dir() {
            rest.extend(std::fs::read_dir(&path).expect("dir").map(|e| e.expect("entry").path()));
            continue;
        }
        let bytes = std::fs::read(&path).expect("read");
        for word in [b"Unverwechselbar".as_slice(), &secret] {
            assert!(!bytes.windows(word.len()).any(|w| w == word), "in the clear in {}", path.display());
        }
        files += 1;
    }
    assert!(files > 100, "{files} files of a database");
    server.up().expect("up");

    let mut other = PostgresReader::open(&url, &[1; 32]).expect("another key connects");
    let mut tx = other.begin().expect("begin");
    let refused = tx.scopes().expect_err("another key");
    assert!(matches!(&refused, StoreError::Damaged { what, .. } if what.contains("scope")), "{refused}");
    let refused = tx.document("Patient", &"ana".parse().expect("id")).expect_err("another key");
    assert!(matches!(&refused, StoreError::Damaged { what, .. } if what.contains("Patient/ana")), "{refused}");
}

#[test]
fn a_database_of_a_newer_version_is_refused_by_name_and_a_new_one_has_nothing_to_read() {
    let mut server = server!();
    let url = server.fresh();
    let unread = PostgresReader::open(&url, &KEY).expect_err("nothing there");
    assert!(unread.to_string().contains("start the hub on it once"), "{unread}");
    drop(PostgresStore::open(&url, &KEY).expect("open"));
    server.sql(url.rsplit('=').next().expect("name"), "UPDATE lamplight.schema_version SET version = 99");
    let message = refusal(&url);
    assert!(message.contains("newer") && message.contains("99"), "{message}");
}

#[test]
fn a_connection_that_would_not_be_safe_is_refused_without_telling_the_password() {
    for (url, word) in [
        ("postgres://hub:topsecret@db.example.org/hub", "sslmode=disable"),
        ("postgres://hub:topsecret@db.example.org/hub?sslmode=require", "TLS"),
        ("postgres://hub:topsecret@localhost/hub?sslmode=require", "TLS"),
        ("postgres://hub:topsecret@localhost/hub?nonsense=topsecret", "URL"),
        ("topsecret", "URL"),
    ] {
        let message = refusal(url);
        assert!(message.contains(word) && !message.contains("topsecret"), "{message}");
    }
}
