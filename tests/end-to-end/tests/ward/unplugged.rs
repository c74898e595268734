use anyhow::{Context, Result};
use end_to_end::ward::{HL7, OXIMETER, Plan, SERIAL, Ward};
use std::time::Duration;

const COMES_UP: Duration = Duration::from_secs(30);
const SHOWS: Duration = Duration::from_secs(10);

#[tokio::test]
async fn an_unplugged_device_shows_within_ten_seconds_and_recovers_alone() -> Result<()> {
    let mut ward = Ward::open(&Plan::alone()).await?;
    let clinic = ward.clinic()?;
    let nurse = clinic.agent.sign_in().await?;
    for device in [SERIAL, HL7, OXIMETER] {
        clinic.device_becomes(&nurse, device, "connected", COMES_UP).await?;
    }
    for (device, name) in [(SERIAL, ""), (HL7, ""), (OXIMETER, " plx")] {
        tell(clinic, device, &format!("unplug{name}")).await?;
        let after = clinic.device_becomes(&nurse, device, "disconnected", SHOWS).await?;
        println!("{device}: disconnected after {} ms", after.as_millis());
        let view = clinic.device(&nurse, device).await?;
        assert!(view["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "says nothing of why and what to do: {view}");
        tell(clinic, device, &format!("plug{name}")).await?;
        let after = clinic.device_becomes(&nurse, device, "connected", COMES_UP).await?;
        println!("{device}: connected after {} ms", after.as_millis());
    }
    Ok(())
}

async fn tell(clinic: &mut end_to_end::ward::Clinic, device: &str, command: &str) -> Result<()> {
    let monitor = match device {
        SERIAL => &mut clinic.serial,
        HL7 => &mut clinic.hl7,
        _ => &mut clinic.bluetooth,
    };
    monitor.as_mut().context("a running monitor")?.tell(command).await
}
