//! Where a PostgreSQL is, and as whom it is spoken to.

use postgres::Config;
use postgres::config::{Host, SslMode};
use protocol::store::StoreError;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// An address that was read and found safe. No `Debug`, `Display` or error tells the password.
#[derive(Clone)]
pub struct PostgresUrl {
    config: Box<Config>,
    what: String,
}

impl PostgresUrl {
    /// How to connect, for a connection that calls itself so.
    pub(super) fn config(&self, application: &str) -> Config {
        let mut config = Config::clone(&self.config);
        config.application_name(application);
        config
    }
}

impl FromStr for PostgresUrl {
    type Err = StoreError;

    /// Reads `postgres://user:password@host:port/database?…`, or libpq's `key=value` form; a host that begins with `/` is a socket's
    /// directory.
    fn from_str(text: &str) -> Result<Self, StoreError> {
        // The parser's own words may quote the URL, and with it the password.
        let mut config: Config = text.parse().map_err(|_| StoreError::Open {
            what: "PostgreSQL".to_owned(),
            why: "the URL cannot be read: postgres://user:password@host/database, or postgres:///database?host=/run/postgresql".to_owned(),
        })?;
        if config.get_hosts().is_empty() {
            config.host_path("/run/postgresql");
        }
        let what = describe(&config);
        if let Some(why) = insecure(&config) {
            return Err(StoreError::Open { what, why });
        }
        config.connect_timeout(Duration::from_secs(5));
        config.tcp_user_timeout(Duration::from_secs(30));
        Ok(Self { config: Box::new(config), what })
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresUrl").field(&self.what).finish()
    }
}

fn describe(config: &Config) -> String {
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    format!("PostgreSQL database {} at {}", config.get_dbname().or(config.get_user()).unwrap_or("postgres"), hosts.join(", "))
}

/// Why a connection to be made so would not be safe.
fn insecure(config: &Config) -> Option<String> {
    let abroad = config.get_hosts().iter().any(|host| match host {
        Host::Unix(_) => false,
        Host::Tcp(name) => name != "localhost" && !name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()),
    });
    match config.get_ssl_mode() {
        SslMode::Disable => None,
        SslMode::Prefer if !abroad => None,
        SslMode::Prefer => Some(
            "it lies across a network, and this program does not speak TLS to PostgreSQL: use a socket or a tunnel to localhost, or write \
             sslmode=disable where the network itself is safe"
                .to_owned(),
        ),
        _ => {
            Some("the URL asks for TLS, which this program does not speak to PostgreSQL: use a socket or a tunnel to localhost".to_owned())
        }
    }
}
