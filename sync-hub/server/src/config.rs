//! `hub.toml`. Every key can be overridden by `LAMPLIGHT_<KEY>`; a key nobody knows is an error that names it and the file.

use anyhow::{Context, bail};
use hub_core::configuration::Groups;
use hub_core::fleet::Patience;
use hub_core::site::SiteName;
use hub_store::PostgresUrl;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The configuration of a hub.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The hub's name.
    pub name: String,
    /// Data directory: keys, and what is not kept elsewhere.
    pub data: PathBuf,
    /// Where record, fleet and accounts are kept.
    #[serde(default)]
    pub store: Keeping,
    /// Where HTTP is served; port 0 lets the system choose.
    #[serde(default = "default_bind")]
    pub bind: SocketAddr,
    /// Where MQTT over TLS is served.
    #[serde(default = "default_mqtt")]
    pub mqtt: SocketAddr,
    /// Names and addresses under which agents reach this hub, for its certificate; the first is told to agents.
    #[serde(default)]
    pub names: Vec<String>,
    /// The built screens.
    #[serde(default)]
    pub ui: Option<PathBuf>,
    /// A site silent for longer is late, seconds.
    #[serde(default = "default_late")]
    pub late_s: u32,
    /// A site silent for longer is offline, seconds.
    #[serde(default = "default_offline")]
    pub offline_s: u32,
    /// Groups of sites, by name: what is rolled out to `group:<name>` goes to these.
    #[serde(default)]
    pub groups: Groups,
    /// Write logs as JSON.
    #[serde(default)]
    pub log_json: bool,
    /// Lets a scraper read `/metrics` without a session.
    #[serde(default)]
    pub scrape_token: Option<String>,
}

/// Where a hub keeps what it keeps: `store` of `hub.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum Keeping {
    /// Files of the data directory: `sqlite`.
    #[default]
    Sqlite,
    /// The record in a file of its own: an absolute path. The fleet stays in the data directory.
    SqliteAt(PathBuf),
    /// A PostgreSQL database: `postgres://…`.
    Postgres(PostgresUrl),
}

/// Text that names no place to keep a record. Never quotes it: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum NoKeeping {
    /// It begins like a URL, and not like one that is known.
    #[error("nothing is known that keeps a record at {0:?}: write postgres://user:password@host/database, an absolute path, or sqlite")]
    Scheme(String),
    /// It is a path that depends on where the program was started.
    #[error("a path begins with /; else write postgres://user:password@host/database, or sqlite")]
    Relative,
    /// It begins like PostgreSQL's, and goes on badly or not safely.
    #[error(transparent)]
    Postgres(#[from] protocol::StoreError),
}

impl TryFrom<String> for Keeping {
    type Error = NoKeeping;

    fn try_from(text: String) -> Result<Self, NoKeeping> {
        match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(text.parse()?)),
            Some((scheme, _)) => Err(NoKeeping::Scheme(format!("{}://", scheme.chars().take(16).collect::<String>()))),
            None if text == "sqlite" => Ok(Self::Sqlite),
            None if text.starts_with('/') => Ok(Self::SqliteAt(text.into())),
            None => Err(NoKeeping::Relative),
        }
    }
}

const fn default_bind() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7400)
}
const fn default_mqtt() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7483)
}
const fn default_late() -> u32 {
    60
}
const fn default_offline() -> u32 {
    600
}

/// Keys that the environment may override: all but `groups`.
const KEYS: [&str; 11] = ["name", "data", "store", "bind", "mqtt", "names", "ui", "late_s", "offline_s", "log_json", "scrape_token"];

impl Config {
    /// Reads the file, then the environment.
    ///
    /// # Errors
    /// The file cannot be read, a key is unknown or malformed, or values contradict each other; each names where.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        Self::load_with(path, std::env::vars())
    }

    fn load_with(path: &Path, environment: impl Iterator<Item = (String, String)>) -> anyhow::Result<Self> {
        let at = || format!("in {}", path.display());
        let file = config::File::new(&path.to_string_lossy(), config::FileFormat::Toml).required(true);
        let mut builder = config::Config::builder().add_source(file);
        let known = |(name, value): (String, String)| {
            let key = name.strip_prefix("LAMPLIGHT_")?.to_ascii_lowercase();
            KEYS.contains(&key.as_str()).then_some((key, value))
        };
        for (key, value) in environment.filter_map(known) {
            builder = if key == "names" {
                builder.set_override(&key, value.split(',').map(str::trim).collect::<Vec<_>>())?
            } else {
                builder.set_override(&key, value)?
            };
        }
        let built = builder.build().map_err(|error| anyhow::anyhow!(without_urls(&error.to_string())));
        let built = built.with_context(|| format!("reading {}", path.display()))?;
        let config: Self = built.try_deserialize().with_context(at)?;
        config.check().with_context(at)?;
        Ok(config)
    }

    /// When silence is worth a word.
    #[must_use]
    pub const fn patience(&self) -> Patience {
        Patience { late_s: self.late_s, offline_s: self.offline_s }
    }

    /// The host agents are told to reach MQTT at.
    #[must_use]
    pub fn told_host(&self) -> String {
        self.names.first().cloned().unwrap_or_else(|| host(self.mqtt.ip()))
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.name.is_empty() || self.name.len() > 64 {
            bail!("name: 1 to 64 characters");
        }
        if self.late_s == 0 || self.late_s >= self.offline_s {
            bail!("late_s must be at least 1 and below offline_s, got {} and {}", self.late_s, self.offline_s);
        }
        for (group, sites) in &self.groups {
            if let Some(site) = sites.iter().find(|site| site.parse::<SiteName>().is_err()) {
                bail!("groups.{group}: {site:?} is no site's name");
            }
        }
        if self.names.is_empty() {
            for (key, address) in [("bind", self.bind), ("mqtt", self.mqtt)] {
                if !address.ip().is_loopback() {
                    bail!("{key} is {}: say in `names` under which names agents reach this hub", address.ip());
                }
            }
        }
        Ok(())
    }
}

