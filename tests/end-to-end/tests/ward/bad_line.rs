use anyhow::{Context, Result, ensure};
use end_to_end::agent::Agent;
use end_to_end::chance::{Chance, number};
use end_to_end::chart::Chart;
use end_to_end::client::Client;
use end_to_end::config::{ANY_PORT, AgentConfig, HubConfig};
use end_to_end::hub::Hub;
use end_to_end::proxy::{Counts, Direction, Planned, Proxy, Trouble};
use end_to_end::simulator::acknowledged;
use end_to_end::wait::until;
use end_to_end::ward::{Plan, Ward};
use end_to_end::writer::Writer;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// How often the line is cut; `LAMPLIGHT_E2E_CUTS` makes it more.
const CUTS: u64 = 12;
/// Documents written while the hub is away.
const DOCUMENTS: u64 = 300;
/// Seconds of measurements meanwhile.
const AWAY: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_secs(60);

/// A backlog over a line that breaks at random bytes and stalls in one direction: nothing is lost, and what each cut costs is
/// known from the same backlog sent over a whole line by copies of both boxes.
#[tokio::test]
async fn a_line_cut_at_random_bytes_loses_nothing_and_costs_little() -> Result<()> {
    let cuts = number("LAMPLIGHT_E2E_CUTS")?.unwrap_or(CUTS);
    let mut chance = Chance::printed()?;
    let mut ward = Ward::open(&Plan { behind_proxy: true, ..Plan::one() }).await?;
    let proxy = ward.proxy.take().context("a proxy")?;
    let nurse = ward.clinic()?.agent.sign_in().await?;
    until("the first session", PATIENCE, async || Ok((nurse.get("/api/v1/sync").await?["state"] == "online").then_some(()))).await?;

    ward.hub.stop().await?;
    let mut writer = Writer::default();
    let patients = ward.clinic()?.patients.clone();
    for patient in patients.iter().cycle().take(usize::try_from(DOCUMENTS)?) {
        writer.write(&nurse, patient).await;
    }
    tokio::time::sleep(AWAY).await;
    ward.quiet().await?;
    ward.clinic()?.agent.stop().await?;

    let whole = over_a_whole_line(&mut ward, &proxy).await?;
    proxy.aim(ward.hub.address()?);
    ward.hub.start().await?;
    let before = proxy.counts();
    let stalls = break_it(&mut chance, &proxy, cuts, whole);
    let agent = &mut ward.clinic()?.agent;
    agent.config.devices.clear();
    agent.start().await?;
    let nurse = agent.sign_in().await?;
    let (left, _) = until("the backlog is gone or every trouble has come", PATIENCE, async || {
        let line = nurse.post("/api/v1/sync/now", &Value::Null).await?;
        Ok((proxy.planned() == 0 || through(&line)).then(|| proxy.planned()))
    })
    .await?;
    proxy.forget();
    ward.settle().await?;
    let broken = proxy.counts().since(before);
    let extra = (broken.up + broken.down).saturating_sub(whole.up + whole.down);
    println!("whole line: {whole:?}\nbroken line: {broken:?}, {left} troubles of {} had no time to come", cuts + stalls);
    println!("{} bytes more per cut", extra / broken.cuts.max(1));
    assert!(broken.cuts >= cuts / 2, "only {} of {cuts} cuts came about", broken.cuts);

    let operator = ward.hub.sign_in().await?;
    let clinic = ward.clinic()?;
    for client in [&nurse, &operator] {
        assert_eq!(writer.wrong(client).await?, Vec::<String>::new());
        let chart = Chart::read(client, &clinic.patients[1]).await?;
        assert_eq!(chart.wrong(&acknowledged(&clinic.ack_log)?), Vec::<String>::new());
    }
    for patient in &clinic.patients {
        let (here, there) = (Chart::read(&nurse, patient).await?, Chart::read(&operator, patient).await?);
        assert_eq!(there.differences(&here), Vec::<String>::new(), "the hub's chart of {patient} is not the agent's");
    }
    clinic.agent.stop().await?;
    clinic.agent.verify().await?;
    ward.hub.stop().await?;
    ward.hub.verify().await?;
    Ok(())
}

/// Sends the backlog from a copy of the agent to a copy of the hub, then ends both; what passed.
async fn over_a_whole_line(ward: &mut Ward, proxy: &Proxy) -> Result<Counts> {
    let home = ward.folder().join("control");
    std::fs::create_dir(&home)?;
    let config = HubConfig { data: home.join("hub"), bind: ANY_PORT.into(), mqtt: ANY_PORT.into(), ..ward.hub.config.clone() };
    copy(&ward.hub.config.data, &config.data)?;
    let mut hub = Hub::new(&home, config);
    hub.start().await?;
    let config =
        AgentConfig { data: home.join("agent"), bind: ANY_PORT.into(), devices: Vec::new(), ..ward.clinic()?.agent.config.clone() };
    copy(&ward.clinic()?.agent.config.data, &config.data)?;
    proxy.aim(hub.address()?);
    let before = proxy.counts();
    let mut agent = Agent::new(&home, config, "unix:path=/nowhere");
    agent.start().await?;
    drained(&agent.sign_in().await?).await?;
    let passed = proxy.counts().since(before);
    agent.stop().await?;
    hub.stop().await?;
    Ok(passed)
}

/// Plans the cuts, and a stall now and then, at bytes chosen so that all of them fall into the backlog; how many stalls.
fn break_it(chance: &mut Chance, proxy: &Proxy, cuts: u64, whole: Counts) -> u64 {
    let mut stalls = 0;
    for _ in 0..cuts {
        let somewhere = |chance: &mut Chance| match chance.percent(80) {
            true => (Direction::Up, chance.within(0..whole.up / cuts)),
            false => (Direction::Down, chance.within(0..whole.down / cuts)),
        };
        if chance.percent(20) {
            let ((direction, after), trouble) = (somewhere(chance), Trouble::Stall(chance.millis(200..2000)));
            proxy.plan(Planned { direction, after, trouble });
            stalls += 1;
        }
        let (direction, after) = somewhere(chance);
        proxy.plan(Planned { direction, after, trouble: Trouble::Cut });
    }
    stalls
}

async fn drained(nurse: &Client) -> Result<()> {
    let drained =
        until("the backlog is gone", PATIENCE, async || Ok(through(&nurse.post("/api/v1/sync/now", &Value::Null).await?).then_some(())));
    drained.await.map(drop)
}

fn through(line: &Value) -> bool {
    line["waiting"] == 0 && line["digest_equal"] == true && line["entries_acked"] == line["entries_written"]
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status().context("cp")?;
    ensure!(copied.success(), "cp -a {} {}", from.display(), to.display());
    Ok(())
}
