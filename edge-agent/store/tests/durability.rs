//! What is committed survives the process, however it ends; what does not fit is refused whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ward;

use edge_store::{DataDir, SqliteReader, SqliteStore, verify};
use protocol::conformance::Counting;
use protocol::replica::CommitError;
use protocol::store::{Store, StoreError};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use ward::{KEY, Ward};

const STORE: &str = "LAMPLIGHT_TEST_STORE";
const ROUNDS: u8 = 10;

/// The other side of the test below: commits until it is killed, and says so after each.
#[test]
#[ignore = "run by nothing_that_was_committed_is_lost_to_kill_9, as a process of its own"]
fn a_process_that_commits_until_it_is_killed() {
    let Ok(store) = std::env::var(STORE) else { return };
    let run = std::env::var("LAMPLIGHT_TEST_RUN").expect("run").parse().expect("number");
    let mut ward = Ward::start(Path::new(&store), run);
    let patient = format!("p{run}");
    ward.patient(&patient);
    for value in 0.. {
        let frame = ward.frame(value % 100);
        let tick = ward.commit(vec![frame], vec![]).tick.expect("tick");
        println!("tick {tick}");
        ward.segment(&patient, &[value % 100]);
        println!("entries {}", ward.replica.written());
        std::io::stdout().flush().expect("flush");
    }
}

#[test]
fn nothing_that_was_committed_is_lost_to_kill_9() {
    let directory = tempfile::tempdir().expect("dir");
    let path = directory.path().join("agent.db");
    for run in 1..=ROUNDS {
        let mut child = Command::new(std::env::current_exe().expect("exe"))
            .args(["--exact", "a_process_that_commits_until_it_is_killed", "--ignored", "--nocapture"])
            .env(STORE, &path)
            .env("LAMPLIGHT_TEST_RUN", run.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("child");
        let (mut tick, mut entries) = (0, 0);
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        // Another number of commits each time, so that the kill falls at another point of the WAL.
        let enough = 10 + u64::from(run) * 7;
        let mut said = 0;
        while said < enough {
            let line = lines.next().expect("the child commits until it is killed").expect("line");
            match line.split_once(' ') {
                Some(("tick", id)) => tick = id.parse::<u64>().expect("id"),
                Some(("entries", count)) => entries = count.parse::<u64>().expect("count"),
                _ => continue,
            }
            said += 1;
        }
        child.kill().expect("kill");
        // What it managed to say between the last line read and its end counts as well.
        for line in lines.map_while(Result::ok) {
            match line.split_once(' ') {
                Some(("tick", id)) => tick = id.parse().unwrap_or(tick),
                Some(("entries", count)) => entries = count.parse().unwrap_or(entries),
                _ => {}
            }
        }
        child.wait().expect("wait");

        let mut reader = SqliteReader::open(&path, &KEY).expect("open after a kill");
        let ids: Vec<u64> = reader.begin().expect("begin").ticks(false, 0).expect("ticks").into_iter().map(|(id, _)| id).collect();
        assert!(ids.contains(&tick), "tick {tick} was said to be saved in round {run}");
        assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "ticks without a gap");
        let report = verify::verify(&mut reader, &mut |_| {}).expect("verify");
        assert!(report.entries >= entries, "{entries} entries were said to be saved, {} are there", report.entries);
    }
}

/// A small file system, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        let done =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at).stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn on_a_full_disk_a_commit_is_refused_whole_and_what_was_there_stays() {
    let directory = tempfile::tempdir().expect("dir");
    let Some(disk) = SmallDisk::mount(directory.path(), "1m") else {
        println!("skipped: mounting a small file system needs root");
        return;
    };
    let (path, something_else) = (disk.0.join("agent.db"), disk.0.join("something-else"));
    std::fs::write(&something_else, [0; 200_000]).expect("write");
    let mut store = SqliteStore::open(&path, &KEY).expect("open");
    let put = |store: &mut SqliteStore| -> Result<u64, StoreError> {
        let mut tx = store.begin()?;
        let id = tx.put_tick(&[7; 8192], &[])?;
        tx.commit()?;
        Ok(id)
    };
    let mut saved = Vec::new();
    let error = loop {
        match put(&mut store) {
            Ok(id) => saved.push(id),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, StoreError::Full(what) if what.contains("agent.db")), "{error}");
    let held = |store: &mut SqliteStore| -> Vec<u64> {
        store.begin().expect("begin").ticks(false, 0).expect("ticks").into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(held(&mut store), saved, "while it is full");
    drop(store);
    let mut store = SqliteStore::open(&path, &KEY).expect("open while full");
    assert_eq!(held(&mut store), saved, "after a restart");
    // Even forgetting writes to the WAL first: room must come from outside the store.
    std::fs::remove_file(&something_else).expect("remove");
    saved.push(put(&mut store).expect("with room again it goes on"));
    assert_eq!(held(&mut store), saved);
    drop(store);
    drop(disk);
}

#[test]
fn on_a_full_disk_the_ballast_is_room_for_saying_what_is_given_up() {
    let directory = tempfile::tempdir().expect("dir");
    let Some(disk) = SmallDisk::mount(directory.path(), "16m") else {
        println!("skipped: mounting a small file system needs root");
        return;
    };
    let ballast = DataDir::open_or_create(&disk.0, &mut Counting(1)).expect("data directory").ballast();
    ballast.rebuild().expect("room at first");
    assert!(ballast.is_held());
    let mut ward = Ward::start(&disk.0.join("agent.db"), 1);
    ward.patient("ana");
    for _ in 0..20 {
        ward.segment("ana", &[97; 2000]);
    }
    // Somebody else fills what is left, to the last byte.
    let mut hog = std::fs::File::create(disk.0.join("hog")).expect("create");
    while hog.write_all(&[7; 4096]).is_ok() {}
    drop(hog);
    // A checkpoint may yet make room in the log: full is what stays full.
    let mut in_a_row = 0;
    let refused = loop {
        match ward.try_segment("ana", &[97; 2000]) {
            Err(refused) if in_a_row == 5 => break refused,
            Err(_) => in_a_row += 1,
            Ok(_) => in_a_row = 0,
        }
    };
    assert!(matches!(refused, CommitError::Store(StoreError::Full(_))), "{refused}");
    ballast.release().expect("release");
    assert!(!ballast.is_held());
    assert!(ward.shed(10_000).expect("room for the entry") > 0);
    ward.try_segment("ana", &[97; 2000]).expect("and for what follows");
    verify::verify(&mut ward.store.reader().expect("reader"), &mut |_| {}).expect("verify");

    let hog = disk.0.join("hog");
    std::fs::write(&hog, []).and_then(|()| std::fs::remove_file(&hog)).expect("remove");
    ballast.rebuild().expect("with room again it is set aside again");
    ballast.release().expect("release");
    ballast.release().expect("giving back twice is no mistake");
    let mut hog = std::fs::File::create(disk.0.join("hog")).expect("create");
    while hog.write_all(&[7; 4096]).is_ok() {}
    assert!(ballast.rebuild().is_err());
    assert!(!disk.0.join("ballast.partial").exists(), "what did not fit takes up no room");
    drop(ward);
    drop(disk);
}
