-- Who is told of changes to registered models. `secret` signs what is sent; no answer holds it.
CREATE TABLE webhooks (
    webhook_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('ACTIVE', 'DISABLED')),
    creation_time_ms BIGINT NOT NULL,
    last_update_time_ms BIGINT NOT NULL
);

-- Of what: `model_version.created`.
CREATE TABLE webhook_events (
    webhook_id TEXT NOT NULL REFERENCES webhooks (webhook_id),
    event TEXT NOT NULL,
    PRIMARY KEY (webhook_id, event)
);

CREATE INDEX webhook_events_event ON webhook_events (event);

-- What is still to be sent, written in the transaction of the change. `due` is when it is tried next, in microseconds; a
-- row that is being sent is due again later, in case that nobody lives to tell.
CREATE TABLE webhook_deliveries (
    delivery_id TEXT NOT NULL PRIMARY KEY,
    webhook_id TEXT NOT NULL REFERENCES webhooks (webhook_id),
    event TEXT NOT NULL,
    body TEXT NOT NULL,
    due BIGINT NOT NULL,
    attempts BIGINT NOT NULL
);

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, due, delivery_id);
