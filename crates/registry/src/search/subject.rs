//! What can be searched: which words name what, which attributes there are, and where they lie in the database.

use super::{Comparator, Comparison, Entity, SearchError, Value, lex::Token};

/// A noun that is searched.
#[derive(Debug)]
pub struct Subject {
    /// The columns that tell one from another, of the searched table.
    pub(super) id: &'static [&'static str],
    pub(super) entities: &'static [(&'static str, Entity)],
    /// As MLflow lists them where a word is none.
    pub(super) known_entities: &'static str,
    pub(super) attributes: &'static [Attribute],
    pub(super) details: &'static [Detail],
    /// For whom `IS NULL` is: as MLflow says it.
    pub(super) null_words: &'static str,
    pub(super) orders_by: &'static [Entity],
    /// Comparisons that every row meets.
    pub(super) always_met: fn(&Comparison) -> bool,
}

#[derive(Debug)]
pub(super) struct Attribute {
    pub name: &'static str,
    /// Other names in filters.
    pub aliases: &'static [&'static str],
    /// Of these those that orders know, too.
    pub order_aliases: &'static [&'static str],
    pub column: &'static str,
    pub kind: AttributeKind,
    pub nullable: bool,
    /// Whether only filters know it, or only orders.
    pub only: Option<For>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttributeKind {
    Text,
    /// Compares with lists as well.
    Id,
    /// A number under the hood, written as text, that has no order.
    NumberedId,
    /// Milliseconds; compares with any number.
    Time,
    /// Milliseconds; compares with whole numbers only.
    WholeTime,
    /// Compares with whole numbers, quoted ones too.
    Number,
}

/// A table of keys and values beside the searched one.
#[derive(Debug)]
pub(super) struct Detail {
    pub entity: Entity,
    pub table: &'static str,
    /// The same with one value a key, to order by.
    pub ordered: &'static str,
    /// The columns that say whose, as the subject's `id` tells them.
    pub owner: &'static [&'static str],
}

pub static RUNS: Subject = Subject {
    id: &["run_id"],
    entities: &[
        ("metric", Entity::Metric),
        ("metrics", Entity::Metric),
        ("parameter", Entity::Param),
        ("parameters", Entity::Param),
        ("param", Entity::Param),
        ("params", Entity::Param),
        ("tag", Entity::Tag),
        ("tags", Entity::Tag),
        ("attribute", Entity::Attribute),
        ("attributes", Entity::Attribute),
        ("attr", Entity::Attribute),
        ("run", Entity::Attribute),
        ("dataset", Entity::Dataset),
        ("datasets", Entity::Dataset),
    ],
    known_entities: "Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']",
    attributes: &[
        attribute("artifact_uri", "r.artifact_uri", AttributeKind::Text),
        Attribute { nullable: true, ..attribute("end_time", "r.end_time_ms", AttributeKind::Time) },
        attribute("run_id", "r.run_id", AttributeKind::Id),
        Attribute {
            aliases: &["run name", "Run name", "Run Name"],
            ..attribute("run_name", "r.name", AttributeKind::Text)
        },
        Attribute {
            aliases: &["created", "Created"],
            order_aliases: &["created", "Created"],
            ..attribute("start_time", "r.start_time_ms", AttributeKind::Time)
        },
        attribute("status", "r.status", AttributeKind::Text),
        attribute("user_id", "r.user_name", AttributeKind::Text),
    ],
    details: &[
        detail(Entity::Metric, "latest_metrics", &["run_id"]),
        detail(Entity::Param, "params", &["run_id"]),
        detail(Entity::Tag, "run_tags", &["run_id"]),
    ],
    null_words: "tags and params",
    orders_by: &[Entity::Attribute, Entity::Metric, Entity::Param, Entity::Tag],
    always_met: |_| false,
};

pub static EXPERIMENTS: Subject = Subject {
    id: &["id"],
    entities: &[("attribute", Entity::Attribute), ("tag", Entity::Tag), ("tags", Entity::Tag)],
    known_entities: "Valid entity types are ('attribute', 'tag', 'tags')",
    attributes: &[
        attribute("creation_time", "r.creation_time_ms", AttributeKind::WholeTime),
        attribute("experiment_id", "r.id", AttributeKind::NumberedId),
        attribute("last_update_time", "r.last_update_time_ms", AttributeKind::WholeTime),
        attribute("name", "r.name", AttributeKind::Text),
    ],
    details: &[detail(Entity::Tag, "experiment_tags", &["experiment_id"])],
    null_words: "tags",
    orders_by: &[Entity::Attribute],
    always_met: |_| false,
};

