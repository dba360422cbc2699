//! What online state has of a key, and whether that is anything.

use std::sync::Arc;

use karat_core::{Instant, OnlineStore, Value};
use karat_features::FeatureRow;

use crate::request::{Body, Subject};
use crate::{ServingError, ServingModel};

/// Keys that are looked at on the thread that answers others, too, where the store is at hand.
const IN_PLACE: usize = 16;

/// The features in every view, each by its own part of the key, all of one moment of the online store, with the commits
/// seen.
pub(crate) fn rows(
    online: &dyn OnlineStore,
    model: &ServingModel,
    key: &[Value],
    as_of: Instant,
) -> Result<Vec<(FeatureRow, u64)>, ServingError> {
    let mut rows = Vec::with_capacity(model.views().len());
    let mut failed = None;
    let mut take = |place: usize, note: &[u8], state: Option<&[u8]>| {
        // A place that is passed over is missed below.
        if failed.is_none() && place == rows.len() {
            match model.views()[place].fold(note, state, as_of) {
                Ok(row) => rows.push(row),
                Err(error) => failed = Some(error),
            }
        }
    };
    model.with_states(key, |states| online.read_each(states, &mut take))?;
    match (failed, model.pinned.views.get(rows.len())) {
        (Some(error), _) => Err(error),
        (None, Some(missing)) => Err(ServingError::NotMaterialized { view: missing.name.to_string() }),
        (None, None) => Ok(rows),
    }
}

/// An error, where no view has anything of a key.
pub(crate) fn refuse_unknown(
    model: &ServingModel,
    key: &[Value],
    rows: &[(FeatureRow, u64)],
) -> Result<(), ServingError> {
    match !rows.is_empty() && rows.iter().all(|(row, _)| row.no_history) {
        true => Err(ServingError::UnknownKey { subject: model.pinned.subject(key) }),
        false => Ok(()),
    }
}

/// As [`refuse_unknown`], of every key of a request. What takes its time leaves the thread it is called on.
pub(crate) async fn refuse_unknown_keys(
    online: &Arc<dyn OnlineStore>,
    model: &Arc<ServingModel>,
    body: &Body,
    as_of: Instant,
) -> Result<(), ServingError> {
    let keys = body.subjects.iter().filter_map(|subject| match subject {
        Subject::Key(key) => Some(key),
        Subject::Row { .. } => None,
    });
    let keys: Vec<Vec<Value>> = keys.cloned().collect();
    let asked = keys.len();
    let few = asked <= IN_PLACE && !online.is_remote();
    let (online, model) = (online.clone(), model.clone());
    let look = move || {
        keys.iter().try_for_each(|key| refuse_unknown(&model, key, &rows(online.as_ref(), &model, key, as_of)?))
    };
    if few {
        return look();
    }
    match tokio::task::spawn_blocking(look).await {
        Ok(looked) => looked,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(ServingError::Abandoned { decided: 0, asked }),
    }
}
