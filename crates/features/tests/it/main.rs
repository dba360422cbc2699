#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod agreement;
mod definitions;
mod explaining;
mod expressions;
mod histories;
mod hostile;
mod identities;
mod online;
mod oracle;
mod since;
mod single_rows;
mod spread;
mod spread_fixture;
