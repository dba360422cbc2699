//! A log's own thread, for what would keep its callers waiting: full segments are sealed, groups brought to disk.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use super::append::Shared;
use crate::HistoryError;

pub(super) struct Keeper {
    tasks: Option<Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

enum Task {
    Commit,
    Seal,
}

impl Keeper {
    pub(super) fn start(shared: Arc<Shared>) -> Result<Keeper, HistoryError> {
        let (tasks, given) = mpsc::channel();
        let dir = shared.dir().to_path_buf();
        let work = move || {
            while let Ok(task) = given.recv() {
                let full = match task {
                    Task::Commit => shared.commit(),
                    Task::Seal => true,
                };
                if full {
                    shared.seal_or_warn();
                }
            }
        };
        let thread = std::thread::Builder::new().name("karat-log-keeper".to_owned()).spawn(work);
        Ok(Keeper { tasks: Some(tasks), thread: Some(thread.map_err(HistoryError::io(&dir))?) })
    }

    /// Writes the open group, soon.
    pub(super) fn commit(&self) {
        self.give(Task::Commit);
    }

    /// Seals the active segment, soon, if it is full then.
    pub(super) fn seal(&self) {
        self.give(Task::Seal);
    }

    fn give(&self, task: Task) {
        let tasks = self.tasks.as_ref().expect("taken away only when the log is dropped");
        if tasks.send(task).is_err() {
            tracing::error!("the log's thread has ended; what it had to do is not done");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.tasks = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the log's thread panicked");
        }
    }
}
