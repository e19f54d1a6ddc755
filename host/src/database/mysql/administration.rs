//! A session for statements of the host itself that create tables.

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, Connection, Executor};
use tokio::time::timeout;

use super::super::error::DatabaseError;
use super::super::limits::Access;
use super::pool::GOODBYE;
use super::relay::Relay;
use super::{fault, prepare};
use crate::config::DatabaseConfig;

/// A session of no pool. Its statements are texts of the host, not prepared, because a server cannot prepare all that
/// creates something.
pub(in crate::database) struct Administration {
    connection: MySqlConnection,
    relay: Relay,
}

impl Administration {
    /// Connect.
    ///
    /// # Errors
    /// [`DatabaseError::ConnectionLost`] if this takes longer than `connect_timeout`, and what the server says.
    pub(in crate::database) async fn begin(
        options: &MySqlConnectOptions,
        config: &DatabaseConfig,
    ) -> Result<Self, DatabaseError> {
        let limit = config.connect_timeout.get();
        let connect = async {
            let (mut connection, relay) = Relay::connect(options, u64::MAX).await?;
            prepare(&mut connection, Access::ReadWrite, config.query_timeout.get()).await?;
            Ok(Self { connection, relay })
        };
        match timeout(limit, connect).await {
            Ok(connected) => connected.map_err(|error| fault(error).error),
            Err(_) => {
                Err(DatabaseError::ConnectionLost(format!("could not connect within {limit:?} (connect_timeout)")))
            }
        }
    }

    /// Run a statement.
    ///
    /// # Errors
    /// What the server says.
    pub(in crate::database) async fn run(&mut self, sql: &str) -> Result<(), DatabaseError> {
        let done = self.connection.execute(AssertSqlSafe(sql.to_owned())).await;
        done.map(drop).map_err(|error| fault(error).error)
    }

    /// The number that a query finds.
    ///
    /// # Errors
    /// What the server says.
    pub(in crate::database) async fn count(&mut self, sql: &str) -> Result<i64, DatabaseError> {
        let found = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.connection).await;
        found.map_err(|error| fault(error).error)
    }

    /// Close the session.
    pub(in crate::database) async fn end(self) {
        let _ = timeout(GOODBYE, async {
            let _ = self.connection.close().await;
            self.relay.end().await;
        })
        .await;
    }
}
