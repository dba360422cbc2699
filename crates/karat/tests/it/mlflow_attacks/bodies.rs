use serde_json::json as value;

use super::victim::Victim;
use crate::mlflow::project;
use crate::support::{Server, json};

#[test]
fn malformed_bodies_are_refused_and_change_nothing() {
    let project = project();
    let server = Server::start(project.path());
    let victim = Victim::new(&server);
    let before = victim.state();
    let deep = [&b"["[..]; 100_000].concat();
    let deep_object = b"{\"a\":".repeat(20_000);
    let broken: [&[u8]; 14] = [
        b"{",
        b"}",
        b"\0",
        b"{\"name\": \"\xff\xfe\"}",
        b"{\"name\": \"\\ud800\"}",
        b"{'name': 'x'}",
        b"name=x",
        b"{\"name\": \"x\"} {}",
        b"{\"name\": NaN}",
        b"{\"name\": \"x\",}",
        b"\xef\xbb\xbf{",
        b"[1, 2",
        &deep,
        &deep_object,
    ];
    for (method, path, right) in victim.calls() {
        for body in broken {
            victim.refused(method, &path, body);
        }
        let mut cut = right.to_string().into_bytes();
        cut.truncate(cut.len() - 1);
        victim.refused(method, &path, &cut);
        // Every field of a kind that it has not: what is a text is no list, and the other way round.
        for (name, field) in right.as_object().unwrap() {
            let other = if field.is_array() { value!({"a": 1}) } else { value!([{"a": [1]}]) };
            let mut wrong = right.clone();
            wrong[name] = other;
            // An unknown word for a view or a flag is passed over by MLflow, too.
            if !["run_view_type", "view_type", "order_by", "stages", "status", "archive_existing_versions"]
                .contains(&name.as_str())
            {
                victim.refused(method, &path, wrong.to_string().as_bytes());
            }
        }
        assert_eq!(victim.state(), before, "{method} {path}");
    }
    assert_eq!(json(project.path(), &["audit", "verify"])["intact"], true);
}
