//! How fast bytes of serial and network devices become readings: MB/s of one core, one row a protocol. The bytes are those of
//! the simulated devices, hours of them, pushed in pieces as a port gives them.

use super::Context;
use crate::measure::{median, spent};
use crate::report::{Goal, Row};
use anyhow::{Context as _, Result, ensure};
use driver::profile::Profile;
use driver::{Channel, In, Out};
use record::time::Monotonic;
use simulators::physiology::{Course, Patient};
use simulators::wire;

/// Bytes decoded in a round.
const BYTES: usize = 32 * 1024 * 1024;
/// Bytes in a piece, as the transport reads them.
const PIECE: usize = 8 * 1024;
/// What serial decoding is held to, MB/s.
const SERIAL_GOAL: f64 = 100.0;
/// Protocols whose devices speak without being asked, or keep speaking once they were.
const PROTOCOLS: [(&str, bool); 10] = [
    ("contec.cms50-old", true),
    ("contec.cms50-new", true),
    ("bci.oximeter", true),
    ("nonin.df2", true),
    ("nonin.df7", true),
    ("masimo.ascii", true),
    ("nellcor.ascii", true),
    ("philips.intellivue-serial", true),
    ("draeger.medibus", true),
    ("mindray.231", false),
];

pub fn run(context: &Context) -> Result<Vec<Row>> {
    PROTOCOLS.into_iter().map(|(protocol, serial)| row(context, protocol, serial)).chain([dri(context)]).collect()
}

fn row(context: &Context, protocol: &str, serial: bool) -> Result<Row> {
    let stream = stream(protocol)?;
    decoded(context, protocol, &stream, serial)
}

/// An hour of a device, said once; a round says it again and again.
fn stream(protocol: &str) -> Result<Vec<u8>> {
    let row = catalogue::protocol(protocol)?;
    let mut profile = Profile::bare(protocol);
    if protocol.starts_with("philips") {
        profile.waves = vec![record::code::Code::PLETH];
    }
    let (mut driver, mut patient) = ((row.make)(&profile), Patient::new(1, Course::Stable));
    let mut device = wire::device(protocol).context("no such device")?;
    let mut stream = Vec::new();
    let mut asked = driver.handle(Monotonic(0), In::Connected);
    for second in 1..=600u64 {
        let now = Monotonic(second * 1_000_000);
        // Each answer may bring the next question.
        while !asked.is_empty() {
            for out in std::mem::take(&mut asked) {
                let Out::Send(_, bytes) = out else { continue };
                for answer in device.hear(&bytes) {
                    stream.extend(&answer);
                    asked.extend(driver.handle(now, In::Bytes(Channel::Stream, &answer)));
                }
            }
        }
        let vitals = patient.advance(1.0);
        for message in device.second(&vitals, true) {
            stream.extend(&message);
            asked.extend(driver.handle(now, In::Bytes(Channel::Stream, &message)));
        }
        asked.extend(driver.handle(now, In::Wake));
    }
    ensure!(stream.len() > 10_000, "{protocol} said only {} bytes", stream.len());
    Ok(stream)
}

/// GE's displayed values and waves, one record each, over and over.
fn dri(context: &Context) -> Result<Row> {
    let record = |main: u8, kind: u8, body: &[u8]| {
        let mut record = vec![0u8; 40];
        let length = 40 + body.len();
        record[..2].copy_from_slice(&(length as u16).to_le_bytes());
        (record[14], record[18], record[21]) = (main, kind, 0xFF);
        record.extend(body);
        catalogue::serial::ge_dri::record::framed(&record)
    };
    let mut page = vec![0u8; 278];
    for at in [4, 20, 76, 90, 122, 136] {
        page[at] = 3;
        page[at + 6..at + 8].copy_from_slice(&9000i16.to_le_bytes());
    }
    let mut wave = vec![0x2C, 0x01, 0, 0, 0, 2];
    wave.extend((0..300i16).flat_map(|n| (n * 3).to_le_bytes()));
    let second = [record(1, 1, &wave), record(1, 1, &wave)].concat();
    let stream: Vec<u8> = (0..200).flat_map(|n| if n % 5 == 0 { record(0, 1, &page) } else { second.clone() }).collect();
    decoded(context, "ge.dri", &stream, true)
}

fn decoded(context: &Context, protocol: &str, stream: &[u8], serial: bool) -> Result<Row> {
    let row = catalogue::protocol(protocol)?;
    let profile = Profile::bare(protocol);
    let repeats = (context.size(BYTES, 64 * 1024) / stream.len()).max(1);
    let mut outs = 0usize;
    let round = |outs: &mut usize| -> Result<f64> {
        let mut driver = (row.make)(&profile);
        let ((), took) = spent(|| {
            for _ in 0..repeats {
                for piece in stream.chunks(PIECE) {
                    *outs += driver.handle(Monotonic(0), In::Bytes(Channel::Stream, piece)).len();
                }
            }
            Ok(())
        })?;
        Ok((repeats * stream.len()) as f64 / took.cpu.as_secs_f64().max(1e-9) / 1e6)
    };
    let rounds = (0..context.rounds.max(1)).map(|_| round(&mut outs)).collect::<Result<Vec<f64>>>()?;
    ensure!(outs > 0, "{protocol} decoded to nothing");
    let goal = if serial { Goal::OursAtLeast(SERIAL_GOAL) } else { Goal::Told };
    Ok(Row::new(&format!("decode-streams-{protocol}"), "MB/s", median(rounds), goal)
        .note("of CPU time, one core; simulated devices' own bytes"))
}
