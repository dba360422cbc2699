#![expect(clippy::unwrap_used, reason = "test helpers fail the test they help")]

mod app;
mod cases;
mod catalogue;
mod checks;
mod gated;
mod hang_ups;
mod openapi;
mod pressure;
mod remote;
mod routes;
mod running;
