//! The functions an expression may call. `tests/fixtures/functions.txt` pins the list and a value of each.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use datafusion_expr::ScalarUDF;

use super::calendar_functions;

/// Pure functions of their arguments only: nothing volatile, nothing that reads a clock, a zone setting or a file,
/// nothing whose result can be vast (`repeat`).
const ALLOWED: &[&str] = &[
    // nulls and choice
    "coalesce",
    "nvl",
    "ifnull",
    "nvl2",
    "nullif",
    "greatest",
    "least",
    // numbers
    "abs",
    "acos",
    "asin",
    "atan",
    "atan2",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "degrees",
    "exp",
    "floor",
    "gcd",
    "isnan",
    "iszero",
    "lcm",
    "ln",
    "log",
    "log10",
    "log2",
    "nanvl",
    "pi",
    "pow",
    "power",
    "radians",
    "round",
    "signum",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
    // text
    "ascii",
    "btrim",
    "char_length",
    "character_length",
    "chr",
    "concat",
    "concat_ws",
    "contains",
    "ends_with",
    "initcap",
    "instr",
    "left",
    "length",
    "levenshtein",
    "lower",
    "lpad",
    "ltrim",
    "octet_length",
    "position",
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "regexp_replace",
    "replace",
    "reverse",
    "right",
    "rpad",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "substring",
    "translate",
    "trim",
    "upper",
    // time
    "date_bin",
    "date_part",
    "date_trunc",
    "datepart",
    "datetrunc",
    "make_date",
    "to_char",
    "to_date",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_seconds",
    "to_unixtime",
    "add_days",
    "add_months",
    "days_between",
    "months_between",
    "years_between",
];

/// Functions that read the clock or a random source.
const VOLATILE: &[&str] = &[
    "now",
    "today",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "random",
    "rand",
    "uuid",
    "getdate",
];

const AGGREGATES: &[&str] = &[
    "count",
    "sum",
    "avg",
    "mean",
    "min",
    "max",
    "median",
    "stddev",
    "var",
    "first_value",
    "last_value",
    "array_agg",
    "row_number",
    "rank",
    "lag",
    "lead",
    "string_agg",
    "approx_distinct",
];

/// Every name an expression may call, in alphabetical order.
pub fn function_names() -> Vec<&'static str> {
    let mut names: Vec<&str> = registry().keys().copied().collect();
    names.sort_unstable();
    names
}

pub(super) fn find(name: &str) -> Option<Arc<ScalarUDF>> {
    registry().get(name.to_ascii_lowercase().as_str()).cloned()
}

/// Why a function that is not on the list is not, and what to write instead.
pub(super) fn hint(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    if VOLATILE.contains(&lower.as_str()) {
        return "; a value must not depend on when it is computed: use `as_of`".to_owned();
    }
    if AGGREGATES.contains(&lower.as_str()) {
        return "; an expression sees one row: write an aggregate feature such as {mean: amount}".to_owned();
    }
    match karat_core::nearest(name, function_names()) {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => String::new(),
    }
}

fn registry() -> &'static HashMap<&'static str, Arc<ScalarUDF>> {
    static REGISTRY: OnceLock<HashMap<&'static str, Arc<ScalarUDF>>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let all = datafusion_functions::all_default_functions().into_iter().chain(calendar_functions::all());
        let mut named: HashMap<String, Arc<ScalarUDF>> = HashMap::new();
        for function in all {
            for name in function.aliases() {
                named.insert(name.clone(), function.clone());
            }
            named.insert(function.name().to_owned(), function);
        }
        ALLOWED.iter().filter_map(|name| Some((*name, named.get(*name)?.clone()))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_allowed_name_is_a_function() {
        let missing: Vec<&&str> = ALLOWED.iter().filter(|name| find(name).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn nothing_allowed_is_volatile() {
        for name in ALLOWED {
            let volatility = find(name).unwrap().signature().volatility;
            assert_eq!(volatility, datafusion_expr::Volatility::Immutable, "{name}");
        }
    }
}
