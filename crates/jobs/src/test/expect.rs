//! Each expectation of a test against what the definitions make of the given rows.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use karat_core::{Instant, KeyView, Name, Value, key};
use karat_features::Spine;
use karat_project::spec::{
    ExpectContract, ExpectFeatures, ExpectQuery, ExpectTrain, Expectation, Expected, GatesOutcome, Quarantined,
};
use karat_project::{LocatedTest, Project};
use karat_registry::gates::all_passed;
use serde_json::Value as Json;

use super::compare::{fits, shown, value_shown};
use super::world::{World, world};
use super::{Around, Failure, decision};
use crate::catalog::key_arrays;
use crate::ingest::{Ingested, Insisting};
use crate::training_set::as_of_pass;
use crate::{ingest, query, train};

/// What stands for a key that brings several parts of an expectation together.
pub(super) struct Report<'a> {
    pub test: &'a LocatedTest,
    pub failures: &'a mut Vec<Failure>,
}

impl Report<'_> {
    pub(super) fn failed(
        &mut self,
        path: &str,
        what: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) {
        let (what, expected, got) = (what.into(), expected.into(), got.into());
        self.failures.push(Failure { place: self.test.place(path), what, expected, got });
    }

    /// Holds a value to what was expected of it.
    pub(super) fn compare(&mut self, path: &str, what: impl Into<String>, expected: &Expected, got: &Json) {
        if !fits(expected, got) {
            self.failed(path, what, shown(expected), value_shown(got));
        }
    }
}

/// What ingesting a source came to; a refusal is an outcome too.
enum Delivered {
    Taken(Box<Ingested>),
    Refused(String),
}

pub(super) async fn check(
    project: &Project,
    test: &LocatedTest,
    around: Around<'_>,
    failures: &mut Vec<Failure>,
) -> Result<()> {
    let world = world(project, test, around).await?;
    let mut report = Report { test, failures };
    let delivered = deliver(&world).await?;
    let expected_refusals: Vec<&Name> = test
        .spec
        .expect
        .iter()
        .filter_map(|expectation| match expectation {
            Expectation::Contract(expected) if expected.refused.is_some() => Some(&expected.contract),
            _ => None,
        })
        .collect();
    for (source, delivered) in &delivered {
        if let Delivered::Refused(why) = delivered
            && !expected_refusals.contains(&source)
        {
            report.failed(
                &format!("given.{source}"),
                format!("the delivery of {source}"),
                "to be taken",
                format!("refused: {why}"),
            );
        }
    }
    for (index, expectation) in test.spec.expect.iter().enumerate() {
        let at = format!("expect[{index}]");
        match expectation {
            Expectation::Features(expected) => features(&world, expected, &at, &mut report).await?,
            Expectation::Contract(expected) => {
                let source = &expected.contract;
                let outcome = delivered.get(source).with_context(|| format!("source {source} keeps no history"))?;
                contract(&world, outcome, expected, &at, &mut report)?;
            }
            Expectation::Query(expected) => answer(&world, expected, &at, &mut report).await?,
            Expectation::Train(expected) => training(&world, expected, &at, &mut report).await?,
            Expectation::Decision(expected) => {
                Box::pin(decision::check(project, &world, expected, around, &at, &mut report)).await?;
            }
        }
    }
    Ok(())
}

/// Every source, those that others read first.
async fn deliver(world: &World) -> Result<BTreeMap<Name, Delivered>> {
    let catalog = world.workspace.catalog()?;
    let mut delivered = BTreeMap::new();
    for (name, _) in catalog.sources.iter().filter(|(_, planned)| planned.plan.source().keep) {
        let outcome = match ingest::run(&world.workspace, &[name.to_string()], Insisting::default()).await {
            Ok(ingested) => ingested.into_iter().next().map(|one| Delivered::Taken(Box::new(one))),
            Err(error) => match error.downcast_ref::<karat_query::QueryError>() {
                Some(karat_query::QueryError::Refused { name: of, reason, .. }) => {
                    // What reads a source that was refused is not delivered at all.
                    (of == name).then(|| Delivered::Refused(reason.clone()))
                }
                _ => return Err(error),
            },
        };
        delivered.extend(outcome.map(|outcome| (name.clone(), outcome)));
    }
    Ok(delivered)
}

