//! Reading: one round trip a call, all of one moment, whatever was read; a scan is many.

use std::future::ready;

use ::redis::{Cmd, Value};
use karat_core::{
    Digest, ErrorKind, Fetched, Fetching, OnlineError, StateNote, StateOf, WithEach, by_definition, kept_key,
};

use super::RedisStore;
use super::scripts::Script;

/// How many keys one step of a scan takes.
const SCAN_KEYS: usize = 500;

/// How much of a state with a [head](karat_core::HEADED) is read.
#[derive(Debug, Clone, Copy)]
enum Part {
    Head,
    Whole,
}

impl Part {
    /// In the script.
    fn name(self) -> &'static str {
        match self {
            Part::Head => "head",
            Part::Whole => "whole",
        }
    }
}

/// A definition's generations; an empty base is `None`.
pub(super) struct Generations {
    pub base: Option<Vec<u8>>,
    pub overlay: Option<Vec<u8>>,
}

impl RedisStore {
    pub(super) fn read_states_noted(&self, asked: &[StateOf<'_>], with: WithEach<'_>) -> Result<(), OnlineError> {
        if asked.is_empty() {
            return Ok(());
        }
        self.read_now(Part::Head, asked)?.each(with);
        Ok(())
    }

    pub(super) fn read_whole(&self, asked: &StateOf<'_>, with: WithEach<'_>) -> Result<(), OnlineError> {
        self.read_now(Part::Whole, std::slice::from_ref(asked))?.each(with);
        Ok(())
    }

    /// The connection is back in the pool before anything is called, which may read, too.
    fn read_now(&self, part: Part, asked: &[StateOf<'_>]) -> Result<Fetched, OnlineError> {
        let (command, runs) = self.reading(part, asked);
        let answer = self.pool.call(&command)?;
        self.fetched(answer, runs)
    }

    pub(super) fn fetch_states(&self, asked: &[StateOf<'_>]) -> Fetching<'_> {
        if asked.is_empty() {
            return Box::pin(ready(Ok(Fetched::default())));
        }
        let (command, runs) = self.reading(Part::Head, asked);
        Box::pin(async move { self.fetched(self.shared.call(&command).await?, runs) })
    }

    /// What asks for them, and how many keys of each definition.
    fn reading(&self, part: Part, asked: &[StateOf<'_>]) -> (Cmd, Vec<usize>) {
        let mut command = self.server.script(Script::Read);
        command.arg(part.name());
        let mut runs = Vec::new();
        for run in by_definition(asked) {
            runs.push(run.len());
            command.arg(run[0].definition.as_str()).arg(run.len());
            run.iter().for_each(|state| {
                command.arg(kept_key(state.key).as_ref());
            });
        }
        (command, runs)
    }

    /// An answer to so many keys of each definition.
    fn fetched(&self, answer: Value, runs: Vec<usize>) -> Result<Fetched, OnlineError> {
        let mut answers = self.list(answer)?.into_iter();
        let mut next = || answers.next().ok_or_else(|| self.server.unexpected("a read was answered in part"));
        let mut fetched = Fetched::default();
        for keys in runs {
            let note = self.bytes(next()?)?;
            let states: Vec<Option<Vec<u8>>> = (0..keys).map(|_| self.bytes(next()?)).collect::<Result<_, _>>()?;
            fetched.push(note, states);
        }
        Ok(fetched)
    }

    pub(super) fn read_note(&self, definition: &Digest) -> Result<Option<StateNote>, OnlineError> {
        let record = self.server.name(&format!("definition:{definition}"));
        let answer = self.pool.call(::redis::cmd("HGET").arg(record).arg("note"))?;
        self.bytes(answer)
    }

    pub(super) fn list_definitions(&self) -> Result<Vec<(Digest, u64)>, OnlineError> {
        let answer = self.pool.call(&self.server.script(Script::List))?;
        let mut answers = self.list(answer)?.into_iter();
        let mut definitions = Vec::new();
        while let (Some(digest), Some(keys)) = (answers.next(), answers.next()) {
            let digest = self.text(digest)?.and_then(|text| Digest::parse(&text));
            let digest = digest.ok_or_else(|| self.server.unexpected("a definition is not under a digest"))?;
            let keys = self.text(keys)?.and_then(|text| text.parse().ok());
            definitions.push((digest, keys.ok_or_else(|| self.server.unexpected("a number of keys is unreadable"))?));
        }
        definitions.sort_unstable();
        Ok(definitions)
    }

    /// Redis keeps keys in no order: all of them are held here, and sorted, before the first state is asked for.
    pub(super) fn scan_states(
        &self,
        definition: &Digest,
        with: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), OnlineError> {
        let Some(Generations { base: Some(base), overlay }) = self.generations(definition)? else { return Ok(()) };
        let mut keys = Vec::new();
        // An overlay merged in between is found again in the base.
        for generation in overlay.iter().chain([&base]) {
            self.collect_keys(definition, &base, generation, &mut keys)?;
        }
        keys.sort_unstable();
        keys.dedup();
        for keys in keys.chunks(SCAN_KEYS) {
            let mut command = self.server.script(Script::Many);
            command.arg(definition.as_str()).arg(&base).arg(keys);
            let answer = self.pool.call(&command)?;
            for (key, state) in keys.iter().zip(self.page(answer)?) {
                let state = self.bytes(state)?;
                with(key, &state.ok_or_else(|| self.server.unexpected("a state has gone"))?);
            }
        }
        Ok(())
    }

    fn collect_keys(
        &self,
        definition: &Digest,
        base: &[u8],
        generation: &[u8],
        keys: &mut Vec<Vec<u8>>,
    ) -> Result<(), OnlineError> {
        let mut cursor = b"0".to_vec();
        loop {
            let mut command = self.server.script(Script::Keys);
            command.arg(definition.as_str()).arg(base).arg(generation).arg(&cursor).arg(SCAN_KEYS);
            let answer = self.pool.call(&command)?;
            let mut page = self.page(answer)?.into_iter();
            let next = page.next().map(|next| self.bytes(next)).transpose()?.flatten();
            for key in page {
                keys.extend(self.bytes(key)?);
            }
            match next {
                Some(next) if next != b"0" => cursor = next,
                _ => return Ok(()),
            }
        }
    }

    /// `None` for a definition never written.
    pub(super) fn generations(&self, definition: &Digest) -> Result<Option<Generations>, OnlineError> {
        let record = self.server.name(&format!("definition:{definition}"));
        let answer = self.pool.call(::redis::cmd("HMGET").arg(record).arg("base").arg("overlay").arg("keys"))?;
        let fields: Vec<Option<Vec<u8>>> =
            self.list(answer)?.into_iter().map(|field| self.bytes(field)).collect::<Result<_, _>>()?;
        match <[Option<Vec<u8>>; 3]>::try_from(fields) {
            Ok([Some(base), overlay, keys]) => {
                let is_empty = keys.as_deref() == Some(b"0");
                Ok(Some(Generations { base: Some(base).filter(|_| !is_empty), overlay }))
            }
            _ => Ok(None),
        }
    }

    /// A page of a scan; `Nil` says that the definition was replaced, and what was read is of two moments.
    fn page(&self, answer: Value) -> Result<Vec<Value>, OnlineError> {
        if answer == Value::Nil {
            let message = format!("{}: the state was replaced while it was read: read it again", self.server.place);
            return Err(OnlineError { kind: ErrorKind::Conflict, message });
        }
        self.list(answer)
    }

    fn list(&self, value: Value) -> Result<Vec<Value>, OnlineError> {
        match value {
            Value::Array(values) => Ok(values),
            _ => Err(self.server.unexpected("an answer is no list")),
        }
    }

    pub(super) fn bytes(&self, value: Value) -> Result<Option<Vec<u8>>, OnlineError> {
        match value {
            Value::BulkString(bytes) => Ok(Some(bytes)),
            Value::Nil => Ok(None),
            _ => Err(self.server.unexpected("an answer is no string")),
        }
    }

    fn text(&self, value: Value) -> Result<Option<String>, OnlineError> {
        Ok(self.bytes(value)?.and_then(|bytes| String::from_utf8(bytes).ok()))
    }
}
