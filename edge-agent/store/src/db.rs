//! A connection with the manners of this crate: statements are cached, errors say which file and which row.

use protocol::store::{State, StoreError};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::path::Path;

/// A borrowed connection. `place` in its methods names the table, and the row where one is meant.
#[derive(Clone, Copy)]
pub(crate) struct Db<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) path: &'a Path,
}

impl Db<'_> {
    /// Runs a statement that gives no rows; how many rows it changed.
    pub(crate) fn run(&self, place: fmt::Arguments<'_>, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        self.connection.prepare_cached(sql).and_then(|mut s| s.execute(params)).map_err(|e| explain(e, self.path, place))
    }

    /// Reads at most one row.
    pub(crate) fn one<T>(
        &self,
        place: fmt::Arguments<'_>,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let row = self.connection.prepare_cached(sql).and_then(|mut s| s.query_row(params, read).optional());
        row.map_err(|e| explain(e, self.path, place))
    }

    /// Reads every row.
    pub(crate) fn all<T>(
        &self,
        place: fmt::Arguments<'_>,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = self.connection.prepare_cached(sql).and_then(|mut s| s.query_map(params, read)?.collect());
        rows.map_err(|e| explain(e, self.path, place))
    }

    /// Reads rows until `read` says it has enough.
    pub(crate) fn each(
        &self,
        place: fmt::Arguments<'_>,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<Next>,
    ) -> Result<(), StoreError> {
        let walk = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(params)?;
            while let Some(row) = rows.next()? {
                if matches!(read(row)?, Next::Enough) {
                    break;
                }
            }
            Ok(())
        };
        walk().map_err(|e| explain(e, self.path, place))
    }
}

/// Whether a walk over rows goes on.
pub(crate) enum Next {
    More,
    Enough,
}

/// Says what went wrong, where. SQL text and values stay out of it: a key or a patient's name may be among them.
pub(crate) fn explain(error: rusqlite::Error, path: &Path, place: fmt::Arguments<'_>) -> StoreError {
    use rusqlite::Error as E;
    match error {
        E::SqliteFailure(code, _) if is_full(code) => StoreError::Full(path.display().to_string()),
        E::SqliteFailure(code, message) if matches!(code.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged { what: place.to_string(), why: message.unwrap_or_else(|| code.to_string()) }
        }
        E::SqliteFailure(code, message) => StoreError::Other(format!("{place}: {}", message.unwrap_or_else(|| code.to_string()))),
        E::FromSqlConversionFailure(..) | E::InvalidColumnType(..) | E::IntegralValueOutOfRange(..) | E::Utf8Error(..) => {
            StoreError::Damaged { what: place.to_string(), why: error.to_string() }
        }
        E::SqlInputError { msg, .. } => StoreError::Other(format!("{place}: {msg}")),
        other => StoreError::Other(format!("{place}: {other}")),
    }
}

// Growing the WAL's index is the one write whose lack of room SQLite reports as an I/O error.
fn is_full(code: rusqlite::ffi::Error) -> bool {
    code.code == ErrorCode::DiskFull || code.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
}

/// A structure kept as its postcard bytes.
pub(crate) struct Packed<T>(pub(crate) T);

impl<T: Serialize> ToSql for Packed<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let bytes = postcard::to_stdvec(&self.0).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
        Ok(ToSqlOutput::Owned(Value::Blob(bytes)))
    }
}

impl<T: DeserializeOwned> FromSql for Packed<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        postcard::from_bytes(value.as_blob()?).map(Self).map_err(FromSqlError::other)
    }
}

/// Text of a type that is read by parsing it.
pub(crate) struct Text<T>(pub(crate) T);

impl<T> FromSql for Text<T>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(FromSqlError::other)
    }
}

/// A count. SQLite's integers are signed; one past them is refused, never wrapped.
#[derive(Clone, Copy)]
pub(crate) struct Count(pub(crate) u64);

impl ToSql for Count {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = i64::try_from(self.0).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
        Ok(ToSqlOutput::from(value))
    }
}

/// A count that somebody else states: past SQLite's integers, the largest of them stands for it. Nothing is refused for it.
#[derive(Clone, Copy)]
pub(crate) struct Capped(pub(crate) u64);

impl Capped {
    pub(crate) fn integer(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

impl ToSql for Capped {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.integer()))
    }
}

/// An entry's state as its word.
pub(crate) struct Word(pub(crate) State);

impl ToSql for Word {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.word()))
    }
}

impl FromSql for Word {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        State::from_word(value.as_str()?).map(Self).ok_or(FromSqlError::InvalidType)
    }
}

impl FromSql for Count {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let value = value.as_i64()?;
        u64::try_from(value).map(Self).map_err(|_| FromSqlError::OutOfRange(value))
    }
}
