use std::collections::HashSet;
use std::fmt::Write;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use indexmap::IndexMap;
use karat_core::{AsJson, Instant, Name, Value};
use karat_serving::{FeatureRef, FeatureVector, Vectors};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use super::error::FeastError;
use super::read;
use crate::AppState;

/// So many states are read, folded and written in some 300 us; more leave the thread, which has other connections to answer.
const STATES_IN_PLACE: usize = 100;

/// About what a value takes in an answer, with its status and time.
const BYTES_A_VALUE: usize = 64;

/// What to read, and for which keys.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"features": ["payment_history:share_late"], "entities": {"client_id": [5008806]}}))]
pub struct GetOnlineFeatures {
    /// Columns of keys, all of one length.
    #[schema(value_type = Object)]
    #[serde(deserialize_with = "crate::unrepeated::map")]
    entities: IndexMap<String, Vec<serde_json::Value>>,
    /// `view:feature`.
    #[serde(default)]
    features: Vec<String>,
    /// A feature service instead of single features.
    #[serde(default)]
    feature_service: Option<String>,
    /// Whether features are called `view__feature` in the answer.
    #[serde(default)]
    full_feature_names: bool,
}

/// Column by column: keys first, then features.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "documents the answer, which is written as it is made")]
pub struct OnlineFeatures {
    metadata: Metadata,
    results: Vec<OnlineColumn>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Metadata {
    feature_names: Vec<String>,
}

#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "documents the answer, which is written as it is made")]
pub struct OnlineColumn {
    #[schema(value_type = Vec<Value>)]
    values: Vec<serde_json::Value>,
    /// `PRESENT`, or `NOT_FOUND` for a key without history.
    statuses: Vec<String>,
    event_timestamps: Vec<String>,
}

/// Features of several keys, as Feast's feature server answers.
///
/// A key without visible events is `NOT_FOUND`; its values are then those of an empty history: counts 0, everything else
/// null. Timestamps and dates are whole seconds since 1970, as Feast has them. An empty list is null, and a list with null in
/// it is refused: Feast's clients can read neither.
#[utoipa::path(
    post, path = "/get-online-features", tag = "feast",
    request_body = GetOnlineFeatures,
    responses(
        (status = OK, body = OnlineFeatures),
        (status = BAD_REQUEST, description = "A body that did not come whole", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = FORBIDDEN, description = "A time before what the online store keeps", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = NOT_FOUND, description = "No such feature view or service: a JSON string that holds one of Feast's exceptions", body = String, content_type = "application/json"),
        (status = REQUEST_TIMEOUT, description = "The body came too slowly", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = PAYLOAD_TOO_LARGE, description = "A body over `server.body`", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = UNSUPPORTED_MEDIA_TYPE, description = "A body that says it is not JSON", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = UNPROCESSABLE_ENTITY, description = "A body of another form, an unknown feature, or a key that is missing or none: a JSON string", body = String, content_type = "application/json"),
        (status = INTERNAL_SERVER_ERROR, description = "Damaged state, or a defect: the server's log says what", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = SERVICE_UNAVAILABLE, description = "Nothing is materialized yet, or the online store does not answer", body = crate::error::Problem, content_type = "application/problem+json")
    )
)]
pub async fn get_online_features(State(state): State<AppState>, request: Request) -> Result<Response, FeastError> {
    let (asked, _) = read::<GetOnlineFeatures>(&state, request).await?;
    let wanted = match &asked.feature_service {
        Some(service) => state.deployment.service(service)?,
        None => asked.features.iter().map(|text| feature_ref(text)).collect::<Result<Vec<_>, _>>()?,
    };
    let names = names(&wanted, asked.full_feature_names)?;
    let deployment = state.deployment.clone();
    let rows = asked.entities.values().map(Vec::len).max().unwrap_or_default();
    let views: HashSet<&Name> = wanted.iter().map(|wanted| &wanted.view).collect();
    let is_short = rows.saturating_mul(views.len()) <= STATES_IN_PLACE;
    let written = match (is_short, deployment.is_remote()) {
        (true, true) => write(&deployment.fetch_vectors(&wanted, &asked.entities).await?, names)?,
        (true, false) => write(&deployment.vectors(&wanted, &asked.entities)?, names)?,
        (false, _) => {
            let read = move || write(&deployment.vectors(&wanted, &asked.entities)?, names);
            let read = tokio::task::spawn_blocking(read).await;
            read.map_err(|failed| FeastError::Problem(crate::error::Problem::internal(failed.to_string())))??
        }
    };
    let json = HeaderValue::from_static("application/json");
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, json)], written).into_response())
}

