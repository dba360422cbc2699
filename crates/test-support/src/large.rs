//! An endpoint of the size that lenders have: a thousand clients with three years of payments, a dozen features of
//! which two are expressions, 100 trees of 31 leaves. Random trees: the shape, not the meaning, is what costs.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, new_null_array,
};
use arrow::datatypes::{Field, Schema as ArrowSchema};
use fastrand::Rng;
use karat_core::{Column, DataType, Digest, Instant, Schema, Zone, hidden};
use karat_features::{CompiledView, Definition, Identity, SourceDefinition};
use karat_model::{Input, Label, Model, ModelParts, Signature, Transform};
use karat_project::spec::{Entity, FeatureView};
use karat_serving::{InputOrigin, Pinned, PinnedView, ServingModel, VersionName};
use serde_json::json;

use crate::serving_app::{App, endpoint, name};

pub struct Large {
    pub app: App,
    /// Clients are numbered from 1 to this.
    pub keys: i64,
}

const CLIENTS: i64 = 1000;
const MONTHS: i32 = 36;
const TREES: usize = 100;
const LEAVES: usize = 31;

pub fn app() -> Large {
    let definition = definition();
    let view = PinnedView {
        name: name("payment_history"),
        digest: definition.digest(),
        definition: definition.clone(),
        stale_after: None,
        online_horizon: None,
    };
    let view_outputs = CompiledView::compile(definition).unwrap().outputs().to_vec();
    let outputs = view_outputs.into_iter().map(|output| Column::new(output.name, output.value_type.one().unwrap()));
    let outputs: Vec<Column> = outputs.collect();
    let inputs = outputs.iter().enumerate().map(|(output, column)| karat_serving::Input {
        name: column.name.clone(),
        data_type: column.data_type,
        origin: InputOrigin::View { view: 0, output },
        words: column.name.replace('_', " "),
        code: None,
        checks: Vec::new(),
    });
    let pinned =
        Pinned::new(vec![name("client")], vec![Column::new("client_id", DataType::Int)], vec![view], inputs.collect());
    let signature = outputs.iter().map(|column| Input::new(&column.name, column.data_type, transform(column)));
    let model = Model::new(ModelParts {
        signature: Signature { inputs: signature.collect() },
        labels: [Label::Text("paid".to_owned()), Label::Text("late".to_owned())],
        threshold: 0.5,
        trees: trees(outputs.len()),
    });
    let version = VersionName { model: name("default_risk"), version: 1, release: 1, release_digest: Digest::of("r") };
    let model = ServingModel::new(version, model.unwrap(), pinned).unwrap();
    Large { app: App::over(endpoint(), model, &payments()), keys: CLIENTS }
}

fn transform(column: &Column) -> Transform {
    match column.data_type {
        DataType::Bool => Transform::Boolean,
        DataType::Text => Transform::Categories(["a", "b", "c"].map(str::to_owned).to_vec()),
        _ => Transform::Numeric,
    }
}

