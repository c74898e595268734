//! The connection: made, lost, made again; the writer's place; how a commit ended.

use super::db::{Db, explain, is_lost};
use super::shared::Shared;
use super::url::PostgresUrl;
use postgres::error::SqlState;
use postgres::{Client, GenericClient, NoTls, SimpleQueryMessage, Statement, Transaction};
use protocol::store::StoreError;
use std::collections::HashMap;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

/// To change the schema: add the next file in `migrations-postgres/` and a row here.
const MIGRATIONS: [&str; 2] =
    [include_str!("../../migrations-postgres/0001_record.sql"), include_str!("../../migrations-postgres/0002_hub.sql")];
/// How often a server that is away is tried before the work that waits for it fails: a restart is bridged.
const BRIDGED: u32 = 5;
/// How often the writer's place is tried: what is left of another's connection may take ten seconds to go.
const ATTEMPTS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);
/// Longest wait for a server that is away, at a time, of a commit whose end is not known.
const IN_DOUBT: Duration = Duration::from_secs(60);
/// Names the writer's place among a database's advisory locks: "LAMP", "HUB"; and the place of who changes the schema: "LAMP", "SQL".
const PLACE: (i32, i32) = (0x4c41_4d50, 0x48_5542);
const BUILDING: (i32, i32) = (0x4c41_4d50, 0x53_514c);

/// A peer that has gone without a word is noticed within half a minute, on both ends: its place must become free.
const SETTINGS: &str = "
    SET search_path = lamplight;
    SET synchronous_commit = on;
    SET client_encoding = 'UTF8';
    SET client_min_messages = warning;
    SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '60s';
    SET tcp_keepalives_idle = 10;
    SET tcp_keepalives_interval = 5;
    SET tcp_keepalives_count = 4;
";

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// The record, by the one hub that may.
    Writer,
    /// The record, by whoever may look.
    Reader,
    /// Fleet and accounts, by hub and commands alike.
    Clerk,
}

/// A connection that is made again when it is lost.
pub(super) struct Link {
    shared: Arc<Shared>,
    role: Role,
    live: Option<Box<Live>>,
    /// Whether a transaction has begun and not ended.
    begun: bool,
    /// The number of this writer's opening; none before the first.
    epoch: Option<i64>,
    /// Transactions of this opening that are known to have been kept.
    turn: i64,
}

struct Live {
    client: Client,
    statements: HashMap<String, Statement>,
}

/// Why there is no connection.
enum Lost {
    /// Nobody answers, or not yet.
    Away(String),
    /// Another hub has the writer's place.
    Taken(StoreError),
    /// Waiting does not help.
    Never(StoreError),
}

impl Link {
    /// Connects.
    pub fn open(shared: &Arc<Shared>, role: Role) -> Result<Self, StoreError> {
        let mut link = Self { shared: Arc::clone(shared), role, live: None, begun: false, epoch: None, turn: 0 };
        if let Some(away) = shared.away() {
            return Err(away);
        }
        link.connect(false).inspect_err(|error| {
            if let StoreError::Away { why, .. } = error {
                shared.lost(why);
            }
        })?;
        Ok(link)
    }

    /// One more connection to the same database.
    pub fn another(&self, role: Role) -> Result<Self, StoreError> {
        Self::open(&self.shared, role)
    }

    /// Which database, without secrets.
    pub fn what(&self) -> &PostgresUrl {
        &self.shared.url
    }