fn feature_ref(text: &str) -> Result<FeatureRef, FeastError> {
    let parts = text.split_once(':').and_then(|(view, feature)| {
        let view = Name::new(view).ok()?;
        (!feature.is_empty()).then(|| FeatureRef { view, feature: feature.to_owned() })
    });
    parts.ok_or_else(|| {
        let shown: String = text.chars().take(100).collect();
        FeastError::invalid(format!("`{shown}` is no feature: write `view:feature`"))
    })
}

/// What the features are called in the answer, each of them differently.
fn names(wanted: &[FeatureRef], full: bool) -> Result<Vec<String>, FeastError> {
    let name = |wanted: &FeatureRef| match full {
        true => format!("{}__{}", wanted.view, wanted.feature),
        false => wanted.feature.clone(),
    };
    let names: Vec<String> = wanted.iter().map(name).collect();
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        None => Ok(names),
        Some(twice) => Err(FeastError::Known {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            class: "FeatureNameCollisionError",
            message: format!(
                "Duplicate features named {twice} found.\nTo resolve this collision, either use the full feature name by \
                 setting 'full_feature_names=True', or ensure that the features in question have different names."
            ),
        }),
    }
}

/// Feast's lists have no place for null and no JSON for what is no finite number: its SDK fails on both, or reads zeros.
fn check_lists(vectors: &Vectors) -> Result<(), FeastError> {
    for FeatureVector { wanted, values, .. } in &vectors.features {
        let elements = values.iter().filter_map(|value| match value {
            Value::List(elements) => Some(elements.iter()),
            _ => None,
        });
        for element in elements.flatten() {
            let (what, remedy) = match element {
                Value::Null => ("null", "add `where: COLUMN IS NOT NULL` to the feature"),
                Value::Float(float) if !float.is_finite() => {
                    ("a number that is not finite", "keep such numbers out with the feature's `where`")
                }
                _ => continue,
            };
            let FeatureRef { view, feature } = wanted;
            return Err(FeastError::invalid(format!(
                "`{view}:{feature}` is a list with {what} in it, which Feast's lists cannot hold: {remedy}, or read \
                 `GET /v1/features/{view}/KEY`"
            )));
        }
    }
    Ok(())
}

fn write(vectors: &Vectors, names: Vec<String>) -> Result<Vec<u8>, FeastError> {
    check_lists(vectors)?;
    let Vectors { keys, features } = vectors;
    let metadata = Metadata { feature_names: keys.keys().cloned().chain(names).collect() };
    let values = features.iter().map(|feature| feature.values.len()).sum::<usize>();
    let mut out = Vec::with_capacity(1024 + BYTES_A_VALUE * values);
    out.extend_from_slice(b"{\"metadata\":");
    json(&mut out, &metadata);
    out.extend_from_slice(b",\"results\":[");
    let mut columns = Columns { out, beside: Vec::new(), of: None };
    for values in keys.values() {
        columns.push(values, &vec![true; values.len()], &vec![None; values.len()]);
    }
    for FeatureVector { values, newest, found, .. } in features {
        columns.push(values, found, newest);
    }
    let mut out = columns.out;
    out.extend_from_slice(b"]}");
    Ok(out)
}

fn json(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("features serialise to JSON");
}

/// Columns as they are written. What stands beside the values is the same for all features of a view, and written out once.
struct Columns {
    out: Vec<u8>,
    /// Statuses and times of the column before.
    beside: Vec<u8>,
    of: Option<(Vec<bool>, Vec<Option<Instant>>)>,
}

impl Columns {
    fn push(&mut self, values: &[Value], found: &[bool], newest: &[Option<Instant>]) {
        let is_first = self.of.is_none();
        if self.of.as_ref().is_none_or(|(before, times)| before != found || times != newest) {
            let status = |found: &bool| if *found { "PRESENT" } else { "NOT_FOUND" };
            self.beside.clear();
            self.beside.extend_from_slice(b",\"statuses\":");
            json(&mut self.beside, &Sequence(found.iter().map(status)));
            self.beside.extend_from_slice(b",\"event_timestamps\":");
            json(&mut self.beside, &Sequence(newest.iter().map(|newest| Time(*newest))));
            self.of = Some((found.to_vec(), newest.to_vec()));
        }
        let begin: &[u8] = if is_first { b"{\"values\":" } else { b",{\"values\":" };
        self.out.extend_from_slice(begin);
        json(&mut self.out, &Sequence(values.iter().map(Cell)));
        self.out.extend_from_slice(&self.beside);
        self.out.push(b'}');
    }
}

