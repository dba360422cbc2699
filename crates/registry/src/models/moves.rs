//! The history of an alias, and what rolling back means.

use karat_metadata::{Connection, Row, query, stored};

use super::{AliasAction, AliasMove};
use crate::{Answer, Registry, RegistryError};

impl Registry {
    /// Every move of the alias, the oldest first.
    pub fn alias_moves<'a>(&'a self, model: &'a str, alias: &'a str) -> Answer<'a, Vec<AliasMove>> {
        Box::pin(async move { moves(&mut *self.metadata.read().await?, model, alias).await })
    }
}

pub(super) async fn moves(
    connection: &mut Connection,
    model: &str,
    alias: &str,
) -> Result<Vec<AliasMove>, RegistryError> {
    let rows = query("SELECT * FROM alias_moves WHERE model = $1 AND alias = $2 ORDER BY id")
        .bind(model)
        .bind(alias)
        .fetch_all(connection)
        .await?;
    rows.iter().map(move_of).collect()
}

/// Every move of every alias, the oldest first.
pub(super) async fn all_moves(connection: &mut Connection, model: &str) -> Result<Vec<AliasMove>, RegistryError> {
    let rows =
        query("SELECT * FROM alias_moves WHERE model = $1 ORDER BY id").bind(model).fetch_all(connection).await?;
    rows.iter().map(move_of).collect()
}

/// The holder after these moves of one alias, and the move that made it so.
pub(super) fn holder_at(moves: &[AliasMove]) -> Option<(u64, &AliasMove)> {
    let last = moves.last()?;
    Some((last.version?, last))
}

/// Whom a rollback would bring back. Moves undo like steps in an editor: after a rollback the next one goes further back,
/// and a deleted alias comes back to the holder it was deleted from.
pub(super) fn holder_before(moves: &[AliasMove]) -> Option<u64> {
    let mut holders: Vec<Option<u64>> = Vec::new();
    for step in moves {
        match step.action {
            AliasAction::Set | AliasAction::Delete => holders.push(step.version),
            AliasAction::Rollback => {
                holders.pop();
            }
        }
    }
    holders.pop();
    holders.pop().flatten()
}

fn move_of(row: &Row) -> Result<AliasMove, RegistryError> {
    let version: Option<i64> = row.get("version")?;
    Ok(AliasMove {
        id: stored::int(row, "id")?,
        alias: stored::text(row, "alias")?,
        action: stored::word(row, "action", AliasAction::parse)?,
        version: version.map(i64::unsigned_abs),
        at: stored::instant(row, "at")?,
        actor: stored::text(row, "actor")?,
        why: stored::text(row, "why")?,
    })
}

#[cfg(test)]
mod tests {
    use karat_core::Instant;

    use super::*;

    /// `1 2 <` sets 1, sets 2, rolls back; `x` deletes.
    fn after(steps: &str) -> Option<u64> {
        let mut moves = Vec::new();
        for step in steps.split_whitespace() {
            let (action, version) = match step {
                "<" => (AliasAction::Rollback, holder_before(&moves)),
                "x" => (AliasAction::Delete, None),
                number => (AliasAction::Set, Some(number.parse().unwrap())),
            };
            let at = Instant::from_micros(0);
            moves.push(AliasMove { id: 0, alias: "a".into(), action, version, at, actor: "a".into(), why: "".into() });
        }
        holder_before(&moves)
    }

    #[test]
    fn rollbacks_go_back_step_by_step() {
        let cases = [
            ("", None),
            ("1", None),
            ("1 2", Some(1)),
            ("1 2 3", Some(2)),
            ("1 2 3 <", Some(1)),
            ("1 2 3 < <", None),
            ("1 2 < 3", Some(1)),
            ("1 2 1", Some(2)),
            ("1 x", Some(1)),
            ("1 2 x <", Some(1)),
            ("1 x 2", None),
        ];
        for (steps, expected) in cases {
            assert_eq!(after(steps), expected, "{steps}");
        }
    }
}
