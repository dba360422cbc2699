use super::{Node, Scalar, Shape, node, parse};
use crate::files::Files;

/// Words that other readers of YAML take for truths.
const OTHER_TRUTHS: [&str; 8] = ["yes", "no", "on", "off", "y", "n", "true", "false"];

/// Text as a scalar of YAML that reads back as this very text, in a block or between brackets: bare where that is clear.
pub fn yaml_text(text: &str) -> String {
    let is_plain = |sign: char| sign.is_alphanumeric() || " _-./()+*<>=%'".contains(sign);
    let is_clear = text.starts_with(|sign: char| sign.is_alphanumeric() || sign == '_')
        && !text.ends_with(' ')
        && text.chars().all(is_plain)
        && !OTHER_TRUTHS.contains(&text.to_lowercase().as_str())
        && !text.starts_with(|sign: char| sign.is_ascii_digit());
    let reads_back = matches!(node::Scalar::plain(text), Scalar::Text(read) if read == text);
    // What JSON writes in quotes, YAML reads.
    if is_clear && reads_back { text.to_owned() } else { escaped(&serde_json::Value::from(text).to_string()) }
}

/// A document of YAML that is no file of ours, as JSON. The error is the first mistake's message.
pub fn yaml_to_json(text: &str) -> Result<serde_json::Value, String> {
    let mut files = Files::default();
    let file = files.add("document".to_owned(), text);
    let parsed = parse(text, file);
    match (parsed.mistakes.first(), parsed.documents.first()) {
        (Some(mistake), _) => Err(mistake.message.clone()),
        (None, None) => Ok(serde_json::Value::Null),
        (None, Some(document)) => Ok(json_of(document)),
    }
}

fn json_of(node: &Node) -> serde_json::Value {
    match &node.shape {
        Shape::Scalar(Scalar::Null) => serde_json::Value::Null,
        Shape::Scalar(Scalar::Bool(truth)) => (*truth).into(),
        Shape::Scalar(Scalar::Int(number)) => (*number).into(),
        Shape::Scalar(Scalar::Float(number, _)) => (*number).into(),
        Shape::Scalar(Scalar::Text(text)) => text.as_str().into(),
        Shape::List(items) => items.iter().map(json_of).collect(),
        Shape::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), json_of(&entry.value))).collect(),
    }
}

/// JSON leaves signs as they are that YAML takes for line breaks, or for nothing.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for sign in json.chars() {
        match u32::from(sign) {
            code if sign.is_control() || matches!(code, 0xfeff | 0x2028 | 0x2029) => {
                escaped.push_str(&format!("\\u{code:04x}"))
            }
            _ => escaped.push(sign),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;
    use crate::yaml::{Shape, parse};

    #[test]
    fn texts_read_back_as_they_are() {
        for text in [
            "plain",
            "two words",
            "yes",
            "NULL",
            "12",
            "1e5",
            "",
            " x",
            "x ",
            "a: b",
            "a #b",
            "- a",
            "[a]",
            "{a}",
            "\"q\"",
            "it's",
            "tab\there",
            "line\nbreak",
            "é",
            "CASE x WHEN 'a' THEN true END",
            "a, b",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a`",
            "|",
            ">",
            "?",
            "~",
            "2021-03-04",
            "\u{7f}",
            "\u{85}",
            "\u{feff}",
            "a,b]",
        ] {
            let written = format!("[{}, x]", yaml_text(text));
            let mut files = Files::default();
            let file = files.add("t".to_owned(), &written);
            let parsed = parse(&written, file);
            assert!(parsed.mistakes.is_empty(), "{written}: {:?}", parsed.mistakes);
            let Shape::List(items) = &parsed.documents[0].shape else { panic!("{written}") };
            assert!(matches!(&items[0].shape, Shape::Scalar(Scalar::Text(read)) if read == text), "{written}");
        }
        assert_eq!(yaml_text("CASE x WHEN 'a' THEN true END"), "CASE x WHEN 'a' THEN true END");
    }
}
