use karat_project::{Kind, ManifestError, Project};

use crate::support::Folder;

fn lending() -> (Folder, Project) {
    let folder = Folder::lending();
    let project = Project::load(folder.path(), None).unwrap();
    (folder, project)
}

#[test]
fn a_manifest_rebuilds_the_project() {
    let (folder, project) = lending();
    // Through text, as a database keeps it.
    let manifest: serde_json::Value = serde_json::from_str(&project.manifest().to_string()).unwrap();
    let rebuilt = Project::from_manifest(&manifest).unwrap();
    assert_eq!(rebuilt.sources(), project.sources());
    assert_eq!(rebuilt.entities(), project.entities());
    assert_eq!(rebuilt.views(), project.views());
    assert_eq!(rebuilt.models(), project.models());
    assert_eq!(rebuilt.endpoints(), project.endpoints());
    assert_eq!(rebuilt.digest(), project.digest());
    assert_eq!(rebuilt.resources(), project.resources());

    // Order, which comparing maps ignores, is meaning: of columns read, of features a model sees.
    for (name, source) in project.sources() {
        assert!(rebuilt.sources()[name].columns.keys().eq(source.columns.keys()));
        assert!(rebuilt.sources()[name].prepare.keys().eq(source.prepare.keys()));
    }
    for (name, view) in project.views() {
        assert!(rebuilt.views()[name].features.keys().eq(view.features.keys()));
    }

    let located = rebuilt.located(folder.path(), project.config().clone());
    assert_eq!((located.root(), located.config()), (project.root(), project.config()));
    let problem = located.problem(&located.resources()[0], "keys[0]", "gone");
    assert_eq!(problem.message, "source `applications`, `keys[0]`: gone");
}

#[test]
fn the_digest_follows_meaning_not_layout() {
    let (folder, project) = lending();
    let digest = project.digest();
    let reload = |folder: &Folder| Project::load(folder.path(), None).unwrap().digest();

    // Layout: comments, file names, spelling, where it runs.
    let text = folder.read("entities/client.yaml");
    folder.remove("entities/client.yaml");
    folder.write("entities/z/renamed.yml", format!("# a comment\n{text}type: int\n"));
    folder.edit("karat.yaml", "8100", "8200");
    folder.edit("sources/applications.yaml", "birthday: date", "birthday: {type: date}");
    let relaid = reload(&folder);
    folder.edit("sources/applications.yaml", "birthday: {type: date}", "birthday: date");
    assert_eq!(reload(&folder), digest);
    // A column's long form is another spec today, of the same meaning; digests of definitions do not see it.
    assert_ne!(relaid, digest);

    // Meaning, order of columns and features included.
    folder.edit(
        "sources/applications.yaml",
        "  birthday: date\n  job_start_date: date\n",
        "  job_start_date: date\n  birthday: date\n",
    );
    let reordered = reload(&folder);
    assert_ne!(reordered, digest);
    folder.edit("features/payment_history.yaml", "window: 6 months", "window: 5 months");
    assert_ne!(reload(&folder), reordered);
}

#[test]
fn manifests_have_a_stated_form() {
    let (_folder, project) = lending();
    let manifest = project.manifest();
    assert_eq!(manifest["format_version"], 1);
    assert_eq!(manifest["project"]["name"], "lending");
    assert_eq!(
        manifest["resources"]["Entity"]["client"],
        serde_json::json!({"name": "client", "key": "client_id", "type": "int"})
    );
    assert_eq!(manifest["resources"]["FeatureView"]["applicant"]["features"][0][0], "age");
    assert!(manifest.to_string().find("sqlite://").is_none());
    for resource in project.resources() {
        let kept = &manifest["resources"][resource.kind.as_str()][resource.name.as_str()];
        assert_eq!(&project.spec(&resource).unwrap(), kept);
    }
    // Feature services came later: a project without one has the digest it had.
    assert_eq!(Kind::ALL.len() - 1, manifest["resources"].as_object().unwrap().len());
}

#[test]
fn what_is_no_manifest_is_refused() {
    let (_folder, project) = lending();
    let mut newer = project.manifest();
    newer["format_version"] = 2.into();
    let error = Project::from_manifest(&newer).unwrap_err();
    assert!(matches!(error, ManifestError::Newer { format_version: 2 }));
    assert_eq!(error.to_string(), "the release is in format 2, and this version of Karat reads up to 1: update Karat");

    let mut spoiled = project.manifest();
    spoiled["resources"]["Model"]["credit_default"]["task"] = "guess".into();
    let error = Project::from_manifest(&spoiled).unwrap_err().to_string();
    assert!(
        error.starts_with("model `credit_default` of the release cannot be read: unknown variant `guess`"),
        "{error}"
    );
    assert!(Project::from_manifest(&serde_json::json!([])).is_err());
}

/// What a variable holds may be a secret: the Release keeps what it is called.
#[test]
fn variables_stay_references() {
    let folder = Folder::lending();
    let home = std::env::var("PATH").expect("every process has a PATH");
    folder.write(
        "sources/bureau.yaml",
        "kind: Source\nname: bureau\npostgres: {url: \"${PATH}\", table: a}\nkeys: [id]\ncolumns: {id: int}\n",
    );
    folder.write(
        "sources/files.yaml",
        "kind: Source\nname: files\npath: [\"${PATH}/a.csv\", b.csv]\ncolumns: {id: int}\n",
    );
    folder.write(
        "sources/printed.yaml",
        "kind: Source\nname: printed\ncommand: [echo, \"${PATH}\"]\nkeys: [id]\ncolumns: {id: int}\n",
    );
    let project = Project::load(folder.path(), None).unwrap();
    let manifest = project.manifest().to_string();
    assert_eq!(manifest.matches("${PATH}").count(), 3);
    assert!(!manifest.contains(&home));
    let rebuilt = Project::from_manifest(&project.manifest()).unwrap();
    assert_eq!(rebuilt.sources(), project.sources());
    // Where a store's URI is wrong, the message shows the reference too.
    folder.edit("karat.yaml", "metadata: sqlite://.karat/metadata.db", "data: ${PATH}");
    let problems = Project::load(folder.path(), None).unwrap_err().lines();
    assert!(problems.contains("found what `${PATH}` stands for") && !problems.contains(&home), "{problems}");
}
