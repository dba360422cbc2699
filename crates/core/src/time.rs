//! Instants, zones and windows, as the design's "Time" paragraph defines them.
//!
//! Instants are microseconds UTC. Hours and days are fixed lengths (a day is 24 hours); months step in a zone,
//! the day of the month clamped, gaps moved forward, doubled times taken the earlier.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

pub const MICROS_PER_SECOND: i64 = 1_000_000;
pub const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instant(i64);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("`{0}` is not a time: expected something like 2021-10-01T00:00:00Z")]
    Unreadable(String),
    #[error("`{0}` has no offset: write 2021-10-01T00:00:00Z, or +02:00 in place of Z")]
    NoOffset(String),
    #[error("`{0}` is not a time zone: expected a name like Europe/Prague, or UTC")]
    UnknownZone(String),
    #[error(
        "`{0}` is not a length of time: expected a number and microseconds, milliseconds, seconds, minutes, hours, days, weeks, months or years"
    )]
    UnreadableWindow(String),
}

impl Instant {
    /// Before everything: what a fact's first row is known from.
    pub const ALWAYS: Instant = Instant(i64::MIN);
    /// After everything.
    pub const NEVER: Instant = Instant(i64::MAX);

    pub const fn from_micros(micros: i64) -> Instant {
        Instant(micros)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Midnight UTC of a day counted from 1970-01-01; of one that no instant reaches, the nearest that there is.
    pub fn midnight(days: i32) -> Instant {
        Instant(i64::from(days).saturating_mul(MICROS_PER_DAY))
    }

    /// RFC 3339 with an offset, or a bare date (midnight UTC).
    pub fn parse(text: &str) -> Result<Instant, TimeError> {
        if let Some(days) = civil_date(text) {
            return Ok(Instant::midnight(days));
        }
        match text.parse::<Timestamp>() {
            Ok(timestamp) => Ok(Instant(timestamp.as_microsecond())),
            Err(_) => match at_the_end(text) {
                Some(instant) => Ok(instant),
                None if text.parse::<DateTime>().is_ok() => Err(TimeError::NoOffset(text.to_owned())),
                None => Err(TimeError::Unreadable(text.to_owned())),
            },
        }
    }

    /// RFC 3339 with an offset and nothing else: what an `as_of` from a person or a request must be.
    pub fn parse_with_offset(text: &str) -> Result<Instant, TimeError> {
        match civil_date(text) {
            Some(_) => Err(TimeError::NoOffset(text.to_owned())),
            None => Instant::parse(text),
        }
    }

    /// As [`Instant::parse`]; naive times and bare dates are read in `zone`.
    pub fn parse_in(text: &str, zone: &Zone) -> Result<Instant, TimeError> {
        if let Ok(timestamp) = text.parse::<Timestamp>() {
            return Ok(Instant(timestamp.as_microsecond()));
        }
        let civil = text.parse::<DateTime>().ok();
        let may_have_offset = civil.is_none_or(is_at_the_end);
        let instant = if may_have_offset { at_the_end(text) } else { None };
        instant.or_else(|| civil.map(|civil| zone.instant(civil))).ok_or_else(|| TimeError::Unreadable(text.to_owned()))
    }

    pub fn saturating_add_micros(self, micros: i64) -> Instant {
        Instant(self.0.saturating_add(micros))
    }

    fn timestamp(self) -> Option<Timestamp> {
        Timestamp::from_microsecond(self.0).ok()
    }
}

impl fmt::Display for Instant {
    /// RFC 3339 in UTC, with as many fractional digits as are needed. Sentinels and instants outside the calendar's
    /// range print as `always`, `never` or microseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(timestamp) = self.timestamp() {
            return write!(f, "{timestamp}");
        }
        match civil_of(self.0) {
            Some(civil) => write!(f, "{civil}Z"),
            None if *self == Instant::ALWAYS => f.write_str("always"),
            None if *self == Instant::NEVER => f.write_str("never"),
            None => write!(f, "{} us", self.0),
        }
    }
}

impl FromStr for Instant {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Instant, TimeError> {
        match text {
            "always" => Ok(Instant::ALWAYS),
            "never" => Ok(Instant::NEVER),
            _ => match text.strip_suffix(" us").and_then(|micros| micros.parse().ok()) {
                Some(micros) => Ok(Instant(micros)),
                None => Instant::parse(text),
            },
        }
    }
}

