"""What MLflow's client does with a model that Karat trained: finds it, opens its trees, and serves nothing unapproved.

    python mlflow_models.py KARAT_ADDRESS MODEL
"""
import json
import os
import sys

os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "2"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_TRACKING_USERNAME"] = "eve"
os.environ["MLFLOW_TRACKING_PASSWORD"] = "unchecked"

import mlflow
import mlflow.lightgbm
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from requests import HTTPError


def refusal(action):
    try:
        return f"not refused: {action()}"
    except (MlflowException, HTTPError) as error:
        return str(error)


def main(uri, name):
    mlflow.set_tracking_uri(uri)
    client = MlflowClient()
    version = client.get_model_version(name, "1")
    run = client.get_run(version.run_id)
    trees = mlflow.lightgbm.load_model(f"models:/{name}/1")
    features = trees.feature_name()
    scored = mlflow.pyfunc.load_model(version.source)
    told = {
        "source": version.source,
        "run_files": sorted(file.path for file in client.list_artifacts(version.run_id)),
        "trees": trees.num_trees(),
        "features": features,
        "of_run": run.data.tags["karat.model_version"],
        "scores": [round(float(score), 12) for score in scored.predict([[0.0] * len(features)])],
        "same": [round(float(score), 12) for score in trees.predict([[0.0] * len(features)])],
        "serves": refusal(lambda: client.set_registered_model_alias(name, "champion", "1")),
        "renames": refusal(lambda: client.rename_registered_model(name, "mine")),
        "deletes": refusal(lambda: client.delete_registered_model(name)),
        "writes": refusal(lambda: client.log_text(version.run_id, "mine", "model.json")),
    }
    foreign = client.create_model_version(name, "s3://bucket/elsewhere")
    told["foreign"] = foreign.version
    told["points"] = refusal(lambda: client.set_registered_model_alias(name, "shadow", foreign.version))
    print(json.dumps(told))


if __name__ == "__main__":
    main("http://" + sys.argv[1], sys.argv[2])
