use karat_core::{DataType, Value};
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

    /// What keeps it from saying anything of values of a type, each with its path in the check.
    pub fn misfits(&self, data_type: DataType) -> Vec<(String, String)> {
        let mut misfits = match self {
            FeatureCheck::NotNull { .. } => Vec::new(),
            FeatureCheck::Range { .. } if data_type.is_numeric() => Vec::new(),
            FeatureCheck::Range { .. } => {
                let problem = format!("it is of type {data_type}, which has no range (use an `allowed` check)");
                vec![("check".to_owned(), problem)]
            }
            FeatureCheck::Allowed { values, .. } => {
                let wrong = values.iter().enumerate().filter_map(|(place, value)| {
                    let error = Value::from_json(value, data_type).err()?;
                    Some((format!("values[{place}]"), error.to_string()))
                });
                wrong.collect()
            }
        };
        if let OnFailure::Substitute(value) = self.on_failure()
            && let Err(error) = Value::from_json(value, data_type)
        {
            misfits.push(("on_failure.substitute".to_owned(), error.to_string()));
        }
        misfits
    }

    /// With what it allows written as values of a type are: of floats 6 is 6.0. What does not fit stays.
    pub fn of_type(self, data_type: DataType) -> FeatureCheck {
        match self {
            FeatureCheck::Allowed { values, on_failure } => {
                let written = |value: serde_json::Value| match Value::from_json(&value, data_type) {
                    Ok(typed) => typed.to_json(),
                    Err(_) => value,
                };
                FeatureCheck::Allowed { values: values.into_iter().map(written).collect(), on_failure }
            }
            other => other,
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
