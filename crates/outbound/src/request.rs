//! The request of a look-up: its template with the variables filled in once, and the key each time.

use karat_core::{Name, Value};
use karat_project::{Template, expand, spec};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_json::{Map, Value as Json};

use crate::Failure;

/// The columns a service is asked by, and their values.
pub(crate) type Key<'k> = [(&'k str, &'k Value)];

pub(crate) struct RequestTemplate {
    method: Method,
    url: Template,
    headers: HeaderMap,
    body: Option<Body>,
}

pub(crate) struct Filled {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Vec<u8>>,
}

enum Body {
    Text(Template),
    Plain(Json),
    List(Vec<Body>),
    Object(Vec<(String, Body)>),
}

impl RequestTemplate {
    /// What it says where something is wrong holds no value of a variable.
    pub fn new(source: &Name, lookup: &spec::Lookup) -> Result<RequestTemplate, Failure> {
        let url = template(&lookup.url)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &lookup.headers {
            let wrong =
                || Failure::NotSetUp(format!("the header `{name}` cannot be sent with what its variables hold"));
            let value = expand(value).map_err(|error| Failure::NotSetUp(error.to_string()))?;
            let mut value = HeaderValue::from_str(&value).map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.append(HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?, value);
        }
        let body = lookup.body.as_ref().map(Body::of).transpose()?;
        if body.is_some() && !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let method = if lookup.method.is_get() { Method::GET } else { Method::POST };
        let request = RequestTemplate { method, url, headers, body };
        let sample = request.url.filled(|_| "0".to_owned());
        match Url::parse(&sample).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
            Some(_) => Ok(request),
            None => Err(Failure::NotSetUp(format!(
                "the `url` of source {source} is no `http://` or `https://` address with what its variables hold"
            ))),
        }
    }

    pub fn filled(&self, key: &Key<'_>) -> Result<Filled, Failure> {
        let value = |column: &str| key.iter().find(|(name, _)| *name == column).map(|(_, value)| *value);
        let known = self.url.columns().all(|column| value(column).is_some_and(fits_a_url));
        if !known {
            return Err(Failure::Key);
        }
        let text = |column: &str| value(column).map(Value::to_string).unwrap_or_default();
        let url = self.url.filled(|column| percent_encoded(&text(column)));
        let body = self.body.as_ref().map(|body| body.filled(&value, &text).to_string().into_bytes());
        Ok(Filled {
            method: self.method.clone(),
            url: Url::parse(&url).map_err(|_| Failure::Key)?,
            headers: self.headers.clone(),
            body,
        })
    }
}

/// What is empty, or a step in a path, would ask for something else.
fn fits_a_url(value: &Value) -> bool {
    !value.is_null() && !matches!(value.to_string().as_str(), "" | "." | "..")
}

fn template(text: &str) -> Result<Template, Failure> {
    let parsed = Template::parse(text).ok_or_else(|| Failure::NotSetUp("a `{` names no column".to_owned()))?;
    parsed.expanded().map_err(|error| Failure::NotSetUp(error.to_string()))
}

impl Body {
    fn of(json: &Json) -> Result<Body, Failure> {
        Ok(match json {
            Json::String(text) => Body::Text(template(text)?),
            Json::Array(items) => Body::List(items.iter().map(Body::of).collect::<Result<_, _>>()?),
            Json::Object(entries) => {
                let entries = entries.iter().map(|(name, value)| Ok((name.clone(), Body::of(value)?)));
                Body::Object(entries.collect::<Result<_, Failure>>()?)
            }
            plain => Body::Plain(plain.clone()),
        })
    }

    fn filled<'v>(&self, value: &impl Fn(&str) -> Option<&'v Value>, text: &impl Fn(&str) -> String) -> Json {
        match self {
            Body::Text(template) => match template.only_column() {
                Some(column) => value(column).map_or(Json::Null, Value::to_json),
                None => Json::String(template.filled(text)),
            },
            Body::Plain(json) => json.clone(),
            Body::List(items) => Json::Array(items.iter().map(|item| item.filled(value, text)).collect()),
            Body::Object(entries) => {
                let entries = entries.iter().map(|(name, body)| (name.clone(), body.filled(value, text)));
                Json::Object(entries.collect::<Map<String, Json>>())
            }
        }
    }
}

/// All but the characters that RFC 3986 reserves for nothing.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lookup(changes: Json) -> spec::Lookup {
        let mut lookup = json!({"url": "http://h/v1/{id}?x={id}", "fresh_for": "1 day", "on_failure": "refuse"});
        lookup.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(lookup).unwrap()
    }

    fn filled(changes: Json, key: Value) -> Result<Filled, Failure> {
        let request = RequestTemplate::new(&Name::new("bureau").unwrap(), &lookup(changes))?;
        request.filled(&[("id", &key)])
    }

    #[test]
    fn keys_stand_in_urls_as_themselves_and_nothing_else() {
        let url = |key: Value| filled(json!({}), key).map(|filled| filled.url.to_string());
        assert_eq!(url(Value::Int(7)).unwrap(), "http://h/v1/7?x=7");
        let tricky = "http://h/v1/a%2Fb%20%3Fc%26%C3%A9%25?x=a%2Fb%20%3Fc%26%C3%A9%25";
        assert_eq!(url(Value::text("a/b ?c&é%")).unwrap(), tricky);
        for bad in ["", ".", ".."] {
            assert_eq!(url(Value::text(bad)), Err(Failure::Key), "{bad}");
        }
    }

    #[test]
    fn bodies_keep_the_types_of_keys() {
        let body = json!({"method": "POST", "body": {"id": "{id}", "text": "no {id}", "list": [1, null, "{{"]}});
        let sent = filled(body, Value::Int(7)).unwrap();
        let json: Json = serde_json::from_slice(&sent.body.unwrap()).unwrap();
        assert_eq!(json, json!({"id": 7, "text": "no 7", "list": [1, null, "{"]}));
        assert_eq!(sent.headers[CONTENT_TYPE], "application/json");
        assert_eq!(sent.method, Method::POST);
    }

    #[test]
    fn what_is_wrong_is_told_without_what_variables_hold() {
        let failure = |changes: Json| filled(changes, Value::Int(1)).err().unwrap().to_string();
        let url = failure(json!({"url": "${NO:-ftp://secret}/{id}"}));
        assert!(url.contains("the `url` of source bureau") && !url.contains("secret"), "{url}");
        let missing = failure(json!({"headers": {"authorization": "Bearer ${KARAT_NO_SUCH_TOKEN}"}}));
        assert!(missing.contains("`KARAT_NO_SUCH_TOKEN` is not set"), "{missing}");
        let header = failure(json!({"headers": {"x-key": "${NO:-sec\nret}"}}));
        assert!(header.contains("the header `x-key`") && !header.contains("sec"), "{header}");
    }
}
