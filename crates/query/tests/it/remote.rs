//! What comes from elsewhere: object stores, a database, commands. Each test brings its own server, or says why not.

use std::process::Command;
use std::time::{Duration, Instant};

use karat_core::ErrorKind;
use karat_test_support::postgres_server::PostgresServer;
use karat_test_support::s3_server::S3Server;
use karat_test_support::test_python;
use serde_json::{Value as Json, json};

use crate::world::{World, accepted, day, quarantined, source};

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn people(path: Json) -> karat_project::spec::Source {
    source(json!({"name": "people", "path": path, "keys": ["id"], "columns": [["id", "int"], ["name", "text"]]}))
}

#[test]
fn objects_are_read_as_files_are() {
    if S3Server::is_told() {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(objects());
        return;
    }
    let test = "remote::objects_are_read_as_files_are";
    let Some(server) = S3Server::start(test) else { return };
    let fill = "
import boto3, gzip, io, os, pyarrow as pa, pyarrow.parquet as pq
s3 = boto3.client('s3', endpoint_url=os.environ['AWS_ENDPOINT_URL'])
s3.create_bucket(Bucket='lake')
put = lambda key, body: s3.put_object(Bucket='lake', Key=key, Body=body)
put('in/2021/a.csv', b'id,name\\n1,Ann\\nx,Bob\\n')
put('in/2021/b.csv.gz', gzip.compress(b'id,name\\n2,Cy\\n'))
put('in/2021/notes.md', b'none of it')
put('in/2022/c.csv', b'id,name\\n3,Di\\n')
put('big.csv', b'id,name\\n' + b''.join(b'%d,somebody\\n' % n for n in range(300000)))
out = io.BytesIO()
pq.write_table(pa.table({'id': [7], 'name': ['Eve']}), out)
put('p.parquet', out.getvalue())
out = io.BytesIO()
pq.write_table(pa.table({'column_%d' % n: [n] for n in range(3000)}), out)
put('wide.parquet', out.getvalue())
put('no.parquet', b'id,name' * 50000)
";
    let filled = Command::new(test_python().unwrap()).args(["-c", fill]).envs(server.variables()).output().unwrap();
    assert!(filled.status.success(), "{}", String::from_utf8_lossy(&filled.stderr));
    server.run_again(test);
}

async fn objects() {
    let world = World::new().await;
    let staged = world.stage(&people(json!("s3://lake/in/*/*.csv*"))).await;
    assert_eq!(accepted(&staged), ["1|Ann|1", "2|Cy|3", "3|Di|4"]);
    assert_eq!(quarantined(&staged), ["s3://lake/in/2021/a.csv:3 id=x read: not an int"]);
    assert_eq!(staged.report.files[1].path, "s3://lake/in/2021/b.csv.gz");
    let one_folder = world.stage(&people(json!(["s3://lake/in/2021/*.csv", "s3://lake/in/2021/a.csv"]))).await;
    assert_eq!(one_folder.report.read, 2, "a glob's star ends at a slash, and no object is read twice");
    assert_eq!(world.stage(&people(json!("s3://lake/big.csv"))).await.report.accepted, 300_000);
    let parquet = source(json!({"name": "p", "path": "s3://lake/p.parquet", "keys": ["id"]}));
    assert_eq!(accepted(&world.stage(&parquet).await), ["7|Eve|1"]);
    // What its end says is more than what is asked for first.
    let wide = source(json!({"name": "p", "path": "s3://lake/wide.parquet", "keys": ["column_7"]}));
    assert_eq!(world.plan(&wide).unwrap().schema().columns().len(), 3000);
    let no = source(json!({"name": "p", "path": "s3://lake/no.parquet", "keys": ["id"]}));
    assert!(world.plan(&no).err().unwrap().to_string().contains("s3://lake/no.parquet: cannot be read as Parquet"));
    let looks = world.plan(&people(json!("s3://lake/in/*/*.csv"))).unwrap().looks().unwrap().unwrap();
    assert_eq!(looks.keys().collect::<Vec<_>>(), ["s3://lake/in/2021/a.csv", "s3://lake/in/2022/c.csv"]);
    for (path, message) in [
        (
            "s3://lake/in/2021/aa.csv",
            "s3://lake/in/2021/aa.csv: there is no such object; did you mean `in/2021/a.csv`?",
        ),
        ("s3://lake/out/*.csv", "s3://lake/out/*.csv: no object matches"),
        ("s3://lake/in/2021/a.zip", "s3://lake/in/2021/a.zip: there is no such object; did you mean `in/2021/a.csv`?"),
    ] {
        assert_eq!(world.try_stage(&people(json!(path))).await.err().unwrap().to_string(), message);
    }
    let error = world.try_stage(&people(json!("s3://pond/a.csv"))).await.err().unwrap().to_string();
    assert!(error.starts_with("s3://pond/a.csv: ") && !error.contains("secret"), "{error}");
}

