//! The connection: made, lost, made again; the writer's place; how a commit ended.

use super::db::{Db, explain};
use super::sealing::Sealer;
use postgres::config::{Host, SslMode};
use postgres::error::SqlState;
use postgres::{Client, Config, NoTls, SimpleQueryMessage, Statement};
use protocol::store::StoreError;
use std::collections::HashMap;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

/// To change the schema: add the next file in `migrations-postgres/` and a row here.
const MIGRATIONS: [&str; 1] = [include_str!("../../migrations-postgres/0001_record.sql")];
/// How often a connection is tried before the work that waits for it fails: ten seconds in all.
const ATTEMPTS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);
/// Names the writer's place among a database's advisory locks: "LAMP", "HUB".
const PLACE: (i32, i32) = (0x4c41_4d50, 0x48_5542);

/// A peer that has gone without a word is noticed within half a minute, on both ends: its place must become free.
const SETTINGS: &str = "
    SET search_path = lamplight;
    SET synchronous_commit = on;
    SET client_encoding = 'UTF8';
    SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '60s';
    SET tcp_keepalives_idle = 10;
    SET tcp_keepalives_interval = 5;
    SET tcp_keepalives_count = 4;
";

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Writer,
    Reader,
}

/// A connection that is made again when it is lost.
pub(super) struct Link {
    config: Config,
    what: String,
    role: Role,
    sealer: Arc<Sealer>,
    live: Option<Live>,
    /// The number of this writer's opening; none before the first.
    epoch: Option<i64>,
    /// Transactions of this opening that are known to have been kept.
    turn: i64,
    /// The last commit's answer was lost and it could not be looked up.
    unsettled: bool,
}

struct Live {
    client: Client,
    statements: HashMap<String, Statement>,
}

/// Why there is no connection.
enum Lost {
    /// It may be there in a moment.
    Wait(StoreError),
    /// Waiting does not help.
    Never(StoreError),
}

impl Link {
    pub fn open(url: &str, key: &[u8; 32], role: Role) -> Result<Self, StoreError> {
        let unopened = |why: &str| StoreError::Open { what: "PostgreSQL".to_owned(), why: why.to_owned() };
        // The parser's own words may quote the URL, and with it the password.
        let mut config: Config = url.parse().map_err(|_| unopened("the URL cannot be read: postgres://user@host/database"))?;
        let what = describe(&config);
        if let Some(why) = insecure(&config) {
            return Err(StoreError::Open { what, why });
        }
        config.connect_timeout(Duration::from_secs(5));
        config.tcp_user_timeout(Duration::from_secs(30));
        config.application_name(&name(role));
        Self { config, what, role, sealer: Arc::new(Sealer::new(key)?), live: None, epoch: None, turn: 0, unsettled: false }.opened()
    }

    /// One more connection to the same database.
    pub fn another(&self, role: Role) -> Result<Self, StoreError> {
        let (mut config, what, sealer) = (self.config.clone(), self.what.clone(), Arc::clone(&self.sealer));
        config.application_name(&name(role));
        Self { config, what, role, sealer, live: None, epoch: None, turn: 0, unsettled: false }.opened()
    }

    fn opened(mut self) -> Result<Self, StoreError> {
        self.connect().map_err(|error| match error {
            StoreError::Other(why) => StoreError::Open { what: self.what.clone(), why },
            other => other,
        })?;
        Ok(self)
    }

