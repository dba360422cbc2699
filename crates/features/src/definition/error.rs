use karat_core::ErrorKind;

/// Why a view cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    #[error("feature `{feature}`: {reason}")]
    Feature {
        feature: String,
        /// The key under which the mistake stands: `expression`, `where`, `window`, `last`, `mean`…; empty for the
        /// feature as a whole.
        part: &'static str,
        reason: String,
    },
    #[error("{0}")]
    View(String),
    #[error(
        "the definition was made with expression semantics {made}, and this Karat computes {ours}: use the Karat that made it, or train anew"
    )]
    Semantics { made: u32, ours: u32 },
}

impl DefinitionError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            DefinitionError::Feature { .. } | DefinitionError::View(_) => ErrorKind::Invalid,
            DefinitionError::Semantics { .. } => ErrorKind::Refused,
        }
    }

    /// Where in the view's file the mistake stands, such as `features.age.expression`.
    pub fn path(&self) -> String {
        match self {
            DefinitionError::Feature { feature, part: "", .. } => format!("features.{feature}"),
            DefinitionError::Feature { feature, part, .. } => format!("features.{feature}.{part}"),
            DefinitionError::View(_) | DefinitionError::Semantics { .. } => String::new(),
        }
    }

    /// Of those that one view has.
    pub(crate) fn first(problems: Vec<DefinitionError>) -> DefinitionError {
        problems.into_iter().next().expect("who fails names a problem")
    }

    pub(crate) fn feature(feature: &str, part: &'static str, reason: impl ToString) -> DefinitionError {
        DefinitionError::Feature { feature: feature.to_owned(), part, reason: reason.to_string() }
    }
}
