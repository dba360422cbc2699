//! Columns that Karat adds to a source's own in its history. Users may read them; they cannot declare them.

/// `Int64`, microseconds UTC; null for a source without `event_time` (a record of facts).
pub const EVENT_TIME: &str = "_event_time";
/// `Int64`, microseconds UTC; `i64::MIN` is always known.
pub const KNOWN_TIME: &str = "_known_time";
/// `Int64`, the number of the commit that brought the record; 1 is a source's first.
pub const COMMIT: &str = "_commit";
/// `Boolean`: the record retracts its identity's row; its other columns repeat what it retracts.
pub const REMOVED: &str = "_removed";
/// A [dictionary](file_type) of `Utf8`, the digest of the file a row came in; null where identity does not need it.
pub const FILE: &str = "_file";
/// `Int64`, the row's number in its delivery (in its file, where `_file` is set); 1 is the first.
pub const ROW: &str = "_row";
/// `Utf8`, null or a JSON list of `{"column", "value", "check"}`: what the contract's `set_null` took away.
pub const NULLED: &str = "_nulled";

/// All of them, in the order in which histories carry them after the declared columns.
pub const ALL: [&str; 7] = [EVENT_TIME, KNOWN_TIME, COMMIT, REMOVED, FILE, ROW, NULLED];

/// Their Arrow fields, in the order of [`ALL`].
pub fn fields() -> Vec<arrow::datatypes::Field> {
    use arrow::datatypes::{DataType, Field};
    let types = [
        DataType::Int64,
        DataType::Int64,
        DataType::Int64,
        DataType::Boolean,
        file_type(),
        DataType::Int64,
        DataType::Utf8,
    ];
    ALL.into_iter().zip(types).map(|(name, data_type)| Field::new(name, data_type, true)).collect()
}

/// The type of [`FILE`]: millions of rows share a digest.
pub fn file_type() -> arrow::datatypes::DataType {
    use arrow::datatypes::DataType;
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// A cell that `set_null` emptied, as kept in [`NULLED`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NulledCell {
    pub column: String,
    /// The value as it was, printed.
    pub value: String,
    /// The check that took it, as the contract words it: `range`, `allowed`…
    pub check: String,
}
