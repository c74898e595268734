//! From a device's wire to a screen: a report 20 times a second to a real agent, stored durably, then shown to a WebSocket client;
//! beside sdc11073, where the same report goes from a provider to a consumer, without TLS and without being stored.

use super::Context;
use super::agent::agent;
use crate::clock::{Stopwatch, now};
use crate::peers::disk::Log;
use crate::peers::sdc;
use crate::report::{Goal, Row, Side};
use anyhow::{Context as _, Result, ensure};
use end_to_end::agent::{NURSE, PIN};
use end_to_end::config::{ANY_PORT, DeviceConfig};
use end_to_end::live::Live;
use end_to_end::measure::Latency;
use end_to_end::patients::{self, Person};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Reports a second, as the peer's.
const RATE_HZ: u64 = 20;
const REPORTS: usize = 600;
/// Before the first that counts.
const WARM_UP: usize = 20;
/// What may come on top of the disk, ms: half of all, and all but one in a hundred.
const P50_MS: f64 = 1.0;
const P99_MS: f64 = 5.0;
/// About what one such commit writes.
const COMMIT_BYTES: usize = 8192;

pub fn run(context: &Context) -> Result<Vec<Row>> {
    let reports = context.size(REPORTS, 10);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (ours, disk) = runtime.block_on(ours(context, reports))?;
    let peer = sdc::report_latency(&context.peers, reports, RATE_HZ);
    let peer_name = "sdc11073 report, provider to consumer, no TLS, not stored";
    let side = |of: fn(&Latency) -> Option<f64>| match &peer {
        Ok(latency) => of(latency).map_or_else(|| Side::Skipped("it measured nothing".to_owned()), Side::Measured),
        Err(why) => Side::Skipped(format!("{why:#}")),
    };
    let row = |name, of: fn(&Latency) -> Option<f64>, more: f64| -> Result<Row> {
        let (own, sync) = (of(&ours).context("nothing was shown")?, of(&disk).context("the disk was not measured")?);
        Ok(Row::against(name, "ms", own, peer_name, side(of), Goal::OursAtMost(((more + sync) * 1000.0).round() / 1000.0))
            .note(format!(
                "an HL7 report of 7 numerics {RATE_HZ} times a second: arrival of its bytes to a WebSocket client having it, {} reports; the goal \
                 is {more} ms + fdatasync of {COMMIT_BYTES} B measured between the reports ({sync:.3} ms)",
                ours.n
            ))
            .bound_by("the disk and the scheduler: two hand-overs between threads, one commit"))
    };
    Ok(vec![row("live-client-p50", |latency| latency.p50, P50_MS)?, row("live-client-p99", |latency| latency.p99, P99_MS)?])
}

/// Arrival to a client, and the disk's own `fdatasync`, in the same seconds.
async fn ours(context: &Context, reports: usize) -> Result<(Latency, Latency)> {
    let scratch = context.scratch()?;
    let device = DeviceConfig {
        id: "monitor-1".to_owned(),
        name: "Monitor".to_owned(),
        profile: "ihe-pcd01".to_owned(),
        bed: "1".to_owned(),
        listen: Some(ANY_PORT.into()),
        ..DeviceConfig::default()
    };
    let mut agent = agent(scratch.path(), vec!["1".to_owned()], vec![device]);
    agent.start().await?;
    agent.add_user(NURSE, "nurse", PIN).await?;
    let nurse = agent.sign_in().await?;
    let person = Person { family: "Test", given: "Ward", gender: "female", born: "1958-03-14", number: "BENCH1" };
    patients::admit(&nurse, &person, "1").await?;
    let listener = agent.config.devices.first().and_then(|device| device.listen.clone()).context("no listener")?;
    let mut wire = TcpStream::connect(&listener).await?;
    wire.set_nodelay(true)?;
    let live = Live::open(&nurse).await?;
    let mut log = Log::create(scratch.path())?;
    let (mut synced, mut before) = (Vec::new(), 0);
    let mut tick = interval(Duration::from_micros(1_000_000 / RATE_HZ));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut answer = vec![0; 4096];
    for number in 0..WARM_UP + reports {
        tick.tick().await;
        if number == WARM_UP {
            before = live.tally().client_us.len();
        }
        wire.write_all(&report(number)).await?;
        ensure!(wire.read(&mut answer).await? > 0, "the agent hung up");
        // Its answer is out, so its commit is durable: the disk is ours for a moment.
        sleep(Duration::from_millis(5)).await;
        let watch = Stopwatch::start();
        log.append(&[0x5a; COMMIT_BYTES])?;
        synced.push(i64::try_from(watch.elapsed().as_micros()).unwrap_or(i64::MAX));
    }
    sleep(Duration::from_millis(500)).await;
    let shown = live.tally().client_us.get(before..).unwrap_or_default().to_vec();
    agent.stop().await?;
    Ok((Latency::of_us(shown), Latency::of_us(synced)))
}

/// One report of a monitor, framed.
fn report(number: usize) -> Vec<u8> {
    let time: String = now().wall.rfc3339().chars().filter(char::is_ascii_digit).take(14).collect();
    let mut text = format!(
        "MSH|^~\\&|BENCH^0200FFFFFE000001^EUI-64|B|||{time}+0000||ORU^R01^ORU_R01|B{number}|P|2.6|||NE|AL\rPID|||BENCH1\rOBR|1||||||{time}+0000\r"
    );
    let rate = 70 + number % 10;
    for (place, (code, value, unit)) in [
        (147_842, rate, 264_864),
        (150_456, 97, 262_688),
        (151_562, 15, 264_928),
        (150_021, 122, 266_016),
        (150_022, 78, 266_016),
        (150_023, 92, 266_016),
        (149_530, rate, 264_864),
    ]
    .into_iter()
    .enumerate()
    {
        text += &format!("OBX|{}|NM|{code}^X^MDC|1.{place}|{value}|{unit}^X^MDC|||||R\r", place + 1);
    }
    [&[0x0b], text.as_bytes(), &[0x1c, 0x0d]].concat()
}