#[tokio::test]
async fn tables_and_queries_of_postgresql_are_read() {
    let mut world = World::new().await;
    let test = "remote::tables_and_queries_of_postgresql_are_read";
    let Some(database) = PostgresServer::start(test) else { return };
    database.sql(
        "postgres",
        r#"CREATE SCHEMA lending; CREATE TABLE lending.loans (id bigint PRIMARY KEY, "Name" text, amount numeric(12,2), late bool,
           day date, at timestamptz, naive timestamp, extra jsonb);
           INSERT INTO lending.loans VALUES
           (1, 'Ann, "A"', 10.50, true, '2021-10-01', '2021-10-01 02:00:00+02', '2021-10-01 02:00', '{}'),
           (2, '', NULL, false, NULL, NULL, NULL, NULL), (3, NULL, 7, NULL, '3021-09-18', NULL, NULL, '[1]'),
           (4, E'two\nlines \\N', -0.01, NULL, 'infinity', NULL, NULL, NULL),
           (5, NULL, 'NaN', NULL, NULL, NULL, NULL, NULL);
           INSERT INTO lending.loans (id, "Name") SELECT n, 'x' FROM generate_series(1000, 100999) n;"#,
    );
    let url = format!("postgres://karat:unguessable@127.0.0.1:{}/postgres", database.port());
    let loans = |postgres: Json| {
        source(json!({
            "name": "loans", "postgres": postgres, "keys": ["id"], "time_zone": "Europe/Prague",
            "columns": [["id", "int"], ["name", {"type": "text", "from": "Name"}], ["amount", "float"], ["late", "bool"], ["day", "date"],
                ["at", "timestamp"], ["naive", "timestamp"]],
            "contract": [{"check": "range", "column": "id", "max": 999}],
        }))
    };
    let table = loans(json!({"url": url, "table": "lending.loans"}));
    let staged = world.stage(&table).await;
    let rows = [
        "1|Ann, \"A\"|10.5|true|2021-10-01|2021-10-01T00:00:00Z|2021-10-01T00:00:00Z|1",
        "2||null|false|null|null|null|2",
        "3|null|7.0|null|3021-09-18|null|null|3",
    ];
    assert_eq!(accepted(&staged), rows);
    let bad = quarantined(&staged);
    assert_eq!(bad[0], "PostgreSQL table lending.loans:5 day=infinity read: not a date (YYYY-MM-DD)");
    assert_eq!(
        bad[1],
        "PostgreSQL table lending.loans:7 amount=NaN read: not a finite float (where it means nothing, list it under `null_values`)"
    );
    assert_eq!((bad.len(), staged.report.read), (100_002, 100_005));
    assert_eq!(world.plan(&table).unwrap().looks().unwrap(), None, "only reading tells what is new");
    assert_eq!(world.ingest(&table, day(20_000)).await.counts.new, 3);
    assert_eq!(world.ingest(&table, day(20_001)).await.commit, None);
    world.publish(&table).await;
    assert_eq!(world.query("SELECT count(*) FROM loans WHERE name = ''", &world.tables).await, ["1"]);

    let query = loans(json!({"url": url, "query": "SELECT *, 1 AS more FROM lending.loans WHERE id = 1;"}));
    assert_eq!(world.stage(&query).await.report.accepted, 1);
    let error = |postgres: Json| {
        let (world, source) = (&world, loans(postgres));
        async move { world.try_stage(&source).await.err().unwrap() }
    };
    let missing = error(json!({"url": url, "table": "lending.loan"})).await;
    assert_eq!(missing.to_string(), "PostgreSQL table lending.loan: relation \"lending.loan\" does not exist");
    let fewer = error(json!({"url": url, "query": "SELECT id, \"Name\" AS nam FROM lending.loans"})).await;
    assert_eq!(fewer.to_string(), "PostgreSQL query:1: the file has no column `Name`; did you mean `nam`?");
    let wrong =
        error(json!({"url": url, "query": "SELECT id, 1 / (id - 2) AS x FROM lending.loans ORDER BY id"})).await;
    assert!(wrong.to_string().contains("has no column") || wrong.to_string().ends_with("division by zero"), "{wrong}");
    let writing = error(json!({"url": url, "query": "DELETE FROM lending.loans RETURNING *"})).await;
    assert!(writing.to_string().contains("read-only transaction"), "{writing}");
    let closed = url.replace(&database.port().to_string(), &free_port().to_string());
    let away = error(json!({"url": closed, "table": "lending.loans"})).await;
    assert!(away.to_string().starts_with("PostgreSQL table lending.loans: cannot connect: "), "{away}");
    assert!(!away.to_string().contains("unguessable"), "{away}");
    assert_eq!(away.kind(), ErrorKind::Unavailable);
    let nonsense = error(json!({"url": "unguessable", "table": "lending.loans"})).await.to_string();
    assert!(nonsense.starts_with("source `loans`, postgres: ") && !nonsense.contains("unguessable"), "{nonsense}");
}

