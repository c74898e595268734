//! The desktop window itself: WebKitGTK on a virtual screen, driven by WebDriver as a hand would.

use anyhow::{Context, Result, ensure};
use end_to_end::chance::Chance;
use end_to_end::client::Client;
use end_to_end::ward::{Plan, Ward};
use end_to_end::{paths, process, wait};
use reqwest::Method;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const NATIVE: &str = "/usr/bin/WebKitWebDriver";
const PATIENCE: Duration = Duration::from_secs(60);
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// A session bus that starts no services: an accessibility daemon would outlive the test.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"#;

#[tokio::test]
async fn the_real_window_signs_in_shows_a_changing_value_acknowledges_and_outlives_its_agent() -> Result<()> {
    let Some(driver) = pieces() else { return Ok(()) };
    let mut ward = Ward::open(&Plan { screens: true, ..Plan::alone() }).await?;
    let nurse = ward.clinic()?.agent.sign_in().await?;
    let desk = Desk::open(&driver, ward.folder(), nurse.base()).await?;

    desk.type_into("[data-testid=sign-in-user]", end_to_end::agent::NURSE).await?;
    desk.type_into("[data-testid=sign-in-secret]", end_to_end::agent::PIN).await?;
    desk.click("[data-testid=sign-in-submit]").await?;

    let values = "return [...document.querySelectorAll('[data-testid^=numeric-][data-testid$=-spo2]')].map(e => e.textContent).join()";
    let first = desk
        .until("a live value", async || {
            Ok(desk.script(values).await?.as_str().filter(|text| text.contains(char::is_numeric)).map(str::to_owned))
        })
        .await?;
    desk.until("the value changes", async || Ok((desk.script(values).await? != first.as_str()).then_some(()))).await?;

    desk.click("article[data-state=created] [data-testid=alert-ack]").await?;
    desk.until("the acknowledgement is in the record", async || {
        let alerts = nurse.get("/api/v1/alerts").await?;
        Ok(alerts.as_array().into_iter().flatten().any(|alert| alert["state"] == "acknowledged").then_some(()))
    })
    .await?;
    // A picture right after a change may show the frame before it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    desk.screenshot("desktop.png").await?;

    let clinic = ward.clinic()?;
    clinic.agent.kill().await?;
    desk.find("[data-testid=waiting]").await.context("the waiting page while the agent is away")?;
    clinic.agent.start().await?;
    desk.find("[data-testid=sign-in-user]").await.context("the screens once it is back")?;
    desk.close().await
}

/// The tauri-driver, if all that is needed can be had; else why the test is skipped.
fn pieces() -> Option<PathBuf> {
    let tools = paths::keepsakes().ok()?.parent()?.join("tools/bin/tauri-driver");
    let on_path =
        |name: &str| std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(name).is_file());
    let wanted = [
        (tools.is_file(), "tauri-driver"),
        (Path::new(NATIVE).is_file(), NATIVE),
        (on_path("Xvfb"), "Xvfb"),
        (on_path("dbus-run-session"), "dbus-run-session"),
    ];
    match wanted.iter().find(|(there, _)| !there) {
        None => Some(tools),
        Some((_, name)) => {
            println!("skipped: {name} is not here (`cargo xtask setup` installs it)");
            None
        }
    }
}

/// A screen with the window on it.
struct Desk {
    web: Client,
    session: String,
    driver: Child,
    _screen: Child,
}

impl Drop for Desk {
    fn drop(&mut self) {
        // The driver's own children, the window among them, are of its process group.
        if let Some(group) = self.driver.id() {
            let _ = std::process::Command::new("sh").arg("-c").arg(format!("kill -KILL -{group}")).status();
        }
    }
}

