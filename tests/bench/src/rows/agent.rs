//! A real agent, as a clinic runs it: alone and idle, and with 20 beds, each with two monitors: one on a serial line that sends two
//! waves, one on the network that sends numerics each second.

use super::Context;
use crate::measure::{cpu_of, median, rss_mb_of};
use crate::report::{Goal, Row};
use anyhow::{Context as _, Result, ensure};
use end_to_end::agent::{Agent, NURSE, PIN};
use end_to_end::client::Client;
use end_to_end::config::{ANY_PORT, AgentConfig, DeviceConfig};
use end_to_end::patients::{self, Person};
use end_to_end::simulator::{Course, Simulator, Wearer};
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

const BEDS: usize = 20;
/// After it is ready: what start-up needed has been given back.
const SETTLED: Duration = Duration::from_secs(2);
/// Before measuring: everyone connected, buffers filled.
const WARM_UP: Duration = Duration::from_secs(15);
/// Long enough for a minute's waves to be sealed once.
const WATCHED: Duration = Duration::from_secs(75);

pub fn run(context: &Context) -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut rows = idle(context).await?;
        rows.extend(loaded(context).await?);
        Ok(rows)
    })
}

async fn idle(context: &Context) -> Result<Vec<Row>> {
    let scratch = context.scratch()?;
    let mut agent = agent(scratch.path(), vec!["1".to_owned()], vec![]);
    agent.start().await?;
    let first_ms = agent.ready_ms.context("the agent did not say that it is ready")?;
    let (mut ready, mut rss) = (Vec::new(), Vec::new());
    sleep(SETTLED).await;
    for _ in 0..context.rounds {
        agent.stop().await?;
        agent.ready_ms = None;
        agent.start().await?;
        ready.push(agent.ready_ms.unwrap_or(u64::MAX) as f64);
        sleep(SETTLED).await;
        rss.extend(agent.pid().and_then(rss_mb_of));
    }
    agent.stop().await?;
    Ok(vec![
        Row::new("agent-ready", "ms", median(ready), Goal::OursAtMost(100.0))
            .note(format!("from exec to the ready line, as it answers; the very first boot, which makes keys and store: {first_ms} ms")),
        Row::new("agent-idle-rss", "MiB", median(rss), Goal::OursAtMost(20.0)).note("no devices, 2 s after ready").bound_by(
            "mapped pages of the program and of libcrypto, four fifths of it, which the system may drop at any time; the heap is 4 MiB",
        ),
    ])
}

async fn loaded(context: &Context) -> Result<Vec<Row>> {
    let scratch = context.scratch()?;
    let beds = context.size(BEDS, 2);
    let names: Vec<String> = (1..=beds).map(|bed| bed.to_string()).collect();
    let mut monitors = Vec::new();
    let mut devices = Vec::new();
    for (seed, bed) in (1..).zip(&names) {
        let port = scratch.path().join(format!("tty{bed}"));
        monitors.push(Simulator::serial(scratch.path(), Wearer { seed, course: Course::Stable }, &port).await?);
        let (id, name) = (format!("monitor-{bed}"), "GE B40".to_owned());
        devices.push(DeviceConfig {
            id,
            name,
            profile: "ge-b40-dri".into(),
            bed: bed.clone(),
            serial: Some(port),
            ..DeviceConfig::default()
        });
    }
    let mut agent = agent(scratch.path(), names.clone(), devices);
    agent.start().await?;
    agent.add_user(NURSE, "nurse", PIN).await?;
    let listeners: Vec<String> = agent.config.devices.iter().filter_map(|device| device.listen.clone()).collect();
    for (seed, listener) in (1..).zip(&listeners) {
        let log = scratch.path().join(format!("acknowledged-{seed}.jsonl"));
        monitors.push(Simulator::hl7(scratch.path(), Wearer { seed, course: Course::Stable }, listener, &log).await?);
    }
    let nurse = agent.sign_in().await?;
    for bed in &names {
        let number: &'static str = format!("BENCH{bed}").leak();
        let family: &'static str = format!("Test{bed}").leak();
        let person = Person { family, given: "Ward", gender: "female", born: "1958-03-14", number };
        patients::admit(&nurse, &person, bed).await?;
    }
    let pid = agent.pid().context("the agent has ended")?;
    let (warm_up, watched) = if context.quick { (Duration::from_secs(1), Duration::from_secs(2)) } else { (WARM_UP, WATCHED) };
    sleep(warm_up).await;
    let (cpu, rate) = watch(pid, &nurse, watched).await?;
    let peak = agent.peak_rss_mb();
    for monitor in monitors {
        monitor.stop().await?;
    }
    agent.stop().await?;
    ensure!(rate > 0.0 || context.quick, "the agent received nothing");
    let note = format!(
        "{beds} patients, each with a GE monitor on a pseudo-terminal (400 wave samples a second, numerics each 5 s) and an HL7 monitor \
         (numerics each second): {rate:.0} numerics/s received, scored, durable; no hub, nobody watching"
    );
    Ok(vec![
        Row::new("agent-20-beds-cpu", "% of one core", cpu, Goal::OursAtMost(5.0))
            .note(&note)
            .bound_by("one durable commit each second, decoding and scoring"),
        Row::new("agent-20-beds-rss", "MiB, peak", peak, Goal::OursAtMost(60.0)).note(&note),
    ])
}

pub(super) fn agent(folder: &Path, beds: Vec<String>, devices: Vec<DeviceConfig>) -> Agent {
    let config = AgentConfig {
        name: "bench".into(),
        data: folder.join("data"),
        bind: ANY_PORT.into(),
        ui: None,
        beds,
        seal_every_s: 3600,
        seal_waves_every_s: 60,
        sync_every_s: 10,
        device_commands: Vec::new(),
        devices,
        lan: None,
    };
    Agent::new(folder, config, "unix:path=/nonexistent")
}

/// What an agent costs while nothing is changed: percent of one core, and the numerics it receives in a second.
pub(super) async fn watch(pid: u32, nurse: &Client, watched: Duration) -> Result<(Option<f64>, f64)> {
    let before = (cpu_of(pid), received(nurse).await?);
    sleep(watched).await;
    let after = (cpu_of(pid), received(nurse).await?);
    let cpu = after.0.zip(before.0).map(|(after, before)| 100.0 * after.saturating_sub(before).as_secs_f64() / watched.as_secs_f64());
    Ok((cpu, (after.1 - before.1) / watched.as_secs_f64()))
}

/// Numerics received so far, as the agent counts them.
async fn received(nurse: &Client) -> Result<f64> {
    Ok(nurse.get("/api/v1/status").await?["received"].as_f64().unwrap_or(0.0))
}
