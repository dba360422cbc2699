"""MLflow's own client against Karat and against MLflow's own server: the same operations, the same answers.

    python mlflow_client.py KARAT_ADDRESS

Starts `mlflow server` over SQLite in the working directory, tells both the same story, and prints as JSON what was compared
and what differs. Ids and times are normalised; known differences are named in KNOWN, each with its reason.
"""
import json
import math
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "2"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

API = "/api/2.0/mlflow"


def start_reference():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = dict(os.environ, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
    log = open("mlflow-server.log", "w")
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", "sqlite:///reference.db",
               "--artifacts-destination", "reference-artifacts", "--host", "127.0.0.1", "--port", str(port),
               "--workers", "1"]
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    deadline = time.time() + 180
    while time.time() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
            return process, f"http://127.0.0.1:{port}"
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.2)
    process.kill()
    raise SystemExit("mlflow server did not start:\n" + open("mlflow-server.log").read()[-3000:])


def end_reference(process):
    """With its workers, which a busy machine may keep from ending by themselves."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


class Names:
    """Ids by their order of appearance."""

    def __init__(self):
        self.seen = {}

    def hide(self, text):
        text = re.sub(r"\b[0-9a-f]{32}\b", lambda found: self.seen.setdefault(found[0], f"run{len(self.seen)}"), text)
        return re.sub(r"\b1[6-9]\d{11}\b", "TIME", text)


def number(value):
    return "NaN" if math.isnan(value) else value


def seen_run(run):
    inputs = [
        (i.dataset.name, i.dataset.digest, i.dataset.source_type, i.dataset.source, i.dataset.schema, i.dataset.profile,
         sorted((t.key, t.value) for t in i.tags))
        for i in run.inputs.dataset_inputs
    ]
    return {
        "name": run.info.run_name, "status": run.info.status, "stage": run.info.lifecycle_stage,
        "user": run.info.user_id, "start": run.info.start_time, "end": run.info.end_time,
        "experiment": run.info.experiment_id, "artifacts": run.info.artifact_uri,
        "metrics": {key: number(value) for key, value in sorted(run.data.metrics.items())},
        "params": dict(sorted(run.data.params.items())), "tags": dict(sorted(run.data.tags.items())),
        "inputs": sorted(inputs),
    }


def seen_experiment(experiment):
    return {"id": experiment.experiment_id, "name": experiment.name, "stage": experiment.lifecycle_stage,
            "artifacts": experiment.artifact_location, "tags": dict(sorted(experiment.tags.items()))}


def seen_version(version):
    return {"name": version.name, "version": int(version.version), "description": version.description or "",
            "stage": version.current_stage, "source": version.source, "run": version.run_id, "link": version.run_link,
            "status": version.status, "tags": dict(sorted(version.tags.items())), "aliases": sorted(version.aliases)}


def seen_model(model):
    latest = sorted((int(v.version), v.current_stage) for v in model.latest_versions or [])
    return {"name": model.name, "description": model.description or "", "tags": dict(sorted(model.tags.items())),
            "aliases": dict(sorted((alias, int(version)) for alias, version in model.aliases.items())), "latest": latest}


def attempt(action):
    try:
        return action()
    except MlflowException as error:
        return {"error": error.error_code}


def story(uri):
    """What a client sees, step by step."""
    told = []

    def tell(what, value):
        told.append((what, value))

    client = MlflowClient(tracking_uri=uri)
    tell("default", seen_experiment(client.get_experiment("0")))
    one = client.create_experiment("one", tags={"team": "risk", "a.b/c": "é"})
    two = client.create_experiment("two", artifact_location="s3://bucket/elsewhere")
    tell("created", [seen_experiment(client.get_experiment(i)) for i in (one, two)])
    tell("by name", [seen_experiment(client.get_experiment_by_name("two")), client.get_experiment_by_name("three")])
    tell("twice", attempt(lambda: client.create_experiment("one")))
    client.set_experiment_tag(one, "team", "cards")
    client.set_experiment_tag(one, "gone", "soon")
    client.delete_experiment_tag(one, "gone")
    tell("no such tag", attempt(lambda: client.delete_experiment_tag(one, "gone")))
    client.rename_experiment(two, "zwei")
    tell("renamed", seen_experiment(client.get_experiment(two)))
    client.delete_experiment(two)
    tell("deleted", [attempt(lambda: client.delete_experiment(two)), attempt(lambda: client.create_run(two)),
                     attempt(lambda: client.create_experiment("zwei"))])
    for view in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL):
        tell(f"experiments {view}", [seen_experiment(e) for e in client.search_experiments(view)])
    client.restore_experiment(two)
    tell("restored", seen_experiment(client.get_experiment(two)))
    for text, order in [("name LIKE 'o%'", None), ("name ILIKE 'ZW%'", None), ("tags.team = 'cards'", None),
                        ("tags.team IS NULL", ["name ASC"]), ("tags.`a.b/c` IS NOT NULL", None),
                        ("creation_time > 0 AND name != 'one'", ["experiment_id DESC"]),
                        ("experiment_id IN ('0', '2')", ["name"]), ("last_update_time < 5", None)]:
        tell(text, [e.name for e in client.search_experiments(filter_string=text, order_by=order)])

    # A run as MlflowClient makes it.
    run = client.create_run(one, start_time=1000, run_name="first", tags={"stage": "dev", "mlflow.user": "ana"})
    run_id = run.info.run_id
    tell("run", seen_run(run))
    for step in range(25):
        client.log_metric(run_id, "loss", 1.0 / (step + 1), timestamp=2000 + step, step=step)
    client.log_metric(run_id, "loss", 1.0, timestamp=2000, step=0)
    client.log_metric(run_id, "broken", float("nan"), timestamp=5)
    client.log_metric(run_id, "huge", float("inf"), timestamp=5, step=-3)
    client.log_metric(run_id, "deep", float("-inf"), timestamp=5, step=2**60)
    client.log_metric(run_id, "back", 3.0, timestamp=9, step=9)
    client.log_metric(run_id, "back", 4.0, timestamp=99, step=1)
    client.log_param(run_id, "depth", 3)
    client.log_param(run_id, "depth", 3)
    tell("param changed", attempt(lambda: client.log_param(run_id, "depth", 4)))
    client.log_param(run_id, "long", "x" * 6000)
    client.set_tag(run_id, "stage", "prod")
    client.set_tag(run_id, "mlflow.runName", "renamed by tag")
    client.delete_tag(run_id, "mlflow.user")
    tell("no tag", attempt(lambda: client.delete_tag(run_id, "mlflow.user")))
    client.log_batch(run_id,
                     metrics=[Metric("auc", 0.5 + i / 1000, 10 + i, i) for i in range(700)] + [Metric("auc", 0.1, 5, 5)],
                     params=[Param(f"p{i:02}", str(i)) for i in range(60)], tags=[RunTag("a", "1"), RunTag("a", "2")])
    tell("batch refused", attempt(lambda: client.log_batch(run_id, params=[Param("new", "1"), Param("depth", "9")])))
    dataset = Dataset("loans", "abc123", "local", "/data/loans.csv", schema="{}", profile="{\"rows\": 3}")
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training"), InputTag("k", "v")]),
                               DatasetInput(Dataset("other", "1", "code", "x"), [])])
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "again")])])
    tell("logged", seen_run(client.get_run(run_id)))
    for key in ("loss", "auc", "broken", "huge", "deep", "back", "none"):
        history = client.get_metric_history(run_id, key)
        tell(f"history {key}", [(m.key, number(m.value), m.timestamp, m.step) for m in history])
    client.update_run(run_id, status="FAILED", name="renamed")
    tell("updated", seen_run(client.get_run(run_id)))
    client.set_terminated(run_id, "FINISHED", end_time=7777)
    tell("ended", seen_run(client.get_run(run_id)))
    client.delete_run(run_id)
    tell("deleted run", [seen_run(client.get_run(run_id))["stage"],
                         attempt(lambda: client.log_metric(run_id, "late", 1.0)),
                         attempt(lambda: client.set_tag(run_id, "late", "1")),
                         attempt(lambda: client.log_param(run_id, "late", "1"))])
    for view in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL):
        tell(f"runs {view}", [r.info.run_name for r in client.search_runs([one], run_view_type=view)])
    client.restore_run(run_id)
    tell("no run", [attempt(lambda: client.get_run("f" * 32)), attempt(lambda: client.get_run("nope"))])
    client.delete_experiment(one)
    tell("with its experiment", client.get_run(run_id).info.lifecycle_stage)
    client.restore_experiment(one)
    tell("and back", client.get_run(run_id).info.lifecycle_stage)

    # Runs as the fluent API makes them, nested, with files.
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("fluent")
    with mlflow.start_run(run_name="parent", tags={"kind": "outer"}) as parent:
        mlflow.log_params({"alpha": 0.5, "beta": None})
        mlflow.log_metrics({"rmse": 2.5, "mae": 1.5}, step=4)
        with mlflow.start_run(run_name="child", nested=True) as child:
            mlflow.log_metric("rmse", 2.25)
            mlflow.log_text("hello", "notes/hello.txt")
            mlflow.log_dict({"a": [1, 2]}, "config.json")
        mlflow.log_text("größe", "über/größe 1.txt")
    found = client.get_run(child.info.run_id)
    tell("child of", found.data.tags["mlflow.parentRunId"] == parent.info.run_id)
    nested = mlflow.search_runs(experiment_names=["fluent"], filter_string="params.alpha = '0.5'", output_format="list")
    tell("fluent", [(r.info.run_name, r.info.status, r.data.params, r.data.metrics) for r in nested])
    children = client.search_runs([found.info.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    tell("children", [r.info.run_name for r in children])
    files = [(f.path, f.is_dir, f.file_size) for f in client.list_artifacts(child.info.run_id)]
    files += [(f.path, f.is_dir, f.file_size) for f in client.list_artifacts(child.info.run_id, "notes")]
    tell("files", sorted(files, key=str))
    tell("no files", [list(client.list_artifacts(parent.info.run_id, "nothing"))])
    tell("read", [mlflow.artifacts.load_text(f"runs:/{child.info.run_id}/notes/hello.txt"),
                  mlflow.artifacts.load_dict(f"runs:/{child.info.run_id}/config.json"),
                  mlflow.artifacts.load_text(f"runs:/{parent.info.run_id}/über/größe 1.txt")])
    with open("big.bin", "wb") as big:
        big.write(bytes(range(256)) * 20_000)
    client.log_artifact(child.info.run_id, "big.bin", "data")
    local = mlflow.artifacts.download_artifacts(run_id=child.info.run_id, artifact_path="data/big.bin")
    tell("whole", [open(local, "rb").read() == open("big.bin", "rb").read()])
    # A model of MLflow 3: logged, measured, found.
    class Twice(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input: list[float]) -> list[float]:
            return [2 * value for value in model_input]

    with mlflow.start_run(run_name="modelled") as modelled:
        made = mlflow.pyfunc.log_model(name="twice", python_model=Twice(), pip_requirements=[], params={"k": "2"})
        mlflow.log_metric("rmse", 0.25, step=3, model_id=made.model_id)
    model = client.get_logged_model(made.model_id)
    tell("model", [model.name, str(model.status), model.params, [(m.key, m.value, m.step) for m in model.metrics],
                   model.source_run_id == modelled.info.run_id, sorted(k for k in model.tags if ".git." not in k)])
    tell("model's run", [len(client.get_run(modelled.info.run_id).outputs.model_outputs)])
    tell("model's files", sorted(f.path for f in client.list_logged_model_artifacts(made.model_id)))
    tell("model again", mlflow.pyfunc.load_model(made.model_uri).predict([1.5, 2.0]))
    client.set_logged_model_tags(made.model_id, {"a": "1", "b": "2"})
    client.delete_logged_model_tag(made.model_id, "b")
    tell("no model tag", attempt(lambda: client.delete_logged_model_tag(made.model_id, "b")))
    for text, order in [("params.k = '2'", None), ("metrics.rmse < 0.5", [{"field_name": "metrics.rmse", "ascending": False}]),
                        ("tags.a = '1' AND name LIKE 'tw%'", [{"field_name": "creation_time"}]), ("metrics.rmse > 1", None)]:
        found = client.search_logged_models([modelled.info.experiment_id], filter_string=text, order_by=order)
        tell(f"models {text}", [m.name for m in found])
    registered(client, tell, made, modelled.info.run_id)
    client.delete_logged_model(made.model_id)
    tell("model gone", attempt(lambda: client.get_logged_model(made.model_id)))
    with mlflow.start_run(run_id=parent.info.run_id):
        mlflow.set_tag("resumed", "yes")
    tell("resumed", client.get_run(parent.info.run_id).data.tags["resumed"])
    return told


def whole_story(uri):
    told = story(uri)
    autologged(MlflowClient(tracking_uri=uri), lambda what, value: told.append((what, value)))
    return told


def autologged(client, tell):
    """What autologging sees of three libraries, and artifacts of every kind."""
    import logging
    import matplotlib
    import numpy
    import pandas
    from lightgbm import LGBMClassifier
    from sklearn.linear_model import LogisticRegression
    from xgboost import XGBClassifier

    matplotlib.use("Agg")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    data = numpy.random.default_rng(5).normal(size=(200, 4))
    features = pandas.DataFrame(data, columns=["a", "b", "c", "d"])
    label = (data[:, 0] + data[:, 1] > 0).astype(int)
    mlflow.set_experiment("autologged")
    for name, flavour, model in [("sklearn", mlflow.sklearn, LogisticRegression(C=0.5)),
                                 ("lightgbm", mlflow.lightgbm, LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1)),
                                 ("xgboost", mlflow.xgboost, XGBClassifier(n_estimators=5, n_jobs=1))]:
        flavour.autolog(log_models=name == "lightgbm", log_datasets=True)
        with mlflow.start_run(run_name=name) as run:
            model.fit(features, label)
        flavour.autolog(disable=True)
        found = client.get_run(run.info.run_id)
        tags = {key: value for key, value in found.data.tags.items() if key not in ("mlflow.source.git.commit", "mlflow.autologging")}
        tell(f"autologged {name}", [dict(sorted(found.data.params.items())),
                                    {key: round(value, 9) for key, value in sorted(found.data.metrics.items())}, sorted(tags),
                                    sorted(file.path for file in client.list_artifacts(run.info.run_id)),
                                    [(i.dataset.name, i.dataset.digest) for i in found.inputs.dataset_inputs],
                                    len(found.outputs.model_outputs)])
        if name == "lightgbm":
            made = found.outputs.model_outputs[0].model_id
            loaded = mlflow.lightgbm.load_model(f"models:/{made}")
            tell("autologged model", (loaded.predict(features) == model.predict(features)).all().item())
    mlflow.set_system_metrics_sampling_interval(0.2)
    mlflow.set_system_metrics_samples_before_logging(1)
    with mlflow.start_run(run_name="everything", log_system_metrics=True) as run:
        figure, axes = matplotlib.pyplot.subplots()
        axes.plot([1, 2])
        mlflow.log_figure(figure, "pictures/line.png")
        matplotlib.pyplot.close(figure)
        mlflow.log_image(numpy.zeros((4, 4, 3), "uint8"), "black.png")
        mlflow.log_table({"a": [1, 2], "b": ["x", "y"]}, "table.json")
        mlflow.log_table({"a": [3], "b": ["z"]}, "table.json")
        mlflow.log_dict({"deep": {"er": [1]}}, "dict.yaml")
        mlflow.log_input(mlflow.data.from_pandas(features, source="s3://bucket/file.csv", name="frame"), context="training")
        time.sleep(1)
    table = mlflow.load_table("table.json", run_ids=[run.info.run_id])
    tell("table", table.to_dict(orient="list"))
    found = client.get_run(run.info.run_id)
    tell("system metrics", "system/cpu_utilization_percentage" in found.data.metrics)
    tell("pictures", sorted(file.path for file in client.list_artifacts(run.info.run_id, "pictures")))
    tell("everything", sorted(file.path for file in client.list_artifacts(run.info.run_id)))
    tell("frame", [(i.dataset.name, i.dataset.digest, i.dataset.source, i.dataset.schema) for i in found.inputs.dataset_inputs])


def registered(client, tell, made, run_id):
    """The registry's part of the story, with a logged model to register."""
    tell("registered", seen_model(client.create_registered_model("scorer", tags={"team": "risk"}, description="scores")))
    tell("registered twice", attempt(lambda: client.create_registered_model("scorer")))
    for bad in ("", " ", "a/b", "a:b", "..", "a/../b"):
        tell(f"no name {bad}", attempt(lambda: client.create_registered_model(bad)))
    version = mlflow.register_model(made.model_uri, "scorer")
    tell("of a logged model", seen_version(version))
    tell("its versions", client.get_logged_model(made.model_id).tags["mlflow.modelVersions"])
    tell("of a run", seen_version(mlflow.register_model(f"runs:/{run_id}/twice", "scorer", tags={"a": "1"})))
    tell("fresh", seen_version(mlflow.register_model(made.model_uri, "brand new")))
    stored = client.create_model_version("scorer", "s3://bucket/models/three", run_id="0" * 32, run_link="http://x",
                                         tags={"k": "v"}, description="three")
    tell("stored elsewhere", seen_version(stored))
    tell("download", [client.get_model_version_download_uri("scorer", n) for n in ("1", "2", "3")])
    for source in ("/etc/passwd", "file:///etc", "s3://b/../c", "runs:/" + "1" * 32 + "/m", "models:/m-1234",
                   "mlflow-artifacts:/0/other", "models:/scorer/99", "models:/nothing/1", "s3://b/%2e%2e/x", "bare", "dbfs:/a/b"):
        for claim in (None, run_id):
            tell(f"source {source} {claim is None}",
                 attempt(lambda: seen_version(client.create_model_version("scorer", source, run_id=claim))))
    tell("nobody's", attempt(lambda: client.create_model_version("nobody", "s3://a/b")))
    client.update_registered_model("scorer", "scores more")
    client.update_model_version("scorer", "3", "the third")
    client.set_registered_model_tag("scorer", "team", "cards")
    client.set_registered_model_tag("scorer", "gone", "soon")
    client.delete_registered_model_tag("scorer", "gone")
    client.delete_registered_model_tag("scorer", "never")
    client.set_model_version_tag("scorer", "3", "k", "w")
    client.set_model_version_tag("scorer", "3", "gone", "soon")
    client.delete_model_version_tag("scorer", "3", "gone")
    tell("no version to tag", attempt(lambda: client.set_model_version_tag("scorer", "99", "k", "w")))
    tell("described", [seen_model(client.get_registered_model("scorer")), seen_version(client.get_model_version("scorer", "3"))])
    client.set_registered_model_alias("scorer", "champion", "1")
    client.set_registered_model_alias("scorer", "challenger-2", "3")
    client.set_registered_model_alias("scorer", "champion", "2")
    for alias in ("latest", "v3", "V12", "a b", "a/b", "é"):
        tell(f"alias {alias}", attempt(lambda: client.set_registered_model_alias("scorer", alias, "1")))
    tell("alias of none", [attempt(lambda: client.set_registered_model_alias("scorer", "x", "99")),
                           attempt(lambda: client.set_registered_model_alias("nobody", "x", "1")),
                           attempt(lambda: client.get_model_version_by_alias("scorer", "nothing"))])
    tell("by alias", [seen_version(client.get_model_version_by_alias("scorer", a)) for a in ("champion", "latest", "challenger-2")])
    tell("loaded by alias", mlflow.pyfunc.load_model("models:/scorer@champion").predict([1.0]))
    tell("loaded by version", mlflow.pyfunc.load_model("models:/scorer/1").predict([2.0]))
    tell("aliased", seen_model(client.get_registered_model("scorer")))
    client.delete_registered_model_alias("scorer", "challenger-2")
    client.delete_registered_model_alias("scorer", "never")
    tell("copied", seen_version(client.copy_model_version("models:/scorer@champion", "copied")))
    tell("copied again", seen_version(client.copy_model_version("models:/scorer/3", "copied")))
    tell("copy of a copy", seen_version(client.copy_model_version("models:/copied/1", "scorer")))
    tell("copied from", [client.get_model_version_download_uri("copied", n) for n in ("1", "2")])
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tell("staged", seen_version(client.transition_model_version_stage("scorer", "1", "staging")))
        tell("staged", seen_version(client.transition_model_version_stage("scorer", "2", "Production")))
        tell("archives", seen_version(client.transition_model_version_stage("scorer", "3", "PRODUCTION", archive_existing_versions=True)))
        tell("no stage", attempt(lambda: client.transition_model_version_stage("scorer", "3", "nowhere")))
        tell("latest", sorted(int(v.version) for v in client.get_latest_versions("scorer")))
        tell("latest of", [sorted(int(v.version) for v in client.get_latest_versions("scorer", stages=s))
                           for s in (["Production"], ["none", "Staging"], ["archived"])])
        tell("loaded by stage", mlflow.pyfunc.load_model("models:/scorer/Staging").predict([3.0]))
    tell("stages", seen_model(client.get_registered_model("scorer")))
    client.delete_model_version("scorer", "2")
    tell("deleted version", [attempt(lambda: client.get_model_version("scorer", "2")),
                             attempt(lambda: client.delete_model_version("scorer", "2")),
                             attempt(lambda: client.get_model_version_by_alias("scorer", "champion")),
                             sorted(int(v.version) for v in client.search_model_versions("name = 'scorer'"))])
    tell("numbers are not given again", seen_version(client.create_model_version("scorer", "s3://bucket/models/next")))
    client.rename_registered_model("scorer", "renamed scorer")
    tell("renamed", seen_model(client.get_registered_model("renamed scorer")))
    tell("renamed onto another", attempt(lambda: client.rename_registered_model("renamed scorer", "copied")))
    tell("old name", attempt(lambda: client.get_registered_model("scorer")))
    tell("new name", sorted((seen_version(v) for v in client.search_model_versions("name = 'renamed scorer'")), key=lambda v: v["version"]))
    client.delete_registered_model("copied")
    tell("deleted model", [attempt(lambda: client.get_registered_model("copied")),
                           attempt(lambda: client.delete_registered_model("copied")),
                           attempt(lambda: client.get_model_version("copied", "1"))])
    tell("from one again", seen_version(mlflow.register_model(made.model_uri, "copied")))
    tell("all models", [seen_model(m) for m in client.search_registered_models()])


