use std::path::Path;

use karat_core::Name;

use super::folder;
use crate::draft::Draft;
use crate::files::Span;
use crate::kind::{Kind, PLANNED, ResourceRef};
use crate::problem::Problem;
use crate::read::{Reader, endpoint, entity, feature_service, feature_view, model, one_feature_a_window, source};
use crate::suggest::{did_you_mean, shorten, ticked};
use crate::yaml::{Node, Parsed, Scalar, Shape, parse};

/// One file of `folder` into the draft: each of its documents is a resource.
pub(super) fn load(draft: &mut Draft, root: &Path, path: &Path, folder: &str) {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let folder_kind = Kind::ALL.into_iter().find(|kind| kind.folder() == folder);
    let Some((file, text)) = folder::read(draft, root, path) else {
        note_name(draft, folder_kind, stem);
        return;
    };
    let Parsed { documents, mistakes } = parse(&text, file);
    let broken = !mistakes.is_empty();
    for mistake in mistakes {
        draft.problems.push(Problem { help: mistake.help, ..draft.files.problem(mistake.span, mistake.message) });
    }
    if broken {
        // Whatever it would have declared is most likely called as the file is: no reference to it is reported.
        note_name(draft, folder_kind, stem);
    }
    let documents: Vec<Node> = documents.into_iter().filter(|node| !node.is_null()).collect();
    if documents.is_empty() && !broken {
        let problem = draft.files.problem(Span::new(file, 0, 0), "the file is empty");
        draft.problems.push(problem.with_help("a resource begins with `kind:` and `name:`"));
    }
    for node in documents {
        document(draft, node, folder, folder_kind, broken);
    }
}

fn note_name(draft: &mut Draft, kind: Option<Kind>, name: String) {
    if let Some(kind) = kind {
        draft.names.entry(kind).or_default().push(name);
    }
}

fn document(draft: &mut Draft, node: Node, folder: &str, folder_kind: Option<Kind>, broken: bool) {
    let name = match node.entry("name").map(|entry| &entry.value.shape) {
        Some(Shape::Scalar(Scalar::Text(name))) => Some(name.clone()),
        _ => None,
    };
    let kind = match kind_of(draft, &node, folder) {
        Some(kind) => kind,
        None => {
            if let Some(name) = name {
                note_name(draft, folder_kind, name);
            }
            return;
        }
    };
    if let Some(name) = &name {
        note_name(draft, Some(kind), name.clone());
    }
    let resource = name.and_then(|name| Name::new(&name).ok()).map(|name| ResourceRef::new(kind, name));
    if let Some(resource) = &resource
        && let Some(first) = draft.declared.get(resource)
    {
        let message = format!("{resource} is declared twice: first at {}", draft.files.place(*first));
        let at = node.entry("name").map_or(node.span, |entry| entry.value.span);
        let problem = draft.files.problem(at, message).with_help("give one of them another name");
        draft.problems.push(problem);
        draft.unsound.insert(resource.clone());
        return;
    }
    if let (Some(resource), Some(entry)) = (&resource, node.entry("name")) {
        draft.declared.insert(resource.clone(), entry.value.span);
    }
    decode(draft, node, kind, resource, broken);
}

/// The document's kind, where it may stand in this folder; reports it otherwise.
fn kind_of(draft: &mut Draft, node: &Node, folder: &str) -> Option<Kind> {
    let report = |draft: &mut Draft, span, message: String, help: Option<String>| {
        draft.problems.push(Problem { help, ..draft.files.problem(span, message) });
        None
    };
    let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    if !matches!(node.shape, Shape::Map(_)) {
        let message = format!("expected a resource (`key: value` lines), found {}", node.describe());
        return report(draft, node.span, message, None);
    }
    let Some(entry) = node.entry("kind") else {
        let help =
            Kind::ALL.into_iter().find(|kind| kind.folder() == folder).map(|kind| format!("write `kind: {kind}`"));
        return report(draft, node.span, "missing key `kind`: a resource says what it is".to_owned(), help);
    };
    let text = match &entry.value.shape {
        Shape::Scalar(Scalar::Text(text)) => text.clone(),
        _ => {
            let message = format!("expected one of {}, found {}", ticked(&kinds), entry.value.describe());
            return report(draft, entry.value.span, message, None);
        }
    };
    let span = entry.value.span;
    if let Some((_, folder)) = PLANNED.iter().find(|(kind, _)| *kind == text) {
        let message = format!("this version of Karat has no {folder} yet");
        return report(draft, span, message, Some("take the file out of the project for now".to_owned()));
    }
    let Some(kind) = Kind::parse(&text) else {
        let all = kinds.iter().copied().chain(PLANNED.iter().map(|(kind, _)| *kind));
        let help = did_you_mean(&text, all, || format!("the kinds are {}", ticked(&kinds)));
        return report(draft, span, format!("unknown kind `{}`", shorten(&text)), Some(help));
    };
    if kind.folder() != folder {
        let message = format!("{} belongs in `{}/`, and this file is in `{folder}/`", kind.a_words(), kind.folder());
        report(draft, span, message, Some("move the file".to_owned()));
    }
    Some(kind)
}

fn decode(draft: &mut Draft, mut node: Node, kind: Kind, resource: Option<ResourceRef>, broken: bool) {
    let mut problems = std::mem::take(&mut draft.problems);
    let before = problems.len();
    let mut reader = Reader::new(&draft.files, &mut problems);
    match kind {
        Kind::Source => {
            let spec = source(&mut reader, &node);
            draft.sources.extend(spec.map(|spec| (spec.name.clone(), spec)));
        }
        Kind::Entity => {
            let spec = entity(&mut reader, &node);
            draft.entities.extend(spec.map(|spec| (spec.name.clone(), spec)));
        }
        Kind::FeatureView => {
            one_feature_a_window(&mut reader, &mut node);
            let spec = feature_view(&mut reader, &node);
            draft.views.extend(spec.map(|spec| (spec.name.clone(), spec)));
        }
        Kind::FeatureService => {
            let spec = feature_service(&mut reader, &node);
            draft.services.extend(spec.map(|spec| (spec.name.clone(), spec)));
        }
        Kind::Model => {
            let spec = model(&mut reader, &node);
            draft.models.extend(spec.map(|spec| (spec.name.clone(), spec)));
        }
        Kind::Endpoint => {
            let spec = endpoint(&mut reader, &node);
            draft.endpoints.extend(spec.map(|spec| (spec.name.clone(), spec)));
        }
    }
    let failed_items = reader.failed_items;
    let sound = problems.len() == before && !broken;
    draft.problems = problems;
    if let Some(resource) = resource {
        node.prune(&failed_items);
        if !sound {
            draft.unsound.insert(resource.clone());
        }
        draft.nodes.insert(resource, node);
    }
}