struct Sequence<I>(I);

impl<I: Iterator<Item: Serialize> + Clone> Serialize for Sequence<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.clone())
    }
}

/// Times are whole seconds since 1970, which is what Feast keeps of them. An empty list is null: its SDK cannot tell what
/// such a list is of, and fails.
struct Cell<'v>(&'v Value);

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Timestamp(instant) => serializer.serialize_i64(instant.micros().div_euclid(1_000_000)),
            Value::Date(days) => serializer.serialize_i64(i64::from(*days) * 86_400),
            Value::List(values) if values.is_empty() => serializer.serialize_unit(),
            Value::List(values) => serializer.collect_seq(values.iter().map(Cell)),
            value => AsJson(value).serialize(serializer),
        }
    }
}

/// As protobuf writes a time: no fraction, three digits or six; 1970 for none.
#[derive(Debug, Clone, Copy)]
struct Time(Option<Instant>);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(instant) = self.0 else { return serializer.serialize_str("1970-01-01T00:00:00Z") };
        let fraction = instant.micros().rem_euclid(1_000_000);
        let mut text = Instant::from_micros(instant.micros() - fraction).to_string();
        if fraction != 0 {
            text.truncate(text.len() - "Z".len());
            let written = match fraction % 1000 {
                0 => write!(text, ".{:03}Z", fraction / 1000),
                _ => write!(text, ".{fraction:06}Z"),
            };
            written.expect("a string takes all that is written to it");
        }
        serializer.serialize_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(lists: Vec<Vec<Value>>) -> Vectors {
        let rows = lists.len();
        let wanted = feature_ref("recent:amounts").unwrap();
        let values = lists.into_iter().map(|list| Value::List(list.into())).collect();
        let feature = FeatureVector { wanted, values, newest: vec![None; rows], found: vec![true; rows] };
        Vectors { keys: IndexMap::new(), features: vec![feature] }
    }

    #[test]
    fn times_are_written_as_protobuf_writes_them() {
        let written = [None, Some(0), Some(1_696_091_962_908_033), Some(1_696_091_962_900_000), Some(-1)]
            .map(|micros| serde_json::to_string(&Time(micros.map(Instant::from_micros))).unwrap());
        assert_eq!(
            written,
            [
                "\"1970-01-01T00:00:00Z\"",
                "\"1970-01-01T00:00:00Z\"",
                "\"2023-09-30T16:39:22.908033Z\"",
                "\"2023-09-30T16:39:22.900Z\"",
                "\"1969-12-31T23:59:59.999999Z\"",
            ]
        );
    }

    #[test]
    fn lists_hold_what_feast_can_hold_and_empty_ones_are_null() {
        let fine = vectors(vec![vec![Value::Float(-0.5), Value::Float(f64::MAX)], vec![]]);
        check_lists(&fine).unwrap();
        let written: serde_json::Value =
            serde_json::from_slice(&write(&fine, vec!["amounts".to_owned()]).unwrap()).unwrap();
        assert_eq!(written["results"][0]["values"], serde_json::json!([[-0.5, f64::MAX], null]));
        assert_eq!(written["results"][0]["statuses"], serde_json::json!(["PRESENT", "PRESENT"]));
        for (odd, what) in [
            (Value::Null, "null"),
            (Value::Float(f64::NAN), "a number that is not finite"),
            (Value::Float(f64::NEG_INFINITY), "a number that is not finite"),
        ] {
            let refused = check_lists(&vectors(vec![vec![], vec![Value::Float(1.0), odd]])).unwrap_err();
            let FeastError::Other { status, message } = refused else { panic!("{refused:?}") };
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
            let said = format!("`recent:amounts` is a list with {what} in it, which Feast's lists cannot hold: ");
            assert!(message.starts_with(&said), "{message}");
            assert!(message.ends_with("or read `GET /v1/features/recent/KEY`"), "{message}");
        }
    }
}
