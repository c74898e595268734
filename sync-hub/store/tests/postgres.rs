//! The hub's record in a real PostgreSQL: the conformance suite, and what is particular to a server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use hub_store::postgres::verify;
use hub_store::{AccountRow, Enrolment, FleetStore, Postgres, PostgresReader, PostgresStore};
use protocol::conformance::Counting;
use protocol::store::{DeadLetter, Incident, Scope, Store, StoreError};
use protocol::{Commit, Draft, Replica, Where};
use record::id::{Hash, ReplicaId, RunId, ScopeId};
use record::ledger::body::AuditEvent;
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

fn name_of(url: &str) -> String {
    url.rsplit('=').next().expect("name").to_owned()
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
    assert!(matches!(error, StoreError::Away { .. }) && error.to_string().contains("systemctl"), "{error}");
    let again = put(&mut store, b"x").expect_err("still nobody, and nobody tried");
    assert!(matches!(again, StoreError::Away { .. }), "{again}");
    server.up().expect("up");
    let back = (0..200).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        put(&mut store, b"y").ok()
    });
    assert_eq!(back, Some(1), "it is found again by itself, and nothing of what failed is there");
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
                    Err(StoreError::Away { .. }) => {
                        refused += 1;
                        std::thread::sleep(std::time::Duration::from_millis(5));
                        continue;
                    }
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
fn what_keeps_the_fleet_and_the_accounts_is_sealed_and_holds_to_the_same_rules_as_the_file() {
    let mut server = server!();
    let url = server.fresh();
    let postgres = Postgres::new(url.parse().expect("url"), &KEY).expect("database");
    let mut fleet: FleetStore<Option<u32>, String> = FleetStore::beside(&postgres).expect("a fleet before any record");
    let (hash, now) = (Hash([1; 32]), Timestamp(1_000));
    fleet.put_code("hillside", "op", Hash([9; 32]), Timestamp(5_000), now).expect("code");
    fleet.put_code("hillside", "op", hash, Timestamp(5_000), now).expect("code");
    let kept = server.sql(&name_of(&url), "SELECT count(*), min(encode(hash, 'hex')) FROM lamplight.codes");
    assert!(kept.starts_with("1|") && !kept.contains("0101"), "one unused code a site, and not its bare hash: {kept}");
    let enrolment = || Enrolment {
        site: "hillside".into(),
        replica: ReplicaId([3; 32]),
        seal_key: [2; 32],
        version: "0.1.0".into(),
        fingerprint: Hash([4; 32]),
        serial: "01".into(),
        expires: Timestamp(9_000),
    };
    let refused = fleet.enrol(hash, None, now, |_| Err::<Enrolment, _>("no")).expect("store");
    assert_eq!(refused, Err("no"));
    let done = fleet.enrol(hash, Some(ReplicaId([3; 32])), now, |found| {
        assert_eq!((found.code.map(|code| code.used), found.replica_of), (Some(None), None));
        Ok::<_, ()>(enrolment())
    });
    assert_eq!(done.expect("store"), Ok(()));
    let again = fleet.enrol(hash, Some(ReplicaId([3; 32])), now, |found| {
        assert_eq!((found.code.and_then(|code| code.used), found.replica_of.as_deref()), (Some(now), Some("hillside")));
        Err::<Enrolment, _>("used")
    });
    assert_eq!(again.expect("store"), Err("used"));
    fleet.put_status("hillside", &Some(4)).expect("status");
    fleet.put_revocation("hillside", &"Unverwechselbar".to_owned()).expect("revocation");

    // Another process sees the same, and another key nothing.
    let second: FleetStore<Option<u32>, String> =
        FleetStore::beside(&Postgres::new(url.parse().expect("url"), &KEY).expect("database")).expect("fleet");
    let row = second.site_of_certificate(&Hash([4; 32])).expect("read").expect("the site");
    assert_eq!((row.site.as_str(), row.status, row.revocation.as_deref()), ("hillside", Some(4), Some("Unverwechselbar")));
    assert_eq!(second.site_of_replica(ReplicaId([3; 32])).expect("read"), Some(row.clone()));
    assert_eq!((second.sites().expect("read"), second.seal_key("hillside").expect("read")), (vec![row], Some([2; 32])));
    assert_eq!(second.site_of_certificate(&Hash([5; 32])).expect("read"), None);
    let stranger = Postgres::new(url.parse().expect("url"), &[1; 32]).expect("database");
    let other: FleetStore<Option<u32>, String> = FleetStore::beside(&stranger).expect("it connects");
    assert!(matches!(other.sites(), Err(StoreError::Damaged { .. })));

    let accounts = postgres.accounts().expect("accounts");
    let ana = AccountRow {
        user: "ana".into(),
        display_name: "Unverwechselbar".into(),
        role: "nurse".into(),
        secret_hash: "$argon2id$Unverwechselbar".into(),
        failures: 0,
        locked_until: None,
        disabled: false,
    };
    let event = AuditEvent {
        at: now,
        user: "command-line".into(),
        session: String::new(),
        action: "user-add".into(),
        what: vec!["User/Unverwechselbar".into()],
        ok: true,
    };
    assert!(accounts.add(&ana, &event).expect("add"));
    assert!(!accounts.add(&AccountRow { role: "admin".into(), ..ana.clone() }, &event).expect("add"), "the name is taken");
    accounts.note_attempt("ana", 2, Some(Timestamp(7))).expect("note");
    accounts.note_attempt("nobody", 2, None).expect("an attempt tells nobody who is");
    let found = accounts.find("ana").expect("find").expect("ana");
    assert_eq!(found, AccountRow { failures: 2, locked_until: Some(Timestamp(7)), ..ana });
    assert_eq!((accounts.find("berta").expect("find"), accounts.find("\0").expect("find")), (None, None));
    let waiting = accounts.pending_audit().expect("events");
    assert_eq!(waiting.iter().map(|(_, event)| event.clone()).collect::<Vec<_>>(), [event], "one account, one event");
    accounts.drop_audit(waiting[0].0).expect("drop");
    assert_eq!(accounts.pending_audit().expect("events"), []);

    server.sql(&name_of(&url), "CHECKPOINT");
    let dumped = server.sql(
        &name_of(&url),
        "SELECT string_agg(t::text, ' ') FROM (SELECT s::text FROM lamplight.sites s UNION ALL SELECT u::text FROM lamplight.users u) t",
    );
    let hidden: String = b"Unverwechselbar".iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(dumped.contains("hillside") && !dumped.contains("Unverwechselbar") && !dumped.contains(&hidden), "{dumped}");
}

