//! What a source's rows look like: one pass over the source, then two over the accepted rows, which wait in a spool.
//!
//! Memory is bounded, whatever the rows: a column counts up to 65,536 different values exactly (and 4 MiB of their
//! text), then estimates; the ranks of more values than that take 32 KiB for each doubling of the rows; rows are told apart by
//! 64-bit hashes, which go to disk beyond their budget.

mod bins;
mod code;
mod column;
mod distinct;
mod frequent;
mod months;
mod ranks;
mod repeats;
mod tally;
mod values;

use std::sync::{Arc, Mutex};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::FutureExt;
use futures::future::BoxFuture;
use karat_core::profile::{Bounds, ColumnProfile, FORMAT_VERSION, Label, Profile, RepeatedKeys, Summary};
use karat_core::{Schema, hidden};

use crate::engine::{Engine, Tables};
use crate::hash::stable_row_hashes;
use crate::plan::{Parts, SourcePlan};
use crate::stage::{Occasion, Seen, stage_tapped, visible_columns};
use crate::{Progress, QueryError, Result, Staged};

use column::Column;
use months::Months;
use repeats::Repeats;
use tally::Tally;

pub use values::ValueSummary;

/// Which accepted rows train a model, and with what label.
pub trait TrainingLabel {
    /// What the profile says of it once all rows were shown; `None`: no label is looked at.
    fn described(&self) -> Option<Label>;
    /// The label of each row that trains; `None` for every other row. A batch has the declared columns and `_row`.
    fn of(&mut self, batch: &RecordBatch) -> std::result::Result<Vec<Option<bool>>, String>;
}

/// No model learns from these rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLabel;

impl TrainingLabel for NoLabel {
    fn described(&self) -> Option<Label> {
        None
    }

    fn of(&mut self, _: &RecordBatch) -> std::result::Result<Vec<Option<bool>>, String> {
        Ok(Vec::new())
    }
}

/// A source that was read once, with what was seen of its rows.
pub struct Profiling {
    pub staged: Staged,
    plan: SourcePlan,
    read: Vec<Column>,
    read_rows: u64,
    repeated_rows: u64,
    repeated_keys: u64,
}

/// What is seen while rows are read.
struct Seeing {
    columns: Vec<Column>,
    rows: u64,
    whole: Repeats,
    keys: Repeats,
    key_places: Vec<usize>,
}

/// Reads the source as [`crate::stage`] does, looking at every row.
pub fn profile<'a>(
    engine: &'a Engine,
    plan: &'a SourcePlan,
    tables: &'a Tables,
    occasion: Occasion,
    progress: Arc<dyn Progress>,
) -> BoxFuture<'a, Result<Profiling>> {
    async move {
        let parts = plan.0.clone();
        let seeing = Arc::new(Mutex::new(Seeing::new(engine, &parts)));
        let looking = seeing.clone();
        let look = move |seen: Seen<'_>| looking.lock().expect("nothing panics while it looks").look(seen);
        let staged = stage_tapped(engine, plan, tables, occasion, progress, Box::new(look)).await?;
        let seeing = Arc::into_inner(seeing).map(|seeing| seeing.into_inner().expect("nothing panics while it looks"));
        let seeing = seeing.ok_or_else(|| QueryError::Internal("somebody still looks at rows".to_owned()))?;
        Ok(Profiling {
            staged,
            plan: plan.clone(),
            read: seeing.columns,
            read_rows: seeing.rows,
            repeated_rows: seeing.whole.finish()?,
            repeated_keys: seeing.keys.finish()?,
        })
    }
    .boxed()
}

impl Seeing {
    fn new(engine: &Engine, parts: &Parts) -> Seeing {
        let repeats = || Repeats::new(engine.temp_dir(), engine.memory_bytes() / 16);
        let place = |name: &String| parts.prepared.index_of(name).expect("the plan has checked the keys");
        Seeing {
            columns: columns(&parts.read),
            rows: 0,
            whole: repeats(),
            keys: repeats(),
            key_places: parts.source.keys.iter().map(place).collect(),
        }
    }

    fn look(&mut self, seen: Seen<'_>) -> Result<()> {
        match seen {
            Seen::Read(batch) => {
                self.rows += batch.num_rows() as u64;
                self.columns.iter_mut().zip(batch.columns()).for_each(|(column, array)| column.add(array));
                self.whole.add(&stable_row_hashes(batch.columns(), batch.num_rows()))
            }
            Seen::Prepared(_) if self.key_places.is_empty() => Ok(()),
            Seen::Prepared(batch) => {
                let keys: Vec<_> = self.key_places.iter().map(|place| batch.column(*place).clone()).collect();
                self.keys.add(&stable_row_hashes(&keys, batch.num_rows()))
            }
        }
    }
}

