//! The bedside window: shows the screens that the appliance on this machine (or at an https address) serves.
//!
//!     lamplight-desktop [URL]        else $LAMPLIGHT_AGENT, else http://127.0.0.1:7410/
//!
//! Always: the window goes nowhere but to that one origin and its own waiting page; no page can call into this program.
//! While the appliance is away the waiting page says so and what to do; when it is back, so are the screens.
//! Never here: patient data, decisions, a second copy of the screens. Those are the agent's.
//! Start at [`agent_link::AgentLink`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod agent_link;
mod waiting;

use agent_link::{AgentLink, AgentUrl};
use std::process::ExitCode;
use tauri::webview::NewWindowResponse;
use tauri::{App, WebviewUrl, WebviewWindowBuilder};

/// Where an agent listens unless its configuration says otherwise.
const DEFAULT_AGENT: &str = "http://127.0.0.1:7410/";

fn main() -> ExitCode {
    let asked = std::env::args().nth(1).or_else(|| std::env::var("LAMPLIGHT_AGENT").ok());
    let agent = match AgentUrl::parse(asked.as_deref().unwrap_or(DEFAULT_AGENT)) {
        Ok(agent) => agent,
        Err(error) => return refuse(&error),
    };
    let built = tauri::Builder::default().setup(move |app| open(app, &agent)).run(tauri::generate_context!());
    match built {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error),
    }
}

/// Opens the window on the waiting page and leaves it to the link.
fn open(app: &mut App, agent: &AgentUrl) -> Result<(), Box<dyn std::error::Error>> {
    let only = agent.clone();
    let window = WebviewWindowBuilder::new(app, "ward", WebviewUrl::App(waiting::path(agent).into()))
        .title("Lamplight")
        .inner_size(1280.0, 800.0)
        .min_inner_size(640.0, 480.0)
        .on_navigation(move |to| only.may_show(to))
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .build()?;
    AgentLink::new(agent.clone(), window).watch()?;
    Ok(())
}

fn refuse(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("lamplight-desktop: {error}");
    ExitCode::FAILURE
}
