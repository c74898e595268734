//! The embedded broker: rmqtt on a port of loopback that the system chooses.

use crate::clock;
use async_trait::async_trait;
use hub_api::live::PACKET_LIMIT;
use rmqtt::context::ServerContext;
use rmqtt::hook::{Handler, HookResult, Parameter, ReturnType, Type};
use rmqtt::net::Builder;
use rmqtt::server::MqttServer;
use rmqtt::types::AuthResult;
use std::net::{Ipv4Addr, SocketAddr};

/// The one user of the broker.
pub const USER: &str = "hub";
/// Sessions at one time.
const SESSIONS_MAX: isize = 2048;
/// The broker numbers listeners by port, and ours has none of its own choosing.
const LISTENER: u16 = 1;
/// Messages that may wait for one client.
const QUEUE_MAX: usize = 1000;

/// A running broker.
#[derive(Clone, Debug)]
pub struct Broker {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it lets in.
    pub password: String,
}

impl Broker {
    /// Starts it; it ends with the program.
    ///
    /// # Errors
    /// No port of loopback is free.
    pub async fn start() -> anyhow::Result<Self> {
        let mut secret = [0; 32];
        clock::dice(&mut secret);
        let password = hex::encode(secret);
        let context = ServerContext::new().busy_check_enable(false).mqtt_max_sessions(SESSIONS_MAX).build().await;
        let register = context.extends.hook_mgr().register();
        register.add(Type::ClientAuthenticate, Box::new(Door { password: password.clone() })).await;
        register.start().await;
        let listener = Builder::new()
            .name("loopback")
            .laddr((Ipv4Addr::LOCALHOST, 0).into())
            .allow_anonymous(false)
            .max_packet_size(u32::try_from(PACKET_LIMIT).unwrap_or(u32::MAX))
            .max_mqueue_len(QUEUE_MAX)
            .bind()
            .and_then(rmqtt::net::Listener::tcp)
            .map_err(|error| anyhow::anyhow!("the broker's port: {error}"))?;
        let address = listener.local_addr().map_err(|error| anyhow::anyhow!("the broker's port: {error}"))?;
        let server = MqttServer::new(context).listener_by_id(listener, LISTENER).build();
        tokio::spawn(async move {
            if let Err(error) = server.run().await {
                tracing::error!(%error, "the MQTT broker has ended");
            }
        });
        Ok(Self { address, password })
    }
}

/// Lets in whoever knows the password.
struct Door {
    password: String,
}

#[async_trait]
impl Handler for Door {
    async fn hook(&self, parameter: &Parameter, before: Option<HookResult>) -> ReturnType {
        let Parameter::ClientAuthenticate(connect) = parameter else { return (true, before) };
        let user = connect.username().is_some_and(|user| &**user == USER);
        let known = user && connect.password().is_some_and(|sent| sent.as_ref() == self.password.as_bytes());
        let result = if known { AuthResult::Allow(false, None) } else { AuthResult::BadUsernameOrPassword };
        (false, Some(HookResult::AuthResult(result)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rumqttc::{AsyncClient, Event, MqttOptions, Packet};
    use std::time::Duration;

    async fn knock(broker: &Broker, credentials: Option<(&str, &str)>) -> bool {
        let mut options = MqttOptions::new("stranger", broker.address.ip().to_string(), broker.address.port());
        if let Some((user, password)) = credentials {
            options.set_credentials(user, password);
        }
        let (_client, mut events) = AsyncClient::new(options, 4);
        matches!(tokio::time::timeout(Duration::from_secs(10), events.poll()).await, Ok(Ok(Event::Incoming(Packet::ConnAck(_)))))
    }

    #[tokio::test]
    async fn another_process_on_this_machine_does_not_get_past_the_brokers_password() {
        let broker = Broker::start().await.expect("broker");
        assert!(broker.address.ip().is_loopback());
        assert!(!knock(&broker, None).await, "anonymous");
        assert!(!knock(&broker, Some((USER, "guess"))).await, "wrong password");
        assert!(!knock(&broker, Some(("other", &broker.password))).await, "wrong user");
        assert!(knock(&broker, Some((USER, &broker.password))).await, "the front");
    }
}
