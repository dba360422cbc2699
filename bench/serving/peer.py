"""What lenders build today: FastAPI, features in SQLite, a scikit-learn forest, every answer written down.

    python peer.py train SET.csv FOLDER      fits the forest on the training set, writes the features of each client
    python peer.py serve FOLDER PORT         one worker

The service does what Karat's endpoint does, as simply as it can be done well: one prepared SELECT by primary key, one
`predict_proba` of a single row, one INSERT into a log in WAL mode (which survives a killed process), one JSON answer.
"""

import json
import pickle
import sqlite3
import sys
import time
import uuid
from pathlib import Path

KEY, TIME, LABEL = "client_id", "as_of", "late"
TREES = 100
VALIDATION_AND_TEST_MONTHS = 12


def train(training_set: str, folder: str) -> None:
    import numpy
    import pandas
    from sklearn.ensemble import RandomForestClassifier

    rows = pandas.read_csv(training_set)
    names = [name for name in rows.columns if name not in (KEY, TIME, LABEL)]
    for name in names:
        if rows[name].dtype == bool or rows[name].dtype == object:
            rows[name] = rows[name].map({True: 1.0, False: 0.0, "true": 1.0, "false": 0.0, "True": 1.0, "False": 0.0})
    months = sorted(rows[TIME].unique())
    fitted = rows[rows[TIME] < months[-VALIDATION_AND_TEST_MONTHS]]
    forest = RandomForestClassifier(n_estimators=TREES, min_samples_leaf=20, n_jobs=-1, random_state=42)
    begun = time.time()
    forest.fit(fitted[names].to_numpy(dtype=numpy.float32), fitted[LABEL].map(lambda late: str(late).lower() in ("true", "1")))
    leaves = sum(tree.tree_.n_leaves for tree in forest.estimators_) / TREES
    print(f"forest: {len(fitted)} rows x {len(names)} features, {leaves:.0f} leaves a tree, {time.time() - begun:.0f} s", file=sys.stderr)
    # A single row is quickest without threads.
    forest.n_jobs = 1
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    (out / "forest.pickle").write_bytes(pickle.dumps((forest, names)))
    newest = rows.sort_values(TIME).groupby(KEY).tail(1)
    database = sqlite3.connect(out / "features.db")
    with database:
        database.execute("DROP TABLE IF EXISTS features")
        columns = ", ".join(f'"{name}" REAL' for name in names)
        database.execute(f"CREATE TABLE features ({KEY} INTEGER PRIMARY KEY, {columns})")
        marks = ", ".join("?" * (len(names) + 1))
        values = newest[[KEY, *names]].astype(object).where(newest[[KEY, *names]].notna(), None)
        database.executemany(f"INSERT INTO features VALUES ({marks})", values.itertuples(index=False, name=None))
    bodies = "".join(f'{{"key": {key}}}\n' for key in newest[KEY])
    (out / "bodies.txt").write_text(bodies)


def serve(folder: str, port: str) -> None:
    import numpy
    import shap
    import uvicorn
    from fastapi import FastAPI, HTTPException
    from pydantic import BaseModel

    forest, names = pickle.loads((Path(folder) / "forest.pickle").read_bytes())
    explainer = shap.TreeExplainer(forest)
    features = sqlite3.connect(Path(folder) / "features.db", check_same_thread=False)
    log = sqlite3.connect(Path(folder) / "log.db", check_same_thread=False, isolation_level=None)
    log.execute("PRAGMA journal_mode=WAL")
    log.execute("PRAGMA synchronous=NORMAL")
    log.execute("CREATE TABLE IF NOT EXISTS predictions (id TEXT PRIMARY KEY, at REAL, answer TEXT)")
    app = FastAPI()

    class Request(BaseModel):
        key: int
        reasons: str = "none"

    @app.post("/predict")
    async def predict(request: Request):
        row = features.execute(f"SELECT * FROM features WHERE {KEY} = ?", (request.key,)).fetchone()
        if row is None:
            raise HTTPException(404, "unknown client")
        values = numpy.array([row[1:]], dtype=numpy.float32)
        score = float(forest.predict_proba(values)[0, 1])
        answer = {"prediction_id": str(uuid.uuid4()), "key": request.key, "features": dict(zip(names, row[1:])), "score": score}
        if request.reasons == "all":
            contributions = explainer.shap_values(values, check_additivity=False)
            contributions = numpy.asarray(contributions).reshape(len(names), -1)[:, -1]
            strongest = numpy.argsort(-numpy.abs(contributions))[:4]
            answer["reasons"] = [{"feature": names[i], "contribution": float(contributions[i])} for i in strongest]
        log.execute("INSERT INTO predictions VALUES (?, ?, ?)", (answer["prediction_id"], time.time(), json.dumps(answer)))
        return answer

    @app.get("/ready")
    async def ready():
        return {}

    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["train", training_set, folder]:
            train(training_set, folder)
        case ["serve", folder, port]:
            serve(folder, port)
        case _:
            sys.exit(__doc__)
