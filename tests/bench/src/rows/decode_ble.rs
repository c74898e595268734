//! Decoding of Bluetooth notifications, one core: from bytes to readings, the driver kept as the agent keeps it.

use super::Context;
use crate::measure::{median, spent};
use crate::report::{Goal, Row};
use anyhow::Result;
use driver::profile::Profile;
use driver::{In, Out};
use record::time::Monotonic;
use std::hint::black_box;

/// A notification of each protocol as devices send it: all usual fields, nothing missing.
const NOTIFICATIONS: &[(&str, &[u8])] = &[
    ("ble.heart-rate", &[0x16, 72, 0x55, 3]),
    ("ble.plx-continuous", &[0x0C, 98, 0, 72, 0, 0, 1, 0, 0, 0]),
    ("ble.blood-pressure", &[0x16, 124, 0, 86, 0, 97, 0, 0xE8, 7, 6, 15, 17, 17, 27, 51, 0, 0, 0, 0]),
    ("ble.thermometer", &[0x06, 0x6C, 1, 0, 0xFF, 0xEA, 7, 11, 22, 10, 0, 0, 3]),
    ("ble.glucose", &[0x0B, 7, 0, 0xEA, 7, 11, 22, 10, 0, 0, 0, 0, 0x61, 0xB0, 0x11, 0, 0]),
    ("ble.cgm", &[0x0F, 0xE3, 0xD2, 0xE4, 5, 0, 2, 0x14, 0xFF, 2, 0xF0, 0xE5, 0xF3, 0x8E, 0x3F]),
    ("ble.weight", &[0x0E, 0x70, 0x38, 0xEA, 7, 11, 22, 10, 0, 0, 2, 0xE6, 0, 0xD6, 6]),
];

pub fn run(context: &Context) -> Result<Vec<Row>> {
    let times = context.size(500_000, 1000);
    NOTIFICATIONS.iter().map(|(protocol, bytes)| one(context, protocol, bytes, times)).collect()
}

fn one(context: &Context, protocol: &str, bytes: &[u8], times: usize) -> Result<Row> {
    let row = catalogue::protocol(protocol)?;
    let mut driver = (row.make)(&Profile::bare(protocol));
    let mut rounds = Vec::new();
    for _ in 0..context.rounds {
        let (readings, took) = spent(|| {
            let heard = |_| driver.handle(Monotonic(0), In::Bytes(row.channel, black_box(bytes)));
            Ok((0..times).flat_map(heard).filter(|out| matches!(out, Out::Reading(_))).count())
        })?;
        anyhow::ensure!(readings >= times, "{protocol}: {readings} readings of {times} notifications");
        rounds.push(took.cpu.as_secs_f64() * 1e6 / times as f64);
    }
    let name = format!("decode-{}", protocol.replace('.', "-"));
    Ok(Row::new(&name, "µs/notification", median(rounds), Goal::OursAtMost(1.0)).note(format!("{} bytes, CPU time", bytes.len())))
}
