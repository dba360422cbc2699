use std::fmt;

use jiff::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::time::{days_of, micros_of};
use crate::{Instant, Zone};

/// How dates or timestamps are written, in the words of `strptime`: `%d.%m.%Y`, `%d/%m/%Y %H:%M`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeFormat(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{format}` does not tell a day: {problem}")]
pub struct TimeFormatError {
    pub format: String,
    pub problem: String,
}

impl TimeFormat {
    /// A day must come out of it: `%m/%Y` does not do.
    pub fn new(format: impl Into<String>) -> Result<TimeFormat, TimeFormatError> {
        let format = format.into();
        // 2021-11-23T13:45:56.789Z: no two of its parts are alike.
        let sample = Timestamp::from_millisecond(1_637_675_156_789).expect("it is within the calendar");
        let sample = sample.to_zoned(TimeZone::UTC);
        let wrong = |problem: String| TimeFormatError { format: format.clone(), problem };
        let written =
            BrokenDownTime::from(&sample).to_string(&format).map_err(|error| wrong(last_cause(&error.to_string())))?;
        let read = BrokenDownTime::parse(&format, &written).map_err(|error| wrong(last_cause(&error.to_string())))?;
        match read.timestamp() {
            Some(_) => {}
            None => {
                read.to_date().map_err(|error| wrong(last_cause(&error.to_string())))?;
                read.to_time().map_err(|error| wrong(last_cause(&error.to_string())))?;
            }
        }
        Ok(TimeFormat(format))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Days since 1970-01-01; what the text says of the time of day is left out.
    pub fn date(&self, text: &str) -> Option<i32> {
        let read = BrokenDownTime::parse(&self.0, text).ok()?;
        match read.timestamp() {
            Some(timestamp) => Some(days_of(TimeZone::UTC.to_datetime(timestamp).date())),
            None => Some(days_of(read.to_date().ok()?)),
        }
    }

    /// With an offset in the text (`%z`, `%s`) by that, else in `zone`; without a time of day, midnight.
    pub fn instant(&self, text: &str, zone: &Zone) -> Option<Instant> {
        let read = BrokenDownTime::parse(&self.0, text).ok()?;
        if read.offset().is_some() || read.timestamp().is_some() {
            return Some(micros_of(read.to_timestamp().ok()?));
        }
        Some(zone.instant(read.to_datetime().ok()?))
    }
}

/// jiff gives the causes of an error in one line, the last of them being the reason.
fn last_cause(message: &str) -> String {
    message.rsplit(": ").next().unwrap_or(message).to_owned()
}

impl fmt::Display for TimeFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for TimeFormat {
    type Error = TimeFormatError;

    fn try_from(format: String) -> Result<TimeFormat, TimeFormatError> {
        TimeFormat::new(format)
    }
}

impl From<TimeFormat> for String {
    fn from(format: TimeFormat) -> String {
        format.0
    }
}

impl schemars::JsonSchema for TimeFormat {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimeFormat".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "How dates or timestamps are written, in the words of `strptime`.",
            "pattern": "%",
            "examples": ["%d.%m.%Y", "%d/%m/%Y %H:%M", "%Y%m%d"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::civil_date;

    fn format(text: &str) -> TimeFormat {
        TimeFormat::new(text).unwrap()
    }

    #[test]
    fn days_are_read_as_written() {
        assert_eq!(format("%d.%m.%Y").date("4.12.2019"), civil_date("2019-12-04"));
        assert_eq!(format("%d.%m.%Y").date("31.02.2019"), None);
        assert_eq!(format("%d.%m.%Y").date("4.12.2019 x"), None);
        assert_eq!(format("%Y%m%d").date("20191204"), civil_date("2019-12-04"));
        assert_eq!(format("%m/%d/%y").date("12/04/19"), civil_date("2019-12-04"));
        assert_eq!(format("%d-%b-%Y").date("04-Dec-3021"), civil_date("3021-12-04"));
    }

    #[test]
    fn times_are_read_in_the_zone_unless_they_say_theirs() {
        let prague = Zone::named("Europe/Prague").unwrap();
        let at = |text: &str| Some(Instant::parse(text).unwrap());
        assert_eq!(format("%d.%m.%Y %H:%M").instant("4.12.2019 13:05", &prague), at("2019-12-04T12:05:00Z"));
        assert_eq!(format("%d.%m.%Y").instant("4.12.2019", &prague), at("2019-12-03T23:00:00Z"));
        assert_eq!(format("%Y-%m-%d %H:%M %z").instant("2019-12-04 13:05 +0300", &prague), at("2019-12-04T10:05:00Z"));
        assert_eq!(format("%s").instant("86400", &prague), at("1970-01-02"));
        assert_eq!(
            format("%Y-%m-%d %H:%M:%S%.f").instant("2019-12-04 13:05:06.25", &Zone::utc()),
            at("2019-12-04T13:05:06.25Z")
        );
    }

    #[test]
    fn formats_that_tell_no_day_are_refused() {
        for bad in ["%m/%Y", "%H:%M", "", "%", "%Q1", "DD.MM.YYYY", "%d.%m.%Y %M"] {
            let error = TimeFormat::new(bad).unwrap_err();
            assert!(error.to_string().starts_with(&format!("`{bad}` does not tell a day: ")), "{error}");
        }
    }
}
