"""Trains LightGBM on a training set that Karat wrote, and logs what a team would log.

    python mlflow_boosters.py KARAT_ADDRESS FOLDER-OF-TRAINING-SET

Prints as JSON the runs, and what scikit-learn measures of LightGBM's own scores on the test part.
"""
import json
import os
import sys

os.environ["GIT_PYTHON_REFRESH"] = "quiet"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import lightgbm
import mlflow
import pandas
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score


def part(folder, name, features, label):
    rows = pandas.read_parquet(f"{folder}/part={name}/rows.parquet")
    inputs = rows[features].copy()
    for column in inputs.select_dtypes(["object", "string"]).columns:
        inputs[column] = inputs[column].astype("object").astype("category")
    return inputs, rows[label].astype(int)


def main(uri, folder):
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("python")
    columns = json.load(open(f"{folder}/_manifest.json"))["columns"]
    features = [column["name"] for column in columns if column["role"] == "feature"]
    [target] = [column["name"] for column in columns if column["role"] == "label"]
    inputs, label = part(folder, "train", features, target)
    runs = {}

    def booster(of):
        data = lightgbm.Dataset(of, label)
        return lightgbm.train({"objective": "binary", "num_leaves": 5, "verbosity": -1, "num_threads": 1}, data, 12)

    trained = booster(inputs)
    with mlflow.start_run(run_name="booster") as run:
        mlflow.lightgbm.log_model(trained, name="model", pip_requirements=[])
        runs["booster"] = run.info.run_id
    with mlflow.start_run(run_name="two") as run:
        mlflow.lightgbm.log_model(trained, name="one", pip_requirements=[])
        mlflow.lightgbm.log_model(trained, name="other", pip_requirements=[])
        runs["two"] = run.info.run_id
    with mlflow.start_run(run_name="wrapped") as run:
        wrapped = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1).fit(inputs, label)
        mlflow.lightgbm.log_model(wrapped, name="model", pip_requirements=[])
        runs["wrapped"] = run.info.run_id
    with mlflow.start_run(run_name="linear") as run:
        numbers = inputs.select_dtypes("number").fillna(0)
        mlflow.sklearn.log_model(LogisticRegression().fit(numbers, label), name="model", pip_requirements=[])
        runs["linear"] = run.info.run_id
    with mlflow.start_run(run_name="mixed") as run:
        mlflow.lightgbm.log_model(booster(inputs[features[::-1]]), name="model", pip_requirements=[])
        runs["mixed"] = run.info.run_id
    with mlflow.start_run(run_name="nothing") as run:
        runs["nothing"] = run.info.run_id
    test, outcome = part(folder, "test", features, target)
    for column in test.select_dtypes("category").columns:
        test[column] = test[column].cat.set_categories(inputs[column].cat.categories)
    scores = trained.predict(test)
    print(json.dumps({"runs": runs, "auc": roc_auc_score(outcome, scores), "log_loss": log_loss(outcome, scores)}))


if __name__ == "__main__":
    main("http://" + sys.argv[1], sys.argv[2])
