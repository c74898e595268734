//! Finding neighbours by mDNS: what this box announces, and which announcements it follows.

use anyhow::Context;
use mdns_sd::{ServiceDaemon, ServiceEvent, ServiceInfo};
use std::net::SocketAddr;
use tokio::sync::mpsc;

/// The service's type.
const SERVICE: &str = "_lamplight._tcp.local.";
/// Most addresses of one box that are tried.
const ADDRESSES_MAX: usize = 8;
/// Bytes of the replica's id, in hex, that are announced: enough to tell boxes apart, too little to be one.
const PREFIX: usize = 8;

/// What the LAN says of a box.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// A box that may be one that is shared with; its certificate will tell.
    Found {
        /// The announcement's name.
        name: String,
        /// Where it says it listens.
        addresses: Vec<SocketAddr>,
    },
    /// It has gone.
    Lost(String),
}

/// Announces this box at `port` and tells of others named in `share_with`, until the channel or the program ends.
///
/// # Errors
/// The machine lets nobody use multicast.
pub async fn run(site: &str, replica: &str, port: u16, share_with: &[String], heard: mpsc::Sender<Heard>) -> anyhow::Result<()> {
    let prefix = replica.get(..PREFIX).unwrap_or(replica);
    let daemon = ServiceDaemon::new().context("multicast DNS")?;
    let (instance, host) = (format!("{site}-{prefix}"), format!("lamplight-{prefix}.local."));
    let texts = [("site", site), ("replica", prefix)];
    let own = ServiceInfo::new(SERVICE, &instance, &host, "", port, &texts[..]).context("multicast DNS")?.enable_addr_auto();
    let own_name = own.get_fullname().to_owned();
    daemon.register(own).context("multicast DNS")?;
    let events = daemon.browse(SERVICE).context("multicast DNS")?;
    while let Ok(event) = events.recv_async().await {
        let told = match event {
            ServiceEvent::ServiceResolved(found) if found.fullname != own_name => {
                let named = found.get_property_val_str("site").is_some_and(|site| share_with.iter().any(|name| name == site));
                if !named {
                    continue;
                }
                let mut addresses: Vec<_> = found.get_addresses_v4().into_iter().map(|ip| SocketAddr::new(ip.into(), found.port)).collect();
                addresses.sort_unstable();
                addresses.truncate(ADDRESSES_MAX);
                Heard::Found { name: found.fullname.clone(), addresses }
            }
            ServiceEvent::ServiceRemoved(_, name) => Heard::Lost(name),
            _ => continue,
        };
        if heard.send(told).await.is_err() {
            break;
        }
    }
    // Says goodbye to the LAN; an answer is not waited for.
    let _ = daemon.shutdown();
    Ok(())
}
