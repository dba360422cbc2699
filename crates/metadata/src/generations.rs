//! Counters that move whenever something changed, so that a server polls one cheap row in place of many tables.

use crate::{Answer, Connection, WriteTx, query, query_scalar};

/// Moves the counter inside the transaction of the change: who sees the new count sees the change.
pub fn bump<'a>(transaction: &'a mut WriteTx, name: &'a str) -> Answer<'a, ()> {
    Box::pin(async move {
        query(
            "INSERT INTO generations (name, value) VALUES ($1, 1) \
             ON CONFLICT (name) DO UPDATE SET value = generations.value + 1",
        )
        .bind(name)
        .execute(transaction)
        .await?;
        Ok(())
    })
}

pub fn read<'a>(connection: &'a mut Connection, name: &'a str) -> Answer<'a, u64> {
    Box::pin(async move {
        let value: Option<i64> =
            query_scalar("SELECT value FROM generations WHERE name = $1").bind(name).fetch_optional(connection).await?;
        Ok(value.map_or(0, i64::unsigned_abs))
    })
}
