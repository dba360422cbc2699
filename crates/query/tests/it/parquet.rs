use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int32Array, RecordBatch, StringArray, TimestampMillisecondArray};
use parquet::arrow::ArrowWriter;
use serde_json::json;

use crate::world::{World, accepted, quarantined, source};

fn write(world: &World, path: &str, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    world.write(path, bytes);
}

#[tokio::test]
async fn parquet_comes_in_karats_types_with_or_without_declared_columns() {
    let world = World::new().await;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int32Array::from(vec![Some(1), Some(2), None]))),
        ("born", Arc::new(StringArray::from(vec!["1980-02-29", "soon", "1990-01-01"]))),
        ("score", Arc::new(Float32Array::from(vec![1.5, 2.0, 3.0]))),
        ("seen", Arc::new(TimestampMillisecondArray::from(vec![0, 1, 2]))),
    ];
    write(&world, "p.parquet", columns);
    let all = source(json!({"name": "p", "path": "p.parquet", "delivery": "append"}));
    assert_eq!(accepted(&world.stage(&all).await)[1], "2|soon|2.0|1970-01-01T00:00:00.001Z|2");
    let declared = source(json!({
        "name": "p", "path": "*.parquet", "delivery": "append",
        "columns": [["birthday", {"type": "date", "from": "born"}], ["id", "float"]],
    }));
    let staged = world.stage(&declared).await;
    assert_eq!(accepted(&staged), ["1980-02-29|1.0|1", "1990-01-01|null|3"]);
    assert_eq!(quarantined(&staged), ["p.parquet:2 birthday=soon read: not a date (YYYY-MM-DD)"]);
    let error = |columns: serde_json::Value| {
        let world = &world;
        async move {
            let wrong = source(json!({"name": "p", "path": "p.parquet", "delivery": "append", "columns": columns}));
            world.try_stage(&wrong).await.err().unwrap().to_string()
        }
    };
    assert_eq!(
        error(json!({"scroe": "float"})).await,
        "p.parquet: the file has no column `scroe`; did you mean `score`?"
    );
    assert_eq!(error(json!({"seen": "int"})).await, "p.parquet: column `seen` is Timestamp(ms), declared int");
    world.write("q.parquet", "not parquet");
    let broken = source(json!({"name": "q", "path": "q.parquet", "delivery": "append"}));
    assert!(
        world.try_stage(&broken).await.err().unwrap().to_string().starts_with("q.parquet: cannot be read as Parquet")
    );
}
