"""What Feast's SDK writes to a server at ADDRESS and reads back, beside its own SQLite store: `feast_writer.py ADDRESS`, in an
empty folder. The last line is JSON."""

import json
import sys
from datetime import datetime, timezone
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, PushSource, RepoConfig, ValueType
from feast.data_source import PushMode
from feast.types import Bool, Float64, Int64, String, UnixTimestamp

Path("events.parquet").touch()
FIELDS = {
    "phone": String,
    "income": Float64,
    "dependants": Int64,
    "verified": Bool,
    "seen": UnixTimestamp,
}


def opened(name: str, online: dict) -> FeatureStore:
    config = RepoConfig(
        project="writing",
        provider="local",
        registry=f"{name}.db",
        online_store=online,
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    client = Entity(name="client", join_keys=["client_id"], value_type=ValueType.INT64)
    files = FileSource(name="contacts_files", path="events.parquet", timestamp_field="at")
    contacts = PushSource(name="contacts", batch_source=files)
    schema = [Field(name="client_id", dtype=Int64)] + [Field(name=field, dtype=dtype) for field, dtype in FIELDS.items()]
    computed = [Field(name="client_id", dtype=Int64), Field(name="nb", dtype=Int64)]
    views = [
        FeatureView(name="contact", entities=[client], schema=schema, source=contacts, ttl=None),
        FeatureView(name="contacts_made", entities=[client], schema=computed, source=files, ttl=None),
    ]
    store.apply([client, contacts, *views])
    return store


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2024, 1, day, hour, tzinfo=timezone.utc)


def rows(**columns) -> pd.DataFrame:
    return pd.DataFrame(columns)


def play(store: FeatureStore) -> dict:
    store.push(
        "contacts",
        rows(
            client_id=[1, 2],
            at=[at(5), at(6, 3)],
            phone=["+55 11", "+55 21"],
            income=[1000.5, 0.25],
            dependants=[0, 3],
            verified=[True, False],
            seen=[at(4), at(5, 7)],
        ),
        to=PushMode.ONLINE,
    )
    read = store.get_online_features(
        features=[f"contact:{name}" for name in FIELDS], entity_rows=[{"client_id": client} for client in (1, 2)]
    )
    # Its own stores give times as such, its remote store as the seconds that came over HTTP.
    seconds = lambda value: int(value.timestamp()) if isinstance(value, datetime) else value
    first = {name: [seconds(value) for value in values] for name, values in read.to_dict().items()}
    later = rows(
        client_id=[2],
        at=[at(9)],
        phone=["+55 85"],
        income=[77.0],
        dependants=[4],
        verified=[True],
        seen=[at(8)],
    )
    store.write_to_online_store("contact", df=later)
    # Sent again, it changes nothing.
    store.write_to_online_store("contact", df=later)
    read = store.get_online_features(features=["contact:phone", "contact:dependants"], entity_rows=[{"client_id": 2}])
    return {"first": first, "later": read.to_dict()}


def failure(do) -> dict:
    try:
        return {"class": "none", "message": str(do())}
    except Exception as error:
        return {"class": type(error).__name__, "message": str(error)}


remote = opened("remote", {"type": "remote", "path": f"http://{sys.argv[1]}"})
told = {"karat": play(remote), "feast": play(opened("own", {"type": "sqlite", "path": "online.db"}))}
computed = rows(client_id=[1], at=[at(10)], nb=[3])
told["computed"] = failure(lambda: remote.write_to_online_store("contacts_made", df=computed))
print(json.dumps(told, default=str))