impl Desk {
    async fn open(driver: &Path, folder: &Path, agent: &str) -> Result<Self> {
        let home = folder.join("desk");
        std::fs::DirBuilder::new().mode(0o700).create(&home)?;
        let bus = home.join("bus.conf");
        std::fs::write(&bus, BUS)?;
        let log = std::fs::File::create(home.join("desk.log"))?;
        let (screen, display) = screen().await?;
        let mut chance = Chance::of_its_own();
        let (port, native) = (free_port(&mut chance)?, free_port(&mut chance)?);
        let mut command = process::dies_with_us(Path::new("dbus-run-session"));
        command.arg("--config-file").arg(&bus).arg("--").arg(driver);
        command.args(["--port", &port.to_string(), "--native-port", &native.to_string(), "--native-driver", NATIVE]);
        command
            .env("DISPLAY", display)
            .env("HOME", &home)
            .env("XDG_RUNTIME_DIR", &home)
            .env("LANG", "C.UTF-8")
            .env("LAMPLIGHT_AGENT", agent);
        for slow in ["WEBKIT_DISABLE_DMABUF_RENDERER", "LIBGL_ALWAYS_SOFTWARE", "GDK_BACKEND", "WAYLAND_DISPLAY"] {
            command.env_remove(slow);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0).kill_on_drop(true);
        let driver = command.spawn().context("tauri-driver")?;
        let web = Client::stranger(&format!("http://127.0.0.1:{port}"))?;
        let options = json!({"application": paths::program("lamplight-desktop")?});
        let wanted = json!({"capabilities": {"alwaysMatch": {"browserName": "wry", "tauri:options": options}, "firstMatch": [{}]}});
        let mut desk = Self { web, session: String::new(), driver, _screen: screen };
        let opened = wait::until("a window", PATIENCE, async || {
            let answer = desk.web.post("/session", &wanted).await?;
            Ok(answer.pointer("/value/sessionId").and_then(Value::as_str).map(str::to_owned))
        })
        .await;
        desk.session = opened.with_context(|| process::last_lines(&home.join("desk.log")))?.0;
        Ok(desk)
    }

    async fn close(mut self) -> Result<()> {
        self.web.ask(Method::DELETE, &self.path(""), None).await?.ok()?;
        self.driver.start_kill()?;
        Ok(())
    }

    fn path(&self, rest: &str) -> String {
        format!("/session/{}{rest}", self.session)
    }

    async fn until<T>(&self, what: &str, look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
        Ok(wait::until(what, PATIENCE, look).await?.0)
    }

    /// The first element of a selector, once there is one.
    async fn find(&self, selector: &str) -> Result<String> {
        self.until(selector, async || {
            let found = self.web.post(&self.path("/element"), &json!({"using": "css selector", "value": selector})).await?;
            Ok(found["value"][ELEMENT].as_str().map(str::to_owned))
        })
        .await
    }

    async fn click(&self, selector: &str) -> Result<()> {
        self.until(&format!("click {selector}"), async || {
            let element = self.find(selector).await?;
            self.web.post(&self.path(&format!("/element/{element}/click")), &json!({})).await.map(Some)
        })
        .await
        .map(drop)
    }

    async fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.find(selector).await?;
        self.web.post(&self.path(&format!("/element/{element}/value")), &json!({"text": text})).await.map(drop)
    }

    async fn script(&self, script: &str) -> Result<Value> {
        Ok(self.web.post(&self.path("/execute/sync"), &json!({"script": script, "args": []})).await?["value"].take())
    }

    /// Keeps a picture of the window under the target directory.
    async fn screenshot(&self, name: &str) -> Result<()> {
        let answer = self.web.get(&self.path("/screenshot")).await?;
        let encoded = answer["value"].as_str().context("a screenshot")?;
        let path = paths::keepsakes()?.join(name);
        std::fs::write(path.with_extension("b64"), encoded)?;
        let decoded = Command::new("base64").arg("-d").arg(path.with_extension("b64")).output().await?;
        std::fs::remove_file(path.with_extension("b64"))?;
        ensure!(decoded.stdout.starts_with(b"\x89PNG"), "a screenshot that is no PNG");
        std::fs::write(&path, decoded.stdout)?;
        println!("{}", path.display());
        Ok(())
    }
}

/// A virtual screen on a display of its own choosing.
async fn screen() -> Result<(Child, String)> {
    let mut command = process::dies_with_us(Path::new("Xvfb"));
    command.args(["-displayfd", "1", "-screen", "0", "1366x900x24", "-nolisten", "tcp"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().context("Xvfb")?;
    let mut said = BufReader::new(child.stdout.take().context("Xvfb's stdout")?).lines();
    let number = tokio::time::timeout(PATIENCE, said.next_line()).await.context("Xvfb says no display")??.context("Xvfb ended")?;
    Ok((child, format!(":{}", number.trim())))
}

/// tauri-driver cannot say which port it was given, so one is chosen for it, below those that connections take as they leave.
fn free_port(chance: &mut Chance) -> Result<u16> {
    let mut ports = (0..100).filter_map(|_| u16::try_from(chance.within(15_000..30_000)).ok());
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).context("a free port")
}
