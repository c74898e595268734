//! Keys and the lock of a data directory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use edge_store::{DataDir, DataDirError};
use protocol::conformance::Counting;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("metadata").permissions().mode() & 0o777
}

fn started(path: &Path) -> DataDir {
    DataDir::open_or_create(path, &mut Counting(1)).expect("open")
}

#[test]
fn keys_are_made_once_private_and_not_the_same_as_each_other() {
    let directory = tempfile::tempdir().expect("dir");
    let path = directory.path().join("agent");
    let first = started(&path);
    let (store_key, seed) = (*first.store_key(), *first.identity_seed());
    assert_ne!(store_key, seed);
    drop(first);
    let again = DataDir::open_or_create(&path, &mut Counting(500)).expect("open");
    assert_eq!((*again.store_key(), *again.identity_seed()), (store_key, seed), "other entropy changes nothing");
    assert_eq!(again.store_path("agent"), path.join("agent.db"));

    assert_eq!((mode(&path), mode(&path.join("keys"))), (0o700, 0o700));
    let mut names = Vec::new();
    for file in fs::read_dir(path.join("keys")).expect("dir") {
        let file = file.expect("file").path();
        assert_eq!(mode(&file), 0o600, "{file:?}");
        let text = fs::read_to_string(&file).expect("text");
        assert!(!text.contains(&hex::encode(store_key)) && !text.contains(&hex::encode(seed)), "{file:?} holds a key as it is used");
        names.push(file.file_name().expect("name").to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(names, ["README.txt", "identity.seed", "master.key"]);
    assert!(!format!("{again:?}").contains(&hex::encode(&store_key[..4])));
}

#[test]
fn a_second_program_is_told_who_has_the_directory_and_a_command_may_work_beside_it() {
    let directory = tempfile::tempdir().expect("dir");
    let running = started(directory.path());
    let refused = DataDir::open_or_create(directory.path(), &mut Counting(1)).expect_err("in use");
    assert!(matches!(refused, DataDirError::InUse { pid: Some(pid), .. } if pid == std::process::id()), "{refused}");
    let message = refused.to_string();
    assert!(message.contains(&directory.path().display().to_string()) && message.contains(&std::process::id().to_string()), "{message}");
    let beside = DataDir::open(directory.path()).expect("beside");
    assert_eq!(beside.store_key(), running.store_key());
    drop(running);
    started(directory.path());
}

#[test]
fn a_key_that_others_can_read_is_refused_with_what_to_do() {
    let directory = tempfile::tempdir().expect("dir");
    drop(started(directory.path()));
    let file = directory.path().join("keys/master.key");
    fs::set_permissions(&file, Permissions::from_mode(0o640)).expect("chmod");
    let refused = DataDir::open_or_create(directory.path(), &mut Counting(1)).expect_err("exposed");
    assert!(refused.to_string().contains("master.key") && refused.to_string().contains("chmod 600"), "{refused}");
}

#[test]
fn a_lost_key_is_never_replaced_while_there_is_a_record() {
    for lost in ["master.key", "identity.seed"] {
        let directory = tempfile::tempdir().expect("dir");
        drop(started(directory.path()));
        fs::write(directory.path().join("agent.db"), b"").expect("store");
        fs::remove_file(directory.path().join("keys").join(lost)).expect("remove");
        for refused in [DataDir::open_or_create(directory.path(), &mut Counting(1)), DataDir::open(directory.path())] {
            assert!(matches!(&refused, Err(DataDirError::KeyMissing(file)) if file.ends_with(lost)), "{refused:?}");
        }
    }
}

#[test]
fn a_start_cut_short_between_the_two_keys_is_made_good() {
    let directory = tempfile::tempdir().expect("dir");
    let first = *started(directory.path()).store_key();
    fs::remove_file(directory.path().join("keys/identity.seed")).expect("remove");
    fs::write(directory.path().join("keys/identity.partial"), "half").expect("write");
    assert_eq!(*started(directory.path()).store_key(), first);
}

#[test]
fn keys_of_two_boxes_do_not_mix_and_garbage_is_no_key() {
    let directory = tempfile::tempdir().expect("dir");
    let (one, two) = (directory.path().join("one"), directory.path().join("two"));
    drop(started(&one));
    drop(DataDir::open_or_create(&two, &mut Counting(900)).expect("open"));
    fs::copy(two.join("keys/master.key"), one.join("keys/master.key")).expect("copy");
    let refused = DataDir::open(&one).expect_err("mixed");
    assert!(refused.to_string().contains("identity.seed"), "{refused}");
    for garbage in ["", "zz", "00", &"00".repeat(2000)] {
        fs::write(one.join("keys/master.key"), garbage).expect("write");
        assert!(matches!(DataDir::open(&one), Err(DataDirError::Damaged { .. })), "{} bytes", garbage.len());
    }
}

#[test]
fn a_command_on_an_empty_directory_says_so() {
    let directory = tempfile::tempdir().expect("dir");
    assert!(matches!(DataDir::open(&directory.path().join("none")), Err(DataDirError::Empty(_))));
    assert!(matches!(DataDir::open(directory.path()), Err(DataDirError::Empty(_))));
}