def fill_models(uri, rng):
    """Models to search among, a moment apart so that times tell them apart."""
    client = MlflowClient(tracking_uri=uri)
    for number_ in range(14):
        name = f"{rng.choice(['Ab', 'ab', 'b_d', 'b%d', 'x'])}-{number_:02}"
        client.create_registered_model(name, tags={key: rng.choice(WORDS) for key in ("color", "a b") if rng.random() < 0.6})
        for _ in range(rng.choice([0, 1, 3, 4])):
            time.sleep(0.003)
            source = f"s3://bucket/{rng.choice(['one', 'Two', 't_ree'])}"
            tags = {key: rng.choice(WORDS) for key in ("color", "x.y") if rng.random() < 0.5}
            made = client.create_model_version(name, source, run_id=rng.choice("abc") * 32, tags=tags)
            if rng.random() < 0.15:
                client.delete_model_version(name, made.version)
        time.sleep(0.003)


def generated_for_models(rng, count):
    """What to search, filters and orders of models and of versions."""
    def quoted(word):
        return f'"{word}"' if "'" in word or rng.random() < 0.3 else f"'{word}'"

    def comparison(versions):
        kind = rng.randrange(6 if versions else 4)
        if kind == 0:
            word = quoted(rng.choice(["Ab-0%", "ab%", "b_d-01", "B_D%", "%-1_", "x-13", "zz"]))
            return f"{rng.choice(['name', 'attribute.name'])} {rng.choice(['=', '!=', 'LIKE', 'ILIKE'])} {word}"
        if kind == 1:
            return f"name {rng.choice(['IN', 'NOT IN'])} ('x-01', 'Ab-00', 'ab-05')"
        if kind == 2:
            key = rng.choice(["tags.color", "tag.`a b`", "tags.x.y", "tags.none"])
            return f"{key} {rng.choice(['=', '!=', 'LIKE', 'ILIKE'])} {quoted(rng.choice(WORDS + ['r%', '%e']))}"
        if kind == 3:
            return rng.choice(["tags.`mlflow.prompt.is_prompt` = 'true'", "tags.`mlflow.prompt.is_prompt` != 'true'",
                               "tags.`mlflow.prompt.is_prompt` = 'false'", "nothing = 'x'", "name = x", "name > 'x'",
                               "tags.color > 'x'", "name = 'x-01' OR name = 'y'", "params.x = '1'", "name"])
        if kind == 4:
            sign = rng.choice(["=", "!=", "<", "<=", ">", ">="])
            return f"version_number {sign} {rng.choice(['1', '2', '3', chr(39) + '2' + chr(39), '1.5'])}"
        return rng.choice([f"run_id = '{'a' * 32}'", f"run_id IN ('{'a' * 32}', '{'b' * 32}')", "run_id LIKE 'b%'",
                           "source_path = 's3://bucket/one'", "source_path ILIKE '%TWO'", "source_path LIKE '%t_ree'",
                           "source_path IN ('a')", "version_number LIKE '1'", "creation_timestamp > 1"])

    for _ in range(count):
        versions = rng.random() < 0.6
        text = " AND ".join(comparison(versions) for _ in range(rng.choice([0, 1, 1, 2])))
        orders = [[], [], ["name"], ["name DESC"], ["last_updated_timestamp DESC"], ["last_updated_timestamp", "name DESC"]]
        orders += ([["version_number ASC", "name"], ["creation_timestamp DESC"], ["name ASC", "version_number ASC"], ["run_id"]]
                   if versions else [["timestamp"], ["creation_timestamp"]])
        yield versions, text, rng.choice(orders)


