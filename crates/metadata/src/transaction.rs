use std::fmt;
use std::ops::{Deref, DerefMut};

use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout_at};

use crate::connection::Held;
use crate::open::{DEADLINE, Pools};
use crate::{Answer, Connection, Metadata, MetadataError};

/// A write transaction: the only one at a time over all processes. Dropping it rolls it back.
///
/// Keep it short and never wait in it for anything but the database: every other writer waits meanwhile.
pub struct WriteTx {
    // Declared first, so that the rollback is on its way before the next writer's turn.
    connection: Connection,
    _turn: OwnedMutexGuard<()>,
}

impl Metadata {
    /// Waits for its turn among this process's writers, then for those of other processes; fails with
    /// [`MetadataError::Busy`] after ten seconds of both.
    pub fn begin(&self) -> Answer<'_, WriteTx> {
        Box::pin(async move {
            let inner = self.inner();
            let deadline = Instant::now() + DEADLINE;
            let busy = |_| MetadataError::Busy { waited: DEADLINE };
            let turn = timeout_at(deadline, inner.turn.clone().lock_owned()).await.map_err(busy)?;
            let held = match &inner.pools {
                Pools::Sqlite(pools) => Held::SqliteWriting(pools.begin(deadline).await?),
                Pools::Postgres(pools) => Held::PostgresWriting(
                    pools.begin(&inner.place, deadline.saturating_duration_since(Instant::now())).await?,
                ),
            };
            Ok(WriteTx { connection: Connection(held), _turn: turn })
        })
    }
}

impl WriteTx {
    /// Once this returns `Ok`, the changes survive a killed process and a power cut.
    pub fn commit(self) -> Answer<'static, ()> {
        Box::pin(async move {
            match self.connection.0 {
                Held::SqliteWriting(writing) => writing.commit()?,
                Held::PostgresWriting(writing) => writing.commit().await?,
                Held::SqliteReading(_) | Held::PostgresReading(_) => unreachable!("`begin` gives writers"),
            }
            Ok(())
        })
    }
}

impl Deref for WriteTx {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for WriteTx {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl fmt::Debug for WriteTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriteTx")
    }
}
