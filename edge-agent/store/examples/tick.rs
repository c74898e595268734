//! What a tick of a ward costs: commits a second beside bare appends with fdatasync of the same bytes, and where the time goes.
//! `cargo run --release -p edge-store --example tick -- [DIRECTORY] [TICKS] [BYTES]`
#![allow(clippy::disallowed_methods, reason = "it measures time")]
#![allow(clippy::expect_used, reason = "a measurement stops at the first thing that is not as it should be")]

use edge_store::SqliteStore;
use protocol::store::Store;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map_or_else(|| std::env::temp_dir().join("lamplight-tick"), PathBuf::from);
    let mut number = |otherwise| arguments.next().and_then(|n| n.parse().ok()).unwrap_or(otherwise);
    let (count, size) = (number(2000), number(24_000));
    fs::create_dir_all(&directory).expect("directory");
    let bytes = noise(size);
    // Taken in turns, so that both meet the same disk.
    let (mut bare, mut ticks) = (Vec::new(), Vec::new());
    let mut store = SqliteStore::open(&fresh(&directory, "tick.db"), &[1; 32]).expect("store");
    let mut file = File::create(fresh(&directory, "bare")).expect("file");
    let (mut cpu, mut last) = (Duration::ZERO, 0);
    for turn in 0..count {
        bare.push(timed(|| {
            file.write_all(&bytes).expect("write");
            file.sync_data().expect("sync");
        }));
        let before = cpu_time();
        ticks.push(timed(|| {
            let mut tx = store.begin().expect("begin");
            last = tx.put_tick(&bytes, b"").expect("tick");
            if turn % 60 == 59 {
                tx.drop_ticks(false, last - 1).expect("drop");
            }
            tx.commit().expect("commit");
        }));
        cpu += cpu_time() - before;
    }
    let rate = |times: &[Duration]| times.len() as f64 / times.iter().sum::<Duration>().as_secs_f64();
    println!("{count} ticks of {size} bytes, 60 kept");
    println!("bare append + fdatasync  {:8.0} /s  p50 {:6} µs  p99 {:6} µs", rate(&bare), at(&mut bare, 50), at(&mut bare, 99));
    println!("tick committed           {:8.0} /s  p50 {:6} µs  p99 {:6} µs", rate(&ticks), at(&mut ticks, 50), at(&mut ticks, 99));
    println!("ratio {:.2}; CPU {} µs a tick", rate(&ticks) / rate(&bare), cpu.as_micros() / count as u128);
    drop(store);
    fs::remove_dir_all(&directory).expect("clean up");
}

fn fresh(directory: &Path, name: &str) -> PathBuf {
    for rest in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(directory.join(format!("{name}{rest}")));
    }
    directory.join(name)
}

fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

/// Time this thread has run on a processor.
fn cpu_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0))
}

fn at(times: &mut [Duration], percent: usize) -> u128 {
    times.sort_unstable();
    times.get(times.len() * percent / 100).map_or(0, Duration::as_micros)
}

fn noise(size: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..size).map(|_| next()).collect()
}