    /// The connection, for the statements of a transaction.
    pub fn db(&mut self) -> Result<Db<'_>, StoreError> {
        let Self { live, shared, .. } = self;
        let live = live.as_mut().ok_or_else(|| shared.away_because("the connection was lost"))?;
        Ok(Db { client: &mut live.client, statements: &mut live.statements, sealer: &shared.sealer })
    }

    /// Starts a transaction, on a new connection if the last one was lost. While the server is known to be away it fails at once.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        let sql = match self.role {
            // One writer: nothing it has read changes under it. Clerks lock what they change.
            Role::Writer | Role::Clerk => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
            Role::Reader => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        if self.begun {
            self.rollback();
        }
        if let Some(live) = &mut self.live {
            match live.client.batch_execute(sql) {
                Ok(()) => {
                    self.begun = true;
                    return Ok(());
                }
                Err(e) if !is_lost(&e) && !live.client.is_closed() => return Err(explain(&e, format_args!("starting a transaction"))),
                Err(_) => self.live = None,
            }
        }
        if let Some(away) = self.shared.away() {
            return Err(away);
        }
        self.connect(false).map_err(|error| self.missed(error))?;
        let begun = self.db()?.client.batch_execute(sql);
        begun.map_err(|e| {
            self.live = None;
            explain(&e, format_args!("starting a transaction"))
        })?;
        self.begun = true;
        self.shared.there();
        Ok(())
    }

    /// Makes the transaction durable. Its number is written with it: if the answer is lost, the number tells how it ended, and
    /// until it can be read this does not return. What the caller knows of the record would be wrong otherwise.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        let next = self.turn + 1;
        let sql = match self.role {
            // In a transaction that has failed the first of the two is refused, where COMMIT alone would silently undo.
            Role::Writer => format!("UPDATE writers SET turn = {next}; COMMIT"),
            Role::Clerk => "SELECT 1; COMMIT".to_owned(),
            Role::Reader => "COMMIT".to_owned(),
        };
        let outcome = self.db()?.client.batch_execute(&sql);
        self.begun = false;
        let Err(error) = outcome else {
            self.turn = next;
            return Ok(());
        };
        let lost = is_lost(&error) || self.live.as_ref().is_none_or(|live| live.client.is_closed());
        let error = explain(&error, format_args!("committing"));
        if !lost {
            self.rollback();
            return Err(error);
        }
        self.live = None;
        if self.role != Role::Writer {
            return Err(error);
        }
        loop {
            match self.connect(true) {
                Ok(()) if self.turn == next => return Ok(()),
                Ok(()) => return Err(error),
                Err(overtaken @ (StoreError::Other(_) | StoreError::Damaged { .. })) => return Err(overtaken),
                Err(error) => {
                    self.missed(error);
                    self.shared.wait(IN_DOUBT);
                }
            }
        }
    }

    /// Undoes what has not been committed.
    pub fn rollback(&mut self) {
        self.begun = false;
        if self.live.as_mut().is_some_and(|live| live.client.batch_execute("ROLLBACK").is_err()) {
            // The server undoes what belongs to a connection that ends.
            self.live = None;
        }
    }

    /// One transaction from its beginning to its end.
    pub fn whole<T>(&mut self, work: impl FnOnce(&mut Db<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.begin()?;
        let done = self.db().and_then(|mut db| work(&mut db));
        match done {
            Ok(value) => self.commit().map(|()| value),
            Err(error) => {
                self.rollback();
                Err(error)
            }
        }
    }

    /// Tells everybody that the server is away, whatever keeps this connection from being made again.
    fn missed(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Away { why, .. } | StoreError::Open { why, .. } => {
                self.shared.lost(&why);
                self.shared.away_because(&why)
            }
            other => other,
        }
    }

    /// Connects, waiting a little for a server that is starting and for a writer's place that is being given up. `in_doubt`: the last
    /// commit's answer was lost.
    fn connect(&mut self, in_doubt: bool) -> Result<(), StoreError> {
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                sleep(PAUSE);
            }
            match self.establish() {
                Ok(live) => {
                    self.live = Some(Box::new(live));
                    return self.settle(in_doubt);
                }
                Err(Lost::Never(error)) => return Err(error),
                Err(Lost::Taken(error)) if attempt + 1 == ATTEMPTS => return Err(error),
                Err(Lost::Taken(_)) => {}
                Err(Lost::Away(why)) => {
                    last = why;
                    if attempt + 1 >= BRIDGED {
                        break;
                    }
                }
            }
        }
        Err(self.shared.away_because(&last))
    }

    /// Compares what the database says of this writer's last transaction with what this process knows.
    fn settle(&mut self, in_doubt: bool) -> Result<(), StoreError> {
        let (Role::Writer, Some(epoch)) = (self.role, self.epoch) else { return Ok(()) };
        let place = format_args!("table writers");
        let found = self.db()?.one(place, "SELECT epoch, turn FROM writers", &[], |row| Ok((row.try_get(0)?, row.try_get(1)?)));
        let found = found.inspect_err(|_| self.live = None)?;
        let (found, turn): (i64, i64) =
            found.ok_or_else(|| StoreError::Damaged { what: place.to_string(), why: "it is empty".to_owned() })?;
        let mut begin_anew = |why: &str| {
            self.live = None;
            Err(StoreError::Other(format!("{}: {why}: stop this hub and start it again", self.shared.url)))
        };
        if found != epoch {
            return begin_anew("another hub has written here since the connection was lost");
        }
        if turn != self.turn && !(in_doubt && turn == self.turn + 1) {
            return begin_anew("it does not end with the last transaction of this hub: it was put back to an earlier moment");
        }
        self.turn = turn;
        Ok(())
    }

    fn establish(&mut self) -> Result<Live, Lost> {
        let url = &self.shared.url;
        let what = url.to_string();
        let open = |why: String| StoreError::Open { what: what.clone(), why };
        let mut client = url.config(&name(self.role)).connect(NoTls).map_err(|e| {
            let why = advice(&e);
            if may_pass(&e) { Lost::Away(why) } else { Lost::Never(open(why)) }
        })?;
        let passing = |e: postgres::Error| if is_lost(&e) { Lost::Away(said(&e)) } else { Lost::Never(open(said(&e))) };
        client.batch_execute(SETTINGS).map_err(passing)?;
        if text(&mut client, "SHOW fsync").map_err(passing)?.as_deref() != Some("on") {
            return Err(Lost::Never(open("the server runs with fsync = off: what it says is kept may be lost".to_owned())));
        }
        let refused = |e: StoreError| match e {
            StoreError::Away { why, .. } => Lost::Away(why),
            other => Lost::Never(other),
        };
        if self.role == Role::Writer {
            take_place(&mut client).map_err(passing)?.map_err(|holder| {
                Lost::Taken(open(format!(
                    "another hub writes here: {holder}. One process may: stop it, or give this hub a database of its own"
                )))
            })?;
        }
        if self.role == Role::Reader {
            check(&mut client, &what).map_err(refused)?;
        } else {
            migrate(&mut client, &what).map_err(refused)?;
        }
        if self.role == Role::Writer && self.epoch.is_none() {
            let begun = text(&mut client, "UPDATE writers SET epoch = epoch + 1, turn = 0 RETURNING epoch").map_err(passing)?;
            self.epoch = begun.and_then(|epoch| epoch.parse().ok());
        }
        Ok(Live { client, statements: HashMap::new() })
    }
}