    /// Which database, without secrets.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The connection, for the statements of a transaction.
    pub fn db(&mut self) -> Result<Db<'_>, StoreError> {
        let Self { live, sealer, what, .. } = self;
        let live = live.as_mut().ok_or_else(|| StoreError::Other(format!("{what}: the connection was lost")))?;
        Ok(Db { client: &mut live.client, statements: &mut live.statements, sealer })
    }

    /// Starts a transaction, on a new connection if the last one was lost.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        let sql = match self.role {
            // One writer: nothing it has read changes under it.
            Role::Writer => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
            Role::Reader => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        if let Some(live) = &mut self.live {
            match live.client.batch_execute(sql) {
                Ok(()) => return Ok(()),
                Err(e) if !is_lost(&e, &live.client) => return Err(explain(&e, format_args!("starting a transaction"))),
                Err(_) => self.live = None,
            }
        }
        self.connect()?;
        let begun = self.db()?.client.batch_execute(sql);
        begun.map_err(|e| self.lose(&e, "starting a transaction"))
    }

    /// Makes the transaction durable. Its number is written with it: if the answer is lost, the number tells how it ended.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        let next = self.turn + 1;
        let sql = match self.role {
            // In a transaction that has failed the first of the two is refused, where COMMIT alone would silently undo.
            Role::Writer => format!("UPDATE writers SET turn = {next}; COMMIT"),
            Role::Reader => "COMMIT".to_owned(),
        };
        let outcome = self.db()?.client.batch_execute(&sql);
        let Err(error) = outcome else {
            self.turn = next;
            return Ok(());
        };
        let lost = self.live.as_ref().is_none_or(|live| is_lost(&error, &live.client));
        let error = explain(&error, format_args!("committing"));
        if !lost {
            self.rollback();
            return Err(error);
        }
        self.live = None;
        if self.role == Role::Reader {
            return Err(error);
        }
        self.unsettled = true;
        match self.connect() {
            Ok(()) if self.turn == next => Ok(()),
            _ => Err(error),
        }
    }

    /// Undoes what has not been committed.
    pub fn rollback(&mut self) {
        if self.live.as_mut().is_some_and(|live| live.client.batch_execute("ROLLBACK").is_err()) {
            // The server undoes what belongs to a connection that ends.
            self.live = None;
        }
    }

    fn lose(&mut self, error: &postgres::Error, doing: &str) -> StoreError {
        self.live = None;
        explain(error, format_args!("{doing}"))
    }

    /// Connects, waiting for a server that is starting and for a writer's place that is being given up.
    fn connect(&mut self) -> Result<(), StoreError> {
        let committing = self.unsettled;
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                sleep(PAUSE);
            }
            match self.establish() {
                Ok(live) => {
                    self.live = Some(live);
                    return self.settle(committing);
                }
                Err(Lost::Never(error)) => return Err(error),
                Err(Lost::Wait(error)) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| StoreError::Other(format!("{}: not reached", self.what))))
    }

    /// Compares what the database says of this writer's last transaction with what this process knows.
    fn settle(&mut self, committing: bool) -> Result<(), StoreError> {
        let (Role::Writer, Some(epoch)) = (self.role, self.epoch) else { return Ok(()) };
        let place = format_args!("table writers");
        let found = self.db()?.one(place, "SELECT epoch, turn FROM writers", &[], |row| Ok((row.try_get(0)?, row.try_get(1)?)))?;
        let (found, turn): (i64, i64) =
            found.ok_or_else(|| StoreError::Damaged { what: place.to_string(), why: "it is empty".to_owned() })?;
        let begin_anew = |why: &str| Err(StoreError::Other(format!("{}: {why}: stop this hub and start it again", self.what)));
        if found != epoch {
            self.live = None;
            return begin_anew("another hub has written here since the connection was lost");
        }
        if turn != self.turn && !(committing && turn == self.turn + 1) {
            self.live = None;
            return begin_anew("the last transaction was kept although its end could not be told");
        }
        self.turn = turn;
        self.unsettled = false;
        Ok(())
    }

    fn establish(&mut self) -> Result<Live, Lost> {
        let what = &self.what;
        let open = |why: String| StoreError::Open { what: what.clone(), why };
        let mut client = self.config.connect(NoTls).map_err(|e| {
            let why = open(said(&e));
            if may_pass(&e) { Lost::Wait(why) } else { Lost::Never(why) }
        })?;
        let passing = |e: postgres::Error| Lost::Wait(open(said(&e)));
        client.batch_execute(SETTINGS).map_err(passing)?;
        if text(&mut client, "SHOW fsync").map_err(passing)?.as_deref() != Some("on") {
            return Err(Lost::Never(open("the server runs with fsync = off: what it says is kept may be lost".to_owned())));
        }
        let refused = |e: StoreError| Lost::Never(e);
        if self.role == Role::Writer {
            take_place(&mut client).map_err(passing)?.map_err(|holder| {
                Lost::Wait(open(format!(
                    "another hub writes here: {holder}. One process may: stop it, or give this hub a database of its own"
                )))
            })?;
            migrate(&mut client, what).map_err(refused)?;
            if self.epoch.is_none() {
                let begun = text(&mut client, "UPDATE writers SET epoch = epoch + 1, turn = 0 RETURNING epoch").map_err(passing)?;
                self.epoch = begun.and_then(|epoch| epoch.parse().ok());
            }
        } else {
            check(&mut client, what).map_err(refused)?;
        }
        Ok(Live { client, statements: HashMap::new() })
    }
}

