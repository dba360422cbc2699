use sqlx::Arguments;
use sqlx::postgres::PgArguments;

use crate::MetadataError;

/// A value on its way into a statement; null has a type, too, which PostgreSQL wants to know.
#[derive(Debug, Clone)]
pub enum Bound {
    Bool(Option<bool>),
    Int(Option<i64>),
    Float(Option<f64>),
    Text(Option<String>),
}

/// What can be bound to a statement.
pub trait Bind {
    fn bound(self) -> Bound;
}

macro_rules! binds {
    ($($type:ty => |$value:ident| $bound:expr),* $(,)?) => {$(
        impl Bind for $type {
            fn bound(self) -> Bound {
                let $value = self;
                $bound
            }
        }
    )*};
}

binds! {
    Bound => |value| value,
    bool => |value| Bound::Bool(Some(value)),
    i64 => |value| Bound::Int(Some(value)),
    Option<i64> => |value| Bound::Int(value),
    f64 => |value| Bound::Float(Some(value)),
    &str => |value| Bound::Text(Some(value.to_owned())),
    &String => |value| Bound::Text(Some(value.clone())),
    String => |value| Bound::Text(Some(value)),
    Option<&str> => |value| Bound::Text(value.map(str::to_owned)),
    &Option<String> => |value| Bound::Text(value.clone()),
    Option<String> => |value| Bound::Text(value),
}

pub(crate) fn postgres(values: Vec<Bound>) -> Result<PgArguments, MetadataError> {
    let mut arguments = PgArguments::default();
    for value in values {
        let added = match value {
            Bound::Text(Some(text)) if text.contains('\0') => return Err(MetadataError::Nul),
            Bound::Bool(value) => arguments.add(value),
            Bound::Int(value) => arguments.add(value),
            Bound::Float(value) => arguments.add(value),
            Bound::Text(value) => arguments.add(value),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}
