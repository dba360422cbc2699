use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::AppState;

#[derive(Debug, Serialize, ToSchema)]
pub struct Endpoints {
    endpoints: Vec<EndpointSummary>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointSummary {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    model: String,
    alias: String,
    /// The version that answers; absent while none has the alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// The model's inputs, in order.
    inputs: Vec<InputSummary>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct InputSummary {
    name: String,
    /// `bool`, `int`, `float`, `text`, `date` or `timestamp`
    r#type: String,
    /// Whether the caller sends it with the request.
    request: bool,
}

/// The endpoints, and the version each answers with.
#[utoipa::path(get, path = "/v1/endpoints", tag = "endpoints", responses((status = OK, body = Endpoints)))]
pub async fn list(State(state): State<AppState>) -> Json<Endpoints> {
    let served = state.deployment.served();
    let endpoints = served.endpoints.values().map(|endpoint| {
        let spec = endpoint.spec();
        let model = endpoint.model().ok();
        let inputs = model.iter().flat_map(|model| &model.pinned.inputs).map(|input| InputSummary {
            name: input.name.clone(),
            r#type: input.data_type.to_string(),
            request: input.origin == karat_serving::InputOrigin::Request,
        });
        EndpointSummary {
            name: spec.name.to_string(),
            description: spec.description.clone(),
            model: spec.model.to_string(),
            alias: spec.alias.to_string(),
            version: model.as_ref().map(|model| model.name.version.to_string()),
            inputs: inputs.collect(),
        }
    });
    Json(Endpoints { endpoints: endpoints.collect() })
}
