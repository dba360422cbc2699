use indexmap::IndexMap;

use super::reader::{Fields, Reader};
use super::scalar::{at_least_one, length, name, size, text, whole};
use crate::spec::{ByteSize, Config, Engine, Secret, Server, Stores};
use crate::yaml::{Node, Shape};

pub(crate) fn config(reader: &mut Reader<'_>, node: &Node) -> Option<Config> {
    let mut fields = Fields::open(reader, node, "a project")?;
    let name = fields.required(reader, "name", name);
    let description = fields.optional(reader, "description", text);
    let stores = fields.optional(reader, "stores", stores).unwrap_or_default();
    let engine = fields.optional(reader, "engine", engine).unwrap_or_default();
    let server = fields.optional(reader, "server", server).unwrap_or_default();
    fields.close(reader);
    Some(Config { name: name?, description, stores, engine, server })
}

fn stores(reader: &mut Reader<'_>, node: &Node) -> Option<Stores> {
    let mut fields = Fields::open(reader, node, "`stores`")?;
    let metadata = fields.optional(reader, "metadata", metadata);
    let data = fields.optional(reader, "data", data);
    let artifacts = fields.optional(reader, "artifacts", artifacts);
    let default_artifact_root = fields.optional(reader, "default_artifact_root", |reader, node| {
        let root = text(reader, node)?;
        match root.split_once(':') {
            Some((scheme, rest)) if scheme.len() > 1 && !rest.trim_matches('/').is_empty() => Some(root),
            _ => reader.wrong(node, "a URI that clients write to, such as `s3://bucket/mlflow`"),
        }
    });
    let online = fields.optional(reader, "online", online);
    fields.close(reader);
    Some(Stores { metadata, data, artifacts, default_artifact_root, online })
}

fn metadata(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let expected = "expected `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`";
    store(reader, node, &["sqlite", "postgres", "postgresql"], expected)
}

fn data(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let uri = text(reader, node)?;
    match uri.split_once("://") {
        Some(("file", path)) if !path.is_empty() => Some(uri),
        _ => reader.wrong_with_help(node, "a `file://PATH`", "other stores come in a later version"),
    }
}

fn artifacts(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let uri = text(reader, node)?;
    match uri.split_once("://") {
        Some(("file" | "s3", place)) if !place.is_empty() => Some(uri),
        _ => reader.wrong_with_help(
            node,
            "a `file://PATH` or `s3://BUCKET/PREFIX`",
            "other stores are for `default_artifact_root`: clients write there themselves",
        ),
    }
}

fn online(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let expected = "expected `lmdb://PATH`, `redis://HOST:PORT/DATABASE` or, for TLS, `rediss://…`";
    store(reader, node, &["lmdb", "redis", "rediss"], expected)
}

fn store(reader: &mut Reader<'_>, node: &Node, schemes: &[&str], expected: &str) -> Option<String> {
    let uri = text(reader, node)?;
    match uri.split_once("://") {
        Some((scheme, rest)) if schemes.contains(&scheme) && !rest.is_empty() => Some(uri),
        // What stands there instead may hold a password, and is not repeated.
        _ => {
            reader.problem(node.span, expected);
            None
        }
    }
}

/// Less is too little to sort anything in.
const LEAST_MEMORY: ByteSize = ByteSize(16 << 20);

fn engine(reader: &mut Reader<'_>, node: &Node) -> Option<Engine> {
    let mut fields = Fields::open(reader, node, "`engine`")?;
    let memory = fields.optional(reader, "memory", |reader, node| {
        let memory = size(reader, node)?;
        if memory < LEAST_MEMORY {
            reader.problem(
                node.span,
                format!("`memory` is {memory}, and less than {LEAST_MEMORY} is too little to work in"),
            );
        }
        Some(memory)
    });
    fields.close(reader);
    Some(Engine { memory: memory.unwrap_or(Engine::default().memory) })
}

/// A token that can be guessed protects nothing.
const SHORTEST_TOKEN: usize = 16;

fn people(reader: &mut Reader<'_>, node: &Node) -> Option<IndexMap<String, Secret>> {
    let Shape::Map(entries) = &node.shape else {
        return reader.wrong(node, "a name and a token each, such as `rita: ${RITA_TOKEN}`");
    };
    let mut people: IndexMap<String, Secret> = IndexMap::new();
    for entry in entries {
        let Some(token) = text(reader, &entry.value) else { continue };
        // What stands there is not repeated.
        if token.len() < SHORTEST_TOKEN || token.contains(char::is_whitespace) {
            let message =
                format!("the token of `{}` needs at least {SHORTEST_TOKEN} characters, and no blanks", entry.key);
            reader.problem(entry.value.span, message);
        } else if let Some((other, _)) = people.iter().find(|(_, other)| other.reveal() == token) {
            let message = format!("`{}` and `{other}` have the same token: nobody could tell them apart", entry.key);
            reader.problem(entry.value.span, message);
        }
        people.insert(entry.key.clone(), Secret::new(token));
    }
    Some(people)
}

fn origins(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<String>> {
    let Shape::List(items) = &node.shape else {
        return reader.wrong(node, "a list of origins, such as `[http://hooks.bank:8080]`");
    };
    let origins = items.iter().filter_map(|item| origin(reader, item));
    Some(origins.collect())
}

fn origin(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let origin = text(reader, node)?;
    let host = origin.strip_prefix("http://").or(origin.strip_prefix("https://"));
    match host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '@', '?', '#', '*', ' '])) {
        true => Some(origin),
        false => reader.wrong(node, "scheme, host and port, such as `http://hooks.bank:8080`"),
    }
}

fn server(reader: &mut Reader<'_>, node: &Node) -> Option<Server> {
    let mut fields = Fields::open(reader, node, "`server`")?;
    let default = Server::default();
    let server = Server {
        host: fields.optional(reader, "host", text).unwrap_or(default.host),
        port: fields.optional(reader, "port", whole).unwrap_or(default.port),
        threads: fields.optional(reader, "threads", at_least_one),
        connections: fields.optional(reader, "connections", at_least_one).unwrap_or(default.connections),
        body: fields.optional(reader, "body", size).unwrap_or(default.body),
        header_timeout: fields.optional(reader, "header_timeout", length).unwrap_or(default.header_timeout),
        body_timeout: fields.optional(reader, "body_timeout", length).unwrap_or(default.body_timeout),
        drain_after: fields.optional(reader, "drain_after", length).unwrap_or(default.drain_after),
        drain_within: fields.optional(reader, "drain_within", length).unwrap_or(default.drain_within),
        people: fields.optional(reader, "people", people).unwrap_or_default(),
        webhook_origins: fields.optional(reader, "webhook_origins", origins).unwrap_or_default(),
    };
    fields.close(reader);
    Some(server)
}
