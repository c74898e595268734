//! Links of a real agent: from a device that comes into range to its first value, and back to values after a link was lost.

use super::Context;
use crate::clock::now;
use crate::measure::median;
use crate::report::{Goal, Row};
use anyhow::{Context as _, Result, bail};
use end_to_end::bedside::{Bedside, Room};
use end_to_end::config::DeviceConfig;
use end_to_end::simulator::{Course, Simulator, Wearer};
use serde_json::Value;
use std::time::Duration;
use tokio::time::sleep;

const WEARER: Wearer = Wearer { seed: 1, course: Course::Stable };
const LOOK_EVERY: Duration = Duration::from_millis(5);
const LOOKS_MAX: usize = 6000;
/// Longer than any link is tried again after, so that each round begins alike.
const SETTLED: Duration = Duration::from_secs(12);

pub fn run(context: &Context) -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measure(context))
}

async fn measure(context: &Context) -> Result<Vec<Row>> {
    let room = Room::new()?;
    let port = room.folder().join("by-id-oximeter");
    let mut strap = Simulator::bluetooth_with(room.folder(), WEARER, &room.bus(), &["--devices", "hr"]).await?;
    let mut oximeter = Simulator::wire(room.folder(), WEARER, "nonin.df2", &port).await?;
    let device = |id: &str, profile: &str| DeviceConfig {
        id: id.into(),
        name: id.into(),
        profile: profile.into(),
        bed: "1".into(),
        ..DeviceConfig::default()
    };
    let configured = vec![
        DeviceConfig { address: strap.address_of("hr"), ..device("strap", "sig-heart-rate") },
        DeviceConfig { serial: Some(port), ..device("oximeter", "nonin-xpod") },
    ];
    let bedside = Bedside::open(&room, configured).await?;
    bedside.is_heard("strap").await?;
    bedside.is_heard("oximeter").await?;
    let settled = if context.quick { Duration::ZERO } else { SETTLED };
    let (mut first, mut again, mut plugged) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..context.rounds {
        sleep(settled).await;
        strap.tell("unplug").await?;
        becomes(&bedside, "strap", |view| view["state"] == "disconnected").await?;
        sleep(settled).await;
        first.push(heard_after(&bedside, &mut strap, "strap", "plug").await?);
        sleep(settled).await;
        again.push(heard_after(&bedside, &mut strap, "strap", "drop").await?);
        oximeter.tell("unplug").await?;
        becomes(&bedside, "oximeter", |view| view["state"] == "disconnected").await?;
        plugged.push(heard_after(&bedside, &mut oximeter, "oximeter", "plug").await?);
    }
    strap.stop().await?;
    oximeter.stop().await?;
    let fake = "a strap behind a fake org.bluez on a private bus, which takes 80 ms to connect and advertises each 100 ms";
    Ok(vec![
        Row::new("link-ble-first-value", "ms", median(first), Goal::OursAtMost(500.0)).note(format!(
            "from the device coming into range until its first bytes are here (what is read once, and with it the first value): {fake}"
        )),
        Row::new("link-ble-recovery", "ms", median(again), Goal::OursAtMost(3000.0))
            .note(format!("from the loss of the link, the device still in range, until bytes are here again: {fake}")),
        Row::new("link-serial-recovery", "ms", median(plugged), Goal::OursAtMost(3000.0))
            .note("from plugging a serial oximeter in again until its first bytes are here; on a pseudo-terminal, a frame a second"),
    ])
}

/// Does something, and says how many milliseconds later the first byte arrived over the connection that came of it.
async fn heard_after(bedside: &Bedside, simulator: &mut Simulator, id: &str, command: &str) -> Result<f64> {
    let told_ms = now().wall.millis();
    simulator.tell(command).await?;
    becomes(bedside, id, |view| view["state"] != "connected").await?;
    let view = becomes(bedside, id, |view| view["state"] == "connected").await?;
    let heard_ms = view["last_data_ms"].as_i64().context("connected, and never heard")?;
    Ok((heard_ms - told_ms) as f64)
}

async fn becomes(bedside: &Bedside, id: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
    for _ in 0..LOOKS_MAX {
        let view = bedside.device(id).await?;
        if is_so(&view) {
            return Ok(view);
        }
        sleep(LOOK_EVERY).await;
    }
    bail!("{id} stays {}", bedside.device(id).await?)
}