/// A reader of TOML shows the line that it cannot read, and with it the password in a URL whose quote was not closed.
fn without_urls(text: &str) -> String {
    let shown = |line: &str| if line.contains("://") { "  | (a line with a URL in it is not shown)".to_owned() } else { line.to_owned() };
    text.lines().map(shown).collect::<Vec<_>>().join("\n")
}

fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, environment: &[(&str, &str)]) -> anyhow::Result<Config> {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("hub.toml");
        std::fs::write(&path, text).expect("write");
        Config::load_with(&path, environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())))
    }

    const LEAST: &str = "name = \"hub\"\ndata = \"/x\"\n";

    #[test]
    fn an_unknown_key_is_refused_by_name_and_file() {
        let error = format!("{:#}", load(&format!("{LEAST}prot = 1\n"), &[]).expect_err("unknown key"));
        assert!(error.contains("prot") && error.contains("hub.toml"), "{error}");
    }

    #[test]
    fn what_is_not_said_has_a_default_and_the_environment_has_the_last_word() {
        let config =
            load(LEAST, &[("LAMPLIGHT_BIND", "127.0.0.1:0"), ("LAMPLIGHT_LATE_S", "5"), ("LAMPLIGHT_LOG_JSON", "true"), ("HOME", "/")]);
        let config = config.expect("config");
        assert_eq!((config.bind.port(), config.mqtt.port()), (0, 7483));
        assert_eq!((config.late_s, config.offline_s, config.log_json), (5, 600, true));
        assert_eq!(config.told_host(), "127.0.0.1");
    }

    #[test]
    fn what_keeps_the_record_is_a_database_a_path_or_the_data_directory() {
        let store = |text: &str| load(&format!("{LEAST}store = {text:?}\n"), &[]).map(|config| config.store);
        assert!(matches!(load(LEAST, &[]).map(|config| config.store), Ok(Keeping::Sqlite)));
        assert!(matches!(store("sqlite"), Ok(Keeping::Sqlite)));
        assert!(matches!(store("/srv/hub.db"), Ok(Keeping::SqliteAt(path)) if path == Path::new("/srv/hub.db")));
        for url in ["postgres://hub:topsecret@localhost/hub", "postgresql://hub@localhost:5433/hub", "postgres:///hub?host=/run/postgresql"]
        {
            assert!(matches!(store(url), Ok(Keeping::Postgres(_))), "{url}");
        }
        let config = load(LEAST, &[("LAMPLIGHT_STORE", "postgres://hub:topsecret@localhost/ward")]).expect("config");
        let told = format!("{config:?}");
        assert!(told.contains("database ward at localhost") && !told.contains("topsecret"), "{told}");
    }

    #[test]
    fn what_keeps_no_record_is_refused_by_its_scheme_and_no_refusal_tells_the_password() {
        for (line, word) in [
            (r#"store = "mysql://hub:topsecret@localhost/hub""#, "mysql://"),
            (r#"store = "sqlite://topsecret""#, "sqlite://"),
            (r#"store = "topsecret/hub.db""#, "begins with /"),
            (r#"store = "postgres://hub:topsecret@db.example.org/hub""#, "sslmode=disable"),
            (r#"store = "postgres://hub:topsecret@localhost/hub?sslmode=require""#, "TLS"),
            (r#"store = "postgres://hub:topsecret@localhost:port/hub""#, "cannot be read"),
            (r#"store = "postgres://hub:topsecret@localhost/hub"#, "hub.toml"),
            (r#"stroe = "postgres://hub:topsecret@localhost/hub""#, "stroe"),
        ] {
            let error = format!("{:#}", load(&format!("{LEAST}{line}\n"), &[]).expect_err(line));
            assert!(error.contains(word) && !error.contains("topsecret"), "{line}: {error}");
        }
        let told = load(LEAST, &[("LAMPLIGHT_STORE", "ftp://topsecret")]).expect_err("refused");
        assert!(format!("{told:#}").contains("ftp://") && !format!("{told:?}").contains("topsecret"), "{told:?}");
    }

    #[test]
    fn a_hub_for_other_machines_must_say_its_names() {
        let error = format!("{:#}", load(&format!("{LEAST}bind = \"0.0.0.0:7400\"\n"), &[]).expect_err("no names"));
        assert!(error.contains("bind") && error.contains("names"), "{error}");
        let names = "names = [\"hub.example.org\", \"10.0.0.1\"]\n";
        let config = load(&format!("{LEAST}bind = \"0.0.0.0:7400\"\n{names}"), &[]).expect("config");
        assert_eq!(config.told_host(), "hub.example.org");
    }
}
