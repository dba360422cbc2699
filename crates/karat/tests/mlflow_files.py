"""Files and models through MLflow's own client: a tree up, listed, down again; a model logged and loaded.

    python mlflow_files.py logged KARAT_ADDRESS
    python mlflow_files.py local sqlite:///DATABASE     what a team without a server leaves, its files in ./mlruns

Prints as JSON what was logged.
"""
import json
import os
import sys
from pathlib import Path

os.environ["GIT_PYTHON_REFRESH"] = "quiet"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import lightgbm
import mlflow
import numpy
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

TREE = {
    "plain.txt": b"plain\n",
    "empty": b"",
    "ü ber (1) & 50+%.csv": b"a,b\n1,2\n",
    "deep/er/and/deeper.json": b'{"a": 1}',
    "deep/twin.bin": bytes(range(256)) * 64,
    "large.bin": os.urandom(11 << 20),
}


def below(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in Path(root).rglob("*") if path.is_file()}


def tree():
    root = Path("tree")
    for name, content in TREE.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def rows():
    """And labels."""
    values = numpy.random.default_rng(7).normal(size=(300, 3))
    return values, (values[:, 0] > 0).astype(int)


def booster():
    values, label = rows()
    return lightgbm.train({"objective": "binary", "num_leaves": 4, "verbosity": -1, "num_threads": 1}, lightgbm.Dataset(values, label), 5)


def log():
    trained = booster()
    with mlflow.start_run(run_name="files") as run:
        mlflow.log_artifacts(str(tree()))
        mlflow.log_artifacts(str(tree()), artifact_path="again")
    with mlflow.start_run(run_name="model"):
        model = mlflow.lightgbm.log_model(trained, name="model", pip_requirements=[])
    return run, trained, model


def logged():
    client = mlflow.MlflowClient()
    run, trained, model = log()
    run_id = run.info.run_id
    top = {file.path: (file.is_dir, file.file_size) for file in client.list_artifacts(run_id)}
    expected = {name.split("/")[0]: (True, None) if "/" in name else (False, len(content)) for name, content in TREE.items()}
    assert top == {**expected, "again": (True, None)}, top
    assert [file.path for file in client.list_artifacts(run_id, "again/deep/er/and")] == ["again/deep/er/and/deeper.json"]
    assert client.list_artifacts(run_id, "again/de") == []
    whole = mlflow.artifacts.download_artifacts(run_id=run_id, dst_path="down")
    found = below(whole)
    wanted = {**TREE, **{f"again/{name}": content for name, content in TREE.items()}}
    assert found == wanted, sorted(found)
    one = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="deep/twin.bin", dst_path="one")
    assert Path(one).read_bytes() == TREE["deep/twin.bin"]
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/plain.txt") == "plain\n"
    values, _ = rows()
    loaded = mlflow.lightgbm.load_model(model.model_uri)
    assert (loaded.predict(values) == trained.predict(values)).all()
    version = mlflow.register_model(model.model_uri, "scored")
    assert (mlflow.pyfunc.load_model(f"models:/scored/{version.version}").predict(values) == trained.predict(values)).all()
    get_artifact_repository(run.info.artifact_uri).delete_artifacts("again/deep")
    assert [file.path for file in client.list_artifacts(run_id, "again")] == sorted(f"again/{name}" for name in TREE if "/" not in name)
    try:
        mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="nothing/of/it")
        raise AssertionError("there is nothing to download")
    except (MlflowException, FileNotFoundError, OSError):
        pass
    return {"run": run_id, "experiment": run.info.experiment_id, "model": model.model_id, "uri": run.info.artifact_uri}


def main(what, where):
    if what == "logged":
        mlflow.set_tracking_uri("http://" + where)
        mlflow.set_experiment("files")
        return logged()
    mlflow.set_tracking_uri(where)
    experiment = mlflow.create_experiment("local", artifact_location=Path("mlruns/1").absolute().as_uri())
    mlflow.set_experiment(experiment_id=experiment)
    run, _, _ = log()
    return {"run": run.info.run_id, "experiment": experiment}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
