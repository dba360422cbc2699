"""Webhooks of MLflow's own client, against Karat and against MLflow's own server: the same calls, the same deliveries, each
signed as MLflow's own code signs it.

    python mlflow_webhooks.py KARAT_ADDRESS PORT

Receives at PORT, starts `mlflow server` in the working directory, and prints as JSON what was compared and what differs.
"""
import json
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

os.environ["MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS"] = "true"
os.environ["MLFLOW_WEBHOOK_ALLOWED_SCHEMES"] = "http,https"
os.environ["MLFLOW_WEBHOOK_CACHE_TTL"] = "0"

from mlflow_client import API, MlflowClient, attempt, call, end_reference, normal_message, start_reference

from mlflow.entities.webhook import WebhookEvent
from mlflow.webhooks.delivery import _generate_hmac_signature
from mlflow.webhooks.types import get_payload_class_for_event

SECRET = "not to be read back: größe"
EVENTS = ["registered_model.created", "model_version.created", "model_version_tag.set", "model_version_tag.deleted",
          "model_version_alias.created", "model_version_alias.deleted"]


class Receiver(BaseHTTPRequestHandler):
    received = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.received.append((self.path, dict(self.headers), body))
        status = 404 if self.path == "/missing" else 200
        said = b"nobody is here" if status == 404 else b"thanks"
        self.send_response(status)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *arguments):
        pass


def arrived(path, count):
    """What came to a path, once it is so much; a little longer, in case that it is more."""
    deadline = time.time() + 30
    while time.time() < deadline and sum(one[0] == path for one in Receiver.received) < count:
        time.sleep(0.05)
    time.sleep(1)
    return [one for one in Receiver.received if one[0] == path]


def checked(deliveries, secret):
    """Their contents, after MLflow's own code agrees with what signs them."""
    seen = []
    for _, headers, body in deliveries:
        headers = {name.lower(): value for name, value in headers.items()}
        delivery, at = headers["x-mlflow-delivery-id"], headers["x-mlflow-timestamp"]
        expected = _generate_hmac_signature(secret, delivery, at, body) if secret else None
        assert headers.get("x-mlflow-signature") == expected, headers
        assert abs(time.time() - int(at)) < 60, headers
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", delivery), delivery
        said = json.loads(body)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00", said.pop("timestamp")), body
        payload = get_payload_class_for_event(WebhookEvent(said["entity"], said["action"]))
        assert set(said["data"]) == set(payload.__annotations__), said
        seen.append({"said": said, "type": headers["content-type"]})
    return sorted(seen, key=lambda one: json.dumps(one, sort_keys=True))


def seen_webhook(webhook):
    return {"name": webhook.name, "url": webhook.url, "description": webhook.description, "status": str(webhook.status),
            "events": sorted(str(event) for event in webhook.events), "times": webhook.creation_timestamp > 0}


