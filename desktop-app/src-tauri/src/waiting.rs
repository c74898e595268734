//! The page shown while the appliance does not answer: the only page of this program's own.

use crate::agent_link::AgentUrl;
use tauri::Url;

/// Its path among the embedded files. The address travels in the fragment, which no server sees.
#[must_use]
pub fn path(agent: &AgentUrl) -> String {
    format!("index.html#{}", agent.as_str())
}

/// Its whole address, or `None` should the platform's scheme not be one.
#[must_use]
pub fn url(agent: &AgentUrl) -> Option<Url> {
    Url::parse(&format!("tauri://localhost/{}", path(agent))).ok()
}

/// Whether an address is an embedded page: `tauri://localhost`, on some platforms `http://tauri.localhost`.
#[must_use]
pub fn is_ours(url: &Url) -> bool {
    match url.scheme() {
        "tauri" => url.host_str() == Some("localhost"),
        "http" | "https" => url.host_str() == Some("tauri.localhost"),
        _ => false,
    }
}
