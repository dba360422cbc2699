//! Gates: what a version's measures must reach before it may serve, as the model's file words them.
//!
//! `auc >= 0.9`, `test.auc >= champion.test.auc`, `ks > champion.ks - 0.01`. Pure: measuring is the training crate's affair.

mod evaluate;
mod parse;

use std::fmt;
use std::str::FromStr;

pub use evaluate::{Champion, GateResult, all_passed, evaluate, failures};
pub use parse::GateError;

#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    pub metric: String,
    pub comparison: Comparison,
    pub required: Required,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    AtLeast,
    Above,
    AtMost,
    Below,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Required {
    Number(f64),
    /// The champion's `metric`, plus `offset`.
    OfChampion {
        metric: String,
        offset: f64,
    },
}

impl Comparison {
    fn holds(self, measured: f64, required: f64) -> bool {
        match self {
            Comparison::AtLeast => measured >= required,
            Comparison::Above => measured > required,
            Comparison::AtMost => measured <= required,
            Comparison::Below => measured < required,
        }
    }
}

impl Gate {
    pub fn parse(text: &str) -> Result<Gate, GateError> {
        parse::parse(text)
    }
}

impl FromStr for Gate {
    type Err = GateError;

    fn from_str(text: &str) -> Result<Gate, GateError> {
        Gate::parse(text)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Comparison::AtLeast => ">=",
            Comparison::Above => ">",
            Comparison::AtMost => "<=",
            Comparison::Below => "<",
        })
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.metric, self.comparison)?;
        match &self.required {
            Required::Number(number) => number.fmt(f),
            Required::OfChampion { metric, offset } if *offset == 0.0 => write!(f, "champion.{metric}"),
            Required::OfChampion { metric, offset } => {
                let sign = if *offset < 0.0 { '-' } else { '+' };
                write!(f, "champion.{metric} {sign} {}", offset.abs())
            }
        }
    }
}
