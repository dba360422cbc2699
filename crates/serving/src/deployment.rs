use std::sync::Arc;

use arc_swap::ArcSwap;
use indexmap::IndexMap;
use karat_core::key::KeyError;
use karat_core::{Clock, Column, Instant, KeyView, Name, OnlineStore, StateOf, Value, ValueError, key, nearest};
use karat_features::{FeatureRow, encode_key};

use crate::request::{as_of_text, shorten};
use crate::{Endpoint, FeatureRef, ReadView, ServingError};

/// Everything a server answers from. What it holds is replaced as a whole when a release or an alias changes;
/// requests under way finish with what they began with.
#[derive(Debug)]
pub struct Deployment {
    online: Arc<dyn OnlineStore>,
    clock: Arc<dyn Clock>,
    served: ArcSwap<Served>,
}

/// One state of a deployment.
#[derive(Debug, Default)]
pub struct Served {
    pub project: String,
    pub release: u64,
    pub endpoints: IndexMap<Name, Arc<Endpoint>>,
    pub views: IndexMap<Name, Arc<ServedView>>,
    /// Features that are asked for under one name.
    pub services: IndexMap<Name, Vec<FeatureRef>>,
}

/// A view whose features can be read by key.
#[derive(Debug)]
pub struct ServedView {
    pub name: Name,
    pub read: ReadView,
}

/// The features of one key.
#[derive(Debug, Clone)]
pub struct ViewAnswer {
    pub view: Arc<ServedView>,
    pub key: Vec<Value>,
    pub as_of: Instant,
    /// The newest commit of the view's source that was seen.
    pub commit: u64,
    pub row: FeatureRow,
}

impl ServedView {
    pub fn key_columns(&self) -> &[Column] {
        self.read.view.key_columns()
    }
}

impl ViewAnswer {
    pub fn key(&self) -> KeyView<'_> {
        KeyView::new(self.view.key_columns(), &self.key)
    }
}

impl Deployment {
    pub fn new(online: Arc<dyn OnlineStore>, clock: Arc<dyn Clock>) -> Deployment {
        Deployment { online, clock, served: ArcSwap::default() }
    }

    pub fn replace(&self, served: Served) {
        self.served.store(Arc::new(served));
    }

    pub fn served(&self) -> Arc<Served> {
        self.served.load_full()
    }

    /// Whether features can be read: an error says why not. May wait for the online store.
    pub fn check(&self) -> Result<(), ServingError> {
        match self.served().views.values().next() {
            Some(view) => Ok(self.online.note(&view.read.definition).map(drop)?),
            None => Ok(()),
        }
    }

    pub(crate) fn online(&self) -> &dyn OnlineStore {
        self.online.as_ref()
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub fn endpoint(&self, name: &str) -> Result<Arc<Endpoint>, ServingError> {
        let served = self.served.load();
        served.endpoints.get(name).cloned().ok_or_else(|| unknown("endpoint", name, served.endpoints.keys()))
    }

    /// Whether features are on the other side of a network.
    pub fn is_remote(&self) -> bool {
        self.online.is_remote()
    }

    pub fn view(&self, name: &str) -> Result<Arc<ServedView>, ServingError> {
        let served = self.served.load();
        served.views.get(name).cloned().ok_or_else(|| unknown("feature view", name, served.views.keys()))
    }

    /// The features of a key [written as text](karat_core::key::parse), as of an instant written with its offset (default: now).
    pub async fn features(&self, view: &str, key: &str, as_of: Option<&str>) -> Result<ViewAnswer, ServingError> {
        let as_of = as_of.map(as_of_text).transpose()?;
        let view = self.view(view)?;
        let key = key::parse(view.key_columns(), key).map_err(wrong_key)?;
        let as_of = as_of.unwrap_or_else(|| self.clock.now());
        let fetched =
            self.online.fetch(&[StateOf { definition: &view.read.definition, key: &encode_key(&key) }]).await?;
        let missing = || ServingError::NotMaterialized { view: view.name.to_string() };
        let (note, state) = fetched.get(0).ok_or_else(missing)?;
        let (row, commit) = view.read.fold(note, state, as_of)?;
        Ok(ViewAnswer { view, key, as_of, commit, row })
    }
}

fn wrong_key(error: KeyError) -> ServingError {
    let field = error.column().map_or_else(|| "key".to_owned(), shorten);
    let error = match error {
        KeyError::Value { column, error } => {
            KeyError::Value { column, error: ValueError { value: shorten(&error.value), ..error } }
        }
        KeyError::Form { column, problem, form } => KeyError::Form { column, problem: shorten(&problem), form },
    };
    ServingError::Field { field, message: error.to_string() }
}

pub(crate) fn unknown<'a>(kind: &'static str, name: &str, known: impl Iterator<Item = &'a Name>) -> ServingError {
    let known: Vec<&str> = known.map(Name::as_str).collect();
    let name = &shorten(name);
    let hint = match nearest(name, known.iter().copied()) {
        Some(like) => format!("did you mean `{like}`?"),
        None if known.is_empty() => format!("this project has no {kind}"),
        None => format!("there are {}", known.join(", ")),
    };
    ServingError::NotFound { kind, name: name.clone(), hint }
}
