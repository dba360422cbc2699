//! Karat's own functions of time. Days are UTC days; a timestamp counts by its day, except in `days_between`.
//!
//! `years_between(from, to)`: birthdays passed. `months_between(from, to)`: whole months, by day of the month.
//! `days_between(from, to)`: whole days of 24 hours. All three are ints, negative when `to` is the earlier, and lose
//! what is not whole. `add_days(time, n)` and `add_months(time, n)`: the same type; a month's day is clamped to the
//! month. Null in, null out.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Int64Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType as ArrowType, Date32Type, TimestampMicrosecondType};
use datafusion_common::{DataFusionError, Result, exec_err, plan_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use karat_core::DataType;
use karat_core::time::MICROS_PER_DAY;

use super::calendar;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Function {
    Between(Count),
    AddDays,
    AddMonths,
}

/// What is counted between two times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Count {
    Years,
    Months,
    Days,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CalendarFunction {
    function: Function,
    signature: Signature,
}

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    let counts = [Count::Years, Count::Months, Count::Days].map(Function::Between);
    counts
        .into_iter()
        .chain([Function::AddDays, Function::AddMonths])
        .map(|function| CalendarFunction { function, signature: Signature::user_defined(Volatility::Immutable) })
        .map(|function| Arc::new(ScalarUDF::new_from_impl(function)))
        .collect()
}

impl ScalarUDFImpl for CalendarFunction {
    fn name(&self) -> &str {
        match self.function {
            Function::Between(Count::Years) => "years_between",
            Function::Between(Count::Months) => "months_between",
            Function::Between(Count::Days) => "days_between",
            Function::AddDays => "add_days",
            Function::AddMonths => "add_months",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[ArrowType]) -> Result<ArrowType> {
        match (self.function, arguments) {
            (Function::AddDays | Function::AddMonths, [time, _]) => Ok(time.clone()),
            (_, [_, _]) => Ok(ArrowType::Int64),
            _ => self.wrong(arguments),
        }
    }

    fn coerce_types(&self, arguments: &[ArrowType]) -> Result<Vec<ArrowType>> {
        let [first, second] = arguments else { return self.wrong(arguments) };
        let second = match self.function {
            Function::AddDays | Function::AddMonths => int(second),
            _ => time(second),
        };
        match (time(first), second) {
            (Some(first), Some(second)) => Ok(vec![first, second]),
            _ => self.wrong(arguments),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { arguments.number_rows };
        let first = arguments.args[0].to_array(rows)?;
        let second = arguments.args[1].to_array(rows)?;
        let array = match self.function {
            Function::Between(count) => between(&first, &second, count),
            Function::AddDays => move_days(&first, second.as_primitive(), "add_days", &|day, n| day.checked_add(n))?,
            Function::AddMonths => move_days(&first, second.as_primitive(), "add_months", &calendar::add_months)?,
        };
        if constant {
            return Ok(ColumnarValue::Scalar(datafusion_common::ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

impl CalendarFunction {
    /// What it counts, if it does.
    pub(super) fn count(&self) -> Option<Count> {
        match self.function {
            Function::Between(count) => Some(count),
            Function::AddDays | Function::AddMonths => None,
        }
    }

    fn wrong<T>(&self, arguments: &[ArrowType]) -> Result<T> {
        let given: Vec<String> = arguments.iter().map(name_of).collect();
        let wanted = match self.function {
            Function::AddDays | Function::AddMonths => "a date or timestamp, and an int",
            _ => "two dates or timestamps",
        };
        plan_err!("{} takes {wanted}, not ({})", self.name(), given.join(", "))
    }
}

fn name_of(arrow: &ArrowType) -> String {
    match DataType::of_arrow(arrow) {
        Some(data_type) => data_type.to_string(),
        None => arrow.to_string().to_lowercase(),
    }
}

fn time(arrow: &ArrowType) -> Option<ArrowType> {
    match arrow {
        ArrowType::Date32 | ArrowType::Null => Some(ArrowType::Date32),
        ArrowType::Timestamp(..) => Some(DataType::Timestamp.arrow()),
        _ => None,
    }
}

fn int(arrow: &ArrowType) -> Option<ArrowType> {
    (arrow.is_integer() || *arrow == ArrowType::Null).then_some(ArrowType::Int64)
}

/// A day, and the microseconds into it.
pub(super) type Moment = (i64, i64);

impl Count {
    pub(super) fn between(self, from: Moment, to: Moment) -> i64 {
        match self {
            Count::Years => calendar::months_between(from.0, to.0) / 12,
            Count::Months => calendar::months_between(from.0, to.0),
            Count::Days => whole_days(from, to),
        }
    }
}

fn whole_days(from: Moment, to: Moment) -> i64 {
    let (days, rest) = (to.0 - from.0, to.1 - from.1);
    // Cut off towards zero: a part of a day that points the other way takes one off.
    if days > 0 && rest < 0 {
        days - 1
    } else if days < 0 && rest > 0 {
        days + 1
    } else {
        days
    }
}

fn between(from: &ArrayRef, to: &ArrayRef, count: Count) -> ArrayRef {
    let (from, to) = (moments(from), moments(to));
    Arc::new(from.zip(to).map(|pair| Some(count.between(pair.0?, pair.1?))).collect::<Int64Array>())
}

/// Of a `Date32` (at midnight) or `Timestamp(Microsecond)` column. A date may lie beyond what 64 bits of microseconds name.
fn moments(array: &ArrayRef) -> Box<dyn Iterator<Item = Option<Moment>> + '_> {
    match array.as_primitive_opt::<Date32Type>() {
        Some(dates) => Box::new(dates.iter().map(|date| date.map(|days| (i64::from(days), 0)))),
        None => Box::new(array.as_primitive::<TimestampMicrosecondType>().iter().map(|at| at.map(calendar::day_of))),
    }
}

/// Moves the day of dates or timestamps; the time of day stays.
fn move_days(
    times: &ArrayRef,
    by: &Int64Array,
    name: &str,
    move_day: &dyn Fn(i64, i64) -> Option<i64>,
) -> Result<ArrayRef> {
    let beyond = || DataFusionError::Execution(format!("{name} leaves the calendar"));
    if let Some(dates) = times.as_primitive_opt::<Date32Type>() {
        let moved = dates.iter().zip(by).map(|(date, by)| {
            let (Some(date), Some(by)) = (date, by) else { return Ok(None) };
            let moved = move_day(i64::from(date), by).and_then(|days| i32::try_from(days).ok());
            moved.map(Some).ok_or_else(beyond)
        });
        return Ok(Arc::new(moved.collect::<Result<Date32Array>>()?));
    }
    let Some(timestamps) = times.as_primitive_opt::<TimestampMicrosecondType>() else {
        return exec_err!("{name} takes a date or a timestamp");
    };
    let moved = timestamps.iter().zip(by).map(|(micros, by)| {
        let (Some(micros), Some(by)) = (micros, by) else { return Ok(None) };
        let (day, rest) = calendar::day_of(micros);
        let moved = move_day(day, by)
            .and_then(|day| day.checked_mul(MICROS_PER_DAY))
            .and_then(|midnight| midnight.checked_add(rest));
        moved.map(Some).ok_or_else(beyond)
    });
    let array = moved.collect::<Result<TimestampMicrosecondArray>>()?;
    Ok(Arc::new(array.with_data_type(times.data_type().clone())))
}
