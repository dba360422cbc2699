use super::lex::{Kind, tokens};
use super::subject::{For, Subject, error_at};
use super::{Entity, OrderBy, SearchError};

/// The clauses of one order; each joins a table.
const MOST: usize = 20;

/// Reads the clauses of an order, each `KEY`, `KEY ASC` or `KEY DESC`.
pub fn parse_order<T: AsRef<str>>(clauses: &[T], subject: &'static Subject) -> Result<Vec<OrderBy>, SearchError> {
    let mut order: Vec<OrderBy> = Vec::with_capacity(clauses.len());
    for clause in clauses {
        let text = clause.as_ref();
        let one = parse_clause(text, subject)?;
        if order.iter().any(|before| before.entity == one.entity && before.key == one.key) {
            return Err(error_at(text, None, format!("`order_by` contains duplicate fields: '{text}'")));
        }
        if order.len() == MOST {
            return Err(error_at(text, None, format!("`order_by` has at most {MOST} clauses")));
        }
        order.push(one);
    }
    Ok(order)
}

fn parse_clause(text: &str, subject: &'static Subject) -> Result<OrderBy, SearchError> {
    let tokens = tokens(text);
    let unread = |at| Err(error_at(text, at, format!("Invalid order_by clause '{text}'. Could not be parsed.")));
    let (name, direction) = match tokens.as_slice() {
        [name] => (name, None),
        [name, direction] if direction.kind == Kind::Word => (name, Some(direction)),
        tokens => return unread(tokens.get(2)),
    };
    if name.kind != Kind::Word {
        return unread(Some(name));
    }
    let descending = match direction {
        Some(direction) if direction.is("DESC") => true,
        Some(direction) if !direction.is("ASC") => {
            let message = format!("Invalid ordering key in order_by clause '{text}'.");
            return Err(error_at(text, Some(direction), message));
        }
        _ => false,
    };
    let wrong = |message: String| error_at(text, Some(name), message);
    let (entity, key) = subject.identify(name.text, For::Order, &wrong)?;
    match entity {
        Entity::Dataset => Err(wrong("Invalid identifier type 'dataset'".to_owned())),
        _ if !subject.orders_by.contains(&entity) => {
            Err(wrong(format!("Invalid order_by entity: {}", entity.as_str())))
        }
        _ => Ok(OrderBy { entity, key, descending }),
    }
}