def story(uri, base, who):
    told = []
    client = MlflowClient(tracking_uri=uri)
    at = f"{base}/{who}"
    made = client.create_webhook("all.of-it", at, EVENTS, description="told of everything", secret=SECRET)
    told.append(("created", [seen_webhook(made), made.secret]))
    client.create_webhook("unsigned", f"{at}-unsigned", ["model_version.created"])
    quiet = client.create_webhook("quiet", f"{at}-quiet", EVENTS, secret=SECRET, status="DISABLED")
    gone = client.create_webhook("gone", f"{at}-gone", EVENTS)
    missing = client.create_webhook("missing", f"{base}/missing", ["prompt.created", "budget_policy.exceeded"])
    told.append(("listed", sorted((seen_webhook(w) for w in client.list_webhooks()), key=lambda w: w["name"])))
    page = client.list_webhooks(max_results=2)
    rest = client.list_webhooks(max_results=3, page_token=page.token)
    told.append(("pages", [len(page), len(rest), not rest.token, len({w.webhook_id for w in [*page, *rest]})]))
    told.append(("got", seen_webhook(client.get_webhook(made.webhook_id))))
    told.append(("updated", [seen_webhook(client.update_webhook(gone.webhook_id, name="renamed", description="")),
                             seen_webhook(client.update_webhook(gone.webhook_id, events=["model_version.created"], url=f"{at}-moved"))]))
    client.delete_webhook(gone.webhook_id)
    told.append(("deleted", [attempt(lambda: client.get_webhook(gone.webhook_id)), attempt(lambda: client.delete_webhook(gone.webhook_id))]))
    for webhook, event in [(made, None), (made, "model_version_alias.deleted"), (missing, None), (missing, "budget_policy.exceeded"), (quiet, None)]:
        result = client.test_webhook(webhook.webhook_id, event)
        told.append((f"tried {webhook.name} {event}", [result.success, result.response_status, result.response_body, result.error_message]))
    told.append(("examples", [checked(arrived(f"/{who}", 2), SECRET), checked(arrived(f"/{who}-quiet", 1), SECRET)]))

    before = len(Receiver.received)
    client.create_registered_model("told", tags={"a": "1"}, description="of")
    client.create_registered_model("told plainly")
    client.create_model_version("told", "s3://bucket/a", run_id="0" * 32, tags={"b": "2"}, description="one")
    client.create_model_version("told", "s3://bucket/b")
    client.set_model_version_tag("told", "1", "k", "größe")
    client.delete_model_version_tag("told", "1", "k")
    client.set_registered_model_tag("told", "not", "told")
    client.set_registered_model_alias("told", "champion", "1")
    client.set_registered_model_alias("told", "champion", "2")
    client.delete_registered_model_alias("told", "champion")
    del Receiver.received[:before]
    told.append(("deliveries", checked(arrived(f"/{who}", 9), SECRET)))
    told.append(("unsigned", checked(arrived(f"/{who}-unsigned", 2), "")))
    told.append(("none", [len(arrived(f"/{who}-quiet", 0)), len(arrived(f"/{who}-moved", 0)), len(arrived("/missing", 0))]))
    client.update_webhook(quiet.webhook_id, status="ACTIVE", secret="another")
    client.set_model_version_tag("told", "2", "k", "later")
    told.append(("awake", checked(arrived(f"/{who}-quiet", 1), "another")))

    def event(entity, action):
        return {"entity": entity, "action": action}

    created = event("MODEL_VERSION", "CREATED")
    good = {"name": "a", "url": at, "events": [created]}
    calls = [("POST", "", dict(good, name=name)) for name in ("", "-a", "a-", "a b", "a" * 64, "a" * 63, "ä")]
    calls += [("POST", "", dict(good, events=events)) for events in ([], [event("MODEL_VERSION", "DELETED")],
                                                                     [event("MODEL_VERSION_TAG", "CREATED")])]
    calls += [("POST", "", dict(good, **more)) for more in ({"status": "DISABLED"}, {"url": ""}, {"description": 5})]
    calls += [("GET", "?max_results=1001", None), ("GET", "?max_results=-1", None), ("GET", "/nothing", None),
              ("PATCH", "/nothing", {"name": "x"}), ("DELETE", "/nothing", {}), ("POST", "/nothing/test", {}),
              ("PATCH", f"/{quiet.webhook_id}", {"name": "a/b"}), ("PATCH", f"/{quiet.webhook_id}", {}),
              ("GET", f"/{quiet.webhook_id}", None)]
    for method, path, body in calls:
        status, answer = call(uri, method, f"{API}/webhooks{path}", body)
        if status >= 400:
            answer = {"code": answer.get("error_code"), "message": normal_message(answer.get("message", ""))}
        else:
            assert "secret" not in json.dumps(answer), answer
            for name in ("webhook_id", "creation_timestamp", "last_updated_timestamp"):
                assert answer["webhook"].pop(name), answer
        path = path.replace(quiet.webhook_id, "ID")
        told.append((f"{method} {path} {json.dumps(body)[:100]}", json.dumps([status, answer], sort_keys=True)))
    return [(what, json.loads(json.dumps(value).replace(f"/{who}", "/WHO"))) for what, value in told]


def main(karat, port):
    server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    process, reference = start_reference()
    base = f"http://127.0.0.1:{port}"
    try:
        ours, theirs = story(karat, base, "karat"), story(reference, base, "mlflow")
        differences = [{"what": what, "karat": mine, "mlflow": other}
                       for (what, mine), (_, other) in zip(ours, theirs, strict=True) if mine != other]
        print(json.dumps({"compared": len(ours), "differences": differences}))
    finally:
        end_reference(process)


if __name__ == "__main__":
    main("http://" + sys.argv[1], int(sys.argv[2]))
