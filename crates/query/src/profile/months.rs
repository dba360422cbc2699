use std::collections::BTreeMap;

use arrow::array::{Array, Int64Array};
use hashbrown::HashMap;
use karat_core::profile::Month;
use karat_core::time::MICROS_PER_SECOND;
use karat_core::{Instant, Zone};

/// The months that stand alone; those before are told together.
pub(super) const MOST_MONTHS: usize = 120;
/// Every zone's offset is a multiple of it.
const QUARTER_HOUR: i64 = 900 * MICROS_PER_SECOND;
/// Quarter hours whose month is remembered.
const REMEMBERED: usize = 100_000;

/// Months of event time, counted in a first pass and told by place in a second.
pub(super) struct Months {
    zone: Zone,
    remembered: HashMap<i64, Option<i32>>,
    /// Rows by month since year 0.
    rows: BTreeMap<i32, u64>,
    /// Months by place, once counting is done; the first may stand for all before it, too.
    places: Vec<i32>,
}

impl Months {
    pub(super) fn new(zone: Zone) -> Months {
        Months { zone, remembered: HashMap::new(), rows: BTreeMap::new(), places: Vec::new() }
    }

    pub(super) fn count(&mut self, times: &Int64Array) {
        for time in times.iter().flatten() {
            if let Some(month) = self.month(time) {
                *self.rows.entry(month).or_default() += 1;
            }
        }
    }

    fn month(&mut self, time: i64) -> Option<i32> {
        let quarter = time.div_euclid(QUARTER_HOUR);
        if let Some(month) = self.remembered.get(&quarter) {
            return *month;
        }
        if self.remembered.len() >= REMEMBERED {
            self.remembered.clear();
        }
        let civil = self.zone.civil(Instant::from_micros(time));
        let month = civil.map(|civil| i32::from(civil.year()) * 12 + i32::from(civil.month()) - 1);
        self.remembered.insert(quarter, month);
        month
    }

    /// Ends the counting: the newest months get a place each.
    pub(super) fn settle(&mut self) {
        let mut newest: Vec<i32> = self.rows.keys().rev().take(MOST_MONTHS).copied().collect();
        newest.reverse();
        self.places = newest;
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The place of each row's month.
    pub(super) fn places(&mut self, times: &Int64Array) -> Vec<Option<usize>> {
        let rows = 0..times.len();
        rows.map(|row| {
            let month = if times.is_null(row) { None } else { self.month(times.value(row)) }?;
            Some(self.places.partition_point(|other| *other <= month).saturating_sub(1))
        })
        .collect()
    }

    pub(super) fn told(&self) -> Vec<Month> {
        let Some(first) = self.places.first() else { return Vec::new() };
        let before: u64 = self.rows.range(..first).map(|(_, rows)| rows).sum();
        let month = |(place, month): (usize, &i32)| {
            let name = format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1);
            match place {
                0 if before > 0 => Month { month: format!("… {name}"), rows: self.rows[month] + before },
                _ => Month { month: name, rows: self.rows[month] },
            }
        };
        self.places.iter().enumerate().map(month).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_the_zone_and_old_ones_stand_together() {
        let at = |text: &str| Instant::parse(text).unwrap().micros();
        let mut months = Months::new(Zone::named("Europe/Prague").unwrap());
        let times = Int64Array::from(vec![Some(at("2021-08-31T22:30:00Z")), None, Some(at("2021-08-31T21:59:59Z"))]);
        months.count(&times);
        months.settle();
        let told: Vec<(String, u64)> = months.told().into_iter().map(|month| (month.month, month.rows)).collect();
        assert_eq!(told, [("2021-08".to_owned(), 1), ("2021-09".to_owned(), 1)]);
        assert_eq!(months.places(&times), [Some(1), None, Some(0)]);

        let mut months = Months::new(Zone::utc());
        let many = Int64Array::from_iter_values(
            (0..200)
                .map(|month| Zone::utc().add_months(Instant::from_micros(at("2000-01-01T00:00:00Z")), month).micros()),
        );
        months.count(&many);
        months.settle();
        let told = months.told();
        assert_eq!((told.len(), told[0].month.as_str(), told[0].rows), (MOST_MONTHS, "… 2006-09", 81));
        assert_eq!(months.places(&many)[..82], [[Some(0); 81].as_slice(), &[Some(1)]].concat());
    }
}
