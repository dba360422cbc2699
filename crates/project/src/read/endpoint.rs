use super::reader::{Fields, Reader};
use super::scalar::{at_least_one, choice, length, name, text, whole};
use crate::spec::endpoint::champion;
use crate::spec::{Endpoint, Limits, Log, ReasonMode, Reasons, Survives, UnknownKey};
use crate::yaml::{Node, Scalar, Shape};

pub(crate) fn endpoint(reader: &mut Reader<'_>, node: &Node) -> Option<Endpoint> {
    let mut fields = Fields::open(reader, node, "an endpoint")?;
    fields.allow("kind");
    let name_ = fields.required(reader, "name", name);
    let description = fields.optional(reader, "description", text);
    let model = fields.required(reader, "model", name);
    let alias = fields.optional(reader, "alias", name).unwrap_or_else(champion);
    let unknown_key = fields.optional(reader, "unknown_key", |reader, node| {
        choice(reader, node, &[("score", UnknownKey::Score), ("reject", UnknownKey::Reject)])
    });
    let reasons = fields.optional(reader, "reasons", reasons).unwrap_or_default();
    let log = fields.optional(reader, "log", log).unwrap_or_default();
    let limits = fields.optional(reader, "limits", limits).unwrap_or_default();
    fields.close(reader);
    let unknown_key = unknown_key.unwrap_or_default();
    Some(Endpoint { name: name_?, description, model: model?, alias, unknown_key, reasons, log, limits })
}

/// `4`, or `{mode: adverse, most: 4}`.
fn reasons(reader: &mut Reader<'_>, node: &Node) -> Option<Reasons> {
    match &node.shape {
        Shape::Scalar(Scalar::Text(_)) => {
            return reader.wrong_with_help(node, "a whole number, or a mapping", "write `{mode: adverse, most: 4}`");
        }
        Shape::Scalar(_) => return whole(reader, node).map(|most| Reasons { most, ..Reasons::default() }),
        Shape::List(_) | Shape::Map(_) => {}
    }
    let mut fields = Fields::open(reader, node, "`reasons`")?;
    let mode = fields.optional(reader, "mode", |reader, node| {
        let modes =
            [("always", ReasonMode::Always), ("adverse", ReasonMode::Adverse), ("on_request", ReasonMode::OnRequest)];
        choice(reader, node, &modes)
    });
    let most = fields.optional(reader, "most", whole).unwrap_or(Reasons::MOST);
    fields.close(reader);
    Some(Reasons { mode: mode.unwrap_or_default(), most })
}

fn limits(reader: &mut Reader<'_>, node: &Node) -> Option<Limits> {
    let mut fields = Fields::open(reader, node, "`limits`")?;
    let default = Limits::default();
    let limits = Limits {
        concurrency: fields.optional(reader, "concurrency", at_least_one).unwrap_or(default.concurrency),
        queue: fields.optional(reader, "queue", whole).unwrap_or(default.queue),
        deadline: fields.optional(reader, "deadline", length).unwrap_or(default.deadline),
        subjects: fields.optional(reader, "subjects", at_least_one).unwrap_or(default.subjects),
    };
    fields.close(reader);
    Some(limits)
}

fn log(reader: &mut Reader<'_>, node: &Node) -> Option<Log> {
    let mut fields = Fields::open(reader, node, "`log`")?;
    let survives = fields.optional(reader, "survives", survives);
    fields.close(reader);
    Some(Log { survives: survives.unwrap_or_default() })
}

pub(super) fn survives(reader: &mut Reader<'_>, node: &Node) -> Option<Survives> {
    choice(reader, node, &[("crash", Survives::Crash), ("power_loss", Survives::PowerLoss)])
}