def searched_models(uri, versions, text, order, size):
    client = MlflowClient(tracking_uri=uri)
    search = client.search_model_versions if versions else client.search_registered_models
    names, token = [], None
    try:
        while True:
            page = search(text, max_results=size, order_by=order, page_token=token)
            names.append([f"{one.name}/{one.version}" if versions else seen_model(one) for one in page])
            token = page.token
            if not token or len(names) > 60:
                return names
    except MlflowException as error:
        return {"error": error.error_code}


WORDS = ["red", "Red", "blue", "b_ue", "b%e", "it's", "gr*en", "[a]", "", "ünder"]


def fill(uri, rng):
    """Runs to search among: the same ones on every server."""
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("searched")
    for number_ in range(60):
        start = 1_000 + number_ * 7 % 61
        tags = {key: rng.choice(WORDS) for key in ("color", "a b", "x.y") if rng.random() < 0.6}
        run = client.create_run(experiment, start_time=start, run_name=f"run-{number_:02}", tags=tags)
        metrics = [Metric(key, rng.choice([0.0, 1.0, -1.5, 0.5, float("nan"), float("inf"), 1e-9, 3.0]), 1, 0)
                   for key in ("m", "acc/val", "z") if rng.random() < 0.7]
        params = [Param(key, rng.choice([word for word in WORDS if word])) for key in ("p", "q r") if rng.random() < 0.6]
        client.log_batch(run.info.run_id, metrics=metrics, params=params)
        if rng.random() < 0.4:
            dataset = Dataset(rng.choice(["loans", "cards"]), rng.choice(["d1", "d2"]), "local", "x")
            tags = [InputTag("mlflow.data.context", rng.choice(["train", "test"]))] if rng.random() < 0.7 else []
            client.log_inputs(run.info.run_id, [DatasetInput(dataset, tags)])
        if rng.random() < 0.5:
            client.set_terminated(run.info.run_id, rng.choice(["FINISHED", "FAILED", "KILLED"]), end_time=start + 5)
        if rng.random() < 0.1:
            client.delete_run(run.info.run_id)
    return experiment


