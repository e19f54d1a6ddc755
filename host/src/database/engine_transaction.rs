//! Transactions. Each one holds its session until it ends.
//!
//! They begin and end with plain SQL statements: the driver's own transactions would hide the session, which must be
//! closed when the database itself has rolled back.

use super::engine::Engine;
use super::error::{DatabaseError, Fault};
use super::limits::Access;
use super::session::{EnginePool, Lease, Part, Run};
use super::statement::Verb;
use super::value::{Outcome, RowSet, Value};
use crate::config::DatabaseConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::timeout;

/// A transaction of one engine.
pub(super) struct EngineTransaction<E: Engine> {
    /// None when the transaction is over.
    lease: Option<Lease<E>>,
    config: Arc<DatabaseConfig>,
    /// See [`Engine::rollback_flag`].
    rolled_back: Option<Arc<AtomicBool>>,
}

impl<E: Engine> EngineTransaction<E> {
    pub(super) async fn begin(pool: &EnginePool<E>, part: &Part, access: Access) -> Result<Self, DatabaseError> {
        let config = Arc::clone(&pool.config);
        let mut lease = pool.lease(part).await?;
        let result = start(&mut lease, access, &config).await;
        let rolled_back = result.map_err(|fault| fault.error)?;
        Ok(EngineTransaction { lease: Some(lease), config, rolled_back })
    }

    pub(super) async fn query(
        &mut self,
        sql: &str,
        parameters: Vec<Value>,
        verb: Verb,
    ) -> Result<RowSet, DatabaseError> {
        let lease = open(self.lease.as_mut())?;
        let run = Run { sql, parameters, verb, config: &self.config };
        let result = lease.query(run).await;
        self.conclude(result)
    }

    pub(super) async fn execute(
        &mut self,
        sql: &str,
        parameters: Vec<Value>,
        verb: Verb,
    ) -> Result<Outcome, DatabaseError> {
        let lease = open(self.lease.as_mut())?;
        let run = Run { sql, parameters, verb, config: &self.config };
        let result = lease.execute(run).await;
        self.conclude(result)
    }

    pub(super) async fn commit(mut self) -> Result<(), DatabaseError> {
        open(self.lease.as_mut())?;
        self.end("COMMIT").await
    }

    pub(super) async fn rollback(mut self) -> Result<(), DatabaseError> {
        if open(self.lease.as_mut()).is_err() {
            return Ok(());
        }
        self.end("ROLLBACK").await
    }

    /// Roll back what nothing waits for any more. A database that does not respond within `connect_timeout` counts as lost:
    /// the session is closed, which rolls back too.
    pub(super) async fn abandon(mut self) -> Result<(), DatabaseError> {
        match self.lease.take().filter(|lease| !lease.is_busy()) {
            Some(lease) => abandon(lease, &self.config).await,
            None => Ok(()),
        }
    }

    /// If ending the transaction fails, closing the session rolls back the rest.
    async fn end(&mut self, sql: &'static str) -> Result<(), DatabaseError> {
        let Some(mut lease) = self.lease.take() else {
            return Ok(());
        };
        let result = lease.control(sql, &self.config).await;
        result.map_err(|fault| {
            lease.discard();
            fault.error
        })
    }

    /// Release the session if the statement ended the transaction.
    fn conclude<T>(&mut self, result: Result<T, Fault>) -> Result<T, DatabaseError> {
        let flag = self.rolled_back.as_deref();
        let rolled_back = flag.is_some_and(|flag| flag.load(Ordering::Relaxed));
        let unusable = result.as_ref().is_err_and(|fault| fault.unusable);
        if (rolled_back || unusable)
            && let Some(lease) = self.lease.take()
        {
            lease.discard();
        }
        result.map_err(|fault| fault.error)
    }
}

async fn start<E: Engine>(
    lease: &mut Lease<E>,
    access: Access,
    config: &DatabaseConfig,
) -> Result<Option<Arc<AtomicBool>>, Fault> {
    let flag = lease.rollback_flag();
    lease.control(E::begin(access), config).await?;
    Ok(flag)
}

/// The session of an open transaction. Without this check, the statements after a rollback by the database would each
/// be committed separately.
fn open<E: Engine>(lease: Option<&mut Lease<E>>) -> Result<&mut Lease<E>, DatabaseError> {
    lease.filter(|lease| !lease.is_busy()).ok_or_else(|| {
        DatabaseError::Other("the transaction was rolled back when an earlier statement failed".to_owned())
    })
}

/// A session that is busy when it is dropped is closed.
async fn abandon<E: Engine>(mut lease: Lease<E>, config: &DatabaseConfig) -> Result<(), DatabaseError> {
    let limit = config.connect_timeout.get();
    match timeout(limit, lease.control("ROLLBACK", config)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(fault)) => {
            lease.discard();
            Err(fault.error)
        }
        Err(_) => Err(DatabaseError::ConnectionLost(format!("no rollback within {limit:?} (connect_timeout)"))),
    }
}

impl<E: Engine> Drop for EngineTransaction<E> {
    /// Roll back, and only then return the session to the pool.
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else {
            return;
        };
        let runtime = tokio::runtime::Handle::try_current();
        match runtime {
            Ok(runtime) if !lease.is_busy() => {
                let config = Arc::clone(&self.config);
                runtime.spawn(async move {
                    if let Err(error) = abandon(lease, &config).await {
                        tracing::debug!(%error, "rollback failed; the session is closed");
                    }
                });
            }
            _ => lease.discard(),
        }
    }
}