impl Serialize for Instant {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Instant, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Days since 1970-01-01 of `YYYY-MM-DD`, and of nothing else.
pub fn civil_date(text: &str) -> Option<i32> {
    if text.len() > 13 || text.contains(['T', 't', ' ', ':']) {
        return None;
    }
    let date: Date = text.parse().ok()?;
    Some(days_of(date))
}

pub fn format_date(days: i32) -> String {
    match calendar_day(days) {
        Some(date) => date.to_string(),
        None => format!("day {days}"),
    }
}

/// `None` beyond the calendar's years -9999 to 9999, which a `Date32` reaches far beyond.
fn calendar_day(days: i32) -> Option<Date> {
    Span::new().try_days(days).and_then(|span| epoch().checked_add(span)).ok()
}

/// The UTC time of so many microseconds since 1970; `None` beyond the calendar's years -9999 to 9999.
fn civil_of(micros: i64) -> Option<DateTime> {
    let date = calendar_day(i32::try_from(micros.div_euclid(MICROS_PER_DAY)).ok()?)?;
    let into_day = jiff::SignedDuration::from_micros(micros.rem_euclid(MICROS_PER_DAY));
    date.to_datetime(jiff::civil::Time::midnight()).checked_add(into_day).ok()
}

fn micros_of_civil(civil: DateTime) -> i64 {
    let into_day = civil.time().duration_since(jiff::civil::Time::midnight());
    let micros = i64::try_from(into_day.as_micros()).expect("a day has few microseconds");
    i64::from(days_of(civil.date())) * MICROS_PER_DAY + micros
}

fn is_at_the_end(civil: DateTime) -> bool {
    matches!(civil.year(), -9999 | 9999)
}

/// A time with an offset in the calendar's first and last days, which jiff's timestamps do not reach: the end of what has no
/// end is often written `9999-12-31`.
fn at_the_end(text: &str) -> Option<Instant> {
    let time = Pieces::parse(text).ok()?;
    let civil = time.date().to_datetime(time.time()?);
    let offset = time.to_numeric_offset()?;
    is_at_the_end(civil).then(|| Instant(micros_of_civil(civil) - i64::from(offset.seconds()) * MICROS_PER_SECOND))
}

/// What [`format_date`] prints, days beyond the calendar included.
pub(crate) fn parse_printed_date(text: &str) -> Option<i32> {
    match text.strip_prefix("day ") {
        Some(days) => days.parse().ok(),
        None => civil_date(text),
    }
}

fn epoch() -> Date {
    jiff::civil::date(1970, 1, 1)
}

pub(crate) fn days_of(date: Date) -> i32 {
    epoch().until(date).expect("days between dates always fit").get_days()
}

pub(crate) fn micros_of(timestamp: Timestamp) -> Instant {
    Instant(timestamp.as_microsecond())
}

/// An IANA time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    pub fn utc() -> Zone {
        Zone(TimeZone::UTC)
    }

    pub fn named(name: &str) -> Result<Zone, TimeError> {
        TimeZone::get(name).map(Zone).map_err(|_| TimeError::UnknownZone(name.to_owned()))
    }

    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    pub fn is_utc(&self) -> bool {
        self.0 == TimeZone::UTC
    }

    /// The instant of a naive time here: a time in a gap moves forward by the gap, a doubled one is the earlier.
    pub fn instant(&self, civil: DateTime) -> Instant {
        match self.0.to_ambiguous_timestamp(civil).compatible() {
            Ok(timestamp) => Instant(timestamp.as_microsecond()),
            Err(_) => Instant(micros_of_civil(civil) - self.offset_at_the_end(civil.year() < 0)),
        }
    }

    /// What is added to UTC, in microseconds, in the calendar's first and last days, which jiff's timestamps do not reach.
    fn offset_at_the_end(&self, first: bool) -> i64 {
        let nearest = if first { Timestamp::MIN } else { Timestamp::MAX };
        i64::from(self.0.to_offset(nearest).seconds()) * MICROS_PER_SECOND
    }

    /// Midnight here of a day counted from 1970-01-01.
    pub fn midnight(&self, days: i32) -> Instant {
        if self.is_utc() {
            return Instant::midnight(days);
        }
        match calendar_day(days) {
            Some(date) => self.instant(date.to_datetime(jiff::civil::Time::midnight())),
            None => Instant::midnight(days),
        }
    }

    /// The naive time here of an instant; `None` beyond the calendar's years -9999 to 9999.
    pub fn civil(&self, instant: Instant) -> Option<DateTime> {
        match instant.timestamp() {
            Some(timestamp) => Some(self.0.to_datetime(timestamp)),
            None => civil_of(instant.0.checked_add(self.offset_at_the_end(instant.0 < 0))?),
        }
    }

    /// `months` calendar months later (earlier when negative), the day of the month clamped to the month's length.
    /// Saturates to [`Instant::ALWAYS`] or [`Instant::NEVER`] beyond the calendar.
    pub fn add_months(&self, instant: Instant, months: i32) -> Instant {
        let beyond = if months < 0 { Instant::ALWAYS } else { Instant::NEVER };
        let Some(civil) = self.civil(instant) else { return beyond };
        match Span::new().try_months(months).and_then(|span| civil.checked_add(span)) {
            Ok(moved) => self.instant(moved),
            Err(_) => beyond,
        }
    }

    /// The first instant of the calendar month that holds `instant`.
    pub fn month_start(&self, instant: Instant) -> Instant {
        match self.civil(instant) {
            Some(civil) => self.instant(civil.date().first_of_month().to_datetime(jiff::civil::Time::midnight())),
            None => instant,
        }
    }
}

