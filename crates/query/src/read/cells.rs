//! Cells of text into typed columns, one at a time.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use karat_core::{DataType, TimeFormat, Value, Zone};

use super::numbers::Numbers;

/// How a column's cells are written.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub zone: Zone,
    pub numbers: Numbers,
    /// Of its dates or timestamps; as RFC 3339 has them where there is none.
    pub times: Option<TimeFormat>,
    /// The encoding's name in messages.
    pub encoding: &'static str,
}

impl Written {
    /// As most programs write them.
    pub(crate) fn plainly(zone: Zone) -> Written {
        Written { zone, numbers: Numbers::Plain, times: None, encoding: "UTF-8" }
    }

    /// Why a cell has no place in its column, as reports say it.
    pub(crate) fn not_a(&self, data_type: DataType, cell: &[u8]) -> Cow<'static, str> {
        match (data_type, &self.times, &self.numbers) {
            (DataType::Text, ..) if cell.contains(&0) => "holds a NUL byte".into(),
            (DataType::Text, ..) => format!("not {} text", self.encoding).into(),
            (DataType::Date, Some(format), _) => format!("not a date ({format})").into(),
            (DataType::Timestamp, Some(format), _) => format!("not a timestamp ({format})").into(),
            (DataType::Float, ..) if self.numbers.is_no_finite_float(cell) => {
                "not a finite float (where it means nothing, list it under `null_values`)".into()
            }
            (DataType::Float, _, Numbers::Marked { decimal, .. }) => {
                format!("not a float (decimal `{decimal}`)").into()
            }
            _ => not_a(data_type).into(),
        }
    }
}

pub(crate) enum CellBuilder {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
}

/// Why a cell has no place in its column, as reports say it.
pub(crate) fn not_a(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Bool => "not a bool (true, false, yes, no, y, n, 1, 0)",
        DataType::Int => "not an int",
        DataType::Float => "not a float",
        DataType::Text => "not UTF-8 text",
        DataType::Date => "not a date (YYYY-MM-DD)",
        DataType::Timestamp => "not a timestamp (2021-10-01T00:00:00Z)",
    }
}

impl CellBuilder {
    pub(crate) fn new(data_type: DataType) -> CellBuilder {
        match data_type {
            DataType::Bool => CellBuilder::Bool(BooleanBuilder::new()),
            DataType::Int => CellBuilder::Int(Int64Builder::new()),
            DataType::Float => CellBuilder::Float(Float64Builder::new()),
            DataType::Text => CellBuilder::Text(StringBuilder::new()),
            DataType::Date => CellBuilder::Date(Date32Builder::new()),
            DataType::Timestamp => {
                CellBuilder::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(DataType::Timestamp.arrow()))
            }
        }
    }

    pub(crate) fn append_null(&mut self) {
        match self {
            CellBuilder::Bool(builder) => builder.append_null(),
            CellBuilder::Int(builder) => builder.append_null(),
            CellBuilder::Float(builder) => builder.append_null(),
            CellBuilder::Text(builder) => builder.append_null(),
            CellBuilder::Date(builder) => builder.append_null(),
            CellBuilder::Timestamp(builder) => builder.append_null(),
        }
    }

    /// Appends the cell; where it does not parse, a null, and says false.
    pub(crate) fn append(&mut self, cell: &[u8], written: &Written) -> bool {
        macro_rules! append {
            ($builder:expr, $value:expr) => {
                match $value {
                    Some(value) => {
                        $builder.append_value(value);
                        true
                    }
                    None => {
                        $builder.append_null();
                        false
                    }
                }
            };
        }
        match self {
            CellBuilder::Text(builder) => append!(builder, text(cell)),
            CellBuilder::Int(builder) => append!(builder, written.numbers.int(cell)),
            CellBuilder::Float(builder) => append!(builder, written.numbers.float(cell)),
            CellBuilder::Date(builder) => append!(
                builder,
                match &written.times {
                    Some(format) => trimmed(cell).and_then(|text| format.date(text)),
                    None => plain_date(cell).or_else(|| match parse(cell, DataType::Date, &written.zone) {
                        Some(Value::Date(days)) => Some(days),
                        _ => None,
                    }),
                }
            ),
            CellBuilder::Bool(builder) => append!(
                builder,
                match parse(cell, DataType::Bool, &written.zone) {
                    Some(Value::Bool(value)) => Some(value),
                    _ => None,
                }
            ),
            CellBuilder::Timestamp(builder) => append!(
                builder,
                match &written.times {
                    Some(format) => trimmed(cell).and_then(|text| format.instant(text, &written.zone)),
                    None => match parse(cell, DataType::Timestamp, &written.zone) {
                        Some(Value::Timestamp(instant)) => Some(instant),
                        _ => None,
                    },
                }
                .map(karat_core::Instant::micros)
            ),
        }
    }

    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            CellBuilder::Bool(builder) => Arc::new(builder.finish()),
            CellBuilder::Int(builder) => Arc::new(builder.finish()),
            CellBuilder::Float(builder) => Arc::new(builder.finish()),
            CellBuilder::Text(builder) => Arc::new(builder.finish()),
            CellBuilder::Date(builder) => Arc::new(builder.finish()),
            CellBuilder::Timestamp(builder) => Arc::new(builder.finish()),
        }
    }
}

/// NUL ends a text in much of the world's software: what comes after it would be lost there.
fn text(cell: &[u8]) -> Option<&str> {
    std::str::from_utf8(cell).ok().filter(|text| !text.as_bytes().contains(&0))
}

pub(super) fn trimmed(cell: &[u8]) -> Option<&str> {
    std::str::from_utf8(cell.trim_ascii()).ok()
}

fn parse(cell: &[u8], data_type: DataType, zone: &Zone) -> Option<Value> {
    Value::parse(trimmed(cell)?, data_type, zone).ok()
}

/// `YYYY-MM-DD` of the years 1 to 9999, by Howard Hinnant's `days_from_civil`; anything else is left to the calendar.
fn plain_date(cell: &[u8]) -> Option<i32> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = cell else { return None };
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| i32::from(byte - b'0'));
    let year = digit(y0)? * 1000 + digit(y1)? * 100 + digit(y2)? * 10 + digit(y3)?;
    let month = digit(m0)? * 10 + digit(m1)?;
    let day = digit(d0)? * 10 + digit(d1)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + i32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year == 0 || day == 0 || day > longest {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_dates_agree_with_the_calendar() {
        let first = karat_core::time::civil_date("0001-01-01").unwrap();
        let last = karat_core::time::civil_date("9999-12-31").unwrap();
        for days in (first..=last).step_by(13).chain([first, last, -1, 0, 1, 59, 60, 11_016, 11_017]) {
            let text = karat_core::time::format_date(days);
            assert_eq!(plain_date(text.as_bytes()), Some(days), "{text}");
        }
        for bad in ["2021-02-29", "1900-02-29", "2021-13-01", "2021-00-10", "2021-01-00", "2021-1-01", "0000-01-01"] {
            assert_eq!(plain_date(bad.as_bytes()), None, "{bad}");
        }
    }
}
