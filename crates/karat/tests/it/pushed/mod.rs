//! Rows pushed while a server runs: in any order, any number of times, through kills and materializations, they are what
//! a file of them would have been.

mod events;
mod everywhere;
mod http;
mod killed;
mod sealing;

use std::path::Path;

use tempfile::TempDir;

use crate::small::put;

const EVENTS: &str = "delivery: append\nevent_id: id\n";
const CHANGES: &str = "delivery: changes\nkeys: [id]\ndeleted: removed\n";

/// What a source's rows come from besides pushes.
const PUSHED: &str = "push: true\n";

/// A project over one source of payments: how its rows are delivered, and how they come.
fn project(delivery: &str, from: &str) -> TempDir {
    project_with(delivery, from, "")
}

/// As [`project`], with more in the view's file.
fn project_with(delivery: &str, from: &str, view: &str) -> TempDir {
    let project = karat_test_support::temp_dir();
    let folder = project.path();
    put(folder, "karat.yaml", "name: pushed\n");
    put(folder, "entities/client.yaml", "kind: Entity\nname: client\nkey: client\ntype: int\n");
    put(folder, "entities/employer.yaml", "kind: Entity\nname: employer\nkeys: [town, firm]\ntype: text\n");
    let source = format!(
        "kind: Source\nname: payments\n{from}{delivery}columns: {{id: int, client: int, town: text, firm: text, at: \
         timestamp, known: timestamp, amount: float, late: bool, removed: bool}}\nprepare:\n  half: amount / 2\nevent_time: at\nknown_time: known\n\
         contract:\n  - {{check: range, column: amount, max: 1000000, action: fail}}\n  - {{check: range, column: amount, \
         min: -1000000, action: quarantine}}\n  - {{check: row_count, min: 100000, action: warn}}\n"
    );
    put(folder, "sources/payments.yaml", &source);
    for (name, of) in [("history", "entity: client"), ("jointly", "entities: [employer, client]")] {
        let view = format!(
            "kind: FeatureView\nname: {name}\n{of}\nsource: payments\n{view}features:\n  n: {{count: rows}}\n  total: {{sum: \
             amount}}\n  halves: {{sum: half}}\n  mean: {{mean: amount}}\n  share: {{share: late}}\n  newest: {{last: amount}}\n  \
             recent: {{count: rows, window: 10 days}}\n"
        );
        put(folder, &format!("features/{name}.yaml"), &view);
    }
    project
}

fn lines(folder: &Path, name: &str, rows: &[serde_json::Value]) {
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    put(folder, name, &text);
}