impl Serialize for Zone {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Zone, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Zone::named(&text).map_err(serde::de::Error::custom)
    }
}

/// A length of time: fixed, or in calendar months. Written `30 days`, `6 months`, `1 year`, `90 minutes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// Microseconds; `30 days` is 720 hours.
    Fixed(i64),
    Months(u32),
}

impl Window {
    /// Where a window that ends at `end` begins.
    pub fn start(self, end: Instant, zone: &Zone) -> Instant {
        match self {
            Window::Fixed(micros) => end.saturating_add_micros(-micros),
            Window::Months(months) => zone.add_months(end, -(months as i32)),
        }
    }

    /// Where a window that begins at `start` ends.
    pub fn end(self, start: Instant, zone: &Zone) -> Instant {
        match self {
            Window::Fixed(micros) => start.saturating_add_micros(micros),
            Window::Months(months) => zone.add_months(start, months as i32),
        }
    }

    /// As a clock measures it; of calendar months, the longest they can be.
    pub fn duration(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.longest_micros().max(0) as u64)
    }

    /// The longest this window can be, in microseconds: for comparing windows, never for computing edges.
    pub fn longest_micros(self) -> i64 {
        match self {
            Window::Fixed(micros) => micros,
            Window::Months(months) => i64::from(months) * 31 * MICROS_PER_DAY + MICROS_PER_DAY,
        }
    }
}

impl FromStr for Window {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Window, TimeError> {
        let wrong = || TimeError::UnreadableWindow(text.to_owned());
        let trimmed = text.trim();
        let digits = trimmed.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u32 = trimmed[..digits].parse().map_err(|_| wrong())?;
        let unit = trimmed[digits..].trim();
        let unit = unit.strip_suffix('s').unwrap_or(unit);
        let fixed = |micros: i64| micros.checked_mul(i64::from(number)).map(Window::Fixed).ok_or_else(wrong);
        let months =
            |each: u32| number.checked_mul(each).filter(|m| *m <= 12 * 9999).map(Window::Months).ok_or_else(wrong);
        match unit {
            "microsecond" => fixed(1),
            "millisecond" => fixed(1000),
            "second" => fixed(MICROS_PER_SECOND),
            "minute" => fixed(60 * MICROS_PER_SECOND),
            "hour" => fixed(3600 * MICROS_PER_SECOND),
            "day" => fixed(MICROS_PER_DAY),
            "week" => fixed(7 * MICROS_PER_DAY),
            "month" => months(1),
            "year" => months(12),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match *self {
            Window::Months(months) if months % 12 == 0 && months > 0 => (i64::from(months / 12), "year"),
            Window::Months(months) => (i64::from(months), "month"),
            Window::Fixed(micros) => {
                let units = [
                    (MICROS_PER_DAY, "day"),
                    (3600 * MICROS_PER_SECOND, "hour"),
                    (60 * MICROS_PER_SECOND, "minute"),
                    (MICROS_PER_SECOND, "second"),
                    (1000, "millisecond"),
                ];
                let (length, unit) =
                    units.into_iter().find(|(length, _)| micros % length == 0).unwrap_or((1, "microsecond"));
                (micros / length, unit)
            }
        };
        write!(f, "{number} {unit}{}", if number == 1 { "" } else { "s" })
    }
}

impl Serialize for Window {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Window, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Window {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Window".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A length of time, such as `30 days` (720 hours) or `6 months` (calendar months).",
            "pattern": r"^\s*[0-9]+\s*(microsecond|millisecond|second|minute|hour|day|week|month|year)s?\s*$",
            "examples": ["30 days", "6 months", "1 year"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        Instant::parse(text).unwrap()
    }

    #[test]
    fn instants_need_an_offset_and_bare_dates_are_midnight_utc() {
        assert_eq!(at("2021-10-01"), at("2021-10-01T00:00:00Z"));
        assert_eq!(at("2021-10-01T02:00:00+02:00"), at("2021-10-01"));
        assert_eq!(
            Instant::parse("2021-10-01T02:00:00").unwrap_err(),
            TimeError::NoOffset("2021-10-01T02:00:00".into())
        );
        assert!(Instant::parse("yesterday").is_err());
        assert!(Instant::parse_with_offset("2021-10-01").is_err());
        assert_eq!(at("2021-10-01").to_string(), "2021-10-01T00:00:00Z");
    }

