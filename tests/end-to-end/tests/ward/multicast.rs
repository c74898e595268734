use anyhow::{Context, Result};
use end_to_end::config::{self, LanConfig};
use end_to_end::paths;
use end_to_end::process::last_lines;
use end_to_end::wait::until;
use end_to_end::ward::{Plan, Ward};
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A network of two boxes: this machine's, and another's namespace behind a virtual cable. Gone when dropped.
struct Cable {
    name: String,
    child: Option<Child>,
}

impl Cable {
    /// None where the machine lets nobody lay one; says why.
    fn lay() -> Option<Self> {
        let cable = Self { name: format!("lamp{}", std::process::id() % 100_000), child: None };
        let (ns, here, there) = (cable.name.as_str(), format!("{}a", cable.name), format!("{}b", cable.name));
        let net = std::process::id() % 250;
        let steps: [Vec<String>; 7] = [
            words(&format!("netns add {ns}")),
            words(&format!("link add {here} type veth peer name {there} netns {ns}")),
            words(&format!("addr add 10.213.{net}.1/24 dev {here}")),
            words(&format!("link set {here} up")),
            words(&format!("-n {ns} addr add 10.213.{net}.2/24 dev {there}")),
            words(&format!("-n {ns} link set {there} up")),
            words(&format!("-n {ns} link set lo up")),
        ];
        for step in steps {
            match Command::new("ip").args(&step).output() {
                Ok(done) if done.status.success() => {}
                Ok(done) => {
                    println!("skipped: ip {}: {}", step.join(" "), String::from_utf8_lossy(&done.stderr).trim());
                    return None;
                }
                Err(error) => {
                    println!("skipped: ip (iproute2): {error}");
                    return None;
                }
            }
        }
        Some(cable)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = Command::new("ip").args(["link", "del", &format!("{}a", self.name)]).output();
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// With nothing configured but each other's names, two boxes on one cable find each other and hold the same.
#[tokio::test]
async fn two_boxes_on_one_cable_find_each_other_by_multicast() -> Result<()> {
    let Some(mut cable) = Cable::lay() else { return Ok(()) };
    let mut ward = Ward::open(&Plan { clinics: vec![("hillside", "1"), ("riverside", "2")], ..Plan::one() }).await?;
    ward.quiet().await?;
    ward.hub.kill().await?;
    let folder = ward.folder().to_owned();
    let [a, b] = ward.clinics.as_mut_slice() else { anyhow::bail!("two clinics") };
    for (agent, other) in [(&mut a.agent, "riverside"), (&mut b.agent, "hillside")] {
        agent.stop().await?;
        agent.config.devices.clear();
        let (bind, share_with) = ("0.0.0.0:0".to_owned(), vec![other.to_owned()]);
        agent.config.lan = Some(LanConfig { enabled: true, bind, discover: true, share_with, peers: Vec::new() });
    }
    let (file, log) = (folder.join("there.toml"), folder.join("there.log"));
    config::write(&file, &b.agent.config)?;
    let mut there = Command::new("setpriv");
    there.args(["--pdeathsig", "KILL", "--", "ip", "netns", "exec", &cable.name]).arg(paths::program("edge-agent")?);
    there.args(["run", "--config"]).arg(&file).env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere");
    cable.child = Some(there.stdout(Stdio::null()).stderr(File::create(&log)?).spawn().context("an agent at the other end")?);
    a.agent.start().await?;
    let nurse = a.agent.sign_in().await?;
    let mut last = String::new();
    let found = until("the boxes find each other and hold the same", PATIENCE, async || {
        let line = nurse.get("/api/v1/sync").await?;
        last = line["lan"].to_string();
        Ok((line["lan"]["neighbours"][0]["equal"] == true).then_some(()))
    })
    .await;
    let (_, took) = found.with_context(|| format!("last seen: {last}\n{}\n{}", last_lines(a.agent.log()), last_lines(&log)))?;
    println!("found and equal after {} ms", took.as_millis());
    let theirs = nurse.get(&format!("/fhir/R4/Patient/{}", b.patients[0])).await?;
    assert_eq!(theirs["resourceType"], "Patient");
    Ok(())
}
