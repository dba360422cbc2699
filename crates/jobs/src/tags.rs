//! Names for commits of histories: what a training can go back to, whatever was delivered since.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use karat_core::Name;
use karat_metadata::audit::{self, NewEntry, Subject};
use karat_metadata::tags::{self, SourceTag};
use karat_metadata::{MetadataError, WriteTx};
use karat_project::spec::{Model, ModelFeatures};
use karat_registry::Release;
use serde::Serialize;
use serde_json::json;

use crate::training_set::Commits;
use crate::{NotFound, Usage, Workspace};

/// A commit of a source under its tag.
#[derive(Debug, Serialize)]
pub struct Tagged {
    #[serde(flatten)]
    pub tag: SourceTag,
    /// The commit that had the tag before, where it was another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<u64>,
    /// Whether anything was changed: a commit that has the tag keeps it.
    pub new: bool,
}

/// What to tag.
#[derive(Debug, Clone)]
pub struct Snapshot<'a> {
    /// Sources by name; none: all that keep a history.
    pub names: &'a [String],
    pub tag: &'a str,
    /// Of the one source that is named; else what is delivered now is ingested, and its commit is tagged.
    pub commit: Option<u64>,
    pub taken: Taken,
    pub why: &'a str,
}

/// What becomes of a tag that another commit has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It stays there, and nothing is tagged.
    Refused,
    Moved,
}

const LONGEST: usize = 63;

/// Tags all of the sources, or after an error none.
pub async fn snapshot(workspace: &Workspace, asked: &Snapshot<'_>) -> Result<Vec<Tagged>> {
    check_name(asked.tag)?;
    let sources = chosen(workspace, asked.names)?;
    match (asked.commit, asked.names) {
        (None, _) => {
            crate::ingest::ensure(workspace).await?;
        }
        (Some(_), [_]) => {}
        (Some(_), _) => bail!(Usage("--commit is a commit of one source: name it".to_owned())),
    }
    let mut commits = Vec::with_capacity(sources.len());
    for source in sources {
        let found = workspace.snapshot(&source, asked.commit).await?.commit;
        if let Some(commit) = asked.commit.filter(|commit| *commit != found) {
            bail!(NotFound(format!("{source} has no commit {commit}: its newest is {found}")));
        }
        commits.push((source, found));
    }
    let mut transaction = workspace.registry.metadata().begin().await?;
    let mut tagged = Vec::with_capacity(commits.len());
    for (source, commit) in commits {
        tagged.push(tag_one(workspace, &mut transaction, asked, source, commit).await?);
    }
    transaction.commit().await?;
    Ok(tagged)
}

async fn tag_one(
    workspace: &Workspace,
    transaction: &mut WriteTx,
    asked: &Snapshot<'_>,
    source: Name,
    commit: u64,
) -> Result<Tagged> {
    let held = tags::get(transaction, &source, asked.tag).await?;
    let moved_from = match held {
        Some(tag) if tag.commit == commit => return Ok(Tagged { tag, moved_from: None, new: false }),
        Some(tag) if asked.taken == Taken::Refused => {
            let taken = format!(
                "commit {} of {source} is tagged `{}` already, and commit {commit} is not it: choose another tag, or move \
                 this one with --move",
                tag.commit, tag.tag
            );
            return Err(MetadataError::Conflict(taken).into());
        }
        Some(tag) => Some(tag.commit),
        None => None,
    };
    let at = workspace.clock.now();
    let actor = workspace.actor.clone();
    let tag = SourceTag { source, tag: asked.tag.to_owned(), commit, at, actor, why: asked.why.to_owned() };
    tags::put(transaction, &tag).await?;
    let (action, mut details) = match moved_from {
        None => ("source.tag", json!({"tag": tag.tag})),
        Some(from) => ("source.move_tag", json!({"tag": tag.tag, "from": from})),
    };
    if !tag.why.is_empty() {
        details["why"] = json!(tag.why);
    }
    let subject = Subject::versioned("source", &tag.source, commit);
    audit::append(transaction, NewEntry { at, actor: &tag.actor, action, subject, details }).await?;
    Ok(Tagged { tag, moved_from, new: true })
}

/// All tags, or those of some sources.
pub async fn list(workspace: &Workspace, names: &[String]) -> Result<Vec<SourceTag>> {
    let mut connection = workspace.registry.metadata().read().await?;
    let mut all = tags::list(&mut connection).await?;
    all.retain(|tag| names.is_empty() || names.iter().any(|name| name == tag.source.as_str()));
    Ok(all)
}

