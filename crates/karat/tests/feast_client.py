"""What Feast's SDK gets from a server at ADDRESS: `feast_client.py ADDRESS`, in an empty folder. The last line is JSON."""

import json
import sys
from pathlib import Path

from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Array, Bool, Float64, Int64, String, UnixTimestamp

address = sys.argv[1]
Path("events.parquet").touch()
store = FeatureStore(
    config=RepoConfig(
        project="feasting",
        provider="local",
        registry="registry.db",
        online_store={"type": "remote", "path": f"http://{address}"},
        entity_key_serialization_version=3,
    )
)
client = Entity(name="client", join_keys=["client_id"], value_type=ValueType.INT64)
employer = Entity(name="employer", join_keys=["employer_id"], value_type=ValueType.STRING)


def view(name: str, entities=(client,), **fields) -> FeatureView:
    keys = {"client": Field(name="client_id", dtype=Int64), "employer": Field(name="employer_id", dtype=String)}
    source = FileSource(name=f"{name}_source", path="events.parquet", timestamp_field="at")
    schema = [keys[entity.name] for entity in entities]
    schema += [Field(name=field, dtype=dtype) for field, dtype in fields.items()]
    return FeatureView(name=name, entities=list(entities), schema=schema, source=source, ttl=None)


spending = view(
    "spending",
    nb=Int64,
    mean_amount=Float64,
    last_amount=Float64,
    last_kind=String,
    last_fraud=Bool,
    last_day=UnixTimestamp,
    last_at=UnixTimestamp,
    nonsense=Int64,
)
kinds = view("kinds", kinds=Int64)
recent = view(
    "recent",
    amounts=Array(Float64),
    numbers=Array(Int64),
    kinds=Array(String),
    frauds=Array(Bool),
    times=Array(UnixTimestamp),
    days=Array(UnixTimestamp),
    holes=Array(Float64),
)
jobs = view("jobs", entities=(client, employer), nb_there=Int64, last_there=Float64)
absent = view("absent", nb=Int64)
screening = FeatureService(name="screening", features=[kinds, spending[["nb", "last_kind"]]])
store.apply([client, employer, spending, kinds, recent, jobs, absent, screening])


def read(features, clients, **options) -> dict:
    rows = [{"client_id": client} for client in clients]
    return store.get_online_features(features=features, entity_rows=rows, **options).to_dict()


def failure(features) -> dict:
    try:
        return {"class": "none", "message": str(read(features, [1]))}
    except Exception as error:
        return {"class": type(error).__name__, "message": str(error)}


def read_of_two() -> dict:
    rows = [{"client_id": client, "employer_id": employer} for client in (1, 2) for employer in ("mill", "mine")]
    features = ["spending:nb", "jobs:nb_there", "jobs:last_there"]
    return store.get_online_features(features=features, entity_rows=rows).to_dict()


lists = ["amounts", "numbers", "kinds", "frauds", "times", "days"]
wanted = ["nb", "mean_amount", "last_amount", "last_kind", "last_fraud", "last_day", "last_at"]
print(
    json.dumps(
        {
            "by_reference": read([f"spending:{name}" for name in wanted], [1, 2, 77]),
            "by_service": read(store.get_feature_service("screening"), [2], full_feature_names=True),
            "of_two_entities": read_of_two(),
            "lists": read([f"recent:{name}" for name in lists], [1, 2, 77]),
            "list_with_null": failure(["recent:holes"]),
            "unknown_view": failure(["absent:nb"]),
            "unknown_feature": failure(["spending:nonsense"]),
        }
    )
)
