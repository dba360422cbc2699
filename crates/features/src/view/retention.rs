use karat_core::time::MICROS_PER_DAY;
use karat_core::{Instant, Window};

use super::{CompiledView, FeaturePlan, SlotKind};
use crate::definition::DefinitionError;

const HOUR: i64 = MICROS_PER_DAY / 24;

/// How far back online state keeps single events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    All,
    /// Back from the newest ingested event of the view; those before are folded into a checkpoint.
    Since(Window),
}

impl CompiledView {
    /// Checks a view's `online_horizon`: no window of its features may reach beyond it, and none may need every event.
    pub fn retention(&self, online_horizon: Option<Window>) -> Result<Retention, DefinitionError> {
        let Some(horizon) = online_horizon else { return Ok(Retention::All) };
        if !self.plan.timed {
            return Err(DefinitionError::View(
                "online_horizon: the source has no event_time to count back from".to_owned(),
            ));
        }
        for window in &self.plan.windows {
            if !covers(horizon, *window) {
                return Err(DefinitionError::View(format!(
                    "online_horizon: {horizon} is shorter than the window of {window}: make it at least as long"
                )));
            }
        }
        if let Some(feature) = self.quantile_of_all() {
            return Err(DefinitionError::View(format!(
                "online_horizon: feature `{feature}` is an exact quantile of all events, and those before the horizon are \
                 not kept: give it a `window` within {horizon}, or `last: n`; or leave `online_horizon` out"
            )));
        }
        Ok(Retention::Since(horizon))
    }

    /// A feature that no checkpoint can go on with.
    fn quantile_of_all(&self) -> Option<&str> {
        let needs_all = |slot: &usize| {
            let slot = &self.plan.slots[*slot];
            matches!(slot.kind, SlotKind::Quantile(_)) && slot.is_checkpointed(&self.plan)
        };
        self.plan.features.iter().zip(&self.outputs).find_map(|(feature, output)| match feature {
            FeaturePlan::Slot(slot) => needs_all(slot).then_some(output.name.as_str()),
            FeaturePlan::Expression { .. } => None,
        })
    }

    /// The instant before which events may be folded, given the newest event ingested.
    pub(crate) fn horizon(&self, retention: Retention, newest: Option<Instant>) -> Instant {
        match (retention, newest) {
            (Retention::Since(window), Some(newest)) => window.start(newest, &self.plan.zone),
            _ => Instant::ALWAYS,
        }
    }
}

fn covers(horizon: Window, window: Window) -> bool {
    match (horizon, window) {
        (Window::Months(horizon), Window::Months(window)) => horizon >= window,
        (Window::Fixed(horizon), Window::Fixed(window)) => horizon >= window,
        // Leap years and long months, and an hour for daylight saving.
        (Window::Fixed(horizon), Window::Months(months)) => {
            horizon >= (i64::from(months / 12) * 366 + i64::from(months % 12) * 31) * MICROS_PER_DAY + HOUR
        }
        (Window::Months(months), Window::Fixed(window)) => {
            (i64::from(months / 12) * 365 + i64::from(months % 12) * 28) * MICROS_PER_DAY - HOUR >= window
        }
    }
}