def generated(rng, count):
    """Filters with orders, nearly all of them good."""
    def quoted(word):
        return f'"{word}"' if "'" in word or rng.random() < 0.3 else f"'{word}'"

    def text_value():
        return quoted(rng.choice(WORDS + ["r%", "%e", "_ed", "%R%", "zzz"]))

    def comparison():
        kind = rng.randrange(8)
        if kind == 0:
            key = rng.choice(["metrics.m", "metric.`acc/val`", 'metrics."z"', "metrics.none"])
            return f"{key} {rng.choice(['>', '>=', '<', '<=', '=', '!='])} {rng.choice(['0', '1', '-1.5', '.5', '1e-9', '2.'])}"
        if kind == 1:
            key = rng.choice(["params.p", "param.`q r`", "parameters.none", 'parameter."p"'])
            return f"{key} {rng.choice(['=', '!=', 'LIKE', 'ILIKE', 'like'])} {text_value()}"
        if kind == 2:
            key = rng.choice(["tags.color", "tag.`a b`", "tags.x.y", 'tags."none"'])
            return f"{key} {rng.choice(['=', '!=', 'LIKE', 'ILIKE', 'ilike'])} {text_value()}"
        if kind == 3:
            key = rng.choice(["tags.color", "tag.`a b`", "params.p", "params.none"])
            return f"{key} {rng.choice(['IS NULL', 'IS NOT NULL', 'is null'])}"
        if kind == 4:
            key = rng.choice(["start_time", "attributes.start_time", "end_time", "attr.end_time", "created"])
            return f"{key} {rng.choice(['>', '>=', '<', '<=', '=', '!='])} {rng.choice(['1030', '1005', '1030.5', '0'])}"
        if kind == 5:
            key = rng.choice(["status", "attribute.status", "run_name", "attributes.`run name`", "run.user_id"])
            value = quoted(rng.choice(["FINISHED", "RUNNING", "run-1_", "run-%", "RUN-0%", "%5"]))
            return f"{key} {rng.choice(['=', '!=', 'LIKE', 'ILIKE'])} {value}"
        if kind == 6:
            key = rng.choice(["dataset.name", "datasets.digest", "dataset.context"])
            if rng.random() < 0.4:
                return f"{key} {rng.choice(['IN', 'NOT IN'])} ({', '.join(quoted(w) for w in rng.sample(['loans', 'd1', 'train', 'cards'], 2))})"
            return f"{key} {rng.choice(['=', '!=', 'LIKE', 'ILIKE'])} {quoted(rng.choice(['loans', 'd1', 'train', 'T%', 'C%']))}"
        return rng.choice(["metrics.m > 'x'", "params.p = 1", "params.p = bare", "tags.color = `back`", "nonsense.x = 1",
                           "attributes.nothing = 'x'", "metrics.m LIKE 'x'", "params.p > 'x'", "status IS NULL",
                           "dataset.size = 'x'", "metrics.m = 1 OR metrics.m = 2", "metrics.m", "run_id IN ()",
                           "run_id IN ('a', 'b')", "status IN ('FINISHED', 'FAILED')", "metrics.m == 1",
                           "start_time = 'x'", "params.p = ('a')", "tags.color NOT LIKE 'x'", "(metrics.m = 1)"])

    orders = ["metrics.m", "metrics.m DESC", "metrics.`acc/val` ASC", "params.p", "params.`q r` DESC", "tags.color",
              "tag.`a b` DESC", "start_time", "start_time DESC", "end_time", "attributes.end_time DESC", "status",
              "attribute.run_name DESC", "created ASC", "metrics.none", "dataset.name", "metrics.m sideways", "nothing"]
    for _ in range(count):
        text = " AND ".join(comparison() for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3])))
        order = rng.sample(orders[:15], rng.choice([0, 1, 1, 2, 3])) if rng.random() < 0.95 else [rng.choice(orders)]
        if len({one.split()[0] for one in order if "start" not in one and "created" not in one}) == len(order) or len(order) < 2:
            yield text, order


