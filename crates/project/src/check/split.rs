use karat_core::Window;

use super::columns::{Columns, Reading};
use super::entity;
use super::scope::Scope;
use crate::spec::{Model, SplitBy, SplitPart};
use crate::suggest::ticked;

pub(super) fn check(scope: &mut Scope<'_>, model: &Model) {
    let split = &model.split;
    let parts = [("validation", split.validation), ("test", split.test)];
    for (name, part) in parts {
        let path = format!("split.{name}");
        match (split.by, part) {
            (SplitBy::Time, SplitPart::Share(share)) => {
                let message = format!("a split by time takes a length of time, not the share {share}");
                scope.at_with_help(&path, message, "write it like `6 months`, or split `by: random` or `by: group`");
            }
            (SplitBy::Time, SplitPart::Window(Window::Fixed(0) | Window::Months(0))) => {
                scope.at(&path, format!("the {name} part is empty"));
            }
            (SplitBy::Time, SplitPart::Window(_)) => {}
            (by, SplitPart::Window(window)) => {
                let by = if by == SplitBy::Random { "random" } else { "group" };
                let message = format!("a split by {by} takes a share, not the length of time {window}");
                scope.at_with_help(&path, message, "write it like 0.2, or split `by: time`");
            }
            (_, SplitPart::Share(share)) if share > 0.0 && share < 1.0 => {}
            (_, SplitPart::Share(share)) => {
                let message = format!("a share lies between 0 and 1, and {share} does not");
                match share > 1.0 && share < 100.0 {
                    true => scope.at_with_help(&path, message, format!("{share} % is {}", share / 100.0)),
                    false => scope.at(&path, message),
                }
            }
        }
    }
    check_sum(scope, model);
    check_column(scope, model);
}

fn check_sum(scope: &mut Scope<'_>, model: &Model) {
    if model.split.by != SplitBy::Time
        && let (SplitPart::Share(validation), SplitPart::Share(test)) = (model.split.validation, model.split.test)
        && (0.0..1.0).contains(&validation)
        && (0.0..1.0).contains(&test)
        && validation + test >= 1.0
    {
        scope.at("split.test", format!("validation {validation} and test {test} leave nothing to train on"));
    }
}

fn check_column(scope: &mut Scope<'_>, model: &Model) {
    let Some(column) = &model.split.column else {
        if let (SplitBy::Group, [first, _, ..]) = (model.split.by, model.spine.entities.as_slice()) {
            let message = format!(
                "a split by group says which rows stay together: this spine is about {}",
                ticked(&model.spine.entities)
            );
            let key = entity::key_names(scope, std::slice::from_ref(first)).join(", ");
            scope.at_key_with_help("split.by", message, format!("write `column: {key}`, or a column of another group"));
        }
        return;
    };
    if model.split.by != SplitBy::Group {
        scope.at_key_with_help(
            "split.column",
            "`column` groups rows, and only `by: group` splits by groups",
            "leave it out",
        );
    } else if let Some(columns) = Columns::named(scope.draft, &model.spine.source) {
        columns.require(scope, column, Reading::Kept, "split.column");
    }
}
