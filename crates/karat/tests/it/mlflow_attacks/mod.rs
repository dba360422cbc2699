//! What nobody means well by, over MLflow's API: each attack is refused as MLflow refuses, and changes nothing.

mod bodies;
mod paths;
mod texts;
mod tokens;
mod victim;

const API: &str = "/api/2.0/mlflow";
const FILES: &str = "/api/2.0/mlflow-artifacts/artifacts";
