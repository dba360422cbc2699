//! What online state has of keys, and whether that is anything.

use std::sync::Arc;

use karat_core::{Fetched, Instant, OnlineError, OnlineStore, Value, WithEach};
use karat_features::FeatureRow;

use crate::request::Body;
use crate::{ServingError, ServingModel};

/// Keys whose states are read at once: one round trip to a store that is remote, which others wait for.
pub(crate) const TOGETHER: usize = 256;

/// Keys that are looked at on the thread that answers others, too.
const IN_PLACE: usize = 16;

/// The features of one key in every view, with the commits seen.
pub(crate) type ViewRows = Vec<(FeatureRow, u64)>;

/// The features of each key in every view, each by its own part of the key, all of one moment of the online store.
pub(crate) fn rows(
    online: &dyn OnlineStore,
    model: &ServingModel,
    keys: &[&[Value]],
    as_of: Instant,
) -> Result<Vec<ViewRows>, ServingError> {
    model.with_states(keys, |states| fold(model, keys.len(), as_of, |take| online.read_each(states, take)))
}

/// States of keys, for [`fetched_rows`]; the thread is left to others where a network is waited for.
pub(crate) async fn fetch(
    online: &dyn OnlineStore,
    model: &ServingModel,
    keys: &[&[Value]],
) -> Result<Fetched, ServingError> {
    Ok(model.with_states(keys, |states| online.fetch(states)).await?)
}

/// As [`rows`], of what was fetched for so many keys.
pub(crate) fn fetched_rows(
    fetched: &Fetched,
    model: &ServingModel,
    keys: usize,
    as_of: Instant,
) -> Result<Vec<ViewRows>, ServingError> {
    fold(model, keys, as_of, |take| {
        fetched.each(take);
        Ok(())
    })
}

/// States come view by view, each with all keys in their order.
fn fold(
    model: &ServingModel,
    keys: usize,
    as_of: Instant,
    each: impl FnOnce(WithEach<'_>) -> Result<(), OnlineError>,
) -> Result<Vec<ViewRows>, ServingError> {
    let views = model.views();
    let mut rows: Vec<ViewRows> = (0..keys).map(|_| Vec::with_capacity(views.len())).collect();
    let mut folded = 0;
    let mut failed = None;
    each(&mut |place, note, state| {
        // A place that is passed over is missed below.
        if failed.is_none() && place == folded {
            match views[place / keys].fold(note, state, as_of) {
                Ok(row) => rows[place % keys].push(row),
                Err(error) => failed = Some(error),
            }
            folded += 1;
        }
    })?;
    match (failed, folded < keys * views.len()) {
        (Some(error), _) => Err(error),
        (None, true) => Err(ServingError::NotMaterialized { view: model.pinned.views[folded / keys].name.to_string() }),
        (None, false) => Ok(rows),
    }
}

/// An error, where no view has anything of a key.
pub(crate) fn refuse_unknown(model: &ServingModel, key: &[Value], rows: &ViewRows) -> Result<(), ServingError> {
    match !rows.is_empty() && rows.iter().all(|(row, _)| row.no_history) {
        true => Err(ServingError::UnknownKey { subject: model.pinned.subject(key) }),
        false => Ok(()),
    }
}

fn refuse_any_unknown(model: &ServingModel, keys: &[&[Value]], rows: &[ViewRows]) -> Result<(), ServingError> {
    keys.iter().zip(rows).try_for_each(|(key, rows)| refuse_unknown(model, key, rows))
}

/// As [`refuse_unknown`], of every key of a request. What takes its time leaves the thread it is called on.
pub(crate) async fn refuse_unknown_keys(
    online: &Arc<dyn OnlineStore>,
    model: &Arc<ServingModel>,
    body: &Body,
    as_of: Instant,
) -> Result<(), ServingError> {
    let keys: Vec<&[Value]> = body.keys().collect();
    if keys.len() <= IN_PLACE {
        let rows = match online.is_remote() {
            true => fetched_rows(&fetch(online.as_ref(), model, &keys).await?, model, keys.len(), as_of)?,
            false => rows(online.as_ref(), model, &keys, as_of)?,
        };
        return refuse_any_unknown(model, &keys, &rows);
    }
    let keys: Vec<Vec<Value>> = keys.into_iter().map(<[Value]>::to_vec).collect();
    let asked = keys.len();
    let (online, model) = (online.clone(), model.clone());
    let look = move || {
        keys.chunks(TOGETHER).try_for_each(|keys| {
            let keys: Vec<&[Value]> = keys.iter().map(Vec::as_slice).collect();
            refuse_any_unknown(&model, &keys, &rows(online.as_ref(), &model, &keys, as_of)?)
        })
    };
    match tokio::task::spawn_blocking(look).await {
        Ok(looked) => looked,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(ServingError::Abandoned { decided: 0, asked }),
    }
}