/// A commit of a source by its number or one of its tags.
pub async fn commit_of(workspace: &Workspace, source: &Name, number_or_tag: &str) -> Result<u64> {
    let text = number_or_tag.trim();
    if let Ok(number) = text.parse::<u64>() {
        let newest = workspace.snapshot(source, None).await?.commit;
        if (1..=newest).contains(&number) {
            return Ok(number);
        }
        bail!(NotFound(format!("{source} has no commit {number}: its commits are 1 to {newest}")));
    }
    let mut connection = workspace.registry.metadata().read().await?;
    match tags::get(&mut connection, source, text).await? {
        Some(tag) => Ok(tag.commit),
        None => {
            let known = tags::list(&mut connection).await?;
            let known: Vec<&str> =
                known.iter().filter(|tag| tag.source == *source).map(|tag| tag.tag.as_str()).collect();
            let hint = match (karat_core::nearest(text, known.iter().copied()), known.as_slice()) {
                (Some(near), _) => format!("; did you mean `{near}`?"),
                (None, []) => format!("; `karat sources snapshot {source} --tag {text}` gives it to the newest commit"),
                (None, known) => format!("; it has {}", known.join(", ")),
            };
            bail!(NotFound(format!("{source} has no tag `{text}`{hint}")))
        }
    }
}

/// What a training begins with: without a tag the folder is applied and what is new ingested; at a tag it is only applied,
/// and the commits of what the model reads are those that have the tag.
pub async fn prepare(workspace: &Workspace, model: &str, tag: Option<&str>) -> Result<(Release, Option<Commits>)> {
    let Some(tag) = tag else { return Ok((crate::ingest::ensure(workspace).await?, None)) };
    let model = workspace.model(model)?;
    let commits = commits_at(workspace, tag, &read_by(workspace, model)).await?;
    Ok((crate::apply::record(workspace).await?, Some(commits)))
}

/// The commits of these sources that have the tag; an error names all that have none.
pub async fn commits_at(workspace: &Workspace, tag: &str, sources: &BTreeSet<Name>) -> Result<Commits> {
    let mut connection = workspace.registry.metadata().read().await?;
    let mut commits = Commits::new();
    let mut without = Vec::new();
    for source in sources {
        match tags::get(&mut connection, source, tag).await? {
            Some(tagged) => {
                commits.insert(source.clone(), tagged.commit);
            }
            None => without.push(source.as_str()),
        }
    }
    if without.is_empty() {
        return Ok(commits);
    }
    let known = tags::list(&mut connection).await?;
    let hint = karat_core::nearest(tag, known.iter().map(|known| known.tag.as_str()));
    let hint = match hint.filter(|_| commits.is_empty()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("`karat sources snapshot {} --tag {tag}` gives it to the newest commits", without.join(" ")),
    };
    bail!(NotFound(format!("no commit of {} is tagged `{tag}`: {hint}", without.join(", "))))
}

/// The histories that a training of the model reads.
pub fn read_by(workspace: &Workspace, model: &Model) -> BTreeSet<Name> {
    let views = model.features.iter().flat_map(|taken| match taken {
        ModelFeatures::All(view) => vec![view],
        ModelFeatures::Some(list) => list.0.keys().collect(),
    });
    let of_views = views.filter_map(|view| Some(workspace.project.views().get(view)?.source.clone()));
    let of_label = model.spine.label.events().map(|label| label.source.clone());
    of_views.chain(of_label).chain([model.spine.source.clone()]).collect()
}

/// Where a training must read exactly the commits it was told, and rows were made by another definition there.
pub(crate) fn refuse_behind(behind: &Commits, at: &Commits) -> Result<()> {
    let Some((source, commit)) = behind.iter().next() else { return Ok(()) };
    let asked = at.get(source).context("what stands behind was asked for")?;
    bail!(
        "the rows of commit {asked} of {source} were made by another definition than the folder's, which fits commit \
         {commit} and those before: train with the project's files of then"
    )
}

fn chosen(workspace: &Workspace, names: &[String]) -> Result<Vec<Name>> {
    let sources = workspace.project.sources();
    if names.is_empty() {
        let kept: Vec<Name> = sources.values().filter(|source| source.keep).map(|source| source.name.clone()).collect();
        if kept.is_empty() {
            bail!(Usage("no source of this project keeps a history: there is nothing to tag".to_owned()));
        }
        return Ok(kept);
    }
    let mut chosen = Vec::with_capacity(names.len());
    for name in names {
        let Some(source) = sources.get(name.as_str()) else {
            bail!(NotFound::named("source", name, sources.keys()));
        };
        if !source.keep {
            bail!(Usage(format!("source {name} keeps no history (`keep: false`): it has no commits to tag")));
        }
        if !chosen.contains(&source.name) {
            chosen.push(source.name.clone());
        }
    }
    Ok(chosen)
}

/// Told from a commit's number, and one word on a command line.
fn check_name(tag: &str) -> Result<()> {
    let letters = tag.chars().all(|letter| letter.is_alphanumeric() || "._-".contains(letter));
    let begins = tag.starts_with(char::is_alphanumeric);
    let is_number = tag.bytes().all(|byte| byte.is_ascii_digit());
    if letters && begins && !is_number && tag.chars().count() <= LONGEST {
        return Ok(());
    }
    bail!(Usage(format!(
        "`{tag}` is no tag: a letter or digit, then letters, digits, `.`, `_` or `-`, at most {LONGEST}, and not a mere \
         number, which is a commit's"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_words_and_no_numbers() {
        for good in ["2026q1", "v1", "end-of_march.2", "žár", "1a", &"a".repeat(63)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "3", "2026", "-a", ".a", "a b", "a/b", "a\n", &"a".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
