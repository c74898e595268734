//! A connection inside a transaction, with the manners of this crate: statements are prepared once, errors say what and why
//! without values.

use super::sealing::Sealer;
use postgres::error::SqlState;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Row, Statement};
use protocol::store::{State, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;

type Values<'v> = &'v [&'v (dyn ToSql + Sync)];

/// A connection in the middle of a transaction. `place` in its methods names the table, and the row where one is meant.
pub(super) struct Db<'a> {
    pub client: &'a mut Client,
    pub statements: &'a mut HashMap<String, Statement>,
    pub sealer: &'a Sealer,
}

impl Db<'_> {
    /// Runs a statement that gives no rows.
    pub fn run(&mut self, place: fmt::Arguments<'_>, sql: &str, values: Values<'_>) -> Result<u64, StoreError> {
        let statement = self.prepared(place, sql)?;
        self.client.execute(&statement, values).map_err(|e| explain(&e, place))
    }

    /// Reads at most one row.
    pub fn one<T>(
        &mut self,
        place: fmt::Arguments<'_>,
        sql: &str,
        values: Values<'_>,
        read: impl FnOnce(&Row) -> Result<T, postgres::Error>,
    ) -> Result<Option<T>, StoreError> {
        let statement = self.prepared(place, sql)?;
        let row = self.client.query_opt(&statement, values).map_err(|e| explain(&e, place))?;
        row.map(|row| read(&row)).transpose().map_err(|e| explain(&e, place))
    }

    /// Reads every row.
    pub fn all<T>(
        &mut self,
        place: fmt::Arguments<'_>,
        sql: &str,
        values: Values<'_>,
        read: impl FnMut(&Row) -> Result<T, postgres::Error>,
    ) -> Result<Vec<T>, StoreError> {
        let statement = self.prepared(place, sql)?;
        let rows = self.client.query(&statement, values).map_err(|e| explain(&e, place))?;
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|e| explain(&e, place))
    }

    /// Reads the rows of a cursor: its statement means another thing each time the cursor is opened, and is not kept.
    pub fn fetch<T>(
        &mut self,
        place: fmt::Arguments<'_>,
        sql: &str,
        read: impl FnMut(&Row) -> Result<T, postgres::Error>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = self.client.query(sql, &[]).map_err(|e| explain(&e, place))?;
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|e| explain(&e, place))
    }

    fn prepared(&mut self, place: fmt::Arguments<'_>, sql: &str) -> Result<Statement, StoreError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).map_err(|e| explain(&e, place))?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

/// Says what went wrong, and where. Values stay out of it: PostgreSQL keeps those in the detail, which is not read.
pub(super) fn explain(error: &postgres::Error, place: fmt::Arguments<'_>) -> StoreError {
    if is_lost(error) {
        return StoreError::Away { what: "PostgreSQL".to_owned(), why: format!("{place}: {error}") };
    }
    let Some(db) = error.as_db_error() else {
        let why = error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
        let unreadable = !error.is_closed() && error.to_string().contains("deserializing");
        return if unreadable {
            StoreError::Damaged { what: place.to_string(), why }
        } else {
            StoreError::Other(format!("{place}: PostgreSQL: {why}"))
        };
    };
    let why = db.message().to_owned();
    match *db.code() {
        SqlState::DISK_FULL => StoreError::Full("PostgreSQL".to_owned()),
        SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => StoreError::Damaged { what: place.to_string(), why },
        _ => StoreError::Other(format!("{place}: PostgreSQL: {why}")),
    }
}

/// Whether the connection is no more.
pub(super) fn is_lost(error: &postgres::Error) -> bool {
    let ended =
        [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW, SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT];
    error.is_closed() || error.code().map_or_else(|| error.source().is_some_and(|e| e.is::<std::io::Error>()), |code| ended.contains(code))
}

type Failed = Box<dyn Error + Sync + Send>;

/// A structure kept as its postcard bytes.
#[derive(Debug)]
pub(super) struct Packed<T>(pub T);

impl<T: Serialize + fmt::Debug> ToSql for Packed<T> {
    fn to_sql(&self, _: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Failed> {
        out.extend_from_slice(&postcard::to_stdvec(&self.0)?);
        Ok(IsNull::No)
    }
    fn accepts(ty: &Type) -> bool {
        *ty == Type::BYTEA
    }
    to_sql_checked!();
}

impl<'a, T: DeserializeOwned> FromSql<'a> for Packed<T> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Failed> {
        Ok(Self(postcard::from_bytes(raw)?))
    }
    fn accepts(ty: &Type) -> bool {
        *ty == Type::BYTEA
    }
}

/// Bytes of one length.
pub(super) struct Fixed<const N: usize>(pub [u8; N]);

impl<'a, const N: usize> FromSql<'a> for Fixed<N> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Failed> {
        Ok(Self(raw.try_into()?))
    }
    fn accepts(ty: &Type) -> bool {
        *ty == Type::BYTEA
    }
}

/// A count. PostgreSQL's integers are signed: the largest of them stands for what is past it, so that nothing that somebody
/// else states is refused for its size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count(pub u64);

impl Count {
    pub fn integer(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

impl ToSql for Count {
    fn to_sql(&self, ty: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Failed> {
        self.integer().to_sql(ty, out)
    }
    fn accepts(ty: &Type) -> bool {
        <i64 as ToSql>::accepts(ty)
    }
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Count {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failed> {
        Ok(Self(u64::try_from(i64::from_sql(ty, raw)?)?))
    }
    fn accepts(ty: &Type) -> bool {
        <i64 as FromSql>::accepts(ty)
    }
}

/// An entry's state as its word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word(pub State);

impl ToSql for Word {
    fn to_sql(&self, ty: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Failed> {
        self.0.word().to_sql(ty, out)
    }
    fn accepts(ty: &Type) -> bool {
        <&str as ToSql>::accepts(ty)
    }
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Word {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failed> {
        State::from_word(<&str>::from_sql(ty, raw)?).map(Self).ok_or_else(|| "no state of that name".into())
    }
    fn accepts(ty: &Type) -> bool {
        <&str as FromSql>::accepts(ty)
    }
}

/// Text as PostgreSQL takes it: it has no zero character. Somebody who writes one into a name must not hold up what follows.
pub(super) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