async fn features(world: &World, expected: &ExpectFeatures, at: &str, report: &mut Report<'_>) -> Result<()> {
    let workspace = &world.workspace;
    let catalog = workspace.catalog()?;
    let planned = &catalog.views[&expected.features];
    let columns = planned.view.key_columns();
    let key = match key::from_json(columns, &expected.key) {
        Ok(key) => key,
        Err(error) => {
            let what = format!("the key of {}", planned.entities());
            let wanted = match columns {
                [column] => column.data_type.with_article(),
                several => {
                    let typed =
                        several.iter().map(|column| format!("{}: {}", column.name, column.data_type.with_article()));
                    format!("{{{}}} ({error})", typed.collect::<Vec<_>>().join(", "))
                }
            };
            report.failed(&format!("{at}.key"), what, wanted, value_shown(&expected.key));
            return Ok(());
        }
    };
    let as_of = expected.as_of.unwrap_or_else(|| workspace.clock.now());
    let spine = Spine {
        keys: key_arrays(columns, [key.as_slice()]),
        as_of: Int64Array::from(vec![as_of.micros()]),
        known_at: Some(Int64Array::from(vec![expected.known_at.unwrap_or(as_of).micros()])),
        since: None,
    };
    let (row, _) = as_of_pass(workspace, &planned.view, &spine, None).await?;
    let outputs = planned.view.outputs();
    let shown_key = KeyView::new(columns, &key);
    let about = |feature: &str| format!("{}.{feature} of {shown_key}, as of {as_of}", expected.features);
    for (name, wanted) in &expected.values {
        let path = format!("{at}.values.{name}");
        match outputs.iter().position(|output| output.name == *name) {
            Some(place) => {
                let got = Value::from_array(row.column(place), 0).to_json();
                report.compare(&path, about(name), wanted, &got);
            }
            None => {
                let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
                let got = match karat_core::nearest(name, names.iter().copied()) {
                    Some(like) => format!("no such feature; did you mean `{like}`?"),
                    None => format!("no such feature; it has {}", names.join(", ")),
                };
                report.failed(&path, about(name), shown(wanted), got);
            }
        }
    }
    if let Some(wanted) = expected.no_history {
        let got = row.column(outputs.len()).as_boolean().value(0);
        report.compare(&format!("{at}.no_history"), about("no_history"), &Expected::Value(wanted.into()), &got.into());
    }
    Ok(())
}

fn contract(
    world: &World,
    outcome: &Delivered,
    expected: &ExpectContract,
    at: &str,
    report: &mut Report<'_>,
) -> Result<()> {
    let source = &expected.contract;
    let ingested = match (outcome, &expected.refused) {
        (Delivered::Refused(why), Some(words)) => {
            if !why.contains(words.as_str()) {
                report.failed(&format!("{at}.refused"), format!("why {source} is refused"), words, why);
            }
            return Ok(());
        }
        (Delivered::Taken(_), Some(words)) => {
            let what = format!("the delivery of {source}");
            report.failed(&format!("{at}.refused"), what, format!("refused: {words}"), "taken");
            return Ok(());
        }
        // Said already, of the delivery as a whole.
        (Delivered::Refused(_), None) => return Ok(()),
        (Delivered::Taken(ingested), None) => ingested,
    };
    if let Some(accepted) = expected.accepted {
        let what = format!("rows of {source} accepted");
        report.compare(
            &format!("{at}.accepted"),
            what,
            &Expected::Value(accepted.into()),
            &ingested.report.accepted.into(),
        );
    }
    let path = format!("{at}.quarantined");
    match &expected.quarantined {
        None => {}
        Some(Quarantined::Count(count)) => {
            let got = ingested.report.quarantined;
            report.compare(
                &path,
                format!("rows of {source} quarantined"),
                &Expected::Value((*count).into()),
                &got.into(),
            );
        }
        Some(Quarantined::Rows(rows)) => {
            let found = quarantined(world, ingested)?;
            for (place, wanted) in rows.iter().enumerate() {
                let path = format!("{path}[{place}]");
                let what = format!("row {} of {source}", wanted.row);
                let Some(got) = found.iter().find(|row| row.number == wanted.row) else {
                    report.failed(&path, what, "quarantined", "accepted");
                    continue;
                };
                let parts = [
                    ("check", wanted.check.as_ref(), got.check.as_str()),
                    ("column", wanted.column.as_ref(), got.column.as_str()),
                ];
                for (part, wanted, got) in parts {
                    if let Some(wanted) = wanted.filter(|wanted| wanted.as_str() != got) {
                        report.failed(&format!("{path}.{part}"), format!("{what}: the {part} it failed"), wanted, got);
                    }
                }
                if let Some(words) = wanted.reason.as_ref().filter(|words| !got.reason.contains(words.as_str())) {
                    report.failed(&format!("{path}.reason"), format!("{what}: why"), words, &got.reason);
                }
            }
            for row in found.iter().filter(|row| !rows.iter().any(|wanted| wanted.row == row.number)) {
                let about = [row.column.as_str(), row.reason.as_str()].join(" ");
                let got = format!("quarantined by {}: {}", row.check, about.trim());
                report.failed(&path, format!("row {} of {source}", row.number), "accepted", got);
            }
        }
    }
    Ok(())
}