pub static LOGGED_MODELS: Subject = Subject {
    id: &["model_id"],
    entities: &[
        ("metrics", Entity::Metric),
        ("params", Entity::Param),
        ("tags", Entity::Tag),
        ("attributes", Entity::Attribute),
    ],
    known_entities: "Expected one of ['attributes', 'metrics', 'params', 'tags'].",
    attributes: &[
        Attribute {
            aliases: &["creation_timestamp", "creation_time"],
            order_aliases: &["creation_timestamp", "creation_time"],
            ..attribute("creation_timestamp_ms", "r.creation_time_ms", AttributeKind::Time)
        },
        Attribute {
            aliases: &["last_updated_timestamp", "last_updated_time"],
            order_aliases: &["last_updated_timestamp", "last_updated_time"],
            ..attribute("last_updated_timestamp_ms", "r.last_update_time_ms", AttributeKind::Time)
        },
        attribute("model_id", "r.model_id", AttributeKind::Id),
        attribute("model_type", "r.model_type", AttributeKind::Id),
        attribute("name", "r.name", AttributeKind::Id),
        attribute("source_run_id", "r.source_run_id", AttributeKind::Id),
        attribute("status", "r.status", AttributeKind::Id),
    ],
    details: &[
        Detail {
            ordered: "logged_model_latest_metrics",
            ..detail(Entity::Metric, "logged_model_metrics", &["model_id"])
        },
        detail(Entity::Param, "logged_model_params", &["model_id"]),
        detail(Entity::Tag, "logged_model_tags", &["model_id"]),
    ],
    null_words: "tags and params",
    orders_by: &[Entity::Attribute, Entity::Metric],
    always_met: |_| false,
};

pub static REGISTERED_MODELS: Subject = Subject {
    id: &["name"],
    entities: &[("attribute", Entity::Attribute), ("tag", Entity::Tag), ("tags", Entity::Tag)],
    known_entities: "Valid entity types are ('attribute', 'tag', 'tags')",
    attributes: &[
        attribute("name", "r.name", AttributeKind::Id),
        Attribute {
            order_aliases: &["timestamp"],
            only: Some(For::Order),
            ..attribute("last_updated_timestamp", "r.last_update_time_ms", AttributeKind::Time)
        },
    ],
    details: &[detail(Entity::Tag, "registered_model_tags", &["model"])],
    null_words: "tags",
    orders_by: &[Entity::Attribute],
    always_met: is_no_prompt,
};

/// As clients see it: Karat's own lie behind the server.
const SOURCE: &str = "CASE WHEN r.digest IS NULL THEN r.source ELSE 'mlflow-artifacts:/karat/' || r.source END";

pub static MODEL_VERSIONS: Subject = Subject {
    id: &["model", "version"],
    entities: &[("attribute", Entity::Attribute), ("tag", Entity::Tag), ("tags", Entity::Tag)],
    known_entities: "Valid entity types are ('attribute', 'tag', 'tags')",
    attributes: &[
        Attribute {
            only: Some(For::Order),
            ..attribute("creation_timestamp", "r.creation_time_ms", AttributeKind::Time)
        },
        Attribute {
            only: Some(For::Order),
            ..attribute("last_updated_timestamp", "r.last_update_time_ms", AttributeKind::Time)
        },
        attribute("name", "r.model", AttributeKind::Id),
        Attribute {
            only: Some(For::Filter),
            ..attribute("run_id", "COALESCE(r.run_id, r.source_run_id)", AttributeKind::Id)
        },
        Attribute { only: Some(For::Filter), ..attribute("source_path", SOURCE, AttributeKind::Text) },
        attribute("version_number", "r.version", AttributeKind::Number),
    ],
    details: &[detail(Entity::Tag, "model_version_tags", &["model", "version"])],
    null_words: "tags",
    orders_by: &[Entity::Attribute],
    always_met: is_no_prompt,
};

/// MLflow keeps prompts among models, apart by a tag; its pages ask for what is none.
fn is_no_prompt(comparison: &Comparison) -> bool {
    let wanted = match comparison.comparator {
        Comparator::Equal => "false",
        Comparator::NotEqual => "true",
        _ => return false,
    };
    let value = matches!(&comparison.value, Value::Text(text) if text.eq_ignore_ascii_case(wanted));
    comparison.entity == Entity::Tag && comparison.key == "mlflow.prompt.is_prompt" && value
}