def searched(uri, experiment, text, order, size, pages=60):
    """The names of all pages, or of the first so many, or the error."""
    client = MlflowClient(tracking_uri=uri)
    names, token = [], None
    try:
        while True:
            page = client.search_runs([experiment], text, ViewType.ALL, size, order, token)
            names.append([run.info.run_name for run in page])
            token = page.token
            if not token or len(names) >= pages:
                return names
    except MlflowException as error:
        return {"error": error.error_code, "message": normal_message(str(error))}


def normal_message(message):
    message = message.split(": ", 1)[-1] if re.match(r"^[A-Z_]+: ", message) else message
    message = re.sub(r" \(at character \d+\)$", "", message)
    message = re.sub(r"\{[^{}]*\}'?", lambda found: "{" + ", ".join(sorted(re.findall(r"'([^']*)'", found[0]))) + "}", message)
    return message.split(" Error: (sqlite3")[0]


def call(uri, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if data is not None else {}
    request = urllib.request.Request(uri + path, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        try:
            return error.code, json.loads(text)
        except ValueError:
            return error.code, {}


def in_order(answer):
    """Lists that have no order sorted, tokens hidden."""
    if isinstance(answer, dict):
        return {key: "TOKEN" if key == "next_page_token" else in_order(value) for key, value in answer.items()}
    if isinstance(answer, list):
        items = [in_order(item) for item in answer]
        keyed = all(isinstance(item, dict) and set(item) == {"key", "value"} for item in items)
        # The newest of each stage: in no order.
        numbered = all(isinstance(item, dict) and "current_stage" in item for item in items)
        return sorted(items, key=lambda item: item["key" if keyed else "version"]) if keyed or numbered else items
    return answer


def raw(uri, experiment):
    """Calls as they stand on the wire, mistakes above all."""
    _, made = call(uri, "POST", API + "/runs/create", {"experiment_id": experiment, "start_time": "12", "run_name": "raw"})
    run = made["run"]["info"]["run_id"]
    calls = [("POST", "/runs/create", {"experiment_id": experiment, "run_name": "a", "tags": [{"key": "mlflow.runName", "value": "b"}]}),
             ("POST", "/runs/create", {"experiment_id": "999"}), ("POST", "/runs/create", {"experiment_id": "x"}),
             ("POST", "/runs/create", {"experiment_id": experiment, "start_time": "soon"}),
             ("GET", "/runs/get", None), ("GET", "/runs/get?run_id=zz", None), ("GET", f"/runs/get?run_id={run}", None),
             ("GET", f"/runs/get?run_uuid={run}&unknown=1", None),
             ("POST", "/runs/update", {"run_id": run, "status": "NOPE", "end_time": "9"}),
             ("POST", "/runs/update", {"run_id": run, "end_time": "x"}), ("POST", "/runs/update", {"status": "FAILED"}),
             ("POST", "/runs/delete-tag", {"run_id": run, "key": "zz"}), ("POST", "/runs/set-tag", {"run_id": run, "key": "zz"}),
             ("POST", "/runs/set-tag", {"run_id": run, "key": "k" * 251, "value": "1"}),
             ("POST", "/runs/set-tag", {"run_id": run, "key": "k?", "value": "1"}),
             ("POST", "/runs/log-parameter", {"run_id": run, "key": "p" * 251, "value": "1"}),
             ("POST", "/runs/log-parameter", {"run_id": run, "key": "a//b", "value": "1"}),
             ("POST", "/runs/log-parameter", {"run_id": run, "key": "p"}), ("POST", "/runs/log-parameter", {"run_id": run}),
             ("POST", "/runs/log-parameter", {"run_id": run, "key": "p", "value": "2"}),
             ("POST", "/runs/log-metric", {"run_id": run, "key": "m", "value": "abc", "timestamp": 1}),
             ("POST", "/runs/log-metric", {"run_id": run, "key": "m", "timestamp": 1}),
             ("POST", "/runs/log-metric", {"run_id": run, "key": "m", "value": 1}),
             ("POST", "/runs/log-metric", {"run_id": run, "key": "../m", "value": 1, "timestamp": 1}),
             ("POST", "/runs/log-metric", {"run_id": run, "key": "m" * 251, "value": 1, "timestamp": 1}),
             ("POST", "/runs/log-metric", {"run_id": run, "key": "m", "value": 1, "timestamp": -1}),
             ("POST", "/runs/log-metric", {"run_id": run, "key": "m", "value": "1.5", "timestamp": "7", "step": 2.0}),
             ("POST", "/runs/log-metric", {"run_id": run, "key": "m", "value": True, "timestamp": 1}),
             ("POST", "/runs/log-batch", {"run_id": run, "params": [{"key": "q", "value": "2"}] * 2}),
             ("POST", "/runs/log-batch", {"run_id": run, "params": [{"key": f"q{i}", "value": "2"} for i in range(101)]}),
             ("POST", "/runs/log-batch", {"run_id": run, "tags": [{"key": f"q{i}", "value": "2"} for i in range(101)]}),
             ("POST", "/runs/log-batch", {"run_id": run, "metrics": [{"key": "a", "value": 1, "timestamp": 1}] * 1001}),
             ("POST", "/runs/log-batch", {"run_id": run, "metrics": [{"key": "q", "timestamp": 2}]}),
             ("POST", "/runs/log-batch", {"run_id": run, "metrics": 5}), ("POST", "/runs/log-batch", {"run_id": "??"}),
             ("POST", "/runs/log-batch", {"metrics": []}), ("POST", "/runs/log-batch", {"run_id": "f" * 32}),
             ("POST", "/runs/search", {"experiment_ids": [experiment], "max_results": 50001}),
             ("POST", "/runs/search", {"experiment_ids": [experiment], "max_results": 0}),
             ("POST", "/runs/search", {"experiment_ids": ["x"]}), ("POST", "/runs/search", {}),
             ("POST", "/runs/search", {"experiment_ids": 5}), ("POST", "/runs/search", {"experiment_ids": [experiment], "filter": 5}),
             ("POST", "/experiments/create", {"name": 5}), ("POST", "/experiments/create", {}),
             ("POST", "/experiments/create", {"name": ""}), ("POST", "/experiments/create", {"name": "n" * 501}),
             ("POST", "/experiments/create", {"name": "searched"}),
             ("GET", "/experiments/get", None), ("GET", "/experiments/get?experiment_id=999", None),
             ("GET", "/experiments/get?experiment_id=x", None), ("GET", "/experiments/get-by-name?experiment_name=zz", None),
             ("POST", "/experiments/search", {}), ("POST", "/experiments/search", {"max_results": 50001}),
             ("GET", "/experiments/search?max_results=2&view_type=ALL&order_by=name", None),
             ("GET", "/experiments/search?max_results=2&filter=nonsense%20%3D%201", None),
             ("POST", "/experiments/update", {"experiment_id": experiment}),
             ("POST", "/experiments/delete", {"experiment_id": "999"}), ("POST", "/experiments/restore", {"experiment_id": experiment}),
             ("POST", "/experiments/set-experiment-tag", {"experiment_id": experiment, "key": "k" * 251, "value": "1"}),
             ("POST", "/experiments/set-experiment-tag", {"experiment_id": experiment, "key": "k", "value": "1" * 20001}),
             ("GET", f"/metrics/get-history?run_id={run}&metric_key=m", None),
             ("GET", f"/metrics/get-history?run_id={run}&metric_key=m&max_results=0", None),
             ("GET", "/metrics/get-history?run_id=nope&metric_key=m", None), ("GET", "/metrics/get-history", None),
             ("GET", f"/metrics/get-history-bulk-interval?run_ids={run}&metric_key=m&start_step=5", None),
             ("GET", f"/metrics/get-history-bulk-interval?run_ids={run}&metric_key=m&start_step=5&end_step=1", None),
             ("GET", f"/metrics/get-history-bulk-interval?run_ids={run}&metric_key=m&max_results=2501", None),
             ("GET", f"/metrics/get-history-bulk-interval?run_ids={run}&metric_key=m", None),
             ("GET", f"/artifacts/list?run_id={run}", None), ("GET", f"/artifacts/list?run_id={run}&path=../x", None),
             ("POST", "/runs/log-model", {"run_id": run, "model_json": "{"}),
             ("POST", "/runs/log-inputs", {"run_id": "f" * 32, "datasets": []})]
    versions = "/model-versions/"
    models = "/registered-models/"
    calls += [("POST", models + "create", {"name": "wire", "tags": [{"key": "a", "value": "1"}], "description": ""}),
              ("POST", models + "create", {"name": "wire"}), ("POST", models + "create", {}), ("POST", models + "create", {"name": 5}),
              ("POST", models + "create", {"name": "x", "tags": [{"key": "k" * 251, "value": "1"}]}),
              ("POST", models + "create", {"name": "x", "tags": [{"key": "k", "value": "1" * 100001}]}),
              ("GET", models + "get?name=wire", None), ("GET", models + "get?name=nope", None), ("GET", models + "get", None),
              ("PATCH", models + "update", {"name": "wire", "description": "new"}), ("PATCH", models + "update", {"name": "nope"}),
              ("POST", models + "rename", {"name": "nope", "new_name": "x"}), ("POST", models + "rename", {"name": "wire"}),
              ("POST", models + "rename", {"name": "wire", "new_name": "a/b"}),
              ("DELETE", models + "delete", {"name": "nope"}), ("DELETE", models + "delete", {}),
              ("POST", versions + "create", {"name": "wire", "source": "s3://b/a"}),
              ("POST", versions + "create", {"name": "wire"}), ("POST", versions + "create", {"source": "s3://b/a"}),
              ("POST", versions + "create", {"name": "nope", "source": "s3://b/a"}),
              ("POST", versions + "create", {"name": "wire", "source": "/etc"}),
              ("POST", versions + "create", {"name": "wire", "source": "runs:/x/y", "run_id": "z"}),
              ("POST", versions + "create", {"name": "wire", "source": "models:/wire/1", "run_id": "z"}),
              ("POST", versions + "create", {"name": "wire", "source": "models:/wire/1"}),
              ("GET", versions + "get?name=wire&version=1", None), ("GET", versions + "get?name=wire&version=9", None),
              ("GET", versions + "get?name=wire&version=x", None), ("GET", versions + "get?name=wire", None),
              ("GET", versions + "get?name=nope&version=1", None), ("GET", versions + "get?name=wire&version=-1", None),
              ("GET", versions + "get-download-uri?name=wire&version=2", None),
              ("PATCH", versions + "update", {"name": "wire", "version": "1", "description": "d"}),
              ("POST", versions + "transition-stage", {"name": "wire", "version": "1", "stage": "x"}),
              ("POST", versions + "transition-stage", {"name": "wire", "version": "1", "stage": "production", "archive_existing_versions": False}),
              ("POST", versions + "set-tag", {"name": "wire", "version": "1", "key": "k"}),
              ("POST", versions + "set-tag", {"name": "wire", "version": "1"}),
              ("POST", versions + "set-tag", {"name": "wire", "version": 1, "key": "k", "value": "v"}),
              ("DELETE", versions + "delete-tag", {"name": "wire", "version": "1", "key": "never"}),
              ("POST", models + "alias", {"name": "wire", "alias": "champion", "version": "1"}),
              ("POST", models + "alias", {"name": "wire", "alias": "champion", "version": "7"}),
              ("POST", models + "alias", {"name": "wire", "alias": "latest", "version": "1"}),
              ("POST", models + "alias", {"name": "wire", "alias": "a" * 256, "version": "1"}),
              ("POST", models + "alias", {"name": "wire", "version": "1"}),
              ("GET", models + "alias?name=wire&alias=champion", None), ("GET", models + "alias?name=wire&alias=no", None),
              ("GET", models + "alias?name=nope&alias=champion", None), ("GET", models + "get?name=wire", None),
              ("GET", models + "get-latest-versions?name=wire", None), ("POST", models + "get-latest-versions", {"name": "wire", "stages": ["None"]}),
              ("POST", models + "get-latest-versions", {"name": "wire", "stages": ["what"]}),
              ("GET", models + "get-latest-versions?name=nope", None),
              ("GET", models + "search?filter=name%3D%27wire%27", None), ("GET", models + "search?max_results=1001", None),
              ("GET", models + "search?filter=name%3D%27none%27", None),
              ("GET", versions + "search?filter=name%3D%27wire%27", None), ("GET", versions + "search?max_results=200001", None),
              ("DELETE", models + "alias", {"name": "wire", "alias": "champion"}), ("DELETE", models + "alias", {"name": "wire", "alias": "champion"}),
              ("DELETE", versions + "delete", {"name": "wire", "version": "1"}), ("DELETE", versions + "delete", {"name": "wire", "version": "1"}),
              ("DELETE", models + "delete", {"name": "wire"}), ("GET", models + "get?name=wire", None)]
    names = Names()
    names.hide(run)
    for method, path, body in calls:
        status, answer = call(uri, method, API + path, body)
        if status >= 400:
            answer = {"code": answer.get("error_code"), "message": normal_message(answer.get("message", ""))}
        answer = in_order(answer)
        yield f"{method} {names.hide(path)} {names.hide(json.dumps(body))[:120]}", names.hide(json.dumps([status, answer], sort_keys=True))


def files(uri, experiment):
    """Files as browsers and resuming clients fetch them, and what MLflow's pages ask for besides."""
    ajax = "/ajax-api/2.0/mlflow"
    _, made = call(uri, "POST", API + "/runs/create", {"experiment_id": experiment})
    run = made["run"]["info"]["run_id"]

    def exchange(method, path, data=None, **headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(uri + path, data=data, method=method, headers=names)
        try:
            answer = urllib.request.urlopen(request)
        except urllib.error.HTTPError as error:
            answer = error
        body = answer.read()
        return answer.status, body, answer.headers

    content = bytes(range(256)) * 1000
    for path, data in [("a/b.bin", content), ("über größe.txt", "größe".encode()), ("page.html", b"<script>alert(1)</script>"),
                       ("huge.bin", b"x" * (10 * 1024 * 1024 + 1)), ("../x", b"x"), ("a/../../x", b"x"), ("", b"x"), ("none", b"")]:
        status, body, _ = exchange("POST", f"{ajax}/upload-artifact?run_uuid={run}&path={urllib.parse.quote(path)}", data,
                                   Content_Type="application/octet-stream")
        yield f"upload {path}", [status, json.loads(body)["message"] if status == 400 and body else len(body)]
    for query in (f"run_uuid={'f' * 32}&path=x", "path=x", f"run_uuid={run}"):
        yield f"upload to {query[:9]}", exchange("POST", f"{ajax}/upload-artifact?{query}", b"x", Content_Type="application/octet-stream")[0]
    get = f"/get-artifact?run_uuid={run}&path="
    for path in ("a/b.bin", "über größe.txt"):
        status, body, headers = exchange("GET", get + urllib.parse.quote(path))
        yield f"get {path}", [status, len(body), headers["content-type"].split(";")[0], headers["content-disposition"].split(";")[0],
                              headers["x-content-type-options"], headers["accept-ranges"]]
    for part in ("bytes=0-0", "bytes=10-19", "bytes=255990-", "bytes=-7", "bytes=0-999999", "bytes=256000-", "bytes=999999-1000000"):
        status, body, headers = exchange("GET", get + "a/b.bin", Range=part)
        yield f"part {part}", [status, body.hex()[:64] if status == 206 else None, headers["content-range"],
                               headers["content-length"] if status == 206 else None]
    for part in ("bytes=0-9", "bytes=99-"):
        for meant in ("same", "other"):
            mark = exchange("GET", get + "a/b.bin")[2]["etag"] if meant == "same" else '"other"'
            status, body, _ = exchange("GET", get + "a/b.bin", Range=part, If_Range=mark)
            yield f"part {part} if {meant}", [status, len(body)]
    for path in ("a", "nothing", "../x", "..%2f..%2fetc/passwd", "/etc/passwd", "%2e%2e/x", "a/%252e%252e/x", "c:/x"):
        status, _, _ = exchange("GET", get + path)
        # That there is no such file MLflow answers with 500 and its own path of it.
        yield f"get {path}", status if path != "nothing" else 404
    name = f"filed {run}"
    call(uri, "POST", API + "/registered-models/create", {"name": name})
    source = f"{made['run']['info']['artifact_uri']}/a"
    call(uri, "POST", API + "/model-versions/create", {"name": name, "source": source, "run_id": run})
    of_version = f"/model-versions/get-artifact?name={urllib.parse.quote(name)}&version="
    yield "of a version", [len(exchange("GET", of_version + "1&path=b.bin")[1])]
    yield "of none", [exchange("GET", of_version + "9&path=b.bin")[0], exchange("GET", of_version + "1&path=../b.bin")[0]]
    yield "a part of a version's", exchange("GET", of_version + "1&path=b.bin", Range="bytes=5-8")[1].hex()
    _, logged = call(uri, "POST", API + "/logged-models", {"experiment_id": experiment, "name": "m", "source_run_id": run})
    info = logged["model"]["info"]
    folder = info["artifact_uri"].split(":/", 1)[1].strip("/")
    exchange("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{folder}/deep/MLmodel", b"flavors: {}")
    of_model = f"{ajax}/logged-models/{info['model_id']}/artifacts/files"
    yield "of a model", exchange("GET", f"{of_model}?artifact_file_path=deep/MLmodel")[1].decode()
    yield "of no model", [exchange("GET", f"{ajax}/logged-models/m-{'0' * 32}/artifacts/files?artifact_file_path=x")[0],
                          exchange("GET", of_model)[0], exchange("GET", f"{of_model}?artifact_file_path=../x")[0]]

    def dataset(dataset, *contexts):
        tags = [{"key": "mlflow.data.context", "value": context} for context in contexts]
        return {"dataset": {"name": dataset, "digest": "d" + dataset, "source_type": "local", "source": "x"}, "tags": tags}

    _, other = call(uri, "POST", API + "/experiments/create", {"name": f"data {run}"})
    for inputs in ([dataset("b", "training"), dataset("a")], [dataset("b", "training")], [dataset("b", "evaluation")]):
        _, one = call(uri, "POST", API + "/runs/create", {"experiment_id": other["experiment_id"]})
        call(uri, "POST", API + "/runs/log-inputs", {"run_id": one["run"]["info"]["run_id"], "datasets": inputs})
    for ids in ([other["experiment_id"]], [other["experiment_id"], experiment, "0"], ["98765"], [], ["1"] * 21, None):
        status, answer = call(uri, "POST", ajax + "/experiments/search-datasets", {"experiment_ids": ids})
        # In no order there.
        found = sorted(json.dumps(one, sort_keys=True) for one in answer.get("dataset_summaries", []))
        yield f"data sets {ids}"[:40], [status, found if status == 200 else answer.get("message")]


# Where Karat means to differ, and why: (what the step or call begins with, reason).
KNOWN = [
    ("POST /experiments/create {\"name\": \"searched\"}", "MLflow's message ends in its database's own words; ours says what to do"),
]


def sampled(uri, experiment):
    _, made = call(uri, "POST", API + "/runs/create", {"experiment_id": experiment})
    run = made["run"]["info"]["run_id"]
    for begin in range(0, 3000, 1000):
        metrics = [{"key": "m", "value": "NaN" if i % 7 == 0 else i, "timestamp": i, "step": i // 3} for i in range(begin, begin + 1000)]
        call(uri, "POST", API + "/runs/log-batch", {"run_id": run, "metrics": metrics})
    for query in ("max_results=1", "max_results=2", "max_results=10", "max_results=320", "", "max_results=7&start_step=100&end_step=300",
                  "max_results=2500&start_step=5&end_step=9"):
        _, answer = call(uri, "GET", f"{API}/metrics/get-history-bulk-interval?run_ids={run}&metric_key=m&{query}")
        yield query, [(m["value"], m["timestamp"], m["step"]) for m in answer.get("metrics", [])]


def main(karat):
    process, reference = start_reference()
    try:
        differences, compared = [], 0

        def compare(what, ours, theirs):
            nonlocal compared
            compared += 1
            if ours != theirs and not any(what.startswith(known) for known, _ in KNOWN):
                differences.append({"what": what, "karat": ours, "mlflow": theirs})

        ours, theirs = ([(what, names.hide(json.dumps(value, sort_keys=True, default=str)))
                         for what, value in whole_story(uri)]
                        for uri, names in ((karat, Names()), (reference, Names())))
        for (what, mine), (_, other) in zip(ours, theirs, strict=True):
            compare(what, mine, other)
        # The two servers work at the same time: theirs takes most of it.
        with ThreadPoolExecutor(2) as both:
            experiments = list(both.map(lambda uri: fill(uri, random.Random(7)), (karat, reference)))
            rng = random.Random(11)
            refused = 0
            for text, order in generated(rng, 300):
                size = rng.choice([15, 40, 1000])
                ours, theirs = both.map(lambda at: searched(*at, text, order, size), zip((karat, reference), experiments))
                refused += isinstance(theirs, dict)
                # Of several mistakes each names the one it meets first.
                if " AND " in text and isinstance(ours, dict) and isinstance(theirs, dict):
                    ours, theirs = ours["error"], theirs["error"]
                compare(f"filter {text} {order} {size}", ours, theirs)
            list(both.map(lambda uri: fill_models(uri, random.Random(3)), (karat, reference)))
            for versions, text, order in generated_for_models(rng, 150):
                size = rng.choice([2, 7, 100])
                ours, theirs = both.map(lambda at: searched_models(at, versions, text, order, size), (karat, reference))
                refused += isinstance(theirs, dict)
                compare(f"{'versions' if versions else 'models'} {text} {order} {size}", ours, theirs)
        for (what, mine), (_, other) in zip(raw(karat, experiments[0]), raw(reference, experiments[1]), strict=True):
            compare(what, mine, other)
        for (what, mine), (_, other) in zip(files(karat, experiments[0]), files(reference, experiments[1]), strict=True):
            compare(f"files {what.split(' filed ')[0]}", mine, other)
        for (what, mine), (_, other) in zip(sampled(karat, experiments[0]), sampled(reference, experiments[1]), strict=True):
            compare(f"sampled {what}", mine, other)
        print(json.dumps({"compared": compared, "refused": refused, "known": len(KNOWN), "differences": differences}))
    finally:
        end_reference(process)


if __name__ == "__main__":
    main("http://" + sys.argv[1])
