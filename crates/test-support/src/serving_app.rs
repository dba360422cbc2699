//! An endpoint in a temporary folder: a fixture model of six inputs, two clients' payments, a request-time field.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{Field, Schema as ArrowSchema};
use karat_core::{Column, DataType, Digest, FixedClock, Instant, Name, OnlineStore, Schema, Zone, hidden};
use karat_features::{Definition, Identity, SourceDefinition, StateBuilder};
use karat_history::log::{self, Log, LogOptions};
use karat_model::{Model, ModelParts};
use karat_online::{LmdbOptions, LmdbStore};
use karat_project::spec::{self, Entity, FeatureCheck, FeatureView, OnFailure, UnknownKey};
use karat_serving::{
    Decided, Endpoint, EndpointParts, Input, InputOrigin, NoLookups, Pinned, PinnedView, PredictionEncoder,
    PredictionRecord, ReasonGroup, RecordReader, ServingModel, StateNote, VersionName,
};

pub const NOW: &str = "2021-10-01T00:00:00Z";

/// The endpoint and what stands under it.
pub struct App {
    pub endpoint: Arc<Endpoint>,
    pub online: Arc<LmdbStore>,
    pub model: Arc<ServingModel>,
    pub log: Arc<Log>,
    pub dir: tempfile::TempDir,
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn at(text: &str) -> Instant {
    Instant::parse(text).unwrap()
}

impl Default for App {
    fn default() -> App {
        App::new()
    }
}

impl App {
    /// Materialized and with a version that answers.
    pub fn new() -> App {
        App::with(UnknownKey::Score)
    }

    pub fn with(unknown_key: UnknownKey) -> App {
        App::serving(spec::Endpoint { unknown_key, ..endpoint() }, serving_model(Vec::new()))
    }

    pub fn serving(spec: spec::Endpoint, model: ServingModel) -> App {
        App::over(spec, model, &payments())
    }

    /// Materialized from the rows of a history.
    pub fn over(spec: spec::Endpoint, model: ServingModel, history: &RecordBatch) -> App {
        let app = App::unready(spec, model);
        app.materialize_from(history);
        app.endpoint.serve(app.model.clone()).unwrap();
        app
    }

    /// Neither materialized nor with a version.
    pub fn empty(unknown_key: UnknownKey) -> App {
        App::unready(spec::Endpoint { unknown_key, ..endpoint() }, serving_model(Vec::new()))
    }

    fn unready(spec: spec::Endpoint, model: ServingModel) -> App {
        let dir = tempfile::tempdir().unwrap();
        let online = Arc::new(LmdbStore::open(dir.path().join("online"), LmdbOptions::default()).unwrap());
        let place = dir.path().join("log");
        let log = Log::open(&place, LogOptions::default(), Arc::new(PredictionEncoder::beside(&place))).unwrap();
        let log = Arc::new(log);
        let endpoint = Endpoint::new(parts(spec, online.clone(), log.clone()));
        App { endpoint: Arc::new(endpoint), online, model: Arc::new(model), log, dir }
    }

    /// The parts of another endpoint over the same stores.
    pub fn parts(&self) -> EndpointParts {
        parts(self.endpoint.spec().clone(), self.online.clone(), self.log.clone())
    }

    pub fn materialize(&self) {
        self.materialize_from(&payments());
    }

    fn materialize_from(&self, history: &RecordBatch) {
        let view = &self.model.views()[0].view;
        let mut builder = StateBuilder::new(view, view.retention(None).unwrap());
        builder.push(history).unwrap();
        let states = builder.finish();
        let keys = states.len() as u64;
        let note =
            StateNote { commit: 1, at: at(NOW), horizon: None, keys, records: history.num_rows() as u64, newest: None };
        self.online.replace(&view.definition().digest(), &note.to_bytes(), &mut states.iter()).unwrap();
    }

    /// The answer to one request.
    pub fn predict(&self, request: serde_json::Value) -> Decided {
        self.endpoint.predict(request.to_string().as_bytes()).unwrap()
    }

    pub fn refusal(&self, request: serde_json::Value) -> String {
        self.endpoint.predict(request.to_string().as_bytes()).unwrap_err().to_string()
    }

    /// The log as another process reads it.
    pub fn logged(&self) -> Vec<PredictionRecord> {
        let reader = self.reader();
        let payloads = log::read(self.dir.path().join("log")).unwrap();
        payloads.map(|payload| reader.read(&payload.unwrap()).unwrap()).collect()
    }

