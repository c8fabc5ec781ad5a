//! Where tickets are kept: SQLite or PostgreSQL, with the same answers. Every statement is bound to
//! an organization; knows no HTTP.

use std::path::PathBuf;
use std::{fmt, io};

use jiff::Timestamp;

use crate::identity::Identity;
use crate::query::{Filter, Page};
use crate::ticket::{NewTicket, Ticket};

use self::postgres::Postgres;
use self::sqlite::Sqlite;

pub use self::url::{DatabaseUrl, InvalidDatabaseUrl};

mod postgres;
mod sqlite;
mod url;

/// The most tickets of an organization: the disk, or the memory, is everybody's.
pub(crate) const MAX_TICKETS: i64 = 10_000;

/// The ticket database. Clones share it.
#[derive(Clone)]
pub struct Store(Backend);

#[derive(Clone)]
enum Backend {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Store {
    /// A database that is gone with the last clone.
    ///
    /// # Errors
    /// If SQLite cannot make one.
    pub async fn in_memory() -> Result<Self, StoreError> {
        Ok(Self(Backend::Sqlite(Sqlite::in_memory().await?)))
    }

    /// The SQLite database in this file. Where it is not there, it is made, for its owner alone: it
    /// holds what people write. SQLite gives the files beside it the same mode.
    ///
    /// # Errors
    /// If the file cannot be opened or is not such a database.
    pub async fn open(file: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Ok(Self(Backend::Sqlite(Sqlite::open(file.into()).await?)))
    }

    /// The PostgreSQL database at this address; its table is made if it is not there.
    ///
    /// # Errors
    /// If the server cannot be reached or does not let this user in. The error does not repeat the
    /// password.
    pub async fn connect(url: DatabaseUrl) -> Result<Self, StoreError> {
        Ok(Self(Backend::Postgres(Postgres::connect(url).await?)))
    }

    /// The new ticket; none where its organization has [`MAX_TICKETS`].
    pub(crate) async fn create(
        &self,
        by: Identity,
        new: NewTicket,
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError> {
        let now = format!("{now:.3}");
        match &self.0 {
            Backend::Sqlite(store) => store.create(by, new, now, MAX_TICKETS).await,
            Backend::Postgres(store) => store.create(by, new, now, MAX_TICKETS).await,
        }
    }

    pub(crate) async fn get(
        &self,
        organization: String,
        id: i64,
    ) -> Result<Option<Ticket>, StoreError> {
        match &self.0 {
            Backend::Sqlite(store) => store.get(organization, id).await,
            Backend::Postgres(store) => store.get(organization, id).await,
        }
    }

    /// One page of the newest tickets, and how many there are in all.
    pub(crate) async fn list(
        &self,
        organization: String,
        filter: Filter,
        page: Page,
    ) -> Result<(Vec<Ticket>, i64), StoreError> {
        self.page(Selection { organization, filter, pattern: None, page }).await
    }

    /// As [`Self::list`], for tickets that hold this text in title or description.
    pub(crate) async fn search(
        &self,
        organization: String,
        text: &str,
        page: Page,
    ) -> Result<(Vec<Ticket>, i64), StoreError> {
        let (filter, pattern) = (Filter::default(), Some(pattern(text)));
        self.page(Selection { organization, filter, pattern, page }).await
    }

    async fn page(&self, selection: Selection) -> Result<(Vec<Ticket>, i64), StoreError> {
        match &self.0 {
            Backend::Sqlite(store) => store.page(selection).await,
            Backend::Postgres(store) => store.page(selection).await,
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

/// Which tickets of which organization.
struct Selection {
    organization: String,
    filter: Filter,
    /// For LIKE, as written by [`pattern`].
    pattern: Option<String>,
    page: Page,
}

/// The database could not be opened, read or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// SQLite refused.
    Sqlite(rusqlite::Error),
    /// The file of the database could not be made or written.
    File(io::Error),
    /// PostgreSQL refused, or is not there.
    Postgres(tokio_postgres::Error),
    /// No connection to PostgreSQL could be had.
    Pool(io::Error),
    /// The thread that did the work is gone.
    Stopped,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ticket database: ")?;
        match self {
            Self::Sqlite(error) => write!(f, "{error}"),
            // Its own text says what it did; why it failed is below.
            Self::Postgres(error) => match std::error::Error::source(error) {
                Some(cause) => write!(f, "{error}: {cause}"),
                None => write!(f, "{error}"),
            },
            Self::File(error) | Self::Pool(error) => write!(f, "{error}"),
            Self::Stopped => f.write_str("the worker stopped"),
        }
    }
}

impl std::error::Error for StoreError {}

/// Databases differ in which letters they fold, so both sides are folded here.
fn searchable(title: &str, description: &str) -> String {
    format!("{title}\n{description}").to_lowercase()
}

/// A LIKE pattern that finds this text and nothing else: `%` and `_` stand for themselves.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.to_lowercase().chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_escaped_and_case_is_folded() {
        assert_eq!(pattern(r"50%_A\B"), r"%50\%\_a\\b%");
        assert_eq!(pattern("ÜBER"), "%über%");
    }
}