fn definition() -> Definition {
    let features = [
        ("nb", json!({"count": "rows"})),
        ("share_late", json!({"share": "late"})),
        ("late_last_6", json!({"count": "rows", "where": "late", "window": "6 months"})),
        ("mean_amount", json!({"mean": "amount"})),
        ("sum_last_3", json!({"sum": "amount", "window": "3 months"})),
        ("max_amount", json!({"max": "amount"})),
        ("last_amount", json!({"last": "amount"})),
        ("jobs", json!({"distinct": "job"})),
        ("job", json!({"last": "job"})),
        ("since_late", json!({"time_since": "late"})),
        ("trend", json!({"expression": "last_amount / nullif(mean_amount, 0)"})),
        ("late_per_month", json!({"expression": "late_last_6 / nullif(nb, 0)"})),
    ];
    let document = json!({"name": "payment_history", "entity": "client", "source": "payments",
        "features": features.iter().map(|(name, spec)| ((*name).to_owned(), spec.clone())).collect::<serde_json::Map<_, _>>()});
    let mut view: FeatureView = serde_json::from_value(document).unwrap();
    view.features = features.iter().map(|(name, _)| ((*name).to_owned(), view.features[*name].clone())).collect();
    let entity =
        Entity { name: name("client"), description: None, keys: vec![Column::new("client_id", DataType::Int)] };
    let source = SourceDefinition {
        name: name("payments"),
        columns: Schema::new(vec![
            Column::new("payment_id", DataType::Int),
            Column::new("client_id", DataType::Int),
            Column::new("day", DataType::Date),
            Column::new("amount", DataType::Float),
            Column::new("late", DataType::Bool),
            Column::new("job", DataType::Text),
        ]),
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

fn payments() -> RecordBatch {
    let mut rng = Rng::with_seed(11);
    let rows = CLIENTS as usize * MONTHS as usize;
    let first = karat_core::time::civil_date("2018-09-10").unwrap();
    let days: Vec<i32> = (0..CLIENTS).flat_map(|_| (0..MONTHS).map(|month| first + 30 * month)).collect();
    let micros = Int64Array::from_iter_values(days.iter().map(|day| Instant::midnight(*day).micros()));
    let jobs = (0..rows).map(|_| Some(["a", "b", "c"][rng.usize(0..3)]));
    let jobs = StringArray::from_iter(jobs.collect::<Vec<_>>());
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("payment_id", Arc::new(Int64Array::from_iter_values(1..=rows as i64))),
        ("client_id", Arc::new(Int64Array::from_iter_values((1..=CLIENTS).flat_map(|c| (0..MONTHS).map(move |_| c))))),
        ("day", Arc::new(Date32Array::from(days))),
        ("amount", Arc::new(Float64Array::from_iter_values((0..rows).map(|_| (rng.f64() * 1e5).round() / 100.0)))),
        ("late", Arc::new((0..rows).map(|_| Some(rng.u8(..10) == 0)).collect::<BooleanArray>())),
        ("job", Arc::new(jobs)),
        (hidden::EVENT_TIME, Arc::new(micros.clone())),
        (hidden::KNOWN_TIME, Arc::new(micros)),
        (hidden::COMMIT, Arc::new(Int64Array::from_value(1, rows))),
        (hidden::REMOVED, Arc::new(BooleanArray::from(vec![false; rows]))),
        (hidden::FILE, new_null_array(&hidden::file_type(), rows)),
        (hidden::ROW, Arc::new(Int64Array::from_iter_values(1..=rows as i64))),
        (hidden::NULLED, Arc::new(StringArray::new_null(rows))),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns.into_iter().map(|(_, column)| column).collect())
        .unwrap()
}

/// LightGBM's text of trees grown leaf-wise.
fn trees(features: usize) -> String {
    let mut rng = Rng::with_seed(7);
    let names: Vec<String> = (0..features).map(|feature| format!("f{feature}")).collect();
    let mut text = format!(
        "tree\nversion=v4\nnum_tree_per_iteration=1\nmax_feature_idx={}\nobjective=binary sigmoid:1\nfeature_names={}\n\n",
        features - 1,
        names.join(" ")
    );
    (0..TREES).for_each(|index| tree(index, features, &mut rng, &mut text));
    text.push_str("end of trees\n");
    text
}

fn tree(index: usize, features: usize, rng: &mut Rng, text: &mut String) {
    let mut counts = vec![100_000u32];
    let (mut left, mut right, mut internal) = (Vec::<i32>::new(), Vec::<i32>::new(), Vec::<u32>::new());
    while counts.len() < LEAVES {
        // Larger leaves are likelier to split, as their gain is.
        let leaf = (0..3).map(|_| rng.usize(0..counts.len())).max_by_key(|leaf| counts[*leaf]).unwrap();
        if counts[leaf] < 2 {
            continue;
        }
        let split = left.len() as i32;
        let parents = left.iter_mut().chain(right.iter_mut());
        parents.filter(|child| **child == !(leaf as i32)).for_each(|child| *child = split);
        let share = rng.u32(1..counts[leaf]);
        left.push(!(leaf as i32));
        right.push(!(counts.len() as i32));
        internal.push(counts[leaf]);
        counts.push(counts[leaf] - share);
        counts[leaf] = share;
    }
    let mut list = |name: &str, values: &mut dyn Iterator<Item = String>| {
        writeln!(text, "{name}={}", values.collect::<Vec<String>>().join(" ")).unwrap();
    };
    let splits = LEAVES - 1;
    list("Tree", &mut std::iter::once(index.to_string()));
    list("num_leaves", &mut std::iter::once(LEAVES.to_string()));
    list("num_cat", &mut std::iter::once("0".to_owned()));
    list("split_feature", &mut (0..splits).map(|_| rng.usize(0..features).to_string()));
    list("threshold", &mut (0..splits).map(|_| (rng.f64() * 30.0).to_string()));
    list("decision_type", &mut (0..splits).map(|_| "10".to_owned()));
    list("left_child", &mut left.iter().map(i32::to_string));
    list("right_child", &mut right.iter().map(i32::to_string));
    list("leaf_value", &mut (0..LEAVES).map(|_| (rng.f64() - 0.5).to_string()));
    list("leaf_count", &mut counts.iter().map(u32::to_string));
    list("internal_count", &mut internal.iter().map(u32::to_string));
    text.push('\n');
}
