use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use karat_core::{Digest, Fetching, OnlineError, OnlineStore, StateEntries, StateNote, StateOf, TellNote, WithEach};

/// Where it says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Here,
    Elsewhere,
}

/// An online store whose reads wait until they may go on.
#[derive(Debug)]
pub struct Gated {
    inner: Arc<dyn OnlineStore>,
    place: Place,
    reads: AtomicUsize,
    may_read: (Mutex<bool>, Condvar),
}

impl Gated {
    pub fn new(inner: Arc<dyn OnlineStore>, place: Place) -> Gated {
        Gated { inner, place, reads: AtomicUsize::new(0), may_read: (Mutex::new(false), Condvar::new()) }
    }

    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    pub fn open(&self) {
        *self.may_read.0.lock().unwrap() = true;
        self.may_read.1.notify_all();
    }

    pub async fn wait_for_a_read(&self) {
        while self.reads() == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl OnlineStore for Gated {
    fn is_remote(&self) -> bool {
        self.place == Place::Elsewhere
    }

    fn read(&self, definition: &Digest, key: &[u8], with: &mut dyn FnMut(&[u8])) -> Result<bool, OnlineError> {
        self.inner.read(definition, key, with)
    }

    fn read_each(&self, asked: &[StateOf<'_>], with: WithEach<'_>) -> Result<(), OnlineError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        drop(self.may_read.1.wait_while(self.may_read.0.lock().unwrap(), |may| !*may).unwrap());
        self.inner.read_each(asked, with)
    }

    fn fetch(&self, asked: &[StateOf<'_>]) -> Fetching<'_> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let fetching = self.inner.fetch(asked);
        Box::pin(async {
            while !*self.may_read.0.lock().unwrap() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            fetching.await
        })
    }

    fn put(&self, definition: &Digest, note: &StateNote, entries: StateEntries<'_>) -> Result<(), OnlineError> {
        self.inner.put(definition, note, entries)
    }

    fn put_after(
        &self,
        definition: &Digest,
        expected: &StateNote,
        note: &StateNote,
        entries: StateEntries<'_>,
    ) -> Result<bool, OnlineError> {
        self.inner.put_after(definition, expected, note, entries)
    }

    fn replace_with(
        &self,
        definition: &Digest,
        entries: StateEntries<'_>,
        note: TellNote<'_>,
    ) -> Result<(), OnlineError> {
        self.inner.replace_with(definition, entries, note)
    }

    fn note(&self, definition: &Digest) -> Result<Option<StateNote>, OnlineError> {
        self.inner.note(definition)
    }

    fn scan(&self, definition: &Digest, with: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), OnlineError> {
        self.inner.scan(definition, with)
    }

    fn definitions(&self) -> Result<Vec<(Digest, u64)>, OnlineError> {
        self.inner.definitions()
    }

    fn filling(&self, definition: &Digest) -> Result<Option<StateNote>, OnlineError> {
        self.inner.filling(definition)
    }

    fn begin_filling(
        &self,
        definition: &Digest,
        expected: Option<&StateNote>,
        note: &StateNote,
    ) -> Result<bool, OnlineError> {
        self.inner.begin_filling(definition, expected, note)
    }

    fn fill(
        &self,
        definition: &Digest,
        expected: &StateNote,
        note: &StateNote,
        entries: StateEntries<'_>,
    ) -> Result<bool, OnlineError> {
        self.inner.fill(definition, expected, note, entries)
    }

    fn finish_filling(
        &self,
        definition: &Digest,
        expected: &StateNote,
        entries: StateEntries<'_>,
        note: TellNote<'_>,
    ) -> Result<bool, OnlineError> {
        self.inner.finish_filling(definition, expected, entries, note)
    }

    fn drop_definition(&self, definition: &Digest) -> Result<(), OnlineError> {
        self.inner.drop_definition(definition)
    }
}
