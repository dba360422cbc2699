use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What a served value must satisfy; a failure is reported in `qa_failures`, a log line and a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "check", rename_all = "snake_case", deny_unknown_fields)]
pub enum FeatureCheck {
    NotNull {
        #[serde(default, skip_serializing_if = "OnFailure::is_report")]
        on_failure: OnFailure,
    },
    Range {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<f64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<f64>,
        #[serde(default, skip_serializing_if = "OnFailure::is_report")]
        on_failure: OnFailure,
    },
    Allowed {
        values: Vec<serde_json::Value>,
        #[serde(default, skip_serializing_if = "OnFailure::is_report")]
        on_failure: OnFailure,
    },
}

/// What a model is given in place of a value that fails a check, in training as at an endpoint; a failure is reported anyway.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The value all the same.
    #[default]
    Report,
    /// None.
    Null,
    /// Nothing is decided: the request is refused, and a row trains nothing.
    Refuse,
    /// This value.
    Substitute(serde_json::Value),
}

impl FeatureCheck {
    pub fn on_failure(&self) -> &OnFailure {
        match self {
            FeatureCheck::NotNull { on_failure }
            | FeatureCheck::Range { on_failure, .. }
            | FeatureCheck::Allowed { on_failure, .. } => on_failure,
        }
    }
}

impl OnFailure {
    pub fn is_report(&self) -> bool {
        *self == OnFailure::Report
    }
}

impl JsonSchema for OnFailure {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OnFailure".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let substitute = json!({
            "type": "object",
            "properties": {
                "substitute": {
                    "description": "The value given instead, of the feature's type.",
                    "type": ["boolean", "number", "string"],
                },
            },
            "required": ["substitute"],
            "additionalProperties": false,
        });
        schemars::json_schema!({
            "description": "What a model is given where a value fails the check, in training as at an endpoint: the value all the same \
                            (`report`, the default), none (`null`), another (`{substitute: 0}`), or nothing, as no decision is made \
                            (`refuse`). The failure is reported whatever it is.",
            // YAML reads `null` as no text but nothing.
            "anyOf": [{"enum": ["report", "null", "refuse", null]}, substitute],
        })
    }
}
