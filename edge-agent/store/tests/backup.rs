//! Backup while the ward goes on, and the way back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ward;

use edge_store::backup::{RESTORED_FROM, backup, restore};
use edge_store::{BackupError, Progress, SqliteReader, verify};
use protocol::replica::LOG;
use protocol::store::{Store, StoreError};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use ward::{KEY, Ward, raw};

fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).expect("dir").map(|file| file.expect("file").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn ward_in(directory: &Path) -> (Ward, PathBuf) {
    let path = directory.join("data/agent.db");
    let mut ward = Ward::start(&path, 1);
    ward.patient("ana");
    ward.segment("ana", &[97, 95, 93]);
    (ward, path)
}

#[test]
fn a_backup_is_one_moment_of_a_ward_that_goes_on() {
    let directory = tempfile::tempdir().expect("dir");
    let (mut ward, path) = ward_in(directory.path());
    for _ in 0..60 {
        let frames = vec![ward.frame(90); 2000];
        ward.commit(frames, vec![]);
    }
    let ticks = |ward: &mut Ward| ward.store.begin().expect("begin").ticks(false, 0).expect("ticks").len();
    let before = ticks(&mut ward);
    let to = directory.path().join("friday.backup");
    let mut seen: Vec<Progress> = Vec::new();
    backup(&path, &KEY, &to, &mut |progress| {
        seen.push(progress);
        let frame = ward.frame(91);
        ward.commit(vec![frame], vec![]);
        ControlFlow::Continue(())
    })
    .expect("backup");
    assert!(seen.len() > 2, "large enough to be copied in steps: {seen:?}");
    assert!(seen.windows(2).all(|pair| pair[0].done < pair[1].done), "a commit between steps must not start it anew: {seen:?}");
    assert_eq!(seen.last().map(|p| p.done), seen.last().map(|p| p.of));
    assert!(ticks(&mut ward) > before);

    let restored = directory.path().join("new/agent.db");
    fs::create_dir(restored.parent().expect("parent")).expect("dir");
    restore(&to, &KEY, &restored).expect("restore");
    let mut reader = SqliteReader::open(&restored, &KEY).expect("open");
    assert_eq!(reader.begin().expect("begin").ticks(false, 0).expect("ticks").len(), before);
    verify::verify(&mut reader, &mut |_| {}).expect("verify");
}

#[test]
fn a_restored_store_knows_that_it_is_one_and_nothing_else_lies_about() {
    let directory = tempfile::tempdir().expect("dir");
    let (mut ward, path) = ward_in(directory.path());
    let out = directory.path().join("stick");
    fs::create_dir(&out).expect("dir");
    backup(&path, &KEY, &out.join("friday.backup"), &mut |_| ControlFlow::Continue(())).expect("backup");
    assert_eq!(files(&out), ["friday.backup"]);
    let bytes = fs::read(out.join("friday.backup")).expect("read");
    assert!(!bytes.windows(13).any(|w| w == b"SQLite format"), "a backup is encrypted");
    let log = ward.value(LOG).expect("log");
    drop(ward);

    let back = directory.path().join("back");
    fs::create_dir(&back).expect("dir");
    restore(&out.join("friday.backup"), &KEY, &back.join("agent.db")).expect("restore");
    assert_eq!(files(&back), ["agent.db"]);
    let mut ward = Ward::start(&back.join("agent.db"), 2);
    assert_ne!(ward.value(LOG).expect("log"), log, "its arrival numbers are those of another log");
    assert_eq!(ward.value(RESTORED_FROM).as_deref(), Some(b"friday.backup".as_slice()));
    ward.patient("berta");
}

#[test]
fn neither_backup_nor_restore_replaces_what_is_there() {
    let directory = tempfile::tempdir().expect("dir");
    let (_ward, path) = ward_in(directory.path());
    let to = directory.path().join("friday.backup");
    let mut go = |_| ControlFlow::Continue(());
    backup(&path, &KEY, &to, &mut go).expect("backup");
    assert!(matches!(backup(&path, &KEY, &to, &mut go), Err(BackupError::Exists(taken)) if taken == to));
    assert!(matches!(backup(&path, &KEY, &path, &mut go), Err(BackupError::Exists(_))));
    assert!(matches!(restore(&to, &KEY, &path), Err(BackupError::Exists(taken)) if taken == path));
}

#[test]
fn a_backup_that_is_stopped_leaves_nothing() {
    let directory = tempfile::tempdir().expect("dir");
    let (_ward, path) = ward_in(directory.path());
    let before = files(directory.path());
    let stopped = backup(&path, &KEY, &directory.path().join("friday.backup"), &mut |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(BackupError::Stopped)), "{stopped:?}");
    assert_eq!(files(directory.path()), before);
}

#[test]
fn a_damaged_backup_is_refused_by_name_and_leaves_nothing() {
    let directory = tempfile::tempdir().expect("dir");
    let (_ward, path) = ward_in(directory.path());
    let to = directory.path().join("friday.backup");
    backup(&path, &KEY, &to, &mut |_| ControlFlow::Continue(())).expect("backup");
    let mut bytes = fs::read(&to).expect("read");
    let last_page = bytes.len() - 2000;
    bytes[last_page] ^= 1;
    fs::write(&to, bytes).expect("write");
    let back = directory.path().join("back");
    fs::create_dir(&back).expect("dir");
    let refused = restore(&to, &KEY, &back.join("agent.db"));
    assert!(matches!(&refused, Err(BackupError::Damaged { file, .. }) if *file == to), "{refused:?}");
    let refused = restore(&to, &[1; 32], &back.join("agent.db"));
    assert!(matches!(&refused, Err(BackupError::Store(StoreError::Open { what, .. })) if what.contains("friday")), "{refused:?}");
    assert_eq!(files(&back), Vec::<String>::new());
}

#[test]
fn a_backup_of_a_newer_version_is_refused() {
    let directory = tempfile::tempdir().expect("dir");
    let (_ward, path) = ward_in(directory.path());
    let to = directory.path().join("friday.backup");
    backup(&path, &KEY, &to, &mut |_| ControlFlow::Continue(())).expect("backup");
    raw(&to).execute_batch("PRAGMA user_version = 99").expect("sql");
    let refused = restore(&to, &KEY, &directory.path().join("agent.db")).expect_err("newer");
    assert!(refused.to_string().contains("newer"), "{refused}");
}