const fn detail(entity: Entity, table: &'static str, owner: &'static [&'static str]) -> Detail {
    Detail { entity, table, ordered: table, owner }
}

const fn attribute(name: &'static str, column: &'static str, kind: AttributeKind) -> Attribute {
    Attribute { name, aliases: &[], order_aliases: &[], column, kind, nullable: false, only: None }
}

/// In whose name a key is looked up: filters know more aliases than orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Filter,
    Order,
}

pub(super) const DATASET_KEYS: [&str; 3] = ["name", "digest", "context"];

impl Subject {
    pub(super) fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    pub(super) fn detail(&self, entity: Entity) -> Option<&'static Detail> {
        self.details.iter().find(|detail| detail.entity == entity)
    }

    /// What a written identifier names; of an attribute its own name, never an alias.
    pub(super) fn identify(
        &self,
        text: &str,
        whose: For,
        wrong: &impl Fn(String) -> SearchError,
    ) -> Result<(Entity, String), SearchError> {
        let (entity, key) = match text.split_once('.') {
            None => (Entity::Attribute, text),
            Some((word, key)) => {
                let word = unquoted(word, &['`']);
                let found = self.entities.iter().find(|(alias, _)| *alias == word);
                let (_, entity) =
                    found.ok_or_else(|| wrong(format!("Invalid entity type '{word}'. {}", self.known_entities)))?;
                (*entity, key)
            }
        };
        let key = unquoted(unquoted(key, &['\'', '"']), &['`']);
        match entity {
            Entity::Attribute => {
                let aliases = |attribute: &Attribute| match whose {
                    For::Filter => attribute.aliases,
                    For::Order => attribute.order_aliases,
                };
                let known = || self.attributes.iter().filter(|one| one.only.is_none_or(|only| only == whose));
                let named = |attribute: &&Attribute| attribute.name == key || aliases(attribute).contains(&key);
                let found = known().find(named);
                let found = found.ok_or_else(|| {
                    let names = |one: &Attribute| [&[one.name], aliases(one)].concat();
                    let mut keys: Vec<String> = known().flat_map(names).map(|name| format!("'{name}'")).collect();
                    keys.sort();
                    let keys = keys.join(", ");
                    wrong(format!("Invalid attribute key '{key}' specified. Valid keys are '{{{keys}}}'"))
                })?;
                Ok((entity, found.name.to_owned()))
            }
            Entity::Dataset if !DATASET_KEYS.contains(&key) => Err(wrong(format!(
                "Invalid dataset key '{key}' specified. Valid keys are '{{'context', 'digest', 'name'}}'"
            ))),
            _ => Ok((entity, key.to_owned())),
        }
    }

    /// The comparators of what is compared.
    pub(super) fn comparators(&self, entity: Entity, key: &str) -> &'static [Comparator] {
        use Comparator::*;
        const NUMBERS: &[Comparator] = &[Less, LessOrEqual, NotEqual, Equal, Greater, GreaterOrEqual];
        const TEXTS: &[Comparator] = &[NotEqual, Equal, ILike, Like];
        const NULLABLE: &[Comparator] = &[NotEqual, Equal, ILike, IsNotNull, IsNull, Like];
        const LISTED: &[Comparator] = &[NotEqual, Equal, ILike, In, Like, NotIn];
        const IDS: &[Comparator] = &[NotEqual, Equal, In, NotIn];
        match entity {
            Entity::Metric => NUMBERS,
            Entity::Param | Entity::Tag => NULLABLE,
            Entity::Dataset => LISTED,
            Entity::Attribute => match self.attribute(key).map(|attribute| attribute.kind) {
                Some(AttributeKind::Time | AttributeKind::WholeTime | AttributeKind::Number) => NUMBERS,
                Some(AttributeKind::NumberedId) => IDS,
                Some(AttributeKind::Id) => LISTED,
                _ => TEXTS,
            },
        }
    }
}

/// Without the quotes around it, where it has these.
pub(super) fn unquoted<'t>(text: &'t str, quotes: &[char]) -> &'t str {
    let inner = |quote: &char| text.strip_prefix(*quote).and_then(|rest| rest.strip_suffix(*quote));
    quotes.iter().find_map(inner).unwrap_or(text)
}

/// An error at a token of `text`, or at its end.
pub(super) fn error_at(text: &str, token: Option<&Token<'_>>, message: impl Into<String>) -> SearchError {
    let at = text[..token.map_or(text.len(), |token| token.start)].chars().count() + 1;
    SearchError { message: message.into(), at }
}
