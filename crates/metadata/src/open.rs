use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::connection::{Connection, Dialect, Held};
use crate::location::Location;
use crate::{Answer, generations, migrate, postgres, sqlite};

/// How long a writer waits for the others, and anybody for a connection, before giving up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// A handle on the database; clones share it. Several processes may have the same one open.
#[derive(Clone)]
pub struct Metadata(Arc<Inner>);

pub(crate) struct Inner {
    /// For people.
    pub place: String,
    pub pools: Pools,
    /// Whose turn it is to write, first come first served; a pool's queue would lose the place between tries.
    pub turn: Arc<Mutex<()>>,
}

pub(crate) enum Pools {
    Sqlite(sqlite::Pools),
    Postgres(postgres::Pools),
}

/// One of the readers, given back on drop. It refuses to write.
#[derive(Debug)]
pub struct ReadConnection(Connection);

impl Metadata {
    /// Opens `sqlite://PATH`, creating the file and its folder, or `postgres://USER:PASSWORD@HOST/DATABASE`, and brings
    /// the schema up to date; migrations only go forward, and several openers at once migrate once. A database of a newer
    /// Karat is refused untouched.
    pub fn open(uri: &str) -> Answer<'static, Metadata> {
        let location = Location::of(uri);
        Box::pin(async move {
            let location = location?;
            let place = location.shown();
            let pools = match &location {
                Location::Sqlite(path) => Pools::Sqlite(sqlite::open(path).await?),
                Location::Postgres(options) => Pools::Postgres(postgres::open(options, &place).await?),
            };
            let metadata = Metadata(Arc::new(Inner { place, pools, turn: Arc::default() }));
            migrate::forward(&metadata).await?;
            Ok(metadata)
        })
    }

    /// Whether there is a database of Karat's at this URI; looking makes none.
    pub fn exists(uri: &str) -> Answer<'static, bool> {
        let location = Location::of(uri);
        Box::pin(async move {
            let location = location?;
            match &location {
                Location::Sqlite(path) => Ok(path.exists()),
                Location::Postgres(options) => {
                    let pools = postgres::open(options, &location.shown()).await?;
                    let mut reader = Connection(pools.read(&location.shown()).await?);
                    Ok(migrate::applied(&mut reader).await? > 0)
                }
            }
        })
    }

    /// Where the database is, for people: without its password.
    pub fn place(&self) -> &str {
        &self.0.place
    }

    pub fn dialect(&self) -> Dialect {
        match self.0.pools {
            Pools::Sqlite(_) => Dialect::Sqlite,
            Pools::Postgres(_) => Dialect::Postgres,
        }
    }

    /// A reader; it sees what is committed and never waits for a writer.
    pub fn read(&self) -> Answer<'_, ReadConnection> {
        Box::pin(async move {
            let held = match &self.0.pools {
                Pools::Sqlite(pools) => Held::SqliteReading(pools.read().await?),
                Pools::Postgres(pools) => pools.read(&self.0.place).await?,
            };
            Ok(ReadConnection(Connection(held)))
        })
    }

    /// How often the named generation was bumped; 0 when never. One primary-key look-up, made to be polled.
    pub fn generation<'a>(&'a self, name: &'a str) -> Answer<'a, u64> {
        Box::pin(async move { generations::read(&mut *self.read().await?, name).await })
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Metadata").field(&self.0.place).finish()
    }
}

impl Deref for ReadConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for ReadConnection {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}
