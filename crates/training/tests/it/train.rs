use std::cell::RefCell;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, Int64Array, StringArray};
use karat_core::Value;
use karat_model::{Label, Model, Monotone, Transform};
use karat_training::split::Part;
use karat_training::{FitOptions, Progress, Trained, train};
use serde_json::{Value as Json, json};

use crate::data::{at, data, fit, fit_with, fixture, flip_label, loans, model, monthly};

fn digest(trained: &Trained) -> String {
    trained.model.digest().to_string()
}

fn constrained() -> Json {
    json!({
        "estimator": {"lightgbm": {
            "num_leaves": 7, "min_data_in_leaf": 10, "learning_rate": 0.1, "rounds": 200, "early_stopping": 15,
            "metric": "binary_logloss", "lambda_l1": 0.1, "lambda_l2": 0.5, "bagging_fraction": 0.8, "bagging_freq": 1,
            "feature_fraction": 0.8, "max_depth": 4, "cat_smooth": 5.0, "cat_l2": 2.0, "min_data_per_group": 20,
            "max_bin": 63, "min_gain_to_split": 0.01,
        }},
        "monotone": {"share_late": "increasing", "payments": "decreasing"},
    })
}

/// The fixtures are what Python's LightGBM 4.7.0 made of the same file: see `make_trees.py`.
#[test]
fn the_trees_are_pythons_byte_for_byte() {
    let expected: Json = serde_json::from_str(&fixture("trees.json")).unwrap();
    for (name, spec) in [("plain", model(json!({}))), ("constrained", model(constrained()))] {
        let trained = fit(&loans(), &spec).unwrap();
        let text = &trained.model.parts().trees;
        let trees = &text[..=text.find("\nparameters:").unwrap()];
        assert_eq!(trees, fixture(&format!("trees_{name}.txt")), "{name}");

        let expected = &expected[name];
        assert_eq!(trained.best_iteration, expected["best_iteration"].as_u64().unwrap() as u32);
        let curve = expected["curve"].as_array().unwrap();
        assert_eq!(trained.rounds as usize, curve.len());
        for (round, wanted) in trained.curve.iter().zip(curve) {
            assert!((round.validation - wanted.as_f64().unwrap()).abs() < 1e-12, "{name}, round {}", round.round);
        }
        for (importance, (splits, gain)) in trained
            .importance
            .iter()
            .zip(expected["splits"].as_array().unwrap().iter().zip(expected["gain"].as_array().unwrap()))
        {
            assert_eq!(importance.splits, splits.as_u64().unwrap(), "{}", importance.feature);
            // Python's come from the text, where a gain has six digits.
            let gain = gain.as_f64().unwrap();
            assert!((importance.gain - gain).abs() < 1e-5 * gain, "{}", importance.feature);
        }
    }
}

#[test]
fn the_model_scores_typed_rows_as_training_did() {
    let data = loans();
    let trained = fit(&data, &model(json!({}))).unwrap();
    let expected: Json = serde_json::from_str(&fixture("trees.json")).unwrap();
    let scores = expected["plain"]["scores"].as_array().unwrap();
    for (index, wanted) in scores.iter().enumerate() {
        let row = data.as_of.len() - scores.len() + index;
        let values: Vec<Value> = data.features.columns().iter().map(|column| Value::from_array(column, row)).collect();
        let score = trained.model.score(&trained.model.encode(&values).unwrap());
        assert!((score - wanted.as_f64().unwrap()).abs() < 1e-14, "row {row}");
    }
    let reread = Model::from_files(&|name| trained.model.to_files().get(name).cloned()).unwrap();
    assert_eq!(reread.digest(), trained.model.digest());
}

#[test]
fn threads_change_nothing() {
    for spec in [model(json!({})), model(constrained())] {
        let one = fit_with(&loans(), &spec, 1).unwrap();
        for threads in [2, 3] {
            let other = fit_with(&loans(), &spec, threads).unwrap();
            assert_eq!(digest(&other), digest(&one));
            assert_eq!(other.evaluation, one.evaluation);
            assert_eq!(other.curve, one.curve);
            assert_eq!((one.threads, other.threads), (1, threads));
        }
    }
    // Enough rows for LightGBM to share them out among its threads.
    let (data, spec) = (monthly(30_000, 5), model(json!({"split": {"by": "random", "validation": 0.2, "test": 0.2}})));
    assert_eq!(digest(&fit_with(&data, &spec, 1).unwrap()), digest(&fit_with(&data, &spec, 2).unwrap()));
}

