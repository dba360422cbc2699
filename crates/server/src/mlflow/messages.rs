//! Runs' messages, kept from answer to answer for as long as their runs stay as they are: pages and scripts ask for the same
//! runs over and over.

use std::collections::HashMap;
use std::sync::Arc;

use karat_core::RunId;
use karat_registry::{Registry, RunRevision};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::error::MlflowError;
use super::wire::RunMessage;

/// Bytes of messages that are kept at most.
const MOST_BYTES: u64 = 64 << 20;
/// A message's bytes, about.
const MESSAGE: usize = 2 << 10;

/// A run's message, as JSON.
#[derive(Debug)]
pub struct Message {
    revision: i64,
    pub json: Vec<u8>,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<RunId, Arc<Message>> for Bytes {
    fn weight(&self, run_id: &RunId, message: &Arc<Message>) -> u64 {
        (run_id.as_str().len() + message.json.len() + size_of::<Message>()) as u64
    }
}

/// The messages of runs by their ids, those asked for lately.
pub struct Messages(Cache<RunId, Arc<Message>, Bytes>);

impl Messages {
    pub fn new() -> Messages {
        Messages(Cache::with_weighter(MOST_BYTES as usize / MESSAGE, MOST_BYTES, Bytes))
    }

    /// Of these runs, in their order, at these revisions or newer ones; a run that is no more is left out.
    pub async fn of(&self, registry: &Registry, runs: &[RunRevision]) -> Result<Vec<Arc<Message>>, MlflowError> {
        let kept: Vec<Option<Arc<Message>>> = runs.iter().map(|run| self.kept(run)).collect();
        let unkept = runs.iter().zip(&kept).filter(|(_, kept)| kept.is_none());
        let missing: Vec<&str> = unkept.map(|(run, _)| run.run_id.as_str()).collect();
        let mut read = if missing.is_empty() { HashMap::new() } else { self.read(registry, &missing).await? };
        let each = runs.iter().zip(kept).filter_map(|(run, kept)| kept.or_else(|| read.remove(&run.run_id)));
        Ok(each.collect())
    }

    fn kept(&self, run: &RunRevision) -> Option<Arc<Message>> {
        self.0.get(&run.run_id).filter(|message| message.revision == run.revision)
    }

    async fn read(&self, registry: &Registry, ids: &[&str]) -> Result<HashMap<RunId, Arc<Message>>, MlflowError> {
        let runs = registry.runs_by_ids(ids).await?;
        let mut read = HashMap::with_capacity(runs.len());
        for (RunRevision { run_id, revision }, run) in &runs {
            let json = serde_json::to_vec(&RunMessage::from(run))
                .map_err(|error| MlflowError::internal(format!("run {run_id}: {error}")))?;
            let message = Arc::new(Message { revision: *revision, json });
            self.0.insert(run_id.clone(), message.clone());
            read.insert(run_id.clone(), message);
        }
        Ok(read)
    }
}