fn printed(command: Json) -> karat_project::spec::Source {
    source(json!({"name": "printed", "command": command, "keys": ["id"], "columns": [["id", "int"], ["name", "text"]]}))
}

#[tokio::test]
async fn the_output_of_a_command_counts_if_it_ends_well() {
    let world = World::new().await;
    world.write("extract.sh", "#!/bin/sh\nprintf 'id,name\\n1,%s\\nx,Bob\\n' \"$1\"\n");
    let chmod = Command::new("chmod").arg("+x").arg(world.root().join("extract.sh")).status().unwrap();
    assert!(chmod.success());
    let staged = world.stage(&printed(json!(["./extract.sh", "Ann; $HOME"]))).await;
    assert_eq!(accepted(&staged), ["1|Ann; $HOME|1"]);
    assert_eq!(quarantined(&staged), ["`./extract.sh Ann; $HOME`:3 id=x read: not an int"]);
}

#[tokio::test]
async fn a_command_that_fails_says_why_and_nothing_is_ingested() {
    let world = World::new().await;
    let error = |command: Json| {
        let (world, source) = (&world, printed(command));
        async move { world.try_ingest(&source, day(1)).await.err().unwrap().to_string() }
    };
    let shell = |script: &str| json!(["sh", "-c", script]);
    assert_eq!(
        error(shell("echo id,name; echo 1,Ann; echo no such table >&2; exit 3")).await,
        "`sh -c echo id,name; echo 1,Ann; echo no such table >&2; exit…`: the command ended with exit code 3; it says: no such table"
    );
    assert_eq!(
        error(shell("echo id,name; echo slow >&2")).await,
        "`sh -c echo id,name; echo slow >&2`: the command ended well, and wrote to its standard error: slow; say \
         `stderr: ignore` if it means nothing"
    );
    assert_eq!(error(shell("kill -9 $$")).await, "`sh -c kill -9 $$`: the command was ended by a signal");
    assert_eq!(
        error(json!(["no-such-program"])).await,
        "`no-such-program`: there is no such program here: is it installed, and in PATH?"
    );
    let begun = Instant::now();
    assert_eq!(
        error(json!({"run": ["sh", "-c", "echo id,name; sleep 60"], "timeout": "1 second"})).await,
        "`sh -c echo id,name; sleep 60`: the command did not end within 1 seconds (`timeout`), and was stopped"
    );
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let source =
        printed(json!({"run": ["sh", "-c", "echo progress >&2; echo id,name; echo 1,Ann"], "stderr": "ignore"}));
    assert_eq!(world.ingest(&source, day(1)).await.counts.new, 1);
    assert_eq!(
        error(shell("echo id,nmae")).await,
        "`sh -c echo id,nmae`:1: the file has no column `name`; did you mean `nmae`?"
    );
    assert!(error(json!(["echo", "${KARAT_TEST_NOT_SET}"])).await.contains("`KARAT_TEST_NOT_SET` is not set"));
}

#[tokio::test]
async fn a_command_may_print_json_or_an_arrow_stream() {
    let world = World::new().await;
    let mut lines = printed(json!(["printf", r#"{"id": 1, "name": "Ann"}\n{"id": "x", "name": ""}\n"#]));
    lines.format = Some(karat_project::spec::Format::Json);
    let staged = world.stage(&lines).await;
    assert_eq!((accepted(&staged), quarantined(&staged).len()), (vec!["1|Ann|1".to_owned()], 1));

    let columns: Vec<(&str, arrow::array::ArrayRef)> = vec![
        ("name", std::sync::Arc::new(arrow::array::StringArray::from(vec![Some("Ann"), None]))),
        ("id", std::sync::Arc::new(arrow::array::StringArray::from(vec!["1", "y"]))),
    ];
    let batch = arrow::array::RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let bytes = writer.into_inner().unwrap();
    world.write("batches.arrow", &bytes);
    let staged = world.stage(&printed(json!(["cat", "batches.arrow"]))).await;
    assert_eq!(accepted(&staged), ["1|Ann|1"]);
    assert_eq!(quarantined(&staged), ["`cat batches.arrow`:2 id=y read: not an int"]);
    world.write("cut.arrow", &bytes[..bytes.len() - 100]);
    let error = world.try_stage(&printed(json!(["cat", "cut.arrow"]))).await.err().unwrap().to_string();
    assert!(error.starts_with("`cat cut.arrow`: "), "{error}");
}