#[test]
fn one_training_label_changes_the_model() {
    let one = fit(&loans(), &model(json!({}))).unwrap();
    let other = fit(&flip_label(&loans(), 17), &model(json!({}))).unwrap();
    assert_ne!(digest(&one), digest(&other));
    let seeded = fit(&loans(), &model(json!({"seed": 7, "estimator": constrained()["estimator"]}))).unwrap();
    let reseeded = fit(&loans(), &model(json!({"seed": 8, "estimator": constrained()["estimator"]}))).unwrap();
    assert_ne!(digest(&seeded), digest(&reseeded));
}

#[test]
fn permuted_test_labels_change_measures_and_nothing_else() {
    let data = loans();
    let one = fit(&data, &model(json!({}))).unwrap();
    let labels = data.label.as_primitive::<arrow::datatypes::Int64Type>();
    let mut values: Vec<i64> = labels.values().to_vec();
    fastrand::Rng::with_seed(3).shuffle(&mut values[840..]);
    let permuted = karat_training::TrainingData { label: Arc::new(Int64Array::from(values)), ..data };
    let other = fit(&permuted, &model(json!({}))).unwrap();
    assert_eq!(digest(&one), digest(&other));
    assert_eq!(one.evaluation.validation, other.evaluation.validation);
    assert_ne!(one.evaluation.test, other.evaluation.test);
}

#[test]
fn what_validation_and_test_hold_never_reaches_an_encoder() {
    let trained = fit(&loans(), &model(json!({}))).unwrap();
    let job = &trained.model.signature().inputs[3];
    let wanted: Vec<String> = ["a", "b", "c", "d", "e", "f"].map(str::to_owned).to_vec();
    assert_eq!(job.transform, Transform::Categories(wanted));
}

#[test]
fn the_threshold_follows_its_rule_on_validation() {
    let at = |rule: Json| {
        let trained = fit(&loans(), &model(json!({"threshold": rule}))).unwrap();
        assert_eq!(trained.model.threshold(), trained.evaluation.threshold);
        trained.evaluation
    };
    let recall = at(json!({"recall_at_least": 0.8}));
    assert!(recall.validation.measures.recall >= 0.8);
    assert!(at(json!({"precision_at_least": 0.6})).validation.measures.precision >= 0.6);
    assert_eq!(at(json!({"value": 0.25})).threshold, 0.25);
    let ks = at(json!({"maximize": "ks"}));
    let confusion = ks.validation.measures.confusion;
    let false_positives =
        confusion.false_positives as f64 / (confusion.false_positives + confusion.true_negatives) as f64;
    assert!((ks.validation.measures.recall - false_positives - ks.validation.measures.ks).abs() < 1e-12);
    let f1 = at(json!({"maximize": "f1"})).validation.measures.f1;
    assert!(f1 >= ks.validation.measures.f1 && f1 >= recall.validation.measures.f1);
}

#[test]
fn early_stopping_off_keeps_every_round() {
    let estimator = json!({"lightgbm": {"num_leaves": 4, "rounds": 12, "early_stopping": 0}});
    let trained = fit(&loans(), &model(json!({"estimator": estimator}))).unwrap();
    assert_eq!((trained.rounds, trained.best_iteration), (12, 12));
    assert_eq!(trained.model.trees().trees().len(), 12);
}

#[test]
fn the_signature_carries_words_codes_constraints_and_labels() {
    let mut data = loans();
    data.words.insert("job".to_owned(), "what the client does".to_owned());
    data.words.insert("payments".to_owned(), "the view's words".to_owned());
    let spec = model(json!({
        "labels": ["paid", "late"],
        "monotone": {"payments": "decreasing"},
        "reasons": {"payments": {"words": "number of payments", "code": "P1"}},
    }));
    let trained = fit(&data, &spec).unwrap();
    let input = |name: &str| trained.model.signature().inputs.iter().find(|input| input.name == name).unwrap();
    assert_eq!(input("payments").words.as_deref(), Some("number of payments"));
    assert_eq!(input("payments").code.as_deref(), Some("P1"));
    assert_eq!(input("payments").monotone, Monotone::Decreasing);
    assert_eq!(input("job").words.as_deref(), Some("what the client does"));
    assert_eq!(*trained.model.labels(), [Label::Text("paid".into()), Label::Text("late".into())]);
}

