"""What MLflow's client sees of a server before and after it moved into Karat.

    python mlflow_import.py fill RUNS          a server's database and artifacts in the working directory: reference.db,
                                               reference-artifacts; one that was used without a server: local.db, mlruns
    python mlflow_import.py many RUNS          a server's database with so many runs that are searched, and a few deep ones
    python mlflow_import.py searches ADDRESS   what is found among them there, beside what that server finds
    python mlflow_import.py compare ADDRESS    what Karat answers there beside what that server answers
    python mlflow_import.py local ADDRESS      the same for local.db; ids of experiments may be others
    python mlflow_import.py serve              starts that server, prints where, and ends it when stdin ends
    python mlflow_import.py postgres URI       reference.db in an empty PostgreSQL database
    python mlflow_import.py old                old.db, as an older MLflow would have left it
    python mlflow_import.py dump FILE TABLE…   a digest of each table's rows

Prints JSON.
"""
import filecmp
import hashlib
import json
import os
import random
import shutil
import sqlite3
import sys
import tempfile

from mlflow_client import (Dataset, DatasetInput, InputTag, Metric, MlflowClient, Param, ViewType, attempt, end_reference, fill,
                           fill_models, generated, generated_for_models, mlflow, number, searched, searched_models, seen_experiment,
                           seen_model, seen_run, seen_version, start_reference, whole_story)


def fill_server(runs):
    process, uri = start_reference()
    try:
        whole_story(uri)
        fill(uri, random.Random(7))
        fill_models(uri, random.Random(3))
        deep(uri, runs)
    finally:
        end_reference(process)
    mlflow.set_tracking_uri("sqlite:///local.db")
    used_without_server(MlflowClient(tracking_uri="sqlite:///local.db"))
    print(json.dumps({"filled": True}))