    #[test]
    fn months_clamp_the_day() {
        let utc = Zone::utc();
        assert_eq!(utc.add_months(at("2020-03-31"), -1), at("2020-02-29"));
        assert_eq!(utc.add_months(at("2021-03-31"), -1), at("2021-02-28"));
        assert_eq!(utc.add_months(at("2020-02-29"), 12), at("2021-02-28"));
        assert_eq!(utc.add_months(Instant::from_micros(-1), 1), at("1970-01-31T23:59:59.999999Z"));
    }

    #[test]
    fn months_move_gaps_forward_and_take_the_earlier_of_doubled_times() {
        let prague = Zone::named("Europe/Prague").unwrap();
        // 2021-03-28 02:30 does not exist in Prague; one month after 2021-02-28 02:30 is 03:30 summer time.
        assert_eq!(prague.add_months(at("2021-02-28T02:30:00+01:00"), 1), at("2021-03-28T03:30:00+02:00"));
        // 2021-10-31 02:30 happens twice; the earlier is summer time.
        assert_eq!(prague.add_months(at("2021-09-30T02:30:00+02:00"), 1), at("2021-10-30T02:30:00+02:00"));
        assert_eq!(prague.add_months(at("2021-08-31T02:30:00+02:00"), 2), at("2021-10-31T02:30:00+02:00"));
    }

    #[test]
    fn windows_parse_print_and_step() {
        for (text, printed) in [
            ("30 days", "30 days"),
            ("1 week", "7 days"),
            ("90minutes", "90 minutes"),
            ("1500 milliseconds", "1500 milliseconds"),
            ("6 months", "6 months"),
            ("1 year", "1 year"),
            ("1 month", "1 month"),
        ] {
            assert_eq!(text.parse::<Window>().unwrap().to_string(), printed);
        }
        for bad in ["", "days", "-1 days", "3 fortnights", "1.5 days", "99999999999 days"] {
            assert!(bad.parse::<Window>().is_err(), "{bad}");
        }
        let six_months: Window = "6 months".parse().unwrap();
        assert_eq!(six_months.start(at("2021-08-31"), &Zone::utc()), at("2021-02-28"));
        assert_eq!(six_months.start(Instant::ALWAYS, &Zone::utc()), Instant::ALWAYS);
    }

    #[test]
    fn the_end_of_the_calendar_is_a_time_like_any_other() {
        let last = Instant::midnight(civil_date("9999-12-31").unwrap());
        let (prague, new_york) = (Zone::named("Europe/Prague").unwrap(), Zone::named("America/New_York").unwrap());
        let second = "9999-12-31T23:59:59";
        let end = last.saturating_add_micros(86_399 * MICROS_PER_SECOND);
        for (text, zone, instant) in [
            ("9999-12-31", Zone::utc(), last),
            ("9999-12-31T00:00:00Z", Zone::utc(), last),
            ("9999-12-31T01:00:00+01:00", Zone::utc(), last),
            ("9999-12-31 00:00:00", Zone::utc(), last),
            ("9999-12-31 01:00:00", prague.clone(), last),
            ("9999-12-30 19:00:00", new_york, last),
            (second, Zone::utc(), end),
            (
                "9999-12-31T23:59:59.999999",
                prague.clone(),
                end.saturating_add_micros(999_999 - 3600 * MICROS_PER_SECOND),
            ),
        ] {
            assert_eq!(Instant::parse_in(text, &zone).unwrap(), instant, "{text}");
            assert_eq!(instant.to_string().parse(), Ok(instant));
        }
        assert_eq!((last.to_string(), end.to_string()), ("9999-12-31T00:00:00Z".to_owned(), format!("{second}Z")));
        assert_eq!(prague.civil(last).unwrap().to_string(), "9999-12-31T01:00:00");
        assert_eq!(prague.add_months(last, -1).to_string(), "9999-11-30T00:00:00Z");
        assert_eq!(prague.add_months(last, 1), Instant::NEVER);
        assert_eq!(Instant::parse(second), Err(TimeError::NoOffset(second.to_owned())));
        let first = Instant::parse_in("-009999-01-01T00:00:00", &prague).unwrap();
        assert_eq!((prague.civil(first).unwrap().year(), first.to_string().parse()), (-9999, Ok(first)));
        for beyond in [Instant::ALWAYS, Instant::NEVER] {
            assert_eq!((prague.civil(beyond), beyond.to_string().parse()), (None, Ok(beyond)));
        }
    }

    #[test]
    fn dates_far_away_survive() {
        assert_eq!(format_date(civil_date("3021-09-18").unwrap()), "3021-09-18");
        assert_eq!(Instant::midnight(civil_date("3021-09-18").unwrap()).to_string(), "3021-09-18T00:00:00Z");
        assert_eq!(civil_date("2021-10-01T00:00:00Z"), None);
    }
}