#[test]
fn odd_feature_names_train_and_stay_what_they_are() {
    let mut data = loans();
    let names = ["share late", "pay:ments", "own,car", "{job}", "příjem"];
    let columns = names.iter().zip(data.features.columns()).map(|(name, column)| (*name, column.clone(), true));
    data.features = arrow::array::RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let trained = fit(&data, &model(json!({}))).unwrap();
    let inputs = &trained.model.signature().inputs;
    assert_eq!(inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>(), names);
    assert!(trained.model.parts().trees.contains("feature_names=share_late pay_ments own_car _job_ příjem\n"));
}

#[test]
fn unseen_profiles_are_measured_apart() {
    let mut data = loans();
    let rows = data.as_of.len();
    // Every second test row shares a profile with a training row; nulls are a value like any other.
    let of = |row: usize| match row {
        row if row < 600 => Some(format!("profile {}", row % 50)),
        row if row % 2 == 0 => Some(format!("profile {}", row % 50)),
        _ => None,
    };
    let texts: StringArray = (0..rows).map(of).collect();
    data.profile = vec![Arc::new(texts), Arc::new(Int64Array::from(vec![1; rows]))];
    let evaluation = fit(&data, &model(json!({}))).unwrap().evaluation;
    let unseen = evaluation.test_unseen.unwrap();
    assert_eq!((unseen.measures.rows, evaluation.test.measures.rows), (80, 160));

    data.profile = vec![Arc::new(Int64Array::from(vec![1; rows]))];
    let trained = fit(&data, &model(json!({}))).unwrap();
    assert!(trained.evaluation.test_unseen.is_none());
    assert!(trained.warnings.iter().any(|warning| warning.contains("never seen")), "{:?}", trained.warnings);
    assert!(fit(&loans(), &model(json!({}))).unwrap().evaluation.test_unseen.is_none());
}

#[test]
fn odd_features_are_warned_of_and_trained_anyway() {
    let base = loans();
    let rows = base.as_of.len();
    let ids: StringArray = (0..rows).map(|row| Some(format!("level {}", row % 120))).collect();
    let mut columns: Vec<(&str, Arc<dyn Array>)> = vec![
        ("share_late", base.features.column(0).clone()),
        ("always", Arc::new(Int64Array::from(vec![1; rows]))),
        ("never", Arc::new(Float64Array::from(vec![None; rows]))),
        ("many", Arc::new(ids)),
    ];
    let data_of = |columns: Vec<(&str, Arc<dyn Array>)>| data(columns, base.label.clone(), base.as_of.clone());
    let trained = fit(&data_of(columns.clone()), &model(json!({}))).unwrap();
    let warned = |part: &str| trained.warnings.iter().any(|warning| warning.contains(part));
    assert!(warned("`always` is the same") && warned("`never` is null") && warned("`many` has 120 categories"));

    columns.retain(|(name, _)| *name == "always" || *name == "never");
    let trained = fit(&data_of(columns), &model(json!({}))).unwrap();
    assert_eq!((trained.rounds, trained.best_iteration), (0, 0));
    assert!(trained.warnings.iter().any(|warning| warning.contains("every row gets the same score")));
    assert_eq!(trained.evaluation.test.measures.auc, 0.5);
}

#[test]
fn progress_tells_of_the_split_and_every_round() {
    let seen = RefCell::new(Vec::new());
    let note = |progress: Progress<'_>| {
        seen.borrow_mut().push(match progress {
            Progress::Split(report) => format!("split {}", report.part(Part::Train).rows),
            Progress::Round { round, of } => format!("round {}/{of}", round.round),
            Progress::Evaluating => "evaluating".to_owned(),
        });
    };
    let trained = train(&loans(), &model(json!({})), &FitOptions { threads: 0, progress: &note }).unwrap();
    let seen = seen.into_inner();
    assert_eq!(seen.len(), trained.rounds as usize + 2);
    assert_eq!((seen[0].as_str(), seen[1].as_str()), ("split 600", "round 1/200"));
    assert_eq!(seen[seen.len() - 1], "evaluating");
}

#[test]
fn purged_rows_do_not_train() {
    let data = loans();
    let mut late = data.clone();
    let known = |row: usize| if row < 100 { at("2021-02-02") } else { data.as_of.value(row) };
    late.label_time = (0..data.as_of.len()).map(known).collect();
    let trained = fit(&late, &model(json!({}))).unwrap();
    assert_eq!((trained.split.train.rows, trained.split.train.purged), (500, 100));
    assert_eq!(trained.evaluation.train.measures.rows, 500);
    // What the purged rows hold changes nothing.
    assert_eq!(digest(&fit(&flip_label(&late, 5), &model(json!({}))).unwrap()), digest(&trained));
    assert_ne!(digest(&fit(&data, &model(json!({}))).unwrap()), digest(&trained));
}
