use karat_core::{Instant, Window};

use crate::view::Plan;

const REMEMBERED: usize = 256;

/// Where windows begin. Steps of months are dear and readers' times few, so the last ones are remembered.
#[derive(Debug)]
pub(crate) struct WindowStarts {
    width: usize,
    /// Whether there are steps of months among them.
    dear: bool,
    times: Vec<Option<i64>>,
    starts: Vec<i64>,
}

impl WindowStarts {
    pub(crate) fn new(plan: &Plan) -> WindowStarts {
        let dear = plan.windows.iter().any(|window| matches!(window, Window::Months(_)));
        WindowStarts { width: plan.windows.len(), dear, times: Vec::new(), starts: Vec::new() }
    }

    /// Fills `out` with the start of each window that ends at `as_of`.
    #[inline]
    pub(crate) fn at(&mut self, plan: &Plan, as_of: i64, out: &mut Vec<i64>) {
        out.clear();
        if !self.dear {
            out.extend(Self::compute(plan, as_of));
            return;
        }
        if self.times.is_empty() {
            // The first reader may be the only one: it pays for no memory.
            self.times.push(None);
            out.extend(Self::compute(plan, as_of));
            return;
        }
        if self.times.len() == 1 {
            self.times.resize(REMEMBERED, None);
            self.starts.resize(REMEMBERED * self.width, 0);
        }
        let place = ((as_of as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % REMEMBERED;
        let stretch = place * self.width..(place + 1) * self.width;
        if self.times[place] != Some(as_of) {
            self.times[place] = Some(as_of);
            for (start, computed) in self.starts[stretch.clone()].iter_mut().zip(Self::compute(plan, as_of)) {
                *start = computed;
            }
        }
        out.extend_from_slice(&self.starts[stretch]);
    }

    fn compute(plan: &Plan, as_of: i64) -> impl Iterator<Item = i64> + '_ {
        plan.windows.iter().map(move |window| window.start(Instant::from_micros(as_of), &plan.zone).micros())
    }
}