/// The client waits on a runtime of its own, which must not end on a thread that runs tasks of another: who drops a store need
/// not think of that.
impl Drop for Link {
    fn drop(&mut self) {
        if let Some(live) = self.live.take() {
            // Without a thread the program is ending anyway, and the connection with it.
            let _ = std::thread::Builder::new().name("leave-postgres".to_owned()).spawn(move || drop(live));
        }
    }
}

/// Whether somebody answers.
pub(super) fn probe(url: &PostgresUrl) -> Result<(), String> {
    let mut client = url.config("lamplight-hub look").connect(NoTls).map_err(|e| advice(&e))?;
    client.batch_execute("SELECT 1").map_err(|e| said(&e))
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

/// One at a time: a command and a hub may come to a new database at one moment.
fn migrate(client: &mut Client, what: &str) -> Result<(), StoreError> {
    let say = |e: postgres::Error| explain(&e, format_args!("the schema lamplight of {what}"));
    if version(client).map_err(say)? == Some(MIGRATIONS.len()) {
        return Ok(());
    }
    let (class, object) = BUILDING;
    let mut all = client.transaction().map_err(say)?;
    let prepare = format!(
        "SELECT pg_advisory_xact_lock({class}, {object}); CREATE SCHEMA IF NOT EXISTS lamplight; \
         CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL)"
    );
    all.batch_execute(&prepare).map_err(say)?;
    let done = text(&mut all, VERSION).map_err(say)?.and_then(|version| version.parse().ok()).unwrap_or(0);
    build_on(&mut all, what, done)?;
    all.commit().map_err(say)
}

/// The tables of a version, in a schema that is empty.
pub(super) fn build(all: &mut Transaction<'_>, what: &str, version: usize) -> Result<(), StoreError> {
    let Some(steps) = MIGRATIONS.get(..version) else { return Err(newer(what, version)) };
    let say = |e: postgres::Error| explain(&e, format_args!("the schema lamplight of {what}"));
    all.batch_execute("CREATE TABLE lamplight.schema_version (version integer NOT NULL)").map_err(say)?;
    steps.iter().try_for_each(|sql| all.batch_execute(sql)).map_err(say)
}

/// From the tables of a version to those of this program.
pub(super) fn build_on(all: &mut Transaction<'_>, what: &str, done: usize) -> Result<(), StoreError> {
    let Some(steps) = MIGRATIONS.get(done..) else { return Err(newer(what, done)) };
    let say = |e: postgres::Error| explain(&e, format_args!("the schema lamplight of {what}"));
    steps.iter().try_for_each(|sql| all.batch_execute(sql)).map_err(say)?;
    let known = MIGRATIONS.len();
    all.batch_execute(&format!("DELETE FROM schema_version; INSERT INTO schema_version VALUES ({known})")).map_err(say)
}

/// A connection that keeps every hub out while it lasts, whatever is in the database.
pub(super) fn alone(url: &PostgresUrl) -> Result<Client, StoreError> {
    let mut client = url.config("lamplight-hub restore").connect(NoTls).map_err(|e| {
        let (what, why) = (url.to_string(), advice(&e));
        if may_pass(&e) { StoreError::Away { what, why } } else { StoreError::Open { what, why } }
    })?;
    let say = |e: postgres::Error| explain(&e, format_args!("{url}"));
    client.batch_execute(SETTINGS).map_err(say)?;
    take_place(&mut client)
        .map_err(say)?
        .map_err(|holder| StoreError::Open { what: url.to_string(), why: format!("a hub writes here: {holder}. Stop it first") })?;
    Ok(client)
}

/// How many migrations the record has had.
pub(super) fn known_version(client: &mut Client) -> Result<u32, StoreError> {
    let version = version(client).map_err(|e| explain(&e, format_args!("table schema_version")))?;
    Ok(version.and_then(|version| u32::try_from(version).ok()).unwrap_or_default())
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

const VERSION: &str = "SELECT coalesce(max(version), 0) FROM lamplight.schema_version";

/// How many migrations the database has had; none if it has never heard of them.
fn version(client: &mut Client) -> Result<Option<usize>, postgres::Error> {
    if text(client, "SELECT to_regclass('lamplight.schema_version')")?.is_none() {
        return Ok(None);
    }
    let version = text(client, VERSION)?;
    Ok(version.and_then(|version| version.parse().ok()))
}

/// The first column of the first row, as text.
fn text(client: &mut impl GenericClient, sql: &str) -> Result<Option<String>, postgres::Error> {
    let messages = client.simple_query(sql)?;
    Ok(messages
        .iter()
        .find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
            _ => None,
        })
        .flatten())
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

/// What was said, and what to do about it.
fn advice(error: &postgres::Error) -> String {
    let said = said(error);
    let help = match error.code() {
        None => "see that it runs there (systemctl status postgresql), and that `store` in hub.toml says where it is",
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => "make it first: createdb -O <user> <database>",
        Some(code) if [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(code) => {
            "see that user and password in `store` of hub.toml are those of the database, and that its pg_hba.conf lets them in"
        }
        Some(_) => return said,
    };
    format!("{said}; {help}")
}

/// How this process is called in `pg_stat_activity`: that is how a second hub learns who the first is.
fn name(role: Role) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let role = match role {
        Role::Writer => "writer",
        Role::Reader => "reader",
        Role::Clerk => "clerk",
    };
    // PostgreSQL cuts names at 63 bytes.
    format!("lamplight-hub {role} {} {}", std::process::id(), host.trim()).chars().filter(char::is_ascii).take(63).collect()
}
