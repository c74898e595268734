//! What befalls a serial line, row by row, on pseudo-terminals: what is shown to the person, and that it comes back by itself.
//! These carry no line rate, parity or modem lines, so errors of the wire itself are not met here.

use anyhow::{Context, Result, ensure};
use end_to_end::bedside::{Bedside, Room, Rows};
use end_to_end::config::DeviceConfig;
use end_to_end::simulator::{Course, Simulator, Wearer};
use std::path::Path;

const WEARER: Wearer = Wearer { seed: 1, course: Course::Stable };
const UNPLUGGED: &str = "Plug the cable back in; the link recovers by itself.";

fn device(id: &str, profile: &str, port: &Path) -> DeviceConfig {
    DeviceConfig {
        id: id.into(),
        name: id.into(),
        profile: profile.into(),
        bed: "1".into(),
        serial: Some(port.to_owned()),
        ..DeviceConfig::default()
    }
}

#[tokio::test]
async fn whatever_befalls_a_serial_line_is_said_in_words_that_help_and_ends_by_itself() -> Result<()> {
    let room = Room::new()?;
    let (port, monitors_port) = (room.folder().join("by-id-oximeter"), room.folder().join("by-id-monitor"));
    let configured = vec![device("oximeter", "nonin-xpod", &port), device("monitor", "ge-b40-dri", &monitors_port)];
    let bedside = Bedside::open(&room, configured).await?;
    let mut rows = Rows::default();

    let missing = format!("no serial port at {}. Plug the adapter cable in, or correct the port's path", port.display());
    rows.note("missing path", bedside.shows("oximeter", "disconnected", &missing).await);
    std::os::unix::fs::symlink(room.folder().join("nothing"), &port)?;
    bedside.stays("oximeter", "disconnected", 30).await?;
    rows.note("dangling symlink", bedside.shows("oximeter", "disconnected", &missing).await);

    let mut oximeter = Simulator::wire(room.folder(), WEARER, "nonin.df2", &port).await?;
    rows.note("there at last", bedside.is_heard("oximeter").await);
    let monitor = Simulator::serial(room.folder(), WEARER, &monitors_port).await?;
    rows.note("even parity and handshake lines, which a pseudo-terminal ignores", bedside.is_heard("monitor").await);

    let unplugged = async {
        oximeter.tell("unplug").await?;
        bedside.shows("oximeter", "disconnected", UNPLUGGED).await
    };
    rows.note("unplugged", unplugged.await);
    // Another device is plugged in meanwhile and is given the number the first one had.
    let elsewhere = Room::new()?;
    let other = Simulator::wire(elsewhere.folder(), WEARER, "masimo.ascii", &elsewhere.folder().join("other")).await?;
    let replugged = async {
        bedside.stays("oximeter", "disconnected", 30).await?;
        oximeter.tell("plug").await?;
        bedside.is_heard("oximeter").await
    };
    rows.note("plugged in again at another number", replugged.await);
    other.stop().await?;

    let silent = async {
        oximeter.tell("silence").await?;
        bedside.shows("oximeter", "disconnected", "nothing heard for 8 s. Check that the device is on").await?;
        oximeter.tell("speak").await?;
        bedside.is_heard("oximeter").await
    };
    rows.note("silent while open", silent.await);

    let garbage = async {
        for _ in 0..5 {
            oximeter.tell("garbage").await?;
            bedside.stays("oximeter", "connected", 5).await?;
        }
        bedside.is_heard("oximeter").await
    };
    rows.note("garbage", garbage.await);

    let storm = async {
        for _ in 0..5 {
            oximeter.tell("unplug").await?;
            oximeter.tell("plug").await?;
        }
        bedside.is_heard("oximeter").await
    };
    rows.note("a loose plug", storm.await);
    monitor.stop().await?;
    rows.note("a monitor that ends", bedside.shows("monitor", "disconnected", "serial port").await);
    rows.hold()
}

#[tokio::test]
async fn a_port_that_another_program_holds_is_not_called_unplugged_and_is_taken_once_free() -> Result<()> {
    let (room, other_room) = (Room::new()?, Room::new()?);
    let port = room.folder().join("by-id-oximeter");
    let _oximeter = Simulator::wire(room.folder(), WEARER, "nonin.df2", &port).await?;
    let mut first = Bedside::open(&room, vec![device("oximeter", "nonin-xpod", &port)]).await?;
    first.is_heard("oximeter").await?;
    let second = Bedside::open(&other_room, vec![device("oximeter", "nonin-xpod", &port)]).await?;
    let held = format!("serial port {} is held by another program. Close the other program that uses this port.", port.display());
    second.shows("oximeter", "disconnected", &held).await?;
    let view = first.device("oximeter").await?;
    ensure!(view["state"] == "connected", "the one that has it is disturbed: {view}");
    first.agent.stop().await.context("the first agent")?;
    second.is_heard("oximeter").await
}
