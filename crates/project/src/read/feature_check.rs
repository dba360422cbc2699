use super::reader::{Fields, Reader};
use super::scalar::{choice, json, jsons, number};
use crate::spec::{FeatureCheck, OnFailure};
use crate::yaml::{Node, Shape};

#[derive(Debug, Clone, Copy)]
enum CheckName {
    NotNull,
    Range,
    Allowed,
}

pub(super) fn feature_check(reader: &mut Reader<'_>, node: &Node) -> Option<FeatureCheck> {
    const CHECKS: [(&str, CheckName); 3] =
        [("not_null", CheckName::NotNull), ("range", CheckName::Range), ("allowed", CheckName::Allowed)];
    let mut fields = Fields::open(reader, node, "a feature's check")?;
    let check = fields.required(reader, "check", |reader, node| choice(reader, node, &CHECKS))?;
    let on_failure = on_failure(reader, &mut fields, node);
    let check = match check {
        CheckName::NotNull => on_failure.map(|on_failure| FeatureCheck::NotNull { on_failure }),
        CheckName::Range => {
            let min = fields.optional(reader, "min", number);
            let max = fields.optional(reader, "max", number);
            on_failure.map(|on_failure| FeatureCheck::Range { min, max, on_failure })
        }
        CheckName::Allowed => {
            let values = fields.required(reader, "values", jsons);
            values.zip(on_failure).map(|(values, on_failure)| FeatureCheck::Allowed { values, on_failure })
        }
    };
    fields.close(reader);
    check
}

/// Here `null` is a word, and not the same as nothing.
fn on_failure(reader: &mut Reader<'_>, fields: &mut Fields<'_>, check: &Node) -> Option<OnFailure> {
    const WORDS: [(&str, OnFailureWord); 3] =
        [("report", OnFailureWord::Report), ("null", OnFailureWord::Null), ("refuse", OnFailureWord::Refuse)];
    fields.allow("on_failure");
    let Some(entry) = check.entry("on_failure") else { return Some(OnFailure::Report) };
    let node = &entry.value;
    if node.is_null() {
        if node.span.range().is_empty() {
            let help = "write `report`, `null`, `refuse` or `{substitute: value}`";
            reader.problem_with_help(entry.key_span, "`on_failure` is empty", help);
            return None;
        }
        return Some(OnFailure::Null);
    }
    match &node.shape {
        Shape::Map(_) => {
            let mut fields = Fields::open(reader, node, "what stands in for a value")?;
            let value = fields.required(reader, "substitute", json);
            fields.close(reader);
            value.map(OnFailure::Substitute)
        }
        Shape::List(_) => reader.wrong(node, "`report`, `null`, `refuse` or `{substitute: value}`"),
        Shape::Scalar(_) => choice(reader, node, &WORDS).map(|word| match word {
            OnFailureWord::Report => OnFailure::Report,
            OnFailureWord::Null => OnFailure::Null,
            OnFailureWord::Refuse => OnFailure::Refuse,
        }),
    }
}

#[derive(Debug, Clone, Copy)]
enum OnFailureWord {
    Report,
    Null,
    Refuse,
}