struct QuarantinedRow {
    number: u64,
    check: String,
    column: String,
    reason: String,
}

/// Given rows stand one a line under their header; those of a query are numbered from 1.
fn quarantined(world: &World, ingested: &Ingested) -> Result<Vec<QuarantinedRow>> {
    let Some(path) = &ingested.quarantine else { return Ok(Vec::new()) };
    let header = u64::from(world.workspace.project.sources()[&ingested.source].sql.is_none());
    let file = std::fs::File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch?;
        let text = |name: &str, row: usize| text_of(&batch, name, row);
        let lines =
            batch.column_by_name("line").context("quarantined rows have a line")?.as_primitive::<Int64Type>().clone();
        for row in 0..batch.num_rows() {
            rows.push(QuarantinedRow {
                number: (lines.value(row) as u64).saturating_sub(header),
                check: text("check", row),
                column: text("column", row),
                reason: text("reason", row),
            });
        }
    }
    Ok(rows)
}

fn text_of(batch: &RecordBatch, name: &str, row: usize) -> String {
    let Some(column) = batch.column_by_name(name).filter(|column| column.is_valid(row)) else { return String::new() };
    column.as_string::<i32>().value(row).to_owned()
}

async fn answer(world: &World, expected: &ExpectQuery, at: &str, report: &mut Report<'_>) -> Result<()> {
    let answered = query::run(&world.workspace, &expected.query).await.with_context(|| format!("the query of {at}"))?;
    let got: Vec<(usize, &RecordBatch)> =
        answered.batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (row, batch))).collect();
    if got.len() != expected.rows.len() {
        let what = "rows of the answer";
        report.failed(&format!("{at}.rows"), what, expected.rows.len().to_string(), got.len().to_string());
    }
    for (number, (wanted, (row, batch))) in expected.rows.iter().zip(got).enumerate() {
        for (name, wanted) in wanted {
            let path = format!("{at}.rows[{number}].{name}");
            let what = format!("{name} in row {} of the answer", number + 1);
            match batch.column_by_name(name) {
                Some(column) => report.compare(&path, what, wanted, &json(column, row)?),
                None => {
                    let schema = batch.schema();
                    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                    report.failed(&path, what, shown(wanted), format!("no such column; it has {}", names.join(", ")));
                }
            }
        }
    }
    Ok(())
}

/// A query may give types that columns do not have, counts among them.
fn json(column: &arrow::array::ArrayRef, row: usize) -> Result<Json> {
    use karat_core::DataType;
    let Some(data_type) = DataType::of_arrow(column.data_type()) else {
        anyhow::bail!("a column of type {} cannot be compared", column.data_type());
    };
    let cast = arrow::compute::cast(column, &data_type.arrow())?;
    Ok(Value::from_array(&cast, row).to_json())
}

async fn training(world: &World, expected: &ExpectTrain, at: &str, report: &mut Report<'_>) -> Result<()> {
    let trial = train::run(&world.workspace, &expected.train, None).await?;
    for (name, wanted) in &expected.measures {
        let path = format!("{at}.measures.{name}");
        let what = format!("{name} of {}", expected.train);
        match trial.metrics.get(name) {
            Some(got) => report.compare(&path, what, wanted, &Json::from(*got)),
            None => {
                let names: Vec<&str> = trial.metrics.keys().map(String::as_str).collect();
                report.failed(&path, what, shown(wanted), format!("no such measure; there are {}", names.join(", ")));
            }
        }
    }
    let passed = all_passed(&trial.gates);
    if let Some(wanted) = expected.gates.filter(|wanted| (*wanted == GatesOutcome::Passed) != passed) {
        let failed: Vec<String> = trial
            .gates
            .iter()
            .filter(|gate| !gate.passed)
            .map(|gate| match gate.measured {
                Some(measured) => format!("{} (measured {measured:.4})", gate.gate),
                None => gate.gate.clone(),
            })
            .collect();
        let got = if passed { "all passed".to_owned() } else { format!("failed: {}", failed.join(", ")) };
        let expected_word = if wanted == GatesOutcome::Passed { "passed" } else { "failed" };
        report.failed(&format!("{at}.gates"), format!("gates of {}", expected.train), expected_word, got);
    }
    Ok(())
}

/// The instant a decision or a read is as of.
pub(super) fn or_now(world: &World, as_of: Option<Instant>) -> Instant {
    as_of.unwrap_or_else(|| world.workspace.clock.now())
}