    /// Of the log's payloads.
    pub fn reader(&self) -> RecordReader {
        RecordReader::beside(self.dir.path().join("log"))
    }
}

fn parts(spec: spec::Endpoint, online: Arc<dyn OnlineStore>, log: Arc<Log>) -> EndpointParts {
    EndpointParts { spec, online, lookups: Arc::new(NoLookups), log, clock: Arc::new(FixedClock(at(NOW))) }
}

/// Endpoint `risk`, as its file has it when it says nothing.
pub fn endpoint() -> spec::Endpoint {
    spec::Endpoint {
        name: name("risk"),
        description: None,
        model: name("default_risk"),
        alias: name("champion"),
        unknown_key: UnknownKey::Score,
        reasons: spec::Reasons::default(),
        log: spec::Log::default(),
        limits: spec::Limits::default(),
    }
}

/// The model crate's fixture: share_late, income, late_last_6, job, own_car, age.
fn model() -> Model {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures/format-1");
    Model::from_files(&|file| std::fs::read(folder.join(file)).ok()).unwrap()
}

/// The fixture as a version with these groups of reasons.
pub fn serving_model(groups: Vec<ReasonGroup>) -> ServingModel {
    let definition = definition();
    let view = PinnedView {
        name: name("payment_history"),
        digest: definition.digest(),
        definition,
        stale_after: Some("70 days".parse().unwrap()),
        online_horizon: None,
    };
    let input = |name: &str, data_type, origin, checks| Input {
        name: name.to_owned(),
        data_type,
        origin,
        words: name.replace('_', " "),
        code: None,
        checks,
    };
    let output = |output| InputOrigin::View { view: 0, output };
    let range = FeatureCheck::Range { min: Some(18.0), max: Some(100.0), on_failure: OnFailure::Report };
    let inputs = vec![
        input("share_late", DataType::Float, output(0), vec![]),
        input("income", DataType::Float, InputOrigin::Request, vec![]),
        input("late_last_6", DataType::Int, output(1), vec![]),
        input("job", DataType::Text, output(2), vec![]),
        input("own_car", DataType::Bool, output(3), vec![]),
        input("age", DataType::Float, InputOrigin::Request, vec![range]),
    ];
    let pinned = Pinned::new(vec![name("client")], vec![Column::new("client_id", DataType::Int)], vec![view], inputs);
    let pinned = pinned.with_groups(groups);
    // As endpoints get it: through its file.
    let pinned = Pinned::from_file(&pinned.to_file()).unwrap();
    let version = VersionName { model: name("default_risk"), version: 3, release: 7, release_digest: Digest::of("r") };
    ServingModel::new(version, model(), pinned).unwrap()
}

/// The same version, deciding at another threshold.
pub fn with_threshold(model: ServingModel, threshold: f64) -> ServingModel {
    let parts = ModelParts { threshold, ..model.model.parts().clone() };
    ServingModel::new(model.name.clone(), Model::new(parts).unwrap(), model.pinned.clone()).unwrap()
}

/// The same version, checking one of its inputs otherwise.
pub fn with_checks(model: ServingModel, input: &str, checks: &serde_json::Value) -> ServingModel {
    let pinned = model.pinned.clone();
    let mut inputs = pinned.inputs;
    let checked = inputs.iter_mut().find(|one| one.name == input).unwrap();
    checked.checks = serde_json::from_value(checks.clone()).unwrap();
    let again = Pinned::new(pinned.entities, pinned.keys, pinned.views, inputs).with_groups(pinned.groups);
    let again = Pinned::from_file(&again.to_file()).unwrap();
    ServingModel::new(model.name, model.model, again).unwrap()
}

fn definition() -> Definition {
    let view: FeatureView = serde_json::from_value(serde_json::json!({
        "name": "payment_history", "entity": "client", "source": "payments",
        "features": {
            "share_late": {"share": "late"},
            "late_last_6": {"count": "rows", "where": "late", "window": "6 months"},
            "job": {"last": "job"},
            "own_car": {"last": "own_car"},
        }
    }))
    .unwrap();
    // A JSON object is sorted by name; the order of the view is the order of its file.
    let mut view = view;
    let order = ["share_late", "late_last_6", "job", "own_car"];
    view.features = order.iter().map(|name| ((*name).to_owned(), view.features[*name].clone())).collect();
    let entity =
        Entity { name: name("client"), description: None, keys: vec![Column::new("client_id", DataType::Int)] };
    let source = SourceDefinition {
        name: name("payments"),
        columns: columns(),
        keys: vec!["payment_id".to_owned()],
        event_time: Some("day".to_owned()),
        known_time: None,
        available_after: None,
        include_as_of: false,
        time_zone: Zone::utc(),
        sequence: None,
        identity: Identity::Keys(vec!["payment_id".to_owned()]),
        upstream: Digest::of("payments"),
    };
    Definition::new(&view, &[entity], source).unwrap()
}

fn columns() -> Schema {
    Schema::new(vec![
        Column::new("payment_id", DataType::Int),
        Column::new("client_id", DataType::Int),
        Column::new("day", DataType::Date),
        Column::new("late", DataType::Bool),
        Column::new("job", DataType::Text),
        Column::new("own_car", DataType::Bool),
    ])
}

/// Client 1 pays until September 2021, client 2 until May; client 2's last job was taken away by its contract.
pub fn payments() -> RecordBatch {
    let days = ["2021-07-10", "2021-08-10", "2021-09-10", "2021-04-10", "2021-05-10"];
    let day: Vec<i32> = days.iter().map(|day| karat_core::time::civil_date(day).unwrap()).collect();
    let micros = Int64Array::from_iter_values(day.iter().map(|day| Instant::midnight(*day).micros()));
    let nulled = r#"[{"column":"job","value":"zzz","check":"allowed"}]"#;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("payment_id", Arc::new(Int64Array::from_iter_values(1..=5))),
        ("client_id", Arc::new(Int64Array::from(vec![1, 1, 1, 2, 2]))),
        ("day", Arc::new(arrow::array::Date32Array::from(day))),
        ("late", Arc::new(BooleanArray::from(vec![false, true, true, false, true]))),
        ("job", Arc::new(StringArray::from(vec![Some("a"), Some("a"), Some("b"), Some("c"), None]))),
        ("own_car", Arc::new(BooleanArray::from(vec![true, true, false, true, true]))),
        (hidden::EVENT_TIME, Arc::new(micros.clone())),
        (hidden::KNOWN_TIME, Arc::new(micros)),
        (hidden::COMMIT, Arc::new(Int64Array::from_iter_values([1; 5]))),
        (hidden::REMOVED, Arc::new(BooleanArray::from(vec![false; 5]))),
        (hidden::FILE, new_null_array(&hidden::file_type(), 5)),
        (hidden::ROW, Arc::new(Int64Array::from_iter_values(1..=5))),
        (hidden::NULLED, Arc::new(StringArray::from(vec![None, None, None, None, Some(nulled)]))),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns.into_iter().map(|(_, column)| column).collect())
        .unwrap()
}