def fill_many(wanted):
    """Runs told to a server, then copied in its database, each under an id, a name and a time of its own."""
    process, uri = start_reference()
    try:
        experiment = fill(uri, random.Random(7))
        deep(uri, 20)
    finally:
        end_reference(process)
    base = sqlite3.connect("reference.db")
    base.create_function("copied", 2, lambda id, copy: hashlib.md5(f"{id}/{copy}".encode()).hexdigest(), deterministic=True)
    runs = base.execute("SELECT COUNT(*) FROM runs WHERE experiment_id = ?", (experiment,)).fetchone()[0]
    ours = "(SELECT run_uuid FROM runs WHERE experiment_id = :experiment AND name NOT LIKE '%+%')"
    changed = {"run_uuid": "copied(run_uuid, :copy)", "destination_id": "copied(destination_id, :copy)", "input_uuid": "copied(input_uuid, :copy)",
               "start_time": "start_time + :copy", "artifact_uri": "replace(artifact_uri, run_uuid, copied(run_uuid, :copy))"}
    tables = {"runs": f"run_uuid IN {ours}", "metrics": f"run_uuid IN {ours}", "latest_metrics": f"run_uuid IN {ours}", "params": f"run_uuid IN {ours}",
              "tags": f"run_uuid IN {ours}", "inputs": f"destination_id IN {ours}",
              "input_tags": f"input_uuid IN (SELECT input_uuid FROM inputs WHERE destination_id IN {ours})"}
    for copy in range(1, -(-wanted // runs)):
        for table, which in tables.items():
            columns = [row[1] for row in base.execute(f"PRAGMA table_info({table})")]
            named = {"runs": {"name": "name || '+' || :copy"},
                     "tags": {"value": "CASE WHEN key = 'mlflow.runName' THEN value || '+' || :copy ELSE value END"}}.get(table, {})
            values = ", ".join((changed | named).get(column, f'"{column}"') for column in columns)
            base.execute(f"INSERT INTO {table} SELECT {values} FROM {table} WHERE {which}", {"experiment": experiment, "copy": copy})
    base.commit()
    print(json.dumps({"runs": base.execute("SELECT COUNT(*) FROM runs").fetchone()[0]}))


def searches(karat):
    process, reference = start_reference()
    comparison, rng, found = Comparison(), random.Random(11), 0
    try:
        experiment = MlflowClient(tracking_uri=karat).get_experiment_by_name("searched").experiment_id
        for text, order in generated(rng, 40):
            size = rng.choice([50, 1000])
            mine, others = (searched(uri, experiment, text, order, size, pages=3) for uri in (karat, reference))
            if isinstance(others, dict):
                mine, others = mine["error"], others["error"]
            else:
                found += sum(map(len, others))
            comparison.see(f"filter {text} {order}", mine, others)
        comparison.done(found=found)
    finally:
        end_reference(process)


def to_postgres(uri):
    """MLflow's own schema there, and each row of reference.db in it."""
    import sqlalchemy
    from mlflow.store.db.utils import _initialize_tables

    here, there = sqlalchemy.create_engine("sqlite:///reference.db"), sqlalchemy.create_engine(uri)
    _initialize_tables(there)
    tables = sqlalchemy.MetaData()
    tables.reflect(there)
    copied = 0
    with here.connect() as source, there.begin() as target:
        target.execute(sqlalchemy.text("SET session_replication_role = replica"))
        for table in tables.sorted_tables:
            target.execute(table.delete())
            types = {column.name: column.type for column in table.columns}
            rows = source.execute(sqlalchemy.text(f'SELECT * FROM "{table.name}"')).mappings()
            # SQLite has no truth values.
            true = lambda name, value: bool(value) if isinstance(types[name], sqlalchemy.Boolean) and value is not None else value
            rows = [{name: true(name, value) for name, value in row.items()} for row in rows]
            if rows:
                target.execute(table.insert(), rows)
            copied += len(rows)
    print(json.dumps({"copied": copied}))


def serve():
    process, uri = start_reference()
    print(json.dumps({"uri": uri}), flush=True)
    sys.stdin.read()
    end_reference(process)


def deep(uri, runs):
    """Many runs, long histories, deleted ones."""
    client = MlflowClient(tracking_uri=uri)
    rng = random.Random(5)
    experiment = client.create_experiment("deep", tags={"team": "über"})
    for at in range(runs):
        run = client.create_run(experiment, start_time=1000 + at, run_name=f"deep-{at}", tags={"n": str(at), "empty": ""})
        run_id = run.info.run_id
        points = [Metric(rng.choice("abc"), rng.choice([step / 7, -0.0, 1e300, float("nan"), float("-inf")]), 10**12 + step, step)
                  for step in range(rng.choice([0, 1, 40]))]
        client.log_batch(run_id, metrics=points, params=[Param(f"p{key}", "x" * rng.choice([1, 500])) for key in range(3)])
        if at % 50 == 0:
            client.log_inputs(run_id, [DatasetInput(Dataset("d", str(at), "local", "{}"), [InputTag("mlflow.data.context", "eval")])])
        if at % 9 == 0:
            client.set_terminated(run_id, "FAILED", end_time=5000)
        if at % 17 == 0:
            client.delete_run(run_id)
    long = client.create_run(experiment, run_name="long")
    for begin in range(0, 23_000, 1000):
        client.log_batch(long.info.run_id, metrics=[Metric("loss", 1 / (step + 1), step, step) for step in range(begin, begin + 1000)])
    gone = client.create_experiment("gone with its runs")
    client.create_run(gone, run_name="gone")
    client.delete_experiment(gone)


def used_without_server(client):
    """As a script on a laptop does: files in ./mlruns."""
    for name in ("first", "second"):
        experiment = client.create_experiment(name)
        run = client.create_run(experiment, run_name=f"of {name}")
        client.log_text(run.info.run_id, f"text of {name}", "notes/a b.txt")
        client.log_metric(run.info.run_id, "m", 1.5)
    client.create_registered_model("local model")
    client.create_model_version("local model", run.info.artifact_uri + "/notes", run_id=run.info.run_id)
    client.set_registered_model_alias("local model", "champion", "1")


class Comparison:
    def __init__(self):
        self.compared, self.differences = 0, []

    def see(self, what, ours, theirs):
        self.compared += 1
        ours, theirs = (json.dumps(value, sort_keys=True, default=str) for value in (ours, theirs))
        if ours != theirs:
            self.differences.append({"what": what, "karat": ours[:2000], "mlflow": theirs[:2000]})

    def done(self, **more):
        print(json.dumps({"compared": self.compared, "differences": self.differences, **more}))


def whole_run(client, run):
    histories = {key: sorted(((number(m.value), m.timestamp, m.step) for m in client.get_metric_history(run.info.run_id, key)), key=str)
                 for key in run.data.metrics}
    models = [sorted((m.model_id, getattr(m, "step", 0)) for m in kind)
              for kind in (run.inputs.model_inputs or [], run.outputs.model_outputs if run.outputs else [])]
    return {**seen_run(run), "histories": histories, "models": models}


def runs_of(client, experiment):
    found, token = [], None
    while True:
        page = client.search_runs([experiment], run_view_type=ViewType.ALL, max_results=500, page_token=token)
        found += page
        token = page.token
        if not token:
            return {run.info.run_id: run for run in found}


def same_files(ours, theirs, fetch):
    """The names below, and whether every byte is the same."""
    with tempfile.TemporaryDirectory() as folder:
        trees = []
        for uri, name in ((ours, "ours"), (theirs, "theirs")):
            path = os.path.join(folder, name)
            os.mkdir(path)
            fetch(uri, path)
            trees.append(sorted(os.path.relpath(os.path.join(at, file), path) for at, _, files in os.walk(path) for file in files))
        _, different, failed = filecmp.cmpfiles(os.path.join(folder, "ours"), os.path.join(folder, "theirs"), trees[1], shallow=False)
        return trees, different + failed


def compare_files(comparison, what, ours, theirs, fetch):
    trees, different = same_files(ours, theirs, fetch)
    comparison.see(f"names of files of {what}", trees[0], trees[1])
    comparison.see(f"bytes of files of {what}", different, [])
    return len(trees[1])


def fetch_model(uri, model_id, to):
    mlflow.set_tracking_uri(uri)
    mlflow.artifacts.download_artifacts(f"models:/{model_id}", dst_path=to)


def compare(karat):
    process, reference = start_reference()
    comparison, files, points = Comparison(), 0, 0
    try:
        ours, theirs = (MlflowClient(tracking_uri=uri) for uri in (karat, reference))

        def experiments(client):
            return {e.experiment_id: {**seen_experiment(e), "created": e.creation_time, "updated": e.last_update_time}
                    for e in client.search_experiments(ViewType.ALL, max_results=1000)}
        comparison.see("experiments", experiments(ours), experiments(theirs))
        for experiment, seen in experiments(theirs).items():
            mine, others = runs_of(ours, experiment), runs_of(theirs, experiment)
            comparison.see(f"run ids of {seen['name']}", list(mine), list(others))
            for run_id, run in others.items():
                whole = whole_run(theirs, run)
                points += sum(len(history) for history in whole["histories"].values())
                comparison.see(f"run {run.info.run_name}", whole_run(ours, mine[run_id]), whole)
                if theirs.list_artifacts(run_id) or ours.list_artifacts(run_id):
                    files += compare_files(comparison, f"run {run.info.run_name}", ours, theirs,
                                           lambda client, to: client.download_artifacts(run_id, "", to))
            if seen["stage"] == "active":
                logged = [{m.model_id: logged_model(m) for m in client.search_logged_models([experiment])} for client in (ours, theirs)]
                comparison.see(f"logged models of {seen['name']}", *logged)
                for model_id in logged[1]:
                    files += compare_files(comparison, f"logged model {model_id}", karat, reference,
                                           lambda uri, to: fetch_model(uri, model_id, to))
        searched_one = ours.get_experiment_by_name("searched").experiment_id
        rng = random.Random(13)
        for text, order in generated(rng, 80):
            size = rng.choice([15, 1000])
            mine, others = (searched(uri, searched_one, text, order, size) for uri in (karat, reference))
            if isinstance(others, dict):
                mine, others = mine["error"], others["error"]
            comparison.see(f"filter {text} {order}", mine, others)
        for versions, text, order in generated_for_models(rng, 40):
            mine, others = (searched_models(uri, versions, text, order, 100) for uri in (karat, reference))
            comparison.see(f"models {versions} {text} {order}", mine, others)
        compare_models(comparison, ours, theirs)
        # The next number is one that no deleted version had.
        comparison.see("next", *[int(client.create_model_version("renamed scorer", "s3://bucket/next").version) for client in (ours, theirs)])
        comparison.done(files=files, points=points)
    finally:
        end_reference(process)


def logged_model(model):
    return {"name": model.name, "status": str(model.status), "artifacts": model.artifact_location, "run": model.source_run_id,
            "type": model.model_type, "params": model.params, "tags": model.tags, "created": model.creation_timestamp,
            "updated": model.last_updated_timestamp,
            "metrics": sorted(((m.key, number(m.value), m.timestamp, m.step, m.run_id, m.dataset_name, m.dataset_digest)
                                for m in model.metrics), key=str)}


def compare_models(comparison, ours, theirs):
    for client_models in theirs.search_registered_models(max_results=500):
        name = client_models.name
        mine, others = (client.get_registered_model(name) for client in (ours, theirs))
        times = [(m.creation_timestamp, m.last_updated_timestamp) for m in (mine, others)]
        comparison.see(f"model {name}", [seen_model(mine), times[0]], [seen_model(others), times[1]])
        versions = [sorted(([seen_version(v), v.creation_timestamp, v.last_updated_timestamp]
                            for v in client.search_model_versions(f"name = '{name}'")), key=str) for client in (ours, theirs)]
        comparison.see(f"versions of {name}", *versions)
        for alias in others.aliases:
            comparison.see(f"{name}@{alias}", *[seen_version(client.get_model_version_by_alias(name, alias)) for client in (ours, theirs)])
        for version, _, _ in versions[1]:
            uris = [attempt(lambda: client.get_model_version_download_uri(name, version["version"])) for client in (ours, theirs)]
            comparison.see(f"files of {name}/{version['version']}", *uris)


def local(karat):
    comparison = Comparison()
    ours, theirs = MlflowClient(tracking_uri=karat), MlflowClient(tracking_uri="sqlite:///local.db")
    ids = {}
    for experiment in theirs.search_experiments(ViewType.ALL):
        mine = ours.get_experiment_by_name(experiment.name)
        ids[experiment.name] = [experiment.experiment_id, mine.experiment_id]
        for run_id, run in runs_of(theirs, experiment.experiment_id).items():
            seen = [whole_run(client, client.get_run(run_id)) for client in (ours, theirs)]
            comparison.see("behind our server", seen[0]["artifacts"], f"mlflow-artifacts:/{mine.experiment_id}/{run_id}/artifacts")
            for one in seen:
                del one["artifacts"], one["experiment"]
            comparison.see(f"run {run.info.run_name}", *seen)
            compare_files(comparison, f"run {run.info.run_name}", ours, theirs, lambda client, to: client.download_artifacts(run_id, "", to))
    version = ours.get_model_version_by_alias("local model", "champion")
    mlflow.set_tracking_uri(karat)
    text = mlflow.artifacts.download_artifacts(version.source + "/a b.txt")
    comparison.see("version", open(text).read(), "text of second")
    comparison.done(ids=ids)


def old():
    shutil.copy("reference.db", "old.db")
    base = sqlite3.connect("old.db")
    for table in ("input_tags", "inputs", "datasets", "logged_model_params", "logged_model_tags", "logged_model_metrics",
                  "logged_models", "registered_model_aliases", "experiment_tags"):
        base.execute(f"DROP TABLE {table}")
    for table, column in (("runs", "deleted_time"), ("model_versions", "storage_location"), ("model_versions", "run_link"),
                          ("experiments", "creation_time")):
        for (index,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE ?", (f"%({column}%",)).fetchall():
            base.execute(f"DROP INDEX {index}")
        for (index,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE ?", (f"%, {column})%",)).fetchall():
            base.execute(f"DROP INDEX {index}")
        base.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    base.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    base.commit()
    print(json.dumps({"runs": base.execute("SELECT COUNT(*) FROM runs").fetchone()[0]}))


# When something was done here, and in which order, is no part of what was taken over.
LOCAL = (("alias_moves", "at"), ("datasets", "id"), ("run_inputs", "dataset_id"), ("runs", "revision"))


def dump(file, tables):
    base = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    digests = {}
    for table in tables:
        columns = [row[1] for row in base.execute(f"PRAGMA table_info({table})")]
        columns = [column for column in columns if (table, column) not in LOCAL]
        rows = sorted(repr(row) for row in base.execute(f"SELECT {', '.join(columns)} FROM {table}"))
        digests[table] = [len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest()]
    print(json.dumps(digests))


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    {"fill": lambda: fill_server(int(rest[0])), "many": lambda: fill_many(int(rest[0])), "searches": lambda: searches("http://" + rest[0]),
     "compare": lambda: compare("http://" + rest[0]), "old": old, "serve": serve,
     "local": lambda: local("http://" + rest[0]), "postgres": lambda: to_postgres(rest[0]), "dump": lambda: dump(rest[0], rest[1:])}[command]()
