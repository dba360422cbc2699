//! What Feast's feature server answers (0.67), for its clients: the same paths, bodies and errors.
//!
//! One thing differs: what a client got wrong is told with 422, where Feast's server fails with 500.

mod error;
pub mod online;
