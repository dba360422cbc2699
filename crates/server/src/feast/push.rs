use axum::extract::{Request, State};
use axum::http::StatusCode;
use karat_jobs::push::PushError;
use serde::Deserialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

use super::error::FeastError;
use super::frame::Frame;
use super::read;
use crate::AppState;
use crate::error::Problem;
use crate::native::push::record;
use crate::refusals::{BodyRefused, Defect};

/// Rows of a source that takes pushes, column by column.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"push_source_name": "payments", "df": {"payment_id": [1], "client_id": [7], "amount": [12.5], "paid_at": ["2021-10-01T10:00:00Z"]}, "to": "online"}))]
pub struct PushToSource {
    /// A source that says `push: true`.
    push_source_name: String,
    /// The source's columns, each a list.
    #[schema(value_type = Object)]
    df: Frame,
    /// Whatever is said, rows go into history and online state follows: the two never differ.
    #[serde(default)]
    to: PushTo,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushTo {
    #[default]
    Online,
    Offline,
    OnlineAndOffline,
}

/// Values of a feature view, column by column.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"feature_view_name": "contact", "df": {"client_id": [7], "phone": ["+55 11 5550"], "event_timestamp": ["2021-10-01T10:00:00"]}}))]
pub struct WriteToOnlineStore {
    /// A view whose features are the last values of columns of a source that takes pushes.
    feature_view_name: String,
    /// Keys, features and `event_timestamp`, each a list.
    #[schema(value_type = Object)]
    df: Frame,
}

/// Takes rows into a source, as Feast's feature server takes them to a push source.
///
/// As `POST /v1/features/push`: once answered they are in history and online state. Times without an offset are in the
/// source's `time_zone`.
#[utoipa::path(
    post, path = "/push", tag = "feast",
    request_body = PushToSource,
    responses(
        (status = OK, description = "All rows are taken, or were there already"),
        (status = BAD_REQUEST, description = "A body that did not come whole", body = Problem, content_type = "application/problem+json"),
        (status = UNPROCESSABLE_ENTITY, description = "A body of another form, rows that cannot be taken, or no such push source: a JSON string, which holds Feast's exception where it has one", body = String, content_type = "application/json"),
        (status = TOO_MANY_REQUESTS, description = "More rows wait for the source than it takes on", body = Problem, content_type = "application/problem+json"),
        (status = SERVICE_UNAVAILABLE, description = "The rows could not be taken for sure: send them again, those that are there count once", body = Problem, content_type = "application/problem+json"),
        BodyRefused, Defect
    )
)]
pub async fn push(State(state): State<AppState>, request: Request) -> Result<StatusCode, FeastError> {
    let (asked, bytes) = read::<PushToSource>(&state, request).await?;
    let PushToSource { push_source_name: source, df, to: PushTo::Online | PushTo::Offline | PushTo::OnlineAndOffline } =
        asked;
    let rows: Vec<Json> = df.rows()?.into_iter().map(Json::Object).collect();
    let count = rows.len() as u64;
    let taken = state.pushes.push(&source, rows, bytes).await;
    record(&source, count, &taken);
    Ok(taken.map(|_| StatusCode::OK)?)
}

/// Takes values of a view, as Feast's online store takes them from its clients.
///
/// A value that no event explains would have no place in training, so values are written only where they are events: to views
/// whose features are `last: COLUMN` of a source with `push: true`. Each row is a row of that source at its `event_timestamp`,
/// in UTC where no offset says otherwise; numbers for times are seconds since 1970.
#[utoipa::path(
    post, path = "/write-to-online-store", tag = "feast",
    request_body = WriteToOnlineStore,
    responses(
        (status = OK, description = "All values are taken, or were there already; `null`"),
        (status = BAD_REQUEST, description = "A body that did not come whole", body = Problem, content_type = "application/problem+json"),
        (status = NOT_FOUND, description = "No such feature view: a JSON string that holds one of Feast's exceptions", body = String, content_type = "application/json"),
        (status = UNPROCESSABLE_ENTITY, description = "A body of another form, values that cannot be taken, or a view whose values are computed: a JSON string", body = String, content_type = "application/json"),
        (status = TOO_MANY_REQUESTS, description = "More rows wait for the source than it takes on", body = Problem, content_type = "application/problem+json"),
        (status = SERVICE_UNAVAILABLE, description = "The values could not be taken for sure: send them again, those that are there count once", body = Problem, content_type = "application/problem+json"),
        BodyRefused, Defect
    )
)]
pub async fn write_to_online_store(
    State(state): State<AppState>,
    request: Request,
) -> Result<axum::Json<()>, FeastError> {
    let (asked, bytes) = read::<WriteToOnlineStore>(&state, request).await?;
    let rows = asked.df.rows()?;
    let count = rows.len() as u64;
    let values = state.pushes.values_of(&asked.feature_view_name)?;
    let source = values.source.clone();
    let taken = state.pushes.write(values, rows, bytes).await;
    record(source.as_str(), count, &taken);
    Ok(taken.map(|_| axum::Json(()))?)
}

impl From<PushError> for FeastError {
    fn from(error: PushError) -> FeastError {
        let known = |status, class| FeastError::Known { status, class, message: error.to_string() };
        match &error {
            PushError::NoSource { .. } | PushError::NotPushed(_) => {
                known(StatusCode::UNPROCESSABLE_ENTITY, "PushSourceNotFoundException")
            }
            PushError::NoView { .. } => known(StatusCode::NOT_FOUND, "FeatureViewNotFoundException"),
            PushError::NotWritten { .. } | PushError::Rows(_) => FeastError::invalid(error.to_string()),
            _ => FeastError::Problem(error.into()),
        }
    }
}
