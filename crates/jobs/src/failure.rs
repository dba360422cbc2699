use karat_core::{ErrorKind, Name, OnlineError, nearest};

/// What was asked for cannot be meant: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// What was named does not exist: exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotFound(pub String);

/// So many names are listed where none of them is near.
const LISTED: usize = 12;

impl NotFound {
    /// Nothing of this kind has this name; the nearest of the `known` ones is suggested, or a few of them are listed.
    pub(crate) fn named<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a Name>) -> NotFound {
        let known: Vec<&str> = known.map(Name::as_str).collect();
        let hint = match nearest(name, known.iter().copied()) {
            Some(like) => format!("; did you mean `{like}`?"),
            None if (1..=LISTED).contains(&known.len()) => format!("; it has {}", known.join(", ")),
            None => String::new(),
        };
        NotFound(format!("there is no {kind} `{name}` in this project{hint}"))
    }
}

/// The kind of an error a job ended with: that of the first cause that has one.
pub fn kind_of(error: &anyhow::Error) -> ErrorKind {
    error.chain().find_map(kind_of_cause).unwrap_or(ErrorKind::Internal)
}

fn kind_of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<ErrorKind> {
    macro_rules! kinds {
        ($($type:ty),+ $(,)?) => {
            $(if let Some(error) = cause.downcast_ref::<$type>() {
                return Some(error.kind());
            })+
        };
    }
    kinds!(
        karat_project::Problems,
        karat_project::WriteError,
        karat_query::QueryError,
        karat_history::HistoryError,
        karat_metadata::MetadataError,
        karat_registry::RegistryError,
        karat_training::TrainingError,
        karat_model::ModelError,
        karat_serving::ServingError,
        karat_features::FeatureError,
        crate::push::PushError,
    );
    if let Some(error) = cause.downcast_ref::<OnlineError>() {
        return Some(error.kind);
    }
    if cause.is::<Usage>() || cause.is::<crate::init::Unclear>() {
        return Some(ErrorKind::Invalid);
    }
    cause.is::<NotFound>().then_some(ErrorKind::NotFound)
}