#[test]
fn a_record_is_proven_from_its_bytes_and_the_first_bad_entry_is_named() {
    let mut server = server!();
    let url = server.fresh();
    let postgres = Postgres::new(url.parse().expect("url"), &KEY).expect("database");
    let mut store = postgres.store().expect("open");
    let mut hub = replica(&mut store, 1);
    for id in ["ana", "berta", "clara"] {
        patient(&mut store, &mut hub, id);
    }
    let report = verify(&postgres, &mut |_, _| {}).expect("sound");
    assert_eq!((report.entries, report.documents, report.absent), (hub.written(), 3, 0));
    assert_eq!(report.digest, hub.digest(hub.id()).all);
    let database = name_of(&url);
    let bad = |server: &Server, change: &str, back: &str| {
        server.sql(&database, &format!("SET search_path = lamplight; {change}"));
        let fault = verify(&postgres, &mut |_, _| {}).expect_err(change).to_string();
        server.sql(&database, &format!("SET search_path = lamplight; {back}"));
        verify(&postgres, &mut |_, _| {}).expect(back);
        fault
    };
    let flip = "UPDATE payloads SET payload = set_byte(payload, 9, get_byte(payload, 9) # 1) WHERE arrival = 4";
    assert!(bad(&server, flip, flip).contains("its payload does not match the hash in its header"));
    let flip = "UPDATE entries SET header = set_byte(header, 40, get_byte(header, 40) # 1) WHERE arrival = 4";
    assert!(bad(&server, flip, flip).starts_with("entry "));
    let flip = "UPDATE entries SET signature = set_byte(signature, 9, get_byte(signature, 9) # 1) WHERE signature IS NOT NULL";
    assert!(bad(&server, flip, flip).contains("signature"));
    let (shift, back) = ("UPDATE entries SET kind = kind + 1 WHERE arrival = 3", "UPDATE entries SET kind = kind - 1 WHERE arrival = 3");
    assert!(bad(&server, shift, back).contains("another kind or time"));
    let (cut, back) = ("UPDATE chains SET next = next + 1 WHERE id = 1", "UPDATE chains SET next = next - 1 WHERE id = 1");
    assert!(bad(&server, cut, back).contains("its head is recorded"));
    let flip = "UPDATE documents SET json = set_byte(json, 40, get_byte(json, 40) # 1) WHERE id = 'berta'";
    assert!(bad(&server, flip, flip).contains("Patient/berta"));
    let (hide, back) =
        ("UPDATE documents SET conflicted = true WHERE id = 'ana'", "UPDATE documents SET conflicted = false WHERE id = 'ana'");
    assert!(bad(&server, hide, back).contains("Patient/ana"));
    let (lose, back) = (
        "CREATE TABLE lost AS SELECT * FROM payloads WHERE arrival = 2; DELETE FROM payloads WHERE arrival = 2",
        "INSERT INTO payloads SELECT * FROM lost",
    );
    assert!(bad(&server, lose, back).contains("table payloads is not as that says"));
}

