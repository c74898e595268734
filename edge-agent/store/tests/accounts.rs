//! Accounts, and the audit events commands leave for the program that writes the ledger.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ward;

use edge_store::{Accounts, AccountsError, NewUser, SqliteStore};
use protocol::store::Store;
use record::ledger::body::AuditEvent;
use record::time::Timestamp;
use ward::KEY;

fn nurse(user: &str) -> NewUser {
    NewUser { user: user.into(), display_name: "Ana Nurse".into(), role: "nurse".into(), secret_hash: "$argon2id$x".into() }
}

fn event(action: &str) -> AuditEvent {
    AuditEvent { at: Timestamp(1), user: "root".into(), session: String::new(), action: action.into(), what: vec![], ok: true }
}

fn actions(accounts: &Accounts) -> Vec<String> {
    accounts.pending_audit().expect("pending").into_iter().map(|(_, event)| event.action).collect()
}

#[test]
fn an_account_appears_together_with_the_event_that_tells_of_it() {
    let directory = tempfile::tempdir().expect("dir");
    let accounts = Accounts::open(&directory.path().join("agent.db"), &KEY).expect("open");
    accounts.add(&nurse("ana"), &event("user-add")).expect("add");
    let found = accounts.find("ana").expect("find").expect("there");
    assert_eq!((found.role.as_str(), found.failures, found.locked_until, found.disabled), ("nurse", 0, None, false));
    assert!(!format!("{found:?}").contains("argon2id"), "a hash must not reach a log");

    assert!(matches!(accounts.add(&nurse("ana"), &event("twice")), Err(AccountsError::Exists(user)) if user == "ana"));
    assert!(matches!(accounts.set_disabled("bob", true, &event("nobody")), Err(AccountsError::Unknown(_))));
    assert_eq!(actions(&accounts), ["user-add"], "what did not happen leaves no event");
}

#[test]
fn a_lock_out_is_kept_and_a_new_secret_lifts_it() {
    let directory = tempfile::tempdir().expect("dir");
    let path = directory.path().join("agent.db");
    let accounts = Accounts::open(&path, &KEY).expect("open");
    accounts.add(&nurse("ana"), &event("user-add")).expect("add");
    accounts.note_attempt("ana", 5, Some(Timestamp(99))).expect("note");
    accounts.note_attempt("nobody", 5, Some(Timestamp(99))).expect("an unknown user is let pass");
    drop(accounts);

    let accounts = Accounts::open(&path, &KEY).expect("open");
    let found = accounts.find("ana").expect("find").expect("there");
    assert_eq!((found.failures, found.locked_until), (5, Some(Timestamp(99))), "after a restart");
    accounts.set_secret("ana", "$argon2id$y", &event("user-secret")).expect("secret");
    accounts.set_disabled("ana", true, &event("user-disable")).expect("disable");
    let listed = accounts.list().expect("list");
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].failures, listed[0].locked_until, listed[0].disabled), (0, None, true));
    assert_eq!(actions(&accounts), ["user-add", "user-secret", "user-disable"]);
}

#[test]
fn pending_events_stay_until_they_are_in_the_ledger() {
    let directory = tempfile::tempdir().expect("dir");
    let accounts = Accounts::open(&directory.path().join("agent.db"), &KEY).expect("open");
    for action in ["backup", "restore", "verify"] {
        accounts.push_audit(&event(action)).expect("push");
    }
    let pending = accounts.pending_audit().expect("pending");
    assert_eq!(actions(&accounts), ["backup", "restore", "verify"], "reading takes nothing");
    accounts.drop_audit(pending[1].0).expect("drop");
    assert_eq!(actions(&accounts), ["verify"]);
}

#[test]
fn a_command_waits_for_the_program_that_is_writing() {
    let directory = tempfile::tempdir().expect("dir");
    let mut store = SqliteStore::open(&directory.path().join("agent.db"), &KEY).expect("open");
    let accounts = store.accounts().expect("accounts");
    let mut tx = store.begin().expect("begin");
    tx.put_value("k", b"v").expect("put");
    let command = std::thread::spawn(move || accounts.add(&nurse("ana"), &event("user-add")));
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(!command.is_finished(), "two writers at once");
    tx.commit().expect("commit");
    command.join().expect("thread").expect("add");
}
