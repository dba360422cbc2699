//! Answers that many operations share, as `/openapi.json` tells them.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// Of every operation that reads a body.
pub struct BodyRefused;

/// Of operations whose body is JSON of one form.
pub struct FormRefused;

/// Of decisions that somebody has to answer for.
pub struct NobodyKnown;

/// Of every operation that reads what is stored.
pub struct Defect;

/// Of every operation on metadata.
pub struct NoDatabase;

type Responses = BTreeMap<String, RefOr<Response>>;

impl IntoResponses for BodyRefused {
    fn responses() -> Responses {
        problems([
            (StatusCode::REQUEST_TIMEOUT, "The body came too slowly"),
            (StatusCode::PAYLOAD_TOO_LARGE, "A body over `server.body`"),
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "A body that says it is not JSON"),
        ])
    }
}

impl IntoResponses for FormRefused {
    fn responses() -> Responses {
        problems([(StatusCode::BAD_REQUEST, "Not JSON, or not of this form")])
    }
}

impl IntoResponses for NobodyKnown {
    fn responses() -> Responses {
        problems([(StatusCode::UNAUTHORIZED, "No token of anybody known")])
    }
}

impl IntoResponses for Defect {
    fn responses() -> Responses {
        problems([(StatusCode::INTERNAL_SERVER_ERROR, "Damage, or a defect: the server's log says what")])
    }
}

impl IntoResponses for NoDatabase {
    fn responses() -> Responses {
        let unanswered = "The database does not answer; `retry-after` says when to try again";
        let mut both = Defect::responses();
        both.extend(problems([(StatusCode::SERVICE_UNAVAILABLE, unanswered)]));
        both
    }
}

fn problems<const N: usize>(refused: [(StatusCode, &str); N]) -> Responses {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = |description: &str| {
        ResponseBuilder::new().description(description).content("application/problem+json", problem.clone()).build()
    };
    let told = refused.map(|(status, description)| (status.as_str().to_owned(), response(description).into()));
    told.into_iter().collect()
}
