use karat_core::{ErrorKind, Name};
use karat_project::{Kind, Problems, Project, ResourceRef};

use crate::support::Folder;

fn resource(kind: Kind, name: &str) -> ResourceRef {
    ResourceRef::new(kind, Name::new(name).unwrap())
}

#[test]
fn later_stages_place_their_problems() {
    let folder = Folder::lending();
    let project = Project::load(folder.path(), None).unwrap();
    let payments = resource(Kind::Source, "payments");
    let place = |resource: &ResourceRef, path: &str| project.place(resource, path).unwrap().to_string();

    assert_eq!(place(&payments, "contract[0].column"), "sources/payments.yaml:18:31");
    assert_eq!(place(&payments, "contract[0].references"), "sources/payments.yaml:18:5");
    assert_eq!(place(&payments, "columns"), "sources/payments.yaml:5:1");
    assert_eq!(place(&resource(Kind::Source, "loans"), "sql"), "sources/loans.yaml:4:3");
    assert_eq!(
        place(&resource(Kind::FeatureView, "applicant"), "features.age.expression"),
        "features/applicant.yaml:6:21"
    );
    assert!(project.place(&resource(Kind::Source, "nothing"), "sql").is_none());

    let problem = project.problem(&payments, "contract[0].column", "no such column").with_help("look again");
    assert_eq!(
        serde_json::to_value(&problem).unwrap(),
        serde_json::json!({
            "file": "sources/payments.yaml", "line": 18, "column": 31,
            "message": "no such column", "help": "look again",
        })
    );
    let problems = Problems::of(vec![problem]).unwrap();
    assert_eq!(problems.kind(), ErrorKind::Invalid);
    assert_eq!(
        problems.to_string(),
        "a problem in the project: sources/payments.yaml:18:31: no such column (look again)"
    );
}

#[test]
fn each_of_several_windows_is_a_feature_with_a_place() {
    let folder = Folder::lending();
    folder.edit(
        "features/payment_history.yaml",
        "late_last_6: {count: rows, where: late, window: 6 months}",
        "late: {count: rows, where: late, windows: [6 months, 90 days], words: late payments}\n  late_last_6: {count: rows}",
    );
    let project = Project::load(folder.path(), None).unwrap();
    let view = &project.views()[&Name::new("payment_history").unwrap()];
    let names: Vec<&str> = view.features.keys().map(String::as_str).collect();
    assert_eq!(names[3..6], ["late_6_months", "late_90_days", "late_last_6"]);
    let written = |name: &str| serde_json::to_value(&view.features[name]).unwrap();
    assert_eq!(
        written("late_90_days"),
        serde_json::json!({"count": "rows", "where": "late", "window": "90 days", "words": "late payments (90 days)"})
    );
    // As if each stood in the file; its window is where the list has it.
    let place = |path: &str| project.place(&resource(Kind::FeatureView, "payment_history"), path).unwrap().to_string();
    assert_eq!(place("features.late_90_days.where"), "features/payment_history.yaml:11:30");
    assert_eq!(place("features.late_6_months.window"), "features/payment_history.yaml:11:46");
    assert_eq!(place("features.late_90_days.window"), "features/payment_history.yaml:11:56");
}

#[test]
fn problems_show_their_lines() {
    let folder = Folder::lending();
    folder.edit("sources/loans.yaml", "keys:", "kesy:");
    let problems = Project::load(folder.path(), None).unwrap_err();
    let mut rendered = String::new();
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor());
    handler.render_report(&mut rendered, &problems).unwrap();
    for piece in ["sources/loans.yaml:6:1", "kesy: [loan_id]", "unknown key `kesy`", "help: did you mean `keys`?"] {
        assert!(rendered.contains(piece), "{piece}\n{rendered}");
    }
}

#[test]
fn the_nearest_parent_with_a_config_is_the_project() {
    let folder = Folder::lending();
    let inside = folder.path().join("sources");
    assert_eq!(Project::find(&inside).unwrap(), folder.path());
    assert_eq!(Project::find(folder.path()).unwrap(), folder.path());
    assert_eq!(Project::find(Folder::empty().path()), None);
}

#[test]
fn environments_overlay_the_config() {
    let folder = Folder::lending();
    folder.write("environments/production.yaml", "server: {host: 0.0.0.0}\nstores:\n  online: lmdb:///srv/online\n");
    let project = Project::load(folder.path(), Some("production")).unwrap();
    let config = project.config();
    assert_eq!((config.server.host.as_str(), config.server.port), ("0.0.0.0", 8100));
    assert_eq!(config.stores.online.as_deref(), Some("lmdb:///srv/online"));
    assert_eq!(config.stores.metadata.as_deref(), Some("sqlite://.karat/metadata.db"));
    assert_eq!(Project::load(folder.path(), None).unwrap().config().server.host, "127.0.0.1");

    let unknown = Project::load(folder.path(), Some("prodution")).unwrap_err();
    assert_eq!(unknown.lines(), "no environment is called `prodution` (did you mean `production`?)");

    folder.write("environments/production.yaml", "sever: {}\n");
    let problems = Project::load(folder.path(), Some("production")).unwrap_err();
    assert!(
        problems.lines().starts_with("environments/production.yaml:1:1: unknown key `sever`"),
        "{}",
        problems.lines()
    );
}

#[test]
fn files_that_are_no_text_are_problems() {
    let folder = Folder::lending();
    folder.write("sources/latin.yaml", b"kind: Source\nname: caf\xe9\n");
    folder.write("models/huge.yaml", "#".repeat(2 << 20));
    let problems = Project::load(folder.path(), None).unwrap_err();
    assert_eq!(
        problems.lines(),
        "models/huge.yaml:1:1: the file is 2097152 bytes long; a resource file has at most 1048576\n\
         sources/latin.yaml:2:10: not UTF-8 text (save the file in UTF-8)"
    );
}

#[test]
fn what_an_unreadable_file_declares_is_not_missed() {
    let folder = Folder::lending();
    folder.write("models/credit_default.yaml", "kind: [");
    folder.write("sources/applications.yaml", b"\xff");
    let problems = Project::load(folder.path(), None).unwrap_err();
    assert_eq!(problems.count(), 2, "{}", problems.lines());
}

#[test]
fn a_byte_order_mark_is_no_content() {
    let folder = Folder::lending();
    let text = folder.read("entities/client.yaml");
    folder.write("entities/client.yaml", format!("\u{feff}{text}"));
    Project::load(folder.path(), None).unwrap();
}

#[test]
fn sources_come_after_what_they_are_made_of() {
    let folder = Folder::lending();
    let project = Project::load(folder.path(), None).unwrap();
    let names = |names: Vec<Name>| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    assert_eq!(
        project.sources().keys().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["applications", "loans", "payments"]
    );
    assert_eq!(names(project.upstream(&project.sources()["loans"])), ["applications", "payments"]);
    assert_eq!(names(project.upstream(&project.sources()["payments"])), ["applications"]);
    let ordered: Vec<&str> = project.sources_in_order().iter().map(|source| source.name.as_str()).collect();
    assert_eq!(ordered, ["applications", "payments", "loans"]);
}
