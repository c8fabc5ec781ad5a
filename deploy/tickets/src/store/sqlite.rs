//! Tickets in SQLite: a file, or memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, named_params};
use tokio::sync::Mutex;

use crate::identity::Identity;
use crate::ticket::{NewTicket, Ticket, id_text};
use crate::vocabulary::NEW;

use super::{Selection, StoreError, searchable};

#[derive(Clone)]
pub(super) struct Sqlite {
    // The lock is taken before a blocking thread is, so waiting requests occupy no threads.
    connection: Arc<Mutex<Connection>>,
}

impl Sqlite {
    pub(super) async fn in_memory() -> Result<Self, StoreError> {
        Self::start(Connection::open_in_memory).await
    }

    pub(super) async fn open(file: PathBuf) -> Result<Self, StoreError> {
        let made = blocking({
            let file = file.clone();
            move || Ok(make(&file))
        });
        made.await?.map_err(StoreError::File)?;
        Self::start(move || {
            let connection = Connection::open(file)?;
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "normal")?;
            Ok(connection)
        })
        .await
    }

    async fn start(
        open: impl FnOnce() -> rusqlite::Result<Connection> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let connection = blocking(move || {
            let connection = open()?;
            connection.busy_timeout(BUSY)?;
            connection.execute_batch(SCHEMA)?;
            Ok(connection)
        })
        .await?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut connection = Arc::clone(&self.connection).lock_owned().await;
        blocking(move || work(&mut connection)).await
    }

    pub(super) async fn create(
        &self,
        by: Identity,
        new: NewTicket,
        now: String,
        most: i64,
    ) -> Result<Option<Ticket>, StoreError> {
        self.run(move |connection| {
            connection
                .prepare_cached(INSERT)?
                .query_row(
                    named_params! {
                        ":organization": by.organization,
                        ":user": by.user,
                        ":title": new.title,
                        ":description": new.description,
                        ":searchable": searchable(&new.title, &new.description),
                        ":category": new.category,
                        ":priority": new.priority,
                        ":status": NEW,
                        ":now": now,
                        ":most": most,
                    },
                    read_ticket,
                )
                .optional()
        })
        .await
    }

    pub(super) async fn get(
        &self,
        organization: String,
        id: i64,
    ) -> Result<Option<Ticket>, StoreError> {
        self.run(move |connection| {
            connection
                .prepare_cached(GET)?
                .query_row(named_params! { ":organization": organization, ":id": id }, read_ticket)
                .optional()
        })
        .await
    }

    pub(super) async fn page(
        &self,
        selection: Selection,
    ) -> Result<(Vec<Ticket>, i64), StoreError> {
        let Selection { organization, filter, pattern, page } = selection;
        self.run(move |connection| {
            // One snapshot, so that the total is the total of this very page.
            let snapshot = connection.transaction()?;
            let total = snapshot.prepare_cached(&format!("SELECT count(*) {WHERE}"))?.query_row(
                named_params! {
                    ":organization": organization,
                    ":status": filter.status,
                    ":category": filter.category,
                    ":priority": filter.priority,
                    ":pattern": pattern,
                },
                |row| row.get(0),
            )?;
            let tickets = snapshot
                .prepare_cached(&format!(
                    "SELECT * {WHERE} ORDER BY id DESC LIMIT :size OFFSET :offset"
                ))?
                .query_map(
                    named_params! {
                        ":organization": organization,
                        ":status": filter.status,
                        ":category": filter.category,
                        ":priority": filter.priority,
                        ":pattern": pattern,
                        ":size": page.size,
                        ":offset": page.offset(),
                    },
                    read_ticket,
                )?
                .collect::<rusqlite::Result<_>>()?;
            Ok((tickets, total))
        })
        .await
    }
}

/// SQLite would make it as wide as the umask lets it.
fn make(file: &Path) -> io::Result<()> {
    File::options().append(true).create(true).mode(0o600).open(file).map(drop)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(StoreError::Sqlite),
        Err(_) => Err(StoreError::Stopped),
    }
}

fn read_ticket(row: &Row<'_>) -> rusqlite::Result<Ticket> {
    Ok(Ticket {
        id: id_text(row.get("id")?),
        title: row.get("title")?,
        description: row.get("description")?,
        category: row.get("category")?,
        priority: row.get("priority")?,
        status: row.get("status")?,
        created_by: row.get("created_by")?,
        organization_id: row.get("organization_id")?,
        created_at: row.get("created_at")?,
    })
}

/// How long to wait for another process that writes to the same file.
const BUSY: Duration = Duration::from_secs(5);

// AUTOINCREMENT: the id of a deleted ticket must never name another one.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS tickets (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        organization_id TEXT NOT NULL,
        created_by TEXT NOT NULL,
        title TEXT NOT NULL,
        description TEXT NOT NULL,
        searchable TEXT NOT NULL,
        category TEXT NOT NULL,
        priority TEXT NOT NULL,
        status TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS tickets_of_organization ON tickets (organization_id, id);
";

const INSERT: &str = "
    INSERT INTO tickets (organization_id, created_by, title, description, searchable,
                         category, priority, status, created_at)
    SELECT :organization, :user, :title, :description, :searchable,
           :category, :priority, :status, :now
    WHERE (SELECT count(*) FROM tickets WHERE organization_id = :organization) < :most
    RETURNING *";

const GET: &str = "SELECT * FROM tickets WHERE organization_id = :organization AND id = :id";

const WHERE: &str = "
    FROM tickets WHERE organization_id = :organization
    AND (:status IS NULL OR status = :status)
    AND (:category IS NULL OR category = :category)
    AND (:priority IS NULL OR priority = :priority)
    AND (:pattern IS NULL OR searchable LIKE :pattern ESCAPE '\\')";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_organization_that_is_full_takes_no_room_of_another() {
        let store = Sqlite::in_memory().await.unwrap();
        let create = async |organization: &str| {
            let by = Identity { user: "u".to_owned(), organization: organization.to_owned() };
            let new = NewTicket {
                title: "t".to_owned(),
                description: String::new(),
                category: "bug",
                priority: "low",
            };
            store.create(by, new, "now".to_owned(), 2).await.unwrap().is_some()
        };
        let mut created = Vec::new();
        for organization in ["greedy", "greedy", "greedy", "good"] {
            created.push(create(organization).await);
        }
        assert_eq!(created, [true, true, false, true]);
    }

    #[tokio::test]
    async fn the_scoped_list_is_served_by_its_index() {
        let store = Sqlite::in_memory().await.unwrap();
        let plan: Vec<String> = store
            .run(|connection| {
                connection
                    .prepare(&format!("EXPLAIN QUERY PLAN SELECT * {WHERE} ORDER BY id DESC"))?
                    .raw_query()
                    .mapped(|row| row.get("detail"))
                    .collect()
            })
            .await
            .unwrap();
        assert!(plan[0].contains("USING INDEX tickets_of_organization"), "{plan:?}");
        assert_eq!(plan.len(), 1, "no separate sort: {plan:?}");
    }
}
