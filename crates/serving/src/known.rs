//! What online state has of keys, and whether that is anything.

use std::sync::Arc;

use karat_core::{Fetched, Instant, OnlineStore, Value};
use karat_features::FeatureRow;

use crate::request::Body;
use crate::{ServingError, ServingModel};

/// Keys whose states are read at once from a store that is remote: one round trip.
pub(crate) const TOGETHER: usize = 256;

/// Keys that are looked at on the thread that answers others, too.
const IN_PLACE: usize = 16;

/// The features of one key in every view, with the commits seen.
pub(crate) type ViewRows = Vec<(FeatureRow, u64)>;

/// Where the states of some keys are.
#[derive(Clone, Copy)]
pub(crate) enum States<'s> {
    /// Those of each key are read when they are wanted.
    Stored(&'s dyn OnlineStore),
    /// Of so many keys.
    Fetched(&'s Fetched, usize),
}

impl<'s> States<'s> {
    pub(crate) fn of(online: &'s dyn OnlineStore, fetched: Option<&'s Fetched>, keys: usize) -> States<'s> {
        fetched.map_or(States::Stored(online), |fetched| States::Fetched(fetched, keys))
    }
}

/// States of keys, read before they are wanted, where they are on the other side of a network; the thread is left to others
/// meanwhile.
pub(crate) async fn fetch<'k>(
    online: &dyn OnlineStore,
    model: &ServingModel,
    keys: impl Iterator<Item = &'k [Value]>,
) -> Result<Option<Fetched>, ServingError> {
    match to_read_ahead(online, keys) {
        Some(keys) => Ok(Some(model.with_states(&keys, |asked| online.fetch(asked)).await?)),
        None => Ok(None),
    }
}

/// As [`fetch`], on a thread that may wait.
pub(crate) fn read_ahead<'k>(
    online: &dyn OnlineStore,
    model: &ServingModel,
    keys: impl Iterator<Item = &'k [Value]>,
) -> Result<Option<Fetched>, ServingError> {
    let keys = to_read_ahead(online, keys);
    let read =
        |keys: Vec<&[Value]>| model.with_states(&keys, |asked| Fetched::of(|with| online.read_each(asked, with)));
    Ok(keys.map(read).transpose()?)
}

fn to_read_ahead<'k>(online: &dyn OnlineStore, keys: impl Iterator<Item = &'k [Value]>) -> Option<Vec<&'k [Value]>> {
    online.is_remote().then(|| keys.collect::<Vec<_>>()).filter(|keys| !keys.is_empty())
}

/// The features in every view, each by its own part of the key, all of one moment of the online store. `place` is the key's among
/// those whose states they are.
pub(crate) fn rows(
    states: States<'_>,
    model: &ServingModel,
    place: usize,
    key: &[Value],
    as_of: Instant,
) -> Result<ViewRows, ServingError> {
    let mut rows = Vec::with_capacity(model.views().len());
    let mut failed = None;
    let mut take = |view: usize, note: &[u8], state: Option<&[u8]>| {
        // A view that is passed over is missed below.
        if failed.is_none() && view == rows.len() {
            match model.views()[view].fold(note, state, as_of) {
                Ok(row) => rows.push(row),
                Err(error) => failed = Some(error),
            }
        }
    };
    match states {
        States::Stored(online) => model.with_states(&[key], |asked| online.read_each(asked, &mut take))?,
        States::Fetched(fetched, keys) => {
            for view in 0..model.views().len() {
                if let Some((note, state)) = fetched.get(view * keys + place) {
                    take(view, note, state);
                }
            }
        }
    }
    match (failed, model.pinned.views.get(rows.len())) {
        (Some(error), _) => Err(error),
        (None, Some(missing)) => Err(ServingError::NotMaterialized { view: missing.name.to_string() }),
        (None, None) => Ok(rows),
    }
}

/// An error, where no view has anything of a key.
pub(crate) fn refuse_unknown(model: &ServingModel, key: &[Value], rows: &ViewRows) -> Result<(), ServingError> {
    match !rows.is_empty() && rows.iter().all(|(row, _)| row.no_history) {
        true => Err(ServingError::UnknownKey { subject: model.pinned.subject(key) }),
        false => Ok(()),
    }
}

fn refuse_any_unknown(
    states: States<'_>,
    model: &ServingModel,
    keys: &[&[Value]],
    as_of: Instant,
) -> Result<(), ServingError> {
    let mut keys = keys.iter().enumerate();
    keys.try_for_each(|(place, key)| refuse_unknown(model, key, &rows(states, model, place, key, as_of)?))
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
        let fetched = fetch(online.as_ref(), model, keys.iter().copied()).await?;
        let states = States::of(online.as_ref(), fetched.as_ref(), keys.len());
        return refuse_any_unknown(states, model, &keys, as_of);
    }
    let keys: Vec<Vec<Value>> = keys.into_iter().map(<[Value]>::to_vec).collect();
    let asked = keys.len();
    let (online, model) = (online.clone(), model.clone());
    let look = move || {
        keys.chunks(TOGETHER).try_for_each(|keys| {
            let keys: Vec<&[Value]> = keys.iter().map(Vec::as_slice).collect();
            let fetched = read_ahead(online.as_ref(), &model, keys.iter().copied())?;
            refuse_any_unknown(States::of(online.as_ref(), fetched.as_ref(), keys.len()), &model, &keys, as_of)
        })
    };
    match tokio::task::spawn_blocking(look).await {
        Ok(looked) => looked,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(ServingError::Abandoned { decided: 0, asked }),
    }
}
