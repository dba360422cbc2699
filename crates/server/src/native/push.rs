use axum::Json;
use axum::extract::{Request, State};
use karat_core::Unrepeated;
use karat_jobs::push::PushError;
use karat_query::{RowFault, Taken};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Problem, WrongRow};
use crate::refusals::{BodyRefused, Defect, FormRefused};
use crate::{AppState, body};

/// Rows of one source.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"source": "payments", "rows": [{"payment_id": 1, "client_id": 7, "amount": 12.5, "paid_at": "2021-10-01T10:00:00Z"}]}))]
pub struct PushRequest {
    /// A source that says `push: true`.
    source: String,
    /// The rows as the source's files have them: a field for each column, as `columns` names it.
    #[schema(value_type = Vec<Object>)]
    rows: Vec<Unrepeated>,
}

/// All of the request was taken, but for rows that the contract keeps apart.
#[derive(Debug, Serialize, ToSchema)]
pub struct PushAnswer {
    /// Rows that are in history now and were not before.
    accepted: u64,
    /// Rows that history had already.
    duplicates: u64,
    /// Rows that the source's contract keeps apart, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    quarantined: Vec<WrongRow>,
    /// The source's newest commit, which has these rows: features of at least this `commit` know them.
    commit: u64,
}

/// Takes rows into a source's history, and into the online state of every view served over it.
///
/// Once answered, the rows are kept for good and read at once. Rows may come in any order, and any number of times: one that
/// is there already is a duplicate and changes nothing. A request is taken as a whole or not at all.
#[utoipa::path(
    post, path = "/v1/features/push", tag = "features",
    request_body = PushRequest,
    responses(
        (status = OK, body = PushAnswer),
        (status = NOT_FOUND, description = "No such source", body = Problem, content_type = "application/problem+json"),
        (status = UNPROCESSABLE_ENTITY, description = "Rows that cannot be taken, each named in `rows`, or a source that takes no pushes: nothing of the request was taken", body = Problem, content_type = "application/problem+json"),
        (status = TOO_MANY_REQUESTS, description = "More rows wait for the source than it takes on; `retry-after` says when to try again", body = Problem, content_type = "application/problem+json"),
        (status = SERVICE_UNAVAILABLE, description = "The rows could not be taken for sure: send them again, those that are there count once", body = Problem, content_type = "application/problem+json"),
        BodyRefused, FormRefused, Defect
    )
)]
pub async fn push(State(state): State<AppState>, request: Request) -> Result<Json<PushAnswer>, Problem> {
    let (head, body) = request.into_parts();
    let body = body::json(&head.headers, body, state.body).await?;
    let bytes = body.len();
    let asked = body::parse(body).await?;
    let PushRequest { source, rows } = asked.map_err(|error| Problem::malformed(format!("the body: {error}")))?;
    let (name, count) = (source.clone(), rows.len() as u64);
    let rows = rows.into_iter().map(|Unrepeated(row)| row).collect();
    let taken = state.pushes.push(&source, rows, bytes).await;
    record(&name, count, &taken);
    Ok(Json(taken?.into()))
}

/// Counted by what became of them; sources that nobody declared are not named.
pub(crate) fn record(source: &str, rows: u64, taken: &Result<Taken, PushError>) {
    let counted = |outcome: &'static str, rows: u64| {
        if rows > 0 {
            metrics::counter!("karat_pushed_rows_total", "source" => source.to_owned(), "outcome" => outcome)
                .increment(rows);
        }
    };
    match taken {
        Ok(taken) => {
            counted("accepted", taken.accepted);
            counted("duplicate", taken.duplicates);
            counted("quarantined", taken.quarantined.len() as u64);
        }
        Err(PushError::NoSource { .. }) => {}
        Err(PushError::Rows(_)) => counted("refused", rows),
        Err(_) => counted("failed", rows),
    }
}

impl From<Taken> for PushAnswer {
    fn from(taken: Taken) -> PushAnswer {
        PushAnswer {
            accepted: taken.accepted,
            duplicates: taken.duplicates,
            quarantined: taken.quarantined.into_iter().map(WrongRow::from).collect(),
            commit: taken.commit,
        }
    }
}

impl From<RowFault> for WrongRow {
    fn from(fault: RowFault) -> WrongRow {
        let RowFault { row, column, value, check, reason } = fault;
        WrongRow { row, column, value, check, reason }
    }
}
