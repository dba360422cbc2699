//! Rules about the workspace itself; `make lint` runs them.

mod cargo;
mod layering;
