use std::fmt;
use std::ops::{Deref, DerefMut};

use sqlx::{Sqlite, Transaction};
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout_at};

use crate::error::is_busy;
use crate::open::{WRITE_DEADLINE, pause};
use crate::{Answer, Connection, Metadata, MetadataError};

/// A write transaction: the only one at a time over all processes. Dropping it rolls it back.
///
/// Keep it short and never wait in it for anything but the database: every other writer waits meanwhile.
pub struct WriteTx {
    // Declared first, so that the rollback is on its way before the next writer's turn.
    transaction: Transaction<'static, Sqlite>,
    _turn: OwnedMutexGuard<()>,
}

impl Metadata {
    /// Waits for its turn among this process's writers, then for those of other processes; fails with
    /// [`MetadataError::Busy`] after ten seconds of both.
    pub fn begin(&self) -> Answer<'_, WriteTx> {
        Box::pin(async move {
            let inner = self.inner();
            let deadline = Instant::now() + WRITE_DEADLINE;
            let busy = || MetadataError::Busy { waited: WRITE_DEADLINE };
            let turn = timeout_at(deadline, inner.turn.clone().lock_owned()).await.map_err(|_| busy())?;
            let mut broken_before = false;
            loop {
                // IMMEDIATE: a transaction that reads first and then writes could not be retried once another wrote.
                match inner.writer.begin_with("BEGIN IMMEDIATE").await {
                    Ok(transaction) => return Ok(WriteTx { transaction, _turn: turn }),
                    Err(error) if is_busy(&error) => {
                        if Instant::now() >= deadline {
                            return Err(busy());
                        }
                        pause().await;
                    }
                    // SQLite ended an earlier transaction by itself (disk full, I/O error) and sqlx did not notice.
                    Err(sqlx::Error::InvalidSavePointStatement | sqlx::Error::WorkerCrashed) if !broken_before => {
                        broken_before = true;
                        inner.writer.acquire().await?.close_on_drop();
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        })
    }
}

impl WriteTx {
    /// Once this returns `Ok`, the changes survive a killed process and a power cut.
    pub fn commit(self) -> Answer<'static, ()> {
        Box::pin(async move { Ok(self.transaction.commit().await?) })
    }
}

impl Deref for WriteTx {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.transaction
    }
}

impl DerefMut for WriteTx {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.transaction
    }
}

impl fmt::Debug for WriteTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriteTx")
    }
}