/// Takes the writer's place, or says who has it. It is free again once the connection that holds it has ended.
fn take_place(client: &mut Client) -> Result<Result<(), String>, postgres::Error> {
    let (class, object) = PLACE;
    if text(client, &format!("SELECT pg_try_advisory_lock({class}, {object})"))?.as_deref() == Some("t") {
        return Ok(Ok(()));
    }
    let holder = format!(
        "SELECT a.application_name || ' on ' || coalesce(host(a.client_addr), 'the server''s own machine') || ', since ' || \
         date_trunc('second', a.backend_start) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' \
         AND l.classid = {class} AND l.objid = {object} AND l.granted \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1"
    );
    Ok(Err(text(client, &holder)?.unwrap_or_else(|| "one that is just ending".to_owned())))
}

fn migrate(client: &mut Client, what: &str) -> Result<(), StoreError> {
    let say = |e: postgres::Error| explain(&e, format_args!("the schema lamplight of {what}"));
    let prepare = "CREATE SCHEMA IF NOT EXISTS lamplight; CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL)";
    let done = match version(client).map_err(say)? {
        Some(done) => done,
        None => {
            client.batch_execute(prepare).map_err(say)?;
            0
        }
    };
    if done > MIGRATIONS.len() {
        return Err(newer(what, done));
    }
    if done == MIGRATIONS.len() {
        return Ok(());
    }
    let mut all = client.transaction().map_err(say)?;
    for sql in MIGRATIONS.iter().skip(done) {
        all.batch_execute(sql).map_err(say)?;
    }
    let known = MIGRATIONS.len();
    all.batch_execute(&format!("DELETE FROM schema_version; INSERT INTO schema_version VALUES ({known})")).map_err(say)?;
    all.commit().map_err(say)
}

fn check(client: &mut Client, what: &str) -> Result<(), StoreError> {
    let done = version(client).map_err(|e| explain(&e, format_args!("the schema lamplight of {what}")))?.unwrap_or(0);
    match done {
        done if done == MIGRATIONS.len() => Ok(()),
        done if done > MIGRATIONS.len() => Err(newer(what, done)),
        older => {
            let why = format!("its schema is {older}, this program reads {}: start the hub on it once", MIGRATIONS.len());
            Err(StoreError::Open { what: what.to_owned(), why })
        }
    }
}

fn newer(what: &str, done: usize) -> StoreError {
    let why = format!("a newer Lamplight wrote it (schema {done}, this one knows {}): install that version", MIGRATIONS.len());
    StoreError::Open { what: what.to_owned(), why }
}

/// How many migrations the database has had; none if it has never heard of them.
fn version(client: &mut Client) -> Result<Option<usize>, postgres::Error> {
    if text(client, "SELECT to_regclass('lamplight.schema_version')")?.is_none() {
        return Ok(None);
    }
    let version = text(client, "SELECT coalesce(max(version), 0) FROM lamplight.schema_version")?;
    Ok(version.and_then(|version| version.parse().ok()))
}

/// The first column of the first row, as text.
fn text(client: &mut Client, sql: &str) -> Result<Option<String>, postgres::Error> {
    let messages = client.simple_query(sql)?;
    Ok(messages
        .iter()
        .find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
            _ => None,
        })
        .flatten())
}

/// Whether the connection is no more.
fn is_lost(error: &postgres::Error, client: &Client) -> bool {
    let ended = |code: &SqlState| {
        [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW, SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT]
            .contains(code)
    };
    client.is_closed()
        || error.is_closed()
        || error.code().map_or_else(|| std::error::Error::source(error).is_some_and(|e| e.is::<std::io::Error>()), ended)
}

/// Whether a refusal to connect may be another's in a moment: nobody listens, or the server is starting, stopping or crowded.
fn may_pass(error: &postgres::Error) -> bool {
    let passing = [SqlState::CANNOT_CONNECT_NOW, SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::TOO_MANY_CONNECTIONS];
    error.code().is_none_or(|code| passing.contains(code))
}

fn said(error: &postgres::Error) -> String {
    let source = std::error::Error::source(error);
    error.as_db_error().map_or_else(|| source.map_or_else(|| error.to_string(), |e| format!("{error}: {e}")), |db| db.message().to_owned())
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

/// How this process is called in `pg_stat_activity`: that is how a second hub learns who the first is.
fn name(role: Role) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let role = match role {
        Role::Writer => "writer",
        Role::Reader => "reader",
    };
    // PostgreSQL cuts names at 63 bytes.
    format!("lamplight-hub {role} {} {}", std::process::id(), host.trim()).chars().filter(char::is_ascii).take(63).collect()
}