#[test]
fn a_backup_taken_in_use_restores_into_an_empty_database_and_a_damaged_or_foreign_one_leaves_it_empty() {
    let mut server = server!();
    let (url, other) = (server.fresh(), server.fresh());
    let open = |url: &str| Postgres::new(url.parse().expect("url"), &KEY).expect("database");
    let postgres = open(&url);
    let mut store = postgres.store().expect("open");
    let mut hub = replica(&mut store, 1);
    patient(&mut store, &mut hub, "ana");
    let mut tx = store.begin().expect("begin");
    tx.put_value("large", &[7; 700_000]).expect("more than a frame");
    tx.commit().expect("commit");
    let mut fleet: FleetStore<Option<u32>, String> = FleetStore::beside(&postgres).expect("fleet");
    fleet.put_code("hillside", "op", Hash([1; 32]), Timestamp(5_000), Timestamp(1)).expect("code");
    let listed = server.sql(
        &name_of(&url),
        "SELECT string_agg(table_name, ',' ORDER BY table_name) FROM information_schema.tables WHERE table_schema = 'lamplight' \
         AND table_name NOT IN ('schema_version', 'writers')",
    );
    let mut saved = hub_store::postgres::SAVED.to_vec();
    saved.sort_unstable();
    assert_eq!(listed, saved.join(","), "every table is saved");

    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("copy");
    postgres.backup(&KEY, [3; 16], &file).expect("backup");
    assert!(matches!(postgres.backup(&KEY, [3; 16], &file), Err(StoreError::Open { .. })), "it replaces nothing");
    let digest = hub.digest(hub.id());
    patient(&mut store, &mut hub, "berta");
    let whole = std::fs::read(&file).expect("read");
    assert!(!whole.windows(8).any(|part| part == b"hillside"), "even what is in the clear in the database is sealed in its backup");

    let restored = open(&other);
    let mark = ("restored_from", b"copy".as_slice());
    let middle = whole.len() / 2;
    for (what, bytes) in [
        ("cut off", whole[..middle].to_vec()),
        ("without its end", whole[..whole.len() - 21].to_vec()),
        ("altered", [&whole[..middle], &[whole[middle] ^ 1], &whole[middle + 1..]].concat()),
        ("no backup", b"something else entirely".to_vec()),
    ] {
        let bad = folder.path().join("bad");
        std::fs::write(&bad, bytes).expect("write");
        let refused = restored.restore(&KEY, &bad, mark).expect_err(what).to_string();
        assert!(refused.contains("bad"), "{what}: {refused}");
    }
    let refused = restored.restore(&[1; 32], &file, mark).expect_err("other keys").to_string();
    assert!(refused.contains("keys"), "{refused}");
    let refused = postgres.restore(&KEY, &file, mark).expect_err("a hub is there").to_string();
    assert!(refused.contains("a hub writes here"), "{refused}");

    restored.restore(&KEY, &file, mark).expect("restore");
    let again = restored.restore(&KEY, &file, mark).expect_err("no longer empty").to_string();
    assert!(again.contains("holds a record already"), "{again}");
    assert_eq!(verify(&restored, &mut |_, _| {}).expect("sound").digest, digest.all, "as of the backup");
    let fleet: FleetStore<Option<u32>, String> = FleetStore::beside(&restored).expect("fleet");
    assert_eq!(fleet.sites().expect("sites").len(), 1);
    let mut store = restored.store().expect("open");
    let mut tx = store.begin().expect("begin");
    assert_eq!(tx.value("restored_from").expect("value").as_deref(), Some(b"copy".as_slice()));
    assert_eq!(tx.value("log").expect("value"), None, "peers begin a new cursor");
    drop(tx);
    let mut hub = replica(&mut store, 2);
    patient(&mut store, &mut hub, "clara");
    assert_eq!(store.begin().expect("begin").value("large").expect("value"), Some(vec![7; 700_000]));
    verify(&restored, &mut |_, _| {}).expect("and it goes on");
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
