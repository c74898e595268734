//! The largest ward an agent is made for: 100 beds of mixed devices, each with numerics every second and waves, from their wires
//! to stored.

use super::Context;
use super::agent::{agent, watch};
use crate::report::{Goal, Row};
use anyhow::{Context as _, Result, ensure};
use end_to_end::agent::{NURSE, PIN};
use end_to_end::config::{ANY_PORT, DeviceConfig};
use end_to_end::live::Live;
use end_to_end::patients::{self, Person};
use end_to_end::simulator::{Course, Simulator, Wearer};
use std::time::Duration;
use tokio::time::sleep;

const BEDS: usize = 100;
/// Of five beds three have a GE monitor on a serial line, which sends three waves, and its HL7 gateway; two have an IntelliVue on
/// the network, which sends one.
const OF_FIVE: usize = 5;
const GE_OF_FIVE: usize = 3;
const WARM_UP: Duration = Duration::from_secs(20);
/// Long enough for a minute's waves to be sealed once.
const WATCHED: Duration = Duration::from_secs(75);

pub fn run(context: &Context) -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measured(context))
}

async fn measured(context: &Context) -> Result<Vec<Row>> {
    let scratch = context.scratch()?;
    let beds = context.size(BEDS, OF_FIVE);
    let names: Vec<String> = (1..=beds).map(|bed| bed.to_string()).collect();
    let (mut monitors, mut devices) = (Vec::new(), Vec::new());
    for (at, bed) in names.iter().enumerate() {
        let wearer = Wearer { seed: at as u64 + 1, course: Course::Stable };
        let device = |kind: &str, profile: &str| DeviceConfig {
            id: format!("{kind}-{bed}"),
            name: kind.to_owned(),
            profile: profile.to_owned(),
            bed: bed.clone(),
            ..DeviceConfig::default()
        };
        if at % OF_FIVE < GE_OF_FIVE {
            let port = scratch.path().join(format!("tty{bed}"));
            monitors.push(Simulator::serial(scratch.path(), wearer, &port).await?);
            devices.push(DeviceConfig { serial: Some(port), ..device("ge", "ge-b40-dri") });
            devices.push(DeviceConfig { listen: Some(ANY_PORT.into()), ..device("gateway", "ihe-pcd01") });
        } else {
            let (monitor, address) = Simulator::listening(scratch.path(), wearer, "philips.intellivue").await?;
            monitors.push(monitor);
            devices.push(DeviceConfig { address: Some(address), ..device("philips", "philips-intellivue") });
        }
    }
    // A ward is set up before its monitors speak: who lies where is asked of an agent that has time to answer.
    for monitor in &mut monitors {
        monitor.tell("silence").await?;
    }
    let mut agent = agent(scratch.path(), names.clone(), devices);
    agent.start().await?;
    agent.add_user(NURSE, "nurse", PIN).await?;
    let nurse = agent.sign_in().await?;
    for bed in &names {
        let number: &'static str = format!("BENCH{bed}").leak();
        let family: &'static str = format!("Test{bed}").leak();
        let person = Person { family, given: "Ward", gender: "female", born: "1958-03-14", number };
        patients::admit(&nurse, &person, bed).await?;
    }
    let listeners: Vec<String> = agent.config.devices.iter().filter_map(|device| device.listen.clone()).collect();
    for (seed, listener) in (1..).zip(&listeners) {
        let log = scratch.path().join(format!("acknowledged-{seed}.jsonl"));
        monitors.push(Simulator::hl7(scratch.path(), Wearer { seed, course: Course::Stable }, listener, &log).await?);
    }
    for monitor in &mut monitors {
        monitor.tell("speak").await?;
    }
    let pid = agent.pid().context("the agent has ended")?;
    let (warm_up, watched) = if context.quick { (Duration::from_secs(2), Duration::from_secs(3)) } else { (WARM_UP, WATCHED) };
    sleep(warm_up).await;
    // What is counted as stored is told to a screen; it looks on for a moment and is gone while the cost is measured.
    let live = Live::open(&nurse).await?;
    sleep(watched.min(Duration::from_secs(10))).await;
    let tally = live.tally();
    let seconds = watched.min(Duration::from_secs(10)).as_secs_f64();
    let (numerics, samples) = (tally.numerics as f64 / seconds, tally.wave_samples as f64 / seconds);
    drop(live);
    let (cpu, rate) = watch(pid, &nurse, watched).await?;
    let peak = agent.peak_rss_mb();
    for monitor in monitors {
        monitor.stop().await?;
    }
    agent.stop().await?;
    ensure!(context.quick || (rate > 0.0 && samples > 0.0), "the agent stored {rate:.0} numerics/s and {samples:.0} wave samples/s");
    let note = format!(
        "{beds} patients: of five, three with a GE monitor on a pseudo-terminal and its HL7 gateway, two with an IntelliVue over UDP; \
         {rate:.0} numerics/s received and scored, {numerics:.0} numerics/s and {samples:.0} wave samples/s ({:.0} a bed) durable; no hub, nobody watching",
        samples / beds as f64
    );
    Ok(vec![
        Row::new("agent-100-beds-cpu", "% of one core", cpu, Goal::OursAtMost(25.0))
            .note(&note)
            .bound_by("one durable commit each second, decoding and scoring"),
        Row::new("agent-100-beds-rss", "MiB, peak", peak, Goal::Told).note(&note),
    ])
}
