//! The events of every view on disk: in the order of their keys where the spine is in it, too, and by parts of their keys
//! where it is not, or where there are too many for their runs to be read side by side.

use std::collections::BTreeMap;

use anyhow::Result;
use karat_core::Name;
use karat_features::CompiledView;

use super::super::passes::{Asked, Reach, Reading, in_order, key_names, readings};
use super::sorted::{self, Among, Sorted, Sorting};
use crate::Workspace;
use crate::spill::{self, Spilled, Spilling};

/// A view whose events are on disk.
pub(super) struct OnDisk<'v> {
    pub view: &'v CompiledView,
    pub events: Events<'v>,
    /// About what one of them takes while it is held.
    pub event_bytes: u64,
    pub commit: u64,
    pub reach: Reach,
}

pub(super) enum Events<'v> {
    InOrder(Sorted),
    ByParts(Spilled<'v>),
}

/// Reads each history once, whatever the number of views computed from it, for a spine of which so many parts are gone through
/// at once; what comes back stands in the order of `views`. Views of the same keys have the same parts.
pub(super) async fn to_disk<'v>(
    workspace: &Workspace,
    views: &[&'v CompiledView],
    up_to: &dyn Fn(&Name) -> Option<u64>,
    spine: &Sorted,
    at_once: u64,
) -> Result<Vec<OnDisk<'v>>> {
    let readings = readings(workspace, views, up_to).await?;
    let among = |reading: &Reading<'_>| Among { sorted: reading.views.len() as u64, read: 1 + views.len() as u64 };
    let is_in_order = |reading: &Reading<'_>, asked: &Asked<'_>| {
        let events = (reading.snapshot.rows(), asked.event_bytes);
        spine.leads(asked.view) && sorted::can_be_merged(workspace, events, among(reading))
    };
    let mut parts: BTreeMap<Vec<&str>, u64> = BTreeMap::new();
    for reading in &readings {
        for asked in reading.views.iter().filter(|asked| !is_in_order(reading, asked)) {
            let view = asked.view;
            let events = reading.snapshot.rows().saturating_mul(asked.event_bytes);
            let bytes = events.saturating_add(spine.rows().saturating_mul(view.reader_bytes() as u64));
            let most = parts.entry(key_names(view)).or_insert(1);
            *most = spill::parts_of(workspace, bytes, at_once).max(*most);
        }
    }
    let mut on_disk = Vec::with_capacity(views.len());
    for reading in readings {
        let rows = reading.snapshot.rows();
        let among = among(&reading);
        let taking = |asked: &Asked<'v>| {
            let view = asked.view;
            match is_in_order(&reading, asked) {
                true => Sorting::new(workspace, view.key_order(), (rows, asked.event_bytes), among)
                    .map(|sorting| Taking::InOrder(view, sorting)),
                false => {
                    Spilling::new(workspace, view, parts[&key_names(view)], reading.views.len()).map(Taking::ByParts)
                }
            }
        };
        let mut takings = reading.views.iter().map(taking).collect::<Result<Vec<_>>>()?;
        let push =
            |batch: &_| tokio::task::block_in_place(|| takings.iter_mut().try_for_each(|taking| taking.push(batch)));
        let reach = reading.run(workspace, push).await?;
        let commit = reading.snapshot.commit;
        for (Asked { place, view, event_bytes }, taking) in reading.views.into_iter().zip(takings) {
            let events = tokio::task::block_in_place(|| taking.finish())?;
            on_disk.push((place, OnDisk { view, events, event_bytes, commit, reach }));
        }
    }
    Ok(in_order(on_disk))
}

/// Events on their way to disk.
enum Taking<'v> {
    InOrder(&'v CompiledView, Sorting),
    ByParts(Spilling<'v>),
}

impl<'v> Taking<'v> {
    fn push(&mut self, history: &arrow::array::RecordBatch) -> Result<()> {
        match self {
            Taking::InOrder(view, sorting) => sorting.push(view.keyed(history)?),
            Taking::ByParts(spilling) => spilling.push(history),
        }
    }

    fn finish(self) -> Result<Events<'v>> {
        match self {
            Taking::InOrder(_, sorting) => Ok(Events::InOrder(sorting.finish()?)),
            Taking::ByParts(spilling) => Ok(Events::ByParts(spilling.finish()?)),
        }
    }
}