fn columns(schema: &Schema) -> Vec<Column> {
    schema.columns().iter().map(|column| Column::new(column.data_type)).collect()
}

impl Profiling {
    /// Looks at the accepted rows twice: at their values, then at how these fall into bins, months and labels. Blocks.
    pub fn finish(&self, label: &mut dyn TrainingLabel) -> Result<Profile> {
        let parts = &self.plan.0;
        let schema = &parts.shape.schema;
        let mut accepted = columns(schema);
        let mut months = Months::new(parts.source.zone());
        for batch in self.staged.accepted.batches()? {
            let batch = batch?;
            accepted.iter_mut().zip(batch.columns()).for_each(|(column, array)| column.add(array));
            months.count(event_times(&batch));
        }
        months.settle();
        let mut tallies: Vec<Tally> = accepted.iter().map(|column| Tally::new(column, months.len())).collect();
        let visible = visible_columns(self.staged.accepted.schema());
        for batch in self.staged.accepted.batches()? {
            let batch = batch?;
            let labels = label.of(&batch.project(&visible)?).map_err(QueryError::Internal)?;
            let places = months.places(event_times(&batch));
            tallies.iter_mut().zip(batch.columns()).for_each(|(tally, array)| tally.add(array, &labels, &places));
        }
        let described = label.described();
        let mut profiled: Vec<ColumnProfile> = Vec::new();
        for (index, column) in schema.columns().iter().enumerate() {
            let is_label = described.as_ref().is_some_and(|label| label.column == column.name);
            let as_read = parts.read.index_of(&column.name).map(|place| self.read[place].summary());
            let summary = accepted[index].summary();
            let tally = &tallies[index];
            let roles = roles(parts, &column.name, is_label);
            // How times change over time says nothing.
            let is_clock = roles.iter().any(|role| role == "event_time" || role == "known_time");
            profiled.push(ColumnProfile {
                name: column.name.clone(),
                data_type: column.data_type,
                roles,
                // What a label is in the other parts must not show.
                as_read: as_read.map(|summary| if is_label { counts_only(summary) } else { summary }),
                histogram: if is_label { Vec::new() } else { tally.histogram() },
                label: (described.is_some() && !is_label).then(|| tally.label()),
                months: if is_label || is_clock { Vec::new() } else { tally.months() },
                accepted: Some(if is_label { counts_only(summary) } else { summary }),
            });
        }
        let kept = |name: &str| schema.column(name).is_some();
        let dropped = parts.read.columns().iter().zip(&self.read).filter(|(column, _)| !kept(&column.name));
        profiled.extend(dropped.map(|(column, seen)| ColumnProfile {
            name: column.name.clone(),
            data_type: column.data_type,
            roles: vec!["dropped".to_owned()],
            as_read: Some(seen.summary()),
            accepted: None,
            histogram: Vec::new(),
            label: None,
            months: Vec::new(),
        }));
        Ok(Profile {
            format_version: FORMAT_VERSION,
            source: parts.source.name.clone(),
            readable: self.read_rows,
            accepted: self.staged.accepted_rows(),
            repeated_rows: self.repeated_rows,
            repeated_keys: (!parts.source.keys.is_empty())
                .then(|| RepeatedKeys { columns: parts.source.keys.clone(), rows: self.repeated_keys }),
            months: months.told(),
            label: described,
            columns: profiled,
            bounds: Bounds {
                exact_values: frequent::MOST_VALUES as u64,
                exact_bytes: frequent::MOST_BYTES as u64,
                distinct_error: distinct::STANDARD_ERROR,
                months: months::MOST_MONTHS as u64,
            },
        })
    }
}

fn event_times(batch: &RecordBatch) -> &arrow::array::Int64Array {
    batch.column_by_name(hidden::EVENT_TIME).expect("accepted batches have it").as_primitive::<Int64Type>()
}

fn roles(parts: &Parts, name: &str, is_label: bool) -> Vec<String> {
    let source = &parts.source;
    let named = |role: &Option<String>| role.as_deref() == Some(name);
    let all = [
        (source.keys.iter().any(|key| key == name), "key"),
        (named(&source.event_id), "event_id"),
        (named(&source.event_time), "event_time"),
        (named(&source.known_time), "known_time"),
        (is_label, "label"),
    ];
    all.into_iter().filter(|(is, _)| *is).map(|(_, role)| role.to_owned()).collect()
}

/// Rows, nulls and distinct values of a column whose values are not to be shown.
fn counts_only(summary: Summary) -> Summary {
    Summary {
        min: serde_json::Value::Null,
        max: serde_json::Value::Null,
        mean: None,
        std: None,
        quantiles: Vec::new(),
        top: Vec::new(),
        ..summary
    }
}
