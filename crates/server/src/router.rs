use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::Redirect;
use axum::routing::get;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use crate::error::Problem;
use crate::{AppState, feast, health, mlflow, native, observe};

#[derive(OpenApi)]
#[openapi(
    modifiers(&Tokens),
    info(
        title = "Karat",
        description = "Decisions with their reasons, and the features behind them.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "endpoints", description = "Online decisions"),
        (name = "features", description = "The catalogue of features and their lineage, the features of one key, and rows pushed to them"),
        (name = "models", description = "Registered models, and decisions about them by the people of `server.people`"),
        (name = "feast", description = "What Feast's feature server answers, for its clients"),
        (name = "health", description = "What runs here, and how it is doing")
    )
)]
struct Document;

/// How people of `server.people` show who they are.
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(native::endpoints::list))
        .routes(routes!(native::predict::predict))
        .routes(routes!(native::features::get))
        .routes(routes!(native::catalogue::views))
        .routes(routes!(native::catalogue::view))
        .routes(routes!(native::catalogue::lineage))
        .routes(routes!(native::catalogue::picture))
        .routes(routes!(feast::online::get_online_features))
        .routes(routes!(feast::push::push))
        .routes(routes!(feast::push::write_to_online_store))
        .routes(routes!(feast::materialize::materialize))
        .routes(routes!(feast::materialize::materialize_incremental))
        .routes(routes!(feast::health))
        .routes(routes!(native::push::push))
        .routes(routes!(native::models::list))
        .routes(routes!(native::models::show))
        .routes(routes!(native::models::held))
        .routes(routes!(native::versions::register))
        .routes(routes!(native::decisions::approve))
        .routes(routes!(native::decisions::reject))
        .routes(routes!(native::decisions::point, native::decisions::take_away))
        .routes(routes!(native::decisions::roll_back))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::version))
        .routes(routes!(observe::metrics_page))
}

/// The OpenAPI document of everything the server answers.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes().into_openapi()
}

pub fn router(state: AppState) -> Router {
    let (routes, document) = routes().split_for_parts();
    routes
        .merge(mlflow::routes())
        .merge(SwaggerUi::new("/docs").url("/openapi.json", document))
        .route("/", get(|| async { Redirect::temporary("/docs/") }))
        .fallback(|uri: axum::http::Uri| async move {
            Problem::new(
                axum::http::StatusCode::NOT_FOUND,
                "not_found",
                format!("nothing is at {}: /docs lists what is", uri.path()),
            )
        })
        .method_not_allowed_fallback(|uri: axum::http::Uri| async move {
            Problem::new(
                axum::http::StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                format!("{} does not take this method: /docs lists what it takes", uri.path()),
            )
        })
        .layer(from_fn_with_state(state.clone(), observe::request))
        .with_state(state)
}
