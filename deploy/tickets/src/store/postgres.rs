//! Tickets in PostgreSQL.

use std::io;
use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, NoTls, Row};

use crate::identity::Identity;
use crate::ticket::{NewTicket, Ticket, id_text};
use crate::vocabulary::NEW;

use super::{DatabaseUrl, Selection, StoreError, searchable};

#[derive(Clone)]
pub(super) struct Postgres {
    pool: Pool,
}

impl Postgres {
    pub(super) async fn connect(url: DatabaseUrl) -> Result<Self, StoreError> {
        let mut config = url.into_config();
        config.application_name("doorward-tickets").connect_timeout(PATIENCE);
        // Verified: a connection that died since is replaced, and no request sees it.
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Verified };
        let pool = Pool::builder(Manager::from_config(config, NoTls, recycling))
            .runtime(Runtime::Tokio1)
            .max_size(CONNECTIONS)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .recycle_timeout(Some(PATIENCE))
            .build()
            .map_err(|error| StoreError::Pool(io::Error::other(error)))?;
        let store = Self { pool };
        let mut client = store.client().await?;
        let transaction = client.transaction().await?;
        // Two services that start at once would both make the table.
        transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&SCHEMA_LOCK]).await?;
        transaction.batch_execute(SCHEMA).await?;
        transaction.commit().await?;
        Ok(store)
    }

    async fn client(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => StoreError::Postgres(error),
            error => StoreError::Pool(io::Error::other(error)),
        })
    }

    pub(super) async fn create(
        &self,
        by: Identity,
        new: NewTicket,
        now: String,
        most: i64,
    ) -> Result<Option<Ticket>, StoreError> {
        let client = self.client().await?;
        let statement = client.prepare_cached(INSERT).await?;
        let searchable = searchable(&new.title, &new.description);
        let row = client
            .query_opt(
                &statement,
                &[
                    &by.organization,
                    &by.user,
                    &new.title,
                    &new.description,
                    &searchable,
                    &new.category,
                    &new.priority,
                    &NEW,
                    &now,
                    &most,
                ],
            )
            .await?;
        row.as_ref().map(read_ticket).transpose()
    }

    pub(super) async fn get(
        &self,
        organization: String,
        id: i64,
    ) -> Result<Option<Ticket>, StoreError> {
        let client = self.client().await?;
        let statement = client.prepare_cached(GET).await?;
        let row = client.query_opt(&statement, &[&organization, &id]).await?;
        row.as_ref().map(read_ticket).transpose()
    }

    pub(super) async fn page(
        &self,
        selection: Selection,
    ) -> Result<(Vec<Ticket>, i64), StoreError> {
        let Selection { organization, filter, pattern, page } = selection;
        let (size, offset) = (i64::from(page.size), page.offset());
        let chosen: [&(dyn ToSql + Sync); 5] =
            [&organization, &filter.status, &filter.category, &filter.priority, &pattern];
        let mut client = self.client().await?;
        // One snapshot, so that the total is the total of this very page.
        let snapshot = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await?;
        let count = snapshot.prepare_cached(&format!("SELECT count(*) {WHERE}")).await?;
        let total = snapshot.query_one(&count, &chosen).await?.try_get(0)?;
        let list = format!("SELECT * {WHERE} ORDER BY id DESC LIMIT $6 OFFSET $7");
        let list = snapshot.prepare_cached(&list).await?;
        let [one, two, three, four, five] = chosen;
        let rows = snapshot.query(&list, &[one, two, three, four, five, &size, &offset]).await?;
        snapshot.commit().await?;
        Ok((rows.iter().map(read_ticket).collect::<Result<_, _>>()?, total))
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

fn read_ticket(row: &Row) -> Result<Ticket, StoreError> {
    Ok(Ticket {
        id: id_text(row.try_get("id")?),
        title: row.try_get("title")?,
        description: row.try_get("description")?,
        category: row.try_get("category")?,
        priority: row.try_get("priority")?,
        status: row.try_get("status")?,
        created_by: row.try_get("created_by")?,
        organization_id: row.try_get("organization_id")?,
        created_at: row.try_get("created_at")?,
    })
}

/// PostgreSQL allows 100 in all by default.
const CONNECTIONS: usize = 16;

/// To get a connection, and below what the MCP server waits for the API.
const PATIENCE: Duration = Duration::from_secs(5);

/// Any number, the same in every version of this service.
const SCHEMA_LOCK: i64 = 0x_646f_6f72_7761_7264;

// An identity is never used twice: the id of a deleted ticket must never name another one.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS tickets (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        organization_id TEXT NOT NULL,
        created_by TEXT NOT NULL,
        title TEXT NOT NULL,
        description TEXT NOT NULL,
        searchable TEXT NOT NULL,
        category TEXT NOT NULL,
        priority TEXT NOT NULL,
        status TEXT NOT NULL,
        created_at TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS tickets_of_organization ON tickets (organization_id, id);
";

const INSERT: &str = "
    INSERT INTO tickets (organization_id, created_by, title, description, searchable,
                         category, priority, status, created_at)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
    WHERE (SELECT count(*) FROM tickets WHERE organization_id = $1) < $10
    RETURNING *";

const GET: &str = "SELECT * FROM tickets WHERE organization_id = $1 AND id = $2";

const WHERE: &str = r"
    FROM tickets WHERE organization_id = $1
    AND ($2::text IS NULL OR status = $2)
    AND ($3::text IS NULL OR category = $3)
    AND ($4::text IS NULL OR priority = $4)
    AND ($5::text IS NULL OR searchable LIKE $5 ESCAPE '\')";
